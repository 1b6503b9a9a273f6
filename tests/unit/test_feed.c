/*
 * Feeds, and how SQLite reads them as virtual tables: values of every type as
 * they are, one pass only, under sorts, groups and joins, several at once, and
 * errors that come through. Also the sequence, and the sink that goes nowhere.
 */
#include "agents/feed.h"
#include "agents/sink.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { COLUMNS_MAX = 10 };

/* A feed of rows in memory. Every row is given from one buffer that the next
 * one overwrites, so that a pointer that was kept shows. */
struct fake {
    struct feed feed;
    struct cell cells[COLUMNS_MAX];
    char buf[512];
    const char *const *rows; /* of schema.count texts each */
    size_t count, at;
    size_t fail_at; /* this row is an error; 0: none is */
    bool *closed;
};

static int fake_next(struct feed *feed)
{
    struct fake *fake = (struct fake *)feed;
    size_t used = 0;

    memset(fake->buf, '#', sizeof fake->buf);
    if (fake->fail_at && fake->at + 1 == fake->fail_at)
        return feed_fail(feed, "row %zu, column %s: the line was cut",
                         fake->fail_at, feed->schema.columns[0].name);
    if (fake->at == fake->count)
        return 0;
    for (size_t i = 0; i < feed->schema.count; i++) {
        const char *text = fake->rows[fake->at * feed->schema.count + i];

        fake->cells[i] = (struct cell){0};
        if (!text)
            continue;
        fake->cells[i].len = strlen(text);
        fake->cells[i].bytes = fake->buf + used;
        memcpy(fake->buf + used, text, fake->cells[i].len);
        used += fake->cells[i].len;
    }
    fake->at++;
    feed->rows++;
    return 1;
}

static void fake_close(struct feed *feed)
{
    struct fake *fake = (struct fake *)feed;

    if (fake->closed)
        *fake->closed = true;
    schema_clear(&feed->schema);
    free(fake);
}

/* types: a type_name() a column, separated by blanks. */
static struct feed *fake_feed(const char *types, const char *const *rows,
                              size_t count)
{
    struct fake *fake = calloc(1, sizeof *fake);
    char words[200], *save, name[8];

    assert_non_null(fake);
    snprintf(words, sizeof words, "%s", types);
    for (char *word = strtok_r(words, " ", &save); word;
         word = strtok_r(NULL, " ", &save)) {
        enum type type;

        assert_true(type_find(word, &type));
        snprintf(name, sizeof name, "n%zu", fake->feed.schema.count);
        assert_non_null(schema_add(&fake->feed.schema, name, type));
    }
    fake->feed.cells = fake->cells;
    fake->feed.next = fake_next;
    fake->feed.close = fake_close;
    fake->rows = rows;
    fake->count = count;
    return &fake->feed;
}

/* The rows of a statement: "a|b\n", NULLs as "-"; or the error. */
static const char *ask(sqlite3 *db, const char *sql)
{
    static char answer[4096];
    sqlite3_stmt *stmt;
    size_t len = 0;
    int rc;

    answer[0] = '\0';
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
        return sqlite3_errmsg(db);
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(stmt); i++) {
            const unsigned char *text = sqlite3_column_text(stmt, i);

            len +=
                (size_t)snprintf(answer + len, sizeof answer - len, "%s%s",
                                 i ? "|" : "", text ? (const char *)text : "-");
        }
        len += (size_t)snprintf(answer + len, sizeof answer - len, "\n");
        assert_true(len < sizeof answer);
    }
    if (rc != SQLITE_DONE)
        snprintf(answer, sizeof answer, "%s", sqlite3_errmsg(db));
    sqlite3_finalize(stmt);
    return answer;
}

static int open_db(void **state)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    *state = db;
    return 0;
}

static int close_db(void **state)
{
    assert_int_equal(sqlite3_close(*state), SQLITE_OK);
    return 0;
}

static const char *const PEOPLE[] = {
    "3", "carol", "ny",   /**/
    "1", "alice", "rome", /**/
    "2", "bob",   "ny",   /**/
    "4", "dave",  NULL,
};
static const char *const CITIES[] = {"ny", "New York", "rome", "Roma"};

