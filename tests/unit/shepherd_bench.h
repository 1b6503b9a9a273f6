/*
 * shepherd_bench.h - for tests of what shepherds do: a spool, a nursery, one
 * attempt, and its exit record read back. Included by one test program each.
 */
#ifndef TESTS_SHEPHERD_BENCH_H
#define TESTS_SHEPHERD_BENCH_H

#include "agents/clock.h"
#include "agents/journal.h"
#include "agents/nursery.h"
#include "agents/shepherd.h"
#include "agents/task.h"
#include "agents/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATIENCE_MS = 20000, LEASE_MS = 60000, OUTPUT_MAX = 1 << 20 };

struct bench {
    char dir[64];
    struct settings settings;
    struct spool spool;
    struct nursery nursery;
    char name[SPOOL_NAME_MAX];
    int dir_fd, ctl_fd;
    pid_t shepherd;
    char *frame; /* behind result */
    struct wire_msg result;
    char *output;
    size_t output_len;
};

static inline int set_up(void **state)
{
    struct bench *b = calloc(1, sizeof *b);
    static char extra[] = "TEST_EXTRA";
    static char *environment[] = {extra};
    char why[SPOOL_WHY_MAX];

    strcpy(b->dir, "/tmp/test-shepherd-XXXXXX");
    b->settings.environment = environment;
    b->settings.environment_count = 1;
    setenv("TEST_EXTRA", "let through", 1);
    setenv("TEST_SECRET", "kept back", 1);
    b->output = malloc(OUTPUT_MAX);
    b->dir_fd = b->ctl_fd = -1;
    if (!mkdtemp(b->dir) || spool_open(b->dir, 0, &b->spool, why) < 0 ||
        nursery_start(&b->spool, &b->settings, &b->nursery) < 0)
        return -1;
    *state = b;
    return 0;
}

static inline int tear_down(void **state)
{
    struct bench *b = *state;
    char command[128];

    wire_clear(&b->result);
    free(b->frame);
    free(b->output);
    close(b->dir_fd);
    close(b->ctl_fd);
    nursery_close(&b->nursery);
    waitpid(b->nursery.pid, NULL, 0);
    spool_close(&b->spool);
    snprintf(command, sizeof command, "rm -rf %s", b->dir);
    if (system(command) != 0) /* NOLINT: a fixed command of the test */
        perror("rm");
    free(b);
    return 0;
}

static inline struct nursery_word hear(struct bench *b,
                                       enum nursery_word_kind kind)
{
    int64_t until = clock_boot_ms() + PATIENCE_MS;
    struct nursery_word word;

    while (clock_boot_ms() < until) {
        struct pollfd fd = {.fd = b->nursery.fd, .events = POLLIN};
        poll(&fd, 1, 1000);
        int rc = nursery_hear(&b->nursery, &word);
        assert_true(rc >= 0);
        if (rc == 1 && word.kind == kind)
            return word;
    }
    fail_msg("no word %d from the nursery", (int)kind);
    return word;
}

static inline void renew(struct bench *b, int64_t lease_ms)
{
    struct shepherd_order order = {
        .mark = shepherd_order_mark,
        .verb = SHEPHERD_DEADLINE,
        .value = clock_boot_ms() + lease_ms,
    };

    assert_int_equal(write(b->ctl_fd, &order, sizeof order), sizeof order);
}

/* Pushed, not yet confirmed by the broker. */
static inline void push(struct bench *b, const char *nodes, uint64_t timeout_ms,
                        int64_t lease_ms)
{
    struct wire_msg run = {.type = WIRE_RUN};
    char *frame, *plan = malloc(strlen(nodes) + 64);
    size_t len;

    sprintf(plan, "{\"name\": \"t\", \"nodes\": [%s]}", nodes);
    run.run.run = (struct wire_id){{1, 2, 3, 4, 5, 6, 0x70, 8, 0x80, 10}};
    run.run.attempt = 1;
    run.run.lease_ms = 1000;
    run.run.timeout_ms = timeout_ms;
    run.run.workflow = wire_text("work");
    run.run.pool = wire_text("default");
    run.run.plan = wire_text(plan);
    run.run.traceparent = wire_text("00-abc-def-01");
    assert_int_equal(wire_pack(&run, &frame, &len), 0);
    spool_name(&run.run.run, 1, b->name);
    assert_int_equal(
        spool_create_run(&b->spool, b->name, frame, len, &b->dir_fd), 0);
    free(frame);
    free(plan);
    b->ctl_fd = spool_open_ctl(b->dir_fd);
    assert_int_equal(
        nursery_spawn(&b->nursery, b->name, clock_boot_ms() + lease_ms), 0);
    b->shepherd = hear(b, NURSERY_SPAWNED).pid;
}

