/*
 * test_wire.c - the messages between broker and agents: what is packed comes
 * back equal, the bytes are those WIRE.md describes, and whatever else a peer
 * sends is refused without a crash and without memory spent on its promises.
 *
 * Frames that wire_pack() would never make are made by reading a good frame
 * with msgpack-c's own unpacker, changing the tree and packing it again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

#include "agents/wire.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
enum { FIRST = WIRE_HELLO, LAST = WIRE_ESTIMATED };

/* ---- the allocator, watched and made to fail ---------------------------- */

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ALLOCATOR_TAKEN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define ALLOCATOR_TAKEN 1
#endif

#ifndef ALLOCATOR_TAKEN
/* Defined here, so the linker takes these for wire.c's calls as well. Under
 * AddressSanitizer the allocator is its own, and those tests are left out. */
extern void *__libc_malloc(size_t bytes);               /* NOLINT */
extern void *__libc_calloc(size_t count, size_t bytes); /* NOLINT */
extern void *__libc_realloc(void *old, size_t bytes);   /* NOLINT */

static size_t largest;      /* bytes asked for at once */
static int fail_after = -1; /* so many calls succeed; -1: all */

static bool fails(size_t bytes)
{
    if (bytes > largest)
        largest = bytes;
    if (fail_after > 0)
        fail_after--;
    else if (fail_after == 0)
        return true;
    return false;
}

void *malloc(size_t size)
{
    return fails(size) ? NULL : __libc_malloc(size);
}

void *calloc(size_t nmemb, size_t size)
{
    return fails(nmemb * size) ? NULL : __libc_calloc(nmemb, size);
}

void *realloc(void *ptr, size_t size)
{
    return fails(size) ? NULL : __libc_realloc(ptr, size);
}
#endif

/* ---- samples: every message three times --------------------------------- */

#define T(text)                                                                \
    {                                                                          \
        (text), sizeof(text) - 1                                               \
    }
#define RUN_ID                                                                 \
    {                                                                          \
        {                                                                      \
            1, 2, 3, 4, 5, 6, 0x77, 8, 0x89, 10, 11, 12, 13, 14, 15, 16        \
        }                                                                      \
    }
#define MOST_ID                                                                \
    {                                                                          \
        {                                                                      \
            255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,   \
                255, 255, 255                                                  \
        }                                                                      \
    }

static char long_name[WIRE_NAME_MAX], long_text[WIRE_TEXT_MAX],
    long_log[WIRE_LOG_MAX], long_sources[WIRE_SOURCES_BYTES_MAX];

static struct wire_bytes pools[] = {T("default"), T("etl")};
static struct wire_bytes caps[] = {T("kind:command"), T("engine:sqlite")};
static uint64_t sizes[] = {0, WIRE_UNKNOWN, 1024};
static uint64_t sizes_most[WIRE_SOURCES_MAX];
static struct wire_held held[] = {{RUN_ID, 2, WIRE_PHASE_RUNNING, 300},
                                  {RUN_ID, 3, WIRE_PHASE_ENDED, 70000}};
static struct wire_node nodes[] = {
    {7, WIRE_NODE_FAILED, 1795132800001, 1795132800002, 137, 11, 12, 13, 14,
     T("d\xc3\xa9j")},
    {8, WIRE_NODE_SKIPPED, 0, 0, -1, 0, 0, 0, 0, T("")}};

/* Ordinary values, no two fields of one type alike, so that a swap shows. */
static const struct wire_msg plain[] = {
    [WIRE_HELLO] = {WIRE_HELLO,
                    .hello = {T("w-1.example"), RUN_ID, 4, pools, 2, caps, 2,
                              held, 2, T("host"), 4711, T("0.1.0"), true, 3}},
    [WIRE_WELCOME] = {WIRE_WELCOME,
                      .welcome = {99, 15000, held, 1, held + 1, 1}},
    [WIRE_RUN] = {WIRE_RUN,
                  .run = {RUN_ID, 2, 3000, 60000, T("daily sales"), T("etl"),
                          T("{\"nodes\":[]}"), T("{}"), T("00-0af7-b7ad-01")}},
    [WIRE_ACCEPTED] = {WIRE_ACCEPTED,
                       .accepted = {RUN_ID, 2, 1795132800000, 5}},
    [WIRE_REFUSED] = {WIRE_REFUSED,
                      .refused = {RUN_ID, 2, WIRE_REFUSE_DRAINING, T("no")}},
    [WIRE_NODE] = {WIRE_NODE,
                   .node = {RUN_ID,
                            2,
                            9,
                            {7, WIRE_NODE_COMPLETED, 1795132800001,
                             1795132800002, -1, 11, 12, 13, 14, T("e")}}},
    [WIRE_LOG] = {WIRE_LOG,
                  .log = {RUN_ID, 2, 10, 7, 1, 1795132800003, T("out\0\xff")}},
    [WIRE_RESULT] = {WIRE_RESULT,
                     .result = {RUN_ID, 2, WIRE_TIMED_OUT, 1795132800000,
                                1795132800009, 12, 34, T("late"), nodes, 2}},
    [WIRE_RESULT_ACK] = {WIRE_RESULT_ACK, .result_ack = {RUN_ID, 2}},
    [WIRE_RENEW] = {WIRE_RENEW, .renew = {6, held, 2}},
    [WIRE_RENEWED] = {WIRE_RENEWED, .renewed = {6, 15000, held, 1}},
    [WIRE_CANCEL] = {WIRE_CANCEL, .cancel = {RUN_ID, 2, 5000, T("asked")}},
    [WIRE_DRAIN] = {WIRE_DRAIN, .drain = {T("update")}},
    [WIRE_BYE] = {WIRE_BYE, .bye = {WIRE_BYE_CLONE, T("two")}},
    [WIRE_ESTIMATE] = {WIRE_ESTIMATE, .estimate = {300, T("[{\"kind\":1}]")}},
    [WIRE_ESTIMATED] = {WIRE_ESTIMATED, .estimated = {300, sizes, 3, T("s1")}},
};

/* The least each field may hold; lists are NULL. */
static const struct wire_msg least[] = {
    [WIRE_HELLO] = {WIRE_HELLO, .hello = {.name = T("a"), .slots = 1}},
    [WIRE_WELCOME] = {WIRE_WELCOME, .welcome = {.lease_ms = 1}},
    [WIRE_RUN] = {WIRE_RUN,
                  .run = {.attempt = 1, .lease_ms = 1, .pool = T("p")}},
    [WIRE_ACCEPTED] = {WIRE_ACCEPTED, .accepted = {.attempt = 1}},
    [WIRE_REFUSED] = {WIRE_REFUSED, .refused = {.attempt = 1, .code = 1}},
    [WIRE_NODE] = {WIRE_NODE, .node = {.attempt = 1,
                                       .event = 1,
                                       .node = {.exit_code = INT32_MIN}}},
    [WIRE_LOG] = {WIRE_LOG, .log = {.attempt = 1, .event = 1}},
    [WIRE_RESULT] = {WIRE_RESULT, .result = {.attempt = 1}},
    [WIRE_RESULT_ACK] = {WIRE_RESULT_ACK, .result_ack = {.attempt = 1}},
    [WIRE_RENEW] = {WIRE_RENEW, .renew = {0}},
    [WIRE_RENEWED] = {WIRE_RENEWED, .renewed = {.lease_ms = 1}},
    [WIRE_CANCEL] = {WIRE_CANCEL, .cancel = {.attempt = 1}},
    [WIRE_DRAIN] = {WIRE_DRAIN, .drain = {T("")}},
    [WIRE_BYE] = {WIRE_BYE, .bye = {.code = 1}},
    [WIRE_ESTIMATE] = {WIRE_ESTIMATE, .estimate = {0}},
    [WIRE_ESTIMATED] = {WIRE_ESTIMATED, .estimated = {0}},
};

#define NAME_MOST                                                              \
    {                                                                          \
        long_name, WIRE_NAME_MAX                                               \
    }
#define TEXT_MOST                                                              \
    {                                                                          \
        long_text, WIRE_TEXT_MAX                                               \
    }

static struct wire_bytes names_most[] = {NAME_MOST};
static struct wire_held held_most[] = {
    {MOST_ID, UINT32_MAX, WIRE_PHASE_ENDED, UINT64_MAX}};
static struct wire_node nodes_most[] = {{WIRE_NODES_MAX - 1,
                                         WIRE_NODE_STATES - 1,
                                         INT64_MAX,
                                         INT64_MAX,
                                         INT32_MAX,
                                         UINT64_MAX,
                                         UINT64_MAX,
                                         UINT64_MAX,
                                         UINT64_MAX,
                                         {long_text, WIRE_NODE_ERROR_MAX}}};

