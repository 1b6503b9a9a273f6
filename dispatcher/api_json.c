#include "dispatcher/api_json.h"

#include "policy/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- small things ------------------------------------------------------- */

void json_set(json_t *object, const char *key, json_t *value)
{
    json_object_set_new(object, key, value ? value : json_null());
}

static json_t *repaired(const char *text, size_t bytes)
{
    static const char replacement[3] = {'\xef', '\xbf', '\xbd'};
    char *clean = malloc(bytes * 3 + 1);
    size_t out = 0;
    json_t *result;

    if (!clean)
        return NULL;
    while (bytes) {
        size_t n = text_utf8_len(text, bytes);

        if (n) {
            memcpy(clean + out, text, n);
            out += n;
        } else {
            memcpy(clean + out, replacement, sizeof replacement);
            out += sizeof replacement;
            n = 1;
        }
        text += n;
        bytes -= n;
    }
    result = json_stringn(clean, out);
    free(clean);
    return result;
}

json_t *json_text_bytes(const char *text, size_t bytes)
{
    json_t *result = json_stringn(text, bytes); /* NULL: not UTF-8 */

    return result ? result : repaired(text, bytes);
}

json_t *json_text(const char *text)
{
    return text ? json_text_bytes(text, strlen(text)) : json_null();
}

json_t *json_count(uint64_t number)
{
    return json_integer((json_int_t)(number > INT64_MAX ? INT64_MAX : number));
}

json_t *json_known(uint64_t count)
{
    return count == RUN_COUNT_UNKNOWN ? json_null() : json_count(count);
}

json_t *json_size(int64_t bytes)
{
    return bytes < 0 ? json_null() : json_integer(bytes);
}

json_t *json_seconds(uint64_t ms)
{
    return json_real((double)ms / 1000.0);
}

json_t *json_time(int64_t unix_ms)
{
    char text[API_TIME_MAX];

    if (unix_ms == 0)
        return json_null();
    api_time_text(unix_ms, text);
    return json_string(text);
}

json_t *json_span(int64_t from_unix_ms, int64_t to_unix_ms)
{
    if (from_unix_ms == 0 || to_unix_ms == 0)
        return json_null();
    return json_seconds(
        to_unix_ms > from_unix_ms ? (uint64_t)(to_unix_ms - from_unix_ms) : 0);
}

json_t *json_run_id(const struct run_id *id)
{
    char text[RUN_ID_TEXT];

    run_id_text(id, text);
    return json_string(text);
}

json_t *json_comma_list(const char *text)
{
    json_t *list = json_array();

    while (*text) {
        size_t n = strcspn(text, ",");

        if (n)
            json_array_append_new(list, json_text_bytes(text, n));
        text += n + (text[n] == ',');
    }
    return list;
}

char *json_out(const json_t *value, size_t *ret_bytes)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(15) |
                                       JSON_ENCODE_ANY);
    size_t n = text ? strlen(text) : 0;
    char *line = text ? realloc(text, n + 2) : NULL;

    *ret_bytes = 0;
    if (!line) {
        free(text);
        return NULL;
    }
    line[n] = '\n';
    line[n + 1] = '\0';
    *ret_bytes = n + 1;
    return line;
}

/* ---- times -------------------------------------------------------------- */

void api_time_text(int64_t unix_ms, char ret_text[API_TIME_MAX])
{
    time_t seconds = (time_t)(unix_ms / 1000);
    int ms = (int)(unix_ms % 1000);
    struct tm tm;

    if (ms < 0) {
        ms += 1000;
        seconds--;
    }
    if (!gmtime_r(&seconds, &tm) || tm.tm_year > 9999 - 1900 ||
        tm.tm_year < -1900) {
        snprintf(ret_text, API_TIME_MAX, "9999-12-31T23:59:59.999Z");
        return;
    }
    strftime(ret_text, API_TIME_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(ret_text + strlen(ret_text), 8, ".%03uZ", (unsigned)ms % 1000);
}

int64_t api_now_unix_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Exactly `count` digits at *text. -1: not there. */
static int digits(const char **text, int count)
{
    int value = 0;

    for (int i = 0; i < count; i++) {
        if (**text < '0' || **text > '9')
            return -1;
        value = value * 10 + (*(*text)++ - '0');
    }
    return value;
}

static bool skip(const char **text, const char *any_of)
{
    if (**text == '\0' || !strchr(any_of, **text))
        return false;
    ++*text;
    return true;
}

static int month_days(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap);
}

