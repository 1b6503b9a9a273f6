#include "agents/functions.h"
#include "agents/functions_inside.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A function as registered: what SQLite hands back at every call. */
struct installed {
    const struct function *function;
    const struct function_host *host;
};

/* ---- how a function is called -------------------------------------------- */

static void run(sqlite3_context *context, int count, sqlite3_value **args)
{
    const struct installed *installed = sqlite3_user_data(context);

    /* Of those with any number of arguments SQLite does not count them. */
    if (count < installed->function->args_min + 1) {
        sqlite3_result_error(context, "too few arguments", -1);
        return;
    }
    struct function_call call = {
        .host = installed->host,
        .context = context,
        .site = (uint32_t)sqlite3_value_int64(args[0]),
        .count = count - 1,
        .args = args + 1,
    };

    if (!installed->function->nulls)
        for (int i = 0; i < call.count; i++)
            if (sqlite3_value_type(call.args[i]) == SQLITE_NULL)
                return;
    installed->function->run(&call);
}

void function_fail(struct function_call *call, const char *fmt, ...)
{
    char message[FUNCTION_MESSAGE_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    if (call->host->failed(call->host->context, call->site, message))
        sqlite3_result_error(call->context, message, -1);
    else
        sqlite3_result_null(call->context);
}

void function_fail_value(struct function_call *call, int arg, enum type type,
                         int error)
{
    char why[VALUE_WHY_MAX];
    size_t len;
    const char *text = function_text(call, arg, &len);

    if (!text)
        return;
    value_why(type, error, text, len, why);
    function_fail(call, "%s", why);
}

/* ---- arguments ----------------------------------------------------------- */

const char *function_text(struct function_call *call, int arg, size_t *ret_len)
{
    sqlite3_value *value = call->args[arg];
    /* A blob stays as it is: converting it could fail on odd bytes. */
    bool blob = sqlite3_value_type(value) == SQLITE_BLOB;
    const char *text = blob ? sqlite3_value_blob(value)
                            : (const char *)sqlite3_value_text(value);

    *ret_len = (size_t)sqlite3_value_bytes(value);
    if (text)
        return text;
    if (blob && *ret_len == 0)
        return "";
    sqlite3_result_error_nomem(call->context);
    return NULL;
}

int64_t function_integer(const struct function_call *call, int arg)
{
    return sqlite3_value_int64(call->args[arg]);
}

bool function_decimal(struct function_call *call, int arg,
                      struct decimal *ret_decimal)
{
    sqlite3_value *value = call->args[arg];
    int result;
    size_t len;

    switch (sqlite3_value_type(value)) {
    case SQLITE_INTEGER:
        decimal_from_integer(ret_decimal, sqlite3_value_int64(value));
        return true;
    case SQLITE_FLOAT:
        result = decimal_from_double(ret_decimal, sqlite3_value_double(value));
        break;
    default: {
        const char *text = function_text(call, arg, &len);
        if (!text)
            return false;
        result = decimal_parse(ret_decimal, text, len);
        break;
    }
    }
    if (result < 0)
        function_fail_value(call, arg, TYPE_DECIMAL, result);
    return result == 0;
}

bool function_double(struct function_call *call, int arg, double *ret_value)
{
    sqlite3_value *value = call->args[arg];
    struct decimal decimal = {0};
    int type = sqlite3_value_type(value);

    if (type == SQLITE_INTEGER || type == SQLITE_FLOAT) {
        *ret_value = sqlite3_value_double(value);
        return true;
    }
    if (!function_decimal(call, arg, &decimal))
        return false;
    int result = decimal_to_double(&decimal, ret_value);
    decimal_clear(&decimal);
    if (result < 0)
        function_fail_value(call, arg, TYPE_DOUBLE, result);
    return result == 0;
}

bool function_small(struct function_call *call, int arg, int32_t *ret_value)
{
    int64_t value = function_integer(call, arg);

    if (value < INT32_MIN || value > INT32_MAX) {
        function_fail(call, "%lld does not fit 32 bits", (long long)value);
        return false;
    }
    *ret_value = (int32_t)value;
    return true;
}

const char *function_quote(struct function_call *call, int arg,
                           char to[VALUE_QUOTED_MAX])
{
    size_t len;
    const char *text = function_text(call, arg, &len);

    to[0] = '\0';
    return text ? value_quote(text, len, to) : to;
}

/* ---- results ------------------------------------------------------------- */

void function_give_integer(struct function_call *call, int64_t value)
{
    sqlite3_result_int64(call->context, value);
}

void function_give_decimal(struct function_call *call, struct decimal *decimal,
                           int error)
{
    char text[DECIMAL_ROOM];

    if (error == -EDOM)
        function_fail(call, "division by zero");
    else if (error < 0)
        function_fail(call, "the result has more than %d digits",
                      DECIMAL_DIGITS_MAX);
    else
        function_give_text(call, text, decimal_print(decimal, text));
    decimal_clear(decimal);
}

void function_give_double(struct function_call *call, double value)
{
    if (isnan(value))
        function_fail(call, "the result is not a number");
    else if (isinf(value))
        function_fail(call, "the result is out of a double's range");
    else
        sqlite3_result_double(call->context, value);
}

void function_give_text(struct function_call *call, const char *text,
                        size_t len)
{
    sqlite3_result_text64(call->context, text, len, SQLITE_TRANSIENT,
                          SQLITE_UTF8);
}

void function_give_bytes(struct function_call *call, const void *bytes,
                         size_t len)
{
    sqlite3_result_blob64(call->context, bytes, len, SQLITE_TRANSIENT);
}

void function_take_text(struct function_call *call, char *text, size_t len)
{
    sqlite3_result_text64(call->context, text, len, sqlite3_free, SQLITE_UTF8);
}

char *function_room(struct function_call *call, uint64_t len)
{
    if (len > FUNCTION_BYTES_MAX) {
        function_fail(call, "the result would be longer than %d MiB",
                      FUNCTION_BYTES_MAX / 1024 / 1024);
        return NULL;
    }
    /* One more: nothing is not malloc'ed, and it need not be told apart. */
    char *room = sqlite3_malloc64(len + 1);
    if (!room)
        sqlite3_result_error_nomem(call->context);
    return room;
}

/* ---- rows ---------------------------------------------------------------- */

/* For every row of every node: straight to the host. */
static void tick(sqlite3_context *context, int count, sqlite3_value **args)
{
    const struct installed *installed = sqlite3_user_data(context);
    const struct function_host *host = installed->host;

    if (count == 0) {
        sqlite3_result_error(context, "too few arguments", -1);
        return;
    }
    host->tick(host->context, (uint32_t)sqlite3_value_int64(args[0]), count - 1,
               args + 1);
    sqlite3_result_int(context, 1);
}

static void row_ok(sqlite3_context *context, int count, sqlite3_value **args)
{
    const struct installed *installed = sqlite3_user_data(context);
    const struct function_host *host = installed->host;

    (void)count;
    (void)args;
    sqlite3_result_int(context, host->row_ok(host->context));
}

static int compare_decimals(void *context, int a_len, const void *a, int b_len,
                            const void *b)
{
    (void)context;
    return decimal_compare_texts(a, (size_t)a_len, b, (size_t)b_len);
}

/* ---- installing ---------------------------------------------------------- */

static int install_one(sqlite3 *db, const char *name, int args, int flags,
                       const struct function *function,
                       const struct function_host *host,
                       void call(sqlite3_context *, int, sqlite3_value **))
{
    struct installed *installed = sqlite3_malloc(sizeof *installed);

    if (!installed)
        return -ENOMEM;
    *installed = (struct installed){function, host};
    /* It is freed by SQLite, also when this fails. */
    if (sqlite3_create_function_v2(
            db, name, args, SQLITE_UTF8 | SQLITE_INNOCUOUS | flags, installed,
            call, NULL, NULL, sqlite3_free) != SQLITE_OK)
        return -ENOMEM;
    return 0;
}

static int install(sqlite3 *db, const struct function *function,
                   const struct function_host *host)
{
    int first = function->args_min + 1, last = function->args_max + 1;
    char name[64];

    if (function->args_max < 0)
        first = last = -1;
    snprintf(name, sizeof name, "dp_%s", function->name);
    for (int args = first; args <= last; args++)
        if (install_one(db, name, args,
                        function->sure ? SQLITE_DETERMINISTIC : 0, function,
                        host, run) < 0)
            return -ENOMEM;
    return 0;
}

int functions_install(sqlite3 *db, const struct function_host *host)
{
    static const struct function *const tables[] = {
        functions_casts, functions_arithmetic, functions_math,
        functions_text,  functions_date,       functions_hash,
    };

    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        for (const struct function *f = tables[i]; f->name; f++)
            if (install(db, f, host) < 0)
                return -ENOMEM;
    if (install_one(db, "dp_tick", -1, 0, NULL, host, tick) < 0 ||
        install_one(db, "dp_row_ok", -1, 0, NULL, host, row_ok) < 0 ||
        sqlite3_create_collation_v2(db, "decimal", SQLITE_UTF8, NULL,
                                    compare_decimals, NULL) != SQLITE_OK)
        return -ENOMEM;
    return aggregates_install(db, host);
}
