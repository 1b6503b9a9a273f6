/*
 * ledger_lease.c - the life of a lease: granted (the run is PENDING), accepted
 * (RUNNING), ended by a result, returned because it never began, or lost with
 * its agent.
 *
 *   granted --accepted--> accepted --result--> closed
 *      |                     |
 *      | refused, unsent,    | lapsed, or the agent does not know it
 *      | agent gone          v
 *      +--> returned        lost
 *
 * A slot is given back in lease_close() and nowhere else.
 */
#include "pools/books.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* For people who ask who holds the slots; the name is in the origin record. */
static void name_workflow(struct ledger *l, struct lease *lease)
{
    const struct live_run *run = lease->run;
    struct store_bytes value;
    struct origin *origin;

    if (run->fresh != NULL) {
        copy_text(lease->workflow, sizeof lease->workflow,
                  run->fresh->origin.workflow);
    } else if (store_get(l->store, STORE_ORIGIN, run->id.b, sizeof run->id.b,
                         &value) == 0 &&
               origin_decode(value.ptr, value.len, &origin) == 0) {
        copy_text(lease->workflow, sizeof lease->workflow, origin->workflow);
        free(origin);
    }
}

struct lease *lease_new(struct ledger *l, struct live_run *run, size_t pool,
                        struct agent *agent)
{
    struct lease *lease = calloc(1, sizeof *lease);
    if (lease == NULL)
        return NULL;
    lease->timer.kind = TIMER_LEASE;
    lease->run = run;
    lease->agent = agent;
    lease->pool = (uint16_t)pool;
    memcpy(lease->boot, agent->boot, sizeof lease->boot);
    run->lease = lease;
    list_push(&l->pools[pool].leases, &lease->in_pool);
    list_push(&agent->leases, &lease->in_agent);
    name_workflow(l, lease);
    return lease;
}

void lease_free(struct ledger *l, struct lease *lease)
{
    timers_clear(&l->timers, &lease->timer);
    news_free(l, lease);
    list_remove(&l->pools[lease->pool].leases, &lease->in_pool);
    list_remove(&lease->agent->leases, &lease->in_agent);
    lease->run->lease = NULL;
    free(lease);
}

/* The broker waits a margin longer than the agent does, which counts from an
 * earlier moment: the agent's deadline is always the first to pass. */
int lease_timer(struct ledger *l, struct lease *lease)
{
    uint64_t term_ms = lease->accepted
                           ? (uint64_t)l->config.lease_ms + l->config.margin_ms
                           : l->config.accept_ms;

    return fail(l, timers_set(&l->timers, &lease->timer, l->now_ms + term_ms));
}

static int write_attempt(struct ledger *l, const struct run_id *id,
                         const struct attempt_record *record)
{
    uint8_t key[ATTEMPT_KEY];
    void *bytes;
    size_t len;

    int err = attempt_encode(record, &bytes, &len);
    if (err != 0)
        return fail(l, err);
    key_u32(key, id, record->attempt);
    err = store_put(l->store, STORE_ATTEMPT, key, sizeof key, bytes, len);
    free(bytes);
    return fail(l, err);
}

static int read_attempt(struct ledger *l, const struct live_run *run,
                        struct attempt_record **ret)
{
    struct store_bytes value;
    uint8_t key[ATTEMPT_KEY];

    key_u32(key, &run->id, run->attempt);
    int err = store_get(l->store, STORE_ATTEMPT, key, sizeof key, &value);
    if (err == 0)
        err = attempt_decode(value.ptr, value.len, ret);
    (void)fail(l, err);
    return err;
}

int lease_create(struct ledger *l, struct live_run *run, size_t pool,
                 struct agent *agent, const struct decision *decision)
{
    run_move(l, run, RUN_PENDING);
    run->attempt++;
    run->started_unix_ms = 0;
    struct lease *lease = lease_new(l, run, pool, agent);
    if (lease == NULL)
        return fail(l, -ENOMEM);
    lease->leased_unix_ms = l->now_unix_ms;
    lease->decision = *decision;
    run_dirty(l, run, DIRTY_EVENTS);

    struct attempt_record record = {
        .attempt = run->attempt,
        .pool = l->pools[pool].config.name,
        .agent = agent->name,
        .outcome = ATTEMPT_LIVE,
        .leased_unix_ms = l->now_unix_ms,
        .decision = *decision,
    };
    memcpy(record.boot, lease->boot, sizeof record.boot);
    int err = write_attempt(l, &run->id, &record);
    if (err == 0)
        err = lease_timer(l, lease);
    if (err != 0)
        return err;
    struct effect *e = effect_add(l, EFFECT_PUSH);
    e->session = agent->session;
    e->run = run->id;
    e->attempt = run->attempt;
    e->lease_ms = l->config.accept_ms;
    e->timeout_ms = run->timeout_ms;
    e->pool = l->pools[pool].config.name;
    note(l, "run.leased", run, lease, NULL);
    return 0;
}

