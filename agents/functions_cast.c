/* Casts: what is read from which text, and what fits. */
#include "agents/civil.h"
#include "agents/functions_inside.h"

#include <errno.h>
#include <math.h>
#include <string.h>

static enum type source(const struct function_call *call)
{
    int64_t from = function_integer(call, 1);

    return from > TYPE_NULL && from < TYPES ? (enum type)from : TYPE_NULL;
}

static void no_cast(struct function_call *call, enum type from, enum type to)
{
    function_fail(call, "%s cannot be cast to %s", type_name(from),
                  type_name(to));
}

static void to_integer(struct function_call *call)
{
    const double limit = 9223372036854775808.0;
    enum type from = source(call);
    int64_t bits = call->count > 2 ? function_integer(call, 2) : 0, value = 0;
    struct decimal decimal = {0};
    double real;
    size_t len;
    int result = 0;

    if (from == TYPE_INTEGER || from == TYPE_BOOLEAN) {
        value = function_integer(call, 0);
    } else if (from == TYPE_DECIMAL) {
        if (!function_decimal(call, 0, &decimal))
            return;
        result = decimal_to_integer(&decimal, &value);
        decimal_clear(&decimal);
    } else if (from == TYPE_DOUBLE) {
        if (!function_double(call, 0, &real))
            return;
        real = rint(real);
        /* Of 2^63 the negative is an integer. */
        if (real >= -limit && real < limit)
            value = (int64_t)real;
        else
            result = -ERANGE;
    } else if (from == TYPE_TEXT) {
        const char *text = function_text(call, 0, &len);
        if (!text)
            return;
        result = value_integer(text, len, &value);
    } else {
        no_cast(call, from, TYPE_INTEGER);
        return;
    }
    if (result < 0) {
        function_fail_value(call, 0, TYPE_INTEGER, result);
    } else if (bits > 0 && bits < 64 &&
               (value < -(INT64_C(1) << (bits - 1)) ||
                value >= INT64_C(1) << (bits - 1))) {
        function_fail(call, "%lld does not fit %d bits", (long long)value,
                      (int)bits);
    } else {
        function_give_integer(call, value);
    }
}

static void to_decimal(struct function_call *call)
{
    enum type from = source(call);
    int64_t precision = call->count > 2 ? function_integer(call, 2) : -1;
    int64_t scale = call->count > 3 ? function_integer(call, 3) : -1;
    struct decimal decimal = {0};
    char quoted[VALUE_QUOTED_MAX];

    if (from != TYPE_INTEGER && from != TYPE_DECIMAL && from != TYPE_DOUBLE &&
        from != TYPE_TEXT && from != TYPE_BOOLEAN) {
        no_cast(call, from, TYPE_DECIMAL);
        return;
    }
    if (!function_decimal(call, 0, &decimal))
        return;
    if (precision >= 0) {
        scale = scale < 0 ? 0 : scale;
        if (precision > DECIMAL_DIGITS_MAX || scale > DECIMAL_DIGITS_MAX ||
            decimal_round(&decimal, (int)scale, DECIMAL_HALF_AWAY) < 0 ||
            !decimal_fits(&decimal, (int)precision, (int)scale)) {
            function_fail(call, "%s does not fit decimal(%lld,%lld)",
                          function_quote(call, 0, quoted), (long long)precision,
                          (long long)scale);
            decimal_clear(&decimal);
            return;
        }
    }
    function_give_decimal(call, &decimal, 0);
}

/* Bytes as PostgreSQL shows them. */
static void hex_text(struct function_call *call)
{
    static const char digits[] = "0123456789abcdef";
    size_t len;
    const unsigned char *bytes =
        (const unsigned char *)function_text(call, 0, &len);
    char *room = bytes ? function_room(call, (uint64_t)len * 2 + 2) : NULL;

    if (!room)
        return;
    room[0] = '\\';
    room[1] = 'x';
    for (size_t i = 0; i < len; i++) {
        room[2 + 2 * i] = digits[bytes[i] >> 4];
        room[3 + 2 * i] = digits[bytes[i] & 15];
    }
    function_take_text(call, room, len * 2 + 2);
}

/* The bytes of the first `characters` characters; len when there are not as
 * many. */
static size_t first_characters(const char *text, size_t len, size_t characters)
{
    size_t at = 0;

    for (; at < len; at++)
        if (((unsigned char)text[at] & 0xc0) != 0x80 && characters-- == 0)
            return at;
    return len;
}

static void limited_text(struct function_call *call, const char *text,
                         size_t len, int64_t length)
{
    char quoted[VALUE_QUOTED_MAX];

    if (length > 0 && len > (uint64_t)length) {
        size_t fits = first_characters(text, len, (size_t)length);
        for (size_t i = fits; i < len; i++) {
            if (text[i] != ' ') {
                function_fail(call, "%s is longer than %lld characters",
                              value_quote(text, len, quoted),
                              (long long)length);
                return;
            }
        }
        len = fits;
    }
    function_give_text(call, text, len);
}

