#include "agents/values.h"
#include "agents/civil.h"
#include "agents/decimal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

void value_trim(const char **bytes_p, size_t *len_p)
{
    while (*len_p > 0 && is_space((*bytes_p)[*len_p - 1]))
        (*len_p)--;
    for (; *len_p > 0 && is_space(**bytes_p); (*len_p)--)
        (*bytes_p)++;
}

/* ---- characters ---------------------------------------------------------- */

size_t value_character(const char *at, const char *end, uint32_t *ret_character)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *c = (const unsigned char *)at;
    size_t len;

    if (at == end)
        return 0;
    if (c[0] < 0x80) {
        *ret_character = c[0];
        return 1;
    }
    if (c[0] >= 0xc2 && c[0] < 0xe0)
        len = 2;
    else if (c[0] >= 0xe0 && c[0] < 0xf0)
        len = 3;
    else if (c[0] >= 0xf0 && c[0] < 0xf5)
        len = 4;
    else
        return 0;
    if ((size_t)(end - at) < len)
        return 0;
    uint32_t value = c[0] & (0x7fU >> len);
    for (size_t i = 1; i < len; i++) {
        if ((c[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (c[i] & 0x3fU);
    }
    if (value < least[len] || value > 0x10ffff ||
        (value >= 0xd800 && value < 0xe000))
        return 0;
    *ret_character = value;
    return len;
}

bool value_utf8(const char *bytes, size_t len)
{
    const char *at = bytes, *end = bytes + len;

    while (at < end) {
        /* Most text is ASCII, eight bytes of it at a time. */
        uint64_t eight;
        if (end - at >= 8) {
            memcpy(&eight, at, sizeof eight);
            if (!((eight | (eight - UINT64_C(0x0101010101010101))) &
                  UINT64_C(0x8080808080808080))) {
                at += 8;
                continue;
            }
        }
        uint32_t character;
        size_t bytes_of = value_character(at, end, &character);
        if (bytes_of == 0 || character == 0)
            return false;
        at += bytes_of;
    }
    return true;
}

size_t value_characters(const char *bytes, size_t len)
{
    size_t count = 0;

    for (size_t i = 0; i < len; i++)
        count += ((unsigned char)bytes[i] & 0xc0) != 0x80;
    return count;
}

const char *value_quote(const char *bytes, size_t len,
                        char to[VALUE_QUOTED_MAX])
{
    const char *at = bytes, *end = bytes + len;
    char *out = to;

    *out++ = '"';
    for (int i = 0; at < end; i++) {
        if (i == VALUE_QUOTED_CHARACTERS) {
            memcpy(out, "…", strlen("…"));
            out += strlen("…");
            break;
        }
        uint32_t character;
        size_t bytes_of = value_character(at, end, &character);
        if (bytes_of == 0 || character < 0x20 ||
            (character >= 0x7f && character < 0xa0)) {
            *out++ = '?';
            at += bytes_of ? bytes_of : 1;
        } else {
            memcpy(out, at, bytes_of);
            out += bytes_of;
            at += bytes_of;
        }
    }
    *out++ = '"';
    *out = '\0';
    return to;
}

/* ---- numbers and booleans ------------------------------------------------ */

int value_integer(const char *bytes, size_t len, int64_t *ret_value)
{
    uint64_t value = 0;
    bool negative = false, over = false;

    value_trim(&bytes, &len);
    if (len > 0 && (*bytes == '-' || *bytes == '+')) {
        negative = *bytes == '-';
        bytes++;
        len--;
    }
    if (len == 0)
        return -EINVAL;
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] < '0' || bytes[i] > '9')
            return -EINVAL;
        over =
            over || __builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, (uint64_t)(bytes[i] - '0'), &value);
    }
    if (over || value > (uint64_t)INT64_MAX + negative)
        return -ERANGE;
    *ret_value = negative ? (int64_t)-value : (int64_t)value;
    return 0;
}

int value_boolean(const char *bytes, size_t len, bool *ret_value)
{
    /* From `least` letters on a word is told from all others. */
    static const struct {
        const char *word;
        size_t least;
        bool value;
    } words[] = {{"true", 1, true}, {"false", 1, false}, {"yes", 1, true},
                 {"no", 1, false},  {"on", 2, true},     {"off", 2, false},
                 {"1", 1, true},    {"0", 1, false}};

    value_trim(&bytes, &len);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (len >= words[i].least && len <= strlen(words[i].word) &&
            strncasecmp(bytes, words[i].word, len) == 0) {
            *ret_value = words[i].value;
            return 0;
        }
    }
    return -EINVAL;
}

size_t value_print_integer(int64_t value, char room[VALUE_DOUBLE_ROOM])
{
    char digits[24], *end = digits + sizeof digits, *at = end, *out = room;
    uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;

    do
        *--at = (char)('0' + rest % 10);
    while (rest /= 10);
    if (value < 0)
        *out++ = '-';
    memcpy(out, at, (size_t)(end - at));
    out += end - at;
    *out = '\0';
    return (size_t)(out - room);
}

