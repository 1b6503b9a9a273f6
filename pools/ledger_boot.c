/*
 * ledger_boot.c - reading the store back: the code that starts a broker is the
 * code that recovers from a crash. Every run in LIVE goes where its record
 * says; one that held a slot gets its lease back, with a full term from now.
 */
#include "pools/books.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct boot {
    struct ledger *l;
    struct live_run **queued; /* to be put in line, in order, at the end */
    size_t queued_count, queued_room;
    char *why;
    int err;
};

__attribute__((format(printf, 4, 5))) static int
give_up(struct boot *boot, const struct run_id *id, int err, const char *fmt,
        ...)
{
    char text[RUN_ID_TEXT], what[STORE_WHY_MAX / 2];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    run_id_text(id, text);
    (void)snprintf(boot->why, STORE_WHY_MAX, "run %s: %s", text, what);
    return err;
}

static int keep_queued(struct boot *boot, struct live_run *run)
{
    if (boot->queued_count == boot->queued_room) {
        size_t room = boot->queued_room * 2 + 1024;
        struct live_run **grown =
            realloc(boot->queued, room * sizeof(struct live_run *));
        if (grown == NULL)
            return -ENOMEM;
        boot->queued = grown;
        boot->queued_room = room;
    }
    boot->queued[boot->queued_count++] = run;
    return 0;
}

static int read_origin(struct boot *boot, struct live_run *run)
{
    struct ledger *l = boot->l;
    struct store_bytes value;
    struct origin *origin;

    int err =
        store_get(l->store, STORE_ORIGIN, run->id.b, sizeof run->id.b, &value);
    if (err == 0)
        err = origin_decode(value.ptr, value.len, &origin);
    if (err != 0)
        return give_up(boot, &run->id, err, "its origin record is damaged");
    int pool = ledger_config_pool(&l->config, origin->wanted_pool);
    if (pool < 0) {
        err = give_up(boot, &run->id, -EINVAL,
                      "it waits for pool %.64s, which the configuration no "
                      "longer has; put the pool back, or give its name as an "
                      "alias to another",
                      origin->wanted_pool);
        free(origin);
        return err;
    }
    err = run_fill(l, run, origin, (size_t)pool);
    free(origin);
    return err;
}

static int read_record(struct boot *boot, struct live_run *run)
{
    struct store_bytes value;
    struct run_record *record;

    int err = store_get(boot->l->store, STORE_RUN, run->id.b, sizeof run->id.b,
                        &value);
    if (err == 0)
        err = run_decode(value.ptr, value.len, &record);
    if (err != 0)
        return give_up(boot, &run->id, err, "its record is damaged");
    run->state = record->state;
    run->attempt = record->attempt;
    run->failures = record->failures;
    run->losses = record->losses;
    run->waiter.order_ms = record->order_ms;
    run->queued_unix_ms = record->queued_unix_ms;
    run->not_before_unix_ms = record->not_before_unix_ms;
    run->scheduled_for = record->scheduled_for;
    run->started_unix_ms = record->started_unix_ms;
    if (record->error != NULL)
        run->error = strdup(record->error);
    if (record->cancel_who != NULL) {
        run->cancel = calloc(1, sizeof *run->cancel);
        if (run->cancel != NULL) {
            copy_text(run->cancel->who, sizeof run->cancel->who,
                      record->cancel_who);
            copy_text(run->cancel->reason, sizeof run->cancel->reason,
                      record->cancel_reason);
        }
    }
    free(record);
    return 0;
}

static uint64_t get_u64(const uint8_t from[8])
{
    uint64_t value = 0;

    for (int i = 0; i < 8; i++)
        value = value << 8 | from[i];
    return value;
}

static void read_live(struct store_bytes value, struct lease *lease)
{
    const uint8_t *bytes = value.ptr;

    if (value.len != LIVE_BYTES)
        return;
    lease->events = get_u64(bytes);
    lease->log_bytes = get_u64(bytes + 8);
    lease->log_dropped = get_u64(bytes + 16);
    lease->gap = bytes[24] != 0;
}

/* The attempt record of a run with a slot is its lease. */
static int read_lease(struct boot *boot, struct live_run *run,
                      struct store_bytes live)
{
    struct ledger *l = boot->l;
    struct store_bytes value;
    struct attempt_record *record;
    uint8_t key[ATTEMPT_KEY];

