/*
 * Covers agents/shepherd.c, task.c, tree.c and nursery.c: real shepherds with
 * real jobs, judged by the exit record on disk. What is measured in time is
 * measured by the jobs' own words.
 */
#include "tests/unit/shepherd_bench.h"

#include "agents/tree.h"

/* ---- the walk -------------------------------------------------------- */

static void branches_overlap_and_children_wait(void **state)
{
    struct bench *b = *state;

    /* Each branch waits for a file the other makes: alone, neither ends. */
    execute(
        b,
        SHELL("a", "", "touch a") "," SHELL(
            "b", "0",
            "test -e a && touch b; until test -e c; do sleep "
            "0.01; done; touch b2") "," SHELL("c", "0",
                                              "test -e a && touch c; until "
                                              "test -e b; do sleep "
                                              "0.01; done; touch c2") "," SHELL("d",
                                                                                "1,2",
                                                                                "test -e b2 && test -e c2"),
        WIRE_COMPLETED);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(node(b, i)->state, WIRE_NODE_COMPLETED);
        assert_int_equal(node(b, i)->exit_code, 0);
    }
    assert_int_equal(b->result.result.error.len, 0);
}

static void a_failed_node_skips_its_descendants_only(void **state)
{
    struct bench *b = *state;

    execute(
        b,
        SHELL("a", "", "true") "," SHELL("bad", "0", "echo oops >&2; exit 3") "," SHELL("good", "0", "echo fine") "," SHELL(
            "after-bad", "1",
            "touch never") "," SHELL("after-good", "2",
                                     "true") "," SHELL("both", "1,2",
                                                       "touch never") "," SHELL("deep",
                                                                                "5",
                                                                                "touch never"),
        WIRE_FAILED);
    static const enum wire_node_state want[] = {
        WIRE_NODE_COMPLETED, WIRE_NODE_FAILED,    WIRE_NODE_COMPLETED,
        WIRE_NODE_SKIPPED,   WIRE_NODE_COMPLETED, WIRE_NODE_SKIPPED,
        WIRE_NODE_SKIPPED};
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(node(b, i)->state, want[i]);
    assert_int_equal(node(b, 1)->exit_code, 3);
    assert_text(node(b, 1)->error, "exit code 3");
    assert_text(b->result.result.error, "node \"bad\": exit code 3");
    assert_int_equal(node(b, 3)->started_unix_ms, 0);
}

static void many_nodes_run_to_their_end(void **state)
{
    struct bench *b = *state;
    char *nodes = malloc(20000), *at = nodes;

    for (int i = 0; i < 100; i++)
        at += sprintf(at,
                      "%s{\"id\": \"n%d\", \"kind\": \"command\", \"config\": "
                      "{\"argv\": [\"true\"]}}",
                      i ? "," : "", i);
    execute(b, nodes, WIRE_COMPLETED);
    free(nodes);
    assert_int_equal(b->result.result.events, 200);
}

/* ---- units of data nodes ----------------------------------------------- */

/* SQLite files are in the spool's directory. */
static void allow_data(struct bench *b)
{
    b->settings.data.embedded = b->settings.data.files = b->dir;
    b->settings.data.memory_bytes = 256U << 20;
    b->settings.data.spill_max_bytes = 256U << 20;
    b->settings.data.statement_timeout_ms = 60000;
    b->settings.data.lock_timeout_ms = 5000;
    /* The nursery has the settings that it began with. */
    nursery_close(&b->nursery);
    waitpid(b->nursery.pid, NULL, 0);
    assert_int_equal(nursery_start(&b->spool, &b->settings, &b->nursery), 0);
}

#define ROWS(id, count)                                                        \
    "{\"id\": \"" id "\", \"kind\": \"sequence\", \"config\": "                \
    "{\"column\": \"n\", \"start\": 1, \"step\": 1, \"count\": " count "}}"
#define LOAD(id, after, more)                                                  \
    "{\"id\": \"" id "\", \"kind\": \"load\", \"after\": [" after "], " more   \
    "\"config\": {\"connection\": \"out\", \"table\": \"" id                   \
    "\", \"mode\": \"append\", \"create\": true}}"
#define DIVIDE(id, after, by)                                                  \
    "{\"id\": \"" id "\", \"kind\": \"map\", \"after\": [" after               \
    "], \"config\": {\"columns\": [{\"name\": \"x\", \"expression\": "         \
    "{\"text\": \"\", \"tree\": [\"div\", [\"int\", 6], [\"sub\", "            \
    "[\"col\", \"n\"], [\"int\", " by "]]]}}]}}"

