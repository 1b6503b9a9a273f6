/* Tests of policy/classify: rules in order, and what they say about it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "policy/classify.h"

#include <errno.h>
#include <string.h>

#define GIB ((int64_t)1 << 30)

static const struct features nothing = {.nodes = 1, .size_bytes = -1};

static struct classification decide(const struct features *features)
{
    struct classification decided;
    assert_int_equal(classify(features, &ruleset_default, &decided), 0);
    return decided;
}

static void expect(const struct features *features, const char *rule,
                   const char *pool, const char *why)
{
    struct classification decided = decide(features);
    assert_string_equal(decided.rule, rule);
    assert_string_equal(decided.pool, pool);
    assert_string_equal(decided.why, why);
}

static void a_small_workflow_goes_to_default(void **state)
{
    (void)state;
    expect(&nothing, "small", "default", "no earlier rule matched");
}

static void ten_nodes_are_small_and_eleven_are_large(void **state)
{
    struct features features = nothing;
    (void)state;
    features.nodes = 10;
    expect(&features, "small", "default", "no earlier rule matched");
    features.nodes = 11;
    expect(&features, "large", "high-memory", "nodes 11 > 10");
}

static void a_gibibyte_is_large_and_a_byte_less_is_not(void **state)
{
    struct features features = nothing;
    (void)state;
    features.size_source = SIZE_DECLARED;
    features.size_bytes = GIB - 1;
    expect(&features, "small", "default", "no earlier rule matched");
    features.size_bytes = GIB;
    expect(&features, "large", "high-memory",
           "size 1.0 GiB >= 1.0 GiB (declared)");
    features.size_bytes = 3 * GIB;
    features.size_source = SIZE_MEASURED;
    expect(&features, "large", "high-memory",
           "size 3.0 GiB >= 1.0 GiB (measured)");
}

static void an_unknown_size_matches_no_size_rule(void **state)
{
    const struct rule any_size = {.name = "sized",
                                  .pool = "p",
                                  .nodes_over = -1,
                                  .db_nodes_over = -1,
                                  .transforms_over = -1,
                                  .size_at_least = 0};
    const struct ruleset rules = {&any_size, 1};
    struct classification decided;
    (void)state;
    assert_int_equal(classify(&nothing, &rules, &decided), -ENOENT);
}

static void databases_and_transforms_make_etl(void **state)
{
    struct features features = nothing;
    (void)state;
    features.db_nodes = 2;
    features.transforms = 3;
    expect(&features, "small", "default", "no earlier rule matched");
    features.db_nodes = 3;
    expect(&features, "etl", "etl", "db_nodes 3 > 2");
    features.transforms = 4;
    expect(&features, "etl", "etl", "db_nodes 3 > 2, transforms 4 > 3");
}

static void tags_are_compared_whole_and_without_case(void **state)
{
    const char *const tags[] = {"nightly", "ML"};
    const char *const longer[] = {"html", "ml-like", "my etl"};
    struct features features = nothing;
    (void)state;
    features.tags = tags;
    features.tag_count = 2;
    expect(&features, "large", "high-memory", "tagged ml");
    features.tags = longer;
    features.tag_count = 3;
    expect(&features, "small", "default", "no earlier rule matched");
}

static void the_first_rule_that_matches_wins(void **state)
{
    const char *const tags[] = {"etl"};
    struct features features = nothing;
    (void)state;
    features.tags = tags;
    features.tag_count = 1;
    expect(&features, "etl", "etl", "tagged etl");
    features.nodes = 12;
    expect(&features, "large", "high-memory", "nodes 12 > 10");
}

static void a_requested_pool_is_a_rule_of_its_own(void **state)
{
    struct features features = nothing;
    (void)state;
    features.nodes = 500;
    features.requested_pool = "etl";
    expect(&features, "requested", "etl", "the caller asked for etl");
}

static void without_a_last_rule_nothing_may_match(void **state)
{
    const struct ruleset no_catch_all = {ruleset_default.rules, 2};
    struct classification decided = {.rule = "untouched"};
    (void)state;
    assert_int_equal(classify(&nothing, &no_catch_all, &decided), -ENOENT);
    assert_string_equal(decided.rule, "untouched");
}

static void a_long_reason_is_cut_at_a_whole_character(void **state)
{
    /* 50 two-byte characters a tag; four of them do not fit. */
    char tag[101] = "";
    for (size_t i = 0; i < 50; i++)
        memcpy(tag + 2 * i, "\xc3\xa9", 3);
    struct rule rule = {.name = "r",
                        .pool = "p",
                        .nodes_over = -1,
                        .db_nodes_over = -1,
                        .transforms_over = -1,
                        .size_at_least = -1,
                        .tags_any = {tag, tag, tag, tag},
                        .tag_count = 4};
    const char *const tags[] = {tag};
    const struct ruleset rules = {&rule, 1};
    struct features features = nothing;
    struct classification decided;
    (void)state;
    features.tags = tags;
    features.tag_count = 1;
    assert_int_equal(classify(&features, &rules, &decided), 0);
    size_t bytes = strlen(decided.why);
    assert_in_range(bytes, CLASSIFY_WHY_MAX - 3, CLASSIFY_WHY_MAX - 1);
    assert_memory_equal(decided.why + bytes - 2, "\xc3\xa9", 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_workflow_goes_to_default),
        cmocka_unit_test(ten_nodes_are_small_and_eleven_are_large),
        cmocka_unit_test(a_gibibyte_is_large_and_a_byte_less_is_not),
        cmocka_unit_test(an_unknown_size_matches_no_size_rule),
        cmocka_unit_test(databases_and_transforms_make_etl),
        cmocka_unit_test(tags_are_compared_whole_and_without_case),
        cmocka_unit_test(the_first_rule_that_matches_wins),
        cmocka_unit_test(a_requested_pool_is_a_rule_of_its_own),
        cmocka_unit_test(without_a_last_rule_nothing_may_match),
        cmocka_unit_test(a_long_reason_is_cut_at_a_whole_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
