/*
 * Covers agents/exec_command.c, exec_http.c and the child's side of task.c:
 * what a job sees of the world, and what an http node does and refuses.
 */
#include "tests/unit/shepherd_bench.h"

#include "agents/exec_http.h"

#include <arpa/inet.h>
#include <sys/socket.h>

/* ---- what a job sees ------------------------------------------------- */

static void the_environment_is_an_allow_list(void **state)
{
    struct bench *b = *state;

    execute(b,
            "{\"id\": \"n\", \"kind\": \"command\", \"config\": {\"argv\": "
            "[\"env\"], \"env\": {\"MINE\": \"42\", \"DISPATCH_ATTEMPT\": "
            "\"99\"}}}",
            WIRE_COMPLETED);
    static const char *const there[] = {
        "PATH=",
        "MINE=42\n",
        "TEST_EXTRA=let through\n",
        "DISPATCH_ATTEMPT=1\n",
        "DISPATCH_RUN_ID=01020304-0506-7008-800a-000000000000\n",
        "DISPATCH_NODE=n\n",
        "DISPATCH_WORKFLOW=work\n",
        "DISPATCH_POOL=default\n",
        "DISPATCH_PARAMETERS={}\n",
        "TRACEPARENT=00-abc-def-01\n",
    };
    for (size_t i = 0; i < sizeof there / sizeof *there; i++)
        if (!strstr(b->output, there[i]))
            fail_msg("%s is not in\n%s", there[i], b->output);
    assert_null(strstr(b->output, "TEST_SECRET"));
    assert_null(strstr(b->output, "=99"));
}

static void a_job_has_three_descriptors_and_its_own_session(void **state)
{
    struct bench *b = *state;

    execute(b,
            SHELL("n", "",
                  "ls /proc/self/fd | wc -l; readlink /proc/self/fd/0;"
                  " ulimit -c; read -r _ _ _ _ _ session _ </proc/$$/stat;"
                  " test $session = $$ && echo leader; pwd"),
            WIRE_COMPLETED);
    char want[300];
    snprintf(want, sizeof want, "4\n/dev/null\n0\nleader\n%s/runs/%s/work\n",
             b->dir, b->name);
    assert_string_equal(b->output, want);
}

static void output_beyond_the_cap_is_dropped_and_counted(void **state)
{
    struct bench *b = *state;

    execute(b,
            SHELL("n", "",
                  "head -c 1000000 /dev/zero | tr '\\\\0' x; echo "
                  "the end"),
            WIRE_COMPLETED);
    assert_int_equal(b->result.result.log_dropped,
                     1000008 - OUTPUT_HEAD_MAX - OUTPUT_TAIL_MAX);
    assert_int_equal(node(b, 0)->bytes_out, 1000008);
    assert_non_null(strstr(b->output, "bytes dropped here"));
    assert_string_equal(b->output + b->output_len - 8, "the end\n");
}

/* ---- http ------------------------------------------------------------ */

static void private_addresses_are_known(void **state)
{
    static const struct {
        const char *address;
        bool private;
    } cases[] = {
        {"127.0.0.1", true},
        {"127.255.0.1", true},
        {"10.1.2.3", true},
        {"172.16.0.1", true},
        {"172.31.255.255", true},
        {"172.32.0.1", false},
        {"192.168.1.1", true},
        {"169.254.169.254", true},
        {"100.64.0.1", true},
        {"100.128.0.1", false},
        {"0.0.0.0", true},
        {"224.0.0.1", true},
        {"255.255.255.255", true},
        {"8.8.8.8", false},
        {"1.1.1.1", false},
        {"::1", true},
        {"::", true},
        {"fe80::1", true},
        {"fd00::1", true},
        {"ff02::1", true},
        {"::ffff:127.0.0.1", true},
        {"::ffff:8.8.8.8", false},
        {"64:ff9b::a00:1", true},
        {"2002:7f00:1::", true},
        {"2606:4700::1111", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sockaddr_in in = {.sin_family = AF_INET};
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
        bool private;
        if (inet_pton(AF_INET, cases[i].address, &in.sin_addr) == 1) {
            private = exec_http_is_private((struct sockaddr *)&in);
        } else {
            assert_int_equal(
                inet_pton(AF_INET6, cases[i].address, &in6.sin6_addr), 1);
            private = exec_http_is_private((struct sockaddr *)&in6);
        }
        if (private != cases[i].private)
            fail_msg("%s", cases[i].address);
    }
}

/* A server for `count` requests in a process of its own; returns its port. */
static int serve(int count, const char *answer, pid_t *ret_pid)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(server, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(server, 8), 0);
    assert_int_equal(getsockname(server, (struct sockaddr *)&at, &len), 0);
    *ret_pid = fork();
    if (*ret_pid == 0) {
        char request[8192];
        alarm(30);
        while (count-- > 0) {
            int client = accept(server, NULL, NULL);
            size_t used = 0;
            while (used < sizeof request - 1) {
                ssize_t n =
                    read(client, request + used, sizeof request - 1 - used);
                if (n <= 0)
                    break;
                used += (size_t)n;
                request[used] = '\0';
                if (strstr(request, "\r\n\r\n"))
                    break;
            }
            if (write(client, answer, strlen(answer)) < 0)
                _exit(1);
            if (strstr(answer, "echo") && write(client, request, used) < 0)
                _exit(1);
            close(client);
        }
        _exit(0);
    }
    close(server);
    return ntohs(at.sin_port);
}

/* Calls a local server with more fields in the configuration. */
static void call(struct bench *b, const char *answer, const char *more,
                 enum wire_outcome outcome)
{
    char nodes[600];
    pid_t server;
    int port = serve(1, answer, &server);

