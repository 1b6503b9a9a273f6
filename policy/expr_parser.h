/*
 * expr_parser.h - what the parts of the parser share: where it is in the text,
 * and the nodes that it makes. Used by expr.c (operators, the grammar's top),
 * expr_forms.c (what has a beginning of its own) and expr_tree.c (nodes) only.
 *
 * Two counters bound the recursion: levels, of nodes that are being built
 * around where we are (each becomes a level of the tree), and parentheses that
 * leave no node behind.
 *
 * The first error stays and turns every further token into the end of the
 * text, so that everything returns by itself; a node whose json is NULL is what
 * is left of one, and may be handed to everything here.
 */
#ifndef POLICY_EXPR_PARSER_H
#define POLICY_EXPR_PARSER_H

#include "policy/expr_lex.h"
#include "policy/expr_literal.h"

struct parser {
    struct expr_lexer lexer;
    enum expr_use use;
    struct expr_token prev, tok; /* prev: TOKEN_END at the beginning */
    int levels, parens;
    bool in_aggregate;
    bool no_memory;
    char *scratch; /* as large as the text */
};

/* From loose to tight. What PostgreSQL calls other operators stands between
 * LIKE and +. */
enum precedence {
    PREC_ANY,
    PREC_OR,
    PREC_AND,
    PREC_NOT,
    PREC_IS,
    PREC_COMPARE,
    PREC_LIKE, /* between, in, like, ilike */
    PREC_CONCAT,
    PREC_ADD,
    PREC_MULTIPLY,
    PREC_SIGN,
};

struct node {
    json_t *json; /* NULL: failed */
    int depth, nodes;
    size_t at; /* where a limit that it exceeds is noted */
};

#define FAIL(p, at, ...) expr_fail(&(p)->lexer, at, __VA_ARGS__)

/* ---- tokens (expr_tree.c) --------------------------------------------- */

void parser_advance(struct parser *p);
/* Does this bare word stand here? It is lower-case. */
bool parser_at(const struct parser *p, const char *word);
/* Goes on if this stands here. */
bool parser_take(struct parser *p, enum expr_token_kind kind);
bool parser_take_word(struct parser *p, enum expr_word word);
/* Is it one of the words that only a case has? */
bool parser_of_case(const struct expr_token *tok);
/* The ")" of the "(" at open has to stand here. */
void parser_close(struct parser *p, size_t open);
/* What stands here does not go on with what went before. */
void parser_misplaced(struct parser *p);
void parser_no_memory(struct parser *p);

/* ---- nodes (expr_tree.c): they are taken, and so is value -------------- */

static const struct node no_node = {0};

void node_drop(struct node *n);
struct node node_new(struct parser *p, size_t at, const char *op);
struct node node_of(struct parser *p, size_t at, const char *op, json_t *value);
struct node node_one(struct parser *p, size_t at, const char *op,
                     struct node a);
struct node node_two(struct parser *p, size_t at, const char *op, struct node a,
                     struct node b);
struct node node_negated(struct parser *p, size_t at, bool negated,
                         struct node n);
/* "and" and "or" stay flat: what is one on either side gives its parts. */
struct node node_join(struct parser *p, size_t at, const char *op,
                      struct node left, struct node right);
/* A further operand; value: NULL when there was no memory for it. */
void node_append(struct parser *p, struct node *n, json_t *value);
void node_add(struct parser *p, struct node *n, struct node child);
/* n has so many nodes more, and is at least so deep. */
void node_grow(struct parser *p, struct node *n, int nodes, int depth);
bool node_is(const json_t *tree, const char *op);

/* ---- forms (expr_forms.c): begin at p->tok, unless said ----------------- */

struct node form_number(struct parser *p);
struct node form_text(struct parser *p);
/* first was taken; behind a "." is the column's own name. */
struct node form_column(struct parser *p, const struct expr_token *first);
/* The text of a literal whose first word, at at, was taken. */
struct node form_time(struct parser *p, size_t at, enum literal_time kind);
/* TIMESTAMP WITH TIME ZONE '...', from its second word on. */
struct node form_zoned(struct parser *p, size_t at);
struct node form_cast(struct parser *p);
/* The type's name stands at p->tok. */
struct node form_cast_to(struct parser *p, size_t at, struct node value);
struct node form_case(struct parser *p);
/* The name was taken, and p->tok is the "(". */
struct node form_call(struct parser *p, const struct expr_token *name);

/* An expression inside of a node that is being built (expr.c). */
struct node parser_inner(struct parser *p, enum precedence min);

#endif
