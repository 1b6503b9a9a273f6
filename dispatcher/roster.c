/*
 * roster.c - see roster.h.
 *
 * Invariants: a session with a number is known to the ledger; by_fd[fd] is the
 * session whose connection has that descriptor, or NULL.
 *
 * Descriptors are reused. A monitor event names only a descriptor, so before a
 * HELLO is taken all monitor events are read: those that precede it belong to
 * the connection that had the descriptor before.
 */
#include "dispatcher/roster_inside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MONITOR_ENDPOINT "inproc://roster-monitor"

/* ---- sessions -------------------------------------------------------- */

static int route_matches(const struct index_entry *entry, const void *key,
                         size_t key_bytes)
{
    const struct session *s =
        container_of_const(entry, struct session, by_route);

    return s->route_len == key_bytes && memcmp(s->route, key, key_bytes) == 0;
}

static int number_matches(const struct index_entry *entry, const void *key,
                          size_t key_bytes)
{
    const struct session *s =
        container_of_const(entry, struct session, by_number);

    return memcmp(&s->number, key, key_bytes) == 0;
}

struct session *session_by_route(const struct roster *r, const void *route,
                                 size_t len)
{
    struct index_entry *e = index_find(&r->by_route, route, len);

    return e != NULL ? container_of(e, struct session, by_route) : NULL;
}

struct session *session_by_number(const struct roster *r, uint64_t number)
{
    struct index_entry *e = index_find(&r->by_number, &number, sizeof number);

    return e != NULL ? container_of(e, struct session, by_number) : NULL;
}

void session_end(struct roster *r, struct session *s)
{
    if (s->fd >= 0 && (size_t)s->fd < r->fd_room && r->by_fd[s->fd] == s)
        r->by_fd[s->fd] = NULL;
    index_remove(&r->by_route, &s->by_route);
    index_remove(&r->by_number, &s->by_number);
    free(s);
}

static bool remember_fd(struct roster *r, struct session *s)
{
    if (s->fd < 0)
        return true; /* then only heartbeats tell when it is gone */
    if ((size_t)s->fd >= r->fd_room) {
        size_t room = (size_t)s->fd * 2 + 64;
        struct session **grown =
            realloc(r->by_fd, room * sizeof(struct session *));
        if (grown == NULL)
            return false;
        memset(grown + r->fd_room, 0,
               (room - r->fd_room) * sizeof(struct session *));
        r->by_fd = grown;
        r->fd_room = room;
    }
    r->by_fd[s->fd] = s;
    return true;
}

struct session *session_begin(struct roster *r, const void *route,
                              size_t route_len, int fd)
{
    struct session *s = calloc(1, sizeof *s);

    if (s == NULL || route_len > ROUTE_MAX) {
        free(s);
        return NULL;
    }
    memcpy(s->route, route, route_len);
    s->route_len = route_len;
    s->fd = fd;
    s->number = ++r->last_number;
    if (!remember_fd(r, s)) {
        free(s);
        return NULL;
    }
    index_add(&r->by_route, &s->by_route, s->route, s->route_len);
    index_add(&r->by_number, &s->by_number, &s->number, sizeof s->number);
    return s;
}

/* ---- gathering ------------------------------------------------------- */

/* -EAGAIN: no event. */
static int next_event(struct roster *r, uint16_t *ret_event, int *ret_fd)
{
    zmq_msg_t msg;
    int more = 1;
    size_t size = sizeof more;

    zmq_msg_init(&msg);
    if (zmq_msg_recv(&msg, r->monitor, ZMQ_DONTWAIT) < 0) {
        zmq_msg_close(&msg);
        return -EAGAIN;
    }
    *ret_event = 0;
    if (zmq_msg_size(&msg) >= 6) {
        const char *data = zmq_msg_data(&msg);
        memcpy(ret_event, data, sizeof *ret_event);
        memcpy(ret_fd, data + sizeof *ret_event, sizeof *ret_fd);
    }
    while (zmq_getsockopt(r->monitor, ZMQ_RCVMORE, &more, &size) == 0 &&
           more != 0)
        if (zmq_msg_recv(&msg, r->monitor, 0) < 0)
            break;
    zmq_msg_close(&msg);
    return 0;
}

