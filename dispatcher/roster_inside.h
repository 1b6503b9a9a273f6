/*
 * roster_inside.h - what the roster's own files share: roster.c (sockets and
 * sessions), roster_in.c (frames to inputs), roster_out.c (effects to frames).
 */
#ifndef DISPATCHER_ROSTER_INSIDE_H
#define DISPATCHER_ROSTER_INSIDE_H

#include "agents/wire.h"
#include "dispatcher/roster.h"
#include "pools/index.h"

#include <zmq.h>

enum {
    ROUTE_MAX = 8, /* ZeroMQ makes routing ids of 5 bytes */
    ENDPOINT_MAX = 256,
    HIGH_WATER = 1000,  /* messages to one agent: above its credit in practice,
                           and full only when it stopped reading */
    BAD_LOGGED_MAX = 5, /* a peer's malformed frames that are logged */
    SIZES_MAX = 64,     /* answers about sizes of one turn; more are dropped,
                           their askers go on without */
};

struct session {
    struct index_entry by_route, by_number;
    uint8_t route[ROUTE_MAX];
    size_t route_len;
    uint64_t number;
    int fd;
    uint64_t bad;
    char name[WIRE_NAME_MAX + 1];
};

struct failed_send { /* told to the ledger in the next turn */
    uint64_t session;
    struct run_id run;
    uint32_t attempt;
    int error;
};

struct roster {
    void *socket, *monitor;
    char address[ENDPOINT_MAX];
    struct index by_route, by_number;
    struct session **by_fd;
    size_t fd_room;
    uint64_t last_number;
    struct failed_send *failed;
    size_t failed_count, failed_room;
    struct exchange *sizes[SIZES_MAX]; /* heard, for the front; in order */
    size_t size_count, size_taken;
    struct roster_counts counts;
};

struct frame { /* what has arrived, from whom */
    const void *route;
    size_t route_len;
    const void *bytes;
    size_t len;
    int fd;
};

/* ---- roster.c -------------------------------------------------------- */

struct session *session_by_route(const struct roster *r, const void *route,
                                 size_t len);
struct session *session_by_number(const struct roster *r, uint64_t number);
/* NULL: no memory, or not a routing id of ours. */
struct session *session_begin(struct roster *r, const void *route,
                              size_t route_len, int fd);
void session_end(struct roster *r, struct session *s);

/* ---- roster_out.c ---------------------------------------------------- */

/* 0, or -EHOSTUNREACH (gone), -EAGAIN (it stopped reading), -ENOMEM, or what
 * wire_pack() says. */
int roster_post(struct roster *r, const void *route, size_t route_len,
                const struct wire_msg *msg);
void roster_say_bye(struct roster *r, const void *route, size_t route_len,
                    enum wire_bye code, const char *text);

/* ---- roster_in.c ----------------------------------------------------- */

/* One frame into the ledger; what is wrong with it is counted and answered. */
int roster_take(struct roster *r, struct ledger *ledger,
                const struct frame *frame);
void roster_bad_frame(struct roster *r, const struct frame *frame, int error,
                      const char *why);

#endif
