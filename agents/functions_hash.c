/* Digests, codings, compression, identifiers, bases. */
#define ZLIB_CONST /* it does not write to what it reads */
#include "agents/functions_inside.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <zlib.h>

enum {
    BASE_DIGITS_MAX = 4096, /* of a number whose base is changed */
    INFLATE_FIRST = 64 * 1024,
};

/* ---- digests ------------------------------------------------------------- */

static void digest(struct function_call *call, const EVP_MD *kind)
{
    unsigned char bytes[EVP_MAX_MD_SIZE];
    char hex[2 * EVP_MAX_MD_SIZE + 1];
    unsigned count = 0;
    size_t len;
    const char *text = function_text(call, 0, &len);

    if (!text)
        return;
    if (EVP_Digest(text, len, bytes, &count, kind, NULL) != 1) {
        function_fail(call, "this machine's libcrypto refuses that digest");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        hex[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
    }
    function_give_text(call, hex, 2 * (size_t)count);
}

static void md5(struct function_call *call)
{
    digest(call, EVP_md5());
}

static void sha1(struct function_call *call)
{
    digest(call, EVP_sha1());
}

static void sha224(struct function_call *call)
{
    digest(call, EVP_sha224());
}

static void sha256(struct function_call *call)
{
    digest(call, EVP_sha256());
}

static void sha384(struct function_call *call)
{
    digest(call, EVP_sha384());
}

static void sha512(struct function_call *call)
{
    digest(call, EVP_sha512());
}

static void checksum(struct function_call *call)
{
    size_t len;
    const char *text = function_text(call, 0, &len);

    if (text)
        function_give_integer(call,
                              (int64_t)crc32_z(0, (const Bytef *)text, len));
}

/* ---- base64 -------------------------------------------------------------- */

/* Bytes that are to be text; takes them. */
static void take_as_text(struct function_call *call, char *bytes, size_t len)
{
    if (value_utf8(bytes, len)) {
        function_take_text(call, bytes, len);
    } else {
        sqlite3_free(bytes);
        function_fail(call, "the result is not UTF-8 text, or has a NUL");
    }
}

static void enc_base64(struct function_call *call)
{
    size_t len;
    const char *text = function_text(call, 0, &len);
    char *room = text ? function_room(call, value_base64_room(len) - 1) : NULL;

    if (room)
        function_take_text(call, room, value_base64(text, len, room));
}

/* NULL: the failure is said. */
static char *decoded(struct function_call *call, size_t *ret_len)
{
    char quoted[VALUE_QUOTED_MAX];
    size_t len;
    const char *text = function_text(call, 0, &len);

    if (!text)
        return NULL;
    char *room = function_room(call, (uint64_t)len / 4 * 3 + 3);
    if (!room)
        return NULL;
    if (value_base64_read(text, len, room, ret_len) == 0)
        return room;
    sqlite3_free(room);
    function_fail(call, "%s is not base64", value_quote(text, len, quoted));
    return NULL;
}

static void dec_base64(struct function_call *call)
{
    size_t len;
    char *bytes = decoded(call, &len);

    if (bytes)
        take_as_text(call, bytes, len);
}

static void dec_base64_bytes(struct function_call *call)
{
    size_t len;
    char *bytes = decoded(call, &len);

    if (bytes)
        sqlite3_result_blob64(call->context, bytes, len, sqlite3_free);
}

/* ---- compression --------------------------------------------------------- */

static void deflate_all(struct function_call *call)
{
    size_t len;
    const char *text = function_text(call, 0, &len);

    if (!text)
        return;
    uLongf room_len = compressBound(len);
    char *room = sqlite3_malloc64(room_len);
    if (!room) {
        sqlite3_result_error_nomem(call->context);
        return;
    }
    if (compress((Bytef *)room, &room_len, (const Bytef *)text, len) != Z_OK) {
        sqlite3_free(room);
        sqlite3_result_error_nomem(call->context);
    } else if (room_len > FUNCTION_BYTES_MAX) {
        sqlite3_free(room);
        function_fail(call, "the result would be longer than %d MiB",
                      FUNCTION_BYTES_MAX / 1024 / 1024);
    } else {
        sqlite3_result_blob64(call->context, room, room_len, sqlite3_free);
    }
}

/* Everything from the stream into a buffer that doubles; Z_STREAM_END or what
 * is wrong, Z_BUF_ERROR: too long. */
static int inflate_into(z_stream *stream, char **room_p, size_t *ret_len)
{
    size_t room_len = INFLATE_FIRST;
    int status = Z_OK;

    *room_p = sqlite3_malloc64(room_len);
    while (*room_p && status == Z_OK) {
        stream->next_out = (Bytef *)*room_p + stream->total_out;
        stream->avail_out = (uInt)(room_len - stream->total_out);
        status = inflate(stream, Z_NO_FLUSH);
        /* Input that ends too early stops it with room to spare. */
        if (status != Z_OK || stream->avail_out > 0)
            break;
        if (room_len > FUNCTION_BYTES_MAX)
            return Z_BUF_ERROR;
        room_len *= 2;
        char *more = sqlite3_realloc64(*room_p, room_len);
        if (!more)
            return Z_MEM_ERROR;
        *room_p = more;
    }
    *ret_len = stream->total_out;
    if (!*room_p)
        return Z_MEM_ERROR;
    /* zlib's own: it waits for input that does not come. */
    return status == Z_BUF_ERROR ? Z_DATA_ERROR : status;
}

static void inflate_all(struct function_call *call)
{
    z_stream stream = {0};
    size_t len, result_len = 0;
    const char *bytes = function_text(call, 0, &len);
    char *room = NULL;

    if (!bytes)
        return;
    stream.next_in = (const Bytef *)bytes;
    stream.avail_in = (uInt)len; /* SQLite's lengths are ints */
    if (inflateInit(&stream) != Z_OK) {
        sqlite3_result_error_nomem(call->context);
        return;
    }
    int status = inflate_into(&stream, &room, &result_len);
    bool rest = stream.avail_in > 0;
    inflateEnd(&stream);
    if (status == Z_STREAM_END && !rest && result_len <= FUNCTION_BYTES_MAX) {
        take_as_text(call, room, result_len);
        return;
    }
    sqlite3_free(room);
    if (status == Z_MEM_ERROR)
        sqlite3_result_error_nomem(call->context);
    else if (status == Z_BUF_ERROR || result_len > FUNCTION_BYTES_MAX)
        function_fail(call, "the result would be longer than %d MiB",
                      FUNCTION_BYTES_MAX / 1024 / 1024);
    else
        function_fail(call, "these %zu bytes are not one zlib stream", len);
}

/* ---- the rest ------------------------------------------------------------ */

static void generate_uuid(struct function_call *call)
{
    static const unsigned char groups[] = {4, 2, 2, 2, 6};
    unsigned char bytes[16], *at = bytes;
    char text[2 * sizeof bytes + sizeof groups], *out = text;

    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) {
        function_fail(call, "the system gives no random bytes");
        return;
    }
    bytes[6] = (unsigned char)((bytes[6] & 0x0f) | 0x40); /* version 4 */
    bytes[8] = (unsigned char)((bytes[8] & 0x3f) | 0x80); /* RFC 4122 */
    for (size_t i = 0; i < sizeof groups; i++) {
        if (i > 0)
            *out++ = '-';
        for (int j = 0; j < groups[i]; j++, at++) {
            *out++ = "0123456789abcdef"[*at >> 4];
            *out++ = "0123456789abcdef"[*at & 15];
        }
    }
    function_give_text(call, text, (size_t)(out - text));
}

