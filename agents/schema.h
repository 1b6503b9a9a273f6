/*
 * schema.h - the columns of rows, and their types.
 *
 * Nine types, whatever the engine; what an engine has besides (uuid, json,
 * interval, arrays) travels as text. In memory a value is what SQLite holds:
 *
 *   integer      INTEGER, 64 bit         boolean    INTEGER 0 or 1
 *   double       REAL, never NaN         text       TEXT, valid UTF-8, no NUL
 *   decimal      TEXT, plain digits: -?digits[.digits], no exponent, at most
 *                DECIMAL_DIGITS_MAX digits; its scale is kept ("12.50")
 *   date         TEXT YYYY-MM-DD, years 0001 to 9999
 *   timestamp    TEXT YYYY-MM-DD HH:MM:SS[.ffffff], no trailing zeros
 *   timestamptz  the same in UTC with +00 behind
 *   bytes        BLOB
 *
 * so that dates, timestamps and text compare bytewise, and decimals by the
 * collation "decimal" (functions.h). NULL is NULL.
 *
 * Memory:  a schema owns its strings; schema_clear().
 * Threads: none. Errors: 0 or a negative errno.
 */
#ifndef AGENTS_SCHEMA_H
#define AGENTS_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>

enum type {
    TYPE_NULL, /* of the literal NULL alone */
    TYPE_TEXT,
    TYPE_INTEGER,
    TYPE_DECIMAL,
    TYPE_DOUBLE,
    TYPE_BOOLEAN,
    TYPE_DATE,
    TYPE_TIMESTAMP,
    TYPE_TIMESTAMPTZ,
    TYPE_BYTES,
    TYPES
};

enum { DECIMAL_DIGITS_MAX = 1000, SCHEMA_COLUMNS_MAX = 1600 };

struct column {
    char *name;
    enum type type;
    /* What a target's column allows; 0 or -1: nothing said. */
    int bits;             /* integer: 16, 32; 0: 64 */
    int precision, scale; /* decimal; -1: any */
    int length;           /* text: characters; 0: any */
    bool not_null;        /* a target's, without default */
    char *origin;         /* table or node it comes from, for "t.c"; or NULL */
    char *native;         /* the engine's own name of its type, or NULL */
};

struct schema {
    struct column *columns;
    size_t count;
};

const char *type_name(enum type type); /* "integer", ... */
/* The words of type_name(). False: no such type. */
bool type_find(const char *name, enum type *ret_type);

/* A new last column of this name, zeroed otherwise (precision and scale -1).
 * NULL: no memory, or SCHEMA_COLUMNS_MAX reached. */
struct column *schema_add(struct schema *schema, const char *name,
                          enum type type);
/* -ENOMEM: ret is as before. */
int schema_add_copy(struct schema *schema, const struct column *column);
int schema_copy(const struct schema *schema, struct schema *ret);
void schema_clear(struct schema *schema);

/* The one column called so: the same bytes, else the same letters in whatever
 * case if only one has them. origin may be NULL; otherwise only columns of that
 * origin count (case ignored). -ENOENT; -EEXIST: more than one. */
int schema_find(const struct schema *schema, const char *name,
                const char *origin, size_t *ret_index);

/* "a, b, c", cut with an ellipsis, for messages. */
void schema_list(const struct schema *schema, char *buf, size_t size);

#endif
