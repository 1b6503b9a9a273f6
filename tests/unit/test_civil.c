/* Tests of agents/civil: days of the calendar, times of day, and their texts.
 * What is read, and as what, is what PostgreSQL 15 answered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agents/civil.h"

#include <errno.h>
#include <string.h>

static void every_day_comes_back(void **state)
{
    struct civil civil, before = {0};
    int64_t first = civil_days(1, 1, 1), last = civil_days(9999, 12, 31);
    (void)state;

    assert_int_equal(last - first, 3652058);
    for (int64_t days = first; days <= last; days++) {
        assert_int_equal(civil_from_days(days, &civil), 0);
        if (civil_days(civil.year, civil.month, civil.day) != days)
            fail();
        /* Each is the next one of its month, or the first of the next. */
        if (days > first && civil.day != before.day + 1 &&
            (civil.day != 1 ||
             before.day != civil_month_days(before.year, before.month)))
            fail();
        before = civil;
    }
}

static void days_are_counted_from_1970(void **state)
{
    (void)state;
    assert_int_equal(civil_days(1970, 1, 1), 0);
    assert_int_equal(civil_days(1969, 12, 31), -1);
    assert_int_equal(civil_days(2000, 3, 1), 11017);
    assert_int_equal(civil_days(2024, 14, 1), civil_days(2025, 2, 1));
    assert_int_equal(civil_days(2024, 0, 1), civil_days(2023, 12, 1));
    assert_int_equal(civil_days(2024, 3, 0), civil_days(2024, 2, 29));
}

static void beyond_the_years_there_is_nothing(void **state)
{
    struct civil civil;
    char date[CIVIL_DATE_ROOM], time[CIVIL_TIME_ROOM];
    int64_t first = civil_days(1, 1, 1), last = civil_days(9999, 12, 31);
    (void)state;

    assert_int_equal(civil_from_days(first - 1, &civil), -ERANGE);
    assert_int_equal(civil_from_days(last + 1, &civil), -ERANGE);
    assert_int_equal(civil_from_us(INT64_MIN, &civil), -ERANGE);
    assert_int_equal(civil_from_us(INT64_MAX, &civil), -ERANGE);
    assert_int_equal(civil_print_date(last + 1, date), 0);
    assert_int_equal(civil_print_timestamp(first * CIVIL_DAY_US - 1, time), 0);
    assert_int_equal(civil_print_timestamp(first * CIVIL_DAY_US, time), 19);
    assert_string_equal(time, "0001-01-01 00:00:00");
}

static void dates_are_read(void **state)
{
    static const struct {
        const char *text, *date; /* NULL: it is refused */
    } cases[] = {
        {"2024-02-29", "2024-02-29"},
        {" 2024-1-5 ", "2024-01-05"},
        {"20240105", "2024-01-05"},
        {"2024/01/05", "2024-01-05"},
        {"2024.01.05", "2024-01-05"},
        {"824-01-05", "0824-01-05"},
        {"0001-01-01", "0001-01-01"},
        {"9999-12-31", "9999-12-31"},
        {"2024-01-05 23:59:59.999999", "2024-01-05"},
        {"2024-01-05T24:00", "2024-01-05"},
        {"2024-01-05 10:00:00+02", "2024-01-05"},
        {"2023-02-29", NULL},
        {"1900-02-29", NULL},
        {"2024-13-01", NULL},
        {"2024-00-01", NULL},
        {"2024-01-00", NULL},
        {"0000-01-01", NULL},
        {"10000-01-01", NULL},
        {"24-01-05", NULL},
        {"2024-01", NULL},
        {"2024-01/05", NULL},
        {"2024-01-05x", NULL},
        {"2024-01-05T", NULL},
        {"2024-01-05 BC", NULL},
        {"infinity", NULL},
        {"", NULL},
        {"today", NULL},
        {"99999999999999999999-01-01", NULL},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[CIVIL_DATE_ROOM];
        int64_t days;
        int result =
            civil_read_date(cases[i].text, strlen(cases[i].text), &days);
        if (!cases[i].date) {
            assert_true(result < 0);
            continue;
        }
        assert_int_equal(result, 0);
        assert_int_equal(civil_print_date(days, text), CIVIL_DATE_ROOM - 1);
        assert_string_equal(text, cases[i].date);
    }
}

