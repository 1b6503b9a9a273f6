/* executor.c - see executor.h. */
#include "agents/executor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DATA(kind, rows)                                                       \
    {                                                                          \
        (kind), exec_data_check, exec_data_run, ROWS_DATA | (rows)             \
    }

static const struct executor executors[] = {
    {"command", exec_command_check, exec_command_run, ROWS_NONE},
    {"http", exec_http_check, exec_http_run, ROWS_NONE},
    DATA("extract", ROWS_GIVES),
    DATA("load", ROWS_TAKES | ROWS_GIVES),
    DATA("sql", ROWS_NONE),
    DATA("filter", ROWS_TAKES | ROWS_GIVES),
    DATA("map", ROWS_TAKES | ROWS_GIVES),
    DATA("select", ROWS_TAKES | ROWS_GIVES),
    DATA("join", ROWS_TAKES | ROWS_GIVES),
    DATA("aggregate", ROWS_TAKES | ROWS_GIVES),
    DATA("sort", ROWS_TAKES | ROWS_GIVES),
    DATA("union", ROWS_TAKES | ROWS_GIVES),
    DATA("distinct", ROWS_TAKES | ROWS_GIVES),
    DATA("sequence", ROWS_TAKES | ROWS_GIVES),
    DATA("csv_read", ROWS_GIVES),
    DATA("csv_write", ROWS_TAKES),
    DATA("jsonl_read", ROWS_GIVES),
    DATA("jsonl_write", ROWS_TAKES),
};

const struct executor *executor_table(size_t *ret_count)
{
    *ret_count = sizeof executors / sizeof *executors;
    return executors;
}

const struct executor *executor_find(const char *kind)
{
    for (size_t i = 0; i < sizeof executors / sizeof *executors; i++)
        if (strcmp(executors[i].kind, kind) == 0)
            return &executors[i];
    return NULL;
}

enum executor_answer executor_check(const struct plan *plan,
                                    char why[PLAN_WHY_MAX])
{
    for (size_t i = 0; i < plan->count; i++) {
        const struct plan_node *node = &plan->nodes[i];
        const struct executor *executor = executor_find(node->kind);
        char detail[PLAN_WHY_MAX];
        if (!executor) {
            snprintf(why, PLAN_WHY_MAX,
                     "node \"%.80s\": this agent cannot execute kind "
                     "\"%.40s\"",
                     node->id, node->kind);
            return EXECUTOR_NOT_CAPABLE;
        }
        detail[0] = '\0';
        if (executor->check(node->config, detail) < 0) {
            snprintf(why, PLAN_WHY_MAX, "node \"%.80s\" (%s): %.180s", node->id,
                     node->kind, detail);
            return EXECUTOR_BAD_PLAN;
        }
    }
    return EXECUTOR_CAN;
}

static void write_all(const void *bytes, size_t left)
{
    const char *at = bytes;

    while (left > 0) {
        ssize_t n = write(EXEC_REPORT_FD, at, left);
        if (n < 0 && errno != EINTR)
            return; /* nobody listens any more */
        if (n > 0) {
            at += n;
            left -= (size_t)n;
        }
    }
}

void exec_report(const struct exec_report *report, const char *text)
{
    write_all(report, sizeof *report);
    if (report->text_bytes > 0)
        write_all(text, report->text_bytes);
}

void exec_report_and_exit(const struct exec_report *report)
{
    fflush(NULL);
    exec_report(report, NULL);
    _exit(report->state == EXEC_COMPLETED ? 0 : 1);
}

void exec_fail(int32_t exit_code, const char *fmt, ...)
{
    struct exec_report report;
    va_list args;

    memset(&report, 0, sizeof report);
    report.state = EXEC_FAILED;
    report.exit_code = exit_code;
    va_start(args, fmt);
    vsnprintf(report.error, sizeof report.error, fmt, args);
    va_end(args);
    exec_report_and_exit(&report);
}
