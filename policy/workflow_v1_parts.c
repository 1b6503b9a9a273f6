/*
 * workflow_v1_parts.c - the parts of a node of connectionInformation_v1: words,
 * names, expressions, the columns of a transformation, the mapping of fields.
 */
#include "policy/workflow_v1.h"

#include <string.h>
#include <strings.h>

/* ---- small parts ----------------------------------------------------- */

static bool is_blank_text(const json_t *value)
{
    const char *text = json_string_value(value);
    size_t bytes = json_string_length(value);
    if (text == NULL)
        return false;
    build_trim(&text, &bytes);
    return bytes == 0;
}

static char small_letter(char c)
{
    if (c >= 'A' && c <= 'Z')
        c = (char)(c - 'A' + 'a');
    return c;
}

json_t *v1_part(struct build *b, const json_t *object, const char *at,
                const char *key, bool array, const char **ret_at)
{
    json_t *value = json_object_get(object, key);
    *ret_at = value != NULL ? pointer_key(b, at, key) : at;
    if (value == NULL || json_is_null(value) || is_blank_text(value) ||
        ((json_is_object(value) || json_is_array(value)) &&
         json_object_size(value) + json_array_size(value) == 0))
        return NULL;
    if (array ? json_is_array(value) : json_is_object(value))
        return value;
    build_wrong_type(b, value, *ret_at, array ? "an array" : "an object");
    return NULL;
}

const char *v1_name(struct build *b, const json_t *object, const char *at,
                    const char *key)
{
    const json_t *value = json_object_get(object, key);
    const char *text = json_string_value(value);
    size_t bytes = json_string_length(value);

    if (value == NULL || json_is_null(value))
        return NULL;
    if (text == NULL) {
        if (at != NULL)
            build_wrong_type(b, value, pointer_key(b, at, key), "a string");
        return NULL;
    }
    build_trim(&text, &bytes);
    if (bytes == 0)
        return NULL;
    json_t *trimmed = json_stringn(text, bytes);
    char *name = workflow_alloc(b->scratch, bytes + 1);
    bool good =
        trimmed != NULL && name != NULL &&
        (at == NULL || data_check_name(b, trimmed, pointer_key(b, at, key)));
    b->no_memory = b->no_memory || trimmed == NULL || name == NULL;
    if (good)
        memcpy(name, text, bytes);
    json_decref(trimmed);
    return good ? name : NULL;
}

const char *v1_word(struct build *b, const json_t *object, const char *key)
{
    enum { WORD_MAX = 40 };
    const char *text = json_string_value(json_object_get(object, key));
    char *word = text != NULL ? workflow_alloc(b->scratch, WORD_MAX) : NULL;
    size_t used = 0;

    if (word == NULL) {
        b->no_memory = b->no_memory || text != NULL;
        return "";
    }
    for (; *text != '\0' && used < WORD_MAX - 1; text++) {
        if ((unsigned char)*text <= ' ' || *text == '-' || *text == '_')
            continue;
        if (text[0] == '\xc2' && text[1] == '\xa0')
            text++;
        else
            word[used++] = small_letter(*text);
    }
    return word;
}

bool v1_flag(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    const char *text = json_string_value(value);
    if (text != NULL)
        return strcasecmp(text, "true") == 0 || strcasecmp(text, "yes") == 0 ||
               strcmp(text, "1") == 0;
    return json_is_true(value) ||
           (json_is_integer(value) && json_integer_value(value) != 0);
}

const char *v1_expression(struct build *b, const json_t *object, const char *at,
                          const char *key, size_t *ret_bytes,
                          const char **ret_at)
{
    const json_t *value = json_object_get(object, key);
    if (value == NULL || json_is_null(value))
        return NULL;
    at = pointer_key(b, at, key);
    if (json_is_object(value)) {
        const json_t *inner = json_object_get(value, "value");
        if (inner == NULL || json_is_null(inner))
            return NULL;
        at = pointer_key(b, at, "value");
        value = inner;
    }
    if (!json_is_string(value)) {
        build_wrong_type(b, value, at, "an expression, a string");
        return NULL;
    }
    if (is_blank_text(value))
        return NULL;
    const char *text = build_long_text(b, value, at, EXPR_BYTES_MAX);
    if (text == NULL)
        return NULL;
    *ret_bytes = strlen(text);
    *ret_at = at;
    return text;
}

