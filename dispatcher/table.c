/* table.c - see table.h */
#include "dispatcher/table.h"

#include <assert.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct cell {
    char *text; /* clean */
    enum style style;
    int columns;
};

struct table {
    const struct table_column *columns;
    size_t column_count;
    struct cell *cells;
    size_t count, capacity;
};

struct table *table_new(const struct table_column *columns, size_t count)
{
    assert(count > 0 && count <= TABLE_COLUMNS_MAX);
    struct table *table = calloc(1, sizeof *table);

    if (!table)
        abort();
    table->columns = columns;
    table->column_count = count;
    return table;
}

void table_free(struct table **table_p)
{
    struct table *table = *table_p;

    *table_p = NULL;
    if (!table)
        return;
    for (size_t i = 0; i < table->count; i++)
        free(table->cells[i].text);
    free(table->cells);
    free(table);
}

void table_cell(struct table *table, enum style style, const char *fmt, ...)
{
    if (table->count == table->capacity) {
        size_t capacity = table->capacity ? table->capacity * 2 : 64;
        struct cell *cells =
            reallocarray(table->cells, capacity, sizeof *cells);
        if (!cells)
            abort();
        table->cells = cells;
        table->capacity = capacity;
    }

    char *text = NULL;
    va_list args;
    va_start(args, fmt);
    int len = vasprintf(&text, fmt, args);
    va_end(args);
    if (len < 0)
        abort();
    struct cell *cell = &table->cells[table->count++];
    cell->text = plain_clean(text, (size_t)len, false);
    cell->columns = plain_columns(cell->text);
    cell->style = style;
    free(text);
}

size_t table_rows(const struct table *table)
{
    return table->count / table->column_count;
}

/* Natural widths; 0 for a column with nothing in it. */
static void measure(const struct table *table, int widths[TABLE_COLUMNS_MAX])
{
    for (size_t c = 0; c < table->column_count; c++)
        widths[c] = 0;
    for (size_t i = 0; i < table->count; i++) {
        int *width = &widths[i % table->column_count];
        if (table->cells[i].columns > *width)
            *width = table->cells[i].columns;
    }
    for (size_t c = 0; c < table->column_count; c++) {
        int head = plain_columns(table->columns[c].head);
        if (widths[c] > 0 && head > widths[c])
            widths[c] = head;
    }
}

enum { GAP = 2, WRAP_MIN = 24 };

/* Takes columns from the widest column that may be cut, until all fits. */
static void fit(const struct table *table, int room,
                int widths[TABLE_COLUMNS_MAX])
{
    for (;;) {
        int sum = 0;
        size_t widest = table->column_count;
        for (size_t c = 0; c < table->column_count; c++) {
            const struct table_column *column = &table->columns[c];
            int min = column->wrap ? WRAP_MIN : column->min;
            sum += widths[c] > 0 ? widths[c] + (sum > 0 ? GAP : 0) : 0;
            if (min > 0 && widths[c] > min &&
                (widest == table->column_count || widths[c] > widths[widest]))
                widest = c;
        }
        if (sum <= room || widest == table->column_count)
            return;
        widths[widest]--;
    }
}

/* One cell; returns what is left of a text that wraps, or NULL. */
static const char *print_cell(const struct screen *screen, const char *text,
                              enum style style, int width, bool right,
                              bool wrap, bool last)
{
    const char *next = NULL;
    char *shown = NULL;

    if (wrap) {
        size_t bytes = plain_wrap(text, width, &next);
        shown = strndup(text, bytes);
    } else {
        shown =
            plain_cut(text, width, screen_ornament(screen, ORNAMENT_ELLIPSIS));
    }
    if (!shown)
        abort();
    int pad = width - plain_columns(shown);
    if (right && pad > 0)
        (void)fprintf(screen->out, "%*s", pad, "");
    screen_text(screen, style, shown);
    if (!right && !last && pad > 0)
        (void)fprintf(screen->out, "%*s", pad, "");
    free(shown);
    return next;
}

static void print_row(const struct table *table, const struct screen *screen,
                      const struct cell *cells, const int *widths, size_t last,
                      int indent)
{
    const char *rest = NULL;
    int at = indent;

    while (cells && last > 0 && !*cells[last].text)
        last--; /* nothing to pad for */

    (void)fprintf(screen->out, "%*s", indent, "");
    for (size_t c = 0; c <= last; c++) {
        const struct table_column *column = &table->columns[c];
        if (widths[c] == 0)
            continue;
        if (at > indent) {
            (void)fprintf(screen->out, "%*s", GAP, "");
            at += GAP;
        }
        rest = print_cell(screen, cells ? cells[c].text : column->head,
                          cells ? cells[c].style : STYLE_DIM, widths[c],
                          column->right, column->wrap, c == last);
        at += c == last ? 0 : widths[c];
    }
    (void)fputc('\n', screen->out);
    while (rest) {
        (void)fprintf(screen->out, "%*s", at, "");
        rest = print_cell(screen, rest, cells ? cells[last].style : STYLE_DIM,
                          widths[last], false, true, true);
        (void)fputc('\n', screen->out);
    }
}

void table_print(const struct table *table, const struct screen *screen,
                 int indent)
{
    int widths[TABLE_COLUMNS_MAX];
    size_t last = 0;

    assert(table->count % table->column_count == 0);
    measure(table, widths);
    for (size_t c = 0; c < table->column_count; c++)
        last = widths[c] > 0 ? c : last;
    if (screen->columns != INT_MAX)
        fit(table, screen->columns - indent, widths);
    print_row(table, screen, NULL, widths, last, indent);
    for (size_t i = 0; i < table->count; i += table->column_count)
        print_row(table, screen, &table->cells[i], widths, last, indent);
}
