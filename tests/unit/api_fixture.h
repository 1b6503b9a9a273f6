/*
 * api_fixture.h - a front on loopback over a real store, and a core beside it
 * that a test can watch and hold up: a thread with the real ledger on the other
 * end of the pair, whose agents are the test itself. For test_api.c and
 * test_api_submit.c.
 */
#ifndef TESTS_UNIT_API_FIXTURE_H
#define TESTS_UNIT_API_FIXTURE_H

#include "dispatcher/api.h"
#include "dispatcher/exchange.h"
#include "dispatcher/front.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#include <cmocka.h>

enum { HELD_MAX = 64, PUSHES_MAX = 64, SESSION = 7 };

struct push {
    struct run_id run;
    uint32_t attempt;
};

struct world {
    char dir[64], address[32], why[STORE_WHY_MAX];
    struct config *config;
    struct store *store;
    struct ledger *ledger;
    void *zmq, *socket;
    struct front *front;
    pthread_t core;
    pthread_mutex_t lock; /* over the ledger and everything below */
    bool stopping;
    bool silent;      /* the core takes what is asked and does nothing */
    bool hold_boards; /* it makes boards and keeps them back */
    struct exchange *held[HELD_MAX];
    size_t held_count, boards, submissions;
    struct push pushes[PUSHES_MAX];
    size_t push_count;
    struct run_id ended[PUSHES_MAX];
    enum run_state ended_as[PUSHES_MAX];
    size_t ended_count;
};

/* ---- the core -------------------------------------------------------- */

static inline uint64_t clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static inline void begin(struct world *w)
{
    assert_int_equal(ledger_begin(w->ledger, clock_ms(), api_now_unix_ms()), 0);
}

static inline void commit(struct world *w)
{
    const struct effect *effects;
    size_t count;

    assert_int_equal(ledger_commit(w->ledger, &effects, &count), 0);
    for (size_t i = 0; i < count; i++) {
        if (effects[i].type == EFFECT_PUSH && w->push_count < PUSHES_MAX)
            w->pushes[w->push_count++] =
                (struct push){effects[i].run, effects[i].attempt};
        if (effects[i].type == EFFECT_ENDED && w->ended_count < PUSHES_MAX) {
            w->ended[w->ended_count] = effects[i].run;
            w->ended_as[w->ended_count++] = effects[i].state;
        }
    }
}

static inline struct explanation *explain(struct world *w,
                                          const struct run_id *run, int *status)
{
    struct explanation *e = calloc(1, sizeof *e);

    *status = ledger_explain(w->ledger, run, clock_ms(), e);
    if (*status == 0)
        return e;
    free(e);
    return NULL;
}

static inline void apply(struct world *w, struct exchange *x)
{
    for (size_t i = 0; x->ask == ASK_SUBMIT && i < x->submission_count; i++) {
        struct submission *s = &x->submissions[i];

        w->submissions++;
        assert_int_equal(ledger_submit(w->ledger, &s->origin, s->plan,
                                       s->parameters, &s->admission),
                         0);
    }
    if (x->ask == ASK_CANCEL)
        x->status =
            ledger_cancel(w->ledger, &x->run, x->who, x->reason, &x->cancelled);
    if (x->ask == ASK_POOL_VERB)
        x->status = ledger_pool_verb(w->ledger, x->name, x->verb, x->for_ms,
                                     x->who, x->reason);
    if (x->ask == ASK_POOL_SET)
        x->status = ledger_pool_set(w->ledger, x->name, &x->change, x->who);
    if (x->ask == ASK_AGENT_VERB)
        x->status =
            ledger_agent_verb(w->ledger, x->name, x->verb, x->who, x->reason);
}

