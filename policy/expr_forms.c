/* expr_forms.c - literals, columns, casts, cases and calls: see expr_parser.h
 */
#include "policy/expr_parser.h"

#include "policy/expr_mistake.h"
#include "policy/expr_table.h"
#include "policy/text.h"

#include <stdio.h>
#include <string.h>

/* ---- literals and columns -------------------------------------------- */

struct node form_number(struct parser *p)
{
    struct expr_token tok = p->tok;
    int64_t integer;
    char decimal[LITERAL_NUMBER_MAX];

    parser_advance(p);
    switch (literal_number(p->lexer.text + tok.start, tok.end - tok.start,
                           &integer, decimal)) {
    case LITERAL_INTEGER:
        return node_of(p, tok.start, "int", json_integer(integer));
    case LITERAL_DECIMAL:
        return node_of(p, tok.start, "dec", json_string(decimal));
    case LITERAL_EXPONENT_TOO_LARGE:
        FAIL(p, tok.start, "a number's exponent goes from -%d to %d",
             LITERAL_EXPONENT_MAX, LITERAL_EXPONENT_MAX);
        break;
    case LITERAL_TOO_LONG:
        FAIL(p, tok.start, "a number has at most %d digits",
             LITERAL_DIGITS_MAX);
        break;
    }
    return no_node;
}

static json_t *unquoted(struct parser *p, const struct expr_token *tok)
{
    size_t bytes = expr_token_unquote(&p->lexer, tok, p->scratch);
    return json_stringn(p->scratch, bytes);
}

static json_t *name_of(struct parser *p, const struct expr_token *tok)
{
    if (tok->kind == TOKEN_NAME)
        return unquoted(p, tok);
    return json_stringn(p->lexer.text + tok->start, tok->end - tok->start);
}

struct node form_text(struct parser *p)
{
    struct expr_token tok = p->tok;
    parser_advance(p);
    return node_of(p, tok.start, "text", unquoted(p, &tok));
}

/* first was taken; behind a "." is the column's own name. */
struct node form_column(struct parser *p, const struct expr_token *first)
{
    if (!parser_take(p, TOKEN_DOT))
        return node_of(p, first->start, "col", name_of(p, first));

    struct expr_token tok = p->tok;
    if (tok.kind != TOKEN_WORD && tok.kind != TOKEN_NAME) {
        FAIL(p, tok.kind == TOKEN_END ? p->prev.start : tok.start,
             "a column's name has to stand behind the \".\"");
        return no_node;
    }
    parser_advance(p);
    if (p->tok.kind == TOKEN_DOT)
        FAIL(p, p->tok.start,
             "a column is named by one table at most: table.column");
    else if (p->tok.kind == TOKEN_OPEN)
        FAIL(p, first->start,
             "a function's name has no \".\" in it; leave out what stands "
             "before it");
    struct node n = node_of(p, first->start, "col", name_of(p, &tok));
    node_append(p, &n, name_of(p, first));
    return n;
}

struct node form_time(struct parser *p, size_t at, enum literal_time kind)
{
    static const char *const ops[] = {"date", "timestamp", "timestamptz"};
    struct expr_token tok = p->tok;
    char time[LITERAL_TIME_MAX];
    char quoted[EXPR_QUOTE_MAX];

    parser_advance(p);
    size_t bytes = expr_token_unquote(&p->lexer, &tok, p->scratch);
    const char *wrong = literal_time(kind, p->scratch, bytes, time);
    if (wrong != NULL) {
        FAIL(p, tok.start, "%s %s", expr_token_quote(&p->lexer, &tok, quoted),
             wrong);
        return no_node;
    }
    return node_of(p, at, ops[kind], json_string(time));
}

/* TIMESTAMP WITH TIME ZONE '...', from its second word on. */
struct node form_zoned(struct parser *p, size_t at)
{
    enum literal_time kind =
        parser_at(p, "with") ? LITERAL_TIMESTAMPTZ : LITERAL_TIMESTAMP;
    parser_advance(p);
    bool time = parser_at(p, "time");
    if (time)
        parser_advance(p);
    if (time && parser_at(p, "zone")) {
        parser_advance(p);
        if (p->tok.kind == TOKEN_TEXT)
            return form_time(p, at, kind);
    }
    FAIL(p, at,
         "a moment is written TIMESTAMP WITH TIME ZONE "
         "'2024-01-31 10:00:00+02'");
    return no_node;
}

