/* ctl_run.c - see ctl.h: the commands that take a document (run, plan,
 * validate), and cancel */
#include "dispatcher/config.h"
#include "dispatcher/ctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- the document ------------------------------------------------------ */

enum { DOCUMENT_MAX = 64 * 1024 * 1024, PREVIEW_ROWS_MAX = 100 };

struct document {
    char *text; /* JSON, checked; NUL-terminated */
    size_t bytes;
};

static int read_all(FILE *file, struct document *ret)
{
    size_t capacity = 0;
    size_t got = 0;

    *ret = (struct document){0};
    do {
        if (ret->bytes + 2 > capacity) {
            capacity = capacity ? capacity * 2 : 65536;
            char *text = realloc(ret->text, capacity);
            if (!text)
                return -ENOMEM;
            ret->text = text;
        }
        got = fread(ret->text + ret->bytes, 1, capacity - ret->bytes - 1, file);
        ret->bytes += got;
        if (ret->bytes > DOCUMENT_MAX)
            return -EFBIG;
    } while (got > 0);
    ret->text[ret->bytes] = '\0';
    return ferror(file) ? -EIO : 0;
}

/* Broken JSON is said here, with its line, before it costs a round trip; all
 * else is the broker's to judge. */
static int check_json(struct ctl *ctl, const char *name,
                      const struct document *document)
{
    json_error_t error;
    json_t *value = json_loadb(document->text, document->bytes, 0, &error);

    if (value) {
        json_decref(value);
        return 0;
    }
    if (document->bytes == 0)
        return ctl_fail(ctl, EXIT_FAILED, "%s is empty", name);
    return ctl_fail(ctl, EXIT_FAILED, "%s:%d:%d: this is not JSON: %s", name,
                    error.line, error.column, error.text);
}

static int read_document(struct ctl *ctl, struct document *ret)
{
    const char *name = ctl->args[0];
    bool standard = strcmp(name, "-") == 0;
    FILE *file = standard ? stdin : fopen(name, "re");

    if (!file)
        return ctl_fail(ctl, EXIT_FAILED, "cannot read '%s': %s", name,
                        strerror(errno));
    errno = 0;
    int error = read_all(file, ret);
    int why = errno;
    if (!standard)
        (void)fclose(file);
    int code = 0;
    if (error == -EFBIG)
        code = ctl_fail(ctl, EXIT_FAILED, "'%s' is over %d MiB", name,
                        DOCUMENT_MAX >> 20);
    else if (error)
        code = ctl_fail(ctl, EXIT_FAILED, "cannot read '%s': %s", name,
                        strerror(why ? why : -error));
    else
        code = check_json(ctl, standard ? "standard input" : name, ret);
    if (code) {
        free(ret->text);
        *ret = (struct document){0};
    }
    return code;
}

/* ---- the request ------------------------------------------------------- */

static int want_size(struct ctl *ctl, json_t *request)
{
    const char *text = ctl_option(ctl, "size");
    int64_t bytes = 0;

    if (!text)
        return 0;
    if (config_parse_size(text, &bytes) < 0)
        return ctl_usage(ctl, "--size '%s' is no size: 4096, 64MiB, 2GiB",
                         text);
    json_object_set_new(request, "size_bytes", json_integer(bytes));
    return 0;
}

static int want_timeout(struct ctl *ctl, json_t *request)
{
    const char *text = ctl_option(ctl, "timeout");
    uint64_t ms = 0;

    if (!text)
        return 0;
    if (config_parse_duration(text, &ms) < 0 || ms == 0)
        return ctl_usage(ctl, "--timeout '%s' is no time: 90s, 5m, 2h", text);
    json_object_set_new(request, "timeout_s", json_real((double)ms / 1000));
    return 0;
}

static int want_retries(struct ctl *ctl, json_t *request)
{
    const char *text = ctl_option(ctl, "retries");
    char *end = NULL;
    long count = text ? strtol(text, &end, 10) : 0;

    if (!text)
        return 0;
    if (!*text || *end || count < 0 || count > 1000000)
        return ctl_usage(ctl, "--retries '%s' is no number of attempts", text);
    json_object_set_new(request, "retries", json_integer(count));
    return 0;
}

static int want_preview(struct ctl *ctl, json_t *request)
{
    const char *text = ctl_option(ctl, "preview");
    char *end = NULL;
    long rows = text ? strtol(text, &end, 10) : 0;

    if (!text)
        return 0;
    if (!*text || *end || rows < 0 || rows > PREVIEW_ROWS_MAX)
        return ctl_usage(ctl,
                         "--preview '%s' is no number of rows from 0 to "
                         "%d",
                         text, PREVIEW_ROWS_MAX);
    json_object_set_new(request, "preview_rows", json_integer(rows));
    return 0;
}

