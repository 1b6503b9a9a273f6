/* GET runs/{run}/explain: the figures of a decision for programs, and the same
 * as a story for people. */
#include "dispatcher/api_runs.h"

#include "dispatcher/front_ask.h"
#include "policy/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { SENTENCE_MAX = 1500, FAILED_NODES_MAX = 10 };

/* What is being told. */
struct telling {
    const struct story *story;
    const struct explanation *now; /* NULL: not live any more */
    json_t *nodes;                 /* of the plan */
    json_t *list;
};

/* "2026-11-20T18:00:00.123Z  Sentence." at 0: without a time. */
static void say(struct telling *t, int64_t at_unix_ms, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void say(struct telling *t, int64_t at_unix_ms, const char *fmt, ...)
{
    char text[SENTENCE_MAX], at[API_TIME_MAX];
    va_list args;
    size_t used = 0;

    text[0] = '\0';
    if (at_unix_ms) {
        api_time_text(at_unix_ms, at);
        used = (size_t)snprintf(text, sizeof text, "%s  ", at);
    }
    va_start(args, fmt);
    vsnprintf(text + used, sizeof text - used, fmt, args);
    va_end(args);
    json_array_append_new(t->list, json_text(text));
}

/* "etl cannot (3 of 3 slots in use); default can (1 of 5 slots in use)"; those
 * behind the one that can were not looked at. */
static void candidates_text(const struct decision *decision, char *text,
                            size_t room)
{
    text[0] = '\0';
    for (size_t i = 0; i < decision->candidate_count; i++) {
        const struct route_candidate *c = &decision->candidates[i];

        if (c->verdict != ROUTE_NOT_REACHED)
            text_append(text, room, "%s%s %s%s%s%s", i ? "; " : "", c->pool,
                        c->verdict == ROUTE_TAKE ? "can" : "cannot",
                        *c->why ? " (" : "", c->why, *c->why ? ")" : "");
    }
}

/* ---- the sentences ------------------------------------------------------ */

static void tell_submission(struct telling *t)
{
    const struct origin *o = t->story->origin;
    const struct features *f = &o->features;
    char size[SIZE_TEXT_MAX] = "unknown", at[API_TIME_MAX];

    if (f->size_bytes >= 0)
        text_size(f->size_bytes, size);
    say(t, o->submitted_unix_ms,
        "%s submitted \"%.200s\": %u node%s (%u database, %u transformation); "
        "size %s%s%s%s; priority %s.",
        o->who, o->workflow, f->nodes, f->nodes == 1 ? "" : "s", f->db_nodes,
        f->transforms, size, f->size_bytes >= 0 ? " (" : "",
        f->size_bytes >= 0 ? size_source_name(f->size_source) : "",
        f->size_bytes >= 0 ? ")" : "", run_priority_name(o->priority));
    if (o->start_at_unix_ms) {
        api_time_text(o->start_at_unix_ms, at);
        say(t, 0, "It was to start no earlier than %s.", at);
    }
}

static void tell_rule(struct telling *t)
{
    const struct origin *o = t->story->origin;

    if (o->features.requested_pool)
        say(t, 0, "The caller asked for pool %s, which decides (rule %s).",
            o->wanted_pool, o->rule);
    else
        say(t, 0, "Rule \"%s\" matched%s%s%s: it wants pool %s.", o->rule,
            *o->rule_why ? " (" : "", o->rule_why, *o->rule_why ? ")" : "",
            o->wanted_pool);
    if (o->fallback_forbidden)
        say(t, 0, "The caller allows no other pool.");
}

static void tell_first_decision(struct telling *t)
{
    const struct decision *d = &t->story->origin->decision;
    char text[SENTENCE_MAX];

    if (d->candidate_count == 0 || d->reason == WAIT_BEGIN_TIME)
        return;
    candidates_text(d, text, sizeof text);
    if (d->chosen >= 0)
        say(t, 0, "When it arrived, %s could take it at once: %s.",
            d->candidates[d->chosen].pool, text);
    else
        say(t, 0, "When it arrived, it had to wait (%s): %s.",
            wait_reason_name(d->reason), text);
}

/* Since it could have started: 0 for all but the first attempt. */
static uint64_t waited_before(const struct origin *o,
                              const struct attempt_record *a)
{
    int64_t ready_ms = o->start_at_unix_ms > o->submitted_unix_ms
                           ? o->start_at_unix_ms
                           : o->submitted_unix_ms;

    return a->attempt == 1 && a->leased_unix_ms > ready_ms
               ? (uint64_t)(a->leased_unix_ms - ready_ms)
               : 0;
}

static void tell_grant(struct telling *t, const struct attempt_record *a)
{
    const struct origin *o = t->story->origin;
    uint64_t waited_ms = waited_before(o, a);
    char waited[API_TIME_MAX] = "", text[SENTENCE_MAX];

    if (waited_ms)
        api_span_text(waited_ms, waited);
    say(t, a->leased_unix_ms,
        "Attempt %u got a slot of pool %s and was sent to agent %s%s%s.",
        a->attempt, a->pool, a->agent, waited_ms ? "; it had waited " : "",
        waited);
    if (strcmp(a->pool, o->wanted_pool) == 0)
        return;
    candidates_text(&a->decision, text, sizeof text);
    if (a->attempt == 1 && o->decision.chosen >= 0) /* just told */
        say(t, 0, "%s is a fallback of %s.", a->pool, o->wanted_pool);
    else
        say(t, 0, "%s is a fallback of %s: %s.", a->pool, o->wanted_pool, text);
}

static void tell_failed_node(struct telling *t, const struct node_record *n)
{
    const char *id = plan_node_id(t->nodes, n->node);

    if (n->error)
        say(t, n->ended_unix_ms, "Node \"%.100s\" failed: %s.", id ? id : "?",
            n->error);
    else
        say(t, n->ended_unix_ms, "Node \"%.100s\" failed (exit code %d).",
            id ? id : "?", n->exit_code);
}

static void tell_failed_nodes(struct telling *t, uint32_t attempt)
{
    size_t told = 0, skipped = 0;

    for (size_t i = 0; i < t->story->node_count; i++) {
        const struct node_record *n = t->story->nodes[i];

        if (n->attempt != attempt)
            continue;
        skipped += n->state == RUN_NODE_SKIPPED;
        if (n->state == RUN_NODE_FAILED && told++ < FAILED_NODES_MAX)
            tell_failed_node(t, n);
    }
    if (told > FAILED_NODES_MAX)
        say(t, 0, "%zu more failed.", told - FAILED_NODES_MAX);
    if (skipped)
        say(t, 0, "%zu node%s behind that %s skipped.", skipped,
            skipped == 1 ? "" : "s", skipped == 1 ? "was" : "were");
}

static void tell_outcome(struct telling *t, const struct attempt_record *a)
{
    static const char *const texts[ATTEMPT_OUTCOMES] = {
        [ATTEMPT_LIVE] = "goes on",
        [ATTEMPT_COMPLETED] = "completed",
        [ATTEMPT_FAILED] = "failed",
        [ATTEMPT_TIMED_OUT] = "took longer than the run's time-out",
        [ATTEMPT_CANCELLED] = "was cancelled, and its exit confirmed",
        [ATTEMPT_LAPSED] = "was given up: its agent was not heard of in time",
        [ATTEMPT_RETURNED] = "never started and went back to its line",
    };
    char took[API_TIME_MAX] = "";

    if (a->outcome == ATTEMPT_LIVE) {
        if (a->started_unix_ms == 0)
            say(t, 0, "The agent has not confirmed that it started.");
        return;
    }
    if (a->started_unix_ms && a->ended_unix_ms >= a->started_unix_ms)
        api_span_text((uint64_t)(a->ended_unix_ms - a->started_unix_ms), took);
    say(t, a->ended_unix_ms, "Attempt %u %s%s%s%s%s.", a->attempt,
        texts[a->outcome], *took ? " after " : "", took, a->error ? ": " : "",
        a->error ? a->error : "");
}

static void tell_attempts(struct telling *t)
{
    for (size_t i = 0; i < t->story->attempt_count; i++) {
        const struct attempt_record *a = t->story->attempts[i];

        tell_grant(t, a);
        if (a->started_unix_ms)
            say(t, a->started_unix_ms, "It started.");
        tell_failed_nodes(t, a->attempt);
        tell_outcome(t, a);
    }
}

static void tell_cancel(struct telling *t)
{
    const struct run_record *run = t->story->run;

    if (run->cancel_who)
        say(t, 0, "%s cancelled it%s%s.", run->cancel_who,
            run->cancel_reason ? ": " : "",
            run->cancel_reason ? run->cancel_reason : "");
}

static void tell_end(struct telling *t)
{
    const struct run_record *run = t->story->run;
    int64_t from_ms = t->story->origin->submitted_unix_ms;
    char took[API_TIME_MAX] = "";

    if (run->ended_unix_ms >= from_ms)
        api_span_text((uint64_t)(run->ended_unix_ms - from_ms), took);
    say(t, run->ended_unix_ms, "The run is %s, %s after it was submitted%s%s.",
        run_state_name(run->state), took, run->error ? ": " : "",
        run->error ? run->error : "");
}

static void tell_holders(struct telling *t)
{
    const struct explanation *now = t->now;
    char text[SENTENCE_MAX] = "", id[RUN_ID_TEXT];

    for (size_t i = 0; i < now->holder_count; i++) {
        run_id_text(&now->holders[i].run, id);
        text_append(text, sizeof text, "%s%s (%s on %s)", i ? ", " : "", id,
                    now->holders[i].workflow, now->holders[i].agent);
    }
    if (now->holder_count)
        say(t, 0, "The slots of %s are held by: %s.",
            t->story->origin->wanted_pool, text);
}

/* Of a run that waits for a time: a start or the end of a back-off. */
static void tell_scheduled(struct telling *t)
{
    const struct explanation *now = t->now;
    const struct story *story = t->story;
    uint32_t tries = story->origin->retry.retries + 1, last = 0;
    char begins[API_TIME_MAX], of[24] = "";

    if (story->attempt_count > 0)
        last = story->attempts[story->attempt_count - 1]->attempt;
    if (last < tries) /* attempts that were lost are not counted as retries */
        snprintf(of, sizeof of, " of %u", tries);
    api_time_text(now->begins_unix_ms, begins);
    say(t, 0, "Now it waits for %s (%s): %s", begins,
        wait_reason_name(now->reason), wait_reason_text(now->reason));
    if (now->reason == WAIT_RETRY_BACKOFF && last > 0)
        say(t, 0, "Attempt %u failed; attempt %u%s starts then.", last,
            last + 1, of);
}

static void tell_waiting(struct telling *t)
{
    const struct explanation *now = t->now;
    char text[SENTENCE_MAX], waited[API_TIME_MAX];

    if (now->state == RUN_SCHEDULED) {
        tell_scheduled(t);
        return;
    }
    api_span_text(now->waited_ms, waited);
    say(t, 0, "Now it has waited for %s (%s): %s", waited,
        wait_reason_name(now->reason), explained_text(now));
    candidates_text(&now->decision, text, sizeof text);
    say(t, 0, "Right now: %s.", text);
    say(t, 0, "%s%u %s before it in the line of %s.",
        now->ahead_more ? "At least " : "", now->ahead,
        now->ahead == 1 ? "run is" : "runs are", t->story->origin->wanted_pool);
    tell_holders(t);
}

static void tell_now(struct telling *t)
{
    enum run_state state = t->story->run->state;

    if (run_state_is_final(state))
        tell_end(t);
    else if (t->now && !run_state_holds_slot(t->now->state))
        tell_waiting(t);
    else
        say(t, 0, "Now it is %s.", run_state_name(state));
}

static json_t *story_json(const struct story *story,
                          const struct explanation *now)
{
    struct telling t = {.story = story, .now = now, .list = json_array()};

    t.nodes = plan_nodes(story->plan, story->plan_bytes);
    tell_submission(&t);
    tell_rule(&t);
    tell_first_decision(&t);
    tell_attempts(&t);
    tell_cancel(&t);
    tell_now(&t);
    json_decref(t.nodes);
    return t.list;
}

/* ---- the answer --------------------------------------------------------- */

/* The decision in force: of now while it waits, else the one that gave it its
 * last slot. */
static const struct decision *decision_of(const struct story *story,
                                          const struct explanation *now)
{
    if (now && !run_state_holds_slot(now->state))
        return &now->decision;
    if (story->attempt_count > 0)
        return &story->attempts[story->attempt_count - 1]->decision;
    return &story->origin->decision;
}

static json_t *explain_json(const struct story *story,
                            const struct explanation *now, int64_t now_unix_ms)
{
    const struct origin *origin = story->origin;
    json_t *o = json_run(&story->id, story->run, origin);
    json_t *attempts = json_array(), *holders = json_array();

    for (size_t i = 0; i < story->attempt_count; i++)
        json_array_append_new(attempts,
                              json_attempt(story->attempts[i], origin));
    for (size_t i = 0; now && i < now->holder_count; i++)
        json_array_append_new(holders,
                              json_holder(&now->holders[i], now_unix_ms));
    json_set(o, "why", json_text(origin->rule_why));
    json_set(o, "retries", json_integer(origin->retry.retries));
    json_set(o, "features", json_features(&origin->features));
    json_set_reason(o, WAIT_NONE);
    if (now)
        run_json_explained(o, now);
    json_set(o, "decision", json_decision(origin, decision_of(story, now)));
    json_set(o, "first_decision", json_decision(origin, &origin->decision));
    json_set(o, "holders", holders);
    json_set(o, "attempts", attempts);
    json_set(o, "story", story_json(story, now));
    return o;
}

static void answer_explained(struct call *call, const struct run_id *id,
                             const struct explanation *now)
{
    struct story *story;
    int r = history_story(call->api->reader, id, &story);

    if (r < 0) {
        answer_run_error(call, r);
        return;
    }
    if (run_state_is_final(story->run->state))
        now = NULL;
    answer_json(call, 200, explain_json(story, now, api_now_unix_ms()));
    history_story_free(&story);
}

/* -ENOENT: it has ended, or never was; the store knows. */
static void explained(struct call *call, struct exchange *exchange)
{
    if (exchange->status < 0 && exchange->status != -ENOENT)
        answer_problem(call, PROBLEM_INTERNAL,
                       "The core could not explain the run: %s.",
                       strerror(-exchange->status));
    else
        answer_explained(call, &exchange->run,
                         exchange->status == 0 ? exchange->explanation : NULL);
}

void api_run_explain(struct call *call)
{
    struct exchange *exchange;
    enum run_state state;
    struct run_id id;
    int r;

    if (!call_run_id(call, &id))
        return;
    r = run_state_read(call->api->reader, &id, &state);
    if (r < 0) {
        answer_run_error(call, r);
    } else if (run_state_is_final(state)) {
        answer_explained(call, &id, NULL);
    } else {
        exchange = ask_new(call, ASK_EXPLAIN, NULL);
        if (exchange)
            exchange->run = id;
        ask(call, exchange, explained);
    }
}
