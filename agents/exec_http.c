/*
 * exec_http.c - a node that calls a URL:
 *   {"url": "https://...", "method": "GET"?, "headers": {"Name": "value"}?,
 *    "body": "text" or any JSON?, "expect_status": 200 or [200, 404]?}
 *
 * The body of the answer goes to the captured output, the status becomes the
 * exit code. Statuses of 300 and above fail unless expected. Redirects are not
 * followed: the error names the target, which is the author's to judge.
 *
 * A workflow's author is not to reach through this agent what only this machine
 * or its network reaches (metadata services, admin ports). The check is made on
 * the address about to be connected to, after name resolution, so no name can
 * hide it; `http: {allow_private: true}` in the agent's configuration lifts it.
 */
#include "agents/executor.h"

#include "agents/exec_http.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    CONNECT_TIMEOUT_MS = 10 * 1000,
    TOTAL_TIMEOUT_MS = 60 * 1000, /* unless the node has a longer one */
    BODY_MAX = 10 * 1024 * 1024,  /* bytes of an answer */
};

struct call {
    const struct exec_scene *scene;
    size_t received;
    bool too_large;
    char refused[INET6_ADDRSTRLEN]; /* the private address, "" */
};

/* ---- the configuration ----------------------------------------------- */

static int bad(char why[PLAN_WHY_MAX], const char *what)
{
    snprintf(why, PLAN_WHY_MAX, "%s", what);
    return -EINVAL;
}

static bool is_token(const char *text)
{
    return *text && strspn(text, "abcdefghijklmnopqrstuvwxyz"
                                 "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "0123456789-_.!#$%&'*+^`|~") == strlen(text);
}

static bool is_status(const json_t *value)
{
    return json_is_integer(value) && json_integer_value(value) >= 100 &&
           json_integer_value(value) <= 999;
}

static int check_expected(const json_t *expected, char why[PLAN_WHY_MAX])
{
    if (!expected || json_is_null(expected) || is_status(expected))
        return 0;
    bool right = json_is_array(expected) && json_array_size(expected) > 0;
    for (size_t i = 0; right && i < json_array_size(expected); i++)
        right = is_status(json_array_get(expected, i));
    return right ? 0
                 : bad(why, "expect_status is not a status or an array of "
                            "statuses (100 to 999)");
}

int exec_http_check(const json_t *config, char why[PLAN_WHY_MAX])
{
    const char *url = json_string_value(json_object_get(config, "url")), *name;
    const json_t *method = json_object_get(config, "method");
    json_t *headers = json_object_get(config, "headers"), *value;

    if (!url || (strncasecmp(url, "http://", 7) != 0 &&
                 strncasecmp(url, "https://", 8) != 0))
        return bad(why, "url is not an http:// or https:// address");
    if (method && !json_is_null(method) &&
        (!json_is_string(method) || !is_token(json_string_value(method))))
        return bad(why, "method is not a word like GET or POST");
    if (headers && !json_is_null(headers) && !json_is_object(headers))
        return bad(why, "headers is not an object");
    json_object_foreach(headers, name, value) {
        const char *text = json_string_value(value);
        if (!is_token(name) || !text || strpbrk(text, "\r\n"))
            return bad(why, "headers: a name that is not a word, or a value "
                            "that is not one line of text");
    }
    return check_expected(json_object_get(config, "expect_status"), why);
}

/* ---- addresses ------------------------------------------------------- */

struct range4 {
    uint32_t net;
    int bits;
};

static bool private4(uint32_t address)
{
    static const struct range4 ranges[] = {
        {0x00000000, 8},  /* this network */
        {0x0a000000, 8},  /* private */
        {0x64400000, 10}, /* shared, carrier NAT */
        {0x7f000000, 8},  /* loopback */
        {0xa9fe0000, 16}, /* link-local, metadata services */
        {0xac100000, 12}, /* private */
        {0xc0000000, 24}, /* protocol assignments */
        {0xc0a80000, 16}, /* private */
        {0xc6120000, 15}, /* benchmarks */
        {0xe0000000, 3},  /* multicast, reserved, broadcast */
    };

    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        uint32_t mask = ~UINT32_C(0) << (32 - ranges[i].bits);
        if ((address & mask) == ranges[i].net)
            return true;
    }
    return false;
}

static uint32_t four_at(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 |
           (uint32_t)bytes[2] << 8 | bytes[3];
}

static bool private6(const struct in6_addr *address)
{
    static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};
    const uint8_t *b = address->s6_addr;

    if (IN6_IS_ADDR_V4MAPPED(address) || IN6_IS_ADDR_V4COMPAT(address) ||
        memcmp(b, nat64, sizeof nat64) == 0)
        return private4(four_at(b + 12)) || IN6_IS_ADDR_LOOPBACK(address);
    if (b[0] == 0x20 && b[1] == 0x02) /* 6to4 */
        return private4(four_at(b + 2));
    return IN6_IS_ADDR_UNSPECIFIED(address) || IN6_IS_ADDR_LOOPBACK(address) ||
           IN6_IS_ADDR_LINKLOCAL(address) || IN6_IS_ADDR_SITELOCAL(address) ||
           IN6_IS_ADDR_MULTICAST(address) || (b[0] & 0xfe) == 0xfc;
}

bool exec_http_is_private(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof in);
        return private4(ntohl(in.sin_addr.s_addr));
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 in;
        memcpy(&in, address, sizeof in);
        return private6(&in.sin6_addr);
    }
    return true;
}

static curl_socket_t open_socket(void *context, curlsocktype purpose,
                                 struct curl_sockaddr *address)
{
    struct call *call = context;
    struct sockaddr_storage to;

