/* expr_mistake.c - see expr_mistake.h */
#include "policy/expr_mistake.h"

#include "policy/expr_table.h"
#include "policy/text.h"

#include <string.h>

struct hint {
    const char *word, *what;
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

#define STATEMENT                                                              \
    "an expression is one value or one condition, not a statement: "           \
    "\"where\", "                                                              \
    "\"order by\", \"group by\" and the like are said by nodes of their own"
#define WINDOW "there are no window functions; a sequence node numbers rows"
#define PATTERN                                                                \
    "there are no regular expressions; \"like\" and \"ilike\" compare with a " \
    "pattern of % and _"
#define QUERY                                                                  \
    "there are no queries inside of an expression; a join node brings rows "   \
    "together, an extract node has its own sql"
#define NO_CASE                                                                \
    "this belongs to a \"case\" that does not begin here: case when "          \
    "condition "                                                               \
    "then value else value end"

static const char *hint_for(const struct expr_lexer *lexer,
                            const struct expr_token *token,
                            const struct hint *hints, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (expr_token_is(lexer, token, hints[i].word))
            return hints[i].what;
    }
    return NULL;
}

/* The copy is cut: a longer word is no function's or type's name. */
static const char *word_of(const struct expr_lexer *lexer,
                           const struct expr_token *token,
                           char buf[TEXT_WORD_MAX + 1])
{
    size_t bytes = token->end - token->start;
    if (bytes > TEXT_WORD_MAX)
        bytes = TEXT_WORD_MAX;
    memcpy(buf, lexer->text + token->start, bytes);
    buf[bytes] = '\0';
    return buf;
}

/* ---- no operand ------------------------------------------------------ */

static bool is_comparison(const struct expr_token *token)
{
    return token->kind >= TOKEN_EQ && token->kind <= TOKEN_GE;
}

static const char *wanted_after(const struct expr_token *prev)
{
    bool condition = prev->word == WORD_AND || prev->word == WORD_OR ||
                     prev->word == WORD_NOT || prev->word == WORD_WHEN;
    return condition ? "condition" : "value";
}

/* Words of the language that are fine names of columns elsewhere. */
static bool may_be_name(const struct expr_token *token)
{
    return token->kind == TOKEN_WORD && token->word != WORD_AND &&
           token->word != WORD_OR && token->word != WORD_NOT &&
           token->word != WORD_SELECT;
}

static void at_the_end(struct expr_lexer *lexer, const struct expr_token *prev)
{
    char buf[EXPR_QUOTE_MAX];
    if (prev->kind == TOKEN_END)
        expr_fail(lexer, 0,
                  "the expression is empty; a value or a condition has to "
                  "stand here");
    else if (prev->kind == TOKEN_OPEN)
        expr_fail(lexer, prev->start,
                  "this \"(\" is followed by nothing, and never closed");
    else
        expr_fail(lexer, prev->start,
                  "%s is followed by nothing; a %s has to stand there",
                  expr_token_quote(lexer, prev, buf), wanted_after(prev));
}

void expr_mistake_operand(struct expr_lexer *lexer,
                          const struct expr_token *prev,
                          const struct expr_token *next)
{
    char first[EXPR_QUOTE_MAX];
    char second[EXPR_QUOTE_MAX];
    size_t at = next->start;

    if (next->kind == TOKEN_END ||
        (next->kind == TOKEN_SEMICOLON && prev->kind == TOKEN_END)) {
        at_the_end(lexer, prev);
        return;
    }
    expr_token_quote(lexer, prev, first);
    expr_token_quote(lexer, next, second);
    if (next->word == WORD_SELECT)
        expr_fail(lexer, at, "%s", QUERY);
    else if (next->word == WORD_DISTINCT)
        expr_fail(lexer, at,
                  "\"distinct\" stands only first in an aggregate function, as "
                  "in count(distinct x); a column of this name is written "
                  "\"distinct\" with its quotes");
    else if (next->kind == TOKEN_STAR &&
             (prev->kind == TOKEN_OPEN || prev->kind == TOKEN_END ||
              prev->kind == TOKEN_COMMA))
        expr_fail(lexer, at,
                  "\"*\" is no value: it multiplies two of them, and counts "
                  "rows in count(*)");
    else if (prev->kind == TOKEN_END)
        expr_fail(lexer, at, "an expression cannot begin with %s%s", second,
                  may_be_name(next)
                      ? "; a column of this name goes into double quotes"
                      : "");
    else if (prev->kind == TOKEN_OPEN && next->kind == TOKEN_CLOSE)
        expr_fail(lexer, at, "there is nothing between these parentheses");
    else if (is_comparison(prev) && is_comparison(next))
        expr_fail(lexer, at,
                  "%s is followed by %s; there are =, !=, <>, <, <=, > and >=, "
                  "written without a space",
                  first, second);
    else if (may_be_name(next))
        expr_fail(lexer, at,
                  "%s is followed by %s; a %s has to stand between them; a "
                  "column of this name goes into double quotes",
                  first, second, wanted_after(prev));
    else
        expr_fail(lexer, at,
                  "%s is followed by %s; a %s has to stand between them", first,
                  second, wanted_after(prev));
}

