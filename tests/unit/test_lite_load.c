/*
 * Loads into SQLite files: all or nothing, with their fence; what a table
 * refuses and what would not be the same in it; merging; others at the same
 * file; the statements of sql nodes.
 */
#include "tests/unit/lite_fixture.h"

/* ---- loads --------------------------------------------------------------- */

static void a_load_makes_file_and_table(void **state)
{
    struct loading loading;

    (void)state;
    loading_begin(&loading,
                  "i integer, n decimal, r double, x text, b boolean, d date, "
                  "s timestamp, z timestamptz, y bytes");
    loading.given.columns[1].precision = 10;
    loading.given.columns[1].scale = 2;
    loading.load.create = true;
    assert_loads(&loading,
                 "SELECT 1, '12.50', 1.5, '007', 1, '2024-01-31', "
                 "'2024-01-31 10:00:00', '2024-01-31 10:00:00+00', x'00ff' "
                 "UNION ALL SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, "
                 "NULL, x''");
    assert_int_equal(loading.sink->rows, 2);
    assert_int_equal(loading.sink->bytes, 8 + 5 + 8 + 3 + 8 + 10 + 19 + 22 + 2);
    loading_end(&loading);
    assert_string_equal(
        file_ask("SELECT sql FROM sqlite_schema WHERE name = 't'"),
        "CREATE TABLE \"t\"(\"i\" INTEGER, \"n\" NUMERIC(10,2), \"r\" REAL, "
        "\"x\" TEXT, \"b\" BOOLEAN, \"d\" DATE, \"s\" TIMESTAMP, "
        "\"z\" TIMESTAMPTZ, \"y\" BLOB)\n");
    assert_string_equal(
        file_ask("SELECT typeof(i), typeof(n), n, typeof(x), typeof(b), "
                 "typeof(d), hex(y), typeof(y) FROM t"),
        "integer|real|12.5|text|integer|text|00FF|blob\n"
        "null|null|-|null|null|null||blob\n");
    assert_string_equal(file_ask("SELECT run_id, node, attempt, loaded_rows, "
                                 "loaded_bytes FROM dispatch_loads"),
                        "r1|n1|1|2|85\n");
    assert_string_equal(read_rows("SELECT * FROM t LIMIT 1"),
                        "1|12.50|1.5|007|t|2024-01-31|2024-01-31 10:00:00|"
                        "2024-01-31 10:00:00+00|\n"); /* and a NUL */
}

static void without_create_a_missing_table_is_an_error_and_no_file(void **state)
{
    struct loading loading;

    (void)state;
    loading_begin(&loading, "i integer");
    assert_int_equal(
        lite_sink(&shop, LOCK_MS, &loading.load, &loading.sink, loading.error),
        -ENOENT);
    assert_says(loading.error, "there is no database file");
    assert_int_equal(access(path, F_OK), -1);
    file_sql("CREATE TABLE other(a)");
    assert_int_equal(
        lite_sink(&shop, LOCK_MS, &loading.load, &loading.sink, loading.error),
        -ENOENT);
    assert_says(loading.error, "there is no table \"t\"");
    loading_end(&loading);
}

static void a_file_is_made_only_together_with_its_table(void **state)
{
    struct loading loading;

    (void)state;
    loading_begin(&loading, "i integer");
    loading.load.create = true;
    assert_int_equal(loading_open(&loading), SINK_OK);
    assert_int_equal(loading_rows(&loading, "SELECT 1"), SINK_OK);
    assert_int_equal(access(path, F_OK), 0);
    loading.sink->abort(loading.sink);
    assert_int_equal(access(path, F_OK), -1);
    loading_end(&loading);
}

static void a_file_that_its_maker_gave_up_is_made_anew(void **state)
{
    struct loading first, second;

    (void)state;
    loading_begin(&first, "i integer");
    first.load.create = true;
    assert_int_equal(loading_open(&first), SINK_OK);
    loading_begin(&second, "i integer");
    second.load.create = true;
    assert_int_equal(
        lite_sink(&shop, LOCK_MS, &second.load, &second.sink, second.error), 0);
    first.sink->abort(first.sink);
    assert_int_equal(access(path, F_OK), -1);
    if (second.sink->begin(second.sink) != SINK_OK)
        fail_msg("%s", second.sink->error);
    assert_int_equal(loading_rows(&second, "SELECT 7"), SINK_OK);
    assert_int_equal(second.sink->commit(second.sink), SINK_OK);
    loading_end(&first);
    loading_end(&second);
    assert_string_equal(file_ask("SELECT i FROM t"), "7\n");
}

