/* GET agents, agents/{agent}; POST its verbs. */
#include "dispatcher/api_submit.h"
#include "dispatcher/front_ask.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void agents_shown(struct call *call, const struct board *board)
{
    json_t *o = json_object(), *list = json_array();

    for (size_t i = 0; i < board->agent_count; i++)
        json_array_append_new(
            list, json_agent(&board->agents[i], board->now_unix_ms));
    json_set(o, "items", list);
    json_set(o, "next_cursor", json_null());
    answer_json(call, 200, o);
}

void api_agents(struct call *call)
{
    ask_board(call, ASK_WITHIN_MS, PROBLEM_CORE_SILENT, agents_shown);
}

/* What it has in hand, from the pools' books. */
static json_t *runs_of(const struct board *board, const char *agent)
{
    json_t *list = json_array();

    for (size_t p = 0; p < board->pool_count; p++) {
        const struct board_pool *pool = &board->pools[p];

        for (uint32_t i = 0; i < pool->used; i++) {
            json_t *o;

            if (strcmp(pool->holders[i].agent, agent) != 0)
                continue;
            o = json_holder(&pool->holders[i], board->now_unix_ms);
            json_set(o, "work_pool", json_text(pool->config.name));
            json_array_append_new(list, o);
        }
    }
    return list;
}

static void answer_no_agent(struct call *call, const struct board *board)
{
    const char *near = NULL, *names[256];
    size_t count = 0;

    for (size_t i = 0; board && i < board->agent_count; i++) {
        if (count < sizeof names / sizeof *names)
            names[count++] = board->agents[i].name;
    }
    near = nearest(call->args[0], names, count);
    answer_problem(call, PROBLEM_NO_SUCH_AGENT,
                   "No agent \"%.80s\" has ever been seen%s%s%s. GET "
                   "/api/v1/workers/agents lists them.",
                   call->args[0], near ? "; did you mean \"" : "",
                   near ? near : "", near ? "\"?" : "");
}

static void agent_shown(struct call *call, const struct board *board)
{
    const struct board_agent *agent = NULL;
    json_t *o;

    for (size_t i = 0; i < board->agent_count && !agent; i++) {
        if (strcmp(board->agents[i].name, call->args[0]) == 0)
            agent = &board->agents[i];
    }
    if (!agent) {
        answer_no_agent(call, board);
        return;
    }
    o = json_agent(agent, board->now_unix_ms);
    json_set(o, "runs", runs_of(board, agent->name));
    answer_json(call, 200, o);
}

void api_agent(struct call *call)
{
    ask_board(call, ASK_WITHIN_MS, PROBLEM_CORE_SILENT, agent_shown);
}

static void agent_changed(struct call *call, struct exchange *exchange)
{
    if (exchange->status == -ENOENT)
        answer_no_agent(call, exchange->board);
    else if (exchange->status < 0 || !exchange->board)
        answer_problem(call, PROBLEM_INTERNAL,
                       "The core could not change the agent: %s.",
                       strerror(-exchange->status));
    else
        agent_shown(call, exchange->board);
}

static void read_reason(void *target, const json_t *value, const char *pointer,
                        struct problems *problems)
{
    const char **reason = target;

    *reason = field_text(value, pointer, problems, LEDGER_TEXT_MAX - 1);
}

static const struct field verb_fields[] = {{"reason", read_reason}};

static void agent_verb(struct call *call, enum pool_verb verb)
{
    struct problems problems = {0};
    struct exchange *exchange;
    const char *reason = NULL;

    if (strlen(call->args[0]) >= AGENT_NAME_MAX) {
        answer_no_agent(call, NULL);
        return;
    }
    if (call->body)
        fields_read(verb_fields, 1, &reason, call->body, "", &problems);
    if (answered_invalid(call, &problems))
        return;
    exchange = ask_new(call, ASK_AGENT_VERB, reason);
    if (exchange) {
        memcpy(exchange->name, call->args[0], strlen(call->args[0]) + 1);
        exchange->verb = verb;
    }
    ask(call, exchange, agent_changed);
}

void api_agent_pause(struct call *call)
{
    agent_verb(call, VERB_PAUSE);
}

void api_agent_resume(struct call *call)
{
    agent_verb(call, VERB_RESUME);
}

void api_agent_drain(struct call *call)
{
    agent_verb(call, VERB_DRAIN);
}
