/*
 * workflow_graph.c - the graph of a workflow: ids, order, circles, inputs.
 *
 * Graphs come from strangers and may be 10,000 nodes deep: nothing here
 * recurses, ids are looked up in a sorted index (which, unlike a hash table, no
 * choice of ids can slow down), and edges are walked through two flat arrays.
 */
#include "policy/workflow.h"
#include "policy/text.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- ids ------------------------------------------------------------- */

static int by_id(const void *a, const void *b, void *nodes)
{
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;
    const struct node *node = nodes;
    int order = strcmp(node[left].id, node[right].id);
    return order != 0 ? order : (left > right) - (left < right);
}

int workflow_sort_ids(struct workflow *wf, const uint32_t **ret_sorted)
{
    uint32_t *sorted = workflow_alloc(wf, wf->node_count * sizeof *sorted);
    if (sorted == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < wf->node_count; i++)
        sorted[i] = (uint32_t)i;
    if (wf->node_count > 0)
        qsort_r(sorted, wf->node_count, sizeof *sorted, by_id, wf->nodes);
    *ret_sorted = sorted;
    return 0;
}

bool workflow_find(const struct workflow *wf, const uint32_t *sorted,
                   const char *id, uint32_t *ret_node)
{
    size_t low = 0;
    size_t high = wf->node_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(wf->nodes[sorted[middle]].id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == wf->node_count || strcmp(wf->nodes[sorted[low]].id, id) != 0)
        return false;
    *ret_node = sorted[low];
    return true;
}

static int check_ids(struct workflow *wf, struct problems *problems)
{
    const uint32_t *sorted;
    uint32_t *first_of = workflow_alloc(wf, wf->node_count * sizeof *first_of);
    if (first_of == NULL || workflow_sort_ids(wf, &sorted) != 0)
        return -ENOMEM;

    /* Equal ids are neighbours, the first in the document first. They are
     * noted here and reported below, in document order. */
    for (size_t i = 0; i < wf->node_count; i++) {
        uint32_t node = sorted[i];
        bool repeats = i > 0 && strcmp(wf->nodes[sorted[i - 1]].id,
                                       wf->nodes[node].id) == 0;
        first_of[node] = repeats ? first_of[sorted[i - 1]] : node;
    }
    for (size_t i = 0; i < wf->node_count; i++) {
        if (first_of[i] == i)
            continue;
        problems_add(problems, wf->nodes[i].pointer, "duplicate_id",
                     "the id \"%.80s\" is already used by %.200s; ids must be "
                     "unique",
                     wf->nodes[i].id, wf->nodes[first_of[i]].pointer);
    }
    return 0;
}

/* ---- links ----------------------------------------------------------- */

int workflow_links(const struct workflow *wf, enum workflow_side side,
                   struct workflow_links *ret_links)
{
    struct workflow_links links = {
        .first = calloc(wf->node_count + 2, sizeof *links.first),
        .edges = calloc(wf->edge_count + 1, sizeof *links.edges),
    };
    if (links.first == NULL || links.edges == NULL) {
        workflow_links_free(&links);
        return -ENOMEM;
    }
    /* Count into first[n + 2], sum, then fill through first[n + 1], which ends
     * up where node n + 1 begins. */
    for (size_t i = 0; i < wf->edge_count; i++) {
        const struct edge *edge = &wf->edges[i];
        uint32_t node = side == SIDE_CHILDREN ? edge->source : edge->target;
        links.first[node + 2]++;
    }
    for (size_t n = 2; n < wf->node_count + 2; n++)
        links.first[n] += links.first[n - 1];
    for (size_t i = 0; i < wf->edge_count; i++) {
        const struct edge *edge = &wf->edges[i];
        uint32_t node = side == SIDE_CHILDREN ? edge->source : edge->target;
        links.edges[links.first[node + 1]++] = (uint32_t)i;
    }
    *ret_links = links;
    return 0;
}

void workflow_links_free(struct workflow_links *links)
{
    free(links->first);
    free(links->edges);
    *links = (struct workflow_links){0};
}

