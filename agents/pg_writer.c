/*
 * pg_writer.c - a load by COPY FROM STDIN.
 *
 * Plain: lines go out through a buffer of 64 KiB. A COPY ends every 64 MiB and
 * the next one begins, because libpq shows a server's error only at the end of
 * a COPY, and the statement time-out is meant for less than a whole load.
 *
 * Skip: up to BATCH_ROWS lines are kept; each batch is a COPY under a
 * savepoint; what the server refuses is found line by line where it names them,
 * else by halves.
 *
 * Merge: the COPY goes into a temporary table with the target's types, and one
 * INSERT ... ON CONFLICT follows. With skip the temporary table has the key's
 * uniqueness and numbers its rows, and the INSERT goes by ranges of them.
 */
#include "agents/pg_inside.h"

#include "agents/expr.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STAGE "dispatch_stage"
#define UNDO                                                                   \
    "ROLLBACK TO SAVEPOINT dispatch_rows; RELEASE SAVEPOINT dispatch_rows"

enum {
    BUFFER_BYTES = 64 * 1024,
    COPY_BYTES_MAX = 64 * 1024 * 1024,
    BATCH_ROWS = 1000,
    BATCH_BYTES = 4 * 1024 * 1024,
    DRAIN_MAX = 8,
};

static int no_memory(struct pg *pg)
{
    return pg_fail(pg, -ENOMEM, "out of memory");
}

/* ---- opening and beginning
 * --------------------------------------------------- */

int pg_writer_open(struct pg *pg, const struct load *load,
                   struct pg_writer *ret)
{
    struct pg_writer writer = {.pg = pg, .load = load};
    int r = pg_target_find(pg, load, &writer.target);

    if (r)
        return r;
    writer.size = BUFFER_BYTES;
    writer.buf = malloc(writer.size);
    if (load->skip) {
        writer.ends = calloc(BATCH_ROWS, sizeof *writer.ends);
        writer.bad = calloc(BATCH_ROWS, sizeof *writer.bad);
    }
    if (!writer.buf || (load->skip && (!writer.ends || !writer.bad))) {
        pg_writer_close(&writer);
        return no_memory(pg);
    }
    *ret = writer;
    return 0;
}

/* The temporary table of a merge. */
static int make_stage(struct pg_writer *writer)
{
    const struct load *load = writer->load;
    struct text sql = {0}, row = {0};
    size_t at;

    text_add(&sql,
             "CREATE TEMPORARY TABLE " STAGE " ON COMMIT DROP AS SELECT ");
    pg_target_columns(&writer->target, "", &sql);
    text_addf(&sql, " FROM %s WITH NO DATA", writer->target.name);
    if (load->skip) {
        text_add(&row, "dispatch_row");
        while (!row.failed && schema_find(&writer->target.given, row.bytes,
                                          NULL, &at) != -ENOENT)
            text_add(&row, "_");
        if (!row.failed)
            expr_quote_name(row.bytes, &writer->stage_row);
        text_addf(&sql,
                  "; ALTER TABLE pg_temp." STAGE " ADD COLUMN %s bigserial "
                  "PRIMARY KEY; CREATE UNIQUE INDEX ON pg_temp." STAGE " (",
                  writer->stage_row.bytes ? writer->stage_row.bytes : "");
        for (size_t i = 0; i < load->key_count; i++) {
            if (schema_find(&writer->target.given, load->key[i], NULL, &at))
                continue; /* pg_target_find() saw it */
            text_add(&sql, i ? ", " : "");
            expr_quote_name(writer->target.given.columns[at].name, &sql);
        }
        text_add(&sql, ")");
    }
    text_clear(&row);
    return pg_run_text(writer->pg, &sql);
}

static int write_copy(struct pg_writer *writer)
{
    bool merge = writer->load->mode == LOAD_MERGE;

    (void)snprintf(writer->copying_name, sizeof writer->copying_name, "%s",
                   merge ? STAGE : writer->target.table);
    text_addf(&writer->copy, "COPY %s (",
              merge ? "pg_temp." STAGE : writer->target.name);
    pg_target_columns(&writer->target, "", &writer->copy);
    text_add(&writer->copy, ") FROM STDIN");
    return writer->copy.failed ? no_memory(writer->pg) : 0;
}

