/*
 * measure.h - how much a workflow's last completed run read: the bytes that its
 * sources gave out. What is remembered of a workflow is known by its id when it
 * has one, else by its name, and counts for its next run when nobody declares a
 * size.
 *
 * There are MEASURE_PLACES places; two workflows that share one overwrite each
 * other, and the one that was overwritten counts as never measured. So the
 * table has a limit without anybody counting or cleaning.
 *
 * Memory:  the caller's. Threads: the ledger's, or the reader's owner.
 * Errors:  0 or a negative errno.
 */
#ifndef POOLS_MEASURE_H
#define POOLS_MEASURE_H

#include "pools/run.h"
#include "pools/store.h"

enum { MEASURE_PLACES = 1 << 18 };

struct measure {
    uint64_t bytes;
    uint64_t rows; /* RUN_COUNT_UNKNOWN: nobody knows */
    struct run_id run;
    int64_t ended_unix_ms;
};

/* What its sources gave out in all, by the last states of a completed run's
 * nodes. False: it cannot be told, because there are no sources, because one
 * was not completed, or because what it gave went through another program's
 * hands. 0 bytes is a measurement. */
bool measure_of(const struct origin *origin, const struct node_record *nodes,
                size_t node_count, struct measure *ret);

/* Inside a turn: remembers it for origin's workflow. */
int measure_write(struct store *store, const struct origin *origin,
                  const struct measure *measure);

/* Opens one short read. workflow_id may be NULL. -ENOENT: not measured, or
 * overwritten, or not to be read. */
int measure_read(struct store_reader *reader, const char *workflow_id,
                 const char *workflow, struct measure *ret);

#endif
