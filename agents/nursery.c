/* nursery.c - see nursery.h. */
#include "agents/nursery.h"

#include "agents/estimate.h"
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

enum request_verb { SPAWN = 1, REMOVE = 2, ESTIMATE = 3 };

struct request {
    enum request_verb verb;
    char name[SPOOL_NAME_MAX];
    int64_t deadline_boot_ms;
};

/* ESTIMATE comes with two descriptors: where the question is, where the answer
 * goes. */
enum { ESTIMATE_FDS = 2, FDS_ROOM = CMSG_SPACE(ESTIMATE_FDS * sizeof(int)) };

/* A child of the nursery: a shepherd, a remover of trash or an estimator. */
struct ward {
    pid_t pid;
    enum request_verb of;
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

static _Noreturn void be_estimator(struct nursery_state *n,
                                   const int fds[ESTIMATE_FDS])
{
    close(n->fd);
    close(n->signal_fd);
    close(n->spool->lock_fd);
    prctl(PR_SET_NAME, "estimator");
    estimate_process(&n->settings->data, fds[0], fds[1]);
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
        ward->of = request->verb;
        if (ward->of == SPAWN) {
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

/* Who asked sees a pipe that ends: there is no word about it. */
static void estimate(struct nursery_state *n, const int fds[ESTIMATE_FDS])
{
    struct ward *ward;
    size_t count = 0;

    for (ward = n->wards; ward; ward = ward->next)
        count += ward->of == ESTIMATE;
    if (count >= NURSERY_ESTIMATORS_MAX)
        return;
    ward = calloc(1, sizeof *ward);
    if (!ward)
        return;
    ward->of = ESTIMATE;
    ward->pid = fork();
    if (ward->pid == 0)
        be_estimator(n, fds);
    if (ward->pid < 0) {
        free(ward);
        return;
    }
    ward->next = n->wards;
    n->wards = ward;
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
        if (ward && ward->of == SPAWN) {
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

/* As recv(); ret_fds are -1 or what came with the request, to be closed. */
static ssize_t take_request(int fd, struct request *request,
                            int ret_fds[ESTIMATE_FDS])
{
    union {
        char bytes[FDS_ROOM];
        struct cmsghdr align;
    } control;
    struct iovec part = {.iov_base = request, .iov_len = sizeof *request};
    struct msghdr msg = {.msg_iov = &part,
                         .msg_iovlen = 1,
                         .msg_control = control.bytes,
                         .msg_controllen = sizeof control.bytes};

    ret_fds[0] = ret_fds[1] = -1;
    ssize_t got = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    const struct cmsghdr *with = got > 0 ? CMSG_FIRSTHDR(&msg) : NULL;
    if (with && with->cmsg_type == SCM_RIGHTS &&
        with->cmsg_len == CMSG_LEN(ESTIMATE_FDS * sizeof(int)))
        memcpy(ret_fds, CMSG_DATA(with), ESTIMATE_FDS * sizeof(int));
    return got;
}

static void take(struct nursery_state *n)
{
    struct request request;
    int fds[ESTIMATE_FDS];
    ssize_t got = take_request(n->fd, &request, fds);

    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        _exit(0); /* the agent is gone */
    if (got == (ssize_t)sizeof request && request.verb != ESTIMATE)
        answer(n, &request);
    else if (got == (ssize_t)sizeof request && fds[0] >= 0)
        estimate(n, fds);
    for (size_t i = 0; i < ESTIMATE_FDS; i++)
        if (fds[i] >= 0)
            close(fds[i]);
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
        if (poll(fds, 2, -1) < 0)
            continue;
        if (fds[1].revents) {
            while (read(n->signal_fd, &info, sizeof info) > 0)
                ;
            reap(n);
        }
        if (fds[0].revents)
            take(n);
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

int nursery_estimate(struct nursery *nursery, int sources_fd, int answer_fd)
{
    union {
        char bytes[FDS_ROOM];
        struct cmsghdr align;
    } control;
    struct request request;
    struct iovec part = {.iov_base = &request, .iov_len = sizeof request};
    struct msghdr msg = {.msg_iov = &part,
                         .msg_iovlen = 1,
                         .msg_control = control.bytes,
                         .msg_controllen = sizeof control.bytes};
    const int fds[ESTIMATE_FDS] = {sources_fd, answer_fd};

    memset(&request, 0, sizeof request);
    memset(&control, 0, sizeof control);
    request.verb = ESTIMATE;
    struct cmsghdr *with = CMSG_FIRSTHDR(&msg);
    with->cmsg_level = SOL_SOCKET;
    with->cmsg_type = SCM_RIGHTS;
    with->cmsg_len = CMSG_LEN(sizeof fds);
    memcpy(CMSG_DATA(with), fds, sizeof fds);
    if (sendmsg(nursery->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        return -errno;
    return 0;
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
