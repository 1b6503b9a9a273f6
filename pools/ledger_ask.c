/*
 * ledger_ask.c - questions to the ledger: the board, why a run is where it is,
 * and whether the books are right.
 */
#include "pools/books.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *agent_health_name(enum agent_health health)
{
    static const char *const names[] = {"ok", "slow", "lost"};

    return names[health];
}

/* ---- the board ------------------------------------------------------- */

static void fill_holder(const struct lease *lease, struct board_holder *ret)
{
    ret->run = lease->run->id;
    ret->attempt = lease->run->attempt;
    ret->state = lease->run->state;
    ret->leased_unix_ms = lease->leased_unix_ms;
    copy_text(ret->workflow, sizeof ret->workflow, lease->workflow);
    copy_text(ret->agent, sizeof ret->agent, lease->agent->name);
}

static enum wait_reason reason_of(const struct ledger *l,
                                  const struct decision *decision)
{
    if (l->draining)
        return WAIT_BROKER_DRAINING;
    return decision->chosen >= 0 ? WAIT_HIGHER_PRIORITY : decision->reason;
}

/* Runs of one class wait for one reason: ask once for the class. */
static enum wait_reason class_reason(const struct ledger *l,
                                     const struct line_class *class,
                                     uint64_t now_ms)
{
    const struct live_run *run =
        container_of(line_first(class), struct live_run, waiter);
    struct decision decision;

    decide(l, run->wanted, class->need, run->size_bytes,
           run->fallback_forbidden, run_waited_ms(l, run), now_ms, &decision);
    return reason_of(l, &decision);
}

static void fill_line(const struct ledger *l, const struct pool *pool,
                      uint64_t now_ms, struct board_pool *ret)
{
    for (const struct line_class *c = pool->line.classes; c != NULL;
         c = c->next) {
        uint32_t count = 0;
        for (int q = 0; q < PRIORITIES; q++) {
            const struct waiter *head = c->queues[q].head;
            count += c->queues[q].count;
            if (head == NULL)
                continue;
            const struct live_run *run =
                container_of_const(head, struct live_run, waiter);
            if (ret->oldest_queued_unix_ms == 0 ||
                run->queued_unix_ms < ret->oldest_queued_unix_ms)
                ret->oldest_queued_unix_ms = run->queued_unix_ms;
        }
        ret->waiting += count;
        ret->reasons[class_reason(l, c, now_ms)] += count;
    }
}

static void fill_pool(const struct ledger *l, size_t at, uint64_t now_ms,
                      struct board_pool *ret, struct board_holder *holders)
{
    const struct pool *pool = &l->pools[at];
    size_t n = 0;

    ret->config = pool->config;
    ret->configured_limit = pool->configured.limit;
    ret->overridden = pool->change.set_limit || pool->change.set_max_size ||
                      pool->change.set_waiting_max || pool->change.set_fallback;
    ret->state = pool->stopped.state;
    copy_text(ret->who, sizeof ret->who, pool->stopped.who);
    copy_text(ret->reason, sizeof ret->reason, pool->stopped.reason);
    ret->since_unix_ms = pool->stopped.since_unix_ms;
    ret->until_unix_ms = pool->stopped.until_unix_ms;
    ret->used = pool->leases.count;
    ret->holders = holders;
    for (const struct link *k = pool->leases.head; k != NULL; k = k->next)
        fill_holder(container_of_const(k, struct lease, in_pool),
                    &holders[n++]);
    for (size_t i = 0; i < l->agent_count; i++) {
        const struct agent *a = l->agents[i];
        if ((a->pool_mask >> at & 1) == 0)
            continue;
        ret->agents++;
        ret->slots += a->slots;
        if (!agent_is_healthy(l, a, now_ms))
            continue;
        ret->agents_healthy++;
        ret->slots_free += agent_slots_free(a);
    }
    fill_line(l, pool, now_ms, ret);
}

/* Appends ", text"; what does not fit is cut. */
static void join(char *to, size_t room, const char *text)
{
    size_t used = strlen(to);

    (void)snprintf(to + used, room - used, "%s%s", used > 0 ? "," : "", text);
}

static size_t caps_bytes(const struct agent *agent)
{
    size_t bytes = 1;

    for (size_t i = 0; i < agent->cap_count; i++)
        bytes += strlen(agent->caps[i]) + 1;
    return bytes;
}

/* Into caps_bytes() bytes. */
static void join_caps(const struct agent *agent, char *to)
{
    *to = '\0';
    for (size_t i = 0; i < agent->cap_count; i++) {
        if (i > 0)
            *to++ = ',';
        to = stpcpy(to, agent->caps[i]);
    }
}

