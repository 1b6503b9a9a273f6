/*
 * Tests of policy/workflow_data and workflow_lists: what data nodes of neutral
 * and React Flow documents become in the plan, and what is said about those
 * that are wrong. In texts ' is a quotation mark and ` an apostrophe.
 */
#include "tests/unit/document_fixture.h"

/* A source "e" (and "f"), then the node "x" with these fields. */
static const char *after_source(const char *fields)
{
    static char text[20000];
    snprintf(text, sizeof text,
             "{'name':'n','nodes':[{'id':'e','kind':'csv_read','path':'p'},"
             "{'id':'x',%s}],'edges':[{'source':'e','target':'x'}]}",
             fields);
    return quoted(text);
}

static const char *after_two(const char *fields)
{
    static char text[20000];
    snprintf(text, sizeof text,
             "{'name':'n','nodes':[{'id':'e','kind':'csv_read','path':'p'},"
             "{'id':'f','kind':'csv_read','path':'p'},{'id':'x',%s}],'edges':["
             "{'source':'f','target':'x'},{'source':'e','target':'x'}]}",
             fields);
    return quoted(text);
}

static const char *alone(const char *fields)
{
    static char text[20000];
    snprintf(text, sizeof text, "{'name':'n','nodes':[{'id':'x',%s}]}", fields);
    return quoted(text);
}

/* ---- expressions ---- */

static void a_predicate_becomes_its_text_and_its_tree(void **state)
{
    (void)state;
    accepted(after_source("'kind':'filter','where':' qty >= 2\\n'"));
    expect_said(
        "x", NULL,
        "{'where':" EXPR("qty >= 2", "['ge',['col','qty'],['int',2]]") "}");
    accepted(alone("'kind':'extract','connection':'c','table':'t','schema':'s',"
                   "'filter':'a is null','on_errors':'skip'"));
    expect_said("x", NULL,
                "{'connection':'c','table':'t','schema':'s','filter':" EXPR(
                    "a is null", "['isnull',['col','a']]") ",'on_errors':'skip'"
                                                           "}");
}

static void a_bad_expression_is_a_problem_where_it_stands(void **state)
{
    (void)state;
    refused(after_source("'kind':'filter','where':'qty >= '"), "/nodes/1/where",
            "bad_expression", "(at character ");
    refused(after_source("'kind':'filter','where':'qty >=\\n  ) 2'"),
            "/nodes/1/where", "bad_expression", "(line 2, column 3)");
    refused(after_source("'kind':'filter','where':'sum(qty) > 2'"),
            "/nodes/1/where", "bad_expression", "(at character ");
    refused(after_source("'kind':'map','columns':['a',{'name':'b',"
                         "'expression':'1 +'}]"),
            "/nodes/1/columns/1/expression", "bad_expression", "");
    refused(after_source("'kind':'filter','where':'   '"), "/nodes/1/where",
            "bad_expression", "");
    refused(alone("'kind':'extract','connection':'c','table':'t','filter':"
                  "'= 3'"),
            "/nodes/0/filter", "bad_expression", "");
}

static void every_bad_expression_of_a_node_is_told_at_once(void **state)
{
    const char *text =
        after_source("'kind':'map','columns':[{'name':'a','expression':'1 +'},"
                     "{'name':'b','expression':'* 2'}]");
    (void)state;
    assert_int_equal(read_bytes(text, strlen(text)), -EINVAL);
    find_problem("/nodes/1/columns/0/expression", "bad_expression");
    find_problem("/nodes/1/columns/1/expression", "bad_expression");
    assert_int_equal(problems.count, 2);
}

static void expressions_are_bounded_one_by_one_and_together(void **state)
{
    size_t room = 2000000;
    char *text = malloc(room);
    char *out = text;
    (void)state;
    assert_non_null(text);
    sprintf(text,
            "{\"name\":\"n\",\"nodes\":[{\"id\":\"e\",\"kind\":\"extract\""
            ",\"connection\":\"c\",\"table\":\"t\",\"filter\":\"a = '%*s'"
            "\"}]}",
            65536, "");
    refused(text, "/nodes/0/filter", "too_long", "65536");
    out += sprintf(out, "{\"name\":\"n\",\"nodes\":[");
    for (int i = 0; i < 20; i++)
        out += sprintf(out,
                       "%s{\"id\":\"e%d\",\"kind\":\"extract\",\"connection\":"
                       "\"c\",\"table\":\"t\",\"filter\":\"a = '%*s'\"}",
                       i ? "," : "", i, 60000, "");
    sprintf(out, "]}");
    refused(text, "/nodes/17/filter", "too_long", "together");
    free(text);
}

