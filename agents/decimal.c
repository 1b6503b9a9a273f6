/*
 * A number is `small` or, when that has not bits enough, `large`. Operations
 * are tried on 128 bits with overflow checks; what does not fit is done over
 * by GMP, and what comes back small from there is small again, so that `big`
 * says what the number is like and not where it comes from.
 */
#include "agents/decimal.h"
#include "agents/decimal_inside.h"

#include <errno.h>
#include <string.h>

enum {
    GROUP = 4, /* digits of one digit of PostgreSQL's, which is what its scales
                  of quotients are reckoned in */
    QUOTIENT_DIGITS = 16,
    /* 2^3321 < 10^1000 < 2^3322 */
    BITS_FIT = 3321,
};

const wide *decimal_powers(void)
{
    static _Thread_local wide table[POWERS];

    if (!table[0]) {
        table[0] = 1;
        for (int i = 1; i < POWERS; i++)
            table[i] = table[i - 1] * 10;
    }
    return table;
}

static uwide magnitude(wide value)
{
    return value < 0 ? -(uwide)value : (uwide)value;
}

/* ---- small and large ----------------------------------------------------- */

void decimal_clear(struct decimal *number)
{
    if (number->has_large)
        mpz_clear(number->large);
    *number = (struct decimal){0};
}

static void set_wide(mpz_t to, wide value)
{
    uwide bits = magnitude(value);
    uint64_t words[2] = {(uint64_t)bits, (uint64_t)(bits >> 64)};

    mpz_import(to, 2, -1, sizeof words[0], 0, 0, words);
    if (value < 0)
        mpz_neg(to, to);
}

/* Leaves `small` when it fits 126 bits and a sign. */
static bool get_wide(const mpz_t from, wide *ret_value)
{
    uint64_t words[2] = {0, 0};

    if (mpz_sizeinbase(from, 2) > 126)
        return false;
    mpz_export(words, NULL, -1, sizeof words[0], 0, 0, from);
    wide value = (wide)((uwide)words[1] << 64 | words[0]);
    *ret_value = mpz_sgn(from) < 0 ? -value : value;
    return true;
}

static void copy_large(mpz_t to, const struct decimal *number)
{
    if (number->big)
        mpz_set(to, number->large);
    else
        set_wide(to, number->small);
}

static bool too_long(const mpz_t value)
{
    size_t bits = mpz_sizeinbase(value, 2);

    if (bits <= BITS_FIT)
        return false;
    if (bits > BITS_FIT + 1)
        return true;
    mpz_t limit;
    mpz_init(limit);
    mpz_ui_pow_ui(limit, 10, DECIMAL_DIGITS_MAX);
    bool longer = mpz_cmpabs(value, limit) >= 0;
    mpz_clear(limit);
    return longer;
}

int decimal_put_small(struct decimal *to, wide value, int scale)
{
    if (scale > DECIMAL_DIGITS_MAX)
        return -ERANGE;
    to->small = value;
    to->scale = scale;
    to->big = false;
    return 0;
}

int decimal_put_large(struct decimal *to, mpz_t value, int scale)
{
    wide small;
    int result = 0;

    if (scale > DECIMAL_DIGITS_MAX || too_long(value)) {
        result = -ERANGE;
    } else if (get_wide(value, &small)) {
        result = decimal_put_small(to, small, scale);
    } else {
        if (!to->has_large)
            mpz_init(to->large);
        to->has_large = true;
        mpz_swap(to->large, value);
        to->scale = scale;
        to->big = true;
    }
    mpz_clear(value);
    return result;
}

void decimal_set(struct decimal *to, const struct decimal *from)
{
    if (to == from)
        return;
    if (from->big) {
        if (!to->has_large)
            mpz_init(to->large);
        to->has_large = true;
        mpz_set(to->large, from->large);
    }
    to->small = from->small;
    to->scale = from->scale;
    to->big = from->big;
}

static bool grow(wide value, int digits, wide *ret_value)
{
    if (digits == 0 || value == 0) {
        *ret_value = value;
        return true;
    }
    return digits < POWERS &&
           !__builtin_mul_overflow(value, decimal_powers()[digits], ret_value);
}

