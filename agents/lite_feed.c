/*
 * lite_feed.c - the rows of a query on a SQLite file; see lite.h.
 *
 * A SQLite column holds whatever somebody put there, so every value is looked
 * at: what has the storage class that one expects of the column's type is
 * copied or printed at once, the rest goes through values.h as a text, or is
 * refused.
 */
#include "agents/clock.h"
#include "agents/lite_inside.h"
#include "agents/values.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct lite_feed {
    struct feed feed;
    struct lite *lite;
    sqlite3_stmt *stmt;
    char *rooms; /* VALUE_ROOM a column */
    int64_t deadline_ms;
    bool started, ended;
    char why[VALUE_WHY_MAX];
};

/* The decimal digits of value at the end of room; returns where they begin. */
static char *print_integer(int64_t value, char *end)
{
    uint64_t left = value < 0 ? -(uint64_t)value : (uint64_t)value;

    do
        *--end = (char)('0' + left % 10);
    while (left /= 10);
    if (value < 0)
        *--end = '-';
    return end;
}

enum { INTEGER_ROOM = 24 };

static void give_integer(struct cell *cell, int64_t value, char *room)
{
    char *end = room + INTEGER_ROOM;

    cell->bytes = print_integer(value, end);
    cell->len = (size_t)(end - cell->bytes);
}

/* Most numbers in a file are a few digits with a few behind the point, and
 * these need no search for the shortest text: an integer below 2^53 and a power
 * of ten are exact doubles, so that their quotient is the double nearest to the
 * decimal, and fifteen digits tell every two doubles apart. False: not one. */
static bool give_short_real(struct cell *cell, double value, char *room)
{
    static const double POWERS[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};
    enum { BEHIND_MAX = sizeof POWERS / sizeof POWERS[0] - 1 };
    char *end = room + INTEGER_ROOM, *first;
    double digits = value;
    int behind = 0;

    if (value == 0) /* it may be -0 */
        return false;
    while (digits != trunc(digits) || digits / POWERS[behind] != value) {
        if (++behind > BEHIND_MAX)
            return false;
        digits = value * POWERS[behind];
    }
    if (fabs(digits) >= 1e15)
        return false;
    first = print_integer((int64_t)fabs(digits), end);
    while (end - first <= behind)
        *--first = '0';
    if (behind > 0) {
        memmove(first - 1, first, (size_t)(end - first - behind));
        first--;
        *(end - behind - 1) = '.';
    }
    if (value < 0)
        *--first = '-';
    cell->bytes = first;
    cell->len = (size_t)(end - first);
    return true;
}

/* numeric(10,2) has 12.50 and not 12.5, which is all that SQLite kept of it:
 * digits behind the point up to the declared scale. */
static void pad_decimal(const struct column *column, struct cell *cell,
                        char *room)
{
    const char *point = memchr(cell->bytes, '.', cell->len);
    size_t behind = point ? cell->len - (size_t)(point - cell->bytes) - 1 : 0;
    size_t scale = column->scale > 0 ? (size_t)column->scale : 0, add;

    if (behind >= scale)
        return;
    add = scale - behind + !point;
    if (cell->len + add >= VALUE_ROOM)
        return;
    memmove(room, cell->bytes, cell->len);
    if (!point)
        room[cell->len] = '.';
    memset(room + cell->len + !point, '0', scale - behind);
    cell->bytes = room;
    cell->len += add;
}

/* A text (of whatever storage class) as a value of the column's type. */
static int check_text(struct lite_feed *reader, const struct column *column,
                      const char *bytes, size_t len, char *room,
                      struct cell *cell)
{
    int err = value_check(column->type, bytes, len, room, VALUE_ROOM,
                          &cell->bytes, &cell->len, reader->why);

    if (!err && column->type == TYPE_DECIMAL)
        pad_decimal(column, cell, room);
    return err;
}

static int refuse(struct lite_feed *reader, const struct column *column,
                  const char *what)
{
    snprintf(reader->why, sizeof reader->why, "%s is not a value of type %s",
             what, type_name(column->type));
    return -EINVAL;
}

