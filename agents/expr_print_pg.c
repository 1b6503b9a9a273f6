/*
 * expr_print_pg.c - typed trees as PostgreSQL's SQL, and which of them it can
 * have.
 *
 * Numbers are computed as the row engine does: every integer is a bigint, so
 * that it overflows at the same place; a real is read by its decimal digits, as
 * COPY would hand it out. A bare column is left as it is only where it is
 * compared, so that indexes can serve. Texts of one sort come from columns of
 * many (uuid, json, enums, ...): those are cast.
 */
#include "agents/expr_inside.h"

#include "agents/civil.h"
#include "agents/text.h"
#include "agents/values.h"

#include <stdio.h>
#include <string.h>

/* A tree has at most 200 levels: expr_read() sees to it. */
/* NOLINTBEGIN(misc-no-recursion) */

struct pg_printer {
    struct text *to;
    const char *now;
};

static void print(const struct pg_printer *p, const struct expr *expr);

static const char *const type_words[TYPES] = {
    [TYPE_NULL] = "text",
    [TYPE_TEXT] = "text",
    [TYPE_INTEGER] = "bigint",
    [TYPE_DECIMAL] = "numeric",
    [TYPE_DOUBLE] = "double precision",
    [TYPE_BOOLEAN] = "boolean",
    [TYPE_DATE] = "date",
    [TYPE_TIMESTAMP] = "timestamp",
    [TYPE_TIMESTAMPTZ] = "timestamptz",
    [TYPE_BYTES] = "bytea",
};

/* ---- can it? --------------------------------------------------------- */

static bool form_of(const struct expr *expr, const char **ret_form)
{
    const struct expr_row *row = expr->row;

    if (row->postgres_parts)
        *ret_form = row->postgres_parts[expr->part];
    else
        *ret_form = row->postgres;
    return *ret_form != NULL;
}

bool expr_postgres_can(const struct expr *expr)
{
    const char *form;

    if ((expr->op == OP_CALL || expr->op == OP_AGGREGATE) &&
        !form_of(expr, &form))
        return false;
    /* There is no remainder of doubles. A cast to varchar(n) would cut instead
     * of refusing, and NULLs are refused by columns alone. */
    if (expr->op == OP_MOD && expr->type == TYPE_DOUBLE)
        return false;
    if (expr->op == OP_CAST && (expr->length > 0 || expr->not_null))
        return false;
    for (size_t i = 0; i < expr->count; i++) {
        if (!expr_postgres_can(expr->args[i]))
            return false;
    }
    return true;
}

/* ---- names and literals ---------------------------------------------- */

/* A text with its backslashes as they are, whatever the server's
 * standard_conforming_strings says. */
