/*
 * csv.c - see files.h: reading CSV, from rows (csv_rows.h) to the cells of a
 * feed.
 */
#include "agents/csv_rows.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct csv {
    struct feed feed; /* first: feed_close() frees it by this */
    struct csv_rows rows;
    struct files_rooms rooms;
    char path[VALUE_QUOTED_MAX]; /* for messages */
    char *null;                  /* what stands for NULL, unquoted */
    size_t null_len;
    bool header;
    size_t width;         /* cells a row has; 0: not known yet */
    char **names;         /* of the file's columns, by its header; or NULL */
    size_t *from;         /* which of its cells a column of the schema is */
    enum csv_answer held; /* the first row, read early: next() gives it */
    uint64_t blanks, blank_line;
};

/* ---- rows --------------------------------------------------------------- */

/* "column 3 (qty)" for messages. */
static const char *column_words(const struct csv *csv, size_t index,
                                char to[VALUE_QUOTED_MAX + 40])
{
    char shown[VALUE_QUOTED_MAX];
    int len = snprintf(to, 40, "column %zu", index + 1);

    if (csv->names && index < csv->width)
        snprintf(
            to + len, VALUE_QUOTED_MAX, " %s",
            value_quote(csv->names[index], strlen(csv->names[index]), shown));
    return to;
}

static enum csv_answer bad_cell(struct csv *csv, const char *why)
{
    char words[VALUE_QUOTED_MAX + 40];

    if (files_bad_row(&csv->feed, "%s: line %llu, %s: %s", csv->path,
                      (unsigned long long)csv->rows.line,
                      column_words(csv, csv->rows.count, words), why) < 0)
        return CSV_FATAL;
    return CSV_BAD;
}

static enum csv_answer read_row(struct csv *csv)
{
    enum csv_answer answer = csv_rows_next(&csv->rows);

    if (answer == CSV_FATAL)
        feed_fail(&csv->feed, "%s: line %llu: %s", csv->path,
                  (unsigned long long)csv->rows.line, csv->rows.why);
    return answer == CSV_BAD ? bad_cell(csv, csv->rows.why) : answer;
}

/* ---- from rows to cells ------------------------------------------------- */

static enum csv_answer check_row(struct csv *csv)
{
    char why[80];
    size_t found = csv->rows.count;

    if (found != csv->width) {
        if (files_bad_row(&csv->feed,
                          "%s: line %llu: %zu cells where %zu are expected",
                          csv->path, (unsigned long long)csv->rows.line, found,
                          csv->width) < 0)
            return CSV_FATAL;
        return CSV_BAD;
    }
    if (files_is_plain(csv_rows_bytes(&csv->rows), csv->rows.len))
        return CSV_ROW;
    for (size_t i = 0; i < found; i++) {
        const char *bytes = csv_rows_bytes(&csv->rows) + csv->rows.raw[i].at;
        if (value_utf8(bytes, csv->rows.raw[i].len))
            continue;
        csv->rows.count = i;
        snprintf(why, sizeof why, "%s",
                 memchr(bytes, '\0', csv->rows.raw[i].len)
                     ? "a NUL byte"
                     : "bytes that are not UTF-8");
        return bad_cell(csv, why);
    }
    return CSV_ROW;
}

static enum csv_answer fill_cells(struct csv *csv)
{
    const struct schema *schema = &csv->feed.schema;
    char why[VALUE_WHY_MAX];

    for (size_t i = 0; i < schema->count; i++) {
        const struct csv_raw *raw = &csv->rows.raw[csv->from[i]];
        char *bytes = csv_rows_bytes(&csv->rows) + raw->at;
        struct cell *cell = &csv->feed.cells[i];
        if (!raw->quoted && raw->len == csv->null_len &&
            memcmp(bytes, csv->null, raw->len) == 0) {
            *cell = (struct cell){0};
        } else if (schema->columns[i].type == TYPE_TEXT) {
            *cell = (struct cell){bytes, raw->len};
        } else if (files_cell(&csv->rooms, schema, i, bytes, raw->len, cell,
                              why) < 0) {
            csv->rows.count = csv->from[i];
            return bad_cell(csv, why);
        }
    }
    return CSV_ROW;
}

/* Blank lines that were not the last ones: a row came behind them. */
static enum csv_answer blame_blanks(struct csv *csv)
{
    for (; csv->blanks > 0; csv->blanks--, csv->blank_line++)
        if (files_bad_row(&csv->feed,
                          "%s: line %llu: a blank line where %zu cells are "
                          "expected",
                          csv->path, (unsigned long long)csv->blank_line,
                          csv->width) < 0)
            return CSV_FATAL;
    return CSV_ROW;
}

