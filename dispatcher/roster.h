/*
 * roster.h - the broker's side of the wire: a ROUTER socket, one session per
 * connected agent, frames to ledger inputs and effects to frames.
 *
 * A peer is known by the routing id ZeroMQ gave its connection; routing ids
 * are never configured, so none can be stolen. A session begins with HELLO and
 * ends with BYE or when the socket monitor sees the connection go.
 *
 * Sending proves nothing: a ROUTER happily queues for a dead peer. So what is
 * sent is always committed before, and what matters is acknowledged by the
 * other side. Only a send that fails at once is known to have failed.
 *
 * Threads: the core's.
 * Errors:  0 or a negative errno of the ledger; what a peer does wrong is
 *          counted, logged and answered, never an error.
 */
#ifndef DISPATCHER_ROSTER_H
#define DISPATCHER_ROSTER_H

#include "dispatcher/exchange.h"

struct roster;

struct roster_counts { /* since the start */
    uint64_t frames_in, frames_out, frames_bad, strangers;
};

/* Binds. -EADDRINUSE, -EINVAL, ...: ret_why says what and what to do. */
int roster_open(void *zmq_context, const char *address,
                struct roster **ret_roster, char ret_why[STORE_WHY_MAX]);
/* Says BYE to everybody, then closes. */
void roster_close(struct roster **roster_p);
const char *roster_address(const struct roster *roster);
const struct roster_counts *roster_counts(const struct roster *roster);

/* For zmq_poll. */
void *roster_socket(const struct roster *roster);
void *roster_monitor(const struct roster *roster);
/* Something is waiting for the next turn: do not sleep. */
bool roster_is_restless(const struct roster *roster);

/* Inside a turn: hands the ledger what has happened, at most `budget` frames.
 */
int roster_gather(struct roster *roster, struct ledger *ledger, int budget);

/* Puts a question about sizes to a session. -EHOSTUNREACH: it is gone, or it
 * does not take messages; others as wire_pack(). */
int roster_ask_sizes(struct roster *roster, uint64_t session, uint64_t number,
                     const char *sources);
/* The next answer to one that roster_gather() has heard, as an exchange for
 * the front (EXCHANGE_ESTIMATED, the caller's); NULL: no more. */
struct exchange *roster_next_sizes(struct roster *roster);

/* After the commit: carries out an effect that is a message. Plans are read
 * from the store. What could not be sent is told to the ledger by the next
 * roster_gather(). */
void roster_send(struct roster *roster, struct store_reader *reader,
                 const struct effect *effect);

#endif
