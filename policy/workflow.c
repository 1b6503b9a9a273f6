/*
 * workflow.c - the arena, the problems, and what a workflow asks of an agent.
 * The graph is in workflow_graph.c, the kinds and engines in workflow_kinds.c.
 */
#include "policy/workflow.h"
#include "policy/text.h"

#include <assert.h>
#include <errno.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct workflow_limits workflow_limits_default = {
    .nodes_max = WORKFLOW_NODES_MAX,
    .edges_max = WORKFLOW_EDGES_MAX,
};

/* ---- arena ----------------------------------------------------------- */

enum { BLOCK_BYTES = 16 * 1024 };

/* Blocks are only ever added in front and filled from the start; bytes are
 * handed out once, so what calloc() zeroed is still zero. */
struct block {
    struct block *next;
    size_t used, size;
    alignas(max_align_t) char bytes[];
};

struct workflow_arena {
    struct block *blocks;
};

struct workflow *workflow_new(void)
{
    struct workflow *wf = calloc(1, sizeof *wf);
    if (wf == NULL)
        return NULL;
    wf->size_bytes = -1;
    wf->arena = calloc(1, sizeof *wf->arena);
    if (wf->arena == NULL)
        workflow_free(&wf);
    return wf;
}

void workflow_free(struct workflow **wf_p)
{
    struct workflow *wf = *wf_p;
    if (wf == NULL)
        return;
    for (struct block *block = wf->arena ? wf->arena->blocks : NULL;
         block != NULL;) {
        struct block *next = block->next;
        free(block);
        block = next;
    }
    free(wf->arena);
    free(wf);
    *wf_p = NULL;
}

void *workflow_alloc(struct workflow *wf, size_t bytes)
{
    const size_t align = alignof(max_align_t);
    if (bytes > SIZE_MAX / 2)
        return NULL;
    bytes = (bytes + align - 1) / align * align;

    struct block *block = wf->arena->blocks;
    if (block == NULL || block->size - block->used < bytes) {
        size_t size = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
        block = calloc(1, sizeof *block + size);
        if (block == NULL)
            return NULL;
        block->size = size;
        block->next = wf->arena->blocks;
        wf->arena->blocks = block;
    }
    void *memory = block->bytes + block->used;
    block->used += bytes;
    return memory;
}

char *workflow_strdup(struct workflow *wf, const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = workflow_alloc(wf, bytes);
    return copy == NULL ? NULL : memcpy(copy, text, bytes);
}

const char *workflow_shape_name(enum workflow_shape shape)
{
    switch (shape) {
    case SHAPE_NEUTRAL:
        return "neutral";
    case SHAPE_REACT_FLOW:
        return "react_flow";
    case SHAPE_CONNECTION_V1:
        return "connectionInformation_v1";
    }
    return "neutral";
}

/* ---- problems -------------------------------------------------------- */

/* Details quote what a stranger wrote and are read on terminals: bytes that are
 * not UTF-8 are dropped (a cut may have made them), control characters become
 * question marks. In place; the text only gets shorter. */
static void scrub(char *text)
{
    size_t bytes = strlen(text);
    size_t kept = 0;
    for (size_t i = 0; i < bytes;) {
        size_t len = text_utf8_len(text + i, bytes - i);
        unsigned char lead = (unsigned char)text[i];
        bool control = lead < 0x20 || lead == 0x7f ||
                       (lead == 0xc2 && (unsigned char)text[i + 1] < 0xa0);
        if (len == 0) {
            i++;
        } else if (control) {
            text[kept++] = '?';
            i += len;
        } else {
            memmove(text + kept, text + i, len);
            kept += len;
            i += len;
        }
    }
    text[kept] = '\0';
}

/* A pointer that is too long is cut between two steps: it then leads to a value
 * around the offending one. */
static char *bounded_pointer(const char *pointer)
{
    size_t bytes = strlen(pointer);
    if (bytes > PROBLEM_POINTER_MAX) {
        bytes = PROBLEM_POINTER_MAX;
        while (bytes > 0 && pointer[bytes] != '/')
            bytes--;
    }
    return strndup(pointer, bytes);
}

void problems_add(struct problems *problems, const char *pointer,
                  const char *code, const char *detail_fmt, ...)
{
    char detail[PROBLEM_DETAIL_MAX];

    if (problems->items == NULL && problems->count == 0)
        problems->items = calloc(PROBLEMS_MAX, sizeof *problems->items);
    if (problems->items == NULL || problems->count == PROBLEMS_MAX) {
        problems->dropped++;
        return;
    }
    va_list args;
    va_start(args, detail_fmt);
    if (vsnprintf(detail, sizeof detail, detail_fmt, args) < 0)
        detail[0] = '\0';
    va_end(args);
    scrub(detail);

    struct problem problem = {.pointer = bounded_pointer(pointer),
                              .code = strdup(code),
                              .detail = strdup(detail)};
    if (problem.pointer == NULL || problem.code == NULL ||
        problem.detail == NULL) {
        free(problem.pointer);
        free(problem.code);
        free(problem.detail);
        problems->dropped++;
        return;
    }
    problems->items[problems->count++] = problem;
}

bool problems_any(const struct problems *problems)
{
    return problems->count + problems->dropped > 0;
}

void problems_clear(struct problems *problems)
{
    for (size_t i = 0; i < problems->count; i++) {
        free(problems->items[i].pointer);
        free(problems->items[i].code);
        free(problems->items[i].detail);
    }
    free(problems->items);
    *problems = (struct problems){0};
}

/* ---- what an agent must be able to do -------------------------------- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const char *prefixed(struct workflow *wf, const char *prefix,
                            const char *name)
{
    size_t bytes = strlen(prefix) + strlen(name) + 1;
    char *text = workflow_alloc(wf, bytes);
    if (text != NULL)
        snprintf(text, bytes, "%s%s", prefix, name);
    return text;
}

int workflow_requires(struct workflow *wf, const char *const **ret_names,
                      size_t *ret_count)
{
    size_t kind_count;
    const struct node_kind *kinds = node_kinds(&kind_count);
    /* A name for every kind at most, and two for every node: its engine and
     * its connection. */
    const char **names =
        workflow_alloc(wf, (kind_count + 2 * wf->node_count) * sizeof *names);
    bool *seen = workflow_alloc(wf, kind_count * sizeof *seen);
    size_t count = 0;

    if (names == NULL || seen == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < wf->node_count; i++) {
        const struct node *node = &wf->nodes[i];
        size_t kind = (size_t)(node->kind - kinds);
        assert(kind < kind_count);
        if (!seen[kind]) {
            seen[kind] = true;
            names[count] = prefixed(wf, "kind:", node->kind->name);
            if (names[count++] == NULL)
                return -ENOMEM;
        }
        if (node->engine != NULL && !engine_is_built_in(node->engine)) {
            names[count] = prefixed(wf, "engine:", node->engine);
            if (names[count++] == NULL)
                return -ENOMEM;
        }
        if (node->connection != NULL) {
            names[count] = prefixed(wf, "connection:", node->connection);
            if (names[count++] == NULL)
                return -ENOMEM;
        }
    }
    if (count > 0)
        qsort(names, count, sizeof *names, by_text);
    size_t unique = 0;
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || strcmp(names[i], names[unique - 1]) != 0)
            names[unique++] = names[i];
    }
    *ret_names = names;
    *ret_count = unique;
    return 0;
}

bool workflow_repeatable(const struct workflow *wf)
{
    for (size_t i = 0; i < wf->node_count; i++) {
        if (!wf->nodes[i].repeatable)
            return false;
    }
    return true;
}
