/*
 * broker.c - see broker.h. One turn:
 *
 *   gather   what agents and the front sent, what timers and signals say
 *   apply    as inputs of the ledger, which decides
 *   commit   one durable transaction, whatever the number of inputs: under
 *            load the cost of a sync is shared by all that arrived meanwhile
 *   send     effects to agents, answers to the front, lines to the log
 *
 * An idle turn writes nothing and costs no I/O.
 */
#include "dispatcher/broker.h"

#include "dispatcher/exchange.h"
#include "dispatcher/log.h"
#include "dispatcher/roster.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sodium.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

enum {
    FRAMES_A_TURN = 2000, /* bounds a turn, so that answers are not kept long */
    ASKS_A_TURN = 1000,
    POLL_MAX_MS = 1000,
};

struct broker {
    const struct config *config;
    struct store *store;
    struct store_reader *reader;
    struct ledger *ledger;
    struct roster *roster;
    void *front;
    bool draining, stopped;
    uint64_t drain_until_ms;
    /* asked in this turn, or not yet taken back by the front; in order */
    struct exchange **answers;
    size_t answer_count, answer_room;
};

static uint64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int64_t now_unix_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- the front's asks ------------------------------------------------ */

/* Takes it; it goes back to the front after the commit. */
static int keep_answer(struct broker *b, struct exchange *x)
{
    if (b->answer_count == b->answer_room) {
        size_t room = b->answer_room * 2 + 64;
        struct exchange **grown =
            realloc(b->answers, room * sizeof(struct exchange *));
        if (grown == NULL)
            return -ENOMEM;
        b->answers = grown;
        b->answer_room = room;
    }
    b->answers[b->answer_count++] = x;
    return 0;
}

static int submit(struct broker *b, struct exchange *x)
{
    int err = 0;

    for (size_t i = 0; i < x->submission_count && err == 0; i++) {
        struct submission *s = &x->submissions[i];
        err = ledger_submit(b->ledger, &s->origin, s->plan, s->parameters,
                            &s->admission);
    }
    return err;
}

/* The ledger's answers -ENOENT and -EINVAL belong to the asker. */
static int answer_status(struct exchange *x, int status)
{
    x->status = status;
    return status == -ENOENT || status == -EINVAL ? 0 : status;
}

/* The part of an ask that changes something. */
static int apply(struct broker *b, struct exchange *x)
{
    struct ledger *l = b->ledger;

    switch (x->ask) {
    case ASK_SUBMIT:
        return submit(b, x);
    case ASK_CANCEL:
        return ledger_cancel(l, &x->run, x->who, x->reason, &x->cancelled);
    case ASK_POOL_VERB:
        return answer_status(x, ledger_pool_verb(l, x->name, x->verb, x->for_ms,
                                                 x->who, x->reason));
    case ASK_POOL_SET:
        return answer_status(x,
                             ledger_pool_set(l, x->name, &x->change, x->who));
    case ASK_AGENT_VERB:
        return answer_status(
            x, ledger_agent_verb(l, x->name, x->verb, x->who, x->reason));
    case ASK_PLAN:
    case ASK_BOARD:
    case ASK_EXPLAIN:
    case ASK_REASONS:
    case ASK_ESTIMATE:
    case EXCHANGE_ENDED:
    case EXCHANGE_ESTIMATED:
        break;
    }
    return 0;
}

/* Its answer comes by itself, or never: roster_next_sizes(). */
static void ask_sizes(struct broker *b, struct size_question *q)
{
    uint64_t session =
        ledger_capable(b->ledger, q->requires, q->requires_count, now_ms());

    if (session != 0 &&
        roster_ask_sizes(b->roster, session, q->number, q->sources) == 0)
        q->session = session;
}

static struct explanation *explain(struct broker *b, const struct run_id *run,
                                   int *ret_status)
{
    struct explanation *e = calloc(1, sizeof *e);

    *ret_status =
        e == NULL ? -ENOMEM : ledger_explain(b->ledger, run, now_ms(), e);
    if (*ret_status != 0) {
        free(e);
        return NULL;
    }
    return e;
}

/* The part of an ask that only looks, after the commit: everything the asker
 * is told is durable. */
