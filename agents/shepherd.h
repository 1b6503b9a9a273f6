/*
 * shepherd.h - the process that executes one attempt, from its plan to its
 * exit record.
 *
 * It has no network and needs no agent: it reads the attempt's directory
 * (spool.h), walks the plan (walk.h), starts each node as a process (task.h),
 * writes events to the journal, and ends with a result on disk. It kills the
 * whole tree of the job at the lease deadline, whoever may be gone or stopped.
 *
 * The job starts with the first SHEPHERD_DEADLINE order: the broker has then
 * committed that the attempt is accepted. Without one by the first deadline
 * nothing is started, so what was not accepted has provably not run.
 *
 * When the result is written no process of the run is left: the shepherd is a
 * subreaper, so everything the job started is below it until it is dead, and
 * waitpid() says ECHILD only when nothing is.
 *
 * Threads: single, and forked from a single-threaded process (nursery.h).
 */
#ifndef AGENTS_SHEPHERD_H
#define AGENTS_SHEPHERD_H

#include "agents/settings.h"
#include "agents/spool.h"

enum {
    SHEPHERD_PARALLEL_MAX = 32,       /* nodes of one run at once */
    SHEPHERD_JOURNAL_MAX = 256 << 20, /* bytes; then output is dropped */
    SHEPHERD_TIMEOUT_GRACE_MS = 5000, /* TERM to KILL at the run's time-out */
    SHEPHERD_REASON_MAX = 200,
};

enum shepherd_verb {
    SHEPHERD_DEADLINE = 1, /* the lease now ends at `value` (clock_boot_ms);
                              the first one starts the job */
    SHEPHERD_CANCEL = 2,   /* TERM, KILL after `value` ms; 0: at once; the
                              reason becomes the result's text */
};

/* One write(2) into the attempt's ctl FIFO. A restarted agent may be newer than
 * the shepherd: a changed layout gets another mark, unknown ones are ignored.
 */
struct shepherd_order {
    uint32_t mark;
    uint32_t verb; /* enum shepherd_verb */
    int64_t value;
    char reason[SHEPHERD_REASON_MAX]; /* NUL-terminated */
};
extern const uint32_t shepherd_order_mark;

/* Executes the attempt in dir_fd and ends the process. The caller holds the
 * attempt's lock. */
_Noreturn void shepherd_run(const struct spool *spool,
                            const struct settings *settings, int dir_fd,
                            int64_t deadline_boot_ms);

#endif
