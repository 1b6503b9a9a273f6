/*
 * ledger.h - the core: which runs wait, which hold a slot, on which agent. A
 * step machine over the store: inputs are noted in a turn, ledger_commit()
 * hands slots out, commits once, and returns what may now be told to the
 * outside. Nothing here reads a clock, a socket or a file of its own, so the
 * simulator drives the very code the broker runs.
 *
 * A turn:
 *     ledger_begin(now) ; inputs in any number and order ; ledger_commit()
 *     -> effects to carry out, in order (push, acknowledge, log, ...)
 *
 * Invariants: ledger_audit() checks them all; the head of ledger.c lists them.
 *
 * Memory:  inputs are copied unless said otherwise; effects and their texts are
 * borrowed until the next ledger_begin(). Boards and explanations are one
 * allocation, the caller's, freed with free(). Threads: the one that opened it.
 * Time:    now_ms is the caller's monotonic clock, now_unix_ms for people and
 *          for start times.
 * Errors:  0 or a negative errno from the store; after one, only
 *          ledger_close() may follow: the process reopens and goes on from the
 *          last commit. Refusals are answers, not errors.
 */
#ifndef POOLS_LEDGER_H
#define POOLS_LEDGER_H

#include "pools/run.h"
#include "pools/store.h"

enum {
    POOLS_MAX = 64,
    POOL_ALIASES_MAX = 4,
    AGENT_NAME_MAX = 129, /* bytes with NUL */
    AGENT_CAPS_MAX = 256,
    LEDGER_TEXT_MAX = 200, /* who, reasons: bytes with NUL, cut when longer */
};

/* ---- configuration --------------------------------------------------- */

struct pool_hop {
    char pool[POOL_NAME_MAX];
    uint32_t after_ms;
    int64_t size_below; /* -1: no guard */
    uint32_t free_at_least;
};

struct pool_config {
    char name[POOL_NAME_MAX];
    char aliases[POOL_ALIASES_MAX][POOL_NAME_MAX];
    size_t alias_count;
    uint32_t limit;
    int64_t max_size;     /* ceiling, bytes; -1: none */
    uint32_t waiting_max; /* runs in the line */
    struct pool_hop fallback[ROUTE_HOPS_MAX - 1];
    size_t fallback_count;
};

struct ledger_config {
    struct pool_config pools[POOLS_MAX];
    size_t pool_count;
    uint32_t lease_ms;  /* a lease between renewals */
    uint32_t accept_ms; /* how long an agent may take to accept a push */
    uint32_t margin_ms; /* the broker waits so much longer than the agent */
    uint32_t ageing_ms; /* a normal run overtakes high ones that arrived this
                           much later; low: twice */
    uint32_t cancel_grace_ms; /* between TERM and KILL */
};

/* Three pools 5/3/2 with the fallbacks of DOMAIN, lease 10 s, ... */
void ledger_config_default(struct ledger_config *ret);

/* Index of a pool by name or alias (case-sensitive), -1: none. */
int ledger_config_pool(const struct ledger_config *config, const char *name);

struct ledger;

/* Reads the store and continues where the last commit stood: runs that held
 * slots keep them until their agents return or their leases lapse, counted
 * anew from now_ms. The config is copied; the store is borrowed until
 * ledger_close(). `seed` feeds ids and jitter. ret_why as in store_open().
 * -EINVAL: the configuration lacks a pool that still has runs. */
int ledger_open(struct store *store, const struct ledger_config *config,
                uint64_t now_ms, int64_t now_unix_ms, uint64_t seed,
                struct ledger **ret_ledger, char ret_why[STORE_WHY_MAX]);
void ledger_close(struct ledger **ledger_p);

/* ---- the turn -------------------------------------------------------- */

int ledger_begin(struct ledger *ledger, uint64_t now_ms, int64_t now_unix_ms);

enum effect_type {
    EFFECT_PUSH,    /* send RUN */
    EFFECT_CANCEL,  /* send CANCEL */
    EFFECT_ACK,     /* send RESULT_ACK */
    EFFECT_WELCOME, /* send WELCOME with `attempts` */
    EFFECT_RENEWED, /* send RENEWED; `attempts` are the lost ones */
    EFFECT_DRAIN,   /* send DRAIN: an operator drains the agent */
    EFFECT_ENDED,   /* a run reached a final state */
    EFFECT_NOTE,    /* something to log and to publish */
};

