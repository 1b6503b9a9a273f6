/*
 * test_api_submit.c - submissions over real HTTP: what is kept of them, what is
 * refused and in which words, batches, plan and validate.
 */
#include "api_fixture.h"

/* ---- what is sent ------------------------------------------------------- */

static void a_submission_is_told_where_it_went(void **state)
{
    struct world *w = *state;
    struct got got;

    agent_arrives(w, "default", 1);
    got = post(w, EXECUTE, REQUEST);
    assert_int_equal(got.status, 202);
    assert_string_equal(got_text(&got, "status"), "accepted");
    assert_string_equal(got_text(&got, "run_id"),
                        got_text(&got, "flow_run_id"));
    assert_string_equal(got_text(&got, "work_pool"), "default");
    assert_string_equal(got_text(&got, "workflow_name"), "one");
    assert_string_equal(got_text(&got, "priority"), "normal");
    assert_string_equal(got_text(&got, "state"), "PENDING");
    assert_string_equal(got_text(&got, "decision.rule"), "small");
    assert_string_equal(got_text(&got, "decision.chosen_pool"), "default");
    assert_string_equal(got_text(&got, "decision.candidates.0.verdict"),
                        "take");
    assert_int_equal(json_integer_value(got_at(
                         &got, "capacity_at_execution.concurrency_limit")),
                     5);
    assert_string_equal(got_header(&got, "Location"),
                        path_of(got_text(&got, "run_id"), ""));
    assert_status(w, "GET", got_header(&got, "Location"), NULL, 200);
    got_clear(&got);
    got = post(w, EXECUTE, REQUEST); /* no slot left */
    assert_int_equal(got.status, 202);
    assert_string_equal(got_text(&got, "state"), "QUEUED");
    assert_string_equal(got_text(&got, "reason"), "AGENTS_BUSY");
    assert_true(json_is_null(got_at(&got, "decision.chosen_pool")));
    got_clear(&got);
}

static void what_the_request_says_is_kept(void **state)
{
    struct world *w = *state;
    struct got got;
    const char *id = submit(
        w, "{\"workflow\":" DOC ",\"workflow_id\":\"w1\",\"parameters\":{\"a\":"
           "1},\"preferred_pool\":\"etl-pool\",\"priority\":\"high\",\"tags\":"
           "[\"x\"],\"size_bytes\":1000,\"timeout_s\":1.5,\"retries\":2,"
           "\"on_lost\":\"retry\",\"allow_fallback\":false,"
           "\"start_at\":\"2099-01-01T01:00:00+01:00\"}");

    got = get(w, path_of(id, ""));
    assert_string_equal(got_text(&got, "workflow_id"), "w1");
    assert_string_equal(got_text(&got, "wanted_pool"), "etl");
    assert_string_equal(got_text(&got, "rule"), "requested");
    assert_string_equal(got_text(&got, "priority"), "high");
    assert_string_equal(got_text(&got, "features.tags.0"), "x");
    assert_int_equal(json_integer_value(got_at(&got, "features.size_bytes")),
                     1000);
    assert_true(json_real_value(got_at(&got, "timeout_s")) == 1.5);
    assert_int_equal(json_integer_value(got_at(&got, "retries")), 2);
    assert_string_equal(got_text(&got, "on_lost"), "retry");
    assert_true(json_is_true(got_at(&got, "decision.fallback_forbidden")));
    assert_string_equal(got_text(&got, "state"), "SCHEDULED");
    assert_string_equal(got_text(&got, "reason"), "BEGIN_TIME");
    assert_string_equal(got_text(&got, "start_at"), "2099-01-01T00:00:00.000Z");
    got_clear(&got);
}

