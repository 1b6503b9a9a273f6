/*
 * Covers agents/flow.c, target.c and exec_data.c: units of data nodes as
 * processes, over SQLite files and text files: which rows come out, what is
 * counted at every node, what is left out, and what is said when it fails.
 */
#include "tests/unit/data_bench.h"

#define SHOP                                                                   \
    "CREATE TABLE orders (id INTEGER, customer INTEGER, qty INTEGER);"         \
    "INSERT INTO orders VALUES (1, 10, 1), (2, 10, 2), (3, 20, 3), "           \
    "(4, 30, 4), (5, 99, 5);"                                                  \
    "CREATE TABLE customers (id INTEGER, name TEXT);"                          \
    "INSERT INTO customers VALUES (10, 'Ann'), (20, 'Bob'), (30, 'Cid');"

static void rows_are_counted_at_every_node(void **state)
{
    struct bench *b = *state;

    put(b, "shop", SHOP);
    run_plan(
        b,
        EXTRACT("e", "shop", "orders") "," NODE(
            "f", "filter", "0",
            WHERE("['gt', " COL("qty") ", " INT(
                1) "]")) "," NODE("m", "map", "1",
                                  "'keep': true, 'columns': [" COMPUTED(
                                      "twice",
                                      "['mul', " COL("qty") ", " INT(
                                          2) "]") "]") "," NODE("g", "filter",
                                                                "2",
                                                                WHERE(
                                                                    "['lt',"
                                                                    " " COL(
                                                                        "tw"
                                                                        "ic"
                                                                        "e") ","
                                                                             " " INT(
                                                                                 10) "]")) "," LOAD("l",
                                                                                                    "3",
                                                                                                    "t"));
    assert_all_completed(b);
    assert_rows(b, "e", 5, 5, 0);
    assert_rows(b, "f", 5, 4, 0);
    assert_rows(b, "m", 4, 4, 0);
    assert_rows(b, "g", 4, 3, 0);
    assert_rows(b, "l", 3, 3, 0);
    assert_string_equal(ask(b, "out", "SELECT * FROM t ORDER BY id"),
                        "2|10|2|4\n3|20|3|6\n4|30|4|8\n");
}

static void filters_behind_a_join_count_what_passes_each(void **state)
{
    struct bench *b = *state;

    put(b, "shop", SHOP);
    run_plan(
        b,
        EXTRACT("o", "shop", "orders") "," EXTRACT("c", "shop", "customers") "," NODE(
            "j", "join", "0,1",
            "'how': 'left', 'on': [{'left': 'customer', 'right': 'id', "
            "'operator': '='}]") "," NODE("f", "filter", "2",
                                          WHERE("['not', ['isnull', " COL(
                                              "name") "]]")) "," NODE("g",
                                                                      "filter",
                                                                      "3",
                                                                      WHERE(
                                                                          "['"
                                                                          "gt',"
                                                                          " " COL("qty") ", " INT(
                                                                              2) "]")) "," LOAD("l",
                                                                                                "4",
                                                                                                "t"));
    assert_all_completed(b);
    assert_rows(b, "o", 5, 5, 0);
    assert_rows(b, "c", 3, 3, 0);
    assert_rows(b, "j", 8, 5, 0);
    assert_rows(b, "f", 5, 4, 0);
    assert_rows(b, "g", 4, 2, 0);
    assert_rows(b, "l", 2, 2, 0);
    assert_string_equal(ask(b, "out", "SELECT id, name FROM t ORDER BY id"),
                        "3|Bob\n4|Cid\n");
}

static void every_kind_of_join_keeps_the_rows_it_should(void **state)
{
    struct bench *b = *state;
    static const struct {
        const char *how, *rows;
        int64_t out;
    } cases[] = {
        {"inner", "1|10|a|x\n", 1},
        {"left", "1|10|a|x\n2|20|b|-\n", 2},
        {"right", "1|10|a|x\n3|-|-|y\n", 2},
        {"full", "1|10|a|x\n2|20|b|-\n3|-|-|y\n", 3},
    };

    put(b, "shop",
        "CREATE TABLE l (id INTEGER, n INTEGER, w TEXT); INSERT INTO l VALUES "
        "(1, 10, 'a'), (2, 20, 'b');"
        "CREATE TABLE r (id INTEGER, w TEXT); INSERT INTO r VALUES (1, 'x'), "
        "(3, 'y')");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char nodes[1000];
        snprintf(
            nodes, sizeof nodes,
            EXTRACT("l", "shop", "l") "," EXTRACT("r", "shop", "r") "," NODE(
                "j", "join", "0,1",
                "'how': '%s', 'on': [{'left': 'id', 'right': 'id', 'operator': "
                "'='}]") "," NODE("w", "load", "2",
                                  "'connection': 'out', 'table': 't', 'mode': "
                                  "'truncate', 'create': true"),
            cases[i].how);
        b->scene.run_id[35] = (char)('1' + i); /* or the fence stops it */
        run_plan(b, nodes);
        assert_all_completed(b);
        assert_rows(b, "j", 4, cases[i].out, 0);
        assert_string_equal(
            ask(b, "out", "SELECT id, n, w, right_w FROM t ORDER BY id"),
            cases[i].rows);
    }
}

