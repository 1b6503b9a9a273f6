/*
 * test_ledger_lost.c - agents that are lost and come back, and words that come
 * too late: about any attempt but the current one they do nothing.
 */
#include "tests/unit/ledger_fixture.h"

/* ---- lost agents ----------------------------------------------------- */

static void what_a_lost_agent_had_not_accepted_goes_back_at_once(void **state)
{
    struct fixture *f = *state;
    struct run_id ids[2];

    join(f, 1, "a", 5);
    submit_many(f, "default", ids, 2);
    accept_run(f, 1, ids[0], 1);
    gone(f, 1);
    assert_non_null(noted(f, "agent.lost"));
    assert_state(f, ids[0], RUN_RUNNING);
    assert_state(f, ids[1], RUN_QUEUED);
    struct attempt_record *attempt = attempt_of(f, ids[1], 1);
    assert_int_equal(attempt->outcome, ATTEMPT_RETURNED);
    free(attempt);
    /* Its slot is held until the lease lapses. */
    assert_int_equal(used_in(f, 0), 1);
    pass(f, f->config.lease_ms + f->config.margin_ms - 1);
    assert_state(f, ids[0], RUN_RUNNING);
    pass(f, 1);
    assert_int_equal(used_in(f, 0), 0);
    assert_non_null(noted(f, "lease.lapsed"));
    assert_state(f, ids[0], RUN_CRASHED);
}

/* Loses the agent again and again; returns how many attempts there were. */
static uint32_t attempts_when_lost(struct fixture *f, struct retry_rule rule)
{
    static uint64_t session = 100;
    struct origin origin = want("default");
    struct run_id id;
    uint32_t n = 0;

    origin.retry = rule;
    join(f, ++session, "a", 5);
    id = submit_as(f, &origin);
    do {
        accept_run(f, session, id, ++n);
        gone(f, session);
        pass(f, f->config.lease_ms + f->config.margin_ms);
        join(f, ++session, "a", 5);
    } while (state_of(f, id) == RUN_PENDING);
    assert_state(f, id, RUN_CRASHED);
    struct run_record *run = record(f, id);
    assert_int_equal(run->losses, n);
    assert_non_null(strstr(run->error, "agent a was lost: its lease lapsed; "));
    free(run);
    gone(f, session);
    return n;
}

static void on_lost_says_whether_a_lost_run_is_tried_again(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(
        attempts_when_lost(f, (struct retry_rule){.on_lost = ON_LOST_AUTO}), 1);
    assert_int_equal(
        attempts_when_lost(f, (struct retry_rule){.on_lost = ON_LOST_AUTO,
                                                  .repeatable = true}),
        2);
    assert_int_equal(
        attempts_when_lost(f, (struct retry_rule){.on_lost = ON_LOST_RETRY}),
        4);
    assert_int_equal(
        attempts_when_lost(f, (struct retry_rule){.on_lost = ON_LOST_FAIL,
                                                  .repeatable = true}),
        1);
}

static void a_renewed_lease_does_not_lapse(void **state)
{
    struct fixture *f = *state;
    struct effect_attempt held[2];

    join(f, 1, "a", 5);
    struct run_id id = submit(f, "default");
    struct run_id other = submit(f, "default");
    accept_run(f, 1, id, 1);
    accept_run(f, 1, other, 1);
    held[0] = (struct effect_attempt){.run = id, .attempt = 1};
    held[1] = (struct effect_attempt){.run = id, .attempt = 2};
    for (int i = 0; i < 10; i++) {
        renew(f, 1, held, 2);
        const struct effect *e = effect_of(f, EFFECT_RENEWED, NULL);
        assert_int_equal(e->beat, 9);
        assert_int_equal(e->attempt_count, 1);
        assert_int_equal(e->attempts[0].attempt, 2);
        pass(f, f->config.lease_ms / 3);
    }
    assert_state(f, id, RUN_RUNNING);
    assert_state(f, other, RUN_CRASHED); /* it was not listed */
}

/* RENEWED lets its job start: from then on it may have run. */
static void a_renewal_that_lists_a_pushed_run_accepts_it(void **state)
{
    struct fixture *f = *state;

    join(f, 1, "a", 5);
    struct run_id id = submit(f, "default");
    struct effect_attempt held = {.run = id, .attempt = 1};
    renew(f, 1, &held, 1);
    assert_int_equal(effect_of(f, EFFECT_RENEWED, NULL)->attempt_count, 0);
    assert_state(f, id, RUN_RUNNING);
    gone(f, 1);
    assert_state(f, id, RUN_RUNNING);
}

