/*
 * model.c - what must be true, kept by the simulator itself: from the requests
 * that were committed, from each turn's write set, from the effects, and from
 * what fake agents really execute. The ledger is never asked. See sim.h
 */
#include "tests/sim/sim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- runs by id ------------------------------------------------------ */

static uint64_t hash_of(const struct run_id *id)
{
    uint64_t a, b;

    memcpy(&a, id->b, 8);
    memcpy(&b, id->b + 8, 8);
    a = (a ^ (b << 23 | b >> 41)) * UINT64_C(0x9e3779b97f4a7c15);
    return a ^ a >> 31;
}

static void slots_grow(struct model *m)
{
    free(m->slots);
    m->slot_count = m->slot_count == 0 ? 1024 : m->slot_count * 4;
    m->slots = must(calloc(m->slot_count, sizeof *m->slots));
    for (size_t i = 0; i < m->run_count; i++) {
        size_t at = hash_of(&m->runs[i].id) & (m->slot_count - 1);
        while (m->slots[at] != 0)
            at = (at + 1) & (m->slot_count - 1);
        m->slots[at] = (uint32_t)i + 1;
    }
}

struct truth_run *model_run(struct model *m, const struct run_id *id)
{
    if (m->slot_count == 0)
        return NULL;
    for (size_t at = hash_of(id) & (m->slot_count - 1); m->slots[at] != 0;
         at = (at + 1) & (m->slot_count - 1)) {
        struct truth_run *run = &m->runs[m->slots[at] - 1];
        if (memcmp(run->id.b, id->b, sizeof id->b) == 0)
            return run;
    }
    return NULL;
}

static uint32_t index_of(const struct model *m, const struct truth_run *run)
{
    return (uint32_t)(run - m->runs);
}

struct truth_attempt *model_attempt(struct truth_run *run, uint32_t attempt)
{
    return attempt > 0 && attempt <= run->attempt_count
               ? &run->attempts[attempt - 1]
               : NULL;
}

static void push_index(uint32_t **list, size_t *count, size_t *room,
                       uint32_t index)
{
    if (*count == *room) {
        *room = *room * 2 + 64;
        *list = must(realloc(*list, *room * sizeof **list));
    }
    (*list)[(*count)++] = index;
}

static void touch(struct model *m, struct truth_run *run)
{
    if (run->touched == m->mark)
        return;
    run->touched = m->mark;
    push_index(&m->touched, &m->touched_count, &m->touched_room,
               index_of(m, run));
}

static void activate(struct model *m, struct truth_run *run)
{
    push_index(&m->active, &m->active_count, &m->active_room, index_of(m, run));
    run->active_at = m->active_count;
}

static void deactivate(struct model *m, struct truth_run *run)
{
    if (run->active_at == 0)
        return;
    uint32_t last = m->active[--m->active_count];
    m->active[run->active_at - 1] = last;
    m->runs[last].active_at = run->active_at;
    run->active_at = 0;
}

void model_submitted(struct world *w, const struct run_id *id,
                     const struct origin *origin)
{
    struct model *m = &w->model;

    if (model_run(m, id) != NULL) {
        sim_fail(w, "run id %s given out twice", short_id(id));
        return;
    }
    if (m->run_count == m->run_room) {
        m->run_room = m->run_room * 2 + 256;
        m->runs = must(realloc(m->runs, m->run_room * sizeof *m->runs));
    }
    struct truth_run *run = &m->runs[m->run_count++];
    *run = (struct truth_run){
        .id = *id,
        .size_bytes = origin->features.size_bytes,
        .fallback_forbidden = origin->fallback_forbidden,
    };
    int wanted = ledger_config_pool(&w->config, origin->wanted_pool);
    run->wanted = wanted >= 0 ? (size_t)wanted : 0;
    for (size_t i = 0; i < origin->requires_count; i++)
        for (unsigned c = 0; c < SIM_CAPS; c++)
            if (strcmp(origin->requires[i], sim_caps[c]) == 0)
                run->needs |= 1U << c;
    if (m->run_count * 2 > m->slot_count) {
        slots_grow(m);
        return;
    }
    size_t at = hash_of(id) & (m->slot_count - 1);
    while (m->slots[at] != 0)
        at = (at + 1) & (m->slot_count - 1);
    m->slots[at] = (uint32_t)m->run_count;
}

/* ---- the turn -------------------------------------------------------- */

