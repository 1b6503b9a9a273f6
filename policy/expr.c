/*
 * expr.c - see expr.h. Tokens come from expr_lex.c; this is the grammar's top:
 * a loop over operators by precedence, which is PostgreSQL's. What has a
 * beginning of its own is in expr_forms.c.
 *
 * It recurses, as expressions do, within the two counters of expr_parser.h.
 */
#include "policy/expr.h"

#include "policy/expr_mistake.h"
#include "policy/expr_parser.h"
#include "policy/text.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* NOLINTBEGIN(misc-no-recursion) */

static struct node parse_expr(struct parser *p, enum precedence min);

/* ---- what has a beginning of its own ---------------------------------- */

static struct node parse_word(struct parser *p)
{
    struct expr_token tok = p->tok;
    bool date = parser_at(p, "date");
    bool timestamp = parser_at(p, "timestamp");
    bool timestamptz = parser_at(p, "timestamptz");

    parser_advance(p);
    if (p->tok.kind == TOKEN_OPEN)
        return form_call(p, &tok);
    if (p->tok.kind == TOKEN_TEXT && (date || timestamp || timestamptz))
        return form_time(p, tok.start,
                         date        ? LITERAL_DATE
                         : timestamp ? LITERAL_TIMESTAMP
                                     : LITERAL_TIMESTAMPTZ);
    if (timestamp && (parser_at(p, "with") || parser_at(p, "without")))
        return form_zoned(p, tok.start);
    if (p->tok.kind != TOKEN_DOT &&
        (expr_token_is(&p->lexer, &tok, "current_timestamp") ||
         expr_token_is(&p->lexer, &tok, "systimestamp") ||
         expr_token_is(&p->lexer, &tok, "sysdate")))
        return node_of(p, tok.start, "call", json_string("systimestamp"));
    if (p->tok.kind != TOKEN_DOT &&
        expr_token_is(&p->lexer, &tok, "current_date")) {
        FAIL(p, tok.start,
             "\"current_date\" is written cast(systimestamp() as date)");
        return no_node;
    }
    return form_column(p, &tok);
}

static struct node parse_parens(struct parser *p)
{
    size_t open = p->tok.start;
    if (p->parens == EXPR_DEPTH_MAX) {
        FAIL(p, open, "more than %d parentheses stand inside of one another",
             EXPR_DEPTH_MAX);
        return no_node;
    }
    parser_advance(p);
    p->parens++;
    struct node n = parse_expr(p, PREC_ANY);
    p->parens--;
    if (p->tok.kind == TOKEN_COMMA)
        FAIL(p, p->tok.start,
             "a list in parentheses stands only behind \"in\" and behind a "
             "function's name");
    parser_close(p, open);
    return n;
}

static struct node parse_primary(struct parser *p)
{
    struct expr_token tok = p->tok;
    switch (tok.kind) {
    case TOKEN_NUMBER:
        return form_number(p);
    case TOKEN_TEXT:
        return form_text(p);
    case TOKEN_NAME:
        parser_advance(p);
        return form_column(p, &tok);
    case TOKEN_OPEN:
        return parse_parens(p);
    default:
        break;
    }
    if (tok.kind == TOKEN_WORD) {
        switch (tok.word) {
        case WORD_OTHER:
            return parse_word(p);
        case WORD_CASE:
            return form_case(p);
        case WORD_CAST:
            return form_cast(p);
        case WORD_NULL:
            parser_advance(p);
            return node_new(p, tok.start, "null");
        case WORD_TRUE:
        case WORD_FALSE:
            parser_advance(p);
            return node_of(p, tok.start, "bool",
                           json_boolean(tok.word == WORD_TRUE));
        default:
            break;
        }
    }
    expr_mistake_operand(&p->lexer, &p->prev, &p->tok);
    return no_node;
}

static struct node parse_prefix(struct parser *p)
{
    while (p->tok.kind == TOKEN_PLUS)
        parser_advance(p);

    size_t at = p->tok.start;
    if (parser_take(p, TOKEN_MINUS))
        return node_one(p, at, "neg", parser_inner(p, PREC_SIGN));
    if (parser_take_word(p, WORD_NOT))
        return node_one(p, at, "not", parser_inner(p, PREC_NOT));

    struct node n = parse_primary(p);
    while (p->tok.kind == TOKEN_CAST) {
        at = p->tok.start;
        parser_advance(p);
        n = form_cast_to(p, at, n);
    }
    return n;
}

/* ---- operators ------------------------------------------------------- */

