/* Tests of dispatcher/config: the printed reference against the defaults,
 * values from a file, and every class of problem with its line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dispatcher/config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- helpers ----------------------------------------------------------- */

static char path[] = "/tmp/test_config_XXXXXX"; /* of this process's file */

static void write_bytes(const char *bytes, size_t len)
{
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, len, out), len);
    assert_int_equal(fclose(out), 0);
}

static struct config *load(const char *yaml)
{
    struct config *config = NULL;
    write_bytes(yaml, strlen(yaml));
    assert_int_equal(config_load(path, &config, stderr), 0);
    assert_non_null(config);
    return config;
}

/* The problems of the file as it is on disk, without its path: ":3: text\n". */
static char *problems_of_file(int expected)
{
    char *all = NULL, *kept = NULL;
    size_t all_len, kept_len;
    FILE *out = open_memstream(&all, &all_len);
    struct config *config = NULL;
    assert_int_equal(config_load(path, &config, out), expected);
    assert_null(config);
    fclose(out);
    out = open_memstream(&kept, &kept_len);
    for (char *line = strtok(all, "\n"); line; line = strtok(NULL, "\n")) {
        assert_memory_equal(line, path, strlen(path));
        fprintf(out, "%s\n", line + strlen(path));
    }
    fclose(out);
    free(all);
    return kept;
}

/* Loading fails and the problems are exactly these lines. */
static void expect(const char *yaml, const char *problems)
{
    write_bytes(yaml, strlen(yaml));
    char *found = problems_of_file(-EINVAL);
    assert_string_equal(found, problems);
    free(found);
}

static int make_file(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

/* ---- defaults ---------------------------------------------------------- */

static void same_hops(const struct pool_config *a, const struct pool_config *b)
{
    assert_int_equal(a->fallback_count, b->fallback_count);
    for (size_t i = 0; i < a->fallback_count; i++) {
        assert_string_equal(a->fallback[i].pool, b->fallback[i].pool);
        assert_int_equal(a->fallback[i].after_ms, b->fallback[i].after_ms);
        assert_true(a->fallback[i].size_below == b->fallback[i].size_below);
        assert_int_equal(a->fallback[i].free_at_least,
                         b->fallback[i].free_at_least);
    }
}

static void same_ledger(const struct ledger_config *a,
                        const struct ledger_config *b)
{
    assert_int_equal(a->lease_ms, b->lease_ms);
    assert_int_equal(a->accept_ms, b->accept_ms);
    assert_int_equal(a->margin_ms, b->margin_ms);
    assert_int_equal(a->ageing_ms, b->ageing_ms);
    assert_int_equal(a->cancel_grace_ms, b->cancel_grace_ms);
    assert_int_equal(a->pool_count, b->pool_count);
    for (size_t i = 0; i < a->pool_count; i++) {
        const struct pool_config *p = &a->pools[i], *q = &b->pools[i];
        assert_string_equal(p->name, q->name);
        assert_int_equal(p->limit, q->limit);
        assert_true(p->max_size == q->max_size);
        assert_int_equal(p->waiting_max, q->waiting_max);
        assert_int_equal(p->alias_count, q->alias_count);
        for (size_t n = 0; n < p->alias_count; n++)
            assert_string_equal(p->aliases[n], q->aliases[n]);
        same_hops(p, q);
    }
}

static void same_rules(const struct ruleset *a, const struct ruleset *b)
{
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        const struct rule *p = &a->rules[i], *q = &b->rules[i];
        assert_string_equal(p->name, q->name);
        assert_string_equal(p->pool, q->pool);
        assert_true(p->nodes_over == q->nodes_over);
        assert_true(p->db_nodes_over == q->db_nodes_over);
        assert_true(p->transforms_over == q->transforms_over);
        assert_true(p->size_at_least == q->size_at_least);
        assert_int_equal(p->tag_count, q->tag_count);
        for (size_t n = 0; n < p->tag_count; n++)
            assert_string_equal(p->tags_any[n], q->tags_any[n]);
    }
}

