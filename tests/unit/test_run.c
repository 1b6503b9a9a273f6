/*
 * test_run.c - ids that sort by time, the table of legal moves, names, and
 * the records: what is written is read back, what is damaged is refused.
 */
#include "pools/run.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- ids ------------------------------------------------------------- */

static int id_compare(const struct run_id *a, const struct run_id *b)
{
    return memcmp(a->b, b->b, sizeof a->b);
}

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407U;
    return *seed ^ *seed >> 29;
}

static void an_id_carries_its_time_version_and_variant(void **state)
{
    (void)state;
    struct run_id none = {{0}};
    char text[RUN_ID_TEXT];

    struct run_id id = run_id_next(&none, INT64_C(0x0123456789ab), UINT64_MAX);
    run_id_text(&id, text);
    assert_string_equal(text, "01234567-89ab-7000-bfff-ffffffffffff");
}

static void ids_grow_while_the_clock_stands_or_steps_back(void **state)
{
    (void)state;
    uint64_t seed = 7;
    int64_t now = 1700000000000;
    struct run_id last = {{0}};

    for (int i = 0; i < 100000; i++) {
        struct run_id id = run_id_next(&last, now, next_random(&seed));
        assert_true(id_compare(&last, &id) < 0);
        last = id;
        if (i % 9000 == 0)
            now += (int64_t)(next_random(&seed) % 7) - 3;
        if (i % 20000 == 0)
            now -= 3600000;
    }
}

static void ids_grow_past_the_counter_of_one_millisecond(void **state)
{
    (void)state;
    struct run_id last = {{0}};

    for (int i = 0; i < 3 * 4096; i++) {
        struct run_id id = run_id_next(&last, 1000, 0);
        assert_true(id_compare(&last, &id) < 0);
        last = id;
    }
}

static void an_id_survives_its_text_in_either_case(void **state)
{
    (void)state;
    struct run_id parsed;
    char text[RUN_ID_TEXT];

    assert_int_equal(
        run_id_parse("018F0000-ABCD-7123-89ab-0123456789EF", &parsed), 0);
    run_id_text(&parsed, text);
    assert_string_equal(text, "018f0000-abcd-7123-89ab-0123456789ef");
}

static void text_that_is_no_uuid_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "018f0000",
        "018f0000-abcd-7123-89ab-0123456789e",
        "018f0000-abcd-7123-89ab-0123456789eff",
        "018f0000abcd-7123-89ab-0123456789efff",
        "018f0000-abcd-7123-89ab-0123456789eg",
        "018f0000-abcd-7123-89ab_0123456789ef",
        "{18f0000-abcd-7123-89ab-0123456789ef",
    };
    struct run_id kept = {{42}};

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(run_id_parse(wrong[i], &kept), -EINVAL);
    assert_int_equal(kept.b[0], 42);
}

/* ---- states ---------------------------------------------------------- */

static void the_legal_moves_are_these_and_no_others(void **state)
{
    (void)state;
    /* a row: from; columns in the order of enum run_state */
    static const char table[RUN_STATES][RUN_STATES + 1] = {
        [RUN_SCHEDULED] = ".Q....fTX.",  [RUN_QUEUED] = "..P...fTX.",
        [RUN_PENDING] = "SQ.RCcfTXL",    [RUN_RUNNING] = "SQ..CcfTXL",
        [RUN_CANCELLING] = ".....cfTX.", [RUN_COMPLETED] = "..........",
        [RUN_FAILED] = "..........",     [RUN_TIMED_OUT] = "..........",
        [RUN_CANCELLED] = "..........",  [RUN_CRASHED] = "..........",
    };

    for (unsigned from = 0; from < RUN_STATES; from++) {
        for (unsigned to = 0; to < RUN_STATES; to++) {
            bool legal = run_may_move((enum run_state)from, (enum run_state)to);
            assert_int_equal(legal, table[from][to] != '.');
        }
    }
}

