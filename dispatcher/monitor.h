/*
 * monitor.h - worker_monitor from the inside: look, then show. The looking and
 * the judging are here, apart from any way of showing, so that the full-screen
 * view takes the same struct monitor_view.
 *
 * Memory:  a view is cleared with monitor_view_clear().
 * Threads: one.
 */
#ifndef DISPATCHER_MONITOR_H
#define DISPATCHER_MONITOR_H

#include "dispatcher/board_show.h"
#include "dispatcher/client.h"

struct monitor_view {
    double looked_at; /* Unix seconds */
    json_t *overview; /* as the API gave it; NULL: the broker did not answer */
    struct board_judgement judgement; /* includes that it did not answer */
};

/* Never fails: a broker that does not answer, or refuses, is a view too, whose
 * health is BOARD_DOWN. */
void monitor_look(struct client *client, struct monitor_view *ret);
void monitor_view_clear(struct monitor_view *view);

/* The plain table of --once. */
void monitor_show(const struct screen *screen, const struct client *client,
                  const struct monitor_view *view);
/* {"health", "concerns": [{"health", "text"}], "looked_at", "overview"}; a new
 * reference. */
json_t *monitor_json(const struct monitor_view *view);

#endif
