/*
 * data_bench.h - for tests of data nodes: a directory with SQLite files and
 * text files, plans over them, and the processes of their units, one after the
 * other, whose reports are kept by node. Included by one test program each.
 *
 * In plans ' stands for ", so that JSON can be read in C.
 */
#ifndef TESTS_UNIT_DATA_BENCH_H
#define TESTS_UNIT_DATA_BENCH_H

#include "agents/executor.h"
#include "agents/unit.h"
#include "agents/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { SAID_MAX = 1 << 16, ANSWER_MAX = 1 << 14 };

struct seen { /* what was said of a node */
    enum exec_state state;
    struct exec_report last;
    size_t began; /* reports that it runs */
    size_t ended; /* that it completed, failed or was cancelled */
    bool any;
    char *preview;
};

struct bench {
    char dir[64];
    struct settings settings;
    struct exec_scene scene;
    struct plan *plan;
    struct units *units;
    uint8_t *states;
    struct seen *seen;
    char said[SAID_MAX]; /* stderr of all of them */
    int status;          /* of the last process */
};

static inline void path_in(const struct bench *b, const char *name,
                           char path[200])
{
    snprintf(path, 200, "%s/%s", b->dir, name);
}

static inline int set_up(void **state)
{
    struct bench *b = calloc(1, sizeof *b);
    static const char *const made[] = {"data", "files", "work", "spill"};
    char path[200];

    strcpy(b->dir, "/tmp/test-data-XXXXXX");
    if (!mkdtemp(b->dir))
        return -1;
    for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
        path_in(b, made[i], path);
        if (mkdir(path, 0700) < 0)
            return -1;
    }
    path_in(b, "data", path);
    b->settings.data.embedded = strdup(path);
    path_in(b, "files", path);
    b->settings.data.files = strdup(path);
    path_in(b, "spill", path);
    b->settings.data.spill = strdup(path);
    b->settings.data.memory_bytes = 256ULL << 20;
    b->settings.data.spill_max_bytes = 256ULL << 20;
    b->settings.data.pushdown = true;
    b->settings.data.statement_timeout_ms = 20000;
    b->settings.data.lock_timeout_ms = 2000;
    strcpy(b->scene.run_id, "01020304-0506-7008-8009-000000000001");
    b->scene.attempt = 1;
    *state = b;
    return 0;
}

static inline void forget_plan(struct bench *b)
{
    for (size_t i = 0; b->plan && i < b->plan->count; i++)
        free(b->seen[i].preview);
    free(b->seen);
    free(b->states);
    units_free(&b->units);
    plan_free(&b->plan);
    b->seen = NULL;
    b->states = NULL;
    b->said[0] = '\0';
}

static inline int tear_down(void **state)
{
    struct bench *b = *state;
    char command[128];

    forget_plan(b);
    snprintf(command, sizeof command, "rm -rf %s", b->dir);
    if (system(command) != 0) /* NOLINT: a fixed command of the test */
        perror("rm");
    free(b->settings.data.embedded);
    free(b->settings.data.files);
    free(b->settings.data.spill);
    free(b);
    return 0;
}

/* ---- past our code ---------------------------------------------------- */

static inline sqlite3 *open_file(const struct bench *b, const char *name)
{
    char path[200], file[100];
    sqlite3 *db;

    snprintf(file, sizeof file, "data/%s.db", name);
    path_in(b, file, path);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    return db;
}