static void a_file_that_another_filled_is_not_removed(void **state)
{
    struct loading loading;
    FILE *file = fopen(path, "w"); /* the maker's, empty so far */

    (void)state;
    fclose(file);
    loading_begin(&loading, "i integer");
    loading.load.create = true;
    assert_int_equal(
        lite_sink(&shop, LOCK_MS, &loading.load, &loading.sink, loading.error),
        0);
    file_sql("CREATE TABLE other(a)");
    assert_int_equal(loading.sink->begin(loading.sink), SINK_OK);
    loading.sink->abort(loading.sink);
    loading_end(&loading);
    assert_string_equal(file_ask("SELECT count(*) FROM other"), "0\n");
}

static void a_failed_load_leaves_what_was_there(void **state)
{
    struct loading loading;

    (void)state;
    file_sql("CREATE TABLE t(i INTEGER UNIQUE); INSERT INTO t VALUES(1), (2)");
    loading_begin(&loading, "i integer");
    loading.load.mode = LOAD_TRUNCATE;
    assert_int_equal(load_rows(&loading, "SELECT 5 UNION ALL SELECT 5"),
                     SINK_FAILED);
    assert_says(loading.error, "connection shop, row 2: a row with the same "
                               "t.i is there already");
    loading_end(&loading);
    assert_string_equal(file_ask("SELECT i FROM t"), "1\n2\n");
    assert_string_equal(file_ask("SELECT 1 FROM dispatch_loads"),
                        "no such table: dispatch_loads");
}

static void a_load_truncates_and_appends(void **state)
{
    struct loading loading;

    (void)state;
    file_sql("CREATE TABLE t(i INTEGER); INSERT INTO t VALUES(1), (2)");
    loading_begin(&loading, "I integer");
    assert_loads(&loading, "SELECT 3");
    loading_end(&loading);
    assert_string_equal(file_ask("SELECT i FROM t"), "1\n2\n3\n");
    loading_begin(&loading, "i integer");
    loading.load.run_id = "r2";
    loading.load.mode = LOAD_TRUNCATE;
    assert_loads(&loading, "SELECT 4");
    loading_end(&loading);
    assert_string_equal(file_ask("SELECT i FROM t"), "4\n");
}

static void a_second_attempt_finds_the_first_ones_work(void **state)
{
    struct loading loading;

    (void)state;
    file_sql("CREATE TABLE t(i INTEGER)");
    loading_begin(&loading, "i integer");
    assert_loads(&loading, "SELECT 3 UNION ALL SELECT 4");
    loading_end(&loading);
    loading_begin(&loading, "i integer");
    loading.load.attempt = 2;
    assert_int_equal(loading_open(&loading), SINK_DONE);
    assert_int_equal(loading.sink->rows, 2);
    assert_int_equal(loading.sink->bytes, 16);
    assert_int_equal(loading.sink->row(loading.sink, NULL), SINK_FAILED);
    loading_end(&loading);
    /* Another node of the run is another load. */
    loading_begin(&loading, "i integer");
    loading.load.node = "n2";
    assert_loads(&loading, "SELECT 5");
    loading_end(&loading);
    assert_string_equal(file_ask("SELECT i FROM t"), "3\n4\n5\n");
}

static void a_load_that_was_aborted_can_be_done_again(void **state)
{
    struct loading loading;

    (void)state;
    file_sql("CREATE TABLE t(i INTEGER)");
    loading_begin(&loading, "i integer");
    assert_int_equal(loading_open(&loading), SINK_OK);
    assert_int_equal(loading_rows(&loading, "SELECT 1"), SINK_OK);
    loading.sink->abort(loading.sink);
    loading.sink->abort(loading.sink);
    assert_int_equal(loading.sink->commit(loading.sink), SINK_FAILED);
    loading_end(&loading);
    loading_begin(&loading, "i integer");
    assert_loads(&loading, "SELECT 2");
    loading_end(&loading);
    assert_string_equal(file_ask("SELECT i FROM t"), "2\n");
}

