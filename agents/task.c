/* task.c - see task.h. */
#include "agents/task.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REPORT, OUT, ERR, PIPES };

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void task_free(struct task **task_p)
{
    struct task *task = *task_p;

    *task_p = NULL;
    if (!task)
        return;
    for (int i = 0; i < PIPES; i++)
        close_fd(&task->pipe_fd[i]);
    output_clear(&task->output[OUT]);
    output_clear(&task->output[ERR]);
    free(task);
}

/* The child, from fork to the executor. */
static _Noreturn void become(const struct exec_scene *scene,
                             const struct plan_node *node, int work_fd,
                             const int write_fd[PIPES], pid_t shepherd)
{
    struct rlimit no_core = {0, 0};
    sigset_t none;

    /* If the shepherd is killed, this goes too; what it forks is found by the
     * nursery or the sweep (nursery.c). */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != shepherd)
        _exit(1);
    setsid();
    /* Copies above the small numbers first, then into place, so that no
     * descriptor is overwritten before it was used. */
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int high[PIPES], high_work = fcntl(work_fd, F_DUPFD_CLOEXEC, 10);
    int high_null = fcntl(null, F_DUPFD_CLOEXEC, 10);
    for (int i = 0; i < PIPES; i++)
        high[i] = fcntl(write_fd[i], F_DUPFD_CLOEXEC, 10);
    if (dup2(high_null, STDIN_FILENO) < 0 ||
        dup2(high[OUT], STDOUT_FILENO) < 0 ||
        dup2(high[ERR], STDERR_FILENO) < 0 ||
        dup3(high[REPORT], EXEC_REPORT_FD, O_CLOEXEC) < 0)
        _exit(126);
    bool entered = fchdir(high_work) == 0;
    close_range(EXEC_REPORT_FD + 1, ~0u, 0);
    if (!entered)
        exec_fail(-1, "cannot enter the working directory: %s",
                  strerror(errno));
    /* Core dumps of jobs fill the spool and hold secrets. */
    setrlimit(RLIMIT_CORE, &no_core);
    prctl(PR_SET_NAME, "node");
    for (int sig = 1; sig < NSIG; sig++)
        signal(sig, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    executor_find(node->kind)->execute(scene, node);
    _exit(126);
}

int task_start(const struct exec_scene *scene, const struct plan_node *node,
               uint32_t index, int work_fd, int64_t now_ms,
               struct task **ret_task)
{
    int write_fd[PIPES] = {-1, -1, -1};
    struct task *task = malloc(sizeof *task);
    pid_t shepherd = getpid();
    int rc = 0;

    if (!task)
        return -ENOMEM;
    memset(task, 0, offsetof(struct task, output));
    task->reported = false;
    task->kill_at = 0;
    output_init(&task->output[OUT]);
    output_init(&task->output[ERR]);
    task->node = index;
    task->timeout_at = node->timeout_ms ? now_ms + node->timeout_ms : 0;
    for (int i = 0; i < PIPES; i++)
        task->pipe_fd[i] = -1;
    for (int i = 0; i < PIPES && rc == 0; i++) {
        int ends[2];
        rc = pipe2(ends, O_CLOEXEC) < 0 ? -errno : 0;
        if (rc == 0) {
            task->pipe_fd[i] = ends[0];
            write_fd[i] = ends[1];
            fcntl(ends[0], F_SETFL, O_NONBLOCK);
        }
    }
    if (rc == 0) {
        task->pid = fork();
        if (task->pid == 0)
            become(scene, node, work_fd, write_fd, shepherd);
        rc = task->pid < 0 ? -errno : 0;
    }
    for (int i = 0; i < PIPES; i++)
        close_fd(&write_fd[i]);
    if (rc < 0) {
        task_free(&task);
        return rc;
    }
    *ret_task = task;
    return 0;
}

void task_read(struct task *task, int which, int64_t now_ms, output_sink *sink,
               void *context)
{
    static char buffer[64 * 1024]; /* the shepherd is one thread */
    int *fd = &task->pipe_fd[which];
    ssize_t n;

    if (*fd < 0)
        return;
    do
        n = read(*fd, buffer, sizeof buffer);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        close_fd(fd);
        return;
    }
    if (which != REPORT) {
        output_feed(&task->output[which], buffer, (size_t)n, now_ms, sink,
                    context);
    } else if ((size_t)n == sizeof task->report) {
        memcpy(&task->report, buffer, sizeof task->report);
        task->report.error[EXEC_ERROR_MAX - 1] = '\0';
        task->reported = true;
    }
}

bool task_over(const struct task *task, int64_t now_ms)
{
    if (!task->exited)
        return false;
    return (task->pipe_fd[OUT] < 0 && task->pipe_fd[ERR] < 0 &&
            task->pipe_fd[REPORT] < 0) ||
           now_ms >= task->exited_at + TASK_LINGER_MS;
}

bool task_verdict(const struct task *task, int32_t *ret_exit_code,
                  char ret_error[EXEC_ERROR_MAX])
{
    int status = task->status;

    ret_error[0] = '\0';
    if (task->reported) {
        *ret_exit_code = task->report.exit_code;
        if (!task->report.ok)
            memcpy(ret_error, task->report.error, EXEC_ERROR_MAX);
        return task->report.ok;
    }
    if (WIFSIGNALED(status)) {
        const char *name = sigabbrev_np(WTERMSIG(status));
        *ret_exit_code = 128 + WTERMSIG(status);
        snprintf(ret_error, EXEC_ERROR_MAX, "killed by signal %d (SIG%s)",
                 WTERMSIG(status), name ? name : "?");
        return false;
    }
    *ret_exit_code = WEXITSTATUS(status);
    if (WEXITSTATUS(status) == 0)
        return true;
    snprintf(ret_error, EXEC_ERROR_MAX, "exit code %d", WEXITSTATUS(status));
    return false;
}
