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
        rc = autopsy_write(holdings->spool, held->dir_fd, held->name, how);
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

void held_renew(struct held *held, int64_t deadline_at)
{
    if (held->state == HELD_ENDED ||
        (held->renewed && deadline_at <= held->deadline_at))
        return;
    held->deadline_at = deadline_at;
    /* When the FIFO is full the shepherd is stopped; the next renewal, or its
     * own deadline, settles it. */
    if (order(held, SHEPHERD_DEADLINE, deadline_at, ""))
        held->renewed = true;
}

void held_stop(struct held *held, int64_t now_ms, int64_t grace_ms,
               const char *reason, size_t reason_bytes)
{
    if (held->state == HELD_ENDED)
        return;
    int64_t overdue = now_ms + grace_ms + HELD_OVERDUE_MS;
    if (held->overdue_at && held->overdue_at <= overdue)
        return; /* already told, and no later */
    held->overdue_at = overdue;
    held->stop_due = true;
    held->stop_grace_ms = grace_ms;
    if (reason_bytes >= sizeof held->stop_reason)
        reason_bytes = sizeof held->stop_reason - 1;
    memcpy(held->stop_reason, reason, reason_bytes);
    held->stop_reason[reason_bytes] = '\0';
    held_tick(held, now_ms);
}

/* SIGKILL for a shepherd that does not do what it was told: it is stopped, or
 * stuck. Its children fall to the nursery, or are found by the autopsy. */
static void kill_shepherd(struct held *held)
{
    pid_t pid = spool_shepherd_pid(held->dir_fd);
    int fd = pid > 0 ? pidfd_open(pid, 0) : -1;

    if (fd < 0)
        return;
    /* The pid was read before the pidfd was made: still the same process? */
    if (spool_shepherd_pid(held->dir_fd) == pid &&
        pidfd_send_signal(fd, SIGKILL, NULL, 0) == 0)
        log_event(LOG_LEVEL_ERROR, "shepherd.killed",
                  "run=%.36s attempt=%u pid=%d reason=\"did not stop its run "
                  "in time\"",
                  held->name, held->attempt, (int)pid);
    close(fd);
}

void held_tick(struct held *held, int64_t now_ms)
{
    if (held->state != HELD_RUNNING)
        return;
    if (held->stop_due &&
        order(held, SHEPHERD_CANCEL, held->stop_grace_ms, held->stop_reason))
        held->stop_due = false;
    int64_t overdue = held->overdue_at;
    if (held->deadline_at &&
        (!overdue || held->deadline_at + HELD_OVERDUE_MS < overdue))
        overdue = held->deadline_at + HELD_OVERDUE_MS;
    if (overdue && now_ms >= overdue) {
        kill_shepherd(held);
        held->overdue_at = now_ms + HELD_OVERDUE_MS;
        held->deadline_at = 0;
    }
}
