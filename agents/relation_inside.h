/*
 * relation_inside.h - what relation.c and relation_kinds.c share: a SELECT in
 * the making. Only they include it.
 */
#ifndef AGENTS_RELATION_INSIDE_H
#define AGENTS_RELATION_INSIDE_H

#include "agents/expr.h"
#include "agents/relation.h"
#include "agents/text.h"

#include <errno.h>
#include <stdint.h>

struct out { /* a column of a SELECT */
    char *name;
    char *origin;      /* or NULL */
    struct expr *expr; /* NULL: the column `index` of the input as it is */
    size_t index, side;
    enum type type;
    const struct column *like; /* borrowed: what the column may be */
};

struct order {
    size_t column; /* of the outs */
    bool descending, nulls_first;
};

struct select { /* begin with {0}; select_clear() */
    struct out *outs;
    size_t count, room;
    struct expr *where;
    bool aggregate, distinct;
    size_t *group; /* columns of the input */
    size_t group_count;
    struct order *order; /* borrowed */
    size_t order_count;
};

/* Adds a column. -EINVAL: the name is taken: why. */
int select_column(struct select *select, const struct relation *from,
                  size_t index, const char *name, char why[RELATION_WHY_MAX]);
/* expr is taken, also on failure. */
int select_expr(struct select *select, const char *name, struct expr *expr,
                char why[RELATION_WHY_MAX]);
void select_clear(struct select *select);

/* from, selected. Computed where from is if that place can. */
int select_make(struct relations *r, struct relation *from, uint32_t node,
                const struct select *select, struct relation **ret_relation,
                char why[RELATION_WHY_MAX]);

/* SQLite takes names that differ in case alone for one. -EINVAL: why. */
int relation_names(const struct schema *schema, char why[RELATION_WHY_MAX]);
/* Of the parser's stack, what the deepest expression takes. */
size_t select_stack(const struct select *select);

/* Room for one more in an array of `size`d items that doubles. */
bool relation_room(void **items, size_t count, size_t *room, size_t size);

struct relation *relation_new(struct relations *r, uint32_t node,
                              struct store *place);
/* Keeps *from_p if selects around it, with an expression that takes so much of
 * the parser's stack, would be nested too deep. */
int relation_shallow(struct relations *r, struct relation **from_p,
                     size_t stack, char why[RELATION_WHY_MAX]);
/* Makes `to` depend on what `from` depends on. -ENOMEM. */
int relation_inherit(struct relation *to, const struct relation *from);
/* The text becomes the relation's SQL. -ENOMEM. */
int relation_set_sql(struct relation *relation, struct text *sql);
struct source *source_new(struct relations *r, uint32_t node,
                          struct store *store, const struct schema *schema);
/* A relation of the transform database that reads source. */
int relation_read(struct relations *r, struct source *source,
                  struct relation **ret_relation);

/* Can this be computed on from's connection? */
bool relation_pushes(const struct relations *r, const struct relation *from,
                     uint32_t node);

/* "a", "b" of schema, with an alias before each unless NULL. */
void print_columns(const struct schema *schema, const char *alias,
                   struct text *to);
void print_expr(struct relations *r, const struct store *place,
                const struct expr *expr, uint32_t node, const char *column,
                bool aggregate, struct text *to);

/* ---- kinds of nodes ------------------------------------------------------ */

struct step { /* one call of relation_of() */
    struct relations *r;
    uint32_t node;
    const json_t *config;
    struct relation *const *parents;
    size_t parent_count;
    char *why;
};

/* A text of its configuration, or NULL. */
const char *step_text(const struct step *s, const char *key);
/* The type that holds values of both, or TYPE_NULL. */
enum type step_common_type(enum type a, enum type b);
int step_join(struct step *s, struct relation **ret);

/* What goes into why, and -ENOMEM or -EINVAL. Macros, so that readers and
 * analysers see at the call that it is never 0. */
void why_say(char why[RELATION_WHY_MAX], const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
#define why_memory(why) (why_say((why), "out of memory"), -ENOMEM)
#define why_set(why, ...) (why_say((why), __VA_ARGS__), -EINVAL)
/* -EINVAL with the columns there are. */
int why_no_column(const struct schema *schema, const char *name, int rc,
                  char why[RELATION_WHY_MAX]);

/* A list of OUT (DATA.md) over one or two sides, added to select. */
int read_outs(struct select *select, const json_t *columns,
              struct relation *const *sides, size_t side_count, bool aggregate,
              char why[RELATION_WHY_MAX]);

#endif
