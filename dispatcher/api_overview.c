/* GET overview, distribution. */
#include "dispatcher/front_ask.h"

#include <stdio.h>
#include <string.h>

enum { SHARE_PRESET = 200, UP_PERCENT = 80, WATCH_PERCENT = 50 };

static double percent_used(const struct board_pool *pool)
{
    return pool->config.limit ? 100.0 * pool->used / pool->config.limit
           : pool->used       ? 100.0
                              : 0.0;
}

/* ---- recommendations ---------------------------------------------------- */

/* What the figures of this moment allow to say, and no more. */
struct advice {
    const char *type, *priority;
    char message[700];
};

#define SAY(advice, ...)                                                       \
    snprintf((advice)->message, sizeof(advice)->message, __VA_ARGS__)

/* "3 runs wait", "1 run waits" */
static const char *runs_wait(const struct board_pool *pool)
{
    return pool->waiting == 1 ? " waits" : "s wait";
}

static bool advise_stopped(const struct board_pool *pool, struct advice *ret)
{
    if (pool->state == POOL_OPEN || pool->waiting == 0)
        return false;
    ret->type = "monitor";
    ret->priority = "high";
    SAY(ret,
        "%u run%s while the pool is %s%s%s%s%s%s; resume it when the "
        "cause is gone.",
        pool->waiting, runs_wait(pool), pool_state_name(pool->state),
        *pool->who ? " by " : "", pool->who, *pool->reason ? " (" : "",
        pool->reason, *pool->reason ? ")" : "");
    return true;
}

static bool advise_agents(const struct board_pool *pool, struct advice *ret)
{
    if (pool->waiting == 0 || pool->agents_healthy > 0)
        return false;
    ret->type = "scale_up";
    ret->priority = "high";
    SAY(ret, "%u run%s and %s; start an agent with --pools %s.", pool->waiting,
        runs_wait(pool),
        pool->agents ? "every agent of the pool is lost, paused or draining"
                     : "no agent serves the pool",
        pool->config.name);
    return true;
}

static bool advise_up(const struct board_pool *pool, struct advice *ret)
{
    if (pool->waiting == 0)
        return false;
    if (percent_used(pool) > UP_PERCENT) {
        ret->type = "scale_up";
        ret->priority = "high";
        SAY(ret,
            "%u of %u slots are in use and %u run%s; raise "
            "concurrency_limit if the machines can bear it.",
            pool->used, pool->config.limit, pool->waiting, runs_wait(pool));
        return true;
    }
    if (pool->slots_free == 0) {
        ret->type = "scale_up";
        ret->priority = "medium";
        SAY(ret,
            "The limit allows %u more runs, but the agents have no free "
            "slot and %u run%s; add an agent or give one more slots.",
            pool->config.limit - pool->used, pool->waiting, runs_wait(pool));
        return true;
    }
    return false;
}

static bool advise_watch(const struct board_pool *pool, struct advice *ret)
{
    if (percent_used(pool) <= WATCH_PERCENT)
        return false;
    ret->type = "monitor";
    ret->priority = percent_used(pool) > UP_PERCENT ? "medium" : "low";
    SAY(ret, "%u of %u slots are in use; %u run%s.", pool->used,
        pool->config.limit, pool->waiting, runs_wait(pool));
    return true;
}

static bool advise_down(const struct board_pool *pool, struct advice *ret)
{
    if (pool->used > 0 || pool->waiting > 0 || pool->slots == 0 ||
        pool->state != POOL_OPEN)
        return false;
    ret->type = "scale_down";
    ret->priority = "low";
    SAY(ret,
        "Nothing runs or waits at this moment; if that stays so, its "
        "agents' %u slots could serve another pool.",
        pool->slots);
    return true;
}

/* The first that applies. */
static bool (*const advisers[])(const struct board_pool *, struct advice *) = {
    advise_stopped, advise_agents, advise_up, advise_watch, advise_down,
};

static json_t *recommendations(const struct board *board)
{
    json_t *list = json_array();

    for (size_t p = 0; p < board->pool_count; p++) {
        const struct board_pool *pool = &board->pools[p];
        struct advice advice = {0};
        size_t i = 0;
        json_t *o;

        while (i < sizeof advisers / sizeof *advisers &&
               !advisers[i](pool, &advice))
            i++;
        if (!advice.type)
            continue;
        o = json_object();
        json_set(o, "type", json_text(advice.type));
        json_set(o, "pool", json_text(pool->config.name));
        json_set(o, "current_utilization", json_real(percent_used(pool)));
        json_set(o, "message", json_text(advice.message));
        json_set(o, "priority", json_text(advice.priority));
        json_array_append_new(list, o);
    }
    return list;
}

/* ---- overview ----------------------------------------------------------- */

