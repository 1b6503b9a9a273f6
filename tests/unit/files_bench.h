/*
 * files_bench.h - what the tests of files.h share: a root directory, files in
 * it, feeds read to their end as text, sinks filled from SQL.
 */
#ifndef TESTS_FILES_BENCH_H
#define TESTS_FILES_BENCH_H

#include "agents/files.h"
#include "agents/files_inside.h"
#include "agents/text.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char root[64], error[FILES_ERROR_MAX];

__attribute__((unused)) static int make_root(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/test_files-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

__attribute__((unused)) static int remove_root(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command) == 0 ? 0 : -1;
}

/* A path beneath the root, until the next call. */
__attribute__((unused)) static const char *in_root(const char *path)
{
    static char whole[300];

    snprintf(whole, sizeof whole, "%s/%s", root, path);
    return whole;
}

__attribute__((unused)) static void put(const char *path, const char *bytes,
                                        size_t len)
{
    int fd = open(in_root(path), O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
    close(fd);
}

/* The caller's to free(). */
__attribute__((unused)) static char *contents(const char *path)
{
    struct stat status;
    int fd = open(in_root(path), O_RDONLY);

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &status), 0);
    char *bytes = calloc(1, (size_t)status.st_size + 1);
    assert_int_equal(read(fd, bytes, (size_t)status.st_size), status.st_size);
    close(fd);
    return bytes;
}

/* A configuration, with ' in place of ". */
__attribute__((unused)) static json_t *config_of(const char *quoted)
{
    char *text = strdup(quoted);
    json_error_t wrong;

    for (char *at = text; *at; at++)
        if (*at == '\'')
            *at = '"';
    json_t *config = json_loads(text, JSON_ALLOW_NUL, &wrong);
    if (!config)
        fail_msg("%s: %s", text, wrong.text);
    free(text);
    return config;
}

/* A file that is nowhere. */
__attribute__((unused)) static int bytes_fd(const char *bytes, size_t len)
{
    int fd = memfd_create("test", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

typedef int open_fd(int fd, const char *path, const json_t *config,
                    struct feed **ret_feed, char ret_error[FILES_ERROR_MAX]);

/* NULL: error says why. */
__attribute__((unused)) static struct feed *
feed_of(open_fd *opener, const char *config_text, const char *bytes, size_t len)
{
    json_t *config = config_of(config_text);
    struct feed *feed = NULL;

    error[0] = '\0';
    if (opener(bytes_fd(bytes, len), "in", config, &feed, error) < 0) {
        assert_null(feed);
        assert_true(error[0] != '\0');
    }
    json_decref(config); /* not needed any more */
    return feed;
}

/* "name type, name type: " and rows as "[a|b|~]", ~ for NULL; then what was
 * rejected as "!" and the message, and "*" and the error. The caller's. */
struct all {
    struct text text;
};

__attribute__((unused)) static void keep_reject(void *context,
                                                const char *message)
{
    text_addf(context, "!%s!", message);
}

__attribute__((unused)) static char *drain(struct feed *feed, bool skip)
{
    struct text text = {0};
    uint64_t rows = 0;
    int rc;

    feed->skip = skip;
    feed->reject = keep_reject;
    feed->context = &text;
    while ((rc = feed->next(feed)) > 0) {
        text_add(&text, "[");
        for (size_t i = 0; i < feed->schema.count; i++) {
            text_add(&text, i ? "|" : "");
            if (feed->cells[i].bytes)
                text_add_bytes(&text, feed->cells[i].bytes, feed->cells[i].len);
            else
                text_add(&text, "~");
        }
        text_add(&text, "]");
        rows++;
    }
    assert_int_equal(feed->rows, rows);
    if (rc < 0)
        text_addf(&text, "*%s", feed->error);
    text_add(&text, "");
    return text_take(&text);
}

__attribute__((unused)) static void
expect_bytes(open_fd *opener, const char *config, const char *bytes, size_t len,
             bool skip, const char *expected)
{
    struct feed *feed = feed_of(opener, config, bytes, len);

    if (!feed) {
        assert_string_equal(error, expected);
        return;
    }
    char *got = drain(feed, skip);
    assert_string_equal(got ? got : "", expected);
    free(got);
    feed_close(&feed);
    assert_null(feed);
}

__attribute__((unused)) static char *types_of(const struct feed *feed)
{
    struct text text = {0};

    for (size_t i = 0; i < feed->schema.count; i++)
        text_addf(&text, "%s%s %s", i ? ", " : "", feed->schema.columns[i].name,
                  type_name(feed->schema.columns[i].type));
    return text_take(&text);
}

/* ---- sinks -------------------------------------------------------------- */

typedef int open_sink(const char *at, const json_t *config,
                      const struct schema *given, struct sink **ret_sink,
                      char ret_error[FILES_ERROR_MAX]);

/* "a integer, b text" */
__attribute__((unused)) static void read_schema(const char *said,
                                                struct schema *schema)
{
    char *text = strdup(said), *rest = text, *one;

    while ((one = strsep(&rest, ","))) {
        enum type type;
        one += strspn(one, " ");
        char *word = strrchr(one, ' ');
        *word++ = '\0';
        assert_true(type_find(word, &type));
        assert_non_null(schema_add(schema, one, type));
    }
    free(text);
}

__attribute__((unused)) static struct sink *
sink_of(open_sink *opener, const char *config_text, const char *columns)
{
    json_t *config = config_of(config_text);
    struct schema schema = {0};
    struct sink *sink = NULL;

    error[0] = '\0';
    read_schema(columns, &schema);
    if (opener(root, config, &schema, &sink, error) < 0) {
        assert_null(sink);
        assert_true(error[0] != '\0');
    }
    schema_clear(&schema);
    json_decref(config);
    return sink;
}

/* All rows of a statement; the answer of the last row(). */
__attribute__((unused)) static enum sink_answer pour(struct sink *sink,
                                                     const char *sql)
{
    enum sink_answer answer = SINK_OK;
    sqlite3_stmt *stmt;
    sqlite3 *db;

    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    while (answer == SINK_OK && sqlite3_step(stmt) == SQLITE_ROW)
        answer = sink->row(sink, stmt);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return answer;
}

/* Written, committed, closed. */
__attribute__((unused)) static void write_file(open_sink *opener,
                                               const char *config,
                                               const char *columns,
                                               const char *sql)
{
    struct sink *sink = sink_of(opener, config, columns);

    if (!sink)
        fail_msg("no sink: %s", error);
    if (sink->begin(sink) != SINK_OK || pour(sink, sql) != SINK_OK ||
        sink->commit(sink) != SINK_OK)
        fail_msg("not written: %s", sink->error);
    sink_close(&sink);
    assert_null(sink);
}

#endif
