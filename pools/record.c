/*
 * record.c - the records of run.h as bytes: what each consists of. How fields
 * are packed and read is in packed.h, with the rule for changing a record.
 *
 * Every encode function has its decode function beneath it, field by field in
 * the same order.
 */
#include "pools/packed.h"
#include "pools/run.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Fields after the version that a record of version 1 always has. */
enum {
    ORIGIN_FIELDS = 18,
    ORIGIN_FIELDS_NOW = 19, /* with what was appended since */
    RUN_FIELDS = 15,
    ATTEMPT_FIELDS = 14,
    NODE_FIELDS = 9,
    NODE_FIELDS_NOW = 10, /* with what was appended since */
    LOG_FIELDS = 4,
    PLAN_FIELDS = 2,
    FEATURES_FIELDS = 7,
    RETRY_FIELDS = 5,
    DECISION_FIELDS = 4,
    CANDIDATE_FIELDS = 7,
};

/* ---- decisions ---------------------------------------------------------- */

static void decision_write(struct packed_writer *w,
                           const struct decision *decision)
{
    assert(decision->candidate_count <= ROUTE_HOPS_MAX);
    packed_put_array(w, DECISION_FIELDS);
    packed_put_int(w, decision->chosen);
    packed_put_uint(w, decision->reason);
    packed_put_uint(w, decision->look_again_ms);
    packed_put_array(w, decision->candidate_count);
    for (size_t i = 0; i < decision->candidate_count; i++) {
        const struct route_candidate *candidate = &decision->candidates[i];
        packed_put_array(w, CANDIDATE_FIELDS);
        packed_put_text(w, candidate->pool);
        packed_put_uint(w, candidate->verdict);
        packed_put_uint(w, candidate->limit);
        packed_put_uint(w, candidate->used);
        packed_put_uint(w, candidate->agents);
        packed_put_uint(w, candidate->slots_free);
        packed_put_text(w, candidate->why);
    }
}

static void candidate_read(struct packed_reader *r,
                           struct route_candidate *candidate)
{
    size_t outer = packed_enter(r, CANDIDATE_FIELDS, SIZE_MAX);

    packed_text_into(r, candidate->pool, sizeof candidate->pool);
    candidate->verdict = (enum route_verdict)packed_uint(r, ROUTE_NOT_REACHED);
    candidate->limit = packed_u32(r);
    candidate->used = packed_u32(r);
    candidate->agents = packed_u32(r);
    candidate->slots_free = packed_u32(r);
    packed_text_into(r, candidate->why, sizeof candidate->why);
    packed_leave(r, outer);
}

static void decision_read(struct packed_reader *r, struct decision *decision)
{
    size_t outer = packed_enter(r, DECISION_FIELDS, SIZE_MAX);

    decision->chosen = (int)packed_int(r, -1, ROUTE_HOPS_MAX - 1);
    decision->reason = (enum wait_reason)packed_uint(r, WAIT_REASONS - 1);
    decision->look_again_ms = packed_uint(r, UINT64_MAX);
    size_t fields = packed_enter(r, 0, ROUTE_HOPS_MAX);
    decision->candidate_count = r->left;
    for (size_t i = 0; i < decision->candidate_count; i++)
        candidate_read(r, &decision->candidates[i]);
    packed_leave(r, fields);
    if (decision->chosen >= (int)decision->candidate_count)
        packed_fail(r);
    packed_leave(r, outer);
}

/* ---- origin ------------------------------------------------------------- */

static void texts_write(struct packed_writer *w, const char *const *texts,
                        size_t count)
{
    packed_put_array(w, count);
    for (size_t i = 0; i < count; i++)
        packed_put_text(w, texts[i]);
}

/* Returns how many, at most `max`. */
static size_t texts_read(struct packed_reader *r, const char **texts,
                         size_t max)
{
    size_t outer = packed_enter(r, 0, max);
    size_t count = r->left;

    for (size_t i = 0; i < count; i++)
        texts[i] = packed_text(r);
    packed_leave(r, outer);
    return count;
}

static void features_write(struct packed_writer *w,
                           const struct features *features)
{
    packed_put_array(w, FEATURES_FIELDS);
    packed_put_uint(w, features->nodes);
    packed_put_uint(w, features->db_nodes);
    packed_put_uint(w, features->transforms);
    packed_put_int(w, features->size_bytes);
    packed_put_uint(w, features->size_source);
    packed_put_text(w, features->requested_pool);
    texts_write(w, features->tags, features->tag_count);
}

