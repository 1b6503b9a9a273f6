/*
 * broker.c - the broker's loop in the simulator: what arrived is applied in one
 * turn, committed, and only then are effects sent. And its crashes: at any
 * moment, with the turn lost or with the turn committed and its effects lost
 * in part. See sim.h
 */
#include "tests/sim/sim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct store_options store_options = {
    .map_bytes = (size_t)1 << 30,
    .keep_writes = true,
    .unsafe_no_sync = true,
};

void broker_plan(struct world *w, uint64_t at_ms)
{
    if (at_ms < w->now_ms)
        at_ms = w->now_ms;
    if (at_ms < w->stalled_until_ms)
        at_ms = w->stalled_until_ms;
    if (at_ms >= w->turn_at_ms)
        return; /* one is planned before */
    w->turn_at_ms = at_ms;
    event_add(w, at_ms, EV_TURN, 0, at_ms, NULL);
}

void broker_note(struct world *w, struct msg *msg)
{
    if (w->inbox_count == w->inbox_room) {
        w->inbox_room = w->inbox_room * 2 + 64;
        w->inbox = must(
            realloc((void *)w->inbox, w->inbox_room * sizeof(struct msg *)));
    }
    w->inbox[w->inbox_count++] = msg;
    broker_plan(w, w->now_ms + rnd_below(w, 3));
}

static void clear_inbox(struct world *w)
{
    for (size_t i = 0; i < w->inbox_count; i++)
        msg_free(w->inbox[i]);
    w->inbox_count = 0;
}

/* ---- up and down ----------------------------------------------------- */

void broker_start(struct world *w)
{
    char why[STORE_WHY_MAX];

    int err = store_open(w->dir, &store_options, &w->store, why);
    if (err == 0 && w->turns == 0)
        w->model.turn = store_turn(w->store);
    if (err == 0)
        err = ledger_open(w->store, &w->config, w->now_ms, unix_now(w), rnd(w),
                          &w->ledger, why);
    if (err != 0) {
        sim_fail(w, "the broker cannot start: %s", why);
        return;
    }
    trace(w, "broker starts");
    w->broker_draining = false;
    w->turn_at_ms = UINT64_MAX;
    model_reopened(w);
    broker_plan(w, ledger_next_ms(w->ledger));
}

static void broker_down(struct world *w)
{
    ledger_close(&w->ledger);
    store_close(&w->store);
    clear_inbox(w);
    model_sessions_lost(w);
}

/* Every connection ends with the process; agents notice soon or late. */
void broker_crash(struct world *w, uint64_t down_ms)
{
    if (w->ledger == NULL)
        return;
    trace(w, "broker is gone for %llu ms", (unsigned long long)down_ms);
    broker_down(w);
    for (size_t i = 0; i < w->agent_count; i++)
        agent_cut(w, &w->agents[i], true, 0);
    if (w->faults && w->clock_jumps && chance(w, 300)) {
        /* somebody sets the clock */
        int64_t step_ms = (int64_t)rnd_between(w, 0, 20000) - 10000;
        w->unix_base_ms += step_ms;
        w->clock_went_back |= step_ms < 0;
        w->count.clock_set++;
    }
    event_add(w, w->now_ms + down_ms, EV_BROKER_START, 0, 0, NULL);
}

/* ---- inputs ---------------------------------------------------------- */

static struct effect_attempt *attempts_of(const struct msg *msg)
{
    struct effect_attempt *list =
        must(calloc(msg->list_count + 1, sizeof *list));

    for (size_t i = 0; i < msg->list_count; i++)
        list[i] = (struct effect_attempt){.run = msg->list[i].run,
                                          .attempt = msg->list[i].attempt,
                                          .keep = msg->list[i].keep};
    return list;
}

