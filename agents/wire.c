/*
 * wire.c - the tables of fields, and the two small machines that follow them.
 *
 * Each message is a row of fields; the order of the tables below is the order
 * on the wire, written down once: packing, unpacking and freeing all walk the
 * same table. What a field must hold (range, length, characters) stands there
 * too and is checked in both directions, so what wire_pack() accepts, the
 * other side's wire_unpack() accepts as well.
 *
 * Packing goes through msgpack-c. Reading does not: wire_scan() has to know
 * every msgpack format anyway to find out whether a frame may be trusted, and
 * with that reader (token_read()) at hand the fields are taken from the frame
 * directly. msgpack-c's unpacker would build a tree of 24-byte objects in a
 * zone first (an allocation of 8 KiB for a beat of 40 bytes), only to be walked
 * once, copied and freed: measured, that alone takes as long as wire_unpack()
 * with its scan does now (0.4 us for a RENEW of eight attempts).
 *
 * Nothing here recurses: a message holds lists and rows, a list holds rows, a
 * row holds plain values, and each of the three levels has its own function.
 */
#include "agents/wire.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Most messages are beats of under a hundred bytes, and wait in queues. */
#define MSGPACK_SBUFFER_INIT_SIZE 256
#include <msgpack/pack.h>
#include <msgpack/sbuffer.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- the tables --------------------------------------------------------- */

/* WIRE.md has the rule for changing them. In short: within a version only add,
 * at the end of a table, and let older peers leave the addition out (the checks
 * of counts in head_unpack() and row_unpack() ask for every field today). */

enum kind {
    KIND_UINT, /* min..max; also times, which are never negative */
    KIND_INT,  /* any int32 */
    KIND_BOOL,
    KIND_ID,   /* bin, exactly 16 bytes */
    KIND_NAME, /* str of [A-Za-z0-9._-] */
    KIND_CAP,  /* the same and ':' */
    KIND_TEXT, /* str: UTF-8 without NUL */
    KIND_BIN,  /* any bytes */
    KIND_ROW,  /* array: the fields of .row */
    KIND_LIST, /* array of .row */
};

struct row;

struct field {
    const char *bad; /* what wire_unpack() says when it is not acceptable */
    enum kind kind;
    size_t offset, bytes;  /* in the struct */
    size_t count_offset;   /* KIND_LIST: of its count */
    uint64_t min, max;     /* a number, a length, or a count */
    const struct row *row; /* KIND_ROW, KIND_LIST */
};

struct row {
    const struct field *fields;
    size_t count;
    size_t bytes; /* of the struct */
    bool bare;    /* its one field stands alone, without an array around it */
};

#define LIMITS(lo, hi) .min = (lo), .max = (hi)
#define FIELD(type, prefix, member, k, ...)                                    \
    {                                                                          \
        .bad =                                                                 \
            prefix #member ": missing, of another type or outside its limits", \
        .kind = (k), .offset = offsetof(struct type, member),                  \
        .bytes = sizeof(((struct type *)0)->member), LIMITS(__VA_ARGS__)       \
    }
#define HELD(member, ...) FIELD(wire_held, "held.", member, __VA_ARGS__)
#define NODE(member, ...) FIELD(wire_node, "node.", member, __VA_ARGS__)
#define MSG(member, ...) FIELD(wire_msg, "", member, __VA_ARGS__)
#define LIST(member, size, of, hi)                                             \
    {                                                                          \
        .bad = #member ": missing, not an array or too many",                  \
        .kind = KIND_LIST, .offset = offsetof(struct wire_msg, member),        \
        .count_offset = offsetof(struct wire_msg, size), .max = (hi),          \
        .row = &(of)                                                           \
    }

#define ANY32 0, UINT32_MAX
#define ANY64 0, UINT64_MAX
#define FROM1_32 1, UINT32_MAX
#define FROM1_64 1, UINT64_MAX
#define TIME 0, INT64_MAX
#define NODE_INDEX 0, WIRE_NODES_MAX - 1
#define TEXT 0, WIRE_TEXT_MAX

static const struct field pool_fields[] = {
    {.bad = "hello.pools: a name that is not one",
     .kind = KIND_NAME,
     .bytes = sizeof(struct wire_bytes),
     .min = 1,
     .max = WIRE_NAME_MAX},
};
static const struct row pool_row = {pool_fields, COUNT(pool_fields),
                                    sizeof(struct wire_bytes), true};

static const struct field cap_fields[] = {
    {.bad = "hello.caps: a name that is not one",
     .kind = KIND_CAP,
     .bytes = sizeof(struct wire_bytes),
     .min = 1,
     .max = WIRE_NAME_MAX},
};
static const struct row cap_row = {cap_fields, COUNT(cap_fields),
                                   sizeof(struct wire_bytes), true};

