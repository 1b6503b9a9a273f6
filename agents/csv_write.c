/* csv_write.c - see files.h: what CSV looks like, and writing it. */
#include "agents/files_inside.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- the format --------------------------------------------------------- */

static const char *text_of(const json_t *config, const char *key,
                           const char *if_not_said, bool *ok)
{
    const json_t *value = json_object_get(config, key);

    if (!value || json_is_null(value))
        return if_not_said;
    const char *text = json_string_value(value);
    if (!text || strlen(text) != json_string_length(value) ||
        strpbrk(text, "\r\n"))
        *ok = false;
    return text ? text : if_not_said;
}

/* Values would be full of letters and digits. */
static bool is_mark(const char *text)
{
    return text[0] > 0 && !text[1] && !isalnum((unsigned char)text[0]);
}

int csv_format_read(const json_t *config, struct csv_format *ret_format,
                    char error[FILES_ERROR_MAX])
{
    const json_t *header = json_object_get(config, "header");
    bool ok = true;
    const char *delimiter = text_of(config, "delimiter", ",", &ok),
               *quote = text_of(config, "quote", "\"", &ok),
               *null = text_of(config, "null", "", &ok);

    if (strcmp(delimiter, "\\t") == 0 || strcmp(delimiter, "tab") == 0)
        delimiter = "\t";
    if (!ok)
        return files_fail(error, -EINVAL,
                          "delimiter, quote and null are texts of one line");
    if (!is_mark(delimiter))
        return files_fail(
            error, -EINVAL,
            "delimiter is not one ASCII character that is neither "
            "letter nor digit, like ,");
    if (*quote && !is_mark(quote))
        return files_fail(error, -EINVAL,
                          "quote is not one ASCII character that is neither "
                          "letter nor digit, nor \"\" for none");
    if (*quote == *delimiter)
        return files_fail(error, -EINVAL, "delimiter and quote are the same");
    if (strchr(null, *delimiter) || (*quote && strchr(null, *quote)))
        return files_fail(error, -EINVAL,
                          "null has the delimiter or the quote in it");
    if (header && !json_is_null(header) && !json_is_boolean(header))
        return files_fail(error, -EINVAL, "header is neither true nor false");
    *ret_format = (struct csv_format){
        .delimiter = *delimiter,
        .quote = *quote,
        .header = !json_is_false(header),
        .null = null,
    };
    return 0;
}

/* ---- the sink ----------------------------------------------------------- */

struct csv_out {
    struct file_sink file; /* first: sink_close() frees it by this */
    char *null;
    size_t null_len;
    struct csv_format format; /* but null */
    bool marks[256];          /* bytes for which a cell is quoted */
};

static bool needs_quotes(const struct csv_out *csv, const char *bytes,
                         size_t len)
{
    if (len == 0)
        return true; /* else it would be NULL, or a blank line */
    if (len == csv->null_len && memcmp(bytes, csv->null, len) == 0)
        return true;
    /* Blanks, which some readers trim, and a mark, which all drop. */
    if (bytes[0] == ' ' || bytes[len - 1] == ' ' || bytes[0] == '\xef')
        return true;
    for (size_t i = 0; i < len; i++)
        if (csv->marks[(unsigned char)bytes[i]])
            return true;
    return false;
}

static void put_quoted(struct csv_out *csv, const char *bytes, size_t len)
{
    const char quote = csv->format.quote;

    files_out_put_char(&csv->file.out, quote);
    while (len > 0) {
        const char *found = memchr(bytes, quote, len);
        size_t piece = found ? (size_t)(found - bytes) + 1 : len;
        files_out_put(&csv->file.out, bytes, piece);
        if (found)
            files_out_put_char(&csv->file.out, quote);
        bytes += piece;
        len -= piece;
    }
    files_out_put_char(&csv->file.out, quote);
}

/* -1: it needs quotes, and there are none. */
static int put_text(struct csv_out *csv, const char *bytes, size_t len)
{
    if (!needs_quotes(csv, bytes, len)) {
        files_out_put(&csv->file.out, bytes, len);
        return 0;
    }
    if (csv->format.quote) {
        put_quoted(csv, bytes, len);
        return 0;
    }
    /* Without quotes a reader still tells these from anything else. */
    bool same_as_null =
        len == csv->null_len && memcmp(bytes, csv->null, len) == 0;
    for (size_t i = 0; i < len; i++)
        if (csv->marks[(unsigned char)bytes[i]])
            return -1;
    if (same_as_null)
        return -1;
    files_out_put(&csv->file.out, bytes, len);
    return 0;
}

