/* flow.c - see flow.h. */
#include "agents/flow.h"

#include "agents/clock.h"
#include "agents/expr.h"
#include "agents/functions.h"
#include "agents/spill.h"
#include "agents/unit.h"
#include "agents/wire.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { STEPS_BETWEEN_LOOKS = 20000, PREVIEW_BYTES_MAX = 60 * 1024 };

void flow_say_failed(struct flow *flow, uint32_t node, const char *fmt, ...)
{
    bool first = flow->failed_node == UINT32_MAX;
    char error[EXEC_ERROR_MAX];
    va_list args;

    va_start(args, fmt);
    vsnprintf(error, sizeof error, fmt, args);
    va_end(args);
    if (!first)
        return;
    flow->failed_node = node;
    memcpy(flow->error, error, sizeof flow->error);
}

void flow_reset(struct flow *flow)
{
    flow->failed_node = UINT32_MAX;
    flow->error[0] = '\0';
    flow->row_bad = flow->look_again = false;
    for (size_t i = 0; i < flow->plan->count; i++) {
        struct flow_node *n = &flow->nodes[i];
        n->last = n->ticks > 0 ? n->ticks : n->last;
        n->ticks = 0;
        if (!n->done)
            n->rejected = 0;
    }
}

/* ---- the functions' host --------------------------------------------- */

static const struct source *whole_source(const struct flow *flow,
                                         uint32_t node);
static uint64_t source_rows(const struct source *source);

/* How many rows of its input a node has seen: where a bad one is. 0: not known,
 * since its input was computed before (kept) or elsewhere, or there are two. */
static uint64_t rows_seen(const struct flow *flow, uint32_t node)
{
    const struct plan_node *plan = &flow->plan->nodes[node];
    uint64_t seen = 0;
    size_t inputs = 0;

    for (size_t i = 0; i < plan->parent_count; i++) {
        const struct flow_node *parent = &flow->nodes[plan->parents[i]];
        const struct source *source = whole_source(flow, plan->parents[i]);
        if (!unit_rows_flow(flow->plan, plan->parents[i], node))
            continue;
        if (inputs++ > 0 || (parent->rows && parent->rows->reads))
            return 0;
        seen = parent->ticks ? parent->ticks : source ? source_rows(source) : 0;
    }
    return seen;
}

void flow_tell_rejected(struct flow *flow, uint32_t node, const char *message)
{
    struct flow_node *n = &flow->nodes[node];

    if (n->told++ < FLOW_REJECTS_TOLD)
        fprintf(stderr, "node \"%s\": left out: %s\n",
                flow->plan->nodes[node].id, message);
    else if (n->told == FLOW_REJECTS_TOLD + 1)
        fprintf(stderr, "node \"%s\": more rows were left out\n",
                flow->plan->nodes[node].id);
}

static bool function_failed(void *context, uint32_t number, const char *message)
{
    struct flow *flow = context;
    const struct relations *r = &flow->relations;
    char where[EXEC_ERROR_MAX];

    if (number > r->site_count)
        return true;
    static char distinct[] = "distinct";
    const struct site nowhere = {flow->node, distinct, true};
    const struct site *site = number == 0 ? &nowhere : &r->sites[number - 1];
    uint64_t row = rows_seen(flow, site->node);
    if (row > 0)
        snprintf(where, sizeof where, "row %llu, \"%.60s\": %.500s",
                 (unsigned long long)row, site->column, message);
    else
        snprintf(where, sizeof where, "\"%.60s\": %.500s", site->column,
                 message);
    if (!r->skip[site->node]) {
        flow_say_failed(flow, site->node, "%s", where);
        return true;
    }
    /* A row of which several columns are bad is one row. */
    if (!flow->row_bad) {
        flow->nodes[site->node].rejected++;
        flow_tell_rejected(flow, site->node, where);
    }
    flow->row_bad = flow->row_bad || !site->counts_only;
    return false;
}

static bool function_row_ok(void *context)
{
    struct flow *flow = context;
    bool ok = !flow->row_bad;

    flow->row_bad = false;
    return ok;
}

