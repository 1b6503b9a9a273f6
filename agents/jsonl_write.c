/* jsonl_write.c - see files.h: writing JSON lines. */
#include "agents/files_inside.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void put_string(struct files_out *out, const char *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef", meant[] = "\n\r\t\"\\",
                      letters[] = "nrt\"\\";
    size_t plain = 0;

    files_out_put_char(out, '"');
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c >= ' ' && c != '"' && c != '\\')
            continue;
        char escape[] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};
        const char *known = c ? strchr(meant, c) : NULL;
        size_t used = known ? 2 : sizeof escape;
        if (known)
            escape[1] = letters[known - meant];
        files_out_put(out, bytes + plain, i - plain);
        files_out_put(out, escape, used);
        plain = i + 1;
    }
    files_out_put(out, bytes + plain, len - plain);
    files_out_put_char(out, '"');
}

/* A decimal's canonical text is a JSON number. */
static bool is_number(const char *text, size_t len)
{
    size_t i = len > 0 && text[0] == '-', digits = 0;
    bool leading = i + 1 < len && text[i] == '0' && text[i + 1] != '.';

    for (; i < len && text[i] >= '0' && text[i] <= '9'; i++)
        digits++;
    if (digits == 0 || leading)
        return false;
    if (i == len)
        return true;
    if (text[i++] != '.' || i == len)
        return false;
    while (i < len && text[i] >= '0' && text[i] <= '9')
        i++;
    return i == len;
}

static int put_bytes(struct files_out *out, const void *bytes, size_t len)
{
    char small[1024], *room = small;
    size_t needed = value_base64_room(len);

    if (needed > sizeof small && !(room = malloc(needed)))
        return -ENOMEM;
    size_t used = value_base64(bytes, len, room);
    files_out_put_char(out, '"');
    files_out_put(out, room, used);
    files_out_put_char(out, '"');
    if (room != small)
        free(room);
    return 0;
}

static int put_value(struct files_out *out, sqlite3_stmt *stmt, int column,
                     enum type type)
{
    char room[VALUE_DOUBLE_ROOM];
    double number;

    switch (sqlite3_column_type(stmt, column)) {
    case SQLITE_NULL:
        files_out_put(out, "null", 4);
        return 0;
    case SQLITE_FLOAT:
        number = sqlite3_column_double(stmt, column);
        size_t len = value_print_double(number, room);
        if (isfinite(number))
            files_out_put(out, room, len);
        else
            put_string(out, room, len); /* JSON has none */
        return 0;
    case SQLITE_BLOB:
        return put_bytes(out, sqlite3_column_blob(stmt, column),
                         (size_t)sqlite3_column_bytes(stmt, column));
    default:
        break;
    }
    if (type == TYPE_BOOLEAN) {
        const char *word =
            sqlite3_column_int64(stmt, column) ? "true" : "false";
        files_out_put(out, word, strlen(word));
        return 0;
    }
    bool bare = sqlite3_column_type(stmt, column) == SQLITE_INTEGER;
    /* This one first: it may make the text that the other counts. */
    const char *text = (const char *)sqlite3_column_text(stmt, column);
    size_t len = (size_t)sqlite3_column_bytes(stmt, column);
    if (!text)
        return -ENOMEM;
    if (bare || (type == TYPE_DECIMAL && is_number(text, len)))
        files_out_put(out, text, len);
    else
        put_string(out, text, len);
    return 0;
}

static enum sink_answer jsonl_begin(struct sink *sink)
{
    return file_sink_open((struct file_sink *)sink);
}

static enum sink_answer jsonl_row(struct sink *sink, sqlite3_stmt *stmt)
{
    struct file_sink *file = (struct file_sink *)sink;
    struct files_out *out = &file->out;

    for (size_t i = 0; i < sink->schema.count; i++) {
        const struct column *column = &sink->schema.columns[i];
        files_out_put_char(out, i > 0 ? ',' : '{');
        put_string(out, column->name, strlen(column->name));
        files_out_put_char(out, ':');
        int rc = put_value(out, stmt, (int)i, column->type);
        if (rc < 0)
            return file_sink_failed(file, rc);
    }
    if (sink->schema.count == 0)
        files_out_put_char(out, '{');
    files_out_put(out, "}\n", 2);
    return file_sink_count(file);
}

static void jsonl_close(struct sink *sink)
{
    struct file_sink *file = (struct file_sink *)sink;

    file_sink_clear(file);
    free(file);
}

int jsonl_sink(const char *root, const json_t *config,
               const struct schema *given, struct sink **ret_sink,
               char error[FILES_ERROR_MAX])
{
    const char *path = "";
    int rc = files_path(config, &path, error);

    if (rc < 0)
        return rc;
    struct file_sink *file = calloc(1, sizeof *file);
    if (!file)
        return files_fail(error, -ENOMEM, "out of memory");
    file->sink.begin = jsonl_begin;
    file->sink.row = jsonl_row;
    file->sink.close = jsonl_close;
    rc = file_sink_init(file, root, path, given, error);
    if (rc < 0) {
        jsonl_close(&file->sink);
        return rc;
    }
    *ret_sink = &file->sink;
    return 0;
}
