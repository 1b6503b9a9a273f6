/*
 * functions.h - what expressions need of SQLite that SQLite has not: exact
 * decimals, integers that overflow with an error, dates, text and hash
 * functions with PostgreSQL's results. Printed by expr_print_sqlite(), run
 * here.
 *
 * Every function is called dp_NAME and takes the site first: a number that says
 * where in the workflow it stands. NULL in gives NULL out unless said. When a
 * value cannot be had, the host decides: the statement ends with an error, or
 * the row counts as rejected and the function gives NULL.
 *
 *   dp_{add,sub,mul,div,mod}_{int,dec,dbl}(s, a, b)  dp_{neg,abs}_{...}(s, a)
 *       _int: INTEGER; _dec: decimal TEXT or INTEGER; _dbl: REAL. Overflow and
 *       division by zero fail. Scales as PostgreSQL's numeric: + - max, * sum,
 *       / by select_div_scale(), % max
 *   dp_date_add(s, date, days)  dp_date_sub(s, date, days)
 *   dp_days(s, date, date)                the difference, an INTEGER
 *   dp_to_integer(s, x, from, bits)       from: enum type of x; bits 0: 64
 *   dp_to_decimal(s, x, from, precision, scale)   -1: any
 *   dp_to_text(s, x, from, length)        length in characters, 0: any
 *   dp_to_{double,boolean,date,timestamp,timestamptz,bytes}(s, x, from)
 *       texts as PostgreSQL's input functions read them, within schema.h
 *   dp_not_null(s, x)                     NULL fails
 *   dp_like(s, x, pattern, escape)  dp_ilike(...)   escape '': none
 *   dp_FUNCTION(s, ...)                   the functions of expr_table.c, with
 *       _int, _dec or _dbl behind where the result's type depends on it
 *   dp_{sum_int,sum_dec,sum_dbl,avg_dec,avg_dbl,std,var,first,last,
 *       min_dec,max_dec}(s, x)            aggregates; other min, max and count
 *                                         are SQLite's own. Also dp_NAME(x),
 *                                         for DISTINCT: failures at site 0
 *   dp_tick(node, a, ...)  counts a row of a node: host.tick is called with
 *                          the values; gives 1, so that it can stand last in a
 *                          WHERE. Never hoisted or cached (not deterministic).
 *   dp_row_ok(a, ...)      1, or 0 when a function of this row failed since
 *                          the last call (its arguments make sure that they
 *                          were evaluated); host.row_ok is asked.
 *   collation "decimal"    compares two decimals by value (TEXT; SQLite has an
 *                          INTEGER before any TEXT, so cast those first)
 *
 * Functions that can fail are not deterministic to SQLite, so that they are
 * called for each row and only where they stand. Results end at 64 MiB.
 *
 * Threads: one connection, one thread. Errors: 0 or a negative errno.
 */
#ifndef AGENTS_FUNCTIONS_H
#define AGENTS_FUNCTIONS_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

struct function_host {
    void *context;
    /* A value could not be had; message is a sentence without place. true: the
     * statement is to fail (the message becomes SQLite's error text). */
    bool (*failed)(void *context, uint32_t site, const char *message);
    void (*tick)(void *context, uint32_t node, int count,
                 sqlite3_value *const *values);
    bool (*row_ok)(void *context);
};

/* Registers all of it. host is borrowed until the connection is closed.
 * -ENOMEM. */
int functions_install(sqlite3 *db, const struct function_host *host);

#endif
