/*
 * test_ledger_agents.c - agents and their attempts: who gets a run, what its
 * messages do, how an attempt ends. Lost ones are in test_ledger_lost.c.
 */
#include "tests/unit/ledger_fixture.h"

/* The agent that has the run's slot; to be freed. */
static char *agent_of(struct fixture *f, struct run_id id)
{
    struct run_record *run = record(f, id);
    char *name = strdup(run->agent != NULL ? run->agent : "");

    free(run);
    assert_non_null(name);
    return name;
}

static void expect_agent(struct fixture *f, struct run_id id, const char *name)
{
    char *is = agent_of(f, id);

    assert_string_equal(is, name);
    free(is);
}

/* ---- who gets it ----------------------------------------------------- */

static void the_agent_with_the_least_relative_load_is_chosen(void **state)
{
    struct fixture *f = *state;

    join_pool(f, 1, "a", "default", 2);
    join_pool(f, 2, "b", "default", 4);
    /* Loads a/2, b/4: the larger one first when they are equal. */
    expect_agent(f, submit(f, "default"), "b"); /* 0, 0 */
    expect_agent(f, submit(f, "default"), "a"); /* 0, 1/4 */
    expect_agent(f, submit(f, "default"), "b"); /* 1/2, 1/4 */
    expect_agent(f, submit(f, "default"), "b"); /* 1/2, 2/4 */
    expect_agent(f, submit(f, "default"), "a"); /* 1/2, 3/4 */
}

static void an_agent_gets_no_more_than_its_slots(void **state)
{
    struct fixture *f = *state;
    struct run_id ids[3];

    join(f, 1, "a", 2);
    submit_many(f, "default", ids, 3);
    assert_int_equal(effects_of(f, EFFECT_PUSH), 2);
    assert_waits(f, ids[2], WAIT_AGENTS_BUSY);
}

static void a_run_goes_only_to_an_agent_that_can_do_it(void **state)
{
    static const char *const rows[] = {"kind:rows", "kind:command"};
    struct fixture *f = *state;
    struct agent_hello said = agent("b", 1);
    struct origin origin = want("default");

    origin.requires[0] = "kind:rows";
    join(f, 1, "a", 100);
    struct run_id id = submit_as(f, &origin);
    assert_waits(f, id, WAIT_NO_CAPABLE_AGENT);
    said.caps = rows;
    assert_int_equal(hello(f, 2, &said), HELLO_OK);
    assert_int_equal(effect_of(f, EFFECT_PUSH, &id)->session, 2);

    /* A new session may be able to do less. */
    said.cap_count = 0;
    assert_int_equal(hello(f, 3, &said), HELLO_OK);
    finish(f, 3, id, 1, ATTEMPT_COMPLETED);
    assert_waits(f, submit_as(f, &origin), WAIT_NO_CAPABLE_AGENT);
}

static void needs_are_forgotten_and_known_again(void **state)
{
    struct fixture *f = *state;
    struct origin origin = want("default");
    char name[16];

    /* More different needs than one word of bits, twice over. */
    join(f, 1, "a", 1);
    for (int round = 0; round < 2; round++) {
        struct run_id ids[100];
        for (int i = 0; i < 100; i++) {
            (void)snprintf(name, sizeof name, "kind:%d", i);
            origin.requires[0] = name;
            ids[i] = submit_as(f, &origin);
            assert_waits(f, ids[i], WAIT_NO_CAPABLE_AGENT);
        }
        const char *caps[] = {"kind:77"};
        struct agent_hello said = agent("b", 1);
        said.caps = caps;
        said.cap_count = 1;
        assert_int_equal(hello(f, 2, &said), HELLO_OK);
        assert_int_equal(effects_of(f, EFFECT_PUSH), 1);
        assert_state(f, ids[77], RUN_PENDING);
        gone(f, 2);
        for (int i = 0; i < 100; i++)
            assert_int_equal(cancel(f, ids[i]), CANCEL_DONE);
    }
}