/* "Z" or "+02:00" -> minutes east. */
static int zone(const char **text, int *ret_minutes)
{
    int sign, hours, minutes;

    if (skip(text, "Zz")) {
        *ret_minutes = 0;
        return 0;
    }
    sign = **text == '-' ? -1 : 1;
    if (!skip(text, "+-"))
        return -EINVAL;
    hours = digits(text, 2);
    if (!skip(text, ":"))
        return -EINVAL;
    minutes = digits(text, 2);
    if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59)
        return -EINVAL;
    *ret_minutes = sign * (hours * 60 + minutes);
    return 0;
}

static int fraction_ms(const char **text)
{
    int ms = 0, weight = 100;

    for (; **text >= '0' && **text <= '9'; ++*text) {
        ms += weight * (**text - '0');
        weight /= 10;
    }
    return ms;
}

int api_time_parse(const char *text, int64_t *ret_unix_ms)
{
    struct tm tm = {0};
    int year = digits(&text, 4), ms = 0, minutes;

    if (year < 0 || !skip(&text, "-"))
        return -EINVAL;
    tm.tm_mon = digits(&text, 2);
    if (tm.tm_mon < 1 || tm.tm_mon > 12 || !skip(&text, "-"))
        return -EINVAL;
    tm.tm_mday = digits(&text, 2);
    if (tm.tm_mday < 1 || tm.tm_mday > month_days(year, tm.tm_mon) ||
        !skip(&text, "Tt "))
        return -EINVAL;
    tm.tm_hour = digits(&text, 2);
    if (tm.tm_hour < 0 || tm.tm_hour > 23 || !skip(&text, ":"))
        return -EINVAL;
    tm.tm_min = digits(&text, 2);
    if (tm.tm_min < 0 || tm.tm_min > 59 || !skip(&text, ":"))
        return -EINVAL;
    tm.tm_sec = digits(&text, 2);
    if (tm.tm_sec < 0 || tm.tm_sec > 60)
        return -EINVAL;
    if (skip(&text, ".,"))
        ms = fraction_ms(&text);
    if (zone(&text, &minutes) < 0 || *text)
        return -EINVAL;
    tm.tm_year = year - 1900;
    tm.tm_mon--;
    *ret_unix_ms = ((int64_t)timegm(&tm) - minutes * 60LL) * 1000 + ms;
    return 0;
}

void api_span_text(uint64_t ms, char ret_text[API_TIME_MAX])
{
    unsigned long long s = ms / 1000;

    if (ms < 1000)
        snprintf(ret_text, API_TIME_MAX, "%llu ms", (unsigned long long)ms);
    else if (s < 100)
        snprintf(ret_text, API_TIME_MAX, "%llu.%llu s", s,
                 (unsigned long long)(ms % 1000 / 100));
    else if (s < 7200)
        snprintf(ret_text, API_TIME_MAX, "%llu min %llu s", s / 60, s % 60);
    else
        snprintf(ret_text, API_TIME_MAX, "%llu h %llu min", s / 3600,
                 s % 3600 / 60);
}

/* ---- decisions ---------------------------------------------------------- */

json_t *json_reason(enum wait_reason reason)
{
    json_t *o;

    if (reason == WAIT_NONE)
        return json_null();
    o = json_object();
    json_set(o, "reason", json_text(wait_reason_name(reason)));
    json_set(o, "verdict",
             json_text(wait_verdict_name(wait_reason_verdict(reason))));
    json_set(o, "text", json_text(wait_reason_text(reason)));
    return o;
}

