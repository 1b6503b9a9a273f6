/* test_timer.c - the earliest deadline is first, whatever was set and cleared.
 */
#include "pools/timer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void nothing_is_due_when_nothing_is_set(void **state)
{
    struct timers timers = {0};
    struct timer timer = {0};

    (void)state;
    assert_null(timers_first(&timers));
    assert_false(timer_is_set(&timer));
    timers_clear(&timers, &timer);
    assert_null(timers_first(&timers));
    timers_free(&timers);
}

static void the_earliest_is_first(void **state)
{
    struct timers timers = {0};
    struct timer t[3] = {0};

    (void)state;
    assert_int_equal(timers_set(&timers, &t[0], 30), 0);
    assert_int_equal(timers_set(&timers, &t[1], 10), 0);
    assert_int_equal(timers_set(&timers, &t[2], 20), 0);
    for (int i = 0; i < 3; i++) {
        struct timer *first = timers_first(&timers);
        assert_int_equal(first->due_ms, 10 * (i + 1));
        assert_true(timer_is_set(first));
        timers_clear(&timers, first);
        assert_false(timer_is_set(first));
    }
    assert_null(timers_first(&timers));
    timers_free(&timers);
}

static void setting_again_moves(void **state)
{
    struct timers timers = {0};
    struct timer t[2] = {0};

    (void)state;
    assert_int_equal(timers_set(&timers, &t[0], 10), 0);
    assert_int_equal(timers_set(&timers, &t[1], 20), 0);
    assert_int_equal(timers_set(&timers, &t[0], 30), 0);
    assert_ptr_equal(timers_first(&timers), &t[1]);
    assert_int_equal(timers_set(&timers, &t[0], 5), 0);
    assert_ptr_equal(timers_first(&timers), &t[0]);
    assert_int_equal(timers.count, 2);
    timers_free(&timers);
}

static void the_last_moment_can_be_set(void **state)
{
    struct timers timers = {0};
    struct timer t[2] = {0};

    (void)state;
    assert_int_equal(timers_set(&timers, &t[0], UINT64_MAX), 0);
    assert_int_equal(timers_set(&timers, &t[1], 0), 0);
    assert_ptr_equal(timers_first(&timers), &t[1]);
    timers_free(&timers);
}

static uint32_t any(uint64_t *random, uint32_t below)
{
    *random = *random * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)(*random >> 33) % below;
}

/* Against a plain search, and every timer stays where it says it is. */
static void any_order_of_sets_and_clears_agrees_with_a_search(void **state)
{
    enum { TIMERS = 300, STEPS = 100000 };
    static struct timer t[TIMERS];
    struct timers timers = {0};
    uint64_t random = 7;

    (void)state;
    memset(t, 0, sizeof t);
    for (int step = 0; step < STEPS; step++) {
        struct timer *timer = &t[any(&random, TIMERS)];
        if (any(&random, 3) == 0)
            timers_clear(&timers, timer);
        else
            assert_int_equal(timers_set(&timers, timer, any(&random, 1000)), 0);

        const struct timer *least = NULL;
        size_t set = 0;
        for (int i = 0; i < TIMERS && step % 50 == 0; i++) {
            if (!timer_is_set(&t[i]))
                continue;
            set++;
            assert_ptr_equal(timers.heap[t[i].place], &t[i]);
            if (least == NULL || t[i].due_ms < least->due_ms)
                least = &t[i];
        }
        if (step % 50 == 0) {
            assert_int_equal(timers.count, set);
            assert_true((least == NULL) == (timers_first(&timers) == NULL));
            if (least != NULL)
                assert_int_equal(timers_first(&timers)->due_ms, least->due_ms);
        }
    }
    timers_free(&timers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_due_when_nothing_is_set),
        cmocka_unit_test(the_earliest_is_first),
        cmocka_unit_test(setting_again_moves),
        cmocka_unit_test(the_last_moment_can_be_set),
        cmocka_unit_test(any_order_of_sets_and_clears_agrees_with_a_search),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