static void a_field_that_is_wrong_is_pointed_at(void **state)
{
    static const struct {
        const char *field, *pointer, *code;
    } cases[] = {
        {"\"prioritty\":\"low\"", "/prioritty", "unknown_field"},
        {"\"a/b~\":1", "/a~1b~0", "unknown_field"},
        {"\"priority\":\"urgent\"", "/priority", "priority"},
        {"\"priority\":1", "/priority", "priority"},
        {"\"parameters\":[]", "/parameters", "type"},
        {"\"preferred_pool\":\"elt\"", "/preferred_pool", "unknown_pool"},
        {"\"preferred_pool\":7", "/preferred_pool", "unknown_pool"},
        {"\"tags\":\"x\"", "/tags", "type"},
        {"\"tags\":[\"x\",\"\"]", "/tags/1", "text"},
        {"\"size_bytes\":-1", "/size_bytes", "size"},
        {"\"size_bytes\":\"big\"", "/size_bytes", "size"},
        {"\"start_at\":\"2026-11-20T18:00:00\"", "/start_at", "time"},
        {"\"start_at\":\"2026-02-30T18:00:00Z\"", "/start_at", "time"},
        {"\"timeout_s\":-1", "/timeout_s", "duration"},
        {"\"timeout_s\":1e300", "/timeout_s", "duration"},
        {"\"retries\":101", "/retries", "number"},
        {"\"retries\":1.5", "/retries", "number"},
        {"\"preview_rows\":101", "/preview_rows", "number"},
        {"\"preview_rows\":-1", "/preview_rows", "number"},
        {"\"preview_rows\":\"5\"", "/preview_rows", "number"},
        {"\"on_lost\":\"maybe\"", "/on_lost", "on_lost"},
        {"\"allow_fallback\":1", "/allow_fallback", "type"},
        {"\"concurrency_key\":\"k\"", "/concurrency_key", "not_supported"},
        {"\"workflow_id\":\"\"", "/workflow_id", "text"},
    };
    char body[400];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct got got;

        snprintf(body, sizeof body, "{\"workflow\":%s,%s}", DOC,
                 cases[i].field);
        got = post(*state, EXECUTE, body);
        assert_problem(&got, 422, "INVALID");
        if (!has_error(&got, cases[i].pointer, cases[i].code))
            fail_msg("%s: %s", cases[i].field, got.body);
        got_clear(&got);
    }
    assert_int_equal(((struct world *)*state)->submissions, 0);
}

static void an_unknown_pool_is_answered_with_the_pools_there_are(void **state)
{
    struct got got = post(*state, EXECUTE,
                          "{\"workflow\":" DOC ",\"preferred_pool\":\"elt\"}");

    assert_non_null(strstr(got.body, "did you mean \\\"etl\\\""));
    assert_non_null(strstr(got.body, "default, etl, high-memory"));
    got_clear(&got);
}

static void all_problems_are_reported_at_once(void **state)
{
    struct got got = post(
        *state, EXECUTE,
        "[" REQUEST ",{\"workflow\":{\"name\":\"\",\"nodes\":[{\"id\":\"a\","
        "\"kind\":\"teleport\"}]},\"prio\":1},{\"workflow\":{\"name\":\"x\","
        "\"nodes\":[" NODE "," NODE "]}}]");

    assert_problem(&got, 422, "INVALID");
    assert_true(has_error(&got, "/1/workflow/name", "empty_name"));
    assert_true(has_error(&got, "/1/workflow/nodes/0/kind", "unknown_kind"));
    assert_true(has_error(&got, "/1/prio", "unknown_field"));
    assert_true(has_error(&got, "/2/workflow/nodes/1", "duplicate_id"));
    got_clear(&got);
    assert_int_equal(((struct world *)*state)->submissions, 0);
}

static void broken_json_is_placed(void **state)
{
    struct world *w = *state;
    struct got got = post(w, EXECUTE, "{\n  \"workflow\": {,\n}");

    assert_problem(&got, 400, "BAD_JSON");
    assert_non_null(strstr(got_text(&got, "detail"), "Line 2, column 16"));
    got_clear(&got);
    got = post(w, EXECUTE, "{\"size_bytes\": 1180591620717411303424}");
    assert_problem(&got, 400, "BAD_JSON");
    assert_non_null(strstr(got_text(&got, "detail"), "number is too big"));
    assert_null(strstr(got.body, "not JSON"));
    got_clear(&got);
    assert_refused(w, "POST", EXECUTE, "", 400, "BAD_JSON");
    assert_refused(w, "POST", EXECUTE, "{\"a\":1,\"a\":2}", 400, "BAD_JSON");
    assert_refused(w, "POST", EXECUTE, "\"\xff\"", 400, "BAD_JSON");
    assert_refused(w, "POST", EXECUTE, "17", 422, "INVALID");
    assert_refused(w, "POST", EXECUTE, "[]", 422, "INVALID");
    assert_refused(w, "POST", EXECUTE, "[1]", 422, "INVALID");
    assert_refused(w, "POST", EXECUTE, "{}", 422, "INVALID");
    assert_refused(w, "POST", EXECUTE, "{\"workflow\":[]}", 422, "INVALID");
}

