/* client.c - see client.h: addresses, tokens, calls */
#include "dispatcher/client.h"

#include <arpa/inet.h>
#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { CONNECT_MS = 5000 };

struct client {
    char *base;
    char *token; /* or NULL */
    CURL *curl;
    char why[CLIENT_WHY_MAX];
};

static void *must(void *memory)
{
    if (!memory) {
        (void)fputs("out of memory\n", stderr);
        abort();
    }
    return memory;
}

/* ---- addresses --------------------------------------------------------- */

int client_base(const char *url, char **ret_base, char ret_why[CLIENT_WHY_MAX])
{
    const char *scheme = strstr(url, "://");
    bool known = strncasecmp(url, "http://", 7) == 0 ||
                 strncasecmp(url, "https://", 8) == 0;
    const char *host = scheme ? scheme + 3 : url;
    size_t host_bytes = strcspn(host, "/");
    const char *wrong = NULL;

    if (scheme && !known)
        wrong = "only http:// and https:// are spoken";
    else if (host_bytes == 0 || host[0] == ':')
        wrong = "it names no host";
    else if (memchr(host, '@', host_bytes))
        wrong = "no user or password belongs into it; use DISPATCH_TOKEN";
    else if (strpbrk(host, "?#"))
        wrong = "it must not have a query or a fragment";
    for (const char *at = url; !wrong && *at; at++)
        if ((unsigned char)*at <= ' ' || *at == 0x7F)
            wrong = "it contains a space or a control character";
    if (wrong) {
        (void)snprintf(ret_why, CLIENT_WHY_MAX,
                       "the address '%s' cannot be used: %s; it looks like "
                       "%s",
                       url, wrong, CLIENT_URL_DEFAULT);
        return -EINVAL;
    }
    char *base = plain_format("%s%s", scheme ? "" : "http://", url);
    size_t bytes = strlen(base);
    while (bytes > 0 && base[bytes - 1] == '/')
        base[--bytes] = '\0';
    *ret_base = base;
    return 0;
}

static void put_encoded(FILE *out, const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        bool safe = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
                    (*at >= '0' && *at <= '9') || strchr("-._~", *at);
        if (safe)
            (void)fputc(*at, out);
        else
            (void)fprintf(out, "%%%02X", *at);
    }
}

