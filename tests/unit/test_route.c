/* Tests of policy/route: one pool's verdict, the whole decision, the words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "policy/route.h"

#include <string.h>

#define GIB ((int64_t)1 << 30)

/* default -> etl (after 2 s) -> high-memory (2 free slots, below 1 GiB) */
static struct route_request request;
static struct pool_view views[3];

static int set_up(void **state)
{
    (void)state;
    request = (struct route_request){
        .hops = {{.pool = 0, .size_below = -1},
                 {.pool = 1, .after_ms = 2000, .size_below = -1},
                 {.pool = 2, .size_below = GIB, .free_at_least = 2}},
        .hop_count = 3,
        .size_bytes = 1000,
    };
    const char *const names[] = {"default", "etl", "high-memory"};
    const uint32_t limits[] = {5, 3, 2};
    for (int i = 0; i < 3; i++)
        views[i] = (struct pool_view){
            .name = names[i],
            .limit = limits[i],
            .max_size = -1,
            .agents = 1,
            .agents_healthy = 1,
            .agents_capable = 1,
            .slots_free = limits[i],
        };
    return 0;
}

static void fill(int pool)
{
    views[pool].used = views[pool].limit;
    views[pool].slots_free = 0;
}

static void expect_wanted(enum route_verdict verdict, enum wait_reason reason,
                          const char *why)
{
    struct decision decision;
    assert_int_equal(route_check(&request, 0, &views[0]), verdict);
    request.fallback_forbidden = true;
    route_decide(&request, views, &decision);
    assert_int_equal(decision.candidates[0].verdict, verdict);
    assert_int_equal(decision.reason, reason);
    assert_int_equal(decision.chosen, verdict == ROUTE_TAKE ? 0 : -1);
    assert_string_equal(decision.candidates[0].why, why);
    request.fallback_forbidden = false;
}

static void an_open_pool_with_a_free_slot_takes_the_run(void **state)
{
    (void)state;
    views[0].used = 4;
    expect_wanted(ROUTE_TAKE, WAIT_NONE, "4 of 5 slots in use");
}

static void a_full_pool_does_not(void **state)
{
    (void)state;
    views[0].used = 5;
    expect_wanted(ROUTE_FULL, WAIT_POOL_FULL, "5 of 5 slots in use");
}

static void a_limit_lowered_below_use_is_full(void **state)
{
    (void)state;
    views[0].used = 5;
    views[0].limit = 3;
    expect_wanted(ROUTE_FULL, WAIT_POOL_FULL, "5 of 3 slots in use");
}

static void a_pool_without_slots_is_full(void **state)
{
    (void)state;
    views[0].limit = 0;
    expect_wanted(ROUTE_FULL, WAIT_POOL_FULL, "0 of 0 slots in use");
}

static void paused_and_draining_pools_start_nothing(void **state)
{
    (void)state;
    views[0].state = POOL_PAUSED;
    expect_wanted(ROUTE_PAUSED, WAIT_POOL_PAUSED, "paused");
    views[0].state = POOL_DRAINING;
    expect_wanted(ROUTE_DRAINING, WAIT_POOL_DRAINING, "draining");
}

static void a_closed_pool_still_starts_what_waits(void **state)
{
    (void)state;
    views[0].state = POOL_CLOSED;
    expect_wanted(ROUTE_TAKE, WAIT_NONE, "0 of 5 slots in use");
}

static void agents_may_be_missing_unwell_unable_or_busy(void **state)
{
    (void)state;
    views[0].used = 1;
    views[0].slots_free = 0;
    expect_wanted(ROUTE_AGENTS_BUSY, WAIT_AGENTS_BUSY,
                  "1 of 5 slots in use, but none is free on 1 capable agent");
    views[0].agents_capable = 0;
    expect_wanted(ROUTE_NOT_CAPABLE, WAIT_NO_CAPABLE_AGENT,
                  "none of 1 healthy agent can execute every node");
    views[0].agents = 2;
    views[0].agents_healthy = 0;
    expect_wanted(ROUTE_UNHEALTHY, WAIT_AGENTS_UNHEALTHY,
                  "2 agents, all lost, paused or draining");
    views[0].agents = 0;
    expect_wanted(ROUTE_NO_AGENT, WAIT_NO_AGENT, "no agent serves this pool");
}

static void what_lasts_is_named_before_what_passes(void **state)
{
    (void)state;
    fill(0);
    views[0].agents_capable = 0;
    assert_int_equal(route_check(&request, 0, &views[0]), ROUTE_NOT_CAPABLE);
    views[0].state = POOL_PAUSED;
    assert_int_equal(route_check(&request, 0, &views[0]), ROUTE_PAUSED);
    views[0].max_size = 999;
    assert_int_equal(route_check(&request, 0, &views[0]), ROUTE_TOO_BIG);
}