static const struct field held_fields[] = {
    HELD(run, KIND_ID, 0, 0),
    HELD(attempt, KIND_UINT, FROM1_32),
    HELD(phase, KIND_UINT, WIRE_PHASE_RUNNING, WIRE_PHASE_ENDED),
    HELD(events, KIND_UINT, ANY64),
};
static const struct row held_row = {held_fields, COUNT(held_fields),
                                    sizeof(struct wire_held), false};

static const struct field node_fields[] = {
    NODE(node, KIND_UINT, NODE_INDEX),
    NODE(state, KIND_UINT, 0, WIRE_NODE_STATES - 1),
    NODE(started_unix_ms, KIND_UINT, TIME),
    NODE(ended_unix_ms, KIND_UINT, TIME),
    NODE(exit_code, KIND_INT, 0, 0),
    NODE(rows_in, KIND_UINT, ANY64),
    NODE(rows_out, KIND_UINT, ANY64),
    NODE(rows_rejected, KIND_UINT, ANY64),
    NODE(bytes_out, KIND_UINT, ANY64),
    NODE(error, KIND_TEXT, 0, WIRE_NODE_ERROR_MAX),
};
static const struct row node_row = {node_fields, COUNT(node_fields),
                                    sizeof(struct wire_node), false};

/* The largest promises the limits make must fit a frame: otherwise an agent
 * could end a run whose RESULT cannot be sent. A node's heads and numbers at
 * their longest: 1 + 3 + 1 + 9 + 9 + 5 + 9 + 9 + 9 + 9 + 3 = 67 bytes. */
_Static_assert(WIRE_NODES_MAX *(WIRE_NODE_ERROR_MAX + 67) + WIRE_TEXT_MAX +
                       1024 <
                   WIRE_FRAME_MAX,
               "a RESULT of the largest workflow fits a frame");
_Static_assert(WIRE_NODES_MAX *(COUNT(node_fields) + 1) + 100 <
                   WIRE_ELEMENTS_MAX,
               "and has few enough elements");
_Static_assert(WIRE_PLAN_MAX + WIRE_PARAMETERS_MAX + 4096 < WIRE_FRAME_MAX,
               "a RUN fits a frame");

static const struct field hello_fields[] = {
    MSG(hello.name, KIND_NAME, 1, WIRE_NAME_MAX),
    MSG(hello.boot, KIND_ID, 0, 0),
    MSG(hello.slots, KIND_UINT, 1, WIRE_SLOTS_MAX),
    LIST(hello.pools, hello.pool_count, pool_row, WIRE_POOLS_MAX),
    LIST(hello.caps, hello.cap_count, cap_row, WIRE_CAPS_MAX),
    LIST(hello.held, hello.held_count, held_row, WIRE_HELD_MAX),
    MSG(hello.host, KIND_TEXT, 0, WIRE_HOST_MAX),
    MSG(hello.pid, KIND_UINT, ANY32),
    MSG(hello.software, KIND_TEXT, 0, WIRE_NAME_MAX),
    MSG(hello.draining, KIND_BOOL, 0, 0),
    MSG(hello.greeting, KIND_UINT, ANY64),
};

static const struct field welcome_fields[] = {
    MSG(welcome.session, KIND_UINT, ANY64),
    MSG(welcome.lease_ms, KIND_UINT, FROM1_32),
    LIST(welcome.keep, welcome.keep_count, held_row, WIRE_HELD_MAX),
    LIST(welcome.kill, welcome.kill_count, held_row, WIRE_HELD_MAX),
};

static const struct field run_fields[] = {
    MSG(run.run, KIND_ID, 0, 0),
    MSG(run.attempt, KIND_UINT, FROM1_32),
    MSG(run.lease_ms, KIND_UINT, FROM1_32),
    MSG(run.timeout_ms, KIND_UINT, TIME),
    MSG(run.workflow, KIND_TEXT, 0, WIRE_WORKFLOW_MAX),
    MSG(run.pool, KIND_NAME, 1, WIRE_NAME_MAX),
    MSG(run.plan, KIND_BIN, 0, WIRE_PLAN_MAX),
    MSG(run.parameters, KIND_BIN, 0, WIRE_PARAMETERS_MAX),
    MSG(run.traceparent, KIND_TEXT, 0, WIRE_NAME_MAX),
};

static const struct field accepted_fields[] = {
    MSG(accepted.run, KIND_ID, 0, 0),
    MSG(accepted.attempt, KIND_UINT, FROM1_32),
    MSG(accepted.started_unix_ms, KIND_UINT, TIME),
    MSG(accepted.beat, KIND_UINT, ANY64),
};

static const struct field refused_fields[] = {
    MSG(refused.run, KIND_ID, 0, 0),
    MSG(refused.attempt, KIND_UINT, FROM1_32),
    MSG(refused.code, KIND_UINT, 1, WIRE_REFUSALS - 1),
    MSG(refused.text, KIND_TEXT, TEXT),
};

