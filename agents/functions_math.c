/*
 * Arithmetic, on each of the three kinds of numbers, and what goes beyond.
 * Results and failures are PostgreSQL's; the transcendental functions are those
 * of the machine's libm.
 */
#include "agents/functions_inside.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* ---- integers ------------------------------------------------------------ */

static void overflow(struct function_call *call)
{
    function_fail(call, "the result does not fit 64 bits");
}

static void give_sum(struct function_call *call, bool over, int64_t value)
{
    if (over)
        overflow(call);
    else
        function_give_integer(call, value);
}

static void add_int(struct function_call *call)
{
    int64_t value;
    bool over = __builtin_add_overflow(function_integer(call, 0),
                                       function_integer(call, 1), &value);

    give_sum(call, over, value);
}

static void sub_int(struct function_call *call)
{
    int64_t value;
    bool over = __builtin_sub_overflow(function_integer(call, 0),
                                       function_integer(call, 1), &value);

    give_sum(call, over, value);
}

static void mul_int(struct function_call *call)
{
    int64_t value;
    bool over = __builtin_mul_overflow(function_integer(call, 0),
                                       function_integer(call, 1), &value);

    give_sum(call, over, value);
}

static void neg_int(struct function_call *call)
{
    int64_t value;
    bool over =
        __builtin_sub_overflow(INT64_C(0), function_integer(call, 0), &value);

    give_sum(call, over, value);
}

static void abs_int(struct function_call *call)
{
    if (function_integer(call, 0) < 0)
        neg_int(call);
    else
        function_give_integer(call, function_integer(call, 0));
}

static void div_int(struct function_call *call)
{
    int64_t a = function_integer(call, 0), b = function_integer(call, 1);

    if (b == 0)
        function_fail(call, "division by zero");
    else if (b == -1) /* the least number has no opposite */
        neg_int(call);
    else
        function_give_integer(call, a / b);
}

static void mod_int(struct function_call *call)
{
    int64_t a = function_integer(call, 0), b = function_integer(call, 1);

    if (b == 0)
        function_fail(call, "division by zero");
    else
        function_give_integer(call, b == -1 ? 0 : a % b);
}

static void sign_int(struct function_call *call)
{
    int64_t value = function_integer(call, 0);

    function_give_integer(call, (value > 0) - (value < 0));
}

/* ---- decimals ------------------------------------------------------------ */

static void with_two(struct function_call *call,
                     int operation(struct decimal *to, const struct decimal *a,
                                   const struct decimal *b))
{
    struct decimal a = {0}, b = {0};

    if (function_decimal(call, 0, &a) && function_decimal(call, 1, &b))
        function_give_decimal(call, &a, operation(&a, &a, &b));
    decimal_clear(&a);
    decimal_clear(&b);
}

static void add_dec(struct function_call *call)
{
    with_two(call, decimal_add);
}

static void sub_dec(struct function_call *call)
{
    with_two(call, decimal_sub);
}

static void mul_dec(struct function_call *call)
{
    with_two(call, decimal_mul);
}

static void div_dec(struct function_call *call)
{
    with_two(call, decimal_div);
}

static void mod_dec(struct function_call *call)
{
    with_two(call, decimal_mod);
}

static void neg_dec(struct function_call *call)
{
    struct decimal value = {0};

    if (!function_decimal(call, 0, &value))
        return;
    decimal_neg(&value);
    function_give_decimal(call, &value, 0);
}

static void abs_dec(struct function_call *call)
{
    struct decimal value = {0};

    if (!function_decimal(call, 0, &value))
        return;
    decimal_abs(&value);
    function_give_decimal(call, &value, 0);
}

static void sign_dec(struct function_call *call)
{
    struct decimal value = {0};

    if (!function_decimal(call, 0, &value))
        return;
    decimal_from_integer(&value, decimal_sign(&value));
    function_give_decimal(call, &value, 0);
}

static void rounded(struct function_call *call, enum decimal_rounding rounding)
{
    struct decimal value = {0};
    int32_t scale = 0;

    if (call->count > 1 && !function_small(call, 1, &scale))
        return;
    if (function_decimal(call, 0, &value))
        function_give_decimal(call, &value,
                              decimal_round(&value, scale, rounding));
}

static void ceil_dec(struct function_call *call)
{
    rounded(call, DECIMAL_UP);
}

static void floor_dec(struct function_call *call)
{
    rounded(call, DECIMAL_DOWN);
}

static void round_dec(struct function_call *call)
{
    rounded(call, DECIMAL_HALF_AWAY);
}

static void trunc_dec(struct function_call *call)
{
    rounded(call, DECIMAL_TOWARDS_ZERO);
}

/* ---- doubles ------------------------------------------------------------- */

/* zero: may the result be 0? */
static void give(struct function_call *call, double value, bool zero)
{
    if (value == 0 && !zero)
        function_fail(call, "the result is out of a double's range");
    else
        function_give_double(call, value);
}

