/*
 * csv_rows.h - the rows of a CSV file, and where the cells of one are. Of what
 * the cells mean, and of bad rows, csv.c knows.
 *
 * A row is read in place: its cells are where they stand in the window over
 * the file, with doubled quotes closed up, and live until the next call.
 *
 * Memory, threads: as feed.h.
 * Errors:          answers, and why.
 */
#ifndef AGENTS_CSV_ROWS_H
#define AGENTS_CSV_ROWS_H

#include "agents/files_inside.h"

struct csv_raw { /* a cell: where, from the row's first byte */
    size_t at, len;
    bool quoted;
};

enum csv_answer {
    CSV_FATAL = -1, /* why; nothing can be read any more */
    CSV_END,
    CSV_ROW,
    CSV_BLANK, /* a row of one cell, with nothing in it */
    CSV_BAD,   /* why; in the cell after `count`; the next row can be read */
};

struct csv_rows {
    struct files_in in;
    unsigned char kinds[256]; /* of bytes: csv_rows.c's own */
    char quote;
    struct csv_raw *raw;      /* the first SCHEMA_COLUMNS_MAX of them */
    size_t count;             /* cells of the row; may be more than were kept */
    size_t len;               /* of the present row with its end */
    bool after_cr;            /* a line feed now belongs to the last row */
    uint64_t line, next_line; /* where the present row begins, and the next */
    const char *why;
};

/* fd is taken, also on failure. -ENOMEM. */
int csv_rows_open(struct csv_rows *rows, int fd);
void csv_rows_format(struct csv_rows *rows, const struct csv_format *format);
void csv_rows_close(struct csv_rows *rows);
enum csv_answer csv_rows_next(struct csv_rows *rows);

/* Of the present row. */
static inline char *csv_rows_bytes(const struct csv_rows *rows)
{
    return rows->in.buffer + rows->in.at;
}

#endif
