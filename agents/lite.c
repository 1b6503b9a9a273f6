/*
 * lite.c - connections to SQLite files; see lite.h and lite_inside.h.
 *
 * Time-outs: the progress handler looks at the clock every few thousand steps
 * of a statement; the busy handler sleeps in small steps until the lock
 * time-out. Between BEGIN and COMMIT a writer does not wait at all: SQLite asks
 * for the exclusive lock whenever its page cache is full, and if a reader
 * holds the file it keeps the pages in memory and goes on, which waiting would
 * only make slow.
 */
#include "agents/clock.h"
#include "agents/lite_inside.h"
#include "agents/spill.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum {
    PROGRESS_STEPS = 4000,
    BUSY_SLEEP_MS = 10,
};

/* The open readers of this process, for lite_end_idle_readers(). */
static struct lite *readers;

int lite_fail(struct lite *lite, int err, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(lite->error, sizeof lite->error, fmt, args);
    va_end(args);
    return err;
}

const char *lite_error(const struct lite *lite)
{
    return lite->error;
}

int lite_engine_failed(struct lite *lite)
{
    int code = sqlite3_extended_errcode(lite->db);
    const char *said = sqlite3_errmsg(lite->db), *name = lite->name;

    switch (code & 0xff) {
    case SQLITE_NOMEM:
        return lite_fail(lite, -ENOMEM,
                         "connection %s: out of memory: the run's limit "
                         "(data.memory) is reached",
                         name);
    case SQLITE_INTERRUPT:
        if (!lite->timed_out)
            break;
        return lite_fail(lite, -EIO,
                         "connection %s: the statement took longer than the "
                         "statement time-out of %" PRIu32 " ms",
                         name, lite->statement_timeout_ms);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return lite_fail(
            lite, -EIO,
            "connection %s: the database is in use by others; waited %" PRIu32
            " ms (lock time-out)",
            name, lite->lock_timeout_ms);
    case SQLITE_FULL:
        if (spill_over_quota())
            return lite_fail(lite, -EIO,
                             "connection %s: the run's temporary files have "
                             "reached their limit (data.spill_max)",
                             name);
        return lite_fail(lite, -EIO, "connection %s: the disk is full", name);
    case SQLITE_NOTADB:
        return lite_fail(lite, -EIO,
                         "connection %s: its file is not a SQLite database",
                         name);
    case SQLITE_CORRUPT:
        return lite_fail(lite, -EIO,
                         "connection %s: its file is damaged (%s); restore it "
                         "from a copy, or try the sqlite3 shell's .recover",
                         name, said);
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
        return lite_fail(
            lite, -EIO,
            lite->writer
                ? "connection %s: its file or directory cannot be written (%s)"
                : "connection %s: its file cannot be read (%s); one in WAL "
                  "mode needs a directory that this agent may write to",
            name, said);
    case SQLITE_IOERR:
        return lite_fail(lite, -EIO,
                         "connection %s: its file cannot be %s: %s (%d)", name,
                         lite->writer ? "written" : "read", said, code);
    case SQLITE_ERROR:
    case SQLITE_AUTH:
        return lite_fail(lite, -EINVAL, "connection %s: %s", name, said);
    default:
        break;
    }
    return lite_fail(lite, -EIO, "connection %s: %s", name, said);
}

/* ---- handlers ------------------------------------------------------------ */

static int on_progress(void *context)
{
    struct lite *lite = context;

    if (lite->deadline_ms == 0 || clock_boot_ms() < lite->deadline_ms)
        return 0;
    lite->timed_out = true;
    return 1;
}

static int on_busy(void *context, int count)
{
    struct lite *lite = context;
    struct timespec pause = {.tv_nsec = BUSY_SLEEP_MS * 1000000L};

    if (lite->impatient)
        return 0;
    if (count == 0)
        lite->wait_until_ms = clock_boot_ms() + (int64_t)lite->lock_timeout_ms;
    else if (clock_boot_ms() >= lite->wait_until_ms)
        return 0;
    if (count < 5) /* most locks are held for a moment */
        pause.tv_nsec = 1000000L << count;
    nanosleep(&pause, NULL);
    return 1;
}

/* What a document's SQL may not do, whatever else it is. PRAGMAs would show the
 * file's path; transactions are ours to end. */
