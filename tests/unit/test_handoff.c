/* Covers agents/handoff.c: rows that one unit leaves for a later one come back
 * as they were, or not at all. */
#include "agents/handoff.h"

#include "agents/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { NODE = 7 };

static char directory[] = "/tmp/test-handoff-XXXXXX";

/* The files are in the working directory. */
static int enter(void **state)
{
    (void)state;
    return mkdtemp(directory) && chdir(directory) == 0 ? 0 : -1;
}

static int leave(void **state)
{
    char command[100];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", directory);
    return chdir("/") < 0 || system(command) != 0; /* NOLINT: fixed */
}

static const struct {
    const char *name;
    enum type type;
} columns[] = {
    {"t", TYPE_TEXT},
    {"i", TYPE_INTEGER},
    {"d", TYPE_DECIMAL},
    {"f", TYPE_DOUBLE},
    {"b", TYPE_BOOLEAN},
    {"day", TYPE_DATE},
    {"at", TYPE_TIMESTAMP},
    {"moment", TYPE_TIMESTAMPTZ},
    {"it's \"raw\"", TYPE_BYTES},
};
enum { COLUMNS = sizeof columns / sizeof *columns };

static struct schema all_types(void)
{
    struct schema schema = {0};

    for (size_t i = 0; i < COLUMNS; i++)
        assert_non_null(schema_add(&schema, columns[i].name, columns[i].type));
    return schema;
}

/* Writes the rows of a query; commits if it is to. */
static void leave_rows(uint32_t node, const struct schema *schema,
                       const char *sql, bool commit)
{
    char error[SINK_ERROR_MAX] = "";
    struct sink *sink = NULL;
    sqlite3_stmt *stmt;
    sqlite3 *db;

    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    if (handoff_sink(node, schema, &sink, error) < 0)
        fail_msg("%s", error);
    assert_int_equal(sink->begin(sink), SINK_OK);
    while (sqlite3_step(stmt) == SQLITE_ROW)
        assert_int_equal(sink->row(sink, stmt), SINK_OK);
    if (commit)
        assert_int_equal(sink->commit(sink), SINK_OK);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    sink_close(&sink);
}

static struct feed *open_rows(uint32_t node)
{
    char error[FEED_ERROR_MAX] = "";
    struct feed *feed = NULL;

    if (handoff_feed(node, &feed, error) < 0)
        fail_msg("%s", error);
    return feed;
}

static void assert_cell(const struct feed *feed, size_t i, const char *bytes,
                        size_t len)
{
    const struct cell *cell = &feed->cells[i];

    if (!cell->bytes || cell->len != len ||
        memcmp(cell->bytes, bytes, len) != 0)
        fail_msg("%s is \"%.*s\"", feed->schema.columns[i].name, (int)cell->len,
                 cell->bytes ? cell->bytes : "(NULL)");
}

static void every_type_comes_back_as_it_was(void **state)
{
    static const char *const cells[2][COLUMNS] = {
        {"\xC3\xBC\n", "-9223372036854775808", "12.50", "0.10000000000000001",
         "t", "2024-02-29", "2024-02-29 12:00:00.5", "2024-02-29 12:00:00+00",
         ""},
        {"", "9223372036854775807", "7", "1e+300", "f", "0001-01-01",
         "9999-12-31 23:59:59.999999", "0001-01-01 00:00:00+00", ""},
    };
    struct schema schema = all_types();

    (void)state;
    leave_rows(NODE, &schema,
               "VALUES ('\xC3\xBC' || char(10), -9223372036854775807 - 1, "
               "'12.50', 0.1, 1, '2024-02-29', '2024-02-29 12:00:00.5', "
               "'2024-02-29 12:00:00+00', x'00ff27'), "
               "('', 9223372036854775807, '7', 1e300, 0, '0001-01-01', "
               "'9999-12-31 23:59:59.999999', '0001-01-01 00:00:00+00', x'')",
               true);
    struct feed *feed = open_rows(NODE);
    assert_int_equal(feed->schema.count, COLUMNS);
    for (size_t i = 0; i < COLUMNS; i++) {
        assert_string_equal(feed->schema.columns[i].name, columns[i].name);
        assert_int_equal(feed->schema.columns[i].type, columns[i].type);
    }
    for (size_t row = 0; row < 2; row++) {
        assert_int_equal(feed->next(feed), 1);
        for (size_t i = 0; i + 1 < COLUMNS; i++)
            if (columns[i].type == TYPE_DOUBLE)
                assert_true(strtod(feed->cells[i].bytes, NULL) ==
                            strtod(cells[row][i], NULL));
            else
                assert_cell(feed, i, cells[row][i], strlen(cells[row][i]));
        assert_cell(feed, COLUMNS - 1, "\0\xff'", row == 0 ? 3 : 0);
    }
    assert_int_equal(feed->next(feed), 0);
    assert_int_equal(feed->rows, 2);
    feed_close(&feed);
    schema_clear(&schema);
}