/* One that SQLite is busy with for hours; nothing of it is read twice. */
#define ENDLESS ROWS("endless", "1000000000000")

static void nodes_of_one_process_are_told_one_by_one(void **state)
{
    struct bench *b = *state;

    allow_data(b);
    execute(b,
            ROWS("rows", "10") "," DIVIDE("map", "0", "-1") "," LOAD(
                "load", "1", "") "," SHELL("then", "2", "echo behind"),
            WIRE_COMPLETED);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(node(b, i)->state, WIRE_NODE_COMPLETED);
    assert_int_equal(node(b, 0)->rows_out, 10);
    assert_int_equal(node(b, 1)->rows_in, 10);
    assert_int_equal(node(b, 2)->rows_out, 10);
    assert_string_equal(b->output, "behind\n");
}

static void a_failed_data_node_takes_only_its_own_with_it(void **state)
{
    struct bench *b = *state;

    allow_data(b);
    execute(b,
            ROWS("rows", "10") "," DIVIDE("bad", "0", "3") "," LOAD(
                "below", "1", "") "," LOAD("beside", "0",
                                           "") "," SHELL("then", "2", "true"),
            WIRE_FAILED);
    assert_int_equal(node(b, 0)->state, WIRE_NODE_COMPLETED);
    assert_int_equal(node(b, 1)->state, WIRE_NODE_FAILED);
    assert_int_equal(node(b, 3)->state, WIRE_NODE_COMPLETED);
    assert_int_equal(node(b, 3)->rows_out, 10);
    assert_int_equal(node(b, 4)->state, WIRE_NODE_SKIPPED);
    assert_non_null(strstr(node(b, 1)->error.ptr, "division by zero"));
}

static void a_data_node_that_takes_too_long_is_stopped(void **state)
{
    struct bench *b = *state;

    allow_data(b);
    execute(b,
            ENDLESS "," LOAD("late", "0", "\"timeout_s\": 0.5, ") "," ROWS(
                "few", "3") "," LOAD("short", "2", ""),
            WIRE_FAILED);
    assert_int_equal(node(b, 1)->state, WIRE_NODE_FAILED);
    assert_text(node(b, 1)->error, "timed out after 0.5 s");
    assert_int_equal(node(b, 3)->state, WIRE_NODE_COMPLETED);
    assert_true(took_ms(b) < 20000);
}

/* The process of the run that is called "node"; 0: there is none yet. */
static pid_t find_node_process(const struct bench *b)
{
    char path[64], text[512];
    pid_t found = 0;

    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)b->shepherd,
             (int)b->shepherd);
    FILE *file = fopen(path, "re");
    if (file && fgets(text, sizeof text, file))
        found = (pid_t)strtol(text, NULL, 10);
    if (file)
        fclose(file);
    return found;
}

/* How many NODE events of a node say that it runs and how far it is. */
static size_t progress_of(const struct bench *b, uint32_t index,
                          uint64_t *ret_rows)
{
    struct journal_reader reader;
    struct wire_msg msg;
    const char *frame, *why;
    uint64_t event;
    size_t len, count = 0;

    *ret_rows = 0;
    if (journal_open_reader(b->dir_fd, &reader) < 0)
        return 0; /* not begun */
    while (journal_peek(&reader, &event, &frame, &len) == 1) {
        assert_int_equal(wire_unpack(frame, len, &msg, &why), 0);
        if (msg.type == WIRE_NODE && msg.node.node.node == index &&
            msg.node.node.state == WIRE_NODE_RUNNING) {
            count++;
            *ret_rows = msg.node.node.rows_out;
        }
        wire_clear(&msg);
        journal_next(&reader, event, len);
    }
    journal_close_reader(&reader);
    return count;
}

static void await_progress(const struct bench *b, uint32_t index)
{
    int64_t until = clock_boot_ms() + PATIENCE_MS;
    uint64_t rows;

    while (progress_of(b, index, &rows) < 2 || rows == 0) {
        assert_true(clock_boot_ms() < until);
        poll(NULL, 0, 10);
    }
}

