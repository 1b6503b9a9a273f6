/*
 * classify.h - ordered rules -> the wanted pool, with the rule and the values
 * that matched. Pure; rules come from the configuration, the defaults are in
 * classify.c and described in RULES.md.
 */
#ifndef POLICY_CLASSIFY_H
#define POLICY_CLASSIFY_H

#include "policy/features.h"

enum { RULE_TAGS_MAX = 16, RULES_MAX = 64, CLASSIFY_WHY_MAX = 160 };

/* A rule matches when any of its set conditions holds; a rule without any
 * condition always matches. A condition of -1 (or no tags) is not set. */
struct rule {
    const char *name; /* shows in every decision */
    const char *pool;
    int64_t nodes_over;      /* nodes > n */
    int64_t db_nodes_over;   /* db_nodes > n */
    int64_t transforms_over; /* transforms > n */
    int64_t size_at_least;   /* bytes; an unknown size never matches */
    const char *tags_any[RULE_TAGS_MAX]; /* compared without case */
    size_t tag_count;
};

struct ruleset {
    const struct rule *rules; /* first match wins */
    size_t count;
};

/* large -> high-memory, etl -> etl, small -> default. */
extern const struct ruleset ruleset_default;

struct classification {
    const char *rule;           /* borrowed from the rules; "requested" when
                                   the caller asked for a pool */
    const char *pool;           /* borrowed */
    char why[CLASSIFY_WHY_MAX]; /* "nodes 14 > 10"; every condition that held,
                                   joined with ", " */
};

/* -ENOENT: no rule matched (only when the last rule has conditions);
 * *ret is then left as it was. */
int classify(const struct features *features, const struct ruleset *rules,
             struct classification *ret);

#endif
