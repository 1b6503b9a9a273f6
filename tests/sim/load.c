/*
 * load.c - what a world looks like and what happens to it: clients, operators,
 * faults, and healing. See sim.h
 */
#include "tests/sim/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const sim_caps[SIM_CAPS] = {"cap:a", "cap:b", "engine:mysql",
                                        "kind:command"};

/* ---- the world ------------------------------------------------------- */

static void random_fallback(struct world *w, size_t pool, struct pool_hop *hops,
                            size_t *ret_count)
{
    *ret_count = 0;
    for (size_t i = 0; i < w->config.pool_count; i++) {
        if (i == pool || !chance(w, 600))
            continue;
        struct pool_hop *hop = &hops[(*ret_count)++];
        *hop = (struct pool_hop){.size_below = -1};
        (void)snprintf(hop->pool, sizeof hop->pool, "%s",
                       w->config.pools[i].name);
        if (chance(w, 400))
            hop->after_ms = (uint32_t)rnd_below(w, 5000);
        if (chance(w, 200))
            hop->size_below = (int64_t)rnd_below(w, 1000);
        if (chance(w, 200))
            hop->free_at_least = (uint32_t)rnd_between(w, 1, 3);
    }
}

static void make_config(struct world *w)
{
    struct ledger_config *c = &w->config;
    uint32_t share = (uint32_t)w->agent_count;

    ledger_config_default(c);
    if (chance(w, 500)) {
        c->pools[c->pool_count] = c->pools[0];
        c->pools[c->pool_count].alias_count = 0;
        (void)snprintf(c->pools[c->pool_count].name, POOL_NAME_MAX, "gpu");
        c->pool_count++;
    }
    for (size_t i = 0; i < c->pool_count; i++) {
        struct pool_config *pool = &c->pools[i];
        pool->limit = (uint32_t)rnd_between(w, 1, share + 5);
        pool->max_size = chance(w, 300) ? (int64_t)rnd_below(w, 1000) : -1;
        pool->waiting_max = chance(w, 300) ? 20 : 1000;
        random_fallback(w, i, pool->fallback, &pool->fallback_count);
    }
    c->lease_ms = chance(w, 500) ? 3000 : 10000;
    c->margin_ms = (uint32_t)rnd_between(w, 300, 1500);
    c->accept_ms = (uint32_t)rnd_between(w, 500, 5000);
    c->ageing_ms = (uint32_t)rnd_below(w, 30000);
    c->cancel_grace_ms = (uint32_t)rnd_between(w, 10, 3000);
}

static void make_agents(struct world *w)
{
    for (size_t i = 0; i < w->agent_count; i++) {
        struct fake *a = &w->agents[i];
        a->index = (uint32_t)i;
        (void)snprintf(a->name, sizeof a->name, "a%zu", i);
        a->universal = i < 2; /* so that everything can end after healing */
        a->slots = a->universal ? 4 : (uint32_t)rnd_between(w, 1, 6);
        a->pools =
            (unsigned)rnd_between(w, 1, (1U << w->config.pool_count) - 1);
        a->caps = (unsigned)rnd_below(w, 1U << SIM_CAPS);
        if (a->universal) {
            a->pools = (1U << w->config.pool_count) - 1;
            a->caps = (1U << SIM_CAPS) - 1;
        }
        a->liar = !a->universal && chance(w, 100);
        agent_boot(w, a);
        event_add(w, w->now_ms + rnd_below(w, 3000), EV_RENEW, a->index, 0,
                  NULL);
    }
}

void load_world(struct world *w)
{
    uint64_t size = rnd_below(w, 10);

    w->now_ms = 1000000;
    w->unix_base_ms = 1700000000000;
    w->faults = true;
    w->agent_count = size < 6   ? rnd_between(w, 3, 12)
                     : size < 9 ? rnd_between(w, 20, 60)
                                : rnd_between(w, 150, 400);
    w->audit_every = size < 6 ? 1 : size < 9 ? 8 : 64;
    w->mean_ms = size % 3 == 0 ? 50 : size % 3 == 1 ? 500 : 3000;
    w->exec_max_ms = 60000;
    w->clock_jumps = chance(w, 200);
    make_config(w);
    model_init(w);
    make_agents(w);
    broker_start(w);
    event_add(w, w->now_ms + 500, EV_LOAD, 0, 0, NULL);
}

/* ---- clients --------------------------------------------------------- */

