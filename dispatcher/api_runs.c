/* GET runs, runs/{run}; POST runs/{run}/cancel. */
#include "dispatcher/api_runs.h"

#include "dispatcher/api_submit.h"
#include "dispatcher/front_ask.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { LIST_PRESET = 50 };

/* ---- reading ------------------------------------------------------------ */

int run_state_read(struct store_reader *reader, const struct run_id *id,
                   enum run_state *ret_state)
{
    struct run_record *record = NULL;
    struct store_bytes value;
    int r = store_read_begin(reader);

    if (r < 0)
        return r;
    r = store_read(reader, STORE_RUN, id->b, sizeof id->b, &value);
    if (r == 0)
        r = run_decode(value.ptr, value.len, &record);
    store_read_end(reader);
    if (r < 0 || !record)
        return r < 0 ? r : -EBADMSG;
    *ret_state = record->state;
    free(record);
    return 0;
}

json_t *plan_nodes(const char *plan, size_t bytes)
{
    json_t *root = json_loadb(plan, bytes, 0, NULL);
    json_t *nodes = json_incref(json_object_get(root, "nodes"));

    json_decref(root);
    return nodes ? nodes : json_array();
}

int plan_nodes_read(struct store_reader *reader, const struct run_id *id,
                    json_t **ret_nodes)
{
    struct span plan = {0}, parameters = {0};
    struct store_bytes value;
    json_t *nodes = NULL;
    int r = store_read_begin(reader);

    if (r < 0)
        return r;
    r = store_read(reader, STORE_PLAN, id->b, sizeof id->b, &value);
    if (r == 0)
        r = plan_decode(value.ptr, value.len, &plan, &parameters);
    if (r == 0)
        nodes = plan_nodes(plan.ptr, plan.len);
    store_read_end(reader);
    if (r == 0 && !nodes)
        r = -ENOMEM;
    if (r == 0)
        *ret_nodes = nodes;
    return r;
}

const char *plan_node_id(const json_t *nodes, size_t index)
{
    return json_string_value(
        json_object_get(json_array_get(nodes, index), "id"));
}

bool call_node(struct call *call, const json_t *nodes, uint32_t *ret)
{
    const char *wanted = call_query(call, "node");

    *ret = API_NO_NODE;
    if (!wanted)
        return true;
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const char *id = plan_node_id(nodes, i);

        if (id && strcmp(id, wanted) == 0) {
            *ret = (uint32_t)i;
            return true;
        }
    }
    answer_problem(call, PROBLEM_BAD_REQUEST,
                   "?node= names no node of this run.");
    return false;
}

void answer_run_error(struct call *call, int error)
{
    if (error == -ENOENT)
        answer_problem(call, PROBLEM_NO_SUCH_RUN,
                       "There is no run %.40s. GET /api/v1/runs lists them.",
                       call->args[0]);
    else
        answer_store_error(call, error);
}

/* ---- the whole of a run ------------------------------------------------- */

/* A command or a call has no rows; what is not known is null as well. */
static void set_counts(json_t *o, const json_t *planned,
                       const struct node_record *node)
{
    const char *name = json_string_value(json_object_get(planned, "kind"));
    const struct node_kind *kind = name ? node_kind_find(name) : NULL;
    bool rows = !kind || kind->class != NODE_TASK;

    json_set(o, "rows_in", rows ? json_known(node->rows_in) : json_null());
    json_set(o, "rows_out", rows ? json_known(node->rows_out) : json_null());
    json_set(o, "rows_rejected",
             rows ? json_known(node->rows_rejected) : json_null());
    json_set(o, "bytes_out", json_known(node->bytes_out));
}

/* The state in the run's present attempt: what an earlier one did with a node
 * is not what happened to it now. */
static json_t *node_json(const json_t *planned, size_t index,
                         const struct node_record *node)
{
    json_t *o = json_object();

    json_set(o, "index", json_count(index));
    json_set(o, "id", json_incref(json_object_get(planned, "id")));
    json_set(o, "label", json_incref(json_object_get(planned, "label")));
    json_set(o, "kind", json_incref(json_object_get(planned, "kind")));
    json_set(o, "after", json_incref(json_object_get(planned, "after")));
    json_set(
        o, "state",
        json_text(run_node_state_name(node ? node->state : RUN_NODE_WAITING)));
    if (!node)
        return o;
    json_set(o, "started_at", json_time(node->started_unix_ms));
    json_set(o, "ended_at", json_time(node->ended_unix_ms));
    json_set(o, "duration_s",
             json_span(node->started_unix_ms, node->ended_unix_ms));
    json_set(o, "exit_code",
             node->exit_code < 0 ? json_null() : json_integer(node->exit_code));
    json_set(o, "elapsed_s",
             json_span(node->started_unix_ms, node->state == RUN_NODE_RUNNING
                                                  ? api_now_unix_ms()
                                                  : node->ended_unix_ms));
    set_counts(o, planned, node);
    json_set(o, "error", json_text(node->error));
    return o;
}

