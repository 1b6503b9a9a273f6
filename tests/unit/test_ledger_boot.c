/*
 * test_ledger_boot.c - the ledger goes on where the last commit stood, whatever
 * stood there; what it cannot read it names.
 */
#include "tests/unit/ledger_fixture.h"

/* ---- what waits and what runs ---------------------------------------- */

static void opening_writes_nothing(void **state)
{
    struct fixture *f = *state;
    struct run_id ids[8];

    join(f, 1, "a", 3);
    submit_many(f, "default", ids, 8);
    accept_run(f, 1, ids[0], 1);
    uint64_t turn = store_turn(f->store);
    for (int i = 0; i < 3; i++) {
        reopen(f);
        audit(f);
        assert_int_equal(store_turn(f->store), turn);
    }
}

static void what_waited_waits_in_the_same_order(void **state)
{
    static const enum run_priority priorities[] = {
        PRIORITY_LOW, PRIORITY_NORMAL, PRIORITY_HIGH, PRIORITY_NORMAL};
    static const int order[] = {2, 1, 3, 4, 0};
    struct fixture *f = *state;
    struct run_id ids[5];

    for (int i = 0; i < 5; i++) {
        struct origin origin = want("default");
        origin.priority = i < 4 ? priorities[i] : PRIORITY_NORMAL;
        if (i == 4) { /* submitted after the restart, by a clock set back */
            f->now_unix_ms -= 86400000;
            reopen(f);
        }
        ids[i] = submit_as(f, &origin);
    }
    join_pool(f, 1, "a", "default", 1);
    for (int i = 0; i < 5; i++) {
        assert_state(f, ids[order[i]], RUN_PENDING);
        finish(f, 1, ids[order[i]], 1, ATTEMPT_COMPLETED);
    }
}

static void slots_are_held_until_the_leases_lapse_counted_anew(void **state)
{
    struct fixture *f = *state;
    struct run_id ids[6];

    join_pool(f, 1, "a", "default", 9);
    submit_many(f, "default", ids, 6);
    for (int i = 0; i < 5; i++)
        accept_run(f, 1, ids[i], 1);
    f->now_ms = 1000000; /* another machine's clock */
    reopen(f);
    assert_int_equal(used_in(f, 0), 5);
    join_pool(f, 2, "b", "default", 9);
    assert_waits(f, ids[5], WAIT_POOL_FULL);
    struct explanation e = explained(f, ids[5]);
    assert_string_equal(e.holders[0].workflow, "copy");
    assert_string_equal(e.holders[0].agent, "a");
    assert_int_equal(explained(f, ids[0]).decision.chosen, 0);
    pass(f, f->config.lease_ms + f->config.margin_ms - 1);
    assert_state(f, ids[0], RUN_RUNNING);
    pass(f, 1);
    assert_state(f, ids[0], RUN_CRASHED);
}

static void a_time_to_start_is_kept(void **state)
{
    struct fixture *f = *state;
    struct origin origin = want("default");

    join(f, 1, "a", 9);
    origin.start_at_unix_ms = f->now_unix_ms + 5000;
    origin.retry = (struct retry_rule){.retries = 2, .base_ms = 4000};
    struct run_id id = submit_as(f, &origin);
    pass(f, 2000);
    reopen(f);
    assert_waits(f, id, WAIT_BEGIN_TIME);
    join(f, 2, "a", 9);
    pass(f, 2999);
    assert_state(f, id, RUN_SCHEDULED);
    pass(f, 1);
    assert_state(f, id, RUN_PENDING);
    finish(f, 2, id, 1, ATTEMPT_FAILED);
    reopen(f);
    assert_waits(f, id, WAIT_RETRY_BACKOFF);
    pass(f, 4000);
    join(f, 3, "a", 9);
    assert_int_equal(attempts(f, id), 2);
    struct run_record *run = record(f, id);
    assert_int_equal(run->failures, 1);
    assert_string_equal(run->error, "it went wrong");
    free(run);
}