    (void)purpose;
    memset(&to, 0, sizeof to);
    memcpy(&to, &address->addr,
           address->addrlen < sizeof to ? address->addrlen : sizeof to);
    if (!call->scene->settings->http_allow_private &&
        exec_http_is_private((const struct sockaddr *)&to)) {
        const void *ip =
            to.ss_family == AF_INET6
                ? (const void *)&((const struct sockaddr_in6 *)&to)->sin6_addr
                : (const void *)&((const struct sockaddr_in *)&to)->sin_addr;
        inet_ntop(to.ss_family, ip, call->refused, sizeof call->refused);
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC,
                  address->protocol);
}

/* ---- the call -------------------------------------------------------- */

static size_t take_body(char *bytes, size_t size, size_t count, void *context)
{
    struct call *call = context;
    size_t len = size * count, done = 0;

    call->received += len;
    if (call->received > BODY_MAX) {
        call->too_large = true;
        return 0;
    }
    while (done < len) {
        ssize_t n = write(STDOUT_FILENO, bytes + done, len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return 0;
        done += (size_t)n;
    }
    return len;
}

static struct curl_slist *build_headers(const struct exec_scene *scene,
                                        const json_t *config, bool json_body)
{
    json_t *headers = json_object_get(config, "headers"), *value;
    struct curl_slist *list = NULL;
    bool typed = false;
    const char *name;
    char line[8192];

    json_object_foreach(headers, name, value) {
        const char *text = json_string_value(value);
        typed = typed || strcasecmp(name, "Content-Type") == 0;
        /* "Name;" is curl's way to send a header without a value. */
        int n =
            snprintf(line, sizeof line, *text ? "%s: %s" : "%s;%s", name, text);
        if (n >= (int)sizeof line)
            exec_fail(-1, "the header %.60s is too long", name);
        list = curl_slist_append(list, line);
    }
    if (json_body && !typed)
        list = curl_slist_append(list, "Content-Type: application/json");
    if (*scene->traceparent) {
        snprintf(line, sizeof line, "traceparent: %s", scene->traceparent);
        list = curl_slist_append(list, line);
    }
    /* No waiting for "100 Continue", which few servers send. */
    return curl_slist_append(list, "Expect:");
}

static void set_request(CURL *curl, const struct plan_node *node)
{
    const json_t *config = node->config,
                 *body = json_object_get(config, "body");
    const char *method = json_string_value(json_object_get(config, "method"));

    if (body && !json_is_null(body)) {
        char *text = json_is_string(body)
                         ? strdup(json_string_value(body))
                         : json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY);
        size_t len = text ? strlen(text) : 0;
        if (!text)
            exec_fail(-1, "out of memory");
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
        curl_easy_setopt(curl, CURLOPT_COPYPOSTFIELDS, text);
        free(text);
        if (!method)
            method = "POST";
    }
    if (method && strcmp(method, "HEAD") == 0)
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    else if (method)
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
}

static void set_bounds(CURL *curl, const struct plan_node *node,
                       struct call *call)
{
    long total = node->timeout_ms > TOTAL_TIMEOUT_MS ? (long)node->timeout_ms
                                                     : TOTAL_TIMEOUT_MS;

    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, total);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, call);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(curl, CURLOPT_USERAGENT,
                     "dispatch-agent/" DISPATCH_VERSION);
}

static bool is_expected(const json_t *config, long status)
{
    const json_t *expected = json_object_get(config, "expect_status");

    if (json_is_integer(expected))
        return json_integer_value(expected) == status;
    if (!json_is_array(expected))
        return status < 300;
    for (size_t i = 0; i < json_array_size(expected); i++)
        if (json_integer_value(json_array_get(expected, i)) == status)
            return true;
    return false;
}

static _Noreturn void fail_status(CURL *curl, long status, const char *url)
{
    char *target = NULL;

    curl_easy_getinfo(curl, CURLINFO_REDIRECT_URL, &target);
    if (status >= 300 && status < 400 && target)
        exec_fail((int32_t)status,
                  "status %ld from %.100s is a redirect to %.100s, and "
                  "redirects are not followed",
                  status, url, target);
    exec_fail((int32_t)status, "status %ld from %.200s", status, url);
}

void exec_http_run(const struct exec_scene *scene, const struct plan_node *node)
{
    const char *url = json_string_value(json_object_get(node->config, "url"));
    const json_t *body = json_object_get(node->config, "body");
    char error[CURL_ERROR_SIZE] = "";
    struct call call = {.scene = scene};
    struct exec_report report;
    long status = 0;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        exec_fail(-1, "libcurl cannot start");
    CURL *curl = curl_easy_init();
    if (!curl)
        exec_fail(-1, "out of memory");
    struct curl_slist *headers =
        build_headers(scene, node->config,
                      body && !json_is_null(body) && !json_is_string(body));
    set_request(curl, node);
    set_bounds(curl, node, &call);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    CURLcode rc = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (rc != CURLE_OK && *call.refused)
        exec_fail(-1,
                  "%.120s is at the private address %s, which this agent does "
                  "not call: http.allow_private in its configuration allows it",
                  url, call.refused);
    if (call.too_large)
        exec_fail((int32_t)status, "the answer is larger than %d bytes",
                  BODY_MAX);
    if (rc != CURLE_OK)
        exec_fail(-1, "%.160s: %.120s", url,
                  *error ? error : curl_easy_strerror(rc));
    if (!is_expected(node->config, status))
        fail_status(curl, status, url);
    memset(&report, 0, sizeof report);
    report.state = EXEC_COMPLETED;
    report.exit_code = (int32_t)status;
    report.counted = true;
    report.bytes_out = call.received;
    exec_report_and_exit(&report);
}
