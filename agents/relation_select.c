/*
 * relation_select.c - a select over a relation: its columns, where it can be
 * computed, how it is printed; and the lists of columns of DATA.md.
 */
#include "agents/relation_inside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- printing -------------------------------------------------------- */

void print_columns(const struct schema *schema, const char *alias,
                   struct text *to)
{
    for (size_t i = 0; i < schema->count; i++) {
        if (i)
            text_add(to, ", ");
        if (alias)
            text_addf(to, "%s.", alias);
        expr_quote_name(schema->columns[i].name, to);
    }
}

void print_expr(struct relations *r, const struct store *place,
                const struct expr *expr, uint32_t node, const char *column,
                bool aggregate, struct text *to)
{
    if (place)
        expr_print_postgres(expr, r->now, to);
    else
        expr_print_sqlite(expr, relations_site(r, node, column, aggregate),
                          r->now, to);
}

bool relation_pushes(const struct relations *r, const struct relation *from,
                     uint32_t node)
{
    return from->place && r->settings->pushdown && !r->skip[node] &&
           from->depth < RELATION_PG_DEPTH_MAX;
}

/* ---- selects --------------------------------------------------------- */

static int add_out(struct select *select, const char *name,
                   char why[RELATION_WHY_MAX])
{
    void *outs = select->outs;

    for (size_t i = 0; i < select->count; i++)
        if (strcmp(select->outs[i].name, name) == 0)
            return why_set(why,
                           "two columns would be called \"%.60s\": give one "
                           "of them another name",
                           name);
    if (select->count == SCHEMA_COLUMNS_MAX)
        return why_set(why, "more than %d columns", SCHEMA_COLUMNS_MAX);
    char *copy = strdup(name);
    if (!copy || !relation_room(&outs, select->count, &select->room,
                                sizeof *select->outs)) {
        free(copy);
        return why_memory(why);
    }
    select->outs = outs;
    select->outs[select->count++] = (struct out){.name = copy};
    return 0;
}

int select_column(struct select *select, const struct relation *from,
                  size_t index, const char *name, char why[RELATION_WHY_MAX])
{
    const struct column *column = &from->schema.columns[index];
    int rc = add_out(select, name, why);

    if (rc < 0)
        return rc;
    struct out *out = &select->outs[select->count - 1];
    out->index = index;
    out->type = column->type;
    out->like = column;
    out->origin = column->origin ? strdup(column->origin) : NULL;
    return 0;
}

int select_expr(struct select *select, const char *name, struct expr *expr,
                char why[RELATION_WHY_MAX])
{
    int rc = add_out(select, name, why);

    if (rc < 0) {
        expr_free(&expr);
        return rc;
    }
    struct out *out = &select->outs[select->count - 1];
    out->expr = expr;
    out->type = expr_type_of(expr);
    return 0;
}

void select_clear(struct select *select)
{
    for (size_t i = 0; i < select->count; i++) {
        free(select->outs[i].name);
        free(select->outs[i].origin);
        expr_free(&select->outs[i].expr);
    }
    free(select->outs);
    free(select->group);
    expr_free(&select->where);
    *select = (struct select){0};
}

static bool postgres_can(const struct select *select)
{
    if (select->where &&
        (!expr_postgres_can(select->where) || expr_volatile(select->where)))
        return false;
    for (size_t i = 0; i < select->count; i++) {
        const struct expr *expr = select->outs[i].expr;
        if (expr && (!expr_postgres_can(expr) || expr_volatile(expr)))
            return false;
    }
    return true;
}

size_t select_stack(const struct select *select)
{
    size_t most = select->where ? expr_sqlite_stack(select->where) + 5 : 0;

    for (size_t i = 0; i < select->count; i++) {
        size_t one = select->outs[i].expr
                         ? expr_sqlite_stack(select->outs[i].expr) + 5
                         : 0;
        if (most < one)
            most = one;
    }
    return most;
}

/* Both engines make nested selects one, and copy an expression to wherever its
 * column is used: a column used three times a step would grow by three. */
static size_t weight_of(const struct relation *from,
                        const struct select *select)
{
    size_t most = select->where ? expr_columns(select->where) : 1;
    size_t below = from->fenced ? 1 : from->weight;

    for (size_t i = 0; i < select->count; i++) {
        size_t one =
            select->outs[i].expr ? expr_columns(select->outs[i].expr) : 1;
        if (most < one)
            most = one;
    }
    return most * (below > 0 ? below : 1);
}

