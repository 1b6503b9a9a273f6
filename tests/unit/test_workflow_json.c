/*
 * Tests of policy/workflow_json: each example document, JSON itself, neutral
 * documents, the plan, and what is said about documents that are wrong.
 */
#include "tests/unit/document_fixture.h"

/* ---- the examples ---- */

static void example_fan_out_is_large(void **state)
{
    (void)state;
    expect_example("neutral-fan-out", SHAPE_NEUTRAL, 14, "large",
                   "high-memory");
    assert_int_equal(node_of("part-03")->timeout_ms, 30000);
}

static void example_daily_sales_is_etl(void **state)
{
    (void)state;
    expect_example("neutral-daily-sales", SHAPE_NEUTRAL, 6, "etl", "etl");
    /* The join's left side is the parent whose edge comes first. */
    char *plan;
    size_t bytes;
    assert_int_equal(workflow_plan_text(wf, &plan, &bytes), 0);
    assert_non_null(
        strstr(plan, "\"id\":\"named\",\"kind\":\"join\",\"label\":\"named\","
                     "\"after\":[2,1]"));
    free(plan);
}

static void example_copy_customers_is_small(void **state)
{
    (void)state;
    expect_example("neutral-copy-customers", SHAPE_NEUTRAL, 2, "small",
                   "default");
}

static void example_react_flow_has_four_nodes_and_a_note(void **state)
{
    (void)state;
    expect_example("reactflow-orders-clean", SHAPE_REACT_FLOW, 4, "small",
                   "default");
    assert_string_equal(wf->id, "wf-orders-clean");
    assert_string_equal(wf->name, "orders clean");
    assert_int_equal(wf->size_bytes, 9600000);
    assert_string_equal(node_of("n1")->kind->name, "extract");
    assert_string_equal(node_of("n1")->engine, "postgresql");
    assert_string_equal(node_of("n3")->kind->name, "map");
    assert_string_equal(node_of("n4")->kind->name, "load");
    expect_said(
        "n2", "where",
        EXPR("status = `paid`", "['eq',['col','status'],['text','paid']]"));
    expect_config("n4", "mode", "truncate");
}

static void example_v1_with_strings_in_strings_is_etl(void **state)
{
    (void)state;
    expect_example("v1-department-totals", SHAPE_CONNECTION_V1, 6, "etl",
                   "etl");
    assert_false(wf->edges_inferred);
    assert_int_equal(wf->edge_count, 5);
    static const char *const kinds[] = {"extract", "extract",   "filter",
                                        "join",    "aggregate", "load"};
    for (size_t i = 0; i < 6; i++)
        assert_string_equal(wf->nodes[i].kind->name, kinds[i]);
    assert_string_equal(wf->nodes[1].engine, "postgresql"); /* supabase */
    assert_string_equal(wf->nodes[5].label, "Totals");
    expect_config(wf->nodes[0].id, "table", "employees");
    expect_config(wf->nodes[0].id, "sql", NULL);
    expect_config(wf->nodes[1].id, "sql", "select * from departments");
    expect_config(wf->nodes[5].id, "mode", "truncate");
}

static void example_v1_without_dependencies_has_inferred_edges(void **state)
{
    (void)state;
    expect_example("v1-copy-sequence-only", SHAPE_CONNECTION_V1, 2, "small",
                   "default");
    assert_true(wf->edges_inferred);
    assert_int_equal(wf->edge_count, 1);
    assert_string_equal(wf->nodes[1].kind->name, "load");
}

static void example_v1_with_every_part_becomes_a_plan(void **state)
{
    (void)state;
    expect_example("v1-country-report", SHAPE_CONNECTION_V1, 8, "etl", "etl");
    static const char *const kinds[] = {"extract", "extract", "filter",
                                        "map",     "join",    "aggregate",
                                        "sort",    "load"};
    for (size_t i = 0; i < 8; i++)
        assert_string_equal(wf->nodes[wf->order[i]].kind->name, kinds[i]);
    /* The second parent of the join reads its source_table. */
    char *plan;
    size_t bytes;
    assert_int_equal(workflow_plan_text(wf, &plan, &bytes), 0);
    assert_non_null(strstr(plan, "\"label\":\"With region\",\"after\":[3,0]"));
    free(plan);
}

