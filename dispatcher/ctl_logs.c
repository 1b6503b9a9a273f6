/* ctl_logs.c - see ctl.h: what a run's nodes wrote. On a terminal it is cleaned
 * like everything else; into a file or a pipe it goes as it is, and with --node
 * without any names before it: `dispatchctl logs RUN --node N > out`. */
#include "dispatcher/ctl.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FOLLOW_MS = 300 };

struct reader {
    struct ctl *ctl;
    const char *run_id;
    const char *node; /* --node, or NULL */
    double attempt;   /* whose output is read; 0: the last */
    double after;     /* last event of it that was read */
    size_t shown;     /* records */
    char *open;       /* "node/stream" whose last line has not ended; or NULL */
    int code;
};

/* ---- showing ----------------------------------------------------------- */

static void show_text(const struct screen *screen, enum style style,
                      const char *text, size_t bytes)
{
    if (screen->tty) {
        char *clean = plain_clean(text, bytes, false);
        screen_text(screen, style, clean);
        free(clean);
    } else {
        (void)fwrite(text, 1, bytes, screen->out);
    }
}

static enum style stream_style(const char *stream)
{
    if (strcmp(stream, "agent") == 0)
        return STYLE_DIM;
    return strcmp(stream, "stderr") == 0 ? STYLE_WARN : STYLE_PLAIN;
}

/* Ends the line that another node or stream has left open. */
static void end_line(struct reader *reader, const char *next)
{
    if (reader->open && (!next || strcmp(reader->open, next) != 0)) {
        (void)fputc('\n', reader->ctl->out.out);
        free(reader->open);
        reader->open = NULL;
    }
}

/* A record may begin and end in the middle of a line. */
static void show_record(struct reader *reader, const json_t *record)
{
    const struct screen *screen = &reader->ctl->out;
    const json_t *value = pick(record, "text");
    const char *text = json_string_value(value);
    size_t bytes = json_string_length(value);
    const char *stream = pick_text(record, "stream", "");
    const char *node = pick_text(record, "node", "-");
    char *from = plain_format("%s/%s", node, stream);

    end_line(reader, from);
    while (text && bytes > 0) {
        const char *end = memchr(text, '\n', bytes);
        size_t len = end ? (size_t)(end - text) : bytes;
        if (!reader->open && !reader->node) {
            screen_put(screen, STYLE_NAME, "%s", node);
            screen_put(screen, STYLE_DIM, " | ");
        }
        show_text(screen, stream_style(stream), text, len);
        free(reader->open);
        reader->open = end ? NULL : plain_format("%s", from);
        if (end)
            (void)fputc('\n', screen->out);
        len += end != NULL;
        text += len;
        bytes -= len;
    }
    free(from);
}

/* ---- reading ----------------------------------------------------------- */

/* One page after the last one. true: there may be more at once. */
static bool read_page(struct reader *reader)
{
    char *after = plain_format("%.0f", reader->after);
    char *attempt = plain_format("%.0f", reader->attempt);
    struct client_call call = {.path = "/api/v1/runs/{}/logs",
                               .texts = {reader->run_id},
                               .query = {"after", after, "attempt", attempt}};
    struct client_answer answer = {0};

    if (reader->node) {
        call.query[4] = "node";
        call.query[5] = reader->node;
    }
    reader->code = ctl_call(reader->ctl, &call, &answer);
    free(after);
    free(attempt);
    if (reader->code)
        return false;
    const json_t *items = pick(answer.body, "items");
    double last = pick_number(answer.body, "next", reader->after);
    bool more = pick_true(answer.body, "more") && last > reader->after;
    if (reader->ctl->json && json_array_size(items) > 0)
        ctl_print_json(&reader->ctl->out, answer.text, answer.bytes);
    for (size_t i = 0; !reader->ctl->json && i < json_array_size(items); i++)
        show_record(reader, json_array_get(items, i));
    reader->shown += json_array_size(items);
    reader->after = last;
    client_answer_clear(&answer);
    (void)fflush(reader->ctl->out.out);
    return more;
}

/* What is read next: has the run ended, has another attempt begun? Sets
 * reader->code when that cannot be known. */
static bool look_at_run(struct reader *reader, double *ret_attempt)
{
    const struct client_call call = {.path = "/api/v1/runs/{}",
                                     .texts = {reader->run_id}};
    struct client_answer answer = {0};

    reader->code = ctl_call(reader->ctl, &call, &answer);
    if (reader->code)
        return true;
    bool ended = ctl_state_final(pick_text(answer.body, "state", ""));
    *ret_attempt = pick_number(answer.body, "attempt", 0);
    client_answer_clear(&answer);
    return ended;
}

/* Reads all there is; the run is looked at before, so that what it wrote until
 * then is read for certain. */
static void follow(struct reader *reader)
{
    const struct timespec rest = {.tv_nsec = FOLLOW_MS * 1000000L};
    double attempt = 0;

    for (;;) {
        bool ended = look_at_run(reader, &attempt);
        if (reader->attempt == 0)
            reader->attempt = attempt;
        while (reader->code == 0 && read_page(reader))
            continue;
        if (reader->code)
            return;
        if (reader->attempt < attempt) {
            end_line(reader, NULL);
            reader->attempt++;
            reader->after = 0;
            screen_put(&reader->ctl->err, STYLE_DIM, "attempt %.0f\n",
                       reader->attempt);
            continue;
        }
        if (ended)
            return;
        (void)nanosleep(&rest, NULL);
    }
}

int ctl_cmd_logs(struct ctl *ctl)
{
    char id[CTL_RUN_ID_TEXT];
    struct reader reader = {
        .ctl = ctl, .run_id = id, .node = ctl_option(ctl, "node")};
    bool live = ctl_option(ctl, "follow") != NULL;
    int code = ctl_run_id(ctl, ctl->args[0], id);

    if (code)
        return code;
    if (live)
        follow(&reader);
    else
        while (read_page(&reader))
            continue;
    if (!reader.node || ctl->out.tty)
        end_line(&reader, NULL);
    free(reader.open);
    if (reader.code == 0 && reader.shown == 0 && !ctl->json)
        screen_put(&ctl->err, STYLE_DIM, "%s\n",
                   live ? "it has written nothing"
                        : "it has written nothing so far");
    return reader.code;
}