/* Keeps the select below from being made one with this when it would grow too
 * much: an offset, or limit, that changes nothing but that. */
static int fence_in(struct relation *from, const struct select *select,
                    char why[RELATION_WHY_MAX])
{
    struct text sql = {0};

    if (from->fenced || from->reads ||
        weight_of(from, select) <= RELATION_WEIGHT_MAX)
        return 0;
    text_addf(&sql, "SELECT ");
    print_columns(&from->schema, "f", &sql);
    text_addf(&sql, " FROM (%s) AS f %s", from->sql,
              from->place ? "OFFSET 0" : "LIMIT -1");
    free(from->sql);
    from->fenced = true;
    from->open = false;
    from->depth++;
    return relation_set_sql(from, &sql) < 0 ? why_memory(why) : 0;
}

static const char *collation(enum type type, const struct store *place)
{
    if (place)
        return type == TYPE_TEXT ? " COLLATE \"C\"" : "";
    return type == TYPE_DECIMAL ? " COLLATE \"decimal\"" : "";
}

static void print_out(struct relations *r, const struct relation *from,
                      uint32_t node, const struct select *select, size_t i,
                      struct text *to)
{
    const struct out *out = &select->outs[i];

    if (out->expr) {
        print_expr(r, from->place, out->expr, node, out->name,
                   select->aggregate, to);
    } else {
        text_add(to, "t.");
        expr_quote_name(from->schema.columns[out->index].name, to);
    }
}

/* In the transform database, when bad rows are left out: what can fail is
 * evaluated as arguments of dp_row_ok first. */
static bool print_where(struct relations *r, const struct relation *from,
                        uint32_t node, const struct select *select,
                        struct text *to)
{
    const char *word = " WHERE ";
    bool skip = r->skip[node] && !from->place;
    bool computed = false;

    for (size_t i = 0; i < select->count; i++)
        computed = computed || select->outs[i].expr;
    if (select->where) {
        text_add(to, word);
        word = " AND ";
        if (skip) {
            text_add(to, "dp_row_ok(");
            print_expr(r, from->place, select->where, node, "where", false, to);
            text_add(to, ") AND ");
        }
        text_add(to, "(");
        print_expr(r, from->place, select->where, node, "where", false, to);
        text_add(to, ")");
    }
    if (skip && computed && !select->aggregate) {
        size_t count = 0;
        for (size_t i = 0; i < select->count; i++) {
            if (!select->outs[i].expr)
                continue;
            if (count % RELATION_ARGS_MAX == 0)
                text_addf(to, "%s%sdp_row_ok(", count > 0 ? ")" : "", word);
            else
                text_add(to, ", ");
            print_out(r, from, node, select, i, to);
            word = " AND ";
            count++;
        }
        text_add(to, ")");
    }
    return *(word + 1) == 'A';
}

static void print_tail(const struct relation *from, const struct select *select,
                       struct text *to)
{
    for (size_t i = 0; i < select->group_count; i++) {
        const struct column *column = &from->schema.columns[select->group[i]];
        text_add(to, i ? ", t." : " GROUP BY t.");
        expr_quote_name(column->name, to);
        if (!from->place)
            text_add(to, collation(column->type, NULL));
    }
    for (size_t i = 0; i < select->order_count; i++) {
        const struct order *order = &select->order[i];
        const struct out *out = &select->outs[order->column];
        text_add(to, i ? ", t." : " ORDER BY t.");
        expr_quote_name(from->schema.columns[out->index].name, to);
        text_addf(to, "%s%s NULLS %s", collation(out->type, from->place),
                  order->descending ? " DESC" : "",
                  order->nulls_first ? "FIRST" : "LAST");
    }
}

static int set_schema(const struct select *select, struct relation *to)
{
    for (size_t i = 0; i < select->count; i++) {
        const struct out *out = &select->outs[i];
        struct column *column =
            schema_add(&to->schema, out->name,
                       out->type == TYPE_NULL ? TYPE_TEXT : out->type);
        if (!column)
            return -ENOMEM;
        if (out->origin) {
            column->origin = strdup(out->origin);
            if (!column->origin)
                return -ENOMEM;
        }
        if (out->like) { /* so that a table made of it has the same types */
            column->bits = out->like->bits;
            column->precision = out->like->precision;
            column->scale = out->like->scale;
            column->length = out->like->length;
            if (out->like->native)
                column->native = strdup(out->like->native);
        }
    }
    return 0;
}

