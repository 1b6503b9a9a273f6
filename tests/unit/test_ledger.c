/*
 * test_ledger.c - what waits and what starts: admission, limits, fallbacks,
 * order, the operator's verbs on pools. Cancelling, times and questions are in
 * test_ledger_turn.c, agents in test_ledger_agents.c, restarts in
 * test_ledger_boot.c.
 */
#include "tests/unit/ledger_fixture.h"

/* ---- submissions ----------------------------------------------------- */

static void a_submission_is_granted_in_the_same_turn(void **state)
{
    struct fixture *f = *state;

    join(f, 1, "a", 10);
    struct run_id id = submit(f, "default");
    const struct effect *push = effect_of(f, EFFECT_PUSH, &id);

    assert_non_null(push);
    assert_int_equal(push->session, 1);
    assert_int_equal(push->attempt, 1);
    assert_string_equal(push->pool, "default");
    assert_int_equal(push->lease_ms, f->config.accept_ms);
    assert_state(f, id, RUN_PENDING);
    assert_string_equal(pool_of(f, id), "default");
    assert_int_equal(ledger_live(f->ledger), 1);
}

static void nothing_is_stored_of_a_turn_that_is_not_committed(void **state)
{
    struct fixture *f = *state;
    struct origin origin = want("default");

    join(f, 1, "a", 10);
    uint64_t turn = store_turn(f->store);
    begin(f);
    struct admission admission = ask(f, &origin);
    reopen(f);
    assert_int_equal(store_turn(f->store), turn);
    assert_false(
        is_stored(f, STORE_RUN, admission.run.b, sizeof admission.run.b));
    audit(f);
}

static void what_was_asked_and_decided_is_stored(void **state)
{
    struct fixture *f = *state;
    struct origin asked = want("default");
    struct span plan, parameters;

    asked.traceparent = "00-1-2-03";
    asked.timeout_ms = 77000;
    join(f, 1, "a", 10);
    struct run_id id = submit_as(f, &asked);
    assert_int_equal(effect_of(f, EFFECT_PUSH, &id)->timeout_ms, 77000);

    struct origin *origin = origin_of(f, id);
    assert_string_equal(origin->workflow, "copy");
    assert_string_equal(origin->who, "tester");
    assert_string_equal(origin->traceparent, "00-1-2-03");
    assert_int_equal(origin->submitted_unix_ms, START_UNIX_MS);
    assert_int_equal(origin->decision.chosen, 0);
    assert_string_equal(origin->decision.candidates[0].pool, "default");
    free(origin);

    struct stored_bytes bytes = stored(f, STORE_PLAN, id.b, sizeof id.b);
    assert_int_equal(plan_decode(bytes.ptr, bytes.len, &plan, &parameters), 0);
    assert_memory_equal(plan.ptr, "{\"nodes\":[]}", plan.len);
    assert_int_equal(parameters.len, 2);
    free(bytes.ptr);
}

static void a_run_that_must_wait_is_stored_with_its_reason(void **state)
{
    struct fixture *f = *state;
    struct run_id id = submit(f, "default");
    struct origin *origin = origin_of(f, id);

    assert_int_equal(origin->decision.chosen, -1);
    assert_int_equal(origin->decision.reason, WAIT_NO_AGENT);
    free(origin);

    struct origin later = want("default");
    join(f, 1, "a", 10);
    later.start_at_unix_ms = f->now_unix_ms + 1000;
    id = submit_as(f, &later);
    origin = origin_of(f, id);
    assert_int_equal(origin->decision.chosen, -1);
    assert_int_equal(origin->decision.reason, WAIT_BEGIN_TIME);
    free(origin);
}

static void ids_grow_also_when_the_clock_steps_back(void **state)
{
    struct fixture *f = *state;
    struct run_id last = submit(f, "default");

    for (int i = 0; i < 20; i++) {
        f->now_ms += 10;
        f->now_unix_ms += i % 3 == 0 ? -5000 : 10;
        if (i == 10)
            reopen(f);
        struct run_id id = submit(f, "default");
        assert_true(memcmp(id.b, last.b, sizeof id.b) > 0);
        last = id;
    }
}

