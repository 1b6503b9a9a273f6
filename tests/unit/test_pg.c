/* Covers agents/pg.c, pg_describe.c and pg_feed.c on a real server: sessions,
 * errors, cancelling, columns of queries and tables, rows, estimates. */
#include "tests/unit/pg_fixture.h"

/* ---- sessions
 * ---------------------------------------------------------------- */

static void a_session_is_set_up_as_the_header_says(void **state)
{
    NEEDS_SERVER();
    struct pg *pg = open_pg();
    struct schema schema = {0};
    struct feed *feed = NULL;

    (void)state;
    const char *sql =
        "SELECT current_setting('TimeZone') || current_setting('DateStyle') || "
        "current_setting('client_encoding') || "
        "current_setting('statement_timeout') || "
        "current_setting('lock_timeout') || "
        "current_setting('application_name') AS s";
    assert_int_equal(pg_describe(pg, sql, true, &schema), 0);
    assert_int_equal(pg_begin_read(pg), 0);
    assert_int_equal(pg_feed(pg, sql, &schema, &feed), 0);
    assert_int_equal(feed->next(feed), 1);
    static const char as[] = "UTCISO, MDYUTF81min20sdispatch run node";
    assert_int_equal(feed->cells[0].len, strlen(as));
    assert_memory_equal(feed->cells[0].bytes, as, strlen(as));
    assert_int_equal(feed->next(feed), 0);
    feed_close(&feed);
    schema_clear(&schema);
    assert_int_equal(pg_end_read(pg), 0);
    pg_close(&pg);
}

static int open_with(const char *dsn)
{
    char name[] = "shop", copy[600];
    struct connection connection = {.name = name, .dsn = copy};
    struct pg *pg = NULL;

    (void)snprintf(copy, sizeof copy, "%s", dsn);
    int r = pg_open(&connection, &limits, "run node", &pg, place.error);
    if (r)
        assert_null(pg);
    pg_close(&pg);
    return r;
}

static void a_server_that_is_not_there_is_named_by_its_connection(void **state)
{
    NEEDS_SERVER();
    (void)state;
    assert_int_equal(open_with("host=127.0.0.1 port=1 password=hush77"),
                     -ECONNREFUSED);
    assert_true(says(place.error, "connection shop"));
    assert_true(says(place.error, "Connection refused"));
    assert_null(strstr(place.error, "127.0.0.1"));
    assert_null(strstr(place.error, "hush77"));
}

static void a_dsn_that_cannot_be_read_is_not_quoted(void **state)
{
    NEEDS_SERVER();
    (void)state;
    assert_int_equal(open_with("host=h password hush77"), -ECONNREFUSED);
    assert_null(strstr(place.error, "hush77"));
    assert_int_equal(open_with("host=h hush77=x"), -ECONNREFUSED);
    assert_null(strstr(place.error, "hush77"));
    assert_int_equal(open_with("host=127.0.0.1 port=hush77"), -ECONNREFUSED);
    assert_null(strstr(place.error, "hush77"));
}

static void a_database_that_is_not_there_is_said(void **state)
{
    char dsn[600];

    NEEDS_SERVER();
    (void)state;
    (void)snprintf(dsn, sizeof dsn, "%s dbname=nowhere", place.dsn);
    assert_int_equal(open_with(dsn), -ECONNREFUSED);
    assert_true(says(place.error, "database \"nowhere\" does not exist"));
}

static void a_password_that_cannot_be_read_is_an_error(void **state)
{
    char name[] = "shop", variable[] = "DISPATCH_NO_SUCH_VARIABLE";
    struct pg *pg = NULL;

    NEEDS_SERVER();
    (void)state;
    struct connection connection = {
        .name = name, .dsn = place.dsn, .password_env = variable};
    assert_true(pg_open(&connection, &limits, "run node", &pg, place.error) <
                0);
    assert_null(pg);
    assert_true(says(place.error, "DISPATCH_NO_SUCH_VARIABLE"));
}

