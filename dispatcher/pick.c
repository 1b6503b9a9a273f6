/* pick.c - see pick.h */
#include "dispatcher/pick.h"
#include "dispatcher/plain.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { KEY_MAX = 64 };

static const json_t *pick_one(const json_t *object, const char *path,
                              size_t bytes)
{
    const json_t *at = object;

    while (bytes > 0 && at) {
        char key[KEY_MAX];
        size_t len = 0;
        while (len < bytes && path[len] != '.')
            len++;
        if (len >= sizeof key)
            return NULL;
        memcpy(key, path, len);
        key[len] = '\0';
        at = json_object_get(at, key);
        path += len;
        bytes -= len;
        if (bytes > 0) { /* the dot */
            path++;
            bytes--;
        }
    }
    return json_is_null(at) ? NULL : at;
}

const json_t *pick(const json_t *object, const char *path)
{
    const json_t *found = NULL;

    while (!found && *path) {
        size_t bytes = strcspn(path, "|");
        found = pick_one(object, path, bytes);
        path += bytes + (path[bytes] == '|');
    }
    return found;
}

const char *pick_text(const json_t *object, const char *path,
                      const char *otherwise)
{
    const char *text = json_string_value(pick(object, path));

    return text ? text : otherwise;
}

double pick_number(const json_t *object, const char *path, double otherwise)
{
    const json_t *value = pick(object, path);

    return json_is_number(value) ? json_number_value(value) : otherwise;
}

bool pick_true(const json_t *object, const char *path)
{
    return json_is_true(pick(object, path));
}

/* "+02:00" after the time: seconds east; false: it is none. "Z" is 0. */
static bool read_zone(const char *text, double *ret_east)
{
    char *end = NULL;
    double sign = *text == '-' ? -1 : 1;

    *ret_east = 0;
    if (strcmp(text, "Z") == 0)
        return true;
    if ((*text != '+' && *text != '-') || strlen(text) != 6)
        return false;
    double hours = (double)strtoul(text + 1, &end, 10);
    if (end != text + 3 || *end != ':')
        return false;
    double minutes = (double)strtoul(end + 1, &end, 10);
    *ret_east = sign * (hours * 3600 + minutes * 60);
    return end == text + 6;
}

double pick_time(const json_t *object, const char *path)
{
    const char *text = pick_text(object, path, NULL);
    struct tm tm = {0};
    const char *rest = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
    double fraction = 0;
    double east = 0;

    if (rest && *rest == '.') {
        char *end = NULL;
        fraction = strtod(rest, &end);
        rest = end;
    }
    if (!rest || !read_zone(rest, &east))
        return -1;
    return (double)timegm(&tm) + fraction - east;
}

static char *pick_scalar(const json_t *value)
{
    char *json = NULL;

    if (!value || json_is_null(value))
        return plain_format("%s", "");
    if (json_is_string(value))
        return plain_format("%s", json_string_value(value));
    if (json_is_boolean(value))
        return plain_format("%s", json_is_true(value) ? "yes" : "no");
    if (json_is_real(value))
        return plain_format("%.6g", json_real_value(value));
    json = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    return json ? json : plain_format("%s", "");
}

/* A list is its members with commas; what is in one deeper is its JSON. */
char *pick_any(const json_t *value)
{
    if (!json_is_array(value))
        return pick_scalar(value);
    char *text = plain_format("%s", "");
    for (size_t i = 0; i < json_array_size(value); i++) {
        char *item = pick_scalar(json_array_get(value, i));
        char *joined = plain_format("%s%s%s", text, i > 0 ? ", " : "", item);
        free(item);
        free(text);
        text = joined;
    }
    return text;
}
