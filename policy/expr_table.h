/*
 * expr_table.h - the functions and type names of expressions, for expr.c: what
 * expr_functions() and expr_type() give, with the other names that people know
 * them by, and why some are refused.
 *
 * Memory:  all static. Threads: none; pure.
 */
#ifndef POLICY_EXPR_TABLE_H
#define POLICY_EXPR_TABLE_H

#include "policy/expr.h"

/* By its name or another that it goes by, in any case. "iif" is found too,
 * though a tree never has it (it becomes a case). NULL: none. */
const struct expr_function *expr_function_find(const char *word);
/* A function that other systems have: what to write here instead, as the end
 * of a sentence. NULL: not one that we know of. */
const char *expr_function_instead(const char *word);
/* The name that was probably meant, or NULL. */
const char *expr_function_near(const char *word);

struct expr_type_parts {
    const char *type;
    int precision, scale; /* of a decimal; -1: not said */
    int length;           /* of a text in characters; -1: any */
    int fraction;         /* of a time, digits of its seconds; -1: not said */
};

/* expr_type() with all that the name says. False: not a type we know. */
bool expr_type_read(const char *name, struct expr_type_parts *ret_parts);
/* The name that was probably meant, or NULL. */
const char *expr_type_near(const char *word);

#endif
