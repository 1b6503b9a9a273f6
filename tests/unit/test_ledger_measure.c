/*
 * test_ledger_measure.c - what a completed run has read is remembered for the
 * next of its workflow, and nothing else is; and who can be asked about sizes.
 */
#include "tests/unit/ledger_fixture.h"

#include "pools/measure.h"

static struct node_record node(uint32_t index, uint64_t rows, uint64_t bytes)
{
    return (struct node_record){.node = index,
                                .state = RUN_NODE_COMPLETED,
                                .exit_code = -1,
                                .rows_out = rows,
                                .bytes_out = bytes};
}

/* A workflow whose plan begins with two sources. */
static struct origin two_sources(const char *name, const char *workflow_id)
{
    struct origin origin = want("default");

    origin.workflow = name;
    origin.workflow_id = workflow_id;
    origin.sources[0] = 0;
    origin.sources[1] = 2;
    origin.source_count = 2;
    return origin;
}

/* -ENOENT, or 0 and what is remembered. */
static int remembered(struct fixture *f, const char *workflow_id,
                      const char *name, struct measure *ret)
{
    struct store_reader *reader;

    assert_int_equal(store_reader_open(f->store, &reader), 0);
    int err = measure_read(reader, workflow_id, name, ret);
    store_reader_close(&reader);
    return err;
}

static uint64_t bytes_of(struct fixture *f, const char *workflow_id,
                         const char *name)
{
    struct measure measure;

    assert_int_equal(remembered(f, workflow_id, name, &measure), 0);
    return measure.bytes;
}

static bool is_unmeasured(struct fixture *f, const char *workflow_id,
                          const char *name)
{
    struct measure measure;

    return remembered(f, workflow_id, name, &measure) == -ENOENT;
}

static struct run_id execute(struct fixture *f, const struct origin *origin,
                             enum attempt_outcome outcome,
                             const struct node_record *nodes, size_t count)
{
    const struct result result = {.outcome = outcome,
                                  .ended_unix_ms = f->now_unix_ms,
                                  .nodes = nodes,
                                  .node_count = count};
    struct run_id id = submit_as(f, origin);

    accept_run(f, 1, id, 1);
    begin(f);
    assert_int_equal(ledger_result(f->ledger, 1, &id, 1, &result), 0);
    commit(f);
    return id;
}

/* Completed, with these bytes from its two sources and more from what is not
 * one. */
static struct run_id complete(struct fixture *f, const struct origin *origin,
                              uint64_t first, uint64_t second)
{
    const struct node_record nodes[] = {node(0, 10, first), node(1, 10, 5000),
                                        node(2, 20, second)};

    return execute(f, origin, ATTEMPT_COMPLETED, nodes, 3);
}

/* ---- what is measured --------------------------------------------------- */

static void a_completed_run_leaves_what_its_sources_gave(void **state)
{
    struct fixture *f = *state;
    struct origin origin = two_sources("orders", NULL);
    struct measure measure;

    join(f, 1, "a", 4);
    struct run_id id = complete(f, &origin, 100, 30);
    assert_int_equal(remembered(f, NULL, "orders", &measure), 0);
    assert_int_equal(measure.bytes, 130);
    assert_int_equal(measure.rows, 30);
    assert_memory_equal(measure.run.b, id.b, sizeof id.b);
    assert_int_equal(measure.ended_unix_ms, f->now_unix_ms);
}

static void the_last_run_counts(void **state)
{
    struct fixture *f = *state;
    struct origin origin = two_sources("orders", NULL);

    join(f, 1, "a", 4);
    complete(f, &origin, 100, 30);
    complete(f, &origin, 0, 7);
    assert_int_equal(bytes_of(f, NULL, "orders"), 7);
}

static void nothing_read_is_a_measurement(void **state)
{
    struct fixture *f = *state;
    struct origin origin = two_sources("orders", NULL);

    join(f, 1, "a", 4);
    complete(f, &origin, 0, 0);
    assert_int_equal(bytes_of(f, NULL, "orders"), 0);
}

static void an_id_comes_before_a_name_and_is_no_name(void **state)
{
    struct fixture *f = *state;
    struct origin origin = two_sources("orders", "7");

    join(f, 1, "a", 4);
    complete(f, &origin, 100, 0);
    assert_int_equal(bytes_of(f, "7", "renamed"), 100);
    assert_true(is_unmeasured(f, NULL, "orders"));
    assert_true(is_unmeasured(f, NULL, "7"));
}

