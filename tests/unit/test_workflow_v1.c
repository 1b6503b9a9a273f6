/* Tests of policy/workflow_v1: documents with connectionInformation_v1, and
 * what is said about those that are wrong. */
#include "tests/unit/document_fixture.h"

#define V1_DB(id, type, sequence, details)                                     \
    "\"" id "\":{\"connector_type\":\"" type                                   \
    "\",\"connector_category\":\"Databases\",\"sequence\":" sequence           \
    ",\"dbDetails\":{" details "}}"
#define V1_TRANSFORM(id, type, sequence)                                       \
    "\"" id "\":{\"connector_type\":\"" type                                   \
    "\",\"connector_category\":\"Transformations\",\"sequence\":" sequence     \
    ",\"transformations\":{\"column\":\"n\",\"source\":{\"columns\":[{"        \
    "\"name\":\"id\",\"groupBy\":true,\"sorterSelected\":true}]},\"join\":{"   \
    "\"sourceDetails\":[{\"source_column\":\"a\",\"target_column\":\"b\"}]}}}"
#define V1(nodes, more)                                                        \
    "{\"workflow_name\":\"w\",\"connectionInformation_v1\":{" nodes "}" more "}"
#define READS "\"table\":\"t\",\"sql\":\"\",\"filter\":\"\""
#define WRITES "\"table\":\"t\",\"truncateTable\":false"

static void types_of_v1_are_mapped_whatever_their_spelling(void **state)
{
    static const char *const pairs[][2] = {
        {"Filter", "filter"},         {"GROUP", "aggregate"},
        {"sorter\xc2\xa0", "sort"},   {"expression", "map"},
        {" SelectColumns", "select"}, {"distinct", "distinct"},
        {"sequence", "sequence"},
    };
    char text[1000];
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        snprintf(text, sizeof text,
                 V1(V1_DB("a", "yugabyte", "1",
                          READS) "," V1_TRANSFORM("b", "%s", "2"),
                    ""),
                 pairs[i][0]);
        accepted(text);
        assert_string_equal(wf->nodes[1].kind->name, pairs[i][1]);
    }
    refused(
        V1(V1_DB("a", "mysql", "1", READS) "," V1_TRANSFORM("b", "joinn", "2"),
           ""),
        "/connectionInformation_v1/b/connector_type", "unknown_kind",
        "did you mean \"join\"?");
    refused(V1(V1_DB("a", "mysql", "1", READS) "," V1_TRANSFORM("b", "command",
                                                                "2"),
               ""),
            "/connectionInformation_v1/b/connector_type", "unknown_kind",
            "command");
}

static void databases_of_v1_count_by_category_under_any_name(void **state)
{
    const char *const *names;
    size_t count;
    (void)state;
    accepted(V1(V1_DB("a", "SingleStore\xc2\xa0", "1",
                      READS) "," V1_DB("b", "Brand New", "1", READS),
                ""));
    assert_string_equal(wf->nodes[0].engine, "singlestore");
    assert_int_equal(workflow_requires(wf, &names, &count), 0);
    assert_int_equal(count, 5);
    assert_string_equal(names[0], "connection:brand-new");
    assert_string_equal(names[1], "connection:singlestore");
    assert_string_equal(names[2], "engine:brand-new");
    assert_string_equal(names[3], "engine:singlestore");
}

static void sql_and_filter_of_v1_are_cleaned(void **state)
{
    (void)state;
    accepted(V1(V1_DB("a", "mysql", "1",
                      "\"table\":\"t\",\"sql\":\" ;\\n \",\"filter\":\""
                      " WHERE  x > 1; \""),
                ""));
    expect_config("a", "sql", NULL);
    expect_config("a", "table", "t");
    expect_said("a", "filter", EXPR("x > 1", "['gt',['col','x'],['int',1]]"));
    accepted(V1(V1_DB("a", "mysql", "1",
                      "\"db\":\"shop\",\"sql\":\"select 1\\n;;\",\"filter\":"
                      "\"wherever\""),
                ""));
    expect_config("a", "sql", "select 1");
    expect_said("a", "filter", EXPR("wherever", "['col','wherever']"));
    expect_config("a", "connection", "shop");
    refused(V1(V1_DB("a", "mysql", "1", "\"sql\":\";\""), ""),
            "/connectionInformation_v1/a/dbDetails", "missing_field",
            "\"table\" or \"sql\"");
}

static void dependencies_lead_from_child_to_parents(void **state)
{
    (void)state;
    accepted(
        V1(V1_DB("c", "mysql", "9", WRITES) "," V1_DB(
               "a", "mysql", "1", READS) "," V1_TRANSFORM("b", "filter", "1"),
           ",\"dependencies\":{\"c\":[\"b\"],\"b\":[\"a\"],\"a\":null,"
           "\"execution_order\":[\"a\",\"b\",\"c\"]}"));
    assert_false(wf->edges_inferred);
    const uint32_t order[] = {1, 2, 0};
    assert_memory_equal(wf->order, order, sizeof order);
    assert_string_equal(wf->nodes[0].kind->name, "load");
    expect_config("c", "mode", "append");
}

