/*
 * pg_feed.c - rows of a query by COPY TO STDOUT.
 *
 * libpq hands over one message a row, malloc'ed and NUL-terminated. Its cells
 * are cut and unescaped where they are, so that a row costs no memory of ours
 * and one pass over its bytes.
 */
#include "agents/pg_inside.h"

#include "agents/values.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is to be looked at in a cell. */
enum care {
    CARE_NONE,
    CARE_DECIMAL,
    CARE_DOUBLE,
    CARE_DATE,
    CARE_TIMESTAMP,
    CARE_TIMESTAMPTZ,
    CARE_BYTES,
    CARE_BLANKS, /* character(n) is padded, and its blanks mean nothing */
    CARE_UTF8,
};

struct pg_feed {
    struct feed feed; /* first */
    struct pg *pg;
    enum care *cares;
    char *row;    /* libpq's */
    bool copying; /* the COPY has not ended */
    bool failed;
};

static enum care care_of(const struct pg *pg, const struct column *column)
{
    switch (column->type) {
    case TYPE_DECIMAL:
        return CARE_DECIMAL;
    case TYPE_DOUBLE:
        return CARE_DOUBLE;
    case TYPE_DATE:
        return CARE_DATE;
    case TYPE_TIMESTAMP:
        return CARE_TIMESTAMP;
    case TYPE_TIMESTAMPTZ:
        return CARE_TIMESTAMPTZ;
    case TYPE_BYTES:
        return CARE_BYTES;
    case TYPE_TEXT:
        if (pg->foreign)
            return CARE_UTF8;
        return column->native &&
                       (strcmp(column->native, "character") == 0 ||
                        strncmp(column->native, "character(", 10) == 0)
                   ? CARE_BLANKS
                   : CARE_NONE;
    default:
        return CARE_NONE;
    }
}

/* From the first backslash of a cell on: unescapes to its end, and returns
 * where that is (a tab or the newline). */
static char *unescape(char *from, char **ret_to)
{
    char *to = from;

    while (*from != '\t' && *from != '\n' && *from != '\0') {
        if (*from != '\\') {
            *to++ = *from++;
            continue;
        }
        from++;
        switch (*from) {
        case 'b':
            *to++ = '\b';
            break;
        case 'f':
            *to++ = '\f';
            break;
        case 'n':
            *to++ = '\n';
            break;
        case 'r':
            *to++ = '\r';
            break;
        case 't':
            *to++ = '\t';
            break;
        case 'v':
            *to++ = '\v';
            break;
        case '\0':
            *ret_to = to;
            return from;
        default:
            *to++ = *from;
        }
        from++;
    }
    *ret_to = to;
    return from;
}

