/*
 * workflow_v1_filter.c - the predicates of a filter of
 * connectionInformation_v1.
 *
 * They stand in three places, and often in two of them at once: at the columns
 * of the source, in the list of transformations, in the list of conditions. All
 * of them have to hold; the same one twice counts once.
 */
#include "policy/workflow_v1.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct predicates {
    json_t *seen;
    json_t *operands; /* of the "and" */
    char *text;       /* joined with " and ", in scratch */
    size_t used, room;
};

/* ---- one predicate --------------------------------------------------- */

static void append_text(struct build *b, struct predicates *all,
                        const char *text, size_t bytes)
{
    if (bytes == 0)
        return;
    if (all->text == NULL || all->used + bytes + 1 > all->room) {
        size_t room = 2 * (all->used + bytes + 1);
        char *grown = workflow_alloc(b->scratch, room);
        if (grown == NULL) {
            b->no_memory = true;
            return;
        }
        if (all->used > 0)
            memcpy(grown, all->text, all->used);
        all->text = grown;
        all->room = room;
    }
    memcpy(all->text + all->used, text, bytes);
    all->used += bytes;
}

static bool is_op(const json_t *tree, const char *op)
{
    const char *head = json_string_value(json_array_get(tree, 0));
    return head != NULL && strcmp(head, op) == 0;
}

/* `added` characters at the start of text are not the document's. */
static void add_predicate(struct build *b, struct v1_node *v1,
                          struct predicates *all, const char *text,
                          size_t bytes, size_t added, const char *at)
{
    const char *trimmed = text;
    size_t trimmed_bytes = bytes;
    build_trim(&trimmed, &trimmed_bytes);
    char *key = workflow_alloc(b->scratch, trimmed_bytes + 1);
    if (key == NULL) {
        b->no_memory = true;
        return;
    }
    memcpy(key, trimmed, trimmed_bytes);
    if (json_object_get(all->seen, key) != NULL)
        return;
    build_put(b, all->seen, key, json_true());
    v1_note_done(b, v1, text, bytes);

    json_t *tree = data_tree(b, text, bytes, added, EXPR_VALUE, at);
    if (tree == NULL)
        return;
    bool is_or = is_op(tree, "or");
    if (all->used > 0)
        append_text(b, all, " and ", 5);
    append_text(b, all, "(", is_or);
    append_text(b, all, trimmed, trimmed_bytes);
    append_text(b, all, ")", is_or);
    /* "and" is flat in a tree. */
    if (is_op(tree, "and")) {
        for (size_t i = 1; i < json_array_size(tree); i++)
            v1_append(b, all->operands, json_incref(json_array_get(tree, i)));
    } else {
        v1_append(b, all->operands, json_incref(tree));
    }
    json_decref(tree);
}

/* A comparison whose left side is left out: "> 4", "in (1, 2)". No whole
 * expression begins like that. */
static bool is_bare(const char *text, size_t bytes)
{
    static const char *const words[] = {"like",      "ilike",  "in",
                                        "between",   "is",     "not like",
                                        "not ilike", "not in", "not between"};
    build_trim(&text, &bytes);
    if (bytes > 0 && strchr("=<>!", text[0]) != NULL)
        return true;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t length = strlen(words[i]);
        if (bytes > length && strncasecmp(text, words[i], length) == 0 &&
            strchr(" \t\r\n('", text[length]) != NULL)
            return true;
    }
    return false;
}

/* The text as it is, or with the column before it. */
static void add_text(struct build *b, struct v1_node *v1,
                     struct predicates *all, const char *column,
                     const char *text, size_t bytes, const char *at)
{
    if (column == NULL || !is_bare(text, bytes)) {
        add_predicate(b, v1, all, text, bytes, 0, at);
        return;
    }
    v1_note_done(b, v1, text, bytes);
    size_t room = 2 * strlen(column) + bytes + 4;
    char *whole = workflow_alloc(b->scratch, room);
    if (whole == NULL) {
        b->no_memory = true;
        return;
    }
    char *out = whole;
    size_t added = 3; /* characters: two quotes and a blank */
    *out++ = '"';
    for (const char *c = column; *c != '\0'; c++) {
        if (*c == '"') {
            *out++ = '"';
            added++;
        }
        added += ((unsigned char)*c & 0xc0) != 0x80;
        *out++ = *c;
    }
    *out++ = '"';
    *out++ = ' ';
    memcpy(out, text, bytes);
    out += bytes;
    add_predicate(b, v1, all, whole, (size_t)(out - whole), added, at);
}