static void to_text(struct function_call *call)
{
    enum type from = source(call);
    int64_t length = call->count > 2 ? function_integer(call, 2) : 0;
    char room[VALUE_DOUBLE_ROOM];
    const char *text;
    double real;
    size_t len;

    if (from == TYPE_NULL) {
        no_cast(call, from, TYPE_TEXT);
        return;
    }
    if (from == TYPE_BYTES && length <= 0) {
        hex_text(call);
        return;
    }
    if (from == TYPE_BOOLEAN) {
        text = function_integer(call, 0) ? "true" : "false";
        len = strlen(text);
    } else if (from == TYPE_DOUBLE) {
        if (!function_double(call, 0, &real))
            return;
        text = room;
        len = value_print_double(real, room);
    } else {
        text = function_text(call, 0, &len);
        if (!text)
            return;
    }
    if (from == TYPE_BYTES && 2 * len + 2 <= (uint64_t)length)
        hex_text(call);
    else if (from == TYPE_BYTES)
        function_fail(call, "these bytes are longer than %lld characters",
                      (long long)length);
    else
        limited_text(call, text, len, length);
}

static void to_double(struct function_call *call)
{
    enum type from = source(call);
    double value = 0;
    size_t len;

    if (from == TYPE_INTEGER || from == TYPE_DECIMAL || from == TYPE_DOUBLE ||
        from == TYPE_BOOLEAN) {
        if (!function_double(call, 0, &value))
            return;
    } else if (from == TYPE_TEXT) {
        const char *text = function_text(call, 0, &len);
        if (!text)
            return;
        int result = value_double(text, len, &value);
        if (result < 0) {
            function_fail_value(call, 0, TYPE_DOUBLE, result);
            return;
        }
    } else {
        no_cast(call, from, TYPE_DOUBLE);
        return;
    }
    function_give_double(call, value);
}

static void to_boolean(struct function_call *call)
{
    enum type from = source(call);
    bool value;
    size_t len;

    if (from == TYPE_INTEGER || from == TYPE_BOOLEAN) {
        value = function_integer(call, 0) != 0;
    } else if (from == TYPE_TEXT) {
        const char *text = function_text(call, 0, &len);
        if (!text)
            return;
        int result = value_boolean(text, len, &value);
        if (result < 0) {
            function_fail_value(call, 0, TYPE_BOOLEAN, result);
            return;
        }
    } else {
        no_cast(call, from, TYPE_BOOLEAN);
        return;
    }
    function_give_integer(call, value);
}

/* Texts of dates and times say themselves which of the three they are: each is
 * read as any of the others. */
static void to_civil(struct function_call *call, enum type to)
{
    enum type from = source(call);
    char room[CIVIL_TIME_ROOM];
    int64_t value;
    size_t len, printed = 0;
    int result;

    if (from != TYPE_TEXT && from != TYPE_DATE && from != TYPE_TIMESTAMP &&
        from != TYPE_TIMESTAMPTZ) {
        no_cast(call, from, to);
        return;
    }
    const char *text = function_text(call, 0, &len);
    if (!text)
        return;
    if (to == TYPE_DATE) {
        result = civil_read_date(text, len, &value);
        if (result == 0)
            printed = civil_print_date(value, room);
    } else if (to == TYPE_TIMESTAMP) {
        result = civil_read_timestamp(text, len, &value);
        if (result == 0)
            printed = civil_print_timestamp(value, room);
    } else {
        result = civil_read_timestamptz(text, len, &value);
        if (result == 0)
            printed = civil_print_timestamptz(value, room);
    }
    if (result < 0)
        function_fail_value(call, 0, to, result);
    else
        function_give_text(call, room, printed);
}

static void to_date(struct function_call *call)
{
    to_civil(call, TYPE_DATE);
}

static void to_timestamp(struct function_call *call)
{
    to_civil(call, TYPE_TIMESTAMP);
}

static void to_timestamptz(struct function_call *call)
{
    to_civil(call, TYPE_TIMESTAMPTZ);
}

static void to_bytes(struct function_call *call)
{
    enum type from = source(call);
    size_t len;

    if (from != TYPE_TEXT && from != TYPE_BYTES) {
        no_cast(call, from, TYPE_BYTES);
        return;
    }
    const char *text = function_text(call, 0, &len);
    if (!text)
        return;
    if (from == TYPE_BYTES) {
        function_give_bytes(call, text, len);
        return;
    }
    char *room = function_room(call, len);
    if (!room)
        return;
    size_t bytes;
    int result = value_bytes(text, len, room, &bytes);
    if (result < 0)
        function_fail_value(call, 0, TYPE_BYTES, result);
    else
        function_give_bytes(call, room, bytes);
    sqlite3_free(room);
}

static void not_null(struct function_call *call)
{
    if (sqlite3_value_type(call->args[0]) == SQLITE_NULL)
        function_fail(call, "NULL where a value is required");
    else
        sqlite3_result_value(call->context, call->args[0]);
}

const struct function functions_casts[] = {
    {"to_integer", 2, 3, to_integer, false, false},
    {"to_decimal", 2, 4, to_decimal, false, false},
    {"to_text", 2, 3, to_text, false, false},
    {"to_double", 2, 2, to_double, false, false},
    {"to_boolean", 2, 2, to_boolean, false, false},
    {"to_date", 2, 2, to_date, false, false},
    {"to_timestamp", 2, 2, to_timestamp, false, false},
    {"to_timestamptz", 2, 2, to_timestamptz, false, false},
    {"to_bytes", 2, 2, to_bytes, false, false},
    {"not_null", 1, 1, not_null, true, false},
    {0},
};
