/*
 * test_auth.c - who is calling: tokens from a file, what is wrong with a file,
 * and which headers let whom in.
 */
#include "dispatcher/auth.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char good[] = "# who may call\n"
                           "\n"
                           "alice 0123456789abcdef0123\n"
                           "  bob\tfedcba9876543210fedc  \r\n";

/* A file with this content and mode; the caller unlinks it. */
static char *make_file(const char *content, mode_t mode)
{
    static char name[32];
    FILE *out;
    int fd;

    snprintf(name, sizeof name, "/tmp/test_auth.XXXXXX");
    fd = mkstemp(name);
    assert_true(fd >= 0);
    out = fdopen(fd, "w");
    assert_non_null(out);
    assert_true(fputs(content, out) >= 0);
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(fclose(out), 0);
    return name;
}

static struct auth *load(const char *content)
{
    char why[AUTH_WHY_MAX] = "", *file = make_file(content, 0600);
    struct auth *auth = NULL;

    if (auth_load(file, &auth, why) < 0)
        fail_msg("%s", why);
    unlink(file);
    return auth;
}

static void assert_refused(const char *content, mode_t mode, int error,
                           const char *words)
{
    char why[AUTH_WHY_MAX] = "", *file = make_file(content, mode);
    struct auth *auth = NULL;

    assert_int_equal(auth_load(file, &auth, why), error);
    assert_null(auth);
    assert_non_null(strstr(why, file));
    if (!strstr(why, words))
        fail_msg("expected \"%s\" in: %s", words, why);
    unlink(file);
}

static void without_a_file_everybody_is_anonymous(void **state)
{
    char why[AUTH_WHY_MAX];
    struct auth *auth;

    (void)state;
    assert_int_equal(auth_load(NULL, &auth, why), 0);
    assert_false(auth_required(auth));
    assert_string_equal(auth_check(auth, NULL), "anonymous");
    assert_string_equal(auth_check(auth, "Bearer x"), "anonymous");
    auth_free(&auth);
    assert_null(auth);
    auth_free(&auth);
}

static void a_token_names_its_caller(void **state)
{
    struct auth *auth = load(good);

    (void)state;
    assert_true(auth_required(auth));
    assert_string_equal(auth_check(auth, "Bearer 0123456789abcdef0123"),
                        "alice");
    assert_string_equal(auth_check(auth, "bearer  fedcba9876543210fedc "),
                        "bob");
    auth_free(&auth);
}

static void anything_else_is_refused(void **state)
{
    static const char *const headers[] = {
        "",
        "Bearer",
        "Bearer ",
        "Bearer 0123456789abcdef012",
        "Bearer 0123456789abcdef01234",
        "Bearer x0123456789abcdef0123",
        "Basic 0123456789abcdef0123",
        "0123456789abcdef0123",
        "Bearer alice",
        "Bearer #",
    };
    struct auth *auth = load(good);

    (void)state;
    assert_null(auth_check(auth, NULL));
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        assert_null(auth_check(auth, headers[i]));
    auth_free(&auth);
}

static void a_file_that_others_may_read_is_refused(void **state)
{
    (void)state;
    assert_refused(good, 0644, -EPERM, "chmod 600");
    assert_refused(good, 0602, -EPERM, "chmod 600");
}

static void a_file_that_is_not_there_is_refused(void **state)
{
    char why[AUTH_WHY_MAX];
    struct auth *auth;

    (void)state;
    assert_int_equal(auth_load("/nowhere/tokens", &auth, why), -ENOENT);
    assert_non_null(strstr(why, "/nowhere/tokens"));
}

static void what_is_wrong_is_said_with_its_line(void **state)
{
    char line[1200];

    (void)state;
    assert_refused("# nothing\n", 0600, -EINVAL, "no token");
    assert_refused("\n\nalice\n", 0600, -EINVAL, ":3: write a name");
    assert_refused("alice a b\n", 0600, -EINVAL, ":1: write a name");
    assert_refused("alice short\n", 0600, -EINVAL, ":1: the token has fewer");
    assert_refused("a 0123456789abcdef\na 0123456789abcdeX\n", 0600, -EINVAL,
                   ":2: this name");
    assert_refused("a 0123456789abcdef\nb 0123456789abcdef\n", 0600, -EINVAL,
                   ":2: this name or this token");
    memset(line, 'a', sizeof line - 1);
    line[sizeof line - 1] = '\0';
    assert_refused(line, 0600, -EINVAL, ":1: the line is over");
    snprintf(line + 100, sizeof line - 100, " 0123456789abcdef");
    assert_refused(line, 0600, -EINVAL, ":1: the name is over");
}

static void a_token_is_never_said_back(void **state)
{
    char why[AUTH_WHY_MAX] = "";
    char *file = make_file("a secretsecretsecret secret2\n", 0600);
    struct auth *auth;

    (void)state;
    assert_int_equal(auth_load(file, &auth, why), -EINVAL);
    assert_null(strstr(why, "secret"));
    unlink(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_file_everybody_is_anonymous),
        cmocka_unit_test(a_token_names_its_caller),
        cmocka_unit_test(anything_else_is_refused),
        cmocka_unit_test(a_file_that_others_may_read_is_refused),
        cmocka_unit_test(a_file_that_is_not_there_is_refused),
        cmocka_unit_test(what_is_wrong_is_said_with_its_line),
        cmocka_unit_test(a_token_is_never_said_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
