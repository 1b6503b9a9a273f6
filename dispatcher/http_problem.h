/*
 * http_problem.h - refusals as RFC 9457 problem+json: one table of codes, each
 * with its status and title; one shape for all of them:
 *
 *     {"type", "title", "status", "detail", "instance", "code", "request_id",
 *      "errors": [{"pointer", "detail", "code"}], "hint"}
 *
 * Threads: none; pure.
 */
#ifndef DISPATCHER_HTTP_PROBLEM_H
#define DISPATCHER_HTTP_PROBLEM_H

#include "dispatcher/http.h"
#include "policy/workflow.h"

#include <jansson.h>

enum problem_code {
    PROBLEM_BAD_REQUEST,
    PROBLEM_BAD_JSON,
    PROBLEM_UNAUTHORIZED,
    PROBLEM_CROSS_ORIGIN,
    PROBLEM_NO_SUCH_PATH,
    PROBLEM_NO_SUCH_RUN,
    PROBLEM_NO_SUCH_POOL,
    PROBLEM_NO_SUCH_AGENT,
    PROBLEM_NO_SUCH_WORKFLOW,
    PROBLEM_METHOD_NOT_ALLOWED,
    PROBLEM_RUN_ENDED,
    PROBLEM_POOL_CLOSED,
    PROBLEM_BODY_TOO_LARGE,
    PROBLEM_INVALID,
    PROBLEM_TOO_BIG,
    PROBLEM_NO_ENGINE,
    PROBLEM_KEY_REUSED,
    PROBLEM_LINE_FULL,
    PROBLEM_HEAD_TOO_LARGE,
    PROBLEM_INTERNAL,
    PROBLEM_DRAINING,
    PROBLEM_BUSY,
    PROBLEM_NOT_READY,
    PROBLEM_CORE_SILENT,
    PROBLEM_BAD_VERSION,
    PROBLEM_STORE_FULL,
    PROBLEM_CODES
};
const char *problem_code_name(enum problem_code code); /* "LINE_FULL" */
unsigned problem_status(enum problem_code code);

/* The problem as an object, without instance and request id. detail is a
 * sentence; hint and errors may be NULL. NULL: no memory. */
json_t *problem_json(enum problem_code code, const char *detail,
                     const char *hint, const struct problems *errors);

/* The reply; `problem` is taken. request may be NULL. Adds what belongs to the
 * code: Retry-After, WWW-Authenticate. */
void problem_reply(enum problem_code code, json_t *problem,
                   const struct http_request *request,
                   struct http_reply *ret_reply);
/* Both, with a printf detail. */
void problem_reply_text(enum problem_code code,
                        const struct http_request *request,
                        struct http_reply *ret_reply, const char *detail_fmt,
                        ...) __attribute__((format(printf, 4, 5)));

#endif