/* A segment of dots alone would be taken for a step up. */
static void put_segment(FILE *out, const char *text)
{
    if (strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
        (void)fputs(text[1] ? "%2E%2E" : "%2E", out);
    else
        put_encoded(out, text);
}

char *client_url(const char *base, const char *pattern,
                 const char *const texts[])
{
    char *url = NULL;
    size_t bytes = 0;
    FILE *out = must(open_memstream(&url, &bytes));

    (void)fputs(base, out);
    for (const char *at = pattern; *at; at++) {
        if (at[0] == '{' && at[1] == '}') {
            assert(texts && *texts);
            put_segment(out, *texts++);
            at++;
        } else {
            (void)fputc(*at, out);
        }
    }
    (void)fclose(out);
    return must(url);
}

void client_url_query(char **url_p, const char *name, const char *value)
{
    char *url = NULL;
    size_t bytes = 0;
    FILE *out = must(open_memstream(&url, &bytes));

    (void)fprintf(out, "%s%c", *url_p, strchr(*url_p, '?') ? '&' : '?');
    put_encoded(out, name);
    (void)fputc('=', out);
    put_encoded(out, value);
    (void)fclose(out);
    free(*url_p);
    *url_p = must(url);
}

int client_token_read(const char *file, char ret_token[CLIENT_TOKEN_MAX],
                      char ret_why[CLIENT_WHY_MAX])
{
    char text[CLIENT_TOKEN_MAX];
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    int error = got < 0 ? -errno : 0;

    if (fd >= 0)
        (void)close(fd);
    if (error) {
        (void)snprintf(ret_why, CLIENT_WHY_MAX,
                       "cannot read the token file '%s': %s", file,
                       strerror(-error));
        return error;
    }
    text[got] = '\0';
    char *begin = text + strspn(text, " \t\r\n");
    begin[strcspn(begin, "\r\n")] = '\0';
    size_t len = strlen(begin);
    while (len > 0 && (begin[len - 1] == ' ' || begin[len - 1] == '\t'))
        begin[--len] = '\0';
    bool clean = len > 0;
    for (size_t i = 0; i < len; i++)
        clean = clean && begin[i] > ' ' && begin[i] < 0x7F;
    if (!clean) {
        (void)snprintf(ret_why, CLIENT_WHY_MAX,
                       "the first line of the token file '%s' is no token: "
                       "put the token there, alone, without spaces",
                       file);
        return -EINVAL;
    }
    memcpy(ret_token, begin, len + 1);
    return 0;
}

/* ---- the client -------------------------------------------------------- */

static char *from_environment(const char *given, const char *name)
{
    const char *value = given ? given : getenv(name);

    return value && *value ? must(strdup(value)) : NULL;
}

int client_new(const char *url, const char *token, struct client **ret_client,
               char ret_why[CLIENT_WHY_MAX])
{
    struct client *client = must(calloc(1, sizeof *client));
    char *address = from_environment(url, "DISPATCH_URL");
    int error = client_base(address ? address : CLIENT_URL_DEFAULT,
                            &client->base, ret_why);

    free(address);
    client->token = from_environment(token, "DISPATCH_TOKEN");
    for (const char *at = client->token; at && *at && error == 0; at++) {
        if (*at <= ' ' || *at >= 0x7F) {
            (void)snprintf(ret_why, CLIENT_WHY_MAX,
                           "the token in DISPATCH_TOKEN contains a space or a "
                           "control character; copy it again");
            error = -EINVAL;
        }
    }
    if (error == 0 && (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
                       !(client->curl = curl_easy_init()))) {
        (void)snprintf(ret_why, CLIENT_WHY_MAX, "libcurl does not start");
        error = -ENOMEM;
    }
    if (error) {
        client_free(&client);
        return error;
    }
    *ret_client = client;
    return 0;
}

void client_free(struct client **client_p)
{
    struct client *client = *client_p;

    *client_p = NULL;
    if (!client)
        return;
    if (client->curl)
        curl_easy_cleanup(client->curl);
    free(client->base);
    free(client->token);
    free(client);
}

const char *client_base_of(const struct client *client)
{
    return client->base;
}

bool client_token_exposed(const struct client *client)
{
    struct in_addr address;
    const char *host = client->base + strlen("http://");
    size_t len = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/");
    char name[64];

    if (!client->token || strncasecmp(client->base, "http://", 7) != 0)
        return false;
    (void)snprintf(name, sizeof name, "%.*s", len < 63 ? (int)len : 63, host);
    if (strcasecmp(name, "localhost") == 0 || strcmp(name, "[::1]") == 0)
        return false;
    return inet_pton(AF_INET, name, &address) != 1 ||
           ntohl(address.s_addr) >> 24 != 127;
}

const char *client_why(const struct client *client)
{
    return client->why;
}

void client_answer_clear(struct client_answer *answer)
{
    json_decref(answer->body);
    free(answer->text);
    *answer = (struct client_answer){0};
}

/* ---- one call ---------------------------------------------------------- */

/* The body as it comes. */
struct reception {
    char *bytes; /* not NUL-terminated */
    size_t len, capacity;
    bool too_big;
};

static bool keep_bytes(struct reception *got, const char *bytes, size_t len)
{
    if (got->len + len > CLIENT_BODY_MAX) {
        got->too_big = true;
        return false;
    }
    if (got->len + len > got->capacity) {
        size_t capacity = got->capacity ? got->capacity : 4096;
        while (capacity < got->len + len)
            capacity *= 2;
        got->bytes = must(realloc(got->bytes, capacity));
        got->capacity = capacity;
    }
    memcpy(got->bytes + got->len, bytes, len);
    got->len += len;
    return true;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
    return keep_bytes(context, bytes, size * count) ? size * count : 0;
}

static int set_address(struct client *client, const struct client_call *call)
{
    char *url = client_url(client->base, call->path, call->texts);

    for (size_t i = 0;
         i + 1 < sizeof call->query / sizeof call->query[0] && call->query[i];
         i += 2)
        client_url_query(&url, call->query[i], call->query[i + 1]);
    CURLcode set = curl_easy_setopt(client->curl, CURLOPT_URL, url);
    free(url);
    return set == CURLE_OK ? 0 : -ENOMEM;
}

static void add_header(struct curl_slist **headers, const char *fmt,
                       const char *value)
{
    char *line = NULL;

    if (asprintf(&line, "%s%s", fmt, value) < 0)
        line = NULL;
    *headers = must(curl_slist_append(*headers, must(line)));
    free(line);
}

static struct curl_slist *headers_of(const struct client *client,
                                     const struct client_call *call)
{
    struct curl_slist *headers = NULL;

    add_header(&headers,
               "Accept: ", "application/json, application/problem+json");
    add_header(&headers, "Expect:", ""); /* no 100-continue round trip */
    if (call->body)
        add_header(&headers, "Content-Type: ", "application/json");
    if (client->token)
        add_header(&headers, "Authorization: Bearer ", client->token);
    if (call->prefer)
        add_header(&headers, "Prefer: ", call->prefer);
    return headers;
}

static void set_call(struct client *client, const struct client_call *call,
                     struct reception *got)
{
    CURL *curl = client->curl;
    long timeout = call->timeout_ms ? call->timeout_ms : CLIENT_TIMEOUT_MS;

    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(curl, CURLOPT_USERAGENT,
                           "dispatchctl/" DISPATCH_VERSION);
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, timeout);
    if (call->body) {
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->body);
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
                               (curl_off_t)strlen(call->body));
    }
    if (call->method)
        (void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, got);
}