static void every_type_arrives_as_the_value_that_it_is(void **state)
{
    static const char *const ROW[] = {
        "-42",  "007.50",     "1.5e3",
        "t",    "f",          "0123",
        "\x01", "2024-01-31", "2024-01-31 10:00:00",
        "x",
    };
    struct feed *feed = fake_feed("integer decimal double boolean boolean text "
                                  "bytes date timestamp timestamptz",
                                  ROW, 1);

    assert_int_equal(feed_table(*state, "f", feed), 0);
    assert_string_equal(
        ask(*state, "SELECT typeof(c0), c0, typeof(c1), c1, typeof(c2), c2, "
                    "c3, c4, typeof(c5), c5, typeof(c6), hex(c6), typeof(c7), "
                    "c7, c8, c9 FROM f"),
        "integer|-42|text|007.50|real|1500.0|1|0|text|0123|blob|01|text|"
        "2024-01-31|2024-01-31 10:00:00|x\n");
    feed_close(&feed);
    assert_null(feed);
}

static void nulls_and_empty_texts_are_not_the_same(void **state)
{
    static const char *const ROWS[] = {NULL, NULL, NULL, NULL, "", "0"};
    struct feed *feed = fake_feed("text integer", ROWS, 3);

    assert_int_equal(feed_table(*state, "f", feed), 0);
    assert_string_equal(ask(*state, "SELECT c0 IS NULL, length(c0), c1 FROM f"),
                        "1|-|-\n1|-|-\n0|0|0\n");
    feed_close(&feed);
}

static void integers_of_64_bits_arrive_exactly(void **state)
{
    static const char *const ROWS[] = {
        "9223372036854775807", "-9223372036854775808", "999999999999999999",
        "-999999999999999999", "1000000000000000000",  "0",
    };
    struct feed *feed = fake_feed("integer", ROWS, 6);

    assert_int_equal(feed_table(*state, "f", feed), 0);
    assert_string_equal(ask(*state, "SELECT c0 FROM f WHERE "
                                    "typeof(c0) = 'integer'"),
                        "9223372036854775807\n-9223372036854775808\n"
                        "999999999999999999\n-999999999999999999\n"
                        "1000000000000000000\n0\n");
    feed_close(&feed);
}

static void doubles_are_the_nearest_ones(void **state)
{
    static const char *const TEXTS[] = {
        "0.1",
        "-0.1",
        "123456789012345",
        "1234567890.12345",
        "0.000000000000001",
        ".5",
        "-.5",
        "5.",
        "3.141592653589793",
        "1e308",
        "4.9e-324",
        "999999999999999",
        "9999999999999999",
        "1234567890123456",
        "100.0000000000000000000000000000000000000000000000000000000000001",
        "-0",
    };
    const size_t count = sizeof TEXTS / sizeof TEXTS[0];
    struct feed *feed = fake_feed("double", TEXTS, count);
    sqlite3_stmt *stmt;

    assert_int_equal(feed_table(*state, "f", feed), 0);
    assert_int_equal(
        sqlite3_prepare_v2(*state, "SELECT c0 FROM f", -1, &stmt, NULL),
        SQLITE_OK);
    for (size_t i = 0; i < count; i++) {
        double expected = strtod(TEXTS[i], NULL), got;

        assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
        assert_int_equal(sqlite3_column_type(stmt, 0), SQLITE_FLOAT);
        got = sqlite3_column_double(stmt, 0);
        if (memcmp(&got, &expected, sizeof got) != 0)
            fail_msg("%s arrived as %.17g", TEXTS[i], got);
    }
    assert_int_equal(sqlite3_step(stmt), SQLITE_DONE);
    sqlite3_finalize(stmt);
    feed_close(&feed);
}

