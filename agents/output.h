/*
 * output.h - what is kept of one stream (stdout or stderr) of one node.
 *
 * The first OUTPUT_HEAD_MAX bytes go out as they come, gathered into pieces of
 * up to OUTPUT_PIECE_MAX bytes or OUTPUT_WAIT_MS. After that only the last
 * OUTPUT_TAIL_MAX bytes are remembered, and come out at the end, after a line
 * that says how many were dropped between. Pieces do not split a UTF-8
 * sequence as long as the program writes whole ones.
 *
 * Memory:  the ring for the tail is allocated when first needed, freed by
 *          output_clear(); without memory everything behind the head counts as
 *          dropped.
 * Threads: none. Time: milliseconds, passed in.
 */
#ifndef AGENTS_OUTPUT_H
#define AGENTS_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    OUTPUT_HEAD_MAX = 256 * 1024,
    OUTPUT_TAIL_MAX = 64 * 1024,
    OUTPUT_PIECE_MAX = 16 * 1024,
    OUTPUT_WAIT_MS = 50,
};

struct output {
    uint64_t total;   /* bytes the program wrote */
    size_t head_left; /* bytes still let through */
    char piece[OUTPUT_PIECE_MAX];
    size_t piece_len;
    int64_t piece_since;  /* when its first byte came */
    char *ring;           /* the last bytes behind the head */
    uint64_t behind_head; /* bytes that came after the head */
};

typedef void output_sink(void *context, const char *text, size_t bytes);

void output_init(struct output *output);
void output_clear(struct output *output);

/* Takes bytes; calls sink for every piece that became full. */
void output_feed(struct output *output, const char *bytes, size_t len,
                 int64_t now_ms, output_sink *sink, void *context);
/* When the piece at hand has to go out; 0: nothing is at hand. */
int64_t output_due(const struct output *output);
/* Sends the piece at hand, but for a sequence cut in the middle. */
void output_flush(struct output *output, output_sink *sink, void *context);
/* The end: the rest of the head, then `dropped_sink` gets the line about
 * dropped bytes if there are any, then the tail. Returns bytes dropped. */
uint64_t output_end(struct output *output, output_sink *sink,
                    output_sink *dropped_sink, void *context);

#endif