static const struct field node_msg_fields[] = {
    MSG(node.run, KIND_ID, 0, 0),
    MSG(node.attempt, KIND_UINT, FROM1_32),
    MSG(node.event, KIND_UINT, FROM1_64),
    {.bad = "node.node: missing or not an array",
     .kind = KIND_ROW,
     .offset = offsetof(struct wire_msg, node.node),
     .row = &node_row},
};

static const struct field log_fields[] = {
    MSG(log.run, KIND_ID, 0, 0),
    MSG(log.attempt, KIND_UINT, FROM1_32),
    MSG(log.event, KIND_UINT, FROM1_64),
    MSG(log.node, KIND_UINT, NODE_INDEX),
    MSG(log.stream, KIND_UINT, 0, WIRE_STREAMS - 1),
    MSG(log.at_unix_ms, KIND_UINT, TIME),
    MSG(log.text, KIND_BIN, 0, WIRE_LOG_MAX),
};

static const struct field result_fields[] = {
    MSG(result.run, KIND_ID, 0, 0),
    MSG(result.attempt, KIND_UINT, FROM1_32),
    MSG(result.outcome, KIND_UINT, 0, WIRE_OUTCOMES - 1),
    MSG(result.started_unix_ms, KIND_UINT, TIME),
    MSG(result.ended_unix_ms, KIND_UINT, TIME),
    MSG(result.events, KIND_UINT, ANY64),
    MSG(result.log_dropped, KIND_UINT, ANY64),
    MSG(result.error, KIND_TEXT, TEXT),
    LIST(result.nodes, result.node_count, node_row, WIRE_NODES_MAX),
};

static const struct field result_ack_fields[] = {
    MSG(result_ack.run, KIND_ID, 0, 0),
    MSG(result_ack.attempt, KIND_UINT, FROM1_32),
};

static const struct field renew_fields[] = {
    MSG(renew.beat, KIND_UINT, ANY64),
    LIST(renew.held, renew.held_count, held_row, WIRE_HELD_MAX),
};

static const struct field renewed_fields[] = {
    MSG(renewed.beat, KIND_UINT, ANY64),
    MSG(renewed.lease_ms, KIND_UINT, FROM1_32),
    LIST(renewed.lost, renewed.lost_count, held_row, WIRE_HELD_MAX),
};

static const struct field cancel_fields[] = {
    MSG(cancel.run, KIND_ID, 0, 0),
    MSG(cancel.attempt, KIND_UINT, FROM1_32),
    MSG(cancel.grace_ms, KIND_UINT, ANY32),
    MSG(cancel.reason, KIND_TEXT, TEXT),
};

static const struct field drain_fields[] = {
    MSG(drain.reason, KIND_TEXT, TEXT),
};

static const struct field bye_fields[] = {
    MSG(bye.code, KIND_UINT, 1, WIRE_BYES - 1),
    MSG(bye.text, KIND_TEXT, TEXT),
};

static const struct field estimate_fields[] = {
    MSG(estimate.number, KIND_UINT, ANY64),
    MSG(estimate.sources, KIND_BIN, 0, WIRE_SOURCES_BYTES_MAX),
};

static const struct field size_fields[] = {
    {.bad = "estimated.sizes: one that is not a number",
     .kind = KIND_UINT,
     .bytes = sizeof(uint64_t),
     .max = UINT64_MAX},
};
static const struct row size_row = {size_fields, COUNT(size_fields),
                                    sizeof(uint64_t), true};

static const struct field estimated_fields[] = {
    MSG(estimated.number, KIND_UINT, ANY64),
    LIST(estimated.sizes, estimated.size_count, size_row, WIRE_SOURCES_MAX),
    MSG(estimated.text, KIND_TEXT, TEXT),
};

#define MESSAGE(array) array, COUNT(array)

static const struct message {
    const char *name;
    const struct field *fields;
    size_t count;
} messages[] = {
    [WIRE_HELLO] = {"HELLO", MESSAGE(hello_fields)},
    [WIRE_WELCOME] = {"WELCOME", MESSAGE(welcome_fields)},
    [WIRE_RUN] = {"RUN", MESSAGE(run_fields)},
    [WIRE_ACCEPTED] = {"ACCEPTED", MESSAGE(accepted_fields)},
    [WIRE_REFUSED] = {"REFUSED", MESSAGE(refused_fields)},
    [WIRE_NODE] = {"NODE", MESSAGE(node_msg_fields)},
    [WIRE_LOG] = {"LOG", MESSAGE(log_fields)},
    [WIRE_RESULT] = {"RESULT", MESSAGE(result_fields)},
    [WIRE_RESULT_ACK] = {"RESULT_ACK", MESSAGE(result_ack_fields)},
    [WIRE_RENEW] = {"RENEW", MESSAGE(renew_fields)},
    [WIRE_RENEWED] = {"RENEWED", MESSAGE(renewed_fields)},
    [WIRE_CANCEL] = {"CANCEL", MESSAGE(cancel_fields)},
    [WIRE_DRAIN] = {"DRAIN", MESSAGE(drain_fields)},
    [WIRE_BYE] = {"BYE", MESSAGE(bye_fields)},
    [WIRE_ESTIMATE] = {"ESTIMATE", MESSAGE(estimate_fields)},
    [WIRE_ESTIMATED] = {"ESTIMATED", MESSAGE(estimated_fields)},
};

