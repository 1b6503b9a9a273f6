/*
 * plan.c - see plan.h.
 *
 * Invariants of a plan that was read: count >= 1; every parent index is smaller
 * than the node's own, so the graph has no cycle and one forward pass sees
 * parents before children; no parent is listed twice; ids are unique.
 */
#include "agents/plan.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int bad(char why[PLAN_WHY_MAX], const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static int bad(char why[PLAN_WHY_MAX], const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(why, PLAN_WHY_MAX, fmt, args);
    va_end(args);
    return -EINVAL;
}

void plan_free(struct plan **plan_p)
{
    struct plan *plan = *plan_p;

    *plan_p = NULL;
    if (!plan)
        return;
    free(plan->links);
    free(plan->nodes);
    json_decref(plan->root);
    free(plan);
}

/* The node's own fields, without its links. */
static int read_node(const json_t *in, size_t index, struct plan_node *node,
                     char why[PLAN_WHY_MAX])
{
    if (!json_is_object(in))
        return bad(why, "/nodes/%zu is not an object", index);
    node->id = json_string_value(json_object_get(in, "id"));
    if (!node->id || !*node->id || strlen(node->id) > PLAN_NAME_MAX)
        return bad(why, "/nodes/%zu/id is not a text of 1 to %d bytes", index,
                   PLAN_NAME_MAX);
    node->kind = json_string_value(json_object_get(in, "kind"));
    if (!node->kind || !*node->kind)
        return bad(why, "/nodes/%zu/kind is missing", index);
    node->label = json_string_value(json_object_get(in, "label"));
    if (!node->label)
        node->label = node->id;
    node->config = json_object_get(in, "config");
    if (!json_is_object(node->config))
        return bad(why, "/nodes/%zu/config is not an object", index);
    const json_t *timeout = json_object_get(in, "timeout_s");
    if (timeout && !json_is_null(timeout)) {
        double seconds = json_number_value(timeout);
        if (!json_is_number(timeout) || !(seconds >= 0) ||
            seconds > PLAN_TIMEOUT_MAX_S)
            return bad(why, "/nodes/%zu/timeout_s is not in 0..%d", index,
                       PLAN_TIMEOUT_MAX_S);
        node->timeout_ms = (int64_t)(seconds * 1000);
    }
    return 0;
}

/* Counts the links and checks them; fills child_count. */
static int check_links(struct plan *plan, const json_t *nodes,
                       size_t *ret_total, char why[PLAN_WHY_MAX])
{
    size_t total = 0;

    for (size_t i = 0; i < plan->count; i++) {
        const json_t *after =
            json_object_get(json_array_get(nodes, i), "after");
        if (after && !json_is_array(after))
            return bad(why, "/nodes/%zu/after is not an array", i);
        size_t count = json_array_size(after);
        total += count;
        if (total > PLAN_LINKS_MAX)
            return bad(why, "more than %d edges", PLAN_LINKS_MAX);
        for (size_t k = 0; k < count; k++) {
            const json_t *parent = json_array_get(after, k);
            json_int_t at = json_integer_value(parent);
            if (!json_is_integer(parent) || at < 0 || (size_t)at >= i)
                return bad(why,
                           "/nodes/%zu/after/%zu is not the index of an "
                           "earlier node",
                           i, k);
            plan->nodes[at].child_count++;
        }
        plan->nodes[i].parent_count = count;
    }
    *ret_total = total;
    return 0;
}

/* Links both ways, in one block: parents of all nodes, then children of all. */
static int read_links(struct plan *plan, const json_t *nodes,
                      char why[PLAN_WHY_MAX])
{
    size_t total = 0;
    int rc = check_links(plan, nodes, &total, why);

    if (rc < 0)
        return rc;
    plan->links = calloc(2 * total + 1, sizeof *plan->links);
    uint32_t **fill = calloc(plan->count, sizeof *fill);
    uint32_t *seen = calloc(plan->count, sizeof *seen); /* by node + 1 */
    if (!plan->links || !fill || !seen) {
        free(fill);
        free(seen);
        return -ENOMEM;
    }
    uint32_t *parents = plan->links, *children = plan->links + total;
    for (size_t i = 0; i < plan->count; i++) {
        fill[i] = children;
        plan->nodes[i].children = children;
        children += plan->nodes[i].child_count;
    }
    for (size_t i = 0; i < plan->count && rc == 0; i++) {
        struct plan_node *node = &plan->nodes[i];
        const json_t *after =
            json_object_get(json_array_get(nodes, i), "after");
        /* In the plan's order: a join's first parent is its left side. */
        for (size_t k = 0; k < node->parent_count && rc == 0; k++) {
            uint32_t parent =
                (uint32_t)json_integer_value(json_array_get(after, k));
            if (seen[parent] == i + 1)
                rc = bad(why, "/nodes/%zu/after names %u twice", i, parent);
            seen[parent] = (uint32_t)i + 1;
            parents[k] = parent;
            *fill[parent]++ = (uint32_t)i;
        }
        node->parents = parents;
        parents += node->parent_count;
    }
    free(fill);
    free(seen);
    return rc;
}

/* -EINVAL when two nodes share an id: node states and DISPATCH_NODE would be
 * ambiguous. */
static int check_ids(const struct plan *plan, char why[PLAN_WHY_MAX])
{
    json_t *seen = json_object();
    int rc = seen ? 0 : -ENOMEM;

    for (size_t i = 0; i < plan->count && rc == 0; i++) {
        if (json_object_get(seen, plan->nodes[i].id))
            rc = bad(why, "/nodes/%zu/id \"%.80s\" is used twice", i,
                     plan->nodes[i].id);
        else if (json_object_set_new(seen, plan->nodes[i].id, json_true()) < 0)
            rc = -ENOMEM;
    }
    json_decref(seen);
    return rc;
}

int plan_read(const char *text, size_t bytes, struct plan **ret_plan,
              char why[PLAN_WHY_MAX])
{
    json_error_t error;
    int rc = 0;
    struct plan *plan = calloc(1, sizeof *plan);

    why[0] = '\0';
    if (!plan)
        return -ENOMEM;
    plan->root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &error);
    if (!plan->root) {
        rc = bad(why, "not JSON: line %d column %d: %.120s", error.line,
                 error.column, error.text);
        goto fail;
    }
    plan->name = json_string_value(json_object_get(plan->root, "name"));
    if (!plan->name)
        plan->name = "";
    json_int_t preview =
        json_integer_value(json_object_get(plan->root, "preview_rows"));
    plan->preview_rows = preview < 0                  ? 0
                         : preview > PLAN_PREVIEW_MAX ? PLAN_PREVIEW_MAX
                                                      : (uint32_t)preview;
    const json_t *nodes = json_object_get(plan->root, "nodes");
    plan->count = json_array_size(nodes);
    if (!json_is_array(nodes) || plan->count == 0 ||
        plan->count > PLAN_NODES_MAX) {
        rc =
            bad(why, "/nodes is not an array of 1 to %d nodes", PLAN_NODES_MAX);
        goto fail;
    }
    plan->nodes = calloc(plan->count, sizeof *plan->nodes);
    if (!plan->nodes) {
        rc = -ENOMEM;
        goto fail;
    }
    for (size_t i = 0; i < plan->count && rc == 0; i++)
        rc = read_node(json_array_get(nodes, i), i, &plan->nodes[i], why);
    if (rc == 0)
        rc = check_ids(plan, why);
    if (rc == 0)
        rc = read_links(plan, nodes, why);
    if (rc < 0)
        goto fail;
    *ret_plan = plan;
    return 0;
fail:
    plan_free(&plan);
    return rc;
}
