/*
 * store.h - the durable ledger's file: one LMDB environment, typed tables, one
 * write transaction a turn. The only module that knows LMDB.
 *
 * A turn: store_begin, any number of puts and deletes, store_commit. A commit
 * that returned 0 survives power loss (LMDB's default sync flags, see STORE.md
 * for why no other). Turns that wrote anything are numbered 1, 2, ... without
 * gaps; the number is stored in the same transaction. A turn without writes
 * costs no I/O.
 *
 * Memory:  values returned by reads point into the map and are borrowed until
 *          the next put, delete or end of the transaction.
 * Threads: the writer functions belong to the thread that opened the store;
 *          each struct store_reader belongs to the thread that opened it.
 * Time:    none.
 * Errors:  0 or a negative errno. -ENOSPC: map or disk full. -EIO: the disk
 *          failed; the transaction is lost and the process must not go on.
 */
#ifndef POOLS_STORE_H
#define POOLS_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    STORE_SCHEMA = 1,    /* rule for changing it: STORE.md */
    STORE_KEY_MAX = 64,  /* bytes */
    STORE_WHY_MAX = 400, /* bytes of an explanation, with NUL */
    STORE_READERS_MAX = 126,
};

enum store_table {
    STORE_META,    /* "schema", "turn" */
    STORE_RUN,     /* run id -> what changes about a run */
    STORE_ORIGIN,  /* run id -> what never changes: request and decision */
    STORE_PLAN,    /* run id -> plan, parameters */
    STORE_ATTEMPT, /* run id, attempt -> who had it, when, how it ended */
    STORE_NODE,    /* run id, node -> last known state */
    STORE_LOG,     /* run id, attempt, event -> output */
    STORE_LIVE,    /* run id -> progress of its output: those not ended */
    STORE_POOL,    /* name -> state and overrides */
    STORE_AGENT,   /* name -> state set by an operator */
    STORE_REQUEST, /* idempotency key -> run id, hash of the request */
    STORE_MEASURE, /* place of a workflow -> what its last run read */
    STORE_TABLES
};

struct store_bytes {
    const void *ptr;
    size_t len;
};

struct store_options {
    size_t map_bytes;    /* most the file may grow to; 0: 16 GiB */
    bool keep_writes;    /* record each turn's write set */
    bool unsafe_no_sync; /* simulators only: a commit is not durable */
};

struct store;

/* Opens or creates the store in directory `dir` (created 0700 when missing).
 * On failure ret_why is a sentence: what, where, what to do.
 * -EWOULDBLOCK: another process has it open. -EPROTO: a newer schema or a
 * foreign file. -EACCES, -ENOMEM, -EIO, -ENOSPC, other errno of the system. */
int store_open(const char *dir, const struct store_options *options,
               struct store **ret_store, char ret_why[STORE_WHY_MAX]);
/* Ends a turn in progress without effect, closes, sets *store_p to NULL. */
void store_close(struct store **store_p);

int store_begin(struct store *store);
int store_put(struct store *store, enum store_table table, const void *key,
              size_t key_bytes, const void *value, size_t value_bytes);
/* Deleting what is not there is fine. */
int store_delete(struct store *store, enum store_table table, const void *key,
                 size_t key_bytes);
/* Sees the turn's own writes. -ENOENT. */
int store_get(struct store *store, enum store_table table, const void *key,
              size_t key_bytes, struct store_bytes *ret_value);
/* After any error but -ENOENT of the calls above, only store_abort() may
 * follow. */
int store_commit(struct store *store);
void store_abort(struct store *store);

/* Number of the last committed turn that wrote something. */
uint64_t store_turn(const struct store *store);

/* One put (value set) or delete (value.ptr NULL) of a turn. */
struct store_write {
    enum store_table table;
    struct store_bytes key, value;
};
/* The last committed turn's writes in order, with keep_writes; borrowed until
 * the next store_begin(). */
const struct store_write *store_writes(const struct store *store,
                                       size_t *ret_count);

/* Part of the map in use, 0..1000; 1000 also when the disk has less than
 * STORE_DISK_RESERVE bytes left. Accepting work stops at STORE_FULL_PERMILLE,
 * so that what is accepted can always be completed. */
enum { STORE_FULL_PERMILLE = 950, STORE_DISK_RESERVE = 16 << 20 };
unsigned store_used_permille(const struct store *store);

/* ---- reading: any thread, its own reader ------------------------------- */

/* Keep a read open for milliseconds only: while it is, no page it can see is
 * reused. */

struct store_reader;
int store_reader_open(struct store *store, struct store_reader **ret_reader);
void store_reader_close(struct store_reader **reader_p);
int store_read_begin(struct store_reader *reader);
void store_read_end(struct store_reader *reader);
/* -ENOENT. */
int store_read(struct store_reader *reader, enum store_table table,
               const void *key, size_t key_bytes,
               struct store_bytes *ret_value);

/* Walks keys from the first one >= from (or, backward, from the last one
 * <= from; NULL from: the very end) while `each` returns true. Borrowed until
 * `each` returns. */
typedef bool store_each(void *context, struct store_bytes key,
                        struct store_bytes value);
int store_walk(struct store_reader *reader, enum store_table table,
               const void *from, size_t from_bytes, bool backward,
               store_each *each, void *context);
/* The walk of the writer inside a turn: sees its own writes; forward only. */
int store_scan(struct store *store, enum store_table table, const void *from,
               size_t from_bytes, store_each *each, void *context);

#endif
