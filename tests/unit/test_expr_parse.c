/* Tests of policy/expr: every construct of expressions as the tree that it
 * becomes, precedence, every kind of mistake with its place and sentence, the
 * limits, and the names of types and functions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "policy/expr.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Tables are written with ' for " in trees where no ' occurs. */
struct parsed {
    const char *text, *tree;
};

struct refused {
    const char *text;
    size_t line, column;
    const char *what; /* a part of the sentence */
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static json_t *parse_as(const char *text, size_t bytes, enum expr_use use)
{
    json_t *tree = NULL;
    struct expr_error error;
    int rc = expr_parse(text, bytes, use, &tree, &error);
    if (rc != 0)
        fail_msg("%s: %zu:%zu: %s", text, error.line, error.column, error.what);
    return tree;
}

static void expect_tree(const char *text, const char *tree, enum expr_use use)
{
    char *wanted = strdup(tree);
    for (char *c = wanted; (c = strchr(c, '\'')) != NULL;)
        *c = '"';
    json_t *parsed = parse_as(text, strlen(text), use);
    char *got = json_dumps(parsed, JSON_COMPACT);
    if (strcmp(got, wanted) != 0)
        fail_msg("%s\n  is     %s\n  not    %s", text, got, wanted);
    free(got);
    free(wanted);
    json_decref(parsed);
}

static void expect_trees(const struct parsed *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        expect_tree(rows[i].text, rows[i].tree, EXPR_VALUE);
}

static void expect_error(const char *text, size_t bytes, enum expr_use use,
                         size_t line, size_t column, const char *what)
{
    json_t *tree = NULL;
    struct expr_error error = {0};
    int rc = expr_parse(text, bytes, use, &tree, &error);
    if (rc == 0)
        fail_msg("%s was accepted", text);
    assert_int_equal(rc, -EINVAL);
    assert_null(tree);
    if (strstr(error.what, what) == NULL)
        fail_msg("%s\n  says   %s\n  not    %s", text, error.what, what);
    if (error.line != line || error.column != column)
        fail_msg("%s\n  is wrong at %zu:%zu, not at %zu:%zu", text, error.line,
                 error.column, line, column);
}

static void expect_errors(const struct refused *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        expect_error(rows[i].text, strlen(rows[i].text), EXPR_VALUE,
                     rows[i].line, rows[i].column, rows[i].what);
}

/* head, unit so many times, tail */
static char *repeated(const char *head, const char *unit, size_t times,
                      const char *tail, size_t *ret_bytes)
{
    size_t unit_bytes = strlen(unit);
    size_t room = strlen(head) + unit_bytes * times + strlen(tail) + 1;
    char *text = malloc(room);
    size_t used = (size_t)snprintf(text, room, "%s", head);
    for (size_t i = 0; i < times; i++, used += unit_bytes)
        memcpy(text + used, unit, unit_bytes + 1);
    used += (size_t)snprintf(text + used, room - used, "%s", tail);
    *ret_bytes = used;
    return text;
}

static bool accepts(const char *text, size_t bytes, struct expr_error *ret)
{
    json_t *tree = NULL;
    int rc = expr_parse(text, bytes, EXPR_VALUE, &tree, ret);
    json_decref(tree);
    return rc == 0;
}

/* ---- literals and columns -------------------------------------------- */

static void integers_beyond_64_bits_are_decimals(void **state)
{
    static const struct parsed rows[] = {
        {"0", "['int',0]"},
        {"007", "['int',7]"},
        {"9223372036854775807", "['int',9223372036854775807]"},
        {"9223372036854775808", "['dec','9223372036854775808']"},
        {"-5", "['neg',['int',5]]"},
        {"+5", "['int',5]"},
    };
    (void)state;
    expect_trees(rows, COUNT(rows));
}

static void decimals_keep_their_scale_and_lose_their_exponent(void **state)
{
    static const struct parsed rows[] = {
        {"1.50", "['dec','1.50']"},    {".5", "['dec','0.5']"},
        {"5.", "['dec','5']"},         {"007.50", "['dec','7.50']"},
        {"0.0", "['dec','0.0']"},      {"1e3", "['dec','1000']"},
        {"1E+3", "['dec','1000']"},    {"1.50e1", "['dec','15.0']"},
        {"1.50e3", "['dec','1500']"},  {"15e-1", "['dec','1.5']"},
        {"15e-4", "['dec','0.0015']"}, {"0e5", "['dec','0']"},
        {"0.05e3", "['dec','50']"},    {".05e1", "['dec','0.5']"},
        {"0e-3", "['dec','0.000']"},   {"1e0", "['dec','1']"},
        {"00.5e0", "['dec','0.5']"},
    };
    (void)state;
    expect_trees(rows, COUNT(rows));
}

static void an_exponent_goes_to_100(void **state)
{
    size_t bytes;
    char *wanted = repeated("['dec','1", "0", 100, "']", &bytes);
    (void)state;
    expect_tree("1e100", wanted, EXPR_VALUE);
    free(wanted);
    wanted = repeated("['dec','0.", "0", 99, "1']", &bytes);
    expect_tree("1e-100", wanted, EXPR_VALUE);
    free(wanted);
    expect_error("a = 1e101", 9, EXPR_VALUE, 1, 5, "from -100 to 100");
    expect_error("1e-101", 6, EXPR_VALUE, 1, 1, "from -100 to 100");
    expect_error("1e99999999999999999999", 22, EXPR_VALUE, 1, 1, "exponent");
}

static void a_number_has_at_most_1000_digits(void **state)
{
    struct expr_error error;
    size_t bytes;
    (void)state;

    char *text = repeated("", "9", 1000, "", &bytes);
    assert_true(accepts(text, bytes, &error));
    free(text);
    text = repeated("", "9", 1001, "", &bytes);
    expect_error(text, bytes, EXPR_VALUE, 1, 1, "at most 1000 digits");
    free(text);
    text = repeated("1.", "9", 999, "", &bytes);
    assert_true(accepts(text, bytes, &error));
    free(text);
    text = repeated("1.", "9", 1000, "", &bytes);
    expect_error(text, bytes, EXPR_VALUE, 1, 1, "at most 1000 digits");
    free(text);
    text = repeated("", "9", 950, "e100", &bytes);
    expect_error(text, bytes, EXPR_VALUE, 1, 1, "at most 1000 digits");
    free(text);
    text = repeated("", "0", 5000, "7", &bytes);
    expect_tree(text, "['int',7]", EXPR_VALUE);
    free(text);
}

static void texts_take_everything_but_double_their_quotes(void **state)
{
    (void)state;
    expect_tree("'paid'", "['text','paid']", EXPR_VALUE);
    expect_tree("''", "['text','']", EXPR_VALUE);
    expect_tree("'a\\b'", "['text','a\\\\b']", EXPR_VALUE);
    expect_tree("'two\nlines'", "['text','two\\nlines']", EXPR_VALUE);
    expect_tree("'-- /* ; \" */'", "['text','-- /* ; \\\" */']", EXPR_VALUE);

    json_t *tree = parse_as("'it''s '''", 10, EXPR_VALUE);
    assert_string_equal(json_string_value(json_array_get(tree, 1)), "it's '");
    json_decref(tree);
}

static void injections_are_literals_or_errors(void **state)
{
    static const char *const text = "name = 'x''; drop table users; --'";
    (void)state;
    json_t *tree = parse_as(text, strlen(text), EXPR_VALUE);
    const json_t *literal = json_array_get(tree, 2);
    assert_string_equal(json_string_value(json_array_get(literal, 1)),
                        "x'; drop table users; --");
    json_decref(tree);

    static const struct refused rows[] = {
        {"1; drop table users", 1, 2, "one expression is all"},
        {"1 or 1=1 --", 1, 10, "no comments"},
        {"x' or '1'='1", 1, 2, "one kind of text"},
        {"1 /* x */ = 1", 1, 3, "no comments"},
        {"a union select b", 1, 3, "not a statement"},
        {"pg_sleep(10)", 1, 1, "no function \"pg_sleep\""},
        {"load_extension('x')", 1, 1, "no function"},
    };
    expect_errors(rows, COUNT(rows));
    expect_tree("\"x\"\" or 1\"", "['col','x\\' or 1']", EXPR_VALUE);
}

static void the_three_constants_go_in_any_case(void **state)
{
    static const struct parsed rows[] = {
        {"true", "['bool',true]"},
        {"False", "['bool',false]"},
        {"NULL", "['null']"},
    };
    (void)state;
    expect_trees(rows, COUNT(rows));
}

static void dates_and_times_are_written_out(void **state)
{
    static const struct parsed rows[] = {
        {"date '2024-02-29'", "['date','2024-02-29']"},
        {"DATE'0001-01-01'", "['date','0001-01-01']"},
        {"date '2000-02-29'", "['date','2000-02-29']"},
        {"timestamp '2024-01-31 10:00:00.5'",
         "['timestamp','2024-01-31 10:00:00.5']"},
        {"timestamp '2024-01-31T23:59:59.120000'",
         "['timestamp','2024-01-31 23:59:59.12']"},
        {"timestamp '2024-01-31 10:00'", "['timestamp','2024-01-31 10:00:00']"},
        {"timestamp '2024-01-31'", "['timestamp','2024-01-31 00:00:00']"},
        {"timestamp without time zone '2024-01-31 10:00:00.000'",
         "['timestamp','2024-01-31 10:00:00']"},
        {"timestamptz '2024-01-31 10:00:00+02'",
         "['timestamptz','2024-01-31 10:00:00+02']"},
        {"TIMESTAMP WITH TIME ZONE '2024-01-31 10:00:00.000001 -03:30'",
         "['timestamptz','2024-01-31 10:00:00.000001-03:30']"},
        {"timestamptz '2024-01-31T10:00:00Z'",
         "['timestamptz','2024-01-31 10:00:00+00']"},
        {"timestamptz '2024-01-31 10:00+0530'",
         "['timestamptz','2024-01-31 10:00:00+05:30']"},
    };
    (void)state;
    expect_trees(rows, COUNT(rows));
}

static void days_that_are_not_in_the_calendar_are_refused(void **state)
{
    static const struct refused rows[] = {
        {"date '2023-02-29'", 1, 6, "a day that this month does not have"},
        {"date '1900-02-29'", 1, 6, "a day that this month does not have"},
        {"date '2024-04-31'", 1, 6, "a day that"},
        {"date '2024-00-01'", 1, 6, "a month that is not 01 to 12"},
        {"date '2024-13-01'", 1, 6, "a month"},
        {"date '2024-01-00'", 1, 6, "a day"},
        {"date '0000-01-01'", 1, 6, "a year that is not 0001"},
        {"date '12024-01-01'", 1, 6, "YYYY-MM-DD"},
        {"date '2024-1-1'", 1, 6, "'2024-1-1' is not written as YYYY-MM-DD"},
        {"date '31.01.2024'", 1, 6, "YYYY-MM-DD"},
        {"date '2024-01-011'", 1, 6, "YYYY-MM-DD"},
        {"date ''", 1, 6, "YYYY-MM-DD"},
        {"date '2024-01-01 10:00'", 1, 6, "it is a TIMESTAMP"},
    };
    (void)state;
    expect_errors(rows, COUNT(rows));
}

static void times_that_no_clock_shows_are_refused(void **state)
{
    static const struct refused rows[] = {
        {"timestamp '2024-01-31 24:00:00'", 1, 11, "an hour"},
        {"timestamp '2024-01-31 10:60:00'", 1, 11, "a minute or second"},
        {"timestamp '2024-01-31 10:00:60'", 1, 11, "a minute or second"},
        {"timestamp '2024-01-31 1:00'", 1, 11, "HH:MM:SS"},
        {"timestamp '2024-01-31 '", 1, 11, "HH:MM:SS"},
        {"timestamp '2024-01-31 10:00:00.1234567'", 1, 11, "than 6 digits"},
        {"timestamp '2024-01-31 10:00:00.'", 1, 11, "without digits"},
        {"timestamp '2024-01-31 10:00:00+02'", 1, 11, "it is a TIMESTAMPTZ"},
        {"timestamptz '2024-01-31 10:00:00'", 1, 13, "lacks its distance"},
        {"timestamptz '2024-01-31 10:00:00+2'", 1, 13, "+HH or +HH:MM"},
        {"timestamptz '2024-01-31 10:00:00+16'", 1, 13, "beyond 15:59"},
        {"timestamptz '2024-01-31 10:00:00+02:60'", 1, 13, "beyond 15:59"},
        {"timestamptz '2024-01-31 10:00:00+02 x'", 1, 13, "goes on after"},
        {"timestamptz '0001-01-01 01:00:00+02'", 1, 13, "in UTC"},
        {"timestamptz '9999-12-31 23:00:00-02'", 1, 13, "in UTC"},
        {"timestamp with zone '2024-01-31'", 1, 1, "WITH TIME ZONE"},
    };
    (void)state;
    expect_errors(rows, COUNT(rows));
    expect_tree("timestamptz '0001-01-01 02:00:00+02'",
                "['timestamptz','0001-01-01 02:00:00+02']", EXPR_VALUE);
}

static void columns_are_bare_quoted_or_qualified(void **state)
{
    static const struct parsed rows[] = {
        {"Total_2", "['col','Total_2']"},
        {"\"with \"\"quotes\"\"\"", "['col','with \\'quotes\\'']"},
        {"\"and\"", "['col','and']"},
        {"orders.id", "['col','id','orders']"},
        {"left.id", "['col','id','left']"},
        {"\"my table\" . \"my id\"", "['col','my id','my table']"},
        {"t.end", "['col','end','t']"},
        {"größe_ñ", "['col','größe_ñ']"},
        {"数量", "['col','数量']"},
        {"left", "['col','left']"},
        {"date", "['col','date']"},
        {"count", "['col','count']"},
        {"a$b", "['col','a$b']"},
        {"\"sysdate\"", "['col','sysdate']"},
        {"t.sysdate", "['col','sysdate','t']"},
    };
    (void)state;
    expect_trees(rows, COUNT(rows));
}

static void white_space_of_any_kind_separates(void **state)
{
    (void)state;
    expect_tree("\xc2\xa0 a\xc2\xa0=\xe2\x80\x83\x31\xe3\x80\x80 \xc2\xa0",
                "['eq',['col','a'],['int',1]]", EXPR_VALUE);
    expect_tree("\xef\xbb\xbf"
                "a\r\n\t\v\f=\xe2\x80\x8b"
                "1;\n",
                "['eq',['col','a'],['int',1]]", EXPR_VALUE);
}

/* ---- operators ------------------------------------------------------- */

static void operators_have_their_nodes(void **state)
{
    static const struct parsed rows[] = {
        {"a+b", "['add',['col','a'],['col','b']]"},
        {"a-b", "['sub',['col','a'],['col','b']]"},
        {"a*b", "['mul',['col','a'],['col','b']]"},
        {"a/b", "['div',['col','a'],['col','b']]"},
        {"a%b", "['mod',['col','a'],['col','b']]"},
        {"a||b", "['concat',['col','a'],['col','b']]"},
        {"a=b", "['eq',['col','a'],['col','b']]"},
        {"a==b", "['eq',['col','a'],['col','b']]"},
        {"a!=b", "['ne',['col','a'],['col','b']]"},
        {"a<>b", "['ne',['col','a'],['col','b']]"},
        {"a<b", "['lt',['col','a'],['col','b']]"},
        {"a<=b", "['le',['col','a'],['col','b']]"},
        {"a>b", "['gt',['col','a'],['col','b']]"},
        {"a>=b", "['ge',['col','a'],['col','b']]"},
        {"a=-1", "['eq',['col','a'],['neg',['int',1]]]"},
        {"not a", "['not',['col','a']]"},
    };
    (void)state;
    expect_trees(rows, COUNT(rows));
}

static void is_has_six_forms(void **state)
{
    static const struct parsed rows[] = {
        {"a is null", "['isnull',['col','a']]"},
        {"a IS NOT NULL", "['not',['isnull',['col','a']]]"},
        {"a is unknown", "['isnull',['col','a']]"},
        {"a is true", "['not',['distinct',['col','a'],['bool',true]]]"},
        {"a is not true", "['distinct',['col','a'],['bool',true]]"},
        {"a is false", "['not',['distinct',['col','a'],['bool',false]]]"},
        {"a is not false", "['distinct',['col','a'],['bool',false]]"},
        {"a is distinct from b", "['distinct',['col','a'],['col','b']]"},
        {"a is not distinct from null",
         "['not',['distinct',['col','a'],['null']]]"},
        {"a is null is true",
         "['not',['distinct',['isnull',['col','a']],['bool',true]]]"},
    };
    (void)state;
    expect_trees(rows, COUNT(rows));
}

static void in_between_and_like_have_a_not(void **state)
{
    static const struct parsed rows[] = {
        {"a in (1)", "['in',['col','a'],['int',1]]"},
        {"a not in (1, b)", "['not',['in',['col','a'],['int',1],['col','b']]]"},
        {"a between 1 and 2", "['between',['col','a'],['int',1],['int',2]]"},
        {"a not between 1 and 2",
         "['not',['between',['col','a'],['int',1],['int',2]]]"},
        {"a like b", "['like',['col','a'],['col','b']]"},
        {"a not like b", "['not',['like',['col','a'],['col','b']]]"},
        {"a ilike b", "['ilike',['col','a'],['col','b']]"},
        {"a not ilike b escape '_'",
         "['not',['ilike',['col','a'],['col','b'],['text','_']]]"},
        {"a like b escape '!'",
         "['like',['col','a'],['col','b'],['text','!']]"},
        {"a like b escape ''", "['like',['col','a'],['col','b'],['text','']]"},
        {"escape like escape escape '\xc3\xa4'",
         "['like',['col','escape'],['col','escape'],['text','\xc3\xa4']]"},
    };
    (void)state;
    expect_trees(rows, COUNT(rows));
    expect_error("a like 'x' escape '!!'", 22, EXPR_VALUE, 1, 19,
                 "an escape is one character");
    expect_error("a like 'x' escape b", 19, EXPR_VALUE, 1, 19,
                 "an escape is one character in quotes");
}

static void precedence_is_that_of_postgresql(void **state)
{
    static const struct parsed rows[] = {
        {"a + b * c", "['add',['col','a'],['mul',['col','b'],['col','c']]]"},
        {"(a + b) * c", "['mul',['add',['col','a'],['col','b']],['col','c']]"},
        {"a - b - c", "['sub',['sub',['col','a'],['col','b']],['col','c']]"},
        {"a - (b - c)", "['sub',['col','a'],['sub',['col','b'],['col','c']]]"},
        {"a / b * c", "['mul',['div',['col','a'],['col','b']],['col','c']]"},
        {"-a * b", "['mul',['neg',['col','a']],['col','b']]"},
        {"- -a", "['neg',['neg',['col','a']]]"},
        {"-a::text", "['neg',['cast',['col','a'],'text']]"},
        {"a || b + c",
         "['concat',['col','a'],['add',['col','b'],['col','c']]]"},
        {"a || b like c",
         "['like',['concat',['col','a'],['col','b']],['col','c']]"},
        {"a like b = c", "['eq',['like',['col','a'],['col','b']],['col','c']]"},
        {"a = b like c", "['eq',['col','a'],['like',['col','b'],['col','c']]]"},
        {"a < b is null", "['isnull',['lt',['col','a'],['col','b']]]"},
        {"a is null = b", "['eq',['isnull',['col','a']],['col','b']]"},
        {"not a is null", "['not',['isnull',['col','a']]]"},
        {"not a = b", "['not',['eq',['col','a'],['col','b']]]"},
        {"not a and b", "['and',['not',['col','a']],['col','b']]"},
        {"not not a", "['not',['not',['col','a']]]"},
        {"a = not b", "['eq',['col','a'],['not',['col','b']]]"},
        {"a or b and c", "['or',['col','a'],['and',['col','b'],['col','c']]]"},
        {"(a or b) and c",
         "['and',['or',['col','a'],['col','b']],['col','c']]"},
        {"a between 1 and 2 and b",
         "['and',['between',['col','a'],['int',1],['int',2]],['col','b']]"},
        {"a between 1 + 1 and 2 = b",
         "['eq',['between',['col','a'],['add',['int',1],['int',1]],['int',2]],"
         "['col','b']]"},
        {"a is distinct from b = c",
         "['distinct',['col','a'],['eq',['col','b'],['col','c']]]"},
        {"a = b in (c)", "['eq',['col','a'],['in',['col','b'],['col','c']]]"},
    };
    (void)state;
    expect_trees(rows, COUNT(rows));
}

static void and_and_or_are_flat(void **state)
{
    static const struct parsed rows[] = {
        {"a and b and c", "['and',['col','a'],['col','b'],['col','c']]"},
        {"a and (b and c)", "['and',['col','a'],['col','b'],['col','c']]"},
        {"(a or b) or (c or d)",
         "['or',['col','a'],['col','b'],['col','c'],['col','d']]"},
        {"a or (b and c)",
         "['or',['col','a'],['and',['col','b'],['col','c']]]"},
    };
    (void)state;
    expect_trees(rows, COUNT(rows));
}

static void a_chain_of_and_is_not_deep(void **state)
{
    struct expr_error error;
    size_t bytes;
    (void)state;
    char *text = repeated("a", " and a", 5000, "", &bytes);
    assert_true(accepts(text, bytes, &error));
    free(text);
}

/* ---- case, cast, functions ------------------------------------------- */

static void both_forms_of_case_are_one(void **state)
{
    static const struct parsed rows[] = {
        {"case when a then 1 when b then 2 else 3 end",
         "['case',[[['col','a'],['int',1]],[['col','b'],['int',2]]],['int',3]"
         "]"},
        {"CASE WHEN a THEN 1 END",
         "['case',[[['col','a'],['int',1]]],['null']]"},
        {"case a + 1 when 1 then 'x' when 2 then 'y' end",
         "['case',[[['eq',['add',['col','a'],['int',1]],['int',1]],['text','x']"
         "],[['eq',['add',['col','a'],['int',1]],['int',2]],['text','y']]],"
         "['null']]"},
        {"iif(a, 1, 2)", "['case',[[['col','a'],['int',1]]],['int',2]]"},
        {"IF(a, 1, iif(b, 2, 3))",
         "['case',[[['col','a'],['int',1]]],['case',[[['col','b'],['int',2]]],"
         "['int',3]]]"},
    };
    (void)state;
    expect_trees(rows, COUNT(rows));
}

static void casts_have_the_canonical_type(void **state)
{
    static const struct parsed rows[] = {
        {"cast(a as integer)", "['cast',['col','a'],'integer']"},
        {"CAST(a + 1 AS bigint)",
         "['cast',['add',['col','a'],['int',1]],'integer']"},
        {"a::float8", "['cast',['col','a'],'double']"},
        {"a::double precision = 1",
         "['eq',['cast',['col','a'],'double'],['int',1]]"},
        {"a::numeric", "['cast',['col','a'],'decimal']"},
        {"a::numeric(10)", "['cast',['col','a'],'decimal',10,0]"},
        {"cast(a as decimal ( 10 , 2 ))",
         "['cast',['col','a'],'decimal',10,2]"},
        {"a::text::date", "['cast',['cast',['col','a'],'text'],'date']"},
        {"a::timestamp with time zone", "['cast',['col','a'],'timestamptz']"},
        {"a::timestamp(6) without time zone",
         "['cast',['col','a'],'timestamp']"},
        {"a::bool and b", "['and',['cast',['col','a'],'boolean'],['col','b']]"},
        {"a::bytea", "['cast',['col','a'],'bytes']"},
    };
    (void)state;
    expect_trees(rows, COUNT(rows));
}

static void a_cast_to_a_length_cuts(void **state)
{
    (void)state;
    expect_tree("a::varchar(3)",
                "['call','left',['cast',['col','a'],'text'],['int',3]]",
                EXPR_VALUE);
    expect_tree("cast(a as character varying(3))",
                "['call','left',['cast',['col','a'],'text'],['int',3]]",
                EXPR_VALUE);
    expect_tree("a::varchar", "['cast',['col','a'],'text']", EXPR_VALUE);
    expect_error("a::timestamp(3)", 15, EXPR_VALUE, 1, 4, "leave out \"(3)\"");
}

static void functions_have_canonical_names(void **state)
{
    static const struct parsed rows[] = {
        {"UPPER(a)", "['call','upper',['col','a']]"},
        {"lcase(a)", "['call','lower',['col','a']]"},
        {"substring(a, 1, 2)",
         "['call','substr',['col','a'],['int',1],['int',2]]"},
        {"instr(a, b)", "['call','strpos',['col','a'],['col','b']]"},
        {"left(a, 1)", "['call','left',['col','a'],['int',1]]"},
        {"nvl(a, b, c)",
         "['call','coalesce',['col','a'],['col','b'],['col','c']]"},
        {"now()", "['call','systimestamp']"},
        {"current_timestamp", "['call','systimestamp']"},
        {"SYSDATE", "['call','systimestamp']"},
        {"systimestamp('MS')", "['call','systimestamp',['text','MS']]"},
        {"uuid()", "['call','generate_uuid']"},
        {"upper (lower(a))", "['call','upper',['call','lower',['col','a']]]"},
        {"mod(a, b)", "['call','mod',['col','a'],['col','b']]"},
    };
    (void)state;
    expect_trees(rows, COUNT(rows));
}

static void every_function_takes_as_many_arguments_as_it_says(void **state)
{
    struct expr_error error;
    char text[1000];
    size_t count;
    const struct expr_function *functions = expr_functions(&count);
    (void)state;
    assert_true(count > 60);
    for (size_t i = 0; i < count; i++) {
        const struct expr_function *f = &functions[i];
        for (int n = 0; n <= f->args_max + 1; n++) {
            int used = snprintf(text, sizeof text, "%s(", f->name);
            for (int j = 0; j < n; j++)
                used += snprintf(text + used, sizeof text - (size_t)used, "%sa",
                                 j > 0 ? "," : "");
            used += snprintf(text + used, sizeof text - (size_t)used, ")");
            json_t *tree = NULL;
            int rc = expr_parse(text, (size_t)used,
                                f->aggregate ? EXPR_AGGREGATE : EXPR_VALUE,
                                &tree, &error);
            bool fits = n >= f->args_min && n <= f->args_max;
            if ((rc == 0) != fits)
                fail_msg("%s: %s", text, rc == 0 ? "accepted" : error.what);
            if (fits)
                assert_string_equal(json_string_value(json_array_get(tree, 1)),
                                    f->name);
            json_decref(tree);
        }
    }
}

static void aggregates_are_nodes_of_their_own(void **state)
{
    (void)state;
    expect_tree("count(*)", "['agg','count',false]", EXPR_AGGREGATE);
    expect_tree("count(a)", "['agg','count',false,['col','a']]",
                EXPR_AGGREGATE);
    expect_tree("COUNT(DISTINCT a)", "['agg','count',true,['col','a']]",
                EXPR_AGGREGATE);
    expect_tree(
        "round(mean(a + 1), 2)",
        "['call','round',['agg','avg',false,['add',['col','a'],['int',1]"
        "]],['int',2]]",
        EXPR_AGGREGATE);
    expect_tree("sum(a) / count(b)",
                "['div',['agg','sum',false,['col','a']],['agg','count',false,"
                "['col','b']]]",
                EXPR_AGGREGATE);
    expect_tree("stddev(a)", "['agg','std',false,['col','a']]", EXPR_AGGREGATE);
    expect_tree("variance(a)", "['agg','var',false,['col','a']]",
                EXPR_AGGREGATE);
}

static void
aggregates_belong_into_aggregate_nodes_and_not_into_each_other(void **state)
{
    (void)state;
    expect_error("a > sum(b)", 10, EXPR_VALUE, 1, 5,
                 "sum() makes one value out of many rows, which only an "
                 "aggregate node can do");
    expect_error("count(*)", 8, EXPR_VALUE, 1, 1, "only an aggregate node");
    expect_error("sum(1 + avg(b))", 15, EXPR_AGGREGATE, 1, 9,
                 "avg() cannot stand inside of another aggregate");
    expect_error("sum(upper(count(*)))", 20, EXPR_AGGREGATE, 1, 11, "inside");
    expect_error("count()", 7, EXPR_AGGREGATE, 1, 1, "count(*)");
    expect_error("sum(*)", 6, EXPR_AGGREGATE, 1, 5, "only in count(*)");
    expect_error("count(distinct *)", 17, EXPR_AGGREGATE, 1, 16, "count(*)");
    expect_error("min(a, b)", 9, EXPR_AGGREGATE, 1, 1, "least(a, b)");
    expect_error("max(a, b)", 9, EXPR_AGGREGATE, 1, 1, "greatest(a, b)");
    expect_error("sum(a) over ()", 14, EXPR_AGGREGATE, 1, 8, "window");
    expect_error("upper(distinct a)", 17, EXPR_AGGREGATE, 1, 7,
                 "only first in an aggregate");
}

/* ---- mistakes -------------------------------------------------------- */

static void a_missing_operand_is_named_with_what_goes_before(void **state)
{
    static const struct refused rows[] = {
        {"a = 1 and", 1, 7,
         "\"and\" is followed by nothing; a condition has to stand there"},
        {"a >", 1, 3, "\">\" is followed by nothing; a value has to"},
        {"a + * b", 1, 5, "\"+\" is followed by \"*\"; a value"},
        {"a and or b", 1, 7, "\"and\" is followed by \"or\"; a condition"},
        {"(a or)", 1, 6, "\"or\" is followed by \")\"; a condition"},
        {"upper(a,)", 1, 9, "\",\" is followed by \")\"; a value"},
        {"a not", 1, 3, "\"a\" is followed by \"not\""},
        {"not", 1, 1, "a condition has to stand there"},
        {"", 1, 1, "the expression is empty"},
        {" \xc2\xa0\n", 1, 1, "the expression is empty"},
        {" ;", 1, 1, "the expression is empty"},
        {"= 5", 1, 1, "cannot begin with \"=\""},
        {"and a", 1, 1, "cannot begin with \"and\""},
        {"end = 1", 1, 1, "a column of this name goes into double quotes"},
        {"a = end", 1, 5, "a column of this name goes into double quotes"},
        {"a = = b", 1, 5, "\"=\" is followed by \"=\""},
        {"a > = b", 1, 5, "without a space"},
        {"a.", 1, 2, "has to stand behind the \".\""},
        {"t.*", 1, 3, "has to stand behind the \".\""},
        {"*", 1, 1, "counts rows in count(*)"},
        {"a is", 1, 3, "behind \"is\" stands"},
        {"a is 5", 1, 6, "values are compared with \"=\""},
        {"a is not distinct b", 1, 19, "behind \"is\" stands"},
        {"a between 1", 1, 3, "\"between\" needs two values"},
        {"a between 1, 2", 1, 12, "\"between\" needs two values"},
        {"a in 1", 1, 3, "a list in parentheses has to stand behind \"in\""},
        {"a in ()", 1, 6, "the list behind \"in\" is empty"},
        {"a in (1,)", 1, 9, "\",\" is followed by \")\""},
    };
    (void)state;
    expect_errors(rows, COUNT(rows));
}

static void a_missing_operator_is_named_with_both_sides(void **state)
{
    static const struct refused rows[] = {
        {"a b", 1, 3, "\"a\" is followed by \"b\"; an operator"},
        {"5 'x'", 1, 3, "\"5\" is followed by 'x'"},
        {"a = 1 b = 2", 1, 7, "\"1\" is followed by \"b\""},
        {"upper a", 1, 7, "in parentheses: upper(...)"},
        {"\"upper\"(a)", 1, 8, "a function's name has none"},
        {"a.b.c", 1, 4, "table.column"},
        {"s.upper(a)", 1, 1, "a function's name has no \".\""},
        {"a not null", 1, 3, "\"is not null\""},
        {"a = 1, b = 2", 1, 6, "conditions are joined with \"and\""},
        {"1,5", 1, 2, "a number has a point (1.5)"},
        {"(a, b) = 1", 1, 3, "a list in parentheses stands only"},
        {"a; b", 1, 2, "one expression is all"},
        {"a;;", 1, 2, "one expression is all"},
        {"where a = 1", 1, 7, "leave out \"where\""},
        {"a order by b", 1, 3, "not a statement"},
        {"a as b", 1, 3, "leave out \"as\""},
        {"a desc", 1, 3, "a sort node"},
        {"a regexp 'x'", 1, 3, "no regular expressions"},
        {"a mod b", 1, 3, "a % b"},
        {"a div b", 1, 3, "\"div\" is written \"/\""},
        {"a at time zone 'UTC'", 1, 3, "\"at time zone\""},
        {"a collate \"C\"", 1, 3, "byte by byte"},
        {"a isnull", 1, 3, "\"is null\""},
        {"if a then b", 1, 4, "iif(condition, a, b)"},
        {"interval '1 day'", 1, 10, "add_to_date("},
        {"N'x'", 1, 2, "only one kind of text"},
        {"trim(both ' ' from a)", 1, 11, "trim(text, characters)"},
        {"substring(a from 1)", 1, 13, "separated by commas"},
    };
    (void)state;
    expect_errors(rows, COUNT(rows));
}

static void unbalanced_parentheses_are_shown_where_they_open(void **state)
{
    static const struct refused rows[] = {
        {"(a", 1, 1, "this \"(\" is never closed"},
        {"a and (b or (c)", 1, 7, "this \"(\" is never closed"},
        {"upper(a", 1, 6, "this \"(\" is never closed"},
        {"upper(", 1, 6, "never closed"},
        {"a in (1, 2", 1, 6, "this \"(\" is never closed"},
        {"cast(a", 1, 5, "this \"(\" is never closed"},
        {"cast(a as text", 1, 5, "this \"(\" is never closed"},
        {"a::decimal(10", 1, 11, "this \"(\" is never closed"},
        {"(a;", 1, 1, "this \"(\" is never closed"},
        {"case when (a then 1 end", 1, 11, "this \"(\" is never closed"},
        {"a)", 1, 2, "this \")\" closes nothing"},
        {"()", 1, 2, "nothing between these parentheses"},
    };
    (void)state;
    expect_errors(rows, COUNT(rows));
}

static void missing_and_foreign_quotes_have_their_sentences(void **state)
{
    static const struct refused rows[] = {
        {"a = 'paid", 1, 5, "this text is never closed"},
        {"\"a = 1", 1, 1, "this name is never closed"},
        {"a = 'it's'", 1, 9, "inside of a text a ' is written ''"},
        {"a = \"\"", 1, 5, "a text without letters is written ''"},
        {"a = \xe2\x80\x98paid\xe2\x80\x99", 1, 5, "straight single ones"},
        {"a = \xe2\x80\x9cpaid\xe2\x80\x9d", 1, 5, "straight double ones"},
        {"a = \xc2\xbbpaid\xc2\xab", 1, 5, "typographic quote"},
        {"`a` = 1", 1, 1, "not into backticks"},
        {"[a] = 1", 1, 1, "not into brackets"},
    };
    (void)state;
    expect_errors(rows, COUNT(rows));
}

static void operators_of_other_languages_have_their_sentences(void **state)
{
    static const struct refused rows[] = {
        {"a => 1", 1, 3, "\"=>\" is written \">=\""},
        {"a =< 1", 1, 3, "\"=<\" is written \"<=\""},
        {"a >< 1", 1, 3, "\"><\" is written \"<>\""},
        {"a =! 1", 1, 3, "\"=!\" is written \"!=\""},
        {"a === 1", 1, 3, "\"===\" is written \"=\""},
        {"a !== 1", 1, 3, "\"!==\" is written \"!=\""},
        {"a := 1", 1, 3, "\":=\" is written \"=\""},
        {"a <=> 1", 1, 3, "is not distinct from"},
        {"a && b", 1, 3, "\"&&\" is written \"and\""},
        {"a & b", 1, 3, "no operators on bits"},
        {"a | b", 1, 3, "no operators on bits"},
        {"a << 1", 1, 3, "no operators on bits"},
        {"!a", 1, 1, "\"!\" is written \"not\""},
        {"a ^ 2", 1, 3, "power(a, b)"},
        {"a ** 2", 1, 3, "power(a, b)"},
        {"a // 2", 1, 3, "one \"/\""},
        {"a ~ 'x'", 1, 3, "no regular expressions"},
        {"a -> 'x'", 1, 3, "no operators on JSON"},
        {"a = ?", 1, 5, "no parameters"},
        {"a = :b", 1, 5, "no parameters"},
        {"a = $1", 1, 5, "no parameters"},
        {"a = @b", 1, 5, "no parameters"},
        {"a = {{b}}", 1, 5, "no parameters"},
        {"a # b", 1, 3, "no parameters"},
        {"a \\ b", 1, 3, "outside of a text"},
        {"a \xe2\x89\xa0 b", 1, 3, "is written \"!=\""},
        {"a \xe2\x89\xa4 b", 1, 3, "is written \"<=\""},
        {"a \xe2\x80\x93 b", 1, 3, "is written \"-\""},
        {"a \xc3\x97 b", 1, 3, "is written \"*\""},
        {"a \xf0\x9f\x98\x80", 1, 3, "means nothing here"},
        {"a = b\xe2\x80\x8e", 1, 6, "invisible character (U+200E)"},
        {"a = \x01", 1, 5, "invisible character (U+0001)"},
        {"a = 1 || b = 2", 1, 12, "conditions are joined with \"or\""},
        {"1 < a < 10", 1, 7, "two comparisons are joined with \"and\""},
        {"a = b = c", 1, 7, "two comparisons are joined with \"and\""},
        {"a like b like c", 1, 10, "parentheses around one of them"},
        {"a between 1 and 2 between 3 and 4", 1, 19, "parentheses"},
        {"a is distinct from b is null", 1, 22, "parentheses"},
    };
    (void)state;
    expect_errors(rows, COUNT(rows));
}

static void what_is_neither_number_nor_name_is_refused(void **state)
{
    static const struct refused rows[] = {
        {"1abc", 1, 1, "\"1abc\" is neither a number nor a name"},
        {"0x1F", 1, 1, "\"0x1F\" is neither"},
        {"1e", 1, 1, "\"1e\" is neither"},
        {"1e+", 1, 1, "\"1e\" is neither"},
        {"1_000", 1, 1, "without \"_\""},
        {"1.2.3", 1, 1, "\"1.2.3\" is not a number"},
        {"1..2", 1, 1, "\"1..2\" is not a number"},
        {"1.a", 1, 1, "\"1.a\" is not a number"},
    };
    (void)state;
    expect_errors(rows, COUNT(rows));
}

static void comments_and_queries_are_refused(void **state)
{
    static const struct refused rows[] = {
        {"a -- b", 1, 3, "no comments"},
        {"5--3", 1, 2, "write a - (-b)"},
        {"a /* b */", 1, 3, "no comments"},
        {"select a", 1, 1, "no queries"},
        {"a in (select b)", 1, 7, "no queries"},
        {"(select 1)", 1, 2, "no queries"},
        {"exists(select 1)", 1, 1, "no queries"},
    };
    (void)state;
    expect_errors(rows, COUNT(rows));
}

static void a_case_says_what_it_lacks(void **state)
{
    static const struct refused rows[] = {
        {"case", 1, 1, "\"case\" is followed by nothing"},
        {"case a", 1, 1, "lacks its \"when\""},
        {"case a then 1 end", 1, 8, "\"then\" stands where \"when\" has to"},
        {"case when a", 1, 6, "lacks its \"then\""},
        {"case when a else 1 end", 1, 13, "where \"then\" has to"},
        {"case when a then 1", 1, 1, "lacks its \"end\""},
        {"(case when a then 1)", 1, 20, "\")\" stands where \"end\" has to"},
        {"case when a then 1 elsif b then 2 end", 1, 20, "with \"when\""},
        {"case when a then end", 1, 18, "\"then\" is followed by \"end\""},
        {"case end", 1, 6, "\"case\" is followed by \"end\""},
    };
    (void)state;
    expect_errors(rows, COUNT(rows));
}

static void unknown_functions_and_types_get_a_suggestion(void **state)
{
    static const struct refused rows[] = {
        {"1 + uper(a)", 1, 5,
         "there is no function \"uper\"; did you mean "
         "\"upper\"?"},
        {"Substing(a, 1)", 1, 1, "did you mean \"substring\"?"},
        {"frobnicate(a)", 1, 1, "no function \"frobnicate\"; EXPRESSIONS.md"},
        {"upper()", 1, 1, "upper() takes 1 argument, not 0"},
        {"Round(a, 1, 2)", 1, 1, "Round() takes 1 or 2 arguments, not 3"},
        {"replace(a)", 1, 1, "replace() takes 3 arguments, not 1"},
        {"uuid(1)", 1, 1, "uuid() takes no arguments, not 1"},
        {"concat()", 1, 1, "concat() takes 1 to 100 arguments, not 0"},
        {"iif(a, b)", 1, 1, "iif() takes 3 arguments, not 2"},
        {"a = aes_encrypt(b, 'k')", 1, 5, "a key does not belong"},
        {"AES_DECRYPT(b, 'k')", 1, 1, "in the database or in a command node"},
        {"to_date(a)", 1, 1, "cast(value as date)"},
        {"date(a)", 1, 1, "is a type, not a function"},
        {"charindex(a, b)", 1, 1, "strpos(text, what)"},
        {"isnull(a, b)", 1, 1, "coalesce(value, otherwise)"},
        {"a::integr", 1, 4, "did you mean \"integer\"?"},
        {"cast(a as uuid)", 1, 11, "\"uuid\" is not a type to cast to"},
        {"cast(a as decimal(5, 9))", 1, 11, "because of its parentheses"},
        {"cast(a as decimal(5, -1))", 1, 11, "because of its parentheses"},
        {"cast(a)", 1, 7, "cast(value as type)"},
        {"cast(a, text)", 1, 7, "cast(value as type)"},
        {"cast(a as)", 1, 10, "a type has to stand behind \"as\""},
        {"cast a", 1, 1, "cast(value as type)"},
        {"a::", 1, 2, "a type has to stand behind \"::\""},
        {"a::'x'", 1, 4, "a type has to stand behind \"::\""},
        {"a::int[]", 1, 7, "no arrays"},
    };
    (void)state;
    expect_errors(rows, COUNT(rows));
}

static void errors_count_lines_and_characters(void **state)
{
    (void)state;
    expect_error("'\xc3\xa4\xc3\xb6\xe6\x95\xb0' !", 11, EXPR_VALUE, 1, 7,
                 "\"not\"");
    expect_error("a and\nb and\r\n  c !", 18, EXPR_VALUE, 3, 5, "\"not\"");
    expect_error("a\r\rand !", 8, EXPR_VALUE, 3, 5, "\"not\"");
    expect_error("\xc2\xa0\xc2\xa0!", 5, EXPR_VALUE, 1, 3, "\"not\"");
}

static void bytes_that_are_not_text_are_refused(void **state)
{
    (void)state;
    expect_error("a = '\xff'", 7, EXPR_VALUE, 1, 6, "(0xFF) that is not UTF-8");
    expect_error("'\xc3\xa4\xc3'", 5, EXPR_VALUE, 1, 3, "not UTF-8");
    expect_error("'\xed\xa0\x80'", 5, EXPR_VALUE, 1, 2, "not UTF-8");
    expect_error("'a\0b'", 5, EXPR_VALUE, 1, 3, "NUL");
    expect_error("a\0", 2, EXPR_VALUE, 1, 2, "NUL");
}

static void messages_are_short_and_clean_whatever_they_quote(void **state)
{
    struct expr_error error;
    size_t bytes;
    (void)state;
    char *text = repeated("a '", "\xf0\x9f\x98\x80\n", 1000, "'", &bytes);
    assert_false(accepts(text, bytes, &error));
    assert_true(strlen(error.what) < EXPR_WHAT_MAX);
    json_t *what = json_string(error.what);
    assert_non_null(what); /* UTF-8 */
    json_decref(what);
    assert_null(strchr(error.what, '\n'));
    free(text);

    text = repeated("", "x", 5000, "(1)", &bytes);
    expect_error(text, bytes, EXPR_VALUE, 1, 1, "there is no function \"xxx");
    free(text);
    text = repeated("a::", "x", 5000, "", &bytes);
    expect_error(text, bytes, EXPR_VALUE, 1, 4, "is not a type");
    free(text);
}

/* ---- limits ---------------------------------------------------------- */

static void depth_of_tree(const char *head, const char *unit, const char *tail,
                          const char *close, size_t units)
{
    struct expr_error error;
    size_t bytes;
    for (size_t extra = 0; extra < 2; extra++) {
        char *opened = repeated(head, unit, units + extra, tail, &bytes);
        char *text = repeated(opened, close, units + extra, "", &bytes);
        bool accepted = accepts(text, bytes, &error);
        if (accepted != (extra == 0))
            fail_msg("%zu times %s: %s", units + extra, unit,
                     accepted ? "accepted" : error.what);
        free(opened);
        free(text);
    }
}

static void trees_are_at_most_200_levels_deep(void **state)
{
    (void)state;
    depth_of_tree("", "not ", "a", "", 199);
    depth_of_tree("", "- ", "a", "", 199);
    depth_of_tree("", "upper(", "a", ")", 199);
    depth_of_tree("a", " + a", "", "", 199);
    depth_of_tree("a", "::text", "", "", 199);
    depth_of_tree("", "a + (", "a", ")", 199);
    depth_of_tree("", "a in (", "a", ")", 199);
    depth_of_tree("", "case when a then ", "a", " end", 199);
    depth_of_tree("", "a is not distinct from (", "a", ")", 99);
    depth_of_tree("", "(", "a", ")", 200);
}

static void nesting_far_beyond_the_limit_is_an_error_and_no_crash(void **state)
{
    static const char *const units[] = {
        "(",
        "not ",
        "-",
        "+",
        "upper(",
        "a in (",
        "cast(",
        "case ",
        "a + ",
        "case when ",
        "a and (",
        "a like ",
        "a is distinct from ",
        "a between ",
        "iif(",
        "a or ",
    };
    struct expr_error error;
    (void)state;
    for (size_t i = 0; i < COUNT(units); i++) {
        size_t bytes;
        char *text = repeated("", units[i], EXPR_BYTES_MAX / strlen(units[i]),
                              "", &bytes);
        assert_false(accepts(text, bytes, &error));
        free(text);
    }
}

static void depth_errors_have_a_place(void **state)
{
    size_t bytes;
    (void)state;
    char *text = repeated("", "(", 201, "", &bytes);
    expect_error(text, bytes, EXPR_VALUE, 1, 201, "more than 200 parentheses");
    free(text);
    text = repeated("", "not ", 201, "a", &bytes);
    expect_error(text, bytes, EXPR_VALUE, 1, 801, "more than 200 levels");
    free(text);
    text = repeated("a", "+a", 200, "", &bytes);
    expect_error(text, bytes, EXPR_VALUE, 1, 400, "more than 200 levels");
    free(text);
}

static void a_text_has_at_most_64_kib(void **state)
{
    struct expr_error error;
    size_t bytes;
    (void)state;
    char *text = repeated("a", " ", EXPR_BYTES_MAX - 1, "", &bytes);
    assert_int_equal(bytes, EXPR_BYTES_MAX);
    assert_true(accepts(text, bytes, &error));
    free(text);
    text = repeated("a", " ", EXPR_BYTES_MAX, "", &bytes);
    expect_error(text, bytes, EXPR_VALUE, 1, 1, "at most 65536");
    free(text);
}

static void a_tree_has_at_most_20000_nodes(void **state)
{
    struct expr_error error;
    size_t bytes;
    (void)state;
    char *text = repeated("a in (1", ",1", 19997, ")", &bytes);
    assert_true(accepts(text, bytes, &error));
    free(text);
    text = repeated("a in (1", ",1", 19998, ")", &bytes);
    expect_error(text, bytes, EXPR_VALUE, 1, 3, "more than 20000 parts");
    free(text);
}

/* What a simple case compares is written out once a branch; nested in one
 * another that would multiply. */
static void a_case_in_a_case_cannot_explode(void **state)
{
    struct expr_error error;
    size_t bytes;
    (void)state;
    char *inner =
        repeated("a", " when 1 then 1 when 2 then 2 end", 20, "", &bytes);
    char *text = repeated("", "case ", 20, inner, &bytes);
    assert_false(accepts(text, bytes, &error));
    assert_non_null(strstr(error.what, "more than 20000 parts"));
    free(inner);
    free(text);
}

static void the_text_need_not_end_with_a_nul(void **state)
{
    static const char *const texts[] = {"a\r", "1.", "1e", "'x'", "\"x\"",
                                        "a:",  "a-", "a;", "12",  "3_"};
    struct expr_error error;
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        size_t bytes = strlen(texts[i]);
        char *exact = malloc(bytes); /* ASan watches its end */
        memcpy(exact, texts[i], bytes);
        accepts(exact, bytes, &error);
        free(exact);
    }
    assert_false(accepts(NULL, 0, &error));
}

