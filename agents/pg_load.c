/* pg_load.c - loads and statements that run within servers. */
#include "agents/pg_inside.h"

#include "agents/expr.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define KEPT "dispatch_rows_kept"

enum { PROGRESS_MS = 200 };

/* ---- insert_select
 * ------------------------------------------------------------ */

/* Texts are not assigned to other types by themselves: they are read as the
 * type's input function reads them, as COPY would. Anything else is assigned to
 * text, and what else assignment allows is the server's to say. */
static void add_value(const struct column *from, const struct column *to,
                      size_t index, struct text *sql)
{
    text_addf(sql, "%sq.c%zu", index ? ", " : "", index);
    if (pg_is_string(from) && !pg_is_string(to))
        text_addf(sql, "::%s", to->native);
    else if (!pg_is_string(from) && to->type == TYPE_TEXT && pg_is_string(to))
        text_add(sql, "::text");
}

static int check_select(struct pg *pg, const struct load *load,
                        const char *select, struct schema *ret_schema)
{
    int r = pg_describe(pg, select, false, ret_schema);

    if (!r && ret_schema->count != load->given->count)
        r = pg_fail(pg, -EINVAL, "the query gives %zu columns for %zu",
                    ret_schema->count, load->given->count);
    return r;
}

/* (SELECT values FROM (select) q): what is to be inserted, with the names of
 * the target's columns. */
static void write_source(const struct pg_target *target, const char *select,
                         const struct schema *from, struct text *sql)
{
    text_add(sql, "SELECT ");
    for (size_t i = 0; i < from->count; i++) {
        add_value(&from->columns[i], &target->given.columns[i], i, sql);
        text_add(sql, " AS ");
        expr_quote_name(target->given.columns[i].name, sql);
    }
    text_addf(sql, " FROM (\n%s\n) AS q(", select);
    for (size_t i = 0; i < from->count; i++)
        text_addf(sql, "%sc%zu", i ? ", " : "", i);
    text_add(sql, ")");
}

/* Rows of a table that is about to be emptied (nobody may add to it between our
 * reading and our truncation), or that are looked at twice. */
static int keep_rows(struct pg *pg, const struct pg_target *target,
                     enum load_mode mode, const char *source)
{
    struct text sql = {0};

    if (target->exists && mode == LOAD_TRUNCATE)
        text_addf(&sql, "LOCK TABLE %s IN ACCESS EXCLUSIVE MODE; ",
                  target->name);
    text_addf(&sql, "CREATE TEMPORARY TABLE " KEPT " ON COMMIT DROP AS %s",
              source);
    return pg_run_text(pg, &sql);
}

static int insert(struct pg *pg, const struct load *load,
                  const struct pg_target *target, const char *source, bool kept,
                  uint64_t *ret_rows)
{
    struct text sql = {0}, from = {0};

    if (kept)
        text_add(&from, "pg_temp." KEPT);
    else
        text_addf(&from, "(%s)", source);
    text_addf(&sql, "INSERT INTO %s (", target->name);
    pg_target_columns(target, "", &sql);
    text_add(&sql, ") OVERRIDING SYSTEM VALUE SELECT ");
    pg_target_columns(target, "s.", &sql);
    /* WHERE true: without it ON CONFLICT would be read as a join's ON. */
    text_addf(&sql, " FROM %s AS s WHERE true", from.bytes ? from.bytes : "");
    if (load->mode == LOAD_MERGE)
        pg_target_on_conflict(load, target, &sql);
    int r = sql.failed || from.failed
                ? pg_fail(pg, -ENOMEM, "out of memory")
                : pg_target_insert(pg, load, target, sql.bytes, from.bytes,
                                   ret_rows);
    text_clear(&sql);
    text_clear(&from);
    return r;
}

static int insert_select(struct pg *pg, const struct load *load,
                         struct pg_target *target, const char *select,
                         bool reads_target, bool *ret_done, uint64_t *ret_rows)
{
    struct schema from = {0};
    struct text source = {0};
    uint64_t bytes = 0;
    bool kept = (reads_target && load->mode == LOAD_TRUNCATE) ||
                load->mode == LOAD_MERGE;
    int r = check_select(pg, load, select, &from);

    if (!r)
        r = pg_target_begin(pg, load, target, ret_done, ret_rows, &bytes);
    if (r || *ret_done) {
        schema_clear(&from);
        return r;
    }
    write_source(target, select, &from, &source);
    if (source.failed)
        r = pg_fail(pg, -ENOMEM, "out of memory");
    if (!r && kept)
        r = keep_rows(pg, target, load->mode, source.bytes);
    if (!r && load->mode == LOAD_TRUNCATE)
        r = pg_target_truncate(pg, target);
    if (!r)
        r = insert(pg, load, target, source.bytes, kept, ret_rows);
    schema_clear(&from);
    text_clear(&source);
    return r ? pg_target_abort(pg, r)
             : pg_target_commit(pg, load, target, *ret_rows, 0);
}