static void quote_text(const struct pg_printer *p, const char *text)
{
    if (!strchr(text, '\\')) {
        expr_quote_text(text, p->to);
        return;
    }
    text_add(p->to, "E'");
    for (; *text; text++) {
        if (*text == '\\' || *text == '\'')
            text_add_bytes(p->to, text, 1);
        text_add_bytes(p->to, text, 1);
    }
    text_add(p->to, "'");
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static void print_name(const struct pg_printer *p, const struct expr *expr)
{
    if (expr->alias)
        text_addf(p->to, "%s.", expr->alias);
    expr_quote_name(expr->text, p->to);
}

static bool is_characters(const char *native)
{
    return strcmp(native, "text") == 0 || begins(native, "character varying");
}

static void print_column(const struct pg_printer *p, const struct expr *expr)
{
    const char *native = expr->native ? expr->native : "";
    const char *before = "", *behind = "";

    if (expr->type == TYPE_INTEGER &&
        (expr->bits != 0 || (*native && strcmp(native, "bigint") != 0))) {
        before = "(";
        behind = ")::bigint";
    } else if (expr->type == TYPE_DOUBLE && strcmp(native, "real") == 0) {
        before = "((";
        behind = ")::text)::double precision";
    } else if (expr->type == TYPE_TEXT && strcmp(native, "inet") == 0) {
        /* Its cast to text is not how it is written elsewhere. */
        before = "textin(inet_out(";
        behind = "))";
    } else if (expr->type == TYPE_TEXT && *native && !is_characters(native)) {
        before = "(";
        behind = ")::text";
    }
    text_add(p->to, before);
    print_name(p, expr);
    text_add(p->to, behind);
}

static void print_literal(const struct pg_printer *p, const struct expr *expr)
{
    char number[VALUE_DOUBLE_ROOM];

    if (expr->null) {
        text_add(p->to, "NULL");
        if (expr->type != TYPE_NULL)
            text_addf(p->to, "::%s", type_words[expr->type]);
        return;
    }
    switch (expr->type) {
    case TYPE_INTEGER:
        text_addf(p->to, expr->integer < 0 ? "(%lld)::bigint" : "%lld::bigint",
                  (long long)expr->integer);
        break;
    case TYPE_BOOLEAN:
        text_add(p->to, expr->integer ? "TRUE" : "FALSE");
        break;
    case TYPE_DECIMAL:
        text_addf(p->to, expr->text[0] == '-' ? "(%s)::numeric" : "%s::numeric",
                  expr->text);
        break;
    case TYPE_DOUBLE:
        value_print_double(expr->real, number);
        text_addf(p->to, "'%s'::double precision", number);
        break;
    case TYPE_DATE:
        text_addf(p->to, "DATE '%s'", expr->text);
        break;
    case TYPE_TIMESTAMP:
        text_addf(p->to, "TIMESTAMP '%s'", expr->text);
        break;
    case TYPE_TIMESTAMPTZ:
        text_addf(p->to, "TIMESTAMPTZ '%s'", expr->text);
        break;
    case TYPE_BYTES:
        text_add(p->to, "decode('");
        for (size_t i = 0; i < expr->len; i++)
            text_addf(p->to, "%02x", (unsigned char)expr->text[i]);
        text_add(p->to, "', 'hex')");
        break;
    default:
        quote_text(p, expr->text);
        text_add(p->to, "::text");
        break;
    }
}

/* ---- casts ----------------------------------------------------------- */

/* What PostgreSQL would read and the row engine does not ('today', 'infinity',
 * 0x1F, '5. January') is made unreadable for it, too. (It reads dates
 * through punctuation, so that a word has to be put before them.) */
static const char *text_guard(enum type to)
{
    switch (to) {
    case TYPE_INTEGER:
        return "[-+]?[0-9]+\\s*$";
    case TYPE_DECIMAL:
        return "[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]+)?\\s*$";
    case TYPE_DOUBLE: /* strtod()'s hex, too */
        return "[-+]?(([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]+)?|"
               "0[xX][.0-9a-fA-F]+([pP][-+]?[0-9]+)?)\\s*$";
    case TYPE_DATE:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
        return "[0-9]{4}([-/][0-9]{1,2}[-/][0-9]{1,2}|[0-9]{4})"
               "([T\\s][-+:.0-9\\sZUTC]*)?$";
    default:
        return NULL;
    }
}

static void print_cast_arg(const struct pg_printer *p, const struct expr *expr)
{
    const struct expr *arg = expr->args[0];
    const char *guard = arg->type == TYPE_TEXT ? text_guard(expr->type) : NULL;

    if (guard) {
        text_add(p->to, "regexp_replace(");
        print(p, arg);
        text_addf(p->to, " COLLATE \"C\", E'^(?!\\\\s*");
        for (const char *at = guard; *at; at++)
            text_addf(p->to, *at == '\\' ? "\\%c" : "%c", *at);
        text_add(p->to, ")', '" EXPR_REFUSED "')");
    } else {
        text_add(p->to, "(");
        print(p, arg);
        text_add(p->to, ")");
    }
}

static void print_cast(const struct pg_printer *p, const struct expr *expr)
{
    enum type from = expr->args[0]->type, to = expr->type;

    if (from == TYPE_BOOLEAN && to == TYPE_INTEGER) {
        print_cast_arg(p, expr);
        text_add(p->to, "::integer::bigint");
        return;
    }
    if (from == TYPE_INTEGER && to == TYPE_BOOLEAN) {
        text_add(p->to, "(");
        print_cast_arg(p, expr);
        text_add(p->to, " <> 0)");
        return;
    }
    print_cast_arg(p, expr);
    if (to == TYPE_DECIMAL && expr->precision >= 0)
        text_addf(p->to, "::numeric(%d,%d)", expr->precision,
                  expr->scale > 0 ? expr->scale : 0);
    else if (to == TYPE_INTEGER && (expr->bits == 16 || expr->bits == 32))
        text_addf(p->to, "::%s::bigint",
                  expr->bits == 16 ? "smallint" : "integer");
    else
        text_addf(p->to, "::%s", type_words[to]);
}

/* ---- operators ------------------------------------------------------- */

/* A bare column of integers, an index's perhaps, compares as it is. */
static void print_compared(const struct pg_printer *p, const struct expr *expr)
{
    if (expr->op == OP_COLUMN && expr->type == TYPE_INTEGER)
        print_name(p, expr);
    else
        print(p, expr);
}

/* Equality of texts is bytewise whatever the collation, as long as the sides
 * have only one between them: with literals beside it, an index of the
 * database's collation may serve. */
static bool needs_collation(const struct expr *expr)
{
    if (expr->args[0]->type != TYPE_TEXT)
        return false;
    if (expr->op != OP_EQ && expr->op != OP_NE && expr->op != OP_DISTINCT &&
        expr->op != OP_IN)
        return true;
    for (size_t i = 1; i < expr->count; i++) {
        if (expr->args[i]->op != OP_LITERAL)
            return true;
    }
    return false;
}

static void print_list(const struct pg_printer *p, struct expr *const *args,
                       size_t count, bool collate)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            text_add(p->to, ", ");
        print(p, args[i]);
        if (collate && args[i]->type == TYPE_TEXT)
            text_add(p->to, " COLLATE \"C\"");
    }
}

