/*
 * relation_join.c - joins: pairs of columns to a condition, the columns of both
 * sides, and, in the transform database, the right side as a table with an
 * index on what is looked up.
 */
#include "agents/relation_inside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS_MAX = 32 };

struct join {
    struct relation *side[2];
    const char *how;
    json_t *condition; /* a tree over l and r */
    /* Columns of the right side that the left one's are equal to. */
    size_t keys[KEYS_MAX], key_count;
    /* Left columns whose right twin of the same name is left out. */
    bool *same;
};

static const char *op_of(const char *operator)
{
    static const char *const ops[][2] = {
        {"=", "eq"}, {"==", "eq"}, {"!=", "ne"}, {"<>", "ne"},
        {"<", "lt"}, {"<=", "le"}, {">", "gt"},  {">=", "ge"}};

    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (strcmp(ops[i][0], operator) == 0)
            return ops[i][1];
    return NULL;
}

/* When the two sides of an equality differ in type, the right one gets a column
 * more, already in the common type, so that it can be looked up by an index. */
static int widen(struct step *s, struct join *join, size_t left, size_t *right,
                 enum type type)
{
    struct relation *from = join->side[1];
    const struct expr_side side = {&from->schema, "t", NULL};
    const struct column to = {.type = type, .precision = -1, .scale = -1};
    struct select select = {0};
    struct expr *expr = NULL;
    char name[64], reason[EXPR_WHY_MAX];
    int rc = 0;

    (void)left;
    for (size_t i = 0; i < from->schema.count && rc == 0; i++)
        rc = select_column(&select, from, i, from->schema.columns[i].name,
                           s->why);
    if (rc == 0)
        rc = expr_column(&side, *right, &expr);
    if (rc == 0 && (rc = expr_cast(&expr, &to, reason)) < 0)
        why_say(s->why, "on: %s", reason);
    snprintf(name, sizeof name, "dispatch key %zu", join->key_count);
    if (rc == 0)
        rc = select_expr(&select, name, expr, s->why);
    else
        expr_free(&expr);
    if (rc == 0)
        rc = select_make(s->r, from, s->node, &select, &join->side[1], s->why);
    *right = from->schema.count;
    select_clear(&select);
    return rc;
}

static int add_pair(struct step *s, struct join *join, const json_t *item)
{
    const char *names[2] = {
        json_string_value(json_object_get(item, "left")),
        json_string_value(json_object_get(item, "right")),
    };
    const char *word = json_string_value(json_object_get(item, "operator"));
    const char *op = op_of(word ? word : "=");
    size_t index[2];
    enum type type[2];

    if (!op)
        return why_set(s->why, "on: \"%.20s\" is not a comparison", word);
    for (int i = 0; i < 2; i++) {
        const struct schema *schema = &s->parents[i]->schema;
        int rc = schema_find(schema, names[i] ? names[i] : "", NULL, &index[i]);
        if (rc < 0) {
            char said[RELATION_WHY_MAX];
            rc = why_no_column(schema, names[i] ? names[i] : "", rc, said);
            why_say(s->why, "on, the %s side: %.300s", i ? "right" : "left",
                    said);
            return rc;
        }
        type[i] = schema->columns[index[i]].type;
    }
    bool equal = strcmp(op, "eq") == 0;
    enum type common = step_common_type(type[0], type[1]);
    if (equal && strcmp(s->parents[0]->schema.columns[index[0]].name,
                        s->parents[1]->schema.columns[index[1]].name) == 0)
        join->same[index[1]] = true;
    if (equal && type[0] != type[1] && common != TYPE_NULL &&
        type[1] != common && !join->side[1]->place) {
        int rc = widen(s, join, index[0], &index[1], common);
        if (rc < 0)
            return rc;
    }
    if (equal && join->key_count < KEYS_MAX)
        join->keys[join->key_count++] = index[1];
    json_t *tree =
        json_pack("[s, [s, s, s], [s, s, s]]", op, "col",
                  join->side[0]->schema.columns[index[0]].name, "left", "col",
                  join->side[1]->schema.columns[index[1]].name, "right");
    if (!tree || json_array_append_new(join->condition, tree) < 0)
        return why_memory(s->why);
    return 0;
}

/* Without a list: all of the left, then all of the right but the twins of
 * equal keys; a right column whose name is taken gets "right_" before it. */
static int all_columns(struct step *s, const struct join *join,
                       struct select *select)
{
    static const char *const aliases[] = {"l", "r"};
    bool whole =
        strcmp(join->how, "right") == 0 || strcmp(join->how, "full") == 0;
    int rc = 0;

