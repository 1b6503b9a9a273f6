/* config_units.c - see config_units.h and config.h
 *
 * Numbers are read digit by digit: strtod() would round large sizes, obey the
 * locale, and accept "inf", "0x10" and "1e3". */
#include "dispatcher/config_units.h"
#include "dispatcher/config.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

struct unit {
    const char *name;
    uint64_t factor;
};

/* Largest first; the empty name is what a bare number means. */
static const struct unit durations[] = {
    {"d", 24ULL * 60 * 60 * 1000},
    {"h", 60ULL * 60 * 1000},
    {"m", 60ULL * 1000},
    {"min", 60ULL * 1000},
    {"s", 1000},
    {"", 1000},
    {"ms", 1},
};

static const struct unit sizes[] = {
    {"TiB", 1ULL << 40},
    {"GiB", 1ULL << 30},
    {"MiB", 1ULL << 20},
    {"KiB", 1ULL << 10},
    {"TB", 1000000000000},
    {"GB", 1000000000},
    {"MB", 1000000},
    {"kB", 1000},
    {"", 1},
    {"B", 1},
};

enum { FRACTION_DIGITS_MAX = 6 }; /* 10^6 x the largest unit fits 64 bits */

struct quantity {
    uint64_t whole, fraction, scale; /* whole + fraction / scale */
    const char *unit;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Digits -> number; *cursor moves behind them. -EINVAL: there are none. */
static int read_digits(const char **cursor, uint64_t *ret)
{
    if (!is_digit(**cursor))
        return -EINVAL;
    uint64_t value = 0;
    bool fits = true;
    for (; is_digit(**cursor); (*cursor)++) {
        uint64_t digit = (uint64_t)(**cursor - '0');
        fits = fits && !__builtin_mul_overflow(value, 10, &value) &&
               !__builtin_add_overflow(value, digit, &value);
    }
    if (!fits)
        return -ERANGE;
    *ret = value;
    return 0;
}

static int read_quantity(const char *text, struct quantity *ret)
{
    struct quantity q = {.scale = 1};
    const char *cursor = text + strspn(text, " ");
    int r = read_digits(&cursor, &q.whole);
    if (r == -EINVAL)
        return r;
    bool too_large = r == -ERANGE;
    if (*cursor == '.') {
        const char *first = ++cursor;
        if (read_digits(&cursor, &q.fraction) < 0 ||
            cursor - first > FRACTION_DIGITS_MAX)
            return -EINVAL;
        for (; first < cursor; first++)
            q.scale *= 10;
    }
    q.unit = cursor + strspn(cursor, " ");
    *ret = q;
    return too_large ? -ERANGE : 0;
}

static size_t unit_length(const char *unit)
{
    size_t len = strlen(unit);
    while (len > 0 && unit[len - 1] == ' ')
        len--;
    return len;
}

static const struct unit *find_unit(const char *name, const struct unit *units,
                                    size_t count)
{
    size_t len = unit_length(name);
    for (size_t i = 0; i < count; i++) {
        if (strlen(units[i].name) == len &&
            strncasecmp(units[i].name, name, len) == 0)
            return &units[i];
    }
    return NULL;
}

static int parse(const char *text, const struct unit *units, size_t count,
                 uint64_t *ret)
{
    struct quantity q = {0};
    int r = read_quantity(text, &q);
    if (r == -EINVAL)
        return r;
    const struct unit *unit = find_unit(q.unit, units, count);
    if (unit == NULL)
        return -EINVAL;
    uint64_t value;
    uint64_t part = q.fraction * unit->factor / q.scale;
    if (r == -ERANGE || __builtin_mul_overflow(q.whole, unit->factor, &value) ||
        __builtin_add_overflow(value, part, &value))
        return -ERANGE;
    if (value == 0 && q.fraction != 0)
        return -EINVAL; /* "0.1ms": asked for something, would get nothing */
    *ret = value;
    return 0;
}

int config_parse_duration(const char *text, uint64_t *ret_ms)
{
    return parse(text, durations, sizeof durations / sizeof durations[0],
                 ret_ms);
}

int config_parse_size(const char *text, int64_t *ret_bytes)
{
    uint64_t bytes;
    int r = parse(text, sizes, sizeof sizes / sizeof sizes[0], &bytes);
    if (r < 0)
        return r;
    if (bytes > INT64_MAX)
        return -ERANGE;
    *ret_bytes = (int64_t)bytes;
    return 0;
}

int units_count(const char *text, int64_t *ret_count)
{
    uint64_t count;
    const char *cursor = text;
    int r = read_digits(&cursor, &count);
    if (r == -EINVAL || *cursor != '\0')
        return -EINVAL;
    if (r < 0 || count > INT64_MAX)
        return -ERANGE;
    *ret_count = (int64_t)count;
    return 0;
}

static void print_units(uint64_t value, const struct unit *units, size_t count,
                        char ret_text[UNITS_TEXT_MAX])
{
    size_t i = 0;
    while (i + 1 < count && (units[i].name[0] == '\0' || value == 0 ||
                             value % units[i].factor != 0))
        i++;
    snprintf(ret_text, UNITS_TEXT_MAX, "%" PRIu64 "%s", value / units[i].factor,
             units[i].name);
}

void units_duration(uint64_t ms, char ret_text[UNITS_TEXT_MAX])
{
    if (ms == 0) {
        snprintf(ret_text, UNITS_TEXT_MAX, "0s");
        return;
    }
    print_units(ms, durations, sizeof durations / sizeof durations[0],
                ret_text);
}

void units_size(int64_t bytes, char ret_text[UNITS_TEXT_MAX])
{
    print_units((uint64_t)bytes, sizes, sizeof sizes / sizeof sizes[0],
                ret_text);
}

/* Splits at the last colon. NULL: no scheme or no colon. */
static const char *find_port(const char *text, const char *scheme,
                             const char **ret_host, size_t *ret_host_len)
{
    if (strncmp(text, scheme, strlen(scheme)) != 0)
        return NULL;
    const char *host = text + strlen(scheme);
    const char *colon = strrchr(host, ':');
    if (colon == NULL)
        return NULL;
    *ret_host = host;
    *ret_host_len = (size_t)(colon - host);
    return colon + 1;
}

const char *units_address_problem(const char *text, const char *scheme)
{
    const char *host = NULL;
    size_t len = 0;
    const char *port = find_port(text, scheme, &host, &len);
    if (port == NULL)
        return scheme[0] == '\0' ? "has no port; write HOST:PORT"
                                 : "is not of the form tcp://HOST:PORT";
    int64_t number;
    if (units_count(port, &number) < 0 || number > UINT16_MAX)
        return "has no valid port; use a number from 0 (any free port) to "
               "65535";
    if (len == 0)
        return "names no host; use 127.0.0.1 for this machine only or "
               "0.0.0.0 for every interface";
    bool bracketed = host[0] == '[' && host[len - 1] == ']';
    if (!bracketed && memchr(host, ':', len) != NULL)
        return "has more than one colon; write an IPv6 address in brackets, "
               "[::1]:8080";
    for (size_t i = 0; i < len; i++) {
        if (!isgraph((unsigned char)host[i]) || host[i] == '/')
            return "has a host that is neither an address nor a name";
    }
    return NULL;
}

bool units_address_is_loopback(const char *text, const char *scheme)
{
    const char *host = NULL;
    size_t len = 0;
    if (find_port(text, scheme, &host, &len) == NULL)
        return false;
    return strncmp(host, "127.", 4) == 0 ||
           (len == 5 && strncmp(host, "[::1]", len) == 0) ||
           (len == 9 && strncasecmp(host, "localhost", len) == 0);
}