static void
a_cancelled_run_of_a_lost_agent_ends_when_the_lease_lapses(void **state)
{
    struct fixture *f = *state;
    struct origin origin = want("default");

    origin.retry.on_lost = ON_LOST_RETRY;
    join(f, 1, "a", 5);
    struct run_id id = submit_as(f, &origin);
    accept_run(f, 1, id, 1);
    gone(f, 1);
    assert_int_equal(cancel(f, id), CANCEL_STARTED);
    assert_int_equal(effect_of(f, EFFECT_CANCEL, &id)->session, 0);
    assert_int_equal(used_in(f, 0), 1);
    pass(f, f->config.lease_ms + f->config.margin_ms);
    assert_state(f, id, RUN_CANCELLED);
    assert_int_equal(used_in(f, 0), 0);
}

static void an_agent_that_comes_back_is_told_again_to_cancel(void **state)
{
    struct fixture *f = *state;

    join(f, 1, "a", 5);
    struct run_id id = submit(f, "default");
    accept_run(f, 1, id, 1);
    gone(f, 1);
    assert_int_equal(cancel(f, id), CANCEL_STARTED);
    struct agent_hello said = agent("a", 5);
    struct effect_attempt held = {.run = id, .attempt = 1};
    said.held = &held;
    said.held_count = 1;
    assert_int_equal(hello(f, 2, &said), HELLO_OK);
    assert_true(effect_of(f, EFFECT_WELCOME, NULL)->attempts[0].keep);
    assert_int_equal(effect_of(f, EFFECT_CANCEL, &id)->session, 2);
    finish(f, 2, id, 1, ATTEMPT_CANCELLED);
    assert_state(f, id, RUN_CANCELLED);
}

/* ---- what comes too late --------------------------------------------- */

/* Every message of an attempt that is not the session's live lease. A result
 * is acknowledged, so that the agent forgets it; not to a session that is over:
 * there it may be the result of a live lease. */
static void expect_late_in(struct fixture *f, uint64_t session, bool live,
                           struct run_id id, uint32_t attempt)
{
    struct node_record node = {.state = RUN_NODE_FAILED};
    struct log_record log = {.stream = 2, .text = "late", .text_bytes = 4};
    struct result result = {.outcome = ATTEMPT_FAILED, .error = "late"};
    uint64_t turn = store_turn(f->store);
    struct board *board = board_of(f);
    uint64_t before = board->late_messages;

    free(board);
    begin(f);
    assert_int_equal(ledger_accepted(f->ledger, session, &id, attempt, 1, 2),
                     0);
    assert_int_equal(
        ledger_refused(f->ledger, session, &id, attempt, true, "late"), 0);
    assert_int_equal(ledger_node(f->ledger, session, &id, attempt, 1, &node),
                     0);
    assert_int_equal(ledger_log(f->ledger, session, &id, attempt, 2, &log), 0);
    assert_int_equal(ledger_result(f->ledger, session, &id, attempt, &result),
                     0);
    commit(f);
    assert_int_equal(store_turn(f->store), turn);
    assert_string_equal(noted(f, "message.late")->text, "accepted");
    assert_int_equal(effects_of(f, EFFECT_ACK), live ? 1 : 0);
    if (live)
        assert_int_equal(effect_of(f, EFFECT_ACK, &id)->attempt, attempt);
    board = board_of(f);
    assert_int_equal(board->late_messages, before + 5);
    free(board);
}

static void expect_late(struct fixture *f, uint64_t session, struct run_id id,
                        uint32_t attempt)
{
    expect_late_in(f, session, true, id, attempt);
}

static void words_about_any_other_attempt_do_nothing(void **state)
{
    struct fixture *f = *state;
    struct run_id stranger = {{1}};
    struct origin origin = want("default");

    join_pool(f, 1, "a", "default", 1);
    join_pool(f, 2, "b", "etl", 1);
    origin.fallback_forbidden = true;
    struct run_id id = submit_as(f, &origin);
    expect_late(f, 1, id, 2);           /* not yet */
    expect_late(f, 2, id, 1);           /* another agent's */
    expect_late_in(f, 9, false, id, 1); /* nobody's session */
    expect_late(f, 1, stranger, 1);     /* no such run */
    gone(f, 1);
    join_pool(f, 3, "a", "default", 1);
    assert_int_equal(attempts(f, id), 2);
    expect_late(f, 3, id, 1);           /* an old attempt */
    expect_late_in(f, 1, false, id, 2); /* an old session */
    accept_run(f, 3, id, 2);
    assert_state(f, id, RUN_RUNNING);
    expect_late(f, 3, id, 1);
    finish(f, 3, id, 2, ATTEMPT_COMPLETED);
    expect_late(f, 3, id, 2); /* it has ended */
    assert_state(f, id, RUN_COMPLETED);
}

