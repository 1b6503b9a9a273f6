/*
 * expr_table.h - the functions of expressions: what they take and give, and
 * what each engine calls them. A name has a row for each way to call it; the
 * first one whose parameters take the arguments is meant, so that the order of
 * rows says what is preferred (abs of an integer is an integer).
 *
 * expr.c chooses the row and converts the arguments, expr_print.c prints it,
 * and functions.h registers what the SQLite forms call: dp_NAME(site, ...),
 * with the arguments of the types said here, each of them NULL at times.
 *
 * Memory:  all static. Threads: none; pure.
 */
#ifndef AGENTS_EXPR_TABLE_H
#define AGENTS_EXPR_TABLE_H

#include "agents/schema.h"

#include <stddef.h>

enum {
    EXPR_PARAMS_MAX = 3,
    EXPR_ARGS_MAX =
        100,        /* as the policy has it; SQLite takes 127 with the site */
    EXPR_PARTS = 8, /* enum civil_part: year .. microsecond */
};

/* What a parameter takes. A type takes also what is promoted to it without
 * loss: integer -> decimal -> double, date -> timestamp -> timestamptz, a NULL,
 * and a text literal that is one. */
enum expr_param {
    PARAM_END,              /* no more */
    PARAM_TEXT = TYPE_TEXT, /* the types themselves */
    PARAM_INTEGER = TYPE_INTEGER,
    PARAM_DECIMAL = TYPE_DECIMAL,
    PARAM_DOUBLE = TYPE_DOUBLE,
    PARAM_BOOLEAN = TYPE_BOOLEAN,
    PARAM_DATE = TYPE_DATE,
    PARAM_TIMESTAMP = TYPE_TIMESTAMP,
    PARAM_TIMESTAMPTZ = TYPE_TIMESTAMPTZ,
    PARAM_BYTES = TYPE_BYTES,
    PARAM_ANY,        /* anything, as it is */
    PARAM_COMMON,     /* all of these get one common type */
    PARAM_TO_TEXT,    /* anything, cast to text */
    PARAM_TO_DECIMAL, /* any number, cast to decimal */
    PARAM_TO_DATE,    /* a date or timestamp, cast to date */
    PARAM_PART,       /* a text literal: the name of a part of a time */
    PARAM_DAY_PART,   /* year, month or day */
    PARAM_FRACTION,   /* second, millisecond or microsecond, or 0 to 6 */
};

/* TYPES as a result: the type of the PARAM_ANY or PARAM_COMMON argument. */

struct expr_row {
    const char *name;
    int args_min, args_max;
    unsigned char params[EXPR_PARAMS_MAX]; /* the last one is repeated */
    unsigned char result;
    /* SQLite's form. A bare name is called with the site and the arguments;
     * otherwise a form in which $1, $2, ... are arguments, $s the site, $* all
     * arguments and $n the present time. */
    const char *lite;
    const char *lite_decimal; /* instead, when the result is a decimal */
    /* PostgreSQL's, of the same kind; $c is all arguments, each with COLLATE
     * "C" if it is text. Every integer has to be a bigint. NULL: none. */
    const char *postgres;
    /* Instead of postgres: by the PARAM_PART argument; entries may be NULL. */
    const char *const *postgres_parts;
    bool aggregate;
    bool varies; /* another value each time */
};

/* The rows of a name are neighbours. NULL: no such function. *ret_count: how
 * many. */
const struct expr_row *expr_rows(const char *name, bool aggregate,
                                 size_t *ret_count);

#endif
