/* ctl_show.c - see ctl.h: small pieces of what is shown, and the commands that
 * show runs: ps, show */
#include "dispatcher/ctl.h"
#include "dispatcher/table.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- pieces ------------------------------------------------------------ */

/* States of runs and nodes, outcomes of attempts: how each looks. */
static const struct {
    const char *name;
    enum style style;
    enum ornament mark;
} looks[] = {
    {"COMPLETED", STYLE_GOOD, ORNAMENT_OK},
    {"FAILED", STYLE_BAD, ORNAMENT_FAIL},
    {"CRASHED", STYLE_BAD, ORNAMENT_FAIL},
    {"TIMED_OUT", STYLE_BAD, ORNAMENT_FAIL},
    {"LAPSED", STYLE_BAD, ORNAMENT_FAIL},
    {"CANCELLED", STYLE_WARN, ORNAMENT_STOP},
    {"CANCELLING", STYLE_WARN, ORNAMENT_STOP},
    {"SKIPPED", STYLE_DIM, ORNAMENT_SKIP},
    {"RUNNING", STYLE_NAME, ORNAMENT_RUN},
    {"PENDING", STYLE_NAME, ORNAMENT_RUN},
    {"LIVE", STYLE_NAME, ORNAMENT_RUN},
    {"QUEUED", STYLE_WARN, ORNAMENT_WAIT},
    {"SCHEDULED", STYLE_WARN, ORNAMENT_WAIT},
    {"WAITING", STYLE_DIM, ORNAMENT_WAIT},
    {"RETURNED", STYLE_DIM, ORNAMENT_SKIP},
};

static size_t look_of(const char *state)
{
    size_t count = sizeof looks / sizeof looks[0];
    size_t i = 0;

    while (i < count && strcasecmp(looks[i].name, state) != 0)
        i++;
    return i;
}

enum style ctl_state_style(const char *state)
{
    size_t look = look_of(state);

    return look < sizeof looks / sizeof looks[0] ? looks[look].style
                                                 : STYLE_PLAIN;
}

const char *ctl_state_mark(const struct screen *screen, const char *state)
{
    size_t look = look_of(state);

    return screen_ornament(screen, look < sizeof looks / sizeof looks[0]
                                       ? looks[look].mark
                                       : ORNAMENT_WAIT);
}

bool ctl_state_final(const char *state)
{
    static const char *const final[] = {"COMPLETED", "FAILED", "TIMED_OUT",
                                        "CANCELLED", "CRASHED"};

    for (size_t i = 0; i < sizeof final / sizeof final[0]; i++)
        if (strcasecmp(final[i], state) == 0)
            return true;
    return false;
}

void ctl_field(const struct screen *screen, const char *name, const char *value)
{
    if (!value || !*value)
        return;
    screen_put(screen, STYLE_DIM, "  %-11s ", name);
    screen_wrap(screen, STYLE_PLAIN, 14, 14, value);
}

void ctl_headline(const struct screen *screen, const char *text)
{
    screen_put(screen, STYLE_BOLD, "%s\n", text);
}

char *ctl_took(const json_t *object)
{
    double started = pick_time(object, "started_at");
    double ended = pick_time(object, "ended_at");
    double took = pick_number(object, "duration_s|elapsed_s", -1);

    if (took < 0 && started >= 0)
        took = (ended >= 0 ? ended : plain_now()) - started;
    return took < 0 ? plain_format("%s", "") : plain_duration(took);
}

const char *ctl_workflow_name(const json_t *run)
{
    return pick_text(run, "workflow_name", "");
}

const char *ctl_pool_of(const json_t *run)
{
    return pick_text(run, "work_pool|wanted_pool", "");
}

/* ---- ps ---------------------------------------------------------------- */

static const struct table_column ps_columns[] = {
    {.head = "RUN"},
    {.head = "WORKFLOW", .min = 10},
    {.head = "STATE"},
    {.head = "POOL", .min = 8},
    {.head = "AGENT", .min = 8},
    {.head = "SUBMITTED"},
    {.head = "TOOK", .right = true},
    {.head = "REMARK", .min = 12},
};

static void ps_row(struct table *table, const struct screen *screen,
                   const json_t *run)
{
    const char *state = pick_text(run, "state", "");
    const char *wanted = pick_text(run, "wanted_pool", "");
    const char *pool = ctl_pool_of(run);
    bool fell_back = *pool && *wanted && strcmp(pool, wanted) != 0;
    char *submitted = plain_clock(pick_time(run, "submitted_at"));
    char *took = ctl_took(run);
    const char *reason =
        ctl_state_final(state) ? NULL : pick_text(run, "reason", NULL);

    table_cell(table, STYLE_PLAIN, "%s", pick_text(run, "run_id", ""));
    table_cell(table, STYLE_BOLD, "%s", ctl_workflow_name(run));
    table_cell(table, ctl_state_style(state), "%s %s",
               ctl_state_mark(screen, state), state);
    table_cell(table, STYLE_PLAIN, "%s", pool);
    table_cell(table, STYLE_DIM, "%s", pick_text(run, "agent", ""));
    table_cell(table, STYLE_DIM, "%s", submitted);
    table_cell(table, STYLE_PLAIN, "%s", took);
    if (reason)
        table_cell(table, STYLE_WARN, "%s", reason);
    else if (fell_back && !pick_text(run, "error", NULL))
        table_cell(table, STYLE_DIM, "wanted %s", wanted);
    else
        table_cell(table, STYLE_BAD, "%s", pick_text(run, "error", ""));
    free(submitted);
    free(took);
}