static void grow_large(mpz_t value, int digits)
{
    if (digits <= 0)
        return;
    mpz_t factor;
    mpz_init(factor);
    mpz_ui_pow_ui(factor, 10, (unsigned long)digits);
    mpz_mul(value, value, factor);
    mpz_clear(factor);
}

/* The digits of a magnitude, ending before `end`; returns where they begin. */
static char *print_wide(uwide value, char *end)
{
    const uint64_t chunk = UINT64_C(10000000000000000000);

    while (value > UINT64_MAX) {
        uint64_t low = (uint64_t)(value % chunk);
        value /= chunk;
        for (int i = 0; i < 19; i++, low /= 10)
            *--end = (char)('0' + low % 10);
    }
    for (uint64_t rest = (uint64_t)value; rest; rest /= 10)
        *--end = (char)('0' + rest % 10);
    return end;
}

const char *decimal_digits(const struct decimal *number,
                           char room[DECIMAL_ROOM], size_t *ret_count)
{
    if (number->big) {
        mpz_get_str(room, 10, number->large);
        const char *digits = room + (room[0] == '-');
        *ret_count = strlen(digits);
        return digits;
    }
    char *end = room + DECIMAL_ROOM;
    const char *digits = print_wide(magnitude(number->small), end);
    *ret_count = (size_t)(end - digits);
    return digits;
}

/* ---- arithmetic ---------------------------------------------------------- */

static int add(struct decimal *to, const struct decimal *a,
               const struct decimal *b, bool minus)
{
    int scale = a->scale > b->scale ? a->scale : b->scale;
    wide x, y, sum;

    if (!a->big && !b->big && grow(a->small, scale - a->scale, &x) &&
        grow(b->small, scale - b->scale, &y) &&
        !(minus ? __builtin_sub_overflow(x, y, &sum)
                : __builtin_add_overflow(x, y, &sum)))
        return decimal_put_small(to, sum, scale);
    mpz_t left, right;
    mpz_init(left);
    copy_large(left, a);
    mpz_init(right);
    copy_large(right, b);
    grow_large(left, scale - a->scale);
    grow_large(right, scale - b->scale);
    if (minus)
        mpz_sub(left, left, right);
    else
        mpz_add(left, left, right);
    mpz_clear(right);
    return decimal_put_large(to, left, scale);
}

int decimal_add(struct decimal *to, const struct decimal *a,
                const struct decimal *b)
{
    return add(to, a, b, false);
}

int decimal_sub(struct decimal *to, const struct decimal *a,
                const struct decimal *b)
{
    return add(to, a, b, true);
}

int decimal_mul(struct decimal *to, const struct decimal *a,
                const struct decimal *b)
{
    wide product;

    if (!a->big && !b->big &&
        !__builtin_mul_overflow(a->small, b->small, &product))
        return decimal_put_small(to, product, a->scale + b->scale);
    mpz_t left, right;
    mpz_init(left);
    copy_large(left, a);
    mpz_init(right);
    copy_large(right, b);
    mpz_mul(left, left, right);
    mpz_clear(right);
    return decimal_put_large(to, left, a->scale + b->scale);
}

/* A number's leading digit to base 10,000, counted off from the point, and the
 * power of 10,000 it stands for. */
static void leading_group(const struct decimal *number, int *ret_digit,
                          int *ret_power)
{
    char room[DECIMAL_ROOM];
    size_t digits_count;
    const char *digits = decimal_digits(number, room, &digits_count);
    int count = (int)digits_count;

    *ret_digit = 0;
    *ret_power = 0;
    if (count == 0)
        return;
    int place = count - number->scale - 1; /* of the first digit: 10^place */
    *ret_power = place >= 0 ? place / GROUP : -((GROUP - 1 - place) / GROUP);
    int take = place - *ret_power * GROUP + 1;
    for (int i = 0; i < take; i++)
        *ret_digit = *ret_digit * 10 + (i < count ? digits[i] - '0' : 0);
}

static int larger(int a, int b)
{
    return a > b ? a : b;
}

