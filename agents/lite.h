/*
 * lite.h - SQLite as a data store: a file that a connection names.
 *
 * Readers open it read-only in a connection of their own, so that a document's
 * own SQL sees its own file as main and nothing else. A document's own SQL has
 * to be one statement that only reads (sqlite3_stmt_readonly) and returns
 * columns; ATTACH, PRAGMA and load_extension() are refused (authorizer).
 *
 * Types: a column's declared type decides, in words of expr_type() of the
 * policy, in the words of other engines for texts (uuid, json, interval, time,
 * string, ...), or by SQLite's affinity rules otherwise; each value is
 * converted as it is read (a NUMERIC column's 12.5 is the decimal "12.5", a
 * NUMERIC(10,2) column's is "12.50", a DATE column's text has to be a date and
 * is never a number), and one that cannot be is an error with row and column,
 * or a rejected row. Without a declared type (an expression), or one that says
 * nothing (ANY), the first 100 rows decide: all integers -> integer, numbers ->
 * double, BLOBs
 * -> bytes, else text. Integers are of 64 bits unless declared INT2, SMALLINT
 * (16) or INT4 (32).
 *
 * Writers: one transaction (BEGIN IMMEDIATE, waiting up to the lock time-out;
 * so two sinks of one process into one file have to come one after the other).
 * Created tables declare INTEGER, SMALLINT, NUMERIC or NUMERIC(p,s), REAL, TEXT
 * or VARCHAR(n), BOOLEAN, DATE, TIMESTAMP, TIMESTAMPTZ, BLOB, and MERGE's key
 * as PRIMARY KEY. A decimal of more than 15 significant digits (18 when it has
 * no point) does not go into a column of NUMERIC affinity (it would become a
 * REAL), unless it has more than 9 digits behind the point, as quotients have,
 * and 6 are left when it is rounded to 15 digits; nor does a text that SQLite
 * would make a number of that is printed otherwise ("007" into STRING): an
 * error or a rejected row; TEXT columns take them whole. A timestamp's text is
 * stored as it is. Foreign keys are SQLite's default: not checked.
 *
 * MERGE needs a unique index on exactly the key. A key that comes twice in one
 * load, by the target's own types and collations, or that is NULL, is an error
 * or a rejected row.
 *
 * load.schema is not looked at: a file has no schemas, and the same document
 * may name PostgreSQL's. A file that a load makes is there only when it has
 * committed, and is left in WAL mode, so that runs can read it while another
 * writes; the journal mode of other files is not touched. In a file that is not
 * in WAL mode a commit waits for readers. Those of this process it knows: when
 * none of their feeds is between two rows, their read transaction ends there,
 * and what they read later is of a later moment. Pages that a reader keeps from
 * being written stay in memory until the commit.
 *
 * Memory, threads, errors: as pg.h; -ENOENT: no such file or table.
 */
#ifndef AGENTS_LITE_H
#define AGENTS_LITE_H

#include "agents/connection.h"
#include "agents/feed.h"
#include "agents/sink.h"

struct lite;

enum { LITE_ERROR_MAX = 512 };

/* Opens for reading and begins a read transaction at the first read. */
int lite_open(const struct connection *connection, uint32_t lock_timeout_ms,
              uint32_t statement_timeout_ms, struct lite **ret_lite,
              char error[LITE_ERROR_MAX]);
void lite_close(struct lite **lite_p);
const char *lite_error(const struct lite *lite);

/* As their counterparts in pg.h. For a table, *ret_schema's columns also get
 * what a writer has to know; for a table with an INTEGER PRIMARY KEY that
 * column is not not_null. */
int lite_describe(struct lite *lite, const char *sql, bool user_sql,
                  struct schema *ret_schema);
int lite_describe_table(struct lite *lite, const char *table,
                        struct schema *ret_schema);
/* Rows of a query whose result columns have the types of schema. */
int lite_feed(struct lite *lite, const char *sql, const struct schema *schema,
              struct feed **ret_feed);
/* Bytes of the pages of a table (dbstat is not compiled in everywhere: then
 * the file's size shared out by row counts of sqlite_stat1, else the whole
 * file's size); of a query: of the file. -1: unknown. */
int lite_estimate(struct lite *lite, const char *table_or_null,
                  int64_t *ret_rows, int64_t *ret_bytes);

int lite_sink(const struct connection *connection, uint32_t lock_timeout_ms,
              const struct load *load, struct sink **ret_sink,
              char error[LITE_ERROR_MAX]);
int lite_execute(const struct connection *connection, uint32_t lock_timeout_ms,
                 uint32_t statement_timeout_ms, const struct load *fence,
                 const char *sql, bool *ret_done, uint64_t *ret_rows,
                 char error[LITE_ERROR_MAX]);

/* A column's declared type to ours; in words or by affinity. */
void lite_column_type(const char *declared, struct column *ret_column);

#endif
