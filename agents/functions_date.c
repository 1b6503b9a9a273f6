/*
 * Dates and times. What an argument is, a date or a timestamp in UTC or not,
 * is seen by its text, and a result is of the same kind.
 */
#include "agents/civil.h"
#include "agents/functions_inside.h"

#include <errno.h>
#include <string.h>

struct moment {
    enum type type;
    int64_t us; /* a date: of its midnight */
};

static bool read_moment(struct function_call *call, int arg,
                        struct moment *ret_moment)
{
    struct moment moment = {.type = TYPE_TIMESTAMP};
    size_t len;
    const char *text = function_text(call, arg, &len);
    int result;

    if (!text)
        return false;
    if (len < CIVIL_DATE_ROOM)
        moment.type = TYPE_DATE;
    else if (memcmp(text + len - strlen("+00"), "+00", strlen("+00")) == 0)
        moment.type = TYPE_TIMESTAMPTZ;
    if (moment.type == TYPE_TIMESTAMPTZ)
        result = civil_read_timestamptz(text, len, &moment.us);
    else
        result = civil_read_timestamp(text, len, &moment.us);
    if (result < 0)
        function_fail_value(call, arg, moment.type, result);
    else
        *ret_moment = moment;
    return result == 0;
}

static void no_such_time(struct function_call *call)
{
    function_fail(call, "the result is not within the years %d to %d",
                  CIVIL_YEAR_MIN, CIVIL_YEAR_MAX);
}

static void give_moment(struct function_call *call, const struct moment *moment)
{
    char room[CIVIL_TIME_ROOM];
    size_t len;

    if (moment->type == TYPE_TIMESTAMPTZ)
        len = civil_print_timestamptz(moment->us, room);
    else
        len = civil_print_timestamp(moment->us, room);
    if (len == 0)
        no_such_time(call);
    else if (moment->type == TYPE_DATE)
        function_give_text(call, room, CIVIL_DATE_ROOM - 1);
    else
        function_give_text(call, room, len);
}

static bool read_part(struct function_call *call, int arg,
                      enum civil_part *ret_part)
{
    char quoted[VALUE_QUOTED_MAX];
    size_t len;
    const char *name = function_text(call, arg, &len);

    if (!name)
        return false;
    if (civil_part_find(name, len, ret_part) == 0)
        return true;
    function_fail(call,
                  "%s is no part of a time; there are year, month, day, hour, "
                  "minute, second, millisecond and microsecond",
                  value_quote(name, len, quoted));
    return false;
}

/* Hours and less; 0: longer than that. */
static int64_t part_us(enum civil_part part)
{
    switch (part) {
    case CIVIL_YEAR:
    case CIVIL_MONTH:
        break;
    case CIVIL_DAY:
        return CIVIL_DAY_US;
    case CIVIL_HOUR:
        return INT64_C(3600000000);
    case CIVIL_MINUTE:
        return INT64_C(60000000);
    case CIVIL_SECOND:
        return INT64_C(1000000);
    case CIVIL_MILLISECOND:
        return INT64_C(1000);
    case CIVIL_MICROSECOND:
        return INT64_C(1);
    }
    return 0;
}

/* ---- days ---------------------------------------------------------------- */

static bool read_days(struct function_call *call, int arg, int64_t *ret_days)
{
    size_t len;
    const char *text = function_text(call, arg, &len);

    if (!text)
        return false;
    int result = civil_read_date(text, len, ret_days);
    if (result < 0)
        function_fail_value(call, arg, TYPE_DATE, result);
    return result == 0;
}

static void give_days(struct function_call *call, int64_t days)
{
    char room[CIVIL_DATE_ROOM];
    size_t len = civil_print_date(days, room);

    if (len == 0)
        no_such_time(call);
    else
        function_give_text(call, room, len);
}

static void date_add(struct function_call *call)
{
    int64_t days, sum;

    if (!read_days(call, 0, &days))
        return;
    if (__builtin_add_overflow(days, function_integer(call, 1), &sum))
        no_such_time(call);
    else
        give_days(call, sum);
}

static void date_sub(struct function_call *call)
{
    int64_t days, rest;

    if (!read_days(call, 0, &days))
        return;
    if (__builtin_sub_overflow(days, function_integer(call, 1), &rest))
        no_such_time(call);
    else
        give_days(call, rest);
}

static void days_between(struct function_call *call)
{
    int64_t a, b;

    if (read_days(call, 0, &a) && read_days(call, 1, &b))
        function_give_integer(call, a - b);
}

static void last_day(struct function_call *call)
{
    struct civil civil;
    int64_t days;

    if (!read_days(call, 0, &days))
        return;
    if (civil_from_days(days, &civil) < 0)
        no_such_time(call);
    else
        give_days(call,
                  days - civil.day + civil_month_days(civil.year, civil.month));
}

/* ---- parts --------------------------------------------------------------- */

