/*
 * ledger_submit.c - what clients ask for: admit a run, say what would happen
 * to one, cancel one. Refusals are answers.
 */
#include "pools/books.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- submissions ----------------------------------------------------- */

static const char *missing_engine(const struct ledger *l,
                                  const struct origin *origin)
{
    for (size_t i = 0; i < origin->requires_count; i++) {
        const char *cap = origin->requires[i];
        bool known = strncmp(cap, "engine:", 7) != 0;
        for (size_t a = 0; a < l->agent_count && !known; a++)
            known = agent_announces(l->agents[a], cap);
        if (!known)
            return cap + 7;
    }
    return NULL;
}

__attribute__((format(printf, 3, 4))) static void
refuse(struct admission *ret, enum admit_answer answer, const char *fmt, ...)
{
    va_list args;

    ret->answer = answer;
    va_start(args, fmt);
    (void)vsnprintf(ret->text, sizeof ret->text, fmt, args);
    va_end(args);
}

/* Everything that may refuse a submission; shared with ledger_plan(). */
static void admit(const struct ledger *l, const struct origin *origin,
                  struct admission *ret, size_t *ret_pool)
{
    int found = ledger_config_pool(&l->config, origin->wanted_pool);
    const char *engine = missing_engine(l, origin);

    *ret = (struct admission){.answer = ADMIT_OK};
    if (l->draining) {
        refuse(ret, ADMIT_DRAINING, "the broker is stopping; try again soon");
        return;
    }
    if (found < 0) {
        refuse(ret, ADMIT_NO_POOL, "there is no pool %s", origin->wanted_pool);
        return;
    }
    const struct pool *pool = &l->pools[found];
    *ret_pool = (size_t)found;
    if (pool->stopped.state == POOL_CLOSED)
        refuse(ret, ADMIT_POOL_CLOSED, "pool %s is closed: %s",
               pool->config.name, pool->stopped.reason);
    else if (engine != NULL)
        refuse(ret, ADMIT_NO_ENGINE,
               "no agent can execute engine %s: it is not built in and no "
               "agent has announced it",
               engine);
    else if (hop_mask_of(l, (size_t)found, origin->features.size_bytes,
                         origin->fallback_forbidden) == 0)
        refuse(ret, ADMIT_TOO_BIG,
               "%lld bytes are over the ceiling (max_size) of pool %s and of "
               "every pool it may fall back to",
               (long long)origin->features.size_bytes, pool->config.name);
    else if (l->store_permille >= STORE_FULL_PERMILLE)
        refuse(ret, ADMIT_STORE_FULL,
               "no room: the store is %u.%u %% full, or its disk has under "
               "%d MiB left; what runs completes, new work is refused; raise "
               "limits.store or free disk space",
               l->store_permille / 10, l->store_permille % 10,
               STORE_DISK_RESERVE >> 20);
    else if (line_count(&pool->line) >= pool->config.waiting_max)
        refuse(ret, ADMIT_LINE_FULL, "%u runs wait in pool %s, its maximum",
               pool->config.waiting_max, pool->config.name);
}

/* Has this request been made before? *ret is then the answer. */
static bool replay(struct ledger *l, const struct once *once,
                   struct admission *ret)
{
    struct store_bytes value;

    if (once == NULL || store_get(l->store, STORE_REQUEST, once->key,
                                  sizeof once->key, &value) != 0)
        return false;
    const uint8_t *bytes = value.ptr;
    if (value.len != sizeof ret->run.b + sizeof once->body)
        return false;
    *ret = (struct admission){.answer = ADMIT_OK};
    if (memcmp(bytes + sizeof ret->run.b, once->body, sizeof once->body) == 0) {
        ret->replayed = true;
        memcpy(ret->run.b, bytes, sizeof ret->run.b);
    } else {
        refuse(ret, ADMIT_KEY_REUSED,
               "this idempotency key was used for another request; use a new "
               "key for a new request");
    }
    return true;
}

static int remember(struct ledger *l, const struct once *once,
                    const struct run_id *run)
{
    uint8_t value[sizeof run->b + sizeof once->body];

    if (once == NULL)
        return 0;
    memcpy(value, run->b, sizeof run->b);
    memcpy(value + sizeof run->b, once->body, sizeof once->body);
    return fail(l, store_put(l->store, STORE_REQUEST, once->key,
                             sizeof once->key, value, sizeof value));
}