/* ---- casts ----------------------------------------------------------- */

enum { TYPE_TEXT_MAX = 128 };

/* Tokens of a type's name, one space between them; what is too long is no
 * type's name however it ends. */
static void type_take(struct parser *p, char text[TYPE_TEXT_MAX])
{
    text_append(text, TYPE_TEXT_MAX, "%s%.*s", text[0] == '\0' ? "" : " ",
                (int)(p->tok.end - p->tok.start), p->lexer.text + p->tok.start);
    parser_advance(p);
}

/* Words that only go on with a type. */
static void type_words(struct parser *p, char text[TYPE_TEXT_MAX])
{
    static const char *const words[] = {
        "precision", "varying", "unsigned", "signed", "zerofill",
        "integer",   "large",   "object",   "char",   "character",
        "with",      "without", "local",    "time",   "zone"};
    for (size_t i = 0; i < sizeof words / sizeof words[0];) {
        if (parser_at(p, words[i])) {
            type_take(p, text);
            i = 0;
        } else {
            i++;
        }
    }
}

static void bad_type(struct parser *p, const struct expr_token *tok,
                     const char *text)
{
    struct expr_token shown = *tok;
    struct expr_type_parts parts;
    char quoted[EXPR_QUOTE_MAX];
    char word[TYPE_TEXT_MAX];

    shown.end = p->prev.end;
    expr_token_quote(&p->lexer, &shown, quoted);
    size_t bytes = strcspn(text, "(");
    snprintf(word, sizeof word, "%.*s", (int)bytes, text);
    const char *near = expr_type_near(word);
    if (text[bytes] != '\0' && expr_type_read(word, &parts))
        FAIL(p, tok->start,
             "%s is not a type because of its parentheses; there are "
             "decimal(precision, scale) with a scale from 0 to the precision, "
             "and varchar(length)",
             quoted);
    else
        FAIL(p, tok->start,
             "%s is not a type to cast to%s%s%s; there are integer, decimal, "
             "double, text, boolean, date, timestamp, timestamptz and bytes",
             quoted, near != NULL ? "; did you mean \"" : "",
             near != NULL ? near : "", near != NULL ? "\"?" : "");
}

/* The type's name stands at p->tok. A length cuts, as in PostgreSQL. */
struct node form_cast_to(struct parser *p, size_t at, struct node value)
{
    struct expr_token tok = p->tok;
    struct expr_type_parts parts;
    char text[TYPE_TEXT_MAX] = "";

    if (tok.kind != TOKEN_WORD) {
        FAIL(p, tok.kind == TOKEN_END ? p->prev.start : tok.start,
             "a type has to stand behind %s: cast(value as integer), or "
             "value::integer",
             p->prev.word == WORD_AS ? "\"as\"" : "\"::\"");
        node_drop(&value);
        return value;
    }
    type_take(p, text);
    type_words(p, text);
    if (p->tok.kind == TOKEN_OPEN) {
        size_t open = p->tok.start;
        type_take(p, text);
        while (p->tok.kind == TOKEN_NUMBER || p->tok.kind == TOKEN_COMMA ||
               p->tok.kind == TOKEN_WORD || p->tok.kind == TOKEN_MINUS)
            type_take(p, text);
        if (p->tok.kind == TOKEN_CLOSE)
            type_take(p, text);
        else
            parser_close(p, open);
        type_words(p, text);
    }
    if (p->lexer.failed || !expr_type_read(text, &parts)) {
        bad_type(p, &tok, text);
        node_drop(&value);
        return value;
    }
    if (parts.fraction >= 0 && parts.fraction < 6)
        FAIL(p, tok.start,
             "a cast keeps all of a time's fraction; leave out \"(%d)\"",
             parts.fraction);
    struct node n = node_one(p, at, "cast", value);
    node_append(p, &n, json_string(parts.type));
    if (parts.precision >= 0) {
        node_append(p, &n, json_integer(parts.precision));
        node_append(p, &n, json_integer(parts.scale));
    }
    if (parts.length < 0)
        return n;
    struct node cut = node_of(p, at, "call", json_string("left"));
    node_add(p, &cut, n);
    node_add(p, &cut, node_of(p, at, "int", json_integer(parts.length)));
    return cut;
}

