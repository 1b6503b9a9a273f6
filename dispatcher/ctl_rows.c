/* ctl_rows.c - see ctl.h: how far the nodes of a run are. One line a node for
 * the live picture, a table for `show`. What a node has of rows and bytes is
 * shown as far as there is room: the rows first, then those rejected, then the
 * bytes. A node that has to do with no rows (a command, a call) shows none of
 * it. */
#include "dispatcher/ctl.h"
#include "dispatcher/table.h"

#include "policy/workflow.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* What a person calls a node: its id, unless that is a UUID that a program
 * made, as in documents of the existing product. */
static const char *node_name(const json_t *node)
{
    const char *id = pick_text(node, "id", "");
    const char *label = pick_text(node, "label", "");

    return *label && strlen(id) == 36 &&
                   strspn(id, "0123456789abcdefABCDEF-") == 36
               ? label
               : id;
}

enum {
    NARROW = 100,     /* under so many columns something has to go */
    NAME_NARROW = 16, /* so that rejected rows fit into 80 columns */
    NAME_WIDE = 28,
    STATE_COLUMNS = 9,
    ERROR_ROOM = 24,
};

/* ---- one node's counts ------------------------------------------------- */

/* It has begun, and is of a kind that reads or gives rows. */
static bool has_rows(const json_t *node)
{
    const struct node_kind *kind = node_kind_find(pick_text(node, "kind", ""));

    if (!json_object_get(node, "rows_out"))
        return false;
    if (kind)
        return kind->class != NODE_TASK;
    return pick_number(node, "rows_in", -1) >= 0 ||
           pick_number(node, "rows_out", -1) >= 0;
}

/* "-" when it is not known. */
static char *count_text(const json_t *node, const char *key, bool shortened)
{
    double count = pick_number(node, key, -1);

    if (count < 0)
        return plain_format("-");
    return shortened ? plain_short(count) : plain_count(count);
}

static char *bytes_text(const json_t *node)
{
    double bytes = pick_number(node, "bytes_out", -1);

    return bytes < 0 ? plain_format("-") : plain_size(bytes);
}

/* ---- the live picture -------------------------------------------------- */

static bool is_narrow(const struct screen *screen)
{
    return screen->columns < NARROW;
}

struct ctl_columns ctl_node_columns(const struct screen *screen,
                                    const json_t *nodes)
{
    int most = is_narrow(screen) ? NAME_NARROW : NAME_WIDE;
    struct ctl_columns columns = {.name = 8, .took = 6};

    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const json_t *node = json_array_get(nodes, i);
        char *took = ctl_took(node);
        int name = plain_columns(node_name(node));
        int time = plain_columns(took);
        columns.name = name > columns.name ? name : columns.name;
        columns.took = time > columns.took ? time : columns.took;
        free(took);
    }
    columns.name = columns.name > most ? most : columns.name;
    return columns;
}

/* Puts it when it fits into what is left of the line. */
static void put_part(const struct screen *screen, enum style style, int *room,
                     const char *text)
{
    int columns = plain_columns(text);

    if (columns > *room)
        return;
    screen_text(screen, style, text);
    *room -= columns;
}

static void put_rows(const struct screen *screen, const json_t *node, int *room)
{
    char *in = count_text(node, "rows_in", true);
    char *out = count_text(node, "rows_out", true);
    char *rows = plain_format("  %6s %s %6s rows", in,
                              screen_ornament(screen, ORNAMENT_ARROW), out);
    char *bad = count_text(node, "rows_rejected", true);
    char *rejected = plain_format("  %s rejected", bad);
    char *size = bytes_text(node);
    char *bytes = plain_format("  %9s", size);

    put_part(screen, STYLE_PLAIN, room, rows);
    if (pick_number(node, "rows_rejected", 0) > 0)
        put_part(screen, STYLE_WARN, room, rejected);
    if (pick_number(node, "bytes_out", 0) > 0)
        put_part(screen, STYLE_DIM, room, bytes);
    free(bytes);
    free(size);
    free(rejected);
    free(bad);
    free(rows);
    free(out);
    free(in);
}

static void put_error(const struct screen *screen, const char *error, int room)
{
    if (!*error || room <= 2)
        return;
    char *cut =
        plain_cut(error, room - 2, screen_ornament(screen, ORNAMENT_ELLIPSIS));
    screen_put(screen, STYLE_BAD, "  %s", cut);
    free(cut);
}

void ctl_draw_node(const struct screen *screen, const json_t *node,
                   struct ctl_columns columns)
{
    const char *state = pick_text(node, "state", "waiting");
    const char *error = pick_text(node, "error", "");
    const char *mark = ctl_state_mark(screen, state);
    enum style style = ctl_state_style(state);
    char *name = plain_cut(node_name(node), columns.name,
                           screen_ornament(screen, ORNAMENT_ELLIPSIS));
    char *took = ctl_took(node);
    int room = 4000;