static void final_states_are_those_that_nothing_leaves(void **state)
{
    (void)state;
    for (unsigned from = 0; from < RUN_STATES; from++) {
        bool leaves = false;
        for (unsigned to = 0; to < RUN_STATES; to++)
            leaves |= run_may_move((enum run_state)from, (enum run_state)to);
        assert_int_equal(run_state_is_final((enum run_state)from), !leaves);
        assert_int_equal(leaves, from < RUN_COMPLETED);
    }
}

static void a_slot_is_held_from_the_push_to_the_end(void **state)
{
    (void)state;
    for (unsigned i = 0; i < RUN_STATES; i++)
        assert_int_equal(run_state_holds_slot((enum run_state)i),
                         i == RUN_PENDING || i == RUN_RUNNING ||
                             i == RUN_CANCELLING);
}

static void every_state_and_priority_has_a_name_that_parses(void **state)
{
    (void)state;
    for (unsigned i = 0; i < RUN_STATES; i++) {
        enum run_state parsed = RUN_STATES;
        assert_int_equal(
            run_state_parse(run_state_name((enum run_state)i), &parsed), 0);
        assert_int_equal(parsed, i);
    }
    for (unsigned i = 0; i < PRIORITIES; i++) {
        enum run_priority parsed = PRIORITIES;
        assert_int_equal(run_priority_parse(
                             run_priority_name((enum run_priority)i), &parsed),
                         0);
        assert_int_equal(parsed, i);
    }
    enum run_state run_state = RUN_FAILED;
    assert_int_equal(run_state_parse("timed_out", &run_state), 0);
    assert_int_equal(run_state, RUN_TIMED_OUT);
    assert_int_equal(run_state_parse("DONE", &run_state), -EINVAL);
    enum run_priority priority;
    assert_int_equal(run_priority_parse("urgent", &priority), -EINVAL);
}

static void every_outcome_and_node_state_has_its_name(void **state)
{
    (void)state;
    assert_string_equal(attempt_outcome_name(ATTEMPT_LAPSED), "lapsed");
    assert_string_equal(run_node_state_name(RUN_NODE_WAITING), "waiting");
    for (unsigned i = 0; i < ATTEMPT_OUTCOMES; i++)
        assert_string_not_equal(attempt_outcome_name((enum attempt_outcome)i),
                                "?");
    for (unsigned i = 0; i < RUN_NODE_STATES; i++)
        assert_string_not_equal(run_node_state_name((enum run_node_state)i),
                                "?");
}

/* ---- records --------------------------------------------------------- */

static const char *const some_tags[] = {"nightly", "", "\xc3\xa9tl"};

static struct decision some_decision(void)
{
    return (struct decision){
        .candidates = {{.pool = "default",
                        .verdict = ROUTE_FULL,
                        .limit = 5,
                        .used = 5,
                        .agents = 1,
                        .slots_free = 0,
                        .why = "5 of 5 slots in use"},
                       {.pool = "etl",
                        .verdict = ROUTE_TAKE,
                        .limit = 3,
                        .agents = 2,
                        .slots_free = 3}},
        .candidate_count = 2,
        .chosen = 1,
        .look_again_ms = 70000,
    };
}

static struct origin some_origin(void)
{
    return (struct origin){
        .workflow = "orders",
        .shape = SHAPE_CONNECTION_V1,
        .edges_inferred = true,
        .features = {.nodes = 300,
                     .db_nodes = 2,
                     .transforms = 70000,
                     .size_bytes = -1,
                     .size_source = SIZE_UNKNOWN,
                     .tags = some_tags,
                     .tag_count = 3,
                     .requested_pool = "etl"},
        .rule = "etl",
        .rule_why = "db_nodes 3 > 2",
        .wanted_pool = "default",
        .fallback_forbidden = true,
        .requires = {"engine:mysql", "kind:extract"},
        .requires_count = 2,
        .priority = PRIORITY_LOW,
        .timeout_ms = UINT64_MAX,
        .retry = {.retries = 3,
                  .base_ms = 100,
                  .cap_ms = 60000,
                  .on_lost = ON_LOST_FAIL,
                  .repeatable = true},
        .start_at_unix_ms = -5,
        .who = "anonymous",
        .submitted_unix_ms = INT64_MAX,
        .decision = some_decision(),
        .sources = {0, 9999},
        .source_count = 2,
    };
}

