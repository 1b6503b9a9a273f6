/*
 * walk.c - see walk.h.
 *
 * Invariants: missing[u] is the number of edges into unit u from other units
 * whose source can still change (WAITING or RUNNING); a unit is in the ring of
 * ready ones exactly when it is not out, misses nothing and has a WAITING node.
 * Units form no circle, so as long as a node waits something is out or ready.
 */
#include "agents/walk.h"

#include <assert.h>
#include <stdlib.h>

struct walk {
    const struct plan *plan;
    const struct units *units;
    uint8_t *state;    /* enum wire_node_state */
    uint32_t *missing; /* by unit, as is is_out */
    bool *is_out;
    uint32_t *ready; /* ring of units->count: each is in it once at most */
    size_t ready_head, ready_count;
    uint32_t *changed; /* what walk_fail and its like hand out */
    size_t out, completed;
};

static bool has_waiting(const struct walk *walk, uint32_t unit)
{
    const struct unit *u = &walk->units->list[unit];

    for (size_t i = 0; i < u->count; i++)
        if (walk->state[u->nodes[i]] == WIRE_NODE_WAITING)
            return true;
    return false;
}

static void push_ready(struct walk *walk, uint32_t unit)
{
    if (walk->is_out[unit] || walk->missing[unit] > 0 ||
        !has_waiting(walk, unit))
        return;
    assert(walk->ready_count < walk->units->count);
    walk->ready[(walk->ready_head + walk->ready_count++) % walk->units->count] =
        unit;
}

struct walk *walk_new(const struct plan *plan, const struct units *units)
{
    struct walk *walk = calloc(1, sizeof *walk);

    if (!walk)
        return NULL;
    walk->plan = plan;
    walk->units = units;
    walk->state = calloc(plan->count, sizeof *walk->state);
    walk->missing = calloc(units->count, sizeof *walk->missing);
    walk->is_out = calloc(units->count, sizeof *walk->is_out);
    walk->ready = calloc(units->count, sizeof *walk->ready);
    walk->changed = calloc(plan->count, sizeof *walk->changed);
    if (!walk->state || !walk->missing || !walk->is_out || !walk->ready ||
        !walk->changed) {
        walk_free(&walk);
        return NULL;
    }
    for (uint32_t i = 0; i < plan->count; i++) {
        const struct plan_node *node = &plan->nodes[i];
        walk->state[i] = WIRE_NODE_WAITING;
        for (size_t k = 0; k < node->parent_count; k++)
            if (units->of[node->parents[k]] != units->of[i])
                walk->missing[units->of[i]]++;
    }
    for (uint32_t u = 0; u < units->count; u++)
        push_ready(walk, u);
    return walk;
}

void walk_free(struct walk **walk_p)
{
    struct walk *walk = *walk_p;

    *walk_p = NULL;
    if (!walk)
        return;
    free(walk->state);
    free(walk->missing);
    free(walk->is_out);
    free(walk->ready);
    free(walk->changed);
    free(walk);
}

bool walk_ready(const struct walk *walk)
{
    return walk->ready_count > 0;
}

bool walk_next(struct walk *walk, uint32_t *ret_unit)
{
    if (walk->ready_count == 0)
        return false;
    uint32_t unit = walk->ready[walk->ready_head];
    walk->ready_head = (walk->ready_head + 1) % walk->units->count;
    walk->ready_count--;
    assert(!walk->is_out[unit] && has_waiting(walk, unit));
    walk->is_out[unit] = true;
    walk->out++;
    *ret_unit = unit;
    return true;
}

void walk_return(struct walk *walk, uint32_t unit)
{
    const struct unit *u = &walk->units->list[unit];

    assert(walk->is_out[unit]);
    for (size_t i = 0; i < u->count; i++)
        assert(walk->state[u->nodes[i]] != WIRE_NODE_RUNNING);
    walk->is_out[unit] = false;
    walk->out--;
    push_ready(walk, unit);
}

