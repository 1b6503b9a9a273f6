/* config_table.c - see config_table.h */
#include "dispatcher/config_table.h"
#include "dispatcher/config_units.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define RAW(type, member) .raw = offsetof(type, member)
#define TO(type, member)                                                       \
    .to = offsetof(type, member), .to_bytes = sizeof(((type *)NULL)->member)

#define KIB ((int64_t)1 << 10)
#define MIB ((int64_t)1 << 20)
#define GIB ((int64_t)1 << 30)
#define TIB ((int64_t)1 << 40)

/* Milliseconds. */
#define SECOND ((int64_t)1000)
#define HOUR (3600 * SECOND)
#define DAY (24 * HOUR)

static const struct config_key auth_keys[] = {
    {"token_file", CONFIG_TEXT, .min = 1, .max = 4095,
     RAW(struct config_raw, auth.token_file), TO(struct config, token_file),
     .example = "/etc/dispatcher/tokens",
     .text = "File of bearer tokens, \"NAME TOKEN\" a line. Without it the API "
             "asks for no token."},
    {.name = NULL},
};

static const struct config_key limits_keys[] = {
    {"body", CONFIG_SIZE, .min = 1 * KIB, .max = 1 * GIB,
     RAW(struct config_raw, limits.body), TO(struct config, body_max),
     .text = "Largest HTTP request body; more is answered 413."},
    {"connections", CONFIG_COUNT, .min = 4, .max = 100000,
     RAW(struct config_raw, limits.connections),
     TO(struct config, http_connections_max),
     .text = "HTTP connections at once. Each costs a file descriptor: the "
             "broker refuses to start when the system allows fewer."},
    {"nodes", CONFIG_COUNT, .min = 1, .max = WORKFLOW_NODES_MAX,
     RAW(struct config_raw, limits.nodes),
     TO(struct config, workflow.nodes_max), .text = "Nodes of one workflow."},
    {"edges", CONFIG_COUNT, .min = 1, .max = WORKFLOW_EDGES_MAX,
     RAW(struct config_raw, limits.edges),
     TO(struct config, workflow.edges_max), .text = "Edges of one workflow."},
    {"store", CONFIG_SIZE, .min = 16 * MIB, .max = 64 * TIB,
     RAW(struct config_raw, limits.store), TO(struct config, store_max),
     .text = "Most the store's file may grow to; it starts small. New runs are "
             "refused at 95 % of it."},
    {.name = NULL},
};

static const struct config_key lease_keys[] = {
    {"length", CONFIG_DURATION, .min = 1 * SECOND, .max = 1 * HOUR,
     RAW(struct config_raw, lease.length), TO(struct config, ledger.lease_ms),
     .text = "A lost agent's runs are given up this long after its last "
             "renewal; agents renew three times in it."},
    {"accept", CONFIG_DURATION, .min = SECOND / 10, .max = 1 * HOUR,
     RAW(struct config_raw, lease.accept), TO(struct config, ledger.accept_ms),
     .text = "A run that no agent has accepted by then goes back to its line. "
             "At most lease.length."},
    {"margin", CONFIG_DURATION, .min = SECOND / 10, .max = 1 * HOUR,
     RAW(struct config_raw, lease.margin), TO(struct config, ledger.margin_ms),
     .text = "The broker waits so much longer than the agent before it takes a "
             "lease for lapsed; covers a kill on the agent's side. At most "
             "lease.length."},
    {"cancel_grace", CONFIG_DURATION, .min = 0, .max = 1 * HOUR,
     RAW(struct config_raw, lease.cancel_grace),
     TO(struct config, ledger.cancel_grace_ms),
     .text = "Between TERM and KILL when a run is cancelled."},
    {.name = NULL},
};

