/*
 * Covers agents/session.c, greet.c, ship.c and agent.c: runs, refusals, orders
 * and the end of an agent, in one session.
 */
#include "tests/unit/session_broker.h"

static void hello_says_who_it_is_and_what_it_can(void **state)
{
    struct broker *b = *state;

    start_agent(b);
    const struct wire_msg *hello = hear(b, WIRE_HELLO);
    assert_true(text_is(hello->hello.name, "tester"));
    assert_int_equal(hello->hello.slots, 2);
    assert_int_equal(hello->hello.pool_count, 1);
    assert_true(text_is(hello->hello.pools[0], "default"));
    assert_true(text_is(hello->hello.caps[0], "kind:command"));
    assert_true(text_is(hello->hello.caps[1], "kind:http"));
    assert_int_equal(hello->hello.held_count, 0);
    assert_false(hello->hello.draining);
}

static void a_run_is_accepted_executed_and_reported(void **state)
{
    struct broker *b = *state;

    greet(b);
    order_run(b, 1, 1,
              shell("echo $DISPATCH_RUN_ID $DISPATCH_ATTEMPT $DISPATCH_NODE "
                    "$DISPATCH_WORKFLOW $DISPATCH_POOL; echo "
                    "$DISPATCH_PARAMETERS"));
    const struct wire_msg *msg = hear(b, WIRE_ACCEPTED);
    assert_int_equal(msg->accepted.attempt, 1);
    assert_true(msg->accepted.beat > 0);
    msg = hear(b, WIRE_RESULT);
    assert_int_equal(msg->result.outcome, WIRE_COMPLETED);
    assert_int_equal(msg->result.error.len, 0);
    assert_int_equal(msg->result.node_count, 1);
    assert_int_equal(msg->result.nodes[0].state, WIRE_NODE_COMPLETED);
    assert_int_equal(msg->result.nodes[0].exit_code, 0);
    assert_int_equal(msg->result.events, b->events[1]);
    assert_int_equal(msg->result.events, 3); /* running, output, completed */
    struct wire_id id = run_id(1);
    char text[37], want[200];
    wire_id_text(&id, text);
    snprintf(want, sizeof want, "%s 1 n flow default\n{\"p\": 1}\n", text);
    assert_string_equal(b->output, want);
    assert_false(spool_is_empty(b));
    acknowledge(b, 1, 1);
    await_empty_spool(b);
}

static void a_run_beyond_the_slots_is_refused(void **state)
{
    struct broker *b = *state;

    b->slots = 1;
    greet(b);
    order_run(b, 1, 1, shell("sleep 60"));
    hear(b, WIRE_ACCEPTED);
    order_run(b, 2, 1, shell("true"));
    const struct wire_msg *msg = hear(b, WIRE_REFUSED);
    assert_int_equal(msg->refused.code, WIRE_REFUSE_NO_SLOT);
    assert_int_equal(msg->refused.run.b[15], 2);
    cancel(b, 1, 0);
    msg = hear(b, WIRE_RESULT);
    assert_int_equal(msg->result.outcome, WIRE_CANCELLED);
    assert_true(text_is(msg->result.error, "cancelled: test"));
}

static void what_cannot_be_executed_is_refused_with_the_reason(void **state)
{
    struct broker *b = *state;
    static const struct {
        const char *plan;
        enum wire_refusal code;
        const char *text;
    } cases[] = {
        {"{", WIRE_REFUSE_BAD_PLAN, "not JSON"},
        {"{\"nodes\": []}", WIRE_REFUSE_BAD_PLAN, "/nodes"},
        {"{\"nodes\": [{\"id\": \"a\", \"kind\": \"teleport\", \"config\": "
         "{}}]}",
         WIRE_REFUSE_NOT_CAPABLE, "cannot execute kind \"teleport\""},
        {"{\"nodes\": [{\"id\": \"a\", \"kind\": \"command\", \"config\": "
         "{}}]}",
         WIRE_REFUSE_BAD_PLAN, "argv"},
    };

    greet(b);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        order_run(b, (uint8_t)(10 + i), 1, cases[i].plan);
        const struct wire_msg *msg = hear(b, WIRE_REFUSED);
        assert_int_equal(msg->refused.code, cases[i].code);
        assert_true(text_has(msg->refused.text, cases[i].text));
    }
    assert_true(spool_is_empty(b));
}

static void a_repeated_run_is_accepted_again_and_executed_once(void **state)
{
    struct broker *b = *state;

    greet(b);
    const char *script = gated(b, "echo once; ", "");
    order_run(b, 1, 1, shell(script));
    hear(b, WIRE_ACCEPTED);
    while (!strstr(b->output, "once"))
        hear(b, WIRE_LOG);
    size_t output = b->output_len;
    order_run(b, 1, 1, shell(script));
    b->output_len = output;
    hear(b, WIRE_ACCEPTED);
    open_gate(b);
    hear(b, WIRE_RESULT);
    assert_string_equal(b->output, "once\n");
}

