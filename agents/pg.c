/* pg.c - the session: see pg.h and pg_inside.h. */
#include "agents/pg_inside.h"

#include "agents/clean.h"
#include "agents/expr.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- what SIGTERM cancels -------------------------------------------------
 */

/* A slot's cancel is set while the session lives, busy while a statement is
 * under way. Only the one thread writes them, so that a handler that interrupts
 * it sees either of two true states. */
enum { SLOTS = 16 };

static struct {
    PGcancel *volatile cancel;
    volatile sig_atomic_t busy;
} slots[SLOTS];

void pg_cancel_all(void)
{
    char ignored[256];

    for (size_t i = 0; i < SLOTS; i++)
        if (slots[i].cancel && slots[i].busy)
            PQcancel(slots[i].cancel, ignored, sizeof ignored);
}

static void on_term(int sig)
{
    pg_cancel_all();
    _exit(128 + sig);
}

/* Whoever has a handler of his own calls pg_cancel_all() himself. */
static void watch_term(void)
{
    struct sigaction action = {.sa_handler = on_term}, present;

    if (sigaction(SIGTERM, NULL, &present) == 0 &&
        present.sa_handler == SIG_DFL)
        sigaction(SIGTERM, &action, NULL);
}

static void take_slot(struct pg *pg)
{
    pg->slot = -1;
    for (int i = 0; i < SLOTS; i++) {
        if (slots[i].cancel)
            continue;
        slots[i].busy = 0;
        slots[i].cancel = PQgetCancel(pg->conn);
        if (slots[i].cancel)
            pg->slot = i;
        return;
    }
}

static void leave_slot(struct pg *pg)
{
    if (pg->slot < 0)
        return;
    PGcancel *cancel = slots[pg->slot].cancel;
    slots[pg->slot].busy = 0;
    slots[pg->slot].cancel = NULL;
    PQfreeCancel(cancel);
    pg->slot = -1;
}

void pg_busy(struct pg *pg, bool busy)
{
    if (pg->slot >= 0)
        slots[pg->slot].busy = busy;
}

void pg_cancel(struct pg *pg)
{
    char ignored[256];
    PGcancel *cancel = PQgetCancel(pg->conn);

    if (cancel)
        PQcancel(cancel, ignored, sizeof ignored);
    PQfreeCancel(cancel);
}

/* ---- errors ---------------------------------------------------------------
 */

/* A cut may have split a character. */
static void set_error(struct pg *pg, const char *text)
{
    size_t len = strlen(text);

    if (len >= sizeof pg->error) {
        len = sizeof pg->error - 4;
        while (len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80)
            len--;
        memmove(pg->error, text, len);
        memcpy(pg->error + len, "...", 4);
    } else {
        memmove(pg->error, text, len + 1);
    }
    clean_text(pg->error);
    for (char *at = pg->error; *at; at++)
        if (*at == '\n' || *at == '\t')
            *at = ' ';
}

int pg_fail(struct pg *pg, int err, const char *fmt, ...)
{
    char text[2 * PG_ERROR_MAX];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    set_error(pg, text);
    pg->state[0] = '\0';
    pg->line = 0;
    return err;
}

const char *pg_error(const struct pg *pg)
{
    return pg->error;
}

bool pg_failed_by_value(const struct pg *pg)
{
    return strncmp(pg->state, "22", 2) == 0 || strcmp(pg->state, "23502") == 0;
}

static int errno_of(const struct pg *pg)
{
    static const char *const wrong[] = {"42", "3D", "3F", "26"};

    if (PQstatus(pg->conn) == CONNECTION_BAD ||
        strncmp(pg->state, "08", 2) == 0 || strncmp(pg->state, "57P", 3) == 0)
        return -ECONNREFUSED;
    if (strcmp(pg->state, "42501") == 0) /* a privilege, not a mistake */
        return -EIO;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (strncmp(pg->state, wrong[i], 2) == 0)
            return -EINVAL;
    return -EIO;
}

static const char *field(const PGresult *res, int code)
{
    const char *text = res ? PQresultErrorField(res, code) : NULL;

    return text ? text : "";
}

/* COPY's first line of context: `COPY t, line 3, column qty: "abc"`. The name
 * is the one we know, for it may itself look like the rest. */
