/*
 * test_api.c - the API over real HTTP: what each path answers, what is refused
 * and in which words, what waits and for how long, and what the front does when
 * its core is busy, silent or gone.
 */
#include "api_fixture.h"

/* ---- the table ---------------------------------------------------------- */

static void every_route_answers(void **state)
{
    struct world *w = *state;
    char id[RUN_ID_TEXT], path[200];

    agent_arrives(w, "default", 1);
    submit_to(w, REQUEST, id);
    for (const struct route *r = api_routes; r->path; r++) {
        const char *variable = strchr(r->path, '{');
        size_t before =
            variable ? (size_t)(variable - r->path) : strlen(r->path);
        const char *value = !variable                             ? ""
                            : strncmp(variable, "{run}", 5) == 0  ? id
                            : strncmp(variable, "{pool}", 6) == 0 ? "etl-pool"
                                                                  : "hand-made";
        const char *body = r->body == BODY_NONE       ? NULL
                           : r->body == BODY_OPTIONAL ? "{}"
                           : r->method == HTTP_PATCH
                               ? "{\"concurrency_limit\":3}"
                               : REQUEST;
        struct got got;

        snprintf(path, sizeof path, "%.*s%s%s", (int)before, r->path, value,
                 variable ? strchr(variable, '}') + 1 : "");
        got = ask_http(w, http_method_name(r->method), path, body, NULL);
        if (got.status < 200 || got.status > 299)
            fail_msg("%s %s: %ld %s", http_method_name(r->method), path,
                     got.status, got.body);
        assert_non_null(got_header(&got, "X-Request-Id"));
        assert_true(got.json || strstr(path, "/logs"));
        got_clear(&got);
    }
}

static void head_works_like_get(void **state)
{
    struct world *w = *state;
    struct got got = ask_http(w, "HEAD", POOLS, NULL, NULL);

    assert_int_equal(got.status, 200);
    assert_int_equal(got.body_bytes, 0);
    got_clear(&got);
    assert_status(w, "HEAD", "/nowhere", NULL, 404);
}

static void the_index_lists_every_operation(void **state)
{
    struct got got = get(*state, "/");
    size_t count = 0;

    while (api_routes[count].path)
        count++;
    assert_int_equal(json_array_size(got_at(&got, "operations")), count);
    got_clear(&got);
}

static void a_path_that_is_not_there_says_what_is_near(void **state)
{
    struct world *w = *state;
    struct got got = get(w, "/api/v1/workers/pool");

    assert_problem(&got, 404, "NO_SUCH_PATH");
    assert_non_null(strstr(got_text(&got, "detail"), POOLS));
    got_clear(&got);
    assert_refused(w, "GET", "/api/v1/runs%2Fx", NULL, 404, "NO_SUCH_PATH");
    assert_refused(w, "GET", "/api/v1/%00", NULL, 404, "NO_SUCH_PATH");
    assert_refused(w, "GET", "/api//v1/runs", NULL, 404, "NO_SUCH_PATH");
    assert_status(w, "GET", POOLS "/", NULL, 200);
}

static void a_wrong_method_is_told_the_right_ones(void **state)
{
    struct world *w = *state;
    struct got got = ask_http(w, "DELETE", POOLS "/etl", NULL, NULL);

    assert_problem(&got, 405, "METHOD_NOT_ALLOWED");
    assert_string_equal(got_header(&got, "Allow"), "GET, HEAD, PATCH");
    got_clear(&got);
    got = get(w, EXECUTE);
    assert_problem(&got, 405, "METHOD_NOT_ALLOWED");
    assert_string_equal(got_header(&got, "Allow"), "POST");
    got_clear(&got);
    assert_refused(w, "BREW", EXECUTE, NULL, 405, "METHOD_NOT_ALLOWED");
}

static void unknown_and_broken_parameters_are_refused(void **state)
{
    static const char *const paths[] = {
        "/api/v1/runs?limt=3",       "/api/v1/runs?limit=x",
        "/api/v1/runs?limit=501",    "/api/v1/runs?limit=-1",
        "/api/v1/runs?state=DONE",   "/api/v1/runs?pool=nope",
        "/api/v1/runs?cursor=abc",   "/api/v1/runs?workflow=%zz",
        "/api/v1/workers/pools?a=b",
    };

    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        assert_refused(*state, "GET", paths[i], NULL, 400, "BAD_REQUEST");
}