void v1_missing(struct build *b, const struct v1_node *v1, const char *what)
{
    problems_add(b->problems, v1->transformations_at, "missing_field", "%s",
                 what);
}

void v1_refuse_conditions(struct build *b, const struct v1_node *v1)
{
    const char *at;
    const json_t *list = v1_part(b, v1->transformations, v1->transformations_at,
                                 "conditions", true, &at);
    if (list != NULL)
        problems_add(b->problems, at, "conflicting_fields",
                     "only a filter has conditions; put a filter before or "
                     "behind this node");
}

void v1_append(struct build *b, json_t *list, json_t *item)
{
    if (item == NULL || json_array_append_new(list, item) != 0)
        b->no_memory = true;
}

json_t *v1_out(struct build *b, const char *name, const char *column,
               json_t *expr)
{
    json_t *out = json_object();
    build_put(b, out, "name", json_string(name));
    if (expr != NULL)
        build_put(b, out, "expression", expr);
    else if (column != NULL && strcmp(column, name) != 0)
        build_put(b, out, "column", json_string(column));
    return out;
}

/* ---- expressions that are there twice -------------------------------- */

/* Without blanks and, outside of quotes, in lower case. */
static char *plain_form(struct build *b, const char *text, size_t bytes)
{
    char *plain = workflow_alloc(b->scratch, bytes + 1);
    char *out = plain;
    char quote = '\0';

    if (plain == NULL) {
        b->no_memory = true;
        return NULL;
    }
    for (size_t i = 0; i < bytes; i++) {
        char c = text[i];
        bool is_quote = c == '\'' || c == '"';
        if (quote == '\0' && (unsigned char)c <= ' ')
            continue;
        if (quote == '\0' && c == '\xc2' && i + 1 < bytes &&
            text[i + 1] == '\xa0') {
            i++;
            continue;
        }
        if (quote == '\0')
            c = small_letter(c);
        *out++ = c;
        if (!is_quote)
            continue;
        if (quote == c)
            quote = '\0';
        else if (quote == '\0')
            quote = c;
    }
    return plain;
}

void v1_note_done(struct build *b, struct v1_node *v1, const char *text,
                  size_t bytes)
{
    const char *plain = plain_form(b, text, bytes);
    if (plain != NULL)
        build_put(b, v1->done, plain, json_true());
}

static bool is_done(struct build *b, const struct v1_node *v1, const char *text,
                    size_t bytes)
{
    const char *plain = plain_form(b, text, bytes);
    return plain != NULL && json_object_get(v1->done, plain) != NULL;
}

/* Is the text just a column, "salary" or "employees.salary"? */
static bool is_just(const char *text, size_t bytes, const char *table,
                    const char *column)
{
    build_trim(&text, &bytes);
    size_t table_bytes = table != NULL ? strlen(table) : 0;
    if (table_bytes > 0 && bytes > table_bytes + 1 &&
        text[table_bytes] == '.' &&
        strncasecmp(text, table, table_bytes) == 0) {
        text += table_bytes + 1;
        bytes -= table_bytes + 1;
    }
    return column != NULL && strlen(column) == bytes &&
           strncasecmp(text, column, bytes) == 0;
}

/* ---- the columns of a transformation --------------------------------- */

static bool is_boolean(const json_t *item)
{
    int precision;
    int scale;
    const char *type = json_string_value(json_object_get(item, "type"));
    type = type != NULL ? expr_type(type, &precision, &scale) : NULL;
    return type != NULL && strcmp(type, "boolean") == 0;
}

