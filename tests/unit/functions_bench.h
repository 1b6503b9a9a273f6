/* A SQLite database with the functions of agents/functions in it, and a host
 * that notes what it is told. */
#ifndef TESTS_FUNCTIONS_BENCH_H
#define TESTS_FUNCTIONS_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agents/functions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bench {
    struct function_host host;
    sqlite3 *db;
    bool reject; /* failures reject rows instead of ending statements */
    bool row_bad;
    unsigned failures, ticks;
    uint32_t site, node;
    int tick_count;
    int64_t tick_sum;
    char message[512];
};

static inline bool failed(void *context, uint32_t site, const char *message)
{
    struct bench *b = context;

    b->failures++;
    b->site = site;
    b->row_bad = true;
    snprintf(b->message, sizeof b->message, "%s", message);
    return !b->reject;
}

static inline void tick(void *context, uint32_t node, int count,
                        sqlite3_value *const *values)
{
    struct bench *b = context;

    b->ticks++;
    b->node = node;
    b->tick_count = count;
    b->tick_sum += sqlite3_value_int64(values[0]);
}

static inline bool row_ok(void *context)
{
    struct bench *b = context;
    bool ok = !b->row_bad;

    b->row_bad = false;
    return ok;
}

static inline int set_up(void **state)
{
    struct bench *b = calloc(1, sizeof *b);

    assert_non_null(b);
    b->host = (struct function_host){b, failed, tick, row_ok};
    assert_int_equal(sqlite3_open(":memory:", &b->db), SQLITE_OK);
    assert_int_equal(functions_install(b->db, &b->host), 0);
    *state = b;
    return 0;
}

static inline int tear_down(void **state)
{
    struct bench *b = *state;

    assert_int_equal(sqlite3_close(b->db), SQLITE_OK);
    free(b);
    return 0;
}

/* The first value of the first row as text, NULL as "NULL". False: the
 * statement failed. */
static inline bool ask(struct bench *b, const char *expression, char *to,
                       size_t size)
{
    char sql[2048];
    sqlite3_stmt *stmt;

    snprintf(sql, sizeof sql, "SELECT %s", expression);
    if (sqlite3_prepare_v2(b->db, sql, -1, &stmt, NULL) != SQLITE_OK)
        fail_msg("%s: %s", expression, sqlite3_errmsg(b->db));
    int status = sqlite3_step(stmt);
    if (status == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(stmt, 0);
        snprintf(to, size, "%s", text ? text : "NULL");
    } else {
        snprintf(to, size, "%s", sqlite3_errmsg(b->db));
    }
    sqlite3_finalize(stmt);
    return status == SQLITE_ROW;
}

static inline void assert_gives(struct bench *b, const char *expression,
                                const char *expected)
{
    char got[1024];

    bool good = ask(b, expression, got, sizeof got);
    if (!good || strcmp(got, expected) != 0)
        fail_msg("%s gives %s and not %s", expression, got, expected);
}

static inline void assert_fails(struct bench *b, const char *expression,
                                const char *message)
{
    char got[1024];

    bool good = ask(b, expression, got, sizeof got);
    if (good || strcmp(got, message) != 0)
        fail_msg("%s says %s and not %s", expression, got, message);
}

struct pair {
    const char *expression, *result;
};

#define ALL_GIVE(state, cases)                                                 \
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases)[0]; i++)              \
    assert_gives(*(state), (cases)[i].expression, (cases)[i].result)
#define ALL_FAIL(state, cases)                                                 \
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases)[0]; i++)              \
    assert_fails(*(state), (cases)[i].expression, (cases)[i].result)

#endif
