/*
 * task.h - one node as a process: started, listened to, judged.
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

#include <stddef.h>
#include <sys/types.h>

enum { TASK_LINGER_MS = 250, TASK_TIMEOUT_GRACE_MS = 2000 };

struct task {
    uint32_t node; /* index in the plan */
    pid_t pid;
    bool exited;
    bool unprompted; /* it had ended before anybody told it to */
    int status;      /* of waitpid() */
    int64_t exited_at;
    int pipe_fd[3]; /* [0] report, [1] stdout, [2] stderr; -1: at its end */
    struct output output[3]; /* [0] unused */
    struct exec_report report;
    bool reported;
    int64_t timeout_at; /* 0: none */
    int64_t kill_at;    /* after the time-out's TERM; 0: not yet */
};

/* Starts the node's process in work_fd. -EAGAIN, -ENOMEM, -EMFILE, ... */
int task_start(const struct exec_scene *scene, const struct plan_node *node,
               uint32_t index, int work_fd, int64_t now_ms,
               struct task **ret_task);
void task_free(struct task **task_p);

/* Reads what pipe `which` holds, once. For output the bytes go to sink. */
void task_read(struct task *task, int which, int64_t now_ms, output_sink *sink,
               void *context);
bool task_over(const struct task *task, int64_t now_ms);

/* After the end: did it succeed, its exit code, and if not, why. */
bool task_verdict(const struct task *task, int32_t *ret_exit_code,
                  char ret_error[EXEC_ERROR_MAX]);

#endif
