/*
 * line.h - a pool's waiting line: the runs that want it, in the order they are
 * to start, kept so that runs which cannot start hide none that can.
 *
 * A line is a few classes; a class holds the runs that are alike for routing:
 * same needs, same pools they may fall back to. If the first run of a class
 * cannot start for lack of an agent or a pool, none of its class can, and the
 * whole class is passed over in one step. Within a class there is one queue a
 * priority; the order number settles who is first among their heads.
 *
 * Order: order_ms = arrival + priority x ageing. So a low run is overtaken only
 * by normal ones that arrive at most `ageing` later: bounded ageing without a
 * timer.
 *
 * Memory:  waiters live in the runs; classes are made and freed here.
 * Threads: none.
 */
#ifndef POOLS_LINE_H
#define POOLS_LINE_H

#include "policy/route.h"
#include "pools/run.h"

struct need; /* what an agent must be able to do; compared by address */
struct line_class;

struct waiter {
    struct waiter *prev, *next;
    struct line_class *class; /* NULL: not in a line */
    int64_t order_ms;
    uint64_t serial; /* ties: who was submitted first */
    enum run_priority priority;
};

struct line_queue {
    struct waiter *head, *tail;
    uint32_t count;
};

struct line_class {
    struct line_class *next; /* in the line */
    struct line *line;
    const struct need *need;
    uint32_t hop_mask; /* bit i: fallback i of the pool is possible; i < 31 */
    struct line_queue queues[PRIORITIES];
};

struct line {
    struct line_class *classes;
};

/* Puts a waiter where its order says: at the end when it is the latest, near
 * the head when it returns. -ENOMEM. */
int line_add(struct line *line, struct waiter *waiter, const struct need *need,
             uint32_t hop_mask);
/* Takes it out; a class that is empty then is freed. Not in a line: fine. */
void line_remove(struct waiter *waiter);
/* The first waiter of a class over all priorities. Never NULL: classes are not
 * empty. */
struct waiter *line_first(const struct line_class *class);
/* Is a before b? */
bool line_before(const struct waiter *a, const struct waiter *b);
uint32_t line_count(const struct line *line);
/* Waiters in the line before this one, at most `most`. */
uint32_t line_ahead(const struct waiter *waiter, uint32_t most);

#endif