static int csv_next(struct feed *feed)
{
    struct csv *csv = (struct csv *)feed;

    for (;;) {
        enum csv_answer answer = csv->held ? csv->held : read_row(csv);
        csv->held = CSV_END;
        if (answer == CSV_BLANK && csv->width == 1)
            answer = CSV_ROW;
        if (answer == CSV_BLANK && csv->blanks++ == 0)
            csv->blank_line = csv->rows.line;
        if ((answer == CSV_ROW || answer == CSV_BAD) && csv->blanks > 0 &&
            blame_blanks(csv) == CSV_FATAL)
            answer = CSV_FATAL;
        if (answer == CSV_ROW)
            answer = check_row(csv);
        if (answer == CSV_ROW)
            answer = fill_cells(csv);
        feed->bytes = csv->rows.in.total;
        if (answer == CSV_ROW) {
            feed->rows++;
            return 1;
        }
        if (answer == CSV_END || answer == CSV_FATAL)
            return answer == CSV_END ? 0 : -1;
    }
}

static void csv_close(struct feed *feed)
{
    struct csv *csv = (struct csv *)feed;

    for (size_t i = 0; csv->names && i < csv->width; i++)
        free(csv->names[i]);
    free(csv->names);
    free(csv->from);
    free(csv->null);
    free(feed->cells);
    schema_clear(&feed->schema);
    files_rooms_clear(&csv->rooms);
    csv_rows_close(&csv->rows);
    free(csv);
}

/* ---- opening ------------------------------------------------------------ */

static int read_config(struct csv *csv, const json_t *config,
                       char error[FILES_ERROR_MAX])
{
    struct csv_format format;
    int rc = csv_format_read(config, &format, error);

    if (rc < 0)
        return rc;
    csv->header = format.header;
    csv->null = strdup(format.null);
    csv->null_len = strlen(format.null);
    if (!csv->null)
        return files_fail(error, -ENOMEM, "out of memory");
    csv_rows_format(&csv->rows, &format);
    return 0;
}

/* The first row says how wide the file is, unless `columns` does, and with a
 * header what its columns are called. */
static int read_first(struct csv *csv, char error[FILES_ERROR_MAX])
{
    size_t named = csv->feed.schema.count;
    enum csv_answer answer = read_row(csv);

    if (answer == CSV_FATAL)
        return files_fail(error, -EINVAL, "%s", csv->feed.error);
    if (answer == CSV_END && csv->header)
        return files_fail(error, -EINVAL,
                          "%s is empty, not even a header is there; without "
                          "one, say header: false",
                          csv->path);
    if (answer == CSV_END && named == 0)
        return files_fail(error, -EINVAL,
                          "%s is empty: name its columns in `columns`",
                          csv->path);
    if (answer == CSV_BLANK && csv->header)
        return files_fail(error, -EINVAL,
                          "%s: line 1 is blank where a header is expected",
                          csv->path);
    csv->held = csv->header ? CSV_END : answer;
    csv->width = named > 0 && !csv->header ? named : csv->rows.count;
    if (csv->width > SCHEMA_COLUMNS_MAX)
        return files_fail(error, -EINVAL,
                          "%s: line 1 has %zu cells, at most %d are possible",
                          csv->path, csv->width, SCHEMA_COLUMNS_MAX);
    return 0;
}

static int read_names(struct csv *csv, char error[FILES_ERROR_MAX])
{
    csv->names = calloc(csv->width + 1, sizeof *csv->names);
    if (!csv->names)
        return files_fail(error, -ENOMEM, "out of memory");
    for (size_t i = 0; i < csv->width; i++) {
        const char *bytes = csv_rows_bytes(&csv->rows) + csv->rows.raw[i].at;
        size_t len = csv->rows.raw[i].len;
        char made[32];
        if (!value_utf8(bytes, len))
            return files_fail(error, -EINVAL,
                              "%s: line 1, column %zu: its name is not UTF-8",
                              csv->path, i + 1);
        /* As if there were no header. */
        snprintf(made, sizeof made, "c%zu", i + 1);
        csv->names[i] = len > 0 ? strndup(bytes, len) : strdup(made);
        if (!csv->names[i])
            return files_fail(error, -ENOMEM, "out of memory");
    }
    return 0;
}

