/* pg_sink.c - rows of SQLite as lines of COPY, in a session of their own. */
#include "agents/pg_inside.h"

#include "agents/values.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_ROOM = 32, FIXED_ROOM = 64 };

struct pg_sink {
    struct sink sink; /* first */
    struct pg *pg;
    struct pg_writer writer;
};

/* ---- values
 * -------------------------------------------------------------------- */

/* What stands behind the backslash; 0: the byte stands for itself. */
static const char escapes[256] = {
    ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n',  ['\r'] = 'r',
    ['\t'] = 't', ['\v'] = 'v', ['\\'] = '\\',
};

static int put_text(struct pg_writer *writer, const char *bytes, size_t len)
{
    while (len > 0) {
        /* At worst every byte becomes two. */
        size_t piece = len < PG_WRITER_PIECE / 2 ? len : PG_WRITER_PIECE / 2;
        int r = pg_writer_room(writer, 2 * piece);
        if (r)
            return r;
        char *to = writer->buf + writer->len;
        for (size_t i = 0; i < piece; i++) {
            char escape = escapes[(unsigned char)bytes[i]];
            if (escape) {
                *to++ = '\\';
                *to++ = escape;
            } else {
                *to++ = bytes[i];
            }
        }
        writer->len = (size_t)(to - writer->buf);
        bytes += piece;
        len -= piece;
    }
    return 0;
}

static int put_hex(struct pg_writer *writer, const unsigned char *bytes,
                   size_t len)
{
    static const char digits[] = "0123456789abcdef";
    int r = pg_writer_put(writer, "\\\\x", 3);

    while (!r && len > 0) {
        size_t piece = len < PG_WRITER_PIECE / 2 ? len : PG_WRITER_PIECE / 2;
        r = pg_writer_room(writer, 2 * piece);
        if (r)
            break;
        char *to = writer->buf + writer->len;
        for (size_t i = 0; i < piece; i++) {
            *to++ = digits[bytes[i] >> 4];
            *to++ = digits[bytes[i] & 15];
        }
        writer->len += 2 * piece;
        bytes += piece;
        len -= piece;
    }
    return r;
}

static void put_integer(struct pg_writer *writer, int64_t value)
{
    char digits[NUMBER_ROOM];
    char *at = digits + sizeof digits;
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

    do
        *--at = (char)('0' + left % 10);
    while (left /= 10);
    if (value < 0)
        *--at = '-';
    size_t len = (size_t)(digits + sizeof digits - at);
    memcpy(writer->buf + writer->len, at, len);
    writer->len += len;
}

static int put_value(struct pg_writer *writer, sqlite3_stmt *stmt, int column,
                     enum type type)
{
    /* For all but texts and bytes, which ask for their own. */
    int r = pg_writer_room(writer, FIXED_ROOM);

    if (r)
        return r;
    switch (sqlite3_column_type(stmt, column)) {
    case SQLITE_INTEGER: {
        int64_t value = sqlite3_column_int64(stmt, column);
        if (type == TYPE_BOOLEAN)
            writer->buf[writer->len++] = value ? 't' : 'f';
        else
            put_integer(writer, value);
        return 0;
    }
    case SQLITE_FLOAT: {
        char room[VALUE_DOUBLE_ROOM];
        size_t len =
            value_print_double(sqlite3_column_double(stmt, column), room);
        memcpy(writer->buf + writer->len, room, len);
        writer->len += len;
        return 0;
    }
    case SQLITE_TEXT: {
        const char *text = (const char *)sqlite3_column_text(stmt, column);
        if (!text)
            return pg_fail(writer->pg, -ENOMEM, "out of memory");
        return put_text(writer, text,
                        (size_t)sqlite3_column_bytes(stmt, column));
    }
    case SQLITE_BLOB: {
        const unsigned char *blob = sqlite3_column_blob(stmt, column);
        return put_hex(writer, blob,
                       (size_t)sqlite3_column_bytes(stmt, column));
    }
    default:
        memcpy(writer->buf + writer->len, "\\N", 2);
        writer->len += 2;
        return 0;
    }
}

