/*
 * Tests of policy/workflow_v1_nodes, _parts, _filter, _join and _sort: what the
 * nodes of connectionInformation_v1 documents become in the plan, for
 * everything that such documents have been seen to do, and what is refused. In
 * texts ' is a quotation mark and ` an apostrophe.
 */
#include "tests/unit/document_fixture.h"

#define AT "/connectionInformation_v1"

/* One database node that is read, "x". */
static const char *reading(const char *details, const char *mapping)
{
    static char text[20000];
    snprintf(text, sizeof text,
             "{'connectionInformation_v1':{'x':{'connector_type':'postgresql',"
             "'connector_category':'Databases','connector_id':'c1','dbDetails':"
             "{%s},'transformations':{},'field_mapping':[%s]}}}",
             details, mapping);
    return quoted(text);
}

/* A source "s", then one that is written, "x". */
static const char *writing(const char *details, const char *mapping)
{
    static char text[20000];
    snprintf(text, sizeof text,
             "{'connectionInformation_v1':{'s':{'connector_type':'supabase',"
             "'connector_category':'Databases','dbDetails':{'table':'t'}},"
             "'x':{'connector_type':'postgresql','connector_category':"
             "'Databases','connector_id':'c1','dbDetails':{%s},"
             "'transformations':{},'field_mapping':[%s]}},"
             "'dependencies':{'x':['s']}}",
             details, mapping);
    return quoted(text);
}

/* A source "s", then a transformation "x". */
static const char *shaping(const char *type, const char *transformations,
                           const char *mapping)
{
    static char text[20000];
    snprintf(text, sizeof text,
             "{'connectionInformation_v1':{'s':{'connector_type':'supabase',"
             "'connector_category':'Databases','dbDetails':{'table':'t'}},"
             "'x':{'connector_type':'%s','connector_category':"
             "'Transformations','dbDetails':{},'transformations':{%s},"
             "'field_mapping':[%s]}},'dependencies':{'x':['s']}}",
             type, transformations, mapping);
    return quoted(text);
}

#define COLUMNS(columns) "'source':{'columns':[" columns "]}"
#define COLUMN(name, expression)                                               \
    "{'name':'" name "','value':'" name "','type':'integer','table':'t',"      \
    "'selected':true,'expression':{'value':'" expression "','html':'&'}}"
#define MAPPED(name)                                                           \
    "{'value':'" name "','name':'" name "','type':'integer','selected':true,"  \
    "'target':'" name "','targetType':'integer','expression':''}"

/* ---- databases ---- */

static void connections_are_made_names_that_agents_can_have(void **state)
{
    static const char *const pairs[][2] = {
        {"'connector_id':'A1-b','dbDetails':{'db':'hr','table':'t'}", "A1-b"},
        {"'dbDetails':{'db':'my db/1','table':'t'}", "my-db-1"},
        {"'dbDetails':{'db':'.-\xc3\xa9t\xc3\xa9','table':'t'}", "t-"},
        {"'connector_id':' ','dbDetails':{'table':'t'}", "postgresql"},
    };
    char text[1000];
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        snprintf(text, sizeof text,
                 "{'connectionInformation_v1':{'x':{'connector_type':"
                 "'timescale','connector_category':'Databases',%s}}}",
                 pairs[i][0]);
        accepted(quoted(text));
        assert_string_equal(wf->nodes[0].connection, pairs[i][1]);
        assert_string_equal(wf->nodes[0].engine, "postgresql");
    }
}

static void a_database_is_read_by_table_or_by_query(void **state)
{
    (void)state;
    accepted(reading("'db':'hr','schema':'public','table':'employees','sql':''"
                     ",'filter':'','onErrors':'fail'",
                     ""));
    expect_said("x", NULL,
                "{'connection':'c1','table':'employees','schema':'public'}");
    accepted(reading("'table':'employees','schema':'public','sql':"
                     "'select *\\n from employees\\n;',"
                     "'filter':'where id < 4;','onErrors':'Continue'",
                     ""));
    expect_said(
        "x", NULL,
        "{'connection':'c1','sql':'select *\\n from employees',"
        "'filter':" EXPR(
            "id < 4", "['lt',['col','id'],['int',4]]") ",'on_errors':'skip'}");
    accepted(reading("'table':'employees','sql':';'", ""));
    expect_said("x", NULL, "{'connection':'c1','table':'employees'}");
    refused(reading("'schema':'public','sql':' '", ""), AT "/x/dbDetails",
            "missing_field", "\"table\" or \"sql\"");
    refused(reading("'table':'t','sql':3", ""), AT "/x/dbDetails/sql",
            "wrong_type", "a number");
}

