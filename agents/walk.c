/*
 * walk.c - see walk.h.
 *
 * Invariants: missing[i] is the number of i's parents that have not completed;
 * a node is in the ring of ready nodes exactly when it is WAITING with
 * missing == 0. running and waiting count states; a waiting node that is not
 * ready has a running or waiting ancestor, so waiting > 0 with nothing running
 * and nothing ready cannot be.
 */
#include "agents/walk.h"

#include <assert.h>
#include <stdlib.h>

struct walk {
    const struct plan *plan;
    uint8_t *state; /* enum wire_node_state */
    uint32_t *missing;
    uint32_t *ready; /* every node enters at most once: no wrap-around */
    size_t ready_head, ready_tail;
    uint32_t *changed; /* what walk_fail and walk_abandon hand out */
    size_t running, waiting, completed;
};

struct walk *walk_new(const struct plan *plan)
{
    struct walk *walk = calloc(1, sizeof *walk);

    if (!walk)
        return NULL;
    walk->plan = plan;
    walk->state = calloc(plan->count, sizeof *walk->state);
    walk->missing = calloc(plan->count, sizeof *walk->missing);
    walk->ready = calloc(plan->count, sizeof *walk->ready);
    walk->changed = calloc(plan->count, sizeof *walk->changed);
    if (!walk->state || !walk->missing || !walk->ready || !walk->changed) {
        walk_free(&walk);
        return NULL;
    }
    walk->waiting = plan->count;
    for (uint32_t i = 0; i < plan->count; i++) {
        walk->state[i] = WIRE_NODE_WAITING;
        walk->missing[i] = (uint32_t)plan->nodes[i].parent_count;
        if (walk->missing[i] == 0)
            walk->ready[walk->ready_tail++] = i;
    }
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
    free(walk->ready);
    free(walk->changed);
    free(walk);
}

bool walk_ready(const struct walk *walk)
{
    return walk->ready_head < walk->ready_tail;
}

bool walk_next(struct walk *walk, uint32_t *ret_node)
{
    if (!walk_ready(walk))
        return false;
    uint32_t node = walk->ready[walk->ready_head++];
    assert(walk->state[node] == WIRE_NODE_WAITING);
    walk->state[node] = WIRE_NODE_RUNNING;
    walk->waiting--;
    walk->running++;
    *ret_node = node;
    return true;
}

static void leave_running(struct walk *walk, uint32_t node,
                          enum wire_node_state state)
{
    assert(node < walk->plan->count);
    assert(walk->state[node] == WIRE_NODE_RUNNING);
    walk->state[node] = (uint8_t)state;
    walk->running--;
}

void walk_complete(struct walk *walk, uint32_t node)
{
    const struct plan_node *n = &walk->plan->nodes[node];

    leave_running(walk, node, WIRE_NODE_COMPLETED);
    walk->completed++;
    for (size_t k = 0; k < n->child_count; k++) {
        uint32_t child = n->children[k];
        assert(walk->missing[child] > 0);
        if (--walk->missing[child] == 0 &&
            walk->state[child] == WIRE_NODE_WAITING)
            walk->ready[walk->ready_tail++] = child;
    }
}

void walk_fail(struct walk *walk, uint32_t node, const uint32_t **ret_skipped,
               size_t *ret_count)
{
    const struct plan *plan = walk->plan;
    size_t count = 0;

    leave_running(walk, node, WIRE_NODE_FAILED);
    /* Parents come before children, so one pass reaches every descendant and
     * no recursion is needed however deep the graph is. */
    for (uint32_t i = node + 1; i < plan->count; i++) {
        const struct plan_node *n = &plan->nodes[i];
        if (walk->state[i] != WIRE_NODE_WAITING)
            continue;
        for (size_t k = 0; k < n->parent_count; k++) {
            uint8_t parent = walk->state[n->parents[k]];
            if (parent == WIRE_NODE_FAILED || parent == WIRE_NODE_SKIPPED) {
                walk->state[i] = WIRE_NODE_SKIPPED;
                walk->waiting--;
                walk->changed[count++] = i;
                break;
            }
        }
    }
    *ret_skipped = walk->changed;
    *ret_count = count;
}

void walk_cancel(struct walk *walk, uint32_t node)
{
    leave_running(walk, node, WIRE_NODE_CANCELLED);
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
    walk->waiting = 0;
    walk->ready_head = walk->ready_tail;
    *ret_cancelled = walk->changed;
    *ret_count = count;
}

enum wire_node_state walk_state(const struct walk *walk, uint32_t node)
{
    return (enum wire_node_state)walk->state[node];
}

bool walk_done(const struct walk *walk)
{
    return walk->running == 0 && !walk_ready(walk);
}

bool walk_all_completed(const struct walk *walk)
{
    return walk->completed == walk->plan->count;
}
