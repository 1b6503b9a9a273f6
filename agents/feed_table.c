/*
 * feed_table.c - a feed as a virtual table of SQLite; see feed.h.
 *
 * Each feed is a module of its own, whose context is a struct offer, and one
 * temp table of that module. The offer remembers whether rows were taken: the
 * module outlives any cursor, so a second scan is seen whoever makes it.
 *
 * Values are handed over as copies (SQLITE_TRANSIENT). SQLite takes static
 * text for text that stays: max() and min(), a bare column beside them and the
 * registers of window functions keep the pointer across xNext, when the cell is
 * long another one. The copy goes into a buffer that the register has already
 * and costs a few nanoseconds.
 */
#include "agents/feed.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct offer {
    struct feed *feed;
    bool taken; /* rows were read: there is no way back to the first */
};

struct vtab {
    sqlite3_vtab base;
    struct offer *offer; /* the module's, which outlives its tables */
};

struct vtab_cursor {
    sqlite3_vtab_cursor base;
    bool end;
};

/* So costly that the feed becomes the outer loop wherever the order of loops is
 * SQLite's to choose: as an inner one it would have to be read again. */
static const double SCAN_COST = 1e12;

static int table_connect(sqlite3 *db, void *context, int argc,
                         const char *const *argv, sqlite3_vtab **ret_vtab,
                         char **ret_error)
{
    struct offer *offer = context;
    sqlite3_str *declaration = sqlite3_str_new(db);
    struct vtab *vtab;
    char *sql;
    int rc;

    (void)argc;
    (void)argv;
    (void)ret_error;
    /* Columns without a type have no affinity: what xColumn gives stays what
     * it is, and the text "007" is not the integer 7 in a comparison. */
    sqlite3_str_appendall(declaration, "CREATE TABLE feed(");
    for (size_t i = 0; i < offer->feed->schema.count; i++)
        sqlite3_str_appendf(declaration, "%sc%d", i ? "," : "", (int)i);
    sqlite3_str_appendall(declaration, ")");
    sql = sqlite3_str_finish(declaration);
    if (!sql)
        return SQLITE_NOMEM;
    rc = sqlite3_declare_vtab(db, sql);
    sqlite3_free(sql);
    if (rc != SQLITE_OK)
        return rc;
    vtab = sqlite3_malloc(sizeof *vtab);
    if (!vtab)
        return SQLITE_NOMEM;
    *vtab = (struct vtab){.offer = offer};
    *ret_vtab = &vtab->base;
    return SQLITE_OK;
}

/* Another function than xConnect: were they the same, the module would be
 * readable under its own name as well. */
static int table_create(sqlite3 *db, void *context, int argc,
                        const char *const *argv, sqlite3_vtab **ret_vtab,
                        char **ret_error)
{
    return table_connect(db, context, argc, argv, ret_vtab, ret_error);
}

static int table_disconnect(sqlite3_vtab *base)
{
    sqlite3_free(base);
    return SQLITE_OK;
}

static int table_best_index(sqlite3_vtab *base, sqlite3_index_info *info)
{
    (void)base;
    info->estimatedCost = SCAN_COST;
    info->estimatedRows = 1000000;
    return SQLITE_OK;
}

static int table_open(sqlite3_vtab *base, sqlite3_vtab_cursor **ret_cursor)
{
    struct vtab_cursor *cursor = sqlite3_malloc(sizeof *cursor);

    (void)base;
    if (!cursor)
        return SQLITE_NOMEM;
    *cursor = (struct vtab_cursor){.end = true};
    *ret_cursor = &cursor->base;
    return SQLITE_OK;
}

static int table_close(sqlite3_vtab_cursor *base)
{
    sqlite3_free(base);
    return SQLITE_OK;
}

static int table_fail(sqlite3_vtab *base, const char *what)
{
    sqlite3_free(base->zErrMsg);
    base->zErrMsg = sqlite3_mprintf("%s", what);
    return SQLITE_ERROR;
}

static int table_next(sqlite3_vtab_cursor *base)
{
    struct vtab_cursor *cursor = (struct vtab_cursor *)base;
    struct feed *feed = ((struct vtab *)base->pVtab)->offer->feed;
    int answer = feed->next(feed);

    cursor->end = answer <= 0;
    return answer < 0 ? table_fail(base->pVtab, feed->error) : SQLITE_OK;
}

static int table_filter(sqlite3_vtab_cursor *base, int index,
                        const char *index_text, int argc, sqlite3_value **argv)
{
    struct offer *offer = ((struct vtab *)base->pVtab)->offer;

    (void)index;
    (void)index_text;
    (void)argc;
    (void)argv;
    if (offer->taken)
        return table_fail(base->pVtab,
                          "rows that arrive one after the other cannot be read "
                          "a second time by the same statement or another");
    offer->taken = true;
    return table_next(base);
}

static int table_eof(sqlite3_vtab_cursor *base)
{
    return ((struct vtab_cursor *)base)->end;
}

/* False: not an integer of 64 bits. */
static bool cell_integer(const struct cell *cell, int64_t *ret)
{
    const char *at = cell->bytes, *end = at + cell->len;
    bool negative = at < end && *at == '-';
    uint64_t value = 0;

    at += at < end && (*at == '-' || *at == '+');
    /* 18 digits cannot overflow; the rest are rare. */
    if (at == end || end - at > 18) {
        char text[32], *stop;

        if (cell->len == 0 || cell->len >= sizeof text)
            return false;
        memcpy(text, cell->bytes, cell->len);
        text[cell->len] = '\0';
        errno = 0;
        *ret = strtoll(text, &stop, 10);
        return errno == 0 && stop == text + cell->len;
    }
    for (; at < end; at++) {
        unsigned digit = (unsigned)(*at - '0');

        if (digit > 9)
            return false;
        value = value * 10 + digit;
    }
    *ret = negative ? -(int64_t)value : (int64_t)value;
    return true;
}