static void positions_in_a_filter_count_the_word_where(void **state)
{
    (void)state;
    refused(reading("'table':'t','filter':'WHERE a = )'", ""),
            AT "/x/dbDetails/filter", "bad_expression", "(at character 11)");
}

static void a_load_truncates_or_appends_in_one_go(void **state)
{
    (void)state;
    accepted(writing("'db':'mart','schema':'public','table':'totals',"
                     "'truncateTable':true,'onErrors':'fail'",
                     "{'value':'name','target':'who','type':'character varying'"
                     ",'targetType':'text','expression':''}"));
    expect_said("x", NULL,
                "{'connection':'c1','table':'totals','schema':'public','mode':"
                "'truncate','on_errors':'fail','create':false,'columns':[{"
                "'name':'who','column':'name'}]}");
    accepted(writing("'table':'totals','truncateTable':'false','onErrors':"
                     "'skip'",
                     ""));
    expect_said("x", NULL,
                "{'connection':'c1','table':'totals','mode':'append',"
                "'on_errors':'skip','create':false}");
    refused(writing("'db':'mart'", ""), AT "/x/dbDetails", "missing_field",
            "written needs \"table\"");
}

/* ---- the mapping of fields ---- */

static void a_mapping_selects_renames_computes_and_casts(void **state)
{
    (void)state;
    accepted(reading(
        "'table':'t'",
        MAPPED("a") ",{'value':'b','name':'b','selected':false,'target':'b'},"
                    "{'value':'c','name':'c','target':'cc','expression':'c'},"
                    "{'value':'d','name':'dd','target':'','expression':' '},"
                    "{'value':'e','name':'e','target':'e','expression':"
                    "'Upper(e)\\u00a0'},"
                    "{'value':'f','type':'integer','targetType':"
                    "'numeric(10,2)'},"
                    "{'value':'g','type':'text','targetType':'geometry'},"
                    "{'value':'h','type':'character varying(10)','targetType':"
                    "'text'}"));
    expect_said(
        "x", "output",
        "[{'name':'a'},{'name':'cc','column':'c'},{'name':'dd',"
        "'column':'d'},{'name':'e','expression':" EXPR(
            "Upper(e)",
            "['call','upper',['col','e']]") "},"
                                            "{'name':'f','type':'decimal','"
                                            "precision':10,'scale':2},"
                                            "{'name':'g'},{'name':'h'}]");
    accepted(reading("'table':'t'", ""));
    expect_said("x", "output", "");
    accepted(shaping("distinct", "", MAPPED("a")));
    expect_said("x", NULL, "{'output':[{'name':'a'}]}");
}

static void what_a_mapping_may_not_say_is_refused(void **state)
{
    (void)state;
    refused(reading("'table':'t'", MAPPED("a") "," MAPPED("a")),
            AT "/x/field_mapping/1", "duplicate_column",
            "two columns are called \"a\"");
    refused(reading("'table':'t'", "{'value':'a','selected':false}"),
            AT "/x/field_mapping", "empty", "selected");
    refused(reading("'table':'t'", "{'value':'a','expression':'1 +'}"),
            AT "/x/field_mapping/0/expression", "bad_expression", "");
    refused(reading("'table':'t'", "7"), AT "/x/field_mapping/0", "wrong_type",
            "");
    refused(reading("'table':'t'", "{'type':'text'}"), AT "/x/field_mapping/0",
            "missing_field", "\"value\"");
    refused(reading("'table':'t'", "{'value':'a\\u0001b'}"),
            AT "/x/field_mapping/0/value", "control_character", "");
}

/* ---- filter ---- */

static void predicates_of_all_columns_have_to_hold(void **state)
{
    (void)state;
    accepted(shaping("filter",
                     COLUMNS(COLUMN("a", "a != 102") "," COLUMN(
                         "b", "") "," COLUMN("c", " c >= 1000\\u00a0")),
                     MAPPED("a")));
    expect_said("x", NULL,
                "{'where':" EXPR(
                    "a != 102 and c >= 1000",
                    "['and',['ne',['col','a'],['int',102]],"
                    "['ge',['col','c'],['int',1000]]]") ",'output'"
                                                        ":[{'name':'a'}]}");
}

static void one_predicate_needs_no_and_and_none_lets_all_through(void **state)
{
    (void)state;
    accepted(shaping("filter", COLUMNS(COLUMN("a", "a < 4")), ""));
    expect_said("x", NULL,
                "{'where':" EXPR("a < 4", "['lt',['col','a'],['int',4]]") "}");
    accepted(
        shaping("filter", COLUMNS(COLUMN("a", "") "," COLUMN("b", "b")), ""));
    expect_said("x", "where", EXPR("true", "['bool',true]"));
    accepted(shaping("filter", "", ""));
    expect_said("x", "where", EXPR("true", "['bool',true]"));
}

