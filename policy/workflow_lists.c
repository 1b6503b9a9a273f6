/*
 * workflow_lists.c - the lists that data nodes have: columns to give out,
 * names, what to sort by, what to join by.
 */
#include "policy/workflow_data.h"

#include <string.h>

/* ---- items of lists -------------------------------------------------- */

/* What an item says under key; NULL: nothing. */
static const json_t *said(const struct data_place *place, const json_t *item,
                          const char *key)
{
    const json_t *value = json_object_get(item, key);
    bool blank = json_is_null(value) ||
                 (json_is_string(value) && json_string_length(value) == 0);
    return place->lenient && blank ? NULL : value;
}

/* False and a problem: not an object. Unknown keys are problems besides. */
static bool is_item(struct build *b, const struct data_place *place,
                    json_t *item, const char *at, const char *wanted,
                    const char *a, const char *const *known)
{
    const char *key;
    json_t *value;

    if (!json_is_object(item)) {
        build_wrong_type(b, item, at, wanted);
        return false;
    }
    json_object_foreach(item, key, value) {
        const char *const *name = known;
        while (*name != NULL && strcmp(*name, key) != 0)
            name++;
        if (*name != NULL || place->lenient)
            continue;
        struct guess guess = {.word = key};
        guess_try_all(&guess, known);
        build_unknown_key(b, pointer_key(b, at, key), a, &guess);
    }
    return true;
}

/* A name under key; false and a problem: none, or not one. */
static bool put_name(struct build *b, const struct data_place *place,
                     json_t *out, const json_t *item, const char *at,
                     const char *key, const char *what)
{
    const json_t *value = said(place, item, key);
    if (value == NULL) {
        problems_add(b->problems, at, "missing_field",
                     "this needs \"%s\", the name of %s", key, what);
        return false;
    }
    if (!data_check_name(b, value, pointer_key(b, at, key)))
        return false;
    build_put(b, out, key, json_string(json_string_value(value)));
    return true;
}

static void unknown_type(struct build *b, const char *word, const char *pointer)
{
    static const char *const known[] = {
        "integer", "bigint",    "smallint",    "decimal", "numeric", "double",
        "real",    "text",      "varchar",     "char",    "boolean", "date",
        "time",    "timestamp", "timestamptz", "bytes",   NULL};
    char buf[GUESS_TEXT_MAX];
    struct guess guess = {.word = word};

    guess_try_all(&guess, known);
    if (guess.best == NULL || strcmp(guess.best, "time") == 0)
        problems_add(b->problems, pointer, "unknown_type",
                     "there is no type called \"%.80s\", or not with these "
                     "numbers; types are integer, decimal, double, text, "
                     "boolean, date, timestamp, timestamptz and bytes",
                     word);
    else
        problems_add(b->problems, pointer, "unknown_type",
                     "there is no type called \"%.80s\"%s", word,
                     guess_text(&guess, buf));
}

static bool is_decimal(const json_t *out)
{
    const char *type = json_string_value(json_object_get(out, "type"));
    return type != NULL && strcmp(type, "decimal") == 0;
}

/* "precision" or "scale" beside a type. */
static void put_digits(struct build *b, const struct data_place *place,
                       json_t *out, const json_t *item, const char *at,
                       const char *key, json_int_t min, json_int_t max)
{
    const json_t *value = said(place, item, key);
    if (value == NULL)
        return;
    const char *pointer = pointer_key(b, at, key);
    json_int_t number = json_integer_value(value);
    if (!is_decimal(out))
        problems_add(b->problems, pointer, "conflicting_fields",
                     "only a decimal has a %s", key);
    else if (!json_is_integer(value))
        build_wrong_type(b, value, pointer, "a whole number");
    else if (number < min || number > max)
        problems_add(b->problems, pointer, "bad_value",
                     "this must be from %d to %d", (int)min, (int)max);
    else
        build_put(b, out, key, json_integer(number));
}

static void put_type(struct build *b, const struct data_place *place,
                     json_t *out, const json_t *item, const char *at)
{
    const json_t *type = said(place, item, "type");
    if (type != NULL) {
        const char *pointer = pointer_key(b, at, "type");
        const char *word = build_text(b, type, pointer, DATA_NAME_MAX);
        if (word != NULL && !data_put_type(b, out, word))
            unknown_type(b, word, pointer);
        /* What else there is to say belongs to a type that is known. */
        if (json_object_get(out, "type") == NULL)
            return;
    }
    put_digits(b, place, out, item, at, "precision", 1, DATA_PRECISION_MAX);
    const json_t *precision = json_object_get(out, "precision");
    if (precision == NULL && said(place, item, "scale") != NULL &&
        is_decimal(out)) {
        problems_add(b->problems, at, "missing_field",
                     "a decimal with \"scale\" needs \"precision\", the digits "
                     "of it all");
        return;
    }
    put_digits(b, place, out, item, at, "scale", 0,
               json_integer_value(precision));
}

