/*
 * fuzz_wire.c - libFuzzer target for the wire: any bytes as a frame.
 *
 * Claims, for every input:
 *   - what wire_scan() lets through, msgpack-c's own unpacker reads to the end;
 *   - what wire_unpack() lets through, wire_scan() does too, wire_pack() packs
 *     again, and the second trip changes nothing;
 *   - wire_mend() makes any bytes acceptable as text;
 *   - an id that is read from text is written as the same id.
 *
 * clang -fsanitize=fuzzer,address,undefined ... fuzz_wire.c wire.c -lmsgpackc
 * ./fuzz_wire -max_len=4096 <new corpus> tests/fuzz/corpus_wire
 *
 * The seeds are the frames of test_wire.c's golden[], one of each type.
 */
#include "agents/wire.h"

#include <errno.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(claim)                                                            \
    do {                                                                       \
        if (!(claim)) {                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__,         \
                    #claim);                                                   \
            abort();                                                           \
        }                                                                      \
    } while (0)

static void msgpack_c_reads_it_too(const uint8_t *data, size_t size)
{
    msgpack_zone zone;
    msgpack_object root;
    size_t read = 0;

    MUST(msgpack_zone_init(&zone, 8192));
    MUST(msgpack_unpack((const char *)data, size, &read, &zone, &root) ==
         MSGPACK_UNPACK_SUCCESS);
    MUST(read == size);
    msgpack_zone_destroy(&zone);
}

/* Takes msg. */
static void a_second_trip_changes_nothing(struct wire_msg *msg)
{
    char *first, *second;
    size_t first_len, second_len;
    struct wire_msg again;
    const char *why = NULL;

    MUST(wire_pack(msg, &first, &first_len) == 0);
    wire_clear(msg);
    MUST(wire_unpack(first, first_len, &again, &why) == 0);
    MUST(wire_pack(&again, &second, &second_len) == 0);
    MUST(first_len == second_len && memcmp(first, second, first_len) == 0);
    wire_clear(&again);
    free(first);
    free(second);
}

static void a_frame(const uint8_t *data, size_t size)
{
    const char *why = NULL, *unpack_why = NULL;
    struct wire_msg msg;
    int scanned = wire_scan(data, size, &why);
    int r = wire_unpack(data, size, &msg, &unpack_why);

    MUST(scanned == 0 || (scanned == -EBADMSG && why));
    MUST(r == 0 || unpack_why);
    if (scanned == 0)
        msgpack_c_reads_it_too(data, size);
    else
        MUST(r == -EBADMSG || r == -ENOTSUP);
    if (r == 0)
        a_second_trip_changes_nothing(&msg);
    else
        MUST(r == -EBADMSG || r == -ENOTSUP || r == -ENOENT);
}

static void some_text(const uint8_t *data, size_t size)
{
    struct wire_msg msg = {.type = WIRE_DRAIN};
    char *text = malloc(size + 1);
    size_t len, bytes_max = size > 0 ? data[0] * 16U : 0; /* up to the limit */
    char *packed;
    size_t packed_len;
    struct wire_id id, back;

    MUST(text);
    memcpy(text, data, size);
    text[size] = '\0';
    if (wire_id_parse(text, &id) == 0) {
        char written[37];

        wire_id_text(&id, written);
        MUST(wire_id_parse(written, &back) == 0);
        MUST(memcmp(&id, &back, sizeof(id)) == 0);
    }
    len = wire_mend(text, size, bytes_max);
    MUST(len <= size && len <= bytes_max);
    msg.drain.reason = (struct wire_bytes){text, len};
    MUST(wire_pack(&msg, &packed, &packed_len) == 0);
    free(packed);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    a_frame(data, size);
    some_text(data, size);
    return 0;
}
