/*
 * ledger_agents.c - agents and what they say. An agent is known by its name;
 * a session is one connection of one boot of it. Every message names run and
 * attempt; lease_of() is the fence: what is not this agent's live lease has no
 * effect.
 */
#include "pools/books.h"
#include "pools/measure.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- HELLO ----------------------------------------------------------- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int take_caps(struct ledger *l, struct agent *agent,
                     const struct agent_hello *hello)
{
    char **caps = calloc(hello->cap_count + 1, sizeof(char *));
    if (caps == NULL)
        return -ENOMEM;
    agent_free_caps(agent);
    agent->caps = caps;
    for (size_t i = 0; i < hello->cap_count; i++) {
        caps[i] = strdup(hello->caps[i]);
        if (caps[i] == NULL)
            return -ENOMEM;
        agent->cap_count++;
    }
    qsort(caps, agent->cap_count, sizeof(char *), by_text);
    for (size_t i = 0; i < l->need_room; i++)
        if (l->need_bits[i] != NULL)
            agent_know_need(agent, l->need_bits[i]);
    return 0;
}

static void take_pools(struct ledger *l, struct agent *agent,
                       const struct agent_hello *hello)
{
    agent->pool_mask = 0;
    for (size_t i = 0; i < hello->pool_count; i++) {
        int pool = ledger_config_pool(&l->config, hello->pools[i]);
        if (pool >= 0)
            agent->pool_mask |= 1ULL << pool;
        else
            note(l, "agent.unknown_pool", NULL, NULL,
                 turn_text(l,
                           "agent %s serves pool %s, which is not "
                           "configured here",
                           agent->name, hello->pools[i]));
    }
}

/* May this HELLO open a session? The answer for a clone depends on the other
 * one being alive: a connection that broke unnoticed must not lock its own
 * agent out for longer than it takes to notice. */
static enum hello_answer judge(const struct ledger *l,
                               const struct agent_hello *hello,
                               const struct agent *known,
                               char ret_text[LEDGER_TEXT_MAX])
{
    bool same_boot = known != NULL &&
                     memcmp(known->boot, hello->boot, sizeof known->boot) == 0;

    if (same_boot && hello->greeting < known->greeting) {
        (void)snprintf(ret_text, LEDGER_TEXT_MAX,
                       "an old HELLO of agent %.64s came late", hello->name);
        return HELLO_STALE;
    }
    if (known != NULL && known->session != 0 && !same_boot &&
        agent_health_of(l, known, l->now_ms) == AGENT_OK) {
        (void)snprintf(ret_text, LEDGER_TEXT_MAX,
                       "another agent named %.60s is connected from %.40s, "
                       "pid %u; give this one a name of its own",
                       hello->name, known->host, known->pid);
        return HELLO_CLONE;
    }
    for (size_t i = 0; i < hello->pool_count; i++)
        if (ledger_config_pool(&l->config, hello->pools[i]) >= 0)
            return HELLO_OK;
    (void)snprintf(ret_text, LEDGER_TEXT_MAX,
                   "none of the pools this agent serves is configured here "
                   "(first: %.64s)",
                   hello->pool_count > 0 ? hello->pools[0] : "none given");
    return HELLO_BAD;
}

/* Goes through what the agent holds: adopts its leases, lists the rest to be
 * killed. */
static int adopt(struct ledger *l, struct agent *agent,
                 const struct agent_hello *hello, struct effect_attempt *list)
{
    for (size_t i = 0; i < hello->held_count; i++) {
        const struct effect_attempt *held = &hello->held[i];
        struct live_run *run = run_find(l, &held->run);
        struct lease *lease = run != NULL ? run->lease : NULL;

        list[i] = *held;
        list[i].keep = lease != NULL && lease->agent == agent &&
                       run->attempt == held->attempt;
        if (!list[i].keep)
            continue;
        list[i].events = lease->events;
        lease->listed = true;
        int err = lease_move(l, lease, hello->boot);
        if (err == 0)
            err = lease_accept(l, lease, 0);
        if (err != 0)
            return err;
    }
    return 0;
}

