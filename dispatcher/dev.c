/* dev.c - see dev.h */
#include "dispatcher/dev.h"
#include "dispatcher/log.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    ADDRESS_MAX = 256,
    CANCEL_AFTER_MS = 500,  /* agents that hold work are told to cancel it */
    KILL_AFTER_MS = 3000,   /* and what is still there then is killed */
    SWEEP_MS = 2000,        /* for the last processes to go */
    AGENT_SLOTS_MAX = 4096, /* as on the wire */
};

struct dev {
    char state_dir[PATH_MAX / 2];
    char agent_program[PATH_MAX];
    char *data_dir;     /* absolute; NULL: two in the state directory */
    char *agent_config; /* absolute; NULL: one is written */
    bool temporary;
    int pipe_fd; /* its end ends the supervisor */
    pid_t supervisor;
};

/* The supervisor's own. */
struct crew {
    const struct config *config;
    const struct dev *dev;
    int pipe_fd, signal_fd;
    pid_t agents[POOLS_MAX]; /* 0: none, or ended */
};

/* ---- the supervisor: agents -------------------------------------------- */

/* A YAML text in single quotes. */
static void put_path(FILE *out, const char *key, const char *path,
                     const char *below)
{
    fprintf(out, "  %s: '", key);
    for (; *path != '\0'; path++)
        fputs(*path == '\'' ? "''" : (char[]){*path, '\0'}, out);
    fprintf(out, "%s'\n", below);
}

static int write_agent_config(const struct dev *dev, const char *path)
{
    char root[PATH_MAX]; /* absolute: relative ones are beside the file */
    if (!realpath(dev->data_dir ? dev->data_dir : dev->state_dir, root))
        return -errno;
    FILE *out = fopen(path, "we");
    if (out == NULL)
        return -errno;
    fputs("# Written by dispatcher --dev: http nodes may call this machine.\n"
          "http:\n  allow_private: true\ndata:\n",
          out);
    put_path(out, "embedded", root, dev->data_dir ? "" : "/data");
    put_path(out, "files", root, dev->data_dir ? "" : "/files");
    int r = ferror(out) ? -EIO : 0;
    if (fclose(out) != 0 && r == 0)
        r = -errno;
    return r;
}

static int make_directory(const struct dev *dev, const char *name)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", dev->state_dir, name);
    return mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

/* What the agents find: their directory, their data, their configuration. */
static int furnish(const struct dev *dev, const char *config_file)
{
    int r = make_directory(dev, "agents");
    if (r < 0 || dev->agent_config != NULL)
        return r;
    if (dev->data_dir == NULL) {
        r = make_directory(dev, "data");
        if (r == 0)
            r = make_directory(dev, "files");
    }
    return r < 0 ? r : write_agent_config(dev, config_file);
}

static void become_agent(const struct crew *crew, const char *address,
                         size_t pool, const char *config_file)
{
    const struct pool_config *of = &crew->config->ledger.pools[pool];
    char name[POOL_NAME_MAX + 8], slots[16], spool[PATH_MAX];
    uint32_t limit = of->limit < AGENT_SLOTS_MAX ? of->limit : AGENT_SLOTS_MAX;
    snprintf(name, sizeof name, "dev-%s", of->name);
    snprintf(slots, sizeof slots, "%u", limit);
    snprintf(spool, sizeof spool, "%s/agents/%s", crew->dev->state_dir,
             of->name);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int s = 1; s < NSIG; s++)
        (void)signal(s, SIG_DFL); /* those that cannot be set stay */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    execl(crew->dev->agent_program, "agent", "--connect", address, "--name",
          name, "--pools", of->name, "--slots", slots, "--spool", spool,
          "--config", config_file, (char *)NULL);
    _exit(127);
}

static void start_agents(struct crew *crew, const char *address)
{
    const struct dev *dev = crew->dev;
    char written[PATH_MAX];
    snprintf(written, sizeof written, "%s/agents/agent.yaml", dev->state_dir);
    const char *config_file = dev->agent_config ? dev->agent_config : written;
    int r = furnish(dev, config_file);
    if (r < 0) {
        log_event(LOG_ERROR, "dev.no_agents", "directory", dev->state_dir,
                  "error", strerror(-r), NULL);
        return;
    }
    for (size_t i = 0; i < crew->config->ledger.pool_count; i++) {
        pid_t pid = fork();
        if (pid == 0)
            become_agent(crew, address, i, config_file);
        if (pid < 0)
            log_event(LOG_ERROR, "dev.agent_not_started", "pool",
                      crew->config->ledger.pools[i].name, "error",
                      strerror(errno), NULL);
        else
            crew->agents[i] = pid;
    }
}

