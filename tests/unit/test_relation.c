/*
 * Covers agents/relation.c and relation_kinds.c: what nodes of small plans
 * become before a row is read: columns, sources, what is kept; and the words of
 * what cannot be. What rows they give is in test_flow.c.
 */
#include "tests/unit/data_bench.h"

#include "agents/relation.h"

enum { NODES = 32 };

struct compiled {
    struct relations r;
    struct relation *rows[NODES];
    bool skip[NODES], shared[NODES];
    char why[RELATION_WHY_MAX];
    uint32_t failed; /* NODES: none */
};

static struct compiled c; /* of the claim that runs */

/* Compiles nodes in order until one cannot be. */
static void compile(struct bench *b, const char *nodes, const char *more)
{
    struct relation *parents[NODES];

    relations_clear(&c.r);
    take_plan_with(b, nodes, more);
    c.r.plan = b->plan;
    c.r.settings = &b->settings.data;
    c.r.skip = c.skip;
    c.r.shared = c.shared;
    c.failed = NODES;
    c.why[0] = '\0';
    memset(c.rows, 0, sizeof c.rows);
    for (uint32_t i = 0; i < b->plan->count && c.failed == NODES; i++) {
        const struct plan_node *node = &b->plan->nodes[i];
        for (size_t k = 0; k < node->parent_count; k++)
            parents[k] = c.rows[node->parents[k]];
        if (relation_of(&c.r, i, parents, node->parent_count, &c.rows[i],
                        c.why) < 0)
            c.failed = i;
    }
}

static int set_up_shop(void **state)
{
    int rc = set_up(state);

    if (rc == 0)
        put(*state, "shop",
            "CREATE TABLE orders (id INTEGER, customer TEXT, qty INTEGER, "
            "price NUMERIC(10,2), day DATE, ok BOOLEAN);"
            "CREATE TABLE customers (id INTEGER, name TEXT, since TIMESTAMP);");
    return rc;
}

static int tear_down_all(void **state)
{
    relations_clear(&c.r);
    memset(&c, 0, sizeof c);
    return tear_down(state);
}

static void assert_columns(uint32_t node, const char *expected)
{
    char got[1000] = "";
    size_t len = 0;

    if (c.failed != NODES)
        fail_msg("node %u: %s", c.failed, c.why);
    const struct schema *schema = &c.rows[node]->schema;
    for (size_t i = 0; i < schema->count; i++)
        len += (size_t)snprintf(got + len, sizeof got - len, "%s%s %s",
                                i ? ", " : "", schema->columns[i].name,
                                type_name(schema->columns[i].type));
    assert_string_equal(got, expected);
}

static void assert_says(uint32_t node, const char *why)
{
    assert_int_equal(c.failed, node);
    assert_string_equal(c.why, why);
}

#define ORDERS EXTRACT("e", "shop", "orders")
#define TWO ORDERS "," EXTRACT("c", "shop", "customers")

/* ---- columns --------------------------------------------------------------
 */

static void an_extract_has_the_tables_columns(void **state)
{
    compile(*state, ORDERS, "");
    assert_columns(0, "id integer, customer text, qty integer, price decimal, "
                      "day date, ok boolean");
    assert_null(c.rows[0]->place);
    assert_int_equal(c.rows[0]->source_count, 1);
    assert_true(c.rows[0]->sources[0]->whole);
    assert_string_equal(c.rows[0]->schema.columns[3].origin, "orders");
}

static void an_extract_can_choose_and_cast(void **state)
{
    compile(*state,
            NODE("e", "extract", "",
                 "'connection': 'shop', 'table': 'orders', 'filter': {'text': "
                 "'', 'tree': ['gt', ['col', 'qty'], ['int', 1]]}, "
                 "'columns': [{'name': 'n', 'column': 'QTY', 'type': "
                 "'decimal', 'precision': 9, 'scale': 3}, {'name': 'day'}]"),
            "");
    assert_columns(0, "n decimal, day date");
    assert_false(c.rows[0]->sources[0]->whole);
}

static void an_extract_reads_its_own_sql(void **state)
{
    compile(*state,
            NODE("e", "extract", "",
                 "'connection': 'shop', 'sql': 'SELECT id, qty + 1 AS more "
                 "FROM orders -- all'"),
            "");
    assert_columns(0, "id integer, more text");
    compile(*state,
            NODE("e", "extract", "",
                 "'connection': 'shop', 'sql': 'DELETE FROM orders'"),
            "");
    assert_int_equal(c.failed, 0);
}

