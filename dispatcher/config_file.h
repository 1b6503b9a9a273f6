/*
 * config_file.h - a configuration file as read: its YAML tree, checked key by
 * key against the table with the line of every problem, and the same content
 * as structs of texts. What keys mean to each other is config.c's.
 *
 * Memory:  texts and structs live until config_file_free().
 * Threads: none.
 * Errors:  0 or a negative errno; what a person has to fix is collected in
 *          struct config_problems.
 */
#ifndef DISPATCHER_CONFIG_FILE_H
#define DISPATCHER_CONFIG_FILE_H

#include "dispatcher/config_table.h"

#include <stdio.h>

enum { CONFIG_FILE_BYTES_MAX = 1 << 20 };

struct config_problems {
    struct config_problem {
        unsigned line; /* 0: the file as a whole */
        char *text;    /* "what is wrong; what to do" */
    } * items;
    size_t count;
    bool out_of_memory; /* one could not be kept */
};

void config_problem(struct config_problems *problems, unsigned line,
                    const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* A key that is not among `keys`: what was meant, or what there is. */
void config_problem_unknown(struct config_problems *problems, unsigned line,
                            const struct config_key *keys, const char *where,
                            const char *name);
/* "FILE:LINE: text" lines in the order of the file. */
void config_problems_print(struct config_problems *problems, const char *file,
                           FILE *out);
void config_problems_clear(struct config_problems *problems);

struct config_file;

/* Reads and checks. 0 also when there are problems: what could be understood
 * is there all the same, so that config.c finds the others. On failure the
 * reason is in problems too. -ENOENT, -EACCES, ...: the file. -EINVAL: not a
 * file of ours at all (syntax, or a list where a section should be). -ENOMEM.
 */
int config_file_read(const char *path, struct config_file **ret_file,
                     struct config_problems *problems);
void config_file_free(struct config_file **file_p);

/* All NULL and 0 for an empty file. */
const struct config_raw *config_file_raw(const struct config_file *file);

/* The line of "pools/2/fallback/0/pool", or of the nearest thing around it that
 * is there. */
unsigned config_file_line(const struct config_file *file, const char *path_fmt,
                          ...) __attribute__((format(printf, 2, 3)));

#endif