/* Leases it did not list: see ledger_agent_hello() in ledger.h. */
static int drop_unlisted(struct ledger *l, struct agent *agent,
                         const struct agent_hello *hello)
{
    int err = 0;

    for (struct link *at = agent->leases.head, *next; at != NULL && err == 0;
         at = next) {
        struct lease *lease = container_of(at, struct lease, in_agent);
        next = at->next;
        if (lease->listed)
            lease->listed = false;
        else if (!lease->accepted)
            err = lease_return(l, lease, "the agent came back without it");
        else if (memcmp(lease->boot, hello->boot, sizeof lease->boot) == 0)
            err = lease_lose(l, lease, "it no longer holds this attempt");
    }
    return err;
}

static void cancel_again(struct ledger *l, const struct agent *agent)
{
    for (struct link *at = agent->leases.head; at != NULL; at = at->next) {
        struct lease *lease = container_of(at, struct lease, in_agent);
        if (lease->run->state != RUN_CANCELLING)
            continue;
        struct effect *e = effect_add(l, EFFECT_CANCEL);
        e->session = agent->session;
        e->run = lease->run->id;
        e->attempt = lease->run->attempt;
        e->grace_ms = l->config.cancel_grace_ms;
        e->text = "";
    }
}

int ledger_agent_hello(struct ledger *l, uint64_t session,
                       const struct agent_hello *hello, enum hello_answer *ret,
                       char ret_text[LEDGER_TEXT_MAX])
{
    *ret = judge(l, hello, agent_find(l, hello->name), ret_text);
    struct agent *agent = *ret == HELLO_OK ? agent_add(l, hello->name) : NULL;
    if (*ret == HELLO_OK && agent == NULL) {
        (void)snprintf(ret_text, LEDGER_TEXT_MAX,
                       "this broker already knows %d agents", AGENTS_MAX);
        *ret = HELLO_BAD;
    }
    struct agent *before = agent_of_session(l, session);
    if (*ret == HELLO_OK && before != NULL && before != agent) {
        int gone = ledger_agent_gone(l, session, "its connection took a name");
        if (gone != 0)
            return gone;
    }
    if (*ret != HELLO_OK) {
        l->refused_messages++;
        note(l, "agent.refused", NULL, NULL, ret_text);
        return 0;
    }
    memcpy(agent->boot, hello->boot, sizeof agent->boot);
    agent->greeting = hello->greeting;
    agent->slots = hello->slots;
    agent->pid = hello->pid;
    agent->draining = hello->draining;
    timers_clear(&l->timers, &agent->rest);
    timers_clear(&l->timers, &agent->forget);
    agent->seen_ms = l->now_ms;
    agent->connected_unix_ms = l->now_unix_ms;
    copy_text(agent->host, sizeof agent->host, hello->host);
    copy_text(agent->software, sizeof agent->software, hello->software);
    agent_set_session(l, agent, session);
    take_pools(l, agent, hello);
    int err = take_caps(l, agent, hello);
    if (err != 0)
        return fail(l, err);

    struct effect_attempt *list =
        turn_alloc(l, hello->held_count * sizeof *list);
    if (list == NULL)
        return -ENOMEM;
    err = adopt(l, agent, hello, list);
    if (err == 0)
        err = drop_unlisted(l, agent, hello);
    struct effect *e = effect_add(l, EFFECT_WELCOME);
    e->session = session;
    e->lease_ms = l->config.lease_ms;
    e->attempts = list;
    e->attempt_count = hello->held_count;
    cancel_again(l, agent);
    if (agent->stopped.state == POOL_DRAINING)
        effect_add(l, EFFECT_DRAIN)->session = session;
    e = note(l, "agent.connected", NULL, NULL, NULL);
    e->agent = turn_text(l, "%s", agent->name);
    return err;
}