static void alternatives_and_conjunctions_keep_their_meaning(void **state)
{
    (void)state;
    accepted(shaping("filter",
                     COLUMNS(COLUMN("a", "a = 1 or a = 2") "," COLUMN(
                         "b", "b > 1 and b < 9")),
                     ""));
    expect_said("x", "where",
                EXPR("(a = 1 or a = 2) and b > 1 and b < 9",
                     "['and',['or',['eq',['col','a'],['int',1]],['eq',['col',"
                     "'a'],['int',2]]],['gt',['col','b'],['int',1]],['lt',["
                     "'col','b'],['int',9]]]"));
}

static void predicates_may_stand_in_three_places_and_count_once(void **state)
{
    (void)state;
    accepted(shaping(
        "filter",
        COLUMNS(COLUMN("a", "a = 1")) ",'transformations':[{'name':'a',"
                                      "'expression':{'value':'a = 1'}},"
                                      "{'name':'b','expression':'b = 2'},"
                                      "'c = 3'],'conditions':['b = 2',"
                                      "{'expression':'d = 4'},{'value':"
                                      "'e = 5'},'']",
        ""));
    expect_said("x", "where",
                EXPR("a = 1 and b = 2 and c = 3 and d = 4 and e = 5",
                     "['and',['eq',['col','a'],['int',1]],['eq',['col','b'],["
                     "'int',2]],['eq',['col','c'],['int',3]],['eq',['col','d'],"
                     "['int',4]],['eq',['col','e'],['int',5]]]"));
    accepted(shaping("filter", "'conditions':'a = 1'", ""));
    expect_said("x", "where", EXPR("a = 1", "['eq',['col','a'],['int',1]]"));
}

static void conditions_may_be_in_three_parts(void **state)
{
    (void)state;
    accepted(shaping("filter",
                     "'conditions':[{'column':'a','operator':'>=','value':4},"
                     "{'source_column':'t.b','operator':'=','value':'it`s'},"
                     "{'column':'c','operator':'IN','value':[1,'x']},"
                     "{'column':'d','operator':'is null'},"
                     "{'column':'e','operator':'!=','value':null}]",
                     ""));
    expect_said("x", "where",
                EXPR("\\\"a\\\" >= 4 and \\\"t\\\".\\\"b\\\" = `it``s` and "
                     "\\\"c\\\" in (1, `x`) and \\\"d\\\" is null and "
                     "\\\"e\\\" is not null",
                     "['and',['ge',['col','a'],['int',4]],['eq',['col','b','t'"
                     "],['text','it`s']],['in',['col','c'],['int',1],['text',"
                     "'x']],['isnull',['col','d']],['not',['isnull',['col','e'"
                     "]]]]"));
    refused(shaping("filter",
                    "'conditions':[{'column':'a','operator':'~',"
                    "'value':4}]",
                    ""),
            AT "/x/transformations/conditions/0", "bad_value", "operator");
    refused(
        shaping("filter", "'conditions':[{'column':'a','operator':'='}]", ""),
        AT "/x/transformations/conditions/0", "bad_value", "value");
    refused(shaping("filter",
                    "'conditions':['a = 1',{'value':'b = 2',"
                    "'logic':'OR'}]",
                    ""),
            AT "/x/transformations/conditions/1/logic", "bad_value", "AND");
    refused(shaping("sorter", "'order_by':'a','conditions':['a = 1']", ""),
            AT "/x/transformations/conditions", "conflicting_fields",
            "only a filter");
}

static void a_predicate_may_leave_out_its_column(void **state)
{
    (void)state;
    accepted(shaping("filter",
                     COLUMNS(COLUMN("a", "!= 102") "," COLUMN("b", "in (1)")),
                     ""));
    expect_said("x", "where",
                EXPR("\\\"a\\\" != 102 and \\\"b\\\" in (1)",
                     "['and',['ne',['col','a'],['int',102]],['in',['col','b'],"
                     "['int',1]]]"));
    /* Positions are those in the document. */
    refused(shaping("filter", COLUMNS(COLUMN("a", "> )")), ""),
            AT "/x/transformations/source/columns/0/expression/value",
            "bad_expression", "(at character 3)");
}

