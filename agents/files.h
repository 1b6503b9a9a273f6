/*
 * files.h - CSV (RFC 4180) and JSON lines as feeds and sinks.
 *
 * Paths are relative to settings' data.files and cannot leave it (openat2 with
 * RESOLVE_BENEATH; no symlink out of it, no ".."). Directories in the path are
 * made when writing. A written file appears under its name only at commit
 * (temporary name in the same directory, fsync, rename, fsync of the
 * directory).
 *
 * CSV reading: delimiter, quote, header (default true) and the text that is
 * NULL (default: an empty unquoted field) as configured; quoted fields may have
 * line breaks and doubled quotes; LF, CRLF and CR at line ends; a UTF-8 byte
 * order mark is dropped; blank lines at the end are ignored. Columns are text
 * unless `columns` gives a type; with a header `columns` chooses and orders by
 * name, without one it names by position, and c1, c2, ... are the names when it
 * is missing. A ragged row, a quote out of place, bytes that are not UTF-8 or a
 * value not of its type are errors with line and column, or rejected rows. A
 * cell or row beyond its limit, and a quote that is never closed, are always
 * errors: what is behind them cannot be told apart.
 * In a file of one column every blank line is a row.
 *
 * JSON lines: one object a line; columns are `columns`, else the keys of the
 * first 1,000 lines in order of appearance; types as given, else from those
 * lines: integers, decimals (a number with a point or exponent), booleans,
 * else text; objects and arrays are their JSON as text. A missing key is NULL,
 * a key that is no column is an error, or a rejected row.
 *
 * Writing: CSV quotes what has to be quoted, NULL is `null` (default: nothing,
 * and an empty string is ""), booleans are true/false, bytes \x hex. JSON
 * lines: integers, doubles and decimals as numbers, bytes as base64.
 *
 * Memory, threads: as feed.h and sink.h. Errors: 0 or a negative errno and a
 * sentence that names the file as the document does.
 */
#ifndef AGENTS_FILES_H
#define AGENTS_FILES_H

#include "agents/feed.h"
#include "agents/sink.h"

#include <jansson.h>

enum {
    FILES_ERROR_MAX = 512,
    FILES_CELL_MAX = 64 * 1024 * 1024,
    FILES_ROW_MAX = 2 * FILES_CELL_MAX, /* as it is in the file */
};

/* config: the node's, as DATA.md has it. root: data.files. */
int csv_feed(const char *root, const json_t *config, struct feed **ret_feed,
             char error[FILES_ERROR_MAX]);
int jsonl_feed(const char *root, const json_t *config, struct feed **ret_feed,
               char error[FILES_ERROR_MAX]);
/* given: the columns that will come; schema is the same. */
int csv_sink(const char *root, const json_t *config, const struct schema *given,
             struct sink **ret_sink, char error[FILES_ERROR_MAX]);
int jsonl_sink(const char *root, const json_t *config,
               const struct schema *given, struct sink **ret_sink,
               char error[FILES_ERROR_MAX]);
/* The size of a file, -1: there is none. */
int64_t files_size(const char *root, const char *path);

#endif
