/* ctl_pool.c - see ctl.h: the commands on pools */
#include "dispatcher/board_show.h"
#include "dispatcher/config.h"
#include "dispatcher/ctl.h"
#include "dispatcher/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void show_pools(const struct screen *screen, const json_t *answer)
{
    board_show_pools(screen, pick(answer, "items"), 0);
}

int ctl_cmd_pool_list(struct ctl *ctl)
{
    const struct client_call call = {.path = "/api/v1/workers/pools"};

    return ctl_call_shown(ctl, &call, show_pools);
}

/* ---- one pool ---------------------------------------------------------- */

static void show_fallback(const struct screen *screen, const json_t *pool)
{
    const json_t *hops = pick(pool, "fallback");
    char *line = plain_format("%s", "");

    for (size_t i = 0; i < json_array_size(hops); i++) {
        const json_t *hop = json_array_get(hops, i);
        double after = pick_number(hop, "after", 0);
        double below = pick_number(hop, "size_below", -1);
        double least = pick_number(hop, "free_at_least", 0);
        char *wait = after > 0 ? plain_duration(after) : NULL;
        char *size = below >= 0 ? plain_size(below) : NULL;
        char *longer = plain_format("%s%s%s%s%s%s%s", line, i > 0 ? ", " : "",
                                    pick_text(hop, "pool", ""),
                                    wait ? " after " : "", wait ? wait : "",
                                    size ? " below " : "", size ? size : "");
        free(line);
        line = least > 0 ? plain_format("%s if %.0f are free", longer, least)
                         : plain_format("%s", longer);
        free(longer);
        free(wait);
        free(size);
    }
    ctl_field(screen, "fallback", *line ? line : "none");
    free(line);
}

static void show_reasons(const struct screen *screen, const json_t *pool)
{
    const json_t *reasons = pick(pool, "reasons");

    for (size_t i = 0; i < json_array_size(reasons); i++) {
        const json_t *reason = json_array_get(reasons, i);
        char *line = plain_format("%.0f %s  %s", pick_number(reason, "runs", 0),
                                  pick_text(reason, "reason", ""),
                                  pick_text(reason, "text", ""));
        ctl_field(screen, i == 0 ? "wait for" : "", line);
        free(line);
    }
}

static void show_metrics(const struct screen *screen, const json_t *pool)
{
    const json_t *metrics = pick(pool, "performance_metrics");
    double total = pick_number(metrics, "total_runs", 0);
    double average = pick_number(metrics, "avg_duration_seconds", -1);

    if (total <= 0)
        return;
    char *took = average >= 0 ? plain_duration(average) : plain_format("-");
    char *line =
        plain_format("%.0f runs, %.0f completed, %.0f failed, %s on average",
                     total, pick_number(metrics, "successful_runs", 0),
                     pick_number(metrics, "failed_runs", 0), took);
    ctl_field(screen, "so far", line);
    free(line);
    free(took);
}

static void show_limits(const struct screen *screen, const json_t *pool)
{
    double max = pick_number(pool, "max_size", -1);
    double configured = pick_number(pool, "configured_limit", -1);
    double limit = pick_number(pool, "concurrency_limit", 0);
    double oldest = pick_number(pool, "oldest_waiting_s", -1);
    char *size = max >= 0 ? plain_size(max) : plain_format("none");
    char *age = oldest >= 0 ? plain_duration(oldest) : NULL;
    char *slots = plain_format("%.0f of %.0f in use",
                               pick_number(pool, "active_runs", 0), limit);
    char *changed =
        configured >= 0 && configured != limit
            ? plain_format("%s (configured: %.0f)", slots, configured)
            : plain_format("%s", slots);
    char *line = plain_format("%.0f of at most %.0f waiting%s%s",
                              pick_number(pool, "waiting", 0),
                              pick_number(pool, "waiting_max", 0),
                              age ? ", the oldest for " : "", age ? age : "");
    char *agents = plain_format(
        "%.0f, %.0f healthy, %.0f of %.0f slots free",
        pick_number(pool, "agents", 0), pick_number(pool, "agents_healthy", 0),
        pick_number(pool, "slots_free", 0), pick_number(pool, "slots", 0));

    ctl_field(screen, "slots", changed);
    ctl_field(screen, "line", line);
    ctl_field(screen, "agents", agents);
    ctl_field(screen, "max size", size);
    free(agents);
    free(line);
    free(changed);
    free(slots);
    free(age);
    free(size);
}

