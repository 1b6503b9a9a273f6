/* GET /, livez, readyz, version. */
#include "dispatcher/front_ask.h"

enum { READY_MS = 1000 };

void api_index(struct call *call)
{
    json_t *o = json_object(), *list = json_array();

    for (const struct route *r = api_routes; r->path; r++) {
        json_t *row = json_object();

        json_set(row, "method", json_text(http_method_name(r->method)));
        json_set(row, "path", json_text(r->path));
        json_set(row, "query", json_text(r->query));
        json_set(row, "does", json_text(r->text));
        json_array_append_new(list, row);
    }
    json_set(o, "name", json_text("dispatcher"));
    json_set(o, "version", json_text(DISPATCH_VERSION));
    json_set(o, "operations", list);
    answer_json(call, 200, o);
}

static void answer_status(struct call *call, const char *status)
{
    json_t *o = json_object();

    json_set(o, "status", json_text(status));
    answer_json(call, 200, o);
}

void api_livez(struct call *call)
{
    answer_status(call, "live");
}

static void ready_shown(struct call *call, const struct board *board)
{
    if (board->draining)
        answer_problem(call, PROBLEM_DRAINING,
                       "The broker is stopping: it accepts no runs.");
    else if (board->store_permille >= STORE_FULL_PERMILLE)
        answer_problem(call, PROBLEM_NOT_READY,
                       "The store is %u.%u %% full: no runs are accepted.",
                       board->store_permille / 10, board->store_permille % 10);
    else
        answer_status(call, "ready");
}

void api_readyz(struct call *call)
{
    ask_board(call, READY_MS, PROBLEM_NOT_READY, ready_shown);
}

void api_version(struct call *call)
{
    json_t *o = json_object();

    json_set(o, "name", json_text("dispatcher"));
    json_set(o, "version", json_text(DISPATCH_VERSION));
    json_set(o, "api", json_text("v1"));
    json_set(o, "store_schema", json_integer(STORE_SCHEMA));
    json_set(o, "started_at", json_time(call->api->started_unix_ms));
    answer_json(call, 200, o);
}