/* The most each field may hold; lists have one item here. */
static const struct wire_msg most[] = {
    [WIRE_HELLO] = {WIRE_HELLO, .hello = {NAME_MOST,
                                          MOST_ID,
                                          WIRE_SLOTS_MAX,
                                          names_most,
                                          1,
                                          names_most,
                                          1,
                                          held_most,
                                          1,
                                          {long_text, WIRE_HOST_MAX},
                                          UINT32_MAX,
                                          NAME_MOST,
                                          true,
                                          UINT64_MAX}},
    [WIRE_WELCOME] = {WIRE_WELCOME, .welcome = {UINT64_MAX, UINT32_MAX,
                                                held_most, 1, held_most, 1}},
    [WIRE_RUN] = {WIRE_RUN, .run = {MOST_ID,
                                    UINT32_MAX,
                                    UINT32_MAX,
                                    INT64_MAX,
                                    {long_text, WIRE_WORKFLOW_MAX},
                                    NAME_MOST,
                                    TEXT_MOST,
                                    TEXT_MOST,
                                    NAME_MOST}},
    [WIRE_ACCEPTED] = {WIRE_ACCEPTED, .accepted = {MOST_ID, UINT32_MAX,
                                                   INT64_MAX, UINT64_MAX}},
    [WIRE_REFUSED] = {WIRE_REFUSED, .refused = {MOST_ID, UINT32_MAX,
                                                WIRE_REFUSALS - 1, TEXT_MOST}},
    [WIRE_NODE] = {WIRE_NODE, .node = {MOST_ID,
                                       UINT32_MAX,
                                       UINT64_MAX,
                                       {WIRE_NODES_MAX - 1,
                                        WIRE_NODE_STATES - 1,
                                        INT64_MAX,
                                        INT64_MAX,
                                        INT32_MAX,
                                        UINT64_MAX,
                                        UINT64_MAX,
                                        UINT64_MAX,
                                        UINT64_MAX,
                                        {long_text, WIRE_NODE_ERROR_MAX}}}},
    [WIRE_LOG] = {WIRE_LOG, .log = {MOST_ID,
                                    UINT32_MAX,
                                    UINT64_MAX,
                                    WIRE_NODES_MAX - 1,
                                    WIRE_STREAMS - 1,
                                    INT64_MAX,
                                    {long_log, WIRE_LOG_MAX}}},
    [WIRE_RESULT] = {WIRE_RESULT,
                     .result = {MOST_ID, UINT32_MAX, WIRE_OUTCOMES - 1,
                                INT64_MAX, INT64_MAX, UINT64_MAX, UINT64_MAX,
                                TEXT_MOST, nodes_most, 1}},
    [WIRE_RESULT_ACK] = {WIRE_RESULT_ACK, .result_ack = {MOST_ID, UINT32_MAX}},
    [WIRE_RENEW] = {WIRE_RENEW, .renew = {UINT64_MAX, held_most, 1}},
    [WIRE_RENEWED] = {WIRE_RENEWED,
                      .renewed = {UINT64_MAX, UINT32_MAX, held_most, 1}},
    [WIRE_CANCEL] = {WIRE_CANCEL,
                     .cancel = {MOST_ID, UINT32_MAX, UINT32_MAX, TEXT_MOST}},
    [WIRE_DRAIN] = {WIRE_DRAIN, .drain = {TEXT_MOST}},
    [WIRE_BYE] = {WIRE_BYE, .bye = {WIRE_BYES - 1, TEXT_MOST}},
    [WIRE_ESTIMATE] = {WIRE_ESTIMATE,
                       .estimate = {UINT64_MAX,
                                    {long_sources, WIRE_SOURCES_BYTES_MAX}}},
    [WIRE_ESTIMATED] = {WIRE_ESTIMATED,
                        .estimated = {UINT64_MAX, sizes_most, WIRE_SOURCES_MAX,
                                      TEXT_MOST}},
};

static int fill_long_values(void **state)
{
    (void)state;
    memset(long_name, 'n', sizeof(long_name));
    memset(long_text, 't', sizeof(long_text));
    memset(long_log, 0xff, sizeof(long_log));
    memset(long_sources, ' ', sizeof(long_sources));
    memset(sizes_most, 0xff, sizeof(sizes_most));
    return 0;
}

/* ---- helpers ------------------------------------------------------------ */

/* A frame in a block of exactly its size, so that AddressSanitizer sees a read
 * one byte beyond it. */
struct frame {
    char *bytes;
    size_t len;
};

static struct frame packed(const struct wire_msg *msg)
{
    struct frame frame, exact;

    assert_int_equal(wire_pack(msg, &frame.bytes, &frame.len), 0);
    exact.bytes = malloc(frame.len);
    assert_non_null(exact.bytes);
    memcpy(exact.bytes, frame.bytes, frame.len);
    exact.len = frame.len;
    free(frame.bytes);
    return exact;
}

/* What wire_unpack() answers; the message is thrown away. */
static int answer(const void *bytes, size_t len)
{
    struct wire_msg msg;
    const char *why = NULL;
    int r = wire_unpack(bytes, len, &msg, &why);

    if (r == 0)
        wire_clear(&msg);
    else
        assert_non_null(why);
    return r;
}

#define ANSWER(literal) answer((literal), sizeof(literal) - 1)
#define SCAN(literal) wire_scan((literal), sizeof(literal) - 1, NULL)

static void same_bytes(struct wire_bytes a, struct wire_bytes b)
{
    assert_int_equal(a.len, b.len);
    if (a.len > 0)
        assert_memory_equal(a.ptr, b.ptr, a.len);
}

static void same_texts(const struct wire_bytes *a, size_t a_count,
                       const struct wire_bytes *b, size_t b_count)
{
    assert_int_equal(a_count, b_count);
    for (size_t i = 0; i < a_count; i++)
        same_bytes(a[i], b[i]);
}

static void same_id(struct wire_id a, struct wire_id b)
{
    assert_memory_equal(a.b, b.b, sizeof(a.b));
}

static void same_held(const struct wire_held *a, size_t a_count,
                      const struct wire_held *b, size_t b_count)
{
    assert_int_equal(a_count, b_count);
    for (size_t i = 0; i < a_count; i++) {
        same_id(a[i].run, b[i].run);
        assert_int_equal(a[i].attempt, b[i].attempt);
        assert_int_equal(a[i].phase, b[i].phase);
        assert_int_equal(a[i].events, b[i].events);
    }
}

static void same_nodes(const struct wire_node *a, size_t a_count,
                       const struct wire_node *b, size_t b_count)
{
    assert_int_equal(a_count, b_count);
    for (size_t i = 0; i < a_count; i++) {
        assert_int_equal(a[i].node, b[i].node);
        assert_int_equal(a[i].state, b[i].state);
        assert_int_equal(a[i].started_unix_ms, b[i].started_unix_ms);
        assert_int_equal(a[i].ended_unix_ms, b[i].ended_unix_ms);
        assert_int_equal(a[i].exit_code, b[i].exit_code);
        assert_int_equal(a[i].rows_in, b[i].rows_in);
        assert_int_equal(a[i].rows_out, b[i].rows_out);
        assert_int_equal(a[i].rows_rejected, b[i].rows_rejected);
        assert_int_equal(a[i].bytes_out, b[i].bytes_out);
        same_bytes(a[i].error, b[i].error);
    }
}

#define SAME(member) assert_int_equal(a->member, b->member)
/* What opens, ends and keeps alive a session. */
static void same_session(const struct wire_msg *a, const struct wire_msg *b)
{
    switch (a->type) {
    case WIRE_HELLO:
        same_bytes(a->hello.name, b->hello.name);
        same_id(a->hello.boot, b->hello.boot);
        SAME(hello.slots);
        same_texts(a->hello.pools, a->hello.pool_count, b->hello.pools,
                   b->hello.pool_count);
        same_texts(a->hello.caps, a->hello.cap_count, b->hello.caps,
                   b->hello.cap_count);
        same_held(a->hello.held, a->hello.held_count, b->hello.held,
                  b->hello.held_count);
        same_bytes(a->hello.host, b->hello.host);
        SAME(hello.pid);
        same_bytes(a->hello.software, b->hello.software);
        SAME(hello.draining);
        SAME(hello.greeting);
        return;
    case WIRE_WELCOME:
        SAME(welcome.session);
        SAME(welcome.lease_ms);
        same_held(a->welcome.keep, a->welcome.keep_count, b->welcome.keep,
                  b->welcome.keep_count);
        same_held(a->welcome.kill, a->welcome.kill_count, b->welcome.kill,
                  b->welcome.kill_count);
        return;
    case WIRE_RENEW:
        SAME(renew.beat);
        same_held(a->renew.held, a->renew.held_count, b->renew.held,
                  b->renew.held_count);
        return;
    case WIRE_RENEWED:
        SAME(renewed.beat);
        SAME(renewed.lease_ms);
        same_held(a->renewed.lost, a->renewed.lost_count, b->renewed.lost,
                  b->renewed.lost_count);
        return;
    case WIRE_DRAIN:
        same_bytes(a->drain.reason, b->drain.reason);
        return;
    case WIRE_BYE:
        SAME(bye.code);
        same_bytes(a->bye.text, b->bye.text);
        return;
    case WIRE_ESTIMATE:
        SAME(estimate.number);
        same_bytes(a->estimate.sources, b->estimate.sources);
        return;
    case WIRE_ESTIMATED:
        SAME(estimated.number);
        SAME(estimated.size_count);
        for (size_t i = 0; i < a->estimated.size_count; i++)
            SAME(estimated.sizes[i]);
        same_bytes(a->estimated.text, b->estimated.text);
        return;
    default:
        fail_msg("%s is not compared", wire_type_name(a->type));
    }
}

