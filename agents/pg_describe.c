/* pg_describe.c - columns of queries and tables in types of ours; what the
 * planner expects of a query. */
#include "agents/pg_inside.h"

#include "agents/expr.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of the server's catalog: these numbers are the same in every PostgreSQL. */
enum {
    OID_BOOL = 16,
    OID_BYTEA = 17,
    OID_INT8 = 20,
    OID_INT2 = 21,
    OID_INT4 = 23,
    OID_FLOAT4 = 700,
    OID_FLOAT8 = 701,
    OID_BPCHAR = 1042,
    OID_VARCHAR = 1043,
    OID_DATE = 1082,
    OID_TIMESTAMP = 1114,
    OID_TIMESTAMPTZ = 1184,
    OID_NUMERIC = 1700,
    TYPMOD_HEADER = 4, /* what the length of a varlena adds to a typmod */
};

static enum type type_of(Oid oid)
{
    switch (oid) {
    case OID_BOOL:
        return TYPE_BOOLEAN;
    case OID_BYTEA:
        return TYPE_BYTES;
    case OID_INT8:
    case OID_INT2:
    case OID_INT4:
        return TYPE_INTEGER;
    case OID_FLOAT4:
    case OID_FLOAT8:
        return TYPE_DOUBLE;
    case OID_DATE:
        return TYPE_DATE;
    case OID_TIMESTAMP:
        return TYPE_TIMESTAMP;
    case OID_TIMESTAMPTZ:
        return TYPE_TIMESTAMPTZ;
    case OID_NUMERIC:
        return TYPE_DECIMAL;
    default:
        return TYPE_TEXT;
    }
}

/* Adds a column with what its type allows. */
static int add_column(struct schema *schema, const char *name, Oid oid, int mod,
                      const char *native)
{
    struct column *column = schema_add(schema, name, type_of(oid));

    if (!column)
        return -ENOMEM;
    column->native = strdup(native);
    if (!column->native)
        return -ENOMEM;
    if (oid == OID_INT2)
        column->bits = 16;
    if (oid == OID_INT4)
        column->bits = 32;
    if (mod < TYPMOD_HEADER)
        return 0;
    mod -= TYPMOD_HEADER;
    if (oid == OID_VARCHAR || oid == OID_BPCHAR)
        column->length = mod;
    if (oid == OID_NUMERIC) {
        int scale = ((mod & 0x7FF) ^ 1024) - 1024; /* 11 bits and a sign */
        if (scale >= 0) { /* numeric(3,-2): the server alone minds it */
            column->precision = (mod >> 16) & 0xFFFF;
            column->scale = scale;
        }
    }
    return 0;
}

bool pg_is_string(const struct column *column)
{
    static const char *const names[] = {"text", "character", "character(",
                                        "character varying", "name"};

    if (column->type != TYPE_TEXT)
        return false;
    if (!column->native || column->length > 0)
        return true;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(column->native, names[i]) == 0)
            return true;
    return false;
}

void pg_type(const struct column *column, char *buf, size_t size)
{
    const char *plain = "text";

    switch (column->type) {
    case TYPE_INTEGER:
        plain = column->bits == 16   ? "smallint"
                : column->bits == 32 ? "integer"
                                     : "bigint";
        break;
    case TYPE_DECIMAL:
        plain = "numeric";
        if (column->precision > 0) {
            (void)snprintf(buf, size, "numeric(%d,%d)", column->precision,
                           column->scale > 0 ? column->scale : 0);
            return;
        }
        break;
    case TYPE_TEXT:
        if (column->length > 0) {
            (void)snprintf(buf, size, "character varying(%d)", column->length);
            return;
        }
        break;
    case TYPE_DOUBLE:
        plain = "double precision";
        break;
    case TYPE_BOOLEAN:
        plain = "boolean";
        break;
    case TYPE_DATE:
        plain = "date";
        break;
    case TYPE_TIMESTAMP:
        plain = "timestamp without time zone";
        break;
    case TYPE_TIMESTAMPTZ:
        plain = "timestamp with time zone";
        break;
    case TYPE_BYTES:
        plain = "bytea";
        break;
    case TYPE_NULL:
    case TYPES:
        break;
    }
    (void)snprintf(buf, size, "%s", plain);
}

