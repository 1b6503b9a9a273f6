/* workflow_kinds.c - what nodes there are, and which engine executes which
 * connector: two tables. */
#include "policy/workflow.h"

#include <string.h>
#include <strings.h>

/* ---- kinds ----------------------------------------------------------- */

#define ANY UINT32_MAX

#define FIELDS(...)                                                            \
    (const char *const[])                                                      \
    {                                                                          \
        __VA_ARGS__, NULL                                                      \
    }
#define NO_FIELDS                                                              \
    (const char *const[])                                                      \
    {                                                                          \
        NULL                                                                   \
    }

static const struct node_kind kinds[] = {
    {"command", NODE_TASK, FIELDS("argv"), FIELDS("env", "cwd"), 0, ANY, false},
    {"http", NODE_TASK, FIELDS("url"),
     FIELDS("method", "headers", "body", "expect_status"), 0, ANY, false},

    {"extract", NODE_DB, FIELDS("connection"),
     FIELDS("table", "schema", "sql", "filter", "columns", "on_errors",
            "engine", "size_bytes"),
     0, ANY, true},
    {"load", NODE_DB, FIELDS("connection", "table"),
     FIELDS("schema", "mode", "key", "create", "columns", "on_errors",
            "engine"),
     1, 1, true},
    {"sql", NODE_DB, FIELDS("connection", "sql"), FIELDS("engine"), 0, ANY,
     false},

    {"filter", NODE_TRANSFORM, FIELDS("where"), NO_FIELDS, 1, 1, true},
    {"map", NODE_TRANSFORM, FIELDS("columns"), NO_FIELDS, 1, 1, true},
    {"select", NODE_TRANSFORM, FIELDS("columns"), NO_FIELDS, 1, 1, true},
    {"join", NODE_TRANSFORM, FIELDS("on"), FIELDS("how", "columns"), 2, 2,
     true},
    {"aggregate", NODE_TRANSFORM, FIELDS("columns"), FIELDS("group_by"), 1, 1,
     true},
    {"sort", NODE_TRANSFORM, FIELDS("by"), NO_FIELDS, 1, 1, true},
    {"union", NODE_TRANSFORM, NO_FIELDS, FIELDS("distinct"), 2, ANY, true},
    {"distinct", NODE_TRANSFORM, NO_FIELDS, FIELDS("columns"), 1, 1, true},
    {"sequence", NODE_TRANSFORM, FIELDS("column"),
     FIELDS("start", "step", "count"), 0, 1, true},

    {"csv_read", NODE_FILE, FIELDS("path"),
     FIELDS("delimiter", "quote", "header", "null", "columns", "on_errors",
            "size_bytes"),
     0, ANY, true},
    {"csv_write", NODE_FILE, FIELDS("path"),
     FIELDS("delimiter", "quote", "header", "null", "columns"), 1, 1, false},
    {"jsonl_read", NODE_FILE, FIELDS("path"),
     FIELDS("columns", "on_errors", "size_bytes"), 0, ANY, true},
    {"jsonl_write", NODE_FILE, FIELDS("path"), FIELDS("columns"), 1, 1, false},
};

static const struct {
    const char *alias, *name;
} aliases[] = {{"expression", "map"}, {"group", "aggregate"}};

bool node_kind_is_source(const struct node_kind *kind)
{
    return kind->gives_rows && kind->inputs_min == 0 &&
           kind->class != NODE_TRANSFORM;
}

const struct node_kind *node_kinds(size_t *ret_count)
{
    *ret_count = sizeof kinds / sizeof kinds[0];
    return kinds;
}

const struct node_kind *node_kind_find(const char *name)
{
    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++) {
        if (strcmp(name, aliases[i].alias) == 0)
            name = aliases[i].name;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(name, kinds[i].name) == 0)
            return &kinds[i];
    }
    return NULL;
}

/* ---- engines --------------------------------------------------------- */

/* The first row whose word the connector's name starts with (or, where `within`
 * is set, contains) decides. Rows that another row's word would swallow come
 * first. Redshift once grew out of PostgreSQL but no longer speaks its COPY, so
 * it stands alone, as does everything not listed. */
static const struct {
    const char *word;
    bool within;
    const char *engine;
} families[] = {
    {"mysql", true, "mysql"},
    {"mariadb", true, "mysql"},
    {"postgres", true, "postgresql"},
    {"pg", false, "postgresql"},
    {"timescale", false, "postgresql"},
    {"supabase", false, "postgresql"},
    {"cockroach", false, "postgresql"},
    {"yugabyte", false, "postgresql"},
    {"neon", false, "postgresql"},
    {"citus", false, "postgresql"},
    {"alloydb", false, "postgresql"},
    {"greenplum", false, "postgresql"},
    {"enterprisedb", false, "postgresql"},
    {"sqlite", false, "sqlite"},
    {"sql-server", true, "sql-server"},
    {"sqlserver", true, "sql-server"},
    {"mssql", false, "sql-server"},
    {"azure-sql", false, "sql-server"},
    {"singlestore", false, "singlestore"},
    {"memsql", false, "singlestore"},
    {"snowflake", false, "snowflake"},
    {"oracle", false, "oracle"},
    {"redshift", true, "redshift"},
};

static bool is_space(char c)
{
    return c == ' ' || c == '_' || (c >= '\t' && c <= '\r');
}

const char *engine_of_connector(struct workflow *wf, const char *connector)
{
    char *name = workflow_strdup(wf, connector);
    if (name == NULL)
        return NULL;
    for (char *c = name; *c != '\0'; c++) {
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
        else if (is_space(*c))
            *c = '-';
    }
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        const char *found = strstr(name, families[i].word);
        if (found == name || (found != NULL && families[i].within))
            return families[i].engine;
    }
    return name;
}

bool engine_is_known(const char *engine)
{
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        if (strcmp(engine, families[i].engine) == 0)
            return true;
    }
    return false;
}

bool engine_is_built_in(const char *engine)
{
    return strcmp(engine, "postgresql") == 0 || strcmp(engine, "sqlite") == 0;
}
