/*
 * lite_sink.c - a load into a table of a SQLite file: what the target is, and
 * the transaction around the rows (lite_sink_row.c); see lite.h and sink.h.
 *
 * MERGE is INSERT ... ON CONFLICT DO UPDATE. That a key does not come twice in
 * one load is seen by a temp table of the keys given so far, with the types and
 * collations of the target's columns, so that it takes for one key what the
 * target takes for one.
 */
#include "agents/fence.h"
#include "agents/lite_inside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { CREATED_TYPE_MAX = 40 };

/* ---- making it ----------------------------------------------------------- */

static int no_memory(char error[LITE_ERROR_MAX])
{
    snprintf(error, LITE_ERROR_MAX, "out of memory");
    return -ENOMEM;
}

static int engine_said(const struct lite_sink *writer, int err,
                       char error[LITE_ERROR_MAX])
{
    snprintf(error, LITE_ERROR_MAX, "%s", writer->lite->error);
    return err;
}

/* The columns of a table that is there, of those that are given. */
static int match_columns(struct lite_sink *writer, const struct schema *table,
                         char error[LITE_ERROR_MAX])
{
    const struct load *load = writer->load;
    struct schema *schema = &writer->sink.schema;

    for (size_t i = 0; i < load->given->count; i++) {
        const struct column *given = &load->given->columns[i];
        struct column *column;
        char list[200];
        size_t at;
        int err = schema_find(table, given->name, NULL, &at);

        if (err) {
            schema_list(table, list, sizeof list);
            snprintf(error, LITE_ERROR_MAX,
                     "connection %s: table \"%.80s\" has no column \"%.80s\" "
                     "that can be written; it has: %s",
                     writer->lite->name, load->table, given->name, list);
            return -EINVAL;
        }
        for (size_t j = 0; j < i; j++) {
            if (strcmp(schema->columns[j].name, table->columns[at].name) == 0) {
                snprintf(error, LITE_ERROR_MAX,
                         "connection %s: column \"%.80s\" of table \"%.80s\" "
                         "is given twice",
                         writer->lite->name, given->name, load->table);
                return -EINVAL;
            }
        }
        if (schema_add_copy(schema, &table->columns[at]) < 0)
            return no_memory(error);
        column = &schema->columns[schema->count - 1];
        /* A column without a type takes what comes. */
        if (column->type == TYPE_NULL)
            column->type = given->type == TYPE_NULL ? TYPE_TEXT : given->type;
    }
    return 0;
}

static const char *created_type(const struct column *column,
                                char buf[CREATED_TYPE_MAX])
{
    switch (column->type) {
    case TYPE_INTEGER:
        return column->bits == 16 ? "SMALLINT" : "INTEGER";
    case TYPE_DECIMAL:
        if (column->precision <= 0)
            return "NUMERIC";
        snprintf(buf, CREATED_TYPE_MAX, "NUMERIC(%d,%d)", column->precision,
                 column->scale < 0 ? 0 : column->scale);
        return buf;
    case TYPE_DOUBLE:
        return "REAL";
    case TYPE_BOOLEAN:
        return "BOOLEAN";
    case TYPE_DATE:
        return "DATE";
    case TYPE_TIMESTAMP:
        return "TIMESTAMP";
    case TYPE_TIMESTAMPTZ:
        return "TIMESTAMPTZ";
    case TYPE_BYTES:
        return "BLOB";
    case TYPE_TEXT:
        if (column->length <= 0)
            return "TEXT";
        snprintf(buf, CREATED_TYPE_MAX, "VARCHAR(%d)", column->length);
        return buf;
    case TYPE_NULL:
    case TYPES:
        break;
    }
    return "TEXT";
}

/* The columns of a table to be made. */
static int new_columns(struct lite_sink *writer, char error[LITE_ERROR_MAX])
{
    struct schema *schema = &writer->sink.schema;
    char buf[CREATED_TYPE_MAX];

    if (schema_copy(writer->load->given, schema) < 0)
        return no_memory(error);
    for (size_t i = 0; i < schema->count; i++) {
        struct column *column = &schema->columns[i];

        for (size_t j = 0; j < i; j++) {
            if (strcasecmp(schema->columns[j].name, column->name) == 0) {
                snprintf(error, LITE_ERROR_MAX,
                         "connection %s: column \"%.80s\" is given twice, and "
                         "table \"%.80s\" is to be made with it",
                         writer->lite->name, column->name, writer->load->table);
                return -EINVAL;
            }
        }
        if (column->type == TYPE_NULL)
            column->type = TYPE_TEXT;
        column->not_null = false;
        free(column->native);
        column->native = strdup(created_type(column, buf));
        if (!column->native)
            return no_memory(error);
    }
    return 0;
}

