#include "dispatcher/front_ask.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

/*
 * What is waited for is in one list at a time:
 *
 *   out         its exchange is with the core. When its time is up the call is
 *               answered and let go (call NULL), and this stays until the
 *               exchange returns.
 *   board_now   waits for the board under way
 *   board_next  waits for the one after it
 *   sized       waits for what agents say of sources
 *   waits[]     waits for a run to end, by the last byte of its id, which is
 *               random
 */
enum { WAIT_BUCKETS = 256 };

struct pending {
    TAILQ_ENTRY(pending) link;
    struct pending_list *list;
    struct call *call;
    uint64_t deadline_ms;
    enum problem_code silence;
    ask_done *done;             /* out */
    ask_board_done *board_done; /* board_* */
    ask_look *look;             /* waits */
    uint64_t look_ms;
    struct run_id run;
    ask_then *then; /* sized */
    uint64_t numbers[ASK_QUESTIONS_MAX];
    size_t number_count;
};
TAILQ_HEAD(pending_list, pending);

struct asks {
    void *socket;
    struct pending_list out, board_now, board_next, sized;
    struct sizes *sizes;
    struct pending_list waits[WAIT_BUCKETS];
    size_t wait_count, waits_max;
    bool board_out; /* an ASK_BOARD is with the core */
    bool stopping;
    uint64_t now_ms;
    uint64_t next_ms; /* nothing is due before */
};

static const char unsure[] =
    "What was asked may or may not have been done; look before asking again.";

int asks_new(void *socket, size_t waits_max, struct asks **ret_asks)
{
    struct asks *asks = calloc(1, sizeof *asks);

    if (!asks)
        return -ENOMEM;
    if (sizes_new((uintptr_t)asks ^ (uintptr_t)&asks, &asks->sizes) < 0) {
        free(asks);
        return -ENOMEM;
    }
    asks->socket = socket;
    asks->waits_max = waits_max;
    asks->next_ms = UINT64_MAX;
    TAILQ_INIT(&asks->out);
    TAILQ_INIT(&asks->board_now);
    TAILQ_INIT(&asks->board_next);
    TAILQ_INIT(&asks->sized);
    for (size_t i = 0; i < WAIT_BUCKETS; i++)
        TAILQ_INIT(&asks->waits[i]);
    *ret_asks = asks;
    return 0;
}

static bool is_wait(const struct pending *a)
{
    return a->look != NULL;
}

static void link_pending(struct asks *asks, struct pending *a,
                         struct pending_list *list)
{
    uint64_t due = a->deadline_ms;

    a->list = list;
    TAILQ_INSERT_TAIL(list, a, link);
    if (is_wait(a)) {
        asks->wait_count++;
        if (a->look_ms < due)
            due = a->look_ms;
    }
    if (due < asks->next_ms)
        asks->next_ms = due;
}

/* The call goes its own way from here. */
static void part(struct pending *a)
{
    if (a->call)
        a->call->pending = NULL;
    a->call = NULL;
}

static void drop(struct asks *asks, struct pending_list *list,
                 struct pending *a)
{
    TAILQ_REMOVE(list, a, link);
    if (is_wait(a))
        asks->wait_count--;
    part(a);
    free(a);
}

static void free_pending(struct asks *asks, struct pending *a)
{
    drop(asks, a->list, a);
}

/* Takes the first off the list, as a copy. false: there is none. */
static bool take_first(struct asks *asks, struct pending_list *list,
                       struct pending *ret)
{
    struct pending *a = TAILQ_FIRST(list);

    if (!a)
        return false;
    /* The analyser does not see that TAILQ_REMOVE moves the list's head. */
    *ret = *a; /* NOLINT(clang-analyzer-unix.Malloc) */
    drop(asks, list, a);
    return true;
}

static struct pending *new_pending(struct call *call, uint64_t within_ms)
{
    struct pending *a = calloc(1, sizeof *a);

    assert(!call->pending);
    if (!a) {
        answer_no_memory(call);
        return NULL;
    }
    a->call = call;
    a->deadline_ms = call->api->asks->now_ms + within_ms;
    a->silence = PROBLEM_CORE_SILENT;
    call->pending = a;
    return a;
}

static void answer_busy(struct call *call)
{
    answer_problem(call, PROBLEM_BUSY,
                   "The core is behind; nothing was done. Try again soon.");
}

