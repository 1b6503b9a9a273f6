#include "dispatcher/front.h"

#include "dispatcher/api.h"
#include "dispatcher/front_ask.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

enum {
    TURN_MAX_MS = 1000,
    FAREWELL_MS = 1000, /* to send the last answers */
};

struct front {
    struct api api;
    struct http_hooks hooks;
    struct http_server *http;
    void *socket; /* our end of the pair */
    int stop_fd;
    pthread_t thread;
    char url[HTTP_VALUE_MAX];
};

static uint64_t clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- the thread --------------------------------------------------------- */

static long sleep_ms(struct front *front, uint64_t now_ms)
{
    uint64_t ms = http_server_timeout_ms(front->http, now_ms, TURN_MAX_MS);
    uint64_t next_ms = asks_next_ms(front->api.asks);

    if (next_ms <= now_ms)
        return 0;
    return (long)(next_ms - now_ms < ms ? next_ms - now_ms : ms);
}

/* What the core answered goes first, so that answers leave in this turn. */
static void turn(struct front *front)
{
    uint64_t now_ms = clock_ms();

    asks_receive(front->api.asks, now_ms);
    asks_expire(front->api.asks, now_ms);
    http_server_run(front->http, now_ms);
}

/* Everybody gets an answer; then a moment to send it. */
static void farewell(struct front *front)
{
    uint64_t until_ms = clock_ms() + FAREWELL_MS, now_ms;

    http_server_quiesce(front->http);
    asks_shutdown(front->api.asks);
    while ((now_ms = clock_ms()) < until_ms &&
           http_server_busy(front->http) > 0) {
        zmq_pollitem_t items[] = {
            {.fd = http_server_fd(front->http), .events = ZMQ_POLLIN}};
        uint64_t ms =
            http_server_timeout_ms(front->http, now_ms, until_ms - now_ms);

        zmq_poll(items, 1, (long)ms);
        http_server_run(front->http, clock_ms());
    }
}

static void *run(void *context)
{
    struct front *front = context;
    zmq_pollitem_t items[] = {
        {.fd = http_server_fd(front->http), .events = ZMQ_POLLIN},
        {.socket = front->socket, .events = ZMQ_POLLIN},
        {.fd = front->stop_fd, .events = ZMQ_POLLIN},
    };

    while (!(items[2].revents & ZMQ_POLLIN)) {
        turn(front);
        zmq_poll(items, 3, sleep_ms(front, clock_ms()));
    }
    farewell(front);
    return NULL;
}

/* ---- starting and stopping ---------------------------------------------- */

/* Frees a front whose thread does not run, also one half made. */
static void free_front(struct front **front_p)
{
    struct front *front = *front_p;

    *front_p = NULL;
    http_server_free(&front->http);
    if (front->api.asks)
        asks_free(&front->api.asks);
    auth_free(&front->api.auth);
    store_reader_close(&front->api.reader);
    if (front->socket)
        zmq_close(front->socket);
    if (front->stop_fd >= 0)
        close(front->stop_fd);
    free(front);
}

/* A machine's own clients and a proxy on it share one address. */
static unsigned per_address(const struct front *front)
{
    unsigned all = front->api.config->http_connections_max;

    return front->api.loopback_only || all < 8 ? all : all / 2;
}

static int check_reach(const struct config *config, bool loopback,
                       char ret_why[STORE_WHY_MAX])
{
    if (loopback || config->token_file)
        return 0;
    snprintf(ret_why, STORE_WHY_MAX,
             "http: %.100s can be reached from other machines and no "
             "auth.token_file is set; set one, or listen on 127.0.0.1",
             config->http);
    return -EINVAL;
}

int front_check(const struct config *config, char ret_why[STORE_WHY_MAX])
{
    bool loopback;
    int r = http_look(config->http, &loopback, ret_why);

    return r < 0 ? r : check_reach(config, loopback, ret_why);
}

static int open_http(struct front *front, char ret_why[STORE_WHY_MAX])
{
    const struct config *config = front->api.config;
    struct http_limits limits;
    int fd, r;

    r = http_listen(config->http, &fd, &front->api.loopback_only, front->url,
                    ret_why);
    if (r < 0)
        return r;
    r = check_reach(config, front->api.loopback_only, ret_why);
    if (r < 0) {
        close(fd);
        return r;
    }
    limits = (struct http_limits){
        .connections_max = config->http_connections_max,
        .per_address_max = per_address(front),
        .body_max = config->body_max,
    };
    r = http_server_new(fd, &limits, &front->hooks, &front->http);
    if (r < 0)
        snprintf(ret_why, STORE_WHY_MAX,
                 "http: the server could not be started: %s", strerror(-r));
    return r;
}

static int open_all(struct front *front, struct store *store, void *zmq_context,
                    const char *endpoint, char ret_why[STORE_WHY_MAX])
{
    const struct config *config = front->api.config;
    int r;

    r = auth_load(config->token_file, &front->api.auth, ret_why);
    if (r < 0)
        return r;
    r = open_http(front, ret_why);
    if (r < 0)
        return r;
    snprintf(ret_why, STORE_WHY_MAX, "front: no memory or descriptors left");
    r = store_reader_open(store, &front->api.reader);
    if (r < 0)
        return r;
    r = exchange_open(zmq_context, endpoint, false, &front->socket);
    if (r < 0)
        return r;
    return asks_new(front->socket, config->http_connections_max / 2 + 1,
                    &front->api.asks);
}

int front_start(const struct config *config, struct store *store,
                void *zmq_context, const char *endpoint,
                struct front **ret_front, char ret_why[STORE_WHY_MAX])
{
    struct front *front = calloc(1, sizeof *front);
    int r;

    if (!front) {
        snprintf(ret_why, STORE_WHY_MAX, "front: no memory");
        return -ENOMEM;
    }
    front->api.config = config;
    front->api.started_unix_ms = api_now_unix_ms();
    front->hooks = api_hooks;
    front->hooks.context = &front->api;
    front->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r = front->stop_fd < 0
            ? -errno
            : open_all(front, store, zmq_context, endpoint, ret_why);
    if (r == 0)
        r = -pthread_create(&front->thread, NULL, run, front);
    if (r < 0) {
        free_front(&front);
        return r;
    }
    pthread_setname_np(front->thread, "front");
    *ret_front = front;
    return 0;
}

const char *front_url(const struct front *front)
{
    return front->url;
}

void front_stop(struct front **front_p)
{
    struct front *front = *front_p;
    uint64_t one = 1;

    if (!front)
        return;
    while (write(front->stop_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
    pthread_join(front->thread, NULL);
    free_front(front_p);
}
