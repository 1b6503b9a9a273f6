/*
 * lite_describe.c - what columns a query or a table of a SQLite file has, and
 * of which types; see lite.h.
 */
#include "agents/lite_inside.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum {
    DECIDING_ROWS = 100,
    WORDS_MAX = 64,
    /* A file up to this size may be read for an estimate. */
    ESTIMATE_READ_BYTES_MAX = 16 * 1024 * 1024,
};

/* ---- declared types ------------------------------------------------------ */

/* Lower-case words with one blank between them, without what is in
 * parentheses: that is *ret_a and *ret_b, -1 when missing. */
static void split_type(const char *declared, char words[WORDS_MAX], int *ret_a,
                       int *ret_b)
{
    size_t len = 0;
    int depth = 0, numbers[2] = {-1, -1}, at = 0;

    for (const char *c = declared; *c; c++) {
        if (*c == '(') {
            depth++;
        } else if (*c == ')') {
            depth -= depth > 0;
        } else if (depth > 0) {
            if (*c == ',')
                at++;
            else if (isdigit((unsigned char)*c) && at < 2 &&
                     numbers[at] < INT_MAX / 10 - 1)
                numbers[at] =
                    (numbers[at] < 0 ? 0 : numbers[at]) * 10 + (*c - '0');
        } else if (isspace((unsigned char)*c)) {
            if (len > 0 && words[len - 1] != ' ' && len < WORDS_MAX - 1)
                words[len++] = ' ';
        } else if (len < WORDS_MAX - 1) {
            words[len++] = (char)tolower((unsigned char)*c);
        }
    }
    while (len > 0 && words[len - 1] == ' ')
        len--;
    words[len] = '\0';
    *ret_a = numbers[0];
    *ret_b = numbers[1];
}

static const struct {
    const char *words;
    enum type type;
    int bits;
} TYPE_WORDS[] = {
    {"integer", TYPE_INTEGER, 0},
    {"int", TYPE_INTEGER, 0},
    {"bigint", TYPE_INTEGER, 0},
    {"int8", TYPE_INTEGER, 0},
    {"bigserial", TYPE_INTEGER, 0},
    {"serial", TYPE_INTEGER, 0},
    {"int4", TYPE_INTEGER, 32},
    {"int2", TYPE_INTEGER, 16},
    {"smallint", TYPE_INTEGER, 16},
    {"smallserial", TYPE_INTEGER, 16},
    {"numeric", TYPE_DECIMAL, 0},
    {"decimal", TYPE_DECIMAL, 0},
    {"dec", TYPE_DECIMAL, 0},
    {"number", TYPE_DECIMAL, 0},
    {"money", TYPE_DECIMAL, 0},
    {"real", TYPE_DOUBLE, 0},
    {"float", TYPE_DOUBLE, 0},
    {"float4", TYPE_DOUBLE, 0},
    {"float8", TYPE_DOUBLE, 0},
    {"double", TYPE_DOUBLE, 0},
    {"double precision", TYPE_DOUBLE, 0},
    {"boolean", TYPE_BOOLEAN, 0},
    {"bool", TYPE_BOOLEAN, 0},
    {"date", TYPE_DATE, 0},
    {"timestamp", TYPE_TIMESTAMP, 0},
    {"timestamp without time zone", TYPE_TIMESTAMP, 0},
    {"datetime", TYPE_TIMESTAMP, 0},
    {"datetime2", TYPE_TIMESTAMP, 0},
    {"timestamptz", TYPE_TIMESTAMPTZ, 0},
    {"timestamp with time zone", TYPE_TIMESTAMPTZ, 0},
    {"datetimeoffset", TYPE_TIMESTAMPTZ, 0},
    {"bytea", TYPE_BYTES, 0},
    {"bytes", TYPE_BYTES, 0},
    {"binary", TYPE_BYTES, 0},
    {"varbinary", TYPE_BYTES, 0},
    {"string", TYPE_TEXT, 0},
    {"uuid", TYPE_TEXT, 0},
    {"json", TYPE_TEXT, 0},
    {"jsonb", TYPE_TEXT, 0},
    {"xml", TYPE_TEXT, 0},
    {"time", TYPE_TEXT, 0},
    {"timetz", TYPE_TEXT, 0},
    {"interval", TYPE_TEXT, 0}, /* has "int" in it */
    {"point", TYPE_TEXT, 0},    /* so has this */
    {"inet", TYPE_TEXT, 0},
    {"enum", TYPE_TEXT, 0},
};