static int failed(struct client *client, CURLcode code,
                  const struct reception *got, const char *detail)
{
    if (got->too_big) {
        (void)snprintf(client->why, sizeof client->why,
                       "the answer of %s is bigger than is sensible (%d MiB)",
                       client->base, CLIENT_BODY_MAX >> 20);
        return -EMSGSIZE;
    }
    bool brief = code == CURLE_COULDNT_CONNECT || !*detail;
    const char *what = brief ? curl_easy_strerror(code) : detail;
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        (void)snprintf(client->why, sizeof client->why,
                       "%s did not answer in time (%s)", client->base, what);
        return -ETIMEDOUT;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
        (void)snprintf(client->why, sizeof client->why,
                       "what answers at %s is no dispatcher (%s)", client->base,
                       what);
        return -EPROTO;
    default:
        (void)snprintf(client->why, sizeof client->why,
                       "no broker reached at %s (%s)", client->base, what);
        return -ECONNREFUSED;
    }
}

/* Takes the bytes into the answer. */
static void answer_take(struct client *client, struct reception *got,
                        struct client_answer *ret)
{
    curl_off_t retry = 0;
    bool whole = keep_bytes(got, "", 1);

    assert(whole || got->len == CLIENT_BODY_MAX);
    if (!whole)
        got->bytes[--got->len] = '\0';
    *ret = (struct client_answer){0};
    (void)curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &ret->status);
    (void)curl_easy_getinfo(client->curl, CURLINFO_RETRY_AFTER, &retry);
    ret->retry_after_s = (double)retry;
    ret->text = got->bytes;
    ret->bytes = whole ? got->len - 1 : got->len;
    ret->body = json_loadb(ret->text, ret->bytes,
                           JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    got->bytes = NULL;
}

int client_call(struct client *client, const struct client_call *call,
                struct client_answer *ret)
{
    struct reception got = {0};
    char detail[CURL_ERROR_SIZE] = "";

    curl_easy_reset(client->curl);
    struct curl_slist *headers = headers_of(client, call);
    int error = set_address(client, call);
    set_call(client, call, &got);
    (void)curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(client->curl, CURLOPT_ERRORBUFFER, detail);
    if (error == 0) {
        CURLcode code = curl_easy_perform(client->curl);
        if (code != CURLE_OK)
            error = failed(client, code, &got, detail);
    }
    if (error == 0)
        answer_take(client, &got, ret);
    curl_easy_reset(client->curl); /* nothing of this frame stays in it */
    curl_slist_free_all(headers);
    free(got.bytes);
    return error;
}
