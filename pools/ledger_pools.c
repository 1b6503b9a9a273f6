/*
 * ledger_pools.c - the operator's side: pause, resume, drain and close pools
 * and agents, change limits; and how that is kept in the store.
 *
 * Stored values are msgpack arrays with a version first:
 *   AGENT  [1, state, since, until, who, reason]
 *   POOL   the same, then [limit, max_size, waiting_max] with nil for what is
 *          not overridden, then nil or [[pool, after, size_below, free], ...]
 */
#include "pools/books.h"

#include <errno.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STOPPED_VERSION = 1, STOPPED_FIELDS = 6, POOL_FIELDS = 10 };

/* ---- records --------------------------------------------------------- */

static void pack_text(msgpack_packer *pk, const char *text)
{
    size_t bytes = strlen(text);

    msgpack_pack_str(pk, bytes);
    msgpack_pack_str_body(pk, text, bytes);
}

static void pack_stopped(msgpack_packer *pk, const struct stopped *s)
{
    msgpack_pack_int(pk, STOPPED_VERSION);
    msgpack_pack_int(pk, (int)s->state);
    msgpack_pack_int64(pk, s->since_unix_ms);
    msgpack_pack_int64(pk, s->until_unix_ms);
    pack_text(pk, s->who);
    pack_text(pk, s->reason);
}

static void pack_fallback(msgpack_packer *pk, const struct pool_change *c)
{
    if (!c->set_fallback) {
        msgpack_pack_nil(pk);
        return;
    }
    msgpack_pack_array(pk, c->fallback_count);
    for (size_t i = 0; i < c->fallback_count; i++) {
        msgpack_pack_array(pk, 4);
        pack_text(pk, c->fallback[i].pool);
        msgpack_pack_uint32(pk, c->fallback[i].after_ms);
        msgpack_pack_int64(pk, c->fallback[i].size_below);
        msgpack_pack_uint32(pk, c->fallback[i].free_at_least);
    }
}

static void pack_optional(msgpack_packer *pk, bool set, int64_t value)
{
    if (set)
        msgpack_pack_int64(pk, value);
    else
        msgpack_pack_nil(pk);
}

static int write_pool(struct ledger *l, const struct pool *pool)
{
    const struct pool_change *c = &pool->change;
    msgpack_sbuffer buffer;
    msgpack_packer pk;

    msgpack_sbuffer_init(&buffer);
    msgpack_packer_init(&pk, &buffer, msgpack_sbuffer_write);
    msgpack_pack_array(&pk, POOL_FIELDS);
    pack_stopped(&pk, &pool->stopped);
    pack_optional(&pk, c->set_limit, c->limit);
    pack_optional(&pk, c->set_max_size, c->max_size);
    pack_optional(&pk, c->set_waiting_max, c->waiting_max);
    pack_fallback(&pk, c);
    int err = store_put(l->store, STORE_POOL, pool->config.name,
                        strlen(pool->config.name), buffer.data, buffer.size);
    msgpack_sbuffer_destroy(&buffer);
    return fail(l, err);
}

static int write_agent(struct ledger *l, const struct agent *agent)
{
    msgpack_sbuffer buffer;
    msgpack_packer pk;
    int err;

    /* Keys are at most STORE_KEY_MAX bytes; a longer name is kept for as long
     * as the broker runs. */
    if (strlen(agent->name) > STORE_KEY_MAX)
        return 0;
    if (agent->stopped.state == POOL_OPEN)
        return fail(l, store_delete(l->store, STORE_AGENT, agent->name,
                                    strlen(agent->name)));
    msgpack_sbuffer_init(&buffer);
    msgpack_packer_init(&pk, &buffer, msgpack_sbuffer_write);
    msgpack_pack_array(&pk, STOPPED_FIELDS);
    pack_stopped(&pk, &agent->stopped);
    err = store_put(l->store, STORE_AGENT, agent->name, strlen(agent->name),
                    buffer.data, buffer.size);
    msgpack_sbuffer_destroy(&buffer);
    return fail(l, err);
}

static void read_text(const msgpack_object *o, char *to, size_t room)
{
    to[0] = '\0';
    if (o->type == MSGPACK_OBJECT_STR)
        (void)snprintf(to, room, "%.*s", (int)o->via.str.size, o->via.str.ptr);
}