static int ps_list(struct ctl *ctl, bool live, struct client_answer *ret)
{
    const char *limit = ctl_option(ctl, "limit");
    struct client_call call = {.path = "/api/v1/runs"};
    size_t used = 0;

    call.query[used++] = "limit";
    call.query[used++] = limit ? limit : "20";
    if (ctl_option(ctl, "state")) {
        call.query[used++] = "state";
        call.query[used++] = ctl_option(ctl, "state");
    }
    if (ctl_option(ctl, "pool")) {
        call.query[used++] = "pool";
        call.query[used++] = ctl_option(ctl, "pool");
    }
    if (live) {
        call.query[used++] = "live";
        call.query[used++] = "true";
    }
    return ctl_call(ctl, &call, ret);
}

int ctl_cmd_ps(struct ctl *ctl)
{
    struct client_answer answer = {0};
    bool live = !ctl_option(ctl, "all") && !ctl_option(ctl, "state");
    int code = ps_list(ctl, live, &answer);

    if (code == 0 && live && !ctl->json &&
        json_array_size(pick(answer.body, "items")) == 0) {
        client_answer_clear(&answer);
        live = false;
        screen_put(&ctl->err, STYLE_DIM,
                   "nothing waits or runs; the newest that ended:\n");
        code = ps_list(ctl, live, &answer);
    }
    if (code)
        return code;
    if (ctl->json) {
        ctl_print_json(&ctl->out, answer.text, answer.bytes);
        client_answer_clear(&answer);
        return EXIT_OK;
    }
    struct table *table =
        table_new(ps_columns, sizeof ps_columns / sizeof ps_columns[0]);
    const json_t *items = pick(answer.body, "items");
    for (size_t i = 0; i < json_array_size(items); i++)
        ps_row(table, &ctl->out, json_array_get(items, i));
    if (table_rows(table) > 0)
        table_print(table, &ctl->out, 0);
    else
        screen_put(&ctl->err, STYLE_DIM, "no such runs\n");
    (void)fflush(ctl->out.out); /* what follows comes after the table */
    if (pick(answer.body, "next_cursor") && !ctl_option(ctl, "limit"))
        screen_put(&ctl->err, STYLE_DIM, "there are more: --limit N\n");
    table_free(&table);
    client_answer_clear(&answer);
    return EXIT_OK;
}

/* ---- show -------------------------------------------------------------- */

void ctl_show_headline(const struct screen *screen, const json_t *run)
{
    const char *state = pick_text(run, "state", "");

    screen_put(screen, STYLE_BOLD, "%s  ", ctl_workflow_name(run));
    screen_put(screen, ctl_state_style(state), "%s %s",
               ctl_state_mark(screen, state), state);
    screen_put(screen, STYLE_DIM, "  %s\n", pick_text(run, "run_id", ""));
}

static void show_times(const struct screen *screen, const json_t *run)
{
    static const struct {
        const char *path;
        const char *word;
    } times[] = {{"submitted_at", "submitted"},
                 {"not_before", "not before"},
                 {"started_at", "started"},
                 {"ended_at", "ended"}};
    char *line = plain_format("%s", "");

    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        char *clock = plain_clock(pick_time(run, times[i].path));
        char *longer = *clock
                           ? plain_format("%s%s%s %s", line, *line ? ", " : "",
                                          times[i].word, clock)
                           : plain_format("%s", line);
        free(clock);
        free(line);
        line = longer;
    }
    char *took = ctl_took(run);
    if (*took && pick_time(run, "ended_at") >= 0) {
        char *longer = plain_format("%s, took %s", line, took);
        free(line);
        line = longer;
    }
    ctl_field(screen, "times", line);
    free(took);
    free(line);
}

static void show_run(const struct screen *screen, const json_t *run)
{
    const char *wanted = pick_text(run, "wanted_pool", "");
    const char *pool = ctl_pool_of(run);
    const char *agent = pick_text(run, "agent", "");
    char *tags = pick_any(pick(run, "features.tags"));
    double attempt = pick_number(run, "attempt", 0);
    char *where =
        plain_format("%s%s%s%s%s%s", pool, *agent ? " on " : "", agent,
                     strcmp(pool, wanted) != 0 && *wanted ? " (wanted " : "",
                     strcmp(pool, wanted) != 0 ? wanted : "",
                     strcmp(pool, wanted) != 0 && *wanted ? ")" : "");
    char *tries =
        attempt > 1 ? plain_format("%.0f", attempt) : plain_format("%s", "");

    ctl_show_headline(screen, run);
    ctl_field(screen, "pool", where);
    ctl_field(screen, "priority", pick_text(run, "priority", ""));
    ctl_field(screen, "tags", tags);
    show_times(screen, run);
    ctl_field(screen, "attempt", tries);
    ctl_field(screen, "waits for", pick_text(run, "reason", ""));
    ctl_field(screen, "cancelled", pick_text(run, "cancel.reason", ""));
    ctl_field(screen, "error", pick_text(run, "error", ""));
    ctl_show_nodes(screen, pick(run, "nodes"));
    free(tries);
    free(where);
    free(tags);
}

int ctl_cmd_show(struct ctl *ctl)
{
    char id[CTL_RUN_ID_TEXT];
    struct client_call call = {.path = "/api/v1/runs/{}", .texts = {id}};
    int code = ctl_run_id(ctl, ctl->args[0], id);

    return code ? code : ctl_call_shown(ctl, &call, show_run);
}
