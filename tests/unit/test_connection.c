/*
 * Covers agents/connection.c: which connection a name means, and where its
 * password comes from.
 */
#include "agents/connection.h"

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

static char shop[] = "shop", dsn[] = "host=db password=hunter2", a1[] = "a1",
            a2[] = "a2", mart[] = "mart", path[] = "/srv/mart.db",
            variable[] = "TEST_CONNECTION_PASSWORD", data[] = "/srv/data";
static char *aliases[] = {a1, a2};
static struct connection list[] = {
    {.name = shop,
     .engine = ENGINE_POSTGRESQL,
     .dsn = dsn,
     .password_env = variable,
     .aliases = aliases,
     .alias_count = 2,
     .read_only = true},
    {.name = mart, .engine = ENGINE_SQLITE, .dsn = path},
};
static const struct data_settings two = {.connections = list,
                                         .connection_count = 2};
static const struct data_settings two_and_any = {
    .connections = list, .connection_count = 2, .embedded = data};

static char why[CONNECTION_WHY_MAX];

static void a_name_finds_a_copy_of_its_connection(void **state)
{
    struct connection *found = NULL;

    (void)state;
    assert_int_equal(connection_find(&two, "shop", &found, why), 0);
    assert_string_equal(found->name, "shop");
    assert_ptr_not_equal(found->name, list[0].name);
    assert_int_equal(found->engine, ENGINE_POSTGRESQL);
    assert_string_equal(found->dsn, dsn);
    assert_string_equal(found->password_env, variable);
    assert_null(found->password_file);
    assert_int_equal(found->alias_count, 2);
    assert_string_equal(found->aliases[1], "a2");
    assert_true(found->read_only);
    connection_free(&found);
    assert_null(found);
    connection_free(&found);
}

static void an_alias_finds_the_connection_under_its_own_name(void **state)
{
    struct connection *found = NULL;

    (void)state;
    assert_int_equal(connection_find(&two, "a2", &found, why), 0);
    assert_string_equal(found->name, "shop");
    connection_free(&found);
}

static void an_unknown_name_is_told_with_those_there_are(void **state)
{
    struct connection *found = NULL;

    (void)state;
    assert_int_equal(connection_find(&two, "Shop", &found, why), -ENOENT);
    assert_null(found);
    assert_non_null(strstr(why, "\"Shop\""));
    assert_non_null(strstr(why, "shop, mart"));
    assert_null(strstr(why, "hunter2"));
}

static void with_no_connection_at_all_the_configuration_is_named(void **state)
{
    static const struct data_settings none;
    struct connection *found = NULL;

    (void)state;
    assert_int_equal(connection_find(&none, "x", &found, why), -ENOENT);
    assert_non_null(strstr(why, "data.embedded"));
}

static void any_other_name_is_a_file_of_the_embedded_directory(void **state)
{
    struct connection *found = NULL;

    (void)state;
    assert_int_equal(connection_find(&two_and_any, "new-1", &found, why), 0);
    assert_int_equal(found->engine, ENGINE_SQLITE);
    assert_string_equal(found->name, "new-1");
    assert_string_equal(found->dsn, "/srv/data/new-1.db");
    connection_free(&found);
}

static void a_configured_name_wins_over_the_embedded_directory(void **state)
{
    struct connection *found = NULL;

    (void)state;
    assert_int_equal(connection_find(&two_and_any, "mart", &found, why), 0);
    assert_string_equal(found->dsn, "/srv/mart.db");
    connection_free(&found);
}

static void what_is_no_name_finds_no_file(void **state)
{
    static const char *const names[] = {
        "", ".", "..", "../x", "a/b", ".x", "a b", "a\n", "ä",
        /* 101 */
        "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
        "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"};
    struct connection *found = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(connection_find(&two_and_any, names[i], &found, why),
                         -ENOENT);
        assert_null(found);
        assert_non_null(strstr(why, "letters"));
    }
}

static void many_names_are_cut(void **state)
{
    static struct connection many[CONNECTIONS_MAX];
    static char names[CONNECTIONS_MAX][CONNECTION_NAME_MAX + 1];
    const struct data_settings settings = {.connections = many,
                                           .connection_count = CONNECTIONS_MAX};
    struct connection *found = NULL;

    (void)state;
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        snprintf(names[i], sizeof names[i], "connection-%zu", i);
        many[i].name = names[i];
    }
    assert_int_equal(connection_find(&settings, "x", &found, why), -ENOENT);
    assert_non_null(strstr(why, "connection-0, connection-1"));
    assert_non_null(strstr(why, "..."));
}

/* ---- passwords -------------------------------------------------------- */

static char directory[64], secret[100];

