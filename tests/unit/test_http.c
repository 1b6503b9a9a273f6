/*
 * test_http.c - the HTTP server against clients that are slow, greedy, broken
 * or gone. Server, clients and clock are all in this thread: a test writes to a
 * socket, lets the server run, moves the clock, and looks at what came back.
 */
#include "dispatcher/http.h"
#include "dispatcher/http_problem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { CONNECTIONS_MAX = 40, BODY_MAX = 10000, HELD_MAX = 64 };

struct world {
    struct http_server *server;
    unsigned short port;
    uint64_t now_ms;
    bool refuse_at_head; /* the head hook answers */
    bool hold;           /* the complete hook does not answer */
    struct http_request *held[HELD_MAX];
    size_t held_count, heads, completes, gones, ends;
    char *last_body;
    size_t last_body_bytes;
    size_t answer_bytes; /* of a good answer's body */
};

/* ---- the hooks ---------------------------------------------------------- */

static void say_hello(struct world *w, struct http_request *request)
{
    struct http_reply reply = {.status = 200, .content_type = "text/plain"};

    reply.body = malloc(w->answer_bytes);
    assert_non_null(reply.body);
    memset(reply.body, 'x', w->answer_bytes);
    reply.body_bytes = w->answer_bytes;
    http_answer(request, &reply);
}

static void on_head(void *context, struct http_request *request)
{
    struct world *w = context;
    struct http_reply reply;

    w->heads++;
    if (!w->refuse_at_head)
        return;
    problem_reply_text(PROBLEM_UNAUTHORIZED, request, &reply, "No.");
    http_answer(request, &reply);
}

static void on_complete(void *context, struct http_request *request)
{
    struct world *w = context;

    w->completes++;
    free(w->last_body);
    w->last_body = NULL;
    w->last_body_bytes = request->body_bytes;
    if (request->body)
        w->last_body = strdup(request->body);
    if (w->hold)
        w->held[w->held_count++] = request;
    else
        say_hello(w, request);
}

static void on_gone(void *context, struct http_request *request)
{
    struct world *w = context;

    w->gones++;
    for (size_t i = 0; i < w->held_count; i++) {
        if (w->held[i] == request)
            w->held[i] = w->held[--w->held_count];
    }
    say_hello(w, request);
}

static void on_end(void *context, struct http_request *request)
{
    struct world *w = context;

    (void)request;
    w->ends++;
}

/* ---- the world ---------------------------------------------------------- */

static int start(void **state)
{
    struct http_limits limits = {.connections_max = CONNECTIONS_MAX,
                                 .per_address_max = CONNECTIONS_MAX,
                                 .body_max = BODY_MAX};
    struct http_hooks hooks = {.head = on_head,
                               .complete = on_complete,
                               .gone = on_gone,
                               .end = on_end};
    char url[HTTP_VALUE_MAX], why[HTTP_WHY_MAX];
    struct world *w = calloc(1, sizeof *w);
    bool loopback;
    int fd;

    assert_non_null(w);
    hooks.context = w;
    w->now_ms = 1000000;
    w->answer_bytes = 5;
    assert_int_equal(http_listen("127.0.0.1:0", &fd, &loopback, url, why), 0);
    assert_true(loopback);
    w->port = (unsigned short)strtoul(strrchr(url, ':') + 1, NULL, 10);
    assert_int_equal(http_server_new(fd, &limits, &hooks, &w->server), 0);
    *state = w;
    return 0;
}

static void run(struct world *w)
{
    struct pollfd readable = {.fd = http_server_fd(w->server),
                              .events = POLLIN};

    /* Loopback delivers at once, but the kernel may need a moment to say so. */
    for (int quiet = 0; quiet < 3;) {
        int ms = (int)http_server_timeout_ms(w->server, w->now_ms, 1);

        quiet = poll(&readable, 1, ms) > 0 || ms == 0 ? 0 : quiet + 1;
        http_server_run(w->server, w->now_ms);
    }
}

static void later(struct world *w, uint64_t ms)
{
    w->now_ms += ms;
    run(w);
}