/* ---- queries ---------------------------------------------------------------
 */

static int prepare(struct pg *pg, const char *sql)
{
    pg_busy(pg, true);
    PGresult *res = PQprepare(pg->conn, "", sql, 0, NULL);
    pg_busy(pg, false);
    int r =
        PQresultStatus(res) == PGRES_COMMAND_OK ? 0 : pg_take_error(pg, res);

    PQclear(res);
    return r;
}

/* Inside of parentheses only what reads is grammatical: no INSERT ...
 * RETURNING, no data-modifying WITH. */
static int check_reads(struct pg *pg, const char *sql)
{
    struct text wrapped = {0};
    char why[PG_ERROR_MAX];

    text_addf(&wrapped, "SELECT * FROM (\n%s\n) AS dispatch_query", sql);
    if (wrapped.failed)
        return pg_fail(pg, -ENOMEM, "out of memory");
    int r = prepare(pg, wrapped.bytes);
    text_clear(&wrapped);
    if (r != -EINVAL && r != -EIO)
        return r;
    memcpy(why, pg->error, sizeof why);
    return pg_fail(pg, -EINVAL,
                   "the SQL has to be one statement that only reads (SELECT, "
                   "WITH, VALUES, TABLE), without semicolon: %s",
                   why);
}

static int check_names(struct pg *pg, const struct schema *schema)
{
    for (size_t i = 0; i < schema->count; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(schema->columns[i].name, schema->columns[j].name) == 0)
                return pg_fail(pg, -EINVAL,
                               "columns %zu and %zu are both called \"%s\": "
                               "give one another name with AS",
                               j + 1, i + 1, schema->columns[i].name);
    return 0;
}

/* format_type() of all columns in one query. */
static int add_columns(struct pg *pg, const PGresult *described,
                       struct schema *schema)
{
    struct text oids = {0}, mods = {0};
    PGresult *names = NULL;
    int count = PQnfields(described), r = 0;

    for (int i = 0; i < count; i++) {
        text_addf(&oids, "%c%u", i ? ',' : '{', PQftype(described, i));
        text_addf(&mods, "%c%d", i ? ',' : '{', PQfmod(described, i));
    }
    text_add(&oids, "}");
    text_add(&mods, "}");
    if (oids.failed || mods.failed)
        r = pg_fail(pg, -ENOMEM, "out of memory");
    const char *parameters[] = {oids.bytes, mods.bytes};
    if (!r)
        r = pg_query(pg,
                     "SELECT pg_catalog.format_type(t, m) FROM "
                     "unnest($1::pg_catalog.oid[], "
                     "$2::pg_catalog.int4[]) WITH ORDINALITY AS u(t, m, o) "
                     "ORDER BY o",
                     2, parameters, &names);
    for (int i = 0; !r && i < count; i++)
        if (i >= PQntuples(names) ||
            add_column(schema, PQfname(described, i), PQftype(described, i),
                       PQfmod(described, i), PQgetvalue(names, i, 0)) != 0)
            r = pg_fail(pg, -ENOMEM, "too many columns, or out of memory");
    PQclear(names);
    text_clear(&oids);
    text_clear(&mods);
    return r ? r : check_names(pg, schema);
}

static int describe(struct pg *pg, const char *sql, bool user_sql,
                    struct schema *schema)
{
    int r = prepare(pg, sql);

    if (r)
        return r;
    PGresult *res = PQdescribePrepared(pg->conn, "");
    if (PQresultStatus(res) != PGRES_COMMAND_OK)
        r = pg_take_error(pg, res);
    else if (PQnparams(res) > 0)
        r = pg_fail(pg, -EINVAL, "the SQL has a parameter ($1)");
    else if (PQnfields(res) == 0)
        r = pg_fail(pg, -EINVAL,
                    "the SQL returns no rows: it has to be one SELECT");
    if (!r && user_sql)
        r = check_reads(pg, sql);
    if (!r)
        r = add_columns(pg, res, schema);
    PQclear(res);
    return r;
}

