/*
 * exchange.h - what the front thread asks and the core thread answers.
 *
 * One struct exchange travels to the core, is filled in, and travels back
 * after the turn's commit: a pointer in an inproc message, owned by whoever
 * holds it. The threads share nothing else but the store's readers. When a run
 * ends the core also sends its id (EXCHANGE_ENDED), so that the front can
 * answer those who wait for it. What an agent answers to a question about sizes
 * goes to the front in the same way (EXCHANGE_ESTIMATED); the core remembers
 * nothing of such questions.
 *
 * Memory:  made by exchange_new() and freed by exchange_free(), in the thread
 *          that holds it (ENDED, ESTIMATED: made by the core, freed
 *          by the front).
 *          `submissions` is malloc'ed; every text the front put in lives in
 *          `owner_data` until owner_free(). Answers (boards, explanations) are
 *          malloc'ed by the core and freed with the exchange.
 * Threads: never two at once.
 */
#ifndef DISPATCHER_EXCHANGE_H
#define DISPATCHER_EXCHANGE_H

#include "pools/ledger.h"

enum ask {
    ASK_SUBMIT, /* one or many runs, admitted one by one in one turn */
    ASK_PLAN,   /* the same without effect; one */
    ASK_CANCEL,
    ASK_POOL_VERB,
    ASK_POOL_SET,
    ASK_AGENT_VERB,
    ASK_BOARD,
    ASK_EXPLAIN,
    ASK_REASONS,        /* of many runs, why each waits */
    ASK_ESTIMATE,       /* to be put to an agent; says only whether it was */
    EXCHANGE_ENDED,     /* core -> front, unasked */
    EXCHANGE_ESTIMATED, /* the same: what an agent has answered */
};

struct submission {
    struct origin origin; /* texts borrowed from the exchange's owner_data */
    struct span plan, parameters;
    struct admission admission;      /* answer */
    struct explanation *explanation; /* answer: where it is now, after the
                                        turn; NULL when it was refused */
};

struct run_reason {
    struct run_id run;
    enum wait_reason reason; /* answer */
};

/* How much is in some sources: {"kind", "config"} each, as an agent is asked.
 */
enum { SIZE_SOURCES_MAX = RUN_SOURCES_MAX };
struct size_question {
    uint64_t number; /* the front's */
    /* ESTIMATE: what the agent has to announce, texts in owner_data; and the
     * array of the sources as JSON text, malloc'ed. */
    const char *requires[RUN_REQUIRES_MAX + 1];
    size_t requires_count;
    char *sources;
    /* ESTIMATE's answer: who was asked, 0: there is nobody. ESTIMATED: who
     * answered. */
    uint64_t session;
    /* ESTIMATED: bytes, -1 where unknown; none: it had no time. */
    int64_t sizes[SIZE_SOURCES_MAX];
    size_t size_count;
};

struct exchange {
    enum ask ask;
    void *connection;   /* the front's; not touched by the core */
    const char *who;    /* authenticated caller; in owner_data */
    const char *reason; /* or NULL; in owner_data */

    struct submission *submissions; /* SUBMIT, PLAN */
    size_t submission_count;
    void *owner_data; /* what keeps the texts alive */
    void (*owner_free)(void *owner_data);

    struct run_id run;         /* CANCEL, EXPLAIN, ENDED */
    char name[AGENT_NAME_MAX]; /* pool or agent */
    enum pool_verb verb;
    uint64_t for_ms;
    struct pool_change change;

    struct size_question *question; /* ESTIMATE, ESTIMATED: malloc'ed */

    /* answers */
    int status; /* 0 or -ENOENT, -EINVAL: as the ledger's call returned;
                   -ESHUTDOWN: the core is stopping and did nothing */
    enum cancel_answer cancelled;
    enum run_state state; /* ENDED */
    struct board *board;  /* BOARD, POOL_VERB, POOL_SET, AGENT_VERB: as it is
                             after the change */
    struct explanation *explanation; /* EXPLAIN */
    struct run_reason *reasons; /* REASONS: malloc'ed by the front, filled in by
                                   the core */
    size_t reason_count;
};

/* NULL: no memory. */
struct exchange *exchange_new(enum ask ask);
/* Frees all it holds and sets *exchange_p to NULL. */
void exchange_free(struct exchange **exchange_p);

/* One end of the pair of inproc sockets. */
enum { EXCHANGE_BACKLOG_MAX = 4096 }; /* waiting in one direction */
/* A PAIR socket with that limit and no lingering: the core's end binds, the
 * front's connects. *ret_socket is the caller's, to be zmq_close()d after
 * receiving what is left. A negative errno. */
int exchange_open(void *zmq_context, const char *endpoint, bool core,
                  void **ret_socket);
/* Sends and takes: *exchange_p is NULL after success. -EAGAIN: the other side
 * is EXCHANGE_BACKLOG_MAX behind. */
int exchange_send(void *socket, struct exchange **exchange_p);
/* NULL: nothing there. */
struct exchange *exchange_receive(void *socket);

#endif
