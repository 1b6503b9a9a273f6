/*
 * broker.h - the core thread's loop: gather, apply, commit, send. Turns frames
 * from agents and exchanges from the front into ledger inputs, and the
 * ledger's effects into frames, answers and log lines, after the commit.
 *
 * Threads: broker_run() is the core thread; nothing here is shared.
 */
#ifndef DISPATCHER_BROKER_H
#define DISPATCHER_BROKER_H

#include "dispatcher/config.h"

struct broker;

/* Opens the ledger over the store, binds config->agents and the inproc
 * endpoint the front connects to. config, store and context are borrowed until
 * broker_free(). -EADDRINUSE, -EINVAL, ...: ret_why says what, and what to do
 * about it. */
int broker_new(const struct config *config, struct store *store,
               void *zmq_context, const char *endpoint,
               struct broker **ret_broker, char ret_why[STORE_WHY_MAX]);
/* "tcp://127.0.0.1:43210", the port that was bound; borrowed. */
const char *broker_address(const struct broker *broker);
/* Runs until a signal arrives on signal_fd (a signalfd for SIGTERM and SIGINT):
 * the first drains (nothing new starts, running work may end, up to
 * config->drain_ms), the second stops at once. 0 after a stop; a negative errno
 * when the store failed: the caller exits, a supervisor restarts. */
int broker_run(struct broker *broker, int signal_fd);
void broker_free(struct broker **broker_p);

#endif