static void features_read(struct packed_reader *r, struct features *features,
                          const char *tags[RUN_TAGS_MAX])
{
    size_t outer = packed_enter(r, FEATURES_FIELDS, SIZE_MAX);

    features->nodes = packed_u32(r);
    features->db_nodes = packed_u32(r);
    features->transforms = packed_u32(r);
    features->size_bytes = packed_int(r, -1, INT64_MAX);
    features->size_source = (enum size_source)packed_uint(r, SIZE_DECLARED);
    features->requested_pool = packed_text_or_null(r);
    features->tag_count = texts_read(r, tags, RUN_TAGS_MAX);
    features->tags = features->tag_count > 0 ? tags : NULL;
    packed_leave(r, outer);
}

static void retry_write(struct packed_writer *w, const struct retry_rule *retry)
{
    packed_put_array(w, RETRY_FIELDS);
    packed_put_uint(w, retry->retries);
    packed_put_uint(w, retry->base_ms);
    packed_put_uint(w, retry->cap_ms);
    packed_put_uint(w, retry->on_lost);
    packed_put_bool(w, retry->repeatable);
}

static void retry_read(struct packed_reader *r, struct retry_rule *retry)
{
    size_t outer = packed_enter(r, RETRY_FIELDS, SIZE_MAX);

    retry->retries = packed_u32(r);
    retry->base_ms = packed_u32(r);
    retry->cap_ms = packed_u32(r);
    retry->on_lost = (enum on_lost)packed_uint(r, ON_LOST_FAIL);
    retry->repeatable = packed_bool(r);
    packed_leave(r, outer);
}

int origin_encode(const struct origin *origin, void **ret, size_t *ret_bytes)
{
    struct packed_writer w;

    if (origin->requires_count > RUN_REQUIRES_MAX ||
        origin->features.tag_count > RUN_TAGS_MAX ||
        origin->source_count > RUN_SOURCES_MAX)
        return -EINVAL;
    packed_writer_start(&w, ORIGIN_FIELDS_NOW, 1024);
    packed_put_text(&w, origin->workflow);
    packed_put_text(&w, origin->workflow_id);
    packed_put_uint(&w, origin->shape);
    packed_put_bool(&w, origin->edges_inferred);
    features_write(&w, &origin->features);
    packed_put_text(&w, origin->rule);
    packed_put_text(&w, origin->rule_why);
    packed_put_text(&w, origin->wanted_pool);
    packed_put_bool(&w, origin->fallback_forbidden);
    texts_write(&w, origin->requires, origin->requires_count);
    packed_put_uint(&w, origin->priority);
    packed_put_uint(&w, origin->timeout_ms);
    retry_write(&w, &origin->retry);
    packed_put_int(&w, origin->start_at_unix_ms);
    packed_put_text(&w, origin->who);
    packed_put_text(&w, origin->traceparent);
    packed_put_int(&w, origin->submitted_unix_ms);
    decision_write(&w, &origin->decision);
    packed_put_array(&w, origin->source_count);
    for (size_t i = 0; i < origin->source_count; i++)
        packed_put_uint(&w, origin->sources[i]);
    return packed_writer_end(&w, ret, ret_bytes);
}

/* Absent in records of before there were any. */
static void sources_read(struct packed_reader *r, struct origin *origin)
{
    if (r->left == 0)
        return;
    size_t outer = packed_enter(r, 0, RUN_SOURCES_MAX);
    origin->source_count = r->left;
    for (size_t i = 0; i < origin->source_count; i++)
        origin->sources[i] = packed_u32(r);
    packed_leave(r, outer);
}

struct origin_box {
    struct origin origin; /* first: freeing it frees the box */
    const char *tags[RUN_TAGS_MAX];
};

int origin_decode(const void *bytes, size_t len, struct origin **ret)
{
    struct packed_reader r;

    packed_reader_start(&r, bytes, len, ORIGIN_FIELDS);
    if (r.bad)
        return -EBADMSG;
    struct origin_box *box = packed_record(&r, sizeof *box, len);
    if (box == NULL)
        return -ENOMEM;

    struct origin *origin = &box->origin;
    origin->workflow = packed_text(&r);
    origin->workflow_id = packed_text_or_null(&r);
    origin->shape = (enum workflow_shape)packed_uint(&r, SHAPE_CONNECTION_V1);
    origin->edges_inferred = packed_bool(&r);
    features_read(&r, &origin->features, box->tags);
    origin->rule = packed_text(&r);
    origin->rule_why = packed_text(&r);
    origin->wanted_pool = packed_text(&r);
    origin->fallback_forbidden = packed_bool(&r);
    origin->requires_count = texts_read(&r, origin->requires, RUN_REQUIRES_MAX);
    origin->priority = (enum run_priority)packed_uint(&r, PRIORITIES - 1);
    origin->timeout_ms = packed_uint(&r, UINT64_MAX);
    retry_read(&r, &origin->retry);
    origin->start_at_unix_ms = packed_i64(&r);
    origin->who = packed_text(&r);
    origin->traceparent = packed_text_or_null(&r);
    origin->submitted_unix_ms = packed_i64(&r);
    decision_read(&r, &origin->decision);
    sources_read(&r, origin);
    if (packed_reader_end(&r) != 0) {
        free(box);
        return -EBADMSG;
    }
    *ret = origin;
    return 0;
}

