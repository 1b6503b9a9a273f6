/*
 * test_history.c - what was written of a run is told again, whole and in
 * order; lists page newest first; damage is said, not skipped.
 */
#include "pools/history.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char dir[64];
    struct store *store;
    struct store_reader *reader;
};

static int set_up(void **state)
{
    static const struct store_options options = {.map_bytes = (size_t)64 << 20,
                                                 .unsafe_no_sync = true};
    struct fixture *f = calloc(1, sizeof *f);
    char why[STORE_WHY_MAX];

    if (f == NULL)
        return -1;
    snprintf(f->dir, sizeof f->dir, "/tmp/test_history.XXXXXX");
    if (mkdtemp(f->dir) == NULL ||
        store_open(f->dir, &options, &f->store, why) != 0 ||
        store_reader_open(f->store, &f->reader) != 0)
        return -1;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char command[128];

    store_reader_close(&f->reader);
    store_close(&f->store);
    snprintf(command, sizeof command, "rm -rf '%s'", f->dir);
    int rc = system(command); /* NOLINT(cert-env33-c): a path of our own */
    free(f);
    return rc;
}

static struct run_id id_of(unsigned n)
{
    struct run_id id = {{0}};

    id.b[14] = (uint8_t)(n >> 8);
    id.b[15] = (uint8_t)n;
    return id;
}

static void put(struct fixture *f, enum store_table table,
                const struct run_id *id, const char *suffix,
                size_t suffix_bytes, void *value, size_t value_bytes)
{
    uint8_t key[STORE_KEY_MAX];

    memcpy(key, id->b, sizeof id->b);
    if (suffix_bytes > 0)
        memcpy(key + sizeof id->b, suffix, suffix_bytes);
    assert_int_equal(store_put(f->store, table, key,
                               sizeof id->b + suffix_bytes, value, value_bytes),
                     0);
    free(value);
}

static void put_run(struct fixture *f, unsigned n, struct run_record run,
                    const char *workflow)
{
    struct run_id id = id_of(n);
    struct origin origin = {.workflow = workflow,
                            .wanted_pool = "default",
                            .features = {.size_bytes = -1},
                            .decision = {.chosen = -1}};
    void *bytes;
    size_t len;

    assert_int_equal(run_encode(&run, &bytes, &len), 0);
    put(f, STORE_RUN, &id, NULL, 0, bytes, len);
    assert_int_equal(origin_encode(&origin, &bytes, &len), 0);
    put(f, STORE_ORIGIN, &id, NULL, 0, bytes, len);
    if (!run_state_is_final(run.state))
        put(f, STORE_LIVE, &id, NULL, 0, NULL, 0);
}

static void put_attempt(struct fixture *f, unsigned n, uint32_t number,
                        const char *key)
{
    struct run_id id = id_of(n);
    struct attempt_record attempt = {.attempt = number,
                                     .pool = "default",
                                     .agent = "a1",
                                     .decision = {.chosen = -1}};
    void *bytes;
    size_t len;

    assert_int_equal(attempt_encode(&attempt, &bytes, &len), 0);
    put(f, STORE_ATTEMPT, &id, key, 4, bytes, len);
}

static void put_node(struct fixture *f, unsigned n, const char *key)
{
    struct run_id id = id_of(n);
    struct node_record node = {.attempt = 1, .state = RUN_NODE_RUNNING};
    void *bytes;
    size_t len;

    assert_int_equal(node_encode(&node, &bytes, &len), 0);
    put(f, STORE_NODE, &id, key, 4, bytes, len);
}

static void put_stream(struct fixture *f, unsigned n, const char *key,
                       uint8_t stream, const char *text)
{
    struct run_id id = id_of(n);
    struct log_record log = {
        .stream = stream, .text = text, .text_bytes = strlen(text)};
    void *bytes;
    size_t len;

    assert_int_equal(log_encode(&log, &bytes, &len), 0);
    put(f, STORE_LOG, &id, key, 12, bytes, len);
}