static void a_map_replaces_where_it_stands_and_adds_behind(void **state)
{
    compile(
        *state,
        ORDERS "," NODE(
            "m", "map", "0",
            "'keep': true, 'columns': [" COMPUTED(
                "new",
                "['dec', "
                "'1.5']") "," COMPUTED("customer",
                                       "['call', 'length', " COL(
                                           "customer") "]") ", {'name': 'qty', "
                                                            "'column': "
                                                            "'price'}]") "," NODE("o",
                                                                                  "map",
                                                                                  "0",
                                                                                  "'keep': "
                                                                                  "false, "
                                                                                  "'columns':"
                                                                                  " [{'name':"
                                                                                  " 'a', "
                                                                                  "'column': "
                                                                                  "'id'}"
                                                                                  "," COMPUTED(
                                                                                      "b",
                                                                                      "['"
                                                                                      "null'"
                                                                                      "]") "]"),
        "");
    assert_columns(1, "id integer, customer integer, qty decimal, price "
                      "decimal, day date, ok boolean, new decimal");
    assert_columns(2, "a integer, b text");
}

static void a_join_without_a_list_has_all_but_the_twins(void **state)
{
    compile(*state,
            TWO "," NODE("j", "join", "0,1",
                         "'on': [{'left': 'id', 'right': 'id', 'operator': "
                         "'='}]") "," NODE("k", "join", "0,1",
                                           "'on': [{'left': 'customer', "
                                           "'right': 'name', 'operator': "
                                           "'='}], 'how': 'full'"),
            "");
    assert_columns(2, "id integer, customer text, qty integer, price decimal, "
                      "day date, ok boolean, name text, since timestamp");
    assert_columns(
        3, "id integer, customer text, qty integer, price decimal, day date, "
           "ok boolean, right_id integer, name text, since timestamp");
    assert_int_equal(c.rows[2]->kept_count, 1);
    assert_non_null(strstr(c.rows[2]->kept[0]->index_sql, "CREATE INDEX"));
}

static void an_aggregate_has_its_groups_first(void **state)
{
    compile(
        *state,
        ORDERS "," NODE(
            "g", "aggregate", "0",
            "'group_by': ['customer', 'day'], 'columns': [" COMPUTED(
                "total",
                "['agg', 'sum', false, " COL(
                    "price") "]") ", {'name': 'day'}," COMPUTED("n",
                                                                "['agg', "
                                                                "'count', "
                                                                "false]") "]"),
        "");
    assert_columns(1, "customer text, total decimal, day date, n integer");
}

static void a_union_has_types_that_hold_all(void **state)
{
    compile(
        *state,
        ORDERS "," NODE(
            "a", "select", "0",
            "'columns': [{'name': 'x', 'column': 'qty'}, {'name': 'd', "
            "'column': 'day'}]") "," NODE("b", "select", "0",
                                          "'columns': [{'name': 'd', "
                                          "'column': 'day', 'type': "
                                          "'timestamp'}, "
                                          "{'name': 'x', 'column': "
                                          "'price'}]") "," NODE("u", "union",
                                                                "1,2",
                                                                "") "," NODE("v",
                                                                             "u"
                                                                             "n"
                                                                             "i"
                                                                             "o"
                                                                             "n",
                                                                             "1"
                                                                             ","
                                                                             "2",
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
                                                                             "e"),
        "");
    assert_columns(3, "x decimal, d timestamp");
    assert_columns(4, "x decimal, d timestamp");
}

static void an_output_is_applied_to_what_a_node_gives(void **state)
{
    compile(
        *state,
        ORDERS "," NODE(
            "f", "filter", "0",
            WHERE(COL(
                "ok")) ", 'output': [{'name': 'who', 'column': 'customer'}]"),
        "");
    assert_columns(1, "who text");
}

