/*
 * Days are counted in years that begin in March, so that a leap day is the last
 * of its year and months before it are all of known lengths.
 */
#include "agents/civil.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    YEAR_DAYS = 365,
    ERA_YEARS = 400,
    ERA_DAYS = 146097,
    EPOCH_DAYS = 719468, /* from 1 March of the year 0 to 1970-01-01 */
    OFFSET_HOURS_MAX = 15,
};

#define SECOND_US INT64_C(1000000)

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static bool leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

int civil_month_days(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return month == 2 && leap(year) ? 29 : days[month - 1];
}

int64_t civil_days(int year, int month, int day)
{
    /* Months from March on of a year that begins then. */
    int64_t months = (int64_t)year * 12 + month - 3;
    int64_t from = floor_div(months, 12), of = months - from * 12;
    int64_t era = floor_div(from, ERA_YEARS), in = from - era * ERA_YEARS;

    return era * ERA_DAYS + in * YEAR_DAYS + in / 4 - in / 100 +
           (153 * of + 2) / 5 + day - 1 - EPOCH_DAYS;
}

bool civil_valid(const struct civil *c)
{
    return c->year >= CIVIL_YEAR_MIN && c->year <= CIVIL_YEAR_MAX &&
           c->month >= 1 && c->month <= 12 && c->day >= 1 &&
           c->day <= civil_month_days(c->year, c->month) && c->hour >= 0 &&
           c->hour <= 23 && c->minute >= 0 && c->minute <= 59 &&
           c->second >= 0 && c->second <= 59 && c->microsecond >= 0 &&
           c->microsecond < SECOND_US;
}

int64_t civil_us(const struct civil *c)
{
    int64_t seconds =
        (int64_t)c->hour * 3600 + (int64_t)c->minute * 60 + c->second;

    return civil_days(c->year, c->month, c->day) * CIVIL_DAY_US +
           seconds * SECOND_US + c->microsecond;
}

static bool within(int64_t days)
{
    return days >= civil_days(CIVIL_YEAR_MIN, 1, 1) &&
           days <= civil_days(CIVIL_YEAR_MAX, 12, 31);
}

int civil_from_days(int64_t days, struct civil *ret_civil)
{
    if (!within(days))
        return -ERANGE;
    int64_t from = days + EPOCH_DAYS;
    int64_t era = floor_div(from, ERA_DAYS), in = from - era * ERA_DAYS;
    /* Take out the leap days before this one, then all years are equal. */
    int64_t year = (in - in / 1460 + in / 36524 - in / 146096) / YEAR_DAYS;
    int64_t day = in - (year * YEAR_DAYS + year / 4 - year / 100);
    int64_t month = (5 * day + 2) / 153; /* 0: March */
    *ret_civil = (struct civil){
        .year = (int)(year + era * ERA_YEARS + (month >= 10)),
        .month = (int)(month < 10 ? month + 3 : month - 9),
        .day = (int)(day - (153 * month + 2) / 5 + 1),
    };
    return 0;
}

int civil_from_us(int64_t us, struct civil *ret_civil)
{
    int64_t days = floor_div(us, CIVIL_DAY_US);
    struct civil civil;

    if (civil_from_days(days, &civil) < 0)
        return -ERANGE;
    int64_t rest = us - days * CIVIL_DAY_US;
    int seconds = (int)(rest / SECOND_US);
    civil.hour = seconds / 3600;
    civil.minute = seconds / 60 % 60;
    civil.second = seconds % 60;
    civil.microsecond = (int)(rest % SECOND_US);
    *ret_civil = civil;
    return 0;
}

/* ---- reading ------------------------------------------------------------- */

struct cursor {
    const char *at, *end;
};

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(const struct cursor *cursor)
{
    return cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9';
}

static bool skip_space(struct cursor *cursor)
{
    const char *from = cursor->at;

    while (cursor->at < cursor->end && is_space(*cursor->at))
        cursor->at++;
    return cursor->at > from;
}

static bool skip(struct cursor *cursor, char c)
{
    if (cursor->at == cursor->end || *cursor->at != c)
        return false;
    cursor->at++;
    return true;
}

static bool skip_word(struct cursor *cursor, const char *word)
{
    size_t len = strlen(word);

    if ((size_t)(cursor->end - cursor->at) < len ||
        strncasecmp(cursor->at, word, len) != 0)
        return false;
    cursor->at += len;
    return true;
}

/* Some digits, at most 9; returns how many, 0: none or too many. */
static int number(struct cursor *cursor, int *ret_value)
{
    int count = 0, value = 0;

    for (; is_digit(cursor) && count < 9; count++)
        value = value * 10 + (*cursor->at++ - '0');
    *ret_value = value;
    return is_digit(cursor) ? 0 : count;
}

static bool two(struct cursor *cursor, int *ret_value)
{
    int count = number(cursor, ret_value);

    return count == 1 || count == 2;
}

