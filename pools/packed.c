/* packed.c - see packed.h */
#include "pools/packed.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- writing ------------------------------------------------------------ */

void packed_put_array(struct packed_writer *w, size_t count)
{
    w->failed |= msgpack_pack_array(&w->packer, count);
}

void packed_put_uint(struct packed_writer *w, uint64_t value)
{
    w->failed |= msgpack_pack_uint64(&w->packer, value);
}

void packed_put_int(struct packed_writer *w, int64_t value)
{
    w->failed |= msgpack_pack_int64(&w->packer, value);
}

void packed_put_bool(struct packed_writer *w, bool value)
{
    w->failed |=
        value ? msgpack_pack_true(&w->packer) : msgpack_pack_false(&w->packer);
}

void packed_put_text(struct packed_writer *w, const char *text)
{
    if (text == NULL) {
        w->failed |= msgpack_pack_nil(&w->packer);
        return;
    }
    size_t len = strlen(text);
    w->failed |= msgpack_pack_str(&w->packer, len);
    if (len > 0)
        w->failed |= msgpack_pack_str_body(&w->packer, text, len);
}

void packed_put_bytes(struct packed_writer *w, const void *bytes, size_t len)
{
    w->failed |= msgpack_pack_bin(&w->packer, len);
    if (len > 0)
        w->failed |= msgpack_pack_bin_body(&w->packer, bytes, len);
}

/* A first guess of the size spares the growing of msgpack-c's default, 8 KiB
 * for a record of 200 bytes. */
void packed_writer_start(struct packed_writer *w, size_t fields,
                         size_t bytes_guess)
{
    char *room = malloc(bytes_guess);
    w->buffer = (msgpack_sbuffer){.data = room,
                                  .alloc = room == NULL ? 0 : bytes_guess};
    msgpack_packer_init(&w->packer, &w->buffer, msgpack_sbuffer_write);
    w->failed = 0;
    packed_put_array(w, fields + 1);
    packed_put_uint(w, PACKED_VERSION);
}

int packed_writer_end(struct packed_writer *w, void **ret, size_t *ret_bytes)
{
    if (w->failed != 0 || w->buffer.size > PACKED_BYTES_MAX) {
        int rc = w->failed != 0 ? -ENOMEM : -EMSGSIZE;
        msgpack_sbuffer_destroy(&w->buffer);
        return rc;
    }
    *ret = w->buffer.data;
    *ret_bytes = w->buffer.size;
    return 0;
}

/* ---- reading ------------------------------------------------------------ */

enum item_kind {
    ITEM_NIL,
    ITEM_BOOL,
    ITEM_UINT,
    ITEM_NEGATIVE,
    ITEM_TEXT,
    ITEM_BYTES,
    ITEM_ARRAY,
    ITEM_MAP,
    ITEM_OTHER
};

struct item {
    enum item_kind kind;
    uint64_t value; /* UINT, BOOL; ARRAY, MAP: number of items within */
    int64_t negative;
    const uint8_t *bytes; /* TEXT, BYTES, OTHER: what follows the head */
    size_t len;
};

void packed_fail(struct packed_reader *r)
{
    r->bad = true;
    r->at = r->end;
    r->left = 0;
}

static bool read_number(struct packed_reader *r, size_t bytes, uint64_t *ret)
{
    uint64_t value = 0;

    if ((size_t)(r->end - r->at) < bytes)
        return false;
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | *r->at++;
    *ret = value;
    return true;
}

/* The bytes of a string, binary, float or extension, still in the input. */
static bool read_body(struct packed_reader *r, enum item_kind kind,
                      uint64_t len, struct item *ret)
{
    if (len > (uint64_t)(r->end - r->at))
        return false;
    ret->kind = kind;
    ret->bytes = r->at;
    ret->len = (size_t)len;
    r->at += len;
    return true;
}

static bool read_signed(struct packed_reader *r, size_t bytes, struct item *ret)
{
    uint64_t raw;

    if (!read_number(r, bytes, &raw))
        return false;
    unsigned shift = (unsigned)(64 - 8 * bytes);
    int64_t value = (int64_t)(raw << shift) >> shift;
    ret->kind = value < 0 ? ITEM_NEGATIVE : ITEM_UINT;
    ret->value = value < 0 ? 0 : (uint64_t)value;
    ret->negative = value < 0 ? value : 0;
    return true;
}

