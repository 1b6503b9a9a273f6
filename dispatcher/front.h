/*
 * front.h - the front thread: HTTP in, exchanges to the core, answers out.
 * Parses, authenticates, validates and classifies off the core thread; reads
 * runs from the store with short reads of its own. A slow or hostile client
 * costs this thread's time, never the core's.
 */
#ifndef DISPATCHER_FRONT_H
#define DISPATCHER_FRONT_H

#include "dispatcher/config.h"

struct front;

/* Whether config->http may be listened on: it is an address of this machine,
 * and with no auth.token_file one that other machines cannot reach.
 * front_start() asks the same. -EINVAL: ret_why says what and what to do. */
int front_check(const struct config *config, char ret_why[STORE_WHY_MAX]);

/* Binds config->http, connects a PAIR socket to `endpoint` (inproc, bound by
 * the core before) and starts the thread. config and store are borrowed until
 * front_stop(). All signals must be blocked by the caller already.
 * -EADDRINUSE, -EINVAL (address), ...: ret_why says what and what to do. */
int front_start(const struct config *config, struct store *store,
                void *zmq_context, const char *endpoint,
                struct front **ret_front, char ret_why[STORE_WHY_MAX]);
/* "http://127.0.0.1:43211"; borrowed until front_stop(). */
const char *front_url(const struct front *front);
/* Finishes answers under way (at most about a second), ends the thread, frees
 * all, sets *front_p to NULL. Call it after the core has stopped: what the core
 * did not answer is answered 503. */
void front_stop(struct front **front_p);

#endif