static void preview_row(struct flow *flow, uint32_t node, int count,
                        sqlite3_value *const *values)
{
    struct flow_node *n = &flow->nodes[node];
    json_t *row = json_array();

    for (int i = 0; i < count && row; i++) {
        json_t *cell;
        switch (sqlite3_value_type(values[i])) {
        case SQLITE_NULL:
            cell = json_null();
            break;
        case SQLITE_INTEGER:
            cell = json_integer(sqlite3_value_int64(values[i]));
            break;
        case SQLITE_FLOAT:
            cell = json_real(sqlite3_value_double(values[i]));
            break;
        case SQLITE_BLOB:
            cell = json_sprintf("(%d bytes)", sqlite3_value_bytes(values[i]));
            break;
        default:
            cell = json_sprintf("%.200s",
                                (const char *)sqlite3_value_text(values[i]));
            if (!cell) /* the cut went through a character */
                cell = json_string("...");
            break;
        }
        json_array_append_new(row, cell);
    }
    char *line = row ? json_dumps(row, JSON_COMPACT) : NULL;
    json_decref(row);
    if (line && n->preview.len + strlen(line) < PREVIEW_BYTES_MAX) {
        text_addf(&n->preview, "%s\n", line);
        n->preview_rows++;
    } else {
        n->preview_cut = true;
    }
    free(line);
}

int flow_preview(struct flow *flow, uint32_t node, sqlite3_stmt *stmt)
{
    int count = sqlite3_column_count(stmt);
    sqlite3_value **values = calloc((size_t)count + 1, sizeof(sqlite3_value *));

    if (count > RELATION_ARGS_MAX)
        count = RELATION_ARGS_MAX;
    for (int i = 0; values && i < count; i++)
        values[i] = sqlite3_column_value(stmt, i);
    if (values)
        preview_row(flow, node, count, values);
    free(values);
    return 0;
}

static void function_tick(void *context, uint32_t node, int count,
                          sqlite3_value *const *values)
{
    struct flow *flow = context;

    if (node >= flow->plan->count)
        return;
    struct flow_node *n = &flow->nodes[node];
    n->ticks++;
    if (count > 0 && n->preview_rows < flow->plan->preview_rows &&
        !n->preview_cut && !n->preview_apart)
        preview_row(flow, node, count, values);
}

/* ---- counts ---------------------------------------------------------- */

static const struct source *whole_source(const struct flow *flow, uint32_t node)
{
    const struct relations *r = &flow->relations;

    for (size_t i = 0; i < r->source_count; i++)
        if (r->sources[i]->node == node && r->sources[i]->whole &&
            !r->sources[i]->aside)
            return r->sources[i];
    return NULL;
}

static uint64_t source_rows(const struct source *source)
{
    return source->feed ? source->feed->rows : source->rows;
}

static uint64_t rows_out(const struct flow *flow, uint32_t node)
{
    const struct flow_node *n = &flow->nodes[node];
    const struct source *source = whole_source(flow, node);

    if (n->written)
        return n->rows_out;
    if (n->done)
        return n->done_rows;
    if (n->ticks > 0)
        return n->ticks;
    if (source)
        return source_rows(source);
    if (n->last > 0)
        return n->last;
    /* One that was computed inside of a database counts nothing. */
    return n->rows && n->rows->place ? UINT64_MAX : 0;
}

void flow_counts(const struct flow *flow, uint32_t node,
                 struct exec_report *ret_report)
{
    const struct flow_node *n = &flow->nodes[node];
    const struct plan_node *plan = &flow->plan->nodes[node];
    const struct relations *r = &flow->relations;
    uint64_t in = 0, bytes = 0, rejected = n->rejected;
    bool sourced = false;