/* False: it says nothing, or nothing that can be read (reported). */
static bool read_column(struct build *b, const struct v1_node *v1, json_t *item,
                        const char *at, struct v1_column *ret_column)
{
    bool is_filter = strcmp(v1->out->kind->name, "filter") == 0;
    struct v1_column column = {.item = item, .at = at, .selected = true};
    size_t before = build_problem_count(b);

    if (json_is_null(item) || is_blank_text(item))
        return false;
    if (json_is_string(item) && is_filter) {
        column.text = build_long_text(b, item, at, EXPR_BYTES_MAX);
        column.bytes = column.text != NULL ? strlen(column.text) : 0;
        column.text_at = at;
        *ret_column = column;
        return column.text != NULL;
    }
    if (!json_is_object(item)) {
        build_wrong_type(b, item, at, "an object: a column");
        return false;
    }
    column.name = v1_name(b, item, at, "name");
    column.from = v1_name(b, item, at, "value");
    column.table = v1_name(b, item, at, "table");
    if (column.from == NULL)
        column.from = column.name;
    if (column.name == NULL)
        column.name = column.from;
    const json_t *selected = json_object_get(item, "selected");
    column.selected =
        selected == NULL || json_is_null(selected) || v1_flag(item, "selected");
    column.group = v1_flag(item, "groupBy");
    column.sort = v1_flag(item, "sorterSelected");
    column.text = v1_expression(b, item, at, "expression", &column.bytes,
                                &column.text_at);
    /* A column alone is no predicate, unless it is true or false. */
    if (column.text != NULL &&
        (is_just(column.text, column.bytes, column.table, column.from) ||
         is_just(column.text, column.bytes, column.table, column.name)) &&
        !(is_filter && is_boolean(item)))
        column.text = NULL;
    if (column.name == NULL && (!is_filter || column.text == NULL)) {
        if (!is_filter && !b->no_memory && build_problem_count(b) == before)
            problems_add(b->problems, at, "missing_field",
                         "a column needs \"name\" or \"value\"");
        return false;
    }
    *ret_column = column;
    return true;
}

/* The same column said in two lists. */
static void merge(struct build *b, struct v1_column *column,
                  const struct v1_column *other)
{
    column->group = column->group || other->group;
    column->sort = column->sort || other->sort;
    if (other->text == NULL)
        return;
    if (column->text == NULL) {
        column->text = other->text;
        column->bytes = other->bytes;
        column->text_at = other->text_at;
        return;
    }
    const char *one = plain_form(b, column->text, column->bytes);
    const char *two = plain_form(b, other->text, other->bytes);
    if (one != NULL && two != NULL && strcmp(one, two) != 0)
        problems_add(b->problems, other->text_at, "conflicting_fields",
                     "\"%.80s\" has another expression at %.200s", column->name,
                     column->text_at);
}

/* Adds the columns of a list; those of the second are put together with those
 * of the first, except that a filter wants every predicate there is. */
static void read_columns(struct build *b, struct v1_node *v1, json_t *list,
                         const char *at, json_t *places)
{
    bool is_filter = strcmp(v1->out->kind->name, "filter") == 0;
    size_t before = v1->column_count;
    struct v1_column *columns;
    size_t i;
    json_t *item;

    if (list == NULL || !build_list(b, list, at, "columns", DATA_ITEMS_MAX))
        return;
    columns = workflow_alloc(b->scratch, (before + json_array_size(list)) *
                                             sizeof *columns);
    if (columns == NULL) {
        b->no_memory = true;
        return;
    }
    if (before > 0)
        memcpy(columns, v1->columns, before * sizeof *columns);
    v1->columns = columns;
    json_array_foreach(list, i, item) {
        struct v1_column column;
        if (!read_column(b, v1, item, pointer_index(b, at, i), &column))
            continue;
        const json_t *place = is_filter || column.name == NULL
                                  ? NULL
                                  : json_object_get(places, column.name);
        size_t known = (size_t)json_integer_value(place);
        if (place != NULL && known < before) {
            merge(b, &columns[known], &column);
            continue;
        }
        if (column.name != NULL)
            build_put(b, places, column.name,
                      json_integer((json_int_t)v1->column_count));
        columns[v1->column_count++] = column;
    }
}

