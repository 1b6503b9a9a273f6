/* history.c - see history.h */
#include "pools/history.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Keys: a run's id; with a number behind it, big-endian, so that they sort. */
enum {
    ID_BYTES = sizeof(struct run_id),
    NUMBERED_BYTES = ID_BYTES + 4, /* attempts, nodes */
    LOG_BYTES = ID_BYTES + 4 + 8,
};

static void put_number(uint8_t *to, uint64_t number, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        to[i] = (uint8_t)(number >> (8 * (bytes - 1 - i)));
}

static uint64_t get_number(const uint8_t *from, size_t bytes)
{
    uint64_t number = 0;

    for (size_t i = 0; i < bytes; i++)
        number = number << 8 | from[i];
    return number;
}

static bool key_of_run(struct store_bytes key, const struct run_id *id)
{
    return key.len >= ID_BYTES && memcmp(key.ptr, id->b, ID_BYTES) == 0;
}

static int read_run(struct store_reader *reader, const struct run_id *id,
                    struct run_record **ret)
{
    struct store_bytes value;

    int err = store_read(reader, STORE_RUN, id->b, ID_BYTES, &value);
    return err != 0 ? err : run_decode(value.ptr, value.len, ret);
}

/* A run without its origin is a damaged store, not a missing run. */
static int read_origin(struct store_reader *reader, const struct run_id *id,
                       struct origin **ret)
{
    struct store_bytes value;

    int err = store_read(reader, STORE_ORIGIN, id->b, ID_BYTES, &value);
    if (err != 0)
        return err == -ENOENT ? -EBADMSG : err;
    return origin_decode(value.ptr, value.len, ret);
}

/* ---- one run ------------------------------------------------------------ */

/* A list of pointers that grows; the walks below fill it. */
struct rows {
    const struct run_id *id;
    void **items;
    size_t count, room;
    int err;
};

static bool rows_add(struct rows *rows, void *item)
{
    if (rows->count == rows->room) {
        size_t room = rows->room == 0 ? 8 : rows->room * 2;
        void **grown = reallocarray((void *)rows->items, room, sizeof *grown);
        if (grown == NULL) {
            free(item);
            rows->err = -ENOMEM;
            return false;
        }
        rows->items = grown;
        rows->room = room;
    }
    rows->items[rows->count++] = item;
    return true;
}

static bool each_attempt(void *context, struct store_bytes key,
                         struct store_bytes value)
{
    struct rows *rows = context;
    struct attempt_record *attempt;

    if (!key_of_run(key, rows->id))
        return false;
    rows->err = attempt_decode(value.ptr, value.len, &attempt);
    return rows->err == 0 && rows_add(rows, attempt);
}

static bool each_node(void *context, struct store_bytes key,
                      struct store_bytes value)
{
    struct rows *rows = context;
    struct node_record *node;

    if (!key_of_run(key, rows->id))
        return false;
    if (key.len != NUMBERED_BYTES) {
        rows->err = -EBADMSG;
        return false;
    }
    rows->err = node_decode(value.ptr, value.len, &node);
    if (rows->err != 0)
        return false;
    const uint8_t *bytes = key.ptr;
    node->node = (uint32_t)get_number(bytes + ID_BYTES, 4);
    return rows_add(rows, node);
}

/* All rows of a run in one table. Also on failure *ret_items is the caller's,
 * with what there is. */
static int read_rows(struct store_reader *reader, enum store_table table,
                     const struct run_id *id, store_each *each,
                     void ***ret_items, size_t *ret_count)
{
    struct rows rows = {.id = id};

    int err = store_walk(reader, table, id->b, ID_BYTES, false, each, &rows);
    *ret_items = rows.items;
    *ret_count = rows.count;
    return err != 0 ? err : rows.err;
}

