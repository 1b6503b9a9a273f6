/*
 * bench.c - what a run costs, beside what this machine charges for the parts.
 *
 *     make bench            all of it, about a minute
 *
 * Starts a broker of its own on a temporary store, plays a no-op agent over
 * the real wire (it accepts and completes at once, so that the broker is what
 * is measured) and clients over real HTTP. In the same run it measures the
 * limits the broker cannot beat: a durable LMDB commit and a ZeroMQ round
 * trip. Quote the ratios, not the milliseconds: machines differ.
 */
#include "agents/wire.h"
#include "policy/classify.h"
#include "policy/route.h"
#include "policy/workflow_json.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <lmdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

enum {
    BEATS = 1024, /* remembered: more than can be on the way */
    SLOTS = 256,  /* of the no-op agent, and the pool's limit */
    CLIENTS = 16, /* HTTP connections of the paced load: enough for a group */
    RATE = 1000,  /* runs a second of the paced load */
    PACED_RUNS = 10000,
    FLOOD_RUNS = 30000,
    FLOOD_BATCH = 100,
    WAITING_RUNS = 100000,
    WAITING_BATCH = 1000,
    LIMIT_ROUNDS = 1000,
    REAL_RUNS = 100,
};

static char state_dir[] = "/tmp/dispatch-bench-XXXXXX";
static char url[128], agents_address[128];
static pid_t broker_pid;

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "bench: %s\n", what);
    if (broker_pid > 0)
        kill(broker_pid, SIGKILL);
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ULL + (uint64_t)t.tv_nsec;
}

static void sleep_until(uint64_t ns)
{
    struct timespec t = {.tv_sec = (time_t)(ns / 1000000000ULL),
                         .tv_nsec = (long)(ns % 1000000000ULL)};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
        continue;
}

/* ---- samples --------------------------------------------------------- */

struct samples {
    uint64_t *ns;
    size_t count, room;
};

static void sample(struct samples *s, uint64_t ns)
{
    if (s->count == s->room) {
        s->room = s->room * 2 + 1024;
        s->ns = realloc(s->ns, s->room * sizeof *s->ns);
        if (s->ns == NULL)
            die("no memory");
    }
    s->ns[s->count++] = ns;
}

