/*
 * idle.c - no slot stays idle while a run that may use it waits. After every
 * turn each waiting run is held, by brute force, against every pool it may go
 * to, with policy's own check over the model's own loads. See sim.h
 *
 * An agent that was silent for half a lease is left out here: whether it still
 * counts is the ledger's judgement. And once the wall clock was set back, a
 * guard `after` may open late: how long a run has waited is then no longer
 * known, and runs in one line may disagree about it.
 */
#include "tests/sim/sim.h"

#include <string.h>

enum { NEEDS = 1 << SIM_CAPS };

enum { REST_MS = 1000 }; /* an agent that gave a run back is left alone */

struct views {
    struct pool_view view[SIM_POOLS][NEEDS];
    bool made[SIM_POOLS][NEEDS];
};

static bool usable(const struct world *w, size_t agent)
{
    const struct model_agent *a = &w->model.agents[agent];

    return a->session != 0 && !a->draining && a->state == POOL_OPEN &&
           w->now_ms - a->heard_ms <= w->config.lease_ms / 2 &&
           (a->gave_back_ms == 0 || w->now_ms - a->gave_back_ms >= REST_MS);
}

static const struct pool_view *view_of(const struct world *w, size_t pool,
                                       unsigned needs, struct views *views)
{
    const struct model *m = &w->model;
    struct pool_view *view = &views->view[pool][needs];

    if (views->made[pool][needs])
        return view;
    views->made[pool][needs] = true;
    *view = (struct pool_view){
        .name = m->pools[pool].config.name,
        .state = m->pools[pool].state,
        .limit = m->pools[pool].config.limit,
        .used = m->live_in_pool[pool],
        .max_size = m->pools[pool].config.max_size,
    };
    for (size_t i = 0; i < w->agent_count; i++) {
        const struct fake *a = &w->agents[i];
        if ((a->pools >> pool & 1) == 0 || !usable(w, i))
            continue;
        view->agents++;
        view->agents_healthy++;
        if ((needs & ~a->caps) != 0)
            continue;
        view->agents_capable++;
        if (m->live_on_agent[i] < m->agents[i].slots)
            view->slots_free += m->agents[i].slots - m->live_on_agent[i];
    }
    return view;
}

static bool any_room(const struct world *w)
{
    const struct model *m = &w->model;
    unsigned pools = 0;

    for (size_t p = 0; p < w->config.pool_count; p++) {
        enum pool_state state = m->pools[p].state;
        if ((state == POOL_OPEN || state == POOL_CLOSED) &&
            m->live_in_pool[p] < m->pools[p].config.limit)
            pools |= 1U << p;
    }
    if (pools == 0)
        return false;
    for (size_t i = 0; i < w->agent_count; i++)
        if ((w->agents[i].pools & pools) != 0 && usable(w, i) &&
            m->live_on_agent[i] < m->agents[i].slots)
            return true;
    return false;
}

static void request_of(const struct world *w, const struct truth_run *run,
                       struct route_request *ret)
{
    const struct pool_config *config = &w->model.pools[run->wanted].config;
    int64_t waited = unix_now(w) - run->queued_unix_ms;

    *ret = (struct route_request){
        .hops = {{.pool = (uint16_t)run->wanted, .size_below = -1}},
        .hop_count = 1,
        .size_bytes = run->size_bytes,
        .waited_ms = waited > 0 ? (uint64_t)waited : 0,
        .fallback_forbidden = run->fallback_forbidden,
    };
    for (size_t i = 0; i < config->fallback_count; i++) {
        const struct pool_hop *hop = &config->fallback[i];
        int pool = ledger_config_pool(&w->config, hop->pool);
        if (pool >= 0)
            ret->hops[ret->hop_count++] =
                (struct route_hop){.pool = (uint16_t)pool,
                                   .after_ms = hop->after_ms,
                                   .size_below = hop->size_below,
                                   .free_at_least = hop->free_at_least};
    }
}

/* Those that wait for the same pool: who may hide the run that could start? */
static void trace_line(const struct world *w, const struct truth_run *run)
{
    const struct model *m = &w->model;

    for (size_t i = 0; i < m->active_count && w->trace; i++) {
        const struct truth_run *other = &m->runs[m->active[i]];
        if (other->state == RUN_QUEUED && other->wanted == run->wanted)
            trace(w, "in line: %s/%u needs %x size %lld%s, since %lld",
                  short_id(&other->id), other->attempt, other->needs,
                  (long long)other->size_bytes,
                  other->fallback_forbidden ? " stays" : "",
                  (long long)(unix_now(w) - other->queued_unix_ms));
    }
}

void idle_check(struct world *w)
{
    const struct model *m = &w->model;
    struct views views;
    struct route_request request;

    if (w->ledger == NULL || w->broker_draining || !any_room(w))
        return;
    w->idle_checks++;
    memset(views.made, 0, sizeof views.made);
    for (size_t i = 0; i < m->active_count; i++) {
        const struct truth_run *run = &m->runs[m->active[i]];
        if (run->state != RUN_QUEUED)
            continue;
        request_of(w, run, &request);
        for (size_t hop = 0; hop < request.hop_count; hop++) {
            size_t pool = request.hops[hop].pool;
            if (w->clock_went_back && request.hops[hop].after_ms > 0)
                continue;
            const struct pool_view *view = view_of(w, pool, run->needs, &views);
            if (route_check(&request, hop, view) != ROUTE_TAKE)
                continue;
            sim_fail(w,
                     "%s waits since %llu ms, wants %s and could start in %s "
                     "(after %u ms, size below %lld, %u free): %u of %u slots "
                     "used, %u free at capable agents",
                     short_id(&run->id), (unsigned long long)request.waited_ms,
                     m->pools[run->wanted].config.name,
                     m->pools[pool].config.name, request.hops[hop].after_ms,
                     (long long)request.hops[hop].size_below,
                     request.hops[hop].free_at_least, view->used, view->limit,
                     view->slots_free);
            trace_line(w, run);
            return;
        }
    }
}
