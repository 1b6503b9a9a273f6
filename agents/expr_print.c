/*
 * expr_print.c - typed trees as SQLite's SQL, and what both printers share.
 *
 * Everything that is not a name, a literal or a call stands in parentheses, so
 * that what is printed around it does not matter. Operators of SQLite's own are
 * used where they mean the same; where they do not (integers that overflow into
 * doubles, "/" by zero, LIKE), a function of functions.h stands.
 *
 * SQLite's parser has a stack of 100 symbols, of which a call takes five and a
 * parenthesis one for as long as it is open. What people write as a long row of
 * terms is a deep tree, and is therefore printed flat where it can be: joined
 * texts, conditions, the else of an else, and sums and products (CHAIN_MAX).
 */
#include "agents/expr_inside.h"

#include "agents/civil.h"
#include "agents/text.h"
#include "agents/values.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* A tree has at most 200 levels: expr_read() sees to it. */
/* NOLINTBEGIN(misc-no-recursion) */

/* ---- shared ---------------------------------------------------------- */

static void quote_with(const char *text, char mark, struct text *to)
{
    char twice[3] = {mark, mark, '\0'};

    text_add_bytes(to, &mark, 1);
    for (const char *end; (end = strchr(text, mark)); text = end + 1) {
        text_add_bytes(to, text, (size_t)(end - text));
        text_add(to, twice);
    }
    text_add(to, text);
    text_add_bytes(to, &mark, 1);
}

void expr_quote_name(const char *name, struct text *to)
{
    quote_with(name, '"', to);
}

void expr_quote_text(const char *text, struct text *to)
{
    quote_with(text, '\'', to);
}

void expr_print_now(const struct expr *expr, const char *now, struct text *to)
{
    char buf[CIVIL_TIME_ROOM];
    int64_t us;

    if (civil_read_timestamptz(now, strlen(now), &us) == 0) {
        int64_t unit = 1;
        for (int digits = expr->part; digits < 6; digits++)
            unit *= 10;
        us -= ((us % unit) + unit) % unit;
        if (civil_print_timestamptz(us, buf) > 0)
            now = buf;
    }
    expr_quote_text(now, to);
}

const char *expr_operator(enum expr_op op)
{
    switch (op) {
    case OP_EQ:
        return "=";
    case OP_NE:
        return "<>";
    case OP_LT:
        return "<";
    case OP_LE:
        return "<=";
    case OP_GT:
        return ">";
    case OP_GE:
        return ">=";
    case OP_AND:
        return "AND";
    case OP_OR:
        return "OR";
    default:
        return NULL;
    }
}

/* ---- SQLite ---------------------------------------------------------- */

struct lite_printer {
    struct text *to;
    uint32_t site;
    const char *now;
};

static void print(const struct lite_printer *p, const struct expr *expr);

static void print_literal(const struct lite_printer *p, const struct expr *expr)
{
    char number[VALUE_DOUBLE_ROOM];

    if (expr->null) {
        text_add(p->to, "NULL");
        return;
    }
    switch (expr->type) {
    case TYPE_INTEGER:
    case TYPE_BOOLEAN:
        text_addf(p->to, expr->integer < 0 ? "(%lld)" : "%lld",
                  (long long)expr->integer);
        return;
    case TYPE_DOUBLE:
        snprintf(number, sizeof number, "%.17g", expr->real);
        text_addf(p->to, "(%s%s)", number, strpbrk(number, ".e") ? "" : ".0");
        return;
    case TYPE_BYTES:
        text_add(p->to, "X'");
        for (size_t i = 0; i < expr->len; i++)
            text_addf(p->to, "%02x", (unsigned char)expr->text[i]);
        text_add(p->to, "'");
        return;
    default:
        expr_quote_text(expr->text, p->to);
        return;
    }
}

/* What takes decimals takes integers as well: no cast needs to be run. */
static const struct expr *number_itself(const struct expr *expr)
{
    if (expr->op == OP_CAST && expr->implicit && expr->type == TYPE_DECIMAL &&
        expr->precision < 0 && !expr->not_null &&
        expr->args[0]->type == TYPE_INTEGER)
        return expr->args[0];
    return expr;
}

static void print_args(const struct lite_printer *p, const struct expr *expr,
                       bool comma)
{
    for (size_t i = 0; i < expr->count; i++) {
        if (i > 0 || comma)
            text_add(p->to, ", ");
        print(p, number_itself(expr->args[i]));
    }
}

/* dp_NAME(site, arguments) */
static void print_dp(const struct lite_printer *p, const char *name,
                     const struct expr *expr)
{
    text_addf(p->to, "%s(%u", name, p->site);
    print_args(p, expr, true);
    text_add(p->to, ")");
}