static int by_value(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

static double percentile_us(struct samples *s, double p)
{
    if (s->count == 0)
        return 0;
    qsort(s->ns, s->count, sizeof *s->ns, by_value);
    return (double)s->ns[(size_t)((double)(s->count - 1) * p)] / 1000.0;
}

/* ---- the machine's own limits ---------------------------------------- */

static double limit_commit_us(void)
{
    struct samples s = {0};
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    char dir[128], value[300] = "x";

    (void)snprintf(dir, sizeof dir, "%s/limit", state_dir);
    if (mkdir(dir, 0700) != 0 || mdb_env_create(&env) != 0 ||
        mdb_env_set_mapsize(env, (size_t)1 << 28) != 0 ||
        mdb_env_open(env, dir, 0, 0600) != 0)
        die("cannot open a store for the commit limit");
    for (int i = 0; i < LIMIT_ROUNDS; i++) {
        uint64_t begin = now_ns();
        MDB_val key = {sizeof i, &i}, data = {sizeof value, value};
        if (mdb_txn_begin(env, NULL, 0, &txn) != 0 ||
            mdb_dbi_open(txn, NULL, 0, &dbi) != 0 ||
            mdb_put(txn, dbi, &key, &data, 0) != 0 || mdb_txn_commit(txn) != 0)
            die("cannot commit");
        sample(&s, now_ns() - begin);
    }
    mdb_env_close(env);
    double us = percentile_us(&s, 0.5);
    free(s.ns);
    return us;
}

static void *echo(void *socket)
{
    char buffer[512], route[16];

    for (int i = 0; i < LIMIT_ROUNDS; i++) {
        int route_len = zmq_recv(socket, route, sizeof route, 0);
        int len = zmq_recv(socket, buffer, sizeof buffer, 0);
        if (route_len < 0 || len < 0)
            break;
        zmq_send(socket, route, (size_t)route_len, ZMQ_SNDMORE);
        zmq_send(socket, buffer, (size_t)len, 0);
    }
    return NULL;
}

static double limit_round_trip_us(void *context)
{
    struct samples s = {0};
    char address[128], buffer[512] = "x";
    size_t size = sizeof address;
    pthread_t thread;

    void *router = zmq_socket(context, ZMQ_ROUTER);
    void *dealer = zmq_socket(context, ZMQ_DEALER);
    if (zmq_bind(router, "tcp://127.0.0.1:*") != 0 ||
        zmq_getsockopt(router, ZMQ_LAST_ENDPOINT, address, &size) != 0 ||
        zmq_connect(dealer, address) != 0)
        die("cannot open sockets for the round trip limit");
    pthread_create(&thread, NULL, echo, router);
    for (int i = 0; i < LIMIT_ROUNDS; i++) {
        uint64_t begin = now_ns();
        zmq_send(dealer, buffer, 300, 0);
        if (zmq_recv(dealer, buffer, sizeof buffer, 0) < 0)
            die("the round trip broke off");
        sample(&s, now_ns() - begin);
    }
    pthread_join(thread, NULL);
    zmq_close(router);
    zmq_close(dealer);
    double us = percentile_us(&s, 0.5);
    free(s.ns);
    return us;
}

/* ---- classify and route alone ---------------------------------------- */

static double decide_ns(void)
{
    static const char text[] =
        "{\"name\":\"copy\",\"nodes\":[{\"id\":\"a\",\"kind\":\"command\","
        "\"argv\":[\"true\"]},{\"id\":\"b\",\"kind\":\"command\","
        "\"argv\":[\"true\"]}],\"edges\":[{\"source\":\"a\",\"target\":"
        "\"b\"}]}";
    struct problems problems = {0};
    struct workflow *wf;
    struct features features;
    struct classification class;
    struct route_request request = {.hop_count = 3, .size_bytes = -1};
    struct pool_view views[3];
    struct decision decision;
    enum { ROUNDS = 200000 };

    if (workflow_from_text(text, sizeof text - 1, &workflow_limits_default, &wf,
                           &problems) != 0 ||
        features_of(wf, -1, NULL, 0, NULL, &features) != 0)
        die("the document of the decision bench is not accepted");
    for (uint16_t i = 0; i < 3; i++) {
        request.hops[i] = (struct route_hop){.pool = i, .size_below = -1};
        views[i] = (struct pool_view){.name = "pool",
                                      .limit = 5,
                                      .used = i < 2 ? 5 : 0,
                                      .max_size = -1,
                                      .agents = 1,
                                      .agents_healthy = 1,
                                      .agents_capable = 1,
                                      .slots_free = 5};
    }
    uint64_t begin = now_ns();
    int chosen = 0;
    for (int i = 0; i < ROUNDS; i++) {
        if (classify(&features, &ruleset_default, &class) != 0)
            die("nothing matched");
        route_decide(&request, views, &decision);
        chosen += decision.chosen;
    }
    double ns = (double)(now_ns() - begin) / ROUNDS;
    if (chosen != 2 * ROUNDS)
        die("the decision bench decided otherwise than expected");
    workflow_free(&wf);
    problems_clear(&problems);
    return ns;
}

/* ---- the broker ------------------------------------------------------ */

static void read_field(const char *line, const char *key, char *to, size_t room)
{
    const char *at = strstr(line, key);

    if (at == NULL || sscanf(at + strlen(key), "\":\"%127[^\"]", to) != 1)
        die("the broker's ready line is not as expected");
    to[room - 1] = '\0';
}

/* On a store of its own: what one part leaves behind does not help another. */
static void start_broker(const char *bin, const char *name)
{
    char config[160], store[160], program[256], line[512] = "";
    int out[2];

    (void)snprintf(config, sizeof config, "%s/bench.yaml", state_dir);
    (void)snprintf(store, sizeof store, "%s/%s", state_dir, name);
    (void)snprintf(program, sizeof program, "%s/dispatcher", bin);
    FILE *f = fopen(config, "w");
    if (f == NULL)
        die("cannot write the configuration");
    fprintf(f,
            "log_level: error\npools:\n  - name: bench\n    limit: %d\n"
            "    waiting_max: 1000000\n  - name: real\n    limit: 4\n"
            "rules:\n  - name: all\n    pool: bench\n",
            SLOTS);
    fclose(f);
    if (pipe(out) != 0)
        die("no pipe");
    broker_pid = fork();
    if (broker_pid == 0) {
        dup2(out[1], STDOUT_FILENO);
        close(out[0]);
        close(out[1]);
        execl(program, program, "--config", config, "--state", store, "--http",
              "127.0.0.1:0", "--agents", "tcp://127.0.0.1:0", (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    FILE *ready = fdopen(out[0], "r");
    if (ready == NULL || fgets(line, sizeof line, ready) == NULL)
        die("the broker did not start");
    fclose(ready);
    read_field(line, "\"http", url, sizeof url);
    read_field(line, "\"agents", agents_address, sizeof agents_address);
}

static void stop_broker(void)
{
    int status;

    kill(broker_pid, SIGTERM);
    kill(broker_pid, SIGTERM);
    waitpid(broker_pid, &status, 0);
    broker_pid = 0;
}

/* A number of a /proc/PID/status line, in KiB. */
static long broker_kib(const char *key)
{
    char path[64], line[256];
    long kib = 0;

    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)broker_pid);
    FILE *f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, key, strlen(key)) == 0)
            kib = strtol(line + strlen(key) + 1, NULL, 10);
    if (f != NULL)
        fclose(f);
    return kib;
}

