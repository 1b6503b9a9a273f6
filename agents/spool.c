/* spool.c - see spool.h. */
#include "agents/spool.h"

#include "agents/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Every file an attempt may have; meta first: without it and without a result
 * a half-removed attempt reads as "never started". */
static const char *const run_files[] = {
    "meta", "ctl",        "lock",         "journal",
    "run",  "result.tmp", "shepherd.err", "result",
};

static int make_directories(const char *path)
{
    char part[PATH_MAX];

    if (snprintf(part, sizeof part, "%s", path) >= (int)sizeof part)
        return -ENAMETOOLONG;
    for (char *at = part + 1; *at; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        if (mkdir(part, 0755) < 0 && errno != EEXIST)
            return -errno;
        *at = '/';
    }
    return mkdir(part, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

static int take_lock(int fd, int wait_ms)
{
    int64_t until = clock_boot_ms() + wait_ms;

    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        struct timespec pause = {.tv_nsec = 10000000};
        if (errno != EWOULDBLOCK && errno != EINTR)
            return -errno;
        if (clock_boot_ms() >= until)
            return -EBUSY;
        nanosleep(&pause, NULL);
    }
    return 0;
}

static int open_parts(struct spool *spool)
{
    spool->lock_fd =
        openat(spool->root_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (mkdirat(spool->root_fd, "runs", 0700) < 0 && errno != EEXIST)
        return -errno;
    spool->runs_fd =
        openat(spool->root_fd, "runs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (mkfifoat(spool->root_fd, "wake", 0600) < 0 && errno != EEXIST)
        return -errno;
    spool->wake_fd =
        openat(spool->root_fd, "wake", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (spool->lock_fd < 0 || spool->runs_fd < 0 || spool->wake_fd < 0)
        return -errno;
    return 0;
}

int spool_open(const char *path, int lock_wait_ms, struct spool *ret_spool,
               char why[SPOOL_WHY_MAX])
{
    struct spool spool = {-1, -1, -1, -1};
    int rc = make_directories(path);

    if (rc == 0) {
        spool.root_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        rc = spool.root_fd < 0 ? -errno : open_parts(&spool);
    }
    if (rc == 0)
        rc = take_lock(spool.lock_fd, lock_wait_ms);
    if (rc == 0) {
        *ret_spool = spool;
        return 0;
    }
    if (rc == -EBUSY)
        snprintf(why, SPOOL_WHY_MAX,
                 "another agent uses the spool %.200s: stop it, or give this "
                 "one its own with --spool or another --name",
                 path);
    else
        snprintf(why, SPOOL_WHY_MAX,
                 "cannot use the spool %.200s: %s: give a directory this user "
                 "can write with --spool",
                 path, strerror(-rc));
    spool_close(&spool);
    return rc;
}

void spool_close(struct spool *spool)
{
    int *fds[] = {&spool->root_fd, &spool->runs_fd, &spool->lock_fd,
                  &spool->wake_fd};

    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        if (*fds[i] >= 0)
            close(*fds[i]);
        *fds[i] = -1;
    }
}

void spool_name(const struct wire_id *run, uint32_t attempt,
                char ret_name[SPOOL_NAME_MAX])
{
    char text[37];

    wire_id_text(run, text);
    snprintf(ret_name, SPOOL_NAME_MAX, "%s.%u", text, attempt);
}

int spool_parse_name(const char *name, struct wire_id *ret_run,
                     uint32_t *ret_attempt)
{
    char text[37], *end;

    if (strlen(name) < 38 || name[36] != '.' || name[37] < '1' ||
        name[37] > '9')
        return -EINVAL;
    memcpy(text, name, 36);
    text[36] = '\0';
    unsigned long attempt = strtoul(name + 37, &end, 10);
    if (*end || attempt > UINT32_MAX || wire_id_parse(text, ret_run) < 0)
        return -EINVAL;
    *ret_attempt = (uint32_t)attempt;
    return 0;
}

static int write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -ENOSPC;
        bytes += n;
        len -= (size_t)n;
    }
    return 0;
}

static int write_file(int dir_fd, const char *file, const char *bytes,
                      size_t len)
{
    int fd =
        openat(dir_fd, file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0)
        return -errno;
    int rc = write_all(fd, bytes, len);
    if (close(fd) < 0 && rc == 0)
        rc = -errno;
    return rc;
}

int spool_create_run(const struct spool *spool, const char *name,
                     const char *frame, size_t bytes, int *ret_dir_fd)
{
    char trash[SPOOL_NAME_MAX];
    int dir_fd = -1, rc;

    if (mkdirat(spool->runs_fd, name, 0700) < 0)
        return -errno;
    rc = spool_open_run(spool, name, &dir_fd);
    if (rc == 0)
        rc = write_file(dir_fd, "lock", "", 0);
    if (rc == 0 && mkfifoat(dir_fd, "ctl", 0600) < 0)
        rc = -errno;
    if (rc == 0 && mkdirat(dir_fd, "work", 0700) < 0)
        rc = -errno;
    if (rc == 0)
        rc = write_file(dir_fd, "run", frame, bytes);
    if (rc == 0) {
        *ret_dir_fd = dir_fd;
        return 0;
    }
    if (dir_fd >= 0)
        close(dir_fd);
    spool_forget(spool, name, trash);
    return rc;
}

int spool_open_run(const struct spool *spool, const char *name, int *ret_dir_fd)
{
    int fd = openat(spool->runs_fd, name,
                    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    *ret_dir_fd = fd;
    return 0;
}

enum spool_state spool_state_of(int dir_fd)
{
    /* Asked before the lock: a shepherd writes its result before it lets go,
     * so "no result" and then "lock free" really means that it died. That
     * takes the second look at the result below. */
    if (faccessat(dir_fd, "result", F_OK, 0) == 0)
        return SPOOL_ENDED;
    int lock = spool_lock_run(dir_fd);
    if (lock == -EBUSY)
        return SPOOL_RUNNING;
    if (lock >= 0)
        close(lock);
    if (faccessat(dir_fd, "result", F_OK, 0) == 0)
        return SPOOL_ENDED;
    return faccessat(dir_fd, "meta", F_OK, 0) == 0 ? SPOOL_DIED
                                                   : SPOOL_UNSTARTED;
}

int spool_lock_run(int dir_fd)
{
    int fd = openat(dir_fd, "lock", O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        int rc = errno == EWOULDBLOCK ? -EBUSY : -errno;
        close(fd);
        return rc;
    }
    return fd;
}

int spool_open_ctl(int dir_fd)
{
    int fd = openat(dir_fd, "ctl", O_RDWR | O_NONBLOCK | O_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

/* Field 22 of /proc/PID/stat: clock ticks after boot; 0: no such process. */
static unsigned long long start_time(pid_t pid)
{
    char path[64], text[1024];

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    char *at = strrchr(text, ')');
    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    return at ? strtoull(at, NULL, 10) : 0;
}

int spool_write_meta(int dir_fd)
{
    char text[80];
    int n = snprintf(text, sizeof text, "pid=%d start=%llu\n", (int)getpid(),
                     start_time(getpid()));

    return write_file(dir_fd, "meta", text, (size_t)n);
}

pid_t spool_shepherd_pid(int dir_fd)
{
    char *text = NULL;
    size_t len;
    pid_t found = 0;

    if (spool_read(dir_fd, "meta", 200, &text, &len) < 0 || !text)
        return 0;
    char *start = strstr(text, " start=");
    if (strncmp(text, "pid=", 4) == 0 && start) {
        long pid = strtol(text + 4, NULL, 10);
        if (pid > 1 && pid < INT_MAX &&
            start_time((pid_t)pid) == strtoull(start + 7, NULL, 10))
            found = (pid_t)pid;
    }
    free(text);
    return found;
}

/* The whole of an open file; *ret_len bytes. */
static int read_all(int fd, size_t max, char **ret_bytes, size_t *ret_len)
{
    struct stat st;
    size_t used = 0, room;

    if (fstat(fd, &st) < 0)
        return -EIO;
    if (st.st_size < 0 || (size_t)st.st_size > max)
        return -EFBIG;
    room = (size_t)st.st_size;
    char *bytes = malloc(room + 1);
    if (!bytes)
        return -ENOMEM;
    while (used < room) {
        ssize_t n = read(fd, bytes + used, room - used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            free(bytes);
            return -EIO;
        }
        if (n == 0)
            break;
        used += (size_t)n;
    }
    bytes[used] = '\0';
    *ret_bytes = bytes;
    *ret_len = used;
    return 0;
}

int spool_read(int dir_fd, const char *file, size_t max, char **ret_bytes,
               size_t *ret_len)
{
    int fd = openat(dir_fd, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        return -errno;
    int rc = read_all(fd, max, ret_bytes, ret_len);
    close(fd);
    return rc;
}

void spool_reserve_result(int dir_fd, size_t bytes)
{
    int fd = openat(dir_fd, "result.tmp", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0)
        return;
    (void)fallocate(fd, 0, 0, (off_t)bytes);
    close(fd);
}

int spool_write_result(const struct spool *spool, int dir_fd, const char *frame,
                       size_t bytes)
{
    int fd = openat(dir_fd, "result.tmp", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0)
        return -errno;
    /* Not truncated first: the blocks were set aside for this moment. */
    int rc = write_all(fd, frame, bytes);
    if (rc == 0 && ftruncate(fd, (off_t)bytes) < 0)
        rc = -errno;
    if (rc == 0 && fsync(fd) < 0)
        rc = -errno;
    if (close(fd) < 0 && rc == 0)
        rc = -errno;
    if (rc == 0 && renameat(dir_fd, "result.tmp", dir_fd, "result") < 0)
        rc = -errno;
    /* The name in its directory, and the directory in runs. */
    if (rc == 0 && (fsync(dir_fd) < 0 || fsync(spool->runs_fd) < 0))
        rc = -errno;
    return rc;
}

int spool_forget(const struct spool *spool, const char *name,
                 char ret_trash[SPOOL_NAME_MAX])
{
    int dir_fd = -1, rc = spool_open_run(spool, name, &dir_fd);

    if (rc < 0)
        return rc;
    for (size_t i = 0; i < sizeof run_files / sizeof *run_files; i++)
        unlinkat(dir_fd, run_files[i], 0);
    unlinkat(dir_fd, "work", AT_REMOVEDIR);
    close(dir_fd);
    if (unlinkat(spool->runs_fd, name, AT_REMOVEDIR) == 0)
        return 0;
    snprintf(ret_trash, SPOOL_NAME_MAX, ".trash.%s", name);
    if (renameat(spool->runs_fd, name, spool->runs_fd, ret_trash) < 0)
        return -errno;
    return 1;
}

void spool_remove_trash(const struct spool *spool, const char *trash)
{
    char name[SPOOL_NAME_MAX];
    char *paths[] = {name, NULL};
    FTSENT *entry;

    if (strncmp(trash, ".trash.", 7) != 0 ||
        snprintf(name, sizeof name, "%s", trash) >= (int)sizeof name ||
        fchdir(spool->runs_fd) < 0)
        return;
    FTS *tree = fts_open(paths, FTS_PHYSICAL, NULL);
    while (tree && (entry = fts_read(tree))) {
        if (entry->fts_info == FTS_D)
            chmod(entry->fts_accpath, 0700);
        else if (entry->fts_info == FTS_DP || entry->fts_info == FTS_DNR)
            rmdir(entry->fts_accpath);
        else
            unlink(entry->fts_accpath);
    }
    if (tree)
        fts_close(tree);
}

int spool_scan(const struct spool *spool,
               void (*found)(void *context, const char *name), void *context)
{
    int fd = openat(spool->root_fd, "runs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;

    if (!dir) {
        int rc = -errno;
        if (fd >= 0)
            close(fd);
        return rc;
    }
    while ((entry = readdir(dir)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            found(context, entry->d_name);
    closedir(dir);
    return 0;
}
