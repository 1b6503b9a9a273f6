/* Tests of dispatcher/log: the form of a line, what is escaped, levels, and
 * that a line is one write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dispatcher/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* stderr is one end of a socket that keeps the borders of writes: one read
 * gives what one write() wrote. */
struct tap {
    int saved, fd;
    char line[8192];
};

static int set_up(void **state)
{
    static struct tap tap;
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) < 0)
        return -1;
    tap.saved = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    tap.fd = ends[0];
    fcntl(tap.fd, F_SETFL, O_NONBLOCK);
    log_set_level(LOG_INFO);
    *state = &tap;
    return 0;
}

static int tear_down(void **state)
{
    struct tap *tap = *state;
    dup2(tap->saved, STDERR_FILENO);
    close(tap->saved);
    close(tap->fd);
    return 0;
}

/* The next write, "" when there is none. */
static const char *next(struct tap *tap)
{
    ssize_t got = recv(tap->fd, tap->line, sizeof tap->line - 1, 0);
    tap->line[got > 0 ? got : 0] = '\0';
    return tap->line;
}

/* The line after its time, "2026-11-20T18:00:00.123Z ". */
static const char *after_time(struct tap *tap)
{
    const char *line = next(tap);
    assert_true(strlen(line) > 25);
    return line + 25;
}

static void a_line_is_time_level_word_and_fields(void **state)
{
    (void)state;
    log_event(LOG_INFO, "lease.lapsed", "pool", "etl", "attempt", log_number(2),
              NULL);
    const char *line = next(*state);
    static const char form[] = "0000-00-00T00:00:00.000Z ";
    for (size_t i = 0; form[i] != '\0'; i++) {
        if (form[i] == '0')
            assert_in_range(line[i], '0', '9');
        else
            assert_int_equal(line[i], form[i]);
    }
    assert_string_equal(line + sizeof form - 1,
                        "info lease.lapsed pool=etl attempt=2\n");
}

static void a_null_value_leaves_its_pair_out(void **state)
{
    log_event(LOG_WARN, "x", "a", (char *)NULL, "b", "1", NULL);
    assert_string_equal(after_time(*state), "warn x b=1\n");
}

static void levels_below_are_not_written(void **state)
{
    log_event(LOG_DEBUG, "no", NULL);
    assert_string_equal(next(*state), "");
    log_set_level(LOG_WARN);
    assert_false(log_enabled(LOG_INFO));
    assert_true(log_enabled(LOG_WARN));
    log_event(LOG_INFO, "no", NULL);
    assert_string_equal(next(*state), "");
    log_event(LOG_ERROR, "yes", NULL);
    assert_string_equal(after_time(*state), "error yes\n");
    log_set_level(LOG_DEBUG);
    log_event(LOG_DEBUG, "yes", NULL);
    assert_string_equal(after_time(*state), "debug yes\n");
}

static void expect_shown(void **state, const char *value, const char *shown)
{
    char expected[512];
    snprintf(expected, sizeof expected, "info x v=%s\n", shown);
    log_event(LOG_INFO, "x", "v", value, NULL);
    assert_string_equal(after_time(*state), expected);
}

static void values_that_are_not_words_are_quoted(void **state)
{
    expect_shown(state, "plain-1.2:/x", "plain-1.2:/x");
    expect_shown(state, "", "\"\"");
    expect_shown(state, "two words", "\"two words\"");
    expect_shown(state, "say \"x\"", "\"say \\\"x\\\"\"");
    expect_shown(state, "a\\b", "\"a\\\\b\"");
    expect_shown(state, "a=b", "\"a=b\"");
    expect_shown(state, "Größe", "\"Größe\"");
}

static void control_characters_never_get_through(void **state)
{
    expect_shown(state, "a\nb\r\tc", "\"a\\nb\\r\\tc\"");
    expect_shown(state, "\x1b[31mred", "\"\\x1b[31mred\"");
    expect_shown(state, "\x7f\x01", "\"\\x7f\\x01\"");
    expect_shown(state,
                 "\xc2\x9b"
                 "31m",
                 "\"\\xc2\\x9b31m\""); /* C1 CSI */
    expect_shown(state, "bad \xff\xc3", "\"bad \\xff\\xc3\"");
    expect_shown(state, "\xc0\x9b", "\"\\xc0\\x9b\""); /* overlong ESC */
}

static void a_line_is_one_write_and_ends(void **state)
{
    char *value = malloc(100000);
    assert_non_null(value);
    memset(value, 'x', 99999);
    value[99999] = '\0';
    log_event(LOG_INFO, "long", "a", "1", "v", value, "b", "2", NULL);
    const char *line = next(*state);
    size_t len = strlen(line);
    assert_in_range(len, 40, 4096);
    assert_string_equal(line + len - 4, "...\n");
    assert_string_equal(next(*state), "");
    memset(value, '\x1b', 99999);
    log_event(LOG_INFO, "long", "v", value, NULL);
    line = next(*state);
    len = strlen(line);
    assert_in_range(len, 4000, 4096);
    assert_string_equal(line + len - 4, "...\n");
    assert_null(strchr(line, '\x1b'));
    free(value);
}

static void errno_is_left_alone(void **state)
{
    (void)state;
    int end = dup(STDERR_FILENO);
    close(STDERR_FILENO);
    errno = ENOENT;
    log_event(LOG_INFO, "nobody.reads", NULL);
    int after = errno;
    dup2(end, STDERR_FILENO);
    close(end);
    assert_int_equal(after, ENOENT);
}

static void numbers_last_for_a_line(void **state)
{
    (void)state;
    const char *first = log_number(INT64_MIN);
    for (int i = 0; i < 15; i++)
        log_number(i);
    assert_string_equal(first, "-9223372036854775808");
    assert_string_equal(log_number(INT64_MAX), "9223372036854775807");
}

static void *write_many(void *arg)
{
    for (int i = 0; i < 100; i++)
        log_event(LOG_INFO, arg, "text", "some words of the line", "n",
                  log_number(i), NULL);
    return NULL;
}

static void threads_do_not_mix_their_lines(void **state)
{
    static char words[][2] = {"a", "b"};
    pthread_t threads[2];
    struct tap *tap = *state;
    int counts[2] = {0};
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, write_many, words[i]);
    fcntl(tap->fd, F_SETFL, 0); /* wait for each line */
    for (int i = 0; i < 200; i++) {
        char expected[80];
        const char *line = after_time(tap);
        int which = line[5] - 'a';
        assert_in_range(which, 0, 1);
        snprintf(expected, sizeof expected,
                 "info %s text=\"some words of the line\" n=%d\n", words[which],
                 counts[which]++);
        assert_string_equal(line, expected);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_line_is_time_level_word_and_fields,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_null_value_leaves_its_pair_out,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(levels_below_are_not_written, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(values_that_are_not_words_are_quoted,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(control_characters_never_get_through,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_line_is_one_write_and_ends, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(errno_is_left_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(numbers_last_for_a_line, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(threads_do_not_mix_their_lines, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
