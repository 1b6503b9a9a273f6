/*
 * expr.c - trees of JSON to typed trees (expr.h).
 *
 * The JSON comes from outside: every node is checked for its operator, the
 * number and kind of its operands, depth and count before it is believed.
 */
#include "agents/expr_inside.h"

#include "agents/values.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A tree has at most 200 levels: expr_read() sees to it. */
/* NOLINTBEGIN(misc-no-recursion) */

enum { DEPTH_MAX = 200, NODES_MAX = 20000 };

/* ---- nodes ----------------------------------------------------------- */

struct expr *expr_node(enum expr_op op, size_t room)
{
    struct expr *expr = calloc(1, sizeof *expr);

    if (!expr)
        return NULL;
    expr->op = op;
    expr->precision = expr->scale = -1;
    if (room > 0) {
        expr->args = calloc(room, sizeof(struct expr *));
        if (!expr->args) {
            free(expr);
            return NULL;
        }
    }
    return expr;
}

void expr_drop(struct expr *expr)
{
    if (!expr)
        return;
    for (size_t i = 0; i < expr->count; i++)
        expr_drop(expr->args[i]);
    free(expr->args);
    free(expr->text);
    free(expr->alias);
    free(expr->native);
    free(expr);
}

size_t expr_columns(const struct expr *expr)
{
    size_t count = expr->op == OP_COLUMN ? 1 : 0;

    for (size_t i = 0; i < expr->count; i++)
        count += expr_columns(expr->args[i]);
    return count;
}

void expr_free(struct expr **expr_p)
{
    expr_drop(*expr_p);
    *expr_p = NULL;
}

bool maker_fail(struct expr_maker *maker, const char *fmt, ...)
{
    va_list args;

    if (maker->error)
        return false;
    maker->error = -EINVAL;
    va_start(args, fmt);
    int len = vsnprintf(maker->why, EXPR_WHY_MAX, fmt, args);
    va_end(args);
    if (len >= EXPR_WHY_MAX) {
        size_t end = EXPR_WHY_MAX - 4;
        while (end > 0 && ((unsigned char)maker->why[end] & 0xC0) == 0x80)
            end--;
        memcpy(maker->why + end, "...", 4);
    }
    return false;
}

bool maker_no_memory(struct expr_maker *maker)
{
    maker->error = -ENOMEM;
    snprintf(maker->why, EXPR_WHY_MAX, "no memory");
    return false;
}

static bool damaged(struct expr_maker *maker, const char *what)
{
    return maker_fail(maker, "the plan's expression is damaged: %s", what);
}

/* ---- JSON ------------------------------------------------------------ */

/* A string operand, without NUL and in UTF-8. */
static const char *string_at(struct expr_maker *maker, const json_t *tree,
                             size_t i)
{
    const json_t *item = json_array_get(tree, i);
    const char *string = json_string_value(item);

    if (!string) {
        damaged(maker, "a text is missing");
        return NULL;
    }
    if (!value_utf8(string, json_string_length(item))) {
        damaged(maker, "a text is not UTF-8 or has a NUL");
        return NULL;
    }
    return string;
}

static struct expr *read_node(struct expr_maker *maker, const json_t *tree,
                              size_t depth);

static struct expr *literal(struct expr_maker *maker, enum type type)
{
    struct expr *expr = expr_node(OP_LITERAL, 0);

    if (!expr) {
        maker_no_memory(maker);
        return NULL;
    }
    expr->type = type;
    return expr;
}

/* Text, checked and normalised if it is of another type. */
static struct expr *read_text(struct expr_maker *maker, const json_t *tree,
                              enum type type)
{
    const char *string = string_at(maker, tree, 1);
    struct expr *expr = string ? literal(maker, TYPE_TEXT) : NULL;

    if (!expr)
        return NULL;
    expr->text = strdup(string);
    expr->len = strlen(string);
    expr->untyped = true;
    if (!expr->text)
        maker_no_memory(maker);
    else if (type == TYPE_TEXT || expr_convert(maker, &expr, type))
        return expr;
    expr_drop(expr);
    return NULL;
}