static void look(struct broker *b, struct exchange *x)
{
    int status;

    switch (x->ask) {
    case ASK_SUBMIT:
        for (size_t i = 0; i < x->submission_count; i++)
            if (x->submissions[i].admission.answer == ADMIT_OK)
                x->submissions[i].explanation =
                    explain(b, &x->submissions[i].admission.run, &status);
        return;
    case ASK_PLAN:
        for (size_t i = 0; i < x->submission_count; i++) {
            struct submission *s = &x->submissions[i];
            s->explanation = calloc(1, sizeof *s->explanation);
            if (s->explanation != NULL)
                (void)ledger_plan(b->ledger, &s->origin, &s->admission,
                                  s->explanation);
        }
        return;
    case ASK_EXPLAIN:
        x->explanation = explain(b, &x->run, &x->status);
        return;
    case ASK_REASONS:
        for (size_t i = 0; i < x->reason_count; i++)
            x->reasons[i].reason =
                ledger_reason(b->ledger, &x->reasons[i].run, now_ms());
        return;
    case ASK_BOARD:
    case ASK_POOL_VERB:
    case ASK_POOL_SET:
    case ASK_AGENT_VERB:
        if (x->status == 0)
            x->status =
                ledger_board(b->ledger, now_ms(), now_unix_ms(), &x->board);
        if (x->status == 0)
            x->board->bad_frames = roster_counts(b->roster)->frames_bad;
        return;
    case ASK_ESTIMATE:
        ask_sizes(b, x->question);
        return;
    case ASK_CANCEL:
    case EXCHANGE_ENDED:
    case EXCHANGE_ESTIMATED:
        return;
    }
}

static int gather_front(struct broker *b)
{
    struct exchange *x;
    int err = 0;

    for (int i = 0; i < ASKS_A_TURN && err == 0 &&
                    (x = exchange_receive(b->front)) != NULL;
         i++) {
        err = keep_answer(b, x);
        if (err == 0)
            err = apply(b, x);
        else
            exchange_free(&x);
    }
    return err;
}

/* What the front has no room for is tried again in the next turn. */
static void send_answers(struct broker *b)
{
    size_t sent = 0;

    while (sent < b->answer_count &&
           exchange_send(b->front, &b->answers[sent]) == 0)
        sent++;
    if (sent == 0)
        return;
    memmove(b->answers, b->answers + sent,
            (b->answer_count - sent) * sizeof(struct exchange *));
    b->answer_count -= sent;
}

/* ---- effects --------------------------------------------------------- */

static enum log_level level_of(const char *word)
{
    static const char *const warnings[] = {
        "agent.lost",     "agent.refused", "agent.unknown_pool", "lease.lapsed",
        "lease.returned", "message.late",  "run.requeued",
    };

    for (size_t i = 0; i < sizeof warnings / sizeof warnings[0]; i++)
        if (strcmp(word, warnings[i]) == 0)
            return LOG_WARN;
    return LOG_INFO;
}

static void log_note(const struct effect *e)
{
    static const struct run_id none;
    enum log_level level = level_of(e->word);
    char id[RUN_ID_TEXT];
    bool of_run = memcmp(&e->run, &none, sizeof none) != 0;

    if (!log_enabled(level))
        return;
    run_id_text(&e->run, id);
    bool ended = strcmp(e->word, "run.ended") == 0;
    log_event(level, e->word, "run", of_run ? id : NULL, "attempt",
              e->attempt > 0 ? log_number(e->attempt) : NULL, "state",
              ended ? run_state_name(e->state) : NULL, "pool", e->pool, "agent",
              e->agent, "text", e->text, NULL);
}

static int tell_ended(struct broker *b, const struct effect *e)
{
    struct exchange *x = exchange_new(EXCHANGE_ENDED);

    if (x == NULL)
        return -ENOMEM;
    x->run = e->run;
    x->state = e->state;
    int err = keep_answer(b, x);
    if (err != 0)
        exchange_free(&x);
    return err;
}

static int tell_sizes(struct broker *b)
{
    struct exchange *x;
    int err = 0;

    while (err == 0 && (x = roster_next_sizes(b->roster)) != NULL) {
        err = keep_answer(b, x);
        if (err != 0)
            exchange_free(&x);
    }
    return err;
}

/* The order matters: an ask of this turn is answered before the end of the
 * run it made is told. */
static int release(struct broker *b, size_t asked)
{
    const struct effect *effects;
    size_t count;

    int err = ledger_commit(b->ledger, &effects, &count);
    for (size_t i = 0; i < count && err == 0; i++) {
        roster_send(b->roster, b->reader, &effects[i]);
        if (effects[i].type == EFFECT_NOTE)
            log_note(&effects[i]);
        else if (effects[i].type == EFFECT_ENDED)
            err = tell_ended(b, &effects[i]);
    }
    for (size_t i = asked; i < b->answer_count && err == 0; i++)
        look(b, b->answers[i]);
    if (err == 0)
        send_answers(b);
    return err;
}

/* ---- the loop -------------------------------------------------------- */

static void on_signal(struct broker *b, int signal_fd)
{
    struct signalfd_siginfo info;

    while (read(signal_fd, &info, sizeof info) == sizeof info) {
        const char *name = info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM";
        if (b->draining) {
            log_event(LOG_INFO, "broker.stopping", "signal", name, "running",
                      log_number((int64_t)ledger_live(b->ledger)), NULL);
            b->stopped = true;
            return;
        }
        b->draining = true;
        b->drain_until_ms = now_ms() + b->config->drain_ms;
        ledger_drain(b->ledger);
        log_event(LOG_INFO, "broker.draining", "signal", name, "running",
                  log_number((int64_t)ledger_live(b->ledger)), "text",
                  "a second signal stops at once; what runs goes on, and is "
                  "found again by a start before its lease is over",
                  NULL);
    }
}

