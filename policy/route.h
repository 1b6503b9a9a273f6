/*
 * route.h - wanted pool + loads -> a pool now, or wait and why; and the record
 * of that decision as plain data.
 *
 * Pure: pools, loads and times are arguments. The ledger asks route_check()
 * for one pool at a time when capacity changes, and route_decide() for the
 * whole record that `plan` and `explain` show; both use the same checks, so
 * that what is explained is what was done.
 */
#ifndef POLICY_ROUTE_H
#define POLICY_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ROUTE_HOPS_MAX = 8, POOL_NAME_MAX = 64, ROUTE_WHY_MAX = 200 };

/* Why a run waits: a closed list, one reason each; never "unknown". */
enum wait_reason {
    WAIT_NONE, /* does not wait */
    WAIT_POOL_FULL,
    WAIT_POOL_PAUSED,
    WAIT_POOL_DRAINING,
    WAIT_NO_AGENT,         /* nobody serves the pool */
    WAIT_NO_CAPABLE_AGENT, /* somebody does, but cannot execute a node */
    WAIT_AGENTS_UNHEALTHY, /* all that serve it are lost, paused, draining */
    WAIT_AGENTS_BUSY,      /* the pool has room, its agents have no free slot */
    WAIT_HIGHER_PRIORITY,  /* others in this line are before it */
    WAIT_BEGIN_TIME,
    WAIT_RETRY_BACKOFF,
    WAIT_WORKFLOW_PAUSED,
    WAIT_WORKFLOW_LIMIT,
    WAIT_KEY_LIMIT,
    WAIT_FALLBACK_FORBIDDEN,
    WAIT_BROKER_DRAINING,
    WAIT_STORE_FULL,
    WAIT_TOO_BIG, /* over the ceiling of its pool, lowered since it was taken */
    WAIT_REASONS  /* how many */
};

/* What a person can do about it. */
enum wait_verdict {
    VERDICT_WAIT,
    VERDICT_CHANGE_REQUEST,
    VERDICT_ASK_OPERATOR
};

const char *wait_reason_name(enum wait_reason reason); /* "POOL_FULL" */
enum wait_verdict wait_reason_verdict(enum wait_reason reason);
const char *wait_verdict_name(enum wait_verdict verdict); /* "wait", ... */
const char *wait_reason_text(enum wait_reason reason);    /* one sentence */

/* One entry of a pool's fallback list; guards that are not set are zero
 * (size_below: -1). */
struct route_hop {
    uint16_t pool;          /* index among the configured pools */
    uint32_t after_ms;      /* only when the run has waited this long */
    int64_t size_below;     /* only when the size is known and smaller, bytes */
    uint32_t free_at_least; /* only when the pool has this many free slots */
};

enum pool_state { POOL_OPEN, POOL_PAUSED, POOL_DRAINING, POOL_CLOSED };
const char *pool_state_name(enum pool_state state); /* "open", ... */

/* What routing sees of one pool, for one class of runs. */
struct pool_view {
    const char *name; /* borrowed during the call, copied into candidates */
    enum pool_state state;   /* closed takes no new run, starts what waits */
    uint32_t limit, used;    /* slots; used may exceed a limit just lowered */
    int64_t max_size;        /* ceiling, bytes; -1: none */
    uint32_t waiting;        /* runs in its line */
    uint32_t agents;         /* sessions that serve it, in any health */
    uint32_t agents_healthy; /* connected, not paused, not draining */
    uint32_t agents_capable; /* healthy and able to execute this class */
    uint32_t slots_free;     /* free slots of the capable ones */
};

/* Verdict on one candidate pool. */
enum route_verdict {
    ROUTE_TAKE,
    ROUTE_FULL, /* used >= limit */
    ROUTE_PAUSED,
    ROUTE_DRAINING,
    ROUTE_NO_AGENT,
    ROUTE_UNHEALTHY,
    ROUTE_NOT_CAPABLE,
    ROUTE_AGENTS_BUSY,
    ROUTE_TOO_BIG,         /* known size over the pool's ceiling */
    ROUTE_SIZE_UNKNOWN,    /* guard size_below wants a known size */
    ROUTE_SIZE_GUARD,      /* size known, not below the guard */
    ROUTE_NOT_YET,         /* guard after */
    ROUTE_TOO_LITTLE_FREE, /* guard free_at_least */
    ROUTE_FORBIDDEN,       /* the caller allows no fallback */
    ROUTE_NOT_REACHED,     /* an earlier candidate took it */
};
const char *route_verdict_name(enum route_verdict verdict); /* "take", ... */

struct route_request {
    struct route_hop hops[ROUTE_HOPS_MAX]; /* [0] is the wanted pool, without
                                              guards */
    size_t hop_count;                      /* at least 1 */
    int64_t size_bytes;                    /* -1: unknown */
    uint64_t waited_ms;
    bool fallback_forbidden;
};

struct route_candidate {
    char pool[POOL_NAME_MAX];
    enum route_verdict verdict;
    uint32_t limit, used, agents, slots_free;
    char why[ROUTE_WHY_MAX]; /* "5 of 5 slots in use" */
};

struct decision {
    struct route_candidate candidates[ROUTE_HOPS_MAX];
    size_t candidate_count;
    int chosen;              /* index of the candidate taken, -1: wait */
    enum wait_reason reason; /* WAIT_NONE when chosen; else the wanted pool's,
                                or the first fallback's that can hold the run
                                when the wanted pool never can */
    uint64_t look_again_ms;  /* a guard `after` opens in so many ms; 0: none */
};

/* May the run go to hop `hop` of the request (0: the wanted pool) right now? */
enum route_verdict route_check(const struct route_request *request, size_t hop,
                               const struct pool_view *view);

/* The same without loads: can this hop ever take a run of this size? Used to
 * leave impossible hops out of a run's class. */
bool route_possible(const struct route_hop *hop, bool is_wanted,
                    int64_t max_size, int64_t size_bytes,
                    bool fallback_forbidden);

/* All candidates in order, the first ROUTE_TAKE chosen. views[i] belongs to
 * request->hops[i]. */
void route_decide(const struct route_request *request,
                  const struct pool_view *views, struct decision *ret);

#endif
