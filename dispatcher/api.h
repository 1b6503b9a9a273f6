/*
 * api.h - what the requests mean: one table of routes, each with its method,
 * path, scope and handler, and what handlers have in common. The handlers live
 * in api_*.c, a file a noun.
 *
 * A call is one request on its way through a handler. A handler answers at once
 * or asks the core (front_ask.h) and answers in what it gave to be called then;
 * exactly once either way.
 *
 * Memory:  a call lives until its answer has left; what a handler wants to keep
 *          until then goes into `state`.
 * Threads: the front thread only.
 */
#ifndef DISPATCHER_API_H
#define DISPATCHER_API_H

#include "dispatcher/api_json.h"
#include "dispatcher/auth.h"
#include "dispatcher/config.h"
#include "dispatcher/http.h"
#include "dispatcher/http_problem.h"

enum {
    API_ARG_MAX = 256,
    API_ARGS_MAX = 2,
    API_QUERY_MAX = 16, /* parameters */
    API_WAIT_MAX_S = 600,
    API_BATCH_MAX = 1000,
};

struct api {
    const struct config *config; /* borrowed */
    struct store_reader *reader;
    struct auth *auth;
    struct asks *asks;
    bool loopback_only;
    int64_t started_unix_ms;
};

enum scope { SCOPE_NONE, SCOPE_READ, SCOPE_SUBMIT, SCOPE_OPERATE };
enum body_rule { BODY_NONE, BODY_JSON, BODY_OPTIONAL };

struct call;
typedef void handler(struct call *call);

struct route {
    enum http_method method;
    const char *path; /* "/api/v1/runs/{run}/logs" */
    enum scope scope; /* NONE: without authentication */
    enum body_rule body;
    handler *handle;
    const char *query; /* the parameters it knows, comma-separated, or NULL */
    const char *text;  /* one line for the index */
};

/* The whole table, ended by a row without a path. */
extern const struct route api_routes[];

struct call {
    struct api *api;
    struct http_request *request;
    const struct route *route;
    char args[API_ARGS_MAX][API_ARG_MAX]; /* the {variables}, decoded */
    char who[AUTH_NAME_MAX];
    struct {
        char *name, *value;
    } query[API_QUERY_MAX];
    size_t query_count;
    json_t *body;            /* NULL: none was sent */
    struct pending *pending; /* what it waits for; front_ask.c's */
    void *state;
    void (*state_free)(void *state);
};

/* The hooks of the HTTP server; context is the struct api. */
extern const struct http_hooks api_hooks;

/* ---- for handlers ------------------------------------------------------- */

/* value is taken. */
void answer_json(struct call *call, unsigned status, json_t *value);
struct http_reply reply_json(unsigned status, json_t *value);
void answer(struct call *call, struct http_reply *reply);
void answer_problem(struct call *call, enum problem_code code,
                    const char *detail_fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* hint may be NULL. problems are borrowed. */
void answer_invalid(struct call *call, const struct problems *problems,
                    const char *hint);
/* With problems: answers with them and clears them. */
bool answered_invalid(struct call *call, struct problems *problems);
void answer_no_memory(struct call *call);

/* The value of a query parameter, NULL when it was not sent. */
const char *call_query(const struct call *call, const char *name);
/* A whole number; `preset` when it was not sent. false: answered. */
bool call_query_number(struct call *call, const char *name, uint64_t preset,
                       uint64_t max, uint64_t *ret);
/* The run id in args[0]. false: answered 404. */
bool call_run_id(struct call *call, struct run_id *ret_id);
/* The configured pool in args[0] (name or alias), its own name. NULL: answered
 * 404. */
const char *call_pool(struct call *call);
/* Seconds of "Prefer: wait=N", 0 without one, at most API_WAIT_MAX_S. */
unsigned call_prefers_wait(const struct call *call);
/* For what the store's reader returned: answers 500. */
void answer_store_error(struct call *call, int error);

/* The nearest of `count` names, NULL when none is near. */
const char *nearest(const char *name, const char *const *names, size_t count);

/* ---- handlers ----------------------------------------------------------- */

handler api_index, api_livez, api_readyz, api_version;        /* meta */
handler api_execute, api_plan, api_validate;                  /* execute */
handler api_overview, api_distribution;                       /* overview */
handler api_pools, api_pool, api_pool_status, api_pool_pause, /* pools */
    api_pool_resume, api_pool_drain, api_pool_close, api_pool_set;
handler api_agents, api_agent, api_agent_pause, api_agent_resume, /* agents */
    api_agent_drain;
handler api_runs, api_run, api_run_cancel; /* runs */
handler api_run_logs;                      /* logs */
handler api_run_preview;                   /* preview */
handler api_run_explain;                   /* explain */

#endif