static void what_a_node_becomes_is_bounded(void **state)
{
    enum { COLUMNS = 26, ITEMS = 19000 };
    char *text = malloc(COLUMNS * (2 * ITEMS + 100) + 1000);
    char *out = text;
    (void)state;
    assert_non_null(text);
    /* Every "1," is five times as long in a tree. */
    out += sprintf(out, "{\"name\":\"n\",\"nodes\":[{\"id\":\"e\",\"kind\":"
                        "\"extract\",\"connection\":\"c\",\"table\":\"t\","
                        "\"columns\":[");
    for (int i = 0; i < COLUMNS; i++) {
        out += sprintf(out, "%s{\"name\":\"c%d\",\"expression\":\"a in (1",
                       i ? "," : "", i);
        for (int item = 1; item < ITEMS; item++)
            out = stpcpy(out, ",1");
        out = stpcpy(out, ")\"}");
    }
    strcpy(out, "]}]}");
    refused(text, "/nodes/0", "too_long", "split it");
    free(text);
}

/* ---- lists of columns ---- */

static void column_lists_are_put_in_one_form(void **state)
{
    (void)state;
    accepted(after_source(
        "'kind':'select','columns':['a',{'name':'b'},{'name':'c','column':'c'},"
        "{'name':'d','column':'a'},{'name':'e','expression':'a + 1'},"
        "{'name':'f','column':'a','type':'numeric(10,2)'},"
        "{'name':'g','type':'decimal','precision':5,'scale':1},"
        "{'name':'h','expression':'1','type':'Character Varying(20)'}]"));
    expect_said(
        "x", "columns",
        "[{'name':'a'},{'name':'b'},{'name':'c'},"
        "{'name':'d','column':'a'},"
        "{'name':'e','expression':" EXPR(
            "a + 1",
            "['add',['col','a'],['int',1]]") "},"
                                             "{'name':'f','column':'a','type':'"
                                             "decimal','precision':10,"
                                             "'scale':2},"
                                             "{'name':'g','type':'decimal','"
                                             "precision':5,'scale':1},"
                                             "{'name':'h','expression':" EXPR(
                                                 "1", "['int',1]") ",'type':"
                                                                   "'text'}]");
}

static void every_kind_with_columns_has_them_in_that_form(void **state)
{
    (void)state;
    accepted(alone("'kind':'extract','connection':'c','table':'t','columns':["
                   "'a',{'name':'b','type':'bigint'}]"));
    expect_said("x", "columns", "[{'name':'a'},{'name':'b','type':'integer'}]");
    accepted(after_source("'kind':'load','connection':'c','table':'t',"
                          "'columns':[{'name':'total','column':'t'}]"));
    expect_said("x", NULL,
                "{'connection':'c','table':'t','columns':[{'name':'total',"
                "'column':'t'}],'mode':'append','create':false,'on_errors':"
                "'fail'}");
    accepted(after_source("'kind':'expression','columns':['a']"));
    expect_said("x", NULL, "{'columns':[{'name':'a'}],'keep':true}");
    accepted(alone("'kind':'csv_read','path':'p','columns':['a',{'name':'b',"
                   "'type':'date'}],'delimiter':';','on_errors':'skip'"));
    expect_said("x", NULL,
                "{'path':'p','columns':[{'name':'a'},{'name':'b','type':'date'}"
                "],'delimiter':';','on_errors':'skip'}");
    accepted(after_source("'kind':'jsonl_write','path':'p','columns':[{'name':"
                          "'b','expression':'upper(a)'}]"));
    expect_said("x", "columns",
                "[{'name':'b','expression':" EXPR(
                    "upper(a)", "['call','upper',['col','a']]") "}]");
}

