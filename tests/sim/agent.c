/*
 * agent.c - fake agents. See sim.h
 *
 * What an agent promises, as WIRE.md says: an attempt it received is accepted
 * at once and starts only when the broker answered that acceptance (RENEWED,
 * or WELCOME after a reconnect). It stops by itself at its deadline, counted
 * from when the beat that was answered was sent, whether or not the agent is
 * there: the shepherd is a process of its own. What ended is kept and sent
 * until it is acknowledged.
 */
#include "tests/sim/sim.h"

#include <stdlib.h>
#include <string.h>

/* ---- what it holds --------------------------------------------------- */

static struct holding *find_held(struct fake *a, const struct run_id *run,
                                 uint32_t attempt)
{
    for (size_t i = 0; i < a->held_count; i++)
        if (a->held[i].attempt == attempt &&
            memcmp(a->held[i].run.b, run->b, sizeof run->b) == 0)
            return &a->held[i];
    return NULL;
}

static struct holding *find_serial(struct fake *a, uint64_t serial)
{
    for (size_t i = 0; i < a->held_count; i++)
        if (a->held[i].serial == serial)
            return &a->held[i];
    return NULL;
}

static void forget(struct fake *a, struct holding *h)
{
    *h = a->held[--a->held_count];
}

static void execution_ends(struct world *w, struct fake *a, struct holding *h,
                           enum attempt_outcome outcome)
{
    h->phase = HELD_ENDED;
    h->outcome = outcome;
    trace(w, "%s ends %s/%u %s", a->name, short_id(&h->run), h->attempt,
          attempt_outcome_name(outcome));
    model_exec_ends(w, a, h);
}

/* Killed and forgotten: the broker said it is not ours. */
static void drop(struct world *w, struct fake *a, struct holding *h)
{
    if (h->phase == HELD_EXECUTING)
        execution_ends(w, a, h, ATTEMPT_LAPSED);
    forget(a, h);
}

static uint32_t busy(const struct fake *a)
{
    uint32_t count = 0;

    for (size_t i = 0; i < a->held_count; i++)
        count += a->held[i].phase != HELD_ENDED;
    return count;
}

/* ---- sending --------------------------------------------------------- */

static bool can_talk(const struct fake *a)
{
    return a->up && !a->stopped && a->session != 0;
}

static void send_about(struct world *w, struct fake *a, enum msg_type type,
                       const struct holding *h)
{
    struct msg *msg = msg_new(type);

    msg->run = h->run;
    msg->attempt = h->attempt;
    msg->beat = h->accept_beat;
    msg->outcome = h->outcome;
    msg->event = h->events;
    to_broker(w, a, msg);
}

static void send_result(struct world *w, struct fake *a,
                        const struct holding *h)
{
    if (can_talk(a) && a->welcomed)
        send_about(w, a, MSG_RESULT, h);
}

static uint64_t next_beat(struct world *w, struct fake *a, bool is_renew)
{
    uint64_t beat = ++a->beat;

    a->beat_sent_ms[beat % SIM_BEATS] = w->now_ms;
    a->beat_is_renew[beat % SIM_BEATS] = is_renew;
    return beat;
}

static void list_held(struct fake *a, struct msg *msg)
{
    msg->list = must(calloc(a->held_count + 2, sizeof *msg->list));
    for (size_t i = 0; i < a->held_count; i++)
        msg->list[msg->list_count++] =
            (struct held){.run = a->held[i].run,
                          .attempt = a->held[i].attempt,
                          .keep = a->held[i].phase != HELD_ENDED};
}

/* A liar claims to hold what another agent holds. */
static void list_foreign(struct world *w, const struct fake *a, struct msg *msg)
{
    const struct model *m = &w->model;

    if (!a->liar || m->active_count == 0)
        return;
    const struct truth_run *run =
        &m->runs[m->active[rnd_below(w, m->active_count)]];
    if (run->attempt == 0 || run->attempt > run->attempt_count ||
        run->attempts[run->attempt - 1].agent == a->index)
        return;
    w->count.lie++;
    trace(w, "%s claims %s/%u", a->name, short_id(&run->id), run->attempt);
    msg->list[msg->list_count++] =
        (struct held){.run = run->id, .attempt = run->attempt, .keep = true};
}

