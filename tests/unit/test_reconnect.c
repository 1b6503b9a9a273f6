/*
 * Covers agents/greet.c, ship.c, held.c, autopsy.c and link.c: what survives a
 * lost session, a dead agent, a dead shepherd, and how leases go on or end.
 */
#include "tests/unit/session_broker.h"

static void a_reconnect_resumes_events_without_gap_or_double(void **state)
{
    struct broker *b = *state;

    greet(b);
    const char *script = gated(b, "echo one; ", "; echo two");
    order_run(b, 1, 1, shell(script));
    while (!strstr(b->output, "one"))
        hear(b, WIRE_LOG);
    uint64_t seen = b->events[1];
    close_router(b);
    open_router(b);
    const struct wire_msg *msg = hear(b, WIRE_HELLO);
    assert_int_equal(msg->hello.held_count, 1);
    assert_int_equal(msg->hello.held[0].phase, WIRE_PHASE_RUNNING);
    assert_int_equal(msg->hello.held[0].events, seen);
    struct wire_held keep = msg->hello.held[0];
    /* The broker lost the last event in a crash: it is shipped again. */
    keep.events = seen - 1;
    b->events[1] = seen - 1;
    b->output_len = 0;
    welcome(b, &keep, 1, NULL, 0);
    hear(b, WIRE_RENEW);
    open_gate(b);
    msg = hear(b, WIRE_RESULT);
    assert_int_equal(msg->result.outcome, WIRE_COMPLETED);
    assert_int_equal(msg->result.events, b->events[1]);
    assert_string_equal(b->output, "one\ntwo\n");
}

static void an_agent_that_is_killed_finds_its_shepherd_again(void **state)
{
    struct broker *b = *state;

    greet(b);
    const char *script = gated(b, "echo one; ", "; echo two");
    order_run(b, 1, 1, shell(script));
    while (!strstr(b->output, "one"))
        hear(b, WIRE_LOG);
    kill_agent(b);
    start_agent(b);
    const struct wire_msg *msg = hear(b, WIRE_HELLO);
    assert_int_equal(msg->hello.held_count, 1);
    assert_int_equal(msg->hello.held[0].phase, WIRE_PHASE_RUNNING);
    struct wire_held keep = msg->hello.held[0];
    keep.events = b->events[1];
    welcome(b, &keep, 1, NULL, 0);
    hear(b, WIRE_RENEW);
    open_gate(b);
    msg = hear(b, WIRE_RESULT);
    assert_int_equal(msg->result.outcome, WIRE_COMPLETED);
    assert_string_equal(b->output, "one\ntwo\n");
    acknowledge(b, 1, 1);
    await_empty_spool(b);
}

static void a_run_that_ended_alone_is_reported_by_the_next_agent(void **state)
{
    struct broker *b = *state;

    greet(b);
    const char *script = gated(b, "", "; echo done");
    order_run(b, 1, 1, shell(script));
    hear(b, WIRE_NODE); /* accepted, renewed, begun */
    kill_agent(b);
    open_gate(b);
    await_file(run_file(b, 1, "result"));
    start_agent(b);
    const struct wire_msg *msg = hear(b, WIRE_HELLO);
    assert_int_equal(msg->hello.held_count, 1);
    assert_int_equal(msg->hello.held[0].phase, WIRE_PHASE_ENDED);
    struct wire_held keep = msg->hello.held[0];
    keep.events = 0;
    b->events[1] = 0;
    b->output_len = 0;
    welcome(b, &keep, 1, NULL, 0);
    msg = hear(b, WIRE_RESULT);
    assert_int_equal(msg->result.outcome, WIRE_COMPLETED);
    assert_string_equal(b->output, "done\n");
}

static void what_the_broker_does_not_want_is_killed_and_forgotten(void **state)
{
    struct broker *b = *state;

    greet(b);
    order_run(b, 1, 1, shell("sleep 60"));
    hear(b, WIRE_ACCEPTED);
    close_router(b);
    open_router(b);
    const struct wire_msg *msg = hear(b, WIRE_HELLO);
    assert_int_equal(msg->hello.held_count, 1);
    struct wire_held unwanted = msg->hello.held[0];
    welcome(b, NULL, 0, &unwanted, 1);
    await_empty_spool(b);
    /* And the same for one that neither list names. */
    hear(b, WIRE_RENEW);
    order_run(b, 2, 1, shell("sleep 60"));
    hear(b, WIRE_ACCEPTED);
    close_router(b);
    open_router(b);
    hear(b, WIRE_HELLO);
    welcome(b, NULL, 0, NULL, 0);
    await_empty_spool(b);
}

