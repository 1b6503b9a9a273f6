/*
 * Covers agents/jsonl.c, jsonl_scan.c and jsonl_write.c: what is a line and
 * what is not, columns and types by looking, exact numbers, bad lines as
 * errors and left out, limits, and that what is written is read back.
 */
#include "tests/unit/files_bench.h"

#include "agents/jsonl_scan.h"

static void expect(const char *config, const char *bytes, const char *rows)
{
    expect_bytes(jsonl_feed_fd, config, bytes, strlen(bytes), false, rows);
}

static void expect_skipping(const char *config, const char *bytes,
                            const char *rows)
{
    expect_bytes(jsonl_feed_fd, config, bytes, strlen(bytes), true, rows);
}

static void expect_types(const char *bytes, const char *types)
{
    struct feed *feed = feed_of(jsonl_feed_fd, "{}", bytes, strlen(bytes));

    if (!feed)
        fail_msg("%s", error);
    char *got = types_of(feed);
    assert_string_equal(got, types);
    free(got);
    feed_close(&feed);
}

/* One text column called a. */
#define TEXT_A "{'columns': [{'name': 'a'}]}"

/* ---- lines -------------------------------------------------------------- */

static void every_line_is_a_row(void **state)
{
    (void)state;
    expect("{}", "{\"a\":1,\"b\":\"x\"}\n{\"b\":\"y\",\"a\":2}\n",
           "[1|x][2|y]");
    expect("{}", "{\"a\":1}\r\n\r\n  \n{\"a\":2}", "[1][2]");
    expect("{}", "\xef\xbb\xbf{\"a\":1}\n", "[1]");
    expect("{}", "\t{ \"a\" : 1 , \"b\" : [ ] } \n", "[1|[ ]]");
}

static void a_missing_key_and_null_are_null(void **state)
{
    (void)state;
    expect("{}", "{\"a\":1,\"b\":2}\n{\"b\":null}\n{}\n", "[1|2][~|~][~|~]");
    expect(TEXT_A, "{\"a\":\"\"}\n", "[]");
}

static void strings_are_unescaped(void **state)
{
    (void)state;
    expect(TEXT_A, "{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}\n",
           "[\"\\/\b\f\n\r\t]");
    expect(TEXT_A, "{\"\\u0061\":\"\\u00e9\\u20AC\\ud83d\\ude00x\"}\n",
           "[é€😀x]");
}

static void nested_values_are_their_own_text(void **state)
{
    (void)state;
    expect("{}", "{\"a\":{\"b\":[1.50,\"x\\n\",{}],\"c\":null},\"d\":[[]]}\n",
           "[{\"b\":[1.50,\"x\\n\",{}],\"c\":null}|[[]]]");
}

