/* Tests of policy/features: what is counted, and which size wins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "policy/features.h"
#include "policy/workflow_json.h"

#include <string.h>

static struct workflow *read_text(const char *text)
{
    struct workflow *wf = NULL;
    struct problems problems = {0};
    assert_int_equal(workflow_from_text(text, strlen(text),
                                        &workflow_limits_default, &wf,
                                        &problems),
                     0);
    return wf;
}

static const char mixed[] =
    "{\"name\":\"high-memory etl\",\"tags\":[\"nightly\"],\"nodes\":["
    "{\"id\":\"c\",\"kind\":\"command\",\"argv\":[\"true\"]},"
    "{\"id\":\"e\",\"kind\":\"extract\",\"connection\":\"a\",\"table\":\"high-"
    "memory\",\"size_bytes\":700},"
    "{\"id\":\"s\",\"kind\":\"csv_read\",\"path\":\"p\",\"size_bytes\":300},"
    "{\"id\":\"u\",\"kind\":\"union\"},"
    "{\"id\":\"f\",\"kind\":\"filter\",\"where\":\"x\"},"
    "{\"id\":\"l\",\"kind\":\"load\",\"connection\":\"a\",\"table\":\"t\"}],"
    "\"edges\":[{\"source\":\"e\",\"target\":\"u\"},"
    "{\"source\":\"s\",\"target\":\"u\"},{\"source\":\"u\",\"target\":\"f\"},"
    "{\"source\":\"f\",\"target\":\"l\"}]}";

static void nodes_are_counted_by_their_class(void **state)
{
    struct workflow *wf = read_text(mixed);
    struct features features;
    (void)state;
    assert_int_equal(features_of(wf, -1, NULL, 0, NULL, &features), 0);
    assert_int_equal(features.nodes, 6);
    assert_int_equal(features.db_nodes, 2);
    assert_int_equal(features.transforms, 2);
    assert_null(features.requested_pool);
    workflow_free(&wf);
}

static void sizes_of_sources_add_up(void **state)
{
    struct workflow *wf = read_text(mixed);
    struct features features;
    (void)state;
    assert_int_equal(features_of(wf, -1, NULL, 0, NULL, &features), 0);
    assert_int_equal(features.size_bytes, 1000);
    assert_int_equal(features.size_source, SIZE_DECLARED);
    workflow_free(&wf);
}

static void the_callers_size_wins(void **state)
{
    struct workflow *wf = read_text(mixed);
    struct features features;
    (void)state;
    assert_int_equal(features_of(wf, 0, NULL, 0, NULL, &features), 0);
    assert_int_equal(features.size_bytes, 0);
    assert_int_equal(features.size_source, SIZE_DECLARED);
    workflow_free(&wf);
}

static void without_any_declaration_the_size_is_unknown(void **state)
{
    struct workflow *wf = read_text(
        "{\"name\":\"n\",\"nodes\":[{\"id\":\"c\",\"kind\":\"command\","
        "\"argv\":[\"true\"]}]}");
    struct features features;
    (void)state;
    assert_int_equal(features_of(wf, -1, NULL, 0, NULL, &features), 0);
    assert_int_equal(features.size_bytes, -1);
    assert_int_equal(features.size_source, SIZE_UNKNOWN);
    assert_int_equal(features.tag_count, 0);
    workflow_free(&wf);
}

static void the_callers_tags_join_the_documents(void **state)
{
    struct workflow *wf = read_text(mixed);
    struct features features;
    char extra[] = "ml";
    const char *const tags[] = {extra};
    (void)state;
    assert_int_equal(features_of(wf, -1, tags, 1, "etl", &features), 0);
    memset(extra, 'x', 2); /* copied, not borrowed */
    assert_int_equal(features.tag_count, 2);
    assert_string_equal(features.tags[0], "nightly");
    assert_string_equal(features.tags[1], "ml");
    assert_string_equal(features.requested_pool, "etl");
    workflow_free(&wf);
}

static void what_is_better_known_wins_in_any_order(void **state)
{
    struct features features = {.size_bytes = -1};
    (void)state;
    assert_true(features_learn_size(&features, 5, SIZE_ESTIMATED));
    assert_true(features_learn_size(&features, 7, SIZE_MEASURED));
    assert_false(features_learn_size(&features, 9, SIZE_ESTIMATED));
    assert_int_equal(features.size_bytes, 7);
    assert_int_equal(features.size_source, SIZE_MEASURED);
}

static void a_declared_size_is_not_learned_over(void **state)
{
    struct workflow *wf = read_text(mixed);
    struct features features;
    (void)state;
    assert_int_equal(features_of(wf, -1, NULL, 0, NULL, &features), 0);
    assert_false(features_learn_size(&features, 7, SIZE_MEASURED));
    assert_false(features_learn_size(&features, 9, SIZE_ESTIMATED));
    assert_int_equal(features.size_bytes, 1000);
    assert_int_equal(features.size_source, SIZE_DECLARED);
    workflow_free(&wf);
}

static void nothing_is_learned_of_what_is_not_known(void **state)
{
    struct features features = {.size_bytes = -1};
    (void)state;
    assert_false(features_learn_size(&features, -1, SIZE_MEASURED));
    assert_false(features_learn_size(&features, 1, SIZE_UNKNOWN));
    assert_int_equal(features.size_source, SIZE_UNKNOWN);
    assert_int_equal(features.size_bytes, -1);
}

static void no_bytes_at_all_is_a_size(void **state)
{
    struct features features = {.size_bytes = -1};
    (void)state;
    assert_true(features_learn_size(&features, 0, SIZE_MEASURED));
    assert_int_equal(features.size_bytes, 0);
    assert_int_equal(features.size_source, SIZE_MEASURED);
}

static void sources_are_the_kinds_that_bring_rows_in(void **state)
{
    static const char *const sources[] = {"extract", "csv_read", "jsonl_read"};
    const struct node_kind *kinds;
    size_t count, found = 0;
    (void)state;
    kinds = node_kinds(&count);
    for (size_t i = 0; i < count; i++)
        found += node_kind_is_source(&kinds[i]);
    assert_int_equal(found, 3);
    for (size_t i = 0; i < 3; i++)
        assert_true(node_kind_is_source(node_kind_find(sources[i])));
}

static void sources_of_sizes_have_names(void **state)
{
    (void)state;
    assert_string_equal(size_source_name(SIZE_UNKNOWN), "unknown");
    assert_string_equal(size_source_name(SIZE_ESTIMATED), "estimated");
    assert_string_equal(size_source_name(SIZE_MEASURED), "measured");
    assert_string_equal(size_source_name(SIZE_DECLARED), "declared");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_are_counted_by_their_class),
        cmocka_unit_test(sizes_of_sources_add_up),
        cmocka_unit_test(the_callers_size_wins),
        cmocka_unit_test(without_any_declaration_the_size_is_unknown),
        cmocka_unit_test(the_callers_tags_join_the_documents),
        cmocka_unit_test(what_is_better_known_wins_in_any_order),
        cmocka_unit_test(a_declared_size_is_not_learned_over),
        cmocka_unit_test(nothing_is_learned_of_what_is_not_known),
        cmocka_unit_test(no_bytes_at_all_is_a_size),
        cmocka_unit_test(sources_are_the_kinds_that_bring_rows_in),
        cmocka_unit_test(sources_of_sizes_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
