/*
 * timer.h - many deadlines, the earliest first: a binary heap of timers that
 * live inside what they time, so that setting, moving and clearing one costs
 * O(log n) and no search.
 *
 * Memory:  the heap grows with timers_set(); timers themselves are the
 *          caller's and must be cleared before their memory goes.
 * Threads: none.  Time: whatever clock the caller uses, in milliseconds.
 */
#ifndef POOLS_TIMER_H
#define POOLS_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct timer {
    uint64_t due_ms;
    size_t place; /* in the heap, from 1; 0: not set */
    int kind;     /* the caller's: what it is embedded in */
};

struct timers {
    struct timer **heap; /* heap[1] is the earliest */
    size_t count, room;
};

/* Sets or moves. -ENOMEM (only when it was not set). */
int timers_set(struct timers *timers, struct timer *timer, uint64_t due_ms);
/* Clearing one that is not set is fine. */
void timers_clear(struct timers *timers, struct timer *timer);
/* The earliest, or NULL. */
struct timer *timers_first(const struct timers *timers);
bool timer_is_set(const struct timer *timer);
/* Frees the heap, not the timers. */
void timers_free(struct timers *timers);

#endif