static void example_with_bad_expressions_says_where_each_is(void **state)
{
    (void)state;
    assert_int_equal(read_example("bad-expressions"), -EINVAL);
    find_problem("/nodes/0/filter", "bad_expression");
    find_problem("/nodes/1/where", "bad_expression");
    find_problem("/nodes/2/columns/0/expression", "bad_expression");
    find_problem("/nodes/2/columns/0/type", "unknown_type");
    find_problem("/nodes/2/columns/1", "duplicate_column");
    find_problem("/nodes/3/connection", "bad_value");
    assert_int_equal(problems.count, 6);
}

static void example_with_a_circle_is_refused_with_its_path(void **state)
{
    (void)state;
    assert_int_equal(read_example("bad-cycle"), -EINVAL);
    const struct problem *cycle = find_problem("/nodes/0", "cycle");
    assert_non_null(strstr(cycle->detail, "a -> b -> a"));
    assert_int_equal(problems.count, 1);
}

static void example_with_many_problems_names_them_all_at_once(void **state)
{
    (void)state;
    assert_int_equal(read_example("bad-many-problems"), -EINVAL);
    find_problem("/name", "empty_name");
    find_problem("/nodes/0", "missing_field");
    find_problem("/nodes/1", "duplicate_id");
    find_problem("/nodes/1/kind", "unknown_kind");
    find_problem("/edges/0/target", "edge_to_nothing");
    assert_int_equal(problems.count, 5);
}

static void example_that_was_cut_off_says_where(void **state)
{
    (void)state;
    assert_int_equal(read_example("bad-cut-off"), -EINVAL);
    const struct problem *problem = find_problem("", "cut_off");
    assert_non_null(strstr(problem->detail, "line 4, column 2903"));
    assert_int_equal(problems.count, 1);
}

/* ---- JSON itself ---- */

static void broken_json_is_one_precise_problem(void **state)
{
    (void)state;
    refused("", "", "cut_off", "line 1, column 0");
    refused("{\"name\": \"a\",\n \"nodes\" []}", "", "invalid_json", "line 2");
    refused("{\"name\":\"a\"} x", "", "invalid_json", "follows");
    refused("{\"name\":\"a\",\"name\":\"b\"}", "", "duplicate_key", "twice");
    refused("{\"name\":\"a\\u0000b\"}", "", "nul_character", "NUL");
    refused("{\"name\":\"\xff\"}", "", "invalid_utf8", "UTF-8");
    refused("{\"size_bytes\":99999999999999999999}", "", "number_range",
            "too large");
    refused("[1]", "", "wrong_type", "an array");
    refused("3", "", "wrong_type", "a number");
    refused("nope", "", "invalid_json", "not JSON");
}

static void deep_nesting_is_refused(void **state)
{
    char *deep = malloc(200001);
    (void)state;
    assert_non_null(deep);
    memset(deep, '[', 200000);
    deep[200000] = '\0';
    refused(deep, "", "too_deep", "nested");
    free(deep);
}

static void a_pointer_begins_where_the_document_is(void **state)
{
    json_t *document = json_pack("{s:s, s:[{s:s, s:s}]}", "name", "n", "nodes",
                                 "id", "a", "kind", "command");
    (void)state;
    assert_int_equal(workflow_from_json(document, "/workflow",
                                        &workflow_limits_default, &wf,
                                        &problems),
                     -EINVAL);
    find_problem("/workflow/nodes/0", "missing_field");
    json_decref(document);
}

static void problems_of_the_caller_do_not_fail_the_document(void **state)
{
    json_t *document =
        json_pack("{s:s, s:[{s:s, s:s, s:[s]}]}", "name", "n", "nodes", "id",
                  "a", "kind", "command", "argv", "true");
    (void)state;
    problems_add(&problems, "/priority", "bad_value", "the caller's own");
    assert_int_equal(workflow_from_json(document, "/workflow",
                                        &workflow_limits_default, &wf,
                                        &problems),
                     0);
    assert_int_equal(problems.count, 1);
    assert_non_null(wf);
    json_decref(document);
}

static void keys_are_escaped_in_pointers(void **state)
{
    (void)state;
    refused("{\"name\":\"n\",\"a/b~c\":1,\"nodes\":[{\"id\":\"a\","
            "\"kind\":\"command\",\"argv\":[\"x\"]}]}",
            "/a~1b~0c", "unknown_field", "a/b~c");
}

/* ---- neutral ---- */

#define COMMAND(id, more)                                                      \
    "{\"id\":\"" id "\",\"kind\":\"command\",\"argv\":[\"x\"]" more "}"
