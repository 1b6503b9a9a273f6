/* held.c - see held.h. */
#include "agents/held.h"

#include "agents/autopsy.h"
#include "agents/log.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

void holdings_init(struct holdings *holdings, const struct spool *spool,
                   struct nursery *nursery)
{
    memset(holdings, 0, sizeof *holdings);
    holdings->spool = spool;
    holdings->nursery = nursery;
}

static void held_free(struct held *held)
{
    if (held->dir_fd >= 0)
        close(held->dir_fd);
    if (held->ctl_fd >= 0)
        close(held->ctl_fd);
    journal_close_reader(&held->journal);
    free(held->result);
    free(held);
}

void holdings_clear(struct holdings *holdings)
{
    for (size_t i = 0; i < holdings->count; i++)
        held_free(holdings->list[i]);
    free(holdings->list);
    holdings->list = NULL;
    holdings->count = holdings->room = 0;
}

struct held *holdings_find(const struct holdings *holdings,
                           const struct wire_id *run, uint32_t attempt)
{
    for (size_t i = 0; i < holdings->count; i++) {
        struct held *held = holdings->list[i];
        if (held->attempt == attempt &&
            memcmp(&held->run, run, sizeof *run) == 0)
            return held;
    }
    return NULL;
}

struct held *holdings_find_name(const struct holdings *holdings,
                                const char *name)
{
    for (size_t i = 0; i < holdings->count; i++)
        if (strcmp(holdings->list[i]->name, name) == 0)
            return holdings->list[i];
    return NULL;
}

struct held *holdings_find_live(const struct holdings *holdings,
                                const struct wire_id *run)
{
    for (size_t i = 0; i < holdings->count; i++)
        if (holdings->list[i]->state != HELD_ENDED &&
            memcmp(&holdings->list[i]->run, run, sizeof *run) == 0)
            return holdings->list[i];
    return NULL;
}

size_t holdings_running(const struct holdings *holdings)
{
    size_t running = 0;

    for (size_t i = 0; i < holdings->count; i++)
        running += holdings->list[i]->state != HELD_ENDED;
    return running;
}

int holdings_add(struct holdings *holdings, const char *name, int dir_fd,
                 enum held_state state, struct held **ret_held)
{
    struct held *held = calloc(1, sizeof *held);

    if (!held) {
        close(dir_fd);
        return -ENOMEM;
    }
    held->dir_fd = dir_fd;
    held->ctl_fd = spool_open_ctl(dir_fd);
    held->journal.fd = -1;
    held->state = state;
    snprintf(held->name, sizeof held->name, "%s", name);
    int rc = spool_parse_name(name, &held->run, &held->attempt);
    if (rc == 0 && held->ctl_fd < 0 && state == HELD_STARTING)
        rc = held->ctl_fd;
    if (rc == 0 && holdings->count == holdings->room) {
        size_t room = holdings->room ? 2 * holdings->room : 16;
        struct held **list =
            realloc(holdings->list, room * sizeof(struct held *));
        if (list) {
            holdings->list = list;
            holdings->room = room;
        } else {
            rc = -ENOMEM;
        }
    }
    if (rc < 0) {
        held_free(held);
        return rc;
    }
    holdings->list[holdings->count++] = held;
    *ret_held = held;
    return 0;
}

static void forget_directory(const struct holdings *holdings, const char *name)
{
    char trash[SPOOL_NAME_MAX];
    int rc = spool_forget(holdings->spool, name, trash);

    if (rc == 1) /* a job left files: somebody with time removes them */
        rc = nursery_remove(holdings->nursery, trash);
    if (rc < 0 && rc != -ENOENT && rc != -EAGAIN)
        log_event(LOG_LEVEL_WARN, "spool.remove_failed", "name=%s error=%s",
                  name, log_quote(strerror(-rc), strlen(strerror(-rc))).text);
}

void holdings_forget(struct holdings *holdings, struct held *held)
{
    for (size_t i = 0; i < holdings->count; i++) {
        if (holdings->list[i] != held)
            continue;
        holdings->list[i] = holdings->list[--holdings->count];
        forget_directory(holdings, held->name);
        held_free(held);
        return;
    }
}

/* ---- what became of it ----------------------------------------------- */