static void put_log(struct fixture *f, unsigned n, const char *key,
                    const char *text)
{
    put_stream(f, n, key, RUN_LOG_STDOUT, text);
}

static void begin(struct fixture *f)
{
    assert_int_equal(store_begin(f->store), 0);
}

static void commit(struct fixture *f)
{
    assert_int_equal(store_commit(f->store), 0);
}

/* ---- one run --------------------------------------------------------- */

static void a_story_holds_all_that_was_written_of_its_run(void **state)
{
    struct fixture *f = *state;
    struct run_id id = id_of(2);
    struct story *story = NULL;
    void *bytes;
    size_t len;

    begin(f);
    for (unsigned n = 1; n <= 3; n++) {
        put_run(f, n,
                (struct run_record){
                    .state = RUN_RUNNING, .attempt = 300, .pool = "default"},
                "orders");
        put_attempt(f, n, 300, "\0\0\x01\x2c");
        put_attempt(f, n, 2, "\0\0\0\x02");
        put_node(f, n, "\0\0\x27\x0f");
        put_node(f, n, "\0\0\0\0");
        assert_int_equal(plan_encode((struct span){"{\"nodes\":[]}", 12},
                                     (struct span){NULL, 0}, &bytes, &len),
                         0);
        struct run_id each = id_of(n);
        put(f, STORE_PLAN, &each, NULL, 0, bytes, len);
    }
    commit(f);

    assert_int_equal(history_story(f->reader, &id, &story), 0);
    assert_memory_equal(story->id.b, id.b, sizeof id.b);
    assert_int_equal(story->run->state, RUN_RUNNING);
    assert_string_equal(story->origin->workflow, "orders");
    assert_string_equal(story->plan, "{\"nodes\":[]}");
    assert_int_equal(story->plan_bytes, 12);
    assert_int_equal(story->attempt_count, 2);
    assert_int_equal(story->attempts[0]->attempt, 2);
    assert_int_equal(story->attempts[1]->attempt, 300);
    assert_int_equal(story->node_count, 2);
    assert_int_equal(story->nodes[0]->node, 0);
    assert_int_equal(story->nodes[1]->node, 9999);
    assert_int_equal(story->turn, store_turn(f->store));
    history_story_free(&story);
    assert_null(story);
}

static void a_run_that_only_waits_has_a_short_story(void **state)
{
    struct fixture *f = *state;
    struct run_id id = id_of(1), other = id_of(9);
    struct story *story = NULL;

    begin(f);
    put_run(f, 1, (struct run_record){.state = RUN_QUEUED}, "w");
    commit(f);

    assert_int_equal(history_story(f->reader, &id, &story), 0);
    assert_int_equal(story->attempt_count + story->node_count, 0);
    assert_string_equal(story->plan, "");
    history_story_free(&story);
    assert_int_equal(history_story(f->reader, &other, &story), -ENOENT);
    assert_null(story);
}

static void a_damaged_record_is_said(void **state)
{
    struct fixture *f = *state;
    struct run_id id = id_of(1);
    struct story *story = NULL;
    struct history_filter all = {0};
    struct history_item *items = NULL;
    size_t count;
    bool more;
    struct run_id next;

    begin(f);
    put_run(f, 1, (struct run_record){.state = RUN_QUEUED}, "w");
    put_attempt(f, 1, 1, "\0\0\0\x01");
    put(f, STORE_ATTEMPT, &id, "\0\0\0\x02", 4, strdup("?"), 1);
    commit(f);
    assert_int_equal(history_story(f->reader, &id, &story), -EBADMSG);

    begin(f);
    put(f, STORE_ORIGIN, &id, NULL, 0, strdup("?"), 1);
    commit(f);
    assert_int_equal(history_story(f->reader, &id, &story), -EBADMSG);
    assert_int_equal(
        history_list(f->reader, &all, NULL, 5, &items, &count, &more, &next),
        -EBADMSG);
    assert_null(story);
    assert_null(items);
}

