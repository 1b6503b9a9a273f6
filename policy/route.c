/* route.c - see route.h */
#include "policy/route.h"
#include "policy/text.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* ---- names ----------------------------------------------------------- */

static const struct {
    const char *name;
    enum wait_verdict verdict;
    const char *text;
} reasons[WAIT_REASONS] = {
    [WAIT_NONE] = {"NONE", VERDICT_WAIT, "The run does not wait."},
    [WAIT_POOL_FULL] = {"POOL_FULL", VERDICT_WAIT,
                        "All slots of the pool are in use."},
    [WAIT_POOL_PAUSED] = {"POOL_PAUSED", VERDICT_ASK_OPERATOR,
                          "The pool is paused: it accepts runs and starts none "
                          "until it is resumed."},
    [WAIT_POOL_DRAINING] = {"POOL_DRAINING", VERDICT_ASK_OPERATOR,
                            "The pool is draining: it finishes what runs and "
                            "starts nothing until it is resumed."},
    [WAIT_NO_AGENT] = {"NO_AGENT", VERDICT_ASK_OPERATOR,
                       "No agent that serves the pool is connected."},
    [WAIT_NO_CAPABLE_AGENT] = {"NO_CAPABLE_AGENT", VERDICT_ASK_OPERATOR,
                               "No agent of the pool can execute every node of "
                               "the workflow."},
    [WAIT_AGENTS_UNHEALTHY] = {"AGENTS_UNHEALTHY", VERDICT_ASK_OPERATOR,
                               "Every agent that serves the pool is lost, "
                               "paused or draining."},
    [WAIT_AGENTS_BUSY] = {"AGENTS_BUSY", VERDICT_WAIT,
                          "The pool has room, but none of its agents has a "
                          "free slot."},
    [WAIT_HIGHER_PRIORITY] = {"HIGHER_PRIORITY", VERDICT_WAIT,
                              "Other runs in the line are before this one."},
    [WAIT_BEGIN_TIME] = {"BEGIN_TIME", VERDICT_WAIT,
                         "The time the run was asked to start at has not "
                         "come."},
    [WAIT_RETRY_BACKOFF] = {"RETRY_BACKOFF", VERDICT_WAIT,
                            "An attempt failed; the next one starts after a "
                            "delay."},
    [WAIT_WORKFLOW_PAUSED] = {"WORKFLOW_PAUSED", VERDICT_ASK_OPERATOR,
                              "The workflow is paused."},
    [WAIT_WORKFLOW_LIMIT] = {"WORKFLOW_LIMIT", VERDICT_WAIT,
                             "As many runs of this workflow as it allows are "
                             "running."},
    [WAIT_KEY_LIMIT] = {"KEY_LIMIT", VERDICT_WAIT,
                        "Another run with the same concurrency key is "
                        "running."},
    [WAIT_FALLBACK_FORBIDDEN] = {"FALLBACK_FORBIDDEN", VERDICT_CHANGE_REQUEST,
                                 "Another pool would take the run, but the "
                                 "request allows no fallback."},
    [WAIT_BROKER_DRAINING] = {"BROKER_DRAINING", VERDICT_ASK_OPERATOR,
                              "The broker is draining: it starts nothing "
                              "until it is resumed or restarted."},
    [WAIT_STORE_FULL] = {"STORE_FULL", VERDICT_ASK_OPERATOR,
                         "The store is almost full: nothing is started until "
                         "there is room for the results."},
    [WAIT_TOO_BIG] = {"TOO_BIG", VERDICT_CHANGE_REQUEST,
                      "The run is bigger than its pool's ceiling and no "
                      "fallback can hold it."},
};

const char *wait_reason_name(enum wait_reason reason)
{
    assert(reason < WAIT_REASONS);
    return reasons[reason].name;
}

enum wait_verdict wait_reason_verdict(enum wait_reason reason)
{
    assert(reason < WAIT_REASONS);
    return reasons[reason].verdict;
}

const char *wait_reason_text(enum wait_reason reason)
{
    assert(reason < WAIT_REASONS);
    return reasons[reason].text;
}