/* NULL: this side does not know it. */
static const struct message *message_find(uint64_t type)
{
    if (type >= COUNT(messages) || !messages[type].name)
        return NULL;
    return &messages[type];
}

const char *wire_type_name(enum wire_type type)
{
    const struct message *message = message_find((uint64_t)type);

    return message ? message->name : "?";
}

/* ---- text --------------------------------------------------------------- */

/* How many bytes the character at s has; 0: not UTF-8 (RFC 3629), cut off by
 * the end, or NUL, which a C program behind us would take for the end. */
static size_t utf8_bytes(const unsigned char *s, size_t left)
{
    unsigned char low = 0x80, high = 0xbf; /* of the second byte */
    size_t bytes;

    if (s[0] < 0x80)
        return s[0] != 0;
    if (s[0] < 0xc2 || s[0] > 0xf4)
        return 0;
    if (s[0] < 0xe0) {
        bytes = 2;
    } else if (s[0] < 0xf0) {
        bytes = 3;
        low = s[0] == 0xe0 ? 0xa0 : 0x80;  /* overlong */
        high = s[0] == 0xed ? 0x9f : 0xbf; /* surrogates */
    } else {
        bytes = 4;
        low = s[0] == 0xf0 ? 0x90 : 0x80;  /* overlong */
        high = s[0] == 0xf4 ? 0x8f : 0xbf; /* beyond U+10FFFF */
    }
    if (left < bytes || s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < bytes; i++)
        if (s[i] < 0x80 || s[i] > 0xbf)
            return 0;
    return bytes;
}

static bool text_valid(const char *text, size_t bytes)
{
    const unsigned char *s = (const unsigned char *)text;
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
    uint64_t eight;
    size_t i = 0;

    while (i < bytes) {
        size_t step;

        while (bytes - i >= sizeof(eight)) { /* plain ASCII, eight at a time */
            memcpy(&eight, s + i, sizeof(eight));
            if ((eight & tops) || ((eight - ones) & ~eight & tops))
                break;
            i += sizeof(eight);
        }
        if (i == bytes)
            break;
        step = utf8_bytes(s + i, bytes - i);
        if (step == 0)
            return false;
        i += step;
    }
    return true;
}

/* Names become words in logs, labels and paths: the first character is neither
 * a dot nor a dash, so that no name is "..", hidden, or looks like an option.
 */
static bool name_valid(const char *name, size_t bytes, bool colon)
{
    if (bytes == 0 || name[0] == '.' || name[0] == '-')
        return false;
    for (size_t i = 0; i < bytes; i++) {
        char c = name[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-' ||
              (colon && c == ':')))
            return false;
    }
    return true;
}

static bool within(const struct field *field, uint64_t number)
{
    return number >= field->min && number <= field->max;
}

/* The rules for str and bin, the same on the way out and on the way in. */
static bool bytes_valid(const struct field *field, const char *ptr, size_t len)
{
    if (len > 0 && !ptr)
        return false;
    if (!within(field, len))
        return false;
    switch (field->kind) {
    case KIND_NAME:
        return name_valid(ptr, len, false);
    case KIND_CAP:
        return name_valid(ptr, len, true);
    case KIND_TEXT:
        return text_valid(ptr, len);
    default:
        return true;
    }
}

struct wire_bytes wire_text(const char *text)
{
    return (struct wire_bytes){text, text ? strlen(text) : 0};
}

size_t wire_mend(char *text, size_t bytes, size_t bytes_max)
{
    size_t at = 0;

    while (at < bytes) {
        size_t step = utf8_bytes((const unsigned char *)text + at, bytes - at);

        if (at + (step ? step : 1) > bytes_max)
            break;
        if (step == 0) {
            text[at] = '?';
            step = 1;
        }
        at += step;
    }
    return at;
}

/* ---- numbers and pointers in structs ------------------------------------ */

static uint64_t number_load(const void *at, size_t bytes)
{
    uint8_t u8;
    uint32_t u32;
    uint64_t u64;

    switch (bytes) {
    case sizeof(u8):
        memcpy(&u8, at, sizeof(u8));
        return u8;
    case sizeof(u32):
        memcpy(&u32, at, sizeof(u32));
        return u32;
    default:
        memcpy(&u64, at, sizeof(u64));
        return u64;
    }
}

static void number_store(void *at, size_t bytes, uint64_t number)
{
    uint8_t u8 = (uint8_t)number;
    uint32_t u32 = (uint32_t)number;

    switch (bytes) {
    case sizeof(u8):
        memcpy(at, &u8, sizeof(u8));
        break;
    case sizeof(u32):
        memcpy(at, &u32, sizeof(u32));
        break;
    default:
        memcpy(at, &number, sizeof(number));
    }
}