static void check_drained(struct broker *b)
{
    size_t live = ledger_live(b->ledger);

    if (!b->draining || b->stopped)
        return;
    if (live > 0 && now_ms() < b->drain_until_ms)
        return;
    log_event(LOG_INFO, "broker.drained", "running", log_number((int64_t)live),
              NULL);
    b->stopped = true;
}

static long poll_ms(const struct broker *b)
{
    uint64_t now = now_ms(), next = ledger_next_ms(b->ledger);

    if (roster_is_restless(b->roster) || next <= now)
        return 0;
    if (b->draining && b->drain_until_ms < next)
        next = b->drain_until_ms;
    if (next <= now)
        return 0;
    if (b->answer_count > 0)
        return 1; /* the front is behind: try again soon */
    return next - now < POLL_MAX_MS ? (long)(next - now) : POLL_MAX_MS;
}

static int turn(struct broker *b)
{
    int err = ledger_begin(b->ledger, now_ms(), now_unix_ms());
    if (err == 0)
        err = roster_gather(b->roster, b->ledger, FRAMES_A_TURN);
    size_t asked = b->answer_count;
    if (err == 0)
        err = tell_sizes(b);
    if (err == 0)
        err = gather_front(b);
    if (err == 0)
        err = release(b, asked);
    /* A turn that was not committed did not happen: nobody may be told that
     * it did. */
    for (size_t i = asked; i < b->answer_count && err != 0; i++)
        b->answers[i]->status = -ESHUTDOWN;
    return err;
}

int broker_run(struct broker *b, int signal_fd)
{
    int err = 0;

    while (err == 0 && !b->stopped) {
        zmq_pollitem_t items[] = {
            {roster_socket(b->roster), 0, ZMQ_POLLIN, 0},
            {roster_monitor(b->roster), 0, ZMQ_POLLIN, 0},
            {b->front, 0, ZMQ_POLLIN, 0},
            {NULL, signal_fd, ZMQ_POLLIN, 0},
        };
        if (zmq_poll(items, 4, poll_ms(b)) < 0 && errno != EINTR)
            return -errno;
        if (items[3].revents != 0)
            on_signal(b, signal_fd);
        err = turn(b);
        check_drained(b);
    }
    if (err != 0)
        log_event(LOG_ERROR, "store.failed", "error", strerror(-err), "text",
                  "nothing unconfirmed was told to anybody; start again to go "
                  "on from the last commit",
                  NULL);
    return err;
}

/* ---- making and freeing ---------------------------------------------- */

int broker_new(const struct config *config, struct store *store,
               void *zmq_context, const char *endpoint,
               struct broker **ret_broker, char ret_why[STORE_WHY_MAX])
{
    struct broker *b = calloc(1, sizeof *b);
    uint64_t seed;

    if (b == NULL) {
        (void)snprintf(ret_why, STORE_WHY_MAX, "no memory");
        return -ENOMEM;
    }
    b->config = config;
    b->store = store;
    randombytes_buf(&seed, sizeof seed);
    int err = ledger_open(store, &config->ledger, now_ms(), now_unix_ms(), seed,
                          &b->ledger, ret_why);
    if (err == 0)
        err = roster_open(zmq_context, config->agents, &b->roster, ret_why);
    if (err == 0) {
        err = store_reader_open(store, &b->reader);
        if (err == 0)
            err = exchange_open(zmq_context, endpoint, true, &b->front);
        if (err != 0)
            (void)snprintf(ret_why, STORE_WHY_MAX,
                           "cannot set up the core thread: %s", strerror(-err));
    }
    if (err != 0) {
        broker_free(&b);
        return err;
    }
    *ret_broker = b;
    return 0;
}

const char *broker_address(const struct broker *b)
{
    return roster_address(b->roster);
}

/* What was asked and not answered goes back marked: nothing was done. */
static void answer_rest(struct broker *b)
{
    struct exchange *x;

    while ((x = exchange_receive(b->front)) != NULL) {
        x->status = -ESHUTDOWN;
        if (exchange_send(b->front, &x) != 0)
            exchange_free(&x);
    }
    send_answers(b);
    for (size_t i = 0; i < b->answer_count; i++)
        exchange_free(&b->answers[i]);
}

void broker_free(struct broker **broker_p)
{
    struct broker *b = *broker_p;

    if (b == NULL)
        return;
    if (b->front != NULL) {
        answer_rest(b);
        zmq_close(b->front);
    }
    roster_close(&b->roster);
    store_reader_close(&b->reader);
    ledger_close(&b->ledger);
    free(b->answers);
    free(b);
    *broker_p = NULL;
}