static int find_key(struct lite_sink *writer, char error[LITE_ERROR_MAX])
{
    const struct load *load = writer->load;

    if (load->mode != LOAD_MERGE)
        return 0;
    if (load->key_count == 0) {
        snprintf(error, LITE_ERROR_MAX,
                 "a load that merges needs \"key\": the columns that say which "
                 "row is which");
        return -EINVAL;
    }
    writer->key = calloc(load->key_count, sizeof *writer->key);
    if (!writer->key)
        return no_memory(error);
    for (size_t i = 0; i < load->key_count; i++) {
        if (schema_find(&writer->sink.schema, load->key[i], NULL,
                        &writer->key[i]) < 0) {
            snprintf(error, LITE_ERROR_MAX,
                     "the key \"%.80s\" is not among the columns that are "
                     "given",
                     load->key[i]);
            return -EINVAL;
        }
    }
    return 0;
}

/* Opens the file when there is one, and finds out about the table. */
static int find_target(struct lite_sink *writer, char error[LITE_ERROR_MAX])
{
    const struct load *load = writer->load;
    struct schema table = {0};
    bool found = false;
    int err;

    if (strcasecmp(load->table, FENCE_TABLE) == 0) {
        snprintf(error, LITE_ERROR_MAX,
                 "table \"%s\" remembers which loads are in; it cannot be "
                 "loaded itself",
                 load->table);
        return -EINVAL;
    }
    if (load->given->count == 0) {
        snprintf(error, LITE_ERROR_MAX, "a load needs at least one column");
        return -EINVAL;
    }
    err = lite_open_writer(writer->lite, false);
    if (err && !(err == -ENOENT && load->create))
        return engine_said(writer, err, error);
    if (!err) {
        err = lite_table_columns(writer->lite, load->table, &found, &table);
        if (err)
            return engine_said(writer, err, error);
    }
    if (!found && !load->create) {
        snprintf(error, LITE_ERROR_MAX,
                 "connection %s: there is no table \"%.100s\"; a load with "
                 "\"create\" makes it",
                 writer->lite->name, load->table);
        return -ENOENT;
    }
    writer->create = !found;
    err = found ? match_columns(writer, &table, error)
                : new_columns(writer, error);
    schema_clear(&table);
    if (err)
        return err;
    writer->numeric =
        calloc(writer->sink.schema.count, sizeof *writer->numeric);
    if (!writer->numeric)
        return no_memory(error);
    /* ANY in a STRICT table converts nothing; elsewhere it is a word like any
     * other, and taking it for harmless would lose digits. */
    for (size_t i = 0; i < writer->sink.schema.count; i++)
        writer->numeric[i] =
            lite_numeric_affinity(writer->sink.schema.columns[i].native);
    return find_key(writer, error);
}

/* ---- SQL ----------------------------------------------------------------- */

static bool is_key(const struct lite_sink *writer, size_t column)
{
    for (size_t i = 0; writer->key && i < writer->load->key_count; i++)
        if (writer->key[i] == column)
            return true;
    return false;
}

static void append_key(const struct lite_sink *writer, sqlite3_str *sql)
{
    for (size_t i = 0; i < writer->load->key_count; i++)
        sqlite3_str_appendf(sql, "%s\"%w\"", i ? ", " : "",
                            writer->sink.schema.columns[writer->key[i]].name);
}

