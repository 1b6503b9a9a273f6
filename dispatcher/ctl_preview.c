/* ctl_preview.c - see ctl.h: the first rows of a run's nodes, one table a node.
 * On a terminal the columns that do not fit are only named. */
#include "dispatcher/ctl.h"
#include "dispatcher/table.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { GAP = 2, CELL_MIN = 4, CELL_MAX = 40, INDENT = 2 };

/* As a person reads it: text without quotes. */
static char *value_text(const json_t *value)
{
    char *json = NULL;

    if (!value || json_is_null(value))
        return plain_format("%s", "");
    if (json_is_string(value))
        return plain_clean(json_string_value(value), json_string_length(value),
                           false);
    if (json_is_real(value))
        return plain_format("%.15g", json_real_value(value));
    json = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    return json ? json : plain_format("%s", "");
}

static int widest(const json_t *preview, size_t column, const char *head,
                  bool *ret_numbers)
{
    const json_t *rows = pick(preview, "rows");
    int columns = plain_columns(head);
    bool numbers = false;
    bool others = false;

    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *value = json_array_get(json_array_get(rows, i), column);
        char *text = value_text(value);
        int own = plain_columns(text);
        columns = own > columns ? own : columns;
        numbers = numbers || json_is_number(value);
        others = others || (!json_is_number(value) && !json_is_null(value));
        free(text);
    }
    *ret_numbers = numbers && !others;
    return columns;
}

struct shown {
    struct table_column columns[TABLE_COLUMNS_MAX];
    char *heads[TABLE_COLUMNS_MAX];
    size_t count;
};

/* As many columns as the screen has room for, at least one. */
static void choose(const struct screen *screen, const json_t *preview,
                   struct shown *ret)
{
    const json_t *names = pick(preview, "columns");
    int room = screen->columns == INT_MAX ? INT_MAX : screen->columns - INDENT;

    *ret = (struct shown){0};
    while (ret->count < json_array_size(names) &&
           ret->count < TABLE_COLUMNS_MAX) {
        char *head = value_text(json_array_get(names, ret->count));
        bool numbers = false;
        int width = widest(preview, ret->count, head, &numbers);
        if (room != INT_MAX) {
            width = width > CELL_MAX ? CELL_MAX : width;
            if (ret->count > 0 && width + GAP > room) {
                free(head);
                return;
            }
            room -= width + (ret->count > 0 ? GAP : 0);
        }
        ret->heads[ret->count] = head;
        ret->columns[ret->count++] = (struct table_column){
            .head = head, .right = numbers, .min = CELL_MIN};
    }
}

static void show_table(const struct screen *screen, const json_t *preview,
                       const struct shown *shown)
{
    struct table *table = table_new(shown->columns, shown->count);
    const json_t *rows = pick(preview, "rows");
    const char *ellipsis = screen_ornament(screen, ORNAMENT_ELLIPSIS);

    for (size_t i = 0; i < json_array_size(rows); i++) {
        for (size_t c = 0; c < shown->count; c++) {
            const json_t *value = json_array_get(json_array_get(rows, i), c);
            char *text = value_text(value);
            char *cut =
                plain_cut(text, screen->columns == INT_MAX ? INT_MAX : CELL_MAX,
                          ellipsis);
            if (json_is_null(value) || !value)
                table_cell(table, STYLE_DIM, "null");
            else if (!*text) /* else a column of them would not be seen */
                table_cell(table, STYLE_DIM, "\"\"");
            else
                table_cell(table, STYLE_PLAIN, "%s", cut);
            free(cut);
            free(text);
        }
    }
    if (table_rows(table) > 0)
        table_print(table, screen, INDENT);
    table_free(&table);
}

static void name_others(const struct screen *screen, const json_t *preview,
                        size_t from)
{
    const json_t *names = pick(preview, "columns");
    size_t count = json_array_size(names);

    if (from >= count)
        return;
    char *list = plain_format("%s", "");
    for (size_t i = from; i < count; i++) {
        char *name = value_text(json_array_get(names, i));
        char *longer = plain_format("%s%s%s", list, i > from ? ", " : "", name);
        free(name);
        free(list);
        list = longer;
    }
    char *line = plain_format("and %zu more column%s: %s", count - from,
                              count - from == 1 ? "" : "s", list);
    screen_put(screen, STYLE_PLAIN, "%*s", INDENT, "");
    screen_wrap(screen, STYLE_DIM, INDENT, INDENT, line);
    free(line);
    free(list);
}

/* "orders  3 of 1,234 rows" */
static void show_head(const struct screen *screen, const json_t *preview)
{
    size_t rows = json_array_size(pick(preview, "rows"));
    double all = pick_number(preview, "rows_out", -1);
    char *of = all >= (double)rows ? plain_count(all) : plain_format("%s", "");

    screen_put(screen, STYLE_BOLD, "%s", pick_text(preview, "id", ""));
    screen_put(screen, STYLE_DIM, "  %zu%s%s row%s", rows, *of ? " of " : "",
               of, (*of ? all == 1 : rows == 1) ? "" : "s");
    screen_put(screen, STYLE_WARN, "%s",
               pick_true(preview, "cut") ? "  cut: more would not fit" : "");
    screen_put(screen, STYLE_PLAIN, "\n");
    free(of);
}

void ctl_show_previews(const struct screen *screen, const json_t *answer)
{
    const json_t *nodes = pick(answer, "nodes");

    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const json_t *preview = json_array_get(nodes, i);
        struct shown shown;

        show_head(screen, preview);
        choose(screen, preview, &shown);
        if (shown.count > 0)
            show_table(screen, preview, &shown);
        name_others(screen, preview, shown.count);
        for (size_t c = 0; c < shown.count; c++)
            free(shown.heads[c]);
    }
}

int ctl_preview(struct ctl *ctl, const char *run_id, const char *node)
{
    struct client_call call = {.path = "/api/v1/runs/{}/preview",
                               .texts = {run_id}};
    struct client_answer answer = {0};

    if (node) {
        call.query[0] = "node";
        call.query[1] = node;
    }
    int code = ctl_call(ctl, &call, &answer);
    if (code)
        return code;
    if (ctl->json)
        ctl_print_json(&ctl->out, answer.text, answer.bytes);
    else if (json_array_size(pick(answer.body, "nodes")) > 0)
        ctl_show_previews(&ctl->out, answer.body);
    else
        screen_put(&ctl->err, STYLE_DIM,
                   "no rows were kept: submit it with --preview N\n");
    client_answer_clear(&answer);
    return EXIT_OK;
}

int ctl_cmd_preview(struct ctl *ctl)
{
    char id[CTL_RUN_ID_TEXT];
    int code = ctl_run_id(ctl, ctl->args[0], id);

    return code
               ? code
               : ctl_preview(ctl, id, ctl->arg_count > 1 ? ctl->args[1] : NULL);
}
