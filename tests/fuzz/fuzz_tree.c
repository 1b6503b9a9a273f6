/*
 * fuzz_tree.c - libFuzzer target for expressions as agents get them: bytes that
 * begin with '[' are a tree's JSON, all others choose a tree out of what there
 * is, mostly of types that go together.
 *
 * Claims, for every tree that expr_read() takes over columns of all types:
 *   - both engines' SQL is valid UTF-8 whose quotes and parentheses close;
 *   - SQLite prepares it, unless expr_sqlite_stack() says that it is too deep;
 *   - over rows of nasty values the statement fails only when a function said
 *     why, or a value was too long;
 *   - every value is NULL or a value of the tree's type as schema.h has it,
 *     also when what fails becomes NULL.
 *
 * ./fuzz_tree -max_len=600 <new corpus> tests/fuzz/corpus_tree
 */
#include "agents/expr.h"
#include "agents/functions.h"
#include "agents/text.h"
#include "agents/values.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(claim)                                                            \
    do {                                                                       \
        if (!(claim)) {                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n%s\n", __FILE__, __LINE__,     \
                    #claim, said);                                             \
            abort();                                                           \
        }                                                                      \
    } while (0)

enum {
    STACK_MAX = 80,
    LEVELS_MAX = 12,
    NODES_MAX = 300,
    VALUE_BYTES_MAX = 1 << 20,
};

static char said[8192]; /* what a broken claim is about */

/* ---- trees out of bytes ------------------------------------------------ */

/* Types in letters: t text, i integer, d decimal, f double, b boolean, D date,
 * S timestamp, Z timestamptz, B bytes. As arguments also p, y and n: parts of
 * times; *: any; =: the result's; + behind: more of the same. */
static const char letters[] = "tidfbDSZB";

static const struct {
    const char *name, *args;
    char result; /* '=': any, that of the arguments */
} calls[] = {
    {"upper", "t", 't'},
    {"lower", "t", 't'},
    {"initcap", "t", 't'},
    {"substr", "ti", 't'},
    {"substr", "tii", 't'},
    {"trim", "t", 't'},
    {"trim", "tt", 't'},
    {"ltrim", "tt", 't'},
    {"rtrim", "tt", 't'},
    {"reverse", "t", 't'},
    {"chr", "i", 't'},
    {"concat", "*+", 't'},
    {"length", "t", 'i'},
    {"length", "B", 'i'},
    {"replace", "ttt", 't'},
    {"lpad", "ti", 't'},
    {"lpad", "tit", 't'},
    {"rpad", "tit", 't'},
    {"left", "ti", 't'},
    {"right", "ti", 't'},
    {"strpos", "tt", 'i'},
    {"split_part", "tti", 't'},
    {"abs", "=", 'i'},
    {"abs", "=", 'd'},
    {"abs", "=", 'f'},
    {"ceil", "=", 'd'},
    {"ceil", "=", 'f'},
    {"floor", "=", 'i'},
    {"floor", "=", 'd'},
    {"floor", "=", 'f'},
    {"round", "=", 'd'},
    {"round", "=", 'f'},
    {"round", "di", 'd'},
    {"round", "fi", 'd'},
    {"trunc", "=", 'd'},
    {"trunc", "=", 'f'},
    {"trunc", "di", 'd'},
    {"sign", "=", 'i'},
    {"sign", "=", 'd'},
    {"sign", "=", 'f'},
    {"mod", "==", 'i'},
    {"mod", "==", 'd'},
    {"mod", "==", 'f'},
    {"sqrt", "f", 'f'},
    {"exp", "f", 'f'},
    {"ln", "f", 'f'},
    {"log", "f", 'f'},
    {"log", "ff", 'f'},
    {"power", "ff", 'f'},
    {"sin", "f", 'f'},
    {"cos", "f", 'f'},
    {"tan", "f", 'f'},
    {"sinh", "f", 'f'},
    {"cosh", "f", 'f'},
    {"tanh", "f", 'f'},
    {"md5", "t", 't'},
    {"sha1", "B", 't'},
    {"sha256", "t", 't'},
    {"sha512", "B", 't'},
    {"crc32", "t", 'i'},
    {"crc32", "B", 'i'},
    {"enc_base64", "t", 't'},
    {"enc_base64", "B", 't'},
    {"dec_base64", "t", 't'},
    {"dec_base64", "t", 'B'},
    {"compress", "t", 'B'},
    {"compress", "B", 'B'},
    {"decompress", "B", 't'},
    {"generate_uuid", "", 't'},
    {"convert_base", "tii", 't'},
    {"convert_base", "iii", 't'},
    {"get_date_part", "Sp", 'i'},
    {"get_date_part", "Zp", 'i'},
    {"get_date_part", "Dp", 'i'},
    {"set_date_part", "=yi", 'D'},
    {"set_date_part", "=pi", 'S'},
    {"set_date_part", "=pi", 'Z'},
    {"add_to_date", "=yi", 'D'},
    {"add_to_date", "=pi", 'S'},
    {"add_to_date", "=pi", 'Z'},
    {"date_diff", "SSp", 'i'},
    {"date_diff", "ZZp", 'i'},
    {"date_diff", "DSp", 'i'},
    {"last_day", "D", 'D'},
    {"last_day", "Z", 'D'},
    {"systimestamp", "", 'Z'},
    {"systimestamp", "n", 'Z'},
    {"coalesce", "=+", '='},
    {"nullif", "==", '='},
    {"greatest", "=+", '='},
    {"least", "=+", '='},
};

static const struct {
    const char *name, *args;
    char result;
} aggregates[] = {
    {"count", "*", 'i'}, {"sum", "=", 'i'},  {"sum", "=", 'd'},
    {"sum", "=", 'f'},   {"avg", "i", 'd'},  {"avg", "d", 'd'},
    {"avg", "=", 'f'},   {"min", "=", '='},  {"max", "=", '='},
    {"first", "=", '='}, {"last", "=", '='}, {"std", "f", 'f'},
    {"var", "f", 'f'},
};

/* By letter: literals, after the column. */
static const char *const texts[] = {
    "",
    "a",
    "Ünï",
    "it's \"x\"",
    "%_\\",
    "12.50",
    "-7",
    "2024-02-29",
    "true",
    "\\xff00",
    "1e400",
    "NaN",
    "day",
    "99999999999999999999",
    "2024-02-29 23:59:59.999999+02",
    "/* --",
    "9999-12-31",
    "\xF0\x9F\x98\x80",
};
static const char *const decimals[] = {
    "0",       "1.50",
    "-0.001",  "99999999999999999999.9999",
    "1000000", "0.00000000000000000000000000000000000001",
};
static const char *const dates[] = {"0001-01-01", "2024-02-29", "9999-12-31"};
static const char *const stamps[] = {
    "0001-01-01 00:00:00", "2024-02-29 23:59:59.999999", "9999-12-31 23:59:59"};
static const char *const zoned[] = {"2024-02-29 23:59:59.5+02",
                                    "0001-01-01 12:00:00+00",
                                    "9999-12-31 01:00:00-05:30"};
static const char *const parts[] = {"year",        "month",      "day",
                                    "hour",        "minute",     "second",
                                    "millisecond", "microsecond"};
static const json_int_t integers[] = {
    0, 1, -1, 2, 7, 36, 1000, INT64_MAX, INT64_MIN, 2147483648};

struct chooser {
    const uint8_t *at, *end;
    size_t nodes;
    bool aggregate; /* aggregates may come here */
};

static unsigned choose(struct chooser *c, size_t count)
{
    return c->at < c->end ? (unsigned)(*c->at++ % count) : 0;
}

#define ONE_OF(c, list) (list)[choose(c, sizeof(list) / sizeof *(list))]

static json_t *make(struct chooser *c, char want, size_t level);

static json_t *make_leaf(struct chooser *c, char want)
{
    static const char *const names[] = {"t",  "i", "d", "f",  "b",
                                        "d8", "s", "z", "raw"};
    unsigned pick = choose(c, 4);

    if (pick < 2)
        return json_pack("[s, s]", "col",
                         names[strchr(letters, want) - letters]);
    if (pick == 2 && choose(c, 3) == 0)
        return json_pack("[s]", "null");
    switch (want) {
    case 'i':
        return json_pack("[s, I]", "int", ONE_OF(c, integers));
    case 'd':
        return json_pack("[s, s]", "dec", ONE_OF(c, decimals));
    case 'b':
        return json_pack("[s, b]", "bool", (int)choose(c, 2));
    case 'D':
        return json_pack("[s, s]", "date", ONE_OF(c, dates));
    case 'S':
        return json_pack("[s, s]", "timestamp", ONE_OF(c, stamps));
    case 'Z':
        return json_pack("[s, s]", "timestamptz", ONE_OF(c, zoned));
    case 'f':
        return json_pack("[s, [s, s], s]", "cast", "dec", ONE_OF(c, decimals),
                         "double");
    case 'B':
        return json_pack("[s, [s, s], s]", "cast", "text", ONE_OF(c, texts),
                         "bytes");
    default:
        return json_pack("[s, s]", "text", ONE_OF(c, texts));
    }
}

static json_t *make_argument(struct chooser *c, char letter, char want,
                             size_t level)
{
    switch (letter) {
    case 'p':
        return json_pack("[s, s]", "text", ONE_OF(c, parts));
    case 'y':
        return json_pack("[s, s]", "text", parts[choose(c, 3)]);
    case 'n':
        return json_pack("[s, I]", "int", (json_int_t)choose(c, 7));
    case '*':
        return make(c, letters[choose(c, sizeof letters - 1)], level);
    case '=':
        return make(c, want, level);
    default:
        return make(c, letter, level);
    }
}

static void add_arguments(struct chooser *c, const char *args, char want,
                          size_t level, json_t *to)
{
    for (; *args && *args != '+'; args++) {
        size_t more = args[1] == '+' ? choose(c, 4) : 0;
        for (size_t i = 0; i <= more; i++)
            json_array_append_new(to, make_argument(c, *args, want, level));
    }
}

static json_t *make_call(struct chooser *c, char want, size_t level)
{
    size_t count = sizeof calls / sizeof *calls, from = choose(c, count);

    for (size_t i = 0; i < count; i++) {
        size_t at = (from + i) % count;
        if (calls[at].result != want && calls[at].result != '=')
            continue;
        json_t *tree = json_pack("[s, s]", "call", calls[at].name);
        add_arguments(c, calls[at].args, want, level, tree);
        return tree;
    }
    return make_leaf(c, want);
}

static json_t *make_aggregate(struct chooser *c, char want, size_t level)
{
    size_t count = sizeof aggregates / sizeof *aggregates;
    size_t from = choose(c, count);

    for (size_t i = 0; i < count; i++) {
        size_t at = (from + i) % count;
        if (aggregates[at].result != want && aggregates[at].result != '=')
            continue;
        json_t *tree = json_pack("[s, s, b]", "agg", aggregates[at].name,
                                 choose(c, 4) == 0);
        c->aggregate = false;
        add_arguments(c, aggregates[at].args, want, level, tree);
        c->aggregate = true;
        return tree;
    }
    return make_leaf(c, want);
}

static json_t *make_case(struct chooser *c, char want, size_t level)
{
    json_t *whens = json_array();

    for (unsigned i = 0, more = choose(c, 3); i <= more; i++) {
        json_t *condition = make(c, 'b', level), *value = make(c, want, level);
        json_array_append_new(whens, json_pack("[o, o]", condition, value));
    }
    return json_pack("[s, o, o]", "case", whens, make(c, want, level));
}

static json_t *make_cast(struct chooser *c, char want, size_t level)
{
    static const enum type types[] = {
        TYPE_TEXT, TYPE_INTEGER,   TYPE_DECIMAL,     TYPE_DOUBLE, TYPE_BOOLEAN,
        TYPE_DATE, TYPE_TIMESTAMP, TYPE_TIMESTAMPTZ, TYPE_BYTES};
    enum type to = types[strchr(letters, want) - letters];
    json_t *of = make(c, choose(c, 2) ? 't' : letters[choose(c, 9)], level);

    if (to == TYPE_DECIMAL && choose(c, 2))
        return json_pack("[s, o, s, I, I]", "cast", of, type_name(to),
                         (json_int_t)10, (json_int_t)choose(c, 11));
    return json_pack("[s, o, s]", "cast", of, type_name(to));
}

static json_t *make_condition(struct chooser *c, size_t level)
{
    static const char *const compare[] = {"eq", "ne", "lt",      "le",
                                          "gt", "ge", "distinct"};
    char of = letters[choose(c, sizeof letters - 1)];
    json_t *tree;

    switch (choose(c, 7)) {
    case 0:
        tree = json_pack("[s]", choose(c, 2) ? "and" : "or");
        for (unsigned i = 0, more = choose(c, 3); i < more + 2; i++)
            json_array_append_new(tree, make(c, 'b', level));
        return tree;
    case 1:
        return json_pack("[s, o]", "not", make(c, 'b', level));
    case 2:
        return json_pack("[s, o]", "isnull", make(c, of, level));
    case 3:
        tree = json_pack("[s]", "in");
        for (unsigned i = 0, more = choose(c, 4); i < more + 2; i++)
            json_array_append_new(tree, make(c, of, level));
        return tree;
    case 4:
        tree = json_pack("[s]", "between");
        for (int i = 0; i < 3; i++)
            json_array_append_new(tree, make(c, of, level));
        return tree;
    case 5:
        tree = json_pack("[s]", choose(c, 2) ? "like" : "ilike");
        for (int i = 0; i < 2; i++)
            json_array_append_new(tree, make(c, 't', level));
        if (choose(c, 2))
            json_array_append_new(
                tree, json_pack("[s, s]", "text", choose(c, 2) ? "" : "a"));
        return tree;
    default:
        tree = json_pack("[s]", ONE_OF(c, compare));
        for (int i = 0; i < 2; i++)
            json_array_append_new(tree, make(c, of, level));
        return tree;
    }
}

static json_t *make_operator(struct chooser *c, char want, size_t level)
{
    static const char *const ops[] = {"add", "sub", "mul", "div", "mod"};
    json_t *tree;

    switch (want) {
    case 'b':
        return make_condition(c, level);
    case 't':
        tree = json_pack("[s]", "concat");
        json_array_append_new(tree, make(c, 't', level));
        json_array_append_new(tree, make_argument(c, '*', want, level));
        return tree;
    case 'i':
    case 'd':
    case 'f':
        if (choose(c, 5) == 0)
            return json_pack("[s, o]", "neg", make(c, want, level));
        tree = json_pack("[s]", ONE_OF(c, ops));
        json_array_append_new(tree, make(c, want, level));
        json_array_append_new(tree, make(c, choose(c, 3) ? want : 'i', level));
        return tree;
    case 'D':
        tree = json_pack("[s]", choose(c, 2) ? "add" : "sub");
        json_array_append_new(tree, make(c, 'D', level));
        json_array_append_new(tree, make(c, 'i', level));
        return tree;
    default:
        return make_call(c, want, level);
    }
}

static json_t *make(struct chooser *c, char want, size_t level)
{
    unsigned pick = choose(c, 16);

    if (pick == 15) /* something that does not belong here */
        want = letters[choose(c, sizeof letters - 1)];
    if (level == LEVELS_MAX || ++c->nodes > NODES_MAX)
        return make_leaf(c, want);
    if (c->aggregate && pick < 4)
        return make_aggregate(c, want, level + 1);
    if (pick < 6)
        return make_operator(c, want, level + 1);
    if (pick < 10)
        return make_call(c, want, level + 1);
    if (pick < 11)
        return make_case(c, want, level + 1);
    if (pick < 13)
        return make_cast(c, want, level + 1);
    return make_leaf(c, want);
}

/* ---- what trees are about ---------------------------------------------- */

static struct schema schema;

static void add_column(const char *name, enum type type, int bits,
                       int precision, int scale)
{
    struct column *column = schema_add(&schema, name, type);

    MUST(column);
    column->bits = bits;
    column->precision = precision;
    column->scale = scale;
}

static void set_up_schema(void)
{
    add_column("t", TYPE_TEXT, 0, -1, -1);
    add_column("i", TYPE_INTEGER, 0, -1, -1);
    add_column("d", TYPE_DECIMAL, 0, -1, -1);
    add_column("f", TYPE_DOUBLE, 0, -1, -1);
    add_column("b", TYPE_BOOLEAN, 0, -1, -1);
    add_column("d8", TYPE_DATE, 0, -1, -1);
    add_column("s", TYPE_TIMESTAMP, 0, -1, -1);
    add_column("z", TYPE_TIMESTAMPTZ, 0, -1, -1);
    add_column("raw", TYPE_BYTES, 0, -1, -1);
    add_column("small", TYPE_INTEGER, 16, -1, -1);
    add_column("money", TYPE_DECIMAL, 0, 10, 2);
    add_column("odd \"name\" é", TYPE_TEXT, 0, -1, -1);
}

static const char rows[] =
    "CREATE TEMP TABLE v (t, i, d COLLATE \"decimal\", f, b, d8, s, z, raw, "
    "small, money COLLATE \"decimal\", x);"
    "INSERT INTO v VALUES (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, "
    "NULL, NULL, NULL, NULL),"
    "('', 0, '0', 0.0, 0, '0001-01-01', '0001-01-01 00:00:00', "
    "'0001-01-01 00:00:00+00', x'', 0, '0.00', ''),"
    "('it''s \"Ünï\" 50%_\\', 9223372036854775807, "
    "'-99999999999999999999999999999999999999999999.000000001', 1.7e308, 1, "
    "'9999-12-31', '9999-12-31 23:59:59.999999', "
    "'9999-12-31 23:59:59.999999+00', x'00ff80', 32767, '99999999.99', "
    "'\U0001F600'),"
    "('12.5', -9223372036854775807 - 1, '0.0000000000000000000000001', "
    "-5e-324, 1, '2024-02-29', '2024-02-29 12:34:56.5', "
    "'2024-02-29 12:34:56.5+00', x'789c030000000001', -32768, '-0.01', '-1'),"
    "('MTIz', 36, '2.50', -0.0, 0, '1900-02-28', '1969-12-31 23:59:59', "
    "'1969-12-31 23:59:59+00', CAST('abc' AS BLOB), 7, '1.00', 'abc');";

static const char reading[] =
    "SELECT t, i, d, f, b, d8, s, z, raw, small, money, x AS "
    "\"odd \"\"name\"\" é\" FROM v";

struct hearing {
    bool fail, failed;
};

static bool hear(void *context, uint32_t site, const char *message)
{
    struct hearing *hearing = context;

    MUST(message[0] && value_utf8(message, strlen(message)));
    MUST(site <= 1);
    hearing->failed = true;
    return hearing->fail;
}

static void hear_tick(void *context, uint32_t node, int count,
                      sqlite3_value *const *values)
{
    (void)context;
    (void)node;
    (void)count;
    (void)values;
}

static bool hear_row_ok(void *context)
{
    (void)context;
    return true;
}

static struct hearing hearing;
static const struct function_host host = {&hearing, hear, hear_tick,
                                          hear_row_ok};

static sqlite3 *set_up_database(void)
{
    sqlite3 *db;

    MUST(sqlite3_open(":memory:", &db) == SQLITE_OK);
    MUST(functions_install(db, &host) == 0);
    MUST(sqlite3_exec(db, rows, NULL, NULL, NULL) == SQLITE_OK);
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX);
    return db;
}

/* ---- the claims -------------------------------------------------------- */

/* Are quotes and parentheses closed? A backslash means nothing but in E''. */
static bool closes(const char *sql)
{
    size_t open = 0;

    for (const char *at = sql; *at; at++) {
        if (*at == '\'' || *at == '"') {
            bool escapes = *at == '\'' && at > sql && at[-1] == 'E';
            char quote = *at;
            for (at++; *at && *at != quote; at++)
                if (escapes && *at == '\\' && at[1])
                    at++;
            if (!*at)
                return false;
        } else if (*at == '(') {
            open++;
        } else if (*at == ')' && open-- == 0) {
            return false;
        }
    }
    return open == 0;
}

static void check_value(enum type type, sqlite3_stmt *stmt)
{
    static char room[VALUE_ROOM + VALUE_BYTES_MAX];
    const char *bytes;
    char why[VALUE_WHY_MAX] = "";
    size_t len;

    switch (sqlite3_column_type(stmt, 0)) {
    case SQLITE_NULL:
        return;
    case SQLITE_INTEGER:
        MUST(type == TYPE_INTEGER || type == TYPE_BOOLEAN);
        MUST(type == TYPE_INTEGER ||
             (unsigned long long)sqlite3_column_int64(stmt, 0) <= 1);
        return;
    case SQLITE_FLOAT:
        MUST(type == TYPE_DOUBLE);
        MUST(sqlite3_column_double(stmt, 0) - sqlite3_column_double(stmt, 0) ==
             0);
        return;
    case SQLITE_BLOB:
        MUST(type == TYPE_BYTES);
        return;
    default:
        break;
    }
    const char *text = (const char *)sqlite3_column_text(stmt, 0);
    size_t got = (size_t)sqlite3_column_bytes(stmt, 0);
    MUST(type != TYPE_INTEGER && type != TYPE_BOOLEAN && type != TYPE_DOUBLE &&
         type != TYPE_BYTES);
    MUST(value_utf8(text, got));
    if (type == TYPE_TEXT || type == TYPE_NULL)
        return;
    if (value_check(type, text, got, room, sizeof room, &bytes, &len, why) < 0)
        fprintf(stderr, "%s\n", why);
    MUST(*why == '\0');
    MUST(len == got && memcmp(bytes, text, len) == 0);
}

static void step(sqlite3 *db, sqlite3_stmt *stmt, enum type type, bool fail)
{
    int code;

    hearing = (struct hearing){fail, false};
    while ((code = sqlite3_step(stmt)) == SQLITE_ROW)
        check_value(type, stmt);
    bool fails_by_itself = code != SQLITE_DONE && code != SQLITE_TOOBIG &&
                           !(fail && hearing.failed);
    if (fails_by_itself)
        fprintf(stderr, "%s\n", sqlite3_errmsg(db));
    MUST(!fails_by_itself);
    sqlite3_reset(stmt);
}

static void run(sqlite3 *db, const struct expr *expr, const char *sql)
{
    size_t stack = expr_sqlite_stack(expr);
    struct text text = {0};
    sqlite3_stmt *stmt = NULL;

    text_addf(&text, "SELECT %s FROM (%s) AS q", sql, reading);
    MUST(!text.failed);
    int code = sqlite3_prepare_v2(db, text.bytes, -1, &stmt, NULL);
    if (code != SQLITE_OK)
        snprintf(said + strlen(said), sizeof said - strlen(said),
                 "\nstack %zu: %s", stack, sqlite3_errmsg(db));
    MUST(code == SQLITE_OK || stack >= STACK_MAX);
    if (code == SQLITE_OK) {
        step(db, stmt, expr_type_of(expr), true);
        step(db, stmt, expr_type_of(expr), false);
    }
    sqlite3_finalize(stmt);
    text_clear(&text);
}

static void check_tree(sqlite3 *db, const json_t *tree, bool aggregate)
{
    const struct expr_side side = {&schema, "q", NULL};
    struct text lite = {0}, postgres = {0};
    char why[EXPR_WHY_MAX] = "";
    struct expr *expr = NULL;

    char *json = json_dumps(tree, JSON_ENCODE_ANY | JSON_COMPACT);
    snprintf(said, sizeof said, "%s", json ? json : "");
    free(json);
    if (expr_read(tree, &side, 1, aggregate, &expr, why) < 0) {
        MUST(!expr && *why && value_utf8(why, strlen(why)));
        return;
    }
    expr_print_sqlite(expr, 1, "2024-03-01 12:00:00+00", &lite);
    expr_print_postgres(expr, "2024-03-01 12:00:00+00", &postgres);
    snprintf(said + strlen(said), sizeof said - strlen(said), "\n%s\n%s",
             lite.bytes ? lite.bytes : "",
             postgres.bytes ? postgres.bytes : "");
    MUST(!lite.failed && lite.bytes && value_utf8(lite.bytes, lite.len));
    MUST(closes(lite.bytes));
    MUST(!postgres.failed);
    if (expr_postgres_can(expr)) {
        MUST(postgres.bytes && value_utf8(postgres.bytes, postgres.len));
        MUST(closes(postgres.bytes));
    }
    run(db, expr, lite.bytes);
    text_clear(&lite);
    text_clear(&postgres);
    expr_free(&expr);
    MUST(!expr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static sqlite3 *db;
    json_error_t wrong;
    json_t *tree;
    bool aggregate = size > 0 && data[0] & 1;

    if (!db) {
        set_up_schema();
        db = set_up_database();
    }
    if (size > 0 && data[0] == '[') {
        tree = json_loadb((const char *)data, size, 0, &wrong);
        if (tree) {
            check_tree(db, tree, false);
            check_tree(db, tree, true);
        }
    } else if (size > 1) {
        struct chooser c = {data + 1, data + size, 0, aggregate};
        tree = make(&c, letters[choose(&c, sizeof letters - 1)], 0);
        MUST(tree);
        check_tree(db, tree, aggregate);
    } else {
        return 0;
    }
    json_decref(tree);
    return 0;
}