static void expect_refusal(struct fixture *f, const struct origin *origin,
                           enum admit_answer answer, const char *text)
{
    uint64_t turn = store_turn(f->store);
    struct admission planned;
    struct explanation e;

    assert_int_equal(ledger_plan(f->ledger, origin, &planned, &e), 0);
    assert_int_equal(planned.answer, answer);
    begin(f);
    struct admission admission = ask(f, origin);
    commit(f);
    assert_int_equal(admission.answer, answer);
    if (strstr(admission.text, text) == NULL)
        fail_msg("\"%s\" lacks \"%s\"", admission.text, text);
    assert_string_equal(admission.text, planned.text);
    assert_int_equal(store_turn(f->store), turn);
}

static void each_refusal_says_why_and_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct origin origin = want("nowhere");
    struct pool_change change = {.set_waiting_max = true, .waiting_max = 1};

    expect_refusal(f, &origin, ADMIT_NO_POOL, "no pool nowhere");

    origin = want("default");
    pool_do(f, "default", VERB_CLOSE, 0);
    expect_refusal(f, &origin, ADMIT_POOL_CLOSED, "closed: because");
    pool_do(f, "default", VERB_RESUME, 0);

    origin.features.size_bytes = 2 * GIB;
    origin.fallback_forbidden = true;
    expect_refusal(f, &origin, ADMIT_TOO_BIG, "2147483648 bytes");

    origin = want("default");
    origin.requires[1] = "engine:mysql";
    origin.requires_count = 2;
    expect_refusal(f, &origin, ADMIT_NO_ENGINE, "engine mysql");

    origin = want("default");
    assert_int_equal(pool_set(f, "default", &change), 0);
    struct run_id id = submit(f, "default");
    expect_refusal(f, &origin, ADMIT_LINE_FULL, "1 runs wait");
    assert_int_equal(cancel(f, id), CANCEL_DONE);
    (void)submit(f, "default");

    ledger_drain(f->ledger);
    expect_refusal(f, &origin, ADMIT_DRAINING, "stopping");
}

static void an_engine_that_an_agent_announced_is_accepted(void **state)
{
    static const char *const caps[] = {"kind:command", "engine:mysql"};
    struct fixture *f = *state;
    struct origin origin = want("default");
    struct agent_hello said = agent("m", 1);

    origin.requires[0] = "engine:mysql";
    said.caps = caps;
    assert_int_equal(hello(f, 1, &said), HELLO_OK);
    assert_state(f, submit_as(f, &origin), RUN_PENDING);
    gone(f, 1);
    assert_waits(f, submit_as(f, &origin), WAIT_AGENTS_UNHEALTHY);
}

static void a_big_run_goes_where_it_fits_or_is_refused(void **state)
{
    struct fixture *f = *state;
    struct origin origin = want("default");

    join(f, 1, "a", 10);
    origin.features.size_bytes = 2 * GIB;
    struct run_id id = submit_as(f, &origin);
    assert_string_equal(pool_of(f, id), "high-memory");
    struct explanation e = explained(f, id);
    assert_int_equal(e.decision.candidates[0].verdict, ROUTE_TOO_BIG);
    assert_int_equal(e.decision.candidates[1].verdict, ROUTE_TOO_BIG);
    assert_int_equal(e.decision.chosen, 2);
}

/* ---- limits and fallbacks -------------------------------------------- */

static void limits_hold_and_full_pools_fall_back_in_list_order(void **state)
{
    struct fixture *f = *state;
    struct run_id ids[12];

    join(f, 1, "a", 100);
    submit_many(f, "default", ids, 12);
    for (int i = 0; i < 12; i++)
        assert_string_equal(pool_of(f, ids[i]), i < 5    ? "default"
                                                : i < 8  ? "etl"
                                                : i < 10 ? "high-memory"
                                                         : "");
    assert_waits(f, ids[10], WAIT_POOL_FULL);
    assert_int_equal(explained(f, ids[10]).ahead, 0);
    assert_int_equal(explained(f, ids[11]).ahead, 1);

    /* A slot freed anywhere is taken at once, and only it. */
    accept_run(f, 1, ids[6], 1);
    finish(f, 1, ids[6], 1, ATTEMPT_COMPLETED);
    assert_string_equal(pool_of(f, ids[10]), "etl");
    assert_string_equal(pool_of(f, ids[11]), "");
}