static double broker_cpu_s(void)
{
    char path[64], line[1024] = "";
    unsigned long user = 0, system = 0;

    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)broker_pid);
    FILE *f = fopen(path, "r");
    if (f == NULL || fgets(line, sizeof line, f) == NULL)
        die("the broker is gone");
    fclose(f);
    /* Fields 14 and 15 of proc(5); the program's name ends with ')'. */
    char *at = strrchr(line, ')');
    for (int field = 2; at != NULL && field < 14; field++)
        at = strchr(at + 1, ' ');
    if (at == NULL)
        die("cannot read the broker's processor time");
    user = strtoul(at, &at, 10);
    system = strtoul(at, NULL, 10);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

/* ---- the no-op agent ------------------------------------------------- */

struct started { /* what was accepted, by beat */
    struct wire_id run;
    uint32_t attempt;
    uint64_t sent_ns;
};

static struct {
    void *socket;
    struct started beats[BEATS];
    uint64_t beat;
    struct samples push, start; /* POST sent -> RUN here, -> may begin */
    atomic_ulong done;
    atomic_bool ready, stop, measure;
} noop;

static void noop_send(const struct wire_msg *msg)
{
    char *frame;
    size_t len;

    if (wire_pack(msg, &frame, &len) != 0)
        die("cannot pack");
    zmq_send(noop.socket, frame, len, 0);
    free(frame);
}

static void noop_hello(void)
{
    struct wire_bytes pool = wire_text("bench");
    struct wire_bytes cap = wire_text("kind:command");
    struct wire_msg msg = {
        .type = WIRE_HELLO,
        .hello = {.name = wire_text("noop"),
                  .boot = {{1}},
                  .slots = SLOTS,
                  .pools = &pool,
                  .pool_count = 1,
                  .caps = &cap,
                  .cap_count = 1,
                  .host = wire_text("bench"),
                  .pid = 1,
                  .software = wire_text("bench")},
    };

    noop_send(&msg);
}

static void noop_run(const struct wire_msg *m)
{
    struct started *s = &noop.beats[++noop.beat % BEATS];
    char name[32] = "";

    /* The name of the workflow is "b" and when it was sent. */
    if (m->run.workflow.len < sizeof name)
        memcpy(name, m->run.workflow.ptr, m->run.workflow.len);
    uint64_t sent = strtoull(name + 1, NULL, 10);
    *s = (struct started){m->run.run, m->run.attempt, sent};
    if (atomic_load(&noop.measure))
        sample(&noop.push, now_ns() - sent);
    struct wire_msg msg = {
        .type = WIRE_ACCEPTED,
        .accepted = {.run = s->run,
                     .attempt = s->attempt,
                     .started_unix_ms = 1,
                     .beat = noop.beat},
    };
    noop_send(&msg);
}