/* https://sqlite.org/datatype3.html: by parts of the words, in this order. */
static const struct {
    const char *part;
    enum type type;
    bool numeric;
} AFFINITIES[] = {
    {"int", TYPE_INTEGER, true}, {"char", TYPE_TEXT, false},
    {"clob", TYPE_TEXT, false},  {"text", TYPE_TEXT, false},
    {"blob", TYPE_BYTES, false}, {"real", TYPE_DOUBLE, true},
    {"floa", TYPE_DOUBLE, true}, {"doub", TYPE_DOUBLE, true},
};
enum { AFFINITY_COUNT = sizeof AFFINITIES / sizeof AFFINITIES[0] };

bool lite_numeric_affinity(const char *declared)
{
    if (!declared || !*declared)
        return false;
    for (size_t i = 0; i < AFFINITY_COUNT; i++)
        if (strcasestr(declared, AFFINITIES[i].part))
            return AFFINITIES[i].numeric;
    return true;
}

static enum type type_of_words(const char *words, int *ret_bits)
{
    *ret_bits = 0;
    for (size_t i = 0; i < sizeof TYPE_WORDS / sizeof TYPE_WORDS[0]; i++) {
        if (strcmp(words, TYPE_WORDS[i].words) == 0) {
            *ret_bits = TYPE_WORDS[i].bits;
            return TYPE_WORDS[i].type;
        }
    }
    for (size_t i = 0; i < AFFINITY_COUNT; i++)
        if (strstr(words, AFFINITIES[i].part))
            return AFFINITIES[i].type;
    return TYPE_NULL;
}

void lite_column_type(const char *declared, struct column *ret_column)
{
    char words[WORDS_MAX];
    int a, b;

    split_type(declared ? declared : "", words, &a, &b);
    ret_column->type = type_of_words(words, &ret_column->bits);
    ret_column->precision = ret_column->scale = -1;
    ret_column->length = 0;
    if (ret_column->type == TYPE_DECIMAL && a > 0 && a <= DECIMAL_DIGITS_MAX &&
        b <= a) {
        ret_column->precision = a;
        ret_column->scale = b < 0 ? 0 : b;
    }
    if (ret_column->type == TYPE_TEXT && strstr(words, "char") && a > 0)
        ret_column->length = a;
}

/* ---- queries ------------------------------------------------------------- */

/* What the rows so far say of a column without a declared type. */
struct decision {
    bool integers, reals, texts, blobs;
};

static enum type decide(const struct decision *seen)
{
    int kinds = (seen->integers || seen->reals) + seen->texts + seen->blobs;

    if (kinds != 1 || seen->texts)
        return TYPE_TEXT;
    if (seen->blobs)
        return TYPE_BYTES;
    return seen->reals ? TYPE_DOUBLE : TYPE_INTEGER;
}

static int decide_by_rows(struct lite *lite, sqlite3_stmt *stmt,
                          struct schema *schema)
{
    struct decision *seen;
    bool undecided = false;
    int rc = SQLITE_ROW, err = 0;

    for (size_t i = 0; i < schema->count; i++)
        undecided |= schema->columns[i].type == TYPE_NULL;
    if (!undecided)
        return 0;
    seen = calloc(schema->count, sizeof *seen);
    if (!seen)
        return lite_fail(lite, -ENOMEM, "connection %s: out of memory",
                         lite->name);
    lite_start_clock(lite);
    for (int row = 0; row < DECIDING_ROWS; row++) {
        rc = sqlite3_step(stmt);
        if (rc != SQLITE_ROW)
            break;
        for (size_t i = 0; i < schema->count; i++) {
            int kind = sqlite3_column_type(stmt, (int)i);

            seen[i].integers |= kind == SQLITE_INTEGER;
            seen[i].reals |= kind == SQLITE_FLOAT;
            seen[i].texts |= kind == SQLITE_TEXT;
            seen[i].blobs |= kind == SQLITE_BLOB;
        }
    }
    lite->deadline_ms = 0;
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        err = lite_engine_failed(lite);
    for (size_t i = 0; !err && i < schema->count; i++)
        if (schema->columns[i].type == TYPE_NULL)
            schema->columns[i].type = decide(&seen[i]);
    free(seen);
    return err;
}

static int add_result_column(struct lite *lite, sqlite3_stmt *stmt, int i,
                             struct schema *schema)
{
    const char *name = sqlite3_column_name(stmt, i);
    const char *declared = sqlite3_column_decltype(stmt, i);
    struct column *column;

    if (!name)
        return lite_fail(lite, -ENOMEM, "connection %s: out of memory",
                         lite->name);
    /* To SQLite "Id" and "id" are one name. */
    for (size_t j = 0; j < schema->count; j++)
        if (strcasecmp(schema->columns[j].name, name) == 0)
            return lite_fail(lite, -EINVAL,
                             "connection %s: the query gives two columns "
                             "called \"%.100s\"; give one of them another name "
                             "with AS",
                             lite->name, name);
    column = schema_add(schema, name, TYPE_NULL);
    if (!column)
        return lite_fail(lite, -ENOMEM, "connection %s: out of memory",
                         lite->name);
    lite_column_type(declared, column);
    if (declared && !(column->native = strdup(declared)))
        return lite_fail(lite, -ENOMEM, "connection %s: out of memory",
                         lite->name);
    return 0;
}