static void columns_are_those_of_the_table(void **state)
{
    struct loading loading;

    (void)state;
    file_sql("CREATE TABLE t(a INTEGER, b TEXT, g AS (a + 1) STORED)");
    loading_begin(&loading, "a integer, c text");
    assert_int_equal(load_rows(&loading, ""), SINK_FAILED);
    assert_says(loading.error, "has no column \"c\" that can be written; it "
                               "has: a, b");
    loading_end(&loading);
    loading_begin(&loading, "g integer");
    assert_int_equal(load_rows(&loading, ""), SINK_FAILED);
    assert_says(loading.error, "has no column \"g\" that can be written");
    loading_end(&loading);
    loading_begin(&loading, "a integer, A integer");
    assert_int_equal(load_rows(&loading, ""), SINK_FAILED);
    assert_says(loading.error, "given twice");
    loading_end(&loading);
    loading_begin(&loading, "b text, a integer");
    assert_loads(&loading, "SELECT 'x', 1");
    loading_end(&loading);
    assert_string_equal(file_ask("SELECT a, b, g FROM t"), "1|x|2\n");
}

static void names_may_be_anything(void **state)
{
    struct loading loading;

    (void)state;
    loading_begin(&loading, "a integer");
    free(loading.given.columns[0].name);
    loading.given.columns[0].name = strdup("a \"b' ; --");
    loading.load.table = "se\"lect";
    loading.load.create = true;
    assert_loads(&loading, "SELECT 1");
    loading_end(&loading);
    assert_string_equal(file_ask("SELECT \"a \"\"b' ; --\" FROM "
                                 "\"se\"\"lect\""),
                        "1\n");
}

static void the_fence_itself_is_no_target(void **state)
{
    struct loading loading;

    (void)state;
    file_sql("CREATE TABLE t(a)");
    loading_begin(&loading, "run_id text");
    loading.load.table = "Dispatch_Loads";
    loading.load.create = true;
    assert_int_equal(load_rows(&loading, ""), SINK_FAILED);
    assert_says(loading.error, "cannot be loaded itself");
    loading_end(&loading);
}

static void rows_that_the_table_refuses_end_a_load_or_are_left_out(void **state)
{
    static const struct {
        const char *table, *rows, *says, *left;
    } CASES[] = {
        {"i INTEGER PRIMARY KEY", "1, 2, 1, 3", "same t.i is there already",
         "1\n2\n3\n"},
        {"i INTEGER NOT NULL", "1, 2, NULL, 3", "t.i must not be NULL",
         "1\n2\n3\n"},
        {"i INTEGER, CONSTRAINT small CHECK(i < 10)", "1, 2, 30, 3",
         "check (small) is not met", "1\n2\n3\n"},
    };
    struct loading loading;
    char sql[200], rows[200], *at;

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        snprintf(sql, sizeof sql, "DROP TABLE IF EXISTS t; CREATE TABLE t(%s)",
                 CASES[i].table);
        file_sql(sql);
        snprintf(rows, sizeof rows, "VALUES(%s)", CASES[i].rows);
        /* One value a row. */
        snprintf(sql, sizeof sql, "%s", rows);
        rows[0] = '\0';
        for (char *c = sql; *c; c++) {
            at = rows + strlen(rows);
            if (*c == ',')
                strcpy(at, "),(");
            else
                snprintf(at, 2, "%c", *c);
        }
        loading_begin(&loading, "i integer");
        assert_int_equal(load_rows(&loading, rows), SINK_FAILED);
        assert_says(loading.error, "connection shop, row 3: ");
        assert_says(loading.error, CASES[i].says);
        loading_end(&loading);
        assert_string_equal(file_ask("SELECT * FROM t"), "");
        loading_begin(&loading, "i integer");
        loading.load.skip = true;
        loading.load.run_id = CASES[i].table;
        assert_loads(&loading, rows);
        assert_says(loading.error, "connection shop, row 3: ");
        assert_says(loading.error, CASES[i].says);
        assert_int_equal(loading.sink->rows, 3);
        assert_int_equal(loading.sink->rejected, 1);
        loading_end(&loading);
        assert_string_equal(file_ask("SELECT * FROM t"), CASES[i].left);
    }
}

