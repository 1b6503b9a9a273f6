/*
 * csv_rows.c - see csv_rows.h.
 *
 * Until a row is complete a cell is known by its distance from the row's first
 * byte, since the window moves when more is read.
 *
 * After a row that is malformed, reading goes on behind the end of that line.
 * When a quote is never closed there is no such place, and when a cell is too
 * large nothing says that it is not for that reason: both end the reading,
 * whatever is to be done about bad rows.
 */
#include "agents/csv_rows.h"

#include <errno.h>
#include <stdlib.h>

enum byte { PLAIN = 0, DELIMITER, LINE_END, QUOTE, STOP_EOF };

int csv_rows_open(struct csv_rows *rows, int fd)
{
    int rc = files_in_open(&rows->in, fd);

    rows->line = rows->next_line = 1;
    rows->raw = calloc(SCHEMA_COLUMNS_MAX, sizeof *rows->raw);
    if (rc == 0 && !rows->raw)
        rc = -ENOMEM;
    if (rc < 0)
        csv_rows_close(rows);
    return rc;
}

void csv_rows_format(struct csv_rows *rows, const struct csv_format *format)
{
    rows->quote = format->quote;
    rows->kinds['\n'] = rows->kinds['\r'] = LINE_END;
    rows->kinds[(unsigned char)format->delimiter] = DELIMITER;
    if (format->quote)
        rows->kinds[(unsigned char)format->quote] = QUOTE;
}

void csv_rows_close(struct csv_rows *rows)
{
    files_in_close(&rows->in);
    free(rows->raw);
    rows->raw = NULL;
}

static size_t row_room(const struct csv_rows *rows)
{
    return rows->in.end - rows->in.at;
}

static int more(struct csv_rows *rows)
{
    int rc = files_in_more(&rows->in);

    if (rc < 0)
        rows->why = files_in_why(rc);
    return rc;
}

/* As more(), for a cell of len bytes so far. */
static int more_of_cell(struct csv_rows *rows, size_t len)
{
    if (len <= FILES_CELL_MAX)
        return more(rows);
    rows->why = "a cell is larger than 64 MiB; is a quote not closed?";
    return -1;
}

/* The bytes from *pos_p on that are plain. The byte after them, which is not
 * taken, goes to *ret_stop. */
static int plain_cell(struct csv_rows *rows, size_t *pos_p, enum byte *ret_stop)
{
    size_t start = *pos_p, pos = start;
    const unsigned char *kinds = rows->kinds;
    int rc = 1;

    for (;;) {
        const unsigned char *first =
                                (const unsigned char *)csv_rows_bytes(rows),
                            *at = first + pos, *end = first + row_room(rows);
        while (end - at >= 4 &&
               !(kinds[at[0]] | kinds[at[1]] | kinds[at[2]] | kinds[at[3]]))
            at += 4;
        while (at < end && kinds[*at] == PLAIN)
            at++;
        pos = (size_t)(at - first);
        if (at < end) {
            *ret_stop = (enum byte)kinds[*at];
            break;
        }
        rc = more_of_cell(rows, pos - start);
        if (rc <= 0) {
            *ret_stop = STOP_EOF;
            break;
        }
    }
    *pos_p = pos;
    return rc < 0 ? -1 : 0;
}

/* Line feeds, and carriage returns that stand alone. */
static uint64_t count_lines(const char *bytes, size_t len)
{
    uint64_t lines = 0;

    if (!memchr(bytes, '\n', len) && !memchr(bytes, '\r', len))
        return 0;
    for (size_t i = 0; i < len; i++)
        lines += bytes[i] == '\n' ||
                 (bytes[i] == '\r' && (i + 1 == len || bytes[i + 1] != '\n'));
    return lines;
}

/* From behind the opening quote to behind the closing one. */
static int quoted_cell(struct csv_rows *rows, size_t *pos_p,
                       struct csv_raw *ret_raw)
{
    size_t start = *pos_p, pos = start;
    size_t out = start; /* where the next piece goes */

