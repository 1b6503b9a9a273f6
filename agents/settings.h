/*
 * settings.h - what the command line and the configuration file say.
 *
 * Memory:  settings own their strings; settings_free().
 * Errors:  written to stderr as: what, where, what to do about it; never with
 *          a dsn or any other value of a connection in it.
 */
#ifndef AGENTS_SETTINGS_H
#define AGENTS_SETTINGS_H

#include "agents/connection.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef DISPATCH_VERSION
#define DISPATCH_VERSION "unversioned"
#endif

struct settings {
    char *connect; /* tcp://HOST:PORT */
    char *name;
    char **pools;
    size_t pool_count;
    uint32_t slots;
    char *spool;             /* directory */
    bool http_allow_private; /* http nodes may call private addresses */
    char **environment;      /* more names let through to commands */
    size_t environment_count;
    struct data_settings data; /* paths in it are absolute */
};

enum settings_answer {
    SETTINGS_GO,    /* run */
    SETTINGS_DONE,  /* --help, --version or --check-config: exit 0 */
    SETTINGS_WRONG, /* said why: exit 2 */
};

/* Command line over file over defaults. *ret_settings is set with GO only. */
enum settings_answer settings_read(int argc, char **argv,
                                   struct settings **ret_settings);
void settings_free(struct settings **settings_p);

#endif
