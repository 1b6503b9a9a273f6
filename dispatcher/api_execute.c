/* POST execute, plan, validate. */
#include "dispatcher/api_runs.h"
#include "dispatcher/api_submit.h"
#include "dispatcher/front_ask.h"

#include "policy/workflow_json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what became of a submission ---------------------------------------- */

static const enum problem_code refusals[] = {
    [ADMIT_OK] = PROBLEM_INTERNAL, /* never looked up */
    [ADMIT_NO_POOL] = PROBLEM_NO_SUCH_POOL,
    [ADMIT_POOL_CLOSED] = PROBLEM_POOL_CLOSED,
    [ADMIT_LINE_FULL] = PROBLEM_LINE_FULL,
    [ADMIT_TOO_BIG] = PROBLEM_TOO_BIG,
    [ADMIT_NO_ENGINE] = PROBLEM_NO_ENGINE,
    [ADMIT_DRAINING] = PROBLEM_DRAINING,
    [ADMIT_KEY_REUSED] = PROBLEM_KEY_REUSED,
    [ADMIT_STORE_FULL] = PROBLEM_STORE_FULL,
};

static enum problem_code refusal_of(const struct submission *submission)
{
    return refusals[submission->admission.answer];
}

static const struct route_candidate *chosen_of(const struct decision *decision)
{
    return decision->chosen >= 0 &&
                   (size_t)decision->chosen < decision->candidate_count
               ? &decision->candidates[decision->chosen]
               : NULL;
}

/* Of the pool it went to, or waits for. */
static json_t *capacity_json(const struct decision *decision)
{
    const struct route_candidate *c = chosen_of(decision);
    json_t *o;

    if (!c && decision->candidate_count > 0)
        c = &decision->candidates[0];
    if (!c)
        return json_null();
    o = json_object();
    json_set(o, "pool", json_text(c->pool));
    json_set_capacity(o, c->limit, c->used);
    return o;
}

static json_t *message_json(const struct origin *origin,
                            const struct explanation *now)
{
    const struct route_candidate *chosen = chosen_of(&now->decision);
    char text[EXPLAIN_MISSING_MAX + 200], at[API_TIME_MAX];

    if (now->state == RUN_SCHEDULED) {
        api_time_text(now->begins_unix_ms, at);
        snprintf(text, sizeof text, "Kept; starts no earlier than %s.", at);
    } else if (chosen && now->decision.chosen > 0) {
        snprintf(text, sizeof text,
                 "Starts in pool %s, a fallback: %s could not take it (%s).",
                 chosen->pool, origin->wanted_pool,
                 now->decision.candidates[0].why);
    } else if (chosen) {
        snprintf(text, sizeof text, "Starts in pool %s.", chosen->pool);
    } else {
        snprintf(text, sizeof text, "Waits in the line of pool %s: %s",
                 origin->wanted_pool, explained_text(now));
    }
    return json_text(text);
}

/* What execute and plan say alike. */
static void set_outcome(json_t *o, const struct submission *submission)
{
    static const struct explanation none = {.state = RUN_QUEUED,
                                            .decision.chosen = -1};
    const struct origin *origin = &submission->origin;
    const struct explanation *now =
        submission->explanation ? submission->explanation : &none;
    const struct route_candidate *chosen = chosen_of(&now->decision);

    json_set(o, "workflow_id", json_text(origin->workflow_id));
    json_set(o, "workflow_name", json_text(origin->workflow));
    json_set(o, "work_pool",
             json_text(chosen ? chosen->pool : origin->wanted_pool));
    json_set(o, "wanted_pool", json_text(origin->wanted_pool));
    json_set(o, "priority", json_text(run_priority_name(origin->priority)));
    json_set(o, "state", json_text(run_state_name(now->state)));
    json_set_explained(o, now);
    json_set(o, "ahead", json_integer(now->ahead));
    json_set(o, "decision", json_decision(origin, &now->decision));
    json_set(o, "capacity_at_execution", capacity_json(&now->decision));
    json_set(o, "message", message_json(origin, now));
}

/* A request that was made before, by its idempotency key: the same run, as it
 * is now. */
static json_t *replayed_json(const struct call *call,
                             const struct submission *submission)
{
    const struct run_id *run = &submission->admission.run;
    enum run_state state;
    json_t *o = json_object();

    json_set(o, "status", json_text("accepted"));
    json_set(o, "replayed", json_true());
    json_set(o, "run_id", json_run_id(run));
    json_set(o, "flow_run_id", json_run_id(run));
    json_set(o, "workflow_id", json_text(submission->origin.workflow_id));
    json_set(o, "workflow_name", json_text(submission->origin.workflow));
    if (run_state_read(call->api->reader, run, &state) == 0)
        json_set(o, "state", json_text(run_state_name(state)));
    json_set(o, "message",
             json_text("This request was made before; its run is the same."));
    return o;
}