static inline void look(struct world *w, struct exchange *x)
{
    int status;

    for (size_t i = 0; i < x->submission_count; i++) {
        struct submission *s = &x->submissions[i];

        if (x->ask == ASK_SUBMIT && s->admission.answer == ADMIT_OK)
            s->explanation = explain(w, &s->admission.run, &status);
        if (x->ask == ASK_PLAN) {
            s->explanation = calloc(1, sizeof *s->explanation);
            assert_int_equal(ledger_plan(w->ledger, &s->origin, &s->admission,
                                         s->explanation),
                             0);
        }
    }
    if (x->ask == ASK_EXPLAIN)
        x->explanation = explain(w, &x->run, &x->status);
    for (size_t i = 0; i < x->reason_count; i++)
        x->reasons[i].reason =
            ledger_reason(w->ledger, &x->reasons[i].run, clock_ms());
    w->boards += x->ask == ASK_BOARD;
    if (x->status == 0 && (x->ask == ASK_BOARD || x->ask == ASK_POOL_VERB ||
                           x->ask == ASK_POOL_SET || x->ask == ASK_AGENT_VERB))
        x->status =
            ledger_board(w->ledger, clock_ms(), api_now_unix_ms(), &x->board);
}

static inline void answer_one(struct world *w, struct exchange *x)
{
    if (!w->silent) {
        begin(w);
        apply(w, x);
        commit(w);
        look(w, x);
    }
    if (w->silent || (w->hold_boards && x->ask == ASK_BOARD))
        w->held[w->held_count++] = x;
    else
        assert_int_equal(exchange_send(w->socket, &x), 0);
}

static inline void tell_ended(struct world *w)
{
    for (size_t i = 0; i < w->ended_count; i++) {
        struct exchange *x = exchange_new(EXCHANGE_ENDED);

        x->run = w->ended[i];
        x->state = w->ended_as[i];
        assert_int_equal(exchange_send(w->socket, &x), 0);
    }
    w->ended_count = 0;
}

static inline void *core(void *context)
{
    struct world *w = context;
    bool stopping = false;

    while (!stopping) {
        zmq_pollitem_t item = {.socket = w->socket, .events = ZMQ_POLLIN};
        struct exchange *x;

        zmq_poll(&item, 1, 2);
        pthread_mutex_lock(&w->lock);
        while ((x = exchange_receive(w->socket)))
            answer_one(w, x);
        if (!w->hold_boards && !w->silent)
            for (size_t i = 0; i < w->held_count; i++)
                assert_int_equal(exchange_send(w->socket, &w->held[i]), 0);
        if (!w->hold_boards && !w->silent)
            w->held_count = 0;
        tell_ended(w);
        stopping = w->stopping;
        pthread_mutex_unlock(&w->lock);
    }
    return NULL;
}

static inline void hold_boards(struct world *w, bool hold)
{
    pthread_mutex_lock(&w->lock);
    w->hold_boards = hold;
    pthread_mutex_unlock(&w->lock);
}

static inline void silence(struct world *w, bool silent)
{
    pthread_mutex_lock(&w->lock);
    w->silent = silent;
    pthread_mutex_unlock(&w->lock);
}

static inline size_t counted(struct world *w, const size_t *counter)
{
    size_t count;

    pthread_mutex_lock(&w->lock);
    count = *counter;
    pthread_mutex_unlock(&w->lock);
    return count;
}

/* Waits for the event, at most ten seconds. */
static inline void await(struct world *w, const size_t *counter, size_t least)
{
    uint64_t until_ms = clock_ms() + 10000;

    while (counted(w, counter) < least) {
        assert_true(clock_ms() < until_ms);
        usleep(1000);
    }
}

/* ---- agents made by hand --------------------------------------------- */

static inline void agent_arrives_with(struct world *w, const char *pool,
                                      uint32_t slots, const char *const *caps,
                                      size_t cap_count)
{
    const struct agent_hello hello = {.name = "hand-made",
                                      .boot = {1},
                                      .slots = slots,
                                      .pools = &pool,
                                      .pool_count = 1,
                                      .caps = caps,
                                      .cap_count = cap_count,
                                      .host = "here",
                                      .software = "test",
                                      .pid = 1};
    char text[LEDGER_TEXT_MAX];
    enum hello_answer answer;

    pthread_mutex_lock(&w->lock);
    begin(w);
    assert_int_equal(
        ledger_agent_hello(w->ledger, SESSION, &hello, &answer, text), 0);
    assert_int_equal(answer, HELLO_OK);
    commit(w);
    pthread_mutex_unlock(&w->lock);
}

