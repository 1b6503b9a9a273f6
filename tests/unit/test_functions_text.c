/* Tests of agents/functions: text, digests and codings in SQLite. Results are
 * what PostgreSQL 15 answered to the same, where it has the same. */
#include "tests/unit/functions_bench.h"

/* ---- text ---------------------------------------------------------------- */

static void text_functions_count_characters(void **state)
{
    static const struct pair cases[] = {
        {"dp_upper(1, 'straße é я')", "STRAßE É Я"},
        {"dp_lower(1, 'ÀÉ Ω')", "àé ω"},
        {"dp_initcap(1, 'hELLO éa-b c1x')", "Hello Éa-B C1x"},
        {"dp_substr(1, 'äbcdé', 2, 3)", "bcd"},
        {"dp_substr(1, 'abc', -1, 3)", "a"},
        {"dp_substr(1, 'abc', 0)", "abc"},
        {"dp_substr(1, 'abc', 2)", "bc"},
        {"dp_substr(1, 'abc', 9, 2)", ""},
        {"dp_substr(1, 'abc', 2, 2147483647)", "bc"},
        {"dp_left(1, 'äöü', 2)", "äö"},
        {"dp_left(1, 'äöü', -1)", "äö"},
        {"dp_left(1, 'äöü', -9)", ""},
        {"dp_right(1, 'äöü', 2)", "öü"},
        {"dp_right(1, 'äöü', -1)", "öü"},
        {"dp_right(1, 'äöü', 9)", "äöü"},
        {"dp_trim(1, '  a b  ')", "a b"},
        {"dp_trim(1, 'éxaxé', 'xé')", "a"},
        {"dp_ltrim(1, 'xxa', 'x')", "a"},
        {"dp_rtrim(1, 'axx', 'x')", "a"},
        {"dp_rtrim(1, 'a', '')", "a"},
        {"dp_reverse(1, 'aé😀')", "😀éa"},
        {"dp_chr(1, 128512)", "😀"},
        {"dp_concat(1, 'a', NULL, 'é')", "aé"},
        {"dp_concat(1, NULL)", ""},
        {"dp_lpad(1, 'é', 3)", "  é"},
        {"dp_lpad(1, 'a', 6, 'xyz')", "xyzxya"},
        {"dp_rpad(1, 'a', 4, 'éy')", "aéyé"},
        {"dp_lpad(1, 'abc', 2)", "ab"},
        {"dp_rpad(1, 'abc', -1)", ""},
        {"dp_lpad(1, 'a', 5, '')", "a"},
        {"dp_split_part(1, 'a,b,c', ',', 2)", "b"},
        {"dp_split_part(1, 'a,b,c', ',', -1)", "c"},
        {"dp_split_part(1, 'a,b,c', ',', -3)", "a"},
        {"dp_split_part(1, 'a,b,c', ',', 4)", ""},
        {"dp_split_part(1, 'a,b,c', ',', -4)", ""},
        {"dp_split_part(1, 'abc', '', 1)", "abc"},
        {"dp_split_part(1, 'abc', '', 2)", ""},
        {"dp_upper(1, NULL)", "NULL"},
    };
    ALL_GIVE(state, cases);
}

static void text_functions_fail_where_there_is_no_result(void **state)
{
    static const struct pair cases[] = {
        {"dp_substr(1, 'abc', 1, -1)", "a negative length of a part of a text"},
        {"dp_substr(1, 'abc', 3000000000)", "3000000000 does not fit 32 bits"},
        {"dp_chr(1, 0)", "there is no character 0"},
        {"dp_chr(1, 55296)", "there is no character 55296"},
        {"dp_chr(1, 1114112)", "there is no character 1114112"},
        {"dp_split_part(1, 'a', ',', 0)",
         "parts of a text are counted from 1 or from -1"},
        {"dp_lpad(1, 'a', 2147483647, 'b')",
         "the result would be longer than 64 MiB"},
        {"dp_concat(1, zeroblob(50000000), zeroblob(50000000))",
         "the result would be longer than 64 MiB"},
    };
    ALL_FAIL(state, cases);
}