/* ---- columns --------------------------------------------------------- */

enum out_use {
    OUT_PLAIN,
    OUT_JOIN,
    OUT_AGGREGATE,
    OUT_FILE, /* what a file has, nothing computed */
};

static enum out_use out_use_of(const struct node_kind *kind)
{
    static const struct {
        const char *kind;
        enum out_use use;
    } uses[] = {{"join", OUT_JOIN},
                {"aggregate", OUT_AGGREGATE},
                {"csv_read", OUT_FILE},
                {"jsonl_read", OUT_FILE}};
    for (size_t i = 0; i < sizeof uses / sizeof uses[0]; i++) {
        if (strcmp(uses[i].kind, kind->name) == 0)
            return uses[i].use;
    }
    return OUT_PLAIN;
}

static void put_from(struct build *b, json_t *out, const json_t *from,
                     const char *at)
{
    const char *side = json_string_value(from);
    const char *pointer = pointer_key(b, at, "from");
    if (side == NULL)
        build_wrong_type(b, from, pointer, "a string");
    else if (strcmp(side, "left") != 0 && strcmp(side, "right") != 0)
        problems_add(b->problems, pointer, "bad_value",
                     "this must be left or right");
    else if (json_object_get(out, "expression") != NULL)
        problems_add(b->problems, pointer, "conflicting_fields",
                     "in an expression every column says whose it is: left.id, "
                     "right.id");
    else
        build_put(b, out, "from", json_string(side));
}

/* Where a column comes from: a column, or an expression. */
static void put_origin(struct build *b, const struct data_place *place,
                       json_t *out, const json_t *item, const char *at,
                       enum out_use use)
{
    const json_t *column = said(place, item, "column");
    const json_t *expression = said(place, item, "expression");

    if (column != NULL && expression != NULL) {
        problems_add(b->problems, at, "conflicting_fields",
                     "this needs either \"column\" or \"expression\", not "
                     "both");
    } else if (column != NULL) {
        if (data_check_name(b, column, pointer_key(b, at, "column")) &&
            !json_equal(column, json_object_get(out, "name")))
            build_put(b, out, "column", json_string(json_string_value(column)));
    } else if (expression != NULL) {
        json_t *expr = data_read_expr(
            b, expression, use == OUT_AGGREGATE ? EXPR_AGGREGATE : EXPR_VALUE,
            pointer_key(b, at, "expression"));
        if (expr != NULL)
            build_put(b, out, "expression", expr);
    }
}

/* NULL: left out, reported. */
static json_t *read_out(struct build *b, const struct data_place *place,
                        json_t *item, const char *at)
{
    static const char *const of_file[] = {"name", "type", "precision", "scale",
                                          NULL};
    static const char *const of_join[] = {"name",  "column", "expression",
                                          "type",  "from",   "precision",
                                          "scale", NULL};
    static const char *const of_any[] = {
        "name", "column", "expression", "type", "precision", "scale", NULL};
    enum out_use use = out_use_of(place->kind);
    json_t *out = json_object();

    if (json_is_string(item)) {
        if (data_check_name(b, item, at)) {
            build_put(b, out, "name", json_string(json_string_value(item)));
            return out;
        }
    } else if (is_item(b, place, item, at, "the name of a column or an object",
                       "a column",
                       use == OUT_FILE   ? of_file
                       : use == OUT_JOIN ? of_join
                                         : of_any)) {
        bool named = put_name(b, place, out, item, at, "name", "a column");
        if (use != OUT_FILE)
            put_origin(b, place, out, item, at, use);
        put_type(b, place, out, item, at);
        const json_t *from = said(place, item, "from");
        if (from != NULL && use == OUT_JOIN)
            put_from(b, out, from, at);
        if (named)
            return out;
    }
    json_decref(out);
    return NULL;
}

json_t *data_columns(struct build *b, const struct data_place *place,
                     json_t *value)
{
    /* Columns to tell rows apart by, not columns to make. */
    if (strcmp(place->kind->name, "distinct") == 0)
        return data_names(b, place, value);
    if (!build_list(b, value, place->pointer, "columns", DATA_ITEMS_MAX))
        return NULL;
    json_t *list = json_array();
    json_t *seen = json_object();
    for (size_t i = 0; i < json_array_size(value); i++) {
        const char *at = pointer_index(b, place->pointer, i);
        json_t *out = read_out(b, place, json_array_get(value, i), at);
        const char *name = json_string_value(json_object_get(out, "name"));
        if (name != NULL)
            data_new_name(b, seen, name, at);
        if (out != NULL && json_array_append_new(list, out) != 0)
            b->no_memory = true;
    }
    json_decref(seen);
    return list;
}

