/*
 * store.c - see store.h; STORE.md tells the layout and why LMDB's default sync
 * flags are the only ones used.
 *
 * Invariants: at most one write transaction is open (txn != NULL inside a
 * turn); `turn` in memory equals the "turn" record of the last commit; the
 * write set, when kept, lists exactly the puts and deletes of that commit.
 */
#include "pools/store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

static const char *const table_names[STORE_TABLES] = {
    [STORE_META] = "meta",       [STORE_RUN] = "run",
    [STORE_ORIGIN] = "origin",   [STORE_PLAN] = "plan",
    [STORE_ATTEMPT] = "attempt", [STORE_NODE] = "node",
    [STORE_LOG] = "log",         [STORE_LIVE] = "live",
    [STORE_POOL] = "pool",       [STORE_AGENT] = "agent",
    [STORE_REQUEST] = "request", [STORE_MEASURE] = "measure",
};

enum { COUNT_FREE_ABOVE_PERMILLE = 900 };

struct store {
    MDB_env *env;
    MDB_dbi tables[STORE_TABLES];
    MDB_txn *txn;  /* the turn in progress, or NULL */
    bool wrote;    /* the turn has writes */
    uint64_t turn; /* of the last commit */
    int lock_fd;   /* flock: one broker per directory */
    size_t map_bytes;

    bool keep_writes;
    struct store_write *writes; /* pointers are set at commit */
    size_t write_count, write_room;
    char *bytes; /* their keys and values */
    size_t byte_count, byte_room;
};

struct store_reader {
    struct store *store;
    MDB_txn *txn; /* reset between reads, renewed by each */
    bool open;
};

/* LMDB's codes are negative, the system's positive: both become negative
 * errnos. A failing disk is -EIO whatever the call said. */
static int errno_of(int rc)
{
    switch (rc) {
    case 0:
        return 0;
    case MDB_NOTFOUND:
        return -ENOENT;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
        return -ENOSPC;
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
        return -EPROTO;
    case MDB_READERS_FULL:
        return -EAGAIN;
    case MDB_BAD_VALSIZE:
        return -EINVAL;
    default:
        return rc > 0 ? -rc : -EIO;
    }
}

/* LMDB takes what it only reads as void *, too. */
static MDB_val val(const void *ptr, size_t bytes)
{
    union {
        const void *in;
        void *out;
    } as = {.in = ptr};

    return (MDB_val){bytes, as.out};
}

__attribute__((format(printf, 2, 3))) static void
explain(char ret_why[STORE_WHY_MAX], const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(ret_why, STORE_WHY_MAX, fmt, args);
    va_end(args);
}

/* ---- opening --------------------------------------------------------- */

/* A mapped file on a network file system is not coherent between machines and
 * its locks do not hold: LMDB's own documentation rules it out. */
static bool is_network_fs(const char *dir)
{
    static const unsigned long magics[] = {
        0x6969 /* NFS */,      0x517B /* SMB */,      0xFF534D42 /* CIFS */,
        0xFE534D42 /* SMB2 */, 0x00C36400 /* CEPH */, 0x01021997 /* 9P */,
        0x6B414653 /* AFS */,
    };
    struct statfs fs;

    if (statfs(dir, &fs) != 0)
        return false;
    for (size_t i = 0; i < sizeof magics / sizeof magics[0]; i++)
        if ((unsigned long)fs.f_type == magics[i])
            return true;
    return false;
}

static int open_dir(const char *dir, char ret_why[STORE_WHY_MAX])
{
    struct stat st;

    if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
        int err = errno;
        explain(ret_why,
                "cannot create the state directory %s: %s; create it "
                "or name another with --state",
                dir, strerror(err));
        return -err;
    }
    if (stat(dir, &st) != 0 || !S_ISDIR(st.st_mode)) {
        explain(ret_why, "%s is not a directory; name one with --state", dir);
        return -ENOTDIR;
    }
    if (is_network_fs(dir)) {
        explain(ret_why,
                "%s is on a network file system, where the store is "
                "not safe; name a local directory with --state",
                dir);
        return -EOPNOTSUPP;
    }
    return 0;
}

