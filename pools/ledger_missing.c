/*
 * ledger_missing.c - why no agent of a pool can execute a run: what nobody
 * announces, as a list for programs and as a sentence for people.
 */
#include "pools/books.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* How each sort of capability is spoken of. The last row takes what begins with
 * none of the others. */
static const struct sort {
    const char *prefix;
    const char *nobody; /* before the first, "no agent has the connection" */
    const char *noun;   /* before each, when sorts are mixed */
    const char *quote;
} sorts[] = {
    {"connection:", "no agent has the connection", "connection", "\""},
    {"kind:", "no agent can execute kind", "kind", ""},
    {"engine:", "no agent can execute engine", "engine", ""},
    {"", "no agent announces", "", "\""},
};
enum { SORTS = sizeof sorts / sizeof sorts[0] };

static const struct sort *sort_of(const char *cap)
{
    const struct sort *sort = sorts;

    while (strncmp(cap, sort->prefix, strlen(sort->prefix)) != 0)
        sort++;
    return sort;
}

__attribute__((format(printf, 3, 4))) static void append(char *to, size_t room,
                                                         const char *fmt, ...)
{
    size_t used = strlen(to);
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(to + used, room - used, fmt, args);
    va_end(args);
}

static bool announced(const struct ledger *l, size_t pool, const char *cap,
                      uint64_t now_ms)
{
    for (size_t i = 0; i < l->agent_count; i++)
        if ((l->agents[i]->pool_mask >> pool & 1) != 0 &&
            agent_is_healthy(l, l->agents[i], now_ms) &&
            agent_announces(l->agents[i], cap))
            return true;
    return false;
}

/* "no agent has the connection "hr" or "shop"; no agent can execute kind sort"
 */
static void say_missing(const char *const *names, size_t count, char *to,
                        size_t room)
{
    const char *between = "";

    for (size_t s = 0; s < SORTS; s++) {
        const char *before = sorts[s].nobody;
        for (size_t i = 0; i < count; i++) {
            if (sort_of(names[i]) != &sorts[s])
                continue;
            append(to, room, "%s%s %s%s%s", between, before, sorts[s].quote,
                   names[i] + strlen(sorts[s].prefix), sorts[s].quote);
            before = " or";
            between = "";
        }
        if (before != sorts[s].nobody)
            between = "; ";
    }
}

static void say_apart(const struct need *need, char *to, size_t room)
{
    append(to, room, "no one agent has all of: ");
    for (size_t i = 0; i < need->count; i++) {
        const struct sort *sort = sort_of(need->names[i]);
        append(to, room, "%s%s%s%s%s%s", i > 0 ? ", " : "", sort->noun,
               *sort->noun != '\0' ? " " : "", sort->quote,
               need->names[i] + strlen(sort->prefix), sort->quote);
    }
}

void name_missing(const struct ledger *l, size_t pool, const struct need *need,
                  uint64_t now_ms, struct explanation *ret)
{
    const char *missing[RUN_REQUIRES_MAX];
    char *text = ret->missing_text;
    size_t room = sizeof ret->missing_text, count = 0;

    assert(need->count <= RUN_REQUIRES_MAX);
    for (size_t i = 0; i < need->count; i++)
        if (!announced(l, pool, need->names[i], now_ms))
            missing[count++] = need->names[i];

    text[0] = ret->missing[0] = '\0';
    append(text, room, "In pool %s ", l->pools[pool].config.name);
    if (count > 0)
        say_missing(missing, count, text, room);
    else
        say_apart(need, text, room);
    append(text, room, ".");
    if (strlen(text) == room - 1)
        memcpy(text + room - 4, "...", 4);

    const char *const *listed = count > 0 ? missing : need->names;
    size_t listed_count = count > 0 ? count : need->count;
    for (size_t i = 0; i < listed_count; i++)
        append(ret->missing, sizeof ret->missing, "%s%s", i > 0 ? "," : "",
               listed[i]);
}