/* ---- conditions ------------------------------------------------------ */

/* The other value of a comparison, printed as a literal; false: it has none. */
static bool put_literal(FILE *out, const json_t *value)
{
    if (json_is_string(value)) {
        fputc('\'', out);
        for (const char *c = json_string_value(value); *c != '\0'; c++) {
            if (*c == '\'')
                fputc('\'', out);
            fputc(*c, out);
        }
        fputc('\'', out);
        return true;
    }
    if (json_is_number(value) || json_is_boolean(value)) {
        char *text =
            json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
        if (text != NULL)
            fputs(text, out);
        free(text);
        return text != NULL;
    }
    return false;
}

/* "a, b" between what stands around them. */
static bool put_literals(FILE *out, const json_t *values, const char *between)
{
    size_t i;
    const json_t *value;
    json_array_foreach(values, i, value) {
        if (i > 0)
            fputs(between, out);
        if (!put_literal(out, value))
            return false;
    }
    return json_array_size(values) > 0;
}

static void put_quoted(FILE *out, const char *name)
{
    fputc('"', out);
    for (const char *c = name; *c != '\0'; c++) {
        if (*c == '"')
            fputc('"', out);
        fputc(*c, out);
    }
    fputc('"', out);
}

/* column, operator, value as the text of an expression; false: they make
 * none. */
static bool put_condition(FILE *out, const char *column, const char *written,
                          const char *word, const json_t *value)
{
    static const char *const lists[][3] = {
        {"in", " in (", ", "},
        {"notin", " not in (", ", "},
    };
    const char *dot = strrchr(column, '.');
    if (dot != NULL && dot > column && dot[1] != '\0') {
        const char *table = column;
        for (const char *c = column; c < dot; c++) {
            if (*c == '.')
                table = c + 1; /* a schema before the table says no more */
        }
        char *copy = strndup(table, (size_t)(dot - table));
        if (copy == NULL)
            return false;
        put_quoted(out, copy);
        fputc('.', out);
        free(copy);
        column = dot + 1;
    }
    put_quoted(out, column);

    const char *sign = data_operator(written);
    bool negated = sign != NULL && strcmp(sign, "!=") == 0;
    if (json_is_null(value) && sign != NULL &&
        (negated || strcmp(sign, "=") == 0)) {
        fprintf(out, negated ? " is not null" : " is null");
        return true;
    }
    if (sign != NULL) {
        fprintf(out, " %s ", sign);
        return put_literal(out, value);
    }
    if (strcmp(word, "isnull") == 0 || strcmp(word, "isnotnull") == 0) {
        fprintf(out, strcmp(word, "isnull") == 0 ? " is null" : " is not null");
        return true;
    }
    if (strcmp(word, "like") == 0 || strcmp(word, "ilike") == 0 ||
        strcmp(word, "notlike") == 0 || strcmp(word, "notilike") == 0) {
        bool is_not = strncmp(word, "not", 3) == 0;
        fprintf(out, " %s%s ", is_not ? "not " : "", word + (is_not ? 3 : 0));
        return put_literal(out, value);
    }
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        if (strcmp(word, lists[i][0]) != 0)
            continue;
        fputs(lists[i][1], out);
        bool whole = put_literals(out, value, lists[i][2]);
        fputc(')', out);
        return whole;
    }
    if (strcmp(word, "between") == 0 && json_array_size(value) == 2) {
        fputs(" between ", out);
        return put_literals(out, value, " and ");
    }
    return false;
}

static void add_condition(struct build *b, struct v1_node *v1,
                          struct predicates *all, const json_t *item,
                          const char *column, const char *at)
{
    const char *written = json_string_value(json_object_get(item, "operator"));
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    if (out == NULL) {
        b->no_memory = true;
        return;
    }
    bool whole = put_condition(out, column, written != NULL ? written : "",
                               v1_word(b, item, "operator"),
                               json_object_get(item, "value"));
    bool failed = fclose(out) != 0;
    if (failed) {
        b->no_memory = true;
    } else if (!whole) {
        problems_add(b->problems, at, "bad_value",
                     "a condition is a column, an operator (=, !=, <, <=, >, "
                     ">=, like, in, between, is null and the like) and a "
                     "\"value\" that goes with it");
    } else {
        /* The text outlives this in what has been seen and in the end. */
        char *copy = workflow_alloc(b->scratch, bytes + 1);
        b->no_memory = b->no_memory || copy == NULL;
        if (copy != NULL)
            add_predicate(b, v1, all, memcpy(copy, text, bytes), bytes, bytes,
                          at);
    }
    free(text);
}

