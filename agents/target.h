/*
 * target.h - where the rows of a node go, and how they get there: the last step
 * of a flow. Ways:
 *
 *   INSIDE   a load on the connection where its rows can be computed: one
 *            INSERT ... SELECT in the server
 *   ACROSS   rows computed on one PostgreSQL connection, loaded on another:
 * COPY to COPY, bytes as they come STREAM   through the transform database, row
 * by row, into a sink
 *
 * What a load reads and writes on one connection is read to its end before
 * anything is written, and the reading session lets go of its locks: otherwise
 * it would wait for itself.
 *
 * Memory:  freed by target_free(). Threads: one.
 * Errors:  negative; flow_fail() has been called.
 */
#ifndef AGENTS_TARGET_H
#define AGENTS_TARGET_H

#include "agents/flow.h"
#include "agents/sink.h"

struct target;

/* Finds out about the target of node, which is a load, a written file, a sql
 * node, a node whose rows nobody takes, or (handoff) one whose rows a later
 * unit takes. The node's rows are in flow->nodes. */
int target_new(struct flow *flow, uint32_t node, bool handoff,
               struct target **ret_target);
void target_free(struct target **target_p);

/* Does all of it: reads, computes, writes, commits. *ret_done: an earlier
 * attempt of the run had done it. */
int target_run(struct flow *flow, struct target *target, bool *ret_done);

#endif