/* What is about one attempt; the rest is handed on. */
static void same_msg(const struct wire_msg *a, const struct wire_msg *b)
{
    SAME(type);
    switch (a->type) {
    case WIRE_RUN:
        same_id(a->run.run, b->run.run);
        SAME(run.attempt);
        SAME(run.lease_ms);
        SAME(run.timeout_ms);
        same_bytes(a->run.workflow, b->run.workflow);
        same_bytes(a->run.pool, b->run.pool);
        same_bytes(a->run.plan, b->run.plan);
        same_bytes(a->run.parameters, b->run.parameters);
        same_bytes(a->run.traceparent, b->run.traceparent);
        return;
    case WIRE_ACCEPTED:
        same_id(a->accepted.run, b->accepted.run);
        SAME(accepted.attempt);
        SAME(accepted.started_unix_ms);
        SAME(accepted.beat);
        return;
    case WIRE_REFUSED:
        same_id(a->refused.run, b->refused.run);
        SAME(refused.attempt);
        SAME(refused.code);
        same_bytes(a->refused.text, b->refused.text);
        return;
    case WIRE_NODE:
        same_id(a->node.run, b->node.run);
        SAME(node.attempt);
        SAME(node.event);
        same_nodes(&a->node.node, 1, &b->node.node, 1);
        return;
    case WIRE_LOG:
        same_id(a->log.run, b->log.run);
        SAME(log.attempt);
        SAME(log.event);
        SAME(log.node);
        SAME(log.stream);
        SAME(log.at_unix_ms);
        same_bytes(a->log.text, b->log.text);
        return;
    case WIRE_RESULT:
        same_id(a->result.run, b->result.run);
        SAME(result.attempt);
        SAME(result.outcome);
        SAME(result.started_unix_ms);
        SAME(result.ended_unix_ms);
        SAME(result.events);
        SAME(result.log_dropped);
        same_bytes(a->result.error, b->result.error);
        same_nodes(a->result.nodes, a->result.node_count, b->result.nodes,
                   b->result.node_count);
        return;
    case WIRE_RESULT_ACK:
        same_id(a->result_ack.run, b->result_ack.run);
        SAME(result_ack.attempt);
        return;
    case WIRE_CANCEL:
        same_id(a->cancel.run, b->cancel.run);
        SAME(cancel.attempt);
        SAME(cancel.grace_ms);
        same_bytes(a->cancel.reason, b->cancel.reason);
        return;
    default:
        same_session(a, b);
    }
}

static void comes_back(const struct wire_msg *msg)
{
    struct frame frame = packed(msg);
    struct wire_msg back;
    const char *why = "";

    if (wire_unpack(frame.bytes, frame.len, &back, &why) != 0)
        fail_msg("%s: %s", wire_type_name(msg->type), why);
    same_msg(msg, &back);
    wire_clear(&back);
    free(frame.bytes);
}

/* ---- changed frames ----------------------------------------------------- */

static msgpack_object number(uint64_t n)
{
    return (msgpack_object){.type = MSGPACK_OBJECT_POSITIVE_INTEGER,
                            .via.u64 = n};
}

static msgpack_object negative(int64_t n)
{
    return (msgpack_object){.type = MSGPACK_OBJECT_NEGATIVE_INTEGER,
                            .via.i64 = n};
}

static msgpack_object text(const char *ptr, size_t len)
{
    return (msgpack_object){.type = MSGPACK_OBJECT_STR,
                            .via.str = {(uint32_t)len, ptr}};
}

static msgpack_object binary(const char *ptr, size_t len)
{
    return (msgpack_object){.type = MSGPACK_OBJECT_BIN,
                            .via.bin = {(uint32_t)len, ptr}};
}

/* An array of count times item. */
static msgpack_object list(msgpack_zone *zone, size_t count,
                           msgpack_object item)
{
    msgpack_object *items =
        msgpack_zone_malloc(zone, (count + 1) * sizeof(*items));

    assert_non_null(items);
    for (size_t i = 0; i < count; i++)
        items[i] = item;
    return (msgpack_object){.type = MSGPACK_OBJECT_ARRAY,
                            .via.array = {(uint32_t)count, items}};
}

static msgpack_object tree(const struct wire_msg *msg, msgpack_zone *zone)
{
    struct frame frame = packed(msg);
    msgpack_object root;
    char *copy = msgpack_zone_malloc(zone, frame.len); /* strings point in */

    assert_non_null(copy);
    memcpy(copy, frame.bytes, frame.len);
    assert_int_equal(msgpack_unpack(copy, frame.len, NULL, zone, &root),
                     MSGPACK_UNPACK_SUCCESS);
    free(frame.bytes);
    return root;
}

/* The value at a path such as {4, 0, 1}: field 4 of the frame, its item 0,
 * field 1 of that; 0 is the version, 1 the type. Ends with -1. */
static msgpack_object *at(msgpack_object *root, const int *path)
{
    for (; *path >= 0; path++) {
        assert_int_equal(root->type, MSGPACK_OBJECT_ARRAY);
        assert_true((uint32_t)*path < root->via.array.size);
        root = &root->via.array.ptr[*path];
    }
    return root;
}

static int answer_to_tree(msgpack_object root)
{
    msgpack_sbuffer bytes;
    msgpack_packer packer;
    int r;

    msgpack_sbuffer_init(&bytes);
    msgpack_packer_init(&packer, &bytes, msgpack_sbuffer_write);
    assert_int_equal(msgpack_pack_object(&packer, root), 0);
    r = answer(bytes.data, bytes.size);
    msgpack_sbuffer_destroy(&bytes);
    return r;
}

/* What is answered to the plain message of that type with one value changed. */
static int answer_with(enum wire_type type, const int *path,
                       msgpack_object value)
{
    msgpack_zone zone;
    msgpack_object root;
    int r;

    assert_true(msgpack_zone_init(&zone, 8192));
    root = tree(&plain[type], &zone);
    *at(&root, path) = value;
    r = answer_to_tree(root);
    msgpack_zone_destroy(&zone);
    return r;
}

#define PATH(...)                                                              \
    (const int[])                                                              \
    {                                                                          \
        __VA_ARGS__, -1                                                        \
    }

/* Adds extra values to the array at the path. */
static int answer_with_more(enum wire_type type, const int *path)
{
    msgpack_zone zone;
    msgpack_object root, *array, longer;
    int r;

    assert_true(msgpack_zone_init(&zone, 8192));
    root = tree(&plain[type], &zone);
    array = at(&root, path);
    longer = list(&zone, array->via.array.size + 3, number(1));
    memcpy(longer.via.array.ptr, array->via.array.ptr,
           array->via.array.size * sizeof(msgpack_object));
    longer.via.array.ptr[array->via.array.size] =
        list(&zone, 2, list(&zone, 1, text("new", 3)));
    longer.via.array.ptr[array->via.array.size + 1] =
        (msgpack_object){.type = MSGPACK_OBJECT_NIL};
    *array = longer;
    r = answer_to_tree(root);
    msgpack_zone_destroy(&zone);
    return r;
}

/* ---- there and back ----------------------------------------------------- */

static void every_message_comes_back_equal(void **state)
{
    (void)state;
    for (int type = FIRST; type <= LAST; type++)
        comes_back(&plain[type]);
}

static void every_message_comes_back_equal_with_the_least_in_it(void **state)
{
    (void)state;
    for (int type = FIRST; type <= LAST; type++)
        comes_back(&least[type]);
}

static void every_message_comes_back_equal_with_the_most_in_it(void **state)
{
    (void)state;
    for (int type = FIRST; type <= LAST; type++)
        comes_back(&most[type]);
}

static void full_lists_come_back_equal(void **state)
{
    static struct wire_held many[WIRE_HELD_MAX];
    static struct wire_bytes words[WIRE_CAPS_MAX];
    struct wire_msg hello = most[WIRE_HELLO], welcome = most[WIRE_WELCOME];

    (void)state;
    for (size_t i = 0; i < COUNT(many); i++)
        many[i] = held_most[0];
    for (size_t i = 0; i < COUNT(words); i++)
        words[i] = names_most[0];
    hello.hello.pools = hello.hello.caps = words;
    hello.hello.pool_count = WIRE_POOLS_MAX;
    hello.hello.cap_count = WIRE_CAPS_MAX;
    hello.hello.held = welcome.welcome.keep = welcome.welcome.kill = many;
    hello.hello.held_count = WIRE_HELD_MAX;
    welcome.welcome.keep_count = welcome.welcome.kill_count = WIRE_HELD_MAX;
    comes_back(&hello);
    comes_back(&welcome);
}

static void the_result_of_the_largest_workflow_fits_a_frame(void **state)
{
    static struct wire_node all[WIRE_NODES_MAX];
    struct wire_msg result = most[WIRE_RESULT];

    (void)state;
    for (size_t i = 0; i < COUNT(all); i++)
        all[i] = nodes_most[0];
    result.result.nodes = all;
    result.result.node_count = WIRE_NODES_MAX;
    comes_back(&result);
}

static void the_largest_run_fits_a_frame(void **state)
{
    static const char plan[WIRE_PLAN_MAX] = "";
    struct wire_msg run = most[WIRE_RUN];

    (void)state;
    run.run.plan = (struct wire_bytes){plan, WIRE_PLAN_MAX};
    run.run.parameters = (struct wire_bytes){plan, WIRE_PARAMETERS_MAX};
    comes_back(&run);
}