const struct config_key config_hop_keys[] = {
    {"pool", CONFIG_NAME, .required = true, .min = 1, .max = POOL_NAME_MAX - 1,
     RAW(struct config_raw_hop, pool), TO(struct pool_hop, pool),
     .text = "The pool that may take the run instead; a name or an alias."},
    {"after", CONFIG_DURATION, .min = 0, .max = 7 * DAY,
     RAW(struct config_raw_hop, after), TO(struct pool_hop, after_ms),
     .text = "Only when the run has waited this long."},
    {"size_below", CONFIG_SIZE, .min = 1, .max = INT64_MAX,
     RAW(struct config_raw_hop, size_below), TO(struct pool_hop, size_below),
     .text = "Only when the size is known and below this."},
    {"free_at_least", CONFIG_COUNT, .min = 1, .max = 100000,
     RAW(struct config_raw_hop, free_at_least),
     TO(struct pool_hop, free_at_least),
     .text = "Only while that pool has this many free slots."},
    {.name = NULL},
};

const struct config_key config_pool_keys[] = {
    {"name", CONFIG_NAME, .required = true, .min = 1, .max = POOL_NAME_MAX - 1,
     RAW(struct config_raw_pool, name), TO(struct pool_config, name),
     .text = "Shown everywhere; letters, digits, dot, dash, underscore."},
    {"limit", CONFIG_COUNT, .required = true, .min = 1, .max = 100000,
     RAW(struct config_raw_pool, limit), TO(struct pool_config, limit),
     .text = "Slots: runs at once, never more."},
    {"aliases", CONFIG_NAMES, .min = 0, .max = POOL_ALIASES_MAX,
     RAW(struct config_raw_pool, aliases),
     .raw_count = offsetof(struct config_raw_pool, alias_count),
     .text = "Other names by which requests and agents may call it."},
    {"max_size", CONFIG_SIZE, .min = 1, .max = INT64_MAX,
     RAW(struct config_raw_pool, max_size), TO(struct pool_config, max_size),
     .text = "Ceiling: a run known to be larger never starts here."},
    {"waiting_max", CONFIG_COUNT, .min = 0, .max = 10000000,
     RAW(struct config_raw_pool, waiting_max),
     TO(struct pool_config, waiting_max),
     .text = "Runs in its line; more are refused with 429."},
    {"fallback", CONFIG_LIST, .min = 0, .max = ROUTE_HOPS_MAX - 1,
     RAW(struct config_raw_pool, fallback),
     .raw_count = offsetof(struct config_raw_pool, fallback_count),
     .raw_bytes = sizeof(struct config_raw_hop), .keys = config_hop_keys,
     .text = "Pools to try, in order, when this one cannot take the run."},
    {.name = NULL},
};

static const struct config_key when_keys[] = {
    {"nodes_over", CONFIG_COUNT, .min = 0, .max = 1000000,
     RAW(struct config_raw_rule, when.nodes_over), TO(struct rule, nodes_over),
     .text = "The workflow has more nodes than this."},
    {"db_nodes_over", CONFIG_COUNT, .min = 0, .max = 1000000,
     RAW(struct config_raw_rule, when.db_nodes_over),
     TO(struct rule, db_nodes_over),
     .text = "More nodes read or write a database."},
    {"transforms_over", CONFIG_COUNT, .min = 0, .max = 1000000,
     RAW(struct config_raw_rule, when.transforms_over),
     TO(struct rule, transforms_over), .text = "More nodes transform rows."},
    {"size_at_least", CONFIG_SIZE, .min = 1, .max = INT64_MAX,
     RAW(struct config_raw_rule, when.size_at_least),
     TO(struct rule, size_at_least),
     .text = "Its size is known and at least this."},
    {"tags", CONFIG_TEXTS, .min = 1, .max = RULE_TAGS_MAX,
     RAW(struct config_raw_rule, when.tags),
     .raw_count = offsetof(struct config_raw_rule, when.tag_count),
     .text = "It has one of these tags; case does not matter."},
    {.name = NULL},
};

