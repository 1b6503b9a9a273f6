/*
 * pg_fixture.h - what tests of the PostgreSQL room share: a database of their
 * own on the server that DISPATCH_TEST_PG names (tests/postgres.py makes one),
 * emptied before each test; an administrator's connection to look into it; rows
 * of SQLite for sinks. Without that variable every test is skipped.
 */
#ifndef TESTS_UNIT_PG_FIXTURE_H
#define TESTS_UNIT_PG_FIXTURE_H

#include "agents/pg.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#if __has_include(<libpq-fe.h>)
#include <libpq-fe.h>
#else
#include <postgresql/libpq-fe.h>
#endif

#include <cmocka.h>

struct place {
    char dsn[512], database[32];
    PGconn *server; /* of the database we were given */
    PGconn *admin;  /* of ours */
    sqlite3 *lite;
    struct connection connection;
    char error[PG_ERROR_MAX];
};

static struct place place;
static const struct pg_limits limits = {
    .statement_timeout_ms = 60000,
    .lock_timeout_ms = 20000,
    .connect_timeout_s = 10,
};

static inline PGresult *query_on(PGconn *conn, const char *sql)
{
    PGresult *res = PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(res);

    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(conn));
    return res;
}

static inline void run(const char *sql)
{
    PQclear(query_on(place.admin, sql));
}

/* The first value of the answer; good until the next call. */
static inline const char *ask(const char *sql)
{
    static char value[4096];
    PGresult *res = query_on(place.admin, sql);

    (void)snprintf(value, sizeof value, "%s",
                   PQntuples(res) == 0      ? "no rows"
                   : PQgetisnull(res, 0, 0) ? "NULL"
                                            : PQgetvalue(res, 0, 0));
    PQclear(res);
    return value;
}

static inline bool says(const char *error, const char *part)
{
    if (!strstr(error, part))
        print_message("\"%s\" is not in: %s\n", part, error);
    return strstr(error, part) != NULL;
}

static inline int open_place(void **state)
{
    const char *dsn = getenv("DISPATCH_TEST_PG");
    char sql[100];

    (void)state;
    if (!dsn)
        return 0;
    place.server = PQconnectdb(dsn);
    if (PQstatus(place.server) != CONNECTION_OK)
        fail_msg("%s", PQerrorMessage(place.server));
    (void)snprintf(place.database, sizeof place.database, "unit_%ld",
                   (long)getpid());
    (void)snprintf(sql, sizeof sql, "CREATE DATABASE %s TEMPLATE template0",
                   place.database);
    PQclear(query_on(place.server, sql));
    (void)snprintf(place.dsn, sizeof place.dsn, "%s dbname=%s", dsn,
                   place.database);
    place.admin = PQconnectdb(place.dsn);
    assert_int_equal(PQstatus(place.admin), CONNECTION_OK);
    run("SET client_min_messages = error; SET TimeZone = 'UTC'");
    assert_int_equal(sqlite3_open(":memory:", &place.lite), SQLITE_OK);
    place.connection =
        (struct connection){.name = strdup("shop"), .dsn = place.dsn};
    return 0;
}

static inline int close_place(void **state)
{
    char sql[100];

    (void)state;
    if (!place.server)
        return 0;
    sqlite3_close(place.lite);
    free(place.connection.name);
    PQfinish(place.admin);
    (void)snprintf(sql, sizeof sql, "DROP DATABASE %s WITH (FORCE)",
                   place.database);
    PQclear(query_on(place.server, sql));
    PQfinish(place.server);
    return 0;
}

static inline int empty_place(void **state)
{
    (void)state;
    if (place.admin)
        run("DROP SCHEMA IF EXISTS other CASCADE; DROP SCHEMA public CASCADE; "
            "CREATE SCHEMA public");
    return 0;
}

#define NEEDS_SERVER()                                                         \
    do {                                                                       \
        if (!place.server)                                                     \
            skip();                                                            \
    } while (0)

static inline struct pg *open_pg(void)
{
    struct pg *pg = NULL;

    if (pg_open(&place.connection, &limits, "run node", &pg, place.error) != 0)
        fail_msg("%s", place.error);
    return pg;
}

/* No session of ours is in a transaction: for the end of a test. */
static inline void nothing_is_open(void)
{
    assert_string_equal(ask("SELECT count(*) FROM pg_stat_activity WHERE "
                            "application_name LIKE 'dispatch%' AND datname = "
                            "current_database() AND state <> 'idle'"),
                        "0");
}

/* ---- loads
 * -------------------------------------------------------------------- */

/* A load of the columns in a word each: "id integer name text". */
struct loading {
    struct schema given;
    struct load load;
};

static inline void columns_of(struct schema *schema, const char *words)
{
    char name[100], type[100];
    int used;

    while (sscanf(words, "%99s %99s%n", name, type, &used) == 2) {
        enum type found;
        assert_true(type_find(type, &found));
        assert_non_null(schema_add(schema, name, found));
        words += used;
    }
}

static inline void loading_init(struct loading *loading, const char *table,
                                enum load_mode mode, const char *columns)
{
    *loading = (struct loading){.load = {.table = table,
                                         .mode = mode,
                                         .run_id = "run-1",
                                         .node = "load",
                                         .attempt = 1}};
    columns_of(&loading->given, columns);
    loading->load.given = &loading->given;
}

static inline void loading_key(struct loading *loading, const char *key)
{
    static const char *names[1];

    names[0] = key;
    loading->load.key = names;
    loading->load.key_count = 1;
}

static inline struct sink *open_sink(const struct loading *loading)
{
    struct sink *sink = NULL;

    if (pg_sink(&place.connection, &limits, &loading->load, &sink,
                place.error) != 0)
        fail_msg("%s", place.error);
    return sink;
}

/* A load that pg_sink() itself refuses. Clears it. */
static inline void refused(struct loading *loading, const char *because)
{
    struct sink *sink = NULL;

    assert_int_equal(
        pg_sink(&place.connection, &limits, &loading->load, &sink, place.error),
        -EINVAL);
    assert_null(sink);
    assert_true(says(place.error, because));
    schema_clear(&loading->given);
}

/* Gives the sink the rows of a query to SQLite, as long as it takes them. */
static inline enum sink_answer give(struct sink *sink, const char *sql)
{
    enum sink_answer answer = SINK_OK;
    sqlite3_stmt *stmt = NULL;

    if (sqlite3_prepare_v2(place.lite, sql, -1, &stmt, NULL) != SQLITE_OK)
        fail_msg("%s", sqlite3_errmsg(place.lite));
    assert_int_equal(sqlite3_column_count(stmt), sink->schema.count);
    while (answer == SINK_OK && sqlite3_step(stmt) == SQLITE_ROW)
        answer = sink->row(sink, stmt);
    sqlite3_finalize(stmt);
    return answer;
}

/* All of it; the last answer. */
static inline enum sink_answer load_rows(struct loading *loading,
                                         const char *sql, struct sink *ret)
{
    struct sink *sink = open_sink(loading);
    enum sink_answer answer = sink->begin(sink);

    if (answer == SINK_OK)
        answer = give(sink, sql);
    if (answer == SINK_OK)
        answer = sink->commit(sink);
    (void)snprintf(place.error, sizeof place.error, "%s", sink->error);
    if (ret) {
        *ret = *sink;
        ret->schema = (struct schema){0};
    }
    sink_close(&sink);
    return answer;
}

#endif
