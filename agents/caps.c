/* caps.c - see caps.h. */
#include "agents/caps.h"

#include "agents/executor.h"

#include <stdio.h>
#include <string.h>

struct list {
    struct caps *caps;
    size_t wanted;
};

static void add(struct list *list, const char *head, const char *tail)
{
    struct caps *caps = list->caps;

    list->wanted++;
    if (caps->count == WIRE_CAPS_MAX)
        return;
    snprintf(caps->words[caps->count++], sizeof caps->words[0], "%s%s", head,
             tail);
}

/* What a kind needs besides the program itself. */
static bool can_execute(const char *kind, const struct data_settings *data)
{
    static const char *const of_connections[] = {"extract", "load", "sql"};

    if (strncmp(kind, "csv_", 4) == 0 || strncmp(kind, "jsonl_", 6) == 0)
        return data->files != NULL;
    for (size_t i = 0; i < sizeof of_connections / sizeof *of_connections; i++)
        if (strcmp(kind, of_connections[i]) == 0)
            return data->connection_count > 0 || data->embedded;
    return true;
}

size_t caps_list(const struct settings *settings, struct caps *ret_caps)
{
    const struct data_settings *data = &settings->data;
    struct list list = {.caps = ret_caps};
    size_t kinds;
    const struct executor *table = executor_table(&kinds);
    bool engines[] = {
        [ENGINE_POSTGRESQL] = false, [ENGINE_SQLITE] = data->embedded != NULL};

    ret_caps->count = 0;
    for (size_t i = 0; i < kinds; i++)
        if (can_execute(table[i].kind, data))
            add(&list, "kind:", table[i].kind);
    for (size_t i = 0; i < data->connection_count; i++)
        engines[data->connections[i].engine] = true;
    for (size_t i = 0; i < sizeof engines / sizeof *engines; i++)
        if (engines[i])
            add(&list, "engine:", engine_name((enum engine)i));
    add(&list, WIRE_CAN_ESTIMATE, "");
    if (data->embedded)
        add(&list, "connections", "");
    for (size_t i = 0; i < data->connection_count; i++) {
        const struct connection *connection = &data->connections[i];
        add(&list, "connection:", connection->name);
        for (size_t j = 0; j < connection->alias_count; j++)
            add(&list, "connection:", connection->aliases[j]);
    }
    return list.wanted;
}
