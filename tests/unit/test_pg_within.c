/* Covers agents/pg_load.c on a real server: loads within a server and from one
 * session to another, statements of sql nodes. */
#include "tests/unit/pg_fixture.h"

/* ---- within servers
 * ---------------------------------------------------------- */

static int insert_select(struct loading *loading, const char *select,
                         bool reads_target, uint64_t *rows)
{
    struct pg *pg = open_pg();
    bool done = false;
    int r =
        pg_insert_select(pg, &loading->load, select, reads_target, &done, rows);

    (void)snprintf(place.error, sizeof place.error, "%s", pg_error(pg));
    assert_string_equal(ask("SELECT count(*) FROM pg_stat_activity WHERE "
                            "application_name LIKE 'dispatch%' AND datname = "
                            "current_database() AND state <> 'idle'"),
                        "0");
    pg_close(&pg);
    schema_clear(&loading->given);
    return r ? r : done;
}

static void a_select_is_assigned_within_the_server(void **state)
{
    struct loading loading;
    uint64_t rows = 0;

    NEEDS_SERVER();
    (void)state;
    run("CREATE TABLE t (i int, n numeric(6,2), u uuid, t text, v varchar(3), "
        "d date, j jsonb)");
    loading_init(&loading, "t", LOAD_APPEND,
                 "i integer n decimal u text t text v text d date j text");
    const char *select =
        "SELECT '12'::text AS i, 1.005::numeric AS n, "
        "'12345678-1234-1234-1234-123456789abc'::text AS u, 5::bigint AS t, "
        "'abc'::text AS v, '2024-02-29 12:00'::timestamp AS d, '[1]'::text AS "
        "j";
    assert_int_equal(insert_select(&loading, select, false, &rows), 0);
    assert_int_equal(rows, 1);
    assert_string_equal(
        ask("SELECT concat_ws('|', i, n, u, t, v, d, j) FROM t"),
        "12|1.01|12345678-1234-1234-1234-123456789abc|5|abc|"
        "2024-02-29|[1]");
    loading_init(&loading, "t", LOAD_APPEND, "v text");
    loading.load.node = "long";
    assert_int_equal(
        insert_select(&loading, "SELECT 'abcd'::text AS a", false, &rows),
        -EIO);
    assert_true(says(place.error, "too long for type character varying(3)"));
    loading_init(&loading, "t", LOAD_APPEND, "i integer v text");
    assert_int_equal(insert_select(&loading, "SELECT 1 AS i", false, &rows),
                     -EINVAL);
    assert_true(says(place.error, "1 columns for 2"));
}

static void a_load_may_read_the_table_it_truncates(void **state)
{
    struct loading loading;
    uint64_t rows = 0;

    NEEDS_SERVER();
    (void)state;
    run("CREATE TABLE t AS SELECT n AS id FROM generate_series(1, 100) n");
    loading_init(&loading, "t", LOAD_TRUNCATE, "id integer");
    assert_int_equal(insert_select(&loading,
                                   "SELECT id FROM t WHERE id % 2 = 0", true,
                                   &rows),
                     0);
    assert_int_equal(rows, 50);
    assert_string_equal(ask("SELECT count(*) FROM t WHERE id % 2 = 0"), "50");
    loading_init(&loading, "t", LOAD_TRUNCATE, "id integer");
    rows = 0;
    assert_int_equal(insert_select(&loading,
                                   "SELECT id FROM t WHERE id % 4 = 0", true,
                                   &rows),
                     1); /* done */
    assert_int_equal(rows, 50);
    assert_string_equal(ask("SELECT count(*) FROM t"), "50");
    loading_init(&loading, "t", LOAD_TRUNCATE, "id integer");
    loading.load.run_id = "run-2";
    assert_int_equal(insert_select(&loading, "SELECT 1 / (id - 4) AS id FROM t",
                                   true, &rows),
                     -EIO);
    assert_true(says(place.error, "division by zero"));
    assert_string_equal(ask("SELECT count(*) FROM t"), "50");
}

