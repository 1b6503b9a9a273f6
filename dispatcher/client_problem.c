/* client_problem.c - see client.h: what an answer means, for scripts (exit
 * codes) and for people (text) */
#include "dispatcher/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum client_exit client_exit_error(int error)
{
    switch (error) {
    case 0:
        return EXIT_OK;
    case -ECONNREFUSED:
        return EXIT_UNREACHABLE;
    case -ETIMEDOUT:
        return EXIT_TIMEOUT;
    default:
        return EXIT_FAILED;
    }
}

static const struct {
    const char *code;
    enum client_exit means;
} codes[] = {
    {"POOL_CLOSED", EXIT_REFUSED}, {"LINE_FULL", EXIT_REFUSED},
    {"TOO_BIG", EXIT_REFUSED},     {"NO_ENGINE", EXIT_REFUSED},
    {"DRAINING", EXIT_REFUSED},    {"STORE_FULL", EXIT_REFUSED},
};

static const struct {
    long status;
    enum client_exit means;
} statuses[] = {
    {401, EXIT_AUTH},    {403, EXIT_AUTH},        {404, EXIT_NOT_FOUND},
    {408, EXIT_TIMEOUT}, {409, EXIT_CONFLICT},    {412, EXIT_CONFLICT},
    {429, EXIT_REFUSED}, {502, EXIT_UNREACHABLE}, {503, EXIT_UNREACHABLE},
    {504, EXIT_TIMEOUT},
};

enum client_exit client_exit_answer(const struct client_answer *answer)
{
    const char *code = json_string_value(json_object_get(answer->body, "code"));

    if (answer->status >= 200 && answer->status < 300)
        return EXIT_OK;
    for (size_t i = 0; code && i < sizeof codes / sizeof codes[0]; i++)
        if (strcmp(codes[i].code, code) == 0)
            return codes[i].means;
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
        if (statuses[i].status == answer->status)
            return statuses[i].means;
    return EXIT_FAILED;
}

enum client_exit client_exit_state(const char *state)
{
    static const struct {
        const char *state;
        enum client_exit means;
    } ends[] = {
        {"COMPLETED", EXIT_OK},
        {"FAILED", EXIT_RUN_FAILED},
        {"CANCELLED", EXIT_RUN_CANCELLED},
        {"CRASHED", EXIT_RUN_CRASHED},
        {"TIMED_OUT", EXIT_RUN_TIMED_OUT},
    };

    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (strcmp(ends[i].state, state) == 0)
            return ends[i].means;
    return EXIT_FAILED;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text && *text ? text : NULL;
}

/* A malloc'ed copy of text in which "/workflow/nodes" has become "/nodes". */
static char *unwrap(const char *text, const char *envelope)
{
    size_t len = envelope ? strlen(envelope) : 0;
    char *copy = plain_format("%s", text);
    char *to = copy;

    for (const char *at = copy; *at; at++) {
        if (len > 0 && strncmp(at, envelope, len) == 0 &&
            (at[len] == '/' || (!at[len] && at == copy)))
            at += len;
        *to++ = *at;
        if (!*at)
            return copy;
    }
    *to = '\0';
    return copy;
}

static void problem_errors(const struct screen *screen, const char *envelope,
                           const json_t *errors)
{
    size_t count = json_array_size(errors);

    for (size_t i = 0; i < count; i++) {
        const json_t *error = json_array_get(errors, i);
        const char *detail = text_of(error, "detail");
        const char *place = text_of(error, "pointer");
        char *pointer = unwrap(place ? place : "", envelope);
        char *what = unwrap(detail ? detail : "(no detail)", envelope);
        char *line =
            plain_format("%s: %s", *pointer ? pointer : "(document)", what);
        screen_put(screen, STYLE_BAD, "  %s ",
                   screen_ornament(screen, ORNAMENT_DOT));
        screen_wrap(screen, STYLE_PLAIN, 4, 4, line);
        free(line);
        free(what);
        free(pointer);
    }
}

/* An answer that is no problem+json: not ours, or a gateway's. */
static void problem_foreign(const struct screen *screen, const char *tried,
                            const struct client_answer *answer)
{
    char *start = plain_clean(answer->text ? answer->text : "",
                              answer->bytes < 160 ? answer->bytes : 160, false);

    screen_put(screen, STYLE_BAD, "%s: ", tried);
    screen_put(screen, STYLE_PLAIN, "the answer was HTTP %ld%s%s\n",
               answer->status, *start ? ": " : "", start);
    free(start);
}

static bool detail_adds(const char *title, const char *detail)
{
    return detail && (!title || strcmp(title, detail) != 0);
}

void client_problem(const struct screen *screen, const char *tried,
                    const char *envelope, const struct client_answer *answer)
{
    const json_t *body = answer->body;
    const char *title = text_of(body, "title");
    const char *detail = text_of(body, "detail");
    const char *hint = text_of(body, "hint");
    const json_t *errors = json_object_get(body, "errors");

    if (!title && !detail) {
        problem_foreign(screen, tried, answer);
        return;
    }
    screen_put(screen, STYLE_BAD, "%s: ", tried);
    screen_wrap(screen, STYLE_BOLD, plain_columns(tried) + 2, 2,
                title ? title : detail);
    if (title && json_array_size(errors) == 0 && detail_adds(title, detail)) {
        screen_put(screen, STYLE_PLAIN, "  ");
        screen_wrap(screen, STYLE_PLAIN, 2, 2, detail);
    }
    problem_errors(screen, envelope, errors);
    if (hint) {
        screen_put(screen, STYLE_NAME, "  %s ",
                   screen_ornament(screen, ORNAMENT_ARROW));
        screen_wrap(screen, STYLE_PLAIN, 4, 4, hint);
    }
    if (answer->retry_after_s > 0)
        screen_put(screen, STYLE_DIM, "  try again in %.0f s\n",
                   answer->retry_after_s);
}