static int want_start(struct ctl *ctl, json_t *request)
{
    const char *text = ctl_option(ctl, "start-at");
    uint64_t ms = 0;
    char at[40] = "";
    struct tm tm;

    if (!text)
        return 0;
    if (text[0] != '+') { /* the broker reads it */
        json_object_set_new(request, "start_at", json_string(text));
        return 0;
    }
    if (config_parse_duration(text + 1, &ms) < 0 ||
        ms > UINT64_C(1000) * 86400 * 36500)
        return ctl_usage(ctl,
                         "--start-at '%s' is no time from now: +30s, "
                         "+10m, +2h",
                         text);
    time_t when = (time_t)(plain_now() + (double)ms / 1000 + 0.999);
    if (!gmtime_r(&when, &tm) ||
        strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        return ctl_usage(ctl, "--start-at '%s' is too far away", text);
    json_object_set_new(request, "start_at", json_string(at));
    return 0;
}

static int want_parameters(struct ctl *ctl, json_t *request)
{
    json_t *parameters = json_object();
    const char *text = NULL;
    size_t at = 0;
    int code = 0;

    while (code == 0 && (text = ctl_option_next(ctl, "param", &at))) {
        const char *equals = strchr(text, '=');
        if (!equals || equals == text) {
            code = ctl_usage(ctl, "--param '%s' is not NAME=VALUE", text);
            continue;
        }
        char *name = plain_format("%.*s", (int)(equals - text), text);
        if (json_object_set_new(parameters, name, json_string(equals + 1)) < 0)
            code = ctl_usage(ctl, "--param '%s' is not UTF-8", text);
        free(name);
    }
    if (code == 0 && json_object_size(parameters) > 0)
        json_object_set(request, "parameters", parameters);
    json_decref(parameters);
    return code;
}

static int want_words(struct ctl *ctl, json_t *request)
{
    static const struct {
        const char *option;
        const char *key;
    } words[] = {{"pool", "preferred_pool"},
                 {"priority", "priority"},
                 {"on-lost", "on_lost"}};
    json_t *tags = json_array();
    const char *tag = NULL;
    size_t at = 0;
    int code = 0;

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        const char *text = ctl_option(ctl, words[i].option);
        if (text &&
            json_object_set_new(request, words[i].key, json_string(text)) < 0)
            code =
                ctl_usage(ctl, "--%s '%s' is not UTF-8", words[i].option, text);
    }
    while ((tag = ctl_option_next(ctl, "tag", &at)))
        if (json_array_append_new(tags, json_string(tag)) < 0)
            code = ctl_usage(ctl, "--tag '%s' is not UTF-8", tag);
    if (json_array_size(tags) > 0)
        json_object_set(request, "tags", tags);
    if (ctl_option(ctl, "no-fallback"))
        json_object_set_new(request, "allow_fallback", json_false());
    json_decref(tags);
    return code;
}

/* {"workflow": <the text as it is>, <what the options say>}; malloc'ed. */
static int make_request(struct ctl *ctl, const struct document *document,
                        char **ret_body)
{
    static int (*const wants[])(struct ctl *, json_t *) = {
        want_words,   want_size,  want_timeout,   want_retries,
        want_preview, want_start, want_parameters};
    json_t *request = json_object();
    int code = 0;

    for (size_t i = 0; code == 0 && i < sizeof wants / sizeof wants[0]; i++)
        code = wants[i](ctl, request);
    char *options = code == 0 ? json_dumps(request, JSON_COMPACT) : NULL;
    if (options) {
        *ret_body = plain_format("{\"workflow\":%s%s%s", document->text,
                                 options[1] == '}' ? "" : ",", options + 1);
    } else if (code == 0) {
        code = ctl_fail(ctl, EXIT_FAILED, "out of memory");
    }
    free(options);
    json_decref(request);
    return code;
}

/* Reads the document, sends it to `path` with the options. */
static int send_document(struct ctl *ctl, const char *path,
                         struct client_answer *ret)
{
    struct document document = {0};
    char *body = NULL;
    int code = read_document(ctl, &document);

    if (code == 0)
        code = make_request(ctl, &document, &body);
    free(document.text);
    if (code == 0) {
        struct client_call call = {
            .method = "POST", .path = path, .body = body};
        ctl->envelope = "/workflow";
        code = ctl_call(ctl, &call, ret);
        ctl->envelope = NULL;
    }
    free(body);
    return code;
}

/* ---- the commands ------------------------------------------------------ */