static int read_plan(struct store_reader *reader, struct story *story)
{
    struct store_bytes value;
    struct span plan = {NULL, 0}, parameters;

    int err = store_read(reader, STORE_PLAN, story->id.b, ID_BYTES, &value);
    if (err == 0)
        err = plan_decode(value.ptr, value.len, &plan, &parameters);
    if (err != 0 && err != -ENOENT)
        return err;
    story->plan = malloc(plan.len + 1);
    if (story->plan == NULL)
        return -ENOMEM;
    if (plan.len > 0)
        memcpy(story->plan, plan.ptr, plan.len);
    story->plan[plan.len] = '\0';
    story->plan_bytes = plan.len;
    return 0;
}

/* The number of the turn this read sees, as the store keeps it. */
static int read_turn(struct store_reader *reader, uint64_t *ret_turn)
{
    struct store_bytes value;

    int err = store_read(reader, STORE_META, "turn", 4, &value);
    if (err == -ENOENT)
        return 0;
    if (err == 0 && value.len == sizeof *ret_turn)
        memcpy(ret_turn, value.ptr, sizeof *ret_turn);
    return err;
}

static int read_story(struct store_reader *reader, struct story *story)
{
    void **rows;

    int err = read_run(reader, &story->id, &story->run);
    if (err == 0)
        err = read_origin(reader, &story->id, &story->origin);
    if (err == 0)
        err = read_plan(reader, story);
    if (err == 0)
        err = read_turn(reader, &story->turn);
    if (err == 0) {
        err = read_rows(reader, STORE_ATTEMPT, &story->id, each_attempt, &rows,
                        &story->attempt_count);
        story->attempts = (struct attempt_record **)rows;
    }
    if (err == 0) {
        err = read_rows(reader, STORE_NODE, &story->id, each_node, &rows,
                        &story->node_count);
        story->nodes = (struct node_record **)rows;
    }
    return err;
}

int history_story(struct store_reader *reader, const struct run_id *id,
                  struct story **ret)
{
    struct story *story = calloc(1, sizeof *story);
    if (story == NULL)
        return -ENOMEM;
    story->id = *id;

    int err = store_read_begin(reader);
    if (err == 0)
        err = read_story(reader, story);
    store_read_end(reader);
    if (err != 0) {
        history_story_free(&story);
        return err;
    }
    *ret = story;
    return 0;
}

void history_story_free(struct story **story_p)
{
    struct story *story = *story_p;

    if (story == NULL)
        return;
    for (size_t i = 0; i < story->attempt_count; i++)
        free(story->attempts[i]);
    for (size_t i = 0; i < story->node_count; i++)
        free(story->nodes[i]);
    free((void *)story->attempts);
    free((void *)story->nodes);
    free(story->run);
    free(story->origin);
    free(story->plan);
    free(story);
    *story_p = NULL;
}

/* ---- many runs ---------------------------------------------------------- */

static void items_free(struct history_item *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(items[i].run);
        free(items[i].origin);
    }
}

struct listing {
    struct store_reader *reader;
    const struct history_filter *filter;
    const struct run_id *before;
    size_t limit, seen;
    struct history_item *items;
    size_t count;
    struct run_id last; /* looked at */
    bool more;
    int err;
};

static bool text_is(const char *text, const char *wanted)
{
    return text != NULL && strcmp(text, wanted) == 0;
}

/* Reads the rest of the run and says whether it is wanted. */
static int list_match(struct listing *listing, struct history_item *item,
                      bool *ret_match)
{
    const struct history_filter *filter = listing->filter;

    *ret_match = false;
    if (filter->by_state && item->run->state != filter->state)
        return 0;
    int err = read_origin(listing->reader, &item->id, &item->origin);
    if (err != 0)
        return err;
    if (filter->pool != NULL && !text_is(item->run->pool, filter->pool) &&
        !text_is(item->origin->wanted_pool, filter->pool))
        return 0;
    *ret_match = filter->workflow == NULL ||
                 text_is(item->origin->workflow, filter->workflow);
    return 0;
}

/* Over RUN, or over LIVE, whose values it does not need: the run is read by
 * its id either way. */
static bool each_listed(void *context, struct store_bytes key,
                        struct store_bytes value)
{
    struct listing *listing = context;
    struct history_item item = {0};
    bool match = false;