static void note_asked(struct build *b, struct v1_node *v1)
{
    size_t i;
    const json_t *item;

    json_array_foreach(v1->mapping, i, item) {
        const json_t *selected = json_object_get(item, "selected");
        const char *from = v1_name(b, item, NULL, "value");
        if (from == NULL)
            from = v1_name(b, item, NULL, "name");
        bool dropped = selected != NULL && !json_is_null(selected) &&
                       !v1_flag(item, "selected");
        if (from != NULL && !dropped)
            build_put(b, v1->asked, from, json_true());
    }
}

/* A column is called by its "name", unless what reads it, the mapping, only
 * knows its "value": then "name" is for people. */
static void settle_names(struct v1_node *v1)
{
    for (size_t c = 0; c < v1->column_count; c++) {
        struct v1_column *column = &v1->columns[c];
        if (column->name != NULL &&
            json_object_get(v1->asked, column->name) == NULL &&
            json_object_get(v1->asked, column->from) != NULL)
            column->name = column->from;
    }
}

void v1_read_parts(struct build *b, struct v1_node *v1, const json_t *object)
{
    const char *source_at;
    const char *at;
    json_t *places = json_object();

    v1->details =
        v1_part(b, object, v1->at, "dbDetails", false, &v1->details_at);
    v1->transformations = v1_part(b, object, v1->at, "transformations", false,
                                  &v1->transformations_at);
    v1->mapping =
        v1_part(b, object, v1->at, "field_mapping", true, &v1->mapping_at);
    if (v1->mapping != NULL &&
        !build_list(b, v1->mapping, v1->mapping_at, "columns", DATA_ITEMS_MAX))
        v1->mapping = NULL;
    note_asked(b, v1);
    if (v1->out->kind->class == NODE_TRANSFORM) {
        json_t *source = v1_part(b, v1->transformations, v1->transformations_at,
                                 "source", false, &source_at);
        json_t *list = v1_part(b, source, source_at, "columns", true, &at);
        read_columns(b, v1, list, at, places);
        list = v1_part(b, v1->transformations, v1->transformations_at,
                       "transformations", true, &at);
        read_columns(b, v1, list, at, places);
        settle_names(v1);
    }
    json_decref(places);
}

/* ---- the mapping of fields ------------------------------------------- */

/* A type is cast to when it is another one than before, and one we know. */
static void put_target_type(struct build *b, json_t *out, const json_t *item)
{
    const char *from = json_string_value(json_object_get(item, "type"));
    const char *to = json_string_value(json_object_get(item, "targetType"));
    json_t *old = json_object();
    json_t *new = json_object();
    const char *key;
    json_t *value;

    if (old == NULL || new == NULL)
        b->no_memory = true;
    else if (to != NULL && data_put_type(b, new, to) &&
             !(from != NULL && data_put_type(b, old, from) &&
               json_equal(old, new)))
        json_object_foreach(new, key, value) {
            build_put(b, out, key, json_incref(value));
        }
    json_decref(old);
    json_decref(new);
}

/* Whose column it is: what the mapping says, or the columns of the source, or
 * the keys, where either side has it. NULL: only one side can have it. */
static const char *side_of(struct build *b, const struct v1_join *join,
                           const json_t *item, const char *at,
                           const char *column)
{
    const char *table = v1_name(b, item, at, "tableName");
    const json_t *known = json_object_get(join->tables, column);
    if (table == NULL)
        table = json_string_value(known);
    bool left = v1_same_table(table, join->source);
    bool right = v1_same_table(table, join->target);
    if (left != right)
        return left ? "left" : "right";
    size_t i;
    const json_t *on;
    json_array_foreach(join->on, i, on) {
        const char *name = json_string_value(
            json_object_get(on, join->prefers_right ? "right" : "left"));
        if (name != NULL && strcmp(name, column) == 0)
            return join->prefers_right ? "right" : "left";
    }
    return NULL;
}

/* A join's two equal keys, both given out under one name, are one column: that
 * of the side whose rows are all there. */
