/*
 * test_ledger_walk.c - a random walk over all inputs of the ledger, with agents
 * that lose things and crashes between and within turns; then everything works
 * again, and everything must end. One seed, one walk.
 */
#include "tests/unit/ledger_fixture.h"

/* ---- the random walk ------------------------------------------------- */

enum { AGENTS = 4, SLOTS = 4, HELD_MAX = 64, RUNS_MAX = 400 };

struct walker {
    char name[2];
    uint64_t session; /* 0: not connected */
    uint8_t boot;
    struct effect_attempt held[HELD_MAX];
    size_t held_count;
};

struct world {
    struct walker agents[AGENTS];
    uint64_t session, random;
    struct run_id runs[RUNS_MAX];
    enum run_state states[RUNS_MAX]; /* as last seen */
    size_t run_count;
};

static uint32_t any(struct world *w, uint32_t below)
{
    w->random = w->random * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)(w->random >> 33) % below;
}

static struct walker *walker_of(struct world *w, uint64_t session)
{
    for (int i = 0; i < AGENTS; i++)
        if (session != 0 && w->agents[i].session == session)
            return &w->agents[i];
    return NULL;
}

static void forget(struct walker *a, struct run_id id, uint32_t attempt)
{
    for (size_t i = 0; i < a->held_count; i++)
        if (same_id(a->held[i].run, id) && a->held[i].attempt == attempt) {
            a->held[i] = a->held[--a->held_count];
            return;
        }
}

/* What is pushed respects limit, state and slots at that instant. */
static void check_push(struct fixture *f, const struct effect *e)
{
    struct board *board = board_of(f);
    struct attempt_record *attempt = attempt_of(f, e->run, e->attempt);
    int at = ledger_config_pool(&f->config, e->pool);

    assert_true(board->pools[at].used <= board->pools[at].config.limit);
    assert_true(board->pools[at].state == POOL_OPEN ||
                board->pools[at].state == POOL_CLOSED);
    for (size_t i = 0; i < board->agent_count; i++)
        if (strcmp(board->agents[i].name, attempt->agent) == 0) {
            assert_int_equal(board->agents[i].state, POOL_OPEN);
            assert_int_equal(board->agents[i].health, AGENT_OK);
            assert_true(board->agents[i].used <= board->agents[i].slots);
        }
    free(attempt);
    free(board);
}

static void carry_out(struct fixture *f)
{
    struct world *w = f->world;

    for (size_t i = 0; i < f->effect_count; i++) {
        const struct effect *e = &f->effects[i];
        struct walker *a = walker_of(w, e->session);
        if (e->type == EFFECT_PUSH) {
            check_push(f, e);
            assert_non_null(a);
            assert_true(a->held_count < HELD_MAX);
            a->held[a->held_count++] = (struct effect_attempt){
                .run = e->run, .attempt = e->attempt, .keep = true};
        }
        if (a == NULL)
            continue;
        if (e->type == EFFECT_ACK)
            forget(a, e->run, e->attempt);
        for (size_t k = 0; k < e->attempt_count; k++)
            if (e->type == EFFECT_RENEWED || !e->attempts[k].keep)
                forget(a, e->attempts[k].run, e->attempts[k].attempt);
    }
    /* What has ended stays as it ended. */
    for (size_t i = 0; i < w->run_count; i++) {
        enum run_state is = state_of(f, w->runs[i]);
        if (run_state_is_final(w->states[i]))
            assert_int_equal(is, w->states[i]);
        w->states[i] = is;
    }
}

static void walk_submit(struct fixture *f, struct world *w)
{
    static const char *const pools[] = {"default", "etl-pool", "high-memory"};
    struct origin origin = want(pools[any(w, 3)]);
    struct run_id made[3];
    size_t count = 0;

    begin(f);
    for (uint32_t n = any(w, 3) + 1; n > 0 && w->run_count + count < RUNS_MAX;
         n--) {
        origin.priority = (enum run_priority)any(w, 3);
        origin.features.size_bytes = (int64_t)any(w, 3) * GIB - 1;
        origin.fallback_forbidden = any(w, 4) == 0;
        origin.retry = (struct retry_rule){.retries = any(w, 3),
                                           .on_lost = (enum on_lost)any(w, 3),
                                           .repeatable = any(w, 2) == 0};
        origin.start_at_unix_ms =
            any(w, 5) == 0 ? f->now_unix_ms + any(w, 9000) : 0;
        struct admission admission = ask(f, &origin);
        if (admission.answer == ADMIT_OK)
            made[count++] = admission.run;
    }
    commit(f);
    for (size_t i = 0; i < count; i++) {
        w->states[w->run_count] = RUN_SCHEDULED;
        w->runs[w->run_count++] = made[i];
    }
}

