/*
 * test_ledger_node.c - nodes that say how far they are: what of it is written
 * at once, what waits with the lease, and what a crash may take back.
 */
#include "tests/unit/ledger_fixture.h"

enum { NEWS = 500 /* ms until news is written */ };

static struct node_record running(uint32_t node, uint64_t rows)
{
    return (struct node_record){.node = node,
                                .state = RUN_NODE_RUNNING,
                                .started_unix_ms = START_UNIX_MS,
                                .exit_code = -1,
                                .rows_in = rows,
                                .rows_out = rows,
                                .bytes_out = 10 * rows,
                                .rows_rejected = rows / 10};
}

static void say(struct fixture *f, uint64_t session, struct run_id id,
                uint64_t event, struct node_record node)
{
    begin(f);
    assert_int_equal(ledger_node(f->ledger, session, &id, 1, event, &node), 0);
    commit(f);
}

static size_t writes_of(const struct fixture *f)
{
    size_t count;

    (void)store_writes(f->store, &count);
    return count;
}

/* What the store says of a node, whose state must be this. */
static uint64_t rows_stored(struct fixture *f, struct run_id id, uint32_t node,
                            enum run_node_state state)
{
    uint8_t key[20];
    struct node_record *record;

    attempt_key(key, id, node);
    struct stored_bytes bytes = stored(f, STORE_NODE, key, sizeof key);
    assert_int_equal(node_decode(bytes.ptr, bytes.len, &record), 0);
    uint64_t rows = record->rows_out;
    assert_int_equal(record->state, state);
    assert_int_equal(record->rows_rejected, rows / 10);
    free(record);
    free(bytes.ptr);
    return rows;
}

static struct run_id start(struct fixture *f)
{
    join(f, 1, "a", 9);
    struct run_id id = submit(f, "default");
    accept_run(f, 1, id, 1);
    return id;
}

/* The agent comes back after a crash of the broker; returns the event it is to
 * resume after. */
static uint64_t come_back(struct fixture *f, uint64_t session, struct run_id id)
{
    struct effect_attempt held = {.run = id, .attempt = 1, .events = 99};
    struct agent_hello said = agent("a", 9);

    said.held = &held;
    said.held_count = 1;
    assert_int_equal(hello(f, session, &said), HELLO_OK);
    assert_true(effect_of(f, EFFECT_WELCOME, NULL)->attempts[0].keep);
    return effect_of(f, EFFECT_WELCOME, NULL)->attempts[0].events;
}

static void news_of_counts_costs_no_write_until_it_is_due(void **state)
{
    struct fixture *f = *state;
    struct run_id id = start(f);

    say(f, 1, id, 1, running(3, 0));
    assert_int_equal(writes_of(f), 2); /* the node, and how far events came */
    for (uint64_t event = 2; event <= 50; event++) {
        say(f, 1, id, event, running(3, event * 100));
        assert_int_equal(writes_of(f), 0);
    }
    assert_int_equal(rows_stored(f, id, 3, RUN_NODE_RUNNING), 0);
    pass(f, NEWS - 1);
    assert_int_equal(rows_stored(f, id, 3, RUN_NODE_RUNNING), 0);
    pass(f, 1);
    assert_int_equal(rows_stored(f, id, 3, RUN_NODE_RUNNING), 5000);
    assert_int_equal(writes_of(f), 2);
}

static void when_all_is_written_the_ledger_wants_no_more_turns(void **state)
{
    struct fixture *f = *state;
    struct run_id id = start(f);

    say(f, 1, id, 1, running(3, 0));
    uint64_t before = ledger_next_ms(f->ledger);
    say(f, 1, id, 2, running(3, 10));
    assert_int_equal(ledger_next_ms(f->ledger), f->now_ms + NEWS);
    pass(f, NEWS);
    assert_int_equal(ledger_next_ms(f->ledger), before);
}

