/* expr_literal.c - see expr_literal.h */
#include "policy/expr_literal.h"

#include <stdio.h>
#include <string.h>

/* ---- numbers --------------------------------------------------------- */

static size_t digits_at(const char *text, size_t bytes)
{
    size_t count = 0;
    while (count < bytes && text[count] >= '0' && text[count] <= '9')
        count++;
    return count;
}

/* Of digits only, the first not a zero unless it is the only one. */
static bool fits_integer(const char *digits, size_t count, int64_t *ret_integer)
{
    int64_t value = 0;
    for (size_t i = 0; i < count; i++) {
        if (__builtin_mul_overflow(value, (int64_t)10, &value) ||
            __builtin_add_overflow(value, (int64_t)(digits[i] - '0'), &value))
            return false;
    }
    *ret_integer = value;
    return true;
}

/* Beyond LITERAL_EXPONENT_MAX it does not matter by how much. */
static int read_exponent(const char *text, size_t bytes)
{
    bool negative = text[0] == '-';
    int value = 0;
    for (size_t i = text[0] == '-' || text[0] == '+'; i < bytes; i++) {
        if (value <= LITERAL_EXPONENT_MAX)
            value = value * 10 + (text[i] - '0');
    }
    return negative ? -value : value;
}

enum literal_number literal_number(const char *text, size_t bytes,
                                   int64_t *ret_integer,
                                   char ret_decimal[LITERAL_NUMBER_MAX])
{
    char digits[LITERAL_DIGITS_MAX];
    size_t count = 0;
    long point; /* of digits, how many stand before the point */
    int exponent = 0;

    size_t at = 0;
    while (at < bytes && text[at] == '0')
        at++;
    size_t whole = digits_at(text + at, bytes - at);
    if (whole > LITERAL_DIGITS_MAX)
        return LITERAL_TOO_LONG;
    memcpy(digits, text + at, whole);
    count = whole;
    at += whole;

    bool plain = at == bytes;
    if (at < bytes && text[at] == '.') {
        at++;
        size_t behind = digits_at(text + at, bytes - at);
        if (count + behind > LITERAL_DIGITS_MAX)
            return LITERAL_TOO_LONG;
        memcpy(digits + count, text + at, behind);
        count += behind;
        at += behind;
    }
    if (at < bytes)
        exponent = read_exponent(text + at + 1, bytes - at - 1);
    if (exponent > LITERAL_EXPONENT_MAX || exponent < -LITERAL_EXPONENT_MAX)
        return LITERAL_EXPONENT_TOO_LARGE;
    point = (long)whole + exponent;

    if (plain && fits_integer(digits, count, ret_integer))
        return LITERAL_INTEGER;

    /* Written out from its first digit to its last, wherever the point is. */
    long first = point > 0 ? 0 : point - 1;
    long end = (long)count > point ? (long)count : point;
    while (first < point - 1 && (first >= (long)count || digits[first] == '0'))
        first++;
    if (end - first > LITERAL_DIGITS_MAX)
        return LITERAL_TOO_LONG;
    size_t used = 0;
    for (long i = first; i < end; i++) {
        if (i == point)
            ret_decimal[used++] = '.';
        ret_decimal[used++] =
            (char)(i >= 0 && i < (long)count ? digits[i] : '0');
    }
    ret_decimal[used] = '\0';
    return LITERAL_DECIMAL;
}

/* ---- dates ----------------------------------------------------------- */

struct reader {
    const char *text;
    size_t bytes, at;
};

static bool take(struct reader *reader, char c)
{
    if (reader->at == reader->bytes || reader->text[reader->at] != c)
        return false;
    reader->at++;
    return true;
}

static bool take_number(struct reader *reader, size_t digits, int *ret_number)
{
    if (digits_at(reader->text + reader->at, reader->bytes - reader->at) <
        digits)
        return false;
    *ret_number = 0;
    for (size_t i = 0; i < digits; i++)
        *ret_number = *ret_number * 10 + (reader->text[reader->at++] - '0');
    return true;
}

