/*
 * measure.c - see measure.h. A place is the hash of the workflow's id or name
 * (FNV-1a: it is stored, so it may not change); the record has the id or name
 * itself, which tells whose the place is.
 */
#include "pools/measure.h"

#include "pools/packed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MEASURE_FIELDS = 6, PLACE_BYTES = 4 };

struct record {
    bool by_id;
    const char *name;
    struct measure measure;
};

/* An id and a name that are alike are two workflows. */
static void place_of(bool by_id, const char *name, uint8_t ret[PLACE_BYTES])
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ (by_id ? 1 : 0);

    for (const char *at = name; *at != '\0'; at++)
        hash = (hash ^ (uint8_t)*at) * UINT64_C(0x100000001b3);
    uint32_t place = (uint32_t)((hash ^ hash >> 32) % MEASURE_PLACES);
    for (int i = 0; i < PLACE_BYTES; i++)
        ret[i] = (uint8_t)(place >> (8 * (PLACE_BYTES - 1 - i)));
}

/* ---- what a run read ------------------------------------------------- */

static const struct node_record *node_find(const struct node_record *nodes,
                                           size_t count, uint32_t node)
{
    /* As agents send them they stand in order. */
    if (node < count && nodes[node].node == node)
        return &nodes[node];
    for (size_t i = 0; i < count; i++)
        if (nodes[i].node == node)
            return &nodes[i];
    return NULL;
}

bool measure_of(const struct origin *origin, const struct node_record *nodes,
                size_t node_count, struct measure *ret)
{
    struct measure sum = {0};

    for (size_t i = 0; i < origin->source_count; i++) {
        const struct node_record *node =
            node_find(nodes, node_count, origin->sources[i]);
        if (node == NULL || node->state != RUN_NODE_COMPLETED ||
            node->bytes_out == RUN_COUNT_UNKNOWN)
            return false;
        /* Numbers of an agent: a sum that is no size is no measurement. */
        if (__builtin_add_overflow(sum.bytes, node->bytes_out, &sum.bytes) ||
            sum.bytes > INT64_MAX)
            return false;
        if (node->rows_out == RUN_COUNT_UNKNOWN ||
            sum.rows == RUN_COUNT_UNKNOWN ||
            __builtin_add_overflow(sum.rows, node->rows_out, &sum.rows))
            sum.rows = RUN_COUNT_UNKNOWN;
    }
    if (origin->source_count == 0)
        return false;
    *ret = sum;
    return true;
}

/* ---- the table ------------------------------------------------------- */

static int encode(const struct record *record, void **ret, size_t *ret_bytes)
{
    struct packed_writer w;

    packed_writer_start(&w, MEASURE_FIELDS, 128);
    packed_put_bool(&w, record->by_id);
    packed_put_text(&w, record->name);
    packed_put_uint(&w, record->measure.bytes);
    packed_put_uint(&w, record->measure.rows);
    packed_put_bytes(&w, record->measure.run.b, sizeof record->measure.run.b);
    packed_put_int(&w, record->measure.ended_unix_ms);
    return packed_writer_end(&w, ret, ret_bytes);
}

static int decode(const void *bytes, size_t len, struct record **ret)
{
    struct packed_reader r;

    packed_reader_start(&r, bytes, len, MEASURE_FIELDS);
    if (r.bad)
        return -EBADMSG;
    struct record *record = packed_record(&r, sizeof *record, len);
    if (record == NULL)
        return -ENOMEM;
    record->by_id = packed_bool(&r);
    record->name = packed_text(&r);
    record->measure.bytes = packed_uint(&r, INT64_MAX);
    record->measure.rows = packed_uint(&r, UINT64_MAX);
    struct span run = packed_bytes(&r);
    if (run.len == sizeof record->measure.run.b)
        memcpy(record->measure.run.b, run.ptr, run.len);
    else
        packed_fail(&r);
    record->measure.ended_unix_ms = packed_i64(&r);
    if (packed_reader_end(&r) != 0) {
        free(record);
        return -EBADMSG;
    }
    *ret = record;
    return 0;
}

int measure_write(struct store *store, const struct origin *origin,
                  const struct measure *measure)
{
    struct record record = {
        .by_id = origin->workflow_id != NULL,
        .name = origin->workflow_id != NULL ? origin->workflow_id
                                            : origin->workflow,
        .measure = *measure,
    };
    uint8_t place[PLACE_BYTES];
    void *bytes;
    size_t len;

    int err = encode(&record, &bytes, &len);
    if (err != 0)
        return err;
    place_of(record.by_id, record.name, place);
    err = store_put(store, STORE_MEASURE, place, sizeof place, bytes, len);
    free(bytes);
    return err;
}

int measure_read(struct store_reader *reader, const char *workflow_id,
                 const char *workflow, struct measure *ret)
{
    bool by_id = workflow_id != NULL;
    const char *name = by_id ? workflow_id : workflow;
    struct record *record = NULL;
    uint8_t place[PLACE_BYTES];
    struct store_bytes value;

    place_of(by_id, name, place);
    int err = store_read_begin(reader);
    if (err != 0)
        return err;
    err = store_read(reader, STORE_MEASURE, place, sizeof place, &value);
    if (err == 0 && decode(value.ptr, value.len, &record) != 0)
        err = -ENOENT;
    store_read_end(reader);
    if (err == 0 && (record->by_id != by_id || strcmp(record->name, name) != 0))
        err = -ENOENT;
    if (err == 0)
        *ret = record->measure;
    free(record);
    return err;
}
