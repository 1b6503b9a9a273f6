/* connection.c - see connection.h. */
#include "agents/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PASSWORD_MAX = 4096 };

const char *engine_name(enum engine engine)
{
    return engine == ENGINE_SQLITE ? "sqlite" : "postgresql";
}

bool connection_name_is_right(const char *name)
{
    size_t len = strlen(name);

    return len >= 1 && len <= CONNECTION_NAME_MAX && name[0] != '.' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789._-") == len;
}

/* ---- finding ----------------------------------------------------------- */

static bool is_called(const struct connection *connection, const char *name)
{
    if (strcmp(connection->name, name) == 0)
        return true;
    for (size_t i = 0; i < connection->alias_count; i++)
        if (strcmp(connection->aliases[i], name) == 0)
            return true;
    return false;
}

/* NULL stays NULL; *ok becomes false when there is no memory. */
static char *copied(const char *text, bool *ok)
{
    char *copy = text ? strdup(text) : NULL;

    *ok = *ok && (copy || !text);
    return copy;
}

static int copy_connection(const struct connection *from,
                           struct connection **ret_connection)
{
    struct connection *copy = calloc(1, sizeof *copy);
    bool ok = copy;

    if (!copy)
        return -ENOMEM;
    copy->engine = from->engine;
    copy->read_only = from->read_only;
    copy->name = copied(from->name, &ok);
    copy->dsn = copied(from->dsn, &ok);
    copy->password_file = copied(from->password_file, &ok);
    copy->password_env = copied(from->password_env, &ok);
    copy->aliases = calloc(from->alias_count + 1, sizeof *copy->aliases);
    ok = ok && copy->aliases;
    for (size_t i = 0; ok && i < from->alias_count; i++)
        copy->aliases[copy->alias_count++] = copied(from->aliases[i], &ok);
    if (!ok) {
        connection_free(&copy);
        return -ENOMEM;
    }
    *ret_connection = copy;
    return 0;
}

static int embedded(const char *directory, const char *name,
                    struct connection **ret_connection)
{
    struct connection *made = calloc(1, sizeof *made);

    if (!made)
        return -ENOMEM;
    made->engine = ENGINE_SQLITE;
    made->name = strdup(name);
    if (asprintf(&made->dsn, "%s/%s.db", directory, name) < 0)
        made->dsn = NULL;
    if (!made->name || !made->dsn) {
        connection_free(&made);
        return -ENOMEM;
    }
    *ret_connection = made;
    return 0;
}

/* "shop, mart", with as many as there is room for. */
static void list_names(const struct data_settings *settings, char *to,
                       size_t size)
{
    size_t used = 0;

    to[0] = '\0';
    for (size_t i = 0; i < settings->connection_count; i++) {
        const char *name = settings->connections[i].name;
        if (used + strlen(name) + 8 > size) {
            snprintf(to + used, size - used, ", ...");
            return;
        }
        used += (size_t)snprintf(to + used, size - used, "%s%s", i ? ", " : "",
                                 name);
    }
}

int connection_find(const struct data_settings *settings, const char *name,
                    struct connection **ret_connection,
                    char why[CONNECTION_WHY_MAX])
{
    char names[120];
    bool right = connection_name_is_right(name);

    for (size_t i = 0; i < settings->connection_count; i++)
        if (is_called(&settings->connections[i], name))
            return copy_connection(&settings->connections[i], ret_connection);
    if (settings->embedded && right)
        return embedded(settings->embedded, name, ret_connection);
    list_names(settings, names, sizeof names);
    if (!right)
        snprintf(why, CONNECTION_WHY_MAX,
                 "this is not the name of a connection: 1 to %d of letters, "
                 "digits, '.', '_' and '-', not beginning with '.'",
                 CONNECTION_NAME_MAX);
    else if (*names)
        snprintf(why, CONNECTION_WHY_MAX,
                 "this agent has no connection \"%s\"; it has %s", name, names);
    else
        snprintf(why, CONNECTION_WHY_MAX,
                 "this agent has no connection \"%s\", nor any other: its "
                 "configuration needs `connections` or `data.embedded`",
                 name);
    return -ENOENT;
}

void connection_clear(struct connection *connection)
{
    for (size_t i = 0; i < connection->alias_count; i++)
        free(connection->aliases[i]);
    free(connection->aliases);
    free(connection->name);
    free(connection->dsn);
    free(connection->password_file);
    free(connection->password_env);
    memset(connection, 0, sizeof *connection);
}

void connection_free(struct connection **connection_p)
{
    if (*connection_p)
        connection_clear(*connection_p);
    free(*connection_p);
    *connection_p = NULL;
}

/* ---- passwords --------------------------------------------------------- */

static int wrong_file(int fd, const char *path, const char *what,
                      char why[CONNECTION_WHY_MAX])
{
    if (fd >= 0)
        close(fd);
    snprintf(why, CONNECTION_WHY_MAX, "password_file %.150s: %s", path, what);
    return -EINVAL;
}

static int read_file(const char *path, char **ret_password,
                     char why[CONNECTION_WHY_MAX])
{
    char room[PASSWORD_MAX + 1];
    struct stat status;
    ssize_t got;
    size_t len = 0;
    /* Not to wait for the writer of a FIFO. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0 || fstat(fd, &status) < 0)
        return wrong_file(fd, path, strerror(errno), why);
    if (!S_ISREG(status.st_mode))
        return wrong_file(fd, path, "this is not a file", why);
    if (status.st_mode & S_IRWXO)
        return wrong_file(fd, path,
                          "open to others than its owner and group: chmod 640",
                          why);
    while (len < sizeof room && (got = read(fd, room + len, sizeof room - len)))
        if (got > 0)
            len += (size_t)got;
        else if (errno != EINTR)
            return wrong_file(fd, path, strerror(errno), why);
    if (len > PASSWORD_MAX)
        return wrong_file(fd, path, "longer than 4096 bytes", why);
    if (len > 0 && room[len - 1] == '\n')
        len -= len > 1 && room[len - 2] == '\r' ? 2 : 1;
    if (len == 0)
        return wrong_file(fd, path, "it is empty", why);
    if (memchr(room, '\0', len) || memchr(room, '\n', len))
        return wrong_file(fd, path, "a password is one line of text", why);
    close(fd);
    char *password = strndup(room, len);
    explicit_bzero(room, sizeof room);
    if (!password)
        return -ENOMEM;
    *ret_password = password;
    return 0;
}

int connection_password(const struct connection *connection,
                        char **ret_password, char why[CONNECTION_WHY_MAX])
{
    *ret_password = NULL;
    if (connection->password_file)
        return read_file(connection->password_file, ret_password, why);
    if (!connection->password_env)
        return 0;
    const char *value = getenv(connection->password_env);
    if (!value || !*value) {
        snprintf(why, CONNECTION_WHY_MAX,
                 "password_env: the variable %.100s is not set",
                 connection->password_env);
        return -EINVAL;
    }
    *ret_password = strdup(value);
    return *ret_password ? 0 : -ENOMEM;
}

void connection_password_forget(char **password_p)
{
    if (*password_p)
        explicit_bzero(*password_p, strlen(*password_p));
    free(*password_p);
    *password_p = NULL;
}
