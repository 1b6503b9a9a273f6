/*
 * relation.h - the rows that a data node gives, as a SELECT that has not run.
 *
 * relation_of() turns one node of a plan into a relation over those of its
 * parents: the columns it has, the place where it can be computed, and the SQL
 * that computes it there. Places:
 *
 *   a PostgreSQL connection   the SQL is PostgreSQL's, and all below it is on
 *                             that connection: adjacent steps are one statement
 *   the transform database    SQLite in this process. What comes from outside
 *                             is a source: a feed shown as a table
 *
 * A step is computed where its input is as long as that place can; otherwise
 * its input becomes a source of the transform database (that is what streams).
 * Rows of a SQLite connection are always a source: SQLite's columns hold
 * anything, so each value is checked as it is read.
 *
 * Some relations have to be computed once and kept in a temporary table
 * before they are read: the side of a join that is looked up, a node with two
 * readers, one whose values differ each time. keep says so; its table is filled
 * by the flow (flow.h) when it is first needed.
 *
 * Memory:  relations live until relation_free(); they borrow the plan.
 * Threads: one. Errors: 0 or a negative errno and a sentence in why.
 */
#ifndef AGENTS_RELATION_H
#define AGENTS_RELATION_H

#include "agents/connection.h"
#include "agents/feed.h"
#include "agents/functions.h"
#include "agents/lite.h"
#include "agents/pg.h"
#include "agents/plan.h"
#include "agents/schema.h"

enum {
    RELATION_WHY_MAX = 512,
    RELATION_STACK_ALL = 98,
    RELATION_STACK_MAX = 88,   /* symbols of SQLite's parser stack (of 100) that
                                  nested selects may take; beyond, one is kept */
    RELATION_SELECT_STACK = 6, /* that a select in another takes */
    RELATION_PG_DEPTH_MAX = 100,
    RELATION_WEIGHT_MAX = 200, /* copies of a column that flattening may make */
    RELATION_ARGS_MAX = 100,   /* of a function of SQLite, which takes 127: the
                                  columns of a preview as well */
};

/* An open connection of this unit, by name. */
struct store {
    struct store *next;
    struct connection *connection;
    struct pg *pg;     /* postgresql, opened when first read; else NULL */
    struct lite *lite; /* sqlite */
    const struct feed *streaming; /* its session is busy with it */
};

/* Where rows come into the transform database. */
struct source {
    uint32_t node;  /* whose rows these are */
    char table[32]; /* its name in the transform database: temp.TABLE */
    struct schema schema;
    struct store *store;  /* NULL: a file or a sequence */
    char *sql;            /* on the store */
    const json_t *config; /* of a file */
    struct feed *feed;    /* while it is open */
    void *reader;         /* the flow that reads it */
    bool aside;           /* for a preview: its rows do not count */
    bool kept;            /* the table is a real one, filled */
    bool whole;           /* its rows are the node's: nothing of the node is
                             computed after it */
    uint64_t rows, bytes, rejected; /* of the feed, when it was closed */
};

struct relation {
    uint32_t node;
    struct schema schema;
    struct store *place; /* NULL: the transform database */
    char *sql;           /* a SELECT of the columns in order, by their names */
    unsigned depth;      /* selects in one another */
    size_t weight; /* how often a column of the bottom occurs in one of its
                      columns, when all selects are made one */
    size_t stack;  /* parser stack of its deepest expression */
    bool open;     /* a plain select, to whose conditions one can be added */
    bool has_where;
    bool fenced;             /* not to be made one with what is around it */
    struct source **sources; /* that the SQL reads, not those of kept tables */
    size_t source_count;
    struct relation **kept; /* kept relations that the SQL reads */
    size_t kept_count;
    bool varies; /* has values that differ each time it is computed */

    struct relation *local; /* of one on a connection: the same rows here */
    struct relation *reads; /* is nothing but this kept one's table */

    bool keep; /* to be computed once, into temp.TABLE */
    char table[32];
    char *index_sql; /* CREATE INDEX after filling, or NULL */
    bool filled;
};

/* Where functions of the transform database stand, by number. */
struct site {
    uint32_t node;
    char *column;     /* "where", a column's name */
    bool counts_only; /* a failure rejects no row (inside an aggregate) */
};

struct relations {
    const struct plan *plan;
    const struct data_settings *settings;
    const struct function_host *host;
    char label[300]; /* run and node, for application_name */
    char now[40];    /* systimestamp() */
    struct store *stores;
    struct source **sources;
    size_t source_count, source_room;
    struct relation **all;
    size_t count, room;
    struct site *sites;
    size_t site_count, site_room;
    const bool *skip;   /* by node: bad rows are left out */
    const bool *shared; /* by node: more than one reads its rows */
};

/* The named connection, its session opened for reading. */
int relations_store(struct relations *r, const char *name, bool open,
                    struct store **ret_store, char why[RELATION_WHY_MAX]);

/* The rows of a node; of a load or a file that is written those that it is
 * given. parents: the relations of the parents whose rows it
 * takes, in order. *ret_relation is r's. */
int relation_of(struct relations *r, uint32_t node,
                struct relation *const *parents, size_t parent_count,
                struct relation **ret_relation, char why[RELATION_WHY_MAX]);

/* The same rows in the transform database. */
int relation_local(struct relations *r, struct relation *from,
                   struct relation **ret_relation, char why[RELATION_WHY_MAX]);

/* from projected to a list of columns (OUT of DATA.md). */
int relation_project(struct relations *r, struct relation *from, uint32_t node,
                     const json_t *columns, struct relation **ret_relation,
                     char why[RELATION_WHY_MAX]);

/* from with each column cast to what the target's column of the same name
 * allows, in the target's order; every column of from has to be there. Computed
 * where from is. */
int relation_fit(struct relations *r, struct relation *from, uint32_t node,
                 const struct schema *target, struct relation **ret_relation,
                 char why[RELATION_WHY_MAX]);

/* A relation over rows that another unit left (handoff.h). */
int relation_source(struct relations *r, uint32_t node, struct feed *feed,
                    struct relation **ret_relation);

/* Opens the feed of a source. */
int source_open(struct relations *r, struct source *source,
                char why[RELATION_WHY_MAX]);
void source_close(struct source *source);

/* Marks a relation to be kept and gives the one that reads the table. */
int relation_keep(struct relations *r, struct relation *from,
                  struct relation **ret_relation, char why[RELATION_WHY_MAX]);

/* A new site's number, from 1; 0 are functions that say no site (of an
 * aggregate with DISTINCT). */
uint32_t relations_site(struct relations *r, uint32_t node, const char *column,
                        bool counts_only);
void relations_clear(struct relations *r);

#endif
