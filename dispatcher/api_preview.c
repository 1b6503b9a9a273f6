/* GET runs/{run}/preview: the first rows of each node, as the agent sent them.
 *
 * A preview is JSON lines, the names of the columns and then a row each. It is
 * foreign text: a line is put into the answer only when it is a whole JSON
 * array, and then as it came, so that no number is rounded on its way. */
#include "dispatcher/api_runs.h"

#include "policy/workflow.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct previewing {
    const struct story *story;
    const json_t *nodes; /* of the plan */
    uint64_t wanted;     /* rows a node that were asked for */
    bool current;        /* of the run's present attempt */
    uint32_t only;       /* node, or API_NO_NODE */
    bool told[WORKFLOW_NODES_MAX];
    size_t count;
    FILE *out;
};

/* The next line, without its end; false: there is none. */
static bool next_line(const char **at, const char *end, const char **ret,
                      size_t *ret_len)
{
    const char *newline;

    if (*at >= end)
        return false;
    newline = memchr(*at, '\n', (size_t)(end - *at));
    *ret = *at;
    *ret_len = (size_t)((newline ? newline : end) - *at);
    *at = newline ? newline + 1 : end;
    return true;
}

static bool is_array(const char *line, size_t len)
{
    json_t *value =
        json_loadb(line, len, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
    bool array = json_is_array(value);

    json_decref(value);
    return array;
}

/* Puts an array after `before`; false: it is none, and nothing was put. An
 * integer that is too big for most readers goes out as what it is about. */
static bool put_array(FILE *out, const char *before, const char *line,
                      size_t len)
{
    json_t *value = json_loadb(line, len, JSON_ALLOW_NUL, NULL);
    bool whole = json_is_array(value);
    char *rounded = NULL;

    if (whole) {
        fprintf(out, "%s%.*s", before, (int)len, line);
    } else if (!value) {
        value = json_loadb(line, len, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL,
                           NULL);
        if (json_is_array(value))
            rounded = json_dumps(value, JSON_COMPACT);
        if (rounded)
            fprintf(out, "%s%s", before, rounded);
    }
    whole = whole || rounded;
    free(rounded);
    json_decref(value);
    return whole;
}

static void put_text(FILE *out, const char *text)
{
    json_t *value = json_text(text ? text : "");
    char *json = json_dumps(value, JSON_ENCODE_ANY);

    fputs(json ? json : "null", out);
    free(json);
    json_decref(value);
}

static const struct node_record *record_of(const struct previewing *p,
                                           uint32_t node)
{
    for (size_t i = 0; p->current && i < p->story->node_count; i++) {
        const struct node_record *record = p->story->nodes[i];

        if (record->node == node && record->attempt == p->story->run->attempt)
            return record;
    }
    return NULL;
}

/* Were rows left out for want of room? What was asked for is known, and mostly
 * how many there were. */
static bool is_cut(const struct previewing *p, uint64_t rows,
                   const struct node_record *record)
{
    return rows < p->wanted && record && record->state == RUN_NODE_COMPLETED &&
           record->rows_out != RUN_COUNT_UNKNOWN && record->rows_out > rows;
}

static void each_preview(void *context, uint64_t event,
                         const struct log_record *log)
{
    struct previewing *p = context;
    const char *at = log->text, *end = log->text + log->text_bytes, *line;
    const struct node_record *record;
    uint64_t rows = 0;
    size_t len;
    bool broken = false;

    (void)event;
    if (log->node >= json_array_size(p->nodes) ||
        log->node >= WORKFLOW_NODES_MAX || p->told[log->node] ||
        (p->only != API_NO_NODE && p->only != log->node) ||
        !next_line(&at, end, &line, &len) || !is_array(line, len))
        return;
    p->told[log->node] = true;
    fputs(p->count++ > 0 ? ",{\"id\":" : "{\"id\":", p->out);
    put_text(p->out, plan_node_id(p->nodes, log->node));
    (void)put_array(p->out, ",\"columns\":", line, len);
    fputs(",\"rows\":[", p->out);
    while (!broken && next_line(&at, end, &line, &len)) {
        broken = !put_array(p->out, rows > 0 ? "," : "", line, len);
        rows += !broken;
    }
    record = record_of(p, log->node);
    fprintf(p->out, "],\"cut\":%s,\"rows_out\":",
            broken || is_cut(p, rows, record) ? "true" : "false");
    if (record && record->rows_out != RUN_COUNT_UNKNOWN)
        fprintf(p->out, "%llu}", (unsigned long long)record->rows_out);
    else
        fputs("null}", p->out);
}

static void answer_previews(struct call *call, const struct run_id *id,
                            uint32_t attempt, struct previewing *p)
{
    struct http_reply reply = {.status = 200,
                               .content_type = "application/json"};
    int r;

    p->out = open_memstream(&reply.body, &reply.body_bytes);
    if (!p->out) {
        answer_no_memory(call);
        return;
    }
    fputs("{\"nodes\":[", p->out);
    r = history_previews(call->api->reader, id, attempt, each_preview, p);
    fputs("]}\n", p->out);
    if (fclose(p->out) != 0 && r == 0)
        r = -ENOMEM;
    if (r < 0) {
        free(reply.body);
        answer_run_error(call, r);
        return;
    }
    answer(call, &reply);
}

static uint64_t rows_wanted(const struct story *story)
{
    json_t *plan = json_loadb(story->plan, story->plan_bytes, 0, NULL);
    json_int_t rows = json_integer_value(json_object_get(plan, "preview_rows"));

    json_decref(plan);
    return rows > 0 ? (uint64_t)rows : 0;
}

void api_run_preview(struct call *call)
{
    struct previewing *p;
    struct story *story;
    struct run_id id;
    uint64_t attempt;
    json_t *nodes;
    int r;

    if (!call_run_id(call, &id) ||
        !call_query_number(call, "attempt", 0, UINT32_MAX, &attempt))
        return;
    r = history_story(call->api->reader, &id, &story);
    if (r < 0) {
        answer_run_error(call, r);
        return;
    }
    nodes = plan_nodes(story->plan, story->plan_bytes);
    p = calloc(1, sizeof *p);
    if (!p) {
        answer_no_memory(call);
    } else if (call_node(call, nodes, &p->only)) {
        p->story = story;
        p->nodes = nodes;
        p->wanted = rows_wanted(story);
        p->current = attempt == 0 || attempt == story->run->attempt;
        answer_previews(call, &id, (uint32_t)attempt, p);
    }
    free(p);
    json_decref(nodes);
    history_story_free(&story);
}
