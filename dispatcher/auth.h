/*
 * auth.h - who is calling: bearer tokens from a file, "name token" a line, '#'
 * begins a comment line. Without a file everybody is "anonymous".
 *
 * Memory:  only keyed hashes of the tokens are kept.
 * Threads: any number may check at once.
 */
#ifndef DISPATCHER_AUTH_H
#define DISPATCHER_AUTH_H

#include <stdbool.h>

enum {
    AUTH_NAME_MAX = 64,
    AUTH_TOKEN_MIN = 16, /* characters; shorter ones can be guessed */
    AUTH_TOKENS_MAX = 1000,
    AUTH_WHY_MAX = 400,
};

struct auth;

/* file NULL: no authentication. -ENOENT, -EACCES: the file; -EPERM: others may
 * read it; -EINVAL: its content; -ENOMEM. ret_why: file, line, what to do. */
int auth_load(const char *file, struct auth **ret_auth,
              char ret_why[AUTH_WHY_MAX]);
void auth_free(struct auth **auth_p);

/* A token is needed. */
bool auth_required(const struct auth *auth);
/* The caller's name for an Authorization header (NULL: none sent), borrowed
 * from auth; NULL: refuse. Takes the same time whatever the token is. */
const char *auth_check(const struct auth *auth, const char *authorization);

#endif