static void groups_sorts_unions_and_distinct_rows_are_counted(void **state)
{
    struct bench *b = *state;

    put(b, "shop", SHOP);
    run_plan(
        b, EXTRACT("a", "shop", "orders") "," EXTRACT("b", "shop", "orders") "," NODE(
               "u", "union", "0,1",
               "") "," NODE("d", "distinct", "2",
                            "") "," NODE("g", "aggregate", "2",
                                         "'group_by': ['customer'], 'columns': "
                                         "[" COMPUTED(
                                             "n", "['agg', 'count', "
                                                  "false]") "," COMPUTED("qty",
                                                                         "['"
                                                                         "agg',"
                                                                         " '"
                                                                         "sum',"
                                                                         " fals"
                                                                         "e,"
                                                                         " " COL("qty") "]") "]") "," NODE("s",
                                                                                                           "sort",
                                                                                                           "4",
                                                                                                           "'by': "
                                                                                                           "[{'"
                                                                                                           "column"
                                                                                                           "': "
                                                                                                           "'qty',"
                                                                                                           " '"
                                                                                                           "descen"
                                                                                                           "ding':"
                                                                                                           " true}"
                                                                                                           "]") "," NODE("k",
                                                                                                                         "distinct", "2", "'columns': ['customer']") "," NODE("q", "sequence", "5", "'column': 'place', 'start': 1, 'step': 1") "," LOAD("l1", "3", "t1") "," LOAD("l2",
                                                                                                                                                                                                                                                                                   "7",
                                                                                                                                                                                                                                                                                   "t2") "," LOAD("l3",
                                                                                                                                                                                                                                                                                                  "6",
                                                                                                                                                                                                                                                                                                  "t3"));
    assert_all_completed(b);
    assert_rows(b, "u", 10, 10, 0);
    assert_rows(b, "d", 10, 5, 0);
    assert_rows(b, "g", 10, 4, 0);
    assert_rows(b, "s", 4, 4, 0);
    assert_rows(b, "k", 10, 4, 0);
    assert_rows(b, "q", 4, 4, 0);
    assert_rows(b, "l1", 5, 5, 0);
    assert_rows(b, "l2", 4, 4, 0);
    assert_rows(b, "l3", 4, 4, 0);
    assert_string_equal(ask(b, "out", "SELECT * FROM t2 ORDER BY place"),
                        "99|2|10|1\n30|2|8|2\n10|4|6|3\n20|2|6|4\n");
}

/* A uuid is another one each time it is computed. */
static void what_two_read_is_computed_once(void **state)
{
    struct bench *b = *state;

    put(b, "shop", SHOP);
    run_plan(
        b,
        EXTRACT("e", "shop", "orders") "," NODE(
            "m", "map", "0",
            "'keep': true, 'columns': [" COMPUTED(
                "u",
                "['call', 'generate_uuid']") "]") "," NODE("f", "filter", "1",
                                                           WHERE("['gt', " COL("id") ", " INT(
                                                               3) "]")) "," LOAD("a",
                                                                                 "1",
                                                                                 "ta") "," LOAD("b",
                                                                                                "2",
                                                                                                "tb"));
    assert_all_completed(b);
    assert_rows(b, "e", 5, 5, 0);
    assert_rows(b, "m", 5, 5, 0);
    assert_rows(b, "f", 5, 2, 0);
    assert_rows(b, "a", 5, 5, 0);
    assert_rows(b, "b", 2, 2, 0);
    assert_string_equal(ask(b, "out",
                            "SELECT count(*), count(DISTINCT ta.u) FROM ta "
                            "JOIN tb ON ta.u = tb.u AND ta.id = tb.id"),
                        "2|2\n");
}

static void a_load_hands_its_rows_on(void **state)
{
    struct bench *b = *state;

    put(b, "shop", SHOP);
    run_plan(b, EXTRACT("e", "shop", "orders") "," NODE(
                    "l", "load", "0",
                    "'connection': 'out', 'table': 't', 'mode': 'append', "
                    "'create': true, 'columns': [{'name': 'order_id', "
                    "'column': 'id'}], 'output': [{'name': 'id', 'column': "
                    "'order_id'}]") "," NODE("f", "filter", "1",
                                             WHERE("['ge', " COL("id") ", " INT(
                                                 4) "]")) "," NODE("w",
                                                                   "csv_write",
                                                                   "2",
                                                                   "'path': "
                                                                   "'sub/"
                                                                   "late."
                                                                   "csv'"));
    assert_all_completed(b);
    assert_rows(b, "l", 5, 5, 0);
    assert_rows(b, "f", 5, 2, 0);
    assert_rows(b, "w", 2, 2, 0);
    assert_string_equal(ask(b, "out", "SELECT * FROM t"), "1\n2\n3\n4\n5\n");
    assert_string_equal(read_text(b, "files/sub/late.csv"), "id\n4\n5\n");
}

