/* feed.c - see feed.h. The sequence is here because it comes from nowhere. */
#include "agents/feed.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

/* "-9223372036854775808" and its end. */
enum { INTEGER_TEXT_MAX = 21 };

struct sequence {
    struct feed feed; /* first: feed_close() frees it by this */
    struct cell cell;
    int64_t value, step;
    uint64_t left;
    char text[INTEGER_TEXT_MAX];
};

void feed_close(struct feed **feed_p)
{
    struct feed *feed = *feed_p;

    *feed_p = NULL;
    if (feed)
        feed->close(feed);
}

int feed_fail(struct feed *feed, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(feed->error, sizeof feed->error, fmt, args);
    va_end(args);
    return -1;
}

static int sequence_next(struct feed *feed)
{
    struct sequence *sequence = (struct sequence *)feed;
    int len;

    if (sequence->left == 0)
        return 0;
    len = snprintf(sequence->text, sizeof sequence->text, "%" PRId64,
                   sequence->value);
    sequence->cell.bytes = sequence->text;
    sequence->cell.len = (size_t)len;
    sequence->left--;
    /* The last value may be the largest there is. */
    if (sequence->left > 0)
        sequence->value += sequence->step;
    feed->rows++;
    return 1;
}

static void sequence_close(struct feed *feed)
{
    schema_clear(&feed->schema);
    free(feed);
}

/* Does start + step * (count - 1) fit? */
static bool sequence_fits(int64_t start, int64_t step, uint64_t count)
{
    int64_t last;

    if (count <= 1 || step == 0)
        return true;
    if (count - 1 > INT64_MAX)
        return false;
    return !__builtin_mul_overflow(step, (int64_t)(count - 1), &last) &&
           !__builtin_add_overflow(start, last, &last);
}

int feed_sequence(const char *column, int64_t start, int64_t step,
                  uint64_t count, struct feed **ret_feed)
{
    struct sequence *sequence;

    if (!sequence_fits(start, step, count))
        return -ERANGE;
    sequence = calloc(1, sizeof *sequence);
    if (!sequence)
        return -ENOMEM;
    if (!schema_add(&sequence->feed.schema, column, TYPE_INTEGER)) {
        free(sequence);
        return -ENOMEM;
    }
    sequence->feed.cells = &sequence->cell;
    sequence->feed.next = sequence_next;
    sequence->feed.close = sequence_close;
    sequence->value = start;
    sequence->step = step;
    sequence->left = count;
    *ret_feed = &sequence->feed;
    return 0;
}