static const struct infix {
    enum expr_token_kind kind; /* TOKEN_WORD: word */
    enum expr_word word;
    enum precedence precedence;
    const char *op; /* NULL: has a form of its own */
} operators[] = {
    {TOKEN_WORD, WORD_OR, PREC_OR, "or"},
    {TOKEN_WORD, WORD_AND, PREC_AND, "and"},
    {TOKEN_WORD, WORD_IS, PREC_IS, NULL},
    {TOKEN_EQ, WORD_OTHER, PREC_COMPARE, "eq"},
    {TOKEN_NE, WORD_OTHER, PREC_COMPARE, "ne"},
    {TOKEN_LT, WORD_OTHER, PREC_COMPARE, "lt"},
    {TOKEN_LE, WORD_OTHER, PREC_COMPARE, "le"},
    {TOKEN_GT, WORD_OTHER, PREC_COMPARE, "gt"},
    {TOKEN_GE, WORD_OTHER, PREC_COMPARE, "ge"},
    {TOKEN_WORD, WORD_NOT, PREC_LIKE, NULL},
    {TOKEN_WORD, WORD_IN, PREC_LIKE, NULL},
    {TOKEN_WORD, WORD_BETWEEN, PREC_LIKE, NULL},
    {TOKEN_WORD, WORD_LIKE, PREC_LIKE, NULL},
    {TOKEN_WORD, WORD_ILIKE, PREC_LIKE, NULL},
    {TOKEN_CONCAT, WORD_OTHER, PREC_CONCAT, "concat"},
    {TOKEN_PLUS, WORD_OTHER, PREC_ADD, "add"},
    {TOKEN_MINUS, WORD_OTHER, PREC_ADD, "sub"},
    {TOKEN_STAR, WORD_OTHER, PREC_MULTIPLY, "mul"},
    {TOKEN_SLASH, WORD_OTHER, PREC_MULTIPLY, "div"},
    {TOKEN_PERCENT, WORD_OTHER, PREC_MULTIPLY, "mod"},
};

static const struct infix *operator_at(const struct parser *p)
{
    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++) {
        if (operators[i].kind == p->tok.kind &&
            operators[i].word == p->tok.word)
            return &operators[i];
    }
    return NULL;
}

/* is [not] null, unknown, true, false, distinct from. TRUE and FALSE are never
 * NULL as results, which is what "distinct" says. *ret_last: as in
 * parse_expr(). */
static struct node parse_is(struct parser *p, struct node left,
                            enum precedence *ret_last)
{
    size_t at = p->tok.start;
    parser_advance(p);
    bool negated = parser_take_word(p, WORD_NOT);
    bool truth = p->tok.word == WORD_TRUE;

    *ret_last = PREC_ANY;
    if (p->tok.word == WORD_NULL || parser_at(p, "unknown")) {
        parser_advance(p);
        return node_negated(p, at, negated, node_one(p, at, "isnull", left));
    }
    if (truth || p->tok.word == WORD_FALSE) {
        parser_advance(p);
        struct node constant = node_of(p, at, "bool", json_boolean(truth));
        return node_negated(p, at, !negated,
                            node_two(p, at, "distinct", left, constant));
    }
    if (parser_take_word(p, WORD_DISTINCT) && parser_take_word(p, WORD_FROM)) {
        *ret_last = PREC_IS;
        struct node right = parser_inner(p, PREC_IS + 1);
        return node_negated(p, at, negated,
                            node_two(p, at, "distinct", left, right));
    }
    FAIL(p, p->tok.kind == TOKEN_END ? p->prev.start : p->tok.start,
         "behind \"is\" stands [not] null, true, false, unknown or distinct "
         "from a value; values are compared with \"=\"");
    node_drop(&left);
    return left;
}

static struct node parse_in(struct parser *p, size_t at, struct node left)
{
    struct node n = node_one(p, at, "in", left);
    size_t open = p->tok.start;
    if (!parser_take(p, TOKEN_OPEN)) {
        FAIL(p, at,
             "a list in parentheses has to stand behind \"in\": in ('a', 'b')");
        node_drop(&n);
        return n;
    }
    if (p->tok.kind == TOKEN_CLOSE)
        FAIL(p, open,
             "the list behind \"in\" is empty; it has to have a value at "
             "least");
    do {
        node_add(p, &n, parser_inner(p, PREC_ANY));
    } while (!p->lexer.failed && parser_take(p, TOKEN_COMMA));
    parser_close(p, open);
    return n;
}

static struct node parse_between(struct parser *p, size_t at, struct node left)
{
    struct node n = node_one(p, at, "between", left);
    node_add(p, &n, parser_inner(p, PREC_LIKE + 1));
    if (!parser_take_word(p, WORD_AND)) {
        FAIL(p, p->tok.kind == TOKEN_END ? at : p->tok.start,
             "\"between\" needs two values with \"and\" in the middle: x "
             "between 1 and 10");
        node_drop(&n);
        return n;
    }
    node_add(p, &n, parser_inner(p, PREC_LIKE + 1));
    return n;
}

/* One character, or none. */
static struct node parse_escape(struct parser *p)
{
    struct node escape = no_node;
    size_t at = p->tok.start;
    if (p->tok.kind == TOKEN_TEXT)
        escape = form_text(p);
    const json_t *value = json_array_get(escape.json, 1);
    size_t bytes = json_string_length(value);
    if (value == NULL ||
        (bytes > 0 && text_utf8_len(json_string_value(value), bytes) != bytes))
        FAIL(p, at, "an escape is one character in quotes, as in escape '!'");
    return escape;
}

