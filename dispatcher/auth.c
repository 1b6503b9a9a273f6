#include "dispatcher/auth.h"

#include <errno.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { HASH_BYTES = 32, LINE_MAX_BYTES = 1024 };

struct token {
    char name[AUTH_NAME_MAX];
    unsigned char hash[HASH_BYTES];
};

struct auth {
    bool required;
    unsigned char key[crypto_generichash_KEYBYTES]; /* of this process */
    struct token *tokens;
    size_t count;
};

static int fail(char ret_why[AUTH_WHY_MAX], int error, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int fail(char ret_why[AUTH_WHY_MAX], int error, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(ret_why, AUTH_WHY_MAX, fmt, args);
    va_end(args);
    return error;
}

static void hash(const struct auth *auth, const char *token, size_t bytes,
                 unsigned char ret_hash[HASH_BYTES])
{
    crypto_generichash(ret_hash, HASH_BYTES, (const unsigned char *)token,
                       bytes, auth->key, sizeof auth->key);
}

static bool known(const struct auth *auth, const char *name,
                  const unsigned char *token_hash)
{
    for (size_t i = 0; i < auth->count; i++) {
        if (strcmp(auth->tokens[i].name, name) == 0 ||
            sodium_memcmp(auth->tokens[i].hash, token_hash, HASH_BYTES) == 0)
            return true;
    }
    return false;
}

/* `line` without its newline: "name token". Never says the token back. */
static int add_line(struct auth *auth, const char *file, unsigned number,
                    char *line, char ret_why[AUTH_WHY_MAX])
{
    static const char blank[] = " \t\r";
    char *save, *name = strtok_r(line, blank, &save);
    char *token = name ? strtok_r(NULL, blank, &save) : NULL;
    struct token *tokens, *new;

    if (!name || *name == '#')
        return 0;
    if (!token || strtok_r(NULL, blank, &save))
        return fail(ret_why, -EINVAL,
                    "%.200s:%u: write a name and a token, separated by a space",
                    file, number);
    if (strlen(name) >= AUTH_NAME_MAX)
        return fail(ret_why, -EINVAL, "%.200s:%u: the name is over %d bytes",
                    file, number, AUTH_NAME_MAX - 1);
    if (strlen(token) < AUTH_TOKEN_MIN)
        return fail(ret_why, -EINVAL,
                    "%.200s:%u: the token has fewer than %d characters; make "
                    "one with: openssl rand -hex 24",
                    file, number, AUTH_TOKEN_MIN);
    if (auth->count == AUTH_TOKENS_MAX)
        return fail(ret_why, -EINVAL, "%.200s:%u: more than %d tokens", file,
                    number, AUTH_TOKENS_MAX);
    tokens = realloc(auth->tokens, (auth->count + 1) * sizeof *tokens);
    if (!tokens)
        return fail(ret_why, -ENOMEM, "%.200s: no memory", file);
    auth->tokens = tokens;
    new = &tokens[auth->count];
    snprintf(new->name, sizeof new->name, "%s", name);
    hash(auth, token, strlen(token), new->hash);
    if (known(auth, new->name, new->hash))
        return fail(ret_why, -EINVAL,
                    "%.200s:%u: this name or this token stands on an earlier "
                    "line; each may appear once",
                    file, number);
    auth->count++;
    return 0;
}

static int read_tokens(struct auth *auth, const char *file, FILE *in,
                       char ret_why[AUTH_WHY_MAX])
{
    char line[LINE_MAX_BYTES];
    unsigned number = 0;
    int r = 0;

    while (r == 0 && fgets(line, sizeof line, in)) {
        size_t end = strcspn(line, "\n");

        number++;
        if (end == sizeof line - 1) {
            r = fail(ret_why, -EINVAL, "%.200s:%u: the line is over %zu bytes",
                     file, number, sizeof line - 2);
            break;
        }
        line[end] = '\0';
        r = add_line(auth, file, number, line, ret_why);
    }
    sodium_memzero(line, sizeof line);
    if (r == 0 && ferror(in))
        r = fail(ret_why, -EIO, "%.200s: cannot be read", file);
    if (r == 0 && auth->count == 0)
        r = fail(ret_why, -EINVAL,
                 "%.200s: holds no token, so nobody could call; write one line "
                 "\"name token\" a caller, or leave token_file out",
                 file);
    return r;
}

static int load_file(struct auth *auth, const char *file,
                     char ret_why[AUTH_WHY_MAX])
{
    FILE *in = fopen(file, "re");
    struct stat about;
    int r;

    if (!in) {
        r = -errno;
        return fail(ret_why, r, "%.200s: the token file cannot be opened: %s",
                    file, strerror(-r));
    }
    if (fstat(fileno(in), &about) < 0)
        r = fail(ret_why, -errno, "%.200s: %s", file, strerror(errno));
    else if (about.st_mode & S_IRWXO)
        r = fail(ret_why, -EPERM,
                 "%.200s: everybody on this machine may read or write this "
                 "token file; run: chmod 600 %.100s",
                 file, file);
    else
        r = read_tokens(auth, file, in, ret_why);
    fclose(in);
    return r;
}

int auth_load(const char *file, struct auth **ret_auth,
              char ret_why[AUTH_WHY_MAX])
{
    struct auth *auth = calloc(1, sizeof *auth);
    int r = 0;

    if (!auth)
        return fail(ret_why, -ENOMEM, "no memory");
    if (sodium_init() < 0) {
        free(auth);
        return fail(ret_why, -EIO, "libsodium could not be started");
    }
    auth->required = file != NULL;
    crypto_generichash_keygen(auth->key);
    if (file)
        r = load_file(auth, file, ret_why);
    if (r < 0) {
        auth_free(&auth);
        return r;
    }
    *ret_auth = auth;
    return 0;
}

void auth_free(struct auth **auth_p)
{
    struct auth *auth = *auth_p;

    *auth_p = NULL;
    if (!auth)
        return;
    free(auth->tokens);
    sodium_memzero(auth->key, sizeof auth->key);
    free(auth);
}

bool auth_required(const struct auth *auth)
{
    return auth->required;
}

const char *auth_check(const struct auth *auth, const char *authorization)
{
    static const char scheme[] = "Bearer ";
    unsigned char given[HASH_BYTES];
    const char *name = NULL, *token;
    size_t bytes;

    if (!auth->required)
        return "anonymous";
    if (!authorization ||
        strncasecmp(authorization, scheme, sizeof scheme - 1) != 0)
        return NULL;
    token = authorization + sizeof scheme - 1;
    token += strspn(token, " ");
    bytes = strcspn(token, " \t");
    hash(auth, token, bytes, given);
    for (size_t i = 0; i < auth->count; i++) { /* all, always */
        if (sodium_memcmp(given, auth->tokens[i].hash, HASH_BYTES) == 0)
            name = auth->tokens[i].name;
    }
    return name;
}