static void a_select_is_merged_and_may_create(void **state)
{
    struct loading loading;
    uint64_t rows = 0;

    NEEDS_SERVER();
    (void)state;
    loading_init(&loading, "t", LOAD_MERGE, "id integer a text");
    loading_key(&loading, "id");
    loading.load.create = true;
    assert_int_equal(insert_select(&loading,
                                   "SELECT n AS k, 'a'::text AS v FROM "
                                   "generate_series(1, 3) n",
                                   false, &rows),
                     0);
    assert_int_equal(rows, 3);
    loading_init(&loading, "t", LOAD_MERGE, "id integer a text");
    loading_key(&loading, "id");
    loading.load.node = "again";
    assert_int_equal(insert_select(&loading, "SELECT id, 'b'::text AS a FROM t",
                                   true, &rows),
                     0);
    assert_string_equal(ask("SELECT string_agg(a, '') FROM t"), "bbb");
    loading_init(&loading, "t", LOAD_MERGE, "id integer a text");
    loading_key(&loading, "id");
    loading.load.node = "twice";
    assert_int_equal(insert_select(&loading,
                                   "SELECT n / 2 AS id, 'c'::text AS a FROM "
                                   "generate_series(1, 3) n",
                                   false, &rows),
                     -EIO);
    assert_true(says(place.error, "the same key (id) = (1)"));
    assert_string_equal(ask("SELECT string_agg(a, '') FROM t"), "bbb");
}

static unsigned progressed;

static void progress(void *context, uint64_t rows, uint64_t bytes)
{
    (void)context;
    assert_true(rows > 0 && bytes > rows);
    progressed++;
}

static int across(struct loading *loading, const char *select, uint64_t *rows,
                  uint64_t *bytes)
{
    struct pg *from = open_pg(), *to = open_pg();
    bool done = false;

    assert_int_equal(pg_begin_read(from), 0);
    int r = pg_copy_across(from, select, to, &loading->load, progress, NULL,
                           &done, rows, bytes);
    (void)snprintf(place.error, sizeof place.error, "%s", pg_error(to));
    /* Both sessions go on working. */
    struct schema schema = {0};
    assert_int_equal(pg_describe(from, "SELECT 1 AS a", true, &schema), 0);
    schema_clear(&schema);
    assert_int_equal(pg_describe(to, "SELECT 1 AS a", true, &schema), 0);
    schema_clear(&schema);
    assert_int_equal(pg_end_read(from), 0);
    nothing_is_open();
    pg_close(&from);
    pg_close(&to);
    schema_clear(&loading->given);
    return r ? r : done;
}

static void rows_are_copied_across(void **state)
{
    struct loading loading;
    uint64_t rows = 0, bytes = 0;

    NEEDS_SERVER();
    (void)state;
    run("CREATE TABLE a AS SELECT n AS id, CASE n % 3 WHEN 0 THEN NULL ELSE "
        "E'x\\ty\\n\\\\' || n END AS t FROM generate_series(1, 20000) n; "
        "CREATE TABLE z (LIKE a); INSERT INTO z VALUES (0)");
    loading_init(&loading, "z", LOAD_TRUNCATE, "id integer t text");
    assert_int_equal(across(&loading, "SELECT * FROM a", &rows, &bytes), 0);
    assert_int_equal(rows, 20000);
    assert_true(bytes > 20000 * 5);
    assert_string_equal(ask("SELECT count(*) FROM (TABLE a EXCEPT TABLE z) q"),
                        "0");
    loading_init(&loading, "z", LOAD_TRUNCATE, "id integer t text");
    rows = 0;
    assert_int_equal(across(&loading, "SELECT * FROM a", &rows, &bytes), 1);
    assert_int_equal(rows, 20000);
}

