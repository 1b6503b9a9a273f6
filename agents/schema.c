#include "agents/schema.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const type_words[TYPES] = {
    [TYPE_NULL] = "null",
    [TYPE_TEXT] = "text",
    [TYPE_INTEGER] = "integer",
    [TYPE_DECIMAL] = "decimal",
    [TYPE_DOUBLE] = "double",
    [TYPE_BOOLEAN] = "boolean",
    [TYPE_DATE] = "date",
    [TYPE_TIMESTAMP] = "timestamp",
    [TYPE_TIMESTAMPTZ] = "timestamptz",
    [TYPE_BYTES] = "bytes",
};

const char *type_name(enum type type)
{
    if ((unsigned)type >= TYPES)
        return "?";
    return type_words[type];
}

bool type_find(const char *name, enum type *ret_type)
{
    /* No column can be of type null, so it is not a word to look up. */
    for (unsigned type = TYPE_NULL + 1; type < TYPES; type++) {
        if (strcmp(name, type_words[type]) == 0) {
            *ret_type = (enum type)type;
            return true;
        }
    }
    return false;
}

static void clear_column(struct column *column)
{
    free(column->name);
    free(column->origin);
    free(column->native);
}

struct column *schema_add(struct schema *schema, const char *name,
                          enum type type)
{
    if (schema->count >= SCHEMA_COLUMNS_MAX)
        return NULL;
    struct column *columns = realloc(
        schema->columns, (schema->count + 1) * sizeof schema->columns[0]);
    if (!columns)
        return NULL;
    schema->columns = columns;
    struct column *column = &columns[schema->count];
    *column = (struct column){.type = type, .precision = -1, .scale = -1};
    column->name = strdup(name);
    if (!column->name)
        return NULL;
    schema->count++;
    return column;
}

int schema_add_copy(struct schema *schema, const struct column *column)
{
    struct column copy = *column;

    copy.name = NULL;
    copy.origin = column->origin ? strdup(column->origin) : NULL;
    copy.native = column->native ? strdup(column->native) : NULL;
    if ((column->origin && !copy.origin) || (column->native && !copy.native)) {
        clear_column(&copy);
        return -ENOMEM;
    }
    struct column *added = schema_add(schema, column->name, column->type);
    if (!added) {
        clear_column(&copy);
        return -ENOMEM;
    }
    copy.name = added->name;
    *added = copy;
    return 0;
}

int schema_copy(const struct schema *schema, struct schema *ret)
{
    struct schema copy = {0};

    for (size_t i = 0; i < schema->count; i++) {
        int err = schema_add_copy(&copy, &schema->columns[i]);
        if (err) {
            schema_clear(&copy);
            return err;
        }
    }
    *ret = copy;
    return 0;
}

void schema_clear(struct schema *schema)
{
    for (size_t i = 0; i < schema->count; i++)
        clear_column(&schema->columns[i]);
    free(schema->columns);
    *schema = (struct schema){0};
}

static bool counts(const struct column *column, const char *origin)
{
    return !origin ||
           (column->origin && strcasecmp(column->origin, origin) == 0);
}

int schema_find(const struct schema *schema, const char *name,
                const char *origin, size_t *ret_index)
{
    size_t same = 0, alike = 0, same_at = 0, alike_at = 0;

    for (size_t i = 0; i < schema->count; i++) {
        const struct column *column = &schema->columns[i];

        if (!counts(column, origin))
            continue;
        if (strcmp(column->name, name) == 0) {
            same++;
            same_at = i;
        } else if (strcasecmp(column->name, name) == 0) {
            alike++;
            alike_at = i;
        }
    }
    if (same > 1 || (same == 0 && alike > 1))
        return -EEXIST;
    if (same == 0 && alike == 0)
        return -ENOENT;
    *ret_index = same ? same_at : alike_at;
    return 0;
}

/* Where a cut of at most max bytes does not split a UTF-8 character. */
static size_t whole_characters(const char *text, size_t len, size_t max)
{
    if (len <= max)
        return len;
    while (max > 0 && ((unsigned char)text[max] & 0xC0) == 0x80)
        max--;
    return max;
}

void schema_list(const struct schema *schema, char *buf, size_t size)
{
    static const char ellipsis[] = "...";
    size_t len = 0;

    if (size == 0)
        return;
    buf[0] = '\0';
    for (size_t i = 0; i < schema->count; i++) {
        const char *name = schema->columns[i].name;
        const char *between = i > 0 ? ", " : "";
        size_t gap = strlen(between), all = strlen(name);
        /* The last name may use the room that the ellipsis would need. */
        size_t keep = i + 1 < schema->count ? sizeof ellipsis + 1 : 0;

        if (len + gap + all + keep < size) {
            memcpy(buf + len, between, gap);
            memcpy(buf + len + gap, name, all);
            len += gap + all;
            buf[len] = '\0';
            continue;
        }
        if (len + gap + sizeof ellipsis > size) {
            /* Not even that fits: only when buf is a few bytes. */
            return;
        }
        memcpy(buf + len, between, gap);
        len += gap;
        size_t room = size - len - sizeof ellipsis;
        /* Half a first name says more than none. */
        if (i == 0) {
            size_t part = whole_characters(name, all, room);
            memcpy(buf, name, part);
            len = part;
        }
        memcpy(buf + len, ellipsis, sizeof ellipsis);
        return;
    }
}