static void a_paused_or_draining_agent_is_pushed_nothing(void **state)
{
    struct fixture *f = *state;

    join(f, 1, "a", 5);
    agent_do(f, "a", VERB_PAUSE);
    struct run_id id = submit(f, "default");
    assert_waits(f, id, WAIT_AGENTS_UNHEALTHY);
    assert_int_equal(effects_of(f, EFFECT_DRAIN), 0);
    agent_do(f, "a", VERB_RESUME);
    assert_state(f, id, RUN_PENDING);

    /* The operator's drain is told to the agent; what it has goes on. */
    agent_do(f, "a", VERB_DRAIN);
    assert_int_equal(effect_of(f, EFFECT_DRAIN, NULL)->session, 1);
    accept_run(f, 1, id, 1);
    finish(f, 1, id, 1, ATTEMPT_COMPLETED);
    id = submit(f, "default");
    assert_waits(f, id, WAIT_AGENTS_UNHEALTHY);
    join(f, 2, "a", 5);
    assert_int_equal(effect_of(f, EFFECT_DRAIN, NULL)->session, 2);
    assert_waits(f, id, WAIT_AGENTS_UNHEALTHY);

    /* It survives a restart, by name, also of an agent that is away. */
    reopen(f);
    join(f, 3, "a", 5);
    assert_waits(f, id, WAIT_AGENTS_UNHEALTHY);
    struct board *board = board_of(f);
    assert_int_equal(board->agents[0].state, POOL_DRAINING);
    assert_string_equal(board->agents[0].who, "ann");
    free(board);
    agent_do(f, "a", VERB_RESUME);
    assert_state(f, id, RUN_PENDING);
}

static void an_agent_that_drains_by_itself_is_pushed_nothing(void **state)
{
    struct fixture *f = *state;
    struct agent_hello said = agent("a", 5);

    join(f, 1, "a", 5);
    begin(f);
    assert_int_equal(ledger_agent_draining(f->ledger, 1), 0);
    commit(f);
    struct run_id id = submit(f, "default");
    assert_waits(f, id, WAIT_AGENTS_UNHEALTHY);
    said.draining = true;
    assert_int_equal(hello(f, 2, &said), HELLO_OK);
    assert_state(f, id, RUN_QUEUED);
    said.draining = false;
    assert_int_equal(hello(f, 3, &said), HELLO_OK);
    assert_state(f, id, RUN_PENDING);
}

static void verbs_on_agents_that_make_no_sense_are_answers(void **state)
{
    struct fixture *f = *state;

    join(f, 1, "a", 5);
    begin(f);
    assert_int_equal(ledger_agent_verb(f->ledger, "b", VERB_PAUSE, "ann", NULL),
                     -ENOENT);
    assert_int_equal(ledger_agent_verb(f->ledger, "a", VERB_CLOSE, "ann", NULL),
                     -EINVAL);
    commit(f);
}

static void a_silent_agent_is_pushed_nothing_until_it_is_heard(void **state)
{
    struct fixture *f = *state;

    join(f, 1, "a", 5);
    pass(f, f->config.lease_ms / 3 * 2 + 1);
    struct run_id id = submit(f, "default");
    assert_waits(f, id, WAIT_AGENTS_UNHEALTHY);
    struct board *board = board_of(f);
    assert_int_equal(board->agents[0].health, AGENT_SLOW);
    free(board);
    renew(f, 1, NULL, 0);
    assert_state(f, id, RUN_PENDING);

    /* Any other message will do. */
    pass(f, (uint64_t)f->config.lease_ms * 2);
    struct run_id next = submit(f, "default");
    begin(f);
    assert_int_equal(ledger_accepted(f->ledger, 1, &id, 7, 0, 1), 0);
    commit(f);
    assert_state(f, next, RUN_PENDING);
}

/* ---- HELLO ----------------------------------------------------------- */

static void a_clone_is_refused_while_the_first_is_heard(void **state)
{
    struct fixture *f = *state;
    struct agent_hello clone = agent("a", 5);
    char text[LEDGER_TEXT_MAX];
    enum hello_answer answer;

    join(f, 1, "a", 5);
    clone.boot[0] = 2;
    begin(f);
    assert_int_equal(ledger_agent_hello(f->ledger, 2, &clone, &answer, text),
                     0);
    commit(f);
    assert_int_equal(answer, HELLO_CLONE);
    assert_non_null(strstr(text, "another agent named a is connected"));
    assert_int_equal(effects_of(f, EFFECT_WELCOME), 0);
    struct run_id id = submit(f, "default");
    assert_int_equal(effect_of(f, EFFECT_PUSH, &id)->session, 1);

    pass(f, f->config.lease_ms);
    assert_int_equal(hello(f, 2, &clone), HELLO_OK);
    assert_int_equal(effect_of(f, EFFECT_WELCOME, NULL)->session, 2);
}

