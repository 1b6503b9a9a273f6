/*
 * Columns and their types: adding, copying, finding by name and origin, listing
 * for messages; and text.h's growing string.
 */
#include "agents/schema.h"
#include "agents/text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void types_have_names_that_are_found_again(void **state)
{
    (void)state;
    for (int i = TYPE_NULL + 1; i < TYPES; i++) {
        enum type type = TYPE_NULL;
        assert_true(type_find(type_name((enum type)i), &type));
        assert_int_equal(type, i);
    }
    assert_string_equal(type_name(TYPE_TIMESTAMPTZ), "timestamptz");
}

static void words_that_are_no_types_are_not_found(void **state)
{
    static const char *const words[] = {"", "null", "Integer", "int", "text "};
    enum type type;

    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        assert_false(type_find(words[i], &type));
}

static void a_new_column_allows_anything(void **state)
{
    struct schema schema = {0};

    (void)state;
    struct column *column = schema_add(&schema, "qty", TYPE_INTEGER);
    assert_non_null(column);
    assert_string_equal(column->name, "qty");
    assert_int_equal(column->type, TYPE_INTEGER);
    assert_int_equal(column->bits, 0);
    assert_int_equal(column->precision, -1);
    assert_int_equal(column->scale, -1);
    assert_int_equal(column->length, 0);
    assert_false(column->not_null);
    assert_null(column->origin);
    assert_null(column->native);
    schema_clear(&schema);
    assert_int_equal(schema.count, 0);
    assert_null(schema.columns);
}

static void columns_are_not_without_end(void **state)
{
    struct schema schema = {0};
    char name[16];

    (void)state;
    for (int i = 0; i < SCHEMA_COLUMNS_MAX; i++) {
        snprintf(name, sizeof name, "c%d", i);
        assert_non_null(schema_add(&schema, name, TYPE_TEXT));
    }
    assert_null(schema_add(&schema, "more", TYPE_TEXT));
    assert_int_equal(schema.count, SCHEMA_COLUMNS_MAX);
    schema_clear(&schema);
}

static void a_copy_has_strings_of_its_own(void **state)
{
    struct schema schema = {0}, copy = {0};

    (void)state;
    struct column *column = schema_add(&schema, "price", TYPE_DECIMAL);
    column->precision = 10;
    column->scale = 2;
    column->not_null = true;
    column->origin = strdup("orders");
    column->native = strdup("numeric(10,2)");
    assert_int_equal(schema_copy(&schema, &copy), 0);
    schema_clear(&schema);
    assert_int_equal(copy.count, 1);
    assert_string_equal(copy.columns[0].name, "price");
    assert_string_equal(copy.columns[0].origin, "orders");
    assert_string_equal(copy.columns[0].native, "numeric(10,2)");
    assert_int_equal(copy.columns[0].precision, 10);
    assert_int_equal(copy.columns[0].scale, 2);
    assert_true(copy.columns[0].not_null);
    schema_clear(&copy);
}

/* id of a, ID of b, name of a, Name of a, total of nobody */
static void build(struct schema *schema)
{
    static const char *const names[][2] = {
        {"id", "a"}, {"ID", "b"}, {"name", "a"}, {"Name", "a"}, {"total", NULL},
    };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct column *column = schema_add(schema, names[i][0], TYPE_TEXT);
        if (names[i][1])
            column->origin = strdup(names[i][1]);
    }
}

static void a_name_is_found_by_its_bytes_and_then_in_any_case(void **state)
{
    static const struct {
        const char *name, *origin;
        int error;
        size_t index;
    } cases[] = {
        {"id", NULL, 0, 0},         {"ID", NULL, 0, 1},
        {"Id", NULL, -EEXIST, 0},   {"Id", "A", 0, 0},
        {"id", "b", 0, 1},          {"Name", "a", 0, 3},
        {"NAME", "a", -EEXIST, 0},  {"TOTAL", NULL, 0, 4},
        {"total", "a", -ENOENT, 0}, {"id", "c", -ENOENT, 0},
        {"", NULL, -ENOENT, 0},     {"totals", NULL, -ENOENT, 0},
    };
    struct schema schema = {0};

    (void)state;
    build(&schema);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t index = 0;
        assert_int_equal(
            schema_find(&schema, cases[i].name, cases[i].origin, &index),
            cases[i].error);
        assert_int_equal(index, cases[i].index);
    }
    schema_clear(&schema);
}

static void the_same_name_twice_is_ambiguous(void **state)
{
    struct schema schema = {0};
    size_t index = 7;

    (void)state;
    schema_add(&schema, "id", TYPE_TEXT);
    schema_add(&schema, "id", TYPE_TEXT);
    assert_int_equal(schema_find(&schema, "id", NULL, &index), -EEXIST);
    assert_int_equal(index, 7);
    schema_clear(&schema);
}