static void nulls_come_back_as_nulls(void **state)
{
    struct schema schema = all_types();

    (void)state;
    leave_rows(NODE, &schema,
               "VALUES (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
               true);
    struct feed *feed = open_rows(NODE);
    assert_int_equal(feed->next(feed), 1);
    for (size_t i = 0; i < COLUMNS; i++)
        assert_null(feed->cells[i].bytes);
    assert_int_equal(feed->next(feed), 0);
    feed_close(&feed);
    schema_clear(&schema);
}

static void no_rows_are_handed_over_too(void **state)
{
    struct schema schema = all_types();

    (void)state;
    leave_rows(NODE, &schema, "SELECT 1 WHERE 0", true);
    struct feed *feed = open_rows(NODE);
    assert_int_equal(feed->schema.count, COLUMNS);
    assert_int_equal(feed->next(feed), 0);
    assert_int_equal(feed->rows, 0);
    feed_close(&feed);
    schema_clear(&schema);
}

static void as_many_columns_as_there_may_be(void **state)
{
    struct schema schema = {0};
    struct text sql = {0};
    char name[20];

    (void)state;
    for (int i = 0; i < SCHEMA_COLUMNS_MAX; i++) {
        snprintf(name, sizeof name, "column %d", i);
        assert_non_null(schema_add(&schema, name, TYPE_INTEGER));
        text_addf(&sql, "%s%d", i ? ", " : "SELECT ", i);
    }
    leave_rows(NODE, &schema, sql.bytes, true);
    struct feed *feed = open_rows(NODE);
    assert_int_equal(feed->schema.count, SCHEMA_COLUMNS_MAX);
    assert_int_equal(feed->next(feed), 1);
    assert_cell(feed, SCHEMA_COLUMNS_MAX - 1, "1599", 4);
    feed_close(&feed);
    text_clear(&sql);
    schema_clear(&schema);
}

/* The process that wrote it died, or something in it failed. */
static void what_was_not_finished_is_not_read(void **state)
{
    char error[FEED_ERROR_MAX] = "";
    struct schema schema = all_types();
    struct feed *feed = NULL;

    (void)state;
    leave_rows(11, &schema, "SELECT 1, 2, 3, 4, 5, 6, 7, 8, 9", false);
    assert_true(handoff_feed(11, &feed, error) < 0);
    assert_null(feed);
    assert_string_equal(error, "cannot read the rows of an earlier node");
    schema_clear(&schema);
}

static void what_was_never_written_is_an_error(void **state)
{
    char error[FEED_ERROR_MAX] = "";
    struct feed *feed = NULL;

    (void)state;
    assert_true(handoff_feed(12, &feed, error) < 0);
    assert_string_equal(error, "cannot read the rows of an earlier node");
    /* And asking does not make it. */
    assert_int_equal(access("dispatch-rows-12.db", F_OK), -1);
}

static void a_second_writer_begins_afresh(void **state)
{
    struct schema schema = {0};

    (void)state;
    assert_non_null(schema_add(&schema, "n", TYPE_INTEGER));
    leave_rows(13, &schema, "SELECT 1", false);
    leave_rows(13, &schema, "SELECT 2", true);
    leave_rows(13, &schema, "SELECT 3", true);
    struct feed *feed = open_rows(13);
    assert_int_equal(feed->next(feed), 1);
    assert_cell(feed, 0, "3", 1);
    assert_int_equal(feed->next(feed), 0);
    feed_close(&feed);
    schema_clear(&schema);
}

static void a_file_that_is_none_of_ours_is_an_error(void **state)
{
    char error[FEED_ERROR_MAX] = "";
    struct feed *feed = NULL;
    FILE *file = fopen("dispatch-rows-14.db", "we");

    (void)state;
    fputs("SQLite format 3? no", file);
    fclose(file);
    assert_true(handoff_feed(14, &feed, error) < 0);
    assert_string_equal(error, "cannot read the rows of an earlier node");
}

static void rows_given_up_are_gone(void **state)
{
    char error[FEED_ERROR_MAX] = "";
    struct schema schema = {0};
    struct feed *feed = NULL;
    struct sink *sink;

    (void)state;
    assert_non_null(schema_add(&schema, "n", TYPE_INTEGER));
    assert_int_equal(handoff_sink(15, &schema, &sink, error), 0);
    assert_int_equal(sink->begin(sink), SINK_OK);
    sink->abort(sink);
    sink_close(&sink);
    assert_true(handoff_feed(15, &feed, error) < 0);
    schema_clear(&schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_comes_back_as_it_was),
        cmocka_unit_test(nulls_come_back_as_nulls),
        cmocka_unit_test(no_rows_are_handed_over_too),
        cmocka_unit_test(as_many_columns_as_there_may_be),
        cmocka_unit_test(what_was_not_finished_is_not_read),
        cmocka_unit_test(what_was_never_written_is_an_error),
        cmocka_unit_test(a_second_writer_begins_afresh),
        cmocka_unit_test(a_file_that_is_none_of_ours_is_an_error),
        cmocka_unit_test(rows_given_up_are_gone),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
