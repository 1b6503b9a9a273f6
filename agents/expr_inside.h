/*
 * expr_inside.h - what the files that expr.h is made of share: the nodes of a
 * typed tree. expr.c reads trees, expr_column.c finds columns, expr_type.c
 * decides what goes together, expr_call.c chooses functions, expr_print.c and
 * expr_print_pg.c print. Only they include it.
 *
 * In a typed tree the arguments of an operator have the type that it works on:
 * where they had another, there is a cast that nobody wrote (implicit), or the
 * literal was converted.
 */
#ifndef AGENTS_EXPR_INSIDE_H
#define AGENTS_EXPR_INSIDE_H

#include "agents/expr.h"
#include "agents/expr_table.h"

#include <stdarg.h>

enum expr_op {
    OP_COLUMN,
    OP_LITERAL,
    OP_NEG,
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_MOD,
    OP_CONCAT,
    OP_EQ,
    OP_NE,
    OP_LT,
    OP_LE,
    OP_GT,
    OP_GE,
    OP_DISTINCT,
    OP_AND,
    OP_OR,
    OP_NOT,
    OP_ISNULL,
    OP_IN,
    OP_BETWEEN,
    OP_LIKE,
    OP_ILIKE,
    OP_CASE, /* condition, value, condition, value, ..., otherwise */
    OP_CAST,
    OP_CALL,
    OP_AGGREGATE, /* without an argument: count(*) */
};

struct expr {
    enum expr_op op;
    enum type type;
    struct expr **args;
    size_t count;

    /* A column's name; a literal's value unless it is one of those below. */
    char *text;
    size_t len;
    int64_t integer; /* literals of type integer and boolean */
    double real;     /* literals of type double */
    bool null;       /* the literal NULL */
    bool untyped;    /* a text literal as it was written: it takes the type of
                        what it meets */

    size_t side, index; /* a column's place */
    char *alias, *native;
    /* What a column's or a cast's values are known to be within. */
    int bits, precision, scale, length;
    bool not_null; /* a cast that refuses NULL */
    bool implicit; /* a cast that nobody wrote */

    const struct expr_row *row; /* call, aggregate */
    int part; /* its part of a time (enum civil_part), or systimestamp's digits
                 behind the point */
    bool distinct;
};

/* What happens on the way: the first error, and a sentence about it. */
struct expr_maker {
    const struct expr_side *sides;
    size_t side_count;
    bool aggregate, in_aggregate;
    size_t nodes;
    char *why; /* EXPR_WHY_MAX */
    int error; /* 0, -EINVAL, -ENOMEM */
};

/* Notes -EINVAL with a sentence, unless something was noted before; false and
 * NULL respectively, for returning. */
bool maker_fail(struct expr_maker *maker, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
bool maker_no_memory(struct expr_maker *maker);

/* ---- expr.c ---------------------------------------------------------- */

/* Room for `room` arguments. NULL: no memory. */
struct expr *expr_node(enum expr_op op, size_t room);
/* Half a tree is fine. */
void expr_drop(struct expr *expr);

/* ---- expr_column.c --------------------------------------------------- */

/* qualifier may be NULL. NULL when noted. */
struct expr *expr_find_column(struct expr_maker *maker, const char *name,
                              const char *qualifier);

/* ---- expr_type.c: each false when noted ------------------------------- */

enum { EXPR_DESCRIBED_MAX = 120 };
/* "\"qty\" (integer)", for messages. Returns buf. */
const char *expr_describe(const struct expr *expr,
                          char buf[EXPR_DESCRIBED_MAX]);
/* "an integer" */
const char *type_with_article(enum type type);

/* Promotes or converts a literal; a type that does not go there is an error of
 * `what` ("compare"). */
bool expr_convert(struct expr_maker *maker, struct expr **expr_p, enum type to);
/* Would expr_convert() do? */
bool expr_converts(const struct expr *expr, enum type to);
/* A cast, also where it may lose something. to: as in expr_cast(). */
bool expr_convert_explicit(struct expr_maker *maker, struct expr **expr_p,
                           const struct column *to, bool implicit);
bool expr_can_cast(enum type from, enum type to);
/* All to their common type. what: "compare", for messages. */
bool expr_common(struct expr_maker *maker, struct expr **args, size_t count,
                 size_t step, const char *what, enum type *ret_type);
bool expr_condition(struct expr_maker *maker, struct expr **expr_p);
/* Sets the types of a node whose arguments are read. */
bool expr_type_arithmetic(struct expr_maker *maker, struct expr *expr);
bool expr_type_neg(struct expr_maker *maker, struct expr **expr_p);
bool expr_type_concat(struct expr_maker *maker, struct expr *expr);
bool expr_type_like(struct expr_maker *maker, struct expr *expr);

/* ---- expr_call.c ------------------------------------------------------ */

/* Chooses the row of a call or aggregate and converts its arguments. */
bool expr_type_call(struct expr_maker *maker, struct expr *expr,
                    const char *name);

/* ---- expr_print.c ----------------------------------------------------- */

struct text;

/* The present moment to so many digits, as schema.h has a timestamptz. */
void expr_print_now(const struct expr *expr, const char *now, struct text *to);
/* What stands between: " AND ", "<=". NULL: not an operator of that kind. */
const char *expr_operator(enum expr_op op);

#endif