static int quotient_scale(const struct decimal *a, const struct decimal *b)
{
    int a_digit, a_power, b_digit, b_power;

    leading_group(a, &a_digit, &a_power);
    leading_group(b, &b_digit, &b_power);
    int power = a_power - b_power - (a_digit <= b_digit);
    int scale = QUOTIENT_DIGITS - power * GROUP;
    scale = larger(larger(scale, 0), larger(a->scale, b->scale));
    return scale < DECIMAL_DIGITS_MAX ? scale : DECIMAL_DIGITS_MAX;
}

/* One more, away from zero. */
static wide away(wide value, bool negative)
{
    return negative ? value - 1 : value + 1;
}

int decimal_div(struct decimal *to, const struct decimal *a,
                const struct decimal *b)
{
    wide above;

    if (decimal_sign(b) == 0)
        return -EDOM;
    int scale = quotient_scale(a, b);
    int more = scale - a->scale + b->scale;
    bool negative = decimal_sign(a) * decimal_sign(b) < 0;
    /* The least number divided by -1 is none of 128 bits. */
    if (!a->big && !b->big && b->small != -1 && grow(a->small, more, &above)) {
        wide quotient = above / b->small, rest = above % b->small;
        if (magnitude(rest) * 2 >= magnitude(b->small))
            quotient = away(quotient, negative);
        return decimal_put_small(to, quotient, scale);
    }
    mpz_t left, right, rest;
    mpz_init(left);
    copy_large(left, a);
    mpz_init(right);
    copy_large(right, b);
    mpz_init(rest);
    grow_large(left, more);
    mpz_tdiv_qr(left, rest, left, right);
    mpz_mul_2exp(rest, rest, 1);
    if (mpz_cmpabs(rest, right) >= 0) {
        if (negative)
            mpz_sub_ui(left, left, 1);
        else
            mpz_add_ui(left, left, 1);
    }
    mpz_clear(right);
    mpz_clear(rest);
    return decimal_put_large(to, left, scale);
}

int decimal_mod(struct decimal *to, const struct decimal *a,
                const struct decimal *b)
{
    int scale = a->scale > b->scale ? a->scale : b->scale;
    wide x, y;

    if (decimal_sign(b) == 0)
        return -EDOM;
    if (!a->big && !b->big && grow(a->small, scale - a->scale, &x) &&
        grow(b->small, scale - b->scale, &y))
        /* Of the least number by -1 there is no quotient. */
        return decimal_put_small(to, y == -1 ? 0 : x % y, scale);
    mpz_t left, right;
    mpz_init(left);
    copy_large(left, a);
    mpz_init(right);
    copy_large(right, b);
    grow_large(left, scale - a->scale);
    grow_large(right, scale - b->scale);
    mpz_tdiv_r(left, left, right);
    mpz_clear(right);
    return decimal_put_large(to, left, scale);
}

void decimal_neg(struct decimal *number)
{
    wide negated;

    if (number->big) {
        mpz_neg(number->large, number->large);
    } else if (!__builtin_sub_overflow((wide)0, number->small, &negated)) {
        number->small = negated;
    } else {
        mpz_t value;
        mpz_init(value);
        copy_large(value, number);
        mpz_neg(value, value);
        (void)decimal_put_large(number, value, number->scale);
    }
}

void decimal_abs(struct decimal *number)
{
    if (decimal_sign(number) < 0)
        decimal_neg(number);
}

/* ---- rounding ------------------------------------------------------------ */

/* Is the quotient, cut towards zero, to be moved away from it? twice: how
 * twice the rest compares with the divisor. */
static bool moves(enum decimal_rounding rounding, bool negative, bool rest,
                  int twice)
{
    switch (rounding) {
    case DECIMAL_HALF_AWAY:
        return twice >= 0;
    case DECIMAL_UP:
        return rest && !negative;
    case DECIMAL_DOWN:
        return rest && negative;
    case DECIMAL_TOWARDS_ZERO:
        break;
    }
    return false;
}

/* Divides the digits by 10^drop; the scale is what it was. */
static void drop_digits(struct decimal *number, int drop,
                        enum decimal_rounding rounding)
{
    bool negative = decimal_sign(number) < 0;

