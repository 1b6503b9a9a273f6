/*
 * lite_sink_row.c - one row of a load into a SQLite file; see lite.h.
 *
 * Each row is one INSERT of a prepared statement inside the transaction. A row
 * that the table refuses changes nothing, so leaving it out needs no savepoint.
 */
#include "agents/decimal.h"
#include "agents/lite_inside.h"
#include "agents/values.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    NUMERIC_DIGITS_MAX = 15, /* that a REAL keeps whole */
    ROUNDED_SCALE_MIN = 6,
    INTEGRAL_DIGITS_MAX = 18, /* that an INTEGER keeps, whatever they are */
    KEY_SHOWN_MAX = 120,
};

static unsigned long long row_number(const struct lite_sink *writer)
{
    return writer->sink.rows + writer->sink.rejected + 1;
}

/* The row is refused: left out, or the end of the load. */
static enum sink_answer refuse_row(struct lite_sink *writer)
{
    if (writer->load->skip) {
        writer->sink.rejected++;
        return SINK_REJECTED;
    }
    lite_sink_abort(&writer->sink);
    return SINK_FAILED;
}

/* What follows the last ": " of SQLite's message: columns, or a constraint. */
static const char *constraint_of(const char *said)
{
    const char *at = strstr(said, "failed: ");

    return at ? at + strlen("failed: ") : said;
}

/* The insert failed: by this row's fault, or for good? */
static enum sink_answer insert_failed(struct lite_sink *writer)
{
    sqlite3 *db = writer->lite->db;
    int code = sqlite3_extended_errcode(db);
    const char *said = sqlite3_errmsg(db), *what = constraint_of(said);
    const char *name = writer->lite->name;
    struct sink *sink = &writer->sink;
    unsigned long long row = row_number(writer);
    bool over = sqlite3_get_autocommit(db) != 0;

    switch (code & 0xff) {
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
        break;
    default:
        lite_engine_failed(writer->lite);
        return lite_sink_failed(writer);
    }
    if (code == SQLITE_CONSTRAINT_UNIQUE ||
        code == SQLITE_CONSTRAINT_PRIMARYKEY || code == SQLITE_CONSTRAINT_ROWID)
        sink_fail(sink,
                  "connection %s, row %llu: a row with the same %.200s is "
                  "there already",
                  name, row, what);
    else if (code == SQLITE_CONSTRAINT_NOTNULL)
        sink_fail(sink, "connection %s, row %llu: %.200s must not be NULL",
                  name, row, what);
    else if (code == SQLITE_CONSTRAINT_CHECK)
        sink_fail(sink,
                  "connection %s, row %llu: the table's check (%.200s) is not "
                  "met",
                  name, row, what);
    else if (code == SQLITE_CONSTRAINT_FOREIGNKEY)
        sink_fail(sink,
                  "connection %s, row %llu: a row that it refers to is not "
                  "there",
                  name, row);
    else
        sink_fail(sink, "connection %s, row %llu: %.300s", name, row, said);
    /* ON CONFLICT ROLLBACK, or RAISE(ROLLBACK) in a trigger: no transaction is
     * left to go on with. */
    if (over) {
        lite_sink_abort(sink);
        return SINK_FAILED;
    }
    return refuse_row(writer);
}

/* Would SQLite keep this decimal whole in a column of numbers? */
static bool decimal_fits_number(const char *bytes, size_t len)
{
    size_t digits = 0, zeros = 0;
    bool point = false, fraction = false;

    for (size_t i = 0; i < len; i++) {
        if (bytes[i] == '.') {
            point = true;
        } else if (isdigit((unsigned char)bytes[i])) {
            if (digits == 0 && bytes[i] == '0')
                continue;
            digits++;
            /* Zeros at the end of a fraction say nothing. */
            zeros = point && bytes[i] == '0' ? zeros + 1 : 0;
            fraction |= point && bytes[i] != '0';
        }
    }
    digits -= zeros;
    return digits <= (fraction || point ? (size_t)NUMERIC_DIGITS_MAX
                                        : (size_t)INTEGRAL_DIGITS_MAX);
}

/* A quotient has more digits than a number of SQLite's keeps. As long as
 * ROUNDED_SCALE_MIN of them are left behind the point, what is beyond is
 * rounded off; sums of money are never long enough for that, and stay errors.
 */
