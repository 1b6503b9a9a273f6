/*
 * workflow_data.h - what nodes that read, shape and write rows say, as the plan
 * has it: agents/DATA.md, section 1, is the contract. Only the readers of
 * documents include it; conventions as in workflow_build.h.
 *
 * Functions that give a json_t give a new reference. NULL means that the value
 * is left out: a problem was added, or there was no memory (noted in b).
 */
#ifndef POLICY_WORKFLOW_DATA_H
#define POLICY_WORKFLOW_DATA_H

#include "policy/expr.h"
#include "policy/workflow_build.h"

enum {
    DATA_NAME_MAX = 255,       /* bytes of a column's or a table's name */
    DATA_CONNECTION_MAX = 100, /* and of a connection's */
    DATA_ITEMS_MAX = 1600,     /* of any list here: an agent's most columns */
    DATA_EXPRESSIONS_MAX = 1024 * 1024, /* bytes of a document's expressions */
    DATA_PRECISION_MAX = 1000,          /* digits of a decimal */
};

/* Where a field stands. lenient: a foreign document, in whose lists unknown
 * keys, null and "" say nothing. */
struct data_place {
    const struct node_kind *kind;
    const char *pointer;
    bool lenient;
};

/* ---- expressions ----------------------------------------------------- */

/* The tree of a text at pointer. `added`: characters that the caller put before
 * what the document says, not to be counted in positions. */
json_t *data_tree(struct build *b, const char *text, size_t bytes, size_t added,
                  enum expr_use use, const char *pointer);

/* {"text", "tree"}; takes tree (NULL: gives NULL). */
json_t *data_expr(struct build *b, const char *text, size_t bytes,
                  json_t *tree);

/* Both, of a value that must be a string. */
json_t *data_read_expr(struct build *b, const json_t *value, enum expr_use use,
                       const char *pointer);

/* ---- names and types ------------------------------------------------- */

/* False and a problem: not a name of a table or a column. */
bool data_check_name(struct build *b, const json_t *value, const char *pointer);
/* The same of a connection. */
bool data_check_connection(struct build *b, const json_t *value,
                           const char *pointer);

/* Notes name in seen, an object. False and a problem at pointer: it was there
 * already. */
bool data_new_name(struct build *b, json_t *seen, const char *name,
                   const char *pointer);

/* Sets "type", "precision" and "scale" of out from the name of a type. False:
 * not one we know, or a decimal that cannot be; nothing is reported. */
bool data_put_type(struct build *b, json_t *out, const char *type);

/* "=" and the like, from however it is written ("<>", "==", with blanks); NULL:
 * not an operator that compares. */
const char *data_operator(const char *written);

/* ---- fields ---------------------------------------------------------- */

json_t *data_where(struct build *b, const struct data_place *place,
                   json_t *value);
json_t *data_columns(struct build *b, const struct data_place *place,
                     json_t *value);
json_t *data_names(struct build *b, const struct data_place *place,
                   json_t *value);
json_t *data_by(struct build *b, const struct data_place *place, json_t *value);
json_t *data_on(struct build *b, const struct data_place *place, json_t *value);
/* A query without semicolons at its end. */
json_t *data_sql(struct build *b, const struct data_place *place,
                 json_t *value);

/* One item of a sort's list. */
json_t *data_by_item(struct build *b, const char *column, bool descending,
                     const char *nulls);

/* Sets what the configuration of a node of this kind always has. */
void data_defaults(struct build *b, const struct node_kind *kind,
                   json_t *config);

/* Takes the configuration over into the node: its text, its connection, what a
 * join may want to know. */
void data_finish(struct build *b, struct node *node, const json_t *config,
                 const char *pointer);

/* Once the edges are known: a sequence counts when it has no input. */
void data_check_graph(struct build *b);

#endif
