/*
 * test_store.c - the store: what a turn leaves and what it does not, walks,
 * write sets, readers, and everything that may be wrong with a directory.
 */
#include "pools/store.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char dir[64];
    struct store_options options;
    struct store *store;
};

static int open_store(struct fixture *f, char why[STORE_WHY_MAX])
{
    return store_open(f->dir, &f->options, &f->store, why);
}

static void reopen(struct fixture *f)
{
    char why[STORE_WHY_MAX];

    store_close(&f->store);
    if (open_store(f, why) != 0)
        fail_msg("%s", why);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    (void)snprintf(f->dir, sizeof f->dir, "%s/test_store.XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(f->dir));
    f->options = (struct store_options){.map_bytes = (size_t)16 << 20,
                                        .keep_writes = true,
                                        .unsafe_no_sync = true};
    reopen(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char command[128];

    store_close(&f->store);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", f->dir);
    int rc = system(command); /* NOLINT(cert-env33-c): a path of our own */
    free(f);
    return rc;
}

/* Starts with an empty directory and other options. */
static void start_anew(struct fixture *f, size_t map_bytes)
{
    char path[96];

    store_close(&f->store);
    (void)snprintf(path, sizeof path, "%s/data.mdb", f->dir);
    assert_int_equal(remove(path), 0);
    f->options.map_bytes = map_bytes;
    reopen(f);
}

static void begin(struct fixture *f)
{
    assert_int_equal(store_begin(f->store), 0);
}

static void commit(struct fixture *f)
{
    assert_int_equal(store_commit(f->store), 0);
}

static void put(struct fixture *f, const char *key, const char *value)
{
    assert_int_equal(
        store_put(f->store, STORE_RUN, key, strlen(key), value, strlen(value)),
        0);
}

static void put_turn(struct fixture *f, const char *key, const char *value)
{
    begin(f);
    put(f, key, value);
    commit(f);
}

/* The value in a turn of its own; NULL: not there. To be freed. */
static char *get(struct fixture *f, const char *key)
{
    struct store_bytes value;
    char *copy = NULL;

    begin(f);
    int err = store_get(f->store, STORE_RUN, key, strlen(key), &value);
    if (err == 0) {
        copy = strndup(value.ptr, value.len);
        assert_non_null(copy);
    } else {
        assert_int_equal(err, -ENOENT);
    }
    store_abort(f->store);
    return copy;
}

static void expect(struct fixture *f, const char *key, const char *wanted)
{
    char *is = get(f, key);

    if (wanted == NULL) {
        assert_null(is);
    } else {
        assert_non_null(is);
        assert_string_equal(is, wanted);
    }
    free(is);
}

/* ---- turns ----------------------------------------------------------- */

static void turns_that_wrote_are_numbered_without_gaps(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(store_turn(f->store), 0);
    put_turn(f, "a", "1");
    assert_int_equal(store_turn(f->store), 1);
    begin(f);
    commit(f); /* idle */
    assert_int_equal(store_turn(f->store), 1);
    begin(f);
    put(f, "b", "1");
    store_abort(f->store);
    assert_int_equal(store_turn(f->store), 1);
    put_turn(f, "a", "1"); /* the same value is a write, too */
    assert_int_equal(store_turn(f->store), 2);
    reopen(f);
    assert_int_equal(store_turn(f->store), 2);
    put_turn(f, "a", "2");
    assert_int_equal(store_turn(f->store), 3);
}

static void an_aborted_turn_leaves_nothing(void **state)
{
    struct fixture *f = *state;

    put_turn(f, "a", "1");
    begin(f);
    put(f, "a", "2");
    put(f, "b", "2");
    store_abort(f->store);
    store_abort(f->store); /* again: fine */
    expect(f, "a", "1");
    expect(f, "b", NULL);
}

static void closing_within_a_turn_ends_it_without_effect(void **state)
{
    struct fixture *f = *state;

    begin(f);
    put(f, "a", "2");
    reopen(f);
    expect(f, "a", NULL);
}

static long blocks_written(struct fixture *f)
{
    char path[96];
    struct stat st;

    (void)snprintf(path, sizeof path, "%s/data.mdb", f->dir);
    assert_int_equal(stat(path, &st), 0);
    return (long)st.st_mtim.tv_sec * 1000000000L + st.st_mtim.tv_nsec;
}

static void an_idle_commit_costs_nothing(void **state)
{
    struct fixture *f = *state;

    put_turn(f, "a", "1");
    long before = blocks_written(f);
    for (int i = 0; i < 1000; i++) {
        struct store_bytes value;
        begin(f);
        assert_int_equal(store_get(f->store, STORE_RUN, "a", 1, &value), 0);
        assert_int_equal(store_delete(f->store, STORE_RUN, "none", 4), 0);
        commit(f);
    }
    reopen(f);
    assert_int_equal(blocks_written(f), before);
    assert_int_equal(store_turn(f->store), 1);
}

static void a_turn_sees_its_own_writes(void **state)
{
    struct fixture *f = *state;
    struct store_bytes value;

    begin(f);
    put(f, "a", "1");
    assert_int_equal(store_get(f->store, STORE_RUN, "a", 1, &value), 0);
    assert_memory_equal(value.ptr, "1", 1);
    assert_int_equal(store_delete(f->store, STORE_RUN, "a", 1), 0);
    assert_int_equal(store_get(f->store, STORE_RUN, "a", 1, &value), -ENOENT);
    commit(f);
}

static void tables_are_apart(void **state)
{
    struct fixture *f = *state;
    struct store_bytes value;

    begin(f);
    for (int t = STORE_RUN; t < STORE_TABLES; t++) {
        uint8_t byte = (uint8_t)t;
        assert_int_equal(
            store_put(f->store, (enum store_table)t, "k", 1, &byte, 1), 0);
    }
    commit(f);
    reopen(f);
    begin(f);
    for (int t = STORE_RUN; t < STORE_TABLES; t++) {
        assert_int_equal(
            store_get(f->store, (enum store_table)t, "k", 1, &value), 0);
        assert_int_equal(*(const uint8_t *)value.ptr, t);
    }
    store_abort(f->store);
}

static void keys_have_a_length(void **state)
{
    struct fixture *f = *state;
    char key[STORE_KEY_MAX + 1] = {0};

    begin(f);
    assert_int_equal(store_put(f->store, STORE_RUN, key, STORE_KEY_MAX, "v", 1),
                     0);
    commit(f);
    begin(f);
    assert_int_equal(
        store_put(f->store, STORE_RUN, key, STORE_KEY_MAX + 1, "v", 1),
        -EINVAL);
    assert_int_equal(store_put(f->store, STORE_RUN, key, 0, "v", 1), -EINVAL);
    store_abort(f->store);
}

/* ---- write sets ------------------------------------------------------ */

static void a_write_set_is_what_was_written_in_order(void **state)
{
    enum { WRITES = 3000 };
    struct fixture *f = *state;
    char key[16];
    char value[16];
    size_t count;

    begin(f);
    for (int i = 0; i < WRITES; i++) { /* grows, so buffers move */
        (void)snprintf(key, sizeof key, "key%d", i % 2000);
        (void)snprintf(value, sizeof value, "%.*s", i % 10, "0123456789");
        if (i % 3 == 2 && i < 2000) { /* deletes the one before */
            (void)snprintf(key, sizeof key, "key%d", i - 1);
            assert_int_equal(
                store_delete(f->store, STORE_RUN, key, strlen(key)), 0);
        } else {
            put(f, key, value);
        }
    }
    commit(f);

    const struct store_write *writes = store_writes(f->store, &count);
    assert_int_equal(count, WRITES);
    for (int i = 0; i < WRITES; i++) {
        bool deletes = i % 3 == 2 && i < 2000;
        (void)snprintf(key, sizeof key, "key%d", deletes ? i - 1 : i % 2000);
        (void)snprintf(value, sizeof value, "%.*s", i % 10, "0123456789");
        assert_int_equal(writes[i].table, STORE_RUN);
        assert_int_equal(writes[i].key.len, strlen(key));
        assert_memory_equal(writes[i].key.ptr, key, strlen(key));
        assert_true((writes[i].value.ptr == NULL) == deletes);
        if (deletes)
            continue;
        assert_int_equal(writes[i].value.len, strlen(value));
        assert_memory_equal(writes[i].value.ptr, value, strlen(value));
    }
}

static void an_empty_value_is_no_delete(void **state)
{
    struct fixture *f = *state;
    size_t count;

    begin(f);
    assert_int_equal(store_put(f->store, STORE_LIVE, "a", 1, NULL, 0), 0);
    assert_int_equal(store_put(f->store, STORE_LIVE, "b", 1, "", 0), 0);
    assert_int_equal(store_delete(f->store, STORE_LIVE, "a", 1), 0);
    assert_int_equal(store_delete(f->store, STORE_LIVE, "z", 1), 0); /* not */
    commit(f);
    const struct store_write *writes = store_writes(f->store, &count);
    assert_int_equal(count, 3);
    assert_non_null(writes[0].value.ptr);
    assert_int_equal(writes[0].value.len, 0);
    assert_non_null(writes[1].value.ptr);
    assert_null(writes[2].value.ptr);
    assert_int_equal(writes[2].table, STORE_LIVE);
}

static void nothing_is_kept_of_other_turns(void **state)
{
    struct fixture *f = *state;
    size_t count;

    put_turn(f, "a", "1");
    begin(f);
    put(f, "b", "1");
    store_abort(f->store);
    (void)store_writes(f->store, &count);
    assert_int_equal(count, 0);
    begin(f);
    commit(f);
    (void)store_writes(f->store, &count);
    assert_int_equal(count, 0);

    f->options.keep_writes = false;
    reopen(f);
    put_turn(f, "a", "2");
    (void)store_writes(f->store, &count);
    assert_int_equal(count, 0);
}

/* ---- walks ----------------------------------------------------------- */

struct seen {
    char keys[64];
    size_t most;
};

static bool see(void *context, struct store_bytes key, struct store_bytes value)
{
    struct seen *seen = context;
    size_t used = strlen(seen->keys);

    (void)value;
    (void)snprintf(seen->keys + used, sizeof seen->keys - used, "%.*s ",
                   (int)key.len, (const char *)key.ptr);
    return --seen->most > 0;
}

static void expect_walk(struct fixture *f, const char *from, bool backward,
                        size_t most, const char *wanted)
{
    struct seen seen = {.most = most};
    struct store_reader *reader;
    size_t from_bytes = from != NULL ? strlen(from) : 0;

    assert_int_equal(store_reader_open(f->store, &reader), 0);
    assert_int_equal(store_read_begin(reader), 0);
    assert_int_equal(
        store_walk(reader, STORE_RUN, from, from_bytes, backward, see, &seen),
        0);
    assert_string_equal(seen.keys, wanted);
    store_read_end(reader);
    store_reader_close(&reader);

    if (backward)
        return;
    seen = (struct seen){.most = most};
    begin(f);
    assert_int_equal(
        store_scan(f->store, STORE_RUN, from, from_bytes, see, &seen), 0);
    assert_string_equal(seen.keys, wanted);
    store_abort(f->store);
}

static void walks_begin_where_they_are_told(void **state)
{
    struct fixture *f = *state;

    expect_walk(f, NULL, false, 99, "");
    expect_walk(f, NULL, true, 99, "");
    expect_walk(f, "b", false, 99, "");
    expect_walk(f, "b", true, 99, "");
    begin(f);
    put(f, "d", "");
    put(f, "b", "");
    put(f, "f", "");
    put(f, "bb", "");
    commit(f);
    expect_walk(f, NULL, false, 99, "b bb d f ");
    expect_walk(f, NULL, true, 99, "f d bb b ");
    expect_walk(f, "b", false, 99, "b bb d f ");
    expect_walk(f, "b", true, 99, "b ");
    expect_walk(f, "c", false, 99, "d f ");
    expect_walk(f, "c", true, 99, "bb b ");
    expect_walk(f, "a", false, 99, "b bb d f ");
    expect_walk(f, "a", true, 99, "");
    expect_walk(f, "f", false, 99, "f ");
    expect_walk(f, "f", true, 99, "f d bb b ");
    expect_walk(f, "g", false, 99, "");
    expect_walk(f, "g", true, 99, "f d bb b ");
    expect_walk(f, NULL, false, 1, "b ");
    expect_walk(f, NULL, true, 2, "f d ");
}

static void a_scan_sees_the_turns_own_writes(void **state)
{
    struct fixture *f = *state;
    struct seen seen = {.most = 99};

    put_turn(f, "a", "");
    begin(f);
    put(f, "b", "");
    assert_int_equal(store_delete(f->store, STORE_RUN, "a", 1), 0);
    assert_int_equal(store_scan(f->store, STORE_RUN, NULL, 0, see, &seen), 0);
    assert_string_equal(seen.keys, "b ");
    store_abort(f->store);
}

static void a_reader_sees_one_moment(void **state)
{
    struct fixture *f = *state;
    struct store_reader *reader;
    struct store_bytes value;

    put_turn(f, "a", "1");
    assert_int_equal(store_reader_open(f->store, &reader), 0);
    assert_int_equal(store_read_begin(reader), 0);
    begin(f);
    put(f, "a", "2");
    put(f, "b", "2");
    assert_int_equal(store_read(reader, STORE_RUN, "b", 1, &value), -ENOENT);
    commit(f);
    assert_int_equal(store_read(reader, STORE_RUN, "a", 1, &value), 0);
    assert_memory_equal(value.ptr, "1", 1);
    assert_int_equal(store_read(reader, STORE_RUN, "b", 1, &value), -ENOENT);
    store_read_end(reader);
    store_read_end(reader); /* again: fine */

    assert_int_equal(store_read_begin(reader), 0);
    assert_int_equal(store_read(reader, STORE_RUN, "a", 1, &value), 0);
    assert_memory_equal(value.ptr, "2", 1);
    store_read_end(reader);
    store_reader_close(&reader);
    store_reader_close(&reader); /* NULL: fine */
}

static void readers_have_a_limit(void **state)
{
    struct fixture *f = *state;
    struct store_reader *readers[STORE_READERS_MAX + 1];
    int err = 0;
    int count = 0;

    while (count <= STORE_READERS_MAX && err == 0) {
        err = store_reader_open(f->store, &readers[count]);
        count += err == 0;
    }
    assert_int_equal(err, -EAGAIN);
    assert_true(count >= 100);
    while (count > 0)
        store_reader_close(&readers[--count]);
    put_turn(f, "a", "1");
}

/* ---- directories that are not as they should be ---------------------- */

static void expect_refusal(struct fixture *f, int wanted, const char *text)
{
    char why[STORE_WHY_MAX] = "";

    assert_null(f->store);
    assert_int_equal(open_store(f, why), wanted);
    if (strstr(why, text) == NULL)
        fail_msg("\"%s\" lacks \"%s\"", why, text);
    assert_null(f->store);
}

static void a_second_opener_is_refused(void **state)
{
    struct fixture *f = *state;
    struct store *second = NULL;
    char why[STORE_WHY_MAX];

    assert_int_equal(store_open(f->dir, &f->options, &second, why),
                     -EWOULDBLOCK);
    assert_non_null(strstr(why, "another dispatcher is using"));
    assert_null(second);
    put_turn(f, "a", "1");
    reopen(f);
}

static void plant_meta(struct fixture *f, const char *key, const void *value,
                       size_t bytes)
{
    begin(f);
    assert_int_equal(
        store_put(f->store, STORE_META, key, strlen(key), value, bytes), 0);
    commit(f);
    store_close(&f->store);
}

static void a_newer_schema_is_refused(void **state)
{
    struct fixture *f = *state;
    uint32_t schema = STORE_SCHEMA + 1;

    plant_meta(f, "schema", &schema, sizeof schema);
    expect_refusal(f, -EPROTO, "run the newer program");
    expect_refusal(f, -EPROTO, "schema 2"); /* and was not changed */
}

static void a_damaged_schema_is_refused(void **state)
{
    struct fixture *f = *state;

    plant_meta(f, "schema", "x", 1);
    expect_refusal(f, -EPROTO, "cannot open the tables");
}

static void write_file(struct fixture *f, const void *bytes, size_t count)
{
    char path[96];

    (void)snprintf(path, sizeof path, "%s/data.mdb", f->dir);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, count, file), count);
    assert_int_equal(fclose(file), 0);
}