static void noop_renewed(const struct wire_msg *m)
{
    struct started *s = &noop.beats[m->renewed.beat % BEATS];
    struct wire_node node = {
        .state = WIRE_NODE_COMPLETED, .started_unix_ms = 1, .ended_unix_ms = 1};

    if (s->attempt == 0)
        return;
    if (atomic_load(&noop.measure))
        sample(&noop.start, now_ns() - s->sent_ns);
    struct wire_msg msg = {
        .type = WIRE_RESULT,
        .result = {.run = s->run,
                   .attempt = s->attempt,
                   .outcome = WIRE_COMPLETED,
                   .started_unix_ms = 1,
                   .ended_unix_ms = 1,
                   .nodes = &node,
                   .node_count = 1},
    };
    noop_send(&msg);
    s->attempt = 0;
}

static void noop_message(void)
{
    struct wire_msg msg;
    const char *why;
    zmq_msg_t frame;

    zmq_msg_init(&frame);
    if (zmq_msg_recv(&frame, noop.socket, ZMQ_DONTWAIT) >= 0 &&
        wire_unpack(zmq_msg_data(&frame), zmq_msg_size(&frame), &msg, &why) ==
            0) {
        if (msg.type == WIRE_RUN)
            noop_run(&msg);
        else if (msg.type == WIRE_RENEWED)
            noop_renewed(&msg);
        else if (msg.type == WIRE_RESULT_ACK)
            atomic_fetch_add(&noop.done, 1);
        else if (msg.type == WIRE_WELCOME)
            atomic_store(&noop.ready, true);
        else if (msg.type == WIRE_BYE)
            die("the broker refuses the no-op agent");
        wire_clear(&msg);
    }
    zmq_msg_close(&frame);
}

static void *noop_agent(void *context)
{
    uint64_t renew_at = 0;

    noop.socket = zmq_socket(context, ZMQ_DEALER);
    int none = 0;
    zmq_setsockopt(noop.socket, ZMQ_LINGER, &none, sizeof none);
    if (zmq_connect(noop.socket, agents_address) != 0)
        die("cannot connect the no-op agent");
    noop_hello();
    while (!atomic_load(&noop.stop)) {
        zmq_pollitem_t item = {noop.socket, 0, ZMQ_POLLIN, 0};
        int events = ZMQ_POLLIN;
        size_t size = sizeof events;
        zmq_poll(&item, 1, 100);
        while ((events & ZMQ_POLLIN) != 0) {
            noop_message();
            zmq_getsockopt(noop.socket, ZMQ_EVENTS, &events, &size);
        }
        if (now_ns() > renew_at) {
            struct wire_msg msg = {.type = WIRE_RENEW,
                                   .renew = {.beat = ++noop.beat}};
            noop.beats[noop.beat % BEATS].attempt = 0;
            noop_send(&msg);
            renew_at = now_ns() + 2000000000ULL;
        }
    }
    zmq_close(noop.socket);
    return NULL;
}

/* ---- clients --------------------------------------------------------- */

static size_t swallow(const void *data, size_t size, size_t count,
                      void *context)
{
    (void)data;
    (void)context;
    return size * count;
}

static CURL *client_new(const char *path, struct curl_slist *headers)
{
    CURL *curl = curl_easy_init();
    char full[256];

    if (curl == NULL)
        die("no curl");
    (void)snprintf(full, sizeof full, "%s%s", url, path);
    curl_easy_setopt(curl, CURLOPT_URL, full);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, swallow);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    return curl;
}

static void post(CURL *curl, const char *body, size_t bytes)
{
    long status = 0;

    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)bytes);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    if (curl_easy_perform(curl) != CURLE_OK ||
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK)
        die("a request failed");
    if (status < 200 || status > 299) {
        fprintf(stderr, "bench: HTTP %ld for %.300s\n", status, body);
        die("a request was refused");
    }
}

static int run_body(char *to, size_t room, uint64_t sent_ns, const char *pool)
{
    return snprintf(to, room,
                    "{\"preferred_pool\":\"%s\",\"workflow\":{\"name\":"
                    "\"b%llu\",\"nodes\":[{\"id\":\"a\",\"kind\":\"command\","
                    "\"argv\":[\"true\"]}],\"edges\":[]}}",
                    pool, (unsigned long long)sent_ns);
}

