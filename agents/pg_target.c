/* pg_target.c - the table of a load, and the transaction around the load. */
#include "agents/pg_inside.h"

#include "agents/expr.h"
#include "agents/fence.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    CREATE_TRIES = 3, /* against somebody who creates the same table */
    LIST_MAX = 200,
    REDIAL_TRIES = 40, /* 10 s: a server that restarts is back by then */
    REDIAL_PAUSE_MS = 250,
};

void pg_target_clear(struct pg_target *target)
{
    free(target->schema);
    free(target->table);
    free(target->name);
    schema_clear(&target->all);
    schema_clear(&target->given);
    *target = (struct pg_target){0};
}

/* ---- finding and checking ---------------------------------------------------
 */

/* The given columns as the table has them. */
static int match_columns(struct pg *pg, const struct load *load,
                         struct pg_target *target)
{
    char list[LIST_MAX];

    for (size_t i = 0; i < load->given->count; i++) {
        const char *name = load->given->columns[i].name;
        size_t at;
        int r = schema_find(&target->all, name, NULL, &at);
        if (r) {
            schema_list(&target->all, list, sizeof list);
            return pg_fail(pg, -EINVAL,
                           r == -EEXIST
                               ? "several columns of %s are called \"%s\" in "
                                 "other cases: %s"
                               : "table %s has no column \"%s\"; it has %s",
                           target->name, name, list);
        }
        for (size_t j = 0; j < i; j++)
            if (strcmp(target->given.columns[j].name,
                       target->all.columns[at].name) == 0)
                return pg_fail(pg, -EINVAL, "column \"%s\" is given twice",
                               target->all.columns[at].name);
        if (schema_add_copy(&target->given, &target->all.columns[at]) != 0)
            return pg_fail(pg, -ENOMEM, "out of memory");
    }
    for (size_t i = 0; i < target->all.count; i++) {
        const struct column *column = &target->all.columns[i];
        bool found = !column->not_null;
        for (size_t j = 0; !found && j < target->given.count; j++)
            found = strcmp(target->given.columns[j].name, column->name) == 0;
        if (!found)
            return pg_fail(pg, -EINVAL,
                           "column \"%s\" of %s has to be given: it is NOT "
                           "NULL and has no default",
                           column->name, target->name);
    }
    return 0;
}

/* For a table that is to be created: as given, with the types we create. */
static int invent_columns(struct pg *pg, const struct load *load,
                          struct pg_target *target)
{
    char type[64];

    if (schema_copy(load->given, &target->given) != 0)
        return pg_fail(pg, -ENOMEM, "out of memory");
    for (size_t i = 0; i < target->given.count; i++) {
        struct column *column = &target->given.columns[i];
        for (size_t j = 0; j < i; j++)
            if (strcmp(target->given.columns[j].name, column->name) == 0)
                return pg_fail(pg, -EINVAL, "column \"%s\" is given twice",
                               column->name);
        if (column->type == TYPE_NULL)
            column->type = TYPE_TEXT;
        pg_type(column, type, sizeof type);
        free(column->native);
        column->native = strdup(type);
        column->not_null = false;
        if (!column->native)
            return pg_fail(pg, -ENOMEM, "out of memory");
    }
    return 0;
}

static const char *key_name(const struct load *load,
                            const struct pg_target *target, size_t key)
{
    size_t at;

    return schema_find(&target->given, load->key[key], NULL, &at) == 0
               ? target->given.columns[at].name
               : NULL;
}

static void add_key(const struct load *load, const struct pg_target *target,
                    const char *prefix, struct text *to)
{
    for (size_t i = 0; i < load->key_count; i++) {
        text_add(to, i ? ", " : "");
        text_add(to, prefix);
        expr_quote_name(key_name(load, target, i), to);
    }
}

static int no_index(struct pg *pg, const struct load *load,
                    const struct pg_target *target)
{
    struct text key = {0};

    add_key(load, target, "", &key);
    int r = key.failed ? pg_fail(pg, -ENOMEM, "out of memory")
                       : pg_fail(pg, -EINVAL,
                                 "a merge needs a unique index on its key: "
                                 "CREATE UNIQUE INDEX ON %s (%s)",
                                 target->name, key.bytes);
    text_clear(&key);
    return r;
}