static int end_session(struct ledger *l, struct agent *agent, const char *word,
                       const char *why)
{
    int err = 0;

    agent_set_session(l, agent, 0);
    struct effect *e = note(l, word, NULL, NULL, why);
    e->agent = turn_text(l, "%s", agent->name);
    for (struct link *at = agent->leases.head, *next; at != NULL && err == 0;
         at = next) {
        struct lease *lease = container_of(at, struct lease, in_agent);
        next = at->next;
        if (!lease->accepted)
            err = lease_return(l, lease, "its agent was lost before it began");
    }
    if (err == 0)
        err = timers_set(&l->timers, &agent->forget, l->now_ms + FORGET_MS);
    return fail(l, err);
}

int ledger_agent_gone(struct ledger *l, uint64_t session, const char *why)
{
    struct agent *agent = agent_of_session(l, session);

    return agent != NULL ? end_session(l, agent, "agent.lost", why) : 0;
}

int ledger_agent_left(struct ledger *l, uint64_t session)
{
    struct agent *agent = agent_of_session(l, session);

    if (agent == NULL)
        return 0;
    int err = end_session(l, agent, "agent.left", NULL);
    if (err == 0 && agent_is_idle(agent))
        agent_forget(l, agent);
    return err;
}

int ledger_agent_draining(struct ledger *l, uint64_t session)
{
    struct agent *agent = agent_of_session(l, session);

    if (agent == NULL || agent->draining)
        return 0;
    agent->draining = true;
    agent->seen_ms = l->now_ms;
    l->look = true;
    note(l, "agent.draining", NULL, NULL, NULL)->agent =
        turn_text(l, "%s", agent->name);
    return 0;
}

/* ---- messages of attempts -------------------------------------------- */

/* An agent that was silent for too long takes work again. */
static void heard(struct ledger *l, struct agent *agent)
{
    if (!agent_is_healthy(l, agent, l->now_ms))
        l->look = true;
    agent->seen_ms = l->now_ms;
}

struct lease *lease_of(struct ledger *l, uint64_t session,
                       const struct run_id *id, uint32_t attempt)
{
    struct agent *agent = agent_of_session(l, session);
    struct live_run *run = run_find(l, id);

    if (agent == NULL)
        return NULL;
    heard(l, agent);
    if (run == NULL || run->lease == NULL || run->attempt != attempt ||
        run->lease->agent != agent)
        return NULL;
    return run->lease;
}

void late(struct ledger *l, uint64_t session, const struct run_id *id,
          uint32_t attempt, const char *what)
{
    const struct agent *agent = agent_of_session(l, session);
    struct effect *e = note(l, "message.late", NULL, NULL, what);

    l->late_messages++;
    e->run = *id;
    e->attempt = attempt;
    e->agent = agent != NULL ? turn_text(l, "%s", agent->name) : NULL;
}

/* RENEWED for `count` attempts of which `lost` (may be NULL) are not theirs. */
static void renewed(struct ledger *l, uint64_t session, uint64_t beat,
                    const struct effect_attempt *lost, size_t count)
{
    struct effect *e = effect_add(l, EFFECT_RENEWED);

    e->session = session;
    e->beat = beat;
    e->lease_ms = l->config.lease_ms;
    e->attempts = lost;
    e->attempt_count = count;
}

int ledger_accepted(struct ledger *l, uint64_t session, const struct run_id *id,
                    uint32_t attempt, int64_t started_unix_ms, uint64_t beat)
{
    struct lease *lease = lease_of(l, session, id, attempt);

    if (lease == NULL) {
        late(l, session, id, attempt, "accepted");
        if (agent_of_session(l, session) == NULL)
            return 0;
        struct effect_attempt *lost = turn_alloc(l, sizeof *lost);
        if (lost == NULL)
            return -ENOMEM;
        *lost = (struct effect_attempt){.run = *id, .attempt = attempt};
        renewed(l, session, beat, lost, 1);
        return 0;
    }
    renewed(l, session, beat, NULL, 0);
    return lease_accept(l, lease, started_unix_ms);
}