static struct expr *read_column(struct expr_maker *maker, const json_t *tree)
{
    const char *name = string_at(maker, tree, 1);
    const char *qualifier =
        name && json_array_size(tree) > 2 ? string_at(maker, tree, 2) : NULL;

    return maker->error ? NULL : expr_find_column(maker, name, qualifier);
}

static struct expr *read_value(struct expr_maker *maker, const json_t *tree,
                               enum type type)
{
    const json_t *item = json_array_get(tree, 1);
    struct expr *expr = NULL;

    if (type == TYPE_NULL) {
        expr = literal(maker, TYPE_NULL);
        if (expr)
            expr->null = true;
        return expr;
    }
    if (type != TYPE_INTEGER && type != TYPE_BOOLEAN)
        return read_text(maker, tree, type);
    if (type == TYPE_INTEGER ? !json_is_integer(item)
                             : !json_is_boolean(item)) {
        damaged(maker, "a literal is not of its type");
        return NULL;
    }
    expr = literal(maker, type);
    if (expr)
        expr->integer = type == TYPE_INTEGER ? (int64_t)json_integer_value(item)
                                             : json_is_true(item);
    return expr;
}

/* The operands from `from` on become arguments of expr, which is dropped on
 * failure. */
static bool read_args(struct expr_maker *maker, struct expr *expr,
                      const json_t *tree, size_t from, size_t depth)
{
    for (size_t i = from; expr->args && i < json_array_size(tree); i++) {
        struct expr *arg = read_node(maker, json_array_get(tree, i), depth + 1);
        if (!arg)
            return false;
        expr->args[expr->count++] = arg;
    }
    return true;
}

static struct expr *new_node(struct expr_maker *maker, enum expr_op op,
                             size_t room)
{
    struct expr *expr = expr_node(op, room);

    if (!expr)
        maker_no_memory(maker);
    return expr;
}

static bool read_case(struct expr_maker *maker, struct expr *expr,
                      const json_t *tree, size_t depth)
{
    const json_t *whens = json_array_get(tree, 1);

    for (size_t i = 0; i < json_array_size(whens); i++) {
        const json_t *when = json_array_get(whens, i);
        if (json_array_size(when) != 2)
            return damaged(maker, "a case without a condition and a value");
        if (!read_args(maker, expr, when, 0, depth) ||
            !expr_condition(maker, &expr->args[2 * i]))
            return false;
    }
    if (!read_args(maker, expr, tree, 2, depth))
        return false;
    /* Values stand at 1, 3, ... and the last one at the end: moved beside
     * each other for the common type, and back. */
    size_t count = expr->count / 2 + 1;
    struct expr **values = calloc(count, sizeof(struct expr *));
    if (!values)
        return maker_no_memory(maker);
    for (size_t i = 0; i + 1 < count; i++)
        values[i] = expr->args[2 * i + 1];
    values[count - 1] = expr->args[expr->count - 1];
    bool good =
        expr_common(maker, values, count, 1, "mix in one case", &expr->type);
    for (size_t i = 0; i + 1 < count; i++)
        expr->args[2 * i + 1] = values[i];
    expr->args[expr->count - 1] = values[count - 1];
    free(values);
    return good;
}

static bool read_cast(struct expr_maker *maker, struct expr **expr_p,
                      const json_t *tree, size_t depth)
{
    struct column to = {.precision = -1, .scale = -1};
    const char *word = string_at(maker, tree, 2);
    size_t size = json_array_size(tree);

    if (!word)
        return false;
    if (!type_find(word, &to.type))
        return damaged(maker, "a cast to no type that there is");
    if (size > 3) {
        const json_t *precision = json_array_get(tree, 3);
        const json_t *scale = json_array_get(tree, 4);
        if (to.type != TYPE_DECIMAL || !json_is_integer(precision) ||
            (scale && !json_is_integer(scale)))
            return damaged(maker, "a cast with limits that are none");
        json_int_t p = json_integer_value(precision);
        json_int_t s = json_integer_value(scale);
        if (p == -1 && s <= 0) {
            s = -1;
        } else if (p < 1 || p > DECIMAL_DIGITS_MAX || s > p) {
            return maker_fail(maker,
                              "a decimal has 1 to %d digits, and no more of "
                              "them behind the point",
                              DECIMAL_DIGITS_MAX);
        }
        to.precision = (int)p;
        to.scale = s < 0 && p > 0 ? 0 : (int)s;
    }
    struct expr *arg = read_node(maker, json_array_get(tree, 1), depth + 1);
    if (!arg)
        return false;
    bool good = expr_convert_explicit(maker, &arg, &to, false);
    *expr_p = arg;
    return good;
}