/* What ON CONFLICT (key) asks for: a unique index of just these columns,
 * neither partial nor deferrable. */
static int check_index(struct pg *pg, const struct load *load,
                       const struct pg_target *target)
{
    struct text sql = {0}, names = {0};
    PGresult *res = NULL;

    for (size_t i = 0; i < load->key_count; i++) {
        text_add(&names, i ? ", " : "");
        expr_quote_text(key_name(load, target, i), &names);
    }
    text_addf(&sql,
              "SELECT 1 FROM pg_catalog.pg_index i WHERE i.indrelid = "
              "pg_catalog.to_regclass($1) AND i.indisunique AND i.indisvalid "
              "AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL "
              "AND i.indnkeyatts = %zu AND NOT EXISTS (SELECT FROM "
              "pg_catalog.generate_series(0, i.indnkeyatts - 1) n LEFT JOIN "
              "pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND "
              "a.attnum = i.indkey[n] AND a.attname IN (%s) WHERE a.attnum IS "
              "NULL)",
              load->key_count, names.bytes ? names.bytes : "");
    const char *parameter = target->name;
    int r = sql.failed || names.failed
                ? pg_fail(pg, -ENOMEM, "out of memory")
                : pg_query(pg, sql.bytes, 1, &parameter, &res);
    if (!r && PQntuples(res) == 0)
        r = no_index(pg, load, target);
    PQclear(res);
    text_clear(&sql);
    text_clear(&names);
    return r;
}

static int check_key(struct pg *pg, const struct load *load,
                     const struct pg_target *target)
{
    if (load->key_count == 0)
        return pg_fail(pg, -EINVAL, "a merge needs a key");
    for (size_t i = 0; i < load->key_count; i++) {
        if (!key_name(load, target, i))
            return pg_fail(pg, -EINVAL,
                           "the key \"%s\" is not among the given columns",
                           load->key[i]);
        for (size_t j = 0; j < i; j++)
            if (strcmp(key_name(load, target, i), key_name(load, target, j)) ==
                0)
                return pg_fail(pg, -EINVAL, "the key names \"%s\" twice",
                               load->key[i]);
    }
    return target->exists ? check_index(pg, load, target) : 0;
}

int pg_target_find(struct pg *pg, const struct load *load,
                   struct pg_target *ret)
{
    struct pg_target target = {0};

    if (pg->connection.read_only)
        return pg_fail(pg, -EINVAL,
                       "connection %s is read-only (agent's configuration): "
                       "nothing may be written there",
                       pg->connection.name);
    for (size_t i = 0; i <= load->given->count; i++) {
        const char *name =
            i == 0 ? load->table : load->given->columns[i - 1].name;
        if (strlen(name) > PG_NAME_MAX)
            return pg_fail(pg, -EINVAL,
                           "\"%.80s...\" is not a name there: PostgreSQL "
                           "would cut it to %d bytes",
                           name, PG_NAME_MAX);
    }
    if (load->given->count == 0)
        return pg_fail(pg, -EINVAL, "no columns are given for table \"%s\"",
                       load->table);
    int r = pg_table_find(pg, load->schema, load->table, &target);
    if (r == -ENOENT && load->create && target.schema)
        r = 0;
    if (!r)
        r = target.exists ? match_columns(pg, load, &target)
                          : invent_columns(pg, load, &target);
    if (!r && load->mode == LOAD_MERGE)
        r = check_key(pg, load, &target);
    if (r)
        pg_target_clear(&target);
    else
        *ret = target;
    return r;
}

/* ---- beginning
 * --------------------------------------------------------------- */

/* Somebody else was creating the same thing: relation, its row type, or the
 * catalog's rows of either. */
static bool created_meanwhile(const struct pg *pg)
{
    static const char *const states[] = {"42P07", "42710", "23505"};

    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
        if (strcmp(pg->state, states[i]) == 0)
            return true;
    return false;
}