static int lock_dir(const char *dir, int *ret_fd, char ret_why[STORE_WHY_MAX])
{
    char path[4096];

    if (snprintf(path, sizeof path, "%s/broker.lock", dir) >=
        (int)sizeof path) {
        explain(ret_why, "the state directory's path is too long: %s", dir);
        return -ENAMETOOLONG;
    }
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        int err = errno;
        explain(ret_why,
                "cannot write in the state directory %s: %s; check "
                "its owner and mode",
                dir, strerror(err));
        return -err;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        close(fd);
        explain(ret_why,
                "another dispatcher is using the state directory %s; "
                "stop it or name another directory with --state",
                dir);
        return -EWOULDBLOCK;
    }
    *ret_fd = fd;
    return 0;
}

/* An LMDB file without our "meta" that is not empty belongs to somebody else.
 */
static int check_foreign(MDB_txn *txn)
{
    MDB_dbi names, meta;
    MDB_stat stat;

    int rc = mdb_dbi_open(txn, table_names[STORE_META], 0, &meta);
    if (rc != MDB_NOTFOUND)
        return rc == MDB_INCOMPATIBLE ? MDB_INVALID : rc;
    rc = mdb_dbi_open(txn, NULL, 0, &names);
    if (rc == 0)
        rc = mdb_stat(txn, names, &stat);
    return rc != 0 ? rc : stat.ms_entries > 0 ? MDB_INVALID : 0;
}

/* Opens the tables and checks or writes the schema number, in one txn. */
static int open_tables(struct store *store, const char *dir,
                       char ret_why[STORE_WHY_MAX])
{
    MDB_txn *txn;
    uint32_t schema = STORE_SCHEMA;
    MDB_val key = val("schema", 6), value;

    int rc = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (rc != 0)
        goto fail_no_txn;
    rc = check_foreign(txn);
    for (int i = 0; i < STORE_TABLES && rc == 0; i++)
        rc = mdb_dbi_open(txn, table_names[i], MDB_CREATE, &store->tables[i]);
    if (rc != 0)
        goto fail;
    rc = mdb_get(txn, store->tables[STORE_META], &key, &value);
    if (rc == MDB_NOTFOUND) {
        value = (MDB_val){sizeof schema, &schema};
        rc = mdb_put(txn, store->tables[STORE_META], &key, &value, 0);
    } else if (rc == 0 && value.mv_size == sizeof schema) {
        memcpy(&schema, value.mv_data, sizeof schema);
    } else if (rc == 0) {
        rc = MDB_INVALID;
    }
    if (rc != 0)
        goto fail;
    if (schema > STORE_SCHEMA) {
        mdb_txn_abort(txn);
        explain(ret_why,
                "the store in %s has schema %u, this program knows up "
                "to %u; run the newer program",
                dir, schema, (unsigned)STORE_SCHEMA);
        return -EPROTO;
    }
    key = val("turn", 4);
    rc = mdb_get(txn, store->tables[STORE_META], &key, &value);
    if (rc == 0 && value.mv_size == sizeof store->turn)
        memcpy(&store->turn, value.mv_data, sizeof store->turn);
    else if (rc != MDB_NOTFOUND && rc != 0)
        goto fail;
    rc = mdb_txn_commit(txn);
    if (rc == 0)
        return 0;
    goto fail_no_txn;
fail:
    mdb_txn_abort(txn);
fail_no_txn:
    explain(ret_why, "cannot open the tables of the store in %s: %s", dir,
            mdb_strerror(rc));
    return errno_of(rc);
}

