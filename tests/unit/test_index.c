/* test_index.c - what was added is found until it is removed, and nothing else
 * is. */
#include "pools/index.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct thing {
    struct index_entry entry; /* first */
    const char *name;
    uint32_t number;
    bool in;
};

static int name_is(const struct index_entry *entry, const void *key,
                   size_t key_bytes)
{
    const struct thing *thing = (const void *)entry;

    return strlen(thing->name) == key_bytes &&
           memcmp(thing->name, key, key_bytes) == 0;
}

static int number_is(const struct index_entry *entry, const void *key,
                     size_t key_bytes)
{
    const struct thing *thing = (const void *)entry;

    return memcmp(&thing->number, key, key_bytes) == 0;
}

static void keys_of_any_length_are_found_and_no_others(void **state)
{
    static const char *const names[] = {"",
                                        "a",
                                        "ab",
                                        "abcdefg",
                                        "abcdefgh",
                                        "abcdefgi",
                                        "abcdefghi",
                                        "abcdefghabcdefgh",
                                        "abcdefghabcdefghx"};
    enum { NAMES = sizeof names / sizeof names[0] };
    struct thing things[NAMES];
    struct index index;

    (void)state;
    assert_int_equal(index_init(&index, name_is, 3), 0);
    assert_null(index_find(&index, "", 0));
    for (size_t i = 0; i < NAMES; i++) {
        things[i].name = names[i];
        assert_null(index_find(&index, names[i], strlen(names[i])));
        index_add(&index, &things[i].entry, names[i], strlen(names[i]));
    }
    for (size_t i = 0; i < NAMES; i++)
        assert_ptr_equal(index_find(&index, names[i], strlen(names[i])),
                         &things[i].entry);
    assert_null(index_find(&index, "abcdefgh\0", 9));
    for (size_t i = 0; i < NAMES; i++) {
        index_remove(&index, &things[i].entry);
        assert_null(index_find(&index, names[i], strlen(names[i])));
    }
    assert_int_equal(index.count, 0);
    index_free(&index);
}

static void the_seed_decides_the_order(void **state)
{
    struct thing thing = {.number = 1};
    uint64_t hashes[2];

    (void)state;
    for (uint64_t seed = 0; seed < 2; seed++) {
        struct index index;
        assert_int_equal(index_init(&index, number_is, seed), 0);
        index_add(&index, &thing.entry, &thing.number, sizeof thing.number);
        hashes[seed] = thing.entry.hash;
        index_free(&index);
    }
    assert_int_not_equal(hashes[0], hashes[1]);
}

static uint32_t any(uint64_t *random, uint32_t below)
{
    *random = *random * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)(*random >> 33) % below;
}

static void expect_same(const struct index *index, struct thing *thing)
{
    const struct index_entry *found =
        index_find(index, &thing->number, sizeof thing->number);

    assert_ptr_equal(found, thing->in ? &thing->entry : NULL);
}

static void a_million_entries_agree_with_a_plain_list(void **state)
{
    enum { THINGS = 1000000, STEPS = 2000000 };
    struct thing *things = calloc(THINGS, sizeof *things);
    struct index index;
    uint64_t random = 11;
    size_t in = 0;

    (void)state;
    assert_non_null(things);
    assert_int_equal(index_init(&index, number_is, 5), 0);
    for (uint32_t i = 0; i < THINGS; i++) {
        things[i].number = i;
        things[i].in = true;
        index_add(&index, &things[i].entry, &things[i].number,
                  sizeof things[i].number);
    }
    in = THINGS;
    for (int step = 0; step < STEPS; step++) {
        struct thing *thing = &things[any(&random, THINGS)];
        if (thing->in)
            index_remove(&index, &thing->entry);
        else
            index_add(&index, &thing->entry, &thing->number,
                      sizeof thing->number);
        thing->in = !thing->in;
        in = thing->in ? in + 1 : in - 1;
        expect_same(&index, thing);
        expect_same(&index, &things[any(&random, THINGS)]);
    }
    assert_int_equal(index.count, in);
    for (uint32_t i = 0; i < THINGS; i++)
        expect_same(&index, &things[i]);

    /* Chains stay short: at most the load of a Poisson process at 1. */
    size_t longest = 0;
    for (size_t b = 0; b < index.bucket_count; b++) {
        size_t length = 0;
        for (const struct index_entry *e = index.buckets[b]; e != NULL;
             e = e->next)
            length++;
        longest = length > longest ? length : longest;
    }
    assert_in_range(longest, 1, 16);
    index_free(&index);
    free(things);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_of_any_length_are_found_and_no_others),
        cmocka_unit_test(the_seed_decides_the_order),
        cmocka_unit_test(a_million_entries_agree_with_a_plain_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