    for (;;) {
        char *first = csv_rows_bytes(rows);
        char *found = memchr(first + pos, rows->quote, row_room(rows) - pos);
        if (!found) {
            /* What is known to have no quote moves down at once, so that it
             * is not looked at again. */
            size_t len = row_room(rows) - pos;
            if (out != pos)
                memmove(first + out, first + pos, len);
            out += len;
            pos += len;
            int rc = more_of_cell(rows, out - start);
            if (rc == 0)
                rows->why = "a quote is opened in this row and never closed";
            if (rc <= 0)
                return -1;
            continue;
        }
        size_t len = (size_t)(found - first) - pos;
        if (out != pos)
            memmove(first + out, first + pos, len);
        out += len;
        pos += len + 1;
        if (pos == row_room(rows) && more_of_cell(rows, out - start) < 0)
            return -1;
        if (pos == row_room(rows) || csv_rows_bytes(rows)[pos] != rows->quote)
            break;
        csv_rows_bytes(rows)[out++] = rows->quote;
        pos++;
    }
    *ret_raw = (struct csv_raw){start, out - start, true};
    rows->next_line += count_lines(csv_rows_bytes(rows) + start, out - start);
    *pos_p = pos;
    return 0;
}

/* Everything up to the end of the line goes, unseen. */
static enum csv_answer skip_line(struct csv_rows *rows, size_t pos)
{
    for (;;) {
        const char *first = csv_rows_bytes(rows);
        for (; pos < row_room(rows); pos++) {
            if (rows->kinds[(unsigned char)first[pos]] != LINE_END)
                continue;
            rows->after_cr = first[pos] == '\r';
            rows->len = pos + 1;
            rows->next_line++;
            return CSV_BAD;
        }
        rows->in.at += pos;
        pos = 0;
        int rc = more(rows);
        if (rc < 0)
            return CSV_FATAL;
        if (rc == 0) {
            rows->len = 0;
            return CSV_BAD;
        }
    }
}

static enum csv_answer malformed(struct csv_rows *rows, size_t pos,
                                 const char *why)
{
    enum csv_answer answer = skip_line(rows, pos);

    if (answer == CSV_BAD)
        rows->why = why;
    return answer;
}

static enum csv_answer too_large(struct csv_rows *rows)
{
    rows->why = "a cell is larger than 64 MiB";
    return CSV_FATAL;
}

static void keep_raw(struct csv_rows *rows, struct csv_raw raw)
{
    if (rows->count < SCHEMA_COLUMNS_MAX)
        rows->raw[rows->count] = raw;
    rows->count++;
}

/* Gives the last row up and stands at the first byte of the next. */
static enum csv_answer begin_row(struct csv_rows *rows)
{
    rows->in.at += rows->len;
    rows->len = 0;
    rows->count = 0;
    for (;;) {
        if (row_room(rows) == 0) {
            int rc = more(rows);
            if (rc <= 0)
                return rc < 0 ? CSV_FATAL : CSV_END;
        }
        if (!rows->after_cr)
            break;
        rows->after_cr = false;
        if (*csv_rows_bytes(rows) != '\n')
            break;
        rows->in.at++;
    }
    rows->line = rows->next_line;
    return CSV_ROW;
}

enum csv_answer csv_rows_next(struct csv_rows *rows)
{
    enum csv_answer answer = begin_row(rows);
    size_t pos = 0;

    while (answer == CSV_ROW) { /* a cell */
        struct csv_raw raw = {.at = pos};
        enum byte stop = PLAIN;
        int any = pos < row_room(rows) ? 1 : more(rows);
        if (any < 0)
            return CSV_FATAL;
        if (any > 0 &&
            rows->kinds[(unsigned char)csv_rows_bytes(rows)[pos]] == QUOTE) {
            pos++;
            if (quoted_cell(rows, &pos, &raw) < 0)
                return CSV_FATAL;
            stop =
                pos == row_room(rows)
                    ? STOP_EOF
                    : (enum byte)
                          rows->kinds[(unsigned char)csv_rows_bytes(rows)[pos]];
            if (stop == PLAIN || stop == QUOTE)
                return malformed(rows, pos, "text behind a closing quote");
        } else {
            if (plain_cell(rows, &pos, &stop) < 0)
                return CSV_FATAL;
            raw.len = pos - raw.at;
            if (stop == QUOTE)
                return malformed(rows, pos,
                                 "a quote within a cell that does not begin "
                                 "with one");
        }
        if (raw.len > FILES_CELL_MAX)
            return too_large(rows);
        keep_raw(rows, raw);
        if (stop == DELIMITER) {
            pos++;
            continue;
        }
        if (stop == LINE_END) {
            rows->after_cr = csv_rows_bytes(rows)[pos++] == '\r';
            rows->next_line++;
        }
        rows->len = pos;
        if (rows->count == 1 && raw.len == 0 && !raw.quoted)
            return CSV_BLANK;
        return CSV_ROW;
    }
    return answer;
}
