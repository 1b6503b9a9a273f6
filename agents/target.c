/* target.c - see target.h. */
#include "agents/target.h"

#include "agents/clock.h"
#include "agents/files.h"
#include "agents/handoff.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum way { WAY_STREAM, WAY_INSIDE, WAY_ACROSS, WAY_SQL };

struct target {
    uint32_t node;
    bool handoff;
    enum way way;
    struct load load;
    const char **key;      /* behind load.key */
    struct schema given;   /* behind load.given */
    uint32_t from;         /* the node whose rows these are */
    struct relation *rows; /* as they are to be written */
    struct relation *kept; /* rows read to the end first, or NULL */
    struct store *store;   /* of a load and a sql node */
    struct sink *sink;     /* STREAM */
    struct pg *pg;         /* the writing session of INSIDE, ACROSS, SQL */
    bool reads_target;
    struct flow *flow; /* whose it is */
};

void target_free(struct target **target_p)
{
    struct target *target = *target_p;

    *target_p = NULL;
    if (!target)
        return;
    sink_close(&target->sink);
    pg_close(&target->pg);
    schema_clear(&target->given);
    free(target->key);
    free(target);
}

/* ---- what a load says ------------------------------------------------ */

static void tell_refused(void *context, const char *error)
{
    const struct target *t = context;

    flow_tell_rejected(t->flow, t->node, error);
}

static int read_load(struct flow *flow, struct target *t)
{
    const json_t *config = flow->plan->nodes[t->node].config;
    const char *mode = json_string_value(json_object_get(config, "mode"));
    const json_t *key = json_object_get(config, "key");
    struct load *load = &t->load;

    load->schema = json_string_value(json_object_get(config, "schema"));
    load->table = json_string_value(json_object_get(config, "table"));
    load->mode = mode && strcmp(mode, "truncate") == 0 ? LOAD_TRUNCATE
                 : mode && strcmp(mode, "merge") == 0  ? LOAD_MERGE
                                                       : LOAD_APPEND;
    load->create = json_is_true(json_object_get(config, "create"));
    load->skip = flow->relations.skip[t->node];
    load->run_id = flow->scene->run_id;
    load->node = flow->plan->nodes[t->node].id;
    load->attempt = flow->scene->attempt;
    load->refused = tell_refused;
    load->context = t;
    t->key = calloc(json_array_size(key) + 1, sizeof(const char *));
    if (!t->key)
        return flow_fail(flow, t->node, "out of memory");
    for (size_t i = 0; i < json_array_size(key); i++) {
        t->key[i] = json_string_value(json_array_get(key, i));
        if (!t->key[i])
            return flow_fail(flow, t->node, "key is not a list of names");
        load->key_count++;
    }
    load->key = t->key;
    if (!load->table && strcmp(flow->plan->nodes[t->node].kind, "load") == 0)
        return flow_fail(flow, t->node, "a load needs \"table\"");
    return 0;
}

static struct pg_limits limits_of(const struct flow *flow)
{
    const struct data_settings *data = flow->relations.settings;

    return (struct pg_limits){data->statement_timeout_ms, data->lock_timeout_ms,
                              10};
}

static int open_writer(struct flow *flow, struct target *t)
{
    const struct pg_limits limits = limits_of(flow);
    char error[PG_ERROR_MAX];

    if (pg_open(t->store->connection, &limits, flow->relations.label, &t->pg,
                error) < 0)
        return flow_fail(flow, t->node, "%s", error);
    return 0;
}

/* ---- which way ------------------------------------------------------- */

/* Does what this unit reads come from the place that the load writes to? */
static bool same_place(const struct connection *a, const struct connection *b)
{
    struct stat sa, sb;

    if (a->engine != b->engine)
        return false;
    if (strcmp(a->name, b->name) == 0)
        return true;
    return a->engine == ENGINE_SQLITE && stat(a->dsn, &sa) == 0 &&
           stat(b->dsn, &sb) == 0 && sa.st_dev == sb.st_dev &&
           sa.st_ino == sb.st_ino;
}

static bool reads_same_place(const struct flow *flow, const struct target *t)
{
    for (const struct store *s = flow->relations.stores; s; s = s->next)
        if ((s->pg || s->lite) &&
            same_place(s->connection, t->store->connection))
            return true;
    return false;
}