static int load_result(struct held *held)
{
    struct wire_msg msg;
    const char *why = "";
    char *frame;
    size_t bytes;
    int rc = spool_read(held->dir_fd, "result", WIRE_FRAME_MAX, &frame, &bytes);

    if (rc < 0)
        return rc;
    rc = wire_unpack(frame, bytes, &msg, &why);
    if (rc == 0 &&
        (msg.type != WIRE_RESULT || msg.result.attempt != held->attempt ||
         memcmp(&msg.result.run, &held->run, sizeof held->run) != 0)) {
        wire_clear(&msg);
        rc = -EBADMSG;
    }
    if (rc < 0) {
        free(frame);
        return rc;
    }
    held->result = frame;
    held->result_bytes = bytes;
    held->result_events = msg.result.events;
    held->outcome = (enum wire_outcome)msg.result.outcome;
    held->started_unix_ms = msg.result.started_unix_ms;
    wire_clear(&msg);
    return 0;
}

bool held_refresh(struct holdings *holdings, struct held *held, const char *how)
{
    if (held->state == HELD_ENDED)
        return false;
    held->behind = true;
    enum spool_state state = spool_state_of(held->dir_fd);
    if (state == SPOOL_RUNNING)
        return false;
    int rc = state == SPOOL_ENDED ? load_result(held) : -ENOENT;
    if (rc < 0) {
        /* Dead without a result, or with one that cannot be read. */
        struct autopsy_cause cause = {.how = how,
                                      .told = held->killed ? held->overdue_for
                                                           : NULL,
                                      .outcome = held->overdue_outcome};
        rc = autopsy_write(holdings->spool, held->dir_fd, held->name, &cause);
        if (rc == 0)
            rc = load_result(held);
    }
    if (rc < 0) {
        log_event(
            LOG_LEVEL_ERROR, "run.result_unwritten",
            "run=%.36s attempt=%u error=\"%s\" hint=\"is the disk full?\"",
            held->name, held->attempt, strerror(-rc));
        held->overdue_at = 0;
        return false; /* asked again by held_tick's caller */
    }
    held->state = HELD_ENDED;
    return true;
}

/* The time-out as the RUN message has it; without one that can be read, none.
 */
static int64_t load_timeout(const struct held *held)
{
    struct wire_msg msg;
    const char *why = "";
    char *frame;
    size_t bytes;
    int64_t timeout_ms = 0;

    if (spool_read(held->dir_fd, "run", WIRE_FRAME_MAX, &frame, &bytes) < 0)
        return 0;
    if (wire_unpack(frame, bytes, &msg, &why) == 0) {
        if (msg.type == WIRE_RUN)
            timeout_ms = (int64_t)msg.run.timeout_ms;
        wire_clear(&msg);
    }
    free(frame);
    return timeout_ms;
}

struct adoption {
    struct holdings *holdings;
    size_t found;
};

static void adopt_one(void *context, const char *name)
{
    struct adoption *adoption = context;
    struct holdings *holdings = adoption->holdings;
    struct held *held;
    struct wire_id run;
    uint32_t attempt;
    int dir_fd;

    if (spool_parse_name(name, &run, &attempt) < 0) {
        if (strncmp(name, ".trash.", 7) == 0)
            nursery_remove(holdings->nursery, name);
        return;
    }
    if (spool_open_run(holdings->spool, name, &dir_fd) < 0)
        return;
    if (spool_state_of(dir_fd) == SPOOL_UNSTARTED) {
        close(dir_fd);
        forget_directory(holdings, name);
        return;
    }
    if (holdings_add(holdings, name, dir_fd, HELD_RUNNING, &held) < 0)
        return;
    held->adopted = true;
    held_refresh(holdings, held, "while no agent was there to see it");
    if (held->state == HELD_RUNNING)
        held->timeout_ms = load_timeout(held);
    log_event(LOG_LEVEL_INFO, "run.adopted", "run=%.36s attempt=%u state=%s",
              name, held->attempt,
              held->state == HELD_ENDED ? "ended" : "running");
}

int holdings_adopt(struct holdings *holdings)
{
    struct adoption adoption = {holdings, 0};

    return spool_scan(holdings->spool, adopt_one, &adoption);
}

uint64_t held_events(const struct held *held)
{
    struct journal_reader reader;
    uint64_t last;

    if (held->state == HELD_ENDED)
        return held->result_events;
    if (journal_open_reader(held->dir_fd, &reader) < 0)
        return 0;
    reader.offset = held->journal.fd >= 0 ? held->journal.offset : 0;
    reader.at = held->journal.fd >= 0 ? held->journal.at : 0;
    journal_seek(&reader, UINT64_MAX);
    last = reader.at;
    journal_close_reader(&reader);
    return last;
}

/* ---- orders ---------------------------------------------------------- */