static json_t *accepted_json(const struct call *call,
                             const struct submission *submission)
{
    if (submission->admission.replayed)
        return replayed_json(call, submission);

    json_t *o = json_object();

    json_set(o, "status", json_text("accepted"));
    json_set(o, "run_id", json_run_id(&submission->admission.run));
    json_set(o, "flow_run_id", json_run_id(&submission->admission.run));
    set_outcome(o, submission);
    return o;
}

static json_t *refused_json(const struct submission *submission)
{
    return problem_json(refusal_of(submission), submission->admission.text,
                        NULL, NULL);
}

static void answer_refused(struct call *call,
                           const struct submission *submission)
{
    answer_problem(call, refusal_of(submission), "%s",
                   submission->admission.text);
}

/* ---- execute ------------------------------------------------------------ */

struct waiting {
    struct run_id run;
    json_t *accepted;
    unsigned seconds;
};

static void free_waiting(void *state)
{
    struct waiting *waiting = state;

    json_decref(waiting->accepted);
    free(waiting);
}

static void answer_accepted(struct call *call, const struct run_id *run,
                            json_t *accepted)
{
    struct http_reply reply = reply_json(202, accepted);
    char id[RUN_ID_TEXT];

    run_id_text(run, id);
    http_reply_header(&reply, "Location", "/api/v1/runs/%s", id);
    answer(call, &reply);
}

/* Prefer: wait. The whole run when it has ended; 202 when the time is up. */
static bool look_executed(struct call *call, bool last)
{
    struct waiting *waiting = call->state;
    enum run_state state;
    int r = run_state_read(call->api->reader, &waiting->run, &state);
    json_t *run;

    if (r == 0 && run_state_is_final(state) &&
        run_json_whole(call->api->reader, &waiting->run, &run) == 0) {
        struct http_reply reply = reply_json(200, run);

        http_reply_header(&reply, "Preference-Applied", "wait=%u",
                          waiting->seconds);
        answer(call, &reply);
        return true;
    }
    if (!last)
        return false;
    if (r == 0)
        json_set(waiting->accepted, "state", json_text(run_state_name(state)));
    answer_accepted(call, &waiting->run, json_incref(waiting->accepted));
    return true;
}

static void wait_for_end(struct call *call, const struct submission *submission,
                         unsigned seconds)
{
    struct waiting *waiting = calloc(1, sizeof *waiting);

    if (!waiting) {
        answer_accepted(call, &submission->admission.run,
                        accepted_json(call, submission));
        return;
    }
    waiting->run = submission->admission.run;
    waiting->accepted = accepted_json(call, submission);
    waiting->seconds = seconds;
    call->state = waiting;
    call->state_free = free_waiting;
    if (!look_executed(call, false))
        ask_wait(call, &waiting->run, seconds * 1000ULL, look_executed);
}

static void executed_one(struct call *call, const struct exchange *exchange)
{
    const struct submission *submission = &exchange->submissions[0];
    unsigned seconds = call_prefers_wait(call);

    if (submission->admission.answer != ADMIT_OK)
        answer_refused(call, submission);
    else if (seconds > 0)
        wait_for_end(call, submission, seconds);
    else
        answer_accepted(call, &submission->admission.run,
                        accepted_json(call, submission));
}

/* In the order they were sent: what one sent alone would have been told. 202
 * when any was accepted, else the status of the first refusal. */
static void executed_many(struct call *call, const struct exchange *exchange)
{
    json_t *o = json_object(), *items = json_array();
    size_t accepted = 0;
    unsigned status = 202;

    for (size_t i = 0; i < exchange->submission_count; i++) {
        const struct submission *s = &exchange->submissions[i];

        if (s->admission.answer == ADMIT_OK) {
            accepted++;
            json_array_append_new(items, accepted_json(call, s));
        } else {
            json_array_append_new(items, refused_json(s));
        }
    }
    if (accepted == 0)
        status = problem_status(refusal_of(&exchange->submissions[0]));
    json_set(o, "accepted", json_count(accepted));
    json_set(o, "refused", json_count(exchange->submission_count - accepted));
    json_set(o, "items", items);
    answer_json(call, status, o);
}

static void executed(struct call *call, struct exchange *exchange)
{
    if (exchange->status < 0)
        answer_problem(call, PROBLEM_INTERNAL,
                       "The core could not take the submission: %s.",
                       strerror(-exchange->status));
    else if (json_is_array(call->body))
        executed_many(call, exchange);
    else
        executed_one(call, exchange);
}

/* A workflow that is only named is a 404, as for any other thing that is not
 * there; everything else to fix is a 422. */
