/*
 * shepherd.c - see shepherd.h.
 *
 * Phases, in this order, each at most once:
 *
 *   WAITING   for the first renewal: the broker has then committed that this
 *             attempt is accepted; until it has, nothing of the job starts
 *   WALKING   nodes start as their parents complete
 *   STOPPING  nothing starts any more: cancel, the run's time-out, the lease
 *             deadline or SIGTERM; TERM went to the tree, KILL at kill_at
 *   SWEEPING  no node is left; what they left in the background is killed
 *   (result)  waitpid() said ECHILD: the exit record is written
 *
 * One turn of the loop: look at the clock, reap, judge, start, flush, tell the
 * agent, sleep, listen.
 */
#include "agents/shepherd.h"

#include "agents/clean.h"
#include "agents/clock.h"
#include "agents/journal.h"
#include "agents/task.h"
#include "agents/tree.h"
#include "agents/walk.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

const uint32_t shepherd_order_mark = 0x3144524f; /* "ORD1" */

enum phase { WAITING, WALKING, STOPPING, SWEEPING };

struct shepherd {
    const struct spool *spool;
    int dir_fd, work_fd, ctl_fd, wake_fd, signal_fd, timer_fd;
    char *frame; /* the RUN message, which msg borrows from */
    struct wire_msg msg;
    struct exec_scene scene;
    struct plan *plan;
    struct units *units;
    struct walk *walk;
    struct wire_node *nodes;  /* error texts are ours */
    int64_t *node_timeout_at; /* of running nodes of data units; 0: none */
    struct task *tasks[SHEPHERD_PARALLEL_MAX];
    size_t running;
    struct journal_writer journal;
    uint64_t told; /* last event the agent was woken for */
    uint64_t log_dropped;
    enum phase phase;
    bool killing;                 /* KILL goes to the tree every turn */
    bool empty;                   /* waitpid() said that nothing is left */
    int64_t kill_at;              /* STOPPING: end of the grace */
    int64_t lease_at, timeout_at; /* timeout_at 0: none */
    int64_t armed_at;             /* what the timer is set to */
    enum wire_outcome outcome;
    char error[EXEC_ERROR_MAX + 300];
    int64_t started_unix_ms;
};

/* Words for shepherd.err, which the agent quotes should this process die. */
static _Noreturn void die(const char *what, int error)
{
    dprintf(STDERR_FILENO, "%s: %s\n", what, strerror(error));
    _exit(1);
}

/* ---- telling --------------------------------------------------------- */

/* A FIFO that nobody reads, or that is full, is no matter: the agent looks
 * again when this process ends and when it starts. */
static void wake_agent(struct shepherd *s)
{
    struct spool_wake wake = {.run = s->msg.run.run,
                              .attempt = s->msg.run.attempt};

    if (write(s->wake_fd, &wake, sizeof wake) == (ssize_t)sizeof wake)
        s->told = s->journal.last;
}

static void tell_node(struct shepherd *s, uint32_t node)
{
    struct wire_msg event = {.type = WIRE_NODE};

    event.node.run = s->msg.run.run;
    event.node.attempt = s->msg.run.attempt;
    event.node.node = s->nodes[node];
    /* Without room on the disk the event is lost, the state is not: the result
     * has every node's. */
    journal_append(&s->journal, &event);
}

struct log_target {
    struct shepherd *shepherd;
    uint32_t node;
    uint8_t stream;
    struct task *task; /* for reports */
};

static void tell_log(void *context, const char *text, size_t bytes)
{
    const struct log_target *to = context;
    struct shepherd *s = to->shepherd;
    struct wire_msg event = {.type = WIRE_LOG};

    event.log.run = s->msg.run.run;
    event.log.attempt = s->msg.run.attempt;
    event.log.node = to->node;
    event.log.stream = to->stream;
    event.log.at_unix_ms = clock_unix_ms();
    event.log.text = (struct wire_bytes){text, bytes};
    if (s->journal.bytes > SHEPHERD_JOURNAL_MAX ||
        journal_append(&s->journal, &event) < 0)
        s->log_dropped += bytes;
}

