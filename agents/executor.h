/*
 * executor.h - the kinds of node this agent can execute, as a table of rows.
 *
 * Every node is a process of its own, whatever its kind, so that one way of
 * time-out, cancel and crash serves all. execute() runs in that process, forked
 * from the single-threaded shepherd: stdin is /dev/null, stdout and stderr are
 * captured, EXEC_REPORT_FD is the one other open descriptor, signals are at
 * their defaults, the working directory is the run's own. It may allocate,
 * block and crash at will. It either executes another program (the report
 * descriptor closes by itself and the exit status counts) or writes one struct
 * exec_report and exits.
 *
 * To add a kind: a file exec_NAME.c with check and execute, and a row in
 * executor.c. Its capability, "kind:NAME", is announced from the row.
 */
#ifndef AGENTS_EXECUTOR_H
#define AGENTS_EXECUTOR_H

#include "agents/plan.h"
#include "agents/settings.h"

#include <stdbool.h>
#include <stdint.h>

enum { EXEC_REPORT_FD = 3, EXEC_ERROR_MAX = 300 };

/* What all nodes of a run share; borrowed for the life of the shepherd. */
struct exec_scene {
    char run_id[37];
    uint32_t attempt;
    const char *workflow, *pool, *parameters, *traceparent; /* may be "" */
    const struct settings *settings;
};

/* What a node says of itself; one write(2) to EXEC_REPORT_FD. */
struct exec_report {
    int32_t exit_code; /* as wire_node.exit_code */
    bool ok;
    bool counted; /* the three counts below are meant */
    uint64_t rows_in, rows_out, bytes_out;
    char error[EXEC_ERROR_MAX]; /* why not ok, a sentence without full stop */
};

struct executor {
    const char *kind;
    /* Is the configuration one that execute() understands? -EINVAL: why. */
    int (*check)(const json_t *config, char why[PLAN_WHY_MAX]);
    /* Does not return. */
    void (*execute)(const struct exec_scene *scene,
                    const struct plan_node *node);
};

/* NULL: no such kind. */
const struct executor *executor_find(const char *kind);
/* The table. */
const struct executor *executor_table(size_t *ret_count);

enum executor_answer { EXECUTOR_CAN, EXECUTOR_NOT_CAPABLE, EXECUTOR_BAD_PLAN };
/* Can every node of the plan be executed here? If not, why says which. */
enum executor_answer executor_check(const struct plan *plan,
                                    char why[PLAN_WHY_MAX]);

/* For execute(): reports and ends the process. */
_Noreturn void exec_fail(int32_t exit_code, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
_Noreturn void exec_report_and_exit(const struct exec_report *report);

/* The rows' functions. */
int exec_command_check(const json_t *config, char why[PLAN_WHY_MAX]);
_Noreturn void exec_command_run(const struct exec_scene *scene,
                                const struct plan_node *node);
int exec_http_check(const json_t *config, char why[PLAN_WHY_MAX]);
_Noreturn void exec_http_run(const struct exec_scene *scene,
                             const struct plan_node *node);

#endif