static int read_day(struct cursor *cursor, struct civil *civil)
{
    int value, count = number(cursor, &value);

    if (count == 8) {
        civil->year = value / 10000;
        civil->month = value / 100 % 100;
        civil->day = value % 100;
    } else if (count >= 3) {
        char separator = '\0';
        if (cursor->at < cursor->end)
            separator = *cursor->at;
        civil->year = value;
        if ((separator != '-' && separator != '/' && separator != '.') ||
            !skip(cursor, separator) || !two(cursor, &civil->month) ||
            !skip(cursor, separator) || !two(cursor, &civil->day))
            return -EINVAL;
    } else {
        return -EINVAL;
    }
    return civil_valid(civil) ? 0 : -ERANGE;
}

/* Digits behind a point as microseconds, up to a whole second of them. */
static int64_t read_fraction(struct cursor *cursor)
{
    char text[40] = "0.";
    size_t len = 2;

    for (; is_digit(cursor); cursor->at++)
        if (len < sizeof text - 1)
            text[len++] = *cursor->at;
    return (int64_t)rint(strtod(text, NULL) * (double)SECOND_US);
}

static int read_time(struct cursor *cursor, int64_t *ret_us)
{
    int hour, minute, second = 0, count = number(cursor, &hour);
    int64_t fraction = 0;
    bool seconds = false;

    if (count == 4 || count == 6) {
        seconds = count == 6;
        second = seconds ? hour % 100 : 0;
        hour = seconds ? hour / 100 : hour;
        minute = hour % 100;
        hour /= 100;
    } else {
        if (count < 1 || count > 2 || !skip(cursor, ':') ||
            !two(cursor, &minute))
            return -EINVAL;
        seconds = skip(cursor, ':');
        if (seconds && !two(cursor, &second))
            return -EINVAL;
    }
    if (seconds && skip(cursor, '.'))
        fraction = read_fraction(cursor);
    if (hour > 24 || minute > 59 || second > 60)
        return -ERANGE;
    int64_t us =
        ((int64_t)hour * 3600 + (int64_t)minute * 60 + second) * SECOND_US +
        fraction;
    if (us > CIVIL_DAY_US)
        return -ERANGE;
    *ret_us = us;
    return 0;
}

/* Nothing, or an offset: how far the clock there is ahead of UTC. */
static int read_offset(struct cursor *cursor, int64_t *ret_us)
{
    int hour, minute = 0, second = 0, count;

    if (skip_word(cursor, "UTC") || skip_word(cursor, "GMT") ||
        skip_word(cursor, "Z"))
        return 0;
    bool west = skip(cursor, '-');
    if (!west && !skip(cursor, '+'))
        return 0;
    count = number(cursor, &hour);
    if (count == 3 || count == 4) {
        minute = hour % 100;
        hour /= 100;
    } else if (count == 1 || count == 2) {
        if (skip(cursor, ':') && !two(cursor, &minute))
            return -EINVAL;
        if (skip(cursor, ':') && !two(cursor, &second))
            return -EINVAL;
    } else {
        return -EINVAL;
    }
    if (hour > OFFSET_HOURS_MAX || minute > 59 || second > 59)
        return -ERANGE;
    int64_t us =
        ((int64_t)hour * 3600 + (int64_t)minute * 60 + second) * SECOND_US;
    *ret_us = west ? -us : us;
    return 0;
}

struct reading {
    int64_t days, time_us, offset_us;
};

static int read_all(const char *text, size_t len, struct reading *ret)
{
    struct cursor cursor = {text, text + len};
    struct reading reading = {0};
    struct civil civil = {0};

    (void)skip_space(&cursor);
    if (skip_word(&cursor, "infinity") || skip_word(&cursor, "-infinity"))
        return -ERANGE;
    int result = read_day(&cursor, &civil);
    if (result < 0)
        return result;
    bool gap = skip_space(&cursor);
    bool letter = !gap && (skip(&cursor, 'T') || skip(&cursor, 't'));
    if (letter && !is_digit(&cursor))
        return -EINVAL;
    if (letter || (gap && is_digit(&cursor))) {
        result = read_time(&cursor, &reading.time_us);
        (void)skip_space(&cursor);
    }
    if (result == 0)
        result = read_offset(&cursor, &reading.offset_us);
    if (result < 0)
        return result;
    (void)skip_space(&cursor);
    if (skip_word(&cursor, "BC"))
        return -ERANGE;
    if (cursor.at < cursor.end)
        return -EINVAL;
    reading.days = civil_days(civil.year, civil.month, civil.day);
    *ret = reading;
    return 0;
}

int civil_read_date(const char *text, size_t len, int64_t *ret_days)
{
    struct reading reading;
    int result = read_all(text, len, &reading);

    if (result == 0)
        *ret_days = reading.days;
    return result;
}

