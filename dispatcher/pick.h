/*
 * pick.h - reading what the API answered: one value by its path, with something
 * to say when it is not there. Answers are foreign: every kind of value may
 * stand at every place.
 *
 * Memory:  what is picked is borrowed from the object.
 * Threads: any; pure.
 */
#ifndef DISPATCHER_PICK_H
#define DISPATCHER_PICK_H

#include <jansson.h>
#include <stdbool.h>

/* path: keys with dots, "decision.candidates". NULL when there is none (also
 * when it is null). Alternatives are separated by '|'. */
const json_t *pick(const json_t *object, const char *path);
const char *pick_text(const json_t *object, const char *path,
                      const char *otherwise);
double pick_number(const json_t *object, const char *path, double otherwise);
bool pick_true(const json_t *object, const char *path);
/* RFC 3339 to Unix seconds; -1: none or not a time. */
double pick_time(const json_t *object, const char *path);
/* A value as a person would write it; malloc'ed. */
char *pick_any(const json_t *value);

#endif
