/*
 * Expressions in the agent: what a tree's type is, what it is in the SQL of
 * SQLite and of PostgreSQL, which trees are refused and with which words. What
 * uses SQLite's own operators alone is also run there.
 *
 * Trees stand here with ' for ".
 */
#include "agents/expr.h"
#include "agents/text.h"

#include <errno.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define NOW "2024-05-06 07:08:09.123456+00"

enum { SITE = 7 };

/* ---- columns --------------------------------------------------------- */

static void add(struct schema *schema, const char *name, enum type type,
                const char *native)
{
    struct column *column = schema_add(schema, name, type);

    assert_non_null(column);
    column->native = native ? strdup(native) : NULL;
}

/* One column of each type, as PostgreSQL may have it. */
static int set_up(void **state)
{
    struct schema *schema = calloc(1, sizeof *schema);

    assert_non_null(schema);
    add(schema, "qty", TYPE_INTEGER, "integer");
    schema->columns[0].bits = 32;
    add(schema, "big", TYPE_INTEGER, "bigint");
    add(schema, "price", TYPE_DECIMAL, "numeric(10,2)");
    schema->columns[2].precision = 10;
    schema->columns[2].scale = 2;
    add(schema, "ratio", TYPE_DOUBLE, "double precision");
    add(schema, "level", TYPE_DOUBLE, "real");
    add(schema, "name", TYPE_TEXT, "character varying(20)");
    schema->columns[5].length = 20;
    add(schema, "id", TYPE_TEXT, "uuid");
    add(schema, "paid", TYPE_BOOLEAN, "boolean");
    add(schema, "hired", TYPE_DATE, "date");
    add(schema, "seen", TYPE_TIMESTAMP, "timestamp(3) without time zone");
    add(schema, "at", TYPE_TIMESTAMPTZ, "timestamp with time zone");
    add(schema, "data", TYPE_BYTES, "bytea");
    *state = schema;
    return 0;
}

static int tear_down(void **state)
{
    schema_clear(*state);
    free(*state);
    return 0;
}

/* ---- helpers --------------------------------------------------------- */

static json_t *parse(const char *tree)
{
    char *copy = strdup(tree);
    json_error_t error;

    assert_non_null(copy);
    for (char *mark = copy; (mark = strchr(mark, '\'')); mark++)
        *mark = '"';
    json_t *json = json_loads(copy, JSON_ALLOW_NUL | JSON_DECODE_ANY, &error);
    if (!json)
        fail_msg("%s: %s", tree, error.text);
    free(copy);
    return json;
}

static struct expr *read_over(const struct schema *schema, const char *tree)
{
    const struct expr_side side = {schema, NULL, NULL};
    char why[EXPR_WHY_MAX] = "";
    struct expr *expr = NULL;
    json_t *json = parse(tree);

    if (expr_read(json, &side, 1, true, &expr, why) != 0)
        fail_msg("%s: %s", tree, why);
    json_decref(json);
    return expr;
}

static char *lite(const struct expr *expr)
{
    struct text text = {0};

    expr_print_sqlite(expr, SITE, NOW, &text);
    return text_take(&text);
}

static char *postgres(const struct expr *expr)
{
    struct text text = {0};

    expr_print_postgres(expr, NOW, &text);
    return text_take(&text);
}

static void assert_same(const char *tree, const char *is, const char *expected)
{
    if (strcmp(is, expected) != 0)
        fail_msg("%s\n is       %s\n expected %s", tree, is, expected);
}

/* ---- what is printed ------------------------------------------------- */

struct printed {
    const char *tree;
    enum type type;
    const char *lite;
    const char *postgres; /* NULL: it cannot */
};