static void a_bare_document_is_told_to_be_wrapped(void **state)
{
    struct got got = post(*state, EXECUTE, DOC);

    assert_problem(&got, 422, "INVALID");
    assert_non_null(strstr(got_text(&got, "hint"), "{\"workflow\":"));
    got_clear(&got);
}

static void what_does_not_exist_yet_is_not_pretended(void **state)
{
    struct world *w = *state;

    assert_refused(w, "POST", EXECUTE, "{\"workflow_id\":\"w1\"}", 404,
                   "NO_SUCH_WORKFLOW");
}

static void a_key_makes_a_second_sending_the_same_run(void **state)
{
    struct world *w = *state;
    struct got first =
        ask_http(w, "POST", EXECUTE, REQUEST, "Idempotency-Key: abc");
    struct got again =
        ask_http(w, "POST", EXECUTE, REQUEST, "Idempotency-Key: abc");
    struct got other =
        ask_http(w, "POST", EXECUTE, REQUEST, "Idempotency-Key: abd");

    assert_int_equal(first.status, 202);
    assert_int_equal(again.status, 202);
    assert_int_equal(other.status, 202);
    assert_null(json_object_get(first.json, "replayed"));
    assert_true(json_is_true(json_object_get(again.json, "replayed")));
    assert_string_equal(got_text(&again, "run_id"), got_text(&first, "run_id"));
    assert_string_not_equal(got_text(&other, "run_id"),
                            got_text(&first, "run_id"));
    got_clear(&first);
    got_clear(&again);
    got_clear(&other);
}

static void a_key_of_another_request_is_refused(void **state)
{
    struct world *w = *state;
    struct got got =
        ask_http(w, "POST", EXECUTE, REQUEST, "Idempotency-Key: abc");

    assert_int_equal(got.status, 202);
    got_clear(&got);
    got = ask_http(w, "POST", EXECUTE,
                   "{\"priority\":\"low\",\"workflow\":" DOC "}",
                   "Idempotency-Key: abc");
    assert_problem(&got, 422, "KEY_REUSED");
    got_clear(&got);
}

static void a_body_too_large_is_refused(void **state)
{
    struct world *w = *state;
    char *body = malloc(w->config->body_max + 100);
    struct got got;

    assert_non_null(body);
    memset(body, ' ', w->config->body_max + 99);
    body[w->config->body_max + 99] = '\0';
    got = post(w, EXECUTE, body);
    assert_int_equal(got.status, 413);
    assert_string_equal(got_text(&got, "code"), "BODY_TOO_LARGE");
    got_clear(&got);
    free(body);
}

/* ---- refusals of the core ----------------------------------------------- */

static void a_batch_is_admitted_one_by_one(void **state)
{
    struct world *w = *state;
    struct got got;

    assert_status(w, "PATCH", POOLS "/default", "{\"waiting_max\":1}", 200);
    got = post(w, EXECUTE, "[" REQUEST "," REQUEST "," REQUEST "]");
    assert_int_equal(got.status, 202);
    assert_int_equal(json_integer_value(got_at(&got, "accepted")), 1);
    assert_int_equal(json_integer_value(got_at(&got, "refused")), 2);
    assert_string_equal(got_text(&got, "items.0.status"), "accepted");
    assert_string_equal(got_text(&got, "items.1.code"), "LINE_FULL");
    got_clear(&got);
    got = post(w, EXECUTE, "[" REQUEST "]");
    assert_int_equal(got.status, 429);
    got_clear(&got);
    got = post(w, EXECUTE, REQUEST);
    assert_problem(&got, 429, "LINE_FULL");
    assert_non_null(got_header(&got, "Retry-After"));
    got_clear(&got);
}

static void a_thousand_at_once_are_taken_and_no_more(void **state)
{
    struct world *w = *state;
    char *body = NULL;
    size_t bytes;
    struct got got;

    for (int count = 1000; count <= 1001; count++) {
        FILE *out = open_memstream(&body, &bytes);

        for (int i = 0; i < count; i++)
            fprintf(out, "%c" REQUEST, i ? ',' : '[');
        fputc(']', out);
        fclose(out);
        got = post(w, EXECUTE, body);
        assert_int_equal(got.status, count == 1000 ? 202 : 422);
        if (count == 1000)
            assert_int_equal(json_integer_value(got_at(&got, "accepted")),
                             1000);
        got_clear(&got);
        free(body);
    }
}

