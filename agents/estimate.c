/* estimate.c - see estimate.h. */
#include "agents/estimate.h"

#include "agents/expr.h"
#include "agents/files.h"
#include "agents/lite.h"
#include "agents/pg.h"
#include "agents/text.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

/* A connection that some source has named; neither pg nor lite: it cannot be
 * opened, and is not tried again for the next source. */
struct opened {
    const char *name; /* in the sources */
    struct pg *pg;
    struct lite *lite;
    char why[ESTIMATE_WHY_MAX];
};

struct estimator {
    const struct data_settings *settings;
    struct opened opened[WIRE_SOURCES_MAX];
    size_t opened_count;
    char why[ESTIMATE_WHY_MAX]; /* of the present source */
};

static const char *text_of(const json_t *config, const char *key)
{
    return json_string_value(json_object_get(config, key));
}

/* ---- connections ----------------------------------------------------- */

static void open_connection(const struct data_settings *settings,
                            struct opened *opened)
{
    static const struct pg_limits limits = {
        .statement_timeout_ms = ESTIMATE_WAIT_MS,
        .lock_timeout_ms = ESTIMATE_WAIT_MS,
        .connect_timeout_s = ESTIMATE_CONNECT_S,
    };
    struct connection *connection;
    char why[CONNECTION_WHY_MAX], error[PG_ERROR_MAX] = "";

    _Static_assert((int)PG_ERROR_MAX == (int)LITE_ERROR_MAX, "one buffer");
    if (connection_find(settings, opened->name, &connection, why) < 0) {
        snprintf(opened->why, sizeof opened->why, "%.*s", ESTIMATE_WHY_MAX - 1,
                 why);
        return;
    }
    if (connection->engine == ENGINE_POSTGRESQL) {
        if (pg_open(connection, &limits, "estimate", &opened->pg, error) == 0 &&
            pg_begin_read(opened->pg) < 0) {
            snprintf(error, sizeof error, "%s", pg_error(opened->pg));
            pg_close(&opened->pg);
        }
    } else {
        (void)lite_open(connection, ESTIMATE_WAIT_MS, ESTIMATE_WAIT_MS,
                        &opened->lite, error);
    }
    snprintf(opened->why, sizeof opened->why, "%.*s", ESTIMATE_WHY_MAX - 1,
             error);
    connection_free(&connection);
}

static struct opened *opened_find(struct estimator *e, const char *name)
{
    struct opened *opened;

    for (size_t i = 0; i < e->opened_count; i++)
        if (strcmp(e->opened[i].name, name) == 0)
            return &e->opened[i];
    opened = &e->opened[e->opened_count++];
    opened->name = name;
    open_connection(e->settings, opened);
    return opened;
}

static void close_all(struct estimator *e)
{
    for (size_t i = 0; i < e->opened_count; i++) {
        if (e->opened[i].pg)
            pg_close(&e->opened[i].pg);
        if (e->opened[i].lite)
            lite_close(&e->opened[i].lite);
    }
}

/* ---- sources --------------------------------------------------------- */

static int64_t of_postgres(struct estimator *e, struct pg *pg,
                           const json_t *config)
{
    const char *own = text_of(config, "sql"), *table = text_of(config, "table");
    const char *in = text_of(config, "schema");
    struct schema schema = {0};
    struct text sql = {0};
    int64_t rows, bytes = -1;
    int r = -ENOMEM;

    if (own) {
        text_add(&sql, own);
    } else {
        text_add(&sql, "SELECT * FROM ");
        if (in) {
            expr_quote_name(in, &sql);
            text_add(&sql, ".");
        }
        expr_quote_name(table, &sql);
    }
    if (!sql.failed) {
        /* A document's own is explained only when it is one query. */
        r = own ? pg_describe(pg, sql.bytes, true, &schema) : 0;
        if (r == 0)
            r = pg_estimate(pg, sql.bytes, &rows, &bytes);
    }
    if (r < 0)
        snprintf(e->why, sizeof e->why, "%.*s", ESTIMATE_WHY_MAX - 1,
                 r == -ENOMEM ? "out of memory" : pg_error(pg));
    schema_clear(&schema);
    text_clear(&sql);
    return r < 0 ? -1 : bytes;
}

