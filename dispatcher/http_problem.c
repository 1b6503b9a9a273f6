#include "dispatcher/http_problem.h"

#include "dispatcher/api_json.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

enum { DETAIL_MAX = 600 };

struct row {
    const char *name, *title;
    unsigned status;
    unsigned retry_after_s; /* 0: none */
};

static const struct row rows[PROBLEM_CODES] = {
    [PROBLEM_BAD_REQUEST] = {"BAD_REQUEST", "The request is malformed", 400, 0},
    [PROBLEM_BAD_JSON] = {"BAD_JSON", "The body cannot be read as JSON", 400,
                          0},
    [PROBLEM_UNAUTHORIZED] = {"UNAUTHORIZED", "A token is needed", 401, 0},
    [PROBLEM_CROSS_ORIGIN] = {"CROSS_ORIGIN",
                              "Refused: the request comes from another site",
                              403, 0},
    [PROBLEM_NO_SUCH_PATH] = {"NO_SUCH_PATH", "There is no such path", 404, 0},
    [PROBLEM_NO_SUCH_RUN] = {"NO_SUCH_RUN", "There is no such run", 404, 0},
    [PROBLEM_NO_SUCH_POOL] = {"NO_SUCH_POOL", "There is no such pool", 404, 0},
    [PROBLEM_NO_SUCH_AGENT] = {"NO_SUCH_AGENT", "There is no such agent", 404,
                               0},
    [PROBLEM_NO_SUCH_WORKFLOW] = {"NO_SUCH_WORKFLOW",
                                  "There is no such workflow", 404, 0},
    [PROBLEM_METHOD_NOT_ALLOWED] = {"METHOD_NOT_ALLOWED",
                                    "This path does not know this method", 405,
                                    0},
    [PROBLEM_RUN_ENDED] = {"RUN_ENDED", "The run has ended", 409, 0},
    [PROBLEM_POOL_CLOSED] = {"POOL_CLOSED", "The pool is closed", 409, 0},
    [PROBLEM_BODY_TOO_LARGE] = {"BODY_TOO_LARGE", "The body is too large", 413,
                                0},
    [PROBLEM_INVALID] = {"INVALID", "The request has problems to fix", 422, 0},
    [PROBLEM_TOO_BIG] = {"TOO_BIG", "No pool can hold this run", 422, 0},
    [PROBLEM_NO_ENGINE] = {"NO_ENGINE", "No agent can execute this", 422, 0},
    [PROBLEM_KEY_REUSED] = {"KEY_REUSED",
                            "The idempotency key was used for another request",
                            422, 0},
    [PROBLEM_LINE_FULL] = {"LINE_FULL", "The line of the pool is full", 429, 5},
    [PROBLEM_HEAD_TOO_LARGE] = {"HEAD_TOO_LARGE",
                                "The request's head is too large", 431, 0},
    [PROBLEM_INTERNAL] = {"INTERNAL", "The broker could not do this", 500, 0},
    [PROBLEM_DRAINING] = {"DRAINING", "The broker is stopping", 503, 10},
    [PROBLEM_BUSY] = {"BUSY", "The broker has too much to do", 503, 2},
    [PROBLEM_NOT_READY] = {"NOT_READY", "The broker is not ready", 503, 1},
    [PROBLEM_CORE_SILENT] = {"CORE_SILENT",
                             "The broker's core has not answered", 504, 5},
    [PROBLEM_BAD_VERSION] = {"BAD_VERSION",
                             "This version of HTTP is not spoken here", 505, 0},
    [PROBLEM_STORE_FULL] = {"STORE_FULL", "The store is full", 507, 60},
};

const char *problem_code_name(enum problem_code code)
{
    assert(code < PROBLEM_CODES);
    return rows[code].name;
}

unsigned problem_status(enum problem_code code)
{
    assert(code < PROBLEM_CODES);
    return rows[code].status;
}

static json_t *errors_json(const struct problems *errors)
{
    json_t *list = json_array();

    for (size_t i = 0; i < errors->count; i++) {
        const struct problem *p = &errors->items[i];
        json_t *item = json_object();

        json_set(item, "pointer", json_text(p->pointer));
        json_set(item, "detail", json_text(p->detail));
        json_set(item, "code", json_text(p->code));
        json_array_append_new(list, item);
    }
    return list;
}

json_t *problem_json(enum problem_code code, const char *detail,
                     const char *hint, const struct problems *errors)
{
    const struct row *row = &rows[code];
    json_t *problem = json_object();
    char type[96];

    snprintf(type, sizeof type, "urn:dispatcher:problem:%s", row->name);
    json_set(problem, "type", json_text(type));
    json_set(problem, "title", json_text(row->title));
    json_set(problem, "status", json_integer(row->status));
    json_set(problem, "detail", json_text(detail));
    json_set(problem, "code", json_text(row->name));
    if (errors && problems_any(errors))
        json_set(problem, "errors", errors_json(errors));
    if (errors && errors->dropped)
        json_set(problem, "errors_not_shown",
                 json_integer((json_int_t)errors->dropped));
    if (hint)
        json_set(problem, "hint", json_text(hint));
    return problem;
}

void problem_reply(enum problem_code code, json_t *problem,
                   const struct http_request *request,
                   struct http_reply *ret_reply)
{
    const struct row *row = &rows[code];

    if (request) {
        json_set(problem, "instance", json_text(request->path));
        json_set(problem, "request_id", json_text(request->id));
    }
    *ret_reply = (struct http_reply){
        .status = row->status,
        .content_type = "application/problem+json",
    };
    ret_reply->body = json_out(problem, &ret_reply->body_bytes);
    json_decref(problem);
    if (row->retry_after_s)
        http_reply_header(ret_reply, "Retry-After", "%u", row->retry_after_s);
    if (row->status == 401)
        http_reply_header(ret_reply, "WWW-Authenticate",
                          "Bearer realm=\"dispatcher\"");
}

void problem_reply_text(enum problem_code code,
                        const struct http_request *request,
                        struct http_reply *ret_reply, const char *detail_fmt,
                        ...)
{
    char detail[DETAIL_MAX];
    va_list args;

    va_start(args, detail_fmt);
    vsnprintf(detail, sizeof detail, detail_fmt, args);
    va_end(args);
    problem_reply(code, problem_json(code, detail, NULL, NULL), request,
                  ret_reply);
}
