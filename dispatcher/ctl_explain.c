/* ctl_explain.c - see ctl.h: why a run is where it is. Top to bottom: what it
 * is, what the rules made of it, every pool that was looked at with one reason,
 * and for a waiting run what it waits for, who stands before it and what a
 * person can do. */
#include "dispatcher/ctl.h"
#include "dispatcher/table.h"

#include <stdlib.h>
#include <string.h>

/* It waits for a time, and stands in no line. */
static bool is_scheduled(const json_t *story)
{
    return strcmp(pick_text(story, "state", ""), "SCHEDULED") == 0;
}

/* ---- what it is -------------------------------------------------------- */

static char *features_line(const json_t *features)
{
    double nodes = pick_number(features, "nodes", -1);
    double db = pick_number(features, "db_nodes", 0);
    double transforms = pick_number(features, "transforms", 0);
    double size = pick_number(features, "size_bytes", -1);
    char *bytes = size >= 0 ? plain_size(size) : plain_format("unknown");
    char *tags = pick_any(pick(features, "tags"));
    char *line = plain_format(
        "%.0f node%s (%.0f database, %.0f transform), size %s%s%s%s%s%s", nodes,
        nodes == 1 ? "" : "s", db, transforms, bytes, size >= 0 ? " (" : "",
        size >= 0 ? pick_text(features, "size_source", "declared") : "",
        size >= 0 ? ")" : "", *tags ? ", tags " : ", no tags", tags);

    free(bytes);
    free(tags);
    return line;
}

static void show_what(const struct screen *screen, const json_t *story)
{
    const json_t *features = pick(story, "features");
    const char *rule = pick_text(story, "decision.rule", "");
    const char *why = pick_text(story, "decision.why", "");
    const char *wanted = pick_text(story, "wanted_pool", "");

    if (features) {
        char *line = features_line(features);
        ctl_field(screen, "it has", line);
        free(line);
    }
    if (!*rule)
        return;
    screen_put(screen, STYLE_DIM, "  %-11s ", "rule");
    screen_put(screen, STYLE_BOLD, "%s", rule);
    screen_put(screen, STYLE_PLAIN, " %s pool ",
               screen_ornament(screen, ORNAMENT_ARROW));
    screen_put(screen, STYLE_NAME, "%s", wanted);
    screen_put(screen, STYLE_PLAIN, "%s%s\n", *why ? ", because " : "", why);
}

/* ---- the candidates ---------------------------------------------------- */

static const struct {
    const char *verdict;
    const char *shown;
    enum style style;
    enum ornament mark;
} verdicts[] = {
    {"take", "takes it", STYLE_GOOD, ORNAMENT_OK},
    {"full", "full", STYLE_WARN, ORNAMENT_FAIL},
    {"paused", "paused", STYLE_WARN, ORNAMENT_FAIL},
    {"draining", "draining", STYLE_WARN, ORNAMENT_FAIL},
    {"no_agent", "no agent", STYLE_BAD, ORNAMENT_FAIL},
    {"unhealthy", "agents unhealthy", STYLE_BAD, ORNAMENT_FAIL},
    {"not_capable", "not capable", STYLE_BAD, ORNAMENT_FAIL},
    {"agents_busy", "agents busy", STYLE_WARN, ORNAMENT_FAIL},
    {"too_big", "too big", STYLE_BAD, ORNAMENT_FAIL},
    {"size_unknown", "size unknown", STYLE_WARN, ORNAMENT_FAIL},
    {"size_guard", "over its limit", STYLE_WARN, ORNAMENT_FAIL},
    {"not_yet", "not yet", STYLE_WARN, ORNAMENT_WAIT},
    {"too_little_free", "too little free", STYLE_WARN, ORNAMENT_WAIT},
    {"forbidden", "not allowed", STYLE_WARN, ORNAMENT_FAIL},
    {"not_reached", "not needed", STYLE_DIM, ORNAMENT_WAIT},
};