static void a_foreign_file_is_refused(void **state)
{
    static char bytes[8192] = "this is no store";
    struct fixture *f = *state;

    store_close(&f->store);
    write_file(f, bytes, sizeof bytes);
    expect_refusal(f, -EPROTO, "is not a store of this program");
    write_file(f, bytes, 16);
    expect_refusal(f, -EPROTO, "is not a store of this program");
}

static void a_store_of_another_program_is_refused_and_left_alone(void **state)
{
    struct fixture *f = *state;
    char bytes[] = "value";
    MDB_val key = {3, bytes};
    MDB_val value = {5, bytes};
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    MDB_stat stat;

    store_close(&f->store);
    write_file(f, "", 0);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(mdb_env_create(&env), 0);
        assert_int_equal(mdb_env_set_maxdbs(env, 4), 0);
        assert_int_equal(mdb_env_open(env, f->dir, 0, 0600), 0);
        assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
        assert_int_equal(mdb_dbi_open(txn, "theirs", MDB_CREATE, &dbi), 0);
        assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
        assert_int_equal(mdb_dbi_open(txn, NULL, 0, &dbi), 0);
        assert_int_equal(mdb_stat(txn, dbi, &stat), 0);
        assert_int_equal(stat.ms_entries, 1);
        assert_int_equal(mdb_txn_commit(txn), 0);
        mdb_env_close(env);
        if (round == 0)
            expect_refusal(f, -EPROTO, "cannot open the tables");
    }
}