static int make_directory(void **state)
{
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/test_connection-XXXXXX");
    assert_non_null(mkdtemp(directory));
    snprintf(secret, sizeof secret, "%s/secret", directory);
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    unlink(secret);
    rmdir(directory);
    return 0;
}

/* -1: no file. Returns the answer to reading it. */
static int password_of(const char *bytes, size_t len, int mode,
                       char **ret_password)
{
    const struct connection connection = {.name = shop,
                                          .password_file = secret};

    unlink(secret);
    if (mode >= 0) {
        int fd = open(secret, O_WRONLY | O_CREAT, 0600);
        assert_int_equal(write(fd, bytes, len), len);
        assert_int_equal(fchmod(fd, (mode_t)mode), 0);
        close(fd);
    }
    why[0] = '\0';
    *ret_password = NULL;
    return connection_password(&connection, ret_password, why);
}

static void a_password_file_has_one_line(void **state)
{
    char *password;

    (void)state;
    assert_int_equal(password_of("s3 cret\n", 8, 0640, &password), 0);
    assert_string_equal(password, "s3 cret");
    connection_password_forget(&password);
    assert_null(password);
    assert_int_equal(password_of("a\r\n", 3, 0400, &password), 0);
    assert_string_equal(password, "a");
    connection_password_forget(&password);
    assert_int_equal(password_of("bare", 4, 0600, &password), 0);
    assert_string_equal(password, "bare");
    connection_password_forget(&password);
}

static void a_password_file_that_is_not_right_is_refused(void **state)
{
    static char large[5000];
    char *password;

    (void)state;
    memset(large, 'x', sizeof large);
    assert_int_equal(password_of("hunter2", 7, 0604, &password), -EINVAL);
    assert_non_null(strstr(why, "chmod"));
    assert_int_equal(password_of("hunter2", 7, 0602, &password), -EINVAL);
    assert_int_equal(password_of("\n", 1, 0600, &password), -EINVAL);
    assert_non_null(strstr(why, "empty"));
    assert_int_equal(password_of("hunter2\nb\n", 10, 0600, &password), -EINVAL);
    assert_null(strstr(why, "hunter2"));
    assert_int_equal(password_of("hunter2\0b", 9, 0600, &password), -EINVAL);
    assert_int_equal(password_of(large, sizeof large, 0600, &password),
                     -EINVAL);
    assert_int_equal(password_of("", 0, -1, &password), -EINVAL);
    assert_non_null(strstr(why, secret));
    assert_null(password);
}

static void what_is_no_file_is_refused_at_once(void **state)
{
    const struct connection of_directory = {.password_file = directory};
    const struct connection of_fifo = {.password_file = secret};
    char *password;

    (void)state;
    assert_int_equal(connection_password(&of_directory, &password, why),
                     -EINVAL);
    unlink(secret);
    assert_int_equal(mkfifo(secret, 0600), 0);
    assert_int_equal(connection_password(&of_fifo, &password, why), -EINVAL);
    assert_non_null(strstr(why, "not a file"));
}

static void a_variable_gives_a_password(void **state)
{
    char *password;

    (void)state;
    unsetenv(variable);
    assert_int_equal(connection_password(&list[0], &password, why), -EINVAL);
    assert_non_null(strstr(why, variable));
    setenv(variable, "", 1);
    assert_int_equal(connection_password(&list[0], &password, why), -EINVAL);
    setenv(variable, "s3cret", 1);
    assert_int_equal(connection_password(&list[0], &password, why), 0);
    assert_string_equal(password, "s3cret");
    connection_password_forget(&password);
    unsetenv(variable);
}

static void no_password_is_an_answer(void **state)
{
    char *password = dsn;

    (void)state;
    assert_int_equal(connection_password(&list[1], &password, why), 0);
    assert_null(password);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_finds_a_copy_of_its_connection),
        cmocka_unit_test(an_alias_finds_the_connection_under_its_own_name),
        cmocka_unit_test(an_unknown_name_is_told_with_those_there_are),
        cmocka_unit_test(with_no_connection_at_all_the_configuration_is_named),
        cmocka_unit_test(any_other_name_is_a_file_of_the_embedded_directory),
        cmocka_unit_test(a_configured_name_wins_over_the_embedded_directory),
        cmocka_unit_test(what_is_no_name_finds_no_file),
        cmocka_unit_test(many_names_are_cut),
        cmocka_unit_test(a_password_file_has_one_line),
        cmocka_unit_test(a_password_file_that_is_not_right_is_refused),
        cmocka_unit_test(what_is_no_file_is_refused_at_once),
        cmocka_unit_test(a_variable_gives_a_password),
        cmocka_unit_test(no_password_is_an_answer),
    };

    return cmocka_run_group_tests_name("connection", tests, make_directory,
                                       remove_directory);
}
