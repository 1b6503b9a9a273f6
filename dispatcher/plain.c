/* plain.c - see plain.h */
#include "dispatcher/plain.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

static void *must(void *memory)
{
    if (!memory) {
        (void)fputs("out of memory\n", stderr);
        abort();
    }
    return memory;
}

/* One character of UTF-8; returns its bytes, or 0 when they are not one.
 * Strict: no overlong forms, no surrogates, nothing above U+10FFFF. */
static size_t decode(const char *text, size_t bytes, uint32_t *ret_point)
{
    const unsigned char *at = (const unsigned char *)text;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};

    if (bytes == 0)
        return 0;
    if (at[0] < 0x80) {
        *ret_point = at[0];
        return 1;
    }
    size_t len = at[0] >= 0xF0 ? 4 : at[0] >= 0xE0 ? 3 : 2;
    if (at[0] < 0xC2 || at[0] > 0xF4 || len > bytes)
        return 0;
    uint32_t point = at[0] & (0xFFU >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        if ((at[i] & 0xC0) != 0x80)
            return 0;
        point = point << 6 | (at[i] & 0x3FU);
    }
    if (point < least[len] || point > 0x10FFFF ||
        (point >= 0xD800 && point <= 0xDFFF))
        return 0;
    *ret_point = point;
    return len;
}

/* What a terminal or a reader could be deceived by. */
static bool is_harmful(uint32_t point)
{
    return point < 0x20 || (point >= 0x7F && point < 0xA0) ||
           (point >= 0x200B && point <= 0x200F) || /* zero width, marks */
           (point >= 0x2028 && point <= 0x202E) || /* lines, directions */
           (point >= 0x2060 && point <= 0x206F) || point == 0xFEFF ||
           point == 0x061C || (point >= 0xE0000 && point <= 0xE0FFF) ||
           (point & 0xFFFE) == 0xFFFE;
}

/* Bytes and columns of the character at `text`, as plain_clean() leaves it. */
static size_t step(const char *text, size_t bytes, int *ret_columns)
{
    uint32_t point = 0;
    size_t len = decode(text, bytes, &point);

    if (len == 0 || is_harmful(point)) {
        *ret_columns = 1;
        return len > 0 ? len : 1;
    }
    int columns = wcwidth((wchar_t)point);
    *ret_columns = columns < 0 ? 1 : columns;
    return len;
}

int plain_columns(const char *text)
{
    size_t bytes = strlen(text);
    int sum = 0;

    while (bytes > 0) {
        int columns = 0;
        size_t len = step(text, bytes, &columns);
        sum += columns;
        text += len;
        bytes -= len;
    }
    return sum;
}

char *plain_clean(const char *text, size_t bytes, bool keep_lines)
{
    char *copy = must(malloc(bytes + 1));
    size_t filled = 0;

    while (bytes > 0) {
        uint32_t point = 0;
        size_t len = decode(text, bytes, &point);
        if (len == 1 && (point == '\n' || point == '\t')) {
            copy[filled++] = ' ';
            if (keep_lines)
                copy[filled - 1] = *text;
        } else if (len == 0 || is_harmful(point)) {
            copy[filled++] = '?';
        } else {
            memcpy(copy + filled, text, len);
            filled += len;
        }
        len = len > 0 ? len : 1;
        text += len;
        bytes -= len;
    }
    copy[filled] = '\0';
    return copy;
}

char *plain_cut(const char *text, int columns, const char *ellipsis)
{
    if (plain_columns(text) <= columns)
        return must(strdup(text));

    int room = columns - plain_columns(ellipsis);
    size_t kept = 0;
    size_t bytes = strlen(text);
    if (room < 0) {
        room = columns;
        ellipsis = "";
    }
    while (kept < bytes) {
        int width = 0;
        size_t len = step(text + kept, bytes - kept, &width);
        if (width > room)
            break;
        room -= width;
        kept += len;
    }
    return plain_format("%.*s%s", (int)kept, text, ellipsis);
}