static void sigterm_cancels_the_statement_under_way(void **state)
{
    NEEDS_SERVER();
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        struct pg *pg = NULL;
        int64_t rows;
        uint64_t count;
        bool done;
        struct load fence = {.run_id = "r", .node = "n", .attempt = 1};
        (void)signal(SIGTERM, SIG_DFL);
        if (pg_open(&place.connection, &limits, "term", &pg, place.error))
            _exit(1);
        (void)pg_execute(pg, &fence, "SELECT pg_sleep(60)", &done, &count);
        (void)pg_estimate(pg, "SELECT 1", &rows, &rows);
        _exit(2);
    }
    static const char sleeping[] =
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE "
        "'SELECT pg_sleep%' AND state = 'active' AND datname = "
        "current_database()";
    for (int i = 0; i < 2000 && strcmp(ask(sleeping), "1") != 0; i++)
        usleep(5000);
    assert_string_equal(ask(sleeping), "1");
    int status = 0;
    assert_int_equal(kill(child, SIGTERM), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 128 + SIGTERM);
    for (int i = 0; i < 2000 && strcmp(ask(sleeping), "0") != 0; i++)
        usleep(5000);
    assert_string_equal(ask(sleeping), "0");
}

/* ---- columns
 * ----------------------------------------------------------------- */

static void types_become_ours_with_their_limits(void **state)
{
    static const struct {
        const char *native;
        enum type type;
        int bits, precision, scale, length;
    } want[] = {
        {"smallint", TYPE_INTEGER, 16, -1, -1, 0},
        {"integer", TYPE_INTEGER, 32, -1, -1, 0},
        {"bigint", TYPE_INTEGER, 0, -1, -1, 0},
        {"numeric", TYPE_DECIMAL, 0, -1, -1, 0},
        {"numeric(10,2)", TYPE_DECIMAL, 0, 10, 2, 0},
        {"numeric(3,-2)", TYPE_DECIMAL, 0, -1, -1, 0},
        {"real", TYPE_DOUBLE, 0, -1, -1, 0},
        {"double precision", TYPE_DOUBLE, 0, -1, -1, 0},
        {"boolean", TYPE_BOOLEAN, 0, -1, -1, 0},
        {"text", TYPE_TEXT, 0, -1, -1, 0},
        {"character varying(7)", TYPE_TEXT, 0, -1, -1, 7},
        {"character(3)", TYPE_TEXT, 0, -1, -1, 3},
        {"date", TYPE_DATE, 0, -1, -1, 0},
        {"timestamp without time zone", TYPE_TIMESTAMP, 0, -1, -1, 0},
        {"timestamp(3) with time zone", TYPE_TIMESTAMPTZ, 0, -1, -1, 0},
        {"bytea", TYPE_BYTES, 0, -1, -1, 0},
        {"uuid", TYPE_TEXT, 0, -1, -1, 0},
        {"jsonb", TYPE_TEXT, 0, -1, -1, 0},
        {"integer[]", TYPE_TEXT, 0, -1, -1, 0},
        {"interval", TYPE_TEXT, 0, -1, -1, 0},
    };
    enum { COUNT = sizeof want / sizeof want[0] };
    char sql[2000] = "SELECT ";
    struct schema schema = {0};

    NEEDS_SERVER();
    (void)state;
    struct pg *pg = open_pg();
    for (size_t i = 0; i < COUNT; i++)
        (void)snprintf(sql + strlen(sql), sizeof sql - strlen(sql),
                       "%sNULL::%s AS c%zu", i ? ", " : "", want[i].native, i);
    assert_int_equal(pg_describe(pg, sql, true, &schema), 0);
    assert_int_equal(schema.count, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        const struct column *column = &schema.columns[i];
        assert_string_equal(column->native, want[i].native);
        assert_int_equal(column->type, want[i].type);
        assert_int_equal(column->bits, want[i].bits);
        assert_int_equal(column->precision, want[i].precision);
        assert_int_equal(column->scale, want[i].scale);
        assert_int_equal(column->length, want[i].length);
        assert_null(column->origin);
    }
    schema_clear(&schema);
    pg_close(&pg);
}