static struct curl_slist *json_headers;
static atomic_long ticket; /* of the paced load */
static uint64_t paced_begin_ns;
static pthread_mutex_t samples_lock = PTHREAD_MUTEX_INITIALIZER;
static struct samples answered; /* POST sent -> 202 */

/* Open loop: request n is due at n / RATE seconds whatever happened to the
 * others, and its latency counts from then, so that a stall is not hidden by
 * the client waiting for it (coordinated omission). */
static void *paced_client(void *unused)
{
    CURL *curl = client_new("/api/v1/workers/execute", json_headers);
    char body[512];
    long n;

    (void)unused;
    while ((n = atomic_fetch_add(&ticket, 1)) < PACED_RUNS) {
        uint64_t due = paced_begin_ns + (uint64_t)n * 1000000000ULL / RATE;
        sleep_until(due);
        int bytes = run_body(body, sizeof body, due, "bench");
        post(curl, body, (size_t)bytes);
        uint64_t took = now_ns() - due;
        pthread_mutex_lock(&samples_lock);
        sample(&answered, took);
        pthread_mutex_unlock(&samples_lock);
    }
    curl_easy_cleanup(curl);
    return NULL;
}

static void wait_done(unsigned long count)
{
    uint64_t give_up = now_ns() + 120000000000ULL;

    while (atomic_load(&noop.done) < count) {
        if (now_ns() > give_up)
            die("runs did not end");
        sleep_until(now_ns() + 1000000);
    }
}

static void post_batch(CURL *curl, int count)
{
    size_t room = (size_t)count * 256 + 16, used = 1;
    char *body = malloc(room);

    if (body == NULL)
        die("no memory");
    body[0] = '[';
    for (int i = 0; i < count; i++) {
        used += (size_t)run_body(body + used, room - used, now_ns(), "bench");
        body[used++] = i + 1 < count ? ',' : ']';
    }
    post(curl, body, used);
    free(body);
}

static void *flood_client(void *unused)
{
    CURL *curl = client_new("/api/v1/workers/execute", json_headers);

    (void)unused;
    while (atomic_fetch_add(&ticket, FLOOD_BATCH) < FLOOD_RUNS)
        post_batch(curl, FLOOD_BATCH);
    curl_easy_cleanup(curl);
    return NULL;
}

static void run_clients(void *(*client)(void *))
{
    pthread_t threads[CLIENTS];

    atomic_store(&ticket, 0);
    for (int i = 0; i < CLIENTS; i++)
        pthread_create(&threads[i], NULL, client, NULL);
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(threads[i], NULL);
}

/* ---- the parts ------------------------------------------------------- */

static void bench_latency(double commit_us, double trip_us)
{
    double cpu = broker_cpu_s();

    atomic_store(&noop.measure, true);
    paced_begin_ns = now_ns() + 100000000ULL;
    run_clients(paced_client);
    wait_done(PACED_RUNS);
    atomic_store(&noop.measure, false);
    cpu = broker_cpu_s() - cpu;

    double limit = commit_us + trip_us;
    printf("\ndurable latency, %d runs at %d a second (open loop)      p50 us"
           "     p99 us   p50 / (commit + round trip)\n",
           PACED_RUNS, RATE);
    struct {
        const char *name;
        struct samples *s;
    } rows[] = {
        {"POST -> pushed to the agent (1 commit)", &noop.push},
        {"POST -> the job may start (2 commits)", &noop.start},
        {"POST -> 202 at the client (1 commit)", &answered},
    };
    for (size_t i = 0; i < 3; i++) {
        double p50 = percentile_us(rows[i].s, 0.5);
        printf("  %-48s %10.0f %10.0f   %10.1f\n", rows[i].name, p50,
               percentile_us(rows[i].s, 0.99), p50 / limit);
    }
    printf("  broker CPU a run: %.0f us\n", cpu * 1e6 / PACED_RUNS);
}

static void bench_throughput(double commit_us)
{
    unsigned long before = atomic_load(&noop.done);
    uint64_t begin = now_ns();

    run_clients(flood_client);
    double submitted = (double)(now_ns() - begin) / 1e9;
    wait_done(before + FLOOD_RUNS);
    double seconds = (double)(now_ns() - begin) / 1e9;
    double rate = FLOOD_RUNS / seconds;
    printf("\nthroughput, %d runs in batches of %d, submit -> commit -> push "
           "-> start -> result -> commit\n",
           FLOOD_RUNS, FLOOD_BATCH);
    printf("  submitted %.0f runs/s, completed %.0f runs/s: %.1f runs for each"
           " commit this disk can make\n",
           FLOOD_RUNS / submitted, rate, rate * commit_us / 1e6);
}