static void tell_dropped(void *context, const char *text, size_t bytes)
{
    struct log_target own = *(const struct log_target *)context;

    own.stream = 0; /* our words, not the program's */
    tell_log(&own, text, bytes);
}

/* ---- nodes ----------------------------------------------------------- */

static void set_node(struct shepherd *s, uint32_t node, const char *error)
{
    struct wire_node *n = &s->nodes[node];

    n->state = (uint8_t)walk_state(s->walk, node);
    if (n->state != WIRE_NODE_RUNNING && n->started_unix_ms)
        n->ended_unix_ms = clock_unix_ms();
    if (error && *error) {
        char *copy = strdup(error);
        if (copy) {
            clean_text(copy);
            n->error = wire_text(copy);
        }
    }
    tell_node(s, node);
}

static void set_skipped(struct shepherd *s, const uint32_t *nodes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        set_node(s, nodes[i], NULL);
}

static void fail_node(struct shepherd *s, uint32_t node, const char *error)
{
    const uint32_t *skipped;
    size_t count;

    if (!*s->error)
        snprintf(s->error, sizeof s->error, "node \"%s\": %s",
                 s->plan->nodes[node].id, error);
    walk_fail(s->walk, node, &skipped, &count);
    set_node(s, node, error);
    set_skipped(s, skipped, count);
}

static void cancel_node(struct shepherd *s, uint32_t node, const char *error)
{
    const uint32_t *skipped;
    size_t count;

    walk_cancel(s->walk, node, &skipped, &count);
    set_node(s, node, error);
    set_skipped(s, skipped, count);
}

static void run_node(struct shepherd *s, uint32_t node)
{
    walk_start(s->walk, node);
    s->nodes[node].started_unix_ms = clock_unix_ms();
    set_node(s, node, NULL);
}

static bool is_running(const struct shepherd *s, uint32_t node)
{
    return walk_state(s->walk, node) == WIRE_NODE_RUNNING;
}

/* ---- units of data nodes: what their process says of each ------------ */

/* The earliest time-out among the unit's running nodes is the process's. */
static void set_timeout(struct shepherd *s, struct task *task)
{
    const struct unit *unit = &s->units->list[task->unit];

    if (task->kill_at)
        return; /* it was told to end */
    task->timeout_at = 0;
    for (size_t i = 0; i < unit->count; i++) {
        uint32_t node = unit->nodes[i];
        if (!is_running(s, node) || !s->node_timeout_at[node] ||
            (task->timeout_at && task->timeout_at <= s->node_timeout_at[node]))
            continue;
        task->timeout_at = s->node_timeout_at[node];
        task->timeout_node = node;
    }
}

static void tell_preview(struct shepherd *s, uint32_t node, const char *text,
                         size_t bytes)
{
    struct log_target to = {s, node, 3, NULL};

    tell_log(&to, text, bytes);
}

/* What a process says is checked like anybody's word: a node that is not of its
 * unit, or in a state that this cannot follow, is passed over. */
static void hear(struct shepherd *s, struct task *task,
                 const struct exec_report *report, const char *text)
{
    uint32_t node = report->node;

    if (node >= s->plan->count || s->units->of[node] != task->unit)
        return;
    enum wire_node_state state = walk_state(s->walk, node);
    if (state == WIRE_NODE_WAITING && report->state != EXEC_PREVIEW) {
        run_node(s, node);
        if (s->plan->nodes[node].timeout_ms)
            s->node_timeout_at[node] =
                clock_boot_ms() + s->plan->nodes[node].timeout_ms;
    } else if (state != WIRE_NODE_RUNNING && report->state != EXEC_PREVIEW) {
        return;
    }
    if (report->counted) {
        s->nodes[node].rows_in = report->rows_in;
        s->nodes[node].rows_out = report->rows_out;
        s->nodes[node].rows_rejected = report->rows_rejected;
        s->nodes[node].bytes_out = report->bytes_out;
    }
    switch ((enum exec_state)report->state) {
    case EXEC_RUNNING:
        if (state == WIRE_NODE_RUNNING)
            tell_node(s, node); /* how far it is */
        break;
    case EXEC_COMPLETED:
        walk_complete(s->walk, node);
        set_node(s, node, NULL);
        task->resolved = true;
        break;
    case EXEC_FAILED:
        s->nodes[node].exit_code = report->exit_code;
        if (s->phase == STOPPING && !task->unprompted)
            cancel_node(s, node, report->error);
        else
            fail_node(s, node, report->error);
        task->resolved = true;
        break;
    case EXEC_CANCELLED:
        cancel_node(s, node, report->error);
        task->resolved = true;
        break;
    case EXEC_PREVIEW:
        tell_preview(s, node, text, report->text_bytes);
        return;
    }
    set_timeout(s, task);
}

