/*
 * SQLite files as sources: declared types and what is really in columns,
 * documents' own SQL and what it may not do, and what is said of files that
 * cannot be read.
 */
#include "tests/unit/lite_fixture.h"

/* ---- types --------------------------------------------------------------- */

static void declared_types_are_words_or_have_an_affinity(void **state)
{
    static const struct {
        const char *declared;
        enum type type;
        int bits, precision, scale, length;
    } CASES[] = {
        {"INTEGER", TYPE_INTEGER, 0, -1, -1, 0},
        {"int", TYPE_INTEGER, 0, -1, -1, 0},
        {"BIGINT", TYPE_INTEGER, 0, -1, -1, 0},
        {"SmallInt", TYPE_INTEGER, 16, -1, -1, 0},
        {"INT2", TYPE_INTEGER, 16, -1, -1, 0},
        {"INT4", TYPE_INTEGER, 32, -1, -1, 0},
        {"UNSIGNED BIG INT", TYPE_INTEGER, 0, -1, -1, 0},
        {"TINYINT(1)", TYPE_INTEGER, 0, -1, -1, 0},
        {"NUMERIC", TYPE_DECIMAL, 0, -1, -1, 0},
        {"NUMERIC(10,2)", TYPE_DECIMAL, 0, 10, 2, 0},
        {"decimal ( 10 , 2 )", TYPE_DECIMAL, 0, 10, 2, 0},
        {"DECIMAL(5)", TYPE_DECIMAL, 0, 5, 0, 0},
        {"DECIMAL(5,9)", TYPE_DECIMAL, 0, -1, -1, 0},
        {"NUMERIC(99999999999)", TYPE_DECIMAL, 0, -1, -1, 0},
        {"NUMERIC(,)", TYPE_DECIMAL, 0, -1, -1, 0},
        {"REAL", TYPE_DOUBLE, 0, -1, -1, 0},
        {"double  precision", TYPE_DOUBLE, 0, -1, -1, 0},
        {"FLOAT(24)", TYPE_DOUBLE, 0, -1, -1, 0},
        {"TEXT", TYPE_TEXT, 0, -1, -1, 0},
        {"VARCHAR(20)", TYPE_TEXT, 0, -1, -1, 20},
        {"character varying(7)", TYPE_TEXT, 0, -1, -1, 7},
        {"NATIVE CHARACTER(70)", TYPE_TEXT, 0, -1, -1, 70},
        {"CLOB", TYPE_TEXT, 0, -1, -1, 0},
        {"uuid", TYPE_TEXT, 0, -1, -1, 0},
        {"JSON", TYPE_TEXT, 0, -1, -1, 0},
        {"interval", TYPE_TEXT, 0, -1, -1, 0},
        {"BOOLEAN", TYPE_BOOLEAN, 0, -1, -1, 0},
        {"DATE", TYPE_DATE, 0, -1, -1, 0},
        {"DATETIME", TYPE_TIMESTAMP, 0, -1, -1, 0},
        {"timestamp(6)", TYPE_TIMESTAMP, 0, -1, -1, 0},
        {"TIMESTAMPTZ", TYPE_TIMESTAMPTZ, 0, -1, -1, 0},
        {"timestamp(3) with time zone", TYPE_TIMESTAMPTZ, 0, -1, -1, 0},
        {"BLOB", TYPE_BYTES, 0, -1, -1, 0},
        {"bytea", TYPE_BYTES, 0, -1, -1, 0},
        {"", TYPE_NULL, 0, -1, -1, 0},
        {"ANY", TYPE_NULL, 0, -1, -1, 0},
        {"))((", TYPE_NULL, 0, -1, -1, 0},
    };
    struct column column;

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        memset(&column, 0x55, sizeof column);
        lite_column_type(CASES[i].declared, &column);
        if (column.type != CASES[i].type || column.bits != CASES[i].bits ||
            column.precision != CASES[i].precision ||
            column.scale != CASES[i].scale || column.length != CASES[i].length)
            fail_msg("%s: %s, %d bits, (%d,%d), length %d", CASES[i].declared,
                     type_name(column.type), column.bits, column.precision,
                     column.scale, column.length);
    }
    lite_column_type(NULL, &column);
    assert_int_equal(column.type, TYPE_NULL);
}