void json_set_reason(json_t *object, enum wait_reason reason)
{
    bool waits = reason != WAIT_NONE;

    json_set(object, "reason",
             json_text(waits ? wait_reason_name(reason) : NULL));
    json_set(object, "verdict",
             json_text(waits ? wait_verdict_name(wait_reason_verdict(reason))
                             : NULL));
    json_set(object, "reason_text",
             json_text(waits ? wait_reason_text(reason) : NULL));
}

const char *explained_text(const struct explanation *now)
{
    return *now->missing_text ? now->missing_text
                              : wait_reason_text(now->reason);
}

void json_set_explained(json_t *object, const struct explanation *now)
{
    json_set_reason(object, now->reason);
    if (now->reason != WAIT_NONE)
        json_set(object, "reason_text", json_text(explained_text(now)));
    json_set(object, "missing", json_text(*now->missing ? now->missing : NULL));
}

json_t *json_features(const struct features *features)
{
    json_t *o = json_object(), *tags = json_array();

    json_set(o, "nodes", json_integer(features->nodes));
    json_set(o, "db_nodes", json_integer(features->db_nodes));
    json_set(o, "transforms", json_integer(features->transforms));
    json_set(o, "size_bytes", json_size(features->size_bytes));
    json_set(o, "size_source",
             json_text(size_source_name(features->size_source)));
    for (size_t i = 0; i < features->tag_count; i++)
        json_array_append_new(tags, json_text(features->tags[i]));
    json_set(o, "tags", tags);
    json_set(o, "requested_pool", json_text(features->requested_pool));
    return o;
}

static json_t *candidate_json(const struct route_candidate *c)
{
    json_t *o = json_object();

    json_set(o, "pool", json_text(c->pool));
    json_set(o, "verdict", json_text(route_verdict_name(c->verdict)));
    json_set(o, "why", json_text(c->why));
    json_set(o, "concurrency_limit", json_integer(c->limit));
    json_set(o, "active_runs", json_integer(c->used));
    json_set(o, "agents", json_integer(c->agents));
    json_set(o, "slots_free", json_integer(c->slots_free));
    return o;
}

json_t *json_decision(const struct origin *origin,
                      const struct decision *decision)
{
    json_t *o = json_object(), *list = json_array();
    const char *chosen = NULL;

    for (size_t i = 0; i < decision->candidate_count; i++) {
        if (decision->chosen >= 0 && (size_t)decision->chosen == i)
            chosen = decision->candidates[i].pool;
        json_array_append_new(list, candidate_json(&decision->candidates[i]));
    }
    json_set(o, "rule", json_text(origin->rule));
    json_set(o, "why", json_text(origin->rule_why));
    json_set(o, "wanted_pool", json_text(origin->wanted_pool));
    json_set(o, "chosen_pool", json_text(chosen));
    json_set(o, "fallback_used", json_boolean(chosen && decision->chosen > 0));
    json_set(o, "fallback_forbidden", json_boolean(origin->fallback_forbidden));
    json_set(o, "waiting", json_reason(decision->reason));
    json_set(o, "look_again_s",
             decision->look_again_ms ? json_seconds(decision->look_again_ms)
                                     : json_null());
    json_set(o, "candidates", list);
    return o;
}

/* ---- pools and agents --------------------------------------------------- */

json_t *json_holder(const struct board_holder *holder, int64_t now_unix_ms)
{
    json_t *o = json_object();

    json_set(o, "run_id", json_run_id(&holder->run));
    json_set(o, "workflow_name", json_text(holder->workflow));
    json_set(o, "state", json_text(run_state_name(holder->state)));
    json_set(o, "attempt", json_integer(holder->attempt));
    json_set(o, "agent", json_text(holder->agent));
    json_set(o, "since", json_time(holder->leased_unix_ms));
    json_set(o, "held_s", json_span(holder->leased_unix_ms, now_unix_ms));
    return o;
}

