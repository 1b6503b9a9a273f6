/* jsonl_scan.c - see jsonl_scan.h. */
#include "agents/jsonl_scan.h"

#include <stdint.h>
#include <string.h>

void json_scan_begin(struct json_scan *scan, char *line, size_t len)
{
    *scan = (struct json_scan){.begun = false};
    scan->at = line;
    scan->end = line + len;
}

static int bad(struct json_scan *scan, const char *why)
{
    scan->why = why;
    return -1;
}

static void skip_blanks(struct json_scan *scan)
{
    while (scan->at < scan->end && (*scan->at == ' ' || *scan->at == '\t' ||
                                    *scan->at == '\r' || *scan->at == '\n'))
        scan->at++;
}

/* Takes this byte if it is the next one. */
static bool take(struct json_scan *scan, char byte)
{
    if (scan->at == scan->end || *scan->at != byte)
        return false;
    scan->at++;
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static int skip_escape(struct json_scan *scan)
{
    static const char letters[] = "\"\\/bfnrtu";

    scan->at++;
    if (scan->at == scan->end || !*scan->at || !strchr(letters, *scan->at))
        return bad(scan, "an escape in a string that is none");
    if (*scan->at++ != 'u')
        return 0;
    for (int i = 0; i < 4; i++, scan->at++)
        if (scan->at == scan->end || hex_digit(*scan->at) < 0)
            return bad(scan, "\\u without four hex digits");
    return 0;
}

/* Behind the opening quote. */
static int scan_string(struct json_scan *scan, struct json_piece *ret_piece)
{
    char *first = scan->at;
    bool escaped = false;

    for (;;) {
        while (scan->at < scan->end && *scan->at != '"' && *scan->at != '\\' &&
               (unsigned char)*scan->at >= ' ')
            scan->at++;
        if (scan->at == scan->end)
            return bad(scan, "a string that is not closed");
        if (*scan->at == '"')
            break;
        if (*scan->at != '\\')
            return bad(scan, "a control character in a string");
        escaped = true;
        if (skip_escape(scan) < 0)
            return -1;
    }
    *ret_piece =
        (struct json_piece){first, (size_t)(scan->at - first), escaped};
    scan->at++;
    return 0;
}

static size_t skip_digits(struct json_scan *scan)
{
    char *first = scan->at;

    while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9')
        scan->at++;
    return (size_t)(scan->at - first);
}

static int scan_number(struct json_scan *scan, bool *ret_fraction)
{
    bool fraction = false;

    take(scan, '-');
    bool zero = scan->at < scan->end && *scan->at == '0';
    size_t digits = skip_digits(scan);
    if (digits == 0 || (zero && digits > 1))
        return bad(scan, "a number that is none");
    if (take(scan, '.')) {
        fraction = true;
        if (skip_digits(scan) == 0)
            return bad(scan, "a number with no digit behind its point");
    }
    if (take(scan, 'e') || take(scan, 'E')) {
        fraction = true;
        if (!take(scan, '+'))
            take(scan, '-');
        if (skip_digits(scan) == 0)
            return bad(scan, "a number with no digit in its exponent");
    }
    *ret_fraction = fraction;
    return 0;
}

static int scan_word(struct json_scan *scan, const char *word)
{
    size_t len = strlen(word);

    if ((size_t)(scan->end - scan->at) < len ||
        memcmp(scan->at, word, len) != 0)
        return bad(scan, "a value that is none");
    scan->at += len;
    return 0;
}

/* At the first byte of a value that is neither object nor array. */
static int scan_scalar(struct json_scan *scan, struct json_member *ret)
{
    char *first = scan->at;
    int rc;

    ret->fraction = false;
    if (first == scan->end)
        return bad(scan, "a value is missing");
    switch (*first) {
    case '"':
        ret->kind = JSON_IS_STRING;
        scan->at++;
        return scan_string(scan, &ret->value);
    case 't':
        ret->kind = JSON_IS_TRUE;
        rc = scan_word(scan, "true");
        break;
    case 'f':
        ret->kind = JSON_IS_FALSE;
        rc = scan_word(scan, "false");
        break;
    case 'n':
        ret->kind = JSON_IS_NULL;
        rc = scan_word(scan, "null");
        break;
    default:
        ret->kind = JSON_IS_NUMBER;
        rc = *first == '-' || (*first >= '0' && *first <= '9')
                 ? scan_number(scan, &ret->fraction)
                 : bad(scan, "a value that is none");
        break;
    }
    ret->value = (struct json_piece){first, (size_t)(scan->at - first), false};
    return rc;
}

/* An object or an array, at its bracket. The brackets that are open are a
 * stack of their own, since a line may have millions of them. */
static int scan_nested(struct json_scan *scan)
{
    char open[JSON_DEPTH_MAX] = {0};
    struct json_member ignored;
    size_t depth = 0;
    bool after_value = false; /* else a value or a first closing bracket */
    bool first = true;

    do {
        skip_blanks(scan);
        if (scan->at == scan->end)
            return bad(scan, "an object or array that is not closed");
        if (depth > 0 && (first || after_value) &&
            take(scan, open[depth - 1])) {
            depth--;
            after_value = true;
            first = false;
            continue;
        }
        if (after_value) {
            if (!take(scan, ','))
                return bad(scan, "a comma is missing");
            skip_blanks(scan);
        }
        if (depth > 0 && open[depth - 1] == '}') {
            if (!take(scan, '"'))
                return bad(scan, "a key is missing");
            if (scan_string(scan, &ignored.key) < 0)
                return -1;
            skip_blanks(scan);
            if (!take(scan, ':'))
                return bad(scan, "a colon is missing");
            skip_blanks(scan);
        }
        bool object = take(scan, '{');
        if (object || take(scan, '[')) {
            if (depth == JSON_DEPTH_MAX)
                return bad(scan, "objects and arrays nested too deep");
            open[depth++] = object ? '}' : ']';
            first = true;
            after_value = false;
            continue;
        }
        if (scan_scalar(scan, &ignored) < 0)
            return -1;
        first = false;
        after_value = true;
    } while (depth > 0);
    return 0;
}

/* At the first byte of a value. */
static int scan_value(struct json_scan *scan, struct json_member *ret)
{
    char *first = scan->at;

    if (first == scan->end || (*first != '{' && *first != '['))
        return scan_scalar(scan, ret);
    int rc = scan_nested(scan);
    ret->kind = JSON_IS_NESTED;
    ret->fraction = false;
    ret->value = (struct json_piece){first, (size_t)(scan->at - first), false};
    return rc;
}

static int at_the_end(struct json_scan *scan)
{
    skip_blanks(scan);
    if (scan->at < scan->end)
        return bad(scan, "something behind the object");
    return 0;
}

int json_scan_next(struct json_scan *scan, struct json_member *ret_member)
{
    skip_blanks(scan);
    if (!scan->begun) {
        scan->begun = true;
        if (!take(scan, '{'))
            return bad(scan, "this is not an object");
        skip_blanks(scan);
        if (take(scan, '}'))
            return at_the_end(scan);
    } else {
        if (take(scan, '}'))
            return at_the_end(scan);
        if (!take(scan, ','))
            return bad(scan, "a comma or the end of the object is missing");
        skip_blanks(scan);
    }
    if (!take(scan, '"'))
        return bad(scan, "a key is missing");
    if (scan_string(scan, &ret_member->key) < 0)
        return -1;
    skip_blanks(scan);
    if (!take(scan, ':'))
        return bad(scan, "a colon is missing");
    skip_blanks(scan);
    return scan_value(scan, ret_member) < 0 ? -1 : 1;
}

/* ---- escapes ------------------------------------------------------------ */

static unsigned read_hex(const char *at)
{
    unsigned value = 0;

    for (int i = 0; i < 4; i++)
        value = value * 16 + (unsigned)hex_digit(at[i]);
    return value;
}

/* Behind "\u": its code point, and the other half of a pair. Returns the bytes
 * read, 0: not a character. */
static size_t read_code(const char *at, const char *end, unsigned *ret_code)
{
    unsigned code = read_hex(at), low;

    *ret_code = code;
    if (code < 0xd800 || code > 0xdfff)
        return code ? 4 : 0;
    if (code > 0xdbff || end - at < 10 || at[4] != '\\' || at[5] != 'u')
        return 0;
    low = read_hex(at + 6);
    if (low < 0xdc00 || low > 0xdfff)
        return 0;
    *ret_code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    return 10;
}

static char *put_code(char *to, unsigned code)
{
    if (code < 0x80) {
        *to++ = (char)code;
        return to;
    }
    int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const unsigned char heads[] = {0, 0xc0, 0xe0, 0xf0};
    *to++ = (char)(heads[more] | (code >> (6 * more)));
    while (more-- > 0)
        *to++ = (char)(0x80 | ((code >> (6 * more)) & 0x3f));
    return to;
}

const char *json_unescape(struct json_piece *piece)
{
    static const char letters[] = "bfnrt", meant[] = "\b\f\n\r\t";
    char *at = piece->bytes, *end = at + piece->len, *to = at;

    if (!piece->escaped)
        return NULL;
    while (at < end) {
        char *escape = memchr(at, '\\', (size_t)(end - at));
        size_t plain = (size_t)((escape ? escape : end) - at);
        memmove(to, at, plain);
        to += plain;
        at += plain;
        if (!escape)
            break;
        const char *letter = strchr(letters, at[1]);
        if (at[1] == 'u') {
            unsigned code;
            size_t used = read_code(at + 2, end, &code);
            if (used == 0)
                return code ? "half of a surrogate pair" : "a NUL character";
            to = put_code(to, code);
            at += 2 + used;
        } else {
            *to = at[1];
            if (letter)
                *to = meant[letter - letters];
            to++;
            at += 2;
        }
    }
    piece->len = (size_t)(to - piece->bytes);
    piece->escaped = false;
    return NULL;
}
