/*
 * fuzz_expr.c - any bytes as an expression, for both uses. Beyond "does not
 * crash" it checks what agents rely on: a tree has the ops of policy/expr.h
 * with operands of their kinds, within the limits; and what people rely on: an
 * error has a place in the text and a clean sentence. The same text gives the
 * same answer, and white space around it changes nothing.
 */
#include "policy/expr.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define EXPECT(what)                                                           \
    do {                                                                       \
        if (!(what))                                                           \
            abort();                                                           \
    } while (0)

struct seen {
    size_t nodes;
    bool aggregates; /* may stand here */
};

/* Operands that are nodes: from the first on, so many. */
static const struct shape {
    const char *op;
    size_t min, max;
} shapes[] = {
    {"neg", 1, 1},       {"add", 2, 2},      {"sub", 2, 2},
    {"mul", 2, 2},       {"div", 2, 2},      {"mod", 2, 2},
    {"concat", 2, 2},    {"eq", 2, 2},       {"ne", 2, 2},
    {"lt", 2, 2},        {"le", 2, 2},       {"gt", 2, 2},
    {"ge", 2, 2},        {"distinct", 2, 2}, {"and", 2, SIZE_MAX},
    {"or", 2, SIZE_MAX}, {"not", 1, 1},      {"isnull", 1, 1},
    {"in", 2, SIZE_MAX}, {"between", 3, 3},  {"like", 2, 3},
    {"ilike", 2, 3},
};

static size_t check(const json_t *tree, struct seen *seen);

static size_t check_from(const json_t *tree, size_t first, struct seen *seen)
{
    size_t deepest = 0;
    for (size_t i = first; i < json_array_size(tree); i++) {
        size_t depth = check(json_array_get(tree, i), seen);
        deepest = depth > deepest ? depth : deepest;
    }
    return deepest + 1;
}

static const struct expr_function *function_of(const json_t *tree)
{
    size_t count;
    const struct expr_function *functions = expr_functions(&count);
    const char *name = json_string_value(json_array_get(tree, 1));
    EXPECT(name != NULL);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(functions[i].name, name) == 0)
            return &functions[i];
    }
    abort();
}

static void check_number(const char *text)
{
    size_t whole = strspn(text, "0123456789");
    EXPECT(whole > 0 && (whole == 1 || text[0] != '0'));
    if (text[whole] == '.') {
        size_t behind = strspn(text + whole + 1, "0123456789");
        EXPECT(behind > 0);
        whole += 1 + behind;
    }
    EXPECT(text[whole] == '\0' && whole <= 1001);
}

static size_t check_literal(const json_t *tree, const char *op)
{
    const json_t *value = json_array_get(tree, 1);
    size_t size = json_array_size(tree);
    if (strcmp(op, "null") == 0) {
        EXPECT(size == 1);
    } else if (strcmp(op, "int") == 0) {
        EXPECT(size == 2 && json_is_integer(value));
        EXPECT(json_integer_value(value) >= 0);
    } else if (strcmp(op, "bool") == 0) {
        EXPECT(size == 2 && json_is_boolean(value));
    } else if (strcmp(op, "dec") == 0) {
        EXPECT(size == 2 && json_is_string(value));
        check_number(json_string_value(value));
    } else if (strcmp(op, "col") == 0) {
        EXPECT(size == 2 || size == 3);
        for (size_t i = 1; i < size; i++)
            EXPECT(json_string_length(json_array_get(tree, i)) > 0);
    } else if (strcmp(op, "text") == 0) {
        EXPECT(size == 2 && json_is_string(value));
    } else {
        size_t bytes = json_string_length(value);
        EXPECT(size == 2 && json_is_string(value));
        if (strcmp(op, "date") == 0)
            EXPECT(bytes == 10);
        else if (strcmp(op, "timestamp") == 0)
            EXPECT(bytes >= 19 && bytes <= 26);
        else if (strcmp(op, "timestamptz") == 0)
            EXPECT(bytes >= 22 && bytes <= 32);
        else
            return 0;
    }
    return 1;
}

static size_t check_cast(const json_t *tree, struct seen *seen)
{
    int precision, scale;
    const char *type = json_string_value(json_array_get(tree, 2));
    size_t size = json_array_size(tree);
    EXPECT(type != NULL &&
           strcmp(expr_type(type, &precision, &scale), type) == 0);
    EXPECT(size == 3 || (size == 5 && strcmp(type, "decimal") == 0));
    if (size == 5) {
        json_int_t digits = json_integer_value(json_array_get(tree, 3));
        json_int_t behind = json_integer_value(json_array_get(tree, 4));
        EXPECT(digits >= 1 && digits <= 1000);
        EXPECT(behind >= 0 && behind <= digits);
    }
    return check(json_array_get(tree, 1), seen) + 1;
}

static size_t check_case(const json_t *tree, struct seen *seen)
{
    const json_t *pairs = json_array_get(tree, 1);
    size_t deepest = check(json_array_get(tree, 2), seen);
    EXPECT(json_array_size(tree) == 3 && json_array_size(pairs) > 0);
    for (size_t i = 0; i < json_array_size(pairs); i++) {
        const json_t *pair = json_array_get(pairs, i);
        EXPECT(json_array_size(pair) == 2);
        size_t depth = check_from(pair, 0, seen) - 1;
        deepest = depth > deepest ? depth : deepest;
    }
    return deepest + 1;
}

