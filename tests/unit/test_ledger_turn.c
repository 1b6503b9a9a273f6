/*
 * test_ledger_turn.c - cancelling, start times, what the ledger answers when it
 * is asked, what a turn costs and how much it does, a full store, the audit.
 */
#include "tests/unit/ledger_fixture.h"

/* ---- cancelling and times -------------------------------------------- */

static void a_waiting_run_is_cancelled_at_once(void **state)
{
    struct fixture *f = *state;
    struct run_id id = submit(f, "default");

    assert_int_equal(cancel(f, id), CANCEL_DONE);
    assert_int_equal(effect_of(f, EFFECT_ENDED, &id)->state, RUN_CANCELLED);
    struct run_record *run = record(f, id);
    assert_int_equal(run->state, RUN_CANCELLED);
    assert_string_equal(run->cancel_who, "ann");
    assert_string_equal(run->cancel_reason, "not needed");
    assert_int_equal(run->ended_unix_ms, f->now_unix_ms);
    free(run);
    assert_false(is_stored(f, STORE_LIVE, id.b, sizeof id.b));
    assert_int_equal(cancel(f, id), CANCEL_ENDED);
}

static void
a_run_cancelled_in_the_turn_of_its_submission_is_stored(void **state)
{
    struct fixture *f = *state;
    struct origin origin = want("default");
    enum cancel_answer answer;

    begin(f);
    struct run_id id = ask(f, &origin).run;
    assert_int_equal(ledger_cancel(f->ledger, &id, "ann", NULL, &answer), 0);
    assert_int_equal(answer, CANCEL_DONE);
    commit(f);
    assert_state(f, id, RUN_CANCELLED);
    free(origin_of(f, id)); /* is readable */
}

static void
a_running_run_holds_its_slot_until_its_end_is_confirmed(void **state)
{
    struct fixture *f = *state;

    join(f, 1, "a", 10);
    struct run_id id = submit(f, "default");
    accept_run(f, 1, id, 1);
    assert_int_equal(cancel(f, id), CANCEL_STARTED);
    const struct effect *e = effect_of(f, EFFECT_CANCEL, &id);
    assert_int_equal(e->session, 1);
    assert_int_equal(e->attempt, 1);
    assert_int_equal(e->grace_ms, f->config.cancel_grace_ms);
    assert_string_equal(e->text, "not needed");
    assert_state(f, id, RUN_CANCELLING);
    assert_int_equal(used_in(f, 0), 1);
    assert_int_equal(cancel(f, id), CANCEL_ALREADY);
    assert_int_equal(effects_of(f, EFFECT_CANCEL), 0);
    finish(f, 1, id, 1, ATTEMPT_CANCELLED);
    assert_state(f, id, RUN_CANCELLED);
    assert_int_equal(used_in(f, 0), 0);
}

static void a_pushed_run_is_cancelled_through_its_agent(void **state)
{
    struct fixture *f = *state;
    struct run_id ids[3];

    join(f, 1, "a", 10);
    submit_many(f, "default", ids, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(cancel(f, ids[i]), CANCEL_STARTED);
        assert_state(f, ids[i], RUN_CANCELLING);
    }
    /* It began after all, it was refused, it was never heard of. */
    accept_run(f, 1, ids[0], 1);
    assert_state(f, ids[0], RUN_CANCELLING);
    finish(f, 1, ids[0], 1, ATTEMPT_CANCELLED);
    assert_state(f, ids[0], RUN_CANCELLED);
    begin(f);
    assert_int_equal(ledger_refused(f->ledger, 1, &ids[1], 1, false, "no"), 0);
    commit(f);
    assert_state(f, ids[1], RUN_CANCELLED);
    pass(f, f->config.accept_ms);
    assert_state(f, ids[2], RUN_CANCELLED);
}

static void a_run_that_ended_before_the_cancel_came_ends_as_it_did(void **state)
{
    static const struct {
        enum attempt_outcome outcome;
        enum run_state state;
    } cases[] = {{ATTEMPT_COMPLETED, RUN_COMPLETED},
                 {ATTEMPT_FAILED, RUN_FAILED},
                 {ATTEMPT_TIMED_OUT, RUN_TIMED_OUT},
                 {ATTEMPT_LAPSED, RUN_CANCELLED}};
    struct fixture *f = *state;
    struct origin origin = want("default");

    join(f, 1, "a", 10);
    origin.retry.retries = 3; /* not any more */
    for (size_t i = 0; i < 4; i++) {
        struct run_id id = submit_as(f, &origin);
        accept_run(f, 1, id, 1);
        assert_int_equal(cancel(f, id), CANCEL_STARTED);
        finish(f, 1, id, 1, cases[i].outcome);
        assert_state(f, id, cases[i].state);
    }
}

