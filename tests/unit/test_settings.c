/*
 * Covers agents/settings.c, settings_file.c, settings_data.c and caps.c: the
 * connections and data of a configuration file, what is refused and in which
 * words, and what HELLO says of them.
 */
#include "agents/caps.h"
#include "agents/settings.h"
#include "agents/settings_file.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define SECRET "hunter2-of-the-dsn"

/* Said on stdout and stderr by the last reading. */
static char said[20000];
static char directory[64];

static int set_up(void **state)
{
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/test_settings-XXXXXX");
    assert_non_null(mkdtemp(directory));
    return 0;
}

static int tear_down(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    return system(command) == 0 ? 0 : -1;
}

static const char *in_directory(const char *name)
{
    static char path[200];

    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static void put(const char *name, const char *text, mode_t mode)
{
    int fd = open(in_directory(name), O_WRONLY | O_CREAT | O_TRUNC, mode);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static enum settings_answer read_with(const char *option, const char *yaml,
                                      struct settings **ret_settings)
{
    char program[] = "agent", connect[] = "--connect", to[] = "tcp://a:1",
         config[] = "--config", path[200], more[64];
    char *argv[] = {program, connect, to, config, path, more, NULL};
    int argc = 5 + (option != NULL);
    FILE *heard = tmpfile();

    put("agent.yaml", yaml, 0600);
    snprintf(path, sizeof path, "%s", in_directory("agent.yaml"));
    snprintf(more, sizeof more, "%s", option ? option : "");
    argv[argc] = NULL;
    fflush(NULL);
    int out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO);
    dup2(fileno(heard), STDOUT_FILENO);
    dup2(fileno(heard), STDERR_FILENO);
    *ret_settings = NULL;
    enum settings_answer answer = settings_read(argc, argv, ret_settings);
    fflush(NULL);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    close(out);
    close(err);
    rewind(heard);
    said[fread(said, 1, sizeof said - 1, heard)] = '\0';
    fclose(heard);
    return answer;
}

static struct settings *right(const char *yaml)
{
    struct settings *settings;
    enum settings_answer answer = read_with(NULL, yaml, &settings);

    if (answer != SETTINGS_GO)
        fail_msg("refused: %s", said);
    return settings;
}

/* What is said has all of the words, up to a NULL, and the secret nowhere. */
static void wrong(const char *yaml, ...) __attribute__((sentinel));
static void wrong(const char *yaml, ...)
{
    struct settings *settings;
    const char *word;
    va_list words;

    assert_int_equal(read_with(NULL, yaml, &settings), SETTINGS_WRONG);
    assert_null(settings);
    va_start(words, yaml);
    while ((word = va_arg(words, const char *)))
        if (!strstr(said, word))
            fail_msg("not said: %s; but: %s", word, said);
    va_end(words);
    if (strstr(said, SECRET))
        fail_msg("the secret is in: %s", said);
}

#define CONNECTION(more)                                                       \
    "connections:\n"                                                           \
    "  - name: shop\n"                                                         \
    "    engine: postgresql\n"                                                 \
    "    dsn: host=db password=" SECRET "\n" more

/* ---- data ------------------------------------------------------------- */

static void nothing_said_has_the_defaults(void **state)
{
    struct settings *s = right("slots: 3\n");

    (void)state;
    assert_int_equal(s->slots, 3);
    assert_int_equal(s->data.connection_count, 0);
    assert_null(s->data.embedded);
    assert_null(s->data.files);
    assert_null(s->data.spill);
    assert_int_equal(s->data.memory_bytes, 512 << 20);
    assert_int_equal(s->data.spill_max_bytes, 10LL << 30);
    assert_true(s->data.pushdown);
    assert_int_equal(s->data.statement_timeout_ms, 3600000);
    assert_int_equal(s->data.lock_timeout_ms, 60000);
    settings_free(&s);
    assert_null(s);
}

static void all_of_data_is_read(void **state)
{
    char whole[200];

    (void)state;
    mkdir(in_directory("d"), 0700);
    struct settings *s = right("data:\n"
                               "  embedded: d\n"
                               "  files: d\n"
                               "  spill: /tmp\n"
                               "  memory: 64MiB\n"
                               "  spill_max: 1GiB\n"
                               "  pushdown: false\n"
                               "  statement_timeout: 1.5min\n"
                               "  lock_timeout: 250ms\n");
    snprintf(whole, sizeof whole, "%s/d", directory);
    assert_string_equal(s->data.embedded, whole);
    assert_string_equal(s->data.files, whole);
    assert_string_equal(s->data.spill, "/tmp");
    assert_int_equal(s->data.memory_bytes, 64 << 20);
    assert_int_equal(s->data.spill_max_bytes, 1 << 30);
    assert_false(s->data.pushdown);
    assert_int_equal(s->data.statement_timeout_ms, 90000);
    assert_int_equal(s->data.lock_timeout_ms, 250);
    settings_free(&s);
}

static void sizes_and_durations_have_units(void **state)
{
    static const struct {
        const char *text;
        int rc;
        uint64_t value;
    } sizes[] = {
        {"512MiB", 0, 512 << 20},
        {"10 GiB", 0, 10ULL << 30},
        {"1.5kB", 0, 1500},
        {"7", 0, 7},
        {"7b", 0, 7},
        {"1G", -EINVAL, 0},
        {"", -EINVAL, 0},
        {"MiB", -EINVAL, 0},
        {"-1", -EINVAL, 0},
        {"0x10", -EINVAL, 0},
        {"1.MiB", -EINVAL, 0},
        {"1.1234567MB", -EINVAL, 0},
        {"99999999999999999999", -ERANGE, 0},
        {"99999999999TiB", -ERANGE, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint64_t value = 0;
        assert_int_equal(settings_size(sizes[i].text, &value), sizes[i].rc);
        assert_int_equal(value, sizes[i].value);
    }
    uint64_t ms;
    assert_int_equal(settings_duration("1min", &ms), 0);
    assert_int_equal(ms, 60000);
    assert_int_equal(settings_duration("5", &ms), 0);
    assert_int_equal(ms, 5000);
    assert_int_equal(settings_duration("5 parsecs", &ms), -EINVAL);
}

static void what_cannot_be_is_told_by_key(void **state)
{
    (void)state;
    wrong("data: {memory: lots}\n", "data.memory", "512MiB", NULL);
    wrong("data: {memory: 1kB}\n", "data.memory", "bytes", NULL);
    wrong("data: {statement_timeout: 60d}\n", "data.statement_timeout", NULL);
    wrong("data: {lock_timeout: 0}\n", "data.lock_timeout", NULL);
    wrong("data: {embedded: not-there}\n", "data.embedded", "make", NULL);
    wrong("data: {files: agent.yaml}\n", "data.files", "not a directory", NULL);
    wrong("data: {pushdown: maybe}\n", "pushdown", NULL);
    wrong("data: {bogus: 1}\n", "bogus", "statement_timeout", NULL);
}

static void all_problems_are_told_at_once(void **state)
{
    (void)state;
    wrong("data: {memory: x, files: nowhere}\n" CONNECTION(
              "  - {name: shop, engine: oracle}\n"),
          "data.memory", "data.files", "connections[1]", "taken", "engine",
          "dsn is missing", NULL);
}

/* ---- connections ------------------------------------------------------ */

static void a_connection_is_read(void **state)
{
    char whole[200];

    (void)state;
    put("secret", "s3cret\n", 0600);
    struct settings *s = right(CONNECTION("    aliases: [a1, b.2]\n"
                                          "    read_only: true\n"
                                          "    password_file: secret\n"
                                          "  - name: mart\n"
                                          "    engine: sqlite\n"
                                          "    dsn: sub/mart.db\n"));
    assert_int_equal(s->data.connection_count, 2);
    const struct connection *shop = &s->data.connections[0];
    const struct connection *mart = &s->data.connections[1];
    assert_string_equal(shop->name, "shop");
    assert_int_equal(shop->engine, ENGINE_POSTGRESQL);
    assert_string_equal(shop->dsn, "host=db password=" SECRET);
    assert_int_equal(shop->alias_count, 2);
    assert_string_equal(shop->aliases[1], "b.2");
    assert_true(shop->read_only);
    snprintf(whole, sizeof whole, "%s/secret", directory);
    assert_string_equal(shop->password_file, whole);
    assert_int_equal(mart->engine, ENGINE_SQLITE);
    snprintf(whole, sizeof whole, "%s/sub/mart.db", directory);
    assert_string_equal(mart->dsn, whole);
    assert_false(mart->read_only);
    assert_null(mart->password_file);
    settings_free(&s);
}

static void names_are_given_once(void **state)
{
    (void)state;
    wrong(CONNECTION("    aliases: [shop]\n"), "alias \"shop\"", NULL);
    wrong(CONNECTION("    aliases: [a, a]\n"), "alias \"a\"", NULL);
    wrong(CONNECTION("    aliases: [a]\n"
                     "  - {name: a, engine: sqlite, dsn: x}\n"),
          "connections[1] \"a\"", "taken", NULL);
    wrong(CONNECTION("  - {name: b, engine: sqlite, dsn: x, "
                     "aliases: [shop]}\n"),
          "connections[1] \"b\"", "alias \"shop\"", NULL);
}

static void what_is_missing_or_no_name_is_told(void **state)
{
    (void)state;
    wrong("connections:\n  - {engine: sqlite, dsn: x}\n", "connections[0]",
          "no name", NULL);
    wrong("connections:\n  - {name: ../x, engine: sqlite, dsn: x}\n",
          "connections[0]", "letters", NULL);
    wrong("connections:\n  - {name: .x, engine: sqlite, dsn: x}\n",
          "connections[0]", "letters", NULL);
    wrong("connections:\n  - {name: x, dsn: " SECRET "}\n", "engine is missing",
          NULL);
    wrong("connections:\n  - {name: x, engine: " SECRET ", dsn: x}\n",
          "engine is none", NULL);
    wrong("connections:\n  - {name: x, engine: sqlite}\n", "dsn is missing",
          NULL);
    wrong(CONNECTION("    aliases: [\"a b\"]\n"), "aliases[0]", NULL);
}

static void passwords_are_looked_at_before_anything_starts(void **state)
{
    (void)state;
    put("open", "x\n", 0644);
    put("empty", "\n", 0600);
    unsetenv("TEST_SETTINGS_PASSWORD");
    wrong(CONNECTION("    password_file: gone\n"), "password_file", "gone",
          NULL);
    wrong(CONNECTION("    password_file: open\n"), "chmod", NULL);
    wrong(CONNECTION("    password_file: empty\n"), "empty", NULL);
    wrong(CONNECTION("    password_env: TEST_SETTINGS_PASSWORD\n"),
          "TEST_SETTINGS_PASSWORD", "not set", NULL);
    setenv("TEST_SETTINGS_PASSWORD", "x", 1);
    wrong(CONNECTION("    password_env: TEST_SETTINGS_PASSWORD\n"
                     "    password_file: open\n"),
          "not both", NULL);
    wrong("connections:\n"
          "  - {name: x, engine: sqlite, dsn: x, "
          "password_env: TEST_SETTINGS_PASSWORD}\n",
          "sqlite has no password", NULL);
    struct settings *s =
        right(CONNECTION("    password_env: TEST_SETTINGS_PASSWORD\n"));
    settings_free(&s);
}

/* ---- secrets ---------------------------------------------------------- */

static void no_mistake_shows_a_value(void **state)
{
    (void)state;
    /* a value where a list, a number, a word or nothing was expected */
    wrong("connections: " SECRET "\n", "connections", NULL);
    wrong("slots: " SECRET "\n", "slots", NULL);
    wrong("http: {allow_private: " SECRET "}\n", "allow_private", NULL);
    wrong("connections:\n  - {name: x, engine: sqlite, dsn: [" SECRET "]}\n",
          "dsn", NULL);
    wrong("connections:\n  - {name: x, read_only: " SECRET "}\n", "read_only",
          NULL);
    wrong("connections:\n  - {name: x, password: " SECRET "}\n", "password",
          "password_file", NULL);
    wrong("connections:\n  - {name: x, dsn: \"" SECRET "\n", "agent.yaml",
          NULL);
    wrong("connections:\n  - {name: x, dsn: *" SECRET "}\n", "agent.yaml",
          NULL);
    wrong("connections:\n  - {name: " SECRET "=, engine: x}\n", "letters",
          NULL);
    wrong("data: {memory: " SECRET "}\n", "data.memory", NULL);
}

static void check_config_warns_and_shows_no_dsn(void **state)
{
    struct settings *s;

    (void)state;
    assert_int_equal(read_with("--check-config", CONNECTION(""), &s),
                     SETTINGS_DONE);
    assert_non_null(strstr(said, "warning"));
    assert_non_null(strstr(said, "shop (postgresql)"));
    assert_null(strstr(said, SECRET));
    assert_null(strstr(said, "host=db"));
}

static bool warned(const char *dsn)
{
    char yaml[400];
    struct settings *s;

    snprintf(yaml, sizeof yaml,
             "connections:\n"
             "  - {name: x, engine: postgresql, dsn: \"%s\"}\n",
             dsn);
    assert_int_equal(read_with("--check-config", yaml, &s), SETTINGS_DONE);
    assert_null(strstr(said, dsn));
    return strstr(said, "warning") != NULL;
}

static void a_password_in_a_dsn_is_recognised(void **state)
{
    (void)state;
    assert_true(warned("host=a password = x"));
    assert_true(warned("password=x"));
    assert_true(warned("postgresql://me:x@host/db"));
    assert_true(warned("postgresql://host/db?password=x"));
    assert_false(warned("host=a user=b"));
    assert_false(warned("host=a sslpassword=b"));
    assert_false(warned("postgresql://me@host:5432/db"));
    assert_false(warned("postgresql://host:5432/db?application_name=a@b"));
}

/* ---- capabilities ----------------------------------------------------- */

static bool can(const struct caps *caps, const char *word)
{
    for (size_t i = 0; i < caps->count; i++)
        if (strcmp(caps->words[i], word) == 0)
            return true;
    return false;
}

static void
without_data_neither_files_nor_connections_are_announced(void **state)
{
    static struct caps caps;
    struct settings *s = right("slots: 1\n");

    (void)state;
    size_t count = caps_list(s, &caps);
    assert_int_equal(count, caps.count);
    assert_true(can(&caps, "kind:command"));
    assert_false(can(&caps, "kind:csv_read"));
    assert_false(can(&caps, "kind:extract"));
    assert_false(can(&caps, "connections"));
    assert_false(can(&caps, "engine:sqlite"));
    settings_free(&s);
}

static void connections_are_announced_by_all_their_names(void **state)
{
    static struct caps caps;
    struct settings *s = right(CONNECTION("    aliases: [a1, a2]\n"));

    (void)state;
    size_t count = caps_list(s, &caps);
    assert_int_equal(count, caps.count);
    assert_true(can(&caps, "connection:shop"));
    assert_true(can(&caps, "connection:a1"));
    assert_true(can(&caps, "connection:a2"));
    assert_true(can(&caps, "engine:postgresql"));
    assert_false(can(&caps, "engine:sqlite"));
    assert_false(can(&caps, "connections"));
    for (size_t i = 0; i < caps.count; i++)
        assert_null(strstr(caps.words[i], SECRET));
    settings_free(&s);
}

static void the_embedded_directory_is_any_connection(void **state)
{
    static struct caps caps;
    struct settings *s = right("data: {embedded: .}\n");

    (void)state;
    caps_list(s, &caps);
    assert_true(can(&caps, "connections"));
    assert_true(can(&caps, "engine:sqlite"));
    assert_false(can(&caps, "engine:postgresql"));
    settings_free(&s);
}

static void the_longest_name_fits_a_capability(void **state)
{
    static struct caps caps;
    char name[CONNECTION_NAME_MAX + 1], yaml[400], word[200];

    (void)state;
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    snprintf(yaml, sizeof yaml,
             "connections:\n  - {name: %s, engine: sqlite, dsn: x}\n", name);
    struct settings *s = right(yaml);
    caps_list(s, &caps);
    snprintf(word, sizeof word, "connection:%s", name);
    assert_true(can(&caps, word));
    settings_free(&s);
}

static void more_names_than_can_be_told_are_refused(void **state)
{
    static char yaml[30000];
    size_t used = (size_t)sprintf(yaml, "connections:\n");

    (void)state;
    for (int i = 0; i < 30; i++) {
        used += (size_t)sprintf(
            yaml + used, "  - {name: c%d, engine: sqlite, dsn: x, aliases: [",
            i);
        for (int j = 0; j < 10; j++)
            used +=
                (size_t)sprintf(yaml + used, "%sc%d-%d", j ? "," : "", i, j);
        used += (size_t)sprintf(yaml + used, "]}\n");
    }
    wrong(yaml, "aliases", "256", "fewer", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_said_has_the_defaults),
        cmocka_unit_test(all_of_data_is_read),
        cmocka_unit_test(sizes_and_durations_have_units),
        cmocka_unit_test(what_cannot_be_is_told_by_key),
        cmocka_unit_test(all_problems_are_told_at_once),
        cmocka_unit_test(a_connection_is_read),
        cmocka_unit_test(names_are_given_once),
        cmocka_unit_test(what_is_missing_or_no_name_is_told),
        cmocka_unit_test(passwords_are_looked_at_before_anything_starts),
        cmocka_unit_test(no_mistake_shows_a_value),
        cmocka_unit_test(check_config_warns_and_shows_no_dsn),
        cmocka_unit_test(a_password_in_a_dsn_is_recognised),
        cmocka_unit_test(
            without_data_neither_files_nor_connections_are_announced),
        cmocka_unit_test(connections_are_announced_by_all_their_names),
        cmocka_unit_test(the_embedded_directory_is_any_connection),
        cmocka_unit_test(the_longest_name_fits_a_capability),
        cmocka_unit_test(more_names_than_can_be_told_are_refused),
    };

    return cmocka_run_group_tests_name("settings", tests, set_up, tear_down);
}