static const struct printed operators[] = {
    {"['col','qty']", TYPE_INTEGER, "\"qty\"", "(\"qty\")::bigint"},
    {"['col','QTY']", TYPE_INTEGER, "\"qty\"", "(\"qty\")::bigint"},
    {"['add',['col','qty'],['int',1]]", TYPE_INTEGER,
     "dp_add_int(7, \"qty\", 1)", "((\"qty\")::bigint + 1::bigint)"},
    {"['add',['col','qty'],['dec','1.50']]", TYPE_DECIMAL,
     "dp_add_dec(7, \"qty\", '1.50')",
     "(((\"qty\")::bigint)::numeric + 1.50::numeric)"},
    {"['div',['col','price'],['col','qty']]", TYPE_DECIMAL,
     "dp_div_dec(7, \"price\", \"qty\")",
     "(\"price\" / ((\"qty\")::bigint)::numeric)"},
    {"['mod',['col','ratio'],['int',2]]", TYPE_DOUBLE,
     "dp_mod_dbl(7, \"ratio\", (2.0))", NULL},
    {"['mul',['col','ratio'],['col','price']]", TYPE_DOUBLE,
     "dp_mul_dbl(7, \"ratio\", dp_to_double(7, \"price\", 3))",
     "(\"ratio\" * (\"price\")::double precision)"},
    {"['neg',['int',5]]", TYPE_INTEGER, "(-5)", "(-5)::bigint"},
    {"['neg',['dec','1.50']]", TYPE_DECIMAL, "'-1.50'", "(-1.50)::numeric"},
    {"['neg',['col','qty']]", TYPE_INTEGER, "dp_neg_int(7, \"qty\")",
     "(- (\"qty\")::bigint)"},
    {"['add',['col','hired'],['int',3]]", TYPE_DATE,
     "dp_date_add(7, \"hired\", 3)", "(\"hired\" + (3::bigint)::integer)"},
    {"['add',['int',3],['col','hired']]", TYPE_DATE,
     "dp_date_add(7, \"hired\", 3)", "(\"hired\" + (3::bigint)::integer)"},
    {"['sub',['col','hired'],['int',3]]", TYPE_DATE,
     "dp_date_sub(7, \"hired\", 3)", "(\"hired\" - (3::bigint)::integer)"},
    {"['sub',['col','hired'],['date','2024-01-01']]", TYPE_INTEGER,
     "dp_days(7, \"hired\", '2024-01-01')",
     "(\"hired\" - DATE '2024-01-01')::bigint"},
    {"['sub',['col','hired'],['text','2024-01-01']]", TYPE_INTEGER,
     "dp_days(7, \"hired\", '2024-01-01')",
     "(\"hired\" - DATE '2024-01-01')::bigint"},
    {"['sub',['col','hired'],['text','5']]", TYPE_DATE,
     "dp_date_sub(7, \"hired\", 5)", "(\"hired\" - (5::bigint)::integer)"},
    {"['concat',['col','name'],['text','x']]", TYPE_TEXT, "(\"name\" || 'x')",
     "(\"name\" || 'x'::text)"},
    {"['concat',['col','name'],['col','qty']]", TYPE_TEXT,
     "(\"name\" || dp_to_text(7, \"qty\", 2, 0))",
     "(\"name\" || ((\"qty\")::bigint)::text)"},
    {"['concat',['col','data'],['col','data']]", TYPE_BYTES,
     "(CAST(\"data\" || \"data\" AS BLOB))", "(\"data\" || \"data\")"},
    {"['eq',['col','name'],['text','a']]", TYPE_BOOLEAN, "(\"name\" = 'a')",
     "(\"name\" = 'a'::text)"},
    {"['lt',['col','name'],['text','a']]", TYPE_BOOLEAN, "(\"name\" < 'a')",
     "(\"name\" COLLATE \"C\" < 'a'::text)"},
    {"['eq',['col','name'],['col','id']]", TYPE_BOOLEAN, "(\"name\" = \"id\")",
     "(\"name\" COLLATE \"C\" = (\"id\")::text)"},
    {"['eq',['col','id'],['text','abc']]", TYPE_BOOLEAN, "(\"id\" = 'abc')",
     "((\"id\")::text = 'abc'::text)"},
    {"['ge',['col','hired'],['text','2024-01-01']]", TYPE_BOOLEAN,
     "(\"hired\" >= '2024-01-01')", "(\"hired\" >= DATE '2024-01-01')"},
    {"['gt',['col','qty'],['int',2]]", TYPE_BOOLEAN, "(\"qty\" > 2)",
     "(\"qty\" > 2::bigint)"},
    {"['gt',['col','qty'],['dec','2.5']]", TYPE_BOOLEAN,
     "(dp_to_decimal(7, \"qty\", 2, -1, -1) COLLATE \"decimal\" > '2.5')",
     "(((\"qty\")::bigint)::numeric > 2.5::numeric)"},
    {"['gt',['col','price'],['int',2]]", TYPE_BOOLEAN,
     "(\"price\" COLLATE \"decimal\" > '2')", "(\"price\" > 2::numeric)"},
    {"['gt',['col','ratio'],['dec','2.5']]", TYPE_BOOLEAN,
     "(\"ratio\" > (2.5))", "(\"ratio\" > '2.5'::double precision)"},
    {"['gt',['col','ratio'],['col','price']]", TYPE_BOOLEAN,
     "(\"ratio\" > dp_to_double(7, \"price\", 3))",
     "(\"ratio\" > (\"price\")::double precision)"},
    {"['eq',['col','level'],['dec','0.1']]", TYPE_BOOLEAN,
     "(\"level\" = (0.10000000000000001))",
     "(((\"level\")::text)::double precision = '0.1'::double precision)"},
    {"['eq',['col','paid'],['bool',true]]", TYPE_BOOLEAN, "(\"paid\" = 1)",
     "(\"paid\" = TRUE)"},
    {"['eq',['col','paid'],['text','yes']]", TYPE_BOOLEAN, "(\"paid\" = 1)",
     "(\"paid\" = TRUE)"},
    {"['eq',['col','seen'],['col','at']]", TYPE_BOOLEAN,
     "(dp_to_timestamptz(7, \"seen\", 7) = \"at\")",
     "((\"seen\")::timestamptz = \"at\")"},
    {"['eq',['col','hired'],['col','seen']]", TYPE_BOOLEAN,
     "(dp_to_timestamp(7, \"hired\", 6) = \"seen\")",
     "((\"hired\")::timestamp = \"seen\")"},
    {"['lt',['col','hired'],['timestamp','2024-01-31 10:00:00.50']]",
     TYPE_BOOLEAN,
     "(dp_to_timestamp(7, \"hired\", 6) < '2024-01-31 10:00:00.5')",
     "((\"hired\")::timestamp < TIMESTAMP '2024-01-31 10:00:00.5')"},
    {"['distinct',['col','price'],['null']]", TYPE_BOOLEAN,
     "(\"price\" COLLATE \"decimal\" IS NOT NULL)",
     "(\"price\" IS DISTINCT FROM NULL::numeric)"},
    {"['and',['col','paid'],['not',['col','paid']],['gt',['col','qty'],['int',"
     "0]]]",
     TYPE_BOOLEAN, "(\"paid\" AND (NOT \"paid\") AND (\"qty\" > 0))",
     "(\"paid\" AND (NOT \"paid\") AND (\"qty\" > 0::bigint))"},
    {"['isnull',['col','name']]", TYPE_BOOLEAN, "(\"name\" IS NULL)",
     "(\"name\" IS NULL)"},
    {"['in',['col','price'],['int',1],['dec','2.50']]", TYPE_BOOLEAN,
     "(\"price\" COLLATE \"decimal\" IN ('1', '2.50'))",
     "(\"price\" IN (1::numeric, 2.50::numeric))"},
    {"['in',['col','qty'],['int',1],['text','2']]", TYPE_BOOLEAN,
     "(\"qty\" IN (1, 2))", "(\"qty\" IN (1::bigint, 2::bigint))"},
    {"['in',['col','name'],['text','a'],['null']]", TYPE_BOOLEAN,
     "(\"name\" IN ('a', NULL))", "(\"name\" IN ('a'::text, NULL::text))"},
    {"['between',['col','price'],['int',1],['int',5]]", TYPE_BOOLEAN,
     "(\"price\" COLLATE \"decimal\" BETWEEN '1' AND '5')",
     "(\"price\" BETWEEN 1::numeric AND 5::numeric)"},
    {"['between',['col','name'],['text','a'],['text','b']]", TYPE_BOOLEAN,
     "(\"name\" BETWEEN 'a' AND 'b')",
     "(\"name\" COLLATE \"C\" BETWEEN 'a'::text AND 'b'::text)"},
    {"['like',['col','name'],['text','a%']]", TYPE_BOOLEAN,
     "dp_like(7, \"name\", 'a%', '\\')", "(\"name\" LIKE 'a%'::text)"},
    {"['ilike',['col','name'],['text','a\\\\%'],['text','!']]", TYPE_BOOLEAN,
     "dp_ilike(7, \"name\", 'a\\%', '!')",
     "(\"name\" COLLATE \"default\" ILIKE E'a\\\\%'::text COLLATE \"default\" "
     "ESCAPE '!')"},
    {"['case',[[['gt',['col','qty'],['int',1]],['text','many']]],['null']]",
     TYPE_TEXT, "(CASE WHEN (\"qty\" > 1) THEN 'many' ELSE NULL END)",
     "(CASE WHEN (\"qty\" > 1::bigint) THEN 'many'::text ELSE NULL::text END)"},
    {"['case',[[['gt',['col','qty'],['int',1]],['int',1]],[['col','paid'],['"
     "dec','1.5']]],['col','qty']]",
     TYPE_DECIMAL,
     "(CASE WHEN (\"qty\" > 1) THEN '1' WHEN \"paid\" THEN '1.5' ELSE "
     "dp_to_decimal(7, \"qty\", 2, -1, -1) END)",
     "(CASE WHEN (\"qty\" > 1::bigint) THEN 1::numeric WHEN \"paid\" THEN "
     "1.5::numeric ELSE ((\"qty\")::bigint)::numeric END)"},
    {"['text','it\\u0027s \\\\ x']", TYPE_TEXT, "'it''s \\ x'",
     "E'it''s \\\\ x'::text"},
    {"['int',-9223372036854775808]", TYPE_INTEGER, "(-9223372036854775808)",
     "(-9223372036854775808)::bigint"},
    {"['eq',['col','data'],['text','\\\\x00ff']]", TYPE_BOOLEAN,
     "(\"data\" = X'00ff')", "(\"data\" = decode('00ff', 'hex'))"},
    {"['null']", TYPE_NULL, "NULL", "NULL"},
    {"['eq',['null'],['null']]", TYPE_BOOLEAN, "(NULL = NULL)",
     "(NULL = NULL)"},
    {"['like',['col','name'],['col','id']]", TYPE_BOOLEAN,
     "dp_like(7, \"name\", \"id\", '\\')",
     "(\"name\" COLLATE \"C\" LIKE (\"id\")::text)"},
    {"['in',['int',5],['col','qty'],['col','big']]", TYPE_BOOLEAN,
     "(5 IN (\"qty\", \"big\"))",
     "(5::bigint IN ((\"qty\")::bigint, \"big\"))"},
};

static const struct printed casts[] = {
    {"['cast',['col','name'],'integer']", TYPE_INTEGER,
     "dp_to_integer(7, \"name\", 1, 0)",
     "regexp_replace(\"name\" COLLATE \"C\", E'^(?!\\\\s*[-+]?[0-9]+\\\\s*$)', "
     "'refused: ')::bigint"},
    {"['cast',['col','name'],'decimal',10,2]", TYPE_DECIMAL,
     "dp_to_decimal(7, \"name\", 1, 10, 2)",
     "regexp_replace(\"name\" COLLATE \"C\", "
     "E'^(?!\\\\s*[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]+)?\\\\s*$)',"
     " 'refused: ')::numeric(10,2)"},
    {"['cast',['col','name'],'date']", TYPE_DATE, "dp_to_date(7, \"name\", 1)",
     "regexp_replace(\"name\" COLLATE \"C\", "
     "E'^(?!\\\\s*[0-9]{4}([-/][0-9]{1,2}[-/"
     "][0-9]{1,2}|[0-9]{4})([T\\\\s][-+:.0-9\\\\sZUTC]*)?$)', 'refused: "
     "')::date"},
    {"['cast',['col','price'],'decimal',10,2]", TYPE_DECIMAL, "\"price\"",
     "\"price\""},
    {"['cast',['col','price'],'integer']", TYPE_INTEGER,
     "dp_to_integer(7, \"price\", 3, 0)", "(\"price\")::bigint"},
    {"['cast',['col','paid'],'integer']", TYPE_INTEGER,
     "dp_to_integer(7, \"paid\", 5, 0)", "(\"paid\")::integer::bigint"},
    {"['cast',['col','qty'],'boolean']", TYPE_BOOLEAN,
     "dp_to_boolean(7, \"qty\", 2)", "(((\"qty\")::bigint) <> 0)"},
    {"['cast',['text','2024-01-01'],'date']", TYPE_DATE, "'2024-01-01'",
     "DATE '2024-01-01'"},
    {"['cast',['col','data'],'text']", TYPE_TEXT,
     "dp_to_text(7, \"data\", 9, 0)", "(\"data\")::text"},
    {"['cast',['col','price'],'text']", TYPE_TEXT,
     "dp_to_text(7, \"price\", 3, 0)", "(\"price\")::text"},
    {"['cast',['col','ratio'],'decimal']", TYPE_DECIMAL,
     "dp_to_decimal(7, \"ratio\", 4, -1, -1)", "(\"ratio\")::numeric"},
    {"['cast',['text','  12 '],'integer']", TYPE_INTEGER, "12", "12::bigint"},
};