void json_set_capacity(json_t *object, uint32_t limit, uint32_t used)
{
    double percent = limit ? 100.0 * used / limit : used ? 100.0 : 0.0;

    json_set(object, "concurrency_limit", json_integer(limit));
    json_set(object, "active_runs", json_integer(used));
    json_set(object, "available_capacity",
             json_integer(limit > used ? limit - used : 0));
    json_set(object, "utilization_percent",
             json_real((double)(int)(percent * 10 + 0.5) / 10));
}

static json_t *fallback_json(const struct pool_config *config)
{
    json_t *list = json_array();

    for (size_t i = 0; i < config->fallback_count; i++) {
        const struct pool_hop *hop = &config->fallback[i];
        json_t *o = json_object();

        json_set(o, "pool", json_text(hop->pool));
        json_set(o, "after", json_seconds(hop->after_ms));
        json_set(o, "size_below", json_size(hop->size_below));
        json_set(o, "free_at_least", json_integer(hop->free_at_least));
        json_array_append_new(list, o);
    }
    return list;
}

/* Who changed the state, when and why; null when nobody ever did. */
static json_t *change_json(const char *who, const char *reason,
                           int64_t since_unix_ms, int64_t until_unix_ms)
{
    json_t *o;

    if (!*who && since_unix_ms == 0)
        return json_null();
    o = json_object();
    json_set(o, "who", json_text(who));
    json_set(o, "reason", json_text(*reason ? reason : NULL));
    json_set(o, "since", json_time(since_unix_ms));
    json_set(o, "until", json_time(until_unix_ms));
    return o;
}

static json_t *reasons_json(const uint32_t reasons[WAIT_REASONS])
{
    json_t *list = json_array();

    for (enum wait_reason r = WAIT_NONE + 1; r < WAIT_REASONS; r++) {
        json_t *o;

        if (!reasons[r])
            continue;
        o = json_reason(r);
        json_set(o, "runs", json_integer(reasons[r]));
        json_array_append_new(list, o);
    }
    return list;
}

json_t *json_pool(const struct board_pool *pool, int64_t now_unix_ms)
{
    const struct pool_config *config = &pool->config;
    json_t *o = json_object(), *aliases = json_array();

    for (size_t i = 0; i < config->alias_count; i++)
        json_array_append_new(aliases, json_text(config->aliases[i]));
    json_set(o, "name", json_text(config->name));
    json_set(o, "aliases", aliases);
    json_set(o, "state", json_text(pool_state_name(pool->state)));
    json_set(o, "state_change",
             change_json(pool->who, pool->reason, pool->since_unix_ms,
                         pool->until_unix_ms));
    json_set_capacity(o, config->limit, pool->used);
    json_set(o, "configured_limit", json_integer(pool->configured_limit));
    json_set(o, "overridden", json_boolean(pool->overridden));
    json_set(o, "max_size", json_size(config->max_size));
    json_set(o, "waiting", json_integer(pool->waiting));
    json_set(o, "waiting_max", json_integer(config->waiting_max));
    json_set(o, "oldest_waiting_since", json_time(pool->oldest_queued_unix_ms));
    json_set(o, "oldest_waiting_s",
             json_span(pool->oldest_queued_unix_ms, now_unix_ms));
    json_set(o, "reasons", reasons_json(pool->reasons));
    json_set(o, "agents", json_integer(pool->agents));
    json_set(o, "agents_healthy", json_integer(pool->agents_healthy));
    json_set(o, "slots", json_integer(pool->slots));
    json_set(o, "slots_free", json_integer(pool->slots_free));
    json_set(o, "fallback", fallback_json(config));
    return o;
}