static void bench_memory(void)
{
    CURL *pause = client_new("/api/v1/workers/pools/bench/pause", json_headers);
    CURL *curl = client_new("/api/v1/workers/execute", json_headers);
    static const char reason[] = "{\"reason\":\"bench\"}";

    post(pause, reason, sizeof reason - 1);
    long before = broker_kib("RssAnon:");
    uint64_t begin = now_ns();
    for (int i = 0; i < WAITING_RUNS; i += WAITING_BATCH)
        post_batch(curl, WAITING_BATCH);
    double seconds = (double)(now_ns() - begin) / 1e9;
    long after = broker_kib("RssAnon:");
    printf("\n%d waiting runs: %.1f MiB more private memory, %.0f bytes a run;"
           " accepted at %.0f runs/s\n",
           WAITING_RUNS, (double)(after - before) / 1024,
           (double)(after - before) * 1024 / WAITING_RUNS,
           WAITING_RUNS / seconds);
    curl_easy_cleanup(pause);
    curl_easy_cleanup(curl);
}

static void bench_real(const char *bin)
{
    char program[256], spool[160], body[512];
    struct samples s = {0};

    (void)snprintf(program, sizeof program, "%s/agent", bin);
    (void)snprintf(spool, sizeof spool, "%s/spool", state_dir);
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        execl(program, program, "--connect", agents_address, "--name", "real",
              "--pools", "real", "--slots", "4", "--spool", spool,
              (char *)NULL);
        _exit(127);
    }
    struct curl_slist *wait_headers =
        curl_slist_append(curl_slist_append(NULL, "Content-Type: "
                                                  "application/json"),
                          "Prefer: wait=30");
    CURL *curl = client_new("/api/v1/workers/execute", wait_headers);
    for (int i = 0; i <= REAL_RUNS; i++) {
        int bytes = run_body(body, sizeof body, now_ns(), "real");
        uint64_t begin = now_ns();
        post(curl, body, (size_t)bytes);
        if (i > 0) /* the first waits for the agent to start */
            sample(&s, now_ns() - begin);
    }
    printf("\na real agent running `true`, submit -> result, one after the "
           "other: p50 %.1f ms, p99 %.1f ms\n",
           percentile_us(&s, 0.5) / 1000, percentile_us(&s, 0.99) / 1000);
    curl_easy_cleanup(curl);
    curl_slist_free_all(wait_headers);
    free(s.ns);
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
}

static int remove_one(const char *path, const struct stat *st, int type,
                      struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

int main(int argc, char **argv)
{
    const char *bin = argc > 1 ? argv[1] : "build/bin";
    pthread_t agent;

    if (mkdtemp(state_dir) == NULL)
        die("cannot make a temporary directory");
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    json_headers = curl_slist_append(NULL, "Content-Type: application/json");
    void *context = zmq_ctx_new();

    double commit_us = limit_commit_us();
    double trip_us = limit_round_trip_us(context);
    printf("limits of this machine: LMDB commit %.0f us, ZeroMQ round trip "
           "%.0f us (medians of %d)\n",
           commit_us, trip_us, LIMIT_ROUNDS);
    printf("classify + route, three pools, full record: %.0f ns\n",
           decide_ns());

    start_broker(bin, "memory");
    bench_memory();
    stop_broker();

    start_broker(bin, "store");
    pthread_create(&agent, NULL, noop_agent, context);
    while (!atomic_load(&noop.ready))
        sleep_until(now_ns() + 1000000);
    bench_latency(commit_us, trip_us);
    bench_throughput(commit_us);
    bench_real(bin);

    atomic_store(&noop.stop, true);
    pthread_join(agent, NULL);
    stop_broker();
    zmq_ctx_destroy(context);
    curl_slist_free_all(json_headers);
    free(noop.push.ns);
    free(noop.start.ns);
    free(answered.ns);
    return nftw(state_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0 ? 0 : 1;
}
