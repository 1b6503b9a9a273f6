/* ctl_commands.c - the table of commands. A row here is a command: its words,
 * arguments, options, handler and help. */
#include "dispatcher/ctl.h"

const struct ctl_option ctl_global_options[] = {
    {.name = "url",
     .value = "URL",
     .help = "the broker; else DISPATCH_URL, else " CLIENT_URL_DEFAULT},
    {.name = "token-file",
     .value = "FILE",
     .help = "whose first line is the token; else DISPATCH_TOKEN"},
    {.name = "output",
     .letter = 'o',
     .value = "FORMAT",
     .help = "table (default), or json: the API's own answer"},
    {.name = "color",
     .value = "WHEN",
     .help = "auto (default), always or never"},
    {.name = "help", .letter = 'h', .help = "says what a command does"},
    {0},
};

/* What `run` and `plan` share: how a document is submitted. */
#define SUBMIT_OPTIONS                                                         \
    {.name = "pool",                                                           \
     .value = "POOL",                                                          \
     .help = "ask for this pool instead of what the rules say"},               \
        {.name = "priority",                                                   \
         .value = "PRIORITY",                                                  \
         .help = "high, normal (default) or low"},                             \
        {.name = "tag",                                                        \
         .value = "TAG",                                                       \
         .help = "adds a tag; may be repeated",                                \
         .many = true},                                                        \
        {.name = "size",                                                       \
         .value = "SIZE",                                                      \
         .help = "how much data it moves: bytes, 64MiB, 2GiB"},                \
    {                                                                          \
        .name = "no-fallback", .help = "wait for the wanted pool, take no "    \
                                       "other"                                 \
    }

static const struct ctl_option run_options[] = {
    SUBMIT_OPTIONS,
    {.name = "param",
     .value = "NAME=VALUE",
     .help = "a parameter for the run, text; may be repeated",
     .many = true},
    {.name = "timeout", .value = "TIME", .help = "the whole run: 90s, 5m, 2h"},
    {.name = "retries",
     .value = "N",
     .help = "attempts after the first when it fails"},
    {.name = "on-lost",
     .value = "RULE",
     .help = "when its agent is lost: retry or fail"},
    {.name = "start-at",
     .value = "TIME",
     .help = "not before: 2026-11-20T18:00:00Z, or +10m from now"},
    {.name = "preview",
     .value = "N",
     .help = "keeps the first N rows of each node (to 100): dispatchctl "
             "preview"},
    {.name = "wait", .help = "until it has ended; the exit code says how"},
    {.name = "watch",
     .letter = 'w',
     .help = "the same, and shows its nodes meanwhile"},
    {0},
};

static const struct ctl_option plan_options[] = {SUBMIT_OPTIONS, {0}};

static const struct ctl_option ps_options[] = {
    {.name = "state",
     .value = "STATE",
     .help = "only these: RUNNING, QUEUED, FAILED, ..."},
    {.name = "pool", .value = "POOL", .help = "only those of this pool"},
    {.name = "limit",
     .letter = 'n',
     .value = "N",
     .help = "at most so many (default 20)"},
    {.name = "all",
     .letter = 'a',
     .help = "also those that have ended (default: the living, or the newest "
             "when none lives)"},
    {0},
};

static const struct ctl_option logs_options[] = {
    {.name = "follow", .letter = 'f', .help = "until the run has ended"},
    {.name = "node", .value = "NODE", .help = "only this node's, by its id"},
    {0},
};

static const struct ctl_option reason_options[] = {
    {.name = "reason",
     .value = "TEXT",
     .help = "why; shows wherever the effect shows"},
    {0},
};

static const struct ctl_option pool_verb_options[] = {
    {.name = "reason",
     .value = "TEXT",
     .help = "why; shows wherever the pool shows"},
    {.name = "for",
     .value = "TIME",
     .help = "resumes by itself after this: 30s, 10m, 2h"},
    {0},
};

