/*
 * roster_in.c - frames of agents as inputs of the ledger. What a peer sends is
 * foreign: wire_unpack() has checked it before anything here looks at it, and
 * what makes no sense in its place is counted and dropped.
 */
#include "dispatcher/roster_inside.h"

#include "dispatcher/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct run_id run_of(const struct wire_id *wire)
{
    struct run_id id;

    memcpy(id.b, wire->b, sizeof id.b);
    return id;
}

/* Texts of one message with their NULs; freed together. */
struct texts {
    char *bytes;
    size_t used;
};

static bool texts_open(struct texts *t, size_t frame_bytes, size_t count)
{
    t->used = 0;
    t->bytes = malloc(frame_bytes + count + 1);
    return t->bytes != NULL;
}

static const char *text_of(struct texts *t, struct wire_bytes bytes)
{
    char *text = t->bytes + t->used;

    if (bytes.len > 0)
        memcpy(text, bytes.ptr, bytes.len);
    text[bytes.len] = '\0';
    t->used += bytes.len + 1;
    return text;
}

static struct effect_attempt *held_of(const struct wire_held *held,
                                      size_t count)
{
    struct effect_attempt *list = calloc(count + 1, sizeof *list);

    for (size_t i = 0; i < count && list != NULL; i++)
        list[i] = (struct effect_attempt){
            .run = run_of(&held[i].run),
            .attempt = held[i].attempt,
            .events = held[i].events,
        };
    return list;
}

static int welcome(struct roster *r, struct ledger *l, const struct frame *f,
                   const struct agent_hello *hello)
{
    struct session *s = session_by_route(r, f->route, f->route_len);
    enum hello_answer answer;
    char why[LEDGER_TEXT_MAX] = "";

    if (s == NULL)
        s = session_begin(r, f->route, f->route_len, f->fd);
    if (s == NULL)
        return -ENOMEM;
    (void)snprintf(s->name, sizeof s->name, "%s", hello->name);
    int err = ledger_agent_hello(l, s->number, hello, &answer, why);
    if (err != 0 || answer == HELLO_OK)
        return err;
    if (answer != HELLO_STALE)
        roster_say_bye(
            r, f->route, f->route_len,
            answer == HELLO_CLONE ? WIRE_BYE_CLONE : WIRE_BYE_BAD_HELLO, why);
    session_end(r, s);
    return 0;
}

static int on_hello(struct roster *r, struct ledger *l, const struct frame *f,
                    const struct wire_msg *m)
{
    size_t texts = m->hello.pool_count + m->hello.cap_count + 3;
    const char **list = calloc(texts, sizeof(char *));
    struct effect_attempt *held = held_of(m->hello.held, m->hello.held_count);
    struct texts t = {0};
    int err = -ENOMEM;

    if (list != NULL && held != NULL && texts_open(&t, f->len, texts)) {
        for (size_t i = 0; i < m->hello.pool_count; i++)
            list[i] = text_of(&t, m->hello.pools[i]);
        const char **caps = list + m->hello.pool_count;
        for (size_t i = 0; i < m->hello.cap_count; i++)
            caps[i] = text_of(&t, m->hello.caps[i]);
        struct agent_hello hello = {
            .name = text_of(&t, m->hello.name),
            .slots = m->hello.slots,
            .pools = list,
            .pool_count = m->hello.pool_count,
            .caps = caps,
            .cap_count = m->hello.cap_count,
            .held = held,
            .held_count = m->hello.held_count,
            .host = text_of(&t, m->hello.host),
            .software = text_of(&t, m->hello.software),
            .pid = m->hello.pid,
            .draining = m->hello.draining,
            .greeting = m->hello.greeting,
        };
        memcpy(hello.boot, m->hello.boot.b, sizeof hello.boot);
        err = welcome(r, l, f, &hello);
    }
    free(t.bytes);
    free(held);
    free(list);
    return err;
}