static void print_chain(const struct pg_printer *p, const struct expr *expr)
{
    for (size_t i = 0; i < expr->count; i++) {
        if (i > 0)
            text_addf(p->to, " %s ", expr_operator(expr->op));
        print(p, expr->args[i]);
    }
}

static void print_comparison(const struct pg_printer *p,
                             const struct expr *expr)
{
    print_compared(p, expr->args[0]);
    if (needs_collation(expr))
        text_add(p->to, " COLLATE \"C\"");
    if (expr->op == OP_IN) {
        text_add(p->to, " IN (");
        print_list(p, expr->args + 1, expr->count - 1, false);
        text_add(p->to, ")");
    } else if (expr->op == OP_BETWEEN) {
        text_add(p->to, " BETWEEN ");
        print_compared(p, expr->args[1]);
        text_add(p->to, " AND ");
        print_compared(p, expr->args[2]);
    } else {
        text_addf(p->to, " %s ",
                  expr->op == OP_DISTINCT ? "IS DISTINCT FROM"
                                          : expr_operator(expr->op));
        print_compared(p, expr->args[1]);
    }
}

static void print_like(const struct pg_printer *p, const struct expr *expr)
{
    print(p, expr->args[0]);
    /* The case of letters is the database's, as in upper(). */
    if (expr->op == OP_ILIKE)
        text_add(p->to, " COLLATE \"default\"");
    else if (expr->args[1]->op != OP_LITERAL)
        text_add(p->to, " COLLATE \"C\"");
    text_add(p->to, expr->op == OP_LIKE ? " LIKE " : " ILIKE ");
    print(p, expr->args[1]);
    if (expr->op == OP_ILIKE)
        text_add(p->to, " COLLATE \"default\"");
    if (expr->count > 2) {
        text_add(p->to, " ESCAPE ");
        quote_text(p, expr->args[2]->text);
    }
}

static void print_case(const struct pg_printer *p, const struct expr *expr)
{
    text_add(p->to, "CASE");
    for (size_t i = 0; i + 1 < expr->count; i += 2) {
        text_add(p->to, " WHEN ");
        print(p, expr->args[i]);
        text_add(p->to, " THEN ");
        print(p, expr->args[i + 1]);
    }
    text_add(p->to, " ELSE ");
    print(p, expr->args[expr->count - 1]);
    text_add(p->to, " END");
}