static size_t allocations_left;

static void *counted_malloc(size_t size)
{
    if (allocations_left == 0)
        return NULL;
    allocations_left--;
    return malloc(size);
}

static void without_memory_there_is_no_tree_and_no_leak(void **state)
{
    static const char *const text =
        "case a when 1 then iif(b is true, 'x''y', cast(c as decimal(5, 2))) "
        "else d::varchar(3) end not in (1.5, date '2024-01-31') and (\"e\".f "
        "like '%' escape '!' and round(avg(g), 2) between 1 and -count(*)) or "
        "h";
    struct expr_error error;
    json_t *tree = NULL;
    int rc = -ENOMEM;
    size_t tries = 0;
    (void)state;
    json_set_alloc_funcs(counted_malloc, free);
    for (; rc == -ENOMEM && tries < 10000; tries++) {
        allocations_left = tries;
        rc = expr_parse(text, strlen(text), EXPR_AGGREGATE, &tree, &error);
    }
    json_set_alloc_funcs(malloc, free);
    assert_int_equal(rc, 0);
    assert_true(tries > 50);
    json_decref(tree);
}

/* ---- names of types --------------------------------------------------- */

static void expect_type(const char *name, const char *type, int precision,
                        int scale)
{
    int got_precision = 7;
    int got_scale = 7;
    const char *got = expr_type(name, &got_precision, &got_scale);
    if ((got == NULL) != (type == NULL) ||
        (got != NULL && strcmp(got, type) != 0))
        fail_msg("%s is %s, not %s", name, got ? got : "unknown",
                 type ? type : "unknown");
    assert_int_equal(got_precision, precision);
    assert_int_equal(got_scale, scale);
}