static void a_cell_that_is_not_of_its_type_is_an_error(void **state)
{
    static const char *const BAD[] = {
        "12x", "", "-", "99999999999999999999", "9223372036854775808", "1e3",
    };

    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        struct feed *feed = fake_feed("integer", &BAD[i], 1);
        char name[8], sql[40];

        snprintf(name, sizeof name, "f%zu", i);
        snprintf(sql, sizeof sql, "SELECT c0 FROM %s", name);
        assert_int_equal(feed_table(*state, name, feed), 0);
        assert_string_equal(ask(*state, sql),
                            "row 1, column n0: not of type integer");
        feed_close(&feed);
    }
    static const char *const NO_DOUBLES[] = {"", "nan", "1.2.3", "-", "."};
    for (size_t i = 0; i < sizeof NO_DOUBLES / sizeof NO_DOUBLES[0]; i++) {
        struct feed *feed = fake_feed("double", &NO_DOUBLES[i], 1);
        char name[8], sql[40];

        snprintf(name, sizeof name, "d%zu", i);
        snprintf(sql, sizeof sql, "SELECT c0 FROM %s", name);
        assert_int_equal(feed_table(*state, name, feed), 0);
        assert_string_equal(ask(*state, sql),
                            "row 1, column n0: not of type double");
        feed_close(&feed);
    }
}

/* Each of these keeps a value of a row beyond it. */
static void values_outlive_their_row(void **state)
{
    static const struct {
        const char *sql, *answer;
    } CASES[] = {
        {"SELECT max(c1), min(c1) FROM f", "dave|alice\n"},
        {"SELECT c1, max(c0) FROM f", "dave|4\n"},
        {"SELECT c1, min(c0) FROM f", "alice|1\n"},
        {"SELECT c1, lag(c1) OVER (ORDER BY c0), "
         "last_value(c1) OVER (ORDER BY c0) FROM f",
         "alice|-|alice\nbob|alice|bob\ncarol|bob|carol\ndave|carol|dave\n"},
        {"SELECT first_value(c1) OVER (), nth_value(c1, 2) OVER () FROM f "
         "LIMIT 1",
         "carol|alice\n"},
        {"SELECT c1 FROM f ORDER BY c0 DESC", "dave\ncarol\nbob\nalice\n"},
        {"SELECT DISTINCT c2 FROM f", "ny\nrome\n-\n"},
        {"SELECT c2, count(*), group_concat(c1) FROM f GROUP BY c2",
         "-|1|dave\nny|2|carol,bob\nrome|1|alice\n"},
        {"WITH m AS MATERIALIZED (SELECT * FROM f) "
         "SELECT a.c1, b.c1 FROM m a JOIN m b ON b.c0 = a.c0 + 1 ORDER BY 1",
         "alice|bob\nbob|carol\ncarol|dave\n"},
        {"SELECT c1 FROM f UNION SELECT 'x' ORDER BY 1",
         "alice\nbob\ncarol\ndave\nx\n"},
        {"SELECT c1 FROM (SELECT c1, c0 FROM f LIMIT 3 OFFSET 1) "
         "ORDER BY c0",
         "alice\nbob\ndave\n"},
    };

    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct feed *feed = fake_feed("integer text text", PEOPLE, 4);

        assert_int_equal(feed_table(*state, "f", feed), 0);
        assert_string_equal(ask(*state, CASES[i].sql), CASES[i].answer);
        ask(*state, "DROP TABLE f");
        feed_close(&feed);
    }
}

static void two_feeds_join_when_one_is_materialised(void **state)
{
    struct feed *people = fake_feed("integer text text", PEOPLE, 4);
    struct feed *cities = fake_feed("text text", CITIES, 2);

    assert_int_equal(feed_table(*state, "people", people), 0);
    assert_int_equal(feed_table(*state, "cities", cities), 0);
    assert_string_equal(
        ask(*state, "WITH c AS MATERIALIZED (SELECT c0, c1 FROM cities) "
                    "SELECT p.c1, c.c1 FROM people p LEFT JOIN c "
                    "ON c.c0 = p.c2 ORDER BY p.c0"),
        "alice|Roma\nbob|New York\ncarol|New York\ndave|-\n");
    feed_close(&people);
    feed_close(&cities);
}

static void a_feed_joins_a_table_as_the_outer_loop(void **state)
{
    struct feed *people = fake_feed("integer text text", PEOPLE, 4);

    ask(*state, "CREATE TABLE city(code, name)");
    ask(*state, "INSERT INTO city VALUES('ny', 'New York'), ('rome', 'Roma')");
    assert_int_equal(feed_table(*state, "people", people), 0);
    assert_string_equal(ask(*state,
                            "SELECT p.c1, c.name FROM city c JOIN people p "
                            "ON c.code = p.c2 ORDER BY p.c0"),
                        "alice|Roma\nbob|New York\ncarol|New York\n");
    feed_close(&people);
}