int pg_writer_begin(struct pg_writer *writer, bool *ret_done)
{
    struct pg *pg = writer->pg;
    const struct load *load = writer->load;
    int r = pg_target_begin(pg, load, &writer->target, ret_done, &writer->rows,
                            &writer->bytes);

    if (r || *ret_done)
        return r;
    writer->begun = true;
    if (load->mode == LOAD_TRUNCATE)
        r = pg_target_truncate(pg, &writer->target);
    if (!r && load->mode == LOAD_MERGE)
        r = make_stage(writer);
    if (!r)
        r = write_copy(writer);
    return r ? pg_writer_abort(writer, r) : 0;
}

/* ---- one COPY
 * ---------------------------------------------------------------- */

static int start_copy(struct pg_writer *writer, uint64_t base)
{
    struct pg *pg = writer->pg;
    int r = 0;

    pg_busy(pg, true);
    PGresult *res = PQexec(pg->conn, writer->copy.bytes);
    if (PQresultStatus(res) != PGRES_COPY_IN) {
        r = pg_take_error(pg, res);
        pg_busy(pg, false);
    }
    PQclear(res);
    if (r)
        return r;
    pg->copying = writer->copying_name;
    pg->copy_base = base;
    writer->copying = true;
    writer->copied = 0;
    return 0;
}

/* give_up: NULL, or what the server is told. */
static int end_copy(struct pg_writer *writer, const char *give_up)
{
    struct pg *pg = writer->pg;
    bool said = PQputCopyEnd(pg->conn, give_up) == 1;
    PGresult *res;
    int r = 0;

    writer->copying = false;
    /* Where even the end could not be sent, libpq may answer COPY_IN for
     * ever. */
    for (int i = 0; i < DRAIN_MAX && (res = PQgetResult(pg->conn)); i++) {
        ExecStatusType status = PQresultStatus(res);
        if (!r && status != PGRES_COMMAND_OK && status != PGRES_COPY_IN)
            r = pg_take_error(pg, res);
        PQclear(res);
    }
    if (!r && !said)
        r = pg_take_error(pg, NULL);
    pg->copying = NULL;
    pg_busy(pg, false);
    return r;
}

static int send_lines(struct pg_writer *writer, const char *bytes, size_t len)
{
    struct pg *pg = writer->pg;

    while (len > 0) {
        int piece = len < COPY_BYTES_MAX ? (int)len : COPY_BYTES_MAX;
        if (PQputCopyData(pg->conn, bytes, piece) != 1) {
            /* The server may have said why before it went. */
            int r = end_copy(writer, "the load was given up");
            return r ? r : pg_take_error(pg, NULL);
        }
        bytes += piece;
        len -= (size_t)piece;
    }
    return 0;
}

static int flush(struct pg_writer *writer)
{
    int r = writer->copying || writer->len == 0
                ? 0
                : start_copy(writer, writer->base);

    if (!r)
        r = send_lines(writer, writer->buf, writer->len);
    if (r)
        return r;
    writer->copied += writer->len;
    writer->bytes += writer->len;
    writer->len = 0;
    return 0;
}

/* ---- batches of skip
 * --------------------------------------------------------- */

/* Is what failed a matter of the row's values (a type's input, a constraint, a
 * trigger that raises, a view's check)? */
static bool is_refusal(const struct pg *pg)
{
    static const char *const classes[] = {"22", "23", "P0", "44"};

    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++)
        if (strncmp(pg->state, classes[i], 2) == 0)
            return true;
    return false;
}

static void reject(struct pg_writer *writer)
{
    if (writer->rejected++ == 0)
        memcpy(writer->refused, writer->pg->error, sizeof writer->refused);
    if (writer->load->refused)
        writer->load->refused(writer->load->context, writer->pg->error);
}

/* Back to before what failed. 1: it was a refusal; else err. */
static int undo(struct pg *pg, int err)
{
    if (!is_refusal(pg))
        return err;
    PGresult *res = PQexec(pg->conn, UNDO);
    bool undone = PQresultStatus(res) == PGRES_COMMAND_OK;
    int r = undone ? 1 : pg_take_error(pg, res);

    PQclear(res);
    return r;
}