static int apply_hello(struct world *w, const struct msg *msg)
{
    const struct fake *a = &w->agents[msg->agent];
    const char *pools[SIM_POOLS], *caps[SIM_CAPS];
    struct effect_attempt *held = attempts_of(msg);
    struct agent_hello hello = {.name = a->name,
                                .slots = msg->slots,
                                .pools = pools,
                                .caps = caps,
                                .held = held,
                                .held_count = msg->list_count,
                                .host = "sim",
                                .software = "sim",
                                .pid = 1,
                                .draining = msg->draining,
                                .greeting = msg->session};
    enum hello_answer answer = HELLO_BAD;
    char text[LEDGER_TEXT_MAX];

    memcpy(hello.boot, msg->boot, sizeof hello.boot);
    for (size_t i = 0; i < w->config.pool_count; i++)
        if ((a->pools >> i & 1) != 0)
            pools[hello.pool_count++] = w->config.pools[i].name;
    for (size_t i = 0; i < SIM_CAPS; i++)
        if ((a->caps >> i & 1) != 0)
            caps[hello.cap_count++] = sim_caps[i];
    int err =
        ledger_agent_hello(w->ledger, msg->session, &hello, &answer, text);
    free(held);
    if (err != 0)
        return err;
    struct model_agent *known = &w->model.agents[msg->agent];
    if (answer == HELLO_OK) {
        known->session = msg->session;
        known->slots = msg->slots;
        known->draining = msg->draining;
        known->heard_ms = w->now_ms;
        w->sessions[msg->session].open = true;
    } else {
        to_agent(w, msg->session, msg_new(MSG_REJECTED));
    }
    return 0;
}

static int apply_submit(struct world *w, const struct msg *msg)
{
    static const char plan[] = "{\"nodes\":[]}";
    struct admission admission;

    int err = ledger_submit(w->ledger, msg->origin,
                            (struct span){plan, sizeof plan - 1},
                            (struct span){NULL, 0}, &admission);
    if (err != 0)
        return err;
    if (admission.answer == ADMIT_OK) {
        model_submitted(w, &admission.run, msg->origin);
        w->submitted++;
    } else {
        w->refused++;
    }
    hash_number(w, (uint64_t)admission.answer);
    return 0;
}

/* Answers that are errno-like refusals are no errors here. */
static int refusal(int err)
{
    return err == -ENOENT || err == -EINVAL ? 0 : err;
}

static int apply_operator(struct world *w, const struct msg *msg)
{
    struct model *m = &w->model;
    const char *pool = w->config.pools[msg->pool].name;
    int err;

    switch (msg->type) {
    case MSG_POOL_VERB: {
        static const enum pool_state states[] = {[VERB_PAUSE] = POOL_PAUSED,
                                                 [VERB_RESUME] = POOL_OPEN,
                                                 [VERB_DRAIN] = POOL_DRAINING,
                                                 [VERB_CLOSE] = POOL_CLOSED};
        err = ledger_pool_verb(w->ledger, pool, msg->verb, msg->for_ms, "sim",
                               "a reason");
        if (err == 0) {
            m->pools[msg->pool].state = states[msg->verb];
            m->pools[msg->pool].until_unix_ms =
                msg->for_ms == 0 || msg->verb == VERB_RESUME
                    ? 0
                    : unix_now(w) + (int64_t)msg->for_ms;
        }
        return refusal(err);
    }
    case MSG_POOL_SET:
        err = ledger_pool_set(w->ledger, pool, msg->change, "sim");
        if (err != 0)
            return refusal(err);
        struct pool_config *config = &m->pools[msg->pool].config;
        if (msg->change->reset)
            *config = w->config.pools[msg->pool];
        if (msg->change->set_limit)
            config->limit = msg->change->limit;
        if (msg->change->set_max_size)
            config->max_size = msg->change->max_size;
        if (msg->change->set_fallback) {
            memcpy(config->fallback, msg->change->fallback,
                   sizeof config->fallback);
            config->fallback_count = msg->change->fallback_count;
        }
        return 0;
    case MSG_AGENT_VERB:
        err = ledger_agent_verb(w->ledger, w->agents[msg->agent].name,
                                msg->verb, "sim", "a reason");
        if (err == 0)
            m->agents[msg->agent].state = msg->verb == VERB_PAUSE ? POOL_PAUSED
                                          : msg->verb == VERB_DRAIN
                                              ? POOL_DRAINING
                                              : POOL_OPEN;
        return refusal(err);
    default:
        ledger_drain(w->ledger);
        w->broker_draining = true;
        return 0;
    }
}

/* Only a session the ledger knows is heard. */
static void hear_session(struct world *w, uint64_t session)
{
    uint32_t index = w->sessions[session].agent;

    if (w->model.agents[index].session == session)
        w->model.agents[index].heard_ms = w->now_ms;
}