static void an_agent_is_told_that_a_late_acceptance_is_lost(void **state)
{
    struct fixture *f = *state;
    struct run_id id = {{1}};

    join(f, 1, "a", 1);
    begin(f);
    assert_int_equal(ledger_accepted(f->ledger, 1, &id, 4, 0, 8), 0);
    assert_int_equal(ledger_accepted(f->ledger, 99, &id, 4, 0, 8), 0);
    assert_int_equal(
        ledger_renew(f->ledger, 99, 1,
                     &(struct effect_attempt){.run = id, .attempt = 4}, 1),
        0);
    commit(f);
    /* A session that is not known is told nothing: its agent may hold the
     * attempt rightly in another. */
    assert_int_equal(effects_of(f, EFFECT_RENEWED), 1);
    const struct effect *e = effect_of(f, EFFECT_RENEWED, NULL);
    assert_int_equal(e->session, 1);
    assert_int_equal(e->beat, 8);
    assert_int_equal(e->attempt_count, 1);
    assert_int_equal(e->attempts[0].attempt, 4);
}

static void a_refusal_after_acceptance_is_late(void **state)
{
    struct fixture *f = *state;

    join(f, 1, "a", 1);
    struct run_id id = submit(f, "default");
    accept_run(f, 1, id, 1);
    begin(f);
    assert_int_equal(ledger_refused(f->ledger, 1, &id, 1, true, "no"), 0);
    commit(f);
    assert_non_null(noted(f, "message.late"));
    assert_state(f, id, RUN_RUNNING);
}

static void a_repeated_acceptance_renews(void **state)
{
    struct fixture *f = *state;

    join(f, 1, "a", 1);
    struct run_id id = submit(f, "default");
    accept_run(f, 1, id, 1);
    pass(f, f->config.lease_ms);
    uint64_t turn = store_turn(f->store);
    accept_run(f, 1, id, 1);
    assert_int_equal(store_turn(f->store), turn);
    pass(f, f->config.lease_ms);
    assert_state(f, id, RUN_RUNNING);
}

static void unknown_sessions_are_fine(void **state)
{
    struct fixture *f = *state;

    begin(f);
    assert_int_equal(ledger_agent_gone(f->ledger, 5, "x"), 0);
    assert_int_equal(ledger_agent_gone(f->ledger, 0, "x"), 0);
    assert_int_equal(ledger_agent_draining(f->ledger, 5), 0);
    commit(f);
    assert_int_equal(f->effect_count, 0);
}

static size_t agents_known(struct fixture *f)
{
    struct board *board = board_of(f);
    size_t count = board->agent_count;

    free(board);
    return count;
}

static void left(struct fixture *f, uint64_t session)
{
    begin(f);
    assert_int_equal(ledger_agent_left(f->ledger, session), 0);
    commit(f);
}

static void
an_agent_that_left_is_forgotten_and_a_lost_one_after_an_hour(void **state)
{
    struct fixture *f = *state;

    join(f, 1, "a", 1);
    left(f, 1);
    assert_int_equal(agents_known(f), 0);
    join(f, 2, "a", 1);
    gone(f, 2);
    pass(f, 3599999);
    assert_int_equal(agents_known(f), 1);
    pass(f, 1);
    assert_int_equal(agents_known(f), 0);
}

static void
an_agent_that_leaves_with_a_lease_is_kept_until_it_ended(void **state)
{
    struct fixture *f = *state;

    join(f, 1, "a", 1);
    struct run_id id = submit(f, "default");
    accept_run(f, 1, id, 1);
    left(f, 1);
    assert_state(f, id, RUN_RUNNING);
    assert_int_equal(agents_known(f), 1);
    pass(f, 2 * 3600000);
    assert_state(f, id, RUN_CRASHED);
    assert_int_equal(agents_known(f), 0);
}

#define claim(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        claim(what_a_lost_agent_had_not_accepted_goes_back_at_once),
        claim(on_lost_says_whether_a_lost_run_is_tried_again),
        claim(a_renewed_lease_does_not_lapse),
        claim(a_renewal_that_lists_a_pushed_run_accepts_it),
        claim(a_cancelled_run_of_a_lost_agent_ends_when_the_lease_lapses),
        claim(an_agent_that_comes_back_is_told_again_to_cancel),
        claim(words_about_any_other_attempt_do_nothing),
        claim(an_agent_is_told_that_a_late_acceptance_is_lost),
        claim(a_refusal_after_acceptance_is_late),
        claim(a_repeated_acceptance_renews),
        claim(an_agent_that_left_is_forgotten_and_a_lost_one_after_an_hour),
        claim(an_agent_that_leaves_with_a_lease_is_kept_until_it_ended),
        claim(unknown_sessions_are_fine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