    for (size_t side = 0; side < 2; side++) {
        const struct schema *schema = &join->side[side]->schema;
        const struct expr_side of = {schema, aliases[side], NULL};
        size_t count = s->parents[side]->schema.count; /* not the widened */
        for (size_t i = 0; i < count && rc == 0; i++) {
            const struct column *column = &schema->columns[i];
            struct expr *expr = NULL;
            char name[300];
            size_t twin = 0;
            if (side == 1 && join->same[i])
                continue;
            snprintf(name, sizeof name, "%s", column->name);
            if (side == 1 && schema_find(&join->side[0]->schema, name, NULL,
                                         &twin) != -ENOENT)
                snprintf(name, sizeof name, "right_%s", column->name);
            bool merged = side == 0 && whole &&
                          schema_find(&s->parents[1]->schema, column->name,
                                      NULL, &twin) == 0 &&
                          join->same[twin];
            if (merged) { /* as USING has it */
                const struct expr_side sides[] = {
                    {schema, "l", "left"},
                    {&join->side[1]->schema, "r", "right"}};
                char reason[EXPR_WHY_MAX];
                json_t *tree = json_pack(
                    "[s, s, [s, s, s], [s, s, s]]", "call", "coalesce", "col",
                    column->name, "left", "col",
                    s->parents[1]->schema.columns[twin].name, "right");
                rc = expr_read(tree, sides, 2, false, &expr, reason);
                json_decref(tree);
                if (rc < 0)
                    why_say(s->why, "%s", reason);
            } else {
                rc = expr_column(&of, i, &expr);
            }
            if (rc == 0)
                rc = select_expr(select, name, expr, s->why);
            if (rc == 0 && column->origin)
                select->outs[select->count - 1].origin = strdup(column->origin);
            if (rc == 0)
                select->outs[select->count - 1].like = column;
        }
    }
    return rc;
}

/* The right side becomes a table with an index on what is looked up. */
static int keep_right(struct step *s, struct join *join)
{
    struct relation *from = join->side[1], *read;
    struct text sql = {0};
    int rc;

    rc = relation_local(s->r, from, &from, s->why);
    if (rc < 0)
        return rc;
    if (from->reads) {
        read = from;
        from = from->reads;
    } else {
        rc = relation_keep(s->r, from, &read, s->why);
        if (rc < 0)
            return rc;
    }
    join->side[1] = read;
    if (join->key_count == 0 || from->index_sql)
        return 0; /* as another join wanted it; SQLite makes its own */
    text_addf(&sql, "CREATE INDEX temp.%s_key ON %s (", from->table,
              from->table);
    for (size_t i = 0; i < join->key_count; i++) {
        const struct column *column = &read->schema.columns[join->keys[i]];
        text_add(&sql, i ? ", " : "");
        expr_quote_name(column->name, &sql);
        if (column->type == TYPE_DECIMAL)
            text_add(&sql, " COLLATE \"decimal\"");
    }
    text_add(&sql, ")");
    from->index_sql = text_take(&sql);
    return from->index_sql ? 0 : why_memory(s->why);
}

static bool select_pushes(const struct select *select)
{
    for (size_t i = 0; i < select->count; i++)
        if (select->outs[i].expr && (!expr_postgres_can(select->outs[i].expr) ||
                                     expr_volatile(select->outs[i].expr)))
            return false;
    return true;
}

/* Reads the condition and the columns; both sides are where they will be. */
static int read_join(struct step *s, struct join *join, struct select *select,
                     struct expr **ret_on)
{
    const struct expr_side sides[] = {
        {&join->side[0]->schema, "l", "left"},
        {&join->side[1]->schema, "r", "right"},
    };
    const json_t *columns = json_object_get(s->config, "columns");
    char reason[EXPR_WHY_MAX];
    int rc = expr_read(join->condition, sides, 2, false, ret_on, reason);

    if (rc < 0)
        return why_set(s->why, "on: %s", reason);
    rc = json_array_size(columns) > 0
             ? read_outs(select, columns, join->side, 2, false, s->why)
             : all_columns(s, join, select);
    if (rc < 0)
        expr_free(ret_on);
    return rc;
}

/* Around a join, whose columns have been computed when a row comes out. */
static void leave_out_bad(struct relation *to, struct text *sql)
{
    struct text inner = *sql;

    *sql = (struct text){0};
    text_add(sql, "SELECT ");
    print_columns(&to->schema, "t", sql);
    text_addf(sql, " FROM (%s) AS t WHERE dp_row_ok(t.",
              inner.bytes ? inner.bytes : "");
    expr_quote_name(to->schema.columns[0].name, sql);
    text_add(sql, ")");
    sql->failed = sql->failed || inner.failed;
    text_clear(&inner);
    to->open = to->has_where = true;
    to->depth++;
}

