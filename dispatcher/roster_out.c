/*
 * roster_out.c - the ledger's effects as frames, sent after the commit.
 */
#include "dispatcher/roster_inside.h"

#include "dispatcher/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* 0, or -EHOSTUNREACH (gone), -EAGAIN (it stopped reading), -ENOMEM. */
int roster_post(struct roster *r, const void *route, size_t route_len,
                const struct wire_msg *msg)
{
    char *frame;
    size_t len;

    int err = wire_pack(msg, &frame, &len);
    if (err != 0)
        return err;
    if (zmq_send(r->socket, route, route_len, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0 ||
        zmq_send(r->socket, frame, len, ZMQ_DONTWAIT) < 0)
        err = -errno;
    else
        r->counts.frames_out++;
    free(frame);
    return err;
}

void roster_say_bye(struct roster *r, const void *route, size_t route_len,
                    enum wire_bye code, const char *text)
{
    struct wire_msg msg = {
        .type = WIRE_BYE,
        .bye = {.code = (uint8_t)code, .text = wire_text(text)},
    };

    (void)roster_post(r, route, route_len, &msg);
}

int roster_ask_sizes(struct roster *r, uint64_t session, uint64_t number,
                     const char *sources)
{
    const struct session *s = session_by_number(r, session);
    struct wire_msg msg = {
        .type = WIRE_ESTIMATE,
        .estimate = {.number = number, .sources = wire_text(sources)},
    };

    return s == NULL ? -EHOSTUNREACH
                     : roster_post(r, s->route, s->route_len, &msg);
}

static struct wire_id wire_of(const struct run_id *id)
{
    struct wire_id wire;

    memcpy(wire.b, id->b, sizeof wire.b);
    return wire;
}

static void keep_failed(struct roster *r, const struct effect *e, int error)
{
    if (r->failed_count == r->failed_room) {
        size_t room = r->failed_room * 2 + 64;
        struct failed_send *grown = realloc(r->failed, room * sizeof *grown);
        if (grown == NULL)
            return; /* it goes back when it was not accepted in time */
        r->failed = grown;
        r->failed_room = room;
    }
    r->failed[r->failed_count++] =
        (struct failed_send){e->session, e->run, e->attempt, error};
}

static void send_run(struct roster *r, const struct session *s,
                     struct store_reader *reader, const struct effect *e)
{
    struct store_bytes plan_record, origin_record;
    struct span plan, parameters;
    struct origin *origin = NULL;

    int err = store_read_begin(reader);
    if (err == 0)
        err = store_read(reader, STORE_PLAN, e->run.b, sizeof e->run.b,
                         &plan_record);
    if (err == 0)
        err = plan_decode(plan_record.ptr, plan_record.len, &plan, &parameters);
    if (err == 0)
        err = store_read(reader, STORE_ORIGIN, e->run.b, sizeof e->run.b,
                         &origin_record);
    if (err == 0)
        err = origin_decode(origin_record.ptr, origin_record.len, &origin);
    if (err == 0) {
        struct wire_msg msg = {
            .type = WIRE_RUN,
            .run =
                {
                    .run = wire_of(&e->run),
                    .attempt = e->attempt,
                    .lease_ms = e->lease_ms,
                    .timeout_ms = e->timeout_ms,
                    .workflow = wire_text(origin->workflow),
                    .pool = wire_text(e->pool),
                    .plan = {plan.ptr, plan.len},
                    .parameters = {parameters.ptr, parameters.len},
                    .traceparent = wire_text(
                        origin->traceparent != NULL ? origin->traceparent : ""),
                },
        };
        err = roster_post(r, s->route, s->route_len, &msg);
    }
    store_read_end(reader);
    free(origin);
    if (err != 0) {
        char id[RUN_ID_TEXT];
        run_id_text(&e->run, id);
        log_event(LOG_WARN, "run.unsent", "run", id, "agent", s->name, "error",
                  strerror(-err), NULL);
        keep_failed(r, e, err);
    }
}

static void send_attempts(struct roster *r, const struct session *s,
                          const struct effect *e)
{
    struct wire_held *list = calloc(e->attempt_count + 1, sizeof *list);
    struct wire_msg msg = {0};
    size_t keep = 0, other = 0;

    if (list == NULL)
        return;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < e->attempt_count; i++) {
            const struct effect_attempt *a = &e->attempts[i];
            if (a->keep != (pass == 0))
                continue;
            list[keep + other] = (struct wire_held){
                .run = wire_of(&a->run),
                .attempt = a->attempt,
                .events = a->events,
            };
            *(pass == 0 ? &keep : &other) += 1;
        }
    }
    if (e->type == EFFECT_WELCOME) {
        msg.type = WIRE_WELCOME;
        msg.welcome.session = e->session;
        msg.welcome.lease_ms = e->lease_ms;
        msg.welcome.keep = list;
        msg.welcome.keep_count = keep;
        msg.welcome.kill = list + keep;
        msg.welcome.kill_count = other;
    } else {
        msg.type = WIRE_RENEWED;
        msg.renewed.beat = e->beat;
        msg.renewed.lease_ms = e->lease_ms;
        msg.renewed.lost = list;
        msg.renewed.lost_count = keep + other;
    }
    (void)roster_post(r, s->route, s->route_len, &msg);
    free(list);
}

void roster_send(struct roster *r, struct store_reader *reader,
                 const struct effect *e)
{
    const struct session *s = session_by_number(r, e->session);
    struct wire_msg msg = {0};

    if (s == NULL) {
        if (e->type == EFFECT_PUSH)
            keep_failed(r, e, -EHOSTUNREACH);
        return;
    }
    switch (e->type) {
    case EFFECT_PUSH:
        send_run(r, s, reader, e);
        return;
    case EFFECT_WELCOME:
    case EFFECT_RENEWED:
        send_attempts(r, s, e);
        return;
    case EFFECT_CANCEL:
        msg.type = WIRE_CANCEL;
        msg.cancel.run = wire_of(&e->run);
        msg.cancel.attempt = e->attempt;
        msg.cancel.grace_ms = e->grace_ms;
        msg.cancel.reason = wire_text(e->text != NULL ? e->text : "");
        break;
    case EFFECT_ACK:
        msg.type = WIRE_RESULT_ACK;
        msg.result_ack.run = wire_of(&e->run);
        msg.result_ack.attempt = e->attempt;
        break;
    case EFFECT_DRAIN:
        msg.type = WIRE_DRAIN;
        msg.drain.reason = wire_text("an operator drains this agent");
        break;
    case EFFECT_ENDED:
    case EFFECT_NOTE:
        return;
    }
    (void)roster_post(r, s->route, s->route_len, &msg);
}
