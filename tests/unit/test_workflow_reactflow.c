/* Tests of policy/workflow_reactflow: diagrams of React Flow, and what is said
 * about those that are wrong. */
#include "tests/unit/document_fixture.h"

#define RF_DB(id, more)                                                        \
    "{\"id\":\"" id "\",\"data\":{\"connectorType\":\"Timescale\","            \
    "\"category\":\"Databases\",\"config\":{\"connection\":\"c\",\"table\":"   \
    "\"t\"}}" more "}"
#define RF_EDGE(source, target)                                                \
    "{\"id\":\"e\",\"source\":\"" source "\",\"target\":\"" target "\"}"

static void a_bare_diagram_is_read_without_a_name(void **state)
{
    (void)state;
    accepted("{\"nodes\":[" RF_DB("a", "") "," RF_DB(
        "b", "") "],\"edges\":[" RF_EDGE("a", "b") "],\"viewport\":{\"x\":0},"
                                                   "\"tags\":\"etl, "
                                                   "nightly\",\"extra\":1}");
    assert_int_equal(wf->shape, SHAPE_REACT_FLOW);
    assert_string_equal(wf->name, "untitled");
    assert_string_equal(wf->nodes[1].kind->name, "load");
    assert_string_equal(wf->nodes[1].engine, "postgresql");
    assert_int_equal(wf->tag_count, 2);
    assert_string_equal(wf->tags[1], "nightly");
}

static void a_diagram_under_flow_may_be_a_string(void **state)
{
    (void)state;
    accepted("{\"name\":\"n\",\"flow\":\"{\\\"nodes\\\":[{\\\"id\\\":"
             "\\\"a\\\",\\\"data\\\":{\\\"connectorType\\\":\\\"command\\\","
             "\\\"config\\\":{\\\"argv\\\":[\\\"x\\\"],\\\"timeout_s\\\":5}}}"
             "]}\"}");
    assert_string_equal(wf->nodes[0].kind->name, "command");
    assert_int_equal(wf->nodes[0].timeout_ms, 5000);
    refused("{\"flow\":\"{\\\"nodes\\\":\\n[\"}", "/flow", "cut_off",
            "line 2, column 1 of the JSON inside this string");
}

static void hidden_nodes_groups_and_notes_do_not_count(void **state)
{
    (void)state;
    accepted("{\"nodes\":[{\"id\":\"g\",\"type\":\"group\"},{\"id\":\"n\","
             "\"type\":\"annotation\",\"data\":{}},{\"id\":\"h\",\"hidden\":"
             "true},{\"id\":\"a\",\"data\":{\"connectorType\":\"mysql\","
             "\"category\":\"Databases\",\"config\":{\"connection\":\"c\","
             "\"table\":\"t\"}}}],\"edges\":[" RF_EDGE("n", "a") "," RF_EDGE(
                 "a", "h") "],\"viewport\":{}}");
    assert_int_equal(wf->node_count, 1);
    assert_int_equal(wf->edge_count, 0);
    /* An arrow from a note makes nothing a load. */
    assert_string_equal(wf->nodes[0].kind->name, "extract");
}

static void
hiding_the_source_of_a_load_does_not_make_it_an_extract(void **state)
{
    (void)state;
    refused("{\"nodes\":[" RF_DB("a", ",\"hidden\":true") "," RF_DB(
                "b", "") "],\"edges\":[" RF_EDGE("a", "b") "]}",
            "/nodes/1", "wrong_inputs", "(load) needs 1 input");
}

static void what_a_form_left_empty_is_not_set(void **state)
{
    (void)state;
    accepted("{\"nodes\":[{\"id\":\"a\",\"data\":{\"connectorType\":\"mysql\","
             "\"config\":{\"connection\":\"c\",\"table\":\"t\",\"sql\":\"\","
             "\"filter\":null,\"colour\":\"red\"}}}],\"viewport\":{}}");
    expect_config("a", "sql", NULL);
    expect_said("a", NULL, "{'connection':'c','table':'t'}");
}

static void react_flow_mistakes_are_precise(void **state)
{
    (void)state;
    refused("{\"nodes\":[{\"id\":\"a\",\"position\":{}}]}", "/nodes/0",
            "missing_field", "\"data\"");
    refused("{\"nodes\":[{\"id\":\"a\",\"data\":{\"label\":\"x\"}}]}",
            "/nodes/0/data", "missing_field", "connectorType");
    refused("{\"nodes\":[{\"id\":\"a\",\"data\":{\"connectorType\":\"fliter\","
            "\"category\":\"Transformations\"}}]}",
            "/nodes/0/data/connectorType", "unknown_kind",
            "did you mean \"filter\"?");
    refused("{\"workflow_diagram\":{\"nodes\":[{\"id\":\"a\",\"data\":{"
            "\"connectorType\":\"mysql\",\"category\":\"Databases\",\"config\""
            ":{\"connection\":\"c\"}}}]}}",
            "/workflow_diagram/nodes/0/data/config", "missing_field",
            "\"table\" or \"sql\"");
    refused("{\"nodes\":[" RF_DB("a", "") "],\"edges\":[" RF_EDGE(
                "a", "zz") "],\"viewport\":{}}",
            "/edges/0/target", "edge_to_nothing", "zz");
    refused("{\"workflow_diagram\":[]}", "/workflow_diagram", "wrong_type",
            "object");
    refused("{\"flow\":{\"nodes\":[{\"id\":\"a\",\"data\":{\"connectorType\":"
            "\"mysql\",\"config\":{\"connection\":\"c\",\"table\":\"t\"},"
            "\"metadata\":{\"bytes\":\"many\"}}}]}}",
            "/flow/nodes/0/data/metadata/bytes", "wrong_type", "number");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_bare_diagram_is_read_without_a_name),
        TEST(a_diagram_under_flow_may_be_a_string),
        TEST(hidden_nodes_groups_and_notes_do_not_count),
        TEST(hiding_the_source_of_a_load_does_not_make_it_an_extract),
        TEST(what_a_form_left_empty_is_not_set),
        TEST(react_flow_mistakes_are_precise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