static void strings_are_borrowed_from_the_frame(void **state)
{
    struct frame frame = packed(&plain[WIRE_DRAIN]);
    struct wire_msg msg;

    (void)state;
    assert_int_equal(wire_unpack(frame.bytes, frame.len, &msg, NULL), 0);
    assert_in_range((uintptr_t)msg.drain.reason.ptr, (uintptr_t)frame.bytes,
                    (uintptr_t)frame.bytes + frame.len);
    free(frame.bytes);
}

static void a_cleared_message_may_be_cleared_again(void **state)
{
    struct frame frame = packed(&plain[WIRE_HELLO]);
    struct wire_msg msg;

    (void)state;
    assert_int_equal(wire_unpack(frame.bytes, frame.len, &msg, NULL), 0);
    wire_clear(&msg);
    assert_null(msg.hello.held);
    wire_clear(&msg);
    free(frame.bytes);
}

static void types_have_names_and_unknown_ones_a_question_mark(void **state)
{
    (void)state;
    assert_string_equal(wire_type_name(WIRE_HELLO), "HELLO");
    assert_string_equal(wire_type_name(WIRE_RESULT_ACK), "RESULT_ACK");
    assert_string_equal(wire_type_name(WIRE_BYE), "BYE");
    assert_string_equal(wire_type_name(WIRE_ESTIMATED), "ESTIMATED");
    assert_string_equal(wire_type_name((enum wire_type)0), "?");
    assert_string_equal(wire_type_name((enum wire_type)(LAST + 1)), "?");
}

/* What version 1 looks like, byte by byte: an agent in another language was
 * written against these. They change only with WIRE_VERSION; a field added at
 * the end of a message changes its first byte and adds to its end. */
static const char *const golden[] = {
    [WIRE_HELLO] =
        "9d0101ab772d312e6578616d706c65c4100102030405067708890a0b0c0d0e0f"
        "100492a764656661756c74a365746c92ac6b696e643a636f6d6d616e64ad656e"
        "67696e653a73716c6974659294c4100102030405067708890a0b0c0d0e0f1002"
        "00cd012c94c4100102030405067708890a0b0c0d0e0f100301ce00011170a468"
        "6f7374cd1267a5302e312e30c303",
    [WIRE_WELCOME] =
        "96010263cd3a989194c4100102030405067708890a0b0c0d0e0f100200cd012c"
        "9194c4100102030405067708890a0b0c0d0e0f100301ce00011170",
    [WIRE_RUN] =
        "9b0103c4100102030405067708890a0b0c0d0e0f1002cd0bb8cdea60ab646169"
        "6c792073616c6573a365746cc40c7b226e6f646573223a5b5d7dc4027b7daf30"
        "302d306166372d623761642d3031",
    [WIRE_ACCEPTED] =
        "960104c4100102030405067708890a0b0c0d0e0f1002cf000001a1f640bc0005",
    [WIRE_REFUSED] = "960105c4100102030405067708890a0b0c0d0e0f100203a26e6f",
    [WIRE_NODE] =
        "960106c4100102030405067708890a0b0c0d0e0f1002099a0702cf000001a1f6"
        "40bc01cf000001a1f640bc02ff0b0c0d0ea165",
    [WIRE_LOG] =
        "990107c4100102030405067708890a0b0c0d0e0f10020a0701cf000001a1f640"
        "bc03c4056f757400ff",
    [WIRE_RESULT] =
        "9b0108c4100102030405067708890a0b0c0d0e0f100202cf000001a1f640bc00"
        "cf000001a1f640bc090c22a46c617465929a0703cf000001a1f640bc01cf0000"
        "01a1f640bc02cc890b0c0d0ea464c3a96a9a08040000ff00000000a0",
    [WIRE_RESULT_ACK] = "940109c4100102030405067708890a0b0c0d0e0f1002",
    [WIRE_RENEW] =
        "94010a069294c4100102030405067708890a0b0c0d0e0f100200cd012c94c410"
        "0102030405067708890a0b0c0d0e0f100301ce00011170",
    [WIRE_RENEWED] =
        "95010b06cd3a989194c4100102030405067708890a0b0c0d0e0f100200cd012c",
    [WIRE_CANCEL] =
        "96010cc4100102030405067708890a0b0c0d0e0f1002cd1388a561736b6564",
    [WIRE_DRAIN] = "93010da6757064617465",
    [WIRE_BYE] = "94010e02a374776f",
    [WIRE_ESTIMATE] = "94010fcd012cc40c5b7b226b696e64223a317d5d",
    [WIRE_ESTIMATED] = "950110cd012c9300cfffffffffffffffffcd0400a27331",
};

static void the_bytes_are_those_of_version_1(void **state)
{
    (void)state;
    for (int type = FIRST; type <= LAST; type++) {
        struct frame frame = packed(&plain[type]);
        char *hex = malloc(2 * frame.len + 1);

        assert_non_null(hex);
        for (size_t i = 0; i < frame.len; i++) {
            unsigned char byte = (unsigned char)frame.bytes[i];

            hex[2 * i] = "0123456789abcdef"[byte >> 4];
            hex[2 * i + 1] = "0123456789abcdef"[byte & 15];
        }
        hex[2 * frame.len] = '\0';
        assert_string_equal(hex, golden[type]);
        free(hex);
        free(frame.bytes);
    }
}

/* ---- frames that are no message ----------------------------------------- */

static void every_truncation_is_refused(void **state)
{
    (void)state;
    for (int type = FIRST; type <= LAST; type++) {
        struct frame frame = packed(&plain[type]);

        for (size_t len = 0; len < frame.len; len++) {
            char *cut = malloc(len + 1);

            assert_non_null(cut);
            memcpy(cut + 1, frame.bytes, len); /* ends where the block ends */
            assert_int_equal(answer(cut + 1, len), -EBADMSG);
            assert_int_equal(wire_scan(cut + 1, len, NULL), -EBADMSG);
            free(cut);
        }
        free(frame.bytes);
    }
}

static void any_changed_byte_is_refused_or_makes_a_sound_message(void **state)
{
    (void)state;
    for (int type = FIRST; type <= LAST; type++) {
        struct frame frame = packed(&plain[type]), again;
        struct wire_msg msg;

        for (size_t i = 0; i < frame.len; i++) {
            char was = frame.bytes[i];

            for (int value = 0; value < 256; value++) {
                frame.bytes[i] = (char)value;
                if (wire_unpack(frame.bytes, frame.len, &msg, NULL) < 0)
                    continue;
                again = packed(&msg); /* held to the same rules */
                free(again.bytes);
                wire_clear(&msg);
            }
            frame.bytes[i] = was;
        }
        free(frame.bytes);
    }
}

static void an_empty_frame_is_refused(void **state)
{
    (void)state;
    assert_int_equal(answer(NULL, 0), -EBADMSG);
    assert_int_equal(wire_scan(NULL, 0, NULL), -EBADMSG);
}

static void frames_are_read_to_the_limit_and_refused_beyond(void **state)
{
    unsigned char *frame = calloc(1, WIRE_FRAME_MAX + 1); /* one bin */
    uint32_t len = WIRE_FRAME_MAX - 5;

    (void)state;
    assert_non_null(frame);
    for (int more = 0; more <= 1; more++) {
        frame[0] = 0xc6;
        for (size_t i = 0; i < 4; i++)
            frame[1 + i] = (unsigned char)(len >> (24 - 8 * i));
        assert_int_equal(wire_scan(frame, 5 + (size_t)len, NULL),
                         more ? -EBADMSG : 0);
        len++;
    }
    free(frame);
}

static void a_count_beyond_the_frame_is_refused(void **state)
{
    const char *why = "";

    (void)state;
    assert_int_equal(wire_scan("\x92\x01", 2, &why), -EBADMSG);
    assert_string_equal(why, "a count beyond the frame"); /* at the head */
    assert_int_equal(SCAN("\xdd\xff\xff\xff\xff\x01"), -EBADMSG);
    assert_int_equal(ANSWER("\xdd\xff\xff\xff\xff\x01"), -EBADMSG);
    assert_int_equal(ANSWER("\xdd\xff\xff\xff\xff\x01\x0a\x01"), -EBADMSG);
    assert_int_equal(SCAN("\xdc\x00\x02\x01"), -EBADMSG);
    assert_int_equal(SCAN("\x91\xdb\xff\xff\xff\xff"), -EBADMSG);
    assert_int_equal(SCAN("\x91\xc6\xff\xff\xff\xff"), -EBADMSG);
}

/* Each count alone has bytes enough, all together have not. */
static void counts_are_held_against_the_frame_together(void **state)
{
    (void)state;
    assert_int_equal(SCAN("\x93\x93\x01\x02\x03\x04"), -EBADMSG);
    assert_int_equal(SCAN("\x93\x93\x01\x02\x03\x04\x05"), 0);
}

static void depth_is_read_to_the_limit_and_refused_beyond(void **state)
{
    unsigned char deep[WIRE_DEPTH_MAX + 1];

    (void)state;
    memset(deep, 0x91, sizeof(deep));
    deep[WIRE_DEPTH_MAX] = 0x01;
    assert_int_equal(wire_scan(deep, sizeof(deep), NULL), 0);
    deep[WIRE_DEPTH_MAX] = 0x90;
    assert_int_equal(wire_scan(deep, sizeof(deep), NULL), -EBADMSG);
}

