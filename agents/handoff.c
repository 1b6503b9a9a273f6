/* handoff.c - see handoff.h. */
#include "agents/handoff.h"

#include "agents/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct handoff_sink {
    struct sink sink;
    sqlite3 *db;
    sqlite3_stmt *insert;
};

struct handoff_feed {
    struct feed feed;
    sqlite3 *db;
    sqlite3_stmt *select;
    char (*numbers)[32]; /* the text of integers and doubles, a cell each */
};

static void path_of(uint32_t node, char *buf, size_t size)
{
    snprintf(buf, size, "dispatch-rows-%u.db", node);
}

/* ---- writing --------------------------------------------------------- */

static int run(struct handoff_sink *h, const char *sql)
{
    return sqlite3_exec(h->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : -EIO;
}

static int make_tables(struct handoff_sink *h)
{
    const struct schema *schema = &h->sink.schema;
    struct text sql = {0};

    text_add(&sql, "CREATE TABLE columns (name, type);"
                   "CREATE TABLE rows (");
    for (size_t i = 0; i < schema->count; i++)
        text_addf(&sql, "%sc%zu", i ? ", " : "", i);
    text_add(&sql, ");");
    for (size_t i = 0; i < schema->count; i++) {
        char *insert = sqlite3_mprintf("INSERT INTO columns VALUES (%Q, %Q);",
                                       schema->columns[i].name,
                                       type_name(schema->columns[i].type));
        text_add(&sql, insert ? insert : "");
        sqlite3_free(insert);
    }
    char *text = text_take(&sql);
    int rc = text ? run(h, text) : -ENOMEM;
    free(text);
    return rc;
}

static enum sink_answer handoff_begin(struct sink *sink)
{
    struct handoff_sink *h = (struct handoff_sink *)sink;
    struct text sql = {0};
    int rc = run(h, "BEGIN");

    if (rc == 0)
        rc = make_tables(h);
    text_add(&sql, "INSERT INTO rows VALUES (");
    for (size_t i = 0; i < sink->schema.count; i++)
        text_add(&sql, i ? ", ?" : "?");
    text_add(&sql, ")");
    char *text = text_take(&sql);
    if (rc == 0 && text &&
        sqlite3_prepare_v2(h->db, text, -1, &h->insert, NULL) != SQLITE_OK)
        rc = -EIO;
    free(text);
    return rc < 0 ? sink_fail(sink, "cannot keep rows for a later node: %s",
                              sqlite3_errmsg(h->db))
                  : SINK_OK;
}

static enum sink_answer handoff_row(struct sink *sink, sqlite3_stmt *stmt)
{
    struct handoff_sink *h = (struct handoff_sink *)sink;

    for (int i = 0; i < (int)sink->schema.count; i++) {
        sqlite3_bind_value(h->insert, i + 1, sqlite3_column_value(stmt, i));
        sink->bytes += (uint64_t)sqlite3_column_bytes(stmt, i);
    }
    int code = sqlite3_step(h->insert);
    sqlite3_reset(h->insert);
    if (code != SQLITE_DONE)
        return sink_fail(sink, "cannot keep rows for a later node: %s",
                         sqlite3_errmsg(h->db));
    sink->rows++;
    return SINK_OK;
}

static enum sink_answer handoff_commit(struct sink *sink)
{
    struct handoff_sink *h = (struct handoff_sink *)sink;

    return run(h, "COMMIT") < 0
               ? sink_fail(sink, "cannot keep rows for a later node: %s",
                           sqlite3_errmsg(h->db))
               : SINK_OK;
}

static void handoff_abort(struct sink *sink)
{
    run((struct handoff_sink *)sink, "ROLLBACK");
}

static void handoff_sink_close(struct sink *sink)
{
    struct handoff_sink *h = (struct handoff_sink *)sink;

    sqlite3_finalize(h->insert);
    sqlite3_close(h->db);
    schema_clear(&sink->schema);
    free(h);
}

int handoff_sink(uint32_t node, const struct schema *schema,
                 struct sink **ret_sink, char error[SINK_ERROR_MAX])
{
    struct handoff_sink *h = calloc(1, sizeof *h);
    char path[64];

    path_of(node, path, sizeof path);
    unlink(path); /* of a process that died half way */
    if (!h || schema_copy(schema, &h->sink.schema) < 0 ||
        sqlite3_open(path, &h->db) != SQLITE_OK) {
        snprintf(error, SINK_ERROR_MAX, "cannot keep rows for a later node");
        if (h)
            handoff_sink_close(&h->sink);
        return -EIO;
    }
    run(h, "PRAGMA journal_mode = MEMORY");
    run(h, "PRAGMA synchronous = OFF"); /* it dies with the run */
    h->sink.begin = handoff_begin;
    h->sink.row = handoff_row;
    h->sink.commit = handoff_commit;
    h->sink.abort = handoff_abort;
    h->sink.close = handoff_sink_close;
    *ret_sink = &h->sink;
    return 0;
}

/* ---- reading --------------------------------------------------------- */

static void set_cell(struct handoff_feed *h, size_t i)
{
    struct cell *cell = &h->feed.cells[i];
    int column = (int)i;

    *cell = (struct cell){0};
    switch (sqlite3_column_type(h->select, column)) {
    case SQLITE_NULL:
        return;
    case SQLITE_INTEGER:
        if (h->feed.schema.columns[i].type == TYPE_BOOLEAN)
            *cell = (struct cell){
                sqlite3_column_int(h->select, column) ? "t" : "f", 1};
        else
            cell->len = (size_t)snprintf(
                h->numbers[i], sizeof *h->numbers, "%lld",
                (long long)sqlite3_column_int64(h->select, column));
        break;
    case SQLITE_FLOAT:
        cell->len = (size_t)snprintf(h->numbers[i], sizeof *h->numbers, "%.17g",
                                     sqlite3_column_double(h->select, column));
        break;
    default: {
        const void *bytes = sqlite3_column_blob(h->select, column);
        cell->bytes = bytes ? bytes : "";
        cell->len = (size_t)sqlite3_column_bytes(h->select, column);
        break;
    }
    }
    if (!cell->bytes)
        cell->bytes = h->numbers[i];
    h->feed.bytes += cell->len;
}

static int handoff_next(struct feed *feed)
{
    struct handoff_feed *h = (struct handoff_feed *)feed;
    int code = sqlite3_step(h->select);

    if (code == SQLITE_DONE)
        return 0;
    if (code != SQLITE_ROW)
        return feed_fail(feed, "cannot read the rows of an earlier node: %s",
                         sqlite3_errmsg(h->db));
    for (size_t i = 0; i < feed->schema.count; i++)
        set_cell(h, i);
    feed->rows++;
    return 1;
}

static void handoff_feed_close(struct feed *feed)
{
    struct handoff_feed *h = (struct handoff_feed *)feed;

    sqlite3_finalize(h->select);
    sqlite3_close(h->db);
    schema_clear(&feed->schema);
    free(feed->cells);
    free(h->numbers);
    free(h);
}

static int read_columns(struct handoff_feed *h)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(h->db,
                                "SELECT name, type FROM columns ORDER BY rowid",
                                -1, &stmt, NULL) == SQLITE_OK
                 ? 0
                 : -EIO;

    while (rc == 0 && sqlite3_step(stmt) == SQLITE_ROW) {
        enum type type;
        const char *name = (const char *)sqlite3_column_text(stmt, 0);
        const char *word = (const char *)sqlite3_column_text(stmt, 1);
        if (!name || !word || !type_find(word, &type) ||
            !schema_add(&h->feed.schema, name, type))
            rc = -EIO;
    }
    sqlite3_finalize(stmt);
    if (rc == 0)
        rc = sqlite3_prepare_v2(h->db, "SELECT * FROM rows ORDER BY rowid", -1,
                                &h->select, NULL) == SQLITE_OK
                 ? 0
                 : -EIO;
    return rc;
}

int handoff_feed(uint32_t node, struct feed **ret_feed,
                 char error[FEED_ERROR_MAX])
{
    struct handoff_feed *h = calloc(1, sizeof *h);
    char path[64];
    int rc = h ? 0 : -ENOMEM;

    path_of(node, path, sizeof path);
    if (rc == 0 &&
        sqlite3_open_v2(path, &h->db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK)
        rc = -EIO;
    if (rc == 0)
        rc = read_columns(h);
    if (rc == 0) {
        h->feed.cells = calloc(h->feed.schema.count + 1, sizeof(struct cell));
        h->numbers = calloc(h->feed.schema.count + 1, sizeof *h->numbers);
        rc = h->feed.cells && h->numbers ? 0 : -ENOMEM;
    }
    if (rc < 0) {
        snprintf(error, FEED_ERROR_MAX,
                 "cannot read the rows of an earlier node");
        if (h)
            handoff_feed_close(&h->feed);
        return rc;
    }
    h->feed.next = handoff_next;
    h->feed.close = handoff_feed_close;
    *ret_feed = &h->feed;
    return 0;
}
