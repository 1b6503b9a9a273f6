#include "dispatcher/api.h"

#include "dispatcher/front_ask.h"
#include "dispatcher/log.h"
#include "policy/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- answers ------------------------------------------------------------ */

struct http_reply reply_json(unsigned status, json_t *value)
{
    struct http_reply reply = {.status = status,
                               .content_type = "application/json"};

    reply.body = json_out(value, &reply.body_bytes);
    json_decref(value);
    return reply;
}

void answer(struct call *call, struct http_reply *reply)
{
    if (log_enabled(LOG_DEBUG))
        log_event(LOG_DEBUG, "http.answer", "method",
                  http_method_name(call->request->method), "path",
                  call->request->path, "status",
                  log_number((int64_t)reply->status), "who",
                  *call->who ? call->who : NULL, "request", call->request->id,
                  NULL);
    http_answer(call->request, reply);
}

void answer_json(struct call *call, unsigned status, json_t *value)
{
    struct http_reply reply = reply_json(status, value);

    if (reply.body)
        answer(call, &reply);
    else
        answer_no_memory(call);
}

static void answer_problem_json(struct call *call, enum problem_code code,
                                json_t *problem)
{
    struct http_reply reply;

    problem_reply(code, problem, call->request, &reply);
    answer(call, &reply);
}

void answer_problem(struct call *call, enum problem_code code,
                    const char *detail_fmt, ...)
{
    char detail[600];
    va_list args;

    va_start(args, detail_fmt);
    vsnprintf(detail, sizeof detail, detail_fmt, args);
    va_end(args);
    answer_problem_json(call, code, problem_json(code, detail, NULL, NULL));
}

void answer_invalid(struct call *call, const struct problems *problems,
                    const char *hint)
{
    size_t count = problems->count + problems->dropped;
    char detail[120];

    snprintf(detail, sizeof detail,
             count == 1 ? "One thing must be changed; see errors."
                        : "%zu things must be changed; see errors.",
             count);
    answer_problem_json(call, PROBLEM_INVALID,
                        problem_json(PROBLEM_INVALID, detail, hint, problems));
}

bool answered_invalid(struct call *call, struct problems *problems)
{
    if (!problems_any(problems))
        return false;
    answer_invalid(call, problems, NULL);
    problems_clear(problems);
    return true;
}

void answer_no_memory(struct call *call)
{
    struct http_reply reply = {.status = 503, .close = true};

    http_reply_header(&reply, "Retry-After", "2");
    answer(call, &reply);
}

void answer_store_error(struct call *call, int error)
{
    log_event(LOG_ERROR, "http.store_unreadable", "error", strerror(-error),
              "request", call->request->id, NULL);
    answer_problem(call, PROBLEM_INTERNAL, "The store could not be read: %s.",
                   strerror(-error));
}

/* ---- names that are nearly right ---------------------------------------- */

const char *nearest(const char *name, const char *const *names, size_t count)
{
    size_t length = strlen(name);
    size_t best = (length < 4 ? 1 : length < 9 ? 2 : 3) + 1;
    const char *found = NULL;

    for (size_t i = 0; i < count; i++) {
        size_t d = text_distance(name, names[i], false);

        if (d < best) {
            best = d;
            found = names[i];
        }
    }
    return found;
}

/* ---- what handlers read of a call --------------------------------------- */

const char *call_query(const struct call *call, const char *name)
{
    for (size_t i = 0; i < call->query_count; i++) {
        if (strcmp(call->query[i].name, name) == 0)
            return call->query[i].value;
    }
    return NULL;
}

bool call_query_number(struct call *call, const char *name, uint64_t preset,
                       uint64_t max, uint64_t *ret)
{
    const char *text = call_query(call, name);
    unsigned long long number;

    if (!text) {
        *ret = preset;
        return true;
    }
    errno = 0;
    number = strtoull(text, NULL, 10);
    if (!*text || strspn(text, "0123456789") != strlen(text) || errno ||
        number > max) {
        answer_problem(call, PROBLEM_BAD_REQUEST,
                       "?%s= takes a whole number from 0 to %llu.", name,
                       (unsigned long long)max);
        return false;
    }
    *ret = number;
    return true;
}

bool call_run_id(struct call *call, struct run_id *ret_id)
{
    if (run_id_parse(call->args[0], ret_id) == 0)
        return true;
    answer_problem(call, PROBLEM_NO_SUCH_RUN,
                   "\"%.80s\" is not the id of a run. GET /api/v1/runs lists "
                   "them.",
                   call->args[0]);
    return false;
}

const char *call_pool(struct call *call)
{
    const struct ledger_config *config = &call->api->config->ledger;
    int pool = ledger_config_pool(config, call->args[0]);
    const char *names[POOLS_MAX], *near;

    if (pool >= 0)
        return config->pools[pool].name;
    for (size_t i = 0; i < config->pool_count; i++)
        names[i] = config->pools[i].name;
    near = nearest(call->args[0], names, config->pool_count);
    answer_problem(call, PROBLEM_NO_SUCH_POOL,
                   "There is no pool \"%.80s\"%s%s%s. GET "
                   "/api/v1/workers/pools lists them.",
                   call->args[0], near ? "; did you mean \"" : "",
                   near ? near : "", near ? "\"?" : "");
    return NULL;
}

