/*
 * Limits of memory and disk: SQLite's temporary files in their directory and
 * within their quota, its heap, the process's data. Limits are set once a
 * process, so each claim is checked in a child, which says by its exit code
 * which line it did not like.
 */
#include "agents/spill.h"

#include <errno.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

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

#define MIB (1024 * 1024ULL)
#define SORT_ROWS "1000000"
/* Not in order, and too many for the cache. */
#define SORT                                                                   \
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "          \
    "LIMIT " SORT_ROWS ") SELECT i, i * 7919 % 1000003 AS k FROM n ORDER BY k"

static char directory[64];

#define CHECK(condition)                                                       \
    do {                                                                       \
        if (!(condition)) {                                                    \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition);            \
            _exit(1);                                                          \
        }                                                                      \
    } while (0)

static void in_child(void (*claim)(void))
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        claim();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* The transform database, as spill.h says that it is to be opened. */
static sqlite3 *open_limited(uint64_t spill_max, uint64_t memory)
{
    const char *vfs = NULL;
    sqlite3 *db;

    CHECK(spill_limit(directory, spill_max, memory, &vfs) == 0);
    CHECK(sqlite3_open_v2("", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                          vfs) == SQLITE_OK);
    CHECK(sqlite3_exec(db,
                       "PRAGMA temp_store=FILE; PRAGMA cache_size=-1000; "
                       "PRAGMA temp.cache_size=-1000; PRAGMA journal_mode=OFF; "
                       "PRAGMA synchronous=OFF",
                       NULL, NULL, NULL) == SQLITE_OK);
    return db;
}

static int run(sqlite3 *db, const char *sql, uint64_t *ret_rows)
{
    sqlite3_stmt *stmt;
    uint64_t rows = 0;
    int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);

    if (rc != SQLITE_OK)
        return rc;
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
        rows++;
    sqlite3_finalize(stmt);
    if (ret_rows)
        *ret_rows = rows;
    return rc;
}

