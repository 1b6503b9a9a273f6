/* Covers agents/pg_target.c, pg_writer.c, pg_sink.c and fence.c on a real
 * server: loads, what they refuse, attempts, lost connections. */
#include "tests/unit/pg_fixture.h"

#include "agents/fence.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

/* ---- the plain load
 * ---------------------------------------------------------- */

static void rows_are_there_after_commit_and_not_before(void **state)
{
    struct loading loading;

    NEEDS_SERVER();
    (void)state;
    run("CREATE TABLE t (id int, name text)");
    loading_init(&loading, "t", LOAD_APPEND, "id integer name text");
    struct sink *sink = open_sink(&loading);
    assert_int_equal(sink->begin(sink), SINK_OK);
    assert_int_equal(give(sink, "VALUES (1, 'a'), (2, NULL)"), SINK_OK);
    assert_string_equal(ask("SELECT count(*) FROM t"), "0");
    assert_int_equal(sink->commit(sink), SINK_OK);
    assert_int_equal(sink->rows, 2);
    assert_int_equal(sink->bytes, strlen("1\ta\n2\t\\N\n"));
    sink_close(&sink);
    assert_string_equal(ask("SELECT string_agg(concat(id, ':', "
                            "coalesce(name, '-')), ' ' ORDER BY id) FROM t"),
                        "1:a 2:-");
    assert_string_equal(ask("SELECT concat_ws('|', run_id, node, attempt, "
                            "loaded_rows, loaded_bytes) FROM dispatch_loads"),
                        "run-1|load|1|2|9");
    schema_clear(&loading.given);
    nothing_is_open();
}

static void an_aborted_load_leaves_the_table_as_it_was(void **state)
{
    struct loading loading;

    NEEDS_SERVER();
    (void)state;
    run("CREATE TABLE t (id int); INSERT INTO t VALUES (7)");
    loading_init(&loading, "t", LOAD_TRUNCATE, "id integer");
    struct sink *sink = open_sink(&loading);
    assert_int_equal(sink->begin(sink), SINK_OK);
    assert_int_equal(give(sink, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL "
                                "SELECT i + 1 FROM n WHERE i < 50000) "
                                "SELECT i FROM n"),
                     SINK_OK);
    sink->abort(sink);
    nothing_is_open();
    assert_int_equal(give(sink, "VALUES (1)"), SINK_FAILED);
    assert_int_equal(sink->commit(sink), SINK_FAILED);
    sink_close(&sink);
    assert_string_equal(ask("SELECT string_agg(id::text, ' ') FROM t"), "7");
    assert_string_equal(ask("SELECT count(*) FROM dispatch_loads"), "0");
    schema_clear(&loading.given);
}

/* Reads all of a query into the sink, through SQLite's values. */
static void pipe_rows(const char *sql, struct loading *loading)
{
    struct pg *pg = open_pg();
    struct schema schema = {0};
    struct feed *feed = NULL;
    struct sink *sink = NULL;
    struct text {
        char sql[2000];
    } marks = {"SELECT ?"};

    if (pg_describe(pg, sql, true, &schema) != 0 || pg_begin_read(pg) != 0 ||
        pg_feed(pg, sql, &schema, &feed) != 0)
        fail_msg("%s", pg_error(pg));
    assert_int_equal(schema_copy(&schema, &loading->given), 0);
    loading->load.given = &loading->given;
    sink = open_sink(loading);
    assert_int_equal(sink->begin(sink), SINK_OK);
    for (size_t i = 1; i < schema.count; i++)
        strcat(marks.sql, ", ?");
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_prepare_v2(place.lite, marks.sql, -1, &stmt, NULL),
                     SQLITE_OK);
    int r;
    while ((r = feed->next(feed)) == 1) {
        sqlite3_reset(stmt);
        for (size_t i = 0; i < schema.count; i++) {
            const struct cell *cell = &feed->cells[i];
            int at = (int)i + 1, len = (int)cell->len;
            char number[64];
            (void)snprintf(number, sizeof number, "%.*s", len < 60 ? len : 60,
                           cell->bytes ? cell->bytes : "");
            if (!cell->bytes)
                sqlite3_bind_null(stmt, at);
            else if (schema.columns[i].type == TYPE_INTEGER)
                sqlite3_bind_int64(stmt, at, strtoll(number, NULL, 10));
            else if (schema.columns[i].type == TYPE_BOOLEAN)
                sqlite3_bind_int64(stmt, at, number[0] == 't');
            else if (schema.columns[i].type == TYPE_DOUBLE)
                sqlite3_bind_double(stmt, at, strtod(number, NULL));
            else if (schema.columns[i].type == TYPE_BYTES)
                sqlite3_bind_blob(stmt, at, cell->bytes, len, SQLITE_STATIC);
            else
                sqlite3_bind_text(stmt, at, cell->bytes, len, SQLITE_STATIC);
        }
        assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
        if (sink->row(sink, stmt) != SINK_OK)
            fail_msg("%s", sink->error);
    }
    if (r != 0)
        fail_msg("%s", feed->error);
    sqlite3_finalize(stmt);
    if (sink->commit(sink) != SINK_OK)
        fail_msg("%s", sink->error);
    sink_close(&sink);
    feed_close(&feed);
    schema_clear(&schema);
    pg_close(&pg);
}