static size_t check_aggregate(const json_t *tree, struct seen *seen)
{
    const struct expr_function *function = function_of(tree);
    const json_t *distinct = json_array_get(tree, 2);
    EXPECT(function->aggregate && seen->aggregates);
    EXPECT(json_is_boolean(distinct));
    if (json_array_size(tree) == 3)
        EXPECT(strcmp(function->name, "count") == 0 && json_is_false(distinct));
    else
        EXPECT(json_array_size(tree) == 4);
    seen->aggregates = false;
    size_t depth = check_from(tree, 3, seen);
    seen->aggregates = true;
    return depth;
}

/* The depth. */
static size_t check(const json_t *tree, struct seen *seen)
{
    const char *op = json_string_value(json_array_get(tree, 0));
    EXPECT(op != NULL);
    seen->nodes++;

    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        size_t operands = json_array_size(tree) - 1;
        if (strcmp(shapes[i].op, op) != 0)
            continue;
        EXPECT(operands >= shapes[i].min && operands <= shapes[i].max);
        if (strcmp(op, "and") == 0 || strcmp(op, "or") == 0) {
            for (size_t j = 1; j <= operands; j++) {
                const json_t *part = json_array_get(tree, j);
                const json_t *inner = json_array_get(part, 0);
                EXPECT(strcmp(json_string_value(inner), op) != 0);
            }
        }
        return check_from(tree, 1, seen);
    }
    if (strcmp(op, "cast") == 0)
        return check_cast(tree, seen);
    if (strcmp(op, "case") == 0)
        return check_case(tree, seen);
    if (strcmp(op, "agg") == 0)
        return check_aggregate(tree, seen);
    if (strcmp(op, "call") == 0) {
        const struct expr_function *function = function_of(tree);
        size_t args = json_array_size(tree) - 2;
        EXPECT(!function->aggregate);
        EXPECT(args >= (size_t)function->args_min);
        EXPECT(args <= (size_t)function->args_max);
        return check_from(tree, 2, seen);
    }
    size_t depth = check_literal(tree, op);
    EXPECT(depth > 0);
    return depth;
}

static void check_error(const struct expr_error *error, size_t size)
{
    json_t *what = json_string(error->what);
    EXPECT(what != NULL); /* NULL: not UTF-8 */
    json_decref(what);
    EXPECT(error->what[0] != '\0');
    EXPECT(memchr(error->what, '\0', EXPR_WHAT_MAX) != NULL);
    for (const char *c = error->what; *c != '\0'; c++)
        EXPECT((unsigned char)*c >= 0x20);
    EXPECT(error->line >= 1 && error->line <= size + 1);
    EXPECT(error->column >= 1 && error->column <= size + 1);
}

static json_t *parse(const char *text, size_t size, enum expr_use use,
                     struct expr_error *error)
{
    json_t *tree = NULL;
    memset(error, 0, sizeof *error);
    int rc = expr_parse(text, size, use, &tree, error);
    EXPECT((rc == 0) == (tree != NULL));
    if (rc != 0) {
        EXPECT(rc == -EINVAL);
        check_error(error, size);
    }
    return tree;
}

static void parse_both_ways(const uint8_t *data, size_t size, enum expr_use use)
{
    static const char around[] = " \xc2\xa0\n";
    enum { AROUND = sizeof around - 1 };
    struct expr_error error, again_error;
    char *exact = malloc(size + 1); /* ASan watches the end of the text */
    char *padded = malloc(size + 2 * AROUND);
    EXPECT(exact != NULL && padded != NULL);
    exact = realloc(exact, size > 0 ? size : 1);
    if (size > 0)
        memcpy(exact, data, size);

    json_t *tree = parse(exact, size, use, &error);
    json_t *again = parse(exact, size, use, &again_error);
    EXPECT((tree == NULL) == (again == NULL));
    if (tree == NULL) {
        EXPECT(memcmp(&error, &again_error, sizeof error) == 0);
    } else {
        struct seen seen = {.aggregates = use == EXPR_AGGREGATE};
        EXPECT(json_equal(tree, again));
        EXPECT(check(tree, &seen) <= EXPR_DEPTH_MAX);
        EXPECT(seen.nodes <= EXPR_NODES_MAX);
        if (size + 2 * AROUND <= EXPR_BYTES_MAX) {
            memcpy(padded, around, AROUND);
            memcpy(padded + AROUND, data, size);
            memcpy(padded + AROUND + size, around, AROUND);
            json_t *same = parse(padded, size + 2 * AROUND, use, &error);
            EXPECT(same != NULL && json_equal(tree, same));
            json_decref(same);
        }
    }
    json_decref(again);
    json_decref(tree);
    free(padded);
    free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char name[100];
    int precision, scale;
    size_t used = size < sizeof name - 1 ? size : sizeof name - 1;
    if (used > 0)
        memcpy(name, data, used);
    name[used] = '\0';
    expr_type(name, &precision, &scale);

    parse_both_ways(data, size, EXPR_VALUE);
    parse_both_ways(data, size, EXPR_AGGREGATE);
    return 0;
}
