/*
 * lite_inside.h - what the files of lite.h share: a connection to one SQLite
 * file, reading or writing, with its time-outs, and how its errors are told.
 *
 * Own SQL and that of documents go through the same authorizer; ours lifts it
 * (trusted) for the PRAGMAs it needs.
 */
#ifndef AGENTS_LITE_INSIDE_H
#define AGENTS_LITE_INSIDE_H

#include "agents/lite.h"

#include <sys/types.h>

struct lite {
    struct lite *next; /* of the readers that are open */
    sqlite3 *db;
    dev_t device;
    ino_t inode;
    char *name; /* of the connection, for messages */
    char *path; /* never in a message */
    uint32_t lock_timeout_ms, statement_timeout_ms;
    int64_t deadline_ms;   /* clock.h; of the statement under way, 0: none */
    int64_t wait_until_ms; /* clock.h; for the lock that is waited for */
    bool impatient;        /* do not wait for locks */
    bool timed_out;
    bool trusted; /* the statement being prepared is ours */
    bool writer, read_only;
    bool made; /* the file was made by this writer, and nothing is in it yet */
    char error[LITE_ERROR_MAX];
};

/* Sets error and returns err. */
int lite_fail(struct lite *lite, int err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* What SQLite said last, in words, with the connection's name: sets error and
 * returns -ENOMEM, -EINVAL or -EIO. */
int lite_engine_failed(struct lite *lite);

struct lite *lite_new(const struct connection *connection,
                      uint32_t lock_timeout_ms, uint32_t statement_timeout_ms);
/* Opens the file, which has to be there, and looks whether it is a database. */
int lite_open_file(struct lite *lite);
/* From now on for each up to the lock time-out, or not at all. */
void lite_wait_for_locks(struct lite *lite, bool wait);

/* Ends the read transactions that would keep writer from committing, of those
 * readers of this process that are between two reads. */
void lite_end_idle_readers(const struct lite *writer);

/* The statement time-out runs from here. */
void lite_start_clock(struct lite *lite);
/* One statement; what is behind it is ignored. */
int lite_prepare(struct lite *lite, const char *sql, sqlite3_stmt **ret_stmt);
/* The same for SQL of ours, which may have a PRAGMA in it. */
int lite_prepare_own(struct lite *lite, const char *sql,
                     sqlite3_stmt **ret_stmt);
/* Own SQL made by sqlite3_mprintf(), which is freed; NULL: -ENOMEM. */
int lite_execute_own(struct lite *lite, char *sql);

/* A document's own statement: exactly one, not empty. */
int lite_prepare_document(struct lite *lite, const char *sql,
                          sqlite3_stmt **ret_stmt);

/* Opens lite (new, or without its file so far) for writing. create: makes the
 * file when there is none. -ENOENT. */
int lite_open_writer(struct lite *lite, bool create);
/* BEGIN IMMEDIATE and the fence's row. *ret_done: an earlier attempt is in,
 * nothing was begun, rows and bytes are what it loaded. */
int lite_begin_write(struct lite *lite, const struct load *fence,
                     bool *ret_done, uint64_t *ret_rows, uint64_t *ret_bytes);
/* The fence's figures, and COMMIT. On failure all is rolled back. */
int lite_commit(struct lite *lite, const struct load *fence, uint64_t rows,
                uint64_t bytes);
/* Also removes a file that was made for nothing. */
void lite_rollback(struct lite *lite);

/* The columns of a table as declared. *ret_found: there is such a table (else
 * the schema is empty). Undeclared types are TYPE_NULL. Generated columns are
 * left out. */
int lite_table_columns(struct lite *lite, const char *table, bool *ret_found,
                       struct schema *ret_schema);
/* Does a value of a column declared so become a number when it looks like
 * one? */
bool lite_numeric_affinity(const char *declared);

/* ---- lite_sink.c and lite_sink_row.c ------------------------------------- */

struct lite_sink {
    struct sink sink;
    const struct load *load;
    struct lite *lite; /* without db: there is no file yet */
    bool create;       /* there is no table yet */
    bool begun;        /* a transaction is open */
    bool *numeric;     /* by column: would a text become a number? */
    size_t *key;       /* columns of load->key */
    sqlite3_stmt *insert;
    sqlite3_stmt *see, *unsee; /* MERGE: keys so far */
};

enum sink_answer lite_sink_row(struct sink *sink, sqlite3_stmt *stmt);
void lite_sink_abort(struct sink *sink);
/* Aborts with the error of lite. */
enum sink_answer lite_sink_failed(struct lite_sink *writer);

#endif
