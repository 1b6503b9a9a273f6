/*
 * dev.h - `dispatcher --dev`: a state directory that goes away, and one local
 * agent a pool.
 *
 * The broker must not fork once LMDB, ZeroMQ and threads exist, so a small
 * supervisor is forked first. It waits on a pipe for the agents' address,
 * starts them, logs those that exit (and restarts none), and when the pipe
 * closes, because dev_stop() was called or the broker died, ends them: TERM
 * (drain), TERM (cancel), KILL, then whatever they left. Last it removes the
 * temporary directory.
 *
 * The agents' databases and files: STATE/data has a SQLite file for each name
 * of a connection, STATE/files is where csv and jsonl paths begin; or one
 * directory of the user's is both; or a configuration file of the user's says.
 *
 * It has a session of its own, so that Ctrl-C in the terminal, which goes to
 * the broker's whole process group, does not end the agents before the broker
 * has drained.
 *
 * Memory:  a struct dev is the caller's until dev_stop().
 * Threads: the caller must have none yet when it calls dev_start().
 * Errors:  0 or a negative errno, ret_why says what and what to do.
 */
#ifndef DISPATCHER_DEV_H
#define DISPATCHER_DEV_H

#include "dispatcher/config.h"

struct dev;

struct dev_options {          /* all borrowed for the call; NULL: not given */
    const char *state_dir;    /* else a temporary one is made */
    const char *data_dir;     /* must exist */
    const char *agent_config; /* the agents' --config; not with data_dir */
};

/* Forks the supervisor. The config is used as it is now. -ENOENT: no `agent`
 * program beside this one, or what an option names is not there. -EINVAL: the
 * agents refuse agent_config (they said why on stderr). -EACCES, -ENOSPC,
 * -EAGAIN, ...: of the system. */
int dev_start(const struct config *config, const struct dev_options *options,
              struct dev **ret_dev, char ret_why[STORE_WHY_MAX]);
/* Where the store goes; borrowed until dev_stop(). */
char *dev_state_dir(struct dev *dev);
/* Starts the agents. -EPIPE: the supervisor is gone. */
int dev_connect(struct dev *dev, const char *agents_address);
/* Ends the agents, waits for the supervisor, frees, sets *dev_p to NULL. The
 * store must be closed. NULL in *dev_p is fine. */
void dev_stop(struct dev **dev_p);

#endif