/* A head whose length stands in the `bytes` bytes after it. */
static bool read_sized(struct packed_reader *r, enum item_kind kind,
                       size_t bytes, unsigned extra, struct item *ret)
{
    uint64_t len;

    return read_number(r, bytes, &len) && read_body(r, kind, len + extra, ret);
}

static bool read_count(struct packed_reader *r, enum item_kind kind,
                       size_t bytes, struct item *ret)
{
    ret->kind = kind;
    return read_number(r, bytes, &ret->value);
}

static bool read_item_at(struct packed_reader *r, uint8_t head,
                         struct item *ret)
{
    switch (head) {
    case 0xc0:
        ret->kind = ITEM_NIL;
        return true;
    case 0xc2:
    case 0xc3:
        ret->kind = ITEM_BOOL;
        ret->value = head & 1;
        return true;
    case 0xc4:
    case 0xc5:
    case 0xc6:
        return read_sized(r, ITEM_BYTES, (size_t)1 << (head - 0xc4), 0, ret);
    case 0xc7:
    case 0xc8:
    case 0xc9: /* an extension has one more byte, its type */
        return read_sized(r, ITEM_OTHER, (size_t)1 << (head - 0xc7), 1, ret);
    case 0xca:
    case 0xcb:
        return read_body(r, ITEM_OTHER, head == 0xca ? 4 : 8, ret);
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
        ret->kind = ITEM_UINT;
        return read_number(r, (size_t)1 << (head - 0xcc), &ret->value);
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
        return read_signed(r, (size_t)1 << (head - 0xd0), ret);
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:
        return read_body(r, ITEM_OTHER, (UINT64_C(1) << (head - 0xd4)) + 1,
                         ret);
    case 0xd9:
    case 0xda:
    case 0xdb:
        return read_sized(r, ITEM_TEXT, (size_t)1 << (head - 0xd9), 0, ret);
    case 0xdc:
    case 0xdd:
        return read_count(r, ITEM_ARRAY, head == 0xdc ? 2 : 4, ret);
    case 0xde:
    case 0xdf:
        return read_count(r, ITEM_MAP, head == 0xde ? 2 : 4, ret);
    default: /* 0xc1 is never used */
        return false;
    }
}

/* The next item's head and body; of an array or map only the head. */
static bool read_item(struct packed_reader *r, struct item *ret)
{
    *ret = (struct item){0};
    if (r->at == r->end)
        return false;

    uint8_t head = *r->at++;
    if (head <= 0x7f) {
        ret->kind = ITEM_UINT;
        ret->value = head;
        return true;
    }
    if (head >= 0xe0) {
        ret->kind = ITEM_NEGATIVE;
        ret->negative = (int64_t)head - 0x100;
        return true;
    }
    if (head <= 0x8f) {
        ret->kind = ITEM_MAP;
        ret->value = head & 0x0f;
        return true;
    }
    if (head <= 0x9f) {
        ret->kind = ITEM_ARRAY;
        ret->value = head & 0x0f;
        return true;
    }
    if (head <= 0xbf)
        return read_body(r, ITEM_TEXT, head & 0x1f, ret);
    return read_item_at(r, head, ret);
}

/* Passes over `count` items with all they contain, without recursion. */
static void skip(struct packed_reader *r, uint64_t count)
{
    while (count > 0) {
        struct item item;
        if (!read_item(r, &item)) {
            packed_fail(r);
            return;
        }
        count--;
        if (item.kind == ITEM_ARRAY)
            count += item.value;
        else if (item.kind == ITEM_MAP)
            count += 2 * item.value;
    }
}

/* The next item of the current array; false: none left, or bad. */
static bool next(struct packed_reader *r, struct item *ret)
{
    if (r->left == 0)
        return false;
    r->left--;
    if (read_item(r, ret))
        return true;
    packed_fail(r);
    return false;
}

uint64_t packed_uint(struct packed_reader *r, uint64_t max)
{
    struct item item;

    if (!next(r, &item))
        return 0;
    if (item.kind != ITEM_UINT || item.value > max) {
        packed_fail(r);
        return 0;
    }
    return item.value;
}

uint32_t packed_u32(struct packed_reader *r)
{
    return (uint32_t)packed_uint(r, UINT32_MAX);
}