static void it_is_there_after_a_restart(void **state)
{
    struct fixture *f = *state;
    struct origin origin = two_sources("orders", NULL);

    join(f, 1, "a", 4);
    complete(f, &origin, 100, 30);
    reopen(f);
    assert_int_equal(bytes_of(f, NULL, "orders"), 130);
}

static void a_run_that_was_taken_up_after_a_restart_is_measured(void **state)
{
    struct fixture *f = *state;
    struct origin origin = two_sources("orders", NULL);
    const struct node_record nodes[] = {node(0, 1, 1), node(1, 1, 2),
                                        node(2, 1, 4)};
    struct result result = {
        .outcome = ATTEMPT_COMPLETED, .nodes = nodes, .node_count = 3};

    join(f, 1, "a", 4);
    struct run_id id = submit_as(f, &origin);
    accept_run(f, 1, id, 1);
    reopen(f);
    struct agent_hello said = agent("a", 4);
    const struct effect_attempt held = {.run = id, .attempt = 1, .keep = true};
    said.held = &held;
    said.held_count = 1;
    assert_int_equal(hello(f, 2, &said), HELLO_OK);
    begin(f);
    assert_int_equal(ledger_result(f->ledger, 2, &id, 1, &result), 0);
    commit(f);
    assert_int_equal(bytes_of(f, NULL, "orders"), 5);
}

/* ---- what is not -------------------------------------------------------- */

static void a_run_that_did_not_complete_leaves_what_was_known(void **state)
{
    struct fixture *f = *state;
    struct origin origin = two_sources("orders", NULL);
    const struct node_record nodes[] = {node(0, 1, 1), node(1, 1, 1),
                                        node(2, 1, 1)};

    join(f, 1, "a", 4);
    complete(f, &origin, 100, 30);
    execute(f, &origin, ATTEMPT_FAILED, nodes, 3);
    execute(f, &origin, ATTEMPT_TIMED_OUT, nodes, 3);
    assert_int_equal(bytes_of(f, NULL, "orders"), 130);
}

static void a_source_nobody_counted_makes_no_measurement(void **state)
{
    struct fixture *f = *state;
    struct origin origin = two_sources("orders", NULL);

    join(f, 1, "a", 4);
    complete(f, &origin, 100, RUN_COUNT_UNKNOWN);
    assert_true(is_unmeasured(f, NULL, "orders"));
}

static void rows_nobody_counted_do_not_matter(void **state)
{
    struct fixture *f = *state;
    struct origin origin = two_sources("orders", NULL);
    const struct node_record nodes[] = {node(0, RUN_COUNT_UNKNOWN, 3),
                                        node(1, 0, 0), node(2, 1, 4)};
    struct measure measure;

    join(f, 1, "a", 4);
    execute(f, &origin, ATTEMPT_COMPLETED, nodes, 3);
    assert_int_equal(remembered(f, NULL, "orders", &measure), 0);
    assert_int_equal(measure.bytes, 7);
    assert_true(measure.rows == RUN_COUNT_UNKNOWN);
}

static void a_source_that_is_missing_or_skipped_makes_none(void **state)
{
    struct fixture *f = *state;
    struct origin origin = two_sources("orders", NULL);
    struct node_record nodes[] = {node(0, 1, 1), node(1, 1, 1), node(2, 1, 1)};

    join(f, 1, "a", 4);
    execute(f, &origin, ATTEMPT_COMPLETED, nodes, 2);
    nodes[2].state = RUN_NODE_SKIPPED;
    execute(f, &origin, ATTEMPT_COMPLETED, nodes, 3);
    assert_true(is_unmeasured(f, NULL, "orders"));
}

static void a_sum_that_is_no_size_makes_none(void **state)
{
    struct fixture *f = *state;
    struct origin origin = two_sources("orders", NULL);

    join(f, 1, "a", 4);
    complete(f, &origin, INT64_MAX, 1);
    complete(f, &origin, UINT64_MAX - 1, UINT64_MAX - 1);
    assert_true(is_unmeasured(f, NULL, "orders"));
}

static void a_workflow_without_sources_is_not_remembered(void **state)
{
    struct fixture *f = *state;
    struct origin origin = want("default");
    size_t count;

    join(f, 1, "a", 4);
    complete(f, &origin, 1, 1);
    assert_true(is_unmeasured(f, NULL, "copy"));
    const struct store_write *writes = store_writes(f->store, &count);
    for (size_t i = 0; i < count; i++)
        assert_int_not_equal(writes[i].table, STORE_MEASURE);
}

/* ---- the table ---------------------------------------------------------- */

