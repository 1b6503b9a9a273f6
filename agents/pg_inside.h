/*
 * pg_inside.h - what the files of the PostgreSQL room share; nobody else
 * includes it.
 *
 *   pg.c           the session: opening, statements, errors, cancelling
 *   pg_describe.c  columns of queries and tables, types, estimates
 *   pg_feed.c      COPY out to cells
 *   pg_target.c    the table of a load: finding, fence, creation, commit
 *   pg_writer.c    COPY in: lines, batches of skip, the merge
 *   pg_sink.c      values of SQLite to lines
 *   pg_load.c      loads and statements within servers
 *
 * Whoever fails has set pg->error and returns its errno; cleaning up after a
 * failure (ROLLBACK, ...) leaves the error as it is.
 */
#ifndef AGENTS_PG_INSIDE_H
#define AGENTS_PG_INSIDE_H

#include "agents/pg.h"
#include "agents/text.h"

/* Distributions differ in where it is. */
#if __has_include(<libpq-fe.h>)
#include <libpq-fe.h>
#else
#include <postgresql/libpq-fe.h>
#endif

enum { PG_STATE_MAX = 6 };

enum { PG_NAME_MAX = 63 }; /* NAMEDATALEN - 1: longer ones are cut */

struct pg {
    PGconn *conn;
    struct connection connection; /* name, dsn, where the password is */
    struct pg_limits limits;
    char application[64];
    int slot;     /* of what SIGTERM cancels; -1: none */
    bool reading; /* in the readers' transaction */
    bool feeding; /* a feed is open */
    bool foreign; /* the server's encoding promises no valid UTF-8 */
    /* Of the statement that failed last: SQLSTATE ("": none), and for COPY FROM
     * the row it is about, counted from copy_base (0: not known). */
    char state[PG_STATE_MAX];
    uint64_t line;
    const char *copying; /* the table's name in COPY's context; or NULL */
    uint64_t copy_base;  /* rows of the load before this COPY */
    char error[PG_ERROR_MAX];
};

/* ---- pg.c ---------------------------------------------------------------- */
/* Sets the error and returns err. */
int pg_fail(struct pg *pg, int err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Says what a result that is a failure is about. res NULL: the connection. */
int pg_take_error(struct pg *pg, const PGresult *res);
/* One statement, or several of ours, without result. */
int pg_run(struct pg *pg, const char *sql);
/* The same, with text that is cleared. -ENOMEM: it had failed. */
int pg_run_text(struct pg *pg, struct text *sql);
/* One statement with parameters. ret_res may be NULL. */
int pg_query(struct pg *pg, const char *sql, int count,
             const char *const *parameters, PGresult **ret_res);
/* Ends an open transaction, whatever state it is in, and keeps the error. */
void pg_rollback(struct pg *pg);
/* Within the readers' transaction a failure of one statement is not to end it
 * all. pg_unguard() returns what it is given. */
int pg_guard(struct pg *pg);
int pg_unguard(struct pg *pg, int err);
/* While a COPY is under way, for SIGTERM. */
void pg_busy(struct pg *pg, bool busy);
/* Stops the statement under way from within. */
void pg_cancel(struct pg *pg);
/* Connects anew after the connection is lost. */
int pg_reopen(struct pg *pg);

/* ---- pg_describe.c ------------------------------------------------------- */
struct pg_target {
    bool exists;
    char *schema, *table; /* as the server calls them */
    char *name;           /* both, quoted */
    struct schema all;    /* the table's columns, when it exists */
    struct schema given;  /* those of load->given, in its order */
};

/* Finds schema.table and its columns, not `given`. -ENOENT: said in error;
 * then ret has the schema it would be made in if there is such a schema. */
int pg_table_find(struct pg *pg, const char *schema, const char *table,
                  struct pg_target *ret);
/* A column that holds character strings, whose native type is one of them? */
bool pg_is_string(const struct column *column);

/* ---- pg_target.c --------------------------------------------------------- */
/* Finds the table of a load and checks all that can be before anything is
 * written: read_only, columns, NOT NULL, the merge's key. -ENOENT. */
int pg_target_find(struct pg *pg, const struct load *load,
                   struct pg_target *ret);
void pg_target_clear(struct pg_target *target);
/* Begins the transaction: fence, creation; not the truncation. *ret_done: an
 * earlier attempt is in, with these figures, and there is no transaction. */
int pg_target_begin(struct pg *pg, const struct load *load,
                    struct pg_target *target, bool *ret_done,
                    uint64_t *ret_rows, uint64_t *ret_bytes);
int pg_target_truncate(struct pg *pg, const struct pg_target *target);
/* The figures into the fence, and COMMIT, whose fate is found out if its answer
 * is lost. On failure nothing is in unless the error says otherwise. */
int pg_target_commit(struct pg *pg, const struct load *load,
                     const struct pg_target *target, uint64_t rows,
                     uint64_t bytes);
/* Rolls back; when the connection is lost, adds to the error that nothing has
 * changed. Returns err. */
int pg_target_abort(struct pg *pg, int err);
/* " ON CONFLICT (key) DO UPDATE SET ...". */
void pg_target_on_conflict(const struct load *load,
                           const struct pg_target *target, struct text *sql);
/* "a", "b" of the target's given columns, each behind prefix. */
void pg_target_columns(const struct pg_target *target, const char *prefix,
                       struct text *sql);
/* Runs an INSERT with that; when it fails because of two rows with one key,
 * looks in `from` (a FROM item with the given names) for which. */
int pg_target_insert(struct pg *pg, const struct load *load,
                     const struct pg_target *target, const char *sql,
                     const char *from, uint64_t *ret_rows);

/* ---- pg_writer.c --------------------------------------------------------- */
/* A load by COPY FROM STDIN. begin, then lines, then commit; abort at any time
 * ends the transaction. The caller puts bytes of lines into the room it asked
 * for and says when a row is whole. */
struct pg_writer {
    struct pg *pg;           /* borrowed */
    const struct load *load; /* borrowed */
    struct pg_target target;
    uint64_t rows, bytes, rejected;
    char refused[PG_ERROR_MAX]; /* about the first rejected row */
    char *buf;                  /* lines that are not sent */
    size_t len, size;
    bool begun, copying, stage_keys;
    uint64_t copied; /* bytes in the COPY under way */
    struct text copy, stage_row;
    char copying_name[256];
    /* skip: where the rows in buf end, and which are known to be refused */
    size_t *ends;
    bool *bad;
    size_t count;
    uint64_t base; /* rows of the load before the COPY under way, or buf */
};

int pg_writer_open(struct pg *pg, const struct load *load,
                   struct pg_writer *ret);
int pg_writer_begin(struct pg_writer *writer, bool *ret_done);
/* buf + len has room for size bytes more, at most PG_WRITER_PIECE. */
enum { PG_WRITER_PIECE = 16 * 1024 };
int pg_writer_make_room(struct pg_writer *writer, size_t size);
static inline int pg_writer_room(struct pg_writer *writer, size_t size)
{
    return size <= writer->size - writer->len
               ? 0
               : pg_writer_make_room(writer, size);
}
int pg_writer_put(struct pg_writer *writer, const char *bytes, size_t len);
/* The row that ends with the newline put last. */
int pg_writer_row(struct pg_writer *writer);
int pg_writer_commit(struct pg_writer *writer);
/* Returns err. */
int pg_writer_abort(struct pg_writer *writer, int err);
void pg_writer_close(struct pg_writer *writer);

#endif
