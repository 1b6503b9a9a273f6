/*
 * settings_data.c - the part of settings_file.h about connections and data:
 * defaults, units, and what cannot be right. All problems are told at once, by
 * key and by a connection's name, never by its other values.
 */
#include "agents/settings_file.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- quantities -------------------------------------------------------- */

struct unit {
    const char *name;
    uint64_t factor;
};

/* The same words as in the dispatcher's configuration. "1G" is none: it could
 * be either. */
static const struct unit durations[] = {
    {"d", 86400000}, {"h", 3600000}, {"min", 60000}, {"m", 60000},
    {"s", 1000},     {"", 1000},     {"ms", 1},
};

static const struct unit sizes[] = {
    {"TiB", 1ULL << 40},
    {"GiB", 1ULL << 30},
    {"MiB", 1ULL << 20},
    {"KiB", 1ULL << 10},
    {"TB", 1000000000000},
    {"GB", 1000000000},
    {"MB", 1000000},
    {"kB", 1000},
    {"B", 1},
    {"", 1},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { FRACTION_DIGITS_MAX = 6 }; /* 10^6 x the largest unit fits 64 bits */

/* Digit by digit: strtod() would round, and take "inf" and "0x10". */
static int read_quantity(const char *text, const struct unit *units,
                         size_t count, uint64_t *ret)
{
    const char *at = text + strspn(text, " ");
    uint64_t whole = 0, fraction = 0, scale = 1;
    bool fits = true;

    if (*at < '0' || *at > '9')
        return -EINVAL;
    for (; *at >= '0' && *at <= '9'; at++)
        fits = fits && !__builtin_mul_overflow(whole, 10u, &whole) &&
               !__builtin_add_overflow(whole, (uint64_t)(*at - '0'), &whole);
    if (*at == '.') {
        size_t digits = strspn(++at, "0123456789");
        if (digits == 0 || digits > FRACTION_DIGITS_MAX)
            return -EINVAL;
        for (; digits-- > 0; at++, scale *= 10)
            fraction = fraction * 10 + (uint64_t)(*at - '0');
    }
    at += strspn(at, " ");
    size_t len = strlen(at);
    while (len > 0 && at[len - 1] == ' ')
        len--;
    for (size_t i = 0; i < count; i++) {
        uint64_t value;
        if (strlen(units[i].name) != len ||
            strncasecmp(units[i].name, at, len) != 0)
            continue;
        if (!fits || __builtin_mul_overflow(whole, units[i].factor, &value) ||
            __builtin_add_overflow(value, fraction * units[i].factor / scale,
                                   &value))
            return -ERANGE;
        *ret = value;
        return 0;
    }
    return -EINVAL;
}

int settings_size(const char *text, uint64_t *ret_bytes)
{
    return read_quantity(text, sizes, COUNT(sizes), ret_bytes);
}

int settings_duration(const char *text, uint64_t *ret_ms)
{
    return read_quantity(text, durations, COUNT(durations), ret_ms);
}

int settings_bool(const char *text, bool *ret_value)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {
        {"true", true},   {"yes", true}, {"on", true},
        {"false", false}, {"no", false}, {"off", false},
    };

    for (size_t i = 0; i < COUNT(words); i++) {
        if (strcasecmp(words[i].word, text) != 0)
            continue;
        *ret_value = words[i].value;
        return 0;
    }
    return -EINVAL;
}

/* ---- problems ---------------------------------------------------------- */

struct reading {
    const char *path;
    char base[PATH_MAX]; /* what relative paths are relative to */
    struct data_settings *data;
    bool wrong;
};