static void submit(struct world *w)
{
    struct msg *msg = msg_new(MSG_SUBMIT);
    struct origin *origin = must(calloc(1, sizeof *origin));

    origin->workflow = "w";
    origin->rule = "sim";
    origin->rule_why = "";
    origin->who = "sim";
    origin->wanted_pool =
        w->config.pools[rnd_below(w, w->config.pool_count)].name;
    origin->fallback_forbidden = chance(w, 100);
    origin->features.size_bytes =
        chance(w, 400) ? -1 : (int64_t)rnd_below(w, 1200);
    origin->features.size_source =
        origin->features.size_bytes < 0 ? SIZE_UNKNOWN : SIZE_DECLARED;
    for (size_t i = 0; i < SIM_CAPS; i++)
        if (chance(w, 200))
    origin->requires[origin->requires_count++] = sim_caps[i];
    origin->priority = (enum run_priority)rnd_below(w, PRIORITIES);
    origin->retry =
        (struct retry_rule){.retries = (uint32_t)rnd_below(w, 4),
                            .base_ms = (uint32_t)rnd_between(w, 1, 2000),
                            .cap_ms = (uint32_t)rnd_between(w, 1, 10000),
                            .on_lost = (enum on_lost)rnd_below(w, 3),
                            .repeatable = chance(w, 500)};
    if (chance(w, 60))
        origin->start_at_unix_ms =
            unix_now(w) + (int64_t)rnd_below(w, 60000) - 1000;
    msg->origin = origin;
    event_add(w, w->now_ms, EV_TO_BROKER, 0, 0, msg);
}

static void cancel(struct world *w)
{
    const struct model *m = &w->model;

    if (m->run_count == 0)
        return;
    struct msg *msg = msg_new(MSG_CANCEL);
    msg->run = m->active_count > 0 && chance(w, 900)
                   ? m->runs[m->active[rnd_below(w, m->active_count)]].id
                   : m->runs[rnd_below(w, m->run_count)].id;
    event_add(w, w->now_ms, EV_TO_BROKER, 0, 0, msg);
}

/* ---- operators ------------------------------------------------------- */

static void pool_verb(struct world *w, size_t pool, enum pool_verb verb,
                      uint64_t for_ms)
{
    struct msg *msg = msg_new(MSG_POOL_VERB);

    msg->pool = pool;
    msg->verb = verb;
    msg->for_ms = for_ms;
    event_add(w, w->now_ms, EV_TO_BROKER, 0, 0, msg);
}

static void pool_set(struct world *w, size_t pool,
                     const struct pool_change *change)
{
    struct msg *msg = msg_new(MSG_POOL_SET);

    msg->pool = pool;
    msg->change = must(malloc(sizeof *change));
    *msg->change = *change;
    event_add(w, w->now_ms, EV_TO_BROKER, 0, 0, msg);
}

static void random_pool_set(struct world *w)
{
    struct pool_change change = {0};
    size_t pool = rnd_below(w, w->config.pool_count);

    switch (rnd_below(w, 5)) {
    case 0:
        change.reset = true;
        break;
    case 1:
        change.set_max_size = true;
        change.max_size = chance(w, 500) ? -1 : (int64_t)rnd_below(w, 1000);
        break;
    case 2:
        change.set_fallback = true;
        random_fallback(w, pool, change.fallback, &change.fallback_count);
        break;
    default:
        change.set_limit = true;
        change.limit = (uint32_t)rnd_between(w, 1, w->agent_count + 5);
        break;
    }
    pool_set(w, pool, &change);
}

static void agent_verb(struct world *w, uint32_t agent, enum pool_verb verb)
{
    struct msg *msg = msg_new(MSG_AGENT_VERB);

    msg->agent = agent;
    msg->verb = verb;
    event_add(w, w->now_ms, EV_TO_BROKER, 0, 0, msg);
}

static void operate(struct world *w)
{
    static const enum pool_verb verbs[] = {VERB_PAUSE, VERB_RESUME, VERB_RESUME,
                                           VERB_DRAIN, VERB_CLOSE};
    uint64_t roll = rnd_below(w, 100);
    enum pool_verb verb = verbs[rnd_below(w, 5)];

    if (roll < 45)
        pool_verb(w, rnd_below(w, w->config.pool_count), verb,
                  chance(w, 600) ? rnd_between(w, 1, 10000) : 0);
    else if (roll < 80)
        random_pool_set(w);
    else
        agent_verb(w, (uint32_t)rnd_below(w, w->agent_count),
                   verb == VERB_CLOSE ? VERB_RESUME : verb);
}

/* ---- faults ---------------------------------------------------------- */