/* Removes repeated edges, keeping the first of each and their order. */
static int drop_repeated_edges(struct workflow *wf)
{
    struct workflow_links children;
    bool *repeated = calloc(wf->edge_count + 1, sizeof *repeated);
    uint32_t *seen_from = calloc(wf->node_count + 1, sizeof *seen_from);
    if (repeated == NULL || seen_from == NULL ||
        workflow_links(wf, SIDE_CHILDREN, &children) != 0) {
        free(repeated);
        free(seen_from);
        return -ENOMEM;
    }
    for (uint32_t n = 0; n < wf->node_count; n++) {
        for (uint32_t i = children.first[n]; i < children.first[n + 1]; i++) {
            uint32_t *seen = &seen_from[wf->edges[children.edges[i]].target];
            repeated[children.edges[i]] = *seen == n + 1;
            *seen = n + 1;
        }
    }
    size_t kept = 0;
    for (size_t i = 0; i < wf->edge_count; i++) {
        if (!repeated[i])
            wf->edges[kept++] = wf->edges[i];
    }
    wf->edge_count = kept;
    workflow_links_free(&children);
    free(repeated);
    free(seen_from);
    return 0;
}

/* ---- order ----------------------------------------------------------- */

/* A heap of node indices, the smallest on top: among nodes that are ready the
 * first in the document goes first, so a document that lists its nodes in a
 * valid order keeps it. */
struct ready {
    uint32_t *nodes;
    size_t count;
};

static void ready_push(struct ready *ready, uint32_t node)
{
    size_t at = ready->count++;
    for (; at > 0 && ready->nodes[(at - 1) / 2] > node; at = (at - 1) / 2)
        ready->nodes[at] = ready->nodes[(at - 1) / 2];
    ready->nodes[at] = node;
}

static uint32_t ready_pop(struct ready *ready)
{
    assert(ready->count > 0);
    uint32_t top = ready->nodes[0];
    uint32_t last = ready->nodes[--ready->count];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < ready->count; at = child) {
        if (child + 1 < ready->count &&
            ready->nodes[child + 1] < ready->nodes[child])
            child++;
        if (ready->nodes[child] >= last)
            break;
        ready->nodes[at] = ready->nodes[child];
    }
    ready->nodes[at] = last;
    return top;
}

/* Sets wf->order when every node can be placed; a circle leaves it NULL. */
static int find_order(struct workflow *wf,
                      const struct workflow_links *children)
{
    uint32_t *order = workflow_alloc(wf, wf->node_count * sizeof *order);
    uint32_t *missing = calloc(wf->node_count, sizeof *missing);
    struct ready ready = {.nodes = calloc(wf->node_count, sizeof(uint32_t))};
    size_t placed = 0;

    if (order == NULL || missing == NULL || ready.nodes == NULL) {
        free(missing);
        free(ready.nodes);
        return -ENOMEM;
    }
    for (size_t i = 0; i < wf->edge_count; i++)
        missing[wf->edges[i].target]++;
    for (uint32_t n = 0; n < wf->node_count; n++) {
        if (missing[n] == 0)
            ready_push(&ready, n);
    }
    while (ready.count > 0) {
        uint32_t n = ready_pop(&ready);
        order[placed++] = n;
        for (uint32_t i = children->first[n]; i < children->first[n + 1]; i++) {
            uint32_t child = wf->edges[children->edges[i]].target;
            if (--missing[child] == 0)
                ready_push(&ready, child);
        }
    }
    wf->order = placed == wf->node_count ? order : NULL;
    free(missing);
    free(ready.nodes);
    return 0;
}

/* ---- circles --------------------------------------------------------- */

static const size_t ends_shown = 6;

/* "a -> b -> c -> a" from path[0..count), long ones with their middle left
 * out. */
static void report_circle(const struct workflow *wf, const uint32_t *path,
                          size_t count, struct problems *problems)
{
    char text[PROBLEM_DETAIL_MAX / 2] = "";
    for (size_t i = 0; i < count; i++) {
        if (count > 2 * ends_shown && i == ends_shown) {
            text_append(text, sizeof text, "... (%zu more) -> ",
                        count - 2 * ends_shown);
            i = count - ends_shown;
        }
        text_append(text, sizeof text, "%.32s -> ", wf->nodes[path[i]].id);
    }
    text_append(text, sizeof text, "%.32s", wf->nodes[path[0]].id);
    problems_add(problems, wf->nodes[path[0]].pointer, "cycle",
                 "these nodes wait for each other in a circle: %s; remove one "
                 "of these edges",
                 text);
}

/* A depth-first walk with its own stack. A node is new, on the path that is
 * being walked, or done; an edge to a node on the path closes a circle, which
 * is the path from there on. */
static int report_circles(const struct workflow *wf,
                          const struct workflow_links *children,
                          struct problems *problems)
{
    const uint32_t done = UINT32_MAX;
    uint32_t *place = calloc(wf->node_count, sizeof *place); /* 1 + depth */
    uint32_t *next = calloc(wf->node_count, sizeof *next);
    uint32_t *path = calloc(wf->node_count, sizeof *path);
    int rc = place == NULL || next == NULL || path == NULL ? -ENOMEM : 0;