static struct run_record some_run(void)
{
    return (struct run_record){
        .state = RUN_SCHEDULED,
        .attempt = 7,
        .failures = 3,
        .losses = 200,
        .order_ms = INT64_MIN,
        .queued_unix_ms = 1700000000000,
        .not_before_unix_ms = 1700000000001,
        .scheduled_for = WAIT_RETRY_BACKOFF,
        .started_unix_ms = 1,
        .ended_unix_ms = -1,
        .pool = "default",
        .error = "exit code 3",
        .cancel_who = "",
    };
}

static struct attempt_record some_attempt(void)
{
    return (struct attempt_record){
        .attempt = UINT32_MAX,
        .pool = "etl",
        .agent = "a1",
        .boot = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
        .outcome = ATTEMPT_RETURNED,
        .leased_unix_ms = 1700000000000,
        .accepted_unix_ms = 2,
        .started_unix_ms = 3,
        .ended_unix_ms = 4,
        .events = UINT64_MAX,
        .log_dropped = 65536,
        .logs_complete = true,
        .error = "not delivered",
        .decision = some_decision(),
    };
}

static struct node_record some_node(void)
{
    return (struct node_record){
        .attempt = 2,
        .state = RUN_NODE_SKIPPED,
        .started_unix_ms = 10,
        .ended_unix_ms = 20,
        .exit_code = -1,
        .rows_in = 1,
        .rows_out = 128,
        .bytes_out = RUN_COUNT_UNKNOWN,
        .rows_rejected = 3,
        .error = "no such table",
    };
}

static void assert_text(const char *a, const char *b)
{
    if (a == NULL || b == NULL)
        assert_ptr_equal(a, b);
    else
        assert_string_equal(a, b);
}

static void assert_decision(const struct decision *a, const struct decision *b)
{
    assert_int_equal(a->candidate_count, b->candidate_count);
    assert_int_equal(a->chosen, b->chosen);
    assert_int_equal(a->reason, b->reason);
    assert_int_equal(a->look_again_ms, b->look_again_ms);
    for (size_t i = 0; i < a->candidate_count; i++) {
        const struct route_candidate *c = &a->candidates[i];
        const struct route_candidate *d = &b->candidates[i];
        assert_string_equal(c->pool, d->pool);
        assert_int_equal(c->verdict, d->verdict);
        assert_int_equal(c->limit, d->limit);
        assert_int_equal(c->used, d->used);
        assert_int_equal(c->agents, d->agents);
        assert_int_equal(c->slots_free, d->slots_free);
        assert_string_equal(c->why, d->why);
    }
}

