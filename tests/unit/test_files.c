/*
 * Covers agents/files.c, files_out.c and files_sink.c: paths cannot leave the
 * root, and a file is there when it is complete, not before and not in part.
 */
#include "tests/unit/files_bench.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* Beside the root: what no path may reach. */
static char outside[80];

static int make_both(void **state)
{
    snprintf(outside, sizeof outside, "/tmp/test_files_outside-XXXXXX");
    if (!mkdtemp(outside) || make_root(state) < 0)
        return -1;
    char path[120];
    snprintf(path, sizeof path, "%s/secret.csv", outside);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    ssize_t put_bytes = write(fd, "a\nhunter2\n", 10);
    close(fd);
    return put_bytes == 10 ? 0 : -1;
}

static int remove_both(void **state)
{
    char command[128];

    snprintf(command, sizeof command, "rm -rf '%s'", outside);
    return system(command) == 0 ? remove_root(state) : -1;
}

static json_t *config_with(const char *path)
{
    json_t *config = json_object();

    json_object_set_new(config, "path", json_string(path));
    return config;
}

/* Both for reading and for writing; error says why. */
static bool is_refused(const char *path)
{
    json_t *config = config_with(path);
    struct feed *feed = NULL;
    struct sink *sink = NULL;
    struct schema schema = {0};

    assert_non_null(schema_add(&schema, "a", TYPE_TEXT));
    bool readable = csv_feed(root, config, &feed, error) == 0;
    bool writable = jsonl_sink(root, config, &schema, &sink, error) == 0;
    if (writable && sink->begin(sink) != SINK_OK) {
        snprintf(error, sizeof error, "%s", sink->error);
        writable = false;
    }
    feed_close(&feed);
    sink_close(&sink);
    schema_clear(&schema);
    json_decref(config);
    assert_false(readable != writable && readable);
    return !readable && !writable;
}

/* How many names a directory has. */
static size_t names_in(const char *path)
{
    DIR *directory = opendir(in_root(path));
    size_t count = 0;

    assert_non_null(directory);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count - 2;
}

/* ---- paths -------------------------------------------------------------- */

static void what_leads_out_is_refused(void **state)
{
    static const char *const paths[] = {
        "..",         "../x.csv", "a/../../x.csv", "/etc/passwd", "a/..",
        "./../x.csv", "/",        "//x.csv",       "a/../b.csv",
    };

    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (!is_refused(paths[i]))
            fail_msg("not refused: %s", paths[i]);
    assert_true(is_refused("../x.csv"));
    assert_non_null(strstr(error, "data.files"));
}

static void a_link_that_leads_out_is_refused(void **state)
{
    char target[120];

    (void)state;
    assert_int_equal(symlink(outside, in_root("out")), 0);
    assert_true(is_refused("out/secret.csv"));
    assert_non_null(strstr(error, "a link leads out"));
    assert_null(strstr(error, outside));
    snprintf(target, sizeof target, "%s/secret.csv", outside);
    assert_int_equal(symlink(target, in_root("out.csv")), 0);
    json_t *config = config_with("out.csv");
    struct feed *feed;
    assert_int_equal(csv_feed(root, config, &feed, error), -EXDEV);
    json_decref(config);
    assert_int_equal(files_size(root, "out.csv"), -1);
    assert_int_equal(files_size(root, "out/secret.csv"), -1);
    assert_int_equal(symlink("/proc/self", in_root("magic")), 0);
    assert_true(is_refused("magic/root/etc/passwd"));
}

static void a_link_within_the_root_is_followed(void **state)
{
    (void)state;
    put("real.csv", "a\n1\n", 4);
    assert_int_equal(symlink("real.csv", in_root("link.csv")), 0);
    assert_int_equal(files_size(root, "link.csv"), 4);
}

/* The link is replaced, what it points to stays. */
static void writing_to_a_link_touches_nothing_else(void **state)
{
    char target[120];
    struct stat status;

    (void)state;
    snprintf(target, sizeof target, "%s/secret.csv", outside);
    assert_int_equal(symlink(target, in_root("w.csv")), 0);
    write_file(csv_sink, "{'path': 'w.csv'}", "a text", "values ('x')");
    assert_int_equal(stat(target, &status), 0);
    assert_int_equal(status.st_size, 10);
    assert_int_equal(files_size(root, "w.csv"), 4);
}

