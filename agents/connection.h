/*
 * connection.h - the data stores this agent may use, by the names that
 * documents call them. From the agent's configuration alone (settings.h): no
 * document, no log line and no message to the broker ever has a dsn or a
 * secret in it.
 *
 *   connections:
 *     - name: shop
 *       engine: postgresql          # or sqlite
 *       dsn: host=db1 dbname=shop user=etl
 *       password_file: /run/secrets/shop   # or password_env: SHOP_PASSWORD
 *       aliases: [a1b0c5de-...]     # other names documents call it
 *       read_only: true
 *     - name: mart
 *       engine: sqlite
 *       dsn: /srv/mart.db           # a path; relative ones, here and below,
 *                                   # are relative to the file's directory
 *   data:
 *     embedded: /srv/data    # any other name is the SQLite file
 *                            # NAME.db there, made when first written
 *     files: /srv/files      # csv and jsonl paths are relative to it
 *     memory: 512MiB         # of one run's data process
 *     spill: /var/tmp/spill  # directory for what does not fit in memory
 *     spill_max: 10GiB       # of one run's data process
 *     pushdown: true         # false: everything in the agent
 *     statement_timeout: 1h  # of one SQL statement
 *     lock_timeout: 1min
 *
 * Memory:  owned by settings. Threads: read-only after settings_read().
 */
#ifndef AGENTS_CONNECTION_H
#define AGENTS_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CONNECTIONS_MAX = 100,
    CONNECTION_NAME_MAX = 100, /* letters, digits, '.', '_', '-' */
    CONNECTION_ALIASES_MAX = 16,
    CONNECTION_WHY_MAX = 300,
};

enum engine { ENGINE_POSTGRESQL, ENGINE_SQLITE };
const char *engine_name(enum engine engine);

struct connection {
    char *name;
    enum engine engine;
    char *dsn;           /* libpq connection string or URI; a path */
    char *password_file; /* or NULL */
    char *password_env;  /* or NULL */
    char **aliases;
    size_t alias_count;
    bool read_only;
};

/* What a data process may use; part of struct settings. */
struct data_settings {
    struct connection *connections;
    size_t connection_count;
    char *embedded, *files; /* directories; NULL: not allowed */
    char *spill;            /* directory; NULL: the run's working directory */
    uint64_t memory_bytes, spill_max_bytes;
    bool pushdown;
    uint32_t statement_timeout_ms, lock_timeout_ms;
};

/* Looks name up: connections, their aliases, then the embedded directory.
 * *ret_connection is malloc'ed with everything copied; connection_free(). Two
 * names of one connection give the same name. -ENOENT: why says what there is.
 * -ENOMEM. */
int connection_find(const struct data_settings *settings, const char *name,
                    struct connection **ret_connection,
                    char why[CONNECTION_WHY_MAX]);
void connection_free(struct connection **connection_p);
/* Frees what is in it. */
void connection_clear(struct connection *connection);
/* Letters, digits, '.', '_', '-', not beginning with '.', at most
 * CONNECTION_NAME_MAX. */
bool connection_name_is_right(const char *name);

/* The password, malloc'ed, or NULL in *ret_password when there is none to be
 * given (the dsn has it, or peer authentication). -EINVAL: file unreadable,
 * readable by others than its owner and group, or variable not set: why. */
int connection_password(const struct connection *connection,
                        char **ret_password, char why[CONNECTION_WHY_MAX]);
/* Overwrites, frees and NULLs it; NULL in *password_p is fine. */
void connection_password_forget(char **password_p);

#endif