static void a_killed_process_fails_what_ran_and_the_rest_goes_on(void **state)
{
    struct bench *b = *state;

    allow_data(b);
    start(b,
          ENDLESS
          "," LOAD("late", "0", "") "," SHELL("other", "", "echo other"),
          0, LEASE_MS);
    await_progress(b, 0);
    pid_t pid = find_node_process(b);
    assert_true(pid > 1);
    kill(pid, SIGKILL);
    finish(b, WIRE_FAILED);
    assert_int_equal(node(b, 0)->state, WIRE_NODE_FAILED);
    assert_int_equal(node(b, 1)->state, WIRE_NODE_FAILED);
    assert_non_null(strstr(node(b, 1)->error.ptr, "SIGKILL"));
    assert_int_equal(node(b, 2)->state, WIRE_NODE_COMPLETED);
}

static void how_far_a_data_node_is_is_told_while_it_runs(void **state)
{
    struct bench *b = *state;

    allow_data(b);
    start(b, ENDLESS "," LOAD("late", "0", ""), 0, LEASE_MS);
    await_progress(b, 0);
    await_progress(b, 1);
    cancel(b, 0);
    finish(b, WIRE_CANCELLED);
    assert_int_equal(node(b, 0)->state, WIRE_NODE_CANCELLED);
    assert_int_equal(node(b, 1)->state, WIRE_NODE_CANCELLED);
}

/* ---- ends ------------------------------------------------------------ */

static void errors_name_the_node_and_the_reason(void **state)
{
    struct bench *b = *state;

    execute(
        b,
        "{\"id\": \"x\", \"kind\": \"command\", \"config\": {\"argv\": "
        "[\"no-such-program-here\"]}}," SHELL(
            "k", "", "kill -9 $$") ","
                                   "{\"id\": \"d\", \"kind\": \"command\", "
                                   "\"config\": {\"argv\": "
                                   "[\"true\"], \"cwd\": \"/no/such/dir\"}}",
        WIRE_FAILED);
    assert_text(node(b, 0)->error, "no such program: no-such-program-here");
    assert_int_equal(node(b, 0)->exit_code, 127);
    assert_text(node(b, 1)->error, "killed by signal 9 (SIGKILL)");
    assert_int_equal(node(b, 1)->exit_code, 137);
    assert_text(node(b, 2)->error, "cannot enter the working directory "
                                   "/no/such/dir: No such file or directory");
}

static void a_node_that_takes_too_long_is_killed_with_its_tree(void **state)
{
    struct bench *b = *state;

    execute(b,
            "{\"id\": \"slow\", \"kind\": \"command\", \"timeout_s\": 0.3, "
            "\"config\": {\"argv\": [\"sh\", \"-c\", \"setsid sleep 300 & echo "
            "$! > pid; wait\"]}}," SHELL("other", "", "sleep 0.6; echo ok"),
            WIRE_FAILED);
    assert_text(node(b, 0)->error, "timed out after 0.3 s");
    assert_int_equal(node(b, 1)->state, WIRE_NODE_COMPLETED);
    assert_dead(await_number(b, "pid"));
}

static void a_node_that_ignores_term_is_killed_after_its_grace(void **state)
{
    struct bench *b = *state;

    execute(b,
            "{\"id\": \"deaf\", \"kind\": \"command\", \"timeout_s\": 0.5, "
            "\"config\": {\"argv\": [\"sh\", \"-c\", \"trap '' TERM; while :; "
            "do sleep 0.1; done\"]}}",
            WIRE_FAILED);
    assert_text(node(b, 0)->error, "timed out after 0.5 s");
    assert_true(took_ms(b) >= 500 + TASK_TIMEOUT_GRACE_MS);
    assert_true(took_ms(b) < 20000);
}

static void a_run_that_takes_too_long_is_stopped(void **state)
{
    struct bench *b = *state;

    start(b, SHELL("a", "", "sleep 300") "," SHELL("b", "0", "true"), 300,
          LEASE_MS);
    finish(b, WIRE_TIMED_OUT);
    assert_text(b->result.result.error, "the run's time-out of 0.3 s passed");
    assert_int_equal(node(b, 0)->state, WIRE_NODE_CANCELLED);
    assert_int_equal(node(b, 1)->state, WIRE_NODE_CANCELLED);
}

