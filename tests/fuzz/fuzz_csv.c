/*
 * fuzz_csv.c - libFuzzer target for CSV files: the first byte chooses a
 * configuration, the second how much one read gives, the rest is the file.
 *
 * Claims, for every input:
 *   - reading ends, and every cell is NULL, or valid text, or a canonical value
 *     of its column's type;
 *   - rows given and rows rejected are as counted and as told;
 *   - what is read strictly comes first when bad rows are left out too;
 *   - how much one read gives makes no difference.
 *
 * ./fuzz_csv -max_len=4096 <new corpus> tests/fuzz/corpus_csv
 */
#include "tests/fuzz/fuzz_feed.h"

static const char other_marks[] = "{\"delimiter\": \";\", \"quote\": \"'\", "
                                  "\"null\": \"NA\"}",
                  by_position[] =
                      "{\"header\": false, \"columns\": [{\"name\": \"a\"}, "
                      "{\"name\": \"b\", \"type\": \"integer\"}]}",
                  by_name[] = "{\"columns\": ["
                              "{\"name\": \"b\", \"type\": \"decimal\", "
                              "\"precision\": 9, \"scale\": 3}, "
                              "{\"name\": \"a\", \"type\": \"bytes\"}]}",
                  others[] = "{\"columns\": ["
                             "{\"name\": \"a\", \"type\": \"timestamptz\"}, "
                             "{\"name\": \"b\", \"type\": \"boolean\"}, "
                             "{\"name\": \"c\", \"type\": \"double\"}, "
                             "{\"name\": \"d\", \"type\": \"date\"}]}";
static const char *const configs[] = {
    "{}",        "{\"header\": false}",
    other_marks, "{\"quote\": \"\"}",
    by_position, by_name,
    others,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_feed(csv_feed_fd, configs, sizeof configs / sizeof *configs, data,
              size);
    return 0;
}