static void a_run_with_a_start_time_waits_for_it(void **state)
{
    struct fixture *f = *state;
    struct origin origin = want("default");

    join(f, 1, "a", 10);
    origin.start_at_unix_ms = f->now_unix_ms + 9000;
    struct run_id id = submit_as(f, &origin);
    assert_state(f, id, RUN_SCHEDULED);
    assert_waits(f, id, WAIT_BEGIN_TIME);
    assert_int_equal(explained(f, id).begins_unix_ms, origin.start_at_unix_ms);
    assert_int_equal(ledger_next_ms(f->ledger), f->now_ms + 9000);
    pass(f, 8999);
    assert_state(f, id, RUN_SCHEDULED);
    renew(f, 1, NULL, 0);
    pass(f, 1);
    assert_state(f, id, RUN_PENDING);

    id = submit_as(f, &origin); /* in the past by now */
    assert_state(f, id, RUN_PENDING);
}

static void a_scheduled_run_can_be_cancelled(void **state)
{
    struct fixture *f = *state;
    struct origin origin = want("default");

    origin.start_at_unix_ms = f->now_unix_ms + 9000;
    struct run_id id = submit_as(f, &origin);
    assert_int_equal(cancel(f, id), CANCEL_DONE);
    assert_state(f, id, RUN_CANCELLED);
    assert_int_equal(ledger_next_ms(f->ledger), UINT64_MAX);
}

/* ---- questions ------------------------------------------------------- */

static void a_place_in_line_is_counted_over_all_priorities(void **state)
{
    struct fixture *f = *state;
    struct run_id low = submit_at(f, PRIORITY_LOW, 0);

    for (int i = 0; i < 3; i++)
        (void)submit_at(f, PRIORITY_NORMAL, 1);
    struct run_id high = submit_at(f, PRIORITY_HIGH, 1);
    assert_int_equal(explained(f, low).ahead, 4);
    assert_int_equal(explained(f, high).ahead, 0);
    assert_false(explained(f, low).ahead_more);
}

static void explain_names_those_who_have_the_slots(void **state)
{
    struct fixture *f = *state;
    struct origin origin = want("high-memory");
    struct run_id ids[2];

    join(f, 1, "a", 10);
    submit_many(f, "high-memory", ids, 2);
    struct run_id id = submit_as(f, &origin);
    f->now_ms += 700;
    f->now_unix_ms += 700;
    struct explanation e = explained(f, id);
    assert_int_equal(e.waited_ms, 700);
    assert_int_equal(e.holder_count, 2);
    assert_true(same_id(e.holders[0].run, ids[0]) ||
                same_id(e.holders[1].run, ids[0]));
    assert_string_equal(e.holders[0].agent, "a");
    assert_string_equal(e.holders[0].workflow, "copy");
    assert_int_equal(e.holders[0].state, RUN_PENDING);
    assert_string_equal(e.decision.candidates[0].why, "2 of 2 slots in use");
}

static void explain_of_a_granted_run_tells_the_decision_of_then(void **state)
{
    struct fixture *f = *state;
    struct run_id ids[6];

    join(f, 1, "a", 100);
    submit_many(f, "default", ids, 6);
    finish(f, 1, ids[0], 1, ATTEMPT_COMPLETED);
    struct explanation e = explained(f, ids[5]);
    assert_int_equal(e.reason, WAIT_NONE);
    assert_int_equal(e.decision.chosen, 1);
    assert_string_equal(e.decision.candidates[0].why, "5 of 5 slots in use");
}

static void each_reason_to_wait_is_told(void **state)
{
    struct fixture *f = *state;
    struct origin origin = want("default");

    origin.fallback_forbidden = true;
    struct run_id id = submit_as(f, &origin);
    assert_waits(f, id, WAIT_NO_AGENT);
    join(f, 1, "a", 0);
    assert_waits(f, id, WAIT_AGENTS_BUSY);
    agent_do(f, "a", VERB_PAUSE);
    assert_waits(f, id, WAIT_AGENTS_UNHEALTHY);
    agent_do(f, "a", VERB_RESUME);
    set_limit(f, "default", 0);
    assert_waits(f, id, WAIT_POOL_FULL);
    pool_do(f, "default", VERB_PAUSE, 0);
    assert_waits(f, id, WAIT_POOL_PAUSED);
    pool_do(f, "default", VERB_DRAIN, 0);
    assert_waits(f, id, WAIT_POOL_DRAINING);
    pool_do(f, "default", VERB_RESUME, 0);
    ledger_drain(f->ledger);
    assert_waits(f, id, WAIT_BROKER_DRAINING);
}