static void say_hello(struct world *w, struct fake *a)
{
    struct msg *msg = msg_new(MSG_HELLO);

    a->session = session_open(w, a->index);
    a->out_at_ms = a->in_at_ms = w->now_ms; /* a new connection */
    a->welcomed = false;
    a->hello_ms = a->heard_ms = w->now_ms;
    msg->agent = a->index;
    msg->slots = a->slots;
    msg->draining = a->draining;
    memcpy(msg->boot, a->boot, sizeof msg->boot);
    list_held(a, msg);
    list_foreign(w, a, msg);
    to_broker(w, a, msg);
    trace(w, "%s says hello on %llu with %zu held", a->name,
          (unsigned long long)a->session, a->held_count);
    event_add(w, w->now_ms + 5000, EV_SILENCE, a->index, a->session, NULL);
}

void agent_cut(struct world *w, struct fake *a, bool lose,
               uint64_t noticed_in_ms)
{
    struct msg *msg;

    if (a->session == 0)
        return;
    trace(w, "%s is cut from session %llu%s", a->name,
          (unsigned long long)a->session, lose ? ", losing" : "");
    if (lose)
        w->sessions[a->session].cut_ms = w->now_ms;
    msg = msg_new(MSG_GONE);
    msg->session = a->session;
    uint64_t at = w->now_ms + noticed_in_ms;
    /* The end of a connection is seen after what it delivered. */
    event_add(w, at > a->out_at_ms || lose ? at : a->out_at_ms, EV_TO_BROKER,
              a->index, 0, msg);
    a->session = 0;
    a->welcomed = false;
    if (a->up)
        event_add(w, w->now_ms + rnd_between(w, 50, w->faults ? 3000 : 300),
                  EV_CONNECT, a->index, 0, NULL);
}

/* ---- executing ------------------------------------------------------- */

/* The shepherd kills a little late, but within the broker's margin. */
static void plan_deadline(struct world *w, struct fake *a, struct holding *h)
{
    event_add(w, h->deadline_ms + rnd_below(w, w->config.margin_ms / 2),
              EV_DEADLINE, a->index, h->serial, NULL);
}

static enum attempt_outcome plan_outcome(struct world *w)
{
    uint64_t roll = rnd_below(w, 100);

    if (roll < 84 || w->healing)
        return ATTEMPT_COMPLETED;
    return roll < 96 ? ATTEMPT_FAILED : ATTEMPT_TIMED_OUT;
}

static uint64_t plan_length(struct world *w)
{
    if (w->healing)
        return rnd_between(w, 1, 300);
    if (chance(w, 30))
        return rnd_between(w, 1, w->exec_max_ms); /* a long one */
    return rnd_between(w, 1, w->mean_ms * 2);
}

static void start(struct world *w, struct fake *a, struct holding *h)
{
    if (h->cancelled) {
        h->phase = HELD_ENDED;
        h->outcome = ATTEMPT_CANCELLED;
        send_result(w, a, h);
        return;
    }
    if (h->deadline_ms <= w->now_ms) { /* the answer came too late to begin */
        h->phase = HELD_ENDED;
        h->outcome = ATTEMPT_LAPSED;
        send_result(w, a, h);
        return;
    }
    h->phase = HELD_EXECUTING;
    h->outcome = plan_outcome(w);
    trace(w, "%s starts %s/%u until %llu", a->name, short_id(&h->run),
          h->attempt, (unsigned long long)h->deadline_ms);
    model_exec_begins(w, a, h);
    plan_deadline(w, a, h);
    event_add(w, w->now_ms + plan_length(w), EV_EXEC_END, a->index, h->serial,
              NULL);
    h->events = 1;
    if (can_talk(a))
        send_about(w, a, MSG_NODE, h);
}

static void renewed_until(struct world *w, struct fake *a, struct holding *h,
                          uint64_t deadline_ms)
{
    if (deadline_ms > h->deadline_ms)
        h->deadline_ms = deadline_ms;
    if (h->phase == HELD_RECEIVED)
        start(w, a, h);
}

/* ---- what it hears --------------------------------------------------- */

