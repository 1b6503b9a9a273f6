/* world.c - the clock, the queue of events, randomness, the network. See sim.h
 *
 * A connection delivers in order, each direction by itself; connections
 * overtake each other. What is under way when a connection is cut is lost, or
 * arrives all the same, as with a socket's buffers. */
#include "tests/sim/sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t rnd(struct world *w)
{
    uint64_t z = w->random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t rnd_below(struct world *w, uint64_t n)
{
    return n == 0 ? 0 : rnd(w) % n;
}

bool chance(struct world *w, unsigned per_mille)
{
    return rnd_below(w, 1000) < per_mille;
}

uint64_t rnd_between(struct world *w, uint64_t low, uint64_t high)
{
    return low + rnd_below(w, high - low + 1);
}

int64_t unix_now(const struct world *w)
{
    return w->unix_base_ms + (int64_t)w->now_ms;
}

void *must(void *memory)
{
    if (memory == NULL) {
        fprintf(stderr, "sim: no memory\n");
        abort();
    }
    return memory;
}

void hash_in(struct world *w, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;

    for (size_t i = 0; i < len; i++)
        w->hash = (w->hash ^ at[i]) * UINT64_C(0x100000001b3);
}

void hash_number(struct world *w, uint64_t number)
{
    w->hash = (w->hash ^ number) * UINT64_C(0x9e3779b97f4a7c15);
    w->hash ^= w->hash >> 29;
}

void sim_fail(struct world *w, const char *fmt, ...)
{
    va_list args;

    if (w->failure[0] != '\0')
        return;
    int used = snprintf(w->failure, sizeof w->failure,
                        "at %llu ms: ", (unsigned long long)w->now_ms);
    va_start(args, fmt);
    (void)vsnprintf(w->failure + used, sizeof w->failure - (size_t)used, fmt,
                    args);
    va_end(args);
    trace(w, "FAILURE %s", w->failure);
}

void trace(const struct world *w, const char *fmt, ...)
{
    va_list args;

    if (!w->trace)
        return;
    printf("# %llu ", (unsigned long long)w->now_ms);
    va_start(args, fmt);
    (void)vprintf(fmt, args);
    va_end(args);
    putchar('\n');
}

/* The last bytes tell runs apart well enough for a person. */
const char *short_id(const struct run_id *id)
{
    static char texts[4][RUN_ID_TEXT];
    static unsigned next;
    char *text = texts[next++ % 4];

    run_id_text(id, text);
    return text + 24;
}

/* ---- events ---------------------------------------------------------- */

static bool before(const struct event *a, const struct event *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->seq < b->seq;
}

void event_add(struct world *w, uint64_t at_ms, enum event_kind kind,
               uint32_t agent, uint64_t serial, struct msg *msg)
{
    struct event *event = must(malloc(sizeof *event));

    *event = (struct event){.at_ms = at_ms < w->now_ms ? w->now_ms : at_ms,
                            .seq = ++w->seq,
                            .kind = kind,
                            .agent = agent,
                            .serial = serial,
                            .msg = msg};
    if (w->heap_count + 1 >= w->heap_room) {
        w->heap_room = w->heap_room * 2 + 1024;
        w->heap = must(
            realloc((void *)w->heap, w->heap_room * sizeof(struct event *)));
    }
    size_t at = ++w->heap_count;
    for (; at > 1 && before(event, w->heap[at / 2]); at /= 2)
        w->heap[at] = w->heap[at / 2];
    w->heap[at] = event;
}

struct event *event_next(struct world *w)
{
    if (w->heap_count == 0)
        return NULL;
    struct event *first = w->heap[1];
    struct event *last = w->heap[w->heap_count--];
    size_t at = 1;

    while (2 * at <= w->heap_count) {
        size_t child = 2 * at;
        if (child < w->heap_count && before(w->heap[child + 1], w->heap[child]))
            child++;
        if (before(last, w->heap[child]))
            break;
        w->heap[at] = w->heap[child];
        at = child;
    }
    w->heap[at] = last;
    w->now_ms = first->at_ms;
    return first;
}

/* ---- messages -------------------------------------------------------- */

struct msg *msg_new(enum msg_type type)
{
    struct msg *msg = must(calloc(1, sizeof *msg));

    msg->type = type;
    return msg;
}

void msg_free(struct msg *msg)
{
    if (msg == NULL)
        return;
    free(msg->list);
    free(msg->change);
    free(msg->origin);
    free(msg);
}

/* ---- network --------------------------------------------------------- */

uint64_t session_open(struct world *w, uint32_t agent)
{
    if (w->session_count + 1 >= w->session_room) {
        w->session_room = w->session_room * 2 + 256;
        w->sessions =
            must(realloc(w->sessions, w->session_room * sizeof *w->sessions));
    }
    w->sessions[++w->session_count] =
        (struct session){.agent = agent, .cut_ms = UINT64_MAX};
    return w->session_count;
}

static uint64_t delay(struct world *w)
{
    if (w->faults && chance(w, 5))
        return rnd_between(w, 100, 4000); /* a busy switch */
    return rnd_between(w, 0, w->faults ? 30 : 3);
}

void to_broker(struct world *w, struct fake *agent, struct msg *msg)
{
    uint64_t at = w->now_ms + delay(w);

    if (at < agent->out_at_ms)
        at = agent->out_at_ms;
    agent->out_at_ms = at;
    msg->session = agent->session;
    msg->sent_ms = w->now_ms;
    event_add(w, at, EV_TO_BROKER, agent->index, 0, msg);
}

void to_agent(struct world *w, uint64_t session, struct msg *msg)
{
    if (session == 0 || session > w->session_count) {
        msg_free(msg);
        return;
    }
    uint32_t index = w->sessions[session].agent;
    struct fake *agent = &w->agents[index];
    uint64_t at = w->now_ms + delay(w);

    if (at < agent->in_at_ms)
        at = agent->in_at_ms;
    agent->in_at_ms = at;
    msg->session = session;
    event_add(w, at, EV_TO_AGENT, index, 0, msg);
}

/* What was sent before the cut and not delivered by then is lost, and what a
 * broker that is not there would have got as well. */
void deliver_to_broker(struct world *w, struct msg *msg)
{
    bool cut = msg->session != 0 && msg->type != MSG_GONE &&
               w->now_ms > w->sessions[msg->session].cut_ms;

    if (cut || w->ledger == NULL) {
        msg_free(msg);
        return;
    }
    w->messages++;
    broker_note(w, msg);
}