static bool read_call(struct expr_maker *maker, struct expr *expr,
                      const json_t *tree, size_t depth)
{
    const char *name = string_at(maker, tree, 1);

    return name && read_args(maker, expr, tree, 2, depth) &&
           expr_type_call(maker, expr, name);
}

static bool read_aggregate(struct expr_maker *maker, struct expr *expr,
                           const json_t *tree, size_t depth)
{
    const char *name = string_at(maker, tree, 1);
    const json_t *distinct = json_array_get(tree, 2);

    if (!name)
        return false;
    if (!json_is_boolean(distinct))
        return damaged(maker, "an aggregate that does not say distinct or not");
    if (!maker->aggregate)
        return maker_fail(maker,
                          "%.30s() is an aggregate function: it belongs into "
                          "an aggregate node",
                          name);
    if (maker->in_aggregate)
        return maker_fail(maker,
                          "%.30s() stands inside of another aggregate "
                          "function; use two aggregate nodes",
                          name);
    expr->distinct = json_is_true(distinct);
    maker->in_aggregate = true;
    bool good = read_args(maker, expr, tree, 3, depth);
    maker->in_aggregate = false;
    return good && expr_type_call(maker, expr, name);
}

/* ---- the table of operators ------------------------------------------ */

enum form {
    FORM_COLUMN,
    FORM_VALUE,
    FORM_NEG,
    FORM_ARITHMETIC,
    FORM_CONCAT,
    FORM_COMPARE,
    FORM_CONDITIONS,
    FORM_ISNULL,
    FORM_LIKE,
    FORM_CASE,
    FORM_CAST,
    FORM_CALL,
    FORM_AGGREGATE,
};

