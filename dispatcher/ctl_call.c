/* ctl_call.c - see ctl.h: calls to the broker, with what can go wrong said */
#include "dispatcher/ctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int ctl_connect(struct ctl *ctl)
{
    char why[CLIENT_WHY_MAX];
    char token[CLIENT_TOKEN_MAX];
    const char *file = ctl_option(ctl, "token-file");

    if (ctl->client)
        return 0;
    if (file && client_token_read(file, token, why) < 0)
        return ctl_fail(ctl, EXIT_USAGE, "%s", why);
    if (client_new(ctl_option(ctl, "url"), file ? token : NULL, &ctl->client,
                   why) < 0)
        return ctl_fail(ctl, EXIT_USAGE, "%s", why);
    if (client_token_exposed(ctl->client))
        screen_put(&ctl->err, STYLE_WARN,
                   "warning: the token travels to %s in the clear; use "
                   "https:// or a tunnel\n",
                   client_base_of(ctl->client));
    return 0;
}

int ctl_refused(struct ctl *ctl, const struct client_answer *answer)
{
    if (ctl->json && answer->body) {
        ctl_print_json(&ctl->err, answer->text, answer->bytes);
    } else {
        char *tried = plain_format("dispatchctl %s", ctl->command->name);
        client_problem(&ctl->err, tried, ctl->envelope, answer);
        free(tried);
    }
    if (answer->status == 401)
        screen_put(&ctl->err, STYLE_DIM,
                   "  give the token in DISPATCH_TOKEN or with --token-file\n");
    return (int)client_exit_answer(answer);
}

static int unreached(struct ctl *ctl, int error)
{
    int code = (int)client_exit_error(error);

    (void)ctl_fail(ctl, code, "%s", client_why(ctl->client));
    if (code == EXIT_UNREACHABLE)
        screen_put(&ctl->err, STYLE_DIM,
                   "  is it running there? Another address: --url URL or "
                   "DISPATCH_URL. To start one: dispatcher --dev --http "
                   "127.0.0.1:8080\n");
    return code;
}

int ctl_call(struct ctl *ctl, const struct client_call *call,
             struct client_answer *ret)
{
    struct client_answer answer = {0};
    int code = ctl_connect(ctl);

    if (code)
        return code;
    int error = client_call(ctl->client, call, &answer);
    if (error)
        return unreached(ctl, error);
    if (answer.status < 200 || answer.status > 299) {
        code = ctl_refused(ctl, &answer);
    } else if (!json_is_object(answer.body) && !json_is_array(answer.body)) {
        code = ctl_fail(ctl, EXIT_FAILED,
                        "what answers at %s is no dispatcher: HTTP %ld, and "
                        "not JSON",
                        client_base_of(ctl->client), answer.status);
    }
    if (code) {
        client_answer_clear(&answer);
        return code;
    }
    *ret = answer;
    return 0;
}

int ctl_call_shown(struct ctl *ctl, const struct client_call *call,
                   void (*show)(const struct screen *screen,
                                const json_t *body))
{
    struct client_answer answer = {0};
    int code = ctl_call(ctl, call, &answer);

    if (code)
        return code;
    if (ctl->json)
        ctl_print_json(&ctl->out, answer.text, answer.bytes);
    else
        show(&ctl->out, answer.body);
    client_answer_clear(&answer);
    return EXIT_OK;
}

/* ---- JSON as it came --------------------------------------------------- */