static void an_origin_is_read_back_as_it_was_written(void **state)
{
    (void)state;
    struct origin wrote = some_origin();
    struct origin *read = NULL;
    void *bytes = NULL;
    size_t len = 0;

    assert_int_equal(origin_encode(&wrote, &bytes, &len), 0);
    assert_int_equal(origin_decode(bytes, len, &read), 0);
    assert_text(read->workflow, wrote.workflow);
    assert_text(read->workflow_id, wrote.workflow_id);
    assert_int_equal(read->shape, wrote.shape);
    assert_int_equal(read->edges_inferred, wrote.edges_inferred);
    assert_int_equal(read->features.nodes, wrote.features.nodes);
    assert_int_equal(read->features.db_nodes, wrote.features.db_nodes);
    assert_int_equal(read->features.transforms, wrote.features.transforms);
    assert_int_equal(read->features.size_bytes, wrote.features.size_bytes);
    assert_int_equal(read->features.size_source, wrote.features.size_source);
    assert_int_equal(read->features.tag_count, wrote.features.tag_count);
    for (size_t i = 0; i < wrote.features.tag_count; i++)
        assert_text(read->features.tags[i], wrote.features.tags[i]);
    assert_text(read->features.requested_pool, wrote.features.requested_pool);
    assert_int_equal(read->source_count, wrote.source_count);
    for (size_t i = 0; i < wrote.source_count; i++)
        assert_int_equal(read->sources[i], wrote.sources[i]);
    assert_text(read->rule, wrote.rule);
    assert_text(read->rule_why, wrote.rule_why);
    assert_text(read->wanted_pool, wrote.wanted_pool);
    assert_int_equal(read->fallback_forbidden, wrote.fallback_forbidden);
    assert_int_equal(read->requires_count, wrote.requires_count);
    for (size_t i = 0; i < wrote.requires_count; i++)
        assert_text(read->requires[i], wrote.requires[i]);
    assert_int_equal(read->priority, wrote.priority);
    assert_int_equal(read->timeout_ms, wrote.timeout_ms);
    assert_int_equal(read->retry.retries, wrote.retry.retries);
    assert_int_equal(read->retry.base_ms, wrote.retry.base_ms);
    assert_int_equal(read->retry.cap_ms, wrote.retry.cap_ms);
    assert_int_equal(read->retry.on_lost, wrote.retry.on_lost);
    assert_int_equal(read->retry.repeatable, wrote.retry.repeatable);
    assert_int_equal(read->start_at_unix_ms, wrote.start_at_unix_ms);
    assert_text(read->who, wrote.who);
    assert_text(read->traceparent, wrote.traceparent);
    assert_int_equal(read->submitted_unix_ms, wrote.submitted_unix_ms);
    assert_decision(&read->decision, &wrote.decision);
    free(read);
    free(bytes);
}

static void a_run_is_read_back_as_it_was_written(void **state)
{
    (void)state;
    struct run_record wrote = some_run();
    struct run_record *read = NULL;
    void *bytes = NULL;
    size_t len = 0;

    assert_int_equal(run_encode(&wrote, &bytes, &len), 0);
    assert_int_equal(run_decode(bytes, len, &read), 0);
    assert_int_equal(read->state, wrote.state);
    assert_int_equal(read->attempt, wrote.attempt);
    assert_int_equal(read->failures, wrote.failures);
    assert_int_equal(read->losses, wrote.losses);
    assert_int_equal(read->order_ms, wrote.order_ms);
    assert_int_equal(read->queued_unix_ms, wrote.queued_unix_ms);
    assert_int_equal(read->not_before_unix_ms, wrote.not_before_unix_ms);
    assert_int_equal(read->scheduled_for, wrote.scheduled_for);
    assert_int_equal(read->started_unix_ms, wrote.started_unix_ms);
    assert_int_equal(read->ended_unix_ms, wrote.ended_unix_ms);
    assert_text(read->pool, wrote.pool);
    assert_text(read->agent, wrote.agent);
    assert_text(read->error, wrote.error);
    assert_text(read->cancel_who, wrote.cancel_who);
    assert_text(read->cancel_reason, wrote.cancel_reason);
    free(read);
    free(bytes);
}

static void an_attempt_is_read_back_as_it_was_written(void **state)
{
    (void)state;
    struct attempt_record wrote = some_attempt();
    struct attempt_record *read = NULL;
    void *bytes = NULL;
    size_t len = 0;

    assert_int_equal(attempt_encode(&wrote, &bytes, &len), 0);
    assert_int_equal(attempt_decode(bytes, len, &read), 0);
    assert_int_equal(read->attempt, wrote.attempt);
    assert_text(read->pool, wrote.pool);
    assert_text(read->agent, wrote.agent);
    assert_memory_equal(read->boot, wrote.boot, sizeof wrote.boot);
    assert_int_equal(read->outcome, wrote.outcome);
    assert_int_equal(read->leased_unix_ms, wrote.leased_unix_ms);
    assert_int_equal(read->accepted_unix_ms, wrote.accepted_unix_ms);
    assert_int_equal(read->started_unix_ms, wrote.started_unix_ms);
    assert_int_equal(read->ended_unix_ms, wrote.ended_unix_ms);
    assert_int_equal(read->events, wrote.events);
    assert_int_equal(read->log_dropped, wrote.log_dropped);
    assert_int_equal(read->logs_complete, wrote.logs_complete);
    assert_text(read->error, wrote.error);
    assert_decision(&read->decision, &wrote.decision);
    free(read);
    free(bytes);
}

