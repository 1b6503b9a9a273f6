/*
 * spill.c - see spill.h.
 *
 * The shim is a VFS that is SQLite's own but for xOpen: a file without a name
 * (SQLite's word for a temporary one: sorters, the temp database, transient
 * indices, statement journals) is made in the spill directory, and its methods
 * count. Files with a name go straight through and cost nothing. The base VFS
 * unlinks temporary files as soon as they are open, so that nothing is left of
 * them however the process ends.
 *
 * Invariants: spill.bytes is the sum of size over the open temporary files, and
 * at most spill.max; a file's size is never less than what is on disk of it.
 */
#include "agents/spill.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif
#ifndef WITH_ASAN
#define WITH_ASAN 0
#endif

static const char VFS_NAME[] = "spill";

static struct {
    sqlite3_vfs vfs;
    sqlite3_vfs *base;
    char *directory;
    uint64_t max, bytes, peak;
    bool over_quota;
} spill;

struct spill_file {
    sqlite3_file base; /* first: this is what SQLite has */
    sqlite3_int64 size;
    char *path;         /* the base VFS keeps the pointer */
    sqlite3_file *real; /* behind this struct, in the same allocation */
};

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((struct spill_file *)file)->real;
}

/* The file is to be `size` bytes long. False: that is beyond the quota. */
static bool resize(struct spill_file *file, sqlite3_int64 size)
{
    uint64_t others = spill.bytes - (uint64_t)file->size;

    if (size > file->size &&
        (others > spill.max || (uint64_t)size > spill.max - others)) {
        spill.over_quota = true;
        return false;
    }
    spill.bytes = others + (uint64_t)size;
    file->size = size;
    if (spill.bytes > spill.peak)
        spill.peak = spill.bytes;
    return true;
}

static int spill_close(sqlite3_file *base)
{
    struct spill_file *file = (struct spill_file *)base;
    int rc = file->real->pMethods->xClose(file->real);

    resize(file, 0);
    sqlite3_free(file->path);
    file->path = NULL;
    return rc;
}

static int spill_read(sqlite3_file *base, void *to, int amount,
                      sqlite3_int64 offset)
{
    sqlite3_file *real = real_of(base);

    return real->pMethods->xRead(real, to, amount, offset);
}

static int spill_write(sqlite3_file *base, const void *from, int amount,
                       sqlite3_int64 offset)
{
    struct spill_file *file = (struct spill_file *)base;
    sqlite3_file *real = file->real;

    /* What a failed write left behind is counted as if it were there. */
    if (offset + amount > file->size && !resize(file, offset + amount))
        return SQLITE_FULL;
    return real->pMethods->xWrite(real, from, amount, offset);
}

static int spill_truncate(sqlite3_file *base, sqlite3_int64 size)
{
    struct spill_file *file = (struct spill_file *)base;
    sqlite3_file *real = file->real;
    int rc;

    if (size > file->size && !resize(file, size))
        return SQLITE_FULL;
    rc = real->pMethods->xTruncate(real, size);
    if (rc == SQLITE_OK)
        resize(file, size);
    return rc;
}

/* Nobody reads a spill file after a crash. */
static int spill_sync(sqlite3_file *base, int flags)
{
    (void)base;
    (void)flags;
    return SQLITE_OK;
}

static int spill_file_size(sqlite3_file *base, sqlite3_int64 *ret_size)
{
    sqlite3_file *real = real_of(base);

    return real->pMethods->xFileSize(real, ret_size);
}

static int spill_lock(sqlite3_file *base, int level)
{
    sqlite3_file *real = real_of(base);

    return real->pMethods->xLock(real, level);
}

static int spill_unlock(sqlite3_file *base, int level)
{
    sqlite3_file *real = real_of(base);

    return real->pMethods->xUnlock(real, level);
}

static int spill_check_reserved(sqlite3_file *base, int *ret_reserved)
{
    sqlite3_file *real = real_of(base);

    return real->pMethods->xCheckReservedLock(real, ret_reserved);
}

static int spill_control(sqlite3_file *base, int op, void *argument)
{
    sqlite3_file *real = real_of(base);

    /* These would make the file longer, or a mapping, past the counting. */
    if (op == SQLITE_FCNTL_SIZE_HINT || op == SQLITE_FCNTL_CHUNK_SIZE ||
        op == SQLITE_FCNTL_MMAP_SIZE)
        return SQLITE_NOTFOUND;
    return real->pMethods->xFileControl(real, op, argument);
}

static int spill_sector_size(sqlite3_file *base)
{
    sqlite3_file *real = real_of(base);

    return real->pMethods->xSectorSize(real);
}

static int spill_device(sqlite3_file *base)
{
    sqlite3_file *real = real_of(base);

    return real->pMethods->xDeviceCharacteristics(real);
}