static void a_freed_slot_serves_its_own_line_before_fallbacks(void **state)
{
    struct fixture *f = *state;
    struct run_id filling[10], fallback, own;

    join(f, 1, "a", 100);
    submit_many(f, "default", filling, 10);
    fallback = submit(f, "default");
    f->now_unix_ms += 50;
    own = submit(f, "etl");
    finish(f, 1, filling[5], 1, ATTEMPT_COMPLETED);
    assert_string_equal(pool_of(f, own), "etl");
    assert_string_equal(pool_of(f, fallback), "");
    finish(f, 1, filling[6], 1, ATTEMPT_COMPLETED);
    assert_string_equal(pool_of(f, fallback), "etl");
}

static void a_forbidden_fallback_is_not_taken(void **state)
{
    struct fixture *f = *state;
    struct origin origin = want("default");
    struct run_id ids[5];

    join(f, 1, "a", 100);
    submit_many(f, "default", ids, 5);
    origin.fallback_forbidden = true;
    struct run_id id = submit_as(f, &origin);
    assert_waits(f, id, WAIT_POOL_FULL);
    assert_int_equal(explained(f, id).decision.candidates[1].verdict,
                     ROUTE_FORBIDDEN);
    /* It hides no other run of its line. */
    assert_string_equal(pool_of(f, submit(f, "default")), "etl");
}

/* default falls back to etl only as the hop says. */
static void guard(struct fixture *f, struct pool_hop hop)
{
    struct pool_change change = {.set_fallback = true,
                                 .fallback_count = 1,
                                 .set_limit = true,
                                 .limit = 1};

    (void)snprintf(hop.pool, sizeof hop.pool, "etl");
    change.fallback[0] = hop;
    assert_int_equal(pool_set(f, "default", &change), 0);
}

static void an_after_guard_opens_when_its_time_has_come(void **state)
{
    struct fixture *f = *state;
    struct run_id ids[2];

    guard(f, (struct pool_hop){.after_ms = 2000, .size_below = -1});
    join(f, 1, "a", 100);
    submit_many(f, "default", ids, 2);
    assert_waits(f, ids[1], WAIT_POOL_FULL);
    assert_int_equal(explained(f, ids[1]).decision.look_again_ms, 2000);
    assert_int_equal(ledger_next_ms(f->ledger), f->now_ms + 2000);
    pass(f, 1999);
    assert_state(f, ids[1], RUN_QUEUED);
    pass(f, 1);
    assert_string_equal(pool_of(f, ids[1]), "etl");
}

static void a_size_guard_wants_a_known_size_below_it(void **state)
{
    struct fixture *f = *state;
    struct origin origin = want("default");

    guard(f, (struct pool_hop){.size_below = 1000});
    join(f, 1, "a", 100);
    (void)submit(f, "default");
    assert_waits(f, submit(f, "default"), WAIT_POOL_FULL); /* unknown */
    origin.features.size_bytes = 1000;
    assert_waits(f, submit_as(f, &origin), WAIT_POOL_FULL);
    origin.features.size_bytes = 999;
    assert_string_equal(pool_of(f, submit_as(f, &origin)), "etl");
}

static void a_free_guard_keeps_slots_back(void **state)
{
    struct fixture *f = *state;
    struct run_id ids[4];

    guard(f, (struct pool_hop){.free_at_least = 2, .size_below = -1});
    join(f, 1, "a", 100);
    submit_many(f, "default", ids, 4);
    assert_string_equal(pool_of(f, ids[1]), "etl");
    assert_string_equal(pool_of(f, ids[2]), "etl");
    assert_waits(f, ids[3], WAIT_POOL_FULL);
    assert_int_equal(explained(f, ids[3]).decision.candidates[1].verdict,
                     ROUTE_TOO_LITTLE_FREE);
}

