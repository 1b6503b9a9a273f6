/* tree.c - see tree.h. */
#include "agents/tree.h"

#include "agents/clock.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct pids {
    pid_t *list;
    size_t count, room;
};

static void pids_add(struct pids *pids, pid_t pid)
{
    if (pids->count == pids->room) {
        size_t room = pids->room ? 2 * pids->room : 64;
        pid_t *list = realloc(pids->list, room * sizeof *list);
        if (!list)
            return; /* this look misses one; the next finds it */
        pids->list = list;
        pids->room = room;
    }
    pids->list[pids->count++] = pid;
}

/* A whole small file of /proc; *ret_len bytes, NUL added. NULL: gone. */
static char *read_proc(const char *path, size_t *ret_len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t room = 4096, used = 0;
    char *text = fd < 0 ? NULL : malloc(room + 1);

    while (text) {
        ssize_t n = read(fd, text + used, room - used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        used += (size_t)n;
        if (used == room) {
            char *more = realloc(text, 2 * room + 1);
            if (!more)
                break;
            text = more;
            room *= 2;
        }
    }
    if (fd >= 0)
        close(fd);
    if (text)
        text[used] = '\0';
    *ret_len = used;
    return text;
}

static pid_t as_pid(const char *name)
{
    char *end;

    if (!isdigit((unsigned char)*name))
        return 0;
    long pid = strtol(name, &end, 10);
    return *end == '\0' ? (pid_t)pid : 0;
}

/* Fast way: /proc/PID/task/TID/children (CONFIG_PROC_CHILDREN). */
static bool children_listed(pid_t pid, struct pids *out)
{
    char path[64];
    struct dirent *entry;
    bool listed = false;

    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *dir = opendir(path);
    if (!dir)
        return true; /* gone: no children, which is an answer */
    while ((entry = readdir(dir))) {
        size_t len;
        pid_t tid = as_pid(entry->d_name);
        if (tid == 0)
            continue;
        snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid,
                 (int)tid);
        char *text = read_proc(path, &len);
        if (!text)
            continue;
        listed = true;
        for (char *at = text, *end; *at; at = end) {
            long child = strtol(at, &end, 10);
            if (end == at)
                break;
            pids_add(out, (pid_t)child);
        }
        free(text);
    }
    closedir(dir);
    return listed;
}

/* Slow way: the parent of every process there is. */
static void children_scanned(pid_t pid, struct pids *out)
{
    DIR *proc = opendir("/proc");
    struct dirent *entry;

    while (proc && (entry = readdir(proc))) {
        char path[64];
        size_t len;
        pid_t other = as_pid(entry->d_name);
        if (other == 0)
            continue;
        snprintf(path, sizeof path, "/proc/%d/stat", (int)other);
        char *text = read_proc(path, &len);
        /* "pid (name) S ppid": the name may hold anything, also ')'. */
        char *name_end = text ? strrchr(text, ')') : NULL;
        if (name_end && strlen(name_end) > 4 &&
            strtol(name_end + 4, NULL, 10) == pid)
            pids_add(out, other);
        free(text);
    }
    if (proc)
        closedir(proc);
}

static void add_children(pid_t pid, struct pids *out)
{
    if (!children_listed(pid, out) && kill(pid, 0) == 0)
        children_scanned(pid, out);
}

size_t tree_children(pid_t pid, pid_t *ret_pids, size_t max)
{
    struct pids found = {0};

    add_children(pid, &found);
    size_t count = found.count;
    for (size_t i = 0; i < count && i < max; i++)
        ret_pids[i] = found.list[i];
    free(found.list);
    return count;
}

size_t tree_signal(pid_t root, bool with_root, int sig)
{
    struct pids found = {0};
    size_t sent = 0;

    pids_add(&found, root);
    /* Breadth first; the list is the queue. Each is signalled before its
     * children are looked for: killed, it starts no more. */
    for (size_t i = 0; i < found.count; i++) {
        size_t before = found.count;
        pid_t pid = found.list[i];
        /* Children are read first as well: a process that dies hands them to
         * the subreaper, out of this walk's reach until the next look. */
        add_children(pid, &found);
        if ((pid != root || with_root) && kill(pid, sig) == 0) {
            sent++;
            if (sig == SIGKILL && found.count == before)
                add_children(pid, &found);
        }
    }
    free(found.list);
    return sent;
}

static bool env_has(const char *text, size_t len, const char *entry)
{
    size_t want = strlen(entry);

    for (const char *at = text; at < text + len;) {
        size_t n = strnlen(at, (size_t)(text + len - at));
        if (n == want && memcmp(at, entry, n) == 0)
            return true;
        at += n + 1;
    }
    return false;
}

static bool has_both(pid_t pid, const char *a, const char *b)
{
    char path[64];
    size_t len;

    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    char *text = read_proc(path, &len);
    bool has = text && env_has(text, len, a) && env_has(text, len, b);
    free(text);
    return has;
}

bool tree_has_env(pid_t pid, const char *entry)
{
    return has_both(pid, entry, entry);
}

/* Kills once all who have both; zombies have no environment, so a killed
 * process that nobody reaped is not counted. */
static size_t sweep_once(const char *a, const char *b)
{
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    size_t found = 0;

    while (proc && (entry = readdir(proc))) {
        pid_t pid = as_pid(entry->d_name);
        if (pid == 0 || pid == getpid() || !has_both(pid, a, b))
            continue;
        found++;
        kill(pid, SIGKILL);
    }
    if (proc)
        closedir(proc);
    return found;
}

size_t tree_sweep(const char *entry_a, const char *entry_b, int limit_ms,
                  size_t *ret_left)
{
    int64_t until = clock_boot_ms() + limit_ms;
    size_t first = sweep_once(entry_a, entry_b), left = first;

    while (left > 0 && clock_boot_ms() < until) {
        struct timespec pause = {.tv_nsec = 2000000};
        nanosleep(&pause, NULL);
        left = sweep_once(entry_a, entry_b);
    }
    *ret_left = left;
    return first;
}
