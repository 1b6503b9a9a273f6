/*
 * civil.h - dates and times of the Gregorian calendar, years 1 to 9999,
 * reckoned as PostgreSQL does: days and microseconds since 1970-01-01, without
 * leap seconds. Texts as schema.h has them. Reads no clock and knows no time
 * zones but offsets from UTC.
 *
 * Memory:  none. Threads: none; pure.
 * Errors:  0 or a negative errno: -EINVAL: no such text; -ERANGE: it has the
 *          form, but there is no such day or time, or not within the years.
 */
#ifndef AGENTS_CIVIL_H
#define AGENTS_CIVIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CIVIL_DAY_US INT64_C(86400000000)

enum {
    CIVIL_YEAR_MIN = 1,
    CIVIL_YEAR_MAX = 9999,
    CIVIL_DATE_ROOM = 11, /* "2024-01-31" and NUL */
    CIVIL_TIME_ROOM = 30, /* "2024-01-31 10:00:00.123456+00" and NUL */
};

struct civil {
    int year, month, day; /* month and day from 1 */
    int hour, minute, second, microsecond;
};

/* The days of a date that exists; of any month and day (0, 13, -5: reckoned
 * through) otherwise. */
int64_t civil_days(int year, int month, int day);
int civil_month_days(int year, int month);
/* Is it within the years, and does it exist? */
bool civil_valid(const struct civil *civil);
int64_t civil_us(const struct civil *civil);
/* -ERANGE: outside of the years; ret_civil as it was. */
int civil_from_days(int64_t days, struct civil *ret_civil);
int civil_from_us(int64_t us, struct civil *ret_civil);

/* Blanks around are ignored. A date may be written 2024-01-31, 2024-1-31,
 * 2024/01/31, 2024.01.31 or 20240131; a time behind it, after a blank or "T",
 * 10:00, 10:00:00, 10:00:00.25 (rounded to microseconds), 24:00:00 or 100000;
 * an offset behind that Z, UTC, +02, -03:30, +0530 or +01:02:03. A date's time
 * and a timestamp's offset are checked and ignored; a timestamptz without an
 * offset is in UTC. */
int civil_read_date(const char *text, size_t len, int64_t *ret_days);
int civil_read_timestamp(const char *text, size_t len, int64_t *ret_us);
int civil_read_timestamptz(const char *text, size_t len, int64_t *ret_us);

/* The canonical texts; return the length, 0 when outside of the years. */
size_t civil_print_date(int64_t days, char to[CIVIL_DATE_ROOM]);
size_t civil_print_timestamp(int64_t us, char to[CIVIL_TIME_ROOM]);
size_t civil_print_timestamptz(int64_t us, char to[CIVIL_TIME_ROOM]);

/* The same day n months later or earlier, or the last one of a shorter month.
 * -ERANGE. */
int civil_add_months(struct civil *civil, int64_t months);

enum civil_part {
    CIVIL_YEAR,
    CIVIL_MONTH,
    CIVIL_DAY,
    CIVIL_HOUR,
    CIVIL_MINUTE,
    CIVIL_SECOND,
    CIVIL_MILLISECOND,
    CIVIL_MICROSECOND,
};
/* "YYYY", "yy", "year", "MM", "month", "DD", "day", "HH", "HH24", "hour", "MI",
 * "minute", "SS", "second", "MS", "millisecond", "US", "microsecond", and a few
 * more, in any case. -ENOENT. */
int civil_part_find(const char *name, size_t len, enum civil_part *ret_part);

#endif
