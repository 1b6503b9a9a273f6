/* Tests of dispatcher/config_units: durations, sizes and addresses as people
 * write them, and that what is printed is read back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dispatcher/config.h"
#include "dispatcher/config_units.h"

#include <errno.h>

static void durations_are_read(void **state)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } right[] = {{"10s", 10000},
                 {"10", 10000},
                 {"250ms", 250},
                 {"1.5h", 5400000},
                 {"2d", 172800000},
                 {"3m", 180000},
                 {"3 min", 180000},
                 {"0s", 0},
                 {"0", 0},
                 {"0.25 s", 250},
                 {"1.000001h", 3600003},
                 {"10S ", 10000}};
    (void)state;
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        uint64_t ms = 77;
        assert_int_equal(config_parse_duration(right[i].text, &ms), 0);
        assert_int_equal(ms, right[i].ms);
    }
}

static void durations_that_mean_nothing_are_refused(void **state)
{
    static const char *const wrong[] = {
        "",    "s",      "-1s",  "+1s",   "1e3",  "0x10",      "10 parsecs",
        "1.s", ".5s",    "1,5h", "1h30m", "inf",  "nan",       "0.1ms",
        "1 1", "10s;ls", "--",   "1..5s", "10sx", "1.0000001h"};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        uint64_t ms = 77;
        assert_int_equal(config_parse_duration(wrong[i], &ms), -EINVAL);
        assert_int_equal(ms, 77);
    }
}

static void durations_beyond_64_bits_are_out_of_range(void **state)
{
    uint64_t ms = 77;
    (void)state;
    assert_int_equal(config_parse_duration("18446744073709551615ms", &ms), 0);
    assert_true(ms == UINT64_MAX);
    assert_int_equal(config_parse_duration("18446744073709551616ms", &ms),
                     -ERANGE);
    assert_int_equal(config_parse_duration("18446744073709551615s", &ms),
                     -ERANGE);
    assert_int_equal(config_parse_duration("18446744073709551615.9ms", &ms), 0);
    assert_int_equal(
        config_parse_duration("99999999999999999999999999999d", &ms), -ERANGE);
}

static void sizes_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t bytes;
    } right[] = {{"1GiB", 1 << 30},  {"64 MiB", 64 << 20},
                 {"10MB", 10000000}, {"512", 512},
                 {"512B", 512},      {"1kB", 1000},
                 {"1KiB", 1024},     {"1.5KiB", 1536},
                 {"0", 0},           {"2TiB", (int64_t)2 << 40},
                 {"1gib", 1 << 30},  {"9223372036854775807", INT64_MAX}};
    (void)state;
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        int64_t bytes = 77;
        assert_int_equal(config_parse_size(right[i].text, &bytes), 0);
        assert_true(bytes == right[i].bytes);
    }
}

static void sizes_that_mean_nothing_are_refused(void **state)
{
    static const char *const wrong[] = {
        "", "-1", "1G", "1K", "GiB", "0.5B", "1 b c", "1GiBs", "0x1", "1PiB"};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        int64_t bytes = 77;
        assert_int_equal(config_parse_size(wrong[i], &bytes), -EINVAL);
        assert_int_equal(bytes, 77);
    }
}

static void sizes_beyond_63_bits_are_out_of_range(void **state)
{
    int64_t bytes;
    (void)state;
    assert_int_equal(config_parse_size("9223372036854775808", &bytes), -ERANGE);
    assert_int_equal(config_parse_size("8388608TiB", &bytes), -ERANGE);
    assert_int_equal(config_parse_size("8388607TiB", &bytes), 0);
    assert_int_equal(config_parse_size("99999999999999999999", &bytes),
                     -ERANGE);
}

static void what_is_printed_is_read_back(void **state)
{
    static const int64_t values[] = {
        0,       1,         999,           1000,      1023,    1024,
        1500,    60000,     61000,         90000,     3600000, 86400000,
        1 << 20, 1000000,   1000000000000, 1LL << 40, 12345,   10000,
        300000,  604800000, 16LL << 30,    100000000, 5400000};
    char text[UNITS_TEXT_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        uint64_t ms;
        int64_t bytes;
        units_duration((uint64_t)values[i], text);
        assert_int_equal(config_parse_duration(text, &ms), 0);
        assert_true(ms == (uint64_t)values[i]);
        units_size(values[i], text);
        assert_int_equal(config_parse_size(text, &bytes), 0);
        assert_true(bytes == values[i]);
    }
    units_duration(10000, text);
    assert_string_equal(text, "10s");
    units_size(1 << 30, text);
    assert_string_equal(text, "1GiB");
}

static void addresses_are_told_from_other_texts(void **state)
{
    static const char *const http[] = {"127.0.0.1:0", "[::1]:8080",
                                       "localhost:65535", "0.0.0.0:80"};
    static const char *const wrong[] = {
        "8080",   ":80",    "host:",  "h:65536",     "h:-1",
        "::1:80", "a b:80", "h/x:80", "http://h:80", ""};
    (void)state;
    for (size_t i = 0; i < sizeof http / sizeof http[0]; i++)
        assert_null(units_address_problem(http[i], ""));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_non_null(units_address_problem(wrong[i], ""));
    assert_null(units_address_problem("tcp://*:8090", "tcp://"));
    assert_non_null(units_address_problem("127.0.0.1:8090", "tcp://"));
    assert_non_null(units_address_problem("ipc:///tmp/x", "tcp://"));
}

static void loopback_is_this_machine_only(void **state)
{
    (void)state;
    assert_true(units_address_is_loopback("127.0.0.1:80", ""));
    assert_true(units_address_is_loopback("[::1]:80", ""));
    assert_true(units_address_is_loopback("tcp://localhost:80", "tcp://"));
    assert_false(units_address_is_loopback("0.0.0.0:80", ""));
    assert_false(units_address_is_loopback("tcp://*:80", "tcp://"));
    assert_false(units_address_is_loopback("[::]:80", ""));
    assert_false(units_address_is_loopback("localhost.example:80", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_read),
        cmocka_unit_test(durations_that_mean_nothing_are_refused),
        cmocka_unit_test(durations_beyond_64_bits_are_out_of_range),
        cmocka_unit_test(sizes_are_read),
        cmocka_unit_test(sizes_that_mean_nothing_are_refused),
        cmocka_unit_test(sizes_beyond_63_bits_are_out_of_range),
        cmocka_unit_test(what_is_printed_is_read_back),
        cmocka_unit_test(addresses_are_told_from_other_texts),
        cmocka_unit_test(loopback_is_this_machine_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
