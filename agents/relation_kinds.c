/*
 * relation_kinds.c - what each kind of data node makes of its input. A table of
 * functions, one a kind; see DATA.md for the configurations.
 */
#include "agents/relation_inside.h"

#include "agents/files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *step_text(const struct step *s, const char *key)
{
    return json_string_value(json_object_get(s->config, key));
}

/* ---- extract --------------------------------------------------------- */

static int describe(struct step *s, struct store *store, struct schema *ret)
{
    const char *sql = step_text(s, "sql"), *table = step_text(s, "table");
    const char *schema = step_text(s, "schema");
    int rc;

    if (store->pg) {
        rc = sql ? pg_describe(store->pg, sql, true, ret)
                 : pg_describe_table(store->pg, schema, table, ret);
        if (rc < 0)
            snprintf(s->why, RELATION_WHY_MAX, "%s", pg_error(store->pg));
    } else {
        rc = sql ? lite_describe(store->lite, sql, true, ret)
                 : lite_describe_table(store->lite, table, ret);
        if (rc < 0)
            snprintf(s->why, RELATION_WHY_MAX, "%s", lite_error(store->lite));
    }
    return rc;
}

/* The names that "table.column" may use. */
static int set_origin(struct step *s, struct schema *schema)
{
    const char *table = step_text(s, "table");
    const char *origin = table ? table : s->r->plan->nodes[s->node].id;

    for (size_t i = 0; i < schema->count; i++) {
        struct column *column = &schema->columns[i];
        free(column->origin);
        column->origin = strdup(origin);
        if (!column->origin)
            return -ENOMEM;
        column->not_null = false; /* a matter of targets */
    }
    return 0;
}

/* Types that PostgreSQL has besides ours (uuid, enums, json, arrays, ...) are
 * text from here on: what can be done with texts can be done with them. */
static void print_scanned(struct schema *schema, struct text *sql)
{
    for (size_t i = 0; i < schema->count; i++) {
        struct column *column = &schema->columns[i];
        const char *native = column->native ? column->native : "text";
        bool foreign = column->type == TYPE_TEXT &&
                       strcmp(native, "text") != 0 &&
                       strncmp(native, "character", 9) != 0;
        text_add(sql, i ? ", " : "");
        expr_quote_name(column->name, sql);
        if (!foreign)
            continue;
        text_add(sql, "::text AS ");
        expr_quote_name(column->name, sql);
        free(column->native);
        column->native = NULL;
    }
}

static void print_scan(const struct step *s, const struct store *store,
                       struct schema *schema, struct text *sql)
{
    const char *own = step_text(s, "sql"), *in = step_text(s, "schema");

    text_add(sql, "SELECT ");
    if (store->pg)
        print_scanned(schema, sql);
    else
        print_columns(schema, NULL, sql);
    text_add(sql, " FROM ");
    if (own) {
        /* Checked to be one statement; the line break ends a comment. */
        text_addf(sql, "(\n%s\n) AS q", own);
        return;
    }
    if (in && store->pg) {
        expr_quote_name(in, sql);
        text_add(sql, ".");
    }
    expr_quote_name(step_text(s, "table"), sql);
}

static int scan(struct step *s, struct relation **ret)
{
    struct store *store;
    struct schema schema = {0};
    struct text sql = {0};
    const char *name = step_text(s, "connection");
    int rc = relations_store(s->r, name ? name : "", true, &store, s->why);

    if (rc < 0)
        return rc;
    rc = describe(s, store, &schema);
    if (rc == 0 && schema.count == 0)
        rc = why_set(s->why, "there are no columns to be read");
    if (rc == 0)
        rc = set_origin(s, &schema);
    if (rc == 0)
        print_scan(s, store, &schema, &sql);
    if (rc == 0 && store->pg) {
        struct relation *relation = relation_new(s->r, s->node, store);
        rc = relation ? schema_copy(&schema, &relation->schema) : -ENOMEM;
        if (rc == 0)
            rc = relation_set_sql(relation, &sql);
        *ret = relation;
    } else if (rc == 0) {
        struct source *source = source_new(s->r, s->node, store, &schema);
        if (source)
            source->sql = text_take(&sql);
        rc = source && source->sql ? relation_read(s->r, source, ret) : -ENOMEM;
    }
    schema_clear(&schema);
    text_clear(&sql);
    return rc == -ENOMEM ? why_memory(s->why) : rc;
}