static int days_of(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

struct moment {
    int year, month, day, hour, minute, second;
    char fraction[8];   /* ".5" or nothing */
    int offset_minutes; /* east of UTC */
};

static const char *read_date(struct reader *reader, struct moment *moment)
{
    if (!take_number(reader, 4, &moment->year) || !take(reader, '-') ||
        !take_number(reader, 2, &moment->month) || !take(reader, '-') ||
        !take_number(reader, 2, &moment->day) ||
        digits_at(reader->text + reader->at, reader->bytes - reader->at) > 0)
        return "is not written as YYYY-MM-DD";
    if (moment->year < 1)
        return "has a year that is not 0001 to 9999";
    if (moment->month < 1 || moment->month > 12)
        return "has a month that is not 01 to 12";
    if (moment->day < 1 || moment->day > days_of(moment->year, moment->month))
        return "has a day that this month does not have";
    return NULL;
}

static const char *read_fraction(struct reader *reader, struct moment *moment)
{
    size_t digits =
        digits_at(reader->text + reader->at, reader->bytes - reader->at);
    if (digits == 0)
        return "has a point without digits behind it";
    if (digits > 6)
        return "has more than 6 digits behind its seconds";
    size_t kept = digits;
    while (kept > 0 && reader->text[reader->at + kept - 1] == '0')
        kept--;
    if (kept > 0)
        snprintf(moment->fraction, sizeof moment->fraction, ".%.*s", (int)kept,
                 reader->text + reader->at);
    reader->at += digits;
    return NULL;
}

static const char *read_clock(struct reader *reader, struct moment *moment)
{
    static const char *const shape =
        "is not written as YYYY-MM-DD HH:MM:SS.ffffff";
    if (!take_number(reader, 2, &moment->hour) || !take(reader, ':') ||
        !take_number(reader, 2, &moment->minute))
        return shape;
    if (take(reader, ':')) {
        if (!take_number(reader, 2, &moment->second))
            return shape;
        const char *wrong =
            take(reader, '.') ? read_fraction(reader, moment) : NULL;
        if (wrong != NULL)
            return wrong;
    }
    if (moment->hour > 23)
        return "has an hour that is not 00 to 23";
    if (moment->minute > 59 || moment->second > 59)
        return "has a minute or second that is not 00 to 59";
    return NULL;
}

static const char *read_offset(struct reader *reader, struct moment *moment)
{
    int hours;
    int minutes = 0;
    if (take(reader, 'Z') || take(reader, 'z'))
        return NULL;
    bool west = take(reader, '-');
    if (!west && !take(reader, '+'))
        return "lacks its distance from UTC (Z, +02 or -03:30)";
    if (!take_number(reader, 2, &hours) ||
        ((take(reader, ':') || digits_at(reader->text + reader->at,
                                         reader->bytes - reader->at) > 0) &&
         !take_number(reader, 2, &minutes)))
        return "has a distance from UTC that is not written as +HH or +HH:MM";
    if (hours > 15 || minutes > 59)
        return "has a distance from UTC that is beyond 15:59";
    moment->offset_minutes = (hours * 60 + minutes) * (west ? -1 : 1);
    return NULL;
}

/* Only the first and the last day can lie outside of the years in UTC. */
static bool in_years(const struct moment *moment)
{
    int minutes = moment->hour * 60 + moment->minute - moment->offset_minutes;
    if (moment->year == 1 && moment->month == 1 && moment->day == 1)
        return minutes >= 0;
    if (moment->year == 9999 && moment->month == 12 && moment->day == 31)
        return minutes < 24 * 60;
    return true;
}

const char *literal_time(enum literal_time kind, const char *text, size_t bytes,
                         char ret_time[LITERAL_TIME_MAX])
{
    struct reader reader = {text, bytes, 0};
    struct moment moment = {0};

    const char *wrong = read_date(&reader, &moment);
    if (wrong == NULL && kind != LITERAL_DATE &&
        (take(&reader, ' ') || take(&reader, 'T') || take(&reader, 't')))
        wrong = read_clock(&reader, &moment);
    if (wrong == NULL && kind == LITERAL_TIMESTAMPTZ) {
        take(&reader, ' ');
        wrong = read_offset(&reader, &moment);
    }
    if (wrong != NULL)
        return wrong;
    if (reader.at < bytes && kind == LITERAL_DATE)
        return "goes on after its day; with a time it is a TIMESTAMP";
    if (reader.at < bytes && kind == LITERAL_TIMESTAMP)
        return "goes on after its time; with a distance from UTC it is a "
               "TIMESTAMPTZ";
    if (reader.at < bytes)
        return "goes on after its distance from UTC";
    if (!in_years(&moment))
        return "lies outside of the years 0001 to 9999 in UTC";

    int used = snprintf(ret_time, LITERAL_TIME_MAX, "%04d-%02d-%02d",
                        moment.year, moment.month, moment.day);
    if (kind != LITERAL_DATE)
        used += snprintf(ret_time + used, (size_t)(LITERAL_TIME_MAX - used),
                         " %02d:%02d:%02d%s", moment.hour, moment.minute,
                         moment.second, moment.fraction);
    if (kind == LITERAL_TIMESTAMPTZ) {
        int offset = moment.offset_minutes;
        int east = offset < 0 ? -offset : offset;
        used += snprintf(ret_time + used, (size_t)(LITERAL_TIME_MAX - used),
                         "%c%02d", offset < 0 ? '-' : '+', east / 60);
        if (east % 60 != 0)
            snprintf(ret_time + used, (size_t)(LITERAL_TIME_MAX - used),
                     ":%02d", east % 60);
    }
    return NULL;
}
