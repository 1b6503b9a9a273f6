/* executor.c - see executor.h. */
#include "agents/executor.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct executor executors[] = {
    {"command", exec_command_check, exec_command_run},
    {"http", exec_http_check, exec_http_run},
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

void exec_report_and_exit(const struct exec_report *report)
{
    fflush(NULL);
    /* Smaller than PIPE_BUF: whole or not at all. */
    ssize_t ignored = write(EXEC_REPORT_FD, report, sizeof *report);
    (void)ignored;
    _exit(report->ok ? 0 : 1);
}

void exec_fail(int32_t exit_code, const char *fmt, ...)
{
    struct exec_report report;
    va_list args;

    memset(&report, 0, sizeof report);
    report.exit_code = exit_code;
    va_start(args, fmt);
    vsnprintf(report.error, sizeof report.error, fmt, args);
    va_end(args);
    exec_report_and_exit(&report);
}