static void a_cancel_is_not_forgotten(void **state)
{
    struct fixture *f = *state;
    struct run_id ids[2];

    join(f, 1, "a", 9);
    submit_many(f, "default", ids, 2);
    accept_run(f, 1, ids[0], 1);
    (void)cancel(f, ids[0]);
    (void)cancel(f, ids[1]);
    reopen(f);
    assert_int_equal(cancel(f, ids[0]), CANCEL_ALREADY);
    join(f, 2, "a", 9); /* the same boot, which has neither */
    assert_state(f, ids[0], RUN_CANCELLED);
    assert_state(f, ids[1], RUN_CANCELLED);
    struct run_record *run = record(f, ids[0]);
    assert_string_equal(run->cancel_who, "ann");
    assert_string_equal(run->cancel_reason, "not needed");
    free(run);
}

static void losses_and_failures_are_counted_over_restarts(void **state)
{
    struct fixture *f = *state;
    struct origin origin = want("default");
    uint64_t session = 0;

    origin.retry.on_lost = ON_LOST_RETRY;
    join(f, ++session, "a", 9);
    struct run_id id = submit_as(f, &origin);
    for (uint32_t n = 1; n <= 4; n++) {
        assert_int_equal(attempts(f, id), n);
        accept_run(f, session, id, n);
        reopen(f);
        join(f, ++session, "a", 9); /* the same boot, without it */
    }
    assert_state(f, id, RUN_CRASHED);
}

/* ---- agents that come back ------------------------------------------- */

static void say_held(struct fixture *f, uint64_t session, uint8_t boot,
                     const struct effect_attempt *held, size_t count)
{
    struct agent_hello said = agent("a", 9);

    said.boot[0] = boot;
    said.held = held;
    said.held_count = count;
    assert_int_equal(hello(f, session, &said), HELLO_OK);
}

static void a_held_attempt_is_adopted_and_others_are_to_be_killed(void **state)
{
    struct fixture *f = *state;
    struct effect_attempt held[4] = {{.attempt = 1}, {.attempt = 2}};

    join(f, 1, "a", 9);
    struct run_id id = submit(f, "default");
    accept_run(f, 1, id, 1);
    reopen(f);
    held[0].run = id;
    held[1].run = id;                   /* no such attempt */
    held[2].run = (struct run_id){{7}}; /* no such run */
    held[2].attempt = 1;
    say_held(f, 2, 1, held, 3);
    const struct effect *e = effect_of(f, EFFECT_WELCOME, NULL);
    assert_int_equal(e->session, 2);
    assert_int_equal(e->lease_ms, f->config.lease_ms);
    assert_int_equal(e->attempt_count, 3);
    assert_true(e->attempts[0].keep);
    assert_false(e->attempts[1].keep);
    assert_false(e->attempts[2].keep);
    finish(f, 2, id, 1, ATTEMPT_COMPLETED);
    assert_state(f, id, RUN_COMPLETED);
}

static void an_attempt_of_another_agent_is_not_adopted(void **state)
{
    struct fixture *f = *state;

    join(f, 1, "b", 9);
    struct run_id id = submit(f, "default");
    accept_run(f, 1, id, 1);
    struct effect_attempt held = {.run = id, .attempt = 1};
    say_held(f, 2, 1, &held, 1);
    assert_false(effect_of(f, EFFECT_WELCOME, NULL)->attempts[0].keep);
    assert_state(f, id, RUN_RUNNING);
}

static void a_held_attempt_counts_as_accepted(void **state)
{
    struct fixture *f = *state;

    join(f, 1, "a", 9);
    struct run_id id = submit(f, "default");
    reopen(f);
    assert_state(f, id, RUN_PENDING);
    struct effect_attempt held = {.run = id, .attempt = 1};
    say_held(f, 2, 1, &held, 1);
    assert_state(f, id, RUN_RUNNING);
}

static void what_the_same_boot_no_longer_has_is_lost_at_once(void **state)
{
    struct fixture *f = *state;

    join(f, 1, "a", 9);
    struct run_id id = submit(f, "default");
    accept_run(f, 1, id, 1);
    reopen(f);
    say_held(f, 2, 1, NULL, 0);
    assert_state(f, id, RUN_CRASHED);
}

