/*
 * packed.h - one record of the store as bytes: a msgpack array that begins
 * with a version. The writer is msgpack-c's packer; the reader is a cursor.
 *
 * The rule for changing a record: a new field is appended, and who reads an
 * older record finds 0, false or NULL in it; a field is never removed, moved
 * or given another meaning without a new version and a migration of the store
 * (STORE.md). Trailing fields that are not known are passed over.
 *
 * Why a cursor: msgpack-c builds a tree in as much memory as the counts in the
 * bytes ask for, and a start with a million records wants none. The cursor
 * believes no count and allocates once, at most twice the bytes it was given
 * and the fixed part of the record: every string of n bytes takes at least
 * n + 1 bytes packed, so the copies of all strings, each with its NUL, fit
 * into as many bytes as the packed record has.
 *
 * Memory:  as each function says.
 * Threads: none; pure.
 * Errors:  kept until packed_writer_end() and packed_reader_end() return them.
 */
#ifndef POOLS_PACKED_H
#define POOLS_PACKED_H

#include "pools/run.h"

#include <msgpack.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PACKED_VERSION = 1, PACKED_BYTES_MAX = 16 * 1024 * 1024 };

/* ---- writing ------------------------------------------------------------ */

struct packed_writer {
    msgpack_sbuffer buffer;
    msgpack_packer packer;
    int failed; /* not 0: no memory */
};

/* Begins a record of `fields` fields after its version; bytes_guess is about
 * how long it will be. packed_writer_end() must follow. */
void packed_writer_start(struct packed_writer *w, size_t fields,
                         size_t bytes_guess);
/* *ret is malloc'ed and the caller's. -ENOMEM. -EMSGSIZE: over
 * PACKED_BYTES_MAX, could not be read back. */
int packed_writer_end(struct packed_writer *w, void **ret, size_t *ret_bytes);

void packed_put_array(struct packed_writer *w, size_t count);
void packed_put_uint(struct packed_writer *w, uint64_t value);
void packed_put_int(struct packed_writer *w, int64_t value);
void packed_put_bool(struct packed_writer *w, bool value);
void packed_put_text(struct packed_writer *w, const char *text); /* or NULL */
void packed_put_bytes(struct packed_writer *w, const void *bytes, size_t len);

/* ---- reading ------------------------------------------------------------ */

/* A cursor over the items of one array. Reading beyond its last item yields
 * zeroes. The first thing that is wrong ends the input: everything read from
 * then on is zero, and packed_reader_end() says -EBADMSG. */
struct packed_reader {
    const uint8_t *at, *end;
    size_t left; /* items of the current array not yet read */
    bool bad;
    char *text, *text_end; /* room for copies of strings */
};

/* Starts on a record that has at least `fields` fields after its version; the
 * bytes are borrowed until packed_reader_end(). */
void packed_reader_start(struct packed_reader *r, const void *bytes, size_t len,
                         size_t fields);
/* The record's zeroed struct with room behind it for its strings, one
 * allocation, to be freed with free(). NULL: no memory. */
void *packed_record(struct packed_reader *r, size_t record_bytes, size_t len);
/* 0, or -EBADMSG: something was wrong, or bytes are left over. */
int packed_reader_end(struct packed_reader *r);
/* The caller found a value that cannot be. */
void packed_fail(struct packed_reader *r);

uint64_t packed_uint(struct packed_reader *r, uint64_t max);
uint32_t packed_u32(struct packed_reader *r);
int64_t packed_int(struct packed_reader *r, int64_t min, int64_t max);
int64_t packed_i64(struct packed_reader *r);
bool packed_bool(struct packed_reader *r);
/* Copied behind the record; "" or NULL when it is nil or absent. */
const char *packed_text(struct packed_reader *r);
const char *packed_text_or_null(struct packed_reader *r);
/* room includes the NUL. */
void packed_text_into(struct packed_reader *r, char *buf, size_t room);
/* Borrowed from the input. */
struct span packed_bytes(struct packed_reader *r);

/* Steps into an array of min..max items; what it returns is for packed_leave(),
 * which passes over what is left of it. */
size_t packed_enter(struct packed_reader *r, size_t min, size_t max);
void packed_leave(struct packed_reader *r, size_t outer);

#endif
