/*
 * ledger_fixture.h - a ledger over a real store in a directory of its own, with
 * a clock that stands still until a test moves it and agents made by hand. The
 * three test_ledger*.c share it; nobody else.
 *
 * Every commit() audits: ledger_audit(), the board against the records in the
 * store, and the limits of all pools. So each test claims that too.
 */
#ifndef TESTS_UNIT_LEDGER_FIXTURE_H
#define TESTS_UNIT_LEDGER_FIXTURE_H

#include "pools/ledger.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { START_MS = 5000 };
#define START_UNIX_MS INT64_C(1790000000000)
#define GIB (INT64_C(1) << 30)

struct fixture {
    char dir[64];
    struct store_options options;
    struct store *store;
    struct ledger *ledger;
    struct ledger_config config;
    uint64_t now_ms;
    int64_t now_unix_ms;
    uint64_t seed;
    bool over_limit; /* a limit was lowered below what runs */
    void (*each_turn)(struct fixture *f); /* after every commit; or NULL */
    void *world;                          /* its own */
    const struct effect *effects;
    size_t effect_count;
};

/* ---- opening and closing ------------------------------------------------ */

static inline void open_all(struct fixture *f)
{
    char why[STORE_WHY_MAX];

    if (store_open(f->dir, &f->options, &f->store, why) != 0 ||
        ledger_open(f->store, &f->config, f->now_ms, f->now_unix_ms, f->seed++,
                    &f->ledger, why) != 0)
        fail_msg("%s", why);
    f->effects = NULL;
    f->effect_count = 0;
}

static inline void close_all(struct fixture *f)
{
    ledger_close(&f->ledger);
    store_close(&f->store);
    f->effect_count = 0;
}

/* A crash between two turns, and a new process. */
static inline void reopen(struct fixture *f)
{
    close_all(f);
    open_all(f);
}

static inline int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    (void)snprintf(f->dir, sizeof f->dir, "%s/test_ledger.XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(f->dir));
    f->options = (struct store_options){.map_bytes = (size_t)64 << 20,
                                        .keep_writes = true,
                                        .unsafe_no_sync = true};
    ledger_config_default(&f->config);
    f->now_ms = START_MS;
    f->now_unix_ms = START_UNIX_MS;
    f->seed = 42;
    open_all(f);
    *state = f;
    return 0;
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;
    char command[128];

    close_all(f);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", f->dir);
    int rc = system(command); /* NOLINT(cert-env33-c): a path of our own */
    free(f);
    return rc;
}

/* ---- what the store says ------------------------------------------------ */

struct stored_bytes {
    uint8_t *ptr;
    size_t len;
};

/* A copy of one value; len SIZE_MAX: not there. */
static inline struct stored_bytes stored(struct fixture *f,
                                         enum store_table table,
                                         const void *key, size_t key_bytes)
{
    struct stored_bytes copy = {NULL, SIZE_MAX};
    struct store_reader *reader;
    struct store_bytes value;

    assert_int_equal(store_reader_open(f->store, &reader), 0);
    assert_int_equal(store_read_begin(reader), 0);
    if (store_read(reader, table, key, key_bytes, &value) == 0) {
        copy.ptr = malloc(value.len + 1);
        assert_non_null(copy.ptr);
        if (value.len > 0)
            memcpy(copy.ptr, value.ptr, value.len);
        copy.len = value.len;
    }
    store_read_end(reader);
    store_reader_close(&reader);
    return copy;
}

static inline bool is_stored(struct fixture *f, enum store_table table,
                             const void *key, size_t key_bytes)
{
    struct stored_bytes bytes = stored(f, table, key, key_bytes);

    free(bytes.ptr);
    return bytes.len != SIZE_MAX;
}

/* The record of a run; to be freed. */
static inline struct run_record *record(struct fixture *f, struct run_id id)
{
    struct stored_bytes bytes = stored(f, STORE_RUN, id.b, sizeof id.b);
    struct run_record *run;

    assert_int_not_equal(bytes.len, SIZE_MAX);
    assert_int_equal(run_decode(bytes.ptr, bytes.len, &run), 0);
    free(bytes.ptr);
    return run;
}

static inline void attempt_key(uint8_t key[20], struct run_id id, uint32_t n)
{
    memcpy(key, id.b, sizeof id.b);
    for (int i = 0; i < 4; i++)
        key[16 + i] = (uint8_t)(n >> (24 - 8 * i));
}

/* The record of an attempt; to be freed. */
static inline struct attempt_record *attempt_of(struct fixture *f,
                                                struct run_id id, uint32_t n)
{
    struct attempt_record *attempt;
    uint8_t key[20];