static void a_loaded_table_can_be_read_on(void **state)
{
    (void)state;
    accepted(
        V1(V1_DB("a", "mysql", "1", READS) "," V1_DB(
               "b", "mysql", "2", WRITES) "," V1_TRANSFORM("c", "filter", "3"),
           ",\"dependencies\":{\"b\":[\"a\"],\"c\":[\"b\"]}"));
}

static void mistakes_in_dependencies_are_precise(void **state)
{
#define DEPENDS(dependencies)                                                  \
    V1(V1_DB("a", "mysql", "1", READS), ",\"dependencies\":" dependencies)
    (void)state;
    refused(DEPENDS("{\"a\":[\"zz\"]}"), "/dependencies/a/0", "edge_to_nothing",
            "zz");
    refused(DEPENDS("{\"zz\":[\"a\"]}"), "/dependencies/zz", "edge_to_nothing",
            "zz");
    refused(DEPENDS("{\"a\":[\"a\"]}"), "/dependencies/a/0", "self_edge",
            "itself");
    refused(DEPENDS("{\"a\":\"b\"}"), "/dependencies/a", "wrong_type", "array");
    refused(DEPENDS("[1]"), "/dependencies", "wrong_type", "object");
    refused(DEPENDS("\"{\\\"a\\\":[\""), "/dependencies", "cut_off",
            "inside this string");
    refused(
        V1(V1_DB("a", "mysql", "1", READS) "," V1_DB("a", "mysql", "2", WRITES),
           ""),
        "", "duplicate_key", "twice");
    refused("{\"connectionInformation_v1\":\"{\\\"a\\\":{},\\n\\\"a\\\":{}}\""
            "}",
            "/connectionInformation_v1", "duplicate_key", "line 2");
    refused("{\"connectionInformation_v1\":[]}", "/connectionInformation_v1",
            "wrong_type", "object");
}

static void inferred_edges_follow_the_depth_before(void **state)
{
    (void)state;
    /* b is a second source, whatever its number: it can only be read. */
    accepted(V1(
        V1_DB("a", "mysql", "1", READS) "," V1_DB(
            "b", "mysql", "2",
            READS) "," V1_TRANSFORM("f", "filter",
                                    "2") "," V1_TRANSFORM("j", "join",
                                                          "5") "," V1_DB("l",
                                                                         "mysq"
                                                                         "l",
                                                                         "6",
                                                                         WRITES),
        ",\"dependencies\":\"{}\""));
    assert_true(wf->edges_inferred);
    assert_int_equal(wf->edge_count, 4);
    assert_string_equal(node_of("b")->kind->name, "extract");
    assert_string_equal(node_of("l")->kind->name, "load");
    refused(
        V1(V1_DB("a", "mysql", "1", READS) "," V1_DB(
               "b", "mysql", "1", READS) "," V1_TRANSFORM("f", "filter", "2"),
           ""),
        "/connectionInformation_v1/f", "wrong_inputs", "inferred");
    refused(V1(V1_DB("a", "mysql", "1", READS) "," V1_DB("b", "mysql", "\"2\"",
                                                         WRITES),
               ""),
            "/connectionInformation_v1/b", "wrong_type", "sequence");
}

static void a_document_encoded_twice_is_opened(void **state)
{
    (void)state;
    accepted("{\"connectionInformation_v1\":\"\\\"{\\\\\\\"a\\\\\\\":{"
             "\\\\\\\"connector_type\\\\\\\":\\\\\\\"mysql\\\\\\\","
             "\\\\\\\"dbDetails\\\\\\\":{\\\\\\\"table\\\\\\\":"
             "\\\\\\\"t\\\\\\\"}}}\\\"\"}");
    assert_string_equal(wf->nodes[0].kind->name, "extract");
}

static void two_wide_levels_do_not_multiply_beyond_the_limit(void **state)
{
    char *text = malloc(300000);
    char *out = text;
    (void)state;
    assert_non_null(text);
    out += sprintf(out, "{\"connectionInformation_v1\":{");
    for (int i = 0; i < 1000; i++)
        out += sprintf(out,
                       "%s\"n%d\":{\"connector_type\":\"union\","
                       "\"connector_category\":\"Transformations\","
                       "\"sequence\":%d}",
                       i ? "," : "", i, i % 2);
    sprintf(out, "}}");
    refused(text, "/connectionInformation_v1", "too_many_edges", "100000");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(types_of_v1_are_mapped_whatever_their_spelling),
        TEST(databases_of_v1_count_by_category_under_any_name),
        TEST(sql_and_filter_of_v1_are_cleaned),
        TEST(dependencies_lead_from_child_to_parents),
        TEST(a_loaded_table_can_be_read_on),
        TEST(mistakes_in_dependencies_are_precise),
        TEST(inferred_edges_follow_the_depth_before),
        TEST(a_document_encoded_twice_is_opened),
        TEST(two_wide_levels_do_not_multiply_beyond_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