    if (!number->big && drop < POWERS) {
        wide divisor = decimal_powers()[drop];
        wide quotient = number->small / divisor;
        uwide rest = magnitude(number->small % divisor);
        int twice = rest * 2 < (uwide)divisor ? -1 : 1;
        if (moves(rounding, negative, rest != 0, twice))
            quotient = away(quotient, negative);
        number->small = quotient;
        return;
    }
    mpz_t value, divisor, rest;
    mpz_init(value);
    copy_large(value, number);
    mpz_init(divisor);
    mpz_init(rest);
    mpz_ui_pow_ui(divisor, 10, (unsigned long)drop);
    mpz_tdiv_qr(value, rest, value, divisor);
    bool any = mpz_sgn(rest) != 0;
    mpz_mul_2exp(rest, rest, 1);
    if (moves(rounding, negative, any, mpz_cmpabs(rest, divisor))) {
        if (negative)
            mpz_sub_ui(value, value, 1);
        else
            mpz_add_ui(value, value, 1);
    }
    mpz_clear(divisor);
    mpz_clear(rest);
    (void)decimal_put_large(number, value, number->scale); /* it is shorter */
}

static int add_digits(struct decimal *number, int more, int scale)
{
    wide value;

    if (!number->big && grow(number->small, more, &value))
        return decimal_put_small(number, value, scale);
    mpz_t large;
    mpz_init(large);
    copy_large(large, number);
    grow_large(large, more);
    return decimal_put_large(number, large, scale);
}

int decimal_round(struct decimal *number, int scale,
                  enum decimal_rounding rounding)
{
    if (scale > DECIMAL_DIGITS_MAX)
        return -ERANGE;
    if (scale >= number->scale)
        return add_digits(number, scale - number->scale, scale);
    /* So far before the point everything is 0, or half a unit at most. */
    if (scale < -DECIMAL_DIGITS_MAX - 1)
        scale = -DECIMAL_DIGITS_MAX - 1;
    drop_digits(number, number->scale - scale, rounding);
    number->scale = 0;
    if (scale < 0)
        return add_digits(number, -scale, 0);
    number->scale = scale;
    return 0;
}

/* ---- questions ----------------------------------------------------------- */

int decimal_sign(const struct decimal *number)
{
    if (number->big)
        return mpz_sgn(number->large);
    return (number->small > 0) - (number->small < 0);
}

int decimal_scale(const struct decimal *number)
{
    return number->scale;
}

int decimal_cmp(const struct decimal *a, const struct decimal *b)
{
    int scale = a->scale > b->scale ? a->scale : b->scale;
    wide x, y;

    if (!a->big && !b->big && grow(a->small, scale - a->scale, &x) &&
        grow(b->small, scale - b->scale, &y))
        return (x > y) - (x < y);
    int a_sign = decimal_sign(a), b_sign = decimal_sign(b);
    if (a_sign != b_sign)
        return a_sign < b_sign ? -1 : 1;
    mpz_t left, right;
    mpz_init(left);
    copy_large(left, a);
    mpz_init(right);
    copy_large(right, b);
    grow_large(left, scale - a->scale);
    grow_large(right, scale - b->scale);
    int order = mpz_cmp(left, right);
    mpz_clear(left);
    mpz_clear(right);
    return (order > 0) - (order < 0);
}

bool decimal_fits(const struct decimal *number, int precision, int scale)
{
    char room[DECIMAL_ROOM];
    size_t count;

    if (precision < 0)
        return true;
    if (scale < 0)
        scale = 0;
    (void)decimal_digits(number, room, &count);
    return number->scale <= scale &&
           (int)count - number->scale <= precision - scale;
}

/* ---- integers ------------------------------------------------------------ */

void decimal_from_integer(struct decimal *to, int64_t value)
{
    (void)decimal_put_small(to, value, 0);
}

int decimal_to_integer(const struct decimal *number, int64_t *ret_value)
{
    struct decimal whole = {0};
    int result = -ERANGE;

    decimal_set(&whole, number);
    if (decimal_round(&whole, 0, DECIMAL_HALF_AWAY) == 0 && !whole.big &&
        whole.small >= INT64_MIN && whole.small <= INT64_MAX) {
        *ret_value = (int64_t)whole.small;
        result = 0;
    }
    decimal_clear(&whole);
    return result;
}
