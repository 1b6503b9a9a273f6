/*
 * timer.c - see timer.h.
 *
 * Invariants: heap[t->place] == t for every timer that is set, and no timer is
 * due before its parent heap[place / 2].
 */
#include "pools/timer.h"

#include <errno.h>
#include <stdlib.h>

static void put(struct timers *timers, size_t place, struct timer *timer)
{
    timers->heap[place] = timer;
    timer->place = place;
}

static void rise(struct timers *timers, struct timer *timer)
{
    size_t place = timer->place;

    while (place > 1 && timer->due_ms < timers->heap[place / 2]->due_ms) {
        put(timers, place, timers->heap[place / 2]);
        place /= 2;
    }
    put(timers, place, timer);
}

static void sink(struct timers *timers, struct timer *timer)
{
    size_t place = timer->place;

    for (;;) {
        size_t child = place * 2;
        if (child > timers->count)
            break;
        if (child < timers->count &&
            timers->heap[child + 1]->due_ms < timers->heap[child]->due_ms)
            child++;
        if (timers->heap[child]->due_ms >= timer->due_ms)
            break;
        put(timers, place, timers->heap[child]);
        place = child;
    }
    put(timers, place, timer);
}

int timers_set(struct timers *timers, struct timer *timer, uint64_t due_ms)
{
    if (timer->place == 0) {
        if (timers->count + 2 > timers->room) {
            size_t room = timers->room * 2 + 64;
            struct timer **grown =
                realloc(timers->heap, room * sizeof(struct timer *));
            if (grown == NULL)
                return -ENOMEM;
            timers->heap = grown;
            timers->room = room;
        }
        put(timers, ++timers->count, timer);
    }
    timer->due_ms = due_ms;
    rise(timers, timer);
    sink(timers, timer);
    return 0;
}

void timers_clear(struct timers *timers, struct timer *timer)
{
    size_t place = timer->place;

    if (place == 0)
        return;
    struct timer *last = timers->heap[timers->count--];
    timer->place = 0;
    if (last == timer)
        return;
    put(timers, place, last);
    rise(timers, last);
    sink(timers, last);
}

struct timer *timers_first(const struct timers *timers)
{
    return timers->count > 0 ? timers->heap[1] : NULL;
}

bool timer_is_set(const struct timer *timer)
{
    return timer->place != 0;
}

void timers_free(struct timers *timers)
{
    free(timers->heap);
    *timers = (struct timers){0};
}