/* The same file read twice in one statement, and the same SQLite file. */
static void one_place_can_be_read_twice_at_once(void **state)
{
    struct bench *b = *state;

    put_file(b, "in.csv", "k,v\n1,a\n2,b\n");
    put(b, "shop",
        "CREATE TABLE t (k INTEGER); INSERT INTO t VALUES (1), (2), (3)");
    run_plan(
        b,
        NODE("a", "csv_read", "", "'path': 'in.csv'") "," NODE("b", "csv_read", "", "'path': 'in.csv'") "," NODE(
            "u", "union", "0,1",
            "") "," NODE("j", "join", "2,1",
                         "'how': 'inner', 'on': [{'left': 'k', 'right': 'k', "
                         "'operator': "
                         "'='}]") "," EXTRACT("x", "shop",
                                              "t") "," EXTRACT("y", "shop",
                                                               "t") "," NODE("z",
                                                                             "u"
                                                                             "n"
                                                                             "i"
                                                                             "o"
                                                                             "n",
                                                                             "4"
                                                                             ","
                                                                             "5",
                                                                             "'"
                                                                             "d"
                                                                             "i"
                                                                             "s"
                                                                             "t"
                                                                             "i"
                                                                             "n"
                                                                             "c"
                                                                             "t"
                                                                             "'"
                                                                             ":"
                                                                             " "
                                                                             "t"
                                                                             "r"
                                                                             "u"
                                                                             "e") "," LOAD("l",
                                                                                           "3",
                                                                                           "l") "," LOAD("m",
                                                                                                         "6",
                                                                                                         "m"));
    assert_all_completed(b);
    assert_rows(b, "a", 2, 2, 0);
    assert_rows(b, "b", 2, 2, 0);
    assert_rows(b, "u", 4, 4, 0);
    assert_rows(b, "j", 6, 4, 0);
    assert_rows(b, "z", 6, 3, 0);
    assert_string_equal(ask(b, "out", "SELECT k, v, right_v FROM l ORDER BY k"),
                        "1|a|a\n1|a|a\n2|b|b\n2|b|b\n");
    assert_string_equal(ask(b, "out", "SELECT k FROM m ORDER BY k"),
                        "1\n2\n3\n");
}

static void rows_go_back_into_the_file_they_come_from(void **state)
{
    struct bench *b = *state;

    put(b, "out",
        "CREATE TABLE t (id INTEGER, n INTEGER); INSERT INTO t VALUES (1, 1), "
        "(2, 2)");
    run_plan(
        b,
        EXTRACT("e", "out", "t") "," NODE(
            "m", "map", "0",
            "'keep': true, 'columns': [" COMPUTED(
                "n", "['mul', " COL("n") ", " INT(
                         10) "]") "]") "," NODE("l", "load", "1",
                                                "'connection': 'out', 'table': "
                                                "'t', 'mode': 'truncate'"));
    assert_all_completed(b);
    assert_rows(b, "e", 2, 2, 0);
    assert_rows(b, "m", 2, 2, 0);
    assert_rows(b, "l", 2, 2, 0);
    assert_string_equal(ask(b, "out", "SELECT * FROM t"), "1|10\n2|20\n");
}

/* ---- errors -------------------------------------------------------------- */

static void an_error_names_node_row_and_column(void **state)
{
    struct bench *b = *state;

    put(b, "shop", SHOP);
    run_plan(b,
             EXTRACT("e", "shop", "orders") "," NODE(
                 "m", "map", "0",
                 "'keep': true, 'columns': [" COMPUTED(
                     "x", "['div', " INT(10) ", ['sub', " COL("qty") ", " INT(
                              3) "]]") "]") "," LOAD("l", "1", "t"));
    assert_failed(b, "m", "row 3, \"x\": division by zero");
    assert_int_equal(seen(b, "e")->state, EXEC_CANCELLED);
    assert_int_equal(seen(b, "l")->state, EXEC_CANCELLED);
    assert_string_equal(seen(b, "e")->last.error,
                        "stopped because node \"m\" failed");
    /* Nothing of it was written. */
    assert_string_equal(
        ask(b, "out", "SELECT count(*) FROM sqlite_master WHERE name = 't'"),
        "0\n");
}

static void a_filter_that_fails_says_so_at_its_row(void **state)
{
    struct bench *b = *state;

    put(b, "shop", SHOP);
    run_plan(b, EXTRACT("e", "shop", "orders") "," NODE(
                    "a", "filter", "0",
                    WHERE(
                        "['gt', " COL("qty") ", " INT(
                            2) "]")) "," NODE("f", "filter", "1",
                                              WHERE("['gt', ['div', " INT(10) ", ['sub', " COL("qty") ", " INT(
                                                  4) "]], " INT(0) "]")) "," LOAD("l",
                                                                                  "2",
                                                                                  "t"));
    assert_failed(b, "f", "row 2, \"where\": division by zero");
}

