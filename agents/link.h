/*
 * link.h - one connection to the dispatcher: a DEALER socket and its monitor.
 *
 * A link lives as long as its connection. ZeroMQ's own reconnection is off: a
 * DEALER that reconnects keeps what is in its queue and would send messages of
 * a session that is over into the next one. So a broken link is closed, with
 * whatever was still in it, and the agent opens a new one and says HELLO; what
 * matters is sent again from the spool.
 *
 * Memory:  link_send copies; a received message is the caller's zmq_msg_t.
 * Threads: the agent's one loop.
 * Errors:  0 or a negative errno.
 */
#ifndef AGENTS_LINK_H
#define AGENTS_LINK_H

#include <stdbool.h>
#include <stddef.h>

#include <zmq.h>

enum {
    LINK_HIGH_WATER = 256,   /* messages queued each way */
    LINK_OUTBOX_MAX = 8192,  /* small messages waiting for room */
    LINK_FAREWELL_MS = 1000, /* how long a last word may take to leave */
};

struct link_parcel;

struct link {
    void *context;          /* borrowed */
    void *socket, *monitor; /* NULL: closed */
    unsigned generation;    /* names the monitor's endpoint */
    bool blocked;           /* the last send found no room */
    struct link_parcel *outbox, **outbox_tail;
    size_t outbox_count;
};

void link_init(struct link *link, void *zmq_context);
/* -EINVAL: not an address; -EMFILE, ... */
int link_open(struct link *link, const char *address);
/* linger_ms: how long to go on sending what is queued. NULL sockets are fine.
 */
void link_close(struct link *link, int linger_ms);
bool link_is_open(const struct link *link);

/* Sends, or -EAGAIN when there is no room: for what can be read again from the
 * spool. */
int link_send(struct link *link, const void *frame, size_t bytes);
/* Sends, or keeps until there is room, in order: for small messages that are
 * built once. -ENOBUFS: too many wait; -ENOMEM. Takes the frame (malloc'ed). */
int link_post(struct link *link, char *frame, size_t bytes);
/* Sends of the posted what there is room for. */
void link_flush(struct link *link);
/* May more be read from the spool and sent? */
bool link_has_room(const struct link *link);

/* 1: *msg (initialised here) is a message of one frame; 0: none now; -EBADMSG:
 * one of another number of frames was dropped. */
int link_receive(struct link *link, zmq_msg_t *msg);

/* Reads the monitor: true when the connection is over or never came about. */
bool link_is_broken(struct link *link);

#endif