static void take_place(struct pg *pg, const char *context, struct text *text)
{
    static const char line[] = ", line ", column[] = ", column ";
    size_t name = pg->copying ? strlen(pg->copying) : 0;
    char *end;

    if (!pg->copying || strncmp(context, "COPY ", 5) != 0 ||
        strncmp(context + 5, pg->copying, name) != 0)
        return;
    context += 5 + name;
    if (strncmp(context, line, sizeof line - 1) != 0)
        return;
    pg->line = strtoull(context + sizeof line - 1, &end, 10);
    text_addf(text, " (row %" PRIu64, pg->copy_base + pg->line);
    if (strncmp(end, column, sizeof column - 1) == 0) {
        end += sizeof column - 1;
        size_t len = strcspn(end, "\n");
        for (size_t i = 0; i + 1 < len; i++) {
            if (end[i] == ':' && end[i + 1] == ' ') {
                len = i;
                break;
            }
        }
        text_add(text, ", column ");
        text_add_bytes(text, end, len);
    }
    text_add(text, ")");
}

int pg_take_error(struct pg *pg, const PGresult *res)
{
    const char *primary = field(res, PG_DIAG_MESSAGE_PRIMARY);
    const char *detail = field(res, PG_DIAG_MESSAGE_DETAIL);
    const char *state = field(res, PG_DIAG_SQLSTATE);
    struct text text = {0};

    (void)snprintf(pg->state, sizeof pg->state, "%s", state);
    pg->line = 0;
    int err = errno_of(pg);
    if (!*primary) { /* libpq's own: the first line says it */
        primary = res ? PQresultErrorMessage(res) : "";
        if (!*primary)
            primary = PQerrorMessage(pg->conn);
    }
    size_t len = strcspn(primary, "\n");
    if (err == -ECONNREFUSED)
        text_add(&text, "the connection was lost: ");
    /* expr_print_pg.c lets a cast fail by what it puts before the text. */
    const char *refused = strstr(primary, EXPR_REFUSED);
    if (refused && refused < primary + len && strncmp(state, "22", 2) == 0) {
        text_add_bytes(&text, primary, (size_t)(refused - primary));
        len -= (size_t)(refused - primary) + sizeof EXPR_REFUSED - 1;
        primary = refused + sizeof EXPR_REFUSED - 1;
    }
    text_add_bytes(&text, primary, len);
    if (strcmp(state, "55P03") == 0)
        text_addf(&text,
                  " (%" PRIu32 " ms): another session uses what is needed",
                  pg->limits.lock_timeout_ms);
    if (strcmp(state, "57014") == 0 && strstr(primary, "statement timeout"))
        text_addf(&text, " (%" PRIu32 " ms)", pg->limits.statement_timeout_ms);
    take_place(pg, field(res, PG_DIAG_CONTEXT), &text);
    if (*detail) {
        text_add(&text, ": ");
        text_add(&text, detail);
        if (text.len > 0 && text.bytes[text.len - 1] == '.')
            text.bytes[--text.len] = '\0';
    }
    set_error(pg, text.failed ? "out of memory" : text.bytes);
    text_clear(&text);
    return err;
}

/* ---- opening ----------------------------------------------------------------
 */

/* libpq's texts say host and address, and a dsn that cannot be parsed is quoted
 * in parts, its password perhaps among them: only known sentences go on. */
static void say_unconnected(const struct pg *pg, char error[PG_ERROR_MAX])
{
    const char *text = PQerrorMessage(pg->conn), *why = NULL;
    static const char failed[] = " failed: ";

    for (const char *at = strstr(text, failed); at; at = strstr(at, failed)) {
        at += sizeof failed - 1; /* of several hosts the last one counts */
        why = at;
    }
    if (why && strncmp(why, "FATAL:  ", 8) == 0)
        why += 8;
    if (!why && strstr(text, "could not translate host name"))
        why = "the host's name cannot be resolved";
    if (!why && strstr(text, "timeout expired"))
        why = "no answer in time";
    if (!why && strstr(text, "no password supplied"))
        why = "the server asks for a password, and there is none";
    if (!why)
        why = "see that its dsn is right";
    (void)snprintf(error, PG_ERROR_MAX,
                   "no connection to PostgreSQL (connection %s): %.*s",
                   pg->connection.name, (int)strcspn(why, "\n"), why);
    clean_text(error);
}