static void hear_push(struct world *w, struct fake *a, const struct msg *msg)
{
    struct holding h = {.run = msg->run, .attempt = msg->attempt};
    uint32_t executing = 0;

    for (size_t i = 0; i < a->held_count; i++)
        executing += a->held[i].phase == HELD_EXECUTING;
    if (executing >= a->slots)
        sim_fail(w, "%s got %s/%u beyond its %u slots, all executing", a->name,
                 short_id(&msg->run), msg->attempt, a->slots);
    bool unwilling = w->faults && chance(w, 15);
    if (a->draining || busy(a) >= a->slots || a->held_count == SIM_HELD_MAX ||
        unwilling) {
        struct msg *refusal = msg_new(MSG_REFUSED);
        refusal->run = msg->run;
        refusal->attempt = msg->attempt;
        refusal->fatal = unwilling && chance(w, 200);
        if (refusal->fatal) {
            struct truth_run *run = model_run(&w->model, &msg->run);
            struct truth_attempt *attempt =
                run != NULL ? model_attempt(run, msg->attempt) : NULL;
            if (attempt != NULL)
                attempt->refused_for_good = true;
        }
        w->count.refusal++;
        trace(w, "%s refuses %s/%u%s", a->name, short_id(&msg->run),
              msg->attempt, refusal->fatal ? " for good" : "");
        to_broker(w, a, refusal);
        return;
    }
    h.serial = ++w->serial;
    h.phase = HELD_RECEIVED;
    h.accept_beat = next_beat(w, a, false);
    a->held[a->held_count++] = h;
    send_about(w, a, MSG_ACCEPTED, &h);
    event_add(w, w->now_ms + msg->lease_ms, EV_GIVE_UP, a->index, h.serial,
              NULL);
}

static void hear_renewed(struct world *w, struct fake *a, const struct msg *msg)
{
    if (msg->beat == 0 || msg->beat > a->beat ||
        a->beat - msg->beat >= SIM_BEATS)
        return;
    uint64_t deadline = a->beat_sent_ms[msg->beat % SIM_BEATS] + msg->lease_ms;
    bool is_renew = a->beat_is_renew[msg->beat % SIM_BEATS];

    for (size_t i = 0; i < msg->list_count; i++) {
        struct holding *h =
            find_held(a, &msg->list[i].run, msg->list[i].attempt);
        if (h != NULL && (h->phase != HELD_ENDED || is_renew))
            drop(w, a, h);
    }
    for (size_t i = 0; i < a->held_count; i++) {
        struct holding *h = &a->held[i];
        bool listed =
            is_renew ? h->accept_beat < msg->beat : h->accept_beat == msg->beat;
        if (listed && h->phase != HELD_ENDED)
            renewed_until(w, a, h, deadline);
    }
}

static void hear_welcome(struct world *w, struct fake *a, const struct msg *msg)
{
    uint64_t deadline = a->hello_ms + msg->lease_ms;
    size_t told = 0;

    a->welcomed = true;
    for (size_t i = 0; i < msg->list_count; i++) {
        struct holding *h =
            find_held(a, &msg->list[i].run, msg->list[i].attempt);
        if (h == NULL)
            continue;
        if (!msg->list[i].keep) {
            drop(w, a, h);
            continue;
        }
        told++;
        h->accept_beat = 0; /* known to the broker: every beat counts */
        if (h->phase != HELD_ENDED)
            renewed_until(w, a, h, deadline);
        else
            send_result(w, a, h);
    }
    if (told != a->held_count)
        sim_fail(w, "%s holds %zu attempts, WELCOME speaks of %zu", a->name,
                 a->held_count, told);
}

static void hear_cancel(struct world *w, struct fake *a, const struct msg *msg)
{
    struct holding *h = find_held(a, &msg->run, msg->attempt);

    if (h == NULL || h->phase == HELD_ENDED)
        return;
    h->cancelled = true;
    if (h->phase == HELD_EXECUTING)
        event_add(w, w->now_ms + rnd_below(w, msg->grace_ms + 50), EV_EXEC_END,
                  a->index, h->serial, NULL);
}

static void hear(struct world *w, struct fake *a, const struct msg *msg)
{
    struct holding *h;

    a->heard_ms = w->now_ms;
    switch (msg->type) {
    case MSG_PUSH:
        hear_push(w, a, msg);
        break;
    case MSG_RENEWED:
        hear_renewed(w, a, msg);
        break;
    case MSG_WELCOME:
        hear_welcome(w, a, msg);
        break;
    case MSG_STOP:
        hear_cancel(w, a, msg);
        break;
    case MSG_ACK:
        h = find_held(a, &msg->run, msg->attempt);
        if (h == NULL || h->phase != HELD_ENDED)
            break;
        model_acknowledged(w, h);
        forget(a, h);
        break;
    case MSG_REJECTED:
        agent_cut(w, a, false, 0);
        break;
    case MSG_DRAIN:
    default:
        break;
    }
}

void agent_deliver(struct world *w, struct msg *msg)
{
    struct fake *a = &w->agents[w->sessions[msg->session].agent];

    if (a->session != msg->session || !a->up ||
        w->now_ms > w->sessions[msg->session].cut_ms) {
        msg_free(msg);
        return;
    }
    if (a->stopped) {
        if (a->backlog_count < sizeof a->backlog / sizeof a->backlog[0])
            a->backlog[a->backlog_count++] = msg;
        else
            msg_free(msg);
        return;
    }
    hear(w, a, msg);
    msg_free(msg);
}