/* Lets go of what the reading sessions hold of the target's place. */
static int release(struct flow *flow, struct target *t)
{
    for (struct store *s = flow->relations.stores; s; s = s->next) {
        if (!same_place(s->connection, t->store->connection))
            continue;
        if (s->pg && !s->streaming && pg_end_read(s->pg) < 0)
            return flow_fail(flow, t->node, "%s", pg_error(s->pg));
        lite_close(&s->lite);
    }
    return 0;
}

/* Might the rows be read from the table they go to? A document's own SQL might
 * read anything. */
static bool may_read_target(const struct flow *flow, const struct target *t)
{
    for (uint32_t i = 0; i < t->node; i++) {
        const struct plan_node *node = &flow->plan->nodes[i];
        const char *table =
            json_string_value(json_object_get(node->config, "table"));
        if (strcmp(node->kind, "extract") == 0 && flow->nodes[i].rows &&
            flow->nodes[i].rows->place == t->store &&
            (!table || strcasecmp(table, t->load.table) == 0))
            return true;
    }
    return false;
}

static int stream(struct flow *flow, struct target *t);

static int inside(struct flow *flow, struct target *t)
{
    t->way = WAY_INSIDE;
    t->reads_target = t->load.mode == LOAD_TRUNCATE && may_read_target(flow, t);
    return open_writer(flow, t);
}

/* The target's columns by the names of what is given. */
static int match(struct flow *flow, struct target *t,
                 const struct schema *table, struct schema *ret)
{
    for (size_t i = 0; i < t->given.count; i++) {
        const char *name = t->given.columns[i].name;
        size_t at;
        if (schema_find(table, name, NULL, &at) < 0) {
            char list[200];
            schema_list(table, list, sizeof list);
            return flow_fail(flow, t->node,
                             "the table \"%.80s\" has no column \"%.60s\": it "
                             "has %s",
                             t->load.table, name, list);
        }
        if (schema_add_copy(ret, &table->columns[at]) < 0)
            return flow_fail(flow, t->node, "out of memory");
        free(ret->columns[i].name);
        ret->columns[i].name = strdup(name);
        if (!ret->columns[i].name)
            return flow_fail(flow, t->node, "out of memory");
    }
    return 0;
}

static int across(struct flow *flow, struct target *t)
{
    struct schema table = {0}, wanted = {0};
    char why[RELATION_WHY_MAX];
    struct relation *fitted = NULL;
    int rc = open_writer(flow, t);

    if (rc < 0)
        return rc;
    rc = pg_describe_table(t->pg, t->load.schema, t->load.table, &table);
    if (rc == -ENOENT && t->load.create)
        rc = schema_copy(&t->given, &table);
    if (rc < 0)
        rc = flow_fail(flow, t->node, "%s", pg_error(t->pg));
    if (rc == 0)
        rc = match(flow, t, &table, &wanted);
    if (rc == 0) {
        rc = relation_fit(&flow->relations, t->rows, t->node, &wanted, &fitted,
                          why);
        if (rc < 0)
            rc = flow_fail(flow, t->node, "%s", why);
    }
    schema_clear(&table);
    schema_clear(&wanted);
    if (rc < 0 || !fitted)
        return rc;
    if (fitted->place != t->rows->place) { /* a cast that it cannot do */
        pg_close(&t->pg);
        return stream(flow, t);
    }
    t->way = WAY_ACROSS;
    t->rows = fitted;
    return 0;
}

static int make_sink(struct flow *flow, struct target *t)
{
    const struct pg_limits limits = limits_of(flow);
    const struct data_settings *data = flow->relations.settings;
    const struct plan_node *node = &flow->plan->nodes[t->node];
    char error[SINK_ERROR_MAX] = "out of memory";
    int rc;

    if (t->handoff)
        rc = handoff_sink(t->node, &t->given, &t->sink, error);
    else if (t->store && t->store->connection->engine == ENGINE_POSTGRESQL)
        rc = pg_sink(t->store->connection, &limits, &t->load, &t->sink, error);
    else if (t->store)
        rc = lite_sink(t->store->connection, data->lock_timeout_ms, &t->load,
                       &t->sink, error);
    else if (strcmp(node->kind, "csv_write") == 0)
        rc = csv_sink(data->files, node->config, &t->given, &t->sink, error);
    else if (strcmp(node->kind, "jsonl_write") == 0)
        rc = jsonl_sink(data->files, node->config, &t->given, &t->sink, error);
    else
        rc = sink_nowhere(&t->given, &t->sink);
    return rc < 0 ? flow_fail(flow, t->node, "%s", error) : 0;
}