/* The run goes back to its line, and its agent rests. */
static int give_back(struct ledger *l, struct lease *lease, const char *why)
{
    int err = fail(
        l, timers_set(&l->timers, &lease->agent->rest, l->now_ms + REST_MS));

    return err != 0 ? err : lease_return(l, lease, why);
}

int ledger_refused(struct ledger *l, uint64_t session, const struct run_id *id,
                   uint32_t attempt, bool fatal, const char *text)
{
    struct lease *lease = lease_of(l, session, id, attempt);

    if (lease == NULL || lease->accepted) {
        late(l, session, id, attempt, "refused");
        return 0;
    }
    if (!fatal || lease->run->state == RUN_CANCELLING)
        return give_back(l, lease, turn_text(l, "refused: %s", text));
    struct live_run *run = lease->run;
    int err = lease_close(l, lease, ATTEMPT_FAILED, NULL, text);
    return err != 0 ? err : run_end(l, run, RUN_FAILED, text);
}

int ledger_unsent(struct ledger *l, uint64_t session, const struct run_id *id,
                  uint32_t attempt)
{
    struct live_run *run = run_find(l, id);

    (void)session; /* it may be gone by now; the attempt number is the fence */
    if (run == NULL || run->lease == NULL || run->attempt != attempt ||
        run->lease->accepted)
        return 0;
    return give_back(l, run->lease, "it could not be sent");
}

bool take_event(struct ledger *l, struct lease *lease, uint64_t event)
{
    if (event <= lease->events)
        return false;
    if (event != lease->events + 1)
        lease->gap = true;
    lease->events = event;
    run_dirty(l, lease->run, DIRTY_EVENTS);
    return true;
}

int ledger_log(struct ledger *l, uint64_t session, const struct run_id *id,
               uint32_t attempt, uint64_t event, const struct log_record *log)
{
    struct lease *lease = lease_of(l, session, id, attempt);
    uint8_t key[LOG_KEY];
    void *bytes;
    size_t len;

    if (lease == NULL) {
        late(l, session, id, attempt, "log");
        return 0;
    }
    if (!take_event(l, lease, event))
        return 0;
    if (lease->log_bytes + log->text_bytes > LOG_BYTES_MAX ||
        l->store_permille >= STORE_FULL_PERMILLE) {
        lease->log_dropped += log->text_bytes;
        return 0;
    }
    lease->log_bytes += log->text_bytes;
    int err = log_encode(log, &bytes, &len);
    if (err != 0)
        return fail(l, err);
    key_log(key, id, attempt, event);
    err = store_put(l->store, STORE_LOG, key, sizeof key, bytes, len);
    free(bytes);
    return fail(l, err);
}

/* A failed attempt: again later, or the end. */
static int end_failed(struct ledger *l, struct live_run *run,
                      enum run_state state, const char *error)
{
    uint64_t delay_ms;

    run->failures++;
    if (!retry_after_failure(&run->retry, run->failures, next_random(l),
                             &delay_ms))
        return run_end(l, run, state, error);
    run_move(l, run, RUN_SCHEDULED);
    note(l, "run.retry", run, NULL, error);
    return run_schedule(l, run, l->now_unix_ms + (int64_t)delay_ms,
                        WAIT_RETRY_BACKOFF);
}

/* The agent stopped it without being asked: as if it had been lost. */
static int end_stopped(struct ledger *l, struct live_run *run,
                       const char *error)
{
    run->losses++;
    if (!retry_after_loss(&run->retry, run->losses))
        return run_end(l, run, RUN_CRASHED, error);
    run_move(l, run, RUN_QUEUED);
    note(l, "run.requeued", run, NULL, error);
    return run_queue(l, run);
}

static int end_attempt(struct ledger *l, struct live_run *run,
                       enum attempt_outcome outcome, const char *error)
{
    bool cancelling = run->state == RUN_CANCELLING;