static void a_big_run_of_unknown_size_never_uses_the_small_pools(void **state)
{
    struct fixture *f = *state;
    struct run_id ids[3];
    struct origin small = want("high-memory");

    join(f, 1, "a", 100);
    submit_many(f, "high-memory", ids, 3);
    assert_waits(f, ids[2], WAIT_POOL_FULL);
    small.features.size_bytes = GIB - 1;
    assert_string_equal(pool_of(f, submit_as(f, &small)), "etl");
}

/* ---- order ----------------------------------------------------------- */

/* Lets one run start at a time and expects them in this order. */
static void expect_order(struct fixture *f, const struct run_id *ids,
                         size_t count)
{
    join_pool(f, 1, "a", "default", 1);
    for (size_t i = 0; i < count; i++) {
        assert_state(f, ids[i], RUN_PENDING);
        finish(f, 1, ids[i], 1, ATTEMPT_COMPLETED);
    }
}

static void high_goes_before_normal_before_low(void **state)
{
    struct fixture *f = *state;
    struct run_id ids[6];

    ids[4] = submit_at(f, PRIORITY_LOW, 0);
    ids[2] = submit_at(f, PRIORITY_NORMAL, 1);
    ids[0] = submit_at(f, PRIORITY_HIGH, 1);
    ids[5] = submit_at(f, PRIORITY_LOW, 1);
    ids[3] = submit_at(f, PRIORITY_NORMAL, 1);
    ids[1] = submit_at(f, PRIORITY_HIGH, 1);
    expect_order(f, ids, 6);
}

static void a_low_run_is_overtaken_for_a_bounded_time_only(void **state)
{
    struct fixture *f = *state;
    int64_t ageing = f->config.ageing_ms;
    struct run_id ids[4];

    ids[2] = submit_at(f, PRIORITY_LOW, 0);
    ids[0] = submit_at(f, PRIORITY_NORMAL, ageing - 1);
    ids[1] = submit_at(f, PRIORITY_HIGH, ageing);
    ids[3] = submit_at(f, PRIORITY_HIGH, 2);
    expect_order(f, ids, 4);
}

static void who_came_first_stays_first_when_the_clock_steps_back(void **state)
{
    struct fixture *f = *state;
    struct run_id ids[2];

    ids[0] = submit(f, "default");
    f->now_unix_ms -= 3600000;
    ids[1] = submit(f, "default");
    expect_order(f, ids, 2);
}

static void a_run_that_cannot_start_hides_none_that_can(void **state)
{
    struct fixture *f = *state;
    struct origin special = want("default");

    join(f, 1, "a", 10);
    special.requires[0] = "kind:rows";
    special.priority = PRIORITY_HIGH;
    special.fallback_forbidden = true;
    struct run_id stuck = submit_as(f, &special);
    assert_waits(f, stuck, WAIT_NO_CAPABLE_AGENT);
    assert_string_equal(explained(f, stuck).missing, "kind:rows");
    assert_string_equal(pool_of(f, submit(f, "default")), "default");
}

/* What is said of a run that needs these, sorted, when agents announce others.
 */
static struct explanation needing(struct fixture *f, const char *const *needs,
                                  size_t count)
{
    struct origin origin = want("default");

    memcpy(origin.requires, needs, count * sizeof *needs);
    origin.requires_count = count;
    return explained(f, submit_as(f, &origin));
}

static void announce(struct fixture *f, uint64_t session, const char *name,
                     const char *const *caps, size_t count)
{
    struct agent_hello said = agent(name, 1);

    said.caps = caps;
    said.cap_count = count;
    assert_int_equal(hello(f, session, &said), HELLO_OK);
}