static json_t *nodes_json(const struct story *story)
{
    json_t *planned = plan_nodes(story->plan, story->plan_bytes);
    json_t *list = json_array();
    size_t next = 0;

    for (size_t i = 0; i < json_array_size(planned); i++) {
        const struct node_record *node = NULL;

        while (next < story->node_count && story->nodes[next]->node < i)
            next++;
        if (next < story->node_count && story->nodes[next]->node == i &&
            story->nodes[next]->attempt == story->run->attempt)
            node = story->nodes[next];
        json_array_append_new(list,
                              node_json(json_array_get(planned, i), i, node));
    }
    json_decref(planned);
    return list;
}

static void set_request(json_t *o, const struct origin *origin)
{
    json_t *requires = json_array();

    for (size_t i = 0; i < origin->requires_count; i++)
        json_array_append_new(requires, json_text(origin->requires[i]));
    json_set(o, "shape", json_text(workflow_shape_name(origin->shape)));
    json_set(o, "edges_inferred", json_boolean(origin->edges_inferred));
    json_set(o, "features", json_features(&origin->features));
    json_set(o, "requires", requires);
    json_set(o, "start_at", json_time(origin->start_at_unix_ms));
    json_set(o, "timeout_s",
             origin->timeout_ms ? json_seconds(origin->timeout_ms)
                                : json_null());
    json_set(o, "retries", json_integer(origin->retry.retries));
    json_set(o, "on_lost", json_text(on_lost_name(origin->retry.on_lost)));
    json_set(o, "repeatable", json_boolean(origin->retry.repeatable));
    json_set(o, "decision", json_decision(origin, &origin->decision));
}

static json_t *cancel_json(const struct run_record *run)
{
    json_t *o;

    if (!run->cancel_who)
        return json_null();
    o = json_object();
    json_set(o, "who", json_text(run->cancel_who));
    json_set(o, "reason", json_text(run->cancel_reason));
    return o;
}

json_t *run_json_of(const struct story *story)
{
    json_t *o = json_run(&story->id, story->run, story->origin);
    json_t *attempts = json_array();

    for (size_t i = 0; i < story->attempt_count; i++)
        json_array_append_new(attempts,
                              json_attempt(story->attempts[i], story->origin));
    json_set_reason(o, story->run->state == RUN_SCHEDULED
                           ? story->run->scheduled_for
                           : WAIT_NONE);
    set_request(o, story->origin);
    json_set(o, "failures", json_integer(story->run->failures));
    json_set(o, "losses", json_integer(story->run->losses));
    json_set(o, "cancel", cancel_json(story->run));
    json_set(o, "attempts", attempts);
    json_set(o, "nodes", nodes_json(story));
    return o;
}

int run_json_whole(struct store_reader *reader, const struct run_id *id,
                   json_t **ret_json)
{
    struct story *story;
    int r = history_story(reader, id, &story);

    if (r < 0)
        return r;
    *ret_json = run_json_of(story);
    history_story_free(&story);
    return *ret_json ? 0 : -ENOMEM;
}

void run_json_explained(json_t *run, const struct explanation *now)
{
    json_set_explained(run, now);
    json_set(run, "ahead", json_integer(now->ahead));
    json_set(run, "ahead_more", json_boolean(now->ahead_more));
    json_set(run, "waited_s", json_seconds(now->waited_ms));
    json_set(run, "begins_at", json_time(now->begins_unix_ms));
}

/* ---- GET runs/{run} ----------------------------------------------------- */

static void run_explained(struct call *call, struct exchange *exchange)
{
    json_t *run;
    int r = run_json_whole(call->api->reader, &exchange->run, &run);

    if (r < 0) {
        answer_run_error(call, r);
        return;
    }
    if (exchange->status == 0 && exchange->explanation)
        run_json_explained(run, exchange->explanation);
    answer_json(call, 200, run); /* -ENOENT: it has ended meanwhile */
}