static inline void agent_arrives(struct world *w, const char *pool,
                                 uint32_t slots)
{
    static const char *const caps[] = {"kind:command"};

    agent_arrives_with(w, pool, slots, caps, 1);
}

static inline void agent_starts(struct world *w, size_t i)
{
    pthread_mutex_lock(&w->lock);
    begin(w);
    assert_int_equal(ledger_accepted(w->ledger, SESSION, &w->pushes[i].run,
                                     w->pushes[i].attempt, api_now_unix_ms(),
                                     1),
                     0);
    commit(w);
    pthread_mutex_unlock(&w->lock);
}

static inline void agent_says(struct world *w, size_t i, uint64_t event,
                              struct node_record node)
{
    pthread_mutex_lock(&w->lock);
    begin(w);
    assert_int_equal(ledger_node(w->ledger, SESSION, &w->pushes[i].run,
                                 w->pushes[i].attempt, event, &node),
                     0);
    commit(w);
    pthread_mutex_unlock(&w->lock);
}

static inline void agent_streams(struct world *w, size_t i, uint64_t event,
                                 uint32_t node, uint8_t stream,
                                 const char *text)
{
    struct log_record log = {.node = node,
                             .stream = stream,
                             .at_unix_ms = api_now_unix_ms(),
                             .text = text,
                             .text_bytes = strlen(text)};

    pthread_mutex_lock(&w->lock);
    begin(w);
    assert_int_equal(ledger_log(w->ledger, SESSION, &w->pushes[i].run,
                                w->pushes[i].attempt, event, &log),
                     0);
    commit(w);
    pthread_mutex_unlock(&w->lock);
}

static inline void agent_writes(struct world *w, size_t i, uint64_t event,
                                uint32_t node, const char *text)
{
    agent_streams(w, i, event, node, RUN_LOG_STDOUT, text);
}

static inline void agent_ends(struct world *w, size_t i,
                              enum attempt_outcome outcome, const char *error)
{
    struct node_record node = {
        .attempt = w->pushes[i].attempt,
        .state =
            outcome == ATTEMPT_COMPLETED ? RUN_NODE_COMPLETED : RUN_NODE_FAILED,
        .started_unix_ms = api_now_unix_ms(),
        .ended_unix_ms = api_now_unix_ms(),
        .exit_code = outcome == ATTEMPT_COMPLETED ? 0 : 3,
        .error = error};
    struct result result = {.outcome = outcome,
                            .started_unix_ms = api_now_unix_ms(),
                            .ended_unix_ms = api_now_unix_ms(),
                            .error = error,
                            .nodes = &node,
                            .node_count = 1};

    pthread_mutex_lock(&w->lock);
    begin(w);
    assert_int_equal(ledger_result(w->ledger, SESSION, &w->pushes[i].run,
                                   w->pushes[i].attempt, &result),
                     0);
    commit(w);
    pthread_mutex_unlock(&w->lock);
}

/* ---- starting and stopping ------------------------------------------- */

static inline struct world *world_new(char *token_file)
{
    static const struct store_options options = {.map_bytes = (size_t)64 << 20,
                                                 .unsafe_no_sync = true};
    static const char endpoint[] = "inproc://front";
    struct world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    assert_int_equal(config_load(NULL, &w->config, stderr), 0);
    w->config->http = w->address; /* the config's texts are not freed singly */
    snprintf(w->address, sizeof w->address, "127.0.0.1:0");
    w->config->token_file = token_file;
    w->config->http_connections_max = 200;
    w->config->body_max = 1024 * 1024;
    snprintf(w->dir, sizeof w->dir, "%s/test_api.XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(w->dir));
    assert_int_equal(store_open(w->dir, &options, &w->store, w->why), 0);
    assert_int_equal(ledger_open(w->store, &w->config->ledger, clock_ms(),
                                 api_now_unix_ms(), 1, &w->ledger, w->why),
                     0);
    pthread_mutex_init(&w->lock, NULL);
    w->zmq = zmq_ctx_new();
    assert_int_equal(exchange_open(w->zmq, endpoint, true, &w->socket), 0);
    assert_int_equal(pthread_create(&w->core, NULL, core, w), 0);
    if (front_start(w->config, w->store, w->zmq, endpoint, &w->front, w->why) <
        0)
        fail_msg("%s", w->why);
    return w;
}

static inline void stop_core(struct world *w)
{
    if (w->stopping)
        return;
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->core, NULL);
}