static void what_nobody_has_is_said_in_words(void **state)
{
    static const char *const has[] = {"connection:shop", "kind:extract"};
    static const char *const hr[] = {"connection:hr", "kind:extract"};
    static const char *const more[] = {"connection:crm", "connection:hr",
                                       "engine:mysql",   "kind:csv_read",
                                       "kind:extract",   "kind:sort"};
    static const char *const apart[] = {"connection:shop", "kind:http"};
    struct fixture *f = *state;
    struct explanation e;

    join(f, 1, "a", 1);
    announce(f, 2, "b", has, 2);
    e = needing(f, hr, 2);
    assert_int_equal(e.reason, WAIT_NO_CAPABLE_AGENT);
    assert_string_equal(e.missing, "connection:hr");
    assert_string_equal(e.missing_text,
                        "In pool default no agent has the connection \"hr\".");
    e = needing(f, apart, 2);
    assert_string_equal(e.missing_text,
                        "In pool default no one agent has all of: connection "
                        "\"shop\", kind http.");

    struct origin origin = want("default"); /* the same before submission */
    struct admission admission;
    memcpy(origin.requires, hr, sizeof hr);
    origin.requires_count = 2;
    assert_int_equal(ledger_plan(f->ledger, &origin, &admission, &e), 0);
    assert_string_equal(e.missing, "connection:hr");
    assert_string_equal(e.missing_text,
                        "In pool default no agent has the connection \"hr\".");

    static const char *const mysql[] = {"engine:mysql"};
    announce(f, 3, "c", mysql, 1); /* else it is refused */
    agent_do(f, "c", VERB_PAUSE);
    e = needing(f, more, 6);
    assert_string_equal(
        e.missing,
        "connection:crm,connection:hr,engine:mysql,kind:csv_read,kind:sort");
    assert_string_equal(
        e.missing_text,
        "In pool default no agent has the connection \"crm\" or \"hr\"; no "
        "agent can execute kind csv_read or sort; no agent can execute engine "
        "mysql.");
}

static void what_is_said_of_the_longest_needs_ends_in_dots(void **state)
{
    static char names[RUN_REQUIRES_MAX][RUN_REQUIRE_MAX];
    struct fixture *f = *state;
    const char *needs[RUN_REQUIRES_MAX];

    for (int i = 0; i < RUN_REQUIRES_MAX; i++) {
        memset(names[i], 'x', RUN_REQUIRE_MAX - 1);
        memcpy(names[i], "connection:", 11);
        names[i][11] = (char)('0' + i);
        needs[i] = names[i];
    }
    join(f, 1, "a", 1);
    struct explanation e = needing(f, needs, RUN_REQUIRES_MAX);
    assert_int_equal(strlen(e.missing_text), EXPLAIN_MISSING_MAX - 1);
    assert_string_equal(e.missing_text + EXPLAIN_MISSING_MAX - 4, "...");
    assert_int_equal(strlen(e.missing), EXPLAIN_MISSING_MAX - 1);
}

static void connections_stands_for_any_connection(void **state)
{
    static const char *const any[] = {"connections", "kind:extract"};
    static const char *const one[] = {"connection:shop", "kind:extract"};
    static const char *const hr[] = {"connection:hr", "kind:extract"};
    static const char *const odd[] = {"connectionsX", "kind:extract"};
    struct fixture *f = *state;
    struct origin origin = want("default");

    memcpy(origin.requires, hr, sizeof hr);
    origin.requires_count = 2;
    announce(f, 1, "a", one, 2);
    struct run_id id = submit_as(f, &origin);
    assert_waits(f, id, WAIT_NO_CAPABLE_AGENT);
    announce(f, 2, "b", any, 2);
    assert_state(f, id, RUN_PENDING);
    struct attempt_record *attempt = attempt_of(f, id, 1);
    assert_string_equal(attempt->agent, "b");
    free(attempt);
    memcpy(origin.requires, odd, sizeof odd); /* it stands for nothing else */
    assert_waits(f, submit_as(f, &origin), WAIT_NO_CAPABLE_AGENT);
}