static size_t verdict_of(const char *verdict)
{
    size_t count = sizeof verdicts / sizeof verdicts[0];
    size_t i = 0;

    while (i + 1 < count && strcmp(verdicts[i].verdict, verdict) != 0)
        i++;
    return i;
}

static const struct table_column candidate_columns[] = {
    {.head = ""},
    {.head = "POOL", .min = 8},
    {.head = "SLOTS", .right = true},
    {.head = "AGENTS", .right = true},
    {.head = "VERDICT"},
    {.head = "WHY", .wrap = true},
};

static void candidate_row(struct table *table, const struct screen *screen,
                          const json_t *candidate, bool went)
{
    const char *word = pick_text(candidate, "verdict", "");
    size_t v = verdict_of(word);
    const char *shown = verdicts[v].shown;

    if (strcmp(verdicts[v].verdict, word) != 0)
        shown = word; /* of a newer broker */
    else if (went && strcmp(word, "take") == 0)
        shown = "took it";
    table_cell(table, verdicts[v].style, "%s",
               screen_ornament(screen, verdicts[v].mark));
    table_cell(table, STYLE_BOLD, "%s", pick_text(candidate, "pool", ""));
    table_cell(table, STYLE_PLAIN, "%.0f/%.0f",
               pick_number(candidate, "active_runs", 0),
               pick_number(candidate, "concurrency_limit", 0));
    table_cell(table, STYLE_PLAIN, "%.0f", pick_number(candidate, "agents", 0));
    table_cell(table, verdicts[v].style, "%s", shown);
    table_cell(table, STYLE_DIM, "%s", pick_text(candidate, "why", ""));
}

/* Pools that nobody had to look at, because an earlier one took the run, are
 * only named. */
static void show_candidates(const struct screen *screen,
                            const json_t *candidates, bool went)
{
    struct table *table =
        table_new(candidate_columns,
                  sizeof candidate_columns / sizeof candidate_columns[0]);
    char *spared = plain_format("%s", "");

    for (size_t i = 0; i < json_array_size(candidates); i++) {
        const json_t *candidate = json_array_get(candidates, i);
        if (strcmp(pick_text(candidate, "verdict", ""), "not_reached") != 0) {
            candidate_row(table, screen, candidate, went);
            continue;
        }
        char *longer = plain_format("%s%s%s", spared, *spared ? ", " : "",
                                    pick_text(candidate, "pool", ""));
        free(spared);
        spared = longer;
    }
    if (table_rows(table) > 0)
        table_print(table, screen, 2);
    if (*spared)
        screen_put(screen, STYLE_DIM, "  %s  %s %s not needed\n",
                   screen_ornament(screen, ORNAMENT_WAIT), spared,
                   strchr(spared, ',') ? "were" : "was");
    free(spared);
    table_free(&table);
}

/* ---- why it waits ------------------------------------------------------ */

/* What to type, where there is something to type. %s is the wanted pool. */
static const struct {
    const char *reason;
    const char *advice;
} advices[] = {
    {"POOL_FULL", "It starts when a slot is free. More slots: dispatchctl "
                  "pool set %s limit=N"},
    {"POOL_PAUSED", "dispatchctl pool resume %s"},
    {"POOL_DRAINING", "dispatchctl pool resume %s"},
    {"NO_AGENT",
     "Start one: agent --connect ADDRESS --name NAME --pools %s --slots N"},
    {"NO_CAPABLE_AGENT",
     "Add an agent to %s that announces what is missing, or cancel the run."},
    {"AGENTS_UNHEALTHY", "dispatchctl agent list says which, and since when "
                         "(pool %s)."},
    {"AGENTS_BUSY", "It starts when an agent of %s has a free slot; give one "
                    "more --slots, or add an agent."},
    {"FALLBACK_FORBIDDEN", "Submit it without --no-fallback, or wait for %s."},
    {"BROKER_DRAINING", "The broker is being stopped; the run is kept and "
                        "goes on after its restart (pool %s)."},
    {"TOO_BIG", "dispatchctl pool set %s max_size=SIZE, or cancel the run."},
};

