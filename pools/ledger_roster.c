/*
 * ledger_roster.c - the agents that are known: by name in order, by session
 * while connected, with what they can do. Who depends on nothing is forgotten.
 */
#include "pools/books.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct agent *agent_find(const struct ledger *l, const char *name)
{
    struct index_entry *entry =
        index_find(&l->agents_by_name, name, strlen(name));

    return entry != NULL ? container_of(entry, struct agent, by_name) : NULL;
}

struct agent *agent_of_session(const struct ledger *l, uint64_t session)
{
    struct index_entry *entry =
        session != 0
            ? index_find(&l->agents_by_session, &session, sizeof session)
            : NULL;

    return entry != NULL ? container_of(entry, struct agent, by_session) : NULL;
}

void agent_set_session(struct ledger *l, struct agent *agent, uint64_t session)
{
    if (agent->session != 0)
        index_remove(&l->agents_by_session, &agent->by_session);
    agent->session = session;
    if (session != 0)
        index_add(&l->agents_by_session, &agent->by_session, &agent->session,
                  sizeof agent->session);
    l->look = true;
}

void agent_free_caps(struct agent *agent)
{
    for (size_t i = 0; i < agent->cap_count; i++)
        free(agent->caps[i]);
    free(agent->caps);
    agent->caps = NULL;
    agent->cap_count = 0;
}

void agent_free(struct agent *agent)
{
    agent_free_caps(agent);
    free(agent->can);
    free(agent);
}

/* Does nothing depend on knowing it: no connection, no lease, no operator's
 * word? */
bool agent_is_idle(const struct agent *agent)
{
    return agent->session == 0 && agent->leases.count == 0 &&
           agent->stopped.state == POOL_OPEN;
}

void agent_forget(struct ledger *l, struct agent *agent)
{
    size_t at = 0;

    while (l->agents[at] != agent)
        at++;
    index_remove(&l->agents_by_name, &agent->by_name);
    timers_clear(&l->timers, &agent->rest);
    timers_clear(&l->timers, &agent->forget);
    agent_free(agent);
    memmove(&l->agents[at], &l->agents[at + 1],
            (--l->agent_count - at) * sizeof(struct agent *));
}

int agent_due(struct ledger *l, struct agent *agent)
{
    if (agent_is_idle(agent)) {
        agent_forget(l, agent);
        return 0;
    }
    return agent->session != 0 ? 0
                               : fail(l, timers_set(&l->timers, &agent->forget,
                                                    l->now_ms + FORGET_MS));
}

/* The roster is full: forget the agent that has been gone the longest and that
 * nothing depends on. */
static bool forget_one(struct ledger *l)
{
    size_t oldest = l->agent_count;

    for (size_t i = 0; i < l->agent_count; i++) {
        const struct agent *a = l->agents[i];
        if (agent_is_idle(a) && (oldest == l->agent_count ||
                                 a->seen_ms < l->agents[oldest]->seen_ms))
            oldest = i;
    }
    if (oldest == l->agent_count)
        return false;
    agent_forget(l, l->agents[oldest]);
    return true;
}

struct agent *agent_add(struct ledger *l, const char *name)
{
    struct agent *agent = agent_find(l, name);

    if (agent != NULL)
        return agent;
    if (l->agent_count == AGENTS_MAX && !forget_one(l))
        return NULL;
    agent = calloc(1, sizeof *agent);
    if (agent == NULL)
        return NULL;
    agent->rest.kind = TIMER_REST;
    agent->forget.kind = TIMER_FORGET;
    copy_text(agent->name, sizeof agent->name, name);
    index_add(&l->agents_by_name, &agent->by_name, agent->name,
              strlen(agent->name));
    size_t at = l->agent_count++;
    for (; at > 0 && strcmp(l->agents[at - 1]->name, name) > 0; at--)
        l->agents[at] = l->agents[at - 1];
    l->agents[at] = agent;
    return agent;
}

static bool has_cap(const struct agent *agent, const char *cap)
{
    size_t low = 0, high = agent->cap_count;

    while (low < high) {
        size_t mid = (low + high) / 2;
        int order = strcmp(agent->caps[mid], cap);
        if (order == 0)
            return true;
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return false;
}

/* "connections" stands for every connection there is. */
bool agent_announces(const struct agent *agent, const char *cap)
{
    static const char one[] = "connection:";

    return has_cap(agent, cap) || (strncmp(cap, one, strlen(one)) == 0 &&
                                   has_cap(agent, "connections"));
}

/* Notes in the agent's bits whether it can do this. Without memory the bits
 * stay short, and agent_can() compares names instead. */
void agent_know_need(struct agent *agent, const struct need *need)
{
    size_t words = need->bit / 64 + 1;
    bool can = true;

    if (words > agent->can_words) {
        uint64_t *grown = realloc(agent->can, words * sizeof *grown);
        if (grown == NULL)
            return;
        memset(grown + agent->can_words, 0,
               (words - agent->can_words) * sizeof *grown);
        agent->can = grown;
        agent->can_words = words;
    }
    for (size_t i = 0; i < need->count && can; i++)
        can = agent_announces(agent, need->names[i]);
    uint64_t bit = 1ULL << (need->bit % 64);
    agent->can[need->bit / 64] &= ~bit;
    if (can)
        agent->can[need->bit / 64] |= bit;
}
