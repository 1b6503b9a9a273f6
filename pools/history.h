/*
 * history.h - reading runs back: the whole story of one, lists, output. Every
 * function opens one short read of the store and copies what it returns.
 *
 * Memory:  a returned story or list is freed with history_*_free().
 * Threads: the one that owns the reader.
 * Errors:  0 or a negative errno; -ENOENT: no such run.
 */
#ifndef POOLS_HISTORY_H
#define POOLS_HISTORY_H

#include "pools/run.h"
#include "pools/store.h"

struct story {
    struct run_id id;
    struct run_record *run;
    struct origin *origin;
    struct attempt_record **attempts; /* oldest first */
    size_t attempt_count;
    struct node_record **nodes; /* by index; those that were reported */
    size_t node_count;
    char *plan; /* JSON text, NUL-terminated: ids and labels of nodes */
    size_t plan_bytes;
    uint64_t turn; /* of the store when it was read */
};
int history_story(struct store_reader *reader, const struct run_id *id,
                  struct story **ret);
void history_story_free(struct story **story_p);

struct history_filter {
    bool by_state, live_only;
    enum run_state state;
    const char *pool;     /* wanted or used; NULL: any */
    const char *workflow; /* name; NULL: any */
};
struct history_item {
    struct run_id id;
    struct run_record *run;
    struct origin *origin;
};
enum { HISTORY_PAGE_MAX = 500, HISTORY_SCAN_MAX = 20000 };
/* Newest first, from `before` (exclusive; NULL: the newest), at most limit
 * (<= HISTORY_PAGE_MAX) matching, looking at no more than HISTORY_SCAN_MAX.
 * *ret_more: there may be more, continue before *ret_next. */
int history_list(struct store_reader *reader,
                 const struct history_filter *filter,
                 const struct run_id *before, size_t limit,
                 struct history_item **ret_items, size_t *ret_count,
                 bool *ret_more, struct run_id *ret_next);
void history_list_free(struct history_item **items_p, size_t count);

/* Output of one attempt (0: the last) in order, events after `after_event`,
 * until about bytes_max of text were given to `each`; *ret_last is the last
 * event looked at (after_event when none). Previews are kept among it and are
 * no output: they are passed over. -ENOENT: no such run. */
typedef void history_log(void *context, uint64_t event,
                         const struct log_record *log);
int history_logs(struct store_reader *reader, const struct run_id *id,
                 uint32_t attempt, uint64_t after_event, size_t bytes_max,
                 history_log *each, void *context, uint64_t *ret_last);
/* The previews of the nodes of one attempt (0: the last), all of them: they
 * share the 8 MiB of its output. The text is foreign: whatever an agent sent as
 * stream RUN_LOG_PREVIEW. -ENOENT: no such run. */
int history_previews(struct store_reader *reader, const struct run_id *id,
                     uint32_t attempt, history_log *each, void *context);

/* How a pool's last runs went: newest ended ones that ran there, at most
 * HISTORY_SCAN_MAX looked at. */
struct pool_history {
    struct history_item *recent; /* at most 10, ended or running */
    size_t recent_count;
    uint64_t total, successful, failed; /* among those looked at */
    double avg_duration_s;              /* of the ended; 0 when none */
};
int history_pool(struct store_reader *reader, const char *pool,
                 struct pool_history *ret);
void history_pool_clear(struct pool_history *pool);

#endif
