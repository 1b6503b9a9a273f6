/*
 * config.h - the broker's configuration: one YAML file, every key with a
 * default, so that no file is needed. Checked as a whole before anything
 * starts; every problem names file, line and what to do.
 *
 * Memory:  a config is the caller's, freed by config_free(); it does not
 *          change after config_load() and may be read by every thread.
 * Errors:  0 or a negative errno; what is wrong is text, one problem a line.
 */
#ifndef DISPATCHER_CONFIG_H
#define DISPATCHER_CONFIG_H

#include "policy/classify.h"
#include "policy/workflow.h"
#include "pools/ledger.h"

#include <stdio.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct config {
    char *file;       /* where it came from, NULL: defaults only */
    char *state_dir;  /* the store's directory */
    char *http;       /* "127.0.0.1:8080"; port 0 picks a free one */
    char *agents;     /* "tcp://127.0.0.1:8090" */
    char *token_file; /* bearer tokens, "name token" a line; NULL: no
                         authentication */
    enum log_level log_level;
    size_t body_max; /* bytes of an HTTP request body */
    uint32_t http_connections_max;
    uint64_t drain_ms;         /* SIGTERM: wait so long for running work */
    size_t store_max;          /* bytes the store may grow to */
    uint32_t size_estimate_ms; /* a submission waits so long for an agent's
                                  estimate of its sources; 0: none is asked */
    struct workflow_limits workflow;
    struct ledger_config ledger;
    struct rule *rules;
    struct ruleset ruleset;
    struct config_arena *arena; /* owns the texts */
};

/* Reads `file` (NULL: the defaults alone). On failure the problems, as
 * "FILE:LINE: what; what to do" lines, go to `problems` (may be NULL).
 * -ENOENT, -EACCES: the file; -EINVAL: its content; -ENOMEM. */
int config_load(const char *file, struct config **ret_config, FILE *problems);
void config_free(struct config **config_p);

/* Every key with its type, default, unit and one sentence, as a commented YAML
 * file that loads to exactly the defaults (`dispatcher --print-config`). */
void config_print_reference(FILE *out);

/* "10s", "1.5h", "250ms", "2d" or plain seconds -> ms; "1GiB", "64 MiB", "10MB"
 * or plain bytes -> bytes. -EINVAL, -ERANGE. Also used by the API. */
int config_parse_duration(const char *text, uint64_t *ret_ms);
int config_parse_size(const char *text, int64_t *ret_bytes);

#endif