static void every_type_goes_there_and_back(void **state)
{
    struct loading loading;

    NEEDS_SERVER();
    (void)state;
    run("CREATE TABLE a (id int, i2 smallint, i8 bigint, n numeric, "
        "n2 numeric(20,4), f4 real, f8 double precision, b boolean, t text, "
        "v varchar(40), d date, ts timestamp, tz timestamptz, y bytea, "
        "u uuid, j jsonb, l int[]); CREATE TABLE z (LIKE a)");
    run("INSERT INTO a (id) VALUES (0); "
        "INSERT INTO a VALUES (1, -32768, 9223372036854775807, 12.500, 1.5, "
        "0.1, 0.1, true, E'tab\\there\\nline\\r\\\\N \\\\. \\x08\\x0b', '', "
        "'2024-02-29', '2024-02-29 01:02:03.000004', '1999-12-31 23:59:59+05', "
        "'\\x00ff5c0a09', gen_random_uuid(), '{\"a\": [1, \"\\n\"]}', "
        "'{1,NULL}'), (2, 32767, -9223372036854775808, "
        "repeat('7', 500)::numeric / 1000, -0.0001, 3.4e38, 1e-300, false, "
        "'h\u00e9\u00df\U0001F600', '\\N', '0001-01-01', "
        "'9999-12-31 23:59:59.999999', '0001-01-01 00:00+00', '', NULL, "
        "'null', '{}'), (3, 0, 0, -0.00, 0, -0.0, "
        "1.7976931348623157e308, NULL, repeat(E'x\\\\y\\t', 1000), ' a ', "
        "NULL, NULL, NULL, decode(repeat('00ff', 40000), 'hex'), NULL, NULL, "
        "NULL)");
    loading_init(&loading, "z", LOAD_APPEND, "");
    pipe_rows("SELECT * FROM a ORDER BY id", &loading);
    assert_string_equal(ask("SELECT count(*) FROM a JOIN z USING (id) "
                            "WHERE a::text = z::text"),
                        "4");
    assert_string_equal(ask("SELECT count(*) FROM z"), "4");
    schema_clear(&loading.given);
}

static void a_cell_of_ten_megabytes_goes_there_and_back(void **state)
{
    struct loading loading;

    NEEDS_SERVER();
    (void)state;
    run("CREATE TABLE a AS SELECT repeat(E'0123456\\t8\\\\', 1000000) AS t, "
        "decode(repeat('0011', 500000), 'hex') AS y; CREATE TABLE z (LIKE a)");
    loading_init(&loading, "z", LOAD_APPEND, "");
    pipe_rows("SELECT * FROM a", &loading);
    assert_string_equal(
        ask("SELECT length(t) || ' ' || length(y) FROM z WHERE (t, y) = "
            "(SELECT t, y FROM a)"),
        "10000000 1000000");
    schema_clear(&loading.given);
}

