/*
 * workflow_json.c - which format is it; the neutral one; and the plan.
 * React Flow is in workflow_reactflow.c, connectionInformation_v1 in
 * workflow_v1.c.
 */
#include "policy/workflow_json.h"
#include "policy/workflow_data.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- neutral --------------------------------------------------------- */

static const char *const node_head[] = {"id", "kind", "label", NULL};

static const struct node_kind *read_kind(struct build *b, const json_t *object,
                                         const char *pointer)
{
    const json_t *value = json_object_get(object, "kind");
    if (value == NULL) {
        problems_add(b->problems, pointer, "missing_field",
                     "a node needs \"kind\"");
        return NULL;
    }
    const char *at = pointer_key(b, pointer, "kind");
    if (!json_is_string(value)) {
        build_wrong_type(b, value, at, "a string");
        return NULL;
    }
    struct guess guess = {.word = json_string_value(value)};
    const struct node_kind *kind = node_kind_find(guess.word);
    if (kind != NULL)
        return kind;

    size_t count;
    const struct node_kind *kinds = node_kinds(&count);
    char buf[GUESS_TEXT_MAX];
    for (size_t i = 0; i < count; i++)
        guess_try(&guess, kinds[i].name);
    problems_add(b->problems, at, "unknown_kind",
                 "there is no kind of node called \"%.80s\"%s", guess.word,
                 guess_text(&guess, buf));
    return NULL;
}

static void read_node(struct build *b, json_t *object, const char *pointer)
{
    if (!json_is_object(object)) {
        build_wrong_type(b, object, pointer, "an object");
        b->wf->incomplete = true;
        return;
    }
    char *id = build_node_id(b, object, pointer);

    /* A node without an id takes no part in the graph, but whatever else is
     * wrong with it is reported all the same. */
    struct node nameless = {.id = id};
    struct node *node = build_node(b, id, pointer);
    if (node == NULL)
        node = &nameless;

    const json_t *label = json_object_get(object, "label");
    if (label != NULL) {
        node->label = build_label(b, label);
        if (!json_is_string(label))
            build_wrong_type(b, label, pointer_key(b, pointer, "label"),
                             "a string");
        if (node->label == NULL)
            node->label = node->id;
    }
    node->kind = read_kind(b, object, pointer);
    if (node->kind == NULL)
        b->wf->incomplete = true;
    else
        build_fields(b, node, object, pointer, false, node_head);
}

static void read_nodes(struct build *b, const json_t *nodes)
{
    const char *pointer = pointer_key(b, b->wf->pointer, "nodes");
    size_t count = json_array_size(nodes);

    if (!json_is_array(nodes)) {
        b->nodes_unread = b->wf->incomplete = true;
        if (nodes == NULL)
            problems_add(b->problems, b->wf->pointer, "missing_field",
                         "a workflow needs \"nodes\"");
        else
            build_wrong_type(b, nodes, pointer, "an array of nodes");
        return;
    }
    build_room_nodes(b, count, pointer);
    /* What is too big to be looked at is not looked at. */
    for (size_t i = 0; i < count && count <= b->limits->nodes_max; i++)
        read_node(b, json_array_get(nodes, i), pointer_index(b, pointer, i));
}

static void read_edge(struct build *b, json_t *object, const char *pointer)
{
    static const char *const ends[] = {"source", "target"};
    uint32_t found[2];
    bool both = true;
    const char *key;
    const json_t *value;

    if (!json_is_object(object)) {
        build_wrong_type(b, object, pointer, "an object");
        b->wf->incomplete = true;
        return;
    }
    json_object_foreach(object, key, value) {
        struct guess guess = {.word = key};
        char buf[GUESS_TEXT_MAX];
        guess_try(&guess, ends[0]);
        guess_try(&guess, ends[1]);
        if (strcmp(key, ends[0]) != 0 && strcmp(key, ends[1]) != 0)
            problems_add(b->problems, pointer_key(b, pointer, key),
                         "unknown_field", "an edge has no field \"%.80s\"%s",
                         key, guess_text(&guess, buf));
    }
    for (int i = 0; i < 2; i++) {
        const json_t *id = json_object_get(object, ends[i]);
        if (id == NULL) {
            problems_add(b->problems, pointer, "missing_field",
                         "an edge needs \"%s\", the id of a node", ends[i]);
            b->wf->incomplete = true;
            both = false;
        } else if (!build_edge_end(b, id, pointer_key(b, pointer, ends[i]),
                                   &found[i])) {
            both = false;
        }
    }
    if (both)
        build_edge(b, found[0], found[1], pointer);
}

static void read_edges(struct build *b, const json_t *edges)
{
    const char *pointer = pointer_key(b, b->wf->pointer, "edges");
    size_t count = json_array_size(edges);

    if (edges == NULL)
        return; /* a workflow of unconnected nodes is one */
    if (!json_is_array(edges)) {
        build_wrong_type(b, edges, pointer, "an array of edges");
        b->wf->incomplete = true;
        return;
    }
    build_room_edges(b, count, pointer);
    for (size_t i = 0; i < count && !b->too_many_edges; i++)
        read_edge(b, json_array_get(edges, i), pointer_index(b, pointer, i));
}

