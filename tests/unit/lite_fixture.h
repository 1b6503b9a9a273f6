/*
 * lite_fixture.h - a SQLite file in a temporary directory of its own, how to
 * look into it past our code, how to read it and to load into it. No message
 * may have the directory's name in it.
 */
#ifndef TESTS_UNIT_LITE_FIXTURE_H
#define TESTS_UNIT_LITE_FIXTURE_H

#include "agents/lite.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { LOCK_MS = 40, STATEMENT_MS = 20000, TEXT_MAX = 4096 };

static char directory[64], path[96];
static struct connection shop;

/* ---- raw access to the file ---------------------------------------------- */

static inline void file_sql(const char *sql)
{
    char *why = NULL;
    sqlite3 *db;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", sql, why);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static inline void add_row(sqlite3_stmt *stmt, char *to)
{
    size_t len = strlen(to);

    for (int i = 0; i < sqlite3_column_count(stmt); i++) {
        const unsigned char *text = sqlite3_column_text(stmt, i);

        len += (size_t)snprintf(to + len, TEXT_MAX - len, "%s%s", i ? "|" : "",
                                text ? (const char *)text : "-");
    }
    snprintf(to + len, TEXT_MAX - len, "\n");
}

/* What a query on the file gives, by SQLite alone. */
static inline const char *file_ask(const char *sql)
{
    static char answer[TEXT_MAX];
    sqlite3_stmt *stmt;
    sqlite3 *db;

    answer[0] = '\0';
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL),
                     SQLITE_OK);
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK) {
        snprintf(answer, sizeof answer, "%s", sqlite3_errmsg(db));
    } else {
        while (sqlite3_step(stmt) == SQLITE_ROW)
            add_row(stmt, answer);
        sqlite3_finalize(stmt);
    }
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return answer;
}

static inline void assert_says(const char *error, const char *part)
{
    if (!strstr(error, part))
        fail_msg("\"%s\" does not say \"%s\"", error, part);
    if (strstr(error, directory))
        fail_msg("\"%s\" shows the path", error);
}

/* ---- reading ------------------------------------------------------------- */

static inline struct lite *open_lite(void)
{
    char error[LITE_ERROR_MAX] = "";
    struct lite *lite;

    if (lite_open(&shop, LOCK_MS, STATEMENT_MS, &lite, error) < 0)
        fail_msg("%s", error);
    return lite;
}

static inline void add_cells(const struct feed *feed, char *to)
{
    size_t len = strlen(to);

    for (size_t i = 0; i < feed->schema.count; i++)
        len +=
            (size_t)snprintf(to + len, TEXT_MAX - len, "%s%.*s", i ? "|" : "",
                             feed->cells[i].bytes ? (int)feed->cells[i].len : 1,
                             feed->cells[i].bytes ? feed->cells[i].bytes : "-");
    snprintf(to + len, TEXT_MAX - len, "\n");
}

static char rejects[TEXT_MAX];
static inline void on_reject(void *context, const char *message)
{
    size_t len = strlen(rejects);

    (void)context;
    snprintf(rejects + len, sizeof rejects - len, "%s\n", message);
}

/* The rows of a query, described and then read; or the error. */
static inline const char *read_with(struct lite *lite, const char *sql,
                                    bool skip)
{
    static char answer[TEXT_MAX];
    struct schema schema;
    struct feed *feed;
    int rc;

    answer[0] = rejects[0] = '\0';
    if (lite_describe(lite, sql, true, &schema) < 0)
        return lite_error(lite);
    assert_int_equal(lite_feed(lite, sql, &schema, &feed), 0);
    schema_clear(&schema);
    feed->skip = skip;
    feed->reject = on_reject;
    while ((rc = feed->next(feed)) == 1)
        add_cells(feed, answer);
    if (rc < 0)
        snprintf(answer, sizeof answer, "%s", feed->error);
    feed_close(&feed);
    return answer;
}

static inline const char *read_rows(const char *sql)
{
    struct lite *lite = open_lite();
    static char answer[TEXT_MAX];

    snprintf(answer, sizeof answer, "%s", read_with(lite, sql, false));
    lite_close(&lite);
    return answer;
}

static inline const char *read_skipping(const char *sql)
{
    struct lite *lite = open_lite();
    static char answer[TEXT_MAX];

    snprintf(answer, sizeof answer, "%s", read_with(lite, sql, true));
    lite_close(&lite);
    return answer;
}

