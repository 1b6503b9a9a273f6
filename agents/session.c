/*
 * session.c - see session.h: what the broker asks for, and the turn of the
 * conversation. Being connected is in greet.c, events and results in ship.c.
 */
#include "agents/session.h"

#include "agents/clock.h"
#include "agents/executor.h"
#include "agents/log.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>

static const char *const outcome_names[WIRE_OUTCOMES] = {
    [WIRE_COMPLETED] = "completed",   [WIRE_FAILED] = "failed",
    [WIRE_TIMED_OUT] = "timed_out",   [WIRE_CANCELLED] = "cancelled",
    [WIRE_LEASE_LOST] = "lease_lost",
};

void session_init(struct session *session, const struct settings *settings,
                  const struct spool *spool, struct nursery *nursery,
                  void *zmq_context)
{
    memset(session, 0, sizeof *session);
    session->settings = settings;
    session->spool = spool;
    session->nursery = nursery;
    holdings_init(&session->holdings, spool, nursery);
    link_init(&session->link, zmq_context);
    surveys_init(&session->surveys);
    if (getrandom(&session->boot, sizeof session->boot, 0) < 0)
        abort(); /* cannot happen for 16 bytes */
}

void session_clear(struct session *session)
{
    link_close(&session->link, 0);
    surveys_clear(&session->surveys);
    holdings_clear(&session->holdings);
}

/* ---- ends ------------------------------------------------------------ */

void session_ended(struct session *session, struct held *held)
{
    log_event(LOG_LEVEL_INFO, "run.ended", "run=%.36s attempt=%u outcome=%s%s",
              held->name, held->attempt, outcome_names[held->outcome],
              held->doomed ? " unwanted=true" : "");
    held->behind = true;
    if (held->doomed)
        holdings_forget(&session->holdings, held);
}

void session_doom(struct session *session, struct held *held, int64_t now_ms,
                  const char *why)
{
    log_event(LOG_LEVEL_WARN, "run.unwanted", "run=%.36s attempt=%u why=\"%s\"",
              held->name, held->attempt, why);
    held->doomed = true;
    if (held->state == HELD_ENDED)
        holdings_forget(&session->holdings, held);
    else
        held_stop(held, now_ms, 0, why);
}

void session_drain(struct session *session, const char *reason)
{
    if (session->draining)
        return;
    session->draining = true;
    snprintf(session->drain_reason, sizeof session->drain_reason, "%s", reason);
    log_event(LOG_LEVEL_INFO, "agent.draining", "reason=\"%s\" running=%zu",
              reason, holdings_running(&session->holdings));
}

void session_cancel_all(struct session *session, int64_t now_ms,
                        int64_t grace_ms, const char *reason)
{
    for (size_t i = 0; i < session->holdings.count; i++)
        held_stop(session->holdings.list[i], now_ms, grace_ms, reason);
}

bool session_is_idle(const struct session *session, bool *ret_reported)
{
    *ret_reported = session->holdings.count == 0;
    return holdings_running(&session->holdings) == 0;
}

void session_leave(struct session *session)
{
    struct wire_msg bye = {.type = WIRE_BYE};

    if (session->state == SESSION_ONLINE) {
        bye.bye.code = WIRE_BYE_STOPPING;
        bye.bye.text = wire_text(session->drain_reason);
        session_post(session, &bye);
        link_flush(&session->link);
    }
    link_close(&session->link, LINK_FAREWELL_MS);
    session->state = SESSION_OFFLINE;
}

/* ---- RUN ------------------------------------------------------------- */

static void accept_run(struct session *session, struct held *held,
                       int64_t now_ms)
{
    struct wire_msg accepted = {.type = WIRE_ACCEPTED};

    if (session->state != SESSION_ONLINE)
        return; /* the next HELLO lists it */
    held->accepted_beat = ++session->beat;
    held->accepted_at = now_ms;
    held->agreed = true;
    held->behind = true;
    held->result_sent = false;
    accepted.accepted.run = held->run;
    accepted.accepted.attempt = held->attempt;
    accepted.accepted.started_unix_ms = held->started_unix_ms;
    accepted.accepted.beat = held->accepted_beat;
    session_post(session, &accepted);
}

static void refuse(struct session *session, const struct wire_id *run,
                   uint32_t attempt, enum wire_refusal code, const char *text)
{
    struct wire_msg refused = {.type = WIRE_REFUSED};
    char id[37];

    wire_id_text(run, id);
    log_event(LOG_LEVEL_WARN, "run.refused",
              "run=%s attempt=%u code=%d text=%s", id, attempt, (int)code,
              log_quote(text, strlen(text)).text);
    refused.refused.run = *run;
    refused.refused.attempt = attempt;
    refused.refused.code = (uint8_t)code;
    refused.refused.text = wire_text(text);
    session_post(session, &refused);
}