    for (uint32_t root = 0; rc == 0 && root < wf->node_count; root++) {
        if (place[root] != 0)
            continue;
        uint32_t depth = 0;
        path[depth++] = root;
        place[root] = depth;
        next[root] = children->first[root];
        while (depth > 0) {
            uint32_t n = path[depth - 1];
            if (next[n] == children->first[n + 1]) {
                place[n] = done;
                depth--;
                continue;
            }
            uint32_t child = wf->edges[children->edges[next[n]++]].target;
            if (place[child] == 0) {
                path[depth++] = child;
                place[child] = depth;
                next[child] = children->first[child];
            } else if (place[child] != done) {
                uint32_t start = place[child] - 1;
                report_circle(wf, path + start, depth - start, problems);
            }
        }
    }
    free(place);
    free(next);
    free(path);
    return rc;
}

/* ---- inputs ---------------------------------------------------------- */

static int check_inputs(const struct workflow *wf, struct problems *problems)
{
    uint32_t *inputs = calloc(wf->node_count, sizeof *inputs);
    if (inputs == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < wf->edge_count; i++) {
        const struct node *source = &wf->nodes[wf->edges[i].source];
        inputs[wf->edges[i].target] += source->kind->gives_rows;
    }
    for (size_t i = 0; i < wf->node_count; i++) {
        const struct node *node = &wf->nodes[i];
        uint32_t min = node->kind->inputs_min;
        uint32_t max = node->kind->inputs_max;
        if (inputs[i] >= min && inputs[i] <= max)
            continue;
        problems_add(problems, node->pointer, "wrong_inputs",
                     "\"%.80s\" (%s) needs %s%u input%s that give rows, and "
                     "has %u%s",
                     node->id, node->kind->name,
                     min == max        ? ""
                     : inputs[i] < min ? "at least "
                                       : "at most ",
                     inputs[i] < min ? min : max,
                     (inputs[i] < min ? min : max) == 1 ? "" : "s", inputs[i],
                     wf->edges_inferred ? "; its edges were inferred from "
                                          "sequence numbers, give dependencies "
                                          "instead"
                                        : "");
    }
    free(inputs);
    return 0;
}

/* ---- all together ---------------------------------------------------- */

static const char *document(const struct workflow *wf)
{
    return wf->pointer != NULL ? wf->pointer : "";
}

static void check_name(const struct workflow *wf, struct problems *problems)
{
    if (wf->name == NULL || wf->name[0] == '\0')
        problems_add(problems, document(wf), "empty_name",
                     "the workflow has no name");
    else if (strlen(wf->name) > WORKFLOW_NAME_MAX)
        problems_add(problems, document(wf), "too_long",
                     "the workflow's name has %zu bytes, at most %d are "
                     "allowed",
                     strlen(wf->name), WORKFLOW_NAME_MAX);
}

static bool check_counts(const struct workflow *wf,
                         const struct workflow_limits *limits,
                         struct problems *problems)
{
    if (wf->node_count == 0 && !wf->incomplete)
        problems_add(problems, document(wf), "no_nodes",
                     "the workflow has no nodes");
    if (wf->node_count > limits->nodes_max)
        problems_add(problems, document(wf), "too_many_nodes",
                     "the workflow has %zu nodes, at most %zu are allowed",
                     wf->node_count, limits->nodes_max);
    if (wf->edge_count > limits->edges_max)
        problems_add(problems, document(wf), "too_many_edges",
                     "the workflow has %zu edges, at most %zu are allowed",
                     wf->edge_count, limits->edges_max);
    return wf->node_count > 0 && wf->node_count <= limits->nodes_max &&
           wf->edge_count <= limits->edges_max;
}

int workflow_validate(struct workflow *wf, const struct workflow_limits *limits,
                      struct problems *problems)
{
    struct workflow_links children;

    wf->order = NULL;
    check_name(wf, problems);
    if (!check_counts(wf, limits, problems))
        return 0;
    if (check_ids(wf, problems) != 0 || drop_repeated_edges(wf) != 0 ||
        workflow_links(wf, SIDE_CHILDREN, &children) != 0)
        return -ENOMEM;
    int rc = find_order(wf, &children);
    if (rc == 0 && wf->order == NULL)
        rc = report_circles(wf, &children, problems);
    if (rc == 0 && !wf->incomplete)
        rc = check_inputs(wf, problems);
    workflow_links_free(&children);
    return rc;
}
