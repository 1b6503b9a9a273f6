/*
 * text.h - a string that grows. Memory that cannot be had is noted once
 * (failed), and everything after that is without effect: callers look at the
 * end. Threads: none.
 */
#ifndef AGENTS_TEXT_H
#define AGENTS_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct text {    /* begin with {0} */
    char *bytes; /* NUL-terminated; NULL while nothing was added */
    size_t len, room;
    bool failed;
};

void text_add(struct text *text, const char *more);
void text_add_bytes(struct text *text, const char *bytes, size_t len);
void text_addf(struct text *text, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Empties it and keeps the memory. */
void text_reset(struct text *text);
/* The string, the caller's to free(), and the text is as new. NULL: failed. */
char *text_take(struct text *text);
void text_clear(struct text *text);

#endif
