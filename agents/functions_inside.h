/*
 * functions_inside.h - what the files that functions.h is made of share: how a
 * function reads its arguments, gives its result and says that it has none.
 *
 * A function is called with the site as argument 0 and the rest from 1 on.
 * Arguments that are NULL were answered before it is called, unless its row
 * says `nulls`. Its result is NULL until it sets another.
 *
 * Threads: one connection, one thread.
 */
#ifndef AGENTS_FUNCTIONS_INSIDE_H
#define AGENTS_FUNCTIONS_INSIDE_H

#include "agents/decimal.h"
#include "agents/functions.h"
#include "agents/text.h"
#include "agents/values.h"

enum {
    FUNCTION_BYTES_MAX = 64 * 1024 * 1024, /* of a result */
    FUNCTION_MESSAGE_MAX = 512,
};

struct function_call {
    const struct function_host *host;
    sqlite3_context *context;
    uint32_t site;
    int count; /* of arguments, the site left out */
    sqlite3_value **args;
};

struct function {
    const char *name;       /* without dp_ */
    int args_min, args_max; /* without the site; max -1: any number */
    void (*run)(struct function_call *call);
    bool nulls; /* looks at NULLs itself */
    bool sure;  /* never fails and always gives the same: SQLite may compute
                   it once for a statement */
};

/* Each ends with a row without a name. */
extern const struct function functions_casts[];
extern const struct function functions_arithmetic[];
extern const struct function functions_math[];
extern const struct function functions_text[];
extern const struct function functions_date[];
extern const struct function functions_hash[];

/* -ENOMEM. aggregates.c */
int aggregates_install(sqlite3 *db, const struct function_host *host);

/* A sentence without place; the host decides what becomes of it. */
void function_fail(struct function_call *call, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* An argument is not what its type says. */
void function_fail_value(struct function_call *call, int arg, enum type type,
                         int error);

/* Argument `arg`, from 0. The bytes live as long as the call; NULL: no memory,
 * and the failure is said. */
const char *function_text(struct function_call *call, int arg, size_t *ret_len);
int64_t function_integer(const struct function_call *call, int arg);
/* False: it is none, and the failure is said. */
bool function_decimal(struct function_call *call, int arg,
                      struct decimal *ret_decimal);
bool function_double(struct function_call *call, int arg, double *ret_value);
/* A position or a count; false: it does not fit 32 bits, which is said. */
bool function_small(struct function_call *call, int arg, int32_t *ret_value);
/* For a message. */
const char *function_quote(struct function_call *call, int arg,
                           char to[VALUE_QUOTED_MAX]);

void function_give_integer(struct function_call *call, int64_t value);
/* Clears it. error: of the operation that made it; a negative one fails. */
void function_give_decimal(struct function_call *call, struct decimal *decimal,
                           int error);
/* Infinity and NaN fail. */
void function_give_double(struct function_call *call, double value);
/* Copied. */
void function_give_text(struct function_call *call, const char *text,
                        size_t len);
void function_give_bytes(struct function_call *call, const void *bytes,
                         size_t len);
/* Taken: memory of sqlite3_malloc64(). */
void function_take_text(struct function_call *call, char *text, size_t len);
/* Room for a result, to be given by function_take_text(). NULL: too long or no
 * memory, and the failure is said. */
char *function_room(struct function_call *call, uint64_t len);

#endif