static int digit_of(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

/* \x and hex, in place. */
static const char *decode_bytes(struct cell *cell, char *bytes)
{
    if (cell->len % 2 || cell->len < 2 || bytes[0] != '\\' || bytes[1] != 'x')
        return "bytes not in hex";
    for (size_t i = 2; i < cell->len; i += 2) {
        int high = digit_of(bytes[i]), low = digit_of(bytes[i + 1]);
        if (high < 0 || low < 0)
            return "bytes not in hex";
        bytes[i / 2 - 1] = (char)(high << 4 | low);
    }
    cell->len = cell->len / 2 - 1;
    return NULL;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The server's own output: its form tells at a few places whether it is within
 * 0001 to 9999 after Christ. */
static bool is_timestamp(const char *bytes, size_t len)
{
    return len >= 19 && len <= 26 && bytes[4] == '-' && bytes[10] == ' ' &&
           (len == 19 || bytes[19] == '.') && is_digit(bytes[len - 1]);
}

static bool has_digits_within(const char *bytes, size_t len)
{
    size_t digits = 0;

    for (size_t i = 0; i < len; i++)
        digits += is_digit(bytes[i]);
    return digits <= DECIMAL_DIGITS_MAX;
}

/* NULL: fine; else why the value has no place. */
static const char *look(enum care care, struct cell *cell, char *bytes)
{
    size_t len = cell->len;

    switch (care) {
    case CARE_NONE:
        return NULL;
    case CARE_DECIMAL:
        if (len == 0 || !is_digit(bytes[len - 1]))
            return "is no decimal with digits";
        return len <= DECIMAL_DIGITS_MAX || has_digits_within(bytes, len)
                   ? NULL
                   : "has more than 1000 digits";
    case CARE_DOUBLE:
        return len && is_digit(bytes[len - 1]) ? NULL : "is not finite";
    case CARE_DATE:
        return len == 10 && bytes[4] == '-' && is_digit(bytes[9])
                   ? NULL
                   : "is not within the years 0001 to 9999";
    case CARE_TIMESTAMP:
        return is_timestamp(bytes, len)
                   ? NULL
                   : "is not within the years 0001 to 9999";
    case CARE_TIMESTAMPTZ:
        return len > 3 && memcmp(bytes + len - 3, "+00", 3) == 0 &&
                       is_timestamp(bytes, len - 3)
                   ? NULL
                   : "is not within the years 0001 to 9999";
    case CARE_BYTES:
        return decode_bytes(cell, bytes);
    case CARE_BLANKS:
        while (cell->len > 0 && bytes[cell->len - 1] == ' ')
            cell->len--;
        return NULL;
    case CARE_UTF8:
        return value_utf8(bytes, len) ? NULL : "is not valid UTF-8";
    }
    return NULL;
}

/* 1: a row; 0: a rejected one; -1. */
static int refuse(struct pg_feed *self, size_t column, const struct cell *cell,
                  const char *why)
{
    struct feed *feed = &self->feed;
    const struct column *what = &feed->schema.columns[column];
    char quoted[VALUE_QUOTED_MAX];

    (void)feed_fail(feed, "row %" PRIu64 ", column %s: %s %s",
                    feed->rows + feed->rejected + 1, what->name,
                    what->type == TYPE_BYTES
                        ? type_name(what->type)
                        : value_quote(cell->bytes, cell->len, quoted),
                    why);
    if (!feed->skip)
        return -1;
    feed->rejected++;
    if (feed->reject)
        feed->reject(feed->context, feed->error);
    return 0;
}

/* Most bytes of most cells are letters and digits: one or two comparisons. */
static inline bool ends_or_interrupts(char byte)
{
    return byte == '\\' || ((unsigned char)byte < ' ' &&
                            (byte == '\t' || byte == '\n' || byte == '\0'));
}

static int cut(struct pg_feed *self, char *at)
{
    struct feed *feed = &self->feed;
    size_t count = feed->schema.count;
    size_t bad = count;
    const char *why = NULL;

    for (size_t i = 0; i < count; i++) {
        struct cell *cell = &feed->cells[i];
        char *begin = at, *end;

        while (!ends_or_interrupts(*at))
            at++;
        end = at;
        bool null = false;
        if (*at == '\\') {
            null =
                at == begin && at[1] == 'N' && (at[2] == '\t' || at[2] == '\n');
            at = unescape(at, &end);
        }
        cell->bytes = null ? NULL : begin;
        cell->len = null ? 0 : (size_t)(end - begin);
        if (!null && self->cares[i] != CARE_NONE && !why) {
            why = look(self->cares[i], cell, begin);
            bad = i;
        }
        if (*at != (i + 1 < count ? '\t' : '\n'))
            return feed_fail(feed, "the server sent a row that is not of the "
                                   "described columns");
        at++;
    }
    return why ? refuse(self, bad, &feed->cells[bad], why) : 1;
}

/* Reads what the server says behind the rows. */
static int finish(struct pg_feed *self, bool failed)
{
    struct pg *pg = self->pg;
    PGresult *res;
    int r = failed && PQstatus(pg->conn) == CONNECTION_BAD
                ? pg_take_error(pg, NULL)
                : 0;

    self->copying = false;
    while ((res = PQgetResult(pg->conn))) {
        if (PQresultStatus(res) != PGRES_COMMAND_OK && !r)
            r = pg_take_error(pg, res);
        PQclear(res);
    }
    if (!r && failed)
        r = pg_take_error(pg, NULL);
    pg_busy(pg, false);
    return r;
}

static int pg_feed_next(struct feed *feed)
{
    struct pg_feed *self = (struct pg_feed *)feed;

    if (!self->copying)
        return self->failed ? -1 : 0;
    for (;;) {
        PQfreemem(self->row);
        self->row = NULL;
        int len = PQgetCopyData(self->pg->conn, &self->row, 0);
        if (len < 0) {
            self->failed = finish(self, len != -1) != 0;
            return self->failed ? feed_fail(feed, "%s", pg_error(self->pg)) : 0;
        }
        int r = cut(self, self->row);
        feed->bytes += (uint64_t)len;
        if (r > 0)
            feed->rows++;
        if (r != 0)
            return r;
    }
}

/* A feed that is closed before its end is stopped at the server; the guard
 * keeps the readers' transaction whole. */
static void stop(struct pg_feed *self)
{
    struct pg *pg = self->pg;
    int len;

    if (self->copying) {
        pg_cancel(pg);
        do {
            PQfreemem(self->row);
            self->row = NULL;
            len = PQgetCopyData(pg->conn, &self->row, 0);
        } while (len > 0);
        (void)finish(self, len != -1);
    }
    pg->feeding = false;
    (void)pg_unguard(pg, -ECANCELED);
}

static void release(struct pg_feed *self)
{
    PQfreemem(self->row);
    schema_clear(&self->feed.schema);
    free(self->feed.cells);
    free(self->cares);
    free(self);
}

static void pg_feed_close(struct feed *feed)
{
    struct pg_feed *self = (struct pg_feed *)feed;

    stop(self);
    release(self);
}

static int start(struct pg *pg, const char *sql)
{
    struct text copy = {0};
    int r = 0;

    text_addf(&copy, "COPY (\n%s\n) TO STDOUT", sql);
    if (copy.failed)
        return pg_fail(pg, -ENOMEM, "out of memory");
    pg_busy(pg, true);
    PGresult *res = PQexec(pg->conn, copy.bytes);
    if (PQresultStatus(res) != PGRES_COPY_OUT) {
        r = pg_take_error(pg, res);
        pg_busy(pg, false);
    }
    PQclear(res);
    text_clear(&copy);
    return r;
}

int pg_feed(struct pg *pg, const char *sql, const struct schema *schema,
            struct feed **ret_feed)
{
    assert(pg->reading && !pg->feeding);
    struct pg_feed *self = calloc(1, sizeof *self);

    if (!self)
        return pg_fail(pg, -ENOMEM, "out of memory");
    self->pg = pg;
    self->feed.next = pg_feed_next;
    self->feed.close = pg_feed_close;
    self->feed.cells = calloc(schema->count + 1, sizeof *self->feed.cells);
    self->cares = calloc(schema->count + 1, sizeof *self->cares);
    if (!self->feed.cells || !self->cares ||
        schema_copy(schema, &self->feed.schema) != 0) {
        release(self);
        return pg_fail(pg, -ENOMEM, "out of memory");
    }
    for (size_t i = 0; i < schema->count; i++)
        self->cares[i] = care_of(pg, &schema->columns[i]);
    int r = pg_guard(pg);
    if (!r) {
        r = start(pg, sql);
        if (r)
            (void)pg_unguard(pg, r);
    }
    if (r) {
        release(self);
        return r;
    }
    self->copying = true;
    pg->feeding = true;
    *ret_feed = &self->feed;
    return 0;
}
