/* expr_table.c - see expr_table.h: tables, and how they are looked up. */
#include "policy/expr_table.h"

#include "policy/text.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

/* ---- functions ------------------------------------------------------- */

enum { MANY = 100 };

static const struct expr_function functions[] = {
    {"upper", 1, 1, false},
    {"lower", 1, 1, false},
    {"initcap", 1, 1, false},
    {"substr", 2, 3, false},
    {"rtrim", 1, 2, false},
    {"ltrim", 1, 2, false},
    {"trim", 1, 2, false},
    {"reverse", 1, 1, false},
    {"chr", 1, 1, false},
    {"concat", 1, MANY, false},
    {"length", 1, 1, false},
    {"replace", 3, 3, false},
    {"lpad", 2, 3, false},
    {"rpad", 2, 3, false},
    {"left", 2, 2, false},
    {"right", 2, 2, false},
    {"strpos", 2, 2, false},
    {"split_part", 3, 3, false},

    {"abs", 1, 1, false},
    {"ceil", 1, 1, false},
    {"floor", 1, 1, false},
    {"round", 1, 2, false},
    {"trunc", 1, 2, false},
    {"sqrt", 1, 1, false},
    {"exp", 1, 1, false},
    {"ln", 1, 1, false},
    {"log", 1, 2, false},
    {"power", 2, 2, false},
    {"mod", 2, 2, false},
    {"sign", 1, 1, false},
    {"sin", 1, 1, false},
    {"cos", 1, 1, false},
    {"tan", 1, 1, false},
    {"sinh", 1, 1, false},
    {"cosh", 1, 1, false},
    {"tanh", 1, 1, false},

    {"md5", 1, 1, false},
    {"sha1", 1, 1, false},
    {"sha224", 1, 1, false},
    {"sha256", 1, 1, false},
    {"sha384", 1, 1, false},
    {"sha512", 1, 1, false},
    {"crc32", 1, 1, false},
    {"enc_base64", 1, 1, false},
    {"dec_base64", 1, 1, false},
    {"generate_uuid", 0, 0, false},
    {"convert_base", 3, 3, false},
    {"compress", 1, 1, false},
    {"decompress", 1, 1, false},

    {"get_date_part", 2, 2, false},
    {"set_date_part", 3, 3, false},
    {"last_day", 1, 1, false},
    {"systimestamp", 0, 1, false},
    {"add_to_date", 3, 3, false},
    {"date_diff", 3, 3, false},

    {"coalesce", 1, MANY, false},
    {"nullif", 2, 2, false},
    {"greatest", 1, MANY, false},
    {"least", 1, MANY, false},

    {"sum", 1, 1, true},
    {"avg", 1, 1, true},
    {"count", 1, 1, true},
    {"min", 1, 1, true},
    {"max", 1, 1, true},
    {"first", 1, 1, true},
    {"last", 1, 1, true},
    {"std", 1, 1, true},
    {"var", 1, 1, true},
};

static const struct expr_function iif = {"iif", 3, 3, false};

struct pair {
    const char *word, *text;
};

static const struct pair aliases[] = {
    {"lcase", "lower"},
    {"ucase", "upper"},
    {"substring", "substr"},
    {"len", "length"},
    {"char_length", "length"},
    {"instr", "strpos"},
    {"ceiling", "ceil"},
    {"pow", "power"},
    {"sha", "sha1"},
    {"uuid", "generate_uuid"},
    {"now", "systimestamp"},
    {"current_timestamp", "systimestamp"},
    {"sysdate", "systimestamp"},
    {"nvl", "coalesce"},
    {"ifnull", "coalesce"},
    {"if", "iif"},
    {"mean", "avg"},
    {"stddev", "std"},
    {"stddev_samp", "std"},
    {"variance", "var"},
    {"var_samp", "var"},
};

#define DO_IN_DATABASE "; compute it in an extract node's own sql"
#define DATE_PART "get_date_part(date, 'YYYY')"
#define STRPOS "strpos(text, what)"
#define NO_KEYS                                                                \
    "no function here, because a key does not belong into a document; "        \
    "encrypt "                                                                 \
    "and decrypt in the database or in a command node"
