/*
 * expr_column.c - which column a name means, on one side or two, and what to
 * say when it means none (expr_inside.h).
 */
#include "agents/expr_inside.h"

#include "agents/values.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { WORD_MAX = 64, LIST_ROOM = 120 };

static const char *quote(const char *text, char buf[VALUE_QUOTED_MAX])
{
    return value_quote(text, strlen(text), buf);
}

/* Edits from one word to the other, letters' case ignored; SIZE_MAX: too
 * long. */
static size_t distance(const char *a, const char *b)
{
    size_t row[WORD_MAX + 1], a_len = strlen(a), b_len = strlen(b);

    if (a_len > WORD_MAX || b_len > WORD_MAX)
        return SIZE_MAX;
    for (size_t k = 0; k <= b_len; k++)
        row[k] = k;
    for (size_t i = 1; i <= a_len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t k = 1; k <= b_len; k++) {
            size_t above = row[k];
            size_t cost =
                diagonal + (strncasecmp(&a[i - 1], &b[k - 1], 1) != 0);
            if (above + 1 < cost)
                cost = above + 1;
            if (row[k - 1] + 1 < cost)
                cost = row[k - 1] + 1;
            diagonal = above;
            row[k] = cost;
        }
    }
    return row[b_len];
}

static bool side_called(const struct expr_side *side, const char *qualifier)
{
    return side->qualifier && strcasecmp(side->qualifier, qualifier) == 0;
}

static const char *nearest(const struct expr_maker *maker, const char *name)
{
    size_t slips = strlen(name) < 4 ? 2 : strlen(name) < 8 ? 3 : 4;
    const char *best = NULL;

    for (size_t s = 0; s < maker->side_count; s++) {
        const struct schema *schema = maker->sides[s].schema;
        for (size_t i = 0; i < schema->count; i++) {
            size_t d = distance(name, schema->columns[i].name);
            if (d < slips) {
                slips = d;
                best = schema->columns[i].name;
            }
        }
    }
    return best;
}

static bool no_column(struct expr_maker *maker, const char *name,
                      const char *qualifier)
{
    char quoted[VALUE_QUOTED_MAX], other[VALUE_QUOTED_MAX];
    char list[LIST_ROOM] = "";
    const char *near = nearest(maker, name);

    for (size_t s = 0; s < maker->side_count; s++) {
        size_t len = strlen(list);
        if (s > 0 && len + 3 < sizeof list)
            len += (size_t)snprintf(list + len, sizeof list - len, "; ");
        schema_list(maker->sides[s].schema, list + len,
                    s + 1 < maker->side_count ? sizeof list / 2
                                              : sizeof list - len);
    }
    quote(name, quoted);
    if (qualifier)
        return maker_fail(maker, "%s has no column %s; there are: %s",
                          quote(qualifier, other), quoted, list);
    if (near)
        return maker_fail(maker,
                          "there is no column %s; did you mean %s? There are: "
                          "%s",
                          quoted, quote(near, other), list);
    return maker_fail(maker,
                      "there is no column %s (a text is written in single "
                      "quotes); there are: %s",
                      quoted, list);
}

static bool ambiguous(struct expr_maker *maker, const char *name)
{
    char quoted[VALUE_QUOTED_MAX];

    quote(name, quoted);
    if (maker->side_count > 1 && maker->sides[0].qualifier &&
        maker->sides[1].qualifier)
        return maker_fail(maker,
                          "more than one column is called %s: say which, %s.%s "
                          "or %s.%s",
                          quoted, maker->sides[0].qualifier, quoted,
                          maker->sides[1].qualifier, quoted);
    return maker_fail(maker,
                      "more than one column is called %s: say of which table, "
                      "as in table.column",
                      quoted);
}

/* Finds the one column; notes what is wrong otherwise. */
static bool find_column(struct expr_maker *maker, const char *name,
                        const char *qualifier, size_t *ret_side,
                        size_t *ret_index)
{
    bool named = false, twice = false, found = false, exact = false;
    bool origin_known = false;

    for (size_t s = 0; s < maker->side_count; s++)
        named =
            named || (qualifier && side_called(&maker->sides[s], qualifier));
    for (size_t s = 0; s < maker->side_count; s++) {
        const struct expr_side *side = &maker->sides[s];
        size_t index = 0;
        if (named && !side_called(side, qualifier))
            continue;
        /* "left" and "right" go before tables that are called so. */
        int rc =
            schema_find(side->schema, name, named ? NULL : qualifier, &index);
        for (size_t i = 0; qualifier && i < side->schema->count; i++) {
            const char *origin = side->schema->columns[i].origin;
            origin_known =
                origin_known || (origin && strcasecmp(origin, qualifier) == 0);
        }
        if (rc == -EEXIST)
            twice = true;
        if (rc)
            continue;
        bool same = strcmp(side->schema->columns[index].name, name) == 0;
        if (found && same == exact) {
            twice = true;
        } else if (!found || same) {
            *ret_side = s;
            *ret_index = index;
            exact = same;
            twice = false;
        }
        found = true;
    }
    if (twice)
        return ambiguous(maker, name);
    if (found)
        return true;
    if (qualifier && !named && !origin_known) {
        char quoted[VALUE_QUOTED_MAX], other[VALUE_QUOTED_MAX];
        return maker_fail(maker,
                          "nothing here is called %s, so there is no column %s "
                          "of it; write the column's name alone%s",
                          quote(qualifier, quoted), quote(name, other),
                          maker->side_count > 1 ? ", or left. or right. before"
                                                : "");
    }
    return no_column(maker, name, qualifier);
}

static struct expr *new_column(const struct expr_side *side, size_t side_index,
                               size_t index)
{
    const struct column *column = &side->schema->columns[index];
    struct expr *expr = expr_node(OP_COLUMN, 0);

    if (!expr)
        return NULL;
    expr->type = column->type;
    expr->side = side_index;
    expr->index = index;
    expr->bits = column->bits;
    expr->precision = column->precision;
    expr->scale = column->scale;
    expr->length = column->length;
    expr->text = strdup(column->name);
    expr->alias = side->alias ? strdup(side->alias) : NULL;
    expr->native = column->native ? strdup(column->native) : NULL;
    if (!expr->text || (side->alias && !expr->alias) ||
        (column->native && !expr->native)) {
        expr_drop(expr);
        return NULL;
    }
    return expr;
}

int expr_column(const struct expr_side *side, size_t column,
                struct expr **ret_expr)
{
    if (column >= side->schema->count)
        return -EINVAL;
    struct expr *expr = new_column(side, 0, column);
    if (!expr)
        return -ENOMEM;
    *ret_expr = expr;
    return 0;
}

struct expr *expr_find_column(struct expr_maker *maker, const char *name,
                              const char *qualifier)
{
    size_t side = 0, index = 0;

    if (!find_column(maker, name, qualifier, &side, &index))
        return NULL;
    struct expr *expr = new_column(&maker->sides[side], side, index);
    if (!expr)
        maker_no_memory(maker);
    return expr;
}
