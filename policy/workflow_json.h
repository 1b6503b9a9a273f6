/*
 * workflow_json.h - documents to workflows and back: neutral, React Flow and
 * connectionInformation_v1, told apart by their keys (see RULES.md).
 *
 * Bytes here are foreign: nothing is asserted about them, every size is
 * bounded, nesting is bounded by jansson, and nothing recurses over the graph.
 *
 * Memory, threads, errors: as workflow.h.
 */
#ifndef POLICY_WORKFLOW_JSON_H
#define POLICY_WORKFLOW_JSON_H

#include "policy/workflow.h"

#include <jansson.h>

/* Reads a document of any of the three shapes. `pointer` is put before every
 * problem's pointer ("" or "/workflow"). Text that is JSON encoded again inside
 * a string is opened; a pointer into it continues through the string.
 *
 * *ret_wf is set only when no problem was found and is then validated
 * (wf->order set). -EINVAL: problems says why. -ENOMEM. */
int workflow_from_json(const json_t *document, const char *pointer,
                       const struct workflow_limits *limits,
                       struct workflow **ret_wf, struct problems *problems);

/* The same from bytes; broken JSON is a problem with line and column. */
int workflow_from_text(const char *text, size_t bytes,
                       const struct workflow_limits *limits,
                       struct workflow **ret_wf, struct problems *problems);

/* The plan an agent executes: {"name", "preview_rows"?, "nodes": [{"id",
 * "kind", "label", "after": [indices of parents in this array, in the order of
 * the edges: of those that give rows a join's left comes first], "timeout_s": 0
 * is none, "repeatable", "engine"?, "config": {...}}]}, nodes in wf->order;
 * agents/DATA.md says what is in a data node's config. The caller frees
 * *ret_text. -ENOMEM. */
int workflow_plan_text(const struct workflow *wf, char **ret_text,
                       size_t *ret_bytes);

/* The same with "preview_rows": how many rows of each node that gives some are
 * to be shown. Also -EINVAL: more than WORKFLOW_PREVIEW_ROWS_MAX. */
enum { WORKFLOW_PREVIEW_ROWS_MAX = 100 };
int workflow_plan_text_preview(const struct workflow *wf, unsigned preview_rows,
                               char **ret_text, size_t *ret_bytes);

#endif