static void drop_notice(void *context, const PGresult *res)
{
    (void)context;
    (void)res;
}

static int set_up(struct pg *pg)
{
    char limits[200];
    int r = pg_run(pg, "SET client_min_messages = error; "
                       "SET TimeZone = 'UTC'; SET DateStyle = 'ISO, MDY'; "
                       "SET IntervalStyle = 'postgres'; "
                       "SET bytea_output = 'hex'; SET extra_float_digits = 1; "
                       "SET standard_conforming_strings = on; "
                       "SET idle_in_transaction_session_timeout = 0");

    if (r)
        return r;
    /* If we are killed, a statement that sends us nothing would go on to its
     * end, holding the target's lock. Servers before 14 have no such setting
     * and some platforms refuse it. */
    PQclear(PQexec(pg->conn, "SELECT set_config(name, '2000', false) FROM "
                             "pg_catalog.pg_settings WHERE name = "
                             "'client_connection_check_interval'"));
    (void)snprintf(limits, sizeof limits,
                   "SET statement_timeout = %" PRIu32
                   "; SET lock_timeout = %" PRIu32,
                   pg->limits.statement_timeout_ms & INT32_MAX,
                   pg->limits.lock_timeout_ms & INT32_MAX);
    return pg_run(pg, limits);
}

static int dial(struct pg *pg, char error[PG_ERROR_MAX])
{
    char why[CONNECTION_WHY_MAX] = "", timeout[16];
    char *password = NULL;
    const char *keys[12], *values[12];
    size_t count = 0;

    if (connection_password(&pg->connection, &password, why) != 0) {
        (void)snprintf(error, PG_ERROR_MAX, "connection %s: %s",
                       pg->connection.name, why);
        return -ECONNREFUSED;
    }
    (void)snprintf(timeout, sizeof timeout, "%" PRIu32,
                   pg->limits.connect_timeout_s);
#define OPTION(key, value) (keys[count] = (key), values[count++] = (value))
    /* Ahead of the dsn, which may say otherwise. */
    OPTION("keepalives_idle", "60");
    OPTION("keepalives_interval", "15");
    OPTION("keepalives_count", "4");
    OPTION("dbname", pg->connection.dsn);
    if (password)
        OPTION("password", password);
    if (pg->limits.connect_timeout_s > 0)
        OPTION("connect_timeout", timeout);
    OPTION("client_encoding", "UTF8");
    OPTION("application_name", pg->application);
    OPTION(NULL, NULL);
#undef OPTION
    pg->conn = PQconnectdbParams(keys, values, 1);
    if (password)
        explicit_bzero(password, strlen(password));
    free(password);
    if (PQstatus(pg->conn) != CONNECTION_OK) {
        say_unconnected(pg, error);
        return -ECONNREFUSED;
    }
    PQsetNoticeReceiver(pg->conn, drop_notice, NULL);
    take_slot(pg);
    const char *encoding = PQparameterStatus(pg->conn, "server_encoding");
    pg->foreign = encoding && strcmp(encoding, "SQL_ASCII") == 0;
    int r = set_up(pg);
    if (r)
        (void)snprintf(error, PG_ERROR_MAX, "%s", pg->error);
    return r;
}

static void hang_up(struct pg *pg)
{
    leave_slot(pg);
    PQfinish(pg->conn);
    pg->conn = NULL;
    pg->reading = pg->feeding = false;
}

int pg_reopen(struct pg *pg)
{
    char error[PG_ERROR_MAX];

    hang_up(pg);
    int r = dial(pg, error);
    if (r)
        set_error(pg, error);
    return r;
}

static char *copy(const char *text, bool *failed)
{
    char *copied = text ? strdup(text) : NULL;

    *failed |= text && !copied;
    return copied;
}