static int filter_by(struct step *s, struct relation *from, const char *key,
                     struct relation **ret)
{
    const struct expr_side side = {&from->schema, "t", NULL};
    struct select select = {0};
    char reason[EXPR_WHY_MAX];
    int rc = expr_read(json_object_get(json_object_get(s->config, key), "tree"),
                       &side, 1, false, &select.where, reason);

    if (rc < 0)
        why_say(s->why, "%s: %s", key, reason);
    else if (expr_type_of(select.where) != TYPE_BOOLEAN &&
             expr_type_of(select.where) != TYPE_NULL)
        rc = why_set(s->why, "%s is %s: a condition is true or false", key,
                     type_name(expr_type_of(select.where)));
    for (size_t i = 0; i < from->schema.count && rc == 0; i++)
        rc = select_column(&select, from, i, from->schema.columns[i].name,
                           s->why);
    if (rc == 0)
        rc = select_make(s->r, from, s->node, &select, ret, s->why);
    select_clear(&select);
    return rc;
}

static int make_extract(struct step *s, struct relation **ret)
{
    struct relation *relation = NULL;
    int rc = scan(s, &relation);

    if (rc == 0 && json_object_get(s->config, "filter"))
        rc = filter_by(s, relation, "filter", &relation);
    if (rc == 0 && json_object_get(s->config, "columns"))
        rc = relation_project(s->r, relation, s->node,
                              json_object_get(s->config, "columns"), &relation,
                              s->why);
    *ret = relation;
    return rc;
}

/* ---- files and sequences --------------------------------------------- */

static int make_file(struct step *s, struct relation **ret)
{
    char error[FILES_ERROR_MAX];
    struct feed *feed;
    bool csv = strcmp(s->r->plan->nodes[s->node].kind, "csv_read") == 0;
    const char *root = s->r->settings->files;
    int rc = csv ? csv_feed(root, s->config, &feed, error)
                 : jsonl_feed(root, s->config, &feed, error);

    if (rc < 0) {
        snprintf(s->why, RELATION_WHY_MAX, "%s", error);
        return rc;
    }
    rc = relation_names(&feed->schema, s->why);
    struct source *source =
        rc < 0 ? NULL : source_new(s->r, s->node, NULL, &feed->schema);
    feed_close(&feed); /* opened again when it is read */
    if (rc < 0)
        return rc;
    if (!source)
        return why_memory(s->why);
    source->config = s->config;
    rc = relation_read(s->r, source, ret);
    return rc < 0 ? why_memory(s->why) : 0;
}

/* Numbers the rows of an input. */
static int number_rows(struct step *s, struct relation *from, const char *name,
                       struct relation **ret)
{
    const json_t *start = json_object_get(s->config, "start");
    const json_t *step = json_object_get(s->config, "step");
    struct text sql = {0};
    int rc = relation_local(s->r, from, &from, s->why);
    size_t taken;