/* Version 1: neither shared memory nor mapped pages. */
static const sqlite3_io_methods METHODS = {
    .iVersion = 1,
    .xClose = spill_close,
    .xRead = spill_read,
    .xWrite = spill_write,
    .xTruncate = spill_truncate,
    .xSync = spill_sync,
    .xFileSize = spill_file_size,
    .xLock = spill_lock,
    .xUnlock = spill_unlock,
    .xCheckReservedLock = spill_check_reserved,
    .xFileControl = spill_control,
    .xSectorSize = spill_sector_size,
    .xDeviceCharacteristics = spill_device,
};

/* A name that is nobody else's, also when processes of several containers share
 * the directory. SQLite wants two NULs behind it. */
static char *temporary_path(void)
{
    size_t size =
        strlen(spill.directory) + sizeof "/spill-0123456789abcdef" + 1;
    char *path = sqlite3_malloc64(size);
    unsigned long long random;

    if (!path)
        return NULL;
    memset(path, 0, size);
    sqlite3_randomness(sizeof random, &random);
    snprintf(path, size - 1, "%s/spill-%016llx", spill.directory, random);
    return path;
}

static int spill_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *base,
                      int flags, int *ret_flags)
{
    struct spill_file *file = (struct spill_file *)base;
    int rc;

    (void)vfs;
    if (name)
        return spill.base->xOpen(spill.base, name, base, flags, ret_flags);
    *file = (struct spill_file){.real = (sqlite3_file *)(file + 1)};
    memset(file->real, 0, (size_t)spill.base->szOsFile);
    file->path = temporary_path();
    if (!file->path)
        return SQLITE_NOMEM;
    rc = spill.base->xOpen(spill.base, file->path, file->real,
                           flags | SQLITE_OPEN_DELETEONCLOSE |
                               SQLITE_OPEN_EXCLUSIVE | SQLITE_OPEN_CREATE,
                           ret_flags);
    if (rc != SQLITE_OK) {
        /* Without methods SQLite does not close it. */
        if (file->real->pMethods)
            file->real->pMethods->xClose(file->real);
        sqlite3_free(file->path);
        file->path = NULL;
        return rc;
    }
    file->base.pMethods = &METHODS;
    return SQLITE_OK;
}

/* Private writable memory of this process, which RLIMIT_DATA is about. */
static uint64_t data_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    char line[200] = "", *at = line;
    uint64_t pages = 0;

    if (!file)
        return 0;
    if (!fgets(line, sizeof line, file))
        line[0] = '\0';
    fclose(file);
    /* The sixth number. */
    for (int i = 0; i < 6; i++)
        pages = strtoull(at, &at, 10);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* On top of what the process has already: the stacks and arenas of the process
 * it was forked from count, though it never touches them. */
static void limit_memory(uint64_t memory_bytes)
{
    struct rlimit limit;
    uint64_t all = data_bytes() + memory_bytes;

    /* From the soft limit on pages of caches are reused. */
    sqlite3_hard_heap_limit64((sqlite3_int64)memory_bytes / 4 * 3);
    sqlite3_soft_heap_limit64((sqlite3_int64)memory_bytes / 8 * 3);
    if (WITH_ASAN || getrlimit(RLIMIT_DATA, &limit) < 0)
        return;
    if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < all)
        return;
    limit.rlim_cur = all < limit.rlim_max ? all : limit.rlim_max;
    setrlimit(RLIMIT_DATA, &limit);
}

static int check_directory(const char *directory)
{
    struct stat file;

    if (stat(directory, &file) < 0)
        return -errno;
    if (!S_ISDIR(file.st_mode))
        return -ENOTDIR;
    return access(directory, W_OK | X_OK) < 0 ? -errno : 0;
}

int spill_limit(const char *directory, uint64_t spill_max_bytes,
                uint64_t memory_bytes, const char **ret_vfs)
{
    int err = check_directory(directory);
    char *copy;

    if (err)
        return err;
    if (memory_bytes > INT64_MAX / 4)
        return -ERANGE;
    assert(!spill.base);
    copy = realpath(directory, NULL);
    if (!copy)
        return -errno;
    spill.base = sqlite3_vfs_find(NULL);
    if (!spill.base) {
        free(copy);
        return -ENOSYS;
    }
    spill.directory = copy;
    spill.max = spill_max_bytes;
    spill.vfs = *spill.base;
    spill.vfs.pNext = NULL;
    spill.vfs.zName = VFS_NAME;
    spill.vfs.xOpen = spill_open;
    spill.vfs.szOsFile = spill.base->szOsFile + (int)sizeof(struct spill_file);
    /* The default: readers and writers of SQLite files sort too. */
    if (sqlite3_vfs_register(&spill.vfs, 1) != SQLITE_OK) {
        free(copy);
        spill.base = NULL;
        return -ENOMEM;
    }
    limit_memory(memory_bytes);
    *ret_vfs = VFS_NAME;
    return 0;
}

uint64_t spill_bytes(void)
{
    return spill.bytes;
}

uint64_t spill_peak_bytes(void)
{
    return spill.peak;
}

bool spill_over_quota(void)
{
    return spill.over_quota;
}