static void the_same_agent_replaces_its_older_session(void **state)
{
    struct fixture *f = *state;

    join(f, 1, "a", 5);
    join(f, 2, "a", 5);
    gone(f, 1); /* heard of late; changes nothing */
    struct run_id id = submit(f, "default");
    assert_int_equal(effect_of(f, EFFECT_PUSH, &id)->session, 2);
    accept_run(f, 1, id, 1);
    assert_state(f, id, RUN_PENDING);
    struct board *board = board_of(f);
    assert_int_equal(board->agent_count, 1);
    free(board);
}

static void an_old_hello_that_comes_late_is_refused(void **state)
{
    struct fixture *f = *state;
    struct agent_hello said = agent("a", 5);

    said.greeting = 2;
    assert_int_equal(hello(f, 2, &said), HELLO_OK);
    struct run_id id = submit(f, "default");
    accept_run(f, 2, id, 1);
    said.greeting = 1; /* it does not list the attempt, which is not lost */
    assert_int_equal(hello(f, 1, &said), HELLO_STALE);
    assert_state(f, id, RUN_RUNNING);
    assert_int_equal(effects_of(f, EFFECT_WELCOME), 0);

    gone(f, 2); /* another boot counts anew */
    said.boot[0] = 2;
    assert_int_equal(hello(f, 3, &said), HELLO_OK);
}

static void a_connection_is_one_agent_at_a_time(void **state)
{
    struct fixture *f = *state;

    join(f, 1, "a", 5);
    join(f, 1, "b", 5);
    struct board *board = board_of(f);
    assert_int_equal(board->agents[0].health, AGENT_LOST);
    assert_int_equal(board->agents[1].health, AGENT_OK);
    free(board);
    expect_agent(f, submit(f, "default"), "b");
    gone(f, 1);
    assert_waits(f, submit(f, "default"), WAIT_AGENTS_UNHEALTHY);
}

static void an_agent_without_a_pool_of_ours_is_refused(void **state)
{
    static const char *const pools[] = {"gpu", "etl-pool"};
    struct fixture *f = *state;
    struct agent_hello said = agent("a", 5);

    said.pools = pools;
    said.pool_count = 1;
    assert_int_equal(hello(f, 1, &said), HELLO_BAD);
    said.pool_count = 0;
    assert_int_equal(hello(f, 1, &said), HELLO_BAD);
    said.pool_count = 2; /* by an alias; the other is noted */
    assert_int_equal(hello(f, 1, &said), HELLO_OK);
    assert_non_null(noted(f, "agent.unknown_pool"));
    struct board *board = board_of(f);
    assert_string_equal(board->agents[0].pools, "etl");
    assert_int_equal(board->refused_messages, 2);
    free(board);
}

static void the_longest_name_is_one_name(void **state)
{
    struct fixture *f = *state;
    char name[AGENT_NAME_MAX];

    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    join(f, 1, name, 5);
    join(f, 2, name, 5);
    struct board *board = board_of(f);
    assert_int_equal(board->agent_count, 1);
    assert_string_equal(board->agents[0].name, name);
    free(board);
}

/* ---- the life of an attempt ------------------------------------------ */

static void an_accepted_run_is_running(void **state)
{
    struct fixture *f = *state;

    join(f, 1, "a", 5);
    struct run_id id = submit(f, "default");
    f->now_ms += 20;
    f->now_unix_ms += 20;
    accept_run(f, 1, id, 1);
    const struct effect *renewed = effect_of(f, EFFECT_RENEWED, NULL);
    assert_int_equal(renewed->session, 1);
    assert_int_equal(renewed->beat, 3);
    assert_int_equal(renewed->lease_ms, f->config.lease_ms);
    assert_int_equal(renewed->attempt_count, 0);
    assert_state(f, id, RUN_RUNNING);
    struct run_record *run = record(f, id);
    assert_int_equal(run->started_unix_ms, f->now_unix_ms);
    free(run);
    struct attempt_record *attempt = attempt_of(f, id, 1);
    assert_int_equal(attempt->accepted_unix_ms, f->now_unix_ms);
    assert_int_equal(attempt->leased_unix_ms, START_UNIX_MS);
    assert_int_equal(attempt->boot[0], 1);
    free(attempt);
}

static void what_is_not_accepted_in_time_goes_back(void **state)
{
    struct fixture *f = *state;

    join(f, 1, "a", 1);
    struct run_id id = submit(f, "default");
    pass(f, f->config.accept_ms - 1);
    assert_int_equal(attempts(f, id), 1);
    pass(f, 1);
    assert_int_equal(attempts(f, id), 2);
    struct attempt_record *attempt = attempt_of(f, id, 1);
    assert_int_equal(attempt->outcome, ATTEMPT_RETURNED);
    assert_string_equal(attempt->error, "not accepted in time");
    free(attempt);
}