const char *wait_verdict_name(enum wait_verdict verdict)
{
    switch (verdict) {
    case VERDICT_WAIT:
        return "wait";
    case VERDICT_CHANGE_REQUEST:
        return "change the request";
    case VERDICT_ASK_OPERATOR:
        return "ask an operator";
    }
    return "wait";
}

const char *pool_state_name(enum pool_state state)
{
    switch (state) {
    case POOL_OPEN:
        return "open";
    case POOL_PAUSED:
        return "paused";
    case POOL_DRAINING:
        return "draining";
    case POOL_CLOSED:
        return "closed";
    }
    return "open";
}

/* A verdict's name, and the reason it means when it is the wanted pool's. The
 * guards stand on fallback hops only; their rows keep the table total. */
static const struct {
    const char *name;
    enum wait_reason reason;
} verdicts[] = {
    [ROUTE_TAKE] = {"take", WAIT_NONE},
    [ROUTE_FULL] = {"full", WAIT_POOL_FULL},
    [ROUTE_PAUSED] = {"paused", WAIT_POOL_PAUSED},
    [ROUTE_DRAINING] = {"draining", WAIT_POOL_DRAINING},
    [ROUTE_NO_AGENT] = {"no_agent", WAIT_NO_AGENT},
    [ROUTE_UNHEALTHY] = {"unhealthy", WAIT_AGENTS_UNHEALTHY},
    [ROUTE_NOT_CAPABLE] = {"not_capable", WAIT_NO_CAPABLE_AGENT},
    [ROUTE_AGENTS_BUSY] = {"agents_busy", WAIT_AGENTS_BUSY},
    [ROUTE_TOO_BIG] = {"too_big", WAIT_TOO_BIG},
    [ROUTE_SIZE_UNKNOWN] = {"size_unknown", WAIT_TOO_BIG},
    [ROUTE_SIZE_GUARD] = {"size_guard", WAIT_TOO_BIG},
    [ROUTE_NOT_YET] = {"not_yet", WAIT_POOL_FULL},
    [ROUTE_TOO_LITTLE_FREE] = {"too_little_free", WAIT_POOL_FULL},
    [ROUTE_FORBIDDEN] = {"forbidden", WAIT_FALLBACK_FORBIDDEN},
    [ROUTE_NOT_REACHED] = {"not_reached", WAIT_HIGHER_PRIORITY},
};

const char *route_verdict_name(enum route_verdict verdict)
{
    assert(verdict < sizeof verdicts / sizeof verdicts[0]);
    return verdicts[verdict].name;
}

static enum wait_reason route_reason(enum route_verdict verdict)
{
    assert(verdict < sizeof verdicts / sizeof verdicts[0]);
    return verdicts[verdict].reason;
}

/* ---- one pool -------------------------------------------------------- */

/* What no change of load can mend: ROUTE_TAKE when nothing of it applies. */
static enum route_verdict check_fixed(const struct route_hop *hop,
                                      bool is_wanted, int64_t max_size,
                                      int64_t size_bytes,
                                      bool fallback_forbidden)
{
    if (!is_wanted && fallback_forbidden)
        return ROUTE_FORBIDDEN;
    if (max_size >= 0 && size_bytes > max_size)
        return ROUTE_TOO_BIG;
    if (!is_wanted && hop->size_below >= 0) {
        if (size_bytes < 0)
            return ROUTE_SIZE_UNKNOWN;
        if (size_bytes >= hop->size_below)
            return ROUTE_SIZE_GUARD;
    }
    return ROUTE_TAKE;
}

static uint32_t free_slots(const struct pool_view *view)
{
    return view->used < view->limit ? view->limit - view->used : 0;
}

/* The order is from what lasts to what passes, so that the verdict given is the
 * one most worth acting on. */