#define NEUTRAL(node) "{\"name\":\"n\",\"nodes\":[" node "]}"
#define HTTP(fields) NEUTRAL("{\"id\":\"a\",\"kind\":\"http\"," fields "}")

static void everything_a_neutral_document_may_say_is_read(void **state)
{
    (void)state;
    accepted(
        "{\"id\":\"w\",\"name\":\"n\",\"description\":\"d\",\"tags\":["
        "\"a\",\"b\"],\"size_bytes\":12e2,\"priority\":\"high\","
        "\"nodes\":[" COMMAND(
            "a",
            ",\"env\":{\"A\":\"\"},\"cwd\":\"/tmp\",\"label\":\" "
            "first\\n\",\"repeatable\":true,"
            "\"timeout_s\":0.5") "," COMMAND("b",
                                             "") "],"
                                                 "\"edges\":[{\"source\":\"a\","
                                                 "\"target\":\"b\"}]}");
    assert_string_equal(wf->id, "w");
    assert_int_equal(wf->tag_count, 2);
    assert_int_equal(wf->size_bytes, 1200);
    assert_string_equal(wf->priority, "high");
    assert_string_equal(wf->nodes[0].label, "first");
    assert_string_equal(wf->nodes[1].label, "b");
    assert_true(wf->nodes[0].repeatable);
    assert_int_equal(wf->nodes[0].timeout_ms, 500);
    assert_string_equal(
        wf->nodes[0].config_json,
        "{\"argv\":[\"x\"],\"env\":{\"A\":\"\"},\"cwd\":\"/tmp\"}");
    assert_false(workflow_repeatable(wf));
}

static void unknown_keys_are_refused_with_a_suggestion(void **state)
{
    (void)state;
    refused(
        "{\"name\":\"n\",\"priorty\":\"low\",\"nodes\":[" COMMAND("a", "") "]}",
        "/priorty", "unknown_field", "did you mean \"priority\"?");
    refused(NEUTRAL(COMMAND("a", ",\"timeout\":1")), "/nodes/0/timeout",
            "unknown_field", "did you mean \"timeout_s\"?");
    refused(NEUTRAL("{\"id\":\"a\",\"kind\":\"comand\"}"), "/nodes/0/kind",
            "unknown_kind", "did you mean \"command\"?");
    refused("{\"name\":\"n\",\"nodes\":[" COMMAND("a", "") "," COMMAND(
                "b", "") "],\"edges\":[{\"source\":\"a\",\"target\":\"b\","
                         "\"sourc\":\"a\"}]}",
            "/edges/0/sourc", "unknown_field", "did you mean \"source\"?");
    refused("{\"name\":\"n\",\"timeout_s\":3,\"nodes\":[" COMMAND("a", "") "]}",
            "/timeout_s", "unknown_field", "beside the workflow");
}

static void heads_are_checked(void **state)
{
    (void)state;
    refused("{\"nodes\":[" COMMAND("a", "") "]}", "", "missing_field",
            "\"name\"");
    refused("{\"name\":\" \\t\",\"nodes\":[" COMMAND("a", "") "]}", "/name",
            "empty_name", "empty");
    refused("{\"name\":7,\"nodes\":[" COMMAND("a", "") "]}", "/name",
            "wrong_type", "a number");
    refused("{\"name\":\"a\\u001b\",\"nodes\":[" COMMAND("a", "") "]}", "/name",
            "control_character", "byte 2");
    refused("{\"name\":\"n\"}", "", "missing_field", "\"nodes\"");
    refused("{\"name\":\"n\",\"nodes\":[]}", "", "no_nodes", "no nodes");
    refused("{\"name\":\"n\",\"nodes\":{}}", "/nodes", "wrong_type", "array");
    refused("{\"name\":\"n\",\"nodes\":[7]}", "/nodes/0", "wrong_type",
            "a number");
    refused(
        "{\"name\":\"n\",\"tags\":\"etl\",\"nodes\":[" COMMAND("a", "") "]}",
        "/tags", "wrong_type", "array");
    refused(
        "{\"name\":\"n\",\"tags\":[\"a\",3],\"nodes\":[" COMMAND("a", "") "]}",
        "/tags/1", "wrong_type", "string");
    refused("{\"name\":\"n\",\"priority\":\"hihg\",\"nodes\":[" COMMAND(
                "a", "") "]}",
            "/priority", "bad_value", "did you mean \"high\"?");
    refused(
        "{\"name\":\"n\",\"size_bytes\":-1,\"nodes\":[" COMMAND("a", "") "]}",
        "/size_bytes", "bad_value", "0 or more");
    refused(
        "{\"name\":\"n\",\"size_bytes\":1.5,\"nodes\":[" COMMAND("a", "") "]}",
        "/size_bytes", "bad_value", "whole number");
    refused("{\"name\":\"n\",\"size_bytes\":1e300,\"nodes\":[" COMMAND("a",
                                                                       "") "]}",
            "/size_bytes", "bad_value", "whole number");
}

