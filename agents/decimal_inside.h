/*
 * decimal_inside.h - what the files that decimal.h is made of share.
 *
 * Threads: none; pure.
 */
#ifndef AGENTS_DECIMAL_INSIDE_H
#define AGENTS_DECIMAL_INSIDE_H

#include "agents/decimal.h"

__extension__ typedef __int128 wide;
__extension__ typedef unsigned __int128 uwide;

enum { POWERS = 39 }; /* 10^38 is the largest in 127 bits */

/* 10^0 to 10^38. */
const wide *decimal_powers(void);

/* to becomes value / 10^scale. -ERANGE. */
int decimal_put_small(struct decimal *to, wide value, int scale);
/* Clears value, also on failure. */
int decimal_put_large(struct decimal *to, mpz_t value, int scale);

/* The digits of a number without its sign, not NUL-terminated: where they begin
 * in room, and how many. 0 has none. */
const char *decimal_digits(const struct decimal *number,
                           char room[DECIMAL_ROOM], size_t *ret_count);

#endif