static size_t begin_of(const struct pg_writer *writer, size_t row)
{
    return row > 0 ? writer->ends[row - 1] : 0;
}

/* 0: rows lo to hi - 1 of the batch are in; 1: one was refused, none is in. */
static int try_rows(struct pg_writer *writer, size_t lo, size_t hi)
{
    struct pg *pg = writer->pg;
    size_t begin = begin_of(writer, lo), len = writer->ends[hi - 1] - begin;
    int r = pg_run(pg, "SAVEPOINT dispatch_rows");

    if (!r)
        r = start_copy(writer, writer->base + lo);
    if (!r)
        r = send_lines(writer, writer->buf + begin, len);
    if (!r)
        r = end_copy(writer, NULL);
    if (r)
        return undo(pg, r);
    r = pg_run(pg, "RELEASE SAVEPOINT dispatch_rows");
    if (!r) {
        writer->rows += hi - lo;
        writer->bytes += len;
    }
    return r;
}

/* Which rows of the batch are refused is found by trying: all of them, and
 * after a refusal half as many, after a success twice as many. A line that the
 * server names is left out of what follows. */
static int copy_batch(struct pg_writer *writer)
{
    struct pg *pg = writer->pg;
    size_t at = 0, size = writer->count;

    memset(writer->bad, 0, BATCH_ROWS * sizeof *writer->bad);
    while (at < writer->count) {
        size_t end = at + 1;
        if (writer->bad[at]) {
            at++;
            continue;
        }
        while (end < writer->count && end - at < size && !writer->bad[end])
            end++;
        int r = try_rows(writer, at, end);
        if (r < 0)
            return r;
        if (r == 0) {
            at = end;
            if (size < BATCH_ROWS)
                size *= 2;
            continue;
        }
        size_t line = end - at == 1 ? 1 : (size_t)pg->line;
        if (line > 0 && line <= end - at) {
            reject(writer);
            writer->bad[at + line - 1] = true;
        }
        size = (end - at + 1) / 2;
    }
    return 0;
}

static int flush_batch(struct pg_writer *writer)
{
    int r = copy_batch(writer);

    writer->base += writer->count;
    writer->count = 0;
    writer->len = 0;
    return r;
}

/* ---- lines
 * -------------------------------------------------------------------- */

int pg_writer_make_room(struct pg_writer *writer, size_t size)
{
    assert(size <= PG_WRITER_PIECE);
    if (!writer->load->skip)
        return flush(writer);
    char *buf = realloc(writer->buf, writer->size * 2);
    if (!buf)
        return no_memory(writer->pg);
    writer->buf = buf;
    writer->size *= 2;
    return 0;
}

int pg_writer_put(struct pg_writer *writer, const char *bytes, size_t len)
{
    while (len > 0) {
        size_t piece = len < PG_WRITER_PIECE ? len : PG_WRITER_PIECE;
        int r = pg_writer_room(writer, piece);
        if (r)
            return r;
        memcpy(writer->buf + writer->len, bytes, piece);
        writer->len += piece;
        bytes += piece;
        len -= piece;
    }
    return 0;
}

int pg_writer_row(struct pg_writer *writer)
{
    if (writer->load->skip) {
        writer->ends[writer->count++] = writer->len;
        return writer->count == BATCH_ROWS || writer->len >= BATCH_BYTES
                   ? flush_batch(writer)
                   : 0;
    }
    writer->rows++;
    if (writer->copied < COPY_BYTES_MAX)
        return 0;
    int r = flush(writer);
    if (!r)
        r = end_copy(writer, NULL);
    writer->copied = 0;
    writer->base = writer->rows;
    return r;
}

/* ---- committing
 * --------------------------------------------------------------- */

static void write_merge(const struct pg_writer *writer, struct text *sql,
                        const char *where)
{
    text_addf(sql, "INSERT INTO %s (", writer->target.name);
    pg_target_columns(&writer->target, "", sql);
    text_add(sql, ") OVERRIDING SYSTEM VALUE SELECT ");
    pg_target_columns(&writer->target, "", sql);
    text_add(sql, " FROM pg_temp." STAGE);
    text_add(sql, where);
    pg_target_on_conflict(writer->load, &writer->target, sql);
}

