/*
 * log.h - one line an event on stderr, for people and programs:
 *
 *   2026-11-20T18:00:00.123Z info run.accepted run=... attempt=1
 *
 * A line is one write(2), so lines of several processes do not mix. Lines are
 * cut at LOG_LINE_MAX bytes. Foreign text goes through log_quote().
 *
 * Memory: none. Threads: any. Errors: none; a log that cannot be written is
 * lost.
 */
#ifndef AGENTS_LOG_H
#define AGENTS_LOG_H

#include <stddef.h>

enum log_level { LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum { LOG_LINE_MAX = 2048, LOG_QUOTED_MAX = 600 };

/* fields_fmt: printf format of "key=value key=value". */
void log_event(enum log_level level, const char *event, const char *fields_fmt,
               ...) __attribute__((format(printf, 3, 4)));

/* A text in double quotes, control bytes, quotes and backslashes escaped, cut
 * with "..." when long. Use as log_quote(p, n).text inside one call. */
struct log_quoted {
    char text[LOG_QUOTED_MAX];
};
struct log_quoted log_quote(const char *text, size_t bytes);

#endif