static void a_table_is_created_when_asked_for(void **state)
{
    struct loading loading;
    struct sink *sink = NULL;

    NEEDS_SERVER();
    (void)state;
    run("CREATE SCHEMA other");
    loading_init(&loading, "New \"t\"", LOAD_TRUNCATE,
                 "id integer price decimal at timestamptz raw bytes");
    loading.load.schema = "other";
    loading.given.columns[1].precision = 10;
    loading.given.columns[1].scale = 2;
    assert_int_equal(
        pg_sink(&place.connection, &limits, &loading.load, &sink, place.error),
        -ENOENT);
    assert_null(sink);
    assert_true(says(place.error, "in schema \"other\""));
    loading.load.create = true;
    assert_int_equal(load_rows(&loading,
                               "VALUES (1, '2.50', '2024-01-01 00:00:00+00', "
                               "x'00ff')",
                               NULL),
                     SINK_OK);
    assert_string_equal(
        ask("SELECT string_agg(format_type(atttypid, atttypmod), ',' ORDER BY "
            "attnum) FROM pg_attribute WHERE attnum > 0 AND attrelid = "
            "'other.\"New \"\"t\"\"\"'::regclass"),
        "bigint,numeric(10,2),timestamp with time zone,bytea");
    assert_string_equal(ask("SELECT price FROM other.\"New \"\"t\"\"\""),
                        "2.50");
    assert_string_equal(ask("SELECT loaded_rows FROM other.dispatch_loads"),
                        "1");
    loading.load.schema = "attic";
    assert_int_equal(
        pg_sink(&place.connection, &limits, &loading.load, &sink, place.error),
        -ENOENT);
    assert_true(says(place.error, "there is no schema \"attic\""));
    schema_clear(&loading.given);
}

static void a_created_table_is_gone_when_its_load_fails(void **state)
{
    struct loading loading;

    NEEDS_SERVER();
    (void)state;
    loading_init(&loading, "t", LOAD_APPEND, "id integer");
    loading.load.create = true;
    assert_int_equal(load_rows(&loading, "VALUES (1), ('x')", NULL),
                     SINK_FAILED);
    assert_string_equal(ask("SELECT to_regclass('t')"), "NULL");
    schema_clear(&loading.given);
}

/* ---- what is refused
 * --------------------------------------------------------- */

static void columns_are_checked_before_anything_is_written(void **state)
{
    struct loading loading;

    NEEDS_SERVER();
    (void)state;
    run("CREATE TABLE t (id int NOT NULL, \"Name\" text, \"x\" int, \"X\" "
        "int)");
    loading_init(&loading, "t", LOAD_APPEND, "id integer price decimal");
    refused(&loading, "no column \"price\"; it has id, Name, x, X");
    loading_init(&loading, "t", LOAD_APPEND, "name text");
    refused(&loading, "column \"id\"");
    loading_init(&loading, "t", LOAD_APPEND, "id integer ID integer");
    refused(&loading, "given twice");
    loading_init(&loading, "t", LOAD_APPEND, "");
    refused(&loading, "no columns");
    assert_string_equal(ask("SELECT to_regclass('dispatch_loads')"), "NULL");
    loading_init(&loading, "t", LOAD_APPEND, "ID integer name text X integer");
    struct sink *sink = open_sink(&loading);
    assert_string_equal(sink->schema.columns[0].name, "id");
    assert_int_equal(sink->schema.columns[0].bits, 32);
    assert_string_equal(sink->schema.columns[1].name, "Name");
    assert_string_equal(sink->schema.columns[2].name, "X");
    sink_close(&sink);
    schema_clear(&loading.given);
}

