/*
 * spool.h - the attempts this agent holds, as directories:
 *
 *   SPOOL/lock                 held (flock) by the one agent that uses it
 *   SPOOL/wake                 FIFO: shepherd -> agent, "news of attempt X"
 *   SPOOL/runs/RUNID.ATTEMPT/  mode 0700
 *       run        the RUN message as it came
 *       lock       held (flock) by the shepherd as long as it lives
 *       meta       pid and start time of the shepherd, for people and kill
 *       ctl        FIFO: agent -> shepherd, see shepherd.h
 *       journal    events, see journal.h
 *       result     the RESULT message, written and synced before it is told
 *       shepherd.err  what the shepherd said, should it die
 *       work/      working directory of the jobs
 *
 * What an attempt is follows from what is there, never from memory, so that a
 * restarted agent sees the same as the one before:
 *
 *   result                     -> ENDED
 *   no result, lock held       -> RUNNING (a lock cannot outlive its process,
 *                                 and, unlike a pid, is never used again)
 *   no result, meta, lock free -> the shepherd DIED
 *   neither                    -> it never STARTED; nobody was told of it
 *
 * FIFOs rather than datagram sockets: Linux queues ten datagrams by default
 * but 64 KiB in a pipe; they need no 108-byte path; and a shepherd's open end
 * goes on working with the next agent.
 *
 * Memory:  said at each function. Threads: none.
 * Errors:  0 or a negative errno.
 */
#ifndef AGENTS_SPOOL_H
#define AGENTS_SPOOL_H

#include "agents/wire.h"

#include <stdbool.h>
#include <sys/types.h>

enum { SPOOL_NAME_MAX = 64, SPOOL_WHY_MAX = 400 };

struct spool {
    int root_fd, runs_fd, lock_fd;
    int wake_fd; /* both ends of the FIFO, non-blocking */
};

struct spool_wake { /* one write(2) into SPOOL/wake */
    struct wire_id run;
    uint32_t attempt;
};

enum spool_state {
    SPOOL_ENDED,
    SPOOL_RUNNING,
    SPOOL_DIED,
    SPOOL_UNSTARTED,
};

/* Makes the directories it lacks, takes the lock; waits up to lock_wait_ms for
 * the processes of an agent that just died to let go of it. -EBUSY: another
 * agent uses it; or what the system said. why: what, where, what to do. */
int spool_open(const char *path, int lock_wait_ms, struct spool *ret_spool,
               char why[SPOOL_WHY_MAX]);
void spool_close(struct spool *spool);

/* "RUNID.ATTEMPT" and back. -EINVAL: not such a name. */
void spool_name(const struct wire_id *run, uint32_t attempt,
                char ret_name[SPOOL_NAME_MAX]);
int spool_parse_name(const char *name, struct wire_id *ret_run,
                     uint32_t *ret_attempt);

/* Makes the directory of an attempt, with run, ctl, lock and work. Leaves
 * nothing behind when it fails (-EEXIST, -ENOSPC, ...). *ret_dir_fd is the
 * caller's. */
int spool_create_run(const struct spool *spool, const char *name,
                     const char *frame, size_t bytes, int *ret_dir_fd);
/* -ENOENT, ... */
int spool_open_run(const struct spool *spool, const char *name,
                   int *ret_dir_fd);
enum spool_state spool_state_of(int dir_fd);

/* Takes the attempt's lock for as long as the descriptor, or a copy of it in a
 * child, stays open. -EBUSY: a shepherd lives. */
int spool_lock_run(int dir_fd);
/* Both ends of the attempt's ctl FIFO, non-blocking: what is written before the
 * shepherd looks is kept. */
int spool_open_ctl(int dir_fd);

/* Shepherd: says who it is. */
int spool_write_meta(int dir_fd);
/* The living shepherd's pid; 0: unknown or gone. */
pid_t spool_shepherd_pid(int dir_fd);

/* A whole file of the attempt; *ret_bytes is malloc'ed, one NUL after the end.
 * -EFBIG: more than max. */
int spool_read(int dir_fd, const char *file, size_t max, char **ret_bytes,
               size_t *ret_len);
/* Sets room aside for a result, so that a disk that fills up meanwhile cannot
 * keep it from being written. Best effort. */
void spool_reserve_result(int dir_fd, size_t bytes);
/* The exit record: when this returns 0 it survives a power loss. */
int spool_write_result(const struct spool *spool, int dir_fd, const char *frame,
                       size_t bytes);

/* Drops an attempt. 1: quick removal did not do, the rest is now the
 * directory ret_trash in runs, to be removed at leisure. */
int spool_forget(const struct spool *spool, const char *name,
                 char ret_trash[SPOOL_NAME_MAX]);
/* Removes a trash directory and all in it; takes long, chdirs: for a process
 * that does nothing else. */
void spool_remove_trash(const struct spool *spool, const char *trash);

/* Calls found(context, name) for every entry of runs, trash included
 * (spool_parse_name() tells). */
int spool_scan(const struct spool *spool,
               void (*found)(void *context, const char *name), void *context);

#endif
