/* Tests of agents/functions: numbers, dates and casts in SQLite, and what the
 * host hears. Results are what PostgreSQL 15 answered to the same. */
#include "tests/unit/functions_bench.h"

#include "agents/schema.h"

/* ---- numbers ------------------------------------------------------------- */

static void integers_truncate_and_take_the_sign_of_the_first(void **state)
{
    static const struct pair cases[] = {
        {"dp_div_int(1, 7, 2)", "3"},
        {"dp_div_int(1, -7, 2)", "-3"},
        {"dp_mod_int(1, -7, 2)", "-1"},
        {"dp_mod_int(1, 7, -2)", "1"},
        {"dp_mod_int(1, -9223372036854775807 - 1, -1)", "0"},
        {"dp_add_int(1, 9223372036854775806, 1)", "9223372036854775807"},
        {"dp_sub_int(1, 1, 2)", "-1"},
        {"dp_mul_int(1, -3, 5)", "-15"},
        {"dp_abs_int(1, -5)", "5"},
        {"dp_neg_int(1, 5)", "-5"},
        {"dp_sign_int(1, -5)", "-1"},
        {"typeof(dp_add_int(1, 1, 1))", "integer"},
    };
    ALL_GIVE(state, cases);
}

static void integers_overflow_with_an_error(void **state)
{
    static const char message[] = "the result does not fit 64 bits";
    static const struct pair cases[] = {
        {"dp_add_int(1, 9223372036854775807, 1)", message},
        {"dp_sub_int(1, -9223372036854775807, 2)", message},
        {"dp_mul_int(1, 4294967296, 2147483648)", message},
        {"dp_neg_int(1, -9223372036854775807 - 1)", message},
        {"dp_abs_int(1, -9223372036854775807 - 1)", message},
        {"dp_div_int(1, -9223372036854775807 - 1, -1)", message},
        {"dp_div_int(1, 1, 0)", "division by zero"},
        {"dp_mod_int(1, 1, 0)", "division by zero"},
        {"dp_to_integer(1, 40000, 2, 16)", "40000 does not fit 16 bits"},
    };
    ALL_FAIL(state, cases);
}

static void decimals_are_exact(void **state)
{
    static const struct pair cases[] = {
        {"dp_add_dec(1, '0.1', '0.20')", "0.30"},
        {"dp_sub_dec(1, 1, '0.90')", "0.10"},
        {"dp_mul_dec(1, '1.10', '2.0')", "2.200"},
        {"dp_div_dec(1, 1, 3)", "0.33333333333333333333"},
        {"dp_div_dec(1, '10.50', '3')", "3.5000000000000000"},
        {"dp_mod_dec(1, '-7.5', '2')", "-1.5"},
        {"dp_neg_dec(1, '0.0')", "0.0"},
        {"dp_abs_dec(1, '-1.50')", "1.50"},
        {"dp_sign_dec(1, '-0.01')", "-1"},
        {"dp_ceil_dec(1, '-1.5')", "-1"},
        {"dp_floor_dec(1, '-1.5')", "-2"},
        {"dp_round_dec(1, '2.5', 0)", "3"},
        {"dp_round_dec(1, '-1.005', 2)", "-1.01"},
        {"dp_round_dec(1, '1.5', 3)", "1.500"},
        {"dp_round_dec(1, '150', -2)", "200"},
        {"dp_trunc_dec(1, '-1.99', 1)", "-1.9"},
        {"dp_greatest_dec(1, '9', NULL, '10.0')", "10.0"},
        {"dp_least_dec(1, '9', NULL, '10.0')", "9"},
        {"dp_least_dec(1, NULL, NULL)", "NULL"},
    };
    ALL_GIVE(state, cases);
}

static void decimals_fail_where_there_is_no_result(void **state)
{
    static const struct pair cases[] = {
        {"dp_div_dec(1, '1', '0.00')", "division by zero"},
        {"dp_mod_dec(1, '1', 0)", "division by zero"},
        {"dp_add_dec(1, 'x', '1')", "\"x\" is not a decimal number"},
        {"dp_mul_dec(1, dp_to_decimal(1, '1e600', 1, -1, -1), "
         "dp_to_decimal(1, '1e600', 1, -1, -1))",
         "the result has more than 1000 digits"},
        {"dp_round_dec(1, '1', 3000000000)", "3000000000 does not fit 32 bits"},
    };
    ALL_FAIL(state, cases);
}

