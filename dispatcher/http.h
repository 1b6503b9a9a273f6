/*
 * http.h - an HTTP/1.1 server for one thread: libmicrohttpd behind a poll loop
 * that is the caller's. The only module that knows libmicrohttpd.
 *
 * It turns bytes into requests and replies into bytes, and bounds what a client
 * can cost: connections, head, body, and an absolute deadline for each. What it
 * refuses itself it answers as problem+json, also where libmicrohttpd would
 * answer in HTML. What a request means is left to the hooks.
 *
 * Memory:  a request belongs to the server; it is valid from the head hook to
 *          the end hook.
 * Threads: all calls, and all hooks, in the thread that made the server.
 * Time:    now_ms is the caller's monotonic clock.
 * Errors:  0 or a negative errno.
 */
#ifndef DISPATCHER_HTTP_H
#define DISPATCHER_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HTTP_ID_MAX = 65,     /* a request id, with NUL */
    HTTP_HEADERS_MAX = 4, /* a reply's own, besides those of every reply */
    HTTP_VALUE_MAX = 160, /* bytes of one of them, with NUL */
    HTTP_HEAD_MS = 10000, /* from the first byte awaited to the last header */
    HTTP_BODY_MS = 30000,
    HTTP_IDLE_MS = 60000,   /* between two requests */
    HTTP_ANSWER_MS = 60000, /* to take the whole answer */
    HTTP_WHY_MAX = 300,
};

enum http_method {
    HTTP_GET, /* HEAD is GET with `head` set */
    HTTP_POST,
    HTTP_PATCH,
    HTTP_PUT,
    HTTP_DELETE,
    HTTP_OTHER,
};
const char *http_method_name(enum http_method method);

struct http_request {
    enum http_method method;
    bool head;
    const char *path;  /* as sent: not decoded, without the query */
    const char *query; /* as sent, after the '?'; "" without one */
    char id[HTTP_ID_MAX];
    const char *body; /* NUL-terminated, NULL without one */
    size_t body_bytes;
    void *user;       /* the hooks' own */
    void *server_own; /* the server's */
};

/* The value of a header, NULL when there is none; borrowed until the end
 * hook. */
const char *http_header(const struct http_request *request, const char *name);

struct http_reply {
    unsigned status;
    const char *content_type; /* static text */
    char *body;               /* malloc'ed, or NULL */
    size_t body_bytes;
    struct {
        const char *name; /* static text */
        char value[HTTP_VALUE_MAX];
    } headers[HTTP_HEADERS_MAX];
    size_t header_count;
    bool close; /* the connection is of no further use */
};
/* Adds a header. Bytes that may not stand in one become '?'. */
void http_reply_header(struct http_reply *reply, const char *name,
                       const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Answers, from a hook or at any later time before the end hook; once. The
 * reply's body is taken, also when there is no memory to send it. */
void http_answer(struct http_request *request, struct http_reply *reply);

struct http_hooks {
    void *context;
    /* The head is in. Answering here saves reading the body. */
    void (*head)(void *context, struct http_request *request);
    /* All of it is in: answer now or later. */
    void (*complete)(void *context, struct http_request *request);
    /* The client closed its side while it waits for the answer. Answer soon. */
    void (*gone)(void *context, struct http_request *request);
    /* Answered, or the connection was lost: forget it. */
    void (*end)(void *context, struct http_request *request);
};

struct http_limits {
    unsigned connections_max;
    unsigned per_address_max;
    size_t body_max;
};

/* A listening socket on "host:port" ("[::1]:0"; port 0 picks a free one).
 * *ret_loopback: nobody outside this machine can reach it. ret_url is
 * "http://host:port" as bound. -EINVAL, -EADDRINUSE, -EACCES, ...: ret_why says
 * what and what to do. */
int http_listen(const char *address, int *ret_fd, bool *ret_loopback,
                char ret_url[HTTP_VALUE_MAX], char ret_why[HTTP_WHY_MAX]);

/* What http_listen() would say in *ret_loopback, without listening. -EINVAL:
 * ret_why says what and what to do. */
int http_look(const char *address, bool *ret_loopback,
              char ret_why[HTTP_WHY_MAX]);

struct http_server;

/* Serves on listen_fd, which is taken. -ENOMEM, -EMFILE, ... */
int http_server_new(int listen_fd, const struct http_limits *limits,
                    const struct http_hooks *hooks,
                    struct http_server **ret_server);
/* Readable when http_server_run() has something to do. */
int http_server_fd(const struct http_server *server);
/* When it wants to run even so; at most `most_ms` from now. */
uint64_t http_server_timeout_ms(struct http_server *server, uint64_t now_ms,
                                uint64_t most_ms);
void http_server_run(struct http_server *server, uint64_t now_ms);
/* Accepts no more; connections without a request are closed. */
void http_server_quiesce(struct http_server *server);
/* Requests not answered and sent yet. */
size_t http_server_busy(const struct http_server *server);
/* Every request must have been answered. Sets *server_p to NULL. */
void http_server_free(struct http_server **server_p);

/* ---- texts -------------------------------------------------------------- */

/* Undoes %XX (and, in a query, '+') into `to`, which has room for room bytes.
 * -EINVAL: a broken escape, NUL or not UTF-8. -E2BIG. */
int http_decode(const char *from, size_t bytes, bool query, char *to,
                size_t room);

#endif
