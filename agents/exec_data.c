/*
 * exec_data.c - the process of a unit of data nodes (unit.h): compiles every
 * node to a relation, then fills one target after the other, and says of each
 * node when it runs, how far it is and how it ended.
 *
 * Whatever can be wrong with a name or a type is found before the first row is
 * written anywhere. A node that fails takes its descendants with it; the other
 * targets of the unit go on. A node has completed when the first target that
 * needed it has; one that was stopped half way and that nobody completed in the
 * end is cancelled.
 *
 * A server that failed because of a value does not say in which row, nor at
 * which step. Then all that is left is computed once more without push-down,
 * which finds the place (or, should the agent see nothing wrong, does the job).
 */
#include "agents/executor.h"

#include "agents/flow.h"
#include "agents/handoff.h"
#include "agents/target.h"
#include "agents/unit.h"
#include "agents/wire.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum stage {
    OUTSIDE, /* not of this unit */
    SETTLED, /* ended in an earlier process of the unit: computed again if
                somebody needs its rows, and not spoken of */
    AHEAD,
    RUNNING,
    COMPLETED,
    BROKEN, /* failed, cancelled, or below one that is */
};

struct job {
    struct flow flow;
    const struct exec_scene *scene;
    const struct plan *plan;
    const struct unit *unit;
    enum stage *stage;       /* by node */
    struct target **targets; /* by node; NULL: has none */
    struct target **handoffs;
    bool *wanted; /* needed by the target that runs now */
    bool *skip, *shared;
    bool again;      /* once more without push-down */
    char *broken_by; /* why the unit's rest was stopped */
};

int exec_data_check(const json_t *config, char why[PLAN_WHY_MAX])
{
    /* What a configuration means is found out with the columns at hand; here
     * only that it is one. */
    if (json_is_object(config))
        return 0;
    snprintf(why, PLAN_WHY_MAX, "its configuration is not an object");
    return -EINVAL;
}

/* ---- saying ---------------------------------------------------------- */

static void tell(struct job *job, uint32_t node, enum exec_state state,
                 const char *error)
{
    struct exec_report report;

    memset(&report, 0, sizeof report);
    report.node = node;
    report.exit_code = -1;
    report.state = (uint8_t)state;
    flow_counts(&job->flow, node, &report);
    if (error)
        snprintf(report.error, sizeof report.error, "%s", error);
    exec_report(&report, NULL);
}

static void tell_preview(struct job *job, uint32_t node)
{
    struct flow_node *n = &job->flow.nodes[node];
    struct exec_report report;
    struct text text = {0};
    json_t *names = json_array();

    if (job->plan->preview_rows == 0 || n->preview_done || !n->rows)
        goto end;
    n->preview_done = true;
    for (size_t i = 0; i < n->rows->schema.count && i < RELATION_ARGS_MAX; i++)
        json_array_append_new(names,
                              json_string(n->rows->schema.columns[i].name));
    char *line = json_dumps(names, JSON_COMPACT);
    if (line)
        text_addf(&text, "%s\n", line);
    free(line);
    if (n->preview.len > 0)
        text_add_bytes(&text, n->preview.bytes, n->preview.len);
    if (text.failed || text.len > WIRE_LOG_MAX)
        goto end;
    memset(&report, 0, sizeof report);
    report.node = node;
    report.state = EXEC_PREVIEW;
    report.text_bytes = (uint32_t)text.len;
    exec_report(&report, text.bytes);
end:
    json_decref(names);
    text_clear(&text);
}

static void tell_progress(void *context)
{
    struct job *job = context;

    for (size_t i = 0; i < job->unit->count; i++)
        if (job->stage[job->unit->nodes[i]] == RUNNING)
            tell(job, job->unit->nodes[i], EXEC_RUNNING, NULL);
}

static void begin_node(struct job *job, uint32_t node)
{
    if (job->stage[node] != AHEAD)
        return;
    job->stage[node] = RUNNING;
    tell(job, node, EXEC_RUNNING, NULL);
}

static void complete_node(struct job *job, uint32_t node)
{
    if (job->stage[node] != RUNNING)
        return;
    job->stage[node] = COMPLETED;
    tell_preview(job, node);
    tell(job, node, EXEC_COMPLETED, NULL);
    flow_done(&job->flow, node);
}

/* ---- failing --------------------------------------------------------- */