static int merge_all(struct pg_writer *writer)
{
    struct text sql = {0};
    uint64_t ignored;

    /* WHERE true: without it ON CONFLICT would be read as a join's ON. */
    write_merge(writer, &sql, " WHERE true");
    int r = sql.failed
                ? no_memory(writer->pg)
                : pg_target_insert(writer->pg, writer->load, &writer->target,
                                   sql.bytes, "pg_temp." STAGE, &ignored);
    text_clear(&sql);
    return r;
}

/* Rows numbered lo to hi - 1 of the stage. As try_rows(). */
static int merge_range(struct pg *pg, const char *sql, uint64_t lo, uint64_t hi)
{
    char from[24], to[24];
    const char *parameters[] = {from, to};

    (void)snprintf(from, sizeof from, "%" PRIu64, lo);
    (void)snprintf(to, sizeof to, "%" PRIu64, hi);
    int r = pg_run(pg, "SAVEPOINT dispatch_rows");
    if (!r)
        r = pg_query(pg, sql, 2, parameters, NULL);
    return r ? undo(pg, r) : pg_run(pg, "RELEASE SAVEPOINT dispatch_rows");
}

/* Rows numbered 1 to max, as copy_batch() does it. */
static int merge_ranges(struct pg_writer *writer, const char *sql, uint64_t max)
{
    uint64_t at = 1, size = BATCH_ROWS;

    while (at <= max) {
        int r = merge_range(writer->pg, sql, at, at + size);
        if (r < 0)
            return r;
        if (r > 0 && size > 1) {
            size = (size + 1) / 2;
            continue;
        }
        if (r > 0) {
            reject(writer);
            writer->rows--;
        }
        at += size;
        if (size < BATCH_ROWS)
            size *= 2;
    }
    return 0;
}

static int merge_skipping(struct pg_writer *writer)
{
    struct pg *pg = writer->pg;
    struct text sql = {0}, last = {0};
    PGresult *res = NULL;
    const char *row = writer->stage_row.bytes;
    uint64_t max = 0;

    text_addf(&last, " WHERE %s >= $1 AND %s < $2", row, row);
    if (!last.failed)
        write_merge(writer, &sql, last.bytes);
    text_reset(&last);
    text_addf(&last, "SELECT coalesce(max(%s), 0) FROM pg_temp." STAGE, row);
    int r = sql.failed || last.failed ? no_memory(pg)
                                      : pg_query(pg, last.bytes, 0, NULL, &res);
    if (!r)
        max = strtoull(PQgetvalue(res, 0, 0), NULL, 10);
    PQclear(res);
    if (!r)
        r = merge_ranges(writer, sql.bytes, max);
    text_clear(&sql);
    text_clear(&last);
    return r;
}

int pg_writer_commit(struct pg_writer *writer)
{
    struct pg *pg = writer->pg;
    const struct load *load = writer->load;
    int r;

    assert(writer->begun);
    if (load->skip) {
        r = flush_batch(writer);
    } else {
        r = flush(writer);
        if (!r && writer->copying)
            r = end_copy(writer, NULL);
    }
    if (!r && load->mode == LOAD_MERGE)
        r = load->skip ? merge_skipping(writer) : merge_all(writer);
    if (r)
        return pg_writer_abort(writer, r);
    writer->begun = false;
    return pg_target_commit(pg, load, &writer->target, writer->rows,
                            writer->bytes);
}

int pg_writer_abort(struct pg_writer *writer, int err)
{
    struct pg *pg = writer->pg;
    char why[PG_ERROR_MAX];

    if (!writer->begun)
        return err;
    writer->begun = false;
    if (writer->copying) {
        memcpy(why, pg->error, sizeof why);
        (void)end_copy(writer, "the load was given up");
        memcpy(pg->error, why, sizeof why);
    }
    return pg_target_abort(pg, err);
}

void pg_writer_close(struct pg_writer *writer)
{
    (void)pg_writer_abort(writer, 0);
    pg_target_clear(&writer->target);
    text_clear(&writer->copy);
    text_clear(&writer->stage_row);
    free(writer->buf);
    free(writer->ends);
    free(writer->bad);
    *writer = (struct pg_writer){0};
}