void model_init(struct world *w)
{
    struct model *m = &w->model;

    for (size_t i = 0; i < w->config.pool_count; i++)
        m->pools[i].config = w->config.pools[i];
}

void model_free(struct model *m)
{
    for (size_t i = 0; i < m->run_count; i++)
        free(m->runs[i].attempts);
    for (size_t i = 0; i < SIM_POOLS; i++)
        free(m->executing[i]);
    free(m->runs);
    free(m->slots);
    free(m->touched);
    free(m->active);
}

void model_turn_begins(struct world *w)
{
    struct model *m = &w->model;

    memcpy(m->saved_pools, m->pools, sizeof m->pools);
    memcpy(m->saved_agents, m->agents, w->agent_count * sizeof m->agents[0]);
    m->durable_runs = m->run_count;
    m->mark++;
    m->touched_count = 0;
    m->new_live = m->pushed = 0;
}

void model_turn_lost(struct world *w)
{
    struct model *m = &w->model;

    memcpy(m->pools, m->saved_pools, sizeof m->pools);
    memcpy(m->agents, m->saved_agents, w->agent_count * sizeof m->agents[0]);
    for (size_t i = m->durable_runs; i < m->run_count; i++)
        m->runs[i].ghost = true;
    m->durable_runs = m->run_count;
}

void model_sessions_lost(struct world *w)
{
    for (size_t i = 0; i < w->agent_count; i++) {
        w->model.agents[i].session = 0;
        w->model.agents[i].draining = false;
    }
}

/* A stop that was for a time is over with the first turn after it, and stays
 * over when somebody sets the clock back. */
static void let_stops_end(struct world *w)
{
    for (size_t i = 0; i < w->config.pool_count; i++) {
        struct model_pool *p = &w->model.pools[i];
        if (p->until_unix_ms != 0 && unix_now(w) >= p->until_unix_ms) {
            p->state = POOL_OPEN;
            p->until_unix_ms = 0;
        }
    }
}

bool model_all_ended(const struct world *w)
{
    return w->model.active_count == 0;
}

/* ---- what the store says --------------------------------------------- */

/* A path of legal moves that enters PENDING nowhere: what may happen to one
 * attempt within a turn. */
static bool reachable(enum run_state from, enum run_state to)
{
    unsigned seen = 1U << from;

    for (int round = 0; round < RUN_STATES; round++)
        for (unsigned a = 0; a < RUN_STATES; a++)
            for (unsigned b = 0; b < RUN_STATES && (seen >> a & 1) != 0; b++)
                if (b != RUN_PENDING &&
                    run_may_move((enum run_state)a, (enum run_state)b))
                    seen |= 1U << b;
    return (seen >> to & 1) != 0;
}

static void absorb_run(struct world *w, struct truth_run *run,
                       const struct run_record *record)
{
    struct model *m = &w->model;

    if (!run->known) {
        run->known = true;
        run->state = record->attempt > 0 ? RUN_QUEUED : record->state;
        if (!run_state_is_final(run->state))
            activate(m, run);
    }
    if (record->attempt == run->attempt) {
        if (!reachable(run->state, record->state))
            sim_fail(w, "%s/%u moved from %s to %s", short_id(&run->id),
                     run->attempt, run_state_name(run->state),
                     run_state_name(record->state));
    } else if (record->attempt != run->attempt + 1 ||
               record->state != RUN_PENDING ||
               !reachable(run->state, RUN_QUEUED)) {
        sim_fail(w, "%s went from attempt %u %s to attempt %u %s",
                 short_id(&run->id), run->attempt, run_state_name(run->state),
                 record->attempt, run_state_name(record->state));
    }
    run->state = record->state;
    run->attempt = record->attempt;
    run->queued_unix_ms = record->queued_unix_ms;
    if (run_state_is_final(run->state))
        deactivate(m, run);
}

static int agent_index(const struct world *w, const char *name)
{
    for (size_t i = 0; i < w->agent_count; i++)
        if (strcmp(w->agents[i].name, name) == 0)
            return (int)i;
    return -1;
}

/* How the attempt really went must agree with what is written of its end. */
static void check_outcome(struct world *w, const struct truth_run *run,
                          uint32_t number, const struct truth_attempt *attempt,
                          enum attempt_outcome outcome)
{
    bool told = attempt->exec == EXEC_OVER && attempt->outcome == outcome;

