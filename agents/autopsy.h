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

/* Writes the result of attempt `name`: FAILED, "the shepherd died (how; its
 * last words)", node states as the journal has them. -EBUSY: processes of the
 * run cannot be killed yet; -ENOSPC, ... */
int autopsy_write(const struct spool *spool, int dir_fd, const char *name,
                  const char *how);

#endif