static void edges_are_checked(void **state)
{
#define EDGES(edges)                                                           \
    "{\"name\":\"n\",\"nodes\":[" COMMAND("a", "") "," COMMAND(                \
        "b", "") "],\"edges\":" edges "}"
    (void)state;
    accepted(EDGES("[]"));
    refused(EDGES("{}"), "/edges", "wrong_type", "array");
    refused(EDGES("[1]"), "/edges/0", "wrong_type", "object");
    refused(EDGES("[{\"source\":\"a\"}]"), "/edges/0", "missing_field",
            "\"target\"");
    refused(EDGES("[{\"source\":\"a\",\"target\":2}]"), "/edges/0/target",
            "wrong_type", "string");
    refused(EDGES("[{\"source\":\"a\",\"target\":\"a\"}]"), "/edges/0",
            "self_edge", "itself");
}

static void a_node_without_an_id_is_still_checked(void **state)
{
    static const char text[] = NEUTRAL("{\"kind\":\"command\",\"argv\":[]}");
    (void)state;
    assert_int_equal(read_bytes(text, strlen(text)), -EINVAL);
    find_problem("/nodes/0", "missing_field");
    find_problem("/nodes/0/argv", "empty");
    assert_int_equal(problems.count, 2);
}

static void commands_are_checked_precisely(void **state)
{
#define ARGV(argv)                                                             \
    NEUTRAL("{\"id\":\"a\",\"kind\":\"command\",\"argv\":" argv "}")
    (void)state;
    accepted(ARGV("[\"x\",\"\"]"));
    refused(ARGV("\"x\""), "/nodes/0/argv", "wrong_type", "array");
    refused(ARGV("[]"), "/nodes/0/argv", "empty", "at least one");
    refused(ARGV("[\"\",\"x\"]"), "/nodes/0/argv/0", "empty", "empty");
    refused(ARGV("[\"x\",1]"), "/nodes/0/argv/1", "wrong_type", "a number");
    refused(NEUTRAL(COMMAND("a", ",\"env\":[]")), "/nodes/0/env", "wrong_type",
            "object");
    refused(NEUTRAL(COMMAND("a", ",\"env\":{\"A\":1}")), "/nodes/0/env/A",
            "wrong_type", "string");
    refused(NEUTRAL(COMMAND("a", ",\"env\":{\"A=B\":\"\"}")),
            "/nodes/0/env/A=B", "bad_value", "=");
    refused(NEUTRAL(COMMAND("a", ",\"env\":{\"DISPATCH_RUN_ID\":\"x\"}")),
            "/nodes/0/env/DISPATCH_RUN_ID", "bad_value", "agent");
    refused(NEUTRAL(COMMAND("a", ",\"cwd\":\"\"")), "/nodes/0/cwd", "empty",
            "empty");
    refused(NEUTRAL(COMMAND("a", ",\"timeout_s\":0")), "/nodes/0/timeout_s",
            "bad_value", "more than 0");
    refused(NEUTRAL(COMMAND("a", ",\"timeout_s\":2592001")),
            "/nodes/0/timeout_s", "bad_value", "at most");
    refused(NEUTRAL(COMMAND("a", ",\"timeout_s\":\"1\"")), "/nodes/0/timeout_s",
            "wrong_type", "a string");
    refused(NEUTRAL(COMMAND("a", ",\"repeatable\":1")), "/nodes/0/repeatable",
            "wrong_type", "true or false");
    refused(NEUTRAL(COMMAND("a", ",\"retries\":1")), "/nodes/0/retries",
            "unknown_field", "no field");
}