/* ---- run ---------------------------------------------------------------- */

int run_encode(const struct run_record *run, void **ret, size_t *ret_bytes)
{
    struct packed_writer w;

    packed_writer_start(&w, RUN_FIELDS, 256);
    packed_put_uint(&w, run->state);
    packed_put_uint(&w, run->attempt);
    packed_put_uint(&w, run->failures);
    packed_put_uint(&w, run->losses);
    packed_put_int(&w, run->order_ms);
    packed_put_int(&w, run->queued_unix_ms);
    packed_put_int(&w, run->not_before_unix_ms);
    packed_put_uint(&w, run->scheduled_for);
    packed_put_int(&w, run->started_unix_ms);
    packed_put_int(&w, run->ended_unix_ms);
    packed_put_text(&w, run->pool);
    packed_put_text(&w, run->agent);
    packed_put_text(&w, run->error);
    packed_put_text(&w, run->cancel_who);
    packed_put_text(&w, run->cancel_reason);
    return packed_writer_end(&w, ret, ret_bytes);
}

int run_decode(const void *bytes, size_t len, struct run_record **ret)
{
    struct packed_reader r;

    packed_reader_start(&r, bytes, len, RUN_FIELDS);
    if (r.bad)
        return -EBADMSG;
    struct run_record *run = packed_record(&r, sizeof *run, len);
    if (run == NULL)
        return -ENOMEM;

    run->state = (enum run_state)packed_uint(&r, RUN_STATES - 1);
    run->attempt = packed_u32(&r);
    run->failures = packed_u32(&r);
    run->losses = packed_u32(&r);
    run->order_ms = packed_i64(&r);
    run->queued_unix_ms = packed_i64(&r);
    run->not_before_unix_ms = packed_i64(&r);
    run->scheduled_for = (enum wait_reason)packed_uint(&r, WAIT_REASONS - 1);
    run->started_unix_ms = packed_i64(&r);
    run->ended_unix_ms = packed_i64(&r);
    run->pool = packed_text_or_null(&r);
    run->agent = packed_text_or_null(&r);
    run->error = packed_text_or_null(&r);
    run->cancel_who = packed_text_or_null(&r);
    run->cancel_reason = packed_text_or_null(&r);
    if (packed_reader_end(&r) != 0) {
        free(run);
        return -EBADMSG;
    }
    *ret = run;
    return 0;
}

/* ---- attempt ------------------------------------------------------------ */

int attempt_encode(const struct attempt_record *attempt, void **ret,
                   size_t *ret_bytes)
{
    struct packed_writer w;

    packed_writer_start(&w, ATTEMPT_FIELDS, 512);
    packed_put_uint(&w, attempt->attempt);
    packed_put_text(&w, attempt->pool);
    packed_put_text(&w, attempt->agent);
    packed_put_bytes(&w, attempt->boot, sizeof attempt->boot);
    packed_put_uint(&w, attempt->outcome);
    packed_put_int(&w, attempt->leased_unix_ms);
    packed_put_int(&w, attempt->accepted_unix_ms);
    packed_put_int(&w, attempt->started_unix_ms);
    packed_put_int(&w, attempt->ended_unix_ms);
    packed_put_uint(&w, attempt->events);
    packed_put_uint(&w, attempt->log_dropped);
    packed_put_bool(&w, attempt->logs_complete);
    packed_put_text(&w, attempt->error);
    decision_write(&w, &attempt->decision);
    return packed_writer_end(&w, ret, ret_bytes);
}

int attempt_decode(const void *bytes, size_t len, struct attempt_record **ret)
{
    struct packed_reader r;

    packed_reader_start(&r, bytes, len, ATTEMPT_FIELDS);
    if (r.bad)
        return -EBADMSG;
    struct attempt_record *attempt = packed_record(&r, sizeof *attempt, len);
    if (attempt == NULL)
        return -ENOMEM;

    attempt->attempt = packed_u32(&r);
    attempt->pool = packed_text(&r);
    attempt->agent = packed_text(&r);
    struct span boot = packed_bytes(&r);
    if (boot.len == sizeof attempt->boot)
        memcpy(attempt->boot, boot.ptr, sizeof attempt->boot);
    else
        packed_fail(&r);
    attempt->outcome =
        (enum attempt_outcome)packed_uint(&r, ATTEMPT_OUTCOMES - 1);
    attempt->leased_unix_ms = packed_i64(&r);
    attempt->accepted_unix_ms = packed_i64(&r);
    attempt->started_unix_ms = packed_i64(&r);
    attempt->ended_unix_ms = packed_i64(&r);
    attempt->events = packed_uint(&r, UINT64_MAX);
    attempt->log_dropped = packed_uint(&r, UINT64_MAX);
    attempt->logs_complete = packed_bool(&r);
    attempt->error = packed_text_or_null(&r);
    decision_read(&r, &attempt->decision);
    if (packed_reader_end(&r) != 0) {
        free(attempt);
        return -EBADMSG;
    }
    *ret = attempt;
    return 0;
}