static char *advice_for(const char *reason, const char *pool)
{
    for (size_t i = 0; i < sizeof advices / sizeof advices[0]; i++) {
        if (strcmp(advices[i].reason, reason) != 0)
            continue;
        const char *hole = strstr(advices[i].advice, "%s");
        if (!hole)
            return plain_format("%s", advices[i].advice);
        return plain_format("%.*s%s%s", (int)(hole - advices[i].advice),
                            advices[i].advice, pool, hole + 2);
    }
    return plain_format("%s", "");
}

/* When it starts and, between two attempts, which ones these are. */
static void show_start(const struct screen *screen, const json_t *story)
{
    double begins = pick_time(story, "begins_at|not_before");
    double retries = pick_number(story, "retries", -1);
    const json_t *attempts = pick(story, "attempts");
    size_t count = json_array_size(attempts);
    double last =
        count ? pick_number(json_array_get(attempts, count - 1), "attempt", 0)
              : 0;

    if (begins >= 0) {
        char *clock = plain_clock(begins);
        double in = begins - plain_now();
        char *span = plain_duration(in > 0 ? in : 0);
        char *line = in > 0 ? plain_format("%s, in %s", clock, span)
                            : plain_format("%s, now", clock);
        ctl_field(screen, "starts", line);
        free(line);
        free(span);
        free(clock);
    }
    if (last > 0 &&
        strcmp(pick_text(story, "reason", ""), "RETRY_BACKOFF") == 0) {
        char *of = retries >= last ? plain_format(" of %.0f", retries + 1)
                                   : plain_format("%s", "");
        char *line = plain_format("attempt %.0f%s; attempt %.0f failed",
                                  last + 1, of, last);
        ctl_field(screen, "comes next", line);
        free(line);
        free(of);
    }
}

static void show_line(const struct screen *screen, const json_t *story)
{
    double ahead = pick_number(story, "ahead", -1);
    double waited = pick_number(story, "waited_s", -1);
    char *text = NULL;

    if (ahead == 0)
        text = plain_format("it is the next one");
    else if (ahead > 0)
        text = plain_format("%s%.0f %s before it",
                            pick_true(story, "ahead_more") ? "at least " : "",
                            ahead, ahead == 1 ? "run is" : "runs are");
    if (waited >= 0) {
        char *time = plain_duration(waited);
        char *longer = plain_format("%s%swaited %s", text ? text : "",
                                    text ? "; " : "", time);
        free(time);
        free(text);
        text = longer;
    }
    ctl_field(screen, "its place", text);
    free(text);
}

static void show_waiting(const struct screen *screen, const json_t *story)
{
    const char *reason = pick_text(story, "reason", "");
    const char *text = pick_text(story, "reason_text", "");
    const char *verdict = pick_text(story, "verdict", "");
    const char *wanted = pick_text(story, "wanted_pool", "");

    if (!*reason)
        return;
    ctl_headline(screen, "Why it waits");
    screen_put(screen, STYLE_WARN, "  %s", reason);
    screen_put(screen, STYLE_PLAIN, "  ");
    screen_wrap(screen, STYLE_PLAIN, (int)strlen(reason) + 4, 4, text);
    if (is_scheduled(story))
        show_start(screen, story);
    else
        show_line(screen, story);
    char *advice = advice_for(reason, wanted);
    char *what = plain_format("%s%s%s", verdict,
                              *verdict && *advice ? ". " : "", advice);
    ctl_field(screen, "what to do", what);
    free(what);
    free(advice);
}

static const struct table_column holder_columns[] = {
    {.head = "RUN"},
    {.head = "WORKFLOW", .min = 10},
    {.head = "STATE"},
    {.head = "AGENT", .min = 8},
    {.head = "FOR", .right = true},
};

