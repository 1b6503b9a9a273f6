/*
 * fuzz_workflow.c - any bytes through every reader of documents, and what is
 * accepted through everything that is done with a workflow. Beyond "does not
 * crash" it checks what readers of the results rely on: problems are UTF-8 for
 * people and their pointers lead somewhere, an order puts parents first, and a
 * plan is JSON that parses.
 */
#include "policy/classify.h"
#include "policy/features.h"
#include "policy/workflow_json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define EXPECT(what)                                                           \
    do {                                                                       \
        if (!(what))                                                           \
            abort();                                                           \
    } while (0)

/* JSON inside strings, opened; takes the reference to value. */
static json_t *opened(json_t *value)
{
    for (int i = 0; i < 3 && json_is_string(value); i++) {
        json_t *inner =
            json_loadb(json_string_value(value), json_string_length(value),
                       JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
        if (inner == NULL)
            break;
        json_decref(value);
        value = inner;
    }
    return value;
}

/* What one step of a pointer leads to, a new reference. Steps go through
 * strings that contain JSON. */
static json_t *follow(json_t *value, const char *step, size_t bytes)
{
    char key[PROBLEM_POINTER_MAX + 1];
    size_t used = 0;
    for (size_t i = 0; i < bytes; i++) {
        bool escape = step[i] == '~';
        i += escape;
        key[used++] = (char)(!escape ? step[i] : step[i] == '1' ? '/' : '~');
    }
    key[used] = '\0';
    value = opened(value);
    json_t *found = json_is_array(value)
                        ? json_array_get(value, strtoul(key, NULL, 10))
                        : json_object_get(value, key);
    EXPECT(found != NULL);
    json_incref(found);
    json_decref(value);
    return found;
}

static void expect_pointer(json_t *document, const char *pointer)
{
    json_t *value = json_incref(document);
    while (*pointer != '\0') {
        EXPECT(*pointer == '/');
        size_t bytes = strcspn(pointer + 1, "/");
        value = follow(value, pointer + 1, bytes);
        pointer += 1 + bytes;
    }
    json_decref(value);
}

static void expect_readable(const struct problems *problems,
                            const uint8_t *data, size_t size)
{
    json_t *document =
        json_loadb((const char *)data, size,
                   JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
    EXPECT(problems_any(problems));
    for (size_t i = 0; i < problems->count; i++) {
        const struct problem *problem = &problems->items[i];
        json_t *text = json_string(problem->detail);
        EXPECT(text != NULL); /* NULL: not UTF-8 */
        json_decref(text);
        for (const char *c = problem->detail; *c != '\0'; c++)
            EXPECT((unsigned char)*c >= 0x20);
        EXPECT(strlen(problem->pointer) <= PROBLEM_POINTER_MAX);
        EXPECT(document != NULL || problem->pointer[0] == '\0');
        if (document != NULL)
            expect_pointer(document, problem->pointer);
    }
    json_decref(document);
}

static void expect_ordered(const struct workflow *wf)
{
    uint32_t *place = calloc(wf->node_count, sizeof *place);
    EXPECT(place != NULL && wf->order != NULL);
    for (uint32_t i = 0; i < wf->node_count; i++) {
        EXPECT(wf->order[i] < wf->node_count);
        place[wf->order[i]] = i + 1;
    }
    for (size_t i = 0; i < wf->node_count; i++)
        EXPECT(place[i] > 0);
    for (size_t i = 0; i < wf->edge_count; i++)
        EXPECT(place[wf->edges[i].source] < place[wf->edges[i].target]);
    free(place);
}

static void expect_plan(const struct workflow *wf)
{
    char *text;
    size_t bytes;
    EXPECT(workflow_plan_text(wf, &text, &bytes) == 0);
    json_t *plan = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL);
    EXPECT(plan != NULL);
    EXPECT(json_array_size(json_object_get(plan, "nodes")) == wf->node_count);
    json_decref(plan);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct workflow_limits limits = {.nodes_max = 50, .edges_max = 100};
    struct problems problems = {0};
    struct workflow *wf = NULL;
    const char *const *names;
    size_t count;

    int rc =
        workflow_from_text((const char *)data, size, &limits, &wf, &problems);
    if (rc != 0) {
        EXPECT(rc == -EINVAL && wf == NULL);
        expect_readable(&problems, data, size);
        problems_clear(&problems);
        return 0;
    }
    EXPECT(!problems_any(&problems));
    EXPECT(wf->node_count > 0 && wf->node_count <= limits.nodes_max);
    EXPECT(wf->edge_count <= limits.edges_max);
    expect_ordered(wf);
    expect_plan(wf);
    EXPECT(workflow_requires(wf, &names, &count) == 0 && count > 0);

    struct features features;
    struct classification decided;
    EXPECT(features_of(wf, -1, NULL, 0, NULL, &features) == 0);
    EXPECT(features.nodes == wf->node_count);
    EXPECT(classify(&features, &ruleset_default, &decided) == 0);
    EXPECT(decided.why[0] != '\0');
    workflow_repeatable(wf);
    workflow_free(&wf);
    return 0;
}