    key_u32(key, &run->id, run->attempt);
    int err = store_get(l->store, STORE_ATTEMPT, key, sizeof key, &value);
    if (err == 0)
        err = attempt_decode(value.ptr, value.len, &record);
    if (err != 0)
        return give_up(boot, &run->id, err, "its attempt record is damaged");
    int pool = ledger_config_pool(&l->config, record->pool);
    struct agent *agent = agent_add(l, record->agent);
    struct lease *lease = NULL;
    if (pool < 0)
        err = give_up(boot, &run->id, -EINVAL,
                      "it runs in pool %.64s, which the configuration no "
                      "longer has; put the pool back, or give its name as an "
                      "alias to another",
                      record->pool);
    else if (agent != NULL)
        lease = lease_new(l, run, (size_t)pool, agent);
    if (lease != NULL) {
        memcpy(lease->boot, record->boot, sizeof lease->boot);
        lease->accepted = record->accepted_unix_ms != 0;
        read_live(live, lease);
        lease->leased_unix_ms = record->leased_unix_ms;
        lease->decision = record->decision;
        err = lease_timer(l, lease);
    } else if (err == 0) {
        err = -ENOMEM;
    }
    free(record);
    return err;
}

static int boot_run(struct boot *boot, const struct run_id *id,
                    struct store_bytes live)
{
    struct ledger *l = boot->l;
    struct live_run *run = run_new(l, id);

    if (run == NULL)
        return -ENOMEM;
    int err = read_record(boot, run);
    if (err == 0)
        err = read_origin(boot, run);
    if (err != 0)
        return err;
    switch (run->state) {
    case RUN_SCHEDULED:
        return run_schedule(l, run, run->not_before_unix_ms,
                            run->scheduled_for);
    case RUN_QUEUED:
        return keep_queued(boot, run);
    case RUN_PENDING:
    case RUN_RUNNING:
    case RUN_CANCELLING:
        return read_lease(boot, run, live);
    case RUN_COMPLETED:
    case RUN_FAILED:
    case RUN_TIMED_OUT:
    case RUN_CANCELLED:
    case RUN_CRASHED:
    case RUN_STATES:
        break;
    }
    return give_up(boot, id, -EBADMSG,
                   "it has ended but is listed among the live ones");
}

static bool each_live(void *context, struct store_bytes key,
                      struct store_bytes value)
{
    struct boot *boot = context;
    struct run_id id;

    if (key.len != sizeof id.b)
        return true;
    memcpy(id.b, key.ptr, sizeof id.b);
    boot->err = boot_run(boot, &id, value);
    return boot->err == 0;
}

static int by_order(const void *a, const void *b)
{
    const struct waiter *x = &(*(struct live_run *const *)a)->waiter;
    const struct waiter *y = &(*(struct live_run *const *)b)->waiter;

    return line_before(x, y) ? -1 : line_before(y, x) ? 1 : 0;
}

/* New ids must sort behind every id ever given, even when the clock was set
 * back; the newest is the last key of RUN. */
static bool each_newest(void *context, struct store_bytes key,
                        struct store_bytes value)
{
    struct ledger *l = context;

    (void)value;
    if (key.len == sizeof l->last_id.b)
        memcpy(l->last_id.b, key.ptr, key.len);
    return false;
}

static int newest_id(struct ledger *l)
{
    struct store_reader *reader;

    int err = store_reader_open(l->store, &reader);
    if (err != 0)
        return err;
    err = store_read_begin(reader);
    if (err == 0)
        err = store_walk(reader, STORE_RUN, NULL, 0, true, each_newest, l);
    store_read_end(reader);
    store_reader_close(&reader);
    return err;
}

int boot_runs(struct ledger *l, char ret_why[STORE_WHY_MAX])
{
    struct boot boot = {.l = l};

    boot.why = ret_why;
    int err = newest_id(l);
    if (err == 0)
        err = store_scan(l->store, STORE_LIVE, NULL, 0, each_live, &boot);
    if (err == 0)
        err = boot.err;
    if (err == 0 && boot.queued_count > 0)
        qsort(boot.queued, boot.queued_count, sizeof(struct live_run *),
              by_order);
    for (size_t i = 0; i < boot.queued_count && err == 0; i++) {
        struct live_run *run = boot.queued[i];
        err = run_queue(l, run);
        if (run->waiter.order_ms -
                (int64_t)run->waiter.priority * (int64_t)l->config.ageing_ms >
            l->arrival_ms)
            l->arrival_ms =
                run->waiter.order_ms -
                (int64_t)run->waiter.priority * (int64_t)l->config.ageing_ms;
    }
    free(boot.queued);
    l->look = true;
    return err;
}