static void a_refused_run_goes_back_and_its_agent_rests(void **state)
{
    struct fixture *f = *state;

    join(f, 1, "a", 5);
    struct run_id first = submit(f, "default");
    begin(f);
    assert_int_equal(ledger_refused(f->ledger, 1, &first, 1, false, "no room"),
                     0);
    commit(f);
    assert_non_null(noted(f, "lease.returned"));
    assert_waits(f, first, WAIT_AGENTS_BUSY);
    struct run_id second = submit(f, "default");
    assert_state(f, second, RUN_QUEUED);
    join(f, 2, "b", 1); /* another agent is not concerned */
    assert_int_equal(effect_of(f, EFFECT_PUSH, &first)->attempt, 2);
    pass(f, 1000);
    assert_state(f, second, RUN_PENDING);
    expect_agent(f, second, "a");
}

static void a_fatal_refusal_fails_the_run(void **state)
{
    struct fixture *f = *state;
    struct origin origin = want("default");

    origin.retry.retries = 5;
    join(f, 1, "a", 5);
    struct run_id id = submit_as(f, &origin);
    begin(f);
    assert_int_equal(ledger_refused(f->ledger, 1, &id, 1, true, "bad plan"), 0);
    commit(f);
    struct run_record *run = record(f, id);
    assert_int_equal(run->state, RUN_FAILED);
    assert_string_equal(run->error, "bad plan");
    assert_string_equal(run->agent, "a");
    free(run);
}

static void what_could_not_be_sent_goes_back_at_once(void **state)
{
    struct fixture *f = *state;

    join(f, 1, "a", 5);
    struct run_id id = submit(f, "default");
    begin(f);
    assert_int_equal(ledger_unsent(f->ledger, 1, &id, 2), 0); /* no such */
    assert_int_equal(ledger_unsent(f->ledger, 1, &id, 1), 0);
    commit(f);
    assert_state(f, id, RUN_QUEUED);
    pass(f, 1000);
    assert_int_equal(attempts(f, id), 2);
    accept_run(f, 1, id, 2);
    begin(f);
    assert_int_equal(ledger_unsent(f->ledger, 1, &id, 2), 0); /* not so */
    commit(f);
    assert_state(f, id, RUN_RUNNING);
}

static void a_returned_run_keeps_its_place_in_line(void **state)
{
    struct fixture *f = *state;
    struct run_id ids[3];

    join_pool(f, 1, "a", "default", 1);
    submit_many(f, "default", ids, 3);
    gone(f, 1);
    join_pool(f, 2, "a", "default", 1);
    assert_non_null(effect_of(f, EFFECT_PUSH, &ids[0]));
    assert_state(f, ids[1], RUN_QUEUED);
}

static void each_outcome_ends_the_run_as_it_says(void **state)
{
    static const struct {
        enum attempt_outcome outcome;
        enum run_state state;
    } cases[] = {{ATTEMPT_COMPLETED, RUN_COMPLETED},
                 {ATTEMPT_FAILED, RUN_FAILED},
                 {ATTEMPT_TIMED_OUT, RUN_TIMED_OUT},
                 {ATTEMPT_CANCELLED, RUN_CRASHED}, /* nobody asked for it */
                 {ATTEMPT_LAPSED, RUN_CRASHED}};
    struct fixture *f = *state;

    join(f, 1, "a", 5);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int accepted = 0; accepted < 2; accepted++) {
            struct run_id id = submit(f, "default");
            if (accepted == 1)
                accept_run(f, 1, id, 1);
            finish(f, 1, id, 1, cases[i].outcome);
            assert_int_equal(effect_of(f, EFFECT_ACK, &id)->session, 1);
            assert_int_equal(effect_of(f, EFFECT_ENDED, &id)->state,
                             cases[i].state);
            struct run_record *run = record(f, id);
            assert_int_equal(run->state, cases[i].state);
            assert_string_equal(run->pool, "default");
            assert_string_equal(run->agent, "a");
            assert_int_equal(run->started_unix_ms, f->now_unix_ms);
            assert_int_equal(run->ended_unix_ms, f->now_unix_ms);
            if (cases[i].outcome == ATTEMPT_COMPLETED)
                assert_null(run->error);
            else
                assert_string_equal(run->error, "it went wrong");
            free(run);
            struct attempt_record *attempt = attempt_of(f, id, 1);
            assert_int_equal(attempt->outcome, cases[i].outcome);
            free(attempt);
        }
    }
    struct board *board = board_of(f);
    assert_int_equal(board->agents[0].done, 2);
    assert_int_equal(board->agents[0].failed, 8);
    free(board);
}

