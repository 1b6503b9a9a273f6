/*
 * run.h - one execution of a workflow: its id, its states, the table of legal
 * moves, and the records the store keeps of it.
 *
 * Memory:  a decoded record is one allocation the caller frees with free();
 *          its strings live inside it. Encoded records are malloc'ed.
 * Threads: none; pure.
 * Time:    Unix milliseconds for people (…_unix_ms), 0: not yet.
 * Errors:  0 or a negative errno; -EBADMSG: not a record of ours.
 */
#ifndef POOLS_RUN_H
#define POOLS_RUN_H

#include "policy/features.h"
#include "policy/retry.h"
#include "policy/route.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RUN_ID_TEXT = 37,
    RUN_REQUIRES_MAX = 64,
    RUN_REQUIRE_MAX = 129, /* bytes with NUL */
    RUN_TAGS_MAX = 64,
    RUN_SOURCES_MAX = 64
};

/* UUIDv7 (RFC 9562): ids sort by time of submission. */
struct run_id {
    uint8_t b[16];
};
void run_id_text(const struct run_id *id, char ret_text[RUN_ID_TEXT]);
/* -EINVAL: not a UUID in text form. */
int run_id_parse(const char *text, struct run_id *ret_id);
/* The next id: grows strictly from `last`, even when the clock stands or steps
 * back. random: 64 uniform bits. */
struct run_id run_id_next(const struct run_id *last, int64_t now_unix_ms,
                          uint64_t random);

enum run_state { /* stored: append only */
                 RUN_SCHEDULED,
                 RUN_QUEUED,
                 RUN_PENDING,
                 RUN_RUNNING,
                 RUN_CANCELLING,
                 RUN_COMPLETED,
                 RUN_FAILED,
                 RUN_TIMED_OUT,
                 RUN_CANCELLED,
                 RUN_CRASHED,
                 RUN_STATES
};
const char *run_state_name(enum run_state state); /* "QUEUED" */
/* -EINVAL. Case does not matter. */
int run_state_parse(const char *name, enum run_state *ret_state);
bool run_state_is_final(enum run_state state);
/* Holds a slot: PENDING, RUNNING, CANCELLING. */
bool run_state_holds_slot(enum run_state state);
bool run_may_move(enum run_state from, enum run_state to);

enum run_priority { PRIORITY_HIGH, PRIORITY_NORMAL, PRIORITY_LOW, PRIORITIES };
const char *run_priority_name(enum run_priority priority);
int run_priority_parse(const char *name, enum run_priority *ret_priority);

/* An idempotency key: a second request with the same key is the first one
 * again. Hashes, so that keys and bodies of any length fit a record. */
struct once {
    uint8_t key[32]; /* of the caller and the key */
    uint8_t
        body[32]; /* of the request: another body under the key is refused */
};

/* What never changes about a run: the request, what was seen in it, and the
 * decision at submission. Also the submission itself (front thread -> ledger),
 * with the fields marked * still empty. */
struct origin {
    const char *workflow;    /* name */
    const char *workflow_id; /* the document's, or NULL */
    enum workflow_shape shape;
    bool edges_inferred;
    struct features features;    /* tags and requested_pool as given */
    const char *rule, *rule_why; /* classification */
    const char *wanted_pool;
    bool fallback_forbidden;
    const char *requires[RUN_REQUIRES_MAX]; /* sorted; each under
                                               RUN_REQUIRE_MAX */
    size_t requires_count;
    enum run_priority priority;
    uint64_t timeout_ms; /* 0: none */
    struct retry_rule retry;
    int64_t start_at_unix_ms; /* 0: now */
    const char *who;          /* the authenticated caller, or "anonymous" */
    const char *traceparent;  /* W3C, or NULL */
    const struct once *once;  /* or NULL; not part of the record */
    /* Nodes that read from outside, as indices in the plan: what they give out
     * is the size that is measured. None: it is not (also when there would be
     * more than RUN_SOURCES_MAX). */
    uint32_t sources[RUN_SOURCES_MAX];
    size_t source_count;
    int64_t submitted_unix_ms; /* * */
    struct decision decision;  /* * */
};

/* What changes. */
struct run_record {
    enum run_state state;
    uint32_t attempt; /* number of the current or last attempt; 0: none yet */
    uint32_t failures, losses;
    int64_t order_ms;       /* place in its line: arrival + priority x ageing */
    int64_t queued_unix_ms; /* when it last became able to start */
    int64_t not_before_unix_ms;     /* SCHEDULED: when */
    enum wait_reason scheduled_for; /* SCHEDULED: WAIT_BEGIN_TIME, ... */
    int64_t started_unix_ms, ended_unix_ms; /* started: the last attempt */
    const char *pool;  /* of the current or last attempt, or NULL */
    const char *agent; /* of the current or last attempt, or NULL */
    const char *error; /* a sentence, or NULL */
    const char *cancel_who, *cancel_reason; /* or NULL */
};