static void a_file_in_place_of_the_directory_is_refused(void **state)
{
    struct fixture *f = *state;
    struct store *store = NULL;
    char path[96];
    char why[STORE_WHY_MAX];

    (void)snprintf(path, sizeof path, "%s/file", f->dir);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(store_open(path, &f->options, &store, why), -ENOTDIR);
    assert_non_null(strstr(why, "is not a directory"));
}

static void a_directory_that_cannot_be_made_is_named(void **state)
{
    struct fixture *f = *state;
    struct store *store = NULL;
    char path[96];
    char why[STORE_WHY_MAX];

    (void)snprintf(path, sizeof path, "%s/no/such", f->dir);
    assert_int_equal(store_open(path, &f->options, &store, why), -ENOENT);
    assert_non_null(strstr(why, path));
}

static void a_missing_directory_is_made_for_its_owner_only(void **state)
{
    struct fixture *f = *state;
    struct store *store = NULL;
    struct stat st;
    char path[96];
    char why[STORE_WHY_MAX];

    (void)snprintf(path, sizeof path, "%s/new", f->dir);
    assert_int_equal(store_open(path, &f->options, &store, why), 0);
    store_close(&store);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
}

static void an_unwritable_directory_is_refused(void **state)
{
    struct fixture *f = *state;
    struct store *store = NULL;
    char path[96];
    char why[STORE_WHY_MAX];

    (void)snprintf(path, sizeof path, "%s/new", f->dir);
    assert_int_equal(mkdir(path, 0500), 0);
    /* Root may write anywhere, nobody may not. */
    bool root = geteuid() == 0;
    assert_int_equal(chmod(f->dir, 0711), 0);
    assert_int_equal(chmod(path, 0511), 0);
    if (root && seteuid(65534) != 0)
        skip();
    int err = store_open(path, &f->options, &store, why);
    if (root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(err, -EACCES);
    assert_non_null(strstr(why, "check its owner and mode"));
}

/* ---- a full map ------------------------------------------------------ */

/* Commits values of so many bytes until the map is this full or refuses. */
static int fill(struct fixture *f, unsigned permille, size_t bytes,
                uint32_t *ret_last)
{
    char *value = calloc(1, bytes);
    int err = 0;

    assert_non_null(value);
    while (err == 0 && store_used_permille(f->store) < permille) {
        begin(f);
        ++*ret_last;
        err = store_put(f->store, STORE_LOG, ret_last, sizeof *ret_last, value,
                        bytes);
        if (err == 0)
            err = store_commit(f->store);
        else
            store_abort(f->store);
    }
    free(value);
    return err;
}

static void a_full_map_is_said_and_what_was_committed_stays(void **state)
{
    struct fixture *f = *state;
    uint32_t last = 0;

    start_anew(f, (size_t)1 << 20);
    put_turn(f, "a", "1");
    assert_int_equal(fill(f, 1001, 1000, &last), -ENOSPC);
    assert_true(store_used_permille(f->store) > STORE_FULL_PERMILLE);
    uint64_t turn = store_turn(f->store);
    expect(f, "a", "1");
    reopen(f);
    expect(f, "a", "1");
    assert_int_equal(store_turn(f->store), turn);

    /* It takes more when it may grow. */
    f->options.map_bytes = (size_t)2 << 20;
    reopen(f);
    put_turn(f, "a", "2");
    assert_int_equal(store_turn(f->store), turn + 1);
}

static void a_map_smaller_than_its_file_is_no_harm(void **state)
{
    struct fixture *f = *state;
    uint32_t last = 0;

    assert_int_equal(fill(f, 300, 1000, &last), 0);
    f->options.map_bytes = (size_t)1 << 20;
    reopen(f);
    assert_true(store_used_permille(f->store) > 900);
    f->options.map_bytes = (size_t)16 << 20;
    reopen(f);
    put_turn(f, "a", "1");
}

static void room_is_left_to_complete_and_deleting_makes_more(void **state)
{
    struct fixture *f = *state;
    uint32_t last = 0;

    start_anew(f, (size_t)4 << 20);
    assert_int_equal(fill(f, STORE_FULL_PERMILLE, 1000, &last), 0);
    unsigned full = store_used_permille(f->store);
    assert_true(full >= STORE_FULL_PERMILLE);
    for (int i = 0; i < 200; i++)
        put_turn(f, "state", i % 2 == 0 ? "RUNNING" : "COMPLETED");
    for (uint32_t i = 1; i <= last / 2; i++) {
        begin(f);
        assert_int_equal(store_delete(f->store, STORE_LOG, &i, sizeof i), 0);
        commit(f);
    }
    assert_true(store_used_permille(f->store) + 200 < full);
    assert_int_equal(fill(f, STORE_FULL_PERMILLE, 1000, &last), 0);
}

#define claim(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        claim(turns_that_wrote_are_numbered_without_gaps),
        claim(an_aborted_turn_leaves_nothing),
        claim(closing_within_a_turn_ends_it_without_effect),
        claim(an_idle_commit_costs_nothing),
        claim(a_turn_sees_its_own_writes),
        claim(tables_are_apart),
        claim(keys_have_a_length),
        claim(a_write_set_is_what_was_written_in_order),
        claim(an_empty_value_is_no_delete),
        claim(nothing_is_kept_of_other_turns),
        claim(walks_begin_where_they_are_told),
        claim(a_scan_sees_the_turns_own_writes),
        claim(a_reader_sees_one_moment),
        claim(readers_have_a_limit),
        claim(a_second_opener_is_refused),
        claim(a_newer_schema_is_refused),
        claim(a_damaged_schema_is_refused),
        claim(a_foreign_file_is_refused),
        claim(a_store_of_another_program_is_refused_and_left_alone),
        claim(a_file_in_place_of_the_directory_is_refused),
        claim(a_directory_that_cannot_be_made_is_named),
        claim(a_missing_directory_is_made_for_its_owner_only),
        claim(an_unwritable_directory_is_refused),
        claim(a_full_map_is_said_and_what_was_committed_stays),
        claim(a_map_smaller_than_its_file_is_no_harm),
        claim(room_is_left_to_complete_and_deleting_makes_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
