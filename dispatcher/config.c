/* config.c - see config.h
 *
 * Defaults first, then the file over them, then the questions that concern
 * more than one key. Every step goes on after a problem, so that one run of
 * --check-config shows them all. */
#include "dispatcher/config.h"
#include "dispatcher/config_file.h"
#include "dispatcher/config_table.h"
#include "dispatcher/config_units.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Texts and rules of one config, all freed together. */
struct config_arena {
    struct piece {
        struct piece *next;
        max_align_t bytes[];
    } * pieces;
    bool out_of_memory;
};

struct loading {
    struct config *config;
    const struct config_file *file; /* NULL: defaults alone */
    struct config_problems *problems;
};

static void *keep_bytes(struct config_arena *arena, size_t bytes)
{
    struct piece *piece = calloc(1, sizeof *piece + bytes);
    if (piece == NULL) {
        arena->out_of_memory = true;
        return NULL;
    }
    piece->next = arena->pieces;
    arena->pieces = piece;
    return piece->bytes;
}

/* NULL for NULL, and without memory. */
static char *keep(struct config *config, const char *text)
{
    if (text == NULL)
        return NULL;
    char *copy = keep_bytes(config->arena, strlen(text) + 1);
    if (copy != NULL)
        memcpy(copy, text, strlen(text) + 1);
    return copy;
}

/* ---- defaults ---------------------------------------------------------- */

/* Left NULL when there is no home: the program then asks for --state. */
static char *default_state_dir(struct config *config)
{
    char path[4096];
    const char *xdg = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    if (xdg != NULL && xdg[0] == '/')
        snprintf(path, sizeof path, "%s/dispatcher", xdg);
    else if (geteuid() == 0)
        snprintf(path, sizeof path, "/var/lib/dispatcher");
    else if (home != NULL && home[0] == '/')
        snprintf(path, sizeof path, "%s/.local/state/dispatcher", home);
    else
        return NULL;
    return keep(config, path);
}

static void default_rules(struct config *config)
{
    size_t count = ruleset_default.count;
    assert(count <= RULES_MAX);
    config->rules = keep_bytes(config->arena, RULES_MAX * sizeof(struct rule));
    if (config->rules == NULL)
        return;
    memcpy(config->rules, ruleset_default.rules, count * sizeof(struct rule));
    config->ruleset = (struct ruleset){.rules = config->rules, .count = count};
}

static struct config *config_default(void)
{
    struct config *config = calloc(1, sizeof *config);
    if (config == NULL)
        return NULL;
    config->arena = calloc(1, sizeof *config->arena);
    if (config->arena == NULL) {
        free(config);
        return NULL;
    }
    config->state_dir = default_state_dir(config);
    config->http = keep(config, "127.0.0.1:8080");
    config->agents = keep(config, "tcp://127.0.0.1:8090");
    config->log_level = LOG_INFO;
    config->body_max = (size_t)8 << 20;
    config->http_connections_max = 512;
    config->drain_ms = 30000;
    config->size_estimate_ms = 500;
    config->store_max = (size_t)16 << 30;
    config->workflow = workflow_limits_default;
    ledger_config_default(&config->ledger);
    default_rules(config);
    return config;
}

void config_free(struct config **config_p)
{
    struct config *config = *config_p;
    if (config == NULL)
        return;
    struct piece *next = config->arena->pieces;
    while (next != NULL) {
        struct piece *piece = next;
        next = piece->next;
        free(piece);
    }
    free(config->arena);
    free(config);
    *config_p = NULL;
}

/* ---- the file over them ------------------------------------------------ */

static void store_text(struct config *config, const struct config_key *key,
                       const char *text, void *base)
{
    char *to = (char *)base + key->to;
    if (key->type == CONFIG_NAME) {
        assert(strlen(text) < key->to_bytes);
        memcpy(to, text, strlen(text) + 1);
        return;
    }
    char *copy = keep(config, text);
    memcpy(to, &copy, sizeof copy);
}

/* Stores every single value of a section; lists are their owners' business.
 * Values that are wrong have been reported and leave the default.
 * NOLINTNEXTLINE(misc-no-recursion): as deep as the table */