/* ---- its own time ---------------------------------------------------- */

static void beat(struct world *w, struct fake *a)
{
    event_add(w,
              w->now_ms + w->config.lease_ms / 3 -
                  rnd_below(w, w->config.lease_ms / 20),
              EV_RENEW, a->index, 0, NULL);
    if (!can_talk(a))
        return;
    if (w->now_ms - a->heard_ms > w->config.lease_ms) {
        w->count.silence++;
        agent_cut(w, a, true, rnd_below(w, 3000));
        return;
    }
    if (!a->welcomed)
        return;
    struct msg *msg = msg_new(MSG_RENEW);
    msg->beat = next_beat(w, a, true);
    list_held(a, msg);
    to_broker(w, a, msg);
    for (size_t i = 0; i < a->held_count; i++) /* again until acknowledged */
        if (a->held[i].phase == HELD_ENDED)
            send_result(w, a, &a->held[i]);
    for (size_t i = 0; i < a->held_count; i++) { /* how far it is */
        struct holding *h = &a->held[i];
        for (uint64_t n = rnd_below(w, 4); h->phase == HELD_EXECUTING && n > 0;
             n--) {
            h->events++;
            send_about(w, a, MSG_NODE, h);
        }
    }
}

static void exec_end(struct world *w, struct fake *a, struct holding *h)
{
    if (h->phase != HELD_EXECUTING)
        return;
    if (h->cancelled && chance(w, 900))
        h->outcome = ATTEMPT_CANCELLED;
    execution_ends(w, a, h, h->outcome);
    h->events++;
    if (can_talk(a) && a->welcomed)
        send_about(w, a, MSG_LOG, h);
    send_result(w, a, h);
}

static void resume(struct world *w, struct fake *a)
{
    a->stopped = false;
    trace(w, "%s goes on with %zu messages", a->name, a->backlog_count);
    for (size_t i = 0; i < a->backlog_count; i++) {
        if (a->backlog[i]->session == a->session)
            hear(w, a, a->backlog[i]);
        msg_free(a->backlog[i]);
    }
    a->backlog_count = 0;
}

static void connect_again(struct world *w, struct fake *a)
{
    if (!a->up || a->session != 0)
        return;
    if (a->stopped || w->ledger == NULL)
        event_add(w, w->now_ms + rnd_between(w, 50, 500), EV_CONNECT, a->index,
                  0, NULL);
    else
        say_hello(w, a);
}

void agent_event(struct world *w, const struct event *event)
{
    struct fake *a = &w->agents[event->agent];
    struct holding *h = find_serial(a, event->serial);

    switch (event->kind) {
    case EV_RENEW:
        beat(w, a);
        break;
    case EV_EXEC_END:
        if (h != NULL)
            exec_end(w, a, h);
        break;
    case EV_DEADLINE:
        if (h == NULL || h->phase != HELD_EXECUTING)
            break;
        if (h->deadline_ms <= w->now_ms) {
            execution_ends(w, a, h, ATTEMPT_LAPSED);
            send_result(w, a, h);
        } else {
            plan_deadline(w, a, h);
        }
        break;
    case EV_GIVE_UP:
        if (h != NULL && h->phase == HELD_RECEIVED && a->session == 0)
            forget(a, h);
        break;
    case EV_CONNECT:
        connect_again(w, a);
        break;
    case EV_SILENCE:
        if (a->session == event->serial && !a->welcomed && !a->stopped) {
            w->count.silence++;
            agent_cut(w, a, true, rnd_below(w, 1000));
        }
        break;
    case EV_AGENT_START:
        if (!a->up)
            agent_boot(w, a);
        break;
    case EV_RESUME:
        if (a->stopped)
            resume(w, a);
        break;
    default:
        break;
    }
}

void agent_boot(struct world *w, struct fake *a)
{
    a->up = true;
    a->draining = false;
    a->stopped = false;
    for (size_t i = 0; i < sizeof a->boot; i++)
        a->boot[i] = (uint8_t)rnd(w);
    if (w->faults && !a->universal && chance(w, 100))
        a->slots = (uint32_t)rnd_between(w, 1, 8);
    trace(w, "%s boots with %u slots", a->name, a->slots);
    event_add(w, w->now_ms + rnd_between(w, 1, 200), EV_CONNECT, a->index, 0,
              NULL);
}

