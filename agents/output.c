/* output.c - see output.h. */
#include "agents/output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void output_init(struct output *output)
{
    output->total = 0;
    output->head_left = OUTPUT_HEAD_MAX;
    output->piece_len = 0;
    output->piece_since = 0;
    output->ring = NULL;
    output->behind_head = 0;
}

void output_clear(struct output *output)
{
    free(output->ring);
    output_init(output);
}

/* How many bytes at the end begin a UTF-8 sequence that is not complete. */
static size_t cut_sequence(const char *text, size_t len)
{
    for (size_t back = 1; back <= 3 && back <= len; back++) {
        unsigned char c = (unsigned char)text[len - back];
        size_t whole = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
        if ((c & 0xc0) == 0x80)
            continue;
        return whole > back ? back : 0;
    }
    return 0;
}

void output_flush(struct output *output, output_sink *sink, void *context)
{
    size_t held = cut_sequence(output->piece, output->piece_len);
    size_t out = output->piece_len - held;

    if (out == 0) {
        /* Nothing but a cut sequence: its rest did not come in time. */
        out = output->piece_len;
        held = 0;
    }
    if (out == 0)
        return;
    sink(context, output->piece, out);
    memmove(output->piece, output->piece + out, held);
    output->piece_len = held;
}

static void remember(struct output *output, const char *bytes, size_t len)
{
    if (!output->ring && output->behind_head == 0)
        output->ring = malloc(OUTPUT_TAIL_MAX);
    if (output->ring) {
        size_t skip = len > OUTPUT_TAIL_MAX ? len - OUTPUT_TAIL_MAX : 0;
        uint64_t to = output->behind_head + skip;
        for (size_t done = skip; done < len;) {
            size_t at = (size_t)(to % OUTPUT_TAIL_MAX);
            size_t n = OUTPUT_TAIL_MAX - at;
            if (n > len - done)
                n = len - done;
            memcpy(output->ring + at, bytes + done, n);
            done += n;
            to += n;
        }
    }
    output->behind_head += len;
}

void output_feed(struct output *output, const char *bytes, size_t len,
                 int64_t now_ms, output_sink *sink, void *context)
{
    output->total += len;
    while (len > 0 && output->head_left > 0) {
        size_t n = OUTPUT_PIECE_MAX - output->piece_len;
        if (n > len)
            n = len;
        if (n > output->head_left)
            n = output->head_left;
        if (output->piece_len == 0)
            output->piece_since = now_ms;
        memcpy(output->piece + output->piece_len, bytes, n);
        output->piece_len += n;
        output->head_left -= n;
        bytes += n;
        len -= n;
        if (output->piece_len == OUTPUT_PIECE_MAX) {
            output_flush(output, sink, context);
            output->piece_since = now_ms;
        }
    }
    if (len > 0)
        remember(output, bytes, len);
}

int64_t output_due(const struct output *output)
{
    return output->piece_len > 0 ? output->piece_since + OUTPUT_WAIT_MS : 0;
}

/* The ring, oldest byte first, in pieces. */
static void send_tail(struct output *output, output_sink *sink, void *context)
{
    uint64_t kept = output->behind_head < OUTPUT_TAIL_MAX ? output->behind_head
                                                          : OUTPUT_TAIL_MAX;
    uint64_t from = output->behind_head - kept;

    while (kept > 0) {
        size_t at = (size_t)(from % OUTPUT_TAIL_MAX);
        size_t n = OUTPUT_PIECE_MAX - output->piece_len;
        if (n > kept)
            n = (size_t)kept;
        if (n > OUTPUT_TAIL_MAX - at)
            n = OUTPUT_TAIL_MAX - at;
        memcpy(output->piece + output->piece_len, output->ring + at, n);
        output->piece_len += n;
        from += n;
        kept -= n;
        if (output->piece_len == OUTPUT_PIECE_MAX)
            output_flush(output, sink, context);
    }
}

uint64_t output_end(struct output *output, output_sink *sink,
                    output_sink *dropped_sink, void *context)
{
    uint64_t room = output->ring ? OUTPUT_TAIL_MAX : 0;
    uint64_t dropped =
        output->behind_head > room ? output->behind_head - room : 0;

    if (dropped > 0) {
        char line[160];
        while (output->piece_len > 0)
            output_flush(output, sink, context);
        int n = snprintf(line, sizeof line,
                         "%llu bytes dropped here: of a stream the first %d "
                         "and the last %d bytes are kept\n",
                         (unsigned long long)dropped, OUTPUT_HEAD_MAX,
                         OUTPUT_TAIL_MAX);
        dropped_sink(context, line, (size_t)n);
    }
    if (output->ring)
        send_tail(output, sink, context);
    while (output->piece_len > 0)
        output_flush(output, sink, context);
    return dropped;
}