static const struct printed calls[] = {
    {"['call','upper',['col','name']]", TYPE_TEXT, "dp_upper(7, \"name\")",
     "(upper(\"name\" COLLATE \"default\") COLLATE \"C\")"},
    {"['call','upper',['text','a']]", TYPE_TEXT, "dp_upper(7, 'a')",
     "(upper('a'::text COLLATE \"default\") COLLATE \"C\")"},
    {"['call','substr',['col','name'],['int',1],['int',2]]", TYPE_TEXT,
     "dp_substr(7, \"name\", 1, 2)",
     "substr(\"name\", (1::bigint)::integer, (2::bigint)::integer)"},
    {"['call','round',['col','qty']]", TYPE_INTEGER, "\"qty\"",
     "(\"qty\")::bigint"},
    {"['call','round',['col','price']]", TYPE_DECIMAL,
     "dp_round_dec(7, \"price\", 0)", "round(\"price\")"},
    {"['call','round',['col','ratio']]", TYPE_DOUBLE,
     "dp_round_dbl(7, \"ratio\")", "round(\"ratio\")"},
    {"['call','round',['col','ratio'],['int',2]]", TYPE_DECIMAL,
     "dp_round_dec(7, dp_to_decimal(7, \"ratio\", 4, -1, -1), 2)",
     "round((\"ratio\")::numeric, (2::bigint)::integer)"},
    {"['call','round',['col','qty'],['neg',['int',2]]]", TYPE_DECIMAL,
     "dp_round_dec(7, \"qty\", (-2))",
     "round(((\"qty\")::bigint)::numeric, ((-2)::bigint)::integer)"},
    {"['call','concat',['col','name'],['col','qty'],['null'],['text','z']]",
     TYPE_TEXT,
     "dp_concat(7, \"name\", dp_to_text(7, \"qty\", 2, 0), NULL, 'z')",
     "concat(\"name\", ((\"qty\")::bigint)::text, NULL::text, 'z'::text)"},
    {"['call','md5',['col','name']]", TYPE_TEXT, "dp_md5(7, \"name\")",
     "md5(convert_to(\"name\", 'UTF8'))"},
    {"['call','md5',['col','data']]", TYPE_TEXT, "dp_md5(7, \"data\")",
     "md5(\"data\")"},
    {"['call','crc32',['col','name']]", TYPE_INTEGER, "dp_crc32(7, \"name\")",
     NULL},
    {"['call','decompress',['call','dec_base64',['col','name']]]", TYPE_TEXT,
     "dp_decompress(7, dp_dec_base64_bytes(7, \"name\"))", NULL},
    {"['call','dec_base64',['col','name']]", TYPE_TEXT,
     "dp_dec_base64(7, \"name\")",
     "convert_from(decode(\"name\", 'base64'), 'UTF8')"},
    {"['call','generate_uuid']", TYPE_TEXT, "dp_generate_uuid(7)",
     "gen_random_uuid()::text"},
    {"['call','get_date_part',['col','hired'],['text','yyyy']]", TYPE_INTEGER,
     "dp_get_date_part(7, dp_to_timestamp(7, \"hired\", 6), 'year')",
     "extract(year from (\"hired\")::timestamp)::bigint"},
    {"['call','get_date_part',['col','at'],['text','MS']]", TYPE_INTEGER,
     "dp_get_date_part(7, \"at\", 'millisecond')",
     "(floor(extract(milliseconds from \"at\"))::bigint % 1000)"},
    {"['call','add_to_date',['col','hired'],['text','MON'],['int',1]]",
     TYPE_DATE, "dp_add_to_date(7, \"hired\", 'month', 1)",
     "(\"hired\" + (1::bigint)::double precision * interval '1 month')::date"},
    {"['call','add_to_date',['col','hired'],['text','HH'],['int',1]]",
     TYPE_TIMESTAMP,
     "dp_add_to_date(7, dp_to_timestamp(7, \"hired\", 6), 'hour', 1)",
     "((\"hired\")::timestamp + (1::bigint)::double precision * interval '1 "
     "hour')"},
    {"['call','date_diff',['col','seen'],['col','hired'],['text','DD']]",
     TYPE_INTEGER,
     "dp_date_diff(7, \"seen\", dp_to_timestamp(7, \"hired\", 6), 'day')",
     "div(extract(epoch from (\"seen\" - (\"hired\")::timestamp)), "
     "86400)::bigint"},
    {"['call','date_diff',['col','seen'],['col','hired'],['text','MM']]",
     TYPE_INTEGER,
     "dp_date_diff(7, \"seen\", dp_to_timestamp(7, \"hired\", 6), 'month')",
     NULL},
    {"['call','last_day',['col','at']]", TYPE_DATE,
     "dp_last_day(7, dp_to_date(7, \"at\", 8))",
     "(date_trunc('month', ((\"at\")::date)::timestamp) + interval '1 month' - "
     "interval '1 day')::date"},
    {"['call','systimestamp']", TYPE_TIMESTAMPTZ,
     "'2024-05-06 07:08:09.123456+00'",
     "TIMESTAMPTZ '2024-05-06 07:08:09.123456+00'"},
    {"['call','systimestamp',['int',2]]", TYPE_TIMESTAMPTZ,
     "'2024-05-06 07:08:09.12+00'", "TIMESTAMPTZ '2024-05-06 07:08:09.12+00'"},
    {"['call','systimestamp',['text','SS']]", TYPE_TIMESTAMPTZ,
     "'2024-05-06 07:08:09+00'", "TIMESTAMPTZ '2024-05-06 07:08:09+00'"},
    {"['call','coalesce',['col','price'],['int',0]]", TYPE_DECIMAL,
     "coalesce(\"price\", '0')", "coalesce(\"price\", 0::numeric)"},
    {"['call','coalesce',['col','name']]", TYPE_TEXT, "\"name\"",
     "coalesce(\"name\")"},
    {"['call','nullif',['col','name'],['text','']]", TYPE_TEXT,
     "nullif(\"name\", '')",
     "nullif(\"name\" COLLATE \"C\", ''::text COLLATE \"C\")"},
    {"['call','nullif',['col','price'],['int',0]]", TYPE_DECIMAL,
     "nullif(\"price\" COLLATE \"decimal\", '0')",
     "nullif(\"price\", 0::numeric)"},
    {"['call','greatest',['col','price'],['int',0]]", TYPE_DECIMAL,
     "dp_greatest_dec(7, \"price\", '0')", "greatest(\"price\", 0::numeric)"},
    {"['call','greatest',['col','name'],['text','b']]", TYPE_TEXT,
     "dp_greatest(7, \"name\", 'b')",
     "greatest(\"name\" COLLATE \"C\", 'b'::text COLLATE \"C\")"},
    {"['call','length',['col','name']]", TYPE_INTEGER, "length(\"name\")",
     "length(\"name\")::bigint"},
    {"['call','sqrt',['col','qty']]", TYPE_DOUBLE,
     "dp_sqrt(7, dp_to_double(7, \"qty\", 2))",
     "sqrt(((\"qty\")::bigint)::double precision)"},
    {"['call','log',['int',2],['col','price']]", TYPE_DOUBLE,
     "dp_log(7, (2.0), dp_to_double(7, \"price\", 3))",
     "(ln((\"price\")::double precision) / ln('2'::double precision))"},
    {"['call','sha256',['text','x']]", TYPE_TEXT, "dp_sha256(7, 'x')",
     "encode(sha256(convert_to('x'::text, 'UTF8')), 'hex')"},
    {"['call','trunc',['col','price'],['int',1]]", TYPE_DECIMAL,
     "dp_trunc_dec(7, \"price\", 1)", "trunc(\"price\", (1::bigint)::integer)"},
    {"['call','sign',['col','qty']]", TYPE_INTEGER, "dp_sign_int(7, \"qty\")",
     "sign(((\"qty\")::bigint)::numeric)::bigint"},
    {"['call','ceil',['col','price']]", TYPE_DECIMAL,
     "dp_ceil_dec(7, \"price\")", "ceil(\"price\")"},
    {"['call','mod',['col','qty'],['int',2]]", TYPE_INTEGER,
     "dp_mod_int(7, \"qty\", 2)", "mod((\"qty\")::bigint, 2::bigint)"},
    {"['call','power',['col','qty'],['int',2]]", TYPE_DOUBLE,
     "dp_power(7, dp_to_double(7, \"qty\", 2), (2.0))",
     "power(((\"qty\")::bigint)::double precision, '2'::double precision)"},
    {"['call','lpad',['col','name'],['int',5],['text','*']]", TYPE_TEXT,
     "dp_lpad(7, \"name\", 5, '*')",
     "lpad(\"name\", (5::bigint)::integer, '*'::text)"},
    {"['call','left',['col','name'],['int',2]]", TYPE_TEXT,
     "dp_left(7, \"name\", 2)", "\"left\"(\"name\", (2::bigint)::integer)"},
    {"['call','right',['col','name'],['int',2]]", TYPE_TEXT,
     "dp_right(7, \"name\", 2)", "\"right\"(\"name\", (2::bigint)::integer)"},
    {"['call','strpos',['col','name'],['text','b']]", TYPE_INTEGER,
     "instr(\"name\", 'b')",
     "strpos(\"name\" COLLATE \"C\", 'b'::text)::bigint"},
    {"['call','replace',['col','name'],['text','b'],['text','']]", TYPE_TEXT,
     "replace(\"name\", 'b', '')",
     "replace(\"name\" COLLATE \"C\", 'b'::text, ''::text)"},
    {"['call','split_part',['col','name'],['text','b'],['int',1]]", TYPE_TEXT,
     "dp_split_part(7, \"name\", 'b', 1)",
     "split_part(\"name\" COLLATE \"C\", 'b'::text, (1::bigint)::integer)"},
    {"['call','enc_base64',['col','name']]", TYPE_TEXT,
     "dp_enc_base64(7, \"name\")",
     "replace(encode(convert_to(\"name\", 'UTF8'), 'base64'), E'\\n', '')"},
    {"['call','enc_base64',['col','data']]", TYPE_TEXT,
     "dp_enc_base64(7, \"data\")",
     "replace(encode(\"data\", 'base64'), E'\\n', '')"},
    {"['call','get_date_part',['col','seen'],['text','SS']]", TYPE_INTEGER,
     "dp_get_date_part(7, \"seen\", 'second')",
     "floor(extract(second from \"seen\"))::bigint"},
    {"['call','get_date_part',['col','seen'],['text','US']]", TYPE_INTEGER,
     "dp_get_date_part(7, \"seen\", 'microsecond')",
     "(extract(microseconds from \"seen\")::bigint % 1000000)"},
    {"['call','add_to_date',['col','at'],['text','MS'],['int',5]]",
     TYPE_TIMESTAMPTZ, "dp_add_to_date(7, \"at\", 'millisecond', 5)",
     "(\"at\" + (5::bigint)::double precision * interval '1 millisecond')"},
    {"['call','date_diff',['col','at'],['col','seen'],['text','US']]",
     TYPE_INTEGER,
     "dp_date_diff(7, \"at\", dp_to_timestamptz(7, \"seen\", 7), "
     "'microsecond')",
     "trunc(extract(epoch from (\"at\" - (\"seen\")::timestamptz)) * "
     "1000000)::bigint"},
    {"['call','date_diff',['col','at'],['col','seen'],['text','MI']]",
     TYPE_INTEGER,
     "dp_date_diff(7, \"at\", dp_to_timestamptz(7, \"seen\", 7), 'minute')",
     "div(extract(epoch from (\"at\" - (\"seen\")::timestamptz)), 60)::bigint"},
    {"['call','least',['col','qty'],['col','price'],['col','ratio']]",
     TYPE_DOUBLE,
     "dp_least(7, dp_to_double(7, \"qty\", 2), dp_to_double(7, \"price\", 3), "
     "\"ratio\")",
     "least(((\"qty\")::bigint)::double precision, (\"price\")::double "
     "precision, \"ratio\")"},
    {"['call','initcap',['col','name']]", TYPE_TEXT, "dp_initcap(7, \"name\")",
     "(initcap(\"name\" COLLATE \"default\") COLLATE \"C\")"},
    {"['call','trim',['col','name'],['text','a']]", TYPE_TEXT,
     "dp_trim(7, \"name\", 'a')", "btrim(\"name\", 'a'::text)"},
    {"['call','chr',['int',65]]", TYPE_TEXT, "dp_chr(7, 65)",
     "chr((65::bigint)::integer)"},
    {"['call','sha512',['col','data']]", TYPE_TEXT, "dp_sha512(7, \"data\")",
     "encode(sha512(\"data\"), 'hex')"},
};