static void fill_agent(const struct ledger *l, const struct agent *agent,
                       uint64_t now_ms, struct board_agent *ret, char *texts)
{
    copy_text(ret->name, sizeof ret->name, agent->name);
    copy_text(ret->host, sizeof ret->host, agent->host);
    copy_text(ret->software, sizeof ret->software, agent->software);
    ret->pid = agent->pid;
    ret->slots = agent->slots;
    ret->used = agent->leases.count;
    ret->health = agent_health_of(l, agent, now_ms);
    ret->state = agent->stopped.state != POOL_OPEN ? agent->stopped.state
                 : agent->draining                 ? POOL_DRAINING
                                                   : POOL_OPEN;
    copy_text(ret->who, sizeof ret->who, agent->stopped.who);
    copy_text(ret->reason, sizeof ret->reason, agent->stopped.reason);
    ret->seen_ms_ago = now_ms > agent->seen_ms ? now_ms - agent->seen_ms : 0;
    ret->connected_unix_ms = agent->connected_unix_ms;
    ret->done = agent->done;
    ret->failed = agent->failed;
    for (size_t p = 0; p < l->pool_count; p++)
        if ((agent->pool_mask >> p & 1) != 0)
            join(ret->pools, sizeof ret->pools, l->pools[p].config.name);
    join_caps(agent, texts);
    ret->caps = texts;
}

int ledger_board(const struct ledger *l, uint64_t now_ms, int64_t now_unix_ms,
                 struct board **ret)
{
    size_t live = ledger_live(l);
    size_t bytes = sizeof(struct board) +
                   l->pool_count * sizeof(struct board_pool) +
                   l->agent_count * sizeof(struct board_agent) +
                   live * sizeof(struct board_holder);
    for (size_t i = 0; i < l->agent_count; i++)
        bytes += caps_bytes(l->agents[i]);

    struct board *board = calloc(1, bytes);
    if (board == NULL)
        return -ENOMEM;
    board->pools = (void *)(board + 1);
    board->agents = (void *)(board->pools + l->pool_count);
    struct board_holder *holders = (void *)(board->agents + l->agent_count);
    char *texts = (void *)(holders + live);
    board->now_unix_ms = now_unix_ms;
    board->turn = store_turn(l->store);
    board->draining = l->draining;
    board->store_permille = store_used_permille(l->store);
    board->scheduled = l->scheduled;
    board->pool_count = l->pool_count;
    board->agent_count = l->agent_count;
    board->late_messages = l->late_messages;
    board->refused_messages = l->refused_messages;
    for (size_t i = 0; i < l->pool_count; i++) {
        fill_pool(l, i, now_ms, &board->pools[i], holders);
        holders += l->pools[i].leases.count;
    }
    for (size_t i = 0; i < l->agent_count; i++) {
        fill_agent(l, l->agents[i], now_ms, &board->agents[i], texts);
        texts += caps_bytes(l->agents[i]);
    }
    *ret = board;
    return 0;
}

/* ---- explain --------------------------------------------------------- */

static void explain_holders(const struct pool *pool, struct explanation *ret)
{
    for (const struct link *k = pool->leases.head;
         k != NULL &&
         ret->holder_count < sizeof ret->holders / sizeof ret->holders[0];
         k = k->next)
        fill_holder(container_of_const(k, struct lease, in_pool),
                    &ret->holders[ret->holder_count++]);
}

/* How long it has waited at now_ms, which may be later than the last turn. */
static uint64_t waited_ms_at(const struct ledger *l, const struct live_run *run,
                             uint64_t now_ms)
{
    return run_waited_ms(l, run) +
           (now_ms > l->now_ms ? now_ms - l->now_ms : 0);
}

static void explain_queued(const struct ledger *l, const struct live_run *run,
                           uint64_t now_ms, struct explanation *ret)
{
    ret->reason = reason_of(l, &ret->decision);
    ret->ahead = line_ahead(&run->waiter, EXPLAIN_AHEAD_MAX);
    ret->ahead_more = ret->ahead == EXPLAIN_AHEAD_MAX;
    if (ret->reason == WAIT_NO_CAPABLE_AGENT)
        name_missing(l, run->wanted, run->need, now_ms, ret);
}

int ledger_explain(const struct ledger *l, const struct run_id *id,
                   uint64_t now_ms, struct explanation *ret)
{
    const struct live_run *run = run_find(l, id);

    if (run == NULL)
        return -ENOENT;
    *ret = (struct explanation){.state = run->state};
    explain_holders(&l->pools[run->wanted], ret);
    if (run->lease != NULL) {
        ret->decision = run->lease->decision;
        return 0;
    }
    if (run->state == RUN_QUEUED)
        ret->waited_ms = waited_ms_at(l, run, now_ms);
    decide(l, run->wanted, run->need, run->size_bytes, run->fallback_forbidden,
           ret->waited_ms, now_ms, &ret->decision);
    if (run->state == RUN_QUEUED) {
        explain_queued(l, run, now_ms, ret);
    } else {
        ret->reason = run->scheduled_for;
        ret->begins_unix_ms = run->not_before_unix_ms;
    }
    return 0;
}

