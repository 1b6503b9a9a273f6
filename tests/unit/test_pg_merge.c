/* Covers the merges and skipped rows of agents/pg_writer.c on a real server. */
#include "tests/unit/pg_fixture.h"

/* ---- merge
 * ------------------------------------------------------------------- */

static void a_merge_updates_what_is_there_and_inserts_the_rest(void **state)
{
    struct loading loading;
    struct sink after;

    NEEDS_SERVER();
    (void)state;
    run("CREATE TABLE t (id int PRIMARY KEY, a text, b text DEFAULT 'kept'); "
        "INSERT INTO t VALUES (1, 'old', 'mine'), (2, 'two', 'mine')");
    loading_init(&loading, "t", LOAD_MERGE, "id integer a text");
    loading_key(&loading, "ID");
    assert_int_equal(
        load_rows(&loading, "VALUES (1, 'new'), (3, 'three')", &after),
        SINK_OK);
    assert_int_equal(after.rows, 2);
    assert_string_equal(
        ask("SELECT string_agg(concat(id, a, b), ' ' ORDER BY id) FROM t"),
        "1newmine 2twomine 3threekept");
    schema_clear(&loading.given);
    nothing_is_open();
}

static void a_merge_of_keys_alone_inserts_what_is_missing(void **state)
{
    struct loading loading;

    NEEDS_SERVER();
    (void)state;
    run("CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY); "
        "INSERT INTO t DEFAULT VALUES");
    loading_init(&loading, "t", LOAD_MERGE, "id integer");
    loading_key(&loading, "id");
    assert_int_equal(load_rows(&loading, "VALUES (1), (5)", NULL), SINK_OK);
    assert_string_equal(ask("SELECT sum(id) FROM t"), "6");
    schema_clear(&loading.given);
}

static void a_merge_needs_a_unique_index_on_its_key(void **state)
{
    struct loading loading;

    NEEDS_SERVER();
    (void)state;
    run("CREATE TABLE t (id int, a int, b int, UNIQUE (a, b)); "
        "CREATE UNIQUE INDEX ON t (id) WHERE a > 0; CREATE INDEX ON t (id)");
    loading_init(&loading, "t", LOAD_MERGE, "id integer");
    refused(&loading, "a merge needs a key");
    loading_init(&loading, "t", LOAD_MERGE, "id integer a integer");
    loading_key(&loading, "id");
    refused(&loading, "CREATE UNIQUE INDEX ON \"public\".\"t\" (\"id\")");
    loading_init(&loading, "t", LOAD_MERGE, "id integer a integer");
    loading_key(&loading, "a");
    refused(&loading, "(\"a\")");
    loading_init(&loading, "t", LOAD_MERGE, "id integer a integer");
    loading_key(&loading, "b");
    refused(&loading, "the key \"b\" is not among the given columns");
    static const char *const both[] = {"b", "a"};
    loading_init(&loading, "t", LOAD_MERGE, "a integer b integer");
    loading.load.key = both;
    loading.load.key_count = 2;
    assert_int_equal(load_rows(&loading, "VALUES (1, 2)", NULL), SINK_OK);
    schema_clear(&loading.given);
}

static void one_key_twice_in_a_merge_is_named(void **state)
{
    struct loading loading;

    NEEDS_SERVER();
    (void)state;
    run("CREATE TABLE t (id int PRIMARY KEY, a text)");
    loading_init(&loading, "t", LOAD_MERGE, "id integer a text");
    loading_key(&loading, "id");
    assert_int_equal(
        load_rows(&loading, "VALUES (1, 'a'), (2, 'b'), (2, 'c')", NULL),
        SINK_FAILED);
    assert_true(says(place.error, "the same key (id) = (2)"));
    assert_string_equal(ask("SELECT count(*) FROM t"), "0");
    schema_clear(&loading.given);
}

/* ---- skip
 * -------------------------------------------------------------------- */