static void print_cast(const struct lite_printer *p, const struct expr *expr)
{
    enum type from = expr->args[0]->type;
    bool limits = expr->bits > 0 || expr->precision >= 0 || expr->length > 0;

    if (expr->not_null)
        text_addf(p->to, "dp_not_null(%u, ", p->site);
    if (from == expr->type && !limits) {
        print(p, expr->args[0]);
    } else {
        text_addf(p->to, "dp_to_%s(%u, ", type_name(expr->type), p->site);
        print(p, expr->args[0]);
        text_addf(p->to, ", %d", (int)from);
        if (expr->type == TYPE_INTEGER)
            text_addf(p->to, ", %d", expr->bits);
        else if (expr->type == TYPE_DECIMAL)
            text_addf(p->to, ", %d, %d", expr->precision, expr->scale);
        else if (expr->type == TYPE_TEXT)
            text_addf(p->to, ", %d", expr->length);
        text_add(p->to, ")");
    }
    if (expr->not_null)
        text_add(p->to, ")");
}

/* ---- long sums and products ------------------------------------------ */

enum { CHAIN_MAX = 8 };

static const char *const suffixes[TYPES] = {
    [TYPE_INTEGER] = "int", [TYPE_DECIMAL] = "dec", [TYPE_DOUBLE] = "dbl"};

/* Is what stands left more of the same row of terms? */
static bool continues(const struct expr *expr)
{
    const struct expr *left = expr->args[0];
    bool sum = left->op == OP_ADD || left->op == OP_SUB;

    if (left->type != expr->type || (!sum && left->op != OP_MUL) ||
        left->args[0]->type != left->type)
        return false;
    return sum == (expr->op != OP_MUL);
}

static size_t chain_length(const struct expr *expr)
{
    size_t terms = 2;

    if (expr->op != OP_ADD && expr->op != OP_SUB && expr->op != OP_MUL)
        return 0;
    for (; continues(expr); expr = expr->args[0])
        terms++;
    return terms;
}

/* The next term with this sign, in the order from the right, of those from
 * *at_p on; *at_p is moved behind it. NULL: there is none. */
static const struct expr *next_term(const struct expr *expr, enum expr_op op,
                                    size_t *at_p)
{
    for (size_t i = 0;; i++, expr = expr->args[0]) {
        if (i >= *at_p && expr->op == op) {
            *at_p = i + 1;
            return expr->args[1];
        }
        if (continues(expr))
            continue;
        /* What the row begins with has no sign: it is added. */
        if (i + 1 < *at_p || op == OP_SUB)
            return NULL;
        *at_p = i + 2;
        return expr->args[0];
    }
}

static size_t count_terms(const struct expr *expr, enum expr_op op)
{
    size_t count = 0, at = 0;

    while (next_term(expr, op, &at))
        count++;
    return count;
}

/* The next so many terms, as a tree as flat as it can be. */
static void print_terms(const struct lite_printer *p, const struct expr *expr,
                        enum expr_op op, size_t count, size_t *at_p)
{
    if (count == 1) {
        print(p, number_itself(next_term(expr, op, at_p)));
        return;
    }
    text_addf(p->to, "dp_%s_%s(%u, ", op == OP_MUL ? "mul" : "add",
              suffixes[expr->type], p->site);
    print_terms(p, expr, op, count / 2, at_p);
    text_add(p->to, ", ");
    print_terms(p, expr, op, count - count / 2, at_p);
    text_add(p->to, ")");
}

/* The sum of what is added less the sum of what is subtracted: exact numbers
 * have the same result in any order. (Integers between here and there may
 * overflow where they would not have, or the other way round.) */
static void print_long(const struct lite_printer *p, const struct expr *expr)
{
    enum expr_op op = expr->op == OP_MUL ? OP_MUL : OP_ADD;
    size_t less = op == OP_ADD ? count_terms(expr, OP_SUB) : 0, at = 0;

    if (less > 0)
        text_addf(p->to, "dp_sub_%s(%u, ", suffixes[expr->type], p->site);
    print_terms(p, expr, op, count_terms(expr, op), &at);
    if (less > 0) {
        at = 0;
        text_add(p->to, ", ");
        print_terms(p, expr, OP_SUB, less, &at);
        text_add(p->to, ")");
    }
}