/* Why this run cannot be taken now; 0: it can. */
static enum wire_refusal objection(const struct session *session,
                                   const struct wire_msg *msg,
                                   char why[PLAN_WHY_MAX])
{
    const struct holdings *holdings = &session->holdings;
    struct plan *plan = NULL;

    if (session->draining) {
        snprintf(why, PLAN_WHY_MAX, "draining: %s", session->drain_reason);
        return WIRE_REFUSE_DRAINING;
    }
    if (holdings_find_live(holdings, &msg->run.run)) {
        snprintf(why, PLAN_WHY_MAX,
                 "an earlier attempt of this run is still here");
        return WIRE_REFUSE_NO_RESOURCES;
    }
    if (holdings_running(holdings) >= session->settings->slots) {
        snprintf(why, PLAN_WHY_MAX, "all %u slots are in use",
                 session->settings->slots);
        return WIRE_REFUSE_NO_SLOT;
    }
    if (holdings->count >= WIRE_HELD_MAX) {
        snprintf(why, PLAN_WHY_MAX,
                 "%zu ended runs wait for their acknowledgement",
                 holdings->count);
        return WIRE_REFUSE_NO_RESOURCES;
    }
    int rc = plan_read(msg->run.plan.ptr, msg->run.plan.len, &plan, why);
    if (rc == -ENOMEM) {
        snprintf(why, PLAN_WHY_MAX, "out of memory");
        return WIRE_REFUSE_NO_RESOURCES;
    }
    if (rc < 0)
        return WIRE_REFUSE_BAD_PLAN;
    enum executor_answer answer = executor_check(plan, why);
    plan_free(&plan);
    switch (answer) {
    case EXECUTOR_CAN:
        break;
    case EXECUTOR_NOT_CAPABLE:
        return WIRE_REFUSE_NOT_CAPABLE;
    case EXECUTOR_BAD_PLAN:
        return WIRE_REFUSE_BAD_PLAN;
    }
    return (enum wire_refusal)0;
}

static int begin_run(struct session *session, const struct wire_msg *msg,
                     const char *frame, size_t bytes, int64_t now_ms)
{
    char name[SPOOL_NAME_MAX];
    struct held *held;
    int dir_fd;

    spool_name(&msg->run.run, msg->run.attempt, name);
    int rc = spool_create_run(session->spool, name, frame, bytes, &dir_fd);
    if (rc < 0)
        return rc;
    rc = holdings_add(&session->holdings, name, dir_fd, HELD_STARTING, &held);
    if (rc < 0) {
        char trash[SPOOL_NAME_MAX];
        spool_forget(session->spool, name, trash);
        return rc;
    }
    held->timeout_ms = (int64_t)msg->run.timeout_ms;
    held->deadline_at = now_ms + msg->run.lease_ms;
    rc = nursery_spawn(session->nursery, name, held->deadline_at);
    if (rc < 0)
        holdings_forget(&session->holdings, held);
    return rc;
}

static void on_run(struct session *session, const struct wire_msg *msg,
                   const char *frame, size_t bytes, int64_t now_ms)
{
    const struct wire_id *run = &msg->run.run;
    uint32_t attempt = msg->run.attempt;
    char why[PLAN_WHY_MAX];
    struct held *held = holdings_find(&session->holdings, run, attempt);

    if (held) {
        /* Sent again: answered again. A STARTING one is answered soon. */
        if (held->state != HELD_STARTING && !held->doomed)
            accept_run(session, held, now_ms);
        return;
    }
    held = holdings_find_live(&session->holdings, run);
    if (held && !held->doomed && held->attempt < attempt)
        session_doom(session, held, now_ms,
                     "the dispatcher has begun a later attempt");
    enum wire_refusal code = objection(session, msg, why);
    if (code) {
        refuse(session, run, attempt, code, why);
        return;
    }
    int rc = begin_run(session, msg, frame, bytes, now_ms);
    if (rc < 0) {
        snprintf(why, sizeof why, "cannot begin the run: %s", strerror(-rc));
        refuse(session, run, attempt, WIRE_REFUSE_NO_RESOURCES, why);
    }
}