static void what_a_column_may_not_say_is_refused(void **state)
{
#define COLUMNS(kind, columns)                                                 \
    after_source("'kind':'" kind "','columns':" columns)
    (void)state;
    refused(COLUMNS("map", "[{'name':'a','expresion':'1'}]"),
            "/nodes/1/columns/0/expresion", "unknown_field",
            "did you mean \"expression\"?");
    refused(COLUMNS("map", "[{'name':'a','from':'left'}]"),
            "/nodes/1/columns/0/from", "unknown_field", "no field");
    refused(COLUMNS("map", "[{'expression':'1'}]"), "/nodes/1/columns/0",
            "missing_field", "\"name\"");
    refused(COLUMNS("map", "[{'name':'a','expression':'1','column':'b'}]"),
            "/nodes/1/columns/0", "conflicting_fields", "either");
    refused(COLUMNS("map", "[{'name':'a','expression':''}]"),
            "/nodes/1/columns/0/expression", "empty", "");
    refused(COLUMNS("map", "[{'name':'a','expression':7}]"),
            "/nodes/1/columns/0/expression", "wrong_type", "a number");
    refused(COLUMNS("map", "[7]"), "/nodes/1/columns/0", "wrong_type",
            "a number");
    refused(COLUMNS("select", "['a',{'name':'a','expression':'1'}]"),
            "/nodes/1/columns/1", "duplicate_column",
            "two columns are called \"a\"");
    refused(COLUMNS("select", "[{'name':'a\\u0001'}]"),
            "/nodes/1/columns/0/name", "control_character", "");
    refused(alone("'kind':'csv_read','path':'p','columns':[{'name':'a',"
                  "'expression':'1'}]"),
            "/nodes/0/columns/0/expression", "unknown_field", "");
}

static void names_have_at_most_255_bytes(void **state)
{
    char name[300];
    char text[500];
    (void)state;
    for (int bytes = 255; bytes <= 256; bytes++) {
        memset(name, 'n', sizeof name);
        name[bytes] = '\0';
        snprintf(text, sizeof text, "'kind':'select','columns':['%s']", name);
        if (bytes == 255)
            accepted(after_source(text));
        else
            refused(after_source(text), "/nodes/1/columns/0", "too_long",
                    "at most 255");
    }
}

static void types_are_checked_precisely(void **state)
{
#define TYPED(more) COLUMNS("select", "[{'name':'a'," more "}]")
    (void)state;
    refused(TYPED("'type':'integr'"), "/nodes/1/columns/0/type", "unknown_type",
            "did you mean \"integer\"?");
    refused(TYPED("'type':'polygon'"), "/nodes/1/columns/0/type",
            "unknown_type", "timestamptz");
    refused(TYPED("'type':3"), "/nodes/1/columns/0/type", "wrong_type", "");
    refused(TYPED("'type':'text','precision':3"),
            "/nodes/1/columns/0/precision", "conflicting_fields", "decimal");
    refused(TYPED("'precision':3"), "/nodes/1/columns/0/precision",
            "conflicting_fields", "decimal");
    refused(TYPED("'type':'decimal','precision':0"),
            "/nodes/1/columns/0/precision", "bad_value", "from 1 to 1000");
    refused(TYPED("'type':'decimal','precision':3,'scale':4"),
            "/nodes/1/columns/0/scale", "bad_value", "from 0 to 3");
    refused(TYPED("'type':'decimal','scale':2"), "/nodes/1/columns/0",
            "missing_field", "\"precision\"");
    refused(TYPED("'type':'decimal','precision':'3'"),
            "/nodes/1/columns/0/precision", "wrong_type", "");
}

/* ---- aggregate ---- */