struct effect_attempt {
    struct run_id run;
    uint32_t attempt;
    bool keep;       /* WELCOME: adopted; else to be killed */
    uint64_t events; /* WELCOME: last event that is stored */
};

struct effect {
    enum effect_type type;
    uint64_t session; /* whom to tell; 0: nobody */
    struct run_id run;
    uint32_t attempt;
    uint32_t lease_ms;        /* PUSH, WELCOME, RENEWED */
    uint64_t beat;            /* RENEWED */
    uint32_t grace_ms;        /* CANCEL */
    uint64_t timeout_ms;      /* PUSH */
    enum run_state state;     /* ENDED */
    const char *pool, *agent; /* or NULL */
    const char *word;         /* NOTE: "lease.lapsed", "run.queued", ... */
    const char *text;         /* reason, error, or NULL */
    const struct effect_attempt *attempts;
    size_t attempt_count;
};

/* Ends the turn: fires what is due, hands free slots to waiting runs, commits,
 * and only then returns the effects. */
int ledger_commit(struct ledger *ledger, const struct effect **ret_effects,
                  size_t *ret_count);

/* When the ledger wants a turn even without input (a lease lapses, a run is
 * due, a guard opens); UINT64_MAX: never. */
uint64_t ledger_next_ms(const struct ledger *ledger);

/* ---- inputs: requests ------------------------------------------------ */

enum admit_answer {
    ADMIT_OK,
    ADMIT_NO_POOL, /* no such pool */
    ADMIT_POOL_CLOSED,
    ADMIT_LINE_FULL,  /* retry later */
    ADMIT_TOO_BIG,    /* no pool it may use can ever hold it */
    ADMIT_NO_ENGINE,  /* needs an engine that is not built in and that no
                         agent has announced */
    ADMIT_DRAINING,   /* the broker stops */
    ADMIT_KEY_REUSED, /* its idempotency key belongs to another request */
    ADMIT_STORE_FULL,
};

struct admission {
    enum admit_answer answer;
    struct run_id run; /* ADMIT_OK */
    bool replayed; /* ADMIT_OK: by its idempotency key it is that run, made by
                      an earlier request; it may have ended */
    char text[LEDGER_TEXT_MAX]; /* refusals: a sentence */
};

/* origin's fields marked * are ignored; origin, its texts and the spans are
 * borrowed until ledger_commit(), which writes them with the decision. */
int ledger_submit(struct ledger *ledger, const struct origin *origin,
                  struct span plan, struct span parameters,
                  struct admission *ret);

enum cancel_answer {
    CANCEL_DONE,
    CANCEL_STARTED,
    CANCEL_ALREADY,
    CANCEL_ENDED,
    CANCEL_UNKNOWN
};
/* DONE: it waited, and is CANCELLED now. STARTED: the agent is being told.
 * ALREADY: it is being cancelled. ENDED: it had ended (or never was there:
 * UNKNOWN, for the caller to tell apart by reading). */
int ledger_cancel(struct ledger *ledger, const struct run_id *id,
                  const char *who, const char *reason, enum cancel_answer *ret);

enum pool_verb { VERB_PAUSE, VERB_RESUME, VERB_DRAIN, VERB_CLOSE };
/* for_ms 0: until resumed. Resuming undoes all three. -ENOENT: no such pool
 * (an answer: the turn goes on). */
int ledger_pool_verb(struct ledger *ledger, const char *name,
                     enum pool_verb verb, uint64_t for_ms, const char *who,
                     const char *reason);

/* Overrides of the configuration, kept until reset. */
struct pool_change {
    bool set_limit, set_max_size, set_waiting_max, set_fallback, reset;
    uint32_t limit;
    int64_t max_size;
    uint32_t waiting_max;
    struct pool_hop fallback[ROUTE_HOPS_MAX - 1];
    size_t fallback_count;
};
/* -ENOENT: no such pool, also in fallback. -EINVAL: a pool that falls back to
 * itself, twice to another or to more than the list holds. Both are answers. */
int ledger_pool_set(struct ledger *ledger, const char *name,
                    const struct pool_change *change, const char *who);

/* pause, resume or drain an agent by name; it need not be connected.
 * -ENOENT: never seen. -EINVAL: close. */