static void refusals_have_their_status(void **state)
{
    struct world *w = *state;
    struct got got;

    assert_refused(w, "POST", EXECUTE,
                   "{\"workflow\":{\"name\":\"x\",\"nodes\":[{\"id\":\"a\","
                   "\"kind\":\"extract\",\"connection\":\"c\",\"table\":\"t\","
                   "\"engine\":\"mysql\"}]}}",
                   422, "NO_ENGINE");
    assert_status(w, "POST", POOLS "/default/close", "{\"reason\":\"r\"}", 200);
    assert_refused(w, "POST", EXECUTE, REQUEST, 409, "POOL_CLOSED");
    assert_refused(w, "POST", EXECUTE,
                   "{\"workflow\":" DOC ",\"preferred_pool\":\"etl\","
                   "\"size_bytes\":\"5 GiB\",\"allow_fallback\":false}",
                   422, "TOO_BIG");
    pthread_mutex_lock(&w->lock);
    ledger_drain(w->ledger);
    pthread_mutex_unlock(&w->lock);
    got = post(w, EXECUTE, REQUEST);
    assert_problem(&got, 503, "DRAINING");
    assert_non_null(got_header(&got, "Retry-After"));
    got_clear(&got);
    assert_refused(w, "GET", "/readyz", NULL, 503, "DRAINING");
    assert_status(w, "GET", "/livez", NULL, 200);
}

/* ---- plan and validate -------------------------------------------------- */

static void a_plan_tells_and_keeps_nothing(void **state)
{
    struct world *w = *state;
    struct got got = post(w, PLAN, REQUEST);

    assert_int_equal(got.status, 200);
    assert_true(json_is_true(got_at(&got, "would_be_accepted")));
    assert_string_equal(got_text(&got, "reason"), "NO_AGENT");
    assert_string_equal(got_text(&got, "requires.0"), "kind:command");
    assert_int_equal(json_integer_value(got_at(&got, "features.nodes")), 1);
    got_clear(&got);
    got = get(w, "/api/v1/runs");
    assert_int_equal(json_array_size(got_at(&got, "items")), 0);
    got_clear(&got);
    assert_status(w, "POST", POOLS "/default/close", NULL, 200);
    got = post(w, PLAN, REQUEST);
    assert_true(json_is_false(got_at(&got, "would_be_accepted")));
    assert_string_equal(got_text(&got, "refusal.code"), "POOL_CLOSED");
    got_clear(&got);
    assert_refused(w, "POST", PLAN, "[" REQUEST "]", 422, "INVALID");
}

static void a_document_is_validated_bare_and_wrapped(void **state)
{
    static const char *const bodies[] = {DOC, REQUEST};

    for (size_t i = 0; i < 2; i++) {
        struct got got = post(*state, VALIDATE, bodies[i]);

        assert_int_equal(got.status, 200);
        assert_true(json_is_true(got_at(&got, "valid")));
        assert_string_equal(got_text(&got, "wanted_pool"), "default");
        assert_string_equal(got_text(&got, "rule"), "small");
        assert_string_equal(got_text(&got, "order.0"), "a");
        assert_string_equal(got_text(&got, "shape"), "neutral");
        got_clear(&got);
    }
    {
        struct got got = post(*state, VALIDATE,
                              "{\"workflow\":{\"name\":\"x\",\"nodes\":[]}}");

        assert_problem(&got, 422, "INVALID");
        assert_non_null(
            strstr(got_text(&got, "errors.0.pointer"), "/workflow"));
        got_clear(&got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_WORLD(a_submission_is_told_where_it_went),
        IN_A_WORLD(what_the_request_says_is_kept),
        IN_A_WORLD(a_field_that_is_wrong_is_pointed_at),
        IN_A_WORLD(an_unknown_pool_is_answered_with_the_pools_there_are),
        IN_A_WORLD(all_problems_are_reported_at_once),
        IN_A_WORLD(broken_json_is_placed),
        IN_A_WORLD(a_bare_document_is_told_to_be_wrapped),
        IN_A_WORLD(what_does_not_exist_yet_is_not_pretended),
        IN_A_WORLD(a_key_makes_a_second_sending_the_same_run),
        IN_A_WORLD(a_key_of_another_request_is_refused),
        IN_A_WORLD(a_body_too_large_is_refused),
        IN_A_WORLD(a_batch_is_admitted_one_by_one),
        IN_A_WORLD(a_thousand_at_once_are_taken_and_no_more),
        IN_A_WORLD(refusals_have_their_status),
        IN_A_WORLD(a_plan_tells_and_keeps_nothing),
        IN_A_WORLD(a_document_is_validated_bare_and_wrapped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
