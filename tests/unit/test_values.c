/* Tests of agents/values: foreign texts as values of each type, what columns
 * allow, and values in messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agents/values.h"

#include <errno.h>
#include <string.h>

static void texts_are_read_as_their_type(void **state)
{
    static const struct {
        enum type type;
        const char *text, *canonical; /* NULL: it is refused */
    } cases[] = {
        {TYPE_TEXT, " grüße ", " grüße "},
        {TYPE_TEXT, "\xff", NULL},
        {TYPE_INTEGER, " 42 ", "42"},
        {TYPE_INTEGER, "+7", "7"},
        {TYPE_INTEGER, "-0", "0"},
        {TYPE_INTEGER, "-9223372036854775808", "-9223372036854775808"},
        {TYPE_INTEGER, "9223372036854775808", NULL},
        {TYPE_INTEGER, "99999999999999999999999", NULL},
        {TYPE_INTEGER, "1.5", NULL},
        {TYPE_INTEGER, "1 2", NULL},
        {TYPE_INTEGER, "", NULL},
        {TYPE_INTEGER, "-", NULL},
        {TYPE_INTEGER, "1_000", NULL},
        {TYPE_DECIMAL, "1.50", "1.50"},
        {TYPE_DECIMAL, "1e3", "1000"},
        {TYPE_DECIMAL, "x", NULL},
        {TYPE_DOUBLE, "1e3", "1000"},
        {TYPE_DOUBLE, "0.1", "0.1"},
        {TYPE_DOUBLE, "1e400", NULL},
        {TYPE_DOUBLE, "1e-400", NULL},
        {TYPE_DOUBLE, "NaN", NULL},
        {TYPE_DOUBLE, "inf", NULL},
        {TYPE_DOUBLE, "1.5x", NULL},
        {TYPE_BOOLEAN, "TRUE", "t"},
        {TYPE_BOOLEAN, "ye", "t"},
        {TYPE_BOOLEAN, "on", "t"},
        {TYPE_BOOLEAN, " 1", "t"},
        {TYPE_BOOLEAN, "of", "f"},
        {TYPE_BOOLEAN, "n", "f"},
        {TYPE_BOOLEAN, "o", NULL},
        {TYPE_BOOLEAN, "2", NULL},
        {TYPE_BOOLEAN, "truex", NULL},
        {TYPE_BOOLEAN, "", NULL},
        {TYPE_DATE, "2024-1-5", "2024-01-05"},
        {TYPE_DATE, "2024-02-30", NULL},
        {TYPE_TIMESTAMP, "2024-01-05T10:00", "2024-01-05 10:00:00"},
        {TYPE_TIMESTAMP, "10:00", NULL},
        {TYPE_TIMESTAMPTZ, "2024-01-05 10:00+02", "2024-01-05 08:00:00+00"},
        {TYPE_TIMESTAMPTZ, "soon", NULL},
        {TYPE_BYTES, "\\x4142", "AB"},
        {TYPE_BYTES, "\\x41 42", "AB"},
        {TYPE_BYTES, "A\\\\\\102", "A\\B"},
        {TYPE_BYTES, "\\x4", NULL},
        {TYPE_BYTES, "\\xzz", NULL},
        {TYPE_BYTES, "\\400", NULL},
        {TYPE_BYTES, "A\\", NULL},
        {TYPE_NULL, "", NULL},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char room[VALUE_ROOM], why[VALUE_WHY_MAX] = "";
        const char *bytes = NULL;
        size_t len = 0;
        int result =
            value_check(cases[i].type, cases[i].text, strlen(cases[i].text),
                        room, sizeof room, &bytes, &len, why);
        assert_int_equal(result == 0, cases[i].canonical != NULL);
        if (result == 0) {
            assert_int_equal(len, strlen(cases[i].canonical));
            assert_memory_equal(bytes, cases[i].canonical, len);
        } else {
            assert_true(why[0] != '\0');
        }
    }
}

