#include "dispatcher/http_inside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

static const uint32_t phase_ms[PHASES] = {
    [HEAD] = HTTP_HEAD_MS,     [BODY] = HTTP_BODY_MS, [ASKED] = UINT32_MAX,
    [ANSWER] = HTTP_ANSWER_MS, [IDLE] = HTTP_IDLE_MS, [CLOSING] = UINT32_MAX,
};

/* ---- phases ------------------------------------------------------------- */

void http_enter(struct connection *c, enum phase phase)
{
    struct http_server *server = c->server;

    TAILQ_REMOVE(&server->phases[c->phase], c, link);
    c->phase = phase;
    c->deadline_ms = phase_ms[phase] == UINT32_MAX
                         ? UINT64_MAX
                         : server->now_ms + phase_ms[phase];
    TAILQ_INSERT_TAIL(&server->phases[phase], c, link);
}

/* libmicrohttpd owns the descriptor and closes it when it reads the end. */
static void shut(struct connection *c)
{
    shutdown(c->fd, SHUT_RDWR);
    http_enter(c, CLOSING);
}

/* Makes room for a newcomer at the cost of who has been idle longest. */
static void evict_one(struct http_server *server)
{
    static const enum phase order[] = {IDLE, HEAD};

    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        struct connection *c = TAILQ_FIRST(&server->phases[order[i]]);

        if (c) {
            shut(c);
            return;
        }
    }
}

static void close_late(struct http_server *server)
{
    for (enum phase phase = 0; phase < PHASES; phase++) {
        struct connection *c;

        if (phase_ms[phase] == UINT32_MAX)
            continue;
        while ((c = TAILQ_FIRST(&server->phases[phase])) &&
               c->deadline_ms <= server->now_ms)
            shut(c);
    }
}

/* ---- connections -------------------------------------------------------- */

void http_new_id(struct http_server *server, char ret_id[HTTP_ID_MAX])
{
    snprintf(ret_id, HTTP_ID_MAX, "%s-%llx", server->id_prefix,
             (unsigned long long)server->next_id++);
}

struct connection *http_connection_of(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info ? info->socket_context : NULL;
}

static void end_request(struct connection *c)
{
    struct request *r = c->request;

    if (!r)
        return;
    c->request = NULL;
    if (r->headed)
        c->server->busy--;
    if (r->suspended)
        epoll_ctl(c->server->gone_fd, EPOLL_CTL_DEL, c->fd, NULL);
    if (r->hooked)
        c->server->hooks.end(c->server->hooks.context, &r->public);
    http_request_free(r);
}

static void on_ended(void *context, struct MHD_Connection *mhd, void **user,
                     enum MHD_RequestTerminationCode how)
{
    struct connection *c = http_connection_of(mhd);

    (void)context;
    (void)how;
    *user = NULL;
    if (!c)
        return;
    end_request(c);
    if (c->phase != CLOSING)
        http_enter(c, IDLE);
    if (c->server->quiet)
        shut(c);
}

static void on_connection(void *context, struct MHD_Connection *mhd,
                          void **socket_context,
                          enum MHD_ConnectionNotificationCode what)
{
    struct http_server *server = context;
    struct connection *c = *socket_context;

    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (!c)
            return;
        end_request(c);
        TAILQ_REMOVE(&server->phases[c->phase], c, link);
        server->connection_count--;
        free(c);
        *socket_context = NULL;
        return;
    }
    c = calloc(1, sizeof *c);
    if (!c)
        return; /* http_on_uri() then returns NULL, which closes it */
    c->server = server;
    c->mhd = mhd;
    c->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)
                ->connect_fd;
    c->phase = HEAD;
    c->deadline_ms = server->now_ms + HTTP_HEAD_MS;
    TAILQ_INSERT_TAIL(&server->phases[HEAD], c, link);
    *socket_context = c;
    server->connection_count++;
    if (server->connection_count >
        server->limits.connections_max - server->limits.connections_max / 8 - 1)
        evict_one(server);
}

/* ---- the server --------------------------------------------------------- */

