/* board_show.c - see board_show.h */
#include "dispatcher/board_show.h"
#include "dispatcher/pick.h"
#include "dispatcher/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

const char *board_health_name(enum board_health health)
{
    static const char *const names[] = {"healthy", "degraded", "down"};

    return names[health];
}

enum style board_health_style(enum board_health health)
{
    static const enum style styles[] = {STYLE_GOOD, STYLE_WARN, STYLE_BAD};

    return styles[health];
}

enum style board_state_style(const char *state)
{
    if (strcmp(state, "open") == 0)
        return STYLE_GOOD;
    return strcmp(state, "closed") == 0 ? STYLE_BAD : STYLE_WARN;
}

/* ---- what needs attention ---------------------------------------------- */

static void concern(struct board_judgement *judgement, enum board_health health,
                    const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void concern(struct board_judgement *judgement, enum board_health health,
                    const char *fmt, ...)
{
    char *text = NULL;
    va_list args;

    if (health > judgement->health)
        judgement->health = health;
    if (judgement->count == BOARD_CONCERNS_MAX)
        return;
    va_start(args, fmt);
    int len = vasprintf(&text, fmt, args);
    va_end(args);
    if (len < 0)
        abort();
    size_t at = judgement->count++;
    while (at > 0 && judgement->concerns[at - 1].health < health) {
        judgement->concerns[at] = judgement->concerns[at - 1];
        at--;
    }
    judgement->concerns[at] =
        (struct board_concern){.health = health, .text = text};
}

/* "paused by anna: too slow" */
static char *change_words(const json_t *object, const char *state)
{
    const char *who = pick_text(object, "state_change.who", "");
    const char *reason = pick_text(object, "state_change.reason", "");

    return plain_format("is %s%s%s%s%s", state, *who ? " by " : "", who,
                        *reason ? ": " : "", reason);
}

static void judge_pool(const json_t *pool, struct board_judgement *ret)
{
    const char *name = pick_text(pool, "name", "");
    const char *state = pick_text(pool, "state", "open");
    double waiting = pick_number(pool, "waiting", 0);
    double waiting_max = pick_number(pool, "waiting_max", 0);
    double agents = pick_number(pool, "agents", 0);
    double healthy = pick_number(pool, "agents_healthy", 0);

    if (strcmp(state, "open") != 0) {
        char *words = change_words(pool, state);
        concern(ret, BOARD_DEGRADED, "pool %s %s", name, words);
        free(words);
    }
    if (agents == 0)
        concern(ret, BOARD_DEGRADED, "pool %s has no agent", name);
    else if (healthy == 0)
        concern(ret, BOARD_DEGRADED, "pool %s has no healthy agent", name);
    if (waiting_max > 0 && waiting >= 0.9 * waiting_max)
        concern(ret, BOARD_DEGRADED, "the line of pool %s is %s: %.0f of %.0f",
                name, waiting >= waiting_max ? "full" : "nearly full", waiting,
                waiting_max);
}

static void judge_agent(const json_t *agent, struct board_judgement *ret)
{
    const char *name = pick_text(agent, "name", "");
    const char *health = pick_text(agent, "health", "ok");
    const char *state = pick_text(agent, "state", "open");

    if (strcmp(health, "lost") == 0 && strcmp(state, "draining") == 0)
        return; /* it was drained, and has left: as it should be */
    if (strcmp(health, "ok") != 0) {
        char *ago = plain_duration(pick_number(agent, "last_seen_s", 0));
        concern(ret, BOARD_DEGRADED, "agent %s is %s, last seen %s ago", name,
                health, ago);
        free(ago);
    }
    if (strcmp(state, "open") != 0) {
        char *words = change_words(agent, state);
        concern(ret, BOARD_DEGRADED, "agent %s %s", name, words);
        free(words);
    }
}

static void judge_broker(const json_t *broker, struct board_judgement *ret)
{
    double percent = pick_number(broker, "store_used_percent", 0);

    if (pick_true(broker, "draining"))
        concern(ret, BOARD_DEGRADED,
                "the broker is stopping: it starts nothing and accepts "
                "nothing");
    if (percent >= 80)
        concern(ret, percent >= 95 ? BOARD_DOWN : BOARD_DEGRADED,
                "the store is %.0f %% full", percent);
}

void board_judge(const json_t *overview, struct board_judgement *ret)
{
    const json_t *pools = pick(overview, "work_pools");
    const json_t *agents = pick(overview, "workers");
    double healthy = 0;

    *ret = (struct board_judgement){0};
    for (size_t i = 0; i < json_array_size(pools); i++) {
        const json_t *pool = json_array_get(pools, i);
        healthy += pick_number(pool, "agents_healthy", 0);
        judge_pool(pool, ret);
    }
    for (size_t i = 0; i < json_array_size(agents); i++)
        judge_agent(json_array_get(agents, i), ret);
    judge_broker(pick(overview, "broker"), ret);
    if (json_array_size(pools) > 0 && healthy == 0)
        concern(ret, BOARD_DOWN,
                "nothing can run: no healthy agent serves "
                "any pool");
}

void board_judgement_clear(struct board_judgement *judgement)
{
    for (size_t i = 0; i < judgement->count; i++)
        free(judgement->concerns[i].text);
    *judgement = (struct board_judgement){0};
}

void board_show_concerns(const struct screen *screen,
                         const struct board_judgement *judgement, int indent)
{
    for (size_t i = 0; i < judgement->count; i++) {
        const struct board_concern *c = &judgement->concerns[i];
        screen_put(screen, board_health_style(c->health), "%*s%s ", indent, "",
                   screen_ornament(screen, ORNAMENT_DOT));
        screen_wrap(screen, STYLE_PLAIN, indent + 2, indent + 2, c->text);
    }
}

/* ---- tables ------------------------------------------------------------ */

void board_show_change(const struct screen *screen, const json_t *change)
{
    const char *who = pick_text(change, "who", "");
    const char *reason = pick_text(change, "reason", "");
    double since = pick_time(change, "since");
    double until = pick_time(change, "until");
    char *ago = since >= 0 ? plain_duration(plain_now() - since) : NULL;
    char *clock = until >= 0 ? plain_clock(until) : NULL;

    if (*who)
        screen_put(screen, STYLE_DIM, "  by %s%s%s%s%s%s%s%s%s", who,
                   ago ? ", " : "", ago ? ago : "", ago ? " ago" : "",
                   *reason ? ": " : "", reason, clock ? " (until " : "",
                   clock ? clock : "", clock ? ")" : "");
    screen_put(screen, STYLE_PLAIN, "\n");
    free(ago);
    free(clock);
}

/* The reason most of a pool's waiting runs wait for. */
static const char *top_reason(const json_t *pool)
{
    const json_t *reasons = pick(pool, "reasons");
    const char *top = "";
    double most = 0;

    for (size_t i = 0; i < json_array_size(reasons); i++) {
        const json_t *reason = json_array_get(reasons, i);
        double runs = pick_number(reason, "runs", 0);
        if (runs > most) {
            most = runs;
            top = pick_text(reason, "reason", "");
        }
    }
    return top;
}

static const struct table_column pool_columns[] = {
    {.head = "POOL", .min = 8},         {.head = "STATE"},
    {.head = "SLOTS", .right = true},   {.head = ""},
    {.head = "WAITING", .right = true}, {.head = "OLDEST", .right = true},
    {.head = "AGENTS", .right = true},  {.head = "WAITS FOR", .min = 10},
};

void board_show_pools(const struct screen *screen, const json_t *pools,
                      int indent)
{
    struct table *table =
        table_new(pool_columns, sizeof pool_columns / sizeof pool_columns[0]);

    for (size_t i = 0; i < json_array_size(pools); i++) {
        const json_t *pool = json_array_get(pools, i);
        const char *state = pick_text(pool, "state", "");
        double used = pick_number(pool, "active_runs", 0);
        double limit = pick_number(pool, "concurrency_limit", 0);
        double waiting = pick_number(pool, "waiting", 0);
        double oldest = pick_number(pool, "oldest_waiting_s", -1);
        double agents = pick_number(pool, "agents", 0);
        double healthy = pick_number(pool, "agents_healthy", 0);
        char *bar = screen_bar(screen, 10, used, limit);
        char *age =
            oldest >= 0 ? plain_duration(oldest) : plain_format("%s", "");
        table_cell(table, STYLE_BOLD, "%s", pick_text(pool, "name", ""));
        table_cell(table, board_state_style(state), "%s", state);
        table_cell(table, STYLE_PLAIN, "%.0f/%.0f", used, limit);
        table_cell(table, used >= limit ? STYLE_WARN : STYLE_GOOD, "%s", bar);
        table_cell(table, waiting > 0 ? STYLE_WARN : STYLE_DIM, "%.0f",
                   waiting);
        table_cell(table, STYLE_DIM, "%s", age);
        table_cell(table,
                   healthy < agents || agents == 0 ? STYLE_BAD : STYLE_PLAIN,
                   healthy < agents ? "%.0f/%.0f" : "%.0f", healthy, agents);
        table_cell(table, STYLE_WARN, "%s", top_reason(pool));
        free(age);
        free(bar);
    }
    if (table_rows(table) > 0)
        table_print(table, screen, indent);
    table_free(&table);
}

static const struct table_column agent_columns[] = {
    {.head = "AGENT", .min = 10},
    {.head = "HEALTH"},
    {.head = "STATE"},
    {.head = "SLOTS", .right = true},
    {.head = "SEEN", .right = true},
    {.head = "DONE", .right = true},
    {.head = "FAILED", .right = true},
    {.head = "HOST", .min = 6},
    {.head = "POOLS", .min = 10},
};

static enum style health_style(const char *health)
{
    if (strcmp(health, "ok") == 0)
        return STYLE_GOOD;
    return strcmp(health, "lost") == 0 ? STYLE_BAD : STYLE_WARN;
}

void board_show_agents(const struct screen *screen, const json_t *agents,
                       int indent)
{
    struct table *table = table_new(agent_columns, sizeof agent_columns /
                                                       sizeof agent_columns[0]);

    for (size_t i = 0; i < json_array_size(agents); i++) {
        const json_t *agent = json_array_get(agents, i);
        const char *health = pick_text(agent, "health", "");
        const char *state = pick_text(agent, "state", "");
        double failed = pick_number(agent, "runs_failed", 0);
        char *pools = pick_any(pick(agent, "pools"));
        char *seen = plain_duration(pick_number(agent, "last_seen_s", 0));
        table_cell(table, STYLE_BOLD, "%s", pick_text(agent, "name", ""));
        table_cell(table, health_style(health), "%s", health);
        table_cell(table, board_state_style(state), "%s", state);
        table_cell(table, STYLE_PLAIN, "%.0f/%.0f",
                   pick_number(agent, "active_runs", 0),
                   pick_number(agent, "slots", 0));
        table_cell(table, STYLE_DIM, "%s ago", seen);
        table_cell(table, STYLE_PLAIN, "%.0f",
                   pick_number(agent, "runs_done", 0));
        table_cell(table, failed > 0 ? STYLE_WARN : STYLE_PLAIN, "%.0f",
                   failed);
        table_cell(table, STYLE_DIM, "%s", pick_text(agent, "host", ""));
        table_cell(table, STYLE_DIM, "%s", pools);
        free(seen);
        free(pools);
    }
    if (table_rows(table) > 0)
        table_print(table, screen, indent);
    table_free(&table);
}