static void a_million_open_arrays_are_refused(void **state)
{
    size_t len = 1000000;
    char *bomb = malloc(len);

    (void)state;
    assert_non_null(bomb);
    memset(bomb, 0x91, len);
    assert_int_equal(wire_scan(bomb, len, NULL), -EBADMSG);
    assert_int_equal(answer(bomb, len), -EBADMSG);
    free(bomb);
}

static void elements_are_read_to_the_limit_and_refused_beyond(void **state)
{
    size_t len = 5 + WIRE_ELEMENTS_MAX;
    unsigned char *many = calloc(1, len);   /* zeros: so many times 0 */
    uint32_t count = WIRE_ELEMENTS_MAX - 1; /* the array is one itself */

    (void)state;
    assert_non_null(many);
    for (int more = 0; more <= 1; more++) {
        many[0] = 0xdd;
        for (size_t i = 0; i < 4; i++)
            many[1 + i] = (unsigned char)(count >> (24 - 8 * i));
        assert_int_equal(wire_scan(many, 5 + (size_t)count, NULL),
                         more ? -EBADMSG : 0);
        count++;
    }
    free(many);
}

static void two_values_in_a_frame_are_refused(void **state)
{
    struct frame frame = packed(&plain[WIRE_RENEW]);
    char *twice = malloc(2 * frame.len);

    (void)state;
    assert_non_null(twice);
    memcpy(twice, frame.bytes, frame.len);
    memcpy(twice + frame.len, frame.bytes, frame.len);
    assert_int_equal(wire_scan(twice, 2 * frame.len, NULL), -EBADMSG);
    assert_int_equal(answer(twice, 2 * frame.len), -EBADMSG);
    assert_int_equal(answer(twice, frame.len + 1), -EBADMSG);
    free(twice);
    free(frame.bytes);
}

static void maps_extensions_and_the_unused_byte_are_refused(void **state)
{
    (void)state;
    assert_int_equal(SCAN("\x80"), -EBADMSG);
    assert_int_equal(SCAN("\x81\x01\x02"), -EBADMSG);
    assert_int_equal(SCAN("\xde\x00\x00"), -EBADMSG);
    assert_int_equal(SCAN("\xdf\x00\x00\x00\x00"), -EBADMSG);
    assert_int_equal(SCAN("\xd4\x01\x02"), -EBADMSG);
    assert_int_equal(SCAN("\xc7\x00\x01"), -EBADMSG);
    assert_int_equal(SCAN("\xc9\x00\x00\x00\x00\x01"), -EBADMSG);
    assert_int_equal(SCAN("\xc1"), -EBADMSG);
}

static void every_other_format_is_scanned(void **state)
{
    (void)state;
    assert_int_equal(SCAN("\xdd\x00\x00\x00\x14"
                          "\xc0\xc2\xc3\x7f\xff"
                          "\xca\x00\x00\x00\x00\xcb\x00\x00\x00\x00\x00\x00\x00"
                          "\x00\xcc\x01\xcd\x01\x02\xce\x01\x02\x03\x04"
                          "\xcf\x01\x02\x03\x04\x05\x06\x07\x08\xd0\x80"
                          "\xd1\x80\x00\xd2\x80\x00\x00\x00"
                          "\xd3\x80\x00\x00\x00\x00\x00\x00\x00"
                          "\xa1x\xd9\x01x\xda\x00\x01x\xdb\x00\x00\x00\x01x"
                          "\xdc\x00\x00"),
                     0);
}

static void text_that_is_not_utf8_is_refused(void **state)
{
    static const char *const bad[] = {
        "\x80",             /* a continuation alone */
        "a\xc3",            /* cut off */
        "\xc3(",            /* no continuation */
        "\xc0\xaf",         /* overlong, two bytes */
        "\xe0\x9f\xbf",     /* overlong, three */
        "\xf0\x8f\xbf\xbf", /* overlong, four */
        "\xed\xa0\x80",     /* a surrogate */
        "\xf4\x90\x80\x80", /* beyond U+10FFFF */
        "\xf5\x80\x80\x80",
        "\xff",
        "\xe2\x82",
        "\xf0\x9f\x98",
        "12345678\xff", /* after eight of ASCII */
        "1234567\xff",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(
            answer_with(WIRE_DRAIN, PATH(2), text(bad[i], strlen(bad[i]))),
            -EBADMSG);
}

static void text_at_the_edges_of_utf8_is_accepted(void **state)
{
    static const char *const good[] = {
        "",
        "\x01\x7f",
        "\xc2\x80\xdf\xbf",
        "\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf",
        "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf",
        "1234567\xc3\xa9",
        "12345678\xe2\x82\xacxyz12345",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++)
        assert_int_equal(
            answer_with(WIRE_DRAIN, PATH(2), text(good[i], strlen(good[i]))),
            0);
}

static void text_with_a_nul_is_refused(void **state)
{
    (void)state;
    assert_int_equal(answer_with(WIRE_DRAIN, PATH(2), text("a\0b", 3)),
                     -EBADMSG);
    assert_int_equal(answer_with(WIRE_DRAIN, PATH(2), text("1234567\0", 8)),
                     -EBADMSG);
}

/* ---- versions and types ------------------------------------------------- */

static void another_major_version_is_told_apart(void **state)
{
    (void)state;
    assert_int_equal(answer_with(WIRE_RENEW, PATH(0), number(2)), -ENOTSUP);
    assert_int_equal(answer_with(WIRE_RENEW, PATH(0), number(0)), -ENOTSUP);
    assert_int_equal(answer_with(WIRE_RENEW, PATH(0), number(UINT64_MAX)),
                     -ENOTSUP);
}

static void another_major_version_may_change_all_behind_it(void **state)
{
    (void)state;
    assert_int_equal(ANSWER("\x93\x02\x81\x01\x02\xc7\x00\x01"), -ENOTSUP);
}

static void an_unknown_type_is_told_apart(void **state)
{
    (void)state;
    assert_int_equal(answer_with(WIRE_RENEW, PATH(1), number(0)), -ENOENT);
    assert_int_equal(answer_with(WIRE_RENEW, PATH(1), number(LAST + 1)),
                     -ENOENT);
    assert_int_equal(answer_with(WIRE_RENEW, PATH(1), number(UINT64_MAX)),
                     -ENOENT);
    assert_int_equal(ANSWER("\x92\x01\x7f"), -ENOENT);
}

static void a_version_or_type_that_is_no_number_is_refused(void **state)
{
    (void)state;
    assert_int_equal(answer_with(WIRE_RENEW, PATH(0), negative(-1)), -EBADMSG);
    assert_int_equal(answer_with(WIRE_RENEW, PATH(0), text("1", 1)), -EBADMSG);
    assert_int_equal(answer_with(WIRE_RENEW, PATH(1), negative(-1)), -EBADMSG);
    assert_int_equal(ANSWER("\x01"), -EBADMSG);
    assert_int_equal(ANSWER("\x90"), -EBADMSG);
    assert_int_equal(ANSWER("\x91\x01"), -EBADMSG);
}

static void fields_of_a_newer_minor_version_are_ignored(void **state)
{
    (void)state;
    for (int type = FIRST; type <= LAST; type++)
        assert_int_equal(answer_with_more((enum wire_type)type, PATH(-1)), 0);
    assert_int_equal(answer_with_more(WIRE_RENEW, PATH(3, 0)), 0);
    assert_int_equal(answer_with_more(WIRE_RESULT, PATH(10, 1)), 0);
    assert_int_equal(answer_with_more(WIRE_NODE, PATH(5)), 0);
}

/* What stands behind an ignored field is still found. */
static void rows_after_an_extended_row_are_read(void **state)
{
    static const char frame[] = "\x94\x01\x0a\x05\x92"
                                "\x96\xc4\x10"
                                "0123456789abcdef"
                                "\x01\x00\x07\x92\x91\x01\x02\xa1x"
                                "\x94\xc4\x10"
                                "0123456789abcdef"
                                "\x02\x01\x08";
    struct wire_msg msg;

    (void)state;
    assert_int_equal(wire_unpack(frame, sizeof(frame) - 1, &msg, NULL), 0);
    assert_int_equal(msg.renew.held_count, 2);
    assert_int_equal(msg.renew.held[0].events, 7);
    assert_int_equal(msg.renew.held[1].attempt, 2);
    assert_int_equal(msg.renew.held[1].events, 8);
    wire_clear(&msg);
}

static void a_message_with_a_field_missing_is_refused(void **state)
{
    (void)state;
    for (int type = FIRST; type <= LAST; type++) {
        msgpack_zone zone;
        msgpack_object root;

        assert_true(msgpack_zone_init(&zone, 8192));
        root = tree(&plain[type], &zone);
        while (root.via.array.size > 2) {
            root.via.array.size--;
            assert_int_equal(answer_to_tree(root), -EBADMSG);
        }
        msgpack_zone_destroy(&zone);
    }
}

static void a_row_with_a_field_missing_is_refused(void **state)
{
    msgpack_zone zone;
    msgpack_object root;

    (void)state;
    assert_true(msgpack_zone_init(&zone, 8192));
    root = tree(&plain[WIRE_RENEW], &zone);
    at(&root, PATH(3, 0))->via.array.size--;
    assert_int_equal(answer_to_tree(root), -EBADMSG);
    root = tree(&plain[WIRE_NODE], &zone);
    at(&root, PATH(5))->via.array.size--;
    assert_int_equal(answer_to_tree(root), -EBADMSG);
    msgpack_zone_destroy(&zone);
}

/* ---- fields ------------------------------------------------------------- */

static void a_value_of_another_type_is_refused_in_every_field(void **state)
{
    const msgpack_object wrong[] = {
        {.type = MSGPACK_OBJECT_NIL},
        {.type = MSGPACK_OBJECT_BOOLEAN, .via.boolean = true},
        {.type = MSGPACK_OBJECT_FLOAT64, .via.f64 = 1.0},
        negative(-1),
        number(1),
        text("x", 1),
        binary("0123456789abcdef", 16),
        {.type = MSGPACK_OBJECT_ARRAY},
    };

    (void)state;
    for (int type = FIRST; type <= LAST; type++) {
        msgpack_zone zone;
        msgpack_object root;

        assert_true(msgpack_zone_init(&zone, 8192));
        root = tree(&plain[type], &zone);
        for (uint32_t i = 2; i < root.via.array.size; i++) {
            msgpack_object was = root.via.array.ptr[i];

            for (size_t w = 0; w < COUNT(wrong); w++) {
                if (wrong[w].type == was.type)
                    continue;
                root.via.array.ptr[i] = wrong[w];
                if (answer_to_tree(root) != -EBADMSG)
                    fail_msg("%s field %u takes wrong value %zu",
                             wire_type_name((enum wire_type)type), i, w);
            }
            root.via.array.ptr[i] = was;
        }
        msgpack_zone_destroy(&zone);
    }
}

static void a_value_of_another_type_is_refused_in_rows(void **state)
{
    const msgpack_object nil = {.type = MSGPACK_OBJECT_NIL};

    (void)state;
    for (int i = 0; i < 4; i++)
        assert_int_equal(answer_with(WIRE_RENEW, PATH(3, 1, i), nil), -EBADMSG);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(answer_with(WIRE_NODE, PATH(5, i), nil), -EBADMSG);
        assert_int_equal(answer_with(WIRE_RESULT, PATH(10, 1, i), nil),
                         -EBADMSG);
    }
    assert_int_equal(answer_with(WIRE_RENEW, PATH(3, 0), nil), -EBADMSG);
    assert_int_equal(answer_with(WIRE_HELLO, PATH(5, 0), nil), -EBADMSG);
}