/* The node failed; everything below it cannot go on. */
static void break_node(struct job *job, uint32_t node, const char *error)
{
    char stopped[400];

    begin_node(job, node);
    if (job->stage[node] == RUNNING)
        tell(job, node, EXEC_FAILED, error);
    job->stage[node] = BROKEN;
    snprintf(stopped, sizeof stopped, "stopped because node \"%.200s\" failed",
             job->plan->nodes[node].id);
    free(job->broken_by);
    job->broken_by = strdup(stopped);
    for (size_t i = 0; i < job->unit->count; i++) {
        uint32_t below = job->unit->nodes[i];
        const struct plan_node *n = &job->plan->nodes[below];
        if (job->stage[below] != AHEAD && job->stage[below] != RUNNING)
            continue;
        for (size_t k = 0; k < n->parent_count; k++) {
            if (job->stage[n->parents[k]] != BROKEN)
                continue;
            if (job->stage[below] == RUNNING)
                tell(job, below, EXEC_CANCELLED, stopped);
            job->stage[below] = BROKEN;
            break;
        }
    }
}

/* What failed in the flow while `node` was worked on. */
static void break_failed(struct job *job, uint32_t node)
{
    uint32_t failed = job->flow.failed_node;
    char error[EXEC_ERROR_MAX];

    snprintf(error, sizeof error, "%s",
             *job->flow.error ? job->flow.error : "out of memory");
    if (failed >= job->plan->count || job->stage[failed] == OUTSIDE ||
        job->stage[failed] == SETTLED || job->stage[failed] == COMPLETED)
        failed = node;
    break_node(job, failed, error); /* with the counts as they are */
    flow_reset(&job->flow);
}

/* ---- what the unit is made of ---------------------------------------- */

static bool is_in(const struct job *job, uint32_t node)
{
    return job->stage[node] != OUTSIDE;
}

static size_t readers(const struct job *job, uint32_t node, bool inside)
{
    const struct plan_node *n = &job->plan->nodes[node];
    size_t count = 0;

    for (size_t k = 0; k < n->child_count; k++)
        count += is_in(job, n->children[k]) == inside &&
                 unit_rows_flow(job->plan, node, n->children[k]);
    return count;
}

static bool has_target(const struct job *job, uint32_t node)
{
    const char *kind = job->plan->nodes[node].kind;

    return strcmp(kind, "load") == 0 || strcmp(kind, "sql") == 0 ||
           strstr(kind, "_write") ||
           readers(job, node, true) + readers(job, node, false) == 0;
}

static bool says_skip(const struct plan_node *node)
{
    const char *text =
        json_string_value(json_object_get(node->config, "on_errors"));

    return text && strcmp(text, "skip") == 0;
}

/* From the last to the first: bad rows are left out where the node itself says
 * so, and on the way to targets that all do. */
static void survey(struct job *job)
{
    for (size_t i = job->unit->count; i-- > 0;) {
        uint32_t node = job->unit->nodes[i];
        const struct plan_node *n = &job->plan->nodes[node];
        size_t inside = readers(job, node, true);
        size_t skipping = 0;
        for (size_t k = 0; k < n->child_count; k++)
            skipping += is_in(job, n->children[k]) &&
                        unit_rows_flow(job->plan, node, n->children[k]) &&
                        job->skip[n->children[k]];
        bool outside = readers(job, node, false) > 0;
        job->skip[node] = says_skip(n) || (inside > 0 && skipping == inside &&
                                           !outside && !has_target(job, node));
        job->shared[node] =
            inside + (outside ? 1 : 0) + (has_target(job, node) ? 1 : 0) > 1;
    }
}

/* ---- compiling ------------------------------------------------------- */

static int rows_of_parent(struct job *job, uint32_t node, uint32_t parent,
                          struct relation **ret)
{
    struct relations *r = &job->flow.relations;
    char error[FEED_ERROR_MAX], why[RELATION_WHY_MAX];
    struct feed *feed;

    if (is_in(job, parent) || job->flow.nodes[parent].rows) {
        *ret = job->flow.nodes[parent].rows;
        return *ret ? 0 : -ECANCELED;
    }
    if (handoff_feed(parent, &feed, error) < 0)
        return flow_fail(&job->flow, node, "%s", error);
    int rc = relation_source(r, parent, feed, ret);
    if (rc == 0)
        rc = relation_keep(r, *ret, ret, why); /* the file is read once */
    if (rc < 0)
        return flow_fail(&job->flow, node, "out of memory");
    job->flow.nodes[parent].rows = *ret;
    return 0;
}