static void walk_hello(struct fixture *f, struct world *w, struct walker *a)
{
    static const char *const two[] = {"default", "etl"};
    struct agent_hello said = agent(a->name, SLOTS);
    char text[LEDGER_TEXT_MAX];
    enum hello_answer answer;

    if (any(w, 4) == 0) { /* it was restarted, with or without its shepherds */
        a->boot++;
        a->held_count = any(w, 2) == 0 ? 0 : a->held_count;
    }
    if (a->held_count > 0 && any(w, 6) == 0)
        a->held_count--; /* one was lost somehow */
    if (a->name[0] == 'b') {
        said.pools = two;
        said.pool_count = 2;
    }
    said.boot[0] = a->boot;
    said.held = a->held;
    said.held_count = a->held_count;
    begin(f);
    uint64_t before = a->session;
    a->session = ++w->session;
    assert_int_equal(
        ledger_agent_hello(f->ledger, a->session, &said, &answer, text), 0);
    if (answer != HELLO_OK)
        a->session = before;
    commit(f);
}

static void walk_result(struct fixture *f, struct world *w, struct walker *a)
{
    static const enum attempt_outcome outcomes[] = {
        ATTEMPT_COMPLETED, ATTEMPT_COMPLETED, ATTEMPT_FAILED,
        ATTEMPT_TIMED_OUT, ATTEMPT_CANCELLED, ATTEMPT_LAPSED};

    if (a->session == 0 || a->held_count == 0)
        return;
    const struct effect_attempt held = a->held[any(w, (uint32_t)a->held_count)];
    switch (any(w, 8)) {
    case 0:
        begin(f);
        assert_int_equal(ledger_refused(f->ledger, a->session, &held.run,
                                        held.attempt, any(w, 4) == 0, "no"),
                         0);
        forget(a, held.run, held.attempt);
        commit(f);
        break;
    case 1:
        begin(f);
        assert_int_equal(
            ledger_unsent(f->ledger, a->session, &held.run, held.attempt), 0);
        commit(f);
        break;
    case 2:
    case 3:
    case 4:
        accept_run(f, a->session, held.run, held.attempt);
        break;
    default:
        finish(f, a->session, held.run, held.attempt, outcomes[any(w, 6)]);
        break;
    }
}

static void walk_operate(struct fixture *f, struct world *w)
{
    const char *pool = all_pools[any(w, 3)];
    struct pool_change change = {.reset = true,
                                 .set_limit = any(w, 2) == 0,
                                 .limit = any(w, 7),
                                 .set_fallback = any(w, 3) == 0,
                                 .fallback_count = 1};

    switch (any(w, 4)) {
    case 0:
        (void)snprintf(change.fallback[0].pool, POOL_NAME_MAX, "%s",
                       strcmp(pool, "etl") == 0 ? "default" : "etl");
        change.fallback[0].after_ms = any(w, 3000);
        change.fallback[0].size_below = any(w, 2) == 0 ? -1 : GIB;
        assert_int_equal(pool_set(f, pool, &change), 0);
        break;
    case 1:
        begin(f);
        (void)ledger_agent_verb(f->ledger, w->agents[any(w, AGENTS)].name,
                                (enum pool_verb)any(w, 3), "ann", NULL);
        commit(f);
        break;
    default:
        pool_do(f, pool, (enum pool_verb)any(w, 4), (uint64_t)any(w, 2) * 2000);
        break;
    }
}

static void crash(struct fixture *f, struct world *w)
{
    for (int i = 0; i < AGENTS; i++)
        w->agents[i].session = 0;
    reopen(f);
    audit(f);
}