static void files_and_sequences_are_sources(void **state)
{
    struct bench *b = *state;

    put_file(b, "in.csv", "k,v\n1,a\n");
    put_file(b, "in.jsonl", "{\"n\": 1, \"x\": 2.5}\n");
    compile(
        b,
        NODE("c", "csv_read", "", "'path': 'in.csv'") "," NODE(
            "j", "jsonl_read", "",
            "'path': 'in.jsonl'") "," NODE("s", "sequence", "",
                                           "'column': 'i', 'start': 1, 'step': "
                                           "1, 'count': 3") "," NODE("n",
                                                                     "sequence",
                                                                     "0",
                                                                     "'column':"
                                                                     " 'i', "
                                                                     "'start': "
                                                                     "1, "
                                                                     "'step': "
                                                                     "1"),
        "");
    assert_columns(0, "k text, v text");
    assert_columns(1, "n integer, x decimal");
    assert_columns(2, "i integer");
    assert_columns(3, "k text, v text, i integer");
    assert_int_equal(c.r.source_count, 3);
}

/* ---- what is kept ---------------------------------------------------------
 */

static void what_two_read_or_what_varies_is_kept(void **state)
{
    c.shared[0] = true;
    compile(
        *state,
        ORDERS "," NODE(
            "m", "map", "0",
            "'columns': [" COMPUTED(
                "u",
                "['call', 'generate_uuid']") "]") "," NODE("s", "select", "0",
                                                           "'columns': "
                                                           "[{'name': 'id'}]"),
        "");
    assert_columns(1, "u text");
    assert_non_null(c.rows[0]->reads);
    assert_true(c.rows[0]->reads->keep);
    assert_non_null(c.rows[1]->reads);
    assert_null(c.rows[2]->reads);
}

static void a_chain_is_cut_before_the_parsers_stack_is_full(void **state)
{
    char *nodes = malloc(20000), *at = nodes;

    at += sprintf(at, NODE("q", "sequence", "",
                           "'column': 'n', 'start': 1, 'step': 1, 'count': 3"));
    for (int i = 1; i < NODES; i++)
        at += sprintf(
            at, "," NODE("s%d", "select", "%d", "'columns': [{'name': 'n'}]"),
            i, i - 1);
    compile(*state, nodes, "");
    free(nodes);
    assert_columns(NODES - 1, "n integer");
    assert_true(c.rows[NODES - 1]->kept_count == 1);
    for (size_t i = 0; i < c.r.count; i++)
        assert_true(c.r.all[i]->depth * RELATION_SELECT_STACK +
                        c.r.all[i]->stack <=
                    RELATION_STACK_MAX);
}

/* ---- words ----------------------------------------------------------------
 */

