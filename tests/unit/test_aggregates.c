/* Tests of agents/aggregates and the collation of decimals, in SQLite. */
#include "tests/unit/functions_bench.h"

/* ---- aggregates ---------------------------------------------------------- */

static void aggregates_are_exact(void **state)
{
    static const struct pair cases[] = {
        {"dp_sum_int(1, x) FROM (SELECT 9223372036854775807 AS x UNION ALL "
         "SELECT 1 UNION ALL SELECT -1)",
         "9223372036854775807"},
        {"dp_sum_dec(1, x) FROM (SELECT '0.1' AS x UNION ALL SELECT NULL "
         "UNION ALL SELECT '0.20' UNION ALL SELECT 1)",
         "1.30"},
        {"dp_avg_dec(1, x) FROM (SELECT 1 AS x UNION ALL SELECT 2)",
         "1.5000000000000000"},
        {"dp_avg_dec(1, x) FROM (SELECT '1.00' AS x UNION ALL SELECT '0' "
         "UNION ALL SELECT '0')",
         "0.33333333333333333333"},
        {"dp_sum_dbl(1, x) FROM (SELECT 0.5 AS x UNION ALL SELECT 0.25)",
         "0.75"},
        {"dp_avg_dbl(1, x) FROM (SELECT 0.5 AS x UNION ALL SELECT 1.5)", "1.0"},
        {"dp_var(1, x) FROM (SELECT 2.0 AS x UNION ALL SELECT 4.0 UNION ALL "
         "SELECT 9.0 UNION ALL SELECT NULL)",
         "13.0"},
        {"dp_std(1, x) FROM (SELECT '1.5' AS x UNION ALL SELECT 4)",
         "1.76776695296637"},
        {"dp_std(1, 5.0)", "NULL"},
        {"dp_var(1, x) FROM (SELECT 1 AS x WHERE 0)", "NULL"},
        {"dp_min_dec(1, x) FROM (SELECT '10' AS x UNION ALL SELECT '9.5' "
         "UNION ALL SELECT NULL)",
         "9.5"},
        {"dp_max_dec(1, x) FROM (SELECT '10' AS x UNION ALL SELECT '9.5' "
         "UNION ALL SELECT -3)",
         "10"},
        {"dp_first(1, x) FROM (SELECT NULL AS x UNION ALL SELECT 2)", "NULL"},
        {"dp_first(1, x) FROM (SELECT 'a' AS x UNION ALL SELECT 'b')", "a"},
        {"dp_last(1, x) FROM (SELECT 'a' AS x UNION ALL SELECT 'b')", "b"},
        {"dp_last(1, x) FROM (SELECT 'a' AS x UNION ALL SELECT NULL)", "NULL"},
        {"dp_sum_int(1, x) FROM (SELECT 1 AS x WHERE 0)", "NULL"},
        {"dp_sum_dec(1, x) FROM (SELECT NULL AS x)", "NULL"},
        {"dp_sum_int(DISTINCT x) FROM (SELECT 3 AS x UNION ALL SELECT 3 UNION "
         "ALL SELECT 4)",
         "7"},
        {"dp_sum_dec(DISTINCT x COLLATE \"decimal\") FROM (SELECT '1.0' AS x "
         "UNION ALL SELECT '1.00')",
         "1.0"},
    };
    ALL_GIVE(state, cases);
}

static void aggregates_fail_where_there_is_no_result(void **state)
{
    assert_fails(*state,
                 "dp_sum_int(7, x) FROM (SELECT 9223372036854775807 AS x UNION "
                 "ALL SELECT 1)",
                 "the sum does not fit 64 bits");
    assert_int_equal(((struct bench *)*state)->site, 7);
    assert_fails(*state, "dp_sum_dec(1, 'x')", "\"x\" is not a decimal number");
    assert_fails(*state,
                 "dp_sum_dbl(1, x) FROM (SELECT 1e308 AS x UNION ALL SELECT "
                 "1e308)",
                 "the result is out of a double's range");
}

static void large_sums_give_their_memory_back(void **state)
{
    struct bench *b = *state;

    /* The statement is given up between the groups: what they hold is freed,
     * or the sanitizer says so. */
    assert_fails(b,
                 "dp_add_int(1, s, 9223372036854775807) FROM (SELECT "
                 "length(dp_sum_dec(1, x || '0')) AS s FROM (SELECT "
                 "'99999999999999999999999999999999999999999999999' AS x) "
                 "GROUP BY x)",
                 "the result does not fit 64 bits");
    b->reject = true;
    assert_gives(b,
                 "dp_sum_dec(1, x) FROM (SELECT "
                 "'99999999999999999999999999999999999999999999999' AS x UNION "
                 "ALL SELECT 'x' UNION ALL SELECT '1')",
                 "NULL");
    assert_int_equal(b->failures, 2);
}

static void the_collation_compares_by_value(void **state)
{
    assert_gives(*state, "'9' < '10.0' COLLATE \"decimal\"", "1");
    assert_gives(*state, "'1.0' = '1.00' COLLATE \"decimal\"", "1");
    assert_gives(*state,
                 "group_concat(x, ' ') FROM (SELECT x FROM (SELECT '10' AS x "
                 "UNION ALL SELECT '-3.5' UNION ALL SELECT '9.99') ORDER BY x "
                 "COLLATE \"decimal\")",
                 "-3.5 9.99 10");
    assert_gives(*state,
                 "count(*) FROM (SELECT DISTINCT x COLLATE \"decimal\" FROM "
                 "(SELECT '1' AS x UNION ALL SELECT '1.0'))",
                 "1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(aggregates_are_exact, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            aggregates_fail_where_there_is_no_result, set_up, tear_down),
        cmocka_unit_test_setup_teardown(large_sums_give_their_memory_back,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_collation_compares_by_value, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
