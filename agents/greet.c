/*
 * greet.c - the part of session.h about being connected: HELLO and WELCOME,
 * beats and leases, losing the link and coming back.
 */
#include "agents/session.h"

#include "agents/caps.h"
#include "agents/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

void session_post(struct session *session, const struct wire_msg *msg)
{
    char *frame;
    size_t bytes;
    int rc = wire_pack(msg, &frame, &bytes);

    if (rc == 0)
        rc = link_post(&session->link, frame, bytes);
    if (rc < 0)
        log_event(LOG_LEVEL_ERROR, "message.unsent", "type=%s error=\"%s\"",
                  wire_type_name(msg->type), strerror(-rc));
}

/* 50 to 100 % of the back-off, so that a thousand agents do not come back in
 * the same moment. */
static int64_t jittered(int64_t ms)
{
    uint32_t random = 0;

    if (getrandom(&random, sizeof random, GRND_NONBLOCK) < 0)
        random = (uint32_t)ms;
    return ms / 2 + (int64_t)(random % (uint32_t)(ms / 2 + 1));
}

void session_drop(struct session *session, int64_t now_ms, const char *why)
{
    if (session->state == SESSION_OFFLINE)
        return;
    if (session->backoff_ms < SESSION_BACKOFF_MIN_MS)
        session->backoff_ms = SESSION_BACKOFF_MIN_MS;
    int64_t wait = jittered(session->backoff_ms);
    /* Losing a session is always said, trying and failing once in a while. */
    if (session->state == SESSION_ONLINE) {
        log_event(LOG_LEVEL_WARN, "session.lost",
                  "session=%llu why=\"%s\" running=%zu",
                  (unsigned long long)session->number, why,
                  holdings_running(&session->holdings));
    } else if (!session->unreachable_said_at ||
               now_ms >= session->unreachable_said_at + SESSION_SAY_AGAIN_MS) {
        session->unreachable_said_at = now_ms;
        log_event(LOG_LEVEL_WARN, "session.unreachable",
                  "connect=%s why=\"%s\" next_try_ms=%lld",
                  session->settings->connect, why, (long long)wait);
    }
    link_close(&session->link, 0);
    surveys_clear(&session->surveys);
    session->state = SESSION_OFFLINE;
    session->next_try_at = now_ms + wait;
    session->backoff_ms *= 2;
    if (session->backoff_ms > SESSION_BACKOFF_MAX_MS)
        session->backoff_ms = SESSION_BACKOFF_MAX_MS;
    for (size_t i = 0; i < session->holdings.count; i++)
        session->holdings.list[i]->agreed = false;
}

/* To list an attempt is to accept it. One whose shepherd is not there yet may
 * still be refused. */
static bool may_be_listed(const struct held *held)
{
    return !held->doomed && held->state != HELD_STARTING;
}

static void list_held(const struct holdings *holdings, struct wire_held *list,
                      size_t *ret_count)
{
    size_t count = 0;

    for (size_t i = 0; i < holdings->count && count < WIRE_HELD_MAX; i++) {
        const struct held *held = holdings->list[i];
        if (!may_be_listed(held))
            continue;
        list[count++] = (struct wire_held){
            .run = held->run,
            .attempt = held->attempt,
            .phase = held->state == HELD_ENDED ? WIRE_PHASE_ENDED
                                               : WIRE_PHASE_RUNNING,
            .events = held_events(held),
        };
    }
    *ret_count = count;
}

