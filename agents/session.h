/*
 * session.h - the conversation with the dispatcher.
 *
 *   OFFLINE --time to try--> GREETING --WELCOME--> ONLINE
 *      ^------ link broken, no answer, BYE -----------/
 *
 * Runs do not depend on it: they go on in any state, until their leases end.
 * Whatever must not be lost is in the spool and is offered again after each
 * WELCOME: results until RESULT_ACK, events from where the broker says.
 *
 * Renewal. Every RENEW and every ACCEPTED has a beat number and a moment at
 * which it was built. When RENEWED brings the number back, the leases of the
 * attempts that message listed end lease_ms after that moment, which is never
 * later than the broker thinks, however long the answer took.
 *
 * Memory:  all owned by struct session; borrowed: settings, spool, nursery.
 * Threads: one loop (agent.h). Time: clock_boot_ms(), passed in as now_ms.
 */
#ifndef AGENTS_SESSION_H
#define AGENTS_SESSION_H

#include "agents/held.h"
#include "agents/link.h"
#include "agents/settings.h"
#include "agents/survey.h"

enum session_state { SESSION_OFFLINE, SESSION_GREETING, SESSION_ONLINE };

enum {
    SESSION_BACKOFF_MIN_MS = 100,
    SESSION_BACKOFF_MAX_MS = 5000,
    SESSION_CLONE_MIN_MS = 2000, /* another living agent has our name */
    SESSION_CLONE_MAX_MS = 15000,
    SESSION_GREETING_MS = 5000, /* HELLO to WELCOME */
    SESSION_BEATS_MISSED = 3,
    SESSION_BEATS_KEPT = 8,       /* unanswered beats whose moment is known */
    SESSION_RESEND_MS = 10000,    /* RESULT without RESULT_ACK */
    SESSION_SAY_AGAIN_MS = 30000, /* about a dispatcher out of reach */
    SESSION_BATCH = 256,          /* messages read, events shipped, a turn */
};

struct session_beat {
    uint64_t beat;
    int64_t sent_at;
};

struct session {
    const struct settings *settings;
    const struct spool *spool;
    struct nursery *nursery;
    struct holdings holdings;
    struct link link;
    struct surveys surveys; /* of this session: dropped with it */
    struct wire_id boot;
    enum session_state state;
    uint64_t number; /* the broker's */
    int64_t next_try_at, backoff_ms, greeted_at;
    uint32_t lease_ms;
    uint64_t greeting; /* HELLOs said */
    uint64_t beat;     /* the last one used */
    uint64_t answered; /* the last one that came back */
    unsigned missed;   /* RENEWs since the last answer */
    int64_t next_beat_at;
    struct session_beat beats[SESSION_BEATS_KEPT]; /* ring, by beat % size */
    bool welcomed;                                 /* ever */
    bool draining, drain_said;
    char drain_reason[80];
    int fatal; /* exit code the broker's BYE asks for, 0: none */
    uint64_t malformed, unexpected;
    int64_t malformed_said_at, unreachable_said_at;
    size_t next_ship; /* round robin */
};

/* Random boot id from the kernel. */
void session_init(struct session *session, const struct settings *settings,
                  const struct spool *spool, struct nursery *nursery,
                  void *zmq_context);
void session_clear(struct session *session);

/* One turn: reads what arrived, keeps time, ships. */
void session_turn(struct session *session, int64_t now_ms);
/* When the next turn is due at the latest. */
int64_t session_due(const struct session *session, int64_t now_ms);

/* The nursery's words and the shepherds' wakes. */
void session_on_word(struct session *session, const struct nursery_word *word,
                     int64_t now_ms);
void session_on_wake(struct session *session, const struct spool_wake *wake);
/* The loop stood still (the process was stopped, the machine slept): what waits
 * in the socket may be of a lease that is over. Begins anew. */
void session_on_stall(struct session *session, int64_t now_ms,
                      int64_t stood_ms);

/* No new runs from now on. */
void session_drain(struct session *session, const char *reason);
/* Stops every run; `reason` becomes the text of their results. */
void session_cancel_all(struct session *session, int64_t now_ms,
                        int64_t grace_ms, const char *reason);
/* Nothing runs; `*ret_reported`: and the broker has every result. */
bool session_is_idle(const struct session *session, bool *ret_reported);
/* Says BYE and closes. */
void session_leave(struct session *session);

/* Parts, in ship.c. */
void session_ship(struct session *session, int64_t now_ms);
/* In greet.c. */
void session_open(struct session *session, int64_t now_ms);
void session_drop(struct session *session, int64_t now_ms, const char *why);
void session_on_welcome(struct session *session, const struct wire_msg *msg,
                        int64_t now_ms);
void session_on_bye(struct session *session, const struct wire_msg *msg,
                    int64_t now_ms);
void session_renew(struct session *session, int64_t now_ms);
void session_on_renewed(struct session *session, const struct wire_msg *msg,
                        int64_t now_ms);
void session_post(struct session *session, const struct wire_msg *msg);
/* Kill and forget: the broker does not want it. */
void session_doom(struct session *session, struct held *held, int64_t now_ms,
                  const char *why);
/* When a held attempt ended: log, or forget if doomed. */
void session_ended(struct session *session, struct held *held);

#endif
