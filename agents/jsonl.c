/*
 * jsonl.c - see files.h: reading JSON lines.
 *
 * Without `columns` the first lines are read twice: once to see which keys
 * there are and what their values have in common, then from the beginning for
 * the rows. Lines that are malformed say nothing the first time; the second
 * time they are errors, or left out.
 */
#include "agents/files_inside.h"

#include "agents/jsonl_scan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    LINES_LOOKED_AT = 1000,
    KEY_MAX = 256, /* a longer key does not become a column by itself */
};

struct jsonl {
    struct feed feed; /* first: feed_close() frees it by this */
    struct files_in in;
    struct files_rooms rooms;
    char path[VALUE_QUOTED_MAX]; /* for messages */
    size_t *name_lens;           /* of the schema's columns */
    uint64_t *seen;              /* the line that had it last */
    size_t line_len;             /* of the present line with its end */
    uint64_t line;
};

/* ---- lines -------------------------------------------------------------- */

static int fatal(struct jsonl *jsonl, const char *why)
{
    return feed_fail(&jsonl->feed, "%s: line %llu: %s", jsonl->path,
                     (unsigned long long)jsonl->line, why);
}

/* 1: a line with something in it, without its end; 0: the end; -1: error. */
static int read_line(struct jsonl *jsonl, char **ret_line, size_t *ret_len)
{
    struct files_in *in = &jsonl->in;

    for (;;) {
        size_t looked = 0;
        char *found;
        in->at += jsonl->line_len;
        jsonl->line_len = 0;
        jsonl->line++;
        while (!(found = memchr(in->buffer + in->at + looked, '\n',
                                in->end - in->at - looked))) {
            looked = in->end - in->at;
            int rc = files_in_more(in);
            if (rc < 0)
                return fatal(jsonl, files_in_why(rc));
            if (rc == 0)
                break;
        }
        char *line = in->buffer + in->at;
        size_t len = found ? (size_t)(found - line) : in->end - in->at;
        if (!found && len == 0)
            return 0;
        jsonl->line_len = len + (found != NULL);
        size_t blank = 0;
        while (blank < len && (line[blank] == ' ' || line[blank] == '\t' ||
                               line[blank] == '\r'))
            blank++;
        if (blank == len)
            continue;
        *ret_line = line;
        *ret_len = len;
        return 1;
    }
}

/* NULL, or what makes it no text. */
static const char *text_problem(const char *line, size_t len)
{
    if (files_is_plain(line, len) || value_utf8(line, len))
        return NULL;
    return memchr(line, '\0', len) ? "a NUL byte" : "bytes that are not UTF-8";
}

/* ---- columns by looking ------------------------------------------------- */

/* What the values of a column have been. */
enum {
    SAW_INTEGER = 1,
    SAW_DECIMAL = 2,
    SAW_BOOLEAN = 4,
    SAW_TEXT = 8,
};

static unsigned kind_of(const struct json_member *member)
{
    char room[VALUE_ROOM];
    const char *bytes;
    int64_t integer;
    size_t len;

    switch (member->kind) {
    case JSON_IS_NULL:
        return 0;
    case JSON_IS_TRUE:
    case JSON_IS_FALSE:
        return SAW_BOOLEAN;
    case JSON_IS_NUMBER:
        if (!member->fraction &&
            value_integer(member->value.bytes, member->value.len, &integer) ==
                0)
            return SAW_INTEGER;
        return value_check(TYPE_DECIMAL, member->value.bytes, member->value.len,
                           room, sizeof room, &bytes, &len, NULL) == 0
                   ? SAW_DECIMAL
                   : SAW_TEXT;
    default:
        return SAW_TEXT;
    }
}

static enum type type_of(unsigned saw)
{
    if (saw == SAW_BOOLEAN)
        return TYPE_BOOLEAN;
    if (saw == SAW_INTEGER)
        return TYPE_INTEGER;
    return saw == SAW_DECIMAL || saw == (SAW_INTEGER | SAW_DECIMAL)
               ? TYPE_DECIMAL
               : TYPE_TEXT;
}

/* SCHEMA_COLUMNS_MAX: none. `guess` is the column that may well be it: keys
 * mostly come in the same order. */