static void what_another_boot_does_not_have_lapses(void **state)
{
    struct fixture *f = *state;

    join(f, 1, "a", 9);
    struct run_id id = submit(f, "default");
    accept_run(f, 1, id, 1);
    reopen(f);
    say_held(f, 2, 2, NULL, 0);
    assert_state(f, id, RUN_RUNNING);
    pass(f, f->config.lease_ms + f->config.margin_ms);
    assert_state(f, id, RUN_CRASHED);
}

static void a_restarted_agent_that_found_its_attempt_keeps_it(void **state)
{
    struct fixture *f = *state;

    join(f, 1, "a", 9);
    struct run_id id = submit(f, "default");
    accept_run(f, 1, id, 1);
    gone(f, 1);
    struct effect_attempt held = {.run = id, .attempt = 1};
    say_held(f, 2, 2, &held, 1);
    assert_true(effect_of(f, EFFECT_WELCOME, NULL)->attempts[0].keep);
    for (int i = 0; i < 2; i++) { /* that boot is the one that has it now */
        gone(f, 2);
        if (i == 1)
            reopen(f);
        say_held(f, 3, 2, i == 0 ? &held : NULL, i == 0 ? 1 : 0);
        assert_state(f, id, i == 0 ? RUN_RUNNING : RUN_CRASHED);
    }
}

static void what_was_not_accepted_goes_back_whatever_the_boot(void **state)
{
    struct fixture *f = *state;

    join(f, 1, "a", 9);
    struct run_id id = submit(f, "default");
    for (uint8_t boot = 1; boot < 3; boot++) {
        reopen(f);
        say_held(f, boot, boot, NULL, 0);
        assert_int_equal(attempts(f, id), boot + 1);
    }
}

static void events_are_resumed_and_not_stored_twice(void **state)
{
    struct fixture *f = *state;
    struct log_record log = {.stream = 1, .text = "x", .text_bytes = 1};
    struct result result = {.outcome = ATTEMPT_COMPLETED, .events = 7};

    join(f, 1, "a", 9);
    struct run_id id = submit(f, "default");
    accept_run(f, 1, id, 1);
    begin(f);
    for (uint64_t event = 1; event <= 5; event++)
        assert_int_equal(ledger_log(f->ledger, 1, &id, 1, event, &log), 0);
    commit(f);
    reopen(f);
    struct effect_attempt held = {.run = id, .attempt = 1, .events = 7};
    say_held(f, 2, 1, &held, 1);
    assert_int_equal(effect_of(f, EFFECT_WELCOME, NULL)->attempts[0].events, 5);
    begin(f);
    for (uint64_t event = 4; event <= 7; event++)
        assert_int_equal(ledger_log(f->ledger, 2, &id, 1, event, &log), 0);
    commit(f);
    size_t count;
    size_t logs = 0;
    const struct store_write *writes = store_writes(f->store, &count);
    for (size_t i = 0; i < count; i++)
        logs += writes[i].table == STORE_LOG;
    assert_int_equal(logs, 2);
    begin(f);
    assert_int_equal(ledger_result(f->ledger, 2, &id, 1, &result), 0);
    commit(f);
    struct attempt_record *attempt = attempt_of(f, id, 1);
    assert_true(attempt->logs_complete);
    assert_int_equal(attempt->events, 7);
    free(attempt);
}