    attempt_key(key, id, n);
    struct stored_bytes bytes = stored(f, STORE_ATTEMPT, key, sizeof key);
    assert_int_not_equal(bytes.len, SIZE_MAX);
    assert_int_equal(attempt_decode(bytes.ptr, bytes.len, &attempt), 0);
    free(bytes.ptr);
    return attempt;
}

static inline struct origin *origin_of(struct fixture *f, struct run_id id)
{
    struct stored_bytes bytes = stored(f, STORE_ORIGIN, id.b, sizeof id.b);
    struct origin *origin;

    assert_int_not_equal(bytes.len, SIZE_MAX);
    assert_int_equal(origin_decode(bytes.ptr, bytes.len, &origin), 0);
    free(bytes.ptr);
    return origin;
}

static inline void plant(struct fixture *f, enum store_table table,
                         const void *key, size_t key_bytes, const void *value,
                         size_t value_bytes)
{
    assert_int_equal(store_begin(f->store), 0);
    assert_int_equal(
        store_put(f->store, table, key, key_bytes, value, value_bytes), 0);
    assert_int_equal(store_commit(f->store), 0);
}

/* ---- the board against the store ---------------------------------------- */

struct count {
    struct fixture *f;
    struct store_reader *reader;
    uint32_t used[POOLS_MAX], waiting[POOLS_MAX], scheduled;
};

static inline bool count_live(void *context, struct store_bytes key,
                              struct store_bytes value)
{
    struct count *count = context;
    struct run_record *run;
    struct origin *origin;

    assert_int_equal(
        store_read(count->reader, STORE_RUN, key.ptr, key.len, &value), 0);
    assert_int_equal(run_decode(value.ptr, value.len, &run), 0);
    assert_int_equal(
        store_read(count->reader, STORE_ORIGIN, key.ptr, key.len, &value), 0);
    assert_int_equal(origin_decode(value.ptr, value.len, &origin), 0);
    if (run_state_holds_slot(run->state))
        count->used[ledger_config_pool(&count->f->config, run->pool)]++;
    else if (run->state == RUN_QUEUED)
        count->waiting[ledger_config_pool(&count->f->config,
                                          origin->wanted_pool)]++;
    else
        count->scheduled++;
    free(run);
    free(origin);
    return true;
}

static inline void check_board(struct fixture *f)
{
    struct count count = {.f = f};
    struct board *board;

    assert_int_equal(store_reader_open(f->store, &count.reader), 0);
    assert_int_equal(store_read_begin(count.reader), 0);
    assert_int_equal(store_walk(count.reader, STORE_LIVE, NULL, 0, false,
                                count_live, &count),
                     0);
    store_read_end(count.reader);
    store_reader_close(&count.reader);

    assert_int_equal(ledger_board(f->ledger, f->now_ms, f->now_unix_ms, &board),
                     0);
    assert_int_equal(board->turn, store_turn(f->store));
    assert_int_equal(board->scheduled, count.scheduled);
    for (size_t i = 0; i < board->pool_count; i++) {
        const struct board_pool *pool = &board->pools[i];
        uint32_t reasons = 0;
        assert_int_equal(pool->used, count.used[i]);
        assert_int_equal(pool->waiting, count.waiting[i]);
        if (!f->over_limit)
            assert_true(pool->used <= pool->config.limit);
        for (size_t r = 0; r < WAIT_REASONS; r++)
            reasons += pool->reasons[r];
        assert_int_equal(reasons, pool->waiting);
        assert_int_equal(pool->reasons[WAIT_NONE], 0);
        assert_true((pool->oldest_queued_unix_ms == 0) == (pool->waiting == 0));
    }
    free(board);
}

static inline void audit(struct fixture *f)
{
    char why[STORE_WHY_MAX];

    if (ledger_audit(f->ledger, why) != 0)
        fail_msg("%s", why);
    check_board(f);
}

/* ---- turns -------------------------------------------------------------- */

static inline void begin(struct fixture *f)
{
    assert_int_equal(ledger_begin(f->ledger, f->now_ms, f->now_unix_ms), 0);
}

static inline void commit(struct fixture *f)
{
    assert_int_equal(ledger_commit(f->ledger, &f->effects, &f->effect_count),
                     0);
    audit(f);
    if (f->each_turn != NULL)
        f->each_turn(f);
}

static inline void idle(struct fixture *f)
{
    begin(f);
    commit(f);
}