/* ---- packing ------------------------------------------------------------ */

/* msgpack-c hands on what its writer returns, so errors are errnos here. */
static int frame_write(void *data, const char *bytes, size_t len)
{
    msgpack_sbuffer *frame = data;

    if (len > WIRE_FRAME_MAX - frame->size)
        return -EMSGSIZE;
    return msgpack_sbuffer_write(frame, bytes, len) == 0 ? 0 : -ENOMEM;
}

static int value_pack(const struct field *field, const void *base,
                      msgpack_packer *packer)
{
    const char *at = (const char *)base + field->offset;
    struct wire_bytes bytes;
    uint64_t number;
    int32_t i32;
    bool truth;

    switch (field->kind) {
    case KIND_UINT:
        number = number_load(at, field->bytes);
        if (!within(field, number))
            return -EINVAL;
        return msgpack_pack_uint64(packer, number);
    case KIND_INT:
        memcpy(&i32, at, sizeof(i32));
        return msgpack_pack_int32(packer, i32);
    case KIND_BOOL:
        memcpy(&truth, at, sizeof(truth));
        return truth ? msgpack_pack_true(packer) : msgpack_pack_false(packer);
    case KIND_ID:
        return msgpack_pack_bin_with_body(packer, at, sizeof(struct wire_id));
    case KIND_NAME:
    case KIND_CAP:
    case KIND_TEXT:
    case KIND_BIN:
        memcpy(&bytes, at, sizeof(bytes));
        if (!bytes_valid(field, bytes.ptr, bytes.len))
            return -EINVAL;
        if (field->kind == KIND_BIN)
            return msgpack_pack_bin_with_body(packer, bytes.ptr, bytes.len);
        return msgpack_pack_str_with_body(packer, bytes.ptr, bytes.len);
    case KIND_ROW:
    case KIND_LIST:
        break;
    }
    return -EINVAL;
}

static int row_pack(const struct row *row, const void *base,
                    msgpack_packer *packer)
{
    int r = row->bare ? 0 : msgpack_pack_array(packer, row->count);

    for (size_t i = 0; r == 0 && i < row->count; i++)
        r = value_pack(&row->fields[i], base, packer);
    return r;
}

static int list_pack(const struct field *field, const void *base,
                     msgpack_packer *packer)
{
    const char *items;
    size_t count;
    int r;

    memcpy(&items, (const char *)base + field->offset, sizeof(items));
    memcpy(&count, (const char *)base + field->count_offset, sizeof(count));
    if (!within(field, count) || (count > 0 && !items))
        return -EINVAL;
    r = msgpack_pack_array(packer, count);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = row_pack(field->row, items + i * field->row->bytes, packer);
    return r;
}

static int message_pack(const struct message *message,
                        const struct wire_msg *msg, msgpack_packer *packer)
{
    int r = msgpack_pack_array(packer, 2 + message->count);

    if (r == 0)
        r = msgpack_pack_uint64(packer, WIRE_VERSION);
    if (r == 0)
        r = msgpack_pack_uint64(packer, (uint64_t)msg->type);
    for (size_t i = 0; r == 0 && i < message->count; i++) {
        const struct field *field = &message->fields[i];

        if (field->kind == KIND_LIST)
            r = list_pack(field, msg, packer);
        else if (field->kind == KIND_ROW)
            r = row_pack(field->row, (const char *)msg + field->offset, packer);
        else
            r = value_pack(field, msg, packer);
    }
    return r;
}

int wire_pack(const struct wire_msg *msg, char **ret_bytes, size_t *ret_len)
{
    const struct message *message = message_find((uint64_t)msg->type);
    msgpack_sbuffer frame;
    msgpack_packer packer;
    int r;

    if (!message)
        return -EINVAL;
    msgpack_sbuffer_init(&frame);
    msgpack_packer_init(&packer, &frame, frame_write);
    r = message_pack(message, msg, &packer);
    if (r != 0) {
        msgpack_sbuffer_destroy(&frame);
        return r;
    }
    *ret_len = frame.size;
    *ret_bytes = msgpack_sbuffer_release(&frame);
    return 0;
}

/* ---- reading msgpack ---------------------------------------------------- */

enum token_kind {
    TOKEN_REFUSED = 0, /* a map, an extension, the unused 0xc1 */
    TOKEN_NIL,
    TOKEN_BOOL,     /* number: 0 or 1 */
    TOKEN_UINT,     /* number */
    TOKEN_INT,      /* as sent; becomes UINT or NEGATIVE */
    TOKEN_NEGATIVE, /* number, as an int64_t */
    TOKEN_FLOAT,    /* skipped: no field of ours is one */
    TOKEN_STR,      /* number: length; body */
    TOKEN_BIN,
    TOKEN_ARRAY, /* number: count of values that follow */
};