static void
a_run_too_big_for_its_pool_waits_for_the_fallback_that_fits(void **state)
{
    struct decision decision;

    (void)state;
    request.size_bytes = 3 * GIB;
    views[0].max_size = views[1].max_size = GIB;
    request.hops[2] = (struct route_hop){.pool = 2, .size_below = -1};
    fill(2);
    route_decide(&request, views, &decision);
    assert_int_equal(decision.candidates[0].verdict, ROUTE_TOO_BIG);
    assert_int_equal(decision.reason, WAIT_POOL_FULL);
    views[2].max_size = GIB;
    route_decide(&request, views, &decision);
    assert_int_equal(decision.reason, WAIT_TOO_BIG);
}

static void a_ceiling_admits_its_own_size_and_nothing_over(void **state)
{
    (void)state;
    views[0].max_size = GIB;
    request.size_bytes = GIB;
    expect_wanted(ROUTE_TAKE, WAIT_NONE, "0 of 5 slots in use");
    request.size_bytes = GIB + 1;
    expect_wanted(ROUTE_TOO_BIG, WAIT_TOO_BIG,
                  "size 1073741825 bytes is over this pool's ceiling of "
                  "1073741824 bytes");
    request.size_bytes = 3 * GIB;
    expect_wanted(ROUTE_TOO_BIG, WAIT_TOO_BIG,
                  "size 3.0 GiB is over this pool's ceiling of 1.0 GiB");
    request.size_bytes = -1;
    expect_wanted(ROUTE_TAKE, WAIT_NONE, "0 of 5 slots in use");
}

static void a_fallback_opens_after_its_time(void **state)
{
    struct decision decision;
    (void)state;
    fill(0);
    fill(2);
    request.waited_ms = 400;
    route_decide(&request, views, &decision);
    assert_int_equal(decision.chosen, -1);
    assert_int_equal(decision.reason, WAIT_POOL_FULL);
    assert_int_equal(decision.look_again_ms, 1600);
    assert_string_equal(decision.candidates[1].why,
                        "only after 2.0 s of waiting (waited 0.4 s)");
    request.waited_ms = 2000;
    route_decide(&request, views, &decision);
    assert_int_equal(decision.chosen, 1);
    assert_int_equal(decision.look_again_ms, 0);
}

static void a_full_fallback_still_says_when_to_look_again(void **state)
{
    struct decision decision;
    (void)state;
    for (int i = 0; i < 3; i++)
        fill(i);
    request.waited_ms = 500;
    route_decide(&request, views, &decision);
    assert_int_equal(decision.candidates[1].verdict, ROUTE_FULL);
    assert_int_equal(decision.look_again_ms, 1500);
}

static void a_size_guard_wants_a_known_and_smaller_size(void **state)
{
    (void)state;
    request.size_bytes = GIB - 1;
    assert_int_equal(route_check(&request, 2, &views[2]), ROUTE_TAKE);
    request.size_bytes = GIB;
    assert_int_equal(route_check(&request, 2, &views[2]), ROUTE_SIZE_GUARD);
    request.size_bytes = -1;
    assert_int_equal(route_check(&request, 2, &views[2]), ROUTE_SIZE_UNKNOWN);
}

static void a_free_guard_counts_slots_before_the_run(void **state)
{
    struct decision decision;
    (void)state;
    fill(0);
    views[2].used = 1;
    route_decide(&request, views, &decision);
    assert_int_equal(decision.candidates[2].verdict, ROUTE_TOO_LITTLE_FREE);
    assert_string_equal(decision.candidates[2].why,
                        "only while at least 2 slots are free (1 of 2 are)");
    views[2].used = 0;
    route_decide(&request, views, &decision);
    assert_int_equal(decision.chosen, 2);
}

static void guards_do_not_apply_to_the_wanted_pool(void **state)
{
    (void)state;
    request.hops[0] = (struct route_hop){
        .after_ms = 1000, .size_below = 1, .free_at_least = 99};
    assert_int_equal(route_check(&request, 0, &views[0]), ROUTE_TAKE);
}

static void
the_first_that_can_takes_it_and_the_rest_are_not_reached(void **state)
{
    struct decision decision;
    (void)state;
    fill(0);
    request.waited_ms = 5000;
    route_decide(&request, views, &decision);
    assert_int_equal(decision.chosen, 1);
    assert_int_equal(decision.reason, WAIT_NONE);
    assert_int_equal(decision.candidate_count, 3);
    assert_string_equal(decision.candidates[1].pool, "etl");
    assert_int_equal(decision.candidates[2].verdict, ROUTE_NOT_REACHED);
    assert_int_equal(decision.candidates[0].used, 5);
    assert_int_equal(decision.candidates[0].limit, 5);
}