static void numbers_outside_their_range_are_refused(void **state)
{
    static const struct {
        enum wire_type type;
        int path[4];
        uint64_t number;
    } bad[] = {
        {WIRE_HELLO, {4, -1}, 0}, /* slots */
        {WIRE_HELLO, {4, -1}, WIRE_SLOTS_MAX + 1},
        {WIRE_HELLO, {9, -1}, 1ULL << 32}, /* pid */
        {WIRE_HELLO, {7, 0, 1, -1}, 0},    /* held.attempt */
        {WIRE_HELLO, {7, 0, 1, -1}, 1ULL << 32},
        {WIRE_HELLO, {7, 0, 2, -1}, WIRE_PHASE_ENDED + 1},
        {WIRE_WELCOME, {3, -1}, 0}, /* lease_ms */
        {WIRE_WELCOME, {3, -1}, 1ULL << 32},
        {WIRE_RUN, {3, -1}, 0}, /* attempt */
        {WIRE_RUN, {4, -1}, 0}, /* lease_ms */
        {WIRE_RUN, {5, -1}, 1ULL << 63},
        {WIRE_ACCEPTED, {3, -1}, 0},
        {WIRE_ACCEPTED, {4, -1}, 1ULL << 63}, /* started */
        {WIRE_REFUSED, {4, -1}, 0},
        {WIRE_REFUSED, {4, -1}, WIRE_REFUSALS},
        {WIRE_REFUSED, {4, -1}, 257}, /* 1, were it cut to a byte */
        {WIRE_NODE, {4, -1}, 0},      /* event */
        {WIRE_NODE, {5, 0, -1}, WIRE_NODES_MAX},
        {WIRE_NODE, {5, 1, -1}, WIRE_NODE_STATES},
        {WIRE_NODE, {5, 1, -1}, 256},
        {WIRE_NODE, {5, 2, -1}, 1ULL << 63},
        {WIRE_NODE, {5, 4, -1}, 1ULL << 31}, /* exit_code */
        {WIRE_NODE, {5, 4, -1}, UINT64_MAX},
        {WIRE_LOG, {4, -1}, 0}, /* event */
        {WIRE_LOG, {5, -1}, WIRE_NODES_MAX},
        {WIRE_LOG, {6, -1}, WIRE_STREAMS}, /* stream */
        {WIRE_LOG, {7, -1}, 1ULL << 63},
        {WIRE_RESULT, {4, -1}, WIRE_OUTCOMES},
        {WIRE_RESULT, {5, -1}, 1ULL << 63},
        {WIRE_RESULT, {6, -1}, 1ULL << 63},
        {WIRE_RESULT, {10, 0, 0, -1}, WIRE_NODES_MAX},
        {WIRE_RESULT_ACK, {3, -1}, 0},
        {WIRE_RENEWED, {3, -1}, 0},
        {WIRE_CANCEL, {3, -1}, 0},
        {WIRE_CANCEL, {4, -1}, 1ULL << 32},
        {WIRE_BYE, {2, -1}, 0},
        {WIRE_BYE, {2, -1}, WIRE_BYES},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++)
        if (answer_with(bad[i].type, bad[i].path, number(bad[i].number)) !=
            -EBADMSG)
            fail_msg("case %zu, %s", i, wire_type_name(bad[i].type));
}

static void a_negative_time_is_refused(void **state)
{
    (void)state;
    assert_int_equal(answer_with(WIRE_ACCEPTED, PATH(4), negative(-1)),
                     -EBADMSG);
    assert_int_equal(answer_with(WIRE_RESULT, PATH(5), negative(INT64_MIN)),
                     -EBADMSG);
}

static void an_exit_code_may_be_negative_within_32_bits(void **state)
{
    (void)state;
    assert_int_equal(answer_with(WIRE_NODE, PATH(5, 4), negative(INT32_MIN)),
                     0);
    assert_int_equal(
        answer_with(WIRE_NODE, PATH(5, 4), negative((int64_t)INT32_MIN - 1)),
        -EBADMSG);
}

static void a_number_may_be_written_in_any_integer_format(void **state)
{
    /* BYE with code 1 in each way, text "" in each way */
    (void)state;
    assert_int_equal(ANSWER("\x94\x01\x0e\x01\xa0"), 0);
    assert_int_equal(ANSWER("\x94\xcc\x01\xcd\x00\x0e\xce\x00\x00\x00\x01\xa0"),
                     0);
    assert_int_equal(ANSWER("\xdc\x00\x04\x01\x0e\xcf\x00\x00\x00\x00\x00\x00"
                            "\x00\x01\xd9\x00"),
                     0);
    assert_int_equal(ANSWER("\xdd\x00\x00\x00\x04\x01\x0e\xd0\x01\xda\x00\x00"),
                     0);
    assert_int_equal(ANSWER("\x94\x01\xd1\x00\x0e\xd2\x00\x00\x00\x01\xdb\x00"
                            "\x00\x00\x00"),
                     0);
    assert_int_equal(
        ANSWER("\x94\x01\x0e\xd3\x00\x00\x00\x00\x00\x00\x00\x01\xa0"), 0);
    assert_int_equal(ANSWER("\x94\x01\x0e\xd0\xff\xa0"), -EBADMSG);
}

static void an_id_of_another_length_is_refused(void **state)
{
    (void)state;
    assert_int_equal(
        answer_with(WIRE_RESULT_ACK, PATH(2), binary("0123456789abcde", 15)),
        -EBADMSG);
    assert_int_equal(
        answer_with(WIRE_RESULT_ACK, PATH(2), binary("0123456789abcdefg", 17)),
        -EBADMSG);
}

static void names_with_other_characters_are_refused(void **state)
{
    static const char *const bad[] = {
        "",    "a b", "a/b",  "..",   ".a",       "-a",
        "a\n", "a:b", "a\"b", "a%sb", "\xc3\xa9", "a\x7f",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        msgpack_object name = text(bad[i], strlen(bad[i]));

        assert_int_equal(answer_with(WIRE_HELLO, PATH(2), name), -EBADMSG);
        assert_int_equal(answer_with(WIRE_HELLO, PATH(5, 1), name), -EBADMSG);
        assert_int_equal(answer_with(WIRE_RUN, PATH(7), name), -EBADMSG);
    }
}

static void names_of_letters_digits_dots_dashes_are_accepted(void **state)
{
    static const char *const good[] = {"a", "Z9", "0", "_a", "a.b-c_d", "a.."};

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++)
        assert_int_equal(
            answer_with(WIRE_HELLO, PATH(2), text(good[i], strlen(good[i]))),
            0);
}

static void a_capability_may_have_a_colon_but_no_space(void **state)
{
    (void)state;
    assert_int_equal(
        answer_with(WIRE_HELLO, PATH(6, 0), text("engine:pg.15", 12)), 0);
    assert_int_equal(answer_with(WIRE_HELLO, PATH(6, 0), text("a b", 3)),
                     -EBADMSG);
}