static void step(struct fixture *f, struct world *w)
{
    struct walker *a = &w->agents[any(w, AGENTS)];

    switch (any(w, 16)) {
    case 0:
    case 1:
        walk_submit(f, w);
        break;
    case 2:
    case 3:
        walk_hello(f, w, a);
        break;
    case 4:
        if (any(w, 3) == 0 && a->session != 0) {
            uint64_t session = a->session;
            a->session = 0;
            gone(f, session);
        }
        break;
    case 5:
        walk_operate(f, w);
        break;
    case 6:
        if (w->run_count > 0)
            (void)cancel(f, w->runs[any(w, (uint32_t)w->run_count)]);
        break;
    case 7:
        pass(f, any(w, 4) == 0 ? 15000 : any(w, 2000));
        f->now_unix_ms += any(w, 8) == 0 ? (int64_t)any(w, 6000) - 3000 : 0;
        break;
    case 8:
        if (any(w, 2) == 0) { /* in the middle of a turn */
            struct origin origin = want("default");
            begin(f);
            (void)ask(f, &origin);
        }
        crash(f, w);
        break;
    case 9:
    case 10:
        if (a->session != 0)
            renew(f, a->session, a->held, a->held_count);
        break;
    default:
        walk_result(f, w, a);
        break;
    }
}

/* Everything works again: then everything ends. */
static void heal(struct fixture *f, struct world *w)
{
    struct pool_change reset = {.reset = true};

    for (int p = 0; p < 3; p++) {
        assert_int_equal(pool_set(f, all_pools[p], &reset), 0);
        pool_do(f, all_pools[p], VERB_RESUME, 0);
    }
    for (int i = 0; i < AGENTS; i++) {
        begin(f);
        (void)ledger_agent_verb(f->ledger, w->agents[i].name, VERB_RESUME,
                                "ann", NULL);
        commit(f);
        w->agents[i].boot = 0;
    }
    pass(f, 60000);
    crash(f, w);
    for (int round = 0; round < 2000; round++) {
        struct board *board = board_of(f);
        size_t left = ledger_live(f->ledger) + board->scheduled;
        for (int p = 0; p < 3; p++)
            left += board->pools[p].waiting;
        free(board);
        if (left == 0)
            return;
        for (int i = 0; i < AGENTS; i++) {
            struct walker *a = &w->agents[i];
            if (a->session == 0) {
                struct agent_hello said = agent(a->name, SLOTS);
                a->session = ++w->session;
                a->held_count = 0;
                assert_int_equal(hello(f, a->session, &said), HELLO_OK);
            }
            renew(f, a->session, a->held, a->held_count);
            while (a->held_count > 0)
                finish(f, a->session, a->held[0].run, a->held[0].attempt,
                       ATTEMPT_COMPLETED);
        }
        pass(f, 1000);
    }
    for (size_t i = 0; i < w->run_count; i++)
        if (!run_state_is_final(w->states[i]))
            print_message("# run %zu is %s, was %s\n", i,
                          run_state_name(state_of(f, w->runs[i])),
                          run_state_name(w->states[i]));
    fail_msg("runs are left when everything works");
}

static void any_walk_keeps_the_books_and_ends(void **state)
{
    /* LEDGER_SEED=n replays one; LEDGER_SEEDS=n walks so many. */
    const char *one = getenv("LEDGER_SEED");
    const char *many = getenv("LEDGER_SEEDS");
    uint64_t first = one != NULL ? strtoull(one, NULL, 10) : 1;
    uint64_t last = one != NULL    ? first
                    : many != NULL ? strtoull(many, NULL, 10)
                                   : 60;

    for (uint64_t seed = first; seed <= last; seed++) {
        struct world w = {.random = seed * 2654435761U};
        struct fixture *f;

        print_message("# LEDGER_SEED=%llu\n", (unsigned long long)seed);
        (void)tear_down(state);
        (void)set_up(state);
        f = *state;
        f->over_limit = true; /* checked in check_push() */
        f->world = &w;
        f->each_turn = carry_out;
        for (int i = 0; i < AGENTS; i++)
            w.agents[i] = (struct walker){.name = {(char)('a' + i)}};
        for (int i = 0; i < 300; i++)
            step(f, &w);
        heal(f, &w);
        for (size_t i = 0; i < w.run_count; i++)
            assert_true(run_state_is_final(state_of(f, w.runs[i])));
        f->each_turn = NULL;
    }
}

#define claim(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        claim(any_walk_keeps_the_books_and_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