    if (rc == 0)
        rc = relation_shallow(s->r, &from, 0, s->why);
    if (rc < 0)
        return rc;
    if (schema_find(&from->schema, name, NULL, &taken) == 0)
        return why_set(s->why,
                       "the input already has a column \"%.60s\": give the "
                       "sequence another name",
                       name);
    struct relation *to = relation_new(s->r, s->node, NULL);
    if (!to || relation_inherit(to, from) < 0 ||
        schema_copy(&from->schema, &to->schema) < 0 ||
        !schema_add(&to->schema, name, TYPE_INTEGER))
        return why_memory(s->why);
    text_add(&sql, "SELECT ");
    print_columns(&from->schema, "t", &sql);
    text_addf(&sql, ", %lld + %lld * (row_number() OVER () - 1) AS ",
              start ? (long long)json_integer_value(start) : 1,
              step ? (long long)json_integer_value(step) : 1);
    expr_quote_name(name, &sql);
    text_addf(&sql, " FROM (%s) AS t", from->sql);
    *ret = to;
    return relation_set_sql(to, &sql) < 0 ? why_memory(s->why) : 0;
}

static int make_sequence(struct step *s, struct relation **ret)
{
    struct schema schema = {0};
    const char *name = step_text(s, "column");

    if (s->parent_count > 0)
        return number_rows(s, s->parents[0], name ? name : "", ret);
    if (!name || !json_is_integer(json_object_get(s->config, "count")))
        return why_set(s->why, "a sequence without input needs \"column\" and "
                               "\"count\"");
    if (!schema_add(&schema, name, TYPE_INTEGER))
        return why_memory(s->why);
    struct source *source = source_new(s->r, s->node, NULL, &schema);
    schema_clear(&schema);
    if (!source)
        return why_memory(s->why);
    source->config = s->config;
    return relation_read(s->r, source, ret) < 0 ? why_memory(s->why) : 0;
}

/* ---- one input ------------------------------------------------------- */

static int make_filter(struct step *s, struct relation **ret)
{
    return filter_by(s, s->parents[0], "where", ret);
}

static int make_select(struct step *s, struct relation **ret)
{
    return relation_project(s->r, s->parents[0], s->node,
                            json_object_get(s->config, "columns"), ret, s->why);
}

/* keep: the input's columns stay where they are, but those of a computed one's
 * name are replaced; the other computed ones come behind. */
static int make_map(struct step *s, struct relation **ret)
{
    struct relation *from = s->parents[0];
    const json_t *columns = json_object_get(s->config, "columns");
    struct select computed = {0}, select = {0};
    int rc = read_outs(&computed, columns, &from, 1, false, s->why);
    bool keep = json_is_true(json_object_get(s->config, "keep"));

    for (size_t i = 0; keep && i < from->schema.count && rc == 0; i++) {
        const char *name = from->schema.columns[i].name;
        struct out *found = NULL;
        for (size_t k = 0; k < computed.count && !found; k++)
            if (strcmp(computed.outs[k].name, name) == 0)
                found = &computed.outs[k];
        if (!found) {
            rc = select_column(&select, from, i, name, s->why);
        } else if (!found->expr) {
            rc = select_column(&select, from, found->index, name, s->why);
        } else {
            rc = select_expr(&select, name, found->expr, s->why);
            found->expr = NULL;
        }
        if (found)
            found->name[0] = '\0'; /* is in */
    }
    for (size_t k = 0; k < computed.count && rc == 0; k++) {
        struct out *out = &computed.outs[k];
        if (!*out->name)
            continue;
        if (out->expr) {
            rc = select_expr(&select, out->name, out->expr, s->why);
            out->expr = NULL;
        } else {
            rc = select_column(&select, from, out->index, out->name, s->why);
        }
    }
    if (rc == 0)
        rc = select_make(s->r, from, s->node, &select, ret, s->why);
    select_clear(&computed);
    select_clear(&select);
    return rc;
}

static int find_columns(const struct step *s, const struct relation *from,
                        const json_t *names, size_t **ret, size_t *ret_count)
{
    size_t count = json_array_size(names);
    size_t *found = calloc(count + 1, sizeof *found);

    if (!found)
        return why_memory(s->why);
    for (size_t i = 0; i < count; i++) {
        const char *name = json_string_value(json_array_get(names, i));
        int rc = schema_find(&from->schema, name ? name : "", NULL, &found[i]);
        if (rc < 0) {
            free(found);
            return why_no_column(&from->schema, name ? name : "", rc, s->why);
        }
    }
    *ret = found;
    *ret_count = count;
    return 0;
}