int ledger_agent_verb(struct ledger *ledger, const char *name,
                      enum pool_verb verb, const char *who, const char *reason);

/* The broker stops: refuses submissions, starts nothing more. Not stored. */
void ledger_drain(struct ledger *ledger);
/* Live leases, all pools. */
size_t ledger_live(const struct ledger *ledger);

/* ---- inputs: agents -------------------------------------------------- */

struct agent_hello {
    const char *name;
    uint8_t boot[16];
    uint32_t slots;
    const char *const *pools; /* names or aliases; unknown ones are noted */
    size_t pool_count;
    const char *const *caps;
    size_t cap_count;
    const struct effect_attempt *held; /* keep: its result is not written yet */
    size_t held_count;
    const char *host, *software;
    uint32_t pid;
    bool draining;
    uint64_t greeting; /* grows with every HELLO of one boot */
};

enum hello_answer {
    HELLO_OK,
    HELLO_CLONE,
    HELLO_BAD,
    HELLO_STALE, /* overtaken by a newer one: nothing to be answered */
};
/* Opens a session (its number is the caller's, unique, not 0) or says why not
 * in ret_text. A held attempt that is this agent's lease is adopted, any other
 * is to be killed. A lease it does not list ends at once when it was not
 * accepted (nothing ran) or when this same boot held it (nothing runs any
 * more); one of an earlier boot ends when it lapses. */
int ledger_agent_hello(struct ledger *ledger, uint64_t session,
                       const struct agent_hello *hello, enum hello_answer *ret,
                       char ret_text[LEDGER_TEXT_MAX]);
/* The connection is gone. What it had not accepted goes back to its line at
 * once: a job starts only after the broker committed its acceptance, so it has
 * provably not run. What it had accepted may be running: those leases go on
 * until they lapse. Unknown sessions are fine, here and below. */
int ledger_agent_gone(struct ledger *ledger, uint64_t session, const char *why);
/* It said goodbye: not lost. It is forgotten when it holds nothing and no
 * operator stopped it; one that is lost is shown for an hour. */
int ledger_agent_left(struct ledger *ledger, uint64_t session);
int ledger_agent_draining(struct ledger *ledger, uint64_t session);
/* A push that provably never left: the run goes back to its line at once. Its
 * agent is pushed nothing for a second, as after ledger_refused(). */
int ledger_unsent(struct ledger *ledger, uint64_t session,
                  const struct run_id *id, uint32_t attempt);

/* Messages of an attempt. One that is not this session's live lease is noted
 * as late and changes nothing; a late result is acknowledged all the same, so
 * that the agent can forget it, unless the session is over. */
int ledger_accepted(struct ledger *ledger, uint64_t session,
                    const struct run_id *id, uint32_t attempt,
                    int64_t started_unix_ms, uint64_t beat);
/* fatal: no other agent could do better (the plan cannot be read): FAILED. */
int ledger_refused(struct ledger *ledger, uint64_t session,
                   const struct run_id *id, uint32_t attempt, bool fatal,
                   const char *text);
int ledger_node(struct ledger *ledger, uint64_t session,
                const struct run_id *id, uint32_t attempt, uint64_t event,
                const struct node_record *node);
int ledger_log(struct ledger *ledger, uint64_t session, const struct run_id *id,
               uint32_t attempt, uint64_t event, const struct log_record *log);

struct result {
    enum attempt_outcome outcome; /* COMPLETED, FAILED, TIMED_OUT, CANCELLED,
                                     LAPSED (killed at its deadline) */
    int64_t started_unix_ms, ended_unix_ms;
    uint64_t events, log_dropped;
    const char *error; /* or NULL */
    const struct node_record *nodes;
    size_t node_count;
};
int ledger_result(struct ledger *ledger, uint64_t session,
                  const struct run_id *id, uint32_t attempt,
                  const struct result *result);

/* Renews the session's leases that are listed; the answer names the others. */
int ledger_renew(struct ledger *ledger, uint64_t session, uint64_t beat,
                 const struct effect_attempt *held, size_t held_count);

/* ---- questions (between turns; no effect) ---------------------------- */

