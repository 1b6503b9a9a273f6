#include "dispatcher/exchange.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <zmq.h>

enum { POINTER_BYTES = sizeof(void *) };

struct exchange *exchange_new(enum ask ask)
{
    struct exchange *exchange = calloc(1, sizeof *exchange);

    if (exchange)
        exchange->ask = ask;
    return exchange;
}

void exchange_free(struct exchange **exchange_p)
{
    struct exchange *exchange = *exchange_p;

    *exchange_p = NULL;
    if (!exchange)
        return;
    for (size_t i = 0; i < exchange->submission_count; i++)
        free(exchange->submissions[i].explanation);
    free(exchange->submissions);
    free(exchange->explanation);
    free(exchange->reasons);
    free(exchange->board);
    if (exchange->question)
        free(exchange->question->sources);
    free(exchange->question);
    if (exchange->owner_free)
        exchange->owner_free(exchange->owner_data);
    free(exchange);
}

/* On inproc the limit is the sum of the sender's and the receiver's. */
static int set_limits(void *socket)
{
    int half = EXCHANGE_BACKLOG_MAX / 2, none = 0;

    if (zmq_setsockopt(socket, ZMQ_SNDHWM, &half, sizeof half) < 0 ||
        zmq_setsockopt(socket, ZMQ_RCVHWM, &half, sizeof half) < 0 ||
        zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof none) < 0)
        return -errno;
    return 0;
}

int exchange_open(void *zmq_context, const char *endpoint, bool core,
                  void **ret_socket)
{
    void *socket = zmq_socket(zmq_context, ZMQ_PAIR);
    int r;

    if (!socket)
        return -errno;
    r = set_limits(socket);
    if (r == 0 &&
        (core ? zmq_bind(socket, endpoint) : zmq_connect(socket, endpoint)) < 0)
        r = -errno;
    if (r < 0) {
        zmq_close(socket);
        return r;
    }
    *ret_socket = socket;
    return 0;
}

/* The message is the pointer itself. Both ends are in this process and a
 * message is delivered once, so ownership travels with it. */
int exchange_send(void *socket, struct exchange **exchange_p)
{
    assert(*exchange_p);
    for (;;) {
        if (zmq_send(socket, exchange_p, POINTER_BYTES, ZMQ_DONTWAIT) >= 0) {
            *exchange_p = NULL;
            return 0;
        }
        if (errno != EINTR)
            return -errno;
    }
}

struct exchange *exchange_receive(void *socket)
{
    struct exchange *exchange;
    int n;

    do
        n = zmq_recv(socket, &exchange, POINTER_BYTES, ZMQ_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return NULL;
    assert(n == POINTER_BYTES);
    return exchange;
}