static void a_node_and_its_output_are_read_back(void **state)
{
    (void)state;
    struct node_record wrote = some_node();
    struct node_record *read = NULL;
    void *bytes = NULL;
    size_t len = 0;

    assert_int_equal(node_encode(&wrote, &bytes, &len), 0);
    assert_int_equal(node_decode(bytes, len, &read), 0);
    assert_int_equal(read->attempt, wrote.attempt);
    assert_int_equal(read->state, wrote.state);
    assert_int_equal(read->started_unix_ms, wrote.started_unix_ms);
    assert_int_equal(read->ended_unix_ms, wrote.ended_unix_ms);
    assert_int_equal(read->exit_code, wrote.exit_code);
    assert_int_equal(read->rows_in, wrote.rows_in);
    assert_int_equal(read->rows_out, wrote.rows_out);
    assert_int_equal(read->bytes_out, wrote.bytes_out);
    assert_int_equal(read->rows_rejected, wrote.rows_rejected);
    assert_text(read->error, wrote.error);
    free(read);
    free(bytes);

    static const char output[] = "a\0b\xff"; /* any bytes */
    struct log_record log = {.node = 9999,
                             .stream = 2,
                             .at_unix_ms = 5,
                             .text = output,
                             .text_bytes = sizeof output};
    struct log_record *log_read = NULL;
    assert_int_equal(log_encode(&log, &bytes, &len), 0);
    assert_int_equal(log_decode(bytes, len, &log_read), 0);
    assert_int_equal(log_read->node, 9999);
    assert_int_equal(log_read->stream, 2);
    assert_int_equal(log_read->at_unix_ms, 5);
    assert_int_equal(log_read->text_bytes, sizeof output);
    assert_memory_equal(log_read->text, output, sizeof output);
    free(log_read);
    free(bytes);
}

static void a_plan_of_megabytes_is_read_back_in_place(void **state)
{
    (void)state;
    size_t plan_bytes = (size_t)6 << 20;
    char *text = malloc(plan_bytes);
    void *bytes = NULL;
    size_t len = 0;
    struct span plan = {NULL, 0}, parameters = {"x", 1};

    assert_non_null(text);
    memset(text, 'p', plan_bytes);
    assert_int_equal(plan_encode((struct span){text, plan_bytes},
                                 (struct span){NULL, 0}, &bytes, &len),
                     0);
    assert_int_equal(plan_decode(bytes, len, &plan, &parameters), 0);
    assert_int_equal(plan.len, plan_bytes);
    assert_memory_equal(plan.ptr, text, plan_bytes);
    assert_int_equal(parameters.len, 0);
    free(bytes);
    free(text);
}

static void a_record_too_long_to_read_back_is_not_written(void **state)
{
    (void)state;
    size_t plan_bytes = (size_t)17 << 20;
    char *text = calloc(1, plan_bytes);
    void *bytes = NULL;
    size_t len = 0;
    struct origin origin = some_origin();

    assert_non_null(text);
    assert_int_equal(plan_encode((struct span){text, plan_bytes},
                                 (struct span){NULL, 0}, &bytes, &len),
                     -EMSGSIZE);
    free(text);

    origin.requires_count = RUN_REQUIRES_MAX + 1;
    assert_int_equal(origin_encode(&origin, &bytes, &len), -EINVAL);
    origin = some_origin();
    origin.features.tag_count = RUN_TAGS_MAX + 1;
    assert_int_equal(origin_encode(&origin, &bytes, &len), -EINVAL);
    origin = some_origin();
    origin.source_count = RUN_SOURCES_MAX + 1;
    assert_int_equal(origin_encode(&origin, &bytes, &len), -EINVAL);
    assert_null(bytes);
}