int select_make(struct relations *r, struct relation *from, uint32_t node,
                const struct select *select, struct relation **ret_relation,
                char why[RELATION_WHY_MAX])
{
    struct text sql = {0};

    if (from->place &&
        (!relation_pushes(r, from, node) || !postgres_can(select))) {
        int rc = relation_local(r, from, &from, why);
        if (rc < 0)
            return rc;
    }
    size_t stack = from->place ? 0 : select_stack(select);
    /* At the least it stands in the select that fills a table. */
    if (stack + (size_t)2 * RELATION_SELECT_STACK > RELATION_STACK_ALL)
        return why_set(why, "an expression is nested too deep to be computed "
                            "in the agent: split it into two nodes");
    int rc = relation_shallow(r, &from, stack, why);
    if (rc == 0)
        rc = fence_in(from, select, why);
    if (rc < 0)
        return rc;
    struct relation *to = relation_new(r, node, from->place);
    if (!to || relation_inherit(to, from) < 0 || set_schema(select, to) < 0)
        return why_memory(why);
    if (!to->place && relation_names(&to->schema, why) < 0)
        return -EINVAL;
    if (to->stack < stack)
        to->stack = stack;
    to->weight = weight_of(from, select);
    text_add(&sql, select->distinct ? "SELECT DISTINCT " : "SELECT ");
    for (size_t i = 0; i < select->count; i++) {
        if (i)
            text_add(&sql, ", ");
        print_out(r, from, node, select, i, &sql);
        if (select->distinct && !from->place)
            text_add(&sql, collation(select->outs[i].type, NULL));
        text_add(&sql, " AS ");
        expr_quote_name(select->outs[i].name, &sql);
        to->varies = to->varies || (select->outs[i].expr &&
                                    expr_volatile(select->outs[i].expr));
    }
    text_addf(&sql, " FROM (%s) AS t", from->sql);
    to->has_where = print_where(r, from, node, select, &sql);
    to->open = !select->aggregate && !select->distinct && !select->order_count;
    print_tail(from, select, &sql);
    if (relation_set_sql(to, &sql) < 0)
        return why_memory(why);
    *ret_relation = to;
    return 0;
}

/* ---- lists of columns ------------------------------------------------ */

static int read_type(const json_t *item, struct column *to,
                     char why[RELATION_WHY_MAX])
{
    const char *type = json_string_value(json_object_get(item, "type"));
    const json_t *precision = json_object_get(item, "precision");
    const json_t *scale = json_object_get(item, "scale");

    *to = (struct column){.precision = -1, .scale = -1};
    if (!type || !type_find(type, &to->type) || to->type == TYPE_NULL)
        return why_set(why, "\"%.40s\" is not a type", type ? type : "");
    if (json_is_integer(precision) && json_is_integer(scale)) {
        json_int_t p = json_integer_value(precision);
        json_int_t s = json_integer_value(scale);
        if (p < 1 || p > DECIMAL_DIGITS_MAX || s < 0 || s > p)
            return why_set(why, "decimal(%lld,%lld) is not a type",
                           (long long)p, (long long)s);
        to->precision = (int)p;
        to->scale = (int)s;
    }
    return 0;
}

static int read_source_column(const struct relation *side, size_t side_count,
                              const char *name, struct expr **ret_expr,
                              size_t *ret_index, const char *alias,
                              char why[RELATION_WHY_MAX])
{
    int rc = schema_find(&side->schema, name, NULL, ret_index);

    if (rc < 0)
        return why_no_column(&side->schema, name, rc, why);
    *ret_expr = NULL;
    if (side_count > 1) {
        const struct expr_side of = {&side->schema, alias, NULL};
        if (expr_column(&of, *ret_index, ret_expr) < 0)
            return why_memory(why);
    }
    return 0;
}