static void broker_fault(struct world *w)
{
    uint64_t roll = rnd_below(w, 10);

    if (w->ledger == NULL)
        return;
    if (roll < 3) {
        w->count.broker_crash++;
        broker_crash(w, rnd_between(w, 10, chance(w, 100) ? 30000 : 3000));
    } else if (roll < 4) {
        w->count.broker_drain++;
        event_add(w, w->now_ms, EV_TO_BROKER, 0, 0, msg_new(MSG_DRAIN));
    } else {
        w->count.broker_stall++;
        w->stalled_until_ms = w->now_ms + rnd_between(w, 50, 8000);
    }
}

static void fault(struct world *w)
{
    struct fake *a = &w->agents[rnd_below(w, w->agent_count)];
    uint64_t down = rnd_between(w, 10, chance(w, 200) ? 40000 : 3000);

    switch (rnd_below(w, 10)) {
    case 0:
        broker_fault(w);
        break;
    case 1:
    case 2:
        w->count.cut += a->session != 0;
        agent_cut(w, a, chance(w, 600),
                  rnd_below(w, chance(w, 300) ? 20000 : 500));
        break;
    case 3:
    case 4: /* the line goes dead and nobody is told */
        if (a->session != 0) {
            w->count.partition++;
            trace(w, "%s is cut off silently", a->name);
            w->sessions[a->session].cut_ms = w->now_ms;
        }
        break;
    case 5:
        w->count.agent_crash += a->up;
        agent_crash(w, a, false, false, down);
        break;
    case 6:
        w->count.machine_crash += a->up;
        agent_crash(w, a, true, chance(w, 500), down);
        break;
    case 7:
    case 8:
        w->count.stop += a->up;
        agent_stop(w, a, down);
        break;
    default:
        if (!a->universal && !a->draining) {
            w->count.drain++;
            agent_drain(w, a);
        } else if (a->draining) {
            agent_crash(w, a, false, false, down);
        }
        break;
    }
}

/* ---- a step of the load ---------------------------------------------- */

static void load_healing(struct world *w)
{
    struct pool_change reset = {.reset = true};
    struct pool_change open = {
        .set_limit = true, .limit = 3, .set_max_size = true, .max_size = -1};

    for (size_t i = 0; i < w->config.pool_count; i++) {
        pool_verb(w, i, VERB_RESUME, 0);
        pool_set(w, i, &reset);
        pool_set(w, i, &open);
    }
    for (size_t i = 0; i < w->agent_count; i++) {
        struct fake *a = &w->agents[i];
        if (w->model.agents[i].state != POOL_OPEN)
            agent_verb(w, (uint32_t)i, VERB_RESUME);
        if (a->draining && a->up)
            agent_crash(w, a, false, false, 100);
    }
}

void load_heal(struct world *w)
{
    w->faults = false;
    w->healing = true;
    w->stalled_until_ms = 0;
    if (w->ledger != NULL) /* a turn planned for after the stall */
        broker_plan(w, w->now_ms);
    trace(w, "healing");
    load_healing(w);
    event_add(w, w->now_ms + 5000, EV_LOAD, 0, 0, NULL);
}

void load_event(struct world *w)
{
    uint64_t total = 1;

    if (w->healing) { /* again, in case the broker was not there */
        load_healing(w);
        if (w->load_left < 8) {
            w->load_left++;
            event_add(w, w->now_ms + 5000, EV_LOAD, 0, 0, NULL);
        }
        return;
    }
    if (w->load_left == 0) {
        load_heal(w);
        return;
    }
    w->load_left--;
    uint64_t roll = rnd_below(w, 1000);
    if (roll < 650) {
        uint64_t burst = chance(w, 10) ? 30 : 1;
        for (uint64_t i = 0; i < burst; i++)
            submit(w);
    } else if (roll < 720) {
        cancel(w);
    } else if (roll < 780) {
        operate(w);
    } else if (roll < 850) {
        fault(w);
    } else if (roll < 900) {
        size_t from = rnd_below(w, w->agent_count);
        for (size_t i = 0; i < w->agent_count; i++) {
            struct fake *a = &w->agents[(from + i) % w->agent_count];
            if (a->liar) {
                agent_lie(w, a);
                break;
            }
        }
    }
    for (size_t i = 0; i < w->config.pool_count; i++)
        total += w->config.pools[i].limit;
    event_add(w, w->now_ms + rnd_below(w, 2 * w->mean_ms / total + 20), EV_LOAD,
              0, 0, NULL);
}