static void answer_held(struct world *w)
{
    while (w->held_count)
        say_hello(w, w->held[--w->held_count]);
    run(w);
}

static int stop(void **state)
{
    struct world *w = *state;

    answer_held(w);
    http_server_quiesce(w->server);
    run(w);
    http_server_free(&w->server);
    assert_int_equal(w->heads, w->ends);
    free(w->last_body);
    free(w);
    return 0;
}

static int dial_only(const struct world *w)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(w->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

static int dial(struct world *w)
{
    int fd = dial_only(w);

    run(w);
    return fd;
}

static void put(struct world *w, int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL),
                     (ssize_t)strlen(text));
    run(w);
}

/* What has come back so far; *ret_open: the server may say more. */
static const char *take(int fd, bool *ret_open)
{
    static char text[200000];
    size_t used = 0;
    ssize_t n;

    while ((n = recv(fd, text + used, sizeof text - 1 - used, 0)) > 0)
        used += (size_t)n;
    text[used] = '\0';
    *ret_open = n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    return text;
}

static bool is_open(int fd)
{
    bool open;

    (void)take(fd, &open);
    return open;
}

static size_t count_of(const char *text, const char *what)
{
    size_t count = 0;

    for (; (text = strstr(text, what)); text += strlen(what))
        count++;
    return count;
}

static void assert_length_is_true(const char *text)
{
    const char *body = strstr(text, "\r\n\r\n");
    const char *length = strstr(text, "Content-Length: ");

    assert_non_null(body);
    assert_non_null(length);
    assert_int_equal(strlen(body + 4), strtoul(length + 16, NULL, 10));
}

/* One problem and nothing else: one head, status, type, id, no HTML, a body as
 * long as it says; then closed. */
static void assert_refused(int fd, int status, const char *code)
{
    char want[40];
    bool open;
    const char *text = take(fd, &open);

    snprintf(want, sizeof want, "HTTP/1.1 %d ", status);
    if (strncmp(text, want, strlen(want)) != 0)
        fail_msg("expected %d, got: %s", status, text);
    assert_non_null(strstr(text, "\r\nX-Request-Id: "));
    assert_non_null(strstr(text, "application/problem+json"));
    assert_null(strstr(text, "<html"));
    if (count_of(text, "HTTP/1.1 ") != 1)
        fail_msg("more than one head: %s", text);
    assert_length_is_true(text);
    snprintf(want, sizeof want, "\"code\":\"%s\"", code);
    if (!strstr(text, want))
        fail_msg("expected %s, got: %s", code, text);
    assert_false(open);
    close(fd);
}

static void assert_answered(int fd, int status)
{
    char want[40];
    bool open;
    const char *text = take(fd, &open);

    snprintf(want, sizeof want, "HTTP/1.1 %d ", status);
    if (strncmp(text, want, strlen(want)) != 0)
        fail_msg("expected %d, got: %s", status, text);
    assert_non_null(strstr(text, "\r\nX-Request-Id: "));
}

/* ---- what is well-formed ------------------------------------------------ */