static void the_first_rows_decide_where_no_type_is_declared(void **state)
{
    (void)state;
    file_sql("CREATE TABLE t(i, r, m, b, x, n, d INTEGER);"
             "INSERT INTO t VALUES(1, 1.5, 2, x'00', 'a', NULL, 1),"
             "(NULL, 2, 2.5, NULL, 1, NULL, 2)");
    assert_string_equal(types_of("SELECT * FROM t"),
                        "i integer, r double, m double, b bytes, x text, "
                        "n text, d integer");
    assert_string_equal(types_of("SELECT count(*) AS c, d + 0.5 AS e FROM t"),
                        "c integer, e double");
    assert_string_equal(types_of("SELECT i FROM t WHERE 0"), "i text");
}

static void a_view_has_the_types_of_its_table(void **state)
{
    (void)state;
    file_sql("CREATE TABLE t(a DATE, b NUMERIC(8,2));"
             "CREATE VIEW v AS SELECT a AS day, b FROM t");
    assert_string_equal(types_of("SELECT * FROM v"), "day date, b decimal");
}

static void two_columns_of_one_name_are_refused(void **state)
{
    (void)state;
    file_sql("CREATE TABLE t(id)");
    assert_says(types_of("SELECT a.id, b.id FROM t a, t b"),
                "two columns called \"id\"");
    assert_says(types_of("SELECT id, 1 AS ID FROM t"),
                "two columns called \"ID\"");
}

static void a_table_says_what_a_writer_has_to_know(void **state)
{
    struct lite *lite;
    struct schema schema;

    (void)state;
    file_sql("CREATE TABLE t(id INTEGER PRIMARY KEY NOT NULL, "
             "a VARCHAR(5) NOT NULL, b INT2 NOT NULL DEFAULT 7, "
             "c NUMERIC(6,2), g INT AS (b + 1), u);"
             "INSERT INTO t(a, u) VALUES('x', 1.5);"
             "CREATE TABLE w(k INT, PRIMARY KEY(k)) WITHOUT ROWID");
    lite = open_lite();
    assert_int_equal(lite_describe_table(lite, "T", &schema), 0);
    assert_int_equal(schema.count, 5);
    assert_string_equal(schema.columns[0].name, "id");
    assert_false(schema.columns[0].not_null);
    assert_true(schema.columns[1].not_null);
    assert_int_equal(schema.columns[1].length, 5);
    assert_string_equal(schema.columns[1].native, "VARCHAR(5)");
    assert_false(schema.columns[2].not_null);
    assert_int_equal(schema.columns[2].bits, 16);
    assert_int_equal(schema.columns[3].scale, 2);
    assert_int_equal(schema.columns[4].type, TYPE_DOUBLE);
    assert_null(schema.columns[4].native);
    schema_clear(&schema);
    assert_int_equal(lite_describe_table(lite, "w", &schema), 0);
    assert_true(schema.columns[0].not_null);
    schema_clear(&schema);
    assert_int_equal(lite_describe_table(lite, "none", &schema), -ENOENT);
    assert_says(lite_error(lite), "there is no table \"none\"");
    lite_close(&lite);
}

/* ---- documents' own SQL -------------------------------------------------- */