static void print_arithmetic(const struct lite_printer *p,
                             const struct expr *expr)
{
    static const char *const names[] = {
        [OP_NEG] = "neg", [OP_ADD] = "add", [OP_SUB] = "sub",
        [OP_MUL] = "mul", [OP_DIV] = "div", [OP_MOD] = "mod"};
    char name[32];

    if (expr->args[0]->type == TYPE_DATE) {
        if (expr->type == TYPE_INTEGER)
            print_dp(p, "dp_days", expr);
        else
            print_dp(p, expr->op == OP_ADD ? "dp_date_add" : "dp_date_sub",
                     expr);
        return;
    }
    if (chain_length(expr) > CHAIN_MAX) {
        print_long(p, expr);
        return;
    }
    snprintf(name, sizeof name, "dp_%s_%s", names[expr->op],
             suffixes[expr->type]);
    print_dp(p, name, expr);
}

/* An operand of a comparison; the collation of the first counts. */
static void print_compared(const struct lite_printer *p,
                           const struct expr *expr)
{
    print(p, expr);
    if (expr->type == TYPE_DECIMAL)
        text_add(p->to, " COLLATE \"decimal\"");
}

static void print_list(const struct lite_printer *p, struct expr *const *args,
                       size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            text_add(p->to, ", ");
        print(p, args[i]);
    }
}

/* Halved as long as it is long: SQLite's parser makes a list one level of tree
 * for each member, and has 1,000. */
static void print_chain(const struct lite_printer *p, struct expr *const *args,
                        size_t count, enum expr_op op)
{
    enum { CONDITIONS_MAX = 32 };

    if (count > CONDITIONS_MAX) {
        text_add(p->to, "(");
        print_chain(p, args, count / 2, op);
        text_addf(p->to, ") %s (", expr_operator(op));
        print_chain(p, args + count / 2, count - count / 2, op);
        text_add(p->to, ")");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            text_addf(p->to, " %s ", expr_operator(op));
        print(p, args[i]);
    }
}

static void print_like(const struct lite_printer *p, const struct expr *expr)
{
    text_addf(p->to, "%s(%u, ", expr->op == OP_LIKE ? "dp_like" : "dp_ilike",
              p->site);
    print_list(p, expr->args, expr->count);
    text_add(p->to, expr->count < 3 ? ", '\\')" : ")");
}

static void print_case(const struct lite_printer *p, const struct expr *expr)
{
    text_add(p->to, "(CASE");
    for (;; expr = expr->args[expr->count - 1]) {
        for (size_t i = 0; i + 1 < expr->count; i += 2) {
            text_add(p->to, " WHEN ");
            print(p, expr->args[i]);
            text_add(p->to, " THEN ");
            print(p, expr->args[i + 1]);
        }
        if (expr->args[expr->count - 1]->op != OP_CASE)
            break;
    }
    text_add(p->to, " ELSE ");
    print(p, expr->args[expr->count - 1]);
    text_add(p->to, " END)");
}

static void print_form(const struct lite_printer *p, const char *form,
                       const struct expr *expr)
{
    for (const char *mark; (mark = strchr(form, '$')); form = mark + 2) {
        text_add_bytes(p->to, form, (size_t)(mark - form));
        if (mark[1] == 's')
            text_addf(p->to, "%u", p->site);
        else if (mark[1] == 'n')
            expr_print_now(expr, p->now, p->to);
        else if (mark[1] == '*')
            print_list(p, expr->args, expr->count);
        else
            print(p, expr->args[mark[1] - '1']);
    }
    text_add(p->to, form);
}

static void print_call(const struct lite_printer *p, const struct expr *expr)
{
    const struct expr_row *row = expr->row;
    const char *form = row->lite;

    if (row->lite_decimal && expr->type == TYPE_DECIMAL)
        form = row->lite_decimal;
    /* SQLite's coalesce wants two. */
    if (expr->count == 1 && strcmp(row->name, "coalesce") == 0)
        form = "$1";
    if (strchr(form, '$'))
        print_form(p, form, expr);
    else
        print_dp(p, form, expr);
}

/* Of distinct values the smallest, greatest, first and last are the same. */
static bool is_distinct(const struct expr *expr)
{
    static const char *const same[] = {"min", "max", "first", "last"};

    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        if (strcmp(expr->row->name, same[i]) == 0)
            return false;
    }
    return expr->distinct;
}

static void print_aggregate(const struct lite_printer *p,
                            const struct expr *expr)
{
    const char *form = expr->row->lite;

    if (expr->count == 0) {
        text_add(p->to, "count(*)");
    } else if (is_distinct(expr)) {
        /* With DISTINCT there may be one argument only: no site. */
        const char *end = strchr(form, '(');
        text_add_bytes(p->to, form, end ? (size_t)(end - form) : strlen(form));
        text_add(p->to, "(DISTINCT ");
        print_compared(p, expr->args[0]);
        text_add(p->to, ")");
    } else {
        print_call(p, expr);
    }
}