/* ---- no operator ----------------------------------------------------- */

static const struct hint next_hints[] = {
    {"where", STATEMENT},
    {"from", STATEMENT},
    {"order", STATEMENT},
    {"group", STATEMENT},
    {"having", STATEMENT},
    {"limit", STATEMENT},
    {"offset", STATEMENT},
    {"union", STATEMENT},
    {"join", STATEMENT},
    {"select", QUERY},
    {"asc", "the order of rows is said by a sort node"},
    {"desc", "the order of rows is said by a sort node"},
    {"over", WINDOW},
    {"within", WINDOW},
    {"filter", "an aggregate over some of the rows is written with a case: "
               "sum(case when condition then x end)"},
    {"collate", "there are no collations to choose: text compares byte by "
                "byte; lower() or upper() on both sides ignores case"},
    {"at", "there is no \"at time zone\"; add_to_date() moves a time"},
    {"regexp", PATTERN},
    {"rlike", PATTERN},
    {"similar", PATTERN},
    {"match", PATTERN},
    {"glob", PATTERN},
    {"contains", "\"contains\" is written like '%text%'"},
    {"mod", "the remainder is written a % b or mod(a, b)"},
    {"div", "\"div\" is written \"/\": whole numbers give a whole number"},
    {"xor", "\"xor\" is written with \"!=\" between two conditions in "
            "parentheses"},
    {"isnull", "\"isnull\" is written \"is null\""},
    {"notnull", "\"notnull\" is written \"is not null\""},
    {"as", "the name of a result stands beside the expression, not in it; "
           "leave out \"as\" and what follows"},
    {"then", NO_CASE},
    {"when", NO_CASE},
    {"else", NO_CASE},
    {"end", NO_CASE},
    {"elsif", "another branch of a case begins with \"when\""},
    {"elseif", "another branch of a case begins with \"when\""},
    {"escape", "\"escape\" stands only behind the pattern of a like"},
    {"equals", "\"equals\" is written \"=\""},
};

static const struct hint prev_hints[] = {
    {"where", "leave out \"where\": only the condition itself belongs here"},
    {"order", STATEMENT},
    {"group", STATEMENT},
    {"insert", STATEMENT},
    {"update", STATEMENT},
    {"delete", STATEMENT},
    {"drop", STATEMENT},
    {"create", STATEMENT},
    {"with", STATEMENT},
    {"both", "write trim(text, characters), with commas"},
    {"leading", "write ltrim(text, characters), with commas"},
    {"trailing", "write rtrim(text, characters), with commas"},
    {"interval", "there are no intervals; write add_to_date(date, 'DD', 7)"},
    {"time", "a time of day alone is not a type here; with its date it is "
             "TIMESTAMP '2024-01-31 10:00:00'"},
    {"datetime", "a literal is written TIMESTAMP '2024-01-31 10:00:00'"},
    {"if", "\"if\" is written iif(condition, a, b), or case when condition "
           "then a else b "
           "end"},
};

