/* GET pools, pools/{pool}, pools/{pool}/status; POST its verbs; PATCH. */
#include "dispatcher/api_submit.h"
#include "dispatcher/front_ask.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- reading ------------------------------------------------------------ */

static const struct board_pool *find_pool(const struct board *board,
                                          const char *name)
{
    for (size_t i = 0; i < board->pool_count; i++) {
        if (strcmp(board->pools[i].config.name, name) == 0)
            return &board->pools[i];
    }
    return NULL;
}

static void pools_shown(struct call *call, const struct board *board)
{
    json_t *o = json_object(), *list = json_array();

    for (size_t i = 0; i < board->pool_count; i++)
        json_array_append_new(list,
                              json_pool(&board->pools[i], board->now_unix_ms));
    json_set(o, "items", list);
    json_set(o, "next_cursor", json_null());
    answer_json(call, 200, o);
}

void api_pools(struct call *call)
{
    ask_board(call, ASK_WITHIN_MS, PROBLEM_CORE_SILENT, pools_shown);
}

/* The board's own pool of the path; NULL: answered. */
static const struct board_pool *pool_on(struct call *call,
                                        const struct board *board)
{
    const char *name = call_pool(call);
    const struct board_pool *pool = name ? find_pool(board, name) : NULL;

    if (name && !pool)
        answer_problem(call, PROBLEM_INTERNAL,
                       "The core does not know pool %s.", name);
    return pool;
}

static void pool_shown(struct call *call, const struct board *board)
{
    const struct board_pool *pool = pool_on(call, board);

    if (pool)
        answer_json(call, 200, json_pool(pool, board->now_unix_ms));
}

void api_pool(struct call *call)
{
    if (call_pool(call))
        ask_board(call, ASK_WITHIN_MS, PROBLEM_CORE_SILENT, pool_shown);
}

/* ---- status ------------------------------------------------------------- */

static json_t *metrics_json(const struct pool_history *history,
                            uint32_t running)
{
    uint64_t ended = history->successful + history->failed;
    json_t *o = json_object();

    json_set(o, "avg_duration_seconds",
             ended ? json_real(history->avg_duration_s) : json_null());
    json_set(o, "success_rate",
             ended ? json_real((double)history->successful / (double)ended)
                   : json_null());
    json_set(o, "total_runs", json_count(history->total));
    json_set(o, "successful_runs", json_count(history->successful));
    json_set(o, "failed_runs", json_count(history->failed));
    json_set(o, "running_runs", json_integer(running));
    return o;
}

static void status_shown(struct call *call, const struct board *board)
{
    const struct board_pool *pool = pool_on(call, board);
    struct pool_history history;
    json_t *o, *holders, *recent;
    int r;

    if (!pool)
        return;
    r = history_pool(call->api->reader, pool->config.name, &history);
    if (r < 0) {
        answer_store_error(call, r);
        return;
    }
    o = json_pool(pool, board->now_unix_ms);
    holders = json_array();
    recent = json_array();
    for (uint32_t i = 0; i < pool->used; i++)
        json_array_append_new(
            holders, json_holder(&pool->holders[i], board->now_unix_ms));
    for (size_t i = 0; i < history.recent_count; i++)
        json_array_append_new(recent, json_run(&history.recent[i].id,
                                               history.recent[i].run,
                                               history.recent[i].origin));
    json_set(o, "holders", holders);
    json_set(o, "recent_runs", recent);
    json_set(o, "performance_metrics", metrics_json(&history, pool->used));
    json_set(o, "timestamp", json_time(board->now_unix_ms));
    history_pool_clear(&history);
    answer_json(call, 200, o);
}

void api_pool_status(struct call *call)
{
    if (call_pool(call))
        ask_board(call, ASK_WITHIN_MS, PROBLEM_CORE_SILENT, status_shown);
}

/* ---- changing ----------------------------------------------------------- */