static void a_tables_columns_say_what_has_to_be_given(void **state)
{
    struct schema schema = {0};

    NEEDS_SERVER();
    (void)state;
    run("CREATE DOMAIN qty AS numeric(8,3) CHECK (VALUE >= 0); "
        "CREATE DOMAIN more AS qty NOT NULL; "
        "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY, "
        "a text NOT NULL, b text NOT NULL DEFAULT 'x', c text, gone int, "
        "q qty, m more, twice int GENERATED ALWAYS AS (3) STORED, "
        "s bigserial NOT NULL); ALTER TABLE t DROP COLUMN gone");
    struct pg *pg = open_pg();
    assert_int_equal(pg_describe_table(pg, NULL, "t", &schema), 0);
    static const char *const names[] = {"id", "a", "b", "c", "q", "m", "s"};
    static const bool musts[] = {0, 1, 0, 0, 0, 1, 0};
    assert_int_equal(schema.count, 7);
    for (size_t i = 0; i < 7; i++) {
        assert_string_equal(schema.columns[i].name, names[i]);
        assert_int_equal(schema.columns[i].not_null, musts[i]);
    }
    assert_int_equal(schema.columns[4].type, TYPE_DECIMAL);
    assert_int_equal(schema.columns[4].scale, 3);
    assert_int_equal(schema.columns[5].precision, 8);
    assert_string_equal(schema.columns[5].native, "more");
    schema_clear(&schema);
    pg_close(&pg);
}

static void a_missing_table_is_said_with_its_schema(void **state)
{
    struct schema schema = {0};

    NEEDS_SERVER();
    (void)state;
    run("CREATE TABLE \"Orders\" (a int)");
    struct pg *pg = open_pg();
    assert_int_equal(pg_describe_table(pg, NULL, "nothing", &schema), -ENOENT);
    assert_true(says(pg_error(pg),
                     "there is no table \"nothing\" in schema \"public\""));
    assert_int_equal(pg_describe_table(pg, "public", "orders", &schema),
                     -ENOENT);
    assert_true(says(pg_error(pg), "its name is written \"Orders\""));
    assert_int_equal(pg_describe_table(pg, "attic", "t", &schema), -ENOENT);
    assert_true(says(pg_error(pg), "there is no schema \"attic\""));
    pg_close(&pg);
}

static void names_that_look_like_sql_are_names(void **state)
{
    struct schema schema = {0};

    NEEDS_SERVER();
    (void)state;
    run("CREATE TABLE \"t\"\"; DROP TABLE x; --\" (\"a\"\"b'c, line 1\" int)");
    struct pg *pg = open_pg();
    assert_int_equal(
        pg_describe_table(pg, "public", "t\"; DROP TABLE x; --", &schema), 0);
    assert_string_equal(schema.columns[0].name, "a\"b'c, line 1");
    schema_clear(&schema);
    pg_close(&pg);
}

/* A document's own SQL: refused, and then the session still works. */
static void refuses(const char *sql, const char *because)
{
    struct schema schema = {0};
    struct pg *pg = open_pg();

    assert_int_equal(pg_begin_read(pg), 0);
    int r = pg_describe(pg, sql, true, &schema);
    if (r != -EINVAL)
        fail_msg("%s: %d", sql, r);
    assert_true(says(pg_error(pg), because));
    assert_int_equal(pg_describe(pg, "SELECT 1 AS a", true, &schema), 0);
    schema_clear(&schema);
    pg_close(&pg);
}

