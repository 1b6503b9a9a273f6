/* Covers agents/plan.c and the check of executor.c: plans as they come from
 * outside, good and bad. */
#include "agents/executor.h"
#include "agents/plan.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char diamond[] =
    "{\"name\": \"d\", \"nodes\": ["
    "{\"id\": \"a\", \"kind\": \"command\", \"label\": \"first\", \"after\": "
    "[], \"timeout_s\": 1.5, \"config\": {\"argv\": [\"true\"]}},"
    "{\"id\": \"b\", \"kind\": \"command\", \"after\": [0], \"config\": "
    "{\"argv\": [\"true\"]}},"
    "{\"id\": \"c\", \"kind\": \"command\", \"after\": [0], \"config\": "
    "{\"argv\": [\"true\"]}},"
    "{\"id\": \"e\", \"kind\": \"command\", \"after\": [2, 1], \"config\": "
    "{\"argv\": [\"true\"]}}]}";

static void a_plan_has_links_both_ways(void **state)
{
    struct plan *plan;
    char why[PLAN_WHY_MAX];

    (void)state;
    assert_int_equal(plan_read(diamond, strlen(diamond), &plan, why), 0);
    assert_int_equal(plan->count, 4);
    assert_string_equal(plan->name, "d");
    assert_string_equal(plan->nodes[0].label, "first");
    assert_string_equal(plan->nodes[1].label, "b");
    assert_int_equal(plan->nodes[0].timeout_ms, 1500);
    assert_int_equal(plan->nodes[0].child_count, 2);
    assert_int_equal(plan->nodes[0].children[0], 1);
    assert_int_equal(plan->nodes[0].children[1], 2);
    assert_int_equal(plan->nodes[3].parent_count, 2);
    assert_int_equal(plan->nodes[3].parents[0], 2); /* as the plan has them */
    assert_int_equal(plan->nodes[3].parents[1], 1);
    assert_int_equal(plan->nodes[1].children[0], 3);
    assert_int_equal(executor_check(plan, why), EXECUTOR_CAN);
    plan_free(&plan);
    assert_null(plan);
}

static void every_bad_plan_is_refused_with_its_place(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "not JSON"},
        {"{\"nodes\": [", "not JSON"},
        {"[]", "/nodes"},
        {"{\"nodes\": {}}", "/nodes"},
        {"{\"nodes\": []}", "/nodes"},
        {"{\"nodes\": [1]}", "/nodes/0 "},
        {"{\"nodes\": [{\"kind\": \"command\", \"config\": {}}]}",
         "/nodes/0/id"},
        {"{\"nodes\": [{\"id\": \"\", \"kind\": \"k\", \"config\": {}}]}",
         "/nodes/0/id"},
        {"{\"nodes\": [{\"id\": \"a\", \"config\": {}}]}", "/nodes/0/kind"},
        {"{\"nodes\": [{\"id\": \"a\", \"kind\": \"k\"}]}", "/nodes/0/config"},
        {"{\"nodes\": [{\"id\": \"a\", \"kind\": \"k\", \"config\": {}, "
         "\"timeout_s\": -1}]}",
         "/nodes/0/timeout_s"},
        {"{\"nodes\": [{\"id\": \"a\", \"kind\": \"k\", \"config\": {}, "
         "\"timeout_s\": \"9\"}]}",
         "/nodes/0/timeout_s"},
        {"{\"nodes\": [{\"id\": \"a\", \"kind\": \"k\", \"config\": {}, "
         "\"after\": [0]}]}",
         "/nodes/0/after/0"},
        {"{\"nodes\": [{\"id\": \"a\", \"kind\": \"k\", \"config\": {}, "
         "\"after\": [-1]}]}",
         "/nodes/0/after/0"},
        {"{\"nodes\": [{\"id\": \"a\", \"kind\": \"k\", \"config\": {}, "
         "\"after\": 3}]}",
         "/nodes/0/after"},
        {"{\"nodes\": [{\"id\": \"a\", \"kind\": \"k\", \"config\": {}}, "
         "{\"id\": \"b\", \"kind\": \"k\", \"config\": {}, \"after\": [0, "
         "0]}]}",
         "/nodes/1/after"},
        {"{\"nodes\": [{\"id\": \"a\", \"kind\": \"k\", \"config\": {}}, "
         "{\"id\": \"a\", \"kind\": \"k\", \"config\": {}}]}",
         "used twice"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct plan *plan = NULL;
        char why[PLAN_WHY_MAX];
        assert_int_equal(
            plan_read(cases[i].text, strlen(cases[i].text), &plan, why),
            -EINVAL);
        assert_null(plan);
        if (!strstr(why, cases[i].says))
            fail_msg("\"%s\" does not say \"%s\"", why, cases[i].says);
    }
}

static void too_many_nodes_are_refused(void **state)
{
    char *text = malloc((size_t)100 * (PLAN_NODES_MAX + 2)), *at = text;
    struct plan *plan = NULL;
    char why[PLAN_WHY_MAX];

    (void)state;
    at += sprintf(at, "{\"nodes\": [");
    for (int i = 0; i <= PLAN_NODES_MAX; i++)
        at +=
            sprintf(at, "%s{\"id\": \"n%d\", \"kind\": \"k\", \"config\": {}}",
                    i ? "," : "", i);
    sprintf(at, "]}");
    assert_int_equal(plan_read(text, strlen(text), &plan, why), -EINVAL);
    free(text);
}

