/* Tests of policy/retry: when a failed or lost attempt is tried again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "policy/retry.h"

static uint64_t delay(const struct retry_rule *rule, uint32_t failures,
                      uint64_t random)
{
    uint64_t ms = UINT64_MAX;
    assert_true(retry_after_failure(rule, failures, random, &ms));
    return ms;
}

static void without_retries_a_failure_is_final(void **state)
{
    const struct retry_rule rule = {.retries = 0};
    uint64_t ms = 7;
    (void)state;
    assert_false(retry_after_failure(&rule, 1, 0, &ms));
    assert_int_equal(ms, 7);
}

static void as_many_attempts_follow_as_the_rule_has_retries(void **state)
{
    const struct retry_rule rule = {.retries = 2};
    uint64_t ms;
    (void)state;
    assert_true(retry_after_failure(&rule, 1, 0, &ms));
    assert_true(retry_after_failure(&rule, 2, 0, &ms));
    assert_false(retry_after_failure(&rule, 3, 0, &ms));
}

static void the_delay_doubles_from_the_base(void **state)
{
    const struct retry_rule rule = {
        .retries = 9, .base_ms = 100, .cap_ms = 100000};
    (void)state;
    /* Random 0 gives the fixed half. */
    assert_int_equal(delay(&rule, 1, 0), 50);
    assert_int_equal(delay(&rule, 2, 0), 100);
    assert_int_equal(delay(&rule, 3, 0), 200);
    assert_int_equal(delay(&rule, 4, 0), 400);
}

static void the_delay_stays_between_half_and_whole(void **state)
{
    const struct retry_rule rule = {
        .retries = 9, .base_ms = 1001, .cap_ms = 100000};
    uint64_t random = 88172645463325252u;
    uint64_t low = UINT64_MAX;
    uint64_t high = 0;
    (void)state;
    for (int i = 0; i < 100000; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        uint64_t ms = delay(&rule, 1, random);
        low = ms < low ? ms : low;
        high = ms > high ? ms : high;
    }
    assert_int_equal(low, 501);
    assert_int_equal(high, 1001);
}

static void the_delay_never_exceeds_the_cap(void **state)
{
    const struct retry_rule rule = {
        .retries = UINT32_MAX, .base_ms = 3, .cap_ms = UINT32_MAX};
    const struct retry_rule odd = {.retries = 1, .base_ms = 50, .cap_ms = 10};
    (void)state;
    assert_true(delay(&rule, 40, UINT64_MAX) <= UINT32_MAX);
    assert_true(delay(&rule, UINT32_MAX, UINT64_MAX) <= UINT32_MAX);
    assert_true(delay(&odd, 1, 5) <= 10);
}

static void zeros_take_the_defaults(void **state)
{
    const struct retry_rule rule = {.retries = 100};
    (void)state;
    assert_int_equal(delay(&rule, 1, 0), 500);
    assert_int_equal(delay(&rule, 100, 0), 150000);
}

static void auto_repeats_a_lost_run_once_when_it_is_repeatable(void **state)
{
    struct retry_rule rule = {.on_lost = ON_LOST_AUTO, .repeatable = true};
    (void)state;
    assert_true(retry_after_loss(&rule, 1));
    assert_false(retry_after_loss(&rule, 2));
    rule.repeatable = false;
    assert_false(retry_after_loss(&rule, 1));
}

static void retry_repeats_a_lost_run_three_times(void **state)
{
    const struct retry_rule rule = {.on_lost = ON_LOST_RETRY};
    (void)state;
    assert_true(retry_after_loss(&rule, 3));
    assert_false(retry_after_loss(&rule, 4));
}

static void fail_never_repeats_a_lost_run(void **state)
{
    const struct retry_rule rule = {
        .on_lost = ON_LOST_FAIL, .retries = 9, .repeatable = true};
    (void)state;
    assert_false(retry_after_loss(&rule, 1));
}

static void rules_for_losses_have_names(void **state)
{
    (void)state;
    assert_string_equal(on_lost_name(ON_LOST_AUTO), "auto");
    assert_string_equal(on_lost_name(ON_LOST_RETRY), "retry");
    assert_string_equal(on_lost_name(ON_LOST_FAIL), "fail");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_retries_a_failure_is_final),
        cmocka_unit_test(as_many_attempts_follow_as_the_rule_has_retries),
        cmocka_unit_test(the_delay_doubles_from_the_base),
        cmocka_unit_test(the_delay_stays_between_half_and_whole),
        cmocka_unit_test(the_delay_never_exceeds_the_cap),
        cmocka_unit_test(zeros_take_the_defaults),
        cmocka_unit_test(auto_repeats_a_lost_run_once_when_it_is_repeatable),
        cmocka_unit_test(retry_repeats_a_lost_run_three_times),
        cmocka_unit_test(fail_never_repeats_a_lost_run),
        cmocka_unit_test(rules_for_losses_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