static void what_is_not_json_is_told_with_its_line(void **state)
{
    static const struct {
        const char *line, *why;
    } cases[] = {
        {"[1]", "this is not an object"},
        {"1", "this is not an object"},
        {"{", "a key is missing"},
        {"{\"a\"}", "a colon is missing"},
        {"{\"a\":}", "a value that is none"},
        {"{\"a\":", "a value is missing"},
        {"{\"a\":1", "a comma or the end of the object is missing"},
        {"{\"a\":1,}", "a key is missing"},
        {"{\"a\":1 \"b\":2}", "a comma or the end of the object is missing"},
        {"{\"a\":1}{", "something behind the object"},
        {"{}x", "something behind the object"},
        {"{a:1}", "a key is missing"},
        {"{\"a\":tru}", "a value that is none"},
        {"{\"a\":truex}", "a comma or the end of the object is missing"},
        {"{\"a\":NaN}", "a value that is none"},
        {"{\"a\":+1}", "a value that is none"},
        {"{\"a\":01}", "a number that is none"},
        {"{\"a\":-}", "a number that is none"},
        {"{\"a\":.5}", "a value that is none"},
        {"{\"a\":1.}", "a number with no digit behind its point"},
        {"{\"a\":1e}", "a number with no digit in its exponent"},
        {"{\"a\":1e+-2}", "a number with no digit in its exponent"},
        {"{\"a\":\"x}", "a string that is not closed"},
        {"{\"a\":\"\\", "an escape in a string that is none"},
        {"{\"a\":\"\\x\"}", "an escape in a string that is none"},
        {"{\"a\":\"\\u12g4\"}", "\\u without four hex digits"},
        {"{\"a\":\"\\ud800\"}", "half of a surrogate pair"},
        {"{\"a\":\"\\ud800\\u0041\"}", "half of a surrogate pair"},
        {"{\"a\":\"\\udc00\"}", "half of a surrogate pair"},
        {"{\"a\":\"\\u0000\"}", "a NUL character"},
        {"{\"a\":\"\t\"}", "a control character in a string"},
        {"{\"a\":\"\xff\"}", "bytes that are not UTF-8"},
        {"{\"a\":[1,]}", "a value that is none"},
        {"{\"a\":[1 2]}", "a comma is missing"},
        {"{\"a\":[1}", "a comma is missing"},
        {"{\"a\":[", "an object or array that is not closed"},
        {"{\"a\":{\"b\"}}", "a colon is missing"},
        {"{\"a\":{,}}", "a key is missing"},
        {"{\"a\":{1:2}}", "a key is missing"},
        {"{\"a\":[[]}", "a comma is missing"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char bytes[200], expected[300];
        snprintf(bytes, sizeof bytes, "{\"a\":0}\n%s\n{\"a\":1}\n",
                 cases[i].line);
        snprintf(expected, sizeof expected, "[0]!\"in\": line 2: %s![1]",
                 cases[i].why);
        expect_skipping(TEXT_A, bytes, expected);
        snprintf(expected, sizeof expected, "[0]*\"in\": line 2: %s",
                 cases[i].why);
        expect(TEXT_A, bytes, expected);
    }
}

static void a_nul_byte_is_no_text(void **state)
{
    (void)state;
    expect_bytes(jsonl_feed_fd, TEXT_A, "{\"a\":\"\0\"}\n{\"a\":1}\n", 18, true,
                 "!\"in\": line 1: a NUL byte![1]");
}

static void nesting_is_bounded(void **state)
{
    char bytes[300];

    (void)state;
    for (size_t depth = JSON_DEPTH_MAX; depth <= JSON_DEPTH_MAX + 1; depth++) {
        char *end = bytes + sprintf(bytes, "{\"a\":");
        memset(end, '[', depth);
        memset(end + depth, ']', depth);
        strcpy(end + 2 * depth, "}\n");
        struct feed *feed =
            feed_of(jsonl_feed_fd, TEXT_A, bytes, strlen(bytes));
        int rc = feed->next(feed);
        assert_int_equal(rc, depth <= JSON_DEPTH_MAX ? 1 : -1);
        if (rc < 0)
            assert_non_null(strstr(feed->error, "nested too deep"));
        feed_close(&feed);
    }
}

/* ---- keys --------------------------------------------------------------- */

static void a_key_that_is_no_column_is_bad(void **state)
{
    (void)state;
    expect(TEXT_A, "{\"a\":1,\"b\":2}\n",
           "*\"in\": line 1, key \"b\": this is not among the columns");
    expect_skipping(TEXT_A, "{\"b\":2}\n{\"a\":1}\n{\"A\":3}\n",
                    "!\"in\": line 1, key \"b\": this is not among the "
                    "columns![1]!\"in\": line 3, key \"A\": this is not among "
                    "the columns!");
}

static void a_key_twice_is_bad(void **state)
{
    (void)state;
    expect(TEXT_A, "{\"a\":1,\"a\":1}\n",
           "*\"in\": line 1, key \"a\": it is there twice");
    expect_skipping(TEXT_A, "{\"a\":1,\"\\u0061\":null}\n{\"a\":2}\n",
                    "!\"in\": line 1, key \"a\": it is there twice![2]");
}

/* ---- columns by looking ------------------------------------------------- */

static void columns_are_the_keys_in_order_of_appearance(void **state)
{
    (void)state;
    expect_types("{\"b\":1}\n{\"a\":1,\"b\":1}\n{\"c\":1}\n",
                 "b integer, a integer, c integer");
}

static void types_are_what_values_have_in_common(void **state)
{
    (void)state;
    expect_types("{\"i\":1,\"d\":1.5,\"e\":1e3,\"b\":true,\"t\":\"x\","
                 "\"n\":null,\"o\":{},\"l\":[]}\n",
                 "i integer, d decimal, e decimal, b boolean, t text, n text, "
                 "o text, l text");
    expect_types("{\"a\":1,\"b\":1,\"c\":true,\"d\":null}\n"
                 "{\"a\":1.5,\"b\":\"x\",\"c\":1,\"d\":7}\n",
                 "a decimal, b text, c text, d integer");
    expect_types("{\"a\":9223372036854775807}\n", "a integer");
    expect_types("{\"a\":9223372036854775808}\n{\"a\":1}\n", "a decimal");
    expect_types("{\"a\":1e5000}\n", "a text");
}

static void malformed_lines_say_nothing_about_columns(void **state)
{
    (void)state;
    expect_skipping("{}", "{\"a\":\"x\",\"a\"}\n{\"a\":1}\n\xff\n",
                    "!\"in\": line 1, key \"a\": \"x\" is not an "
                    "integer![1]!\"in\": line 3: "
                    "bytes that are not UTF-8!");
}

static void later_lines_have_to_fit_the_first_thousand(void **state)
{
    struct text text = {0};

    (void)state;
    for (int i = 0; i < 1000; i++)
        text_addf(&text, "{\"a\":%d}\n", i);
    text_add(&text, "{\"a\":1.5}\n{\"a\":\"12\"}\n{\"a\":1,\"b\":1}\n");
    struct feed *feed = feed_of(jsonl_feed_fd, "{}", text.bytes, text.len);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(feed->next(feed), 1);
    char *rest;
    feed->rows = 0;
    rest = drain(feed, true);
    assert_non_null(strstr(rest, "line 1001, key \"a\": \"1.5\""));
    assert_non_null(strstr(rest, "[12]"));
    assert_non_null(strstr(rest, "line 1003, key \"b\""));
    assert_int_equal(feed->rejected, 2);
    free(rest);
    feed_close(&feed);
    text_clear(&text);
}

static void a_file_without_keys_needs_columns(void **state)
{
    (void)state;
    assert_null(feed_of(jsonl_feed_fd, "{}", "", 0));
    assert_non_null(strstr(error, "columns"));
    assert_null(feed_of(jsonl_feed_fd, "{}", "{}\n", 3));
    assert_null(feed_of(jsonl_feed_fd, "{}", "{\"\":1}\n", 7));
    expect(TEXT_A, "", "");
    assert_null(feed_of(jsonl_feed_fd, "{'columns': [{'name': 1}]}", "", 0));
}

static void more_keys_than_are_possible_are_refused(void **state)
{
    struct text text = {0};

    (void)state;
    text_add(&text, "{");
    for (int i = 0; i <= SCHEMA_COLUMNS_MAX; i++)
        text_addf(&text, "%s\"k%d\":1", i ? "," : "", i);
    text_add(&text, "}\n");
    assert_null(feed_of(jsonl_feed_fd, "{}", text.bytes, text.len));
    assert_non_null(strstr(error, "1600"));
    text_clear(&text);
}

/* ---- values ------------------------------------------------------------- */

#define TYPED                                                                  \
    "{'columns': [{'name': 'i', 'type': 'integer'}, "                          \
    "{'name': 'd', 'type': 'decimal'}, {'name': 'f', 'type': 'double'}, "      \
    "{'name': 'b', 'type': 'boolean'}, {'name': 'y', 'type': 'date'}, "        \
    "{'name': 'x', 'type': 'bytes'}, {'name': 't'}]}"

static void typed_columns_give_canonical_values(void **state)
{
    (void)state;
    struct feed *feed;
    const char *bytes =
        "{\"i\":7,\"d\":1.50,\"f\":0.25,\"b\":false,\"y\":\"2024-02-29\","
        "\"x\":\"AEH/\",\"t\":12.0}\n";

    expect(TYPED,
           "{\"i\":\"7\",\"d\":\"-1e2\",\"f\":\"2\",\"b\":\"yes\","
           "\"x\":\"QUI=\",\"t\":true}\n",
           "[7|-100|2|t|~|AB|true]");
    feed = feed_of(jsonl_feed_fd, TYPED, bytes, strlen(bytes));
    assert_int_equal(feed->next(feed), 1);
    assert_int_equal(feed->cells[5].len, 3);
    assert_memory_equal(feed->cells[5].bytes, "\0A\xff", 3);
    feed->rows = 0;
    char *rest = drain(feed, false);
    assert_string_equal(rest ? rest : "", "");
    free(rest);
    feed_close(&feed);
}

static void numbers_stay_exact(void **state)
{
    (void)state;
    expect("{}",
           "{\"a\":0.1000000000000000055511151231257827,"
           "\"b\":123456789012345678901234567890}\n"
           "{\"a\":1.50e1,\"b\":1}\n",
           "[0.1000000000000000055511151231257827|"
           "123456789012345678901234567890][15.0|1]");
    expect("{}", "{\"a\":-9223372036854775808}\n", "[-9223372036854775808]");
    expect(TEXT_A, "{\"a\":1E400}\n", "[1E400]");
}

static void a_value_not_of_its_type_is_told_with_its_key(void **state)
{
    static const struct {
        const char *line, *why;
    } cases[] = {
        {"{\"i\":1.5}", "key \"i\": \"1.5\" is not an integer"},
        {"{\"i\":true}", "key \"i\": true where integer is expected"},
        {"{\"d\":[1]}", "key \"d\": an object or array where decimal is "
                        "expected"},
        {"{\"b\":{}}", "key \"b\": an object or array where boolean is "
                       "expected"},
        {"{\"y\":20240101}", "key \"y\": a number where date is expected"},
        {"{\"x\":\"!\"}", "key \"x\": this is not base64"},
        {"{\"x\":1}", "key \"x\": a number where bytes is expected"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char expected[300];
        snprintf(expected, sizeof expected, "*\"in\": line 1, %s",
                 cases[i].why);
        expect(TYPED, cases[i].line, expected);
    }
}

/* ---- size --------------------------------------------------------------- */

static void lines_across_the_window_are_whole(void **state)
{
    enum { ROWS = 20000 };
    struct text text = {0};

    (void)state;
    for (int i = 0; i < ROWS; i++)
        text_addf(&text, "{\"n\":%d,\"s\":\"x\\n%.*s\"}\n", i, i % 23,
                  "-----------------------");
    struct feed *feed = feed_of(jsonl_feed_fd, "{}", text.bytes, text.len);
    for (int i = 0; i < ROWS; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d", i);
        assert_int_equal(feed->next(feed), 1);
        assert_int_equal(feed->cells[0].len, strlen(number));
        assert_memory_equal(feed->cells[0].bytes, number, strlen(number));
        assert_int_equal(feed->cells[1].len, 2 + i % 23);
    }
    assert_int_equal(feed->next(feed), 0);
    assert_int_equal(feed->bytes, text.len);
    feed_close(&feed);
    text_clear(&text);
}

/* Whatever byte a read ends with. */
static void lines_are_the_same_from_reads_of_any_size(void **state)
{
    const size_t most = files_in_most;

    (void)state;
    for (files_in_most = 1; files_in_most < 20; files_in_most++) {
        every_line_is_a_row(state);
        strings_are_unescaped(state);
        nested_values_are_their_own_text(state);
        what_is_not_json_is_told_with_its_line(state);
    }
    files_in_most = most;
}

static void a_value_of_ten_megabytes_is_a_value(void **state)
{
    const size_t large = 10 << 20;
    char *bytes = malloc(large + 100), *end = bytes;

    (void)state;
    end += sprintf(end, "{\"a\":\"");
    memset(end, 'x', large);
    end += large;
    end += sprintf(end, "\"}\n");
    struct feed *feed =
        feed_of(jsonl_feed_fd, "{}", bytes, (size_t)(end - bytes));
    assert_int_equal(feed->next(feed), 1);
    assert_int_equal(feed->cells[0].len, large);
    feed_close(&feed);
    free(bytes);
}

static void an_endless_line_is_refused_in_bounded_memory(void **state)
{
    int fd = bytes_fd("{\"a\":\"", 6);
    json_t *config = config_of(TEXT_A);
    struct feed *feed;

    (void)state;
    assert_int_equal(ftruncate(fd, 1 << 30), 0);
    assert_int_equal(jsonl_feed_fd(fd, "in", config, &feed, error), 0);
    feed->skip = true;
    assert_int_equal(feed->next(feed), -1);
    assert_non_null(strstr(feed->error, "128 MiB"));
    feed_close(&feed);
    json_decref(config);
}

/* ---- writing ------------------------------------------------------------ */

static void every_type_is_written_in_its_form(void **state)
{
    (void)state;
    write_file(jsonl_sink, "{'path': 'out.jsonl'}",
               "i integer, d decimal, f double, b boolean, x bytes, y date, "
               "t text",
               "values (-5, '-0.50', 1e300, 1, x'00ff', '2024-02-29', "
               "'a\"\\' || char(10) || char(1) || 'é/'), "
               "(NULL, NULL, NULL, 0, x'', NULL, '')");
    char *got = contents("out.jsonl");
    assert_string_equal(
        got, "{\"i\":-5,\"d\":-0.50,\"f\":1e+300,\"b\":true,\"x\":\"AP8=\","
             "\"y\":\"2024-02-29\",\"t\":\"a\\\"\\\\\\n\\u0001é/\"}\n"
             "{\"i\":null,\"d\":null,\"f\":null,\"b\":false,\"x\":\"\","
             "\"y\":null,\"t\":\"\"}\n");
    free(got);
}

static void what_is_written_is_json_to_others(void **state)
{
    json_error_t wrong;

    (void)state;
    write_file(jsonl_sink, "{'path': 'out.jsonl'}",
               "\"k\\ text, f double, d decimal",
               "values (char(1,2,31,127,8232), 9e999, '1.0')");
    char *got = contents("out.jsonl");
    json_t *row = json_loads(got, 0, &wrong);
    assert_non_null(row);
    assert_string_equal(json_string_value(json_object_get(row, "\"k\\")),
                        "\x01\x02\x1f\x7f\xe2\x80\xa8");
    assert_true(json_is_string(json_object_get(row, "f")));
    assert_true(json_is_real(json_object_get(row, "d")));
    json_decref(row);
    free(got);
}

static void what_is_written_is_read_back(void **state)
{
    static const char config_text[] =
        "{'path': 'out.jsonl', 'columns': [{'name': 'i', 'type': 'integer'}, "
        "{'name': 'd', 'type': 'decimal'}, {'name': 'f', 'type': 'double'}, "
        "{'name': 'b', 'type': 'boolean'}, {'name': 'x', 'type': 'bytes'}, "
        "{'name': 'z', 'type': 'timestamptz'}, {'name': 'w'}]}";
    json_t *config = config_of(config_text);
    struct feed *feed;

    (void)state;
    write_file(jsonl_sink, config_text,
               "i integer, d decimal, f double, b boolean, x bytes, "
               "z timestamptz, w text",
               "values (-9223372036854775808, "
               "'12345678901234567890.0123456789', 0.1, 0, x'410a42', "
               "'2024-02-29 23:59:59+00', '\"' || char(10, 92, 8364)), "
               "(NULL, NULL, NULL, NULL, NULL, NULL, NULL), "
               "(0, '0', -0.5, 1, x'', '2024-01-01 00:00:00.5+00', '')");
    assert_int_equal(jsonl_feed(root, config, &feed, error), 0);
    char *got = drain(feed, false);
    assert_string_equal(got,
                        "[-9223372036854775808|12345678901234567890.0123456789"
                        "|0.1|f|A\nB|2024-02-29 23:59:59+00|\"\n\\€]"
                        "[~|~|~|~|~|~|~]"
                        "[0|0|-0.5|t||2024-01-01 00:00:00.5+00|]");
    free(got);
    feed_close(&feed);
    json_decref(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_line_is_a_row),
        cmocka_unit_test(a_missing_key_and_null_are_null),
        cmocka_unit_test(strings_are_unescaped),
        cmocka_unit_test(nested_values_are_their_own_text),
        cmocka_unit_test(what_is_not_json_is_told_with_its_line),
        cmocka_unit_test(a_nul_byte_is_no_text),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(a_key_that_is_no_column_is_bad),
        cmocka_unit_test(a_key_twice_is_bad),
        cmocka_unit_test(columns_are_the_keys_in_order_of_appearance),
        cmocka_unit_test(types_are_what_values_have_in_common),
        cmocka_unit_test(malformed_lines_say_nothing_about_columns),
        cmocka_unit_test(later_lines_have_to_fit_the_first_thousand),
        cmocka_unit_test(a_file_without_keys_needs_columns),
        cmocka_unit_test(more_keys_than_are_possible_are_refused),
        cmocka_unit_test(typed_columns_give_canonical_values),
        cmocka_unit_test(numbers_stay_exact),
        cmocka_unit_test(a_value_not_of_its_type_is_told_with_its_key),
        cmocka_unit_test(lines_across_the_window_are_whole),
        cmocka_unit_test(lines_are_the_same_from_reads_of_any_size),
        cmocka_unit_test(a_value_of_ten_megabytes_is_a_value),
        cmocka_unit_test(an_endless_line_is_refused_in_bounded_memory),
        cmocka_unit_test(every_type_is_written_in_its_form),
        cmocka_unit_test(what_is_written_is_json_to_others),
        cmocka_unit_test(what_is_written_is_read_back),
    };

    return cmocka_run_group_tests_name("jsonl", tests, make_root, remove_root);
}