static void say_hello(struct session *session)
{
    const struct settings *settings = session->settings;
    struct wire_bytes pools[WIRE_POOLS_MAX], words[WIRE_CAPS_MAX];
    char host[WIRE_HOST_MAX + 1] = "";
    struct wire_msg hello = {.type = WIRE_HELLO};
    struct caps caps;
    struct wire_held *held = calloc(session->holdings.count + 1, sizeof *held);

    if (!held)
        return; /* no answer will come, and we try again */
    for (size_t i = 0; i < settings->pool_count; i++)
        pools[i] = wire_text(settings->pools[i]);
    caps_list(settings, &caps); /* settings_read() saw that all fit */
    for (size_t i = 0; i < caps.count; i++)
        words[i] = wire_text(caps.words[i]);
    gethostname(host, sizeof host - 1);
    hello.hello.name = wire_text(settings->name);
    hello.hello.boot = session->boot;
    hello.hello.slots = settings->slots;
    hello.hello.pools = pools;
    hello.hello.pool_count = settings->pool_count;
    hello.hello.caps = words;
    hello.hello.cap_count = caps.count;
    list_held(&session->holdings, held, &hello.hello.held_count);
    hello.hello.held = held;
    hello.hello.host = wire_text(host);
    hello.hello.pid = (uint32_t)getpid();
    hello.hello.software = wire_text(DISPATCH_VERSION);
    hello.hello.draining = session->draining;
    hello.hello.greeting = ++session->greeting;
    session_post(session, &hello);
    session->drain_said = session->draining;
    free(held);
}

void session_open(struct session *session, int64_t now_ms)
{
    int rc = link_open(&session->link, session->settings->connect);

    session->state = SESSION_GREETING;
    session->greeted_at = now_ms;
    if (rc < 0)
        session_drop(session, now_ms, strerror(-rc));
    else
        say_hello(session);
}

static bool same(const struct held *held, const struct wire_held *listed)
{
    return held->attempt == listed->attempt &&
           memcmp(&held->run, &listed->run, sizeof held->run) == 0;
}

static const struct wire_held *kept(const struct wire_msg *msg,
                                    const struct held *held, size_t hint)
{
    const struct wire_held *keep = msg->welcome.keep;

    /* Usually in the order in which HELLO listed them. */
    if (hint < msg->welcome.keep_count && same(held, &keep[hint]))
        return &keep[hint];
    for (size_t i = 0; i < msg->welcome.keep_count; i++)
        if (same(held, &keep[i]))
            return &keep[i];
    return NULL;
}

static void print_ready(const struct session *session)
{
    printf("{\"ready\":true,\"name\":\"%s\",\"session\":%llu,\"pid\":%d}\n",
           session->settings->name, (unsigned long long)session->number,
           (int)getpid());
    fflush(stdout);
}

void session_on_welcome(struct session *session, const struct wire_msg *msg,
                        int64_t now_ms)
{
    struct holdings *holdings = &session->holdings;

    if (session->state != SESSION_GREETING)
        return;
    session->state = SESSION_ONLINE;
    session->number = msg->welcome.session;
    session->lease_ms = msg->welcome.lease_ms;
    session->backoff_ms = SESSION_BACKOFF_MIN_MS;
    session->missed = 0;
    session->unreachable_said_at = 0;
    memset(session->beats, 0, sizeof session->beats);
    log_event(LOG_LEVEL_INFO, "session.welcome",
              "session=%llu lease_ms=%u keep=%zu kill=%zu held=%zu",
              (unsigned long long)session->number, session->lease_ms,
              msg->welcome.keep_count, msg->welcome.kill_count,
              holdings->count);
    /* Backwards: dooming may remove the one at hand. What is in neither list
     * is unknown to the broker, so nobody waits for it: the same as kill. */
    for (size_t i = holdings->count; i-- > 0;) {
        struct held *held = holdings->list[i];
        const struct wire_held *keep = kept(msg, held, i);
        if (held->doomed)
            continue;
        if (!keep) {
            session_doom(session, held, now_ms,
                         "the dispatcher does not want "
                         "it any more");
            continue;
        }
        held->agreed = true;
        held->behind = true;
        held->result_sent = false;
        if (held->journal.fd >= 0)
            journal_seek(&held->journal, 0);
        if (held->journal.fd >= 0 ||
            journal_open_reader(held->dir_fd, &held->journal) == 0)
            journal_seek(&held->journal, keep->events);
    }
    if (!session->welcomed)
        print_ready(session);
    session->welcomed = true;
    session_renew(session, now_ms);
}