static void same_config(const struct config *a, const struct config *b)
{
    assert_string_equal(a->state_dir, b->state_dir);
    assert_string_equal(a->http, b->http);
    assert_string_equal(a->agents, b->agents);
    assert_ptr_equal(a->token_file, b->token_file); /* both NULL */
    assert_int_equal(a->log_level, b->log_level);
    assert_int_equal(a->body_max, b->body_max);
    assert_int_equal(a->http_connections_max, b->http_connections_max);
    assert_int_equal(a->drain_ms, b->drain_ms);
    assert_int_equal(a->size_estimate_ms, b->size_estimate_ms);
    assert_int_equal(a->store_max, b->store_max);
    assert_int_equal(a->workflow.nodes_max, b->workflow.nodes_max);
    assert_int_equal(a->workflow.edges_max, b->workflow.edges_max);
    same_ledger(&a->ledger, &b->ledger);
    same_rules(&a->ruleset, &b->ruleset);
}

static void no_file_is_needed(void **state)
{
    struct config *config = NULL;
    struct ledger_config ledger;
    (void)state;
    assert_int_equal(config_load(NULL, &config, NULL), 0);
    assert_null(config->file);
    assert_string_equal(config->http, "127.0.0.1:8080");
    assert_string_equal(config->agents, "tcp://127.0.0.1:8090");
    ledger_config_default(&ledger);
    same_ledger(&config->ledger, &ledger);
    same_rules(&config->ruleset, &ruleset_default);
    assert_int_equal(config->workflow.nodes_max,
                     workflow_limits_default.nodes_max);
    config_free(&config);
    assert_null(config);
    config_free(&config);
}

static void the_printed_reference_loads_to_exactly_the_defaults(void **state)
{
    struct config *defaults = NULL, *loaded = NULL;
    (void)state;
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    config_print_reference(out);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(config_load(NULL, &defaults, NULL), 0);
    assert_int_equal(config_load(path, &loaded, stderr), 0);
    same_config(loaded, defaults);
    assert_string_equal(loaded->file, path);
    config_free(&loaded);
    config_free(&defaults);
}

static void an_empty_file_and_one_of_comments_are_the_defaults(void **state)
{
    static const char *const empty[] = {"", "\n\n", "# nothing\n", "---\n"};
    struct config *defaults = NULL;
    (void)state;
    assert_int_equal(config_load(NULL, &defaults, NULL), 0);
    for (size_t i = 0; i < 3; i++) {
        struct config *config = load(empty[i]);
        same_config(config, defaults);
        config_free(&config);
    }
    config_free(&defaults);
}

static void the_state_directory_follows_the_environment(void **state)
{
    struct config *config = NULL;
    (void)state;
    char *before = getenv("XDG_STATE_HOME");
    before = before != NULL ? strdup(before) : NULL;
    setenv("XDG_STATE_HOME", "/var/tmp/xdg", 1);
    assert_int_equal(config_load(NULL, &config, NULL), 0);
    assert_string_equal(config->state_dir, "/var/tmp/xdg/dispatcher");
    config_free(&config);
    setenv("XDG_STATE_HOME", "relative", 1); /* to be ignored, says XDG */
    assert_int_equal(config_load(NULL, &config, NULL), 0);
    assert_null(strstr(config->state_dir, "relative"));
    config_free(&config);
    if (before != NULL)
        setenv("XDG_STATE_HOME", before, 1);
    else
        unsetenv("XDG_STATE_HOME");
    free(before);
}

/* ---- values ------------------------------------------------------------ */

