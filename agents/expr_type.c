/*
 * expr_type.c - which types go together, and what they become (expr_inside.h).
 * The rules are in expr.h's head; what is promoted to what is the order of the
 * types in schema.h: integer, decimal, double; date, timestamp, timestamptz.
 */
#include "agents/expr_inside.h"

#include "agents/values.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- messages -------------------------------------------------------- */

const char *type_with_article(enum type type)
{
    static const char *const words[TYPES] = {
        [TYPE_NULL] = "NULL",
        [TYPE_TEXT] = "a text",
        [TYPE_INTEGER] = "an integer",
        [TYPE_DECIMAL] = "a decimal",
        [TYPE_DOUBLE] = "a double",
        [TYPE_BOOLEAN] = "a boolean",
        [TYPE_DATE] = "a date",
        [TYPE_TIMESTAMP] = "a timestamp",
        [TYPE_TIMESTAMPTZ] = "a timestamptz",
        [TYPE_BYTES] = "bytes",
    };

    return (unsigned)type < TYPES ? words[type] : "?";
}

const char *expr_describe(const struct expr *expr, char buf[EXPR_DESCRIBED_MAX])
{
    char quoted[VALUE_QUOTED_MAX];

    if (expr->op == OP_COLUMN)
        snprintf(buf, EXPR_DESCRIBED_MAX, "%.100s (%s)",
                 value_quote(expr->text, strlen(expr->text), quoted),
                 type_name(expr->type));
    else if (expr->op == OP_LITERAL && expr->untyped)
        snprintf(buf, EXPR_DESCRIBED_MAX, "the text %.100s",
                 value_quote(expr->text, expr->len, quoted));
    else if (expr->op == OP_LITERAL && expr->type == TYPE_INTEGER &&
             !expr->null)
        snprintf(buf, EXPR_DESCRIBED_MAX, "%lld (integer)",
                 (long long)expr->integer);
    else if (expr->op == OP_CALL || expr->op == OP_AGGREGATE)
        snprintf(buf, EXPR_DESCRIBED_MAX, "%s() (%s)", expr->row->name,
                 type_name(expr->type));
    else
        snprintf(buf, EXPR_DESCRIBED_MAX, "%s", type_with_article(expr->type));
    return buf;
}

/* ---- literals -------------------------------------------------------- */

static bool is_number(enum type type)
{
    return type == TYPE_INTEGER || type == TYPE_DECIMAL || type == TYPE_DOUBLE;
}

static bool is_time(enum type type)
{
    return type == TYPE_DATE || type == TYPE_TIMESTAMP ||
           type == TYPE_TIMESTAMPTZ;
}

/* A literal whose text is a value of type. why may be NULL. */
static int literal_from_text(struct expr *expr, const char *bytes, size_t len,
                             enum type type, char why[VALUE_WHY_MAX])
{
    size_t room_size = len > VALUE_ROOM ? len : VALUE_ROOM;
    char *room = malloc(room_size + 1);
    const char *value = NULL;
    size_t value_len = 0;

    if (!room)
        return -ENOMEM;
    int rc =
        value_check(type, bytes, len, room, room_size, &value, &value_len, why);
    if (rc == 0) {
        char *copy = malloc(value_len + 1);
        if (copy) {
            memcpy(copy, value, value_len);
            copy[value_len] = '\0';
            if (type == TYPE_INTEGER)
                rc = value_integer(copy, value_len, &expr->integer);
            else if (type == TYPE_DOUBLE)
                rc = value_double(copy, value_len, &expr->real);
            else if (type == TYPE_BOOLEAN)
                expr->integer = copy[0] == 't';
            free(expr->text);
            expr->text = copy;
            expr->len = value_len;
            expr->type = type;
            expr->untyped = false;
        } else {
            rc = -ENOMEM;
        }
    }
    free(room);
    return rc;
}

/* A typed literal to a wider type. */
static int literal_promote(struct expr *expr, enum type to)
{
    char text[VALUE_ROOM];

    if (expr->null) {
        expr->type = to;
        return 0;
    }
    if (expr->type == TYPE_INTEGER)
        snprintf(text, sizeof text, "%lld", (long long)expr->integer);
    else
        snprintf(text, sizeof text, "%s", expr->text);
    return literal_from_text(expr, text, strlen(text), to, NULL);
}

static bool literal_is(const struct expr *expr, enum type type)
{
    struct expr copy = {0};

    if (type == TYPE_TEXT)
        return true;
    int rc = literal_from_text(&copy, expr->text, expr->len, type, NULL);
    free(copy.text);
    return rc == 0;
}

/* ---- conversions ----------------------------------------------------- */