/* ---- node and log ------------------------------------------------------- */

int node_encode(const struct node_record *node, void **ret, size_t *ret_bytes)
{
    struct packed_writer w;

    packed_writer_start(&w, NODE_FIELDS_NOW, 128);
    packed_put_uint(&w, node->attempt);
    packed_put_uint(&w, node->state);
    packed_put_int(&w, node->started_unix_ms);
    packed_put_int(&w, node->ended_unix_ms);
    packed_put_int(&w, node->exit_code);
    packed_put_uint(&w, node->rows_in);
    packed_put_uint(&w, node->rows_out);
    packed_put_uint(&w, node->bytes_out);
    packed_put_text(&w, node->error);
    packed_put_uint(&w, node->rows_rejected);
    return packed_writer_end(&w, ret, ret_bytes);
}

int node_decode(const void *bytes, size_t len, struct node_record **ret)
{
    struct packed_reader r;

    packed_reader_start(&r, bytes, len, NODE_FIELDS);
    if (r.bad)
        return -EBADMSG;
    struct node_record *node = packed_record(&r, sizeof *node, len);
    if (node == NULL)
        return -ENOMEM;

    node->attempt = packed_u32(&r);
    node->state = (enum run_node_state)packed_uint(&r, RUN_NODE_STATES - 1);
    node->started_unix_ms = packed_i64(&r);
    node->ended_unix_ms = packed_i64(&r);
    node->exit_code = (int32_t)packed_int(&r, INT32_MIN, INT32_MAX);
    node->rows_in = packed_uint(&r, UINT64_MAX);
    node->rows_out = packed_uint(&r, UINT64_MAX);
    node->bytes_out = packed_uint(&r, UINT64_MAX);
    node->error = packed_text_or_null(&r);
    node->rows_rejected = packed_uint(&r, UINT64_MAX);
    if (packed_reader_end(&r) != 0) {
        free(node);
        return -EBADMSG;
    }
    *ret = node;
    return 0;
}

int log_encode(const struct log_record *log, void **ret, size_t *ret_bytes)
{
    struct packed_writer w;

    packed_writer_start(&w, LOG_FIELDS, log->text_bytes + 64);
    packed_put_uint(&w, log->node);
    packed_put_uint(&w, log->stream);
    packed_put_int(&w, log->at_unix_ms);
    packed_put_bytes(&w, log->text, log->text_bytes);
    return packed_writer_end(&w, ret, ret_bytes);
}

int log_decode(const void *bytes, size_t len, struct log_record **ret)
{
    struct packed_reader r;

    packed_reader_start(&r, bytes, len, LOG_FIELDS);
    if (r.bad)
        return -EBADMSG;
    struct log_record *log = packed_record(&r, sizeof *log, len);
    if (log == NULL)
        return -ENOMEM;

    log->node = packed_u32(&r);
    log->stream = (uint8_t)packed_uint(&r, RUN_LOG_STREAMS - 1);
    log->at_unix_ms = packed_i64(&r);
    struct span text = packed_bytes(&r);
    if (packed_reader_end(&r) != 0) {
        free(log);
        return -EBADMSG;
    }
    log->text = text.len > 0 ? memcpy(r.text, text.ptr, text.len) : r.text;
    log->text_bytes = text.len;
    *ret = log;
    return 0;
}

/* ---- plan --------------------------------------------------------------- */

int plan_encode(struct span plan, struct span parameters, void **ret,
                size_t *ret_bytes)
{
    struct packed_writer w;

    packed_writer_start(&w, PLAN_FIELDS, plan.len + parameters.len + 64);
    packed_put_bytes(&w, plan.ptr, plan.len);
    packed_put_bytes(&w, parameters.ptr, parameters.len);
    return packed_writer_end(&w, ret, ret_bytes);
}

int plan_decode(const void *bytes, size_t len, struct span *ret_plan,
                struct span *ret_parameters)
{
    struct packed_reader r;

    packed_reader_start(&r, bytes, len, PLAN_FIELDS);
    struct span plan = packed_bytes(&r);
    struct span parameters = packed_bytes(&r);
    if (packed_reader_end(&r) != 0)
        return -EBADMSG;
    *ret_plan = plan;
    *ret_parameters = parameters;
    return 0;
}
