/*
 * workflow_v1.c - reads connectionInformation_v1, the payload of the existing
 * product: a map of nodes and a map of their parents, either usually encoded
 * once more as a string.
 *
 * Where there are no dependencies the edges are inferred from `sequence`: a
 * node follows all nodes of the depth before its own. A database node that
 * only has a reading side (sql or filter, nothing to write with) follows
 * nothing: it is a second source, not a load.
 */
#include "policy/workflow_v1.h"

#include <stdlib.h>
#include <string.h>

struct v1 {
    json_t *map;     /* node id -> node */
    json_t *parents; /* child -> [parents]; NULL: to be inferred */
    const char *map_at, *parents_at;
    json_int_t first_depth; /* the lowest sequence number */
};

static const char reserved_key[] = "execution_order";

/* ---- nodes ----------------------------------------------------------- */

/* Only a reading side: see the top of this file. */
static bool is_source_only(const json_t *node)
{
    const json_t *details = json_object_get(node, "dbDetails");
    return (json_object_get(details, "sql") != NULL ||
            json_object_get(details, "filter") != NULL) &&
           json_object_get(details, "truncateTable") == NULL &&
           json_object_get(details, "column") == NULL;
}

static bool is_written(const struct v1 *v1, const char *id, const json_t *node)
{
    if (v1->parents != NULL)
        return json_array_size(json_object_get(v1->parents, id)) > 0;
    return json_integer_value(json_object_get(node, "sequence")) >
               v1->first_depth &&
           !is_source_only(node);
}

static void read_node(struct build *b, const struct v1 *v1, const char *key,
                      const json_t *object)
{
    const char *at = pointer_key(b, v1->map_at, key);
    json_t *key_value = json_string(key);
    char *id = key_value != NULL
                   ? build_text(b, key_value, at, WORKFLOW_NAME_MAX)
                   : NULL;
    b->no_memory = b->no_memory || key_value == NULL;
    json_decref(key_value);

    struct node nameless = {.id = id};
    struct node *node = build_node(b, id, at);
    if (node == NULL)
        node = &nameless;
    if (!json_is_object(object)) {
        build_wrong_type(b, object, at, "an object");
        b->wf->incomplete = true;
        return;
    }
    const struct foreign_type type = {
        .category_key = "connector_category",
        .type_key = "connector_type",
        .writes = is_written(v1, key, object),
    };
    if (!build_foreign_type(b, node, object, at, &type)) {
        b->wf->incomplete = true;
        return;
    }
    char *label = build_label(b, json_object_get(object, "node_name"));
    node->label = label != NULL ? label : node->label;

    v1_configure(b, node, object, at);
}

/* ---- edges: said ----------------------------------------------------- */

static void read_dependencies(struct build *b, const struct v1 *v1)
{
    const char *child;
    json_t *parents;
    size_t count = 0;

    json_object_foreach(v1->parents, child, parents) {
        if (strcmp(child, reserved_key) != 0)
            count += json_array_size(parents);
    }
    build_room_edges(b, count, v1->parents_at);
    if (b->too_many_edges)
        return;
    json_object_foreach(v1->parents, child, parents) {
        uint32_t target;
        uint32_t source;
        size_t i;
        const json_t *parent;

        if (strcmp(child, reserved_key) == 0)
            continue;
        const char *at = pointer_key(b, v1->parents_at, child);
        if (!build_find(b, child, &target)) {
            if (!b->nodes_unread)
                problems_add(b->problems, at, "edge_to_nothing",
                             "there is no node with the id \"%.80s\"", child);
            b->wf->incomplete = true;
            continue;
        }
        if (!json_is_array(parents) && !json_is_null(parents)) {
            build_wrong_type(b, parents, at, "an array of node ids");
            b->wf->incomplete = true;
        }
        json_array_foreach(parents, i, parent) {
            const char *parent_at = pointer_index(b, at, i);
            if (build_edge_end(b, parent, parent_at, &source))
                build_edge(b, source, target, parent_at);
        }
    }
}

/* ---- edges: inferred ------------------------------------------------- */

struct step {
    json_int_t depth;
    uint32_t node;
    bool follows; /* the nodes of the depth before */
};

static int by_depth(const void *a, const void *b)
{
    const struct step *left = a;
    const struct step *right = b;
    if (left->depth != right->depth)
        return left->depth < right->depth ? -1 : 1;
    return (left->node > right->node) - (left->node < right->node);
}

/* The end of the steps that have the depth of steps[start]. */
static size_t level_end(const struct step *steps, size_t count, size_t start)
{
    size_t end = start;
    while (end < count && steps[end].depth == steps[start].depth)
        end++;
    return end;
}

