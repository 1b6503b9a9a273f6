/*
 * relation.c - see relation.h: places, sources, what is kept. Selects are in
 * relation_select.c, what each kind of node means in relation_kinds.c.
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

bool relation_room(void **items, size_t count, size_t *room, size_t size)
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

    if (!copy || !relation_room(&sites, r->site_count, &r->site_room,
                                sizeof *r->sites)) {
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
        !relation_room(&all, r->count, &r->room, sizeof(struct relation *))) {
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
        !relation_room(&sources, r->source_count, &r->source_room,
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