static bool is_named(const json_t *columns, const char *name)
{
    for (size_t i = 0; i < json_array_size(columns); i++) {
        const char *other = json_string_value(
            json_object_get(json_array_get(columns, i), "name"));
        if (other && strcmp(other, name) == 0)
            return true;
    }
    return false;
}

static int check_grouped(struct step *s, const struct relation *from,
                         const struct select *select)
{
    for (size_t i = 0; i < select->count; i++) {
        const struct out *out = &select->outs[i];
        const char *name = out->name;
        bool grouped = false;
        if (out->expr) {
            grouped = expr_grouped(out->expr, select->group,
                                   select->group_count, &name);
        } else {
            name = from->schema.columns[out->index].name;
            for (size_t k = 0; k < select->group_count; k++)
                grouped = grouped || select->group[k] == out->index;
        }
        if (!grouped)
            return why_set(s->why,
                           "column \"%.60s\": \"%.60s\" is neither in group_by "
                           "nor inside of an aggregate such as sum()",
                           out->name, name);
    }
    return 0;
}

static int make_aggregate(struct step *s, struct relation **ret)
{
    struct relation *from = s->parents[0];
    const json_t *columns = json_object_get(s->config, "columns");
    struct select select = {.aggregate = true};
    int rc = find_columns(s, from, json_object_get(s->config, "group_by"),
                          &select.group, &select.group_count);

    for (size_t i = 0; rc == 0 && i < select.group_count; i++) {
        const char *name = from->schema.columns[select.group[i]].name;
        if (!is_named(columns, name))
            rc = select_column(&select, from, select.group[i], name, s->why);
    }
    if (rc == 0)
        rc = read_outs(&select, columns, &from, 1, true, s->why);
    if (rc == 0)
        rc = check_grouped(s, from, &select);
    if (rc == 0)
        rc = select_make(s->r, from, s->node, &select, ret, s->why);
    select_clear(&select);
    return rc;
}

static int make_sort(struct step *s, struct relation **ret)
{
    struct relation *from = s->parents[0];
    const json_t *by = json_object_get(s->config, "by");
    struct select select = {0};
    struct order *order = calloc(json_array_size(by) + 1, sizeof *order);
    int rc = order ? 0 : why_memory(s->why);

    for (size_t i = 0; i < json_array_size(by) && rc == 0; i++) {
        const json_t *item = json_array_get(by, i);
        const char *name = json_string_value(json_object_get(item, "column"));
        const char *nulls = json_string_value(json_object_get(item, "nulls"));
        rc = schema_find(&from->schema, name ? name : "", NULL,
                         &order[i].column);
        if (rc < 0)
            why_no_column(&from->schema, name ? name : "", rc, s->why);
        order[i].descending = json_is_true(json_object_get(item, "descending"));
        order[i].nulls_first =
            nulls ? strcmp(nulls, "first") == 0 : order[i].descending;
    }
    for (size_t i = 0; i < from->schema.count && rc == 0; i++)
        rc = select_column(&select, from, i, from->schema.columns[i].name,
                           s->why);
    if (rc == 0) {
        select.order = order;
        select.order_count = json_array_size(by);
        rc = select_make(s->r, from, s->node, &select, ret, s->why);
    }
    select_clear(&select);
    free(order);
    return rc;
}

static int distinct_rows(struct step *s, struct relation *from,
                         struct relation **ret)
{
    struct select select = {.distinct = true};
    int rc = 0;

    for (size_t i = 0; i < from->schema.count && rc == 0; i++)
        rc = select_column(&select, from, i, from->schema.columns[i].name,
                           s->why);
    if (rc == 0)
        rc = select_make(s->r, from, s->node, &select, ret, s->why);
    select_clear(&select);
    return rc;
}

