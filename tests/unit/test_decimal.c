/* Tests of agents/decimal: exact numbers and their texts. The tables of results
 * are what PostgreSQL 15 answered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agents/decimal.h"

#include <errno.h>
#include <math.h>
#include <string.h>

static struct decimal parsed(const char *text)
{
    struct decimal number = {0};

    assert_int_equal(decimal_parse(&number, text, strlen(text)), 0);
    return number;
}

static void assert_prints(const struct decimal *number, const char *expected)
{
    char text[DECIMAL_ROOM];
    size_t len = decimal_print(number, text);

    assert_string_equal(text, expected);
    assert_int_equal(len, strlen(expected));
}

static int error_of(const char *text)
{
    struct decimal number = {0};
    int result = decimal_parse(&number, text, strlen(text));

    decimal_clear(&number);
    return result;
}

static void texts_become_canonical(void **state)
{
    static const struct {
        const char *text, *canonical;
    } cases[] = {
        {"0", "0"},
        {"-0", "0"},
        {"-0.00", "0.00"},
        {"007", "7"},
        {"+4", "4"},
        {" 12.50\n", "12.50"},
        {".5", "0.5"},
        {"5.", "5"},
        {"-.5", "-0.5"},
        {"1e3", "1000"},
        {"1.5e1", "15"},
        {"1.50e1", "15.0"},
        {"1E-3", "0.001"},
        {"0e9", "0"},
        {"0.00e1", "0.0"},
        {"0e99999999999999999999", "0"},
        {"123456789012345678901234567890123456789012345",
         "123456789012345678901234567890123456789012345"},
        {"-0.000000000000000000000000000000000000000000012",
         "-0.000000000000000000000000000000000000000000012"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct decimal number = parsed(cases[i].text);
        assert_prints(&number, cases[i].canonical);
        decimal_clear(&number);
    }
}

static void what_is_no_number_is_refused(void **state)
{
    static const char *const cases[] = {
        "",    " ",  ".",  "-",   "+-1",   "1 2",      "1e",  "e1",
        "1e+", "1x", "0x", "NaN", "1,000", "Infinity", "--1", "1.2.3"};
    struct decimal number = {0};
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(error_of(cases[i]), -EINVAL);
    assert_int_equal(decimal_parse(&number, "1\0002", 3), -EINVAL);
}

static void a_thousand_digits_are_the_limit(void **state)
{
    char digits[DECIMAL_DIGITS_MAX + 3];
    struct decimal number, one = parsed("1");
    (void)state;

    memset(digits, '9', sizeof digits);
    digits[DECIMAL_DIGITS_MAX] = '\0';
    number = parsed(digits);
    assert_prints(&number, digits);
    assert_int_equal(decimal_add(&one, &one, &number), -ERANGE);
    decimal_clear(&number);
    decimal_clear(&one);
    digits[DECIMAL_DIGITS_MAX] = '9';
    digits[DECIMAL_DIGITS_MAX + 1] = '\0';
    assert_int_equal(error_of(digits), -ERANGE);
    assert_int_equal(error_of("1e999"), 0);
    assert_int_equal(error_of("1e1000"), -ERANGE);
    assert_int_equal(error_of("1e-1000"), 0);
    assert_int_equal(error_of("1e-1001"), -ERANGE);
    assert_int_equal(error_of("1e99999999999999999999"), -ERANGE);
}

static void arithmetic_is_that_of_postgresql(void **state)
{
    static const struct {
        const char *a, *b;
        int (*operation)(struct decimal *to, const struct decimal *a,
                         const struct decimal *b);
        const char *result;
    } cases[] = {
        {"7", "3", decimal_div, "2.3333333333333333"},
        {"1", "3", decimal_div, "0.33333333333333333333"},
        {"1.0", "3", decimal_div, "0.33333333333333333333"},
        {"10000", "1", decimal_div, "10000.0000000000000000"},
        {"9999", "10000", decimal_div, "0.99990000000000000000"},
        {"10000", "9999", decimal_div, "1.0001000100010001"},
        {"0.0001", "3", decimal_div, "0.000033333333333333333333"},
        {"0", "7.25", decimal_div, "0.00000000000000000000"},
        {"0.00", "3", decimal_div, "0.00000000000000000000"},
        {"1", "0.00001", decimal_add, "1.00001"},
        {"1", "0.00001", decimal_sub, "0.99999"},
        {"1", "0.00001", decimal_mul, "0.00001"},
        {"1", "0.00001", decimal_div, "100000.000000000000"},
        {"1", "0.00001", decimal_mod, "0.00000"},
        {"123456789012345678901234567890", "7", decimal_add,
         "123456789012345678901234567897"},
        {"123456789012345678901234567890", "7", decimal_sub,
         "123456789012345678901234567883"},
        {"123456789012345678901234567890", "7", decimal_mul,
         "864197523086419752308641975230"},
        {"123456789012345678901234567890", "7", decimal_div,
         "17636684144620811271604938270"},
        {"123456789012345678901234567890", "7", decimal_mod, "0"},
        {"99999999999999999999999999999999999999", "0.3", decimal_add,
         "99999999999999999999999999999999999999.3"},
        {"99999999999999999999999999999999999999", "0.3", decimal_sub,
         "99999999999999999999999999999999999998.7"},
        {"99999999999999999999999999999999999999", "0.3", decimal_mul,
         "29999999999999999999999999999999999999.7"},
        {"99999999999999999999999999999999999999", "0.3", decimal_div,
         "333333333333333333333333333333333333330.0"},
        {"99999999999999999999999999999999999999", "0.3", decimal_mod, "0.0"},
        {"170141183460469231731687303715884105727", "1", decimal_add,
         "170141183460469231731687303715884105728"},
        {"170141183460469231731687303715884105727", "1", decimal_sub,
         "170141183460469231731687303715884105726"},
        {"170141183460469231731687303715884105727", "1", decimal_mul,
         "170141183460469231731687303715884105727"},
        {"170141183460469231731687303715884105727", "1", decimal_div,
         "170141183460469231731687303715884105727"},
        {"170141183460469231731687303715884105727", "1", decimal_mod, "0"},
        {"-170141183460469231731687303715884105728", "-1", decimal_add,
         "-170141183460469231731687303715884105729"},
        {"-170141183460469231731687303715884105728", "-1", decimal_sub,
         "-170141183460469231731687303715884105727"},
        {"-170141183460469231731687303715884105728", "-1", decimal_mul,
         "170141183460469231731687303715884105728"},
        {"-170141183460469231731687303715884105728", "-1", decimal_div,
         "170141183460469231731687303715884105728"},
        {"-170141183460469231731687303715884105728", "-1", decimal_mod, "0"},
        {"2.5", "-2.5", decimal_add, "0.0"},
        {"2.5", "-2.5", decimal_sub, "5.0"},
        {"2.5", "-2.5", decimal_mul, "-6.25"},
        {"2.5", "-2.5", decimal_div, "-1.00000000000000000000"},
        {"2.5", "-2.5", decimal_mod, "0.0"},
        {"1", "12345678901234567890123456789012345678901234567890", decimal_add,
         "12345678901234567890123456789012345678901234567891"},
        {"1", "12345678901234567890123456789012345678901234567890", decimal_sub,
         "-12345678901234567890123456789012345678901234567889"},
        {"1", "12345678901234567890123456789012345678901234567890", decimal_mul,
         "12345678901234567890123456789012345678901234567890"},
        {"1", "12345678901234567890123456789012345678901234567890", decimal_div,
         "0."
         "0000000000000000000000000000000000000000000000000810000007290000066"
         "3"},
        {"1", "12345678901234567890123456789012345678901234567890", decimal_mod,
         "1"},
        {"9864326.22437", "2984.1", decimal_div, "3305.6285728929995644"},
        {"9864326.22437", "2984.1", decimal_mod, "1875.72437"},
        {"655655089353.6", "885777646509", decimal_add, "1541432735862.6"},
        {"655655089353.6", "885777646509", decimal_sub, "-230122557155.4"},
        {"413921254562.40412", "3", decimal_mod, "2.40412"},
        {"413921254562.40412", "3", decimal_div, "137973751520.80137333"},
        {"9405802105032807864", "685597018115.52", decimal_sub,
         "9405801419435789748.48"},
        {"9405802105032807864", "685597018115.52", decimal_div,
         "13719140.918795496723"},
        {"-9576485470866462340852008.84", "607236611857.912024472639956488",
         decimal_div, "-15770599604602.357065259666077781"},
        {"-9576485470866462340852008.84", "607236611857.912024472639956488",
         decimal_sub, "-9576485470867069577463866.752024472639956488"},
        {"-2822123917170297567", "-514083068999", decimal_add,
         "-2822124431253366566"},
        {"-2822123917170297567", "-514083068999", decimal_mul,
         "1450806124434386244969422825433"},
        {"-506774321538", "7.60049", decimal_sub, "-506774321545.60049"},
        {"-506774321538", "7.60049", decimal_mul, "-3851733163106.35362"},
        {"-9432429208967728714041767", "-7755", decimal_mul,
         "73148488515544736177393903085"},
        {"-9432429208967728714041767", "-7755", decimal_add,
         "-9432429208967728714049522"},
        {"-5879.55635", "296", decimal_add, "-5583.55635"},
        {"-5879.55635", "296", decimal_mul, "-1740348.67960"},
        {"-4661563946452538644", "32.7", decimal_div, "-142555472368579163.4"},
        {"-4661563946452538644", "32.7", decimal_mod, "-13.9"},
        {"4256.62093", "2839610913435500029141972", decimal_sub,
         "-2839610913435500029137715.37907"},
        {"4256.62093", "2839610913435500029141972", decimal_add,
         "2839610913435500029146228.62093"},
        {"2963030383282560923.0", "117821740283", decimal_mul,
         "349109396269755838072830761209.0"},
        {"2963030383282560923.0", "117821740283", decimal_mod, "9158238629.0"},
        {"7302489", "50", decimal_add, "7302539"},
        {"7302489", "50", decimal_mod, "39"},
        {"-7246.334602352", "-5592649031426293211430198.256", decimal_sub,
         "5592649031426293211422951.921397648"},
        {"-7246.334602352", "-5592649031426293211430198.256", decimal_mul,
         "40526206195234746369646402740.596283898112"},
        {"-5.06", "9935753.674074045", decimal_div,
         "-0.000000509271884749252587"},
        {"-5.06", "9935753.674074045", decimal_mul, "-50274913.59081466770"},
        {"62", "15.642", decimal_mod, "15.074"},
        {"62", "15.642", decimal_div, "3.9636875079913055"},
        {"4.53104", "3.68894", decimal_div, "1.2282769576084187"},
        {"4.53104", "3.68894", decimal_mod, "0.84210"},
        {"-93.025192537741464364", "-56780827125", decimal_mul,
         "5282047375755.338125996632073500"},
        {"-93.025192537741464364", "-56780827125", decimal_sub,
         "56780827031.974807462258535636"},
        {"-1335197050188703586", "7058742295689596491298260", decimal_mod,
         "-1335197050188703586"},
        {"-1335197050188703586", "7058742295689596491298260", decimal_mul,
         "-9424811891246986934718286622933999457560360"},
        {"4858748419853597840.67617", "-635882.953", decimal_sub,
         "4858748419854233723.62917"},
        {"4858748419853597840.67617", "-635882.953", decimal_add,
         "4858748419852961957.72317"},
        {"323790986759.00801", "-571215446956.3", decimal_add,
         "-247424460197.29199"},
        {"323790986759.00801", "-571215446956.3", decimal_mul,
         "-184954413221968175587361.819963"},
        {"2240877683290585054.783108970", "-7", decimal_div,
         "-320125383327226436.397586996"},
        {"2240877683290585054.783108970", "-7", decimal_sub,
         "2240877683290585061.783108970"},
        {"1.909934415410602028", "8660.244", decimal_add,
         "8662.153934415410602028"},
        {"1.909934415410602028", "8660.244", decimal_div,
         "0.00022054048539632394"},
        {"-8", "0.167", decimal_mod, "-0.151"},
        {"-8", "0.167", decimal_add, "-7.833"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct decimal a = parsed(cases[i].a), b = parsed(cases[i].b);
        struct decimal result = {0};
        assert_int_equal(cases[i].operation(&result, &a, &b), 0);
        assert_prints(&result, cases[i].result);
        /* Into an operand it is the same. */
        assert_int_equal(cases[i].operation(&b, &a, &b), 0);
        assert_prints(&b, cases[i].result);
        decimal_clear(&a);
        decimal_clear(&b);
        decimal_clear(&result);
    }
}