static int64_t read_int(const msgpack_object *o, int64_t otherwise)
{
    if (o->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
        return (int64_t)o->via.u64;
    return o->type == MSGPACK_OBJECT_NEGATIVE_INTEGER ? o->via.i64 : otherwise;
}

static void read_stopped(const msgpack_object *fields, struct stopped *s)
{
    int64_t state = read_int(&fields[1], POOL_OPEN);

    s->state = state >= POOL_OPEN && state <= POOL_CLOSED
                   ? (enum pool_state)state
                   : POOL_OPEN;
    s->since_unix_ms = read_int(&fields[2], 0);
    s->until_unix_ms = read_int(&fields[3], 0);
    read_text(&fields[4], s->who, sizeof s->who);
    read_text(&fields[5], s->reason, sizeof s->reason);
}

static void read_fallback(const msgpack_object *o, struct pool_change *c)
{
    if (o->type != MSGPACK_OBJECT_ARRAY)
        return;
    c->set_fallback = true;
    for (uint32_t i = 0;
         i < o->via.array.size && c->fallback_count < ROUTE_HOPS_MAX - 1; i++) {
        const msgpack_object *hop = &o->via.array.ptr[i];
        if (hop->type != MSGPACK_OBJECT_ARRAY || hop->via.array.size < 4)
            continue;
        struct pool_hop *to = &c->fallback[c->fallback_count++];
        read_text(&hop->via.array.ptr[0], to->pool, sizeof to->pool);
        to->after_ms = (uint32_t)read_int(&hop->via.array.ptr[1], 0);
        to->size_below = read_int(&hop->via.array.ptr[2], -1);
        to->free_at_least = (uint32_t)read_int(&hop->via.array.ptr[3], 0);
    }
}

static void read_change(const msgpack_object *fields, struct pool_change *c)
{
    c->set_limit = fields[6].type != MSGPACK_OBJECT_NIL;
    c->limit = (uint32_t)read_int(&fields[6], 0);
    c->set_max_size = fields[7].type != MSGPACK_OBJECT_NIL;
    c->max_size = read_int(&fields[7], -1);
    c->set_waiting_max = fields[8].type != MSGPACK_OBJECT_NIL;
    c->waiting_max = (uint32_t)read_int(&fields[8], 0);
    read_fallback(&fields[9], c);
}

/* ---- the configuration in force -------------------------------------- */

/* Overrides over the file's configuration; hops that name a pool which is gone
 * from the file are left out. */
static void apply_change(struct ledger *l, struct pool *pool)
{
    const struct pool_change *c = &pool->change;

    pool->config = pool->configured;
    if (c->set_limit)
        pool->config.limit = c->limit;
    if (c->set_max_size)
        pool->config.max_size = c->max_size;
    if (c->set_waiting_max)
        pool->config.waiting_max = c->waiting_max;
    if (c->set_fallback) {
        memcpy(pool->config.fallback, c->fallback, sizeof c->fallback);
        pool->config.fallback_count = c->fallback_count;
    }
    pool->hops[0] = (struct route_hop){
        .pool = (uint16_t)(pool - l->pools),
        .size_below = -1,
    };
    pool->hop_count = 1;
    for (size_t i = 0; i < pool->config.fallback_count; i++) {
        const struct pool_hop *hop = &pool->config.fallback[i];
        int target = ledger_config_pool(&l->config, hop->pool);
        if (target >= 0 && &l->pools[target] != pool)
            pool->hops[pool->hop_count++] = (struct route_hop){
                .pool = (uint16_t)target,
                .after_ms = hop->after_ms,
                .size_below = hop->size_below,
                .free_at_least = hop->free_at_least,
            };
    }
}

int pools_init(struct ledger *l)
{
    l->pool_count = l->config.pool_count;
    for (size_t i = 0; i < l->pool_count; i++) {
        l->pools[i].configured = l->config.pools[i];
        l->pools[i].timer.kind = TIMER_POOL;
        apply_change(l, &l->pools[i]);
    }
    return 0;
}

static int set_until(struct ledger *l, struct pool *pool)
{
    int64_t left_ms = pool->stopped.until_unix_ms - l->now_unix_ms;

    timers_clear(&l->timers, &pool->timer);
    if (pool->stopped.until_unix_ms == 0)
        return 0;
    return fail(l,
                timers_set(&l->timers, &pool->timer,
                           l->now_ms + (uint64_t)(left_ms > 0 ? left_ms : 0)));
}

struct load {
    struct ledger *l;
    int err;
};

static bool load_pool(void *context, struct store_bytes key,
                      struct store_bytes value)
{
    struct load *load = context;
    struct ledger *l = load->l;
    msgpack_unpacked u;
    char name[STORE_KEY_MAX + 1];

    (void)snprintf(name, sizeof name, "%.*s", (int)key.len,
                   (const char *)key.ptr);
    int at = ledger_config_pool(&l->config, name);
    msgpack_unpacked_init(&u);
    if (at >= 0 &&
        msgpack_unpack_next(&u, value.ptr, value.len, NULL) ==
            MSGPACK_UNPACK_SUCCESS &&
        u.data.type == MSGPACK_OBJECT_ARRAY &&
        u.data.via.array.size >= POOL_FIELDS) {
        struct pool *pool = &l->pools[at];
        read_stopped(u.data.via.array.ptr, &pool->stopped);
        read_change(u.data.via.array.ptr, &pool->change);
        apply_change(l, pool);
        load->err = set_until(l, pool);
    }
    msgpack_unpacked_destroy(&u);
    return load->err == 0;
}

int pools_load(struct ledger *l)
{
    struct load load = {l, 0};
    int err = store_scan(l->store, STORE_POOL, NULL, 0, load_pool, &load);

    return err != 0 ? err : load.err;
}

static bool load_agent(void *context, struct store_bytes key,
                       struct store_bytes value)
{
    struct load *load = context;
    msgpack_unpacked u;
    char name[AGENT_NAME_MAX];

    (void)snprintf(name, sizeof name, "%.*s", (int)key.len,
                   (const char *)key.ptr);
    struct agent *agent = agent_add(load->l, name);
    if (agent == NULL) {
        load->err = -ENOMEM;
        return false;
    }
    msgpack_unpacked_init(&u);
    if (msgpack_unpack_next(&u, value.ptr, value.len, NULL) ==
            MSGPACK_UNPACK_SUCCESS &&
        u.data.type == MSGPACK_OBJECT_ARRAY &&
        u.data.via.array.size >= STOPPED_FIELDS)
        read_stopped(u.data.via.array.ptr, &agent->stopped);
    msgpack_unpacked_destroy(&u);
    return true;
}

int agents_load(struct ledger *l)
{
    struct load load = {l, 0};
    int err = store_scan(l->store, STORE_AGENT, NULL, 0, load_agent, &load);

    return err != 0 ? err : load.err;
}

/* ---- lines after a change of configuration --------------------------- */

static int by_order(const void *a, const void *b)
{
    const struct waiter *x = *(struct waiter *const *)a;
    const struct waiter *y = *(struct waiter *const *)b;

    return line_before(x, y) ? -1 : line_before(y, x) ? 1 : 0;
}

/* Which pools a waiting run may fall back to has changed: sort every run of
 * the line into its class anew, in order, so that each is appended. */
static int reline(struct ledger *l, struct pool *pool)
{
    size_t count = line_count(&pool->line), n = 0;
    int err = 0;

    if (count == 0)
        return 0;
    struct waiter **all = malloc(count * sizeof(struct waiter *));
    if (all == NULL)
        return fail(l, -ENOMEM);
    for (struct line_class *c = pool->line.classes; c != NULL; c = c->next)
        for (int q = 0; q < PRIORITIES; q++)
            for (struct waiter *w = c->queues[q].head; w != NULL; w = w->next)
                all[n++] = w;
    assert(n == count);
    qsort(all, count, sizeof(struct waiter *), by_order);
    for (size_t i = 0; i < count; i++)
        line_remove(all[i]);
    for (size_t i = 0; i < count && err == 0; i++)
        err = run_queue(l, container_of(all[i], struct live_run, waiter));
    free(all);
    return err;
}

/* ---- verbs ----------------------------------------------------------- */

static void stop(struct ledger *l, struct stopped *s, enum pool_verb verb,
                 uint64_t for_ms, const char *who, const char *reason)
{
    static const enum pool_state states[] = {
        [VERB_PAUSE] = POOL_PAUSED,
        [VERB_RESUME] = POOL_OPEN,
        [VERB_DRAIN] = POOL_DRAINING,
        [VERB_CLOSE] = POOL_CLOSED,
    };

    s->state = states[verb];
    s->since_unix_ms = l->now_unix_ms;
    s->until_unix_ms = for_ms > 0 && verb != VERB_RESUME
                           ? l->now_unix_ms + (int64_t)for_ms
                           : 0;
    copy_text(s->who, sizeof s->who, who);
    copy_text(s->reason, sizeof s->reason, reason);
    l->look = true;
}

static void note_pool(struct ledger *l, const struct pool *pool,
                      const char *word, const char *who, const char *reason)
{
    struct effect *e = note(l, word, NULL, NULL,
                            turn_text(l, "by %s: %s", who != NULL ? who : "?",
                                      reason != NULL ? reason : ""));

    e->pool = pool->config.name;
}

static const char *verb_word(enum pool_verb verb)
{
    static const char *const words[] = {"pool.paused", "pool.resumed",
                                        "pool.draining", "pool.closed"};

    return words[verb];
}

int ledger_pool_verb(struct ledger *l, const char *name, enum pool_verb verb,
                     uint64_t for_ms, const char *who, const char *reason)
{
    int at = ledger_config_pool(&l->config, name);

    if (at < 0)
        return -ENOENT;
    struct pool *pool = &l->pools[at];
    stop(l, &pool->stopped, verb, for_ms, who, reason);
    note_pool(l, pool, verb_word(verb), who, reason);
    int err = set_until(l, pool);
    return err != 0 ? err : write_pool(l, pool);
}

int pool_due(struct ledger *l, struct pool *pool)
{
    stop(l, &pool->stopped, VERB_RESUME, 0, "the clock",
         "the time it was stopped for is over");
    note_pool(l, pool, verb_word(VERB_RESUME), pool->stopped.who,
              pool->stopped.reason);
    return write_pool(l, pool);
}

static int check_fallback(const struct ledger *l, int self,
                          const struct pool_change *change)
{
    uint64_t seen = 1ULL << self;

    if (change->fallback_count > ROUTE_HOPS_MAX - 1)
        return -EINVAL;
    for (size_t i = 0; i < change->fallback_count; i++) {
        int target = ledger_config_pool(&l->config, change->fallback[i].pool);
        if (target < 0)
            return -ENOENT;
        if ((seen >> target & 1) != 0)
            return -EINVAL;
        seen |= 1ULL << target;
    }
    return 0;
}

static void merge_change(struct pool_change *to, const struct pool_change *c)
{
    if (c->reset)
        *to = (struct pool_change){0};
    if (c->set_limit) {
        to->set_limit = true;
        to->limit = c->limit;
    }
    if (c->set_max_size) {
        to->set_max_size = true;
        to->max_size = c->max_size;
    }
    if (c->set_waiting_max) {
        to->set_waiting_max = true;
        to->waiting_max = c->waiting_max;
    }
    if (c->set_fallback) {
        to->set_fallback = true;
        to->fallback_count = c->fallback_count;
        memcpy(to->fallback, c->fallback, sizeof c->fallback);
    }
}

int ledger_pool_set(struct ledger *l, const char *name,
                    const struct pool_change *change, const char *who)
{
    int at = ledger_config_pool(&l->config, name);
    int err = at < 0 ? -ENOENT : check_fallback(l, at, change);

    if (err != 0)
        return err;
    struct pool *pool = &l->pools[at];
    merge_change(&pool->change, change);
    apply_change(l, pool);
    l->look = true;
    note_pool(l, pool, "pool.changed", who,
              turn_text(l, "limit %u", pool->config.limit));
    /* A new ceiling or list changes who may fall back where, in every line. */
    for (size_t i = 0; i < l->pool_count && err == 0; i++)
        err = reline(l, &l->pools[i]);
    return err != 0 ? err : write_pool(l, pool);
}

int ledger_agent_verb(struct ledger *l, const char *name, enum pool_verb verb,
                      const char *who, const char *reason)
{
    static const char *const words[] = {"agent.paused", "agent.resumed",
                                        "agent.drained", ""};
    struct agent *agent = agent_find(l, name);

    if (verb == VERB_CLOSE)
        return -EINVAL;
    if (agent == NULL)
        return -ENOENT;
    stop(l, &agent->stopped, verb, 0, who, reason);
    struct effect *e = note(l, words[verb], NULL, NULL, reason);
    e->agent = turn_text(l, "%s", agent->name);
    if (verb == VERB_DRAIN && agent->session != 0)
        effect_add(l, EFFECT_DRAIN)->session = agent->session;
    return write_agent(l, agent);
}
