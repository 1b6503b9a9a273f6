/* task.c - see task.h. */
#include "agents/task.h"

#include "agents/wire.h"

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
    free(task->in);
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

int task_start(const struct exec_scene *scene, uint32_t index,
               const struct unit *unit, const uint8_t *states, int work_fd,
               int64_t now_ms, struct task **ret_task)
{
    const struct plan_node *node = &scene->plan->nodes[unit->nodes[0]];
    struct exec_scene own = *scene;
    int write_fd[PIPES] = {-1, -1, -1};
    struct task *task = malloc(sizeof *task);
    pid_t shepherd = getpid();
    int rc = 0;

    if (!task)
        return -ENOMEM;
    memset(task, 0, offsetof(struct task, output));
    task->in = NULL;
    task->in_len = 0;
    task->reported = task->resolved = false;
    task->kill_at = 0;
    output_init(&task->output[OUT]);
    output_init(&task->output[ERR]);
    task->unit = index;
    task->data = unit->data;
    task->node = task->timeout_node = unit->nodes[0];
    task->timeout_at =
        !unit->data && node->timeout_ms ? now_ms + node->timeout_ms : 0;
    own.unit = unit;
    own.states = states;
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
            become(&own, node, work_fd, write_fd, shepherd);
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

/* Hands on what is complete; keeps the rest. false: these are not reports. */
static bool take_reports(struct task *task, const char *bytes, size_t len,
                         report_sink *sink, void *context)
{
    enum { ROOM = sizeof(struct exec_report) + WIRE_LOG_MAX };
    struct exec_report report;

    if (!task->in)
        task->in = malloc(ROOM);
    while (task->in && len > 0) {
        size_t want = sizeof report;
        if (task->in_len >= want) {
            memcpy(&report, task->in, sizeof report);
            want += report.text_bytes;
        }
        size_t take = want - task->in_len < len ? want - task->in_len : len;
        memcpy(task->in + task->in_len, bytes, take);
        task->in_len += take;
        bytes += take;
        len -= take;
        if (task->in_len < sizeof report)
            return true;
        memcpy(&report, task->in, sizeof report);
        if (report.text_bytes > WIRE_LOG_MAX)
            return false;
        if (task->in_len < sizeof report + report.text_bytes)
            continue;
        report.error[EXEC_ERROR_MAX - 1] = '\0';
        task->in_len = 0;
        if (!task->data) {
            task->last = report;
            task->reported = true;
        } else {
            sink(context, &report, task->in + sizeof report);
        }
    }
    return task->in != NULL;
}

void task_read(struct task *task, int which, int64_t now_ms, output_sink *sink,
               report_sink *report, void *context)
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
    if (n <= 0 || (which == REPORT &&
                   !take_reports(task, buffer, (size_t)n, report, context)))
        close_fd(fd);
    else if (which != REPORT)
        output_feed(&task->output[which], buffer, (size_t)n, now_ms, sink,
                    context);
}

bool task_over(const struct task *task, int64_t now_ms)
{
    /* Reports are read to their end, however late: nobody but the process
     * itself, which is gone, has that pipe open. */
    if (!task->exited || task->pipe_fd[REPORT] >= 0)
        return false;
    return (task->pipe_fd[OUT] < 0 && task->pipe_fd[ERR] < 0) ||
           now_ms >= task->exited_at + TASK_LINGER_MS;
}

bool task_verdict(const struct task *task, int32_t *ret_exit_code,
                  char ret_error[EXEC_ERROR_MAX])
{
    int status = task->status;

    ret_error[0] = '\0';
    if (task->reported) {
        bool ok = task->last.state == EXEC_COMPLETED;
        *ret_exit_code = task->last.exit_code;
        if (!ok)
            memcpy(ret_error, task->last.error, EXEC_ERROR_MAX);
        return ok;
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
