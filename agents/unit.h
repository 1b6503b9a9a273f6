/*
 * unit.h - which nodes of a plan are one process.
 *
 * Data nodes that hand rows to each other are executed together, so that rows
 * stream and adjacent steps become one SQL statement; every other node is a
 * unit of its own. A stage keeps that free of circles: it grows by one along
 * every edge that is only an order (a command between an extract and a load,
 * say), and nodes are together when rows flow between them within one stage.
 * A path that leaves a unit goes through such an edge, so it cannot come back.
 * Rows that cross from one stage to the next are handed over in a file
 * (handoff.h). Stages are as late as they can be, so that few rows do.
 *
 * Memory:  units_free() frees it all. Threads: none; pure.
 */
#ifndef AGENTS_UNIT_H
#define AGENTS_UNIT_H

#include "agents/plan.h"

#include <stdbool.h>

struct unit {
    const uint32_t *nodes; /* indices in the plan, ascending */
    size_t count;
    bool data; /* executed by data.h */
};

struct units {
    struct unit *list; /* by their first node */
    size_t count;
    uint32_t *of; /* the unit of each node of the plan */
    uint32_t *nodes;
};

/* NULL: no memory. */
struct units *units_of(const struct plan *plan);
void units_free(struct units **units_p);

/* Do rows flow from parent to child, two nodes with an edge between them? */
bool unit_rows_flow(const struct plan *plan, uint32_t parent, uint32_t child);

#endif