/* Digits and a point, 15 digits at most: both the number without its point and
 * the power of ten are exact, so their quotient is the nearest double, as
 * strtod() would give it. */
static bool cell_short_double(const struct cell *cell, double *ret)
{
    static const double POWERS[] = {1e0,  1e1,  1e2,  1e3, 1e4,  1e5,
                                    1e6,  1e7,  1e8,  1e9, 1e10, 1e11,
                                    1e12, 1e13, 1e14, 1e15};
    const char *at = cell->bytes, *end = at + cell->len, *point = NULL;
    bool negative = at < end && *at == '-';
    int64_t value = 0;

    at += negative;
    if (at == end || end - at > 16)
        return false;
    for (const char *digits = at; at < end; at++) {
        unsigned digit = (unsigned)(*at - '0');

        if (*at == '.' && !point && at > digits)
            point = at + 1;
        else if (digit <= 9)
            value = value * 10 + digit;
        else
            return false;
    }
    /* 16 characters without a point are 16 digits. */
    if (!point && cell->len - negative > 15)
        return false;
    *ret = (double)value / POWERS[point ? end - point : 0];
    if (negative)
        *ret = -*ret;
    return true;
}

/* False: not a number; a NaN is none. */
static bool cell_double(const struct cell *cell, double *ret)
{
    char buf[64], *text = buf, *stop;
    bool good;

    if (cell_short_double(cell, ret))
        return true;
    if (cell->len == 0)
        return false;
    if (cell->len >= sizeof buf) {
        text = malloc(cell->len + 1);
        if (!text)
            return false;
    }
    memcpy(text, cell->bytes, cell->len);
    text[cell->len] = '\0';
    *ret = strtod(text, &stop);
    good = stop == text + cell->len && !isnan(*ret);
    if (text != buf)
        free(text);
    return good;
}

static int table_column(sqlite3_vtab_cursor *base, sqlite3_context *context,
                        int n)
{
    struct feed *feed = ((struct vtab *)base->pVtab)->offer->feed;
    const struct cell *cell;
    enum type type;
    int64_t integer;
    double real;

    if (n < 0 || (size_t)n >= feed->schema.count)
        return SQLITE_OK;
    cell = &feed->cells[n];
    if (!cell->bytes)
        return SQLITE_OK; /* NULL is what is given when nothing is */
    type = feed->schema.columns[n].type;
    switch (type) {
    case TYPE_INTEGER:
        if (!cell_integer(cell, &integer))
            break;
        sqlite3_result_int64(context, integer);
        return SQLITE_OK;
    case TYPE_DOUBLE:
        if (!cell_double(cell, &real))
            break;
        sqlite3_result_double(context, real);
        return SQLITE_OK;
    case TYPE_BOOLEAN:
        sqlite3_result_int(context, cell->len > 0 && cell->bytes[0] == 't');
        return SQLITE_OK;
    case TYPE_BYTES:
        sqlite3_result_blob64(context, cell->bytes, cell->len,
                              SQLITE_TRANSIENT);
        return SQLITE_OK;
    case TYPE_NULL:
    case TYPE_TEXT:
    case TYPE_DECIMAL:
    case TYPE_DATE:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
    case TYPES:
        sqlite3_result_text64(context, cell->bytes, cell->len, SQLITE_TRANSIENT,
                              SQLITE_UTF8);
        return SQLITE_OK;
    }
    /* Feeds check what they give, so this is a feed that did not. */
    feed_fail(feed, "row %llu, column %s: not of type %s",
              (unsigned long long)feed->rows, feed->schema.columns[n].name,
              type_name(type));
    return table_fail(base->pVtab, feed->error);
}

static int table_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *ret_rowid)
{
    *ret_rowid = (sqlite3_int64)((struct vtab *)base->pVtab)->offer->feed->rows;
    return SQLITE_OK;
}

static const sqlite3_module MODULE = {
    .xCreate = table_create,
    .xConnect = table_connect,
    .xBestIndex = table_best_index,
    .xDisconnect = table_disconnect,
    .xDestroy = table_disconnect,
    .xOpen = table_open,
    .xClose = table_close,
    .xFilter = table_filter,
    .xNext = table_next,
    .xEof = table_eof,
    .xColumn = table_column,
    .xRowid = table_rowid,
};

int feed_table(sqlite3 *db, const char *name, struct feed *feed)
{
    struct offer *offer = malloc(sizeof *offer);
    char *module = sqlite3_mprintf("feed_%s", name);
    char *sql = sqlite3_mprintf(
        "CREATE VIRTUAL TABLE temp.\"%w\" USING \"feed_%w\"", name, name);
    int rc = -EIO;

    if (offer && module && sql) {
        *offer = (struct offer){.feed = feed};
        /* The offer is SQLite's from here, also when it says no. */
        if (sqlite3_create_module_v2(db, module, &MODULE, offer, free) ==
                SQLITE_OK &&
            sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK)
            rc = 0;
    } else {
        free(offer);
    }
    sqlite3_free(module);
    sqlite3_free(sql);
    return rc;
}
