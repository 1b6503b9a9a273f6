/*
 * expr_table.c - see expr_table.h. The comments beside the rows are the
 * contract for the dp_ functions: results are PostgreSQL's unless said, and
 * "fails" means that the value cannot be had (functions.h).
 *
 * In general: NULL in, NULL out. A function with _dec takes decimals as TEXT
 * and also INTEGERs. Doubles whose result overflows, underflows to zero or is
 * NaN fail. Integers that say positions or counts and do not fit 32 bits fail.
 * Casts between double and decimal go through 15 significant digits; from a
 * double or decimal to an integer: half to even and half away from zero.
 * Booleans are cast to text as "true" and "false", bytes as "\x" and hex.
 */
#include "agents/expr_table.h"

#include <stdint.h>
#include <string.h>

#define INT PARAM_INTEGER
#define DEC PARAM_DECIMAL
#define DBL PARAM_DOUBLE
#define TEXT PARAM_TEXT
#define BYTES PARAM_BYTES
#define DATE PARAM_DATE
#define STAMP PARAM_TIMESTAMP
#define STAMPTZ PARAM_TIMESTAMPTZ
#define SAME TYPES

/* Text functions of PostgreSQL want one collation even where it does not
 * matter; columns with different ones would clash. Letters' case follows the
 * database's locale, which is Unicode's simple mapping unless that is "C". */
#define BYTEWISE(name) name " COLLATE \"C\""
#define LETTERS(name) "(" name "($1 COLLATE \"default\") COLLATE \"C\")"
#define UTF8(name) "convert_to(" name ", 'UTF8')"

/* By enum civil_part. */
static const char *const get_part[EXPR_PARTS] = {
    "extract(year from $1)::bigint",
    "extract(month from $1)::bigint",
    "extract(day from $1)::bigint",
    "extract(hour from $1)::bigint",
    "extract(minute from $1)::bigint",
    "floor(extract(second from $1))::bigint",
    "(floor(extract(milliseconds from $1))::bigint % 1000)",
    "(extract(microseconds from $1)::bigint % 1000000)",
};
#define ADD(unit) "($1 + ($3)::double precision * interval '1 " unit "')"
static const char *const add_part[EXPR_PARTS] = {
    ADD("year"),   ADD("month"),  ADD("day"),         ADD("hour"),
    ADD("minute"), ADD("second"), ADD("millisecond"), ADD("microsecond"),
};
#define ADD_DAYS(unit) ADD(unit) "::date"
static const char *const add_date_part[EXPR_PARTS] = {
    ADD_DAYS("year"),
    ADD_DAYS("month"),
    ADD_DAYS("day"),
};
/* Whole months have no form that would be the same. */
#define ELAPSED "extract(epoch from ($1 - $2))"
static const char *const diff_part[EXPR_PARTS] = {
    NULL,
    NULL,
    "div(" ELAPSED ", 86400)::bigint",
    "div(" ELAPSED ", 3600)::bigint",
    "div(" ELAPSED ", 60)::bigint",
    "trunc(" ELAPSED ")::bigint",
    "trunc(" ELAPSED " * 1000)::bigint",
    "trunc(" ELAPSED " * 1000000)::bigint",
};

