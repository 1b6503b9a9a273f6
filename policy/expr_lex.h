/*
 * expr_lex.h - the words of an expression: text to tokens, and where in the
 * text something is wrong. Used by expr.c only; expr.h is the door.
 *
 * Memory:  none; tokens are places in the text, which is borrowed.
 * Threads: none; pure.
 * Errors:  the first one stays in *error and sets failed; from then on every
 *          token is TOKEN_END.
 */
#ifndef POLICY_EXPR_LEX_H
#define POLICY_EXPR_LEX_H

#include "policy/expr.h"

enum expr_token_kind {
    TOKEN_END,
    TOKEN_WORD,   /* bare: a column, a function or a word of the language */
    TOKEN_NAME,   /* "in double quotes" */
    TOKEN_TEXT,   /* 'in single quotes' */
    TOKEN_NUMBER, /* 12 1.5 .5 1e6 */
    TOKEN_OPEN,
    TOKEN_CLOSE,
    TOKEN_COMMA,
    TOKEN_DOT,
    TOKEN_SEMICOLON,
    TOKEN_CAST,
    TOKEN_PLUS,
    TOKEN_MINUS,
    TOKEN_STAR,
    TOKEN_SLASH,
    TOKEN_PERCENT,
    TOKEN_CONCAT,
    TOKEN_EQ,
    TOKEN_NE,
    TOKEN_LT,
    TOKEN_LE,
    TOKEN_GT,
    TOKEN_GE,
};

/* Words that cannot be a column unless they are quoted. */
enum expr_word {
    WORD_OTHER,
    WORD_AND,
    WORD_AS,
    WORD_BETWEEN,
    WORD_CASE,
    WORD_CAST,
    WORD_DISTINCT,
    WORD_ELSE,
    WORD_END,
    WORD_FALSE,
    WORD_FROM,
    WORD_ILIKE,
    WORD_IN,
    WORD_IS,
    WORD_LIKE,
    WORD_NOT,
    WORD_NULL,
    WORD_OR,
    WORD_SELECT,
    WORD_THEN,
    WORD_TRUE,
    WORD_WHEN,
};

struct expr_token {
    enum expr_token_kind kind;
    enum expr_word word; /* of a TOKEN_WORD */
    size_t start, end;   /* bytes of the text, quotes included */
};

struct expr_lexer {
    const char *text;
    size_t bytes, pos;
    bool failed;
    struct expr_error *error;
};

/* Checks the text as a whole: size, UTF-8, no NUL. */
void expr_lex_begin(struct expr_lexer *lexer, const char *text, size_t bytes,
                    struct expr_error *error);
void expr_lex_next(struct expr_lexer *lexer, struct expr_token *ret_token);

/* Is it this bare word, in whatever case? word is lower-case. */
bool expr_token_is(const struct expr_lexer *lexer,
                   const struct expr_token *token, const char *word);
/* What stands between the quotes of a name or a text, doubled quotes made
 * single, NUL-terminated; buf has room for end - start bytes. The length. */
size_t expr_token_unquote(const struct expr_lexer *lexer,
                          const struct expr_token *token, char *buf);

/* The token for a message: "and", 'paid', "12"; cut when long, without control
 * characters. */
enum { EXPR_QUOTE_MAX = 160 };
const char *expr_token_quote(const struct expr_lexer *lexer,
                             const struct expr_token *token,
                             char buf[EXPR_QUOTE_MAX]);

/* Notes what is wrong at a byte of the text, unless something already is. */
void expr_fail(struct expr_lexer *lexer, size_t at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