#define NO_PATTERNS                                                            \
    "not there, nor are other regular expressions; there are like, ilike and " \
    "replace()"
#define CAST_AS(type) "written cast(value as " type ")"

static const struct pair instead[] = {
    {"aes_encrypt", NO_KEYS},
    {"aes_decrypt", NO_KEYS},
    {"encrypt", NO_KEYS},
    {"decrypt", NO_KEYS},
    {"charindex", "written " STRPOS ": the other order of arguments"},
    {"locate", "written " STRPOS ": the other order of arguments"},
    {"position", "written " STRPOS},
    {"extract", "written " DATE_PART},
    {"date_part", "written " DATE_PART ": the other order of arguments"},
    {"datepart", "written " DATE_PART ": the other order of arguments"},
    {"year", "written get_date_part(date, 'YYYY')"},
    {"month", "written get_date_part(date, 'MM')"},
    {"day", "written get_date_part(date, 'DD')"},
    {"hour", "written get_date_part(date, 'HH')"},
    {"minute", "written get_date_part(date, 'MI')"},
    {"second", "written get_date_part(date, 'SS')"},
    {"dateadd", "written add_to_date(date, 'DD', number)"},
    {"date_add", "written add_to_date(date, 'DD', number)"},
    {"datediff", "written date_diff(a, b, 'DD')"},
    {"timestampdiff", "written date_diff(a, b, 'DD')"},
    {"date_trunc", "not there; cast(value as date) cuts off the time of day, "
                   "set_date_part() sets a part"},
    {"getdate", "written systimestamp()"},
    {"curdate", "written cast(systimestamp() as date)"},
    {"today", "written cast(systimestamp() as date)"},
    {"to_char", "not there; cast(value as text) gives a value's plain text"},
    {"to_date", CAST_AS("date")},
    {"to_timestamp", CAST_AS("timestamp")},
    {"to_number", CAST_AS("decimal")},
    {"to_decimal", CAST_AS("decimal")},
    {"to_integer", CAST_AS("integer")},
    {"to_float", CAST_AS("double")},
    {"str", CAST_AS("text")},
    {"convert", CAST_AS("text")},
    {"try_cast",
     CAST_AS("integer") "; rows that cannot be cast are skipped by on_errors"},
    {"isnull", "written coalesce(value, otherwise), or value is null"},
    {"nvl2", "written case when value is not null then a else b end"},
    {"decode", "written case value when a then b else c end"},
    {"zeroifnull", "written coalesce(value, 0)"},
    {"concat_ws", "not there; there are concat() and ||"},
    {"string_agg", "not an aggregate that is there" DO_IN_DATABASE},
    {"group_concat", "not an aggregate that is there" DO_IN_DATABASE},
    {"listagg", "not an aggregate that is there" DO_IN_DATABASE},
    {"array_agg", "not an aggregate that is there" DO_IN_DATABASE},
    {"median", "not an aggregate that is there" DO_IN_DATABASE},
    {"stddev_pop", "not there; std() is the sample form" DO_IN_DATABASE},
    {"var_pop", "not there; var() is the sample form" DO_IN_DATABASE},
    {"row_number", "not there, nor are other window functions; numbers come "
                   "from a sequence node"},
    {"regexp_replace", NO_PATTERNS},
    {"regexp_match", NO_PATTERNS},
    {"regexp_matches", NO_PATTERNS},
    {"regexp_like", NO_PATTERNS},
    {"regexp_substr", NO_PATTERNS},
    {"random", "not there: the same document gives the same rows each time"},
    {"rand", "not there: the same document gives the same rows each time"},
    {"exists", "not there: an expression has no queries inside; join nodes "
               "bring rows together"},
    {"any", "not there; write value in (a, b, c)"},
    {"all", "not there; write the comparisons out, joined with \"and\""},
    {"some", "not there; write value in (a, b, c)"},
    {"values", "not there: an expression has no queries inside"},
    {"row", "not there: an expression is one value"},
    {"array", "not there: arrays are no values of expressions"},
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

const struct expr_function *expr_functions(size_t *ret_count)
{
    *ret_count = COUNT(functions);
    return functions;
}

static const char *pair_find(const struct pair *pairs, size_t count,
                             const char *word)
{
    for (size_t i = 0; i < count; i++) {
        if (strcasecmp(pairs[i].word, word) == 0)
            return pairs[i].text;
    }
    return NULL;
}

const struct expr_function *expr_function_find(const char *word)
{
    const char *name = pair_find(aliases, COUNT(aliases), word);
    if (name == NULL)
        name = word;
    if (strcasecmp(name, iif.name) == 0)
        return &iif;
    for (size_t i = 0; i < COUNT(functions); i++) {
        if (strcasecmp(functions[i].name, name) == 0)
            return &functions[i];
    }
    return NULL;
}

const char *expr_function_instead(const char *word)
{
    return pair_find(instead, COUNT(instead), word);
}

/* The candidate with the fewest slips of the pen, of which a short word has
 * room for fewer. */
static void consider(const char *word, const char *candidate,
                     const char **best_p, size_t *best_slips)
{
    size_t bytes = strlen(word);
    size_t allowed = bytes < 4 ? 1 : bytes < 8 ? 2 : 3;
    size_t slips = text_distance(word, candidate, true);
    if (slips <= allowed && slips < *best_slips) {
        *best_p = candidate;
        *best_slips = slips;
    }
}

const char *expr_function_near(const char *word)
{
    const char *best = NULL;
    size_t slips = SIZE_MAX;
    for (size_t i = 0; i < COUNT(functions); i++)
        consider(word, functions[i].name, &best, &slips);
    for (size_t i = 0; i < COUNT(aliases); i++)
        consider(word, aliases[i].word, &best, &slips);
    return best;
}

/* ---- types ----------------------------------------------------------- */

/* What may stand in parentheses behind a type's name. */
enum params { NOTHING, WIDTH, FLOAT, DIGITS, LENGTH, BYTES, FRACTION, ONE };

static const struct {
    const char *name; /* one space between words */
    const char *type;
    enum params params;
} types[] = {
    {"integer", "integer", WIDTH},
    {"int", "integer", WIDTH},
    {"int2", "integer", WIDTH},
    {"int4", "integer", WIDTH},
    {"int8", "integer", WIDTH},
    {"int16", "integer", NOTHING},
    {"int32", "integer", NOTHING},
    {"int64", "integer", NOTHING},
    {"smallint", "integer", WIDTH},
    {"small integer", "integer", NOTHING},
    {"bigint", "integer", WIDTH},
    {"biginteger", "integer", NOTHING},
    {"tinyint", "integer", WIDTH},
    {"mediumint", "integer", WIDTH},
    {"byteint", "integer", NOTHING},
    {"signed", "integer", NOTHING},
    {"unsigned", "integer", NOTHING},
    {"signed integer", "integer", NOTHING},
    {"unsigned integer", "integer", NOTHING},
    {"year", "integer", WIDTH},
    {"serial", "integer", NOTHING},
    {"serial2", "integer", NOTHING},
    {"serial4", "integer", NOTHING},
    {"serial8", "integer", NOTHING},
    {"smallserial", "integer", NOTHING},
    {"bigserial", "integer", NOTHING},

    {"double", "double", FLOAT},
    {"double precision", "double", FLOAT},
    {"float", "double", FLOAT},
    {"float4", "double", NOTHING},
    {"float8", "double", NOTHING},
    {"float32", "double", NOTHING},
    {"float64", "double", NOTHING},
    {"real", "double", FLOAT},

    {"decimal", "decimal", DIGITS},
    {"dec", "decimal", DIGITS},
    {"numeric", "decimal", DIGITS},
    {"number", "decimal", DIGITS},
    {"fixed", "decimal", DIGITS},
    {"bigdecimal", "decimal", NOTHING},
    {"money", "decimal", NOTHING},
    {"smallmoney", "decimal", NOTHING},

    {"text", "text", LENGTH},
    {"string", "text", LENGTH},
    {"nstring", "text", LENGTH},
    {"varchar", "text", LENGTH},
    {"varchar2", "text", LENGTH},
    {"char", "text", LENGTH},
    {"char varying", "text", LENGTH},
    {"character", "text", LENGTH},
    {"character varying", "text", LENGTH},
    {"bpchar", "text", LENGTH},
    {"nchar", "text", LENGTH},
    {"nchar varying", "text", LENGTH},
    {"nvarchar", "text", LENGTH},
    {"nvarchar2", "text", LENGTH},
    {"national char", "text", LENGTH},
    {"national char varying", "text", LENGTH},
    {"national character", "text", LENGTH},
    {"national character varying", "text", LENGTH},
    {"ntext", "text", NOTHING},
    {"tinytext", "text", NOTHING},
    {"mediumtext", "text", NOTHING},
    {"longtext", "text", NOTHING},
    {"clob", "text", BYTES},
    {"nclob", "text", BYTES},
    {"character large object", "text", BYTES},

    {"boolean", "boolean", NOTHING},
    {"bool", "boolean", NOTHING},
    {"logical", "boolean", NOTHING},
    {"bit", "boolean", ONE},

    {"date", "date", NOTHING},

    {"timestamp", "timestamp", FRACTION},
    {"timestamp without time zone", "timestamp", FRACTION},
    {"timestamp_ntz", "timestamp", FRACTION},
    {"timestampntz", "timestamp", FRACTION},
    {"datetime", "timestamp", FRACTION},
    {"datetime2", "timestamp", FRACTION},
    {"smalldatetime", "timestamp", NOTHING},
    {"date/time", "timestamp", NOTHING},

    {"timestamptz", "timestamptz", FRACTION},
    {"timestamp with time zone", "timestamptz", FRACTION},
    {"timestamp with local time zone", "timestamptz", FRACTION},
    {"timestamp_tz", "timestamptz", FRACTION},
    {"timestamp_ltz", "timestamptz", FRACTION},
    {"timestampltz", "timestamptz", FRACTION},
    {"datetimeoffset", "timestamptz", FRACTION},

    {"bytes", "bytes", BYTES},
    {"bytea", "bytes", NOTHING},
    {"binary", "bytes", BYTES},
    {"binary varying", "bytes", BYTES},
    {"binary large object", "bytes", BYTES},
    {"varbinary", "bytes", BYTES},
    {"raw", "bytes", BYTES},
    {"image", "bytes", NOTHING},
    {"blob", "bytes", BYTES},
    {"tinyblob", "bytes", NOTHING},
    {"mediumblob", "bytes", NOTHING},
    {"longblob", "bytes", NOTHING},
};

enum {
    TYPE_NAME_MAX = 64,
    DECIMAL_PRECISION_MAX = 1000,
    FRACTION_DIGITS_MAX = 9,
};

/* A type's name taken apart: its words, and what is in parentheses. */
struct type_text {
    char words[TYPE_NAME_MAX + 1];
    long params[2];
    int param_count;
    bool max; /* varchar(max) */
};

/* Bytes of white space at text, the no-break space among it; 0: none. */
static size_t space_at(const char *text)
{
    if (*text == ' ' || (*text >= '\t' && *text <= '\r'))
        return 1;
    return strncmp(text, "\xc2\xa0", 2) == 0 ? 2 : 0;
}

static const char *skip_space(const char *text)
{
    size_t bytes;
    while ((bytes = space_at(text)) > 0)
        text += bytes;
    return text;
}

static bool add_letter(struct type_text *text, char c)
{
    size_t used = strlen(text->words);
    if (used == TYPE_NAME_MAX)
        return false;
    text->words[used] = c;
    text->words[used + 1] = '\0';
    return true;
}

/* (n), (n, m), (max), (n char), (n byte). NULL: none of these. */
static const char *read_params(const char *at, struct type_text *text)
{
    at = skip_space(at + 1);
    if (strncasecmp(at, "max", 3) == 0) {
        text->max = true;
        at = skip_space(at + 3);
        return *at == ')' ? at + 1 : NULL;
    }
    for (;;) {
        long value = 0;
        if (*at < '0' || *at > '9' || text->param_count == 2)
            return NULL;
        for (; *at >= '0' && *at <= '9'; at++) {
            value = value * 10 + (*at - '0');
            if (value > INT32_MAX)
                return NULL;
        }
        text->params[text->param_count++] = value;
        at = skip_space(at);
        if (strncasecmp(at, "char", 4) == 0 || strncasecmp(at, "byte", 4) == 0)
            at = skip_space(at + 4);
        if (*at == ')')
            return at + 1;
        if (*at != ',')
            return NULL;
        at = skip_space(at + 1);
    }
}

static bool take_apart(const char *name, struct type_text *text)
{
    *text = (struct type_text){0};
    bool params = false;
    for (const char *at = skip_space(name); *at != '\0';) {
        const char *next = skip_space(at);
        if (*next == '(') {
            if (params || (at = read_params(next, text)) == NULL)
                return false;
            params = true;
            next = skip_space(at);
            if (*next != '\0' && !add_letter(text, ' '))
                return false;
        } else if (next > at) {
            if (*next != '\0' && !add_letter(text, ' '))
                return false;
        } else {
            char c = *at;
            if (c >= 'A' && c <= 'Z')
                c = (char)(c | 0x20);
            if (!add_letter(text, c))
                return false;
            next = at + 1;
        }
        at = next;
    }
    return true;
}

/* MySQL has these behind the name of a number; the values are the same. */
static bool drop_suffixes(char *words)
{
    static const char *const suffixes[] = {" zerofill", " unsigned", " signed"};
    bool dropped = false;
    for (size_t i = 0; i < COUNT(suffixes); i++) {
        size_t bytes = strlen(words);
        size_t suffix = strlen(suffixes[i]);
        if (bytes > suffix &&
            strcmp(words + bytes - suffix, suffixes[i]) == 0) {
            words[bytes - suffix] = '\0';
            dropped = true;
        }
    }
    return dropped;
}

static bool params_fit(enum params allowed, const struct type_text *text,
                       struct expr_type_parts *parts)
{
    int count = text->param_count;
    long first = text->params[0];
    long second = text->params[1];

    if (text->max)
        return allowed == LENGTH || allowed == BYTES;
    if (count == 0)
        return true;
    switch (allowed) {
    case NOTHING:
        return false;
    case WIDTH:
        return count == 1;
    case FLOAT:
        return true;
    case BYTES:
        return count == 1 && first >= 1;
    case ONE:
        return count == 1 && first == 1;
    case LENGTH:
        parts->length = (int)first;
        return count == 1 && first >= 1;
    case FRACTION:
        parts->fraction = (int)first;
        return count == 1 && first <= FRACTION_DIGITS_MAX;
    case DIGITS:
        parts->precision = (int)first;
        parts->scale = (int)second;
        return first >= 1 && first <= DECIMAL_PRECISION_MAX && second <= first;
    }
    return false;
}

bool expr_type_read(const char *name, struct expr_type_parts *ret_parts)
{
    struct type_text text;
    if (name == NULL || !take_apart(name, &text))
        return false;
    bool number = drop_suffixes(text.words);
    for (size_t i = 0; i < COUNT(types); i++) {
        if (strcmp(types[i].name, text.words) != 0)
            continue;
        struct expr_type_parts parts = {types[i].type, -1, -1, -1, -1};
        if (number && types[i].params != WIDTH && types[i].params != FLOAT &&
            types[i].params != DIGITS)
            return false;
        if (!params_fit(types[i].params, &text, &parts))
            return false;
        *ret_parts = parts;
        return true;
    }
    return false;
}

const char *expr_type(const char *name, int *ret_precision, int *ret_scale)
{
    struct expr_type_parts parts = {NULL, -1, -1, -1, -1};
    expr_type_read(name, &parts);
    *ret_precision = parts.precision;
    *ret_scale = parts.scale;
    return parts.type;
}

const char *expr_type_near(const char *word)
{
    const char *best = NULL;
    size_t slips = SIZE_MAX;
    for (size_t i = 0; i < COUNT(types); i++)
        consider(word, types[i].name, &best, &slips);
    return best;
}
