/*
 * fuzz_record.c - every record decoder on arbitrary bytes. The first byte
 * chooses the decoder. What is accepted is encoded again and must be accepted
 * again, with the same bytes from then on.
 */
#include "pools/run.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TRY(kind, type)                                                        \
    static void try_##kind(const void *bytes, size_t len)                      \
    {                                                                          \
        struct type *first = NULL, *second = NULL;                             \
        void *once = NULL, *twice = NULL;                                      \
        size_t once_len = 0, twice_len = 0;                                    \
        if (kind##_decode(bytes, len, &first) != 0)                            \
            return;                                                            \
        int rc = kind##_encode(first, &once, &once_len);                       \
        assert(rc == 0);                                                       \
        rc = kind##_decode(once, once_len, &second);                           \
        assert(rc == 0);                                                       \
        rc = kind##_encode(second, &twice, &twice_len);                        \
        assert(rc == 0 && once_len == twice_len);                              \
        assert(memcmp(once, twice, once_len) == 0);                            \
        free(twice);                                                           \
        free(second);                                                          \
        free(once);                                                            \
        free(first);                                                           \
    }

TRY(origin, origin)
TRY(run, run_record)
TRY(attempt, attempt_record)
TRY(node, node_record)
TRY(log, log_record)

static void try_plan(const void *bytes, size_t len)
{
    struct span plan, parameters;

    if (plan_decode(bytes, len, &plan, &parameters) != 0)
        return;
    /* whatever is borrowed lies within the bytes */
    const char *end = (const char *)bytes + len;
    assert(plan.len == 0 || plan.ptr + plan.len <= end);
    assert(parameters.len == 0 || parameters.ptr + parameters.len <= end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const tries[])(const void *, size_t) = {
        try_origin, try_run, try_attempt, try_node, try_log, try_plan};

    if (size > 0)
        tries[data[0] % (sizeof tries / sizeof tries[0])](data + 1, size - 1);
    return 0;
}