/* ---- the sink
 * ------------------------------------------------------------------ */

static enum sink_answer answer(struct pg_sink *self, int r)
{
    struct sink *sink = &self->sink;

    sink->rows = self->writer.rows;
    sink->bytes = self->writer.bytes;
    sink->rejected = self->writer.rejected;
    if (r)
        return sink_fail(sink, "%s", pg_error(self->pg));
    if (self->writer.rejected > 0)
        memcpy(sink->error, self->writer.refused, sizeof sink->error);
    return SINK_OK;
}

static enum sink_answer pg_sink_begin(struct sink *sink)
{
    struct pg_sink *self = (struct pg_sink *)sink;
    bool done = false;
    enum sink_answer said = answer(self, pg_writer_begin(&self->writer, &done));

    return said == SINK_OK && done ? SINK_DONE : said;
}

static enum sink_answer pg_sink_row(struct sink *sink, sqlite3_stmt *stmt)
{
    struct pg_sink *self = (struct pg_sink *)sink;
    struct pg_writer *writer = &self->writer;
    const struct schema *schema = &sink->schema;
    int r = 0;

    if (!writer->begun) /* it failed before; error says of what */
        return SINK_FAILED;
    for (size_t i = 0; !r && i < schema->count; i++) {
        r = put_value(writer, stmt, (int)i, schema->columns[i].type);
        if (!r)
            r = pg_writer_room(writer, 1);
        if (!r)
            writer->buf[writer->len++] = i + 1 < schema->count ? '\t' : '\n';
    }
    if (!r)
        r = pg_writer_row(writer);
    return answer(self, r ? pg_writer_abort(writer, r) : 0);
}

static enum sink_answer pg_sink_commit(struct sink *sink)
{
    struct pg_sink *self = (struct pg_sink *)sink;

    return self->writer.begun ? answer(self, pg_writer_commit(&self->writer))
                              : SINK_FAILED;
}

static void pg_sink_abort(struct sink *sink)
{
    struct pg_sink *self = (struct pg_sink *)sink;

    (void)pg_writer_abort(&self->writer, 0);
}

static void pg_sink_close(struct sink *sink)
{
    struct pg_sink *self = (struct pg_sink *)sink;

    if (self->writer.pg)
        pg_writer_close(&self->writer);
    pg_close(&self->pg);
    schema_clear(&sink->schema);
    free(self);
}

int pg_sink(const struct connection *connection, const struct pg_limits *limits,
            const struct load *load, struct sink **ret_sink,
            char error[PG_ERROR_MAX])
{
    char label[128];
    struct pg_sink *self = calloc(1, sizeof *self);
    struct sink *sink;

    *ret_sink = NULL;
    if (!self) {
        (void)snprintf(error, PG_ERROR_MAX, "out of memory");
        return -ENOMEM;
    }
    sink = &self->sink;
    sink->begin = pg_sink_begin;
    sink->row = pg_sink_row;
    sink->commit = pg_sink_commit;
    sink->abort = pg_sink_abort;
    sink->close = pg_sink_close;
    (void)snprintf(label, sizeof label, "%s %s", load->run_id, load->node);
    int r = pg_open(connection, limits, label, &self->pg, error);
    if (!r) {
        r = pg_writer_open(self->pg, load, &self->writer);
        if (!r && schema_copy(&self->writer.target.given, &sink->schema) != 0)
            r = pg_fail(self->pg, -ENOMEM, "out of memory");
        for (size_t i = 0;
             !r && load->mode == LOAD_MERGE && i < load->key_count;
             i++) { /* NULLs are never equal: they would be added each time */
            size_t at;
            if (schema_find(&sink->schema, load->key[i], NULL, &at) == 0)
                sink->schema.columns[at].not_null = true;
        }
        if (r)
            memcpy(error, pg_error(self->pg), PG_ERROR_MAX);
    }
    if (r)
        sink_close(&sink);
    *ret_sink = sink;
    return r;
}
