/* Tests of policy/workflow: the arena, problems, kinds, engines, and the graph:
 * ids, order, circles, inputs, at the sizes that the limits allow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "policy/workflow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct workflow *wf;
static struct problems problems;

static int set_up(void **state)
{
    (void)state;
    wf = workflow_new();
    wf->name = workflow_strdup(wf, "test");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    workflow_free(&wf);
    problems_clear(&problems);
    return 0;
}

/* Nodes n0, n1, ... of one kind. */
static void make_nodes(const char *kind, size_t count)
{
    wf->nodes = workflow_alloc(wf, count * sizeof *wf->nodes);
    wf->node_count = count;
    for (size_t i = 0; i < count; i++) {
        char id[32];
        char pointer[48];
        snprintf(id, sizeof id, "n%zu", i);
        snprintf(pointer, sizeof pointer, "/nodes/%zu", i);
        wf->nodes[i].id = workflow_strdup(wf, id);
        wf->nodes[i].pointer = workflow_strdup(wf, pointer);
        wf->nodes[i].kind = node_kind_find(kind);
    }
}

static void make_room_for_edges(size_t count)
{
    wf->edges = workflow_alloc(wf, count * sizeof *wf->edges);
    wf->edge_count = 0;
}

static void connect(uint32_t source, uint32_t target)
{
    wf->edges[wf->edge_count++] =
        (struct edge){.source = source, .target = target};
}

static void validate(void)
{
    problems_clear(&problems);
    assert_int_equal(workflow_validate(wf, &workflow_limits_default, &problems),
                     0);
}

static void expect_problem(size_t i, const char *pointer, const char *code)
{
    assert_true(i < problems.count);
    assert_string_equal(problems.items[i].pointer, pointer);
    assert_string_equal(problems.items[i].code, code);
}

/* ---- memory ---- */

static void memory_is_zeroed_aligned_and_freed_together(void **state)
{
    (void)state;
    for (size_t bytes = 1; bytes < 40000; bytes = bytes * 3 + 1) {
        char *memory = workflow_alloc(wf, bytes);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % _Alignof(max_align_t), 0);
        for (size_t i = 0; i < bytes; i++)
            assert_int_equal(memory[i], 0);
        memset(memory, 0xff, bytes);
    }
    struct workflow *none = NULL;
    workflow_free(&none);
    workflow_free(&wf);
    assert_null(wf);
}

static void an_impossible_size_is_refused(void **state)
{
    (void)state;
    assert_null(workflow_alloc(wf, SIZE_MAX));
    assert_null(workflow_alloc(wf, SIZE_MAX / 2 + 1));
}

/* ---- problems ---- */

static void more_problems_than_are_kept_are_counted(void **state)
{
    (void)state;
    assert_false(problems_any(&problems));
    for (int i = 0; i < PROBLEMS_MAX + 7; i++)
        problems_add(&problems, "/x", "code", "number %d", i);
    assert_int_equal(problems.count, PROBLEMS_MAX);
    assert_int_equal(problems.dropped, 7);
    assert_true(problems_any(&problems));
    problems_clear(&problems);
    assert_false(problems_any(&problems));
    assert_null(problems.items);
}

static void details_are_clean_whatever_is_quoted(void **state)
{
    (void)state;
    problems_add(&problems, "", "c", "a\x1b[2Jb\nc\x7f");
    assert_string_equal(problems.items[0].detail, "a?[2Jb?c?");
    problems_add(&problems, "", "c", "%.3s|", "ab\xc3\xa9"); /* cut in two */
    assert_string_equal(problems.items[1].detail, "ab|");
    problems_add(&problems, "", "c", "\xed\xa0\x80\xf5\xc0\x80 \xe2\x82\xac");
    assert_string_equal(problems.items[2].detail, " \xe2\x82\xac");
    problems_add(&problems, "", "c",
                 "\xc2\x9b"
                 "2J"); /* C1 control */
    assert_string_equal(problems.items[3].detail, "?2J");
}

static void long_details_and_pointers_are_bounded(void **state)
{
    char *detail = malloc(5000);
    char pointer[5000];
    (void)state;
    assert_non_null(detail);
    memset(detail, 'x', 4999);
    detail[4999] = '\0';
    memset(pointer, 'p', sizeof pointer - 1);
    memcpy(pointer, "/nodes/", 7);
    pointer[sizeof pointer - 1] = '\0';
    problems_add(&problems, pointer, "c", "%s", detail);
    assert_true(strlen(problems.items[0].detail) < PROBLEM_DETAIL_MAX);
    assert_string_equal(problems.items[0].pointer, "/nodes");
    free(detail);
}

/* ---- kinds and engines ---- */