static void renewed_lost_kills_the_attempt(void **state)
{
    struct broker *b = *state;
    struct wire_msg renewed = {.type = WIRE_RENEWED};
    struct wire_held lost = {.run = run_id(1), .attempt = 1};

    greet(b);
    order_run(b, 1, 1, shell("trap '' TERM; sleep 60"));
    const struct wire_msg *msg = hear(b, WIRE_ACCEPTED);
    renewed.renewed.beat = msg->accepted.beat;
    renewed.renewed.lease_ms = b->lease_ms;
    renewed.renewed.lost = &lost;
    renewed.renewed.lost_count = 1;
    say(b, &renewed);
    await_empty_spool(b);
}

static void without_renewal_a_run_ends_at_its_lease(void **state)
{
    struct broker *b = *state;

    b->lease_ms = 600;
    greet(b);
    b->answer_beats = false;
    int64_t before = clock_boot_ms();
    order_run(b, 1, 1, shell("sleep 60"));
    /* The agent gives up the session after three beats and says HELLO. */
    for (;;) {
        const struct wire_msg *msg = hear(b, WIRE_HELLO);
        assert_int_equal(msg->hello.held_count, 1);
        if (msg->hello.held[0].phase == WIRE_PHASE_ENDED)
            break;
        struct wire_held keep = msg->hello.held[0];
        keep.events = b->events[1];
        welcome(b, &keep, 1, NULL, 0);
    }
    struct wire_held keep = b->msg.hello.held[0];
    keep.events = b->events[1];
    welcome(b, &keep, 1, NULL, 0);
    const struct wire_msg *msg = hear(b, WIRE_RESULT);
    assert_int_equal(msg->result.outcome, WIRE_LEASE_LOST);
    assert_true(msg->result.ended_unix_ms - msg->result.started_unix_ms <
                20000);
    assert_true(clock_boot_ms() - before >= 600);
}

static void renewal_keeps_a_run_alive_beyond_its_first_lease(void **state)
{
    struct broker *b = *state;

    b->lease_ms = 1500;
    greet(b);
    order_run(b, 1, 1, shell("sleep 2.5; echo still here"));
    const struct wire_msg *msg = hear(b, WIRE_RESULT);
    assert_int_equal(msg->result.outcome, WIRE_COMPLETED);
    assert_string_equal(b->output, "still here\n");
}

static void an_unknown_session_is_greeted_anew(void **state)
{
    struct broker *b = *state;
    struct wire_msg bye = {.type = WIRE_BYE};

    greet(b);
    bye.bye.code = WIRE_BYE_UNKNOWN;
    say(b, &bye);
    hear(b, WIRE_HELLO);
}

static void a_clone_is_tried_again_and_not_fatal(void **state)
{
    struct broker *b = *state;
    struct wire_msg bye = {.type = WIRE_BYE};

    start_agent(b);
    hear(b, WIRE_HELLO);
    bye.bye.code = WIRE_BYE_CLONE;
    bye.bye.text = wire_text("you live elsewhere");
    say(b, &bye);
    int64_t before = clock_boot_ms();
    hear(b, WIRE_HELLO);
    assert_true(clock_boot_ms() - before >= SESSION_CLONE_MIN_MS / 2);
    welcome(b, NULL, 0, NULL, 0);
    hear(b, WIRE_RENEW);
}

static void an_agent_that_stood_still_begins_anew(void **state)
{
    struct broker *b = *state;
    char path[128], script[200];

    b->lease_ms = 900;
    greet(b);
    kill(b->agent, SIGSTOP);
    assert_int_equal(waitpid(b->agent, NULL, WUNTRACED), b->agent);
    int64_t until = clock_boot_ms() + 1800;
    /* A RUN whose lease is over when the agent wakes up. */
    snprintf(path, sizeof path, "%s/started", b->dir);
    snprintf(script, sizeof script, "touch %s", path);
    order_run(b, 1, 1, shell(script));
    while (clock_boot_ms() < until)
        hear_within(b, 50);
    kill(b->agent, SIGCONT);
    const struct wire_msg *msg = hear(b, WIRE_HELLO);
    /* Almost always it is dropped unread. If the agent was stopped while it was
     * reading, its lease counts from before, and it ends without a start. */
    if (msg->hello.held_count > 0) {
        struct wire_held keep = msg->hello.held[0];
        keep.events = b->events[1];
        welcome(b, &keep, 1, NULL, 0);
        msg = hear(b, WIRE_RESULT);
        assert_int_equal(msg->result.outcome, WIRE_LEASE_LOST);
        assert_int_equal(msg->result.nodes[0].started_unix_ms, 0);
    }
    assert_int_equal(access(path, F_OK), -1);
}