static void
a_constraint_that_rolls_back_ends_a_load_also_when_skipping(void **state)
{
    struct loading loading;

    (void)state;
    file_sql("CREATE TABLE t(i INTEGER UNIQUE ON CONFLICT ROLLBACK)");
    loading_begin(&loading, "i integer");
    loading.load.skip = true;
    assert_int_equal(load_rows(&loading, "VALUES(1),(1),(2)"), SINK_FAILED);
    assert_int_equal(loading.sink->commit(loading.sink), SINK_FAILED);
    loading_end(&loading);
    assert_string_equal(file_ask("SELECT * FROM t"), "");
}

static void strict_tables_take_what_they_are_declared_for(void **state)
{
    struct loading loading;

    (void)state;
    file_sql("CREATE TABLE t(i INT, r REAL, x TEXT, b BLOB, a ANY) STRICT");
    loading_begin(&loading, "i integer, r double, x text, b bytes, a text");
    assert_loads(&loading, "SELECT 1, 2.0, '007', x'00', 'a'");
    assert_int_equal(loading.sink->schema.columns[4].type, TYPE_TEXT);
    loading_end(&loading);
    assert_string_equal(file_ask("SELECT i, r, x, hex(b), a FROM t"),
                        "1|2.0|007|00|a\n");
}

static void decimals_that_numbers_cannot_hold_are_refused(void **state)
{
    static const char *const GOOD[] = {
        "123456789012345",
        "1234567890.12345",
        "-0.00000000000000000001",
        "12.50",
        "0.00",
        "123456789012345678",
        "-1234567890123.50",
        "12.000000000000000000000",
        "3411.6166666666666667", /* a quotient: its last digits are rounded */
    };
    static const char *const BAD[] = {
        "12345678901.123456", "1234567.123456789", "1234567890123456789",
        "123456789012345678.00", "100000000000000000000000"};
    struct loading loading;
    char sql[100];

    (void)state;
    file_sql("CREATE TABLE t(n NUMERIC); CREATE TABLE x(n)");
    for (size_t i = 0; i < sizeof GOOD / sizeof GOOD[0]; i++) {
        snprintf(sql, sizeof sql, "SELECT '%s'", GOOD[i]);
        loading_begin(&loading, "n decimal");
        loading.load.run_id = GOOD[i];
        assert_loads(&loading, sql);
        loading_end(&loading);
    }
    assert_string_equal(file_ask("SELECT n FROM t"),
                        "123456789012345\n1234567890.12345\n-1.0e-20\n12.5\n"
                        "0\n123456789012345678\n-1234567890123.5\n12\n"
                        "3411.61666666667\n");
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        snprintf(sql, sizeof sql, "SELECT '%s'", BAD[i]);
        loading_begin(&loading, "n decimal");
        loading.load.run_id = BAD[i];
        assert_int_equal(load_rows(&loading, sql), SINK_FAILED);
        assert_says(loading.error, "row 1, column n: SQLite would make");
        assert_says(loading.error, "declared NUMERIC");
        loading_end(&loading);
        loading_begin(&loading, "n decimal");
        loading.load.run_id = BAD[i];
        loading.load.skip = true;
        assert_loads(&loading, sql);
        assert_int_equal(loading.sink->rejected, 1);
        loading_end(&loading);
        /* A column without a type keeps it. */
        loading_begin(&loading, "n decimal");
        loading.load.table = "x";
        loading.load.node = BAD[i];
        assert_loads(&loading, sql);
        loading_end(&loading);
    }
    assert_string_equal(file_ask("SELECT typeof(n), count(*) FROM x "
                                 "GROUP BY 1"),
                        "text|5\n");
}