static void print_sort_key(const struct relation *from, size_t index,
                           struct text *to)
{
    const struct column *column = &from->schema.columns[index];

    text_add(to, "t.");
    expr_quote_name(column->name, to);
    if (from->place && column->type == TYPE_TEXT)
        text_add(to, " COLLATE \"C\"");
    else if (!from->place && column->type == TYPE_DECIMAL)
        text_add(to, " COLLATE \"decimal\"");
}

/* One row for each key: of those alike the one whose other columns sort first,
 * so that both engines keep the same. */
static int distinct_by(struct step *s, struct relation *from,
                       const size_t *keys, size_t key_count,
                       struct relation **ret)
{
    struct text sql = {0};

    if (!relation_pushes(s->r, from, s->node)) {
        int rc = relation_local(s->r, from, &from, s->why);
        if (rc == 0)
            rc = relation_shallow(s->r, &from, 0, s->why);
        if (rc < 0)
            return rc;
    }
    struct relation *to = relation_new(s->r, s->node, from->place);
    if (!to || relation_inherit(to, from) < 0 ||
        schema_copy(&from->schema, &to->schema) < 0)
        return why_memory(s->why);
    text_add(&sql, "SELECT ");
    print_columns(&from->schema, "u", &sql);
    text_add(&sql, " FROM (SELECT ");
    print_columns(&from->schema, "t", &sql);
    text_add(&sql, ", row_number() OVER (PARTITION BY ");
    for (size_t i = 0; i < key_count; i++) {
        text_add(&sql, i ? ", " : "");
        print_sort_key(from, keys[i], &sql);
    }
    text_add(&sql, " ORDER BY ");
    for (size_t i = 0; i < from->schema.count; i++) {
        text_add(&sql, i ? ", " : "");
        print_sort_key(from, i, &sql);
        text_add(&sql, " NULLS LAST");
    }
    text_addf(&sql,
              ") AS \"dispatch row\" FROM (%s) AS t) AS u WHERE "
              "u.\"dispatch row\" = 1",
              from->sql);
    *ret = to;
    return relation_set_sql(to, &sql) < 0 ? why_memory(s->why) : 0;
}

static int make_distinct(struct step *s, struct relation **ret)
{
    struct relation *from = s->parents[0];
    const json_t *names = json_object_get(s->config, "columns");
    size_t *keys = NULL, count = 0;

    if (json_array_size(names) == 0)
        return distinct_rows(s, from, ret);
    int rc = find_columns(s, from, names, &keys, &count);
    if (rc < 0)
        return rc;
    rc = distinct_by(s, from, keys, count, ret);
    free(keys);
    return rc;
}

/* ---- union ----------------------------------------------------------- */

static const enum type numbers[] = {TYPE_INTEGER, TYPE_DECIMAL, TYPE_DOUBLE};

static int rank_of(enum type type)
{
    for (int i = 0; i < 3; i++)
        if (numbers[i] == type)
            return i;
    return -1;
}

/* The type that holds values of both, or TYPE_NULL. */
enum type step_common_type(enum type a, enum type b)
{
    if (a == b)
        return a;
    if (rank_of(a) >= 0 && rank_of(b) >= 0)
        return numbers[rank_of(a) > rank_of(b) ? rank_of(a) : rank_of(b)];
    if ((a == TYPE_DATE && b == TYPE_TIMESTAMP) ||
        (b == TYPE_DATE && a == TYPE_TIMESTAMP))
        return TYPE_TIMESTAMP;
    return TYPE_NULL;
}