static void pool_changed(struct call *call, struct exchange *exchange)
{
    if (exchange->status == -ENOENT)
        answer_problem(call, PROBLEM_NO_SUCH_POOL,
                       "There is no such pool, or one of those in fallback "
                       "does not exist.");
    else if (exchange->status == -EINVAL)
        answer_problem(call, PROBLEM_INVALID,
                       "A pool cannot fall back to itself or twice to the same "
                       "pool.");
    else if (exchange->status < 0 || !exchange->board)
        answer_problem(call, PROBLEM_INTERNAL,
                       "The core could not change the pool: %s.",
                       strerror(-exchange->status));
    else
        pool_shown(call, exchange->board);
}

struct verb_body {
    const char *reason;
    uint64_t for_ms;
};

static void read_reason(void *target, const json_t *value, const char *pointer,
                        struct problems *problems)
{
    struct verb_body *body = target;

    body->reason = field_text(value, pointer, problems, LEDGER_TEXT_MAX - 1);
}

static void read_for(void *target, const json_t *value, const char *pointer,
                     struct problems *problems)
{
    struct verb_body *body = target;

    (void)field_duration(value, pointer, problems, &body->for_ms);
}

static const struct field verb_fields[] = {{"reason", read_reason},
                                           {"for", read_for}};

static void pool_verb(struct call *call, enum pool_verb verb)
{
    const char *pool = call_pool(call);
    struct verb_body body = {0};
    struct problems problems = {0};
    struct exchange *exchange;

    if (!pool)
        return;
    if (call->body)
        fields_read(verb_fields, sizeof verb_fields / sizeof *verb_fields,
                    &body, call->body, "", &problems);
    if (answered_invalid(call, &problems))
        return;
    exchange = ask_new(call, ASK_POOL_VERB, body.reason);
    if (exchange) {
        snprintf(exchange->name, sizeof exchange->name, "%s", pool);
        exchange->verb = verb;
        exchange->for_ms = body.for_ms;
    }
    ask(call, exchange, pool_changed);
}

void api_pool_pause(struct call *call)
{
    pool_verb(call, VERB_PAUSE);
}

void api_pool_resume(struct call *call)
{
    pool_verb(call, VERB_RESUME);
}

void api_pool_drain(struct call *call)
{
    pool_verb(call, VERB_DRAIN);
}

void api_pool_close(struct call *call)
{
    pool_verb(call, VERB_CLOSE);
}

/* ---- PATCH -------------------------------------------------------------- */

struct patch {
    const struct ledger_config *config;
    struct pool_change change;
    const char *reason;
    struct pool_hop *hop; /* while one is read */
};

static void read_limit(void *target, const json_t *value, const char *pointer,
                       struct problems *problems)
{
    struct patch *patch = target;
    uint64_t limit;

    if (!field_count(value, pointer, problems, 100000, &limit))
        return;
    patch->change.set_limit = true;
    patch->change.limit = (uint32_t)limit;
}

static void read_waiting_max(void *target, const json_t *value,
                             const char *pointer, struct problems *problems)
{
    struct patch *patch = target;
    uint64_t most;

    if (!field_count(value, pointer, problems, UINT32_MAX, &most))
        return;
    patch->change.set_waiting_max = true;
    patch->change.waiting_max = (uint32_t)most;
}

static void read_max_size(void *target, const json_t *value,
                          const char *pointer, struct problems *problems)
{
    struct patch *patch = target;
    const char *text = json_string_value(value);

    patch->change.set_max_size = true;
    patch->change.max_size = -1;
    if (!text || strcmp(text, "none") != 0)
        (void)field_size(value, pointer, problems, &patch->change.max_size);
}

static void read_reset(void *target, const json_t *value, const char *pointer,
                       struct problems *problems)
{
    struct patch *patch = target;

    if (json_is_boolean(value))
        patch->change.reset = json_is_true(value);
    else
        problems_add(problems, pointer, "type", "reset is true or false.");
}

static void read_patch_reason(void *target, const json_t *value,
                              const char *pointer, struct problems *problems)
{
    struct patch *patch = target;

    patch->reason = field_text(value, pointer, problems, LEDGER_TEXT_MAX - 1);
}

