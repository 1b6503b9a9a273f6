/*
 * session_broker.h - for tests of the agent's side of the conversation: a real
 * agent (a forked process with its nursery and shepherds) and a broker played
 * by the test on a ROUTER socket. Included by one test program each.
 */
#ifndef TESTS_SESSION_BROKER_H
#define TESTS_SESSION_BROKER_H

#include "agents/agent.h"
#include "agents/clock.h"
#include "agents/plan.h"
#include "agents/session.h"
#include "agents/shepherd.h"
#include "agents/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#include <cmocka.h>

enum { PATIENCE_MS = 20000, LEASE_MS = 30000 };

struct broker {
    char dir[64], address[128], spool[128], log[128];
    void *context, *router;
    char peer[64]; /* routing id of the agent that spoke last */
    size_t peer_len;
    pid_t agent;
    uint32_t slots, lease_ms;
    bool answer_beats;
    char *frame; /* behind the last message */
    struct wire_msg msg;
    bool have_msg;
    uint64_t events[256]; /* last one that came, by the run's number */
    char output[65536];   /* of the run ordered last */
    size_t output_len;
    uint64_t log_bytes;
};

/* ---- the agent ------------------------------------------------------- */

/* The agent is this same program, executed anew: a fork of a process in which
 * ZeroMQ's threads run must not go on with ZeroMQ. */
static inline _Noreturn void be_agent(char **argv)
{
    char pool[] = "default", name[] = "tester";
    char *pools[] = {pool, NULL};
    struct settings settings = {.connect = argv[1],
                                .name = name,
                                .pools = pools,
                                .pool_count = 1,
                                .slots = (uint32_t)strtoul(argv[3], NULL, 10),
                                .spool = argv[2]};
    struct spool spool;
    struct nursery nursery;
    char why[SPOOL_WHY_MAX];

    if (spool_open(settings.spool, 3000, &spool, why) < 0 ||
        nursery_start(&spool, &settings, &nursery) < 0)
        _exit(9);
    _exit((int)agent_run(&settings, &spool, &nursery));
}

