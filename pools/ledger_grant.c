/*
 * ledger_grant.c - capacity: what each pool and agent can take, and handing it
 * out. Whenever capacity or a line changed, settle() runs once at the end of
 * the turn: first every pool serves its own line, then what is still free is
 * offered to the lines that may fall back to it. Both steps take the run that
 * is first in order among those that can start.
 */
#include "pools/books.h"

#include <errno.h>
#include <string.h>

/* ---- agents ---------------------------------------------------------- */

bool agent_can(const struct agent *agent, const struct need *need)
{
    if (need->bit / 64 < agent->can_words)
        return (agent->can[need->bit / 64] >> (need->bit % 64) & 1) != 0;
    for (size_t i = 0; i < need->count; i++)
        if (!agent_announces(agent, need->names[i]))
            return false;
    return true;
}

/* RENEW comes every third of a lease: one missed is slow, two are lost. */
enum agent_health agent_health_of(const struct ledger *l,
                                  const struct agent *agent, uint64_t now_ms)
{
    uint64_t silent_ms = now_ms > agent->seen_ms ? now_ms - agent->seen_ms : 0;

    if (agent->session == 0 || silent_ms > l->config.lease_ms)
        return AGENT_LOST;
    return silent_ms > (uint64_t)l->config.lease_ms / 3 * 2 ? AGENT_SLOW
                                                            : AGENT_OK;
}

bool agent_is_healthy(const struct ledger *l, const struct agent *agent,
                      uint64_t now_ms)
{
    return !agent->draining && agent->stopped.state == POOL_OPEN &&
           agent_health_of(l, agent, now_ms) == AGENT_OK;
}

uint32_t agent_slots_free(const struct agent *agent)
{
    return agent->leases.count < agent->slots && !timer_is_set(&agent->rest)
               ? agent->slots - agent->leases.count
               : 0;
}

/* Fewest busy slots relative to its size first, then the larger one, then by
 * name (the order of the array). */
static struct agent *choose_agent(const struct ledger *l, size_t pool,
                                  const struct need *need)
{
    struct agent *best = NULL;

    for (size_t i = 0; i < l->agent_count; i++) {
        struct agent *a = l->agents[i];
        if ((a->pool_mask >> pool & 1) == 0 || agent_slots_free(a) == 0 ||
            !agent_is_healthy(l, a, l->now_ms) || !agent_can(a, need))
            continue;
        if (best == NULL) {
            best = a;
            continue;
        }
        uint64_t mine = (uint64_t)a->leases.count * best->slots;
        uint64_t other = (uint64_t)best->leases.count * a->slots;
        if (mine < other || (mine == other && a->slots > best->slots))
            best = a;
    }
    return best;
}

void pool_view_of(const struct ledger *l, size_t pool, const struct need *need,
                  uint64_t now_ms, struct pool_view *ret)
{
    const struct pool *p = &l->pools[pool];

    *ret = (struct pool_view){
        .name = p->config.name,
        .state = p->stopped.state,
        .limit = p->config.limit,
        .used = p->leases.count,
        .max_size = p->config.max_size,
        .waiting = line_count(&p->line),
    };
    for (size_t i = 0; i < l->agent_count; i++) {
        const struct agent *a = l->agents[i];
        if ((a->pool_mask >> pool & 1) == 0)
            continue;
        ret->agents++;
        if (!agent_is_healthy(l, a, now_ms))
            continue;
        ret->agents_healthy++;
        if (!agent_can(a, need))
            continue;
        ret->agents_capable++;
        ret->slots_free += agent_slots_free(a);
    }
}

/* ---- requests -------------------------------------------------------- */

uint32_t hop_mask_of(const struct ledger *l, size_t wanted, int64_t size_bytes,
                     bool fallback_forbidden)
{
    const struct pool *pool = &l->pools[wanted];
    uint32_t mask = 0;

    for (size_t i = 0; i < pool->hop_count; i++)
        if (route_possible(&pool->hops[i], i == 0,
                           l->pools[pool->hops[i].pool].config.max_size,
                           size_bytes, fallback_forbidden))
            mask |= 1U << i;
    return mask;
}

static void request_of(const struct ledger *l, size_t wanted,
                       int64_t size_bytes, bool fallback_forbidden,
                       uint64_t waited_ms, struct route_request *ret)
{
    const struct pool *pool = &l->pools[wanted];

    ret->hop_count = pool->hop_count;
    memcpy(ret->hops, pool->hops, sizeof pool->hops);
    ret->size_bytes = size_bytes;
    ret->waited_ms = waited_ms;
    ret->fallback_forbidden = fallback_forbidden;
}

void decide(const struct ledger *l, size_t wanted, const struct need *need,
            int64_t size_bytes, bool fallback_forbidden, uint64_t waited_ms,
            uint64_t now_ms, struct decision *ret)
{
    struct route_request request;
    struct pool_view views[ROUTE_HOPS_MAX];

    request_of(l, wanted, size_bytes, fallback_forbidden, waited_ms, &request);
    for (size_t i = 0; i < request.hop_count; i++)
        pool_view_of(l, request.hops[i].pool, need, now_ms, &views[i]);
    route_decide(&request, views, ret);
}

uint64_t run_waited_ms(const struct ledger *l, const struct live_run *run)
{
    int64_t waited = l->now_unix_ms - run->queued_unix_ms;

    return waited > 0 ? (uint64_t)waited : 0;
}

/* ---- settle ---------------------------------------------------------- */

struct offer { /* the best run found so far, and where it may go */
    struct live_run *run;
    size_t pool;
    uint64_t look_again_ms; /* the earliest guard that will open; 0: none */
};