/* One of each record, so that damage can be tried on all of them. */

enum { KINDS = 6, UNDECODABLE = -EBADMSG };

static int encode_kind(size_t kind, void **ret, size_t *ret_bytes)
{
    struct origin origin = some_origin();
    struct run_record run = some_run();
    struct attempt_record attempt = some_attempt();
    struct node_record node = some_node();
    struct log_record log = {.stream = 1, .text = "hello", .text_bytes = 5};

    switch (kind) {
    case 0:
        return origin_encode(&origin, ret, ret_bytes);
    case 1:
        return run_encode(&run, ret, ret_bytes);
    case 2:
        return attempt_encode(&attempt, ret, ret_bytes);
    case 3:
        return node_encode(&node, ret, ret_bytes);
    case 4:
        return log_encode(&log, ret, ret_bytes);
    default:
        return plan_encode((struct span){"{}", 2}, (struct span){"{}", 2}, ret,
                           ret_bytes);
    }
}

static int decode_kind(size_t kind, const void *bytes, size_t len)
{
    void *record = NULL;
    struct span plan, parameters;
    int rc;

    switch (kind) {
    case 0:
        rc = origin_decode(bytes, len, (struct origin **)&record);
        break;
    case 1:
        rc = run_decode(bytes, len, (struct run_record **)&record);
        break;
    case 2:
        rc = attempt_decode(bytes, len, (struct attempt_record **)&record);
        break;
    case 3:
        rc = node_decode(bytes, len, (struct node_record **)&record);
        break;
    case 4:
        rc = log_decode(bytes, len, (struct log_record **)&record);
        break;
    default:
        rc = plan_decode(bytes, len, &plan, &parameters);
        break;
    }
    free(record);
    return rc;
}

static void a_record_cut_short_anywhere_is_refused(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < KINDS; kind++) {
        void *bytes = NULL;
        size_t len = 0;
        assert_int_equal(encode_kind(kind, &bytes, &len), 0);
        assert_int_equal(decode_kind(kind, bytes, len), 0);
        for (size_t cut = 0; cut < len; cut++) {
            /* in memory of exactly that size, for the sanitizers */
            void *part = malloc(cut > 0 ? cut : 1);
            assert_non_null(part);
            memcpy(part, bytes, cut);
            assert_int_equal(decode_kind(kind, part, cut), UNDECODABLE);
            free(part);
        }
        free(bytes);
    }
}

static void a_damaged_record_is_refused_or_read_but_never_believed(void **state)
{
    (void)state;
    uint64_t seed = 11;

    for (size_t kind = 0; kind < KINDS; kind++) {
        void *bytes = NULL;
        size_t len = 0;
        assert_int_equal(encode_kind(kind, &bytes, &len), 0);
        for (int round = 0; round < 20000; round++) {
            unsigned char *copy = malloc(len);
            assert_non_null(copy);
            memcpy(copy, bytes, len);
            for (int i = 0; i <= round % 3; i++)
                copy[next_random(&seed) % len] =
                    (unsigned char)next_random(&seed);
            int rc = decode_kind(kind, copy, len);
            assert_true(rc == 0 || rc == -EBADMSG);
            free(copy);
        }
        free(bytes);
    }
}

static void a_record_of_another_kind_is_refused(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < KINDS; kind++) {
        void *bytes = NULL;
        size_t len = 0;
        assert_int_equal(encode_kind(kind, &bytes, &len), 0);
        for (size_t other = 0; other < KINDS; other++) {
            int rc = decode_kind(other, bytes, len);
            assert_int_equal(rc, other == kind ? 0 : -EBADMSG);
        }
        free(bytes);
    }
}