static void
a_nul_in_an_argument_is_refused_also_from_a_parsed_document(void **state)
{
    json_t *document =
        json_loads(NEUTRAL("{\"id\":\"a\",\"kind\":\"command\",\"argv\":["
                           "\"x\",\"a\\u0000b\"]}"),
                   JSON_ALLOW_NUL, NULL);
    (void)state;
    assert_non_null(document);
    assert_int_equal(workflow_from_json(document, "", &workflow_limits_default,
                                        &wf, &problems),
                     -EINVAL);
    find_problem("/nodes/0/argv/1", "nul_character");
    json_decref(document);
}

static void http_calls_are_checked_precisely(void **state)
{
    (void)state;
    accepted(HTTP("\"url\":\"HTTPS://example.org/a?b\",\"method\":\"POST\","
                  "\"headers\":{\"X-A\":\"b\",\"Empty\":\"\"},\"body\":\"\","
                  "\"expect_status\":[200,204]"));
    accepted(HTTP("\"url\":\"http://[::1]:80\",\"expect_status\":404"));
    refused(HTTP("\"method\":\"GET\""), "/nodes/0", "missing_field", "\"url\"");
    refused(HTTP("\"url\":\"ftp://x/\""), "/nodes/0/url", "bad_value",
            "http://");
    refused(HTTP("\"url\":\"http:///x\""), "/nodes/0/url", "bad_value",
            "no host");
    refused(HTTP("\"url\":\"http://x/a b\""), "/nodes/0/url", "bad_value",
            "blanks");
    refused(HTTP("\"url\":\"http://x/\\r\\nHost: y\""), "/nodes/0/url",
            "bad_value", "control");
    refused(HTTP("\"url\":\"http://x\",\"method\":\"POTS\""), "/nodes/0/method",
            "bad_value", "did you mean \"POST\"?");
    refused(HTTP("\"url\":\"http://x\",\"headers\":{\"A\":\"b\\r\\nC: d\"}"),
            "/nodes/0/headers/A", "bad_value", "line breaks");
    refused(HTTP("\"url\":\"http://x\",\"headers\":{\"A b\":\"c\"}"),
            "/nodes/0/headers/A b", "bad_value", "header");
    refused(HTTP("\"url\":\"http://x\",\"headers\":{\"Content-Length\":"
                 "\"3\"}"),
            "/nodes/0/headers/Content-Length", "bad_value", "agent");
    refused(HTTP("\"url\":\"http://x\",\"expect_status\":99"),
            "/nodes/0/expect_status", "bad_value", "100 to 599");
    refused(HTTP("\"url\":\"http://x\",\"expect_status\":[200,\"x\"]"),
            "/nodes/0/expect_status/1", "bad_value", "100 to 599");
    refused(HTTP("\"url\":\"http://x\",\"body\":{}"), "/nodes/0/body",
            "wrong_type", "an object");
}

static void data_nodes_need_their_fields(void **state)
{
#define EXTRACT(more)                                                          \
    NEUTRAL("{\"id\":\"a\",\"kind\":\"extract\",\"connection\":\"c\"" more "}")
#define LOAD(more)                                                             \
    "{\"name\":\"n\",\"nodes\":[{\"id\":\"e\",\"kind\":\"extract\","           \
    "\"connection\":\"c\",\"table\":\"t\"},{\"id\":\"l\",\"kind\":\"load\","   \
    "\"connection\":\"c\",\"table\":\"t\"" more                                \
    "}],\"edges\":[{\"source\":\"e\",\"target\":\"l\"}]}"
    (void)state;
    accepted(EXTRACT(",\"sql\":\"select 1\",\"engine\":\"MySQL\""));
    assert_string_equal(wf->nodes[0].engine, "mysql");
    refused(EXTRACT(""), "/nodes/0", "missing_field", "\"table\" or \"sql\"");
    refused(EXTRACT(",\"table\":\"t\",\"sql\":\"x\""), "/nodes/0",
            "conflicting_fields", "not both");
    refused(NEUTRAL("{\"id\":\"a\",\"kind\":\"extract\",\"table\":\"t\"}"),
            "/nodes/0", "missing_field", "\"connection\"");
    accepted(LOAD(",\"mode\":\"merge\",\"key\":[\"id\"]"));
    refused(LOAD(",\"mode\":\"merge\""), "/nodes/1", "missing_field", "key");
    refused(LOAD(",\"key\":[\"id\"]"), "/nodes/1", "conflicting_fields",
            "merge");
    refused(LOAD(",\"mode\":\"trucate\""), "/nodes/1/mode", "bad_value",
            "did you mean \"truncate\"?");
    refused("{\"name\":\"n\",\"nodes\":[{\"id\":\"e\",\"kind\":\"extract\","
            "\"connection\":\"c\",\"table\":\"t\"},{\"id\":\"j\",\"kind\":"
            "\"join\",\"on\":[{\"left\":\"a\",\"right\":\"b\"}]}],\"edges\":"
            "[{\"source\":\"e\",\"target\":\"j\"}]}",
            "/nodes/1", "wrong_inputs", "needs 2 inputs");
}