static int gather_gone(struct roster *r, struct ledger *l)
{
    uint16_t event;
    int fd, err = 0;

    while (err == 0 && next_event(r, &event, &fd) == 0) {
        struct session *s = event == ZMQ_EVENT_DISCONNECTED && fd >= 0 &&
                                    (size_t)fd < r->fd_room
                                ? r->by_fd[fd]
                                : NULL;
        if (s == NULL)
            continue;
        err = ledger_agent_gone(l, s->number, "its connection closed");
        session_end(r, s);
    }
    return err;
}

/* A peer that cannot take one message more has stopped reading or has gone: it
 * must come back with a HELLO before it is given anything. */
static int peer_failed(struct roster *r, struct ledger *l,
                       const struct failed_send *f)
{
    struct session *s = session_by_number(r, f->session);

    int err = ledger_agent_gone(l, f->session, "it does not take messages");
    if (err == 0)
        err = ledger_unsent(l, f->session, &f->run, f->attempt);
    if (s != NULL)
        session_end(r, s);
    return err;
}

static int gather_failed(struct roster *r, struct ledger *l)
{
    int err = 0;

    for (size_t i = 0; i < r->failed_count && err == 0; i++) {
        const struct failed_send *f = &r->failed[i];
        /* Anything but a lost peer is the message's own fault. */
        err = f->error == -EHOSTUNREACH || f->error == -EAGAIN
                  ? peer_failed(r, l, f)
                  : ledger_refused(l, f->session, &f->run, f->attempt, true,
                                   "its plan cannot be sent to an agent");
    }
    r->failed_count = 0;
    return err;
}

/* One message of two frames, [routing id][payload]; others are dropped. 0 with
 * *ret_len 0 when it was dropped, -EAGAIN when there is none. */
static int receive(struct roster *r, zmq_msg_t *route, zmq_msg_t *payload,
                   bool *ret_whole)
{
    int frames = 1;

    if (zmq_msg_recv(route, r->socket, ZMQ_DONTWAIT) < 0)
        return -EAGAIN;
    if (zmq_msg_more(route))
        while (zmq_msg_recv(payload, r->socket, 0) >= 0) {
            frames++;
            if (!zmq_msg_more(payload))
                break;
        }
    *ret_whole = frames == 2;
    return 0;
}

int roster_gather(struct roster *r, struct ledger *l, int budget)
{
    zmq_msg_t route, payload;
    bool whole;

    int err = gather_failed(r, l);
    if (err == 0)
        err = gather_gone(r, l);
    zmq_msg_init(&route);
    zmq_msg_init(&payload);
    while (err == 0 && budget-- > 0 &&
           receive(r, &route, &payload, &whole) == 0) {
        r->counts.frames_in++;
        struct frame f = {
            .route = zmq_msg_data(&route),
            .route_len = zmq_msg_size(&route),
            .bytes = zmq_msg_data(&payload),
            .len = zmq_msg_size(&payload),
            .fd = zmq_msg_get(&payload, ZMQ_SRCFD),
        };
        if (!whole) {
            roster_bad_frame(r, &f, -EBADMSG, "not one frame");
            continue;
        }
        if (session_by_route(r, f.route, f.route_len) == NULL)
            err = gather_gone(r, l); /* descriptors are reused: see above */
        if (err == 0)
            err = roster_take(r, l, &f);
    }
    zmq_msg_close(&route);
    zmq_msg_close(&payload);
    return err;
}

struct exchange *roster_next_sizes(struct roster *r)
{
    if (r->size_taken < r->size_count)
        return r->sizes[r->size_taken++];
    r->size_taken = r->size_count = 0;
    return NULL;
}

/* ---- opening --------------------------------------------------------- */