static void a_broker_that_does_not_read_loses_nothing(void **state)
{
    struct broker *b = *state;
    char *plan = malloc(65536), *at = plan;
    enum { NODES = 100, EACH = 300000 };

    greet(b);
    at += sprintf(at, "{\"nodes\": [");
    for (int i = 0; i < NODES; i++)
        at += sprintf(at,
                      "%s{\"id\": \"n%d\", \"kind\": \"command\", "
                      "\"config\": {\"argv\": [\"head\", \"-c\", "
                      "\"%d\", \"/dev/zero\"]}}",
                      i ? "," : "", i, EACH);
    sprintf(at, "]}");
    order_run(b, 1, 1, plan);
    free(plan);
    hear(b, WIRE_ACCEPTED);
    /* 30 MB, several times what all the queues between us hold. */
    await_file(run_file(b, 1, "result"));
    const struct wire_msg *msg = hear(b, WIRE_RESULT);
    assert_int_equal(msg->result.outcome, WIRE_COMPLETED);
    assert_int_equal(msg->result.events, b->events[1]);
    assert_int_equal(msg->result.log_dropped, 0);
    assert_int_equal(b->log_bytes, (uint64_t)NODES * EACH);
}

/* The number in a file that is being written; 0: not yet there. */
static int number_in(const char *path)
{
    char text[32] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;

    if (fd >= 0)
        close(fd);
    return n > 1 && text[n - 1] == '\n' ? (int)strtol(text, NULL, 10) : 0;
}

static void a_killed_shepherd_is_reported_and_its_tree_is_dead(void **state)
{
    struct broker *b = *state;
    char path[128], script[800], pid_file[128];

    greet(b);
    snprintf(path, sizeof path, "%s/pid", b->dir);
    snprintf(pid_file, sizeof pid_file, "%s/shepherd", b->dir);
    snprintf(script, sizeof script,
             "setsid sh -c 'echo $$ > %s; exec sleep 300' & echo $PPID > "
             "%s.tmp; mv %s.tmp %s; wait",
             path, pid_file, pid_file, pid_file);
    order_run(b, 1, 1, shell(script));
    hear(b, WIRE_ACCEPTED);
    await_file(pid_file);
    await_file(path);
    int shepherd = number_in(pid_file), job;
    assert_true(shepherd > 1);
    while ((job = number_in(path)) == 0)
        poll(NULL, 0, 5);
    kill(shepherd, SIGKILL);
    const struct wire_msg *msg = hear(b, WIRE_RESULT);
    assert_int_equal(msg->result.outcome, WIRE_FAILED);
    assert_true(text_has(msg->result.error, "the shepherd died (killed by "
                                            "signal 9"));
    assert_int_equal(kill(job, 0), -1);
    assert_int_equal(errno, ESRCH);
}

static void a_cancel_that_a_stopped_shepherd_ignores_is_a_cancel(void **state)
{
    struct broker *b = *state;

    greet(b);
    order_run(b, 1, 1,
              shell("echo up; sleep 0.2; kill -STOP $PPID; exec sleep 300"));
    while (!strstr(b->output, "up"))
        hear(b, WIRE_LOG);
    poll(NULL, 0, 500);
    cancel(b, 1, 0);
    const struct wire_msg *msg = hear(b, WIRE_RESULT);
    assert_int_equal(msg->result.outcome, WIRE_CANCELLED);
    assert_true(text_is(msg->result.error,
                        "cancelled: test; its shepherd did not obey and was "
                        "killed"));
    assert_int_equal(msg->result.nodes[0].state, WIRE_NODE_CANCELLED);
    acknowledge(b, 1, 1);
    await_empty_spool(b);
}

/* An attempt whose shepherd does nothing at all, and the agent's memory of it.
 * Time is the test's. */