static void a_nul_is_in_no_value(void **state)
{
    char room[VALUE_ROOM];
    const char *bytes;
    size_t len;
    (void)state;

    for (int type = TYPE_TEXT; type < TYPE_BYTES; type++)
        assert_int_equal(value_check((enum type)type, "1\0", 2, room,
                                     sizeof room, &bytes, &len, NULL),
                         -EINVAL);
}

static void a_room_too_small_is_refused(void **state)
{
    char room[VALUE_ROOM], long_text[VALUE_ROOM + 1], why[VALUE_WHY_MAX];
    const char *bytes;
    size_t len;
    (void)state;

    memset(long_text, 'a', sizeof long_text);
    assert_int_equal(value_check(TYPE_INTEGER, "1", 1, room, sizeof room - 1,
                                 &bytes, &len, why),
                     -ENOBUFS);
    assert_int_equal(value_check(TYPE_BYTES, long_text, sizeof long_text, room,
                                 sizeof room, &bytes, &len, why),
                     -ENOBUFS);
    assert_int_equal(value_check(TYPE_TEXT, long_text, sizeof long_text, room,
                                 0, &bytes, &len, why),
                     0);
    assert_ptr_equal(bytes, long_text);
}

static void refusals_say_what_was_expected(void **state)
{
    static const struct {
        enum type type;
        const char *text, *why;
    } cases[] = {
        {TYPE_INTEGER, "abc", "\"abc\" is not an integer"},
        {TYPE_INTEGER, "9223372036854775808",
         "\"9223372036854775808\" does not fit 64 bits"},
        {TYPE_DATE, "2024-02-30",
         "\"2024-02-30\" is no day of the years 1 to 9999"},
        {TYPE_BOOLEAN, "maybe", "\"maybe\" is not a boolean (true or false)"},
        {TYPE_DECIMAL, "a\nb", "\"a?b\" is not a decimal number"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char room[VALUE_ROOM], why[VALUE_WHY_MAX];
        const char *bytes;
        size_t len;
        assert_true(value_check(cases[i].type, cases[i].text,
                                strlen(cases[i].text), room, sizeof room,
                                &bytes, &len, why) < 0);
        assert_string_equal(why, cases[i].why);
    }
}

static void values_in_messages_are_short_and_printable(void **state)
{
    char to[VALUE_QUOTED_MAX];
    (void)state;

    assert_string_equal(value_quote("a\033[1m\x7f\xffz", 8, to),
                        "\"a?[1m??z\"");
    assert_string_equal(
        value_quote("ääääääääääääääääääääääääääääääääääääääääZ", 81, to),
        "\"ääääääääääääääääääääääääääääääääääääääää…\"");
    assert_string_equal(value_quote("", 0, to), "\"\"");
    /* The longest there can be. */
    char widest[4 * 41 + 1] = "";
    for (int i = 0; i < 41; i++)
        strcat(widest, "😀");
    assert_int_equal(strlen(value_quote(widest, strlen(widest), to)), 165);
}

static int fits(const struct column *column, const char *text)
{
    char why[VALUE_WHY_MAX];

    return value_fits(column, text, strlen(text), why);
}

static void columns_have_limits(void **state)
{
    struct column column = {.type = TYPE_INTEGER, .bits = 16, .precision = -1};
    (void)state;

    assert_int_equal(fits(&column, "32767"), 0);
    assert_int_equal(fits(&column, "-32768"), 0);
    assert_int_equal(fits(&column, "32768"), -ERANGE);
    column.bits = 0;
    assert_int_equal(fits(&column, "9223372036854775807"), 0);
    column = (struct column){.type = TYPE_DECIMAL, .precision = 4, .scale = 2};
    assert_int_equal(fits(&column, "99.99"), 0);
    assert_int_equal(fits(&column, "100"), -ERANGE);
    assert_int_equal(fits(&column, "1.001"), -ERANGE);
    assert_int_equal(fits(&column, "x"), -EINVAL);
    column.precision = -1;
    assert_int_equal(fits(&column, "123456.789"), 0);
    column = (struct column){.type = TYPE_TEXT, .precision = -1, .length = 3};
    assert_int_equal(fits(&column, "äöü"), 0);
    assert_int_equal(fits(&column, "äöüß"), -ERANGE);
}

static void a_limit_is_named(void **state)
{
    struct column column = {.type = TYPE_INTEGER, .bits = 16, .precision = -1};
    char why[VALUE_WHY_MAX];
    (void)state;

    assert_int_equal(value_fits(&column, "123456", 6, why), -ERANGE);
    assert_string_equal(why, "123456 does not fit 16 bits");
}

static void doubles_print_as_short_as_they_can(void **state)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0, "0"},
        {-0.0, "-0"},
        {1, "1"},
        {-1.5, "-1.5"},
        {0.1, "0.1"},
        {1.0 / 3, "0.3333333333333333"},
        {0.0001, "0.0001"},
        {0.00001, "1e-05"},
        {123456789012345.0, "123456789012345"},
        {1e15, "1e+15"},
        {-1.234e300, "-1.234e+300"},
        {100000.5, "100000.5"},
        {9007199254740992.0, "9.007199254740992e+15"},
        /* Exactly half way to the next: another digit is needed. */
        {5.114089246158682e+16, "5.1140892461586816e+16"},
        /* A power of two: the digits above are the shorter ones. */
        {0x1p-1017, "7.120236347223045e-307"},
        {5e-324, "5e-324"},
        {2.2250738585072014e-308, "2.2250738585072014e-308"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char room[VALUE_DOUBLE_ROOM];
        size_t len = value_print_double(cases[i].value, room);
        assert_string_equal(room, cases[i].text);
        assert_int_equal(len, strlen(room));
    }
}