static int read_out(struct select *select, const json_t *item,
                    struct relation *const *sides, size_t side_count,
                    bool aggregate, char why[RELATION_WHY_MAX])
{
    static const char *const aliases[] = {"l", "r"};
    static const char *const qualifiers[] = {"left", "right"};
    const char *name = json_string_value(json_object_get(item, "name"));
    const char *column = json_string_value(json_object_get(item, "column"));
    const char *from = json_string_value(json_object_get(item, "from"));
    const json_t *expression = json_object_get(item, "expression");
    const json_t *tree = json_object_get(expression, "tree");
    struct expr_side of[2];
    struct expr *expr = NULL;
    size_t index = 0;
    size_t side = from && strcmp(from, "right") == 0 ? 1 : 0;
    int rc = 0;

    if (!name || side >= side_count)
        return why_set(why, "a column of the list has no name");
    for (size_t i = 0; i < side_count; i++)
        of[i] = (struct expr_side){&sides[i]->schema,
                                   side_count > 1 ? aliases[i] : "t",
                                   side_count > 1 ? qualifiers[i] : NULL};
    if (tree) {
        char reason[EXPR_WHY_MAX];
        rc = expr_read(tree, of, side_count, aggregate, &expr, reason);
        if (rc < 0) {
            why_say(why, "column \"%.60s\": %s", name, reason);
            return rc;
        }
    } else {
        if (!from && side_count > 1 &&
            schema_find(&sides[0]->schema, column ? column : name, NULL,
                        &index) < 0)
            side = 1; /* only the right side has it, or neither */
        rc = read_source_column(sides[side], side_count, column ? column : name,
                                &expr, &index, aliases[side], why);
        if (rc < 0)
            return rc;
    }
    if (json_object_get(item, "type")) {
        struct column to;
        char reason[EXPR_WHY_MAX];
        rc = read_type(item, &to, why);
        if (rc == 0 && !expr)
            rc = expr_column(&of[0], index, &expr);
        if (rc == 0) {
            rc = expr_cast(&expr, &to, reason);
            if (rc < 0)
                why_say(why, "column \"%.60s\": %s", name, reason);
        }
        if (rc < 0) {
            expr_free(&expr);
            return rc;
        }
    }
    if (!expr)
        return select_column(select, sides[0], index, name, why);
    rc = select_expr(select, name, expr, why);
    if (rc == 0 && !tree && sides[side]->schema.columns[index].origin)
        select->outs[select->count - 1].origin =
            strdup(sides[side]->schema.columns[index].origin);
    return rc;
}

int read_outs(struct select *select, const json_t *columns,
              struct relation *const *sides, size_t side_count, bool aggregate,
              char why[RELATION_WHY_MAX])
{
    int rc = 0;

    for (size_t i = 0; i < json_array_size(columns) && rc == 0; i++)
        rc = read_out(select, json_array_get(columns, i), sides, side_count,
                      aggregate, why);
    return rc;
}

int relation_project(struct relations *r, struct relation *from, uint32_t node,
                     const json_t *columns, struct relation **ret_relation,
                     char why[RELATION_WHY_MAX])
{
    struct select select = {0};
    int rc = read_outs(&select, columns, &from, 1, false, why);

    if (rc == 0)
        rc = select_make(r, from, node, &select, ret_relation, why);
    select_clear(&select);
    return rc;
}

int relation_fit(struct relations *r, struct relation *from, uint32_t node,
                 const struct schema *target, struct relation **ret_relation,
                 char why[RELATION_WHY_MAX])
{
    const struct expr_side side = {&from->schema, "t", NULL};
    struct select select = {0};
    int rc = 0;

    for (size_t i = 0; i < target->count && rc == 0; i++) {
        const struct column *to = &target->columns[i];
        struct column plain = {.type = to->type, .precision = -1, .scale = -1};
        struct expr *expr = NULL;
        char reason[EXPR_WHY_MAX];
        size_t index;
        rc = schema_find(&from->schema, to->name, NULL, &index);
        if (rc < 0) {
            rc = why_no_column(&from->schema, to->name, rc, why);
            break;
        }
        if (from->place && from->schema.columns[index].type == to->type) {
            rc = select_column(&select, from, index, to->name, why);
            continue;
        }
        rc = expr_column(&side, index, &expr);
        if (rc == 0) {
            /* A server checks what its own columns allow. */
            rc = expr_cast(&expr, from->place ? &plain : to, reason);
            if (rc < 0)
                why_say(why, "column \"%.60s\": %s", to->name, reason);
        }
        if (rc == 0)
            rc = select_expr(&select, to->name, expr, why);
        else
            expr_free(&expr);
    }
    if (rc == 0)
        rc = select_make(r, from, node, &select, ret_relation, why);
    select_clear(&select);
    return rc;
}