/* Lets time pass as the broker does: a turn whenever the ledger wants one. */
static inline void pass(struct fixture *f, uint64_t ms)
{
    uint64_t end_ms = f->now_ms + ms;
    uint64_t next_ms;

    while ((next_ms = ledger_next_ms(f->ledger)) <= end_ms) {
        if (next_ms > f->now_ms) {
            f->now_unix_ms += (int64_t)(next_ms - f->now_ms);
            f->now_ms = next_ms;
        }
        idle(f);
    }
    f->now_unix_ms += (int64_t)(end_ms - f->now_ms);
    f->now_ms = end_ms;
}

/* ---- agents ------------------------------------------------------------- */

static const char *const all_pools[] = {"default", "etl", "high-memory"};
static const char *const some_caps[] = {"kind:http", "kind:command"};

/* An agent for all pools; boot byte 1. */
static inline struct agent_hello agent(const char *name, uint32_t slots)
{
    return (struct agent_hello){
        .name = name,
        .boot = {1},
        .slots = slots,
        .pools = all_pools,
        .pool_count = 3,
        .caps = some_caps,
        .cap_count = 2,
        .host = "here",
        .software = "test",
        .pid = 7,
    };
}

static inline enum hello_answer hello(struct fixture *f, uint64_t session,
                                      const struct agent_hello *said)
{
    char text[LEDGER_TEXT_MAX];
    enum hello_answer answer;

    begin(f);
    assert_int_equal(
        ledger_agent_hello(f->ledger, session, said, &answer, text), 0);
    commit(f);
    return answer;
}

static inline void join(struct fixture *f, uint64_t session, const char *name,
                        uint32_t slots)
{
    struct agent_hello said = agent(name, slots);

    assert_int_equal(hello(f, session, &said), HELLO_OK);
}

/* An agent for one pool only. */
static inline void join_pool(struct fixture *f, uint64_t session,
                             const char *name, const char *pool, uint32_t slots)
{
    struct agent_hello said = agent(name, slots);

    said.pools = &pool;
    said.pool_count = 1;
    assert_int_equal(hello(f, session, &said), HELLO_OK);
}

static inline void gone(struct fixture *f, uint64_t session)
{
    begin(f);
    assert_int_equal(ledger_agent_gone(f->ledger, session, "test"), 0);
    commit(f);
}

static inline void renew(struct fixture *f, uint64_t session,
                         const struct effect_attempt *held, size_t count)
{
    begin(f);
    assert_int_equal(ledger_renew(f->ledger, session, 9, held, count), 0);
    commit(f);
}

/* ---- runs --------------------------------------------------------------- */

static inline struct origin want(const char *pool)
{
    return (struct origin){
        .workflow = "copy",
        .features = {.nodes = 1, .size_bytes = -1},
        .rule = "small",
        .rule_why = "no earlier rule matched",
        .wanted_pool = pool,
        .requires = {"kind:command"},
        .requires_count = 1,
        .priority = PRIORITY_NORMAL,
        .who = "tester",
    };
}

/* Within a turn. */
static inline struct admission ask(struct fixture *f,
                                   const struct origin *origin)
{
    static const struct span plan = {"{\"nodes\":[]}", 12};
    struct admission admission;

    assert_int_equal(ledger_submit(f->ledger, origin, plan,
                                   (struct span){"{}", 2}, &admission),
                     0);
    return admission;
}

/* A turn of its own. */
static inline struct run_id submit_as(struct fixture *f,
                                      const struct origin *origin)
{
    begin(f);
    struct admission admission = ask(f, origin);
    if (admission.answer != ADMIT_OK)
        fail_msg("refused: %s", admission.text);
    commit(f);
    return admission.run;
}

static inline struct run_id submit(struct fixture *f, const char *pool)
{
    struct origin origin = want(pool);

    return submit_as(f, &origin);
}

/* Time passes first. */
static inline struct run_id
submit_at(struct fixture *f, enum run_priority priority, int64_t after_ms)
{
    struct origin origin = want("default");

    origin.priority = priority;
    f->now_ms += (uint64_t)after_ms;
    f->now_unix_ms += after_ms;
    return submit_as(f, &origin);
}

static inline void submit_many(struct fixture *f, const char *pool,
                               struct run_id *ret, size_t count)
{
    struct origin origin = want(pool);

    begin(f);
    for (size_t i = 0; i < count; i++) {
        struct admission admission = ask(f, &origin);
        assert_int_equal(admission.answer, ADMIT_OK);
        ret[i] = admission.run;
    }
    commit(f);
}

static inline void accept_run(struct fixture *f, uint64_t session,
                              struct run_id id, uint32_t attempt)
{
    begin(f);
    assert_int_equal(
        ledger_accepted(f->ledger, session, &id, attempt, f->now_unix_ms, 3),
        0);
    commit(f);
}