/* ---- bytes --------------------------------------------------------------- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static int read_hex(const char *at, const char *end, char *to, size_t *ret_len)
{
    char *out = to;

    while (at < end) {
        if (is_space(*at)) {
            at++;
            continue;
        }
        int high = hex_digit(*at), low = at + 1 < end ? hex_digit(at[1]) : -1;
        if (high < 0 || low < 0)
            return -EINVAL;
        *out++ = (char)(high << 4 | low);
        at += 2;
    }
    *ret_len = (size_t)(out - to);
    return 0;
}

static int octal(const char *at, const char *end)
{
    int value = 0;

    if (end - at < 3 || at[0] > '3')
        return -1;
    for (int i = 0; i < 3; i++) {
        if (at[i] < '0' || at[i] > '7')
            return -1;
        value = value * 8 + (at[i] - '0');
    }
    return value;
}

int value_bytes(const char *bytes, size_t len, char *room, size_t *ret_len)
{
    const char *at = bytes, *end = bytes + len;
    char *out = room;

    if (len >= 2 && at[0] == '\\' && at[1] == 'x')
        return read_hex(at + 2, end, room, ret_len);
    while (at < end) {
        if (*at != '\\') {
            *out++ = *at++;
        } else if (end - at >= 2 && at[1] == '\\') {
            *out++ = '\\';
            at += 2;
        } else {
            int value = octal(at + 1, end);
            if (value < 0)
                return -EINVAL;
            *out++ = (char)value;
            at += 4;
        }
    }
    *ret_len = (size_t)(out - room);
    return 0;
}

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t value_base64_room(size_t len)
{
    return (len + 2) / 3 * 4 + 1;
}

size_t value_base64(const void *bytes, size_t len, char *to)
{
    const unsigned char *at = bytes;
    char *out = to;

    for (; len >= 3; len -= 3, at += 3) {
        uint32_t bits = (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2];
        for (int shift = 18; shift >= 0; shift -= 6)
            *out++ = base64_digits[bits >> shift & 63];
    }
    if (len > 0) {
        uint32_t bits =
            (uint32_t)at[0] << 16 | (len > 1 ? (uint32_t)at[1] << 8 : 0);
        *out++ = base64_digits[bits >> 18 & 63];
        *out++ = base64_digits[bits >> 12 & 63];
        out[0] = '=';
        out[1] = '=';
        if (len > 1)
            out[0] = base64_digits[bits >> 6 & 63];
        out += 2;
    }
    *out = '\0';
    return (size_t)(out - to);
}

int value_base64_read(const char *text, size_t len, void *to, size_t *ret_len)
{
    unsigned char *out = to;
    uint32_t bits = 0;
    int count = 0, ends = 0; /* characters of this four; "=" among them */

    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (is_space(c))
            continue;
        if (c == '=') {
            if (count < 2)
                return -EINVAL;
            ends++;
            bits <<= 6;
        } else {
            const char *digit = c ? strchr(base64_digits, c) : NULL;
            if (!digit || ends)
                return -EINVAL;
            bits = bits << 6 | (uint32_t)(digit - base64_digits);
        }
        if (++count < 4)
            continue;
        for (int j = 0; j < 3 - ends; j++)
            *out++ = (unsigned char)(bits >> (16 - 8 * j));
        bits = 0;
        count = 0;
        ends = 0;
    }
    if (count)
        return -EINVAL;
    *ret_len = (size_t)(out - (unsigned char *)to);
    return 0;
}

/* ---- all of them --------------------------------------------------------- */

void value_why(enum type type, int error, const char *bytes, size_t len,
               char why[VALUE_WHY_MAX])
{
    static const char *const form[TYPES] = {
        [TYPE_NULL] = "is not NULL",
        [TYPE_TEXT] = "is not UTF-8 text, or has a NUL",
        [TYPE_INTEGER] = "is not an integer",
        [TYPE_DECIMAL] = "is not a decimal number",
        [TYPE_DOUBLE] = "is not a finite number",
        [TYPE_BOOLEAN] = "is not a boolean (true or false)",
        [TYPE_DATE] = "is not a date (YYYY-MM-DD)",
        [TYPE_TIMESTAMP] = "is not a timestamp (YYYY-MM-DD HH:MM:SS)",
        [TYPE_TIMESTAMPTZ] = "is not a timestamp (YYYY-MM-DD HH:MM:SS+00)",
        [TYPE_BYTES] = "is not bytes in hex (\\x00ff)",
    };
    static const char *const range[TYPES] = {
        [TYPE_INTEGER] = "does not fit 64 bits",
        [TYPE_DECIMAL] = "has more than 1000 digits",
        [TYPE_DOUBLE] = "is out of a double's range",
        [TYPE_DATE] = "is no day of the years 1 to 9999",
        [TYPE_TIMESTAMP] = "is no time of the years 1 to 9999",
        [TYPE_TIMESTAMPTZ] = "is no time of the years 1 to 9999",
    };
    char quoted[VALUE_QUOTED_MAX];

    _Static_assert(DECIMAL_DIGITS_MAX == 1000, "the sentence says so");
    assert((unsigned)type < TYPES);
    const char *what = error == -ERANGE ? range[type] : NULL;
    if (error == -ENOBUFS)
        what = "has no room";
    snprintf(why, VALUE_WHY_MAX, "%s %s", value_quote(bytes, len, quoted),
             what ? what : form[type]);
}