static void read_hop_pool(void *target, const json_t *value,
                          const char *pointer, struct problems *problems)
{
    struct patch *patch = target;
    int pool = field_pool(patch->config, value, pointer, problems);

    if (pool >= 0)
        snprintf(patch->hop->pool, sizeof patch->hop->pool, "%s",
                 patch->config->pools[pool].name);
}

static void read_hop_after(void *target, const json_t *value,
                           const char *pointer, struct problems *problems)
{
    struct patch *patch = target;
    uint64_t ms;

    if (!field_duration(value, pointer, problems, &ms))
        return;
    if (ms > UINT32_MAX)
        problems_add(problems, pointer, "duration", "At most 49 days.");
    else
        patch->hop->after_ms = (uint32_t)ms;
}

static void read_hop_size(void *target, const json_t *value,
                          const char *pointer, struct problems *problems)
{
    struct patch *patch = target;

    (void)field_size(value, pointer, problems, &patch->hop->size_below);
}

static void read_hop_free(void *target, const json_t *value,
                          const char *pointer, struct problems *problems)
{
    struct patch *patch = target;
    uint64_t count;

    if (field_count(value, pointer, problems, UINT32_MAX, &count))
        patch->hop->free_at_least = (uint32_t)count;
}

static const struct field hop_fields[] = {{"pool", read_hop_pool},
                                          {"after", read_hop_after},
                                          {"size_below", read_hop_size},
                                          {"free_at_least", read_hop_free}};

static void read_fallback(void *target, const json_t *value,
                          const char *pointer, struct problems *problems)
{
    struct patch *patch = target;
    struct pool_change *change = &patch->change;
    size_t most = sizeof change->fallback / sizeof *change->fallback;
    char at[POINTER_MAX];

    change->set_fallback = true;
    if (!json_is_array(value) || json_array_size(value) > most) {
        problems_add(problems, pointer, "type",
                     "fallback is an array of at most %zu objects: {\"pool\", "
                     "\"after\", \"size_below\", \"free_at_least\"}.",
                     most);
        return;
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        json_t *element = json_array_get(value, i);

        patch->hop = &change->fallback[i];
        patch->hop->size_below = -1;
        snprintf(at, sizeof at, "%.100s/%zu", pointer, i);
        fields_read(hop_fields, sizeof hop_fields / sizeof *hop_fields, patch,
                    element, at, problems);
        if (json_is_object(element) && !json_object_get(element, "pool"))
            problems_add(problems, at, "missing_field",
                         "The field \"pool\" is missing.");
    }
    change->fallback_count = json_array_size(value);
}

static const struct field patch_fields[] = {
    {"concurrency_limit", read_limit},
    {"max_size", read_max_size},
    {"waiting_max", read_waiting_max},
    {"fallback", read_fallback},
    {"reset", read_reset},
    {"reason", read_patch_reason},
};

static bool changes_something(const struct pool_change *change)
{
    return change->set_limit || change->set_max_size ||
           change->set_waiting_max || change->set_fallback || change->reset;
}

void api_pool_set(struct call *call)
{
    const char *pool = call_pool(call);
    struct patch patch = {.config = &call->api->config->ledger};
    struct problems problems = {0};
    struct exchange *exchange;

    if (!pool)
        return;
    fields_read(patch_fields, sizeof patch_fields / sizeof *patch_fields,
                &patch, call->body, "", &problems);
    if (json_is_null(json_object_get(call->body, "max_size"))) {
        patch.change.set_max_size = true; /* as GET shows a pool without one */
        patch.change.max_size = -1;
    }
    if (!problems_any(&problems) && !changes_something(&patch.change))
        problems_add(&problems, "", "empty",
                     "Nothing is to be changed: send concurrency_limit, "
                     "max_size, waiting_max, fallback or reset.");
    if (answered_invalid(call, &problems))
        return;
    exchange = ask_new(call, ASK_POOL_SET, patch.reason);
    if (exchange) {
        snprintf(exchange->name, sizeof exchange->name, "%s", pool);
        exchange->change = patch.change;
    }
    ask(call, exchange, pool_changed);
}