static unsigned names_in_directory(void)
{
    DIR *dir = opendir(directory);
    unsigned count = 0;

    CHECK(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count - 2; /* . and .. */
}

static int set_up(void **state)
{
    const char *tmp = getenv("TMPDIR");

    (void)state;
    snprintf(directory, sizeof directory, "%s/test_spill_XXXXXX",
             tmp && strlen(tmp) < 40 ? tmp : "/tmp");
    return mkdtemp(directory) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return rmdir(directory); /* fails when something was left in it */
}

static void sort_beyond_quota(void)
{
    sqlite3 *db = open_limited(4 * MIB, 64 * MIB);
    uint64_t rows;

    CHECK(!spill_over_quota());
    CHECK(run(db, SORT, &rows) == SQLITE_FULL);
    CHECK(spill_over_quota());
    CHECK(rows == 0);
    CHECK(spill_peak_bytes() <= 4 * MIB);
    CHECK(spill_peak_bytes() > 3 * MIB);
    CHECK(spill_bytes() == 0); /* given back with the statement */
    /* What needs less still works. */
    CHECK(run(db, "SELECT 1 ORDER BY 1", &rows) == SQLITE_DONE && rows == 1);
    CHECK(sqlite3_close(db) == SQLITE_OK);
}

static void a_sort_beyond_the_quota_ends_and_says_so(void **state)
{
    (void)state;
    in_child(sort_beyond_quota);
}

static void sort_within_quota(void)
{
    sqlite3 *db = open_limited(256 * MIB, 64 * MIB);
    sqlite3_stmt *stmt;
    int last = -1;

    CHECK(sqlite3_prepare_v2(db, SORT, -1, &stmt, NULL) == SQLITE_OK);
    for (int i = 0; sqlite3_step(stmt) == SQLITE_ROW; i++) {
        CHECK(sqlite3_column_int(stmt, 1) > last);
        last = sqlite3_column_int(stmt, 1);
        if (i == 10) {
            CHECK(spill_bytes() > 4 * MIB);
            CHECK(names_in_directory() == 0); /* unlinked already */
        }
    }
    CHECK(last > 1000000);
    CHECK(sqlite3_finalize(stmt) == SQLITE_OK);
    CHECK(!spill_over_quota());
    CHECK(spill_bytes() == 0);
    CHECK(spill_peak_bytes() < 256 * MIB);
    CHECK(sqlite3_close(db) == SQLITE_OK);
}

static void a_sort_within_the_quota_works_and_leaves_nothing(void **state)
{
    (void)state;
    in_child(sort_within_quota);
}

static void tables_beyond_quota(void)
{
    sqlite3 *db = open_limited(4 * MIB, 64 * MIB);
    uint64_t before;

    CHECK(run(db, "CREATE TEMP TABLE t(a, b)", NULL) == SQLITE_DONE);
    CHECK(run(db,
              "INSERT INTO t SELECT i, printf('%100d', i) FROM (WITH RECURSIVE "
              "n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 20000) "
              "SELECT i FROM n)",
              NULL) == SQLITE_DONE);
    before = spill_bytes();
    CHECK(before > MIB);
    CHECK(run(db, "CREATE TABLE big AS SELECT x.a, x.b FROM t x, t y", NULL) ==
          SQLITE_FULL);
    CHECK(spill_over_quota());
    CHECK(spill_peak_bytes() <= 4 * MIB);
    CHECK(sqlite3_close(db) == SQLITE_OK);
    CHECK(spill_bytes() == 0);
}

static void tables_of_the_transform_database_count(void **state)
{
    (void)state;
    in_child(tables_beyond_quota);
}

static void named_file(void)
{
    char name[100];
    sqlite3 *limited = open_limited(MIB, 64 * MIB), *db;

    snprintf(name, sizeof name, "%s/named.db", directory);
    CHECK(sqlite3_open(name, &db) == SQLITE_OK);
    CHECK(run(db,
              "CREATE TABLE t AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL "
              "SELECT i + 1 FROM n LIMIT 30000) SELECT printf('%100d', i) AS x "
              "FROM n",
              NULL) == SQLITE_DONE);
    CHECK(spill_bytes() == 0);
    CHECK(!spill_over_quota());
    /* Its sorts do. */
    CHECK(run(db, "PRAGMA cache_size=-1000", NULL) == SQLITE_DONE);
    CHECK(run(db, "SELECT x FROM t ORDER BY substr(x, 50) DESC", NULL) ==
          SQLITE_FULL);
    CHECK(spill_over_quota());
    CHECK(sqlite3_close(db) == SQLITE_OK);
    CHECK(unlink(name) == 0);
    CHECK(sqlite3_close(limited) == SQLITE_OK);
}

static void files_with_a_name_do_not_count_but_their_sorts_do(void **state)
{
    (void)state;
    in_child(named_file);
}

static void heap_limit(void)
{
    sqlite3 *db = open_limited(64 * MIB, 16 * MIB);
    uint64_t rows;

    CHECK(run(db,
              "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
              "LIMIT 100000) SELECT length(group_concat(printf('%1000d', i))) "
              "FROM n",
              NULL) == SQLITE_NOMEM);
    CHECK(run(db, "SELECT zeroblob(13 * 1024 * 1024) || ''", NULL) ==
          SQLITE_NOMEM);
    CHECK(run(db, "SELECT length(printf('%1000d', 1))", &rows) == SQLITE_DONE);
    CHECK(rows == 1);
    CHECK(sqlite3_memory_highwater(0) <= 12 * (sqlite3_int64)MIB);
    CHECK(sqlite3_close(db) == SQLITE_OK);
}

static void too_much_memory_is_an_error_and_no_crash(void **state)
{
    (void)state;
    in_child(heap_limit);
}

static void data_limit(void)
{
    sqlite3 *db = open_limited(64 * MIB, 32 * MIB);
    void *much = malloc(64 * MIB), *little = malloc(4 * MIB);

    CHECK(!much);
    CHECK(little);
    free(little);
    CHECK(sqlite3_close(db) == SQLITE_OK);
}

static void the_process_has_a_limit_too(void **state)
{
    (void)state;
    if (WITH_ASAN)
        skip();
    in_child(data_limit);
}

static void cached_pages(void)
{
    sqlite3 *db = open_limited(256 * MIB, 16 * MIB);

    /* A sorter takes as much as its cache may have: an eighth, says spill.h. */
    CHECK(run(db, "PRAGMA cache_size=-2000", NULL) == SQLITE_DONE);
    CHECK(run(db, SORT, NULL) == SQLITE_DONE);
    /* A cache of pages that is larger than the heap is written to disk. */
    CHECK(run(db, "PRAGMA cache_size=-100000", NULL) == SQLITE_DONE);
    CHECK(run(db,
              "CREATE TABLE t AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL "
              "SELECT i + 1 FROM n LIMIT 200000) SELECT printf('%100d', i) "
              "AS x FROM n",
              NULL) == SQLITE_DONE);
    CHECK(sqlite3_close(db) == SQLITE_OK);
}

static void caches_give_way_before_memory_runs_out(void **state)
{
    (void)state;
    in_child(cached_pages);
}

static void bad_directories(void)
{
    const char *vfs = "untouched";

    CHECK(spill_limit("/nowhere/at/all", MIB, MIB, &vfs) == -ENOENT);
    CHECK(spill_limit("/dev/null", MIB, MIB, &vfs) == -ENOTDIR);
    CHECK(strcmp(vfs, "untouched") == 0);
    CHECK(spill_limit(directory, MIB, MIB, &vfs) ==
          0); /* and then a good one */
}

static void a_directory_that_cannot_be_used_is_refused(void **state)
{
    (void)state;
    in_child(bad_directories);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sort_beyond_the_quota_ends_and_says_so),
        cmocka_unit_test(a_sort_within_the_quota_works_and_leaves_nothing),
        cmocka_unit_test(tables_of_the_transform_database_count),
        cmocka_unit_test(files_with_a_name_do_not_count_but_their_sorts_do),
        cmocka_unit_test(too_much_memory_is_an_error_and_no_crash),
        cmocka_unit_test(the_process_has_a_limit_too),
        cmocka_unit_test(caches_give_way_before_memory_runs_out),
        cmocka_unit_test(a_directory_that_cannot_be_used_is_refused),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