static int fence_run(struct pg *pg, enum fence_statement statement,
                     const char *schema, int count,
                     const char *const *parameters, PGresult **ret_res)
{
    char *sql = fence_sql(ENGINE_POSTGRESQL, statement, schema);
    int r = sql ? pg_query(pg, sql, count, parameters, ret_res)
                : pg_fail(pg, -ENOMEM, "out of memory");

    free(sql);
    return r;
}

/* In a transaction of its own, so that first loads into a schema do not wait
 * for one another until one is in. */
static int make_fence(struct pg *pg, const char *schema)
{
    const char *parameter = schema;
    PGresult *res = NULL;
    int r = 0;

    for (int i = 0; i < CREATE_TRIES; i++) {
        r = pg_query(pg,
                     "SELECT 1 FROM pg_catalog.pg_class c JOIN "
                     "pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
                     "WHERE n.nspname = $1 AND c.relname = '" FENCE_TABLE "'",
                     1, &parameter, &res);
        bool there = !r && PQntuples(res) > 0;
        PQclear(res);
        res = NULL;
        if (r || there)
            return r;
        r = fence_run(pg, FENCE_CREATE, schema, 0, NULL, NULL);
        if (r == 0 || !created_meanwhile(pg))
            break;
    }
    if (r && r != -ECONNREFUSED) {
        char why[PG_ERROR_MAX];
        memcpy(why, pg->error, sizeof why);
        return pg_fail(pg, r,
                       "table " FENCE_TABLE ", which remembers loads, is not "
                       "in schema \"%s\" and cannot be made: %s",
                       schema, why);
    }
    return r;
}

/* The row that says that this load is in, unless it is there already. Waits for
 * another attempt that is under way. */
static int take_fence(struct pg *pg, const struct load *load,
                      const char *schema, bool *ret_done, uint64_t *ret_rows,
                      uint64_t *ret_bytes)
{
    char attempt[16];
    const char *parameters[] = {load->run_id, load->node, attempt};
    PGresult *res = NULL;

    (void)snprintf(attempt, sizeof attempt, "%" PRIu32,
                   load->attempt & INT32_MAX);
    int r = fence_run(pg, FENCE_INSERT, schema, 3, parameters, &res);
    if (r && strcmp(pg->state, "55P03") == 0)
        return pg_fail(pg, r,
                       "another attempt of this load is under way; it was "
                       "waited for %" PRIu32 " ms",
                       pg->limits.lock_timeout_ms);
    if (r)
        return r;
    *ret_done = strcmp(PQcmdTuples(res), "0") == 0;
    PQclear(res);
    if (!*ret_done)
        return 0;
    r = fence_run(pg, FENCE_FIND, schema, 2, parameters, &res);
    if (!r && PQntuples(res) > 0) {
        *ret_rows = strtoull(PQgetvalue(res, 0, 0), NULL, 10);
        *ret_bytes = strtoull(PQgetvalue(res, 0, 1), NULL, 10);
    }
    PQclear(res);
    return r;
}

static int begin_write(struct pg *pg)
{
    return pg_run(pg, "BEGIN TRANSACTION ISOLATION LEVEL READ COMMITTED, "
                      "READ WRITE");
}

static int create(struct pg *pg, const struct load *load,
                  const struct pg_target *target)
{
    struct text sql = {0};

    text_addf(&sql, "CREATE TABLE %s (", target->name);
    for (size_t i = 0; i < target->given.count; i++) {
        const struct column *column = &target->given.columns[i];
        text_add(&sql, i ? ", " : "");
        expr_quote_name(column->name, &sql);
        text_addf(&sql, " %s", column->native);
    }
    if (load->mode == LOAD_MERGE) {
        text_add(&sql, ", PRIMARY KEY (");
        add_key(load, target, "", &sql);
        text_add(&sql, ")");
    }
    text_add(&sql, ")");
    return pg_run_text(pg, &sql);
}