/* Conditions are combined with AND; a document that says otherwise must not be
 * taken to say that. */
static bool says_or(struct build *b, const json_t *item, const char *at)
{
    static const char *const keys[] = {"logic",           "logical",
                                       "logicalOperator", "logical_operator",
                                       "conjunction",     "combinator"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (strcmp(v1_word(b, item, keys[i]), "or") != 0)
            continue;
        problems_add(b->problems, pointer_key(b, at, keys[i]), "bad_value",
                     "conditions are combined with AND; write those that are "
                     "alternatives as one expression with \"or\"");
        return true;
    }
    return false;
}

static void read_condition(struct build *b, struct v1_node *v1,
                           struct predicates *all, json_t *item, const char *at)
{
    static const char *const texts[] = {"expression", "condition", "value"};
    const char *text_at = at;
    const char *text = NULL;
    size_t bytes = 0;

    if (json_is_string(item)) {
        bytes = json_string_length(item);
        text = json_string_value(item);
        add_text(b, v1, all, NULL, text, bytes, at);
        return;
    }
    if (!json_is_object(item)) {
        build_wrong_type(b, item, at, "an expression or an object");
        return;
    }
    if (says_or(b, item, at))
        return;
    const char *column = v1_name(b, item, at, "column");
    if (column == NULL)
        column = v1_name(b, item, at, "source_column");
    if (column != NULL && v1_word(b, item, "operator")[0] != '\0') {
        add_condition(b, v1, all, item, column, at);
        return;
    }
    for (size_t i = 0; i < sizeof texts / sizeof texts[0] && text == NULL; i++)
        text = v1_expression(b, item, at, texts[i], &bytes, &text_at);
    if (text != NULL)
        add_text(b, v1, all, column, text, bytes, text_at);
}

static void read_conditions(struct build *b, struct v1_node *v1,
                            struct predicates *all)
{
    json_t *said = json_object_get(v1->transformations, "conditions");
    const char *at;
    size_t i;
    json_t *item;

    if (json_is_string(said)) {
        at = pointer_key(b, v1->transformations_at, "conditions");
        const char *text = json_string_value(said);
        size_t bytes = json_string_length(said);
        build_trim(&text, &bytes);
        if (bytes > 0)
            read_condition(b, v1, all, said, at);
        return;
    }
    json_t *list = v1_part(b, v1->transformations, v1->transformations_at,
                           "conditions", true, &at);
    if (list == NULL || !build_list(b, list, at, "conditions", DATA_ITEMS_MAX))
        return;
    json_array_foreach(list, i, item) {
        const char *item_at = pointer_index(b, at, i);
        const char *text = json_string_value(item);
        size_t bytes = json_string_length(item);
        if (text != NULL)
            build_trim(&text, &bytes);
        if (!json_is_null(item) && (text == NULL || bytes > 0))
            read_condition(b, v1, all, item, item_at);
    }
}

/* ---- all together ---------------------------------------------------- */

void v1_filter(struct build *b, struct v1_node *v1)
{
    struct predicates all = {.seen = json_object(), .operands = json_array()};

    for (size_t i = 0; i < v1->column_count; i++) {
        const struct v1_column *column = &v1->columns[i];
        if (column->text != NULL)
            add_text(b, v1, &all, column->from, column->text, column->bytes,
                     column->text_at);
    }
    read_conditions(b, v1, &all);

    size_t count = json_array_size(all.operands);
    json_t *tree;
    if (count == 0) {
        /* Nothing is filtered out. */
        all.used = 0;
        append_text(b, &all, "true", 4);
        tree = json_pack("[s, b]", "bool", 1);
    } else if (count == 1) {
        tree = json_incref(json_array_get(all.operands, 0));
    } else {
        tree = json_incref(all.operands);
        if (json_array_insert_new(tree, 0, json_string("and")) != 0)
            b->no_memory = true;
    }
    if (all.used > EXPR_BYTES_MAX)
        problems_add(b->problems, v1->transformations_at, "too_long",
                     "the predicates of this filter have %zu bytes together, "
                     "at most %d are allowed",
                     all.used, EXPR_BYTES_MAX);
    if (tree == NULL || all.text == NULL) {
        b->no_memory = true;
        json_decref(tree);
    } else {
        build_put(b, v1->config, "where",
                  data_expr(b, all.text, all.used, tree));
    }
    json_decref(all.seen);
    json_decref(all.operands);
}