static void an_aggregate_computes_or_repeats_what_it_groups_by(void **state)
{
    (void)state;
    accepted(after_source("'kind':'aggregate','group_by':['a'],'columns':['a',"
                          "{'name':'b','column':'a'},{'name':'n','expression':"
                          "'Count(*)'}]"));
    expect_said("x", NULL,
                "{'group_by':['a'],'columns':[{'name':'a'},{'name':'b',"
                "'column':'a'},{'name':'n','expression':" EXPR(
                    "Count(*)", "['agg','count',false]") "}]}");
    accepted(after_source("'kind':'group','columns':[{'name':'s','expression':"
                          "'sum(q)'}]"));
    expect_said("x", "group_by", "");
    refused(after_source("'kind':'aggregate','group_by':['a'],'columns':["
                         "'b']"),
            "/nodes/1/columns/0", "missing_field", "\"expression\"");
    refused(after_source("'kind':'aggregate','columns':[{'name':'b'}]"),
            "/nodes/1/columns/0", "missing_field", "\"b\" is not among");
    refused(after_source("'kind':'aggregate','columns':[{'expression':"
                         "'sum(a)'}]"),
            "/nodes/1/columns/0", "missing_field", "\"name\"");
    refused(after_source("'kind':'aggregate','group_by':['a','a'],'columns':["
                         "'a']"),
            "/nodes/1/group_by/1", "duplicate_column", "\"a\"");
}

/* ---- sort, join, union, distinct, sequence ---- */

static void an_order_is_complete_in_the_plan(void **state)
{
    (void)state;
    accepted(after_source("'kind':'sort','by':['a',{'column':'b','descending':"
                          "true},{'column':'c','nulls':'first'},{'column':'d',"
                          "'descending':true,'nulls':'last'}]"));
    expect_said("x", "by",
                "[{'column':'a','descending':false,'nulls':'last'},"
                "{'column':'b','descending':true,'nulls':'first'},"
                "{'column':'c','descending':false,'nulls':'first'},"
                "{'column':'d','descending':true,'nulls':'last'}]");
    refused(after_source("'kind':'sort','by':[{'column':'a','descending':1}]"),
            "/nodes/1/by/0/descending", "wrong_type", "");
    refused(after_source("'kind':'sort','by':[{'column':'a','nulls':'top'}]"),
            "/nodes/1/by/0/nulls", "bad_value", "first or last");
    refused(
        after_source("'kind':'sort','by':[{'column':'a','desending':true}]"),
        "/nodes/1/by/0/desending", "unknown_field",
        "did you mean \"descending\"?");
}

static void a_join_is_complete_in_the_plan(void **state)
{
    char *plan;
    size_t bytes;
    (void)state;
    accepted(after_two("'kind':'join','on':[{'left':'a','right':'b'},{'left':"
                       "'c','right':'d','operator':'<>'}],'columns':['a',"
                       "{'name':'n','column':'a','from':'right'}]"));
    expect_said("x", NULL,
                "{'on':[{'left':'a','right':'b','operator':'='},{'left':'c',"
                "'right':'d','operator':'!='}],'columns':[{'name':'a'},{'name':"
                "'n','column':'a','from':'right'}],'how':'inner'}");
    /* f's edge comes first, so f is the left side. */
    assert_int_equal(workflow_plan_text(wf, &plan, &bytes), 0);
    assert_non_null(strstr(plan, "\"after\":[1,0]"));
    free(plan);
#define ON(on) after_two("'kind':'join','on':" on)
    refused(ON("[{'left':'a'}]"), "/nodes/2/on/0", "missing_field",
            "\"right\"");
    refused(ON("[{'left':'a','right':'b','operator':'~'}]"),
            "/nodes/2/on/0/operator", "bad_value", "<=");
    refused(ON("[{'left':'a','right':'b','how':'left'}]"), "/nodes/2/on/0/how",
            "unknown_field", "");
    refused(ON("['a']"), "/nodes/2/on/0", "wrong_type", "\"left\"");
    refused(ON("[{'left':'a','right':'b'}],'columns':[{'name':'a','from':"
               "'both'}]"),
            "/nodes/2/columns/0/from", "bad_value", "left or right");
    refused(ON("[{'left':'a','right':'b'}],'columns':[{'name':'a','from':"
               "'left','expression':'left.a'}]"),
            "/nodes/2/columns/0/from", "conflicting_fields", "right.id");
}

