/*
 * ledger_run.c - live runs: what they need, and their moves from state to
 * state. run_move() is the one place a run changes state.
 */
#include "pools/books.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- needs ----------------------------------------------------------- */

int need_matches(const struct index_entry *entry, const void *key,
                 size_t key_bytes)
{
    const struct need *need = container_of_const(entry, struct need, entry);

    return need->text_bytes == key_bytes &&
           memcmp(need->text, key, key_bytes) == 0;
}

static int need_take_bit(struct ledger *l, struct need *need)
{
    size_t bit = 0;

    while (bit < l->need_room && l->need_bits[bit] != NULL)
        bit++;
    if (bit == l->need_room) {
        size_t room = l->need_room * 2 + 64;
        struct need **grown =
            realloc(l->need_bits, room * sizeof(struct need *));
        if (grown == NULL)
            return -ENOMEM;
        memset(grown + l->need_room, 0,
               (room - l->need_room) * sizeof(struct need *));
        l->need_bits = grown;
        l->need_room = room;
    }
    l->need_bits[bit] = need;
    need->bit = (uint32_t)bit;
    return 0;
}

static int need_make(struct ledger *l, const char *text, size_t bytes,
                     size_t count, struct need **ret)
{
    struct need *need = calloc(1, sizeof *need);
    if (need == NULL)
        return -ENOMEM;
    need->text = malloc(bytes + 1);
    need->names = calloc(count + 1, sizeof(char *));
    if (need->text == NULL || need->names == NULL ||
        need_take_bit(l, need) != 0) {
        free(need->text);
        free(need->names);
        free(need);
        return -ENOMEM;
    }
    memcpy(need->text, text, bytes);
    need->text_bytes = bytes;
    need->count = count;
    const char *at = need->text;
    for (size_t i = 0; i < count; i++, at += strlen(at) + 1)
        need->names[i] = at;
    index_add(&l->needs, &need->entry, need->text, need->text_bytes);
    for (size_t i = 0; i < l->agent_count; i++)
        agent_know_need(l->agents[i], need);
    *ret = need;
    return 0;
}

static int need_intern(struct ledger *l, const char *const *names, size_t count,
                       struct need **ret)
{
    char text[RUN_REQUIRES_MAX * RUN_REQUIRE_MAX];
    size_t bytes = 0;

    for (size_t i = 0; i < count; i++) {
        size_t more = strlen(names[i]) + 1;
        if (bytes + more > sizeof text)
            return -E2BIG;
        memcpy(text + bytes, names[i], more);
        bytes += more;
    }
    struct index_entry *entry = index_find(&l->needs, text, bytes);
    if (entry != NULL)
        *ret = container_of(entry, struct need, entry);
    else if (need_make(l, text, bytes, count, ret) != 0)
        return -ENOMEM;
    (*ret)->users++;
    return 0;
}

static void need_release(struct ledger *l, struct need *need)
{
    if (need == NULL || --need->users > 0)
        return;
    index_remove(&l->needs, &need->entry);
    l->need_bits[need->bit] = NULL;
    free(need->names);
    free(need->text);
    free(need);
}

/* ---- live runs ------------------------------------------------------- */

int run_matches(const struct index_entry *entry, const void *key,
                size_t key_bytes)
{
    const struct live_run *run =
        container_of_const(entry, struct live_run, entry);

    return memcmp(run->id.b, key, key_bytes) == 0;
}

struct live_run *run_find(const struct ledger *l, const struct run_id *id)
{
    struct index_entry *entry = index_find(&l->runs, id->b, sizeof id->b);

    return entry != NULL ? container_of(entry, struct live_run, entry) : NULL;
}

struct live_run *run_new(struct ledger *l, const struct run_id *id)
{
    struct live_run *run = calloc(1, sizeof *run);
    if (run == NULL)
        return NULL;
    run->id = *id;
    run->timer.kind = TIMER_RUN;
    run->waiter.serial = ++l->serial;
    index_add(&l->runs, &run->entry, run->id.b, sizeof run->id.b);
    return run;
}

int run_fill(struct ledger *l, struct live_run *run,
             const struct origin *origin, size_t wanted)
{
    run->wanted = (uint16_t)wanted;
    run->fallback_forbidden = origin->fallback_forbidden;
    run->measured = origin->source_count > 0;
    run->size_bytes = origin->features.size_bytes;
    run->timeout_ms = origin->timeout_ms;
    run->retry = origin->retry;
    run->waiter.priority = origin->priority;
    return need_intern(l, origin->requires, origin->requires_count, &run->need);
}

void run_free(struct ledger *l, struct live_run *run)
{
    need_release(l, run->need);
    free(run->cancel);
    free(run->error);
    free(run);
}

void run_dirty(struct ledger *l, struct live_run *run, enum dirty_part part)
{
    if (run->dirty == 0) {
        run->dirty_next = l->dirty;
        l->dirty = run;
    }
    run->dirty = (uint8_t)(run->dirty | part);
}