static bool order(const struct held *held, enum shepherd_verb verb,
                  int64_t value, const char *reason)
{
    struct shepherd_order o;

    memset(&o, 0, sizeof o);
    o.mark = shepherd_order_mark;
    o.verb = (uint32_t)verb;
    o.value = value;
    snprintf(o.reason, sizeof o.reason, "%s", reason);
    return write(held->ctl_fd, &o, sizeof o) == (ssize_t)sizeof o;
}

void held_renew(struct held *held, int64_t now_ms, int64_t deadline_at)
{
    if (held->state == HELD_ENDED ||
        (held->renewed && deadline_at <= held->deadline_at))
        return;
    held->deadline_at = deadline_at;
    if (!held->timeout_at && held->timeout_ms > 0 &&
        held->timeout_ms < INT64_MAX / 2)
        held->timeout_at = now_ms + held->timeout_ms +
                           SHEPHERD_TIMEOUT_GRACE_MS + HELD_OVERDUE_MS;
    /* When the FIFO is full the shepherd is stopped; the next renewal, or its
     * own deadline, settles it. */
    if (order(held, SHEPHERD_DEADLINE, deadline_at, ""))
        held->renewed = true;
}

void held_stop(struct held *held, int64_t now_ms, int64_t grace_ms,
               const char *reason)
{
    if (held->state == HELD_ENDED)
        return;
    int64_t overdue = now_ms + grace_ms + HELD_OVERDUE_MS;
    if (held->overdue_at && held->overdue_at <= overdue)
        return; /* already told, and no later */
    held->overdue_at = overdue;
    held->stop_due = true;
    held->stop_grace_ms = grace_ms;
    if (!*held->stop_reason) /* a second order is only more urgent */
        snprintf(held->stop_reason, sizeof held->stop_reason, "%s", reason);
    held_tick(held, now_ms);
}

/* An order to stop counts before what came to pass after it: who gave it waits
 * for its answer. */
static void note_cause(struct held *held, int64_t now_ms)
{
    char *told = held->overdue_for;
    size_t room = sizeof held->overdue_for;

    if (*held->stop_reason) {
        held->overdue_outcome = WIRE_CANCELLED;
        snprintf(told, room, "%s", held->stop_reason);
    } else if (held->timeout_at && now_ms >= held->timeout_at) {
        held->overdue_outcome = WIRE_TIMED_OUT;
        snprintf(told, room, "the run's time-out of %g s passed",
                 (double)held->timeout_ms / 1000);
    } else {
        held->overdue_outcome = WIRE_LEASE_LOST;
        snprintf(told, room,
                 "the lease ran out without word from the dispatcher");
    }
}

/* SIGKILL for a shepherd that does not do what it was told: it is stopped, or
 * stuck. Its children fall to the nursery, or are found by the autopsy. */
static void kill_shepherd(struct held *held)
{
    pid_t pid = spool_shepherd_pid(held->dir_fd);
    int fd = pid > 0 ? pidfd_open(pid, 0) : -1;

    if (fd < 0)
        return;
    /* The pid was read before the pidfd was made: still the same process? A
     * lock that is free is of one that died before, by another's hand. */
    if (spool_shepherd_pid(held->dir_fd) == pid &&
        spool_state_of(held->dir_fd) == SPOOL_RUNNING &&
        pidfd_send_signal(fd, SIGKILL, NULL, 0) == 0) {
        held->killed = true;
        log_event(
            LOG_LEVEL_ERROR, "shepherd.killed",
            "run=%.36s attempt=%u pid=%d told=%s reason=\"did not stop its "
            "run in time\"",
            held->name, held->attempt, (int)pid,
            log_quote(held->overdue_for, strlen(held->overdue_for)).text);
    }
    close(fd);
}

static void sooner(int64_t *at, int64_t candidate)
{
    if (candidate && (!*at || candidate < *at))
        *at = candidate;
}

void held_tick(struct held *held, int64_t now_ms)
{
    if (held->state != HELD_RUNNING)
        return;
    if (held->stop_due &&
        order(held, SHEPHERD_CANCEL, held->stop_grace_ms, held->stop_reason))
        held->stop_due = false;
    int64_t overdue = held->overdue_at;
    sooner(&overdue, held->timeout_at);
    sooner(&overdue,
           held->deadline_at ? held->deadline_at + HELD_OVERDUE_MS : 0);
    if (overdue && now_ms >= overdue) {
        if (!*held->overdue_for)
            note_cause(held, now_ms);
        kill_shepherd(held);
        held->overdue_at = now_ms + HELD_OVERDUE_MS;
        held->deadline_at = 0;
        held->timeout_at = held->timeout_at ? INT64_MAX : 0; /* said once */
    }
}