static int on_authorize(void *context, int action, const char *first,
                        const char *second, const char *third,
                        const char *fourth)
{
    struct lite *lite = context;

    (void)first;
    (void)third;
    (void)fourth;
    if (lite->trusted)
        return SQLITE_OK;
    switch (action) {
    case SQLITE_ATTACH:
    case SQLITE_DETACH:
    case SQLITE_PRAGMA:
    case SQLITE_TRANSACTION:
    case SQLITE_SAVEPOINT:
        return SQLITE_DENY;
    case SQLITE_FUNCTION:
        return second && (strcasecmp(second, "load_extension") == 0 ||
                          strcasecmp(second, "fts3_tokenizer") == 0)
                   ? SQLITE_DENY
                   : SQLITE_OK;
    default:
        return SQLITE_OK;
    }
}

void lite_start_clock(struct lite *lite)
{
    lite->timed_out = false;
    lite->deadline_ms =
        lite->statement_timeout_ms
            ? clock_boot_ms() + (int64_t)lite->statement_timeout_ms
            : 0;
}

void lite_wait_for_locks(struct lite *lite, bool wait)
{
    lite->impatient = !wait;
}

/* ---- statements ---------------------------------------------------------- */

static int prepare(struct lite *lite, const char *sql, sqlite3_stmt **ret_stmt,
                   const char **ret_tail)
{
    if (strlen(sql) > INT_MAX - 1)
        return lite_fail(lite, -EINVAL, "connection %s: the SQL is too long",
                         lite->name);
    if (sqlite3_prepare_v2(lite->db, sql, -1, ret_stmt, ret_tail) != SQLITE_OK)
        return lite_engine_failed(lite);
    return 0;
}

int lite_prepare(struct lite *lite, const char *sql, sqlite3_stmt **ret_stmt)
{
    sqlite3_stmt *stmt = NULL;
    int err = prepare(lite, sql, &stmt, NULL);

    if (err)
        return err;
    if (!stmt)
        return lite_fail(lite, -EINVAL, "connection %s: the SQL is empty",
                         lite->name);
    *ret_stmt = stmt;
    return 0;
}

int lite_prepare_own(struct lite *lite, const char *sql,
                     sqlite3_stmt **ret_stmt)
{
    int err;

    lite->trusted = true;
    err = lite_prepare(lite, sql, ret_stmt);
    lite->trusted = false;
    return err;
}

int lite_execute_own(struct lite *lite, char *sql)
{
    int rc;

    if (!sql)
        return lite_fail(lite, -ENOMEM, "connection %s: out of memory",
                         lite->name);
    lite->trusted = true;
    rc = sqlite3_exec(lite->db, sql, NULL, NULL, NULL);
    lite->trusted = false;
    sqlite3_free(sql);
    return rc == SQLITE_OK ? 0 : lite_engine_failed(lite);
}

int lite_prepare_document(struct lite *lite, const char *sql,
                          sqlite3_stmt **ret_stmt)
{
    sqlite3_stmt *stmt = NULL, *more = NULL;
    const char *tail = "";
    int err = prepare(lite, sql, &stmt, &tail);

    if (err) {
        if (sqlite3_errcode(lite->db) == SQLITE_AUTH)
            return lite_fail(lite, -EINVAL,
                             "connection %s: ATTACH, PRAGMA, transactions and "
                             "load_extension() are not for a document's SQL "
                             "(%s)",
                             lite->name, sqlite3_errmsg(lite->db));
        return err;
    }
    if (!stmt)
        return lite_fail(lite, -EINVAL, "connection %s: the SQL is empty",
                         lite->name);
    /* Behind it blanks, semicolons and comments are fine. */
    while (*tail) {
        const char *from = tail;

        /* What does not even parse is a second statement too. */
        if (sqlite3_prepare_v2(lite->db, from, -1, &more, &tail) != SQLITE_OK ||
            more) {
            sqlite3_finalize(more);
            sqlite3_finalize(stmt);
            return lite_fail(lite, -EINVAL,
                             "connection %s: the SQL is more than one "
                             "statement; it has to be one",
                             lite->name);
        }
        if (tail == from)
            break;
    }
    if (sqlite3_bind_parameter_count(stmt) > 0) {
        sqlite3_finalize(stmt);
        return lite_fail(lite, -EINVAL,
                         "connection %s: the SQL has parameters (?, :name, "
                         "@name, $name), and nothing gives them values",
                         lite->name);
    }
    *ret_stmt = stmt;
    return 0;
}

/* ---- opening ------------------------------------------------------------- */

struct lite *lite_new(const struct connection *connection,
                      uint32_t lock_timeout_ms, uint32_t statement_timeout_ms)
{
    struct lite *lite = calloc(1, sizeof *lite);

    if (!lite)
        return NULL;
    lite->name = strdup(connection->name ? connection->name : "?");
    lite->path = strdup(connection->dsn ? connection->dsn : "");
    lite->lock_timeout_ms = lock_timeout_ms;
    lite->statement_timeout_ms = statement_timeout_ms;
    lite->read_only = connection->read_only;
    if (!lite->name || !lite->path)
        lite_close(&lite);
    return lite;
}