int pg_open(const struct connection *connection, const struct pg_limits *limits,
            const char *label, struct pg **ret_pg, char error[PG_ERROR_MAX])
{
    bool failed = false;
    struct pg *pg = calloc(1, sizeof *pg);
    int r = -ENOMEM;

    assert(connection->engine == ENGINE_POSTGRESQL);
    *ret_pg = NULL;
    (void)snprintf(error, PG_ERROR_MAX, "out of memory");
    if (!pg)
        return r;
    pg->slot = -1;
    pg->limits = *limits;
    pg->connection.engine = connection->engine;
    pg->connection.read_only = connection->read_only;
    pg->connection.name = copy(connection->name, &failed);
    pg->connection.dsn = copy(connection->dsn, &failed);
    pg->connection.password_file = copy(connection->password_file, &failed);
    pg->connection.password_env = copy(connection->password_env, &failed);
    /* The server has room for 63 bytes. */
    (void)snprintf(pg->application, sizeof pg->application, "dispatch %s",
                   label);
    if (!failed) {
        watch_term();
        r = dial(pg, error);
    }
    if (r)
        pg_close(&pg);
    *ret_pg = pg;
    return r;
}

void pg_close(struct pg **pg_p)
{
    struct pg *pg = *pg_p;

    *pg_p = NULL;
    if (!pg)
        return;
    hang_up(pg);
    free(pg->connection.name);
    if (pg->connection.dsn)
        explicit_bzero(pg->connection.dsn, strlen(pg->connection.dsn));
    free(pg->connection.dsn);
    free(pg->connection.password_file);
    free(pg->connection.password_env);
    free(pg);
}

/* ---- statements -----------------------------------------------------------
 */

static int settle(struct pg *pg, PGresult *res, PGresult **ret_res)
{
    ExecStatusType status = PQresultStatus(res);
    int r = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK
                ? 0
                : pg_take_error(pg, res);

    if (!r && ret_res)
        *ret_res = res;
    else
        PQclear(res);
    return r;
}

int pg_run(struct pg *pg, const char *sql)
{
    pg_busy(pg, true);
    PGresult *res = PQexec(pg->conn, sql);
    pg_busy(pg, false);
    return settle(pg, res, NULL);
}

int pg_run_text(struct pg *pg, struct text *sql)
{
    int r = sql->failed || !sql->bytes ? pg_fail(pg, -ENOMEM, "out of memory")
                                       : pg_run(pg, sql->bytes);

    text_clear(sql);
    return r;
}

int pg_query(struct pg *pg, const char *sql, int count,
             const char *const *parameters, PGresult **ret_res)
{
    pg_busy(pg, true);
    PGresult *res =
        PQexecParams(pg->conn, sql, count, NULL, parameters, NULL, NULL, 0);
    pg_busy(pg, false);
    return settle(pg, res, ret_res);
}

void pg_rollback(struct pg *pg)
{
    PGTransactionStatusType status = PQtransactionStatus(pg->conn);

    if (status == PQTRANS_INTRANS || status == PQTRANS_INERROR)
        PQclear(PQexec(pg->conn, "ROLLBACK"));
    pg->reading = false;
}

int pg_guard(struct pg *pg)
{
    return pg->reading ? pg_run(pg, "SAVEPOINT dispatch_guard") : 0;
}

int pg_unguard(struct pg *pg, int err)
{
    static const char back[] = "ROLLBACK TO SAVEPOINT dispatch_guard; "
                               "RELEASE SAVEPOINT dispatch_guard";

    if (!pg->reading)
        return err;
    if (!err)
        return pg_run(pg, "RELEASE SAVEPOINT dispatch_guard");
    PGresult *res = PQexec(pg->conn, back);
    if (PQresultStatus(res) != PGRES_COMMAND_OK) {
        /* A cancel that came too late for its statement may hit this one. */
        PQclear(res);
        res = PQexec(pg->conn, back);
    }
    PQclear(res);
    return err;
}

int pg_begin_read(struct pg *pg)
{
    if (pg->reading)
        return 0;
    /* The snapshot is taken by the first query: this one. */
    int r = pg_run(pg, "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, "
                       "READ ONLY; SELECT 1");
    if (r)
        pg_rollback(pg);
    else
        pg->reading = true;
    return r;
}

int pg_end_read(struct pg *pg)
{
    if (!pg->reading)
        return 0;
    assert(!pg->feeding);
    pg->reading = false;
    int r = pg_run(pg, "COMMIT");
    pg_rollback(pg);
    return r;
}
