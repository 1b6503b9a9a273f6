/*
 * test_line.c - the waiting line: order within and between priorities, coming
 * back to the head, classes that hide nothing, places that are counted.
 */
#include "pools/line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A need is told apart by its address only. */
static const char some_need, other_need;
#define NEED ((const struct need *)(const void *)&some_need)
#define OTHER ((const struct need *)(const void *)&other_need)

static struct waiter waiter(int64_t order_ms, uint64_t serial,
                            enum run_priority priority)
{
    return (struct waiter){
        .order_ms = order_ms, .serial = serial, .priority = priority};
}

/* The first of the whole line, over all classes. */
static struct waiter *first_of(const struct line *line)
{
    struct waiter *first = NULL;

    for (const struct line_class *c = line->classes; c != NULL; c = c->next) {
        struct waiter *w = line_first(c);
        if (first == NULL || line_before(w, first))
            first = w;
    }
    return first;
}

static void an_empty_line_has_no_classes(void **state)
{
    struct line line = {0};
    struct waiter w = waiter(1, 1, PRIORITY_NORMAL);

    (void)state;
    assert_int_equal(line_count(&line), 0);
    line_remove(&w); /* not in a line: fine */
    assert_int_equal(line_add(&line, &w, NEED, 1), 0);
    assert_int_equal(line_count(&line), 1);
    assert_ptr_equal(line_first(line.classes), &w);
    line_remove(&w);
    assert_null(line.classes);
    assert_null(w.class);
}

static void those_who_came_first_are_first(void **state)
{
    struct line line = {0};
    struct waiter w[3] = {waiter(10, 1, PRIORITY_NORMAL),
                          waiter(10, 2, PRIORITY_NORMAL),
                          waiter(20, 3, PRIORITY_NORMAL)};

    (void)state;
    assert_int_equal(line_add(&line, &w[1], NEED, 1), 0);
    assert_int_equal(line_add(&line, &w[2], NEED, 1), 0);
    assert_int_equal(line_add(&line, &w[0], NEED, 1), 0);
    for (int i = 0; i < 3; i++) {
        assert_ptr_equal(line_first(line.classes), &w[i]);
        assert_int_equal(line_ahead(&w[2], 100), 2 - i);
        line_remove(&w[i]);
    }
    assert_null(line.classes);
}

static void who_returns_goes_where_its_order_says(void **state)
{
    struct line line = {0};
    struct waiter w[5];

    (void)state;
    for (int i = 0; i < 5; i++) {
        w[i] = waiter(i, (uint64_t)i, PRIORITY_HIGH);
        assert_int_equal(line_add(&line, &w[i], NEED, 1), 0);
    }
    line_remove(&w[0]); /* head, middle, tail */
    line_remove(&w[2]);
    line_remove(&w[4]);
    assert_int_equal(line_add(&line, &w[2], NEED, 1), 0);
    assert_int_equal(line_add(&line, &w[4], NEED, 1), 0);
    assert_int_equal(line_add(&line, &w[0], NEED, 1), 0);
    for (int i = 0; i < 5; i++) {
        assert_ptr_equal(first_of(&line), &w[i]);
        line_remove(&w[i]);
    }
}

static void order_decides_between_priorities(void **state)
{
    struct line line = {0};
    struct waiter low = waiter(50, 1, PRIORITY_LOW);
    struct waiter high = waiter(40, 2, PRIORITY_HIGH);
    struct waiter later = waiter(60, 3, PRIORITY_HIGH);

    (void)state;
    assert_int_equal(line_add(&line, &low, NEED, 1), 0);
    assert_int_equal(line_add(&line, &later, NEED, 1), 0);
    assert_int_equal(line_add(&line, &high, NEED, 1), 0);
    assert_ptr_equal(line_first(line.classes), &high);
    line_remove(&high);
    assert_ptr_equal(line_first(line.classes), &low);
    line_remove(&low);
    assert_ptr_equal(line_first(line.classes), &later);
    line_remove(&later);
}

static void those_who_are_alike_share_a_class(void **state)
{
    struct line line = {0};
    struct waiter w[4];
    size_t classes = 0;

    (void)state;
    for (int i = 0; i < 4; i++)
        w[i] = waiter(i, (uint64_t)i, PRIORITY_NORMAL);
    assert_int_equal(line_add(&line, &w[0], NEED, 1), 0);
    assert_int_equal(line_add(&line, &w[1], NEED, 3), 0);
    assert_int_equal(line_add(&line, &w[2], OTHER, 1), 0);
    assert_int_equal(line_add(&line, &w[3], NEED, 1), 0);
    for (const struct line_class *c = line.classes; c != NULL; c = c->next)
        classes++;
    assert_int_equal(classes, 3);
    assert_ptr_equal(w[0].class, w[3].class);
    assert_int_equal(line_count(&line), 4);
    /* A class passed over hides nobody of another. */
    assert_ptr_equal(line_first(w[2].class), &w[2]);
    /* A place is counted over all classes. */
    assert_int_equal(line_ahead(&w[3], 100), 3);
    assert_int_equal(line_ahead(&w[3], 2), 2);
    assert_int_equal(line_ahead(&w[3], 0), 0);
    for (int i = 0; i < 4; i++)
        line_remove(&w[i]);
    assert_null(line.classes);
}

static uint32_t any(uint64_t *random, uint32_t below)
{
    *random = *random * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)(*random >> 33) % below;
}

static void any_order_of_coming_and_going_agrees_with_a_search(void **state)
{
    enum { WAITERS = 60, STEPS = 20000 };
    static struct waiter w[WAITERS];
    struct line line = {0};
    uint64_t random = 3;

    (void)state;
    for (uint32_t i = 0; i < WAITERS; i++)
        w[i] = waiter(any(&random, 20), i, (enum run_priority)(i % 3));
    for (int step = 0; step < STEPS; step++) {
        struct waiter *moved = &w[any(&random, WAITERS)];
        if (moved->class != NULL)
            line_remove(moved);
        else
            assert_int_equal(line_add(&line, moved,
                                      any(&random, 2) == 0 ? NEED : OTHER,
                                      any(&random, 3)),
                             0);

        const struct waiter *first = NULL;
        uint32_t count = 0, ahead = 0;
        for (int i = 0; i < WAITERS; i++) {
            if (w[i].class == NULL)
                continue;
            count++;
            ahead += line_before(&w[i], moved);
            if (first == NULL || line_before(&w[i], first))
                first = &w[i];
        }
        assert_int_equal(line_count(&line), count);
        assert_ptr_equal(first_of(&line), first);
        if (moved->class != NULL)
            assert_int_equal(line_ahead(moved, WAITERS), ahead);
    }
    for (int i = 0; i < WAITERS; i++)
        line_remove(&w[i]);
    assert_null(line.classes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_line_has_no_classes),
        cmocka_unit_test(those_who_came_first_are_first),
        cmocka_unit_test(who_returns_goes_where_its_order_says),
        cmocka_unit_test(order_decides_between_priorities),
        cmocka_unit_test(those_who_are_alike_share_a_class),
        cmocka_unit_test(any_order_of_coming_and_going_agrees_with_a_search),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
