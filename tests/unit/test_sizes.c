/*
 * test_sizes.c - what agents have said of sources: asked once, kept for a
 * minute, believed only of who was asked, and never more than the limits.
 */
#include "dispatcher/sizes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NOW = 1000, AGENT = 7 };

static int set_up(void **state)
{
    return sizes_new(42, (struct sizes **)state);
}

static int tear_down(void **state)
{
    sizes_free((struct sizes **)state);
    return 0;
}

static struct size_key key(unsigned n)
{
    struct size_key key = {{0}};

    memcpy(key.b, &n, sizeof n);
    return key;
}

static enum size_state look(struct sizes *sizes, unsigned n, uint64_t now_ms,
                            int64_t *ret)
{
    struct size_key k = key(n);

    return sizes_look(sizes, &k, now_ms, ret);
}

static bool is_new(struct sizes *sizes, unsigned n, uint64_t now_ms)
{
    int64_t ignored;

    return look(sizes, n, now_ms, &ignored) == SIZE_IS_NEW;
}

/* INT64_MIN: not known. */
static int64_t known(struct sizes *sizes, unsigned n, uint64_t now_ms)
{
    int64_t bytes;

    return look(sizes, n, now_ms, &bytes) == SIZE_IS_KNOWN ? bytes : INT64_MIN;
}

/* A question about sources first .. first + count - 1, put to AGENT. */
static uint64_t asked(struct sizes *sizes, unsigned first, unsigned count,
                      uint64_t now_ms)
{
    uint64_t number = sizes_ask(sizes, now_ms);

    assert_int_not_equal(number, 0);
    for (unsigned i = 0; i < count; i++) {
        struct size_key k = key(first + i);
        assert_true(sizes_add(sizes, number, &k));
    }
    assert_true(sizes_sent(sizes, number, AGENT));
    return number;
}

static void a_source_is_new_then_asked_then_known(void **state)
{
    struct sizes *sizes = *state;
    const int64_t bytes[] = {500, 0};
    int64_t found;

    assert_true(is_new(sizes, 1, NOW));
    uint64_t number = asked(sizes, 1, 2, NOW);
    assert_int_equal(look(sizes, 1, NOW, &found), SIZE_IS_ASKED);
    assert_int_equal(found, number);
    assert_true(sizes_answer(sizes, number, AGENT, bytes, 2, NOW + 5));
    assert_int_equal(known(sizes, 1, NOW + 5), 500);
    assert_int_equal(known(sizes, 2, NOW + 5), 0);
    assert_true(is_new(sizes, 3, NOW + 5));
}

static void a_source_is_in_one_question_at_a_time(void **state)
{
    struct sizes *sizes = *state;
    struct size_key k = key(1);

    asked(sizes, 1, 1, NOW);
    assert_false(sizes_add(sizes, sizes_ask(sizes, NOW), &k));
}

static void what_an_agent_cannot_tell_is_kept_as_well(void **state)
{
    struct sizes *sizes = *state;
    const int64_t bytes[] = {-1};
    uint64_t number = asked(sizes, 1, 2, NOW);

    assert_true(sizes_answer(sizes, number, AGENT, bytes, 1, NOW));
    assert_int_equal(known(sizes, 1, NOW), -1);
    assert_int_equal(known(sizes, 2, NOW), -1); /* said nothing of it */
}

static void an_answer_is_kept_for_a_minute(void **state)
{
    struct sizes *sizes = *state;
    const int64_t bytes[] = {500};
    uint64_t number = asked(sizes, 1, 1, NOW);

    assert_true(sizes_answer(sizes, number, AGENT, bytes, 1, NOW + 100));
    assert_int_equal(known(sizes, 1, NOW + 100 + SIZES_KEEP_MS - 1), 500);
    assert_true(is_new(sizes, 1, NOW + 100 + SIZES_KEEP_MS));
}

static void only_who_was_asked_may_answer_and_once(void **state)
{
    struct sizes *sizes = *state;
    const int64_t bytes[] = {500};
    uint64_t number = asked(sizes, 1, 1, NOW);

    assert_false(sizes_answer(sizes, number, AGENT + 1, bytes, 1, NOW));
    assert_false(sizes_answer(sizes, number + 1, AGENT, bytes, 1, NOW));
    assert_int_equal(known(sizes, 1, NOW), INT64_MIN);
    assert_true(sizes_answer(sizes, number, AGENT, bytes, 1, NOW));
    assert_false(sizes_answer(sizes, number, AGENT, bytes, 1, NOW));
}

static void nobody_may_answer_before_somebody_was_asked(void **state)
{
    struct sizes *sizes = *state;
    const int64_t bytes[] = {500};
    uint64_t number = sizes_ask(sizes, NOW);
    struct size_key k = key(1);

    assert_true(sizes_add(sizes, number, &k));
    assert_false(sizes_answer(sizes, number, 0, bytes, 1, NOW));
    assert_false(sizes_answer(sizes, number, AGENT, bytes, 1, NOW));
}

