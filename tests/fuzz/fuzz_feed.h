/* fuzz_feed.h - the claims that fuzz_csv.c and fuzz_jsonl.c share. */
#ifndef TESTS_FUZZ_FEED_H
#define TESTS_FUZZ_FEED_H

#include "agents/files_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(claim)                                                            \
    do {                                                                       \
        if (!(claim)) {                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__,         \
                    #claim);                                                   \
            abort();                                                           \
        }                                                                      \
    } while (0)

typedef int open_fd(int fd, const char *path, const json_t *config,
                    struct feed **ret_feed, char error[FILES_ERROR_MAX]);

struct result {
    bool opened;
    int end; /* of the last next() */
    uint64_t rows, rejected, told, hash, hash_at[64];
};

static void hear(void *context, const char *message)
{
    struct result *result = context;

    MUST(message[0] && value_utf8(message, strlen(message)));
    result->told++;
}

static void mix(struct result *result, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        result->hash =
            (result->hash ^ (unsigned char)bytes[i]) * 1099511628211U;
    result->hash = (result->hash ^ len) * 1099511628211U;
}

static void check_cell(const struct column *column, const struct cell *cell)
{
    static char room[VALUE_ROOM];
    const char *bytes;
    size_t len;

    if (!cell->bytes || column->type == TYPE_BYTES)
        return;
    if (column->type == TYPE_TEXT) {
        MUST(value_utf8(cell->bytes, cell->len));
        return;
    }
    MUST(value_check(column->type, cell->bytes, cell->len, room, sizeof room,
                     &bytes, &len, NULL) == 0);
    MUST(len == cell->len && memcmp(bytes, cell->bytes, len) == 0);
}

static struct result read_all(open_fd *opener, const json_t *config,
                              const uint8_t *data, size_t size, bool skip,
                              size_t most)
{
    struct result result = {.hash = 14695981039346656037U};
    char error[FILES_ERROR_MAX] = "";
    struct feed *feed = NULL;
    int fd = memfd_create("fuzz", MFD_CLOEXEC);

    MUST(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    MUST(lseek(fd, 0, SEEK_SET) == 0);
    files_in_most = most;
    if (opener(fd, "in", config, &feed, error) < 0) {
        MUST(!feed && error[0]);
        return result;
    }
    result.opened = true;
    feed->skip = skip;
    feed->reject = hear;
    feed->context = &result;
    while ((result.end = feed->next(feed)) > 0) {
        MUST(feed->rows == ++result.rows);
        for (size_t i = 0; i < feed->schema.count; i++) {
            check_cell(&feed->schema.columns[i], &feed->cells[i]);
            mix(&result, feed->cells[i].bytes ? feed->cells[i].bytes : "~",
                feed->cells[i].bytes ? feed->cells[i].len : 1);
        }
        if (result.rows <= 64)
            result.hash_at[result.rows - 1] = result.hash;
    }
    MUST(feed->rejected == result.told);
    MUST(skip || result.told == 0);
    MUST(result.end == 0 || feed->error[0]);
    MUST(feed->bytes <= size);
    result.rejected = feed->rejected;
    feed_close(&feed);
    return result;
}

static void fuzz_feed(open_fd *opener, const char *const *configs,
                      size_t config_count, const uint8_t *data, size_t size)
{
    json_error_t wrong;

    if (size < 2)
        return;
    json_t *config = json_loads(configs[data[0] % config_count], 0, &wrong);
    size_t most = 1 + data[1] % 64;
    MUST(config);
    data += 2;
    size -= 2;
    struct result strict = read_all(opener, config, data, size, false, most);
    struct result skipping = read_all(opener, config, data, size, true, most);
    struct result whole = read_all(opener, config, data, size, true, 1 << 20);
    json_decref(config);
    MUST(strict.opened == skipping.opened && strict.opened == whole.opened);
    MUST(strict.rows <= skipping.rows);
    if (strict.rows > 0 && strict.rows <= 64)
        MUST(strict.hash_at[strict.rows - 1] ==
             skipping.hash_at[strict.rows - 1]);
    if (strict.opened && strict.end == 0)
        MUST(skipping.rejected == 0 && skipping.rows == strict.rows);
    MUST(skipping.hash == whole.hash && skipping.rows == whole.rows);
    MUST(skipping.rejected == whole.rejected && skipping.end == whole.end);
}

#endif