static void own_sql_has_to_be_one_statement_that_reads(void **state)
{
    NEEDS_SERVER();
    (void)state;
    run("CREATE TABLE t (a int)");
    refuses("SELECT 1 AS a; SELECT 2 AS a", "multiple commands");
    refuses("SELECT 1 AS a) q; DROP TABLE t; --", "syntax error");
    refuses("INSERT INTO t VALUES (1)", "returns no rows");
    refuses("INSERT INTO t VALUES (1) RETURNING a", "only reads");
    refuses("WITH w AS (DELETE FROM t RETURNING a) SELECT * FROM w",
            "only reads");
    refuses("SELECT 1 AS a INTO u", "returns no rows");
    refuses("DROP TABLE t", "returns no rows");
    refuses("EXPLAIN SELECT 1", "only reads");
    refuses("SHOW TimeZone", "only reads");
    refuses("SELECT $1::int AS a", "parameter");
    refuses("", "returns no rows");
    refuses(";", "returns no rows");
    refuses("SELECT a, a FROM t", "both called \"a\"");
    refuses("SELECT nope FROM t", "column \"nope\" does not exist");
    refuses("SELECT a FROM nope", "relation \"nope\" does not exist");
    refuses("SELECT /* ", "unterminated");
}

static void own_sql_may_end_in_a_comment(void **state)
{
    struct schema schema = {0};
    struct feed *feed = NULL;

    NEEDS_SERVER();
    (void)state;
    struct pg *pg = open_pg();
    const char *sql =
        "WITH w AS (VALUES (1), (2)) SELECT * FROM w AS w(a) -- )";
    assert_int_equal(pg_describe(pg, sql, true, &schema), 0);
    assert_int_equal(pg_begin_read(pg), 0);
    assert_int_equal(pg_feed(pg, sql, &schema, &feed), 0);
    assert_int_equal(feed->next(feed), 1);
    assert_int_equal(feed->next(feed), 1);
    assert_int_equal(feed->next(feed), 0);
    assert_int_equal(feed->rows, 2);
    feed_close(&feed);
    schema_clear(&schema);
    pg_close(&pg);
}

/* ---- rows
 * -------------------------------------------------------------------- */

struct reading {
    struct pg *pg;
    struct schema schema;
    struct feed *feed;
};

static struct reading read_rows(const char *sql)
{
    struct reading reading = {.pg = open_pg()};

    if (pg_describe(reading.pg, sql, true, &reading.schema) != 0 ||
        pg_begin_read(reading.pg) != 0 ||
        pg_feed(reading.pg, sql, &reading.schema, &reading.feed) != 0)
        fail_msg("%s", pg_error(reading.pg));
    return reading;
}

static void read_end(struct reading *reading)
{
    feed_close(&reading->feed);
    schema_clear(&reading->schema);
    pg_close(&reading->pg);
}

static void cell_is(const struct reading *reading, size_t cell,
                    const char *bytes, size_t len)
{
    assert_non_null(reading->feed->cells[cell].bytes);
    assert_int_equal(reading->feed->cells[cell].len, len);
    assert_memory_equal(reading->feed->cells[cell].bytes, bytes, len);
}