static bool is_same_key(const struct v1_join *join, json_t *first,
                        const json_t *second)
{
    const char *side = json_string_value(json_object_get(first, "from"));
    const char *other = json_string_value(json_object_get(second, "from"));
    size_t i;
    const json_t *on;

    if (join == NULL || side == NULL || other == NULL ||
        strcmp(side, other) == 0)
        return false;
    json_array_foreach(join->on, i, on) {
        const char *op = json_string_value(json_object_get(on, "operator"));
        const json_t *names[2] = {json_object_get(first, "column"),
                                  json_object_get(second, "column")};
        if (names[0] == NULL)
            names[0] = json_object_get(first, "name");
        if (names[1] == NULL)
            names[1] = json_object_get(second, "name");
        if (op != NULL && strcmp(op, "=") == 0 &&
            json_equal(names[0], json_object_get(on, side)) &&
            json_equal(names[1], json_object_get(on, other)))
            return true;
    }
    return false;
}

/* NULL: not given out, or reported. */
static json_t *read_mapped(struct build *b, struct v1_node *v1,
                           const json_t *item, const char *at,
                           enum expr_use use, const struct v1_join *join)
{
    const json_t *selected = json_object_get(item, "selected");
    const char *text_at = at;
    size_t bytes = 0;
    size_t before = build_problem_count(b);

    if (!json_is_object(item)) {
        build_wrong_type(b, item, at, "an object: a column and its target");
        return NULL;
    }
    if (selected != NULL && !json_is_null(selected) &&
        !v1_flag(item, "selected"))
        return NULL;
    const char *from = v1_name(b, item, at, "value");
    const char *name = v1_name(b, item, at, "name");
    const char *target = v1_name(b, item, at, "target");
    if (from == NULL)
        from = name;
    if (target == NULL)
        target = name != NULL ? name : from;
    const char *text =
        v1_expression(b, item, at, "expression", &bytes, &text_at);
    if (text != NULL &&
        (is_just(text, bytes, NULL, from) || is_just(text, bytes, NULL, name) ||
         is_done(b, v1, text, bytes)))
        text = NULL;
    if (target == NULL) {
        if (!b->no_memory && build_problem_count(b) == before)
            problems_add(b->problems, at, "missing_field",
                         "this needs \"value\", the name of a column");
        return NULL;
    }
    json_t *expr = NULL;
    if (text != NULL) {
        expr = data_expr(b, text, bytes,
                         data_tree(b, text, bytes, 0, use, text_at));
        if (expr == NULL)
            return NULL;
    }
    json_t *out = v1_out(b, target, from != NULL ? from : target, expr);
    if (join != NULL && expr == NULL) {
        const char *side =
            side_of(b, join, item, at, from != NULL ? from : target);
        if (side != NULL)
            build_put(b, out, "from", json_string(side));
    }
    put_target_type(b, out, item);
    return out;
}

json_t *v1_mapping(struct build *b, struct v1_node *v1, enum expr_use use,
                   const struct v1_join *join)
{
    if (v1->mapping == NULL)
        return NULL;
    json_t *list = json_array();
    json_t *places = json_object();
    size_t before = build_problem_count(b);
    size_t i;
    const json_t *item;

    json_array_foreach(v1->mapping, i, item) {
        const char *at = pointer_index(b, v1->mapping_at, i);
        json_t *out = read_mapped(b, v1, item, at, use, join);
        if (out == NULL)
            continue;
        const char *name = json_string_value(json_object_get(out, "name"));
        const json_t *place =
            name != NULL ? json_object_get(places, name) : NULL;
        json_t *first = json_array_get(list, (size_t)json_integer_value(place));
        if (place != NULL && is_same_key(join, first, out)) {
            const char *side = json_string_value(json_object_get(out, "from"));
            if (join->prefers_right == (strcmp(side, "right") == 0) &&
                json_object_update(first, out) != 0)
                b->no_memory = true;
        } else if (place != NULL) {
            problems_add(b->problems, at, "duplicate_column",
                         "two columns are called \"%.80s\"", name);
        } else if (name != NULL) {
            build_put(b, places, name,
                      json_integer((json_int_t)json_array_size(list)));
            v1_append(b, list, json_incref(out));
        }
        json_decref(out);
    }
    json_decref(places);
    if (json_array_size(list) == 0 && !b->no_memory &&
        build_problem_count(b) == before)
        problems_add(b->problems, v1->mapping_at, "empty",
                     "no column of this mapping is selected, so nothing would "
                     "come out");
    return list;
}
