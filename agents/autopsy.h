/*
 * autopsy.h - the exit record of a run whose shepherd died without writing one.
 *
 * A shepherd dies when somebody kills it, when the machine went down, or by a
 * fault of ours. What its job left is then killed first: the nursery has done
 * that for its own; for one that an earlier agent started, the processes are
 * found by DISPATCH_RUN_ID and DISPATCH_ATTEMPT in their environment.
 */
#ifndef AGENTS_AUTOPSY_H
#define AGENTS_AUTOPSY_H

#include "agents/spool.h"

struct autopsy_cause {
    const char *how; /* the shepherd ended, as far as known */
    /* Of one that this agent killed for not doing what it was told: what it
     * was told, and the outcome it would have written. NULL: of another. */
    const char *told;
    enum wire_outcome outcome;
};

/* Writes the result of attempt `name`, node states as the journal has them:
 * FAILED, "the shepherd died (how; its last words)"; or cause->outcome, "told;
 * its shepherd did not obey and was killed". -EBUSY: processes of the run
 * cannot be killed yet; -ENOSPC, ... */
int autopsy_write(const struct spool *spool, int dir_fd, const char *name,
                  const struct autopsy_cause *cause);

#endif
