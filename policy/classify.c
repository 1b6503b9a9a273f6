/* classify.c - see classify.h */
#include "policy/classify.h"
#include "policy/text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <strings.h>

static const struct rule default_rules[] = {
    {
        .name = "large",
        .pool = "high-memory",
        .nodes_over = 10,
        .db_nodes_over = -1,
        .transforms_over = -1,
        .size_at_least = (int64_t)1 << 30,
        .tags_any = {"analytics", "ml"},
        .tag_count = 2,
    },
    {
        .name = "etl",
        .pool = "etl",
        .nodes_over = -1,
        .db_nodes_over = 2,
        .transforms_over = 3,
        .size_at_least = -1,
        .tags_any = {"etl"},
        .tag_count = 1,
    },
    {
        .name = "small",
        .pool = "default",
        .nodes_over = -1,
        .db_nodes_over = -1,
        .transforms_over = -1,
        .size_at_least = -1,
    },
};

const struct ruleset ruleset_default = {
    .rules = default_rules,
    .count = sizeof default_rules / sizeof default_rules[0],
};

/* The conditions of a rule that held, as text, and how many. */
struct evidence {
    char why[CLASSIFY_WHY_MAX];
    size_t set, held;
    bool cut; /* why is full; what follows is not squeezed in */
};

static const char *separator(const struct evidence *evidence)
{
    return evidence->held == 0 ? "" : ", ";
}

static void weigh_count(struct evidence *evidence, const char *what,
                        uint32_t value, int64_t over)
{
    if (over < 0)
        return;
    evidence->set++;
    if (value <= over)
        return;
    evidence->cut =
        evidence->cut ||
        !text_append(evidence->why, sizeof evidence->why, "%s%s %u > %lld",
                     separator(evidence), what, value, (long long)over);
    evidence->held++;
}

static void weigh_size(struct evidence *evidence,
                       const struct features *features, int64_t at_least)
{
    if (at_least < 0)
        return;
    evidence->set++;
    if (features->size_source == SIZE_UNKNOWN ||
        features->size_bytes < at_least)
        return;
    char size[SIZE_TEXT_MAX];
    char limit[SIZE_TEXT_MAX];
    text_size_pair(features->size_bytes, at_least, size, limit);
    evidence->cut =
        evidence->cut ||
        !text_append(evidence->why, sizeof evidence->why,
                     "%ssize %s >= %s (%s)", separator(evidence), size, limit,
                     size_source_name(features->size_source));
    evidence->held++;
}

static bool is_tagged(const struct features *features, const char *tag)
{
    for (size_t i = 0; i < features->tag_count; i++) {
        if (strcasecmp(features->tags[i], tag) == 0)
            return true;
    }
    return false;
}

static void weigh_tags(struct evidence *evidence,
                       const struct features *features, const struct rule *rule)
{
    for (size_t i = 0; i < rule->tag_count; i++) {
        evidence->set++;
        if (!is_tagged(features, rule->tags_any[i]))
            continue;
        evidence->cut =
            evidence->cut ||
            !text_append(evidence->why, sizeof evidence->why, "%stagged %s",
                         separator(evidence), rule->tags_any[i]);
        evidence->held++;
    }
}

static bool rule_matches(const struct rule *rule,
                         const struct features *features,
                         struct evidence *evidence)
{
    *evidence = (struct evidence){0};
    weigh_count(evidence, "nodes", features->nodes, rule->nodes_over);
    weigh_count(evidence, "db_nodes", features->db_nodes, rule->db_nodes_over);
    weigh_count(evidence, "transforms", features->transforms,
                rule->transforms_over);
    weigh_size(evidence, features, rule->size_at_least);
    weigh_tags(evidence, features, rule);
    if (evidence->set == 0)
        text_append(evidence->why, sizeof evidence->why,
                    "no earlier rule matched");
    return evidence->set == 0 || evidence->held > 0;
}

int classify(const struct features *features, const struct ruleset *rules,
             struct classification *ret)
{
    if (features->requested_pool != NULL) {
        *ret = (struct classification){.rule = "requested",
                                       .pool = features->requested_pool};
        text_append(ret->why, sizeof ret->why, "the caller asked for %s",
                    features->requested_pool);
        return 0;
    }
    for (size_t i = 0; i < rules->count; i++) {
        struct evidence evidence;
        if (!rule_matches(&rules->rules[i], features, &evidence))
            continue;
        *ret = (struct classification){.rule = rules->rules[i].name,
                                       .pool = rules->rules[i].pool};
        text_append(ret->why, sizeof ret->why, "%s", evidence.why);
        return 0;
    }
    return -ENOENT;
}
