/*
 * expr_literal.h - numbers and dates as people write them, in the one form
 * that a tree has. Used by expr.c only.
 *
 * Memory:  the caller's buffers.
 * Threads: none; pure.
 */
#ifndef POLICY_EXPR_LITERAL_H
#define POLICY_EXPR_LITERAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LITERAL_DIGITS_MAX = 1000, /* of a decimal: what agents calculate with */
    LITERAL_EXPONENT_MAX = 100,
    LITERAL_NUMBER_MAX = LITERAL_DIGITS_MAX + 2,
    LITERAL_TIME_MAX = 40,
};

enum literal_number {
    LITERAL_INTEGER, /* *ret_integer */
    LITERAL_DECIMAL, /* ret_decimal: digits[.digits], no leading zeros */
    LITERAL_EXPONENT_TOO_LARGE,
    LITERAL_TOO_LONG,
};

/* text: digits[.[digits]] or .digits, maybe e[+-]digits behind. */
enum literal_number literal_number(const char *text, size_t bytes,
                                   int64_t *ret_integer,
                                   char ret_decimal[LITERAL_NUMBER_MAX]);

enum literal_time {
    LITERAL_DATE,        /* YYYY-MM-DD */
    LITERAL_TIMESTAMP,   /* YYYY-MM-DD[( |T)HH:MM[:SS[.ffffff]]] */
    LITERAL_TIMESTAMPTZ, /* the same with Z, +HH, +HHMM or +HH:MM behind */
};

/* A day that the calendar has, years 1 to 9999 (in UTC too). ret_time is
 * written out: "2024-01-31 10:00:00.5+02", a fraction without zeros at its end.
 * NULL, or why not: the second half of a sentence. */
const char *literal_time(enum literal_time kind, const char *text, size_t bytes,
                         char ret_time[LITERAL_TIME_MAX]);

#endif
