/*
 * walk.h - the order in which the nodes of a plan may start, and which are
 * skipped. Bookkeeping only: starts nothing, reads no clock.
 *
 *   WAITING --all parents completed--> (ready) --walk_next--> RUNNING
 *   RUNNING --walk_complete--> COMPLETED
 *   RUNNING --walk_fail--> FAILED, and every descendant WAITING -> SKIPPED
 *   WAITING --walk_abandon--> CANCELLED (all of them; nothing starts any more)
 *   RUNNING --walk_cancel--> CANCELLED
 *
 * A node is skipped exactly when it is a descendant of a failed one: a skipped
 * node was never ready, because one of its ancestors did not complete.
 *
 * Memory:  all allocated in walk_new(); the plan is borrowed until walk_free().
 * Threads: none.
 * Errors:  none after walk_new().
 */
#ifndef AGENTS_WALK_H
#define AGENTS_WALK_H

#include "agents/plan.h"
#include "agents/wire.h"

#include <stdbool.h>

struct walk;

/* NULL: no memory. */
struct walk *walk_new(const struct plan *plan);
void walk_free(struct walk **walk_p);

/* Takes the next ready node, in the order they became ready, and moves it to
 * RUNNING. false: none is ready now. */
bool walk_next(struct walk *walk, uint32_t *ret_node);
/* Is there a ready node? */
bool walk_ready(const struct walk *walk);

void walk_complete(struct walk *walk, uint32_t node);
/* Fails a running node. *ret_skipped (borrowed until the next call) are the
 * nodes that this skips, in plan order. */
void walk_fail(struct walk *walk, uint32_t node, const uint32_t **ret_skipped,
               size_t *ret_count);
void walk_cancel(struct walk *walk, uint32_t node);
/* As above for every waiting node, ready or not. */
void walk_abandon(struct walk *walk, const uint32_t **ret_cancelled,
                  size_t *ret_count);

enum wire_node_state walk_state(const struct walk *walk, uint32_t node);
/* True when nothing runs and nothing will become ready. */
bool walk_done(const struct walk *walk);
/* True when every node completed. */
bool walk_all_completed(const struct walk *walk);

#endif
