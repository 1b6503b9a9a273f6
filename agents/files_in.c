/* files_in.c - see files_inside.h: a window over a file. */
#include "agents/files_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

size_t files_in_most = 4 * (size_t)FILES_CHUNK;

int files_in_open(struct files_in *in, int fd)
{
    *in = (struct files_in){.fd = fd, .room = FILES_CHUNK};
    in->buffer = malloc(in->room);
    if (!in->buffer) {
        files_in_close(in);
        return -ENOMEM;
    }
    posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return 0;
}

void files_in_close(struct files_in *in)
{
    if (in->fd >= 0)
        close(in->fd);
    free(in->buffer);
    *in = (struct files_in){.fd = -1};
}

/* Room for a read that is worth it. */
static int make_room(struct files_in *in)
{
    size_t kept = in->end - in->at;

    if (in->room - in->end >= FILES_CHUNK / 2)
        return 0;
    memmove(in->buffer, in->buffer + in->at, kept);
    in->at = 0;
    in->end = kept;
    if (in->room - in->end >= FILES_CHUNK / 2)
        return 0;
    const size_t most = (size_t)FILES_ROW_MAX + FILES_CHUNK;
    if (in->room == most)
        return -EFBIG;
    size_t room = in->room * 2 < most ? in->room * 2 : most;
    char *larger = realloc(in->buffer, room);
    if (!larger)
        return -ENOMEM;
    in->buffer = larger;
    in->room = room;
    return 0;
}

int files_in_more(struct files_in *in)
{
    ssize_t got;

    if (in->end - in->at > FILES_ROW_MAX)
        return -EFBIG;
    int rc = make_room(in);
    if (rc < 0)
        return rc;
    size_t room = in->room - in->end;
    do {
        got = read(in->fd, in->buffer + in->end,
                   room < files_in_most ? room : files_in_most);
    } while (got < 0 && errno == EINTR);
    if (got <= 0)
        return got < 0 ? -errno : 0;
    in->end += (size_t)got;
    in->total += (uint64_t)got;
    return 1;
}

int files_in_rewind(struct files_in *in)
{
    in->at = in->end = 0;
    in->total = 0;
    return lseek(in->fd, 0, SEEK_SET) < 0 ? -errno : 0;
}

int files_in_mark(struct files_in *in)
{
    static const char mark[] = {'\xef', '\xbb', '\xbf'};
    int rc = 1;

    while (in->end - in->at < sizeof mark && rc > 0)
        rc = files_in_more(in);
    if (rc < 0)
        return rc;
    const char *first = in->buffer + in->at;
    size_t len = in->end - in->at;
    if (len >= sizeof mark && memcmp(first, mark, sizeof mark) == 0)
        in->at += sizeof mark;
    else if (len >= 2 && (memcmp(first, "\xff\xfe", 2) == 0 ||
                          memcmp(first, "\xfe\xff", 2) == 0))
        return -EILSEQ;
    return 0;
}

const char *files_in_why(int rc)
{
    switch (rc) {
    case -EFBIG:
        return "a row is larger than 128 MiB";
    case -EILSEQ:
        return "this is UTF-16; convert it to UTF-8";
    case -ENOMEM:
        return "out of memory";
    default:
        return strerror(-rc);
    }
}
