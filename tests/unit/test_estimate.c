/*
 * test_estimate.c - how much is in a source: SQLite's tables, files, what is
 * wrong with the others in words without a dsn; the process that finds out, and
 * ends in time; and the agent's side of the questions that are under way, with
 * a nursery played by the test. PostgreSQL: tests/system/test_sizes.py.
 */
#include "tests/unit/lite_fixture.h"

#include "agents/estimate.h"
#include "agents/survey.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

static struct data_settings settings;
static struct connection connections[2];
static char shop_name[] = "shop", hung_name[] = "hung", hung_dsn[128];

/* ---- scene --------------------------------------------------------------- */

static int make_scene(void **state)
{
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/test_estimate.XXXXXX");
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/secret.db", directory);
    connections[0] = (struct connection){
        .name = shop_name, .engine = ENGINE_SQLITE, .dsn = path};
    connections[1] = (struct connection){
        .name = hung_name, .engine = ENGINE_POSTGRESQL, .dsn = hung_dsn};
    settings = (struct data_settings){.connections = connections,
                                      .connection_count = 2,
                                      .files = directory,
                                      .statement_timeout_ms = 60000,
                                      .lock_timeout_ms = 60000};
    file_sql("create table big (id integer, t text);"
             "create table small (id integer);"
             "insert into small values (1);"
             "with recursive n(i) as (select 1 union all select i + 1 from n "
             "where i < 2000) insert into big select i, printf('%0100d', i) "
             "from n");
    return 0;
}

static int drop_scene(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    return system(command); /* NOLINT(cert-env33-c): a path of our own */
}

static void make_file(const char *name, size_t bytes)
{
    char at[128];

    snprintf(at, sizeof at, "%s/%s", directory, name);
    int fd = open(at, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
    close(fd);
}

static struct estimate_answer ask(const char *sources)
{
    struct estimate_answer answer;
    json_t *root = json_loads(sources, 0, NULL);

    assert_non_null(root);
    estimate_sources(&settings, root, &answer);
    json_decref(root);
    assert_null(strstr(answer.why, directory));
    return answer;
}

#define TABLE(name)                                                            \
    "{\"kind\":\"extract\",\"config\":{\"connection\":\"shop\",\"table\":\""   \
    "" name "\"}}"
#define FILE_OF(kind, name)                                                    \
    "{\"kind\":\"" kind "\",\"config\":{\"path\":\"" name "\"}}"

/* ---- sources ------------------------------------------------------------- */

static void a_table_has_its_own_size(void **state)
{
    struct estimate_answer answer =
        ask("[" TABLE("big") "," TABLE("small") "]");

    (void)state;
    assert_int_equal(answer.count, 2);
    assert_in_range(answer.sizes[0], 200000, 500000);
    assert_in_range(answer.sizes[1], 1, 8192);
    assert_string_equal(answer.why, "");
}

static void a_query_has_the_size_of_its_file(void **state)
{
    struct stat status;
    struct estimate_answer answer =
        ask("[{\"kind\":\"extract\",\"config\":{\"connection\":\"shop\","
            "\"sql\":\"select 1 as a\"}}]");

    (void)state;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(answer.sizes[0], status.st_size);
}

static void a_file_has_its_size(void **state)
{
    (void)state;
    make_file("a.csv", 12345);
    make_file("b.jsonl", 0);
    struct estimate_answer answer = ask("[" FILE_OF(
        "csv_read", "a.csv") "," FILE_OF("jsonl_read", "b.jsonl") "]");
    assert_int_equal(answer.sizes[0], 12345);
    assert_int_equal(answer.sizes[1], 0);
}

static void what_cannot_be_told_does_not_keep_back_the_rest(void **state)
{
    (void)state;
    make_file("a.csv", 7);
    struct estimate_answer answer = ask(
        "[{\"kind\":\"extract\",\"config\":{\"connection\":\"nowhere\","
        "\"table\":\"t\"}}," FILE_OF("csv_read", "../secret.db") "," FILE_OF(
            "csv_read",
            "missing.csv") ","
                           "{\"kind\":\"command\",\"config\":{\"argv\":[\"id\"]"
                           "}},"
                           "{\"kind\":\"extract\",\"config\":{\"connection\":"
                           "\"shop\"}},"
                           "{\"kind\":\"extract\"},17,null,\"x\",[]," FILE_OF(
                               "csv_read", "a.csv") "]");
    assert_int_equal(answer.count, 11);
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(answer.sizes[i], -1);
    assert_int_equal(answer.sizes[10], 7);
    assert_non_null(strstr(answer.why, "source 1: "));
    assert_non_null(strstr(answer.why, "nowhere"));
}

static void a_fifo_is_no_file_to_wait_for(void **state)
{
    char at[128];

    (void)state;
    snprintf(at, sizeof at, "%s/pipe.csv", directory);
    assert_int_equal(mkfifo(at, 0600), 0);
    assert_int_equal(ask("[" FILE_OF("csv_read", "pipe.csv") "]").sizes[0], -1);
}

static void sources_beyond_the_limit_are_left_out(void **state)
{
    json_t *many = json_array();
    struct estimate_answer answer;

    (void)state;
    for (int i = 0; i < 2 * WIRE_SOURCES_MAX; i++)
        json_array_append_new(many, json_loads(TABLE("small"), 0, NULL));
    estimate_sources(&settings, many, &answer);
    json_decref(many);
    assert_int_equal(answer.count, WIRE_SOURCES_MAX);
    assert_true(answer.sizes[WIRE_SOURCES_MAX - 1] > 0);
}

static void no_sources_are_none(void **state)
{
    (void)state;
    assert_int_equal(ask("[]").count, 0);
    assert_int_equal(ask("{}").count, 0);
}

/* ---- the process --------------------------------------------------------- */

/* What the process has written: the bytes it was, 0: nothing. */
static ssize_t by_process(const char *question, struct estimate_answer *ret)
{
    int file = memfd_create("question", MFD_CLOEXEC), ends[2], status;

    assert_true(file >= 0);
    assert_int_equal(write(file, question, strlen(question)),
                     (ssize_t)strlen(question));
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        estimate_process(&settings, file, ends[1]);
    }
    assert_true(pid > 0);
    close(file);
    close(ends[1]);
    struct pollfd end = {.fd = ends[0], .events = POLLIN};
    assert_int_equal(poll(&end, 1, 3 * ESTIMATE_MS), 1);
    ssize_t n = read(ends[0], ret, sizeof *ret);
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return n;
}