static bool round_to_number(const char *bytes, size_t len,
                            char to[DECIMAL_ROOM])
{
    struct decimal number = {0};
    int before = 0, rc;
    bool kept = false;

    for (size_t i = 0; i < len && bytes[i] != '.'; i++)
        before +=
            isdigit((unsigned char)bytes[i]) && (before > 0 || bytes[i] != '0');
    int scale = NUMERIC_DIGITS_MAX - before;
    rc = decimal_parse(&number, bytes, len);
    if (rc == 0 && scale >= ROUNDED_SCALE_MIN &&
        decimal_scale(&number) > NUMERIC_DIGITS_MAX - ROUNDED_SCALE_MIN)
        kept = decimal_round(&number, scale, DECIMAL_HALF_AWAY) == 0;
    if (kept)
        decimal_print(&number, to);
    decimal_clear(&number);
    return kept;
}

/* Would SQLite make a number of this text that is printed otherwise ("007",
 * "1e5")? What is too long for a number to tell counts as yes. */
static bool text_becomes_number(const char *bytes, size_t len)
{
    double value;
    int64_t integer;
    char printed[24];

    if (value_double(bytes, len, &value) < 0)
        return false;
    return len > INTEGRAL_DIGITS_MAX ||
           value_integer(bytes, len, &integer) < 0 ||
           (size_t)snprintf(printed, sizeof printed, "%" PRId64, integer) !=
               len ||
           memcmp(printed, bytes, len) != 0;
}

/* Values stay where they are until the row is in: stmt is not stepped before
 * that, and what is bound is bound anew for the next row. */
static int bind_value(struct lite_sink *writer, size_t i, sqlite3_stmt *from,
                      sqlite3_stmt *to, int at)
{
    const struct column *column = &writer->sink.schema.columns[i];
    const char *bytes;
    int len;

    switch (sqlite3_column_type(from, (int)i)) {
    case SQLITE_NULL:
        return sqlite3_bind_null(to, at);
    case SQLITE_INTEGER:
        return sqlite3_bind_int64(to, at, sqlite3_column_int64(from, (int)i));
    case SQLITE_FLOAT:
        return sqlite3_bind_double(to, at, sqlite3_column_double(from, (int)i));
    case SQLITE_BLOB:
        bytes = sqlite3_column_blob(from, (int)i);
        len = sqlite3_column_bytes(from, (int)i);
        if (len == 0)
            return sqlite3_bind_zeroblob(to, at, 0);
        return bytes ? sqlite3_bind_blob(to, at, bytes, len, SQLITE_STATIC)
                     : SQLITE_NOMEM;
    default:
        break;
    }
    bytes = (const char *)sqlite3_column_text(from, (int)i);
    len = sqlite3_column_bytes(from, (int)i);
    if (!bytes)
        return SQLITE_NOMEM;
    char rounded[DECIMAL_ROOM];
    if (writer->numeric[i] && column->type == TYPE_DECIMAL &&
        !decimal_fits_number(bytes, (size_t)len) &&
        round_to_number(bytes, (size_t)len, rounded))
        return sqlite3_bind_text(to, at, rounded, -1, SQLITE_TRANSIENT);
    if (writer->numeric[i] && ((column->type == TYPE_DECIMAL &&
                                !decimal_fits_number(bytes, (size_t)len)) ||
                               (column->type == TYPE_TEXT &&
                                text_becomes_number(bytes, (size_t)len)))) {
        char quoted[VALUE_QUOTED_MAX];

        sink_fail(&writer->sink,
                  "connection %s, row %llu, column %.80s: SQLite would make "
                  "%s a number that is not the same, as the column is declared "
                  "%.40s; round() it, or load it into a TEXT column",
                  writer->lite->name, row_number(writer), column->name,
                  value_quote(bytes, (size_t)len, quoted),
                  column->native ? column->native : "NUMERIC");
        return SQLITE_MISMATCH;
    }
    return sqlite3_bind_text(to, at, bytes, len, SQLITE_STATIC);
}

/* Enters the row's key among those seen. SINK_OK; SINK_REJECTED: it came
 * before, or is NULL, and error says so; SINK_FAILED. */
static enum sink_answer see_key(struct lite_sink *writer, sqlite3_stmt *stmt)
{
    struct sink *sink = &writer->sink;
    char key[KEY_SHOWN_MAX] = "";
    size_t len = 0;
    int rc = SQLITE_OK;

