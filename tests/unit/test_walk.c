/* Covers agents/walk.c: order, readiness, exact skips, against a plain second
 * opinion over random graphs. */
#include "agents/walk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TEXT_MAX = 1 << 16 };

/* links[i] lists the parents of node i: "" or "0,1". */
static struct plan *plan_of(size_t count, char (*links)[256])
{
    char *text = malloc(TEXT_MAX), *at = text, why[PLAN_WHY_MAX];
    struct plan *plan;

    at += sprintf(at, "{\"nodes\": [");
    for (size_t i = 0; i < count; i++)
        at += sprintf(at,
                      "%s{\"id\": \"n%zu\", \"kind\": \"k\", \"config\": {}, "
                      "\"after\": [%s]}",
                      i ? "," : "", i, links[i]);
    sprintf(at, "]}");
    assert_int_equal(plan_read(text, strlen(text), &plan, why), 0);
    free(text);
    return plan;
}

static void a_diamond_runs_its_branches_together_and_its_end_last(void **state)
{
    char links[4][256] = {"", "0", "0", "1,2"};
    struct plan *plan = plan_of(4, links);
    struct walk *walk = walk_new(plan);
    uint32_t node;

    (void)state;
    assert_true(walk_next(walk, &node));
    assert_int_equal(node, 0);
    assert_false(walk_next(walk, &node));
    walk_complete(walk, 0);
    assert_true(walk_next(walk, &node));
    assert_int_equal(node, 1);
    assert_true(walk_next(walk, &node));
    assert_int_equal(node, 2);
    walk_complete(walk, 2);
    assert_false(walk_next(walk, &node)); /* one parent is not enough */
    walk_complete(walk, 1);
    assert_true(walk_next(walk, &node));
    assert_int_equal(node, 3);
    assert_false(walk_done(walk));
    walk_complete(walk, 3);
    assert_true(walk_done(walk));
    assert_true(walk_all_completed(walk));
    walk_free(&walk);
    plan_free(&plan);
}

static void a_failure_skips_its_descendants_and_nothing_else(void **state)
{
    /* 0 -> 1 -> 3 -> 5; 0 -> 2 -> 4; 2 and 3 -> 6 */
    char links[7][256] = {"", "0", "0", "1", "2", "3", "2,3"};
    struct plan *plan = plan_of(7, links);
    struct walk *walk = walk_new(plan);
    const uint32_t *skipped;
    size_t count;
    uint32_t node;

    (void)state;
    walk_next(walk, &node);
    walk_complete(walk, 0);
    walk_next(walk, &node);
    walk_next(walk, &node);
    walk_fail(walk, 1, &skipped, &count);
    assert_int_equal(count, 3);
    assert_int_equal(skipped[0], 3);
    assert_int_equal(skipped[1], 5);
    assert_int_equal(skipped[2], 6);
    assert_false(walk_done(walk));
    walk_complete(walk, 2);
    assert_true(walk_next(walk, &node));
    assert_int_equal(node, 4);
    assert_false(walk_next(walk, &node));
    walk_complete(walk, 4);
    assert_true(walk_done(walk));
    assert_false(walk_all_completed(walk));
    walk_free(&walk);
    plan_free(&plan);
}

static void an_abandoned_walk_starts_nothing_more(void **state)
{
    char links[4][256] = {"", "", "0", "1"};
    struct plan *plan = plan_of(4, links);
    struct walk *walk = walk_new(plan);
    const uint32_t *cancelled;
    size_t count;
    uint32_t node;

    (void)state;
    walk_next(walk, &node);
    walk_abandon(walk, &cancelled, &count);
    assert_int_equal(count, 3);
    assert_false(walk_ready(walk));
    assert_false(walk_done(walk)); /* node 0 still runs */
    walk_complete(walk, 0);
    assert_true(walk_done(walk));
    assert_int_equal(walk_state(walk, 2), WIRE_NODE_CANCELLED);
    walk_free(&walk);
    plan_free(&plan);
}

/* Is `node` a descendant of a failed one? The plain way. */
/* NOLINTNEXTLINE(misc-no-recursion): fourteen nodes deep at most. */
static bool doomed(const struct plan *plan, const uint8_t *fails, uint32_t node)
{
    for (size_t k = 0; k < plan->nodes[node].parent_count; k++) {
        uint32_t parent = plan->nodes[node].parents[k];
        if (doomed(plan, fails, parent) || fails[parent])
            return true;
    }
    return false;
}

static void random_graphs_end_as_the_plain_rule_says(void **state)
{
    enum { NODES = 14 };
    unsigned seed = 4711;

    (void)state;
    for (int round = 0; round < 500; round++) {
        char links[NODES][256];
        uint8_t fails[NODES];
        struct wire_node_order {
            uint32_t list[NODES];
            size_t count;
        } running = {.count = 0};
        for (uint32_t i = 0; i < NODES; i++) {
            links[i][0] = '\0';
            fails[i] = rand_r(&seed) % 5 == 0;
            for (uint32_t p = 0; p < i; p++)
                if (rand_r(&seed) % 5 == 0)
                    sprintf(links[i] + strlen(links[i]), "%s%u",
                            *links[i] ? "," : "", p);
        }
        struct plan *plan = plan_of(NODES, links);
        struct walk *walk = walk_new(plan);
        while (!walk_done(walk)) {
            uint32_t node;
            while (rand_r(&seed) % 3 && walk_next(walk, &node)) {
                for (size_t k = 0; k < plan->nodes[node].parent_count; k++)
                    assert_int_equal(
                        walk_state(walk, plan->nodes[node].parents[k]),
                        WIRE_NODE_COMPLETED);
                running.list[running.count++] = node;
            }
            if (running.count == 0)
                continue;
            size_t pick = (size_t)rand_r(&seed) % running.count;
            const uint32_t *skipped;
            size_t count;
            node = running.list[pick];
            running.list[pick] = running.list[--running.count];
            if (fails[node])
                walk_fail(walk, node, &skipped, &count);
            else
                walk_complete(walk, node);
        }
        for (uint32_t i = 0; i < NODES; i++) {
            enum wire_node_state want = doomed(plan, fails, i)
                                            ? WIRE_NODE_SKIPPED
                                        : fails[i] ? WIRE_NODE_FAILED
                                                   : WIRE_NODE_COMPLETED;
            if (walk_state(walk, i) != want)
                fail_msg("round %d node %u", round, i);
        }
        walk_free(&walk);
        plan_free(&plan);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_diamond_runs_its_branches_together_and_its_end_last),
        cmocka_unit_test(a_failure_skips_its_descendants_and_nothing_else),
        cmocka_unit_test(an_abandoned_walk_starts_nothing_more),
        cmocka_unit_test(random_graphs_end_as_the_plain_rule_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
