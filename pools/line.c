/*
 * line.c - see line.h.
 *
 * Invariants: no class is empty; every queue is sorted by (order_ms, serial);
 * a queue's count is the length of its list (ledger_audit() compares it with
 * the runs).
 */
#include "pools/line.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

bool line_before(const struct waiter *a, const struct waiter *b)
{
    if (a->order_ms != b->order_ms)
        return a->order_ms < b->order_ms;
    return a->serial < b->serial;
}

static struct line_class *class_of(struct line *line, const struct need *need,
                                   uint32_t hop_mask)
{
    for (struct line_class *c = line->classes; c != NULL; c = c->next)
        if (c->need == need && c->hop_mask == hop_mask)
            return c;

    struct line_class *made = calloc(1, sizeof *made);
    if (made == NULL)
        return NULL;
    made->line = line;
    made->need = need;
    made->hop_mask = hop_mask;
    made->next = line->classes;
    line->classes = made;
    return made;
}

/* Links `waiter` behind `prev` (NULL: at the head). */
static void link_behind(struct line_queue *queue, struct waiter *prev,
                        struct waiter *waiter)
{
    waiter->prev = prev;
    waiter->next = prev != NULL ? prev->next : queue->head;
    if (waiter->next != NULL)
        waiter->next->prev = waiter;
    else
        queue->tail = waiter;
    if (prev != NULL)
        prev->next = waiter;
    else
        queue->head = waiter;
    queue->count++;
}

int line_add(struct line *line, struct waiter *waiter, const struct need *need,
             uint32_t hop_mask)
{
    assert(waiter->class == NULL);
    struct line_class *class = class_of(line, need, hop_mask);
    if (class == NULL)
        return -ENOMEM;

    /* New runs belong at the end, returned ones near the head: both searches
     * are short. */
    struct line_queue *queue = &class->queues[waiter->priority];
    struct waiter *prev = queue->tail;
    if (prev != NULL && line_before(waiter, prev)) {
        prev = NULL;
        for (struct waiter *w = queue->head; line_before(w, waiter);
             w = w->next)
            prev = w;
    }
    link_behind(queue, prev, waiter);
    waiter->class = class;
    return 0;
}

static bool is_empty(const struct line_class *class)
{
    for (int p = 0; p < PRIORITIES; p++)
        if (class->queues[p].head != NULL)
            return false;
    return true;
}

static void free_class(struct line_class *class)
{
    struct line_class **at = &class->line->classes;

    while (*at != class)
        at = &(*at)->next;
    *at = class->next;
    free(class);
}

void line_remove(struct waiter *waiter)
{
    struct line_class *class = waiter->class;

    if (class == NULL)
        return;
    struct line_queue *queue = &class->queues[waiter->priority];
    if (waiter->prev != NULL)
        waiter->prev->next = waiter->next;
    else
        queue->head = waiter->next;
    if (waiter->next != NULL)
        waiter->next->prev = waiter->prev;
    else
        queue->tail = waiter->prev;
    queue->count--;
    waiter->prev = waiter->next = NULL;
    waiter->class = NULL;
    if (is_empty(class))
        free_class(class);
}

struct waiter *line_first(const struct line_class *class)
{
    struct waiter *first = NULL;

    for (int p = 0; p < PRIORITIES; p++) {
        struct waiter *head = class->queues[p].head;
        if (head != NULL && (first == NULL || line_before(head, first)))
            first = head;
    }
    assert(first != NULL);
    return first;
}

uint32_t line_count(const struct line *line)
{
    uint32_t count = 0;

    for (const struct line_class *c = line->classes; c != NULL; c = c->next)
        for (int p = 0; p < PRIORITIES; p++)
            count += c->queues[p].count;
    return count;
}

uint32_t line_ahead(const struct waiter *waiter, uint32_t most)
{
    uint32_t ahead = 0;

    for (const struct line_class *c = waiter->class->line->classes; c != NULL;
         c = c->next) {
        for (int p = 0; p < PRIORITIES; p++) {
            for (const struct waiter *w = c->queues[p].head;
                 w != NULL && line_before(w, waiter); w = w->next) {
                if (ahead == most)
                    return ahead;
                ahead++;
            }
        }
    }
    return ahead;
}
