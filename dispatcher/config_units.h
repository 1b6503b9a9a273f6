/*
 * config_units.h - durations, sizes, counts and addresses as people write
 * them. The parsers that others use are declared in config.h.
 *
 * Memory:  the caller's buffers.
 * Threads: none; pure.
 */
#ifndef DISPATCHER_CONFIG_UNITS_H
#define DISPATCHER_CONFIG_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { UNITS_TEXT_MAX = 32 };

/* The shortest text that is read back as exactly this value: "10s", "1GiB". */
void units_duration(uint64_t ms, char ret_text[UNITS_TEXT_MAX]);
void units_size(int64_t bytes, char ret_text[UNITS_TEXT_MAX]);

/* Decimal digits only. -EINVAL, -ERANGE. */
int units_count(const char *text, int64_t *ret_count);

/* "HOST:PORT" or "[IPv6]:PORT", after `scheme` ("tcp://" or ""). NULL when it
 * is one, else what is wrong with it, as the end of the sentence "X ...". */
const char *units_address_problem(const char *text, const char *scheme);

/* True when only this machine can reach the address: 127.0.0.0/8, ::1 or
 * localhost, in the same forms. */
bool units_address_is_loopback(const char *text, const char *scheme);

#endif