void ctl_show_holders(const struct screen *screen, const json_t *holders)
{
    struct table *table = table_new(
        holder_columns, sizeof holder_columns / sizeof holder_columns[0]);

    for (size_t i = 0; i < json_array_size(holders); i++) {
        const json_t *holder = json_array_get(holders, i);
        const char *state = pick_text(holder, "state", "");
        char *held = plain_duration(pick_number(holder, "held_s", 0));
        table_cell(table, STYLE_PLAIN, "%s", pick_text(holder, "run_id", ""));
        table_cell(table, STYLE_BOLD, "%s", ctl_workflow_name(holder));
        table_cell(table, ctl_state_style(state), "%s", state);
        table_cell(table, STYLE_DIM, "%s", pick_text(holder, "agent", ""));
        table_cell(table, STYLE_PLAIN, "%s", held);
        free(held);
    }
    if (table_rows(table) > 0)
        table_print(table, screen, 2);
    table_free(&table);
}

/* ---- what was tried ---------------------------------------------------- */

static const struct table_column attempt_columns[] = {
    {.head = "#", .right = true},
    {.head = "POOL", .min = 8},
    {.head = "AGENT", .min = 8},
    {.head = "OUTCOME"},
    {.head = "STARTED"},
    {.head = "TOOK", .right = true},
    {.head = "ERROR", .wrap = true},
};

static void show_attempts(const struct screen *screen, const json_t *attempts)
{
    struct table *table = table_new(
        attempt_columns, sizeof attempt_columns / sizeof attempt_columns[0]);

    for (size_t i = 0; i < json_array_size(attempts); i++) {
        const json_t *attempt = json_array_get(attempts, i);
        const char *outcome = pick_text(attempt, "outcome", "");
        char *started = plain_clock(pick_time(attempt, "started_at|leased_at"));
        char *took = ctl_took(attempt);
        table_cell(table, STYLE_PLAIN, "%.0f",
                   pick_number(attempt, "attempt", (double)i + 1));
        table_cell(table, STYLE_BOLD, "%s",
                   pick_text(attempt, "work_pool", ""));
        table_cell(table, STYLE_DIM, "%s", pick_text(attempt, "agent", ""));
        table_cell(table, ctl_state_style(outcome), "%s", outcome);
        table_cell(table, STYLE_DIM, "%s", started);
        table_cell(table, STYLE_PLAIN, "%s", took);
        table_cell(table, STYLE_BAD, "%s", pick_text(attempt, "error", ""));
        free(started);
        free(took);
    }
    if (table_rows(table) > 0) {
        ctl_headline(screen, "Attempts");
        table_print(table, screen, 2);
    }
    table_free(&table);
}

/* ---- the whole --------------------------------------------------------- */

static void show_fell_back(const struct screen *screen, const json_t *story)
{
    const char *wanted = pick_text(story, "wanted_pool", "");
    const char *pool = pick_text(story, "work_pool", "");

    if (!*wanted || !*pool || strcmp(wanted, pool) == 0)
        return;
    screen_put(screen, STYLE_DIM, "  %-11s ", "fallback");
    screen_put(screen, STYLE_NAME, "%s", wanted);
    screen_put(screen, STYLE_PLAIN, " %s ",
               screen_ornament(screen, ORNAMENT_ARROW));
    screen_put(screen, STYLE_NAME, "%s\n", pool);
}

/* How long it stood in line before its first slot. */
static void show_waited(const struct screen *screen, const json_t *story)
{
    const json_t *first = json_array_get(pick(story, "attempts"), 0);
    double submitted = pick_time(story, "submitted_at");
    double leased = pick_time(first, "leased_at");

    if (submitted < 0 || leased - submitted < 0.05)
        return;
    char *time = plain_duration(leased - submitted);
    char *line = plain_format("%s for its first slot", time);
    ctl_field(screen, "waited", line);
    free(line);
    free(time);
}

