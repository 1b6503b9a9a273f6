/*
 * ledger.c - the turn, and the moves of a run. See ledger.h.
 *
 * Invariants (ledger_audit() checks them):
 *   - a run is SCHEDULED with a timer, or QUEUED in its wanted pool's line, or
 *     PENDING, RUNNING or CANCELLING with exactly one lease; never two of them
 *   - a lease is in the list of one pool and of one agent; slots in use are
 *     the lengths of those lists
 *   - a PENDING run does nothing anywhere: its job starts only after the turn
 *     that made it RUNNING is committed
 *   - the store after a commit says the same: LIVE lists the live runs, RUN
 *     their states, ATTEMPT the LIVE attempts of those with a lease
 *   - after settle() no run waits that route_check() would let go somewhere
 *
 * What a turn changes about a run is marked dirty and written once, at the
 * end; what a turn tells the world is a list of effects, released after the
 * commit.
 */
#include "pools/books.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- memory of the turn, effects ------------------------------------- */

int fail(struct ledger *l, int err)
{
    if (err != 0 && l->error == 0)
        l->error = err;
    return err;
}

void *turn_alloc(struct ledger *l, size_t bytes)
{
    if (l->kept_count == l->kept_room) {
        size_t room = l->kept_room * 2 + 64;
        void **grown = realloc(l->kept, room * sizeof *grown);
        if (grown == NULL) {
            (void)fail(l, -ENOMEM);
            return NULL;
        }
        l->kept = grown;
        l->kept_room = room;
    }
    void *block = malloc(bytes > 0 ? bytes : 1);
    if (block == NULL)
        (void)fail(l, -ENOMEM);
    else
        l->kept[l->kept_count++] = block;
    return block;
}

/* Takes a character that was cut in two off the end: these texts go over the
 * wire, which refuses what is not UTF-8. */
static void mend_end(char *text, size_t room, size_t wanted)
{
    size_t end = room - 1;

    if (wanted < room)
        return;
    while (end > 0 && ((unsigned char)text[end - 1] & 0xC0) == 0x80)
        end--;
    if (end > 0 && ((unsigned char)text[end - 1] & 0xC0) == 0xC0)
        end--;
    text[end] = '\0';
}

const char *turn_text(struct ledger *l, const char *fmt, ...)
{
    char text[2 * LEDGER_TEXT_MAX];
    va_list args;

    va_start(args, fmt);
    int wanted = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    mend_end(text, sizeof text, (size_t)wanted);
    size_t bytes = strlen(text) + 1;
    char *copy = turn_alloc(l, bytes);
    if (copy == NULL)
        return "";
    memcpy(copy, text, bytes);
    return copy;
}

struct effect *effect_add(struct ledger *l, enum effect_type type)
{
    static struct effect nowhere; /* without memory: the turn fails anyway */

    if (l->effect_count == l->effect_room) {
        size_t room = l->effect_room * 2 + 64;
        struct effect *grown = realloc(l->effects, room * sizeof *grown);
        if (grown == NULL) {
            (void)fail(l, -ENOMEM);
            return &nowhere;
        }
        l->effects = grown;
        l->effect_room = room;
    }
    struct effect *effect = &l->effects[l->effect_count++];
    *effect = (struct effect){.type = type};
    return effect;
}

struct effect *note(struct ledger *l, const char *word,
                    const struct live_run *run, const struct lease *lease,
                    const char *text)
{
    struct effect *e = effect_add(l, EFFECT_NOTE);

    e->word = word;
    e->text = text != NULL ? turn_text(l, "%s", text) : NULL;
    if (run != NULL) {
        e->run = run->id;
        e->attempt = run->attempt;
        e->pool = l->pools[run->wanted].config.name;
    }
    if (lease != NULL) {
        e->pool = l->pools[lease->pool].config.name;
        e->agent = turn_text(l, "%s", lease->agent->name);
    }
    return e;
}

void copy_text(char *to, size_t room, const char *from)
{
    int wanted = snprintf(to, room, "%s", from != NULL ? from : "");

    mend_end(to, room, (size_t)wanted);
}

/* splitmix64 (Steele, Lea, Flood 2014): small, fast, and the same everywhere,
 * which is what a replayable simulation needs. */