unsigned call_prefers_wait(const struct call *call)
{
    const char *text = http_header(call->request, "Prefer");
    unsigned long seconds;

    text = text ? strcasestr(text, "wait=") : NULL;
    if (!text)
        return 0;
    seconds = strtoul(text + strlen("wait="), NULL, 10);
    return seconds > API_WAIT_MAX_S ? API_WAIT_MAX_S : (unsigned)seconds;
}

/* ---- finding the route -------------------------------------------------- */

/* One segment of a path, without its slashes. */
static bool next_segment(const char **path, const char **ret, size_t *ret_len)
{
    if (**path != '/')
        return false;
    *ret = *path + 1;
    *ret_len = strcspn(*ret, "/");
    *path = *ret + *ret_len;
    return true;
}

/* Matches, and decodes the variables. */
static bool path_matches(const char *pattern, const char *path,
                         char args[API_ARGS_MAX][API_ARG_MAX])
{
    const char *want, *have;
    size_t want_len, have_len, arg = 0;

    while (next_segment(&pattern, &want, &want_len)) {
        if (!next_segment(&path, &have, &have_len))
            return false;
        if (want[0] == '{') {
            if (have_len == 0 ||
                http_decode(have, have_len, false, args[arg], API_ARG_MAX) < 0)
                return false;
            arg++;
        } else if (want_len != have_len || memcmp(want, have, have_len) != 0) {
            return false;
        }
    }
    return *path == '\0';
}

/* "/runs/" is as good as "/runs". */
static char *without_last_slash(const char *path)
{
    size_t n = strlen(path);

    if (n > 1 && path[n - 1] == '/')
        n--;
    return strndup(path, n);
}

static void answer_no_path(struct call *call)
{
    const char *paths[API_QUERY_MAX * 4], *near;
    size_t count = 0;

    for (const struct route *r = api_routes; r->path; r++) {
        if (count < sizeof paths / sizeof *paths)
            paths[count++] = r->path;
    }
    near = nearest(call->request->path, paths, count);
    answer_problem(call, PROBLEM_NO_SUCH_PATH,
                   "There is nothing at this path%s%s. GET / lists what there "
                   "is.",
                   near ? "; did you mean " : "", near ? near : "");
}

static void answer_no_method(struct call *call, const unsigned allowed)
{
    struct http_reply reply;
    char list[64] = "";

    for (enum http_method m = HTTP_GET; m < HTTP_OTHER; m++) {
        if (allowed & 1U << m)
            snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s%s",
                     *list ? ", " : "", http_method_name(m),
                     m == HTTP_GET ? ", HEAD" : "");
    }
    problem_reply_text(PROBLEM_METHOD_NOT_ALLOWED, call->request, &reply,
                       "This path answers to %s.", list);
    http_reply_header(&reply, "Allow", "%s", list);
    answer(call, &reply);
}

/* false: answered. */
static bool find_route(struct call *call)
{
    char *path = without_last_slash(call->request->path);
    unsigned allowed = 0;

    if (!path) {
        answer_no_memory(call);
        return false;
    }
    for (const struct route *r = api_routes; r->path && !call->route; r++) {
        if (!path_matches(r->path, path, call->args))
            continue;
        allowed |= 1U << r->method;
        if (r->method == call->request->method)
            call->route = r;
    }
    free(path);
    if (call->route)
        return true;
    if (allowed)
        answer_no_method(call, allowed);
    else
        answer_no_path(call);
    return false;
}

/* ---- who may ------------------------------------------------------------ */

/* "Host: name:port" without the port. */
static bool names_loopback(const char *host)
{
    static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t n = strlen(names[i]);

        if (strncasecmp(host, names[i], n) == 0 &&
            (host[n] == ':' || host[n] == '\0'))
            return true;
    }
    return strncmp(host, "127.", 4) == 0 &&
           strspn(host, "0123456789.:") == strlen(host);
}

/* A page from elsewhere must not reach the broker through the browser of
 * somebody who may: neither by sending to it (Origin) nor by making its own
 * name point here (Host). false: answered. */
static bool same_site(struct call *call)
{
    const char *host = http_header(call->request, "Host");
    const char *origin = http_header(call->request, "Origin");
    const char *authority = origin ? strstr(origin, "://") : NULL;

    if (origin && (!host || !authority || strcmp(authority + 3, host) != 0)) {
        answer_problem(call, PROBLEM_CROSS_ORIGIN,
                       "The Origin header names another site than Host.");
        return false;
    }
    if (host && call->api->loopback_only && !auth_required(call->api->auth) &&
        !names_loopback(host)) {
        answer_problem(call, PROBLEM_CROSS_ORIGIN,
                       "Without tokens the broker answers only to localhost, "
                       "127.0.0.1 and [::1] in the Host header. Set "
                       "auth.token_file to use other names.");
        return false;
    }
    return true;
}

