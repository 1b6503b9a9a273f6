/*
 * settings_file.h - the agent's configuration file, as YAML has it: what was
 * said and what was not. settings.c lays the command line over it,
 * settings_data.c reads its connections and data.
 *
 * Memory:  a file is the caller's; settings_file_free().
 * Errors:  written to stderr, without any value of the file in it.
 */
#ifndef AGENTS_SETTINGS_FILE_H
#define AGENTS_SETTINGS_FILE_H

#include "agents/settings.h"

struct http_file {
    char *allow_private; /* true or false */
};

struct connection_file {
    char *name, *engine, *dsn, *password_file, *password_env;
    char **aliases;
    unsigned aliases_count;
    char *read_only; /* true or false */
};

struct data_file {
    char *embedded, *files, *spill;
    char *memory, *spill_max;               /* sizes */
    char *pushdown;                         /* true or false */
    char *statement_timeout, *lock_timeout; /* durations */
};

struct settings_file { /* as cyaml fills it; NULL: not said */
    char *connect, *name, *spool;
    char **pools;
    unsigned pools_count;
    uint32_t slots;
    struct http_file *http;
    char **environment;
    unsigned environment_count;
    struct connection_file *connections;
    unsigned connections_count;
    struct data_file *data;
};

/* -1: said why. */
int settings_file_load(const char *path, struct settings_file **ret_file);
void settings_file_free(struct settings_file *file);
/* A copy; without memory the program ends. */
char *settings_own(const char *text);

/* ---- settings_data.c -------------------------------------------------- */

/* The defaults, with what the file says over them. file may be NULL, and then
 * path is too. False: said why, all of it. data is to be cleared either way. */
bool settings_data_read(const char *path, const struct settings_file *file,
                        struct data_settings *ret_data);
void settings_data_clear(struct data_settings *data);
/* What is allowed and yet worth a word, to stderr. */
void settings_data_warn(const char *path, const struct data_settings *data);

/* true, yes, on, false, no, off. -EINVAL: any other word, which cyaml would
 * take for true. */
int settings_bool(const char *text, bool *ret_value);
/* "512MiB", "1.5GB" or bytes; "1h", "1min", "250ms" or seconds. -EINVAL;
 * -ERANGE: beyond 64 bits. */
int settings_size(const char *text, uint64_t *ret_bytes);
int settings_duration(const char *text, uint64_t *ret_ms);

#endif