static void hear_report(void *context, const struct exec_report *report,
                        const char *text)
{
    const struct log_target *from = context;

    hear(from->shepherd, from->task, report, text);
}

/* The process of a unit is over and did not say how this node ended. */
static void settle_node(struct shepherd *s, const struct task *task,
                        uint32_t node, const char *error)
{
    char timed_out[60];

    if (task->kill_at && node == task->timeout_node) {
        snprintf(timed_out, sizeof timed_out, "timed out after %g s",
                 (double)s->plan->nodes[node].timeout_ms / 1000);
        fail_node(s, node, timed_out);
    } else if (task->kill_at) {
        cancel_node(s, node, "stopped because another node timed out");
    } else if (s->phase == STOPPING && !task->unprompted) {
        cancel_node(s, node, NULL);
    } else {
        fail_node(s, node, *error ? error : "its process ended too early");
    }
}

static void judge_unit(struct shepherd *s, struct task *task)
{
    const struct unit *unit = &s->units->list[task->unit];
    char error[EXEC_ERROR_MAX];
    int32_t exit_code;

    task_verdict(task, &exit_code, error);
    for (size_t i = 0; i < unit->count; i++) {
        if (!is_running(s, unit->nodes[i]))
            continue;
        settle_node(s, task, unit->nodes[i], error);
        task->resolved = true;
    }
    /* Whoever did nothing at all would do so for ever. */
    for (size_t i = 0; i < unit->count && !task->resolved; i++) {
        if (walk_state(s->walk, unit->nodes[i]) != WIRE_NODE_WAITING)
            continue;
        run_node(s, unit->nodes[i]);
        settle_node(s, task, unit->nodes[i], error);
        task->resolved = true;
    }
}

/* ---- other nodes ----------------------------------------------------- */

static void judge_node(struct shepherd *s, struct task *task)
{
    struct wire_node *node = &s->nodes[task->node];
    char error[EXEC_ERROR_MAX];
    bool ok = task_verdict(task, &node->exit_code, error);

    node->bytes_out = task->output[1].total + task->output[2].total;
    if (task->reported && task->last.counted)
        node->bytes_out = task->last.bytes_out;
    if (task->kill_at) {
        /* Whatever it exited with, it was told to because of its time-out. */
        snprintf(error, sizeof error, "timed out after %g s",
                 (double)s->plan->nodes[task->node].timeout_ms / 1000);
        fail_node(s, task->node, error);
    } else if (s->phase == STOPPING && !task->unprompted) {
        cancel_node(s, task->node, error);
    } else if (ok) {
        walk_complete(s->walk, task->node);
        set_node(s, task->node, NULL);
    } else {
        fail_node(s, task->node, error);
    }
}

static void judge_tasks(struct shepherd *s, int64_t now)
{
    for (size_t i = 0; i < SHEPHERD_PARALLEL_MAX; i++) {
        struct task *task = s->tasks[i];
        if (!task || !task_over(task, now))
            continue;
        for (int k = 1; k <= 2; k++) {
            struct log_target to = {s, task->node, (uint8_t)k, NULL};
            s->log_dropped +=
                output_end(&task->output[k], tell_log, tell_dropped, &to);
        }
        if (task->data)
            judge_unit(s, task);
        else
            judge_node(s, task);
        walk_return(s->walk, task->unit);
        task_free(&s->tasks[i]);
        s->running--;
    }
}

