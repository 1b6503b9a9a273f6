/* expr_tree.c - tokens one by one, and nodes within their limits: see
 * expr_parser.h */
#include "policy/expr_parser.h"

#include "policy/expr_mistake.h"

#include <string.h>

/* ---- tokens ---------------------------------------------------------- */

void parser_advance(struct parser *p)
{
    p->prev = p->tok;
    expr_lex_next(&p->lexer, &p->tok);
}

bool parser_at(const struct parser *p, const char *word)
{
    return expr_token_is(&p->lexer, &p->tok, word);
}

bool parser_take_word(struct parser *p, enum expr_word word)
{
    if (p->tok.word != word)
        return false;
    parser_advance(p);
    return true;
}

bool parser_take(struct parser *p, enum expr_token_kind kind)
{
    if (p->tok.kind != kind)
        return false;
    parser_advance(p);
    return true;
}

void parser_misplaced(struct parser *p)
{
    expr_mistake_operator(&p->lexer, &p->prev, &p->tok);
}

bool parser_of_case(const struct expr_token *tok)
{
    return tok->word == WORD_WHEN || tok->word == WORD_THEN ||
           tok->word == WORD_ELSE || tok->word == WORD_END;
}

/* The ")" of the "(" at open. */
void parser_close(struct parser *p, size_t open)
{
    if (p->lexer.failed || parser_take(p, TOKEN_CLOSE))
        return;
    if (p->tok.kind == TOKEN_END || p->tok.kind == TOKEN_SEMICOLON ||
        parser_of_case(&p->tok))
        FAIL(p, open, "this \"(\" is never closed");
    else
        parser_misplaced(p);
}

/* ---- nodes ----------------------------------------------------------- */

void parser_no_memory(struct parser *p)
{
    p->no_memory = true;
    p->lexer.failed = true;
    p->tok.kind = TOKEN_END;
    p->tok.word = WORD_OTHER;
}

void node_drop(struct node *n)
{
    json_decref(n->json);
    n->json = NULL;
}

/* Takes value; NULL: there was no memory for it. */
void node_append(struct parser *p, struct node *n, json_t *value)
{
    if (n->json == NULL) {
        json_decref(value);
    } else if (json_array_append_new(n->json, value) != 0) {
        node_drop(n);
        parser_no_memory(p);
    }
}

struct node node_new(struct parser *p, size_t at, const char *op)
{
    struct node n = {.json = json_array(), .depth = 1, .nodes = 1, .at = at};
    if (n.json == NULL)
        parser_no_memory(p);
    node_append(p, &n, json_string(op));
    return n;
}

struct node node_of(struct parser *p, size_t at, const char *op, json_t *value)
{
    struct node n = node_new(p, at, op);
    node_append(p, &n, value);
    return n;
}

/* n grows by nodes, and is at least so deep. */
void node_grow(struct parser *p, struct node *n, int nodes, int depth)
{
    n->nodes += nodes;
    n->depth = depth > n->depth ? depth : n->depth;
    if (n->depth > EXPR_DEPTH_MAX)
        FAIL(p, n->at,
             "the expression is more than %d levels deep; put parentheses "
             "around parts of a long chain, or compute parts of it in columns "
             "of their own",
             EXPR_DEPTH_MAX);
    if (n->nodes > EXPR_NODES_MAX)
        FAIL(p, n->at,
             "the expression has more than %d parts; compute some of it in "
             "columns of their own, or join with a table of values",
             EXPR_NODES_MAX);
    if (p->lexer.failed)
        node_drop(n);
}

/* Takes the child. */
void node_add(struct parser *p, struct node *n, struct node child)
{
    if (child.json == NULL)
        node_drop(n);
    else
        node_append(p, n, child.json);
    if (n->json != NULL)
        node_grow(p, n, child.nodes, child.depth + 1);
}

struct node node_one(struct parser *p, size_t at, const char *op, struct node a)
{
    struct node n = node_new(p, at, op);
    node_add(p, &n, a);
    return n;
}

struct node node_two(struct parser *p, size_t at, const char *op, struct node a,
                     struct node b)
{
    struct node n = node_one(p, at, op, a);
    node_add(p, &n, b);
    return n;
}

struct node node_negated(struct parser *p, size_t at, bool negated,
                         struct node n)
{
    return negated ? node_one(p, at, "not", n) : n;
}

bool node_is(const json_t *tree, const char *op)
{
    const char *name = json_string_value(json_array_get(tree, 0));
    return name != NULL && strcmp(name, op) == 0;
}

/* "and" and "or" stay flat: what is one on either side gives its parts. */
struct node node_join(struct parser *p, size_t at, const char *op,
                      struct node left, struct node right)
{
    struct node n = left;
    if (left.json != NULL && node_is(left.json, op))
        n.at = at;
    else
        n = node_one(p, at, op, left);

    if (n.json == NULL || right.json == NULL || !node_is(right.json, op)) {
        node_add(p, &n, right);
        return n;
    }
    for (size_t i = 1; i < json_array_size(right.json); i++)
        node_append(p, &n, json_incref(json_array_get(right.json, i)));
    json_decref(right.json);
    if (n.json != NULL)
        node_grow(p, &n, right.nodes - 1, right.depth);
    return n;
}
