/*
 * handoff.h - rows that one unit leaves for a later one (unit.h): a SQLite file
 * in the run's working directory, with the columns' names and types. Written
 * whole or not at all; values as schema.h has them.
 *
 * Memory, threads, errors: as sink.h and feed.h.
 */
#ifndef AGENTS_HANDOFF_H
#define AGENTS_HANDOFF_H

#include "agents/feed.h"
#include "agents/sink.h"

int handoff_sink(uint32_t node, const struct schema *schema,
                 struct sink **ret_sink, char error[SINK_ERROR_MAX]);
int handoff_feed(uint32_t node, struct feed **ret_feed,
                 char error[FEED_ERROR_MAX]);

#endif
