/*
 * workflow_v1_sort.c - the order of a sorter of connectionInformation_v1: what
 * order_by says, then the columns with sorterSelected.
 */
#include "policy/workflow_v1.h"

#include <string.h>
#include <strings.h>

/* "desc", "Descending": true. */
static bool is_descending(struct build *b, const json_t *object)
{
    static const char *const keys[] = {"direction",  "order",      "sortOrder",
                                       "sort_order", "sort",       "sortType",
                                       "sort_type",  "sorterOrder"};
    if (v1_flag(object, "descending"))
        return true;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (strncmp(v1_word(b, object, keys[i]), "desc", 4) == 0)
            return true;
    }
    return false;
}

struct sorting {
    json_t *list, *seen;
};

static void add_by(struct build *b, struct sorting *sorting, const char *column,
                   bool descending, const char *nulls)
{
    /* The second time a column is sorted by changes nothing. */
    if (json_object_get(sorting->seen, column) != NULL)
        return;
    build_put(b, sorting->seen, column, json_true());
    v1_append(b, sorting->list, data_by_item(b, column, descending, nulls));
}

/* The next word of text, or what is in its quotes; NULL: no more. */
static char *next_word(struct build *b, const char **text, size_t *bytes)
{
    build_trim(text, bytes);
    if (*bytes == 0)
        return NULL;
    bool quoted = **text == '"';
    const char *start = *text + quoted;
    size_t left = *bytes - quoted;
    size_t length = 0;
    while (length < left && (quoted ? start[length] != '"'
                                    : (unsigned char)start[length] > ' ' &&
                                          start[length] != '\xc2'))
        length++;
    /* What begins like a no-break space may be a letter. */
    while (!quoted && length < left && start[length] == '\xc2' &&
           !(length + 1 < left && start[length + 1] == '\xa0')) {
        length++;
        while (length < left && (unsigned char)start[length] > ' ' &&
               start[length] != '\xc2')
            length++;
    }
    char *word = workflow_alloc(b->scratch, length + 1);
    if (word == NULL) {
        b->no_memory = true;
        return NULL;
    }
    memcpy(word, start, length);
    size_t used = length + quoted + (quoted && length < left);
    *text += used;
    *bytes -= used;
    return word;
}

/* "name", "t.name desc", "name asc nulls first". */
static void add_by_text(struct build *b, struct sorting *sorting,
                        const char *text, size_t bytes, const char *at)
{
    bool descending = false;
    const char *nulls = NULL;
    const char *word;
    const char *column = next_word(b, &text, &bytes);

    if (column == NULL)
        return;
    const char *dot = strrchr(column, '.');
    if (dot != NULL && dot[1] != '\0')
        column = dot + 1;
    while ((word = next_word(b, &text, &bytes)) != NULL) {
        if (strncasecmp(word, "desc", 4) == 0) {
            descending = true;
        } else if (strcasecmp(word, "nulls") == 0 &&
                   (word = next_word(b, &text, &bytes)) != NULL &&
                   (strcasecmp(word, "first") == 0 ||
                    strcasecmp(word, "last") == 0)) {
            nulls = strcasecmp(word, "first") == 0 ? "first" : "last";
        } else if (word == NULL || strncasecmp(word, "asc", 3) != 0) {
            problems_add(b->problems, at, "bad_value",
                         "an order is a list of columns, each with asc or desc "
                         "and nulls first or nulls last behind it if need be");
            return;
        }
    }
    json_t *name = json_string(column);
    if (name == NULL)
        b->no_memory = true;
    else if (data_check_name(b, name, at))
        add_by(b, sorting, column, descending, nulls);
    json_decref(name);
}

/* All of "a desc, b". */
static void add_by_list(struct build *b, struct sorting *sorting,
                        const json_t *text, const char *at)
{
    const char *start = json_string_value(text);
    const char *end = start + strlen(start);
    bool quoted = false;
    for (const char *c = start; c <= end; c++) {
        quoted = quoted != (*c == '"');
        if (c < end && (quoted || *c != ','))
            continue;
        add_by_text(b, sorting, start, (size_t)(c - start), at);
        start = c + 1;
    }
}

static void read_order_by(struct build *b, struct v1_node *v1,
                          struct sorting *sorting)
{
    static const char *const names[] = {"column", "name", "value",
                                        "source_column"};
    const json_t *said = json_object_get(v1->transformations, "order_by");
    const char *at = v1->transformations_at;
    size_t i;
    json_t *item;

    if (json_is_string(said)) {
        add_by_list(b, sorting, said, pointer_key(b, at, "order_by"));
        return;
    }
    json_t *list = v1_part(b, v1->transformations, at, "order_by", true, &at);
    if (list == NULL || !build_list(b, list, at, "columns", DATA_ITEMS_MAX))
        return;
    json_array_foreach(list, i, item) {
        const char *item_at = pointer_index(b, at, i);
        const char *column = NULL;
        if (json_is_string(item)) {
            add_by_list(b, sorting, item, item_at);
            continue;
        }
        for (size_t j = 0; j < sizeof names / sizeof names[0] && column == NULL;
             j++)
            column = v1_name(b, item, item_at, names[j]);
        if (column != NULL)
            add_by(b, sorting, column, is_descending(b, item), NULL);
        else if (json_is_object(item))
            problems_add(b->problems, item_at, "missing_field",
                         "this needs \"column\", the name of a column");
        else
            build_wrong_type(b, item, item_at,
                             "the name of a column or an object");
    }
}

void v1_sort(struct build *b, struct v1_node *v1)
{
    struct sorting sorting = {.list = json_array(), .seen = json_object()};
    size_t before = build_problem_count(b);

    read_order_by(b, v1, &sorting);
    for (size_t i = 0; i < v1->column_count; i++) {
        const struct v1_column *column = &v1->columns[i];
        if (column->sort)
            add_by(b, &sorting, column->from, is_descending(b, column->item),
                   NULL);
    }
    if (json_array_size(sorting.list) == 0 && !b->no_memory &&
        build_problem_count(b) == before)
        v1_missing(b, v1,
                   "nothing says what to sort by: this needs a column with "
                   "sorterSelected, or \"order_by\"");
    build_put(b, v1->config, "by", sorting.list);
    json_decref(sorting.seen);
}