static void where_nobody_can_answer_the_next_asks_again(void **state)
{
    struct sizes *sizes = *state;
    uint64_t number = asked(sizes, 1, 2, NOW), ms;

    assert_true(sizes_asked_ms(sizes, number, &ms));
    assert_int_equal(ms, NOW);
    assert_true(sizes_sent(sizes, number, 0));
    assert_true(is_new(sizes, 1, NOW));
    assert_false(sizes_asked_ms(sizes, number, &ms));
    assert_false(sizes_sent(sizes, number, AGENT));
    /* An agent without time. */
    number = asked(sizes, 1, 2, NOW);
    assert_true(sizes_answer(sizes, number, AGENT, NULL, 0, NOW));
    assert_true(is_new(sizes, 2, NOW));
}

static void a_question_without_an_answer_ends_after_a_minute(void **state)
{
    struct sizes *sizes = *state;
    uint64_t number = asked(sizes, 1, 1, NOW);
    const int64_t bytes[] = {500};

    assert_false(is_new(sizes, 1, NOW + SIZES_KEEP_MS - 1));
    assert_true(is_new(sizes, 1, NOW + SIZES_KEEP_MS));
    assert_false(
        sizes_answer(sizes, number, AGENT, bytes, 1, NOW + SIZES_KEEP_MS));
}

static void a_late_answer_is_of_use_to_the_next(void **state)
{
    struct sizes *sizes = *state;
    const int64_t bytes[] = {500};
    uint64_t number = asked(sizes, 1, 1, NOW);

    assert_true(sizes_answer(sizes, number, AGENT, bytes, 1, NOW + 30000));
    assert_int_equal(known(sizes, 1, NOW + SIZES_KEEP_MS + 1), 500);
}

static void a_question_has_so_many_sources_and_no_more(void **state)
{
    struct sizes *sizes = *state;
    uint64_t number = sizes_ask(sizes, NOW);
    struct size_key k;

    for (unsigned i = 0; i < SIZES_SOURCES_MAX; i++) {
        k = key(i);
        assert_true(sizes_add(sizes, number, &k));
    }
    k = key(SIZES_SOURCES_MAX);
    assert_false(sizes_add(sizes, number, &k));
    assert_true(is_new(sizes, SIZES_SOURCES_MAX, NOW));
}

static void so_many_questions_are_under_way_and_no_more(void **state)
{
    struct sizes *sizes = *state;
    uint64_t first = sizes_ask(sizes, NOW);

    for (unsigned i = 1; i < SIZES_QUESTIONS_MAX; i++)
        assert_int_not_equal(sizes_ask(sizes, NOW), 0);
    assert_int_equal(sizes_ask(sizes, NOW), 0);
    assert_true(sizes_sent(sizes, first, 0));
    assert_int_not_equal(sizes_ask(sizes, NOW), 0);
    assert_int_not_equal(sizes_ask(sizes, NOW + SIZES_KEEP_MS), 0);
}

static void the_oldest_goes_when_there_are_too_many(void **state)
{
    struct sizes *sizes = *state;
    int64_t bytes[SIZES_SOURCES_MAX] = {0};
    unsigned n = 0;

    while (n < SIZES_MAX + SIZES_SOURCES_MAX) {
        uint64_t number = asked(sizes, n, SIZES_SOURCES_MAX, NOW);
        assert_true(
            sizes_answer(sizes, number, AGENT, bytes, SIZES_SOURCES_MAX, NOW));
        n += SIZES_SOURCES_MAX;
    }
    size_t kept = 0;
    for (unsigned i = 0; i < n; i++)
        kept += !is_new(sizes, i, NOW);
    assert_int_equal(kept, SIZES_MAX);
    assert_true(is_new(sizes, 0, NOW));
    assert_false(is_new(sizes, n - 1, NOW));
}

#define claim(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        claim(a_source_is_new_then_asked_then_known),
        claim(a_source_is_in_one_question_at_a_time),
        claim(what_an_agent_cannot_tell_is_kept_as_well),
        claim(an_answer_is_kept_for_a_minute),
        claim(only_who_was_asked_may_answer_and_once),
        claim(nobody_may_answer_before_somebody_was_asked),
        claim(where_nobody_can_answer_the_next_asks_again),
        claim(a_question_without_an_answer_ends_after_a_minute),
        claim(a_late_answer_is_of_use_to_the_next),
        claim(a_question_has_so_many_sources_and_no_more),
        claim(so_many_questions_are_under_way_and_no_more),
        claim(the_oldest_goes_when_there_are_too_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