static void own_sql_only_reads(void **state)
{
    static const struct {
        const char *sql, *says;
    } CASES[] = {
        {"INSERT INTO t VALUES(1)", "writes"},
        {"INSERT INTO t VALUES(1) RETURNING a", "writes"},
        {"DELETE FROM t", "writes"},
        {"DROP TABLE t", "writes"},
        {"ATTACH 'x.db' AS x", "not for a document's SQL"},
        {"DETACH main", "not for a document's SQL"},
        {"PRAGMA journal_mode=DELETE", "not for a document's SQL"},
        {"PRAGMA database_list", "not for a document's SQL"},
        {"BEGIN", "not for a document's SQL"},
        {"COMMIT", "not for a document's SQL"},
        {"SAVEPOINT x", "not for a document's SQL"},
        {"SELECT load_extension('x')", "not authorized to use function"},
        {"SELECT 1; SELECT 2", "more than one"},
        {"SELECT 1; DROP TABLE t", "more than one"},
        {"SELECT 1; nonsense", "more than one"},
        {"", "empty"},
        {" ; ", "empty"},
        {"-- nothing", "empty"},
        {"SELECT none", "no such column: none"},
        {"SELECT * FROM nowhere", "no such table: nowhere"},
        {"SELECT (", "incomplete input"},
    };

    (void)state;
    file_sql("CREATE TABLE t(a)");
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct lite *lite = open_lite();
        struct schema schema;

        if (lite_describe(lite, CASES[i].sql, true, &schema) != -EINVAL)
            fail_msg("%s was not refused: %s", CASES[i].sql, lite_error(lite));
        assert_says(lite_error(lite), CASES[i].says);
        lite_close(&lite);
    }
    assert_string_equal(file_ask("SELECT count(*) FROM t"), "0\n");
}

static void own_sql_may_end_in_semicolons_and_comments(void **state)
{
    (void)state;
    file_sql("CREATE TABLE t(a)");
    assert_string_equal(types_of("SELECT 1 AS x;"), "x integer");
    assert_string_equal(types_of("SELECT 1 AS x ; ;\n -- done"), "x integer");
    assert_string_equal(types_of("/* a */ SELECT 1 AS x; /* b */"),
                        "x integer");
}

static void the_path_cannot_be_asked_for(void **state)
{
    (void)state;
    file_sql("CREATE TABLE t(a)");
    assert_says(read_rows("SELECT file FROM pragma_database_list"),
                "not authorized");
}

static void a_statement_stops_at_its_time_out(void **state)
{
    static const char ENDLESS[] =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
        "SELECT sum(i) AS s FROM n";
    char error[LITE_ERROR_MAX];
    struct schema schema = {0};
    struct lite *lite;
    struct feed *feed;

    (void)state;
    file_sql("CREATE TABLE t(a)");
    assert_int_equal(lite_open(&shop, LOCK_MS, 30, &lite, error), 0);
    assert_int_equal(lite_describe(lite, ENDLESS, true, &schema), -EIO);
    assert_says(lite_error(lite), "statement time-out of 30 ms");
    assert_non_null(schema_add(&schema, "s", TYPE_INTEGER));
    assert_int_equal(lite_feed(lite, ENDLESS, &schema, &feed), 0);
    assert_int_equal(feed->next(feed), -1);
    assert_says(feed->error, "statement time-out of 30 ms");
    assert_int_equal(feed->next(feed), 0); /* and not again */
    feed_close(&feed);
    schema_clear(&schema);
    /* The next statement has its own time. */
    assert_int_equal(lite_describe(lite, "SELECT 1 AS x", true, &schema), 0);
    schema_clear(&schema);
    lite_close(&lite);
}

/* ---- values -------------------------------------------------------------- */

static void values_of_every_type_are_read(void **state)
{
    (void)state;
    file_sql("CREATE TABLE t(i INTEGER, n NUMERIC, p NUMERIC(10,2), r REAL, "
             "x TEXT, b BOOLEAN, d DATE, s TIMESTAMP, z TIMESTAMPTZ, y BLOB);"
             "INSERT INTO t VALUES(-5, 12.5, 12.5, 0.1, '007', 1, '2024-01-31',"
             "'2024-01-31 10:00:00', '2024-01-31 12:00:00+02', 'raw'),"
             "(9223372036854775807, 3, 3, 1e300, '', 0, '20240131x', NULL, "
             "NULL, x'');"
             "UPDATE t SET d = NULL WHERE d LIKE '%x'");
    assert_string_equal(
        read_rows("SELECT * FROM t"),
        "-5|12.5|12.50|0.1|007|t|2024-01-31|2024-01-31 10:00:00|"
        "2024-01-31 10:00:00+00|raw\n"
        "9223372036854775807|3|3.00|1e+300||f|-|-|-|\n");
}