static void store_values(struct config *config, const struct config_key *keys,
                         const void *raw, void *base)
{
    for (const struct config_key *key = keys; key->name != NULL; key++) {
        if (key->type == CONFIG_SECTION) {
            store_values(config, key->keys, raw, base);
            continue;
        }
        if (key->type == CONFIG_LIST || key->type == CONFIG_NAMES ||
            key->type == CONFIG_TEXTS)
            continue;
        char *text;
        memcpy(&text, (const char *)raw + key->raw, sizeof text);
        char room[CONFIG_WRONG_MAX];
        if (text == NULL || text[0] == '\0' ||
            config_key_wrong(key, text, room) != NULL)
            continue;
        if (key->type == CONFIG_TEXT || key->type == CONFIG_NAME ||
            key->type == CONFIG_HTTP || key->type == CONFIG_AGENTS)
            store_text(config, key, text, base);
        else
            config_key_store(key, text, base);
    }
}

static void store_pool(struct config *config, const struct config_raw_pool *raw,
                       uint32_t waiting_max, struct pool_config *pool)
{
    *pool = (struct pool_config){.max_size = -1, .waiting_max = waiting_max};
    store_values(config, config_pool_keys, raw, pool);
    for (unsigned i = 0; i < raw->alias_count; i++)
        snprintf(pool->aliases[pool->alias_count++], POOL_NAME_MAX, "%s",
                 raw->aliases[i]);
    for (unsigned i = 0; i < raw->fallback_count; i++) {
        struct pool_hop *hop = &pool->fallback[pool->fallback_count++];
        hop->size_below = -1;
        store_values(config, config_hop_keys, &raw->fallback[i], hop);
    }
}

static void store_rule(struct config *config, const struct config_raw_rule *raw,
                       struct rule *rule)
{
    *rule = (struct rule){.name = "",
                          .pool = "",
                          .nodes_over = -1,
                          .db_nodes_over = -1,
                          .transforms_over = -1,
                          .size_at_least = -1};
    store_values(config, config_rule_keys, raw, rule);
    for (unsigned i = 0; i < raw->when.tag_count; i++) {
        const char *tag = keep(config, raw->when.tags[i]);
        rule->tags_any[rule->tag_count++] = tag != NULL ? tag : "";
    }
}

static void store_file(struct config *config, const struct config_raw *raw)
{
    store_values(config, config_keys, raw, config);
    config->store_max &= ~(size_t)4095; /* whole pages */
    if (raw->pool_count > 0) {
        /* The default of every pool's line, whatever the pool is called. */
        uint32_t waiting_max = config->ledger.pools[0].waiting_max;
        config->ledger.pool_count = raw->pool_count;
        for (unsigned i = 0; i < raw->pool_count; i++)
            store_pool(config, &raw->pools[i], waiting_max,
                       &config->ledger.pools[i]);
    }
    if (raw->rule_count > 0 && config->rules != NULL) {
        config->ruleset.count = raw->rule_count;
        for (unsigned i = 0; i < raw->rule_count; i++)
            store_rule(config, &raw->rules[i], &config->rules[i]);
    }
}

/* ---- what keys mean to each other -------------------------------------- */

/* "default, etl, high-memory" */
static void list_pools(const struct ledger_config *ledger, char *room,
                       size_t room_bytes)
{
    room[0] = '\0';
    for (size_t i = 0; i < ledger->pool_count; i++) {
        const char *name = ledger->pools[i].name;
        bool first =
            name[0] != '\0' && ledger_config_pool(ledger, name) == (int)i;
        size_t len = strlen(room);
        if (first)
            snprintf(room + len, room_bytes - len, "%s%s", len > 0 ? ", " : "",
                     name);
    }
}

/* Is this name (the alias-th alias, or the name itself for -1) an earlier
 * pool's or an earlier one of this pool? */
static bool name_is_taken(const struct ledger_config *ledger, size_t pool,
                          int alias, const char *name)
{
    for (size_t i = 0; i <= pool; i++) {
        const struct pool_config *other = &ledger->pools[i];
        bool self = i == pool;
        if ((!self || alias >= 0) && strcmp(other->name, name) == 0)
            return true;
        size_t count =
            self ? (size_t)(alias < 0 ? 0 : alias) : other->alias_count;
        for (size_t a = 0; a < count; a++) {
            if (strcmp(other->aliases[a], name) == 0)
                return true;
        }
    }
    return false;
}