static void the_process_writes_its_answer_and_ends(void **state)
{
    struct estimate_answer answer;

    (void)state;
    assert_int_equal(by_process("[" TABLE("small") "]", &answer),
                     sizeof answer);
    assert_int_equal(answer.count, 1);
    assert_true(answer.sizes[0] > 0);
}

static void a_question_that_is_none_gets_no_answer(void **state)
{
    struct estimate_answer answer;

    (void)state;
    assert_int_equal(by_process("", &answer), 0);
    assert_int_equal(by_process("{\"kind\":1}", &answer), 0);
    assert_int_equal(by_process("[1,", &answer), 0);
}

/* A server that takes connections and says nothing, twice: the second is still
 * waited for when the time is up. */
static void in_time_there_is_an_answer_with_what_is_known(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    struct estimate_answer answer;
    char other_name[] = "hung2";
    struct connection three[3];
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    assert_int_equal(bind(server, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(server, 8), 0);
    assert_int_equal(getsockname(server, (struct sockaddr *)&address, &len), 0);
    snprintf(hung_dsn, sizeof hung_dsn,
             "host=127.0.0.1 port=%u user=u dbname=d password=hunter2 "
             "sslmode=disable",
             ntohs(address.sin_port));
    memcpy(three, connections, sizeof connections);
    three[2] = three[1];
    three[2].name = other_name;
    settings.connections = three;
    settings.connection_count = 3;
    make_file("a.csv", 7);
    assert_int_equal(
        by_process(
            "[" FILE_OF(
                "csv_read",
                "a.csv") ","
                         "{\"kind\":\"extract\",\"config\":{\"connection\":"
                         "\"hung\","
                         "\"table\":\"t\"}},{\"kind\":\"extract\",\"config\":{"
                         "\"connection\":\"hung2\",\"table\":\"t\"}}," FILE_OF(
                             "csv_read", "a.csv") "]",
            &answer),
        sizeof answer);
    close(server);
    assert_int_equal(answer.count, 4);
    assert_int_equal(answer.sizes[0], 7);
    assert_int_equal(answer.sizes[1], -1);
    assert_int_equal(answer.sizes[2], -1);
    assert_int_equal(answer.sizes[3], -1); /* not reached */
    assert_true(*answer.why != '\0');
    assert_null(strstr(answer.why, "hunter2"));
}

/* ---- questions under way ------------------------------------------------- */

struct stage {
    struct surveys surveys;
    struct nursery nursery;
    int other; /* the nursery's end */
};

static int make_stage(void **state)
{
    struct stage *stage = calloc(1, sizeof *stage);
    int ends[2];

    assert_non_null(stage);
    assert_int_equal(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    stage->nursery.fd = ends[0];
    stage->other = ends[1];
    surveys_init(&stage->surveys);
    *state = stage;
    return 0;
}

static int drop_stage(void **state)
{
    struct stage *stage = *state;

    surveys_clear(&stage->surveys);
    close(stage->nursery.fd);
    close(stage->other);
    free(stage);
    return 0;
}

static int begin(struct stage *stage, uint64_t number, int64_t now_ms)
{
    return surveys_begin(&stage->surveys, &stage->nursery, number, "[1]", 3,
                         now_ms);
}

/* The pipe that came with the next request; its question is checked. */
static int take_request(struct stage *stage)
{
    union {
        char bytes[CMSG_SPACE(2 * sizeof(int))];
        struct cmsghdr align;
    } control;
    char request[1024], question[8] = "";
    struct iovec part = {request, sizeof request};
    struct msghdr msg = {.msg_iov = &part,
                         .msg_iovlen = 1,
                         .msg_control = control.bytes,
                         .msg_controllen = sizeof control.bytes};
    int fds[2];

    assert_true(recvmsg(stage->other, &msg, MSG_CMSG_CLOEXEC) > 0);
    assert_non_null(CMSG_FIRSTHDR(&msg));
    memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof fds);
    assert_int_equal(pread(fds[0], question, sizeof question, 0), 3);
    assert_string_equal(question, "[1]");
    close(fds[0]);
    return fds[1];
}

static void answers_come_back_by_their_numbers(void **state)
{
    struct stage *stage = *state;
    struct estimate_answer said = {.count = 1, .sizes = {55}}, heard;
    uint64_t number;

    assert_int_equal(begin(stage, 10, 0), 0);
    assert_int_equal(begin(stage, 11, 5), 0);
    int first = take_request(stage), second = take_request(stage);
    assert_false(surveys_next(&stage->surveys, 6, &number, &heard));
    assert_int_equal(write(second, &said, sizeof said), sizeof said);
    assert_true(surveys_next(&stage->surveys, 6, &number, &heard));
    assert_int_equal(number, 11);
    assert_int_equal(heard.count, 1);
    assert_int_equal(heard.sizes[0], 55);
    assert_false(surveys_next(&stage->surveys, 6, &number, &heard));
    assert_int_equal(surveys_due(&stage->surveys), SURVEY_MS);
    close(first);
    close(second);
}

static void more_than_so_many_are_not_begun(void **state)
{
    struct stage *stage = *state;
    struct estimate_answer heard;
    uint64_t number;

    for (uint64_t i = 0; i < SURVEYS_MAX; i++)
        assert_int_equal(begin(stage, i, 0), 0);
    assert_int_equal(begin(stage, 99, 0), -EBUSY);
    close(take_request(stage)); /* the first ends */
    assert_true(surveys_next(&stage->surveys, 0, &number, &heard));
    assert_int_equal(begin(stage, 99, 0), 0);
}

static void one_that_ends_without_an_answer_has_none(void **state)
{
    struct stage *stage = *state;
    struct estimate_answer heard;
    uint64_t number;

    assert_int_equal(begin(stage, 10, 0), 0);
    close(take_request(stage));
    assert_true(surveys_next(&stage->surveys, 0, &number, &heard));
    assert_int_equal(number, 10);
    assert_int_equal(heard.count, 0);
    assert_int_equal(surveys_due(&stage->surveys), INT64_MAX);
}

static void one_that_is_overdue_is_not_waited_for(void **state)
{
    struct stage *stage = *state;
    struct estimate_answer heard;
    uint64_t number;

    assert_int_equal(begin(stage, 10, 100), 0);
    int pipe = take_request(stage);
    assert_false(
        surveys_next(&stage->surveys, 100 + SURVEY_MS - 1, &number, &heard));
    assert_true(
        surveys_next(&stage->surveys, 100 + SURVEY_MS, &number, &heard));
    assert_int_equal(heard.count, 0);
    close(pipe);
}

static void an_answer_that_is_none_is_not_believed(void **state)
{
    struct stage *stage = *state;
    struct estimate_answer said, heard;
    uint64_t number;

    memset(&said, 0xff, sizeof said);
    assert_int_equal(begin(stage, 10, 0), 0);
    int pipe = take_request(stage);
    assert_int_equal(write(pipe, &said, sizeof said), sizeof said);
    close(pipe);
    assert_true(surveys_next(&stage->surveys, 0, &number, &heard));
    assert_int_equal(heard.count, 0);
    assert_string_equal(heard.why, "");
}

static void without_a_nursery_there_is_an_error(void **state)
{
    struct stage *stage = *state;

    close(stage->other);
    stage->other = -1;
    assert_int_equal(begin(stage, 10, 0), -EPIPE);
    assert_int_equal(surveys_due(&stage->surveys), INT64_MAX);
}

#define in_scene(name)                                                         \
    cmocka_unit_test_setup_teardown(name, make_scene, drop_scene)
#define on_stage(name)                                                         \
    cmocka_unit_test_setup_teardown(name, make_stage, drop_stage)

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_scene(a_table_has_its_own_size),
        in_scene(a_query_has_the_size_of_its_file),
        in_scene(a_file_has_its_size),
        in_scene(what_cannot_be_told_does_not_keep_back_the_rest),
        in_scene(a_fifo_is_no_file_to_wait_for),
        in_scene(sources_beyond_the_limit_are_left_out),
        in_scene(no_sources_are_none),
        in_scene(the_process_writes_its_answer_and_ends),
        in_scene(a_question_that_is_none_gets_no_answer),
        in_scene(in_time_there_is_an_answer_with_what_is_known),
        on_stage(answers_come_back_by_their_numbers),
        on_stage(more_than_so_many_are_not_begun),
        on_stage(one_that_ends_without_an_answer_has_none),
        on_stage(one_that_is_overdue_is_not_waited_for),
        on_stage(an_answer_that_is_none_is_not_believed),
        on_stage(without_a_nursery_there_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