static void answer_stopping(struct call *call)
{
    answer_problem(call, PROBLEM_DRAINING,
                   "The broker is stopping and has done nothing.");
}

/* ---- questions to the core ---------------------------------------------- */

struct texts {
    char who[AUTH_NAME_MAX];
    char reason[LEDGER_TEXT_MAX];
};

struct exchange *ask_new(const struct call *call, enum ask what,
                         const char *reason)
{
    struct exchange *exchange = exchange_new(what);
    struct texts *texts = calloc(1, sizeof *texts);

    if (!exchange || !texts) {
        free(texts);
        exchange_free(&exchange);
        return NULL;
    }
    snprintf(texts->who, sizeof texts->who, "%s", call->who);
    snprintf(texts->reason, sizeof texts->reason, "%s", reason ? reason : "");
    exchange->who = texts->who;
    exchange->reason = reason ? texts->reason : NULL;
    exchange->owner_data = texts;
    exchange->owner_free = free;
    return exchange;
}

void ask(struct call *call, struct exchange *exchange, ask_done *done)
{
    struct asks *asks = call->api->asks;
    struct pending *a = exchange ? new_pending(call, ASK_WITHIN_MS) : NULL;

    if (!a) {
        if (!exchange)
            answer_no_memory(call);
        exchange_free(&exchange);
        return;
    }
    a->done = done;
    link_pending(asks, a, &asks->out);
    exchange->connection = a;
    if (!asks->stopping && exchange_send(asks->socket, &exchange) == 0)
        return;
    exchange_free(&exchange);
    free_pending(asks, a);
    if (asks->stopping)
        answer_stopping(call);
    else
        answer_busy(call);
}

static void deliver(struct asks *asks, struct exchange *exchange)
{
    struct pending *a = exchange->connection;
    struct call *call = a->call;
    ask_done *done = a->done;

    free_pending(asks, a);
    if (!call)
        return; /* too late, or its client has left */
    if (exchange->status == -ESHUTDOWN)
        answer_stopping(call);
    else
        done(call, exchange);
}

/* ---- boards ------------------------------------------------------------- */

/* Everybody in board_next shares one. */
static void send_board(struct asks *asks)
{
    struct exchange *exchange;
    struct pending *a, left;

    if (asks->board_out || TAILQ_EMPTY(&asks->board_next))
        return;
    exchange = exchange_new(ASK_BOARD);
    if (exchange && !asks->stopping &&
        exchange_send(asks->socket, &exchange) == 0) {
        asks->board_out = true;
        for (a = TAILQ_FIRST(&asks->board_next); a; a = TAILQ_NEXT(a, link))
            a->list = &asks->board_now;
        TAILQ_CONCAT(&asks->board_now, &asks->board_next, link);
        return;
    }
    exchange_free(&exchange);
    while (take_first(asks, &asks->board_next, &left)) {
        if (asks->stopping)
            answer_stopping(left.call);
        else
            answer_busy(left.call);
    }
}

void ask_board(struct call *call, uint64_t within_ms, enum problem_code silence,
               ask_board_done *done)
{
    struct asks *asks = call->api->asks;
    struct pending *a = new_pending(call, within_ms);

    if (!a)
        return;
    a->silence = silence;
    a->board_done = done;
    link_pending(asks, a, &asks->board_next);
    send_board(asks);
}

static void deliver_board(struct asks *asks, const struct exchange *exchange)
{
    struct pending a;

    asks->board_out = false;
    while (take_first(asks, &asks->board_now, &a)) {
        if (exchange->status == -ESHUTDOWN)
            answer_stopping(a.call);
        else if (exchange->status < 0 || !exchange->board)
            answer_problem(a.call, PROBLEM_INTERNAL,
                           "The core could not describe itself (%s).",
                           strerror(-exchange->status));
        else
            a.board_done(a.call, exchange->board);
    }
    send_board(asks);
}

/* ---- ends of runs ------------------------------------------------------- */

static struct pending_list *bucket(struct asks *asks, const struct run_id *run)
{
    return &asks->waits[run->b[sizeof run->b - 1]];
}