static void what_is_no_path_is_refused(void **state)
{
    char large[5000], name[400];
    json_t *config = config_of("{'path': 'a\\u0000b'}");
    struct feed *feed;

    (void)state;
    memset(large, 'x', sizeof large);
    large[sizeof large - 1] = '\0';
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = '\0';
    assert_true(is_refused(""));
    assert_true(is_refused("a/"));
    assert_true(is_refused("."));
    assert_true(is_refused("a\nb.csv"));
    assert_null(strchr(error, '\n'));
    assert_true(is_refused(large));
    assert_true(is_refused(name));
    assert_int_equal(csv_feed(root, config, &feed, error), -EINVAL);
    json_decref(config);
    config = json_object();
    assert_int_equal(csv_feed(root, config, &feed, error), -EINVAL);
    assert_non_null(strstr(error, "path is missing"));
    json_decref(config);
}

static void what_is_no_file_is_refused_at_once(void **state)
{
    json_t *config = config_with("fifo");
    struct feed *feed;

    (void)state;
    assert_int_equal(mkdir(in_root("directory"), 0700), 0);
    assert_true(is_refused("directory"));
    assert_int_equal(mkfifo(in_root("fifo"), 0600), 0);
    assert_int_equal(csv_feed(root, config, &feed, error), -EINVAL);
    assert_non_null(strstr(error, "not a file"));
    json_decref(config);
}

static void a_missing_file_is_called_as_the_document_does(void **state)
{
    json_t *config = config_with("sub/none.csv");
    struct feed *feed;

    (void)state;
    assert_int_equal(csv_feed(root, config, &feed, error), -ENOENT);
    assert_string_equal(error, "\"sub/none.csv\": No such file or directory");
    assert_int_equal(jsonl_feed(root, config, &feed, error), -ENOENT);
    json_decref(config);
    assert_int_equal(files_size(root, "sub/none.csv"), -1);
}

static void a_root_that_is_gone_is_told(void **state)
{
    json_t *config = config_with("x.csv");
    struct feed *feed;

    (void)state;
    assert_true(csv_feed("/nowhere/at/all", config, &feed, error) < 0);
    assert_non_null(strstr(error, "data.files"));
    json_decref(config);
    assert_int_equal(files_size("/nowhere/at/all", "x.csv"), -1);
}

static void size_is_of_files_only(void **state)
{
    (void)state;
    put("s.csv", "12345", 5);
    assert_int_equal(files_size(root, "s.csv"), 5);
    assert_int_equal(files_size(root, "."), -1);
    assert_int_equal(files_size(root, "../x"), -1);
}

/* ---- writing ------------------------------------------------------------ */

static void a_file_appears_at_commit(void **state)
{
    struct sink *sink = sink_of(csv_sink, "{'path': 'new/c.csv'}", "a text");

    (void)state;
    assert_int_equal(sink->begin(sink), SINK_OK);
    assert_int_equal(pour(sink, "values ('x'), ('y')"), SINK_OK);
    assert_int_equal(names_in("new"), 0);
    assert_int_equal(sink->rows, 2);
    assert_int_equal(sink->commit(sink), SINK_OK);
    assert_int_equal(names_in("new"), 1);
    assert_int_equal(sink->bytes, 6);
    sink_close(&sink);
    assert_int_equal(names_in("new"), 1);
    assert_int_equal(files_size(root, "new/c.csv"), 6);
}

static void directories_are_made(void **state)
{
    (void)state;
    write_file(csv_sink, "{'path': 'a/./b//c/d.csv'}", "a text",
               "values ('x')");
    assert_int_equal(files_size(root, "a/b/c/d.csv"), 4);
}

