/* config_problems.c - what is wrong with a configuration file, collected and
 * printed; see config_file.h */
#include "dispatcher/config_file.h"
#include "policy/text.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* One line, and nothing of it moves a terminal's cursor. */
static void blank_controls(char *text)
{
    for (unsigned char *c = (unsigned char *)text; *c != '\0'; c++) {
        bool c1 = c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0;
        if (c1)
            *c++ = '?';
        if (c1 || *c < 0x20 || *c == 0x7f)
            *c = '?';
    }
}

void config_problem(struct config_problems *problems, unsigned line,
                    const char *fmt, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, fmt);
    int r = vasprintf(&text, fmt, args);
    va_end(args);
    struct config_problem *items = NULL;
    if (r >= 0)
        items =
            reallocarray(problems->items, problems->count + 1, sizeof *items);
    if (items == NULL) {
        if (r >= 0)
            free(text);
        problems->out_of_memory = true;
        return;
    }
    blank_controls(text);
    problems->items = items;
    items[problems->count++] =
        (struct config_problem){.line = line, .text = text};
}

/* Insertion sort: stable, and the list is short. */
static void sort_by_line(struct config_problems *problems)
{
    for (size_t i = 1; i < problems->count; i++) {
        struct config_problem moved = problems->items[i];
        size_t at = i;
        for (; at > 0 && problems->items[at - 1].line > moved.line; at--)
            problems->items[at] = problems->items[at - 1];
        problems->items[at] = moved;
    }
}

void config_problems_print(struct config_problems *problems, const char *file,
                           FILE *out)
{
    sort_by_line(problems);
    for (size_t i = 0; i < problems->count; i++) {
        const struct config_problem *problem = &problems->items[i];
        if (problem->line == 0)
            fprintf(out, "%s: %s\n", file, problem->text);
        else
            fprintf(out, "%s:%u: %s\n", file, problem->line, problem->text);
    }
}

void config_problems_clear(struct config_problems *problems)
{
    for (size_t i = 0; i < problems->count; i++)
        free(problems->items[i].text);
    free(problems->items);
    *problems = (struct config_problems){0};
}

/* ---- did you mean ------------------------------------------------------ */

enum { KNOWN_MAX = 200 };

/* NULL when nothing is near. */
static const char *nearest_key(const struct config_key *keys, const char *name)
{
    const char *best = NULL;
    size_t best_distance = strlen(name) / 3 + 2;
    for (const struct config_key *key = keys; key->name != NULL; key++) {
        size_t d = text_distance(name, key->name, false);
        if (d < best_distance) {
            best = key->name;
            best_distance = d;
        }
    }
    return best;
}

void config_problem_unknown(struct config_problems *problems, unsigned line,
                            const struct config_key *keys, const char *where,
                            const char *name)
{
    const char *near = nearest_key(keys, name);
    if (near != NULL) {
        config_problem(problems, line,
                       "unknown key %.80s in %s; did you mean %s?", name, where,
                       near);
        return;
    }
    char known[KNOWN_MAX] = "";
    for (const struct config_key *key = keys; key->name != NULL; key++) {
        size_t len = strlen(known);
        snprintf(known + len, sizeof known - len, "%s%s", len ? ", " : "",
                 key->name);
    }
    config_problem(problems, line,
                   "unknown key %.80s in %s; remove it or use one of %s", name,
                   where, known);
}
