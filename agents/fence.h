/*
 * fence.h - the table in a target's database that remembers which loads are in:
 * its name, its columns and the statements on it. PostgreSQL and SQLite use the
 * same ones, each in the transaction of the load itself, so that a second
 * attempt of a run sees what the first one left, and after a lost answer to
 * COMMIT anybody can look whether it happened.
 *
 *     dispatch_loads (run_id text, node text, attempt integer,
 *                     loaded_rows bigint, loaded_bytes bigint, loaded_at,
 *                     primary key (run_id, node))
 *
 * A row is inserted before anything is written (FENCE_INSERT, then affected
 * rows 0: an earlier attempt is in, FENCE_FIND what it loaded) and gets its
 * figures just before the commit (FENCE_UPDATE).
 *
 * Memory:  what is returned is malloc'ed and the caller's.
 * Threads: none. Errors: NULL: no memory.
 */
#ifndef AGENTS_FENCE_H
#define AGENTS_FENCE_H

#include "agents/connection.h"

#define FENCE_TABLE "dispatch_loads"

enum fence_statement {
    FENCE_CREATE, /* if there is none; no parameters */
    FENCE_INSERT, /* 1 run_id, 2 node, 3 attempt; rows and bytes are 0 */
    FENCE_FIND,   /* 1 run_id, 2 node; gives loaded_rows, loaded_bytes */
    FENCE_UPDATE, /* 1 run_id, 2 node, 3 loaded_rows, 4 loaded_bytes */
    FENCE_STATEMENTS
};

/* The text of a statement, without semicolon. Parameters are $1 ... in
 * PostgreSQL, ?1 ... in SQLite. schema: where the target table is, not quoted
 * ("public", "main"); NULL: not said. */
char *fence_sql(enum engine engine, enum fence_statement statement,
                const char *schema);

#endif