int ledger_submit(struct ledger *l, const struct origin *origin,
                  struct span plan, struct span parameters,
                  struct admission *ret)
{
    size_t pool = 0;

    if (replay(l, origin->once, ret))
        return 0;
    admit(l, origin, ret, &pool);
    if (ret->answer != ADMIT_OK)
        return 0;

    struct fresh *fresh = turn_alloc(l, sizeof *fresh);
    l->last_id = run_id_next(&l->last_id, l->now_unix_ms, next_random(l));
    struct live_run *run = run_new(l, &l->last_id);
    if (fresh == NULL || run == NULL)
        return fail(l, -ENOMEM);
    int err = run_fill(l, run, origin, pool);
    if (err == 0)
        err = remember(l, origin->once, &run->id);
    if (err != 0)
        return fail(l, err);
    *fresh = (struct fresh){.run = run,
                            .id = run->id,
                            .origin = *origin,
                            .plan = plan,
                            .parameters = parameters};
    fresh->origin.submitted_unix_ms = l->now_unix_ms;
    run->fresh = fresh;
    *l->fresh_end = fresh;
    l->fresh_end = &fresh->next;

    bool later = origin->start_at_unix_ms > l->now_unix_ms;
    run->waiter.order_ms = order_of(l, origin->priority);
    run->queued_unix_ms = later ? origin->start_at_unix_ms : l->now_unix_ms;
    run->state = later ? RUN_SCHEDULED : RUN_QUEUED;
    run_dirty(l, run, DIRTY_RUN | DIRTY_EVENTS);
    l->look = true;
    ret->run = run->id;
    return later
               ? run_schedule(l, run, origin->start_at_unix_ms, WAIT_BEGIN_TIME)
               : run_queue(l, run);
}

int ledger_plan(const struct ledger *l, const struct origin *origin,
                struct admission *ret_admission,
                struct explanation *ret_explanation)
{
    size_t pool = 0;
    const char *names[RUN_REQUIRES_MAX];
    struct need need = {
        .count = origin->requires_count, .bit = UINT32_MAX, .names = names};

    memcpy(names, origin->requires, sizeof names);
    *ret_explanation = (struct explanation){.state = RUN_QUEUED};
    admit(l, origin, ret_admission, &pool);
    if (ret_admission->answer == ADMIT_NO_POOL)
        return 0;
    if (ret_admission->answer == ADMIT_DRAINING) {
        ret_explanation->reason = WAIT_BROKER_DRAINING;
        return 0;
    }
    decide(l, pool, &need, origin->features.size_bytes,
           origin->fallback_forbidden, 0, l->now_ms,
           &ret_explanation->decision);
    ret_explanation->reason = ret_explanation->decision.reason;
    if (ret_explanation->reason == WAIT_NO_CAPABLE_AGENT)
        name_missing(l, pool, &need, l->now_ms, ret_explanation);
    return 0;
}

/* ---- cancel ---------------------------------------------------------- */

static int keep_cancel(struct ledger *l, struct live_run *run, const char *who,
                       const char *reason)
{
    run->cancel = calloc(1, sizeof *run->cancel);
    if (run->cancel == NULL)
        return fail(l, -ENOMEM);
    copy_text(run->cancel->who, sizeof run->cancel->who, who);
    copy_text(run->cancel->reason, sizeof run->cancel->reason, reason);
    return 0;
}

int ledger_cancel(struct ledger *l, const struct run_id *id, const char *who,
                  const char *reason, enum cancel_answer *ret)
{
    struct live_run *run = run_find(l, id);

    *ret = run == NULL                        ? CANCEL_ENDED
           : run->state == RUN_CANCELLING     ? CANCEL_ALREADY
           : run_state_holds_slot(run->state) ? CANCEL_STARTED
                                              : CANCEL_DONE;
    if (*ret == CANCEL_ENDED || *ret == CANCEL_ALREADY)
        return 0;
    int err = keep_cancel(l, run, who, reason);
    if (err != 0)
        return err;
    if (*ret == CANCEL_DONE)
        return run_end(l, run, RUN_CANCELLED, "cancelled while it waited");

    run_move(l, run, RUN_CANCELLING);
    note(l, "run.cancelling", run, run->lease, reason);
    struct effect *e = effect_add(l, EFFECT_CANCEL);
    e->session = run->lease->agent->session;
    e->run = run->id;
    e->attempt = run->attempt;
    e->grace_ms = l->config.cancel_grace_ms;
    e->text = turn_text(l, "%s", reason != NULL ? reason : "");
    return 0;
}