void ask_wait(struct call *call, const struct run_id *run, uint64_t within_ms,
              ask_look *look)
{
    struct asks *asks = call->api->asks;
    struct pending *a;

    if (asks->stopping) {
        look(call, true);
        return;
    }
    if (asks->wait_count >= asks->waits_max) {
        answer_problem(call, PROBLEM_BUSY,
                       "%zu calls wait for runs already. Ask without waiting.",
                       asks->wait_count);
        return;
    }
    a = new_pending(call, within_ms);
    if (!a)
        return;
    a->look = look;
    a->look_ms = asks->now_ms + WAIT_LOOK_MS;
    a->run = *run;
    link_pending(asks, a, bucket(asks, run));
}

/* When it is the last look, the call may ask something else in it. */
static void look_now(struct asks *asks, struct pending *a, bool last)
{
    struct call *call = a->call;
    ask_look *look = a->look;

    if (last) {
        free_pending(asks, a);
        look(call, true);
    } else if (look(call, false)) {
        free_pending(asks, a);
    } else {
        a->look_ms = asks->now_ms + WAIT_LOOK_MS;
    }
}

static void run_ended(struct asks *asks, const struct run_id *run)
{
    struct pending_list *list = bucket(asks, run);
    struct pending *a, *next;

    for (a = TAILQ_FIRST(list); a; a = next) {
        next = TAILQ_NEXT(a, link);
        if (memcmp(&a->run, run, sizeof *run) == 0)
            look_now(asks, a, false);
    }
}

/* ---- sizes -------------------------------------------------------------- */

struct sizes *asks_sizes(struct asks *asks)
{
    return asks->sizes;
}

uint64_t asks_now_ms(const struct asks *asks)
{
    return asks->now_ms;
}

static void go_on(struct asks *asks, struct pending *a)
{
    struct call *call = a->call;
    ask_then *then = a->then;

    free_pending(asks, a);
    then(call);
}

/* The question has ended, one way or the other. */
static void size_ended(struct asks *asks, uint64_t number)
{
    struct pending *a, *next;

    for (a = TAILQ_FIRST(&asks->sized); a; a = next) {
        size_t i = 0;

        next = TAILQ_NEXT(a, link);
        while (i < a->number_count && a->numbers[i] != number)
            i++;
        if (i == a->number_count)
            continue;
        a->numbers[i] = a->numbers[--a->number_count];
        if (a->number_count == 0)
            go_on(asks, a);
    }
}

void ask_estimate(struct asks *asks, uint64_t number, struct exchange *exchange)
{
    if (exchange && !asks->stopping &&
        exchange_send(asks->socket, &exchange) == 0)
        return;
    exchange_free(&exchange);
    (void)sizes_sent(asks->sizes, number, 0);
    size_ended(asks, number);
}

/* What the core has done with a question, or what an agent has answered. */
static void deliver_size(struct asks *asks, const struct exchange *exchange)
{
    const struct size_question *q = exchange->question;
    bool ended;

    if (exchange->ask == ASK_ESTIMATE)
        ended =
            sizes_sent(asks->sizes, q->number, q->session) && q->session == 0;
    else
        ended = sizes_answer(asks->sizes, q->number, q->session, q->sizes,
                             q->size_count, asks->now_ms);
    if (ended)
        size_ended(asks, q->number);
}

void ask_sized(struct call *call, const uint64_t *numbers, size_t count,
               uint64_t within_ms, ask_then *then)
{
    struct asks *asks = call->api->asks;
    struct pending *a;

    assert(count <= ASK_QUESTIONS_MAX);
    if (asks->stopping || count == 0) {
        then(call);
        return;
    }
    a = new_pending(call, within_ms);
    if (!a)
        return;
    a->then = then;
    memcpy(a->numbers, numbers, count * sizeof *numbers);
    a->number_count = count;
    link_pending(asks, a, &asks->sized);
}

/* ---- time --------------------------------------------------------------- */

static void expire_list(struct asks *asks, struct pending_list *list)
{
    struct pending *a, *next;

    for (a = TAILQ_FIRST(list); a; a = next) {
        struct call *call = a->call;
        enum problem_code silence;

        next = TAILQ_NEXT(a, link);
        if (!call || a->deadline_ms > asks->now_ms)
            continue;
        silence = a->silence;
        if (list == &asks->out)
            part(a); /* the exchange is still out */
        else
            drop(asks, list, a);
        answer_problem(call, silence, "The core has not answered in time. %s",
                       list == &asks->out ? unsure : "");
    }
}