    if (attempt->exec == EXEC_NOW)
        sim_fail(w, "%s/%u ended as %s and still executes on %s",
                 short_id(&run->id), number, attempt_outcome_name(outcome),
                 w->agents[attempt->agent].name);
    switch (outcome) {
    case ATTEMPT_COMPLETED:
    case ATTEMPT_TIMED_OUT:
    case ATTEMPT_FAILED:
        if (!told && !(outcome == ATTEMPT_FAILED && attempt->refused_for_good))
            sim_fail(w, "%s/%u is written %s, which is not what happened",
                     short_id(&run->id), number, attempt_outcome_name(outcome));
        break;
    case ATTEMPT_RETURNED:
        if (attempt->exec != EXEC_NOT)
            sim_fail(w, "%s/%u was returned and has executed",
                     short_id(&run->id), number);
        break;
    default:
        break;
    }
}

static void absorb_attempt(struct world *w, struct truth_run *run,
                           const struct attempt_record *record)
{
    struct model *m = &w->model;
    uint32_t number = record->attempt;
    int agent = agent_index(w, record->agent);
    int pool = ledger_config_pool(&w->config, record->pool);

    if (agent < 0 || pool < 0 || number == 0 ||
        number > run->attempt_count + 1) {
        sim_fail(w, "%s: attempt %u of agent %s in pool %s written",
                 short_id(&run->id), number, record->agent, record->pool);
        return;
    }
    if (number == run->attempt_count + 1) {
        run->attempts =
            must(realloc(run->attempts, number * sizeof *run->attempts));
        run->attempts[run->attempt_count++] = (struct truth_attempt){
            .agent = (uint32_t)agent, .pool = (size_t)pool, .live = true};
        m->live_in_pool[pool]++;
        m->live_on_agent[agent]++;
        m->new_live++;
    }
    struct truth_attempt *attempt = &run->attempts[number - 1];
    bool live = record->outcome == ATTEMPT_LIVE;
    if (attempt->agent != (uint32_t)agent || attempt->pool != (size_t)pool ||
        (live && !attempt->live))
        sim_fail(w, "%s/%u changed hands, or lives again", short_id(&run->id),
                 number);
    if (!live && attempt->live) {
        check_outcome(w, run, number, attempt, record->outcome);
        attempt->live = false;
        m->live_in_pool[attempt->pool]--;
        m->live_on_agent[attempt->agent]--;
    }
}

static void absorb_write(struct world *w, const struct store_write *write)
{
    struct run_id id;
    struct run_record *record;
    struct attempt_record *attempt;

    if (write->key.len < sizeof id.b ||
        (write->table != STORE_RUN && write->table != STORE_ATTEMPT &&
         write->table != STORE_LIVE && write->table != STORE_ORIGIN))
        return;
    memcpy(id.b, write->key.ptr, sizeof id.b);
    struct truth_run *run = model_run(&w->model, &id);
    if (run == NULL || run->ghost) {
        sim_fail(w, "a run nobody submitted is written: %s", short_id(&id));
        return;
    }
    touch(&w->model, run);
    if (write->table == STORE_LIVE) {
        run->in_live = write->value.ptr != NULL;
    } else if (write->table == STORE_RUN) {
        if (run_decode(write->value.ptr, write->value.len, &record) != 0) {
            sim_fail(w, "a run record cannot be read");
            return;
        }
        absorb_run(w, run, record);
        free(record);
    } else if (write->table == STORE_ATTEMPT) {
        if (attempt_decode(write->value.ptr, write->value.len, &attempt) != 0) {
            sim_fail(w, "an attempt record cannot be read");
            return;
        }
        absorb_attempt(w, run, attempt);
        free(attempt);
    }
}

static void check_touched(struct world *w, struct truth_run *run)
{
    uint32_t live = 0;

    for (uint32_t i = 0; i < run->attempt_count; i++)
        live += run->attempts[i].live;
    bool holds = run_state_holds_slot(run->state);
    if (!run->known || run->in_live == run_state_is_final(run->state))
        sim_fail(w, "%s is %s and %s LIVE", short_id(&run->id),
                 run_state_name(run->state),
                 run->in_live ? "is listed in" : "is not in");
    if (live != (holds ? 1U : 0U) ||
        (holds && !run->attempts[run->attempt_count - 1].live) ||
        run->attempt != run->attempt_count)
        sim_fail(w, "%s/%u is %s with %u live attempts of %u",
                 short_id(&run->id), run->attempt, run_state_name(run->state),
                 live, run->attempt_count);
    if (!holds && run->executing > 0)
        sim_fail(w, "%s is %s and still executes", short_id(&run->id),
                 run_state_name(run->state));
}

