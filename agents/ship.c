/*
 * ship.c - the part of session.h about sending what the shepherds wrote.
 *
 * Journals are read from disk and sent as they are, for as long as there is
 * room in the socket; without room the journal simply waits. Attempts take
 * turns, so that one that talks much does not keep the others' results back.
 */
#include "agents/session.h"

#include "agents/log.h"

#include <string.h>

enum { EVENTS_A_TURN = 16 }; /* of one attempt before the next has its turn */

/* Returns how many messages went out. */
static int ship_events(struct session *session, struct held *held)
{
    const char *frame;
    uint64_t event;
    size_t len;
    int sent = 0;

    if (held->journal.fd < 0 &&
        journal_open_reader(held->dir_fd, &held->journal) < 0) {
        held->journal.fd = -1;
        held->behind = held->state == HELD_ENDED;
        return 0; /* the shepherd wakes us when there is one */
    }
    while (sent < EVENTS_A_TURN) {
        int rc = journal_peek(&held->journal, &event, &frame, &len);
        if (rc <= 0) {
            held->behind = held->state == HELD_ENDED && !held->result_sent;
            return sent;
        }
        if (link_send(&session->link, frame, len) < 0)
            return sent;
        journal_next(&held->journal, event, len);
        sent++;
    }
    return sent;
}

/* After its events. An end of the journal before result_events is possible
 * after a power loss only: what is lost is lost, the result counts. */
static int ship_result(struct session *session, struct held *held,
                       int64_t now_ms)
{
    const char *frame;
    uint64_t event;
    size_t len;

    if (held->state != HELD_ENDED || held->result_sent ||
        !link_has_room(&session->link))
        return 0;
    if (held->journal.fd >= 0 && held->journal.at < held->result_events &&
        journal_peek(&held->journal, &event, &frame, &len) == 1)
        return 0;
    if (link_send(&session->link, held->result, held->result_bytes) < 0)
        return 0;
    held->result_sent = true;
    held->result_sent_at = now_ms;
    held->behind = false;
    return 1;
}

void session_ship(struct session *session, int64_t now_ms)
{
    struct holdings *holdings = &session->holdings;
    int budget = SESSION_BATCH;
    size_t quiet = 0;

    for (size_t i = 0; i < holdings->count; i++) {
        struct held *held = holdings->list[i];
        if (held->result_sent &&
            now_ms - held->result_sent_at >= SESSION_RESEND_MS) {
            held->result_sent = false;
            held->behind = true;
        }
    }
    while (budget > 0 && quiet < holdings->count &&
           link_has_room(&session->link)) {
        struct held *held =
            holdings->list[session->next_ship++ % holdings->count];
        int sent = 0;
        if (held->agreed && held->behind && !held->doomed) {
            sent = ship_events(session, held);
            sent += ship_result(session, held, now_ms);
        }
        budget -= sent;
        quiet = sent ? 0 : quiet + 1;
    }
}
