/*
 * api_runs.h - runs as the API tells them, read from the store in short reads
 * and told in the shapes that several handlers share.
 *
 * Threads: the one that owns the reader.
 * Errors:  0 or a negative errno; -ENOENT: no such run.
 */
#ifndef DISPATCHER_API_RUNS_H
#define DISPATCHER_API_RUNS_H

#include "dispatcher/api.h"

/* Only where the run is: one record. */
int run_state_read(struct store_reader *reader, const struct run_id *id,
                   enum run_state *ret_state);
/* The whole story, as GET /runs/{id} shows it. */
int run_json_whole(struct store_reader *reader, const struct run_id *id,
                   json_t **ret_json);
json_t *run_json_of(const struct story *story);
/* Adds why a live run is where it is now. */
void run_json_explained(json_t *run, const struct explanation *now);

/* The nodes of a plan by index: [{"id", "label", "kind"}, ...]; never NULL but
 * without memory. */
json_t *plan_nodes(const char *plan, size_t bytes);
int plan_nodes_read(struct store_reader *reader, const struct run_id *id,
                    json_t **ret_nodes);
/* Borrowed from nodes; NULL: no such node. */
const char *plan_node_id(const json_t *nodes, size_t index);

/* The node that ?node= names, API_NO_NODE without one. false: answered 400. */
#define API_NO_NODE UINT32_MAX
bool call_node(struct call *call, const json_t *nodes, uint32_t *ret);

/* Answers 404 for -ENOENT, 500 for the rest. */
void answer_run_error(struct call *call, int error);

#endif
