/* ctl_agent.c - see ctl.h: the commands on agents, and on the whole: status,
 * version, help */
#include "dispatcher/board_show.h"
#include "dispatcher/ctl.h"

#include <stdlib.h>
#include <string.h>

/* ---- agents ------------------------------------------------------------ */

int ctl_cmd_agent_list(struct ctl *ctl)
{
    const struct client_call call = {.path = "/api/v1/workers/agents"};
    struct client_answer answer = {0};
    int code = ctl_call(ctl, &call, &answer);

    if (code)
        return code;
    const json_t *agents = pick(answer.body, "items");
    if (ctl->json)
        ctl_print_json(&ctl->out, answer.text, answer.bytes);
    else if (json_array_size(agents) > 0)
        board_show_agents(&ctl->out, agents, 0);
    else
        screen_put(&ctl->err, STYLE_DIM,
                   "no agent is known; start one: agent "
                   "--connect ADDRESS --name NAME --pools default --slots "
                   "5\n");
    client_answer_clear(&answer);
    return EXIT_OK;
}

/* What it announces, each sort on a line of its own. */
static void show_abilities(const struct screen *screen, const json_t *words)
{
    static const struct {
        const char *name, *prefix;
    } sorts[] = {{"kinds", "kind:"},
                 {"connections", "connection:"},
                 {"engines", "engine:"},
                 {"also", ""}};
    enum { SORTS = sizeof sorts / sizeof sorts[0] };
    char *lists[SORTS];

    for (size_t s = 0; s < SORTS; s++)
        lists[s] = plain_format("%s", "");
    for (size_t i = 0; i < json_array_size(words); i++) {
        const char *word = json_string_value(json_array_get(words, i));
        size_t s = 0;
        if (!word)
            continue;
        if (strcmp(word, "connections") == 0)
            word = "connection:any";
        while (strncmp(word, sorts[s].prefix, strlen(sorts[s].prefix)) != 0)
            s++;
        char *longer = plain_format("%s%s%s", lists[s], *lists[s] ? ", " : "",
                                    word + strlen(sorts[s].prefix));
        free(lists[s]);
        lists[s] = longer;
    }
    for (size_t s = 0; s < SORTS; s++) {
        ctl_field(screen, sorts[s].name, lists[s]);
        free(lists[s]);
    }
}

static void show_agent(const struct screen *screen, const json_t *agent)
{
    static const struct {
        const char *name;
        const char *path;
    } fields[] = {{"host", "host"},
                  {"pid", "pid"},
                  {"software", "software"},
                  {"pools", "pools"}};
    const char *health = pick_text(agent, "health", "");
    const char *state = pick_text(agent, "state", "");
    double seen = pick_number(agent, "last_seen_s", 0);
    char *ago = plain_duration(seen);
    char *line = plain_format("%.0f of %.0f in use, %.0f done, %.0f failed",
                              pick_number(agent, "active_runs", 0),
                              pick_number(agent, "slots", 0),
                              pick_number(agent, "runs_done", 0),
                              pick_number(agent, "runs_failed", 0));
    char *heard = plain_format("%s ago", ago);
    const json_t *holders = pick(agent, "runs");

    screen_put(screen, STYLE_BOLD, "%s  ", pick_text(agent, "name", ""));
    screen_put(screen, strcmp(health, "ok") == 0 ? STYLE_GOOD : STYLE_BAD,
               "%s  ", health);
    screen_put(screen, board_state_style(state), "%s", state);
    board_show_change(screen, pick(agent, "state_change"));
    ctl_field(screen, "slots", line);
    ctl_field(screen, "last seen", heard);
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        char *text = pick_any(pick(agent, fields[i].path));
        ctl_field(screen, fields[i].name, text);
        free(text);
    }
    show_abilities(screen, pick(agent, "capabilities"));
    if (json_array_size(holders) > 0)
        ctl_headline(screen, "What it runs");
    ctl_show_holders(screen, holders);
    free(heard);
    free(line);
    free(ago);
}

int ctl_cmd_agent_show(struct ctl *ctl)
{
    const struct client_call call = {.path = "/api/v1/workers/agents/{}",
                                     .texts = {ctl->args[0]}};

    return ctl_call_shown(ctl, &call, show_agent);
}

/* It has been told to end, and that cannot be taken back. false also when the
 * broker does not say. */
static bool is_ending(struct ctl *ctl)
{
    const struct client_call call = {.path = "/api/v1/workers/agents/{}",
                                     .texts = {ctl->args[0]}};
    struct client_answer answer = {0};
    bool ending = false;

    if (ctl_connect(ctl) || client_call(ctl->client, &call, &answer) < 0)
        return false;
    ending = strcmp(pick_text(answer.body, "state", ""), "draining") == 0 &&
             strcmp(pick_text(answer.body, "health", ""), "lost") != 0;
    client_answer_clear(&answer);
    return ending;
}

int ctl_cmd_agent_verb(struct ctl *ctl)
{
    bool resumes = strcmp(ctl->command->name, "agent resume") == 0;
    bool ending = resumes && !ctl->json && is_ending(ctl);
    int code = ctl_post_verb(ctl, "/api/v1/workers/agents/{}/{}", ctl->args[0]);

    if (code == EXIT_OK && ending)
        screen_put(&ctl->out, STYLE_WARN,
                   "it ends when its runs have ended; start its program again "
                   "to use it\n");
    return code;
}

/* ---- the whole --------------------------------------------------------- */

int ctl_cmd_status(struct ctl *ctl)
{
    const struct client_call call = {.path = "/api/v1/workers/overview"};
    struct client_answer answer = {0};
    struct board_judgement judgement;
    int code = ctl_call(ctl, &call, &answer);

    if (code)
        return code;
    const json_t *pools = pick(answer.body, "work_pools");
    board_judge(answer.body, &judgement);
    if (ctl->json) {
        ctl_print_json(&ctl->out, answer.text, answer.bytes);
    } else {
        screen_put(&ctl->out, STYLE_BOLD, "%s  ", client_base_of(ctl->client));
        screen_put(&ctl->out, board_health_style(judgement.health), "%s\n",
                   board_health_name(judgement.health));
        board_show_pools(&ctl->out, pools, 2);
        board_show_concerns(&ctl->out, &judgement, 2);
    }
    code = judgement.health == BOARD_HEALTHY ? EXIT_OK : EXIT_FAILED;
    board_judgement_clear(&judgement);
    client_answer_clear(&answer);
    return code;
}

/* Asking for one's own version is no failure when no broker runs. */
int ctl_cmd_version(struct ctl *ctl)
{
    const struct client_call call = {.path = "/version"};
    struct client_answer answer = {0};
    int code = ctl_connect(ctl);

    if (code)
        return code;
    if (ctl->json) {
        code = ctl_call(ctl, &call, &answer);
        if (code)
            return code;
        ctl_print_json(&ctl->out, answer.text, answer.bytes);
    } else {
        bool reached = client_call(ctl->client, &call, &answer) == 0;
        screen_put(&ctl->out, STYLE_PLAIN,
                   "dispatchctl %s\nbroker      %s  (%s)\n", DISPATCH_VERSION,
                   reached ? pick_text(answer.body, "version", "unknown")
                           : "not reached",
                   client_base_of(ctl->client));
    }
    client_answer_clear(&answer);
    return EXIT_OK;
}

int ctl_cmd_help(struct ctl *ctl)
{
    return ctl_help(ctl, &ctl->out, ctl->args, ctl->arg_count);
}
