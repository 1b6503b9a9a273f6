/* unit.c - see unit.h. */
#include "agents/unit.h"

#include "agents/executor.h"

#include <assert.h>
#include <stdlib.h>

static unsigned rows_of(const struct plan *plan, uint32_t node)
{
    const struct executor *executor = executor_find(plan->nodes[node].kind);

    return executor ? executor->rows : ROWS_NONE;
}

bool unit_rows_flow(const struct plan *plan, uint32_t parent, uint32_t child)
{
    return (rows_of(plan, parent) & ROWS_GIVES) &&
           (rows_of(plan, child) & ROWS_TAKES);
}

void units_free(struct units **units_p)
{
    struct units *units = *units_p;

    *units_p = NULL;
    if (!units)
        return;
    free(units->list);
    free(units->of);
    free(units->nodes);
    free(units);
}

/* Union-find over nodes; the root of a set is its smallest node. */
static uint32_t root_of(uint32_t *set, uint32_t node)
{
    while (set[node] != node) {
        set[node] = set[set[node]];
        node = set[node];
    }
    return node;
}

static void unite(uint32_t *set, uint32_t a, uint32_t b)
{
    a = root_of(set, a);
    b = root_of(set, b);
    if (a < b)
        set[b] = a;
    else
        set[a] = b;
}

/* Stages as early as can be, then as late as the children allow: an extract
 * waits with its load for the command that comes before the load. */
static void find_stages(const struct plan *plan, uint32_t *stage)
{
    for (uint32_t i = 0; i < plan->count; i++) {
        const struct plan_node *node = &plan->nodes[i];
        for (size_t k = 0; k < node->parent_count; k++) {
            uint32_t parent = node->parents[k];
            uint32_t least =
                stage[parent] + (unit_rows_flow(plan, parent, i) ? 0 : 1);
            if (stage[i] < least)
                stage[i] = least;
        }
    }
    for (uint32_t i = (uint32_t)plan->count; i-- > 0;) {
        const struct plan_node *node = &plan->nodes[i];
        uint32_t most = UINT32_MAX;
        for (size_t k = 0; k < node->child_count; k++) {
            uint32_t child = node->children[k];
            uint32_t before =
                stage[child] - (unit_rows_flow(plan, i, child) ? 0 : 1);
            if (most > before)
                most = before;
        }
        if (node->child_count > 0) {
            assert(most >= stage[i]);
            stage[i] = most;
        }
    }
}

static void find_sets(const struct plan *plan, const uint32_t *stage,
                      uint32_t *set)
{
    for (uint32_t i = 0; i < plan->count; i++)
        set[i] = i;
    for (uint32_t i = 0; i < plan->count; i++) {
        const struct plan_node *node = &plan->nodes[i];
        for (size_t k = 0; k < node->parent_count; k++)
            if (stage[node->parents[k]] == stage[i])
                unite(set, node->parents[k], i);
    }
}

static void number_units(const struct plan *plan, uint32_t *set,
                         struct units *units)
{
    size_t used = 0;

    for (uint32_t i = 0; i < plan->count; i++) {
        uint32_t root = root_of(set, i);
        if (root == i) {
            units->of[i] = (uint32_t)units->count++;
            units->list[units->of[i]].data =
                (rows_of(plan, i) & ROWS_DATA) != 0;
        } else {
            assert(root < i);
            units->of[i] = units->of[root];
        }
        units->list[units->of[i]].count++;
    }
    for (size_t u = 0; u < units->count; u++) {
        units->list[u].nodes = units->nodes + used;
        used += units->list[u].count;
        units->list[u].count = 0;
    }
    for (uint32_t i = 0; i < plan->count; i++) {
        struct unit *unit = &units->list[units->of[i]];
        units->nodes[(size_t)(unit->nodes - units->nodes) + unit->count++] = i;
    }
}

struct units *units_of(const struct plan *plan)
{
    struct units *units = calloc(1, sizeof *units);
    uint32_t *stage = calloc(plan->count, sizeof *stage);
    uint32_t *set = calloc(plan->count, sizeof *set);

    if (units) {
        units->list = calloc(plan->count, sizeof *units->list);
        units->of = calloc(plan->count, sizeof *units->of);
        units->nodes = calloc(plan->count, sizeof *units->nodes);
    }
    if (!units || !stage || !set || !units->list || !units->of ||
        !units->nodes) {
        if (units)
            units_free(&units);
    } else {
        find_stages(plan, stage);
        find_sets(plan, stage, set);
        number_units(plan, set, units);
    }
    free(stage);
    free(set);
    return units;
}