/* Nothing is lost, so nobody needs to ask for it. */
static bool promotes(enum type from, enum type to)
{
    if (from == to || from == TYPE_NULL)
        return true;
    if (is_number(from) && is_number(to))
        return from < to;
    return is_time(from) && is_time(to) && from < to;
}

bool expr_can_cast(enum type from, enum type to)
{
    if (promotes(from, to) || to == TYPE_TEXT || from == TYPE_TEXT)
        return true;
    if (is_number(from) && is_number(to))
        return true;
    if (is_time(from) && is_time(to))
        return true;
    return (from == TYPE_BOOLEAN && to == TYPE_INTEGER) ||
           (from == TYPE_INTEGER && to == TYPE_BOOLEAN);
}

bool expr_converts(const struct expr *expr, enum type to)
{
    if (expr->op == OP_LITERAL && expr->untyped)
        return literal_is(expr, to);
    return promotes(expr->type, to);
}

/* *expr_p inside of a cast without limits. */
static bool wrap(struct expr_maker *maker, struct expr **expr_p, enum type to,
                 bool implicit)
{
    struct expr *cast = expr_node(OP_CAST, 1);

    if (!cast)
        return maker_no_memory(maker);
    cast->type = to;
    cast->implicit = implicit;
    cast->args[cast->count++] = *expr_p;
    *expr_p = cast;
    return true;
}

static bool note_literal(struct expr_maker *maker, int rc, const char *why)
{
    if (rc == -ENOMEM)
        return maker_no_memory(maker);
    return rc == 0 || maker_fail(maker, "%s", why);
}

bool expr_convert(struct expr_maker *maker, struct expr **expr_p, enum type to)
{
    struct expr *expr = *expr_p;
    char why[VALUE_WHY_MAX] = "a number is out of range";
    char a[EXPR_DESCRIBED_MAX];

    if (expr->type == to && !expr->untyped)
        return true;
    if (expr->op == OP_LITERAL && expr->untyped) {
        if (to == TYPE_TEXT)
            return true;
        return note_literal(
            maker, literal_from_text(expr, expr->text, expr->len, to, why),
            why);
    }
    if (!promotes(expr->type, to) && !expr_can_cast(expr->type, to))
        return maker_fail(maker, "%s is not %s", expr_describe(expr, a),
                          type_with_article(to));
    if (!promotes(expr->type, to))
        return maker_fail(maker, "%s is not %s; use cast(... as %s)",
                          expr_describe(expr, a), type_with_article(to),
                          type_name(to));
    if (expr->op == OP_LITERAL)
        return note_literal(maker, literal_promote(expr, to), why);
    return wrap(maker, expr_p, to, true);
}

/* Are the values of expr within what `to` allows as they are? */
static bool within(const struct expr *expr, const struct column *to)
{
    if (expr->type != to->type)
        return false;
    switch (to->type) {
    case TYPE_INTEGER:
        return to->bits == 0 || (expr->bits != 0 && expr->bits <= to->bits);
    case TYPE_DECIMAL:
        /* Another scale would be another text, "1.5" instead of "1.50". */
        return to->precision < 0 ||
               (expr->precision >= 0 && expr->precision <= to->precision &&
                expr->scale == to->scale);
    case TYPE_TEXT:
        return to->length <= 0 ||
               (expr->length > 0 && expr->length <= to->length);
    default:
        return true;
    }
}

bool expr_convert_explicit(struct expr_maker *maker, struct expr **expr_p,
                           const struct column *to, bool implicit)
{
    struct expr *expr = *expr_p;
    char a[EXPR_DESCRIBED_MAX];

    if (to->type == TYPE_NULL)
        return true;
    if (expr->op == OP_LITERAL && expr->null) {
        expr->type = to->type;
    } else if (expr->op == OP_LITERAL && expr->untyped) {
        if (!expr_convert(maker, expr_p, to->type))
            return false;
        expr->untyped = false;
    }
    if (!expr_can_cast(expr->type, to->type)) {
        if (to->type == TYPE_BYTES || expr->type == TYPE_BYTES)
            return maker_fail(maker, "%s cannot be cast to %s",
                              expr_describe(expr, a), type_name(to->type));
        return maker_fail(maker,
                          "%s cannot be cast to %s: no rule says what it "
                          "would be; write a case",
                          expr_describe(expr, a), type_name(to->type));
    }
    bool nulls = to->not_null && !(expr->op == OP_LITERAL && !expr->null);
    if (within(expr, to) && (!nulls || expr->not_null))
        return true;
    if (!wrap(maker, expr_p, to->type, implicit))
        return false;
    struct expr *cast = *expr_p;
    cast->bits = to->type == TYPE_INTEGER ? to->bits : 0;
    if (to->type == TYPE_DECIMAL) {
        cast->precision = to->precision;
        cast->scale = to->scale;
    }
    cast->length = to->type == TYPE_TEXT ? to->length : 0;
    cast->not_null = nulls;
    return true;
}

