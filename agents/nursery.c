/* nursery.c - see nursery.h. */
#include "agents/nursery.h"

#include "agents/shepherd.h"
#include "agents/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum request_verb { SPAWN = 1, REMOVE = 2 };

struct request {
    enum request_verb verb;
    char name[SPOOL_NAME_MAX];
    int64_t deadline_boot_ms;
};

struct ward { /* a child of the nursery: a shepherd, or a remover of trash */
    pid_t pid;
    bool shepherd;
    char name[SPOOL_NAME_MAX];
    struct ward *next;
};

struct nursery_state { /* in the nursery process */
    const struct spool *spool;
    const struct settings *settings;
    int fd, signal_fd;
    struct ward *wards;
};

/* ---- the nursery process --------------------------------------------- */

static void say(const struct nursery_state *n, const struct nursery_word *word)
{
    /* May wait when the agent is stopped: then nothing is asked either. */
    while (send(n->fd, word, sizeof *word, MSG_NOSIGNAL) < 0 && errno == EINTR)
        ;
}

static _Noreturn void be_shepherd(struct nursery_state *n, int dir_fd,
                                  int64_t deadline_boot_ms)
{
    close(n->fd);
    close(n->signal_fd);
    close(n->spool->lock_fd); /* the agent's, not ours: spool.h */
    setsid();
    shepherd_run(n->spool, n->settings, dir_fd, deadline_boot_ms);
}

static _Noreturn void be_remover(struct nursery_state *n, const char *trash)
{
    close(n->fd);
    close(n->spool->lock_fd);
    spool_remove_trash(n->spool, trash);
    _exit(0);
}

static int spawn(struct nursery_state *n, const struct request *request,
                 struct ward *ward)
{
    int dir_fd = -1, lock = -1;
    int rc = spool_open_run(n->spool, request->name, &dir_fd);

    if (rc == 0) {
        /* Taken here, inherited by the fork, and let go of by nobody but the
         * shepherd's own end. */
        lock = spool_lock_run(dir_fd);
        rc = lock < 0 ? lock : 0;
    }
    if (rc == 0) {
        ward->pid = fork();
        if (ward->pid == 0)
            be_shepherd(n, dir_fd, request->deadline_boot_ms);
        rc = ward->pid < 0 ? -errno : 0;
    }
    if (lock >= 0)
        close(lock);
    if (dir_fd >= 0)
        close(dir_fd);
    return rc;
}

static void answer(struct nursery_state *n, const struct request *request)
{
    struct nursery_word word;
    struct ward *ward = calloc(1, sizeof *ward);
    int rc = ward ? 0 : -ENOMEM;

    if (rc == 0) {
        memcpy(ward->name, request->name, sizeof ward->name);
        ward->shepherd = request->verb == SPAWN;
        if (ward->shepherd) {
            rc = spawn(n, request, ward);
        } else {
            ward->pid = fork();
            if (ward->pid == 0)
                be_remover(n, request->name);
            rc = ward->pid < 0 ? -errno : 0;
        }
    }
    memset(&word, 0, sizeof word);
    memcpy(word.name, request->name, sizeof word.name);
    if (rc == 0) {
        ward->next = n->wards;
        n->wards = ward;
        word.kind = NURSERY_SPAWNED;
        word.pid = ward->pid;
    } else {
        free(ward);
        word.kind = NURSERY_REFUSED;
        word.error = -rc;
    }
    if (request->verb == SPAWN)
        say(n, &word);
}

static bool is_ward(const struct nursery_state *n, pid_t pid)
{
    for (const struct ward *w = n->wards; w; w = w->next)
        if (w->pid == pid)
            return true;
    return false;
}

/* Children that are not wards fell to us from a shepherd that died. Kills them
 * and all below them, until there are none. */
static size_t kill_orphans(struct nursery_state *n)
{
    size_t killed = 0, found;

    do {
        pid_t children[4096];
        size_t count = tree_children(getpid(), children, 4096);
        found = 0;
        for (size_t i = 0; i < count && i < 4096; i++) {
            if (is_ward(n, children[i]))
                continue;
            found++;
            killed += tree_signal(children[i], true, SIGKILL);
            while (waitpid(children[i], NULL, 0) < 0 && errno == EINTR)
                ;
        }
    } while (found > 0);
    return killed;
}