static const struct printed aggregates[] = {
    {"['agg','count',false]", TYPE_INTEGER, "count(*)", "count(*)"},
    {"['agg','count',true,['col','price']]", TYPE_INTEGER,
     "count(DISTINCT \"price\" COLLATE \"decimal\")",
     "count(DISTINCT \"price\")"},
    {"['agg','sum',false,['col','qty']]", TYPE_INTEGER,
     "dp_sum_int(7, \"qty\")", "sum((\"qty\")::bigint)::bigint"},
    {"['agg','sum',true,['col','price']]", TYPE_DECIMAL,
     "dp_sum_dec(DISTINCT \"price\" COLLATE \"decimal\")",
     "sum(DISTINCT \"price\")"},
    {"['agg','avg',false,['col','qty']]", TYPE_DECIMAL,
     "dp_avg_dec(7, \"qty\")", "avg(((\"qty\")::bigint)::numeric)"},
    {"['agg','avg',false,['col','ratio']]", TYPE_DOUBLE,
     "dp_avg_dbl(7, \"ratio\")", "avg(\"ratio\")"},
    {"['agg','min',false,['col','price']]", TYPE_DECIMAL,
     "dp_min_dec(7, \"price\")", "min(\"price\")"},
    {"['agg','min',false,['col','name']]", TYPE_TEXT, "min(\"name\")",
     "min(\"name\" COLLATE \"C\")"},
    {"['agg','max',false,['col','paid']]", TYPE_BOOLEAN, "max(\"paid\")",
     "bool_or(\"paid\")"},
    {"['agg','max',false,['col','data']]", TYPE_BYTES, "max(\"data\")", NULL},
    {"['agg','first',false,['col','qty']]", TYPE_INTEGER,
     "dp_first(7, \"qty\")", "(array_agg((\"qty\")::bigint))[1]"},
    {"['agg','last',false,['col','name']]", TYPE_TEXT, "dp_last(7, \"name\")",
     "(array_agg(\"name\"))[count(*)]"},
    {"['agg','std',false,['col','price']]", TYPE_DOUBLE,
     "dp_std(7, dp_to_double(7, \"price\", 3))",
     "stddev_samp((\"price\")::double precision)"},
    {"['agg','count',true,['col','name']]", TYPE_INTEGER,
     "count(DISTINCT \"name\")", "count(DISTINCT \"name\" COLLATE \"C\")"},
    {"['agg','var',true,['col','ratio']]", TYPE_DOUBLE,
     "dp_var(DISTINCT \"ratio\")", "var_samp(DISTINCT \"ratio\")"},
    {"['agg','sum',true,['col','qty']]", TYPE_INTEGER,
     "dp_sum_int(DISTINCT \"qty\")", "sum(DISTINCT (\"qty\")::bigint)::bigint"},
    {"['agg','first',true,['col','data']]", TYPE_BYTES, "dp_first(7, \"data\")",
     "(array_agg(\"data\"))[1]"},
    {"['add',['agg','sum',false,['col','price']],['agg','count',false]]",
     TYPE_DECIMAL, "dp_add_dec(7, dp_sum_dec(7, \"price\"), count(*))",
     "(sum(\"price\") + (count(*))::numeric)"},
};