void session_on_word(struct session *session, const struct nursery_word *word,
                     int64_t now_ms)
{
    struct held *held = holdings_find_name(&session->holdings, word->name);
    char how[100];

    if (!held)
        return; /* ended, acknowledged and forgotten already */
    switch (word->kind) {
    case NURSERY_SPAWNED:
        if (held->state == HELD_STARTING)
            held->state = HELD_RUNNING;
        held->started_unix_ms = clock_unix_ms();
        log_event(LOG_LEVEL_INFO, "run.accepted",
                  "run=%.36s attempt=%u shepherd=%d", held->name, held->attempt,
                  (int)word->pid);
        if (held->doomed)
            held_tick(held, now_ms);
        else
            accept_run(session, held, now_ms);
        break;
    case NURSERY_REFUSED:
        snprintf(how, sizeof how, "cannot start a shepherd: %s",
                 strerror(word->error));
        refuse(session, &held->run, held->attempt, WIRE_REFUSE_NO_RESOURCES,
               how);
        holdings_forget(&session->holdings, held);
        break;
    case NURSERY_ENDED:
        if (WIFSIGNALED(word->status))
            snprintf(how, sizeof how, "killed by signal %d",
                     WTERMSIG(word->status));
        else
            snprintf(how, sizeof how, "exit code %d",
                     WEXITSTATUS(word->status));
        if (held_refresh(&session->holdings, held, how))
            session_ended(session, held);
        else if (held->state != HELD_ENDED)
            held->adopted = true; /* looked at again every second */
        break;
    }
}

void session_on_wake(struct session *session, const struct spool_wake *wake)
{
    struct held *held =
        holdings_find(&session->holdings, &wake->run, wake->attempt);

    if (held && held_refresh(&session->holdings, held, "no trace"))
        session_ended(session, held);
}

void session_on_stall(struct session *session, int64_t now_ms, int64_t stood_ms)
{
    char why[80];

    snprintf(why, sizeof why, "this agent stood still for %lld ms",
             (long long)stood_ms);
    session_drop(session, now_ms, why);
    session->next_try_at = now_ms;
}

/* ---- sizes ----------------------------------------------------------- */

/* A source of which nothing is known is not an error. */
static void say_estimated(struct session *session, uint64_t number,
                          struct estimate_answer *answer)
{
    struct wire_msg msg = {.type = WIRE_ESTIMATED};
    uint64_t sizes[WIRE_SOURCES_MAX];

    for (uint32_t i = 0; i < answer->count; i++)
        sizes[i] =
            answer->sizes[i] < 0 ? WIRE_UNKNOWN : (uint64_t)answer->sizes[i];
    msg.estimated.number = number;
    msg.estimated.sizes = sizes;
    msg.estimated.size_count = answer->count;
    msg.estimated.text.ptr = answer->why;
    msg.estimated.text.len =
        wire_mend(answer->why, strlen(answer->why), WIRE_TEXT_MAX);
    session_post(session, &msg);
}

static void on_estimate(struct session *session, const struct wire_msg *msg,
                        int64_t now_ms)
{
    const struct wire_bytes *sources = &msg->estimate.sources;
    struct estimate_answer none = {0};
    int rc =
        surveys_begin(&session->surveys, session->nursery, msg->estimate.number,
                      sources->ptr, sources->len, now_ms);

    if (rc == 0)
        return;
    snprintf(none.why, sizeof none.why, "%s",
             rc == -EBUSY ? "too many are being estimated" : strerror(-rc));
    say_estimated(session, msg->estimate.number, &none);
}

static void ship_estimates(struct session *session, int64_t now_ms)
{
    struct estimate_answer answer;
    uint64_t number;

    while (surveys_next(&session->surveys, now_ms, &number, &answer))
        say_estimated(session, number, &answer);
}

/* ---- messages -------------------------------------------------------- */

static void on_ack(struct session *session, const struct wire_msg *msg)
{
    struct held *held = holdings_find(&session->holdings, &msg->result_ack.run,
                                      msg->result_ack.attempt);

    if (held && held->state == HELD_ENDED)
        holdings_forget(&session->holdings, held);
    else
        session->unexpected++;
}

static void on_cancel(struct session *session, const struct wire_msg *msg,
                      int64_t now_ms)
{
    struct held *held = holdings_find(&session->holdings, &msg->cancel.run,
                                      msg->cancel.attempt);
    const struct wire_bytes *reason = &msg->cancel.reason;
    char text[SHEPHERD_REASON_MAX];

    if (!held) {
        session->unexpected++;
        return; /* the next RENEW does not list it */
    }
    if (held->state == HELD_ENDED) {
        held->result_sent = false; /* its RESULT may not have been seen */
        held->behind = true;
        return;
    }
    log_event(LOG_LEVEL_INFO, "run.cancelling",
              "run=%.36s attempt=%u grace_ms=%u reason=%s", held->name,
              held->attempt, msg->cancel.grace_ms,
              log_quote(reason->ptr, reason->len).text);
    snprintf(text, sizeof text, "cancelled%s%.*s", reason->len ? ": " : "",
             (int)reason->len, reason->len ? reason->ptr : "");
    held_stop(held, now_ms, msg->cancel.grace_ms, text);
}

