/* Covers the report stream of agents/task.c: whole reports however the bytes
 * arrive, and an end to what is none. */
#include "agents/task.h"

#include "agents/wire.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { HEARD_MAX = 8 };

struct bench {
    struct task *task;
    int fd; /* the process's end */
    size_t count;
    struct exec_report heard[HEARD_MAX];
    char text[HEARD_MAX][64];
    size_t text_bytes[HEARD_MAX];
};

static int set_up(void **state)
{
    struct bench *b = calloc(1, sizeof *b);
    int ends[2];

    b->task = calloc(1, sizeof *b->task);
    for (int i = 1; i < 3; i++) {
        b->task->pipe_fd[i] = -1;
        output_init(&b->task->output[i]);
    }
    if (pipe(ends) < 0)
        return -1;
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    b->task->pipe_fd[0] = ends[0];
    b->task->data = true;
    b->fd = ends[1];
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *b = *state;

    task_free(&b->task);
    close(b->fd);
    free(b);
    return 0;
}

static void hear(void *context, const struct exec_report *report,
                 const char *text)
{
    struct bench *b = context;
    size_t keep = report->text_bytes < 63 ? report->text_bytes : 63;

    assert_true(b->count < HEARD_MAX);
    b->heard[b->count] = *report;
    memcpy(b->text[b->count], text, keep);
    b->text_bytes[b->count++] = report->text_bytes;
}

static void take(struct bench *b)
{
    task_read(b->task, 0, 0, NULL, hear, b);
}

static struct exec_report report_of(uint32_t node, enum exec_state state,
                                    uint32_t text_bytes)
{
    struct exec_report report;

    memset(&report, 0, sizeof report);
    report.node = node;
    report.state = (uint8_t)state;
    report.text_bytes = text_bytes;
    report.rows_out = node * 10ULL;
    return report;
}

/* Three reports, the second with a text. Returns their length. */
static size_t three(char *to)
{
    struct exec_report a = report_of(1, EXEC_RUNNING, 0),
                       p = report_of(2, EXEC_PREVIEW, 5),
                       z = report_of(3, EXEC_COMPLETED, 0);
    char *at = to;

    memcpy(at, &a, sizeof a);
    memcpy(at += sizeof a, &p, sizeof p);
    memcpy(at += sizeof p, "[1]\n\n", 5);
    memcpy(at += 5, &z, sizeof z);
    return (size_t)(at - to) + sizeof z;
}

static void assert_three(const struct bench *b)
{
    assert_int_equal(b->count, 3);
    assert_int_equal(b->heard[0].node, 1);
    assert_int_equal(b->heard[1].node, 2);
    assert_int_equal(b->text_bytes[1], 5);
    assert_string_equal(b->text[1], "[1]\n\n");
    assert_int_equal(b->heard[2].node, 3);
    assert_int_equal(b->heard[2].rows_out, 30);
    assert_true(b->task->pipe_fd[0] >= 0);
}

static void reports_come_whole_however_they_are_cut(void **state)
{
    struct bench *b = *state;
    char bytes[4 * sizeof(struct exec_report)];
    size_t len = three(bytes);
    static const size_t cuts[] = {1, 7, sizeof(struct exec_report),
                                  sizeof(struct exec_report) + 3};

    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        b->count = 0;
        for (size_t at = 0; at < len; at += cuts[i]) {
            size_t part = len - at < cuts[i] ? len - at : cuts[i];
            assert_int_equal(write(b->fd, bytes + at, part), part);
            take(b);
        }
        assert_three(b);
    }
}

static void reports_come_one_by_one_out_of_one_read(void **state)
{
    struct bench *b = *state;
    char bytes[4 * sizeof(struct exec_report)];
    size_t len = three(bytes);

    assert_int_equal(write(b->fd, bytes, len), len);
    take(b);
    assert_three(b);
}