static void start_unit(struct shepherd *s, size_t slot, uint32_t index,
                       int64_t now)
{
    const struct unit *unit = &s->units->list[index];
    char error[EXEC_ERROR_MAX];
    uint32_t node = unit->nodes[0];

    int rc = task_start(&s->scene, index, unit, walk_states(s->walk),
                        s->work_fd, now, &s->tasks[slot]);
    if (rc == 0) {
        s->running++;
        s->empty = false;
        if (!unit->data)
            run_node(s, node);
        return;
    }
    snprintf(error, sizeof error, "cannot start a process: %s", strerror(-rc));
    for (size_t i = 0; i < unit->count; i++) {
        if (walk_state(s->walk, unit->nodes[i]) != WIRE_NODE_WAITING)
            continue;
        run_node(s, unit->nodes[i]);
        fail_node(s, unit->nodes[i], error);
    }
    walk_return(s->walk, index);
}

static void start_units(struct shepherd *s, int64_t now)
{
    for (size_t slot = 0; slot < SHEPHERD_PARALLEL_MAX; slot++) {
        uint32_t unit;
        if (s->tasks[slot])
            continue;
        /* A start that fails leaves its slot free and its children skipped. */
        while (!s->tasks[slot] && walk_next(s->walk, &unit))
            start_unit(s, slot, unit, now);
        if (!s->tasks[slot])
            return;
    }
}

static struct task *task_of(struct shepherd *s, pid_t pid)
{
    for (size_t i = 0; i < SHEPHERD_PARALLEL_MAX; i++)
        if (s->tasks[i] && !s->tasks[i]->exited && s->tasks[i]->pid == pid)
            return s->tasks[i];
    return NULL;
}

static void reap(struct shepherd *s, int64_t now)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        struct task *task = task_of(s, pid);
        if (task) { /* else an orphan we inherited */
            task->exited = true;
            task->status = status;
            task->exited_at = now;
        }
    }
    s->empty = pid < 0 && errno == ECHILD;
}

/* ---- stopping -------------------------------------------------------- */

static void stop(struct shepherd *s, enum wire_outcome outcome, int64_t now,
                 int64_t grace_ms, const char *error)
{
    const uint32_t *cancelled;
    size_t count;

    if (s->phase < STOPPING) {
        s->phase = STOPPING;
        s->outcome = outcome;
        snprintf(s->error, sizeof s->error, "%s", error);
        s->kill_at = now + grace_ms;
        for (size_t i = 0; i < SHEPHERD_PARALLEL_MAX; i++)
            if (s->tasks[i])
                s->tasks[i]->unprompted = s->tasks[i]->exited;
        walk_abandon(s->walk, &cancelled, &count);
        for (size_t i = 0; i < count; i++)
            set_node(s, cancelled[i], NULL);
        if (grace_ms > 0)
            tree_signal(getpid(), false, SIGTERM);
    } else if (s->phase == STOPPING && now + grace_ms < s->kill_at) {
        s->kill_at = now + grace_ms; /* more urgent than before */
    }
}

/* The tree of one node: what is below its process, and the orphans this process
 * inherited that were started for it. */
static void signal_node(struct shepherd *s, const struct task *task, int sig)
{
    pid_t children[4096];
    char entry[PLAN_NAME_MAX + 20];

    if (!task->exited)
        tree_signal(task->pid, true, sig);
    if (task->data)
        return; /* starts no processes */
    snprintf(entry, sizeof entry, "DISPATCH_NODE=%s",
             s->plan->nodes[task->node].id);
    size_t count = tree_children(getpid(), children, 4096);
    for (size_t i = 0; i < count && i < 4096; i++)
        if (children[i] != task->pid && tree_has_env(children[i], entry))
            tree_signal(children[i], true, sig);
}

static void check_node_timeouts(struct shepherd *s, int64_t now)
{
    for (size_t i = 0; i < SHEPHERD_PARALLEL_MAX; i++) {
        struct task *task = s->tasks[i];
        if (!task || task->exited || !task->timeout_at ||
            now < task->timeout_at)
            continue;
        if (!task->kill_at) {
            task->kill_at = now + TASK_TIMEOUT_GRACE_MS;
            signal_node(s, task, SIGTERM);
        } else if (now >= task->kill_at) {
            signal_node(s, task, SIGKILL);
        }
    }
}