static void on_malformed(struct session *session, int64_t now_ms,
                         const char *why)
{
    session->malformed++;
    if (session->malformed_said_at &&
        now_ms - session->malformed_said_at < SESSION_SAY_AGAIN_MS)
        return;
    session->malformed_said_at = now_ms;
    log_event(LOG_LEVEL_WARN, "message.malformed", "why=\"%s\" count=%llu", why,
              (unsigned long long)session->malformed);
}

static void on_message(struct session *session, const char *frame, size_t bytes,
                       int64_t now_ms)
{
    struct wire_msg msg;
    const char *why = "";
    int rc = wire_unpack(frame, bytes, &msg, &why);

    if (rc == -ENOENT)
        return; /* of a newer minor version */
    if (rc < 0) {
        on_malformed(session, now_ms,
                     rc == -ENOTSUP ? "another major version" : why);
        return;
    }
    bool online = session->state == SESSION_ONLINE;
    if (msg.type == WIRE_WELCOME)
        session_on_welcome(session, &msg, now_ms);
    else if (msg.type == WIRE_BYE)
        session_on_bye(session, &msg, now_ms);
    else if (online && msg.type == WIRE_RUN)
        on_run(session, &msg, frame, bytes, now_ms);
    else if (online && msg.type == WIRE_RESULT_ACK)
        on_ack(session, &msg);
    else if (online && msg.type == WIRE_RENEWED)
        session_on_renewed(session, &msg, now_ms);
    else if (online && msg.type == WIRE_CANCEL)
        on_cancel(session, &msg, now_ms);
    else if (online && msg.type == WIRE_ESTIMATE)
        on_estimate(session, &msg, now_ms);
    else if (online && msg.type == WIRE_DRAIN)
        session_drain(session, "the dispatcher asked for it");
    else /* before WELCOME, or one that only agents send */
        session->unexpected++;
    wire_clear(&msg);
}

static void receive(struct session *session, int64_t now_ms)
{
    zmq_msg_t msg;

    for (int i = 0; i < SESSION_BATCH && link_is_open(&session->link); i++) {
        int rc = link_receive(&session->link, &msg);
        if (rc == 0)
            return;
        if (rc < 0) {
            on_malformed(session, now_ms, "not one frame");
            continue;
        }
        on_message(session, zmq_msg_data(&msg), zmq_msg_size(&msg), now_ms);
        zmq_msg_close(&msg);
    }
}

/* ---- the turn -------------------------------------------------------- */

static void keep_time(struct session *session, int64_t now_ms)
{
    if (session->state == SESSION_OFFLINE && now_ms >= session->next_try_at &&
        !session->fatal)
        session_open(session, now_ms);
    if (session->state == SESSION_GREETING &&
        now_ms >= session->greeted_at + SESSION_GREETING_MS)
        session_drop(session, now_ms, "no answer to HELLO");
    if (session->state == SESSION_ONLINE && now_ms >= session->next_beat_at) {
        if (session->missed >= SESSION_BEATS_MISSED)
            session_drop(session, now_ms, "no answer for three beats");
        else
            session_renew(session, now_ms);
    }
    for (size_t i = 0; i < session->holdings.count; i++)
        held_tick(session->holdings.list[i], now_ms);
}

static void say_drain(struct session *session)
{
    struct wire_msg drain = {.type = WIRE_DRAIN};

    if (!session->draining || session->drain_said ||
        session->state != SESSION_ONLINE)
        return;
    drain.drain.reason = wire_text(session->drain_reason);
    session_post(session, &drain);
    session->drain_said = true;
}

void session_turn(struct session *session, int64_t now_ms)
{
    receive(session, now_ms);
    if (link_is_broken(&session->link)) {
        receive(session, now_ms); /* last words, a BYE perhaps */
        session_drop(session, now_ms, "the connection ended");
    }
    keep_time(session, now_ms);
    say_drain(session);
    if (session->state == SESSION_ONLINE)
        ship_estimates(session, now_ms);
    link_flush(&session->link);
    if (session->state == SESSION_ONLINE)
        session_ship(session, now_ms);
}

int64_t session_due(const struct session *session, int64_t now_ms)
{
    int64_t due = now_ms + 1000; /* adopted shepherds are looked at */

    if (session->state == SESSION_OFFLINE && session->next_try_at < due)
        due = session->next_try_at;
    if (session->state == SESSION_GREETING &&
        session->greeted_at + SESSION_GREETING_MS < due)
        due = session->greeted_at + SESSION_GREETING_MS;
    if (session->state == SESSION_ONLINE && session->next_beat_at < due)
        due = session->next_beat_at;
    if (surveys_due(&session->surveys) < due)
        due = surveys_due(&session->surveys);
    return due;
}
