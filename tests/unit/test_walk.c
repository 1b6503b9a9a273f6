/* Covers agents/walk.c: order, readiness, exact skips, against a plain second
 * opinion over random graphs; and agents/unit.c: what is one process. */
#include "agents/walk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TEXT_MAX = 1 << 16 };

/* A plan, its units and a walk over it. */
struct bench {
    struct plan *plan;
    struct units *units;
    struct walk *walk;
};

/* links[i] lists the parents of node i: "" or "0,1"; kinds[i] is its kind, NULL
 * for all: one that hands no rows on. */
static struct bench bench_of(size_t count, char (*links)[256],
                             const char *const *kinds)
{
    char *text = malloc(TEXT_MAX), *at = text, why[PLAN_WHY_MAX];
    struct bench b;

    at += sprintf(at, "{\"nodes\": [");
    for (size_t i = 0; i < count; i++)
        at += sprintf(at,
                      "%s{\"id\": \"n%zu\", \"kind\": \"%s\", \"config\": "
                      "{}, \"after\": [%s]}",
                      i ? "," : "", i, kinds ? kinds[i] : "command", links[i]);
    sprintf(at, "]}");
    assert_int_equal(plan_read(text, strlen(text), &b.plan, why), 0);
    free(text);
    b.units = units_of(b.plan);
    b.walk = walk_new(b.plan, b.units);
    return b;
}

static void clear(struct bench *b)
{
    walk_free(&b->walk);
    units_free(&b->units);
    plan_free(&b->plan);
}

/* For units of one node. */
static uint32_t start_next(struct bench *b)
{
    uint32_t unit;

    if (!walk_next(b->walk, &unit))
        return UINT32_MAX;
    assert_int_equal(b->units->list[unit].count, 1);
    walk_start(b->walk, b->units->list[unit].nodes[0]);
    return b->units->list[unit].nodes[0];
}

static void complete(struct bench *b, uint32_t node)
{
    walk_complete(b->walk, node);
    walk_return(b->walk, b->units->of[node]);
}

static void a_diamond_runs_its_branches_together_and_its_end_last(void **state)
{
    char links[4][256] = {"", "0", "0", "1,2"};
    struct bench b = bench_of(4, links, NULL);

    (void)state;
    assert_int_equal(start_next(&b), 0);
    assert_int_equal(start_next(&b), UINT32_MAX);
    complete(&b, 0);
    assert_int_equal(start_next(&b), 1);
    assert_int_equal(start_next(&b), 2);
    complete(&b, 2);
    assert_int_equal(start_next(&b), UINT32_MAX); /* one parent is not enough */
    complete(&b, 1);
    assert_int_equal(start_next(&b), 3);
    assert_false(walk_done(b.walk));
    complete(&b, 3);
    assert_true(walk_done(b.walk));
    assert_true(walk_all_completed(b.walk));
    clear(&b);
}

static void a_failure_skips_its_descendants_and_nothing_else(void **state)
{
    /* 0 -> 1 -> 3 -> 5; 0 -> 2 -> 4; 2 and 3 -> 6 */
    char links[7][256] = {"", "0", "0", "1", "2", "3", "2,3"};
    struct bench b = bench_of(7, links, NULL);
    const uint32_t *skipped;
    size_t count;

    (void)state;
    start_next(&b);
    complete(&b, 0);
    start_next(&b);
    start_next(&b);
    walk_fail(b.walk, 1, &skipped, &count);
    assert_int_equal(count, 3);
    assert_int_equal(skipped[0], 3);
    assert_int_equal(skipped[1], 5);
    assert_int_equal(skipped[2], 6);
    walk_return(b.walk, 1);
    assert_false(walk_done(b.walk));
    complete(&b, 2);
    assert_int_equal(start_next(&b), 4);
    assert_int_equal(start_next(&b), UINT32_MAX);
    complete(&b, 4);
    assert_true(walk_done(b.walk));
    assert_false(walk_all_completed(b.walk));
    clear(&b);
}

static void an_abandoned_walk_starts_nothing_more(void **state)
{
    char links[4][256] = {"", "", "0", "1"};
    struct bench b = bench_of(4, links, NULL);
    const uint32_t *cancelled;
    size_t count;

    (void)state;
    start_next(&b);
    walk_abandon(b.walk, &cancelled, &count);
    assert_int_equal(count, 3);
    assert_false(walk_ready(b.walk));
    assert_false(walk_done(b.walk)); /* node 0 still runs */
    complete(&b, 0);
    assert_true(walk_done(b.walk));
    assert_int_equal(walk_state(b.walk, 2), WIRE_NODE_CANCELLED);
    clear(&b);
}

static void a_unit_waits_for_what_comes_before_any_of_its_nodes(void **state)
{
    /* A command before the load keeps the extract waiting too. */
    char links[3][256] = {"", "", "0,1"};
    const char *kinds[] = {"extract", "command", "load"};
    struct bench b = bench_of(3, links, kinds);
    uint32_t unit;

    (void)state;
    assert_int_equal(b.units->count, 2);
    assert_int_equal(start_next(&b), 1);
    assert_false(walk_next(b.walk, &unit));
    complete(&b, 1);
    assert_true(walk_next(b.walk, &unit));
    assert_int_equal(b.units->list[unit].count, 2);
    clear(&b);
}

