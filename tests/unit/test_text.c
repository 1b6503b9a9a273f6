/* Tests of policy/text: how far apart two words are. What sizes and sentences
 * read like is tested where they are said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "policy/text.h"

#include <string.h>

static void each_edit_counts_one(void **state)
{
    (void)state;
    assert_int_equal(text_distance("", "", false), 0);
    assert_int_equal(text_distance("pools", "pools", false), 0);
    assert_int_equal(text_distance("", "pools", false), 5);
    assert_int_equal(text_distance("pols", "pools", false), 1);
    assert_int_equal(text_distance("pools", "pols", false), 1);
    assert_int_equal(text_distance("poals", "pools", false), 1);
    assert_int_equal(text_distance("polos", "pools", false), 1);
    assert_int_equal(text_distance("lopos", "pools", false), 3);
}

static void case_is_an_edit_unless_any_will_do(void **state)
{
    (void)state;
    assert_int_equal(text_distance("Pool", "pool", false), 1);
    assert_int_equal(text_distance("Pool", "pool", true), 0);
}

static void a_word_that_is_too_long_is_near_nothing(void **state)
{
    char word[TEXT_WORD_MAX + 2];
    (void)state;
    memset(word, 'a', sizeof word);
    word[TEXT_WORD_MAX + 1] = '\0';
    assert_true(text_distance(word, word, false) == SIZE_MAX);
    word[TEXT_WORD_MAX] = '\0';
    assert_int_equal(text_distance(word, word, false), 0);
    assert_int_equal(text_distance(word, "", true), TEXT_WORD_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_edit_counts_one),
        cmocka_unit_test(case_is_an_edit_unless_any_will_do),
        cmocka_unit_test(a_word_that_is_too_long_is_near_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