static int watch(int poll_fd, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};

    return epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int start_daemon(struct http_server *server, int listen_fd)
{
    server->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
        http_on_request, server, MHD_OPTION_LISTEN_SOCKET, listen_fd,
        MHD_OPTION_CONNECTION_LIMIT, server->limits.connections_max,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, server->limits.per_address_max,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL_BYTES,
        MHD_OPTION_CONNECTION_TIMEOUT, 0U, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,
        MHD_OPTION_NOTIFY_COMPLETED, on_ended, server,
        MHD_OPTION_URI_LOG_CALLBACK, http_on_uri, server, MHD_OPTION_END);
    return server->daemon ? 0 : -EIO;
}

int http_server_new(int listen_fd, const struct http_limits *limits,
                    const struct http_hooks *hooks,
                    struct http_server **ret_server)
{
    struct http_server *server = calloc(1, sizeof *server);
    unsigned random = 0;
    int r;

    if (!server) {
        close(listen_fd);
        return -ENOMEM;
    }
    server->limits = *limits;
    server->hooks = *hooks;
    for (enum phase phase = 0; phase < PHASES; phase++)
        TAILQ_INIT(&server->phases[phase]);
    if (getrandom(&random, sizeof random, 0) < 0)
        random = (unsigned)getpid();
    snprintf(server->id_prefix, sizeof server->id_prefix, "%08x", random);
    server->poll_fd = epoll_create1(EPOLL_CLOEXEC);
    server->gone_fd = epoll_create1(EPOLL_CLOEXEC);
    r = server->poll_fd < 0 || server->gone_fd < 0 ? -errno : 0;
    if (r == 0 && !http_answer_init())
        r = -ENOTSUP;
    if (r == 0)
        r = start_daemon(server, listen_fd);
    if (r == 0)
        r = watch(server->poll_fd, server->gone_fd);
    if (r == 0)
        r = watch(server->poll_fd,
                  MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD)
                      ->epoll_fd);
    if (r < 0) {
        if (!server->daemon)
            close(listen_fd);
        http_server_free(&server);
        return r;
    }
    *ret_server = server;
    return 0;
}

int http_server_fd(const struct http_server *server)
{
    return server->poll_fd;
}

uint64_t http_server_timeout_ms(struct http_server *server, uint64_t now_ms,
                                uint64_t most_ms)
{
    MHD_UNSIGNED_LONG_LONG wanted;

    if (MHD_get_timeout(server->daemon, &wanted) == MHD_YES && wanted < most_ms)
        most_ms = wanted;
    for (enum phase phase = 0; phase < PHASES; phase++) {
        const struct connection *c = TAILQ_FIRST(&server->phases[phase]);

        if (!c || c->deadline_ms == UINT64_MAX)
            continue;
        if (c->deadline_ms <= now_ms)
            return 0;
        if (c->deadline_ms - now_ms < most_ms)
            most_ms = c->deadline_ms - now_ms;
    }
    return most_ms;
}

static void notice_gone(struct http_server *server)
{
    struct epoll_event events[GONE_BATCH];
    int n = epoll_wait(server->gone_fd, events, GONE_BATCH, 0);

    for (int i = 0; i < n; i++) {
        struct request *r = events[i].data.ptr;

        if (r->suspended)
            server->hooks.gone(server->hooks.context, &r->public);
    }
}

void http_server_run(struct http_server *server, uint64_t now_ms)
{
    server->now_ms = now_ms;
    close_late(server);
    notice_gone(server);
    MHD_run(server->daemon);
}

void http_server_quiesce(struct http_server *server)
{
    static const enum phase without_request[] = {IDLE, HEAD};
    int listen_fd = MHD_quiesce_daemon(server->daemon);

    if (listen_fd >= 0)
        close(listen_fd);
    server->quiet = true;
    for (size_t i = 0; i < 2; i++) {
        struct connection *c;

        while ((c = TAILQ_FIRST(&server->phases[without_request[i]])))
            shut(c);
    }
}

size_t http_server_busy(const struct http_server *server)
{
    return server->busy;
}

void http_server_free(struct http_server **server_p)
{
    struct http_server *server = *server_p;

    *server_p = NULL;
    if (!server)
        return;
    if (server->daemon)
        MHD_stop_daemon(server->daemon);
    if (server->poll_fd >= 0)
        close(server->poll_fd);
    if (server->gone_fd >= 0)
        close(server->gone_fd);
    free(server);
}
