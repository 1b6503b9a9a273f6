/*
 * lite_write.c - the transaction of a writer of a SQLite file, with its fence,
 * and the statement of a sql node in one; see lite.h and lite_inside.h.
 *
 * A file that a writer makes is removed again when nothing was committed. That
 * happens under the write lock; who waits for the lock meanwhile finds that its
 * file has moved, and opens the path anew.
 */
#include "agents/fence.h"
#include "agents/lite_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REOPENS_MAX = 10 };

/* An empty file is an empty database. */
static int make_file(struct lite *lite)
{
    int fd = open(lite->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY,
                  0666);

    if (fd < 0) {
        if (errno == EEXIST)
            return 0;
        return lite_fail(lite, errno == ENOENT ? -ENOENT : -EIO,
                         "connection %s: its database file cannot be made: %s",
                         lite->name, strerror(errno));
    }
    close(fd);
    lite->made = true;
    return 0;
}

int lite_open_writer(struct lite *lite, bool create)
{
    int err = 0;

    lite->writer = true;
    if (lite->read_only)
        return lite_fail(lite, -EIO,
                         "connection %s is read_only in the agent's "
                         "configuration",
                         lite->name);
    if (create)
        err = make_file(lite);
    if (!err)
        err = lite_open_file(lite);
    if (!err && sqlite3_db_readonly(lite->db, "main") == 1)
        err = lite_fail(lite, -EIO,
                        "connection %s: this agent may not write to its file",
                        lite->name);
    return err;
}

/* Another writer may have been faster with the file that we made: then it is no
 * longer ours to remove. */
static int check_empty(struct lite *lite)
{
    sqlite3_stmt *stmt = NULL;
    int err = 0;

    if (!lite->made)
        return 0;
    lite->made = false;
    err = lite_prepare_own(lite, "SELECT count(*) FROM sqlite_schema", &stmt);
    if (err)
        return err;
    if (sqlite3_step(stmt) == SQLITE_ROW)
        lite->made = sqlite3_column_int(stmt, 0) == 0;
    else
        err = lite_engine_failed(lite);
    sqlite3_finalize(stmt);
    return err;
}

/* BEGIN IMMEDIATE on the file that the path names now. */
static int begin_immediate(struct lite *lite)
{
    for (int i = 0; i < REOPENS_MAX; i++) {
        int moved = 0, err;

        lite_wait_for_locks(lite, true);
        err = lite_execute_own(lite, sqlite3_mprintf("BEGIN IMMEDIATE"));
        lite_wait_for_locks(lite, err != 0);
        if (sqlite3_file_control(lite->db, "main", SQLITE_FCNTL_HAS_MOVED,
                                 &moved) != SQLITE_OK)
            moved = 0;
        if (!moved)
            return err ? err : check_empty(lite);
        /* Its maker gave up while we waited. (Then beginning may have failed
         * as well: SQLite misses the file when it makes the journal.) */
        sqlite3_close_v2(lite->db);
        lite->db = NULL;
        lite->made = false;
        err = make_file(lite);
        if (!err)
            err = lite_open_file(lite);
        if (err)
            return err;
    }
    return lite_fail(lite, -EIO,
                     "connection %s: its file is removed again and again",
                     lite->name);
}

/* A statement of the fence; figures, unless NULL, are those of FENCE_FIND. */
static int fence_step(struct lite *lite, enum fence_statement statement,
                      const struct load *fence, uint64_t rows, uint64_t bytes,
                      int64_t figures[2])
{
    char *sql = fence_sql(ENGINE_SQLITE, statement, "main");
    sqlite3_stmt *stmt = NULL;
    int err, rc;

    if (!sql)
        return lite_fail(lite, -ENOMEM, "connection %s: out of memory",
                         lite->name);
    err = lite_prepare_own(lite, sql, &stmt);
    free(sql);
    if (err)
        return err;
    if (statement != FENCE_CREATE) {
        sqlite3_bind_text(stmt, 1, fence->run_id, -1, SQLITE_STATIC);
        sqlite3_bind_text(stmt, 2, fence->node, -1, SQLITE_STATIC);
    }
    if (statement == FENCE_INSERT)
        sqlite3_bind_int64(stmt, 3, fence->attempt);
    if (statement == FENCE_UPDATE) {
        sqlite3_bind_int64(stmt, 3, (sqlite3_int64)rows);
        sqlite3_bind_int64(stmt, 4, (sqlite3_int64)bytes);
    }
    rc = sqlite3_step(stmt);
    if (rc != SQLITE_DONE && rc != SQLITE_ROW)
        err = lite_engine_failed(lite);
    for (int i = 0; figures && i < 2; i++)
        figures[i] = rc == SQLITE_ROW ? sqlite3_column_int64(stmt, i) : 0;
    sqlite3_finalize(stmt);
    return err;
}

