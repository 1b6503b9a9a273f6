/*
 * relation.c - see relation.h: places, sources, selects. What each kind of node
 * means is in relation_kinds.c.
 *
 * Every relation's SQL is a whole SELECT whose result columns are called as its
 * schema says; a step reads its input as a subquery. Both engines flatten such
 * nests. Counting stands outermost in a node, as `WHERE dp_tick(node)`: it is
 * not deterministic, so SQLite neither hoists it nor pushes it down, and it
 * stands behind the conditions of its own node, also after flattening. Where
 * flattening would put it into a loop of more than one table (a join), LIMIT -1
 * keeps SQLite from it.
 */
#include "agents/relation_inside.h"

#include "agents/files.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- why ------------------------------------------------------------- */

void why_say(char why[RELATION_WHY_MAX], const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(why, RELATION_WHY_MAX, fmt, args);
    va_end(args);
}

int why_no_column(const struct schema *schema, const char *name, int rc,
                  char why[RELATION_WHY_MAX])
{
    char list[200];

    schema_list(schema, list, sizeof list);
    if (rc == -EEXIST)
        return why_set(why,
                       "more than one column is called \"%.60s\" if case is "
                       "ignored: %s",
                       name, list);
    return why_set(why, "there is no column \"%.60s\": there are %s", name,
                   list);
}

/* ---- lists ----------------------------------------------------------- */

/* Room for one more in an array of `size`d items that doubles. */
static bool room_for(void **items, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return true;
    size_t more = *room ? *room * 2 : 16;
    void *grown = reallocarray(*items, more, size);
    if (!grown)
        return false;
    *items = grown;
    *room = more;
    return true;
}

uint32_t relations_site(struct relations *r, uint32_t node, const char *column,
                        bool counts_only)
{
    void *sites = r->sites;
    char *copy = strdup(column); /* the list it is from ends before the run */

    if (!copy ||
        !room_for(&sites, r->site_count, &r->site_room, sizeof *r->sites)) {
        free(copy);
        return 0; /* errors will be told of the wrong place, that is all */
    }
    r->sites = sites;
    r->sites[r->site_count] = (struct site){node, copy, counts_only};
    /* cppcheck-suppress memleak; relations_clear() frees the copy */
    return (uint32_t)++r->site_count;
}

struct relation *relation_new(struct relations *r, uint32_t node,
                              struct store *place)
{
    void *all = r->all;
    struct relation *relation = calloc(1, sizeof *relation);

    if (!relation ||
        !room_for(&all, r->count, &r->room, sizeof(struct relation *))) {
        free(relation);
        return NULL;
    }
    r->all = all;
    r->all[r->count++] = relation;
    relation->node = node;
    relation->place = place;
    return relation;
}

static void relation_free(struct relation *relation)
{
    schema_clear(&relation->schema);
    free(relation->sql);
    free(relation->sources);
    free(relation->kept);
    free(relation->index_sql);
    free(relation);
}

struct source *source_new(struct relations *r, uint32_t node,
                          struct store *store, const struct schema *schema)
{
    void *sources = r->sources;
    struct source *source = calloc(1, sizeof *source);

    if (!source || schema_copy(schema, &source->schema) < 0 ||
        !room_for(&sources, r->source_count, &r->source_room,
                  sizeof(struct source *))) {
        if (source)
            schema_clear(&source->schema);
        free(source);
        return NULL;
    }
    r->sources = sources;
    snprintf(source->table, sizeof source->table, "source_%zu",
             r->source_count);
    r->sources[r->source_count++] = source;
    source->node = node;
    source->store = store;
    return source;
}

void relations_clear(struct relations *r)
{
    for (size_t i = 0; i < r->count; i++)
        relation_free(r->all[i]);
    for (size_t i = 0; i < r->source_count; i++) {
        source_close(r->sources[i]);
        schema_clear(&r->sources[i]->schema);
        free(r->sources[i]->sql);
        free(r->sources[i]);
    }
    while (r->stores) {
        struct store *store = r->stores;
        r->stores = store->next;
        pg_close(&store->pg);
        lite_close(&store->lite);
        connection_free(&store->connection);
        free(store);
    }
    for (size_t i = 0; i < r->site_count; i++)
        free(r->sites[i].column);
    free(r->all);
    free(r->sources);
    free(r->sites);
    r->all = NULL;
    r->sources = NULL;
    r->sites = NULL;
    r->count = r->source_count = r->site_count = 0;
    r->room = r->source_room = r->site_room = 0;
}