static size_t find_column(const struct schema *schema, const size_t *lens,
                          const struct json_piece *key, size_t guess)
{
    for (size_t i = 0; i < schema->count; i++, guess++) {
        if (guess >= schema->count)
            guess = 0;
        if (lens[guess] == key->len &&
            memcmp(schema->columns[guess].name, key->bytes, key->len) == 0)
            return guess;
    }
    return SCHEMA_COLUMNS_MAX;
}

struct looking {
    struct schema *schema;
    unsigned saw[SCHEMA_COLUMNS_MAX];
    size_t lens[SCHEMA_COLUMNS_MAX];
};

static int look_at_member(struct looking *looking, struct json_member *member,
                          size_t *guess_p)
{
    struct schema *schema = looking->schema;
    char name[KEY_MAX + 1];

    if (json_unescape(&member->key) || member->key.len == 0 ||
        member->key.len > KEY_MAX)
        return 0;
    size_t index = find_column(schema, looking->lens, &member->key, *guess_p);
    if (index == SCHEMA_COLUMNS_MAX) {
        index = schema->count;
        if (index == SCHEMA_COLUMNS_MAX)
            return -E2BIG;
        memcpy(name, member->key.bytes, member->key.len);
        name[member->key.len] = '\0';
        if (!schema_add(schema, name, TYPE_NULL))
            return -ENOMEM;
        looking->lens[index] = member->key.len;
    }
    looking->saw[index] |= kind_of(member);
    *guess_p = index + 1;
    return 0;
}

