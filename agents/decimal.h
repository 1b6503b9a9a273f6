/*
 * decimal.h - exact decimal numbers: an integer and how many of its digits
 * stand behind the point. Results and their scales are those of PostgreSQL's
 * numeric. What fits 128 bits is computed there; the rest is left to GMP.
 *
 * Memory:  a struct decimal begins as {0}, which is 0, and ends with
 *          decimal_clear(). A result may be one of the operands. On failure
 *          the result is some valid number.
 * Threads: none; pure.
 * Errors:  0 or a negative errno. -ERANGE: more than DECIMAL_DIGITS_MAX digits;
 *          -EDOM: division by zero; -EINVAL: no number. GMP aborts the process
 *          when there is no memory, as for numbers of this size there is.
 */
#ifndef AGENTS_DECIMAL_H
#define AGENTS_DECIMAL_H

#include "agents/schema.h"

#include <gmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of 8 bytes' alignment, so that a decimal may live in memory of SQLite's. */
__extension__ typedef __int128 decimal_small __attribute__((aligned(8)));

/* The fields are decimal.c's own. */
struct decimal {
    decimal_small small; /* the digits, unless big */
    mpz_t large;         /* initialised when has_large */
    int scale;           /* digits behind the point, 0 .. 1000 */
    bool big, has_large;
};

enum {
    DECIMAL_ROOM = DECIMAL_DIGITS_MAX + 8, /* of a number's text and its NUL */
};

void decimal_clear(struct decimal *number);
/* to becomes a copy of from. */
void decimal_set(struct decimal *to, const struct decimal *from);

/* Blanks around, a sign, digits with or without a point, an exponent: what
 * PostgreSQL reads as numeric, without NaN and infinities. 1e3 has scale 0,
 * 1.50 scale 2, 1e-3 scale 3. */
int decimal_parse(struct decimal *to, const char *text, size_t len);
/* Canonical: -?digits[.digits]. Returns the length. */
size_t decimal_print(const struct decimal *number, char to[DECIMAL_ROOM]);

int decimal_add(struct decimal *to, const struct decimal *a,
                const struct decimal *b);
int decimal_sub(struct decimal *to, const struct decimal *a,
                const struct decimal *b);
int decimal_mul(struct decimal *to, const struct decimal *a,
                const struct decimal *b);
/* At least 16 significant digits, and no fewer behind the point than either
 * has. -EDOM. */
int decimal_div(struct decimal *to, const struct decimal *a,
                const struct decimal *b);
/* The sign of a. -EDOM. */
int decimal_mod(struct decimal *to, const struct decimal *a,
                const struct decimal *b);
void decimal_neg(struct decimal *number);
void decimal_abs(struct decimal *number);

enum decimal_rounding {
    DECIMAL_HALF_AWAY,    /* from zero: round() */
    DECIMAL_TOWARDS_ZERO, /* trunc() */
    DECIMAL_UP,           /* ceil() */
    DECIMAL_DOWN,         /* floor() */
};
/* To exactly `scale` digits behind the point; a negative scale rounds before
 * the point and leaves scale 0. -ERANGE also when scale is beyond
 * DECIMAL_DIGITS_MAX. */
int decimal_round(struct decimal *number, int scale,
                  enum decimal_rounding rounding);

int decimal_cmp(const struct decimal *a, const struct decimal *b);
int decimal_sign(const struct decimal *number); /* -1, 0, 1 */
int decimal_scale(const struct decimal *number);
/* Are there at most precision - scale digits before the point, and at most
 * scale behind it? precision -1: any. */
bool decimal_fits(const struct decimal *number, int precision, int scale);

void decimal_from_integer(struct decimal *to, int64_t value);
/* By its 15 first digits, as PostgreSQL. -EINVAL: NaN or infinite. */
int decimal_from_double(struct decimal *to, double value);
/* Rounded half away from zero. -ERANGE. */
int decimal_to_integer(const struct decimal *number, int64_t *ret_value);
/* The nearest. -ERANGE: too big for a double. */
int decimal_to_double(const struct decimal *number, double *ret_value);

/* Compares two canonical texts by value, fast when they are short. Texts that
 * are no decimals sort bytewise behind those that are. */
int decimal_compare_texts(const char *a, size_t a_len, const char *b,
                          size_t b_len);

#endif
