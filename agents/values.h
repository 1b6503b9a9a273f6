/*
 * values.h - foreign texts as values: is this cell of a CSV file, this string
 * of a JSON line, this text in a SQLite file a value of that type, and what is
 * it in our form (schema.h)? What is read is what PostgreSQL's input functions
 * read, within schema.h: blanks around anything but text, "t", "yes", "on" and
 * "1" for true, dates and times in ISO form with any UTC offset.
 *
 * Every reader has the text by pointer and length; a NUL or invalid UTF-8 in it
 * is an ordinary refusal. Doubles are never NaN or infinite.
 *
 * Memory:  nothing is allocated but inside of decimals beyond 128 bits.
 * Threads: none; pure.
 * Errors:  0 or a negative errno: -EINVAL: not of this type; -ERANGE: of this
 *          type, and too big; -ENOMEM. why is a sentence without place, such as
 *          `"abc" is not an integer`; value_quote() says how values look in it.
 */
#ifndef AGENTS_VALUES_H
#define AGENTS_VALUES_H

#include "agents/schema.h"

#include <stdint.h>

enum {
    VALUE_ROOM = DECIMAL_DIGITS_MAX + 8, /* any canonical text but of text
                                            and bytes, with its NUL */
    VALUE_WHY_MAX = 256,
    VALUE_QUOTED_CHARACTERS = 40,
    VALUE_QUOTED_MAX = 4 * VALUE_QUOTED_CHARACTERS + 8,
};

/* The canonical text of bytes as a value of type, in the form of feed.h's
 * cells: integers in decimal, doubles as strtod() reads them, booleans "t" or
 * "f", bytes (of \x and hex, or PostgreSQL's escapes) as they are, all else as
 * schema.h says. *ret_bytes points into room, of room_size bytes, or is `bytes`
 * itself; text is always the latter. room_size: VALUE_ROOM, and for
 * TYPE_BYTES also at least len. why may be NULL. -ENOBUFS: room is too small;
 * -EINVAL also for TYPE_NULL. */
int value_check(enum type type, const char *bytes, size_t len, char *room,
                size_t room_size, const char **ret_bytes, size_t *ret_len,
                char why[VALUE_WHY_MAX]);

/* Is a canonical text within what a column allows: bits, precision and scale,
 * length? NULLs are the caller's. It changes nothing: a decimal with more
 * digits behind the point than scale, or a text with more characters than
 * length, is -ERANGE even where PostgreSQL would round or cut blanks: that is
 * what casts are for. */
int value_fits(const struct column *column, const char *bytes, size_t len,
               char why[VALUE_WHY_MAX]);

/* What value_check() says when it is refused with this error. */
void value_why(enum type type, int error, const char *bytes, size_t len,
               char why[VALUE_WHY_MAX]);

/* The same one by one, without sentences. */
int value_integer(const char *bytes, size_t len, int64_t *ret_value);
int value_double(const char *bytes, size_t len, double *ret_value);
int value_boolean(const char *bytes, size_t len, bool *ret_value);
/* Cuts blanks, tabs and line ends off both sides, as all but value_bytes() do
 * by themselves. */
void value_trim(const char **bytes_p, size_t *len_p);
/* room: at least len bytes, and may be `bytes`. */
int value_bytes(const char *bytes, size_t len, char *room, size_t *ret_len);

enum { VALUE_DOUBLE_ROOM = 32 };
/* The shortest text that reads back as the same double, as PostgreSQL prints
 * it ("1e+15", "0.1", "-0"). Returns the length; 0: not finite. */
size_t value_print_double(double value, char room[VALUE_DOUBLE_ROOM]);

size_t value_print_integer(int64_t value, char room[VALUE_DOUBLE_ROOM]);

/* The bytes of the character that begins at `at`; 0: that is no UTF-8. */
size_t value_character(const char *at, const char *end,
                       uint32_t *ret_character);
/* Valid UTF-8 (no surrogates, nothing overlong) without a NUL? */
bool value_utf8(const char *bytes, size_t len);
/* Characters of valid UTF-8; of anything else some number up to len. */
size_t value_characters(const char *bytes, size_t len);

/* A value for a message: in quotation marks, at most VALUE_QUOTED_CHARACTERS
 * characters and an ellipsis, what is no printable UTF-8 replaced by "?".
 * Returns to. */
const char *value_quote(const char *bytes, size_t len,
                        char to[VALUE_QUOTED_MAX]);

/* Base64, the standard alphabet with padding. value_base64_room(): bytes of a
 * text of len bytes, NUL included. Decoding ignores white space. */
size_t value_base64_room(size_t len);
size_t value_base64(const void *bytes, size_t len, char *to);
/* to: at least len / 4 * 3 + 3 bytes, and may be `text`. -EINVAL. */
int value_base64_read(const char *text, size_t len, void *to, size_t *ret_len);

#endif
