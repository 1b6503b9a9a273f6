/*
 * document_fixture.h - reads a document and looks at what became of it: the
 * workflow, or its problems. For test_workflow_json.c, test_workflow_data.c,
 * test_workflow_reactflow.c, test_workflow_v1.c and test_workflow_v1_nodes.c,
 * run in the root of the repository (tests/data).
 */
#ifndef TESTS_UNIT_DOCUMENT_FIXTURE_H
#define TESTS_UNIT_DOCUMENT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "policy/classify.h"
#include "policy/workflow_json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct workflow *wf;
static struct problems problems;

static inline int tear_down(void **state)
{
    (void)state;
    workflow_free(&wf);
    problems_clear(&problems);
    return 0;
}

static inline int read_bytes(const char *text, size_t bytes)
{
    workflow_free(&wf);
    problems_clear(&problems);
    return workflow_from_text(text, bytes, &workflow_limits_default, &wf,
                              &problems);
}

static inline void print_problems(void)
{
    for (size_t i = 0; i < problems.count; i++)
        print_message("%s: %s: %s\n", problems.items[i].pointer,
                      problems.items[i].code, problems.items[i].detail);
}

static inline void accepted(const char *text)
{
    int rc = read_bytes(text, strlen(text));
    if (rc != 0)
        print_problems();
    assert_int_equal(rc, 0);
    assert_false(problems_any(&problems));
    assert_non_null(wf->order);
}

static inline const struct problem *find_problem(const char *pointer,
                                                 const char *code)
{
    for (size_t i = 0; i < problems.count; i++) {
        if (strcmp(problems.items[i].pointer, pointer) == 0 &&
            strcmp(problems.items[i].code, code) == 0)
            return &problems.items[i];
    }
    print_message("missing %s: %s; found:\n", pointer, code);
    print_problems();
    fail();
    return NULL;
}

/* Refused with exactly this one problem, whose detail contains `words`. */
static inline void refused(const char *text, const char *pointer,
                           const char *code, const char *words)
{
    assert_int_equal(read_bytes(text, strlen(text)), -EINVAL);
    assert_null(wf);
    const struct problem *problem = find_problem(pointer, code);
    if (strstr(problem->detail, words) == NULL || problems.count != 1)
        print_problems();
    assert_non_null(strstr(problem->detail, words));
    assert_int_equal(problems.count, 1);
}

static inline int read_example(const char *name)
{
    static char text[1 << 20];
    char path[128];
    snprintf(path, sizeof path, "tests/data/%s.json", name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t bytes = fread(text, 1, sizeof text, file);
    fclose(file);
    return read_bytes(text, bytes);
}

static inline void expect_example(const char *name, enum workflow_shape shape,
                                  size_t nodes, const char *rule,
                                  const char *pool)
{
    struct features features;
    struct classification decided;
    assert_int_equal(read_example(name), 0);
    assert_int_equal(wf->shape, shape);
    assert_int_equal(wf->node_count, nodes);
    assert_int_equal(features_of(wf, -1, NULL, 0, NULL, &features), 0);
    assert_int_equal(classify(&features, &ruleset_default, &decided), 0);
    assert_string_equal(decided.rule, rule);
    assert_string_equal(decided.pool, pool);
}

static inline const struct node *node_of(const char *id)
{
    for (size_t i = 0; i < wf->node_count; i++) {
        if (strcmp(wf->nodes[i].id, id) == 0)
            return &wf->nodes[i];
    }
    fail_msg("no node %s", id);
    return NULL;
}

static inline void expect_config(const char *id, const char *key,
                                 const char *value)
{
    json_t *config = json_loads(node_of(id)->config_json, 0, NULL);
    assert_non_null(config);
    const char *text = json_string_value(json_object_get(config, key));
    if (value == NULL)
        assert_null(text);
    else
        assert_string_equal(text != NULL ? text : "(none)", value);
    json_decref(config);
}

/* Text in which ' stands for a quotation mark and ` for an apostrophe, so that
 * JSON can be read in a test. The result lasts for four more calls. */
static inline const char *quoted(const char *text)
{
    static char room[5][16384];
    static unsigned turn;
    char *out = room[turn++ % 5];
    size_t bytes = strlen(text);
    assert_true(bytes < sizeof room[0]);
    for (size_t i = 0; i <= bytes; i++)
        out[i] = (char)(text[i] == '\''  ? '"'
                        : text[i] == '`' ? '\''
                                         : text[i]);
    return out;
}

/* The value of key in a node's configuration (all of it: key NULL), as quoted()
 * text; "" is none. */
static inline void expect_said(const char *id, const char *key,
                               const char *text)
{
    json_t *config = json_loads(node_of(id)->config_json, 0, NULL);
    assert_non_null(config);
    json_t *found = key != NULL ? json_object_get(config, key) : config;
    json_t *wanted = text[0] != '\0'
                         ? json_loads(quoted(text), JSON_DECODE_ANY, NULL)
                         : NULL;
    assert_true(text[0] == '\0' || wanted != NULL);
    if (wanted == NULL ? found != NULL : !json_equal(found, wanted)) {
        char *said = json_dumps(found, JSON_ENCODE_ANY);
        print_message("%s: %s: said %s\n  wanted %s\n", id,
                      key ? key : "config", said ? said : "(none)",
                      quoted(text));
        free(said);
        json_decref(wanted);
        json_decref(config);
        fail();
    }
    json_decref(wanted);
    json_decref(config);
}

/* The text of an expression and its tree. */
#define EXPR(text, tree) "{'text':'" text "','tree':" tree "}"

#define TEST(f) cmocka_unit_test_teardown(f, tear_down)

#endif