    (void)value;
    if (key.len != ID_BYTES) {
        listing->err = -EBADMSG;
        return false;
    }
    memcpy(item.id.b, key.ptr, ID_BYTES);
    if (listing->before != NULL &&
        memcmp(item.id.b, listing->before->b, ID_BYTES) == 0)
        return true;
    if (listing->count == listing->limit || listing->seen == HISTORY_SCAN_MAX) {
        listing->more = true;
        return false;
    }
    listing->seen++;
    listing->last = item.id;

    listing->err = read_run(listing->reader, &item.id, &item.run);
    if (listing->err == 0)
        listing->err = list_match(listing, &item, &match);
    if (listing->err == -ENOENT)
        listing->err = -EBADMSG; /* live, and no such run */
    if (listing->err == 0 && match) {
        listing->items[listing->count++] = item;
        return true;
    }
    items_free(&item, 1);
    return listing->err == 0;
}

int history_list(struct store_reader *reader,
                 const struct history_filter *filter,
                 const struct run_id *before, size_t limit,
                 struct history_item **ret_items, size_t *ret_count,
                 bool *ret_more, struct run_id *ret_next)
{
    struct listing listing = {
        .reader = reader, .filter = filter, .before = before, .limit = limit};

    if (limit > HISTORY_PAGE_MAX)
        return -EINVAL;
    listing.items = calloc(limit + 1, sizeof *listing.items);
    if (listing.items == NULL)
        return -ENOMEM;

    int err = store_read_begin(reader);
    if (err == 0)
        err = store_walk(reader, filter->live_only ? STORE_LIVE : STORE_RUN,
                         before == NULL ? NULL : before->b, ID_BYTES, true,
                         each_listed, &listing);
    store_read_end(reader);
    if (err == 0)
        err = listing.err;
    if (err != 0) {
        history_list_free(&listing.items, listing.count);
        return err;
    }
    *ret_items = listing.items;
    *ret_count = listing.count;
    *ret_more = listing.more;
    if (listing.more)
        *ret_next = listing.last;
    return 0;
}

void history_list_free(struct history_item **items_p, size_t count)
{
    if (*items_p == NULL)
        return;
    items_free(*items_p, count);
    free(*items_p);
    *items_p = NULL;
}

/* ---- output ------------------------------------------------------------- */

struct logging {
    const uint8_t *prefix; /* run and attempt */
    size_t bytes, bytes_max;
    bool previews; /* those only, or all else */
    history_log *each;
    void *context;
    uint64_t last;
    int err;
};

static bool each_log(void *context, struct store_bytes key,
                     struct store_bytes value)
{
    struct logging *logging = context;
    const uint8_t *bytes = key.ptr;
    struct log_record *log;

    if (key.len != LOG_BYTES ||
        memcmp(bytes, logging->prefix, NUMBERED_BYTES) != 0)
        return false;
    logging->err = log_decode(value.ptr, value.len, &log);
    if (logging->err != 0)
        return false;
    logging->last = get_number(bytes + NUMBERED_BYTES, 8);
    if ((log->stream == RUN_LOG_PREVIEW) == logging->previews) {
        logging->each(logging->context, logging->last, log);
        logging->bytes += log->text_bytes;
    }
    free(log);
    return logging->bytes < logging->bytes_max;
}

static int read_logs(struct store_reader *reader, const struct run_id *id,
                     uint32_t attempt, struct logging *logging)
{
    struct run_record *run;
    uint8_t from[LOG_BYTES];

    int err = read_run(reader, id, &run);
    if (err != 0)
        return err;
    memcpy(from, id->b, ID_BYTES);
    put_number(from + ID_BYTES, attempt == 0 ? run->attempt : attempt, 4);
    free(run);
    if (logging->last == UINT64_MAX || logging->bytes_max == 0)
        return 0;
    put_number(from + NUMBERED_BYTES, logging->last + 1, 8);
    logging->prefix = from;
    err = store_walk(reader, STORE_LOG, from, sizeof from, false, each_log,
                     logging);
    return err != 0 ? err : logging->err;
}