static int stream(struct flow *flow, struct target *t)
{
    struct relations *r = &flow->relations;
    char why[RELATION_WHY_MAX];
    int rc = make_sink(flow, t);

    t->way = WAY_STREAM;
    if (rc < 0)
        return rc;
    rc = relation_local(r, t->rows, &t->rows, why);
    if (rc == 0 && t->store)
        rc = relation_fit(r, t->rows, t->node, &t->sink->schema, &t->rows, why);
    if (rc == 0 && t->store && reads_same_place(flow, t)) {
        rc = relation_keep(r, t->rows, &t->rows, why);
        t->kept = t->rows->reads;
    }
    return rc < 0 ? flow_fail(flow, t->node, "%s", why) : 0;
}

int target_new(struct flow *flow, uint32_t node, bool handoff,
               struct target **ret_target)
{
    const struct plan_node *plan = &flow->plan->nodes[node];
    const char *name =
        json_string_value(json_object_get(plan->config, "connection"));
    struct relation *rows = flow->nodes[node].rows;
    struct target *t = calloc(1, sizeof *t);
    char why[RELATION_WHY_MAX];
    bool load = !handoff && strcmp(plan->kind, "load") == 0;
    bool sql = strcmp(plan->kind, "sql") == 0;
    int rc = 0;

    if (!t)
        return flow_fail(flow, node, "out of memory");
    t->flow = flow;
    t->node = node;
    t->handoff = handoff;
    t->rows = rows;
    t->from = rows ? rows->node : node;
    if (load || sql) {
        rc = read_load(flow, t);
        if (rc == 0 && relations_store(&flow->relations, name ? name : "",
                                       false, &t->store, why) < 0)
            rc = flow_fail(flow, node, "%s", why);
    }
    if (rc == 0 && rows && schema_copy(&rows->schema, &t->given) < 0)
        rc = flow_fail(flow, node, "out of memory");
    t->load.given = &t->given;
    if (rc == 0 && sql) {
        t->way = WAY_SQL;
    } else if (rc == 0) {
        bool push = load && rows && rows->place &&
                    flow->relations.settings->pushdown && !t->load.skip &&
                    t->store->connection->engine == ENGINE_POSTGRESQL;
        if (push && rows->place == t->store)
            rc = inside(flow, t);
        else if (push)
            rc = across(flow, t);
        else
            rc = stream(flow, t);
    }
    if (rc < 0)
        target_free(&t);
    else
        *ret_target = t;
    return rc;
}

/* ---- doing it -------------------------------------------------------- */

static void set_counts(struct flow *flow, struct target *t, uint64_t rows,
                       uint64_t bytes, uint64_t rejected)
{
    struct flow_node *n = &flow->nodes[t->node];

    n->written = true;
    n->rows_in = rows + rejected;
    n->rows_out = rows;
    n->bytes = bytes;
}

static int fail_sink(struct flow *flow, struct target *t)
{
    return flow_fail(flow, t->node, "%s", t->sink->error);
}

/* Rows that did not fit the table never came to the sink. */
static void set_sink_counts(struct flow *flow, struct target *t)
{
    const struct sink *sink = t->sink;

    set_counts(flow, t, sink->rows, sink->bytes,
               sink->rejected + (t->store ? flow->nodes[t->node].rejected : 0));
}

static int write_row(struct flow *flow, struct target *t, sqlite3_stmt *stmt)
{
    if (flow->row_bad) { /* a cast for the target failed: told already */
        flow->row_bad = false;
        return 0;
    }
    switch (t->sink->row(t->sink, stmt)) {
    case SINK_REJECTED:
        flow_tell_rejected(flow, t->node, t->sink->error);
        return 0;
    case SINK_FAILED:
        return fail_sink(flow, t);
    case SINK_OK:
    case SINK_DONE:
        break;
    }
    return 0;
}

static int write_rows(struct flow *flow, struct target *t, sqlite3_stmt *stmt)
{
    const struct flow_node *n = &flow->nodes[t->node];
    uint64_t count = 0;
    int rc;

    while ((rc = flow_step(flow, t->rows, t->node, stmt)) == 1) {
        if (count < flow->plan->preview_rows && !n->ticks && !n->preview_done &&
            !n->preview_apart)
            flow_preview(flow, t->node, stmt);
        rc = write_row(flow, t, stmt);
        if (rc < 0)
            return rc;
        if ((++count & 1023) == 0) {
            if (!t->handoff)
                set_sink_counts(flow, t);
            flow_progress(flow);
        }
    }
    return rc;
}