static void a_bad_value_of_a_source_is_the_sources_error(void **state)
{
    struct bench *b = *state;

    put_file(b, "in.csv", "k\n1\nx\n");
    run_plan(b,
             NODE("r", "csv_read", "",
                  "'path': 'in.csv', 'columns': [{'name': 'k', 'type': "
                  "'integer'}]") "," NODE("f", "filter", "0",
                                          WHERE("['gt', " COL("k") ", " INT(
                                              0) "]")) "," LOAD("l", "1", "t"));
    assert_int_equal(seen(b, "r")->state, EXEC_FAILED);
    assert_has(seen(b, "r")->last.error, "\"x\" is not an integer");
    assert_has(seen(b, "r")->last.error, "line 3");
}

static void a_failed_branch_leaves_the_others_alone(void **state)
{
    struct bench *b = *state;

    put(b, "shop", SHOP);
    run_plan(
        b,
        EXTRACT("e", "shop", "orders") "," NODE(
            "bad", "map", "0",
            "'columns': [" COMPUTED(
                "x", "['div', " COL("qty") ", ['sub', " COL("qty") ", " COL(
                         "qty") "]]") "]") "," NODE("good", "filter", "0",
                                                    WHERE("['gt', " COL("qty") ", " INT(
                                                        4) "]")) "," LOAD("l",
                                                                          "1",
                                                                          "a") "," LOAD("k",
                                                                                        "2",
                                                                                        "b"));
    assert_failed(b, "bad", "\"x\": division by zero");
    assert_int_equal(seen(b, "e")->state, EXEC_COMPLETED);
    assert_int_equal(seen(b, "good")->state, EXEC_COMPLETED);
    assert_int_equal(seen(b, "k")->state, EXEC_COMPLETED);
    assert_int_equal(seen(b, "l")->state, EXEC_CANCELLED);
    assert_rows(b, "e", 5, 5, 0);
    assert_rows(b, "k", 1, 1, 0);
}

static void what_cannot_be_compiled_stops_before_the_first_row(void **state)
{
    struct bench *b = *state;

    put(b, "shop", SHOP);
    run_plan(b,
             EXTRACT("e", "shop", "orders") "," NODE(
                 "m", "select", "0",
                 "'columns': [{'name': 'nothing'}]") "," LOAD("l", "1", "t"));
    assert_failed(
        b, "m", "there is no column \"nothing\": there are id, customer, qty");
    assert_false(seen(b, "l")->any);
}

static void the_quota_of_temporary_space_is_an_error_that_names_it(void **state)
{
    struct bench *b = *state;

    b->settings.data.memory_bytes = 8 << 20;
    b->settings.data.spill_max_bytes = 1 << 20;
    run_plan(
        b,
        NODE("q", "sequence", "", "'column': 'n', 'count': 150000") "," NODE(
            "m", "map", "0",
            "'keep': true, 'columns': [" COMPUTED(
                "h",
                "['call', 'md5', ['cast', " COL(
                    "n") ", 'text']]") "]") "," NODE("s", "sort", "1",
                                                     "'by': [{'column': "
                                                     "'h'}]") "," LOAD("l", "2",
                                                                       "t"));
    assert_failed(b, "l",
                  "out of temporary space: this run may use 1 MiB "
                  "(data.spill_max in the agent's configuration)");
}

static void a_sort_beyond_memory_goes_to_files_within_the_quota(void **state)
{
    struct bench *b = *state;

    b->settings.data.memory_bytes = 8 << 20;
    run_plan(
        b,
        NODE("q", "sequence", "", "'column': 'n', 'start': 1, 'step': 1, 'count': 60000") "," NODE(
            "m", "map", "0",
            "'keep': true, 'columns': [" COMPUTED(
                "h",
                "['call', 'md5', ['cast', " COL(
                    "n") ", 'text']]") "]") "," NODE("s", "sort", "1",
                                                     "'by': [{'column': "
                                                     "'h'}]") "," LOAD("l", "2",
                                                                       "t"));
    assert_all_completed(b);
    assert_rows(b, "s", 60000, 60000, 0);
    assert_string_equal(
        ask(b, "out", "SELECT count(*), count(DISTINCT n), sum(n) FROM t"),
        "60000|60000|1800030000\n");
    assert_string_equal(ask(b, "out",
                            "SELECT count(*) FROM t a JOIN t b ON b.rowid = "
                            "a.rowid + 1 WHERE a.h >= b.h"),
                        "0\n");
}

/* ---- rows left out --------------------------------------------------------
 */