static int describe(struct lite *lite, sqlite3_stmt *stmt,
                    struct schema *ret_schema)
{
    struct schema schema = {0};
    int count = sqlite3_column_count(stmt), err = 0;

    if (count > SCHEMA_COLUMNS_MAX)
        return lite_fail(lite, -EINVAL,
                         "connection %s: the query gives more than %d columns",
                         lite->name, SCHEMA_COLUMNS_MAX);
    for (int i = 0; !err && i < count; i++)
        err = add_result_column(lite, stmt, i, &schema);
    if (!err)
        err = decide_by_rows(lite, stmt, &schema);
    if (err)
        schema_clear(&schema);
    else
        *ret_schema = schema;
    return err;
}

int lite_describe(struct lite *lite, const char *sql, bool user_sql,
                  struct schema *ret_schema)
{
    sqlite3_stmt *stmt = NULL;
    int err = user_sql ? lite_prepare_document(lite, sql, &stmt)
                       : lite_prepare(lite, sql, &stmt);

    if (err)
        return err;
    if (!sqlite3_stmt_readonly(stmt))
        err = lite_fail(lite, -EINVAL,
                        "connection %s: the SQL writes; here it may only read "
                        "(a sql node may write)",
                        lite->name);
    else if (sqlite3_column_count(stmt) == 0)
        err = lite_fail(lite, -EINVAL,
                        "connection %s: the SQL gives no rows; it has to be a "
                        "query",
                        lite->name);
    else
        err = describe(lite, stmt, ret_schema);
    sqlite3_finalize(stmt);
    return err;
}

/* ---- tables -------------------------------------------------------------- */

enum { NOT_GENERATED = 0, HIDDEN_OF_VTAB = 1 };

static int add_table_column(struct lite *lite, sqlite3_stmt *stmt,
                            bool without_rowid, int pk_count,
                            struct schema *schema)
{
    const char *name = (const char *)sqlite3_column_text(stmt, 0);
    const char *declared = (const char *)sqlite3_column_text(stmt, 1);
    bool not_null = sqlite3_column_int(stmt, 2) != 0;
    bool has_default = sqlite3_column_int(stmt, 3) != 0;
    bool pk = sqlite3_column_int(stmt, 4) != 0;
    struct column *column;

    column = name ? schema_add(schema, name, TYPE_NULL) : NULL;
    if (!column)
        return lite_fail(lite, -ENOMEM,
                         "connection %s: out of memory, or a table of more "
                         "than %d columns",
                         lite->name, SCHEMA_COLUMNS_MAX);
    lite_column_type(declared, column);
    /* The row id under another name: NULL means the next one. */
    if (pk && pk_count == 1 && !without_rowid && declared &&
        strcasecmp(declared, "INTEGER") == 0)
        has_default = true;
    column->not_null = not_null && !has_default;
    if (declared && *declared && !(column->native = strdup(declared)))
        return lite_fail(lite, -ENOMEM, "connection %s: out of memory",
                         lite->name);
    return 0;
}

/* Is there such a table or view, and a word about its kind. */
static int find_table(struct lite *lite, const char *table, bool *ret_found,
                      bool *ret_without_rowid, int *ret_pk_count)
{
    sqlite3_stmt *stmt;
    int err, rc;

    err = lite_prepare_own(
        lite,
        "SELECT wr, (SELECT count(*) FROM pragma_table_info(?1, 'main') "
        "WHERE pk > 0) FROM pragma_table_list "
        "WHERE schema = 'main' AND name = ?1 COLLATE NOCASE",
        &stmt);
    if (err)
        return err;
    sqlite3_bind_text(stmt, 1, table, -1, SQLITE_STATIC);
    lite->trusted = true; /* the PRAGMAs are prepared when they are read */
    rc = sqlite3_step(stmt);
    lite->trusted = false;
    *ret_found = rc == SQLITE_ROW;
    if (rc == SQLITE_ROW) {
        *ret_without_rowid = sqlite3_column_int(stmt, 0) != 0;
        *ret_pk_count = sqlite3_column_int(stmt, 1);
    } else if (rc != SQLITE_DONE) {
        err = lite_engine_failed(lite);
    }
    sqlite3_finalize(stmt);
    return err;
}

int lite_table_columns(struct lite *lite, const char *table, bool *ret_found,
                       struct schema *ret_schema)
{
    struct schema schema = {0};
    bool without_rowid = false;
    int pk_count = 0, rc;
    sqlite3_stmt *stmt;
    int err = find_table(lite, table, ret_found, &without_rowid, &pk_count);