static void every_key_takes_its_value(void **state)
{
    (void)state;
    struct config *c = load("http: 0.0.0.0:1\n"
                            "agents: tcp://*:2\n"
                            "state: /srv/d\n"
                            "auth: {token_file: /dev/null}\n"
                            "log_level: debug\n"
                            "limits: {body: 2MiB, connections: 9, nodes: 7,"
                            " edges: 8, store: 33000001}\n"
                            "drain: 2m\n"
                            "size_estimate: 250ms\n"
                            "lease: {length: 4s, accept: 1s, margin: 500ms,"
                            " cancel_grace: 0}\n"
                            "priority_ageing: 1h\n");
    assert_string_equal(c->http, "0.0.0.0:1");
    assert_string_equal(c->agents, "tcp://*:2");
    assert_string_equal(c->state_dir, "/srv/d");
    assert_string_equal(c->token_file, "/dev/null");
    assert_int_equal(c->log_level, LOG_DEBUG);
    assert_int_equal(c->body_max, 2 << 20);
    assert_int_equal(c->http_connections_max, 9);
    assert_int_equal(c->workflow.nodes_max, 7);
    assert_int_equal(c->workflow.edges_max, 8);
    assert_int_equal(c->store_max, 32997376); /* whole pages */
    assert_int_equal(c->drain_ms, 120000);
    assert_int_equal(c->size_estimate_ms, 250);
    assert_int_equal(c->ledger.lease_ms, 4000);
    assert_int_equal(c->ledger.accept_ms, 1000);
    assert_int_equal(c->ledger.margin_ms, 500);
    assert_int_equal(c->ledger.cancel_grace_ms, 0);
    assert_int_equal(c->ledger.ageing_ms, 3600000);
    assert_int_equal(c->ledger.pool_count, 3); /* the default ones */
    config_free(&c);
}

static void pools_and_rules_replace_the_default_ones(void **state)
{
    (void)state;
    struct config *c =
        load("pools:\n"
             "  - {name: fast, limit: 7, aliases: [quick, rapid]}\n"
             "  - name: slow\n"
             "    limit: 1\n"
             "    max_size: 10GiB\n"
             "    waiting_max: 3\n"
             "    fallback:\n"
             "      - {pool: quick, after: 2s, size_below: 1MiB,"
             " free_at_least: 2}\n"
             "rules:\n"
             "  - name: big\n"
             "    pool: slow\n"
             "    when: {size_at_least: 1GB, nodes_over: 0, tags: [\"a b\"]}\n"
             "  - {name: rest, pool: rapid}\n");
    const struct pool_config *fast = &c->ledger.pools[0];
    const struct pool_config *slow = &c->ledger.pools[1];
    assert_int_equal(c->ledger.pool_count, 2);
    assert_string_equal(fast->name, "fast");
    assert_int_equal(fast->alias_count, 2);
    assert_string_equal(fast->aliases[1], "rapid");
    assert_true(fast->max_size == -1);
    assert_int_equal(fast->fallback_count, 0);
    assert_true(fast->waiting_max > 0);
    assert_true(slow->max_size == (int64_t)10 << 30);
    assert_int_equal(slow->waiting_max, 3);
    assert_int_equal(slow->fallback_count, 1);
    assert_string_equal(slow->fallback[0].pool, "fast"); /* not the alias */
    assert_int_equal(slow->fallback[0].after_ms, 2000);
    assert_true(slow->fallback[0].size_below == 1 << 20);
    assert_int_equal(slow->fallback[0].free_at_least, 2);
    assert_int_equal(c->ruleset.count, 2);
    assert_string_equal(c->ruleset.rules[0].name, "big");
    assert_true(c->ruleset.rules[0].size_at_least == 1000000000);
    assert_true(c->ruleset.rules[0].nodes_over == 0);
    assert_true(c->ruleset.rules[0].db_nodes_over == -1);
    assert_string_equal(c->ruleset.rules[0].tags_any[0], "a b");
    assert_string_equal(c->ruleset.rules[1].pool, "fast");
    config_free(&c);
}

/* ---- problems ---------------------------------------------------------- */

static void an_unknown_key_is_named_with_what_was_meant(void **state)
{
    (void)state;
    expect("drain: 1s\nlogs_level: info\nxyzzy: 1\nlease:\n  lenght: 3s\n",
           ":2: unknown key logs_level in the file; did you mean log_level?\n"
           ":3: unknown key xyzzy in the file; remove it or use one of http, "
           "agents, state, auth, log_level, limits, drain, lease, "
           "priority_ageing, size_estimate, pools, rules\n"
           ":5: unknown key lenght in lease; did you mean length?\n");
}