static void malformed_frames_are_counted_and_change_nothing(void **state)
{
    struct broker *b = *state;
    char command[256];

    greet(b);
    say_bytes(b, "", 0);
    say_bytes(b, "\xc1", 1);
    say_bytes(b, "\xdd\xff\xff\xff\xff", 5);
    assert_true(zmq_send(b->router, b->peer, b->peer_len, ZMQ_SNDMORE) >= 0);
    assert_true(zmq_send(b->router, "two", 3, ZMQ_SNDMORE) >= 0);
    assert_true(zmq_send(b->router, "frames", 6, 0) >= 0);
    order_run(b, 1, 1, shell("true"));
    const struct wire_msg *msg = hear(b, WIRE_RESULT);
    assert_int_equal(msg->result.outcome, WIRE_COMPLETED);
    snprintf(command, sizeof command, "grep -q message.malformed %s", b->log);
    assert_int_equal(system(command), 0); /* NOLINT */
}

static void sigterm_drains_and_exits_zero_when_all_is_reported(void **state)
{
    struct broker *b = *state;

    greet(b);
    const char *script = gated(b, "", "");
    order_run(b, 1, 1, shell(script));
    hear(b, WIRE_ACCEPTED);
    kill(b->agent, SIGTERM);
    hear(b, WIRE_DRAIN);
    order_run(b, 2, 1, shell("true"));
    const struct wire_msg *msg = hear(b, WIRE_REFUSED);
    assert_int_equal(msg->refused.code, WIRE_REFUSE_DRAINING);
    open_gate(b);
    msg = hear(b, WIRE_RESULT);
    assert_int_equal(msg->result.outcome, WIRE_COMPLETED);
    acknowledge(b, 1, 1);
    msg = hear(b, WIRE_BYE);
    assert_int_equal(msg->bye.code, WIRE_BYE_STOPPING);
    assert_int_equal(wait_agent(b), 0);
    assert_true(spool_is_empty(b));
}

static void a_second_sigterm_cancels_what_runs(void **state)
{
    struct broker *b = *state;

    greet(b);
    order_run(b, 1, 1, shell("sleep 60"));
    hear(b, WIRE_ACCEPTED);
    kill(b->agent, SIGTERM);
    hear(b, WIRE_DRAIN);
    kill(b->agent, SIGTERM);
    const struct wire_msg *msg = hear(b, WIRE_RESULT);
    assert_int_equal(msg->result.outcome, WIRE_CANCELLED);
    assert_true(text_is(msg->result.error, "the agent was told to stop twice "
                                           "and ended the run"));
    acknowledge(b, 1, 1);
    hear(b, WIRE_BYE);
    assert_int_equal(wait_agent(b), 0);
}

static void a_rejected_version_ends_the_agent_with_one(void **state)
{
    struct broker *b = *state;
    struct wire_msg bye = {.type = WIRE_BYE};

    start_agent(b);
    hear(b, WIRE_HELLO);
    bye.bye.code = WIRE_BYE_VERSION;
    bye.bye.text = wire_text("too old");
    say(b, &bye);
    assert_int_equal(wait_agent(b), 1);
}

static void a_drain_from_the_broker_ends_the_agent_when_idle(void **state)
{
    struct broker *b = *state;
    struct wire_msg drain = {.type = WIRE_DRAIN};

    greet(b);
    order_run(b, 1, 1, shell("echo last"));
    drain.drain.reason = wire_text("enough");
    say(b, &drain);
    const struct wire_msg *msg = hear(b, WIRE_RESULT);
    assert_int_equal(msg->result.outcome, WIRE_COMPLETED);
    acknowledge(b, 1, 1);
    hear(b, WIRE_BYE);
    assert_int_equal(wait_agent(b), 0);
}

int main(int argc, char **argv)
{
    if (argc == 4)
        be_agent(argv);
#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CLAIM(hello_says_who_it_is_and_what_it_can),
        CLAIM(a_run_is_accepted_executed_and_reported),
        CLAIM(a_run_beyond_the_slots_is_refused),
        CLAIM(what_cannot_be_executed_is_refused_with_the_reason),
        CLAIM(a_repeated_run_is_accepted_again_and_executed_once),
        CLAIM(malformed_frames_are_counted_and_change_nothing),
        CLAIM(sigterm_drains_and_exits_zero_when_all_is_reported),
        CLAIM(a_second_sigterm_cancels_what_runs),
        CLAIM(a_rejected_version_ends_the_agent_with_one),
        CLAIM(a_drain_from_the_broker_ends_the_agent_when_idle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