static void expire_waits(struct asks *asks, struct pending_list *list)
{
    struct pending *a, *next;

    for (a = TAILQ_FIRST(list); a; a = next) {
        bool last = a->deadline_ms <= asks->now_ms;

        next = TAILQ_NEXT(a, link);
        if (last || a->look_ms <= asks->now_ms)
            look_now(asks, a, last);
    }
}

static void expire_sized(struct asks *asks)
{
    struct pending *a, *next;

    for (a = TAILQ_FIRST(&asks->sized); a; a = next) {
        next = TAILQ_NEXT(a, link);
        if (a->deadline_ms <= asks->now_ms)
            go_on(asks, a);
    }
}

static uint64_t first_due(const struct pending_list *list)
{
    uint64_t due = UINT64_MAX;
    const struct pending *a;

    for (a = TAILQ_FIRST(list); a; a = TAILQ_NEXT(a, link)) {
        if (!a->call) /* NOLINT(clang-analyzer-unix.Malloc): as above */
            continue;
        if (a->deadline_ms < due)
            due = a->deadline_ms;
        if (is_wait(a) && a->look_ms < due)
            due = a->look_ms;
    }
    return due;
}

void asks_expire(struct asks *asks, uint64_t now_ms)
{
    uint64_t due, next;

    asks->now_ms = now_ms;
    if (now_ms < asks->next_ms)
        return;
    expire_sized(asks);
    due = first_due(&asks->sized);
    for (size_t i = 0; i < 3; i++) {
        struct pending_list *list = i == 0   ? &asks->out
                                    : i == 1 ? &asks->board_now
                                             : &asks->board_next;

        expire_list(asks, list);
        next = first_due(list);
        due = next < due ? next : due;
    }
    for (size_t i = 0; i < WAIT_BUCKETS; i++) {
        expire_waits(asks, &asks->waits[i]);
        next = first_due(&asks->waits[i]);
        due = next < due ? next : due;
    }
    asks->next_ms = due;
}

uint64_t asks_next_ms(const struct asks *asks)
{
    return asks->next_ms;
}

/* ---- the rest ----------------------------------------------------------- */

void asks_receive(struct asks *asks, uint64_t now_ms)
{
    struct exchange *exchange;

    asks->now_ms = now_ms;
    while ((exchange = exchange_receive(asks->socket))) {
        if (exchange->ask == EXCHANGE_ENDED)
            run_ended(asks, &exchange->run);
        else if (exchange->ask == ASK_BOARD)
            deliver_board(asks, exchange);
        else if (exchange->question)
            deliver_size(asks, exchange);
        else
            deliver(asks, exchange);
        exchange_free(&exchange);
    }
}

void ask_gone(struct call *call)
{
    if (call->pending && is_wait(call->pending))
        look_now(call->api->asks, call->pending, true);
    else if (call->pending && call->pending->then)
        go_on(call->api->asks, call->pending);
}

void ask_forget(struct call *call)
{
    struct pending *a = call->pending;

    if (!a)
        return;
    if (a->list == &call->api->asks->out)
        part(a);
    else
        free_pending(call->api->asks, a);
}

static void stop_list(struct asks *asks, struct pending_list *list)
{
    struct pending a;

    while (take_first(asks, list, &a)) {
        if (is_wait(&a))
            a.look(a.call, true);
        else if (a.call)
            answer_problem(a.call, PROBLEM_DRAINING,
                           "The broker has stopped. %s",
                           list == &asks->out ? unsure : "");
    }
}

void asks_shutdown(struct asks *asks)
{
    asks->stopping = true;
    asks_receive(asks, asks->now_ms);
    stop_list(asks, &asks->out);
    stop_list(asks, &asks->board_now);
    stop_list(asks, &asks->board_next);
    stop_list(asks, &asks->sized);
    for (size_t i = 0; i < WAIT_BUCKETS; i++)
        stop_list(asks, &asks->waits[i]);
}

void asks_free(struct asks **asks_p)
{
    struct asks *asks = *asks_p;

    *asks_p = NULL;
    if (!asks)
        return;
    asks_shutdown(asks);
    sizes_free(&asks->sizes);
    free(asks);
}