static struct live_run *run_of(struct waiter *waiter)
{
    return container_of(waiter, struct live_run, waiter);
}

static void consider(struct offer *offer, struct live_run *run, size_t pool)
{
    if (offer->run == NULL || line_before(&run->waiter, &offer->run->waiter)) {
        offer->run = run;
        offer->pool = pool;
    }
}

/* The first run of the pool's own line that can start here. */
static void offer_own(struct ledger *l, size_t pool, struct offer *offer)
{
    struct route_request request;
    struct pool_view view;

    for (struct line_class *c = l->pools[pool].line.classes; c != NULL;
         c = c->next) {
        struct live_run *run = run_of(line_first(c));
        if ((c->hop_mask & 1) == 0)
            continue;
        request_of(l, pool, run->size_bytes, run->fallback_forbidden, 0,
                   &request);
        pool_view_of(l, pool, c->need, l->now_ms, &view);
        if (route_check(&request, 0, &view) == ROUTE_TAKE)
            consider(offer, run, pool);
    }
}

/* The first pool of the run's fallback list that takes it now. */
static void offer_hops(struct ledger *l, struct live_run *run,
                       struct offer *offer)
{
    struct route_request request;
    struct pool_view view;
    uint64_t waited = run_waited_ms(l, run);

    request_of(l, run->wanted, run->size_bytes, run->fallback_forbidden, waited,
               &request);
    for (size_t i = 1; i < request.hop_count; i++) {
        if ((run->waiter.class->hop_mask >> i & 1) == 0)
            continue;
        pool_view_of(l, request.hops[i].pool, run->need, l->now_ms, &view);
        enum route_verdict verdict = route_check(&request, i, &view);
        if (verdict == ROUTE_TAKE) {
            consider(offer, run, request.hops[i].pool);
            return;
        }
        if (verdict == ROUTE_NOT_YET) {
            uint64_t opens = request.hops[i].after_ms - waited;
            if (offer->look_again_ms == 0 || opens < offer->look_again_ms)
                offer->look_again_ms = opens;
        }
    }
}

/* The first run of any line that can start in a pool it falls back to. The
 * heads of all priorities are asked: an `after` guard may hold back the first
 * and not one that has waited longer. */
static void offer_fallback(struct ledger *l, struct offer *offer)
{
    for (size_t p = 0; p < l->pool_count; p++)
        for (struct line_class *c = l->pools[p].line.classes; c != NULL;
             c = c->next)
            for (int q = 0; q < PRIORITIES && c->hop_mask > 1; q++)
                if (c->queues[q].head != NULL)
                    offer_hops(l, run_of(c->queues[q].head), offer);
}

static int grant(struct ledger *l, const struct offer *offer)
{
    struct live_run *run = offer->run;
    struct agent *agent = choose_agent(l, offer->pool, run->need);
    struct decision decision;

    assert(agent != NULL);
    decide(l, run->wanted, run->need, run->size_bytes, run->fallback_forbidden,
           run_waited_ms(l, run), l->now_ms, &decision);
    /* What is recorded is what is done. */
    assert(decision.chosen >= 0 &&
           l->pools[run->wanted].hops[decision.chosen].pool == offer->pool);
    if (run->fresh != NULL && !run->fresh->decided) {
        run->fresh->origin.decision = decision;
        run->fresh->decided = true;
    }
    return lease_create(l, run, offer->pool, agent, &decision);
}

static bool has_room(const struct pool *pool)
{
    return pool->leases.count < pool->config.limit &&
           (pool->stopped.state == POOL_OPEN ||
            pool->stopped.state == POOL_CLOSED);
}

static bool any_room(const struct ledger *l)
{
    for (size_t p = 0; p < l->pool_count; p++)
        if (has_room(&l->pools[p]))
            return true;
    return false;
}

int settle(struct ledger *l)
{
    size_t grants = 0;
    int err = 0;

    l->look = false;
    timers_clear(&l->timers, &l->guard);
    if (l->draining)
        return 0;
    for (size_t p = 0; p < l->pool_count; p++) {
        while (err == 0 && grants < GRANTS_MAX && has_room(&l->pools[p])) {
            struct offer offer = {0};
            offer_own(l, p, &offer);
            if (offer.run == NULL)
                break;
            err = grant(l, &offer);
            grants++;
        }
    }
    while (err == 0 && grants < GRANTS_MAX && any_room(l)) {
        struct offer offer = {0};
        offer_fallback(l, &offer);
        if (offer.run == NULL) {
            if (offer.look_again_ms != 0)
                err = timers_set(&l->timers, &l->guard,
                                 l->now_ms + offer.look_again_ms);
            break;
        }
        err = grant(l, &offer);
        grants++;
    }
    l->look = grants == GRANTS_MAX;
    return fail(l, err);
}

const struct live_run *overlooked(struct ledger *l)
{
    struct route_request request;
    struct pool_view view;

    for (size_t p = 0; p < l->pool_count; p++) {
        for (struct line_class *c = l->pools[p].line.classes; c != NULL;
             c = c->next) {
            const struct live_run *run = run_of(line_first(c));
            request_of(l, p, run->size_bytes, run->fallback_forbidden, 0,
                       &request);
            for (size_t i = 0; i < request.hop_count; i++) {
                pool_view_of(l, request.hops[i].pool, c->need, l->now_ms,
                             &view);
                if (route_check(&request, i, &view) == ROUTE_TAKE)
                    return run;
            }
        }
    }
    return NULL;
}