static bool two(struct function_call *call, double *ret_a, double *ret_b)
{
    return function_double(call, 0, ret_a) && function_double(call, 1, ret_b);
}

static void add_dbl(struct function_call *call)
{
    double a, b;

    if (two(call, &a, &b))
        function_give_double(call, a + b);
}

static void sub_dbl(struct function_call *call)
{
    double a, b;

    if (two(call, &a, &b))
        function_give_double(call, a - b);
}

static void mul_dbl(struct function_call *call)
{
    double a, b;

    if (two(call, &a, &b))
        give(call, a * b, a == 0 || b == 0);
}

static void div_dbl(struct function_call *call)
{
    double a, b;

    if (!two(call, &a, &b))
        return;
    if (b == 0)
        function_fail(call, "division by zero");
    else
        give(call, a / b, a == 0);
}

static void mod_dbl(struct function_call *call)
{
    double a, b;

    if (!two(call, &a, &b))
        return;
    if (b == 0)
        function_fail(call, "division by zero");
    else
        function_give_double(call, fmod(a, b));
}

static void with_one(struct function_call *call, double function(double))
{
    double x;

    if (function_double(call, 0, &x))
        function_give_double(call, function(x));
}

static double negated(double x)
{
    return -x;
}

static double sign_of(double x)
{
    return (x > 0) - (x < 0);
}

static void neg_dbl(struct function_call *call)
{
    with_one(call, negated);
}

static void abs_dbl(struct function_call *call)
{
    with_one(call, fabs);
}

static void sign_dbl(struct function_call *call)
{
    with_one(call, sign_of);
}

static void ceil_dbl(struct function_call *call)
{
    with_one(call, ceil);
}

static void floor_dbl(struct function_call *call)
{
    with_one(call, floor);
}

static void round_dbl(struct function_call *call)
{
    with_one(call, rint);
}

static void trunc_dbl(struct function_call *call)
{
    with_one(call, trunc);
}

static void square_root(struct function_call *call)
{
    double x;

    if (!function_double(call, 0, &x))
        return;
    if (x < 0)
        function_fail(call, "square root of a negative number");
    else
        function_give_double(call, sqrt(x));
}

static void exponential(struct function_call *call)
{
    double x;

    if (function_double(call, 0, &x))
        give(call, exp(x), false);
}

static bool positive(struct function_call *call, double x)
{
    if (x > 0)
        return true;
    function_fail(call, x < 0 ? "logarithm of a negative number"
                              : "logarithm of zero");
    return false;
}

static void natural_logarithm(struct function_call *call)
{
    double x;

    if (function_double(call, 0, &x) && positive(call, x))
        function_give_double(call, log(x));
}

static void logarithm(struct function_call *call)
{
    double base, x;

    if (call->count == 1) {
        if (function_double(call, 0, &x) && positive(call, x))
            function_give_double(call, log10(x));
        return;
    }
    if (!two(call, &base, &x) || !positive(call, x) || !positive(call, base))
        return;
    double by = log(base), of = log(x);
    if (by == 0)
        function_fail(call, "division by zero");
    else
        give(call, of / by, of == 0);
}

static void power(struct function_call *call)
{
    double x, y;

    if (!two(call, &x, &y))
        return;
    if (x == 0 && y < 0)
        function_fail(call, "zero to a negative power");
    else if (x < 0 && y != floor(y))
        function_fail(call, "a negative number to a power that is not whole");
    else
        give(call, pow(x, y), x == 0);
}

static void sine(struct function_call *call)
{
    with_one(call, sin);
}

static void cosine(struct function_call *call)
{
    with_one(call, cos);
}

static void tangent(struct function_call *call)
{
    with_one(call, tan);
}

static void hyperbolic_sine(struct function_call *call)
{
    with_one(call, sinh);
}

static void hyperbolic_cosine(struct function_call *call)
{
    with_one(call, cosh);
}

static void hyperbolic_tangent(struct function_call *call)
{
    with_one(call, tanh);
}

/* ---- the greatest and the least ------------------------------------------ */

static int compare_bytes(sqlite3_value *a, sqlite3_value *b)
{
    /* Both as they are: they are of one type. */
    const void *left = sqlite3_value_blob(a), *right = sqlite3_value_blob(b);
    int left_len = sqlite3_value_bytes(a), right_len = sqlite3_value_bytes(b);
    int len = left_len < right_len ? left_len : right_len;
    int order = len > 0 && left && right ? memcmp(left, right, (size_t)len) : 0;

    return order ? order : (left_len > right_len) - (left_len < right_len);
}