int pg_target_begin(struct pg *pg, const struct load *load,
                    struct pg_target *target, bool *ret_done,
                    uint64_t *ret_rows, uint64_t *ret_bytes)
{
    int r = make_fence(pg, target->schema);

    *ret_done = false;
    for (int i = 0; !r; i++) {
        r = begin_write(pg);
        if (!r)
            r = take_fence(pg, load, target->schema, ret_done, ret_rows,
                           ret_bytes);
        if (!r && !*ret_done && !target->exists)
            r = create(pg, load, target);
        if (!r && !*ret_done)
            return 0;
        bool again =
            r && !target->exists && created_meanwhile(pg) && i < CREATE_TRIES;
        (void)pg_target_abort(pg, r);
        if (!again)
            return r;
        pg_target_clear(target);
        r = pg_target_find(pg, load, target);
    }
    return r;
}

int pg_target_truncate(struct pg *pg, const struct pg_target *target)
{
    struct text sql = {0};

    if (!target->exists)
        return 0;
    text_addf(&sql, "TRUNCATE TABLE %s", target->name);
    return pg_run_text(pg, &sql);
}

/* ---- inserting
 * --------------------------------------------------------------- */

void pg_target_columns(const struct pg_target *target, const char *prefix,
                       struct text *sql)
{
    for (size_t i = 0; i < target->given.count; i++) {
        text_add(sql, i ? ", " : "");
        text_add(sql, prefix);
        expr_quote_name(target->given.columns[i].name, sql);
    }
}

static bool is_key(const struct load *load, const struct pg_target *target,
                   const char *name)
{
    for (size_t i = 0; i < load->key_count; i++)
        if (strcmp(key_name(load, target, i), name) == 0)
            return true;
    return false;
}

void pg_target_on_conflict(const struct load *load,
                           const struct pg_target *target, struct text *sql)
{
    const char *between = " DO UPDATE SET ";

    text_add(sql, " ON CONFLICT (");
    add_key(load, target, "", sql);
    text_add(sql, ")");
    for (size_t i = 0; i < target->given.count; i++) {
        const char *name = target->given.columns[i].name;
        if (is_key(load, target, name))
            continue;
        text_add(sql, between);
        between = ", ";
        expr_quote_name(name, sql);
        text_add(sql, " = EXCLUDED.");
        expr_quote_name(name, sql);
    }
    if (between[0] == ' ') /* the key is all there is */
        text_add(sql, " DO NOTHING");
}

/* "cannot affect row a second time": says which key it was. */
static int name_twin(struct pg *pg, const struct load *load,
                     const struct pg_target *target, const char *from)
{
    struct text sql = {0}, key = {0}, names = {0};
    PGresult *res = NULL;

    for (size_t i = 0; i < load->key_count; i++)
        text_addf(&names, "%s%s", i ? ", " : "", key_name(load, target, i));
    add_key(load, target, "t.", &key);
    text_addf(&sql,
              "SELECT %s FROM %s AS t GROUP BY %s HAVING "
              "pg_catalog.count(*) > 1 AND pg_catalog.num_nulls(%s) = 0 "
              "LIMIT 1",
              key.bytes, from, key.bytes, key.bytes);
    if (sql.failed || key.failed || names.failed ||
        pg_query(pg, sql.bytes, 0, NULL, &res) != 0)
        res = NULL;
    text_reset(&key);
    for (int i = 0; res && PQntuples(res) > 0 && i < PQnfields(res); i++)
        text_addf(&key, "%s%s", i ? ", " : "", PQgetvalue(res, 0, i));
    PQclear(res);
    int r = pg_fail(pg, -EIO,
                    "several rows of the load have the same key (%s)%s%s%s",
                    names.bytes ? names.bytes : "", key.len ? " = (" : "",
                    key.len ? key.bytes : "", key.len ? ")" : "");
    text_clear(&sql);
    text_clear(&key);
    text_clear(&names);
    return r;
}

/* NULLs are never equal: rows with a NULL in their key would be added by every
 * run. from is a table of ours. */