static const struct word {
    const char *word;
    enum form form;
    enum expr_op op;
    size_t min, max; /* operands; 0: any number */
    enum type type;  /* of a value */
} words[] = {
    {"col", FORM_COLUMN, OP_COLUMN, 1, 2, TYPE_NULL},
    {"int", FORM_VALUE, OP_LITERAL, 1, 1, TYPE_INTEGER},
    {"dec", FORM_VALUE, OP_LITERAL, 1, 1, TYPE_DECIMAL},
    {"text", FORM_VALUE, OP_LITERAL, 1, 1, TYPE_TEXT},
    {"bool", FORM_VALUE, OP_LITERAL, 1, 1, TYPE_BOOLEAN},
    {"null", FORM_VALUE, OP_LITERAL, 0, 0, TYPE_NULL},
    {"date", FORM_VALUE, OP_LITERAL, 1, 1, TYPE_DATE},
    {"timestamp", FORM_VALUE, OP_LITERAL, 1, 1, TYPE_TIMESTAMP},
    {"timestamptz", FORM_VALUE, OP_LITERAL, 1, 1, TYPE_TIMESTAMPTZ},
    {"neg", FORM_NEG, OP_NEG, 1, 1, TYPE_NULL},
    {"add", FORM_ARITHMETIC, OP_ADD, 2, 2, TYPE_NULL},
    {"sub", FORM_ARITHMETIC, OP_SUB, 2, 2, TYPE_NULL},
    {"mul", FORM_ARITHMETIC, OP_MUL, 2, 2, TYPE_NULL},
    {"div", FORM_ARITHMETIC, OP_DIV, 2, 2, TYPE_NULL},
    {"mod", FORM_ARITHMETIC, OP_MOD, 2, 2, TYPE_NULL},
    {"concat", FORM_CONCAT, OP_CONCAT, 2, 2, TYPE_NULL},
    {"eq", FORM_COMPARE, OP_EQ, 2, 2, TYPE_NULL},
    {"ne", FORM_COMPARE, OP_NE, 2, 2, TYPE_NULL},
    {"lt", FORM_COMPARE, OP_LT, 2, 2, TYPE_NULL},
    {"le", FORM_COMPARE, OP_LE, 2, 2, TYPE_NULL},
    {"gt", FORM_COMPARE, OP_GT, 2, 2, TYPE_NULL},
    {"ge", FORM_COMPARE, OP_GE, 2, 2, TYPE_NULL},
    {"distinct", FORM_COMPARE, OP_DISTINCT, 2, 2, TYPE_NULL},
    {"in", FORM_COMPARE, OP_IN, 2, NODES_MAX, TYPE_NULL},
    {"between", FORM_COMPARE, OP_BETWEEN, 3, 3, TYPE_NULL},
    {"and", FORM_CONDITIONS, OP_AND, 2, NODES_MAX, TYPE_NULL},
    {"or", FORM_CONDITIONS, OP_OR, 2, NODES_MAX, TYPE_NULL},
    {"not", FORM_CONDITIONS, OP_NOT, 1, 1, TYPE_NULL},
    {"isnull", FORM_ISNULL, OP_ISNULL, 1, 1, TYPE_NULL},
    {"like", FORM_LIKE, OP_LIKE, 2, 3, TYPE_NULL},
    {"ilike", FORM_LIKE, OP_ILIKE, 2, 3, TYPE_NULL},
    {"case", FORM_CASE, OP_CASE, 2, 2, TYPE_NULL},
    {"cast", FORM_CAST, OP_CAST, 2, 4, TYPE_NULL},
    {"call", FORM_CALL, OP_CALL, 1, 1 + EXPR_ARGS_MAX, TYPE_NULL},
    {"agg", FORM_AGGREGATE, OP_AGGREGATE, 2, 3, TYPE_NULL},
};

static const struct word *find_word(struct expr_maker *maker,
                                    const json_t *tree)
{
    const char *op = json_string_value(json_array_get(tree, 0));
    size_t operands = json_array_size(tree) - 1;

    if (!op) {
        damaged(maker, "a node is not an operator with its operands");
        return NULL;
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        const struct word *word = &words[i];
        if (strcmp(word->word, op) != 0)
            continue;
        if (operands >= word->min && operands <= word->max)
            return word;
        if (word->form == FORM_CALL)
            maker_fail(maker, "a function has at most %d arguments",
                       EXPR_ARGS_MAX);
        else
            maker_fail(maker,
                       "the plan's expression is damaged: %s with %zu operands",
                       word->word, operands);
        return NULL;
    }
    damaged(maker, "an operator that this agent does not know");
    return NULL;
}

static size_t room_for(const struct word *word, const json_t *tree)
{
    if (word->form == FORM_CASE)
        return 2 * json_array_size(json_array_get(tree, 1)) + 1;
    return json_array_size(tree);
}

/* The node's arguments and type. */
static bool read_inner(struct expr_maker *maker, const struct word *word,
                       struct expr **expr_p, const json_t *tree, size_t depth)
{
    struct expr *expr = *expr_p;
    enum type type;