/* The node has reached its last state: what waits for it, waits less. */
static void settle(struct walk *walk, uint32_t node, enum wire_node_state state)
{
    const struct plan_node *n = &walk->plan->nodes[node];

    walk->state[node] = (uint8_t)state;
    for (size_t k = 0; k < n->child_count; k++) {
        uint32_t unit = walk->units->of[n->children[k]];
        if (unit == walk->units->of[node])
            continue;
        assert(walk->missing[unit] > 0);
        if (--walk->missing[unit] == 0)
            push_ready(walk, unit);
    }
}

void walk_start(struct walk *walk, uint32_t node)
{
    assert(walk->is_out[walk->units->of[node]]);
    assert(walk->state[node] == WIRE_NODE_WAITING);
    walk->state[node] = WIRE_NODE_RUNNING;
}

void walk_complete(struct walk *walk, uint32_t node)
{
    assert(walk->state[node] == WIRE_NODE_RUNNING);
    walk->completed++;
    settle(walk, node, WIRE_NODE_COMPLETED);
}

/* Did this node end without completing? */
static bool is_broken(uint8_t state)
{
    return state == WIRE_NODE_FAILED || state == WIRE_NODE_SKIPPED ||
           state == WIRE_NODE_CANCELLED;
}

/* First every descendant is marked, then all are settled: a unit must not
 * become ready for a node that is about to be skipped. Parents come before
 * children, so one pass reaches every descendant and no recursion is needed
 * however deep the graph is. */
static void break_node(struct walk *walk, uint32_t node,
                       enum wire_node_state state, const uint32_t **ret_skipped,
                       size_t *ret_count)
{
    const struct plan *plan = walk->plan;
    size_t count = 0;

    assert(walk->state[node] == WIRE_NODE_RUNNING);
    walk->state[node] = (uint8_t)state;
    for (uint32_t i = node + 1; i < plan->count; i++) {
        const struct plan_node *n = &plan->nodes[i];
        if (walk->state[i] != WIRE_NODE_WAITING)
            continue;
        for (size_t k = 0; k < n->parent_count; k++) {
            if (is_broken(walk->state[n->parents[k]])) {
                walk->state[i] = WIRE_NODE_SKIPPED;
                walk->changed[count++] = i;
                break;
            }
        }
    }
    settle(walk, node, state);
    for (size_t i = 0; i < count; i++)
        settle(walk, walk->changed[i], WIRE_NODE_SKIPPED);
    *ret_skipped = walk->changed;
    *ret_count = count;
}

void walk_fail(struct walk *walk, uint32_t node, const uint32_t **ret_skipped,
               size_t *ret_count)
{
    break_node(walk, node, WIRE_NODE_FAILED, ret_skipped, ret_count);
}

void walk_cancel(struct walk *walk, uint32_t node, const uint32_t **ret_skipped,
                 size_t *ret_count)
{
    break_node(walk, node, WIRE_NODE_CANCELLED, ret_skipped, ret_count);
}

void walk_abandon(struct walk *walk, const uint32_t **ret_cancelled,
                  size_t *ret_count)
{
    size_t count = 0;

    for (uint32_t i = 0; i < walk->plan->count; i++) {
        if (walk->state[i] == WIRE_NODE_WAITING) {
            walk->state[i] = WIRE_NODE_CANCELLED;
            walk->changed[count++] = i;
        }
    }
    walk->ready_count = 0;
    *ret_cancelled = walk->changed;
    *ret_count = count;
}

enum wire_node_state walk_state(const struct walk *walk, uint32_t node)
{
    return (enum wire_node_state)walk->state[node];
}

const uint8_t *walk_states(const struct walk *walk)
{
    return walk->state;
}

bool walk_done(const struct walk *walk)
{
    return walk->out == 0 && walk->ready_count == 0;
}

bool walk_all_completed(const struct walk *walk)
{
    return walk->completed == walk->plan->count;
}