enum route_verdict route_check(const struct route_request *request, size_t hop,
                               const struct pool_view *view)
{
    assert(hop < request->hop_count && request->hop_count <= ROUTE_HOPS_MAX);
    const struct route_hop *guard = &request->hops[hop];
    enum route_verdict fixed =
        check_fixed(guard, hop == 0, view->max_size, request->size_bytes,
                    request->fallback_forbidden);

    if (fixed != ROUTE_TAKE)
        return fixed;
    if (view->state == POOL_PAUSED)
        return ROUTE_PAUSED;
    if (view->state == POOL_DRAINING)
        return ROUTE_DRAINING;
    if (view->agents == 0)
        return ROUTE_NO_AGENT;
    if (view->agents_healthy == 0)
        return ROUTE_UNHEALTHY;
    if (view->agents_capable == 0)
        return ROUTE_NOT_CAPABLE;
    if (view->used >= view->limit)
        return ROUTE_FULL;
    if (view->slots_free == 0)
        return ROUTE_AGENTS_BUSY;
    if (hop == 0)
        return ROUTE_TAKE;
    if (request->waited_ms < guard->after_ms)
        return ROUTE_NOT_YET;
    if (free_slots(view) < guard->free_at_least)
        return ROUTE_TOO_LITTLE_FREE;
    return ROUTE_TAKE;
}

bool route_possible(const struct route_hop *hop, bool is_wanted,
                    int64_t max_size, int64_t size_bytes,
                    bool fallback_forbidden)
{
    return check_fixed(hop, is_wanted, max_size, size_bytes,
                       fallback_forbidden) == ROUTE_TAKE;
}

/* ---- the record ------------------------------------------------------ */

static void explain_sizes(const char *fmt_before, int64_t size,
                          const char *fmt_between, int64_t limit, char *why)
{
    char size_text[SIZE_TEXT_MAX];
    char limit_text[SIZE_TEXT_MAX];
    text_size_pair(size, limit, size_text, limit_text);
    text_append(why, ROUTE_WHY_MAX, "%s%s%s%s", fmt_before, size_text,
                fmt_between, limit_text);
}

/* Seconds with one decimal; `after` guards are configured in such steps. */
static void append_seconds(char *why, uint64_t ms)
{
    text_append(why, ROUTE_WHY_MAX, "%llu.%llu s",
                (unsigned long long)(ms / 1000),
                (unsigned long long)(ms % 1000 / 100));
}

static const char *plural(uint32_t count)
{
    return count == 1 ? "" : "s";
}

static void explain(const struct route_request *request, size_t hop,
                    const struct pool_view *view, enum route_verdict verdict,
                    char why[ROUTE_WHY_MAX])
{
    const struct route_hop *guard = &request->hops[hop];

    why[0] = '\0';
    switch (verdict) {
    case ROUTE_TAKE:
    case ROUTE_FULL:
        text_append(why, ROUTE_WHY_MAX, "%u of %u slots in use", view->used,
                    view->limit);
        break;
    case ROUTE_PAUSED:
        text_append(why, ROUTE_WHY_MAX, "paused");
        break;
    case ROUTE_DRAINING:
        text_append(why, ROUTE_WHY_MAX, "draining");
        break;
    case ROUTE_NO_AGENT:
        text_append(why, ROUTE_WHY_MAX, "no agent serves this pool");
        break;
    case ROUTE_UNHEALTHY:
        text_append(why, ROUTE_WHY_MAX,
                    "%u agent%s, all lost, paused or draining", view->agents,
                    plural(view->agents));
        break;
    case ROUTE_NOT_CAPABLE:
        text_append(why, ROUTE_WHY_MAX,
                    "none of %u healthy agent%s can execute every node",
                    view->agents_healthy, plural(view->agents_healthy));
        break;
    case ROUTE_AGENTS_BUSY:
        text_append(why, ROUTE_WHY_MAX,
                    "%u of %u slots in use, but none is free on %u capable "
                    "agent%s",
                    view->used, view->limit, view->agents_capable,
                    plural(view->agents_capable));
        break;
    case ROUTE_TOO_BIG:
        explain_sizes("size ", request->size_bytes,
                      " is over this pool's ceiling of ", view->max_size, why);
        break;
    case ROUTE_SIZE_UNKNOWN:
        text_append(why, ROUTE_WHY_MAX,
                    "only for a known size, and this run's is unknown");
        break;
    case ROUTE_SIZE_GUARD:
        explain_sizes("size ", request->size_bytes,
                      " is not below this fallback's limit of ",
                      guard->size_below, why);
        break;
    case ROUTE_NOT_YET:
        text_append(why, ROUTE_WHY_MAX, "only after ");
        append_seconds(why, guard->after_ms);
        text_append(why, ROUTE_WHY_MAX, " of waiting (waited ");
        append_seconds(why, request->waited_ms);
        text_append(why, ROUTE_WHY_MAX, ")");
        break;
    case ROUTE_TOO_LITTLE_FREE:
        text_append(why, ROUTE_WHY_MAX,
                    "only while at least %u slots are free (%u of %u are)",
                    guard->free_at_least, free_slots(view), view->limit);
        break;
    case ROUTE_FORBIDDEN:
        text_append(why, ROUTE_WHY_MAX, "the request allows no fallback");
        break;
    case ROUTE_NOT_REACHED:
        text_append(why, ROUTE_WHY_MAX, "an earlier candidate took the run");
        break;
    }
}