struct token {
    enum token_kind kind;
    uint64_t number;
    const char *body; /* borrowed from the frame */
};

struct cursor {
    const unsigned char *at, *end;
    const char *why; /* the first thing found wrong; static text */
};

/* The formats 0xc0 to 0xdf: what they are, and how many bytes of number (or of
 * length, or of count) come after the first. */
static const struct {
    uint8_t kind, follow;
} formats[32] = {
    {TOKEN_NIL, 0},     {TOKEN_REFUSED, 0}, {TOKEN_BOOL, 0},
    {TOKEN_BOOL, 0},    {TOKEN_BIN, 1},     {TOKEN_BIN, 2},
    {TOKEN_BIN, 4},     {TOKEN_REFUSED, 0}, {TOKEN_REFUSED, 0},
    {TOKEN_REFUSED, 0}, {TOKEN_FLOAT, 4},   {TOKEN_FLOAT, 8},
    {TOKEN_UINT, 1},    {TOKEN_UINT, 2},    {TOKEN_UINT, 4},
    {TOKEN_UINT, 8},    {TOKEN_INT, 1},     {TOKEN_INT, 2},
    {TOKEN_INT, 4},     {TOKEN_INT, 8},     {TOKEN_REFUSED, 0},
    {TOKEN_REFUSED, 0}, {TOKEN_REFUSED, 0}, {TOKEN_REFUSED, 0},
    {TOKEN_REFUSED, 0}, {TOKEN_STR, 1},     {TOKEN_STR, 2},
    {TOKEN_STR, 4},     {TOKEN_ARRAY, 2},   {TOKEN_ARRAY, 4},
    {TOKEN_REFUSED, 0}, {TOKEN_REFUSED, 0},
};

static int cursor_refuse(struct cursor *cursor, const char *why)
{
    cursor->why = why;
    return -EBADMSG;
}

/* Formats 0xc0 to 0xdf: the number in the bytes after the first, most
 * significant byte first. */
static int follow_read(struct cursor *cursor, unsigned char first,
                       struct token *ret_token)
{
    size_t follow = formats[first - 0xc0].follow;
    uint64_t number = 0, sign;

    if ((size_t)(cursor->end - cursor->at) < follow)
        return cursor_refuse(cursor, "the frame ends within a number");
    for (size_t i = 0; i < follow; i++)
        number = number << 8 | cursor->at[i];
    cursor->at += follow;
    ret_token->kind = (enum token_kind)formats[first - 0xc0].kind;
    if (ret_token->kind == TOKEN_BOOL) {
        number = first & 1;
    } else if (ret_token->kind == TOKEN_INT) {
        assert(follow >= 1 && follow <= sizeof(sign)); /* by the table */
        sign = UINT64_C(1) << (8 * follow - 1);
        ret_token->kind = (number & sign) ? TOKEN_NEGATIVE : TOKEN_UINT;
        number = (number ^ sign) - sign; /* extends the sign to 64 bits */
    }
    ret_token->number = number;
    return 0;
}

/* Reads one value, of an array only its head. Never reads beyond the end,
 * whether the frame was scanned or not. */
static int token_read(struct cursor *cursor, struct token *ret_token)
{
    unsigned char first;

    if (cursor->at == cursor->end)
        return cursor_refuse(cursor, "the frame ends before its last value");
    first = *cursor->at++;
    if (first < 0x80) {
        ret_token->kind = TOKEN_UINT;
        ret_token->number = first;
        return 0;
    }
    if (first >= 0xe0) {
        ret_token->kind = TOKEN_NEGATIVE;
        ret_token->number = UINT64_MAX - (0xffU - first);
        return 0;
    }
    if (first >= 0xc0) {
        if (follow_read(cursor, first, ret_token) < 0)
            return -EBADMSG;
    } else if (first >= 0xa0) {
        ret_token->kind = TOKEN_STR;
        ret_token->number = first & 0x1f;
    } else {
        ret_token->kind = first >= 0x90 ? TOKEN_ARRAY : TOKEN_REFUSED;
        ret_token->number = first & 0x0f;
    }
    if (ret_token->kind == TOKEN_REFUSED)
        return cursor_refuse(cursor, "a map, an extension or no msgpack");
    if (ret_token->kind == TOKEN_STR || ret_token->kind == TOKEN_BIN) {
        if ((uint64_t)(cursor->end - cursor->at) < ret_token->number)
            return cursor_refuse(cursor, "the frame ends within a string");
        ret_token->body = (const char *)cursor->at;
        cursor->at += ret_token->number;
    }
    return 0;
}

/* Walks one value with all it contains. `due` is how many values have been
 * announced and not been read; each has at least one byte, so a count that
 * lies is found out when it is read. */