static void base64_comes_back(void **state)
{
    char text[64], bytes[64];
    size_t len;
    (void)state;

    for (size_t i = 0; i <= 6; i++) {
        assert_int_equal(value_base64("foobar", i, text),
                         value_base64_room(i) - 1);
        assert_int_equal(value_base64_read(text, strlen(text), bytes, &len), 0);
        assert_int_equal(len, i);
        assert_memory_equal(bytes, "foobar", i);
    }
    assert_string_equal(text, "Zm9vYmFy");
    assert_int_equal(value_base64_read("Zm9v\n YmE=", 10, bytes, &len), 0);
    assert_int_equal(len, 5);
}

static void what_is_not_base64_is_refused(void **state)
{
    static const char *const cases[] = {"Z",    "Zm",    "Zm9",  "=",   "Zm=v",
                                        "Zm9*", "Zm9v=", "Z===", "Zm9-"};
    char bytes[64];
    size_t len;
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(
            value_base64_read(cases[i], strlen(cases[i]), bytes, &len),
            -EINVAL);
}

static void what_is_not_utf8_is_seen(void **state)
{
    static const char *const bad[] = {
        "\x80",         "\xc3",       "\xc0\x80",         "\xe0\x80\x80",
        "\xed\xa0\x80", "\xf5 abc",   "\xf0\x80\x80\x80", "\xf4\x90\x80\x80",
        "12345678\xff", "1234567\xc3"};
    (void)state;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(value_utf8(bad[i], strlen(bad[i])));
    assert_false(value_utf8("12345678901234\0"
                            "6",
                            16));
    assert_true(value_utf8("12345678 grüße 日本 😀 \x7f", 30));
    assert_true(value_utf8("", 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_read_as_their_type),
        cmocka_unit_test(a_nul_is_in_no_value),
        cmocka_unit_test(a_room_too_small_is_refused),
        cmocka_unit_test(refusals_say_what_was_expected),
        cmocka_unit_test(values_in_messages_are_short_and_printable),
        cmocka_unit_test(columns_have_limits),
        cmocka_unit_test(a_limit_is_named),
        cmocka_unit_test(doubles_print_as_short_as_they_can),
        cmocka_unit_test(base64_comes_back),
        cmocka_unit_test(what_is_not_base64_is_refused),
        cmocka_unit_test(what_is_not_utf8_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