static void read_name(struct build *b, const json_t *value)
{
    const char *pointer = b->wf->pointer;
    if (value == NULL) {
        problems_add(b->problems, pointer, "missing_field",
                     "a workflow needs \"name\"");
    } else if (json_is_string(value) && build_label(b, value) == NULL) {
        if (!b->no_memory)
            problems_add(b->problems, pointer_key(b, pointer, "name"),
                         "empty_name", "the workflow's name is empty");
    } else {
        b->wf->name = build_text(b, value, pointer_key(b, pointer, "name"),
                                 WORKFLOW_NAME_MAX);
    }
    /* It has been reported; workflow_validate() need not do so again. */
    if (b->wf->name == NULL)
        b->wf->name = workflow_strdup(b->wf, "untitled");
}

static void unknown_document_field(struct build *b, const char *key,
                                   const char *pointer)
{
    static const char *const known[] = {"id",    "name",       "description",
                                        "tags",  "size_bytes", "priority",
                                        "nodes", "edges",      NULL};
    static const char *const of_request[] = {
        "parameters", "preferred_pool", "start_at",        "timeout_s",
        "retries",    "on_lost",        "concurrency_key", NULL};
    char buf[GUESS_TEXT_MAX];
    struct guess guess = {.word = key};

    for (const char *const *name = of_request; *name != NULL; name++) {
        if (strcmp(key, *name) == 0) {
            problems_add(b->problems, pointer, "unknown_field",
                         "\"%s\" is a field of the request, beside the "
                         "workflow, not of the workflow",
                         key);
            return;
        }
    }
    for (const char *const *name = known; *name != NULL; name++)
        guess_try(&guess, *name);
    problems_add(b->problems, pointer, "unknown_field",
                 "a workflow has no field \"%.80s\"%s", key,
                 guess_text(&guess, buf));
}

void read_neutral(struct build *b, json_t *document)
{
    const char *key;
    json_t *value;

    b->wf->shape = SHAPE_NEUTRAL;
    read_name(b, json_object_get(document, "name"));
    json_object_foreach(document, key, value) {
        const char *pointer = pointer_key(b, b->wf->pointer, key);
        if (strcmp(key, "id") == 0)
            b->wf->id = build_text(b, value, pointer, WORKFLOW_NAME_MAX);
        else if (strcmp(key, "tags") == 0)
            build_tags(b, value, pointer, false);
        else if (strcmp(key, "size_bytes") == 0)
            b->wf->size_bytes = build_size(b, value, pointer);
        else if (strcmp(key, "priority") == 0)
            build_priority(b, value, pointer);
        else if (strcmp(key, "description") == 0 && !json_is_string(value))
            build_wrong_type(b, value, pointer, "a string");
        else if (strcmp(key, "description") != 0 && strcmp(key, "name") != 0 &&
                 strcmp(key, "nodes") != 0 && strcmp(key, "edges") != 0)
            unknown_document_field(b, key, pointer);
    }
    read_nodes(b, json_object_get(document, "nodes"));
    build_index(b);
    read_edges(b, json_object_get(document, "edges"));
}

/* ---- which format ---------------------------------------------------- */

static bool has(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return value != NULL && !json_is_null(value);
}

/* Bare nodes and edges: ours when a node says its kind; React Flow's when there
 * is a viewport, or nodes have data or a position. */
static bool looks_like_react_flow(const json_t *document)
{
    const json_t *nodes = json_object_get(document, "nodes");
    bool foreign = has(document, "viewport");

    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const json_t *node = json_array_get(nodes, i);
        if (has(node, "kind"))
            return false;
        foreign = foreign || has(node, "data") || has(node, "position");
    }
    return foreign;
}

static void read_document(struct build *b, json_t *document)
{
    json_t *open = build_open(b, document, b->wf->pointer);

    if (open == NULL)
        b->wf->incomplete = true;
    else if (!json_is_object(open))
        build_wrong_type(b, open, b->wf->pointer, "an object: a workflow");
    else if (has(open, "connectionInformation_v1"))
        read_connection_v1(b, open);
    else if (has(open, "workflow_diagram") || has(open, "flow") ||
             looks_like_react_flow(open))
        read_react_flow(b, open);
    else
        read_neutral(b, open);
    json_decref(open);
}

/* With text NULL reads `document`, else the text. */
static int read_either(json_t *document, const char *text, size_t bytes,
                       const char *pointer,
                       const struct workflow_limits *limits,
                       struct workflow **ret_wf, struct problems *problems)
{
    struct build b = {.wf = workflow_new(),
                      .scratch = workflow_new(),
                      .problems = problems,
                      .limits = limits};
    size_t before = build_problem_count(&b);
    json_t *parsed = NULL;
    int rc = 0;

