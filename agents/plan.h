/*
 * plan.h - what a run has to do, as the broker sent it: nodes in topological
 * order, each with the indices of its parents and its own configuration.
 *
 * The bytes come from outside and are checked here (sizes, types, parents
 * before children); what a node's kind and "config" mean is the executors'
 * (executor.h).
 *
 * Memory:  a plan owns everything it points to; plan_free() frees it at once.
 *          Strings are NUL-terminated UTF-8 and live as long as the plan.
 * Threads: none; pure.
 * Errors:  0 or a negative errno, and a sentence for people.
 */
#ifndef AGENTS_PLAN_H
#define AGENTS_PLAN_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PLAN_NODES_MAX = 10000,
    PLAN_LINKS_MAX = 200000,
    PLAN_NAME_MAX = 256, /* bytes of a node's id */
    PLAN_TIMEOUT_MAX_S = 366 * 86400,
    PLAN_WHY_MAX = 300,
    PLAN_PREVIEW_MAX = 100,
};

struct plan_node {
    const char *id, *kind, *label;
    const uint32_t *parents, *children; /* indices in plan->nodes; parents in
                                           the order the plan has them */
    size_t parent_count, child_count;
    int64_t timeout_ms; /* 0: none */
    json_t *config;     /* an object, borrowed from plan->root */
};

struct plan {
    json_t *root;
    const char *name;
    struct plan_node *nodes;
    size_t count;
    uint32_t *links;       /* behind parents and children */
    uint32_t preview_rows; /* of each data node; 0: none asked for */
};

/* Reads a plan. *ret_plan is the caller's. -EINVAL: why says what is wrong and
 * where. -ENOMEM. */
int plan_read(const char *text, size_t bytes, struct plan **ret_plan,
              char why[PLAN_WHY_MAX]);

/* Frees *plan_p and sets it to NULL. NULL in *plan_p is fine. */
void plan_free(struct plan **plan_p);

#endif