static void what_is_wrong_with_names_is_said(void **state)
{
    static const struct {
        uint32_t node;
        const char *nodes, *why;
    } cases[] = {
        {1,
         ORDERS "," NODE("s", "select", "0",
                         "'columns': [{'name': 'a', 'column': 'nothing'}]"),
         "there is no column \"nothing\": there are id, customer, qty, price, "
         "day, ok"},
        {1,
         ORDERS "," NODE(
             "s", "select", "0",
             "'columns': [{'name': 'id'}, {'name': 'id', 'column': 'qty'}]"),
         "two columns would be called \"id\": give one of them another name"},
        {1, ORDERS "," NODE("s", "sort", "0", "'by': [{'column': 'nothing'}]"),
         "there is no column \"nothing\": there are id, customer, qty, price, "
         "day, ok"},
        {1, ORDERS "," NODE("s", "distinct", "0", "'columns': ['nothing']"),
         "there is no column \"nothing\": there are id, customer, qty, price, "
         "day, ok"},
        {1,
         ORDERS "," NODE("g", "aggregate", "0",
                         "'group_by': ['nothing'], 'columns': []"),
         "there is no column \"nothing\": there are id, customer, qty, price, "
         "day, ok"},
        {2,
         TWO "," NODE(
             "j", "join", "0,1",
             "'on': [{'left': 'nothing', 'right': 'id', 'operator': '='}]"),
         "on, the left side: there is no column \"nothing\": there are id, "
         "customer, qty, price, day, ok"},
        {2,
         TWO "," NODE(
             "j", "join", "0,1",
             "'on': [{'left': 'id', 'right': 'nothing', 'operator': '='}]"),
         "on, the right side: there is no column \"nothing\": there are id, "
         "name, since"},
        {1,
         ORDERS "," NODE("q", "sequence", "0",
                         "'column': 'ID', 'start': 1, 'step': 1"),
         "the input already has a column \"ID\": give the sequence another "
         "name"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        compile(*state, cases[i].nodes, "");
        assert_says(cases[i].node, cases[i].why);
    }
}

static void what_is_wrong_with_types_is_said(void **state)
{
    static const struct {
        uint32_t node;
        const char *nodes, *why;
    } cases[] = {
        {1, ORDERS "," NODE("f", "filter", "0", WHERE(COL("qty"))),
         "where is integer: a condition is true or false"},
        {1,
         ORDERS "," NODE("s", "select", "0",
                         "'columns': [{'name': 'id', 'type': 'money'}]"),
         "\"money\" is not a type"},
        {1,
         ORDERS "," NODE("s", "select", "0",
                         "'columns': [{'name': 'id', 'type': 'decimal', "
                         "'precision': 2, 'scale': 3}]"),
         "decimal(2,3) is not a type"},
        {3,
         ORDERS
         "," NODE("a", "select", "0", "'columns': [{'name': 'x', 'column': 'qty'}]") "," NODE(
             "b", "select", "0",
             "'columns': [{'name': 'x', 'column': 'day'}]") "," NODE("u",
                                                                     "union",
                                                                     "1,2", ""),
         "column \"x\" is integer in one input and date in another: cast one "
         "of them"},
        {2, TWO "," NODE("u", "union", "0,1", ""),
         "the inputs' columns differ: id, customer, qty, price, day, ok and "
         "id, name, since"},
        {1,
         ORDERS "," NODE("g", "aggregate", "0",
                         "'group_by': ['day'], 'columns': [{'name': 'x', "
                         "'column': 'qty'}]"),
         "column \"x\": \"qty\" is neither in group_by nor inside of an "
         "aggregate such as sum()"},
        {1,
         ORDERS "," NODE(
             "g", "aggregate", "0",
             "'group_by': ['day'], 'columns': [" COMPUTED(
                 "x", "['add', " COL("qty") ", ['agg', 'count', false]]") "]"),
         "column \"x\": \"qty\" is neither in group_by nor inside of an "
         "aggregate such as sum()"},
        {2, TWO "," NODE("j", "join", "0,1", "'on': []"),
         "a join needs \"on\": pairs of columns"},
        {2,
         TWO "," NODE("j", "join", "0,1",
                      "'on': [{'left': 'id', 'right': 'id', 'operator': '~'}]"),
         "on: \"~\" is not a comparison"},
        {0, NODE("q", "sequence", "", "'column': 'n'"),
         "a sequence without input needs \"column\" and \"count\""},
        {0, NODE("f", "filter", "", WHERE(COL("ok"))), "it has 0 inputs"},
        {0, NODE("s", "sql", "", ""), "this agent cannot execute kind \"sql\""},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        compile(*state, cases[i].nodes, "");
        assert_says(cases[i].node, cases[i].why);
    }
}

static void comparing_what_does_not_go_together_names_both(void **state)
{
    compile(*state,
            TWO "," NODE(
                "j", "join", "0,1",
                "'on': [{'left': 'id', 'right': 'name', 'operator': '='}]"),
            "");
    assert_int_equal(c.failed, 2);
    assert_has(c.why, "on: ");
    assert_has(c.why, "\"id\" (integer)");
    assert_has(c.why, "\"name\" (text)");
    compile(*state,
            ORDERS
            "," NODE("m", "map", "0",
                     "'columns': [" COMPUTED(
                         "x", "['add', " COL("customer") ", " INT(1) "]") "]"),
            "");
    assert_int_equal(c.failed, 1);
    assert_has(c.why, "column \"x\": ");
    assert_has(c.why, "\"customer\" (text)");
}

static void what_is_not_there_is_said_without_paths(void **state)
{
    struct bench *b = *state;
    static const char *const cases[] = {
        EXTRACT("e", "shop", "nothing"),
        EXTRACT("e", "nowhere", "orders"),
        EXTRACT("e", "../shop", "orders"),
        NODE("r", "csv_read", "", "'path': 'nothing.csv'"),
        NODE("r", "csv_read", "", "'path': '../data/shop.db'"),
        NODE("r", "jsonl_read", "", ""),
        NODE("e", "extract", "", ""),
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        compile(b, cases[i], "");
        assert_int_equal(c.failed, 0);
        assert_true(strlen(c.why) > 10);
        assert_null(strstr(c.why, b->dir));
    }
}

/* Names of one side only, and the other's, in a list of a join. */
static void a_joins_list_takes_from_either_side(void **state)
{
    compile(*state,
            TWO "," NODE(
                "j", "join", "0,1",
                "'on': [{'left': 'id', 'right': 'id', 'operator': '='}], "
                "'columns': [{'name': 'name'}, {'name': 'id'}, {'name': 'rid', "
                "'from': 'right', 'column': 'id', 'type': 'text'}," COMPUTED(
                    "both", "['call', 'concat', ['col', 'customer', 'left'], "
                            "['col', 'name', 'right']]") "]"),
            "");
    assert_columns(2, "name text, id integer, rid text, both text");
    assert_string_equal(c.rows[2]->schema.columns[0].origin, "customers");
    compile(*state,
            TWO "," NODE(
                "j", "join", "0,1",
                "'on': [{'left': 'id', 'right': 'id', 'operator': '='}], "
                "'columns': [{'name': 'x', 'from': 'left', 'column': 'name'}]"),
            "");
    assert_says(2, "there is no column \"name\": there are id, customer, qty, "
                   "price, day, ok");
}

/* The transform database would read the first for both. */
static void names_that_differ_in_case_alone_are_refused(void **state)
{
    struct bench *b = *state;
    static const char why[] =
        "columns \"a\" and \"A\" are one if case is ignored, as it is here: "
        "give one of them another name";

    put_file(b, "in.csv", "a,A\n1,2\n");
    compile(b, NODE("r", "csv_read", "", "'path': 'in.csv'"), "");
    assert_says(0, why);
    compile(b,
            NODE("r", "csv_read", "",
                 "'path': 'in.csv', 'columns': [{'name': 'A'}]"),
            "");
    assert_columns(0, "A text");
    compile(b,
            ORDERS "," NODE("m", "map", "0",
                            "'columns': [{'name': 'a', 'column': 'id'}, "
                            "{'name': 'A', 'column': 'qty'}]"),
            "");
    assert_says(1, why);
    compile(b,
            TWO "," NODE("j", "join", "0,1",
                         "'on': [{'left': 'id', 'right': 'id', 'operator': "
                         "'='}], 'columns': [{'name': 'a', 'column': 'qty'}, "
                         "{'name': 'A', 'column': 'name'}]"),
            "");
    assert_says(2, why);
}

/* A right column cast before the join's own left one of the same place. */
static void a_join_casts_the_right_sides_columns_not_the_lefts(void **state)
{
    compile(
        *state,
        TWO "," NODE(
            "j", "join", "0,1",
            "'on': [{'left': 'id', 'right': 'id', 'operator': '='}], "
            "'columns': [{'name': 'name', 'from': 'right', 'type': 'text'}]"),
        "");
    assert_columns(2, "name text");
    assert_non_null(strstr(c.rows[2]->sql, "r.\"name\""));
}

int main(void)
{
#define CLAIM(name)                                                            \
    cmocka_unit_test_setup_teardown(name, set_up_shop, tear_down_all)
    const struct CMUnitTest tests[] = {
        CLAIM(an_extract_has_the_tables_columns),
        CLAIM(an_extract_can_choose_and_cast),
        CLAIM(an_extract_reads_its_own_sql),
        CLAIM(a_map_replaces_where_it_stands_and_adds_behind),
        CLAIM(a_join_without_a_list_has_all_but_the_twins),
        CLAIM(a_joins_list_takes_from_either_side),
        CLAIM(a_join_casts_the_right_sides_columns_not_the_lefts),
        CLAIM(names_that_differ_in_case_alone_are_refused),
        CLAIM(an_aggregate_has_its_groups_first),
        CLAIM(a_union_has_types_that_hold_all),
        CLAIM(an_output_is_applied_to_what_a_node_gives),
        CLAIM(files_and_sequences_are_sources),
        CLAIM(what_two_read_or_what_varies_is_kept),
        CLAIM(a_chain_is_cut_before_the_parsers_stack_is_full),
        CLAIM(what_is_wrong_with_names_is_said),
        CLAIM(what_is_wrong_with_types_is_said),
        CLAIM(comparing_what_does_not_go_together_names_both),
        CLAIM(what_is_not_there_is_said_without_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
