/*
 * table.h - columns that fit the terminal; when the output is piped, columns as
 * wide as their content.
 *
 * Memory:  a table copies its cells; table_free() frees it all. Running out of
 *          memory ends the program.
 * Threads: one.
 */
#ifndef DISPATCHER_TABLE_H
#define DISPATCHER_TABLE_H

#include "dispatcher/screen.h"

enum { TABLE_COLUMNS_MAX = 32 };

struct table_column {
    const char *head;
    bool right; /* numbers */
    int min;    /* may be cut down to this to fit; 0: never cut */
    bool wrap;  /* the last column only: wraps instead of being cut */
};

struct table;
/* The columns are borrowed until table_free(). */
struct table *table_new(const struct table_column *columns, size_t count);
void table_free(struct table **table_p);
/* Fills the next cell; a row is complete after the last column. An empty text
 * shows as nothing. */
void table_cell(struct table *table, enum style style, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
size_t table_rows(const struct table *table);
/* Columns that are empty in every row are left out. */
void table_print(const struct table *table, const struct screen *screen,
                 int indent);

#endif