static void connect_levels(struct build *b, const struct v1 *v1,
                           const struct step *steps, size_t count)
{
    size_t edges = 0;
    /* Two rounds: count, because two wide levels would multiply beyond any
     * limit; then connect. */
    for (int round = 0; round < 2 && !b->too_many_edges; round++) {
        size_t before = 0;
        for (size_t start = level_end(steps, count, 0); start < count;) {
            size_t end = level_end(steps, count, start);
            for (size_t i = start; i < end; i++) {
                if (!steps[i].follows)
                    continue;
                edges += start - before;
                for (size_t j = before; round == 1 && j < start; j++)
                    build_edge(b, steps[j].node, steps[i].node, v1->map_at);
            }
            before = start;
            start = end;
        }
        if (round == 0)
            build_room_edges(b, edges, v1->map_at);
    }
}

static void infer_edges(struct build *b, const struct v1 *v1)
{
    struct workflow *wf = b->wf;
    size_t count = 0;
    const char *id;
    json_t *node;

    if (wf->node_count < 2)
        return;
    wf->edges_inferred = true;
    struct step *steps = calloc(wf->node_count, sizeof *steps);
    if (steps == NULL) {
        b->no_memory = true;
        return;
    }
    json_object_foreach(v1->map, id, node) {
        const json_t *sequence = json_object_get(node, "sequence");
        struct step step;
        if (!build_find(b, id, &step.node))
            continue;
        if (!json_is_integer(sequence)) {
            problems_add(b->problems, wf->nodes[step.node].pointer,
                         sequence == NULL ? "missing_field" : "wrong_type",
                         "without dependencies a node needs \"sequence\", a "
                         "whole number");
            wf->incomplete = true;
            continue;
        }
        step.depth = json_integer_value(sequence);
        step.follows =
            wf->nodes[step.node].engine == NULL || !is_source_only(node);
        steps[count++] = step;
    }
    if (count > 0) {
        qsort(steps, count, sizeof *steps, by_depth);
        connect_levels(b, v1, steps, count);
    }
    free(steps);
}

/* ---- all together ---------------------------------------------------- */

static bool says_anything(const json_t *parents)
{
    size_t reserved = json_object_get(parents, reserved_key) != NULL;
    return json_object_size(parents) > reserved;
}

/* The dependencies, opened: a new reference, or NULL when edges have to be
 * inferred or a problem was found. */
static json_t *open_dependencies(struct build *b, json_t *document,
                                 const char *at)
{
    json_t *value = json_object_get(document, "dependencies");
    bool none = value == NULL || json_is_null(value) ||
                (json_is_string(value) && json_string_length(value) == 0);
    if (none)
        return NULL;
    json_t *open = build_open(b, value, at);
    if (open != NULL && json_is_object(open) && says_anything(open))
        return open;
    if (open == NULL || !(json_is_object(open) || json_is_null(open))) {
        if (open != NULL)
            build_wrong_type(b, open, at, "an object: child -> [parents]");
        b->wf->incomplete = true;
    }
    json_decref(open);
    return NULL;
}

static json_int_t lowest_depth(json_t *map)
{
    const char *id;
    json_t *node;
    json_int_t lowest = INT64_MAX;
    json_object_foreach(map, id, node) {
        const json_t *sequence = json_object_get(node, "sequence");
        if (json_is_integer(sequence) && json_integer_value(sequence) < lowest)
            lowest = json_integer_value(sequence);
    }
    return lowest;
}

void read_connection_v1(struct build *b, json_t *document)
{
    const char *key;
    json_t *node;
    struct v1 v1 = {
        .map_at = pointer_key(b, b->wf->pointer, "connectionInformation_v1"),
        .parents_at = pointer_key(b, b->wf->pointer, "dependencies"),
    };

    b->wf->shape = SHAPE_CONNECTION_V1;
    build_foreign_head(b, document);
    v1.map = build_open(
        b, json_object_get(document, "connectionInformation_v1"), v1.map_at);
    v1.parents = open_dependencies(b, document, v1.parents_at);
    /* Dependencies that could not be read are not the same as none. */
    bool inferred = v1.parents == NULL && !b->wf->incomplete;
    if (json_is_object(v1.map)) {
        v1.first_depth = lowest_depth(v1.map);
        build_room_nodes(b, json_object_size(v1.map), v1.map_at);
        json_object_foreach(v1.map, key, node) {
            if (b->nodes_unread)
                break;
            read_node(b, &v1, key, node);
        }
        build_index(b);
        if (v1.parents != NULL)
            read_dependencies(b, &v1);
        else if (inferred)
            infer_edges(b, &v1);
        v1_order_joins(b);
    } else {
        if (v1.map != NULL)
            build_wrong_type(b, v1.map, v1.map_at, "an object: id -> node");
        b->wf->incomplete = true;
    }
    json_decref(v1.map);
    json_decref(v1.parents);
}