static int scan(struct cursor *cursor)
{
    uint64_t due_at[WIRE_DEPTH_MAX]; /* per open array */
    uint64_t due = 1, elements = 1;
    size_t depth = 0;

    while (due > 0) {
        struct token token;
        int r = token_read(cursor, &token);

        if (r < 0)
            return r;
        due--;
        if (depth > 0)
            due_at[depth - 1]--;
        if (token.kind == TOKEN_STR && !text_valid(token.body, token.number))
            return cursor_refuse(cursor, "a string that is not UTF-8");
        if (token.kind == TOKEN_ARRAY) {
            if (depth == WIRE_DEPTH_MAX)
                return cursor_refuse(cursor, "nested too deeply");
            due_at[depth++] = token.number;
            due += token.number; /* under 2^32 each, cannot overflow */
            elements += token.number;
            if (due > (uint64_t)(cursor->end - cursor->at))
                return cursor_refuse(cursor, "a count beyond the frame");
            if (elements > WIRE_ELEMENTS_MAX)
                return cursor_refuse(cursor, "too many elements");
        }
        while (depth > 0 && due_at[depth - 1] == 0)
            depth--;
    }
    if (cursor->at != cursor->end)
        return cursor_refuse(cursor, "more than one value in the frame");
    return 0;
}

static int cursor_open(struct cursor *cursor, const void *frame, size_t bytes)
{
    cursor->why = NULL;
    if (bytes == 0)
        return cursor_refuse(cursor, "an empty frame");
    if (bytes > WIRE_FRAME_MAX)
        return cursor_refuse(cursor, "the frame is too large");
    cursor->at = frame;
    cursor->end = cursor->at + bytes;
    return 0;
}

int wire_scan(const void *frame, size_t bytes, const char **ret_why)
{
    struct cursor cursor;
    int r = cursor_open(&cursor, frame, bytes);

    if (r == 0)
        r = scan(&cursor);
    if (r < 0 && ret_why)
        *ret_why = cursor.why;
    return r;
}

/* ---- unpacking ---------------------------------------------------------- */

static int value_unpack(const struct field *field, struct cursor *cursor,
                        void *base)
{
    char *at = (char *)base + field->offset;
    struct wire_bytes bytes;
    struct token token;
    int32_t i32;
    bool truth, good = false;

    if (token_read(cursor, &token) < 0)
        return -EBADMSG;
    switch (field->kind) {
    case KIND_UINT:
        good = token.kind == TOKEN_UINT && within(field, token.number);
        if (good)
            number_store(at, field->bytes, token.number);
        break;
    case KIND_INT:
        i32 = (int32_t)(uint32_t)token.number;
        good = (token.kind == TOKEN_UINT && token.number <= INT32_MAX) ||
               (token.kind == TOKEN_NEGATIVE &&
                (int64_t)token.number >= INT32_MIN);
        if (good)
            memcpy(at, &i32, sizeof(i32));
        break;
    case KIND_BOOL:
        truth = token.number != 0;
        good = token.kind == TOKEN_BOOL;
        if (good)
            memcpy(at, &truth, sizeof(truth));
        break;
    case KIND_ID:
        good =
            token.kind == TOKEN_BIN && token.number == sizeof(struct wire_id);
        if (good)
            memcpy(at, token.body, sizeof(struct wire_id));
        break;
    case KIND_NAME:
    case KIND_CAP:
    case KIND_TEXT:
    case KIND_BIN:
        good =
            token.kind == (field->kind == KIND_BIN ? TOKEN_BIN : TOKEN_STR) &&
            bytes_valid(field, token.body, token.number);
        if (good) {
            bytes = (struct wire_bytes){token.body, token.number};
            memcpy(at, &bytes, sizeof(bytes));
        }
        break;
    case KIND_ROW:
    case KIND_LIST:
        break;
    }
    return good ? 0 : cursor_refuse(cursor, field->bad);
}

/* Passes over count values and what they contain: fields of a newer minor
 * version. The frame has been scanned, so this ends. */
static int values_skip(struct cursor *cursor, uint64_t count)
{
    struct token token;

    while (count > 0) {
        if (token_read(cursor, &token) < 0)
            return -EBADMSG;
        count--;
        if (token.kind == TOKEN_ARRAY)
            count += token.number;
    }
    return 0;
}

static int row_unpack(const struct field *field, struct cursor *cursor,
                      void *base)
{
    const struct row *row = field->row;
    struct token token = {.kind = TOKEN_ARRAY, .number = row->count};

    if (!row->bare && token_read(cursor, &token) < 0)
        return -EBADMSG;
    if (token.kind != TOKEN_ARRAY || token.number < row->count)
        return cursor_refuse(cursor, field->bad);
    for (size_t i = 0; i < row->count; i++) {
        int r = value_unpack(&row->fields[i], cursor, base);

        if (r < 0)
            return r;
    }
    return values_skip(cursor, token.number - row->count);
}

