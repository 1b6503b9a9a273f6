/*
 * workflow_reactflow.c - reads what React Flow's toObject() gives: bare, or
 * under workflow_diagram or flow.
 *
 * Hidden nodes, groups and annotations do not count, and neither do their
 * edges. One thing still looks at them: whether a database node is written or
 * read. A load whose only source has been hidden must not quietly turn into an
 * extract; it stays a load, and is refused because it has no input.
 */
#include "policy/workflow_v1.h"

#include <string.h>

struct diagram {
    json_t *nodes, *edges; /* borrowed; NULL: not an array */
    const char *nodes_at, *edges_at;
    json_t *hidden;  /* ids of hidden nodes, as keys */
    json_t *scenery; /* ids of groups and annotations */
    json_t *targets; /* ids that an edge which matters leads to */
};

static bool is_member(const json_t *set, const json_t *id)
{
    return json_is_string(id) &&
           json_object_get(set, json_string_value(id)) != NULL;
}

static void add_member(struct build *b, json_t *set, const json_t *id)
{
    if (json_is_string(id) &&
        json_object_set_new(set, json_string_value(id), json_true()) != 0)
        b->no_memory = true;
}

static bool is_scenery(const json_t *node)
{
    const char *type = json_string_value(json_object_get(node, "type"));
    return type != NULL &&
           (strcmp(type, "group") == 0 || strcmp(type, "annotation") == 0);
}

static bool is_hidden(const json_t *node)
{
    return json_is_true(json_object_get(node, "hidden"));
}

/* Which nodes do not count, and which are written to. */
static size_t survey(struct build *b, struct diagram *diagram)
{
    size_t counted = 0;
    size_t i;
    const json_t *item;

    json_array_foreach(diagram->nodes, i, item) {
        if (is_scenery(item))
            add_member(b, diagram->scenery, json_object_get(item, "id"));
        else if (is_hidden(item))
            add_member(b, diagram->hidden, json_object_get(item, "id"));
        else
            counted++;
    }
    json_array_foreach(diagram->edges, i, item) {
        if (!is_member(diagram->scenery, json_object_get(item, "source")))
            add_member(b, diagram->targets, json_object_get(item, "target"));
    }
    return counted;
}

/* A form leaves what nobody filled in as null or "": not set. */
static json_t *without_blanks(struct build *b, json_t *config)
{
    json_t *filled = json_object();
    const char *key;
    json_t *value;

    json_object_foreach(config, key, value) {
        bool blank = json_is_null(value) ||
                     (json_is_string(value) && json_string_length(value) == 0);
        if (!blank && json_object_set(filled, key, value) != 0)
            b->no_memory = true;
    }
    b->no_memory = b->no_memory || filled == NULL;
    return filled;
}

static bool reads(const struct node *node)
{
    for (const char *const *name = node->kind->optional; *name != NULL;
         name++) {
        if (strcmp(*name, "size_bytes") == 0)
            return true;
    }
    return false;
}

/* Forms of the existing product save what they would send. */
static bool is_like_v1(const struct node *node, const json_t *config)
{
    const char *key = node->kind->class == NODE_DB          ? "dbDetails"
                      : node->kind->class == NODE_TRANSFORM ? "transformations"
                                                            : "";
    return json_object_size(json_object_get(config, key)) > 0;
}

/* What the node says in `data`; false when it is left out of the graph. */
static bool read_data(struct build *b, const struct diagram *diagram,
                      struct node *node, const json_t *object,
                      const char *pointer)
{
    const json_t *data = json_object_get(object, "data");
    if (!json_is_object(data)) {
        if (data == NULL)
            problems_add(b->problems, pointer, "missing_field",
                         "a node needs \"data\"");
        else
            build_wrong_type(b, data, pointer_key(b, pointer, "data"),
                             "an object");
        return false;
    }
    const char *data_at = pointer_key(b, pointer, "data");
    json_t *config = json_object_get(data, "config");
    const char *config_at =
        config != NULL ? pointer_key(b, data_at, "config") : data_at;
    bool no_config = config == NULL || json_is_null(config);
    if (!no_config && !json_is_object(config)) {
        build_wrong_type(b, config, config_at, "an object");
        return false;
    }

    json_t *filled = without_blanks(b, config);
    const struct foreign_type type = {
        .category_key = "category",
        .type_key = "connectorType",
        .writes = json_object_get(filled, "mode") != NULL ||
                  is_member(diagram->targets, json_object_get(object, "id")),
    };
    bool known = build_foreign_type(b, node, data, data_at, &type);
    if (known) {
        char *label = build_label(b, json_object_get(data, "label"));
        node->label = label != NULL ? label : node->label;
        if (is_like_v1(node, filled))
            v1_configure(b, node, filled, config_at);
        else
            build_fields(b, node, filled, config_at, true, NULL);
        const json_t *metadata = json_object_get(data, "metadata");
        const json_t *bytes = json_object_get(metadata, "bytes");
        if (reads(node) && node->size_bytes < 0 && bytes != NULL &&
            !json_is_null(bytes))
            node->size_bytes = build_size(
                b, bytes,
                pointer_key(b, pointer_key(b, data_at, "metadata"), "bytes"));
    }
    json_decref(filled);
    return known;
}