/* ---- lists ----------------------------------------------------------- */

static void put_ten_runs(struct fixture *f)
{
    begin(f);
    for (unsigned n = 1; n <= 10; n++) {
        struct run_record run = {
            .state = n % 2 == 0 ? RUN_COMPLETED : RUN_RUNNING,
            .pool = n % 3 == 0 ? "etl" : "default",
            .started_unix_ms = 1000,
            .ended_unix_ms = n % 2 == 0 ? 1000 + n * 1000 : 0};
        put_run(f, n, run, n <= 5 ? "old" : "new");
    }
    commit(f);
}

/* The ids' last bytes of one page, as text: "10 9 8". */
static const char *page(struct fixture *f, const struct history_filter *filter,
                        const struct run_id *before, size_t limit, bool *more,
                        struct run_id *next)
{
    static char text[200];
    struct history_item *items = NULL;
    size_t count = 0;

    text[0] = '\0';
    assert_int_equal(history_list(f->reader, filter, before, limit, &items,
                                  &count, more, next),
                     0);
    for (size_t i = 0; i < count; i++) {
        assert_non_null(items[i].origin->workflow);
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%u", i > 0 ? " " : "",
                 items[i].id.b[15]);
    }
    history_list_free(&items, count);
    assert_null(items);
    return text;
}

static void a_list_is_paged_newest_first_without_gap_or_repeat(void **state)
{
    struct fixture *f = *state;
    struct history_filter all = {0};
    struct run_id next;
    bool more;

    put_ten_runs(f);
    assert_string_equal(page(f, &all, NULL, 4, &more, &next), "10 9 8 7");
    assert_true(more);
    assert_string_equal(page(f, &all, &next, 4, &more, &next), "6 5 4 3");
    assert_true(more);
    assert_string_equal(page(f, &all, &next, 4, &more, &next), "2 1");
    assert_false(more);
    assert_string_equal(page(f, &all, NULL, 10, &more, &next),
                        "10 9 8 7 6 5 4 3 2 1");
    assert_false(more);
    struct run_id oldest = id_of(1);
    assert_string_equal(page(f, &all, &oldest, 4, &more, &next), "");
    assert_false(more);
}

static void a_page_may_begin_before_an_id_that_is_not_there(void **state)
{
    struct fixture *f = *state;
    struct history_filter all = {0};
    struct run_id next, missing = id_of(300);
    bool more;

    put_ten_runs(f);
    assert_string_equal(page(f, &all, &missing, 2, &more, &next), "10 9");
}

static void filters_choose_by_state_pool_workflow_and_life(void **state)
{
    struct fixture *f = *state;
    struct history_filter filter = {.by_state = true, .state = RUN_COMPLETED};
    struct run_id next;
    bool more;

    put_ten_runs(f);
    assert_string_equal(page(f, &filter, NULL, 20, &more, &next), "10 8 6 4 2");
    filter = (struct history_filter){.pool = "etl"};
    assert_string_equal(page(f, &filter, NULL, 20, &more, &next), "9 6 3");
    filter = (struct history_filter){.pool = "default"}; /* wanted by all */
    assert_string_equal(page(f, &filter, NULL, 3, &more, &next), "10 9 8");
    filter = (struct history_filter){.workflow = "old", .live_only = true};
    assert_string_equal(page(f, &filter, NULL, 20, &more, &next), "5 3 1");
    filter = (struct history_filter){.pool = "none"};
    assert_string_equal(page(f, &filter, NULL, 20, &more, &next), "");
    assert_false(more);
}