static void texts_that_would_become_other_numbers_are_refused(void **state)
{
    struct loading loading;

    (void)state;
    file_sql("CREATE TABLE t(s STRING)"); /* NUMERIC to SQLite */
    loading_begin(&loading, "s text");
    loading.load.skip = true;
    assert_loads(&loading, "VALUES('abc'),('007'),('7'),('1e5'),(' 1'),"
                           "('1.50'),('12345678901234567890'),('')");
    assert_int_equal(loading.sink->rejected, 5);
    loading_end(&loading);
    assert_string_equal(read_rows("SELECT s FROM t"), "abc\n7\n\n");
}

/* ---- merging ------------------------------------------------------------- */

static void merging_updates_what_is_there_and_adds_what_is_not(void **state)
{
    static const char *const KEY[] = {"id"};
    struct loading loading;

    (void)state;
    file_sql("CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b TEXT);"
             "INSERT INTO t VALUES(1, 'old', 'kept'), (2, 'old', 'kept')");
    loading_begin(&loading, "id integer, a text");
    loading.load.mode = LOAD_MERGE;
    loading.load.key = KEY;
    loading.load.key_count = 1;
    assert_loads(&loading, "VALUES(2, 'new'), (3, 'new')");
    assert_int_equal(loading.sink->rows, 2);
    loading_end(&loading);
    assert_string_equal(file_ask("SELECT * FROM t"),
                        "1|old|kept\n2|new|kept\n3|new|-\n");
}

static void a_key_that_comes_twice_is_refused(void **state)
{
    static const char *const KEY[] = {"code", "n"};
    struct loading loading;

    (void)state;
    file_sql("CREATE TABLE t(code VARCHAR(9) COLLATE NOCASE, n INT, v INT, "
             "UNIQUE(code, n)); INSERT INTO t VALUES('A', 1, 0)");
    loading_begin(&loading, "code text, n integer, v integer");
    loading.load.mode = LOAD_MERGE;
    loading.load.key = KEY;
    loading.load.key_count = 2;
    assert_int_equal(
        load_rows(&loading, "VALUES('a', 1, 5), ('a', 2, 6), ('A', 1, 7)"),
        SINK_FAILED);
    assert_says(loading.error, "row 3: the key code = \"A\", n = \"1\" came "
                               "before in this load");
    loading_end(&loading);
    assert_string_equal(file_ask("SELECT * FROM t"), "A|1|0\n");
    loading_begin(&loading, "code text, n integer, v integer");
    loading.load.mode = LOAD_MERGE;
    loading.load.key = KEY;
    loading.load.key_count = 2;
    loading.load.skip = true;
    assert_loads(&loading, "VALUES('a', 1, 5), ('a', 2, 6), ('A', 1, 7), "
                           "(NULL, 1, 8)");
    assert_int_equal(loading.sink->rejected, 2);
    assert_says(loading.error, "code is NULL, and rows are merged by it");
    loading_end(&loading);
    assert_string_equal(file_ask("SELECT * FROM t"), "A|1|5\na|2|6\n");
}

static void a_key_of_a_refused_row_is_free_again(void **state)
{
    static const char *const KEY[] = {"id"};
    struct loading loading;

    (void)state;
    file_sql("CREATE TABLE t(id INTEGER PRIMARY KEY, v INT CHECK(v > 0))");
    loading_begin(&loading, "id integer, v integer");
    loading.load.mode = LOAD_MERGE;
    loading.load.key = KEY;
    loading.load.key_count = 1;
    loading.load.skip = true;
    assert_loads(&loading, "VALUES(1, -1), (1, 5), (1, 6)");
    assert_int_equal(loading.sink->rejected, 2);
    loading_end(&loading);
    assert_string_equal(file_ask("SELECT * FROM t"), "1|5\n");
}

