/*
 * nursery.h - the small process that forks shepherds for the agent.
 *
 * The agent has threads (ZeroMQ's), and a process with threads must not fork
 * and go on without exec. So before any thread exists it forks this one, which
 * stays single-threaded and forks a shepherd on request, in less than a
 * millisecond and without exec. It sees the agent die as the end of its socket
 * and exits; the shepherds live on and are found again by the next agent.
 *
 * It is a subreaper: when a shepherd is killed, what it leaves behind falls to
 * the nursery, which kills it. Only then does it tell of the shepherd's end.
 *
 * It holds the spool's lock together with the agent, so that the next agent
 * does not look at the spool before the last fork was done.
 *
 * Memory:  none but the struct. Threads: the agent's one loop.
 * Errors:  0 or a negative errno.
 */
#ifndef AGENTS_NURSERY_H
#define AGENTS_NURSERY_H

#include "agents/settings.h"
#include "agents/spool.h"

#include <sys/types.h>

enum { NURSERY_ESTIMATORS_MAX = 8 };

struct nursery {
    int fd; /* readable when there is a word */
    pid_t pid;
};

enum nursery_word_kind {
    NURSERY_SPAWNED = 1, /* pid */
    NURSERY_REFUSED = 2, /* error: no shepherd was made */
    NURSERY_ENDED = 3,   /* pid, status, orphans */
};

struct nursery_word {
    enum nursery_word_kind kind;
    char name[SPOOL_NAME_MAX]; /* of the attempt */
    pid_t pid;
    int error;      /* errno */
    int status;     /* of waitpid() */
    size_t orphans; /* processes it left, now killed */
};

/* Forks it. To be called before any thread, and before anything that children
 * should not inherit, exists. Spool and settings are used by the child as they
 * are now. */
int nursery_start(const struct spool *spool, const struct settings *settings,
                  struct nursery *ret_nursery);

/* Asks for a shepherd for an attempt in the spool; the answer is a word later.
 * -EAGAIN: too many at once. -EPIPE: the nursery is gone. */
int nursery_spawn(struct nursery *nursery, const char *name,
                  int64_t deadline_boot_ms);
/* Asks for a trash directory of the spool to be removed; no answer. */
int nursery_remove(struct nursery *nursery, const char *trash);

/* Asks for a process that answers a question about sizes (estimate.h); no word
 * about it comes back. The descriptors are duplicated for it and stay the
 * caller's. When there are NURSERY_ESTIMATORS_MAX of them already, or none can
 * be made, they are closed, so the pipe ends without an answer. */
int nursery_estimate(struct nursery *nursery, int sources_fd, int answer_fd);

/* The next word: 1; 0: none now; -EPIPE: the nursery is gone. */
int nursery_hear(struct nursery *nursery, struct nursery_word *ret_word);

/* Lets it go; it exits by itself. */
void nursery_close(struct nursery *nursery);

#endif
