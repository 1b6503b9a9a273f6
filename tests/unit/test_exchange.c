/*
 * test_exchange.c - pointers over the inproc pair: they arrive in order, the
 * sender lets go, a full line refuses instead of blocking, and an exchange
 * frees what it holds.
 */
#include "dispatcher/exchange.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <zmq.h>

#include <cmocka.h>

struct pair {
    void *context, *front, *core;
};

static int make_pair(void **state)
{
    struct pair *pair = calloc(1, sizeof *pair);

    assert_non_null(pair);
    pair->context = zmq_ctx_new();
    assert_int_equal(
        exchange_open(pair->context, "inproc://pair", true, &pair->core), 0);
    assert_int_equal(
        exchange_open(pair->context, "inproc://pair", false, &pair->front), 0);
    *state = pair;
    return 0;
}

static int drop_pair(void **state)
{
    struct pair *pair = *state;

    zmq_close(pair->front);
    zmq_close(pair->core);
    zmq_ctx_term(pair->context);
    free(pair);
    return 0;
}

static void nothing_there_is_no_exchange(void **state)
{
    struct pair *pair = *state;

    assert_null(exchange_receive(pair->core));
    assert_null(exchange_receive(pair->front));
}

static void exchanges_arrive_in_order_and_the_sender_lets_go(void **state)
{
    struct pair *pair = *state;

    for (uint64_t i = 0; i < 100; i++) {
        struct exchange *sent = exchange_new(ASK_BOARD);

        assert_non_null(sent);
        sent->for_ms = i;
        assert_int_equal(exchange_send(pair->front, &sent), 0);
        assert_null(sent);
    }
    for (uint64_t i = 0; i < 100; i++) {
        struct exchange *got = exchange_receive(pair->core);

        assert_non_null(got);
        assert_int_equal(got->ask, ASK_BOARD);
        assert_int_equal(got->for_ms, i);
        assert_int_equal(exchange_send(pair->core, &got), 0);
    }
    for (uint64_t i = 0; i < 100; i++) {
        struct exchange *back = exchange_receive(pair->front);

        assert_int_equal(back->for_ms, i);
        exchange_free(&back);
        assert_null(back);
    }
}

static void a_full_line_refuses_and_the_sender_keeps_it(void **state)
{
    struct pair *pair = *state;
    struct exchange *exchange = NULL, *got;
    size_t sent = 0, received = 0;
    int r = 0;

    while (sent <= EXCHANGE_BACKLOG_MAX) {
        exchange = exchange_new(ASK_BOARD);
        assert_non_null(exchange);
        r = exchange_send(pair->front, &exchange);
        if (r < 0)
            break;
        sent++;
    }
    assert_int_equal(r, -EAGAIN);
    assert_non_null(exchange);
    exchange_free(&exchange);
    assert_int_equal(sent, EXCHANGE_BACKLOG_MAX);
    while ((got = exchange_receive(pair->core))) {
        received++;
        exchange_free(&got);
    }
    assert_int_equal(received, sent);
}

static void free_owner(void *data)
{
    ++*(int *)data;
}

static void an_exchange_frees_what_it_holds(void **state)
{
    struct exchange *exchange = exchange_new(ASK_SUBMIT), *none = NULL;
    int freed = 0;

    (void)state;
    assert_non_null(exchange);
    exchange->submissions = calloc(2, sizeof *exchange->submissions);
    assert_non_null(exchange->submissions);
    exchange->submission_count = 2;
    exchange->submissions[1].explanation =
        calloc(1, sizeof(struct explanation));
    exchange->board = calloc(1, sizeof(struct board));
    exchange->owner_data = &freed;
    exchange->owner_free = free_owner;
    exchange_free(&exchange); /* the leak check of the sanitizer looks on */
    assert_null(exchange);
    assert_int_equal(freed, 1);
    exchange_free(&none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_there_is_no_exchange, make_pair,
                                        drop_pair),
        cmocka_unit_test_setup_teardown(
            exchanges_arrive_in_order_and_the_sender_lets_go, make_pair,
            drop_pair),
        cmocka_unit_test_setup_teardown(
            a_full_line_refuses_and_the_sender_keeps_it, make_pair, drop_pair),
        cmocka_unit_test(an_exchange_frees_what_it_holds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
