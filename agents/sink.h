/*
 * sink.h - where rows go: a table of a connection, a file, or nowhere. All or
 * nothing: what a sink was given is there after commit() and not before, and
 * after abort(), or when the process dies, the target is as it was.
 *
 * The order of calls: the maker (pg_sink(), lite_sink(), csv_sink(), ...)
 * finds out about the target and fills `schema`: the columns to be given, in
 * order, with what each allows. begin() starts the transaction: fence,
 * creation, truncation. Then row() for each row, whose values have the types
 * of `schema` and satisfy its limits, then commit(); abort() may come at any
 * time and close() always comes last.
 *
 * Fence: a table of ours in the target (fence.h), in the same transaction, has
 * one row for each load of a run that is in. begin() answers SINK_DONE when an
 * earlier attempt of the same run and node is in: nothing is to be done, and
 * rows and bytes say what it loaded.
 *
 * Memory:  a sink is its maker's allocation; close() frees it.
 * Threads: one. Errors: said in error: what the engine said, its column and
 *          row where known.
 */
#ifndef AGENTS_SINK_H
#define AGENTS_SINK_H

#include "agents/schema.h"

#include <sqlite3.h>
#include <stdint.h>

enum { SINK_ERROR_MAX = 512 };

enum sink_answer {
    SINK_FAILED = -1, /* error is set; the target is as it was */
    SINK_OK = 0,
    SINK_DONE = 1,     /* begin(): already loaded by an earlier attempt */
    SINK_REJECTED = 2, /* row(): this one was refused and left out (skip);
                          error says why */
};

enum load_mode { LOAD_APPEND, LOAD_TRUNCATE, LOAD_MERGE };

/* What a load node says, and whose it is. Borrowed until close(). */
struct load {
    const char *schema, *table; /* schema: NULL: the connection's default */
    enum load_mode mode;
    const char *const *key; /* MERGE: names of target columns */
    size_t key_count;
    bool create; /* make the table when there is none */
    bool skip;   /* rows that the target refuses are left out */
    /* What is given, by the names of target columns. For a table to be created
     * also their types. */
    const struct schema *given;
    const char *run_id, *node; /* fence */
    uint32_t attempt;
    /* Told of rows that were left out later than in their own row(); NULL:
     * nobody wants to know. */
    void (*refused)(void *context, const char *error);
    void *context;
};

struct sink {
    struct schema schema;
    uint64_t rows, bytes, rejected; /* so far; rejected by the target */
    char error[SINK_ERROR_MAX];
    enum sink_answer (*begin)(struct sink *sink);
    /* The values are columns 0 .. schema.count - 1 of the row `stmt` is on. */
    enum sink_answer (*row)(struct sink *sink, sqlite3_stmt *stmt);
    enum sink_answer (*commit)(struct sink *sink);
    void (*abort)(struct sink *sink);
    void (*close)(struct sink *sink);
};

/* Closes and NULLs; NULL in *sink_p is fine. */
void sink_close(struct sink **sink_p);
/* Sets error and returns SINK_FAILED. */
enum sink_answer sink_fail(struct sink *sink, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Takes rows and forgets them: for a branch that ends without a load. */
int sink_nowhere(const struct schema *schema, struct sink **ret_sink);

#endif
