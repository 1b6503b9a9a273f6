/* Covers agents/output.c (caps, ring, UTF-8) and agents/clean.c. */
#include "agents/clean.h"
#include "agents/output.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct heard {
    char *text;
    size_t len, pieces;
    char note[200];
    size_t note_at;
};

static void keep(void *context, const char *text, size_t bytes)
{
    struct heard *heard = context;

    assert_true(bytes > 0 && bytes <= OUTPUT_PIECE_MAX);
    heard->text = realloc(heard->text, heard->len + bytes + 1);
    memcpy(heard->text + heard->len, text, bytes);
    heard->len += bytes;
    heard->text[heard->len] = '\0';
    heard->pieces++;
}

static void keep_note(void *context, const char *text, size_t bytes)
{
    struct heard *heard = context;

    memcpy(heard->note, text, bytes);
    heard->note[bytes] = '\0';
    heard->note_at = heard->len;
}

static char byte_at(size_t i)
{
    return (char)('a' + (i * 7 + i / 26) % 26);
}

/* Feeds `total` known bytes in chunks and checks what is kept. */
static void check_total(size_t total, size_t chunk)
{
    struct output output;
    struct heard heard = {0};
    char *bytes = malloc(total + 1);

    for (size_t i = 0; i < total; i++)
        bytes[i] = byte_at(i);
    output_init(&output);
    for (size_t at = 0; at < total; at += chunk)
        output_feed(&output, bytes + at,
                    total - at < chunk ? total - at : chunk, 0, keep, &heard);
    uint64_t dropped = output_end(&output, keep, keep_note, &heard);
    size_t kept = total;
    if (total > OUTPUT_HEAD_MAX + OUTPUT_TAIL_MAX)
        kept = OUTPUT_HEAD_MAX + OUTPUT_TAIL_MAX;
    assert_int_equal(dropped, total - kept);
    assert_int_equal(heard.len, kept);
    if (dropped == 0) {
        assert_memory_equal(heard.text, bytes, kept);
        assert_string_equal(heard.note, "");
    } else {
        char number[48];
        snprintf(number, sizeof number, "%llu bytes dropped",
                 (unsigned long long)dropped);
        assert_non_null(strstr(heard.note, number));
        assert_int_equal(heard.note_at, OUTPUT_HEAD_MAX);
        assert_memory_equal(heard.text, bytes, OUTPUT_HEAD_MAX);
        assert_memory_equal(heard.text + OUTPUT_HEAD_MAX,
                            bytes + total - OUTPUT_TAIL_MAX, OUTPUT_TAIL_MAX);
    }
    assert_int_equal(output.total, total);
    output_clear(&output);
    free(heard.text);
    free(bytes);
}

static void head_and_tail_are_kept_and_the_middle_is_counted(void **state)
{
    static const size_t around[] = {OUTPUT_HEAD_MAX,
                                    OUTPUT_HEAD_MAX + OUTPUT_TAIL_MAX};
    static const size_t chunks[] = {1000, 4096, 65536, 1 << 20};

    (void)state;
    for (size_t c = 0; c < 4; c++) {
        for (size_t a = 0; a < 2; a++)
            for (size_t d = 0; d < 3; d++)
                check_total(around[a] + d - 1, chunks[c]);
        check_total(1, chunks[c]);
        check_total(3000001, chunks[c]);
    }
}

static void a_character_cut_by_a_read_goes_out_whole(void **state)
{
    struct output output;
    struct heard heard = {0};
    const char *euro = "\xe2\x82\xac";

    (void)state;
    output_init(&output);
    output_feed(&output, "x", 1, 0, keep, &heard);
    output_feed(&output, euro, 2, 0, keep, &heard);
    output_flush(&output, keep, &heard);
    assert_string_equal(heard.text, "x");
    output_feed(&output, euro + 2, 1, 0, keep, &heard);
    output_flush(&output, keep, &heard);
    assert_string_equal(heard.text, "x\xe2\x82\xac");
    /* A rest that never comes is not held back for ever. */
    output_feed(&output, euro, 1, 0, keep, &heard);
    output_flush(&output, keep, &heard);
    assert_int_equal(heard.len, 5);
    output_clear(&output);
    free(heard.text);
}

static void small_writes_wait_for_company_but_not_long(void **state)
{
    struct output output;
    struct heard heard = {0};

    (void)state;
    output_init(&output);
    assert_int_equal(output_due(&output), 0);
    output_feed(&output, "a", 1, 1000, keep, &heard);
    output_feed(&output, "b", 1, 1040, keep, &heard);
    assert_int_equal(heard.pieces, 0);
    assert_int_equal(output_due(&output), 1000 + OUTPUT_WAIT_MS);
    output_flush(&output, keep, &heard);
    assert_int_equal(heard.pieces, 1);
    assert_int_equal(output_due(&output), 0);
    output_clear(&output);
    free(heard.text);
}

static void any_bytes_become_text(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"plain\ttext\n", "plain\ttext\n"},
        {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
        {"cut \xe2\x82", "cut ??"},
        {"\xff\xfe", "??"},
        {"\xc0\xaf", "??"},
        {"\xed\xa0\x80", "???"},
        {"bell\x07", "bell?"},
        {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
        {"\xf4\x90\x80\x80", "????"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[64];
        snprintf(text, sizeof text, "%s", cases[i].in);
        clean_text(text);
        assert_string_equal(text, cases[i].out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(head_and_tail_are_kept_and_the_middle_is_counted),
        cmocka_unit_test(a_character_cut_by_a_read_goes_out_whole),
        cmocka_unit_test(small_writes_wait_for_company_but_not_long),
        cmocka_unit_test(any_bytes_become_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
