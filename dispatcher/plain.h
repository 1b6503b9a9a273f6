/*
 * plain.h - text that is fit for a terminal: cleaned, measured, cut, wrapped.
 * Whatever came from elsewhere passes through here before it is shown, so that
 * no control character of a server, a document or a job reaches a terminal.
 *
 * Memory:  what is returned is malloc'ed and the caller's; running out of
 *          memory ends the program: these are the tools' own small texts.
 * Threads: any; pure, but for the locale that wcwidth() reads.
 */
#ifndef DISPATCHER_PLAIN_H
#define DISPATCHER_PLAIN_H

#include <stdbool.h>
#include <stddef.h>

/* Columns a UTF-8 text takes on a terminal; what plain_clean() would replace
 * counts as the replacement. */
int plain_columns(const char *text);

/* A malloc'ed copy of `bytes` bytes fit for a terminal: control characters
 * (also C1, and those that turn the direction of writing) and broken UTF-8
 * become "?"; '\n' and '\t' become spaces unless keep_lines. Never NULL. */
char *plain_clean(const char *text, size_t bytes, bool keep_lines);

/* A malloc'ed copy of at most `columns` columns, its end replaced by an
 * ellipsis when it was longer. */
char *plain_cut(const char *text, int columns, const char *ellipsis);

/* Bytes of the first line when `text` is wrapped at spaces to `columns`;
 * *ret_next is where the next line begins (at the end: NULL). A word that is
 * longer is broken. */
size_t plain_wrap(const char *text, int columns, const char **ret_next);

/* printf into malloc'ed memory; never NULL. */
char *plain_format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* "1.2 s", "450 ms", "3 min 20 s", "2 h 5 min", "4 d 3 h": two units at most.
 */
char *plain_duration(double seconds);
/* "512 B", "1.5 GiB" */
char *plain_size(double bytes);

/* "1,234,567" */
char *plain_count(double count);
/* At most six columns up to 10^18: "9,999", "12.3k", "4.56M". */
char *plain_short(double count);

/* This machine's clock, Unix seconds. */
double plain_now(void);
/* Local time: "14:03:07" when that is today, else "2026-11-20 14:03"; "" when
 * negative. */
char *plain_clock(double unix_s);

#endif