static void a_second_attempt_writes_the_same(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++)
        write_file(jsonl_sink, "{'path': 'again.jsonl'}", "a integer",
                   "values (1), (2)");
    char *got = contents("again.jsonl");
    assert_string_equal(got, "{\"a\":1}\n{\"a\":2}\n");
    free(got);
}

static void after_abort_all_is_as_it_was(void **state)
{
    (void)state;
    assert_int_equal(mkdir(in_root("ab"), 0700), 0);
    put("ab/x.csv", "before", 6);
    for (int closed_only = 0; closed_only < 2; closed_only++) {
        struct sink *sink = sink_of(csv_sink, "{'path': 'ab/x.csv'}", "a text");
        assert_int_equal(sink->begin(sink), SINK_OK);
        assert_int_equal(pour(sink, "values ('x')"), SINK_OK);
        if (!closed_only)
            sink->abort(sink);
        sink_close(&sink);
        assert_int_equal(names_in("ab"), 1);
        assert_int_equal(files_size(root, "ab/x.csv"), 6);
    }
}

static void a_process_that_dies_leaves_nothing(void **state)
{
    int status;

    (void)state;
    assert_int_equal(mkdir(in_root("die"), 0700), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct sink *sink =
            sink_of(csv_sink, "{'path': 'die/x.csv'}", "a text");
        if (sink->begin(sink) == SINK_OK &&
            pour(sink, "values ('x')") == SINK_OK)
            kill(getpid(), SIGKILL);
        _exit(1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(files_size(root, "die/x.csv"), -1);
    assert_int_equal(names_in("die"), 0);
}

static void what_cannot_be_written_is_told(void **state)
{
    struct sink *sink = sink_of(csv_sink, "{'path': 'full.csv'}", "a text");
    const struct rlimit little = {1 << 20, RLIM_INFINITY};
    struct rlimit before;

    (void)state;
    getrlimit(RLIMIT_FSIZE, &before);
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(sink->begin(sink), SINK_OK);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
    enum sink_answer answer =
        pour(sink, "with recursive n(i) as (values (1) union all select i + 1 "
                   "from n where i < 100) select hex(zeroblob(20000)) from n");
    setrlimit(RLIMIT_FSIZE, &before);
    (void)signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(answer, SINK_FAILED);
    assert_non_null(strstr(sink->error, "\"full.csv\" cannot be written"));
    assert_int_equal(sink->commit(sink), SINK_FAILED);
    sink_close(&sink);
    assert_int_equal(files_size(root, "full.csv"), -1);
}

static void a_file_may_be_read_while_it_is_replaced(void **state)
{
    json_t *config = config_with("self.csv");
    struct feed *feed;

    (void)state;
    put("self.csv", "a\nold\n", 6);
    assert_int_equal(csv_feed(root, config, &feed, error), 0);
    write_file(csv_sink, "{'path': 'self.csv'}", "a text", "values ('new')");
    char *got = drain(feed, false);
    assert_string_equal(got, "[old]");
    free(got);
    feed_close(&feed);
    json_decref(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_leads_out_is_refused),
        cmocka_unit_test(a_link_that_leads_out_is_refused),
        cmocka_unit_test(a_link_within_the_root_is_followed),
        cmocka_unit_test(writing_to_a_link_touches_nothing_else),
        cmocka_unit_test(what_is_no_path_is_refused),
        cmocka_unit_test(what_is_no_file_is_refused_at_once),
        cmocka_unit_test(a_missing_file_is_called_as_the_document_does),
        cmocka_unit_test(a_root_that_is_gone_is_told),
        cmocka_unit_test(size_is_of_files_only),
        cmocka_unit_test(a_file_appears_at_commit),
        cmocka_unit_test(directories_are_made),
        cmocka_unit_test(a_second_attempt_writes_the_same),
        cmocka_unit_test(after_abort_all_is_as_it_was),
        cmocka_unit_test(a_process_that_dies_leaves_nothing),
        cmocka_unit_test(what_cannot_be_written_is_told),
        cmocka_unit_test(a_file_may_be_read_while_it_is_replaced),
    };

    return cmocka_run_group_tests_name("files", tests, make_both, remove_both);
}