static void patterns_match_as_in_postgresql(void **state)
{
    static const struct pair cases[] = {
        {"dp_like(1, 'abc', 'a%', '\\')", "1"},
        {"dp_like(1, 'abc', 'A%', '\\')", "0"},
        {"dp_ilike(1, 'ÄBC', 'ä_c', '\\')", "1"},
        {"dp_like(1, 'é', '_', '')", "1"},
        {"dp_like(1, 'abcabd', '%ab_', '')", "1"},
        {"dp_like(1, 'abcabd', '%abc', '')", "0"},
        {"dp_like(1, '', '%', '')", "1"},
        {"dp_like(1, '', '_', '')", "0"},
        {"dp_like(1, 'a', '', '')", "0"},
        {"dp_like(1, '50%', '50\\%', '\\')", "1"},
        {"dp_like(1, '50x', '50\\%', '\\')", "0"},
        {"dp_like(1, '50\\x', '50\\%', '')", "1"},
        {"dp_like(1, 'a_b', 'a#_b', '#')", "1"},
        {"dp_like(1, 'axb', 'a#_b', '#')", "0"},
        {"dp_like(1, 'aaaaaaaaaaaaaaaaaaaaaaaaaab', '%a%a%a%a%a%a%c', '')",
         "0"},
        {"dp_like(1, NULL, '%', '')", "NULL"},
        {"dp_like(1, 'ab', 'ab\\', '\\')", "0"},
    };
    ALL_GIVE(state, cases);
    assert_fails(*state, "dp_like(1, 'abc', 'ab\\', '\\')",
                 "a pattern must not end with its escape character");
    assert_fails(*state, "dp_like(1, 'abc', 'a%', '##')",
                 "an escape is one character or none");
}

static void bytes_that_are_no_utf8_do_no_harm(void **state)
{
    static const char *const functions[] = {"hex(dp_upper(1, %s))",
                                            "hex(dp_initcap(1, %s))",
                                            "hex(dp_reverse(1, %s))",
                                            "hex(dp_substr(1, %s, 2, 2))",
                                            "hex(dp_left(1, %s, -1))",
                                            "hex(dp_right(1, %s, 1))",
                                            "hex(dp_trim(1, %s, %s))",
                                            "hex(dp_lpad(1, %s, 9, %s))",
                                            "hex(dp_rpad(1, 'a', 9, %s))",
                                            "hex(dp_split_part(1, %s, %s, 2))",
                                            "hex(dp_concat(1, %s, %s))",
                                            "dp_like(1, %s, %s, %s)",
                                            "dp_ilike(1, %s, '%%_', '')",
                                            "hex(dp_to_text(1, %s, 1, 2))",
                                            "dp_to_integer(1, %s, 1, 0)",
                                            "dp_to_date(1, %s, 1)",
                                            "dp_md5(1, %s)",
                                            "dp_dec_base64(1, %s)",
                                            "dp_convert_base(1, %s, 9, 8)"};
    static const char *const texts[] = {"cast(x'ff' as text)",
                                        "cast(x'80808080' as text)",
                                        "cast(x'c3' as text)",
                                        "cast(x'f09f98' as text)",
                                        "cast(x'eda080ff61' as text)",
                                        "cast(x'610061' as text)",
                                        "cast(x'' as text)",
                                        "x'ff00'",
                                        "x''",
                                        "zeroblob(3)"};
    struct bench *b = *state;

    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        for (size_t j = 0; j < sizeof texts / sizeof texts[0]; j++) {
            char sql[1024], got[1024];
            const char *x = texts[j];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
            snprintf(sql, sizeof sql, functions[i], x, x, x);
#pragma GCC diagnostic pop
            /* A result or an error: no crash. */
            (void)ask(b, sql, got, sizeof got);
        }
    }
    assert_gives(b, "hex(dp_upper(1, cast(x'61ff62' as text)))", "41FF42");
}

/* ---- digests and codings ------------------------------------------------- */