    for (size_t i = 0; i < r->source_count; i++) {
        const struct source *source = r->sources[i];
        if (source->node != node || source->aside)
            continue;
        sourced = true;
        uint64_t bad = source->feed ? source->feed->rejected : source->rejected;
        in += source_rows(source) + bad;
        rejected += bad;
        bytes += source->feed ? source->feed->bytes : source->bytes;
    }
    for (size_t i = 0; i < plan->parent_count; i++) {
        if (!unit_rows_flow(flow->plan, plan->parents[i], node))
            continue;
        uint64_t given = rows_out(flow, plan->parents[i]);
        in = given == UINT64_MAX || in == UINT64_MAX ? UINT64_MAX : in + given;
    }
    ret_report->counted = true;
    ret_report->rows_in = in;
    ret_report->rows_out = rows_out(flow, node);
    ret_report->bytes_out = bytes;
    ret_report->rows_rejected = rejected;
    if (n->written) {
        ret_report->rows_in = n->rows_in != 0 ? n->rows_in : in;
        ret_report->bytes_out = n->bytes;
    } else if (!sourced && n->rows && n->rows->place) {
        ret_report->rows_in = ret_report->rows_out = ret_report->bytes_out =
            UINT64_MAX;
    }
}

void flow_progress(struct flow *flow)
{
    int64_t now = clock_boot_ms();

    if (now < flow->report_at_ms)
        return;
    flow->report_at_ms = now + FLOW_REPORT_MS;
    flow->progress(flow->context);
}

void flow_done(struct flow *flow, uint32_t node)
{
    struct flow_node *n = &flow->nodes[node];

    n->done_rows = rows_out(flow, node);
    n->done = true;
}

static int look_up(void *context)
{
    flow_progress(context);
    return 0;
}

/* ---- the transform database ------------------------------------------ */

static int set_up_database(struct flow *flow)
{
    const struct data_settings *data = flow->relations.settings;
    /* Pages are 4 KiB; a quarter of the memory for caches and sorters. */
    long long pages = (long long)(data->memory_bytes / 4 / 4096 / 2);
    char pragmas[400];

    snprintf(pragmas, sizeof pragmas,
             "PRAGMA temp_store = FILE;"
             "PRAGMA main.cache_size = %lld;"
             "PRAGMA temp.cache_size = %lld;"
             "PRAGMA temp.journal_mode = OFF;"
             "PRAGMA temp.synchronous = OFF;"
             "PRAGMA trusted_schema = ON;",
             pages, pages);
    return sqlite3_exec(flow->db, pragmas, NULL, NULL, NULL) == SQLITE_OK
               ? 0
               : -EIO;
}

int flow_open(struct flow *flow, const struct exec_scene *scene,
              const struct data_settings *data, const bool *skip,
              const bool *shared)
{
    struct relations *r = &flow->relations;
    static const char *vfs; /* is made once a process */
    struct timespec now;
    struct tm utc;

    flow->scene = scene;
    flow->plan = scene->plan;
    flow->failed_node = UINT32_MAX;
    flow->host = (struct function_host){flow, function_failed, function_tick,
                                        function_row_ok};
    r->plan = scene->plan;
    r->settings = data;
    r->host = &flow->host;
    snprintf(r->label, sizeof r->label, "%s %s", scene->run_id,
             scene->plan->nodes[scene->unit->nodes[0]].id);
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(r->now, sizeof r->now, "%Y-%m-%d %H:%M:%S+00", &utc);
    flow->nodes = calloc(scene->plan->count, sizeof *flow->nodes);
    r->skip = skip;
    r->shared = shared;
    if (!flow->nodes)
        return -ENOMEM;
    int rc = vfs ? 0
                 : spill_limit(data->spill ? data->spill : ".",
                               data->spill_max_bytes, data->memory_bytes, &vfs);
    if (rc < 0) {
        snprintf(flow->error, sizeof flow->error,
                 "the directory for temporary files (data.spill) cannot be "
                 "used: %s",
                 strerror(-rc));
        return rc;
    }
    if (sqlite3_open_v2(":memory:", &flow->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
                            SQLITE_OPEN_NOMUTEX,
                        vfs) != SQLITE_OK)
        return -ENOMEM;
    rc = set_up_database(flow);
    if (rc == 0)
        rc = functions_install(flow->db, &flow->host);
    sqlite3_progress_handler(flow->db, STEPS_BETWEEN_LOOKS, look_up, flow);
    return rc;
}