static void nothing_is_divided_by_zero(void **state)
{
    struct decimal one = parsed("1"), zero = parsed("0.00");
    (void)state;

    assert_int_equal(decimal_div(&one, &one, &zero), -EDOM);
    assert_int_equal(decimal_mod(&one, &one, &zero), -EDOM);
    assert_int_equal(decimal_div(&zero, &zero, &one), 0);
}

static void rounding_is_that_of_postgresql(void **state)
{
    static const struct {
        const char *number;
        int scale;
        enum decimal_rounding rounding;
        const char *result;
    } cases[] = {
        {"0.5", 5, DECIMAL_HALF_AWAY, "0.50000"},
        {"0.5", 2, DECIMAL_TOWARDS_ZERO, "0.50"},
        {"0.5", 0, DECIMAL_DOWN, "0"},
        {"1.5", 1, DECIMAL_HALF_AWAY, "1.5"},
        {"1.5", -1, DECIMAL_TOWARDS_ZERO, "0"},
        {"1.5", 0, DECIMAL_UP, "2"},
        {"2.5", -2, DECIMAL_HALF_AWAY, "0"},
        {"2.5", -1, DECIMAL_TOWARDS_ZERO, "0"},
        {"2.5", 0, DECIMAL_UP, "3"},
        {"-0.5", 2, DECIMAL_HALF_AWAY, "-0.50"},
        {"-0.5", 2, DECIMAL_TOWARDS_ZERO, "-0.50"},
        {"-0.5", 0, DECIMAL_UP, "0"},
        {"-2.5", -1, DECIMAL_HALF_AWAY, "0"},
        {"-2.5", 1, DECIMAL_TOWARDS_ZERO, "-2.5"},
        {"-2.5", 0, DECIMAL_UP, "-2"},
        {"1.005", 1, DECIMAL_HALF_AWAY, "1.0"},
        {"1.005", -2, DECIMAL_TOWARDS_ZERO, "0"},
        {"1.005", 0, DECIMAL_UP, "2"},
        {"12.345", -1, DECIMAL_HALF_AWAY, "10"},
        {"12.345", 2, DECIMAL_TOWARDS_ZERO, "12.34"},
        {"12.345", 0, DECIMAL_UP, "13"},
        {"-12.355", -2, DECIMAL_HALF_AWAY, "0"},
        {"-12.355", 1, DECIMAL_TOWARDS_ZERO, "-12.3"},
        {"-12.355", 0, DECIMAL_UP, "-12"},
        {"999.995", 1, DECIMAL_HALF_AWAY, "1000.0"},
        {"999.995", 5, DECIMAL_TOWARDS_ZERO, "999.99500"},
        {"999.995", 0, DECIMAL_UP, "1000"},
        {"99999999999999999999999999999999999999.5", 5, DECIMAL_HALF_AWAY,
         "99999999999999999999999999999999999999.50000"},
        {"99999999999999999999999999999999999999.5", -1, DECIMAL_TOWARDS_ZERO,
         "99999999999999999999999999999999999990"},
        {"99999999999999999999999999999999999999.5", 0, DECIMAL_DOWN,
         "99999999999999999999999999999999999999"},
        {"123456789.987654321", 5, DECIMAL_HALF_AWAY, "123456789.98765"},
        {"123456789.987654321", 0, DECIMAL_TOWARDS_ZERO, "123456789"},
        {"123456789.987654321", 0, DECIMAL_DOWN, "123456789"},
        {"0", 2, DECIMAL_HALF_AWAY, "0.00"},
        {"0", 5, DECIMAL_TOWARDS_ZERO, "0.00000"},
        {"0", 0, DECIMAL_DOWN, "0"},
        {"15", -2, DECIMAL_HALF_AWAY, "0"},
        {"15", 0, DECIMAL_TOWARDS_ZERO, "15"},
        {"15", 0, DECIMAL_DOWN, "15"},
        {"149", -2, DECIMAL_HALF_AWAY, "100"},
        {"149", 0, DECIMAL_TOWARDS_ZERO, "149"},
        {"149", 0, DECIMAL_UP, "149"},
        {"150", 2, DECIMAL_HALF_AWAY, "150.00"},
        {"150", 2, DECIMAL_TOWARDS_ZERO, "150.00"},
        {"150", 0, DECIMAL_UP, "150"},
        {"-15", -1, DECIMAL_HALF_AWAY, "-20"},
        {"-15", 1, DECIMAL_TOWARDS_ZERO, "-15.0"},
        {"-15", 0, DECIMAL_DOWN, "-15"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct decimal number = parsed(cases[i].number);
        assert_int_equal(
            decimal_round(&number, cases[i].scale, cases[i].rounding), 0);
        assert_prints(&number, cases[i].result);
        decimal_clear(&number);
    }
}

static void any_scale_can_be_rounded_to(void **state)
{
    struct decimal number = parsed("1");
    (void)state;

    assert_int_equal(decimal_round(&number, 1001, DECIMAL_HALF_AWAY), -ERANGE);
    assert_int_equal(decimal_round(&number, 999, DECIMAL_HALF_AWAY), 0);
    assert_int_equal(decimal_scale(&number), 999);
    assert_int_equal(decimal_round(&number, INT32_MIN, DECIMAL_HALF_AWAY), 0);
    assert_prints(&number, "0");
    decimal_clear(&number);
}

static void values_compare_whatever_their_scales(void **state)
{
    /* In ascending order; the same number where an equal sign leads. */
    static const char *const order[] = {
        "-100000000000000000000000000000000000000000000000000",
        "-99999999999999999999.5",
        "-2",
        "=-2.000",
        "-0.001",
        "0",
        "=0.0000000000000000000000000000000000000000000000000",
        "0.000000000000000000000000000000000000000000000000001",
        "0.9999999999999999999",
        "1",
        "=1.0",
        "=1.00000000000000000000000000000000000000000000000000000",
        "9",
        "10",
        "999999999999999999",
        "1000000000000000000",
        "9999999999999999999",
        "100000000000000000000000000000000000000",
        "=100000000000000000000000000000000000000.00",
        "1000000000000000000000000000000000000000000000000000000",
    };
    enum { COUNT = sizeof order / sizeof order[0] };
    int rank[COUNT];
    (void)state;

    for (int i = 0; i < COUNT; i++)
        rank[i] = order[i][0] == '=' ? rank[i - 1] : i;
    for (int i = 0; i < COUNT; i++) {
        for (int j = 0; j < COUNT; j++) {
            const char *x = order[i] + (order[i][0] == '=');
            const char *y = order[j] + (order[j][0] == '=');
            int expected = (rank[i] > rank[j]) - (rank[i] < rank[j]);
            struct decimal a = parsed(x), b = parsed(y);
            assert_int_equal(decimal_cmp(&a, &b), expected);
            assert_int_equal(decimal_compare_texts(x, strlen(x), y, strlen(y)),
                             expected);
            decimal_clear(&a);
            decimal_clear(&b);
        }
    }
}

static void what_is_no_decimal_sorts_last(void **state)
{
    (void)state;
    assert_int_equal(decimal_compare_texts("abc", 3, "7", 1), 1);
    assert_int_equal(decimal_compare_texts("7", 1, "", 0), -1);
    assert_int_equal(decimal_compare_texts("a", 1, "b", 1), -1);
    assert_int_equal(decimal_compare_texts("a", 1, "a", 1), 0);
    assert_int_equal(decimal_compare_texts("1.", 2, "1", 1), 0);
}

static void a_number_fits_by_digits_on_both_sides(void **state)
{
    struct decimal number = parsed("123.45");
    (void)state;

    assert_true(decimal_fits(&number, 5, 2));
    assert_true(decimal_fits(&number, -1, -1));
    assert_true(decimal_fits(&number, 6, 3));
    assert_false(decimal_fits(&number, 5, 3));
    assert_false(decimal_fits(&number, 5, 1));
    assert_false(decimal_fits(&number, 4, 2));
    number = parsed("0.05");
    assert_true(decimal_fits(&number, 2, 2));
}

static void integers_come_and_go(void **state)
{
    struct decimal number = {0};
    int64_t value = 0;
    (void)state;

    decimal_from_integer(&number, INT64_MIN);
    assert_prints(&number, "-9223372036854775808");
    assert_int_equal(decimal_to_integer(&number, &value), 0);
    assert_true(value == INT64_MIN);
    number = parsed("9223372036854775807.4");
    assert_int_equal(decimal_to_integer(&number, &value), 0);
    assert_true(value == INT64_MAX);
    number = parsed("9223372036854775807.5");
    assert_int_equal(decimal_to_integer(&number, &value), -ERANGE);
    number = parsed("-2.5");
    assert_int_equal(decimal_to_integer(&number, &value), 0);
    assert_int_equal(value, -3);
    decimal_clear(&number);
}

static void doubles_come_by_fifteen_digits(void **state)
{
    struct decimal number = {0};
    (void)state;

    assert_int_equal(decimal_from_double(&number, 0.1), 0);
    assert_prints(&number, "0.1");
    assert_int_equal(decimal_from_double(&number, 1.0 / 3), 0);
    assert_prints(&number, "0.333333333333333");
    assert_int_equal(decimal_from_double(&number, 1e20), 0);
    assert_prints(&number, "100000000000000000000");
    assert_int_equal(decimal_from_double(&number, (double)NAN), -EINVAL);
    assert_int_equal(decimal_from_double(&number, (double)INFINITY), -EINVAL);
    decimal_clear(&number);
}

static void the_nearest_double_is_given(void **state)
{
    struct decimal number = parsed("0.3");
    double value = 0;
    (void)state;

    assert_int_equal(decimal_to_double(&number, &value), 0);
    assert_true(value == 0.3);
    number = parsed("9007199254740993");
    assert_int_equal(decimal_to_double(&number, &value), 0);
    assert_true(value == 9007199254740992.0);
    number = parsed("123456789.123456789123456789");
    assert_int_equal(decimal_to_double(&number, &value), 0);
    assert_true(value == 123456789.123456789123456789);
    number = parsed("1e309");
    assert_int_equal(decimal_to_double(&number, &value), -ERANGE);
    decimal_clear(&number);
}

static void signs_change(void **state)
{
    struct decimal number = parsed("170141183460469231731687303715884105727");
    struct decimal one = parsed("1");
    (void)state;

    /* The least number of 128 bits has no opposite there. */
    decimal_neg(&number);
    assert_int_equal(decimal_sub(&number, &number, &one), 0);
    assert_prints(&number, "-170141183460469231731687303715884105728");
    decimal_neg(&number);
    assert_prints(&number, "170141183460469231731687303715884105728");
    decimal_neg(&number);
    decimal_abs(&number);
    assert_prints(&number, "170141183460469231731687303715884105728");
    assert_int_equal(decimal_sign(&number), 1);
    decimal_clear(&number);
    assert_int_equal(decimal_sign(&number), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_become_canonical),
        cmocka_unit_test(what_is_no_number_is_refused),
        cmocka_unit_test(a_thousand_digits_are_the_limit),
        cmocka_unit_test(arithmetic_is_that_of_postgresql),
        cmocka_unit_test(nothing_is_divided_by_zero),
        cmocka_unit_test(rounding_is_that_of_postgresql),
        cmocka_unit_test(any_scale_can_be_rounded_to),
        cmocka_unit_test(values_compare_whatever_their_scales),
        cmocka_unit_test(what_is_no_decimal_sorts_last),
        cmocka_unit_test(a_number_fits_by_digits_on_both_sides),
        cmocka_unit_test(integers_come_and_go),
        cmocka_unit_test(doubles_come_by_fifteen_digits),
        cmocka_unit_test(the_nearest_double_is_given),
        cmocka_unit_test(signs_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