static void assert_printed(const struct schema *schema,
                           const struct printed *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct expr *expr = read_over(schema, cases[i].tree);
        char *sql = lite(expr);

        assert_same(cases[i].tree, type_name(expr_type_of(expr)),
                    type_name(cases[i].type));
        assert_same(cases[i].tree, sql, cases[i].lite);
        free(sql);
        if (expr_postgres_can(expr) != (cases[i].postgres != NULL))
            fail_msg("%s: can PostgreSQL?", cases[i].tree);
        sql = postgres(expr);
        if (cases[i].postgres)
            assert_same(cases[i].tree, sql, cases[i].postgres);
        free(sql);
        expr_free(&expr);
        assert_null(expr);
    }
}

static void operators_are_typed_and_printed(void **state)
{
    assert_printed(*state, operators, COUNT(operators));
}

static void casts_are_typed_and_printed(void **state)
{
    assert_printed(*state, casts, COUNT(casts));
}

static void calls_are_typed_and_printed(void **state)
{
    assert_printed(*state, calls, COUNT(calls));
}

static void aggregates_are_typed_and_printed(void **state)
{
    assert_printed(*state, aggregates, COUNT(aggregates));
}

static void texts_of_other_native_types_are_cast_for_postgres(void **state)
{
    static const struct {
        enum type type;
        const char *native, *sql;
    } cases[] = {
        {TYPE_TEXT, NULL, "\"c\""},
        {TYPE_TEXT, "text", "\"c\""},
        {TYPE_TEXT, "character varying", "\"c\""},
        {TYPE_TEXT, "character(3)", "(\"c\")::text"},
        {TYPE_TEXT, "jsonb", "(\"c\")::text"},
        {TYPE_TEXT, "integer[]", "(\"c\")::text"},
        {TYPE_TEXT, "inet", "textin(inet_out(\"c\"))"},
        {TYPE_INTEGER, "oid", "(\"c\")::bigint"},
        {TYPE_INTEGER, NULL, "\"c\""},
        {TYPE_DOUBLE, "real", "((\"c\")::text)::double precision"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct schema schema = {0};
        add(&schema, "c", cases[i].type, cases[i].native);
        struct expr *expr = read_over(&schema, "['col','c']");
        char *sql = postgres(expr);
        assert_string_equal(sql, cases[i].sql);
        free(sql);
        expr_free(&expr);
        schema_clear(&schema);
    }
}

static void names_and_texts_are_quoted(void **state)
{
    struct schema schema = {0};

    (void)state;
    add(&schema, "a\"; --", TYPE_TEXT, NULL);
    struct expr *expr = read_over(
        &schema, "['eq',['col','a\\u0022; --'],['text','it\\u0027s']]");
    char *sql = lite(expr);
    assert_string_equal(sql, "(\"a\"\"; --\" = 'it''s')");
    free(sql);
    sql = postgres(expr);
    assert_string_equal(sql, "(\"a\"\"; --\" = 'it''s'::text)");
    free(sql);
    expr_free(&expr);
    schema_clear(&schema);
}

static void backslashes_mean_nothing_to_postgres(void **state)
{
    struct expr *expr = read_over(*state, "['text','\\\\\\u0027; --']");
    char *sql = postgres(expr);

    assert_string_equal(sql, "E'\\\\''; --'::text");
    free(sql);
    expr_free(&expr);
}

static void only_random_values_are_volatile(void **state)
{
    struct expr *expr =
        read_over(*state, "['concat',['text','x'],['call','generate_uuid']]");

    assert_true(expr_volatile(expr));
    expr_free(&expr);
    expr = read_over(*state, "['call','systimestamp']");
    assert_false(expr_volatile(expr));
    expr_free(&expr);
}

static void casts_without_a_postgres_form_are_known(void **state)
{
    const struct expr_side side = {*state, NULL, NULL};
    struct column to = {.type = TYPE_TEXT, .precision = -1, .scale = -1};
    char why[EXPR_WHY_MAX];
    struct expr *expr = NULL;

    assert_int_equal(expr_column(&side, 6, &expr), 0);
    assert_int_equal(expr_cast(&expr, &to, why), 0);
    assert_true(expr_postgres_can(expr));
    to.length = 5;
    assert_int_equal(expr_cast(&expr, &to, why), 0);
    assert_false(expr_postgres_can(expr));
    expr_free(&expr);
}

/* ---- casts to what a target allows ----------------------------------- */

static void a_cast_within_what_the_type_allows_is_none(void **state)
{
    static const struct {
        size_t column;
        struct column to;
        const char *lite;
    } cases[] = {
        {0, {.type = TYPE_INTEGER}, "\"qty\""},
        {0, {.type = TYPE_INTEGER, .bits = 32}, "\"qty\""},
        {0,
         {.type = TYPE_INTEGER, .bits = 16},
         "dp_to_integer(7, \"qty\", 2, 16)"},
        {1,
         {.type = TYPE_INTEGER, .bits = 32},
         "dp_to_integer(7, \"big\", 2, 32)"},
        {2, {.type = TYPE_DECIMAL, .precision = -1, .scale = -1}, "\"price\""},
        {2, {.type = TYPE_DECIMAL, .precision = 12, .scale = 2}, "\"price\""},
        {2,
         {.type = TYPE_DECIMAL, .precision = 12, .scale = 3},
         "dp_to_decimal(7, \"price\", 3, 12, 3)"},
        {2,
         {.type = TYPE_DECIMAL, .precision = 9, .scale = 2},
         "dp_to_decimal(7, \"price\", 3, 9, 2)"},
        {5, {.type = TYPE_TEXT, .length = 20}, "\"name\""},
        {5, {.type = TYPE_TEXT, .length = 5}, "dp_to_text(7, \"name\", 1, 5)"},
        {5, {.type = TYPE_TEXT, .not_null = true}, "dp_not_null(7, \"name\")"},
        {0,
         {.type = TYPE_TEXT, .not_null = true},
         "dp_not_null(7, dp_to_text(7, \"qty\", 2, 0))"},
    };
    const struct expr_side side = {*state, NULL, NULL};

    for (size_t i = 0; i < COUNT(cases); i++) {
        char why[EXPR_WHY_MAX];
        struct expr *expr = NULL;
        assert_int_equal(expr_column(&side, cases[i].column, &expr), 0);
        assert_int_equal(expr_cast(&expr, &cases[i].to, why), 0);
        char *sql = lite(expr);
        assert_string_equal(sql, cases[i].lite);
        free(sql);
        expr_free(&expr);
    }
}

static void a_cast_that_is_refused_takes_the_expression(void **state)
{
    const struct column to = {.type = TYPE_DATE, .precision = -1, .scale = -1};
    const struct expr_side side = {*state, NULL, NULL};
    char why[EXPR_WHY_MAX];
    struct expr *expr = NULL;

    assert_int_equal(expr_column(&side, 0, &expr), 0);
    assert_int_equal(expr_cast(&expr, &to, why), -EINVAL);
    assert_null(expr);
    assert_string_equal(why, "\"qty\" (integer) cannot be cast to date: no "
                             "rule says what it would be; write a case");
}

static void a_column_that_is_not_there_is_none(void **state)
{
    const struct expr_side side = {*state, NULL, NULL};
    struct expr *expr = NULL;

    assert_int_equal(expr_column(&side, 12, &expr), -EINVAL);
    assert_null(expr);
}

/* ---- errors ---------------------------------------------------------- */

static void wrong_trees_are_refused_with_a_reason(void **state)
{
    static const char *const cases[][2] = {
#define DAMAGED "the plan's expression is damaged: "
        {"['col','quantity']",
         "there is no column \"quantity\" (a text is written in single "
         "quotes); there are: qty, big, price, ratio, level, name, id, paid, "
         "hired, seen, at, data"},
        {"['col','paied']",
         "there is no column \"paied\"; did you mean \"paid\"? There are: qty, "
         "big, price, ratio, level, name, id, paid, hired, seen, at, data"},
        {"['col','all paid']",
         "there is no column \"all paid\" (a text is written in single "
         "quotes); there are: qty, big, price, ratio, level, name, id, paid, "
         "hired, seen, at, data"},
        {"['col','qty','x']",
         "nothing here is called \"x\", so there is no column \"qty\" of it; "
         "write the column's name alone"},
        {"['eq',['col','name'],['int',5]]",
         "cannot compare \"name\" (text) with 5 (integer); use cast(... as "
         "integer)"},
        {"['eq',['int',5],['col','name']]",
         "cannot compare 5 (integer) with \"name\" (text); use cast(... as "
         "integer)"},
        {"['eq',['col','qty'],['text','abc']]", "\"abc\" is not an integer"},
        {"['ge',['col','hired'],['text','2024-02-30']]",
         "\"2024-02-30\" is no day of the years 1 to 9999"},
        {"['eq',['col','paid'],['int',1]]",
         "cannot compare \"paid\" (boolean) with 1 (integer); use cast(... as "
         "boolean)"},
        {"['eq',['col','paid'],['col','hired']]",
         "cannot compare \"paid\" (boolean) with \"hired\" (date)"},
        {"['and',['col','qty'],['col','paid']]",
         "\"qty\" (integer) is not a condition; compare it, for example with "
         "<> 0"},
        {"['not',['col','name']]",
         "\"name\" (text) is not a condition; compare it with something"},
        {"['add',['col','name'],['int',1]]",
         "cannot add \"name\" (text) and 1 (integer); use cast(), or || to "
         "join texts"},
        {"['sub',['col','name'],['int',1]]",
         "cannot subtract \"name\" (text) and 1 (integer); use cast(... as "
         "decimal)"},
        {"['add',['col','seen'],['int',1]]",
         "cannot add \"seen\" (timestamp) and 1 (integer); use "
         "add_to_date(date, 'DD', number)"},
        {"['sub',['col','seen'],['col','hired']]",
         "cannot subtract \"seen\" (timestamp) and \"hired\" (date); use "
         "date_diff(a, b, 'DD')"},
        {"['add',['text','a'],['text','b']]", "\"a\" is not an integer"},
        {"['mul',['col','paid'],['int',2]]",
         "cannot multiply \"paid\" (boolean) and 2 (integer); use cast(... as "
         "integer)"},
        {"['neg',['col','name']]",
         "\"name\" (text) is not a number: \"-\" needs one"},
        {"['neg',['text','x']]", "\"x\" is not a decimal number"},
        {"['in',['col','qty'],['int',1],['text','x']]",
         "\"x\" is not an integer"},
        {"['case',[[['col','paid'],['int',1]]],['col','name']]",
         "cannot mix in one case 1 (integer) with \"name\" (text); use "
         "cast(... as integer)"},
        {"['case',[[['col','qty'],['int',1]]],['null']]",
         "\"qty\" (integer) is not a condition; compare it, for example with "
         "<> 0"},
        {"['like',['col','qty'],['text','1%']]",
         "\"like\" compares texts, and \"qty\" (integer) is none; use cast(... "
         "as text)"},
        {"['like',['col','name'],['text','1%'],['text','ab']]",
         "the escape of \"like\" is one character in single quotes"},
        {"['cast',['col','paid'],'date']",
         "\"paid\" (boolean) cannot be cast to date: no rule says what it "
         "would be; write a case"},
        {"['cast',['col','qty'],'bytes']",
         "\"qty\" (integer) cannot be cast to bytes"},
        {"['cast',['text','x'],'integer']", "\"x\" is not an integer"},
        {"['cast',['col','qty'],'uuid']",
         DAMAGED "a cast to no type that there is"},
        {"['cast',['col','qty'],'decimal',0,0]",
         "a decimal has 1 to 1000 digits, and no more of them behind the "
         "point"},
        {"['cast',['col','qty'],'decimal',5,6]",
         "a decimal has 1 to 1000 digits, and no more of them behind the "
         "point"},
        {"['call','upper',['col','qty']]",
         "upper() takes (text), not (\"qty\" (integer)); use cast()"},
        {"['call','upper']", "upper() takes (text), not 0 arguments"},
        {"['call','substr',['col','name'],['col','name']]",
         "substr() takes (text, integer), not (\"name\" (text), \"name\" "
         "(text)); use cast()"},
        {"['call','round',['col','name']]",
         "round() takes (integer), (decimal) or (double), not (\"name\" "
         "(text)); use cast()"},
        {"['call','nosuch',['col','name']]",
         "this agent knows no function \"nosuch\"; it is older than the "
         "broker, or the plan is damaged"},
        {"['call','get_date_part',['col','hired'],['text','century']]",
         "get_date_part() needs to know a part of the time by its name in "
         "single quotes: 'YYYY', 'MM', 'DD', 'HH', 'MI', 'SS', 'MS' or 'US', "
         "not the text \"century\""},
        {"['call','get_date_part',['col','hired'],['col','name']]",
         "get_date_part() needs to know a part of the time by its name in "
         "single quotes: 'YYYY', 'MM', 'DD', 'HH', 'MI', 'SS', 'MS' or 'US', "
         "not \"name\" (text)"},
        {"['call','get_date_part',['col','name'],['text','MM']]",
         "get_date_part() takes (timestamp, part) or (timestamptz, part), not "
         "(\"name\" (text), the text \"MM\"); use cast()"},
        {"['call','systimestamp',['int',9]]",
         "systimestamp() takes the digits of the second, 0 to 6, or 'SS', 'MS' "
         "or 'US', not 9 (integer)"},
        {"['call','coalesce',['col','name'],['int',0]]",
         "cannot mix \"name\" (text) with 0 (integer); use cast(... as "
         "integer)"},
        {"['call','concat',['col','data']]",
         "concat() takes (any but bytes), not (\"data\" (bytes)); use cast()"},
        {"['agg','sum',false,['col','name']]",
         "sum() takes (integer), (decimal) or (double), not (\"name\" (text)); "
         "use cast()"},
        {"['agg','sum',false]", "sum() takes one argument"},
        {"['agg','sum',false,['agg','sum',false,['col','qty']]]",
         "sum() stands inside of another aggregate function; use two aggregate "
         "nodes"},
        {"['agg','median',false,['col','qty']]",
         "this agent knows no aggregate function \"median\"; it is older than "
         "the broker, or the plan is damaged"},
        {"['agg','sum',1,['col','qty']]",
         DAMAGED "an aggregate that does not say distinct or not"},
        {"['xor',1]", DAMAGED "an operator that this agent does not know"},
        {"['eq',['col','qty']]", DAMAGED "eq with 1 operands"},
        {"['int','5']", DAMAGED "a literal is not of its type"},
        {"['int',5,6]", DAMAGED "int with 2 operands"},
        {"['dec','1e']", "\"1e\" is not a decimal number"},
        {"['text',5]", DAMAGED "a text is missing"},
        {"['text','a\\u0000b']", DAMAGED "a text is not UTF-8 or has a NUL"},
        {"['col']", DAMAGED "col with 0 operands"},
        {"[]", DAMAGED "a node is not an operator with its operands"},
        {"{}", DAMAGED "a node is not an operator with its operands"},
        {"5", DAMAGED "a node is not an operator with its operands"},
        {"['case',[],['null']]",
         DAMAGED "a case without a condition and a value"},
        {"['case',[[['col','paid']]],['null']]",
         DAMAGED "a case without a condition and a value"},
        {"['concat',['col','name'],['col','data']]",
         "cannot join \"name\" (text) with \"data\" (bytes); use cast(... as "
         "bytes)"},
        {"['date','2024-02-30']",
         "\"2024-02-30\" is no day of the years 1 to 9999"},
        {"['call',5]", DAMAGED "a text is missing"},
    };
    const struct expr_side side = {*state, NULL, NULL};

    for (size_t i = 0; i < COUNT(cases); i++) {
        char why[EXPR_WHY_MAX] = "";
        struct expr *expr = NULL;
        json_t *json = parse(cases[i][0]);
        int rc = expr_read(json, &side, 1, true, &expr, why);
        json_decref(json);
        assert_null(expr);
        assert_same(cases[i][0], why, cases[i][1]);
        assert_int_equal(rc, -EINVAL);
    }
}

static void aggregates_need_an_aggregate_node(void **state)
{
    const struct expr_side side = {*state, NULL, NULL};
    char why[EXPR_WHY_MAX] = "";
    struct expr *expr = NULL;
    json_t *json = parse("['add',['int',1],['agg','count',false]]");

    assert_int_equal(expr_read(json, &side, 1, false, &expr, why), -EINVAL);
    assert_string_equal(why, "count() is an aggregate function: it belongs "
                             "into an aggregate node");
    json_decref(json);
}

/* not(not(... paid)): depth levels in all. */
static json_t *deep(int depth)
{
    json_t *json = parse("['col','paid']");

    for (int i = 1; i < depth; i++)
        json = json_pack("[so]", "not", json);
    return json;
}

static void trees_are_200_levels_deep_at_most(void **state)
{
    const struct expr_side side = {*state, NULL, NULL};
    char why[EXPR_WHY_MAX] = "";
    struct expr *expr = NULL;
    json_t *json = deep(200);

    assert_int_equal(expr_read(json, &side, 1, false, &expr, why), 0);
    expr_free(&expr);
    json_decref(json);
    json = deep(201);
    assert_int_equal(expr_read(json, &side, 1, false, &expr, why), -EINVAL);
    assert_non_null(strstr(why, "too big"));
    json_decref(json);
}

/* price in (1, 1, ...), of count nodes in all */
static json_t *wide(int count)
{
    json_t *json = parse("['in',['col','qty']]");

    for (int i = 2; i < count; i++)
        json_array_append_new(json, json_pack("[si]", "int", 1));
    return json;
}

static void trees_have_20000_nodes_at_most(void **state)
{
    const struct expr_side side = {*state, NULL, NULL};
    char why[EXPR_WHY_MAX] = "";
    struct expr *expr = NULL;
    json_t *json = wide(20000);

    assert_int_equal(expr_read(json, &side, 1, false, &expr, why), 0);
    expr_free(&expr);
    json_decref(json);
    json = wide(20001);
    assert_int_equal(expr_read(json, &side, 1, false, &expr, why), -EINVAL);
    assert_non_null(strstr(why, "too big"));
    json_decref(json);
}

static void a_long_reason_ends_in_an_ellipsis(void **state)
{
    struct schema schema = {0};
    const struct expr_side side = {&schema, NULL, NULL};
    char why[EXPR_WHY_MAX] = "", name[300];
    struct expr *expr = NULL;

    (void)state;
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    add(&schema, name, TYPE_TEXT, NULL);
    json_t *json = json_pack("[ss]", "col", name + 1);
    assert_int_equal(expr_read(json, &side, 1, false, &expr, why), -EINVAL);
    assert_true(strlen(why) < EXPR_WHY_MAX);
    assert_non_null(strstr(why, "..."));
    json_decref(json);
    schema_clear(&schema);
}

/* ---- two sides ------------------------------------------------------- */

struct join {
    struct schema left, right;
    struct expr_side sides[2];
};

static void build_join(struct join *join)
{
    *join = (struct join){0};
    add(&join->left, "id", TYPE_INTEGER, NULL);
    add(&join->left, "name", TYPE_TEXT, NULL);
    add(&join->right, "id", TYPE_INTEGER, NULL);
    add(&join->right, "total", TYPE_DECIMAL, NULL);
    join->left.columns[1].origin = strdup("people");
    join->right.columns[0].origin = strdup("Orders");
    join->sides[0] = (struct expr_side){&join->left, "l", "left"};
    join->sides[1] = (struct expr_side){&join->right, "r", "right"};
}

static void columns_of_two_sides_are_told_apart(void **state)
{
    static const struct {
        const char *tree, *lite, *why;
    } cases[] = {
        {"['col','name']", "l.\"name\"", NULL},
        {"['col','total']", "r.\"total\"", NULL},
        {"['col','id','left']", "l.\"id\"", NULL},
        {"['col','id','RIGHT']", "r.\"id\"", NULL},
        {"['col','id','orders']", "r.\"id\"", NULL},
        {"['col','id']", NULL,
         "more than one column is called \"id\": say which, left.\"id\" or "
         "right.\"id\""},
        {"['col','total','left']", NULL,
         "\"left\" has no column \"total\"; there are: id, name; id, total"},
        {"['col','name','orders']", NULL,
         "\"orders\" has no column \"name\"; there are: id, name; id, total"},
        {"['col','id','shops']", NULL,
         "nothing here is called \"shops\", so there is no column \"id\" of "
         "it; write the column's name alone, or left. or right. before"},
    };
    struct join join;

    (void)state;
    build_join(&join);
    for (size_t i = 0; i < COUNT(cases); i++) {
        char why[EXPR_WHY_MAX] = "";
        struct expr *expr = NULL;
        json_t *json = parse(cases[i].tree);
        int rc = expr_read(json, join.sides, 2, false, &expr, why);
        json_decref(json);
        if (cases[i].why) {
            assert_int_equal(rc, -EINVAL);
            assert_same(cases[i].tree, why, cases[i].why);
            continue;
        }
        assert_int_equal(rc, 0);
        char *sql = lite(expr);
        assert_string_equal(sql, cases[i].lite);
        free(sql);
        expr_free(&expr);
    }
    schema_clear(&join.left);
    schema_clear(&join.right);
}

/* ---- grouping -------------------------------------------------------- */

static void columns_outside_of_aggregates_have_to_be_keys(void **state)
{
    static const struct {
        const char *tree, *name; /* NULL: fine */
    } cases[] = {
        {"['agg','sum',false,['col','price']]", NULL},
        {"['add',['agg','sum',false,['col','price']],['col','qty']]", NULL},
        {"['concat',['col','name'],['text','x']]", "name"},
        {"['add',['agg','sum',false,['col','price']],['col','big']]", "big"},
        {"['case',[[['isnull',['col','qty']],['int',1]]],['col','big']]",
         "big"},
        {"['int',1]", NULL},
    };
    const size_t keys[] = {3, 0}; /* ratio, qty */

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct expr *expr = read_over(*state, cases[i].tree);
        const char *name = NULL;
        assert_int_equal(expr_grouped(expr, keys, COUNT(keys), &name),
                         cases[i].name == NULL);
        if (cases[i].name)
            assert_string_equal(name, cases[i].name);
        expr_free(&expr);
    }
}