static void a_bad_predicate_is_a_problem_where_it_stands(void **state)
{
    (void)state;
    refused(
        shaping("filter", COLUMNS(COLUMN("a", "") "," COLUMN("b", "b >")), ""),
        AT "/x/transformations/source/columns/1/expression/value",
        "bad_expression", "at character");
    refused(shaping("filter", "'transformations':[{'expression':'b >'}]", ""),
            AT "/x/transformations/transformations/0/expression",
            "bad_expression", "at character");
    refused(shaping("filter", "'conditions':[{'expression':'b >'}]", ""),
            AT "/x/transformations/conditions/0/expression", "bad_expression",
            "at character");
    refused(shaping("filter", "'conditions':['b >']", ""),
            AT "/x/transformations/conditions/0", "bad_expression",
            "at character");
    refused(shaping("filter", "'source':7", ""), AT "/x/transformations/source",
            "wrong_type", "an object");
    refused(
        shaping("filter", COLUMNS("{'name':'a','expression':{'value':7}}"), ""),
        AT "/x/transformations/source/columns/0/expression/value", "wrong_type",
        "a number");
}

/* ---- expression and selectcolumns ---- */

static void an_expression_computes_one_value_a_column(void **state)
{
    (void)state;
    accepted(shaping(
        "expression",
        COLUMNS(COLUMN("a", "") "," COLUMN("b", "Upper(b)") "," COLUMN(
            "c", "t.c") ",{'name':'n','expression':{"
                        "'value':'a * 2'}},{'name':'d','selected':false}"),
        ""));
    expect_said(
        "x", NULL,
        "{'columns':[{'name':'a'},{'name':'b','expression':" EXPR(
            "Upper(b)",
            "['call','upper',['col','b']]") "},{'name':'c'"
                                            "},{'name':'n','expression':" EXPR(
                                                "a * 2", "['mul',['col','a'],['"
                                                         "int',2]]") "}],'keep'"
                                                                     ":"
                                                                     "false}");
    refused(shaping("expression", COLUMNS(COLUMN("a", "Nope(")), ""),
            AT "/x/transformations/source/columns/0/expression/value",
            "bad_expression", "");
    refused(shaping("expression", "", ""), AT "/x/transformations",
            "missing_field", "columns");
}

static void
what_a_node_computes_its_mapping_does_not_compute_again(void **state)
{
    (void)state;
    accepted(shaping("expression", COLUMNS(COLUMN("a", "a * 2")),
                     "{'value':'a','target':'b','expression':'A*2 '}"));
    expect_said("x", "output", "[{'name':'b','column':'a'}]");
    /* Another expression there is computed from what the node gives. */
    accepted(shaping("expression", COLUMNS(COLUMN("a", "a * 2")),
                     "{'value':'a','target':'b','expression':'a * 3'}"));
    expect_said("x", "output",
                "[{'name':'b','expression':" EXPR(
                    "a * 3", "['mul',['col','a'],['int',3]]") "}]");
    accepted(shaping("filter", COLUMNS(COLUMN("a", "a < 4")),
                     "{'value':'a','target':'a','expression':'a < 4'}"));
    expect_said("x", "output", "[{'name':'a'}]");
}

static void a_mapping_that_wants_more_columns_gets_them(void **state)
{
    (void)state;
    accepted(shaping("expression", COLUMNS(COLUMN("a", "a + 1")),
                     MAPPED("a") "," MAPPED("z")));
    expect_said("x", "keep", "true");
    accepted(shaping("expression", COLUMNS(COLUMN("a", "a + 1")), MAPPED("a")));
    expect_said("x", "keep", "false");
    /* Names for people do not count when the mapping knows the others. */
    accepted(shaping("expression",
                     COLUMNS("{'name':'The A','value':'a','expression':"
                             "'a + 1'}"),
                     MAPPED("a")));
    expect_said("x", "columns",
                "[{'name':'a','expression':" EXPR(
                    "a + 1", "['add',['col','a'],['int',1]]") "}]");
    expect_said("x", "keep", "false");
}

static void transformations_of_their_own_say_the_columns_too(void **state)
{
    (void)state;
    accepted(shaping("expression",
                     COLUMNS(COLUMN("a", "")) ",'transformations':[" COLUMN(
                         "a", "a + 1") "," COLUMN("b", "2") "]",
                     ""));
    expect_said(
        "x", "columns",
        "[{'name':'a','expression':" EXPR(
            "a + 1", "['add',['col','a'],['int',1]]") "},{'name':'b',"
                                                      "'expression':" EXPR(
                                                          "2",
                                                          "['int',2]") "}]");
    refused(shaping("expression",
                    COLUMNS(COLUMN("a", "a + 1")) ",'transformations':[" COLUMN(
                        "a", "a + 2") "]",
                    ""),
            AT "/x/transformations/transformations/0/expression/value",
            "conflicting_fields", "source/columns/0/expression");
    accepted(shaping("expression", "",
                     "{'value':'a','target':'b','expression':'a + 1'}"));
    expect_said("x", NULL,
                "{'columns':[{'name':'b','expression':" EXPR(
                    "a + 1", "['add',['col','a'],['int',1]]") "}],'keep':"
                                                              "false}");
}