void lite_close(struct lite **lite_p)
{
    struct lite *lite = *lite_p;

    *lite_p = NULL;
    if (!lite)
        return;
    for (struct lite **at = &readers; *at; at = &(*at)->next) {
        if (*at == lite) {
            *at = lite->next;
            break;
        }
    }
    sqlite3_close_v2(lite->db);
    free(lite->name);
    free(lite->path);
    free(lite);
}

/* A file, or nothing yet? SQLite would wait for somebody to write to a FIFO. */
static int check_file(struct lite *lite)
{
    struct stat file;

    if (stat(lite->path, &file) < 0) {
        if (errno == ENOENT)
            return lite_fail(lite, -ENOENT,
                             "there is no database file for connection %s; a "
                             "load with \"create\" makes it, or the path in "
                             "the agent's configuration is wrong",
                             lite->name);
        return lite_fail(lite, -EIO,
                         "connection %s: its file cannot be reached: %s",
                         lite->name, strerror(errno));
    }
    if (!S_ISREG(file.st_mode))
        return lite_fail(lite, -EIO,
                         "connection %s: its path is not that of a file",
                         lite->name);
    lite->device = file.st_dev;
    lite->inode = file.st_ino;
    return 0;
}

int lite_open_file(struct lite *lite)
{
    int flags = SQLITE_OPEN_NOMUTEX |
                (lite->writer ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY);
    int err = check_file(lite);
    sqlite3_stmt *stmt = NULL;

    if (err)
        return err;
    if (sqlite3_open_v2(lite->path, &lite->db, flags, NULL) != SQLITE_OK) {
        if (!lite->db)
            return lite_fail(lite, -ENOMEM, "connection %s: out of memory",
                             lite->name);
        return lite_engine_failed(lite);
    }
    sqlite3_extended_result_codes(lite->db, 1);
    /* The file may be anybody's: what its schema says is not to be trusted,
     * and its inner tables are not for documents to write. */
    sqlite3_db_config(lite->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(lite->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_set_authorizer(lite->db, on_authorize, lite);
    sqlite3_progress_handler(lite->db, PROGRESS_STEPS, on_progress, lite);
    sqlite3_busy_handler(lite->db, on_busy, lite);
    /* Is it a database at all, and not in somebody's exclusive hands? */
    err = lite_prepare_own(lite, "SELECT count(*) FROM sqlite_schema", &stmt);
    if (err)
        return err;
    err = sqlite3_step(stmt) == SQLITE_ROW ? 0 : lite_engine_failed(lite);
    sqlite3_finalize(stmt);
    return err;
}

int lite_open(const struct connection *connection, uint32_t lock_timeout_ms,
              uint32_t statement_timeout_ms, struct lite **ret_lite,
              char error[LITE_ERROR_MAX])
{
    struct lite *lite =
        lite_new(connection, lock_timeout_ms, statement_timeout_ms);
    int err;

    *ret_lite = NULL;
    if (!lite) {
        snprintf(error, LITE_ERROR_MAX, "out of memory");
        return -ENOMEM;
    }
    err = lite_open_file(lite);
    /* Deferred: it becomes a transaction with the first read. */
    if (!err)
        err = lite_execute_own(lite, sqlite3_mprintf("BEGIN"));
    if (err) {
        snprintf(error, LITE_ERROR_MAX, "%s", lite->error);
        lite_close(&lite);
        return err;
    }
    lite->next = readers;
    readers = lite;
    *ret_lite = lite;
    return 0;
}

/* A reader is idle when none of its statements is between two rows. */
static bool is_idle(const struct lite *lite)
{
    sqlite3_stmt *stmt = NULL;

    while ((stmt = sqlite3_next_stmt(lite->db, stmt)))
        if (sqlite3_stmt_busy(stmt))
            return false;
    return true;
}

void lite_end_idle_readers(const struct lite *writer)
{
    struct stat file;

    if (stat(writer->path, &file) < 0)
        return;
    for (struct lite *lite = readers; lite; lite = lite->next) {
        if (lite->device != file.st_dev || lite->inode != file.st_ino ||
            sqlite3_get_autocommit(lite->db) || !is_idle(lite))
            continue;
        /* Deferred again: nothing is held until the next read. */
        if (lite_execute_own(lite, sqlite3_mprintf("COMMIT")) == 0)
            lite_execute_own(lite, sqlite3_mprintf("BEGIN"));
    }
}