/* ---- several to one type --------------------------------------------- */

/* A literal as it was written, whose type is not decided yet. */
static bool adapts(const struct expr *expr)
{
    return expr->type == TYPE_NULL || (expr->op == OP_LITERAL && expr->untyped);
}

static enum type wider(enum type a, enum type b)
{
    return a > b ? a : b;
}

static bool clash(struct expr_maker *maker, const char *what,
                  const struct expr *first, const struct expr *other)
{
    char a[EXPR_DESCRIBED_MAX], b[EXPR_DESCRIBED_MAX];
    enum type to = first->type == TYPE_TEXT ? other->type : first->type;
    enum type from = first->type == TYPE_TEXT ? first->type : other->type;

    if (!expr_can_cast(from, to))
        return maker_fail(maker, "cannot %s %s with %s", what,
                          expr_describe(first, a), expr_describe(other, b));
    return maker_fail(maker, "cannot %s %s with %s; use cast(... as %s)", what,
                      expr_describe(first, a), expr_describe(other, b),
                      type_name(to));
}

bool expr_common(struct expr_maker *maker, struct expr **args, size_t count,
                 size_t step, const char *what, enum type *ret_type)
{
    const struct expr *first = NULL; /* that decided */
    enum type type = TYPE_NULL;
    bool text = false;

    for (size_t i = 0; i < count; i += step) {
        const struct expr *arg = args[i];
        if (adapts(arg)) {
            text = text || arg->untyped;
        } else if (type == TYPE_NULL) {
            type = arg->type;
            first = arg;
        } else if (promotes(type, arg->type) || promotes(arg->type, type)) {
            if (arg->type > type)
                first = arg;
            type = wider(type, arg->type);
        } else {
            return clash(maker, what, first, arg);
        }
    }
    if (type == TYPE_NULL && text)
        type = TYPE_TEXT;
    for (size_t i = 0; i < count; i += step) {
        if (!expr_convert(maker, &args[i], type))
            return false;
    }
    *ret_type = type;
    return true;
}

bool expr_condition(struct expr_maker *maker, struct expr **expr_p)
{
    char a[EXPR_DESCRIBED_MAX];

    if (expr_converts(*expr_p, TYPE_BOOLEAN))
        return expr_convert(maker, expr_p, TYPE_BOOLEAN);
    expr_describe(*expr_p, a);
    if (is_number((*expr_p)->type))
        return maker_fail(maker,
                          "%s is not a condition; compare it, for example "
                          "with <> 0",
                          a);
    return maker_fail(maker, "%s is not a condition; compare it with something",
                      a);
}

/* ---- operators ------------------------------------------------------- */

bool expr_type_neg(struct expr_maker *maker, struct expr **expr_p)
{
    struct expr *expr = *expr_p, *arg = expr->args[0];
    char a[EXPR_DESCRIBED_MAX];

    if (adapts(arg)) {
        enum type type =
            expr_converts(arg, TYPE_INTEGER) ? TYPE_INTEGER : TYPE_DECIMAL;
        if (!expr_convert(maker, &expr->args[0], type))
            return false;
        arg = expr->args[0];
    }
    if (!is_number(arg->type))
        return maker_fail(maker, "%s is not a number: \"-\" needs one",
                          expr_describe(arg, a));
    expr->type = arg->type;
    /* "-5" reads better than the negation of 5, in messages and SQL. */
    if (arg->op != OP_LITERAL || arg->null || arg->type == TYPE_DOUBLE ||
        (arg->type == TYPE_INTEGER && arg->integer == INT64_MIN))
        return true;
    if (arg->type == TYPE_INTEGER) {
        arg->integer = -arg->integer;
    } else {
        char text[VALUE_ROOM + 1];
        const char *digits = arg->text;
        snprintf(text, sizeof text, "%s%s", digits[0] == '-' ? "" : "-",
                 digits[0] == '-' ? digits + 1 : digits);
        char why[VALUE_WHY_MAX];
        int rc = literal_from_text(arg, text, strlen(text), TYPE_DECIMAL, why);
        if (rc)
            return note_literal(maker, rc, why);
    }
    expr->count = 0;
    expr_drop(expr);
    *expr_p = arg;
    return true;
}

/* A text literal or NULL beside another operand gets the type that makes
 * sense there. */
static bool adapt_operand(struct expr_maker *maker, const struct expr *expr,
                          struct expr **arg_p, enum type other)
{
    enum type type = other;