/* "name type, name type" of a query. */
static inline const char *types_of(const char *sql)
{
    static char answer[TEXT_MAX];
    struct lite *lite = open_lite();
    struct schema schema;
    size_t len = 0;

    answer[0] = '\0';
    if (lite_describe(lite, sql, true, &schema) < 0) {
        snprintf(answer, sizeof answer, "%s", lite_error(lite));
    } else {
        for (size_t i = 0; i < schema.count; i++)
            len += (size_t)snprintf(
                answer + len, sizeof answer - len, "%s%s %s", i ? ", " : "",
                schema.columns[i].name, type_name(schema.columns[i].type));
        schema_clear(&schema);
    }
    lite_close(&lite);
    return answer;
}

/* ---- writing ------------------------------------------------------------- */

/* A load of table t as columns say: "id integer, name text". */
struct loading {
    struct load load;
    struct schema given;
    struct sink *sink;
    char error[SINK_ERROR_MAX];
    sqlite3 *source;
};

static inline void loading_begin(struct loading *loading, const char *columns)
{
    char words[300], *save, *word;

    *loading = (struct loading){
        .load = {.table = "t", .run_id = "r1", .node = "n1", .attempt = 1}};
    snprintf(words, sizeof words, "%s", columns);
    for (word = strtok_r(words, ", ", &save); word;
         word = strtok_r(NULL, ", ", &save)) {
        enum type type;

        assert_true(type_find(strtok_r(NULL, ", ", &save), &type));
        assert_non_null(schema_add(&loading->given, word, type));
    }
    loading->load.given = &loading->given;
    assert_int_equal(sqlite3_open(":memory:", &loading->source), SQLITE_OK);
}

static inline void loading_end(struct loading *loading)
{
    sink_close(&loading->sink);
    schema_clear(&loading->given);
    assert_int_equal(sqlite3_close(loading->source), SQLITE_OK);
}

static inline enum sink_answer loading_open(struct loading *loading)
{
    enum sink_answer answer;

    if (lite_sink(&shop, LOCK_MS, &loading->load, &loading->sink,
                  loading->error) < 0)
        return SINK_FAILED;
    answer = loading->sink->begin(loading->sink);
    snprintf(loading->error, sizeof loading->error, "%s", loading->sink->error);
    return answer;
}

static inline enum sink_answer loading_rows(struct loading *loading,
                                            const char *query)
{
    enum sink_answer answer = SINK_OK;
    sqlite3_stmt *stmt;

    if (sqlite3_prepare_v2(loading->source, query, -1, &stmt, NULL) !=
        SQLITE_OK)
        fail_msg("%s: %s", query, sqlite3_errmsg(loading->source));
    while (answer != SINK_FAILED && sqlite3_step(stmt) == SQLITE_ROW) {
        answer = loading->sink->row(loading->sink, stmt);
        if (answer != SINK_OK)
            snprintf(loading->error, sizeof loading->error, "%s",
                     loading->sink->error);
    }
    sqlite3_finalize(stmt);
    return answer == SINK_FAILED ? answer : SINK_OK;
}

/* The whole load; what it says when it fails, or "" */
static inline enum sink_answer load_rows(struct loading *loading,
                                         const char *query)
{
    enum sink_answer answer = loading_open(loading);

    if (answer == SINK_OK)
        answer = loading_rows(loading, query);
    if (answer == SINK_OK) {
        answer = loading->sink->commit(loading->sink);
        if (answer == SINK_FAILED)
            snprintf(loading->error, sizeof loading->error, "%s",
                     loading->sink->error);
    }
    return answer;
}

static inline void assert_loads(struct loading *loading, const char *query)
{
    if (load_rows(loading, query) != SINK_OK)
        fail_msg("%s", loading->error);
}

/* ---- fixture ------------------------------------------------------------- */

static inline int set_up(void **state)
{
    static char name[] = "shop";
    const char *tmp = getenv("TMPDIR");

    (void)state;
    snprintf(directory, sizeof directory, "%s/test_lite_XXXXXX",
             tmp && strlen(tmp) < 40 ? tmp : "/tmp");
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/shop.db", directory);
    shop =
        (struct connection){.name = name, .engine = ENGINE_SQLITE, .dsn = path};
    return 0;
}

static inline int tear_down(void **state)
{
    static const char *const SUFFIXES[] = {"", "-wal", "-shm", "-journal"};
    char name[128];

    (void)state;
    for (size_t i = 0; i < sizeof SUFFIXES / sizeof SUFFIXES[0]; i++) {
        snprintf(name, sizeof name, "%s%s", path, SUFFIXES[i]);
        unlink(name);
    }
    assert_int_equal(rmdir(directory), 0); /* nothing else was left */
    return 0;
}

#define WITH_FILE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

#endif