static int convert_integer(struct lite_feed *reader,
                           const struct column *column, int64_t value,
                           char *room, struct cell *cell)
{
    char what[40];

    switch (column->type) {
    case TYPE_TEXT:
    case TYPE_INTEGER:
    case TYPE_DOUBLE:
        give_integer(cell, value, room);
        return 0;
    case TYPE_DECIMAL:
        give_integer(cell, value, room);
        pad_decimal(column, cell, room);
        return 0;
    case TYPE_BOOLEAN:
        if (value == 0 || value == 1) {
            cell->bytes = value ? "t" : "f";
            cell->len = 1;
            return 0;
        }
        break;
    case TYPE_NULL:
    case TYPE_DATE:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
    case TYPE_BYTES:
    case TYPES:
        break;
    }
    snprintf(what, sizeof what, "the number %lld", (long long)value);
    return refuse(reader, column, what);
}

static int convert_real(struct lite_feed *reader, const struct column *column,
                        double value, char *room, struct cell *cell)
{
    char printed[VALUE_DOUBLE_ROOM], what[60];
    size_t len;

    if (!isfinite(value))
        return refuse(reader, column, value > 0 ? "infinity" : "-infinity");
    switch (column->type) {
    case TYPE_DOUBLE:
        if (give_short_real(cell, value, room))
            return 0;
        cell->len = value_print_double(value, room);
        cell->bytes = room;
        return 0;
    case TYPE_TEXT: /* in this form, exponent and all */
        cell->len = value_print_double(value, room);
        cell->bytes = room;
        return 0;
    case TYPE_DECIMAL:
        if (give_short_real(cell, value, room)) {
            pad_decimal(column, cell, room);
            return 0;
        }
        len = value_print_double(value, printed);
        return check_text(reader, column, printed, len, room, cell);
    case TYPE_INTEGER: /* SQLite would have made 5.0 a 5; others may not */
        if (column->type == TYPE_INTEGER && value == trunc(value) &&
            fabs(value) < 9007199254740992.0) {
            give_integer(cell, (int64_t)value, room);
            return 0;
        }
        len = value_print_double(value, printed);
        return check_text(reader, column, printed, len, room, cell);
    case TYPE_NULL:
    case TYPE_BOOLEAN:
    case TYPE_DATE:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
    case TYPE_BYTES:
    case TYPES:
        break;
    }
    value_print_double(value, printed);
    snprintf(what, sizeof what, "the number %s", printed);
    return refuse(reader, column, what);
}

/* Reads column i of the row. -ENOMEM, or why is set. */
static int convert(struct lite_feed *reader, int i)
{
    const struct column *column = &reader->feed.schema.columns[i];
    struct cell *cell = &reader->feed.cells[i];
    char *room = reader->rooms + (size_t)i * VALUE_ROOM;
    sqlite3_stmt *stmt = reader->stmt;
    const char *bytes;
    size_t len;

    switch (sqlite3_column_type(stmt, i)) {
    case SQLITE_NULL:
        *cell = (struct cell){0};
        return 0;
    case SQLITE_INTEGER:
        return convert_integer(reader, column, sqlite3_column_int64(stmt, i),
                               room, cell);
    case SQLITE_FLOAT:
        return convert_real(reader, column, sqlite3_column_double(stmt, i),
                            room, cell);
    case SQLITE_TEXT:
        bytes = (const char *)sqlite3_column_text(stmt, i);
        if (!bytes)
            return -ENOMEM;
        len = (size_t)sqlite3_column_bytes(stmt, i);
        break;
    default:
        bytes = sqlite3_column_blob(stmt, i);
        len = (size_t)sqlite3_column_bytes(stmt, i);
        if (!bytes && len > 0)
            return -ENOMEM;
        if (!bytes)
            bytes = ""; /* an empty BLOB is not NULL */
        /* Some programs write texts as BLOBs; nothing else is one. */
        if (column->type != TYPE_BYTES && column->type != TYPE_TEXT)
            return refuse(reader, column, "a BLOB");
        break;
    }
    if (column->type == TYPE_BYTES) {
        *cell = (struct cell){bytes, len};
        return 0;
    }
    return check_text(reader, column, bytes, len, room, cell);
}