int pg_describe(struct pg *pg, const char *sql, bool user_sql,
                struct schema *ret_schema)
{
    struct schema schema = {0};
    int r = pg_guard(pg);

    if (!r)
        r = pg_unguard(pg, describe(pg, sql, user_sql, &schema));
    if (r)
        schema_clear(&schema);
    else
        *ret_schema = schema;
    return r;
}

/* ---- tables ----------------------------------------------------------------
 */

/* Domains are followed down to what they are made of; a default or a NOT NULL
 * anywhere on the way counts. */
static const char columns_of[] =
    "WITH RECURSIVE base(num, typ, mod, must, has) AS ("
    "SELECT attnum, atttypid, atttypmod, attnotnull, "
    "atthasdef OR attidentity <> '' FROM pg_catalog.pg_attribute "
    "WHERE attrelid = $1::pg_catalog.oid AND attnum > 0 AND NOT attisdropped "
    "AND attgenerated = '' UNION ALL "
    "SELECT num, typbasetype, typtypmod, must OR typnotnull, "
    "has OR typdefault IS NOT NULL FROM base JOIN pg_catalog.pg_type t "
    "ON t.oid = typ AND typtype = 'd') "
    "SELECT attname, typ, mod, pg_catalog.format_type(atttypid, atttypmod), "
    "must AND NOT has FROM base JOIN pg_catalog.pg_attribute "
    "ON attrelid = $1::pg_catalog.oid AND attnum = num "
    "JOIN pg_catalog.pg_type t ON t.oid = typ AND typtype <> 'd' "
    "ORDER BY attnum";

static int read_columns(struct pg *pg, const char *oid, struct schema *schema)
{
    PGresult *res = NULL;
    int r = pg_query(pg, columns_of, 1, &oid, &res);

    for (int i = 0; !r && i < PQntuples(res); i++) {
        if (add_column(schema, PQgetvalue(res, i, 0),
                       (Oid)strtoul(PQgetvalue(res, i, 1), NULL, 10),
                       (int)strtol(PQgetvalue(res, i, 2), NULL, 10),
                       PQgetvalue(res, i, 3)) != 0)
            r = pg_fail(pg, -ENOMEM, "out of memory");
        else
            schema->columns[schema->count - 1].not_null =
                PQgetvalue(res, i, 4)[0] == 't';
    }
    PQclear(res);
    return r;
}

static char *qualified(const char *schema, const char *table)
{
    struct text name = {0};

    if (schema) {
        expr_quote_name(schema, &name);
        text_add(&name, ".");
    }
    expr_quote_name(table, &name);
    return text_take(&name);
}

static int take_names(struct pg *pg, const char *schema, const char *table,
                      struct pg_target *ret)
{
    ret->schema = strdup(schema);
    ret->table = strdup(table);
    ret->name = qualified(schema, table);
    return ret->schema && ret->table && ret->name
               ? 0
               : pg_fail(pg, -ENOMEM, "out of memory");
}

/* No such table: the schema it would be made in, and a name that is like it. */
static int not_found(struct pg *pg, const char *schema, const char *table,
                     struct pg_target *ret)
{
    const char *parameters[] = {schema, table};
    PGresult *res = NULL;
    int r = pg_query(
        pg,
        "SELECT n.nspname, (SELECT c.relname FROM pg_catalog.pg_class c WHERE "
        "c.relnamespace = n.oid AND c.relkind IN ('r','p','v','m','f') AND "
        "lower(c.relname) = lower($2) LIMIT 1) FROM pg_catalog.pg_namespace n "
        "WHERE n.nspname = coalesce($1, current_schema())",
        2, parameters, &res);