static void show_submitted(const struct screen *screen, const json_t *story)
{
    const char *who = pick_text(story, "who", "");
    char *clock = plain_clock(pick_time(story, "submitted_at"));
    char *line = plain_format("%s%s%s, priority %s", clock, *who ? " by " : "",
                              who, pick_text(story, "priority", "normal"));

    ctl_field(screen, "submitted", line);
    free(line);
    free(clock);
}

static void show_cancel(const struct screen *screen, const json_t *story)
{
    const char *who = pick_text(story, "cancel.who", "");
    const char *reason = pick_text(story, "cancel.reason", "");

    if (!*who)
        return;
    char *line = plain_format("by %s%s%s", who, *reason ? ": " : "", reason);
    ctl_field(screen, "cancelled", line);
    free(line);
}

void ctl_show_explain(const struct screen *screen, const json_t *story)
{
    const json_t *candidates = pick(story, "decision.candidates");
    const char *state = pick_text(story, "state", "");
    bool scheduled = is_scheduled(story);
    bool past = strcmp(state, "QUEUED") != 0 && !scheduled;
    bool went = past && json_array_size(pick(story, "attempts")) > 0;
    const json_t *holders = pick(story, "holders");
    const char *error = pick_text(story, "error", "");
    const char *wanted = pick_text(story, "wanted_pool", "");

    ctl_show_headline(screen, story);
    show_submitted(screen, story);
    show_what(screen, story);
    if (past)
        show_fell_back(screen, story);
    show_waited(screen, story);
    show_cancel(screen, story);
    ctl_field(screen, "error", error);
    if (scheduled)
        candidates = NULL; /* who may take it is known when it starts */
    if (json_array_size(candidates) > 0)
        ctl_headline(screen, went   ? "Where it went"
                             : past ? "What was looked at"
                                    : "Where it may go");
    show_candidates(screen, candidates, went);
    if (!past) {
        show_waiting(screen, story);
        if (scheduled)
            holders = NULL;
        if (json_array_size(holders) > 0) {
            char *head = plain_format("Who holds the slots of %s", wanted);
            ctl_headline(screen, head);
            free(head);
        }
        ctl_show_holders(screen, holders);
    }
    show_attempts(screen, pick(story, "attempts"));
}

void ctl_show_plan(const struct screen *screen, const json_t *plan)
{
    const char *pool = pick_text(plan, "decision.chosen_pool", NULL);
    const char *reason = pick_text(plan, "reason", "");
    const char *wanted = pick_text(plan, "wanted_pool", "");

    const char *refusal = pick_text(plan, "refusal.detail", NULL);

    screen_put(screen, STYLE_BOLD, "%s  ", ctl_workflow_name(plan));
    if (refusal) {
        screen_put(screen, STYLE_BAD, "would be refused: ");
        screen_wrap(screen, STYLE_PLAIN, 30, 2, refusal);
    } else if (pool) {
        screen_put(screen, STYLE_GOOD, "would start in %s", pool);
        if (strcmp(wanted, pool) != 0)
            screen_put(screen, STYLE_DIM, " (wanted %s)", wanted);
        screen_put(screen, STYLE_PLAIN, "\n");
    } else {
        screen_put(screen, STYLE_WARN, "would wait in %s: %s\n", wanted,
                   reason);
    }
    show_what(screen, plan);
    show_candidates(screen, pick(plan, "decision.candidates"), false);
    if (!pool && !refusal)
        show_waiting(screen, plan);
}

int ctl_cmd_explain(struct ctl *ctl)
{
    char id[CTL_RUN_ID_TEXT];
    struct client_call call = {.path = "/api/v1/runs/{}/explain",
                               .texts = {id}};
    int code = ctl_run_id(ctl, ctl->args[0], id);

    return code ? code : ctl_call_shown(ctl, &call, ctl_show_explain);
}