static void silence_shows_in_answers_without_a_turn(void **state)
{
    struct fixture *f = *state;

    join(f, 1, "a", 0);
    struct run_id id = submit(f, "default");
    assert_waits(f, id, WAIT_AGENTS_BUSY);
    f->now_ms += 60000;
    f->now_unix_ms += 60000;
    assert_waits(f, id, WAIT_AGENTS_UNHEALTHY);
    assert_int_equal(explained(f, id).waited_ms, 60000);
    struct board *board = board_of(f);
    assert_int_equal(board->pools[0].reasons[WAIT_AGENTS_UNHEALTHY], 1);
    assert_int_equal(board->agents[0].health, AGENT_LOST);
    free(board);
}

static void an_unknown_run_has_no_explanation(void **state)
{
    struct fixture *f = *state;
    struct run_id id = {{9}};
    struct explanation e;

    assert_int_equal(ledger_explain(f->ledger, &id, f->now_ms, &e), -ENOENT);
}

static void the_board_tells_all_in_one_piece(void **state)
{
    struct fixture *f = *state;
    struct run_id ids[7];

    join_pool(f, 1, "a", "default", 6);
    join_pool(f, 2, "b", "etl", 1);
    submit_many(f, "default", ids, 7);
    struct board *board = board_of(f);
    assert_int_equal(board->pool_count, 3);
    assert_int_equal(board->agent_count, 2);
    assert_int_equal(board->pools[0].used, 5);
    assert_int_equal(board->pools[0].waiting, 1);
    assert_int_equal(board->pools[0].reasons[WAIT_POOL_FULL], 1);
    assert_int_equal(board->pools[0].oldest_queued_unix_ms, f->now_unix_ms);
    assert_int_equal(board->pools[0].agents, 1);
    assert_int_equal(board->pools[0].agents_healthy, 1);
    assert_int_equal(board->pools[0].slots, 6);
    assert_int_equal(board->pools[0].slots_free, 1);
    assert_int_equal(board->pools[1].used, 1);
    assert_string_equal(board->pools[1].holders[0].agent, "b");
    assert_true(same_id(board->pools[1].holders[0].run, ids[5]));
    assert_int_equal(board->pools[2].agents, 0);
    assert_string_equal(board->agents[0].name, "a");
    assert_string_equal(board->agents[0].pools, "default");
    assert_string_equal(board->agents[0].caps, "kind:command,kind:http");
    assert_int_equal(board->agents[0].used, 5);
    assert_int_equal(board->agents[0].health, AGENT_OK);
    free(board);
}

static void every_capability_of_an_agent_is_on_the_board(void **state)
{
    static char names[AGENT_CAPS_MAX][128];
    const char *caps[AGENT_CAPS_MAX];
    struct fixture *f = *state;
    struct agent_hello said = agent("a", 1);

    for (int i = 0; i < AGENT_CAPS_MAX; i++) {
        memset(names[i], 'x', sizeof names[i] - 1);
        (void)snprintf(names[i], 8, "c:%05d", i);
        names[i][7] = 'x';
        caps[i] = names[i];
    }
    said.caps = caps;
    said.cap_count = AGENT_CAPS_MAX;
    assert_int_equal(hello(f, 1, &said), HELLO_OK);
    join(f, 2, "b", 1);
    struct board *board = board_of(f);
    assert_int_equal(strlen(board->agents[0].caps), AGENT_CAPS_MAX * 128 - 1);
    assert_non_null(strstr(board->agents[0].caps, ",c:00255xxx"));
    assert_string_equal(board->agents[1].caps, "kind:command,kind:http");
    free(board);
}