static int print_join(struct step *s, struct join *join,
                      const struct select *select, const struct expr *on,
                      struct relation **ret)
{
    static const char *const words[][3] = {
        /* CROSS JOIN keeps SQLite from turning the sides round: the left one
         * may be a source, which is read once. */
        {"inner", " JOIN ", " CROSS JOIN "},
        {"left", " LEFT JOIN ", " LEFT JOIN "},
        {"right", " RIGHT JOIN ", " RIGHT JOIN "},
        {"full", " FULL JOIN ", " FULL JOIN "},
    };
    struct store *place = join->side[0]->place;
    struct relation *to = relation_new(s->r, s->node, place);
    struct text sql = {0};
    size_t word = 0;

    if (!to || relation_inherit(to, join->side[0]) < 0 ||
        relation_inherit(to, join->side[1]) < 0)
        return why_memory(s->why);
    text_add(&sql, "SELECT ");
    for (size_t i = 0; i < select->count; i++) {
        const struct out *out = &select->outs[i];
        text_add(&sql, i ? ", " : "");
        print_expr(s->r, place, out->expr, s->node, out->name, false, &sql);
        text_add(&sql, " AS ");
        expr_quote_name(out->name, &sql);
        struct column *column =
            schema_add(&to->schema, out->name,
                       out->type == TYPE_NULL ? TYPE_TEXT : out->type);
        if (!column)
            return why_memory(s->why);
        column->origin = out->origin ? strdup(out->origin) : NULL;
        if (out->like && out->like->native)
            column->native = strdup(out->like->native);
    }
    if (!place && relation_names(&to->schema, s->why) < 0) {
        text_clear(&sql);
        return -EINVAL;
    }
    while (word < 3 && strcmp(words[word][0], join->how) != 0)
        word++;
    text_addf(&sql, " FROM (%s) AS l%s", join->side[0]->sql,
              words[word][place ? 1 : 2]);
    if (place)
        text_addf(&sql, "(%s) AS r ON ", join->side[1]->sql);
    else /* the table itself, so that its index is seen */
        text_addf(&sql, "temp.%s AS r ON ", join->side[1]->kept[0]->table);
    print_expr(s->r, place, on, s->node, "on", false, &sql);
    if (!place)
        text_add(&sql, " LIMIT -1"); /* see the top of relation.c */
    if (!place && s->r->skip[s->node])
        leave_out_bad(to, &sql);
    *ret = to;
    return relation_set_sql(to, &sql) < 0 ? why_memory(s->why) : 0;
}

static int try_join(struct step *s, struct join *join, bool push,
                    struct relation **ret)
{
    const json_t *on = json_object_get(s->config, "on");
    struct select select = {0};
    struct expr *condition = NULL;
    int rc = 0;

    join->condition = json_pack("[s]", "and");
    join->same = calloc(s->parents[1]->schema.count + 1, sizeof *join->same);
    join->key_count = 0;
    for (int i = 0; i < 2 && rc == 0; i++) {
        join->side[i] = s->parents[i];
        if (!push)
            rc = relation_local(s->r, s->parents[i], &join->side[i], s->why);
        if (rc == 0 && !push)
            rc = relation_shallow(s->r, &join->side[i], 30, s->why);
    }
    if (!join->condition || !join->same)
        rc = why_memory(s->why);
    for (size_t i = 0; i < json_array_size(on) && rc == 0; i++)
        rc = add_pair(s, join, json_array_get(on, i));
    if (rc == 0 && json_array_size(on) == 1) /* "and" has two or more */
        json_array_append(join->condition, json_array_get(join->condition, 1));
    if (rc == 0 && !push)
        rc = keep_right(s, join);
    if (rc == 0)
        rc = read_join(s, join, &select, &condition);
    if (rc == 0 && push &&
        (!select_pushes(&select) || !expr_postgres_can(condition)))
        rc = -EAGAIN;
    if (rc == 0 && !push)
        rc = relation_shallow(s->r, &join->side[0], select_stack(&select),
                              s->why);
    if (rc == 0)
        rc = print_join(s, join, &select, condition, ret);
    if (rc == 0 && !push && (*ret)->stack < select_stack(&select))
        (*ret)->stack = select_stack(&select);
    expr_free(&condition);
    select_clear(&select);
    json_decref(join->condition);
    free(join->same);
    return rc;
}

int step_join(struct step *s, struct relation **ret)
{
    struct join join = {.how = step_text(s, "how")};
    bool push = s->parents[0]->place == s->parents[1]->place &&
                relation_pushes(s->r, s->parents[0], s->node) &&
                relation_pushes(s->r, s->parents[1], s->node);

    if (!join.how)
        join.how = "inner";
    if (json_array_size(json_object_get(s->config, "on")) == 0)
        return why_set(s->why, "a join needs \"on\": pairs of columns");
    int rc = push ? try_join(s, &join, true, ret) : -EAGAIN;
    return rc == -EAGAIN ? try_join(s, &join, false, ret) : rc;
}
