/*
 * executor.h - the kinds of node this agent can execute, as a table of rows.
 *
 * Every node is a process of its own (data nodes that hand rows to each other
 * are one process together, see unit.h), so that one way of time-out, cancel
 * and crash serves all. execute() runs in that process, forked
 * from the single-threaded shepherd: stdin is /dev/null, stdout and stderr are
 * captured, EXEC_REPORT_FD is the one other open descriptor, signals are at
 * their defaults, the working directory is the run's own. It may allocate,
 * block and crash at will. It either executes another program (the report
 * descriptor closes by itself and the exit status counts) or writes struct
 * exec_reports and exits.
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

enum { EXEC_REPORT_FD = 3, EXEC_ERROR_MAX = 700 };

/* What all nodes of a run share; borrowed for the life of the shepherd. */
struct exec_scene {
    char run_id[37];
    uint32_t attempt;
    const char *workflow, *pool, *parameters, *traceparent; /* may be "" */
    const struct settings *settings;
    const struct plan *plan;
    /* Set for the process of a unit (unit.h): its nodes, and the states of all
     * nodes of the plan; of the unit those that are WIRE_NODE_WAITING are to be
     * executed. */
    const struct unit *unit;
    const uint8_t *states;
};

/* What a node's process says through EXEC_REPORT_FD. A process that executes
 * one node says how it ended; one that executes a unit of data nodes (unit.h)
 * says of each when it runs, how far it is, and how it ended. */
enum exec_state {
    EXEC_RUNNING, /* began, or how far it is */
    EXEC_COMPLETED,
    EXEC_FAILED,
    EXEC_CANCELLED, /* stopped half way because another node failed */
    EXEC_PREVIEW,   /* text_bytes of JSON lines follow: its first rows */
};

struct exec_report {
    uint32_t node;     /* index in the plan; of a unit's process only */
    int32_t exit_code; /* as wire_node.exit_code */
    uint8_t state;     /* enum exec_state */
    bool counted;      /* the counts below are meant */
    uint64_t rows_in, rows_out, rows_rejected, bytes_out;
    uint32_t text_bytes;        /* behind this struct, at most WIRE_LOG_MAX */
    char error[EXEC_ERROR_MAX]; /* why FAILED: a sentence without full stop */
};

enum exec_rows {
    ROWS_NONE = 0,
    ROWS_TAKES = 1,
    ROWS_GIVES = 2,
    ROWS_DATA = 4, /* executed by data.h, with its unit */
};

struct executor {
    const char *kind;
    /* Is the configuration one that execute() understands? -EINVAL: why. */
    int (*check)(const json_t *config, char why[PLAN_WHY_MAX]);
    /* Does not return. For ROWS_DATA called once for the unit's first node. */
    void (*execute)(const struct exec_scene *scene,
                    const struct plan_node *node);
    unsigned rows; /* of enum exec_rows */
};

/* NULL: no such kind. */
const struct executor *executor_find(const char *kind);
/* The table. */
const struct executor *executor_table(size_t *ret_count);

enum executor_answer { EXECUTOR_CAN, EXECUTOR_NOT_CAPABLE, EXECUTOR_BAD_PLAN };
/* Can every node of the plan be executed here? If not, why says which. */
enum executor_answer executor_check(const struct plan *plan,
                                    char why[PLAN_WHY_MAX]);

/* For execute(): reports; and ends the process. */
void exec_report(const struct exec_report *report, const char *text);
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
int exec_data_check(const json_t *config, char why[PLAN_WHY_MAX]);
_Noreturn void exec_data_run(const struct exec_scene *scene,
                             const struct plan_node *node);

#endif