static size_t agents_alive(const struct crew *crew)
{
    size_t alive = 0;
    for (size_t i = 0; i < POOLS_MAX; i++)
        alive += crew->agents[i] > 0;
    return alive;
}

static void signal_agents(const struct crew *crew, int number)
{
    for (size_t i = 0; i < POOLS_MAX; i++) {
        if (crew->agents[i] > 0)
            kill(crew->agents[i], number);
    }
}

static void note_end(struct crew *crew, size_t i, int status, bool expected)
{
    bool killed = WIFSIGNALED(status);
    int code = killed ? WTERMSIG(status) : WEXITSTATUS(status);
    crew->agents[i] = 0;
    log_event(expected ? LOG_INFO : LOG_WARN, "dev.agent_ended", "pool",
              crew->config->ledger.pools[i].name, killed ? "signal" : "status",
              log_number(code), "hint",
              code == 127 && !killed ? "the agent program could not be run"
                                     : NULL,
              NULL);
}

/* Takes every child that has ended: agents, and what fell to this subreaper. */
static void reap(struct crew *crew, bool expected)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (size_t i = 0; i < POOLS_MAX; i++) {
            if (crew->agents[i] == pid)
                note_end(crew, i, status, expected);
        }
    }
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Until a child ends or the time is there. */
static void wait_for_child(struct crew *crew, int64_t until_ms)
{
    struct pollfd pfd = {.fd = crew->signal_fd, .events = POLLIN};
    struct signalfd_siginfo info;
    int64_t left = until_ms - now_ms();
    if (left > 0)
        poll(&pfd, 1, (int)left);
    while (read(crew->signal_fd, &info, sizeof info) > 0)
        ;
    reap(crew, true);
}

static void end_agents(struct crew *crew)
{
    static const struct {
        int signal, until_ms;
    } steps[] = {
        {SIGTERM, CANCEL_AFTER_MS},
        {SIGTERM, KILL_AFTER_MS},
        {SIGKILL, KILL_AFTER_MS + SWEEP_MS},
    };
    int64_t start_ms = now_ms();
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (agents_alive(crew) == 0)
            return;
        signal_agents(crew, steps[i].signal);
        int64_t until_ms = start_ms + steps[i].until_ms;
        while (agents_alive(crew) > 0 && now_ms() < until_ms)
            wait_for_child(crew, until_ms);
    }
}

/* ---- the supervisor: the rest ------------------------------------------ */

/* Kills the present children; those whose parent dies become the next ones.
 * Returns how many there were. */
static size_t kill_children(void)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *in = fopen(path, "re");
    if (in == NULL)
        return 0;
    size_t count = 0;
    char word[16];
    while (fscanf(in, "%15s", word) == 1) {
        long pid = strtol(word, NULL, 10);
        if (pid > 1 && kill((pid_t)pid, SIGKILL) == 0)
            count++;
    }
    fclose(in);
    return count;
}

/* An agent that had to be killed leaves shepherds and jobs. */
static void sweep(struct crew *crew)
{
    int64_t until_ms = now_ms() + SWEEP_MS;
    while (kill_children() > 0 && now_ms() < until_ms)
        wait_for_child(crew, until_ms);
}

static int remove_one(const char *path, const struct stat *status, int type,
                      struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    if (remove(path) < 0)
        log_event(LOG_WARN, "dev.not_removed", "path", path, "error",
                  strerror(errno), NULL);
    return 0;
}