json_t *json_agent(const struct board_agent *agent, int64_t now_unix_ms)
{
    json_t *o = json_object();

    json_set(o, "name", json_text(agent->name));
    json_set(o, "health", json_text(agent_health_name(agent->health)));
    json_set(o, "state", json_text(pool_state_name(agent->state)));
    json_set(o, "state_change", change_json(agent->who, agent->reason, 0, 0));
    json_set(o, "pools", json_comma_list(agent->pools));
    json_set(o, "slots", json_integer(agent->slots));
    json_set(o, "active_runs", json_integer(agent->used));
    json_set(o, "slots_free",
             json_integer(
                 agent->slots > agent->used ? agent->slots - agent->used : 0));
    json_set(o, "runs_done", json_count(agent->done));
    json_set(o, "runs_failed", json_count(agent->failed));
    json_set(o, "host", json_text(agent->host));
    json_set(o, "pid", json_integer(agent->pid));
    json_set(o, "software", json_text(agent->software));
    json_set(o, "capabilities", json_comma_list(agent->caps));
    json_set(o, "connected_at", json_time(agent->connected_unix_ms));
    json_set(o, "last_seen_at",
             json_time(now_unix_ms - (int64_t)agent->seen_ms_ago));
    json_set(o, "last_seen_s", json_seconds(agent->seen_ms_ago));
    return o;
}

/* ---- runs --------------------------------------------------------------- */

json_t *json_run(const struct run_id *id, const struct run_record *run,
                 const struct origin *origin)
{
    const char *pool = run->pool ? run->pool : origin->wanted_pool;
    json_t *o = json_object();

    json_set(o, "run_id", json_run_id(id));
    json_set(o, "flow_run_id", json_run_id(id));
    json_set(o, "workflow_id", json_text(origin->workflow_id));
    json_set(o, "workflow_name", json_text(origin->workflow));
    json_set(o, "state", json_text(run_state_name(run->state)));
    json_set(o, "work_pool", json_text(pool));
    json_set(o, "wanted_pool", json_text(origin->wanted_pool));
    json_set(o, "rule", json_text(origin->rule));
    json_set(o, "agent", json_text(run->agent));
    json_set(o, "attempt", json_integer(run->attempt));
    json_set(o, "priority", json_text(run_priority_name(origin->priority)));
    json_set(o, "who", json_text(origin->who));
    json_set(o, "submitted_at", json_time(origin->submitted_unix_ms));
    json_set(o, "queued_at", json_time(run->queued_unix_ms));
    json_set(o, "not_before",
             run->state == RUN_SCHEDULED ? json_time(run->not_before_unix_ms)
                                         : json_null());
    json_set(o, "started_at", json_time(run->started_unix_ms));
    json_set(o, "ended_at", json_time(run->ended_unix_ms));
    json_set(o, "duration_s",
             json_span(run->started_unix_ms, run->ended_unix_ms));
    json_set(o, "error", json_text(run->error));
    return o;
}

json_t *json_attempt(const struct attempt_record *attempt,
                     const struct origin *origin)
{
    json_t *o = json_object();

    json_set(o, "attempt", json_integer(attempt->attempt));
    json_set(o, "outcome", json_text(attempt_outcome_name(attempt->outcome)));
    json_set(o, "work_pool", json_text(attempt->pool));
    json_set(o, "agent", json_text(attempt->agent));
    json_set(o, "leased_at", json_time(attempt->leased_unix_ms));
    json_set(o, "accepted_at", json_time(attempt->accepted_unix_ms));
    json_set(o, "started_at", json_time(attempt->started_unix_ms));
    json_set(o, "ended_at", json_time(attempt->ended_unix_ms));
    json_set(o, "duration_s",
             json_span(attempt->started_unix_ms, attempt->ended_unix_ms));
    json_set(o, "error", json_text(attempt->error));
    json_set(o, "logs_complete", json_boolean(attempt->logs_complete));
    json_set(o, "log_dropped_bytes", json_count(attempt->log_dropped));
    json_set(o, "decision", json_decision(origin, &attempt->decision));
    return o;
}