    if (r)
        return r;
    if (PQntuples(res) == 0) {
        r = schema ? pg_fail(pg, -ENOENT, "there is no schema \"%s\"", schema)
                   : pg_fail(pg, -ENOENT, "the search_path names no schema");
    } else {
        r = take_names(pg, PQgetvalue(res, 0, 0), table, ret);
        if (!r)
            r = pg_fail(pg, -ENOENT,
                        PQgetisnull(res, 0, 1)
                            ? "there is no table \"%s\" in schema \"%s\"%s"
                            : "there is no table \"%s\" in schema \"%s\": its "
                              "name is written \"%s\"",
                        table, ret->schema, PQgetvalue(res, 0, 1));
    }
    PQclear(res);
    return r;
}

int pg_table_find(struct pg *pg, const char *schema, const char *table,
                  struct pg_target *ret)
{
    char *name = qualified(schema, table);
    const char *parameter = name;
    PGresult *res = NULL;
    int r = name ? pg_query(pg,
                            "SELECT c.oid, n.nspname, c.relname FROM "
                            "pg_catalog.pg_class c JOIN "
                            "pg_catalog.pg_namespace n ON n.oid = "
                            "c.relnamespace WHERE c.oid = "
                            "pg_catalog.to_regclass($1) AND "
                            "c.relkind IN ('r','p','v','m','f')",
                            1, &parameter, &res)
                 : pg_fail(pg, -ENOMEM, "out of memory");

    free(name);
    if (r)
        return r;
    if (PQntuples(res) == 0) {
        r = not_found(pg, schema, table, ret);
    } else {
        ret->exists = true;
        r = take_names(pg, PQgetvalue(res, 0, 1), PQgetvalue(res, 0, 2), ret);
        if (!r)
            r = read_columns(pg, PQgetvalue(res, 0, 0), &ret->all);
    }
    PQclear(res);
    return r;
}

int pg_describe_table(struct pg *pg, const char *schema, const char *table,
                      struct schema *ret_schema)
{
    struct pg_target found = {0};
    int r = pg_guard(pg);

    if (!r)
        r = pg_unguard(pg, pg_table_find(pg, schema, table, &found));
    if (!r) {
        *ret_schema = found.all;
        found.all = (struct schema){0};
    }
    pg_target_clear(&found);
    return r;
}

/* ---- estimates -------------------------------------------------------------
 */

static void read_plan(const char *json, int64_t *ret_rows, int64_t *ret_bytes)
{
    json_t *answer = json_loads(json, 0, NULL);
    const json_t *plan = json_object_get(json_array_get(answer, 0), "Plan");
    const json_t *rows = json_object_get(plan, "Plan Rows");
    const json_t *width = json_object_get(plan, "Plan Width");

    if (json_is_number(rows) && json_is_number(width)) {
        double count = json_number_value(rows);
        double bytes = count * json_number_value(width);
        /* The planner's numbers may be beyond all bounds. */
        if (count >= 0 && count < 9e18) {
            *ret_rows = (int64_t)count;
            *ret_bytes = (int64_t)fmin(bytes, 9e18);
        }
    }
    json_decref(answer);
}

int pg_estimate(struct pg *pg, const char *sql, int64_t *ret_rows,
                int64_t *ret_bytes)
{
    struct text explain = {0};
    PGresult *res = NULL;

    *ret_rows = *ret_bytes = -1;
    text_addf(&explain,
              "EXPLAIN (FORMAT JSON) SELECT * FROM (\n%s\n) AS dispatch_query",
              sql);
    if (explain.failed)
        return pg_fail(pg, -ENOMEM, "out of memory");
    int r = pg_guard(pg);
    if (!r)
        r = pg_unguard(pg, pg_query(pg, explain.bytes, 0, NULL, &res));
    if (res && PQntuples(res) > 0)
        read_plan(PQgetvalue(res, 0, 0), ret_rows, ret_bytes);
    PQclear(res);
    text_clear(&explain);
    return r;
}