static void no_single_agent_that_can_do_all_is_said_so(void **state)
{
    static const char *const rows[] = {"kind:rows"};
    struct fixture *f = *state;
    struct origin both = want("default");
    struct agent_hello said = agent("b", 1);

    both.requires[1] = "kind:rows";
    both.requires_count = 2;
    said.caps = rows;
    said.cap_count = 1;
    join(f, 1, "a", 10);
    assert_int_equal(hello(f, 2, &said), HELLO_OK);
    struct run_id id = submit_as(f, &both);
    assert_waits(f, id, WAIT_NO_CAPABLE_AGENT);
    assert_string_equal(explained(f, id).missing, "kind:command,kind:rows");
    assert_string_equal(explained(f, id).missing_text,
                        "In pool default no one agent has all of: kind "
                        "command, kind rows.");

    static const char *const all[] = {"kind:rows", "kind:command"};
    said = agent("c", 1);
    said.caps = all;
    assert_int_equal(hello(f, 3, &said), HELLO_OK);
    assert_int_equal(effect_of(f, EFFECT_PUSH, &id)->session, 3);
}

/* ---- the operator's verbs on pools ----------------------------------- */

static void a_stopped_pool_starts_nothing_until_it_is_resumed(void **state)
{
    static const struct {
        enum pool_verb verb;
        enum wait_reason reason;
        const char *word;
    } cases[] = {{VERB_PAUSE, WAIT_POOL_PAUSED, "pool.paused"},
                 {VERB_DRAIN, WAIT_POOL_DRAINING, "pool.draining"}};
    struct fixture *f = *state;
    struct origin origin = want("default");

    join(f, 1, "a", 10);
    origin.fallback_forbidden = true;
    for (size_t i = 0; i < 2; i++) {
        struct run_id running = submit_as(f, &origin);
        pool_do(f, "default-agent-pool", cases[i].verb, 0);
        assert_non_null(noted(f, cases[i].word));
        struct run_id id = submit_as(f, &origin);
        assert_waits(f, id, cases[i].reason);
        /* What runs finishes. */
        accept_run(f, 1, running, 1);
        finish(f, 1, running, 1, ATTEMPT_COMPLETED);
        assert_state(f, id, RUN_QUEUED);
        /* It is no way out for others either. */
        reopen(f);
        join(f, 1, "a", 10);
        assert_waits(f, id, cases[i].reason);
        pool_do(f, "default", VERB_RESUME, 0);
        assert_state(f, id, RUN_PENDING);
        finish(f, 1, id, 1, ATTEMPT_COMPLETED);
    }
}

static void nobody_falls_back_into_a_stopped_pool(void **state)
{
    struct fixture *f = *state;
    struct run_id ids[7];

    join(f, 1, "a", 100);
    pool_do(f, "etl", VERB_PAUSE, 0);
    submit_many(f, "default", ids, 7);
    assert_string_equal(pool_of(f, ids[5]), "high-memory");
    assert_int_equal(used_in(f, 1), 0);
}

static void a_closed_pool_starts_what_waits_and_refuses_more(void **state)
{
    struct fixture *f = *state;
    struct origin origin = want("default");
    struct run_id id = submit(f, "default");

    pool_do(f, "default", VERB_CLOSE, 0);
    join(f, 1, "a", 10);
    assert_state(f, id, RUN_PENDING);
    begin(f);
    assert_int_equal(ask(f, &origin).answer, ADMIT_POOL_CLOSED);
    commit(f);
}

static void who_when_and_why_show_on_the_board_and_survive(void **state)
{
    struct fixture *f = *state;

    pool_do(f, "etl", VERB_PAUSE, 60000);
    for (int i = 0; i < 2; i++) {
        struct board *board = board_of(f);
        assert_int_equal(board->pools[1].state, POOL_PAUSED);
        assert_string_equal(board->pools[1].who, "ann");
        assert_string_equal(board->pools[1].reason, "because");
        assert_int_equal(board->pools[1].since_unix_ms, START_UNIX_MS);
        assert_int_equal(board->pools[1].until_unix_ms, START_UNIX_MS + 60000);
        free(board);
        reopen(f);
    }
}