static void selectcolumns_keeps_what_is_selected(void **state)
{
    (void)state;
    accepted(shaping(
        "selectcolumns",
        COLUMNS(COLUMN("a", "") ",{'name':'b','selected':false},{"
                                "'name':'c','value':'cc','selected':true}"),
        ""));
    expect_said("x", NULL,
                "{'columns':[{'name':'a'},{'name':'c','column':'cc'}]}");
    accepted(shaping("selectcolumns", "", MAPPED("a")));
    expect_said("x", NULL, "{'columns':[{'name':'a'}]}");
    refused(
        shaping("selectcolumns", COLUMNS("{'name':'b','selected':false}"), ""),
        AT "/x/transformations", "missing_field", "selected");
}

/* ---- group ---- */

#define KEY(name) "{'name':'" name "','value':'" name "','groupBy':true}"

static void a_group_has_keys_and_aggregates(void **state)
{
    (void)state;
    accepted(shaping("group\\u00a0",
                     COLUMNS(KEY("d") "," COLUMN(
                         "s", "Sum(s)\\u00a0") "," COLUMN("e", "COUNT(e)")),
                     MAPPED("d") "," MAPPED("s") "," MAPPED("e")));
    expect_said(
        "x", NULL,
        "{'group_by':['d'],'columns':[{'name':'d'},{'name':'s',"
        "'expression':" EXPR(
            "Sum(s)",
            "['agg','sum',false,['col','s']]") "},{"
                                               "'name':'e','expression':" EXPR(
                                                   "COUNT(e)",
                                                   "['agg','count',false,['col'"
                                                   ",'e']]") "}],"
                                                             "'output':[{'name'"
                                                             ":'d'},{'name':'s'"
                                                             "},{'name':'e'}]"
                                                             "}");
    accepted(shaping("group", COLUMNS(COLUMN("s", "sum(s)")), ""));
    expect_said("x", "group_by", "");
    refused(shaping("group", "", ""), AT "/x/transformations", "missing_field",
            "sum(amount)");
}

static void without_a_flag_plain_columns_are_the_keys(void **state)
{
    (void)state;
    accepted(shaping("group",
                     COLUMNS(COLUMN("d", "") "," COLUMN("s", "sum(s)")), ""));
    expect_said("x", "group_by", "['d']");
    accepted(shaping("group", "",
                     MAPPED("d") ",{'value':'s','expression':'sum(s)'}"));
    expect_said("x", NULL,
                "{'group_by':['d'],'columns':[{'name':'d'},{'name':'s',"
                "'expression':" EXPR("sum(s)",
                                     "['agg','sum',false,['col','s']]") "}]}");
}

static void a_column_neither_grouped_nor_computed_is_refused(void **state)
{
    (void)state;
    refused(shaping("group", COLUMNS(KEY("d") "," COLUMN("s", "")), ""),
            AT "/x/transformations/source/columns/1", "missing_field",
            "max(s)");
    /* Unless nobody asks for it. */
    accepted(
        shaping("group", COLUMNS(KEY("d") "," COLUMN("s", "")), MAPPED("d")));
    expect_said("x", "columns", "[{'name':'d'}]");
    refused(shaping("group",
                    COLUMNS("{'name':'d','groupBy':true,'expression':"
                            "'upper(d)'}"),
                    ""),
            AT "/x/transformations/source/columns/0", "conflicting_fields",
            "grouped by and has an expression");
}

/* ---- sorter ---- */

static void an_order_is_said_in_a_text_a_list_or_by_flags(void **state)
{
    (void)state;
    accepted(shaping(
        "sorter", "'order_by':'t.a desc, \\\"b c\\\" ASC NULLS FIRST,d'", ""));
    expect_said("x", "by",
                "[{'column':'a','descending':true,'nulls':'first'},"
                "{'column':'b c','descending':false,'nulls':'first'},"
                "{'column':'d','descending':false,'nulls':'last'}]");
    accepted(shaping("sorter",
                     "'order_by':['a desc',{'column':'b','direction':'DESC'},"
                     "{'name':'c'}]," COLUMNS(
                         "{'name':'b','sorterSelected':true},{'name':'e',"
                         "'sorterSelected':true},{'name':'f'}"),
                     ""));
    expect_said("x", "by",
                "[{'column':'a','descending':true,'nulls':'first'},"
                "{'column':'b','descending':true,'nulls':'first'},"
                "{'column':'c','descending':false,'nulls':'last'},"
                "{'column':'e','descending':false,'nulls':'last'}]");
    refused(shaping("sorter", COLUMNS("{'name':'f'}"), ""),
            AT "/x/transformations", "missing_field", "sorterSelected");
    refused(shaping("sorter", "'order_by':'a upwards'", ""),
            AT "/x/transformations/order_by", "bad_value", "asc or desc");
    refused(shaping("sorter", "'order_by':[{'direction':'asc'}]", ""),
            AT "/x/transformations/order_by/0", "missing_field", "column");
}