/* ---- run ------------------------------------------------------------- */

/* Of two short decimals, as the real collation would. */
static int compare_decimals(void *context, int a_len, const void *a, int b_len,
                            const void *b)
{
    char text[2][32];

    (void)context;
    snprintf(text[0], sizeof text[0], "%.*s", a_len, (const char *)a);
    snprintf(text[1], sizeof text[1], "%.*s", b_len, (const char *)b);
    double left = strtod(text[0], NULL), right = strtod(text[1], NULL);
    return (left > right) - (left < right);
}

static void native_operators_give_what_they_say(void **state)
{
    static const char *const cases[][2] = {
        {"['eq',['col','qty'],['int',5]]", "1"},
        {"['gt',['col','price'],['int',9]]", "1"},
        {"['eq',['col','price'],['dec','12.5']]", "1"},
        {"['in',['col','price'],['int',1],['dec','12.500']]", "1"},
        {"['between',['col','price'],['int',2],['int',100]]", "1"},
        {"['distinct',['col','price'],['dec','12.5']]", "0"},
        {"['distinct',['col','price'],['null']]", "1"},
        {"['eq',['col','price'],['null']]", "NULL"},
        {"['not',['in',['col','qty'],['int',1],['null']]]", "NULL"},
        {"['lt',['col','name'],['text','b']]", "1"},
        {"['eq',['col','name'],['text','ABC']]", "0"},
        {"['lt',['col','hired'],['text','2024-2-1']]", "1"},
        {"['and',['col','paid'],['not',['col','paid']]]", "0"},
        {"['or',['col','paid'],['null']]", "1"},
        {"['concat',['col','name'],['text','x']]", "abcx"},
        {"['concat',['col','name'],['null']]", "NULL"},
        {"['eq',['concat',['col','data'],['col','data']],"
         "['text','\\\\x00ff00ff']]",
         "1"},
        {"['case',[[['isnull',['col','name']],['text','no']]],"
         "['col','name']]",
         "abc"},
        {"['call','nullif',['col','price'],['dec','12.5']]", "NULL"},
        {"['call','coalesce',['null'],['null'],['int',3]]", "3"},
        {"['call','coalesce',['col','name']]", "abc"},
        {"['call','strpos',['col','name'],['text','']]", "1"},
        {"['call','strpos',['col','name'],['text','c']]", "3"},
        {"['call','replace',['col','name'],['text',''],['text','z']]", "abc"},
        {"['call','length',['text','\\u00e4\\u00f6']]", "2"},
        {"['call','length',['col','data']]", "2"},
        {"['agg','count',true,['col','price']]", "1"},
        {"['agg','max',false,['col','name']]", "abc"},
        {"['int',-9223372036854775808]", "-9223372036854775808"},
    };
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    sqlite3_create_collation(db, "decimal", SQLITE_UTF8, NULL,
                             compare_decimals);
    assert_int_equal(
        sqlite3_exec(db,
                     "CREATE TABLE t(qty, price, name, paid, hired, data);"
                     "INSERT INTO t VALUES(5, '12.50', 'abc', 1, '2024-01-31',"
                     " x'00ff')",
                     NULL, NULL, NULL),
        SQLITE_OK);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct expr *expr = read_over(*state, cases[i][0]);
        struct text sql = {0};
        sqlite3_stmt *stmt = NULL;
        text_add(&sql, "SELECT ");
        expr_print_sqlite(expr, SITE, NOW, &sql);
        text_add(&sql, " FROM t");
        if (sqlite3_prepare_v2(db, sql.bytes, -1, &stmt, NULL) != SQLITE_OK)
            fail_msg("%s: %s", sql.bytes, sqlite3_errmsg(db));
        assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
        const char *value = (const char *)sqlite3_column_text(stmt, 0);
        assert_same(sql.bytes, value ? value : "NULL", cases[i][1]);
        sqlite3_finalize(stmt);
        text_clear(&sql);
        expr_free(&expr);
    }
    sqlite3_close(db);
}

