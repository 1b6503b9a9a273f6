/* text.c - see text.h */
#include "policy/text.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* RFC 3629: the second byte of some leads has a narrower range, which rules
 * out overlong forms, surrogates and anything beyond U+10FFFF. */
size_t text_utf8_len(const char *text, size_t bytes)
{
    assert(bytes > 0);
    unsigned char lead = (unsigned char)text[0];
    unsigned char low = 0x80;
    unsigned char high = 0xbf;
    size_t len;

    if (lead < 0x80)
        return 1;
    if (lead < 0xc2 || lead > 0xf4)
        return 0;
    if (lead < 0xe0) {
        len = 2;
    } else if (lead < 0xf0) {
        len = 3;
        low = lead == 0xe0 ? 0xa0 : 0x80;
        high = lead == 0xed ? 0x9f : 0xbf;
    } else {
        len = 4;
        low = lead == 0xf0 ? 0x90 : 0x80;
        high = lead == 0xf4 ? 0x8f : 0xbf;
    }
    if (bytes < len || (unsigned char)text[1] < low ||
        (unsigned char)text[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++) {
        if (!is_continuation(text[i]))
            return 0;
    }
    return len;
}

void text_trim_cut(char *text, size_t bytes)
{
    size_t start = bytes;
    while (start > 0 && is_continuation(text[start - 1]))
        start--;
    if (start > 0 && (unsigned char)text[start - 1] >= 0x80)
        start--;
    if (start < bytes && text_utf8_len(text + start, bytes - start) == 0)
        text[start] = '\0';
}

bool text_append(char *buf, size_t room, const char *fmt, ...)
{
    size_t used = strnlen(buf, room);
    assert(used < room);

    va_list args;
    va_start(args, fmt);
    int wanted = vsnprintf(buf + used, room - used, fmt, args);
    va_end(args);
    if (wanted >= 0 && (size_t)wanted < room - used)
        return true;
    if (wanted < 0)
        buf[used] = '\0';
    else
        text_trim_cut(buf, room - 1);
    return false;
}

void text_size(int64_t bytes, char ret_text[SIZE_TEXT_MAX])
{
    static const char *const units[] = {"KiB", "MiB", "GiB",
                                        "TiB", "PiB", "EiB"};
    assert(bytes >= 0);
    if (bytes < 1024) {
        snprintf(ret_text, SIZE_TEXT_MAX, "%d bytes", (int)bytes);
        return;
    }
    size_t unit = 0;
    int64_t whole = bytes;
    int64_t rest = 0;
    for (rest = whole % 1024, whole /= 1024; whole >= 1024; unit++) {
        rest = whole % 1024;
        whole /= 1024;
    }
    snprintf(ret_text, SIZE_TEXT_MAX, "%d.%d %s", (int)whole,
             (int)(rest * 10 / 1024), units[unit]);
}

void text_size_pair(int64_t a, int64_t b, char ret_a[SIZE_TEXT_MAX],
                    char ret_b[SIZE_TEXT_MAX])
{
    text_size(a, ret_a);
    text_size(b, ret_b);
    if (a != b && strcmp(ret_a, ret_b) == 0) {
        snprintf(ret_a, SIZE_TEXT_MAX, "%lld bytes", (long long)a);
        snprintf(ret_b, SIZE_TEXT_MAX, "%lld bytes", (long long)b);
    }
}

/* Optimal string alignment, of which three rows are kept. */
size_t text_distance(const char *a, const char *b, bool any_case)
{
    int (*differ)(const char *, const char *, size_t) =
        any_case ? strncasecmp : strncmp;
    size_t rows[3][TEXT_WORD_MAX + 1];
    size_t a_len = strlen(a);
    size_t b_len = strlen(b);
    if (a_len > TEXT_WORD_MAX || b_len > TEXT_WORD_MAX)
        return SIZE_MAX;

    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3];
        const size_t *above2 = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t best = above[j - 1] + (differ(&a[i - 1], &b[j - 1], 1) != 0);
            if (above[j] + 1 < best)
                best = above[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
                a[i - 2] == b[j - 1] && above2[j - 2] + 1 < best)
                best = above2[j - 2] + 1;
            row[j] = best;
        }
    }
    return rows[a_len % 3][b_len];
}