static void check_names(const struct loading *l, size_t i)
{
    const struct ledger_config *ledger = &l->config->ledger;
    const struct pool_config *pool = &ledger->pools[i];
    if (pool->name[0] != '\0' && name_is_taken(ledger, i, -1, pool->name))
        config_problem(l->problems,
                       config_file_line(l->file, "pools/%zu/name", i),
                       "two pools are called %s (a name or an alias); rename "
                       "one",
                       pool->name);
    for (size_t a = 0; a < pool->alias_count; a++) {
        if (name_is_taken(ledger, i, (int)a, pool->aliases[a]))
            config_problem(
                l->problems,
                config_file_line(l->file, "pools/%zu/aliases/%zu", i, a),
                "alias %s of pool %s is a pool's name or alias already; "
                "remove it",
                pool->aliases[a], pool->name);
    }
}

static bool hop_is_repeated(const struct pool_config *pool, size_t hop)
{
    for (size_t i = 0; i < hop; i++) {
        if (strcmp(pool->fallback[i].pool, pool->fallback[hop].pool) == 0)
            return true;
    }
    return false;
}

/* Also replaces an alias by the pool's own name. */
static void check_hop(const struct loading *l, size_t i, size_t h)
{
    struct ledger_config *ledger = &l->config->ledger;
    struct pool_config *pool = &ledger->pools[i];
    struct pool_hop *hop = &pool->fallback[h];
    if (hop->pool[0] == '\0')
        return; /* reported: missing or not a name */
    unsigned line =
        config_file_line(l->file, "pools/%zu/fallback/%zu/pool", i, h);
    int target = ledger_config_pool(ledger, hop->pool);
    if (target < 0) {
        char known[600];
        list_pools(ledger, known, sizeof known);
        config_problem(l->problems, line,
                       "pool %s falls back to %s, which is not configured; "
                       "use one of %s",
                       pool->name, hop->pool, known);
        return;
    }
    const struct pool_config *to = &ledger->pools[target];
    memcpy(hop->pool, to->name, sizeof hop->pool);
    if ((size_t)target == i)
        config_problem(l->problems, line,
                       "pool %s falls back to itself; remove this entry",
                       pool->name);
    else if (hop_is_repeated(pool, h))
        config_problem(l->problems, line,
                       "pool %s falls back to %s twice; remove one entry",
                       pool->name, to->name);
    if (hop->free_at_least > to->limit && to->limit > 0)
        config_problem(
            l->problems,
            config_file_line(l->file, "pools/%zu/fallback/%zu/free_at_least", i,
                             h),
            "pool %s never has %u free slots, its limit is %u; lower "
            "free_at_least",
            to->name, hop->free_at_least, to->limit);
}

static void check_pools(const struct loading *l)
{
    const struct ledger_config *ledger = &l->config->ledger;
    for (size_t i = 0; i < ledger->pool_count; i++)
        check_names(l, i);
    for (size_t i = 0; i < ledger->pool_count; i++) {
        for (size_t h = 0; h < ledger->pools[i].fallback_count; h++)
            check_hop(l, i, h);
    }
}

static bool rule_has_conditions(const struct rule *rule)
{
    return rule->nodes_over >= 0 || rule->db_nodes_over >= 0 ||
           rule->transforms_over >= 0 || rule->size_at_least >= 0 ||
           rule->tag_count > 0;
}

/* A `when` that is there, even with values that are wrong, is meant as one. */
static bool rule_is_conditional(const struct loading *l, size_t i)
{
    const struct config_raw *raw = config_file_raw(l->file);
    if (raw->rule_count == 0)
        return rule_has_conditions(&l->config->rules[i]);
    const struct config_raw_when *when = &raw->rules[i].when;
    return when->nodes_over != NULL || when->db_nodes_over != NULL ||
           when->transforms_over != NULL || when->size_at_least != NULL ||
           when->tag_count > 0;
}