static void a_map_leaves_out_each_bad_row_once(void **state)
{
    struct bench *b = *state;

    put(b, "shop", SHOP);
    run_plan(b,
             EXTRACT("e", "shop", "orders") "," NODE(
                 "m", "map", "0",
                 "'keep': true, 'columns': [" COMPUTED(
                     "x", "['div', " INT(
                              10) ", "
                                  "['"
                                  "sub'"
                                  ","
                                  " " COL("qty") ", " INT(
                                      3) "]]") "," COMPUTED("y",
                                                            "['mod', " INT(10) ", ['sub', " COL("qty") ", " INT(
                                                                3) "]]") "," COMPUTED("z",
                                                                                      "['div', " INT(1) ", ['sub', " COL(
                                                                                          "q"
                                                                                          "t"
                                                                                          "y") ", " INT(1) "]]") "]") "," NODE("l",
                                                                                                                               "load",
                                                                                                                               "1",
                                                                                                                               "'connecti"
                                                                                                                               "on': "
                                                                                                                               "'out', "
                                                                                                                               "'table': "
                                                                                                                               "'t', "
                                                                                                                               "'mode': "
                                                                                                                               "'append',"
                                                                                                                               " 'create'"
                                                                                                                               ": true, "
                                                                                                                               "'on_"
                                                                                                                               "errors': "
                                                                                                                               "'skip'"));
    assert_all_completed(b);
    assert_rows(b, "e", 5, 5, 0);
    assert_rows(b, "m", 5, 3, 2);
    assert_rows(b, "l", 3, 3, 0);
    assert_string_equal(ask(b, "out", "SELECT id, x, y, z FROM t ORDER BY id"),
                        "2|-10|0|1\n4|10|0|0\n5|5|0|0\n");
    assert_has(b->said,
               "node \"m\": left out: row 1, \"z\": division by zero\n");
    assert_has(b->said,
               "node \"m\": left out: row 3, \"x\": division by zero\n");
}

static void a_filter_leaves_out_rows_that_it_cannot_judge(void **state)
{
    struct bench *b = *state;

    put(b, "shop", SHOP);
    run_plan(
        b, EXTRACT("e", "shop", "orders") "," NODE(
               "f", "filter", "0",
               WHERE("['ge', ['div', " INT(10) ", ['sub', " COL("qty") ", " INT(
                   3) "]], " INT(0) "]")) "," NODE("l", "load", "1",
                                                   "'connection': 'out', "
                                                   "'table': 't', 'mode': "
                                                   "'append', 'create': true, "
                                                   "'on_errors': 'skip'"));
    assert_all_completed(b);
    assert_rows(b, "f", 5, 2, 1);
    assert_rows(b, "l", 2, 2, 0);
    assert_string_equal(ask(b, "out", "SELECT id FROM t ORDER BY id"),
                        "4\n5\n");
}

static void a_join_leaves_out_rows_whose_columns_fail(void **state)
{
    struct bench *b = *state;

    put(b, "shop", SHOP);
    run_plan(
        b,
        EXTRACT("o", "shop", "orders") "," EXTRACT("c", "shop", "customers") "," NODE(
            "j", "join", "0,1",
            "'how': 'inner', 'on': [{'left': 'customer', 'right': 'id', "
            "'operator': '='}], 'columns': [{'name': 'id', 'from': "
            "'left'}," COMPUTED(
                "x",
                "['div', " INT(12) ", ['sub', " COL("qty") ", " INT(
                    2) "]]") "]") "," NODE("l", "load", "2",
                                           "'connection': 'out', 'table': 't', "
                                           "'mode': 'append', 'create': true, "
                                           "'on_errors': 'skip'"));
    assert_all_completed(b);
    assert_rows(b, "j", 8, 3, 1);
    assert_rows(b, "l", 3, 3, 0);
    assert_string_equal(ask(b, "out", "SELECT id, x FROM t ORDER BY id"),
                        "1|-12\n3|12\n4|6\n");
}

static void a_load_counts_the_rows_that_do_not_fit_its_table(void **state)
{
    struct bench *b = *state;

    put(b, "shop",
        "CREATE TABLE t (id TEXT, n INTEGER); INSERT INTO t VALUES ('1', 1), "
        "('x', 2), ('3', 70000), ('4', 4), ('5', NULL)");
    put(b, "out", "CREATE TABLE t (id INTEGER, n SMALLINT NOT NULL)");
    run_plan(b, EXTRACT("e", "shop",
                        "t") "," NODE("l", "load", "0",
                                      "'connection': 'out', 'table': 't', "
                                      "'mode': 'append', 'on_errors': 'skip'"));
    assert_all_completed(b);
    assert_rows(b, "e", 5, 5, 0);
    assert_rows(b, "l", 5, 2, 3);
    assert_string_equal(ask(b, "out", "SELECT * FROM t ORDER BY id"),
                        "1|1\n4|4\n");
}

static void a_load_that_does_not_skip_fails_at_the_first(void **state)
{
    struct bench *b = *state;

    put(b, "shop",
        "CREATE TABLE t (id TEXT); INSERT INTO t VALUES ('1'), ('x')");
    put(b, "out", "CREATE TABLE t (id INTEGER); INSERT INTO t VALUES (7)");
    run_plan(b, EXTRACT("e", "shop", "t") "," NODE(
                    "l", "load", "0",
                    "'connection': 'out', 'table': 't', 'mode': 'truncate'"));
    assert_failed(b, "l", "row 2, \"id\": \"x\" is not an integer");
    assert_string_equal(ask(b, "out", "SELECT * FROM t"), "7\n");
}