const struct ctl_command ctl_commands[] = {
    {"run", "FILE", run_options, ctl_cmd_run,
     "sends a workflow document (-: from standard input)",
     "FILE is JSON: our own format, a React Flow diagram, or\n"
     "connectionInformation_v1. Prints the run's id, which everything else "
     "takes.\nWith --wait and --watch the exit code is 0 when the run "
     "completed, 10 when it\nfailed, 11 cancelled, 12 crashed, 13 timed "
     "out."},
    {"plan", "FILE", plan_options, ctl_cmd_plan,
     "says where it would run and why, without running it", NULL},
    {"validate", "FILE", NULL, ctl_cmd_validate,
     "lists everything that is wrong with a document", NULL},
    {"ps", "", ps_options, ctl_cmd_ps, "lists runs, newest first", NULL},
    {"show", "RUN", NULL, ctl_cmd_show, "one run with its nodes",
     "RUN is a run's id, or its beginning or its end (4 characters at least) "
     "when\nthat is enough to tell it from the newest 200."},
    {"watch", "RUN", NULL, ctl_cmd_watch,
     "shows a run's nodes until it has ended",
     "The exit code says how it ended, as with run --watch."},
    {"logs", "RUN", logs_options, ctl_cmd_logs, "what its nodes wrote", NULL},
    {"preview", "RUN [NODE]", NULL, ctl_cmd_preview,
     "the first rows of its nodes",
     "For a run that was submitted with --preview N."},
    {"explain", "RUN", NULL, ctl_cmd_explain, "why a run is where it is", NULL},
    {"cancel", "RUN", reason_options, ctl_cmd_cancel,
     "stops a run, waiting or running", NULL},
    {"pool list", "", NULL, ctl_cmd_pool_list,
     "the pools, their slots and their lines", NULL},
    {"pool status", "POOL", NULL, ctl_cmd_pool_status,
     "one pool: who holds its slots, who waits and why", NULL},
    {"pool pause", "POOL", pool_verb_options, ctl_cmd_pool_verb,
     "accepts runs, starts none; what runs goes on", NULL},
    {"pool resume", "POOL", pool_verb_options, ctl_cmd_pool_verb,
     "undoes pause, drain and close", NULL},
    {"pool drain", "POOL", pool_verb_options, ctl_cmd_pool_verb,
     "starts none, lets finish what runs", NULL},
    {"pool close", "POOL", pool_verb_options, ctl_cmd_pool_verb,
     "refuses new runs", NULL},
    {"pool set", "POOL KEY=VALUE...", NULL, ctl_cmd_pool_set,
     "changes a pool while it works",
     "KEY is limit (slots), max_size (ceiling: 2GiB, or none), waiting_max "
     "(length of\nits line), fallback (pools in order, a,b; empty: none). "
     "'reset=yes' goes back to\nthe configuration. Kept over restarts."},
    {"agent list", "", NULL, ctl_cmd_agent_list,
     "the agents, their health and their slots", NULL},
    {"agent show", "AGENT", NULL, ctl_cmd_agent_show, "one agent", NULL},
    {"agent pause", "AGENT", reason_options, ctl_cmd_agent_verb,
     "gives it no more work until resumed", NULL},
    {"agent resume", "AGENT", reason_options, ctl_cmd_agent_verb,
     "undoes pause; one that drains still ends", NULL},
    {"agent drain", "AGENT", reason_options, ctl_cmd_agent_verb,
     "finishes its runs, then its program ends", NULL},
    {"status", "", NULL, ctl_cmd_status, "the whole at a glance",
     "Exit code 0: all is well; 1: something needs attention."},
    {"version", "", NULL, ctl_cmd_version, "of this program and of the broker",
     NULL},
    {"help", "[COMMAND] [VERB]", NULL, ctl_cmd_help,
     "this, or more about one command", NULL},
};
const size_t ctl_command_count = sizeof ctl_commands / sizeof ctl_commands[0];