void flow_close(struct flow *flow)
{
    relations_clear(&flow->relations);
    for (size_t i = 0; flow->nodes && i < flow->plan->count; i++)
        text_clear(&flow->nodes[i].preview);
    free(flow->nodes);
    sqlite3_close(flow->db);
    flow->nodes = NULL;
    flow->db = NULL;
}

/* ---- computing ------------------------------------------------------- */

/* Says what SQLite said, at the node it is about. */
static int fail_statement(struct flow *flow, const struct relation *relation,
                          uint32_t node, int code)
{
    for (size_t i = 0; i < relation->source_count; i++) {
        const struct source *source = relation->sources[i];
        if (source->feed && *source->feed->error)
            return flow_fail(flow, source->node, "%s", source->feed->error);
    }
    if ((code & 0xff) == SQLITE_NOMEM)
        return flow_fail(
            flow, node,
            "out of memory: this run may use %llu MiB "
            "(data.memory in the agent's configuration)",
            (unsigned long long)flow->relations.settings->memory_bytes >> 20);
    if ((code & 0xff) == SQLITE_FULL && spill_over_quota())
        return flow_fail(
            flow, node,
            "out of temporary space: this run may use %llu MiB "
            "(data.spill_max in the agent's configuration)",
            (unsigned long long)flow->relations.settings->spill_max_bytes >>
                20);
    if ((code & 0xff) == SQLITE_FULL)
        return flow_fail(flow, node, "the disk for temporary files is full");
    return flow_fail(flow, node, "%s", sqlite3_errmsg(flow->db));
}

static int execute(struct flow *flow, const struct relation *relation,
                   uint32_t node, const char *sql)
{
    int code = sqlite3_exec(flow->db, sql, NULL, NULL, NULL);

    return code == SQLITE_OK ? 0 : fail_statement(flow, relation, node, code);
}

static void told_of_reject(void *context, const char *message)
{
    const struct source *source = context;

    flow_tell_rejected(source->reader, source->node, message);
}

/* The table `name` with a column for each of the schema, of no type, so that
 * what is put in stays as it is. by_name: called as the columns are, else c0,
 * c1, ... */
static void print_table(const char *name, const struct schema *schema,
                        bool by_name, struct text *to)
{
    text_addf(to, "CREATE TABLE temp.%s (", name);
    for (size_t i = 0; i < schema->count; i++) {
        text_add(to, i ? ", " : "");
        if (by_name)
            expr_quote_name(schema->columns[i].name, to);
        else
            text_addf(to, "c%zu", i);
        if (schema->columns[i].type == TYPE_DECIMAL)
            text_add(to, " COLLATE \"decimal\"");
    }
    text_add(to, ")");
}

static int run_text(struct flow *flow, const struct relation *relation,
                    uint32_t node, struct text *sql)
{
    char *text = text_take(sql);
    int rc = text ? execute(flow, relation, node, text)
                  : flow_fail(flow, node, "out of memory");

    free(text);
    return rc;
}

/* A session reads one query at a time: what else is read of it in the same
 * statement is copied first. */
static int keep_source(struct flow *flow, const struct relation *relation,
                       struct source *source)
{
    struct text sql = {0};
    char copy[48];

    snprintf(copy, sizeof copy, "%s_in", source->table);
    if (feed_table(flow->db, copy, source->feed) < 0)
        return flow_fail(flow, source->node, "%s", sqlite3_errmsg(flow->db));
    print_table(source->table, &source->schema, false, &sql);
    int rc = run_text(flow, relation, source->node, &sql);
    text_addf(&sql, "INSERT INTO temp.%s SELECT * FROM temp.%s", source->table,
              copy);
    if (rc == 0)
        rc = run_text(flow, relation, source->node, &sql);
    text_addf(&sql, "DROP TABLE temp.%s", copy);
    if (rc == 0)
        rc = run_text(flow, relation, source->node, &sql);
    text_clear(&sql);
    source->kept = rc == 0;
    source_close(source);
    return rc;
}

static int open_source(struct flow *flow, const struct relation *relation,
                       struct source *source, bool busy)
{
    char why[RELATION_WHY_MAX];