static void a_source_leaves_out_its_own_bad_rows(void **state)
{
    struct bench *b = *state;

    put_file(b, "in.csv", "k\n1\nx\n3\n");
    run_plan(b,
             NODE("r", "csv_read", "",
                  "'path': 'in.csv', 'on_errors': 'skip', 'columns': [{'name': "
                  "'k', 'type': 'integer'}]") "," LOAD("l", "0", "t"));
    assert_all_completed(b);
    assert_rows(b, "r", 3, 2, 1);
    assert_rows(b, "l", 2, 2, 0);
}

/* ---- more than once --------------------------------------------------------
 */

static void a_second_attempt_loads_nothing_twice(void **state)
{
    struct bench *b = *state;

    put(b, "shop", SHOP);
    run_plan(b, EXTRACT("e", "shop", "orders") "," LOAD("l", "0", "t"));
    assert_all_completed(b);
    b->scene.attempt = 2;
    run_plan(b, EXTRACT("e", "shop", "orders") "," LOAD("l", "0", "t"));
    assert_all_completed(b);
    assert_has(b->said,
               "node \"l\": an earlier attempt of this run has loaded it\n");
    assert_string_equal(ask(b, "out", "SELECT count(*) FROM t"), "5\n");
}

/* The map's rows are read by a load of its own stage and by one that waits for
 * a command behind that. */
static void rows_cross_from_one_stage_to_the_next(void **state)
{
    struct bench *b = *state;

    put(b, "shop", SHOP);
    run_plan(
        b,
        EXTRACT("e", "shop", "orders") "," NODE(
            "m", "map", "0",
            "'keep': true, 'columns': [" COMPUTED(
                "u",
                "['call', 'generate_uuid']") "]") "," LOAD("now", "1",
                                                           "t1") "," NODE("c",
                                                                          "comm"
                                                                          "and",
                                                                          "2",
                                                                          "'arg"
                                                                          "v': "
                                                                          "['"
                                                                          "true"
                                                                          "']") "," LOAD("late",
                                                                                         "1,3",
                                                                                         "t2"));
    assert_int_equal(b->units->count, 3);
    assert_all_completed(b);
    assert_rows(b, "late", 5, 5, 0);
    assert_string_equal(
        ask(b, "out",
            "SELECT count(*) FROM t1 JOIN t2 ON t1.u = t2.u AND t1.id = t2.id"),
        "5\n");
}

/* As the shepherd does with the rest of a unit whose process was killed. */
static void a_unit_begins_again_without_what_has_ended(void **state)
{
    struct bench *b = *state;

    put(b, "shop", SHOP);
    take_plan_with(
        b,
        EXTRACT("e", "shop", "orders") "," NODE(
            "f", "filter", "0",
            WHERE("['gt', " COL("qty") ", " INT(
                3) "]")) "," LOAD("l", "0", "t") "," LOAD("k", "1", "s"),
        "");
    b->states[0] = b->states[2] = WIRE_NODE_COMPLETED;
    run_unit(b, &b->units->list[0]);
    assert_false(seen(b, "e")->any);
    assert_false(seen(b, "l")->any);
    assert_rows(b, "f", 5, 2, 0);
    assert_rows(b, "k", 2, 2, 0);
}

static void previews_are_the_first_rows_of_every_node(void **state)
{
    struct bench *b = *state;

    put(b, "shop", SHOP);
    take_plan_with(b,
                   EXTRACT("e", "shop", "orders") "," NODE(
                       "f", "filter", "0",
                       WHERE("['gt', " COL("qty") ", " INT(
                           2) "]")) "," LOAD("l", "1", "t"),
                   "'preview_rows': 2");
    run_units(b);
    assert_all_completed(b);
    assert_string_equal(seen(b, "e")->preview,
                        "[\"id\",\"customer\",\"qty\"]\n[1,10,1]\n[2,10,2]\n");
    assert_string_equal(seen(b, "f")->preview,
                        "[\"id\",\"customer\",\"qty\"]\n[3,20,3]\n[4,30,4]\n");
    assert_string_equal(seen(b, "l")->preview,
                        "[\"id\",\"customer\",\"qty\"]\n[3,20,3]\n[4,30,4]\n");
    assert_rows(b, "e", 5, 5, 0);
    assert_rows(b, "f", 5, 3, 0);
    assert_rows(b, "l", 3, 3, 0);
}