static void numbers_and_texts_become_what_the_column_says(void **state)
{
    (void)state;
    file_sql("CREATE TABLE t(i INTEGER, n NUMERIC, x TEXT, b BOOLEAN, r REAL);"
             "INSERT INTO t VALUES(' 12 ', 1e20, 12, 'yes', '1.5'),"
             "(5.0, 0.1, 1.5, 'f', 7)");
    assert_string_equal(read_rows("SELECT * FROM t"),
                        "12|100000000000000000000|12|t|1.5\n"
                        "5|0.1|1.5|f|7\n");
}

static void reals_are_read_to_the_last_digit(void **state)
{
    static const char *const NUMBERS[] = {"0.5",
                                          "-0.25",
                                          "1.1",
                                          "0.000001",
                                          "-12.345678",
                                          "0.1",
                                          "100.0",
                                          "5e-07",
                                          "123456.7",
                                          "0.30000000000000004",
                                          "1e+15",
                                          "99999999.999",
                                          "-0.000003",
                                          "2.5e-10",
                                          "999999999.999999",
                                          "1234567.89"};
    char sql[200], expected[TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof NUMBERS / sizeof NUMBERS[0]; i++) {
        double value = strtod(NUMBERS[i], NULL), got[2];
        char *end;

        snprintf(sql, sizeof sql,
                 "DROP TABLE IF EXISTS t; CREATE TABLE t(r REAL, n NUMERIC);"
                 "INSERT INTO t VALUES(%s, %s)",
                 NUMBERS[i], NUMBERS[i]);
        file_sql(sql);
        snprintf(expected, sizeof expected, "%s", read_rows("SELECT * FROM t"));
        got[0] = strtod(expected, &end);
        assert_int_equal(*end, '|');
        got[1] = strtod(end + 1, &end);
        assert_int_equal(*end, '\n');
        if (memcmp(&got[0], &value, sizeof value) != 0 || got[1] != value)
            fail_msg("%s was read as %s", NUMBERS[i], expected);
    }
    file_sql("DELETE FROM t; INSERT INTO t VALUES(0.05, -0.05), (12.5, 1e15)");
    assert_string_equal(read_rows("SELECT * FROM t"),
                        "0.05|-0.05\n12.5|1000000000000000\n");
}

static void a_value_that_is_none_is_an_error_with_row_and_column(void **state)
{
    static const struct {
        const char *column, *value, *says;
    } CASES[] = {
        {"c INTEGER", "'abc'", "\"abc\""},
        {"c INTEGER", "1.5", "1.5"},
        {"c INTEGER", "x'31'", "a BLOB is not a value of type integer"},
        {"c NUMERIC", "'12,5'", "12,5"},
        {"c REAL", "'x'", "\"x\""},
        {"c REAL", "9e999", "infinity is not a value of type double"},
        {"c NUMERIC", "-9e999", "-infinity is not a value of type decimal"},
        {"c BOOLEAN", "2", "the number 2 is not a value of type boolean"},
        {"c BOOLEAN", "'maybe'", "maybe"},
        {"c DATE", "'2024-02-30'", "2024-02-30"},
        {"c DATE", "'soon'", "soon"},
        {"c DATE", "1706659200", "the number 1706659200 is not a value of "},
        {"c TIMESTAMP", "'2024-01-01 25:00:00'", "25:00:00"},
        {"c TIMESTAMP", "2460341.5", "the number 2460341.5"},
        {"c TEXT", "CAST(x'ff' AS TEXT)", ""},
        {"c TEXT", "x'c328'", ""},
        {"c BLOB", "5", "the number 5 is not a value of type bytes"},
    };
    char sql[300], answer[TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        snprintf(sql, sizeof sql,
                 "DROP TABLE IF EXISTS t; CREATE TABLE t(k INTEGER, %s);"
                 "INSERT INTO t VALUES(1, NULL), (2, %s), (3, NULL)",
                 CASES[i].column, CASES[i].value);
        file_sql(sql);
        snprintf(answer, sizeof answer, "%s", read_rows("SELECT * FROM t"));
        assert_says(answer, "connection shop, row 2, column c: ");
        assert_says(answer, CASES[i].says);
        assert_string_equal(read_skipping("SELECT * FROM t"), "1|-\n3|-\n");
        assert_says(rejects, "connection shop, row 2, column c: ");
    }
}