    switch (word->form) {
    case FORM_CASE:
        return read_case(maker, expr, tree, depth);
    case FORM_CALL:
        return read_call(maker, expr, tree, depth);
    case FORM_AGGREGATE:
        return read_aggregate(maker, expr, tree, depth);
    default:
        break;
    }
    if (!read_args(maker, expr, tree, 1, depth))
        return false;
    switch (word->form) {
    case FORM_NEG:
        return expr_type_neg(maker, expr_p);
    case FORM_ARITHMETIC:
        return expr_type_arithmetic(maker, expr);
    case FORM_CONCAT:
        return expr_type_concat(maker, expr);
    case FORM_LIKE:
        return expr_type_like(maker, expr);
    case FORM_COMPARE:
        expr->type = TYPE_BOOLEAN;
        return expr_common(maker, expr->args, expr->count, 1, "compare", &type);
    case FORM_CONDITIONS:
        expr->type = TYPE_BOOLEAN;
        for (size_t i = 0; i < expr->count; i++) {
            if (!expr_condition(maker, &expr->args[i]))
                return false;
        }
        return true;
    default: /* isnull takes anything */
        expr->type = TYPE_BOOLEAN;
        return true;
    }
}

static struct expr *read_node(struct expr_maker *maker, const json_t *tree,
                              size_t depth)
{
    struct expr *expr = NULL;

    if (depth >= DEPTH_MAX || ++maker->nodes > NODES_MAX) {
        maker_fail(maker,
                   "the expression is too big: more than %d levels or %d "
                   "parts; use a column in between",
                   DEPTH_MAX, NODES_MAX);
        return NULL;
    }
    if (json_array_size(tree) == 0) {
        damaged(maker, "a node is not an operator with its operands");
        return NULL;
    }
    const struct word *word = find_word(maker, tree);
    if (!word)
        return NULL;
    switch (word->form) {
    case FORM_COLUMN:
        return read_column(maker, tree);
    case FORM_VALUE:
        return read_value(maker, tree, word->type);
    case FORM_CAST:
        if (read_cast(maker, &expr, tree, depth))
            return expr;
        break;
    default:
        if (word->form == FORM_CASE &&
            (json_array_size(json_array_get(tree, 1)) == 0 ||
             json_array_size(json_array_get(tree, 1)) > NODES_MAX)) {
            damaged(maker, "a case without a condition and a value");
            return NULL;
        }
        expr = new_node(maker, word->op, room_for(word, tree));
        if (expr && read_inner(maker, word, &expr, tree, depth))
            return expr;
        break;
    }
    expr_drop(expr);
    return NULL;
}

/* ---- expr.h ---------------------------------------------------------- */

/* why is written to through the maker. */
/* NOLINTBEGIN(readability-non-const-parameter) */
int expr_read(const json_t *tree, const struct expr_side *sides,
              size_t side_count, bool aggregate, struct expr **ret_expr,
              char why[EXPR_WHY_MAX])
{
    struct expr_maker maker = {.sides = sides,
                               .side_count = side_count,
                               .aggregate = aggregate,
                               .why = why};
    struct expr *expr = read_node(&maker, tree, 0);

    if (!expr)
        return maker.error ? maker.error : -EINVAL;
    *ret_expr = expr;
    return 0;
}

int expr_cast(struct expr **expr_p, const struct column *to,
              char why[EXPR_WHY_MAX])
{
    struct expr_maker maker = {.why = why};

    if (expr_convert_explicit(&maker, expr_p, to, false))
        return 0;
    expr_free(expr_p);
    return maker.error;
}

/* NOLINTEND(readability-non-const-parameter) */

enum type expr_type_of(const struct expr *expr)
{
    return expr->type;
}

bool expr_grouped(const struct expr *expr, const size_t *keys, size_t key_count,
                  const char **ret_name)
{
    if (expr->op == OP_AGGREGATE)
        return true;
    if (expr->op == OP_COLUMN) {
        for (size_t i = 0; i < key_count; i++) {
            if (expr->side == 0 && keys[i] == expr->index)
                return true;
        }
        *ret_name = expr->text;
        return false;
    }
    for (size_t i = 0; i < expr->count; i++) {
        if (!expr_grouped(expr->args[i], keys, key_count, ret_name))
            return false;
    }
    return true;
}

bool expr_volatile(const struct expr *expr)
{
    if (expr->row && expr->row->varies)
        return true;
    for (size_t i = 0; i < expr->count; i++) {
        if (expr_volatile(expr->args[i]))
            return true;
    }
    return false;
}
/* NOLINTEND(misc-no-recursion) */
