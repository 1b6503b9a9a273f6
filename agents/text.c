#include "agents/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM_FIRST = 128 };

/* Room for more bytes and the NUL behind them. */
static bool make_room(struct text *text, size_t more)
{
    size_t room = text->room;

    if (text->failed)
        return false;
    if (text->bytes && more < room - text->len)
        return true;
    if (more >= SIZE_MAX / 4 - text->len) {
        text->failed = true;
        return false;
    }
    if (room < ROOM_FIRST)
        room = ROOM_FIRST;
    while (room - text->len <= more)
        room *= 2;
    char *bytes = realloc(text->bytes, room);
    if (!bytes) {
        text->failed = true;
        return false;
    }
    bytes[text->len] = '\0';
    text->bytes = bytes;
    text->room = room;
    return true;
}

void text_add_bytes(struct text *text, const char *bytes, size_t len)
{
    if (!make_room(text, len))
        return;
    if (len > 0)
        memcpy(text->bytes + text->len, bytes, len);
    text->len += len;
    text->bytes[text->len] = '\0';
}

void text_add(struct text *text, const char *more)
{
    text_add_bytes(text, more, strlen(more));
}

void text_addf(struct text *text, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (len < 0) {
        text->failed = true;
        return;
    }
    if (!make_room(text, (size_t)len))
        return;
    va_start(args, fmt);
    (void)vsnprintf(text->bytes + text->len, (size_t)len + 1, fmt, args);
    va_end(args);
    text->len += (size_t)len;
}

void text_reset(struct text *text)
{
    text->len = 0;
    if (text->bytes)
        text->bytes[0] = '\0';
    text->failed = false;
}

char *text_take(struct text *text)
{
    char *bytes = NULL;

    /* An empty text is a string too; only a failure is NULL. */
    if (make_room(text, 0)) {
        bytes = text->bytes;
        text->bytes = NULL;
    }
    text_clear(text);
    return bytes;
}

void text_clear(struct text *text)
{
    free(text->bytes);
    *text = (struct text){0};
}
