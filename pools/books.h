/*
 * books.h - the ledger's own structures, shared by the ledger_*.c files and
 * nobody else.
 *
 *   run     a live run: waits in a pool's line, for a time, or holds a lease
 *   lease   an agent's right to one attempt; in its pool's and agent's list
 *   pool    configuration in force, state, line, leases
 *   agent   what it said in HELLO, its session, its leases
 *   need    a set of capabilities runs require, shared by all that are alike
 *
 * Slots in use are the length of a pool's list of leases, and nothing else:
 * list_push() and list_remove() are the only places a count changes.
 */
#ifndef POOLS_BOOKS_H
#define POOLS_BOOKS_H

#include "pools/index.h"
#include "pools/ledger.h"
#include "pools/line.h"
#include "pools/timer.h"

#include <assert.h>

enum {
    AGENTS_MAX = 4096,
    LOG_BYTES_MAX = 8 * 1024 * 1024, /* stored of one attempt's output */
    GRANTS_MAX = 4096,               /* in one turn: bounds its length */
    /* An agent that gave a run back is pushed nothing so long, or it would get
     * the same run again in the same turn. */
    REST_MS = 1000,
    FORGET_MS = 3600000, /* an agent that is gone is shown for an hour */
    NEWS_MS = 500,       /* how far running nodes are is written this often */
    NEWS_MAX = 64,       /* nodes of one lease of which that may wait */
};

enum timer_kind {
    TIMER_LEASE,
    TIMER_RUN,
    TIMER_POOL,
    TIMER_GUARD,
    TIMER_REST,
    TIMER_FORGET,
    TIMER_NEWS
};

/* ---- runs ------------------------------------------------------------ */

struct need {
    struct index_entry entry; /* in ledger.needs, by text */
    uint32_t users;           /* runs that point here */
    uint32_t bit;             /* in agent.can */
    size_t count;
    const char **names; /* into text */
    size_t text_bytes;
    char *text; /* the names, each with its NUL */
};

enum dirty_part { DIRTY_RUN = 1, DIRTY_EVENTS = 2, DIRTY_ENDED = 128 };

struct cancel_note {
    char who[LEDGER_TEXT_MAX], reason[LEDGER_TEXT_MAX];
};

struct live_run {
    struct index_entry entry; /* in ledger.runs, by id */
    struct waiter waiter;     /* QUEUED: in a line */
    struct timer timer;       /* SCHEDULED: due */
    struct run_id id;
    enum run_state state;
    enum wait_reason scheduled_for;
    uint16_t wanted; /* pool */
    bool fallback_forbidden;
    bool measured; /* it has sources: what it read is remembered */
    uint32_t attempt, failures, losses;
    int64_t size_bytes, queued_unix_ms, not_before_unix_ms, started_unix_ms;
    uint64_t timeout_ms;
    struct retry_rule retry;
    struct need *need;
    struct lease *lease;        /* PENDING, RUNNING, CANCELLING */
    struct cancel_note *cancel; /* or NULL */
    char *error;                /* of the last attempt, or NULL */
    struct fresh *fresh;        /* submitted in this turn, or NULL */
    struct live_run *dirty_next;
    uint8_t dirty; /* enum dirty_part: to be written at the end of the turn */
};

/* A submission of this turn: written once its decision is known. */
struct fresh {
    struct fresh *next;
    struct live_run *run;
    struct run_id id;     /* the run may have ended within the turn */
    struct origin origin; /* texts borrowed from the caller */
    struct span plan, parameters;
    bool decided;
};

/* ---- leases ---------------------------------------------------------- */

struct link {
    struct link *prev, *next;
};
struct list {
    struct link *head;
    uint32_t count;
};

struct lease {
    struct link in_pool, in_agent;
    struct timer timer; /* lapses; or, not accepted, goes back */
    struct live_run *run;
    struct agent *agent;
    uint16_t pool;
    bool accepted;
    bool gap;    /* events are missing */
    bool listed; /* scratch of HELLO */
    uint8_t boot[16];
    uint64_t events, log_bytes, log_dropped;
    int64_t leased_unix_ms;
    char workflow[POOL_NAME_MAX]; /* for people */
    struct decision decision;     /* as it stood when the slot was granted */
    struct link in_behind;        /* when there is news */
    struct node_record *news;     /* NEWS_MAX of them, or NULL: ledger_node.c */
    size_t news_count;
};

static inline void list_push(struct list *list, struct link *link)
{
    link->prev = NULL;
    link->next = list->head;
    if (list->head != NULL)
        list->head->prev = link;
    list->head = link;
    list->count++;
}

static inline void list_remove(struct list *list, struct link *link)
{
    if (link->prev != NULL)
        link->prev->next = link->next;
    else
        list->head = link->next;
    if (link->next != NULL)
        link->next->prev = link->prev;
    link->prev = link->next = NULL;
    list->count--;
}

/* ---- pools and agents ------------------------------------------------ */

struct stopped { /* who stopped it, when, why */
    enum pool_state state;
    char who[LEDGER_TEXT_MAX], reason[LEDGER_TEXT_MAX];
    int64_t since_unix_ms, until_unix_ms;
};