static const struct table_column recent_columns[] = {
    {.head = "RUN"},
    {.head = "WORKFLOW", .min = 10},
    {.head = "STATE"},
    {.head = "TOOK", .right = true},
    {.head = "ERROR", .min = 12},
};

static void show_recent(const struct screen *screen, const json_t *recent)
{
    struct table *table = table_new(
        recent_columns, sizeof recent_columns / sizeof recent_columns[0]);

    for (size_t i = 0; i < json_array_size(recent); i++) {
        const json_t *run = json_array_get(recent, i);
        const char *state = pick_text(run, "state", "");
        char *took = ctl_took(run);
        table_cell(table, STYLE_PLAIN, "%s", pick_text(run, "run_id", ""));
        table_cell(table, STYLE_BOLD, "%s", ctl_workflow_name(run));
        table_cell(table, ctl_state_style(state), "%s %s",
                   ctl_state_mark(screen, state), state);
        table_cell(table, STYLE_PLAIN, "%s", took);
        table_cell(table, STYLE_BAD, "%s", pick_text(run, "error", ""));
        free(took);
    }
    if (table_rows(table) > 0) {
        ctl_headline(screen, "Last runs");
        table_print(table, screen, 2);
    }
    table_free(&table);
}

static void show_pool(const struct screen *screen, const json_t *pool)
{
    const char *state = pick_text(pool, "state", "");
    const json_t *holders = pick(pool, "holders");

    screen_put(screen, STYLE_BOLD, "%s  ", pick_text(pool, "name", ""));
    screen_put(screen, board_state_style(state), "%s", state);
    board_show_change(screen, pick(pool, "state_change"));
    show_limits(screen, pool);
    show_fallback(screen, pool);
    show_reasons(screen, pool);
    show_metrics(screen, pool);
    if (json_array_size(holders) > 0)
        ctl_headline(screen, "Who holds its slots");
    ctl_show_holders(screen, holders);
    show_recent(screen, pick(pool, "recent_runs"));
}

int ctl_cmd_pool_status(struct ctl *ctl)
{
    const struct client_call call = {.path = "/api/v1/workers/pools/{}/status",
                                     .texts = {ctl->args[0]}};

    return ctl_call_shown(ctl, &call, show_pool);
}

/* ---- changing it ------------------------------------------------------- */

/* POST path with reason and for; shows what came of it. */
int ctl_post_verb(struct ctl *ctl, const char *path, const char *name)
{
    static const char *const texts[] = {"reason", "for"};
    const char *verb = strrchr(ctl->command->name, ' ') + 1;
    json_t *request = json_object();
    struct client_answer answer = {0};

    for (size_t i = 0; i < 2; i++) {
        const char *text = ctl_option(ctl, texts[i]);
        if (text)
            json_object_set_new(request, texts[i], json_string(text));
    }
    char *body = json_dumps(request, JSON_COMPACT);
    json_decref(request);
    const struct client_call call = {
        .method = "POST", .path = path, .texts = {name, verb}, .body = body};
    int code = ctl_call(ctl, &call, &answer);
    free(body);
    if (code)
        return code;
    if (ctl->json) {
        ctl_print_json(&ctl->out, answer.text, answer.bytes);
    } else {
        const char *state = pick_text(answer.body, "state", "");
        screen_put(&ctl->out, STYLE_BOLD, "%s  ",
                   pick_text(answer.body, "name", name));
        screen_put(&ctl->out, board_state_style(state), "%s", state);
        board_show_change(&ctl->out, pick(answer.body, "state_change"));
    }
    client_answer_clear(&answer);
    return EXIT_OK;
}

int ctl_cmd_pool_verb(struct ctl *ctl)
{
    return ctl_post_verb(ctl, "/api/v1/workers/pools/{}/{}", ctl->args[0]);
}