static void a_list_is_cut_with_an_ellipsis_when_it_is_long(void **state)
{
    static const char *const lists[] = {
        [25] = "id, ID, name, Name, total",
        [24] = "id, ID, name, Name, ...",
        [23] = "id, ID, name, Name, ...",
        [22] = "id, ID, name, ...",
        [17] = "id, ID, name, ...",
        [16] = "id, ID, ...",
        [11] = "id, ID, ...",
        [10] = "id, ...",
        [7] = "id, ...",
        [6] = "id...",
        [3] = "...",
        [2] = "",
        [0] = "",
    };
    struct schema schema = {0};
    char buf[64];

    (void)state;
    build(&schema);
    for (size_t len = 0; len < sizeof lists / sizeof lists[0]; len++) {
        memset(buf, 'x', sizeof buf);
        schema_list(&schema, buf, len + 1);
        assert_int_equal(buf[len + 1], 'x');
        assert_true(strlen(buf) <= len);
        if (lists[len])
            assert_string_equal(buf, lists[len]);
    }
    schema_clear(&schema);
}

static void a_list_does_not_cut_a_character(void **state)
{
    struct schema schema = {0};
    char buf[7];

    (void)state;
    schema_add(&schema, "a\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4", TYPE_TEXT);
    schema_list(&schema, buf, sizeof buf);
    assert_string_equal(buf, "a\xc3\xa4...");
    schema_clear(&schema);
}

static void a_list_of_no_columns_is_empty(void **state)
{
    struct schema schema = {0};
    char buf[4] = "xxx";

    (void)state;
    schema_list(&schema, buf, sizeof buf);
    assert_string_equal(buf, "");
}

/* ---- text.h ---------------------------------------------------------- */

static void a_text_grows_by_what_is_added(void **state)
{
    struct text text = {0};

    (void)state;
    for (int i = 0; i < 1000; i++) {
        text_add(&text, "ab");
        text_addf(&text, "%03d", i);
        text_add_bytes(&text, "\0z", 2);
    }
    assert_false(text.failed);
    assert_int_equal(text.len, 7000);
    assert_memory_equal(text.bytes + 6993, "ab999\0z", 8);
    text_clear(&text);
    assert_null(text.bytes);
}

static void a_taken_text_is_the_callers_and_the_text_is_new(void **state)
{
    struct text text = {0};

    (void)state;
    text_add(&text, "abc");
    char *taken = text_take(&text);
    assert_string_equal(taken, "abc");
    free(taken);
    assert_null(text.bytes);
    assert_int_equal(text.len, 0);
    taken = text_take(&text); /* nothing added is the empty string */
    assert_string_equal(taken, "");
    free(taken);
}

static void a_reset_text_begins_anew_in_the_same_memory(void **state)
{
    struct text text = {0};

    (void)state;
    text_reset(&text);
    text_add(&text, "abc");
    const char *before = text.bytes;
    text_reset(&text);
    assert_int_equal(text.len, 0);
    assert_string_equal(text.bytes, "");
    text_add(&text, "xy");
    assert_ptr_equal(text.bytes, before);
    assert_string_equal(text.bytes, "xy");
    text_clear(&text);
}

static void memory_that_cannot_be_had_is_noted_once(void **state)
{
    struct text text = {0};

    (void)state;
    text_add(&text, "abc");
    text_add_bytes(&text, "", SIZE_MAX / 2);
    assert_true(text.failed);
    text_add(&text, "def");
    text_addf(&text, "%d", 5);
    assert_int_equal(text.len, 3);
    assert_null(text_take(&text));
    assert_false(text.failed);
    text_clear(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_have_names_that_are_found_again),
        cmocka_unit_test(words_that_are_no_types_are_not_found),
        cmocka_unit_test(a_new_column_allows_anything),
        cmocka_unit_test(columns_are_not_without_end),
        cmocka_unit_test(a_copy_has_strings_of_its_own),
        cmocka_unit_test(a_name_is_found_by_its_bytes_and_then_in_any_case),
        cmocka_unit_test(the_same_name_twice_is_ambiguous),
        cmocka_unit_test(a_list_is_cut_with_an_ellipsis_when_it_is_long),
        cmocka_unit_test(a_list_does_not_cut_a_character),
        cmocka_unit_test(a_list_of_no_columns_is_empty),
        cmocka_unit_test(a_text_grows_by_what_is_added),
        cmocka_unit_test(a_taken_text_is_the_callers_and_the_text_is_new),
        cmocka_unit_test(a_reset_text_begins_anew_in_the_same_memory),
        cmocka_unit_test(memory_that_cannot_be_had_is_noted_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