const struct config_key config_rule_keys[] = {
    {"name", CONFIG_TEXT, .required = true, .min = 1, .max = POOL_NAME_MAX - 1,
     RAW(struct config_raw_rule, name), TO(struct rule, name),
     .text = "Shown in every decision."},
    {"pool", CONFIG_TEXT, .required = true, .min = 1, .max = POOL_NAME_MAX - 1,
     RAW(struct config_raw_rule, pool), TO(struct rule, pool),
     .text = "Where the run goes; a name or an alias."},
    {"when", CONFIG_SECTION, RAW(struct config_raw_rule, when),
     .raw_bytes = sizeof(struct config_raw_when), .keys = when_keys,
     .text = "The rule matches when any of these holds; without `when` it "
             "always matches, and the last rule has to."},
    {.name = NULL},
};

const struct config_key config_keys[] = {
    {"http", CONFIG_HTTP, RAW(struct config_raw, http), TO(struct config, http),
     .text = "Address of the HTTP API; port 0 picks a free one."},
    {"agents", CONFIG_AGENTS, RAW(struct config_raw, agents),
     TO(struct config, agents),
     .text = "Address agents connect to; port 0 picks a free one."},
    {"state", CONFIG_TEXT, .min = 1, .max = 4095, RAW(struct config_raw, state),
     TO(struct config, state_dir), .example = "/var/lib/dispatcher",
     .text = "Directory of the store, created when missing. Default: "
             "$XDG_STATE_HOME/dispatcher, else /var/lib/dispatcher for root "
             "and ~/.local/state/dispatcher for others."},
    {"auth", CONFIG_SECTION, RAW(struct config_raw, auth),
     .raw_bytes = sizeof(((struct config_raw *)NULL)->auth), .keys = auth_keys,
     .text = "Who may use the API."},
    {"log_level", CONFIG_LEVEL, RAW(struct config_raw, log_level),
     TO(struct config, log_level),
     .text = "Lines below this level are not written to stderr."},
    {"limits", CONFIG_SECTION, RAW(struct config_raw, limits),
     .raw_bytes = sizeof(((struct config_raw *)NULL)->limits),
     .keys = limits_keys, .text = "What clients may make the broker hold."},
    {"drain", CONFIG_DURATION, .min = 0, .max = 7 * DAY,
     RAW(struct config_raw, drain), TO(struct config, drain_ms),
     .text = "After SIGTERM nothing new starts; running work may take this "
             "long to end. What still runs then continues until its lease is "
             "over, and is taken up again by a broker that starts before."},
    {"lease", CONFIG_SECTION, RAW(struct config_raw, lease),
     .raw_bytes = sizeof(((struct config_raw *)NULL)->lease),
     .keys = lease_keys, .text = "An agent's right to one attempt of a run."},
    {"priority_ageing", CONFIG_DURATION, .min = 0, .max = 7 * DAY,
     RAW(struct config_raw, priority_ageing),
     TO(struct config, ledger.ageing_ms),
     .text = "A normal run overtakes high ones that arrived this much later; a "
             "low one needs twice as long."},
    {"size_estimate", CONFIG_DURATION, .min = 0, .max = 10 * SECOND,
     RAW(struct config_raw, size_estimate), TO(struct config, size_estimate_ms),
     .text = "When nobody declares a size and none was measured, a submission "
             "waits at most this long for what an agent says of its sources. "
             "0: no agent is asked."},
    {"pools", CONFIG_LIST, .min = 1, .max = POOLS_MAX,
     RAW(struct config_raw, pools),
     .raw_count = offsetof(struct config_raw, pool_count),
     .raw_bytes = sizeof(struct config_raw_pool), .keys = config_pool_keys,
     .text = "The pools, in place of the default ones."},
    {"rules", CONFIG_LIST, .min = 1, .max = RULES_MAX,
     RAW(struct config_raw, rules),
     .raw_count = offsetof(struct config_raw, rule_count),
     .raw_bytes = sizeof(struct config_raw_rule), .keys = config_rule_keys,
     .text = "Which pool a workflow wants, in place of the default rules; the "
             "first that matches decides."},
    {.name = NULL},
};

const struct config_key *config_key_find(const struct config_key *keys,
                                         const char *name)
{
    for (const struct config_key *key = keys; key->name != NULL; key++) {
        if (strcmp(key->name, name) == 0)
            return key;
    }
    return NULL;
}

/* ---- values ------------------------------------------------------------ */