uint64_t next_random(struct ledger *l)
{
    uint64_t z = l->random += 0x9e3779b97f4a7c15ULL;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

/* ---- the turn -------------------------------------------------------- */

int ledger_begin(struct ledger *l, uint64_t now_ms, int64_t now_unix_ms)
{
    for (size_t i = 0; i < l->kept_count; i++)
        free(l->kept[i]);
    l->kept_count = 0;
    l->effect_count = 0;
    l->fresh = NULL;
    l->fresh_end = &l->fresh;
    assert(l->dirty == NULL);
    l->now_ms = now_ms;
    l->now_unix_ms = now_unix_ms;
    l->error = 0;
    l->store_permille = store_used_permille(l->store);
    return fail(l, store_begin(l->store));
}

static int timer_fires(struct ledger *l, struct timer *timer)
{
    struct live_run *run;
    struct lease *lease;

    timers_clear(&l->timers, timer);
    switch ((enum timer_kind)timer->kind) {
    case TIMER_LEASE:
        lease = container_of(timer, struct lease, timer);
        return lease->accepted ? lease_lose(l, lease, "its lease lapsed")
                               : lease_return(l, lease, "not accepted in time");
    case TIMER_RUN:
        run = container_of(timer, struct live_run, timer);
        /* It has had its turn, or none yet: a new place at the end. */
        run->waiter.order_ms = order_of(l, run->waiter.priority);
        run->queued_unix_ms = l->now_unix_ms;
        run_move(l, run, RUN_QUEUED);
        note(l, "run.due", run, NULL, NULL);
        return run_queue(l, run);
    case TIMER_POOL:
        return pool_due(l, container_of(timer, struct pool, timer));
    case TIMER_FORGET:
        return agent_due(l, container_of(timer, struct agent, forget));
    case TIMER_NEWS:
        news_due(l);
        return 0;
    case TIMER_GUARD:
    case TIMER_REST:
        l->look = true;
        return 0;
    }
    return 0;
}

static int fire_due(struct ledger *l)
{
    struct timer *first;
    int err = 0;

    while (err == 0 && (first = timers_first(&l->timers)) != NULL &&
           first->due_ms <= l->now_ms)
        err = timer_fires(l, first);
    return err;
}

/* The decision of a submission that was not granted a slot in its turn: it
 * waits, if only because the turn had handed out enough. */
void fresh_decide(struct ledger *l, struct fresh *f)
{
    struct decision *decision = &f->origin.decision;
    const struct live_run *run = f->run;

    decide(l, run->wanted, run->need, run->size_bytes, run->fallback_forbidden,
           0, l->now_ms, decision);
    if (run->scheduled_for != WAIT_NONE)
        decision->reason = run->scheduled_for;
    else if (decision->chosen >= 0)
        decision->reason =
            l->draining ? WAIT_BROKER_DRAINING : WAIT_HIGHER_PRIORITY;
    decision->chosen = -1;
    f->decided = true;
}

static int put_encoded(struct ledger *l, enum store_table table,
                       const struct run_id *id, void *bytes, size_t len)
{
    int err = store_put(l->store, table, id->b, sizeof id->b, bytes, len);

    free(bytes);
    return err;
}

static int write_fresh(struct ledger *l, struct fresh *f)
{
    void *origin, *plan;
    size_t len;

    if (!f->decided)
        fresh_decide(l, f);
    int err = origin_encode(&f->origin, &origin, &len);
    if (err == 0)
        err = put_encoded(l, STORE_ORIGIN, &f->id, origin, len);
    if (err == 0)
        err = plan_encode(f->plan, f->parameters, &plan, &len);
    if (err == 0)
        err = put_encoded(l, STORE_PLAN, &f->id, plan, len);
    if (err == 0 && f->run != NULL)
        f->run->fresh = NULL;
    return err;
}

static void put_u64(uint8_t to[8], uint64_t value)
{
    for (int i = 0; i < 8; i++)
        to[i] = (uint8_t)(value >> (56 - 8 * i));
}

/* LIVE keeps how far the output of the current attempt has come: where the
 * agent resumes after the broker was restarted, and what is missing. */
static int write_live(struct ledger *l, const struct live_run *run)
{
    uint8_t value[LIVE_BYTES] = {0};

    if (run->lease != NULL) {
        put_u64(value, run->lease->events);
        put_u64(value + 8, run->lease->log_bytes);
        put_u64(value + 16, run->lease->log_dropped);
        value[24] = run->lease->gap ? 1 : 0;
    }
    return store_put(l->store, STORE_LIVE, run->id.b, sizeof run->id.b, value,
                     sizeof value);
}

static int write_dirty(struct ledger *l)
{
    int err = 0;

    for (struct fresh *f = l->fresh; f != NULL && err == 0; f = f->next)
        err = write_fresh(l, f);
    while (l->dirty != NULL) {
        struct live_run *run = l->dirty;
        l->dirty = run->dirty_next;
        if (err == 0 && (run->dirty & DIRTY_RUN) != 0) {
            struct run_record record = record_of(l, run);
            err = write_run(l, &run->id, &record);
        }
        if (err == 0 && (run->dirty & DIRTY_EVENTS) != 0 && run->lease != NULL)
            err = news_write(l, run->lease);
        if (err == 0 && (run->dirty & DIRTY_EVENTS) != 0)
            err = write_live(l, run);
        if (run->dirty == DIRTY_ENDED)
            run_free(l, run);
        else
            run->dirty = 0;
    }
    return err;
}

int ledger_commit(struct ledger *l, const struct effect **ret_effects,
                  size_t *ret_count)
{
    int err = l->error;

    if (err == 0)
        err = fire_due(l);
    if (err == 0 && l->look)
        err = settle(l);
    if (err == 0)
        err = write_dirty(l);
    if (err == 0)
        err = l->error;
    if (err == 0)
        err = store_commit(l->store);
    else
        store_abort(l->store);
    if (err != 0) {
        l->error = err;
        return err;
    }
    *ret_effects = l->effects;
    *ret_count = l->effect_count;
    return 0;
}

uint64_t ledger_next_ms(const struct ledger *l)
{
    const struct timer *first = timers_first(&l->timers);

    if (l->look)
        return 0; /* more to hand out than one turn may */
    return first != NULL ? first->due_ms : UINT64_MAX;
}

void ledger_drain(struct ledger *l)
{
    l->draining = true;
}

size_t ledger_live(const struct ledger *l)
{
    size_t live = 0;

    for (size_t i = 0; i < l->pool_count; i++)
        live += l->pools[i].leases.count;
    return live;
}

/* ---- opening --------------------------------------------------------- */

void ledger_config_default(struct ledger_config *ret)
{
    static const struct pool_config pools[] = {
        {.name = "default",
         .aliases = {"default-agent-pool"},
         .alias_count = 1,
         .limit = 5,
         .max_size = (int64_t)1 << 30,
         .waiting_max = 100000,
         .fallback = {{.pool = "etl", .size_below = -1},
                      {.pool = "high-memory", .size_below = -1}},
         .fallback_count = 2},
        {.name = "etl",
         .aliases = {"etl-pool"},
         .alias_count = 1,
         .limit = 3,
         .max_size = (int64_t)1 << 30,
         .waiting_max = 100000,
         .fallback = {{.pool = "default", .size_below = -1},
                      {.pool = "high-memory", .size_below = -1}},
         .fallback_count = 2},
        {.name = "high-memory",
         .aliases = {"high-memory-pool"},
         .alias_count = 1,
         .limit = 2,
         .max_size = -1,
         .waiting_max = 100000,
         /* Only a run whose size is known to fit may use the small pools. */
         .fallback = {{.pool = "etl", .size_below = (int64_t)1 << 30},
                      {.pool = "default", .size_below = (int64_t)1 << 30}},
         .fallback_count = 2},
    };

    *ret = (struct ledger_config){
        .pool_count = 3,
        .lease_ms = 30000,
        .accept_ms = 5000,
        .margin_ms = 2000,
        .ageing_ms = 300000,
        .cancel_grace_ms = 10000,
    };
    memcpy(ret->pools, pools, sizeof pools);
}

int ledger_config_pool(const struct ledger_config *config, const char *name)
{
    for (size_t i = 0; i < config->pool_count; i++) {
        const struct pool_config *pool = &config->pools[i];
        if (strcmp(pool->name, name) == 0)
            return (int)i;
        for (size_t a = 0; a < pool->alias_count; a++)
            if (strcmp(pool->aliases[a], name) == 0)
                return (int)i;
    }
    return -1;
}

static int name_matches(const struct index_entry *entry, const void *key,
                        size_t key_bytes)
{
    const struct agent *agent =
        container_of_const(entry, struct agent, by_name);

    return strlen(agent->name) == key_bytes &&
           memcmp(agent->name, key, key_bytes) == 0;
}

static int session_matches(const struct index_entry *entry, const void *key,
                           size_t key_bytes)
{
    const struct agent *agent =
        container_of_const(entry, struct agent, by_session);

    return memcmp(&agent->session, key, key_bytes) == 0;
}

int ledger_open(struct store *store, const struct ledger_config *config,
                uint64_t now_ms, int64_t now_unix_ms, uint64_t seed,
                struct ledger **ret_ledger, char ret_why[STORE_WHY_MAX])
{
    struct ledger *l = calloc(1, sizeof *l);
    if (l == NULL)
        goto no_memory;
    l->store = store;
    l->config = *config;
    l->random = seed;
    l->guard.kind = TIMER_GUARD;
    l->news.kind = TIMER_NEWS;
    int err = index_init(&l->runs, run_matches, next_random(l));
    if (err == 0)
        err = index_init(&l->needs, need_matches, next_random(l));
    if (err == 0)
        err = index_init(&l->agents_by_name, name_matches, next_random(l));
    if (err == 0)
        err =
            index_init(&l->agents_by_session, session_matches, next_random(l));
    if (err != 0)
        goto no_memory;

    copy_text(ret_why, STORE_WHY_MAX, "");
    err = ledger_begin(l, now_ms, now_unix_ms);
    if (err == 0)
        err = pools_init(l);
    if (err == 0)
        err = pools_load(l);
    if (err == 0)
        err = agents_load(l);
    if (err == 0)
        err = boot_runs(l, ret_why);
    store_abort(store); /* only read; what is due the first turn does */
    if (err != 0) {
        if (ret_why[0] == '\0')
            (void)snprintf(ret_why, STORE_WHY_MAX,
                           "cannot read the runs back from the store: %s",
                           strerror(-err));
        ledger_close(&l);
        return err;
    }
    *ret_ledger = l;
    return 0;

no_memory:
    ledger_close(&l);
    copy_text(ret_why, STORE_WHY_MAX, "no memory");
    return -ENOMEM;
}

static void close_runs(struct ledger *l)
{
    for (size_t i = 0; i < l->runs.bucket_count; i++) {
        while (l->runs.buckets[i] != NULL) {
            struct live_run *run =
                container_of(l->runs.buckets[i], struct live_run, entry);
            line_remove(&run->waiter);
            timers_clear(&l->timers, &run->timer);
            if (run->lease != NULL)
                lease_free(l, run->lease);
            index_remove(&l->runs, &run->entry);
            run_dirty(l, run, DIRTY_RUN); /* the list frees them */
        }
    }
    while (l->dirty != NULL) {
        struct live_run *run = l->dirty;
        l->dirty = run->dirty_next;
        run_free(l, run);
    }
}

void ledger_close(struct ledger **ledger_p)
{
    struct ledger *l = *ledger_p;

    if (l == NULL)
        return;
    store_abort(l->store); /* a turn in progress ends without effect */
    close_runs(l);
    for (size_t i = 0; i < l->agent_count; i++)
        agent_free(l->agents[i]);
    for (size_t i = 0; i < l->kept_count; i++)
        free(l->kept[i]);
    free(l->kept);
    free(l->effects);
    free(l->need_bits);
    timers_free(&l->timers);
    index_free(&l->runs);
    index_free(&l->needs);
    index_free(&l->agents_by_name);
    index_free(&l->agents_by_session);
    free(l);
    *ledger_p = NULL;
}

void key_u32(uint8_t key[ATTEMPT_KEY], const struct run_id *id, uint32_t n)
{
    memcpy(key, id->b, sizeof id->b);
    for (int i = 0; i < 4; i++)
        key[16 + i] = (uint8_t)(n >> (24 - 8 * i));
}

void key_log(uint8_t key[LOG_KEY], const struct run_id *id, uint32_t attempt,
             uint64_t event)
{
    key_u32(key, id, attempt);
    for (int i = 0; i < 8; i++)
        key[20 + i] = (uint8_t)(event >> (56 - 8 * i));
}