static void absorb(struct world *w)
{
    struct model *m = &w->model;
    size_t count = 0;

    if (store_turn(w->store) == m->turn)
        return; /* nothing was written */
    if (store_turn(w->store) != m->turn + 1)
        sim_fail(w, "turn %llu follows turn %llu",
                 (unsigned long long)store_turn(w->store),
                 (unsigned long long)m->turn);
    m->turn = store_turn(w->store);
    const struct store_write *writes = store_writes(w->store, &count);
    for (size_t i = 0; i < count && w->failure[0] == '\0'; i++)
        absorb_write(w, &writes[i]);
    for (size_t i = 0; i < m->touched_count && w->failure[0] == '\0'; i++)
        check_touched(w, &m->runs[m->touched[i]]);
}

void model_committed(struct world *w)
{
    struct model *m = &w->model;

    let_stops_end(w);
    for (size_t i = m->durable_runs; i < m->run_count; i++) {
        m->runs[i].acked = true;
        m->acked++;
    }
    absorb(w);
    for (size_t i = m->durable_runs; i < m->run_count && w->failure[0] == '\0';
         i++)
        if (!m->runs[i].known)
            sim_fail(w, "%s was accepted and is not in the store",
                     short_id(&m->runs[i].id));
}

/* ---- after a restart ------------------------------------------------- */

struct recount {
    struct world *w;
    size_t count;
};

static bool each_run(void *context, struct store_bytes key,
                     struct store_bytes value)
{
    struct recount *recount = context;
    struct world *w = recount->w;
    struct run_record *record;
    struct run_id id;

    memcpy(id.b, key.ptr, sizeof id.b);
    struct truth_run *run = model_run(&w->model, &id);
    if (run_decode(value.ptr, value.len, &record) != 0) {
        sim_fail(w, "a run record cannot be read");
        return false;
    }
    if (run == NULL || !run->acked || run->state != record->state ||
        run->attempt != record->attempt)
        sim_fail(w, "after the restart %s/%u is %s, and was %s", short_id(&id),
                 record->attempt, run_state_name(record->state),
                 run == NULL ? "not there" : run_state_name(run->state));
    free(record);
    recount->count++;
    return w->failure[0] == '\0';
}

void model_reopened(struct world *w)
{
    struct recount recount = {.w = w};
    struct store_reader *reader;

    w->model.mark++;
    w->model.touched_count = 0;
    let_stops_end(w);
    absorb(w); /* opening may have settled something */
    if (w->failure[0] != '\0' || store_reader_open(w->store, &reader) != 0)
        return;
    if (store_read_begin(reader) == 0) {
        (void)store_walk(reader, STORE_RUN, NULL, 0, false, each_run, &recount);
        store_read_end(reader);
    }
    store_reader_close(&reader);
    if (recount.count != w->model.acked)
        sim_fail(w, "%zu runs were acknowledged, the store has %zu",
                 w->model.acked, recount.count);
}

/* ---- effects --------------------------------------------------------- */

static bool may_fall_back(const struct model_pool *wanted, const char *pool)
{
    for (size_t i = 0; i < wanted->config.fallback_count; i++)
        if (strcmp(wanted->config.fallback[i].pool, pool) == 0)
            return true;
    return false;
}

static const char *wrong_push(struct world *w, const struct truth_run *run,
                              const struct truth_attempt *attempt,
                              uint64_t session)
{
    const struct model *m = &w->model;
    const struct model_agent *known = &m->agents[attempt->agent];
    const struct fake *agent = &w->agents[attempt->agent];
    const struct model_pool *pool = &m->pools[attempt->pool];
    enum pool_state state = pool->state;

    if (run->state != RUN_PENDING || !attempt->live)
        return "not pending in the store";
    if (state != POOL_OPEN && state != POOL_CLOSED)
        return "in a pool that is paused or draining";
    if (m->live_in_pool[attempt->pool] > pool->config.limit)
        return "over the pool's limit";
    if (known->session != session || known->session == 0)
        return "to a session that is not this agent's";
    if (known->draining || known->state != POOL_OPEN)
        return "to an agent that is draining or paused";
    if (m->live_on_agent[attempt->agent] > known->slots)
        return "beyond the agent's slots";
    if ((agent->pools >> attempt->pool & 1) == 0)
        return "to an agent that does not serve the pool";
    if ((run->needs & ~agent->caps) != 0)
        return "to an agent that cannot execute it";
    if (attempt->pool != run->wanted &&
        (run->fallback_forbidden ||
         !may_fall_back(&m->pools[run->wanted], pool->config.name)))
        return "in a pool it may not fall back to";
    if (run->size_bytes >= 0 && pool->config.max_size >= 0 &&
        run->size_bytes > pool->config.max_size)
        return "in a pool whose ceiling it exceeds";
    return w->broker_draining ? "by a broker that stops" : NULL;
}