static int open_env(struct store *store, const char *dir,
                    const struct store_options *options,
                    char ret_why[STORE_WHY_MAX])
{
    int stale = 0;

    int rc = mdb_env_create(&store->env);
    if (rc == 0)
        rc = mdb_env_set_maxdbs(store->env, STORE_TABLES);
    if (rc == 0)
        rc = mdb_env_set_maxreaders(store->env, STORE_READERS_MAX);
    if (rc == 0)
        rc = mdb_env_set_mapsize(store->env, store->map_bytes);
    if (rc == 0)
        rc = mdb_env_open(
            store->env, dir,
            MDB_NOTLS | (options->unsafe_no_sync ? MDB_NOSYNC : 0U), 0600);
    if (rc == MDB_INVALID || rc == MDB_VERSION_MISMATCH) {
        explain(ret_why,
                "%s/data.mdb is not a store of this program (%s); "
                "name another directory with --state",
                dir, mdb_strerror(rc));
        return -EPROTO;
    }
    if (rc != 0) {
        explain(ret_why, "cannot open the store in %s: %s", dir,
                mdb_strerror(rc));
        return errno_of(rc);
    }
    /* A reader that was killed pins pages for ever. */
    (void)mdb_reader_check(store->env, &stale);
    return 0;
}

int store_open(const char *dir, const struct store_options *options,
               struct store **ret_store, char ret_why[STORE_WHY_MAX])
{
    struct store *store = calloc(1, sizeof *store);
    if (store == NULL) {
        explain(ret_why, "no memory");
        return -ENOMEM;
    }
    store->lock_fd = -1;
    store->keep_writes = options->keep_writes;
    store->map_bytes =
        options->map_bytes != 0 ? options->map_bytes : (size_t)16 << 30;

    int err = open_dir(dir, ret_why);
    if (err == 0)
        err = lock_dir(dir, &store->lock_fd, ret_why);
    if (err == 0)
        err = open_env(store, dir, options, ret_why);
    if (err == 0)
        err = open_tables(store, dir, ret_why);
    if (err != 0) {
        store_close(&store);
        return err;
    }
    *ret_store = store;
    return 0;
}

void store_close(struct store **store_p)
{
    struct store *store = *store_p;

    if (store == NULL)
        return;
    store_abort(store);
    if (store->env != NULL)
        mdb_env_close(store->env);
    if (store->lock_fd >= 0)
        close(store->lock_fd);
    free(store->writes);
    free(store->bytes);
    free(store);
    *store_p = NULL;
}

/* ---- the turn -------------------------------------------------------- */

/* Copies data behind the others. The buffer moves when it grows. */
static int keep_bytes(struct store *store, const void *data, size_t bytes)
{
    if (store->byte_count + bytes > store->byte_room) {
        size_t room = (store->byte_count + bytes) * 2 + 4096;
        char *grown = realloc(store->bytes, room);
        if (grown == NULL)
            return -ENOMEM;
        store->bytes = grown;
        store->byte_room = room;
    }
    if (bytes > 0)
        memcpy(store->bytes + store->byte_count, data, bytes);
    store->byte_count += bytes;
    return 0;
}

static int keep_write(struct store *store, enum store_table table,
                      const void *key, size_t key_bytes, const void *value,
                      size_t value_bytes)
{
    if (!store->keep_writes)
        return 0;
    if (store->write_count == store->write_room) {
        size_t room = store->write_room * 2 + 64;
        struct store_write *grown =
            realloc(store->writes, room * sizeof *grown);
        if (grown == NULL)
            return -ENOMEM;
        store->writes = grown;
        store->write_room = room;
    }
    int err = keep_bytes(store, key, key_bytes);
    if (err == 0)
        err = keep_bytes(store, value, value_bytes);
    if (err != 0)
        return err;
    store->writes[store->write_count++] = (struct store_write){
        .table = table,
        .key = {NULL, key_bytes},
        .value = {value, value_bytes}, /* for now: NULL or not */
    };
    return 0;
}

/* Keys and values lie one behind the other, in order; the buffer stays where it
 * is from here on. */