/* Reads "ADDRESS\n". False: the pipe ended first, there was no start. */
static bool read_address(const struct crew *crew, char address[ADDRESS_MAX])
{
    size_t len = 0;
    while (len < ADDRESS_MAX - 1) {
        ssize_t got = read(crew->pipe_fd, address + len, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        if (address[len] == '\n') {
            address[len] = '\0';
            return true;
        }
        len++;
    }
    return false;
}

static void watch(struct crew *crew)
{
    struct pollfd pfds[] = {
        {.fd = crew->pipe_fd, .events = POLLIN},
        {.fd = crew->signal_fd, .events = POLLIN},
    };
    for (;;) {
        if (poll(pfds, 2, -1) < 0 && errno != EINTR)
            return;
        struct signalfd_siginfo info;
        while (read(crew->signal_fd, &info, sizeof info) > 0)
            ;
        reap(crew, false);
        if (pfds[0].revents != 0)
            return; /* nothing more is ever written: this is the end */
    }
}

/* Out of the terminal's reach, and nobody's stdout is held open. */
static void detach(struct crew *crew)
{
    setsid();
    prctl(PR_SET_NAME, "dev-supervisor");
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null_fd >= 0) {
        dup2(null_fd, STDIN_FILENO);
        dup2(null_fd, STDOUT_FILENO);
        if (null_fd > STDERR_FILENO)
            close(null_fd);
    }
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    crew->signal_fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void supervise(const struct config *config, const struct dev *dev,
                      int pipe_fd)
{
    struct crew crew = {.config = config, .dev = dev, .pipe_fd = pipe_fd};
    char address[ADDRESS_MAX];
    detach(&crew);
    if (read_address(&crew, address)) {
        start_agents(&crew, address);
        watch(&crew);
        end_agents(&crew);
        sweep(&crew);
    }
    if (dev->temporary)
        nftw(dev->state_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    _exit(0);
}

/* ---- the broker's side ------------------------------------------------- */

/* `agent` in the directory of this very program. */
static int find_agent(struct dev *dev, char ret_why[STORE_WHY_MAX])
{
    char self[PATH_MAX - 8];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    if (len < 0)
        return -errno;
    self[len] = '\0';
    char *slash = strrchr(self, '/');
    if (slash != NULL)
        *slash = '\0';
    snprintf(dev->agent_program, sizeof dev->agent_program, "%s/agent", self);
    if (access(dev->agent_program, X_OK) == 0)
        return 0;
    int r = -errno;
    snprintf(ret_why, STORE_WHY_MAX,
             "--dev needs the agent program at %.200s: %s; build or install it "
             "there",
             dev->agent_program, strerror(-r));
    return r;
}

static int find_state_dir(struct dev *dev, const char *state_dir,
                          char ret_why[STORE_WHY_MAX])
{
    if (state_dir != NULL) {
        if (strlen(state_dir) >= sizeof dev->state_dir)
            return -ENAMETOOLONG;
        snprintf(dev->state_dir, sizeof dev->state_dir, "%s", state_dir);
        return 0;
    }
    const char *tmp = getenv("TMPDIR");
    int len = snprintf(dev->state_dir, sizeof dev->state_dir,
                       "%s/dispatcher-dev-XXXXXX",
                       tmp != NULL && tmp[0] == '/' ? tmp : "/tmp");
    if (len < 0 || (size_t)len >= sizeof dev->state_dir)
        return -ENAMETOOLONG;
    if (mkdtemp(dev->state_dir) != NULL) {
        dev->temporary = true;
        return 0;
    }
    int r = -errno;
    snprintf(ret_why, STORE_WHY_MAX,
             "no temporary directory %.200s: %s; set TMPDIR or give --state",
             dev->state_dir, strerror(-r));
    return r;
}

static int fork_supervisor(struct dev *dev, const struct config *config)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid < 0) {
        int r = -errno;
        close(ends[0]);
        close(ends[1]);
        return r;
    }
    if (pid == 0) {
        close(ends[1]);
        supervise(config, dev, ends[0]);
    }
    close(ends[0]);
    dev->pipe_fd = ends[1];
    dev->supervisor = pid;
    return 0;
}

static int refuse_option(const char *option, const char *said, int error,
                         char ret_why[STORE_WHY_MAX])
{
    snprintf(ret_why, STORE_WHY_MAX, "%s %.200s: %s; %s", option, said,
             strerror(error),
             strcmp(option, "--data") == 0
                 ? "name a directory of yours that is there"
                 : "name a file that is there");
    return -error;
}

