/*
 * flow.h - relations computed: the transform database of one data process,
 * what it reads, what it keeps, what it counts.
 *
 * The transform database is an empty SQLite in memory whose temporary tables
 * and sorters are files within the quota (spill.h). Rows stream through a
 * statement from its sources to whoever steps it; what is kept is filled first.
 *
 * When something goes wrong the flow knows at which node: a function of
 * functions.h says its site, a feed its source; what has no place is the
 * caller's node's.
 *
 * Memory:  a flow is made and freed by its one user, exec_data.c.
 * Threads: one. Errors: 0 or a negative errno; the place and words are in
 *          failed_node and error.
 */
#ifndef AGENTS_FLOW_H
#define AGENTS_FLOW_H

#include "agents/executor.h"
#include "agents/relation.h"
#include "agents/text.h"

#include <errno.h>
#include <sqlite3.h>

enum { FLOW_REPORT_MS = 500, FLOW_REJECTS_TOLD = 20 };

struct flow_node { /* what is known of one node of the plan */
    struct relation *rows;
    uint64_t ticks;    /* rows in the present program */
    uint64_t last;     /* rows in the one before, if it gave any then */
    uint64_t rejected; /* rows left out in it */
    uint64_t told;     /* lines about rejected rows */
    bool done;         /* completed: done_rows are all it gave, though it may
                          be read again for somebody else */
    uint64_t done_rows;
    uint64_t rows_in, rows_out, bytes; /* of its load or file, or UINT64_MAX */
    bool written;                      /* the three above are meant */
    struct text preview;
    uint32_t preview_rows;
    bool preview_cut, preview_done;
    bool preview_apart; /* asked for by itself: passing rows do not count */
};

struct flow {
    const struct exec_scene *scene;
    const struct plan *plan;
    sqlite3 *db;
    struct function_host host;
    struct relations relations;
    struct flow_node *nodes; /* by index in the plan */
    uint32_t node;           /* being computed */
    bool look_again; /* a server failed because of a value, and did not say in
                        which row: computed here, it would be known */
    bool row_bad;    /* a function of this row failed (skip) */
    uint32_t failed_node; /* UINT32_MAX: nothing failed */
    char error[EXEC_ERROR_MAX];
    int64_t report_at_ms;
    void (*progress)(void *context); /* about every FLOW_REPORT_MS */
    void *context;
};

/* Opens the transform database. data: its settings, borrowed. skip, shared: as
 * in struct relations. -EIO, -ENOMEM: error. */
int flow_open(struct flow *flow, const struct exec_scene *scene,
              const struct data_settings *data, const bool *skip,
              const bool *shared);
void flow_close(struct flow *flow);

/* Fails at a node, unless something failed already. A macro, so that it is seen
 * at the call that it gives -EIO. */
#define flow_fail(flow, node, ...)                                             \
    (flow_say_failed((flow), (node), __VA_ARGS__), -EIO)
void flow_say_failed(struct flow *flow, uint32_t node, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Forgets the failure and the counts of the present program. */
void flow_reset(struct flow *flow);

/* Fills what the relation keeps and opens what it reads; *ret_stmt is to be
 * given to flow_finish(). node: whose fault it is if nobody else's. */
int flow_begin(struct flow *flow, struct relation *relation, uint32_t node,
               sqlite3_stmt **ret_stmt);
/* 1: a row, 0: the end, negative: failed. */
int flow_step(struct flow *flow, struct relation *relation, uint32_t node,
              sqlite3_stmt *stmt);
/* Closes the statement and what it read. */
void flow_finish(struct flow *flow, struct relation *relation,
                 sqlite3_stmt **stmt_p);
/* Computes the relation into its temporary table, unless that is done. */
int flow_fill(struct flow *flow, struct relation *relation, uint32_t node);

/* The counts of a node as its report has them. */
void flow_counts(const struct flow *flow, uint32_t node,
                 struct exec_report *ret_report);
/* The node has completed: its counts stay as they are. */
void flow_done(struct flow *flow, uint32_t node);
/* Lines about a row that was left out go to the run's log. */
void flow_tell_rejected(struct flow *flow, uint32_t node, const char *message);
/* The row that stmt is on, for the node's preview. Returns 0. */
int flow_preview(struct flow *flow, uint32_t node, sqlite3_stmt *stmt);
/* Calls progress when it is time. */
void flow_progress(struct flow *flow);

#endif