static void merging_needs_a_unique_index_on_its_key(void **state)
{
    static const char *const KEY[] = {"id"};
    struct loading loading;

    (void)state;
    file_sql("CREATE TABLE t(id INTEGER, v INT)");
    loading_begin(&loading, "id integer, v integer");
    loading.load.mode = LOAD_MERGE;
    assert_int_equal(load_rows(&loading, ""), SINK_FAILED);
    assert_says(loading.error, "needs \"key\"");
    loading.load.key = KEY;
    loading.load.key_count = 1;
    assert_int_equal(load_rows(&loading, ""), SINK_FAILED);
    assert_says(loading.error, "no unique index on (\"id\")");
    loading_end(&loading);
    loading_begin(&loading, "v integer");
    loading.load.mode = LOAD_MERGE;
    loading.load.key = KEY;
    loading.load.key_count = 1;
    assert_int_equal(load_rows(&loading, ""), SINK_FAILED);
    assert_says(loading.error, "the key \"id\" is not among the columns");
    loading_end(&loading);
}

static void a_table_made_for_merging_has_its_key(void **state)
{
    static const char *const KEY[] = {"a", "b"};
    struct loading loading;

    (void)state;
    for (int run = 0; run < 2; run++) {
        loading_begin(&loading, "a integer, b text, v integer");
        loading.load.run_id = run ? "r2" : "r1";
        loading.load.create = true;
        loading.load.mode = LOAD_MERGE;
        loading.load.key = KEY;
        loading.load.key_count = 2;
        assert_loads(&loading, run ? "VALUES(1, 'x', 2), (2, 'x', 2)"
                                   : "VALUES(1, 'x', 1)");
        loading_end(&loading);
    }
    assert_string_equal(file_ask("SELECT * FROM t"), "1|x|2\n2|x|2\n");
}

static void a_row_of_nothing_but_its_key_merges(void **state)
{
    static const char *const KEY[] = {"id"};
    struct loading loading;

    (void)state;
    file_sql("CREATE TABLE t(id TEXT PRIMARY KEY) WITHOUT ROWID;"
             "INSERT INTO t VALUES('a')");
    loading_begin(&loading, "id text");
    loading.load.mode = LOAD_MERGE;
    loading.load.key = KEY;
    loading.load.key_count = 1;
    assert_loads(&loading, "VALUES('a'), ('b')");
    loading_end(&loading);
    assert_string_equal(file_ask("SELECT * FROM t"), "a\nb\n");
}

/* ---- others at the same file --------------------------------------------- */

static void a_writer_waits_for_another_until_the_lock_time_out(void **state)
{
    struct loading loading;
    sqlite3 *other;

    (void)state;
    file_sql("CREATE TABLE t(i INTEGER)");
    assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL),
                     SQLITE_OK);
    loading_begin(&loading, "i integer");
    assert_int_equal(load_rows(&loading, "SELECT 1"), SINK_FAILED);
    assert_says(loading.error, "in use by others; waited 40 ms");
    loading_end(&loading);
    sqlite3_close(other);
}

static void a_reader_holds_up_a_commit_until_its_feed_ends(void **state)
{
    struct loading loading;
    struct schema schema;
    struct lite *lite;
    struct feed *feed;

    (void)state;
    file_sql("CREATE TABLE t(i INTEGER); INSERT INTO t VALUES(1)");
    lite = open_lite();
    assert_int_equal(lite_describe(lite, "SELECT i FROM t", false, &schema), 0);
    assert_int_equal(lite_feed(lite, "SELECT i FROM t", &schema, &feed), 0);
    assert_int_equal(feed->next(feed), 1);
    loading_begin(&loading, "i integer");
    assert_int_equal(load_rows(&loading, "SELECT 2"), SINK_FAILED);
    assert_says(loading.error, "in use by others");
    loading_end(&loading);
    assert_string_equal(file_ask("SELECT i FROM t"), "1\n");
    assert_int_equal(feed->next(feed), 0);
    loading_begin(&loading, "i integer");
    assert_loads(&loading, "SELECT 2");
    loading_end(&loading);
    feed_close(&feed);
    schema_clear(&schema);
    /* It reads on, from a later moment. */
    assert_string_equal(read_with(lite, "SELECT i FROM t", false), "1\n2\n");
    lite_close(&lite);
}