struct stuck {
    struct spool spool;
    struct nursery nursery; /* not asked for anything */
    struct holdings holdings;
    struct held *held;
    pid_t shepherd;
};

enum { STUCK_TIMEOUT_MS = 60000 };

static void start_stuck(struct stuck *stuck, const struct broker *b)
{
    struct wire_msg run = {.type = WIRE_RUN};
    char why[SPOOL_WHY_MAX], name[SPOOL_NAME_MAX], *frame;
    int dir_fd, said[2];
    size_t len;
    char byte;

    memset(stuck, 0, sizeof *stuck);
    assert_int_equal(spool_open(b->spool, 0, &stuck->spool, why), 0);
    run.run.run = run_id(1);
    run.run.attempt = 1;
    run.run.timeout_ms = STUCK_TIMEOUT_MS;
    run.run.lease_ms = b->lease_ms;
    run.run.workflow = wire_text("flow");
    run.run.pool = wire_text("default");
    run.run.plan = wire_text(shell("true"));
    run.run.parameters = wire_text("{}");
    assert_int_equal(wire_pack(&run, &frame, &len), 0);
    spool_name(&run.run.run, 1, name);
    assert_int_equal(spool_create_run(&stuck->spool, name, frame, len, &dir_fd),
                     0);
    free(frame);
    assert_int_equal(pipe(said), 0);
    stuck->shepherd = fork();
    if (stuck->shepherd == 0) {
        alarm(60);
        if (spool_lock_run(dir_fd) < 0 || spool_write_meta(dir_fd) < 0 ||
            write(said[1], "!", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    assert_int_equal(read(said[0], &byte, 1), 1);
    close(said[0]);
    close(said[1]);
    close(dir_fd);
    /* As an agent does that was started later. */
    holdings_init(&stuck->holdings, &stuck->spool, &stuck->nursery);
    assert_int_equal(holdings_adopt(&stuck->holdings), 0);
    assert_int_equal(stuck->holdings.count, 1);
    stuck->held = stuck->holdings.list[0];
}

/* The result that is written when the shepherd is dead. */
static void end_stuck(struct stuck *stuck, enum wire_outcome outcome,
                      const char *text)
{
    struct wire_msg msg;
    const char *why;
    int status;

    assert_int_equal(waitpid(stuck->shepherd, &status, 0), stuck->shepherd);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    struct held *held = stuck->held;
    assert_true(held_refresh(&stuck->holdings, held, "unseen"));
    assert_int_equal(held->outcome, outcome);
    assert_int_equal(wire_unpack(held->result, held->result_bytes, &msg, &why),
                     0);
    assert_true(text_is(msg.result.error, text));
    wire_clear(&msg);
    holdings_clear(&stuck->holdings);
    spool_close(&stuck->spool);
}

static bool is_dying(struct stuck *stuck)
{
    siginfo_t info = {0};

    assert_int_equal(waitid(P_PID, (id_t)stuck->shepherd, &info,
                            WEXITED | WNOWAIT | WNOHANG),
                     0);
    return info.si_pid != 0;
}

static void the_agent_ends_a_run_whose_shepherd_missed_its_timeout(void **state)
{
    const int64_t begun = 1000, end = begun + STUCK_TIMEOUT_MS +
                                      SHEPHERD_TIMEOUT_GRACE_MS +
                                      HELD_OVERDUE_MS;
    struct stuck stuck;

    start_stuck(&stuck, *state);
    held_tick(stuck.held, end); /* not begun: there is no time-out yet */
    held_renew(stuck.held, begun, begun + LEASE_MS);
    for (int64_t now = begun + 10000; now < end; now += 10000) {
        held_renew(stuck.held, now, now + LEASE_MS);
        held_tick(stuck.held, now);
    }
    held_tick(stuck.held, end - 1);
    poll(NULL, 0, 50);
    assert_false(is_dying(&stuck));
    held_tick(stuck.held, end);
    end_stuck(&stuck, WIRE_TIMED_OUT,
              "the run's time-out of 60 s passed; its shepherd did not obey "
              "and was killed");
}

static void a_lease_that_a_stuck_shepherd_outlived_is_lost(void **state)
{
    struct stuck stuck;

    start_stuck(&stuck, *state);
    held_renew(stuck.held, 1000, 2000);
    held_tick(stuck.held, 2000 + HELD_OVERDUE_MS);
    end_stuck(&stuck, WIRE_LEASE_LOST,
              "the lease ran out without word from the dispatcher; its "
              "shepherd did not obey and was killed");
}

static void a_stuck_shepherd_that_another_killed_has_died(void **state)
{
    struct stuck stuck;

    start_stuck(&stuck, *state);
    held_renew(stuck.held, 1000, 2000);
    kill(stuck.shepherd, SIGKILL);
    while (!is_dying(&stuck))
        poll(NULL, 0, 5);
    held_tick(stuck.held, 2000 + HELD_OVERDUE_MS);
    end_stuck(&stuck, WIRE_FAILED, "the shepherd died (unseen)");
}

static void a_result_is_repeated_until_it_is_acknowledged(void **state)
{
    struct broker *b = *state;

    greet(b);
    order_run(b, 1, 1, shell("exit 3"));
    const struct wire_msg *msg = hear(b, WIRE_RESULT);
    assert_int_equal(msg->result.outcome, WIRE_FAILED);
    assert_true(text_is(msg->result.error, "node \"n\": exit code 3"));
    uint64_t events = msg->result.events;
    for (int again = 0; again < 2; again++) {
        close_router(b);
        open_router(b);
        msg = hear(b, WIRE_HELLO);
        assert_int_equal(msg->hello.held_count, 1);
        assert_int_equal(msg->hello.held[0].phase, WIRE_PHASE_ENDED);
        assert_int_equal(msg->hello.held[0].events, events);
        struct wire_held keep = msg->hello.held[0];
        welcome(b, &keep, 1, NULL, 0);
        msg = hear(b, WIRE_RESULT);
        assert_int_equal(msg->result.outcome, WIRE_FAILED);
    }
    acknowledge(b, 1, 1);
    await_empty_spool(b);
}

static void a_later_attempt_waits_for_the_death_of_the_earlier(void **state)
{
    struct broker *b = *state;

    greet(b);
    order_run(b, 1, 1, shell("trap '' TERM; sleep 60"));
    hear(b, WIRE_ACCEPTED);
    order_run(b, 1, 2, shell("true"));
    const struct wire_msg *msg = hear(b, WIRE_REFUSED);
    assert_int_equal(msg->refused.code, WIRE_REFUSE_NO_RESOURCES);
    assert_int_equal(msg->refused.attempt, 2);
    await_empty_spool(b); /* the first is killed and forgotten */
    b->events[1] = 0;
    order_run(b, 1, 3, shell("exit 3"));
    msg = hear(b, WIRE_RESULT);
    assert_int_equal(msg->result.attempt, 3);
    /* One that has ended, if unacknowledged, is in nobody's way. */
    b->events[1] = 0;
    order_run(b, 1, 4, shell("true"));
    msg = hear(b, WIRE_RESULT);
    assert_int_equal(msg->result.attempt, 4);
}

int main(int argc, char **argv)
{
    if (argc == 4)
        be_agent(argv);
#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CLAIM(a_later_attempt_waits_for_the_death_of_the_earlier),
        CLAIM(a_result_is_repeated_until_it_is_acknowledged),
        CLAIM(a_run_that_ended_alone_is_reported_by_the_next_agent),
        CLAIM(a_reconnect_resumes_events_without_gap_or_double),
        CLAIM(an_agent_that_is_killed_finds_its_shepherd_again),
        CLAIM(what_the_broker_does_not_want_is_killed_and_forgotten),
        CLAIM(renewed_lost_kills_the_attempt),
        CLAIM(without_renewal_a_run_ends_at_its_lease),
        CLAIM(renewal_keeps_a_run_alive_beyond_its_first_lease),
        CLAIM(an_unknown_session_is_greeted_anew),
        CLAIM(a_clone_is_tried_again_and_not_fatal),
        CLAIM(an_agent_that_stood_still_begins_anew),
        CLAIM(a_broker_that_does_not_read_loses_nothing),
        CLAIM(a_killed_shepherd_is_reported_and_its_tree_is_dead),
        CLAIM(a_cancel_that_a_stopped_shepherd_ignores_is_a_cancel),
        CLAIM(the_agent_ends_a_run_whose_shepherd_missed_its_timeout),
        CLAIM(a_lease_that_a_stuck_shepherd_outlived_is_lost),
        CLAIM(a_stuck_shepherd_that_another_killed_has_died),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