static int set_count(struct ctl *ctl, json_t *change, const char *key,
                     const char *value)
{
    char *end = NULL;
    long count = strtol(value, &end, 10);

    if (!*value || *end || count < 0)
        return ctl_usage(ctl, "'%s=%s' is no number", key, value);
    json_object_set_new(change, key, json_integer(count));
    return 0;
}

static int set_size(struct ctl *ctl, json_t *change, const char *key,
                    const char *value)
{
    int64_t bytes = 0;

    if (strcmp(value, "none") == 0)
        json_object_set_new(change, key, json_string(value));
    else if (config_parse_size(value, &bytes) == 0)
        json_object_set_new(change, key, json_integer(bytes));
    else
        return ctl_usage(ctl, "'%s=%s' is no size: 64MiB, 2GiB, none", key,
                         value);
    return 0;
}

static int set_list(struct ctl *ctl, json_t *change, const char *key,
                    const char *value)
{
    json_t *list = json_array();

    (void)ctl;
    while (*value) {
        size_t len = strcspn(value, ",");
        if (len > 0)
            json_array_append_new(list,
                                  json_pack("{s:s%}", "pool", value, len));
        value += len + (value[len] == ',');
    }
    json_object_set_new(change, key, list);
    return 0;
}

static int set_flag(struct ctl *ctl, json_t *change, const char *key,
                    const char *value)
{
    if (strcmp(value, "yes") != 0)
        return ctl_usage(ctl, "'%s=%s': only %s=yes means something", key,
                         value, key);
    json_object_set_new(change, key, json_true());
    return 0;
}

static const struct {
    const char *key;   /* as people write it */
    const char *field; /* as the API calls it */
    int (*set)(struct ctl *ctl, json_t *change, const char *key,
               const char *value);
} settings[] = {{"limit", "concurrency_limit", set_count},
                {"waiting_max", "waiting_max", set_count},
                {"max_size", "max_size", set_size},
                {"fallback", "fallback", set_list},
                {"reset", "reset", set_flag}};
enum { SETTINGS = sizeof settings / sizeof settings[0] };

static int set_one(struct ctl *ctl, json_t *change, const char *word)
{
    const char *names[SETTINGS];
    size_t len = strcspn(word, "=");

    for (size_t i = 0; i < SETTINGS; i++) {
        names[i] = settings[i].key;
        if (word[len] && strlen(settings[i].key) == len &&
            strncmp(settings[i].key, word, len) == 0)
            return settings[i].set(ctl, change, settings[i].field,
                                   word + len + 1);
    }
    if (!word[len])
        return ctl_usage(ctl, "'%s' is not KEY=VALUE", word);
    char *key = plain_format("%.*s", (int)len, word);
    const char *near = ctl_nearest(key, names, SETTINGS);
    int code = near ? ctl_usage(ctl,
                                "there is no setting '%s'; did you mean "
                                "'%s'?",
                                key, near)
                    : ctl_usage(ctl, "there is no setting '%s'", key);
    free(key);
    return code;
}

int ctl_cmd_pool_set(struct ctl *ctl)
{
    json_t *change = json_object();
    struct client_answer answer = {0};
    int code = 0;

    for (size_t i = 1; code == 0 && i < ctl->arg_count; i++)
        code = set_one(ctl, change, ctl->args[i]);
    char *body = code == 0 ? json_dumps(change, JSON_COMPACT) : NULL;
    json_decref(change);
    if (code)
        return code;
    const struct client_call call = {.method = "PATCH",
                                     .path = "/api/v1/workers/pools/{}",
                                     .texts = {ctl->args[0]},
                                     .body = body};
    code = ctl_call(ctl, &call, &answer);
    free(body);
    if (code)
        return code;
    if (ctl->json) {
        ctl_print_json(&ctl->out, answer.text, answer.bytes);
    } else {
        screen_put(&ctl->out, STYLE_BOLD, "%s\n",
                   pick_text(answer.body, "name", ctl->args[0]));
        show_limits(&ctl->out, answer.body);
        show_fallback(&ctl->out, answer.body);
    }
    client_answer_clear(&answer);
    return EXIT_OK;
}