static inline void finish(struct fixture *f, uint64_t session, struct run_id id,
                          uint32_t attempt, enum attempt_outcome outcome)
{
    struct result result = {
        .outcome = outcome,
        .started_unix_ms = f->now_unix_ms,
        .ended_unix_ms = f->now_unix_ms,
        .error = outcome == ATTEMPT_COMPLETED ? NULL : "it went wrong",
    };

    begin(f);
    assert_int_equal(ledger_result(f->ledger, session, &id, attempt, &result),
                     0);
    commit(f);
}

static inline enum cancel_answer cancel(struct fixture *f, struct run_id id)
{
    enum cancel_answer answer;

    begin(f);
    assert_int_equal(
        ledger_cancel(f->ledger, &id, "ann", "not needed", &answer), 0);
    commit(f);
    return answer;
}

static inline enum run_state state_of(struct fixture *f, struct run_id id)
{
    struct run_record *run = record(f, id);
    enum run_state state = run->state;

    free(run);
    return state;
}

#define assert_state(f, id, wanted)                                            \
    assert_string_equal(run_state_name(state_of(f, id)), run_state_name(wanted))

static inline uint32_t attempts(struct fixture *f, struct run_id id)
{
    struct run_record *run = record(f, id);
    uint32_t attempt = run->attempt;

    free(run);
    return attempt;
}

/* The pool whose slot a run has, "" for none. Borrowed from the config. */
static inline const char *pool_of(struct fixture *f, struct run_id id)
{
    struct run_record *run = record(f, id);
    int pool =
        run->pool != NULL ? ledger_config_pool(&f->config, run->pool) : -1;

    free(run);
    return pool >= 0 ? f->config.pools[pool].name : "";
}

static inline struct explanation explained(struct fixture *f, struct run_id id)
{
    struct explanation e;

    assert_int_equal(ledger_explain(f->ledger, &id, f->now_ms, &e), 0);
    return e;
}

#define assert_waits(f, id, why)                                               \
    assert_string_equal(wait_reason_name(explained(f, id).reason),             \
                        wait_reason_name(why))

/* ---- verbs -------------------------------------------------------------- */

static inline void pool_do(struct fixture *f, const char *pool,
                           enum pool_verb verb, uint64_t for_ms)
{
    begin(f);
    assert_int_equal(
        ledger_pool_verb(f->ledger, pool, verb, for_ms, "ann", "because"), 0);
    commit(f);
}

static inline void agent_do(struct fixture *f, const char *name,
                            enum pool_verb verb)
{
    begin(f);
    assert_int_equal(ledger_agent_verb(f->ledger, name, verb, "ann", "because"),
                     0);
    commit(f);
}

static inline int pool_set(struct fixture *f, const char *pool,
                           const struct pool_change *change)
{
    begin(f);
    int err = ledger_pool_set(f->ledger, pool, change, "ann");
    commit(f);
    return err;
}

static inline void set_limit(struct fixture *f, const char *pool,
                             uint32_t limit)
{
    struct pool_change change = {.set_limit = true, .limit = limit};

    assert_int_equal(pool_set(f, pool, &change), 0);
}

static inline struct board *board_of(struct fixture *f)
{
    struct board *board;

    assert_int_equal(ledger_board(f->ledger, f->now_ms, f->now_unix_ms, &board),
                     0);
    return board;
}

static inline uint32_t used_in(struct fixture *f, size_t pool)
{
    struct board *board = board_of(f);
    uint32_t used = board->pools[pool].used;

    free(board);
    return used;
}

/* ---- effects of the last turn ------------------------------------------- */

static inline size_t effects_of(const struct fixture *f, enum effect_type type)
{
    size_t count = 0;

    for (size_t i = 0; i < f->effect_count; i++)
        count += f->effects[i].type == type;
    return count;
}

/* The first of a type, for this run (NULL: any); NULL: there is none. */
static inline const struct effect *effect_of(const struct fixture *f,
                                             enum effect_type type,
                                             const struct run_id *id)
{
    for (size_t i = 0; i < f->effect_count; i++)
        if (f->effects[i].type == type &&
            (id == NULL ||
             memcmp(f->effects[i].run.b, id->b, sizeof id->b) == 0))
            return &f->effects[i];
    return NULL;
}

static inline const struct effect *noted(const struct fixture *f,
                                         const char *word)
{
    for (size_t i = 0; i < f->effect_count; i++)
        if (f->effects[i].type == EFFECT_NOTE &&
            strcmp(f->effects[i].word, word) == 0)
            return &f->effects[i];
    return NULL;
}

static inline bool same_id(struct run_id a, struct run_id b)
{
    return memcmp(a.b, b.b, sizeof a.b) == 0;
}

#endif