static int compile_node(struct job *job, uint32_t node)
{
    const struct plan_node *n = &job->plan->nodes[node];
    struct relations *r = &job->flow.relations;
    struct relation **parents =
        calloc(n->parent_count + 1, sizeof(struct relation *));
    struct relation *rows = NULL;
    char why[RELATION_WHY_MAX];
    size_t count = 0;
    int rc = parents ? 0 : flow_fail(&job->flow, node, "out of memory");

    for (size_t k = 0; k < n->parent_count && rc == 0; k++)
        if (unit_rows_flow(job->plan, n->parents[k], node))
            rc = rows_of_parent(job, node, n->parents[k], &parents[count++]);
    if (rc == 0 && strcmp(n->kind, "sql") != 0) {
        rc = relation_of(r, node, parents, count, &rows, why);
        /* A load's rows that are read on are computed once. */
        if (rc == 0 && job->shared[node] && !rows->reads &&
            strcmp(n->kind, "load") == 0)
            rc = relation_keep(r, rows, &rows, why);
        if (rc < 0)
            rc = flow_fail(&job->flow, node, "%s", why);
    }
    job->flow.nodes[node].rows = rows;
    bool ahead = job->stage[node] == AHEAD || job->stage[node] == RUNNING;
    if (rc == 0 && ahead && has_target(job, node))
        rc = target_new(&job->flow, node, false, &job->targets[node]);
    if (rc == 0 && readers(job, node, false) > 0)
        rc = target_new(&job->flow, node, true, &job->handoffs[node]);
    const json_t *output = json_object_get(n->config, "output");
    if (rc == 0 && strcmp(n->kind, "load") == 0 &&
        json_array_size(output) > 0) { /* as its readers see it */
        rc = relation_project(r, rows, node, output, &rows, why);
        if (rc < 0)
            rc = flow_fail(&job->flow, node, "%s", why);
        job->flow.nodes[node].rows = rows;
    }
    free(parents);
    return rc;
}

static void compile(struct job *job)
{
    for (size_t i = 0; i < job->unit->count; i++) {
        uint32_t node = job->unit->nodes[i];
        if (job->stage[node] == BROKEN)
            continue;
        if (compile_node(job, node) < 0)
            break_failed(job, node);
    }
}

/* ---- running --------------------------------------------------------- */

/* Marks what the node's rows come from. */
static void want(struct job *job, uint32_t node)
{
    memset(job->wanted, 0, job->plan->count * sizeof *job->wanted);
    job->wanted[node] = true;
    for (uint32_t i = node + 1; i-- > 0;) {
        const struct plan_node *n = &job->plan->nodes[i];
        for (size_t k = 0; job->wanted[i] && k < n->parent_count; k++)
            if (is_in(job, n->parents[k]) &&
                unit_rows_flow(job->plan, n->parents[k], i))
                job->wanted[n->parents[k]] = true;
    }
}

/* The first rows of what is computed inside of a database. */
static int preview_place(struct job *job, uint32_t node)
{
    struct flow *flow = &job->flow;
    struct relation *rows = flow->nodes[node].rows;
    sqlite3_stmt *stmt = NULL;
    char why[RELATION_WHY_MAX];
    int rc;

    if (job->plan->preview_rows == 0 || !rows || !rows->place ||
        flow->nodes[node].preview_done)
        return 0;
    struct relation limited = *rows, *local;
    struct text sql = {0};
    text_addf(&sql, "SELECT * FROM (%s) AS t LIMIT %u", rows->sql,
              job->plan->preview_rows);
    limited.sql = text_take(&sql);
    limited.local = NULL;
    rc = limited.sql ? relation_local(&flow->relations, &limited, &local, why)
                     : -ENOMEM;
    if (rc == 0) {
        local->sources[0]->whole = false;
        local->sources[0]->aside = true;
        flow->nodes[node].preview_apart = true;
        rc = flow_begin(flow, local, node, &stmt);
    }
    while (rc == 0 && (rc = flow_step(flow, local, node, stmt)) == 1)
        rc = flow_preview(flow, node, stmt);
    if (stmt)
        flow_finish(flow, local, &stmt);
    free(limited.sql);
    return rc;
}