static int create_table(struct lite_sink *writer)
{
    const struct schema *schema = &writer->sink.schema;
    sqlite3_str *sql = sqlite3_str_new(writer->lite->db);

    sqlite3_str_appendf(sql, "CREATE TABLE main.\"%w\"(", writer->load->table);
    for (size_t i = 0; i < schema->count; i++)
        sqlite3_str_appendf(sql, "%s\"%w\" %s%s", i ? ", " : "",
                            schema->columns[i].name, schema->columns[i].native,
                            is_key(writer, i) ? " NOT NULL" : "");
    if (writer->key) {
        sqlite3_str_appendall(sql, ", PRIMARY KEY(");
        append_key(writer, sql);
        sqlite3_str_appendall(sql, ")");
    }
    sqlite3_str_appendall(sql, ")");
    return lite_execute_own(writer->lite, sqlite3_str_finish(sql));
}

/* Own SQL made by a sqlite3_str, prepared. */
static int prepare_text(struct lite *lite, sqlite3_str *sql,
                        sqlite3_stmt **ret_stmt)
{
    char *text = sqlite3_str_finish(sql);
    int err;

    if (!text)
        return lite_fail(lite, -ENOMEM, "connection %s: out of memory",
                         lite->name);
    err = lite_prepare_own(lite, text, ret_stmt);
    sqlite3_free(text);
    return err;
}

static int prepare_insert(struct lite_sink *writer)
{
    const struct schema *schema = &writer->sink.schema;
    sqlite3_str *sql = sqlite3_str_new(writer->lite->db);
    bool others = false;
    int err;

    sqlite3_str_appendf(sql, "INSERT INTO main.\"%w\"(", writer->load->table);
    for (size_t i = 0; i < schema->count; i++)
        sqlite3_str_appendf(sql, "%s\"%w\"", i ? "," : "",
                            schema->columns[i].name);
    sqlite3_str_appendall(sql, ") VALUES(");
    for (size_t i = 0; i < schema->count; i++)
        sqlite3_str_appendf(sql, "%s?%d", i ? "," : "", (int)i + 1);
    sqlite3_str_appendall(sql, ")");
    if (writer->key) {
        sqlite3_str_appendall(sql, " ON CONFLICT(");
        append_key(writer, sql);
        sqlite3_str_appendall(sql, ") DO ");
        for (size_t i = 0; i < schema->count; i++) {
            if (is_key(writer, i))
                continue;
            sqlite3_str_appendf(sql, "%s\"%w\" = excluded.\"%w\"",
                                others ? ", " : "UPDATE SET ",
                                schema->columns[i].name,
                                schema->columns[i].name);
            others = true;
        }
        if (!others)
            sqlite3_str_appendall(sql, "NOTHING");
    }
    err = prepare_text(writer->lite, sql, &writer->insert);
    if (err && writer->key && strstr(writer->lite->error, "ON CONFLICT")) {
        sqlite3_str *key = sqlite3_str_new(NULL);
        char *text;

        append_key(writer, key);
        text = sqlite3_str_finish(key);
        lite_fail(writer->lite, -EINVAL,
                  "connection %s: table \"%.80s\" has no unique index on "
                  "(%.200s), which merging by it needs: CREATE UNIQUE INDEX "
                  "... makes one",
                  writer->lite->name, writer->load->table, text ? text : "key");
        sqlite3_free(text);
        return -EINVAL;
    }
    return err;
}

/* The temp table of the keys so far. */
static int prepare_keys(struct lite_sink *writer)
{
    const struct load *load = writer->load;
    struct lite *lite = writer->lite;
    sqlite3_str *sql = sqlite3_str_new(lite->db);
    int err;

    sqlite3_str_appendall(sql, "CREATE TEMP TABLE dispatch_keys(");
    for (size_t i = 0; i < load->key_count; i++) {
        const char *name = writer->sink.schema.columns[writer->key[i]].name;
        const char *declared = "", *collation = "BINARY";

        if (sqlite3_table_column_metadata(lite->db, "main", load->table, name,
                                          &declared, &collation, NULL, NULL,
                                          NULL) != SQLITE_OK) {
            sqlite3_free(sqlite3_str_finish(sql));
            return lite_engine_failed(lite);
        }
        /* As a quoted name the type has the affinity of what is in it. */
        sqlite3_str_appendf(sql, "k%d \"%w\" COLLATE \"%w\", ", (int)i,
                            declared && *declared ? declared : "BLOB",
                            collation);
    }
    sqlite3_str_appendall(sql, "UNIQUE(");
    for (size_t i = 0; i < load->key_count; i++)
        sqlite3_str_appendf(sql, "%sk%d", i ? "," : "", (int)i);
    sqlite3_str_appendall(sql, "))");
    err = lite_execute_own(lite, sqlite3_str_finish(sql));
    if (err)
        return err;
    sql = sqlite3_str_new(lite->db);
    sqlite3_str_appendall(sql, "INSERT INTO temp.dispatch_keys VALUES(");
    for (size_t i = 0; i < load->key_count; i++)
        sqlite3_str_appendf(sql, "%s?%d", i ? "," : "", (int)i + 1);
    sqlite3_str_appendall(sql, ")");
    err = prepare_text(lite, sql, &writer->see);
    return err ? err
               : lite_prepare_own(lite,
                                  "DELETE FROM temp.dispatch_keys WHERE "
                                  "rowid = ?1",
                                  &writer->unsee);
}