static bool set_options(void *socket)
{
    static const struct {
        int option, value;
    } options[] = {
        {ZMQ_ROUTER_MANDATORY, 1}, {ZMQ_LINGER, 200},
        {ZMQ_SNDHWM, HIGH_WATER},  {ZMQ_RCVHWM, HIGH_WATER},
        {ZMQ_HEARTBEAT_IVL, 700},  {ZMQ_HEARTBEAT_TIMEOUT, 2100},
        {ZMQ_HANDSHAKE_IVL, 2000}, {ZMQ_BACKLOG, 1024},
    };
    int64_t frame_max = WIRE_FRAME_MAX;

    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        if (zmq_setsockopt(socket, options[i].option, &options[i].value,
                           sizeof options[i].value) != 0)
            return false;
    return zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &frame_max,
                          sizeof frame_max) == 0;
}

static int open_sockets(struct roster *r, void *context, const char *address)
{
    size_t size = sizeof r->address;

    r->socket = zmq_socket(context, ZMQ_ROUTER);
    r->monitor = zmq_socket(context, ZMQ_PAIR);
    int ipv6 = strchr(address, '[') != NULL;
    if (r->socket == NULL || r->monitor == NULL || !set_options(r->socket) ||
        zmq_setsockopt(r->socket, ZMQ_IPV6, &ipv6, sizeof ipv6) != 0)
        return -errno;
    if (zmq_socket_monitor(r->socket, MONITOR_ENDPOINT,
                           ZMQ_EVENT_DISCONNECTED) != 0 ||
        zmq_connect(r->monitor, MONITOR_ENDPOINT) != 0)
        return -errno;
    if (zmq_bind(r->socket, address) != 0)
        return -errno;
    if (zmq_getsockopt(r->socket, ZMQ_LAST_ENDPOINT, r->address, &size) != 0)
        return -errno;
    return 0;
}

int roster_open(void *context, const char *address, struct roster **ret_roster,
                char ret_why[STORE_WHY_MAX])
{
    struct roster *r = calloc(1, sizeof *r);
    uint64_t seed = (uint64_t)(uintptr_t)r ^ (uint64_t)(uintptr_t)&seed;

    int err = r == NULL ? -ENOMEM : 0;
    if (err == 0)
        err = index_init(&r->by_route, route_matches, seed);
    if (err == 0)
        err = index_init(&r->by_number, number_matches, seed);
    if (err == 0)
        err = open_sockets(r, context, address);
    if (err != 0) {
        (void)snprintf(ret_why, STORE_WHY_MAX,
                       "cannot listen for agents on %s: %s; name another "
                       "address with --agents tcp://HOST:PORT (port 0 picks a "
                       "free one)",
                       address, zmq_strerror(-err));
        roster_close(&r);
        return err;
    }
    *ret_roster = r;
    return 0;
}

void roster_close(struct roster **roster_p)
{
    struct roster *r = *roster_p;

    if (r == NULL)
        return;
    for (struct exchange *x; (x = roster_next_sizes(r)) != NULL;)
        exchange_free(&x);
    for (size_t i = 0; i < r->by_route.bucket_count; i++) {
        while (r->by_route.buckets[i] != NULL) {
            struct session *s =
                container_of(r->by_route.buckets[i], struct session, by_route);
            roster_say_bye(r, s->route, s->route_len, WIRE_BYE_STOPPING,
                           "the broker stops");
            session_end(r, s);
        }
    }
    if (r->socket != NULL)
        zmq_close(r->socket);
    if (r->monitor != NULL)
        zmq_close(r->monitor);
    index_free(&r->by_route);
    index_free(&r->by_number);
    free(r->by_fd);
    free(r->failed);
    free(r);
    *roster_p = NULL;
}

const char *roster_address(const struct roster *r)
{
    return r->address;
}

const struct roster_counts *roster_counts(const struct roster *r)
{
    return &r->counts;
}

void *roster_socket(const struct roster *r)
{
    return r->socket;
}

void *roster_monitor(const struct roster *r)
{
    return r->monitor;
}

bool roster_is_restless(const struct roster *r)
{
    return r->failed_count > 0;
}