static inline void world_free(struct world *w)
{
    struct exchange *x;
    char path[128];

    stop_core(w);
    front_stop(&w->front);
    while ((x = exchange_receive(w->socket)))
        exchange_free(&x);
    for (size_t i = 0; i < w->held_count; i++)
        exchange_free(&w->held[i]);
    zmq_close(w->socket);
    zmq_ctx_term(w->zmq);
    ledger_close(&w->ledger);
    store_close(&w->store);
    config_free(&w->config);
    snprintf(path, sizeof path, "rm -rf '%s'", w->dir);
    assert_int_equal(system(path), 0);
    free(w);
}

/* ---- clients --------------------------------------------------------- */

struct got {
    long status;
    json_t *json; /* or NULL */
    char *headers, *body;
    size_t header_bytes, body_bytes;
};

static inline void got_clear(struct got *got)
{
    json_decref(got->json);
    free(got->headers);
    free(got->body);
    *got = (struct got){0};
}

/* "Name: value" in headers, NULL when there is none; valid until the next
 * call. */
static inline const char *got_header(const struct got *got, const char *name)
{
    static char value[300];
    const char *at;
    char line[80];

    snprintf(line, sizeof line, "\r\n%s: ", name);
    at = strcasestr(got->headers, line);
    if (!at)
        return NULL;
    at += strlen(line);
    snprintf(value, sizeof value, "%.*s", (int)strcspn(at, "\r"), at);
    return value;
}

/* The value at "a.b.0.c". */
static inline json_t *got_at(const struct got *got, const char *path)
{
    json_t *at = got->json;

    while (at && *path) {
        char key[64];
        size_t n = strcspn(path, ".");

        snprintf(key, sizeof key, "%.*s", (int)n, path);
        at = json_is_array(at) ? json_array_get(at, strtoul(key, NULL, 10))
                               : json_object_get(at, key);
        path += n + (path[n] == '.');
    }
    return at;
}

static inline const char *got_text(const struct got *got, const char *path)
{
    const char *text = json_string_value(got_at(got, path));

    return text ? text : "";
}

static inline size_t curl_write(char *data, size_t size, size_t count,
                                void *context)
{
    return fwrite(data, size, count, context);
}

/* `header` may be NULL; body NULL: none. */
static inline struct got ask_http(const struct world *w, const char *method,
                                  const char *path, const char *body,
                                  const char *header)
{
    struct got got = {0};
    struct curl_slist *headers = NULL;
    FILE *to_body = open_memstream(&got.body, &got.body_bytes);
    FILE *to_headers = open_memstream(&got.headers, &got.header_bytes);
    CURL *curl = curl_easy_init();
    char url[1024];

    snprintf(url, sizeof url, "%s%s", front_url(w->front), path);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    if (strcmp(method, "HEAD") == 0)
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    if (body)
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    if (header)
        headers = curl_slist_append(headers, header);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 20000L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, curl_write);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, to_body);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, curl_write);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, to_headers);
    assert_int_equal(curl_easy_perform(curl), CURLE_OK);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &got.status);
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
    fclose(to_body);
    fclose(to_headers);
    got.json = json_loads(got.body, JSON_DECODE_ANY, NULL);
    return got;
}

static inline struct got get(const struct world *w, const char *path)
{
    return ask_http(w, "GET", path, NULL, NULL);
}

static inline struct got post(const struct world *w, const char *path,
                              const char *body)
{
    return ask_http(w, "POST", path, body, NULL);
}