static inline void start(struct bench *b, const char *nodes,
                         uint64_t timeout_ms, int64_t lease_ms)
{
    push(b, nodes, timeout_ms, lease_ms);
    renew(b, lease_ms);
}

static inline void read_output(struct bench *b)
{
    struct journal_reader reader;
    struct wire_msg msg;
    const char *frame, *why;
    uint64_t event;
    size_t len;

    b->output_len = 0;
    assert_int_equal(journal_open_reader(b->dir_fd, &reader), 0);
    while (journal_peek(&reader, &event, &frame, &len) == 1) {
        assert_int_equal(wire_unpack(frame, len, &msg, &why), 0);
        if (msg.type == WIRE_LOG &&
            b->output_len + msg.log.text.len < OUTPUT_MAX - 1) {
            memcpy(b->output + b->output_len, msg.log.text.ptr,
                   msg.log.text.len);
            b->output_len += msg.log.text.len;
        }
        wire_clear(&msg);
        journal_next(&reader, event, len);
    }
    assert_int_equal(reader.at, b->result.result.events);
    b->output[b->output_len] = '\0';
    journal_close_reader(&reader);
}

/* Waits for the shepherd's good end and reads what it wrote. */
static inline void finish(struct bench *b, enum wire_outcome outcome)
{
    struct nursery_word word = hear(b, NURSERY_ENDED);
    const char *why;
    size_t len;

    assert_true(WIFEXITED(word.status));
    assert_int_equal(WEXITSTATUS(word.status), 0);
    assert_int_equal(
        spool_read(b->dir_fd, "result", WIRE_FRAME_MAX, &b->frame, &len), 0);
    assert_int_equal(wire_unpack(b->frame, len, &b->result, &why), 0);
    read_output(b);
    if (b->result.result.outcome != outcome)
        fail_msg("outcome %d: %.*s\n%s", b->result.result.outcome,
                 (int)b->result.result.error.len, b->result.result.error.ptr,
                 b->output);
}

static inline void cancel(struct bench *b, int64_t grace_ms)
{
    struct shepherd_order order = {.mark = shepherd_order_mark,
                                   .verb = SHEPHERD_CANCEL,
                                   .value = grace_ms,
                                   .reason = "cancelled: because"};

    assert_int_equal(write(b->ctl_fd, &order, sizeof order), sizeof order);
}

static inline void execute(struct bench *b, const char *nodes,
                           enum wire_outcome outcome)
{
    start(b, nodes, 0, LEASE_MS);
    finish(b, outcome);
}

static inline void assert_text(struct wire_bytes bytes, const char *text)
{
    if (bytes.len != strlen(text) || memcmp(bytes.ptr, text, bytes.len) != 0)
        fail_msg("\"%.*s\" is not \"%s\"", (int)bytes.len, bytes.ptr, text);
}

static inline const struct wire_node *node(const struct bench *b, size_t index)
{
    assert_true(index < b->result.result.node_count);
    return &b->result.result.nodes[index];
}

static inline int64_t took_ms(const struct bench *b)
{
    return b->result.result.ended_unix_ms - b->result.result.started_unix_ms;
}

#define SHELL(id, after, script)                                               \
    "{\"id\": \"" id "\", \"kind\": \"command\", \"after\": [" after           \
    "], \"config\": {\"argv\": [\"sh\", \"-c\", \"" script "\"]}}"

/* Waits for text in a file of the job's working directory; returns a number in
 * it. */
static inline long await_number(struct bench *b, const char *file)
{
    int64_t until = clock_boot_ms() + PATIENCE_MS;
    char path[200], text[32];

    snprintf(path, sizeof path, "%s/runs/%s/work/%s", b->dir, b->name, file);
    while (clock_boot_ms() < until) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
        if (fd >= 0)
            close(fd);
        if (n > 1 && text[n - 1] == '\n') {
            text[n] = '\0';
            return strtol(text, NULL, 10);
        }
        poll(NULL, 0, 5);
    }
    fail_msg("%s did not appear", path);
    return 0;
}

static inline void assert_dead(long pid)
{
    assert_true(pid > 1);
    assert_int_equal(kill((pid_t)pid, 0), -1);
    assert_int_equal(errno, ESRCH);
}

#endif