static inline void start_agent(struct broker *b)
{
    char slots[16];

    snprintf(slots, sizeof slots, "%u", b->slots);
    b->agent = fork();
    assert_true(b->agent >= 0);
    if (b->agent > 0)
        return;
    int log = open(b->log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(log, STDERR_FILENO);
    dup2(log, STDOUT_FILENO);
    close_range(3, ~0u, 0);
    execl("/proc/self/exe", "agent", b->address, b->spool, slots, NULL);
    _exit(9);
}

static inline int wait_agent(struct broker *b)
{
    int status;

    assert_int_equal(waitpid(b->agent, &status, 0), b->agent);
    b->agent = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static inline void kill_agent(struct broker *b)
{
    if (b->agent > 0) {
        kill(b->agent, SIGKILL);
        waitpid(b->agent, NULL, 0);
    }
    b->agent = 0;
}

/* ---- the broker ------------------------------------------------------ */

static inline void open_router(struct broker *b)
{
    int none = 0, on = 1;

    b->router = zmq_socket(b->context, ZMQ_ROUTER);
    zmq_setsockopt(b->router, ZMQ_LINGER, &none, sizeof none);
    zmq_setsockopt(b->router, ZMQ_ROUTER_MANDATORY, &on, sizeof on);
    assert_int_equal(zmq_bind(b->router, b->address), 0);
}

static inline void close_router(struct broker *b)
{
    zmq_close(b->router);
    b->router = NULL;
}

static inline void drop_msg(struct broker *b)
{
    if (b->have_msg)
        wire_clear(&b->msg);
    b->have_msg = false;
    free(b->frame);
    b->frame = NULL;
}

static inline void say_bytes(struct broker *b, const void *bytes, size_t len)
{
    assert_true(zmq_send(b->router, b->peer, b->peer_len, ZMQ_SNDMORE) >= 0);
    assert_true(zmq_send(b->router, bytes, len, 0) >= 0);
}

static inline void say(struct broker *b, const struct wire_msg *msg)
{
    char *frame;
    size_t len;

    assert_int_equal(wire_pack(msg, &frame, &len), 0);
    say_bytes(b, frame, len);
    free(frame);
}

static inline void answer_beat(struct broker *b, uint64_t beat)
{
    struct wire_msg renewed = {.type = WIRE_RENEWED};

    renewed.renewed.beat = beat;
    renewed.renewed.lease_ms = b->lease_ms;
    say(b, &renewed);
}

/* The next message within `ms`, NULL: none. Answers beats, collects output. */
static inline struct wire_msg *hear_within(struct broker *b, int ms)
{
    zmq_pollitem_t item = {.socket = b->router, .events = ZMQ_POLLIN};
    zmq_msg_t part;
    const char *why = "";

    drop_msg(b);
    if (zmq_poll(&item, 1, ms) <= 0)
        return NULL;
    int n = zmq_recv(b->router, b->peer, sizeof b->peer, 0);
    assert_true(n > 0);
    b->peer_len = (size_t)n;
    zmq_msg_init(&part);
    assert_true(zmq_msg_recv(&part, b->router, 0) >= 0);
    size_t len = zmq_msg_size(&part);
    b->frame = malloc(len + 1);
    memcpy(b->frame, zmq_msg_data(&part), len);
    zmq_msg_close(&part);
    assert_int_equal(wire_unpack(b->frame, len, &b->msg, &why), 0);
    b->have_msg = true;
    if (b->msg.type == WIRE_RENEW && b->answer_beats)
        answer_beat(b, b->msg.renew.beat);
    if (b->msg.type == WIRE_ACCEPTED && b->answer_beats)
        answer_beat(b, b->msg.accepted.beat);
    if (b->msg.type == WIRE_NODE || b->msg.type == WIRE_LOG) {
        bool node = b->msg.type == WIRE_NODE;
        uint64_t event = node ? b->msg.node.event : b->msg.log.event;
        uint64_t *last =
            &b->events[node ? b->msg.node.run.b[15] : b->msg.log.run.b[15]];
        assert_int_equal(event, *last + 1); /* no gap, no double */
        *last = event;
    }
    if (b->msg.type == WIRE_LOG)
        b->log_bytes += b->msg.log.text.len;
    if (b->msg.type == WIRE_LOG && b->msg.log.stream == 1) {
        size_t take = b->msg.log.text.len;
        if (take > sizeof b->output - b->output_len - 1)
            take = sizeof b->output - b->output_len - 1;
        memcpy(b->output + b->output_len, b->msg.log.text.ptr, take);
        b->output_len += take;
        b->output[b->output_len] = '\0';
    }
    return &b->msg;
}

static inline struct wire_msg *hear(struct broker *b, enum wire_type type)
{
    int64_t until = clock_boot_ms() + PATIENCE_MS;

    while (clock_boot_ms() < until) {
        struct wire_msg *msg = hear_within(b, 1000);
        if (msg && msg->type == type)
            return msg;
    }
    fail_msg("no %s came", wire_type_name(type));
    return NULL;
}

static inline void welcome(struct broker *b, const struct wire_held *keep,
                           size_t keep_count, const struct wire_held *kill_list,
                           size_t kill_count)
{
    struct wire_msg msg = {.type = WIRE_WELCOME};

    msg.welcome.session = 7;
    msg.welcome.lease_ms = b->lease_ms;
    msg.welcome.keep = (struct wire_held *)(uintptr_t)keep;
    msg.welcome.keep_count = keep_count;
    msg.welcome.kill = (struct wire_held *)(uintptr_t)kill_list;
    msg.welcome.kill_count = kill_count;
    say(b, &msg);
}

static inline void greet(struct broker *b)
{
    start_agent(b);
    hear(b, WIRE_HELLO);
    welcome(b, NULL, 0, NULL, 0);
    hear(b, WIRE_RENEW);
}

static inline struct wire_id run_id(uint8_t number)
{
    struct wire_id id = {{1, 2, 3, 4, 5, 6, 0x70, 8, 0x80, 10}};
    pid_t pid = getpid();

    /* No two programs that run at the same time have the same runs: what is
     * left of a run is found by its id, on the whole machine. */
    memcpy(id.b + 11, &pid, sizeof pid);
    id.b[15] = number;
    return id;
}

/* A file of the attempt 1 of a run, static storage. */
static inline const char *run_file(const struct broker *b, uint8_t number,
                                   const char *file)
{
    static char path[300];
    struct wire_id id = run_id(number);
    char text[37];

    wire_id_text(&id, text);
    snprintf(path, sizeof path, "%s/runs/%s.1/%s", b->spool, text, file);
    return path;
}

static inline void order_run(struct broker *b, uint8_t number, uint32_t attempt,
                             const char *plan)
{
    struct wire_msg msg = {.type = WIRE_RUN};

    msg.run.run = run_id(number);
    msg.run.attempt = attempt;
    msg.run.lease_ms = b->lease_ms;
    msg.run.workflow = wire_text("flow");
    msg.run.pool = wire_text("default");
    msg.run.plan = wire_text(plan);
    msg.run.parameters = wire_text("{\"p\": 1}");
    b->output_len = 0;
    say(b, &msg);
}

static inline void acknowledge(struct broker *b, uint8_t number,
                               uint32_t attempt)
{
    struct wire_msg msg = {.type = WIRE_RESULT_ACK};

    msg.result_ack.run = run_id(number);
    msg.result_ack.attempt = attempt;
    say(b, &msg);
}

static inline void cancel(struct broker *b, uint8_t number, uint32_t grace_ms)
{
    struct wire_msg msg = {.type = WIRE_CANCEL};

    msg.cancel.run = run_id(number);
    msg.cancel.attempt = 1;
    msg.cancel.grace_ms = grace_ms;
    msg.cancel.reason = wire_text("test");
    say(b, &msg);
}

/* A plan of one shell command; static storage. */
static inline const char *shell(const char *script)
{
    static char plan[4096];

    snprintf(plan, sizeof plan,
             "{\"name\": \"one\", \"nodes\": [{\"id\": \"n\", \"kind\": "
             "\"command\", \"after\": [], \"config\": {\"argv\": [\"sh\", "
             "\"-c\", \"%s\"]}}]}",
             script);
    return plan;
}

/* A script that waits between `before` and `after` until open_gate(); static
 * storage. */
static inline const char *gated(const struct broker *b, const char *before,
                                const char *after)
{
    static char script[300];

    snprintf(script, sizeof script,
             "%swhile [ ! -e %s/go ]; do sleep 0.02; done%s", before, b->dir,
             after);
    return script;
}

static inline void open_gate(const struct broker *b)
{
    char path[128];

    snprintf(path, sizeof path, "%s/go", b->dir);
    close(open(path, O_CREAT | O_WRONLY, 0600));
}

static inline bool text_is(struct wire_bytes bytes, const char *text)
{
    return bytes.len == strlen(text) && memcmp(bytes.ptr, text, bytes.len) == 0;
}

static inline bool text_has(struct wire_bytes bytes, const char *text)
{
    return bytes.len && memmem(bytes.ptr, bytes.len, text, strlen(text));
}

/* Waits until a file exists. */
static inline void await_file(const char *path)
{
    int64_t until = clock_boot_ms() + PATIENCE_MS;

    while (access(path, F_OK) < 0) {
        assert_true(clock_boot_ms() < until);
        poll(NULL, 0, 5);
    }
}

static inline bool spool_is_empty(const struct broker *b)
{
    char command[256];

    snprintf(command, sizeof command, "test -z \"$(ls -A %s/runs)\"", b->spool);
    return system(command) == 0; /* NOLINT: a fixed command of the test */
}

static inline void await_empty_spool(const struct broker *b)
{
    int64_t until = clock_boot_ms() + PATIENCE_MS;

    while (!spool_is_empty(b)) {
        assert_true(clock_boot_ms() < until);
        poll(NULL, 0, 20);
    }
}

static inline int set_up(void **state)
{
    struct broker *b = calloc(1, sizeof *b);

    strcpy(b->dir, "/tmp/test-session-XXXXXX");
    if (!mkdtemp(b->dir))
        return -1;
    snprintf(b->address, sizeof b->address, "ipc://%s/broker", b->dir);
    snprintf(b->spool, sizeof b->spool, "%s/spool", b->dir);
    snprintf(b->log, sizeof b->log, "%s/log", b->dir);
    b->slots = 2;
    b->lease_ms = LEASE_MS;
    b->answer_beats = true;
    b->context = zmq_ctx_new();
    open_router(b);
    *state = b;
    return 0;
}

/* Nothing that a test started outlives it. */
static inline void end_attempt(void *context, const char *name)
{
    const struct spool *spool = context;
    struct shepherd_order order = {.mark = shepherd_order_mark,
                                   .verb = SHEPHERD_CANCEL};
    int dir_fd, ctl;

    if (spool_open_run(spool, name, &dir_fd) < 0)
        return;
    ctl = spool_open_ctl(dir_fd);
    if (spool_state_of(dir_fd) == SPOOL_RUNNING &&
        write(ctl, &order, sizeof order) < 0)
        perror("ctl");
    while (spool_state_of(dir_fd) == SPOOL_RUNNING)
        poll(NULL, 0, 5);
    close(ctl);
    close(dir_fd);
}

static inline int tear_down(void **state)
{
    struct spool spool;
    char why[SPOOL_WHY_MAX];
    struct broker *b = *state;
    char command[256];

    if (getenv("TEST_VERBOSE")) {
        snprintf(command, sizeof command, "cat %s >&2", b->log);
        if (system(command) != 0) /* NOLINT */
            perror("cat");
    }
    kill_agent(b);
    if (spool_open(b->spool, 3000, &spool, why) == 0) {
        spool_scan(&spool, end_attempt, &spool);
        spool_close(&spool);
    }
    drop_msg(b);
    close_router(b);
    zmq_ctx_term(b->context);
    snprintf(command, sizeof command, "rm -rf %s", b->dir);
    if (system(command) != 0) /* NOLINT */
        perror("rm");
    free(b);
    return 0;
}

#endif