static void answer_unread(struct call *call, const struct problems *problems,
                          const char *hint)
{
    if (problems->count == 1 && problems->dropped == 0 &&
        strcmp(problems->items[0].code, "no_such_workflow") == 0)
        answer_problem(call, PROBLEM_NO_SUCH_WORKFLOW, "%s",
                       problems->items[0].detail);
    else
        answer_invalid(call, problems, hint);
}

static void submit(struct call *call, enum ask what, ask_done *done)
{
    struct problems problems = {0};
    struct exchange *exchange = NULL;
    const char *hint;
    int r = submit_read(call, what, call->body, &exchange, &problems, &hint);

    if (r == 0)
        submit_sized(call, exchange, done);
    else if (r == -EINVAL)
        answer_unread(call, &problems, hint);
    else
        answer_no_memory(call);
    problems_clear(&problems);
}

void api_execute(struct call *call)
{
    submit(call, ASK_SUBMIT, executed);
}

/* ---- plan --------------------------------------------------------------- */

static void planned(struct call *call, struct exchange *exchange)
{
    const struct submission *s = &exchange->submissions[0];
    bool admitted = s->admission.answer == ADMIT_OK;
    json_t *o, *requires;

    if (exchange->status < 0) {
        answer_problem(call, PROBLEM_INTERNAL,
                       "The core could not plan this: %s.",
                       strerror(-exchange->status));
        return;
    }
    o = json_object();
    requires = json_array();
    for (size_t i = 0; i < s->origin.requires_count; i++)
        json_array_append_new(requires, json_text(s->origin.requires[i]));
    json_set(o, "would_be_accepted", json_boolean(admitted));
    json_set(o, "refusal", admitted ? json_null() : refused_json(s));
    set_outcome(o, s);
    if (!admitted)
        json_set(o, "message", json_text(s->admission.text));
    if (s->explanation && chosen_of(&s->explanation->decision))
        json_set(o, "state", json_text(run_state_name(RUN_PENDING)));
    json_set(o, "features", json_features(&s->origin.features));
    json_set(o, "requires", requires);
    answer_json(call, 200, o);
}

void api_plan(struct call *call)
{
    if (json_is_array(call->body))
        answer_problem(call, PROBLEM_INVALID,
                       "One thing at a time: send an object, not an array.");
    else
        submit(call, ASK_PLAN, planned);
}

/* ---- validate ----------------------------------------------------------- */

static json_t *order_json(const struct workflow *wf)
{
    json_t *list = json_array();

    for (size_t i = 0; wf->order && i < wf->node_count; i++)
        json_array_append_new(list, json_text(wf->nodes[wf->order[i]].id));
    return list;
}

static json_t *requires_json(struct workflow *wf)
{
    json_t *list = json_array();
    const char *const *names;
    size_t count;

    if (workflow_requires(wf, &names, &count) < 0)
        return list;
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_text(names[i]));
    return list;
}

static void answer_valid(struct call *call, struct workflow *wf)
{
    struct features features;
    struct classification found = {0};
    json_t *o;

    if (features_of(wf, -1, NULL, 0, NULL, &features) < 0) {
        answer_no_memory(call);
        return;
    }
    (void)classify(&features, &call->api->config->ruleset, &found);
    o = json_object();
    json_set(o, "valid", json_true());
    json_set(o, "workflow_id", json_text(wf->id));
    json_set(o, "workflow_name", json_text(wf->name));
    json_set(o, "shape", json_text(workflow_shape_name(wf->shape)));
    json_set(o, "edges_inferred", json_boolean(wf->edges_inferred));
    json_set(o, "nodes", json_count(wf->node_count));
    json_set(o, "edges", json_count(wf->edge_count));
    json_set(o, "repeatable", json_boolean(workflow_repeatable(wf)));
    json_set(o, "features", json_features(&features));
    json_set(o, "rule", json_text(found.rule));
    json_set(o, "why", json_text(found.rule ? found.why : NULL));
    json_set(o, "wanted_pool", json_text(found.pool));
    json_set(o, "requires", requires_json(wf));
    json_set(o, "order", order_json(wf));
    answer_json(call, 200, o);
}

void api_validate(struct call *call)
{
    struct problems problems = {0};
    struct workflow *wf = NULL;
    const char *pointer;
    const json_t *document = submit_document(call->body, &pointer);
    int r = workflow_from_json(document, pointer, &call->api->config->workflow,
                               &wf, &problems);

    if (r == 0)
        answer_valid(call, wf);
    else if (r == -EINVAL)
        answer_invalid(call, &problems, NULL);
    else
        answer_no_memory(call);
    workflow_free(&wf);
    problems_clear(&problems);
}