static int apply_of_attempt(struct world *w, const struct msg *msg)
{
    struct node_record node = {
        .state = RUN_NODE_RUNNING, .exit_code = -1, .rows_out = msg->event};
    struct log_record log = {.stream = 1, .text = "hello\n", .text_bytes = 6};
    struct result result = {
        .outcome = msg->outcome,
        .started_unix_ms = unix_now(w),
        .ended_unix_ms = unix_now(w),
        .events = msg->event,
        .error = msg->outcome == ATTEMPT_COMPLETED ? NULL : "it did not work"};

    switch (msg->type) {
    case MSG_ACCEPTED:
        return ledger_accepted(w->ledger, msg->session, &msg->run, msg->attempt,
                               unix_now(w), msg->beat);
    case MSG_UNSENT:
        return ledger_unsent(w->ledger, msg->session, &msg->run, msg->attempt);
    case MSG_REFUSED:
        return ledger_refused(w->ledger, msg->session, &msg->run, msg->attempt,
                              msg->fatal, "not today");
    case MSG_NODE:
        return ledger_node(w->ledger, msg->session, &msg->run, msg->attempt,
                           msg->event, &node);
    case MSG_LOG:
        return ledger_log(w->ledger, msg->session, &msg->run, msg->attempt,
                          msg->event, &log);
    default:
        return ledger_result(w->ledger, msg->session, &msg->run, msg->attempt,
                             &result);
    }
}

static int apply_agent(struct world *w, const struct msg *msg)
{
    struct effect_attempt *list;
    uint32_t index = w->sessions[msg->session].agent;
    struct model_agent *known = &w->model.agents[index];
    int err;

    if (msg->type != MSG_UNSENT)
        hear_session(w, msg->session);
    if (msg->type == MSG_REFUSED || msg->type == MSG_UNSENT)
        known->gave_back_ms = w->now_ms;
    switch (msg->type) {
    case MSG_HELLO:
        return apply_hello(w, msg);
    case MSG_RENEW:
        list = attempts_of(msg);
        err = ledger_renew(w->ledger, msg->session, msg->beat, list,
                           msg->list_count);
        free(list);
        return err;
    case MSG_DRAINING:
        if (known->session == msg->session)
            known->draining = true;
        return ledger_agent_draining(w->ledger, msg->session);
    case MSG_GONE:
        if (known->session == msg->session)
            known->session = 0;
        w->sessions[msg->session].open = false;
        return ledger_agent_gone(w->ledger, msg->session, "cut");
    default:
        return apply_of_attempt(w, msg);
    }
}

static int apply(struct world *w, const struct msg *msg)
{
    enum cancel_answer answer;

    hash_number(w, (uint64_t)msg->type << 32 | msg->attempt);
    hash_in(w, msg->run.b, sizeof msg->run.b);
    switch (msg->type) {
    case MSG_SUBMIT:
        return apply_submit(w, msg);
    case MSG_CANCEL:
        return ledger_cancel(w->ledger, &msg->run, "sim", "a reason", &answer);
    case MSG_POOL_VERB:
    case MSG_POOL_SET:
    case MSG_AGENT_VERB:
    case MSG_DRAIN:
        return apply_operator(w, msg);
    default:
        return apply_agent(w, msg);
    }
}

/* ---- effects --------------------------------------------------------- */

static struct msg *message_of(const struct effect *e)
{
    static const enum msg_type types[] = {
        [EFFECT_PUSH] = MSG_PUSH,       [EFFECT_CANCEL] = MSG_STOP,
        [EFFECT_ACK] = MSG_ACK,         [EFFECT_WELCOME] = MSG_WELCOME,
        [EFFECT_RENEWED] = MSG_RENEWED, [EFFECT_DRAIN] = MSG_DRAIN,
    };

    if (e->type > EFFECT_DRAIN || e->session == 0)
        return NULL;
    struct msg *msg = msg_new(types[e->type]);
    msg->run = e->run;
    msg->attempt = e->attempt;
    msg->beat = e->beat;
    msg->lease_ms = e->lease_ms;
    msg->grace_ms = e->grace_ms;
    if (e->attempts != NULL && e->attempt_count > 0) {
        msg->list = must(calloc(e->attempt_count, sizeof *msg->list));
        for (size_t i = 0; i < e->attempt_count; i++)
            msg->list[i] = (struct held){.run = e->attempts[i].run,
                                         .attempt = e->attempts[i].attempt,
                                         .keep = e->attempts[i].keep};
        msg->list_count = e->attempt_count;
    }
    return msg;
}

