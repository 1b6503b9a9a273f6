/*
 * client.h - our programs' side of the HTTP API: one address, one token, JSON
 * in and out, problems as text for people, and the exit codes all of our
 * command-line programs share.
 *
 * Follows no redirects, uses no proxy, speaks http and https only, and reads no
 * more than CLIENT_BODY_MAX of an answer.
 *
 * Memory:  a client is freed with client_free(), an answer with
 *          client_answer_clear(). Running out of memory ends the program.
 * Threads: one client, one thread.
 * Errors:  0 or a negative errno for what happened on the way; an answer of the
 *          broker, also a refusal, is an answer (look at its status).
 */
#ifndef DISPATCHER_CLIENT_H
#define DISPATCHER_CLIENT_H

#include "dispatcher/screen.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Stable: scripts rely on these numbers. 0 to 8 say how the command went; from
 * 10 on, with --wait or --watch, how the run ended. */
enum client_exit {
    EXIT_OK = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_NOT_FOUND = 3,
    EXIT_CONFLICT = 4,
    EXIT_AUTH = 5,
    EXIT_UNREACHABLE = 6,
    EXIT_TIMEOUT = 7,
    EXIT_REFUSED = 8, /* by policy: pool closed, line full, too big, ... */
    EXIT_RUN_FAILED = 10,
    EXIT_RUN_CANCELLED = 11,
    EXIT_RUN_CRASHED = 12,
    EXIT_RUN_TIMED_OUT = 13,
};

enum {
    CLIENT_WHY_MAX = 512,
    CLIENT_BODY_MAX = 64 * 1024 * 1024,
    CLIENT_TOKEN_MAX = 4096,
    CLIENT_TIMEOUT_MS = 30000, /* an ordinary call, from start to end */
};

/* ---- addresses --------------------------------------------------------- */

#define CLIENT_URL_DEFAULT "http://127.0.0.1:8080"

/* The base address in its one form: "HOST:PORT" gains http://, slashes at the
 * end go. malloc'ed. -EINVAL: ret_why says what is wrong with it. */
int client_base(const char *url, char **ret_base, char ret_why[CLIENT_WHY_MAX]);
/* base + path, where each "{}" in the pattern is replaced by the next of the
 * texts, percent-encoded as one segment. malloc'ed. */
char *client_url(const char *base, const char *pattern,
                 const char *const texts[]);
/* Adds "?name=value" or "&name=value", encoded, to a malloc'ed address. */
void client_url_query(char **url_p, const char *name, const char *value);

/* The first line of a file, without the space around it. -EINVAL, or what
 * open() and read() return; ret_why says it. */
int client_token_read(const char *file, char ret_token[CLIENT_TOKEN_MAX],
                      char ret_why[CLIENT_WHY_MAX]);

/* ---- calls ------------------------------------------------------------- */

struct client;

/* url NULL: the environment's DISPATCH_URL, else the default; token NULL: the
 * environment's DISPATCH_TOKEN, else none. Copied. */
int client_new(const char *url, const char *token, struct client **ret_client,
               char ret_why[CLIENT_WHY_MAX]);
void client_free(struct client **client_p);
const char *client_base_of(const struct client *client); /* borrowed */
/* True when a token would travel in the clear to another machine. */
bool client_token_exposed(const struct client *client);
/* What the last failed call ran into, for people; borrowed. */
const char *client_why(const struct client *client);

struct client_answer {
    long status;  /* HTTP */
    json_t *body; /* NULL: empty or not JSON */
    char *text;   /* the body as it came, NUL-terminated; never NULL */
    size_t bytes;
    double retry_after_s; /* 0: not said */
};
void client_answer_clear(struct client_answer *answer);

struct client_call {
    const char *method;    /* NULL: GET */
    const char *path;      /* as client_url() */
    const char *texts[4];  /* for the "{}" of the path */
    const char *query[12]; /* name, value, ...; ended by NULL */
    const char *body;      /* JSON text or NULL */
    const char *prefer;    /* "wait=10" or NULL */
    long timeout_ms;       /* 0: CLIENT_TIMEOUT_MS */
};
/* -ECONNREFUSED: nobody there (also a name that does not resolve, TLS that
 * fails). -ETIMEDOUT. -EMSGSIZE: the answer is over CLIENT_BODY_MAX. -EPROTO:
 * not HTTP. */
int client_call(struct client *client, const struct client_call *call,
                struct client_answer *ret);

/* ---- what it means ----------------------------------------------------- */

/* Exit code for a failed call (0 -> EXIT_OK). */
enum client_exit client_exit_error(int error);
/* Exit code for an answer: 2xx is EXIT_OK; a problem's `code` is looked at
 * first, then the status. */
enum client_exit client_exit_answer(const struct client_answer *answer);
/* Exit code for a run's final state, "FAILED"; EXIT_OK for COMPLETED,
 * EXIT_FAILED for a word that is no final state. */
enum client_exit client_exit_state(const char *state);

/* Shows a refusal: title, each error with its pointer or else the detail, the
 * hint; what was tried ("run orders.json") begins the first line. envelope:
 * what we had put around the user's document ("/workflow"), taken away from the
 * pointers again; or NULL. */
void client_problem(const struct screen *screen, const char *tried,
                    const char *envelope, const struct client_answer *answer);

#endif