static void cancel_lets_a_job_clean_up_within_its_grace(void **state)
{
    struct bench *b = *state;

    start(b,
          SHELL("a", "",
                "trap 'echo cleaned; exit 0' TERM; echo $$ > pid; "
                "while :; do sleep 0.05; done"),
          0, LEASE_MS);
    await_number(b, "pid");
    cancel(b, 10000);
    finish(b, WIRE_CANCELLED);
    assert_text(b->result.result.error, "cancelled: because");
    assert_non_null(strstr(b->output, "cleaned\n"));
    assert_int_equal(node(b, 0)->state, WIRE_NODE_CANCELLED);
    assert_true(took_ms(b) < 20000);
}

static void cancel_kills_a_tree_that_hides_and_ignores_term(void **state)
{
    struct bench *b = *state;
    static const char hide[] = SHELL(
        "a", "",
        "trap '' TERM; echo $$ > p1; "
        "setsid sh -c 'trap \\\"\\\" TERM; echo $$ > p2; while :; do sleep "
        "0.1; done' & "
        "(setsid sh -c 'trap \\\"\\\" TERM; (sh -c \\\"echo \\\\$\\\\$ > p3; "
        "while :; do sleep 0.1; done\\\" &) ; exit 0' &) ; "
        "while :; do sleep 0.1; done");
    static const char *const files[] = {"p1", "p2", "p3"};
    long pids[3];

    start(b, hide, 0, LEASE_MS);
    for (size_t i = 0; i < 3; i++)
        pids[i] = await_number(b, files[i]);
    cancel(b, 200);
    finish(b, WIRE_CANCELLED);
    for (size_t i = 0; i < 3; i++)
        assert_dead(pids[i]);
    assert_true(took_ms(b) >= 200);
}

static void a_more_urgent_cancel_shortens_the_grace(void **state)
{
    struct bench *b = *state;

    start(b,
          SHELL("a", "",
                "trap '' TERM; echo $$ > pid; while :; do sleep 0.1; "
                "done"),
          0, LEASE_MS);
    await_number(b, "pid");
    cancel(b, 50000);
    cancel(b, 0);
    finish(b, WIRE_CANCELLED);
    assert_true(took_ms(b) < 20000);
}

static void the_lease_deadline_kills_at_once_with_nobody_there(void **state)
{
    struct bench *b = *state;

    start(b,
          SHELL("a", "",
                "trap '' TERM; setsid sleep 300 & echo $! > pid; "
                "while :; do sleep 0.1; done"),
          0, 500);
    long pid = await_number(b, "pid");
    /* The nursery stands still, as if the agent and it were stopped. */
    kill(b->nursery.pid, SIGSTOP);
    int64_t until = clock_boot_ms() + PATIENCE_MS;
    while (spool_state_of(b->dir_fd) != SPOOL_ENDED) {
        assert_true(clock_boot_ms() < until);
        poll(NULL, 0, 2);
    }
    assert_dead(pid);
    kill(b->nursery.pid, SIGCONT);
    finish(b, WIRE_LEASE_LOST);
    assert_true(took_ms(b) >= 400 && took_ms(b) < 20000);
}

static void nothing_starts_before_the_first_renewal(void **state)
{
    struct bench *b = *state;

    push(b, SHELL("a", "", "echo began"), 0, 300);
    finish(b, WIRE_LEASE_LOST);
    assert_string_equal(b->output, "");
    assert_int_equal(b->result.result.nodes[0].state, WIRE_NODE_CANCELLED);
    assert_int_equal(b->result.result.nodes[0].started_unix_ms, 0);
}

static void a_cancel_before_the_first_renewal_starts_nothing(void **state)
{
    struct bench *b = *state;

    push(b, SHELL("a", "", "echo began"), 0, 60000);
    cancel(b, 0);
    finish(b, WIRE_CANCELLED);
    assert_string_equal(b->output, "");
}

static void a_renewed_deadline_counts_and_an_older_one_does_not(void **state)
{
    struct bench *b = *state;
    struct shepherd_order order = {.mark = shepherd_order_mark,
                                   .verb = SHEPHERD_DEADLINE,
                                   .value = clock_boot_ms() + 60000};

    start(b, SHELL("a", "", "sleep 0.7; echo alive"), 0, 300);
    assert_int_equal(write(b->ctl_fd, &order, sizeof order), sizeof order);
    order.value = clock_boot_ms() + 1;
    assert_int_equal(write(b->ctl_fd, &order, sizeof order), sizeof order);
    order.mark++; /* of some other version: ignored */
    order.verb = SHEPHERD_CANCEL;
    assert_int_equal(write(b->ctl_fd, &order, sizeof order), sizeof order);
    finish(b, WIRE_COMPLETED);
    assert_string_equal(b->output, "alive\n");
}