static void a_chain_of_ten_thousand_nodes_is_read(void **state)
{
    char *text = malloc((size_t)120 * PLAN_NODES_MAX), *at = text;
    struct plan *plan = NULL;
    char why[PLAN_WHY_MAX];

    (void)state;
    at += sprintf(at, "{\"nodes\": [{\"id\": \"n0\", \"kind\": \"k\", "
                      "\"config\": {}}");
    for (int i = 1; i < PLAN_NODES_MAX; i++)
        at += sprintf(at,
                      ",{\"id\": \"n%d\", \"kind\": \"k\", \"config\": {}, "
                      "\"after\": [%d]}",
                      i, i - 1);
    sprintf(at, "]}");
    assert_int_equal(plan_read(text, strlen(text), &plan, why), 0);
    assert_int_equal(plan->nodes[PLAN_NODES_MAX - 1].parents[0],
                     PLAN_NODES_MAX - 2);
    plan_free(&plan);
    free(text);
}

/* Deterministic damage: every prefix, and every byte replaced. */
static void a_damaged_plan_never_does_more_than_fail(void **state)
{
    char why[PLAN_WHY_MAX], copy[sizeof diamond];

    (void)state;
    for (size_t len = 0; len < strlen(diamond); len++) {
        struct plan *plan = NULL;
        assert_int_equal(plan_read(diamond, len, &plan, why), -EINVAL);
    }
    for (size_t i = 0; i < strlen(diamond); i++) {
        for (size_t k = 0; k < 8; k++) {
            struct plan *plan = NULL;
            memcpy(copy, diamond, sizeof copy);
            copy[i] = "\"{}[],0\xff"[k];
            if (plan_read(copy, strlen(copy), &plan, why) == 0)
                executor_check(plan, why);
            plan_free(&plan);
        }
    }
}

static enum executor_answer check_node(const char *kind, const char *config,
                                       char why[PLAN_WHY_MAX])
{
    char text[1024];
    struct plan *plan;

    snprintf(text, sizeof text,
             "{\"nodes\": [{\"id\": \"x\", \"kind\": \"%s\", \"config\": "
             "%s}]}",
             kind, config);
    assert_int_equal(plan_read(text, strlen(text), &plan, why), 0);
    enum executor_answer answer = executor_check(plan, why);
    plan_free(&plan);
    return answer;
}

static void configurations_are_checked_before_anything_starts(void **state)
{
    static const struct {
        const char *kind, *config;
        enum executor_answer answer;
    } cases[] = {
        {"command", "{\"argv\": [\"a\", \"\"]}", EXECUTOR_CAN},
        {"command",
         "{\"argv\": [\"a\"], \"env\": {\"A\": \"b\"}, \"cwd\": "
         "\"x\"}",
         EXECUTOR_CAN},
        {"command", "{\"argv\": []}", EXECUTOR_BAD_PLAN},
        {"command", "{\"argv\": [\"\"]}", EXECUTOR_BAD_PLAN},
        {"command", "{\"argv\": \"a b\"}", EXECUTOR_BAD_PLAN},
        {"command", "{\"argv\": [1]}", EXECUTOR_BAD_PLAN},
        {"command", "{\"argv\": [\"a\"], \"env\": []}", EXECUTOR_BAD_PLAN},
        {"command", "{\"argv\": [\"a\"], \"env\": {\"A=\": \"b\"}}",
         EXECUTOR_BAD_PLAN},
        {"command", "{\"argv\": [\"a\"], \"env\": {\"A\": 1}}",
         EXECUTOR_BAD_PLAN},
        {"command", "{\"argv\": [\"a\"], \"cwd\": 1}", EXECUTOR_BAD_PLAN},
        {"http", "{\"url\": \"https://example.org/\"}", EXECUTOR_CAN},
        {"http", "{\"url\": \"http://x\", \"expect_status\": [200, 404]}",
         EXECUTOR_CAN},
        {"http", "{}", EXECUTOR_BAD_PLAN},
        {"http", "{\"url\": \"file:///etc/passwd\"}", EXECUTOR_BAD_PLAN},
        {"http", "{\"url\": \"http://x\", \"method\": \"GET /\\r\\n\"}",
         EXECUTOR_BAD_PLAN},
        {"http",
         "{\"url\": \"http://x\", \"headers\": {\"A\": "
         "\"b\\r\\nC: d\"}}",
         EXECUTOR_BAD_PLAN},
        {"http", "{\"url\": \"http://x\", \"headers\": {\"A B\": \"b\"}}",
         EXECUTOR_BAD_PLAN},
        {"http", "{\"url\": \"http://x\", \"expect_status\": []}",
         EXECUTOR_BAD_PLAN},
        {"http", "{\"url\": \"http://x\", \"expect_status\": \"200\"}",
         EXECUTOR_BAD_PLAN},
        {"magic", "{}", EXECUTOR_NOT_CAPABLE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char why[PLAN_WHY_MAX] = "";
        enum executor_answer answer =
            check_node(cases[i].kind, cases[i].config, why);
        if (answer != cases[i].answer)
            fail_msg("%s: %d, %s", cases[i].config, (int)answer, why);
        if (answer != EXECUTOR_CAN)
            assert_non_null(strstr(why, "node \"x\""));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plan_has_links_both_ways),
        cmocka_unit_test(every_bad_plan_is_refused_with_its_place),
        cmocka_unit_test(too_many_nodes_are_refused),
        cmocka_unit_test(a_chain_of_ten_thousand_nodes_is_read),
        cmocka_unit_test(a_damaged_plan_never_does_more_than_fail),
        cmocka_unit_test(configurations_are_checked_before_anything_starts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