static void names_of_types_are_those_of_databases(void **state)
{
    static const char *const rows[][20] = {
        {"integer", "int", "INT4", "int8", "smallint", "BigInt", "tinyint",
         "tinyint(1)", "int(11)", "int unsigned", "bigint(20) unsigned",
         "mediumint", "serial", "bigserial", "year"},
        {"double", "double", "double precision", "FLOAT", "float8", "float4",
         "real", "float(24)", "double(10,2)"},
        {"decimal", "decimal", "numeric", "number", "money", "dec",
         "smallmoney"},
        {"text", "text", "varchar", "varchar(20)", "character varying",
         "character varying(20)", "Character  Varying (20)", "char(1)",
         "bpchar", "nvarchar(max)", "VARCHAR2(20 CHAR)", "string", "clob",
         "longtext", "nchar(3)", "national character varying(3)", "ntext"},
        {"boolean", "boolean", "bool", "bit", "bit(1)"},
        {"date", "date", "DATE", " date\xc2\xa0"},
        {"timestamp", "timestamp", "timestamp(6)", "datetime", "datetime2(7)",
         "timestamp without time zone", "timestamp(3) without time zone",
         "smalldatetime", "TIMESTAMP_NTZ(9)"},
        {"timestamptz", "timestamptz", "timestamp with time zone",
         "timestamp(6) with time zone", "datetimeoffset(7)", "timestamp_tz",
         "TIMESTAMP_LTZ", "timestamp with local time zone"},
        {"bytes", "bytea", "blob", "binary(16)", "varbinary(max)", "longblob",
         "image", "bytes"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        for (size_t j = 1; j < COUNT(rows[i]) && rows[i][j] != NULL; j++)
            expect_type(rows[i][j], rows[i][0], -1, -1);
    }
}

static void decimals_say_precision_and_scale(void **state)
{
    (void)state;
    expect_type("NUMERIC(10,2)", "decimal", 10, 2);
    expect_type("decimal( 10 , 2 )", "decimal", 10, 2);
    expect_type("number(38,0)", "decimal", 38, 0);
    expect_type("number(10)", "decimal", 10, 0);
    expect_type("decimal(1000,1000)", "decimal", 1000, 1000);
    expect_type("decimal(10,2) unsigned", "decimal", 10, 2);
    expect_type("decimal(1001,0)", NULL, -1, -1);
    expect_type("decimal(0,0)", NULL, -1, -1);
    expect_type("decimal(5,6)", NULL, -1, -1);
    expect_type("decimal(5,-1)", NULL, -1, -1);
    expect_type("decimal(99999999999999999999,0)", NULL, -1, -1);
}

#define LONG_TYPE                                                              \
    "char varying varying varying varying varying varying varying varying "    \
    "varying"

static void other_types_are_not_known(void **state)
{
    static const char *const names[] = {
        "uuid",
        "json",
        "jsonb",
        "time",
        "time with time zone",
        "interval",
        "ARRAY",
        "USER-DEFINED",
        "xml",
        "inet",
        "",
        " ",
        "int[]",
        "text[]",
        "_int4",
        "varchar(",
        "varchar()",
        "varchar(0)",
        "varchar(20",
        "varchar(1,2)",
        "varchar(20))",
        "varchar(20)(30)",
        "date(3)",
        "decimal(1,2,3)",
        "bit(8)",
        "bit varying",
        "text unsigned",
        "date integer",
        "enum('a','b')",
        "(10)",
        "timestamp(10)",
        "geometry",
        "int4range",
        LONG_TYPE,
    };
    (void)state;
    for (size_t i = 0; i < COUNT(names); i++)
        expect_type(names[i], NULL, -1, -1);
    expect_type(NULL, NULL, -1, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_beyond_64_bits_are_decimals),
        cmocka_unit_test(decimals_keep_their_scale_and_lose_their_exponent),
        cmocka_unit_test(an_exponent_goes_to_100),
        cmocka_unit_test(a_number_has_at_most_1000_digits),
        cmocka_unit_test(texts_take_everything_but_double_their_quotes),
        cmocka_unit_test(injections_are_literals_or_errors),
        cmocka_unit_test(the_three_constants_go_in_any_case),
        cmocka_unit_test(dates_and_times_are_written_out),
        cmocka_unit_test(days_that_are_not_in_the_calendar_are_refused),
        cmocka_unit_test(times_that_no_clock_shows_are_refused),
        cmocka_unit_test(columns_are_bare_quoted_or_qualified),
        cmocka_unit_test(white_space_of_any_kind_separates),
        cmocka_unit_test(operators_have_their_nodes),
        cmocka_unit_test(is_has_six_forms),
        cmocka_unit_test(in_between_and_like_have_a_not),
        cmocka_unit_test(precedence_is_that_of_postgresql),
        cmocka_unit_test(and_and_or_are_flat),
        cmocka_unit_test(a_chain_of_and_is_not_deep),
        cmocka_unit_test(both_forms_of_case_are_one),
        cmocka_unit_test(casts_have_the_canonical_type),
        cmocka_unit_test(a_cast_to_a_length_cuts),
        cmocka_unit_test(functions_have_canonical_names),
        cmocka_unit_test(every_function_takes_as_many_arguments_as_it_says),
        cmocka_unit_test(aggregates_are_nodes_of_their_own),
        cmocka_unit_test(
            aggregates_belong_into_aggregate_nodes_and_not_into_each_other),
        cmocka_unit_test(a_missing_operand_is_named_with_what_goes_before),
        cmocka_unit_test(a_missing_operator_is_named_with_both_sides),
        cmocka_unit_test(unbalanced_parentheses_are_shown_where_they_open),
        cmocka_unit_test(missing_and_foreign_quotes_have_their_sentences),
        cmocka_unit_test(operators_of_other_languages_have_their_sentences),
        cmocka_unit_test(what_is_neither_number_nor_name_is_refused),
        cmocka_unit_test(comments_and_queries_are_refused),
        cmocka_unit_test(a_case_says_what_it_lacks),
        cmocka_unit_test(unknown_functions_and_types_get_a_suggestion),
        cmocka_unit_test(errors_count_lines_and_characters),
        cmocka_unit_test(bytes_that_are_not_text_are_refused),
        cmocka_unit_test(messages_are_short_and_clean_whatever_they_quote),
        cmocka_unit_test(trees_are_at_most_200_levels_deep),
        cmocka_unit_test(nesting_far_beyond_the_limit_is_an_error_and_no_crash),
        cmocka_unit_test(depth_errors_have_a_place),
        cmocka_unit_test(a_text_has_at_most_64_kib),
        cmocka_unit_test(a_tree_has_at_most_20000_nodes),
        cmocka_unit_test(a_case_in_a_case_cannot_explode),
        cmocka_unit_test(the_text_need_not_end_with_a_nul),
        cmocka_unit_test(without_memory_there_is_no_tree_and_no_leak),
        cmocka_unit_test(names_of_types_are_those_of_databases),
        cmocka_unit_test(decimals_say_precision_and_scale),
        cmocka_unit_test(other_types_are_not_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