static int64_t of_connection(struct estimator *e, const json_t *config)
{
    const char *name = text_of(config, "connection");
    const char *sql = text_of(config, "sql"), *table = text_of(config, "table");
    int64_t rows, bytes = -1;
    struct opened *opened;

    if (!name || (!sql && !table)) {
        snprintf(e->why, sizeof e->why, "it names no connection or no table");
        return -1;
    }
    opened = opened_find(e, name);
    if (opened->pg)
        return of_postgres(e, opened->pg, config);
    if (!opened->lite) {
        memcpy(e->why, opened->why, sizeof e->why);
        return -1;
    }
    if (lite_estimate(opened->lite, sql ? NULL : table, &rows, &bytes) < 0) {
        snprintf(e->why, sizeof e->why, "%.*s", ESTIMATE_WHY_MAX - 1,
                 lite_error(opened->lite));
        return -1;
    }
    return bytes;
}

static int64_t of_file(struct estimator *e, const json_t *config)
{
    const char *path = text_of(config, "path");
    int64_t bytes =
        path && e->settings->files ? files_size(e->settings->files, path) : -1;

    if (bytes < 0)
        snprintf(e->why, sizeof e->why, "there is no such file");
    return bytes;
}

static int64_t of_source(struct estimator *e, const json_t *source)
{
    const char *kind = text_of(source, "kind");
    const json_t *config = json_object_get(source, "config");

    snprintf(e->why, sizeof e->why, "nothing is said about its size");
    if (kind && strcmp(kind, "extract") == 0)
        return of_connection(e, config);
    if (kind &&
        (strcmp(kind, "csv_read") == 0 || strcmp(kind, "jsonl_read") == 0))
        return of_file(e, config);
    snprintf(e->why, sizeof e->why, "it is no source");
    return -1;
}

void estimate_sources(const struct data_settings *settings,
                      const json_t *sources, struct estimate_answer *ret_answer)
{
    struct estimator e = {.settings = settings};
    size_t count = json_array_size(sources);

    memset(ret_answer, 0, sizeof *ret_answer);
    for (size_t i = 0; i < WIRE_SOURCES_MAX; i++)
        ret_answer->sizes[i] = -1;
    ret_answer->count =
        (uint32_t)(count < WIRE_SOURCES_MAX ? count : WIRE_SOURCES_MAX);
    for (size_t i = 0; i < ret_answer->count; i++) {
        int64_t bytes = of_source(&e, json_array_get(sources, i));
        if (bytes < 0 && *ret_answer->why == '\0')
            snprintf(ret_answer->why, sizeof ret_answer->why,
                     "source %zu: %.*s", i + 1, ESTIMATE_WHY_MAX - 40, e.why);
        ret_answer->sizes[i] = bytes < 0 ? -1 : bytes;
    }
    close_all(&e);
}

/* ---- the process ----------------------------------------------------- */

static struct estimate_answer answer; /* for the handler */
static int answer_to;

static void send_answer(int signal_number)
{
    static const char late[] = "it took too long";

    if (signal_number && answer.why[0] == '\0')
        memcpy(answer.why, late, sizeof late);
    ssize_t sent = write(answer_to, &answer, sizeof answer);
    _exit(sent == (ssize_t)sizeof answer ? 0 : 1);
}

_Static_assert(sizeof(struct estimate_answer) < 4096, "a pipe takes it whole");

_Static_assert(ESTIMATE_MS % 1000 == 0, "whole seconds");

static void set_clock(void)
{
    struct sigaction action = {.sa_handler = send_answer};
    struct itimerval timer = {.it_value = {.tv_sec = ESTIMATE_MS / 1000}};
    sigset_t none;

    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

_Noreturn void estimate_process(const struct data_settings *settings,
                                int sources_fd, int answer_fd)
{
    struct stat status;
    json_t *sources = NULL;

    if (fstat(sources_fd, &status) == 0 &&
        status.st_size <= WIRE_SOURCES_BYTES_MAX &&
        lseek(sources_fd, 0, SEEK_SET) == 0)
        sources = json_loadfd(sources_fd, 0, NULL);
    if (!json_is_array(sources))
        _exit(1);
    answer_to = answer_fd;
    set_clock();
    estimate_sources(settings, sources, &answer);
    send_answer(0);
    _exit(1);
}