/* SQL on the file that documents call `name`. */
static inline void put(const struct bench *b, const char *name, const char *sql)
{
    sqlite3 *db = open_file(b, name);
    char *why = NULL;

    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", sql, why);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* "1|a\n2|-\n" */
static inline const char *ask(const struct bench *b, const char *name,
                              const char *sql)
{
    static char answer[ANSWER_MAX];
    sqlite3 *db = open_file(b, name);
    sqlite3_stmt *stmt;
    size_t len = 0;

    answer[0] = '\0';
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    while (sqlite3_step(stmt) == SQLITE_ROW && len < ANSWER_MAX - 200) {
        for (int i = 0; i < sqlite3_column_count(stmt); i++) {
            const char *text = (const char *)sqlite3_column_text(stmt, i);
            len += (size_t)snprintf(answer + len, ANSWER_MAX - len, "%s%.150s",
                                    i ? "|" : "", text ? text : "-");
        }
        answer[len++] = '\n';
        answer[len] = '\0';
    }
    sqlite3_finalize(stmt);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return answer;
}

static inline void put_file(const struct bench *b, const char *name,
                            const char *text)
{
    char path[200], file[100];

    snprintf(file, sizeof file, "files/%s", name);
    path_in(b, file, path);
    FILE *to = fopen(path, "we");
    assert_non_null(to);
    fputs(text, to);
    fclose(to);
}

/* The whole of a file, or "" when it is not there. */
static inline const char *read_text(const struct bench *b, const char *name)
{
    static char text[SAID_MAX];
    char path[200];

    path_in(b, name, path);
    FILE *from = fopen(path, "re");
    size_t n = from ? fread(text, 1, sizeof text - 1, from) : 0;
    text[n] = '\0';
    if (from)
        fclose(from);
    return text;
}

/* ---- plans ------------------------------------------------------------- */

/* nodes: the list without its brackets; more: members of the plan, or "". */
static inline void take_plan_with(struct bench *b, const char *nodes,
                                  const char *more)
{
    size_t room = strlen(nodes) + strlen(more) + 64;
    char *text = malloc(room), why[PLAN_WHY_MAX];

    forget_plan(b);
    snprintf(text, room, "{'name': 'p', %s%s'nodes': [%s]}", more,
             *more ? ", " : "", nodes);
    for (char *at = text; *at; at++)
        if (*at == '\'')
            *at = '"';
    if (plan_read(text, strlen(text), &b->plan, why) < 0)
        fail_msg("%s", why);
    free(text);
    b->units = units_of(b->plan);
    b->seen = calloc(b->plan->count, sizeof *b->seen);
    b->states = calloc(b->plan->count, 1);
    b->scene.workflow = "p";
    b->scene.pool = "default";
    b->scene.parameters = b->scene.traceparent = "";
    b->scene.settings = &b->settings;
    b->scene.plan = b->plan;
}

static inline uint32_t node_of(const struct bench *b, const char *id)
{
    for (uint32_t i = 0; i < b->plan->count; i++)
        if (strcmp(b->plan->nodes[i].id, id) == 0)
            return i;
    fail_msg("no node %s", id);
    return 0;
}

static inline void
hear_report(struct bench *b, const struct exec_report *report, const char *text)
{
    assert_true(report->node < b->plan->count);
    struct seen *seen = &b->seen[report->node];
    seen->any = true;
    if (report->state == EXEC_PREVIEW) {
        free(seen->preview);
        seen->preview = strndup(text, report->text_bytes);
        return;
    }
    /* Nothing is said of a node that has ended. */
    assert_int_equal(seen->ended, 0);
    seen->began += report->state == EXEC_RUNNING;
    seen->ended += report->state != EXEC_RUNNING;
    seen->state = (enum exec_state)report->state;
    seen->last = *report;
    if (report->state == EXEC_COMPLETED)
        b->states[report->node] = WIRE_NODE_COMPLETED;
    else if (report->state == EXEC_FAILED)
        b->states[report->node] = WIRE_NODE_FAILED;
    else if (report->state == EXEC_CANCELLED)
        b->states[report->node] = WIRE_NODE_CANCELLED;
}

/* In the unit's process. */
static inline void become_unit(const struct bench *b, const struct unit *unit,
                               int report_fd)
{
    struct exec_scene scene = b->scene;
    char path[200];

    scene.unit = unit;
    scene.states = b->states;
    path_in(b, "stderr", path);
    int said = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    path_in(b, "work", path);
    if (said < 0 || dup2(said, STDERR_FILENO) < 0 || chdir(path) < 0)
        _exit(99);
    if (report_fd != EXEC_REPORT_FD && dup2(report_fd, EXEC_REPORT_FD) < 0)
        _exit(98);
    exec_data_run(&scene, &b->plan->nodes[unit->nodes[0]]);
}

static inline void run_unit(struct bench *b, const struct unit *unit)
{
    struct exec_report report;
    size_t len = 0, room = 1 << 16, at = 0;
    char *bytes = malloc(room);
    int ends[2];
    ssize_t n;

    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(ends[0]);
        become_unit(b, unit, ends[1]);
        _exit(97);
    }
    close(ends[1]);
    while ((n = read(ends[0], bytes + len, room - len)) > 0) {
        len += (size_t)n;
        if (len == room)
            bytes = realloc(bytes, room *= 2);
    }
    close(ends[0]);
    assert_int_equal(waitpid(pid, &b->status, 0), pid);
    while (at + sizeof report <= len) {
        memcpy(&report, bytes + at, sizeof report);
        at += sizeof report;
        assert_true(at + report.text_bytes <= len);
        hear_report(b, &report, bytes + at);
        at += report.text_bytes;
    }
    assert_int_equal(at, len);
    free(bytes);
    snprintf(b->said, sizeof b->said, "%s", read_text(b, "stderr"));
    /* A unit's process that crashes is no answer to anything. */
    if (!WIFEXITED(b->status) || strstr(b->said, "Sanitizer") ||
        strstr(b->said, "runtime error"))
        fail_msg("status %d: %s", b->status, b->said);
}