    if (screen->columns < room)
        room = screen->columns - (4 + plain_columns(mark) + columns.name +
                                  STATE_COLUMNS + 1 + columns.took);
    screen_put(screen, style, "  %s ", mark);
    screen_put(screen, style == STYLE_DIM ? STYLE_DIM : STYLE_PLAIN, "%s",
               name);
    screen_put(screen, style, "%*s %-*s", columns.name - plain_columns(name),
               "", STATE_COLUMNS, state);
    screen_put(screen, STYLE_DIM, " %*s", columns.took, took);
    /* On a narrow screen why it failed matters more than how far it came. */
    if (has_rows(node) && (!*error || room >= 3 * ERROR_ROOM))
        put_rows(screen, node, &room);
    put_error(screen, error, room);
    (void)fputs(screen->tty ? "\033[K\n" : "\n", screen->out);
    free(took);
    free(name);
}

/* ---- the table --------------------------------------------------------- */

static const struct table_column node_columns[] = {
    {.head = ""},
    {.head = "NODE", .min = 10},
    {.head = "KIND", .min = 6},
    {.head = "STATE"},
    {.head = "TOOK", .right = true},
    {.head = "IN", .right = true},
    {.head = "OUT", .right = true},
    {.head = "REJECTED", .right = true},
    {.head = "BYTES", .right = true},
    {.head = "EXIT", .right = true},
    {.head = "ERROR", .wrap = true},
};

static void count_cell(struct table *table, enum style style, char *text)
{
    table_cell(table, style, "%s", text);
    free(text);
}

static void count_cells(struct table *table, const json_t *node, bool shortened)
{
    if (!has_rows(node)) {
        for (int i = 0; i < 4; i++)
            table_cell(table, STYLE_PLAIN, "%s", "");
        return;
    }
    bool rejected = pick_number(node, "rows_rejected", 0) > 0;
    count_cell(table, STYLE_PLAIN, count_text(node, "rows_in", shortened));
    count_cell(table, STYLE_PLAIN, count_text(node, "rows_out", shortened));
    count_cell(table, STYLE_WARN,
               rejected ? count_text(node, "rows_rejected", shortened)
                        : plain_format("%s", ""));
    bool sized = !shortened && pick_number(node, "bytes_out", -1) != 0;
    count_cell(table, STYLE_DIM,
               sized ? bytes_text(node) : plain_format("%s", ""));
}

static void node_row(struct table *table, const struct screen *screen,
                     const json_t *node, bool errors)
{
    const char *state = pick_text(node, "state", "waiting");
    double exit_code = pick_number(node, "exit_code", -1);
    char *took = ctl_took(node);
    char *code = exit_code >= 0 ? plain_format("%.0f", exit_code)
                                : plain_format("%s", "");

    table_cell(table, ctl_state_style(state), "%s",
               ctl_state_mark(screen, state));
    table_cell(table, STYLE_BOLD, "%s", node_name(node));
    table_cell(table, STYLE_DIM, "%s", pick_text(node, "kind", ""));
    table_cell(table, ctl_state_style(state), "%s", state);
    table_cell(table, STYLE_PLAIN, "%s", took);
    count_cells(table, node, is_narrow(screen));
    table_cell(table, exit_code > 0 ? STYLE_BAD : STYLE_DIM, "%s", code);
    table_cell(table, STYLE_BAD, "%s",
               errors ? pick_text(node, "error", "") : "");
    free(code);
    free(took);
}

static void show_errors(const struct screen *screen, const json_t *nodes)
{
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const json_t *node = json_array_get(nodes, i);
        const char *error = pick_text(node, "error", NULL);
        if (!error)
            continue;
        char *name = plain_format("  %s: ", node_name(node));
        screen_put(screen, STYLE_BOLD, "%s", name);
        screen_wrap(screen, STYLE_BAD, plain_columns(name), 4, error);
        free(name);
    }
}

/* Rows and errors side by side need a wide screen; else errors come below. */
void ctl_show_nodes(const struct screen *screen, const json_t *nodes)
{
    struct table *table =
        table_new(node_columns, sizeof node_columns / sizeof node_columns[0]);
    bool rows = false;

    for (size_t i = 0; i < json_array_size(nodes); i++)
        rows = rows || has_rows(json_array_get(nodes, i));
    bool beside = !rows || screen->columns >= NARROW + 2 * ERROR_ROOM;
    for (size_t i = 0; i < json_array_size(nodes); i++)
        node_row(table, screen, json_array_get(nodes, i), beside);
    if (table_rows(table) > 0)
        table_print(table, screen, 2);
    if (!beside)
        show_errors(screen, nodes);
    table_free(&table);
}
