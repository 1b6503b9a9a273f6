/*
 * survey.h - the questions about sizes that this agent is answering: each is
 * with a process of the nursery's, which writes its answer into a pipe.
 *
 * At most SURVEYS_MAX at once: a question beyond that is answered at once
 * without sizes. One whose process does not answer in time is answered "not
 * known"; the process ends by itself.
 *
 * Memory:  the struct, and descriptors. Threads: the agent's one loop.
 * Errors:  0 or a negative errno.
 */
#ifndef AGENTS_SURVEY_H
#define AGENTS_SURVEY_H

#include "agents/estimate.h"
#include "agents/nursery.h"

enum {
    SURVEYS_MAX = 4,
    SURVEY_MS = ESTIMATE_MS + 500,
};

struct survey {
    int fd; /* of the pipe; readable when there is an answer. -1: free */
    uint64_t number;
    int64_t due_at; /* of clock_boot_ms() */
};

struct surveys {
    struct survey list[SURVEYS_MAX];
};

void surveys_init(struct surveys *surveys);
/* Forgets all; nobody waits for their answers any more. */
void surveys_clear(struct surveys *surveys);

/* Puts a question (JSON text, of estimate.h) to a process. -EBUSY: as many are
 * under way as may be; others of the system. */
int surveys_begin(struct surveys *surveys, struct nursery *nursery,
                  uint64_t number, const char *sources, size_t bytes,
                  int64_t now_ms);

/* The next question that has been answered, or is overdue: true, its number and
 * answer (count 0: none came). */
bool surveys_next(struct surveys *surveys, int64_t now_ms, uint64_t *ret_number,
                  struct estimate_answer *ret_answer);
/* When the next one is overdue; INT64_MAX: none is under way. */
int64_t surveys_due(const struct surveys *surveys);

#endif