    if (err || !*ret_found)
        return err;
    err = lite_prepare_own(
        lite,
        "SELECT name, type, \"notnull\", dflt_value IS NOT NULL, pk, hidden "
        "FROM pragma_table_xinfo(?1, 'main')",
        &stmt);
    if (err)
        return err;
    sqlite3_bind_text(stmt, 1, table, -1, SQLITE_STATIC);
    lite->trusted = true;
    while (!err && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
        if (sqlite3_column_int(stmt, 5) == NOT_GENERATED)
            err =
                add_table_column(lite, stmt, without_rowid, pk_count, &schema);
    lite->trusted = false;
    if (!err && rc != SQLITE_DONE)
        err = lite_engine_failed(lite);
    sqlite3_finalize(stmt);
    if (err)
        schema_clear(&schema);
    else
        *ret_schema = schema;
    return err;
}

/* The types of columns that say none, by the first rows. */
static int decide_table(struct lite *lite, const char *table,
                        struct schema *schema)
{
    sqlite3_str *sql = sqlite3_str_new(lite->db);
    sqlite3_stmt *stmt;
    char *text;
    int err;

    for (size_t i = 0; i < schema->count; i++)
        sqlite3_str_appendf(sql, "%s\"%w\"", i ? "," : "SELECT ",
                            schema->columns[i].name);
    sqlite3_str_appendf(sql, " FROM main.\"%w\"", table);
    text = sqlite3_str_finish(sql);
    if (!text)
        return lite_fail(lite, -ENOMEM, "connection %s: out of memory",
                         lite->name);
    err = lite_prepare(lite, text, &stmt);
    sqlite3_free(text);
    if (err)
        return err;
    err = decide_by_rows(lite, stmt, schema);
    sqlite3_finalize(stmt);
    return err;
}

int lite_describe_table(struct lite *lite, const char *table,
                        struct schema *ret_schema)
{
    struct schema schema = {0};
    bool found;
    int err = lite_table_columns(lite, table, &found, &schema);

    if (err)
        return err;
    if (!found)
        return lite_fail(lite, -ENOENT,
                         "connection %s: there is no table \"%.100s\"",
                         lite->name, table);
    if (schema.count > 0)
        err = decide_table(lite, table, &schema);
    if (err)
        schema_clear(&schema);
    else
        *ret_schema = schema;
    return err;
}

/* ---- estimates ----------------------------------------------------------- */

/* One integer each of two columns; what is not there stays as it was. */
static void two_figures(struct lite *lite, const char *sql, const char *table,
                        int64_t *first, int64_t *second)
{
    sqlite3_stmt *stmt;

    if (lite_prepare_own(lite, sql, &stmt) < 0)
        return;
    if (table)
        sqlite3_bind_text(stmt, 1, table, -1, SQLITE_STATIC);
    if (sqlite3_step(stmt) == SQLITE_ROW) {
        if (sqlite3_column_type(stmt, 0) == SQLITE_INTEGER)
            *first = sqlite3_column_int64(stmt, 0);
        if (sqlite3_column_type(stmt, 1) == SQLITE_INTEGER)
            *second = sqlite3_column_int64(stmt, 1);
    }
    sqlite3_finalize(stmt);
}

int lite_estimate(struct lite *lite, const char *table_or_null,
                  int64_t *ret_rows, int64_t *ret_bytes)
{
    struct stat file;
    int64_t rows = -1, bytes = -1, all = -1;

    *ret_rows = *ret_bytes = -1;
    if (stat(lite->path, &file) < 0)
        return 0;
    *ret_bytes = file.st_size;
    if (!table_or_null)
        return 0;
    /* What ANALYZE counted: the first number of any of its lines. */
    two_figures(lite,
                "SELECT max(CASE WHEN tbl = ?1 COLLATE NOCASE "
                "THEN CAST(stat AS INTEGER) END), "
                "(SELECT sum(n) FROM (SELECT max(CAST(stat AS INTEGER)) AS n "
                "FROM sqlite_stat1 GROUP BY tbl)) FROM sqlite_stat1",
                table_or_null, &rows, &all);
    if (rows >= 0 && all > 0) {
        *ret_rows = rows;
        *ret_bytes =
            (int64_t)((double)file.st_size * (double)rows / (double)all);
    } else if (file.st_size <= ESTIMATE_READ_BYTES_MAX) {
        rows = -1;
        two_figures(lite,
                    "SELECT sum(ncell), sum(pgsize) FROM dbstat('main') "
                    "WHERE name = (SELECT name FROM sqlite_schema WHERE "
                    "name = ?1 COLLATE NOCASE) AND pagetype = 'leaf'",
                    table_or_null, &rows, &bytes);
        if (rows >= 0 && bytes >= 0) {
            *ret_rows = rows;
            *ret_bytes = bytes;
        }
    }
    return 0;
}