static void a_plan_tells_what_would_happen_and_leaves_no_trace(void **state)
{
    struct fixture *f = *state;
    struct origin origin = want("default");
    struct admission admission;
    struct explanation e;
    struct run_id ids[5];

    join(f, 1, "a", 100);
    submit_many(f, "default", ids, 5);
    uint64_t turn = store_turn(f->store);
    uint64_t next_ms = ledger_next_ms(f->ledger);
    assert_int_equal(ledger_plan(f->ledger, &origin, &admission, &e), 0);
    assert_int_equal(admission.answer, ADMIT_OK);
    assert_int_equal(e.decision.chosen, 1);
    assert_int_equal(e.decision.candidates[0].verdict, ROUTE_FULL);
    origin.requires[0] = "kind:rows";
    assert_int_equal(ledger_plan(f->ledger, &origin, &admission, &e), 0);
    assert_int_equal(e.reason, WAIT_NO_CAPABLE_AGENT);
    assert_string_equal(e.missing, "kind:rows");
    idle(f);
    assert_int_equal(store_turn(f->store), turn);
    assert_int_equal(ledger_next_ms(f->ledger), next_ms);
    assert_int_equal(f->effect_count, 0);
}

/* ---- the turn -------------------------------------------------------- */

static void an_idle_turn_writes_nothing(void **state)
{
    struct fixture *f = *state;
    size_t writes;

    join(f, 1, "a", 3);
    (void)submit(f, "default");
    uint64_t turn = store_turn(f->store);
    for (int i = 0; i < 5; i++) {
        idle(f);
        assert_int_equal(f->effect_count, 0);
        renew(f, 1, NULL, 0);
        (void)store_writes(f->store, &writes);
        assert_int_equal(writes, 0);
    }
    assert_int_equal(store_turn(f->store), turn);
}

static void a_draining_broker_starts_nothing_and_lets_finish(void **state)
{
    struct fixture *f = *state;
    struct origin origin = want("default");

    join(f, 1, "a", 1);
    struct run_id id = submit(f, "default");
    struct run_id waiting = submit(f, "default");
    accept_run(f, 1, id, 1);
    ledger_drain(f->ledger);
    begin(f);
    assert_int_equal(ask(f, &origin).answer, ADMIT_DRAINING);
    commit(f);
    finish(f, 1, id, 1, ATTEMPT_COMPLETED);
    assert_state(f, waiting, RUN_QUEUED);
    assert_int_equal(ledger_live(f->ledger), 0);
    reopen(f);
    join(f, 1, "a", 1);
    assert_state(f, waiting, RUN_PENDING);
}

static void one_turn_hands_out_a_bounded_number(void **state)
{
    enum { RUNS = 5000 };
    static struct run_id ids[RUNS];
    struct fixture *f = *state;
    struct origin origin = want("default");

    set_limit(f, "default", RUNS);
    join(f, 1, "a", RUNS);
    begin(f);
    for (int i = 0; i < RUNS; i++)
        ids[i] = ask(f, &origin).run;
    commit(f);
    assert_true(used_in(f, 0) < RUNS);
    assert_int_equal(ledger_next_ms(f->ledger), 0);
    assert_waits(f, ids[RUNS - 1], WAIT_HIGHER_PRIORITY);
    free(origin_of(f, ids[RUNS - 1]));
    idle(f);
    assert_int_equal(used_in(f, 0), RUNS);
    assert_true(ledger_next_ms(f->ledger) > 0);
}

static void a_full_store_refuses_new_work_and_completes_the_old(void **state)
{
    struct fixture *f = *state;
    struct origin origin = want("default");
    static char filler[1 << 16];

    char path[96];

    /* A small store instead of the one that set_up() made. */
    close_all(f);
    (void)snprintf(path, sizeof path, "%s/data.mdb", f->dir);
    assert_int_equal(remove(path), 0);
    f->options.map_bytes = (size_t)2 << 20;
    open_all(f);

    join(f, 1, "a", 10);
    struct run_id id = submit(f, "default");
    accept_run(f, 1, id, 1);
    for (uint32_t i = 0; store_used_permille(f->store) < STORE_FULL_PERMILLE;
         i++)
        plant(f, STORE_LOG, &i, sizeof i, filler,
              store_used_permille(f->store) < 850 ? sizeof filler : 2000);
    idle(f);
    begin(f);
    struct admission admission = ask(f, &origin);
    commit(f);
    assert_int_equal(admission.answer, ADMIT_STORE_FULL);
    assert_non_null(strstr(admission.text, "% full"));

    /* Output is dropped and counted; the end is stored. */
    struct log_record log = {.stream = 1, .text = "hello", .text_bytes = 5};
    begin(f);
    assert_int_equal(ledger_log(f->ledger, 1, &id, 1, 1, &log), 0);
    commit(f);
    finish(f, 1, id, 1, ATTEMPT_COMPLETED);
    assert_state(f, id, RUN_COMPLETED);
    struct attempt_record *attempt = attempt_of(f, id, 1);
    assert_int_equal(attempt->log_dropped, 5);
    assert_false(attempt->logs_complete);
    free(attempt);
}

