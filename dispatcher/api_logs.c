/* GET runs/{run}/logs: text for people ("node | line"), JSON by Accept. */
#include "dispatcher/api_runs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BYTES_PRESET = 256 * 1024,
    BYTES_MAX = 4 * 1024 * 1024,
};

struct printing {
    const json_t *nodes;
    uint32_t only; /* node, or API_NO_NODE */
    uint64_t bytes;
    FILE *text; /* or */
    json_t *list;
    uint32_t open_node; /* whose last line has not ended, or API_NO_NODE */
    uint8_t open_stream;
};

static const char *stream_name(uint8_t stream)
{
    static const char *const names[] = {"agent", "stdout", "stderr"};

    return stream < sizeof names / sizeof *names ? names[stream] : "other";
}

static const char *node_name(const struct printing *p, uint32_t node)
{
    const char *id = plan_node_id(p->nodes, node);

    return id ? id : "-";
}

/* A chunk may begin and end in the middle of a line; a line goes on as long as
 * nobody else has written. */
static void print_text(struct printing *p, const struct log_record *log)
{
    const char *at = log->text, *end = log->text + log->text_bytes;
    bool going_on = p->open_node == log->node && p->open_stream == log->stream;

    if (p->open_node != API_NO_NODE && !going_on)
        fputc('\n', p->text);
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline ? newline : end;

        if (!going_on)
            fprintf(p->text, "%s | ", node_name(p, log->node));
        fwrite(at, 1, (size_t)(stop - at), p->text);
        going_on = !newline;
        if (newline)
            fputc('\n', p->text);
        at = stop + 1;
    }
    p->open_node = going_on ? log->node : API_NO_NODE;
    p->open_stream = log->stream;
}

static void add_entry(struct printing *p, uint64_t event,
                      const struct log_record *log)
{
    json_t *o = json_object();

    json_set(o, "event", json_count(event));
    json_set(o, "node", json_text(plan_node_id(p->nodes, log->node)));
    json_set(o, "stream", json_text(stream_name(log->stream)));
    json_set(o, "at", json_time(log->at_unix_ms));
    json_set(o, "text", json_text_bytes(log->text, log->text_bytes));
    json_array_append_new(p->list, o);
}

static void each_log(void *context, uint64_t event,
                     const struct log_record *log)
{
    struct printing *p = context;

    p->bytes += log->text_bytes;
    if (p->only != API_NO_NODE && p->only != log->node)
        return;
    if (p->text)
        print_text(p, log);
    else
        add_entry(p, event, log);
}

struct request_of_logs {
    struct run_id id;
    uint64_t attempt, after, limit;
    bool json;
};

static void answer_text(struct call *call, const struct request_of_logs *want,
                        struct printing *p)
{
    struct http_reply reply = {.status = 200,
                               .content_type = "text/plain; charset=utf-8"};
    uint64_t last = want->after;
    int r;

    p->text = open_memstream(&reply.body, &reply.body_bytes);
    if (!p->text) {
        answer_no_memory(call);
        return;
    }
    r = history_logs(call->api->reader, &want->id, (uint32_t)want->attempt,
                     want->after, want->limit, each_log, p, &last);
    if (p->open_node != API_NO_NODE)
        fputc('\n', p->text);
    if (fclose(p->text) != 0 && r == 0)
        r = -ENOMEM;
    if (r < 0) {
        free(reply.body);
        answer_run_error(call, r);
        return;
    }
    http_reply_header(&reply, "X-Next-After", "%llu", (unsigned long long)last);
    answer(call, &reply);
}

static void answer_entries(struct call *call,
                           const struct request_of_logs *want,
                           struct printing *p)
{
    uint64_t last = want->after;
    json_t *o;
    int r;

    p->list = json_array();
    r = history_logs(call->api->reader, &want->id, (uint32_t)want->attempt,
                     want->after, want->limit, each_log, p, &last);
    if (r < 0) {
        json_decref(p->list);
        answer_run_error(call, r);
        return;
    }
    o = json_object();
    json_set(o, "items", p->list);
    json_set(o, "next", json_count(last));
    json_set(o, "more", json_boolean(p->bytes >= want->limit));
    answer_json(call, 200, o);
}

void api_run_logs(struct call *call)
{
    const char *accept = http_header(call->request, "Accept");
    struct printing printing = {.open_node = API_NO_NODE};
    struct request_of_logs want;
    json_t *nodes;
    int r;

    if (!call_run_id(call, &want.id) ||
        !call_query_number(call, "attempt", 0, UINT32_MAX, &want.attempt) ||
        !call_query_number(call, "after", 0, INT64_MAX, &want.after) ||
        !call_query_number(call, "limit_bytes", BYTES_PRESET, BYTES_MAX,
                           &want.limit))
        return;
    want.json = accept && strstr(accept, "application/json");
    r = plan_nodes_read(call->api->reader, &want.id, &nodes);
    if (r < 0) {
        answer_run_error(call, r);
        return;
    }
    printing.nodes = nodes;
    if (call_node(call, nodes, &printing.only)) {
        if (want.json)
            answer_entries(call, &want, &printing);
        else
            answer_text(call, &want, &printing);
    }
    json_decref(nodes);
}