static json_t *summary(const struct board *board)
{
    json_t *o = json_object();
    uint64_t capacity = 0, used = 0, waiting = 0, slots = 0;
    size_t active = 0;

    for (size_t i = 0; i < board->pool_count; i++) {
        capacity += board->pools[i].config.limit;
        used += board->pools[i].used;
        waiting += board->pools[i].waiting;
    }
    for (size_t i = 0; i < board->agent_count; i++) {
        active += board->agents[i].health != AGENT_LOST;
        slots += board->agents[i].slots;
    }
    json_set(o, "total_pools", json_count(board->pool_count));
    json_set(o, "total_workers", json_count(board->agent_count));
    json_set(o, "active_workers", json_count(active));
    json_set(o, "total_capacity", json_count(capacity));
    json_set(o, "total_slots", json_count(slots));
    json_set(o, "active_runs", json_count(used));
    json_set(o, "waiting_runs", json_count(waiting));
    json_set(o, "scheduled_runs", json_integer(board->scheduled));
    return o;
}

static json_t *broker_json(const struct board *board)
{
    json_t *o = json_object();

    json_set(o, "version", json_text(DISPATCH_VERSION));
    json_set(o, "draining", json_boolean(board->draining));
    json_set(o, "turn", json_count(board->turn));
    json_set(o, "store_used_percent",
             json_real((double)board->store_permille / 10));
    json_set(o, "late_messages", json_count(board->late_messages));
    json_set(o, "refused_messages", json_count(board->refused_messages));
    json_set(o, "malformed_frames", json_count(board->bad_frames));
    return o;
}

static void overview_shown(struct call *call, const struct board *board)
{
    json_t *o = json_object(), *pools = json_array(), *agents = json_array();
    json_t *capacities = json_object();

    for (size_t i = 0; i < board->pool_count; i++) {
        const struct board_pool *pool = &board->pools[i];
        json_t *capacity = json_object();

        json_array_append_new(pools, json_pool(pool, board->now_unix_ms));
        json_set_capacity(capacity, pool->config.limit, pool->used);
        json_set(capacities, pool->config.name, capacity);
    }
    for (size_t i = 0; i < board->agent_count; i++)
        json_array_append_new(
            agents, json_agent(&board->agents[i], board->now_unix_ms));
    json_set(o, "timestamp", json_time(board->now_unix_ms));
    json_set(o, "broker", broker_json(board));
    json_set(o, "worker_summary", summary(board));
    json_set(o, "work_pools", pools);
    json_set(o, "workers", agents);
    json_set(o, "pool_capacities", capacities);
    json_set(o, "recommendations", recommendations(board));
    answer_json(call, 200, o);
}

void api_overview(struct call *call)
{
    ask_board(call, ASK_WITHIN_MS, PROBLEM_CORE_SILENT, overview_shown);
}

/* ---- distribution ------------------------------------------------------- */

static void add_one(json_t *counts, const char *key)
{
    json_int_t have = json_integer_value(json_object_get(counts, key));

    json_set(counts, key, json_integer(have + 1));
}

/* The object at key, made when it is not there; borrowed. */
static json_t *inside(json_t *o, const char *key)
{
    json_t *found = json_object_get(o, key);

    if (!found) {
        json_set(o, key, json_object());
        found = json_object_get(o, key);
    }
    return found;
}

static void add_run(json_t *pools, const struct history_item *item)
{
    const char *wanted = item->origin->wanted_pool;
    const char *pool = item->run->pool ? item->run->pool : wanted;
    json_t *o = inside(pools, pool);

    add_one(o, "runs");
    add_one(inside(o, "by_rule"), item->origin->rule);
    add_one(inside(o, "by_state"), run_state_name(item->run->state));
    if (strcmp(pool, wanted) != 0)
        add_one(inside(o, "fell_back_from"), wanted);
}

void api_distribution(struct call *call)
{
    struct history_filter all = {0};
    struct history_item *items;
    struct run_id next;
    uint64_t limit;
    size_t count;
    json_t *o, *pools;
    bool more;
    int r;

    if (!call_query_number(call, "limit", SHARE_PRESET, HISTORY_PAGE_MAX,
                           &limit))
        return;
    r = history_list(call->api->reader, &all, NULL, limit ? limit : 1, &items,
                     &count, &more, &next);
    if (r < 0) {
        answer_store_error(call, r);
        return;
    }
    o = json_object();
    pools = json_object();
    for (size_t i = 0; i < count; i++)
        add_run(pools, &items[i]);
    json_set(o, "runs", json_count(count));
    json_set(o, "from",
             count ? json_time(items[count - 1].origin->submitted_unix_ms)
                   : json_null());
    json_set(o, "to",
             count ? json_time(items[0].origin->submitted_unix_ms)
                   : json_null());
    json_set(o, "pools", pools);
    history_list_free(&items, count);
    answer_json(call, 200, o);
}