static void hash_effect(struct world *w, const struct effect *e)
{
    hash_number(w, (uint64_t)e->type << 40 | e->attempt);
    hash_number(w, e->session ^ e->beat << 20);
    hash_in(w, e->run.b, sizeof e->run.b);
    hash_number(w, (uint64_t)e->state);
    if (e->word != NULL)
        hash_in(w, e->word, strlen(e->word));
    if (e->text != NULL)
        hash_in(w, e->text, strlen(e->text));
}

static void carry_out(struct world *w, const struct effect *effects,
                      size_t count, size_t sent)
{
    for (size_t i = 0; i < count && w->failure[0] == '\0'; i++) {
        const struct effect *e = &effects[i];
        hash_effect(w, e);
        if (e->type == EFFECT_NOTE)
            trace(w, "note %s %s/%u %s %s", e->word, short_id(&e->run),
                  e->attempt, e->agent != NULL ? e->agent : "-",
                  e->text != NULL ? e->text : "");
        model_effect(w, e);
        struct msg *msg = i < sent ? message_of(e) : NULL;
        /* A connection that is broken, or stuffed, takes nothing. */
        if (msg != NULL && msg->type == MSG_PUSH && w->faults && chance(w, 6)) {
            w->count.unsent++;
            msg->type = chance(w, 500) ? MSG_GONE : MSG_UNSENT;
            msg->session = e->session;
            broker_note(w, msg);
            if (msg->type == MSG_GONE)
                agent_cut(w, &w->agents[w->sessions[e->session].agent], true,
                          0);
            continue;
        }
        if (msg != NULL)
            to_agent(w, e->session, msg);
    }
}

/* ---- a turn ---------------------------------------------------------- */

static bool apply_inbox(struct world *w)
{
    /* The list may not grow meanwhile: inputs make no inputs. */
    for (size_t i = 0; i < w->inbox_count; i++) {
        int err = apply(w, w->inbox[i]);
        if (err != 0) {
            sim_fail(w, "input %d: %s", (int)w->inbox[i]->type, strerror(-err));
            return false;
        }
    }
    return true;
}

static void audit(struct world *w)
{
    char why[STORE_WHY_MAX];

    if (w->turns % w->audit_every != 0)
        return;
    w->audits++;
    if (ledger_audit(w->ledger, why) != 0)
        sim_fail(w, "audit: %s", why);
}

/* A turn that asks for another at once, again and again, never ends. */
static void watch_for_spinning(struct world *w)
{
    w->turns_now = w->now_ms == w->last_turn_ms ? w->turns_now + 1 : 0;
    w->last_turn_ms = w->now_ms;
    if (w->turns_now > 2000)
        sim_fail(w, "the ledger asks for turn after turn at the same moment");
}

void broker_turn(struct world *w)
{
    const struct effect *effects;
    size_t count;

    if (w->ledger == NULL)
        return;
    w->turn_at_ms = UINT64_MAX;
    watch_for_spinning(w);
    w->turns++;
    model_turn_begins(w);
    int err = ledger_begin(w->ledger, w->now_ms, unix_now(w));
    if (err != 0)
        sim_fail(w, "begin: %s", strerror(-err));
    if (err != 0 || !apply_inbox(w))
        return;
    if (w->faults && chance(w, 1)) {
        w->count.turn_lost++;
        model_turn_lost(w);
        broker_crash(w, rnd_between(w, 100, 8000));
        return;
    }
    err = ledger_commit(w->ledger, &effects, &count);
    if (err != 0) {
        sim_fail(w, "commit: %s", strerror(-err));
        return;
    }
    clear_inbox(w);
    model_committed(w);
    bool crash = w->faults && chance(w, 1);
    carry_out(w, effects, count, crash ? rnd_below(w, count + 1) : count);
    model_turn_ends(w);
    if (w->failure[0] != '\0')
        return;
    audit(w);
    idle_check(w);
    if (crash) {
        w->count.effects_lost++;
        broker_crash(w, rnd_between(w, 100, 8000));
        return;
    }
    uint64_t next = ledger_next_ms(w->ledger);
    if (next != UINT64_MAX)
        broker_plan(w, next);
    if (w->broker_draining && (ledger_live(w->ledger) == 0 || chance(w, 5)))
        broker_crash(w, rnd_between(w, 100, 3000));
}