int64_t packed_int(struct packed_reader *r, int64_t min, int64_t max)
{
    struct item item;

    if (!next(r, &item))
        return 0;
    int64_t value =
        item.kind == ITEM_NEGATIVE ? item.negative : (int64_t)item.value;
    if ((item.kind != ITEM_NEGATIVE && item.kind != ITEM_UINT) ||
        item.value > (uint64_t)INT64_MAX || value < min || value > max) {
        packed_fail(r);
        return 0;
    }
    return value;
}

int64_t packed_i64(struct packed_reader *r)
{
    return packed_int(r, INT64_MIN, INT64_MAX);
}

bool packed_bool(struct packed_reader *r)
{
    struct item item;

    if (!next(r, &item))
        return false;
    if (item.kind != ITEM_BOOL)
        packed_fail(r);
    return item.kind == ITEM_BOOL && item.value != 0;
}

/* A string without NUL, still in the input; *ret_nil: it is absent. */
static struct span read_span(struct packed_reader *r, bool *ret_nil)
{
    struct item item;

    *ret_nil = true;
    if (!next(r, &item) || item.kind == ITEM_NIL)
        return (struct span){NULL, 0};
    if (item.kind != ITEM_TEXT ||
        (item.len > 0 && memchr(item.bytes, '\0', item.len) != NULL)) {
        packed_fail(r);
        return (struct span){NULL, 0};
    }
    *ret_nil = false;
    return (struct span){(const char *)item.bytes, item.len};
}

static const char *keep(struct packed_reader *r, struct span text)
{
    char *copy = r->text;

    assert((size_t)(r->text_end - r->text) > text.len);
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    r->text += text.len + 1;
    return copy;
}

const char *packed_text_or_null(struct packed_reader *r)
{
    bool nil;
    struct span text = read_span(r, &nil);

    return nil ? NULL : keep(r, text);
}

/* For members that are never NULL. */
const char *packed_text(struct packed_reader *r)
{
    const char *text = packed_text_or_null(r);

    return text == NULL ? "" : text;
}

void packed_text_into(struct packed_reader *r, char *buf, size_t room)
{
    bool nil;
    struct span text = read_span(r, &nil);

    if (text.len >= room) {
        packed_fail(r);
        return;
    }
    if (text.len > 0)
        memcpy(buf, text.ptr, text.len);
    buf[text.len] = '\0';
}

struct span packed_bytes(struct packed_reader *r)
{
    struct item item;

    if (!next(r, &item))
        return (struct span){NULL, 0};
    if (item.kind != ITEM_BYTES) {
        packed_fail(r);
        return (struct span){NULL, 0};
    }
    return (struct span){(const char *)item.bytes, item.len};
}

/* Steps into an array of min..max items; returns what packed_leave() wants.
 * Nothing is allocated in proportion to a count. */
size_t packed_enter(struct packed_reader *r, size_t min, size_t max)
{
    struct item item;

    if (!next(r, &item))
        return 0;
    size_t outer = r->left;
    if (item.kind != ITEM_ARRAY || item.value < min || item.value > max) {
        packed_fail(r);
        return 0;
    }
    r->left = (size_t)item.value;
    return outer;
}

void packed_leave(struct packed_reader *r, size_t outer)
{
    skip(r, r->left);
    r->left = r->bad ? 0 : outer;
}

/* Starts on a record that has at least `fields` after its version. */
void packed_reader_start(struct packed_reader *r, const void *bytes, size_t len,
                         size_t fields)
{
    *r = (struct packed_reader){.at = bytes, .left = 1};
    if (len == 0 || len > PACKED_BYTES_MAX) {
        r->end = r->at;
        packed_fail(r);
        return;
    }
    r->end = r->at + len;
    packed_enter(r, fields + 1, SIZE_MAX);
    if (packed_uint(r, UINT64_MAX) != PACKED_VERSION)
        packed_fail(r);
}

/* 0 when all was read and right. */
int packed_reader_end(struct packed_reader *r)
{
    packed_leave(r, 0);
    return r->bad || r->at != r->end ? -EBADMSG : 0;
}

/* One allocation for a record and its strings; NULL: no memory. */
void *packed_record(struct packed_reader *r, size_t record_bytes, size_t len)
{
    char *record = calloc(1, record_bytes + len);

    if (record != NULL) {
        r->text = record + record_bytes;
        r->text_end = r->text + len;
    }
    return record;
}