static void either_side_of_a_copy_across_may_fail(void **state)
{
    struct loading loading;
    uint64_t rows = 0, bytes = 0;

    NEEDS_SERVER();
    (void)state;
    run("CREATE TABLE z (id smallint CHECK (id <> 30000)); "
        "INSERT INTO z VALUES (7)");
    loading_init(&loading, "z", LOAD_TRUNCATE, "id integer");
    assert_int_equal(across(&loading,
                            "SELECT 1 / (20000 - n) FROM "
                            "generate_series(1, 30000) n",
                            &rows, &bytes),
                     -EIO);
    assert_true(says(place.error, "division by zero"));
    loading_init(&loading, "z", LOAD_TRUNCATE, "id integer");
    assert_int_equal(across(&loading, "SELECT nope", &rows, &bytes), -EINVAL);
    assert_true(says(place.error, "nope"));
    loading_init(&loading, "z", LOAD_TRUNCATE, "id integer");
    assert_int_equal(
        across(&loading, "SELECT generate_series(1, 40000)", &rows, &bytes),
        -EIO);
    assert_true(says(place.error, "z_id_check\" (row 30000)"));
    assert_string_equal(ask("SELECT string_agg(id::text, ' ') FROM z"), "7");
    loading_init(&loading, "z", LOAD_TRUNCATE, "id integer");
    loading.load.skip = true;
    assert_int_equal(
        across(&loading, "SELECT generate_series(29000, 30500)", &rows, &bytes),
        0);
    assert_int_equal(rows, 1500);
}

/* ---- sql nodes
 * ---------------------------------------------------------------- */

static int execute(const char *sql, const char *node, uint64_t *rows)
{
    struct load fence = {.run_id = "run-1", .node = node, .attempt = 1};
    struct pg *pg = open_pg();
    bool done = false;
    int r = pg_execute(pg, &fence, sql, &done, rows);

    (void)snprintf(place.error, sizeof place.error, "%s", pg_error(pg));
    nothing_is_open();
    pg_close(&pg);
    return r ? r : done;
}

static void a_statement_is_executed_once_a_run(void **state)
{
    uint64_t rows = 0;

    NEEDS_SERVER();
    (void)state;
    run("CREATE TABLE t AS SELECT n AS a FROM generate_series(1, 10) n");
    assert_int_equal(execute("UPDATE t SET a = a + 1 WHERE a > 5;", "u", &rows),
                     0);
    assert_int_equal(rows, 5);
    rows = 0;
    assert_int_equal(execute("UPDATE t SET a = a + 1 WHERE a > 5;", "u", &rows),
                     1);
    assert_int_equal(rows, 5);
    assert_string_equal(ask("SELECT sum(a) FROM t"), "60");
    assert_int_equal(execute("SELECT * FROM t", "s", &rows), 0);
    assert_int_equal(rows, 10);
    assert_int_equal(execute("CREATE TABLE u (a int)", "c", &rows), 0);
    assert_int_equal(rows, 0);
    assert_int_equal(
        execute("INSERT INTO u VALUES (1), (2) RETURNING a", "r", &rows), 0);
    assert_int_equal(rows, 2);
}

static void a_statement_cannot_leave_its_transaction(void **state)
{
    static const char *const refusals[] = {
        "COMMIT",
        "/* a /* b */ */ -- c\n rollback",
        "End;",
        "ABORT",
        "BEGIN",
        "SAVEPOINT a",
        "INSERT INTO t VALUES (1); COMMIT",
        "COPY t FROM STDIN",
        "COPY t TO STDOUT",
        "",
        ";",
        "SELEC",
        "INSERT INTO t VALUES ($1)",
    };
    uint64_t rows = 0;

    NEEDS_SERVER();
    (void)state;
    run("CREATE TABLE t (a int); CREATE PROCEDURE p() LANGUAGE plpgsql AS "
        "$$ BEGIN COMMIT; END $$");
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
        if (execute(refusals[i], "x", &rows) >= 0)
            fail_msg("%s", refusals[i]);
    assert_true(execute("CALL p()", "x", &rows) < 0);
    assert_true(says(place.error, "invalid transaction termination"));
    assert_string_equal(ask("SELECT count(*) FROM dispatch_loads"), "0");
    assert_string_equal(ask("SELECT count(*) FROM t"), "0");
}

#define TEST(name) cmocka_unit_test_setup(name, empty_place)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_select_is_assigned_within_the_server),
        TEST(a_load_may_read_the_table_it_truncates),
        TEST(a_select_is_merged_and_may_create),
        TEST(rows_are_copied_across),
        TEST(either_side_of_a_copy_across_may_fail),
        TEST(a_statement_is_executed_once_a_run),
        TEST(a_statement_cannot_leave_its_transaction),
    };

    return cmocka_run_group_tests(tests, open_place, close_place);
}
