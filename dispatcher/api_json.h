/*
 * api_json.h - the domain's things as the API shows them. One shape a thing,
 * wherever it appears; times RFC 3339 UTC with milliseconds, durations in
 * seconds, sizes in bytes; what is not known is null.
 *
 * Memory:  results are new references, NULL without memory (json_set() stores
 *          null then); arguments are borrowed during the call.
 * Threads: none; pure.
 */
#ifndef DISPATCHER_API_JSON_H
#define DISPATCHER_API_JSON_H

#include "pools/history.h"
#include "pools/ledger.h"

#include <jansson.h>

enum { API_TIME_MAX = 32 };

/* ---- small things ------------------------------------------------------- */

/* Takes value; NULL is stored as null. */
void json_set(json_t *object, const char *key, json_t *value);
/* NULL -> null; bytes that are not UTF-8 become U+FFFD. */
json_t *json_text(const char *text);
json_t *json_text_bytes(const char *text, size_t bytes);
json_t *json_count(uint64_t number);
/* RUN_COUNT_UNKNOWN: null. */
json_t *json_known(uint64_t count);
/* Negative: null. */
json_t *json_size(int64_t bytes);
json_t *json_seconds(uint64_t ms);
/* 0: null. */
json_t *json_time(int64_t unix_ms);
/* to - from in seconds; null when either is 0. */
json_t *json_span(int64_t from_unix_ms, int64_t to_unix_ms);
json_t *json_run_id(const struct run_id *id);
/* "a,b" -> ["a", "b"] */
json_t *json_comma_list(const char *text);
/* malloc'ed, one line, ends in a newline. */
char *json_out(const json_t *value, size_t *ret_bytes);

/* "2026-11-20T18:00:00.123Z" */
void api_time_text(int64_t unix_ms, char ret_text[API_TIME_MAX]);
int64_t api_now_unix_ms(void);
/* RFC 3339 with a zone. -EINVAL. */
int api_time_parse(const char *text, int64_t *ret_unix_ms);
/* "350 ms", "2.4 s", "3 min 20 s", "2 h 5 min" */
void api_span_text(uint64_t ms, char ret_text[API_TIME_MAX]);

/* ---- the domain --------------------------------------------------------- */

/* {"reason", "verdict", "text"}; null for WAIT_NONE. */
json_t *json_reason(enum wait_reason reason);
/* The same as "reason", "verdict" and "reason_text" of an object; each null for
 * WAIT_NONE. */
void json_set_reason(json_t *object, enum wait_reason reason);
/* The same of a run that is explained, and what is "missing"; NO_CAPABLE_AGENT
 * says in its text what that is. */
void json_set_explained(json_t *object, const struct explanation *now);
const char *explained_text(const struct explanation *now);
json_t *json_features(const struct features *features);
/* rule, why and wanted pool of the origin, with the candidates of `decision`,
 * which may be a later one. */
json_t *json_decision(const struct origin *origin,
                      const struct decision *decision);
json_t *json_holder(const struct board_holder *holder, int64_t now_unix_ms);
json_t *json_pool(const struct board_pool *pool, int64_t now_unix_ms);
/* What pools, capacity_at_execution and the overview say of slots. */
void json_set_capacity(json_t *object, uint32_t limit, uint32_t used);
json_t *json_agent(const struct board_agent *agent, int64_t now_unix_ms);
/* The short form, as in lists. */
json_t *json_run(const struct run_id *id, const struct run_record *run,
                 const struct origin *origin);
json_t *json_attempt(const struct attempt_record *attempt,
                     const struct origin *origin);

#endif