static void print_joined(const struct lite_printer *p, const struct expr *expr)
{
    const struct expr *left = expr->args[0];

    if (left->op == OP_CONCAT && left->type == expr->type)
        print_joined(p, left);
    else
        print(p, left);
    text_add(p->to, " || ");
    print(p, expr->args[1]);
}

static void print_operator(const struct lite_printer *p,
                           const struct expr *expr)
{
    text_add(p->to, "(");
    switch (expr->op) {
    case OP_AND:
    case OP_OR:
        print_chain(p, expr->args, expr->count, expr->op);
        break;
    case OP_NOT:
        text_add(p->to, "NOT ");
        print(p, expr->args[0]);
        break;
    case OP_ISNULL:
        print(p, expr->args[0]);
        text_add(p->to, " IS NULL");
        break;
    case OP_CONCAT:
        /* SQLite joins BLOBs to a text of these bytes. */
        if (expr->type == TYPE_BYTES)
            text_add(p->to, "CAST(");
        print_joined(p, expr);
        if (expr->type == TYPE_BYTES)
            text_add(p->to, " AS BLOB)");
        break;
    case OP_IN:
        print_compared(p, expr->args[0]);
        text_add(p->to, " IN (");
        print_list(p, expr->args + 1, expr->count - 1);
        text_add(p->to, ")");
        break;
    case OP_BETWEEN:
        print_compared(p, expr->args[0]);
        text_add(p->to, " BETWEEN ");
        print(p, expr->args[1]);
        text_add(p->to, " AND ");
        print(p, expr->args[2]);
        break;
    default:
        print_compared(p, expr->args[0]);
        text_addf(p->to, " %s ",
                  expr->op == OP_DISTINCT ? "IS NOT" : expr_operator(expr->op));
        print(p, expr->args[1]);
        break;
    }
    text_add(p->to, ")");
}

static void print(const struct lite_printer *p, const struct expr *expr)
{
    switch (expr->op) {
    case OP_COLUMN:
        if (expr->alias)
            text_addf(p->to, "%s.", expr->alias);
        expr_quote_name(expr->text, p->to);
        break;
    case OP_LITERAL:
        print_literal(p, expr);
        break;
    case OP_NEG:
    case OP_ADD:
    case OP_SUB:
    case OP_MUL:
    case OP_DIV:
    case OP_MOD:
        print_arithmetic(p, expr);
        break;
    case OP_LIKE:
    case OP_ILIKE:
        print_like(p, expr);
        break;
    case OP_CASE:
        print_case(p, expr);
        break;
    case OP_CAST:
        print_cast(p, expr);
        break;
    case OP_CALL:
        print_call(p, expr);
        break;
    case OP_AGGREGATE:
        print_aggregate(p, expr);
        break;
    default:
        print_operator(p, expr);
        break;
    }
}

void expr_print_sqlite(const struct expr *expr, uint32_t site, const char *now,
                       struct text *to)
{
    const struct lite_printer printer = {to, site, now};

    print(&printer, expr);
}

/* What the parser holds while something is open: a call its name, "(", a flag,
 * the arguments so far and a comma; a parenthesis itself, an operand and an
 * operator; a case besides a condition. */
enum {
    CALL_SYMBOLS = 5,
    GROUP_SYMBOLS = 3,
    CASE_SYMBOLS = 7,
    LEVELS_MAX = 2000
};

static const char *skip_quoted(const char *at)
{
    const char *end = strchr(at + 1, *at);

    return end ? end : at + strlen(at) - 1;
}

size_t expr_sqlite_stack(const struct expr *expr)
{
    unsigned char costs[LEVELS_MAX];
    struct text sql = {0};
    size_t levels = 0, now = 0, most = 0;

    expr_print_sqlite(expr, 0, "", &sql);
    if (sql.failed || !sql.bytes) {
        text_clear(&sql);
        return SIZE_MAX;
    }
    for (const char *at = sql.bytes; *at && levels < LEVELS_MAX; at++) {
        if (*at == '\'' || *at == '"') {
            at = skip_quoted(at);
        } else if (*at == '(') {
            bool call = at > sql.bytes &&
                        (isalnum((unsigned char)at[-1]) || at[-1] == '_');
            unsigned char cost = call ? CALL_SYMBOLS
                                 : strncmp(at, "(CASE ", 6) == 0
                                     ? CASE_SYMBOLS
                                     : GROUP_SYMBOLS;
            costs[levels++] = cost;
            now += cost;
            most = now > most ? now : most;
        } else if (*at == ')' && levels > 0) {
            now -= costs[--levels];
        }
    }
    text_clear(&sql);
    return levels == LEVELS_MAX ? SIZE_MAX : most;
}
/* NOLINTEND(misc-no-recursion) */
