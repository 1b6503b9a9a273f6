/* autopsy.c - see autopsy.h. */
#include "agents/autopsy.h"

#include "agents/clean.h"
#include "agents/clock.h"
#include "agents/journal.h"
#include "agents/plan.h"
#include "agents/tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LAST_WORDS_MAX = 300, SWEEP_LIMIT_MS = 1000 };

static int kill_rest(const char *name)
{
    char run[80], attempt[40];
    size_t left;

    snprintf(run, sizeof run, "DISPATCH_RUN_ID=%.36s", name);
    snprintf(attempt, sizeof attempt, "DISPATCH_ATTEMPT=%s", name + 37);
    tree_sweep(run, attempt, SWEEP_LIMIT_MS, &left);
    return left > 0 ? -EBUSY : 0;
}

/* What is known of the nodes; errors[i] owns the text of nodes[i].error. */
struct findings {
    struct wire_node *nodes;
    char **errors;
    size_t count;
    uint64_t events;
};

static void findings_clear(struct findings *f)
{
    for (size_t i = 0; f->errors && i < f->count; i++)
        free(f->errors[i]);
    free(f->errors);
    free(f->nodes);
}

static void set_error(struct findings *f, size_t node, const char *text,
                      size_t bytes)
{
    free(f->errors[node]);
    f->errors[node] = bytes ? strndup(text, bytes) : NULL;
    f->nodes[node].error = wire_text(f->errors[node] ? f->errors[node] : "");
}

/* The nodes as the plan lists them; none when the plan cannot be read. */
static void count_nodes(int dir_fd, struct findings *f)
{
    struct wire_msg msg;
    struct plan *plan = NULL;
    const char *why;
    char plan_why[PLAN_WHY_MAX], *frame;
    size_t bytes;

    if (spool_read(dir_fd, "run", WIRE_FRAME_MAX, &frame, &bytes) < 0)
        return;
    if (wire_unpack(frame, bytes, &msg, &why) == 0) {
        if (msg.type == WIRE_RUN &&
            plan_read(msg.run.plan.ptr, msg.run.plan.len, &plan, plan_why) ==
                0) {
            f->nodes = calloc(plan->count, sizeof *f->nodes);
            f->errors = calloc(plan->count, sizeof *f->errors);
            f->count = f->nodes && f->errors ? plan->count : 0;
        }
        plan_free(&plan);
        wire_clear(&msg);
    }
    free(frame);
    for (size_t i = 0; i < f->count; i++) {
        f->nodes[i].node = (uint32_t)i;
        f->nodes[i].exit_code = -1;
    }
}

/* Lays the journal's NODE events over the nodes. */
static void replay(int dir_fd, struct findings *f)
{
    struct journal_reader reader;
    struct wire_msg msg;
    const char *frame, *why;
    uint64_t event;
    size_t len;

    if (journal_open_reader(dir_fd, &reader) < 0)
        return;
    while (journal_peek(&reader, &event, &frame, &len) == 1) {
        if (wire_unpack(frame, len, &msg, &why) == 0) {
            const struct wire_node *seen = &msg.node.node;
            if (msg.type == WIRE_NODE && seen->node < f->count) {
                f->nodes[seen->node] = *seen;
                set_error(f, seen->node, seen->error.ptr, seen->error.len);
            }
            wire_clear(&msg);
        }
        journal_next(&reader, event, len);
    }
    f->events = reader.at;
    journal_close_reader(&reader);
}

/* As the shepherd would have: what it was to stop is CANCELLED. */
static void settle(struct findings *f, const struct autopsy_cause *cause,
                   int64_t now_unix_ms)
{
    const char *error = cause->told ? "killed, with its shepherd, which did "
                                      "not obey"
                                    : "the shepherd died";

    for (size_t i = 0; i < f->count; i++) {
        if (f->nodes[i].state == WIRE_NODE_RUNNING) {
            f->nodes[i].state =
                cause->told ? WIRE_NODE_CANCELLED : WIRE_NODE_FAILED;
            f->nodes[i].ended_unix_ms = now_unix_ms;
            set_error(f, i, error, strlen(error));
        } else if (f->nodes[i].state == WIRE_NODE_WAITING) {
            f->nodes[i].state = WIRE_NODE_CANCELLED;
        }
    }
}

static void describe(int dir_fd, const struct autopsy_cause *cause,
                     char *ret_error, size_t room)
{
    char *words = NULL;
    size_t len = 0;

    if (cause->told) {
        snprintf(ret_error, room,
                 "%.300s; its shepherd did not obey and was killed",
                 cause->told);
        clean_text(ret_error);
        return;
    }
    if (spool_read(dir_fd, "shepherd.err", 1 << 20, &words, &len) < 0)
        words = NULL;
    while (words && len > 0 && words[len - 1] == '\n')
        words[--len] = '\0';
    snprintf(ret_error, room, "the shepherd died (%.120s%s%.*s)", cause->how,
             words && *words ? "; its last words: " : "", LAST_WORDS_MAX,
             words ? words : "");
    clean_text(ret_error);
    free(words);
}

int autopsy_write(const struct spool *spool, int dir_fd, const char *name,
                  const struct autopsy_cause *cause)
{
    struct wire_msg result = {.type = WIRE_RESULT};
    struct findings found = {0};
    char error[LAST_WORDS_MAX + 200], *frame;
    size_t len;
    int rc = kill_rest(name);

    if (rc == 0)
        rc = spool_parse_name(name, &result.result.run, &result.result.attempt);
    if (rc < 0)
        return rc;
    describe(dir_fd, cause, error, sizeof error);
    count_nodes(dir_fd, &found);
    replay(dir_fd, &found);
    int64_t now = clock_unix_ms(), first = now;
    settle(&found, cause, now);
    for (size_t i = 0; i < found.count; i++)
        if (found.nodes[i].started_unix_ms &&
            found.nodes[i].started_unix_ms < first)
            first = found.nodes[i].started_unix_ms;
    result.result.outcome =
        (uint8_t)(cause->told ? cause->outcome : WIRE_FAILED);
    result.result.events = found.events;
    result.result.started_unix_ms = first;
    result.result.ended_unix_ms = now;
    result.result.error = wire_text(error);
    result.result.nodes = found.nodes;
    result.result.node_count = found.count;
    rc = wire_pack(&result, &frame, &len);
    if (rc == 0) {
        rc = spool_write_result(spool, dir_fd, frame, len);
        free(frame);
    }
    findings_clear(&found);
    return rc;
}
