/*
 * Decimals from and to texts and doubles, and the order of texts that is
 * SQLite's collation.
 */
#include "agents/decimal.h"
#include "agents/decimal_inside.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SHORT_DIGITS = 18, /* always in an int64 */
};

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* ---- texts --------------------------------------------------------------- */

/* What a text says, without its value: sign, where the digits are. */
struct spelled {
    const char *digits, *end; /* without leading zeros, a point among them */
    int64_t before, behind;   /* digits of either side of the point */
    int64_t exponent;
    bool negative;
};

static int spell(const char *at, size_t len, struct spelled *ret)
{
    const char *end = at + len;
    struct spelled s = {0};
    bool any = false;

    while (at < end && is_space(*at))
        at++;
    while (at < end && is_space(end[-1]))
        end--;
    if (at < end && (*at == '-' || *at == '+'))
        s.negative = *at++ == '-';
    for (; at < end && *at == '0'; at++)
        any = true;
    s.digits = at;
    for (; at < end && is_digit(*at); at++)
        s.before++;
    if (at < end && *at == '.')
        for (at++; at < end && is_digit(*at); at++)
            s.behind++;
    s.end = at;
    if (!any && !s.before && !s.behind)
        return -EINVAL;
    if (at < end && (*at == 'e' || *at == 'E')) {
        bool less = false;
        if (++at < end && (*at == '-' || *at == '+'))
            less = *at++ == '-';
        if (at == end)
            return -EINVAL;
        for (; at < end && is_digit(*at); at++)
            if (s.exponent < INT32_MAX)
                s.exponent = s.exponent * 10 + (*at - '0');
        if (less)
            s.exponent = -s.exponent;
    }
    if (at != end)
        return -EINVAL;
    *ret = s;
    return 0;
}

int decimal_parse(struct decimal *to, const char *text, size_t len)
{
    struct spelled s;
    char digits[DECIMAL_DIGITS_MAX + 1];
    size_t count = 0;

    if (spell(text, len, &s) < 0)
        return -EINVAL;
    int64_t scale = s.behind - s.exponent;
    for (const char *c = s.digits; c < s.end; c++) {
        if (!is_digit(*c) || (count == 0 && *c == '0'))
            continue;
        if (count == DECIMAL_DIGITS_MAX)
            return -ERANGE;
        digits[count++] = *c;
    }
    if (scale > DECIMAL_DIGITS_MAX)
        return -ERANGE;
    if (count == 0)
        return decimal_put_small(to, 0, scale > 0 ? (int)scale : 0);
    while (scale < 0) {
        if (count == DECIMAL_DIGITS_MAX)
            return -ERANGE;
        digits[count++] = '0';
        scale++;
    }
    if (count < POWERS) {
        wide value = 0;
        uint64_t part = 0;
        size_t i = 0;
        for (; i < count && i < SHORT_DIGITS; i++)
            part = part * 10 + (uint64_t)(digits[i] - '0');
        value = (wide)part;
        for (; i < count; i++)
            value = value * 10 + (digits[i] - '0');
        return decimal_put_small(to, s.negative ? -value : value, (int)scale);
    }
    mpz_t value;
    mpz_init(value);
    digits[count] = '\0';
    mpz_set_str(value, digits, 10);
    if (s.negative)
        mpz_neg(value, value);
    return decimal_put_large(to, value, (int)scale);
}

size_t decimal_print(const struct decimal *number, char to[DECIMAL_ROOM])
{
    char room[DECIMAL_ROOM], *out = to;
    size_t count, scale = (size_t)number->scale;
    const char *digits = decimal_digits(number, room, &count);

    if (decimal_sign(number) < 0)
        *out++ = '-';
    size_t before = count > scale ? count - scale : 0;
    if (before == 0)
        *out++ = '0';
    memcpy(out, digits, before);
    out += before;
    if (scale > 0) {
        size_t behind = count - before;
        *out++ = '.';
        memset(out, '0', scale - behind);
        out += scale - behind;
        memcpy(out, digits + before, behind);
        out += behind;
    }
    *out = '\0';
    return (size_t)(out - to);
}

/* ---- doubles ------------------------------------------------------------- */

int decimal_from_double(struct decimal *to, double value)
{
    char text[40];

    if (!isfinite(value))
        return -EINVAL;
    int len = snprintf(text, sizeof text, "%.15g", value);
    return decimal_parse(to, text, (size_t)len);
}

int decimal_to_double(const struct decimal *number, double *ret_value)
{
    static const double exact[] = {
        1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    const wide limit = (wide)1 << 53;

    /* Both are doubles without loss: their quotient is rounded just once. */
    if (!number->big && number->small <= limit && number->small >= -limit &&
        number->scale < (int)(sizeof exact / sizeof exact[0])) {
        *ret_value = (double)number->small / exact[number->scale];
        return 0;
    }
    char text[DECIMAL_ROOM];
    decimal_print(number, text);
    double value = strtod(text, NULL);
    if (!isfinite(value))
        return -ERANGE;
    *ret_value = value;
    return 0;
}

/* ---- the collation ------------------------------------------------------- */

/* A canonical text of few digits as an integer and its scale. */
static bool short_text(const char *text, size_t len, int64_t *ret_value,
                       int *ret_scale)
{
    bool negative = len > 0 && text[0] == '-';
    const char *at = text + negative, *end = text + len, *point = NULL;
    uint64_t value = 0; /* of 19 digits at most */

    if (at == end || end - at > SHORT_DIGITS + 1 || !is_digit(*at) ||
        !is_digit(end[-1]))
        return false;
    for (; at < end; at++) {
        if (is_digit(*at))
            value = value * 10 + (uint64_t)(*at - '0');
        else if (*at == '.' && !point)
            point = at;
        else
            return false;
    }
    if (!point && len - negative > SHORT_DIGITS)
        return false;
    *ret_value = negative ? -(int64_t)value : (int64_t)value;
    *ret_scale = point ? (int)(end - point) - 1 : 0;
    return true;
}

static int compare_bytes(const char *a, size_t a_len, const char *b,
                         size_t b_len)
{
    size_t len = a_len < b_len ? a_len : b_len;
    int order = len ? memcmp(a, b, len) : 0;

    return order ? order : (a_len > b_len) - (a_len < b_len);
}

int decimal_compare_texts(const char *a, size_t a_len, const char *b,
                          size_t b_len)
{
    int64_t x, y;
    int x_scale, y_scale;

    if (short_text(a, a_len, &x, &x_scale) &&
        short_text(b, b_len, &y, &y_scale)) {
        wide left = x, right = y;
        if (x_scale < y_scale)
            left *= decimal_powers()[y_scale - x_scale];
        else if (x_scale > y_scale)
            right *= decimal_powers()[x_scale - y_scale];
        return (left > right) - (left < right);
    }
    struct decimal left = {0}, right = {0};
    bool left_is = decimal_parse(&left, a, a_len) == 0;
    bool right_is = decimal_parse(&right, b, b_len) == 0;
    int order;
    if (left_is && right_is)
        order = decimal_cmp(&left, &right);
    else if (left_is != right_is)
        order = left_is ? -1 : 1;
    else
        order = compare_bytes(a, a_len, b, b_len);
    decimal_clear(&left);
    decimal_clear(&right);
    return order;
}
