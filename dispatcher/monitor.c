/* monitor.c - see monitor.h */
#include "dispatcher/monitor.h"
#include "dispatcher/pick.h"

#include <stdlib.h>
#include <string.h>

/* Nothing else is known. The text is taken. */
static struct board_judgement down_because(char *text)
{
    return (struct board_judgement){
        .health = BOARD_DOWN,
        .concerns = {{.health = BOARD_DOWN, .text = text}},
        .count = 1};
}

void monitor_look(struct client *client, struct monitor_view *ret)
{
    const struct client_call call = {.path = "/api/v1/workers/overview"};
    struct client_answer answer = {0};
    int error = client_call(client, &call, &answer);

    *ret = (struct monitor_view){.looked_at = plain_now()};
    if (error) {
        ret->judgement = down_because(plain_format("%s", client_why(client)));
    } else if (answer.status != 200 || !pick(answer.body, "work_pools")) {
        ret->judgement = down_because(plain_format(
            "%s answered HTTP %ld: %s", client_base_of(client), answer.status,
            pick_text(answer.body, "detail|title",
                      "not what a dispatcher says")));
    } else {
        ret->overview = json_incref(answer.body);
        board_judge(answer.body, &ret->judgement);
    }
    client_answer_clear(&answer);
}

void monitor_view_clear(struct monitor_view *view)
{
    json_decref(view->overview);
    board_judgement_clear(&view->judgement);
    *view = (struct monitor_view){0};
}

void monitor_show(const struct screen *screen, const struct client *client,
                  const struct monitor_view *view)
{
    enum board_health health = view->judgement.health;
    char *clock = plain_clock(view->looked_at);

    screen_put(screen, STYLE_BOLD, "%s  ", client_base_of(client));
    screen_put(screen, board_health_style(health), "%s",
               board_health_name(health));
    screen_put(screen, STYLE_DIM, "  %s\n", clock);
    board_show_pools(screen, pick(view->overview, "work_pools"), 2);
    if (json_array_size(pick(view->overview, "workers")) > 0)
        screen_put(screen, STYLE_PLAIN, "\n");
    board_show_agents(screen, pick(view->overview, "workers"), 2);
    if (view->judgement.count > 0) {
        screen_put(screen, STYLE_BOLD, "%sneeds attention\n",
                   view->overview ? "\n" : "");
        board_show_concerns(screen, &view->judgement, 2);
    }
    free(clock);
}

json_t *monitor_json(const struct monitor_view *view)
{
    json_t *json = json_object();
    json_t *concerns = json_array();

    for (size_t i = 0; i < view->judgement.count; i++) {
        const struct board_concern *c = &view->judgement.concerns[i];
        json_array_append_new(concerns, json_pack("{s:s, s:s}", "health",
                                                  board_health_name(c->health),
                                                  "text", c->text));
    }
    json_object_set_new(json, "health",
                        json_string(board_health_name(view->judgement.health)));
    json_object_set_new(json, "looked_at", json_real(view->looked_at));
    json_object_set_new(json, "concerns", concerns);
    if (view->overview)
        json_object_set(json, "overview", view->overview);
    else
        json_object_set_new(json, "overview", json_null());
    return json;
}