static void doubles_are_those_of_the_machine(void **state)
{
    static const struct pair cases[] = {
        {"dp_add_dbl(1, 0.5, 0.25)", "0.75"},
        {"dp_div_dbl(1, 1.0, 4.0)", "0.25"},
        {"dp_mod_dbl(1, -7.5, 2.0)", "-1.5"},
        {"dp_round_dbl(1, 2.5)", "2.0"},
        {"dp_round_dbl(1, -3.5)", "-4.0"},
        {"dp_trunc_dbl(1, -3.5)", "-3.0"},
        {"dp_ceil_dbl(1, 3.2)", "4.0"},
        {"dp_floor_dbl(1, -3.2)", "-4.0"},
        {"dp_sqrt(1, 6.25)", "2.5"},
        {"dp_exp(1, 0.0)", "1.0"},
        {"dp_ln(1, 1.0)", "0.0"},
        {"dp_log(1, 1000.0)", "3.0"},
        {"dp_log(1, 2.0, 8.0)", "3.0"},
        {"dp_power(1, 2.0, -2.0)", "0.25"},
        {"dp_power(1, -2.0, 3.0)", "-8.0"},
        {"dp_sin(1, 0.0)", "0.0"},
        {"dp_cos(1, 0.0)", "1.0"},
        {"dp_tan(1, 0.0)", "0.0"},
        {"dp_sinh(1, 0.0)", "0.0"},
        {"dp_cosh(1, 0.0)", "1.0"},
        {"dp_tanh(1, 0.0)", "0.0"},
        {"typeof(dp_sqrt(1, 4.0))", "real"},
        {"dp_greatest(1, 1, NULL, 7, 3)", "7"},
        {"dp_least(1, 'b', 'B', 'a')", "B"},
    };
    ALL_GIVE(state, cases);
}

static void doubles_fail_where_there_is_no_result(void **state)
{
    static const char range[] = "the result is out of a double's range";
    static const struct pair cases[] = {
        {"dp_mul_dbl(1, 1e200, 1e200)", range},
        {"dp_mul_dbl(1, 1e-200, 1e-200)", range},
        {"dp_div_dbl(1, 1e-200, 1e200)", range},
        {"dp_exp(1, 1000.0)", range},
        {"dp_exp(1, -1000.0)", range},
        {"dp_cosh(1, 1000.0)", range},
        {"dp_power(1, 10.0, 400.0)", range},
        {"dp_div_dbl(1, 1.0, 0.0)", "division by zero"},
        {"dp_mod_dbl(1, 1.0, 0.0)", "division by zero"},
        {"dp_log(1, 1.0, 5.0)", "division by zero"},
        {"dp_sqrt(1, -1.0)", "square root of a negative number"},
        {"dp_ln(1, 0.0)", "logarithm of zero"},
        {"dp_log(1, -1.0)", "logarithm of a negative number"},
        {"dp_power(1, 0.0, -1.0)", "zero to a negative power"},
        {"dp_power(1, -1.0, 0.5)",
         "a negative number to a power that is not whole"},
    };
    ALL_FAIL(state, cases);
}

/* ---- casts --------------------------------------------------------------- */

static const char *cast(char *buf, size_t size, const char *to, const char *x,
                        enum type from, const char *more)
{
    snprintf(buf, size, "dp_to_%s(1, %s, %d%s)", to, x, (int)from, more);
    return buf;
}

