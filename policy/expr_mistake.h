/*
 * expr_mistake.h - what people mistype in expressions, and the sentence that
 * helps. Used by expr.c only, at the places where nothing it knows fits.
 *
 * prev is the token before, TOKEN_END when there is none; next the one that
 * does not fit. Errors: noted by expr_fail().
 */
#ifndef POLICY_EXPR_MISTAKE_H
#define POLICY_EXPR_MISTAKE_H

#include "policy/expr_lex.h"

/* A value or a condition has to stand where next stands. */
void expr_mistake_operand(struct expr_lexer *lexer,
                          const struct expr_token *prev,
                          const struct expr_token *next);
/* An expression is complete, and next neither goes on with it nor ends what
 * it is part of. */
void expr_mistake_operator(struct expr_lexer *lexer,
                           const struct expr_token *prev,
                           const struct expr_token *next);
/* There is no function of this name (lower-case letters or not). */
void expr_mistake_function(struct expr_lexer *lexer,
                           const struct expr_token *name, const char *word);

#endif