static void the_longest_text_comes_whole(void **state)
{
    struct bench *b = *state;
    struct exec_report report = report_of(1, EXEC_PREVIEW, WIRE_LOG_MAX);
    char *text = malloc(WIRE_LOG_MAX);

    memset(text, 'x', WIRE_LOG_MAX);
    assert_int_equal(write(b->fd, &report, sizeof report), sizeof report);
    for (size_t at = 0; at < WIRE_LOG_MAX; at += 4096) {
        size_t part = WIRE_LOG_MAX - at < 4096 ? WIRE_LOG_MAX - at : 4096;
        assert_int_equal(b->count, 0);
        assert_int_equal(write(b->fd, text + at, part), part);
        take(b);
    }
    assert_int_equal(b->count, 1);
    assert_int_equal(b->text_bytes[0], WIRE_LOG_MAX);
    free(text);
}

static void a_text_that_is_too_long_ends_the_stream(void **state)
{
    struct bench *b = *state;
    struct exec_report report = report_of(1, EXEC_PREVIEW, WIRE_LOG_MAX + 1);

    assert_int_equal(write(b->fd, &report, sizeof report), sizeof report);
    take(b);
    assert_int_equal(b->count, 0);
    assert_int_equal(b->task->pipe_fd[0], -1);
}

static void garbage_ends_the_stream_and_what_came_before_counts(void **state)
{
    struct bench *b = *state;
    struct exec_report good = report_of(1, EXEC_COMPLETED, 0);
    char garbage[2 * sizeof good];

    memset(garbage, 0xff, sizeof garbage);
    assert_int_equal(write(b->fd, &good, sizeof good), sizeof good);
    assert_int_equal(write(b->fd, garbage, sizeof garbage), sizeof garbage);
    take(b);
    assert_int_equal(b->count, 1);
    assert_int_equal(b->task->pipe_fd[0], -1);
}

static void an_error_without_end_gets_one(void **state)
{
    struct bench *b = *state;
    struct exec_report report = report_of(1, EXEC_FAILED, 0);

    memset(report.error, 'e', sizeof report.error);
    assert_int_equal(write(b->fd, &report, sizeof report), sizeof report);
    take(b);
    assert_int_equal(b->count, 1);
    assert_int_equal(strlen(b->heard[0].error), EXEC_ERROR_MAX - 1);
}

static void half_a_report_at_the_end_is_none(void **state)
{
    struct bench *b = *state;
    struct exec_report report = report_of(1, EXEC_COMPLETED, 0);

    assert_int_equal(write(b->fd, &report, sizeof report / 2),
                     sizeof report / 2);
    close(b->fd);
    b->fd = -1;
    take(b);
    take(b);
    assert_int_equal(b->count, 0);
    assert_int_equal(b->task->pipe_fd[0], -1);
}

static void the_report_of_a_single_node_is_its_verdict(void **state)
{
    struct bench *b = *state;
    struct exec_report report = report_of(0, EXEC_FAILED, 0);
    char error[EXEC_ERROR_MAX];
    int32_t code;

    b->task->data = false;
    report.exit_code = 404;
    strcpy(report.error, "not found");
    assert_int_equal(write(b->fd, &report, sizeof report), sizeof report);
    take(b);
    assert_int_equal(b->count, 0);
    assert_false(task_verdict(b->task, &code, error));
    assert_int_equal(code, 404);
    assert_string_equal(error, "not found");
}

int main(void)
{
#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CLAIM(reports_come_whole_however_they_are_cut),
        CLAIM(reports_come_one_by_one_out_of_one_read),
        CLAIM(the_longest_text_comes_whole),
        CLAIM(a_text_that_is_too_long_ends_the_stream),
        CLAIM(garbage_ends_the_stream_and_what_came_before_counts),
        CLAIM(an_error_without_end_gets_one),
        CLAIM(half_a_report_at_the_end_is_none),
        CLAIM(the_report_of_a_single_node_is_its_verdict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