static void check_push(struct world *w, const struct effect *e)
{
    struct model *m = &w->model;
    struct truth_run *run = model_run(m, &e->run);
    struct truth_attempt *attempt =
        run != NULL ? model_attempt(run, e->attempt) : NULL;

    w->leases++;
    if (attempt == NULL || e->attempt != run->attempt ||
        attempt->granted != 0) {
        sim_fail(w, "%s/%u pushed, which is not a new attempt",
                 short_id(&e->run), e->attempt);
        return;
    }
    attempt->granted = ++m->grants;
    attempt->limit = m->pools[attempt->pool].config.limit;
    m->pushed++;
    const char *wrong = wrong_push(w, run, attempt, e->session);
    if (wrong != NULL)
        sim_fail(
            w, "%s/%u pushed %s: pool %s, %u of %u; agent %s, %u of %u",
            short_id(&e->run), e->attempt, wrong,
            m->pools[attempt->pool].config.name, m->live_in_pool[attempt->pool],
            attempt->limit, w->agents[attempt->agent].name,
            m->live_on_agent[attempt->agent], m->agents[attempt->agent].slots);
}

/* Only its own attempts are left to an agent. */
static void check_welcome(struct world *w, const struct effect *e)
{
    for (size_t i = 0; i < e->attempt_count; i++) {
        const struct effect_attempt *kept = &e->attempts[i];
        struct truth_run *run = model_run(&w->model, &kept->run);
        const struct truth_attempt *attempt =
            run != NULL ? model_attempt(run, kept->attempt) : NULL;
        if (kept->keep && (attempt == NULL ||
                           attempt->agent != w->sessions[e->session].agent))
            sim_fail(w, "%s may keep %s/%u, which is not its own",
                     w->agents[w->sessions[e->session].agent].name,
                     short_id(&kept->run), kept->attempt);
    }
}

void model_effect(struct world *w, const struct effect *e)
{
    const struct truth_run *run = model_run(&w->model, &e->run);

    switch (e->type) {
    case EFFECT_PUSH:
        check_push(w, e);
        break;
    case EFFECT_WELCOME:
        check_welcome(w, e);
        break;
    case EFFECT_CANCEL:
        /* It may have ended later in the same turn. */
        if (run == NULL ||
            (run->state != RUN_CANCELLING && !run_state_is_final(run->state)))
            sim_fail(w, "%s/%u told to stop, which is not being cancelled",
                     short_id(&e->run), e->attempt);
        break;
    case EFFECT_ENDED:
        if (run == NULL || run->state != e->state ||
            !run_state_is_final(e->state))
            sim_fail(w, "%s is said to have ended %s; the store says %s",
                     short_id(&e->run), run_state_name(e->state),
                     run == NULL ? "nothing" : run_state_name(run->state));
        break;
    default:
        break;
    }
}

void model_turn_ends(struct world *w)
{
    const struct model *m = &w->model;

    if (w->failure[0] == '\0' && m->new_live != m->pushed)
        sim_fail(w, "%u attempts written, %u pushed", m->new_live, m->pushed);
}

/* ---- for people ------------------------------------------------------ */

void model_explain_stuck(struct world *w)
{
    const struct model *m = &w->model;
    struct explanation why = {0};

    if (m->active_count == 0)
        return;
    const struct truth_run *run = &m->runs[m->active[0]];
    if (w->ledger != NULL &&
        ledger_explain(w->ledger, &run->id, w->now_ms, &why) == 0)
        sim_fail(w,
                 "healed, and %zu runs do not end; first %s/%u %s, waits for "
                 "%s, wants %s, hops %zu: %s",
                 m->active_count, short_id(&run->id), run->attempt,
                 run_state_name(run->state), wait_reason_name(why.reason),
                 m->pools[run->wanted].config.name,
                 why.decision.candidate_count, why.decision.candidates[0].why);
    else
        sim_fail(w, "healed, and %zu runs do not end; first %s/%u %s",
                 m->active_count, short_id(&run->id), run->attempt,
                 run_state_name(run->state));
}