static void problem(struct reading *reading, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static void problem(struct reading *reading, const char *fmt, ...)
{
    va_list args;

    reading->wrong = true;
    fprintf(stderr, "agent: %s: ", reading->path);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
}

/* A relative path in the file means one beside the file: the processes that
 * will open it have other working directories. */
static char *anchored(const struct reading *reading, const char *path)
{
    char *whole;

    if (*path == '/')
        return settings_own(path);
    if (asprintf(&whole, "%s/%s", reading->base, path) < 0)
        return settings_own(path);
    return whole;
}

static void find_base(struct reading *reading)
{
    if (!realpath(reading->path, reading->base)) {
        if (!getcwd(reading->base, sizeof reading->base))
            snprintf(reading->base, sizeof reading->base, ".");
        return;
    }
    char *slash = strrchr(reading->base, '/');
    slash[slash == reading->base] = '\0';
}

/* ---- data: -------------------------------------------------------------- */

static char *read_directory(struct reading *reading, const char *key,
                            const char *said)
{
    struct stat status;

    if (!said)
        return NULL;
    if (!*said) {
        problem(reading, "data.%s is empty: name a directory or leave it out",
                key);
        return NULL;
    }
    char *path = anchored(reading, said);
    if (stat(path, &status) < 0)
        problem(reading, "data.%s: %s: %s; make the directory or correct it",
                key, path, strerror(errno));
    else if (!S_ISDIR(status.st_mode))
        problem(reading, "data.%s: %s is not a directory", key, path);
    else if (access(path, R_OK | W_OK | X_OK) < 0)
        problem(reading, "data.%s: %s: %s; it must be this user's to write in",
                key, path, strerror(errno));
    return path;
}

static uint64_t read_amount(struct reading *reading, const char *key,
                            const char *said, bool is_size, uint64_t least,
                            uint64_t most, uint64_t if_not_said)
{
    uint64_t value;

    if (!said)
        return if_not_said;
    int rc =
        is_size ? settings_size(said, &value) : settings_duration(said, &value);
    if (rc == -EINVAL)
        problem(reading, "data.%s: this is not a %s: write one like %s", key,
                is_size ? "size" : "duration",
                is_size ? "512MiB or 10GB" : "90s, 15min or 1h");
    else if (rc < 0 || value < least || value > most)
        problem(reading, "data.%s is not in %llu to %llu %s", key,
                (unsigned long long)least, (unsigned long long)most,
                is_size ? "bytes" : "ms");
    else
        return value;
    return if_not_said;
}

static const uint64_t mib = 1 << 20;

static void read_data(struct reading *reading, const struct data_file *said)
{
    static const struct data_file nothing;
    struct data_settings *data = reading->data;
    const uint64_t tib = 1ULL << 40;

    if (!said)
        said = &nothing;
    data->embedded = read_directory(reading, "embedded", said->embedded);
    data->files = read_directory(reading, "files", said->files);
    data->spill = read_directory(reading, "spill", said->spill);
    data->memory_bytes = read_amount(reading, "memory", said->memory, true,
                                     32 * mib, 16 * tib, 512 * mib);
    data->spill_max_bytes =
        read_amount(reading, "spill_max", said->spill_max, true, mib,
                    1024 * tib, 10 * (1ULL << 30));
    data->pushdown = true;
    if (said->pushdown && settings_bool(said->pushdown, &data->pushdown) < 0)
        problem(reading, "data.pushdown is neither true nor false");
    /* Milliseconds of PostgreSQL's settings are 31 bit. */
    data->statement_timeout_ms = (uint32_t)read_amount(
        reading, "statement_timeout", said->statement_timeout, false, 1,
        INT32_MAX, 3600000);
    data->lock_timeout_ms =
        (uint32_t)read_amount(reading, "lock_timeout", said->lock_timeout,
                              false, 1, INT32_MAX, 60000);
}

/* ---- connections: ------------------------------------------------------- */

/* "connections[2] "shop"", with a name that is fit to print. */
static const char *where(size_t index, const char *name,
                         char to[CONNECTION_NAME_MAX + 40])
{
    if (name && connection_name_is_right(name))
        snprintf(to, CONNECTION_NAME_MAX + 40, "connections[%zu] \"%s\"", index,
                 name);
    else
        snprintf(to, CONNECTION_NAME_MAX + 40, "connections[%zu]", index);
    return to;
}

static bool taken(const struct data_settings *data, const char *name)
{
    for (size_t i = 0; i < data->connection_count; i++) {
        const struct connection *other = &data->connections[i];
        if (other->name && strcmp(other->name, name) == 0)
            return true;
        for (size_t j = 0; j < other->alias_count; j++)
            if (strcmp(other->aliases[j], name) == 0)
                return true;
    }
    return false;
}

static void read_names(struct reading *reading, const char *at,
                       const struct connection_file *said,
                       struct connection *connection)
{
    if (!said->name || !*said->name)
        problem(reading, "%s has no name: give it the one that documents say",
                at);
    else if (!connection_name_is_right(said->name))
        problem(reading,
                "%s: its name is none: 1 to %d of letters, digits, '.', '_' "
                "and '-', not beginning with '.'",
                at, CONNECTION_NAME_MAX);
    else if (taken(reading->data, said->name))
        problem(reading,
                "%s: the name is taken by another connection or its aliases",
                at);
    connection->name = settings_own(said->name ? said->name : "");
    connection->aliases =
        calloc(said->aliases_count + 1, sizeof *connection->aliases);
    if (!connection->aliases) {
        problem(reading, "out of memory");
        return;
    }
    for (size_t i = 0; i < said->aliases_count; i++) {
        const char *alias = said->aliases[i];
        bool twice = strcmp(alias, connection->name) == 0;
        for (size_t j = 0; j < connection->alias_count; j++)
            twice = twice || strcmp(alias, connection->aliases[j]) == 0;
        if (!connection_name_is_right(alias))
            problem(reading,
                    "%s: aliases[%zu] is not a name: 1 to %d of letters, "
                    "digits, '.', '_' and '-', not beginning with '.'",
                    at, i, CONNECTION_NAME_MAX);
        else if (twice || taken(reading->data, alias))
            problem(reading, "%s: alias \"%s\" is taken: leave one of them out",
                    at, alias);
        connection->aliases[connection->alias_count++] = settings_own(alias);
    }
}

static void read_engine(struct reading *reading, const char *at,
                        const struct connection_file *said,
                        struct connection *connection)
{
    static const struct {
        const char *word;
        enum engine engine;
    } words[] = {
        {"postgresql", ENGINE_POSTGRESQL},
        {"sqlite", ENGINE_SQLITE},
    };

    for (size_t i = 0; said->engine && i < COUNT(words); i++) {
        if (strcmp(said->engine, words[i].word) != 0)
            continue;
        connection->engine = words[i].engine;
        return;
    }
    problem(reading, "%s: engine %s: write postgresql or sqlite", at,
            said->engine ? "is none this agent has" : "is missing");
}

static void read_password(struct reading *reading, const char *at,
                          const struct connection_file *said,
                          struct connection *connection)
{
    char why[CONNECTION_WHY_MAX], *password;

    if (said->password_file)
        connection->password_file = anchored(reading, said->password_file);
    if (said->password_env)
        connection->password_env = settings_own(said->password_env);
    if (!said->password_file && !said->password_env)
        return;
    if (connection->engine == ENGINE_SQLITE)
        problem(reading, "%s: sqlite has no password: leave it out", at);
    else if (said->password_file && said->password_env)
        problem(reading, "%s: password_file or password_env, not both", at);
    else if (connection_password(connection, &password, why) < 0)
        problem(reading, "%s: %s", at, why);
    else
        connection_password_forget(&password);
}

static void read_connection(struct reading *reading, size_t index,
                            const struct connection_file *said,
                            struct connection *connection)
{
    char room[CONNECTION_NAME_MAX + 40];
    const char *at = where(index, said->name, room);

    read_names(reading, at, said, connection);
    read_engine(reading, at, said, connection);
    if (!said->dsn || !*said->dsn)
        problem(reading,
                "%s: dsn is missing: a libpq connection string, or the path "
                "of a SQLite file",
                at);
    else if (connection->engine == ENGINE_SQLITE)
        connection->dsn = anchored(reading, said->dsn);
    if (!connection->dsn)
        connection->dsn = settings_own(said->dsn ? said->dsn : "");
    read_password(reading, at, said, connection);
    if (said->read_only &&
        settings_bool(said->read_only, &connection->read_only) < 0)
        problem(reading, "%s: read_only is neither true nor false", at);
}

bool settings_data_read(const char *path, const struct settings_file *file,
                        struct data_settings *ret_data)
{
    struct reading reading = {.path = path, .data = ret_data};

    memset(ret_data, 0, sizeof *ret_data);
    if (path)
        find_base(&reading);
    read_data(&reading, file ? file->data : NULL);
    if (!file || file->connections_count == 0)
        return !reading.wrong;
    ret_data->connections =
        calloc(file->connections_count, sizeof *ret_data->connections);
    if (!ret_data->connections) {
        problem(&reading, "out of memory");
        return false;
    }
    for (size_t i = 0; i < file->connections_count; i++) {
        struct connection *connection = &ret_data->connections[i];
        read_connection(&reading, i, &file->connections[i], connection);
        ret_data->connection_count++;
    }
    return !reading.wrong;
}

void settings_data_clear(struct data_settings *data)
{
    for (size_t i = 0; i < data->connection_count; i++)
        connection_clear(&data->connections[i]);
    free(data->connections);
    free(data->embedded);
    free(data->files);
    free(data->spill);
    memset(data, 0, sizeof *data);
}

/* libpq's forms: password=... among words, and //user:password@ or a
 * parameter password= in an URI. */
static bool has_password(const char *dsn)
{
    const char *scheme = strstr(dsn, "://");

    for (const char *at = dsn; (at = strcasestr(at, "password")); at++) {
        const char *after = at + strlen("password");
        if (after[strspn(after, " ")] == '=' &&
            (at == dsn || strchr(" ?&", at[-1])))
            return true;
    }
    if (!scheme || scheme > dsn + strcspn(dsn, " ='"))
        return false;
    const char *user = scheme + 3;
    size_t authority = strcspn(user, "/?");
    const char *end = memrchr(user, '@', authority);
    return end && memchr(user, ':', (size_t)(end - user));
}

void settings_data_warn(const char *path, const struct data_settings *data)
{
    for (size_t i = 0; i < data->connection_count; i++) {
        const struct connection *connection = &data->connections[i];
        if (connection->engine == ENGINE_POSTGRESQL &&
            has_password(connection->dsn))
            fprintf(stderr,
                    "agent: %s: connections[%zu] \"%s\": warning: its dsn has "
                    "a password in it; better give password_file or "
                    "password_env\n",
                    path, i, connection->name);
    }
}