struct node form_cast(struct parser *p)
{
    size_t at = p->tok.start;
    parser_advance(p);
    size_t open = p->tok.start;
    if (!parser_take(p, TOKEN_OPEN)) {
        FAIL(p, at,
             "\"cast\" is written cast(value as type); a column of this name "
             "goes into double quotes");
        return no_node;
    }
    struct node value = parser_inner(p, PREC_ANY);
    if (!parser_take_word(p, WORD_AS)) {
        if (p->tok.kind == TOKEN_END)
            FAIL(p, open, "this \"(\" is never closed");
        else
            FAIL(p, p->tok.start,
                 "\"as\" and a type have to stand here: cast(value as type)");
        node_drop(&value);
        return value;
    }
    struct node n = form_cast_to(p, at, value);
    parser_close(p, open);
    return n;
}

/* ---- case ------------------------------------------------------------ */

#define CASE_SHAPE "it is written case when condition then value else value end"

static struct node copy_of(struct parser *p, const struct node *n)
{
    struct node copy = *n;
    copy.json = n->json == NULL ? NULL : json_deep_copy(n->json);
    if (n->json != NULL && copy.json == NULL)
        parser_no_memory(p);
    return copy;
}

/* at: the word that goes without the wanted one. */
static void fail_in_case(struct parser *p, size_t at, const char *wanted)
{
    char quoted[EXPR_QUOTE_MAX];
    if (p->tok.kind == TOKEN_END || p->tok.kind == TOKEN_SEMICOLON)
        FAIL(p, at, "this lacks its \"%s\"; " CASE_SHAPE, wanted);
    else if (parser_of_case(&p->tok) || p->tok.kind == TOKEN_CLOSE ||
             p->tok.kind == TOKEN_COMMA)
        FAIL(p, p->tok.start, "%s stands where \"%s\" has to; " CASE_SHAPE,
             expr_token_quote(&p->lexer, &p->tok, quoted), wanted);
    else
        parser_misplaced(p);
}

/* when condition then value, into pairs; n counts them. */
static void parse_branch(struct parser *p, struct node *n, json_t *pairs,
                         const struct node *subject)
{
    size_t at = p->tok.start;
    parser_advance(p);
    struct node condition = parser_inner(p, PREC_ANY);
    if (subject->json != NULL)
        condition = node_two(p, at, "eq", copy_of(p, subject), condition);
    if (!parser_take_word(p, WORD_THEN))
        fail_in_case(p, at, "then");
    struct node value = parser_inner(p, PREC_ANY);

    json_t *pair = json_array();
    struct node both = {.json = pair, .at = at, .depth = 0, .nodes = 0};
    if (pair == NULL)
        parser_no_memory(p);
    node_add(p, &both, condition);
    node_add(p, &both, value);
    if (both.json == NULL) {
        node_drop(n);
    } else if (json_array_append_new(pairs, both.json) != 0) {
        parser_no_memory(p);
        node_drop(n);
    } else if (n->json != NULL) {
        node_grow(p, n, both.nodes, both.depth);
    }
}

struct node form_case(struct parser *p)
{
    size_t at = p->tok.start;
    struct node n = node_new(p, at, "case");
    struct node subject = no_node;
    json_t *pairs = json_array();
    if (pairs == NULL)
        parser_no_memory(p);

    parser_advance(p);
    if (p->tok.word != WORD_WHEN)
        subject = parser_inner(p, PREC_ANY);
    if (p->tok.word != WORD_WHEN)
        fail_in_case(p, at, "when");
    while (!p->lexer.failed && p->tok.word == WORD_WHEN)
        parse_branch(p, &n, pairs, &subject);
    node_drop(&subject);

    node_append(p, &n, pairs);
    if (parser_take_word(p, WORD_ELSE))
        node_add(p, &n, parser_inner(p, PREC_ANY));
    else
        node_add(p, &n, node_new(p, at, "null"));
    if (!parser_take_word(p, WORD_END))
        fail_in_case(p, at, "end");
    return n;
}

/* ---- functions ------------------------------------------------------- */