/* When a guard `after` that still blocks this hop opens; 0: none does. Also for
 * a hop that is full just now: whoever waits for the time must not depend on
 * the order in which the slot and the guard open. */
static uint64_t opens_in_ms(const struct route_request *request, size_t hop,
                            const struct pool_view *view)
{
    const struct route_hop *guard = &request->hops[hop];

    if (hop == 0 || request->waited_ms >= guard->after_ms ||
        !route_possible(guard, false, view->max_size, request->size_bytes,
                        request->fallback_forbidden))
        return 0;
    return guard->after_ms - request->waited_ms;
}

/* A run waits for the first candidate that may take it one day: the wanted
 * pool, unless its size forbids it. */
static enum route_verdict waits_for(const struct decision *decision)
{
    for (size_t i = 0; i < decision->candidate_count; i++) {
        switch (decision->candidates[i].verdict) {
        case ROUTE_TOO_BIG:
        case ROUTE_SIZE_UNKNOWN:
        case ROUTE_SIZE_GUARD:
        case ROUTE_FORBIDDEN:
            continue;
        case ROUTE_TAKE:
        case ROUTE_FULL:
        case ROUTE_PAUSED:
        case ROUTE_DRAINING:
        case ROUTE_NO_AGENT:
        case ROUTE_UNHEALTHY:
        case ROUTE_NOT_CAPABLE:
        case ROUTE_AGENTS_BUSY:
        case ROUTE_NOT_YET:
        case ROUTE_TOO_LITTLE_FREE:
        case ROUTE_NOT_REACHED:
            return decision->candidates[i].verdict;
        }
    }
    return decision->candidates[0].verdict;
}

void route_decide(const struct route_request *request,
                  const struct pool_view *views, struct decision *ret)
{
    assert(request->hop_count >= 1 && request->hop_count <= ROUTE_HOPS_MAX);

    memset(ret, 0, sizeof *ret);
    ret->chosen = -1;
    ret->candidate_count = request->hop_count;
    for (size_t i = 0; i < request->hop_count; i++) {
        const struct pool_view *view = &views[i];
        struct route_candidate *candidate = &ret->candidates[i];

        text_append(candidate->pool, sizeof candidate->pool, "%s", view->name);
        candidate->limit = view->limit;
        candidate->used = view->used;
        candidate->agents = view->agents;
        candidate->slots_free = view->slots_free;
        candidate->verdict = ret->chosen >= 0 ? ROUTE_NOT_REACHED
                                              : route_check(request, i, view);
        explain(request, i, view, candidate->verdict, candidate->why);
        if (candidate->verdict == ROUTE_TAKE)
            ret->chosen = (int)i;

        uint64_t opens = opens_in_ms(request, i, view);
        if (opens > 0 &&
            (ret->look_again_ms == 0 || opens < ret->look_again_ms))
            ret->look_again_ms = opens;
    }
    if (ret->chosen >= 0) {
        ret->reason = WAIT_NONE;
        ret->look_again_ms = 0;
    } else {
        ret->reason = route_reason(waits_for(ret));
    }
    assert(ret->chosen >= 0 || ret->reason != WAIT_NONE);
}
