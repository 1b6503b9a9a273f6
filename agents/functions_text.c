/*
 * Functions of text. A character is a byte that continues no other and what
 * continues it, so that text which is no UTF-8 has characters as well, if
 * others than its writer meant. Letters' case is that of the C.UTF-8 locale,
 * asked for by name: the process's own locale is left alone.
 */
#include "agents/functions_inside.h"

#include <errno.h>
#include <locale.h>
#include <pthread.h>
#include <string.h>
#include <wctype.h>

struct span {
    const char *at;
    size_t len;
};

static bool read_span(struct function_call *call, int arg, struct span *ret)
{
    ret->at = function_text(call, arg, &ret->len);
    return ret->at != NULL;
}

static bool continues(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

static const char *next(const char *at, const char *end)
{
    for (at++; at < end && continues(*at); at++)
        ;
    return at;
}

static const char *previous(const char *at, const char *begin)
{
    for (at--; at > begin && continues(*at); at--)
        ;
    return at;
}

/* The end of the first `count` characters. */
static const char *skip(const char *at, const char *end, int64_t count)
{
    for (; count > 0 && at < end; count--)
        at = next(at, end);
    return at;
}

/* ---- case ---------------------------------------------------------------- */

static locale_t unicode;

static void open_unicode(void)
{
    unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

/* NULL: the system has no such locale, and only ASCII has case. */
static locale_t letters(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, open_unicode);
    return unicode;
}

static uint32_t to_upper(uint32_t c)
{
    if (c < 0x80)
        return c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c;
    return letters() ? (uint32_t)towupper_l((wint_t)c, letters()) : c;
}

static uint32_t to_lower(uint32_t c)
{
    if (c < 0x80)
        return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
    return letters() ? (uint32_t)towlower_l((wint_t)c, letters()) : c;
}

static bool in_word(uint32_t c)
{
    if (c < 0x80)
        return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
               (c >= 'a' && c <= 'z');
    return letters() && iswalnum_l((wint_t)c, letters());
}

static char *put_character(char *to, uint32_t c)
{
    if (c < 0x80) {
        *to++ = (char)c;
    } else if (c < 0x800) {
        *to++ = (char)(0xc0 | c >> 6);
        *to++ = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        *to++ = (char)(0xe0 | c >> 12);
        *to++ = (char)(0x80 | (c >> 6 & 0x3f));
        *to++ = (char)(0x80 | (c & 0x3f));
    } else {
        *to++ = (char)(0xf0 | c >> 18);
        *to++ = (char)(0x80 | (c >> 12 & 0x3f));
        *to++ = (char)(0x80 | (c >> 6 & 0x3f));
        *to++ = (char)(0x80 | (c & 0x3f));
    }
    return to;
}

enum letter_case { UPPER, LOWER, INITIAL };

static void change_case(struct function_call *call, enum letter_case wanted)
{
    struct span text;
    bool inside = false;

    if (!read_span(call, 0, &text))
        return;
    /* A letter may grow from two bytes to three, from none to more. */
    char *room = sqlite3_malloc64((uint64_t)text.len * 2 + 1);
    if (!room) {
        sqlite3_result_error_nomem(call->context);
        return;
    }
    char *out = room;
    for (const char *at = text.at, *end = at + text.len; at < end;) {
        uint32_t c;
        size_t len = value_character(at, end, &c);
        if (len == 0) {
            *out++ = *at++;
            inside = false;
            continue;
        }
        bool upper = wanted == UPPER || (wanted == INITIAL && !inside);
        inside = wanted == INITIAL && in_word(c);
        out = put_character(out, upper ? to_upper(c) : to_lower(c));
        at += len;
    }
    if (out - room > FUNCTION_BYTES_MAX) {
        sqlite3_free(room);
        function_fail(call, "the result would be longer than %d MiB",
                      FUNCTION_BYTES_MAX / 1024 / 1024);
        return;
    }
    function_take_text(call, room, (size_t)(out - room));
}

static void upper(struct function_call *call)
{
    change_case(call, UPPER);
}

static void lower(struct function_call *call)
{
    change_case(call, LOWER);
}

static void initcap(struct function_call *call)
{
    change_case(call, INITIAL);
}

/* ---- parts --------------------------------------------------------------- */

static void give_part(struct function_call *call, const char *from,
                      const char *to)
{
    if (to - from > FUNCTION_BYTES_MAX)
        function_fail(call, "the result would be longer than %d MiB",
                      FUNCTION_BYTES_MAX / 1024 / 1024);
    else
        function_give_text(call, from, (size_t)(to - from));
}

static void substr(struct function_call *call)
{
    int32_t start, count = 0;
    struct span text;

    if (!read_span(call, 0, &text) || !function_small(call, 1, &start) ||
        (call->count > 2 && !function_small(call, 2, &count)))
        return;
    if (count < 0) {
        function_fail(call, "a negative length of a part of a text");
        return;
    }
    /* Places before the first count, too. */
    const char *end = text.at + text.len;
    int64_t first = start > 1 ? start : 1, behind = (int64_t)start + count;
    const char *from = skip(text.at, end, first - 1);
    const char *to = end;
    if (call->count > 2)
        to = behind > first ? skip(from, end, behind - first) : from;
    give_part(call, from, to);
}

static void left(struct function_call *call)
{
    struct span text;
    int32_t count;

    if (!read_span(call, 0, &text) || !function_small(call, 1, &count))
        return;
    const char *to = text.at + text.len;
    if (count >= 0)
        to = skip(text.at, to, count);
    else
        for (int64_t i = count; i < 0 && to > text.at; i++)
            to = previous(to, text.at);
    give_part(call, text.at, to);
}

static void right(struct function_call *call)
{
    struct span text;
    int32_t count;

    if (!read_span(call, 0, &text) || !function_small(call, 1, &count))
        return;
    const char *end = text.at + text.len, *from = end;
    if (count < 0)
        from = skip(text.at, end, -(int64_t)count);
    else
        for (int32_t i = 0; i < count && from > text.at; i++)
            from = previous(from, text.at);
    give_part(call, from, end);
}

static bool in_set(const char *at, const char *end, const struct span *set)
{
    const char *set_end = set->at + set->len;
    size_t len = (size_t)(end - at);

    if (len == 1)
        return memchr(set->at, *at, set->len) != NULL;
    for (const char *s = set->at; s < set_end; s = next(s, set_end))
        if ((size_t)(next(s, set_end) - s) == len && memcmp(s, at, len) == 0)
            return true;
    return false;
}

static void cut(struct function_call *call, bool at_left, bool at_right)
{
    struct span text, set = {" ", 1};

    if (!read_span(call, 0, &text) ||
        (call->count > 1 && !read_span(call, 1, &set)))
        return;
    const char *from = text.at, *to = text.at + text.len;
    while (at_left && from < to && in_set(from, next(from, to), &set))
        from = next(from, to);
    while (at_right && from < to && in_set(previous(to, from), to, &set))
        to = previous(to, from);
    give_part(call, from, to);
}

static void trim(struct function_call *call)
{
    cut(call, true, true);
}

static void ltrim(struct function_call *call)
{
    cut(call, true, false);
}

static void rtrim(struct function_call *call)
{
    cut(call, false, true);
}

static const char *find(const char *at, const char *end,
                        const struct span *what)
{
    const char *found = memmem(at, (size_t)(end - at), what->at, what->len);

    return found ? found : end;
}

static void split_part(struct function_call *call)
{
    struct span text, by;
    int32_t wanted;

    if (!read_span(call, 0, &text) || !read_span(call, 1, &by) ||
        !function_small(call, 2, &wanted))
        return;
    if (wanted == 0) {
        function_fail(call, "parts of a text are counted from 1 or from -1");
        return;
    }
    const char *end = text.at + text.len, *at = text.at;
    if (by.len == 0) {
        give_part(call, at, wanted == 1 || wanted == -1 ? end : at);
        return;
    }
    int64_t part = wanted;
    if (wanted < 0) {
        int64_t parts = 1;
        for (const char *c = at; (c = find(c, end, &by)) < end; c += by.len)
            parts++;
        part = parts + wanted + 1;
        if (part < 1) {
            give_part(call, at, at);
            return;
        }
    }
    for (; part > 1; part--) {
        at = find(at, end, &by);
        if (at == end)
            break;
        at += by.len;
    }
    give_part(call, at, part > 1 ? at : find(at, end, &by));
}

/* ---- made anew ----------------------------------------------------------- */

static void reverse(struct function_call *call)
{
    struct span text;

    if (!read_span(call, 0, &text))
        return;
    char *room = function_room(call, text.len);
    if (!room)
        return;
    char *out = room + text.len;
    for (const char *at = text.at, *end = at + text.len; at < end;) {
        const char *behind = next(at, end);
        out -= behind - at;
        memcpy(out, at, (size_t)(behind - at));
        at = behind;
    }
    function_take_text(call, room, text.len);
}

static void character(struct function_call *call)
{
    int64_t c = function_integer(call, 0);
    char text[4];

    if (c < 1 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) {
        function_fail(call, "there is no character %lld", (long long)c);
        return;
    }
    function_give_text(call, text,
                       (size_t)(put_character(text, (uint32_t)c) - text));
}

static void concat(struct function_call *call)
{
    uint64_t len = 0;
    struct span part;

    /* What is no text yet becomes it here, before lengths are added. */
    for (int i = 0; i < call->count; i++) {
        if (sqlite3_value_type(call->args[i]) == SQLITE_NULL)
            continue;
        if (!read_span(call, i, &part))
            return;
        len += part.len;
    }
    char *room = function_room(call, len);
    if (!room)
        return;
    char *out = room;
    for (int i = 0; i < call->count; i++) {
        if (sqlite3_value_type(call->args[i]) == SQLITE_NULL)
            continue;
        if (!read_span(call, i, &part)) {
            sqlite3_free(room);
            return;
        }
        memcpy(out, part.at, part.len);
        out += part.len;
    }
    function_take_text(call, room, (size_t)(out - room));
}

static void pad(struct function_call *call, bool at_left)
{
    struct span text, fill = {" ", 1};
    int32_t wanted;

    if (!read_span(call, 0, &text) || !function_small(call, 1, &wanted) ||
        (call->count > 2 && !read_span(call, 2, &fill)))
        return;
    const char *end = text.at + text.len;
    int64_t has = (int64_t)value_characters(text.at, text.len);
    int64_t missing = wanted - has;
    if (missing <= 0 || fill.len == 0) {
        give_part(call, text.at,
                  missing < 0 ? skip(text.at, end, wanted) : end);
        return;
    }
    int64_t fill_has = (int64_t)value_characters(fill.at, fill.len);
    /* Bytes that only continue others are no character to count. */
    if (fill_has == 0) {
        give_part(call, text.at, end);
        return;
    }
    uint64_t whole = (uint64_t)(missing / fill_has);
    const char *rest = skip(fill.at, fill.at + fill.len, missing % fill_has);
    uint64_t rest_len = (uint64_t)(rest - fill.at);
    if (whole > FUNCTION_BYTES_MAX || fill.len > FUNCTION_BYTES_MAX)
        whole = fill.len = FUNCTION_BYTES_MAX; /* too long, without overflow */
    uint64_t len = text.len + whole * fill.len + rest_len;
    char *room = function_room(call, len);
    if (!room)
        return;
    char *out = room;
    if (!at_left) {
        memcpy(out, text.at, text.len);
        out += text.len;
    }
    for (; whole > 0; whole--) {
        memcpy(out, fill.at, fill.len);
        out += fill.len;
    }
    memcpy(out, fill.at, rest_len);
    out += rest_len;
    if (at_left)
        memcpy(out, text.at, text.len);
    function_take_text(call, room, (size_t)len);
}

static void lpad(struct function_call *call)
{
    pad(call, true);
}

static void rpad(struct function_call *call)
{
    pad(call, false);
}

/* ---- patterns ------------------------------------------------------------ */

enum element { PATTERN_END, ANY_TEXT, ANY_CHARACTER, LITERAL, CUT_SHORT };

struct pattern {
    const char *at, *end;
    struct span escape;
    bool fold; /* case does not matter */
};

/* What stands at `at`; a literal's bytes in *ret_literal, what comes behind in
 * *ret_next. */
static enum element read_element(const struct pattern *pattern, const char *at,
                                 struct span *ret_literal,
                                 const char **ret_next)
{
    const struct span *escape = &pattern->escape;

    if (at == pattern->end)
        return PATTERN_END;
    if (escape->len > 0 && (size_t)(pattern->end - at) >= escape->len &&
        memcmp(at, escape->at, escape->len) == 0) {
        at += escape->len;
        if (at == pattern->end)
            return CUT_SHORT;
    } else if (*at == '%' || *at == '_') {
        *ret_next = at + 1;
        return *at == '%' ? ANY_TEXT : ANY_CHARACTER;
    }
    *ret_next = next(at, pattern->end);
    *ret_literal = (struct span){at, (size_t)(*ret_next - at)};
    return LITERAL;
}

static bool same(const struct pattern *pattern, const struct span *literal,
                 const char *at, const char *behind)
{
    size_t len = (size_t)(behind - at);
    uint32_t a, b;

    if (len == literal->len && memcmp(at, literal->at, len) == 0)
        return true;
    return pattern->fold &&
           value_character(literal->at, literal->at + literal->len, &a) > 0 &&
           value_character(at, behind, &b) > 0 && to_lower(a) == to_lower(b);
}

/* 1, 0, or -1: the pattern ends with its escape character. After a mismatch
 * the last % takes one character more; what earlier ones took need never be
 * gone back to. */
static int matches(const struct span *text, const struct pattern *pattern)
{
    const char *at = text->at, *end = at + text->len, *p = pattern->at;
    const char *retry = NULL, *retry_at = NULL, *behind = NULL;
    struct span literal;

    while (at < end) {
        enum element element = read_element(pattern, p, &literal, &behind);
        if (element == CUT_SHORT)
            return -1;
        if (element == ANY_TEXT) {
            p = retry = behind;
            retry_at = at;
            if (p == pattern->end)
                return 1;
        } else if (element == ANY_CHARACTER ||
                   (element == LITERAL &&
                    same(pattern, &literal, at, next(at, end)))) {
            p = behind;
            at = next(at, end);
        } else if (retry) {
            p = retry;
            at = retry_at = next(retry_at, end);
        } else {
            return 0;
        }
    }
    while (p < pattern->end && *p == '%' &&
           read_element(pattern, p, &literal, &behind) == ANY_TEXT)
        p = behind;
    return p == pattern->end;
}

static void match(struct function_call *call, bool fold)
{
    struct pattern pattern = {.fold = fold};
    struct span text, by;

    if (!read_span(call, 0, &text) || !read_span(call, 1, &by))
        return;
    if (call->count > 2 && !read_span(call, 2, &pattern.escape))
        return;
    pattern.at = by.at;
    pattern.end = by.at + by.len;
    if (value_characters(pattern.escape.at, pattern.escape.len) > 1) {
        function_fail(call, "an escape is one character or none");
        return;
    }
    int result = matches(&text, &pattern);
    if (result < 0)
        function_fail(call, "a pattern must not end with its escape character");
    else
        function_give_integer(call, result);
}

static void like(struct function_call *call)
{
    match(call, false);
}

static void ilike(struct function_call *call)
{
    match(call, true);
}

const struct function functions_text[] = {
    {"upper", 1, 1, upper, false, false},
    {"lower", 1, 1, lower, false, false},
    {"initcap", 1, 1, initcap, false, false},
    {"substr", 2, 3, substr, false, false},
    {"left", 2, 2, left, false, false},
    {"right", 2, 2, right, false, false},
    {"trim", 1, 2, trim, false, false},
    {"ltrim", 1, 2, ltrim, false, false},
    {"rtrim", 1, 2, rtrim, false, false},
    {"split_part", 3, 3, split_part, false, false},
    {"reverse", 1, 1, reverse, false, false},
    {"chr", 1, 1, character, false, false},
    {"concat", 1, -1, concat, true, false},
    {"lpad", 2, 3, lpad, false, false},
    {"rpad", 2, 3, rpad, false, false},
    {"like", 2, 3, like, false, false},
    {"ilike", 2, 3, ilike, false, false},
    {0},
};