/* Agents have working directories of their own. */
static int find_option(const char *option, const char *said, char **ret_path,
                       char ret_why[STORE_WHY_MAX])
{
    struct stat status = {0};
    char *path = realpath(said, NULL);
    if (path == NULL)
        return refuse_option(option, said, errno, ret_why);
    int r = stat(path, &status) < 0 ? -errno : 0;
    bool directory = strcmp(option, "--data") == 0;
    if (r == 0 && directory != S_ISDIR(status.st_mode))
        r = directory ? -ENOTDIR : -EISDIR;
    /* A YAML text in quotes cannot have it as it is. */
    if (r == 0 && directory && path[strcspn(path, "\n\t\r")] != '\0')
        r = -EINVAL;
    if (r == 0)
        r = access(path, directory ? R_OK | W_OK | X_OK : R_OK) < 0 ? -errno
                                                                    : 0;
    if (r < 0) {
        free(path);
        return refuse_option(option, said, -r, ret_why);
    }
    *ret_path = path;
    return 0;
}

/* The agents would only be seen to end; asked before, they say why at once. */
static int check_agent_config(const struct dev *dev,
                              char ret_why[STORE_WHY_MAX])
{
    int status = -1;
    if (dev->agent_config == NULL)
        return 0;
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0) {
        int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (null_fd >= 0)
            dup2(null_fd, STDOUT_FILENO); /* the ready line's */
        execl(dev->agent_program, "agent", "--connect", "tcp://127.0.0.1:1",
              "--config", dev->agent_config, "--check-config", (char *)NULL);
        _exit(127);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (status == 0)
        return 0;
    snprintf(ret_why, STORE_WHY_MAX,
             "--connections %.200s is not right for an agent: see above",
             dev->agent_config);
    return -EINVAL;
}

static int find_options(struct dev *dev, const struct dev_options *options,
                        char ret_why[STORE_WHY_MAX])
{
    int r = 0;
    if (options->data_dir != NULL)
        r = find_option("--data", options->data_dir, &dev->data_dir, ret_why);
    if (r == 0 && options->agent_config != NULL)
        r = find_option("--connections", options->agent_config,
                        &dev->agent_config, ret_why);
    return r < 0 ? r : check_agent_config(dev, ret_why);
}

static void free_dev(struct dev *dev)
{
    free(dev->data_dir);
    free(dev->agent_config);
    free(dev);
}

int dev_start(const struct config *config, const struct dev_options *options,
              struct dev **ret_dev, char ret_why[STORE_WHY_MAX])
{
    struct dev *dev = calloc(1, sizeof *dev);
    if (dev == NULL) {
        snprintf(ret_why, STORE_WHY_MAX, "no memory");
        return -ENOMEM;
    }
    ret_why[0] = '\0';
    int r = find_agent(dev, ret_why);
    if (r == 0)
        r = find_options(dev, options, ret_why);
    if (r == 0)
        r = find_state_dir(dev, options->state_dir, ret_why);
    if (r == 0)
        r = fork_supervisor(dev, config);
    if (r < 0) {
        if (dev->temporary)
            rmdir(dev->state_dir);
        if (ret_why[0] == '\0')
            snprintf(ret_why, STORE_WHY_MAX,
                     "--dev cannot start its agents: %s; free what is missing "
                     "and start again",
                     strerror(-r));
        free_dev(dev);
        return r;
    }
    *ret_dev = dev;
    return 0;
}

char *dev_state_dir(struct dev *dev)
{
    return dev->state_dir;
}

int dev_connect(struct dev *dev, const char *agents_address)
{
    char line[ADDRESS_MAX];
    int len = snprintf(line, sizeof line, "%s\n", agents_address);
    if (len < 0 || (size_t)len >= sizeof line)
        return -EINVAL;
    ssize_t put;
    do {
        put = write(dev->pipe_fd, line, (size_t)len);
    } while (put < 0 && errno == EINTR);
    return put < 0 ? -errno : 0;
}

void dev_stop(struct dev **dev_p)
{
    struct dev *dev = *dev_p;
    if (dev == NULL)
        return;
    close(dev->pipe_fd);
    while (waitpid(dev->supervisor, NULL, 0) < 0 && errno == EINTR)
        ;
    free_dev(dev);
    *dev_p = NULL;
}
