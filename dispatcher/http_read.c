#include "dispatcher/http_inside.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>

static const char *const method_names[] = {
    [HTTP_GET] = "GET", [HTTP_POST] = "POST",     [HTTP_PATCH] = "PATCH",
    [HTTP_PUT] = "PUT", [HTTP_DELETE] = "DELETE", [HTTP_OTHER] = "OTHER",
};

const char *http_method_name(enum http_method method)
{
    return method_names[method];
}

static enum http_method method_of(const char *name)
{
    for (enum http_method m = HTTP_GET; m < HTTP_OTHER; m++) {
        if (strcmp(name, method_names[m]) == 0)
            return m;
    }
    return strcmp(name, "HEAD") == 0 ? HTTP_GET : HTTP_OTHER;
}

/* ---- requests ----------------------------------------------------------- */

static bool is_id(const char *text)
{
    size_t n = strlen(text);

    if (n == 0 || n >= HTTP_ID_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!isalnum((unsigned char)text[i]) && !strchr("._-", text[i]))
            return false;
    }
    return true;
}

/* "http://host/path" is as good as "/path". */
static const char *origin_form(const char *uri)
{
    const char *rest = strstr(uri, "://");
    const char *slash;

    if (uri[0] == '/' || !rest)
        return uri;
    slash = strchr(rest + 3, '/');
    return slash ? slash : "/";
}

void http_request_free(struct request *r)
{
    if (!r)
        return;
    if (r->response)
        MHD_destroy_response(r->response);
    r->server->bodies_bytes -= r->body_room;
    free(r->body);
    free(r->uri);
    free(r->path);
    free(r);
}

static struct request *new_request(struct connection *c, const char *uri)
{
    struct request *r = calloc(1, sizeof *r);
    const char *target = origin_form(uri);
    size_t path_bytes = strcspn(target, "?");

    if (!r)
        return NULL;
    r->public.server_own = r;
    r->server = c->server;
    r->connection = c;
    r->uri = strdup(target);
    r->path = strndup(target, path_bytes);
    if (!r->uri || !r->path) {
        http_request_free(r);
        return NULL;
    }
    r->public.path = r->path;
    r->public.query = r->uri[path_bytes] ? r->uri + path_bytes + 1 : "";
    http_new_id(c->server, r->public.id);
    return r;
}

struct request *http_request_of(const struct http_request *request)
{
    return request->server_own;
}

const char *http_header(const struct http_request *request, const char *name)
{
    return MHD_lookup_connection_value(
        http_request_of(request)->connection->mhd, MHD_HEADER_KIND, name);
}

/* ---- the head ----------------------------------------------------------- */

struct head_count {
    unsigned length, encoding, host;
};

static enum MHD_Result count_header(void *context, enum MHD_ValueKind kind,
                                    const char *name, const char *value)
{
    struct head_count *count = context;

    (void)kind;
    (void)value;
    count->length += strcasecmp(name, "Content-Length") == 0;
    count->encoding += strcasecmp(name, "Transfer-Encoding") == 0;
    count->host += strcasecmp(name, "Host") == 0;
    return MHD_YES;
}

/* Two lengths, or a length and an encoding, are two opinions on where the next
 * request begins: the stuff of request smuggling. Such a connection is not used
 * further. */
static const char *framing_problem(struct MHD_Connection *mhd,
                                   const char *version, bool *ret_chunked)
{
    struct head_count count = {0};

    MHD_get_connection_values(mhd, MHD_HEADER_KIND, count_header, &count);
    *ret_chunked = count.encoding > 0;
    if (count.length > 1)
        return "There is more than one Content-Length header.";
    if (count.encoding > 1)
        return "There is more than one Transfer-Encoding header.";
    if (count.length && count.encoding)
        return "There are both Content-Length and Transfer-Encoding.";
    if (count.host > 1)
        return "There is more than one Host header.";
    if (count.host == 0 && strcmp(version, "HTTP/1.1") == 0)
        return "There is no Host header.";
    return NULL;
}

static uint64_t declared_length(const struct request *r)
{
    const char *text = http_header(&r->public, "Content-Length");

    return text ? strtoull(text, NULL, 10) : 0;
}

/* Answers at once when reading the body first would be of no use: it is
 * enormous, its framing is not to be trusted, or its sender waits for our word
 * before sending it. libmicrohttpd closes the connection then. Else the answer
 * is kept until the body has been read and dropped, because many clients look
 * for an answer only after sending everything. */
static bool answers_now(const struct request *r, bool close)
{
    return r->answered &&
           (close || http_header(&r->public, "Expect") ||
            declared_length(r) >
                (uint64_t)r->server->limits.body_max * SWALLOW_FACTOR);
}