/* One node with one wrong field, after a source and before nothing. */
static void every_other_field_has_its_type(void **state)
{
    static const struct {
        const char *node, *pointer, *code;
    } cases[] = {
        {"\"kind\":\"sort\",\"by\":[\"a\",{\"column\":\"b\"}]", NULL, NULL},
        {"\"kind\":\"sort\",\"by\":[{\"descending\":true}]", "/by/0",
         "missing_field"},
        {"\"kind\":\"sort\",\"by\":[7]", "/by/0", "wrong_type"},
        {"\"kind\":\"map\",\"columns\":[{\"name\":\"a\",\"expression\":"
         "\"1\"}]",
         NULL, NULL},
        {"\"kind\":\"map\",\"columns\":[]", "/columns", "empty"},
        {"\"kind\":\"select\",\"columns\":{}", "/columns", "wrong_type"},
        {"\"kind\":\"filter\",\"where\":\"\"", "/where", "empty"},
        {"\"kind\":\"filter\",\"where\":true", "/where", "wrong_type"},
        {"\"kind\":\"aggregate\",\"columns\":[\"a\"],\"group_by\":[\"a\",\"\"]",
         "/group_by/1", "empty"},
        {"\"kind\":\"sequence\",\"column\":\"n\",\"start\":-5,\"step\":-1",
         NULL, NULL},
        {"\"kind\":\"sequence\",\"column\":\"n\",\"step\":0.5", "/step",
         "wrong_type"},
        {"\"kind\":\"csv_write\",\"path\":\"p\",\"delimiter\":\";\","
         "\"quote\":\"'\",\"header\":false,\"null\":\"\"",
         NULL, NULL},
        {"\"kind\":\"csv_write\",\"path\":\"p\",\"delimiter\":\";;\"",
         "/delimiter", "bad_value"},
        {"\"kind\":\"csv_write\",\"path\":\"p\",\"header\":\"yes\"", "/header",
         "wrong_type"},
        {"\"kind\":\"load\",\"connection\":\"c\",\"table\":\"t\","
         "\"on_errors\":\"skipp\"",
         "/on_errors", "bad_value"},
        {"\"kind\":\"load\",\"connection\":\"c\\n\",\"table\":\"t\"",
         "/connection", "control_character"},
        {"\"kind\":\"distinct\",\"size_bytes\":1", "/size_bytes",
         "unknown_field"},
    };
    char text[1000];
    char pointer[100];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(text, sizeof text,
                 "{\"name\":\"n\",\"nodes\":[{\"id\":\"e\",\"kind\":"
                 "\"csv_read\",\"path\":\"p\"},{\"id\":\"x\",%s}],\"edges\":"
                 "[{\"source\":\"e\",\"target\":\"x\"}]}",
                 cases[i].node);
        if (cases[i].pointer == NULL) {
            accepted(text);
            continue;
        }
        snprintf(pointer, sizeof pointer, "/nodes/1%s", cases[i].pointer);
        refused(text, pointer, cases[i].code, "");
    }
}

static void ten_thousand_nodes_are_read_and_one_more_is_refused(void **state)
{
    size_t room = 2000000;
    char *text = malloc(room);
    (void)state;
    assert_non_null(text);
    for (int count = 10000; count <= 10001; count++) {
        char *out = text;
        out += sprintf(out, "{\"name\":\"n\",\"nodes\":[");
        for (int i = 0; i < count; i++)
            out += sprintf(out,
                           "%s{\"id\":\"n%d\",\"kind\":\"command\","
                           "\"argv\":[\"x\"]}",
                           i ? "," : "", i);
        out += sprintf(out, "],\"edges\":[");
        for (int i = 1; i < count; i++)
            out += sprintf(out, "%s{\"source\":\"n%d\",\"target\":\"n%d\"}",
                           i > 1 ? "," : "", i - 1, i);
        sprintf(out, "]}");
        assert_true(strlen(text) < room);
        if (count == 10000)
            accepted(text);
        else
            refused(text, "/nodes", "too_many_nodes", "10001 nodes");
    }
    free(text);
}