size_t plain_wrap(const char *text, int columns, const char **ret_next)
{
    size_t bytes = strlen(text);
    size_t at = 0;
    size_t space = 0; /* the last one where a line may end; 0: none */
    int used = 0;

    while (at < bytes) {
        int width = 0;
        size_t len = step(text + at, bytes - at, &width);
        if (text[at] == ' ')
            space = at;
        if (used + width > columns && at > 0)
            break;
        used += width;
        at += len;
    }
    if (at >= bytes) {
        *ret_next = NULL;
        return bytes;
    }
    size_t end = space > 0 ? space : at;
    const char *next = text + end;
    while (*next == ' ')
        next++;
    *ret_next = *next ? next : NULL;
    return end;
}

char *plain_format(const char *fmt, ...)
{
    char *text = NULL;
    va_list args;

    va_start(args, fmt);
    int len = vasprintf(&text, fmt, args);
    va_end(args);
    return must(len < 0 ? NULL : text);
}

char *plain_duration(double seconds)
{
    static const struct {
        long long seconds;
        const char *name;
    } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};

    if (!(seconds > 0)) /* also not a number */
        return plain_format("0 s");
    if (seconds < 0.9995)
        return plain_format("%.0f ms", seconds * 1000);
    if (seconds < 59.95)
        return plain_format("%.*f s", seconds < 10 ? 1 : 0, seconds);
    if (seconds > 86400.0 * 99999)
        return plain_format("very long");
    long long rest = (long long)(seconds + 0.5);
    size_t unit = rest >= 86400 ? 0 : rest >= 3600 ? 1 : 2;
    long long first = rest / units[unit].seconds;
    long long second = rest % units[unit].seconds / units[unit + 1].seconds;
    if (second == 0)
        return plain_format("%lld %s", first, units[unit].name);
    return plain_format("%lld %s %lld %s", first, units[unit].name, second,
                        units[unit + 1].name);
}

char *plain_size(double bytes)
{
    static const char *const units[] = {"B",   "KiB", "MiB", "GiB",
                                        "TiB", "PiB", "EiB"};
    size_t unit = 0;

    while (bytes >= 1023.95 && unit + 1 < sizeof units / sizeof units[0]) {
        bytes /= 1024;
        unit++;
    }
    bool whole = unit == 0 || bytes - (double)(long long)bytes < 0.05;
    return plain_format("%.*f %s", whole ? 0 : 1, bytes, units[unit]);
}

char *plain_count(double count)
{
    char *digits = plain_format("%.0f", count > 0 ? count : 0);
    size_t len = strlen(digits);
    char *text = must(malloc(len + len / 3 + 1));
    char *to = text;

    for (size_t i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            *to++ = ',';
        *to++ = digits[i];
    }
    *to = '\0';
    free(digits);
    return text;
}

char *plain_short(double count)
{
    static const char units[] = "kMGTPE";
    size_t unit = 0;

    if (count < 9999.5)
        return plain_count(count);
    count /= 1000;
    while (count >= 999.5 && units[unit + 1]) {
        count /= 1000;
        unit++;
    }
    int places = count < 9.995 ? 2 : count < 99.95 ? 1 : 0;
    return plain_format("%.*f%c", places, count, units[unit]);
}

double plain_now(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

char *plain_clock(double unix_s)
{
    time_t at = (time_t)unix_s;
    time_t today = (time_t)plain_now();
    struct tm tm;
    struct tm now;
    char text[32] = "";

    if (unix_s < 0 || !localtime_r(&at, &tm) || !localtime_r(&today, &now))
        return plain_format("%s", "");
    bool same_day = tm.tm_year == now.tm_year && tm.tm_yday == now.tm_yday;
    (void)strftime(text, sizeof text, same_day ? "%H:%M:%S" : "%F %H:%M", &tm);
    return plain_format("%s", text);
}
