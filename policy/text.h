/*
 * text.h - small bounded sentences: what the decisions say about themselves;
 * and how far apart two words are, for "did you mean".
 *
 * Memory:  the caller's buffer; always NUL-terminated.
 * Threads: none; pure.
 */
#ifndef POLICY_TEXT_H
#define POLICY_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SIZE_TEXT_MAX = 32 };

/* Appends at the NUL in buf[room]. False: not all of it fitted; the rest is
 * left out, cut at a whole UTF-8 character. */
bool text_append(char *buf, size_t room, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* "512 bytes", "1.5 KiB", "3.0 GiB"; rounded down, so that a size never reads
 * as reaching a limit that it does not reach. */
void text_size(int64_t bytes, char ret_text[SIZE_TEXT_MAX]);

/* Two sizes that differ and would read the same are both given in bytes. */
void text_size_pair(int64_t a, int64_t b, char ret_a[SIZE_TEXT_MAX],
                    char ret_b[SIZE_TEXT_MAX]);

/* Length of the valid UTF-8 character at text (at least one byte before its
 * end), 0 when there is none. */
size_t text_utf8_len(const char *text, size_t bytes);

/* Ends the text before a character that a cut left incomplete. */
void text_trim_cut(char *text, size_t bytes);

/* Edits (insert, delete, replace, swap of neighbours) from one word to the
 * other; any_case: replacing a letter by the same in the other case is none.
 * SIZE_MAX: one of them is longer than TEXT_WORD_MAX bytes. */
enum { TEXT_WORD_MAX = 64 };
size_t text_distance(const char *a, const char *b, bool any_case);

#endif