static void rows_left_out_are_counted(void **state)
{
    struct lite *lite;
    struct schema schema;
    struct feed *feed;

    (void)state;
    file_sql("CREATE TABLE t(i INTEGER); INSERT INTO t VALUES('a'),(1),('b'),"
             "('c'),(2)");
    lite = open_lite();
    assert_int_equal(lite_describe(lite, "SELECT i FROM t", false, &schema), 0);
    assert_int_equal(lite_feed(lite, "SELECT i FROM t", &schema, &feed), 0);
    feed->skip = true; /* and nobody to be told */
    while (feed->next(feed) == 1)
        ;
    assert_int_equal(feed->rows, 2);
    assert_int_equal(feed->rejected, 3);
    assert_int_equal(feed->bytes, 2);
    feed_close(&feed);
    schema.count--;
    assert_int_equal(lite_feed(lite, "SELECT i FROM t", &schema, &feed),
                     -EINVAL);
    assert_says(lite_error(lite), "gives 1 columns");
    schema.count++;
    schema_clear(&schema);
    lite_close(&lite);
}

static void utf16_files_are_read_and_written(void **state)
{
    struct loading loading;

    (void)state;
    file_sql("PRAGMA encoding='UTF-16'; CREATE TABLE t(x TEXT);"
             "INSERT INTO t VALUES('Grün')");
    assert_string_equal(read_rows("SELECT x FROM t"), "Grün\n");
    loading_begin(&loading, "x text");
    assert_loads(&loading, "SELECT 'Öl'");
    loading_end(&loading);
    assert_string_equal(read_rows("SELECT x FROM t"), "Grün\nÖl\n");
}

static void two_feeds_of_a_connection_take_turns(void **state)
{
    struct lite *lite;
    struct schema schema;
    struct feed *a, *b;

    (void)state;
    file_sql("CREATE TABLE t(i INTEGER); INSERT INTO t VALUES(1),(2)");
    lite = open_lite();
    assert_int_equal(lite_describe(lite, "SELECT i FROM t", false, &schema), 0);
    assert_int_equal(lite_feed(lite, "SELECT i FROM t", &schema, &a), 0);
    assert_int_equal(
        lite_feed(lite, "SELECT i FROM t ORDER BY i DESC", &schema, &b), 0);
    assert_int_equal(a->next(a), 1);
    assert_int_equal(b->next(b), 1);
    assert_int_equal(a->cells[0].bytes[0], '1');
    assert_int_equal(b->cells[0].bytes[0], '2');
    assert_int_equal(a->next(a), 1);
    assert_int_equal(a->next(a), 0);
    assert_int_equal(b->next(b), 1);
    assert_int_equal(b->next(b), 0);
    feed_close(&a);
    feed_close(&b);
    schema_clear(&schema);
    lite_close(&lite);
}

static void all_reads_of_a_connection_are_of_one_moment(void **state)
{
    struct lite *lite;

    (void)state;
    file_sql("PRAGMA journal_mode=WAL; CREATE TABLE t(i INTEGER)");
    lite = open_lite();
    assert_string_equal(read_with(lite, "SELECT count(*) AS c FROM t", false),
                        "0\n");
    file_sql("INSERT INTO t VALUES(1)");
    assert_string_equal(read_with(lite, "SELECT count(*) AS c FROM t", false),
                        "0\n");
    lite_close(&lite);
    lite = open_lite();
    assert_string_equal(read_with(lite, "SELECT count(*) AS c FROM t", false),
                        "1\n");
    lite_close(&lite);
}

/* ---- files --------------------------------------------------------------- */

static void assert_open_fails(int err, const char *says)
{
    char error[LITE_ERROR_MAX] = "";
    struct lite *lite;

    assert_int_equal(lite_open(&shop, LOCK_MS, STATEMENT_MS, &lite, error),
                     err);
    assert_null(lite);
    assert_says(error, says);
    assert_says(error, "connection shop");
}

static void a_missing_file_is_said_and_not_made(void **state)
{
    (void)state;
    assert_open_fails(-ENOENT, "there is no database file");
    assert_int_equal(access(path, F_OK), -1);
}