/* expr printed as a query: does SQLite's parser have the room? */
static bool prepares(sqlite3 *db, const struct expr *expr)
{
    struct text sql = {0};
    sqlite3_stmt *stmt = NULL;

    text_add(&sql, "SELECT ");
    expr_print_sqlite(expr, SITE, NOW, &sql);
    text_add(&sql, " FROM (SELECT 1 AS qty, 1 AS paid, 'x' AS name)");
    int rc = sqlite3_prepare_v2(db, sql.bytes, -1, &stmt, NULL);
    if (rc != SQLITE_OK)
        assert_non_null(strstr(sqlite3_errmsg(db), "overflow"));
    sqlite3_finalize(stmt);
    text_clear(&sql);
    return rc == SQLITE_OK;
}

static void ignore(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    (void)values;
    sqlite3_result_null(context);
}

static void deep_expressions_are_known_before_sqlite_refuses_them(void **state)
{
    static const struct {
        const char *before, *innermost, *behind;
    } cases[] = {
        {"['add',['int',1],", "['col','qty']", "]"},
        {"['neg',", "['col','qty']", "]"},
        {"['not',", "['col','paid']", "]"},
        {"['concat',['text','x'],", "['col','name']", "]"},
        {"['case',[[['col','paid'],", "['col','name']", "]],['null']]"},
        {"['case',[[", "['col','paid']", ",['bool',true]]],['null']]"},
        {"['or',['col','paid'],['and',['col','paid'],", "['col','paid']", "]]"},
        {"['call','replace',", "['col','name']", ",['text','('],['text','']]"},
    };
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    sqlite3_create_function(db, "dp_add_int", 3, SQLITE_UTF8, NULL, ignore,
                            NULL, NULL);
    sqlite3_create_function(db, "dp_neg_int", 2, SQLITE_UTF8, NULL, ignore,
                            NULL, NULL);
    for (size_t i = 0; i < COUNT(cases); i++) {
        bool refused = false;
        for (int depth = 1; depth < 60; depth++) {
            struct text tree = {0};
            for (int k = 0; k < depth; k++)
                text_add(&tree, cases[i].before);
            text_add(&tree, cases[i].innermost);
            for (int k = 0; k < depth; k++)
                text_add(&tree, cases[i].behind);
            struct expr *expr = read_over(*state, tree.bytes);
            bool good = prepares(db, expr);
            if (!good && expr_sqlite_stack(expr) < 90)
                fail_msg("%s: thought to need %zu symbols", tree.bytes,
                         expr_sqlite_stack(expr));
            refused = refused || !good;
            expr_free(&expr);
            text_clear(&tree);
        }
        assert_true(refused);
    }
    sqlite3_close(db);
}