static const char *const level_names[] = {
    [LOG_DEBUG] = "debug",
    [LOG_INFO] = "info",
    [LOG_WARN] = "warn",
    [LOG_ERROR] = "error",
};

int config_level_parse(const char *name, enum log_level *ret_level)
{
    for (size_t i = 0; i < sizeof level_names / sizeof level_names[0]; i++) {
        if (strcmp(level_names[i], name) == 0) {
            *ret_level = (enum log_level)i;
            return 0;
        }
    }
    return -EINVAL;
}

const char *config_level_name(enum log_level level)
{
    return level_names[level];
}

static int parse_number(const struct config_key *key, const char *text,
                        int64_t *ret)
{
    if (key->type == CONFIG_COUNT)
        return units_count(text, ret);
    if (key->type == CONFIG_SIZE)
        return config_parse_size(text, ret);
    uint64_t ms;
    int r = config_parse_duration(text, &ms);
    if (r < 0)
        return r;
    if (ms > INT64_MAX)
        return -ERANGE;
    *ret = (int64_t)ms;
    return 0;
}

static void print_number(const struct config_key *key, int64_t number,
                         char ret_text[UNITS_TEXT_MAX])
{
    if (key->type == CONFIG_DURATION)
        units_duration((uint64_t)number, ret_text);
    else if (key->type == CONFIG_SIZE)
        units_size(number, ret_text);
    else
        snprintf(ret_text, UNITS_TEXT_MAX, "%" PRId64, number);
}

static const char *number_wrong(const struct config_key *key, const char *text,
                                char room[CONFIG_WRONG_MAX])
{
    int64_t number = 0;
    int r = parse_number(key, text, &number);
    if (r == 0 && number >= key->min && number <= key->max)
        return NULL;
    char domain[CONFIG_WRONG_MAX];
    config_key_domain(key, domain);
    if (r == -EINVAL)
        snprintf(room, CONFIG_WRONG_MAX, "cannot be read; give a %.120s",
                 domain);
    else
        snprintf(room, CONFIG_WRONG_MAX, "is out of range; give a %.120s",
                 domain);
    return room;
}

static const char *name_wrong(const struct config_key *key, const char *text,
                              char room[CONFIG_WRONG_MAX])
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    if (text[strspn(text, allowed)] != '\0' || *text == '.' || *text == '-') {
        snprintf(room, CONFIG_WRONG_MAX,
                 "is not a name; use letters, digits, dot, dash and "
                 "underscore, beginning with neither dot nor dash");
        return room;
    }
    if (strlen(text) <= (size_t)key->max)
        return NULL;
    snprintf(room, CONFIG_WRONG_MAX,
             "is too long; use at most %" PRId64 " bytes", key->max);
    return room;
}

static const char *text_wrong(const struct config_key *key, const char *text,
                              char room[CONFIG_WRONG_MAX])
{
    for (const char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            snprintf(room, CONFIG_WRONG_MAX,
                     "contains a control character; remove it");
            return room;
        }
    }
    if (strlen(text) <= (size_t)key->max)
        return NULL;
    snprintf(room, CONFIG_WRONG_MAX,
             "is too long; use at most %" PRId64 " bytes", key->max);
    return room;
}

const char *config_key_wrong(const struct config_key *key, const char *text,
                             char room[CONFIG_WRONG_MAX])
{
    enum log_level level;
    switch (key->type) {
    case CONFIG_DURATION:
    case CONFIG_SIZE:
    case CONFIG_COUNT:
        return number_wrong(key, text, room);
    case CONFIG_NAME:
        return name_wrong(key, text, room);
    case CONFIG_TEXT:
        return text_wrong(key, text, room);
    case CONFIG_HTTP:
        return units_address_problem(text, "");
    case CONFIG_AGENTS:
        return units_address_problem(text, "tcp://");
    case CONFIG_LEVEL:
        return config_level_parse(text, &level) == 0
                   ? NULL
                   : "is no level; use debug, info, warn or error";
    case CONFIG_NAMES:
    case CONFIG_TEXTS:
    case CONFIG_SECTION:
    case CONFIG_LIST:
        break;
    }
    abort(); /* lists and sections have no value of their own */
}