static void check_clock(struct shepherd *s, int64_t now)
{
    char error[100];

    if (now >= s->lease_at)
        stop(s, WIRE_LEASE_LOST, now, 0,
             s->phase == WAITING
                 ? "the dispatcher did not confirm the run in time, so it was "
                   "not started"
                 : "the lease ran out without word from the dispatcher, so the "
                   "run was killed");
    if (s->timeout_at && now >= s->timeout_at && s->phase == WALKING) {
        snprintf(error, sizeof error, "the run's time-out of %g s passed",
                 (double)s->msg.run.timeout_ms / 1000);
        stop(s, WIRE_TIMED_OUT, now, SHEPHERD_TIMEOUT_GRACE_MS, error);
    }
    if (s->phase == STOPPING && now >= s->kill_at)
        s->killing = true;
    check_node_timeouts(s, now);
    if (s->killing)
        tree_signal(getpid(), false, SIGKILL);
}

static void renew(struct shepherd *s, int64_t lease_at, int64_t now)
{
    uint64_t timeout_ms = s->msg.run.timeout_ms;

    if (s->phase != WAITING) {
        if (lease_at > s->lease_at)
            s->lease_at = lease_at;
        return;
    }
    s->phase = WALKING;
    s->lease_at = lease_at;
    s->started_unix_ms = clock_unix_ms();
    if (timeout_ms > 0 && timeout_ms < INT64_MAX / 2)
        s->timeout_at = now + (int64_t)timeout_ms;
}

static void read_orders(struct shepherd *s, int64_t now)
{
    struct shepherd_order order;
    ssize_t n;

    while ((n = read(s->ctl_fd, &order, sizeof order)) > 0) {
        if (n != (ssize_t)sizeof order || order.mark != shepherd_order_mark)
            continue;
        order.reason[sizeof order.reason - 1] = '\0';
        switch (order.verb) {
        case SHEPHERD_DEADLINE:
            renew(s, order.value, now);
            break;
        case SHEPHERD_CANCEL:
            stop(s, WIRE_CANCELLED, now, order.value > 0 ? order.value : 0,
                 *order.reason ? order.reason : "cancelled");
            break;
        default:
            break;
        }
    }
}

static void read_signals(struct shepherd *s, int64_t now)
{
    struct signalfd_siginfo info;

    while (read(s->signal_fd, &info, sizeof info) == (ssize_t)sizeof info)
        if (info.ssi_signo == SIGTERM)
            stop(s, WIRE_FAILED, now, SHEPHERD_TIMEOUT_GRACE_MS,
                 "this machine told the run's shepherd to stop (SIGTERM)");
}

/* ---- the loop -------------------------------------------------------- */

static void earlier(int64_t *at, int64_t candidate)
{
    if (candidate && candidate < *at)
        *at = candidate;
}

/* Deadlines go into a timer of CLOCK_BOOTTIME: poll()'s own time-out stands
 * still while the machine sleeps. */
