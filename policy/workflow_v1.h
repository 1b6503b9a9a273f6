/*
 * workflow_v1.h - the nodes of connectionInformation_v1 (workflow_v1.c reads
 * the document around them): what dbDetails, transformations and field_mapping
 * say becomes the configuration of agents/DATA.md. Only the readers of
 * documents include it; conventions as in workflow_build.h.
 *
 * Everything may be missing in documents of this kind, null, "" or {}: then it
 * says nothing. What says something and cannot be understood is a problem.
 */
#ifndef POLICY_WORKFLOW_V1_H
#define POLICY_WORKFLOW_V1_H

#include "policy/workflow_data.h"

/* What a transformation says of one column. Strings are in scratch or the
 * document's, at least as long as the reading. */
struct v1_column {
    json_t *item;     /* as the document has it */
    const char *at;   /* and where */
    const char *name; /* of what comes out */
    const char *from; /* of what goes in */
    const char *table;
    const char *text; /* the expression, untrimmed; NULL: none, or a blank one,
                         or just the column's own name */
    size_t bytes;     /* of it */
    const char *text_at;
    bool selected, group, sort;
};

/* One node being read. */
struct v1_node {
    struct node *out;
    const json_t *details, *transformations, *mapping; /* NULL: nothing said */
    const char *at, *details_at, *transformations_at, *mapping_at;
    struct v1_column *columns; /* in scratch */
    size_t column_count;
    json_t *asked;  /* the columns that the mapping asks for, as keys */
    json_t *done;   /* its expressions, as keys: see v1_note_done() */
    json_t *config; /* what comes of it */
    bool mapped;    /* the mapping has been read as something else than what
                       is given out */
};

/* Fills node, whose kind is known, from object: dbDetails, transformations,
 * field_mapping. */
void v1_configure(struct build *b, struct node *node, const json_t *object,
                  const char *at);

/* Once the edges are known: puts first the edge of each join's left side, the
 * parent whose rows come from its source_table, when that can be told. */
void v1_order_joins(struct build *b);

/* ---- for one another ------------------------------------------------- */

/* Fills all of v1 but out, at and what comes of it. */
void v1_read_parts(struct build *b, struct v1_node *v1, const json_t *object);

/* The object (or array) under key when it says anything; NULL otherwise, with a
 * problem when it is neither that nor blank. *ret_at leads to it, or to object
 * when there is no such key. */
json_t *v1_part(struct build *b, const json_t *object, const char *at,
                const char *key, bool array, const char **ret_at);
/* Without blank ends, in scratch; NULL: blank, or not a name (a problem, unless
 * at is NULL: then another reading of it reports). */
const char *v1_name(struct build *b, const json_t *object, const char *at,
                    const char *key);
/* Lower-case, without blanks, "-" and "_": "Left Outer Join" is
 * "leftouterjoin". "": nothing said. */
const char *v1_word(struct build *b, const json_t *object, const char *key);
/* true, "true", "yes", 1. */
bool v1_flag(const json_t *object, const char *key);
/* The text of an expression, a string or {"value": string}; NULL: blank. */
const char *v1_expression(struct build *b, const json_t *object, const char *at,
                          const char *key, size_t *ret_bytes,
                          const char **ret_at);

/* Expressions that the node itself computes are often repeated in its mapping:
 * there they are not to be computed once more. */
void v1_note_done(struct build *b, struct v1_node *v1, const char *text,
                  size_t bytes);

/* One column of a list, in the order of the document. */
json_t *v1_out(struct build *b, const char *name, const char *column,
               json_t *expr);
void v1_append(struct build *b, json_t *list, json_t *item);

/* The mapping as a list of columns; NULL: there is none. Join: sides are told
 * where they can be. */
struct v1_join {
    const char *source, *target; /* tables; NULL: not said */
    const json_t *tables; /* column -> table, of the columns the join lists */
    const json_t *on;     /* the keys, as the plan has them */
    bool prefers_right;   /* where both sides have a column */
};
json_t *v1_mapping(struct build *b, struct v1_node *v1, enum expr_use use,
                   const struct v1_join *join);

/* A problem at the node's transformations: what they do not say. */
void v1_missing(struct build *b, const struct v1_node *v1, const char *what);

/* Only a filter knows conditions; to leave out a condition of a join or of a
 * group would give rows that nobody asked for. */
void v1_refuse_conditions(struct build *b, const struct v1_node *v1);

void v1_sort(struct build *b, struct v1_node *v1);
void v1_filter(struct build *b, struct v1_node *v1);
void v1_join(struct build *b, struct v1_node *v1);
/* Is this the table that is meant, "public.orders" or "Orders"? */
bool v1_same_table(const char *table, const char *wanted);

#endif