static struct node_record node_of(const struct wire_node *n, struct texts *t)
{
    return (struct node_record){
        .node = n->node,
        .state = (enum run_node_state)n->state,
        .started_unix_ms = n->started_unix_ms,
        .ended_unix_ms = n->ended_unix_ms,
        .exit_code = n->exit_code,
        .rows_in = n->rows_in,
        .rows_out = n->rows_out,
        .rows_rejected = n->rows_rejected,
        .bytes_out = n->bytes_out,
        .error = n->error.len > 0 ? text_of(t, n->error) : NULL,
    };
}

static int on_node(struct ledger *l, uint64_t session, size_t frame_bytes,
                   const struct wire_msg *m)
{
    struct run_id run = run_of(&m->node.run);
    struct texts t;

    if (!texts_open(&t, frame_bytes, 1))
        return -ENOMEM;
    struct node_record node = node_of(&m->node.node, &t);
    int err =
        ledger_node(l, session, &run, m->node.attempt, m->node.event, &node);
    free(t.bytes);
    return err;
}

static int on_log(struct ledger *l, uint64_t session, const struct wire_msg *m)
{
    struct run_id run = run_of(&m->log.run);
    struct log_record log = {
        .node = m->log.node,
        .stream = m->log.stream,
        .at_unix_ms = m->log.at_unix_ms,
        .text = m->log.text.ptr,
        .text_bytes = m->log.text.len,
    };

    return ledger_log(l, session, &run, m->log.attempt, m->log.event, &log);
}

static int on_result(struct ledger *l, uint64_t session, size_t frame_bytes,
                     const struct wire_msg *m)
{
    static const enum attempt_outcome outcomes[WIRE_OUTCOMES] = {
        [WIRE_COMPLETED] = ATTEMPT_COMPLETED,
        [WIRE_FAILED] = ATTEMPT_FAILED,
        [WIRE_TIMED_OUT] = ATTEMPT_TIMED_OUT,
        [WIRE_CANCELLED] = ATTEMPT_CANCELLED,
        [WIRE_LEASE_LOST] = ATTEMPT_LAPSED,
    };
    struct run_id run = run_of(&m->result.run);
    struct node_record *nodes = calloc(m->result.node_count + 1, sizeof *nodes);
    struct texts t;

    if (nodes == NULL ||
        !texts_open(&t, frame_bytes, m->result.node_count + 1)) {
        free(nodes);
        return -ENOMEM;
    }
    for (size_t i = 0; i < m->result.node_count; i++)
        nodes[i] = node_of(&m->result.nodes[i], &t);
    struct result result = {
        .outcome = outcomes[m->result.outcome],
        .started_unix_ms = m->result.started_unix_ms,
        .ended_unix_ms = m->result.ended_unix_ms,
        .events = m->result.events,
        .log_dropped = m->result.log_dropped,
        .error = m->result.error.len > 0 ? text_of(&t, m->result.error) : NULL,
        .nodes = nodes,
        .node_count = m->result.node_count,
    };
    int err = ledger_result(l, session, &run, m->result.attempt, &result);
    free(t.bytes);
    free(nodes);
    return err;
}

static int on_refused(struct ledger *l, uint64_t session, size_t frame_bytes,
                      const struct wire_msg *m)
{
    struct run_id run = run_of(&m->refused.run);
    struct texts t;

    if (!texts_open(&t, frame_bytes, 1))
        return -ENOMEM;
    int err = ledger_refused(l, session, &run, m->refused.attempt,
                             m->refused.code == WIRE_REFUSE_BAD_PLAN,
                             text_of(&t, m->refused.text));
    free(t.bytes);
    return err;
}

static int on_renew(struct ledger *l, uint64_t session,
                    const struct wire_msg *m)
{
    struct effect_attempt *held = held_of(m->renew.held, m->renew.held_count);

    if (held == NULL)
        return -ENOMEM;
    int err =
        ledger_renew(l, session, m->renew.beat, held, m->renew.held_count);
    free(held);
    return err;
}

/* Nothing is decided by it and nobody has to remember it: it goes on to the
 * front, which knows what it has asked and whom. */