static void a_forbidden_fallback_does_not_hide_the_reason(void **state)
{
    struct decision decision;
    (void)state;
    views[0].state = POOL_PAUSED;
    request.fallback_forbidden = true;
    request.waited_ms = 5000;
    route_decide(&request, views, &decision);
    assert_int_equal(decision.chosen, -1);
    assert_int_equal(decision.reason, WAIT_POOL_PAUSED);
    assert_int_equal(decision.candidates[1].verdict, ROUTE_FORBIDDEN);
    assert_int_equal(decision.look_again_ms, 0);
}

static void impossible_hops_are_known_without_loads(void **state)
{
    const struct route_hop plain = {.size_below = -1, .after_ms = 9000};
    const struct route_hop small = {.size_below = GIB};
    (void)state;
    assert_true(route_possible(&plain, false, -1, 5 * GIB, false));
    assert_true(route_possible(&plain, false, GIB, -1, false));
    assert_false(route_possible(&plain, false, GIB, 5 * GIB, false));
    assert_false(route_possible(&plain, true, GIB, 5 * GIB, false));
    assert_false(route_possible(&plain, false, -1, 1, true));
    assert_true(route_possible(&plain, true, -1, 1, true));
    assert_false(route_possible(&small, false, -1, -1, false));
    assert_false(route_possible(&small, false, -1, GIB, false));
    assert_true(route_possible(&small, false, -1, GIB - 1, false));
}

static void a_long_pool_name_is_cut(void **state)
{
    static char name[200];
    struct decision decision;
    (void)state;
    memset(name, 'p', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    views[0].name = name;
    route_decide(&request, views, &decision);
    assert_int_equal(strlen(decision.candidates[0].pool), POOL_NAME_MAX - 1);
}

static void every_word_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int i = 0; i < WAIT_REASONS; i++) {
        assert_non_null(wait_reason_name((enum wait_reason)i));
        assert_true(strlen(wait_reason_text((enum wait_reason)i)) > 10);
        assert_non_null(
            wait_verdict_name(wait_reason_verdict((enum wait_reason)i)));
        for (int j = 0; j < i; j++)
            assert_string_not_equal(wait_reason_name((enum wait_reason)i),
                                    wait_reason_name((enum wait_reason)j));
    }
    for (int i = 0; i <= ROUTE_NOT_REACHED; i++) {
        assert_non_null(route_verdict_name((enum route_verdict)i));
        for (int j = 0; j < i; j++)
            assert_string_not_equal(route_verdict_name((enum route_verdict)i),
                                    route_verdict_name((enum route_verdict)j));
    }
    assert_string_equal(wait_reason_name(WAIT_POOL_FULL), "POOL_FULL");
    assert_string_equal(pool_state_name(POOL_OPEN), "open");
    assert_string_equal(pool_state_name(POOL_PAUSED), "paused");
    assert_string_equal(pool_state_name(POOL_DRAINING), "draining");
    assert_string_equal(pool_state_name(POOL_CLOSED), "closed");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, set_up)
    const struct CMUnitTest tests[] = {
        TEST(an_open_pool_with_a_free_slot_takes_the_run),
        TEST(a_full_pool_does_not),
        TEST(a_limit_lowered_below_use_is_full),
        TEST(a_pool_without_slots_is_full),
        TEST(paused_and_draining_pools_start_nothing),
        TEST(a_closed_pool_still_starts_what_waits),
        TEST(agents_may_be_missing_unwell_unable_or_busy),
        TEST(what_lasts_is_named_before_what_passes),
        TEST(a_run_too_big_for_its_pool_waits_for_the_fallback_that_fits),
        TEST(a_ceiling_admits_its_own_size_and_nothing_over),
        TEST(a_fallback_opens_after_its_time),
        TEST(a_full_fallback_still_says_when_to_look_again),
        TEST(a_size_guard_wants_a_known_and_smaller_size),
        TEST(a_free_guard_counts_slots_before_the_run),
        TEST(guards_do_not_apply_to_the_wanted_pool),
        TEST(the_first_that_can_takes_it_and_the_rest_are_not_reached),
        TEST(a_forbidden_fallback_does_not_hide_the_reason),
        TEST(impossible_hops_are_known_without_loads),
        TEST(a_long_pool_name_is_cut),
        TEST(every_word_has_a_name_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