    snprintf(nodes, sizeof nodes,
             "{\"id\": \"h\", \"kind\": \"http\", \"config\": {\"url\": "
             "\"http://127.0.0.1:%d/x\"%s}}",
             port, more);
    execute(b, nodes, outcome);
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
}

static int set_up_private(void **state)
{
    int rc = set_up(state);
    struct bench *b = *state;

    /* The nursery has a copy: begin it anew with the other setting. */
    nursery_close(&b->nursery);
    waitpid(b->nursery.pid, NULL, 0);
    b->settings.http_allow_private = true;
    return rc < 0 ? rc : nursery_start(&b->spool, &b->settings, &b->nursery);
}

static void http_refuses_a_private_address_unless_allowed(void **state)
{
    struct bench *b = *state;

    call(b, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", WIRE_FAILED);
    assert_non_null(memmem(node(b, 0)->error.ptr, node(b, 0)->error.len,
                           "private address 127.0.0.1", 25));
    assert_int_equal(node(b, 0)->exit_code, -1);
}

static void http_captures_the_body_and_the_status(void **state)
{
    struct bench *b = *state;

    call(b, "HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello",
         ", \"body\": {\"a\": 1}, \"headers\": {\"X-Mine\": \"yes\"}",
         WIRE_COMPLETED);
    assert_int_equal(node(b, 0)->exit_code, 201);
    assert_int_equal(node(b, 0)->bytes_out, 5);
    assert_string_equal(b->output, "hello");
}

static void http_sends_method_headers_and_trace(void **state)
{
    struct bench *b = *state;

    call(b, "HTTP/1.0 200 OK\r\nX: echo\r\n\r\n",
         ", \"method\": \"PUT\", \"headers\": {\"X-Mine\": \"yes\"}",
         WIRE_COMPLETED);
    assert_non_null(strstr(b->output, "PUT /x HTTP/1.1\r\n"));
    assert_non_null(strstr(b->output, "X-Mine: yes\r\n"));
    assert_non_null(strstr(b->output, "traceparent: 00-abc-def-01\r\n"));
}

static void http_fails_on_an_error_status(void **state)
{
    struct bench *b = *state;

    call(b, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "", WIRE_FAILED);
    assert_int_equal(node(b, 0)->exit_code, 503);
    assert_memory_equal(node(b, 0)->error.ptr, "status 503 from http://", 23);
}

static void http_takes_an_expected_status(void **state)
{
    struct bench *b = *state;

    call(b, "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n",
         ", \"expect_status\": [200, 404]", WIRE_COMPLETED);
    assert_int_equal(node(b, 0)->exit_code, 404);
}

static void http_does_not_follow_a_redirect(void **state)
{
    struct bench *b = *state;

    call(b,
         "HTTP/1.1 302 Go\r\nLocation: http://10.0.0.1/\r\nContent-Length: "
         "0\r\n\r\n",
         ", \"expect_status\": 302", WIRE_COMPLETED);
    assert_int_equal(node(b, 0)->exit_code, 302);
}

static void http_fails_on_a_redirect_and_says_where_to(void **state)
{
    static const char answer[] = "HTTP/1.1 302 Go\r\nLocation: "
                                 "https://example.org/there\r\n"
                                 "Content-Length: 0\r\n\r\n";
    struct bench *b = *state;

    call(b, answer, "", WIRE_FAILED);
    assert_int_equal(node(b, 0)->exit_code, 302);
    struct wire_bytes error = node(b, 0)->error;
    static const char want[] = "is a redirect to https://example.org/there, "
                               "and redirects are not followed";
    assert_non_null(memmem(error.ptr, error.len, want, strlen(want)));
}

static void http_fails_on_a_3xx_without_a_target(void **state)
{
    struct bench *b = *state;

    call(b, "HTTP/1.1 304 Same\r\nContent-Length: 0\r\n\r\n", "", WIRE_FAILED);
    assert_memory_equal(node(b, 0)->error.ptr, "status 304 from http://", 23);
}

static void http_stops_at_an_answer_that_is_too_large(void **state)
{
    struct bench *b = *state;
    size_t body = 11534336; /* 11 MiB */
    char *answer = malloc(body + 100);
    int head = sprintf(answer, "HTTP/1.0 200 OK\r\n\r\n");

    memset(answer + head, 'x', body);
    answer[(size_t)head + body] = '\0';
    call(b, answer, "", WIRE_FAILED);
    free(answer);
    assert_text(node(b, 0)->error, "the answer is larger than 10485760 bytes");
}

int main(void)
{
#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define HTTP(name)                                                             \
    cmocka_unit_test_setup_teardown(name, set_up_private, tear_down)
    const struct CMUnitTest tests[] = {
        CLAIM(the_environment_is_an_allow_list),
        CLAIM(a_job_has_three_descriptors_and_its_own_session),
        CLAIM(output_beyond_the_cap_is_dropped_and_counted),
        cmocka_unit_test(private_addresses_are_known),
        CLAIM(http_refuses_a_private_address_unless_allowed),
        HTTP(http_captures_the_body_and_the_status),
        HTTP(http_sends_method_headers_and_trace),
        HTTP(http_fails_on_an_error_status),
        HTTP(http_takes_an_expected_status),
        HTTP(http_does_not_follow_a_redirect),
        HTTP(http_fails_on_a_redirect_and_says_where_to),
        HTTP(http_fails_on_a_3xx_without_a_target),
        HTTP(http_stops_at_an_answer_that_is_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