    switch (outcome) {
    case ATTEMPT_COMPLETED:
        return run_end(l, run, RUN_COMPLETED, NULL);
    case ATTEMPT_FAILED:
        return cancelling ? run_end(l, run, RUN_FAILED, error)
                          : end_failed(l, run, RUN_FAILED, error);
    case ATTEMPT_TIMED_OUT:
        return cancelling ? run_end(l, run, RUN_TIMED_OUT, error)
                          : end_failed(l, run, RUN_TIMED_OUT, error);
    case ATTEMPT_CANCELLED:
    case ATTEMPT_LAPSED:
    case ATTEMPT_LIVE:
    case ATTEMPT_RETURNED:
    case ATTEMPT_OUTCOMES:
        break;
    }
    return cancelling ? run_end(l, run, RUN_CANCELLED, error)
                      : end_stopped(l, run, error);
}

static int measure_from(struct ledger *l, const struct live_run *run,
                        const struct origin *origin,
                        const struct result *result)
{
    struct measure measure;

    if (!measure_of(origin, result->nodes, result->node_count, &measure))
        return 0;
    measure.run = run->id;
    measure.ended_unix_ms = l->now_unix_ms;
    return fail(l, measure_write(l->store, origin, &measure));
}

/* Remembers what a completed run has read, for the next of its workflow. */
static int measure_run(struct ledger *l, const struct live_run *run,
                       const struct result *result)
{
    struct store_bytes value;
    struct origin *origin;

    if (!run->measured || result->outcome != ATTEMPT_COMPLETED)
        return 0;
    if (run->fresh != NULL)
        return measure_from(l, run, &run->fresh->origin, result);
    if (store_get(l->store, STORE_ORIGIN, run->id.b, sizeof run->id.b,
                  &value) != 0 ||
        origin_decode(value.ptr, value.len, &origin) != 0)
        return 0; /* worth a guess, not a run */
    int err = measure_from(l, run, origin, result);
    free(origin);
    return err;
}

int ledger_result(struct ledger *l, uint64_t session, const struct run_id *id,
                  uint32_t attempt, const struct result *result)
{
    struct lease *lease = lease_of(l, session, id, attempt);
    int err = 0;

    /* In a session that is over, "late" says nothing: the attempt may be live
     * in the next one, and a result that is acknowledged is forgotten. */
    if (agent_of_session(l, session) != NULL) {
        struct effect *e = effect_add(l, EFFECT_ACK);
        e->session = session;
        e->run = *id;
        e->attempt = attempt;
    }
    if (lease == NULL) {
        late(l, session, id, attempt, "result");
        return 0;
    }
    struct live_run *run = lease->run;
    const char *error =
        result->error != NULL ? turn_text(l, "%s", result->error) : NULL;
    for (size_t i = 0; i < result->node_count && err == 0; i++)
        err = node_write(l, lease, &result->nodes[i]);
    if (run->started_unix_ms == 0) /* its acceptance was lost on the way */
        run->started_unix_ms = result->started_unix_ms;
    if (err == 0)
        err = measure_run(l, run, result);
    if (err == 0)
        err = lease_close(l, lease, result->outcome, result, error);
    return err != 0 ? err : end_attempt(l, run, result->outcome, error);
}

int ledger_renew(struct ledger *l, uint64_t session, uint64_t beat,
                 const struct effect_attempt *held, size_t held_count)
{
    struct agent *agent = agent_of_session(l, session);
    size_t lost_count = 0;

    /* Telling a stranger that its attempts are lost would have it kill what
     * its own session may still hold. */
    if (agent == NULL)
        return 0;
    struct effect_attempt *lost = turn_alloc(l, held_count * sizeof *lost);
    if (lost == NULL)
        return -ENOMEM;
    heard(l, agent);
    for (size_t i = 0; i < held_count; i++) {
        struct lease *lease =
            lease_of(l, session, &held[i].run, held[i].attempt);
        int err = 0;
        if (lease == NULL)
            lost[lost_count++] = held[i];
        else /* holding it is accepting it: RENEWED lets its job start */
            err = lease_accept(l, lease, 0);
        if (err != 0)
            return err;
    }
    renewed(l, session, beat, lost, lost_count);
    return 0;
}
