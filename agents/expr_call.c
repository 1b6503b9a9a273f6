/*
 * expr_call.c - which row of expr_table.h a call means, and its arguments as
 * that row wants them (expr_inside.h).
 */
#include "agents/expr_inside.h"

#include "agents/civil.h"
#include "agents/text.h"
#include "agents/values.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

_Static_assert(CIVIL_MICROSECOND + 1 == EXPR_PARTS, "one form for each part");

static const char *const part_words[EXPR_PARTS] = {
    "year",   "month",  "day",         "hour",
    "minute", "second", "millisecond", "microsecond",
};

static const struct column plain_text = {
    .type = TYPE_TEXT, .precision = -1, .scale = -1};
static const struct column plain_decimal = {
    .type = TYPE_DECIMAL, .precision = -1, .scale = -1};
static const struct column plain_date = {
    .type = TYPE_DATE, .precision = -1, .scale = -1};

/* ---- parts of a time ------------------------------------------------- */

static bool find_part(const struct expr *arg, int *ret_part)
{
    enum civil_part part;

    if (arg->op != OP_LITERAL || arg->null || arg->type != TYPE_TEXT)
        return false;
    for (int i = 0; i < EXPR_PARTS; i++) {
        if (strcasecmp(arg->text, part_words[i]) == 0) {
            *ret_part = i;
            return true;
        }
    }
    if (civil_part_find(arg->text, arg->len, &part) != 0)
        return false;
    *ret_part = (int)part;
    return true;
}

/* Digits behind the point, from a part or as a number. */
static bool find_fraction(const struct expr *arg, int *ret_digits)
{
    int part;

    if (arg->op == OP_LITERAL && !arg->null && arg->type == TYPE_INTEGER &&
        arg->integer >= 0 && arg->integer <= 6) {
        *ret_digits = (int)arg->integer;
        return true;
    }
    if (!find_part(arg, &part) || part < CIVIL_SECOND)
        return false;
    *ret_digits = (part - CIVIL_SECOND) * 3;
    return true;
}

/* ---- choosing -------------------------------------------------------- */

static enum expr_param param_of(const struct expr_row *row, size_t arg)
{
    size_t last = 0;

    while (last + 1 < EXPR_PARAMS_MAX && row->params[last + 1] != PARAM_END)
        last++;
    return (enum expr_param)row->params[arg < last ? arg : last];
}

/* dec_base64 gives text, or bytes where bytes are wanted: the row behind. */
static bool gives_bytes(const struct expr *arg)
{
    return arg->op == OP_CALL && arg->type == TYPE_TEXT &&
           strcmp(arg->row->name, "dec_base64") == 0;
}

static bool accepts(enum expr_param param, const struct expr *arg)
{
    int found;

    switch (param) {
    case PARAM_ANY:
    case PARAM_COMMON:
        return true;
    case PARAM_TO_TEXT:
        return arg->type != TYPE_BYTES;
    case PARAM_TO_DECIMAL:
        return arg->type == TYPE_DOUBLE || expr_converts(arg, TYPE_DECIMAL);
    case PARAM_TO_DATE:
        return arg->type == TYPE_TIMESTAMP || arg->type == TYPE_TIMESTAMPTZ ||
               expr_converts(arg, TYPE_DATE);
    case PARAM_PART:
        return find_part(arg, &found);
    case PARAM_DAY_PART:
        return find_part(arg, &found) && found <= CIVIL_DAY;
    case PARAM_FRACTION:
        return find_fraction(arg, &found);
    case PARAM_BYTES:
        return gives_bytes(arg) || expr_converts(arg, TYPE_BYTES);
    case PARAM_TEXT:
    case PARAM_INTEGER:
    case PARAM_DECIMAL:
    case PARAM_DOUBLE:
    case PARAM_BOOLEAN:
    case PARAM_DATE:
    case PARAM_TIMESTAMP:
    case PARAM_TIMESTAMPTZ:
        return expr_converts(arg, (enum type)param);
    case PARAM_END:
        break;
    }
    return false;
}