void session_on_bye(struct session *session, const struct wire_msg *msg,
                    int64_t now_ms)
{
    const struct wire_bytes *text = &msg->bye.text;
    struct log_quoted said = log_quote(text->ptr, text->len);

    switch (msg->bye.code) {
    case WIRE_BYE_CLONE:
        log_event(LOG_LEVEL_ERROR, "session.clone",
                  "name=%s text=%s hint=\"another living agent has this name; "
                  "if it is a former life of this one it will be forgotten "
                  "soon, else stop one of them or give it another --name\"",
                  session->settings->name, said.text);
        session_drop(session, now_ms, "clone");
        session->backoff_ms = session->backoff_ms < SESSION_CLONE_MIN_MS
                                  ? SESSION_CLONE_MIN_MS
                                  : session->backoff_ms * 2;
        if (session->backoff_ms > SESSION_CLONE_MAX_MS)
            session->backoff_ms = SESSION_CLONE_MAX_MS;
        session->next_try_at = now_ms + jittered(session->backoff_ms);
        return;
    case WIRE_BYE_VERSION:
    case WIRE_BYE_BAD_HELLO:
        log_event(LOG_LEVEL_ERROR, "session.rejected",
                  "reason=%s text=%s hint=\"%s\"",
                  msg->bye.code == WIRE_BYE_VERSION ? "version" : "bad_hello",
                  said.text,
                  msg->bye.code == WIRE_BYE_VERSION
                      ? "agent and dispatcher must be of the same version"
                      : "see --name, --pools and --slots");
        session_drop(session, now_ms, "rejected");
        session->fatal = 1;
        return;
    case WIRE_BYE_UNKNOWN:
        session_drop(session, now_ms,
                     "the dispatcher does not know this "
                     "session");
        session->next_try_at = now_ms; /* say HELLO at once */
        return;
    default:
        session_drop(session, now_ms, "the dispatcher is stopping");
        return;
    }
}

/* ---- leases ---------------------------------------------------------- */

void session_renew(struct session *session, int64_t now_ms)
{
    struct holdings *holdings = &session->holdings;
    struct wire_msg renew = {.type = WIRE_RENEW};
    struct wire_held *held = calloc(holdings->count + 1, sizeof *held);

    session->next_beat_at = now_ms + session->lease_ms / 3 + 1;
    if (!held)
        return;
    uint64_t beat = ++session->beat;
    session->beats[beat % SESSION_BEATS_KEPT] =
        (struct session_beat){beat, now_ms};
    for (size_t i = 0; i < holdings->count; i++)
        if (may_be_listed(holdings->list[i]) && !holdings->list[i]->first_beat)
            holdings->list[i]->first_beat = beat;
    list_held(holdings, held, &renew.renew.held_count);
    renew.renew.beat = beat;
    renew.renew.held = held;
    session->missed++;
    session_post(session, &renew);
    free(held);
}

void session_on_renewed(struct session *session, const struct wire_msg *msg,
                        int64_t now_ms)
{
    struct holdings *holdings = &session->holdings;
    uint64_t beat = msg->renewed.beat;
    const struct session_beat *sent =
        &session->beats[beat % SESSION_BEATS_KEPT];
    bool listed_all = sent->beat == beat && beat != 0;

    if (beat > session->beat || beat <= session->answered) {
        session->unexpected++;
    } else {
        session->answered = listed_all ? beat : session->answered;
        session->missed = listed_all ? 0 : session->missed;
    }
    /* First what is lost: a renewal would start it. */
    for (size_t i = 0; i < msg->renewed.lost_count; i++) {
        const struct wire_held *lost = &msg->renewed.lost[i];
        struct held *held = holdings_find(holdings, &lost->run, lost->attempt);
        if (held && !held->doomed)
            session_doom(session, held, now_ms,
                         "the dispatcher says it is not ours any more");
    }
    for (size_t i = 0; i < holdings->count; i++) {
        struct held *held = holdings->list[i];
        if (held->doomed)
            continue;
        if (listed_all && held->first_beat && held->first_beat <= beat)
            held_renew(held, now_ms, sent->sent_at + msg->renewed.lease_ms);
        else if (held->accepted_beat == beat && beat != 0)
            held_renew(held, now_ms, held->accepted_at + msg->renewed.lease_ms);
    }
}