/* ---- the small ones ---- */

static void distinct_union_and_sequence_say_what_they_can(void **state)
{
    (void)state;
    accepted(shaping("distinct",
                     COLUMNS(COLUMN("a", "") ",{'name':'b','selected':false}"),
                     ""));
    expect_said("x", NULL, "{'columns':['a']}");
    accepted(shaping("distinct", COLUMNS(COLUMN("a", "")), ""));
    expect_said("x", NULL, "{}");
    accepted(shaping("sequence generator",
                     "'sequence':{'column_name':'n','start_value':10,"
                     "'increment':5}",
                     ""));
    expect_said("x", NULL, "{'column':'n','start':10,'step':5}");
    refused(shaping("sequence", "", ""), AT "/x/transformations",
            "missing_field", "\"column\"");
    refused(shaping("sequence", "'column':'n','step':'2'", ""),
            AT "/x/transformations/step", "wrong_type", "whole number");
}

/* ---- join ---- */

#define DB(id, table)                                                          \
    "'" id "':{'connector_type':'postgresql','connector_category':"            \
    "'Databases','dbDetails':{'schema':'hr','table':'" table "'}}"

/* Tables employees (e) and departments (d), a filter (f) after one of them, and
 * a join (x). */
static const char *joining(const char *join, const char *more,
                           const char *mapping, const char *dependencies)
{
    static char text[20000];
    snprintf(text, sizeof text,
             "{'connectionInformation_v1':{" DB("e", "employees") "," DB(
                 "d", "departments") ",'f':{'connector_type':'filter',"
                                     "'connector_category':'Transformations'},'"
                                     "x':{'connector_type':"
                                     "'join','connector_category':'"
                                     "Transformations','transformations':{"
                                     "'join':{%s}%s},'field_mapping':[%s]}},'"
                                     "dependencies':{%s}}",
             join, more, mapping, dependencies);
    return quoted(text);
}

#define TABLES "'source_table':'employees','target_table':'hr.departments',"
#define ON(from, op, to)                                                       \
    "'sourceDetails':[{'source_column':'" from "','operator':'" op             \
    "','target_column':'" to "'}]"

/* A join of two with these transformations. */
static const char *shaping_two(const char *transformations)
{
    static char text[20000];
    snprintf(text, sizeof text,
             "{'connectionInformation_v1':{" DB("e", "employees") "," DB(
                 "d", "departments") ",'x':{'connector_type':'join',"
                                     "'connector_category':'Transformations','"
                                     "transformations':{%s}}},"
                                     "'dependencies':{'x':['e','d']}}",
             transformations);
    return quoted(text);
}

static void expect_left(const char *id)
{
    const struct node *join = node_of("x");
    for (size_t i = 0; i < wf->edge_count; i++) {
        if (&wf->nodes[wf->edges[i].target] != join)
            continue;
        assert_string_equal(wf->nodes[wf->edges[i].source].id, id);
        return;
    }
    fail();
}

static void a_join_goes_by_its_words_and_keys(void **state)
{
    static const char *const words[][2] = {
        {"Normal", "inner"},
        {"", "inner"},
        {"Inner Join", "inner"},
        {"left", "left"},
        {"Left Outer Join", "left"},
        {"RIGHT OUTER JOIN", "right"},
        {"Right Join\\u00a0", "right"},
        {"full_outer", "full"},
        {"Full Outer Join", "full"},
    };
    char join[1000];
    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        snprintf(join, sizeof join, "'join_type':'%s'," ON("id", "", "d.id"),
                 words[i][0]);
        accepted(joining(join, "", "", "'f':['e'],'x':['f','d']"));
        expect_config("x", "how", words[i][1]);
        expect_said("x", "on", "[{'left':'id','right':'id','operator':'='}]");
    }
    refused(joining("'join_type':'sideways'," ON("a", "=", "b"), "", "",
                    "'f':['e'],'x':['f','d']"),
            AT "/x/transformations/join/join_type", "bad_value", "Normal");
    refused(joining("'join_type':'Normal'", "", "", "'f':['e'],'x':['f','d']"),
            AT "/x/transformations/join", "missing_field", "sourceDetails");
    refused(joining(ON("a", "~", "b"), "", "", "'f':['e'],'x':['f','d']"),
            AT "/x/transformations/join/sourceDetails/0/operator", "bad_value",
            "<=");
    refused(joining("'sourceDetails':[{'source_column':'a'}]", "", "",
                    "'f':['e'],'x':['f','d']"),
            AT "/x/transformations/join/sourceDetails/0", "missing_field",
            "target_column");
}