/* Leaves what the old state held, except a lease, which lease_close() ends. */
void run_move(struct ledger *l, struct live_run *run, enum run_state to)
{
    assert(run_may_move(run->state, to));
    if (run->state == RUN_QUEUED) {
        line_remove(&run->waiter);
    } else if (run->state == RUN_SCHEDULED) {
        timers_clear(&l->timers, &run->timer);
        l->scheduled--;
    }
    run->state = to;
    run_dirty(l, run, DIRTY_RUN);
    l->look = true;
}

int run_queue(struct ledger *l, struct live_run *run)
{
    run->not_before_unix_ms = 0;
    run->scheduled_for = WAIT_NONE;
    return fail(l,
                line_add(&l->pools[run->wanted].line, &run->waiter, run->need,
                         hop_mask_of(l, run->wanted, run->size_bytes,
                                     run->fallback_forbidden)));
}

int run_schedule(struct ledger *l, struct live_run *run, int64_t at_unix_ms,
                 enum wait_reason why)
{
    int64_t delay_ms = at_unix_ms - l->now_unix_ms;

    run->not_before_unix_ms = at_unix_ms;
    run->scheduled_for = why;
    l->scheduled++;
    return fail(
        l, timers_set(&l->timers, &run->timer,
                      l->now_ms + (uint64_t)(delay_ms > 0 ? delay_ms : 0)));
}

/* A place at the end of the line. Arrival never goes back, whatever the wall
 * clock does: who came first stays first. */
int64_t order_of(struct ledger *l, enum run_priority priority)
{
    if (l->now_unix_ms > l->arrival_ms)
        l->arrival_ms = l->now_unix_ms;
    return l->arrival_ms + (int64_t)priority * (int64_t)l->config.ageing_ms;
}

/* Fills in what the store keeps of a run that changes. */
struct run_record record_of(const struct ledger *l, const struct live_run *run)
{
    struct run_record record = {
        .state = run->state,
        .attempt = run->attempt,
        .failures = run->failures,
        .losses = run->losses,
        .order_ms = run->waiter.order_ms,
        .queued_unix_ms = run->queued_unix_ms,
        .not_before_unix_ms = run->not_before_unix_ms,
        .scheduled_for = run->scheduled_for,
        .started_unix_ms = run->started_unix_ms,
        .error = run->error,
    };
    if (run->lease != NULL) {
        record.pool = l->pools[run->lease->pool].config.name;
        record.agent = run->lease->agent->name;
    }
    if (run->cancel != NULL) {
        record.cancel_who = run->cancel->who;
        record.cancel_reason = run->cancel->reason;
    }
    return record;
}

int write_run(struct ledger *l, const struct run_id *id,
              const struct run_record *record)
{
    void *bytes;
    size_t len;

    int err = run_encode(record, &bytes, &len);
    if (err != 0)
        return err;
    err = store_put(l->store, STORE_RUN, id->b, sizeof id->b, bytes, len);
    free(bytes);
    return err;
}

/* The pool and agent of the last attempt stay in the record of a run that has
 * none now. */
static int write_ended(struct ledger *l, struct live_run *run,
                       const char *error)
{
    struct run_record record = record_of(l, run);
    struct attempt_record *last = NULL;
    struct store_bytes value;
    uint8_t key[ATTEMPT_KEY];

    record.error = error != NULL ? error : run->error;
    record.ended_unix_ms = l->now_unix_ms;
    key_u32(key, &run->id, run->attempt);
    int err = run->attempt == 0
                  ? -ENOENT
                  : store_get(l->store, STORE_ATTEMPT, key, sizeof key, &value);
    if (err == 0)
        err = attempt_decode(value.ptr, value.len, &last);
    if (err == 0) {
        record.pool = last->pool;
        record.agent = last->agent;
    } else if (err != -ENOENT) {
        return err;
    }
    err = write_run(l, &run->id, &record);
    free(last);
    return err;
}

int run_end(struct ledger *l, struct live_run *run, enum run_state to,
            const char *error)
{
    assert(run_state_is_final(to) && run->lease == NULL);
    run_move(l, run, to);

    int err = write_ended(l, run, error);
    if (err == 0)
        err = store_delete(l->store, STORE_LIVE, run->id.b, sizeof run->id.b);
    if (err != 0)
        return fail(l, err);

    struct effect *e = effect_add(l, EFFECT_ENDED);
    e->run = run->id;
    e->state = to;
    note(l, "run.ended", run, NULL, error)->state = to;
    if (run->fresh != NULL) {
        if (!run->fresh->decided)
            fresh_decide(l, run->fresh);
        run->fresh->run = NULL;
    }
    /* Still in the list of dirty ones: freed when that is written. */
    index_remove(&l->runs, &run->entry);
    run->dirty = DIRTY_ENDED;
    return 0;
}