struct pool {
    struct pool_config configured, config; /* config: overrides applied */
    struct pool_change change;             /* the overrides */
    struct route_hop hops[ROUTE_HOPS_MAX]; /* [0] is the pool itself */
    size_t hop_count;
    struct stopped stopped;
    struct timer timer; /* the state ends */
    struct line line;
    struct list leases;
};

struct agent {
    struct index_entry by_name, by_session;
    char name[AGENT_NAME_MAX];
    uint8_t boot[16];
    uint64_t session;  /* 0: not connected */
    uint64_t greeting; /* of the HELLO that was heard last */
    uint32_t slots, pid;
    uint64_t pool_mask; /* bit per pool it serves */
    char **caps;        /* sorted */
    size_t cap_count;
    uint64_t *can; /* bit per need */
    size_t can_words;
    char host[POOL_NAME_MAX], software[POOL_NAME_MAX];
    struct stopped stopped; /* by an operator */
    bool draining;          /* by itself */
    struct timer rest;      /* set: it gave a run back just now */
    struct timer forget;    /* gone; due: nobody asks for it any more */
    uint64_t seen_ms;
    int64_t connected_unix_ms;
    uint64_t done, failed;
    struct list leases;
};

struct ledger {
    struct store *store;
    struct ledger_config config;
    struct pool pools[POOLS_MAX];
    size_t pool_count;
    struct index runs, needs, agents_by_name, agents_by_session;
    struct agent *agents[AGENTS_MAX]; /* in order of name */
    size_t agent_count;
    struct need **need_bits; /* by bit; NULL: free */
    size_t need_room;
    struct timers timers;
    struct timer guard; /* a fallback guard opens */
    struct timer news;  /* the leases in `behind` are due to be written */
    struct list behind; /* leases with news of nodes */
    uint32_t scheduled; /* runs in SCHEDULED */
    struct run_id last_id;
    int64_t arrival_ms; /* of the latest run: never goes back */
    uint64_t serial, random;
    bool draining;
    uint64_t late_messages, refused_messages;

    /* the turn */
    uint64_t now_ms;
    int64_t now_unix_ms;
    bool look; /* capacity or a line changed: settle */
    int error; /* first error of the turn; nothing may follow it */
    struct live_run *dirty;
    struct fresh *fresh, **fresh_end;
    struct effect *effects;
    size_t effect_count, effect_room;
    void **kept; /* memory of effects, freed by the next turn */
    size_t kept_count, kept_room;
    unsigned store_permille;
};

/* ---- ledger.c: memory of the turn, effects --------------------------- */