static void fix_pointers(struct store *store)
{
    const char *at = store->bytes;

    for (size_t i = 0; i < store->write_count; i++) {
        struct store_write *w = &store->writes[i];
        w->key.ptr = at;
        at += w->key.len;
        if (w->value.ptr == NULL)
            continue;
        w->value.ptr = at;
        at += w->value.len;
    }
}

int store_begin(struct store *store)
{
    assert(store->txn == NULL); /* LMDB would wait for itself for ever */
    store->write_count = 0;
    store->byte_count = 0;
    store->wrote = false;
    return errno_of(mdb_txn_begin(store->env, NULL, 0, &store->txn));
}

int store_put(struct store *store, enum store_table table, const void *key,
              size_t key_bytes, const void *value, size_t value_bytes)
{
    MDB_val k = val(key, key_bytes);
    MDB_val v = val(value, value_bytes);

    if (key_bytes == 0 || key_bytes > STORE_KEY_MAX)
        return -EINVAL;
    int err = errno_of(mdb_put(store->txn, store->tables[table], &k, &v, 0));
    if (err != 0)
        return err;
    store->wrote = true;
    /* An empty value is still a put: its pointer must not be NULL. */
    return keep_write(store, table, key, key_bytes, value != NULL ? value : "",
                      value_bytes);
}

int store_delete(struct store *store, enum store_table table, const void *key,
                 size_t key_bytes)
{
    MDB_val k = val(key, key_bytes);

    int err = errno_of(mdb_del(store->txn, store->tables[table], &k, NULL));
    if (err == -ENOENT)
        return 0;
    if (err != 0)
        return err;
    store->wrote = true;
    return keep_write(store, table, key, key_bytes, NULL, 0);
}

int store_get(struct store *store, enum store_table table, const void *key,
              size_t key_bytes, struct store_bytes *ret_value)
{
    MDB_val k = val(key, key_bytes), v;

    int err = errno_of(mdb_get(store->txn, store->tables[table], &k, &v));
    if (err == 0)
        *ret_value = (struct store_bytes){v.mv_data, v.mv_size};
    return err;
}

int store_commit(struct store *store)
{
    uint64_t turn = store->turn + 1;

    if (!store->wrote) {
        store_abort(store);
        return 0;
    }
    MDB_val key = val("turn", 4), value = {sizeof turn, &turn};
    int err = errno_of(
        mdb_put(store->txn, store->tables[STORE_META], &key, &value, 0));
    if (err != 0) {
        store_abort(store);
        return err;
    }
    err = errno_of(mdb_txn_commit(store->txn));
    store->txn = NULL; /* freed by LMDB whatever it answered */
    if (err != 0) {
        store->write_count = 0;
        return err;
    }
    store->turn = turn;
    fix_pointers(store);
    return 0;
}

void store_abort(struct store *store)
{
    if (store->txn == NULL)
        return;
    mdb_txn_abort(store->txn);
    store->txn = NULL;
    store->write_count = 0;
    store->byte_count = 0;
}

uint64_t store_turn(const struct store *store)
{
    return store->turn;
}

const struct store_write *store_writes(const struct store *store,
                                       size_t *ret_count)
{
    *ret_count = store->write_count;
    return store->writes;
}

/* Pages that were used once and are free again, from LMDB's own list (database
 * 0 holds arrays that begin with their length). 0 when it cannot be read. */
static size_t free_pages(const struct store *store)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val key, value;
    size_t pages = 0;

    if (mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn) != 0)
        return 0;
    if (mdb_cursor_open(txn, 0, &cursor) == 0) {
        while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
            size_t count;
            memcpy(&count, value.mv_data, sizeof count);
            pages += count;
        }
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    return pages;
}

/* A commit that finds the disk full fails, and the process with it; so what is
 * accepted must leave room for its own end. */
static bool disk_is_short(const struct store *store)
{
    struct statvfs fs;

    return fstatvfs(store->lock_fd, &fs) == 0 &&
           (uint64_t)fs.f_bavail * fs.f_frsize < STORE_DISK_RESERVE;
}