static bool takes_count(const struct expr_row *row, size_t count)
{
    return count >= (size_t)row->args_min && count <= (size_t)row->args_max;
}

static bool takes(const struct expr_row *row, const struct expr *expr)
{
    if (!takes_count(row, expr->count))
        return false;
    for (size_t i = 0; i < expr->count; i++) {
        if (!accepts(param_of(row, i), expr->args[i]))
            return false;
    }
    return true;
}

/* ---- converting ------------------------------------------------------ */

static bool convert_part(struct expr_maker *maker, struct expr *expr,
                         struct expr *arg)
{
    find_part(arg, &expr->part);
    char *word = strdup(part_words[expr->part]);
    if (!word)
        return maker_no_memory(maker);
    free(arg->text);
    arg->text = word;
    arg->len = strlen(word);
    return true;
}

static bool convert(struct expr_maker *maker, struct expr *expr, size_t i)
{
    struct expr **arg_p = &expr->args[i];
    enum expr_param param = param_of(expr->row, i);

    switch (param) {
    case PARAM_END:
    case PARAM_COMMON:
        return true;
    case PARAM_ANY:
        return (*arg_p)->type != TYPE_NULL ||
               expr_convert(maker, arg_p, TYPE_TEXT);
    case PARAM_TO_TEXT:
        return ((*arg_p)->op == OP_LITERAL && (*arg_p)->untyped) ||
               expr_convert_explicit(maker, arg_p, &plain_text, true);
    case PARAM_TO_DECIMAL:
        return expr_convert_explicit(maker, arg_p, &plain_decimal, true);
    case PARAM_TO_DATE:
        return expr_convert_explicit(maker, arg_p, &plain_date, true);
    case PARAM_PART:
    case PARAM_DAY_PART:
        return convert_part(maker, expr, *arg_p);
    case PARAM_FRACTION:
        find_fraction(*arg_p, &expr->part);
        return true;
    case PARAM_BYTES:
        if (gives_bytes(*arg_p)) {
            (*arg_p)->row++;
            (*arg_p)->type = TYPE_BYTES;
        }
        return expr_convert(maker, arg_p, TYPE_BYTES);
    default:
        return expr_convert(maker, arg_p, (enum type)param);
    }
}

static bool convert_all(struct expr_maker *maker, struct expr *expr)
{
    const struct expr_row *row = expr->row;
    enum type common = TYPE_NULL;

    for (size_t i = 0; i < expr->count; i++) {
        if (!convert(maker, expr, i))
            return false;
    }
    if (expr->count > 0 && param_of(row, 0) == PARAM_COMMON) {
        if (!expr_common(maker, expr->args, expr->count, 1,
                         expr->count == 1 ? "take" : "mix", &common))
            return false;
        expr->type = common;
    } else if (row->result == TYPES) {
        expr->type = expr->args[0]->type;
    } else {
        expr->type = (enum type)row->result;
    }
    return true;
}

/* ---- what went wrong ------------------------------------------------- */

static const char *param_word(enum expr_param param)
{
    switch (param) {
    case PARAM_ANY:
    case PARAM_COMMON:
        return "any";
    case PARAM_TO_TEXT:
        return "any but bytes";
    case PARAM_TO_DECIMAL:
        return "number";
    case PARAM_TO_DATE:
        return "date";
    case PARAM_PART:
    case PARAM_DAY_PART:
        return "part";
    case PARAM_FRACTION:
        return "digits";
    default:
        return type_name((enum type)param);
    }
}

/* "(integer), (decimal) or (double)": the ways to call it with so many
 * arguments, or all of them if there is none. */
static void list_ways(const struct expr_row *rows, size_t row_count,
                      size_t count, struct text *to)
{
    bool fits = false;
    size_t ways = 0, way = 0;

    for (size_t i = 0; i < row_count; i++)
        fits = fits || takes_count(&rows[i], count);
    for (size_t i = 0; i < row_count; i++)
        ways += !fits || takes_count(&rows[i], count);
    for (size_t i = 0; i < row_count; i++) {
        if (fits && !takes_count(&rows[i], count))
            continue;
        size_t args = fits ? count : (size_t)rows[i].args_min;
        text_add(to, way == 0 ? "(" : way + 1 == ways ? " or (" : ", (");
        for (size_t k = 0; k < args && k < 4; k++)
            text_addf(to, "%s%s", k > 0 ? ", " : "",
                      k == 3 ? "..." : param_word(param_of(&rows[i], k)));
        text_add(to, ")");
        way++;
    }
}