/* ---- what may befall it ---------------------------------------------- */

/* The process dies; shepherds live on, unless the machine dies. What was only
 * received is lost with the process; results are on disk. */
void agent_crash(struct world *w, struct fake *a, bool machine, bool disk_too,
                 uint64_t down_ms)
{
    if (!a->up)
        return;
    trace(w, "%s %s", a->name, machine ? "loses its machine" : "crashes");
    a->up = false;
    a->stopped = false;
    agent_cut(w, a, true, rnd_below(w, w->faults ? 6000 : 10));
    for (size_t i = 0; i < a->backlog_count; i++)
        msg_free(a->backlog[i]);
    a->backlog_count = 0;
    for (size_t i = a->held_count; i-- > 0;) {
        struct holding *h = &a->held[i];
        if (h->phase == HELD_EXECUTING && machine) {
            execution_ends(w, a, h, ATTEMPT_LAPSED);
            forget(a, h);
        } else if (h->phase == HELD_RECEIVED ||
                   (h->phase == HELD_ENDED && disk_too)) {
            forget(a, h);
        }
    }
    event_add(w, w->now_ms + down_ms, EV_AGENT_START, a->index, 0, NULL);
}

void agent_stop(struct world *w, struct fake *a, uint64_t for_ms)
{
    if (!a->up || a->stopped)
        return;
    trace(w, "%s is stopped for %llu ms", a->name, (unsigned long long)for_ms);
    a->stopped = true;
    event_add(w, w->now_ms + for_ms, EV_RESUME, a->index, 0, NULL);
}

void agent_drain(struct world *w, struct fake *a)
{
    if (!can_talk(a) || a->draining)
        return;
    trace(w, "%s drains", a->name);
    a->draining = true;
    to_broker(w, a, msg_new(MSG_DRAINING));
}

/* Says something about an attempt that is not its own, or repeats itself. */
void agent_lie(struct world *w, struct fake *a)
{
    static const enum msg_type lies[] = {MSG_ACCEPTED, MSG_REFUSED, MSG_NODE,
                                         MSG_LOG,      MSG_RESULT,  MSG_RENEW};
    struct model *m = &w->model;

    if (!can_talk(a) || !a->welcomed || m->run_count == 0)
        return;
    const struct truth_run *run = &m->runs[rnd_below(w, m->run_count)];
    struct holding h = {.run = run->id,
                        .attempt = run->attempt + (uint32_t)rnd_below(w, 3),
                        .outcome = ATTEMPT_COMPLETED,
                        .events = rnd_below(w, 5)};
    if (h.attempt > 0 && chance(w, 500))
        h.attempt--;
    if (h.attempt == 0 || find_held(a, &h.run, h.attempt) != NULL)
        return;
    if (h.attempt <= run->attempt_count &&
        run->attempts[h.attempt - 1].agent == a->index &&
        run->attempts[h.attempt - 1].granted != 0)
        return; /* about its own it tells the truth */
    enum msg_type type = lies[rnd_below(w, sizeof lies / sizeof lies[0])];
    w->count.lie++;
    trace(w, "%s lies about %s/%u", a->name, short_id(&h.run), h.attempt);
    if (type != MSG_RENEW) {
        send_about(w, a, type, &h);
        return;
    }
    struct msg *msg = msg_new(MSG_RENEW);
    msg->beat = next_beat(w, a, true);
    msg->list = must(calloc(a->held_count + 2, sizeof *msg->list));
    for (size_t i = 0; i < a->held_count; i++)
        msg->list[msg->list_count++] =
            (struct held){.run = a->held[i].run, .attempt = a->held[i].attempt};
    msg->list[msg->list_count++] =
        (struct held){.run = h.run, .attempt = h.attempt};
    to_broker(w, a, msg);
}

/* ---- for people ------------------------------------------------------ */

void agent_explain_stuck(struct world *w)
{
    for (size_t i = 0; i < w->agent_count; i++) {
        const struct fake *a = &w->agents[i];
        if (a->held_count == 0)
            continue;
        sim_fail(
            w,
            "all runs ended, and %s (%s, %s, session %llu%s) still holds "
            "%zu, first %s/%u in phase %d",
            a->name, a->up ? "up" : "down", a->stopped ? "stopped" : "going",
            (unsigned long long)a->session, a->welcomed ? "" : ", not welcomed",
            a->held_count, short_id(&a->held[0].run), a->held[0].attempt,
            (int)a->held[0].phase);
    }
    sim_fail(w, "all runs ended, and the ledger counts leases");
}