int lease_move(struct ledger *l, struct lease *lease, const uint8_t boot[16])
{
    struct attempt_record *record;

    if (memcmp(lease->boot, boot, sizeof lease->boot) == 0)
        return 0;
    memcpy(lease->boot, boot, sizeof lease->boot);
    int err = read_attempt(l, lease->run, &record);
    if (err != 0)
        return err;
    memcpy(record->boot, boot, sizeof record->boot);
    err = write_attempt(l, &lease->run->id, record);
    free(record);
    return err;
}

int lease_accept(struct ledger *l, struct lease *lease, int64_t started_unix_ms)
{
    struct live_run *run = lease->run;
    struct attempt_record *record;

    if (lease->accepted)
        return lease_timer(l, lease);
    int err = read_attempt(l, run, &record);
    if (err != 0)
        return err;
    record->accepted_unix_ms = l->now_unix_ms;
    record->started_unix_ms = started_unix_ms;
    memcpy(record->boot, lease->boot, sizeof record->boot);
    err = write_attempt(l, &run->id, record);
    free(record);
    if (err != 0)
        return err;
    lease->accepted = true;
    run->started_unix_ms = l->now_unix_ms;
    if (run->state == RUN_PENDING)
        run_move(l, run, RUN_RUNNING);
    else
        run_dirty(l, run, DIRTY_RUN);
    note(l, "run.running", run, lease, NULL);
    return lease_timer(l, lease);
}

int lease_close(struct ledger *l, struct lease *lease,
                enum attempt_outcome outcome, const struct result *result,
                const char *error)
{
    struct live_run *run = lease->run;
    struct attempt_record *record;

    int err = news_write(l, lease);
    if (err == 0)
        err = read_attempt(l, run, &record);
    if (err != 0)
        return err;
    record->outcome = outcome;
    record->ended_unix_ms = l->now_unix_ms;
    record->events = lease->events;
    record->log_dropped = lease->log_dropped;
    record->error = error;
    if (result != NULL) {
        if (result->started_unix_ms > 0)
            record->started_unix_ms = result->started_unix_ms;
        record->ended_unix_ms = result->ended_unix_ms;
        record->log_dropped += result->log_dropped;
        record->logs_complete = !lease->gap && record->log_dropped == 0 &&
                                lease->events >= result->events;
    }
    err = write_attempt(l, &run->id, record);
    free(record);
    if (err != 0)
        return err;

    struct agent *agent = lease->agent;
    if (outcome == ATTEMPT_COMPLETED)
        agent->done++;
    else if (outcome != ATTEMPT_RETURNED)
        agent->failed++;
    char *kept = error != NULL ? strdup(error) : NULL;
    free(run->error);
    run->error = kept;
    lease_free(l, lease);
    l->look = true;
    return 0;
}

int lease_return(struct ledger *l, struct lease *lease, const char *why)
{
    struct live_run *run = lease->run;
    bool cancelled = run->state == RUN_CANCELLING;

    assert(!lease->accepted);
    note(l, "lease.returned", run, lease, why);
    int err = lease_close(l, lease, ATTEMPT_RETURNED, NULL, why);
    if (err != 0)
        return err;
    if (cancelled)
        return run_end(l, run, RUN_CANCELLED, "cancelled before it started");
    run_move(l, run, RUN_QUEUED);
    return run_queue(l, run);
}

int lease_lose(struct ledger *l, struct lease *lease, const char *why)
{
    struct live_run *run = lease->run;
    bool cancelled = run->state == RUN_CANCELLING;
    const char *agent = turn_text(l, "%s", lease->agent->name);

    note(l, "lease.lapsed", run, lease, why);
    const char *error = turn_text(l, "agent %s was lost: %s", agent, why);
    int err = lease_close(l, lease, ATTEMPT_LAPSED, NULL, error);
    if (err != 0)
        return err;
    run->losses++;
    if (cancelled)
        return run_end(l, run, RUN_CANCELLED,
                       turn_text(l, "cancelled; %s", error));
    if (!retry_after_loss(&run->retry, run->losses))
        return run_end(
            l, run, RUN_CRASHED,
            turn_text(l, "%s; %s", error,
                      run->retry.on_lost == ON_LOST_AUTO &&
                              !run->retry.repeatable
                          ? "it may have had effects and is not marked "
                            "repeatable, so it was not tried again"
                      : run->retry.on_lost == ON_LOST_FAIL
                          ? "on_lost is fail"
                          : "it was tried again as often as allowed"));
    run_move(l, run, RUN_QUEUED);
    note(l, "run.requeued", run, NULL, error);
    return run_queue(l, run);
}