static void a_page_over_the_limit_is_refused(void **state)
{
    struct fixture *f = *state;
    struct history_filter all = {0};
    struct history_item *items = NULL;
    size_t count;
    struct run_id next;
    bool more;

    assert_int_equal(history_list(f->reader, &all, NULL, HISTORY_PAGE_MAX + 1,
                                  &items, &count, &more, &next),
                     -EINVAL);
    assert_null(items);
}

static void a_search_that_finds_nothing_stops_and_says_where(void **state)
{
    struct fixture *f = *state;
    struct history_filter none = {.by_state = true, .state = RUN_CRASHED};
    struct run_id next = {{0}};
    bool more = false;

    begin(f);
    for (unsigned n = 0; n <= HISTORY_SCAN_MAX; n++)
        put_run(f, n, (struct run_record){.state = RUN_COMPLETED}, "w");
    commit(f);
    assert_string_equal(page(f, &none, NULL, 1, &more, &next), "");
    assert_true(more);
    struct run_id last = id_of(1);
    assert_memory_equal(next.b, last.b, sizeof last.b);
    assert_string_equal(page(f, &none, &next, 1, &more, &next), "");
    assert_false(more);
}

/* ---- output ---------------------------------------------------------- */

struct heard {
    char text[200];
    uint64_t last;
};

static void hear(void *context, uint64_t event, const struct log_record *log)
{
    struct heard *heard = context;
    size_t used = strlen(heard->text);

    assert_true(event > heard->last);
    heard->last = event;
    snprintf(heard->text + used, sizeof heard->text - used, "%.*s ",
             (int)log->text_bytes, log->text);
}

static void put_output(struct fixture *f)
{
    begin(f);
    put_run(f, 1, (struct run_record){.state = RUN_RUNNING, .attempt = 2}, "w");
    put_run(f, 2, (struct run_record){.state = RUN_RUNNING, .attempt = 1}, "w");
    put_log(f, 1, "\0\0\0\x01\0\0\0\0\0\0\0\x01", "first");
    put_log(f, 1, "\0\0\0\x02\0\0\0\0\0\0\0\x01", "a");
    put_log(f, 1, "\0\0\0\x02\0\0\0\0\0\0\0\x04", "b");
    put_log(f, 1, "\0\0\0\x02\0\0\0\0\0\0\x01\0", "c");
    put_log(f, 2, "\0\0\0\x01\0\0\0\0\0\0\0\x01", "other");
    commit(f);
}

static void output_is_read_in_order_and_from_where_one_stopped(void **state)
{
    struct fixture *f = *state;
    struct run_id id = id_of(1);
    struct heard heard = {{0}, 0};
    uint64_t last = 77;

    put_output(f);
    assert_int_equal(
        history_logs(f->reader, &id, 0, 0, 1000, hear, &heard, &last), 0);
    assert_string_equal(heard.text, "a b c ");
    assert_int_equal(last, 256);

    heard = (struct heard){{0}, 0};
    assert_int_equal(history_logs(f->reader, &id, 2, 1, 1, hear, &heard, &last),
                     0);
    assert_string_equal(heard.text, "b ");
    assert_int_equal(last, 4);

    heard = (struct heard){{0}, 0};
    assert_int_equal(
        history_logs(f->reader, &id, 1, 0, 1000, hear, &heard, &last), 0);
    assert_string_equal(heard.text, "first ");
}