static void a_read_only_connection_is_not_written(void **state)
{
    struct loading loading;
    uint64_t rows;
    bool done;

    NEEDS_SERVER();
    (void)state;
    run("CREATE TABLE t (id int)");
    place.connection.read_only = true;
    loading_init(&loading, "t", LOAD_APPEND, "id integer");
    struct pg *pg = open_pg();
    assert_int_equal(
        pg_execute(pg, &loading.load, "DELETE FROM t", &done, &rows), -EINVAL);
    assert_true(says(pg_error(pg), "read-only"));
    assert_int_equal(
        pg_insert_select(pg, &loading.load, "SELECT 1", false, &done, &rows),
        -EINVAL);
    pg_close(&pg);
    refused(&loading, "connection shop is read-only");
    place.connection.read_only = false;
}

static void fails(const char *columns, const char *rows, const char *because)
{
    struct loading loading;

    loading_init(&loading, "t", LOAD_TRUNCATE, columns);
    assert_int_equal(load_rows(&loading, rows, NULL), SINK_FAILED);
    assert_true(says(place.error, because));
    assert_string_equal(ask("SELECT string_agg(id::text, ' ') FROM t"), "7");
    schema_clear(&loading.given);
    nothing_is_open();
}

static void a_bad_row_is_named_and_the_truncation_undone(void **state)
{
    NEEDS_SERVER();
    (void)state;
    run("CREATE TABLE t (id int PRIMARY KEY, q smallint CHECK (q < 9), "
        "n text NOT NULL DEFAULT 'x'); INSERT INTO t VALUES (7)");
    fails("id integer q integer", "VALUES (1, 1), (2, 'a: b')",
          "type smallint: \"a: b\" (row 2, column q)");
    fails("id integer q integer", "VALUES (1, 1), (2, 2), (3, 70000)",
          "(row 3, column q)");
    fails("id integer", "VALUES (1), (2), (1)",
          "unique constraint \"t_pkey\" (row 3): Key (id)=(1) already exists");
    fails("id integer q integer", "VALUES (1, 9)",
          "check constraint \"t_q_check\" (row 1)");
    fails("id integer n text", "VALUES (1, NULL)",
          "null value in column \"n\" of relation \"t\" violates not-null");
    fails("id integer n text", "VALUES (1, CAST(x'c328' AS text))",
          "invalid byte sequence");
}

static void a_row_is_counted_over_several_copies(void **state)
{
    struct loading loading;

    NEEDS_SERVER();
    (void)state;
    run("CREATE UNLOGGED TABLE t (id int, x text)");
    loading_init(&loading, "t", LOAD_APPEND, "id integer x text");
    assert_int_equal(load_rows(&loading,
                               "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL "
                               "SELECT i + 1 FROM n WHERE i < 75) SELECT "
                               "CASE i WHEN 70 THEN 'bad' ELSE i END, "
                               "printf('%.*c', 1048576, 'x') FROM n",
                               NULL),
                     SINK_FAILED);
    assert_true(says(place.error, "\"bad\" (row 70, column id)"));
    schema_clear(&loading.given);
}

static void a_lock_is_waited_for_only_so_long(void **state)
{
    const struct pg_limits hasty = {.lock_timeout_ms = 50};
    struct loading loading;
    struct sink *sink = NULL;

    NEEDS_SERVER();
    (void)state;
    run("CREATE TABLE t (id int); INSERT INTO t VALUES (7)");
    loading_init(&loading, "t", LOAD_TRUNCATE, "id integer");
    run("BEGIN; SELECT * FROM t");
    assert_int_equal(
        pg_sink(&place.connection, &hasty, &loading.load, &sink, place.error),
        0);
    assert_int_equal(sink->begin(sink), SINK_FAILED);
    assert_true(says(sink->error, "lock timeout (50 ms)"));
    sink_close(&sink);
    run("COMMIT");
    nothing_is_open();
    assert_string_equal(ask("SELECT count(*) FROM t"), "1");
    schema_clear(&loading.given);
}

/* ---- attempts
 * ---------------------------------------------------------------- */