/* ---- the calls of a sink ------------------------------------------------- */

static void finish_statements(struct lite_sink *writer)
{
    sqlite3_finalize(writer->insert);
    sqlite3_finalize(writer->see);
    sqlite3_finalize(writer->unsee);
    writer->insert = writer->see = writer->unsee = NULL;
}

void lite_sink_abort(struct sink *sink)
{
    struct lite_sink *writer = (struct lite_sink *)sink;

    finish_statements(writer);
    if (writer->begun)
        lite_rollback(writer->lite);
    writer->begun = false;
}

enum sink_answer lite_sink_failed(struct lite_sink *writer)
{
    enum sink_answer answer =
        sink_fail(&writer->sink, "%s", writer->lite->error);

    lite_sink_abort(&writer->sink);
    return answer;
}

static enum sink_answer lite_sink_begin(struct sink *sink)
{
    struct lite_sink *writer = (struct lite_sink *)sink;
    const struct load *load = writer->load;
    bool done = false;
    int err;

    if (!writer->lite->db && lite_open_writer(writer->lite, true) < 0)
        return lite_sink_failed(writer);
    if (lite_begin_write(writer->lite, load, &done, &sink->rows, &sink->bytes) <
        0)
        return lite_sink_failed(writer);
    if (done)
        return SINK_DONE;
    writer->begun = true;
    err = writer->create ? create_table(writer) : 0;
    if (!err && load->mode == LOAD_TRUNCATE && !writer->create)
        err = lite_execute_own(
            writer->lite,
            sqlite3_mprintf("DELETE FROM main.\"%w\"", load->table));
    if (!err)
        err = prepare_insert(writer);
    if (!err && writer->key)
        err = prepare_keys(writer);
    return err ? lite_sink_failed(writer) : SINK_OK;
}

static enum sink_answer lite_sink_commit(struct sink *sink)
{
    struct lite_sink *writer = (struct lite_sink *)sink;

    if (!writer->begun)
        return sink_fail(sink, "the load has not begun, or has ended");
    finish_statements(writer);
    writer->begun = false; /* lite_commit() rolls back what it cannot commit */
    if (lite_commit(writer->lite, writer->load, sink->rows, sink->bytes) < 0)
        return sink_fail(sink, "%s", writer->lite->error);
    return SINK_OK;
}

static void lite_sink_close(struct sink *sink)
{
    struct lite_sink *writer = (struct lite_sink *)sink;

    lite_sink_abort(sink);
    lite_close(&writer->lite);
    schema_clear(&sink->schema);
    free(writer->numeric);
    free(writer->key);
    free(writer);
}

int lite_sink(const struct connection *connection, uint32_t lock_timeout_ms,
              const struct load *load, struct sink **ret_sink,
              char error[LITE_ERROR_MAX])
{
    struct lite_sink *writer = calloc(1, sizeof *writer);
    int err;

    if (!writer)
        return no_memory(error);
    writer->load = load;
    writer->lite = lite_new(connection, lock_timeout_ms, 0);
    writer->sink.begin = lite_sink_begin;
    writer->sink.row = lite_sink_row;
    writer->sink.commit = lite_sink_commit;
    writer->sink.abort = lite_sink_abort;
    writer->sink.close = lite_sink_close;
    err = writer->lite ? find_target(writer, error) : no_memory(error);
    if (err) {
        lite_sink_close(&writer->sink);
        return err;
    }
    *ret_sink = &writer->sink;
    return 0;
}
