/*
 * caps.h - what this agent can do, in the words of HELLO's capabilities:
 *
 *   kind:NAME          of executor.c's rows; those that read or write files
 *                      only with data.files, those that use a connection only
 *                      when there can be one
 *   connection:NAME    of each connection, by its name and its aliases
 *   connections        any name is a connection: data.embedded is set
 *   engine:NAME        of each engine some connection has
 *   estimate           always: it answers ESTIMATE
 *
 * Memory:  the caller's. Threads: none.
 */
#ifndef AGENTS_CAPS_H
#define AGENTS_CAPS_H

#include "agents/settings.h"
#include "agents/wire.h"

struct caps {
    char words[WIRE_CAPS_MAX][WIRE_NAME_MAX + 1];
    size_t count; /* of words */
};

/* Fills ret_caps with as many as it holds and returns how many there are. */
size_t caps_list(const struct settings *settings, struct caps *ret_caps);

#endif