static void a_second_scan_is_an_error(void **state)
{
    struct feed *feed = fake_feed("integer text text", PEOPLE, 4);

    assert_int_equal(feed_table(*state, "f", feed), 0);
    assert_string_equal(ask(*state, "SELECT count(*) FROM f"), "4\n");
    assert_non_null(strstr(ask(*state, "SELECT count(*) FROM f"),
                           "cannot be read a second time"));
    feed_close(&feed);
}

static void
a_scan_as_the_inner_loop_is_an_error_and_no_missing_rows(void **state)
{
    struct feed *people = fake_feed("integer text text", PEOPLE, 4);
    struct feed *cities = fake_feed("text text", CITIES, 2);

    assert_int_equal(feed_table(*state, "people", people), 0);
    assert_int_equal(feed_table(*state, "cities", cities), 0);
    assert_non_null(strstr(ask(*state, "SELECT p.c1, c.c1 FROM people p LEFT "
                                       "JOIN cities c ON c.c0 = p.c2"),
                           "cannot be read a second time"));
    feed_close(&people);
    feed_close(&cities);
}

static void a_feed_without_rows_is_an_empty_table(void **state)
{
    struct feed *feed = fake_feed("integer text", NULL, 0);

    assert_int_equal(feed_table(*state, "f", feed), 0);
    assert_string_equal(ask(*state, "SELECT count(*), max(c1) FROM f"),
                        "0|-\n");
    feed_close(&feed);
}

static void an_error_of_the_feed_is_the_statements(void **state)
{
    for (size_t at = 1; at <= 3; at += 2) {
        struct feed *feed = fake_feed("integer text text", PEOPLE, 4);

        ((struct fake *)feed)->fail_at = at;
        assert_int_equal(feed_table(*state, "f", feed), 0);
        assert_non_null(strstr(ask(*state, "SELECT * FROM f ORDER BY c0"),
                               "column n0: the line was cut"));
        ask(*state, "DROP TABLE f");
        feed_close(&feed);
    }
}

static void names_are_quoted(void **state)
{
    struct feed *feed = fake_feed("integer text text", PEOPLE, 4);

    assert_int_equal(feed_table(*state, "a \"b' c", feed), 0);
    assert_string_equal(ask(*state, "SELECT count(*) FROM temp.\"a \"\"b' c\""),
                        "4\n");
    feed_close(&feed);
}

static void a_name_that_is_taken_is_refused_and_the_first_goes_on(void **state)
{
    struct feed *first = fake_feed("integer text text", PEOPLE, 4);
    struct feed *second = fake_feed("text text", CITIES, 2);

    assert_int_equal(feed_table(*state, "f", first), 0);
    assert_int_equal(feed_table(*state, "f", second), -EIO);
    assert_string_equal(ask(*state, "SELECT count(c2) FROM f"), "3\n");
    feed_close(&first);
    feed_close(&second);
}

static void a_feed_of_many_columns_is_read_by_any_of_them(void **state)
{
    struct feed *feed;
    struct cell *cells;

    assert_int_equal(feed_sequence("n0", 7, 1, 2, &feed), 0);
    /* The sequence has one cell; the others are NULL here. */
    cells = calloc(SCHEMA_COLUMNS_MAX, sizeof *cells);
    assert_non_null(cells);
    for (size_t i = 1; i < SCHEMA_COLUMNS_MAX; i++)
        assert_non_null(schema_add(&feed->schema, "n", TYPE_TEXT));
    cells[SCHEMA_COLUMNS_MAX - 1] = (struct cell){"end", 3};
    feed->cells = cells;
    assert_int_equal(feed_table(*state, "f", feed), 0);
    assert_string_equal(ask(*state, "SELECT c0, c800, c1599 FROM f"),
                        "-|-|end\n-|-|end\n");
    feed_close(&feed);
    free(cells);
}

static void a_sequence_counts_by_its_step(void **state)
{
    struct feed *feed;

    assert_int_equal(feed_sequence("n", 10, -5, 4, &feed), 0);
    assert_int_equal(feed_table(*state, "s", feed), 0);
    assert_string_equal(ask(*state, "SELECT c0 FROM s"), "10\n5\n0\n-5\n");
    assert_int_equal(feed->rows, 4);
    feed_close(&feed);
}