static void missing_output_is_not_forgotten_by_a_restart(void **state)
{
    static char text[1 << 20];
    struct fixture *f = *state;
    struct log_record log = {.stream = 1, .text = text, .text_bytes = 1 << 20};
    struct run_id ids[2];

    join(f, 1, "a", 9);
    submit_many(f, "default", ids, 2);
    begin(f);
    for (uint64_t event = 1; event <= 9; event++) /* one too many */
        assert_int_equal(ledger_log(f->ledger, 1, &ids[0], 1, event, &log), 0);
    assert_int_equal(ledger_log(f->ledger, 1, &ids[1], 1, 2, &log), 0);
    commit(f);
    reopen(f);
    struct effect_attempt held[2] = {{.run = ids[0], .attempt = 1},
                                     {.run = ids[1], .attempt = 1}};
    say_held(f, 2, 1, held, 2);
    for (int i = 0; i < 2; i++) {
        struct result result = {.outcome = ATTEMPT_COMPLETED,
                                .events = i == 0 ? 10 : 2};
        begin(f);
        if (i == 0)
            assert_int_equal(ledger_log(f->ledger, 2, &ids[0], 1, 10, &log), 0);
        assert_int_equal(ledger_result(f->ledger, 2, &ids[i], 1, &result), 0);
        commit(f);
        struct attempt_record *attempt = attempt_of(f, ids[i], 1);
        assert_false(attempt->logs_complete);
        assert_int_equal(attempt->log_dropped, i == 0 ? 2 << 20 : 0);
        free(attempt);
    }
}

/* ---- requests made twice --------------------------------------------- */

static void a_request_made_again_is_the_same_run(void **state)
{
    static const struct once once = {.key = {1}, .body = {2}};
    static const struct once other = {.key = {1}, .body = {3}};
    struct fixture *f = *state;
    struct origin origin = want("default");

    origin.once = &once;
    struct run_id id = submit_as(f, &origin);
    for (int i = 0; i < 4; i++) {
        origin.once = &once;
        begin(f);
        struct admission admission = ask(f, &origin);
        assert_int_equal(admission.answer, ADMIT_OK);
        assert_true(admission.replayed);
        assert_true(same_id(admission.run, id));
        origin.once = &other;
        admission = ask(f, &origin);
        assert_int_equal(admission.answer, ADMIT_KEY_REUSED);
        assert_false(admission.replayed);
        commit(f);
        if (i == 0)
            reopen(f);
        else if (i == 1)
            assert_int_equal(cancel(f, id), CANCEL_DONE); /* also ended */
        else
            ledger_drain(f->ledger);
    }
    struct board *board = board_of(f);
    assert_int_equal(board->pools[0].waiting, 0);
    free(board);
}

static void a_request_made_twice_in_one_turn_is_one_run(void **state)
{
    static const struct once once = {.key = {1}, .body = {2}};
    struct fixture *f = *state;
    struct origin origin = want("default");

    origin.once = &once;
    begin(f);
    struct admission first = ask(f, &origin);
    struct admission second = ask(f, &origin);
    commit(f);
    assert_true(same_id(first.run, second.run));
    assert_false(first.replayed);
    assert_true(second.replayed);
}

static void a_refused_request_may_be_made_again(void **state)
{
    static const struct once once = {.key = {1}, .body = {2}};
    struct fixture *f = *state;
    struct origin origin = want("default");

    origin.once = &once;
    pool_do(f, "default", VERB_CLOSE, 0);
    begin(f);
    assert_int_equal(ask(f, &origin).answer, ADMIT_POOL_CLOSED);
    commit(f);
    pool_do(f, "default", VERB_RESUME, 0);
    (void)submit_as(f, &origin);
}

/* ---- what cannot be opened ------------------------------------------- */

static void expect_no_ledger(struct fixture *f, int err, const char *text)
{
    struct ledger *ledger = NULL;
    char why[STORE_WHY_MAX];

    ledger_close(&f->ledger);
    assert_int_equal(ledger_open(f->store, &f->config, f->now_ms,
                                 f->now_unix_ms, 1, &ledger, why),
                     err);
    if (strstr(why, text) == NULL)
        fail_msg("\"%s\" lacks \"%s\"", why, text);
    assert_null(ledger);
}

static void a_pool_that_is_still_needed_is_named(void **state)
{
    struct fixture *f = *state;

    join(f, 1, "a", 1);
    (void)submit(f, "etl");
    (void)snprintf(f->config.pools[1].name, POOL_NAME_MAX, "renamed");
    memset(f->config.pools[1].aliases, 0, sizeof f->config.pools[1].aliases);
    f->config.pools[1].alias_count = 0;
    expect_no_ledger(f, -EINVAL, "for pool etl, which the configuration");

    (void)snprintf(f->config.pools[1].aliases[0], POOL_NAME_MAX, "etl");
    f->config.pools[1].alias_count = 1;
    reopen(f);
    struct board *board = board_of(f);
    assert_int_equal(board->pools[1].used, 1);
    assert_string_equal(board->pools[1].config.name, "renamed");
    free(board);
}

