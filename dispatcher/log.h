/*
 * log.h - one event, one line on stderr: time, level, a stable word, fields.
 *     2026-11-20T18:00:00.123Z info lease.lapsed run=0193... pool=etl attempt=2
 * Values with spaces or quotes are quoted and escaped; control characters never
 * reach the terminal. An event is logged once, where it is decided.
 *
 * Threads: any; a line is one write().
 */
#ifndef DISPATCHER_LOG_H
#define DISPATCHER_LOG_H

#include "dispatcher/config.h"

/* Lines below the level are not written. Default: info. */
void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);

/* Fields are pairs of (const char *key, const char *value), ended by NULL; a
 * NULL value leaves the pair out. */
void log_event(enum log_level level, const char *word, ...)
    __attribute__((sentinel));
/* A number as text for a field, valid until this thread's 16th next call. */
const char *log_number(int64_t number);

#endif
