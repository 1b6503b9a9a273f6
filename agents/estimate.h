/*
 * estimate.h - about how many bytes a source holds, without reading it: what
 * PostgreSQL's planner thinks, the pages of a SQLite table, the size of a file.
 * Filters are not considered.
 *
 * Asking may take as long as somebody else holds a lock, so it is done by a
 * short-lived process (nursery.h) that answers through a pipe and ends at
 * ESTIMATE_MS with what it has by then.
 *
 * Memory:  the caller's. Threads: none.
 * Errors:  -1 and a sentence without a dsn.
 */
#ifndef AGENTS_ESTIMATE_H
#define AGENTS_ESTIMATE_H

#include "agents/connection.h"
#include "agents/wire.h"

#include <jansson.h>
#include <stdint.h>

enum {
    ESTIMATE_WHY_MAX = 300,
    ESTIMATE_MS = 3000, /* of all sources of one question */
    ESTIMATE_CONNECT_S = 2,
    ESTIMATE_WAIT_MS = 1000, /* of one statement, or for one lock */
};

/* What the process writes, at once: under PIPE_BUF. */
struct estimate_answer {
    uint32_t count;                  /* sources of the question */
    int64_t sizes[WIRE_SOURCES_MAX]; /* bytes; -1: not known */
    char why[ESTIMATE_WHY_MAX];      /* of the first that is not; or "" */
};

/* sources: [{"kind", "config"}], configurations as in DATA.md; more than
 * WIRE_SOURCES_MAX are left out. *ret_answer is right at every moment, what has
 * not been looked at -1, so that whoever is interrupted can send it. */
void estimate_sources(const struct data_settings *settings,
                      const json_t *sources,
                      struct estimate_answer *ret_answer);

/* The process: reads the JSON from sources_fd, a file, from its beginning, and
 * writes a struct estimate_answer to answer_fd; nothing when it is no such
 * JSON. Takes SIGALRM. */
_Noreturn void estimate_process(const struct data_settings *settings,
                                int sources_fd, int answer_fd);

#endif
