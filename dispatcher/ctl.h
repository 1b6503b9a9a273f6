/*
 * ctl.h - dispatchctl from the inside: one table of commands; the parser, the
 * help, the suggestions and the dispatch all come from it. A new command is a
 * row in ctl_commands.c and a handler.
 *
 * Memory:  arguments are borrowed from argv; handlers free what they make.
 * Threads: one.
 * Errors:  handlers return an exit code (client.h) and have said what is wrong
 *          on ctl->err.
 */
#ifndef DISPATCHER_CTL_H
#define DISPATCHER_CTL_H

#include "dispatcher/client.h"
#include "dispatcher/pick.h"

enum { CTL_ARGS_MAX = 64, CTL_OPTIONS_MAX = 128, CTL_RUN_ID_TEXT = 37 };

/* Ended by a row without a name. */
struct ctl_option {
    const char *name;  /* "pool": --pool */
    char letter;       /* 'f': -f; 0: none */
    const char *value; /* "POOL"; NULL: a flag */
    const char *help;
    bool many; /* may be repeated */
};

struct ctl;

struct ctl_command {
    const char *name; /* "pool pause" */
    const char *args; /* "POOL", "[RUN]", "POOL KEY=VALUE..."; "": none */
    const struct ctl_option *options; /* or NULL */
    int (*run)(struct ctl *ctl);
    const char *help; /* one line */
    const char *more; /* more lines for `help CMD`, or NULL */
};
extern const struct ctl_command ctl_commands[];
extern const size_t ctl_command_count;
extern const struct ctl_option ctl_global_options[];

struct ctl_given {
    const struct ctl_option *option;
    const char *value; /* "" for a flag */
};

struct ctl {
    const struct ctl_command *command;
    const char *args[CTL_ARGS_MAX];
    size_t arg_count;
    struct ctl_given given[CTL_OPTIONS_MAX];
    size_t given_count;
    bool help; /* -h was among the options */
    bool json; /* -o json */
    struct screen out, err;
    const char *envelope;  /* put around the document; see client_problem() */
    struct client *client; /* NULL until the first ctl_call() */
};

/* ---- arguments (ctl_args.c) -------------------------------------------- */

/* Reads argv[1..] into ctl (whose screens are set). 0, or EXIT_USAGE after
 * saying what is wrong and how it is written. Without a command, and with
 * --help alone, command stays NULL. */
int ctl_parse(struct ctl *ctl, int argc, char *const argv[]);
/* An option's (last) value, NULL when it was not given; a flag's is "". */
const char *ctl_option(const struct ctl *ctl, const char *name);
/* The next value of a repeated option; *at begins at 0. */
const char *ctl_option_next(const struct ctl *ctl, const char *name,
                            size_t *at);
/* The known word that `word` most likely means, NULL when none is near. */
const char *ctl_nearest(const char *word, const char *const words[],
                        size_t count);
/* `help`, `help CMD`: EXIT_USAGE when there is no such command. */
int ctl_help(const struct ctl *ctl, const struct screen *screen,
             const char *const words[], size_t count);
/* The same for one command. */
void ctl_help_command(const struct screen *screen,
                      const struct ctl_command *command);