static void a_value_of_the_wrong_kind_is_told_with_the_right_one(void **state)
{
    (void)state;
    expect("drain: soon\nlimits:\n  nodes: -1\n  edges: 1.5\n  body: 1\n"
           "  connections: 99999999999999999999\nlog_level: loud\n"
           "http: here\nagents: 127.0.0.1:1\n",
           ":1: drain: \"soon\" cannot be read; give a duration from 0s to "
           "7d, like 250ms, 10s, 1.5h\n"
           ":3: limits.nodes: \"-1\" cannot be read; give a whole number from "
           "1 to 10000\n"
           ":4: limits.edges: \"1.5\" cannot be read; give a whole number "
           "from 1 to 100000\n"
           ":5: limits.body: \"1\" is out of range; give a size from 1KiB to "
           "1GiB, like 64MiB, 10MB, 512\n"
           ":6: limits.connections: \"99999999999999999999\" is out of range; "
           "give a whole number from 4 to 100000\n"
           ":7: log_level: \"loud\" is no level; use debug, info, warn or "
           "error\n"
           ":8: http: \"here\" has no port; write HOST:PORT\n"
           ":9: agents: \"127.0.0.1:1\" is not of the form tcp://HOST:PORT\n");
}

static void wrong_forms_and_missing_values_are_told(void **state)
{
    (void)state;
    expect("drain:\nlease: 3\npools: many\nhttp: [a]\nrules:\n",
           ":1: drain has no value; give one or remove the key\n"
           ":2: lease has the wrong form; it must be a section of \"key: "
           "value\" lines\n"
           ":3: pools has the wrong form; it must be a list\n"
           ":4: http has the wrong form; it must be one value\n"
           ":5: rules is empty; give it a list or remove the key\n");
    expect("- a\n", ":1: the file has the wrong form; it must be a section of "
                    "\"key: value\" lines\n");
    expect("just words\n", ":1: the file has the wrong form; it must be a "
                           "section of \"key: value\" lines\n");
    expect("drain: 1s\ndrain: 2s\n", ":2: key drain is here a second time, "
                                     "first in line 1; remove one\n");
    expect("[a]: 1\n", ":1: the file has the wrong form; it must be keys that "
                       "are plain words\n");
    expect("state: \"a\\0b\"\n", ":1: state contains a NUL; remove it\n");
    expect("state: \"a\\nb\\e\"\n", ":1: state: \"a?b?\" contains a control "
                                    "character; remove it\n");
}

static void a_pool_needs_a_name_and_a_limit(void **state)
{
    (void)state;
    expect("pools:\n"
           "  - limit: 3\n"
           "  - name: ok\n"
           "  - {name: no good, limit: 0}\n"
           "  - {name: -x, limit: 1, waiting_max: none}\n"
           "rules: [{name: all, pool: ok}]\n",
           ":2: pools[0] has no name; add one\n"
           ":3: pools[1] has no limit; add one\n"
           ":4: pools[2].name: \"no good\" is not a name; use letters, "
           "digits, dot, dash and underscore, beginning with neither dot nor "
           "dash\n"
           ":4: pools[2].limit: \"0\" is out of range; give a whole number "
           "from 1 to 100000\n"
           ":5: pools[3].name: \"-x\" is not a name; use letters, digits, "
           "dot, dash and underscore, beginning with neither dot nor dash\n"
           ":5: pools[3].waiting_max: \"none\" cannot be read; give a whole "
           "number from 0 to 10000000\n");
    expect("pools: []\n", ":1: pools is an empty list; add an entry or remove "
                          "the key for the default\n");
    expect("rules: []\n", ":1: rules is an empty list; add an entry or remove "
                          "the key for the default\n");
}

static void names_and_aliases_belong_to_one_pool(void **state)
{
    (void)state;
    expect("pools:\n"
           "  - {name: a, limit: 1, aliases: [x, a]}\n"
           "  - {name: a, limit: 1}\n"
           "  - name: x\n"
           "    limit: 1\n"
           "    aliases: [y,\n"
           "              y]\n"
           "rules: [{name: all, pool: a}]\n",
           ":2: alias a of pool a is a pool's name or alias already; remove "
           "it\n"
           ":3: two pools are called a (a name or an alias); rename one\n"
           ":4: two pools are called x (a name or an alias); rename one\n"
           ":7: alias y of pool x is a pool's name or alias already; remove "
           "it\n");
}