static void a_request_is_answered_and_the_connection_kept(void **state)
{
    struct world *w = *state;
    int fd = dial(w);

    for (int i = 0; i < 3; i++) {
        put(w, fd, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_answered(fd, 200);
        assert_true(is_open(fd));
    }
    close(fd);
    run(w);
    assert_int_equal(w->completes, 3);
    assert_int_equal(w->ends, 3);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    struct world *w = *state;
    int fd = dial(w), count = 0;
    bool open;

    put(w, fd,
        "GET /a HTTP/1.1\r\nHost: x\r\n\r\nPOST /b HTTP/1.1\r\nHost: x\r\n"
        "Content-Length: 3\r\n\r\nabcGET /c HTTP/1.1\r\nHost: x\r\n\r\n");
    for (const char *at = take(fd, &open); (at = strstr(at, "HTTP/1.1 200"));
         at++)
        count++;
    assert_int_equal(count, 3);
    assert_true(open);
    close(fd);
}

static void head_is_answered_without_a_body(void **state)
{
    struct world *w = *state;
    int fd = dial(w);
    bool open;
    const char *text;

    put(w, fd, "HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n");
    text = take(fd, &open);
    assert_non_null(strstr(text, "Content-Length: 5\r\n"));
    assert_null(strstr(text, "xxxxx"));
    close(fd);
}

static void a_body_arrives_whole_by_length_and_in_chunks(void **state)
{
    struct world *w = *state;
    int fd = dial(w);

    put(w, fd, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nab");
    assert_int_equal(w->completes, 0);
    put(w, fd, "cdef");
    assert_string_equal(w->last_body, "abcdef");
    assert_answered(fd, 200);
    put(w, fd,
        "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    assert_string_equal(w->last_body, "abcde");
    assert_answered(fd, 200);
    close(fd);
}

static void an_id_of_the_client_is_kept_when_it_is_one(void **state)
{
    struct world *w = *state;
    int fd = dial(w);
    bool open;

    put(w, fd, "GET / HTTP/1.1\r\nHost: x\r\nX-Request-Id: abc-1.2_3\r\n\r\n");
    assert_non_null(strstr(take(fd, &open), "X-Request-Id: abc-1.2_3\r\n"));
    put(w, fd, "GET / HTTP/1.1\r\nHost: x\r\nX-Request-Id: a b;c\r\n\r\n");
    assert_null(strstr(take(fd, &open), "a b;c"));
    close(fd);
}

static void a_later_answer_reaches_a_waiting_client(void **state)
{
    struct world *w = *state;
    int fd = dial(w);

    w->hold = true;
    put(w, fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    later(w, UINT64_C(3600000)); /* who asked us bounds this */
    assert_true(is_open(fd));
    answer_held(w);
    assert_answered(fd, 200);
    assert_true(is_open(fd));
    close(fd);
}

/* ---- what is not -------------------------------------------------------- */

static void ambiguous_framing_is_refused_and_the_connection_closed(void **state)
{
    static const char *const heads[] = {
        "Host: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n",
        "Host: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
        "Host: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n",
        ("Host: x\r\nTransfer-Encoding: chunked\r\n"
         "Transfer-Encoding: chunked\r\n"),
        "Host: x\r\nHost: y\r\n",
        "",
    };
    struct world *w = *state;
    char text[300];

    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        int fd = dial(w);

        snprintf(text, sizeof text, "POST / HTTP/1.1\r\n%s\r\na", heads[i]);
        put(w, fd, text);
        assert_refused(fd, 400, "BAD_REQUEST");
    }
    assert_int_equal(w->completes, 0);
}

static void what_the_library_refuses_is_a_problem_too(void **state)
{
    static const struct {
        const char *text, *code;
        int status;
    } cases[] = {
        {"GET /livez HTTP/1.1\r\n\r\n", "BAD_REQUEST", 400},
        {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
         "BAD_REQUEST", 400},
        {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: "
         "99999999999999999999\r\n\r\n",
         "BODY_TOO_LARGE", 413},
        {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: "
         "99999999999999999999999\r\n\r\n",
         "BODY_TOO_LARGE", 413},
        {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
         "chunked\r\n\r\nzz\r\n",
         "BAD_REQUEST", 400},
        {"GET / HTTP/3.7\r\nHost: x\r\n\r\n", "BAD_VERSION", 505},
    };
    struct world *w = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int fd = dial(w);

        put(w, fd, cases[i].text);
        assert_refused(fd, cases[i].status, cases[i].code);
    }
}

static void a_head_too_large_is_refused(void **state)
{
    struct world *w = *state;
    int fd = dial(w);
    char line[1030];

    snprintf(line, sizeof line, "X-A: %01000d\r\n", 0);
    put(w, fd, "GET / HTTP/1.1\r\nHost: x\r\n");
    for (int i = 0; i < 40; i++) {
        if (send(fd, line, strlen(line), MSG_NOSIGNAL) < 0)
            break;
        run(w);
    }
    assert_refused(fd, 431, "HEAD_TOO_LARGE");
}

static void a_body_declared_too_large_is_refused_after_it_was_sent(void **state)
{
    struct world *w = *state;
    int fd = dial(w);
    char *body = calloc(1, (size_t)BODY_MAX * 2 + 1);

    assert_non_null(body);
    memset(body, 'a', (size_t)BODY_MAX * 2);
    put(w, fd, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n");
    assert_string_equal(take(fd, &(bool){false}), "");
    put(w, fd, body);
    assert_answered(fd, 413);
    put(w, fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); /* still of use */
    assert_answered(fd, 200);
    close(fd);
    free(body);
}

static void an_enormous_or_expected_body_is_refused_at_once(void **state)
{
    struct world *w = *state;
    int fd = dial(w);

    put(w, fd,
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 900000000\r\n\r\n");
    assert_refused(fd, 413, "BODY_TOO_LARGE");
    fd = dial(w);
    put(w, fd,
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n"
        "Expect: 100-continue\r\n\r\n");
    assert_refused(fd, 413, "BODY_TOO_LARGE");
    assert_int_equal(w->heads, 0);
}

/* A chunk of a thousand bytes. */
static const char *chunk(void)
{
    static char text[1100];

    snprintf(text, sizeof text, "3e8\r\n%01000d\r\n", 0);
    return text;
}

static void a_body_that_grows_too_large_is_refused(void **state)
{
    struct world *w = *state;
    int fd = dial(w);

    put(w, fd,
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 11; i++)
        put(w, fd, chunk());
    put(w, fd, "0\r\n\r\n");
    assert_refused(fd, 413, "BODY_TOO_LARGE");
    assert_int_equal(w->completes, 0);
}

static void an_endless_body_is_cut_off(void **state)
{
    struct world *w = *state;
    int fd = dial(w);
    int i = 0;

    put(w, fd,
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    while (i < 100 && send(fd, chunk(), strlen(chunk()), MSG_NOSIGNAL) > 0) {
        run(w);
        i++;
    }
    assert_true(i < 60); /* four times body_max is 40 of them */
    close(fd);
}

static void a_refusal_at_the_head_keeps_no_body(void **state)
{
    struct world *w = *state;
    int fd = dial(w);

    w->refuse_at_head = true;
    put(w, fd, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n");
    put(w, fd, "abcde");
    assert_answered(fd, 401);
    assert_int_equal(w->completes, 0);
    assert_true(is_open(fd));
    close(fd);
}

/* ---- the slow ----------------------------------------------------------- */

static void a_slow_head_is_closed_however_busy_it_looks(void **state)
{
    struct world *w = *state;
    int fd = dial(w);

    for (uint64_t ms = 0; ms < HTTP_HEAD_MS - 1000; ms += 1000) {
        if (ms == 0)
            put(w, fd, "GET / HTTP/1.1\r\nX-A: ");
        put(w, fd, "a");
        later(w, 1000);
        assert_true(is_open(fd));
    }
    put(w, fd, "a");
    later(w, 1000);
    assert_false(is_open(fd));
    close(fd);
}

static void a_slow_head_on_a_kept_connection_is_closed_too(void **state)
{
    struct world *w = *state;
    int fd = dial(w);

    put(w, fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_answered(fd, 200);
    later(w, 30000); /* may idle */
    assert_true(is_open(fd));
    put(w, fd, "GET / HTTP/1.1\r\nX-A: ");
    later(w, HTTP_HEAD_MS - 1);
    assert_true(is_open(fd));
    later(w, 1);
    assert_false(is_open(fd));
    close(fd);
}

static void a_slow_body_is_closed(void **state)
{
    struct world *w = *state;
    int fd = dial(w);

    put(w, fd, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n");
    for (uint64_t ms = 0; ms < HTTP_BODY_MS - 1000; ms += 1000) {
        put(w, fd, "a");
        later(w, 1000);
    }
    assert_true(is_open(fd));
    later(w, 1000);
    assert_false(is_open(fd));
    assert_int_equal(w->ends, 1);
    close(fd);
}

static void an_idle_connection_is_closed(void **state)
{
    struct world *w = *state;
    int fd = dial(w);

    put(w, fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_answered(fd, 200);
    later(w, HTTP_IDLE_MS - 1);
    assert_true(is_open(fd));
    later(w, 1);
    assert_false(is_open(fd));
    close(fd);
}

static void a_client_that_does_not_read_is_closed(void **state)
{
    struct world *w = *state;
    int fd = dial(w);

    w->answer_bytes = (size_t)64 << 20; /* more than the sockets hold */
    put(w, fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(http_server_busy(w->server), 1);
    later(w, HTTP_ANSWER_MS);
    assert_int_equal(http_server_busy(w->server), 0);
    assert_int_equal(w->ends, 1);
    close(fd);
}

/* ---- the many ----------------------------------------------------------- */

static void a_thousand_idle_connections_do_not_lock_others_out(void **state)
{
    enum { MANY = 1000 };
    struct world *w = *state;
    struct rlimit files;
    int fds[MANY], fd;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max < 4096 ? files.rlim_max : 4096;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    for (int i = 0; i < MANY; i++) {
        fds[i] = dial_only(w);
        if (i % 20 == 0)
            run(w);
    }
    fd = dial(w);
    put(w, fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_answered(fd, 200);
    close(fd);
    for (int i = 0; i < MANY; i++)
        close(fds[i]);
}

static void waiting_clients_are_not_closed_to_make_room(void **state)
{
    struct world *w = *state;
    int waiting = dial(w);

    w->hold = true;
    put(w, waiting, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    for (int i = 0; i < 3 * CONNECTIONS_MAX; i++)
        close(dial_only(w));
    run(w);
    assert_true(is_open(waiting));
    answer_held(w);
    assert_answered(waiting, 200);
    close(waiting);
}

/* ---- the gone ----------------------------------------------------------- */

static void a_client_that_leaves_while_it_waits_is_noticed(void **state)
{
    struct world *w = *state;
    int fd = dial(w);

    w->hold = true;
    put(w, fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(http_server_busy(w->server), 1);
    close(fd);
    run(w);
    assert_int_equal(w->gones, 1);
    assert_int_equal(w->ends, 1);
    assert_int_equal(http_server_busy(w->server), 0);
}

static void
a_client_that_only_stops_sending_still_hears_the_answer(void **state)
{
    struct world *w = *state;
    int fd = dial(w);

    w->hold = true;
    put(w, fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    shutdown(fd, SHUT_WR);
    run(w);
    assert_int_equal(w->gones, 1); /* which answers, in this test */
    assert_answered(fd, 200);
    close(fd);
}

static void a_client_that_leaves_in_its_body_is_forgotten(void **state)
{
    struct world *w = *state;
    int fd = dial(w);

    put(w, fd, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nab");
    close(fd);
    run(w);
    assert_int_equal(w->ends, 1);
    assert_int_equal(w->completes, 0);
    fd = dial(w);
    put(w, fd, "GET / HTTP/1.1\r\nX-A: b\r\n"); /* and one in its head */
    close(fd);
    run(w);
}

static void quiescing_lets_answers_out_and_nobody_in(void **state)
{
    struct world *w = *state;
    int waiting = dial(w), idle = dial(w);

    w->hold = true;
    put(w, waiting, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    http_server_quiesce(w->server);
    run(w);
    assert_false(is_open(idle));
    assert_true(is_open(waiting));
    answer_held(w);
    assert_answered(waiting, 200);
    assert_int_equal(http_server_busy(w->server), 0);
    close(waiting);
    close(idle);
}

/* ---- texts -------------------------------------------------------------- */

static void escapes_are_undone_or_refused(void **state)
{
    static const struct {
        const char *from, *to; /* NULL: refused */
        bool query;
    } cases[] = {
        {"a%20b", "a b", false},   {"a+b", "a+b", false},
        {"a+b", "a b", true},      {"%2F", "/", false},
        {"%c3%a4", "\xc3\xa4", 0}, {"%", NULL, false},
        {"%2", NULL, false},       {"%zz", NULL, false},
        {"%00", NULL, false},      {"%ff", NULL, false},
        {"", "", false},
    };
    char to[16];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int r = http_decode(cases[i].from, strlen(cases[i].from),
                            cases[i].query, to, sizeof to);

        assert_int_equal(r, cases[i].to ? 0 : -EINVAL);
        if (cases[i].to)
            assert_string_equal(to, cases[i].to);
    }
    assert_int_equal(http_decode("abcd", 4, false, to, 4), -E2BIG);
    assert_int_equal(http_decode("abc", 3, false, to, 4), 0);
}

static void an_address_that_is_none_says_what_to_write(void **state)
{
    static const char *const bad[] = {"",    "8080",         ":8080",
                                      "a:b", "127.0.0.1",    "[::1:80",
                                      "x:",  "127.0.0.1:1x", "[]:80"};
    char url[HTTP_VALUE_MAX], why[HTTP_WHY_MAX];
    bool loopback;
    int fd;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(http_listen(bad[i], &fd, &loopback, url, why),
                         -EINVAL);
        assert_non_null(strstr(why, "127.0.0.1:8080"));
    }
}

static void an_address_in_use_is_said_so(void **state)
{
    char url[HTTP_VALUE_MAX], why[HTTP_WHY_MAX];
    bool loopback;
    int fd, other;

    (void)state;
    assert_int_equal(http_listen("127.0.0.1:0", &fd, &loopback, url, why), 0);
    assert_int_equal(
        http_listen(url + strlen("http://"), &other, &loopback, url, why),
        -EADDRINUSE);
    assert_non_null(strstr(why, "another port"));
    close(fd);
    assert_int_equal(http_listen("0.0.0.0:0", &fd, &loopback, url, why), 0);
    assert_false(loopback);
    close(fd);
}

static void a_header_never_carries_control_characters(void **state)
{
    struct http_reply reply = {0};

    (void)state;
    http_reply_header(&reply, "X-A", "a\r\nX-B: %s", "\xc3\xa4");
    assert_string_equal(reply.headers[0].value, "a??X-B: ??");
}

#define IN_A_WORLD(claim) cmocka_unit_test_setup_teardown(claim, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_WORLD(a_request_is_answered_and_the_connection_kept),
        IN_A_WORLD(pipelined_requests_are_answered_in_order),
        IN_A_WORLD(head_is_answered_without_a_body),
        IN_A_WORLD(a_body_arrives_whole_by_length_and_in_chunks),
        IN_A_WORLD(an_id_of_the_client_is_kept_when_it_is_one),
        IN_A_WORLD(a_later_answer_reaches_a_waiting_client),
        IN_A_WORLD(ambiguous_framing_is_refused_and_the_connection_closed),
        IN_A_WORLD(what_the_library_refuses_is_a_problem_too),
        IN_A_WORLD(a_head_too_large_is_refused),
        IN_A_WORLD(a_body_declared_too_large_is_refused_after_it_was_sent),
        IN_A_WORLD(an_enormous_or_expected_body_is_refused_at_once),
        IN_A_WORLD(a_body_that_grows_too_large_is_refused),
        IN_A_WORLD(an_endless_body_is_cut_off),
        IN_A_WORLD(a_refusal_at_the_head_keeps_no_body),
        IN_A_WORLD(a_slow_head_is_closed_however_busy_it_looks),
        IN_A_WORLD(a_slow_head_on_a_kept_connection_is_closed_too),
        IN_A_WORLD(a_slow_body_is_closed),
        IN_A_WORLD(an_idle_connection_is_closed),
        IN_A_WORLD(a_client_that_does_not_read_is_closed),
        IN_A_WORLD(a_thousand_idle_connections_do_not_lock_others_out),
        IN_A_WORLD(waiting_clients_are_not_closed_to_make_room),
        IN_A_WORLD(a_client_that_leaves_while_it_waits_is_noticed),
        IN_A_WORLD(a_client_that_only_stops_sending_still_hears_the_answer),
        IN_A_WORLD(a_client_that_leaves_in_its_body_is_forgotten),
        IN_A_WORLD(quiescing_lets_answers_out_and_nobody_in),
        cmocka_unit_test(escapes_are_undone_or_refused),
        cmocka_unit_test(an_address_that_is_none_says_what_to_write),
        cmocka_unit_test(an_address_in_use_is_said_so),
        cmocka_unit_test(a_header_never_carries_control_characters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