/* First as a whole, so that half of a malformed line counts for nothing. */
static int look_at_line(struct looking *looking, char *line, size_t len)
{
    struct json_scan scan;
    struct json_member member;
    size_t guess = 0;
    int rc;

    if (text_problem(line, len))
        return 0;
    json_scan_begin(&scan, line, len);
    while ((rc = json_scan_next(&scan, &member)) > 0)
        ;
    if (rc < 0)
        return 0;
    json_scan_begin(&scan, line, len);
    while (json_scan_next(&scan, &member) > 0) {
        rc = look_at_member(looking, &member, &guess);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int find_columns(struct jsonl *jsonl, char error[FILES_ERROR_MAX])
{
    struct looking *looking = calloc(1, sizeof *looking);
    struct schema *schema = &jsonl->feed.schema;
    char *line = NULL;
    size_t len = 0;
    int rc = 0, got = 0;

    if (!looking)
        return files_fail(error, -ENOMEM, "out of memory");
    looking->schema = schema;
    for (int i = 0; rc == 0 && i < LINES_LOOKED_AT; i++) {
        got = read_line(jsonl, &line, &len);
        if (got <= 0)
            break;
        rc = look_at_line(looking, line, len);
    }
    if (got < 0)
        rc = files_fail(error, -EINVAL, "%s", jsonl->feed.error);
    else if (rc == -E2BIG)
        files_fail(error, rc, "%s: line %llu: more than %d keys", jsonl->path,
                   (unsigned long long)jsonl->line, SCHEMA_COLUMNS_MAX);
    else if (rc < 0)
        files_fail(error, rc, "out of memory");
    else if (schema->count == 0)
        rc = files_fail(error, -EINVAL,
                        "%s: no keys in its first lines: name its columns in "
                        "`columns`",
                        jsonl->path);
    for (size_t i = 0; i < schema->count; i++)
        schema->columns[i].type = type_of(looking->saw[i]);
    free(looking);
    jsonl->line = 0;
    jsonl->line_len = 0;
    if (rc == 0 && files_in_rewind(&jsonl->in) < 0)
        rc = files_fail(error, -EIO, "%s cannot be read again", jsonl->path);
    return rc;
}

/* Columns of `columns` that have no type are text. */
static void settle_types(struct schema *schema)
{
    for (size_t i = 0; i < schema->count; i++)
        if (schema->columns[i].type == TYPE_NULL)
            schema->columns[i].type = TYPE_TEXT;
}

/* ---- rows --------------------------------------------------------------- */

static int bad_line(struct jsonl *jsonl, const char *why)
{
    return files_bad_row(&jsonl->feed, "%s: line %llu: %s", jsonl->path,
                         (unsigned long long)jsonl->line, why);
}

static int bad_key(struct jsonl *jsonl, const struct json_piece *key,
                   const char *why)
{
    char shown[VALUE_QUOTED_MAX];

    return files_bad_row(&jsonl->feed, "%s: line %llu, key %s: %s", jsonl->path,
                         (unsigned long long)jsonl->line,
                         value_quote(key->bytes, key->len, shown), why);
}

static int not_of_type(const struct json_member *member, enum type type,
                       char why[VALUE_WHY_MAX])
{
    static const char *const kinds[] = {
        [JSON_IS_NULL] = "null",       [JSON_IS_TRUE] = "true",
        [JSON_IS_FALSE] = "false",     [JSON_IS_NUMBER] = "a number",
        [JSON_IS_STRING] = "a string", [JSON_IS_NESTED] = "an object or array",
    };

    snprintf(why, VALUE_WHY_MAX, "%s where %s is expected", kinds[member->kind],
             type_name(type));
    return -EINVAL;
}

/* Is a value of this kind one that could be of that type? */
static bool can_be(enum json_kind kind, enum type type)
{
    switch (type) {
    case TYPE_TEXT:
        return true;
    case TYPE_INTEGER:
    case TYPE_DECIMAL:
    case TYPE_DOUBLE:
        return kind == JSON_IS_NUMBER || kind == JSON_IS_STRING;
    case TYPE_BOOLEAN:
        return kind != JSON_IS_NESTED;
    default:
        return kind == JSON_IS_STRING;
    }
}

static int set_cell(struct jsonl *jsonl, size_t column,
                    const struct json_member *member, char why[VALUE_WHY_MAX])
{
    struct cell *cell = &jsonl->feed.cells[column];
    enum type type = jsonl->feed.schema.columns[column].type;
    const struct json_piece *value = &member->value;

    if (member->kind == JSON_IS_NULL)
        return 0;
    if (!can_be(member->kind, type))
        return not_of_type(member, type, why);
    if (value->len > FILES_CELL_MAX) {
        snprintf(why, VALUE_WHY_MAX, "a value is larger than 64 MiB");
        return -EFBIG;
    }
    if (type == TYPE_TEXT) {
        *cell = (struct cell){value->bytes, value->len};
        return 0;
    }
    if (type == TYPE_BYTES) {
        size_t len;
        if (value_base64_read(value->bytes, value->len, value->bytes, &len) <
            0) {
            snprintf(why, VALUE_WHY_MAX, "this is not base64");
            return -EINVAL;
        }
        *cell = (struct cell){value->bytes, len};
        return 0;
    }
    return files_cell(&jsonl->rooms, &jsonl->feed.schema, column, value->bytes,
                      value->len, cell, why);
}

/* 1: the member is where it belongs; 0: the row is left out; -1: error. */
static int take_member(struct jsonl *jsonl, struct json_member *member,
                       size_t *guess_p)
{
    char why[VALUE_WHY_MAX];
    const char *wrong = json_unescape(&member->key);

    if (!wrong && member->kind == JSON_IS_STRING)
        wrong = json_unescape(&member->value);
    if (wrong)
        return bad_line(jsonl, wrong);
    size_t column = find_column(&jsonl->feed.schema, jsonl->name_lens,
                                &member->key, *guess_p);
    if (column == SCHEMA_COLUMNS_MAX)
        return bad_key(jsonl, &member->key, "this is not among the columns");
    if (jsonl->seen[column] == jsonl->line)
        return bad_key(jsonl, &member->key, "it is there twice");
    jsonl->seen[column] = jsonl->line;
    *guess_p = column + 1;
    if (set_cell(jsonl, column, member, why) < 0)
        return bad_key(jsonl, &member->key, why);
    return 1;
}

static int take_line(struct jsonl *jsonl, char *line, size_t len)
{
    const struct schema *schema = &jsonl->feed.schema;
    struct json_scan scan;
    struct json_member member;
    const char *wrong = text_problem(line, len);
    size_t guess = 0;
    int rc;

    if (wrong)
        return bad_line(jsonl, wrong);
    memset(jsonl->feed.cells, 0, schema->count * sizeof *jsonl->feed.cells);
    json_scan_begin(&scan, line, len);
    while ((rc = json_scan_next(&scan, &member)) > 0) {
        rc = take_member(jsonl, &member, &guess);
        if (rc <= 0)
            return rc;
    }
    return rc < 0 ? bad_line(jsonl, scan.why) : 1;
}

static int jsonl_next(struct feed *feed)
{
    struct jsonl *jsonl = (struct jsonl *)feed;
    char *line;
    size_t len;

    for (;;) {
        int rc = read_line(jsonl, &line, &len);
        if (rc > 0)
            rc = take_line(jsonl, line, len);
        else if (rc == 0)
            return 0;
        feed->bytes = jsonl->in.total;
        if (rc > 0)
            feed->rows++;
        if (rc != 0)
            return rc;
    }
}

static void jsonl_close(struct feed *feed)
{
    struct jsonl *jsonl = (struct jsonl *)feed;

    free(jsonl->name_lens);
    free(jsonl->seen);
    free(feed->cells);
    schema_clear(&feed->schema);
    files_rooms_clear(&jsonl->rooms);
    files_in_close(&jsonl->in);
    free(jsonl);
}

/* ---- opening ------------------------------------------------------------ */

static int make_columns(struct jsonl *jsonl, char error[FILES_ERROR_MAX])
{
    const struct schema *schema = &jsonl->feed.schema;
    size_t count = schema->count;

    jsonl->name_lens = calloc(count + 1, sizeof *jsonl->name_lens);
    jsonl->seen = calloc(count + 1, sizeof *jsonl->seen);
    jsonl->feed.cells = calloc(count + 1, sizeof *jsonl->feed.cells);
    if (!jsonl->name_lens || !jsonl->seen || !jsonl->feed.cells ||
        files_rooms_make(&jsonl->rooms, schema) < 0)
        return files_fail(error, -ENOMEM, "out of memory");
    for (size_t i = 0; i < count; i++)
        jsonl->name_lens[i] = strlen(schema->columns[i].name);
    return 0;
}

static int open_jsonl(struct jsonl *jsonl, const json_t *config,
                      char error[FILES_ERROR_MAX])
{
    int rc = files_columns(config, &jsonl->feed.schema, error);

    if (rc < 0)
        return rc;
    rc = files_in_mark(&jsonl->in);
    if (rc == 0 && jsonl->feed.schema.count == 0) {
        rc = find_columns(jsonl, error);
        if (rc < 0)
            return rc;
        rc = files_in_mark(&jsonl->in);
    }
    if (rc < 0)
        return files_fail(error, rc, "%s: %s", jsonl->path, files_in_why(rc));
    settle_types(&jsonl->feed.schema);
    return make_columns(jsonl, error);
}

int jsonl_feed_fd(int fd, const char *path, const json_t *config,
                  struct feed **ret_feed, char error[FILES_ERROR_MAX])
{
    struct jsonl *jsonl = calloc(1, sizeof *jsonl);

    if (!jsonl) {
        close(fd);
        return files_fail(error, -ENOMEM, "out of memory");
    }
    if (files_in_open(&jsonl->in, fd) < 0) {
        free(jsonl);
        return files_fail(error, -ENOMEM, "out of memory");
    }
    jsonl->feed.next = jsonl_next;
    jsonl->feed.close = jsonl_close;
    value_quote(path, strlen(path), jsonl->path);
    int rc = open_jsonl(jsonl, config, error);
    if (rc < 0) {
        jsonl_close(&jsonl->feed);
        return rc;
    }
    *ret_feed = &jsonl->feed;
    return 0;
}

int jsonl_feed(const char *root, const json_t *config, struct feed **ret_feed,
               char error[FILES_ERROR_MAX])
{
    const char *path = NULL;
    int fd = -1;
    int rc = files_path(config, &path, error);

    if (rc == 0)
        rc = files_open(root, path, &fd, error);
    return rc < 0 ? rc : jsonl_feed_fd(fd, path, config, ret_feed, error);
}
