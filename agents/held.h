/*
 * held.h - the attempts this agent holds, and what it knows of each.
 *
 *   STARTING --shepherd forked--> RUNNING --result on disk--> ENDED --> (gone)
 *
 * Gone: the broker acknowledged the result or does not want the attempt (then
 * it is `doomed`: killed at once and forgotten without a word when dead). The
 * truth is the attempt's directory (spool.h); this is its memory.
 *
 * Memory:  a held attempt owns its descriptors and its result's bytes.
 * Threads: the agent's one loop. Time: clock_boot_ms(), passed in.
 * Errors:  0 or a negative errno.
 */
#ifndef AGENTS_HELD_H
#define AGENTS_HELD_H

#include "agents/journal.h"
#include "agents/nursery.h"
#include "agents/shepherd.h"
#include "agents/spool.h"

enum held_state { HELD_STARTING, HELD_RUNNING, HELD_ENDED };

struct held {
    struct wire_id run;
    uint32_t attempt;
    char name[SPOOL_NAME_MAX];
    enum held_state state;
    bool doomed;
    bool adopted; /* its shepherd was forked for an agent before this one */
    int dir_fd, ctl_fd;
    int64_t started_unix_ms;
    int64_t deadline_at; /* of the lease; 0: not known (adopted) */
    bool renewed;        /* at least once by this agent: the job may run */
    int64_t timeout_ms;  /* of the run; 0: none */
    int64_t timeout_at;  /* its shepherd has long ended it then; 0: never */

    /* An order to stop, until it went into the FIFO. */
    bool stop_due;
    int64_t stop_grace_ms;
    char stop_reason[SHEPHERD_REASON_MAX];
    int64_t overdue_at; /* a shepherd still there then is killed; 0: never */

    /* What a shepherd that is overdue should have done; "": it is not. */
    char overdue_for[SHEPHERD_REASON_MAX];
    enum wire_outcome overdue_outcome;
    bool killed; /* by this agent, for that */

    /* Renewal: the first RENEW that listed it, and its own ACCEPTED. */
    uint64_t first_beat, accepted_beat;
    int64_t accepted_at;

    /* Shipping. */
    bool agreed;                   /* in this session the broker knows of it */
    bool behind;                   /* there may be something to ship */
    struct journal_reader journal; /* fd -1: not opened yet */
    bool result_sent;
    int64_t result_sent_at;
    char *result; /* the frame */
    size_t result_bytes;
    uint64_t result_events;
    enum wire_outcome outcome;
};

struct holdings {
    const struct spool *spool;
    struct nursery *nursery;
    struct held **list;
    size_t count, room;
};

enum {
    /* A shepherd acts on a deadline or a kill within milliseconds; one that
     * did not after so long is stopped or stuck. */
    HELD_OVERDUE_MS = 3000,
};

void holdings_init(struct holdings *holdings, const struct spool *spool,
                   struct nursery *nursery);
void holdings_clear(struct holdings *holdings);

struct held *holdings_find(const struct holdings *holdings,
                           const struct wire_id *run, uint32_t attempt);
struct held *holdings_find_name(const struct holdings *holdings,
                                const char *name);
/* The attempt of this run that has not ended. */
struct held *holdings_find_live(const struct holdings *holdings,
                                const struct wire_id *run);
/* Attempts that use a slot. */
size_t holdings_running(const struct holdings *holdings);

/* A new one for a directory that exists; takes dir_fd, also on failure.
 * -ENOMEM, -EMFILE, ... */
int holdings_add(struct holdings *holdings, const char *name, int dir_fd,
                 enum held_state state, struct held **ret_held);
/* Forgets it and its directory; held is no more. */
void holdings_forget(struct holdings *holdings, struct held *held);
/* Takes all that an earlier agent left in the spool. */
int holdings_adopt(struct holdings *holdings);

/* Looks at the directory: did it end? Loads the result; for a shepherd that
 * died, writes one, after no process of the run is left. `how` says how the
 * shepherd ended, as far as known. True when the state became ENDED. */
bool held_refresh(struct holdings *holdings, struct held *held,
                  const char *how);

/* Orders for the shepherd. The first renewal starts the job, and the time to
 * its time-out, should the shepherd not see to that. For an adopted one it is
 * the first by this agent. `reason` becomes the text of the result. */
void held_renew(struct held *held, int64_t now_ms, int64_t deadline_at);
void held_stop(struct held *held, int64_t now_ms, int64_t grace_ms,
               const char *reason);
/* Sends what is due, kills a shepherd that does not obey. */
void held_tick(struct held *held, int64_t now_ms);

/* The number of the last event on disk. */
uint64_t held_events(const struct held *held);

#endif