static void rows_are_told_apart_by_names(void **state)
{
    (void)state;
    accepted(after_source("'kind':'distinct','columns':['a','b']"));
    expect_said("x", NULL, "{'columns':['a','b']}");
    refused(after_source("'kind':'distinct','columns':[{'name':'a'}]"),
            "/nodes/1/columns/0", "wrong_type", "a string");
    accepted(after_two("'kind':'union','distinct':true"));
    expect_said("x", NULL, "{'distinct':true}");
}

static void an_engine_stands_beside_the_configuration(void **state)
{
    (void)state;
    accepted(alone("'kind':'extract','connection':'c','table':'t','engine':"
                   "'Yugabyte'"));
    expect_said("x", NULL, "{'connection':'c','table':'t'}");
    assert_string_equal(wf->nodes[0].engine, "postgresql");
}

static void a_sequence_counts_when_it_has_no_input(void **state)
{
    (void)state;
    accepted(alone("'kind':'sequence','column':'n','count':3"));
    expect_said("x", NULL, "{'column':'n','count':3,'start':1,'step':1}");
    refused(alone("'kind':'sequence','column':'n'"), "/nodes/0",
            "missing_field", "\"count\"");
    refused(alone("'kind':'sequence','column':'n','count':-1"),
            "/nodes/0/count", "bad_value", "0 or more");
    accepted(after_source("'kind':'sequence','column':'n','start':5"));
    refused(after_source("'kind':'sequence','column':'n','count':3"),
            "/nodes/1", "conflicting_fields", "\"count\"");
    /* A parent that gives no rows is no input. */
    accepted(quoted("{'name':'n','nodes':[{'id':'c','kind':'command','argv':["
                    "'x']},{'id':'x','kind':'sequence','column':'n','count':0}]"
                    ",'edges':[{'source':'c','target':'x'}]}"));
}

/* ---- connections ---- */

static void connections_are_called_by_plain_names(void **state)
{
    static const char *const good[] = {"a", "A-b_c.9", "_x", "0"};
    static const char *const bad[] = {
        "a b", ".a", "-a", "host=db1 password=x", "a/b", "\xc3\xa9"};
    char text[500];
    char name[103];
    (void)state;
#define CONNECTION "'kind':'extract','table':'t','connection':'%s'"
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        snprintf(text, sizeof text, CONNECTION, good[i]);
        accepted(alone(text));
        assert_string_equal(wf->nodes[0].connection, good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(text, sizeof text, CONNECTION, bad[i]);
        refused(alone(text), "/nodes/0/connection", "bad_value", "letters");
    }
    memset(name, 'a', sizeof name);
    name[101] = '\0';
    snprintf(text, sizeof text, CONNECTION, name);
    refused(alone(text), "/nodes/0/connection", "too_long", "100");
    name[100] = '\0';
    snprintf(text, sizeof text, CONNECTION, name);
    accepted(alone(text));
}

static void what_is_used_must_be_announced(void **state)
{
    const char *const *names;
    size_t count;
    (void)state;
    accepted(quoted("{'name':'n','nodes':[{'id':'a','kind':'extract',"
                    "'connection':'shop','table':'t','engine':'timescale'},"
                    "{'id':'b','kind':'sql','connection':'shop','sql':'x'}]}"));
    assert_int_equal(workflow_requires(wf, &names, &count), 0);
    assert_int_equal(count, 3);
    assert_string_equal(names[0], "connection:shop");
    assert_string_equal(names[1], "kind:extract");
    assert_string_equal(names[2], "kind:sql");
}

static void a_query_ends_before_its_semicolon(void **state)
{
    (void)state;
    accepted(alone("'kind':'extract','connection':'c','sql':' select 1 ;\\n'"));
    expect_said("x", "sql", "'select 1'");
    refused(alone("'kind':'extract','connection':'c','sql':' ; '"),
            "/nodes/0/sql", "empty", "no statement");
}

/* ---- React Flow ---- */

static const char *diagram(const char *type, const char *config)
{
    static char text[20000];
    snprintf(text, sizeof text,
             "{'nodes':[{'id':'e','data':{'connectorType':'postgresql',"
             "'config':{'connection':'c','table':'t'}}},{'id':'x','data':{"
             "'connectorType':'%s','category':'Transformations','config':%s}}],"
             "'edges':[{'source':'e','target':'x'}],'viewport':{}}",
             type, config);
    return quoted(text);
}