static void a_second_attempt_is_done_and_truncates_nothing(void **state)
{
    struct loading loading;
    struct sink after;

    NEEDS_SERVER();
    (void)state;
    run("CREATE TABLE t (id int)");
    loading_init(&loading, "t", LOAD_TRUNCATE, "id integer");
    assert_int_equal(load_rows(&loading, "VALUES (1), (2)", NULL), SINK_OK);
    run("INSERT INTO t VALUES (3)");
    loading.load.attempt = 2;
    assert_int_equal(load_rows(&loading, "VALUES (9)", &after), SINK_DONE);
    assert_int_equal(after.rows, 2);
    assert_int_equal(after.bytes, 4);
    assert_string_equal(ask("SELECT sum(id) FROM t"), "6");
    loading.load.node = "another";
    assert_int_equal(load_rows(&loading, "VALUES (9)", NULL), SINK_OK);
    assert_string_equal(ask("SELECT sum(id) FROM t"), "9");
    loading.load.run_id = "run-2";
    assert_int_equal(load_rows(&loading, "VALUES (8)", NULL), SINK_OK);
    schema_clear(&loading.given);
}

struct waiting {
    struct sink *sink;
    enum sink_answer answer;
};

static void *begin_waiting(void *context)
{
    struct waiting *waiting = context;

    waiting->answer = waiting->sink->begin(waiting->sink);
    return NULL;
}

static void wait_for_a_waiter(void)
{
    static const char waiting[] =
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
        "AND application_name LIKE 'dispatch%' AND datname = "
        "current_database()";

    for (int i = 0; i < 2000 && strcmp(ask(waiting), "1") != 0; i++)
        usleep(5000);
    assert_string_equal(ask(waiting), "1");
}

static void attempts_at_once(bool commit, enum sink_answer second)
{
    struct loading loading;
    struct waiting waiting;
    pthread_t thread;

    run("CREATE TABLE t (id int)");
    loading_init(&loading, "t", LOAD_APPEND, "id integer");
    struct sink *first = open_sink(&loading);
    waiting.sink = open_sink(&loading);
    assert_int_equal(first->begin(first), SINK_OK);
    assert_int_equal(pthread_create(&thread, NULL, begin_waiting, &waiting), 0);
    wait_for_a_waiter();
    assert_int_equal(give(first, "VALUES (1)"), SINK_OK);
    if (commit)
        assert_int_equal(first->commit(first), SINK_OK);
    else
        first->abort(first);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(waiting.answer, second);
    assert_int_equal(waiting.sink->rows, commit ? 1 : 0);
    sink_close(&first);
    sink_close(&waiting.sink);
    schema_clear(&loading.given);
    nothing_is_open();
}

static void an_attempt_waits_for_another_one_and_is_done(void **state)
{
    NEEDS_SERVER();
    (void)state;
    attempts_at_once(true, SINK_DONE);
}

static void an_attempt_goes_on_when_the_other_one_gives_up(void **state)
{
    NEEDS_SERVER();
    (void)state;
    attempts_at_once(false, SINK_OK);
}