static void a_damaged_record_is_named(void **state)
{
    struct fixture *f = *state;
    uint8_t key[20];

    join(f, 1, "a", 1);
    struct run_id id = submit(f, "etl");
    char text[RUN_ID_TEXT];
    run_id_text(&id, text);
    attempt_key(key, id, 1);
    struct stored_bytes run = stored(f, STORE_RUN, id.b, sizeof id.b);
    struct stored_bytes origin = stored(f, STORE_ORIGIN, id.b, sizeof id.b);

    plant(f, STORE_RUN, id.b, sizeof id.b, "x", 1);
    expect_no_ledger(f, -EBADMSG, text);
    plant(f, STORE_RUN, id.b, sizeof id.b, run.ptr, run.len);
    plant(f, STORE_ORIGIN, id.b, sizeof id.b, "x", 1);
    expect_no_ledger(f, -EBADMSG, "its origin record is damaged");
    plant(f, STORE_ORIGIN, id.b, sizeof id.b, origin.ptr, origin.len);
    plant(f, STORE_ATTEMPT, key, sizeof key, "x", 1);
    expect_no_ledger(f, -EBADMSG, "its attempt record is damaged");

    struct run_record ended = {.state = RUN_COMPLETED};
    void *bytes;
    size_t len;
    assert_int_equal(run_encode(&ended, &bytes, &len), 0);
    plant(f, STORE_RUN, id.b, sizeof id.b, bytes, len);
    free(bytes);
    expect_no_ledger(f, -EBADMSG, "it has ended");
    free(run.ptr);
    free(origin.ptr);
}

/* ---- a full disk ----------------------------------------------------- */

static void a_failed_commit_costs_no_committed_turn(void **state)
{
    static char big[1 << 20];
    struct fixture *f = *state;
    struct origin origin = want("default");
    struct admission admission;

    struct run_id id = submit(f, "default");
    int err = 0;
    begin(f);
    for (int i = 0; i < 100 && err == 0; i++)
        err = ledger_submit(f->ledger, &origin, (struct span){big, sizeof big},
                            (struct span){"{}", 2}, &admission);
    if (err == 0)
        err = ledger_commit(f->ledger, &f->effects, &f->effect_count);
    assert_int_equal(err, -ENOSPC);
    reopen(f);
    audit(f);
    assert_state(f, id, RUN_QUEUED);
    join(f, 1, "a", 1);
    assert_state(f, id, RUN_PENDING);
}

#define claim(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        claim(opening_writes_nothing),
        claim(what_waited_waits_in_the_same_order),
        claim(slots_are_held_until_the_leases_lapse_counted_anew),
        claim(a_time_to_start_is_kept),
        claim(a_cancel_is_not_forgotten),
        claim(losses_and_failures_are_counted_over_restarts),
        claim(a_held_attempt_is_adopted_and_others_are_to_be_killed),
        claim(an_attempt_of_another_agent_is_not_adopted),
        claim(a_held_attempt_counts_as_accepted),
        claim(what_the_same_boot_no_longer_has_is_lost_at_once),
        claim(what_another_boot_does_not_have_lapses),
        claim(a_restarted_agent_that_found_its_attempt_keeps_it),
        claim(what_was_not_accepted_goes_back_whatever_the_boot),
        claim(events_are_resumed_and_not_stored_twice),
        claim(missing_output_is_not_forgotten_by_a_restart),
        claim(a_request_made_again_is_the_same_run),
        claim(a_request_made_twice_in_one_turn_is_one_run),
        claim(a_refused_request_may_be_made_again),
        claim(a_pool_that_is_still_needed_is_named),
        claim(a_damaged_record_is_named),
        claim(a_failed_commit_costs_no_committed_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