enum wait_reason ledger_reason(const struct ledger *l, const struct run_id *id,
                               uint64_t now_ms)
{
    const struct live_run *run = run_find(l, id);
    struct decision decision;

    if (run == NULL)
        return WAIT_NONE;
    if (run->state != RUN_QUEUED)
        return run->state == RUN_SCHEDULED ? run->scheduled_for : WAIT_NONE;
    decide(l, run->wanted, run->need, run->size_bytes, run->fallback_forbidden,
           waited_ms_at(l, run, now_ms), now_ms, &decision);
    return reason_of(l, &decision);
}

uint64_t ledger_capable(const struct ledger *l, const char *const *requires,
                        size_t count, uint64_t now_ms)
{
    const struct agent *best = NULL;

    for (size_t i = 0; i < l->agent_count; i++) {
        const struct agent *a = l->agents[i];
        size_t can = 0;
        if ((best != NULL && a->leases.count >= best->leases.count) ||
            !agent_is_healthy(l, a, now_ms))
            continue;
        while (can < count && agent_announces(a, requires[can]))
            can++;
        if (can == count)
            best = a;
    }
    return best != NULL ? best->session : 0;
}

/* ---- audit ----------------------------------------------------------- */

struct audit {
    struct ledger *l;
    char *why;
    size_t live, queued, scheduled, holding;
};

__attribute__((format(printf, 2, 3))) static int wrong(struct audit *audit,
                                                       const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(audit->why, STORE_WHY_MAX, fmt, args);
    va_end(args);
    return -EUCLEAN;
}

static int audit_run(struct audit *audit, const struct live_run *run)
{
    char id[RUN_ID_TEXT];

    run_id_text(&run->id, id);
    audit->live++;
    if (run_state_is_final(run->state))
        return wrong(audit, "run %s has ended and is live", id);
    if ((run->waiter.class != NULL) != (run->state == RUN_QUEUED))
        return wrong(audit, "run %s: %s and %sin a line", id,
                     run_state_name(run->state),
                     run->waiter.class != NULL ? "" : "not ");
    if (timer_is_set(&run->timer) != (run->state == RUN_SCHEDULED))
        return wrong(audit, "run %s: %s and its timer", id,
                     run_state_name(run->state));
    if ((run->lease != NULL) != run_state_holds_slot(run->state))
        return wrong(audit, "run %s: %s and its lease", id,
                     run_state_name(run->state));
    const struct lease *lease = run->lease;
    if (lease != NULL && run->state == RUN_PENDING && lease->accepted)
        return wrong(audit, "run %s is PENDING and accepted", id);
    if (lease != NULL && run->state == RUN_RUNNING && !lease->accepted)
        return wrong(audit, "run %s is RUNNING and not accepted", id);
    audit->queued += run->state == RUN_QUEUED;
    audit->scheduled += run->state == RUN_SCHEDULED;
    audit->holding += run->lease != NULL;
    return 0;
}

static int audit_lists(struct audit *audit)
{
    const struct ledger *l = audit->l;
    size_t in_pools = 0, in_agents = 0, in_lines = 0;

    for (size_t p = 0; p < l->pool_count; p++) {
        size_t n = 0;
        for (const struct link *k = l->pools[p].leases.head; k != NULL;
             k = k->next)
            n++;
        if (n != l->pools[p].leases.count)
            return wrong(audit, "pool %s counts %u leases and has %zu",
                         l->pools[p].config.name, l->pools[p].leases.count, n);
        in_pools += n;
        in_lines += line_count(&l->pools[p].line);
    }
    for (size_t a = 0; a < l->agent_count; a++) {
        size_t n = 0;
        for (const struct link *k = l->agents[a]->leases.head; k != NULL;
             k = k->next)
            n++;
        if (n != l->agents[a]->leases.count)
            return wrong(audit, "agent %s counts %u leases and has %zu",
                         l->agents[a]->name, l->agents[a]->leases.count, n);
        in_agents += n;
    }
    if (in_pools != audit->holding || in_agents != audit->holding)
        return wrong(audit, "%zu runs hold slots, pools count %zu, agents %zu",
                     audit->holding, in_pools, in_agents);
    if (in_lines != audit->queued)
        return wrong(audit, "%zu runs are queued, lines hold %zu",
                     audit->queued, in_lines);
    if (l->scheduled != audit->scheduled)
        return wrong(audit, "%zu runs are scheduled, %u counted",
                     audit->scheduled, l->scheduled);
    return 0;
}