/* false: answered. */
static bool authenticate(struct call *call)
{
    const char *header = http_header(call->request, "Authorization");
    const char *who;

    if (call->route->scope == SCOPE_NONE)
        return true;
    who = auth_check(call->api->auth, header);
    if (who) {
        snprintf(call->who, sizeof call->who, "%s", who);
        return true;
    }
    answer_problem(call, PROBLEM_UNAUTHORIZED,
                   header ? "The token is not one of ours."
                          : "Send \"Authorization: Bearer TOKEN\".");
    return false;
}

/* ---- the query ---------------------------------------------------------- */

static bool in_list(const char *list, const char *name)
{
    size_t n = strlen(name);

    while (list && *list) {
        size_t item = strcspn(list, ",");

        if (item == n && memcmp(list, name, n) == 0)
            return true;
        list += item + (list[item] == ',');
    }
    return false;
}

static void answer_bad_query(struct call *call, const char *name)
{
    const char *known = call->route->query;

    answer_problem(call, PROBLEM_BAD_REQUEST,
                   "This path has no parameter \"%.60s\"; it %s%s.", name,
                   known ? "knows: " : "knows none", known ? known : "");
}

/* One "name=value". false: answered. */
static bool take_parameter(struct call *call, const char *text, size_t bytes)
{
    const char *equals = memchr(text, '=', bytes);
    size_t name_bytes = equals ? (size_t)(equals - text) : bytes;
    size_t value_bytes = equals ? bytes - name_bytes - 1 : 0;
    char *name = malloc(bytes + 2), *value;
    size_t n = call->query_count;

    if (!name) {
        answer_no_memory(call);
        return false;
    }
    value = name + name_bytes + 1;
    if (http_decode(text, name_bytes, true, name, name_bytes + 1) < 0 ||
        http_decode(equals ? equals + 1 : "", value_bytes, true, value,
                    value_bytes + 1) < 0 ||
        n == API_QUERY_MAX) {
        free(name);
        answer_problem(call, PROBLEM_BAD_REQUEST,
                       "The query has a broken escape, text that is not UTF-8, "
                       "or more than %d parameters.",
                       API_QUERY_MAX);
        return false;
    }
    if (!in_list(call->route->query, name)) {
        answer_bad_query(call, name);
        free(name);
        return false;
    }
    call->query[n].name = name; /* one allocation for both */
    call->query[n].value = value;
    call->query_count++;
    return true;
}

static bool read_query(struct call *call)
{
    const char *text = call->request->query;

    while (*text) {
        size_t n = strcspn(text, "&");

        if (n && !take_parameter(call, text, n))
            return false;
        text += n + (text[n] == '&');
    }
    return true;
}

/* ---- the body ----------------------------------------------------------- */

/* false: answered. */
static bool read_body(struct call *call)
{
    const struct http_request *request = call->request;
    json_error_t error;

    if (call->route->body == BODY_NONE)
        return true;
    if (request->body_bytes == 0) {
        if (call->route->body == BODY_OPTIONAL)
            return true;
        answer_problem(call, PROBLEM_BAD_JSON,
                       "The body is empty; send a JSON document.");
        return false;
    }
    call->body = json_loadb(request->body, request->body_bytes,
                            JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (call->body)
        return true;
    if (json_error_code(&error) == json_error_numeric_overflow)
        answer_problem(call, PROBLEM_BAD_JSON,
                       "Line %d, column %d: this number is too big; integers "
                       "go to 9223372036854775807.",
                       error.line, error.column);
    else
        answer_problem(call, PROBLEM_BAD_JSON, "Line %d, column %d: %s.",
                       error.line, error.column, error.text);
    return false;
}

/* ---- the hooks ---------------------------------------------------------- */

static void on_head(void *context, struct http_request *request)
{
    struct call *call = calloc(1, sizeof *call);
    struct http_reply reply = {.status = 503, .close = true};

    if (!call) {
        http_answer(request, &reply);
        return;
    }
    call->api = context;
    call->request = request;
    request->user = call;
    if (same_site(call) && find_route(call) && authenticate(call))
        (void)read_query(call);
}

static void on_complete(void *context, struct http_request *request)
{
    struct call *call = request->user;

    (void)context;
    if (read_body(call))
        call->route->handle(call);
}

static void on_gone(void *context, struct http_request *request)
{
    (void)context;
    ask_gone(request->user);
}

static void on_end(void *context, struct http_request *request)
{
    struct call *call = request->user;

    (void)context;
    request->user = NULL;
    if (!call)
        return;
    ask_forget(call);
    for (size_t i = 0; i < call->query_count; i++)
        free(call->query[i].name);
    json_decref(call->body);
    if (call->state_free)
        call->state_free(call->state);
    free(call);
}

const struct http_hooks api_hooks = {
    .head = on_head,
    .complete = on_complete,
    .gone = on_gone,
    .end = on_end,
};
