/*
 * expr.h - expressions as the plan has them: trees, checked against the
 * columns they are about, printed for an engine.
 *
 * The broker parsed the text (policy/expr.h describes the tree); the bytes come
 * from outside all the same and are checked here. Nothing of the text is ever
 * pasted into SQL: names are looked up among the columns and quoted, literals
 * are printed from their values, functions from a table (expr_table.c).
 *
 * Semantics are PostgreSQL's wherever both engines can have them, and the same
 * on both: NULLs, three-valued logic, integer division that truncates, division
 * by zero and overflow as errors, LIKE that minds case, text compared bytewise
 * (COLLATE "C"), round() half away from zero for decimals, decimals exact.
 * Doubles come from the machine's libm on either side; their last digit may
 * differ.
 *
 * Typing: arithmetic on integers gives an integer (7 / 2 is 3), with a decimal
 * a decimal, with a double a double; a text LITERAL takes the type of what it
 * is compared with (hired >= '2024-01-01'), a text COLUMN does not (an error
 * that names both and suggests cast()); date + integer is days, date - date an
 * integer; sum of integers is an integer, avg of integers and decimals a
 * decimal, std and var doubles.
 *
 * Memory:  an expr owns its nodes and strings; expr_free(). It borrows nothing
 *          from the tree or the schema.
 * Threads: none; pure.
 * Errors:  0 or a negative errno and a sentence in why.
 */
#ifndef AGENTS_EXPR_H
#define AGENTS_EXPR_H

#include "agents/schema.h"

#include <jansson.h>
#include <stdint.h>

struct expr;
struct text; /* text.h: a growing string */

enum { EXPR_WHY_MAX = 300 };

/* One side of a join, or all there is: columns, and what a column of it is
 * called in the SQL around ("l" gives l."name"; NULL: no alias). */
struct expr_side {
    const struct schema *schema;
    const char *alias;
    const char *qualifier; /* "left", "right" or NULL; a column's origin counts
                              as a qualifier too */
};

/* Reads and types a tree over one or two sides. aggregate: "agg" may occur.
 * -EINVAL: why names the column, the function or the two types that do not go
 * together, and what to do. -ENOMEM. */
int expr_read(const json_t *tree, const struct expr_side *sides,
              size_t side_count, bool aggregate, struct expr **ret_expr,
              char why[EXPR_WHY_MAX]);
/* A bare column reference; and a cast around *expr_p, which is taken even when
 * it fails. A cast to the type it has, within what it allows, is no cast. */
int expr_column(const struct expr_side *side, size_t column,
                struct expr **ret_expr);
/* to: type, and of a target bits, precision, scale, length, not_null. */
int expr_cast(struct expr **expr_p, const struct column *to,
              char why[EXPR_WHY_MAX]);
void expr_free(struct expr **expr_p);

enum type expr_type_of(const struct expr *expr);
/* In an aggregate node: does every column outside of an aggregate function
 * occur in keys (column indices of side 0)? Else the name of one that does not
 * in *ret_name (borrowed from expr). */
bool expr_grouped(const struct expr *expr, const size_t *keys, size_t key_count,
                  const char **ret_name);

/* Can PostgreSQL evaluate it, with the same result? (crc32(), say, it cannot.)
 */
bool expr_postgres_can(const struct expr *expr);
/* How many columns it refers to, each as often as it does. */
size_t expr_columns(const struct expr *expr);
/* Does it give another value each time (generate_uuid)? */
bool expr_volatile(const struct expr *expr);

/* Appends SQL. site: the number that the functions of functions.h report
 * errors under. now: what systimestamp() is, a timestamptz as in schema.h. */
void expr_print_sqlite(const struct expr *expr, uint32_t site, const char *now,
                       struct text *to);
void expr_print_postgres(const struct expr *expr, const char *now,
                         struct text *to);
/* What the server finds before a text that must not be cast, so that the cast
 * fails: to be left out of what is said of it. */
#define EXPR_REFUSED "refused: "
/* About how many symbols of SQLite's parser stack the printed expression takes
 * at its deepest: of 100 that there are, of which a SELECT inside of another
 * takes 6. Beyond, sqlite3_prepare() says "parser stack overflow". SIZE_MAX: no
 * memory. */
size_t expr_sqlite_stack(const struct expr *expr);

/* Appends a quoted identifier or literal. A NUL or invalid UTF-8 cannot occur:
 * both are refused when trees and plans are read. */
void expr_quote_name(const char *name, struct text *to);
void expr_quote_text(const char *text, struct text *to);

#endif