static inline bool unit_is_ready(const struct bench *b, size_t u,
                                 const bool *done)
{
    const struct unit *unit = &b->units->list[u];

    for (size_t i = 0; i < unit->count; i++) {
        const struct plan_node *node = &b->plan->nodes[unit->nodes[i]];
        for (size_t k = 0; k < node->parent_count; k++)
            if (b->units->of[node->parents[k]] != u &&
                !done[b->units->of[node->parents[k]]])
                return false;
    }
    return !done[u];
}

/* Nodes below one that has not completed are skipped. */
static inline void skip_below(struct bench *b, const struct unit *unit)
{
    for (size_t i = 0; i < unit->count; i++) {
        const struct plan_node *node = &b->plan->nodes[unit->nodes[i]];
        for (size_t k = 0; k < node->parent_count; k++)
            if (b->states[node->parents[k]] != WIRE_NODE_COMPLETED &&
                b->states[node->parents[k]] != WIRE_NODE_WAITING)
                b->states[unit->nodes[i]] = WIRE_NODE_SKIPPED;
    }
}

/* All units in an order that is right; commands complete by themselves. */
static inline void run_units(struct bench *b)
{
    bool *done = calloc(b->units->count, sizeof *done);

    for (size_t left = b->units->count; left > 0; left--) {
        size_t u = 0;
        while (!unit_is_ready(b, u, done)) {
            u++;
            assert_true(u < b->units->count);
        }
        const struct unit *unit = &b->units->list[u];
        skip_below(b, unit);
        if (unit->data)
            run_unit(b, unit);
        else if (b->states[unit->nodes[0]] == WIRE_NODE_WAITING)
            b->states[unit->nodes[0]] = WIRE_NODE_COMPLETED;
        done[u] = true;
    }
    free(done);
}

static inline void run_plan(struct bench *b, const char *nodes)
{
    take_plan_with(b, nodes, "");
    run_units(b);
}

/* ---- looking ------------------------------------------------------------ */

static inline const struct seen *seen(const struct bench *b, const char *id)
{
    return &b->seen[node_of(b, id)];
}

static inline void assert_all_completed(const struct bench *b)
{
    for (size_t i = 0; i < b->plan->count; i++)
        if (b->seen[i].state != EXEC_COMPLETED &&
            b->states[i] != WIRE_NODE_COMPLETED)
            fail_msg("node %s: %s\n%s", b->plan->nodes[i].id,
                     b->seen[i].last.error, b->said);
}

/* What the node ended with: rows in, out and left out; -1: not known. */
static inline void assert_rows(const struct bench *b, const char *id,
                               int64_t in, int64_t out, int64_t rejected)
{
    const struct exec_report *r = &seen(b, id)->last;

    if (!r->counted || (int64_t)r->rows_in != in ||
        (int64_t)r->rows_out != out || (int64_t)r->rows_rejected != rejected)
        fail_msg("%s: in %lld out %lld left out %lld, not %lld, %lld, %lld: "
                 "%s",
                 id, (long long)r->rows_in, (long long)r->rows_out,
                 (long long)r->rows_rejected, (long long)in, (long long)out,
                 (long long)rejected, r->error);
}

static inline void assert_failed(const struct bench *b, const char *id,
                                 const char *error)
{
    const struct seen *s = seen(b, id);

    if (!s->any || s->state != EXEC_FAILED || strcmp(s->last.error, error) != 0)
        fail_msg("%s: state %d, \"%s\", not \"%s\"", id, (int)s->state,
                 s->last.error, error);
}

static inline void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" has no \"%s\"", text, part);
}

/* ---- words of plans ----------------------------------------------------- */

#define NODE(id, kind, after, config)                                          \
    "{'id': '" id "', 'kind': '" kind "', 'after': [" after                    \
    "], 'config': {" config "}}"
#define EXTRACT(id, connection, table)                                         \
    NODE(id, "extract", "",                                                    \
         "'connection': '" connection "', 'table': '" table "'")
#define LOAD(id, after, table)                                                 \
    NODE(id, "load", after,                                                    \
         "'connection': 'out', 'table': '" table                               \
         "', 'mode': 'append', 'create': true")
#define WHERE(tree) "'where': {'text': '', 'tree': " tree "}"
#define COMPUTED(name, tree)                                                   \
    "{'name': '" name "', 'expression': {'text': '', 'tree': " tree "}}"
#define COL(name) "['col', '" name "']"
#define INT(value) "['int', " #value "]"

#endif
