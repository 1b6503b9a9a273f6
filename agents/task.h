/*
 * task.h - one unit as a process: started, listened to, judged.
 *
 * The shepherd owns the loop; a task knows its three pipes (stdout, stderr, the
 * executor's report) and its process. A task is over when its process ended and
 * its output reached its end or, should something it left behind hold the pipe
 * open, TASK_LINGER_MS later.
 *
 * Memory:  task_start() allocates, task_free() frees and closes.
 * Threads: none. Time: milliseconds of clock_boot_ms(), passed in.
 * Errors:  0 or a negative errno.
 */
#ifndef AGENTS_TASK_H
#define AGENTS_TASK_H

#include "agents/executor.h"
#include "agents/output.h"
#include "agents/unit.h"

#include <stddef.h>
#include <sys/types.h>

enum { TASK_LINGER_MS = 250, TASK_TIMEOUT_GRACE_MS = 2000 };

struct task {
    uint32_t unit; /* index in the units */
    uint32_t node; /* its first node: whose the output is */
    bool data;     /* a unit of data nodes: reports of each go to the sink */
    pid_t pid;
    bool exited;
    bool unprompted; /* it had ended before anybody told it to */
    int status;      /* of waitpid() */
    int64_t exited_at;
    int pipe_fd[3]; /* [0] report, [1] stdout, [2] stderr; -1: at its end */
    struct output output[3]; /* [0] unused */
    char *in;                /* reports as they arrive; NULL: none came yet */
    size_t in_len;
    struct exec_report last; /* what a process that is one node said */
    bool reported;           /* it did */
    bool resolved;           /* it settled a node since it started */
    int64_t timeout_at;      /* of timeout_node; 0: none */
    uint32_t timeout_node;
    int64_t kill_at; /* after the time-out's TERM; 0: not yet */
};

/* One report, with its text_bytes of text. */
typedef void report_sink(void *context, const struct exec_report *report,
                         const char *text);

/* Starts the unit's process in work_fd; states as in struct exec_scene.
 * -EAGAIN, -ENOMEM, -EMFILE, ... */
int task_start(const struct exec_scene *scene, uint32_t index,
               const struct unit *unit, const uint8_t *states, int work_fd,
               int64_t now_ms, struct task **ret_task);
void task_free(struct task **task_p);

/* Reads what pipe `which` holds, once. Output goes to sink; reports of a unit
 * of data nodes to report, any other is kept in last. */
void task_read(struct task *task, int which, int64_t now_ms, output_sink *sink,
               report_sink *report, void *context);
bool task_over(const struct task *task, int64_t now_ms);

/* After the end: did the process succeed, its exit code, and if not, why. */
bool task_verdict(const struct task *task, int32_t *ret_exit_code,
                  char ret_error[EXEC_ERROR_MAX]);

#endif