/* Every column of the file, under its own name. */
static int take_all(struct csv *csv, char error[FILES_ERROR_MAX])
{
    char made[32], shown[VALUE_QUOTED_MAX];
    size_t index;

    for (size_t i = 0; i < csv->width; i++) {
        snprintf(made, sizeof made, "c%zu", i + 1);
        const char *name = csv->names ? csv->names[i] : made;
        for (size_t j = 0; csv->names && j < i; j++)
            if (strcmp(csv->names[j], name) == 0)
                return files_fail(error, -EINVAL,
                                  "%s: two columns are called %s: say in "
                                  "`columns` which are to be read",
                                  csv->path,
                                  value_quote(name, strlen(name), shown));
        index = csv->feed.schema.count;
        if (!schema_add(&csv->feed.schema, name, TYPE_TEXT))
            return files_fail(error, -ENOMEM, "out of memory");
        csv->from[index] = i;
    }
    return 0;
}

static int take_by_name(struct csv *csv, char error[FILES_ERROR_MAX])
{
    struct schema *wanted = &csv->feed.schema, there = {0};
    char shown[VALUE_QUOTED_MAX], list[200];
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < csv->width; i++)
        if (!schema_add(&there, csv->names[i], TYPE_TEXT))
            rc = files_fail(error, -ENOMEM, "out of memory");
    for (size_t i = 0; rc == 0 && i < wanted->count; i++) {
        const char *name = wanted->columns[i].name;
        rc = schema_find(&there, name, NULL, &csv->from[i]);
        if (rc == 0)
            continue;
        value_quote(name, strlen(name), shown);
        schema_list(&there, list, sizeof list);
        if (rc == -EEXIST)
            files_fail(error, rc, "%s: more than one column is called %s",
                       csv->path, shown);
        else
            files_fail(error, rc, "%s has no column %s; it has %s", csv->path,
                       shown, list);
        rc = -EINVAL;
    }
    schema_clear(&there);
    return rc;
}

static int choose_columns(struct csv *csv, char error[FILES_ERROR_MAX])
{
    struct schema *schema = &csv->feed.schema;
    size_t most = csv->width > schema->count ? csv->width : schema->count;
    int rc = 0;

    csv->from = calloc(most + 1, sizeof *csv->from);
    csv->feed.cells = calloc(most + 1, sizeof *csv->feed.cells);
    if (!csv->from || !csv->feed.cells)
        return files_fail(error, -ENOMEM, "out of memory");
    if (csv->header)
        rc = read_names(csv, error);
    if (rc < 0)
        return rc;
    if (schema->count == 0)
        rc = take_all(csv, error);
    else if (csv->header)
        rc = take_by_name(csv, error);
    else
        for (size_t i = 0; i < schema->count; i++)
            csv->from[i] = i;
    for (size_t i = 0; i < schema->count; i++)
        if (schema->columns[i].type == TYPE_NULL)
            schema->columns[i].type = TYPE_TEXT;
    if (rc == 0 && files_rooms_make(&csv->rooms, schema) < 0)
        rc = files_fail(error, -ENOMEM, "out of memory");
    return rc;
}

static int open_csv(struct csv *csv, const json_t *config,
                    char error[FILES_ERROR_MAX])
{
    int rc = read_config(csv, config, error);
    if (rc == 0)
        rc = files_columns(config, &csv->feed.schema, error);
    if (rc < 0)
        return rc;
    rc = files_in_mark(&csv->rows.in);
    if (rc < 0)
        return files_fail(error, rc, "%s: %s", csv->path, files_in_why(rc));
    rc = read_first(csv, error);
    return rc < 0 ? rc : choose_columns(csv, error);
}

int csv_feed_fd(int fd, const char *path, const json_t *config,
                struct feed **ret_feed, char error[FILES_ERROR_MAX])
{
    struct csv *csv = calloc(1, sizeof *csv);

    if (!csv) {
        close(fd);
        return files_fail(error, -ENOMEM, "out of memory");
    }
    if (csv_rows_open(&csv->rows, fd) < 0) {
        free(csv);
        return files_fail(error, -ENOMEM, "out of memory");
    }
    csv->feed.next = csv_next;
    csv->feed.close = csv_close;
    value_quote(path, strlen(path), csv->path);
    int rc = open_csv(csv, config, error);
    if (rc < 0) {
        csv_close(&csv->feed);
        return rc;
    }
    csv->feed.bytes = csv->rows.in.total;
    csv->feed.error[0] = '\0';
    *ret_feed = &csv->feed;
    return 0;
}

int csv_feed(const char *root, const json_t *config, struct feed **ret_feed,
             char error[FILES_ERROR_MAX])
{
    const char *path = NULL;
    int fd = -1;
    int rc = files_path(config, &path, error);

    if (rc == 0)
        rc = files_open(root, path, &fd, error);
    return rc < 0 ? rc : csv_feed_fd(fd, path, config, ret_feed, error);
}