/* ---- the audit ------------------------------------------------------- */

static void expect_damage(struct fixture *f, const char *what)
{
    char why[STORE_WHY_MAX];

    assert_int_equal(ledger_audit(f->ledger, why), -EUCLEAN);
    if (strstr(why, what) == NULL)
        fail_msg("\"%s\" lacks \"%s\"", why, what);
}

static void plant_run(struct fixture *f, struct run_id id,
                      const struct run_record *run)
{
    void *bytes;
    size_t len;

    assert_int_equal(run_encode(run, &bytes, &len), 0);
    plant(f, STORE_RUN, id.b, sizeof id.b, bytes, len);
    free(bytes);
}

static void plant_attempt(struct fixture *f, struct run_id id,
                          const struct attempt_record *attempt)
{
    uint8_t key[20];
    void *bytes;
    size_t len;

    attempt_key(key, id, attempt->attempt);
    assert_int_equal(attempt_encode(attempt, &bytes, &len), 0);
    plant(f, STORE_ATTEMPT, key, sizeof key, bytes, len);
    free(bytes);
}

static void the_audit_catches_planted_damage(void **state)
{
    struct fixture *f = *state;

    join(f, 1, "a", 10);
    struct run_id id = submit(f, "default");
    struct run_record *run = record(f, id);
    run->state = RUN_RUNNING;
    plant_run(f, id, run);
    expect_damage(f, "PENDING attempt 1, in the store RUNNING");
    run->state = RUN_PENDING;
    run->attempt = 2;
    plant_run(f, id, run);
    expect_damage(f, "in the store PENDING attempt 2");
    plant(f, STORE_RUN, id.b, sizeof id.b, "x", 1);
    expect_damage(f, "missing or damaged");
    run->attempt = 1;
    plant_run(f, id, run);
    free(run);
    audit(f);

    struct attempt_record *attempt = attempt_of(f, id, 1);
    attempt->outcome = ATTEMPT_COMPLETED;
    plant_attempt(f, id, attempt);
    expect_damage(f, "attempt 1 is completed");
    attempt->outcome = ATTEMPT_LIVE;
    attempt->pool = "etl";
    plant_attempt(f, id, attempt);
    expect_damage(f, "in the store in etl");
    attempt->pool = "default";
    plant_attempt(f, id, attempt);
    free(attempt);
    audit(f);

    struct run_id stranger = {{1, 2, 3}};
    plant(f, STORE_LIVE, stranger.b, sizeof stranger.b, NULL, 0);
    expect_damage(f, "live in the store only");
    assert_int_equal(store_begin(f->store), 0);
    assert_int_equal(
        store_delete(f->store, STORE_LIVE, stranger.b, sizeof stranger.b), 0);
    assert_int_equal(store_delete(f->store, STORE_LIVE, id.b, sizeof id.b), 0);
    assert_int_equal(store_commit(f->store), 0);
    expect_damage(f, "1 runs are live, 0 in the store");
}

#define claim(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        claim(a_waiting_run_is_cancelled_at_once),
        claim(a_run_cancelled_in_the_turn_of_its_submission_is_stored),
        claim(a_running_run_holds_its_slot_until_its_end_is_confirmed),
        claim(a_pushed_run_is_cancelled_through_its_agent),
        claim(a_run_that_ended_before_the_cancel_came_ends_as_it_did),
        claim(a_run_with_a_start_time_waits_for_it),
        claim(a_scheduled_run_can_be_cancelled),
        claim(a_place_in_line_is_counted_over_all_priorities),
        claim(explain_names_those_who_have_the_slots),
        claim(explain_of_a_granted_run_tells_the_decision_of_then),
        claim(each_reason_to_wait_is_told),
        claim(silence_shows_in_answers_without_a_turn),
        claim(an_unknown_run_has_no_explanation),
        claim(the_board_tells_all_in_one_piece),
        claim(every_capability_of_an_agent_is_on_the_board),
        claim(a_plan_tells_what_would_happen_and_leaves_no_trace),
        claim(an_idle_turn_writes_nothing),
        claim(a_draining_broker_starts_nothing_and_lets_finish),
        claim(one_turn_hands_out_a_bounded_number),
        claim(a_full_store_refuses_new_work_and_completes_the_old),
        claim(the_audit_catches_planted_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