static int compare(sqlite3_value *a, sqlite3_value *b)
{
    int left = sqlite3_value_type(a), right = sqlite3_value_type(b);

    if (left == SQLITE_INTEGER && right == SQLITE_INTEGER) {
        int64_t x = sqlite3_value_int64(a), y = sqlite3_value_int64(b);
        return (x > y) - (x < y);
    }
    if ((left == SQLITE_INTEGER || left == SQLITE_FLOAT) &&
        (right == SQLITE_INTEGER || right == SQLITE_FLOAT)) {
        double x = sqlite3_value_double(a), y = sqlite3_value_double(b);
        return (x > y) - (x < y);
    }
    return compare_bytes(a, b);
}

static void choose(struct function_call *call, int sign)
{
    sqlite3_value *best = NULL;

    for (int i = 0; i < call->count; i++) {
        sqlite3_value *value = call->args[i];
        if (sqlite3_value_type(value) != SQLITE_NULL &&
            (!best || sign * compare(value, best) > 0))
            best = value;
    }
    if (best)
        sqlite3_result_value(call->context, best);
}

static void choose_decimal(struct function_call *call, int sign)
{
    struct decimal best = {0}, value = {0};
    bool any = false;

    for (int i = 0; i < call->count; i++) {
        if (sqlite3_value_type(call->args[i]) == SQLITE_NULL)
            continue;
        if (!function_decimal(call, i, &value)) {
            decimal_clear(&best);
            decimal_clear(&value);
            return;
        }
        if (!any || sign * decimal_cmp(&value, &best) > 0)
            decimal_set(&best, &value);
        any = true;
    }
    decimal_clear(&value);
    if (any)
        function_give_decimal(call, &best, 0);
    decimal_clear(&best);
}

static void greatest(struct function_call *call)
{
    choose(call, 1);
}

static void least(struct function_call *call)
{
    choose(call, -1);
}

static void greatest_dec(struct function_call *call)
{
    choose_decimal(call, 1);
}

static void least_dec(struct function_call *call)
{
    choose_decimal(call, -1);
}

const struct function functions_arithmetic[] = {
    {"add_int", 2, 2, add_int, false, false},
    {"sub_int", 2, 2, sub_int, false, false},
    {"mul_int", 2, 2, mul_int, false, false},
    {"div_int", 2, 2, div_int, false, false},
    {"mod_int", 2, 2, mod_int, false, false},
    {"neg_int", 1, 1, neg_int, false, false},
    {"abs_int", 1, 1, abs_int, false, false},
    {"add_dec", 2, 2, add_dec, false, false},
    {"sub_dec", 2, 2, sub_dec, false, false},
    {"mul_dec", 2, 2, mul_dec, false, false},
    {"div_dec", 2, 2, div_dec, false, false},
    {"mod_dec", 2, 2, mod_dec, false, false},
    {"neg_dec", 1, 1, neg_dec, false, false},
    {"abs_dec", 1, 1, abs_dec, false, false},
    {"add_dbl", 2, 2, add_dbl, false, false},
    {"sub_dbl", 2, 2, sub_dbl, false, false},
    {"mul_dbl", 2, 2, mul_dbl, false, false},
    {"div_dbl", 2, 2, div_dbl, false, false},
    {"mod_dbl", 2, 2, mod_dbl, false, false},
    {"neg_dbl", 1, 1, neg_dbl, false, false},
    {"abs_dbl", 1, 1, abs_dbl, false, false},
    {0},
};

const struct function functions_math[] = {
    {"sign_int", 1, 1, sign_int, false, true},
    {"sign_dec", 1, 1, sign_dec, false, false},
    {"sign_dbl", 1, 1, sign_dbl, false, false},
    {"ceil_dec", 1, 1, ceil_dec, false, false},
    {"ceil_dbl", 1, 1, ceil_dbl, false, false},
    {"floor_dec", 1, 1, floor_dec, false, false},
    {"floor_dbl", 1, 1, floor_dbl, false, false},
    {"round_dec", 1, 2, round_dec, false, false},
    {"round_dbl", 1, 1, round_dbl, false, false},
    {"trunc_dec", 1, 2, trunc_dec, false, false},
    {"trunc_dbl", 1, 1, trunc_dbl, false, false},
    {"sqrt", 1, 1, square_root, false, false},
    {"exp", 1, 1, exponential, false, false},
    {"ln", 1, 1, natural_logarithm, false, false},
    {"log", 1, 2, logarithm, false, false},
    {"power", 2, 2, power, false, false},
    {"sin", 1, 1, sine, false, false},
    {"cos", 1, 1, cosine, false, false},
    {"tan", 1, 1, tangent, false, false},
    {"sinh", 1, 1, hyperbolic_sine, false, false},
    {"cosh", 1, 1, hyperbolic_cosine, false, false},
    {"tanh", 1, 1, hyperbolic_tangent, false, false},
    {"greatest", 1, -1, greatest, true, true},
    {"least", 1, -1, least, true, true},
    {"greatest_dec", 1, -1, greatest_dec, true, false},
    {"least_dec", 1, -1, least_dec, true, false},
    {0},
};