static void a_sequence_goes_to_the_last_integer_and_not_beyond(void **state)
{
    struct feed *feed = NULL;

    assert_int_equal(feed_sequence("n", INT64_MAX - 1, 1, 3, &feed), -ERANGE);
    assert_int_equal(feed_sequence("n", INT64_MIN, -1, 2, &feed), -ERANGE);
    assert_int_equal(feed_sequence("n", 0, 1, UINT64_MAX, &feed), -ERANGE);
    assert_null(feed);
    assert_int_equal(feed_sequence("n", INT64_MAX - 1, 1, 2, &feed), 0);
    assert_int_equal(feed_table(*state, "s", feed), 0);
    assert_string_equal(ask(*state, "SELECT c0 FROM s"),
                        "9223372036854775806\n9223372036854775807\n");
    feed_close(&feed);
    assert_int_equal(feed_sequence("n", 5, 0, 3, &feed), 0);
    feed_close(&feed);
    assert_int_equal(feed_sequence("n", 5, 1, 0, &feed), 0);
    assert_int_equal(feed->next(feed), 0);
    feed_close(&feed);
}

static void closing_nothing_is_fine_and_closing_closes(void **state)
{
    struct feed *feed = NULL;
    struct sink *sink = NULL;
    bool closed = false;

    (void)state;
    feed_close(&feed);
    sink_close(&sink);
    feed = fake_feed("integer", NULL, 0);
    ((struct fake *)feed)->closed = &closed;
    feed_close(&feed);
    assert_true(closed);
}

static void a_long_error_is_cut(void **state)
{
    struct feed *feed = fake_feed("integer", NULL, 0);

    (void)state;
    assert_int_equal(feed_fail(feed, "%0600d", 1), -1);
    assert_int_equal(strlen(feed->error), FEED_ERROR_MAX - 1);
    feed_close(&feed);
}

static void nowhere_counts_and_forgets(void **state)
{
    struct feed *feed = fake_feed("integer text", NULL, 0);
    struct sink *sink;

    (void)state;
    assert_int_equal(sink_nowhere(&feed->schema, &sink), 0);
    feed_close(&feed);
    assert_int_equal(sink->schema.count, 2);
    assert_int_equal(sink->begin(sink), SINK_OK);
    assert_int_equal(sink->row(sink, NULL), SINK_OK);
    assert_int_equal(sink->row(sink, NULL), SINK_OK);
    assert_int_equal(sink->commit(sink), SINK_OK);
    assert_int_equal(sink->rows, 2);
    assert_int_equal(sink_fail(sink, "no %s", "disk"), SINK_FAILED);
    assert_string_equal(sink->error, "no disk");
    sink->abort(sink);
    sink_close(&sink);
    assert_null(sink);
}

#define WITH_DB(test) cmocka_unit_test_setup_teardown(test, open_db, close_db)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DB(every_type_arrives_as_the_value_that_it_is),
        WITH_DB(nulls_and_empty_texts_are_not_the_same),
        WITH_DB(integers_of_64_bits_arrive_exactly),
        WITH_DB(doubles_are_the_nearest_ones),
        WITH_DB(a_cell_that_is_not_of_its_type_is_an_error),
        WITH_DB(values_outlive_their_row),
        WITH_DB(two_feeds_join_when_one_is_materialised),
        WITH_DB(a_feed_joins_a_table_as_the_outer_loop),
        WITH_DB(a_second_scan_is_an_error),
        WITH_DB(a_scan_as_the_inner_loop_is_an_error_and_no_missing_rows),
        WITH_DB(a_feed_without_rows_is_an_empty_table),
        WITH_DB(an_error_of_the_feed_is_the_statements),
        WITH_DB(names_are_quoted),
        WITH_DB(a_name_that_is_taken_is_refused_and_the_first_goes_on),
        WITH_DB(a_feed_of_many_columns_is_read_by_any_of_them),
        WITH_DB(a_sequence_counts_by_its_step),
        WITH_DB(a_sequence_goes_to_the_last_integer_and_not_beyond),
        cmocka_unit_test(closing_nothing_is_fine_and_closing_closes),
        cmocka_unit_test(a_long_error_is_cut),
        cmocka_unit_test(nowhere_counts_and_forgets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