static int canonical(enum type type, const char *bytes, size_t len, char *room,
                     size_t *ret_len)
{
    struct decimal decimal = {0};
    int64_t number;
    double real;
    bool truth;
    int result;

    switch (type) {
    case TYPE_INTEGER:
        result = value_integer(bytes, len, &number);
        if (result == 0)
            *ret_len = value_print_integer(number, room);
        return result;
    case TYPE_DECIMAL:
        result = decimal_parse(&decimal, bytes, len);
        if (result == 0)
            *ret_len = decimal_print(&decimal, room);
        decimal_clear(&decimal);
        return result;
    case TYPE_DOUBLE:
        result = value_double(bytes, len, &real);
        if (result == 0)
            *ret_len = value_print_double(real, room);
        return result;
    case TYPE_BOOLEAN:
        result = value_boolean(bytes, len, &truth);
        if (result == 0)
            *ret_len = (size_t)snprintf(room, 2, "%s", truth ? "t" : "f");
        return result;
    case TYPE_DATE:
        result = civil_read_date(bytes, len, &number);
        if (result == 0)
            *ret_len = civil_print_date(number, room);
        return result;
    case TYPE_TIMESTAMP:
        result = civil_read_timestamp(bytes, len, &number);
        if (result == 0)
            *ret_len = civil_print_timestamp(number, room);
        return result;
    case TYPE_TIMESTAMPTZ:
        result = civil_read_timestamptz(bytes, len, &number);
        if (result == 0)
            *ret_len = civil_print_timestamptz(number, room);
        return result;
    case TYPE_BYTES:
        return value_bytes(bytes, len, room, ret_len);
    case TYPE_TEXT:
    case TYPE_NULL:
    case TYPES:
        break;
    }
    return -EINVAL;
}

int value_check(enum type type, const char *bytes, size_t len, char *room,
                size_t room_size, const char **ret_bytes, size_t *ret_len,
                char why[VALUE_WHY_MAX])
{
    int result;

    if (type == TYPE_TEXT) {
        result = value_utf8(bytes, len) ? 0 : -EINVAL;
        if (result == 0) {
            *ret_bytes = bytes;
            *ret_len = len;
        }
    } else if (room_size < VALUE_ROOM ||
               (type == TYPE_BYTES && room_size < len)) {
        result = -ENOBUFS;
    } else {
        result = canonical(type, bytes, len, room, ret_len);
        if (result == 0)
            *ret_bytes = room;
    }
    if (result < 0 && why)
        value_why(type, result, bytes, len, why);
    return result;
}

int value_fits(const struct column *column, const char *bytes, size_t len,
               char why[VALUE_WHY_MAX])
{
    char quoted[VALUE_QUOTED_MAX];
    struct decimal decimal = {0};
    int64_t number;
    int result = 0;

    if (column->type == TYPE_INTEGER && column->bits > 0 && column->bits < 64) {
        const int64_t limit = INT64_C(1) << (column->bits - 1);
        result = value_integer(bytes, len, &number);
        if (result == 0 && (number < -limit || number >= limit)) {
            if (why)
                snprintf(why, VALUE_WHY_MAX, "%lld does not fit %d bits",
                         (long long)number, column->bits);
            return -ERANGE;
        }
    } else if (column->type == TYPE_DECIMAL && column->precision >= 0) {
        result = decimal_parse(&decimal, bytes, len);
        bool fits = decimal_fits(&decimal, column->precision, column->scale);
        decimal_clear(&decimal);
        if (result == 0 && !fits) {
            if (why)
                snprintf(why, VALUE_WHY_MAX, "%s does not fit decimal(%d,%d)",
                         value_quote(bytes, len, quoted), column->precision,
                         column->scale < 0 ? 0 : column->scale);
            return -ERANGE;
        }
    } else if (column->type == TYPE_TEXT && column->length > 0 &&
               value_characters(bytes, len) > (size_t)column->length) {
        if (why)
            snprintf(why, VALUE_WHY_MAX, "%s is longer than %d characters",
                     value_quote(bytes, len, quoted), column->length);
        return -ERANGE;
    }
    if (result < 0 && why)
        value_why(column->type, result, bytes, len, why);
    return result;
}