/* The fields with a length, and the longest they may be. */
static const struct {
    enum wire_type type;
    int path[4];
    bool bin;
    size_t max;
} lengths[] = {
    {WIRE_HELLO, {2, -1}, false, WIRE_NAME_MAX},
    {WIRE_HELLO, {5, 0, -1}, false, WIRE_NAME_MAX},
    {WIRE_HELLO, {6, 0, -1}, false, WIRE_NAME_MAX},
    {WIRE_HELLO, {8, -1}, false, WIRE_HOST_MAX},
    {WIRE_HELLO, {10, -1}, false, WIRE_NAME_MAX},
    {WIRE_RUN, {6, -1}, false, WIRE_WORKFLOW_MAX},
    {WIRE_RUN, {7, -1}, false, WIRE_NAME_MAX},
    {WIRE_RUN, {8, -1}, true, WIRE_PLAN_MAX},
    {WIRE_RUN, {9, -1}, true, WIRE_PARAMETERS_MAX},
    {WIRE_RUN, {10, -1}, false, WIRE_NAME_MAX},
    {WIRE_REFUSED, {5, -1}, false, WIRE_TEXT_MAX},
    {WIRE_NODE, {5, 9, -1}, false, WIRE_NODE_ERROR_MAX},
    {WIRE_LOG, {8, -1}, true, WIRE_LOG_MAX},
    {WIRE_RESULT, {9, -1}, false, WIRE_TEXT_MAX},
    {WIRE_RESULT, {10, 0, 9, -1}, false, WIRE_NODE_ERROR_MAX},
    {WIRE_CANCEL, {5, -1}, false, WIRE_TEXT_MAX},
    {WIRE_DRAIN, {2, -1}, false, WIRE_TEXT_MAX},
    {WIRE_BYE, {3, -1}, false, WIRE_TEXT_MAX},
    {WIRE_ESTIMATE, {3, -1}, true, WIRE_SOURCES_BYTES_MAX},
    {WIRE_ESTIMATED, {4, -1}, false, WIRE_TEXT_MAX},
};

static void lengths_are_read_to_the_limit_and_refused_beyond(void **state)
{
    char *value = malloc(WIRE_PLAN_MAX + 1);

    (void)state;
    assert_non_null(value);
    memset(value, 'x', WIRE_PLAN_MAX + 1);
    for (size_t i = 0; i < COUNT(lengths); i++) {
        for (size_t over = 0; over <= 1; over++) {
            size_t len = lengths[i].max + over;
            int r = answer_with(lengths[i].type, lengths[i].path,
                                lengths[i].bin ? binary(value, len)
                                               : text(value, len));

            if (r != (over ? -EBADMSG : 0))
                fail_msg("case %zu, %s, over %zu: %d", i,
                         wire_type_name(lengths[i].type), over, r);
        }
    }
    free(value);
}

static void lists_are_read_to_the_limit_and_refused_beyond(void **state)
{
    static const struct {
        enum wire_type type;
        int field;
        size_t max;
    } lists[] = {
        {WIRE_HELLO, 5, WIRE_POOLS_MAX},
        {WIRE_HELLO, 6, WIRE_CAPS_MAX},
        {WIRE_HELLO, 7, WIRE_HELD_MAX},
        {WIRE_WELCOME, 4, WIRE_HELD_MAX},
        {WIRE_WELCOME, 5, WIRE_HELD_MAX},
        {WIRE_RESULT, 10, WIRE_NODES_MAX},
        {WIRE_RENEW, 3, WIRE_HELD_MAX},
        {WIRE_RENEWED, 4, WIRE_HELD_MAX},
        {WIRE_ESTIMATED, 3, WIRE_SOURCES_MAX},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(lists); i++) {
        msgpack_zone zone;
        msgpack_object root, *field;

        assert_true(msgpack_zone_init(&zone, 8192));
        root = tree(&plain[lists[i].type], &zone);
        field = at(&root, PATH(lists[i].field));
        *field = list(&zone, lists[i].max + 1, field->via.array.ptr[0]);
        assert_int_equal(answer_to_tree(root), -EBADMSG);
        field->via.array.size--;
        assert_int_equal(answer_to_tree(root), 0);
        msgpack_zone_destroy(&zone);
    }
}

static void a_refusal_names_the_field(void **state)
{
    static const char frame[] = "\x94\x01\x0e\x00\xa0"; /* BYE, code 0 */
    const char *why = "";
    struct wire_msg msg;

    (void)state;
    assert_int_equal(wire_unpack(frame, sizeof(frame) - 1, &msg, &why),
                     -EBADMSG);
    assert_memory_equal(why, "bye.code", 8);
}

static void a_refused_frame_leaves_the_message_as_it_was(void **state)
{
    struct wire_msg msg, was;

    (void)state;
    memset(&msg, 0x5a, sizeof(msg));
    memset(&was, 0x5a, sizeof(was));
    assert_int_equal(wire_unpack("\x94\x01\x0e\x00\xa0", 5, &msg, NULL),
                     -EBADMSG);
    assert_memory_equal(&msg, &was, sizeof(msg));
}

/* ---- packing ------------------------------------------------------------ */

static int pack_answer(const struct wire_msg *msg)
{
    char *bytes = NULL;
    size_t len = 7;
    int r = wire_pack(msg, &bytes, &len);

    if (r < 0) {
        assert_null(bytes);
        assert_int_equal(len, 7);
    }
    free(bytes);
    return r;
}

static void a_list_over_its_limit_is_not_packed(void **state)
{
    static struct wire_held many[WIRE_HELD_MAX + 1];
    struct wire_msg msg = plain[WIRE_RENEW];

    (void)state;
    for (size_t i = 0; i < COUNT(many); i++)
        many[i] = held[0];
    msg.renew.held = many;
    msg.renew.held_count = WIRE_HELD_MAX;
    assert_int_equal(pack_answer(&msg), 0);
    msg.renew.held_count++;
    assert_int_equal(pack_answer(&msg), -EINVAL);
}

static void a_list_that_is_null_but_counted_is_not_packed(void **state)
{
    struct wire_msg msg = {WIRE_RENEW, .renew = {1, NULL, 1}};

    (void)state;
    assert_int_equal(pack_answer(&msg), -EINVAL);
}

static void text_that_is_null_but_counted_is_not_packed(void **state)
{
    struct wire_msg msg = {WIRE_DRAIN, .drain = {{NULL, 1}}};

    (void)state;
    assert_int_equal(pack_answer(&msg), -EINVAL);
}

static void text_over_its_limit_is_not_packed(void **state)
{
    static char longer[WIRE_TEXT_MAX + 1];
    struct wire_msg msg = {WIRE_DRAIN, .drain = {{longer, sizeof(longer)}}};

    (void)state;
    memset(longer, 'x', sizeof(longer));
    assert_int_equal(pack_answer(&msg), -EINVAL);
    msg.drain.reason.len--;
    assert_int_equal(pack_answer(&msg), 0);
}

static void text_that_is_not_utf8_is_not_packed(void **state)
{
    struct wire_msg msg = {WIRE_DRAIN, .drain = {T("caf\xe9")}};

    (void)state;
    assert_int_equal(pack_answer(&msg), -EINVAL);
}

static void a_number_outside_its_range_is_not_packed(void **state)
{
    struct wire_msg msg = plain[WIRE_ACCEPTED];

    (void)state;
    msg.accepted.started_unix_ms = -1;
    assert_int_equal(pack_answer(&msg), -EINVAL);
    msg = plain[WIRE_RESULT_ACK];
    msg.result_ack.attempt = 0;
    assert_int_equal(pack_answer(&msg), -EINVAL);
    msg = plain[WIRE_RESULT];
    msg.result.outcome = WIRE_OUTCOMES;
    assert_int_equal(pack_answer(&msg), -EINVAL);
}

static void a_bad_name_is_not_packed(void **state)
{
    struct wire_msg msg = plain[WIRE_HELLO];

    (void)state;
    msg.hello.name = wire_text("two words");
    assert_int_equal(pack_answer(&msg), -EINVAL);
    msg.hello.name = wire_text(NULL);
    assert_int_equal(pack_answer(&msg), -EINVAL);
}

static void an_unknown_type_is_not_packed(void **state)
{
    struct wire_msg msg = {.type = (enum wire_type)0};

    (void)state;
    assert_int_equal(pack_answer(&msg), -EINVAL);
    msg.type = (enum wire_type)(LAST + 1);
    assert_int_equal(pack_answer(&msg), -EINVAL);
}

/* ---- memory ------------------------------------------------------------- */

#ifndef ALLOCATOR_TAKEN
static void hostile_counts_cost_no_memory(void **state)
{
    (void)state;
    largest = 0;
    assert_int_equal(ANSWER("\xdd\xff\xff\xff\xff\x01"), -EBADMSG);
    assert_int_equal(ANSWER("\x94\x01\x0a\x01\xdd\xff\xff\xff\xff"), -EBADMSG);
    assert_int_equal(ANSWER("\x94\x01\x0a\x01\xdc\x10\x00\x01\x01"), -EBADMSG);
    assert_int_equal(ANSWER("\x94\x01\x0e\x01\xdb\xff\xff\xff\xff"), -EBADMSG);
    assert_int_equal(largest, 0);
}