static void trailing_fields_of_a_newer_minor_are_passed_over(void **state)
{
    (void)state;
    /* a log record with three more fields: a map, nested arrays, a float */
    static const unsigned char newer[] = {
        0x98, 0x01, 0x07, 0x01, 0x05, 0xc4, 0x02, 'o',  'k',
        0x81, 0xa1, 'k',  0x92, 0x91, 0xc0, 0xc7, 0x01, 0x05,
        0xaa, 0x90, 0xca, 0,    0,    0,    0};
    struct log_record *log = NULL;

    assert_int_equal(log_decode(newer, sizeof newer, &log), 0);
    assert_int_equal(log->node, 7);
    assert_int_equal(log->text_bytes, 2);
    assert_memory_equal(log->text, "ok", 2);
    free(log);
}

static void a_node_of_before_rows_were_rejected_has_rejected_none(void **state)
{
    (void)state;
    static const unsigned char older[] = {0x9a, 0x01, 0x02, 0x02, 0x0a, 0x14,
                                          0xff, 0x01, 0x02, 0x03, 0xc0};
    struct node_record *node = NULL;

    assert_int_equal(node_decode(older, sizeof older, &node), 0);
    assert_int_equal(node->bytes_out, 3);
    assert_int_equal(node->rows_rejected, 0);
    assert_null(node->error);
    free(node);
}

static void counts_and_versions_that_cannot_be_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {
        {"\xdd\xff\xff\xff\xff\x01", 6},     /* four thousand million */
        {"\xdf\xff\xff\xff\xff\x01", 6},     /* a map */
        {"\x95\x02\x07\x01\x05\xc4\x00", 7}, /* version 2 */
        {"\x95\x01\x07\x01\x05\xc6\xff\xff\xff\xff", 10}, /* 4 GiB of text */
        {"\x95\x01\x07\x01\x05\xc4\x00\xc0", 8},          /* bytes left over */
        {"\x95\x01\x07\x04\x05\xc4\x00", 7},              /* no such stream */
        {"\x95\x01\xff\x01\x05\xc4\x00", 7},              /* node -1 */
        {"\x95\x01\xcf\x01\0\0\0\0\0\0\0\x01\x05\xc4\x00", 15},
        {"\xc1", 1},
        {"", 0},
    };
    struct log_record *log = NULL;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(log_decode(bad[i].bytes, bad[i].len, &log), -EBADMSG);
    assert_null(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_carries_its_time_version_and_variant),
        cmocka_unit_test(ids_grow_while_the_clock_stands_or_steps_back),
        cmocka_unit_test(ids_grow_past_the_counter_of_one_millisecond),
        cmocka_unit_test(an_id_survives_its_text_in_either_case),
        cmocka_unit_test(text_that_is_no_uuid_is_refused),
        cmocka_unit_test(the_legal_moves_are_these_and_no_others),
        cmocka_unit_test(final_states_are_those_that_nothing_leaves),
        cmocka_unit_test(a_slot_is_held_from_the_push_to_the_end),
        cmocka_unit_test(every_state_and_priority_has_a_name_that_parses),
        cmocka_unit_test(every_outcome_and_node_state_has_its_name),
        cmocka_unit_test(an_origin_is_read_back_as_it_was_written),
        cmocka_unit_test(a_run_is_read_back_as_it_was_written),
        cmocka_unit_test(an_attempt_is_read_back_as_it_was_written),
        cmocka_unit_test(a_node_and_its_output_are_read_back),
        cmocka_unit_test(a_plan_of_megabytes_is_read_back_in_place),
        cmocka_unit_test(a_record_too_long_to_read_back_is_not_written),
        cmocka_unit_test(a_record_cut_short_anywhere_is_refused),
        cmocka_unit_test(
            a_damaged_record_is_refused_or_read_but_never_believed),
        cmocka_unit_test(a_record_of_another_kind_is_refused),
        cmocka_unit_test(trailing_fields_of_a_newer_minor_are_passed_over),
        cmocka_unit_test(a_node_of_before_rows_were_rejected_has_rejected_none),
        cmocka_unit_test(counts_and_versions_that_cannot_be_are_refused),
    };
    return cmocka_run_group_tests_name("run", tests, NULL, NULL);
}
