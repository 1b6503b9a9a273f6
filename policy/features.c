/* features.c - see features.h */
#include "policy/features.h"

#include <errno.h>

const char *size_source_name(enum size_source source)
{
    switch (source) {
    case SIZE_UNKNOWN:
        return "unknown";
    case SIZE_ESTIMATED:
        return "estimated";
    case SIZE_MEASURED:
        return "measured";
    case SIZE_DECLARED:
        return "declared";
    }
    return "unknown";
}

/* The document's tags and the caller's in one list; the caller's are copied,
 * because they need not live as long as wf. */
static int join_tags(struct workflow *wf, const char *const *extra,
                     size_t extra_count, const char *const **ret_tags)
{
    const char **tags =
        workflow_alloc(wf, (wf->tag_count + extra_count) * sizeof *tags);
    if (tags == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < wf->tag_count; i++)
        tags[i] = wf->tags[i];
    for (size_t i = 0; i < extra_count; i++) {
        tags[wf->tag_count + i] = workflow_strdup(wf, extra[i]);
        if (tags[wf->tag_count + i] == NULL)
            return -ENOMEM;
    }
    *ret_tags = tags;
    return 0;
}

int features_of(struct workflow *wf, int64_t size_bytes_override,
                const char *const *extra_tags, size_t extra_tag_count,
                const char *requested_pool, struct features *ret_features)
{
    struct features features = {
        .nodes = (uint32_t)wf->node_count,
        .size_bytes = -1,
        .requested_pool = requested_pool,
        .tag_count = wf->tag_count + extra_tag_count,
    };

    for (size_t i = 0; i < wf->node_count; i++) {
        features.db_nodes += wf->nodes[i].kind->class == NODE_DB;
        features.transforms += wf->nodes[i].kind->class == NODE_TRANSFORM;
    }
    int64_t declared =
        size_bytes_override >= 0 ? size_bytes_override : wf->size_bytes;
    if (declared >= 0) {
        features.size_bytes = declared;
        features.size_source = SIZE_DECLARED;
    }
    if (features.tag_count > 0) {
        int rc = join_tags(wf, extra_tags, extra_tag_count, &features.tags);
        if (rc != 0)
            return rc;
    }
    *ret_features = features;
    return 0;
}

bool features_learn_size(struct features *features, int64_t size_bytes,
                         enum size_source source)
{
    if (size_bytes < 0 || source == SIZE_UNKNOWN ||
        source < features->size_source)
        return false;
    features->size_bytes = size_bytes;
    features->size_source = source;
    return true;
}