/* "dispatchctl CMD: text" on err, wrapped; returns EXIT_USAGE. */
int ctl_usage(const struct ctl *ctl, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* The same for what is not the command line's fault; returns `code`. */
int ctl_fail(const struct ctl *ctl, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- calls and answers (ctl_call.c) ------------------------------------ */

/* client_new() with the global options. 0 or an exit code, said. */
int ctl_connect(struct ctl *ctl);
/* client_call(), with everything that can go wrong said on err: 0 and an answer
 * with a JSON object or array, or an exit code and nothing to free. */
int ctl_call(struct ctl *ctl, const struct client_call *call,
             struct client_answer *ret);
/* ctl_call(), and its answer: with --json as it came, else by show(). */
int ctl_call_shown(struct ctl *ctl, const struct client_call *call,
                   void (*show)(const struct screen *screen,
                                const json_t *body));
/* What ctl_call() does with an answer that is a refusal: said, and its code. */
int ctl_refused(struct ctl *ctl, const struct client_answer *answer);
/* Prints the answer unchanged but for white space; on a terminal what could
 * harm it is written as \u escapes. */
void ctl_print_json(const struct screen *screen, const char *text,
                    size_t bytes);
/* A run id as the API wants it: whole ids pass, a prefix of at least 4
 * characters is looked up among the newest runs. 0 or an exit code, said. */
int ctl_run_id(struct ctl *ctl, const char *given,
               char ret_id[CTL_RUN_ID_TEXT]);

/* ---- showing (ctl_show.c) ---------------------------------------------- */

enum style ctl_state_style(const char *state);
/* "✓", "▶", ... for a state of a run or a node, either case */
const char *ctl_state_mark(const struct screen *screen, const char *state);
/* Name and value, aligned: "  priority    high". Nothing when value is NULL or
 * "". */
void ctl_field(const struct screen *screen, const char *name,
               const char *value);
/* A headline of a section. */
void ctl_headline(const struct screen *screen, const char *text);

bool ctl_state_final(const char *state);
/* How long it took, or has taken until now; "" before it started; malloc'ed. */
char *ctl_took(const json_t *object);
const char *ctl_workflow_name(const json_t *run);
const char *ctl_pool_of(const json_t *run); /* where it is, else the wanted */
void ctl_show_headline(const struct screen *screen, const json_t *run);

/* How far nodes are (ctl_rows.c), a line each; the columns are those of all
 * nodes that are drawn beneath each other. */
struct ctl_columns {
    int name, took;
};
struct ctl_columns ctl_node_columns(const struct screen *screen,
                                    const json_t *nodes);
void ctl_draw_node(const struct screen *screen, const json_t *node,
                   struct ctl_columns columns);
void ctl_show_nodes(const struct screen *screen, const json_t *nodes);

/* First rows of nodes (ctl_preview.c): the API's answer, and the call that gets
 * it; node NULL: of all. Returns an exit code. */
void ctl_show_previews(const struct screen *screen, const json_t *answer);
int ctl_preview(struct ctl *ctl, const char *run_id, const char *node);

/* The story of a decision (ctl_explain.c). */
void ctl_show_plan(const struct screen *screen, const json_t *plan);
void ctl_show_explain(const struct screen *screen, const json_t *story);

void ctl_show_holders(const struct screen *screen, const json_t *holders);

/* POSTs the last word of the command's name for a pool or an agent, with
 * --reason and --for, and shows what came of it (ctl_pool.c). */
int ctl_post_verb(struct ctl *ctl, const char *path, const char *name);

/* Shows a run until it ends and returns its exit code (ctl_watch.c); quiet:
 * only the last line. */
int ctl_watch(struct ctl *ctl, const char *run_id, bool quiet);

/* ---- the handlers ------------------------------------------------------ */

int ctl_cmd_run(struct ctl *ctl);
int ctl_cmd_plan(struct ctl *ctl);
int ctl_cmd_validate(struct ctl *ctl);
int ctl_cmd_ps(struct ctl *ctl);
int ctl_cmd_show(struct ctl *ctl);
int ctl_cmd_logs(struct ctl *ctl);
int ctl_cmd_preview(struct ctl *ctl);
int ctl_cmd_explain(struct ctl *ctl);
int ctl_cmd_watch(struct ctl *ctl);
int ctl_cmd_cancel(struct ctl *ctl);
int ctl_cmd_pool_list(struct ctl *ctl);
int ctl_cmd_pool_status(struct ctl *ctl);
int ctl_cmd_pool_verb(
    struct ctl *ctl); /* the last word of the command's name */
int ctl_cmd_pool_set(struct ctl *ctl);
int ctl_cmd_agent_list(struct ctl *ctl);
int ctl_cmd_agent_show(struct ctl *ctl);
int ctl_cmd_agent_verb(struct ctl *ctl);
int ctl_cmd_status(struct ctl *ctl);
int ctl_cmd_version(struct ctl *ctl);
int ctl_cmd_help(struct ctl *ctl);

#endif