static void times_are_read(void **state)
{
    static const struct {
        const char *text;
        const char *timestamp, *timestamptz; /* NULL: it is refused */
    } cases[] = {
        {"2024-01-05", "2024-01-05 00:00:00", "2024-01-05 00:00:00+00"},
        {"2024-01-05 10:00", "2024-01-05 10:00:00", "2024-01-05 10:00:00+00"},
        {"2024-01-05T1:2:3", "2024-01-05 01:02:03", "2024-01-05 01:02:03+00"},
        {"2024-01-05 10:00:00.250", "2024-01-05 10:00:00.25",
         "2024-01-05 10:00:00.25+00"},
        {"2024-01-05 10:00:00.1234567", "2024-01-05 10:00:00.123457",
         "2024-01-05 10:00:00.123457+00"},
        {"2024-01-05 23:59:59.9999999", "2024-01-06 00:00:00",
         "2024-01-06 00:00:00+00"},
        {"2024-01-05 24:00:00", "2024-01-06 00:00:00",
         "2024-01-06 00:00:00+00"},
        {"2024-01-05 23:59:60", "2024-01-06 00:00:00",
         "2024-01-06 00:00:00+00"},
        {"20240105T101112.5", "2024-01-05 10:11:12.5",
         "2024-01-05 10:11:12.5+00"},
        {"2024-01-05 10:00:00Z", "2024-01-05 10:00:00",
         "2024-01-05 10:00:00+00"},
        {"2024-01-05 10:00:00 UTC", "2024-01-05 10:00:00",
         "2024-01-05 10:00:00+00"},
        {"2024-01-05 01:00:00+02", "2024-01-05 01:00:00",
         "2024-01-04 23:00:00+00"},
        {"2024-01-05 10:00:00-03:30", "2024-01-05 10:00:00",
         "2024-01-05 13:30:00+00"},
        {"2024-01-05 10:00:00+0530", "2024-01-05 10:00:00",
         "2024-01-05 04:30:00+00"},
        {"2024-01-05 10:00:00+01:02:03", "2024-01-05 10:00:00",
         "2024-01-05 08:57:57+00"},
        {"9999-12-31 23:00-02", "9999-12-31 23:00:00", NULL},
        {"0001-01-01 00:00+02", "0001-01-01 00:00:00", NULL},
        {"9999-12-31 24:00", NULL, NULL},
        {"2024-01-05 25:00", NULL, NULL},
        {"2024-01-05 24:00:01", NULL, NULL},
        {"2024-01-05 23:59:60.5", NULL, NULL},
        {"2024-01-05 10:60", NULL, NULL},
        {"2024-01-05 10:00:61", NULL, NULL},
        {"2024-01-05 10", NULL, NULL},
        {"2024-01-05 10:00:00+", NULL, NULL},
        {"2024-01-05 10:00:00+16", NULL, NULL},
        {"2024-01-05 10:00:00+12:60", NULL, NULL},
        {"2024-01-05 10:00:00 x", NULL, NULL},
        {"2024-01-05 10:00 BC", NULL, NULL},
        {"10:00:00", NULL, NULL},
        {"", NULL, NULL},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *text = cases[i].text;
        char room[CIVIL_TIME_ROOM];
        int64_t us;
        int result = civil_read_timestamp(text, strlen(text), &us);
        assert_int_equal(result == 0, cases[i].timestamp != NULL);
        if (result == 0) {
            (void)civil_print_timestamp(us, room);
            assert_string_equal(room, cases[i].timestamp);
        }
        result = civil_read_timestamptz(text, strlen(text), &us);
        assert_int_equal(result == 0, cases[i].timestamptz != NULL);
        if (result == 0) {
            (void)civil_print_timestamptz(us, room);
            assert_string_equal(room, cases[i].timestamptz);
        }
    }
}

static void a_text_ends_where_its_length_says(void **state)
{
    int64_t days;
    (void)state;

    assert_int_equal(civil_read_date("2024-01-055", 10, &days), 0);
    assert_int_equal(days, civil_days(2024, 1, 5));
    assert_true(civil_read_date("2024-01-05\0", 11, &days) < 0);
    assert_true(civil_read_date("2024-01-05", 8, &days) < 0);
}

