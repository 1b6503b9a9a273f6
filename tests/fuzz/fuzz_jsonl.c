/*
 * fuzz_jsonl.c - libFuzzer target for files of JSON lines: the first byte
 * chooses a configuration, the second how much one read gives, the rest is the
 * file. The claims are those of fuzz_csv.c; and a line that is a row is JSON
 * to jansson too.
 *
 * ./fuzz_jsonl -max_len=4096 <new corpus> tests/fuzz/corpus_jsonl
 */
#include "tests/fuzz/fuzz_feed.h"

#include "agents/jsonl_scan.h"

static const char text[] = "{\"columns\": [{\"name\": \"a\"}, "
                           "{\"name\": \"b\"}]}",
                  numbers[] = "{\"columns\": ["
                              "{\"name\": \"a\", \"type\": \"integer\"}, "
                              "{\"name\": \"b\", \"type\": \"decimal\"}, "
                              "{\"name\": \"c\", \"type\": \"double\"}, "
                              "{\"name\": \"d\", \"type\": \"boolean\"}]}",
                  others[] = "{\"columns\": ["
                             "{\"name\": \"a\", \"type\": \"bytes\"}, "
                             "{\"name\": \"b\", \"type\": \"timestamp\"}, "
                             "{\"name\": \"c\", \"type\": \"date\"}]}";
static const char *const configs[] = {"{}", text, numbers, others};

/* What the scanner takes whole, jansson takes too: but for numbers beyond its
 * own types, and halves of pairs and NULs in what is nested. */
static void jansson_reads_it_too(const uint8_t *data, size_t size)
{
    struct json_scan scan;
    struct json_member member;
    json_error_t wrong;
    char *line = malloc(size + 1), *read = malloc(size + 1);
    bool same = true;
    int rc;

    memcpy(line, data, size);
    memcpy(read, data, size);
    json_scan_begin(&scan, line, size);
    while ((rc = json_scan_next(&scan, &member)) > 0) {
        same = same && member.kind != JSON_IS_NUMBER &&
               member.kind != JSON_IS_NESTED && !json_unescape(&member.key);
        if (member.kind == JSON_IS_STRING)
            same = same && !json_unescape(&member.value);
    }
    json_t *object = json_loadb(read, size, JSON_ALLOW_NUL, &wrong);
    if (rc == 0 && same)
        MUST(json_is_object(object));
    if (rc < 0 && json_is_object(object))
        abort();
    json_decref(object);
    free(line);
    free(read);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_feed(jsonl_feed_fd, configs, sizeof configs / sizeof *configs, data,
              size);
    if (size > 2 && value_utf8((const char *)data + 2, size - 2))
        jansson_reads_it_too(data + 2, size - 2);
    return 0;
}
