/*
 * board_show.h - pools and agents for people, and what needs attention: what
 * `dispatchctl status`, `pool list`, `agent list` and `worker_monitor` share.
 * Input is the API's JSON (api_json.h); how it is drawn is the caller's choice
 * of screen, so that a full-screen view can use board_judge() alone.
 *
 * Threads: one.
 */
#ifndef DISPATCHER_BOARD_SHOW_H
#define DISPATCHER_BOARD_SHOW_H

#include "dispatcher/screen.h"

#include <jansson.h>

enum board_health { BOARD_HEALTHY, BOARD_DEGRADED, BOARD_DOWN };
const char *board_health_name(enum board_health health); /* "healthy" */
enum style board_health_style(enum board_health health);

/* One thing that wants a person, worst first. */
struct board_concern {
    enum board_health health; /* what it alone would make of the whole */
    char *text;
};
enum { BOARD_CONCERNS_MAX = 64 };
struct board_judgement {
    enum board_health health;
    struct board_concern concerns[BOARD_CONCERNS_MAX];
    size_t count;
};
/* Of the API's overview. Down: there are pools and no healthy agent serves any
 * of them. Degraded: a pool without a healthy agent, a lost or slow agent
 * (not one that was drained before), a pool or an agent that is not open, a
 * line nearly full, a store nearly full, a broker that stops. */
void board_judge(const json_t *overview, struct board_judgement *ret);
void board_judgement_clear(struct board_judgement *judgement);

enum style board_state_style(const char *state); /* open, paused, ... */
/* "  by anna, 5 min ago: reason (until 14:00)" and the end of the line. */
void board_show_change(const struct screen *screen, const json_t *change);
void board_show_pools(const struct screen *screen, const json_t *pools,
                      int indent);
void board_show_agents(const struct screen *screen, const json_t *agents,
                       int indent);
void board_show_concerns(const struct screen *screen,
                         const struct board_judgement *judgement, int indent);

#endif
