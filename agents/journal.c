/*
 * journal.c - see journal.h.
 *
 * The record's header is stored in this machine's byte order: a spool is not
 * carried to another machine. A change of the layout changes the mark.
 */
#include "agents/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

struct record_header {
    uint32_t mark;
    uint32_t len; /* of the frame that follows */
    uint64_t event;
    uint64_t check; /* of event and frame */
};

static const uint32_t record_mark = 0x31745645; /* "EVt1" */

/* FNV-1a, eight bytes a step: against torn writes, not against enemies. */
static uint64_t checksum(uint64_t event, const char *frame, size_t len)
{
    uint64_t sum = 14695981039346656037u ^ event;

    while (len >= 8) {
        uint64_t word;
        memcpy(&word, frame, 8);
        sum = (sum ^ word) * 1099511628211u;
        sum ^= sum >> 29;
        frame += 8;
        len -= 8;
    }
    for (; len > 0; frame++, len--)
        sum = (sum ^ (unsigned char)*frame) * 1099511628211u;
    return sum;
}

int journal_create(int dir_fd, struct journal_writer *ret_writer)
{
    int fd = openat(dir_fd, "journal",
                    O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);

    if (fd < 0)
        return -errno;
    *ret_writer = (struct journal_writer){.fd = fd};
    return 0;
}

int journal_append(struct journal_writer *writer, struct wire_msg *msg)
{
    char *frame;
    size_t len;
    uint64_t event = writer->last + 1;

    if (msg->type == WIRE_LOG)
        msg->log.event = event;
    else
        msg->node.event = event;
    int rc = wire_pack(msg, &frame, &len);
    if (rc < 0)
        return rc;
    struct record_header header = {
        .mark = record_mark,
        .len = (uint32_t)len,
        .event = event,
        .check = checksum(event, frame, len),
    };
    struct iovec parts[] = {
        {.iov_base = &header, .iov_len = sizeof header},
        {.iov_base = frame, .iov_len = len},
    };
    ssize_t whole = (ssize_t)(sizeof header + len);
    ssize_t n;
    do
        n = writev(writer->fd, parts, 2);
    while (n < 0 && errno == EINTR);
    int saved = n < 0 ? errno : ENOSPC;
    free(frame);
    if (n != whole) {
        /* A full disk: take back the half record, keep the number. */
        if (n > 0 && ftruncate(writer->fd, writer->bytes) < 0)
            return -errno;
        return -saved;
    }
    writer->bytes += whole;
    writer->last = event;
    return 0;
}

void journal_close_writer(struct journal_writer *writer)
{
    if (writer->fd >= 0)
        close(writer->fd);
    writer->fd = -1;
}

int journal_open_reader(int dir_fd, struct journal_reader *ret_reader)
{
    int fd = openat(dir_fd, "journal", O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    *ret_reader = (struct journal_reader){.fd = fd};
    return 0;
}

/* 1: a plausible header at the reader's place. */
static int read_header(const struct journal_reader *reader,
                       struct record_header *ret_header)
{
    ssize_t n;

    do
        n = pread(reader->fd, ret_header, sizeof *ret_header, reader->offset);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -EIO;
    return n == (ssize_t)sizeof *ret_header &&
           ret_header->mark == record_mark &&
           ret_header->event == reader->at + 1 && ret_header->len > 0 &&
           ret_header->len <= WIRE_FRAME_MAX;
}

void journal_seek(struct journal_reader *reader, uint64_t event)
{
    uint64_t number;
    const char *frame;
    size_t len;

    if (event < reader->at) {
        reader->offset = 0;
        reader->at = 0;
    }
    while (reader->at < event &&
           journal_peek(reader, &number, &frame, &len) == 1)
        journal_next(reader, number, len);
}

int journal_peek(struct journal_reader *reader, uint64_t *ret_event,
                 const char **ret_frame, size_t *ret_len)
{
    struct record_header header;
    int rc = read_header(reader, &header);

    if (rc <= 0)
        return rc;
    if (header.len > reader->room) {
        char *more = realloc(reader->buffer, header.len);
        if (!more)
            return -ENOMEM;
        reader->buffer = more;
        reader->room = header.len;
    }
    ssize_t n;
    do
        n = pread(reader->fd, reader->buffer, header.len,
                  reader->offset + (off_t)sizeof header);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -EIO;
    if (n != (ssize_t)header.len ||
        checksum(header.event, reader->buffer, header.len) != header.check)
        return 0;
    *ret_event = header.event;
    *ret_frame = reader->buffer;
    *ret_len = header.len;
    return 1;
}

void journal_next(struct journal_reader *reader, uint64_t event, size_t len)
{
    reader->offset += (off_t)(sizeof(struct record_header) + len);
    reader->at = event;
}

void journal_close_reader(struct journal_reader *reader)
{
    if (reader->fd >= 0)
        close(reader->fd);
    free(reader->buffer);
    *reader = (struct journal_reader){.fd = -1};
}
