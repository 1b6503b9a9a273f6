/* config_reference.c - `dispatcher --print-config`: the table and the defaults
 * as a commented YAML file. The values come out of config_load(NULL), so what
 * is printed is what the program uses. */
#include "dispatcher/config.h"
#include "dispatcher/config_table.h"

#include <ctype.h>
#include <string.h>

enum { COLUMNS = 78 };

/* Words of `text` as comment lines that begin with `prefix`. */
static void print_comment(FILE *out, const char *prefix, const char *text)
{
    size_t column = 0;
    while (*text != '\0') {
        size_t word = strcspn(text, " ");
        if (column > 0 && column + 1 + word > COLUMNS) {
            fputc('\n', out);
            column = 0;
        }
        if (column == 0)
            column = (size_t)fprintf(out, "%s%.*s", prefix, (int)word, text);
        else
            column += (size_t)fprintf(out, " %.*s", (int)word, text);
        text += word;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

static void print_about(FILE *out, const struct config_key *key,
                        const char *prefix, bool named)
{
    char domain[CONFIG_WRONG_MAX] = "";
    char about[600];
    bool single = key->type != CONFIG_SECTION;
    if (single) {
        config_key_domain(key, domain);
        domain[0] = (char)toupper((unsigned char)domain[0]);
    }
    snprintf(about, sizeof about, "%s%s%s%s%s%s%s", named ? key->name : "",
             named ? ": " : "", key->text, single ? " " : "", domain,
             key->required ? "; required" : "", single ? "." : "");
    print_comment(out, prefix, about);
}

static void print_text(FILE *out, const struct config_key *key,
                       const void *base, const char *indent)
{
    const char *text;
    memcpy(&text, (const char *)base + key->to, sizeof text);
    if (key->example != NULL)
        fprintf(out, "%s# %s: %s\n", indent, key->name, key->example);
    else
        fprintf(out, "%s%s: %s\n", indent, key->name, text);
}

static void print_scalar(FILE *out, const struct config_key *key,
                         const void *base, const char *indent)
{
    if (key->type == CONFIG_TEXT || key->type == CONFIG_HTTP ||
        key->type == CONFIG_AGENTS) {
        print_text(out, key, base, indent);
        return;
    }
    char value[CONFIG_WRONG_MAX];
    config_key_print(key, base, value);
    fprintf(out, "%s%s: %s\n", indent, key->name, value);
}

static void print_section(FILE *out, const struct config_key *section,
                          const struct config *config)
{
    bool all_examples = true;
    for (const struct config_key *key = section->keys; key->name; key++)
        all_examples = all_examples && key->example != NULL;
    /* A section of comments only would be an empty value. */
    fprintf(out, "%s%s:\n", all_examples ? "# " : "", section->name);
    for (const struct config_key *key = section->keys; key->name; key++) {
        const char *indent = all_examples ? "#   " : "  ";
        print_about(out, key, all_examples ? "#   # " : "  # ", false);
        if (all_examples)
            fprintf(out, "%s%s: %s\n", indent, key->name, key->example);
        else
            print_scalar(out, key, config, indent);
    }
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the table */
static void print_entry_keys(FILE *out, const struct config_key *keys,
                             const char *prefix)
{
    for (const struct config_key *key = keys; key->name != NULL; key++) {
        print_about(out, key, prefix, true);
        if (key->keys != NULL) {
            char deeper[32];
            snprintf(deeper, sizeof deeper, "%s  ", prefix);
            print_entry_keys(out, key->keys, deeper);
        }
    }
}

/* The numbers that are set, each between `before` and `after`. A hop's guards
 * are not set when they are 0, everything else when it is -1. */
static void print_numbers(FILE *out, const struct config_key *keys,
                          const void *base, const char *before,
                          const char *after)
{
    for (const struct config_key *key = keys; key->name != NULL; key++) {
        if (key->type != CONFIG_DURATION && key->type != CONFIG_SIZE &&
            key->type != CONFIG_COUNT)
            continue;
        char value[CONFIG_WRONG_MAX];
        config_key_print(key, base, value);
        bool unset_guard = keys == config_hop_keys && value[0] == '0';
        if (value[0] != '\0' && !unset_guard)
            fprintf(out, "%s%s: %s%s", before, key->name, value, after);
    }
}

static void print_pool(FILE *out, const struct pool_config *pool)
{
    fprintf(out, "  - name: %s\n", pool->name);
    print_numbers(out, config_pool_keys, pool, "    ", "\n");
    for (size_t i = 0; i < pool->alias_count; i++)
        fprintf(out, "%s%s%s", i == 0 ? "    aliases: [" : ", ",
                pool->aliases[i], i + 1 == pool->alias_count ? "]\n" : "");
    for (size_t i = 0; i < pool->fallback_count; i++) {
        const struct pool_hop *hop = &pool->fallback[i];
        fprintf(out, "%s      - {pool: %s", i == 0 ? "    fallback:\n" : "",
                hop->pool);
        print_numbers(out, config_hop_keys, hop, ", ", "");
        fputs("}\n", out);
    }
}

static void print_rule(FILE *out, const struct rule *rule)
{
    const struct config_key *when = config_key_find(config_rule_keys, "when");
    fprintf(out, "  - name: %s\n    pool: %s\n", rule->name, rule->pool);
    if (rule->nodes_over >= 0 || rule->db_nodes_over >= 0 ||
        rule->transforms_over >= 0 || rule->size_at_least >= 0 ||
        rule->tag_count > 0)
        fputs("    when:\n", out);
    print_numbers(out, when->keys, rule, "      ", "\n");
    for (size_t i = 0; i < rule->tag_count; i++)
        fprintf(out, "%s%s%s", i == 0 ? "      tags: [" : ", ",
                rule->tags_any[i], i + 1 == rule->tag_count ? "]\n" : "");
}

static void print_list(FILE *out, const struct config_key *key,
                       const struct config *config)
{
    fputs("# Keys of an entry:\n", out);
    print_entry_keys(out, key->keys, "#   ");
    fprintf(out, "%s:\n", key->name);
    if (key->keys == config_pool_keys) {
        for (size_t i = 0; i < config->ledger.pool_count; i++)
            print_pool(out, &config->ledger.pools[i]);
        return;
    }
    for (size_t i = 0; i < config->ruleset.count; i++)
        print_rule(out, &config->rules[i]);
}

void config_print_reference(FILE *out)
{
    struct config *config = NULL;
    if (config_load(NULL, &config, NULL) < 0)
        return; /* no memory */
    fputs("# The dispatcher's configuration: every key with its default.\n"
          "# All keys are optional; check a file with\n"
          "#     dispatcher --config FILE --check-config\n",
          out);
    for (const struct config_key *key = config_keys; key->name; key++) {
        fputc('\n', out);
        print_about(out, key, "# ", false);
        if (key->type == CONFIG_SECTION)
            print_section(out, key, config);
        else if (key->type == CONFIG_LIST)
            print_list(out, key, config);
        else
            print_scalar(out, key, config, "");
    }
    config_free(&config);
}