static void a_fallback_names_another_pool_once(void **state)
{
    (void)state;
    expect("pools:\n"
           "  - name: a\n"
           "    limit: 1\n"
           "    fallback:\n"
           "      - pool: a\n"
           "      - pool: nowhere\n"
           "      - pool: b\n"
           "      - pool: bee\n"
           "      - after: 2s\n"
           "  - {name: b, limit: 2, aliases: [bee], fallback: [{pool: a,\n"
           "     free_at_least: 2}]}\n"
           "rules: [{name: all, pool: a}]\n",
           ":5: pool a falls back to itself; remove this entry\n"
           ":6: pool a falls back to nowhere, which is not configured; use "
           "one of a, b\n"
           ":8: pool a falls back to b twice; remove one entry\n"
           ":9: pools[0].fallback[4] has no pool; add one\n"
           ":11: pool a never has 2 free slots, its limit is 1; lower "
           "free_at_least\n");
}

static void rules_lead_to_pools_and_leave_nobody_out(void **state)
{
    (void)state;
    expect("rules:\n"
           "  - {name: one, pool: etl-pool}\n"
           "  - {name: one, pool: lake, when: {nodes_over: 2}}\n"
           "  - {name: requested, pool: etl, when: {}}\n"
           "  - {pool: etl, when: {tags: [x]}}\n",
           ":2: rule one matches everything, so the rules after it are never "
           "reached; give it a `when` or move it to the end\n"
           ":3: two rules are called one; rename one\n"
           ":3: rule one sends runs to lake, which is not a pool; use one of "
           "default, etl, high-memory\n"
           ":4: a rule cannot be called \"requested\", decisions use that word "
           "for a pool the caller asked for; rename it\n"
           ":4: rule requested matches everything, so the rules after it are "
           "never reached; give it a `when` or move it to the end\n"
           ":5: rules[3] has no name; add one\n"
           ":5: the last rule, , has conditions, so a run could match none; "
           "add a rule without `when` after it\n");
}

static void default_rules_need_their_pools(void **state)
{
    (void)state;
    expect("pools:\n  - {name: default, limit: 1}\n",
           ":2: the default rule large sends runs to high-memory, which is "
           "not in `pools` (default); add that pool or give `rules`\n"
           ":2: the default rule etl sends runs to etl, which is not in "
           "`pools` (default); add that pool or give `rules`\n");
}

static void a_lease_holds_what_is_inside_it(void **state)
{
    (void)state;
    expect("lease:\n  length: 2s\n  accept: 3s\n",
           ":3: lease.accept (3s) is longer than lease.length (2s); shorten "
           "it or make the lease longer\n");
    expect("lease:\n  length: 1ms\n  margin: 2h\n",
           ":2: lease.length: \"1ms\" is out of range; give a duration from "
           "1s to 1h, like 250ms, 10s, 1.5h\n"
           ":3: lease.margin: \"2h\" is out of range; give a duration from "
           "100ms to 1h, like 250ms, 10s, 1.5h\n");
    /* Also when only the default of the other one is in the way. */
    expect("# short\nlease: {length: 3s}\n",
           ":2: lease.accept (5s) is longer than lease.length (3s); shorten "
           "it or make the lease longer\n");
}

static void a_token_file_that_cannot_be_read_is_told(void **state)
{
    (void)state;
    expect("auth:\n  token_file: /nonexistent/tokens\n",
           ":2: auth.token_file /nonexistent/tokens: No such file or "
           "directory; create it or correct the path\n");
}

static void broken_yaml_is_told_with_its_line(void **state)
{
    (void)state;
    expect("drain: 1s\npools: [a\n",
           ":3: not valid YAML: did not find expected ',' or ']' while "
           "parsing a flow sequence (line 2); correct it\n");
    expect("lease:\n\tlength: 3s\n",
           ":2: not valid YAML: found character that cannot start any token "
           "while scanning for the next token (line 2); correct it\n");
    expect("drain: 1s\n---\ndrain: 2s\n",
           ":2: a second YAML document; put everything into one\n");
    expect("drain: \xff\n",
           ": not valid YAML: invalid leading UTF-8 octet; correct it\n");
}

