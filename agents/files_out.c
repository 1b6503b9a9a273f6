/*
 * files_out.c - see files_inside.h: a file that appears when it is complete.
 *
 * While it is written it has no name at all where the file system can do that,
 * so that nothing is left of a process that dies. It gets a temporary name for
 * the moment before it is renamed, because link(2) does not replace.
 */
#include "agents/files_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_TRIES = 16, NAME_KEPT = 200 };

static void invent_name(const char *name, char to[NAME_MAX + 1])
{
    uint64_t random = 0;

    if (getrandom(&random, sizeof random, GRND_NONBLOCK) < 0)
        random = (uint64_t)(uintptr_t)to;
    snprintf(to, NAME_MAX + 1, ".%.*s.dispatch-%d-%016llx", NAME_KEPT, name,
             (int)getpid(), (unsigned long long)random);
}

static int open_named(struct files_out *out)
{
    for (int tries = 0; tries < NAME_TRIES; tries++) {
        invent_name(out->name, out->temporary);
        int fd = openat(out->directory_fd, out->temporary,
                        O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0)
            return fd;
        if (errno != EEXIST)
            break;
    }
    out->temporary[0] = '\0';
    return -errno;
}

static bool can_be_linked(void)
{
    return access("/proc/self/fd", X_OK) == 0;
}

static int open_temporary(struct files_out *out)
{
    if (can_be_linked()) {
        int fd = openat(out->directory_fd, ".",
                        O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
        if (fd >= 0)
            return fd;
        /* Old kernels and some file systems do not know O_TMPFILE. */
        if (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT &&
            errno != EINVAL)
            return -errno;
    }
    return open_named(out);
}

int files_out_open(struct files_out *out, const char *root, const char *path,
                   char error[FILES_ERROR_MAX])
{
    char shown[VALUE_QUOTED_MAX];
    struct stat status;
    const char *name;

    *out = (struct files_out){.directory_fd = -1, .fd = -1};
    value_quote(path, strlen(path), shown);
    int rc = files_open_directory(root, path, &out->directory_fd, &name, error);
    if (rc < 0)
        return rc;
    snprintf(out->name, sizeof out->name, "%s", name);
    if (fstatat(out->directory_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISDIR(status.st_mode)) {
        files_out_close(out);
        return files_fail(error, -EISDIR, "%s is a directory", shown);
    }
    out->buffer = malloc(FILES_CHUNK);
    out->fd = out->buffer ? open_temporary(out) : -ENOMEM;
    if (out->fd < 0) {
        rc = out->fd;
        files_out_close(out);
        return files_fail(error, rc, "%s cannot be made: %s", shown,
                          strerror(-rc));
    }
    return 0;
}

static void write_all(struct files_out *out, const char *bytes, size_t len)
{
    while (len > 0 && out->rc == 0) {
        ssize_t put = write(out->fd, bytes, len);
        if (put < 0 && errno != EINTR)
            out->rc = -errno;
        if (put <= 0)
            continue;
        bytes += put;
        len -= (size_t)put;
    }
}

void files_out_flush(struct files_out *out)
{
    write_all(out, out->buffer, out->len);
    out->len = 0;
}

void files_out_put_large(struct files_out *out, const char *bytes, size_t len)
{
    files_out_flush(out);
    out->bytes += len;
    if (len >= FILES_CHUNK) {
        write_all(out, bytes, len);
        return;
    }
    memcpy(out->buffer, bytes, len);
    out->len = len;
}

static int give_name(struct files_out *out)
{
    char self[40];

    snprintf(self, sizeof self, "/proc/self/fd/%d", out->fd);
    for (int tries = 0; tries < NAME_TRIES; tries++) {
        invent_name(out->name, out->temporary);
        if (linkat(AT_FDCWD, self, out->directory_fd, out->temporary,
                   AT_SYMLINK_FOLLOW) == 0)
            return 0;
        if (errno != EEXIST)
            break;
    }
    out->temporary[0] = '\0';
    return -errno;
}

int files_out_commit(struct files_out *out)
{
    files_out_flush(out);
    if (out->rc == 0 && fsync(out->fd) < 0)
        out->rc = -errno;
    if (out->rc == 0 && !out->temporary[0])
        out->rc = give_name(out);
    if (out->rc == 0 && renameat(out->directory_fd, out->temporary,
                                 out->directory_fd, out->name) < 0)
        out->rc = -errno;
    if (out->rc < 0)
        return out->rc;
    out->temporary[0] = '\0';
    return fsync(out->directory_fd) < 0 ? -errno : 0;
}

void files_out_close(struct files_out *out)
{
    if (out->temporary[0])
        unlinkat(out->directory_fd, out->temporary, 0);
    if (out->fd >= 0)
        close(out->fd);
    if (out->directory_fd >= 0)
        close(out->directory_fd);
    free(out->buffer);
    *out = (struct files_out){.directory_fd = -1, .fd = -1};
}
