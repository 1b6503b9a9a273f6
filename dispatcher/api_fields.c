/* Objects with known fields; see api_submit.h. */
#include "dispatcher/api_submit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { FIELDS_MAX = 32 };

static const struct field *find(const struct field *fields, size_t count,
                                const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(fields[i].name, name) == 0)
            return &fields[i];
    }
    return NULL;
}

/* pointer + "/" + key, escaped as RFC 6901 says. */
static void pointer_to(const char *pointer, const char *key,
                       char ret[POINTER_MAX])
{
    size_t used = (size_t)snprintf(ret, POINTER_MAX, "%s/", pointer);

    for (; *key && used + 3 < POINTER_MAX; key++) {
        if (*key == '~' || *key == '/') {
            ret[used++] = '~';
            ret[used++] = *key == '~' ? '0' : '1';
        } else {
            ret[used++] = *key;
        }
    }
    ret[used] = '\0';
}

static void unknown(const struct field *fields, size_t count, const char *name,
                    const char *pointer, struct problems *problems)
{
    const char *names[FIELDS_MAX], *near;

    for (size_t i = 0; i < count; i++)
        names[i] = fields[i].name;
    near = nearest(name, names, count);
    problems_add(problems, pointer, "unknown_field",
                 "There is no field \"%.80s\"%s%s%s.", name,
                 near ? "; did you mean \"" : " here", near ? near : "",
                 near ? "\"?" : "");
}

void fields_read(const struct field *fields, size_t count, void *target,
                 json_t *object, const char *pointer, struct problems *problems)
{
    const char *key;
    json_t *value;
    char at[POINTER_MAX];

    if (!json_is_object(object)) {
        problems_add(problems, pointer, "type", "This must be an object.");
        return;
    }
    json_object_foreach(object, key, value) {
        const struct field *field = find(fields, count, key);

        pointer_to(pointer, key, at);
        if (!field)
            unknown(fields, count, key, at, problems);
        else if (!json_is_null(value))
            field->read(target, value, at, problems);
    }
}

bool field_duration(const json_t *value, const char *pointer,
                    struct problems *problems, uint64_t *ret_ms)
{
    static const double most_s = 366.0 * 24 * 3600;
    double seconds = json_number_value(value);

    if (json_is_number(value) && seconds >= 0 && seconds <= most_s) {
        *ret_ms = (uint64_t)llround(seconds * 1000);
        return true;
    }
    if (json_is_string(value) &&
        config_parse_duration(json_string_value(value), ret_ms) == 0 &&
        (double)*ret_ms <= most_s * 1000)
        return true;
    problems_add(problems, pointer, "duration",
                 "Write seconds (90), or text with a unit (\"90s\", \"10m\", "
                 "\"1.5h\"), of at most a year.");
    return false;
}

bool field_size(const json_t *value, const char *pointer,
                struct problems *problems, int64_t *ret_bytes)
{
    if (json_is_integer(value) && json_integer_value(value) >= 0) {
        *ret_bytes = json_integer_value(value);
        return true;
    }
    if (json_is_string(value) &&
        config_parse_size(json_string_value(value), ret_bytes) == 0)
        return true;
    problems_add(problems, pointer, "size",
                 "Write bytes (1048576), or text with a unit (\"1 MiB\").");
    return false;
}

bool field_count(const json_t *value, const char *pointer,
                 struct problems *problems, uint64_t max, uint64_t *ret)
{
    if (json_is_integer(value) && json_integer_value(value) >= 0 &&
        (uint64_t)json_integer_value(value) <= max) {
        *ret = (uint64_t)json_integer_value(value);
        return true;
    }
    problems_add(problems, pointer, "number",
                 "Write a whole number from 0 to %llu.",
                 (unsigned long long)max);
    return false;
}

int field_pool(const struct ledger_config *config, const json_t *value,
               const char *pointer, struct problems *problems)
{
    const char *name = json_string_value(value), *names[POOLS_MAX], *near;
    char list[400] = "";
    int pool = name ? ledger_config_pool(config, name) : -1;

    if (pool >= 0)
        return pool;
    for (size_t i = 0; i < config->pool_count; i++) {
        size_t used = strlen(list);

        names[i] = config->pools[i].name;
        snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "",
                 names[i]);
    }
    near = name ? nearest(name, names, config->pool_count) : NULL;
    problems_add(problems, pointer, "unknown_pool",
                 "There is no such pool%s%s%s The pools are: %s.",
                 near ? "; did you mean \"" : ".", near ? near : "",
                 near ? "\"?" : "", list);
    return -1;
}

const char *field_text(const json_t *value, const char *pointer,
                       struct problems *problems, size_t max)
{
    size_t bytes = json_string_length(value);

    if (json_is_string(value) && bytes >= 1 && bytes <= max &&
        strlen(json_string_value(value)) == bytes)
        return json_string_value(value);
    problems_add(problems, pointer, "text",
                 "Write text of 1 to %zu bytes, without a NUL.", max);
    return NULL;
}