/* Asks and looks only at the status. */
static inline void assert_status(const struct world *w, const char *method,
                                 const char *path, const char *body,
                                 long status)
{
    struct got got = ask_http(w, method, path, body, NULL);

    if (got.status != status)
        fail_msg("%s %s: expected %ld, got %ld: %s", method, path, status,
                 got.status, got.body);
    got_clear(&got);
}

/* A connection of its own that has sent this much. */
static inline int send_raw(const struct world *w, const char *text)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_port = htons((unsigned short)strtoul(
        strrchr(front_url(w->front), ':') + 1, NULL, 10));
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL),
                     (ssize_t)strlen(text));
    return fd;
}

/* The status of the answer that arrives within ten seconds; closes. */
static inline long status_raw(int fd)
{
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    char text[64] = "";

    assert_int_equal(poll(&readable, 1, 10000), 1);
    assert_true(recv(fd, text, sizeof text - 1, 0) > 12);
    close(fd);
    return strtol(text + strlen("HTTP/1.1 "), NULL, 10);
}

/* ---- what tests of the API have in common -------------------------------- */

#define EXECUTE "/api/v1/workers/execute"
#define PLAN "/api/v1/workflows/plan"
#define VALIDATE "/api/v1/workflows/validate"
#define POOLS "/api/v1/workers/pools"
#define NODE "{\"id\":\"a\",\"kind\":\"command\",\"argv\":[\"true\"]}"
#define DOC "{\"name\":\"one\",\"nodes\":[" NODE "]}"
#define REQUEST "{\"workflow\":" DOC "}"

static inline int start(void **state)
{
    *state = world_new(NULL);
    return 0;
}

static inline int stop(void **state)
{
    world_free(*state);
    return 0;
}

/* RFC 9457, ours: every member, and the status said twice alike. */
static inline void assert_problem(const struct got *got, long status,
                                  const char *code)
{
    const char *type = got_header(got, "Content-Type");

    if (got->status != status || strcmp(got_text(got, "code"), code) != 0)
        fail_msg("expected %ld %s, got %ld: %s", status, code, got->status,
                 got->body);
    assert_string_equal(type, "application/problem+json");
    assert_int_equal(json_integer_value(got_at(got, "status")), status);
    assert_true(strlen(got_text(got, "type")) > 0);
    assert_true(strlen(got_text(got, "title")) > 0);
    assert_true(strlen(got_text(got, "detail")) > 0);
    assert_true(strlen(got_text(got, "instance")) > 0);
    assert_string_equal(got_text(got, "request_id"),
                        got_header(got, "X-Request-Id"));
}

static inline void assert_refused(const struct world *w, const char *method,
                                  const char *path, const char *body,
                                  long status, const char *code)
{
    struct got got = ask_http(w, method, path, body, NULL);

    assert_problem(&got, status, code);
    got_clear(&got);
}

/* An error with this pointer and code is in the list. */
static inline bool has_error(const struct got *got, const char *pointer,
                             const char *code)
{
    json_t *error;
    size_t i;

    json_array_foreach(got_at(got, "errors"), i, error) {
        if (strcmp(json_string_value(json_object_get(error, "pointer")),
                   pointer) == 0 &&
            strcmp(json_string_value(json_object_get(error, "code")), code) ==
                0)
            return true;
    }
    return false;
}

/* Submits, and returns the id in a buffer valid until the next call. */
static inline const char *submit(const struct world *w, const char *body)
{
    static char id[RUN_ID_TEXT];
    struct got got = post(w, EXECUTE, body);

    if (got.status != 202)
        fail_msg("%s", got.body);
    snprintf(id, sizeof id, "%s", got_text(&got, "run_id"));
    got_clear(&got);
    return id;
}

/* The same into the test's own buffer. */
static inline void submit_to(const struct world *w, const char *body,
                             char ret_id[RUN_ID_TEXT])
{
    snprintf(ret_id, RUN_ID_TEXT, "%s", submit(w, body));
}

static inline const char *path_of(const char *id, const char *rest)
{
    static char path[128];

    snprintf(path, sizeof path, "/api/v1/runs/%s%s", id, rest);
    return path;
}

#define IN_A_WORLD(claim) cmocka_unit_test_setup_teardown(claim, start, stop)

#endif