static bool digits_of_base(const char *at, const char *end, int64_t base)
{
    if (at == end)
        return false;
    for (; at < end; at++) {
        int value;
        if (*at >= '0' && *at <= '9')
            value = *at - '0';
        else if (*at >= 'a' && *at <= 'z')
            value = *at - 'a' + 10;
        else if (*at >= 'A' && *at <= 'Z')
            value = *at - 'A' + 10;
        else
            return false;
        if (value >= base)
            return false;
    }
    return true;
}

static void convert_base(struct function_call *call)
{
    int64_t from = function_integer(call, 1), to = function_integer(call, 2);
    char digits[BASE_DIGITS_MAX + 2], quoted[VALUE_QUOTED_MAX];
    size_t len;
    const char *text = function_text(call, 0, &len);

    if (!text)
        return;
    if (from < 2 || from > 36 || to < 2 || to > 36) {
        function_fail(call, "bases are 2 to 36");
        return;
    }
    bool negative = len > 0 && text[0] == '-';
    if (!digits_of_base(text + negative, text + len, from)) {
        function_fail(call, "%s is not a number to base %d",
                      value_quote(text, len, quoted), (int)from);
        return;
    }
    if (len > BASE_DIGITS_MAX) {
        function_fail(call, "%s is longer than %d digits",
                      value_quote(text, len, quoted), BASE_DIGITS_MAX);
        return;
    }
    memcpy(digits, text, len);
    digits[len] = '\0';
    mpz_t value;
    mpz_init(value);
    mpz_set_str(value, digits, (int)from);
    /* A negative base: upper-case. The longest there is: to base 2. */
    char result[BASE_DIGITS_MAX * 6 + 2];
    mpz_get_str(result, -(int)to, value);
    mpz_clear(value);
    function_give_text(call, result, strlen(result));
}

const struct function functions_hash[] = {
    {"md5", 1, 1, md5, false, false},
    {"sha1", 1, 1, sha1, false, false},
    {"sha224", 1, 1, sha224, false, false},
    {"sha256", 1, 1, sha256, false, false},
    {"sha384", 1, 1, sha384, false, false},
    {"sha512", 1, 1, sha512, false, false},
    {"crc32", 1, 1, checksum, false, true},
    {"enc_base64", 1, 1, enc_base64, false, false},
    {"dec_base64", 1, 1, dec_base64, false, false},
    {"dec_base64_bytes", 1, 1, dec_base64_bytes, false, false},
    {"compress", 1, 1, deflate_all, false, false},
    {"decompress", 1, 1, inflate_all, false, false},
    {"generate_uuid", 0, 0, generate_uuid, false, false},
    {"convert_base", 3, 3, convert_base, false, false},
    {0},
};