static void arm_timer(struct shepherd *s)
{
    int64_t at = s->lease_at;

    if (s->phase == WALKING)
        earlier(&at, s->timeout_at);
    if (s->phase == STOPPING && !s->killing)
        at = s->kill_at < at ? s->kill_at : at;
    for (size_t i = 0; i < SHEPHERD_PARALLEL_MAX; i++) {
        const struct task *task = s->tasks[i];
        if (!task)
            continue;
        earlier(&at, output_due(&task->output[1]));
        earlier(&at, output_due(&task->output[2]));
        if (task->exited)
            earlier(&at, task->exited_at + TASK_LINGER_MS);
        else
            earlier(&at, task->kill_at ? task->kill_at : task->timeout_at);
    }
    if (s->told < s->journal.last)
        earlier(&at, clock_boot_ms() + OUTPUT_WAIT_MS);
    if (at == s->armed_at)
        return;
    s->armed_at = at;
    struct itimerspec when = {
        .it_value = {.tv_sec = at > 0 ? at / 1000 : 0,
                     .tv_nsec = at > 0 ? at % 1000 * 1000000 : 1}};
    timerfd_settime(s->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void listen_once(struct shepherd *s)
{
    struct pollfd fds[3 + 3 * SHEPHERD_PARALLEL_MAX];
    nfds_t count = 3;
    uint64_t ticks;

    fds[0] = (struct pollfd){.fd = s->signal_fd, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = s->ctl_fd, .events = POLLIN};
    fds[2] = (struct pollfd){.fd = s->timer_fd, .events = POLLIN};
    for (size_t i = 0; i < SHEPHERD_PARALLEL_MAX; i++)
        for (int k = 0; k < 3; k++)
            fds[count++] = (struct pollfd){
                .fd = s->tasks[i] ? s->tasks[i]->pipe_fd[k] : -1,
                .events = POLLIN};
    arm_timer(s);
    /* While killing, look again soon: orphans arrive as parents die. */
    if (poll(fds, count, s->killing ? 2 : -1) <= 0)
        return;
    int64_t now = clock_boot_ms();
    for (size_t i = 0; i < SHEPHERD_PARALLEL_MAX; i++) {
        for (int k = 0; k < 3; k++) {
            if (!fds[3 + 3 * i + (size_t)k].revents)
                continue;
            struct task *task = s->tasks[i];
            struct log_target to = {s, task->node, (uint8_t)k, task};
            task_read(task, k, now, tell_log, hear_report, &to);
        }
    }
    if (fds[2].revents && read(s->timer_fd, &ticks, sizeof ticks) > 0)
        s->armed_at = 0;
    /* Ends before orders: a node that ended by itself was not cancelled. */
    reap(s, now);
    judge_tasks(s, now);
    if (fds[0].revents)
        read_signals(s, now);
    if (fds[1].revents)
        read_orders(s, now);
}

static void flush_due(struct shepherd *s, int64_t now)
{
    for (size_t i = 0; i < SHEPHERD_PARALLEL_MAX; i++) {
        for (int k = 1; s->tasks[i] && k <= 2; k++) {
            struct output *output = &s->tasks[i]->output[k];
            struct log_target to = {s, s->tasks[i]->node, (uint8_t)k, NULL};
            if (output_due(output) && now >= output_due(output)) {
                output_flush(output, tell_log, &to);
                output->piece_since = now;
            }
        }
    }
}

static void walk_plan(struct shepherd *s)
{
    for (;;) {
        int64_t now = clock_boot_ms();
        check_clock(s, now);
        reap(s, now);
        judge_tasks(s, now);
        if (s->phase == WALKING)
            start_units(s, now);
        if (s->running == 0 && walk_done(s->walk)) {
            if (s->phase == WALKING)
                s->phase = SWEEPING;
            if (s->empty)
                return;
            if (s->phase == SWEEPING)
                s->killing = true;
        }
        flush_due(s, now);
        if (s->told < s->journal.last)
            wake_agent(s);
        listen_once(s);
    }
}

/* ---- beginning and end ----------------------------------------------- */

static char *text_of(struct wire_bytes bytes)
{
    char *text = strndup(bytes.ptr ? bytes.ptr : "", bytes.len);

    if (!text)
        die("out of memory", ENOMEM);
    return text;
}

static void read_run(struct shepherd *s, const struct settings *settings)
{
    const char *why = "";
    char plan_why[PLAN_WHY_MAX];
    size_t len;
    int rc = spool_read(s->dir_fd, "run", WIRE_FRAME_MAX, &s->frame, &len);

    if (rc < 0)
        die("cannot read the run", -rc);
    rc = wire_unpack(s->frame, len, &s->msg, &why);
    if (rc < 0 || s->msg.type != WIRE_RUN)
        die(why, EBADMSG);
    rc =
        plan_read(s->msg.run.plan.ptr, s->msg.run.plan.len, &s->plan, plan_why);
    if (rc < 0 || executor_check(s->plan, plan_why) != EXECUTOR_CAN)
        die(plan_why, EINVAL);
    wire_id_text(&s->msg.run.run, s->scene.run_id);
    s->scene.attempt = s->msg.run.attempt;
    s->scene.settings = settings;
    s->scene.workflow = text_of(s->msg.run.workflow);
    s->scene.pool = text_of(s->msg.run.pool);
    s->scene.parameters = text_of(s->msg.run.parameters);
    s->scene.traceparent = text_of(s->msg.run.traceparent);
    if (!*s->scene.parameters)
        s->scene.parameters = "{}";
    s->scene.plan = s->plan;
    s->units = units_of(s->plan);
    s->walk = s->units ? walk_new(s->plan, s->units) : NULL;
    s->nodes = calloc(s->plan->count, sizeof *s->nodes);
    s->node_timeout_at = calloc(s->plan->count, sizeof *s->node_timeout_at);
    if (!s->walk || !s->nodes || !s->node_timeout_at)
        die("out of memory", ENOMEM);
    for (uint32_t i = 0; i < s->plan->count; i++) {
        s->nodes[i].node = i;
        s->nodes[i].exit_code = -1;
    }
}

static void set_up(struct shepherd *s)
{
    sigset_t caught;
    int log = openat(s->dir_fd, "shepherd.err",
                     O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    /* Not the agent's: whoever waits for the end of its output must not wait
     * for the shepherds that outlive it. */
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(log >= 0 ? log : null, STDERR_FILENO);
    close(null);
    if (log >= 0)
        close(log);
    prctl(PR_SET_NAME, "shepherd");
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        die("cannot become a subreaper", errno);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&caught);
    sigaddset(&caught, SIGCHLD);
    sigaddset(&caught, SIGTERM);
    sigaddset(&caught, SIGINT);
    sigaddset(&caught, SIGHUP);
    sigprocmask(SIG_SETMASK, &caught, NULL);
    s->signal_fd = signalfd(-1, &caught, SFD_NONBLOCK | SFD_CLOEXEC);
    s->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    s->ctl_fd = spool_open_ctl(s->dir_fd);
    s->wake_fd = s->spool->wake_fd;
    s->work_fd = openat(s->dir_fd, "work", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->signal_fd < 0 || s->timer_fd < 0 || s->ctl_fd < 0 || s->work_fd < 0)
        die("cannot open what the run needs", errno);
    int rc = journal_create(s->dir_fd, &s->journal);
    if (rc == 0)
        rc = spool_write_meta(s->dir_fd);
    if (rc < 0)
        die("cannot write to the spool", -rc);
}

static void write_result(struct shepherd *s)
{
    struct wire_msg result = {.type = WIRE_RESULT};
    char *frame;
    size_t len;
    int rc, said = 0;

    if (walk_all_completed(s->walk)) { /* even if told to stop at the end */
        s->outcome = WIRE_COMPLETED;
        s->error[0] = '\0';
    } else if (s->phase == SWEEPING) {
        s->outcome = WIRE_FAILED;
    }
    result.result.run = s->msg.run.run;
    result.result.attempt = s->msg.run.attempt;
    result.result.outcome = (uint8_t)s->outcome;
    result.result.started_unix_ms = s->started_unix_ms;
    result.result.ended_unix_ms = clock_unix_ms();
    result.result.events = s->journal.last;
    result.result.log_dropped = s->log_dropped;
    clean_text(s->error);
    result.result.error = wire_text(s->error);
    result.result.nodes = s->nodes;
    result.result.node_count = s->plan->count;
    rc = wire_pack(&result, &frame, &len);
    if (rc < 0)
        die("cannot pack the result", -rc);
    /* Until it is on disk the run has not ended; a full disk may get room. */
    while ((rc = spool_write_result(s->spool, s->dir_fd, frame, len)) < 0) {
        struct timespec pause = {.tv_nsec = 500000000};
        if (rc == -ENOENT)
            die("the spool was removed", -rc); /* nobody could ever read it */
        if (!said++)
            dprintf(STDERR_FILENO, "cannot write the result: %s\n",
                    strerror(-rc));
        nanosleep(&pause, NULL);
    }
    free(frame);
}

void shepherd_run(const struct spool *spool, const struct settings *settings,
                  int dir_fd, int64_t deadline_boot_ms)
{
    static struct shepherd shepherd; /* large, and there is one a process */
    struct shepherd *s = &shepherd;

    s->spool = spool;
    s->dir_fd = dir_fd;
    s->lease_at = deadline_boot_ms;
    s->started_unix_ms = clock_unix_ms();
    set_up(s);
    read_run(s, settings);
    spool_reserve_result(dir_fd, 4096 + s->plan->count * 100);
    walk_plan(s);
    assert(s->running == 0 && s->empty);
    write_result(s);
    wake_agent(s);
    _exit(0);
}