static void a_failed_run_is_tried_again_after_a_growing_delay(void **state)
{
    struct fixture *f = *state;
    struct origin origin = want("default");
    uint64_t delays[2];

    origin.retry = (struct retry_rule){.retries = 2, .base_ms = 1000};
    join(f, 1, "a", 5);
    struct run_id id = submit_as(f, &origin);
    for (uint32_t i = 0; i < 2; i++) {
        accept_run(f, 1, id, i + 1);
        finish(f, 1, id, i + 1, i == 0 ? ATTEMPT_FAILED : ATTEMPT_TIMED_OUT);
        assert_state(f, id, RUN_SCHEDULED);
        assert_waits(f, id, WAIT_RETRY_BACKOFF);
        struct run_record *run = record(f, id);
        assert_int_equal(run->failures, i + 1);
        assert_string_equal(run->error, "it went wrong");
        delays[i] = (uint64_t)(run->not_before_unix_ms - f->now_unix_ms);
        free(run);
        pass(f, delays[i] - 1);
        assert_state(f, id, RUN_SCHEDULED);
        pass(f, 1);
        renew(f, 1, NULL, 0);
        assert_int_equal(attempts(f, id), i + 2);
    }
    assert_in_range(delays[0], 500, 1000);
    assert_in_range(delays[1], 1000, 2000);
    finish(f, 1, id, 3, ATTEMPT_FAILED);
    assert_state(f, id, RUN_FAILED);
}

static void nodes_and_output_are_stored(void **state)
{
    struct fixture *f = *state;
    struct node_record node = {.node = 4,
                               .state = RUN_NODE_RUNNING,
                               .started_unix_ms = 5,
                               .exit_code = -1};
    struct log_record log = {
        .node = 4, .stream = 1, .text = "hi\n", .text_bytes = 3};

    join(f, 1, "a", 5);
    struct run_id id = submit(f, "default");
    accept_run(f, 1, id, 1);
    begin(f);
    assert_int_equal(ledger_node(f->ledger, 1, &id, 1, 1, &node), 0);
    assert_int_equal(ledger_log(f->ledger, 1, &id, 1, 2, &log), 0);
    commit(f);

    uint8_t key[28];
    attempt_key(key, id, 4);
    struct stored_bytes bytes = stored(f, STORE_NODE, key, 20);
    struct node_record *node_read;
    assert_int_equal(node_decode(bytes.ptr, bytes.len, &node_read), 0);
    assert_int_equal(node_read->state, RUN_NODE_RUNNING);
    assert_int_equal(node_read->attempt, 1);
    free(node_read);
    free(bytes.ptr);

    attempt_key(key, id, 1);
    memset(key + 20, 0, 8);
    key[27] = 2;
    bytes = stored(f, STORE_LOG, key, 28);
    struct log_record *log_read;
    assert_int_equal(log_decode(bytes.ptr, bytes.len, &log_read), 0);
    assert_memory_equal(log_read->text, "hi\n", 3);
    free(log_read);
    free(bytes.ptr);

    /* The result has the last word on every node. */
    node.state = RUN_NODE_COMPLETED;
    struct result result = {.outcome = ATTEMPT_COMPLETED,
                            .events = 2,
                            .nodes = &node,
                            .node_count = 1};
    begin(f);
    assert_int_equal(ledger_result(f->ledger, 1, &id, 1, &result), 0);
    commit(f);
    attempt_key(key, id, 4);
    bytes = stored(f, STORE_NODE, key, 20);
    assert_int_equal(node_decode(bytes.ptr, bytes.len, &node_read), 0);
    assert_int_equal(node_read->state, RUN_NODE_COMPLETED);
    free(node_read);
    free(bytes.ptr);
    struct attempt_record *attempt = attempt_of(f, id, 1);
    assert_int_equal(attempt->events, 2);
    assert_true(attempt->logs_complete);
    free(attempt);
}

