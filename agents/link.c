/* link.c - see link.h. */
#include "agents/link.h"

#include "agents/wire.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct link_parcel {
    struct link_parcel *next;
    char *frame;
    size_t bytes;
};

void link_init(struct link *link, void *zmq_context)
{
    memset(link, 0, sizeof *link);
    link->context = zmq_context;
    link->outbox_tail = &link->outbox;
}

static int set_options(void *socket)
{
    static const struct {
        int option, value;
    } options[] = {
        {ZMQ_LINGER, 0},
        {ZMQ_SNDHWM, LINK_HIGH_WATER},
        {ZMQ_RCVHWM, LINK_HIGH_WATER},
        {ZMQ_HEARTBEAT_IVL, 700},
        {ZMQ_HEARTBEAT_TIMEOUT, 2100},
        {ZMQ_HANDSHAKE_IVL, 2000},
        {ZMQ_CONNECT_TIMEOUT, 5000},
        {ZMQ_RECONNECT_IVL, -1}, /* see link.h */
        {ZMQ_IPV6, 1},
    };
    int64_t frame_max = WIRE_FRAME_MAX;

    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (zmq_setsockopt(socket, options[i].option, &options[i].value,
                           sizeof options[i].value) < 0)
            return -errno;
    if (zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &frame_max, sizeof frame_max) <
        0)
        return -errno;
    return 0;
}

static int open_monitor(struct link *link)
{
    char endpoint[64];
    int none = 0;

    snprintf(endpoint, sizeof endpoint, "inproc://agent-link-%p-%u",
             (void *)link, link->generation++);
    if (zmq_socket_monitor(link->socket, endpoint,
                           ZMQ_EVENT_CLOSED | ZMQ_EVENT_DISCONNECTED |
                               ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                               ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                               ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) < 0)
        return -errno;
    link->monitor = zmq_socket(link->context, ZMQ_PAIR);
    if (!link->monitor)
        return -errno;
    zmq_setsockopt(link->monitor, ZMQ_LINGER, &none, sizeof none);
    return zmq_connect(link->monitor, endpoint) < 0 ? -errno : 0;
}

int link_open(struct link *link, const char *address)
{
    link->socket = zmq_socket(link->context, ZMQ_DEALER);
    if (!link->socket)
        return -errno;
    int rc = set_options(link->socket);
    if (rc == 0)
        rc = open_monitor(link);
    if (rc == 0 && zmq_connect(link->socket, address) < 0)
        rc = -errno;
    if (rc < 0)
        link_close(link, 0);
    return rc;
}

void link_close(struct link *link, int linger_ms)
{
    if (link->socket) {
        zmq_socket_monitor(link->socket, NULL, 0);
        zmq_setsockopt(link->socket, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
        zmq_close(link->socket);
    }
    if (link->monitor)
        zmq_close(link->monitor);
    link->socket = link->monitor = NULL;
    link->blocked = false;
    while (link->outbox) {
        struct link_parcel *parcel = link->outbox;
        link->outbox = parcel->next;
        free(parcel->frame);
        free(parcel);
    }
    link->outbox_tail = &link->outbox;
    link->outbox_count = 0;
}

bool link_is_open(const struct link *link)
{
    return link->socket != NULL;
}

int link_send(struct link *link, const void *frame, size_t bytes)
{
    if (!link->socket)
        return -EAGAIN;
    if (zmq_send(link->socket, frame, bytes, ZMQ_DONTWAIT) < 0) {
        link->blocked = true;
        return -EAGAIN;
    }
    link->blocked = false;
    return 0;
}

int link_post(struct link *link, char *frame, size_t bytes)
{
    if (!link->outbox && link_send(link, frame, bytes) == 0) {
        free(frame);
        return 0;
    }
    struct link_parcel *parcel = calloc(1, sizeof *parcel);
    if (!parcel || link->outbox_count >= LINK_OUTBOX_MAX) {
        int rc = parcel ? -ENOBUFS : -ENOMEM;
        free(parcel);
        free(frame);
        return rc;
    }
    parcel->frame = frame;
    parcel->bytes = bytes;
    *link->outbox_tail = parcel;
    link->outbox_tail = &parcel->next;
    link->outbox_count++;
    return 0;
}

void link_flush(struct link *link)
{
    link->blocked = false;
    while (link->outbox) {
        struct link_parcel *parcel = link->outbox;
        if (link_send(link, parcel->frame, parcel->bytes) < 0)
            return;
        link->outbox = parcel->next;
        if (!link->outbox)
            link->outbox_tail = &link->outbox;
        link->outbox_count--;
        free(parcel->frame);
        free(parcel);
    }
}

bool link_has_room(const struct link *link)
{
    return link->socket && !link->blocked && !link->outbox;
}

int link_receive(struct link *link, zmq_msg_t *msg)
{
    bool extra = false;

    zmq_msg_init(msg);
    if (!link->socket || zmq_msg_recv(msg, link->socket, ZMQ_DONTWAIT) < 0) {
        zmq_msg_close(msg);
        return 0;
    }
    while (zmq_msg_more(msg)) {
        extra = true;
        if (zmq_msg_recv(msg, link->socket, ZMQ_DONTWAIT) < 0)
            break;
    }
    if (!extra)
        return 1;
    zmq_msg_close(msg);
    return -EBADMSG;
}

bool link_is_broken(struct link *link)
{
    bool broken = false;

    while (link->monitor) {
        zmq_msg_t part;
        zmq_msg_init(&part);
        /* Two parts: the event, which is asked for only if it is an end, and
         * the address. */
        int n = zmq_msg_recv(&part, link->monitor, ZMQ_DONTWAIT);
        zmq_msg_close(&part);
        if (n < 0)
            break;
        broken = true;
    }
    return broken;
}