int pg_insert_select(struct pg *pg, const struct load *load, const char *select,
                     bool reads_target, bool *ret_done, uint64_t *ret_rows)
{
    struct pg_target target = {0};
    bool done = false;
    uint64_t rows = 0;

    assert(!pg->reading);
    if (load->skip)
        return pg_fail(pg, -EINVAL,
                       "rows that the target refuses cannot be skipped within "
                       "one statement");
    int r = pg_target_find(pg, load, &target);
    if (!r)
        r = insert_select(pg, load, &target, select, reads_target, &done,
                          &rows);
    pg_target_clear(&target);
    if (r)
        return r;
    *ret_done = done;
    *ret_rows = rows;
    return 0;
}

/* ---- copy_across
 * --------------------------------------------------------------- */

struct across {
    struct pg *from;
    struct pg_writer writer;
    void (*progress)(void *context, uint64_t rows, uint64_t bytes);
    void *context;
    uint64_t rows, bytes;
    int64_t told_ms;
};

static int64_t now_ms(void)
{
    struct timespec now = {0};

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now); /* asked for each row */
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void tell(struct across *across)
{
    int64_t now = now_ms();

    if (!across->progress || now - across->told_ms < PROGRESS_MS)
        return;
    across->told_ms = now;
    across->progress(across->context, across->rows, across->bytes);
}

/* The error of one side, said in the other's place. */
static int pass_error(struct pg *from, struct pg *to, int err)
{
    memcpy(to->error, from->error, sizeof to->error);
    return err;
}

static int start_out(struct pg *pg, const char *select)
{
    struct text sql = {0};
    int r = 0;

    text_addf(&sql, "COPY (\n%s\n) TO STDOUT", select);
    if (sql.failed)
        return pg_fail(pg, -ENOMEM, "out of memory");
    pg_busy(pg, true);
    PGresult *res = PQexec(pg->conn, sql.bytes);
    if (PQresultStatus(res) != PGRES_COPY_OUT)
        r = pg_take_error(pg, res);
    PQclear(res);
    text_clear(&sql);
    return r;
}

/* Reads on to the end of the COPY. r: of what was before. */
static int end_out(struct pg *pg, int r)
{
    PGresult *res;

    while ((res = PQgetResult(pg->conn))) {
        ExecStatusType status = PQresultStatus(res);
        if (r == 0 && status != PGRES_COMMAND_OK)
            r = pg_take_error(pg, res);
        PQclear(res);
    }
    pg_busy(pg, false);
    return r;
}

/* A COPY whose rows nobody wants any more. */
static void drop_copy(struct pg *pg)
{
    char *row = NULL;
    int len;

    pg_cancel(pg);
    do {
        len = PQgetCopyData(pg->conn, &row, 0);
        PQfreemem(row);
        row = NULL;
    } while (len > 0);
}

static void stop_out(struct pg *pg)
{
    drop_copy(pg);
    (void)end_out(pg, -ECANCELED);
}

static int pump(struct across *across)
{
    struct pg_writer *writer = &across->writer;
    struct pg *from = across->from;
    int r = 0, len;

    for (;;) {
        char *row = NULL;
        len = PQgetCopyData(from->conn, &row, 0);
        if (len < 0)
            break;
        r = pg_writer_put(writer, row, (size_t)len);
        PQfreemem(row);
        if (!r)
            r = pg_writer_row(writer);
        if (r) {
            char why[PG_ERROR_MAX];
            memcpy(why, writer->pg->error, sizeof why);
            stop_out(from);
            memcpy(writer->pg->error, why, sizeof why);
            return r;
        }
        across->rows++;
        across->bytes += (uint64_t)len;
        tell(across);
    }
    r = len == -1 ? 0 : pg_take_error(from, NULL);
    r = end_out(from, r);
    return r ? pass_error(from, writer->pg, r) : 0;
}

static int copy_across(struct across *across, const char *select,
                       bool *ret_done)
{
    struct pg_writer *writer = &across->writer;
    struct pg *from = across->from;
    int r = pg_writer_begin(writer, ret_done);

    if (r || *ret_done)
        return r;
    r = start_out(from, select);
    if (r) {
        pg_busy(from, false);
        r = pass_error(from, writer->pg, r);
    } else {
        r = pump(across);
    }
    return r ? pg_writer_abort(writer, r) : pg_writer_commit(writer);
}

int pg_copy_across(
    struct pg *from, const char *select, struct pg *to, const struct load *load,
    void (*progress)(void *context, uint64_t rows, uint64_t bytes),
    void *context, bool *ret_done, uint64_t *ret_rows, uint64_t *ret_bytes)
{
    struct across across = {
        .from = from, .progress = progress, .context = context};
    bool done = false;

    assert(from != to && from->reading && !from->feeding && !to->reading);
    across.told_ms = now_ms();
    int r = pg_writer_open(to, load, &across.writer);
    if (r)
        return r;
    r = pg_guard(from);
    if (r)
        r = pass_error(from, to, r);
    else
        r = pg_unguard(from, copy_across(&across, select, &done));
    if (!r) {
        *ret_done = done;
        *ret_rows = across.writer.rows;
        *ret_bytes = across.writer.bytes;
    }
    pg_writer_close(&across.writer);
    return r;
}