static void bad_count(struct parser *p, const struct expr_token *name,
                      const struct expr_function *function, size_t count)
{
    int min = function->args_min;
    int max = function->args_max;
    const char *hint = "";
    char range[40];

    if (strcmp(function->name, "count") == 0 && count == 0)
        hint = "; rows are counted by count(*)";
    else if (strcmp(function->name, "min") == 0 && count > 1)
        hint = "; the smallest of several values is least(a, b)";
    else if (strcmp(function->name, "max") == 0 && count > 1)
        hint = "; the largest of several values is greatest(a, b)";
    if (max == 0)
        snprintf(range, sizeof range, "no arguments");
    else if (min == max)
        snprintf(range, sizeof range, "%d argument%s", min, min > 1 ? "s" : "");
    else
        snprintf(range, sizeof range, "%d %s %d arguments", min,
                 max == min + 1 ? "or" : "to", max);
    FAIL(p, name->start, "%.*s() takes %s, not %zu%s",
         (int)(name->end - name->start), p->lexer.text + name->start, range,
         count, hint);
}

/* The arguments and the ")" into n; how many. */
static size_t parse_arguments(struct parser *p, struct node *n, size_t open)
{
    size_t count = 0;
    if (parser_take(p, TOKEN_CLOSE))
        return 0;
    do {
        node_add(p, n, parser_inner(p, PREC_ANY));
        count++;
    } while (!p->lexer.failed && parser_take(p, TOKEN_COMMA));
    if (p->tok.word == WORD_FROM || parser_at(p, "for"))
        FAIL(p, p->tok.start,
             "the arguments of a function are separated by commas: "
             "substr(text, 1, 3)");
    parser_close(p, open);
    return count;
}

static struct node parse_aggregate(struct parser *p,
                                   const struct expr_token *name,
                                   const struct expr_function *function,
                                   size_t open)
{
    int shown = (int)(name->end - name->start);
    const char *text = p->lexer.text + name->start;

    if (p->use != EXPR_AGGREGATE)
        FAIL(p, name->start,
             "%.*s() makes one value out of many rows, which only an aggregate "
             "node can do",
             shown, text);
    else if (p->in_aggregate)
        FAIL(p, name->start,
             "%.*s() cannot stand inside of another aggregate function; two "
             "aggregate nodes, one after the other, can do that",
             shown, text);

    bool counts = strcmp(function->name, "count") == 0;
    struct node n = node_of(p, name->start, "agg", json_string(function->name));
    bool distinct = parser_take_word(p, WORD_DISTINCT);
    node_append(p, &n, json_boolean(distinct));
    if (p->tok.kind == TOKEN_STAR && counts && !distinct) {
        parser_advance(p);
        parser_close(p, open);
        return n;
    }
    if (p->tok.kind == TOKEN_STAR)
        FAIL(p, p->tok.start,
             "\"*\" stands only in count(*); name a column here");
    p->in_aggregate = true;
    size_t count = parse_arguments(p, &n, open);
    p->in_aggregate = false;
    if (count != 1)
        bad_count(p, name, function, count);
    return n;
}

/* iif(condition, a, b), of which n is the call. */
static struct node as_case(struct parser *p, size_t at, struct node n)
{
    if (p->lexer.failed || n.json == NULL) {
        node_drop(&n);
        return n;
    }
    json_t *tree =
        json_pack("[s,[[O,O]],O]", "case", json_array_get(n.json, 2),
                  json_array_get(n.json, 3), json_array_get(n.json, 4));
    json_decref(n.json);
    n.json = tree;
    n.at = at;
    if (tree == NULL)
        parser_no_memory(p);
    return n;
}

/* The name was taken, and p->tok is the "(". */
struct node form_call(struct parser *p, const struct expr_token *name)
{
    size_t open = p->tok.start;
    char word[TEXT_WORD_MAX + 2]; /* longer than any when it is cut */
    snprintf(word, sizeof word, "%.*s",
             (int)(name->end - name->start < sizeof word
                       ? name->end - name->start
                       : sizeof word - 1),
             p->lexer.text + name->start);

    const struct expr_function *function = expr_function_find(word);
    if (function == NULL) {
        expr_mistake_function(&p->lexer, name, word);
        return no_node;
    }
    parser_advance(p);
    if (function->aggregate)
        return parse_aggregate(p, name, function, open);

    struct node n =
        node_of(p, name->start, "call", json_string(function->name));
    size_t count = parse_arguments(p, &n, open);
    if (count < (size_t)function->args_min ||
        count > (size_t)function->args_max)
        bad_count(p, name, function, count);
    return strcmp(function->name, "iif") == 0 ? as_case(p, name->start, n) : n;
}