/* Is it a part of a time that is wrong? Then that is what is said. */
static bool wrong_part(struct expr_maker *maker, const struct expr *expr,
                       const struct expr_row *row)
{
    char a[EXPR_DESCRIBED_MAX];

    for (size_t i = 0; i < expr->count && takes_count(row, expr->count); i++) {
        enum expr_param param = param_of(row, i);
        if ((param != PARAM_PART && param != PARAM_FRACTION) ||
            accepts(param, expr->args[i]))
            continue;
        if (param == PARAM_FRACTION) {
            maker_fail(maker,
                       "%s() takes the digits of the second, 0 to 6, or "
                       "'SS', 'MS' or 'US', not %s",
                       row->name, expr_describe(expr->args[i], a));
            return true;
        }
        maker_fail(maker,
                   "%s() needs to know a part of the time by its name in "
                   "single quotes: 'YYYY', 'MM', 'DD', 'HH', 'MI', 'SS', 'MS' "
                   "or 'US', not %s",
                   row->name, expr_describe(expr->args[i], a));
        return true;
    }
    return false;
}

static bool say_no_row(struct expr_maker *maker, const struct expr *expr,
                       const struct expr_row *rows, size_t row_count)
{
    struct text given = {0}, ways = {0};
    bool counted = false, text = false;

    for (size_t i = 0; i < row_count; i++) {
        counted = counted || takes_count(&rows[i], expr->count);
        /* The last row is the widest. */
        if (i + 1 == row_count && wrong_part(maker, expr, &rows[i]))
            return false;
    }
    list_ways(rows, row_count, expr->count, &ways);
    for (size_t i = 0; i < expr->count && i < 4; i++) {
        char a[EXPR_DESCRIBED_MAX];
        const struct expr *arg = expr->args[i];
        text = text || (arg->op != OP_LITERAL && arg->type == TYPE_TEXT);
        text_addf(&given, "%s%s", i > 0 ? ", " : "",
                  i == 3 ? "..." : expr_describe(arg, a));
    }
    if (given.failed || ways.failed)
        maker_no_memory(maker);
    else if (!counted)
        maker_fail(maker, "%s() takes %s, not %zu argument%s", rows->name,
                   ways.bytes ? ways.bytes : "()", expr->count,
                   expr->count == 1 ? "" : "s");
    else
        maker_fail(maker, "%s() takes %s, not (%s); use cast()", rows->name,
                   ways.bytes ? ways.bytes : "()",
                   given.bytes ? given.bytes : "");
    text_clear(&given);
    text_clear(&ways);
    return false;
}

bool expr_type_call(struct expr_maker *maker, struct expr *expr,
                    const char *name)
{
    size_t count;
    bool aggregate = expr->op == OP_AGGREGATE;
    const struct expr_row *rows = expr_rows(name, aggregate, &count);

    expr->part = aggregate ? 0 : 6; /* systimestamp() has all its digits */
    if (!rows) {
        char quoted[VALUE_QUOTED_MAX];
        return maker_fail(maker,
                          "this agent knows no %sfunction %s; it is older "
                          "than the broker, or the plan is damaged",
                          aggregate ? "aggregate " : "",
                          value_quote(name, strlen(name), quoted));
    }
    if (aggregate && expr->count == 0) {
        if (strcmp(name, "count") != 0)
            return maker_fail(maker, "%s() takes one argument", rows->name);
        expr->row = rows;
        expr->type = TYPE_INTEGER;
        expr->distinct = false;
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        if (takes(&rows[i], expr)) {
            expr->row = &rows[i];
            return convert_all(maker, expr);
        }
    }
    return say_no_row(maker, expr, rows, count);
}