enum attempt_outcome { /* stored: append only */
                       ATTEMPT_LIVE,
                       ATTEMPT_COMPLETED,
                       ATTEMPT_FAILED,
                       ATTEMPT_TIMED_OUT,
                       ATTEMPT_CANCELLED,
                       ATTEMPT_LAPSED, /* its lease ran out: the agent was lost
                                        */
                       ATTEMPT_RETURNED, /* never started: not delivered, or
                                            refused */
                       ATTEMPT_OUTCOMES
};
const char *attempt_outcome_name(enum attempt_outcome outcome); /* "lapsed" */

/* One try on one agent. While it is LIVE this record is the lease. */
struct attempt_record {
    uint32_t attempt;
    const char *pool, *agent;
    uint8_t boot[16]; /* the agent's boot id */
    enum attempt_outcome outcome;
    int64_t leased_unix_ms, accepted_unix_ms, started_unix_ms, ended_unix_ms;
    uint64_t events;      /* last NODE or LOG event received */
    uint64_t log_dropped; /* bytes of output that were not kept */
    bool logs_complete;
    const char *error;        /* or NULL */
    struct decision decision; /* as it stood when the slot was granted */
};

enum run_node_state { /* as on the wire; stored: append only */
                      RUN_NODE_WAITING,
                      RUN_NODE_RUNNING,
                      RUN_NODE_COMPLETED,
                      RUN_NODE_FAILED,
                      RUN_NODE_SKIPPED,
                      RUN_NODE_CANCELLED,
                      RUN_NODE_STATES
};
const char *run_node_state_name(enum run_node_state state); /* "waiting" */

#define RUN_COUNT_UNKNOWN UINT64_MAX /* as on the wire */

struct node_record {
    uint32_t node; /* index in the plan; in the key, not the value */
    uint32_t attempt;
    enum run_node_state state;
    int64_t started_unix_ms, ended_unix_ms;
    int32_t exit_code; /* -1: not applicable */
    /* RUN_COUNT_UNKNOWN: nobody knows. While it runs: so far. */
    uint64_t rows_in, rows_out, bytes_out, rows_rejected;
    const char *error; /* or NULL */
};

enum { /* as on the wire; stored: append only */
       RUN_LOG_AGENT,
       RUN_LOG_STDOUT,
       RUN_LOG_STDERR,
       RUN_LOG_PREVIEW, /* a node's first rows as JSON lines, the names of the
                           columns first; kept with the output, shown apart */
       RUN_LOG_STREAMS
};

struct log_record {
    uint32_t node;
    uint8_t stream; /* RUN_LOG_... */
    int64_t at_unix_ms;
    const char *text; /* bytes, not NUL-terminated */
    size_t text_bytes;
};

/* Records <-> bytes: msgpack arrays that begin with a version (STORE.md).
 * encode: *ret is malloc'ed. -ENOMEM. -EMSGSIZE: over 16 MiB. origin_encode
 * also -EINVAL: more than RUN_TAGS_MAX tags, RUN_REQUIRES_MAX requirements or
 * RUN_SOURCES_MAX sources.
 * decode: as the head comment says. */
int origin_encode(const struct origin *origin, void **ret, size_t *ret_bytes);
int origin_decode(const void *bytes, size_t len, struct origin **ret);
int run_encode(const struct run_record *run, void **ret, size_t *ret_bytes);
int run_decode(const void *bytes, size_t len, struct run_record **ret);
int attempt_encode(const struct attempt_record *attempt, void **ret,
                   size_t *ret_bytes);
int attempt_decode(const void *bytes, size_t len, struct attempt_record **ret);
int node_encode(const struct node_record *node, void **ret, size_t *ret_bytes);
int node_decode(const void *bytes, size_t len, struct node_record **ret);
int log_encode(const struct log_record *log, void **ret, size_t *ret_bytes);
int log_decode(const void *bytes, size_t len, struct log_record **ret);
/* Plan table: plan and parameters, both JSON text; parameters may be empty. */
struct span {
    const char *ptr; /* not NUL-terminated */
    size_t len;
};
int plan_encode(struct span plan, struct span parameters, void **ret,
                size_t *ret_bytes);
/* Borrows from bytes. */
int plan_decode(const void *bytes, size_t len, struct span *ret_plan,
                struct span *ret_parameters);

#endif