static int checked_us(int64_t us, int64_t *ret_us)
{
    if (!within(floor_div(us, CIVIL_DAY_US)))
        return -ERANGE;
    *ret_us = us;
    return 0;
}

int civil_read_timestamp(const char *text, size_t len, int64_t *ret_us)
{
    struct reading reading;
    int result = read_all(text, len, &reading);

    if (result < 0)
        return result;
    return checked_us(reading.days * CIVIL_DAY_US + reading.time_us, ret_us);
}

int civil_read_timestamptz(const char *text, size_t len, int64_t *ret_us)
{
    struct reading reading;
    int result = read_all(text, len, &reading);

    if (result < 0)
        return result;
    return checked_us(reading.days * CIVIL_DAY_US + reading.time_us -
                          reading.offset_us,
                      ret_us);
}

/* ---- printing ------------------------------------------------------------ */

static char *put(char *to, int value, int digits)
{
    for (int i = digits - 1; i >= 0; i--, value /= 10)
        to[i] = (char)('0' + value % 10);
    return to + digits;
}

static char *put_day(char *to, const struct civil *civil)
{
    to = put(to, civil->year, 4);
    *to++ = '-';
    to = put(to, civil->month, 2);
    *to++ = '-';
    return put(to, civil->day, 2);
}

size_t civil_print_date(int64_t days, char to[CIVIL_DATE_ROOM])
{
    struct civil civil;

    to[0] = '\0';
    if (civil_from_days(days, &civil) < 0)
        return 0;
    char *end = put_day(to, &civil);
    *end = '\0';
    return (size_t)(end - to);
}

static size_t print_time(int64_t us, char *to, const char *suffix)
{
    struct civil civil;

    to[0] = '\0';
    if (civil_from_us(us, &civil) < 0)
        return 0;
    char *end = put_day(to, &civil);
    *end++ = ' ';
    end = put(end, civil.hour, 2);
    *end++ = ':';
    end = put(end, civil.minute, 2);
    *end++ = ':';
    end = put(end, civil.second, 2);
    if (civil.microsecond) {
        *end++ = '.';
        end = put(end, civil.microsecond, 6);
        while (end[-1] == '0')
            end--;
    }
    for (; *suffix; suffix++)
        *end++ = *suffix;
    *end = '\0';
    return (size_t)(end - to);
}

size_t civil_print_timestamp(int64_t us, char to[CIVIL_TIME_ROOM])
{
    return print_time(us, to, "");
}

size_t civil_print_timestamptz(int64_t us, char to[CIVIL_TIME_ROOM])
{
    return print_time(us, to, "+00");
}

/* ---- parts --------------------------------------------------------------- */

int civil_add_months(struct civil *civil, int64_t months)
{
    const int64_t most = (CIVIL_YEAR_MAX + INT64_C(1)) * 12;

    if (months > most || months < -most)
        return -ERANGE;
    int64_t all = (int64_t)civil->year * 12 + civil->month - 1 + months;
    int64_t year = floor_div(all, 12);
    if (year < CIVIL_YEAR_MIN || year > CIVIL_YEAR_MAX)
        return -ERANGE;
    civil->year = (int)year;
    civil->month = (int)(all - year * 12) + 1;
    int last = civil_month_days(civil->year, civil->month);
    if (civil->day > last)
        civil->day = last;
    return 0;
}

int civil_part_find(const char *name, size_t len, enum civil_part *ret_part)
{
    static const struct {
        const char *name;
        enum civil_part part;
    } names[] = {{"Y", CIVIL_YEAR},
                 {"YY", CIVIL_YEAR},
                 {"YYY", CIVIL_YEAR},
                 {"YYYY", CIVIL_YEAR},
                 {"YEAR", CIVIL_YEAR},
                 {"MM", CIVIL_MONTH},
                 {"MON", CIVIL_MONTH},
                 {"MONTH", CIVIL_MONTH},
                 {"D", CIVIL_DAY},
                 {"DD", CIVIL_DAY},
                 {"DDD", CIVIL_DAY},
                 {"DY", CIVIL_DAY},
                 {"DAY", CIVIL_DAY},
                 {"HH", CIVIL_HOUR},
                 {"HH12", CIVIL_HOUR},
                 {"HH24", CIVIL_HOUR},
                 {"HOUR", CIVIL_HOUR},
                 {"MI", CIVIL_MINUTE},
                 {"MINUTE", CIVIL_MINUTE},
                 {"SS", CIVIL_SECOND},
                 {"SECOND", CIVIL_SECOND},
                 {"MS", CIVIL_MILLISECOND},
                 {"MILLISECOND", CIVIL_MILLISECOND},
                 {"US", CIVIL_MICROSECOND},
                 {"MICROSECOND", CIVIL_MICROSECOND}};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strlen(names[i].name) == len &&
            strncasecmp(names[i].name, name, len) == 0) {
            *ret_part = names[i].part;
            return 0;
        }
    return -ENOENT;
}