static struct ward *take_ward(struct nursery_state *n, pid_t pid)
{
    for (struct ward **at = &n->wards; *at; at = &(*at)->next) {
        struct ward *ward = *at;
        if (ward->pid != pid)
            continue;
        *at = ward->next;
        return ward;
    }
    return NULL;
}

static void reap(struct nursery_state *n)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        struct ward *ward = take_ward(n, pid);
        if (ward && ward->shepherd) {
            struct nursery_word word;
            memset(&word, 0, sizeof word);
            word.kind = NURSERY_ENDED;
            memcpy(word.name, ward->name, sizeof word.name);
            word.pid = pid;
            word.status = status;
            /* One that ended well has no children left: no need to look. */
            if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                word.orphans = kill_orphans(n);
            say(n, &word);
        }
        free(ward);
    }
}

static _Noreturn void be_nursery(struct nursery_state *n)
{
    sigset_t caught;

    /* A session of its own: a ^C meant for the agent does not end it. */
    setsid();
    prctl(PR_SET_NAME, "nursery");
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    sigfillset(&caught);
    sigprocmask(SIG_SETMASK, &caught, NULL);
    sigemptyset(&caught);
    sigaddset(&caught, SIGCHLD);
    n->signal_fd = signalfd(-1, &caught, SFD_NONBLOCK | SFD_CLOEXEC);
    for (;;) {
        struct pollfd fds[] = {
            {.fd = n->fd, .events = POLLIN},
            {.fd = n->signal_fd, .events = POLLIN},
        };
        struct signalfd_siginfo info;
        struct request request;
        if (poll(fds, 2, -1) < 0)
            continue;
        if (fds[1].revents) {
            while (read(n->signal_fd, &info, sizeof info) > 0)
                ;
            reap(n);
        }
        if (!fds[0].revents)
            continue;
        ssize_t got = recv(n->fd, &request, sizeof request, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
            _exit(0); /* the agent is gone */
        if (got == (ssize_t)sizeof request)
            answer(n, &request);
    }
}

/* ---- the agent's side ------------------------------------------------ */

int nursery_start(const struct spool *spool, const struct settings *settings,
                  struct nursery *ret_nursery)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid == 0) {
        struct nursery_state state = {
            .spool = spool, .settings = settings, .fd = ends[1]};
        close(ends[0]);
        be_nursery(&state);
    }
    int rc = pid < 0 ? -errno : 0;
    close(ends[1]);
    if (rc < 0) {
        close(ends[0]);
        return rc;
    }
    *ret_nursery = (struct nursery){.fd = ends[0], .pid = pid};
    return 0;
}

static int ask(struct nursery *nursery, enum request_verb verb,
               const char *name, int64_t deadline_boot_ms)
{
    struct request request;

    memset(&request, 0, sizeof request);
    request.verb = verb;
    request.deadline_boot_ms = deadline_boot_ms;
    size_t len = strnlen(name, sizeof request.name);
    if (len == sizeof request.name)
        return -ENAMETOOLONG;
    memcpy(request.name, name, len);
    if (send(nursery->fd, &request, sizeof request,
             MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        return -errno;
    return 0;
}

int nursery_spawn(struct nursery *nursery, const char *name,
                  int64_t deadline_boot_ms)
{
    return ask(nursery, SPAWN, name, deadline_boot_ms);
}

int nursery_remove(struct nursery *nursery, const char *trash)
{
    return ask(nursery, REMOVE, trash, 0);
}

int nursery_hear(struct nursery *nursery, struct nursery_word *ret_word)
{
    ssize_t n = recv(nursery->fd, ret_word, sizeof *ret_word, MSG_DONTWAIT);

    if (n == (ssize_t)sizeof *ret_word)
        return 1;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    return -EPIPE;
}

void nursery_close(struct nursery *nursery)
{
    if (nursery->fd >= 0)
        close(nursery->fd);
    nursery->fd = -1;
}
