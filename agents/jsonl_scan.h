/*
 * jsonl_scan.h - the members of one JSON object, one after the other, from
 * the bytes of a line. Strict (RFC 8259), and exact: numbers are what is
 * written, objects and arrays are not taken apart.
 *
 * Memory:  none of its own; members are parts of the line.
 * Threads: none; pure. Errors: a word on what is wrong.
 */
#ifndef AGENTS_JSONL_SCAN_H
#define AGENTS_JSONL_SCAN_H

#include <stdbool.h>
#include <stddef.h>

enum { JSON_DEPTH_MAX = 100 };

enum json_kind {
    JSON_IS_NULL,
    JSON_IS_TRUE,
    JSON_IS_FALSE,
    JSON_IS_NUMBER,
    JSON_IS_STRING,
    JSON_IS_NESTED, /* an object or an array */
};

struct json_piece { /* of a string what is between the quotes */
    char *bytes;
    size_t len;
    bool escaped; /* a string that has \ in it */
};

struct json_member {
    struct json_piece key, value;
    enum json_kind kind;
    bool fraction; /* a number with a point or an exponent */
};

struct json_scan {
    char *at, *end;
    bool begun;
    const char *why; /* of -1 */
};

/* The line is valid UTF-8 without NUL. */
void json_scan_begin(struct json_scan *scan, char *line, size_t len);
/* 1: a member; 0: the end, and nothing but blanks behind; -1: why. */
int json_scan_next(struct json_scan *scan, struct json_member *ret_member);
/* Replaces the escapes of a string, in place. NULL, or what is wrong. */
const char *json_unescape(struct json_piece *piece);

#endif