static void cells_come_in_the_forms_of_the_contract(void **state)
{
    static const struct {
        const char *sql, *want;
        size_t len;
    } cells[] = {
        {"NULL::text", NULL, 0},
        {"''::text", "", 0},
        {"E'a\\tb\\nc\\\\d\\re\\b\\f\\x0b'", "a\tb\nc\\d\re\b\f\v", 12},
        {"E'\\\\N'", "\\N", 2},
        {"'N'", "N", 1},
        {"E'\\\\.'", "\\.", 2},
        {"'h\u00e9\u00df\U0001F600'", "h\u00e9\u00df\U0001F600", 9},
        {"9223372036854775807::bigint", "9223372036854775807", 19},
        {"(-9223372036854775808)::bigint", "-9223372036854775808", 20},
        {"true", "t", 1},
        {"false", "f", 1},
        {"12.50::numeric", "12.50", 5},
        {"0.1::float8", "0.1", 3},
        {"1e300::float8", "1e+300", 6},
        {"'\\x00ff5c090a'::bytea", "\x00\xff\\\t\n", 5},
        {"'\\x'::bytea", "", 0},
        {"'2024-02-29'::date", "2024-02-29", 10},
        {"'2024-02-29 12:00:00.500'::timestamp", "2024-02-29 12:00:00.5", 21},
        {"'2024-02-29 12:00+02'::timestamptz", "2024-02-29 10:00:00+00", 22},
        {"'9999-12-31 23:59:59.999999'::timestamp",
         "9999-12-31 23:59:59.999999", 26},
        {"'0001-01-01'::date", "0001-01-01", 10},
        {"'ab'::char(5)", "ab", 2},
        {"'ab  '::varchar(5)", "ab  ", 4},
        {"'{1,2}'::int[]", "{1,2}", 5},
        {"'1 day'::interval", "1 day", 5},
    };
    enum { COUNT = sizeof cells / sizeof cells[0] };
    char sql[4000] = "SELECT ";

    NEEDS_SERVER();
    (void)state;
    for (size_t i = 0; i < COUNT; i++)
        (void)snprintf(sql + strlen(sql), sizeof sql - strlen(sql),
                       "%s%s AS c%zu", i ? ", " : "", cells[i].sql, i);
    struct reading reading = read_rows(sql);
    assert_int_equal(reading.feed->next(reading.feed), 1);
    for (size_t i = 0; i < COUNT; i++) {
        if (cells[i].want)
            cell_is(&reading, i, cells[i].want, cells[i].len);
        else
            assert_null(reading.feed->cells[i].bytes);
    }
    assert_int_equal(reading.feed->next(reading.feed), 0);
    assert_int_equal(reading.feed->next(reading.feed), 0);
    read_end(&reading);
}

static void values_without_a_place_are_errors_by_row_and_column(void **state)
{
    static const char *const values[] = {
        "'NaN'::numeric",
        "'Infinity'::numeric",
        "'-Infinity'::float8",
        "'NaN'::float8",
        "'0044-03-15 BC'::date",
        "'10000-01-01'::date",
        "'infinity'::date",
        "'-infinity'::timestamp",
        "'10000-01-01'::timestamptz",
        "'0044-03-15 12:00:00.5 BC'::timestamp",
        "'0044-03-15 12:00 BC'::timestamptz",
        "repeat('9', 1001)::numeric",
    };
    char sql[400];

    NEEDS_SERVER();
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        (void)snprintf(sql, sizeof sql,
                       "SELECT n, CASE n WHEN 2 THEN %s END AS \"col x\" "
                       "FROM generate_series(1, 3) n",
                       values[i]);
        struct reading reading = read_rows(sql);
        assert_int_equal(reading.feed->next(reading.feed), 1);
        if (reading.feed->next(reading.feed) != -1)
            fail_msg("%s is taken", values[i]);
        assert_true(says(reading.feed->error, "row 2, column col x: "));
        read_end(&reading);
    }
}

static unsigned told;

static void hear(void *context, const char *message)
{
    assert_ptr_equal(context, &told);
    told++;
    assert_true(says(message, "row "));
}

static void skipped_rows_are_told_and_counted(void **state)
{
    NEEDS_SERVER();
    (void)state;
    struct reading reading = read_rows(
        "SELECT CASE WHEN n % 3 = 0 THEN 'NaN' ELSE n::numeric END AS a "
        "FROM generate_series(1, 10) n");
    told = 0;
    reading.feed->skip = true;
    reading.feed->reject = hear;
    reading.feed->context = &told;
    while (reading.feed->next(reading.feed) == 1)
        ;
    assert_int_equal(reading.feed->rows, 7);
    assert_int_equal(reading.feed->rejected, 3);
    assert_int_equal(told, 3);
    read_end(&reading);
}

