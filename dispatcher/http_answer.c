#include "dispatcher/http_inside.h"

#include <assert.h>
#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

enum { HEAD_MAX = 1024 };

/* ---- answers ------------------------------------------------------------ */

typedef enum MHD_Result queue_response(struct MHD_Connection *connection,
                                       unsigned status,
                                       struct MHD_Response *response);
/* libmicrohttpd's own; see MHD_queue_response() below. */
static queue_response *library_queue;

bool http_answer_init(void)
{
    /* dlsym() returns an object pointer; POSIX says how to make a function
     * pointer of it. */
    *(void **)&library_queue = dlsym(RTLD_NEXT, "MHD_queue_response");
    return library_queue != NULL;
}

void http_reply_header(struct http_reply *reply, const char *name,
                       const char *fmt, ...)
{
    va_list args;
    char *value;

    assert(reply->header_count < HTTP_HEADERS_MAX);
    reply->headers[reply->header_count].name = name;
    value = reply->headers[reply->header_count++].value;
    va_start(args, fmt);
    vsnprintf(value, HTTP_VALUE_MAX, fmt, args);
    va_end(args);
    for (; *value; value++) {
        if (*value < ' ' || *value > '~')
            *value = '?';
    }
}

/* What no reply may lack. NULL: no memory. */
static struct MHD_Response *make_response(const struct http_reply *reply,
                                          const char *id)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        reply->body_bytes, reply->body, MHD_RESPMEM_MUST_FREE);
    bool ok;

    if (!response) {
        free(reply->body);
        return NULL;
    }
    ok = MHD_add_response_header(response, "X-Request-Id", id) == MHD_YES &&
         MHD_add_response_header(response, "X-Content-Type-Options",
                                 "nosniff") == MHD_YES &&
         MHD_add_response_header(response, "Cache-Control", "no-store") ==
             MHD_YES;
    if (reply->content_type)
        ok = ok && MHD_add_response_header(response, "Content-Type",
                                           reply->content_type) == MHD_YES;
    if (reply->close)
        ok = ok && MHD_add_response_header(response, "Connection", "close") ==
                       MHD_YES;
    for (size_t i = 0; i < reply->header_count; i++)
        ok = ok && MHD_add_response_header(response, reply->headers[i].name,
                                           reply->headers[i].value) == MHD_YES;
    if (ok)
        return response;
    MHD_destroy_response(response);
    return NULL;
}

void http_answer(struct http_request *request, struct http_reply *reply)
{
    struct request *r = http_request_of(request);

    assert(!r->answered);
    r->answered = true;
    r->status = reply->status;
    r->response = make_response(reply, request->id);
    reply->body = NULL;
    if (!r->suspended)
        return;
    r->suspended = false;
    epoll_ctl(r->server->gone_fd, EPOLL_CTL_DEL, r->connection->fd, NULL);
    MHD_resume_connection(r->connection->mhd);
}

/* Hands the answer to libmicrohttpd, which asked. MHD_NO closes. */
enum MHD_Result http_queue(struct request *r)
{
    enum MHD_Result result;

    http_enter(r->connection, ANSWER);
    if (!r->response)
        return MHD_NO;
    result = library_queue(r->connection->mhd, r->status, r->response);
    MHD_destroy_response(r->response);
    r->response = NULL;
    return result;
}

/* Writes an answer past libmicrohttpd; what the socket does not take at once is
 * lost. The caller closes. */
static void write_answer(const struct connection *c, unsigned status,
                         const struct http_reply *reply)
{
    char head[HEAD_MAX], date[40], id[HTTP_ID_MAX];
    time_t now = time(NULL);
    struct tm utc;
    struct iovec parts[] = {{.iov_base = head},
                            {reply->body, reply->body_bytes}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

    http_new_id(c->server, id);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT",
             gmtime_r(&now, &utc));
    parts[0].iov_len = (size_t)snprintf(
        head, sizeof head,
        "HTTP/1.1 %u %s\r\nDate: %s\r\nConnection: close\r\n"
        "X-Request-Id: %s\r\nX-Content-Type-Options: nosniff\r\n"
        "Cache-Control: no-store\r\nContent-Type: %s\r\n"
        "Content-Length: %zu\r\n\r\n",
        status, MHD_get_reason_phrase_for(status), date, id,
        reply->content_type, reply->body_bytes);
    assert(parts[0].iov_len < sizeof head);
    (void)sendmsg(c->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* libmicrohttpd refuses broken requests by itself, in HTML and without a word
 * in its interface to change that. It does so through this exported function,
 * and a program's definition of one comes before a library's: whoever gets here
 * is the library (this file calls library_queue), and we answer in its place.
 * Where the library is bound to itself this is never called and its own words
 * stand; test_http.c notices.
 *
 * The answer must not be queued: after it refused a header, libmicrohttpd
 * 0.9.75 forgets that it has begun to answer and writes the head of what is
 * queued once more. So it is written here, and MHD_NO makes the library close
 * the connection, which it would do anyway; all that came before has been
 * answered and sent when a request is read. */
enum MHD_Result MHD_queue_response(struct MHD_Connection *connection,
                                   unsigned int status_code,
                                   struct MHD_Response *response)
{
    static const struct {
        unsigned status;
        enum problem_code code;
        const char *detail;
    } table[] = {
        {413, PROBLEM_BODY_TOO_LARGE,
         "The body, or one of its chunks, is larger than can be counted."},
        {414, PROBLEM_HEAD_TOO_LARGE,
         "The request line and headers do not fit into 32 KiB."},
        {431, PROBLEM_HEAD_TOO_LARGE,
         "The request line and headers do not fit into 32 KiB."},
        {500, PROBLEM_INTERNAL, "The request could not be processed."},
        {505, PROBLEM_BAD_VERSION, "Speak HTTP/1.1."},
        {0, PROBLEM_BAD_REQUEST,
         "The request line, a header or the body's framing is not HTTP/1.1."},
    };
    struct connection *c = http_connection_of(connection);
    struct http_reply reply;
    size_t i = 0;

    (void)response;
    if (!c)
        return MHD_NO;
    while (table[i].status && table[i].status != status_code)
        i++;
    problem_reply_text(table[i].code, NULL, &reply, "%s", table[i].detail);
    write_answer(c, problem_status(table[i].code), &reply);
    free(reply.body);
    return MHD_NO;
}

void http_refuse(struct request *r, enum problem_code code, bool close,
                 const char *detail)
{
    struct http_reply reply;

    problem_reply_text(code, &r->public, &reply, "%s", detail);
    reply.close = close;
    http_answer(&r->public, &reply);
}