    for (size_t i = 0; i < writer->load->key_count && rc == SQLITE_OK; i++) {
        size_t at = writer->key[i];

        if (sqlite3_column_type(stmt, (int)at) == SQLITE_NULL) {
            sink_fail(sink,
                      "connection %s, row %llu: %.80s is NULL, and rows are "
                      "merged by it",
                      writer->lite->name, row_number(writer),
                      sink->schema.columns[at].name);
            return SINK_REJECTED;
        }
        rc = bind_value(writer, at, stmt, writer->see, (int)i + 1);
        if (rc == SQLITE_MISMATCH)
            return SINK_REJECTED;
    }
    if (rc == SQLITE_OK)
        rc = sqlite3_step(writer->see);
    if (rc == SQLITE_DONE) {
        sqlite3_bind_int64(writer->unsee, 1,
                           sqlite3_last_insert_rowid(writer->lite->db));
        sqlite3_reset(writer->see);
        return SINK_OK;
    }
    if ((sqlite3_errcode(writer->lite->db) & 0xff) != SQLITE_CONSTRAINT) {
        lite_engine_failed(writer->lite);
        return sink_fail(sink, "%s", writer->lite->error);
    }
    sqlite3_reset(writer->see);
    for (size_t i = 0; i < writer->load->key_count; i++) {
        size_t at = writer->key[i];
        char quoted[VALUE_QUOTED_MAX];
        const char *text = (const char *)sqlite3_column_text(stmt, (int)at);

        if (len < sizeof key)
            len += (size_t)snprintf(
                key + len, sizeof key - len, "%s%s = %s", i ? ", " : "",
                sink->schema.columns[at].name,
                value_quote(text ? text : "",
                            (size_t)sqlite3_column_bytes(stmt, (int)at),
                            quoted));
    }
    sink_fail(sink,
              "connection %s, row %llu: the key %s came before in this load; "
              "rows to merge have to be distinct by their key",
              writer->lite->name, row_number(writer), key);
    return SINK_REJECTED;
}

/* After the bind functions: numbers count as what they are in memory. */
static uint64_t bytes_of(sqlite3_stmt *stmt, int i)
{
    switch (sqlite3_column_type(stmt, i)) {
    case SQLITE_NULL:
        return 0;
    case SQLITE_INTEGER:
    case SQLITE_FLOAT:
        return sizeof(int64_t);
    default:
        return (uint64_t)sqlite3_column_bytes(stmt, i);
    }
}

enum sink_answer lite_sink_row(struct sink *sink, sqlite3_stmt *stmt)
{
    struct lite_sink *writer = (struct lite_sink *)sink;
    uint64_t bytes = 0;
    int rc = SQLITE_OK;

    if (!writer->begun)
        return sink_fail(sink, "the load has not begun, or has ended");
    if (writer->key) {
        enum sink_answer answer = see_key(writer, stmt);

        if (answer == SINK_FAILED) {
            lite_sink_abort(sink);
            return answer;
        }
        if (answer == SINK_REJECTED)
            return refuse_row(writer);
    }
    for (size_t i = 0; i < sink->schema.count && rc == SQLITE_OK; i++) {
        rc = bind_value(writer, i, stmt, writer->insert, (int)i + 1);
        bytes += bytes_of(stmt, (int)i);
    }
    if (rc == SQLITE_OK && sqlite3_step(writer->insert) == SQLITE_DONE) {
        sqlite3_reset(writer->insert);
        sink->rows++;
        sink->bytes += bytes;
        return SINK_OK;
    }
    if (rc == SQLITE_NOMEM || rc == SQLITE_TOOBIG) {
        sink_fail(sink, "connection %s, row %llu: out of memory",
                  writer->lite->name, row_number(writer));
        lite_sink_abort(sink);
        return SINK_FAILED;
    }
    enum sink_answer answer =
        rc == SQLITE_MISMATCH ? refuse_row(writer) : insert_failed(writer);
    if (answer == SINK_REJECTED) {
        sqlite3_reset(writer->insert);
        if (writer->unsee) { /* the key is free again */
            sqlite3_step(writer->unsee);
            sqlite3_reset(writer->unsee);
        }
    }
    return answer;
}