static void the_news_of_all_runs_is_written_in_one_turn(void **state)
{
    struct fixture *f = *state;
    struct run_id ids[4];

    join(f, 1, "a", 9);
    submit_many(f, "default", ids, 4);
    for (size_t i = 0; i < 4; i++) {
        accept_run(f, 1, ids[i], 1);
        say(f, 1, ids[i], 1, running(0, 0));
    }
    uint64_t turn = store_turn(f->store);
    for (size_t i = 0; i < 4; i++) {
        say(f, 1, ids[i], 2, running(0, 40));
        pass(f, 10);
    }
    pass(f, NEWS);
    assert_int_equal(store_turn(f->store), turn + 1);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(rows_stored(f, ids[i], 0, RUN_NODE_RUNNING), 40);
}

static void a_change_of_state_is_written_at_once_with_the_last_word(void **s)
{
    struct fixture *f = *s;
    struct run_id id = start(f);
    struct node_record ended = running(3, 30);

    say(f, 1, id, 1, running(3, 0));
    say(f, 1, id, 2, running(3, 20));
    ended.state = RUN_NODE_COMPLETED;
    say(f, 1, id, 3, ended);
    assert_int_equal(rows_stored(f, id, 3, RUN_NODE_COMPLETED), 30);
    pass(f, NEWS); /* what was overtaken does not come back */
    assert_int_equal(rows_stored(f, id, 3, RUN_NODE_COMPLETED), 30);
}

static void a_result_is_the_last_word_on_news_that_waits(void **state)
{
    struct fixture *f = *state;
    struct run_id id = start(f);
    struct node_record last = running(3, 70);
    struct result result = {.outcome = ATTEMPT_COMPLETED,
                            .events = 3,
                            .nodes = &last,
                            .node_count = 1};

    last.state = RUN_NODE_COMPLETED;
    say(f, 1, id, 1, running(3, 0));
    say(f, 1, id, 2, running(3, 20));
    say(f, 1, id, 3, running(3, 60));
    begin(f);
    assert_int_equal(ledger_result(f->ledger, 1, &id, 1, &result), 0);
    commit(f);
    assert_int_equal(rows_stored(f, id, 3, RUN_NODE_COMPLETED), 70);
    struct attempt_record *attempt = attempt_of(f, id, 1);
    assert_int_equal(attempt->events, 3);
    assert_true(attempt->logs_complete);
    free(attempt);
    pass(f, NEWS);
    assert_int_equal(rows_stored(f, id, 3, RUN_NODE_COMPLETED), 70);
}

static void news_of_a_lost_agent_is_not_lost(void **state)
{
    struct fixture *f = *state;

    f->config.lease_ms = 100; /* it lapses before news is due */
    f->config.margin_ms = 10;
    reopen(f);
    struct run_id id = start(f);
    say(f, 1, id, 1, running(3, 0));
    say(f, 1, id, 2, running(3, 20));
    gone(f, 1);
    pass(f, 110);
    assert_state(f, id, RUN_CRASHED);
    assert_int_equal(rows_stored(f, id, 3, RUN_NODE_RUNNING), 20);
}

static void after_a_crash_news_is_asked_for_again(void **state)
{
    struct fixture *f = *state;
    struct run_id id = start(f);

    say(f, 1, id, 1, running(3, 0));
    say(f, 1, id, 2, running(3, 20));
    pass(f, NEWS);
    say(f, 1, id, 3, running(3, 30));
    reopen(f);
    assert_int_equal(rows_stored(f, id, 3, RUN_NODE_RUNNING), 20);
    assert_int_equal(come_back(f, 2, id), 2);
    say(f, 2, id, 3, running(3, 30));
    say(f, 2, id, 4, running(3, 40));
    pass(f, NEWS);
    assert_int_equal(rows_stored(f, id, 3, RUN_NODE_RUNNING), 40);
}

/* Else the agent would not be asked for what was not written. */
static void what_is_stored_as_heard_has_had_its_effect(void **state)
{
    struct fixture *f = *state;
    struct run_id id = start(f);
    struct log_record log = {.stream = 1, .text = "x", .text_bytes = 1};

    say(f, 1, id, 1, running(3, 0));
    say(f, 1, id, 2, running(3, 20));
    begin(f);
    assert_int_equal(ledger_log(f->ledger, 1, &id, 1, 3, &log), 0);
    commit(f);
    reopen(f);
    assert_int_equal(rows_stored(f, id, 3, RUN_NODE_RUNNING), 20);
    assert_int_equal(come_back(f, 2, id), 3);
}