static int list_unpack(const struct field *field, struct cursor *cursor,
                       void *base)
{
    struct token token;
    size_t count;
    char *items;

    if (token_read(cursor, &token) < 0)
        return -EBADMSG;
    if (token.kind != TOKEN_ARRAY || !within(field, token.number))
        return cursor_refuse(cursor, field->bad);
    count = token.number;
    if (count == 0)
        return 0; /* *base is zeroed */
    items = calloc(count, field->row->bytes);
    if (!items)
        return -ENOMEM;
    /* Into the message before it is filled: wire_clear() finds it there. */
    memcpy((char *)base + field->offset, &items, sizeof(items));
    memcpy((char *)base + field->count_offset, &count, sizeof(count));
    for (size_t i = 0; i < count; i++) {
        int r = row_unpack(field, cursor, items + i * field->row->bytes);

        if (r < 0)
            return r;
    }
    return 0;
}

static int fields_unpack(const struct message *message, struct cursor *cursor,
                         struct wire_msg *msg)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < message->count; i++) {
        const struct field *field = &message->fields[i];

        if (field->kind == KIND_LIST)
            r = list_unpack(field, cursor, msg);
        else if (field->kind == KIND_ROW)
            r = row_unpack(field, cursor, (char *)msg + field->offset);
        else
            r = value_unpack(field, cursor, msg);
    }
    return r;
}

/* Reads [version, type and leaves the cursor behind them. Another major may
 * change everything after the version, so that is looked at before the scan. */
static int head_unpack(struct cursor *cursor, struct wire_msg *msg,
                       const struct message **ret_message)
{
    struct cursor rest = *cursor;
    struct token array, version, type;
    const struct message *message;

    if (token_read(cursor, &array) < 0 || token_read(cursor, &version) < 0)
        return -EBADMSG;
    if (array.kind != TOKEN_ARRAY || array.number < 2 ||
        version.kind != TOKEN_UINT)
        return cursor_refuse(cursor, "not an array of version, type, fields");
    if (version.number != WIRE_VERSION) {
        cursor->why = "another major version";
        return -ENOTSUP;
    }
    if (scan(&rest) < 0)
        return cursor_refuse(cursor, rest.why);
    if (token_read(cursor, &type) < 0 || type.kind != TOKEN_UINT)
        return cursor_refuse(cursor, "the type is not a number");
    message = message_find(type.number);
    if (!message) {
        cursor->why = "an unknown type";
        return -ENOENT;
    }
    if (array.number - 2 < message->count)
        return cursor_refuse(cursor, "too few fields");
    msg->type = (enum wire_type)type.number;
    *ret_message = message;
    return 0;
}

int wire_unpack(const void *frame, size_t bytes, struct wire_msg *ret_msg,
                const char **ret_why)
{
    const struct message *message = NULL;
    struct wire_msg msg;
    struct cursor cursor;
    int r = cursor_open(&cursor, frame, bytes);

    memset(&msg, 0, sizeof(msg));
    if (r == 0)
        r = head_unpack(&cursor, &msg, &message);
    if (r == 0)
        r = fields_unpack(message, &cursor, &msg);
    if (r < 0) {
        wire_clear(&msg);
        if (ret_why)
            *ret_why = r == -ENOMEM ? "no memory" : cursor.why;
        return r;
    }
    *ret_msg = msg;
    return 0;
}

void wire_clear(struct wire_msg *msg)
{
    const struct message *message = message_find((uint64_t)msg->type);

    for (size_t i = 0; message && i < message->count; i++) {
        void *items;

        if (message->fields[i].kind != KIND_LIST)
            continue;
        memcpy(&items, (char *)msg + message->fields[i].offset, sizeof(items));
        free(items);
    }
    memset(msg, 0, sizeof(*msg));
}

/* ---- ids ---------------------------------------------------------------- */

/* A dash stands before bytes 4, 6, 8 and 10. */
static bool dash_before(size_t byte)
{
    return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

void wire_id_text(const struct wire_id *id, char ret_text[37])
{
    static const char digits[] = "0123456789abcdef";
    char *out = ret_text;

    for (size_t i = 0; i < sizeof(id->b); i++) {
        if (dash_before(i))
            *out++ = '-';
        *out++ = digits[id->b[i] >> 4];
        *out++ = digits[id->b[i] & 0x0f];
    }
    *out = '\0';
}

int wire_id_parse(const char *text, struct wire_id *ret_id)
{
    struct wire_id id;

    if (!text)
        return -EINVAL;
    for (size_t i = 0; i < sizeof(id.b); i++) {
        int high, low;

        if (dash_before(i) && *text++ != '-')
            return -EINVAL;
        high = hex_value(text[0]);
        low = high < 0 ? -1 : hex_value(text[1]); /* never beyond the NUL */
        if (low < 0)
            return -EINVAL;
        id.b[i] = (uint8_t)(high << 4 | low);
        text += 2;
    }
    if (*text != '\0')
        return -EINVAL;
    *ret_id = id;
    return 0;
}