void config_key_store(const struct config_key *key, const char *text,
                      void *base)
{
    char *to = (char *)base + key->to;
    if (key->type == CONFIG_LEVEL) {
        enum log_level level = LOG_INFO;
        int r = config_level_parse(text, &level);
        assert(r == 0);
        memcpy(to, &level, sizeof level);
        return;
    }
    int64_t number = 0;
    int r = parse_number(key, text, &number);
    assert(r == 0);
    (void)r;
    if (key->to_bytes == sizeof(int64_t)) {
        memcpy(to, &number, sizeof number);
        return;
    }
    assert(key->to_bytes == sizeof(uint32_t) && number <= UINT32_MAX);
    uint32_t narrow = (uint32_t)number;
    memcpy(to, &narrow, sizeof narrow);
}

static int64_t number_at(const struct config_key *key, const void *base)
{
    const char *from = (const char *)base + key->to;
    int64_t number;
    uint32_t narrow;
    if (key->to_bytes == sizeof number) {
        memcpy(&number, from, sizeof number);
        return number;
    }
    memcpy(&narrow, from, sizeof narrow);
    return narrow;
}

void config_key_print(const struct config_key *key, const void *base,
                      char ret_text[CONFIG_WRONG_MAX])
{
    ret_text[0] = '\0';
    if (key->type == CONFIG_LEVEL) {
        enum log_level level;
        memcpy(&level, (const char *)base + key->to, sizeof level);
        snprintf(ret_text, CONFIG_WRONG_MAX, "%s", config_level_name(level));
        return;
    }
    int64_t number = number_at(key, base);
    if (number >= 0)
        print_number(key, number, ret_text);
}

void config_key_domain(const struct config_key *key,
                       char ret_text[CONFIG_WRONG_MAX])
{
    static const char *const words[] = {
        [CONFIG_TEXT] = "text",
        [CONFIG_HTTP] = "address HOST:PORT",
        [CONFIG_AGENTS] = "address tcp://HOST:PORT",
        [CONFIG_LEVEL] = "debug, info, warn or error",
        [CONFIG_NAME] = "name",
        [CONFIG_DURATION] = "duration",
        [CONFIG_SIZE] = "size",
        [CONFIG_COUNT] = "whole number",
        [CONFIG_NAMES] = "list of names",
        [CONFIG_TEXTS] = "list of texts",
        [CONFIG_SECTION] = "section",
        [CONFIG_LIST] = "list",
    };
    static const char *const examples[] = {
        [CONFIG_DURATION] = ", like 250ms, 10s, 1.5h",
        [CONFIG_SIZE] = ", like 64MiB, 10MB, 512",
        [CONFIG_COUNT] = "",
    };
    char low[UNITS_TEXT_MAX], high[UNITS_TEXT_MAX];
    switch (key->type) {
    case CONFIG_DURATION:
    case CONFIG_SIZE:
    case CONFIG_COUNT:
        print_number(key, key->min, low);
        print_number(key, key->max, high);
        if (key->max == INT64_MAX)
            snprintf(ret_text, CONFIG_WRONG_MAX, "%s of at least %s%s",
                     words[key->type], low, examples[key->type]);
        else
            snprintf(ret_text, CONFIG_WRONG_MAX, "%s from %s to %s%s",
                     words[key->type], low, high, examples[key->type]);
        break;
    case CONFIG_NAMES:
    case CONFIG_TEXTS:
    case CONFIG_LIST:
        snprintf(ret_text, CONFIG_WRONG_MAX, "%s, at most %" PRId64,
                 words[key->type], key->max);
        break;
    case CONFIG_TEXT:
    case CONFIG_HTTP:
    case CONFIG_AGENTS:
    case CONFIG_LEVEL:
    case CONFIG_NAME:
    case CONFIG_SECTION:
        snprintf(ret_text, CONFIG_WRONG_MAX, "%s", words[key->type]);
        break;
    }
}
