/*
 * workflow.h - a workflow: nodes, edges, and what may be wrong with them.
 *
 * One internal shape for the three document formats (workflow_json.h reads
 * them). This file knows graphs and kinds, not formats.
 *
 * Memory:  a workflow and all it points to live in one arena, freed together
 *          by workflow_free(). Strings are NUL-terminated UTF-8.
 * Threads: none; pure. Limits are arguments.
 * Errors:  0 or a negative errno; what a user must fix is returned as data,
 *          all problems at once (struct problems).
 */
#ifndef POLICY_WORKFLOW_H
#define POLICY_WORKFLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WORKFLOW_NODES_MAX = 10000, /* default of struct workflow_limits */
    WORKFLOW_EDGES_MAX = 100000,
    WORKFLOW_NAME_MAX = 256, /* bytes, also of node ids and tags */
    WORKFLOW_TAGS_MAX = 32,
    WORKFLOW_ENGINE_MAX = 64,     /* bytes of an engine's or connector's name */
    NODE_TIMEOUT_S_MAX = 2592000, /* 30 days */
    PROBLEMS_MAX = 100,           /* kept; more are only counted */
    PROBLEM_DETAIL_MAX = 1024,    /* bytes; longer details are cut */
    PROBLEM_POINTER_MAX = 2048, /* longer pointers lead to an enclosing value */
};

/* ---- problems: what the author of a document has to fix -------------- */

struct problem {
    char *pointer; /* RFC 6901 JSON pointer of the offending value, or of the
                      object that misses one: it always leads to something */
    char *code;    /* stable word: cycle, duplicate_id, unknown_kind, ...;
                      RULES.md lists them */
    char *detail;  /* a sentence: what is wrong and what to do; valid UTF-8
                      without control characters, whatever was put in */
};

struct problems {
    struct problem *items;
    size_t count;   /* in items, at most PROBLEMS_MAX */
    size_t dropped; /* found beyond that */
};

/* Adds one; detail is a printf format. Never fails visibly: without memory it
 * only counts in dropped. */