static void put_string(FILE *out, const char *text, size_t bytes, bool tty)
{
    char *clean = tty ? plain_clean(text, bytes, false) : NULL;
    bool harmless =
        !clean || (strlen(clean) == bytes && memcmp(clean, text, bytes) == 0);

    if (harmless) {
        (void)fwrite(text, 1, bytes, out);
    } else { /* the same value, in ASCII */
        json_t *value =
            json_loadb(text, bytes, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        char *ascii = json_dumps(value, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
        for (const char *at = ascii ? ascii : clean; *at; at++) {
            if (*at == 0x7F)
                (void)fputs("\\u007f", out);
            else
                (void)fputc(*at, out);
        }
        free(ascii);
        json_decref(value);
    }
    free(clean);
}

/* Bytes of the string that begins at text[0] == '"'. */
static size_t string_bytes(const char *text, size_t bytes)
{
    size_t at = 1;

    while (at < bytes && text[at] != '"')
        at += text[at] == '\\' ? 2 : 1;
    return at < bytes ? at + 1 : bytes;
}

static void new_line(FILE *out, int depth)
{
    (void)fprintf(out, "\n%*s", depth * 2, "");
}

/* Numbers and strings stay letter by letter as the broker wrote them; only the
 * white space between them is ours. The text has been parsed before. */
void ctl_print_json(const struct screen *screen, const char *text, size_t bytes)
{
    FILE *out = screen->out;
    int depth = 0;

    for (size_t i = 0; i < bytes; i++) {
        char c = text[i];
        size_t next = i + 1 + strspn(text + i + 1, " \t\r\n");
        if (c == '"') {
            size_t len = string_bytes(text + i, bytes - i);
            put_string(out, text + i, len, screen->tty);
            i += len - 1;
        } else if ((c == '{' || c == '[') &&
                   (text[next] == '}' || text[next] == ']')) {
            (void)fprintf(out, "%c%c", c, text[next]);
            i = next;
        } else if (c == '{' || c == '[') {
            (void)fputc(c, out);
            new_line(out, ++depth);
        } else if (c == '}' || c == ']') {
            new_line(out, --depth);
            (void)fputc(c, out);
        } else if (c == ',') {
            (void)fputc(c, out);
            new_line(out, depth);
        } else if (c == ':') {
            (void)fputs(": ", out);
        } else if (!strchr(" \t\r\n", c)) {
            (void)fputc(c, out);
        }
    }
    (void)fputc('\n', out);
}

/* ---- run ids ----------------------------------------------------------- */

enum { ID_PART_MIN = 4, ID_TEXT_LEN = CTL_RUN_ID_TEXT - 1 };

static bool is_id_text(const char *text)
{
    return strspn(text, "0123456789abcdefABCDEF-") == strlen(text) &&
           strlen(text) <= ID_TEXT_LEN;
}

static bool id_fits(const char *id, const char *part)
{
    size_t len = strlen(part);
    size_t id_len = strlen(id);

    return id_len >= len && (strncasecmp(id, part, len) == 0 ||
                             strcasecmp(id + id_len - len, part) == 0);
}

int ctl_run_id(struct ctl *ctl, const char *given, char ret_id[CTL_RUN_ID_TEXT])
{
    struct client_call call = {.path = "/api/v1/runs",
                               .query = {"limit", "200"}};
    struct client_answer answer = {0};
    size_t found = 0;

    if (!is_id_text(given) || strlen(given) < ID_PART_MIN)
        return ctl_usage(ctl,
                         "'%s' is no run id: it looks like "
                         "01939f5e-7a11-7c3e-9d1f-2b8a5c0d4e6f; %d characters "
                         "of its beginning or end will do",
                         given, ID_PART_MIN);
    if (strlen(given) == ID_TEXT_LEN) {
        memcpy(ret_id, given, CTL_RUN_ID_TEXT);
        return 0;
    }
    int code = ctl_call(ctl, &call, &answer);
    if (code)
        return code;
    const json_t *items = pick(answer.body, "items");
    for (size_t i = 0; i < json_array_size(items); i++) {
        const char *id = pick_text(json_array_get(items, i), "run_id", "");
        if (!id_fits(id, given) || strlen(id) != ID_TEXT_LEN)
            continue;
        memcpy(ret_id, id, CTL_RUN_ID_TEXT);
        found++;
    }
    client_answer_clear(&answer);
    if (found == 0)
        return ctl_fail(ctl, EXIT_NOT_FOUND,
                        "no run among the newest 200 begins or ends with "
                        "'%s'; give the whole id, or look with 'dispatchctl "
                        "ps --all'",
                        given);
    if (found > 1)
        return ctl_fail(ctl, EXIT_USAGE,
                        "%zu of the newest runs begin or end with '%s'; give "
                        "more of it",
                        found, given);
    return 0;
}