static void readers_of_other_processes_are_waited_for(void **state)
{
    struct loading loading;
    sqlite3 *other;

    (void)state;
    file_sql("CREATE TABLE t(i INTEGER); INSERT INTO t VALUES(1)");
    assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(other, "BEGIN; SELECT * FROM t", NULL, NULL, NULL),
        SQLITE_OK);
    loading_begin(&loading, "i integer");
    assert_int_equal(load_rows(&loading, "SELECT 2"), SINK_FAILED);
    assert_says(loading.error, "in use by others; waited 40 ms");
    loading_end(&loading);
    sqlite3_close(other);
    assert_string_equal(file_ask("SELECT i FROM t"), "1\n");
}

static void a_file_made_by_a_load_is_read_and_written_at_once(void **state)
{
    struct loading loading;
    struct schema schema;
    struct lite *lite;
    struct feed *feed;

    (void)state;
    loading_begin(&loading, "i integer");
    loading.load.create = true;
    assert_loads(&loading, "SELECT 1 UNION ALL SELECT 2");
    loading_end(&loading);
    lite = open_lite();
    assert_int_equal(lite_describe(lite, "SELECT i FROM t", false, &schema), 0);
    assert_int_equal(lite_feed(lite, "SELECT i FROM t", &schema, &feed), 0);
    assert_int_equal(feed->next(feed), 1);
    loading_begin(&loading, "i integer");
    loading.load.run_id = "r2";
    assert_loads(&loading, "SELECT 3");
    loading_end(&loading);
    assert_int_equal(feed->next(feed), 1);
    assert_int_equal(feed->next(feed), 0); /* not the row of later */
    feed_close(&feed);
    schema_clear(&schema);
    lite_close(&lite);
    assert_string_equal(file_ask("SELECT count(*) FROM t"), "3\n");
}

static void a_disk_that_takes_no_more_leaves_the_target_as_it_was(void **state)
{
    struct rlimit limit, small = {.rlim_cur = 256 * 1024};
    struct loading loading;
    enum sink_answer answer;

    (void)state;
    file_sql("CREATE TABLE t(x TEXT); INSERT INTO t VALUES('first')");
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    small.rlim_max = limit.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    loading_begin(&loading, "x text");
    answer = load_rows(&loading, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL "
                                 "SELECT i + 1 FROM n LIMIT 2000) SELECT "
                                 "printf('%500d', i) FROM n");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(answer, SINK_FAILED);
    assert_says(loading.error, "cannot be written");
    loading_end(&loading);
    assert_string_equal(file_ask("SELECT * FROM t"), "first\n");
}

static void a_read_only_connection_is_not_written(void **state)
{
    struct loading loading;

    (void)state;
    file_sql("CREATE TABLE t(i INTEGER)");
    shop.read_only = true;
    loading_begin(&loading, "i integer");
    assert_int_equal(load_rows(&loading, "SELECT 1"), SINK_FAILED);
    assert_says(loading.error, "is read_only");
    loading_end(&loading);
}

/* ---- sql nodes ----------------------------------------------------------- */

static int execute(const char *node, const char *sql, bool *done,
                   uint64_t *rows, char error[LITE_ERROR_MAX])
{
    struct load fence = {.run_id = "r1", .node = node, .attempt = 1};

    error[0] = '\0';
    return lite_execute(&shop, LOCK_MS, 50, &fence, sql, done, rows, error);
}

static void a_statement_writes_once(void **state)
{
    char error[LITE_ERROR_MAX];
    uint64_t rows = 99;
    bool done;

    (void)state;
    assert_int_equal(execute("a", "CREATE TABLE t(i)", &done, &rows, error), 0);
    assert_int_equal(rows, 0);
    assert_int_equal(
        execute("b", "INSERT INTO t VALUES(1),(2);", &done, &rows, error), 0);
    assert_false(done);
    assert_int_equal(rows, 2);
    rows = 0;
    assert_int_equal(
        execute("b", "INSERT INTO t VALUES(1),(2)", &done, &rows, error), 0);
    assert_true(done);
    assert_int_equal(rows, 2);
    assert_int_equal(execute("c", "SELECT * FROM t", &done, &rows, error), 0);
    assert_int_equal(rows, 2);
    assert_int_equal(
        execute("d", "UPDATE t SET i = 5 WHERE i = 1", &done, &rows, error), 0);
    assert_int_equal(rows, 1);
    assert_string_equal(file_ask("SELECT i FROM t"), "5\n2\n");
}

