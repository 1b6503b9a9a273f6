/*
 * walk.h - the order in which the units of a plan may start, and which nodes
 * are skipped. Bookkeeping only: starts nothing, reads no clock.
 *
 *   WAITING --walk_start--> RUNNING           (of a unit that walk_next gave)
 *   RUNNING --walk_complete--> COMPLETED
 *   RUNNING --walk_fail--> FAILED, and every descendant WAITING -> SKIPPED
 *   RUNNING --walk_cancel--> CANCELLED, and the same
 *   WAITING --walk_abandon--> CANCELLED (all of them; nothing starts any more)
 *
 * A unit is ready when no node before it can change any more and one of its
 * own still waits. It is out between walk_next() and walk_return(); one that is
 * returned with nodes still waiting (its process died, and these had nothing to
 * do with it) is ready again.
 *
 * A node is skipped exactly when it is a descendant of one that did not
 * complete.
 *
 * Memory:  all allocated in walk_new(); plan and units are borrowed until
 *          walk_free().
 * Threads: none.
 * Errors:  none after walk_new().
 */
#ifndef AGENTS_WALK_H
#define AGENTS_WALK_H

#include "agents/plan.h"
#include "agents/unit.h"
#include "agents/wire.h"

#include <stdbool.h>

struct walk;

/* NULL: no memory. */
struct walk *walk_new(const struct plan *plan, const struct units *units);
void walk_free(struct walk **walk_p);

/* Takes the next ready unit, in the order they became ready. false: none is
 * ready now. */
bool walk_next(struct walk *walk, uint32_t *ret_unit);
/* Is there a ready unit? */
bool walk_ready(const struct walk *walk);
/* The unit's process is over; none of its nodes is RUNNING. */
void walk_return(struct walk *walk, uint32_t unit);

void walk_start(struct walk *walk, uint32_t node);
void walk_complete(struct walk *walk, uint32_t node);
/* *ret_skipped (borrowed until the next call) are the nodes that this skips, in
 * plan order. */
void walk_fail(struct walk *walk, uint32_t node, const uint32_t **ret_skipped,
               size_t *ret_count);
void walk_cancel(struct walk *walk, uint32_t node, const uint32_t **ret_skipped,
                 size_t *ret_count);
/* Every waiting node, ready or not. */
void walk_abandon(struct walk *walk, const uint32_t **ret_cancelled,
                  size_t *ret_count);

enum wire_node_state walk_state(const struct walk *walk, uint32_t node);
/* The states of all nodes, enum wire_node_state. Borrowed, live. */
const uint8_t *walk_states(const struct walk *walk);
/* True when no unit is out and none will become ready. */
bool walk_done(const struct walk *walk);
/* True when every node completed. */
bool walk_all_completed(const struct walk *walk);

#endif
