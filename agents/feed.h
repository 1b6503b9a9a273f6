/*
 * feed.h - rows that come from somewhere, one after the other: a query on a
 * connection, a file, a sequence. feed_table.c shows a feed to SQLite as a
 * virtual table, so that any statement can read it as it arrives.
 *
 * A feed is opened by its maker, which fills schema; the rows come by next().
 * Cells are in the forms below and live until the next call. Values are checked
 * by the feed: a cell of a type is a value of that type as schema.h has it.
 *
 * Memory:  a feed is its maker's allocation; close() frees it, NULL-safe by
 *          feed_close().
 * Threads: one. Errors: -1 and a sentence in error, or a rejected row.
 */
#ifndef AGENTS_FEED_H
#define AGENTS_FEED_H

#include "agents/schema.h"

#include <sqlite3.h>
#include <stdint.h>

enum { FEED_ERROR_MAX = 512 };

struct cell {
    /* NULL: NULL. Else len bytes, not NUL-terminated: integers in decimal,
     * doubles as strtod() reads them, booleans "t" or "f", bytes as they are
     * (not in hex), all else as schema.h says. */
    const char *bytes;
    size_t len;
};

struct feed {
    struct schema schema;
    struct cell *cells; /* schema.count of them */
    uint64_t rows;      /* given so far, the present one included */
    uint64_t bytes;     /* read from the source so far */
    uint64_t rejected;  /* rows left out because of a bad value (skip) */
    bool skip;          /* set by the caller: bad rows are left out and told
                           to reject(), instead of an error */
    void (*reject)(void *context, const char *message); /* may be NULL */
    void *context;
    /* 1: a row; 0: the end; -1: error is set. */
    int (*next)(struct feed *feed);
    void (*close)(struct feed *feed);
    char error[FEED_ERROR_MAX]; /* what, and row and column where known */
};

/* Closes and NULLs; NULL in *feed_p is fine. */
void feed_close(struct feed **feed_p);
/* Sets error and returns -1. */
int feed_fail(struct feed *feed, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Makes the feed readable as temp table `name` of db: the columns are called
 * c0, c1, ... in schema order and have no affinity. It can be read once, from
 * its first row; a second scan is an error of the statement. In a join SQLite
 * makes it the outer loop when it may; of two feeds, or as the right side of a
 * LEFT JOIN, one has to be materialised (WITH x AS MATERIALIZED (SELECT ...
 * FROM feed), or a table). The feed stays the caller's and must outlive the
 * table, which ends with DROP TABLE or the connection. -EIO: SQLite said no. */
int feed_table(sqlite3 *db, const char *name, struct feed *feed);

/* A feed of a sequence: one integer column. count rows from start by step.
 * -ERANGE: the last one would not fit 64 bits. -ENOMEM. */
int feed_sequence(const char *column, int64_t start, int64_t step,
                  uint64_t count, struct feed **ret_feed);

#endif