static bool body_fits(struct request *r)
{
    struct http_server *server = r->server;
    uint64_t length = declared_length(r);
    char text[120];

    if (length > server->limits.body_max) {
        snprintf(text, sizeof text,
                 "The body has %llu bytes; at most %zu are read (limits.body).",
                 (unsigned long long)length, server->limits.body_max);
        http_refuse(r, PROBLEM_BODY_TOO_LARGE, false, text);
        return false;
    }
    if (server->bodies_bytes + length >
        server->limits.body_max * (size_t)BODIES_FACTOR) {
        http_refuse(r, PROBLEM_BUSY, false,
                    "Too many large bodies are being read at once.");
        return false;
    }
    return true;
}

static enum MHD_Result on_head(struct request *r, const char *method,
                               const char *version)
{
    struct connection *c = r->connection;
    const char *id = http_header(&r->public, "X-Request-Id");
    const char *why;
    bool close;

    r->headed = true;
    http_enter(c, BODY);
    r->server->busy++;
    r->public.method = method_of(method);
    r->public.head = strcmp(method, "HEAD") == 0;
    if (id && is_id(id))
        snprintf(r->public.id, sizeof r->public.id, "%s", id);
    why = framing_problem(c->mhd, version, &r->chunked);
    close = why != NULL;
    if (why) {
        http_refuse(r, PROBLEM_BAD_REQUEST, true, why);
    } else if (body_fits(r)) {
        r->hooked = true;
        r->server->hooks.head(r->server->hooks.context, &r->public);
    }
    return answers_now(r, close) ? http_queue(r) : MHD_YES;
}

/* ---- the body ----------------------------------------------------------- */

static bool grow(struct request *r, size_t need)
{
    struct http_server *server = r->server;
    size_t room = r->body_room ? r->body_room : 4096;
    char *body;

    while (room < need)
        room *= 2;
    if (room > server->limits.body_max + 1)
        room = server->limits.body_max + 1;
    if (server->bodies_bytes - r->body_room + room >
        server->limits.body_max * (size_t)BODIES_FACTOR)
        return false;
    body = realloc(r->body, room);
    if (!body)
        return false;
    server->bodies_bytes += room - r->body_room;
    r->body = body;
    r->body_room = room;
    return true;
}

/* false: enough was dropped, close. */
static bool take_body(struct request *r, const char *bytes, size_t count)
{
    size_t max = r->server->limits.body_max, have = r->public.body_bytes;

    r->body_seen += count;
    if (r->answered)
        return r->body_seen <= (uint64_t)max * SWALLOW_FACTOR;
    if (count > max - have) {
        http_refuse(r, PROBLEM_BODY_TOO_LARGE, true,
                    "The body is larger than the broker reads (limits.body).");
        return true;
    }
    if (have + count + 1 > r->body_room && !grow(r, have + count + 1)) {
        http_refuse(r, PROBLEM_BUSY, true,
                    "There is no memory for this body now.");
        return true;
    }
    memcpy(r->body + have, bytes, count);
    r->public.body_bytes = have + count;
    r->body[r->public.body_bytes] = '\0';
    r->public.body = r->body;
    return true;
}

static enum MHD_Result on_complete(struct request *r)
{
    struct http_server *server = r->server;
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLONESHOT,
                                .data.ptr = r};

    if (!r->completed) {
        r->completed = true;
        if (!r->answered)
            server->hooks.complete(server->hooks.context, &r->public);
    }
    if (r->answered)
        return http_queue(r);
    http_enter(r->connection, ASKED);
    r->suspended = true;
    epoll_ctl(server->gone_fd, EPOLL_CTL_ADD, r->connection->fd, &event);
    MHD_suspend_connection(r->connection->mhd);
    return MHD_YES;
}

/* ---- libmicrohttpd's callbacks ------------------------------------------ */

/* The request line is in. What this returns is *user of http_on_request(). */
void *http_on_uri(void *context, const char *uri, struct MHD_Connection *mhd)
{
    struct connection *c = http_connection_of(mhd);

    (void)context;
    if (!c)
        return NULL;
    if (c->phase == IDLE)
        http_enter(c, HEAD);
    http_request_free(c->request); /* one whose headers never came */
    c->request = new_request(c, uri);
    return c->request;
}

enum MHD_Result http_on_request(void *context, struct MHD_Connection *mhd,
                                const char *url, const char *method,
                                const char *version, const char *upload,
                                size_t *upload_bytes, void **user)
{
    struct request *r = *user;

    (void)context;
    (void)mhd;
    (void)url;
    if (!r)
        return MHD_NO;
    if (!r->headed)
        return on_head(r, method, version);
    if (*upload_bytes) {
        bool go_on = take_body(r, upload, *upload_bytes);

        *upload_bytes = 0;
        return go_on ? MHD_YES : MHD_NO;
    }
    return on_complete(r);
}
