#include "dispatcher/http_inside.h"

#include <assert.h>
#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

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

/* libmicrohttpd refuses broken requests by itself, in HTML and without a word
 * in its interface to change that. It does so through this exported function,
 * and a program's definition of one comes before a library's: whoever gets here
 * is the library (this file calls library_queue), and we answer in its place.
 * Where the library is bound to itself this is never called and its own words
 * stand; test_api.c notices. */
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
    struct MHD_Response *ours;
    enum MHD_Result result;
    char id[HTTP_ID_MAX];
    size_t i = 0;

    if (!c)
        return library_queue(connection, status_code, response);
    while (table[i].status && table[i].status != status_code)
        i++;
    problem_reply_text(table[i].code, NULL, &reply, "%s", table[i].detail);
    reply.close = true;
    http_new_id(c->server, id);
    ours = make_response(&reply, id);
    if (!ours)
        return MHD_NO;
    http_enter(c, ANSWER);
    result = library_queue(connection, problem_status(table[i].code), ours);
    MHD_destroy_response(ours);
    return result;
}

void http_refuse(struct request *r, enum problem_code code, bool close,
                 const char *detail)
{
    struct http_reply reply;

    problem_reply_text(code, &r->public, &reply, "%s", detail);
    reply.close = close;
    http_answer(&r->public, &reply);
}