static int run_stream(struct flow *flow, struct target *t, bool *ret_done)
{
    sqlite3_stmt *stmt = NULL;
    int rc = 0;

    if (t->kept) {
        rc = flow_fill(flow, t->kept, t->node);
        if (rc == 0)
            rc = release(flow, t);
    }
    if (rc == 0)
        rc = flow_begin(flow, t->rows, t->node, &stmt);
    if (rc < 0)
        return rc;
    enum sink_answer answer = t->sink->begin(t->sink);
    *ret_done = answer == SINK_DONE;
    if (answer == SINK_FAILED)
        rc = fail_sink(flow, t);
    else if (answer == SINK_OK)
        rc = write_rows(flow, t, stmt);
    /* Reading ends before the commit: a reader may stand in its way. */
    flow_finish(flow, t->rows, &stmt);
    if (rc == 0 && answer == SINK_OK && t->sink->commit(t->sink) != SINK_OK)
        rc = fail_sink(flow, t);
    if (rc < 0)
        t->sink->abort(t->sink);
    else if (t->store || !flow->nodes[t->node].rows ||
             strstr(flow->plan->nodes[t->node].kind, "_write"))
        set_sink_counts(flow, t);
    if (t->sink->rejected > 0)
        flow->nodes[t->node].rejected += t->sink->rejected;
    return rc;
}

static void copied(void *context, uint64_t rows, uint64_t bytes)
{
    struct target *t = context;
    struct flow_node *from = &t->flow->nodes[t->from];

    set_counts(t->flow, t, rows, bytes, 0);
    if (t->from != t->node) {
        from->written = true;
        from->rows_out = rows;
        from->bytes = bytes;
    }
    flow_progress(t->flow);
}

static int run_in_server(struct flow *flow, struct target *t, bool *ret_done)
{
    struct store *from = t->rows->place;
    uint64_t rows = 0, bytes = 0;
    int rc;

    if (t->way == WAY_INSIDE) {
        rc = release(flow, t);
        if (rc < 0)
            return rc;
        rc = pg_insert_select(t->pg, &t->load, t->rows->sql, t->reads_target,
                              ret_done, &rows);
        bytes = UINT64_MAX;
    } else {
        rc = pg_begin_read(from->pg);
        if (rc < 0)
            return flow_fail(flow, t->rows->node, "%s", pg_error(from->pg));
        rc = pg_copy_across(from->pg, t->rows->sql, t->pg, &t->load, copied, t,
                            ret_done, &rows, &bytes);
    }
    if (rc < 0) {
        const char *error = pg_error(t->pg);
        flow->look_again =
            pg_failed_by_value(t->pg) ||
            (t->way == WAY_ACROSS && pg_failed_by_value(from->pg));
        if (t->way == WAY_ACROSS && !*error)
            return flow_fail(flow, t->node, "%s", pg_error(from->pg));
        return flow_fail(flow, t->node, "%s", error);
    }
    if (t->way == WAY_ACROSS && !*ret_done)
        copied(t, rows, bytes);
    else
        set_counts(flow, t, rows, bytes, 0);
    return 0;
}

static int run_sql(struct flow *flow, struct target *t, bool *ret_done)
{
    const char *sql = json_string_value(
        json_object_get(flow->plan->nodes[t->node].config, "sql"));
    const struct data_settings *data = flow->relations.settings;
    uint64_t rows = 0;
    int rc;

    if (!sql)
        return flow_fail(flow, t->node, "a sql node needs \"sql\"");
    if (t->store->connection->engine == ENGINE_POSTGRESQL) {
        rc = open_writer(flow, t);
        if (rc < 0)
            return rc;
        rc = pg_execute(t->pg, &t->load, sql, ret_done, &rows);
        if (rc < 0)
            return flow_fail(flow, t->node, "%s", pg_error(t->pg));
    } else {
        char error[LITE_ERROR_MAX];
        rc = lite_execute(t->store->connection, data->lock_timeout_ms,
                          data->statement_timeout_ms, &t->load, sql, ret_done,
                          &rows, error);
        if (rc < 0)
            return flow_fail(flow, t->node, "%s", error);
    }
    set_counts(flow, t, rows, 0, 0);
    return 0;
}

int target_run(struct flow *flow, struct target *target, bool *ret_done)
{
    *ret_done = false;
    switch (target->way) {
    case WAY_STREAM:
        return run_stream(flow, target, ret_done);
    case WAY_INSIDE:
    case WAY_ACROSS:
        return run_in_server(flow, target, ret_done);
    case WAY_SQL:
        return run_sql(flow, target, ret_done);
    }
    return -EINVAL;
}
