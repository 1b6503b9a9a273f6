/* retry.c - see retry.h */
#include "policy/retry.h"

#include <assert.h>
#include <stddef.h>

enum {
    BASE_MS_DEFAULT = 1000,
    CAP_MS_DEFAULT = 300000,
    LOSSES_AUTO_MAX = 1,
    LOSSES_RETRY_MAX = 3,
};

const char *on_lost_name(enum on_lost rule)
{
    switch (rule) {
    case ON_LOST_AUTO:
        return "auto";
    case ON_LOST_RETRY:
        return "retry";
    case ON_LOST_FAIL:
        return "fail";
    }
    return "auto";
}

bool retry_after_failure(const struct retry_rule *rule, uint32_t failures,
                         uint64_t random, uint64_t *ret_delay_ms)
{
    assert(failures > 0);
    if (failures > rule->retries)
        return false;

    uint64_t cap = rule->cap_ms != 0 ? rule->cap_ms : CAP_MS_DEFAULT;
    uint64_t delay = rule->base_ms != 0 ? rule->base_ms : BASE_MS_DEFAULT;
    /* base and cap are below 2^32, so doubling until the cap is reached takes
     * at most 32 rounds and cannot overflow, however many the failures. */
    for (uint32_t i = 1; i < failures && delay < cap; i++)
        delay *= 2;
    if (delay > cap)
        delay = cap;

    uint64_t jitter = delay / 2;
    *ret_delay_ms = delay - jitter + random % (jitter + 1);
    return true;
}

bool retry_after_loss(const struct retry_rule *rule, uint32_t losses)
{
    assert(losses > 0);
    switch (rule->on_lost) {
    case ON_LOST_AUTO:
        return rule->repeatable && losses <= LOSSES_AUTO_MAX;
    case ON_LOST_RETRY:
        return losses <= LOSSES_RETRY_MAX;
    case ON_LOST_FAIL:
        return false;
    }
    return false;
}