static void what_is_no_database_is_said(void **state)
{
    FILE *file = fopen(path, "w");

    (void)state;
    for (int i = 0; i < 1000; i++)
        fputs("id,name\n", file);
    fclose(file);
    assert_open_fails(-EIO, "not a SQLite database");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_open_fails(-EIO, "not that of a file");
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_open_fails(-EIO, "not that of a file");
}

static void a_damaged_file_is_said(void **state)
{
    FILE *file;

    (void)state;
    file_sql("CREATE TABLE t(a TEXT);"
             "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
             "LIMIT 2000) INSERT INTO t SELECT 'some text to fill ' || i "
             "FROM n");
    file = fopen(path, "r+");
    /* All pages but the first. */
    assert_int_equal(fseek(file, 4096, SEEK_SET), 0);
    for (int i = 0; i < 3 * 4096; i++)
        fputc(0xa5, file);
    fclose(file);
    assert_says(read_rows("SELECT a FROM t"), "its file is damaged");
}

static void a_locked_file_is_waited_for_and_then_said(void **state)
{
    sqlite3 *other;

    (void)state;
    file_sql("CREATE TABLE t(a)");
    assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN EXCLUSIVE", NULL, NULL, NULL),
                     SQLITE_OK);
    assert_open_fails(-EIO, "in use by others; waited 40 ms");
    sqlite3_close(other);
}

static void estimates_are_of_the_table_or_of_the_file(void **state)
{
    int64_t rows, bytes;
    struct lite *lite;

    (void)state;
    file_sql("CREATE TABLE t(a TEXT); CREATE TABLE big(a TEXT);"
             "INSERT INTO t VALUES('x'), ('y');"
             "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
             "LIMIT 2000) INSERT INTO big SELECT 'some text to fill ' || i "
             "FROM n");
    lite = open_lite();
    assert_int_equal(lite_estimate(lite, NULL, &rows, &bytes), 0);
    assert_int_equal(rows, -1);
    assert_true(bytes > 40000);
    assert_int_equal(lite_estimate(lite, "T", &rows, &bytes), 0);
    assert_int_equal(rows, 2);
    assert_int_equal(bytes, 4096);
    lite_close(&lite);
    file_sql("CREATE INDEX b ON big(a); CREATE INDEX i ON t(a); ANALYZE");
    lite = open_lite();
    assert_int_equal(lite_estimate(lite, "big", &rows, &bytes), 0);
    assert_int_equal(rows, 2000);
    assert_true(bytes > 40000);
    assert_int_equal(lite_estimate(lite, "none", &rows, &bytes), 0);
    lite_close(&lite);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(declared_types_are_words_or_have_an_affinity),
        WITH_FILE(the_first_rows_decide_where_no_type_is_declared),
        WITH_FILE(a_view_has_the_types_of_its_table),
        WITH_FILE(two_columns_of_one_name_are_refused),
        WITH_FILE(a_table_says_what_a_writer_has_to_know),
        WITH_FILE(own_sql_only_reads),
        WITH_FILE(own_sql_may_end_in_semicolons_and_comments),
        WITH_FILE(the_path_cannot_be_asked_for),
        WITH_FILE(a_statement_stops_at_its_time_out),
        WITH_FILE(values_of_every_type_are_read),
        WITH_FILE(numbers_and_texts_become_what_the_column_says),
        WITH_FILE(reals_are_read_to_the_last_digit),
        WITH_FILE(a_value_that_is_none_is_an_error_with_row_and_column),
        WITH_FILE(rows_left_out_are_counted),
        WITH_FILE(utf16_files_are_read_and_written),
        WITH_FILE(two_feeds_of_a_connection_take_turns),
        WITH_FILE(all_reads_of_a_connection_are_of_one_moment),
        WITH_FILE(a_missing_file_is_said_and_not_made),
        WITH_FILE(what_is_no_database_is_said),
        WITH_FILE(a_damaged_file_is_said),
        WITH_FILE(a_locked_file_is_waited_for_and_then_said),
        WITH_FILE(estimates_are_of_the_table_or_of_the_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