static void get_date_part(struct function_call *call)
{
    struct moment moment;
    struct civil civil;
    enum civil_part part;
    int value = 0;

    if (!read_part(call, 1, &part) || !read_moment(call, 0, &moment))
        return;
    if (civil_from_us(moment.us, &civil) < 0) {
        no_such_time(call);
        return;
    }
    switch (part) {
    case CIVIL_YEAR:
        value = civil.year;
        break;
    case CIVIL_MONTH:
        value = civil.month;
        break;
    case CIVIL_DAY:
        value = civil.day;
        break;
    case CIVIL_HOUR:
        value = civil.hour;
        break;
    case CIVIL_MINUTE:
        value = civil.minute;
        break;
    case CIVIL_SECOND:
        value = civil.second;
        break;
    case CIVIL_MILLISECOND:
        value = civil.microsecond / 1000;
        break;
    case CIVIL_MICROSECOND:
        value = civil.microsecond;
        break;
    }
    function_give_integer(call, value);
}

static void put_part(struct civil *civil, enum civil_part part, int value)
{
    switch (part) {
    case CIVIL_YEAR:
        civil->year = value;
        break;
    case CIVIL_MONTH:
        civil->month = value;
        break;
    case CIVIL_DAY:
        civil->day = value;
        break;
    case CIVIL_HOUR:
        civil->hour = value;
        break;
    case CIVIL_MINUTE:
        civil->minute = value;
        break;
    case CIVIL_SECOND:
        civil->second = value;
        break;
    case CIVIL_MILLISECOND:
        civil->microsecond = value * 1000 + civil->microsecond % 1000;
        break;
    case CIVIL_MICROSECOND:
        civil->microsecond = value;
        break;
    }
}

/* In another month or year the day may be beyond the end. False: there is no
 * such month. */
static bool clamp_day(struct civil *civil)
{
    if (civil->month < 1 || civil->month > 12)
        return false;
    int last = civil_month_days(civil->year, civil->month);
    if (civil->day > last)
        civil->day = last;
    return true;
}

static void set_date_part(struct function_call *call)
{
    /* What does not fit an int, or a thousand times it, is no part. */
    const int64_t most = 1000000;
    struct moment moment;
    struct civil civil;
    enum civil_part part;
    int64_t value = function_integer(call, 2);
    char quoted[VALUE_QUOTED_MAX];
    size_t len;

    if (!read_part(call, 1, &part) || !read_moment(call, 0, &moment))
        return;
    const char *name = function_text(call, 1, &len);
    if (!name || civil_from_us(moment.us, &civil) < 0)
        return;
    bool good = value >= 0 && value < most;
    if (good) {
        put_part(&civil, part, (int)value);
        good = part == CIVIL_DAY || clamp_day(&civil);
        good = good && civil_valid(&civil);
    }
    if (!good) {
        function_fail(call, "%.*s %lld does not make a date of %s", (int)len,
                      name, (long long)value, function_quote(call, 0, quoted));
        return;
    }
    moment.us = civil_us(&civil);
    give_moment(call, &moment);
}

static void add_to_date(struct function_call *call)
{
    struct moment moment;
    struct civil civil;
    enum civil_part part;
    int64_t count = function_integer(call, 2), more;

    if (!read_part(call, 1, &part) || !read_moment(call, 0, &moment))
        return;
    bool over;
    if (part == CIVIL_YEAR || part == CIVIL_MONTH) {
        over =
            __builtin_mul_overflow(
                count, part == CIVIL_YEAR ? INT64_C(12) : INT64_C(1), &more) ||
            civil_from_us(moment.us, &civil) < 0 ||
            civil_add_months(&civil, more) < 0;
        if (!over)
            moment.us = civil_us(&civil);
    } else {
        over = __builtin_mul_overflow(count, part_us(part), &more) ||
               __builtin_add_overflow(moment.us, more, &moment.us);
    }
    if (over)
        no_such_time(call);
    else
        give_moment(call, &moment);
}

/* How often a month can be gone from `from` in the direction of `to` without
 * passing it. */
static int64_t whole_months(int64_t from, int64_t to)
{
    struct civil a, b, there;

    if (civil_from_us(from, &a) < 0 || civil_from_us(to, &b) < 0)
        return 0;
    int64_t months = (b.year - a.year) * 12 + b.month - a.month;
    there = a;
    /* At most one too far, as the months themselves are right. */
    if (civil_add_months(&there, months) == 0) {
        if (months > 0 && civil_us(&there) > to)
            months--;
        else if (months < 0 && civil_us(&there) < to)
            months++;
    }
    return months;
}

static void date_diff(struct function_call *call)
{
    struct moment a, b;
    enum civil_part part;
    int64_t value;

    if (!read_part(call, 2, &part) || !read_moment(call, 0, &a) ||
        !read_moment(call, 1, &b))
        return;
    if (part == CIVIL_MONTH)
        value = whole_months(b.us, a.us);
    else if (part == CIVIL_YEAR)
        value = whole_months(b.us, a.us) / 12;
    else
        value = (a.us - b.us) / part_us(part);
    function_give_integer(call, value);
}

const struct function functions_date[] = {
    {"date_add", 2, 2, date_add, false, false},
    {"date_sub", 2, 2, date_sub, false, false},
    {"days", 2, 2, days_between, false, false},
    {"last_day", 1, 1, last_day, false, false},
    {"get_date_part", 2, 2, get_date_part, false, false},
    {"set_date_part", 3, 3, set_date_part, false, false},
    {"add_to_date", 3, 3, add_to_date, false, false},
    {"date_diff", 3, 3, date_diff, false, false},
    {0},
};