static void bad_rows_among_thousands_are_left_out(void **state)
{
    struct loading loading;
    struct sink after;

    NEEDS_SERVER();
    (void)state;
    run("CREATE TABLE r (id int PRIMARY KEY); INSERT INTO r SELECT "
        "generate_series(1, 5000) EXCEPT SELECT 333; "
        "CREATE TABLE t (id int PRIMARY KEY REFERENCES r, q smallint "
        "CHECK (q < 9), x text NOT NULL)");
    loading_init(&loading, "t", LOAD_APPEND, "id integer q integer x text");
    loading.load.skip = true;
    assert_int_equal(
        load_rows(&loading,
                  "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 "
                  "FROM n WHERE i < 3500) SELECT CASE i WHEN 1500 THEN 1499 "
                  "ELSE i END, CASE i WHEN 7 THEN 9 WHEN 8 THEN 'bad' WHEN "
                  "3500 THEN 70000 ELSE 1 END, "
                  "CASE i WHEN 2000 THEN NULL ELSE 'x' END FROM n",
                  &after),
        SINK_OK);
    assert_int_equal(after.rejected, 6); /* 7, 8, 333, 1500, 2000, 3500 */
    assert_int_equal(after.rows, 3494);
    assert_true(says(place.error, "row"));
    assert_string_equal(ask("SELECT count(*) FROM t"), "3494");
    assert_string_equal(ask("SELECT string_agg(n::text, ' ' ORDER BY n) FROM "
                            "generate_series(1, 3500) n WHERE NOT EXISTS "
                            "(SELECT FROM t WHERE id = n)"),
                        "7 8 333 1500 2000 3500");
    assert_string_equal(ask("SELECT loaded_rows FROM dispatch_loads"), "3494");
    schema_clear(&loading.given);
    nothing_is_open();
}

static void a_load_that_is_all_bad_is_all_skipped(void **state)
{
    struct loading loading;
    struct sink after;

    NEEDS_SERVER();
    (void)state;
    run("CREATE TABLE t (id int)");
    loading_init(&loading, "t", LOAD_APPEND, "id integer");
    loading.load.skip = true;
    assert_int_equal(load_rows(&loading,
                               "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL "
                               "SELECT i + 1 FROM n WHERE i < 200) SELECT "
                               "'bad' FROM n",
                               &after),
                     SINK_OK);
    assert_int_equal(after.rejected, 200);
    assert_int_equal(after.rows, 0);
    assert_true(says(place.error, "\"bad\" (row 1, column id)"));
    schema_clear(&loading.given);
}

static void every_second_row_may_be_bad(void **state)
{
    struct loading loading;
    struct sink after;

    NEEDS_SERVER();
    (void)state;
    run("CREATE TABLE t (id int CHECK (id % 2 = 0))");
    loading_init(&loading, "t", LOAD_APPEND, "id integer");
    loading.load.skip = true;
    assert_int_equal(load_rows(&loading,
                               "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL "
                               "SELECT i + 1 FROM n WHERE i < 1500) SELECT i "
                               "FROM n",
                               &after),
                     SINK_OK);
    assert_int_equal(after.rejected, 750);
    assert_int_equal(after.rows, 750);
    assert_string_equal(ask("SELECT count(DISTINCT id) FROM t"), "750");
    schema_clear(&loading.given);
}

static void a_merge_skips_refused_rows_and_twins(void **state)
{
    struct loading loading;
    struct sink after;

    NEEDS_SERVER();
    (void)state;
    run("CREATE TABLE t (id int PRIMARY KEY, q smallint CHECK (q < 9), "
        "dispatch_row int); INSERT INTO t VALUES (1, 1)");
    loading_init(&loading, "t", LOAD_MERGE,
                 "id integer q integer dispatch_row integer");
    loading_key(&loading, "id");
    loading.load.skip = true;
    assert_int_equal(load_rows(&loading,
                               "VALUES (1, 2, 0), (2, 9, 0), (3, 3, 0), "
                               "(3, 4, 0), ('x', 1, 0), (NULL, 1, 0), "
                               "(4, 4, 4)",
                               &after),
                     SINK_OK);
    assert_int_equal(after.rejected, 4);
    assert_int_equal(after.rows, 3);
    assert_string_equal(
        ask("SELECT string_agg(concat(id, ':', q), ' ' ORDER BY id) FROM t"),
        "1:2 3:3 4:4");
    schema_clear(&loading.given);
}

#define TEST(name) cmocka_unit_test_setup(name, empty_place)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_merge_updates_what_is_there_and_inserts_the_rest),
        TEST(a_merge_of_keys_alone_inserts_what_is_missing),
        TEST(a_merge_needs_a_unique_index_on_its_key),
        TEST(one_key_twice_in_a_merge_is_named),
        TEST(bad_rows_among_thousands_are_left_out),
        TEST(a_load_that_is_all_bad_is_all_skipped),
        TEST(every_second_row_may_be_bad),
        TEST(a_merge_skips_refused_rows_and_twins),
    };

    return cmocka_run_group_tests(tests, open_place, close_place);
}