static void digests_are_the_known_ones(void **state)
{
    static const struct pair cases[] = {
        {"dp_md5(1, 'abc')", "900150983cd24fb0d6963f7d28e17f72"},
        {"dp_md5(1, x'')", "d41d8cd98f00b204e9800998ecf8427e"},
        {"dp_sha1(1, 'abc')", "a9993e364706816aba3e25717850c26c9cd0d89d"},
        {"dp_sha224(1, 'abc')",
         "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"},
        {"dp_sha256(1, 'abc')",
         "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"substr(dp_sha384(1, 'abc'), 1, 16)", "cb00753f45a35e8b"},
        {"substr(dp_sha512(1, 'abc'), 1, 16)", "ddaf35a193617aba"},
        {"length(dp_sha384(1, 'abc'))", "96"},
        {"length(dp_sha512(1, 'abc'))", "128"},
        {"dp_crc32(1, '123456789')", "3421780262"},
        {"dp_crc32(1, '')", "0"},
    };
    ALL_GIVE(state, cases);
}

static void codings_come_back(void **state)
{
    static const struct pair cases[] = {
        {"dp_enc_base64(1, 'grüße')", "Z3LDvMOfZQ=="},
        {"dp_enc_base64(1, '')", ""},
        {"dp_dec_base64(1, 'Z3LDvMOfZQ==')", "grüße"},
        {"typeof(dp_dec_base64(1, 'YQ=='))", "text"},
        {"hex(dp_dec_base64_bytes(1, '/wA='))", "FF00"},
        {"dp_decompress(1, dp_compress(1, 'hallo'))", "hallo"},
        {"dp_decompress(1, dp_compress(1, ''))", ""},
        {"typeof(dp_compress(1, 'hallo'))", "blob"},
        {"length(dp_decompress(1, dp_compress(1, "
         "replace(hex(zeroblob(500000)), '0', 'a'))))",
         "1000000"},
        {"dp_convert_base(1, 'ff', 16, 10)", "255"},
        {"dp_convert_base(1, '-255', 10, 16)", "-FF"},
        {"dp_convert_base(1, 'Zz', 36, 2)", "10100001111"},
        {"dp_convert_base(1, '99999999999999999999999', 10, 36)",
         "GA894A06AC6PV5R"},
    };
    ALL_GIVE(state, cases);
}

static void what_is_no_coding_is_refused(void **state)
{
    static const struct pair cases[] = {
        {"dp_dec_base64(1, 'YQ')", "\"YQ\" is not base64"},
        {"dp_dec_base64(1, '/wA=')",
         "the result is not UTF-8 text, or has a NUL"},
        {"dp_decompress(1, x'')", "these 0 bytes are not one zlib stream"},
        {"dp_decompress(1, x'789c00')",
         "these 3 bytes are not one zlib stream"},
        {"dp_decompress(1, 'garbage')",
         "these 7 bytes are not one zlib stream"},
        {"dp_decompress(1, dp_compress(1, 'hallo') || 'x')",
         "these 14 bytes are not one zlib stream"},
        {"dp_decompress(1, dp_compress(1, zeroblob(70000000)))",
         "the result would be longer than 64 MiB"},
        {"dp_convert_base(1, '2', 2, 10)", "\"2\" is not a number to base 2"},
        {"dp_convert_base(1, '', 2, 10)", "\"\" is not a number to base 2"},
        {"dp_convert_base(1, '-', 2, 10)", "\"-\" is not a number to base 2"},
        {"dp_convert_base(1, '1', 1, 10)", "bases are 2 to 36"},
        {"dp_convert_base(1, '1', 10, 37)", "bases are 2 to 36"},
    };
    ALL_FAIL(state, cases);
}

static void every_identifier_is_another(void **state)
{
    /* The limit keeps SQLite from writing the call in place of each u. */
    assert_gives(*state,
                 "count(distinct u) || '|' || min(length(u) = 36 AND "
                 "substr(u, 15, 1) = '4' AND instr('89ab', substr(u, 20, 1)) "
                 "> 0 AND lower(u) = u) FROM (SELECT dp_generate_uuid(1) AS u "
                 "FROM (VALUES (1), (2), (3), (4)) LIMIT 4)",
                 "4|1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(text_functions_count_characters, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            text_functions_fail_where_there_is_no_result, set_up, tear_down),
        cmocka_unit_test_setup_teardown(patterns_match_as_in_postgresql, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(bytes_that_are_no_utf8_do_no_harm,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(digests_are_the_known_ones, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(codings_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_coding_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(every_identifier_is_another, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
