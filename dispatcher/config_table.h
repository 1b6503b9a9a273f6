/*
 * config_table.h - the keys of the configuration file: one table of name,
 * type, range, place and meaning. The libcyaml schema, the check that knows
 * lines, the conversion and the printed reference all come from it.
 *
 * libcyaml reads the file into the config_raw structs below, every scalar as
 * text; the table says where the text is (raw) and where its value goes (to).
 *
 * Memory:  static.
 * Threads: any; constant.
 */
#ifndef DISPATCHER_CONFIG_TABLE_H
#define DISPATCHER_CONFIG_TABLE_H

#include "dispatcher/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum config_type {
    CONFIG_TEXT,     /* to: char *; range: bytes */
    CONFIG_HTTP,     /* to: char *; HOST:PORT */
    CONFIG_AGENTS,   /* to: char *; tcp://HOST:PORT */
    CONFIG_LEVEL,    /* to: enum log_level */
    CONFIG_NAME,     /* to: char[POOL_NAME_MAX]; letters, digits, . _ - */
    CONFIG_DURATION, /* to: 4 or 8 bytes; range: ms */
    CONFIG_SIZE,     /* to: 8 bytes; range: bytes */
    CONFIG_COUNT,    /* to: 4 or 8 bytes */
    CONFIG_NAMES,    /* list of CONFIG_NAME; range: entries */
    CONFIG_TEXTS,    /* list of CONFIG_TEXT; range: entries */
    CONFIG_SECTION,  /* `keys`, into the same destination */
    CONFIG_LIST,     /* of sections with `keys`; range: entries */
};

struct config_key {
    const char *name; /* NULL ends a table */
    enum config_type type;
    bool required; /* in its section */
    int64_t min, max;
    size_t raw;       /* offset of the text, list or section */
    size_t raw_count; /* lists: offset of the count, an unsigned */
    size_t raw_bytes; /* sections, lists: size of one raw struct */
    size_t to, to_bytes;
    const struct config_key *keys;
    const char *example; /* keys without a printable default */
    const char *text;    /* one or two sentences */
};

struct config_raw_hop {
    char *pool, *after, *size_below, *free_at_least;
};

struct config_raw_pool {
    char *name, *limit, *max_size, *waiting_max;
    char **aliases;
    unsigned alias_count;
    struct config_raw_hop *fallback;
    unsigned fallback_count;
};

struct config_raw_when {
    char *nodes_over, *db_nodes_over, *transforms_over, *size_at_least;
    char **tags;
    unsigned tag_count;
};

struct config_raw_rule {
    char *name, *pool;
    struct config_raw_when when;
};

struct config_raw {
    char *http, *agents, *state, *log_level, *drain, *priority_ageing,
        *size_estimate;
    struct {
        char *token_file;
    } auth;
    struct {
        char *body, *connections, *nodes, *edges, *store;
    } limits;
    struct {
        char *length, *accept, *margin, *cancel_grace;
    } lease;
    struct config_raw_pool *pools;
    unsigned pool_count;
    struct config_raw_rule *rules;
    unsigned rule_count;
};

/* The tables: the file's, and those of one entry of its lists. */
extern const struct config_key config_keys[];
extern const struct config_key config_pool_keys[];
extern const struct config_key config_hop_keys[];
extern const struct config_key config_rule_keys[];

/* NULL: no such key. */
const struct config_key *config_key_find(const struct config_key *keys,
                                         const char *name);

/* -EINVAL. */
int config_level_parse(const char *name, enum log_level *ret_level);
const char *config_level_name(enum log_level level); /* "info" */

/* NULL when `text` is a value of the key's type and in its range, else the end
 * of the sentence "X ...", in room. */
enum { CONFIG_WRONG_MAX = 200 };
const char *config_key_wrong(const struct config_key *key, const char *text,
                             char room[CONFIG_WRONG_MAX]);

/* Stores the value of a number or level that is not wrong at base + to. */
void config_key_store(const struct config_key *key, const char *text,
                      void *base);

/* "duration from 1s to 1h, like 250ms": what may stand there. */
void config_key_domain(const struct config_key *key,
                       char ret_text[CONFIG_WRONG_MAX]);

/* The number at base + to as it would be written; "" for a size that is not
 * set (-1). */
void config_key_print(const struct config_key *key, const void *base,
                      char ret_text[CONFIG_WRONG_MAX]);

#endif