/* Only the core knows why a run waits. */
static void answer_run(struct call *call, const struct run_id *id,
                       enum run_state state)
{
    struct exchange *exchange;
    json_t *run;
    int r;

    if (state == RUN_QUEUED || state == RUN_SCHEDULED) {
        exchange = ask_new(call, ASK_EXPLAIN, NULL);
        if (exchange)
            exchange->run = *id;
        ask(call, exchange, run_explained);
        return;
    }
    r = run_json_whole(call->api->reader, id, &run);
    if (r < 0)
        answer_run_error(call, r);
    else
        answer_json(call, 200, run);
}

static bool look_run(struct call *call, bool last)
{
    struct run_id id = {0};
    enum run_state state = RUN_QUEUED;
    int r = run_id_parse(call->args[0], &id);

    if (r == 0)
        r = run_state_read(call->api->reader, &id, &state);
    if (r < 0) {
        answer_run_error(call, r);
        return true;
    }
    if (!last && !run_state_is_final(state))
        return false;
    answer_run(call, &id, state);
    return true;
}

void api_run(struct call *call)
{
    struct run_id id;
    uint64_t seconds;

    if (!call_run_id(call, &id) ||
        !call_query_number(call, "wait", call_prefers_wait(call),
                           API_WAIT_MAX_S, &seconds))
        return;
    if (!look_run(call, seconds == 0))
        ask_wait(call, &id, seconds * 1000, look_run);
}

/* ---- GET runs ----------------------------------------------------------- */

static bool read_state_filter(struct call *call, struct history_filter *filter)
{
    const char *state = call_query(call, "state");
    const char *live = call_query(call, "live");

    filter->live_only =
        live && (!*live || strcmp(live, "1") == 0 || strcmp(live, "true") == 0);
    if (!state)
        return true;
    filter->by_state = true;
    if (run_state_parse(state, &filter->state) == 0)
        return true;
    answer_problem(call, PROBLEM_BAD_REQUEST,
                   "?state= takes SCHEDULED, QUEUED, PENDING, RUNNING, "
                   "CANCELLING, COMPLETED, FAILED, TIMED_OUT, CANCELLED or "
                   "CRASHED.");
    return false;
}

static bool read_pool_filter(struct call *call, struct history_filter *filter)
{
    const struct ledger_config *config = &call->api->config->ledger;
    const char *name = call_query(call, "pool");
    int pool;

    if (!name)
        return true;
    pool = ledger_config_pool(config, name);
    filter->pool = pool >= 0 ? config->pools[pool].name : NULL;
    if (pool >= 0)
        return true;
    answer_problem(call, PROBLEM_BAD_REQUEST,
                   "?pool= names no pool. GET /api/v1/workers/pools lists "
                   "them.");
    return false;
}

/* The cursor is the id of the last run of the page before. */
static bool read_cursor(struct call *call, struct run_id *ret_id,
                        const struct run_id **ret_before)
{
    const char *cursor = call_query(call, "cursor");

    *ret_before = NULL;
    if (!cursor)
        return true;
    if (run_id_parse(cursor, ret_id) < 0) {
        answer_problem(call, PROBLEM_BAD_REQUEST,
                       "?cursor= takes next_cursor of the page before.");
        return false;
    }
    *ret_before = ret_id;
    return true;
}

static bool is_queued(const json_t *run)
{
    const char *state = json_string_value(json_object_get(run, "state"));

    return state && strcmp(state, run_state_name(RUN_QUEUED)) == 0;
}

static json_t *listed_json(const struct history_item *item)
{
    json_t *o = json_run(&item->id, item->run, item->origin);

    json_set_reason(o, item->run->state == RUN_SCHEDULED
                           ? item->run->scheduled_for
                           : WAIT_NONE);
    return o;
}

static void free_list(void *state)
{
    json_decref(state);
}

/* Those that were asked about, in the order of the list. */
static void reasons_told(struct call *call, struct exchange *exchange)
{
    const json_t *items = json_object_get(call->state, "items");
    size_t next = 0;

    for (size_t i = 0; i < json_array_size(items); i++) {
        json_t *run = json_array_get(items, i);

        if (next < exchange->reason_count && is_queued(run))
            json_set_reason(run, exchange->reasons[next++].reason);
    }
    answer_json(call, 200, json_incref(call->state));
}