static void a_workflow_that_lost_its_place_counts_as_unmeasured(void **state)
{
    struct fixture *f = *state;
    struct origin first = two_sources("orders", NULL);
    struct store_bytes key = {NULL, 0}, value = {NULL, 0};
    uint8_t place[STORE_KEY_MAX], record[512];
    size_t count;

    join(f, 1, "a", 4);
    complete(f, &first, 100, 30);
    const struct store_write *writes = store_writes(f->store, &count);
    for (size_t i = 0; i < count; i++)
        if (writes[i].table == STORE_MEASURE)
            key = writes[i].key;
    assert_true(key.len > 0 && key.len <= sizeof place);
    memcpy(place, key.ptr, key.len);
    size_t place_bytes = key.len;
    struct origin other = two_sources("customers", NULL);
    complete(f, &other, 1, 2);
    writes = store_writes(f->store, &count);
    for (size_t i = 0; i < count; i++)
        if (writes[i].table == STORE_MEASURE)
            value = writes[i].value;
    assert_true(value.len > 0 && value.len <= sizeof record);
    memcpy(record, value.ptr, value.len);
    plant(f, STORE_MEASURE, place, place_bytes, record, value.len);
    assert_true(is_unmeasured(f, NULL, "orders"));
    assert_int_equal(bytes_of(f, NULL, "customers"), 3);
    plant(f, STORE_MEASURE, place, place_bytes, "\xff", 1);
    assert_true(is_unmeasured(f, NULL, "orders"));
}

static bool count_one(void *context, struct store_bytes key,
                      struct store_bytes value)
{
    (void)key;
    (void)value;
    ++*(size_t *)context;
    return true;
}

static void a_workflow_takes_one_place_however_often_it_runs(void **state)
{
    struct fixture *f = *state;
    struct origin origin = two_sources("orders", NULL);
    struct store_reader *reader;
    size_t count = 0;

    join(f, 1, "a", 4);
    for (uint64_t i = 0; i < 5; i++)
        complete(f, &origin, i, i);
    assert_int_equal(store_reader_open(f->store, &reader), 0);
    assert_int_equal(store_read_begin(reader), 0);
    assert_int_equal(
        store_walk(reader, STORE_MEASURE, NULL, 0, false, count_one, &count),
        0);
    store_read_end(reader);
    store_reader_close(&reader);
    assert_int_equal(count, 1);
}

/* ---- who can be asked --------------------------------------------------- */

static uint64_t capable(struct fixture *f, const char *cap)
{
    const char *const needs[] = {"kind:command", cap};

    return ledger_capable(f->ledger, needs, 2, f->now_ms);
}

static void who_is_asked_announces_all_of_it_and_is_well(void **state)
{
    static const char *const caps[] = {"kind:command", "connections",
                                       "estimate"};
    struct fixture *f = *state;
    struct agent_hello said = agent("b", 4);

    assert_int_equal(capable(f, "kind:http"), 0);
    join(f, 1, "a", 4);
    said.caps = caps;
    said.cap_count = 3;
    assert_int_equal(hello(f, 2, &said), HELLO_OK);
    assert_int_equal(capable(f, "kind:http"), 1);
    assert_int_equal(capable(f, "estimate"), 2);
    assert_int_equal(capable(f, "connection:shop"), 2);
    assert_int_equal(capable(f, "kind:nothing"), 0);
    gone(f, 2);
    assert_int_equal(capable(f, "estimate"), 0);
}

static void the_one_with_the_fewest_leases_is_asked(void **state)
{
    struct fixture *f = *state;

    join(f, 1, "a", 4);
    struct run_id id = submit(f, "default");
    accept_run(f, 1, id, 1);
    join(f, 2, "b", 4);
    assert_int_equal(capable(f, "kind:http"), 2);
}

#define claim(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        claim(a_completed_run_leaves_what_its_sources_gave),
        claim(the_last_run_counts),
        claim(nothing_read_is_a_measurement),
        claim(an_id_comes_before_a_name_and_is_no_name),
        claim(it_is_there_after_a_restart),
        claim(a_run_that_was_taken_up_after_a_restart_is_measured),
        claim(a_run_that_did_not_complete_leaves_what_was_known),
        claim(a_source_nobody_counted_makes_no_measurement),
        claim(rows_nobody_counted_do_not_matter),
        claim(a_source_that_is_missing_or_skipped_makes_none),
        claim(a_sum_that_is_no_size_makes_none),
        claim(a_workflow_without_sources_is_not_remembered),
        claim(a_workflow_that_lost_its_place_counts_as_unmeasured),
        claim(a_workflow_takes_one_place_however_often_it_runs),
        claim(who_is_asked_announces_all_of_it_and_is_well),
        claim(the_one_with_the_fewest_leases_is_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