    if (source->kept)
        return 0;
    if (source_open(&flow->relations, source, why) < 0)
        return flow_fail(flow, source->node, "%s", why);
    source->feed->reject = told_of_reject;
    source->feed->context = source;
    source->reader = flow;
    if (busy)
        return keep_source(flow, relation, source);
    if (feed_table(flow->db, source->table, source->feed) < 0)
        return flow_fail(flow, source->node, "%s", sqlite3_errmsg(flow->db));
    return 0;
}

/* Does a source further on need this one's session? */
static bool is_wanted(const struct relation *relation, size_t index)
{
    const struct store *store = relation->sources[index]->store;

    for (size_t i = index + 1; i < relation->source_count; i++)
        if (store && store->pg && relation->sources[i]->store == store &&
            !relation->sources[i]->kept)
            return true;
    return false;
}

static int open_sources(struct flow *flow, const struct relation *relation)
{
    int rc = 0;

    for (size_t i = 0; i < relation->source_count && rc == 0; i++)
        rc = open_source(flow, relation, relation->sources[i],
                         is_wanted(relation, i));
    return rc;
}

static void close_sources(struct flow *flow, const struct relation *relation)
{
    for (size_t i = 0; i < relation->source_count; i++) {
        struct source *source = relation->sources[i];
        char drop[64];
        if (source->kept || !source->feed)
            continue;
        snprintf(drop, sizeof drop, "DROP TABLE IF EXISTS temp.%s",
                 source->table);
        sqlite3_exec(flow->db, drop, NULL, NULL, NULL);
        source_close(source);
    }
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as tables are kept of tables. */
int flow_fill(struct flow *flow, struct relation *relation, uint32_t node)
{
    struct text sql = {0};
    int rc = 0;

    assert(relation->keep && !relation->place);
    flow->node = relation->node;
    if (relation->filled)
        return 0;
    for (size_t i = 0; i < relation->kept_count && rc == 0; i++)
        rc = flow_fill(flow, relation->kept[i], node);
    if (rc == 0)
        rc = open_sources(flow, relation);
    if (rc == 0) {
        print_table(relation->table, &relation->schema, true, &sql);
        rc = run_text(flow, relation, node, &sql);
    }
    if (rc == 0) {
        text_addf(&sql, "INSERT INTO temp.%s SELECT * FROM (%s)",
                  relation->table, relation->sql);
        rc = run_text(flow, relation, relation->node, &sql);
    }
    if (rc == 0 && relation->index_sql)
        rc = execute(flow, relation, relation->node, relation->index_sql);
    text_clear(&sql);
    close_sources(flow, relation);
    relation->filled = rc == 0;
    if (rc < 0) {
        char drop[64];
        snprintf(drop, sizeof drop, "DROP TABLE IF EXISTS temp.%s",
                 relation->table);
        sqlite3_exec(flow->db, drop, NULL, NULL, NULL);
    }
    return rc;
}

int flow_begin(struct flow *flow, struct relation *relation, uint32_t node,
               sqlite3_stmt **ret_stmt)
{
    int rc = 0;

    assert(!relation->place);
    for (size_t i = 0; i < relation->kept_count && rc == 0; i++)
        rc = flow_fill(flow, relation->kept[i], node);
    if (rc == 0)
        rc = open_sources(flow, relation);
    if (rc == 0) {
        int code =
            sqlite3_prepare_v2(flow->db, relation->sql, -1, ret_stmt, NULL);
        if (code != SQLITE_OK)
            rc = fail_statement(flow, relation, node, code);
    }
    if (rc < 0)
        close_sources(flow, relation);
    flow->row_bad = false;
    flow->node = relation->node;
    return rc;
}

int flow_step(struct flow *flow, struct relation *relation, uint32_t node,
              sqlite3_stmt *stmt)
{
    int code = sqlite3_step(stmt);

    if (code == SQLITE_ROW)
        return 1;
    return code == SQLITE_DONE ? 0 : fail_statement(flow, relation, node, code);
}

void flow_finish(struct flow *flow, struct relation *relation,
                 sqlite3_stmt **stmt_p)
{
    sqlite3_finalize(*stmt_p);
    *stmt_p = NULL;
    close_sources(flow, relation);
}