static void show_submitted(const struct screen *screen, const json_t *answer)
{
    const json_t *decision = pick(answer, "decision");
    const char *chosen = pick_text(decision, "chosen_pool", NULL);
    const char *wanted = pick_text(decision, "wanted_pool", "");

    screen_put(screen, STYLE_PLAIN, "%s", pick_text(answer, "run_id", ""));
    if (!screen->tty) /* id=$(dispatchctl run ...) */
        screen_put(screen, STYLE_PLAIN, "\n");
    else if (!chosen)
        screen_put(screen, STYLE_WARN, "  waits in %s: %s\n", wanted,
                   pick_text(answer, "reason", ""));
    else if (strcmp(chosen, wanted) != 0)
        screen_put(screen, STYLE_DIM, "  %s %s %s\n", wanted,
                   screen_ornament(screen, ORNAMENT_ARROW), chosen);
    else
        screen_put(screen, STYLE_DIM, "  %s\n", chosen);
}

int ctl_cmd_run(struct ctl *ctl)
{
    struct client_answer answer = {0};
    bool watch = ctl_option(ctl, "watch") != NULL;
    bool wait = watch || ctl_option(ctl, "wait") != NULL;
    int code = send_document(ctl, "/api/v1/workers/execute", &answer);

    if (code)
        return code;
    char *id = plain_format("%s", pick_text(answer.body, "run_id", ""));
    if (!ctl->json)
        show_submitted(wait && !watch ? &ctl->err : &ctl->out, answer.body);
    else if (!wait)
        ctl_print_json(&ctl->out, answer.text, answer.bytes);
    client_answer_clear(&answer);
    if (wait)
        code = ctl_watch(ctl, id, !watch);
    bool ended = code == EXIT_OK || code >= EXIT_RUN_FAILED;
    if (watch && ended && !ctl->json && ctl_option(ctl, "preview"))
        (void)ctl_preview(ctl, id, NULL);
    free(id);
    return code;
}

/* Also when it would be refused: that is the answer, and the exit code says
 * it. */
int ctl_cmd_plan(struct ctl *ctl)
{
    struct client_answer answer = {0};
    int code = send_document(ctl, "/api/v1/workflows/plan", &answer);

    if (code)
        return code;
    bool refused = pick(answer.body, "refusal") != NULL;
    if (ctl->json)
        ctl_print_json(&ctl->out, answer.text, answer.bytes);
    else
        ctl_show_plan(&ctl->out, answer.body);
    client_answer_clear(&answer);
    return refused ? EXIT_REFUSED : EXIT_OK;
}

int ctl_cmd_validate(struct ctl *ctl)
{
    struct client_answer answer = {0};
    int code = send_document(ctl, "/api/v1/workflows/validate", &answer);

    if (code)
        return code;
    if (ctl->json) {
        ctl_print_json(&ctl->out, answer.text, answer.bytes);
    } else {
        screen_put(&ctl->out, STYLE_GOOD,
                   "%s valid: ", screen_ornament(&ctl->out, ORNAMENT_OK));
        screen_put(&ctl->out, STYLE_BOLD, "%s", ctl_workflow_name(answer.body));
        screen_put(&ctl->out, STYLE_DIM, ", %.0f nodes, %.0f edges%s\n",
                   pick_number(answer.body, "nodes", 0),
                   pick_number(answer.body, "edges", 0),
                   pick_true(answer.body, "edges_inferred")
                       ? " (inferred from its sequence numbers)"
                       : "");
    }
    client_answer_clear(&answer);
    return EXIT_OK;
}

int ctl_cmd_cancel(struct ctl *ctl)
{
    char id[CTL_RUN_ID_TEXT];
    struct client_answer answer = {0};
    const char *reason = ctl_option(ctl, "reason");
    json_t *request = json_object();
    int code = ctl_run_id(ctl, ctl->args[0], id);

    if (reason)
        json_object_set_new(request, "reason", json_string(reason));
    char *body = json_dumps(request, JSON_COMPACT);
    struct client_call call = {.method = "POST",
                               .path = "/api/v1/runs/{}/cancel",
                               .texts = {id},
                               .body = body};
    if (code == 0)
        code = ctl_call(ctl, &call, &answer);
    free(body);
    json_decref(request);
    if (code)
        return code;
    if (ctl->json) {
        ctl_print_json(&ctl->out, answer.text, answer.bytes);
    } else {
        const char *state = pick_text(answer.body, "state", "");
        screen_put(&ctl->out, STYLE_PLAIN, "%s ", id);
        screen_put(&ctl->out, ctl_state_style(state), "%s", state);
        screen_put(&ctl->out, STYLE_DIM, "  %s\n",
                   pick_text(answer.body, "message", ""));
    }
    client_answer_clear(&answer);
    return EXIT_OK;
}