static void a_statement_that_may_not_be_changes_nothing(void **state)
{
    static const struct {
        const char *sql, *says;
        int err;
    } CASES[] = {
        {"DELETE FROM t; DELETE FROM t", "more than one", -EINVAL},
        {"COMMIT", "not for a document's SQL", -EINVAL},
        {"ATTACH '/tmp/x' AS x", "not for a document's SQL", -EINVAL},
        {"PRAGMA user_version=5", "not for a document's SQL", -EINVAL},
        {"INSERT INTO t VALUES(1)", "UNIQUE constraint failed", -EIO},
        {"INSERT INTO t SELECT i FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION "
         "ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i < 0)",
         "statement time-out of 50 ms", -EIO},
        {"VACUUM", "VACUUM", -EINVAL},
    };
    char error[LITE_ERROR_MAX];
    uint64_t rows;
    bool done;

    (void)state;
    file_sql("CREATE TABLE t(i UNIQUE); INSERT INTO t VALUES(1)");
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        if (execute("x", CASES[i].sql, &done, &rows, error) != CASES[i].err)
            fail_msg("%s: %s", CASES[i].sql, error);
        assert_says(error, CASES[i].says);
    }
    assert_string_equal(file_ask("SELECT count(*) FROM t"), "1\n");
    assert_string_equal(file_ask("SELECT 1 FROM dispatch_loads"),
                        "no such table: dispatch_loads");
}

static void a_statement_that_fails_leaves_no_new_file(void **state)
{
    char error[LITE_ERROR_MAX];
    uint64_t rows;
    bool done;

    (void)state;
    assert_int_equal(execute("x", "DELETE FROM t", &done, &rows, error),
                     -EINVAL);
    assert_says(error, "no such table: t");
    assert_int_equal(access(path, F_OK), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FILE(a_load_makes_file_and_table),
        WITH_FILE(without_create_a_missing_table_is_an_error_and_no_file),
        WITH_FILE(a_file_is_made_only_together_with_its_table),
        WITH_FILE(a_file_that_its_maker_gave_up_is_made_anew),
        WITH_FILE(a_file_that_another_filled_is_not_removed),
        WITH_FILE(a_failed_load_leaves_what_was_there),
        WITH_FILE(a_load_truncates_and_appends),
        WITH_FILE(a_second_attempt_finds_the_first_ones_work),
        WITH_FILE(a_load_that_was_aborted_can_be_done_again),
        WITH_FILE(columns_are_those_of_the_table),
        WITH_FILE(names_may_be_anything),
        WITH_FILE(the_fence_itself_is_no_target),
        WITH_FILE(rows_that_the_table_refuses_end_a_load_or_are_left_out),
        WITH_FILE(a_constraint_that_rolls_back_ends_a_load_also_when_skipping),
        WITH_FILE(strict_tables_take_what_they_are_declared_for),
        WITH_FILE(decimals_that_numbers_cannot_hold_are_refused),
        WITH_FILE(texts_that_would_become_other_numbers_are_refused),
        WITH_FILE(merging_updates_what_is_there_and_adds_what_is_not),
        WITH_FILE(a_key_that_comes_twice_is_refused),
        WITH_FILE(a_key_of_a_refused_row_is_free_again),
        WITH_FILE(merging_needs_a_unique_index_on_its_key),
        WITH_FILE(a_table_made_for_merging_has_its_key),
        WITH_FILE(a_row_of_nothing_but_its_key_merges),
        WITH_FILE(a_writer_waits_for_another_until_the_lock_time_out),
        WITH_FILE(a_reader_holds_up_a_commit_until_its_feed_ends),
        WITH_FILE(readers_of_other_processes_are_waited_for),
        WITH_FILE(a_file_made_by_a_load_is_read_and_written_at_once),
        WITH_FILE(a_disk_that_takes_no_more_leaves_the_target_as_it_was),
        WITH_FILE(a_read_only_connection_is_not_written),
        WITH_FILE(a_statement_writes_once),
        WITH_FILE(a_statement_that_may_not_be_changes_nothing),
        WITH_FILE(a_statement_that_fails_leaves_no_new_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