static void a_unit_that_comes_back_unfinished_is_ready_again(void **state)
{
    /* One extract, two loads; the first fails, and its process dies. */
    char links[3][256] = {"", "0", "0"};
    const char *kinds[] = {"extract", "load", "load"};
    struct bench b = bench_of(3, links, kinds);
    const uint32_t *skipped;
    uint32_t unit, again;
    size_t count;

    (void)state;
    assert_true(walk_next(b.walk, &unit));
    walk_start(b.walk, 0);
    walk_complete(b.walk, 0);
    walk_start(b.walk, 1);
    walk_fail(b.walk, 1, &skipped, &count);
    assert_int_equal(count, 0);
    walk_return(b.walk, unit);
    assert_false(walk_done(b.walk));
    assert_true(walk_next(b.walk, &again));
    assert_int_equal(again, unit);
    walk_start(b.walk, 2);
    walk_complete(b.walk, 2);
    walk_return(b.walk, again);
    assert_true(walk_done(b.walk));
    clear(&b);
}

static void an_order_in_the_middle_cuts_a_flow_in_two(void **state)
{
    /* The rows of the extract go to the load, but a command that follows the
     * extract comes before the load: they cannot be one process. */
    char links[3][256] = {"", "0", "0,1"};
    const char *kinds[] = {"extract", "command", "load"};
    struct bench b = bench_of(3, links, kinds);

    (void)state;
    assert_int_equal(b.units->count, 3);
    assert_int_equal(start_next(&b), 0);
    complete(&b, 0);
    assert_int_equal(start_next(&b), 1);
    complete(&b, 1);
    assert_int_equal(start_next(&b), 2);
    clear(&b);
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

static void check_parents(const struct bench *b, uint32_t node)
{
    const struct plan_node *n = &b->plan->nodes[node];

    for (size_t k = 0; k < n->parent_count; k++)
        assert_int_equal(walk_state(b->walk, n->parents[k]),
                         WIRE_NODE_COMPLETED);
}

/* Goes on with a unit's process for some nodes; true: it is over. */
static bool work(struct bench *b, uint32_t unit, const uint8_t *fails,
                 unsigned *seed)
{
    const struct unit *u = &b->units->list[unit];
    const uint32_t *skipped;
    size_t count;
    bool any = false;

    for (size_t i = 0; i < u->count; i++) {
        uint32_t node = u->nodes[i];
        if (walk_state(b->walk, node) != WIRE_NODE_WAITING)
            continue;
        if (any && rand_r(seed) % 3 == 0)
            return rand_r(seed) % 2; /* it died, or is not so far yet */
        check_parents(b, node);
        walk_start(b->walk, node);
        if (fails[node])
            walk_fail(b->walk, node, &skipped, &count);
        else
            walk_complete(b->walk, node);
        any = true;
    }
    return true;
}

static void random_graphs_end_as_the_plain_rule_says(void **state)
{
    enum { NODES = 14 };
    unsigned seed = 4711;

    (void)state;
    for (int round = 0; round < 1000; round++) {
        char links[NODES][256];
        const char *kinds[NODES];
        uint8_t fails[NODES];
        uint32_t running[NODES];
        size_t count = 0;
        for (uint32_t i = 0; i < NODES; i++) {
            links[i][0] = '\0';
            kinds[i] = rand_r(&seed) % 3 && round % 2 ? "union" : "command";
            fails[i] = rand_r(&seed) % 5 == 0;
            for (uint32_t p = 0; p < i; p++)
                if (rand_r(&seed) % 5 == 0)
                    sprintf(links[i] + strlen(links[i]), "%s%u",
                            *links[i] ? "," : "", p);
        }
        struct bench b = bench_of(NODES, links, kinds);
        while (!walk_done(b.walk)) {
            uint32_t unit;
            while (rand_r(&seed) % 3 && walk_next(b.walk, &unit))
                running[count++] = unit;
            if (count == 0)
                continue;
            size_t pick = (size_t)rand_r(&seed) % count;
            unit = running[pick];
            if (!work(&b, unit, fails, &seed))
                continue;
            running[pick] = running[--count];
            walk_return(b.walk, unit);
        }
        for (uint32_t i = 0; i < NODES; i++) {
            enum wire_node_state want = doomed(b.plan, fails, i)
                                            ? WIRE_NODE_SKIPPED
                                        : fails[i] ? WIRE_NODE_FAILED
                                                   : WIRE_NODE_COMPLETED;
            if (walk_state(b.walk, i) != want)
                fail_msg("round %d node %u", round, i);
        }
        clear(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_diamond_runs_its_branches_together_and_its_end_last),
        cmocka_unit_test(a_failure_skips_its_descendants_and_nothing_else),
        cmocka_unit_test(an_abandoned_walk_starts_nothing_more),
        cmocka_unit_test(a_unit_waits_for_what_comes_before_any_of_its_nodes),
        cmocka_unit_test(a_unit_that_comes_back_unfinished_is_ready_again),
        cmocka_unit_test(an_order_in_the_middle_cuts_a_flow_in_two),
        cmocka_unit_test(random_graphs_end_as_the_plain_rule_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