static void a_branch_that_ends_without_a_load_is_computed(void **state)
{
    struct bench *b = *state;

    put(b, "shop", SHOP);
    run_plan(b, EXTRACT("e", "shop", "orders") "," NODE(
                    "m", "map", "0",
                    "'columns': [" COMPUTED(
                        "x", "['div', " INT(1) ", " COL("qty") "]") "]"));
    assert_all_completed(b);
    assert_rows(b, "e", 5, 5, 0);
    assert_rows(b, "m", 5, 5, 0);
    run_plan(
        b, EXTRACT("e", "shop", "orders") "," NODE(
               "m", "map", "0",
               "'columns': [" COMPUTED("x", "['div', " INT(1) ", ['sub', " COL(
                                                "qty") ", " INT(2) "]]") "]"));
    assert_failed(b, "m", "row 2, \"x\": division by zero");
}

/* Chains of operators are printed balanced; calls are not. */
static char *add_deep(char *at, int levels, const char *column)
{
    for (int k = 0; k < levels; k++)
        at += sprintf(at, "['call', 'abs', ");
    at += sprintf(at, "%s", column);
    for (int k = 0; k < levels; k++)
        at += sprintf(at, "]");
    return at;
}

/* SQLite's parser has a stack of 100 symbols: what is too deep is kept. */
static void sixty_steps_of_deep_expressions_give_right_rows(void **state)
{
    struct bench *b = *state;
    char *nodes = malloc(200000), *at = nodes;

    at += sprintf(at, NODE("q", "sequence", "",
                           "'column': 'n', 'start': 1, 'step': 1, 'count': 3"));
    for (int i = 0; i < 60; i++) {
        at += sprintf(
            at,
            ",{'id': 'm%d', 'kind': 'map', 'after': [%d], 'config': "
            "{'columns': [{'name': 'n', 'expression': {'text': '', 'tree': ",
            i, i);
        at += sprintf(at, "['add', ['int', 1], ");
        at = add_deep(at, 13, COL("n"));
        at += sprintf(at, "]");
        at += sprintf(at, "}}]}}");
    }
    sprintf(at, ",{'id': 'l', 'kind': 'load', 'after': [60], 'config': "
                "{'connection': 'out', 'table': 't', 'create': true}}");
    run_plan(b, nodes);
    free(nodes);
    assert_all_completed(b);
    assert_rows(b, "m0", 3, 3, 0);
    assert_rows(b, "m59", 3, 3, 0);
    assert_string_equal(ask(b, "out", "SELECT n FROM t ORDER BY n"),
                        "61\n62\n63\n");
}

/* ---- wide and deep --------------------------------------------------------
 */

enum { WIDE = 300 };

/* SQLite's functions take 127 arguments. */
static void wide_tables_can_be_previewed_and_skip_rows(void **state)
{
    struct bench *b = *state;
    char *sql = malloc(20000), *at = sql;

    at += sprintf(at, "CREATE TABLE w (c0 TEXT");
    for (int i = 1; i < WIDE; i++)
        at += sprintf(at, ", c%d TEXT", i);
    sprintf(at, "); INSERT INTO w (c0, c299) VALUES ('1', '9'), ('2', 'x'), "
                "('y', 'x'), ('4', '8')");
    put(b, "shop", sql);
    at = sql + sprintf(sql, "CREATE TABLE t (c0 INTEGER");
    for (int i = 1; i < WIDE; i++)
        at += sprintf(at, ", c%d INTEGER", i);
    sprintf(at, ")");
    put(b, "out", sql);
    free(sql);
    take_plan_with(
        b,
        EXTRACT("e", "shop", "w") "," NODE(
            "s", "sort", "0",
            "'by': [{'column': 'c0'}]") "," NODE("l", "load", "1",
                                                 "'connection': 'out', "
                                                 "'table': 't', 'on_errors': "
                                                 "'skip'"),
        "'preview_rows': 3");
    run_units(b);
    assert_all_completed(b);
    assert_rows(b, "s", 4, 4, 0);
    assert_rows(b, "l", 4, 2, 2);
    assert_has(seen(b, "s")->preview, "\n[\"1\",null");
    assert_string_equal(ask(b, "out", "SELECT c0, c299 FROM t ORDER BY c0"),
                        "1|9\n4|8\n");
}

static void a_join_of_deep_expressions_among_many_steps_compiles(void **state)
{
    struct bench *b = *state;
    char *nodes = malloc(200000), *at = nodes;
    int count = 1;

    at += sprintf(at, NODE("q", "sequence", "",
                           "'column': 'n', 'start': 1, 'step': 1, 'count': 3"));
    for (; count < 9; count++)
        at += sprintf(
            at, "," NODE("f%d", "map", "%d", "'columns': [{'name': 'n'}]"),
            count, count - 1);
    at += sprintf(at,
                  "," NODE("r", "sequence", "",
                           "'column': 'n', 'start': 2, 'step': 1, 'count': 3"));
    at += sprintf(
        at, ",{'id': 'j', 'kind': 'join', 'after': [8, 9], 'config': {'how': "
            "'inner', 'on': [{'left': 'n', 'right': 'n', 'operator': '='}], "
            "'columns': [{'name': 'n', 'expression': {'text': '', 'tree': ");
    at = add_deep(at, 15, "['col', 'n', 'left']");
    at += sprintf(at, "}}]}}");
    for (count = 11; count < 19; count++)
        at += sprintf(
            at, "," NODE("f%d", "map", "%d", "'columns': [{'name': 'n'}]"),
            count, count - 1);
    sprintf(at, "," NODE("l", "load", "18",
                         "'connection': 'out', 'table': 't', 'create': true"));
    run_plan(b, nodes);
    free(nodes);
    assert_all_completed(b);
    assert_string_equal(ask(b, "out", "SELECT n FROM t ORDER BY n"), "2\n3\n");
}