/* A block freed when the next turn begins. NULL: no memory (and error set). */
void *turn_alloc(struct ledger *l, size_t bytes);
const char *turn_text(struct ledger *l, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
struct effect *effect_add(struct ledger *l, enum effect_type type);
/* A line for the log: run and lease may be NULL. */
struct effect *note(struct ledger *l, const char *word,
                    const struct live_run *run, const struct lease *lease,
                    const char *text);
void copy_text(char *to, size_t room, const char *from);
uint64_t next_random(struct ledger *l);
int fail(struct ledger *l, int err); /* keeps the first; returns it */
void fresh_decide(struct ledger *l, struct fresh *f);

/* ---- ledger_run.c: needs, runs and their moves ----------------------- */

index_match run_matches, need_matches;
/* A place at the end of the line. */
int64_t order_of(struct ledger *l, enum run_priority priority);
/* What the store keeps of a run that changes; texts borrowed from it. */
struct run_record record_of(const struct ledger *l, const struct live_run *run);
int write_run(struct ledger *l, const struct run_id *id,
              const struct run_record *record);
struct live_run *run_find(const struct ledger *l, const struct run_id *id);
struct live_run *run_new(struct ledger *l, const struct run_id *id);
/* What a live run keeps of its origin; wanted is the pool it names. */
int run_fill(struct ledger *l, struct live_run *run,
             const struct origin *origin, size_t wanted);
/* Frees it; it must be in no line, index, timer or lease. run_end() and
 * ledger_close() only mark: the list of dirty runs frees. */
void run_free(struct ledger *l, struct live_run *run);
/* The one place a run changes state. */
void run_move(struct ledger *l, struct live_run *run, enum run_state to);
void run_dirty(struct ledger *l, struct live_run *run, enum dirty_part part);
/* Into its wanted pool's line. */
int run_queue(struct ledger *l, struct live_run *run);
int run_schedule(struct ledger *l, struct live_run *run, int64_t at_unix_ms,
                 enum wait_reason why);
/* To a final state; frees the run. error may be NULL. */
int run_end(struct ledger *l, struct live_run *run, enum run_state to,
            const char *error);

/* ---- ledger_grant.c: capacity ---------------------------------------- */

/* now_ms decides which agents count as healthy; between turns it is later than
 * the last turn. */
void pool_view_of(const struct ledger *l, size_t pool, const struct need *need,
                  uint64_t now_ms, struct pool_view *ret);
bool agent_is_healthy(const struct ledger *l, const struct agent *agent,
                      uint64_t now_ms);
bool agent_can(const struct agent *agent, const struct need *need);
uint32_t agent_slots_free(const struct agent *agent);
enum agent_health agent_health_of(const struct ledger *l,
                                  const struct agent *agent, uint64_t now_ms);
uint32_t hop_mask_of(const struct ledger *l, size_t wanted, int64_t size_bytes,
                     bool fallback_forbidden);
void decide(const struct ledger *l, size_t wanted, const struct need *need,
            int64_t size_bytes, bool fallback_forbidden, uint64_t waited_ms,
            uint64_t now_ms, struct decision *ret);
uint64_t run_waited_ms(const struct ledger *l, const struct live_run *run);
/* Hands out what can be handed out. */
int settle(struct ledger *l);
/* A waiting run that settle() ought to have let go, or NULL. Hops with an
 * `after` guard are left out: they open by the wall clock. */
const struct live_run *overlooked(struct ledger *l);

/* ---- ledger_lease.c: the life of a lease ----------------------------- */

struct lease *lease_new(struct ledger *l, struct live_run *run, size_t pool,
                        struct agent *agent);
/* Writes the end of the attempt and gives the slot back; the run is then
 * without a lease and must be moved. */
int lease_close(struct ledger *l, struct lease *lease,
                enum attempt_outcome outcome, const struct result *result,
                const char *error);
int lease_create(struct ledger *l, struct live_run *run, size_t pool,
                 struct agent *agent, const struct decision *decision);
int lease_accept(struct ledger *l, struct lease *lease,
                 int64_t started_unix_ms);
/* Its agent was restarted and has it still: under this boot id now. */
int lease_move(struct ledger *l, struct lease *lease, const uint8_t boot[16]);
/* It was not accepted: back to the line (or cancelled). */
int lease_return(struct ledger *l, struct lease *lease, const char *why);
/* Its agent is gone for good. */
int lease_lose(struct ledger *l, struct lease *lease, const char *why);
int lease_timer(struct ledger *l, struct lease *lease);
void lease_free(struct ledger *l, struct lease *lease);

/* ---- ledger_agents.c: messages of attempts --------------------------- */

/* The session's live lease of this attempt, or NULL: late. */
struct lease *lease_of(struct ledger *l, uint64_t session,
                       const struct run_id *id, uint32_t attempt);
void late(struct ledger *l, uint64_t session, const struct run_id *id,
          uint32_t attempt, const char *what);
/* Is this event new? Repetitions after a reconnect are not. */
bool take_event(struct ledger *l, struct lease *lease, uint64_t event);

/* ---- ledger_node.c --------------------------------------------------- */

/* Writes what is known of a node now; older news of it is forgotten. */
int node_write(struct ledger *l, struct lease *lease,
               const struct node_record *node);
/* Writes the news that waits with the lease. */
int news_write(struct ledger *l, struct lease *lease);
/* NEWS_MS have passed: all of it is written in this turn. */
void news_due(struct ledger *l);
/* Forgets it: the lease ends. */
void news_free(struct ledger *l, struct lease *lease);

/* ---- ledger_missing.c ------------------------------------------------ */

/* Fills in what no healthy agent of the pool announces of a need; or, when each
 * thing is announced by somebody and all of it by nobody, that. */
void name_missing(const struct ledger *l, size_t pool, const struct need *need,
                  uint64_t now_ms, struct explanation *ret);

/* ---- ledger_roster.c -------------------------------------------------- */

struct agent *agent_of_session(const struct ledger *l, uint64_t session);
/* 0: not connected any more. */
void agent_set_session(struct ledger *l, struct agent *agent, uint64_t session);
void agent_free_caps(struct agent *agent);
/* Does nothing depend on knowing it? */
bool agent_is_idle(const struct agent *agent);
void agent_forget(struct ledger *l, struct agent *agent);
/* ---- ledger_agents.c, ledger_pools.c, ledger_boot.c ------------------ */

struct agent *agent_find(const struct ledger *l, const char *name);
struct agent *agent_add(struct ledger *l, const char *name);
void agent_free(struct agent *agent);
bool agent_announces(const struct agent *agent, const char *cap);
void agent_know_need(struct agent *agent, const struct need *need);
int pool_due(struct ledger *l, struct pool *pool);
int agent_due(struct ledger *l, struct agent *agent);
int pools_init(struct ledger *l);
int pools_load(struct ledger *l);
int agents_load(struct ledger *l);
int boot_runs(struct ledger *l, char ret_why[STORE_WHY_MAX]);

enum {
    ATTEMPT_KEY = 20,
    NODE_KEY = 20,
    LOG_KEY = 28,
    LIVE_BYTES = 25 /* events, bytes kept, bytes dropped; are events missing */
};
void key_u32(uint8_t key[ATTEMPT_KEY], const struct run_id *id, uint32_t n);
void key_log(uint8_t key[LOG_KEY], const struct run_id *id, uint32_t attempt,
             uint64_t event);

#endif