static void a_wrong_form_is_told_from_a_wrong_day(void **state)
{
    int64_t days = 7;
    (void)state;

    assert_int_equal(civil_read_date("abc", 3, &days), -EINVAL);
    assert_int_equal(civil_read_date("2023-02-29", 10, &days), -ERANGE);
    assert_int_equal(days, 7);
}

static void months_end_where_they_end(void **state)
{
    static const struct {
        struct civil from;
        int months;
        struct civil to; /* year 0: there is none */
    } cases[] = {
        {{.year = 2024, .month = 1, .day = 31}, 1, {2024, 2, 29, 0, 0, 0, 0}},
        {{.year = 2023, .month = 1, .day = 31}, 1, {2023, 2, 28, 0, 0, 0, 0}},
        {{.year = 2024, .month = 2, .day = 29}, 12, {2025, 2, 28, 0, 0, 0, 0}},
        {{.year = 2024, .month = 3, .day = 31}, -1, {2024, 2, 29, 0, 0, 0, 0}},
        {{.year = 2024, .month = 1, .day = 5}, -1, {2023, 12, 5, 0, 0, 0, 0}},
        {{.year = 9999, .month = 12, .day = 1}, 1, {.year = 0}},
        {{.year = 1, .month = 1, .day = 1}, -1, {.year = 0}},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct civil civil = cases[i].from;
        int result = civil_add_months(&civil, cases[i].months);
        assert_int_equal(result, cases[i].to.year ? 0 : -ERANGE);
        if (result == 0)
            assert_memory_equal(&civil, &cases[i].to, sizeof civil);
    }
    struct civil civil = {.year = 2024, .month = 1, .day = 1};
    assert_int_equal(civil_add_months(&civil, INT64_MAX), -ERANGE);
    assert_int_equal(civil_add_months(&civil, INT64_MIN), -ERANGE);
}

static void what_is_no_day_is_not_valid(void **state)
{
    struct civil civil = {.year = 2024, .month = 2, .day = 29};
    (void)state;

    assert_true(civil_valid(&civil));
    civil.year = 2023;
    assert_false(civil_valid(&civil));
    civil = (struct civil){2024, 1, 1, 24, 0, 0, 0};
    assert_false(civil_valid(&civil));
    civil = (struct civil){2024, 1, 1, 23, 59, 59, 1000000};
    assert_false(civil_valid(&civil));
}

static void parts_have_many_names(void **state)
{
    enum civil_part part;
    (void)state;

    assert_int_equal(civil_part_find("yyyy", 4, &part), 0);
    assert_int_equal(part, CIVIL_YEAR);
    assert_int_equal(civil_part_find("Month", 5, &part), 0);
    assert_int_equal(part, CIVIL_MONTH);
    assert_int_equal(civil_part_find("HH24", 4, &part), 0);
    assert_int_equal(part, CIVIL_HOUR);
    assert_int_equal(civil_part_find("millisecond", 11, &part), 0);
    assert_int_equal(part, CIVIL_MILLISECOND);
    assert_int_equal(civil_part_find("US", 2, &part), 0);
    assert_int_equal(part, CIVIL_MICROSECOND);
    assert_int_equal(civil_part_find("fortnight", 9, &part), -ENOENT);
    assert_int_equal(civil_part_find("", 0, &part), -ENOENT);
    assert_int_equal(civil_part_find("yearly", 4, &part), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_day_comes_back),
        cmocka_unit_test(days_are_counted_from_1970),
        cmocka_unit_test(beyond_the_years_there_is_nothing),
        cmocka_unit_test(dates_are_read),
        cmocka_unit_test(times_are_read),
        cmocka_unit_test(a_text_ends_where_its_length_says),
        cmocka_unit_test(a_wrong_form_is_told_from_a_wrong_day),
        cmocka_unit_test(months_end_where_they_end),
        cmocka_unit_test(what_is_no_day_is_not_valid),
        cmocka_unit_test(parts_have_many_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