/* ---- the plan ---- */

static void
a_plan_lists_nodes_in_order_with_the_places_of_their_parents(void **state)
{
    char *text;
    size_t bytes;
    (void)state;
    accepted("{\"name\":\"a \\\"b\\\\\",\"nodes\":[" COMMAND(
        "late", "") "," COMMAND("soon", ",\"repeatable\":true,"
                                        "\"timeout_s\":9.25") "],\"edges\":"
                                                              "[{\"source\":"
                                                              "\"soon\","
                                                              "\"target\":"
                                                              "\"late\"}]}");
    assert_int_equal(workflow_plan_text(wf, &text, &bytes), 0);
    assert_int_equal(strlen(text), bytes);
    assert_string_equal(
        text,
        "{\"name\":\"a \\\"b\\\\\",\"nodes\":["
        "{\"id\":\"soon\",\"kind\":\"command\",\"label\":\"soon\",\"after\":[],"
        "\"timeout_s\":9.250,\"repeatable\":true,\"config\":{\"argv\":[\"x\"]}}"
        ","
        "{\"id\":\"late\",\"kind\":\"command\",\"label\":\"late\",\"after\":[0]"
        ",\"timeout_s\":0,\"repeatable\":false,\"config\":{"
        "\"argv\":[\"x\"]}}]}");
    free(text);
}

/* ---- no memory ---- */

static long allocations_left;

static void *failing_malloc(size_t bytes)
{
    return allocations_left-- > 0 ? malloc(bytes) : NULL;
}

/* jansson's parser calls some failed allocations a syntax error; whatever it
 * says, there must be no workflow, no crash and no leak. */
static void running_out_of_memory_is_said_and_nothing_leaks(void **state)
{
    static const char *const examples[] = {
        "neutral-daily-sales",  "reactflow-orders-clean",
        "v1-department-totals", "v1-copy-sequence-only",
        "v1-country-report",    "bad-many-problems",
        "bad-expressions"};
    (void)state;
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        int expected = read_example(examples[i]);
        int rc = -ENOMEM;
        allocations_left = 0;
        json_set_alloc_funcs(failing_malloc, free);
        for (long limit = 0; allocations_left <= 0; limit += 1 + limit / 50) {
            allocations_left = limit;
            rc = read_example(examples[i]);
            bool failed = allocations_left < 0;
            if (failed && rc != -ENOMEM) {
                assert_int_equal(rc, -EINVAL);
                assert_string_equal(problems.items[0].code, "invalid_json");
            }
        }
        json_set_alloc_funcs(malloc, free);
        assert_int_equal(rc, expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(example_fan_out_is_large),
        TEST(example_daily_sales_is_etl),
        TEST(example_copy_customers_is_small),
        TEST(example_react_flow_has_four_nodes_and_a_note),
        TEST(example_v1_with_strings_in_strings_is_etl),
        TEST(example_v1_without_dependencies_has_inferred_edges),
        TEST(example_v1_with_every_part_becomes_a_plan),
        TEST(example_with_bad_expressions_says_where_each_is),
        TEST(example_with_a_circle_is_refused_with_its_path),
        TEST(example_with_many_problems_names_them_all_at_once),
        TEST(example_that_was_cut_off_says_where),
        TEST(broken_json_is_one_precise_problem),
        TEST(deep_nesting_is_refused),
        TEST(a_pointer_begins_where_the_document_is),
        TEST(problems_of_the_caller_do_not_fail_the_document),
        TEST(keys_are_escaped_in_pointers),
        TEST(everything_a_neutral_document_may_say_is_read),
        TEST(unknown_keys_are_refused_with_a_suggestion),
        TEST(heads_are_checked),
        TEST(edges_are_checked),
        TEST(a_node_without_an_id_is_still_checked),
        TEST(commands_are_checked_precisely),
        TEST(a_nul_in_an_argument_is_refused_also_from_a_parsed_document),
        TEST(http_calls_are_checked_precisely),
        TEST(data_nodes_need_their_fields),
        TEST(every_other_field_has_its_type),
        TEST(ten_thousand_nodes_are_read_and_one_more_is_refused),
        TEST(a_plan_lists_nodes_in_order_with_the_places_of_their_parents),
        TEST(running_out_of_memory_is_said_and_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