static int on_estimated(struct roster *r, uint64_t session, const char *agent,
                        const struct wire_msg *m)
{
    struct exchange *x;

    if (r->size_count == SIZES_MAX)
        return 0;
    x = exchange_new(EXCHANGE_ESTIMATED);
    if (x != NULL)
        x->question = calloc(1, sizeof *x->question);
    if (x == NULL || x->question == NULL) {
        if (x != NULL)
            exchange_free(&x);
        return -ENOMEM;
    }
    struct size_question *q = x->question;
    q->number = m->estimated.number;
    q->session = session;
    for (size_t i = 0; i < m->estimated.size_count && i < SIZE_SOURCES_MAX; i++)
        q->sizes[q->size_count++] = m->estimated.sizes[i] > INT64_MAX
                                        ? -1
                                        : (int64_t)m->estimated.sizes[i];
    r->sizes[r->size_count++] = x;
    if (m->estimated.text.len > 0 && log_enabled(LOG_DEBUG)) {
        char why[LEDGER_TEXT_MAX];
        (void)snprintf(why, sizeof why, "%.*s", (int)m->estimated.text.len,
                       m->estimated.text.ptr);
        log_event(LOG_DEBUG, "size.unknown", "agent", agent, "why", why, NULL);
    }
    return 0;
}

static int on_bye(struct roster *r, struct ledger *l, struct session *s)
{
    int err = ledger_agent_left(l, s->number);

    session_end(r, s);
    return err;
}

static int on_message(struct roster *r, struct ledger *l, const struct frame *f,
                      const struct wire_msg *m)
{
    struct session *s = session_by_route(r, f->route, f->route_len);
    struct run_id run;

    if (m->type == WIRE_HELLO)
        return on_hello(r, l, f, m);
    if (s == NULL) {
        r->counts.strangers++;
        if (m->type != WIRE_BYE)
            roster_say_bye(r, f->route, f->route_len, WIRE_BYE_UNKNOWN,
                           "no session; say HELLO");
        return 0;
    }
    switch (m->type) {
    case WIRE_ACCEPTED:
        run = run_of(&m->accepted.run);
        return ledger_accepted(l, s->number, &run, m->accepted.attempt,
                               m->accepted.started_unix_ms, m->accepted.beat);
    case WIRE_REFUSED:
        return on_refused(l, s->number, f->len, m);
    case WIRE_NODE:
        return on_node(l, s->number, f->len, m);
    case WIRE_LOG:
        return on_log(l, s->number, m);
    case WIRE_RESULT:
        return on_result(l, s->number, f->len, m);
    case WIRE_RENEW:
        return on_renew(l, s->number, m);
    case WIRE_DRAIN:
        return ledger_agent_draining(l, s->number);
    case WIRE_BYE:
        return on_bye(r, l, s);
    case WIRE_ESTIMATED:
        return on_estimated(r, s->number, s->name, m);
    case WIRE_HELLO:
    case WIRE_WELCOME:
    case WIRE_RUN:
    case WIRE_RESULT_ACK:
    case WIRE_RENEWED:
    case WIRE_CANCEL:
    case WIRE_ESTIMATE:
        break; /* a broker's own words: not for it */
    }
    r->counts.frames_bad++;
    return 0;
}

void roster_bad_frame(struct roster *r, const struct frame *f, int err,
                      const char *why)
{
    struct session *s = session_by_route(r, f->route, f->route_len);
    uint64_t bad = s != NULL ? ++s->bad : ++r->counts.strangers;

    r->counts.frames_bad++;
    if (err == -ENOTSUP)
        roster_say_bye(r, f->route, f->route_len, WIRE_BYE_VERSION,
                       "this broker speaks version 1 of the protocol");
    if (bad <= BAD_LOGGED_MAX)
        log_event(LOG_WARN, "frame.bad", "agent",
                  s != NULL ? s->name : "(stranger)", "why", why, "bytes",
                  log_number((int64_t)f->len), NULL);
}

int roster_take(struct roster *r, struct ledger *l, const struct frame *f)
{
    struct wire_msg msg;
    const char *why = "";

    int err = wire_unpack(f->bytes, f->len, &msg, &why);
    if (err == -ENOENT)
        return 0; /* a message of a newer agent */
    if (err == -ENOMEM)
        return err;
    if (err != 0) {
        roster_bad_frame(r, f, err, why);
        return 0;
    }
    err = on_message(r, l, f, &msg);
    wire_clear(&msg);
    return err;
}