    if (b.wf == NULL || b.scratch == NULL ||
        (b.wf->pointer = workflow_strdup(b.wf, pointer)) == NULL) {
        workflow_free(&b.wf);
        workflow_free(&b.scratch);
        return -ENOMEM;
    }
    if (text != NULL)
        document = parsed = build_parse(&b, text, bytes, pointer, false);
    if (document != NULL) {
        read_document(&b, document);
        build_sum_sizes(&b);
        data_check_graph(&b);
    }
    /* After a document that is no workflow at all there is no graph. */
    if (!b.no_memory && b.wf->name != NULL)
        rc = workflow_validate(b.wf, limits, problems);
    json_decref(parsed);
    workflow_free(&b.scratch);

    if (b.no_memory)
        rc = -ENOMEM;
    else if (rc == 0 && build_problem_count(&b) > before)
        rc = -EINVAL;
    if (rc != 0)
        workflow_free(&b.wf);
    else
        *ret_wf = b.wf;
    return rc;
}

int workflow_from_json(const json_t *document, const char *pointer,
                       const struct workflow_limits *limits,
                       struct workflow **ret_wf, struct problems *problems)
{
    /* References to the document are counted in it; nothing else is written,
     * and the counts end as they were. */
    union {
        const json_t *given;
        json_t *counted;
    } either = {.given = document};
    return read_either(either.counted, NULL, 0, pointer, limits, ret_wf,
                       problems);
}

int workflow_from_text(const char *text, size_t bytes,
                       const struct workflow_limits *limits,
                       struct workflow **ret_wf, struct problems *problems)
{
    return read_either(NULL, text, bytes, "", limits, ret_wf, problems);
}

/* ---- the plan -------------------------------------------------------- */

static void put_string(FILE *out, const char *text)
{
    fputc('"', out);
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            fprintf(out, "\\%c", *c);
        else if ((unsigned char)*c < 0x20)
            fprintf(out, "\\u%04x", (unsigned)*c);
        else
            fputc(*c, out);
    }
    fputc('"', out);
}

static void put_node(FILE *out, const struct workflow *wf, uint32_t n,
                     const struct workflow_links *parents,
                     const uint32_t *place)
{
    const struct node *node = &wf->nodes[n];

    fputs("{\"id\":", out);
    put_string(out, node->id);
    fprintf(out, ",\"kind\":\"%s\",\"label\":", node->kind->name);
    put_string(out, node->label);
    fputs(",\"after\":[", out);
    for (uint32_t i = parents->first[n]; i < parents->first[n + 1]; i++)
        fprintf(out, "%s%u", i > parents->first[n] ? "," : "",
                place[wf->edges[parents->edges[i]].source]);
    fprintf(out, "],\"timeout_s\":%u", node->timeout_ms / 1000);
    if (node->timeout_ms % 1000 != 0)
        fprintf(out, ".%03u", node->timeout_ms % 1000);
    fprintf(out, ",\"repeatable\":%s", node->repeatable ? "true" : "false");
    if (node->engine != NULL) {
        fputs(",\"engine\":", out);
        put_string(out, node->engine);
    }
    fprintf(out, ",\"config\":%s}", node->config_json);
}

/* preview_rows < 0: nothing is said about them. */
static int plan_text(const struct workflow *wf, int preview_rows,
                     char **ret_text, size_t *ret_bytes)
{
    struct workflow_links parents;
    uint32_t *place = calloc(wf->node_count + 1, sizeof *place);
    char *text = NULL;
    size_t bytes = 0;

    if (place == NULL || workflow_links(wf, SIDE_PARENTS, &parents) != 0) {
        free(place);
        return -ENOMEM;
    }
    FILE *out = open_memstream(&text, &bytes);
    bool failed = out == NULL;
    if (out != NULL) {
        for (uint32_t i = 0; i < wf->node_count; i++)
            place[wf->order[i]] = i;
        fputs("{\"name\":", out);
        put_string(out, wf->name);
        if (preview_rows >= 0)
            fprintf(out, ",\"preview_rows\":%d", preview_rows);
        fputs(",\"nodes\":[", out);
        for (uint32_t i = 0; i < wf->node_count; i++) {
            if (i > 0)
                fputc(',', out);
            put_node(out, wf, wf->order[i], &parents, place);
        }
        fputs("]}", out);
        failed = ferror(out) != 0;
        failed = fclose(out) != 0 || failed;
    }
    workflow_links_free(&parents);
    free(place);
    if (failed) {
        free(text);
        return -ENOMEM;
    }
    *ret_text = text;
    *ret_bytes = bytes;
    return 0;
}

int workflow_plan_text(const struct workflow *wf, char **ret_text,
                       size_t *ret_bytes)
{
    return plan_text(wf, -1, ret_text, ret_bytes);
}

int workflow_plan_text_preview(const struct workflow *wf, unsigned preview_rows,
                               char **ret_text, size_t *ret_bytes)
{
    if (preview_rows > WORKFLOW_PREVIEW_ROWS_MAX)
        return -EINVAL;
    return plan_text(wf, (int)preview_rows, ret_text, ret_bytes);
}