/* All parents' columns by the first one's names, in types that hold all. */
static int common_schema(struct step *s, struct schema *ret)
{
    int rc = schema_copy(&s->parents[0]->schema, ret);

    if (rc < 0)
        return why_memory(s->why);
    for (size_t i = 0; i < ret->count; i++) {
        struct column *column = &ret->columns[i];
        column->bits = column->length = 0;
        column->precision = column->scale = -1;
        free(column->native);
        column->native = NULL;
    }
    for (size_t p = 1; p < s->parent_count; p++) {
        const struct schema *other = &s->parents[p]->schema;
        char mine[150], theirs[150];
        schema_list(ret, mine, sizeof mine);
        schema_list(other, theirs, sizeof theirs);
        if (other->count != ret->count)
            return why_set(s->why, "the inputs' columns differ: %s and %s",
                           mine, theirs);
        for (size_t i = 0; i < ret->count; i++) {
            struct column *column = &ret->columns[i];
            size_t at;
            if (schema_find(other, column->name, NULL, &at) < 0)
                return why_set(s->why, "the inputs' columns differ: %s and %s",
                               mine, theirs);
            enum type type =
                step_common_type(column->type, other->columns[at].type);
            if (type == TYPE_NULL)
                return why_set(s->why,
                               "column \"%.60s\" is %s in one input and %s in "
                               "another: cast one of them",
                               column->name, type_name(column->type),
                               type_name(other->columns[at].type));
            column->type = type;
        }
    }
    return 0;
}

static int make_union(struct step *s, struct relation **ret)
{
    struct schema schema = {0};
    struct text sql = {0};
    struct store *place = s->parents[0]->place;
    struct relation **fitted =
        calloc(s->parent_count, sizeof(struct relation *));
    int rc = fitted ? common_schema(s, &schema) : why_memory(s->why);

    for (size_t i = 0; i < s->parent_count && rc == 0; i++)
        if (!relation_pushes(s->r, s->parents[i], s->node) ||
            s->parents[i]->place != place)
            place = NULL;
    for (size_t i = 0; i < s->parent_count && rc == 0; i++) {
        struct relation *from = s->parents[i];
        if (!place)
            rc = relation_local(s->r, from, &from, s->why);
        if (rc == 0)
            rc = relation_fit(s->r, from, s->node, &schema, &fitted[i], s->why);
        if (rc == 0 && fitted[i]->place != place)
            rc = -EAGAIN; /* one cast cannot be pushed: all come here */
        if (rc == -EAGAIN && place) {
            place = NULL;
            rc = 0;
            i = (size_t)-1; /* from the first again */
        }
    }
    struct relation *to = rc == 0 ? relation_new(s->r, s->node, place) : NULL;
    if (rc == 0 && (!to || schema_copy(&schema, &to->schema) < 0))
        rc = why_memory(s->why);
    for (size_t i = 0; i < s->parent_count && rc == 0; i++) {
        if (relation_inherit(to, fitted[i]) < 0)
            rc = why_memory(s->why);
        text_add(&sql, i ? " UNION ALL SELECT " : "SELECT ");
        print_columns(&schema, "t", &sql);
        text_addf(&sql, " FROM (%s) AS t", fitted[i]->sql);
    }
    if (rc == 0 && relation_set_sql(to, &sql) < 0)
        rc = why_memory(s->why);
    if (rc == 0 && json_is_true(json_object_get(s->config, "distinct")))
        rc = distinct_rows(s, to, &to);
    *ret = to;
    text_clear(&sql);
    schema_clear(&schema);
    free(fitted);
    return rc;
}

/* ---- load, as rows to be read on ------------------------------------- */

static int make_given(struct step *s, struct relation **ret)
{
    const json_t *columns = json_object_get(s->config, "columns");

    *ret = s->parents[0];
    if (json_array_size(columns) == 0)
        return 0;
    return relation_project(s->r, s->parents[0], s->node, columns, ret, s->why);
}

/* ---- the table ------------------------------------------------------- */