static void first_loads_at_once_make_one_fence_and_one_table(void **state)
{
    enum { CHILDREN = 4 };
    pid_t children[CHILDREN];

    NEEDS_SERVER();
    (void)state;
    for (int i = 0; i < CHILDREN; i++) {
        children[i] = fork();
        if (children[i] != 0)
            continue;
        struct loading loading;
        struct sink *sink = NULL;
        char run_id[20], why[PG_ERROR_MAX];
        sqlite3_stmt *stmt = NULL;
        (void)snprintf(run_id, sizeof run_id, "run-%d", i);
        loading_init(&loading, "t", LOAD_APPEND, "id integer");
        loading.load.create = true;
        loading.load.run_id = run_id;
        bool in = pg_sink(&place.connection, &limits, &loading.load, &sink,
                          why) == 0 &&
                  sink->begin(sink) == SINK_OK &&
                  sqlite3_prepare_v2(place.lite, "SELECT 1", -1, &stmt, NULL) ==
                      SQLITE_OK &&
                  sqlite3_step(stmt) == SQLITE_ROW &&
                  sink->row(sink, stmt) == SINK_OK &&
                  sink->commit(sink) == SINK_OK;
        if (!in)
            print_message("%s\n", sink ? sink->error : why);
        _exit(in ? 0 : 1);
    }
    for (int i = 0; i < CHILDREN; i++) {
        int status = 1;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    assert_string_equal(ask("SELECT count(*) FROM t"), "4");
    assert_string_equal(ask("SELECT count(*) FROM dispatch_loads"), "4");
}

/* ---- lost connections
 * -------------------------------------------------------- */

static void kill_loaders(void)
{
    assert_string_equal(
        ask("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE application_name LIKE 'dispatch run-1%' AND datname = "
            "current_database()"),
        "1");
}

static void a_killed_server_process_leaves_the_target_unchanged(void **state)
{
    static const char rows[] =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
        "WHERE i < 100000) SELECT i FROM n";
    struct loading loading;

    NEEDS_SERVER();
    (void)state;
    run("CREATE TABLE t (id int); INSERT INTO t VALUES (7)");
    loading_init(&loading, "t", LOAD_TRUNCATE, "id integer");
    struct sink *sink = open_sink(&loading);
    assert_int_equal(sink->begin(sink), SINK_OK);
    assert_int_equal(give(sink, rows), SINK_OK);
    kill_loaders();
    enum sink_answer answer = give(sink, rows);
    if (answer == SINK_OK)
        answer = sink->commit(sink);
    assert_int_equal(answer, SINK_FAILED);
    assert_true(says(sink->error, "the connection was lost"));
    assert_true(says(sink->error, "the target is unchanged"));
    sink_close(&sink);
    assert_string_equal(ask("SELECT string_agg(id::text, ' ') FROM t"), "7");
    schema_clear(&loading.given);
}

static void a_commit_that_did_not_happen_is_found_out(void **state)
{
    struct loading loading;

    NEEDS_SERVER();
    (void)state;
    run("CREATE TABLE t (id int); INSERT INTO t VALUES (7); "
        "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$; "
        "CREATE CONSTRAINT TRIGGER die AFTER INSERT ON t DEFERRABLE INITIALLY "
        "DEFERRED FOR EACH ROW EXECUTE FUNCTION die()");
    loading_init(&loading, "t", LOAD_APPEND, "id integer");
    assert_int_equal(load_rows(&loading, "VALUES (1)", NULL), SINK_FAILED);
    assert_true(says(place.error, "lost during COMMIT"));
    assert_true(says(place.error, "the target is unchanged"));
    assert_string_equal(ask("SELECT string_agg(id::text, ' ') FROM t"), "7");
    assert_string_equal(ask("SELECT count(*) FROM dispatch_loads"), "0");
    schema_clear(&loading.given);
}

/* Stands between a client and the server; the first connection loses the answer
 * to its COMMIT, the others go through. */
struct proxy {
    int listener, port, server_port;
};

static int dial_server(int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void carry(int client, int server, bool lose)
{
    struct pollfd ends[2] = {{.fd = client, .events = POLLIN},
                             {.fd = server, .events = POLLIN}};
    char bytes[65536];
    bool committing = false;

    while (poll(ends, 2, 20000) > 0) {
        for (int i = 0; i < 2; i++) {
            if (!ends[i].revents)
                continue;
            ssize_t len = read(ends[i].fd, bytes, sizeof bytes);
            if (len <= 0 || (i == 1 && committing))
                return;
            if (i == 0 && lose && memmem(bytes, (size_t)len, "COMMIT\0", 7))
                committing = true;
            if (write(ends[1 - i].fd, bytes, (size_t)len) != len)
                return;
        }
    }
}

static void *run_proxy(void *context)
{
    const struct proxy *proxy = context;

    for (int i = 0; i < 2; i++) {
        int client = accept(proxy->listener, NULL, NULL);
        int server = dial_server(proxy->server_port);
        carry(client, server, i == 0);
        close(client);
        close(server);
    }
    return NULL;
}

static void a_commit_whose_answer_is_lost_is_found_in_the_fence(void **state)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t size = sizeof at;
    struct proxy proxy;
    struct loading loading;
    pthread_t thread;
    char dsn[700];

    NEEDS_SERVER();
    (void)state;
    run("CREATE TABLE t (id int)");
    proxy.server_port = atoi(PQport(place.admin));
    proxy.listener = socket(AF_INET, SOCK_STREAM, 0);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(proxy.listener, (struct sockaddr *)&at, size), 0);
    assert_int_equal(listen(proxy.listener, 2), 0);
    assert_int_equal(getsockname(proxy.listener, (struct sockaddr *)&at, &size),
                     0);
    assert_int_equal(pthread_create(&thread, NULL, run_proxy, &proxy), 0);
    (void)snprintf(dsn, sizeof dsn,
                   "%s host=127.0.0.1 port=%d sslmode=disable "
                   "gssencmode=disable",
                   place.dsn, ntohs(at.sin_port));
    place.connection.dsn = dsn;
    loading_init(&loading, "t", LOAD_APPEND, "id integer");
    enum sink_answer answer = load_rows(&loading, "VALUES (1), (2)", NULL);
    place.connection.dsn = place.dsn;
    if (answer != SINK_OK)
        fail_msg("%s", place.error);
    assert_string_equal(ask("SELECT count(*) FROM t"), "2");
    assert_int_equal(pthread_join(thread, NULL), 0); /* two connections came */
    close(proxy.listener);
    schema_clear(&loading.given);
}