    if (!adapts(*arg_p))
        return true;
    if (other == TYPE_DATE) {
        bool first = arg_p == &expr->args[0];
        bool date =
            expr->op == OP_SUB && (first || expr_converts(*arg_p, TYPE_DATE));
        type = date ? TYPE_DATE : TYPE_INTEGER;
    } else if (other == TYPE_NULL) {
        type = TYPE_INTEGER;
    } else if (!is_number(other)) {
        return true;
    }
    return expr_convert(maker, arg_p, type);
}

bool expr_type_arithmetic(struct expr_maker *maker, struct expr *expr)
{
    static const char *const doing[] = {[OP_ADD] = "add",
                                        [OP_SUB] = "subtract",
                                        [OP_MUL] = "multiply",
                                        [OP_DIV] = "divide",
                                        [OP_MOD] = "take the remainder of"};
    char a[EXPR_DESCRIBED_MAX], b[EXPR_DESCRIBED_MAX];
    enum type left = expr->args[0]->type, right = expr->args[1]->type;

    if (adapts(expr->args[0]) && adapts(expr->args[1]))
        left = right = TYPE_NULL;
    if (!adapt_operand(maker, expr, &expr->args[0], right) ||
        !adapt_operand(maker, expr, &expr->args[1], left))
        return false;
    left = expr->args[0]->type;
    right = expr->args[1]->type;
    if (is_number(left) && is_number(right)) {
        expr->type = wider(left, right);
        return expr_convert(maker, &expr->args[0], expr->type) &&
               expr_convert(maker, &expr->args[1], expr->type);
    }
    if (expr->op == OP_SUB && left == TYPE_DATE && right == TYPE_DATE) {
        expr->type = TYPE_INTEGER;
        return true;
    }
    if ((expr->op == OP_ADD || expr->op == OP_SUB) && left == TYPE_DATE &&
        right == TYPE_INTEGER) {
        expr->type = TYPE_DATE;
        return true;
    }
    if (expr->op == OP_ADD && left == TYPE_INTEGER && right == TYPE_DATE) {
        struct expr *days = expr->args[0];
        expr->args[0] = expr->args[1];
        expr->args[1] = days;
        expr->type = TYPE_DATE;
        return true;
    }
    const char *instead = "use cast(), or || to join texts";
    if (is_time(left) && is_time(right))
        instead = "use date_diff(a, b, 'DD')";
    else if (is_time(left) || is_time(right))
        instead = "use add_to_date(date, 'DD', number)";
    else if (left == TYPE_BOOLEAN || right == TYPE_BOOLEAN)
        instead = "use cast(... as integer)";
    else if (left == TYPE_TEXT || right == TYPE_TEXT)
        instead = expr->op == OP_ADD ? "use cast(), or || to join texts"
                                     : "use cast(... as decimal)";
    return maker_fail(maker, "cannot %s %s and %s; %s", doing[expr->op],
                      expr_describe(expr->args[0], a),
                      expr_describe(expr->args[1], b), instead);
}

bool expr_type_concat(struct expr_maker *maker, struct expr *expr)
{
    static const struct column text = {
        .type = TYPE_TEXT, .precision = -1, .scale = -1};
    enum type left = expr->args[0]->type, right = expr->args[1]->type;

    if (left == TYPE_BYTES || right == TYPE_BYTES) {
        expr->type = TYPE_BYTES;
        return expr_common(maker, expr->args, 2, 1, "join", &expr->type);
    }
    expr->type = TYPE_TEXT;
    for (size_t i = 0; i < 2; i++) {
        struct expr *arg = expr->args[i];
        if (arg->op == OP_LITERAL && arg->untyped)
            continue;
        if (!expr_convert_explicit(maker, &expr->args[i], &text, true))
            return false;
    }
    return true;
}

bool expr_type_like(struct expr_maker *maker, struct expr *expr)
{
    char a[EXPR_DESCRIBED_MAX];

    for (size_t i = 0; i < expr->count; i++) {
        if (!expr_converts(expr->args[i], TYPE_TEXT))
            return maker_fail(maker,
                              "\"like\" compares texts, and %s is none; use "
                              "cast(... as text)",
                              expr_describe(expr->args[i], a));
        if (!expr_convert(maker, &expr->args[i], TYPE_TEXT))
            return false;
    }
    expr->type = TYPE_BOOLEAN;
    if (expr->count < 3)
        return true;
    const struct expr *escape = expr->args[2];
    if (escape->op != OP_LITERAL || escape->null ||
        value_characters(escape->text, escape->len) > 1)
        return maker_fail(maker, "the escape of \"like\" is one character in "
                                 "single quotes");
    return true;
}