int history_logs(struct store_reader *reader, const struct run_id *id,
                 uint32_t attempt, uint64_t after_event, size_t bytes_max,
                 history_log *each, void *context, uint64_t *ret_last)
{
    struct logging logging = {.bytes_max = bytes_max,
                              .each = each,
                              .context = context,
                              .last = after_event};

    int err = store_read_begin(reader);
    if (err == 0)
        err = read_logs(reader, id, attempt, &logging);
    store_read_end(reader);
    if (err == 0)
        *ret_last = logging.last;
    return err;
}

int history_previews(struct store_reader *reader, const struct run_id *id,
                     uint32_t attempt, history_log *each, void *context)
{
    struct logging logging = {.bytes_max = SIZE_MAX,
                              .previews = true,
                              .each = each,
                              .context = context};

    int err = store_read_begin(reader);
    if (err == 0)
        err = read_logs(reader, id, attempt, &logging);
    store_read_end(reader);
    return err;
}

/* ---- one pool ----------------------------------------------------------- */

enum { RECENT_MAX = 10 };

struct pooling {
    struct store_reader *reader;
    const char *pool;
    struct pool_history history;
    size_t seen;
    uint64_t timed; /* ended ones with a start */
    double duration_s;
    int err;
};

static void pool_count(struct pooling *pooling, const struct run_record *run)
{
    pooling->history.total++;
    switch (run->state) {
    case RUN_COMPLETED:
        pooling->history.successful++;
        break;
    case RUN_FAILED:
    case RUN_TIMED_OUT:
    case RUN_CRASHED:
        pooling->history.failed++;
        break;
    default: /* still there, or cancelled: nobody's success or failure */
        break;
    }
    if (run_state_is_final(run->state) && run->started_unix_ms > 0 &&
        run->ended_unix_ms >= run->started_unix_ms) {
        pooling->timed++;
        pooling->duration_s +=
            (double)(run->ended_unix_ms - run->started_unix_ms) / 1000;
    }
}

static bool each_of_pool(void *context, struct store_bytes key,
                         struct store_bytes value)
{
    struct pooling *pooling = context;
    struct history_item item = {0};

    if (pooling->seen++ == HISTORY_SCAN_MAX)
        return false;
    pooling->err = key.len == ID_BYTES
                       ? run_decode(value.ptr, value.len, &item.run)
                       : -EBADMSG;
    if (pooling->err != 0)
        return false;
    if (!text_is(item.run->pool, pooling->pool) ||
        item.run->state < RUN_RUNNING) {
        free(item.run);
        return true;
    }
    pool_count(pooling, item.run);
    if (pooling->history.recent_count == RECENT_MAX) {
        free(item.run);
        return true;
    }
    memcpy(item.id.b, key.ptr, ID_BYTES);
    pooling->err = read_origin(pooling->reader, &item.id, &item.origin);
    pooling->history.recent[pooling->history.recent_count++] = item;
    return pooling->err == 0;
}

int history_pool(struct store_reader *reader, const char *pool,
                 struct pool_history *ret)
{
    struct pooling pooling = {.reader = reader, .pool = pool};

    pooling.history.recent = calloc(RECENT_MAX, sizeof *pooling.history.recent);
    if (pooling.history.recent == NULL)
        return -ENOMEM;

    int err = store_read_begin(reader);
    if (err == 0)
        err = store_walk(reader, STORE_RUN, NULL, 0, true, each_of_pool,
                         &pooling);
    store_read_end(reader);
    if (err == 0)
        err = pooling.err;
    if (err != 0) {
        history_pool_clear(&pooling.history);
        return err;
    }
    if (pooling.timed > 0)
        pooling.history.avg_duration_s =
            pooling.duration_s / (double)pooling.timed;
    *ret = pooling.history;
    return 0;
}

void history_pool_clear(struct pool_history *pool)
{
    history_list_free(&pool->recent, pool->recent_count);
    *pool = (struct pool_history){0};
}