static void a_pause_with_an_end_ends_by_itself(void **state)
{
    struct fixture *f = *state;
    struct origin origin = want("default");

    origin.fallback_forbidden = true;
    join(f, 1, "a", 10);
    pool_do(f, "default", VERB_PAUSE, 3000);
    struct run_id id = submit_as(f, &origin);
    pass(f, 2999);
    assert_state(f, id, RUN_QUEUED);
    pass(f, 1);
    assert_state(f, id, RUN_PENDING);

    /* Also while the broker was away. */
    pool_do(f, "default", VERB_PAUSE, 3000);
    f->now_unix_ms += 3000;
    reopen(f);
    pass(f, 0);
    struct board *board = board_of(f);
    assert_int_equal(board->pools[0].state, POOL_OPEN);
    free(board);
}

static void an_unknown_pool_is_an_answer(void **state)
{
    struct fixture *f = *state;
    struct pool_change change = {.set_limit = true, .limit = 1};

    begin(f);
    assert_int_equal(
        ledger_pool_verb(f->ledger, "x", VERB_PAUSE, 0, "ann", NULL), -ENOENT);
    assert_int_equal(ledger_pool_set(f->ledger, "x", &change, "ann"), -ENOENT);
    commit(f);
    assert_int_equal(store_turn(f->store), 0);
}

static void a_raised_limit_starts_more_a_lowered_one_lets_finish(void **state)
{
    struct fixture *f = *state;
    struct origin origin = want("default");
    struct run_id ids[7];

    join(f, 1, "a", 100);
    origin.fallback_forbidden = true;
    for (int i = 0; i < 7; i++)
        ids[i] = submit_as(f, &origin);
    assert_state(f, ids[5], RUN_QUEUED);
    set_limit(f, "default", 6);
    assert_state(f, ids[5], RUN_PENDING);
    assert_state(f, ids[6], RUN_QUEUED);

    f->over_limit = true;
    set_limit(f, "default", 2);
    assert_int_equal(used_in(f, 0), 6);
    for (int i = 0; i < 4; i++) {
        finish(f, 1, ids[i], 1, ATTEMPT_COMPLETED);
        assert_state(f, ids[6], RUN_QUEUED);
    }
    f->over_limit = false;
    finish(f, 1, ids[4], 1, ATTEMPT_COMPLETED);
    assert_state(f, ids[6], RUN_PENDING);
}

static void a_limit_of_nought_starts_nothing(void **state)
{
    struct fixture *f = *state;
    struct origin origin = want("default");

    join(f, 1, "a", 100);
    origin.fallback_forbidden = true;
    set_limit(f, "default", 0);
    assert_waits(f, submit_as(f, &origin), WAIT_POOL_FULL);
}

static void overrides_survive_and_are_reset(void **state)
{
    struct fixture *f = *state;
    struct pool_change change = {
        .set_limit = true,
        .limit = 9,
        .set_max_size = true,
        .max_size = 77,
        .set_waiting_max = true,
        .waiting_max = 3,
        .set_fallback = true,
        .fallback = {{.pool = "high-memory-pool",
                      .after_ms = 5,
                      .size_below = 6,
                      .free_at_least = 7}},
        .fallback_count = 1,
    };

    assert_int_equal(pool_set(f, "default", &change), 0);
    for (int i = 0; i < 2; i++) {
        struct board *board = board_of(f);
        const struct board_pool *pool = &board->pools[0];
        assert_true(pool->overridden);
        assert_int_equal(pool->config.limit, 9);
        assert_int_equal(pool->configured_limit, 5);
        assert_int_equal(pool->config.max_size, 77);
        assert_int_equal(pool->config.waiting_max, 3);
        assert_int_equal(pool->config.fallback_count, 1);
        assert_string_equal(pool->config.fallback[0].pool, "high-memory-pool");
        assert_int_equal(pool->config.fallback[0].after_ms, 5);
        assert_int_equal(pool->config.fallback[0].size_below, 6);
        assert_int_equal(pool->config.fallback[0].free_at_least, 7);
        free(board);
        reopen(f);
    }
    change = (struct pool_change){.reset = true};
    assert_int_equal(pool_set(f, "default", &change), 0);
    reopen(f);
    struct board *board = board_of(f);
    assert_false(board->pools[0].overridden);
    assert_memory_equal(&board->pools[0].config, &f->config.pools[0],
                        sizeof f->config.pools[0]);
    free(board);
}