void expr_mistake_operator(struct expr_lexer *lexer,
                           const struct expr_token *prev,
                           const struct expr_token *next)
{
    char first[EXPR_QUOTE_MAX];
    char second[EXPR_QUOTE_MAX];
    char word[TEXT_WORD_MAX + 1];
    size_t at = next->start;
    bool adjacent = prev->end == next->start;

    expr_token_quote(lexer, prev, first);
    expr_token_quote(lexer, next, second);
    const char *hint = hint_for(lexer, next, next_hints, COUNT(next_hints));
    if (hint == NULL && next->kind != TOKEN_CLOSE && next->kind != TOKEN_COMMA)
        hint = hint_for(lexer, prev, prev_hints, COUNT(prev_hints));
    if (hint != NULL) {
        expr_fail(lexer, at, "%s", hint);
        return;
    }

    if (next->kind == TOKEN_CLOSE)
        expr_fail(lexer, at, "this \")\" closes nothing");
    else if (next->kind == TOKEN_SEMICOLON)
        expr_fail(lexer, at,
                  "\";\" ends an expression, and here something follows; one "
                  "expression is all there can be");
    else if (next->kind == TOKEN_COMMA && prev->kind == TOKEN_NUMBER)
        expr_fail(lexer, at,
                  "a comma stands only in a list; a number has a point (1.5), "
                  "and conditions are joined with \"and\"");
    else if (next->kind == TOKEN_COMMA)
        expr_fail(lexer, at,
                  "a comma stands only between the arguments of a function and "
                  "in the list of an \"in\"; conditions are joined with "
                  "\"and\"");
    else if (next->kind == TOKEN_DOT)
        expr_fail(lexer, at,
                  "%s is followed by \".\"; only a table's name can be, before "
                  "one of its columns",
                  first);
    else if (prev->kind == TOKEN_NAME && next->kind == TOKEN_OPEN)
        expr_fail(lexer, at,
                  "%s is a column because of its quotes, and cannot be called; "
                  "a function's name has none",
                  first);
    else if (adjacent && (prev->kind == TOKEN_TEXT || prev->kind == TOKEN_NAME))
        expr_fail(lexer, at,
                  "%s is closed here, and followed by %s; inside of a text a ' "
                  "is written '', inside of a name a \" is \"\"",
                  first, second);
    else if (adjacent && prev->kind == TOKEN_WORD && next->kind == TOKEN_TEXT)
        expr_fail(lexer, at,
                  "%s stands right before a text; leave it out: there is only "
                  "one kind of text, and a backslash in it is just itself",
                  first);
    else if (prev->kind == TOKEN_WORD && next->kind != TOKEN_OPEN &&
             expr_function_find(word_of(lexer, prev, word)) != NULL)
        expr_fail(lexer, at,
                  "%s is followed by %s; a function has its arguments in "
                  "parentheses: %s(...)",
                  first, second, word);
    else if (next->word == WORD_NOT)
        expr_fail(lexer, at,
                  "%s is followed by \"not\"; there are \"is not null\", \"not "
                  "in\", \"not between\", \"not like\" and \"not ilike\"",
                  first);
    else if (prev->kind == TOKEN_WORD && next->kind == TOKEN_WORD)
        expr_fail(lexer, at,
                  "%s is followed by %s; an operator has to stand between "
                  "them, and a name with a space in it goes into double quotes",
                  first, second);
    else
        expr_fail(lexer, at,
                  "%s is followed by %s; an operator such as \"=\", \"+\" or "
                  "\"and\" has to stand between them",
                  first, second);
}

/* ---- no such function ------------------------------------------------ */

void expr_mistake_function(struct expr_lexer *lexer,
                           const struct expr_token *name, const char *word)
{
    char quoted[EXPR_QUOTE_MAX];
    struct expr_type_parts type;
    const char *text;

    expr_token_quote(lexer, name, quoted);
    if ((text = expr_function_instead(word)) != NULL)
        expr_fail(lexer, name->start, "%s is %s", quoted, text);
    else if (expr_type_read(word, &type))
        expr_fail(lexer, name->start,
                  "%s is a type, not a function; write cast(value as %s)",
                  quoted, type.type);
    else if ((text = expr_function_near(word)) != NULL)
        expr_fail(lexer, name->start,
                  "there is no function %s; did you mean \"%s\"?", quoted,
                  text);
    else
        expr_fail(lexer, name->start,
                  "there is no function %s; EXPRESSIONS.md lists those that "
                  "there are",
                  quoted);
}