static void diagrams_say_the_same_in_the_same_words(void **state)
{
    (void)state;
    accepted(diagram("expression", "{'columns':[{'id':'1','name':'a',"
                                   "'expression':'upper(b)','type':''}]}"));
    expect_said("x", NULL,
                "{'columns':[{'name':'a','expression':" EXPR(
                    "upper(b)", "['call','upper',['col','b']]") "}],'keep':"
                                                                "true}");
    accepted(diagram("selectcolumns", "{'columns':['a',{'name':'b',"
                                      "'expression':''}]}"));
    expect_said("x", "columns", "[{'name':'a'},{'name':'b'}]");
    accepted(diagram("sorter", "{'by':['a']}"));
    expect_said("x", "by",
                "[{'column':'a','descending':false,'nulls':'last'}]");
    accepted(diagram("group", "{'group_by':['a'],'columns':[{'name':'n',"
                              "'expression':'max(b)'}]}"));
    refused(diagram("expression", "{'columns':[{'name':'a','expression':"
                                  "'1 +'}]}"),
            "/nodes/1/data/config/columns/0/expression", "bad_expression", "");
}

static void diagrams_may_carry_what_v1_says(void **state)
{
    (void)state;
    accepted(diagram("filter",
                     "{'transformations':{'source':{'columns':[{'name':'a',"
                     "'expression':{'value':'a < 4'}}]}},'field_mapping':[{"
                     "'value':'a','target':'b'}]}"));
    expect_said(
        "x", NULL,
        "{'where':" EXPR("a < 4",
                         "['lt',['col','a'],['int',4]]") ",'output':[{'name':'"
                                                         "b','column':'a'}]}");
}

/* ---- the plan ---- */

static void a_plan_may_say_how_many_rows_to_show(void **state)
{
    char *text = NULL;
    size_t bytes;
    (void)state;
    accepted(alone("'kind':'csv_read','path':'p'"));
    assert_int_equal(workflow_plan_text_preview(wf, 20, &text, &bytes), 0);
    assert_int_equal(strlen(text), bytes);
    assert_non_null(strstr(text, "{\"name\":\"n\",\"preview_rows\":20,"
                                 "\"nodes\":["));
    free(text);
    assert_int_equal(workflow_plan_text_preview(wf, 0, &text, &bytes), 0);
    assert_non_null(strstr(text, "\"preview_rows\":0,"));
    free(text);
    text = NULL;
    assert_int_equal(workflow_plan_text_preview(wf, 101, &text, &bytes),
                     -EINVAL);
    assert_null(text);
    assert_int_equal(workflow_plan_text(wf, &text, &bytes), 0);
    assert_null(strstr(text, "preview_rows"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_predicate_becomes_its_text_and_its_tree),
        TEST(a_bad_expression_is_a_problem_where_it_stands),
        TEST(every_bad_expression_of_a_node_is_told_at_once),
        TEST(expressions_are_bounded_one_by_one_and_together),
        TEST(what_a_node_becomes_is_bounded),
        TEST(column_lists_are_put_in_one_form),
        TEST(every_kind_with_columns_has_them_in_that_form),
        TEST(what_a_column_may_not_say_is_refused),
        TEST(names_have_at_most_255_bytes),
        TEST(types_are_checked_precisely),
        TEST(an_aggregate_computes_or_repeats_what_it_groups_by),
        TEST(an_order_is_complete_in_the_plan),
        TEST(a_join_is_complete_in_the_plan),
        TEST(rows_are_told_apart_by_names),
        TEST(an_engine_stands_beside_the_configuration),
        TEST(a_sequence_counts_when_it_has_no_input),
        TEST(connections_are_called_by_plain_names),
        TEST(what_is_used_must_be_announced),
        TEST(a_query_ends_before_its_semicolon),
        TEST(diagrams_say_the_same_in_the_same_words),
        TEST(diagrams_may_carry_what_v1_says),
        TEST(a_plan_may_say_how_many_rows_to_show),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