/* ---- fence
 * -------------------------------------------------------------------- */

static void the_fences_statements_fit_both_engines(void **state)
{
    (void)state;
    char *sql = fence_sql(ENGINE_SQLITE, FENCE_FIND, "ma\"in");
    assert_string_equal(sql, "SELECT loaded_rows, loaded_bytes FROM "
                             "\"ma\"\"in\".dispatch_loads WHERE run_id = ?1 "
                             "AND node = ?2");
    free(sql);
    sql = fence_sql(ENGINE_POSTGRESQL, FENCE_INSERT, NULL);
    assert_non_null(strstr(sql, "INTO dispatch_loads ("));
    assert_non_null(strstr(sql, "$1, $2, $3"));
    free(sql);
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    for (int i = 0; i < FENCE_STATEMENTS; i++) {
        sqlite3_stmt *stmt = NULL;
        sql = fence_sql(ENGINE_SQLITE, (enum fence_statement)i, "main");
        assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL),
                         SQLITE_OK);
        assert_int_not_equal(sqlite3_step(stmt), SQLITE_ERROR);
        sqlite3_finalize(stmt);
        free(sql);
    }
    sqlite3_close(db);
}

#define TEST(name) cmocka_unit_test_setup(name, empty_place)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(rows_are_there_after_commit_and_not_before),
        TEST(an_aborted_load_leaves_the_table_as_it_was),
        TEST(every_type_goes_there_and_back),
        TEST(a_cell_of_ten_megabytes_goes_there_and_back),
        TEST(a_table_is_created_when_asked_for),
        TEST(a_created_table_is_gone_when_its_load_fails),
        TEST(columns_are_checked_before_anything_is_written),
        TEST(a_read_only_connection_is_not_written),
        TEST(a_bad_row_is_named_and_the_truncation_undone),
        TEST(a_row_is_counted_over_several_copies),
        TEST(a_lock_is_waited_for_only_so_long),
        TEST(a_second_attempt_is_done_and_truncates_nothing),
        TEST(an_attempt_waits_for_another_one_and_is_done),
        TEST(an_attempt_goes_on_when_the_other_one_gives_up),
        TEST(first_loads_at_once_make_one_fence_and_one_table),
        TEST(a_killed_server_process_leaves_the_target_unchanged),
        TEST(a_commit_that_did_not_happen_is_found_out),
        TEST(a_commit_whose_answer_is_lost_is_found_in_the_fence),
        TEST(the_fences_statements_fit_both_engines),
    };

    return cmocka_run_group_tests(tests, open_place, close_place);
}