/* The bytes for the count are there, yet they are no rows. */
static void a_full_list_of_nothing_costs_no_more_than_its_limit(void **state)
{
    (void)state;
    static const unsigned char head[] = {0x94, 1, 10, 1, 0xdc, 0x10, 0};
    size_t len = sizeof(head) + WIRE_HELD_MAX;
    char *frame = calloc(1, len);

    assert_non_null(frame);
    memcpy(frame, head, sizeof(head));
    largest = 0;
    assert_int_equal(answer(frame, len), -EBADMSG);
    assert_true(largest <= WIRE_HELD_MAX * sizeof(struct wire_held));
    free(frame);
}

static void without_memory_a_list_is_not_unpacked(void **state)
{
    (void)state;
    struct frame frame = packed(&plain[WIRE_HELLO]);
    struct wire_msg msg;
    const char *why = NULL;

    for (int lists = 0; lists < 3; lists++) {
        fail_after = lists;
        assert_int_equal(wire_unpack(frame.bytes, frame.len, &msg, &why),
                         -ENOMEM);
        fail_after = -1;
        assert_string_equal(why, "no memory");
    }
    free(frame.bytes);
}

static void without_memory_nothing_is_packed(void **state)
{
    (void)state;
    for (int blocks = 0; blocks < 2; blocks++) {
        fail_after = blocks;
        int r = pack_answer(&most[WIRE_RESULT]);
        fail_after = -1;
        assert_int_equal(r, -ENOMEM);
    }
}
#endif

/* ---- text and ids ------------------------------------------------------- */

static void mended_text_is_accepted(void **state)
{
    char bad[] = "caf\xe9 \xff\xc3\xa9 \0 \xe2\x82";
    struct wire_msg msg = {WIRE_DRAIN, .drain = {{bad, 0}}};

    (void)state;
    msg.drain.reason.len = wire_mend(bad, sizeof(bad) - 1, WIRE_TEXT_MAX);
    assert_int_equal(msg.drain.reason.len, sizeof(bad) - 1);
    assert_memory_equal(bad, "caf? ?\xc3\xa9 ? ??", sizeof(bad) - 1);
    assert_int_equal(pack_answer(&msg), 0);
}

static void good_text_is_mended_to_itself(void **state)
{
    char good[] = "d\xc3\xa9j\xc3\xa0 \xe2\x82\xac";

    (void)state;
    assert_int_equal(wire_mend(good, sizeof(good) - 1, 100), sizeof(good) - 1);
    assert_string_equal(good, "d\xc3\xa9j\xc3\xa0 \xe2\x82\xac");
}

static void mending_cuts_between_characters(void **state)
{
    char euro[] = "1\xe2\x82\xac";

    (void)state;
    assert_int_equal(wire_mend(euro, 4, 4), 4);
    assert_int_equal(wire_mend(euro, 4, 3), 1);
    assert_int_equal(wire_mend(euro, 4, 0), 0);
    assert_int_equal(wire_mend(euro, 0, 4), 0);
}

static void an_id_comes_back_from_its_text(void **state)
{
    const struct wire_id id = RUN_ID;
    struct wire_id back;
    char text_of[37];

    (void)state;
    wire_id_text(&id, text_of);
    assert_string_equal(text_of, "01020304-0506-7708-890a-0b0c0d0e0f10");
    assert_int_equal(wire_id_parse(text_of, &back), 0);
    same_id(id, back);
}

static void an_id_may_be_written_in_capitals(void **state)
{
    struct wire_id id;

    (void)state;
    assert_int_equal(wire_id_parse("0192ABCD-EF01-7ABC-8DEF-FFFFFFFFFFFF", &id),
                     0);
    assert_int_equal(id.b[2], 0xab);
    assert_int_equal(id.b[15], 0xff);
}

static void text_that_is_no_id_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "0",
        "01020304",
        "01020304-0506-7708-890a-0b0c0d0e0f1",
        "01020304-0506-7708-890a-0b0c0d0e0f101",
        "01020304-0506-7708-890a-0b0c0d0e0f10 ",
        " 1020304-0506-7708-890a-0b0c0d0e0f10",
        "0102030405067708890a0b0c0d0e0f10",
        "01020304+0506-7708-890a-0b0c0d0e0f10",
        "01020304-0506-7708-890a0-b0c0d0e0f10",
        "g1020304-0506-7708-890a-0b0c0d0e0f10",
        "{1020304-0506-7708-890a-0b0c0d0e0f10}",
        "-0102030-4050-6770-8890-a0b0c0d0e0f1",
    };
    struct wire_id id, was;

    (void)state;
    memset(&id, 7, sizeof(id));
    memset(&was, 7, sizeof(was));
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(wire_id_parse(bad[i], &id), -EINVAL);
    assert_int_equal(wire_id_parse(NULL, &id), -EINVAL);
    same_id(id, was);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_comes_back_equal),
        cmocka_unit_test(every_message_comes_back_equal_with_the_least_in_it),
        cmocka_unit_test(every_message_comes_back_equal_with_the_most_in_it),
        cmocka_unit_test(full_lists_come_back_equal),
        cmocka_unit_test(the_result_of_the_largest_workflow_fits_a_frame),
        cmocka_unit_test(the_largest_run_fits_a_frame),
        cmocka_unit_test(strings_are_borrowed_from_the_frame),
        cmocka_unit_test(a_cleared_message_may_be_cleared_again),
        cmocka_unit_test(types_have_names_and_unknown_ones_a_question_mark),
        cmocka_unit_test(the_bytes_are_those_of_version_1),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(any_changed_byte_is_refused_or_makes_a_sound_message),
        cmocka_unit_test(an_empty_frame_is_refused),
        cmocka_unit_test(frames_are_read_to_the_limit_and_refused_beyond),
        cmocka_unit_test(a_count_beyond_the_frame_is_refused),
        cmocka_unit_test(counts_are_held_against_the_frame_together),
        cmocka_unit_test(depth_is_read_to_the_limit_and_refused_beyond),
        cmocka_unit_test(a_million_open_arrays_are_refused),
        cmocka_unit_test(elements_are_read_to_the_limit_and_refused_beyond),
        cmocka_unit_test(two_values_in_a_frame_are_refused),
        cmocka_unit_test(maps_extensions_and_the_unused_byte_are_refused),
        cmocka_unit_test(every_other_format_is_scanned),
        cmocka_unit_test(text_that_is_not_utf8_is_refused),
        cmocka_unit_test(text_at_the_edges_of_utf8_is_accepted),
        cmocka_unit_test(text_with_a_nul_is_refused),
        cmocka_unit_test(another_major_version_is_told_apart),
        cmocka_unit_test(another_major_version_may_change_all_behind_it),
        cmocka_unit_test(an_unknown_type_is_told_apart),
        cmocka_unit_test(a_version_or_type_that_is_no_number_is_refused),
        cmocka_unit_test(fields_of_a_newer_minor_version_are_ignored),
        cmocka_unit_test(rows_after_an_extended_row_are_read),
        cmocka_unit_test(a_message_with_a_field_missing_is_refused),
        cmocka_unit_test(a_row_with_a_field_missing_is_refused),
        cmocka_unit_test(a_value_of_another_type_is_refused_in_every_field),
        cmocka_unit_test(a_value_of_another_type_is_refused_in_rows),
        cmocka_unit_test(numbers_outside_their_range_are_refused),
        cmocka_unit_test(a_negative_time_is_refused),
        cmocka_unit_test(an_exit_code_may_be_negative_within_32_bits),
        cmocka_unit_test(a_number_may_be_written_in_any_integer_format),
        cmocka_unit_test(an_id_of_another_length_is_refused),
        cmocka_unit_test(names_with_other_characters_are_refused),
        cmocka_unit_test(names_of_letters_digits_dots_dashes_are_accepted),
        cmocka_unit_test(a_capability_may_have_a_colon_but_no_space),
        cmocka_unit_test(lengths_are_read_to_the_limit_and_refused_beyond),
        cmocka_unit_test(lists_are_read_to_the_limit_and_refused_beyond),
        cmocka_unit_test(a_refusal_names_the_field),
        cmocka_unit_test(a_refused_frame_leaves_the_message_as_it_was),
        cmocka_unit_test(a_list_over_its_limit_is_not_packed),
        cmocka_unit_test(a_list_that_is_null_but_counted_is_not_packed),
        cmocka_unit_test(text_that_is_null_but_counted_is_not_packed),
        cmocka_unit_test(text_over_its_limit_is_not_packed),
        cmocka_unit_test(text_that_is_not_utf8_is_not_packed),
        cmocka_unit_test(a_number_outside_its_range_is_not_packed),
        cmocka_unit_test(a_bad_name_is_not_packed),
        cmocka_unit_test(an_unknown_type_is_not_packed),
#ifndef ALLOCATOR_TAKEN
        cmocka_unit_test(hostile_counts_cost_no_memory),
        cmocka_unit_test(a_full_list_of_nothing_costs_no_more_than_its_limit),
        cmocka_unit_test(without_memory_a_list_is_not_unpacked),
        cmocka_unit_test(without_memory_nothing_is_packed),
#endif
        cmocka_unit_test(mended_text_is_accepted),
        cmocka_unit_test(good_text_is_mended_to_itself),
        cmocka_unit_test(mending_cuts_between_characters),
        cmocka_unit_test(an_id_comes_back_from_its_text),
        cmocka_unit_test(an_id_may_be_written_in_capitals),
        cmocka_unit_test(text_that_is_no_id_is_refused),
    };

    return cmocka_run_group_tests_name("wire", tests, fill_long_values, NULL);
}