static const struct {
    const char *kind;
    size_t inputs_min, inputs_max;
    int (*make)(struct step *step, struct relation **ret);
} makers[] = {
    {"extract", 0, 0, make_extract},
    {"csv_read", 0, 0, make_file},
    {"jsonl_read", 0, 0, make_file},
    {"sequence", 0, 1, make_sequence},
    {"filter", 1, 1, make_filter},
    {"select", 1, 1, make_select},
    {"map", 1, 1, make_map},
    {"aggregate", 1, 1, make_aggregate},
    {"sort", 1, 1, make_sort},
    {"distinct", 1, 1, make_distinct},
    {"union", 1, SIZE_MAX, make_union},
    {"join", 2, 2, step_join},
    {"load", 1, 1, make_given},
    {"csv_write", 1, 1, make_given},
    {"jsonl_write", 1, 1, make_given},
};

/* Counts the rows of the node as they pass, unless its source does. */
static int count_rows(struct step *s, struct relation *from,
                      struct relation **ret)
{
    struct text sql = {0};

    if (from->place) {
        *ret = from;
        return 0;
    }
    if (from->source_count == 1 && from->sources[0]->node == s->node &&
        from->depth == 0 && s->r->plan->preview_rows == 0) {
        from->sources[0]->whole = true;
        *ret = from;
        return 0;
    }
    if (from->open && from->node == s->node && !from->keep &&
        s->r->plan->preview_rows == 0) {
        text_addf(&sql, "%s%sdp_tick(%u)", from->sql,
                  from->has_where ? " AND " : " WHERE ", s->node);
        free(from->sql);
        *ret = from;
        return relation_set_sql(from, &sql) < 0 ? why_memory(s->why) : 0;
    }
    struct relation *to = relation_new(s->r, s->node, NULL);
    if (!to || relation_inherit(to, from) < 0 ||
        schema_copy(&from->schema, &to->schema) < 0)
        return why_memory(s->why);
    text_add(&sql, "SELECT ");
    print_columns(&from->schema, "t", &sql);
    text_addf(&sql, " FROM (%s) AS t WHERE dp_tick(%u", from->sql, s->node);
    for (size_t i = 0; s->r->plan->preview_rows > 0 && i < from->schema.count &&
                       i < RELATION_ARGS_MAX;
         i++) {
        text_add(&sql, ", t.");
        expr_quote_name(from->schema.columns[i].name, &sql);
    }
    text_add(&sql, ")");
    *ret = to;
    return relation_set_sql(to, &sql) < 0 ? why_memory(s->why) : 0;
}

int relation_of(struct relations *r, uint32_t node,
                struct relation *const *parents, size_t parent_count,
                struct relation **ret_relation, char why[RELATION_WHY_MAX])
{
    struct step step = {r,       node,         r->plan->nodes[node].config,
                        parents, parent_count, why};
    const char *kind = r->plan->nodes[node].kind;
    const json_t *output = json_object_get(step.config, "output");
    struct relation *relation = NULL;
    size_t i = 0;

    while (i < sizeof makers / sizeof *makers &&
           strcmp(makers[i].kind, kind) != 0)
        i++;
    if (i == sizeof makers / sizeof *makers)
        return why_set(why, "this agent cannot execute kind \"%.40s\"", kind);
    if (parent_count < makers[i].inputs_min ||
        parent_count > makers[i].inputs_max)
        return why_set(why, "it has %zu inputs", parent_count);
    int rc = makers[i].make(&step, &relation);
    if (rc < 0 || makers[i].make == make_given) {
        *ret_relation = relation;
        return rc;
    }
    if (json_array_size(output) > 0)
        rc = relation_project(r, relation, node, output, &relation, why);
    if (rc == 0)
        rc = count_rows(&step, relation, &relation);
    if (rc == 0 && (relation->varies || (!relation->place && r->shared[node])))
        rc = relation_keep(r, relation, &relation, why);
    if (rc == 0)
        *ret_relation = relation;
    return rc;
}