static void a_fallback_list_must_make_sense(void **state)
{
    struct fixture *f = *state;
    struct pool_change change = {.set_fallback = true, .fallback_count = 1};

    (void)snprintf(change.fallback[0].pool, POOL_NAME_MAX, "nowhere");
    assert_int_equal(pool_set(f, "etl", &change), -ENOENT);
    (void)snprintf(change.fallback[0].pool, POOL_NAME_MAX, "etl-pool");
    assert_int_equal(pool_set(f, "etl", &change), -EINVAL);
    change.fallback_count = 2;
    for (int i = 0; i < 2; i++)
        (void)snprintf(change.fallback[i].pool, POOL_NAME_MAX, "default");
    assert_int_equal(pool_set(f, "etl", &change), -EINVAL);
    change.fallback_count = ROUTE_HOPS_MAX;
    assert_int_equal(pool_set(f, "etl", &change), -EINVAL);
    assert_int_equal(store_turn(f->store), 0);
}

static void a_changed_ceiling_or_list_reaches_those_who_wait(void **state)
{
    struct fixture *f = *state;
    struct pool_change change = {.set_max_size = true, .max_size = 10};
    struct origin origin = want("default");

    origin.features.size_bytes = 100;
    struct run_id id = submit_as(f, &origin);
    struct run_id other = submit(f, "default");
    assert_int_equal(pool_set(f, "default", &change), 0);
    change.set_fallback = true; /* none */
    assert_int_equal(pool_set(f, "default", &change), 0);
    join(f, 1, "a", 10);
    assert_waits(f, id, WAIT_TOO_BIG);
    assert_state(f, other, RUN_PENDING);

    change = (struct pool_change){.reset = true};
    assert_int_equal(pool_set(f, "default", &change), 0);
    assert_string_equal(pool_of(f, id), "default");
}

#define claim(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        claim(a_submission_is_granted_in_the_same_turn),
        claim(nothing_is_stored_of_a_turn_that_is_not_committed),
        claim(what_was_asked_and_decided_is_stored),
        claim(a_run_that_must_wait_is_stored_with_its_reason),
        claim(ids_grow_also_when_the_clock_steps_back),
        claim(each_refusal_says_why_and_leaves_nothing),
        claim(an_engine_that_an_agent_announced_is_accepted),
        claim(a_big_run_goes_where_it_fits_or_is_refused),
        claim(limits_hold_and_full_pools_fall_back_in_list_order),
        claim(a_freed_slot_serves_its_own_line_before_fallbacks),
        claim(a_forbidden_fallback_is_not_taken),
        claim(an_after_guard_opens_when_its_time_has_come),
        claim(a_size_guard_wants_a_known_size_below_it),
        claim(a_free_guard_keeps_slots_back),
        claim(a_big_run_of_unknown_size_never_uses_the_small_pools),
        claim(high_goes_before_normal_before_low),
        claim(a_low_run_is_overtaken_for_a_bounded_time_only),
        claim(who_came_first_stays_first_when_the_clock_steps_back),
        claim(a_run_that_cannot_start_hides_none_that_can),
        claim(no_single_agent_that_can_do_all_is_said_so),
        claim(what_nobody_has_is_said_in_words),
        claim(what_is_said_of_the_longest_needs_ends_in_dots),
        claim(connections_stands_for_any_connection),
        claim(a_stopped_pool_starts_nothing_until_it_is_resumed),
        claim(nobody_falls_back_into_a_stopped_pool),
        claim(a_closed_pool_starts_what_waits_and_refuses_more),
        claim(who_when_and_why_show_on_the_board_and_survive),
        claim(a_pause_with_an_end_ends_by_itself),
        claim(an_unknown_pool_is_an_answer),
        claim(a_raised_limit_starts_more_a_lowered_one_lets_finish),
        claim(a_limit_of_nought_starts_nothing),
        claim(overrides_survive_and_are_reset),
        claim(a_fallback_list_must_make_sense),
        claim(a_changed_ceiling_or_list_reaches_those_who_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