static bool logs_complete_after(struct fixture *f, const uint64_t *events,
                                size_t count, uint64_t last)
{
    struct log_record log = {.stream = 1, .text = "x", .text_bytes = 1};
    struct result result = {.outcome = ATTEMPT_COMPLETED, .events = last};
    struct run_id id = submit(f, "default");

    accept_run(f, 1, id, 1);
    begin(f);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(ledger_log(f->ledger, 1, &id, 1, events[i], &log), 0);
    assert_int_equal(ledger_result(f->ledger, 1, &id, 1, &result), 0);
    commit(f);
    struct attempt_record *attempt = attempt_of(f, id, 1);
    bool complete = attempt->logs_complete;
    free(attempt);
    return complete;
}

static void output_is_complete_when_no_event_is_missing(void **state)
{
    struct fixture *f = *state;

    join(f, 1, "a", 5);
    assert_true(logs_complete_after(f, NULL, 0, 0));
    assert_true(logs_complete_after(f, (uint64_t[]){1, 2, 2, 1, 3}, 5, 3));
    assert_false(logs_complete_after(f, (uint64_t[]){1, 3}, 2, 3));
    assert_false(logs_complete_after(f, (uint64_t[]){1, 2}, 2, 3));
    assert_false(logs_complete_after(f, NULL, 0, 1));
}

static size_t logs_of(struct fixture *f)
{
    size_t count;
    size_t logs = 0;
    const struct store_write *writes = store_writes(f->store, &count);

    for (size_t i = 0; i < count; i++)
        logs += writes[i].table == STORE_LOG;
    return logs;
}

static void an_event_is_stored_once(void **state)
{
    struct fixture *f = *state;
    struct log_record log = {.stream = 1, .text = "x", .text_bytes = 1};

    join(f, 1, "a", 5);
    struct run_id id = submit(f, "default");
    accept_run(f, 1, id, 1);
    for (uint64_t again = 0; again < 2; again++) {
        begin(f);
        for (uint64_t event = 1; event <= 3 + again; event++)
            assert_int_equal(ledger_log(f->ledger, 1, &id, 1, event, &log), 0);
        commit(f);
        assert_int_equal(logs_of(f), again == 0 ? 3 : 1);
    }
}

static void output_beyond_its_limit_is_counted_not_kept(void **state)
{
    enum { PIECE = 1 << 20 };
    static char text[PIECE];
    struct fixture *f = *state;
    struct log_record log = {.stream = 1, .text = text, .text_bytes = PIECE};

    join(f, 1, "a", 5);
    struct run_id id = submit(f, "default");
    accept_run(f, 1, id, 1);
    for (uint64_t event = 1; event <= 10; event++) {
        begin(f);
        assert_int_equal(ledger_log(f->ledger, 1, &id, 1, event, &log), 0);
        commit(f);
        assert_int_equal(logs_of(f), event <= 8 ? 1 : 0);
    }
    finish(f, 1, id, 1, ATTEMPT_COMPLETED);
    struct attempt_record *attempt = attempt_of(f, id, 1);
    assert_int_equal(attempt->log_dropped, 2 * PIECE);
    assert_false(attempt->logs_complete);
    free(attempt);
}

#define claim(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        claim(the_agent_with_the_least_relative_load_is_chosen),
        claim(an_agent_gets_no_more_than_its_slots),
        claim(a_run_goes_only_to_an_agent_that_can_do_it),
        claim(needs_are_forgotten_and_known_again),
        claim(a_paused_or_draining_agent_is_pushed_nothing),
        claim(an_agent_that_drains_by_itself_is_pushed_nothing),
        claim(verbs_on_agents_that_make_no_sense_are_answers),
        claim(a_silent_agent_is_pushed_nothing_until_it_is_heard),
        claim(a_clone_is_refused_while_the_first_is_heard),
        claim(the_same_agent_replaces_its_older_session),
        claim(an_old_hello_that_comes_late_is_refused),
        claim(a_connection_is_one_agent_at_a_time),
        claim(an_agent_without_a_pool_of_ours_is_refused),
        claim(the_longest_name_is_one_name),
        claim(an_accepted_run_is_running),
        claim(what_is_not_accepted_in_time_goes_back),
        claim(a_refused_run_goes_back_and_its_agent_rests),
        claim(a_fatal_refusal_fails_the_run),
        claim(what_could_not_be_sent_goes_back_at_once),
        claim(a_returned_run_keeps_its_place_in_line),
        claim(each_outcome_ends_the_run_as_it_says),
        claim(a_failed_run_is_tried_again_after_a_growing_delay),
        claim(nodes_and_output_are_stored),
        claim(output_is_complete_when_no_event_is_missing),
        claim(an_event_is_stored_once),
        claim(output_beyond_its_limit_is_counted_not_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
