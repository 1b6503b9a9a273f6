/*
 * files_inside.h - what the readers and writers of files.h share: paths that
 * cannot leave the root, a window over a file, a file that appears when it is
 * complete, the parts of a configuration.
 *
 * Memory, threads: as feed.h and sink.h.
 * Errors:          0 or a negative errno.
 */
#ifndef AGENTS_FILES_INSIDE_H
#define AGENTS_FILES_INSIDE_H

#include "agents/files.h"
#include "agents/values.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* ---- files.c ------------------------------------------------------------ */

/* The configuration's path, when it is one: relative, without ".." and control
 * characters. -EINVAL: error says why. Borrowed from config. */
int files_path(const json_t *config, const char **ret_path,
               char error[FILES_ERROR_MAX]);
/* A regular file, for reading. error names path. */
int files_open(const char *root, const char *path, int *ret_fd,
               char error[FILES_ERROR_MAX]);
/* The directory that path is to be in, made if need be, and the name there. */
int files_open_directory(const char *root, const char *path, int *ret_fd,
                         const char **ret_name, char error[FILES_ERROR_MAX]);
/* `columns` of [{name, type?, precision?, scale?}]; a type that is not said is
 * TYPE_NULL. Without `columns` ret_schema stays empty. */
int files_columns(const json_t *config, struct schema *ret_schema,
                  char error[FILES_ERROR_MAX]);
/* Sets error and returns rc. */
int files_fail(char error[FILES_ERROR_MAX], int rc, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* What becomes of a row that is not right: 0: left out and told, go on; -1:
 * feed->error is set. */
int files_bad_row(struct feed *feed, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Are all bytes 1 to 127? */
bool files_is_plain(const char *bytes, size_t len);

/* Where values of columns that are not text take their canonical form: a room
 * of VALUE_ROOM for each that needs one. */
struct files_rooms {
    char *bytes;
    size_t *offsets; /* by column; those without a room have any */
};
int files_rooms_make(struct files_rooms *rooms, const struct schema *schema);
void files_rooms_clear(struct files_rooms *rooms);
/* A foreign text as a cell of this column: value_check() and value_fits(). */
int files_cell(const struct files_rooms *rooms, const struct schema *schema,
               size_t column, char *bytes, size_t len, struct cell *ret_cell,
               char *why);

/* ---- csv_write.c --------------------------------------------------------- */

/* What a configuration says of CSV. */
struct csv_format {
    char delimiter, quote; /* quote 0: none */
    bool header;
    const char *null; /* borrowed from the configuration */
};
int csv_format_read(const json_t *config, struct csv_format *ret_format,
                    char error[FILES_ERROR_MAX]);

/* ---- files_in.c: a window over a file ----------------------------------- */

enum { FILES_CHUNK = 256 * 1024 };

/* The bytes from `at`, where the row begins that is being read, to `end`. */
struct files_in {
    int fd; /* -1: none */
    char *buffer;
    size_t room, at, end;
    uint64_t total; /* read from the file so far */
};

/* Bytes of one read at most, so that a cell that is too large is seen soon.
 * Tests make it small, to have every byte be the last of a read. */
extern size_t files_in_most;

/* fd is taken, also on failure. */
int files_in_open(struct files_in *in, int fd);
void files_in_close(struct files_in *in);
/* Makes end - at larger, and may move all. 1: it is; 0: the end of the file;
 * -EFBIG: the row is larger than FILES_ROW_MAX; of read(2); -ENOMEM. */
int files_in_more(struct files_in *in);
/* From the first byte again. */
int files_in_rewind(struct files_in *in);
/* Drops the mark that UTF-8 files may begin with. -EILSEQ: one of UTF-16. */
int files_in_mark(struct files_in *in);
/* What files_in_more() answered, as the end of a sentence. */
const char *files_in_why(int rc);

/* Taken as if it had been opened by its path, which is for messages and
 * borrowed for the call. fd is taken, also on failure, and can be read again
 * from its beginning. */
int csv_feed_fd(int fd, const char *path, const json_t *config,
                struct feed **ret_feed, char error[FILES_ERROR_MAX]);
int jsonl_feed_fd(int fd, const char *path, const json_t *config,
                  struct feed **ret_feed, char error[FILES_ERROR_MAX]);

/* ---- files_out.c: a file that appears when it is complete --------------- */

struct files_out {
    int directory_fd, fd; /* -1: none */
    char name[NAME_MAX + 1];
    char temporary[NAME_MAX + 1]; /* "": it has no name yet */
    char *buffer;
    size_t len;
    uint64_t bytes; /* put so far */
    int rc;         /* of the first write that failed; all after is nothing */
};

int files_out_open(struct files_out *out, const char *root, const char *path,
                   char error[FILES_ERROR_MAX]);
void files_out_flush(struct files_out *out);
/* Everything is on disk under its name, or a negative errno. */
int files_out_commit(struct files_out *out);
/* Closes; what is not committed is gone. */
void files_out_close(struct files_out *out);
void files_out_put_large(struct files_out *out, const char *bytes, size_t len);

static inline void files_out_put(struct files_out *out, const char *bytes,
                                 size_t len)
{
    if (len > FILES_CHUNK - out->len) {
        files_out_put_large(out, bytes, len);
        return;
    }
    memcpy(out->buffer + out->len, bytes, len);
    out->len += len;
    out->bytes += len;
}

static inline void files_out_put_char(struct files_out *out, char c)
{
    files_out_put(out, &c, 1);
}

/* ---- files_sink.c: what the sinks have in common ------------------------ */

struct file_sink {
    struct sink sink; /* first: sink_close() frees by this */
    struct files_out out;
    char *root, *path;
    char shown[VALUE_QUOTED_MAX]; /* the path, for messages */
    bool open;
};

/* Fills all but begin, row and close. On failure, too, it is to be cleared. */
int file_sink_init(struct file_sink *file, const char *root, const char *path,
                   const struct schema *given, char error[FILES_ERROR_MAX]);
void file_sink_clear(struct file_sink *file);
enum sink_answer file_sink_open(struct file_sink *file);
/* A row is in the buffer. */
enum sink_answer file_sink_count(struct file_sink *file);
/* Sets the sink's error and returns SINK_FAILED. */
enum sink_answer file_sink_failed(struct file_sink *file, int rc);

#endif