static void long_rows_of_terms_are_not_deep(void **state)
{
    static const struct {
        const char *tree, *lite;
    } cases[] = {
        {"['sub',['add',['add',['add',['add',['sub',['add',['add',"
         "['int',0],['int',1]],['int',2]],['int',3]],['int',4]],['int',5]],"
         "['int',6]],['int',7]],['col','qty']]",
         "dp_sub_int(7, dp_add_int(7, dp_add_int(7, 7, dp_add_int(7, 6, 5)), "
         "dp_add_int(7, dp_add_int(7, 4, 2), dp_add_int(7, 1, 0))), "
         "dp_add_int(7, \"qty\", 3))"},
        {"['mul',['mul',['mul',['mul',['mul',['mul',['mul',['mul',"
         "['col','price'],['int',1]],['int',2]],['int',3]],['int',4]],"
         "['int',5]],['int',6]],['int',7]],['int',8]]",
         "dp_mul_dec(7, dp_mul_dec(7, dp_mul_dec(7, '8', '7'), "
         "dp_mul_dec(7, '6', '5')), dp_mul_dec(7, dp_mul_dec(7, '4', '3'), "
         "dp_mul_dec(7, '2', dp_mul_dec(7, '1', \"price\"))))"},
        {"['sub',['sub',['add',['int',1],['int',2]],['int',3]],['int',4]]",
         "dp_sub_int(7, dp_sub_int(7, dp_add_int(7, 1, 2), 3), 4)"},
        {"['concat',['concat',['col','name'],['text','a']],['text','b']]",
         "(\"name\" || 'a' || 'b')"},
        {"['case',[[['col','paid'],['int',1]]],"
         "['case',[[['not',['col','paid']],['int',2]]],['int',3]]]",
         "(CASE WHEN \"paid\" THEN 1 WHEN (NOT \"paid\") THEN 2 ELSE 3 "
         "END)"},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct expr *expr = read_over(*state, cases[i].tree);
        char *sql = lite(expr);
        assert_same(cases[i].tree, sql, cases[i].lite);
        free(sql);
        expr_free(&expr);
    }
}

static void many_conditions_are_not_too_deep_for_sqlite(void **state)
{
    const struct expr_side side = {*state, NULL, NULL};
    json_t *json = parse("['or',['col','paid']]");
    char why[EXPR_WHY_MAX];
    struct expr *expr = NULL;
    struct text sql = {0};
    sqlite3_stmt *stmt = NULL;
    sqlite3 *db = NULL;

    for (int i = 0; i < 6000; i++)
        json_array_append_new(
            json, json_pack("[s[ss][si]]", "eq", "col", "qty", "int", i));
    assert_int_equal(expr_read(json, &side, 1, false, &expr, why), 0);
    text_add(&sql, "SELECT ");
    expr_print_sqlite(expr, SITE, NOW, &sql);
    text_add(&sql, " FROM (SELECT 0 AS paid, 5999 AS qty)");
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    if (sqlite3_prepare_v2(db, sql.bytes, -1, &stmt, NULL) != SQLITE_OK)
        fail_msg("%s", sqlite3_errmsg(db));
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(stmt, 0), 1);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    text_clear(&sql);
    expr_free(&expr);
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operators_are_typed_and_printed),
        cmocka_unit_test(casts_are_typed_and_printed),
        cmocka_unit_test(calls_are_typed_and_printed),
        cmocka_unit_test(aggregates_are_typed_and_printed),
        cmocka_unit_test(texts_of_other_native_types_are_cast_for_postgres),
        cmocka_unit_test(names_and_texts_are_quoted),
        cmocka_unit_test(backslashes_mean_nothing_to_postgres),
        cmocka_unit_test(only_random_values_are_volatile),
        cmocka_unit_test(casts_without_a_postgres_form_are_known),
        cmocka_unit_test(a_cast_within_what_the_type_allows_is_none),
        cmocka_unit_test(a_cast_that_is_refused_takes_the_expression),
        cmocka_unit_test(a_column_that_is_not_there_is_none),
        cmocka_unit_test(wrong_trees_are_refused_with_a_reason),
        cmocka_unit_test(aggregates_need_an_aggregate_node),
        cmocka_unit_test(trees_are_200_levels_deep_at_most),
        cmocka_unit_test(trees_have_20000_nodes_at_most),
        cmocka_unit_test(a_long_reason_ends_in_an_ellipsis),
        cmocka_unit_test(columns_of_two_sides_are_told_apart),
        cmocka_unit_test(columns_outside_of_aggregates_have_to_be_keys),
        cmocka_unit_test(native_operators_give_what_they_say),
        cmocka_unit_test(deep_expressions_are_known_before_sqlite_refuses_them),
        cmocka_unit_test(long_rows_of_terms_are_not_deep),
        cmocka_unit_test(many_conditions_are_not_too_deep_for_sqlite),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
