/*
 * retry.h - after a failed attempt: when to try again, or give up. Pure.
 * Delay: exponential from the base, doubled each time, capped, with "equal
 * jitter" (half fixed, half random) so that a herd of failures spreads out
 * (M. Brooker, "Exponential Backoff And Jitter", 2015).
 */
#ifndef POLICY_RETRY_H
#define POLICY_RETRY_H

#include <stdbool.h>
#include <stdint.h>

enum on_lost { ON_LOST_AUTO, ON_LOST_RETRY, ON_LOST_FAIL };
const char *on_lost_name(enum on_lost rule); /* "auto", "retry", "fail" */

struct retry_rule {
    uint32_t retries; /* further attempts after a failed one */
    uint32_t base_ms; /* first delay; 0 takes the default, 1000 */
    uint32_t cap_ms;  /* 0 takes the default, 300000 */
    enum on_lost on_lost;
    bool repeatable; /* every node is */
};

/* After the attempt-th failure (1, 2, ...) counted in `failures`: true and a
 * delay, or false to give up. random is uniform over 64 bits. */
bool retry_after_failure(const struct retry_rule *rule, uint32_t failures,
                         uint64_t random, uint64_t *ret_delay_ms);

/* After the agent was lost for the `losses`-th time: queue again? auto means
 * once when repeatable, else never; retry means up to 3 times. */
bool retry_after_loss(const struct retry_rule *rule, uint32_t losses);

#endif