static struct node parse_like(struct parser *p, size_t at, const char *op,
                              struct node left)
{
    struct node n = node_one(p, at, op, left);
    node_add(p, &n, parser_inner(p, PREC_LIKE + 1));
    if (parser_at(p, "escape")) {
        parser_advance(p);
        node_add(p, &n, parse_escape(p));
    }
    return n;
}

/* [not] in, between, like, ilike. */
static struct node parse_match(struct parser *p, struct node left,
                               enum precedence *ret_last)
{
    struct expr_token before = p->prev;
    struct expr_token tok = p->tok;
    size_t at = tok.start;
    bool negated = parser_take_word(p, WORD_NOT);
    enum expr_word word = p->tok.word;

    *ret_last = PREC_LIKE;
    if (word != WORD_IN && word != WORD_BETWEEN && word != WORD_LIKE &&
        word != WORD_ILIKE) {
        expr_mistake_operator(&p->lexer, &before, &tok);
        node_drop(&left);
        return left;
    }
    parser_advance(p);
    struct node n;
    if (word == WORD_IN) {
        n = parse_in(p, at, left);
        *ret_last = PREC_ANY;
    } else if (word == WORD_BETWEEN) {
        n = parse_between(p, at, left);
    } else {
        n = parse_like(p, at, word == WORD_LIKE ? "like" : "ilike", left);
    }
    return node_negated(p, at, negated, n);
}

static void bad_chain(struct parser *p, const struct node *left)
{
    size_t at = p->tok.start;
    if (operator_at(p)->precedence != PREC_COMPARE)
        FAIL(p, at,
             "two of \"like\", \"in\", \"between\" and \"is distinct from\" in "
             "a row need parentheses around one of them");
    else if (node_is(json_array_get(left->json, 1), "concat") ||
             node_is(json_array_get(left->json, 2), "concat"))
        FAIL(p, at,
             "a comparison cannot be compared without parentheses; \"||\" puts "
             "texts together, conditions are joined with \"or\"");
    else
        FAIL(p, at,
             "a comparison cannot be compared without parentheses; two "
             "comparisons are joined with \"and\": 1 < x and x < 10");
}

/* Everything that binds at least as tight as min. */
static struct node parse_expr(struct parser *p, enum precedence min)
{
    struct node left = parse_prefix(p);
    /* The operator that made left, if it does not go on with its like. */
    enum precedence last = PREC_ANY;
    const struct infix *op;

    while (!p->lexer.failed && (op = operator_at(p)) != NULL &&
           op->precedence >= min) {
        size_t at = p->tok.start;
        if (op->precedence == last) {
            bad_chain(p, &left);
            break;
        }
        if (op->precedence == PREC_IS) {
            left = parse_is(p, left, &last);
            continue;
        }
        if (op->precedence == PREC_LIKE) {
            left = parse_match(p, left, &last);
            continue;
        }
        parser_advance(p);
        struct node right = parser_inner(p, op->precedence + 1);
        if (op->precedence <= PREC_AND)
            left = node_join(p, at, op->op, left, right);
        else
            left = node_two(p, at, op->op, left, right);
        last = op->precedence == PREC_COMPARE ? PREC_COMPARE : PREC_ANY;
    }
    if (p->lexer.failed)
        node_drop(&left);
    return left;
}

/* An expression inside of a node that is being built. */
struct node parser_inner(struct parser *p, enum precedence min)
{
    if (p->levels >= EXPR_DEPTH_MAX - 1) {
        FAIL(p, p->tok.start,
             "the expression is more than %d levels deep here; compute parts "
             "of it in columns of their own",
             EXPR_DEPTH_MAX);
        return no_node;
    }
    p->levels++;
    struct node n = parse_expr(p, min);
    p->levels--;
    return n;
}

/* NOLINTEND(misc-no-recursion) */

/* ---- the door -------------------------------------------------------- */

static void expect_end(struct parser *p)
{
    struct expr_token before = p->prev;
    struct expr_token tok = p->tok;
    if (parser_take(p, TOKEN_SEMICOLON) && p->tok.kind == TOKEN_END)
        return;
    if (tok.kind != TOKEN_END)
        expr_mistake_operator(&p->lexer, &before, &tok);
}

int expr_parse(const char *text, size_t bytes, enum expr_use use,
               json_t **ret_tree, struct expr_error *ret_error)
{
    struct parser p = {.use = use};
    assert(ret_tree != NULL && ret_error != NULL);

    expr_lex_begin(&p.lexer, text, bytes, ret_error);
    if (p.lexer.failed)
        return -EINVAL;
    p.scratch = malloc(bytes + 1);
    if (p.scratch == NULL)
        return -ENOMEM;

    parser_advance(&p);
    p.prev = (struct expr_token){.kind = TOKEN_END};
    struct node n = parse_expr(&p, PREC_ANY);
    if (!p.lexer.failed)
        expect_end(&p);
    free(p.scratch);
    if (p.lexer.failed) {
        node_drop(&n);
        return p.no_memory ? -ENOMEM : -EINVAL;
    }
    assert(n.json != NULL);
    *ret_tree = n.json;
    return 0;
}