unsigned store_used_permille(const struct store *store)
{
    MDB_envinfo info;
    MDB_stat stat;

    (void)mdb_env_info(store->env, &info);
    (void)mdb_env_stat(store->env, &stat);
    size_t total = info.me_mapsize / stat.ms_psize;
    size_t used = info.me_last_pgno + 1;
    if (used * 1000 / total > COUNT_FREE_ABOVE_PERMILLE)
        used -= free_pages(store);
    return disk_is_short(store) ? 1000 : (unsigned)(used * 1000 / total);
}

/* ---- reading --------------------------------------------------------- */

int store_reader_open(struct store *store, struct store_reader **ret_reader)
{
    struct store_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL)
        return -ENOMEM;
    reader->store = store;
    int err =
        errno_of(mdb_txn_begin(store->env, NULL, MDB_RDONLY, &reader->txn));
    if (err != 0) {
        free(reader);
        return err;
    }
    mdb_txn_reset(reader->txn);
    *ret_reader = reader;
    return 0;
}

void store_reader_close(struct store_reader **reader_p)
{
    if (*reader_p == NULL)
        return;
    mdb_txn_abort((*reader_p)->txn);
    free(*reader_p);
    *reader_p = NULL;
}

int store_read_begin(struct store_reader *reader)
{
    int err = errno_of(mdb_txn_renew(reader->txn));
    reader->open = err == 0;
    return err;
}

void store_read_end(struct store_reader *reader)
{
    if (reader->open)
        mdb_txn_reset(reader->txn);
    reader->open = false;
}

int store_read(struct store_reader *reader, enum store_table table,
               const void *key, size_t key_bytes, struct store_bytes *ret_value)
{
    MDB_val k = val(key, key_bytes), v;

    int err =
        errno_of(mdb_get(reader->txn, reader->store->tables[table], &k, &v));
    if (err == 0)
        *ret_value = (struct store_bytes){v.mv_data, v.mv_size};
    return err;
}

/* Puts the cursor on the first key of the walk. */
static int walk_start(MDB_cursor *cursor, const void *from, size_t from_bytes,
                      bool backward, MDB_val *key, MDB_val *value)
{
    if (from == NULL)
        return mdb_cursor_get(cursor, key, value,
                              backward ? MDB_LAST : MDB_FIRST);
    *key = val(from, from_bytes);
    int rc = mdb_cursor_get(cursor, key, value, MDB_SET_RANGE);
    if (!backward)
        return rc;
    if (rc == MDB_NOTFOUND)
        return mdb_cursor_get(cursor, key, value, MDB_LAST);
    if (rc == 0 && (key->mv_size != from_bytes ||
                    memcmp(key->mv_data, from, from_bytes) != 0))
        return mdb_cursor_get(cursor, key, value, MDB_PREV);
    return rc;
}

static int walk(MDB_txn *txn, MDB_dbi dbi, const void *from, size_t from_bytes,
                bool backward, store_each *each, void *context)
{
    MDB_cursor *cursor;
    MDB_val key, value;

    int rc = mdb_cursor_open(txn, dbi, &cursor);
    if (rc != 0)
        return errno_of(rc);
    rc = walk_start(cursor, from, from_bytes, backward, &key, &value);
    while (rc == 0 &&
           each(context, (struct store_bytes){key.mv_data, key.mv_size},
                (struct store_bytes){value.mv_data, value.mv_size}))
        rc = mdb_cursor_get(cursor, &key, &value,
                            backward ? MDB_PREV : MDB_NEXT);
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : errno_of(rc);
}

int store_walk(struct store_reader *reader, enum store_table table,
               const void *from, size_t from_bytes, bool backward,
               store_each *each, void *context)
{
    return walk(reader->txn, reader->store->tables[table], from, from_bytes,
                backward, each, context);
}

int store_scan(struct store *store, enum store_table table, const void *from,
               size_t from_bytes, store_each *each, void *context)
{
    return walk(store->txn, store->tables[table], from, from_bytes, false, each,
                context);
}