static void read_node(struct build *b, const struct diagram *diagram,
                      const json_t *object, const char *pointer)
{
    if (!json_is_object(object)) {
        build_wrong_type(b, object, pointer, "an object");
        b->wf->incomplete = true;
        return;
    }
    char *id = build_node_id(b, object, pointer);

    struct node nameless = {.id = id};
    struct node *node = build_node(b, id, pointer);
    if (!read_data(b, diagram, node != NULL ? node : &nameless, object,
                   pointer))
        b->wf->incomplete = true;
}

static void read_edge(struct build *b, const struct diagram *diagram,
                      const json_t *object, const char *pointer)
{
    const json_t *source = json_object_get(object, "source");
    const json_t *target = json_object_get(object, "target");
    uint32_t from;
    uint32_t to;

    if (!json_is_object(object)) {
        build_wrong_type(b, object, pointer, "an object");
        b->wf->incomplete = true;
        return;
    }
    if (source == NULL || target == NULL) {
        problems_add(b->problems, pointer, "missing_field",
                     "an edge needs \"source\" and \"target\", the ids of two "
                     "nodes");
        b->wf->incomplete = true;
        return;
    }
    if (is_member(diagram->hidden, source) ||
        is_member(diagram->hidden, target) ||
        is_member(diagram->scenery, source) ||
        is_member(diagram->scenery, target))
        return;
    bool has_from =
        build_edge_end(b, source, pointer_key(b, pointer, "source"), &from);
    bool has_to =
        build_edge_end(b, target, pointer_key(b, pointer, "target"), &to);
    if (has_from && has_to)
        build_edge(b, from, to, pointer);
}

/* The array under key, or NULL and a problem unless it may be missing. */
static json_t *array_of(struct build *b, const json_t *object, const char *at,
                        const char *key, bool required)
{
    json_t *value = json_object_get(object, key);
    if (json_is_array(value))
        return value;
    if (value != NULL)
        build_wrong_type(b, value, pointer_key(b, at, key), "an array");
    else if (required)
        problems_add(b->problems, at, "missing_field",
                     "a React Flow document needs \"%s\"", key);
    if (value != NULL || required)
        b->nodes_unread = b->wf->incomplete = true;
    return NULL;
}

static void read_diagram(struct build *b, const json_t *object, const char *at)
{
    struct diagram diagram = {
        .nodes = array_of(b, object, at, "nodes", true),
        .edges = array_of(b, object, at, "edges", false),
        .nodes_at = pointer_key(b, at, "nodes"),
        .edges_at = pointer_key(b, at, "edges"),
        .hidden = json_object(),
        .scenery = json_object(),
        .targets = json_object(),
    };
    size_t i;
    const json_t *item;

    if (diagram.hidden == NULL || diagram.scenery == NULL ||
        diagram.targets == NULL) {
        b->no_memory = true;
    } else {
        build_room_nodes(b, survey(b, &diagram), diagram.nodes_at);
        json_array_foreach(diagram.nodes, i, item) {
            if (b->nodes_unread)
                break;
            if (!is_scenery(item) && !is_hidden(item))
                read_node(b, &diagram, item,
                          pointer_index(b, diagram.nodes_at, i));
        }
        build_index(b);
        build_room_edges(b, json_array_size(diagram.edges), diagram.edges_at);
        json_array_foreach(diagram.edges, i, item) {
            if (b->too_many_edges)
                break;
            read_edge(b, &diagram, item, pointer_index(b, diagram.edges_at, i));
        }
        v1_order_joins(b);
    }
    json_decref(diagram.hidden);
    json_decref(diagram.scenery);
    json_decref(diagram.targets);
}

void read_react_flow(struct build *b, json_t *document)
{
    static const char *const wraps[] = {"workflow_diagram", "flow"};
    const char *at = b->wf->pointer;
    json_t *diagram = json_incref(document);

    b->wf->shape = SHAPE_REACT_FLOW;
    build_foreign_head(b, document);
    for (size_t i = 0; i < sizeof wraps / sizeof wraps[0]; i++) {
        json_t *wrapped = json_object_get(document, wraps[i]);
        if (wrapped == NULL || json_is_null(wrapped))
            continue;
        json_decref(diagram);
        at = pointer_key(b, at, wraps[i]);
        diagram = build_open(b, wrapped, at);
        break;
    }
    if (json_is_object(diagram)) {
        read_diagram(b, diagram, at);
    } else {
        if (diagram != NULL)
            build_wrong_type(b, diagram, at, "an object: a diagram");
        b->wf->incomplete = true;
    }
    json_decref(diagram);
}