json_t *data_names(struct build *b, const struct data_place *place,
                   json_t *value)
{
    if (!build_list(b, value, place->pointer, "names", DATA_ITEMS_MAX))
        return NULL;
    json_t *seen = json_object();
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *item = json_array_get(value, i);
        const char *at = pointer_index(b, place->pointer, i);
        if (data_check_name(b, item, at))
            data_new_name(b, seen, json_string_value(item), at);
    }
    json_decref(seen);
    return json_incref(value);
}

/* ---- sort ------------------------------------------------------------ */

json_t *data_by_item(struct build *b, const char *column, bool descending,
                     const char *nulls)
{
    /* As PostgreSQL: NULL is the greatest. */
    if (nulls == NULL)
        nulls = descending ? "first" : "last";
    json_t *by = json_object();
    build_put(b, by, "column", json_string(column));
    build_put(b, by, "descending", json_boolean(descending));
    build_put(b, by, "nulls", json_string(nulls));
    return by;
}

/* NULL: left out, reported. */
static json_t *read_by(struct build *b, const struct data_place *place,
                       json_t *item, const char *at)
{
    static const char *const known[] = {"column", "descending", "nulls", NULL};

    if (json_is_string(item))
        return data_check_name(b, item, at)
                   ? data_by_item(b, json_string_value(item), false, NULL)
                   : NULL;
    if (!is_item(b, place, item, at, "the name of a column or an object",
                 "a column to sort by", known))
        return NULL;
    json_t *name = json_object();
    bool named = put_name(b, place, name, item, at, "column", "a column");
    const char *column = json_string_value(json_object_get(name, "column"));
    const json_t *descending = said(place, item, "descending");
    const json_t *nulls = said(place, item, "nulls");
    const char *word = json_string_value(nulls);

    if (descending != NULL && !json_is_boolean(descending))
        build_wrong_type(b, descending, pointer_key(b, at, "descending"),
                         "true or false");
    if (nulls != NULL && word == NULL)
        build_wrong_type(b, nulls, pointer_key(b, at, "nulls"), "a string");
    else if (word != NULL && strcmp(word, "first") != 0 &&
             strcmp(word, "last") != 0)
        problems_add(b->problems, pointer_key(b, at, "nulls"), "bad_value",
                     "this must be first or last");
    json_t *by = named && column != NULL
                     ? data_by_item(b, column, json_is_true(descending), word)
                     : NULL;
    json_decref(name);
    return by;
}

json_t *data_by(struct build *b, const struct data_place *place, json_t *value)
{
    if (!build_list(b, value, place->pointer, "columns", DATA_ITEMS_MAX))
        return NULL;
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(value); i++) {
        json_t *by = read_by(b, place, json_array_get(value, i),
                             pointer_index(b, place->pointer, i));
        if (by != NULL && json_array_append_new(list, by) != 0)
            b->no_memory = true;
    }
    return list;
}

/* ---- join ------------------------------------------------------------ */

/* NULL: left out, reported. */
static json_t *read_on(struct build *b, const struct data_place *place,
                       json_t *item, const char *at)
{
    static const char *const known[] = {"left", "right", "operator", NULL};

    if (!is_item(b, place, item, at, "an object with \"left\" and \"right\"",
                 "a pair of columns", known))
        return NULL;
    json_t *on = json_object();
    bool whole =
        put_name(b, place, on, item, at, "left", "a column of the first input");
    whole = put_name(b, place, on, item, at, "right",
                     "a column of the second input") &&
            whole;
    const json_t *written = said(place, item, "operator");
    const char *sign = written == NULL ? "=" : json_string_value(written);
    if (sign != NULL)
        sign = data_operator(sign);
    if (sign == NULL)
        problems_add(b->problems, pointer_key(b, at, "operator"), "bad_value",
                     "this must be =, !=, <, <=, > or >=");
    else
        build_put(b, on, "operator", json_string(sign));
    if (whole && sign != NULL)
        return on;
    json_decref(on);
    return NULL;
}

json_t *data_on(struct build *b, const struct data_place *place, json_t *value)
{
    if (!build_list(b, value, place->pointer, "pairs of columns",
                    DATA_ITEMS_MAX))
        return NULL;
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(value); i++) {
        json_t *on = read_on(b, place, json_array_get(value, i),
                             pointer_index(b, place->pointer, i));
        if (on != NULL && json_array_append_new(list, on) != 0)
            b->no_memory = true;
    }
    return list;
}
