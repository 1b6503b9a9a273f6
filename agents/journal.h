/*
 * journal.h - the numbered events (NODE, LOG) of one attempt, on disk.
 *
 * One writer, the shepherd, appends; one reader, the agent, ships from any
 * event on. A record is a header (mark, length, event number, checksum) and
 * then the wire frame itself, so shipping is copying. A record is appended by
 * one write(2); what is not whole or does not match its checksum is the end of
 * the journal: "not yet" while the shepherd lives, a torn tail after it.
 *
 * The journal is not synced: after a power loss the tail of the output may be
 * missing. The result (spool.h) is, and it carries the state of every node.
 *
 * Memory:  a reader owns one buffer; frames are borrowed until its next call.
 * Threads: none.
 * Errors:  0 or a negative errno.
 */
#ifndef AGENTS_JOURNAL_H
#define AGENTS_JOURNAL_H

#include "agents/wire.h"

#include <stdbool.h>
#include <sys/types.h>

/* ---- writing --------------------------------------------------------- */

struct journal_writer {
    int fd;
    uint64_t last; /* number of the last event, 0: none yet */
    off_t bytes;
};

/* Creates "journal" in the directory. -EEXIST and what openat() returns. */
int journal_create(int dir_fd, struct journal_writer *ret_writer);
/* Numbers *msg (a NODE or a LOG) and appends it. On failure (-ENOSPC, -EIO,
 * -EMSGSIZE, -ENOMEM) the journal is as it was before and the number is free.
 */
int journal_append(struct journal_writer *writer, struct wire_msg *msg);
void journal_close_writer(struct journal_writer *writer);

/* ---- reading --------------------------------------------------------- */

struct journal_reader {
    int fd;       /* -1: closed */
    off_t offset; /* of the next record */
    uint64_t at;  /* number of the last event before offset */
    char *buffer;
    size_t room;
};

/* -ENOENT: the shepherd has not made it yet. */
int journal_open_reader(int dir_fd, struct journal_reader *ret_reader);
/* Moves behind event number `event` (0: to the beginning), or as near to it as
 * there are whole records. */
void journal_seek(struct journal_reader *reader, uint64_t event);
/* The next record, without moving: 1 and the frame; 0: none (yet). -EIO,
 * -ENOMEM. */
int journal_peek(struct journal_reader *reader, uint64_t *ret_event,
                 const char **ret_frame, size_t *ret_len);
/* Moves behind what journal_peek() showed. */
void journal_next(struct journal_reader *reader, uint64_t event, size_t len);
void journal_close_reader(struct journal_reader *reader);

#endif