static void conditions_of_a_join_are_its_keys_or_a_mistake(void **state)
{
    (void)state;
    accepted(shaping_two("'conditions':[{'source_column':'a','operator':'<',"
                         "'target_column':'b'}]"));
    expect_said("x", "on", "[{'left':'a','right':'b','operator':'<'}]");
    refused(
        shaping_two("'conditions':['a = 1'],'join':{" ON("a", "=", "b") "}"),
        AT "/x/transformations/conditions", "conflicting_fields",
        "only a filter");
}

static void keys_with_tables_end_up_on_their_side(void **state)
{
    (void)state;
    accepted(joining(TABLES ON("employees.dep", "<=", "hr.departments.id"), "",
                     "", "'f':['e'],'x':['f','d']"));
    expect_said("x", "on", "[{'left':'dep','right':'id','operator':'<='}]");
    accepted(joining(TABLES ON("departments.id", "<=", "employees.dep"), "", "",
                     "'f':['e'],'x':['f','d']"));
    expect_said("x", "on", "[{'left':'dep','right':'id','operator':'>='}]");
    refused(joining(TABLES ON("departments.id", "=", "departments.dep"), "", "",
                    "'f':['e'],'x':['f','d']"),
            AT "/x/transformations/join/sourceDetails/0/source_column",
            "bad_value", "other table");
}

static void
the_left_side_is_the_parent_with_rows_of_the_source_table(void **state)
{
    char *plan;
    size_t bytes;
    (void)state;
    /* The filter reads employees, two steps up. */
    accepted(
        joining(TABLES ON("a", "=", "b"), "", "", "'f':['e'],'x':['d','f']"));
    expect_left("f");
    assert_int_equal(workflow_plan_text(wf, &plan, &bytes), 0);
    assert_non_null(strstr(plan, "\"after\":[2,1]"));
    free(plan);
    accepted(
        joining(TABLES ON("a", "=", "b"), "", "", "'f':['e'],'x':['f','d']"));
    expect_left("f");
    /* Only the target can be told: then it is the right side. */
    accepted(joining("'source_table':'view_1','target_table':'DEPARTMENTS'," ON(
                         "a", "=", "b"),
                     "", "", "'f':['e'],'x':['d','f']"));
    expect_left("f");
    /* Neither, or both: as the document has them. */
    accepted(joining(ON("a", "=", "b"), "", "", "'f':['e'],'x':['d','f']"));
    expect_left("d");
    accepted(joining("'source_table':'departments','target_table':"
                     "'departments'," ON("a", "=", "b"),
                     "", "", "'f':['d'],'x':['f','d']"));
    expect_left("f");
}

static void columns_of_a_join_say_whose_they_are(void **state)
{
    (void)state;
    accepted(joining(
        "'join_type':'Left'," TABLES ON("dep", "=", "id"),
        "," COLUMNS("{'name':'dep','table':'employees'},{'name':'both','table':"
                    "'employees'}"),
        "{'value':'dep'},{'value':'both'},{'value':'both','tableName':"
        "'departments','target':'both_d'},{'value':'id'},{'value':'name',"
        "'targetType':'text'},{'value':'n','expression':'dep + 1'}",
        "'f':['e'],'x':['f','d']"));
    expect_said(
        "x", "columns",
        "[{'name':'dep','from':'left'},{'name':'both','from':'left'},"
        "{'name':'both_d','column':'both','from':'right'},{'name':'id'"
        "},{'name':'name','type':'text'},{'name':'n','expression':" EXPR(
            "dep + 1", "['add',['col','dep'],['int',1]]") "}]");
    expect_said("x", "output", "");
}

static void two_equal_keys_of_one_name_are_one_column(void **state)
{
#define BOTH                                                                   \
    "{'value':'k','tableName':'employees'},{'value':'k','tableName':"          \
    "'departments'}"
    (void)state;
    accepted(
        joining(TABLES ON("k", "=", "k"), "", BOTH, "'f':['e'],'x':['f','d']"));
    expect_said("x", "columns", "[{'name':'k','from':'left'}]");
    accepted(joining("'join_type':'Right'," TABLES ON("k", "=", "k"), "", BOTH,
                     "'f':['e'],'x':['f','d']"));
    expect_said("x", "columns", "[{'name':'k','from':'right'}]");
    refused(
        joining(TABLES ON("k", "<", "k"), "", BOTH, "'f':['e'],'x':['f','d']"),
        AT "/x/field_mapping/1", "duplicate_column", "\"k\"");
    /* Not said whose, both sides have it: the side that has all its rows. */
    accepted(joining(ON("k", "=", "k"), "", "{'value':'k'}",
                     "'f':['e'],'x':['f','d']"));
    expect_said("x", "columns", "[{'name':'k','from':'left'}]");
}