int lite_begin_write(struct lite *lite, const struct load *fence,
                     bool *ret_done, uint64_t *ret_rows, uint64_t *ret_bytes)
{
    int64_t figures[2] = {0};
    int err = begin_immediate(lite);

    if (!err)
        err = fence_step(lite, FENCE_CREATE, fence, 0, 0, NULL);
    if (!err)
        err = fence_step(lite, FENCE_INSERT, fence, 0, 0, NULL);
    if (err) {
        lite_rollback(lite);
        return err;
    }
    *ret_done = sqlite3_changes(lite->db) == 0;
    if (!*ret_done)
        return 0;
    err = fence_step(lite, FENCE_FIND, fence, 0, 0, figures);
    lite_rollback(lite);
    if (err)
        return err;
    *ret_rows = figures[0] > 0 ? (uint64_t)figures[0] : 0;
    *ret_bytes = figures[1] > 0 ? (uint64_t)figures[1] : 0;
    return 0;
}

int lite_commit(struct lite *lite, const struct load *fence, uint64_t rows,
                uint64_t bytes)
{
    int err;

    err = fence_step(lite, FENCE_UPDATE, fence, rows, bytes, NULL);
    if (!err)
        err = lite_execute_own(lite, sqlite3_mprintf("COMMIT"));
    if (err && (sqlite3_errcode(lite->db) & 0xff) == SQLITE_BUSY) {
        /* Waiting for oneself would be in vain. */
        lite_end_idle_readers(lite);
        lite_wait_for_locks(lite, true);
        err = lite_execute_own(lite, sqlite3_mprintf("COMMIT"));
    }
    lite_wait_for_locks(lite, true);
    if (err) {
        lite_rollback(lite);
        return err;
    }
    /* Readers of a file in WAL mode do not keep writers waiting, nor the other
     * way round; for a file of somebody else that is not ours to choose. */
    if (lite->made) {
        lite->made = false;
        lite->trusted = true;
        sqlite3_exec(lite->db, "PRAGMA journal_mode=WAL", NULL, NULL, NULL);
        lite->trusted = false;
    }
    return 0;
}

void lite_rollback(struct lite *lite)
{
    bool begun = lite->db && !sqlite3_get_autocommit(lite->db);

    if (lite->made) {
        /* Only with the lock is it sure that nobody else has put something
         * into it; without it an empty file stays, which does no harm. */
        if (begun)
            unlink(lite->path);
        lite->made = false;
    }
    if (begun) {
        lite->trusted = true;
        sqlite3_exec(lite->db, "ROLLBACK", NULL, NULL, NULL);
        lite->trusted = false;
    }
}

/* ---- the statement of a sql node ----------------------------------------- */

int lite_execute(const struct connection *connection, uint32_t lock_timeout_ms,
                 uint32_t statement_timeout_ms, const struct load *fence,
                 const char *sql, bool *ret_done, uint64_t *ret_rows,
                 char error[LITE_ERROR_MAX])
{
    struct lite *lite =
        lite_new(connection, lock_timeout_ms, statement_timeout_ms);
    sqlite3_stmt *stmt = NULL;
    uint64_t rows = 0, bytes = 0;
    bool done = false, reads = false;
    int err, rc;

    if (!lite) {
        snprintf(error, LITE_ERROR_MAX, "out of memory");
        return -ENOMEM;
    }
    err = lite_open_writer(lite, true);
    if (!err)
        err = lite_begin_write(lite, fence, &done, &rows, &bytes);
    if (!err && !done) {
        err = lite_prepare_document(lite, sql, &stmt);
        if (!err) {
            sqlite3_int64 before = sqlite3_total_changes64(lite->db);

            reads = sqlite3_stmt_readonly(stmt) != 0;
            lite_start_clock(lite);
            while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
                rows++;
            if (rc != SQLITE_DONE)
                err = lite_engine_failed(lite);
            lite->deadline_ms = 0;
            /* What triggers did is not the statement's. */
            if (!err && !reads && sqlite3_total_changes64(lite->db) != before &&
                rows == 0)
                rows = (uint64_t)sqlite3_changes64(lite->db);
            sqlite3_finalize(stmt);
        }
        err = err ? err : lite_commit(lite, fence, rows, 0);
    }
    if (err) {
        lite_rollback(lite);
        snprintf(error, LITE_ERROR_MAX, "%s", lite->error);
    } else {
        *ret_done = done;
        *ret_rows = rows;
    }
    lite_close(&lite);
    return err;
}
