#include "agents/fence.h"

#include "agents/expr.h"
#include "agents/text.h"

#include <assert.h>

/* @ stands for the table; parameters are written as PostgreSQL has them. */
static const char *const statements[FENCE_STATEMENTS] = {
    [FENCE_INSERT] = "INSERT INTO @ (run_id, node, attempt, loaded_rows, "
                     "loaded_bytes) VALUES ($1, $2, $3, 0, 0) "
                     "ON CONFLICT (run_id, node) DO NOTHING",
    [FENCE_FIND] = "SELECT loaded_rows, loaded_bytes FROM @ "
                   "WHERE run_id = $1 AND node = $2",
    [FENCE_UPDATE] = "UPDATE @ SET loaded_rows = $3, loaded_bytes = $4 "
                     "WHERE run_id = $1 AND node = $2",
};

#define COLUMNS                                                                \
    "run_id text NOT NULL, node text NOT NULL, attempt integer NOT NULL, "     \
    "loaded_rows bigint NOT NULL, loaded_bytes bigint NOT NULL, "

static const char *const creation[] = {
    [ENGINE_POSTGRESQL] =
        "CREATE TABLE IF NOT EXISTS @ (" COLUMNS
        "loaded_at timestamp with time zone NOT NULL DEFAULT now(), "
        "PRIMARY KEY (run_id, node))",
    [ENGINE_SQLITE] =
        "CREATE TABLE IF NOT EXISTS @ (" COLUMNS
        "loaded_at text NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', "
        "'now') || '+00'), PRIMARY KEY (run_id, node))",
};

char *fence_sql(enum engine engine, enum fence_statement statement,
                const char *schema)
{
    assert(statement < FENCE_STATEMENTS);
    struct text sql = {0};
    const char *from =
        statement == FENCE_CREATE ? creation[engine] : statements[statement];

    for (const char *at = from; *at; at++) {
        if (*at == '@') {
            if (schema) {
                expr_quote_name(schema, &sql);
                text_add(&sql, ".");
            }
            text_add(&sql, FENCE_TABLE);
        } else if (*at == '$' && engine == ENGINE_SQLITE) {
            text_add(&sql, "?");
        } else {
            text_add_bytes(&sql, at, 1);
        }
    }
    return text_take(&sql);
}