/* What the whole looks like right now, in one piece. */
struct board_holder {
    struct run_id run;
    uint32_t attempt;
    enum run_state state;
    char workflow[POOL_NAME_MAX]; /* cut when longer */
    char agent[AGENT_NAME_MAX];
    int64_t leased_unix_ms;
};
struct board_pool {
    struct pool_config config; /* in force, overrides applied */
    uint32_t configured_limit;
    bool overridden;
    enum pool_state state;
    char who[LEDGER_TEXT_MAX], reason[LEDGER_TEXT_MAX]; /* of the state */
    int64_t since_unix_ms, until_unix_ms; /* until 0: until resumed */
    uint32_t used, waiting;
    uint32_t agents, agents_healthy, slots, slots_free;
    int64_t oldest_queued_unix_ms;      /* 0: nobody waits */
    uint32_t reasons[WAIT_REASONS];     /* waiting runs by reason */
    const struct board_holder *holders; /* `used` many */
};
enum agent_health { AGENT_OK, AGENT_SLOW, AGENT_LOST };
const char *agent_health_name(enum agent_health health); /* "ok" ... */
struct board_agent {
    char name[AGENT_NAME_MAX];
    char host[POOL_NAME_MAX], software[POOL_NAME_MAX];
    uint32_t pid, slots, used;
    enum agent_health health; /* at the time of the question */
    enum pool_state state;    /* open, paused, draining */
    char who[LEDGER_TEXT_MAX], reason[LEDGER_TEXT_MAX];
    uint64_t seen_ms_ago;
    int64_t connected_unix_ms;
    uint64_t done, failed; /* since the broker started */
    char pools[256];       /* comma-separated, cut when longer */
    const char *caps; /* comma-separated, all of them; in the board's memory */
};
struct board {
    int64_t now_unix_ms;
    uint64_t turn;
    bool draining;
    unsigned store_permille;
    uint32_t scheduled; /* runs that wait for a time */
    struct board_pool *pools;
    size_t pool_count;
    struct board_agent *agents;
    size_t agent_count;
    uint64_t late_messages, refused_messages; /* since the broker started */
    uint64_t bad_frames; /* the same; counted and set by who owns the socket */
};
int ledger_board(const struct ledger *ledger, uint64_t now_ms,
                 int64_t now_unix_ms, struct board **ret);

/* Why a live run is where it is. */
enum {
    EXPLAIN_AHEAD_MAX = 10000, /* place in line is counted up to here */
    EXPLAIN_MISSING_MAX = 1024,
};
struct explanation {
    enum run_state state;
    struct decision decision; /* as of now; with a slot: as granted */
    enum wait_reason reason;  /* WAIT_NONE: does not wait */
    /* NO_CAPABLE_AGENT: what no agent of the wanted pool announces, as words
     * with commas between them; when each is announced by some agent and all by
     * none, all that is needed. Both are cut when longer. */
    char missing[EXPLAIN_MISSING_MAX];
    char missing_text[EXPLAIN_MISSING_MAX]; /* the same as a sentence */
    uint32_t ahead;  /* runs before it that want the same pool */
    bool ahead_more; /* at least so many */
    uint64_t waited_ms;
    int64_t begins_unix_ms;          /* SCHEDULED */
    struct board_holder holders[32]; /* who has the wanted pool's slots */
    size_t holder_count;
};
/* -ENOENT: not live. */
int ledger_explain(const struct ledger *ledger, const struct run_id *id,
                   uint64_t now_ms, struct explanation *ret);

/* The reason alone, as lists show it; WAIT_NONE: it does not wait, or is not
 * live. */
enum wait_reason ledger_reason(const struct ledger *ledger,
                               const struct run_id *id, uint64_t now_ms);

/* What would happen to this request right now; nothing is kept. */
int ledger_plan(const struct ledger *ledger, const struct origin *origin,
                struct admission *ret_admission,
                struct explanation *ret_explanation);

/* The session of a healthy agent that announces all of it, the one with the
 * fewest leases; 0: there is none. */
uint64_t ledger_capable(const struct ledger *ledger,
                        const char *const *requires, size_t count,
                        uint64_t now_ms);

/* Recounts everything from the runs and compares it with the books and the
 * store. 0, or -EUCLEAN with what is wrong in ret_why. For simulators, tests
 * and an idle broker; not cheap. */
int ledger_audit(struct ledger *ledger, char ret_why[STORE_WHY_MAX]);

#endif
