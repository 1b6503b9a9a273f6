/* clean.c - see clean.h. */
#include "agents/clean.h"

#include <stddef.h>

/* Bytes of the whole, shortest-form UTF-8 character at s; 0: none. */
static size_t character(const unsigned char *s)
{
    size_t bytes = s[0] < 0x80                    ? 1
                   : s[0] >= 0xc2 && s[0] <= 0xdf ? 2
                   : s[0] >= 0xe0 && s[0] <= 0xef ? 3
                   : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4
                                                  : 0;

    for (size_t i = 1; i < bytes; i++)
        if ((s[i] & 0xc0) != 0x80) /* the final NUL stops here as well */
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return bytes;
}

void clean_text(char *text)
{
    unsigned char *s = (unsigned char *)text;

    while (*s) {
        size_t bytes = character(s);
        if (bytes == 0 || (bytes == 1 && *s < 0x20 && *s != '\n' && *s != '\t'))
            *s++ = '?';
        else
            s += bytes;
    }
}