static void run_target(struct job *job, uint32_t node, struct target *target)
{
    struct flow *flow = &job->flow;
    bool done = false;
    int rc = 0;

    want(job, node);
    flow_reset(flow);
    for (size_t i = 0; i < job->unit->count; i++)
        if (job->wanted[job->unit->nodes[i]])
            begin_node(job, job->unit->nodes[i]);
    for (size_t i = 0; i < job->unit->count && rc == 0; i++)
        if (job->wanted[job->unit->nodes[i]])
            rc = preview_place(job, job->unit->nodes[i]);
    if (rc == 0)
        rc = target_run(flow, target, &done);
    if (rc < 0 && flow->look_again && flow->relations.settings->pushdown) {
        fprintf(stderr, "node \"%s\": %s; looking for the row\n",
                job->plan->nodes[node].id, flow->error);
        job->again = true;
        return;
    }
    if (rc < 0) {
        break_failed(job, node);
        return;
    }
    if (done)
        fprintf(stderr,
                "node \"%s\": an earlier attempt of this run has loaded it\n",
                job->plan->nodes[node].id);
    for (size_t i = 0; i < job->unit->count; i++)
        if (job->wanted[job->unit->nodes[i]])
            complete_node(job, job->unit->nodes[i]);
}

static void run(struct job *job)
{
    for (size_t i = 0; i < job->unit->count; i++) {
        uint32_t node = job->unit->nodes[i];
        if (job->targets[node] && job->stage[node] != BROKEN)
            run_target(job, node, job->targets[node]);
        if (job->handoffs[node] && job->stage[node] != BROKEN)
            run_target(job, node, job->handoffs[node]);
        target_free(&job->targets[node]);
        target_free(&job->handoffs[node]);
    }
}

static void settle(struct job *job)
{
    for (size_t i = 0; i < job->unit->count; i++) {
        uint32_t node = job->unit->nodes[i];
        /* Those that nobody needed in the end, since what would have failed. */
        if (job->broken_by)
            begin_node(job, node);
        if (job->stage[node] == RUNNING)
            tell(job, node, EXEC_CANCELLED, job->broken_by);
    }
}

/* ---- the process ----------------------------------------------------- */

static void set_stages(struct job *job)
{
    for (size_t i = 0; i < job->unit->count; i++) {
        uint32_t node = job->unit->nodes[i];
        switch ((enum wire_node_state)job->scene->states[node]) {
        case WIRE_NODE_WAITING:
            job->stage[node] = AHEAD;
            break;
        case WIRE_NODE_COMPLETED:
            job->stage[node] = SETTLED;
            break;
        default:
            job->stage[node] = BROKEN;
            break;
        }
    }
}

static void execute(struct job *job, const struct data_settings *data)
{
    job->flow.progress = tell_progress;
    job->flow.context = job;
    if (flow_open(&job->flow, job->scene, data, job->skip, job->shared) < 0) {
        char error[EXEC_ERROR_MAX];
        snprintf(error, sizeof error, "%s",
                 *job->flow.error ? job->flow.error : "out of memory");
        for (size_t i = 0; i < job->unit->count; i++) {
            enum stage stage = job->stage[job->unit->nodes[i]];
            if (stage == AHEAD || stage == RUNNING)
                break_node(job, job->unit->nodes[i], error);
        }
        return;
    }
    compile(job);
    run(job);
}

void exec_data_run(const struct exec_scene *scene, const struct plan_node *node)
{
    static struct job job;
    size_t count = scene->plan->count;

    (void)node;
    sqlite3_config(SQLITE_CONFIG_SINGLETHREAD); /* as this process is */
    job.scene = scene;
    job.plan = scene->plan;
    job.unit = scene->unit;
    job.stage = calloc(count, sizeof *job.stage);
    job.targets = calloc(count, sizeof(struct target *));
    job.handoffs = calloc(count, sizeof(struct target *));
    job.wanted = calloc(count, sizeof *job.wanted);
    job.skip = calloc(count, sizeof *job.skip);
    job.shared = calloc(count, sizeof *job.shared);
    if (!job.stage || !job.targets || !job.handoffs || !job.wanted ||
        !job.skip || !job.shared)
        exec_fail(-1, "out of memory");
    set_stages(&job);
    survey(&job);
    execute(&job, &scene->settings->data);
    if (job.again) {
        struct data_settings here = scene->settings->data;
        here.pushdown = false;
        flow_close(&job.flow);
        memset(&job.flow, 0, sizeof job.flow);
        execute(&job, &here);
    }
    settle(&job);
    fflush(NULL);
    _exit(0); /* the kernel frees faster than we do */
}