void problems_add(struct problems *problems, const char *pointer,
                  const char *code, const char *detail_fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* True when anything was found, kept or dropped. */
bool problems_any(const struct problems *problems);
/* Frees the contents (not the struct) and zeroes it. */
void problems_clear(struct problems *problems);

/* ---- kinds ----------------------------------------------------------- */

enum node_class {
    NODE_TASK,      /* command, http: neither reads nor shapes rows */
    NODE_DB,        /* reads or writes a data store */
    NODE_TRANSFORM, /* shapes rows */
    NODE_FILE,      /* reads or writes a file; not a database */
};

/* One row of the table of kinds: what a node of this kind may and must say in
 * the neutral format. Also the list that "unknown kind" suggests from. */
struct node_kind {
    const char *name; /* "command", "extract", ... */
    enum node_class class;
    const char *const *required;     /* NULL-terminated field names */
    const char *const *optional;     /* besides id, kind, label, repeatable,
                                        timeout_s: allowed everywhere */
    uint32_t inputs_min, inputs_max; /* parents that give rows; parents that
                                        do not (a command) only come before */
    bool gives_rows;                 /* to its children */
};

/* NULL when there is no such kind. Knows the aliases: "expression" is map,
 * "group" is aggregate. */
const struct node_kind *node_kind_find(const char *name);
/* Does it bring rows in from outside: extract, csv_read, jsonl_read? */
bool node_kind_is_source(const struct node_kind *kind);
/* The whole table, *ret_count rows. */
const struct node_kind *node_kinds(size_t *ret_count);

/* ---- the workflow ---------------------------------------------------- */

enum workflow_shape { SHAPE_NEUTRAL, SHAPE_REACT_FLOW, SHAPE_CONNECTION_V1 };
const char *workflow_shape_name(enum workflow_shape shape);

struct node {
    char *id;
    const struct node_kind *kind;
    char *label;            /* for people; the id when the document has none */
    char *pointer;          /* where in the document it came from */
    char *config_json;      /* its own fields, one compact JSON object */
    const char *engine;     /* database engine when the document names one
                              ("postgresql", "mysql"), else NULL */
    const char *connection; /* what it reads or writes is called so by agents;
                               NULL: nothing */
    bool repeatable;        /* a second execution does no harm: so for all but
                               tasks, unless the document says otherwise */
    uint32_t timeout_ms;    /* 0: none */
    int64_t size_bytes;     /* declared for this source, -1: not */
};

struct edge {
    uint32_t source, target; /* indices of nodes */
};

struct workflow {
    char *id; /* NULL when the document has none */
    char *name;
    const char *pointer; /* where in a request the document is; NULL: "" */
    enum workflow_shape shape;
    bool edges_inferred; /* from sequence numbers: see RULES.md */
    bool incomplete;     /* a reader left out nodes or edges it had to refuse,
                            so inputs cannot be counted */
    struct node *nodes;
    size_t node_count;
    struct edge *edges; /* document order: a join's first is its left side.
                           workflow_validate() drops repetitions */
    size_t edge_count;
    char **tags;
    size_t tag_count;
    int64_t size_bytes; /* declared; the sum of the sources' where only those
                           are declared; -1: not declared */
    char *priority;     /* as the document says, or NULL */
    uint32_t *order;    /* node indices, every parent before its children,
                           document order among equals; NULL until
                           workflow_validate() found no cycle */
    struct workflow_arena *arena; /* owns everything above */
};

struct workflow_limits {
    size_t nodes_max, edges_max;
};
extern const struct workflow_limits workflow_limits_default;

/* A new empty workflow. NULL: no memory. */
struct workflow *workflow_new(void);
/* Frees *wf_p and sets it to NULL. NULL in *wf_p is fine. */
void workflow_free(struct workflow **wf_p);
/* Zeroed memory that lives as long as wf. NULL: no memory. */
void *workflow_alloc(struct workflow *wf, size_t bytes);
char *workflow_strdup(struct workflow *wf, const char *text);

/* Looks for everything wrong with the graph: no nodes, empty or overlong name,
 * duplicate ids, cycles (one problem for every edge that closes a circle, with
 * the path, a -> b -> a), too many nodes or edges, nodes with too few or too
 * many inputs. Sets wf->order when there is no cycle. Iterative: the depth of a
 * graph costs no stack; O((nodes + edges) log nodes). -ENOMEM. */
int workflow_validate(struct workflow *wf, const struct workflow_limits *limits,
                      struct problems *problems);

/* What an agent must announce to be able to execute wf: "kind:command",
 * "kind:extract", "connection:shop", "engine:mysql"... sorted, unique, in wf's
 * arena. "engine:" appears only for engines that are not built in
 * (engine_is_built_in()); one that is, is only a hint: what a connection is
 * made of, the agent knows. -ENOMEM. */
int workflow_requires(struct workflow *wf, const char *const **ret_names,
                      size_t *ret_count);

/* Sorted node indices by id, for workflow_find(); in wf's arena. -ENOMEM. */
int workflow_sort_ids(struct workflow *wf, const uint32_t **ret_sorted);
/* The first node in document order with this id. */
bool workflow_find(const struct workflow *wf, const uint32_t *sorted,
                   const char *id, uint32_t *ret_node);

/* One side of the graph, indexed: the edges that leave (or enter) node n are
 * edges[first[n]] .. edges[first[n + 1] - 1], as indices into wf->edges, in
 * document order. */
struct workflow_links {
    uint32_t *first, *edges;
};
enum workflow_side { SIDE_CHILDREN, SIDE_PARENTS };
/* -ENOMEM. To be given to workflow_links_free(). */
int workflow_links(const struct workflow *wf, enum workflow_side side,
                   struct workflow_links *ret_links);
void workflow_links_free(struct workflow_links *links);

/* The engine family that executes a connector name, "timescale" ->
 * "postgresql"; the name itself, lower-cased and with "-" for spaces, when it
 * is of no known family. Returned string is static or stored in wf's arena.
 * NULL: no memory. */
const char *engine_of_connector(struct workflow *wf, const char *connector);
/* True for the families that connectors are mapped to. */
bool engine_is_known(const char *engine);
/* postgresql and sqlite. */
bool engine_is_built_in(const char *engine);

/* True when every node is repeatable. */
bool workflow_repeatable(const struct workflow *wf);

#endif
