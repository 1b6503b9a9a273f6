/*
 * agent.h - the agent's loop: sockets, wakes, the nursery, signals, time.
 *
 * Threads: the calling one, and ZeroMQ's own. Ends when drained, told to, or
 * rejected by the dispatcher.
 */
#ifndef AGENTS_AGENT_H
#define AGENTS_AGENT_H

#include "agents/nursery.h"
#include "agents/settings.h"
#include "agents/spool.h"

enum agent_end {
    AGENT_DONE = 0,
    AGENT_FAILED = 1,
    AGENT_RESTART = 2, /* the nursery died: execute the program anew, which
                          finds its shepherds again */
};

enum {
    AGENT_CANCEL_GRACE_MS = 5000, /* second SIGTERM: TERM to KILL */
    AGENT_UNREPORTED_MS = 10000,  /* idle, draining, and no broker to take the
                                     results: they stay in the spool */
};

enum agent_end agent_run(const struct settings *settings,
                         const struct spool *spool, struct nursery *nursery);

#endif