/* libcyaml would expand them: nine lines of ten are 10^9 values. */
static void aliases_are_refused(void **state)
{
    (void)state;
    expect("x: &a 1s\ndrain: *a\n",
           ":2: alias *a; YAML aliases are not supported, write the value "
           "out\n");
    expect("pools: &a [*a]\n", ":1: alias *a; YAML aliases are not supported, "
                               "write the value out\n");
}

static void too_many_of_a_thing_are_told(void **state)
{
    (void)state;
    expect("rules:\n  - {name: a, pool: etl}\n"
           "pools:\n  - {name: etl, limit: 1, aliases: [a, b, c, d, e]}\n",
           ":4: pools[0].aliases has 5 entries; at most 4 are possible\n");
}

static void a_file_that_cannot_be_read_is_told(void **state)
{
    struct config *config = NULL;
    char *said = NULL;
    size_t len;
    (void)state;
    FILE *out = open_memstream(&said, &len);
    assert_int_equal(config_load("/nonexistent.yaml", &config, out), -ENOENT);
    assert_int_equal(config_load("/tmp", &config, out), -EISDIR);
    fclose(out);
    assert_string_equal(said,
                        "/nonexistent.yaml: No such file or directory; check "
                        "the path and its permissions\n"
                        "/tmp: Is a directory; give a readable file\n");
    free(said);
    assert_int_equal(config_load("/nonexistent.yaml", &config, NULL), -ENOENT);
    assert_null(config);
}

static void a_huge_file_and_deep_nesting_are_refused(void **state)
{
    enum { HUGE = (1 << 20) + 1, DEEP = 50000 };
    char *bytes = malloc(HUGE);
    (void)state;
    assert_non_null(bytes);
    memset(bytes, '#', HUGE);
    write_bytes(bytes, HUGE);
    char *found = problems_of_file(-EINVAL);
    assert_string_equal(found,
                        ": is larger than 1MiB; give a configuration file\n");
    free(found);
    memset(bytes, '[', DEEP);
    write_bytes(bytes, DEEP);
    free(problems_of_file(-EINVAL));
    free(bytes);
}

/* No cut of a good file crashes the reader or leaks. */
static void any_cut_of_a_file_is_survived(void **state)
{
    char *whole = NULL;
    size_t len;
    (void)state;
    FILE *out = open_memstream(&whole, &len);
    config_print_reference(out);
    fclose(out);
    const char *from = strstr(whole, "\npools:");
    assert_non_null(from);
    for (size_t bytes = (size_t)(from - whole); bytes < len; bytes += 3) {
        struct config *config = NULL;
        write_bytes(whole, bytes);
        int r = config_load(path, &config, NULL);
        assert_true(r == 0 || r == -EINVAL);
        config_free(&config);
    }
    free(whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_file_is_needed),
        cmocka_unit_test(the_printed_reference_loads_to_exactly_the_defaults),
        cmocka_unit_test(an_empty_file_and_one_of_comments_are_the_defaults),
        cmocka_unit_test(the_state_directory_follows_the_environment),
        cmocka_unit_test(every_key_takes_its_value),
        cmocka_unit_test(pools_and_rules_replace_the_default_ones),
        cmocka_unit_test(an_unknown_key_is_named_with_what_was_meant),
        cmocka_unit_test(a_value_of_the_wrong_kind_is_told_with_the_right_one),
        cmocka_unit_test(wrong_forms_and_missing_values_are_told),
        cmocka_unit_test(a_pool_needs_a_name_and_a_limit),
        cmocka_unit_test(names_and_aliases_belong_to_one_pool),
        cmocka_unit_test(a_fallback_names_another_pool_once),
        cmocka_unit_test(rules_lead_to_pools_and_leave_nobody_out),
        cmocka_unit_test(default_rules_need_their_pools),
        cmocka_unit_test(a_lease_holds_what_is_inside_it),
        cmocka_unit_test(a_token_file_that_cannot_be_read_is_told),
        cmocka_unit_test(broken_yaml_is_told_with_its_line),
        cmocka_unit_test(aliases_are_refused),
        cmocka_unit_test(too_many_of_a_thing_are_told),
        cmocka_unit_test(a_file_that_cannot_be_read_is_told),
        cmocka_unit_test(a_huge_file_and_deep_nesting_are_refused),
        cmocka_unit_test(any_cut_of_a_file_is_survived),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