/* Why they wait only the core knows; it is asked when any does. */
static void answer_listed(struct call *call, json_t *o,
                          const struct history_item *items, size_t count)
{
    struct exchange *exchange;
    size_t queued = 0;

    for (size_t i = 0; i < count; i++)
        queued += items[i].run->state == RUN_QUEUED;
    if (queued == 0) {
        answer_json(call, 200, o);
        return;
    }
    call->state = o;
    call->state_free = free_list;
    exchange = ask_new(call, ASK_REASONS, NULL);
    if (exchange)
        exchange->reasons = calloc(queued, sizeof *exchange->reasons);
    if (exchange && !exchange->reasons)
        exchange_free(&exchange);
    for (size_t i = 0; exchange && i < count; i++) {
        if (items[i].run->state == RUN_QUEUED)
            exchange->reasons[exchange->reason_count++].run = items[i].id;
    }
    ask(call, exchange, reasons_told);
}

void api_runs(struct call *call)
{
    struct history_filter filter = {.workflow = call_query(call, "workflow")};
    struct history_item *items;
    struct run_id from, next;
    const struct run_id *before;
    uint64_t limit;
    size_t count;
    bool more;
    json_t *o, *list;
    int r;

    if (!read_state_filter(call, &filter) || !read_pool_filter(call, &filter) ||
        !read_cursor(call, &from, &before) ||
        !call_query_number(call, "limit", LIST_PRESET, HISTORY_PAGE_MAX,
                           &limit))
        return;
    r = history_list(call->api->reader, &filter, before, limit ? limit : 1,
                     &items, &count, &more, &next);
    if (r < 0) {
        answer_store_error(call, r);
        return;
    }
    o = json_object();
    list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, listed_json(&items[i]));
    json_set(o, "items", list);
    json_set(o, "next_cursor", more ? json_run_id(&next) : json_null());
    answer_listed(call, o, items, count);
    history_list_free(&items, count);
}

/* ---- cancel ------------------------------------------------------------- */

static void answer_cancel(struct call *call, unsigned status,
                          const struct run_id *run, enum run_state state,
                          const char *message)
{
    json_t *o = json_object();

    json_set(o, "run_id", json_run_id(run));
    json_set(o, "state", json_text(run_state_name(state)));
    json_set(o, "message", json_text(message));
    answer_json(call, status, o);
}

/* The core knows only live runs: was it ever there, and how did it end? */
static void cancelled_too_late(struct call *call, const struct run_id *run)
{
    enum run_state state;
    int r = run_state_read(call->api->reader, run, &state);

    if (r < 0)
        answer_run_error(call, r);
    else if (state == RUN_CANCELLED)
        answer_cancel(call, 200, run, state, "It was cancelled before.");
    else
        answer_problem(call, PROBLEM_RUN_ENDED,
                       "The run is %s; there is nothing left to cancel.",
                       run_state_name(state));
}

static void cancelled(struct call *call, struct exchange *exchange)
{
    const struct run_id *run = &exchange->run;

    if (exchange->status < 0 && exchange->status != -ENOENT) {
        answer_problem(call, PROBLEM_INTERNAL,
                       "The core could not cancel the run: %s.",
                       strerror(-exchange->status));
        return;
    }
    switch (exchange->cancelled) {
    case CANCEL_DONE:
        answer_cancel(call, 200, run, RUN_CANCELLED,
                      "It was waiting and is cancelled.");
        break;
    case CANCEL_STARTED:
        answer_cancel(call, 202, run, RUN_CANCELLING,
                      "Its agent is being told; it keeps its slot until the "
                      "exit is confirmed.");
        break;
    case CANCEL_ALREADY:
        answer_cancel(call, 202, run, RUN_CANCELLING,
                      "It is being cancelled already.");
        break;
    case CANCEL_ENDED:
    case CANCEL_UNKNOWN:
        cancelled_too_late(call, run);
        break;
    }
}

struct cancel_body {
    const char *reason;
};

static void read_reason(void *target, const json_t *value, const char *pointer,
                        struct problems *problems)
{
    struct cancel_body *body = target;

    body->reason = field_text(value, pointer, problems, LEDGER_TEXT_MAX - 1);
}

static const struct field cancel_fields[] = {{"reason", read_reason}};

void api_run_cancel(struct call *call)
{
    struct cancel_body body = {0};
    struct problems problems = {0};
    struct exchange *exchange;
    struct run_id id;

    if (!call_run_id(call, &id))
        return;
    if (call->body)
        fields_read(cancel_fields, 1, &body, call->body, "", &problems);
    if (answered_invalid(call, &problems))
        return;
    exchange = ask_new(call, ASK_CANCEL, body.reason);
    if (exchange)
        exchange->run = id;
    ask(call, exchange, cancelled);
}