/* A row that cannot be taken: -1, or 0 when it is left out. */
static int bad_row(struct lite_feed *reader, int i, int err)
{
    struct feed *feed = &reader->feed;

    if (err == -ENOMEM)
        return feed_fail(feed, "connection %s: out of memory",
                         reader->lite->name);
    feed_fail(feed, "connection %s, row %" PRIu64 ", column %.100s: %s",
              reader->lite->name, feed->rows + feed->rejected + 1,
              feed->schema.columns[i].name, reader->why);
    if (!feed->skip)
        return -1;
    feed->rejected++;
    if (feed->reject)
        feed->reject(feed->context, feed->error);
    return 0;
}

/* 1: a row; 0: the end; -1: error is set. */
static int step(struct lite_feed *reader)
{
    struct lite *lite = reader->lite;
    int rc;

    /* Feeds of one connection take turns; each has a clock of its own. */
    if (!reader->started) {
        lite_start_clock(lite);
        reader->deadline_ms = lite->deadline_ms;
        reader->started = true;
    }
    lite->deadline_ms = reader->deadline_ms;
    rc = sqlite3_step(reader->stmt);
    lite->deadline_ms = 0;
    if (rc == SQLITE_ROW)
        return 1;
    reader->ended = true;
    if (rc == SQLITE_DONE) {
        sqlite3_reset(reader->stmt); /* gives back its locks */
        return 0;
    }
    lite_engine_failed(lite);
    return feed_fail(&reader->feed, "%s", lite->error);
}

static int lite_feed_next(struct feed *feed)
{
    struct lite_feed *reader = (struct lite_feed *)feed;

    while (!reader->ended) {
        int answer = step(reader), err = 0, i;
        size_t bytes = 0;

        if (answer <= 0)
            return answer;
        for (i = 0; i < (int)feed->schema.count; i++) {
            err = convert(reader, i);
            if (err)
                break;
            bytes += feed->cells[i].len;
        }
        feed->bytes += bytes;
        if (!err) {
            feed->rows++;
            return 1;
        }
        if (bad_row(reader, i, err) < 0)
            return -1;
    }
    return 0;
}

static void lite_feed_close(struct feed *feed)
{
    struct lite_feed *reader = (struct lite_feed *)feed;

    sqlite3_finalize(reader->stmt);
    schema_clear(&feed->schema);
    free(feed->cells);
    free(reader->rooms);
    free(reader);
}

int lite_feed(struct lite *lite, const char *sql, const struct schema *schema,
              struct feed **ret_feed)
{
    struct lite_feed *reader = calloc(1, sizeof *reader);
    struct feed *feed = &reader->feed;
    int err;

    static_assert((int)INTEGER_ROOM < (int)VALUE_ROOM &&
                      (int)VALUE_DOUBLE_ROOM < (int)VALUE_ROOM,
                  "numbers are printed into a column's room");
    if (!reader)
        return lite_fail(lite, -ENOMEM, "connection %s: out of memory",
                         lite->name);
    reader->lite = lite;
    feed->next = lite_feed_next;
    feed->close = lite_feed_close;
    err = lite_prepare(lite, sql, &reader->stmt);
    if (!err && (size_t)sqlite3_column_count(reader->stmt) != schema->count)
        err = lite_fail(lite, -EINVAL,
                        "connection %s: the query gives %d columns and not the "
                        "%zu that it had when it was looked at",
                        lite->name, sqlite3_column_count(reader->stmt),
                        schema->count);
    if (!err) {
        feed->cells = calloc(schema->count + 1, sizeof *feed->cells);
        reader->rooms = malloc((schema->count + 1) * VALUE_ROOM);
        if (!feed->cells || !reader->rooms ||
            schema_copy(schema, &feed->schema) < 0)
            err = lite_fail(lite, -ENOMEM, "connection %s: out of memory",
                            lite->name);
    }
    if (err) {
        lite_feed_close(feed);
        return err;
    }
    *ret_feed = feed;
    return 0;
}