static void what_a_job_leaves_behind_is_killed_at_the_end(void **state)
{
    struct bench *b = *state;

    execute(b,
            SHELL("a", "",
                  "(setsid sleep 300 >/dev/null 2>&1 & echo $! > "
                  "pid); true"),
            WIRE_COMPLETED);
    assert_dead(await_number(b, "pid"));
    assert_true(took_ms(b) < 20000);
}

static void output_held_open_by_a_leftover_does_not_hold_the_run(void **state)
{
    struct bench *b = *state;

    execute(b, SHELL("a", "", "sleep 300 & echo done"), WIRE_COMPLETED);
    assert_string_equal(b->output, "done\n");
    assert_true(took_ms(b) < 20000);
}

static void a_killed_shepherd_leaves_nothing_alive(void **state)
{
    struct bench *b = *state;

    start(b,
          SHELL("a", "",
                "setsid sh -c 'trap \\\"\\\" TERM; while :; do sleep "
                "0.1; done' & echo $! > pid; wait"),
          0, LEASE_MS);
    long pid = await_number(b, "pid");
    kill(b->shepherd, SIGKILL);
    struct nursery_word word = hear(b, NURSERY_ENDED);
    assert_true(WIFSIGNALED(word.status));
    assert_dead(pid);
    assert_int_equal(spool_state_of(b->dir_fd), SPOOL_DIED);
}

static void a_sweep_finds_a_run_by_its_environment(void **state)
{
    size_t left;
    int ready[2];
    char run[64];

    (void)state;
    snprintf(run, sizeof run, "DISPATCH_RUN_ID=sweep-%d", (int)getpid());
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        char *argv[] = {(char[]){"sh"}, (char[]){"-c"},
                        (char[]){"echo; exec sleep 300"}, NULL};
        char *env[] = {run, (char[]){"DISPATCH_ATTEMPT=7"},
                       (char[]){"PATH=/bin:/usr/bin"}, NULL};
        dup2(ready[1], 1);
        execve("/bin/sh", argv, env);
        _exit(1);
    }
    char byte;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(tree_sweep(run, "DISPATCH_ATTEMPT=8", 100, &left), 0);
    assert_int_equal(kill(child, 0), 0);
    assert_int_equal(tree_sweep(run, "DISPATCH_ATTEMPT=7", 5000, &left), 1);
    assert_int_equal(left, 0);
    int status;
    waitpid(child, &status, 0);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    close(ready[0]);
    close(ready[1]);
}

int main(void)
{
#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CLAIM(branches_overlap_and_children_wait),
        CLAIM(a_failed_node_skips_its_descendants_only),
        CLAIM(many_nodes_run_to_their_end),
        CLAIM(nodes_of_one_process_are_told_one_by_one),
        CLAIM(a_failed_data_node_takes_only_its_own_with_it),
        CLAIM(a_data_node_that_takes_too_long_is_stopped),
        CLAIM(a_killed_process_fails_what_ran_and_the_rest_goes_on),
        CLAIM(how_far_a_data_node_is_is_told_while_it_runs),
        CLAIM(errors_name_the_node_and_the_reason),
        CLAIM(a_node_that_takes_too_long_is_killed_with_its_tree),
        CLAIM(a_node_that_ignores_term_is_killed_after_its_grace),
        CLAIM(a_run_that_takes_too_long_is_stopped),
        CLAIM(cancel_lets_a_job_clean_up_within_its_grace),
        CLAIM(cancel_kills_a_tree_that_hides_and_ignores_term),
        CLAIM(a_more_urgent_cancel_shortens_the_grace),
        CLAIM(the_lease_deadline_kills_at_once_with_nobody_there),
        CLAIM(nothing_starts_before_the_first_renewal),
        CLAIM(a_cancel_before_the_first_renewal_starts_nothing),
        CLAIM(a_renewed_deadline_counts_and_an_older_one_does_not),
        CLAIM(what_a_job_leaves_behind_is_killed_at_the_end),
        CLAIM(output_held_open_by_a_leftover_does_not_hold_the_run),
        CLAIM(a_killed_shepherd_leaves_nothing_alive),
        cmocka_unit_test(a_sweep_finds_a_run_by_its_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