static void an_agent_that_comes_back_is_told_the_last_news(void **state)
{
    struct fixture *f = *state;
    struct run_id id = start(f);

    say(f, 1, id, 1, running(3, 0));
    say(f, 1, id, 2, running(3, 20));
    gone(f, 1);
    assert_int_equal(come_back(f, 2, id), 2);
}

static void old_news_and_news_of_others_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct run_id id = start(f);

    say(f, 1, id, 1, running(3, 0));
    say(f, 1, id, 2, running(3, 20));
    say(f, 1, id, 2, running(3, 90));
    say(f, 7, id, 3, running(3, 90));
    pass(f, NEWS);
    assert_int_equal(rows_stored(f, id, 3, RUN_NODE_RUNNING), 20);
}

static void news_after_a_hole_is_written_and_the_hole_remembered(void **state)
{
    struct fixture *f = *state;
    struct run_id id = start(f);

    say(f, 1, id, 1, running(3, 0));
    say(f, 1, id, 4, running(3, 20));
    assert_int_equal(rows_stored(f, id, 3, RUN_NODE_RUNNING), 20);
    struct result result = {.outcome = ATTEMPT_COMPLETED, .events = 4};
    begin(f);
    assert_int_equal(ledger_result(f->ledger, 1, &id, 1, &result), 0);
    commit(f);
    struct attempt_record *attempt = attempt_of(f, id, 1);
    assert_false(attempt->logs_complete);
    free(attempt);
}

static void news_of_an_earlier_attempt_is_not_taken_for_this_one(void **state)
{
    struct fixture *f = *state;
    struct origin origin = want("default");

    origin.retry = (struct retry_rule){
        .retries = 1, .base_ms = 10, .cap_ms = 10, .repeatable = true};
    join(f, 1, "a", 9);
    struct run_id id = submit_as(f, &origin);
    accept_run(f, 1, id, 1);
    say(f, 1, id, 1, running(3, 50));
    finish(f, 1, id, 1, ATTEMPT_FAILED);
    pass(f, 20);
    accept_run(f, 1, id, 2);
    struct node_record again = running(3, 0); /* alike but for its attempt */
    begin(f);
    assert_int_equal(ledger_node(f->ledger, 1, &id, 2, 1, &again), 0);
    commit(f);
    assert_int_equal(rows_stored(f, id, 3, RUN_NODE_RUNNING), 0);
}

static void news_of_more_nodes_than_may_wait_is_written(void **state)
{
    enum { NODES = 100 };
    struct fixture *f = *state;
    struct run_id id = start(f);
    uint64_t event = 0;

    begin(f);
    for (uint32_t node = 0; node < NODES; node++) {
        struct node_record n = running(node, 0);
        assert_int_equal(ledger_node(f->ledger, 1, &id, 1, ++event, &n), 0);
    }
    commit(f);
    begin(f);
    for (uint32_t node = 0; node < NODES; node++) {
        struct node_record n = running(node, 10 + node);
        assert_int_equal(ledger_node(f->ledger, 1, &id, 1, ++event, &n), 0);
    }
    commit(f); /* the events of those that are written move LIVE: so all are */
    for (uint32_t node = 0; node < NODES; node++)
        assert_int_equal(rows_stored(f, id, node, RUN_NODE_RUNNING), 10 + node);
}

#define claim(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        claim(news_of_counts_costs_no_write_until_it_is_due),
        claim(when_all_is_written_the_ledger_wants_no_more_turns),
        claim(the_news_of_all_runs_is_written_in_one_turn),
        claim(a_change_of_state_is_written_at_once_with_the_last_word),
        claim(a_result_is_the_last_word_on_news_that_waits),
        claim(news_of_a_lost_agent_is_not_lost),
        claim(after_a_crash_news_is_asked_for_again),
        claim(what_is_stored_as_heard_has_had_its_effect),
        claim(an_agent_that_comes_back_is_told_the_last_news),
        claim(old_news_and_news_of_others_changes_nothing),
        claim(news_after_a_hole_is_written_and_the_hole_remembered),
        claim(news_of_an_earlier_attempt_is_not_taken_for_this_one),
        claim(news_of_more_nodes_than_may_wait_is_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