static void previews_are_kept_among_the_output_and_read_apart(void **state)
{
    struct fixture *f = *state;
    struct run_id id = id_of(1), other = id_of(9);
    struct heard heard = {{0}, 0};
    uint64_t last = 0;

    put_output(f);
    begin(f);
    put_stream(f, 1, "\0\0\0\2\0\0\0\0\0\0\0\2", RUN_LOG_PREVIEW, "[1]");
    put_stream(f, 1, "\0\0\0\2\0\0\0\0\0\0\2\0", RUN_LOG_PREVIEW, "[2]");
    put_stream(f, 1, "\0\0\0\1\0\0\0\0\0\0\0\7", RUN_LOG_PREVIEW, "[0]");
    commit(f);
    assert_int_equal(
        history_logs(f->reader, &id, 0, 0, 1000, hear, &heard, &last), 0);
    assert_string_equal(heard.text, "a b c ");
    assert_int_equal(last, 512); /* and need not be looked at again */

    heard = (struct heard){{0}, 0};
    assert_int_equal(history_previews(f->reader, &id, 0, hear, &heard), 0);
    assert_string_equal(heard.text, "[1] [2] ");
    heard = (struct heard){{0}, 0};
    assert_int_equal(history_previews(f->reader, &id, 1, hear, &heard), 0);
    assert_string_equal(heard.text, "[0] ");
    assert_int_equal(history_previews(f->reader, &other, 0, hear, &heard),
                     -ENOENT);
}

static void output_that_is_not_there_yet_leaves_the_mark(void **state)
{
    struct fixture *f = *state;
    struct run_id id = id_of(1), other = id_of(9);
    struct heard heard = {{0}, 0};
    uint64_t last = 77;

    put_output(f);
    assert_int_equal(
        history_logs(f->reader, &id, 2, 256, 1000, hear, &heard, &last), 0);
    assert_int_equal(last, 256);
    assert_int_equal(
        history_logs(f->reader, &id, 2, UINT64_MAX, 1000, hear, &heard, &last),
        0);
    assert_int_equal(last, UINT64_MAX);
    assert_string_equal(heard.text, "");
    assert_int_equal(
        history_logs(f->reader, &other, 0, 0, 1000, hear, &heard, &last),
        -ENOENT);
}

/* ---- pools ----------------------------------------------------------- */

static void a_pool_tells_how_its_last_runs_went(void **state)
{
    struct fixture *f = *state;
    struct pool_history pool;

    put_ten_runs(f);
    begin(f);
    put_run(f, 11, (struct run_record){.state = RUN_FAILED, .pool = "etl"},
            "w");
    put_run(f, 12, (struct run_record){.state = RUN_PENDING, .pool = "etl"},
            "w");
    put_run(f, 13, (struct run_record){.state = RUN_CANCELLED}, "w");
    commit(f);

    assert_int_equal(history_pool(f->reader, "etl", &pool), 0);
    assert_int_equal(pool.total, 4); /* 11 9 6 3; 12 has not started */
    assert_int_equal(pool.successful, 1);
    assert_int_equal(pool.failed, 1);
    assert_int_equal(pool.recent_count, 4);
    assert_int_equal(pool.recent[0].id.b[15], 11);
    assert_int_equal(pool.recent[3].id.b[15], 3);
    assert_non_null(pool.recent[0].origin);
    assert_true(pool.avg_duration_s > 5.99 && pool.avg_duration_s < 6.01);
    history_pool_clear(&pool);
    assert_null(pool.recent);

    assert_int_equal(history_pool(f->reader, "unknown", &pool), 0);
    assert_int_equal(pool.total, 0);
    assert_true(pool.avg_duration_s == 0);
    history_pool_clear(&pool);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_story_holds_all_that_was_written_of_its_run),
        TEST(a_run_that_only_waits_has_a_short_story),
        TEST(a_damaged_record_is_said),
        TEST(a_list_is_paged_newest_first_without_gap_or_repeat),
        TEST(a_page_may_begin_before_an_id_that_is_not_there),
        TEST(filters_choose_by_state_pool_workflow_and_life),
        TEST(a_page_over_the_limit_is_refused),
        TEST(a_search_that_finds_nothing_stops_and_says_where),
        TEST(output_is_read_in_order_and_from_where_one_stopped),
        TEST(previews_are_kept_among_the_output_and_read_apart),
        TEST(output_that_is_not_there_yet_leaves_the_mark),
        TEST(a_pool_tells_how_its_last_runs_went),
    };
    return cmocka_run_group_tests_name("history", tests, NULL, NULL);
}
