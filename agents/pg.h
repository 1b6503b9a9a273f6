/*
 * pg.h - PostgreSQL through libpq: what it needs of the server to read, to
 * write and to compute there.
 *
 * A session has UTF-8, time zone UTC, ISO dates, application_name
 * "dispatch RUN NODE", a statement and a lock time-out. Passwords come from
 * connection_password() at connect time.
 *
 * SIGTERM to the process cancels the statements under way (PQcancel is safe in
 * a handler) and ends the process with status 128 + 15: the first pg_open()
 * installs that handler if the signal is at its default. Whoever has a handler
 * of his own calls pg_cancel_all() in it.
 *
 * Readers share one REPEATABLE READ, READ ONLY transaction a session, so
 * that all they read is of one moment. A document's own SQL is prepared alone
 * first: exactly one statement, one that returns rows, so that wrapping it in
 * a subquery means what it says.
 *
 * Memory:  a pg is its caller's; pg_close(), after its feed. Threads: one.
 * Errors:  0 or a negative errno, and a sentence in pg_error(): the server's
 *          primary message with detail, column and (COPY) line when it says
 *          them, never the dsn. -ECONNREFUSED: no connection, or it is lost
 *          ("the server closed the connection", "terminated by
 *          administrator", ...); -EINVAL: the statement or a name in it is
 *          wrong; -EIO: anything else.
 */
#ifndef AGENTS_PG_H
#define AGENTS_PG_H

#include "agents/connection.h"
#include "agents/feed.h"
#include "agents/sink.h"

struct pg;

enum { PG_ERROR_MAX = 512 };

struct pg_limits {
    uint32_t statement_timeout_ms, lock_timeout_ms; /* 0: none */
    uint32_t connect_timeout_s;
};

/* label: "RUN NODE" for application_name. On failure *ret_pg is NULL and error
 * says why. */
int pg_open(const struct connection *connection, const struct pg_limits *limits,
            const char *label, struct pg **ret_pg, char error[PG_ERROR_MAX]);
void pg_close(struct pg **pg_p);
const char *pg_error(const struct pg *pg);
/* Did the last statement fail because of a value (SQLSTATE class 22, or 23502:
 * a NULL where none may be)? The server does not say in which row. */
bool pg_failed_by_value(const struct pg *pg);

/* Cancels the statements under way of all sessions of the process. For signal
 * handlers: async-signal-safe. */
void pg_cancel_all(void);

/* Begins the readers' transaction unless it has begun; ends it. */
int pg_begin_read(struct pg *pg);
int pg_end_read(struct pg *pg);

/* The columns of a query (given without semicolon), without executing it, in
 * types of ours; native has format_type(), origin is NULL. user_sql: a
 * document's own: refused unless it is one statement that returns rows. Two
 * columns of one name, or none: -EINVAL. */
int pg_describe(struct pg *pg, const char *sql, bool user_sql,
                struct schema *ret_schema);
/* The columns of a table with their limits, not_null without default or
 * identity; generated columns are left out. schema NULL: search_path.
 * -ENOENT: no such table. */
int pg_describe_table(struct pg *pg, const char *schema, const char *table,
                      struct schema *ret_schema);

/* A reader: COPY (sql) TO STDOUT, text format, row by row in constant memory.
 * Values that schema.h has no place for (NaN, infinity, dates BC) are errors,
 * or rejected rows, by row and column. One at a time a session; needs
 * pg_begin_read(). schema: as pg_describe() gave it, copied. */
int pg_feed(struct pg *pg, const char *sql, const struct schema *schema,
            struct feed **ret_feed);

/* What the planner thinks that a query gives: rows x width (EXPLAIN, or
 * pg_class for a whole table through the same EXPLAIN). -1 in both: unknown. */
int pg_estimate(struct pg *pg, const char *sql, int64_t *ret_rows,
                int64_t *ret_bytes);

/* A writer in a session of its own, COPY FROM STDIN in one transaction.
 * MERGE: COPY into a temporary table, then INSERT ... ON CONFLICT on key DO
 * UPDATE of all other given columns; without a unique index on key: an error
 * that says which one is missing; duplicate keys within the load: an error
 * that names the key. TRUNCATE is transactional, and waits for readers at most
 * the lock time-out. skip: batches of 1,000 under savepoints, halved until
 * the rows that the target refuses are alone; since they are found later than
 * row(), row() answers SINK_OK for them, `rejected` counts them and `error` has
 * the first one's reason. The fence's table is made in the target's schema, in
 * a transaction of its own. load is borrowed. -ENOENT: no such table, and
 * create is false. -EINVAL: read_only, a column, the key. */
int pg_sink(const struct connection *connection, const struct pg_limits *limits,
            const struct load *load, struct sink **ret_sink,
            char error[PG_ERROR_MAX]);

/* A load inside the server: INSERT INTO target (columns of load->given) select,
 * in one transaction with fence, creation, truncation, on conflict for MERGE.
 * select gives the columns in the order of load->given. reads_target: it reads
 * the table it writes, so its rows are kept in a temporary table before the
 * truncation. *ret_done: an earlier attempt is in. Rows: *ret_rows. Not with
 * load->skip (-EINVAL). */
int pg_insert_select(struct pg *pg, const struct load *load, const char *select,
                     bool reads_target, bool *ret_done, uint64_t *ret_rows);

/* COPY (select) TO STDOUT of `from` into load's table on `to`, bytes as they
 * come: both sides agree about types. from: after pg_begin_read(), in the same
 * session no feed is open. progress (may be NULL) is called about every 200 ms
 * with rows and bytes so far. Errors of either side are in pg_error(to). */
int pg_copy_across(
    struct pg *from, const char *select, struct pg *to, const struct load *load,
    void (*progress)(void *context, uint64_t rows, uint64_t bytes),
    void *context, bool *ret_done, uint64_t *ret_rows, uint64_t *ret_bytes);

/* A statement of a sql node, in one writing transaction with its fence; rows
 * that it returns are counted and dropped. *ret_rows: affected or returned.
 * fence: of it only schema, run_id, node and attempt count. One statement; no
 * BEGIN, COMMIT and the like, no COPY from or to the client: -EINVAL. */
int pg_execute(struct pg *pg, const struct load *fence, const char *sql,
               bool *ret_done, uint64_t *ret_rows);

/* The SQL type to create a column with: "bigint", "numeric(10,2)", ... */
void pg_type(const struct column *column, char *buf, size_t size);

#endif