int relation_inherit(struct relation *to, const struct relation *from)
{
    struct source **sources =
        reallocarray(to->sources, to->source_count + from->source_count + 1,
                     sizeof(struct source *));
    if (!sources)
        return -ENOMEM;
    to->sources = sources;
    for (size_t i = 0; i < from->source_count; i++)
        sources[to->source_count++] = from->sources[i];
    struct relation **kept =
        reallocarray(to->kept, to->kept_count + from->kept_count + 1,
                     sizeof(struct relation *));
    if (!kept)
        return -ENOMEM;
    to->kept = kept;
    for (size_t i = 0; i < from->kept_count; i++)
        kept[to->kept_count++] = from->kept[i];
    if (to->depth <= from->depth)
        to->depth = from->depth + 1;
    if (to->stack < from->stack)
        to->stack = from->stack;
    if (to->weight < from->weight)
        to->weight = from->weight;
    to->varies = to->varies || from->varies;
    return 0;
}

int relation_shallow(struct relations *r, struct relation **from_p,
                     size_t stack, char why[RELATION_WHY_MAX])
{
    const struct relation *from = *from_p;
    size_t selects = from->depth + 4; /* its own, a counter, a fit, a keep */

    if (stack < from->stack)
        stack = from->stack;
    if (from->place || from->reads ||
        selects * RELATION_SELECT_STACK + stack <= RELATION_STACK_MAX)
        return 0;
    return relation_keep(r, *from_p, from_p, why);
}

int relation_names(const struct schema *schema, char why[RELATION_WHY_MAX])
{
    for (size_t i = 1; i < schema->count; i++)
        for (size_t k = 0; k < i; k++)
            if (sqlite3_stricmp(schema->columns[i].name,
                                schema->columns[k].name) == 0)
                return why_set(why,
                               "columns \"%.60s\" and \"%.60s\" are one if "
                               "case is ignored, as it is here: give one of "
                               "them another name",
                               schema->columns[k].name,
                               schema->columns[i].name);
    return 0;
}

int relation_set_sql(struct relation *relation, struct text *sql)
{
    relation->sql = text_take(sql);
    return relation->sql ? 0 : -ENOMEM;
}

/* ---- stores ---------------------------------------------------------- */

static int open_store(struct relations *r, struct store *store,
                      char why[RELATION_WHY_MAX])
{
    const struct data_settings *settings = r->settings;
    const struct pg_limits limits = {settings->statement_timeout_ms,
                                     settings->lock_timeout_ms, 10};
    int rc = 0;

    if (store->connection->engine == ENGINE_POSTGRESQL && !store->pg) {
        char error[PG_ERROR_MAX];
        rc = pg_open(store->connection, &limits, r->label, &store->pg, error);
        if (rc < 0)
            snprintf(why, RELATION_WHY_MAX, "%s", error);
    } else if (store->connection->engine == ENGINE_SQLITE && !store->lite) {
        char error[LITE_ERROR_MAX];
        rc = lite_open(store->connection, settings->lock_timeout_ms,
                       settings->statement_timeout_ms, &store->lite, error);
        if (rc < 0)
            snprintf(why, RELATION_WHY_MAX, "%s", error);
    }
    if (rc == 0 && store->pg) {
        rc = pg_begin_read(store->pg);
        if (rc < 0)
            snprintf(why, RELATION_WHY_MAX, "%s", pg_error(store->pg));
    }
    return rc;
}

int relations_store(struct relations *r, const char *name, bool open,
                    struct store **ret_store, char why[RELATION_WHY_MAX])
{
    struct connection *connection;
    struct store *store = r->stores;
    char reason[CONNECTION_WHY_MAX];
    int rc = connection_find(r->settings, name, &connection, reason);

    if (rc < 0) {
        snprintf(why, RELATION_WHY_MAX, "%s", reason);
        return rc;
    }
    while (store && strcmp(store->connection->name, connection->name) != 0)
        store = store->next;
    if (!store) {
        store = calloc(1, sizeof *store);
        if (!store) {
            connection_free(&connection);
            return why_memory(why);
        }
        store->connection = connection;
        store->next = r->stores;
        r->stores = store;
    } else {
        connection_free(&connection);
    }
    if (open) {
        rc = open_store(r, store, why);
        if (rc < 0)
            return rc;
    }
    *ret_store = store;
    return 0;
}

/* ---- sources --------------------------------------------------------- */