static void kinds_are_found_by_name_and_alias(void **state)
{
    size_t count;
    const struct node_kind *kinds = node_kinds(&count);
    (void)state;
    for (size_t i = 0; i < count; i++)
        assert_ptr_equal(node_kind_find(kinds[i].name), &kinds[i]);
    assert_string_equal(node_kind_find("expression")->name, "map");
    assert_string_equal(node_kind_find("group")->name, "aggregate");
    assert_null(node_kind_find("teleport"));
    assert_null(node_kind_find(""));
}

static void connectors_belong_to_engines(void **state)
{
    static const char *const pairs[][2] = {
        {"postgresql", "postgresql"},
        {"Timescale", "postgresql"},
        {"supabase", "postgresql"},
        {"cockroach-db-aws", "postgresql"},
        {"YugaByte", "postgresql"},
        {"Amazon Aurora PostgreSQL", "postgresql"},
        {"azure-postgresql", "postgresql"},
        {"mysql", "mysql"},
        {"aurora-mysql", "mysql"},
        {"mariadb", "mysql"},
        {"SingleStore", "singlestore"},
        {"snowflake", "snowflake"},
        {"SQL Server", "sql-server"},
        {"sql_server", "sql-server"},
        {"azure-sql-server", "sql-server"},
        {"amazon-redshift", "redshift"},
        {"oracle", "oracle"},
        {"sqlite3", "sqlite"},
        {"Some New DB", "some-new-db"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        assert_string_equal(engine_of_connector(wf, pairs[i][0]), pairs[i][1]);
    assert_true(engine_is_built_in("postgresql"));
    assert_true(engine_is_built_in("sqlite"));
    assert_false(engine_is_built_in("mysql"));
    assert_true(engine_is_known("mysql"));
    assert_false(engine_is_known("some-new-db"));
}

static void requirements_are_sorted_and_unique(void **state)
{
    const char *const *names;
    size_t count;
    (void)state;
    make_nodes("extract", 4);
    wf->nodes[0].engine = "mysql";
    wf->nodes[1].engine = "mysql";
    wf->nodes[2].engine = "postgresql";
    wf->nodes[3].kind = node_kind_find("command");
    wf->nodes[0].connection = "shop";
    wf->nodes[1].connection = "shop";
    wf->nodes[2].connection = "mart";
    assert_int_equal(workflow_requires(wf, &names, &count), 0);
    assert_int_equal(count, 5);
    assert_string_equal(names[0], "connection:mart");
    assert_string_equal(names[1], "connection:shop");
    assert_string_equal(names[2], "engine:mysql");
    assert_string_equal(names[3], "kind:command");
    assert_string_equal(names[4], "kind:extract");
}

static void a_workflow_is_repeatable_when_every_node_is(void **state)
{
    (void)state;
    make_nodes("command", 2);
    wf->nodes[0].repeatable = true;
    assert_false(workflow_repeatable(wf));
    wf->nodes[1].repeatable = true;
    assert_true(workflow_repeatable(wf));
}

/* ---- the graph ---- */

static void a_workflow_needs_nodes_and_a_name(void **state)
{
    (void)state;
    wf->name = NULL;
    validate();
    expect_problem(0, "", "empty_name");
    expect_problem(1, "", "no_nodes");
    assert_int_equal(problems.count, 2);
}

static void a_name_has_a_longest_length(void **state)
{
    (void)state;
    make_nodes("command", 1);
    wf->name = workflow_alloc(wf, WORKFLOW_NAME_MAX + 2);
    memset(wf->name, 'n', WORKFLOW_NAME_MAX);
    validate();
    assert_false(problems_any(&problems));
    wf->name[WORKFLOW_NAME_MAX] = 'n';
    validate();
    expect_problem(0, "", "too_long");
}

static void order_puts_parents_first_and_else_follows_the_document(void **state)
{
    (void)state;
    make_nodes("command", 5);
    make_room_for_edges(3);
    connect(4, 1);
    connect(1, 0);
    connect(4, 0);
    validate();
    const uint32_t expected[] = {2, 3, 4, 1, 0};
    assert_memory_equal(wf->order, expected, sizeof expected);
}

static void a_document_in_order_keeps_its_order(void **state)
{
    (void)state;
    make_nodes("command", 1000);
    make_room_for_edges(2000);
    for (uint32_t i = 1; i < 1000; i++) {
        connect(i / 2, i);
        connect(i - 1, i);
    }
    validate();
    assert_false(problems_any(&problems));
    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(wf->order[i], i);
}

static void repeated_edges_count_once(void **state)
{
    (void)state;
    make_nodes("command", 3);
    make_room_for_edges(5);
    connect(0, 2);
    connect(1, 2);
    connect(0, 2);
    connect(0, 1);
    connect(1, 2);
    validate();
    assert_false(problems_any(&problems));
    assert_int_equal(wf->edge_count, 3);
    assert_int_equal(wf->edges[0].source, 0);
    assert_int_equal(wf->edges[1].source, 1);
    assert_int_equal(wf->edges[2].target, 1);
}

static void every_repeated_id_is_reported_in_document_order(void **state)
{
    (void)state;
    make_nodes("command", 5);
    wf->nodes[1].id = wf->nodes[4].id;
    wf->nodes[2].id = wf->nodes[0].id;
    wf->nodes[3].id = wf->nodes[0].id;
    validate();
    assert_int_equal(problems.count, 3);
    expect_problem(0, "/nodes/2", "duplicate_id");
    expect_problem(1, "/nodes/3", "duplicate_id");
    expect_problem(2, "/nodes/4", "duplicate_id");
    assert_non_null(strstr(problems.items[1].detail, "/nodes/0"));
}

static void circles_are_reported_with_their_path(void **state)
{
    (void)state;
    make_nodes("command", 7);
    make_room_for_edges(8);
    connect(0, 1);
    connect(1, 2);
    connect(2, 1);
    connect(3, 4);
    connect(4, 5);
    connect(5, 3);
    connect(6, 6);
    connect(2, 6);
    validate();
    assert_null(wf->order);
    assert_int_equal(problems.count, 3);
    expect_problem(0, "/nodes/1", "cycle");
    assert_non_null(strstr(problems.items[0].detail, "n1 -> n2 -> n1"));
    expect_problem(1, "/nodes/6", "cycle");
    assert_non_null(strstr(problems.items[1].detail, "n6 -> n6"));
    expect_problem(2, "/nodes/3", "cycle");
    assert_non_null(strstr(problems.items[2].detail, "n3 -> n4 -> n5 -> n3"));
}

static void a_diamond_is_no_circle(void **state)
{
    (void)state;
    make_nodes("command", 4);
    make_room_for_edges(4);
    connect(0, 1);
    connect(0, 2);
    connect(1, 3);
    connect(2, 3);
    validate();
    assert_false(problems_any(&problems));
}

static void a_long_circle_is_shown_without_its_middle(void **state)
{
    (void)state;
    make_nodes("command", WORKFLOW_NODES_MAX);
    make_room_for_edges(WORKFLOW_NODES_MAX);
    for (uint32_t i = 0; i < WORKFLOW_NODES_MAX; i++)
        connect(i, (i + 1) % WORKFLOW_NODES_MAX);
    validate();
    assert_int_equal(problems.count, 1);
    assert_non_null(
        strstr(problems.items[0].detail, "n5 -> ... (9988 more) -> n9994 ->"));
    assert_non_null(strstr(problems.items[0].detail, "n9999 -> n0;"));
}

static void ten_thousand_nodes_in_a_chain_are_fine(void **state)
{
    (void)state;
    make_nodes("command", WORKFLOW_NODES_MAX);
    make_room_for_edges(WORKFLOW_NODES_MAX);
    /* Last to first, so that the order is the reverse of the document's. */
    for (uint32_t i = 1; i < WORKFLOW_NODES_MAX; i++)
        connect(i, i - 1);
    validate();
    assert_false(problems_any(&problems));
    assert_int_equal(wf->order[0], WORKFLOW_NODES_MAX - 1);
    assert_int_equal(wf->order[WORKFLOW_NODES_MAX - 1], 0);
}

static void one_node_more_is_refused(void **state)
{
    (void)state;
    make_nodes("command", WORKFLOW_NODES_MAX + 1);
    validate();
    expect_problem(0, "", "too_many_nodes");
    assert_null(wf->order);
}

static void a_hundred_thousand_edges_are_fine_and_one_more_is_not(void **state)
{
    (void)state;
    make_nodes("command", 1000);
    make_room_for_edges(WORKFLOW_EDGES_MAX + 1);
    for (uint32_t source = 0; wf->edge_count < WORKFLOW_EDGES_MAX; source++)
        for (uint32_t step = 1; step <= 200; step++)
            if (source + step < 1000 && wf->edge_count < WORKFLOW_EDGES_MAX)
                connect(source, source + step);
    validate();
    assert_false(problems_any(&problems));
    assert_int_equal(wf->edge_count, WORKFLOW_EDGES_MAX);
    connect(0, 999);
    validate();
    expect_problem(0, "", "too_many_edges");
}

static void links_list_edges_in_document_order(void **state)
{
    struct workflow_links parents;
    struct workflow_links children;
    (void)state;
    make_nodes("command", 4);
    make_room_for_edges(4);
    connect(2, 3);
    connect(0, 3);
    connect(0, 1);
    connect(1, 3);
    assert_int_equal(workflow_links(wf, SIDE_PARENTS, &parents), 0);
    assert_int_equal(workflow_links(wf, SIDE_CHILDREN, &children), 0);
    const uint32_t first[] = {0, 0, 1, 1, 4};
    const uint32_t edges[] = {2, 0, 1, 3};
    assert_memory_equal(parents.first, first, sizeof first);
    assert_memory_equal(parents.edges, edges, sizeof edges);
    const uint32_t out_first[] = {0, 2, 3, 4, 4};
    const uint32_t out_edges[] = {1, 2, 3, 0};
    assert_memory_equal(children.first, out_first, sizeof out_first);
    assert_memory_equal(children.edges, out_edges, sizeof out_edges);
    workflow_links_free(&parents);
    workflow_links_free(&children);
}

static void ids_are_found_and_strangers_are_not(void **state)
{
    const uint32_t *sorted;
    uint32_t node;
    (void)state;
    make_nodes("command", 500);
    assert_int_equal(workflow_sort_ids(wf, &sorted), 0);
    for (uint32_t i = 0; i < 500; i++) {
        assert_true(workflow_find(wf, sorted, wf->nodes[i].id, &node));
        assert_int_equal(node, i);
    }
    assert_false(workflow_find(wf, sorted, "n500", &node));
    assert_false(workflow_find(wf, sorted, "", &node));
    assert_false(workflow_find(wf, sorted, "zzz", &node));
}

/* ---- inputs ---- */

static void a_join_needs_two_inputs(void **state)
{
    (void)state;
    make_nodes("extract", 4);
    wf->nodes[3].kind = node_kind_find("join");
    make_room_for_edges(3);
    connect(0, 3);
    validate();
    expect_problem(0, "/nodes/3", "wrong_inputs");
    connect(1, 3);
    validate();
    assert_false(problems_any(&problems));
    connect(2, 3);
    validate();
    expect_problem(0, "/nodes/3", "wrong_inputs");
}

static void a_command_before_a_filter_is_not_its_input(void **state)
{
    (void)state;
    make_nodes("command", 3);
    wf->nodes[1].kind = node_kind_find("filter");
    make_room_for_edges(2);
    connect(0, 1);
    validate();
    expect_problem(0, "/nodes/1", "wrong_inputs");
    wf->nodes[2].kind = node_kind_find("extract");
    connect(2, 1);
    validate();
    assert_false(problems_any(&problems));
}

static void a_load_can_be_read(void **state)
{
    (void)state;
    make_nodes("load", 3);
    wf->nodes[0].kind = node_kind_find("extract");
    wf->nodes[2].kind = node_kind_find("filter");
    make_room_for_edges(2);
    connect(0, 1);
    connect(1, 2);
    validate();
    assert_false(problems_any(&problems));
}

static void inputs_of_an_incomplete_graph_are_not_counted(void **state)
{
    (void)state;
    make_nodes("filter", 1);
    wf->incomplete = true;
    validate();
    assert_false(problems_any(&problems));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(memory_is_zeroed_aligned_and_freed_together),
        TEST(an_impossible_size_is_refused),
        TEST(more_problems_than_are_kept_are_counted),
        TEST(details_are_clean_whatever_is_quoted),
        TEST(long_details_and_pointers_are_bounded),
        TEST(kinds_are_found_by_name_and_alias),
        TEST(connectors_belong_to_engines),
        TEST(requirements_are_sorted_and_unique),
        TEST(a_workflow_is_repeatable_when_every_node_is),
        TEST(a_workflow_needs_nodes_and_a_name),
        TEST(a_name_has_a_longest_length),
        TEST(order_puts_parents_first_and_else_follows_the_document),
        TEST(a_document_in_order_keeps_its_order),
        TEST(repeated_edges_count_once),
        TEST(every_repeated_id_is_reported_in_document_order),
        TEST(circles_are_reported_with_their_path),
        TEST(a_diamond_is_no_circle),
        TEST(a_long_circle_is_shown_without_its_middle),
        TEST(ten_thousand_nodes_in_a_chain_are_fine),
        TEST(one_node_more_is_refused),
        TEST(a_hundred_thousand_edges_are_fine_and_one_more_is_not),
        TEST(links_list_edges_in_document_order),
        TEST(ids_are_found_and_strangers_are_not),
        TEST(a_join_needs_two_inputs),
        TEST(a_command_before_a_filter_is_not_its_input),
        TEST(a_load_can_be_read),
        TEST(inputs_of_an_incomplete_graph_are_not_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
