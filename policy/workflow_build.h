/*
 * workflow_build.h - what the readers of the three document formats share. Only
 * they include it.
 *
 * A reader never stops at the first mistake: it reports, leaves the value out
 * and goes on. Running out of memory is noted in no_memory and looked at once,
 * at the end; until then every function here copes with what is missing.
 */
#ifndef POLICY_WORKFLOW_BUILD_H
#define POLICY_WORKFLOW_BUILD_H

#include "policy/workflow.h"

#include <jansson.h>

/* What a join wants to know of the nodes before it (workflow_v1_join.c). */
struct node_hint {
    const char *table;        /* read or written by this node */
    const char *left, *right; /* tables a join names as its sides */
};

struct build {
    struct workflow *wf;
    struct workflow *scratch; /* its arena goes when the reading ends */
    struct problems *problems;
    const struct workflow_limits *limits;
    const uint32_t *by_id;   /* after build_index() */
    struct node_hint *hints; /* of wf->nodes, in scratch */
    size_t node_room, edge_room;
    size_t expression_bytes;  /* so far */
    bool too_much_expression; /* reported */
    bool nodes_unread;        /* the nodes as a whole were refused: whatever the
                                 edges name, nothing is said about it */
    bool too_many_edges;      /* reported */
    bool no_memory;
};

struct guess;

/* ---- pointers (RFC 6901), in scratch; base itself without memory ----- */

const char *pointer_key(struct build *b, const char *base, const char *key);
const char *pointer_index(struct build *b, const char *base, size_t index);

/* ---- values ---------------------------------------------------------- */

/* "a string", "an object", ... */
const char *json_type_name(const json_t *value);

/* Without blanks, control characters and no-break spaces at both ends. */
void build_trim(const char **text, size_t *bytes);

/* Sets a key; takes value, which may be NULL (then nothing happens but that no
 * memory is noted). */
void build_put(struct build *b, json_t *object, const char *key, json_t *value);

/* True for an array of 1..max items; else a problem that calls the items
 * of_what. */
bool build_list(struct build *b, const json_t *value, const char *pointer,
                const char *of_what, size_t max);

/* The string, when it is one of 1..max bytes without NUL; else a problem. */
const char *build_long_text(struct build *b, const json_t *value,
                            const char *pointer, size_t max);

/* A problem at pointer: `a` (say, "a filter node") has no field called so. */
void build_unknown_key(struct build *b, const char *pointer, const char *a,
                       struct guess *guess);

/* A string that can be shown and compared: 1..max bytes, no control
 * characters, no NUL. A copy, or NULL and a problem at pointer. */
char *build_text(struct build *b, const json_t *value, const char *pointer,
                 size_t max);

/* A string for people: control characters become spaces, too long is cut,
 * blank ends are trimmed. NULL when nothing is left, or not a string. */
char *build_label(struct build *b, const json_t *value);

/* The string without white space and no-break spaces at its ends, lower-case:
 * how foreign documents' types are compared. NULL: no string, or nothing
 * left. */
char *build_word(struct build *b, const json_t *value);

/* Whole bytes >= 0 (an integer, or a real without fraction), or -1 and a
 * problem. */
int64_t build_size(struct build *b, const json_t *value, const char *pointer);

/* JSON that may be encoded again inside a string: a new reference to what is
 * inside, or NULL and a problem. */
json_t *build_open(struct build *b, json_t *value, const char *pointer);

/* Parses text; broken text is a problem with line and column. `inside` says
 * that the text itself is a string of the document. */
json_t *build_parse(struct build *b, const char *text, size_t bytes,
                    const char *pointer, bool inside);

/* How many were found so far. */
size_t build_problem_count(const struct build *b);

/* A problem at pointer: this value ought to be `wanted` ("an object"). */
void build_wrong_type(struct build *b, const json_t *value, const char *pointer,
                      const char *wanted);

/* Compact text of value in the arena. NULL: no memory. */
char *build_dump(struct build *b, const json_t *value);

/* ---- suggestions ----------------------------------------------------- */

struct guess {
    const char *word, *best;
    size_t distance;
};
void guess_try(struct guess *guess, const char *candidate);
void guess_try_all(struct guess *guess, const char *const *candidates);
enum { GUESS_TEXT_MAX = 64 };
/* "; did you mean \"argv\"?", or "". */
const char *guess_text(const struct guess *guess, char buf[GUESS_TEXT_MAX]);

/* ---- the head -------------------------------------------------------- */

void build_tags(struct build *b, const json_t *value, const char *pointer,
                bool from_text);
void build_priority(struct build *b, const json_t *value, const char *pointer);

/* id, name, tags, size and priority of a foreign document, where it has them;
 * a name is made up when there is none. */
void build_foreign_head(struct build *b, const json_t *document);

/* ---- the graph ------------------------------------------------------- */

/* Room for so many nodes and edges (never more than the limits allow). */
void build_room_nodes(struct build *b, size_t count, const char *pointer);
void build_room_edges(struct build *b, size_t count, const char *pointer);

/* The "id" of a node's object at pointer. NULL and a problem: it has none. */
char *build_node_id(struct build *b, const json_t *object, const char *pointer);

/* Adds a node; id and pointer live in the arena. NULL when it cannot be
 * added, which is reported. */
struct node *build_node(struct build *b, char *id, const char *pointer);

/* To be called between the last node and the first edge. */
void build_index(struct build *b);
bool build_find(const struct build *b, const char *id, uint32_t *ret_node);

/* Adds an edge; one from a node to itself is a problem at pointer. */
void build_edge(struct build *b, uint32_t source, uint32_t target,
                const char *pointer);

/* Looks up an end of an edge by its id; a stranger is a problem. */
bool build_edge_end(struct build *b, const json_t *id, const char *pointer,
                    uint32_t *ret_node);

/* The hints of a node, or NULL when it takes no part in the graph. */
struct node_hint *build_hint(struct build *b, const struct node *node);

/* When the document declares no size: the sum of what its sources declare. */
void build_sum_sizes(struct build *b);

/* What a foreign document says a node is: a category ("Databases",
 * "Transformations") and a type ("timescale", "sorter"), either of which may be
 * missing. A database node that `writes` is a load, any other an extract.
 * False and a problem when there is no such thing. `base` leads to the object
 * with these two keys. */
struct foreign_type {
    const char *category_key, *type_key;
    bool writes;
};
bool build_foreign_type(struct build *b, struct node *node,
                        const json_t *object, const char *base,
                        const struct foreign_type *type);

/* ---- a node's fields ------------------------------------------------- */

/* Checks `fields` against the node's kind and fills the node from them:
 * its time-out, repeatable, size_bytes, connection and config_json. `base`
 * leads to fields. Unknown fields are problems, unless lenient: then they say
 * nothing. `skip`: fields already read. */
void build_fields(struct build *b, struct node *node, json_t *fields,
                  const char *base, bool lenient, const char *const *skip);

/* ---- the readers ----------------------------------------------------- */

void read_neutral(struct build *b, json_t *document);
void read_react_flow(struct build *b, json_t *document);
void read_connection_v1(struct build *b, json_t *document);

#endif
