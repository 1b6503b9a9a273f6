/*
 * expr.h - the language of expressions in documents: text to a tree.
 *
 * Text that people write (a filter's predicate, a computed column) is parsed
 * here, once, when a document is validated; what an agent gets is the tree, and
 * what a database gets is printed from the tree. The text itself never reaches
 * a database. EXPRESSIONS.md beside this file is the reference for people.
 *
 * The tree is JSON, every node an array [op, operands...]:
 *
 *   ["col", name]  ["col", name, qualifier]
 *   ["int", 5]  ["dec", "1.50"]  ["text", "abc"]  ["bool", true]  ["null"]
 *   ["date", "2024-01-31"]  ["timestamp", "2024-01-31 10:00:00.5"]
 *   ["timestamptz", "2024-01-31 10:00:00+02"]
 *   ["neg", x]  ["add"|"sub"|"mul"|"div"|"mod"|"concat", a, b]
 *   ["eq"|"ne"|"lt"|"le"|"gt"|"ge", a, b]  ["distinct", a, b]
 *   ["and", a, b, ...]  ["or", a, b, ...]  ["not", a]  ["isnull", a]
 *   ["in", a, b1, b2, ...]  ["between", a, low, high]
 *   ["like"|"ilike", a, pattern]  ["like"|"ilike", a, pattern, escape]
 *   ["case", [[condition, value], ...], otherwise]
 *   ["cast", a, TYPE]  TYPE: "integer" "double" "text" "boolean" "date"
 *                      "timestamp" "timestamptz" "bytes" "decimal", the last
 *                      also as "decimal", precision, scale
 *   ["call", function, a, ...]   function: lower-case, aliases resolved
 *   ["agg", function, distinct, a]  ["agg", "count", false]   count(*)
 *
 * NOT IN, IS NOT NULL and the like are ["not", ...] around the plain form; a
 * simple CASE x WHEN is written out as eq; "and"/"or" are flat; a missing ELSE
 * is ["null"]; iif() is a "case"; x::varchar(3) is left(cast(x as text), 3); an
 * escape is a "text" of one character or none. Dates and times are written out
 * to the second, a fraction without zeros at its end. An integer that does not
 * fit 64 bits is a "dec", as is any number with a point or an exponent (written
 * out, without the exponent).
 *
 * Memory:  trees are jansson references, the caller's.
 * Threads: none; pure.
 * Limits:  EXPR_BYTES_MAX of text, EXPR_DEPTH_MAX levels of tree,
 *          EXPR_NODES_MAX nodes; beyond is an error with a position.
 */
#ifndef POLICY_EXPR_H
#define POLICY_EXPR_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum {
    EXPR_BYTES_MAX = 64 * 1024,
    EXPR_DEPTH_MAX = 200,
    EXPR_NODES_MAX = 20000,
    EXPR_WHAT_MAX = 300,
};

enum expr_use {
    EXPR_VALUE,     /* no aggregate functions */
    EXPR_AGGREGATE, /* aggregates allowed, not nested in one another */
};

struct expr_error {
    size_t line, column;      /* both from 1; columns count characters */
    char what[EXPR_WHAT_MAX]; /* a sentence without position: what is wrong,
                                 and what to do about it */
};

/* *ret_tree is a new reference. White space and no-break spaces around the
 * text are ignored. -EINVAL: *ret_error says what and where. -ENOMEM. */
int expr_parse(const char *text, size_t bytes, enum expr_use use,
               json_t **ret_tree, struct expr_error *ret_error);

/* The canonical type of a type's name, as databases call them ("character
 * varying(20)", "int8", "NUMERIC(10,2)", "timestamp with time zone"): one of
 * the words above; *ret_precision and *ret_scale are -1 unless it is a decimal
 * that has them. NULL: not a type we know. */
const char *expr_type(const char *name, int *ret_precision, int *ret_scale);

/* One row of the table of functions. */
struct expr_function {
    const char *name; /* canonical, lower-case */
    int args_min, args_max;
    bool aggregate;
};
const struct expr_function *expr_functions(size_t *ret_count);

#endif