/* A bad row must not take a good one with it. */
static void a_sort_behind_a_join_leaves_out_the_right_rows(void **state)
{
    struct bench *b = *state;

    put(b, "shop", SHOP);
    run_plan(
        b,
        EXTRACT("o", "shop", "orders") "," EXTRACT("c", "shop", "customers") "," NODE(
            "j", "join", "0,1",
            "'how': 'left', 'on': [{'left': 'customer', 'right': 'id', "
            "'operator': '='}], 'columns': [{'name': 'id', 'from': "
            "'left'}," COMPUTED(
                "x",
                "['div', " INT(12) ", ['sub', " COL("qty") ", " INT(
                    2) "]]") "]") "," NODE("s", "sort", "2",
                                           "'by': [{'column': 'id', "
                                           "'descending': true}]") "," NODE("l",
                                                                            "lo"
                                                                            "a"
                                                                            "d",
                                                                            "3",
                                                                            "'c"
                                                                            "on"
                                                                            "ne"
                                                                            "ct"
                                                                            "io"
                                                                            "n'"
                                                                            ": "
                                                                            "'o"
                                                                            "ut"
                                                                            "',"
                                                                            " '"
                                                                            "ta"
                                                                            "bl"
                                                                            "e'"
                                                                            ": "
                                                                            "'t"
                                                                            "',"
                                                                            " '"
                                                                            "mo"
                                                                            "de"
                                                                            "':"
                                                                            " '"
                                                                            "ap"
                                                                            "pe"
                                                                            "nd"
                                                                            "',"
                                                                            " '"
                                                                            "cr"
                                                                            "ea"
                                                                            "te"
                                                                            "':"
                                                                            " t"
                                                                            "ru"
                                                                            "e,"
                                                                            " '"
                                                                            "on"
                                                                            "_e"
                                                                            "rr"
                                                                            "or"
                                                                            "s'"
                                                                            ": "
                                                                            "'s"
                                                                            "ki"
                                                                            "p"
                                                                            "'"));
    assert_all_completed(b);
    assert_rows(b, "j", 8, 4, 1);
    assert_rows(b, "s", 4, 4, 0);
    assert_string_equal(ask(b, "out", "SELECT id, x FROM t ORDER BY id"),
                        "1|-12\n3|12\n4|6\n5|4\n");
}

int main(void)
{
#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CLAIM(rows_are_counted_at_every_node),
        CLAIM(filters_behind_a_join_count_what_passes_each),
        CLAIM(every_kind_of_join_keeps_the_rows_it_should),
        CLAIM(groups_sorts_unions_and_distinct_rows_are_counted),
        CLAIM(what_two_read_is_computed_once),
        CLAIM(a_load_hands_its_rows_on),
        CLAIM(one_place_can_be_read_twice_at_once),
        CLAIM(rows_go_back_into_the_file_they_come_from),
        CLAIM(an_error_names_node_row_and_column),
        CLAIM(a_filter_that_fails_says_so_at_its_row),
        CLAIM(a_bad_value_of_a_source_is_the_sources_error),
        CLAIM(a_failed_branch_leaves_the_others_alone),
        CLAIM(what_cannot_be_compiled_stops_before_the_first_row),
        CLAIM(the_quota_of_temporary_space_is_an_error_that_names_it),
        CLAIM(a_sort_beyond_memory_goes_to_files_within_the_quota),
        CLAIM(a_map_leaves_out_each_bad_row_once),
        CLAIM(a_filter_leaves_out_rows_that_it_cannot_judge),
        CLAIM(a_join_leaves_out_rows_whose_columns_fail),
        CLAIM(a_load_counts_the_rows_that_do_not_fit_its_table),
        CLAIM(a_load_that_does_not_skip_fails_at_the_first),
        CLAIM(a_source_leaves_out_its_own_bad_rows),
        CLAIM(a_second_attempt_loads_nothing_twice),
        CLAIM(rows_cross_from_one_stage_to_the_next),
        CLAIM(a_unit_begins_again_without_what_has_ended),
        CLAIM(previews_are_the_first_rows_of_every_node),
        CLAIM(a_branch_that_ends_without_a_load_is_computed),
        CLAIM(wide_tables_can_be_previewed_and_skip_rows),
        CLAIM(a_join_of_deep_expressions_among_many_steps_compiles),
        CLAIM(a_sort_behind_a_join_leaves_out_the_right_rows),
        CLAIM(sixty_steps_of_deep_expressions_give_right_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
