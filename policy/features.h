/*
 * features.h - what a decision may look at, and nothing else. Whatever is not
 * here (names of tables, of columns, of people) cannot influence a decision.
 */
#ifndef POLICY_FEATURES_H
#define POLICY_FEATURES_H

#include "policy/workflow.h"

/* How a size became known, the weaker first. Stored: append only, so a new one
 * needs a rank of its own. */
enum size_source { SIZE_UNKNOWN, SIZE_ESTIMATED, SIZE_MEASURED, SIZE_DECLARED };
const char *size_source_name(enum size_source source);

struct features {
    uint32_t nodes, db_nodes, transforms;
    int64_t size_bytes; /* -1 with SIZE_UNKNOWN */
    enum size_source size_source;
    const char *const *tags; /* borrowed until the workflow is freed */
    size_t tag_count;
    const char *requested_pool; /* a configured pool's own name (aliases are
                                   resolved by the caller), or NULL; borrowed */
};

/* size_bytes_override: the caller's declaration with the request, -1: none;
 * it wins over the document's. extra_tags (may be NULL) join the document's;
 * the joined list lives in wf's arena. -ENOMEM. */
int features_of(struct workflow *wf, int64_t size_bytes_override,
                const char *const *extra_tags, size_t extra_tag_count,
                const char *requested_pool, struct features *ret_features);

/* Something else than the author knows a size: what an earlier run read
 * (SIZE_MEASURED) or what a source says of itself (SIZE_ESTIMATED), in any
 * order. It counts when nothing better is known, and what is measured again
 * replaces what was measured. 0 bytes is a size; below 0 nothing is learned.
 * True: it counts. */
bool features_learn_size(struct features *features, int64_t size_bytes,
                         enum size_source source);

#endif