static void put_bytes(struct csv_out *csv, const unsigned char *bytes,
                      size_t len)
{
    static const char digits[] = "0123456789abcdef";

    files_out_put(&csv->file.out, "\\x", 2);
    for (size_t i = 0; i < len; i++) {
        const char pair[] = {digits[bytes[i] >> 4], digits[bytes[i] & 15]};
        files_out_put(&csv->file.out, pair, 2);
    }
}

static int put_value(struct csv_out *csv, sqlite3_stmt *stmt, int column,
                     enum type type)
{
    char room[VALUE_DOUBLE_ROOM];

    switch (sqlite3_column_type(stmt, column)) {
    case SQLITE_NULL:
        files_out_put(&csv->file.out, csv->null, csv->null_len);
        return 0;
    case SQLITE_FLOAT:
        return put_text(
            csv, room,
            value_print_double(sqlite3_column_double(stmt, column), room));
    case SQLITE_BLOB:
        put_bytes(csv, sqlite3_column_blob(stmt, column),
                  (size_t)sqlite3_column_bytes(stmt, column));
        return 0;
    case SQLITE_INTEGER:
        if (type == TYPE_BOOLEAN)
            return sqlite3_column_int64(stmt, column)
                       ? put_text(csv, "true", 4)
                       : put_text(csv, "false", 5);
        break;
    default:
        break;
    }
    /* This one first: it may make the text that the other counts. */
    const char *text = (const char *)sqlite3_column_text(stmt, column);
    size_t len = (size_t)sqlite3_column_bytes(stmt, column);
    if (!text)
        return -1;
    return put_text(csv, text, len);
}

static enum sink_answer unquotable(struct csv_out *csv, const char *column)
{
    char shown[VALUE_QUOTED_MAX];

    return sink_fail(&csv->file.sink,
                     "%s: row %llu, column %s: a value that would need quotes, "
                     "and quote is \"\"",
                     csv->file.shown,
                     (unsigned long long)csv->file.sink.rows + 1,
                     value_quote(column, strlen(column), shown));
}

static enum sink_answer put_header(struct csv_out *csv)
{
    const struct schema *schema = &csv->file.sink.schema;

    for (size_t i = 0; i < schema->count; i++) {
        const char *name = schema->columns[i].name;
        if (i > 0)
            files_out_put_char(&csv->file.out, csv->format.delimiter);
        if (put_text(csv, name, strlen(name)) < 0)
            return unquotable(csv, name);
    }
    files_out_put_char(&csv->file.out, '\n');
    return SINK_OK;
}

static enum sink_answer csv_begin(struct sink *sink)
{
    struct csv_out *csv = (struct csv_out *)sink;

    if (file_sink_open(&csv->file) == SINK_FAILED)
        return SINK_FAILED;
    return csv->format.header ? put_header(csv) : SINK_OK;
}

static enum sink_answer csv_row(struct sink *sink, sqlite3_stmt *stmt)
{
    struct csv_out *csv = (struct csv_out *)sink;

    for (size_t i = 0; i < sink->schema.count; i++) {
        if (i > 0)
            files_out_put_char(&csv->file.out, csv->format.delimiter);
        if (put_value(csv, stmt, (int)i, sink->schema.columns[i].type) < 0)
            return unquotable(csv, sink->schema.columns[i].name);
    }
    files_out_put_char(&csv->file.out, '\n');
    return file_sink_count(&csv->file);
}

static void csv_close(struct sink *sink)
{
    struct csv_out *csv = (struct csv_out *)sink;

    file_sink_clear(&csv->file);
    free(csv->null);
    free(csv);
}

int csv_sink(const char *root, const json_t *config, const struct schema *given,
             struct sink **ret_sink, char error[FILES_ERROR_MAX])
{
    struct csv_format format = {.null = ""};
    const char *path = "";
    int rc = files_path(config, &path, error);

    if (rc == 0)
        rc = csv_format_read(config, &format, error);
    if (rc < 0)
        return rc;
    struct csv_out *csv = calloc(1, sizeof *csv);
    if (!csv)
        return files_fail(error, -ENOMEM, "out of memory");
    rc = file_sink_init(&csv->file, root, path, given, error);
    csv->null = strdup(format.null);
    if (rc == 0 && !csv->null)
        rc = files_fail(error, -ENOMEM, "out of memory");
    if (rc < 0) {
        csv_close(&csv->file.sink);
        return rc;
    }
    csv->null_len = strlen(format.null);
    csv->format = format;
    csv->format.null = NULL;
    csv->marks['\n'] = csv->marks['\r'] = true;
    csv->marks[(unsigned char)format.delimiter] = true;
    csv->marks[(unsigned char)format.quote] = true;
    csv->file.sink.begin = csv_begin;
    csv->file.sink.row = csv_row;
    csv->file.sink.close = csv_close;
    *ret_sink = &csv->file.sink;
    return 0;
}