static void casts_are_those_of_postgresql(void **state)
{
    static const struct {
        const char *to, *x;
        enum type from;
        const char *more, *result;
    } cases[] = {
        {"integer", "' 42 '", TYPE_TEXT, ", 0", "42"},
        {"integer", "'2.5'", TYPE_DECIMAL, ", 0", "3"},
        {"integer", "'-2.5'", TYPE_DECIMAL, ", 0", "-3"},
        {"integer", "2.5", TYPE_DOUBLE, ", 0", "2"},
        {"integer", "3.5", TYPE_DOUBLE, ", 0", "4"},
        {"integer", "1", TYPE_BOOLEAN, ", 0", "1"},
        {"integer", "-32768", TYPE_INTEGER, ", 16", "-32768"},
        {"decimal", "'1.005'", TYPE_DECIMAL, ", 10, 2", "1.01"},
        {"decimal", "7", TYPE_INTEGER, ", 10, 2", "7.00"},
        {"decimal", "0.1", TYPE_DOUBLE, ", -1, -1", "0.1"},
        {"decimal", "' 1e2 '", TYPE_TEXT, ", -1, -1", "100"},
        {"decimal", "'12.345'", TYPE_DECIMAL, ", 5, 0", "12"},
        {"double", "'1.5'", TYPE_DECIMAL, "", "1.5"},
        {"double", "' 1e2 '", TYPE_TEXT, "", "100.0"},
        {"boolean", "'yes'", TYPE_TEXT, "", "1"},
        {"boolean", "'off'", TYPE_TEXT, "", "0"},
        {"boolean", "-3", TYPE_INTEGER, "", "1"},
        {"text", "1", TYPE_BOOLEAN, ", 0", "true"},
        {"text", "1e15", TYPE_DOUBLE, ", 0", "1e+15"},
        {"text", "0.1", TYPE_DOUBLE, ", 0", "0.1"},
        {"text", "'1.50'", TYPE_DECIMAL, ", 0", "1.50"},
        {"text", "-5", TYPE_INTEGER, ", 2", "-5"},
        {"text", "x'00ff'", TYPE_BYTES, ", 0", "\\x00ff"},
        {"text", "'äöü  '", TYPE_TEXT, ", 4", "äöü "},
        {"date", "'2024-1-5 10:00'", TYPE_TEXT, "", "2024-01-05"},
        {"date", "'2024-01-05 23:00:00+00'", TYPE_TIMESTAMPTZ, "",
         "2024-01-05"},
        {"timestamp", "'2024-01-05'", TYPE_DATE, "", "2024-01-05 00:00:00"},
        {"timestamp", "'2024-01-05 10:00:00+00'", TYPE_TIMESTAMPTZ, "",
         "2024-01-05 10:00:00"},
        {"timestamptz", "'2024-01-05 10:00:00.5'", TYPE_TIMESTAMP, "",
         "2024-01-05 10:00:00.5+00"},
        {"timestamptz", "'2024-01-05 10:00+02'", TYPE_TEXT, "",
         "2024-01-05 08:00:00+00"},
        {"bytes", "'\\x4142'", TYPE_TEXT, "", "AB"},
        {"bytes", "NULL", TYPE_TEXT, "", "NULL"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char buf[200];
        assert_gives(*state,
                     cast(buf, sizeof buf, cases[i].to, cases[i].x,
                          cases[i].from, cases[i].more),
                     cases[i].result);
    }
}

static void casts_that_cannot_be_say_why(void **state)
{
    static const struct {
        const char *to, *x;
        enum type from;
        const char *more, *message;
    } cases[] = {
        {"integer", "'abc'", TYPE_TEXT, ", 0", "\"abc\" is not an integer"},
        {"integer", "'1.5'", TYPE_TEXT, ", 0", "\"1.5\" is not an integer"},
        {"integer", "'9223372036854775808'", TYPE_DECIMAL, ", 0",
         "\"9223372036854775808\" does not fit 64 bits"},
        {"integer", "9.3e18", TYPE_DOUBLE, ", 0",
         "\"9.3e+18\" does not fit 64 bits"},
        {"integer", "12345678", TYPE_INTEGER, ", 16",
         "12345678 does not fit 16 bits"},
        {"integer", "'2024-01-05'", TYPE_DATE, ", 0",
         "date cannot be cast to integer"},
        {"decimal", "'99.995'", TYPE_DECIMAL, ", 4, 2",
         "\"99.995\" does not fit decimal(4,2)"},
        {"double", "'NaN'", TYPE_TEXT, "", "\"NaN\" is not a finite number"},
        {"boolean", "'o'", TYPE_TEXT, "",
         "\"o\" is not a boolean (true or false)"},
        {"text", "'abcd'", TYPE_TEXT, ", 3",
         "\"abcd\" is longer than 3 characters"},
        {"date", "'2023-02-29'", TYPE_TEXT, "",
         "\"2023-02-29\" is no day of the years 1 to 9999"},
        {"bytes", "'\\x4'", TYPE_TEXT, "",
         "\"\\x4\" is not bytes in hex (\\x00ff)"},
        {"integer", "1", (enum type)77, ", 0",
         "null cannot be cast to integer"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char buf[200];
        assert_fails(*state,
                     cast(buf, sizeof buf, cases[i].to, cases[i].x,
                          cases[i].from, cases[i].more),
                     cases[i].message);
    }
}

static void a_null_fails_where_a_value_is_required(void **state)
{
    assert_gives(*state, "dp_not_null(1, 'a')", "a");
    assert_fails(*state, "dp_not_null(1, NULL)",
                 "NULL where a value is required");
}

/* ---- dates --------------------------------------------------------------- */

static void dates_are_reckoned_with(void **state)
{
    static const struct pair cases[] = {
        {"dp_date_add(1, '2024-02-28', 2)", "2024-03-01"},
        {"dp_date_sub(1, '2024-03-01', 1)", "2024-02-29"},
        {"dp_days(1, '2024-03-01', '2023-03-01')", "366"},
        {"dp_last_day(1, '2023-02-05')", "2023-02-28"},
        {"dp_get_date_part(1, '2024-02-28 10:11:12.345678', 'year')", "2024"},
        {"dp_get_date_part(1, '2024-02-28 10:11:12.345678', 'MM')", "2"},
        {"dp_get_date_part(1, '2024-02-28 10:11:12.345678', 'day')", "28"},
        {"dp_get_date_part(1, '2024-02-28 10:11:12.345678+00', 'HH24')", "10"},
        {"dp_get_date_part(1, '2024-02-28 10:11:12.345678', 'mi')", "11"},
        {"dp_get_date_part(1, '2024-02-28 10:11:12.345678', 'second')", "12"},
        {"dp_get_date_part(1, '2024-02-28 10:11:12.345678', 'ms')", "345"},
        {"dp_get_date_part(1, '2024-02-28 10:11:12.345678', 'us')", "345678"},
        {"dp_get_date_part(1, '2024-02-28', 'hour')", "0"},
        {"dp_set_date_part(1, '2024-02-28', 'day', 29)", "2024-02-29"},
        {"dp_set_date_part(1, '2024-01-31', 'month', 2)", "2024-02-29"},
        {"dp_set_date_part(1, '2024-02-29', 'year', 2023)", "2023-02-28"},
        {"dp_set_date_part(1, '2024-01-31 10:00:00', 'hour', 0)",
         "2024-01-31 00:00:00"},
        {"dp_set_date_part(1, '2024-01-31 10:00:00.123456+00', 'ms', 5)",
         "2024-01-31 10:00:00.005456+00"},
        {"dp_add_to_date(1, '2024-01-31', 'month', 1)", "2024-02-29"},
        {"dp_add_to_date(1, '2024-02-29', 'year', -1)", "2023-02-28"},
        {"dp_add_to_date(1, '2024-01-31 23:59:59', 'second', 1)",
         "2024-02-01 00:00:00"},
        {"dp_add_to_date(1, '2024-01-31 10:00:00+00', 'hour', -11)",
         "2024-01-30 23:00:00+00"},
        {"dp_date_diff(1, '2024-01-02 00:00:00', '2024-01-01 00:00:01', "
         "'day')",
         "0"},
        {"dp_date_diff(1, '2024-01-01 00:00:00', '2024-01-02 12:00:00', "
         "'hour')",
         "-36"},
        {"dp_date_diff(1, '2024-02-28', '2024-01-31', 'month')", "0"},
        {"dp_date_diff(1, '2024-02-29', '2024-01-31', 'month')", "1"},
        {"dp_date_diff(1, '2024-01-31', '2024-03-30', 'month')", "-1"},
        {"dp_date_diff(1, '2024-01-31', '2024-03-31', 'month')", "-2"},
        {"dp_date_diff(1, '2024-03-01', '2020-02-29', 'year')", "4"},
        {"dp_date_diff(1, '2024-02-28', '2020-02-29', 'year')", "3"},
        {"dp_last_day(1, NULL)", "NULL"},
    };
    ALL_GIVE(state, cases);
}

static void dates_that_are_none_fail(void **state)
{
    static const char years[] = "the result is not within the years 1 to 9999";
    static const struct pair cases[] = {
        {"dp_date_add(1, '9999-12-31', 1)", years},
        {"dp_date_add(1, '2024-01-01', 9223372036854775807)", years},
        {"dp_date_sub(1, '2024-01-01', -9223372036854775807)", years},
        {"dp_add_to_date(1, '2024-01-01', 'year', 9223372036854775807)", years},
        {"dp_add_to_date(1, '2024-01-01 00:00:00', 'us', "
         "-9223372036854775807)",
         years},
        {"dp_add_to_date(1, '2024-01-01', 'day', -9223372036854775807)", years},
        {"dp_set_date_part(1, '2023-02-01', 'day', 29)",
         "day 29 does not make a date of \"2023-02-01\""},
        {"dp_set_date_part(1, '2023-02-01', 'month', 13)",
         "month 13 does not make a date of \"2023-02-01\""},
        {"dp_set_date_part(1, '2023-02-01 00:00:00', 'ms', 1000)",
         "ms 1000 does not make a date of \"2023-02-01 00:00:00\""},
        {"dp_set_date_part(1, '2023-02-01', 'year', -9223372036854775807)",
         "year -9223372036854775807 does not make a date of \"2023-02-01\""},
        {"dp_last_day(1, 'soon')", "\"soon\" is not a date (YYYY-MM-DD)"},
        {"dp_get_date_part(1, '2024-01-01', 'fortnight')",
         "\"fortnight\" is no part of a time; there are year, month, day, "
         "hour, minute, second, millisecond and microsecond"},
    };
    ALL_FAIL(state, cases);
}

/* ---- the host ------------------------------------------------------------ */

static void the_host_decides_what_becomes_of_a_failure(void **state)
{
    struct bench *b = *state;

    assert_fails(b, "dp_div_int(42, 1, 0)", "division by zero");
    assert_int_equal(b->failures, 1);
    assert_int_equal(b->site, 42);
    b->reject = true;
    assert_gives(b, "dp_div_int(43, 1, 0)", "NULL");
    assert_int_equal(b->failures, 2);
    assert_int_equal(b->site, 43);
    assert_string_equal(b->message, "division by zero");
}

static void a_rejected_row_is_seen_by_row_ok(void **state)
{
    struct bench *b = *state;

    b->reject = true;
    assert_gives(b,
                 "group_concat(y) FROM (SELECT dp_div_int(1, 12, x) AS y FROM "
                 "(SELECT 1 AS x UNION ALL SELECT 0 UNION ALL SELECT 3) WHERE "
                 "dp_row_ok(dp_div_int(1, 12, x)))",
                 "12,4");
}

static void a_failure_where_nothing_is_asked_is_none(void **state)
{
    struct bench *b = *state;

    /* Constants must not be computed ahead of the rows. */
    assert_gives(b, "CASE WHEN 1 THEN 'a' ELSE dp_div_int(1, 1, 0) END", "a");
    assert_gives(b, "count(dp_sqrt(1, -1.0)) FROM (SELECT 1 AS x WHERE 0)",
                 "0");
    assert_int_equal(b->failures, 0);
    b->reject = true;
    assert_gives(
        b, "count(dp_ln(1, 0.0)) FROM (SELECT 1 AS x UNION ALL SELECT 2)", "0");
    assert_int_equal(b->failures, 2);
}

static void every_row_ticks(void **state)
{
    struct bench *b = *state;

    assert_gives(b,
                 "count(*) FROM (SELECT 1 AS x UNION ALL SELECT 2 UNION ALL "
                 "SELECT 3) WHERE x <> 2 AND dp_tick(9, x, 'a')",
                 "2");
    assert_int_equal(b->ticks, 2);
    assert_int_equal(b->node, 9);
    assert_int_equal(b->tick_count, 2);
    assert_int_equal(b->tick_sum, 4);
    /* Also when it says nothing about the row. */
    assert_gives(b,
                 "count(*) FROM (SELECT 1 AS x UNION ALL SELECT 2) WHERE "
                 "dp_tick(9, 1)",
                 "2");
    assert_int_equal(b->ticks, 4);
}

static void functions_without_their_arguments_are_refused(void **state)
{
    assert_fails(*state, "dp_tick()", "too few arguments");
    assert_fails(*state, "dp_concat()", "too few arguments");
    assert_fails(*state, "dp_greatest(1)", "too few arguments");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            integers_truncate_and_take_the_sign_of_the_first, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(integers_overflow_with_an_error, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(decimals_are_exact, set_up, tear_down),
        cmocka_unit_test_setup_teardown(decimals_fail_where_there_is_no_result,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(doubles_are_those_of_the_machine,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(doubles_fail_where_there_is_no_result,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(casts_are_those_of_postgresql, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(casts_that_cannot_be_say_why, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_null_fails_where_a_value_is_required,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(dates_are_reckoned_with, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(dates_that_are_none_fail, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            the_host_decides_what_becomes_of_a_failure, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_rejected_row_is_seen_by_row_ok,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_failure_where_nothing_is_asked_is_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_row_ticks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            functions_without_their_arguments_are_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