static void a_failure_of_the_query_is_the_feeds(void **state)
{
    NEEDS_SERVER();
    (void)state;
    struct reading reading =
        read_rows("SELECT 1 / (5 - n) AS a FROM generate_series(1, 9) n");
    reading.feed->skip = true; /* which is about values, not about this */
    int r;
    while ((r = reading.feed->next(reading.feed)) == 1)
        ;
    assert_int_equal(r, -1);
    assert_true(says(reading.feed->error, "division by zero"));
    assert_int_equal(reading.feed->next(reading.feed), -1);
    read_end(&reading);
}

static void a_feed_closed_early_leaves_the_session_usable(void **state)
{
    struct feed *feed = NULL;

    NEEDS_SERVER();
    (void)state;
    struct reading reading =
        read_rows("SELECT generate_series(1, 100000000) AS a");
    assert_int_equal(reading.feed->next(reading.feed), 1);
    feed_close(&reading.feed);
    assert_int_equal(
        pg_feed(reading.pg, "SELECT 7 AS a", &reading.schema, &feed), 0);
    reading.feed = feed;
    assert_int_equal(feed->next(feed), 1);
    cell_is(&reading, 0, "7", 1);
    read_end(&reading);
}

static void readers_of_a_session_see_one_moment(void **state)
{
    struct feed *feed = NULL;

    NEEDS_SERVER();
    (void)state;
    run("CREATE TABLE t (a int); INSERT INTO t VALUES (1)");
    struct reading reading = read_rows("SELECT a FROM t");
    assert_int_equal(reading.feed->next(reading.feed), 1);
    feed_close(&reading.feed);
    run("INSERT INTO t VALUES (2)");
    assert_int_equal(
        pg_feed(reading.pg, "SELECT a FROM t", &reading.schema, &feed), 0);
    reading.feed = feed;
    assert_int_equal(feed->next(feed), 1);
    assert_int_equal(feed->next(feed), 0);
    read_end(&reading);
}

static void a_reader_cannot_write(void **state)
{
    NEEDS_SERVER();
    (void)state;
    run("CREATE TABLE t (a int); CREATE FUNCTION f() RETURNS int LANGUAGE sql "
        "AS 'INSERT INTO t VALUES (1) RETURNING a'");
    struct reading reading = read_rows("SELECT f() AS a");
    assert_int_equal(reading.feed->next(reading.feed), -1);
    assert_true(says(reading.feed->error, "read-only transaction"));
    read_end(&reading);
    assert_string_equal(ask("SELECT count(*) FROM t"), "0");
}

static void a_statement_has_so_much_time(void **state)
{
    const struct pg_limits hasty = {.statement_timeout_ms = 50};
    struct schema schema = {0};
    struct feed *feed = NULL;
    struct pg *pg = NULL;

    NEEDS_SERVER();
    (void)state;
    assert_int_equal(
        pg_open(&place.connection, &hasty, "run node", &pg, place.error), 0);
    const char *sql = "SELECT 1 AS a FROM (SELECT pg_sleep(20)) q";
    assert_int_equal(pg_describe(pg, sql, true, &schema), 0);
    assert_int_equal(pg_begin_read(pg), 0);
    int r = pg_feed(pg, sql, &schema, &feed);
    if (r == 0)
        r = feed->next(feed);
    assert_true(r < 0);
    assert_true(says(pg_error(pg), "statement timeout (50 ms)"));
    feed_close(&feed);
    schema_clear(&schema);
    pg_close(&pg);
}