static void print_arithmetic(const struct pg_printer *p,
                             const struct expr *expr)
{
    static const char *const signs[] = {[OP_ADD] = " + ",
                                        [OP_SUB] = " - ",
                                        [OP_MUL] = " * ",
                                        [OP_DIV] = " / ",
                                        [OP_MOD] = " % "};
    bool date = expr->args[0]->type == TYPE_DATE;
    bool days = date && expr->type == TYPE_DATE;

    text_add(p->to, "(");
    print(p, expr->args[0]);
    text_addf(p->to, days ? "%s(" : "%s", signs[expr->op]);
    print(p, expr->args[1]);
    text_add(p->to, days ? ")::integer)" : ")");
    if (date && !days)
        text_add(p->to, "::bigint");
}

static void print_operator(const struct pg_printer *p, const struct expr *expr)
{
    text_add(p->to, "(");
    switch (expr->op) {
    case OP_AND:
    case OP_OR:
        print_chain(p, expr);
        break;
    case OP_NOT:
        text_add(p->to, "NOT ");
        print(p, expr->args[0]);
        break;
    case OP_NEG:
        text_add(p->to, "- ");
        print(p, expr->args[0]);
        break;
    case OP_ISNULL:
        print_compared(p, expr->args[0]);
        text_add(p->to, " IS NULL");
        break;
    case OP_CONCAT:
        print(p, expr->args[0]);
        text_add(p->to, " || ");
        print(p, expr->args[1]);
        break;
    case OP_LIKE:
    case OP_ILIKE:
        print_like(p, expr);
        break;
    case OP_CASE:
        print_case(p, expr);
        break;
    default:
        print_comparison(p, expr);
        break;
    }
    text_add(p->to, ")");
}

/* ---- calls ----------------------------------------------------------- */

/* How the aggregate sees its argument; of distinct texts the bytes count. */
static void print_aggregated(const struct pg_printer *p,
                             const struct expr *expr, const char *form)
{
    const char *open = strchr(form, '(');

    text_add_bytes(p->to, form, (size_t)(open - form));
    text_add(p->to, "(DISTINCT ");
    print_list(p, expr->args, 1, true);
    text_add(p->to, strchr(open, ')'));
}

static void print_call(const struct pg_printer *p, const struct expr *expr)
{
    const char *form;

    if (!form_of(expr, &form)) {
        /* Nobody asked expr_postgres_can(): let the server say it. */
        text_addf(p->to, "no_such_function_%s()", expr->row->name);
        return;
    }
    if (expr->op == OP_AGGREGATE && expr->count == 0) {
        text_add(p->to, "count(*)");
        return;
    }
    if (expr->distinct && form[0] != '(') {
        print_aggregated(p, expr, form);
        return;
    }
    for (const char *mark; (mark = strchr(form, '$')); form = mark + 2) {
        text_add_bytes(p->to, form, (size_t)(mark - form));
        if (mark[1] == 'n') {
            text_add(p->to, "TIMESTAMPTZ ");
            expr_print_now(expr, p->now, p->to);
        } else if (mark[1] == '*' || mark[1] == 'c') {
            print_list(p, expr->args, expr->count, mark[1] == 'c');
        } else {
            print(p, expr->args[mark[1] - '1']);
        }
    }
    text_add(p->to, form);
}

static void print(const struct pg_printer *p, const struct expr *expr)
{
    switch (expr->op) {
    case OP_COLUMN:
        print_column(p, expr);
        break;
    case OP_LITERAL:
        print_literal(p, expr);
        break;
    case OP_CAST:
        print_cast(p, expr);
        break;
    case OP_CALL:
    case OP_AGGREGATE:
        print_call(p, expr);
        break;
    case OP_ADD:
    case OP_SUB:
    case OP_MUL:
    case OP_DIV:
    case OP_MOD:
        print_arithmetic(p, expr);
        break;
    default:
        print_operator(p, expr);
        break;
    }
}

void expr_print_postgres(const struct expr *expr, const char *now,
                         struct text *to)
{
    const struct pg_printer printer = {to, now};

    print(&printer, expr);
}
/* NOLINTEND(misc-no-recursion) */
