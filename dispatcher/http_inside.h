/*
 * http_inside.h - what the files of the HTTP server share; nobody else includes
 * it. http.c has the connections and the server, http_read.c takes requests
 * apart, http_answer.c puts answers together.
 */
#ifndef DISPATCHER_HTTP_INSIDE_H
#define DISPATCHER_HTTP_INSIDE_H

#include "dispatcher/http.h"
#include "dispatcher/http_problem.h"

#include <microhttpd.h>
#include <sys/queue.h>

/*
 * A connection is in one phase at a time, and each phase has one duration, so
 * the connections of a phase, in the order they entered it, are also in the
 * order of their deadlines. libmicrohttpd's own time-out is an idle timer,
 * which a byte a second outwits; it is off, because no phase is without a
 * bound:
 *
 *   HEAD     the head is awaited or arriving
 *   BODY     the head is in
 *   ASKED    complete, suspended: the answer is awaited from us; whoever asked
 *            us bounds that
 *   ANSWER   the answer is on its way
 *   IDLE     between two requests
 *   CLOSING  shut down by us, waits for libmicrohttpd to notice
 */
enum phase { HEAD, BODY, ASKED, ANSWER, IDLE, CLOSING, PHASES };

enum {
    POOL_BYTES = 32 * 1024, /* a connection's head and read buffer */
    SWALLOW_FACTOR = 4,     /* a refused body is read and dropped up to so many
                               times body_max, so that the client hears why */
    BODIES_FACTOR = 16,     /* all bodies together, in units of body_max */
    GONE_BATCH = 64,
};

struct request {
    struct http_request public;
    struct http_server *server;
    struct connection *connection;
    char *uri;  /* as sent */
    char *path; /* public.path */
    char *body;
    size_t body_room;
    uint64_t body_seen; /* with what was dropped */
    bool headed, hooked, completed, suspended, chunked;
    struct MHD_Response *response; /* the answer, until it is queued */
    unsigned status;
    bool answered;
};

struct connection {
    TAILQ_ENTRY(connection) link;
    struct http_server *server;
    struct MHD_Connection *mhd;
    int fd;
    enum phase phase;
    uint64_t deadline_ms;
    struct request *request; /* whose head has begun */
};
TAILQ_HEAD(connections, connection);

struct http_server {
    struct MHD_Daemon *daemon;
    struct http_hooks hooks;
    struct http_limits limits;
    int poll_fd; /* over the two below */
    int gone_fd; /* epoll over suspended connections: their client is gone */
    struct connections phases[PHASES];
    size_t connection_count, busy;
    size_t bodies_bytes;
    uint64_t now_ms;
    uint64_t next_id;
    char id_prefix[9];
    bool quiet;
};

/* ---- http.c ------------------------------------------------------------- */

void http_enter(struct connection *c, enum phase phase);
struct connection *http_connection_of(struct MHD_Connection *mhd);
void http_new_id(struct http_server *server, char ret_id[HTTP_ID_MAX]);

/* ---- http_read.c -------------------------------------------------------- */

struct request *http_request_of(const struct http_request *request);
void http_request_free(struct request *r);
/* Callbacks of libmicrohttpd. The request line is in; what this returns is
 * *user of http_on_request(). */
void *http_on_uri(void *context, const char *uri, struct MHD_Connection *mhd);
enum MHD_Result http_on_request(void *context, struct MHD_Connection *mhd,
                                const char *url, const char *method,
                                const char *version, const char *upload,
                                size_t *upload_bytes, void **user);

/* ---- http_answer.c ------------------------------------------------------ */

/* false: libmicrohttpd cannot be found where it must be. */
bool http_answer_init(void);
/* Hands the answer to libmicrohttpd, which asked. MHD_NO closes. */
enum MHD_Result http_queue(struct request *r);
/* Answers with a problem. */
void http_refuse(struct request *r, enum problem_code code, bool close,
                 const char *detail);

#endif