static void a_long_chain_of_joins_is_ordered_in_time(void **state)
{
    enum { JOINS = 3000 };
    char *text = malloc(2000000);
    char *out = text;
    (void)state;
    assert_non_null(text);
    out += sprintf(out, "{\"connectionInformation_v1\":{");
    for (int i = 0; i < JOINS; i++)
        out += sprintf(out,
                       "\"e%d\":{\"connector_type\":\"pg\","
                       "\"connector_category\":\"Databases\",\"dbDetails\":{"
                       "\"table\":\"t%d\"}},\"j%d\":{\"connector_type\":"
                       "\"join\",\"transformations\":{\"join\":{"
                       "\"source_table\":\"none\",\"sourceDetails\":[{"
                       "\"source_column\":\"a\",\"target_column\":\"b\"}]}}},",
                       i, i, i);
    out += sprintf(out, "\"z\":{\"connector_type\":\"pg\",\"dbDetails\":{"
                        "\"table\":\"z\"}}},\"dependencies\":{");
    for (int i = 0; i < JOINS; i++)
        out += sprintf(out, "%s\"j%d\":[\"e%d\",\"%s%d\"]", i ? "," : "", i, i,
                       i ? "j" : "e", i ? i - 1 : 1);
    sprintf(out, "}}");
    accepted(text);
    free(text);
}

/* ---- whole documents ---- */

static void nothing_of_v1_is_left_in_the_plan(void **state)
{
    char *plan;
    size_t bytes;
    (void)state;
    assert_int_equal(read_example("v1-department-totals"), 0);
    assert_int_equal(workflow_plan_text(wf, &plan, &bytes), 0);
    assert_null(strstr(plan, "field_mapping"));
    assert_null(strstr(plan, "dbDetails"));
    assert_null(strstr(plan, "html"));
    free(plan);
    expect_said(wf->nodes[2].id, "where",
                EXPR("employee_id != 102 and salary >= 1000",
                     "['and',['ne',['col','employee_id'],['int',102]],['ge',["
                     "'col','salary'],['int',1000]]]"));
    expect_said(wf->nodes[5].id, "columns",
                "[{'name':'department','column':'department_name'},{'name':"
                "'total_salary','column':'salary'},{'name':'headcount',"
                "'column':'employee_id'}]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(connections_are_made_names_that_agents_can_have),
        TEST(a_database_is_read_by_table_or_by_query),
        TEST(positions_in_a_filter_count_the_word_where),
        TEST(a_load_truncates_or_appends_in_one_go),
        TEST(a_mapping_selects_renames_computes_and_casts),
        TEST(what_a_mapping_may_not_say_is_refused),
        TEST(predicates_of_all_columns_have_to_hold),
        TEST(one_predicate_needs_no_and_and_none_lets_all_through),
        TEST(alternatives_and_conjunctions_keep_their_meaning),
        TEST(predicates_may_stand_in_three_places_and_count_once),
        TEST(conditions_may_be_in_three_parts),
        TEST(a_predicate_may_leave_out_its_column),
        TEST(a_bad_predicate_is_a_problem_where_it_stands),
        TEST(an_expression_computes_one_value_a_column),
        TEST(what_a_node_computes_its_mapping_does_not_compute_again),
        TEST(a_mapping_that_wants_more_columns_gets_them),
        TEST(transformations_of_their_own_say_the_columns_too),
        TEST(selectcolumns_keeps_what_is_selected),
        TEST(a_group_has_keys_and_aggregates),
        TEST(without_a_flag_plain_columns_are_the_keys),
        TEST(a_column_neither_grouped_nor_computed_is_refused),
        TEST(an_order_is_said_in_a_text_a_list_or_by_flags),
        TEST(distinct_union_and_sequence_say_what_they_can),
        TEST(a_join_goes_by_its_words_and_keys),
        TEST(conditions_of_a_join_are_its_keys_or_a_mistake),
        TEST(keys_with_tables_end_up_on_their_side),
        TEST(the_left_side_is_the_parent_with_rows_of_the_source_table),
        TEST(columns_of_a_join_say_whose_they_are),
        TEST(two_equal_keys_of_one_name_are_one_column),
        TEST(a_long_chain_of_joins_is_ordered_in_time),
        TEST(nothing_of_v1_is_left_in_the_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