/* clang-format off */
static const struct expr_row rows[] = {
    /* ---- text: positions and counts are in characters ------------------- */

    /* Unicode's simple mapping, letter by letter (towupper() of C.UTF-8), so
     * that the number of characters stays. initcap: a word is a run of letters
     * and digits. */
    {"upper", 1, 1, {TEXT}, TYPE_TEXT, "dp_upper", .postgres = LETTERS("upper")},
    {"lower", 1, 1, {TEXT}, TYPE_TEXT, "dp_lower", .postgres = LETTERS("lower")},
    {"initcap", 1, 1, {TEXT}, TYPE_TEXT, "dp_initcap", .postgres = LETTERS("initcap")},
    /* From a position counted from 1, which may be 0 or negative and then
     * uses up the count; a negative count fails. */
    {"substr", 2, 2, {TEXT, INT}, TYPE_TEXT, "dp_substr", .postgres = "substr($1, ($2)::integer)"},
    {"substr", 3, 3, {TEXT, INT}, TYPE_TEXT, "dp_substr", .postgres = "substr($1, ($2)::integer, ($3)::integer)"},
    /* Blanks (U+0020 alone), or any of the characters given. */
    {"trim", 1, 1, {TEXT}, TYPE_TEXT, "dp_trim", .postgres = "btrim($1)"},
    {"trim", 2, 2, {TEXT}, TYPE_TEXT, "dp_trim", .postgres = "btrim($1, $2)"},
    {"ltrim", 1, 1, {TEXT}, TYPE_TEXT, "dp_ltrim", .postgres = "ltrim($1)"},
    {"ltrim", 2, 2, {TEXT}, TYPE_TEXT, "dp_ltrim", .postgres = "ltrim($1, $2)"},
    {"rtrim", 1, 1, {TEXT}, TYPE_TEXT, "dp_rtrim", .postgres = "rtrim($1)"},
    {"rtrim", 2, 2, {TEXT}, TYPE_TEXT, "dp_rtrim", .postgres = "rtrim($1, $2)"},
    {"reverse", 1, 1, {TEXT}, TYPE_TEXT, "dp_reverse", .postgres = "reverse($1)"},
    /* The character of a code point; 0, surrogates and beyond U+10FFFF fail. */
    {"chr", 1, 1, {INT}, TYPE_TEXT, "dp_chr", .postgres = "chr(($1)::integer)"},
    /* NULLs count as ''. All arguments are text. Never NULL. */
    {"concat", 1, EXPR_ARGS_MAX, {PARAM_TO_TEXT}, TYPE_TEXT, "dp_concat", .postgres = "concat($*)"},
    {"length", 1, 1, {TEXT}, TYPE_INTEGER, "length($1)", .postgres = "length($1)::bigint"},
    {"length", 1, 1, {BYTES}, TYPE_INTEGER, "length($1)", .postgres = "length($1)::bigint"},
    /* Bytewise; '' is found nowhere. */
    {"replace", 3, 3, {TEXT}, TYPE_TEXT, "replace($1, $2, $3)", .postgres = "replace(" BYTEWISE("$1") ", $2, $3)"},
    /* To a length, cutting what is longer; a negative length is 0; with ''
     * nothing is added. */
    {"lpad", 2, 2, {TEXT, INT}, TYPE_TEXT, "dp_lpad", .postgres = "lpad($1, ($2)::integer)"},
    {"lpad", 3, 3, {TEXT, INT, TEXT}, TYPE_TEXT, "dp_lpad", .postgres = "lpad($1, ($2)::integer, $3)"},
    {"rpad", 2, 2, {TEXT, INT}, TYPE_TEXT, "dp_rpad", .postgres = "rpad($1, ($2)::integer)"},
    {"rpad", 3, 3, {TEXT, INT, TEXT}, TYPE_TEXT, "dp_rpad", .postgres = "rpad($1, ($2)::integer, $3)"},
    /* A negative number: all but so many on the other side. */
    {"left", 2, 2, {TEXT, INT}, TYPE_TEXT, "dp_left", .postgres = "\"left\"($1, ($2)::integer)"},
    {"right", 2, 2, {TEXT, INT}, TYPE_TEXT, "dp_right", .postgres = "\"right\"($1, ($2)::integer)"},
    /* Position from 1, 0: not there; of '' it is 1. */
    {"strpos", 2, 2, {TEXT}, TYPE_INTEGER, "instr($1, $2)", .postgres = "strpos(" BYTEWISE("$1") ", $2)::bigint"},
    /* From 1; negative: from the end; 0 fails; none: ''. An empty separator
     * does not split. */
    {"split_part", 3, 3, {TEXT, TEXT, INT}, TYPE_TEXT, "dp_split_part", .postgres = "split_part(" BYTEWISE("$1") ", $2, ($3)::integer)"},

    /* ---- numbers ------------------------------------------------------- */

    {"abs", 1, 1, {INT}, TYPE_INTEGER, "dp_abs_int", .postgres = "abs($1)"},
    {"abs", 1, 1, {DEC}, TYPE_DECIMAL, "dp_abs_dec", .postgres = "abs($1)"},
    {"abs", 1, 1, {DBL}, TYPE_DOUBLE, "dp_abs_dbl", .postgres = "abs($1)"},
    {"ceil", 1, 1, {INT}, TYPE_INTEGER, "$1", .postgres = "$1"},
    {"ceil", 1, 1, {DEC}, TYPE_DECIMAL, "dp_ceil_dec", .postgres = "ceil($1)"},
    {"ceil", 1, 1, {DBL}, TYPE_DOUBLE, "dp_ceil_dbl", .postgres = "ceil($1)"},
    {"floor", 1, 1, {INT}, TYPE_INTEGER, "$1", .postgres = "$1"},
    {"floor", 1, 1, {DEC}, TYPE_DECIMAL, "dp_floor_dec", .postgres = "floor($1)"},
    {"floor", 1, 1, {DBL}, TYPE_DOUBLE, "dp_floor_dbl", .postgres = "floor($1)"},
    /* dp_round_dec and dp_trunc_dec always have their second argument:
     * digits behind the point (negative: before), also the result's scale when
     * it is positive: round(1.5, 3) is 1.500. dp_round_dbl: half to even. */
    {"round", 1, 1, {INT}, TYPE_INTEGER, "$1", .postgres = "$1"},
    {"round", 1, 1, {DEC}, TYPE_DECIMAL, "dp_round_dec($s, $1, 0)", .postgres = "round($1)"},
    {"round", 1, 1, {DBL}, TYPE_DOUBLE, "dp_round_dbl", .postgres = "round($1)"},
    {"round", 2, 2, {PARAM_TO_DECIMAL, INT}, TYPE_DECIMAL, "dp_round_dec", .postgres = "round($1, ($2)::integer)"},
    {"trunc", 1, 1, {INT}, TYPE_INTEGER, "$1", .postgres = "$1"},
    {"trunc", 1, 1, {DEC}, TYPE_DECIMAL, "dp_trunc_dec($s, $1, 0)", .postgres = "trunc($1)"},
    {"trunc", 1, 1, {DBL}, TYPE_DOUBLE, "dp_trunc_dbl", .postgres = "trunc($1)"},
    {"trunc", 2, 2, {PARAM_TO_DECIMAL, INT}, TYPE_DECIMAL, "dp_trunc_dec", .postgres = "trunc($1, ($2)::integer)"},
    /* -1, 0 or 1. */
    {"sign", 1, 1, {INT}, TYPE_INTEGER, "dp_sign_int", .postgres = "sign(($1)::numeric)::bigint"},
    {"sign", 1, 1, {DEC}, TYPE_DECIMAL, "dp_sign_dec", .postgres = "sign($1)"},
    {"sign", 1, 1, {DBL}, TYPE_DOUBLE, "dp_sign_dbl", .postgres = "sign($1)"},
    {"mod", 2, 2, {INT}, TYPE_INTEGER, "dp_mod_int", .postgres = "mod($1, $2)"},
    {"mod", 2, 2, {DEC}, TYPE_DECIMAL, "dp_mod_dec", .postgres = "mod($1, $2)"},
    {"mod", 2, 2, {DBL}, TYPE_DOUBLE, "dp_mod_dbl", .postgres = NULL}, /* fmod() */

    /* REAL in, REAL out. Of what has no result they fail: sqrt(-1), ln(0),
     * power(0, -1), power(-1, 0.5). */
    {"sqrt", 1, 1, {DBL}, TYPE_DOUBLE, "dp_sqrt", .postgres = "sqrt($1)"},
    {"exp", 1, 1, {DBL}, TYPE_DOUBLE, "dp_exp", .postgres = "exp($1)"},
    {"ln", 1, 1, {DBL}, TYPE_DOUBLE, "dp_ln", .postgres = "ln($1)"},
    {"log", 1, 1, {DBL}, TYPE_DOUBLE, "dp_log", .postgres = "log($1)"},
    /* log(base, x) is ln(x) / ln(base); base 1 is a division by zero. */
    {"log", 2, 2, {DBL}, TYPE_DOUBLE, "dp_log", .postgres = "(ln($2) / ln($1))"},
    {"power", 2, 2, {DBL}, TYPE_DOUBLE, "dp_power", .postgres = "power($1, $2)"},
    {"sin", 1, 1, {DBL}, TYPE_DOUBLE, "dp_sin", .postgres = "sin($1)"},
    {"cos", 1, 1, {DBL}, TYPE_DOUBLE, "dp_cos", .postgres = "cos($1)"},
    {"tan", 1, 1, {DBL}, TYPE_DOUBLE, "dp_tan", .postgres = "tan($1)"},
    {"sinh", 1, 1, {DBL}, TYPE_DOUBLE, "dp_sinh", .postgres = "sinh($1)"},
    {"cosh", 1, 1, {DBL}, TYPE_DOUBLE, "dp_cosh", .postgres = "cosh($1)"},
    {"tanh", 1, 1, {DBL}, TYPE_DOUBLE, "dp_tanh", .postgres = "tanh($1)"},

    /* ---- digests and codings: of a text's UTF-8 (TEXT) or of a BLOB ------ */

    /* Lower-case hex. */
    {"md5", 1, 1, {TEXT}, TYPE_TEXT, "dp_md5", .postgres = "md5(" UTF8("$1") ")"},
    {"md5", 1, 1, {BYTES}, TYPE_TEXT, "dp_md5", .postgres = "md5($1)"},
    {"sha1", 1, 1, {TEXT}, TYPE_TEXT, "dp_sha1", .postgres = NULL},
    {"sha1", 1, 1, {BYTES}, TYPE_TEXT, "dp_sha1", .postgres = NULL},
    {"sha224", 1, 1, {TEXT}, TYPE_TEXT, "dp_sha224", .postgres = "encode(sha224(" UTF8("$1") "), 'hex')"},
    {"sha224", 1, 1, {BYTES}, TYPE_TEXT, "dp_sha224", .postgres = "encode(sha224($1), 'hex')"},
    {"sha256", 1, 1, {TEXT}, TYPE_TEXT, "dp_sha256", .postgres = "encode(sha256(" UTF8("$1") "), 'hex')"},
    {"sha256", 1, 1, {BYTES}, TYPE_TEXT, "dp_sha256", .postgres = "encode(sha256($1), 'hex')"},
    {"sha384", 1, 1, {TEXT}, TYPE_TEXT, "dp_sha384", .postgres = "encode(sha384(" UTF8("$1") "), 'hex')"},
    {"sha384", 1, 1, {BYTES}, TYPE_TEXT, "dp_sha384", .postgres = "encode(sha384($1), 'hex')"},
    {"sha512", 1, 1, {TEXT}, TYPE_TEXT, "dp_sha512", .postgres = "encode(sha512(" UTF8("$1") "), 'hex')"},
    {"sha512", 1, 1, {BYTES}, TYPE_TEXT, "dp_sha512", .postgres = "encode(sha512($1), 'hex')"},
    /* INTEGER, 0 to 4294967295, zlib's. */
    {"crc32", 1, 1, {TEXT}, TYPE_INTEGER, "dp_crc32", .postgres = NULL},
    {"crc32", 1, 1, {BYTES}, TYPE_INTEGER, "dp_crc32", .postgres = NULL},
    /* Padded, without line breaks. */
    {"enc_base64", 1, 1, {TEXT}, TYPE_TEXT, "dp_enc_base64", .postgres = "replace(encode(" UTF8("$1") ", 'base64'), E'\\n', '')"},
    {"enc_base64", 1, 1, {BYTES}, TYPE_TEXT, "dp_enc_base64", .postgres = "replace(encode($1, 'base64'), E'\\n', '')"},
    /* White space is ignored. Gives TEXT, which has to be UTF-8 without NUL;
     * where bytes are wanted (decompress(dec_base64(c))) it is the row behind,
     * that gives a BLOB. */
    {"dec_base64", 1, 1, {TEXT}, TYPE_TEXT, "dp_dec_base64", .postgres = "convert_from(decode($1, 'base64'), 'UTF8')"},
    {"dec_base64", 1, 1, {TEXT}, TYPE_BYTES, "dp_dec_base64_bytes", .postgres = "decode($1, 'base64')"},
    /* zlib's format. compress gives a BLOB, decompress takes one and gives
     * TEXT (UTF-8 without NUL). */
    {"compress", 1, 1, {TEXT}, TYPE_BYTES, "dp_compress", .postgres = NULL},
    {"compress", 1, 1, {BYTES}, TYPE_BYTES, "dp_compress", .postgres = NULL},
    {"decompress", 1, 1, {BYTES}, TYPE_TEXT, "dp_decompress", .postgres = NULL},
    /* Lower-case, random (version 4). */
    {"generate_uuid", 0, 0, {PARAM_END}, TYPE_TEXT, "dp_generate_uuid", .postgres = "gen_random_uuid()::text", .varies = true},
    /* convert_base(TEXT of digits, from, to): bases 2 to 36, digits of either
     * case in, upper-case out, a leading '-' allowed; 64 bits. */
    {"convert_base", 3, 3, {PARAM_TO_TEXT, INT}, TYPE_TEXT, "dp_convert_base", .postgres = NULL},

    /* ---- times: TEXT in the forms of schema.h; parts are 'year', 'month',
     *      'day', 'hour', 'minute', 'second', 'millisecond', 'microsecond' -- */

    /* dp_get_date_part(s, x, part): x a timestamp or timestamptz (UTC).
     * second 0..59, millisecond 0..999 and microsecond 0..999999 of the
     * second. */
    {"get_date_part", 2, 2, {STAMP, PARAM_PART}, TYPE_INTEGER, "dp_get_date_part", .postgres_parts = get_part},
    {"get_date_part", 2, 2, {STAMPTZ, PARAM_PART}, TYPE_INTEGER, "dp_get_date_part", .postgres_parts = get_part},
    /* dp_set_date_part(s, x, part, value): x and the result a date,
     * timestamp or timestamptz (what x looks like). A part out of its range
     * fails; a day that the new month has not becomes its last one. */
    {"set_date_part", 3, 3, {DATE, PARAM_DAY_PART, INT}, TYPE_DATE, "dp_set_date_part", .postgres = NULL},
    {"set_date_part", 3, 3, {STAMP, PARAM_PART, INT}, TYPE_TIMESTAMP, "dp_set_date_part", .postgres = NULL},
    {"set_date_part", 3, 3, {STAMPTZ, PARAM_PART, INT}, TYPE_TIMESTAMPTZ, "dp_set_date_part", .postgres = NULL},
    /* dp_add_to_date(s, x, part, count): likewise; months and years end at
     * the last day of a shorter month. */
    {"add_to_date", 3, 3, {DATE, PARAM_DAY_PART, INT}, TYPE_DATE, "dp_add_to_date", .postgres_parts = add_date_part},
    {"add_to_date", 3, 3, {STAMP, PARAM_PART, INT}, TYPE_TIMESTAMP, "dp_add_to_date", .postgres_parts = add_part},
    {"add_to_date", 3, 3, {STAMPTZ, PARAM_PART, INT}, TYPE_TIMESTAMPTZ, "dp_add_to_date", .postgres_parts = add_part},
    /* dp_date_diff(s, a, b, part): a - b in whole units towards zero, both of
     * the same type. Whole months: the most n for which b plus n months is
     * not beyond a. */
    {"date_diff", 3, 3, {STAMP, STAMP, PARAM_PART}, TYPE_INTEGER, "dp_date_diff", .postgres_parts = diff_part},
    {"date_diff", 3, 3, {STAMPTZ, STAMPTZ, PARAM_PART}, TYPE_INTEGER, "dp_date_diff", .postgres_parts = diff_part},
    /* dp_last_day(s, date): the last of its month. */
    {"last_day", 1, 1, {PARAM_TO_DATE}, TYPE_DATE, "dp_last_day", .postgres = "(date_trunc('month', ($1)::timestamp) + interval '1 month' - interval '1 day')::date"},
    /* A literal: what the run's clock said ($n), to so many digits. */
    {"systimestamp", 0, 1, {PARAM_FRACTION}, TYPE_TIMESTAMPTZ, "$n", .postgres = "$n"},

    /* ---- of any type --------------------------------------------------- */

    {"coalesce", 1, EXPR_ARGS_MAX, {PARAM_COMMON}, SAME, "coalesce($*)", .postgres = "coalesce($*)"},
    {"nullif", 2, 2, {PARAM_COMMON}, SAME, "nullif($1, $2)", "nullif($1 COLLATE \"decimal\", $2)", .postgres = "nullif($c)"},
    /* dp_greatest(s, ...), dp_least(s, ...): NULLs are left out, NULL only when
     * all are. INTEGERs, REALs, TEXTs (bytewise) or BLOBs alike; _dec: decimals
     * by value. */
    {"greatest", 1, EXPR_ARGS_MAX, {PARAM_COMMON}, SAME, "dp_greatest", "dp_greatest_dec", .postgres = "greatest($c)"},
    {"least", 1, EXPR_ARGS_MAX, {PARAM_COMMON}, SAME, "dp_least", "dp_least_dec", .postgres = "least($c)"},

    /* ---- aggregates: dp_NAME(site, x), and dp_NAME(x) for DISTINCT, with
     *      which SQLite allows one argument only (they fail at site 0).
     *      NULLs are left out except by first and last -------------------- */

    {"count", 1, 1, {PARAM_ANY}, TYPE_INTEGER, "count($1)", .postgres = "count($c)", .aggregate = true},
    {"sum", 1, 1, {INT}, TYPE_INTEGER, "dp_sum_int", .postgres = "sum($1)::bigint", .aggregate = true},
    {"sum", 1, 1, {DEC}, TYPE_DECIMAL, "dp_sum_dec", .postgres = "sum($1)", .aggregate = true},
    {"sum", 1, 1, {DBL}, TYPE_DOUBLE, "dp_sum_dbl", .postgres = "sum($1)", .aggregate = true},
    /* Divided as dp_div_dec divides. */
    {"avg", 1, 1, {DEC}, TYPE_DECIMAL, "dp_avg_dec", .postgres = "avg($1)", .aggregate = true},
    {"avg", 1, 1, {DBL}, TYPE_DOUBLE, "dp_avg_dbl", .postgres = "avg($1)", .aggregate = true},
    {"min", 1, 1, {PARAM_BOOLEAN}, TYPE_BOOLEAN, "min($1)", .postgres = "bool_and($1)", .aggregate = true},
    {"min", 1, 1, {BYTES}, TYPE_BYTES, "min($1)", .postgres = NULL, .aggregate = true},
    {"min", 1, 1, {PARAM_ANY}, SAME, "min($1)", "dp_min_dec", .postgres = "min($c)", .aggregate = true},
    {"max", 1, 1, {PARAM_BOOLEAN}, TYPE_BOOLEAN, "max($1)", .postgres = "bool_or($1)", .aggregate = true},
    {"max", 1, 1, {BYTES}, TYPE_BYTES, "max($1)", .postgres = NULL, .aggregate = true},
    {"max", 1, 1, {PARAM_ANY}, SAME, "max($1)", "dp_max_dec", .postgres = "max($c)", .aggregate = true},
    /* Of the first and the last row, also when that is NULL. */
    {"first", 1, 1, {PARAM_ANY}, SAME, "dp_first", .postgres = "(array_agg($1))[1]", .aggregate = true},
    {"last", 1, 1, {PARAM_ANY}, SAME, "dp_last", .postgres = "(array_agg($1))[count(*)]", .aggregate = true},
    /* Of the sample (n - 1), REAL; NULL of fewer than two. */
    {"std", 1, 1, {DBL}, TYPE_DOUBLE, "dp_std", .postgres = "stddev_samp($1)", .aggregate = true},
    {"var", 1, 1, {DBL}, TYPE_DOUBLE, "dp_var", .postgres = "var_samp($1)", .aggregate = true},
};
/* clang-format on */

enum { ROWS = sizeof rows / sizeof rows[0] };

const struct expr_row *expr_rows(const char *name, bool aggregate,
                                 size_t *ret_count)
{
    for (size_t i = 0; i < ROWS; i++) {
        if (rows[i].aggregate != aggregate || strcmp(rows[i].name, name) != 0)
            continue;
        size_t end = i + 1;
        while (end < ROWS && rows[end].aggregate == aggregate &&
               strcmp(rows[end].name, name) == 0)
            end++;
        *ret_count = end - i;
        return &rows[i];
    }
    return NULL;
}