/* ---- execute
 * -------------------------------------------------------------------- */

/* The first word of a statement, behind blanks and comments. */
static const char *first_word(const char *sql)
{
    for (;;) {
        while (isspace((unsigned char)*sql))
            sql++;
        if (strncmp(sql, "--", 2) == 0) {
            sql += strcspn(sql, "\n");
            continue;
        }
        if (strncmp(sql, "/*", 2) != 0)
            return sql;
        size_t depth = 0; /* they nest */
        do {
            if (strncmp(sql, "/*", 2) == 0) {
                depth++;
                sql += 2;
            } else if (strncmp(sql, "*/", 2) == 0) {
                depth--;
                sql += 2;
            } else if (*sql) {
                sql++;
            }
        } while (depth > 0 && *sql);
    }
}

/* The transaction is ours: with COMMIT as the statement the fence would say
 * that something is in. */
static int check_statement(struct pg *pg, const char *sql)
{
    static const char *const words[] = {"begin",     "start",    "commit",
                                        "end",       "rollback", "abort",
                                        "savepoint", "release"};
    const char *word = first_word(sql);
    size_t len = 0;

    while (isalpha((unsigned char)word[len]))
        len++;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (len == strlen(words[i]) && strncasecmp(word, words[i], len) == 0)
            return pg_fail(pg, -EINVAL,
                           "%s is not for a sql node: each one is a "
                           "transaction of its own",
                           words[i]);
    return 0;
}

static int refuse_copy(struct pg *pg)
{
    return pg_fail(pg, -EINVAL,
                   "COPY from or to the client is not for a sql node");
}

/* Rows come one by one and are counted. */
static int count_rows(struct pg *pg, uint64_t *ret_rows)
{
    uint64_t rows = 0;
    PGresult *res;
    int r = 0;

    while ((res = PQgetResult(pg->conn))) {
        switch (PQresultStatus(res)) {
        case PGRES_SINGLE_TUPLE:
            rows++;
            break;
        case PGRES_TUPLES_OK:
            break;
        case PGRES_COMMAND_OK:
            rows = strtoull(PQcmdTuples(res), NULL, 10);
            break;
        case PGRES_EMPTY_QUERY:
            r = pg_fail(pg, -EINVAL, "there is no statement");
            break;
        case PGRES_COPY_IN:
            r = refuse_copy(pg);
            (void)PQputCopyEnd(pg->conn, "refused");
            break;
        case PGRES_COPY_OUT:
        case PGRES_COPY_BOTH:
            r = refuse_copy(pg);
            drop_copy(pg);
            break;
        default:
            if (!r)
                r = pg_take_error(pg, res);
        }
        PQclear(res);
    }
    if (!r)
        *ret_rows = rows;
    return r;
}

static int run_statement(struct pg *pg, const char *sql, uint64_t *ret_rows)
{
    int r;

    pg_busy(pg, true);
    if (PQsendQueryParams(pg->conn, sql, 0, NULL, NULL, NULL, NULL, 0) != 1) {
        r = pg_take_error(pg, NULL);
    } else {
        (void)PQsetSingleRowMode(pg->conn);
        r = count_rows(pg, ret_rows);
    }
    pg_busy(pg, false);
    return r;
}

int pg_execute(struct pg *pg, const struct load *fence, const char *sql,
               bool *ret_done, uint64_t *ret_rows)
{
    struct pg_target target = {.exists = true};
    const char *schema = fence->schema;
    PGresult *res = NULL;
    uint64_t rows = 0, bytes = 0;
    bool done = false;
    int r = 0;

    assert(!pg->reading);
    if (pg->connection.read_only)
        return pg_fail(pg, -EINVAL,
                       "connection %s is read-only (agent's configuration): "
                       "nothing may be written there",
                       pg->connection.name);
    r = check_statement(pg, sql);
    if (!r)
        r = pg_query(pg, "SELECT coalesce($1, current_schema())", 1, &schema,
                     &res);
    if (!r && PQgetisnull(res, 0, 0))
        r = pg_fail(pg, -EINVAL, "the search_path names no schema");
    if (!r) {
        target.schema = strdup(PQgetvalue(res, 0, 0));
        if (!target.schema)
            r = pg_fail(pg, -ENOMEM, "out of memory");
    }
    PQclear(res);
    if (!r)
        r = pg_target_begin(pg, fence, &target, &done, &rows, &bytes);
    if (!r && !done) {
        r = run_statement(pg, sql, &rows);
        if (!r && PQtransactionStatus(pg->conn) != PQTRANS_INTRANS)
            r = pg_fail(pg, -EINVAL, "the statement ended its transaction");
        r = r ? pg_target_abort(pg, r)
              : pg_target_commit(pg, fence, &target, rows, 0);
    }
    pg_target_clear(&target);
    if (!r) {
        *ret_done = done;
        *ret_rows = rows;
    }
    return r;
}