struct stored {
    struct audit *audit;
    struct store_reader *reader;
    size_t live;
    int err;
};

/* The last attempt is LIVE and says what the lease says, or is not LIVE. */
static int audit_attempt(struct stored *s, const struct live_run *run,
                         const char *text)
{
    const struct lease *lease = run->lease;
    struct attempt_record *record;
    struct store_bytes value;
    uint8_t key[ATTEMPT_KEY];
    int err = 0;

    key_u32(key, &run->id, run->attempt);
    if (store_read(s->reader, STORE_ATTEMPT, key, sizeof key, &value) != 0 ||
        attempt_decode(value.ptr, value.len, &record) != 0)
        return wrong(s->audit,
                     "run %s: the record of attempt %u is missing or damaged",
                     text, run->attempt);
    if ((record->outcome == ATTEMPT_LIVE) != (lease != NULL)) {
        err = wrong(s->audit, "run %s: %s and its attempt %u is %s", text,
                    run_state_name(run->state), run->attempt,
                    attempt_outcome_name(record->outcome));
    } else if (lease != NULL) {
        const char *pool = s->audit->l->pools[lease->pool].config.name;
        bool accepted = record->accepted_unix_ms != 0;
        if (strcmp(record->pool, pool) != 0 ||
            strcmp(record->agent, lease->agent->name) != 0 ||
            accepted != lease->accepted)
            err = wrong(s->audit,
                        "run %s: its lease is in %s on %s%s, in the store in "
                        "%s on %s%s",
                        text, pool, lease->agent->name,
                        lease->accepted ? ", accepted" : "", record->pool,
                        record->agent, accepted ? ", accepted" : "");
    }
    free(record);
    return err;
}

static bool audit_stored(void *context, struct store_bytes key,
                         struct store_bytes value)
{
    struct stored *s = context;
    struct run_record *record;
    struct run_id id;
    char text[RUN_ID_TEXT];

    (void)value;
    memcpy(id.b, key.ptr, sizeof id.b);
    run_id_text(&id, text);
    const struct live_run *run = run_find(s->audit->l, &id);
    s->live++;
    if (run == NULL) {
        s->err = wrong(s->audit, "run %s is live in the store only", text);
        return false;
    }
    int err = store_read(s->reader, STORE_RUN, id.b, sizeof id.b, &value);
    if (err == 0)
        err = run_decode(value.ptr, value.len, &record);
    if (err != 0) {
        s->err = err != -ENOENT && err != -EBADMSG
                     ? err
                     : wrong(s->audit,
                             "run %s: its record is missing or damaged", text);
        return false;
    }
    if (record->state != run->state || record->attempt != run->attempt)
        s->err = wrong(s->audit,
                       "run %s: %s attempt %u, in the store %s "
                       "attempt %u",
                       text, run_state_name(run->state), run->attempt,
                       run_state_name(record->state), record->attempt);
    free(record);
    if (s->err == 0 && run->attempt > 0)
        s->err = audit_attempt(s, run, text);
    return s->err == 0;
}

static int audit_store(struct audit *audit)
{
    struct stored s = {.audit = audit};

    int err = store_reader_open(audit->l->store, &s.reader);
    if (err == 0)
        err = store_read_begin(s.reader);
    if (err == 0)
        err =
            store_walk(s.reader, STORE_LIVE, NULL, 0, false, audit_stored, &s);
    if (s.reader != NULL)
        store_read_end(s.reader);
    store_reader_close(&s.reader);
    if (err == 0)
        err = s.err;
    if (err == 0 && s.live != audit->live)
        err = wrong(audit, "%zu runs are live, %zu in the store", audit->live,
                    s.live);
    return err;
}

int ledger_audit(struct ledger *l, char ret_why[STORE_WHY_MAX])
{
    struct audit audit = {.l = l};
    const struct live_run *run;
    char id[RUN_ID_TEXT];
    int err = 0;

    audit.why = ret_why;
    for (size_t b = 0; b < l->runs.bucket_count && err == 0; b++)
        for (struct index_entry *e = l->runs.buckets[b]; e != NULL && err == 0;
             e = e->next)
            err = audit_run(&audit, container_of(e, struct live_run, entry));
    if (err == 0)
        err = audit_lists(&audit);
    if (err == 0)
        err = audit_store(&audit);
    if (err == 0 && !l->look && !l->draining && (run = overlooked(l)) != NULL) {
        run_id_text(&run->id, id);
        err = wrong(&audit, "run %s waits and could start", id);
    }
    return err;
}
