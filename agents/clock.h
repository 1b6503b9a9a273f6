/*
 * clock.h - the two clocks of the worker side.
 *
 * Deadlines are absolute milliseconds of CLOCK_BOOTTIME: it is the same in
 * every process of the machine (an agent hands a deadline to a shepherd, and a
 * restarted agent goes on with it), and it counts the time a laptop or a
 * virtual machine slept, during which a lease goes on lapsing. Wall-clock time
 * is for people only.
 */
#ifndef AGENTS_CLOCK_H
#define AGENTS_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t clock_ms_of(clockid_t which)
{
    struct timespec now = {0};

    clock_gettime(which, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline int64_t clock_boot_ms(void)
{
    return clock_ms_of(CLOCK_BOOTTIME);
}

static inline int64_t clock_unix_ms(void)
{
    return clock_ms_of(CLOCK_REALTIME);
}

#endif
