/*
 * settings_file.c - see settings_file.h.
 *
 * cyaml likes to quote the value that it could not read. Some values here are
 * secrets, and with a wrong indentation any may end up anywhere: messages are
 * therefore printed only as far as they say which key, which kind and where.
 */
#include "agents/settings_file.h"

#include "agents/wire.h"

#include <cyaml/cyaml.h>

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { SAID_MAX = 1000, FILE_TEXT_MAX = 4096 };

static const cyaml_schema_value_t text_entry = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, FILE_TEXT_MAX)};

#define OPTIONAL_POINTER (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)
/* What is missing or empty is told by settings_data.c in better words. */
#define TEXT_FIELD(type, member)                                               \
    CYAML_FIELD_STRING_PTR(#member, OPTIONAL_POINTER, struct type, member, 0,  \
                           FILE_TEXT_MAX)

static const cyaml_schema_field_t http_fields[] = {
    TEXT_FIELD(http_file, allow_private), CYAML_FIELD_END};

static const cyaml_schema_field_t connection_fields[] = {
    TEXT_FIELD(connection_file, name),
    TEXT_FIELD(connection_file, engine),
    TEXT_FIELD(connection_file, dsn),
    TEXT_FIELD(connection_file, password_file),
    TEXT_FIELD(connection_file, password_env),
    CYAML_FIELD_SEQUENCE("aliases", OPTIONAL_POINTER, struct connection_file,
                         aliases, &text_entry, 0, CONNECTION_ALIASES_MAX),
    TEXT_FIELD(connection_file, read_only),
    CYAML_FIELD_END};

static const cyaml_schema_value_t connection_entry = {CYAML_VALUE_MAPPING(
    CYAML_FLAG_DEFAULT, struct connection_file, connection_fields)};

static const cyaml_schema_field_t data_fields[] = {
    TEXT_FIELD(data_file, embedded),
    TEXT_FIELD(data_file, files),
    TEXT_FIELD(data_file, spill),
    TEXT_FIELD(data_file, memory),
    TEXT_FIELD(data_file, spill_max),
    TEXT_FIELD(data_file, pushdown),
    TEXT_FIELD(data_file, statement_timeout),
    TEXT_FIELD(data_file, lock_timeout),
    CYAML_FIELD_END};

static const cyaml_schema_field_t file_fields[] = {
    CYAML_FIELD_STRING_PTR("connect", OPTIONAL_POINTER, struct settings_file,
                           connect, 1, FILE_TEXT_MAX),
    CYAML_FIELD_STRING_PTR("name", OPTIONAL_POINTER, struct settings_file, name,
                           1, FILE_TEXT_MAX),
    CYAML_FIELD_STRING_PTR("spool", OPTIONAL_POINTER, struct settings_file,
                           spool, 1, PATH_MAX),
    CYAML_FIELD_SEQUENCE("pools", OPTIONAL_POINTER, struct settings_file, pools,
                         &text_entry, 1, WIRE_POOLS_MAX),
    CYAML_FIELD_UINT("slots", CYAML_FLAG_OPTIONAL, struct settings_file, slots),
    CYAML_FIELD_MAPPING_PTR("http", OPTIONAL_POINTER, struct settings_file,
                            http, http_fields),
    CYAML_FIELD_SEQUENCE("environment", OPTIONAL_POINTER, struct settings_file,
                         environment, &text_entry, 0, 256),
    CYAML_FIELD_SEQUENCE("connections", OPTIONAL_POINTER, struct settings_file,
                         connections, &connection_entry, 0, CONNECTIONS_MAX),
    CYAML_FIELD_MAPPING_PTR("data", OPTIONAL_POINTER, struct settings_file,
                            data, data_fields),
    CYAML_FIELD_END};

static const cyaml_schema_value_t file_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct settings_file, file_fields)};

static const char keys[] =
    "agent: the keys are connect, name, pools, slots, spool, "
    "http: {allow_private}, environment, connections: [{name, engine, dsn, "
    "password_file, password_env, aliases, read_only}], data: {embedded, "
    "files, memory, spill, spill_max, pushdown, statement_timeout, "
    "lock_timeout}\n";

/* Do the arguments of this message come from the schema, from the parser, or
 * from where keys stand? Then they are no values. */
static bool tells_no_value(const char *fmt)
{
    static const char *const harmless[] = {
        "Backtrace", "  in ",   "Unexpected key", "Missing required",
        "Expecting", "entries", "libyaml",        "already seen",
    };

    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
        if (strstr(fmt, harmless[i]))
            return true;
    return false;
}

/* cyaml says what and where in several lines; the first ones with words. */
static void gather_problem(cyaml_log_t level, void *context, const char *fmt,
                           va_list args) __attribute__((format(printf, 3, 0)));
static void gather_problem(cyaml_log_t level, void *context, const char *fmt,
                           va_list args)
{
    char *said = context;
    size_t used = strlen(said);

    if (level < CYAML_LOG_ERROR || used > SAID_MAX - 100)
        return;
    if (tells_no_value(fmt))
        vsnprintf(said + used, SAID_MAX - used, fmt, args);
    else
        snprintf(said + used, SAID_MAX - used, "%.*s(not shown)\n",
                 (int)strcspn(fmt, "'%"), fmt);
    /* One line in the end. */
    for (char *at = said + used; *at; at++)
        if (*at == '\n')
            *at = at[1] || at > said ? ' ' : '\0';
}

int settings_file_load(const char *path, struct settings_file **ret_file)
{
    char said[SAID_MAX] = "";
    const cyaml_config_t config = {
        .log_fn = gather_problem,
        .log_ctx = said,
        .mem_fn = cyaml_mem,
        .log_level = CYAML_LOG_ERROR,
        .flags = CYAML_CFG_NO_ALIAS,
    };
    cyaml_data_t *loaded = NULL;
    cyaml_err_t rc =
        cyaml_load_file(path, &config, &file_schema, &loaded, NULL);

    if (rc != CYAML_OK) {
        fprintf(stderr, "agent: %s: %s. %s\n", path, cyaml_strerror(rc), said);
        fputs(keys, stderr);
        return -1;
    }
    *ret_file = (struct settings_file *)loaded;
    return 0;
}

void settings_file_free(struct settings_file *file)
{
    const cyaml_config_t config = {.mem_fn = cyaml_mem};

    if (file)
        cyaml_free(&config, &file_schema, file, 0);
}