static void things_that_are_not_there_are_404(void **state)
{
    static const struct {
        const char *method, *path, *code;
    } cases[] = {
        {"GET", "/api/v1/runs/nonsense", "NO_SUCH_RUN"},
        {"GET", "/api/v1/runs/01935b2e-0000-7000-8000-000000000000",
         "NO_SUCH_RUN"},
        {"GET", "/api/v1/runs/01935b2e-0000-7000-8000-000000000000/logs",
         "NO_SUCH_RUN"},
        {"GET", "/api/v1/runs/01935b2e-0000-7000-8000-000000000000/explain",
         "NO_SUCH_RUN"},
        {"POST", "/api/v1/runs/01935b2e-0000-7000-8000-000000000000/cancel",
         "NO_SUCH_RUN"},
        {"GET", POOLS "/elt", "NO_SUCH_POOL"},
        {"POST", POOLS "/nope/pause", "NO_SUCH_POOL"},
        {"GET", "/api/v1/workers/agents/nobody", "NO_SUCH_AGENT"},
        {"POST", "/api/v1/workers/agents/nobody/pause", "NO_SUCH_AGENT"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_refused(*state, cases[i].method, cases[i].path, NULL, 404,
                       cases[i].code);
}

/* ---- runs --------------------------------------------------------------- */

static void runs_are_listed_by_pages_newest_first(void **state)
{
    struct world *w = *state;
    char last[RUN_ID_TEXT], path[200];
    size_t seen = 0;
    struct got got;

    for (int i = 0; i < 7; i++)
        submit_to(w, REQUEST, last);
    snprintf(path, sizeof path,
             "/api/v1/runs?limit=3&state=queued&pool=default-agent-pool");
    for (int page = 0; page < 5 && *path; page++) {
        got = get(w, path);
        assert_int_equal(got.status, 200);
        if (page == 0)
            assert_string_equal(got_text(&got, "items.0.run_id"), last);
        seen += json_array_size(got_at(&got, "items"));
        *path = '\0';
        if (*got_text(&got, "next_cursor"))
            snprintf(path, sizeof path, "/api/v1/runs?limit=3&cursor=%s",
                     got_text(&got, "next_cursor"));
        got_clear(&got);
    }
    assert_int_equal(seen, 7);
    got = get(w, "/api/v1/runs?state=FAILED");
    assert_int_equal(json_array_size(got_at(&got, "items")), 0);
    got_clear(&got);
    got = get(w, "/api/v1/runs?live=true&workflow=one&limit=500");
    assert_int_equal(json_array_size(got_at(&got, "items")), 7);
    got_clear(&got);
}

static void a_waiting_run_is_explained(void **state)
{
    struct world *w = *state;
    char id[RUN_ID_TEXT];
    struct got got;

    submit(w, REQUEST);
    submit_to(w, REQUEST, id);
    got = get(w, path_of(id, ""));
    assert_string_equal(got_text(&got, "state"), "QUEUED");
    assert_string_equal(got_text(&got, "reason"), "NO_AGENT");
    assert_string_equal(got_text(&got, "verdict"), "ask an operator");
    assert_string_equal(got_text(&got, "nodes.0.state"), "waiting");
    got_clear(&got);
    got = get(w, path_of(id, "/explain"));
    assert_string_equal(got_text(&got, "reason"), "NO_AGENT");
    assert_int_equal(json_integer_value(got_at(&got, "ahead")), 1);
    assert_string_equal(got_text(&got, "decision.candidates.0.verdict"),
                        "no_agent");
    assert_true(json_array_size(got_at(&got, "story")) >= 4);
    assert_non_null(strstr(got.body, "1 run is before it"));
    got_clear(&got);
}

static void an_ended_run_tells_its_whole_story(void **state)
{
    struct world *w = *state;
    char id[RUN_ID_TEXT];
    struct got got;

    agent_arrives(w, "default", 1);
    submit_to(w, REQUEST, id);
    await(w, &w->push_count, 1);
    agent_starts(w, 0);
    got = get(w, path_of(id, "/explain"));
    assert_string_equal(got_text(&got, "state"), "RUNNING");
    assert_non_null(strstr(got.body, "Now it is RUNNING"));
    got_clear(&got);
    agent_ends(w, 0, ATTEMPT_FAILED, "it broke");
    got = get(w, path_of(id, ""));
    assert_string_equal(got_text(&got, "state"), "FAILED");
    assert_string_equal(got_text(&got, "agent"), "hand-made");
    assert_string_equal(got_text(&got, "attempts.0.outcome"), "failed");
    assert_string_equal(got_text(&got, "attempts.0.decision.chosen_pool"),
                        "default");
    assert_string_equal(got_text(&got, "nodes.0.state"), "failed");
    assert_string_equal(got_text(&got, "nodes.0.id"), "a");
    assert_int_equal(json_integer_value(got_at(&got, "nodes.0.exit_code")), 3);
    got_clear(&got);
    got = get(w, path_of(id, "/explain"));
    assert_true(json_is_null(got_at(&got, "reason")));
    assert_non_null(strstr(got.body, "anonymous submitted \\\"one\\\""));
    assert_non_null(strstr(got.body, "Rule \\\"small\\\" matched"));
    assert_non_null(strstr(got.body, "Attempt 1 got a slot of pool default"));
    assert_non_null(strstr(got.body, "Node \\\"a\\\" failed: it broke"));
    assert_non_null(strstr(got.body, "The run is FAILED"));
    got_clear(&got);
}

static void output_comes_as_text_and_as_json(void **state)
{
    struct world *w = *state;
    char id[RUN_ID_TEXT];
    struct got got;

    agent_arrives(w, "default", 1);
    submit_to(w, REQUEST, id);
    await(w, &w->push_count, 1);
    agent_starts(w, 0);
    agent_writes(w, 0, 1, 0, "first\nsec");
    agent_writes(w, 0, 2, 0, "ond\n\nraw \xff\n");
    got = get(w, path_of(id, "/logs"));
    assert_string_equal(got.body, "a | first\na | second\na | \na | raw "
                                  "\xff\n");
    assert_string_equal(got_header(&got, "X-Next-After"), "2");
    got_clear(&got);
    got = get(w, path_of(id, "/logs?after=1&node=a"));
    assert_string_equal(got.body, "a | ond\na | \na | raw \xff\n");
    got_clear(&got);
    got = ask_http(w, "GET", path_of(id, "/logs"), NULL,
                   "Accept: application/json");
    assert_string_equal(got_text(&got, "items.0.text"), "first\nsec");
    assert_string_equal(got_text(&got, "items.1.stream"), "stdout");
    assert_string_equal(got_text(&got, "items.1.node"), "a");
    assert_int_equal(json_integer_value(got_at(&got, "next")), 2);
    got_clear(&got);
    assert_status(w, "GET", path_of(id, "/logs?node=nope"), NULL, 400);
    assert_status(w, "GET", path_of(id, "/logs?after=2"), NULL, 200);
}

/* ---- rows --------------------------------------------------------------- */

#define ROWS_DOC                                                               \
    "{\"name\":\"rows\",\"nodes\":[{\"id\":\"x\",\"kind\":\"extract\","        \
    "\"connection\":\"hr\",\"table\":\"t\"},{\"id\":\"c\",\"kind\":"           \
    "\"command\","                                                             \
    "\"argv\":[\"true\"]}],\"edges\":[{\"source\":\"x\",\"target\":\"c\"}]}"

/* A run of ROWS_DOC, started. */
static void start_rows(struct world *w, const char *request,
                       char id[RUN_ID_TEXT])
{
    static const char *const caps[] = {"connections", "kind:command",
                                       "kind:extract"};

    agent_arrives_with(w, "default", 1, caps, 3);
    submit_to(w, request, id);
    await(w, &w->push_count, 1);
    agent_starts(w, 0);
}

static void a_running_node_shows_how_far_it_is(void **state)
{
    struct world *w = *state;
    struct node_record node = {.state = RUN_NODE_RUNNING,
                               .started_unix_ms = api_now_unix_ms() - 1500,
                               .exit_code = -1,
                               .rows_in = 1000,
                               .rows_out = 990,
                               .bytes_out = RUN_COUNT_UNKNOWN,
                               .rows_rejected = 10};
    char id[RUN_ID_TEXT];
    struct got got;

    start_rows(w, "{\"workflow\":" ROWS_DOC "}", id);
    agent_says(w, 0, 1, node);
    node.node = 1;
    node.rows_in = node.rows_out = node.rows_rejected = 0;
    node.bytes_out = 5;
    node.started_unix_ms = node.ended_unix_ms = 1000;
    node.state = RUN_NODE_COMPLETED;
    agent_says(w, 0, 2, node);
    got = get(w, path_of(id, ""));
    assert_int_equal(json_integer_value(got_at(&got, "nodes.0.rows_in")), 1000);
    assert_int_equal(json_integer_value(got_at(&got, "nodes.0.rows_out")), 990);
    assert_int_equal(json_integer_value(got_at(&got, "nodes.0.rows_rejected")),
                     10);
    assert_true(json_is_null(got_at(&got, "nodes.0.bytes_out")));
    assert_true(json_real_value(got_at(&got, "nodes.0.elapsed_s")) >= 1.5);
    assert_true(json_is_null(got_at(&got, "nodes.0.duration_s")));
    assert_true(json_is_null(got_at(&got, "nodes.1.rows_in")));
    assert_true(json_is_null(got_at(&got, "nodes.1.rows_rejected")));
    assert_int_equal(json_integer_value(got_at(&got, "nodes.1.bytes_out")), 5);
    assert_true(json_is_real(got_at(&got, "nodes.1.elapsed_s")));
    got_clear(&got);
}

static void previews_are_shown_apart_from_the_output(void **state)
{
    struct world *w = *state;
    struct node_record node = {.state = RUN_NODE_COMPLETED,
                               .started_unix_ms = 1,
                               .ended_unix_ms = 2,
                               .exit_code = -1,
                               .rows_out = 9};
    char id[RUN_ID_TEXT];
    struct got got;

    start_rows(w, "{\"workflow\":" ROWS_DOC ",\"preview_rows\":3}", id);
    agent_writes(w, 0, 1, 0, "words\n");
    agent_streams(w, 0, 2, 0, RUN_LOG_PREVIEW,
                  "[\"id\",\"name\"]\n[1.50,\"\xc3\xa9\"]\n[null,\"b\"]\n");
    agent_says(w, 0, 3, node);
    got = get(w, path_of(id, "/logs"));
    assert_string_equal(got.body, "x | words\n");
    assert_string_equal(got_header(&got, "X-Next-After"), "2");
    got_clear(&got);
    got = get(w, path_of(id, "/preview"));
    assert_string_equal(
        got.body, "{\"nodes\":[{\"id\":\"x\",\"columns\":[\"id\",\"name\"],"
                  "\"rows\":[[1.50,\"\xc3\xa9\"],[null,\"b\"]],\"cut\":true,"
                  "\"rows_out\":9}]}\n");
    got_clear(&got);
    got = get(w, path_of(id, "/preview?node=c"));
    assert_string_equal(got.body, "{\"nodes\":[]}\n");
    got_clear(&got);
    assert_status(w, "GET", path_of(id, "/preview?node=nope"), NULL, 400);
    assert_status(w, "GET",
                  "/api/v1/runs/01935b2e-0000-7000-8000-000000000000/preview",
                  NULL, 404);
}

static void what_is_no_preview_breaks_no_answer(void **state)
{
    static const char *const bad[] = {
        "",     "\n",         "{}\n[1]",      "[\"a\"]]\n",
        "\xff", "[\"\xff\"]", "[1e999]\n[1]", "nonsense\n"};
    struct world *w = *state;
    char id[RUN_ID_TEXT];
    struct got got;
    uint64_t event = 0;

    start_rows(w, "{\"workflow\":" ROWS_DOC "}", id);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        agent_streams(w, 0, ++event, 0, RUN_LOG_PREVIEW, bad[i]);
    agent_streams(w, 0, ++event, 9999, RUN_LOG_PREVIEW, "[\"a\"]\n[1]\n");
    got = get(w, path_of(id, "/preview"));
    assert_string_equal(got.body, "{\"nodes\":[]}\n");
    got_clear(&got);
    /* Cut off in the middle of a line: the whole ones are shown. A number
     * beyond what readers take is rounded. */
    agent_streams(w, 0, ++event, 0, RUN_LOG_PREVIEW,
                  "[\"a\"]\n[36893488147419103232]\n[2]\n[3");
    agent_streams(w, 0, ++event, 0, RUN_LOG_PREVIEW, "[\"again\"]\n");
    got = get(w, path_of(id, "/preview?node=x"));
    assert_int_equal(json_array_size(got_at(&got, "nodes")), 1);
    assert_true(json_real_value(got_at(&got, "nodes.0.rows.0.0")) > 3.6e19);
    assert_int_equal(json_array_size(got_at(&got, "nodes.0.rows")), 2);
    assert_true(json_is_true(got_at(&got, "nodes.0.cut")));
    assert_true(json_is_null(got_at(&got, "nodes.0.rows_out")));
    got_clear(&got);
}

static void what_is_missing_is_said_in_words_before_and_after(void **state)
{
    static const char *const caps[] = {"kind:command", "kind:extract"};
    static const char want[] =
        "In pool default no agent has the connection \"hr\".";
    struct world *w = *state;
    char id[RUN_ID_TEXT];
    struct got got;

    agent_arrives_with(w, "default", 1, caps, 2);
    got = post(w, "/api/v1/workflows/plan", "{\"workflow\":" ROWS_DOC "}");
    assert_string_equal(got_text(&got, "reason"), "NO_CAPABLE_AGENT");
    assert_string_equal(got_text(&got, "missing"), "connection:hr");
    assert_string_equal(got_text(&got, "reason_text"), want);
    assert_non_null(strstr(got_text(&got, "message"), want));
    got_clear(&got);
    submit_to(w, "{\"workflow\":" ROWS_DOC "}", id);
    got = get(w, path_of(id, ""));
    assert_string_equal(got_text(&got, "missing"), "connection:hr");
    assert_string_equal(got_text(&got, "reason_text"), want);
    got_clear(&got);
    got = get(w, path_of(id, "/explain"));
    assert_string_equal(got_text(&got, "reason_text"), want);
    assert_non_null(strstr(got.body, "no agent has the connection \\\"hr\\\""));
    got_clear(&got);
}

static void a_list_says_why_each_run_waits(void **state)
{
    struct world *w = *state;
    char id[RUN_ID_TEXT];
    struct got got;

    agent_arrives(w, "default", 1);
    submit_to(w, REQUEST, id);
    await(w, &w->push_count, 1);
    submit(w, REQUEST);
    submit(w, "{\"workflow\":" DOC ",\"start_at\":\"2099-01-01T00:00:00Z\"}");
    submit(w, "{\"workflow\":" DOC ",\"preferred_pool\":\"etl\","
              "\"allow_fallback\":false}");
    got = get(w, "/api/v1/runs");
    assert_string_equal(got_text(&got, "items.0.reason"), "NO_AGENT");
    assert_string_equal(got_text(&got, "items.0.verdict"), "ask an operator");
    assert_string_equal(got_text(&got, "items.1.reason"), "BEGIN_TIME");
    assert_string_equal(got_text(&got, "items.2.reason"), "AGENTS_BUSY");
    assert_true(json_is_null(got_at(&got, "items.3.reason")));
    got_clear(&got);
}

static void cancelling_says_what_it_did(void **state)
{
    struct world *w = *state;
    char id[RUN_ID_TEXT];
    struct got got;

    submit_to(w, REQUEST, id);
    assert_status(w, "POST", path_of(id, "/cancel"), "{\"reson\":\"x\"}", 422);
    got = post(w, path_of(id, "/cancel"), "{\"reason\":\"no need\"}");
    assert_int_equal(got.status, 200);
    assert_string_equal(got_text(&got, "state"), "CANCELLED");
    got_clear(&got);
    assert_status(w, "POST", path_of(id, "/cancel"), NULL, 200);
    got = get(w, path_of(id, ""));
    assert_string_equal(got_text(&got, "cancel.reason"), "no need");
    assert_string_equal(got_text(&got, "cancel.who"), "anonymous");
    got_clear(&got);
    agent_arrives(w, "default", 1);
    submit_to(w, REQUEST, id);
    await(w, &w->push_count, 1);
    agent_starts(w, 0);
    assert_status(w, "POST", path_of(id, "/cancel"), NULL, 202);
    assert_status(w, "POST", path_of(id, "/cancel"), NULL, 202);
    agent_ends(w, 0, ATTEMPT_CANCELLED, NULL);
    assert_status(w, "POST", path_of(id, "/cancel"), NULL, 200);
    submit_to(w, REQUEST, id);
    await(w, &w->push_count, 2);
    agent_starts(w, 1);
    agent_ends(w, 1, ATTEMPT_COMPLETED, NULL);
    got = post(w, path_of(id, "/cancel"), NULL);
    assert_problem(&got, 409, "RUN_ENDED");
    got_clear(&got);
}

/* ---- pools and agents --------------------------------------------------- */

static void a_pause_says_who_why_and_until_when(void **state)
{
    struct world *w = *state;
    struct got got = post(w, POOLS "/etl-pool/pause",
                          "{\"reason\":\"disk\",\"for\":\"10m\"}");

    assert_int_equal(got.status, 200);
    assert_string_equal(got_text(&got, "name"), "etl");
    assert_string_equal(got_text(&got, "state"), "paused");
    assert_string_equal(got_text(&got, "state_change.who"), "anonymous");
    assert_string_equal(got_text(&got, "state_change.reason"), "disk");
    assert_true(strlen(got_text(&got, "state_change.until")) > 0);
    got_clear(&got);
    got = get(w, POOLS "/etl/status");
    assert_string_equal(got_text(&got, "state"), "paused");
    assert_true(json_is_array(got_at(&got, "recent_runs")));
    assert_true(json_is_object(got_at(&got, "performance_metrics")));
    got_clear(&got);
    got = post(w, POOLS "/etl/resume", NULL);
    assert_string_equal(got_text(&got, "state"), "open");
    got_clear(&got);
    assert_refused(w, "POST", POOLS "/etl/pause", "{\"for\":\"x\"}", 422,
                   "INVALID");
}

static void a_pool_is_changed_and_reset(void **state)
{
    struct world *w = *state;
    struct got got = ask_http(
        w, "PATCH", POOLS "/etl",
        "{\"concurrency_limit\":7,\"max_size\":\"2 GiB\",\"waiting_max\":9,"
        "\"fallback\":[{\"pool\":\"default-agent-pool\",\"after\":\"2s\","
        "\"size_below\":1000,\"free_at_least\":2}]}",
        NULL);

    assert_int_equal(got.status, 200);
    assert_int_equal(json_integer_value(got_at(&got, "concurrency_limit")), 7);
    assert_int_equal(json_integer_value(got_at(&got, "configured_limit")), 3);
    assert_int_equal(json_integer_value(got_at(&got, "max_size")), 2LL << 30);
    assert_true(json_is_true(got_at(&got, "overridden")));
    assert_string_equal(got_text(&got, "fallback.0.pool"), "default");
    assert_true(json_real_value(got_at(&got, "fallback.0.after")) == 2.0);
    got_clear(&got);
    got = ask_http(w, "PATCH", POOLS "/etl", "{\"reset\":true}", NULL);
    assert_int_equal(json_integer_value(got_at(&got, "concurrency_limit")), 3);
    got_clear(&got);
    assert_refused(w, "PATCH", POOLS "/etl", "{}", 422, "INVALID");
    assert_refused(w, "PATCH", POOLS "/etl", "{\"limit\":3}", 422, "INVALID");
    assert_refused(w, "PATCH", POOLS "/etl",
                   "{\"fallback\":[{\"pool\":\"etl\"}]}", 422, "INVALID");
    assert_refused(w, "PATCH", POOLS "/etl",
                   "{\"fallback\":[{\"pool\":\"nope\"}]}", 422, "INVALID");
    assert_refused(w, "PATCH", POOLS "/etl", "{\"fallback\":[{}]}", 422,
                   "INVALID");
}

static void agents_are_shown_and_held_back(void **state)
{
    struct world *w = *state;
    struct got got;

    agent_arrives(w, "default", 2);
    submit(w, REQUEST);
    await(w, &w->push_count, 1);
    got = get(w, "/api/v1/workers/agents/hand-made");
    assert_string_equal(got_text(&got, "health"), "ok");
    assert_string_equal(got_text(&got, "pools.0"), "default");
    assert_int_equal(json_integer_value(got_at(&got, "active_runs")), 1);
    assert_string_equal(got_text(&got, "runs.0.workflow_name"), "one");
    got_clear(&got);
    got = post(w, "/api/v1/workers/agents/hand-made/pause",
               "{\"reason\":\"hot\"}");
    assert_string_equal(got_text(&got, "state"), "paused");
    assert_string_equal(got_text(&got, "state_change.reason"), "hot");
    got_clear(&got);
    got = get(w, "/api/v1/workers/agents/hand-maid");
    assert_non_null(strstr(got_text(&got, "detail"), "hand-made"));
    got_clear(&got);
}

static void the_overview_adds_up(void **state)
{
    struct world *w = *state;
    struct got got;

    submit(w, REQUEST);
    got = get(w, "/api/v1/workers/overview");
    assert_int_equal(
        json_integer_value(got_at(&got, "worker_summary.total_pools")), 3);
    assert_int_equal(
        json_integer_value(got_at(&got, "worker_summary.total_capacity")), 10);
    assert_int_equal(
        json_integer_value(got_at(&got, "worker_summary.waiting_runs")), 1);
    assert_int_equal(json_integer_value(got_at(
                         &got, "pool_capacities.etl.available_capacity")),
                     3);
    assert_string_equal(got_text(&got, "recommendations.0.type"), "scale_up");
    assert_string_equal(got_text(&got, "recommendations.0.pool"), "default");
    got_clear(&got);
    got = get(w, "/api/v1/workers/distribution");
    assert_int_equal(
        json_integer_value(got_at(&got, "pools.default.by_rule.small")), 1);
    got_clear(&got);
}

/* ---- waiting ------------------------------------------------------------ */

static void who_prefers_to_wait_hears_the_end(void **state)
{
    struct world *w = *state;
    int fd;

    agent_arrives(w, "default", 2);
    fd = send_raw(w, "POST " EXECUTE " HTTP/1.1\r\nHost: localhost\r\n"
                     "Prefer: respond-async, wait=60\r\nContent-Length: 81\r\n"
                     "\r\n" REQUEST);
    assert_int_equal(strlen(REQUEST), 81);
    await(w, &w->push_count, 1);
    agent_starts(w, 0);
    agent_ends(w, 0, ATTEMPT_COMPLETED, NULL);
    assert_int_equal(status_raw(fd), 200);
}

static void when_the_time_is_up_the_answer_is_202(void **state)
{
    struct world *w = *state;
    struct got got = ask_http(w, "POST", EXECUTE, REQUEST, "Prefer: wait=1");

    assert_int_equal(got.status, 202);
    assert_string_equal(got_text(&got, "state"), "QUEUED");
    assert_non_null(got_header(&got, "Location"));
    got_clear(&got);
}

static void a_run_can_be_waited_for_by_its_id(void **state)
{
    struct world *w = *state;
    char id[RUN_ID_TEXT], request[200];
    struct got got;
    int fd;

    agent_arrives(w, "default", 1);
    submit_to(w, REQUEST, id);
    await(w, &w->push_count, 1);
    agent_starts(w, 0);
    got = get(w, path_of(id, "?wait=1"));
    assert_string_equal(got_text(&got, "state"), "RUNNING");
    got_clear(&got);
    snprintf(request, sizeof request,
             "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n",
             path_of(id, "?wait=60"));
    fd = send_raw(w, request);
    agent_ends(w, 0, ATTEMPT_COMPLETED, NULL);
    assert_int_equal(status_raw(fd), 200);
    got = get(w, path_of(id, "?wait=600")); /* has ended: at once */
    assert_string_equal(got_text(&got, "state"), "COMPLETED");
    got_clear(&got);
    assert_status(w, "GET", path_of(id, "?wait=601"), NULL, 400);
}

static void those_who_left_while_waiting_leave_nothing_behind(void **state)
{
    struct world *w = *state;
    unsigned waits_max = w->config->http_connections_max / 2 + 1;
    char id[RUN_ID_TEXT], request[200];
    struct got got;

    submit_to(w, REQUEST, id);
    snprintf(request, sizeof request,
             "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n",
             path_of(id, "?wait=600"));
    for (unsigned i = 0; i < 2 * waits_max; i++) {
        int fd = send_raw(w, request);

        if (i % 20 == 19)
            assert_status(w, "GET", "/livez", NULL, 200);
        close(fd);
    }
    got = get(w, path_of(id, "?wait=1")); /* there is room to wait */
    assert_int_equal(got.status, 200);
    got_clear(&got);
}

static void too_many_who_wait_are_told_so(void **state)
{
    struct world *w = *state;
    unsigned waits_max = w->config->http_connections_max / 2 + 1;
    int fds[200];
    char request[200];
    char id[RUN_ID_TEXT];

    submit_to(w, REQUEST, id);
    snprintf(request, sizeof request,
             "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n",
             path_of(id, "?wait=600"));
    for (unsigned i = 0; i < waits_max; i++)
        fds[i] = send_raw(w, request);
    assert_int_equal(status_raw(send_raw(w, request)), 503);
    assert_status(w, "GET", POOLS, NULL, 200);
    for (unsigned i = 0; i < waits_max; i++)
        close(fds[i]);
}

/* ---- boards ------------------------------------------------------------- */

static void one_board_answers_everybody_who_waits(void **state)
{
    static const char request[] =
        "GET " POOLS " HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct world *w = *state;
    int fds[30];

    hold_boards(w, true);
    fds[0] = send_raw(w, request);
    await(w, &w->held_count, 1);
    for (int i = 1; i < 30; i++)
        fds[i] = send_raw(w, request);
    assert_status(w, "GET", "/livez", NULL, 200); /* they have been read */
    assert_int_equal(counted(w, &w->boards), 1);
    hold_boards(w, false);
    for (int i = 0; i < 30; i++)
        assert_int_equal(status_raw(fds[i]), 200);
    assert_int_equal(counted(w, &w->boards), 2);
}

static void a_board_is_never_older_than_its_question(void **state)
{
    static const char request[] =
        "GET " POOLS "/etl HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct world *w = *state;
    struct pollfd readable = {.events = POLLIN};
    char text[4096] = "";
    int older, newer;

    hold_boards(w, true);
    older = send_raw(w, request);
    await(w, &w->held_count, 1); /* made, before the pause, and kept back */
    assert_status(w, "POST", POOLS "/etl/pause", NULL, 200);
    newer = send_raw(w, request);
    assert_status(w, "GET", "/livez", NULL, 200);
    hold_boards(w, false);
    readable.fd = newer;
    assert_int_equal(poll(&readable, 1, 10000), 1);
    assert_true(recv(newer, text, sizeof text - 1, 0) > 0);
    assert_non_null(strstr(text, "\"state\":\"paused\""));
    assert_int_equal(status_raw(older), 200);
    close(newer);
}

/* ---- a core that does not answer ---------------------------------------- */

static void a_silent_core_makes_the_broker_unready_not_dead(void **state)
{
    struct world *w = *state;
    uint64_t begin_ms = clock_ms();

    silence(w, true);
    assert_refused(w, "GET", "/readyz", NULL, 503, "NOT_READY");
    assert_true(clock_ms() - begin_ms < 3000);
    assert_status(w, "GET", "/livez", NULL, 200);
    assert_status(w, "GET", "/api/v1/runs", NULL, 200);
    silence(w, false);
    assert_status(w, "GET", "/readyz", NULL, 200);
}

static void stopping_answers_those_who_still_wait(void **state)
{
    struct world *w = *state;
    char request[200];
    int board, run;

    snprintf(request, sizeof request,
             "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n",
             path_of(submit(w, REQUEST), "?wait=600"));
    silence(w, true);
    run = send_raw(w, request);
    board = send_raw(w, "GET " POOLS " HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await(w, &w->held_count, 1);
    assert_status(w, "GET", "/livez", NULL, 200);
    stop_core(w);
    front_stop(&w->front);
    assert_int_equal(status_raw(board), 503);
    assert_int_equal(status_raw(run), 503);
    silence(w, false);
}

/* ---- who may ------------------------------------------------------------ */

static void another_site_is_kept_out(void **state)
{
    struct world *w = *state;
    char same[200];
    static const char *const headers[] = {"Origin: http://evil.example",
                                          "Origin: null",
                                          "Origin: localhost",
                                          "Host: evil.example",
                                          "Host: localhost.evil.example",
                                          "Host: 127.evil.example"};
    struct got got;

    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        got = ask_http(w, "POST", POOLS "/etl/pause", NULL, headers[i]);
        assert_problem(&got, 403, "CROSS_ORIGIN");
        got_clear(&got);
    }
    snprintf(same, sizeof same, "Origin: %s", front_url(w->front));
    got = ask_http(w, "POST", POOLS "/etl/pause", NULL, same);
    assert_int_equal(got.status, 200);
    got_clear(&got);
    got = ask_http(w, "GET", POOLS, NULL, "Host: localhost:80");
    assert_int_equal(got.status, 200);
    got_clear(&got);
}

static void with_a_token_file_callers_have_names(void **state)
{
    char file[] = "/tmp/test_api.XXXXXX";
    int fd = mkstemp(file);
    struct world *w;
    struct got got;

    (void)state;
    assert_true(dprintf(fd, "alice 0123456789abcdef\n") > 0);
    close(fd);
    w = world_new(file);
    got = get(w, POOLS);
    assert_problem(&got, 401, "UNAUTHORIZED");
    assert_non_null(got_header(&got, "WWW-Authenticate"));
    got_clear(&got);
    got = ask_http(w, "POST", EXECUTE, REQUEST,
                   "Authorization: Bearer 0123456789abcdeX");
    assert_problem(&got, 401, "UNAUTHORIZED");
    got_clear(&got);
    assert_status(w, "GET", "/livez", NULL, 200);
    assert_status(w, "GET", "/readyz", NULL, 200);
    assert_status(w, "GET", "/version", NULL, 200);
    got = ask_http(w, "POST", POOLS "/etl/pause", NULL,
                   "Authorization: Bearer 0123456789abcdef");
    assert_int_equal(got.status, 200);
    assert_string_equal(got_text(&got, "state_change.who"), "alice");
    got_clear(&got);
    world_free(w);
    unlink(file);
}

static void the_whole_network_is_not_served_without_tokens(void **state)
{
    struct world *w = *state;
    struct front *front = NULL;
    char why[STORE_WHY_MAX];

    stop_core(w);
    front_stop(&w->front);
    snprintf(w->address, sizeof w->address, "0.0.0.0:0");
    assert_int_equal(
        front_start(w->config, w->store, w->zmq, "inproc://front", &front, why),
        -EINVAL);
    assert_null(front);
    assert_non_null(strstr(why, "token_file"));
}

/* ---- times -------------------------------------------------------------- */

static void times_are_read_and_written(void **state)
{
    static const struct {
        const char *text;
        int64_t unix_ms; /* -1: refused */
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2026-11-20T18:00:00.123Z", INT64_C(1795197600123)},
        {"2026-11-20T19:30:00.1234567+01:30", INT64_C(1795197600123)},
        {"2024-02-29T00:00:00-00:00", INT64_C(1709164800000)},
        {"2026-11-20T18:00:00", -1},
        {"2026-11-20", -1},
        {"2025-02-29T00:00:00Z", -1},
        {"2026-13-01T00:00:00Z", -1},
        {"2026-11-20T24:00:00Z", -1},
        {"2026-11-20T18:00:00Z ", -1},
        {"2026-11-20T18:00:00+1:00", -1},
        {"", -1},
    };
    char text[API_TIME_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t unix_ms = -1;

        assert_int_equal(api_time_parse(cases[i].text, &unix_ms),
                         cases[i].unix_ms < 0 ? -EINVAL : 0);
        assert_true(unix_ms == cases[i].unix_ms);
    }
    api_time_text(INT64_C(1795197600123), text);
    assert_string_equal(text, "2026-11-20T18:00:00.123Z");
    api_time_text(INT64_MAX, text);
    assert_string_equal(text, "9999-12-31T23:59:59.999Z");
    api_time_text(-1, text);
    assert_string_equal(text, "1969-12-31T23:59:59.999Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_WORLD(every_route_answers),
        IN_A_WORLD(head_works_like_get),
        IN_A_WORLD(the_index_lists_every_operation),
        IN_A_WORLD(a_path_that_is_not_there_says_what_is_near),
        IN_A_WORLD(a_wrong_method_is_told_the_right_ones),
        IN_A_WORLD(unknown_and_broken_parameters_are_refused),
        IN_A_WORLD(things_that_are_not_there_are_404),
        IN_A_WORLD(runs_are_listed_by_pages_newest_first),
        IN_A_WORLD(a_waiting_run_is_explained),
        IN_A_WORLD(an_ended_run_tells_its_whole_story),
        IN_A_WORLD(output_comes_as_text_and_as_json),
        IN_A_WORLD(a_running_node_shows_how_far_it_is),
        IN_A_WORLD(previews_are_shown_apart_from_the_output),
        IN_A_WORLD(what_is_no_preview_breaks_no_answer),
        IN_A_WORLD(what_is_missing_is_said_in_words_before_and_after),
        IN_A_WORLD(a_list_says_why_each_run_waits),
        IN_A_WORLD(cancelling_says_what_it_did),
        IN_A_WORLD(a_pause_says_who_why_and_until_when),
        IN_A_WORLD(a_pool_is_changed_and_reset),
        IN_A_WORLD(agents_are_shown_and_held_back),
        IN_A_WORLD(the_overview_adds_up),
        IN_A_WORLD(who_prefers_to_wait_hears_the_end),
        IN_A_WORLD(when_the_time_is_up_the_answer_is_202),
        IN_A_WORLD(a_run_can_be_waited_for_by_its_id),
        IN_A_WORLD(those_who_left_while_waiting_leave_nothing_behind),
        IN_A_WORLD(too_many_who_wait_are_told_so),
        IN_A_WORLD(one_board_answers_everybody_who_waits),
        IN_A_WORLD(a_board_is_never_older_than_its_question),
        IN_A_WORLD(a_silent_core_makes_the_broker_unready_not_dead),
        IN_A_WORLD(stopping_answers_those_who_still_wait),
        IN_A_WORLD(another_site_is_kept_out),
        cmocka_unit_test(with_a_token_file_callers_have_names),
        IN_A_WORLD(the_whole_network_is_not_served_without_tokens),
        cmocka_unit_test(times_are_read_and_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