int source_open(struct relations *r, struct source *source,
                char why[RELATION_WHY_MAX])
{
    char error[FILES_ERROR_MAX];
    const char *kind = r->plan->nodes[source->node].kind;
    struct store *store = source->store;
    int rc = 0;

    if (source->feed)
        return 0;
    if (store) { /* it may have been closed, or have let go of its locks */
        rc = open_store(r, store, why);
        if (rc < 0)
            return rc;
    }
    error[0] = '\0';
    if (store && store->pg) {
        rc = pg_feed(store->pg, source->sql, &source->schema, &source->feed);
        snprintf(error, sizeof error, "%s", rc < 0 ? pg_error(store->pg) : "");
        if (rc == 0)
            store->streaming = source->feed;
    } else if (store) {
        rc =
            lite_feed(store->lite, source->sql, &source->schema, &source->feed);
        snprintf(error, sizeof error, "%s",
                 rc < 0 ? lite_error(store->lite) : "");
    } else if (strcmp(kind, "csv_read") == 0) {
        rc = csv_feed(r->settings->files, source->config, &source->feed, error);
    } else if (strcmp(kind, "jsonl_read") == 0) {
        rc = jsonl_feed(r->settings->files, source->config, &source->feed,
                        error);
    } else {
        const json_t *c = source->config;
        const json_t *start = json_object_get(c, "start");
        const json_t *step = json_object_get(c, "step");
        rc = feed_sequence(
            source->schema.columns[0].name,
            start ? json_integer_value(start) : 1,
            step ? json_integer_value(step) : 1,
            (uint64_t)json_integer_value(json_object_get(c, "count")),
            &source->feed);
        snprintf(error, sizeof error, "%s", rc < 0 ? strerror(-rc) : "");
    }
    if (rc < 0)
        snprintf(why, RELATION_WHY_MAX, "%s", error);
    else if (source->feed)
        source->feed->skip = r->skip[source->node];
    return rc;
}

void source_close(struct source *source)
{
    if (!source->feed)
        return;
    source->rows = source->feed->rows;
    source->bytes = source->feed->bytes;
    source->rejected = source->feed->rejected;
    if (source->store && source->store->streaming == source->feed)
        source->store->streaming = NULL;
    feed_close(&source->feed);
}

int relation_read(struct relations *r, struct source *source,
                  struct relation **ret_relation)
{
    struct relation *relation = relation_new(r, source->node, NULL);
    struct text sql = {0};

    if (!relation || schema_copy(&source->schema, &relation->schema) < 0)
        return -ENOMEM;
    relation->sources = calloc(1, sizeof(struct source *));
    if (!relation->sources)
        return -ENOMEM;
    relation->sources[relation->source_count++] = source;
    text_add(&sql, "SELECT ");
    for (size_t i = 0; i < source->schema.count; i++) {
        text_addf(&sql, "%sc%zu AS ", i ? ", " : "", i);
        expr_quote_name(source->schema.columns[i].name, &sql);
    }
    text_addf(&sql, " FROM temp.%s", source->table);
    *ret_relation = relation;
    return relation_set_sql(relation, &sql);
}

int relation_source(struct relations *r, uint32_t node, struct feed *feed,
                    struct relation **ret_relation)
{
    struct source *source = source_new(r, node, NULL, &feed->schema);

    if (!source)
        return -ENOMEM;
    source->feed = feed;
    return relation_read(r, source, ret_relation);
}

/* The two call each other once: what is shared is kept, and what is kept is
 * local. */
/* NOLINTBEGIN(misc-no-recursion) */
int relation_local(struct relations *r, struct relation *from,
                   struct relation **ret_relation, char why[RELATION_WHY_MAX])
{
    if (!from->place) {
        *ret_relation = from;
        return 0;
    }
    if (from->local) {
        *ret_relation = from->local;
        return 0;
    }
    if (relation_names(&from->schema, why) < 0)
        return -EINVAL;
    struct source *source =
        source_new(r, from->node, from->place, &from->schema);
    if (!source)
        return why_memory(why);
    source->whole = true;
    source->sql = strdup(from->sql);
    struct relation *read;
    int rc = source->sql ? relation_read(r, source, &read) : -ENOMEM;
    if (rc == 0 && r->shared[from->node])
        rc = relation_keep(r, read, &read, why);
    if (rc < 0)
        return rc == -ENOMEM ? why_memory(why) : rc;
    from->local = *ret_relation = read;
    return 0;
}

int relation_keep(struct relations *r, struct relation *from,
                  struct relation **ret_relation, char why[RELATION_WHY_MAX])
{
    struct relation *local;
    int rc = relation_local(r, from, &local, why);

    if (rc < 0)
        return rc;
    struct relation *read = relation_new(r, from->node, NULL);
    struct text sql = {0};
    if (!read || schema_copy(&local->schema, &read->schema) < 0)
        return why_memory(why);
    read->kept = calloc(1, sizeof(struct relation *));
    if (!read->kept)
        return why_memory(why);
    read->kept[read->kept_count++] = local;
    read->reads = local;
    local->keep = true;
    if (!*local->table)
        snprintf(local->table, sizeof local->table, "kept_%zu", r->count);
    text_add(&sql, "SELECT ");
    print_columns(&read->schema, NULL, &sql);
    text_addf(&sql, " FROM temp.%s", local->table);
    *ret_relation = read;
    return relation_set_sql(read, &sql) < 0 ? why_memory(why) : 0;
}

/* NOLINTEND(misc-no-recursion) */

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
    if (!copy ||
        !room_for(&outs, select->count, &select->room, sizeof *select->outs)) {
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