static void a_connection_that_is_cut_is_said(void **state)
{
    struct schema schema = {0};

    NEEDS_SERVER();
    (void)state;
    struct reading reading = read_rows(
        "SELECT repeat('x', 1000) AS a FROM generate_series(1, 1000000)");
    assert_int_equal(reading.feed->next(reading.feed), 1);
    assert_string_equal(
        ask("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE application_name = 'dispatch run node' AND datname = "
            "current_database()"),
        "1");
    int r;
    while ((r = reading.feed->next(reading.feed)) == 1)
        ;
    assert_int_equal(r, -1);
    assert_true(says(reading.feed->error, "the connection was lost"));
    assert_int_equal(pg_describe(reading.pg, "SELECT 1 AS a", true, &schema),
                     -ECONNREFUSED);
    read_end(&reading);
}

/* ---- estimates
 * --------------------------------------------------------------- */

static void the_planner_estimates_rows_and_bytes(void **state)
{
    int64_t rows = 0, bytes = 0;

    NEEDS_SERVER();
    (void)state;
    run("CREATE TABLE t AS SELECT n AS a, n AS b FROM generate_series(1, 5000) "
        "n; ANALYZE t");
    struct pg *pg = open_pg();
    assert_int_equal(pg_estimate(pg, "SELECT * FROM t", &rows, &bytes), 0);
    assert_int_equal(rows, 5000);
    assert_int_equal(bytes, 5000 * 8);
    assert_int_equal(
        pg_estimate(pg, "SELECT * FROM t WHERE a = 1", &rows, &bytes), 0);
    assert_int_equal(rows, 1);
    pg_close(&pg);
}

static void an_estimate_that_fails_is_unknown_and_harms_nothing(void **state)
{
    struct schema schema = {0};
    int64_t rows = 0, bytes = 0;

    NEEDS_SERVER();
    (void)state;
    run("CREATE TABLE t (a int)");
    struct pg *pg = open_pg();
    assert_int_equal(pg_begin_read(pg), 0);
    assert_int_equal(pg_estimate(pg, "SELECT * FROM nope", &rows, &bytes),
                     -EINVAL);
    assert_int_equal(rows, -1);
    assert_int_equal(bytes, -1);
    assert_int_equal(
        pg_estimate(pg, "SELECT 1) q; DROP TABLE t; --", &rows, &bytes),
        -EINVAL);
    assert_int_equal(pg_describe(pg, "SELECT * FROM t", true, &schema), 0);
    schema_clear(&schema);
    assert_int_equal(pg_end_read(pg), 0);
    pg_close(&pg);
    assert_string_equal(ask("SELECT count(*) FROM t"), "0");
}

#define TEST(name) cmocka_unit_test_setup(name, empty_place)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_session_is_set_up_as_the_header_says),
        TEST(a_server_that_is_not_there_is_named_by_its_connection),
        TEST(a_dsn_that_cannot_be_read_is_not_quoted),
        TEST(a_database_that_is_not_there_is_said),
        TEST(a_password_that_cannot_be_read_is_an_error),
        TEST(sigterm_cancels_the_statement_under_way),
        TEST(types_become_ours_with_their_limits),
        TEST(a_tables_columns_say_what_has_to_be_given),
        TEST(a_missing_table_is_said_with_its_schema),
        TEST(names_that_look_like_sql_are_names),
        TEST(own_sql_has_to_be_one_statement_that_reads),
        TEST(own_sql_may_end_in_a_comment),
        TEST(cells_come_in_the_forms_of_the_contract),
        TEST(values_without_a_place_are_errors_by_row_and_column),
        TEST(skipped_rows_are_told_and_counted),
        TEST(a_failure_of_the_query_is_the_feeds),
        TEST(a_feed_closed_early_leaves_the_session_usable),
        TEST(readers_of_a_session_see_one_moment),
        TEST(a_reader_cannot_write),
        TEST(a_statement_has_so_much_time),
        TEST(a_connection_that_is_cut_is_said),
        TEST(the_planner_estimates_rows_and_bytes),
        TEST(an_estimate_that_fails_is_unknown_and_harms_nothing),
    };

    return cmocka_run_group_tests(tests, open_place, close_place);
}