/* Also replaces an alias by the pool's own name. */
static void check_rule_pool(const struct loading *l, size_t i)
{
    const struct ledger_config *ledger = &l->config->ledger;
    struct rule *rule = &l->config->rules[i];
    if (rule->pool[0] == '\0')
        return; /* reported: missing */
    int pool = ledger_config_pool(ledger, rule->pool);
    if (pool >= 0) {
        rule->pool = ledger->pools[pool].name;
        return;
    }
    char known[600];
    list_pools(ledger, known, sizeof known);
    if (config_file_raw(l->file)->rule_count > 0)
        config_problem(l->problems,
                       config_file_line(l->file, "rules/%zu/pool", i),
                       "rule %s sends runs to %s, which is not a pool; use "
                       "one of %s",
                       rule->name, rule->pool, known);
    else
        config_problem(l->problems, config_file_line(l->file, "pools"),
                       "the default rule %s sends runs to %s, which is not in "
                       "`pools` (%s); add that pool or give `rules`",
                       rule->name, rule->pool, known);
}

static void check_rule(const struct loading *l, size_t i)
{
    const struct config *config = l->config;
    const struct rule *rule = &config->rules[i];
    unsigned line = config_file_line(l->file, "rules/%zu/name", i);
    bool last = i + 1 == config->ruleset.count;
    if (strcmp(rule->name, "requested") == 0)
        config_problem(l->problems, line,
                       "a rule cannot be called \"requested\", decisions use "
                       "that word for a pool the caller asked for; rename it");
    for (size_t other = 0; other < i; other++) {
        if (rule->name[0] != '\0' &&
            strcmp(rule->name, config->rules[other].name) == 0) {
            config_problem(l->problems, line,
                           "two rules are called %s; rename one", rule->name);
            break;
        }
    }
    check_rule_pool(l, i);
    bool conditional = rule_is_conditional(l, i);
    if (last && conditional)
        config_problem(l->problems, line,
                       "the last rule, %s, has conditions, so a run could "
                       "match none; add a rule without `when` after it",
                       rule->name);
    if (!last && !conditional)
        config_problem(l->problems, line,
                       "rule %s matches everything, so the rules after it are "
                       "never reached; give it a `when` or move it to the end",
                       rule->name);
}

/* `what` of at most lease.length. */
static void check_in_lease(const struct loading *l, const char *what,
                           uint32_t ms)
{
    uint32_t lease_ms = l->config->ledger.lease_ms;
    if (ms <= lease_ms)
        return;
    char is[UNITS_TEXT_MAX], length[UNITS_TEXT_MAX];
    units_duration(ms, is);
    units_duration(lease_ms, length);
    config_problem(l->problems, config_file_line(l->file, "lease/%s", what),
                   "lease.%s (%s) is longer than lease.length (%s); shorten it "
                   "or make the lease longer",
                   what, is, length);
}

static void check_token_file(const struct loading *l)
{
    const char *path = l->config->token_file;
    if (path == NULL || access(path, R_OK) == 0)
        return;
    config_problem(l->problems, config_file_line(l->file, "auth/token_file"),
                   "auth.token_file %s: %s; create it or correct the path",
                   path, strerror(errno));
}

static void check_relations(const struct loading *l)
{
    check_pools(l);
    for (size_t i = 0; i < l->config->ruleset.count; i++)
        check_rule(l, i);
    check_in_lease(l, "accept", l->config->ledger.accept_ms);
    check_in_lease(l, "margin", l->config->ledger.margin_ms);
    check_token_file(l);
}

/* ---- loading ----------------------------------------------------------- */

static int load_file(const char *path, struct config *config,
                     struct config_problems *problems)
{
    struct config_file *file = NULL;
    int r = config_file_read(path, &file, problems);
    if (r < 0)
        return r;
    config->file = keep(config, path);
    store_file(config, config_file_raw(file));
    if (!config->arena->out_of_memory) {
        struct loading l = {config, file, problems};
        check_relations(&l);
    }
    config_file_free(&file);
    if (problems->out_of_memory)
        return -ENOMEM;
    return problems->count > 0 ? -EINVAL : 0;
}

int config_load(const char *file, struct config **ret_config, FILE *problems)
{
    struct config_problems found = {0};
    struct config *config = config_default();
    if (config == NULL)
        return -ENOMEM;
    int r = file != NULL ? load_file(file, config, &found) : 0;
    if (config->arena->out_of_memory)
        r = -ENOMEM;
    if (problems != NULL && file != NULL)
        config_problems_print(&found, file, problems);
    config_problems_clear(&found);
    if (r < 0) {
        config_free(&config);
        return r;
    }
    *ret_config = config;
    return 0;
}
