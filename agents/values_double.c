/* Doubles from and to texts. */
#include "agents/values.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DOUBLE_TEXT_MAX = 2048,  /* longer ones are not worth reading */
    DOUBLE_FIXED_DIGITS = 15 /* from 1e15 on with an exponent */
};

int value_double(const char *bytes, size_t len, double *ret_value)
{
    char text[DOUBLE_TEXT_MAX + 1], *end;

    value_trim(&bytes, &len);
    if (len == 0)
        return -EINVAL;
    if (len > DOUBLE_TEXT_MAX)
        return -ERANGE;
    memcpy(text, bytes, len);
    text[len] = '\0';
    errno = 0;
    double value = strtod(text, &end);
    if (end != text + len || isnan(value))
        return -EINVAL;
    if (isinf(value) || (value == 0 && errno == ERANGE))
        return errno == ERANGE ? -ERANGE : -EINVAL;
    *ret_value = value;
    return 0;
}

/* Does d.ddde+xx stand exactly between value and a neighbour of it? It is then
 * only read as value because value is even, which PostgreSQL does not rely on.
 * Only whole numbers have such texts of few digits. */
static bool between(double value, const char *text)
{
    __extension__ typedef unsigned __int128 wide;
    const double first = 0x1p53, last = 1e38;
    wide number = 0;
    int exponent = (int)strtol(strchr(text, 'e') + 1, NULL, 10);

    if (value < first || value >= last)
        return false;
    for (; *text != 'e'; text++) {
        if (*text == '.')
            continue;
        number = number * 10 + (unsigned)(*text - '0');
        exponent--;
    }
    /* One digit stands before the point. */
    for (exponent++; exponent > 0; exponent--)
        number *= 10;
    for (; exponent < 0; exponent++)
        number /= 10;
    wide whole = (wide)value;
    if (number > whole)
        return (number - whole) * 2 == (wide)nextafter(value, INFINITY) - whole;
    return (whole - number) * 2 == whole - (wide)nextafter(value, 0);
}

/* One more in the last digit of d.ddde+xx; false: they are all 9. */
static bool increment(char *text)
{
    for (char *at = strchr(text, 'e') - 1; at >= text; at--) {
        if (*at == '.')
            continue;
        if (*at < '9') {
            ++*at;
            return true;
        }
        *at = '0';
    }
    return false;
}

static bool reads_as(const char *text, double value)
{
    return strtod(text, NULL) == value && !between(value, text);
}

/* The fewest digits that read back as value, as d.ddde+xx. */
static void shortest(double value, char to[40])
{
    /* Up to DBL_DIG digits survive the way through a double, so that fewer
     * need not be tried: they show as zeros at the end. Where doubles are
     * sparser than that, all have to be. */
    int digits = value < DBL_MIN ? 1 : DBL_DIG;
    /* Below a power of two doubles are twice as dense as above, and the digits
     * above may be right when the nearer ones below are not. */
    int power;
    bool edge = frexp(value, &power) == 0.5;

    for (;; digits++) {
        snprintf(to, 40, "%.*e", digits - 1, value);
        if (digits == DBL_DECIMAL_DIG || reads_as(to, value))
            return;
        if (edge && increment(to) && reads_as(to, value))
            return;
    }
}

size_t value_print_double(double value, char room[VALUE_DOUBLE_ROOM])
{
    char text[40], digits[24] = "0", *out = room;
    size_t count = 0;

    if (fabs(value) < 1e15 && value == rint(value) &&
        !(value == 0 && signbit(value)))
        return value_print_integer((int64_t)value, room);
    if (!isfinite(value)) {
        room[0] = '\0';
        return 0;
    }
    if (signbit(value))
        *out++ = '-';
    shortest(fabs(value), text);
    const char *at = text;
    for (; *at != 'e'; at++)
        if (*at != '.')
            digits[count++] = *at;
    int exponent = (int)strtol(at + 1, NULL, 10);
    while (count > 1 && digits[count - 1] == '0')
        count--;
    if (exponent < -4 || exponent >= DOUBLE_FIXED_DIGITS) {
        *out++ = digits[0];
        if (count > 1)
            *out++ = '.';
        memcpy(out, digits + 1, count - 1);
        out += count - 1;
        out += snprintf(out, 8, "e%c%02d", exponent < 0 ? '-' : '+',
                        abs(exponent));
        return (size_t)(out - room);
    }
    int before = exponent + 1, has = (int)count; /* before the point; at all */
    if (before <= 0)
        *out++ = '0';
    for (int i = 0; i < before && i < has; i++)
        *out++ = digits[i];
    for (int i = has; i < before; i++)
        *out++ = '0';
    if (has > before)
        *out++ = '.';
    for (int i = before; i < 0; i++)
        *out++ = '0';
    for (int i = before > 0 ? before : 0; i < has; i++)
        *out++ = digits[i];
    *out = '\0';
    return (size_t)(out - room);
}
