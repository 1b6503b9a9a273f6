/*
 * ledger_node.c - what agents say of the nodes of their attempts, and when it
 * is written.
 *
 * A node that changes its state is written in the turn that hears of it. While
 * it runs it says again and again how far it is, and if each of those were
 * written, every turn of a busy broker would end in an fsync that no one needs:
 * the next one takes its place. So what is only news of a count stays with the
 * lease, the last of each node, and is written
 *
 *   - NEWS_MS after the first of them, for all leases in one turn, and
 *   - before anything else moves the lease's last event in the store.
 *
 * The second rule keeps the store true: all events up to the one in LIVE have
 * had their effect. After a crash the agent resends from there, out of its
 * spool, so counts fall back by at most that much and catch up.
 */
#include "pools/books.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct node_record *news_of(const struct lease *lease, uint32_t node)
{
    for (size_t i = 0; i < lease->news_count; i++)
        if (lease->news[i].node == node)
            return &lease->news[i];
    return NULL;
}

static void news_drop(struct ledger *l, struct lease *lease,
                      struct node_record *news)
{
    *news = lease->news[--lease->news_count];
    if (lease->news_count == 0)
        list_remove(&l->behind, &lease->in_behind);
}

void news_free(struct ledger *l, struct lease *lease)
{
    if (lease->news_count > 0)
        list_remove(&l->behind, &lease->in_behind);
    lease->news_count = 0;
    free(lease->news);
    lease->news = NULL;
}

int node_write(struct ledger *l, struct lease *lease,
               const struct node_record *node)
{
    struct node_record record = *node;
    struct node_record *older = news_of(lease, node->node);
    uint8_t key[NODE_KEY];
    void *bytes;
    size_t len;

    if (older != NULL)
        news_drop(l, lease, older);
    record.attempt = lease->run->attempt;
    int err = node_encode(&record, &bytes, &len);
    if (err != 0)
        return fail(l, err);
    key_u32(key, &lease->run->id, node->node);
    err = store_put(l->store, STORE_NODE, key, sizeof key, bytes, len);
    free(bytes);
    return fail(l, err);
}

int news_write(struct ledger *l, struct lease *lease)
{
    int err = 0;

    while (lease->news_count > 0 && err == 0) {
        struct node_record news = lease->news[lease->news_count - 1];
        err = node_write(l, lease, &news);
    }
    return err;
}

void news_due(struct ledger *l)
{
    for (struct link *at = l->behind.head; at != NULL; at = at->next)
        run_dirty(l, container_of(at, struct lease, in_behind)->run,
                  DIRTY_EVENTS);
}

/* Does it differ from what is known of the node in nothing but counts? */
static bool only_counts(const struct node_record *known,
                        const struct node_record *node)
{
    return known->state == RUN_NODE_RUNNING &&
           node->state == RUN_NODE_RUNNING && known->error == NULL &&
           node->error == NULL && known->exit_code == node->exit_code &&
           known->started_unix_ms == node->started_unix_ms &&
           known->ended_unix_ms == node->ended_unix_ms;
}

/* May it stay with the lease? */
static bool is_news(struct ledger *l, const struct lease *lease,
                    const struct node_record *node)
{
    const struct node_record *known = news_of(lease, node->node);
    struct node_record *record;
    struct store_bytes value;
    uint8_t key[NODE_KEY];

    if (known != NULL)
        return only_counts(known, node);
    if (node->state != RUN_NODE_RUNNING || lease->news_count == NEWS_MAX)
        return false;
    key_u32(key, &lease->run->id, node->node);
    if (store_get(l->store, STORE_NODE, key, sizeof key, &value) != 0 ||
        node_decode(value.ptr, value.len, &record) != 0)
        return false; /* it is written, and what is wrong comes out there */
    bool news =
        record->attempt == lease->run->attempt && only_counts(record, node);
    free(record);
    return news;
}

static int news_keep(struct ledger *l, struct lease *lease,
                     const struct node_record *node)
{
    struct node_record *older = news_of(lease, node->node);

    if (older != NULL) {
        *older = *node;
        return 0;
    }
    if (lease->news == NULL) {
        lease->news = calloc(NEWS_MAX, sizeof *lease->news);
        if (lease->news == NULL)
            return fail(l, -ENOMEM);
    }
    if (lease->news_count == 0)
        list_push(&l->behind, &lease->in_behind);
    lease->news[lease->news_count++] = *node;
    return timer_is_set(&l->news)
               ? 0
               : fail(l, timers_set(&l->timers, &l->news, l->now_ms + NEWS_MS));
}

int ledger_node(struct ledger *l, uint64_t session, const struct run_id *id,
                uint32_t attempt, uint64_t event,
                const struct node_record *node)
{
    struct lease *lease = lease_of(l, session, id, attempt);

    if (lease == NULL) {
        late(l, session, id, attempt, "node");
        return 0;
    }
    if (event == lease->events + 1 && is_news(l, lease, node)) {
        lease->events = event;
        return news_keep(l, lease, node);
    }
    return take_event(l, lease, event) ? node_write(l, lease, node) : 0;
}