static int refuse_null_keys(struct pg *pg, const struct load *load,
                            const struct pg_target *target, const char *from)
{
    struct text sql = {0}, key = {0};
    PGresult *res = NULL;

    add_key(load, target, "t.", &key);
    text_addf(&sql,
              "SELECT pg_catalog.count(*) FROM %s AS t WHERE "
              "pg_catalog.num_nulls(%s) > 0",
              from, key.bytes ? key.bytes : "");
    int r = sql.failed || key.failed ? pg_fail(pg, -ENOMEM, "out of memory")
                                     : pg_query(pg, sql.bytes, 0, NULL, &res);
    if (!r && strcmp(PQgetvalue(res, 0, 0), "0") != 0)
        r = pg_fail(pg, -EIO,
                    "%s rows have a NULL in the key that they are merged by",
                    PQgetvalue(res, 0, 0));
    PQclear(res);
    text_clear(&sql);
    text_clear(&key);
    return r;
}

int pg_target_insert(struct pg *pg, const struct load *load,
                     const struct pg_target *target, const char *sql,
                     const char *from, uint64_t *ret_rows)
{
    bool merge = load->mode == LOAD_MERGE;
    PGresult *res = NULL;
    int r = merge ? refuse_null_keys(pg, load, target, from) : 0;

    if (!r && merge)
        r = pg_run(pg, "SAVEPOINT dispatch_merge");

    if (!r)
        r = pg_query(pg, sql, 0, NULL, &res);
    if (!r)
        *ret_rows = strtoull(PQcmdTuples(res), NULL, 10);
    PQclear(res);
    if (r && merge && strcmp(pg->state, "21000") == 0) {
        PQclear(PQexec(pg->conn, "ROLLBACK TO SAVEPOINT dispatch_merge"));
        return name_twin(pg, load, target, from);
    }
    if (!r && merge)
        r = pg_run(pg, "RELEASE SAVEPOINT dispatch_merge");
    return r;
}

/* ---- ending
 * ------------------------------------------------------------------ */

int pg_target_abort(struct pg *pg, int err)
{
    char why[PG_ERROR_MAX];

    pg_rollback(pg);
    if (err == -ECONNREFUSED) {
        memcpy(why, pg->error, sizeof why);
        return pg_fail(pg, err, "%s; the target is unchanged", why);
    }
    return err;
}

/* The answer to COMMIT is lost. The fence tells: its row is there, or can be
 * inserted; the insertion waits for a server process that still commits. */
static int ask_fence(struct pg *pg, const struct load *load,
                     const struct pg_target *target)
{
    static const struct timespec pause = {.tv_nsec =
                                              REDIAL_PAUSE_MS * 1000000L};
    uint64_t rows, bytes;
    bool done = false;
    int r = -ECONNREFUSED;

    for (int i = 0; i < REDIAL_TRIES && r == -ECONNREFUSED; i++) {
        if (i > 0)
            nanosleep(&pause, NULL);
        r = pg_reopen(pg);
        if (!r)
            r = begin_write(pg);
        if (!r)
            r = take_fence(pg, load, target->schema, &done, &rows, &bytes);
    }
    if (PQstatus(pg->conn) == CONNECTION_OK)
        pg_rollback(pg);
    if (r)
        return pg_fail(pg, -ECONNREFUSED,
                       "the connection was lost during COMMIT; whether the "
                       "load is in is not known, another attempt will find "
                       "out");
    return done ? 0
                : pg_fail(pg, -ECONNREFUSED,
                          "the connection was lost during COMMIT; the target "
                          "is unchanged");
}

int pg_target_commit(struct pg *pg, const struct load *load,
                     const struct pg_target *target, uint64_t rows,
                     uint64_t bytes)
{
    char row_text[24], byte_text[24];
    const char *parameters[] = {load->run_id, load->node, row_text, byte_text};
    PGresult *res = NULL;

    (void)snprintf(row_text, sizeof row_text, "%" PRIu64, rows);
    (void)snprintf(byte_text, sizeof byte_text, "%" PRIu64, bytes);
    int r = fence_run(pg, FENCE_UPDATE, target->schema, 4, parameters, NULL);
    if (r)
        return pg_target_abort(pg, r);
    r = pg_query(pg, "COMMIT", 0, NULL, &res);
    if (!r && strcmp(PQcmdStatus(res), "COMMIT") != 0)
        r = pg_fail(pg, -EIO, "the server rolled the transaction back");
    PQclear(res);
    return r == -ECONNREFUSED ? ask_fence(pg, load, target)
                              : (r ? pg_target_abort(pg, r) : 0);
}
