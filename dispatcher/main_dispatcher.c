/*
 * main_dispatcher.c - the program `dispatcher`: options, the order of starting
 * and ending, and the sentence on stderr when it cannot start.
 *
 * The order matters. The development supervisor is forked while there is
 * nothing to inherit; signals are blocked before any thread exists; the store
 * is open before an address is bound, and the ready line is written last, so
 * that who reads it can submit at once. Ending goes the other way.
 *
 * SIGTERM, SIGINT and SIGHUP drain; a second one stops at once. There is no
 * reloading: a broker may be restarted at any time and nothing is lost.
 */
#include "dispatcher/broker.h"
#include "dispatcher/config.h"
#include "dispatcher/config_units.h"
#include "dispatcher/dev.h"
#include "dispatcher/front.h"
#include "dispatcher/log.h"

#include <zmq.h>

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    EXIT_USAGE = 2,
    DESCRIPTORS_BESIDE_HTTP = 256, /* store, sockets, agents */
};

#define FRONT_ENDPOINT "inproc://front"

struct options {
    bool dev, check, print;
    /* borrowed from argv; NULL: not given */
    char *config, *state, *http, *agents, *data, *connections;
};

/* What main() has opened so far; everything in it may be unset. */
struct program {
    struct options options;
    struct config *config;
    struct dev *dev;
    int signal_fd; /* -1: not yet */
    struct store *store;
    void *zmq;
    struct broker *broker;
    struct front *front;
};

static const char help[] =
    "dispatcher - takes workflows over HTTP, sends each to the pool that fits "
    "it\n"
    "\n"
    "  dispatcher [options]\n"
    "\n"
    "  --config FILE             YAML; every key has a default\n"
    "  --state DIR               the store (default: "
    "$XDG_STATE_HOME/dispatcher, "
    "root:\n"
    "                            /var/lib/dispatcher, else "
    "~/.local/state/dispatcher)\n"
    "  --http HOST:PORT          the API (default: 127.0.0.1:8080)\n"
    "  --agents tcp://HOST:PORT  where agents connect (default: "
    "tcp://127.0.0.1:8090)\n"
    "  --dev                     temporary state unless --state is given, free "
    "ports\n"
    "                            unless --config, --http or --agents say "
    "otherwise, and one\n"
    "                            local agent a pool; their databases are "
    "SQLite files in\n"
    "                            STATE/data, csv and jsonl files in "
    "STATE/files\n"
    "  --data DIR                with --dev: both are in DIR, which is there\n"
    "  --connections FILE        with --dev: FILE is the agents' "
    "configuration and says\n"
    "                            which databases and files there are (see "
    "agent --help)\n"
    "  --check-config            says what is wrong with FILE, and exits\n"
    "  --print-config            prints every key with its meaning and "
    "default\n"
    "  --version, --help\n"
    "\n"
    "Port 0 picks a free port. When ready, one line of JSON goes to stdout:\n"
    "{\"ready\":true,\"http\":\"http://...\",\"agents\":\"tcp://"
    "...\",\"pid\":N}. "
    "Log lines go\n"
    "to stderr. SIGTERM, SIGINT and SIGHUP drain (see `drain`), a second one "
    "stops\n"
    "at once. Exit codes: 0 stopped, 1 failed, 2 wrong usage or "
    "configuration.\n";

/* ---- options ----------------------------------------------------------- */

static bool data_is_for_dev(const struct options *options)
{
    const char *said = options->data ? "--data" : "--connections";
    if (options->data == NULL && options->connections == NULL)
        return true;
    if (!options->dev)
        fprintf(stderr,
                "dispatcher: %s is for the agents of --dev; others have it in "
                "their own configuration, see agent --help\n",
                said);
    else if (options->data != NULL && options->connections != NULL)
        fputs("dispatcher: --data or --connections, not both: the file of the "
              "latter says data: {embedded: DIR, files: DIR}\n",
              stderr);
    else
        return true;
    return false;
}

/* -1: go on; else the exit code. */
static int read_options(int argc, char **argv, struct options *options)
{
    enum {
        CONFIG = 1,
        STATE,
        HTTP,
        AGENTS,
        DATA,
        CONNECTIONS,
        DEV,
        CHECK,
        PRINT,
        VERSION,
        HELP
    };
    static const struct option known[] = {
        {"config", required_argument, NULL, CONFIG},
        {"state", required_argument, NULL, STATE},
        {"http", required_argument, NULL, HTTP},
        {"agents", required_argument, NULL, AGENTS},
        {"data", required_argument, NULL, DATA},
        {"connections", required_argument, NULL, CONNECTIONS},
        {"dev", no_argument, NULL, DEV},
        {"check-config", no_argument, NULL, CHECK},
        {"print-config", no_argument, NULL, PRINT},
        {"version", no_argument, NULL, VERSION},
        {"help", no_argument, NULL, HELP},
        {NULL, 0, NULL, 0},
    };
    char **const into[] = {
        [CONFIG] = &options->config, [STATE] = &options->state,
        [HTTP] = &options->http,     [AGENTS] = &options->agents,
        [DATA] = &options->data,     [CONNECTIONS] = &options->connections};
    bool *const flags[] = {[DEV] = &options->dev,
                           [CHECK] = &options->check,
                           [PRINT] = &options->print};
    int choice;
    while ((choice = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (choice >= CONFIG && choice <= CONNECTIONS) {
            *into[choice] = optarg;
        } else if (choice >= DEV && choice <= PRINT) {
            *flags[choice] = true;
        } else if (choice == VERSION) {
            puts("dispatcher " DISPATCH_VERSION);
            return 0;
        } else if (choice == HELP) {
            fputs(help, stdout);
            return 0;
        } else {
            fputs("dispatcher: see dispatcher --help\n", stderr);
            return EXIT_USAGE;
        }
    }
    if (optind == argc)
        return data_is_for_dev(options) ? -1 : EXIT_USAGE;
    fprintf(stderr,
            "dispatcher: \"%s\" is not an option; see dispatcher --help\n",
            argv[optind]);
    return EXIT_USAGE;
}

static bool address_is_right(const char *option, const char *text,
                             const char *scheme)
{
    const char *wrong = text ? units_address_problem(text, scheme) : NULL;
    if (wrong == NULL)
        return true;
    fprintf(stderr, "dispatcher: %s \"%s\" %s\n", option, text, wrong);
    return false;
}

/* The command line beats the file. The texts in a config belong to its arena,
 * so that others may take their places. */
static void apply_options(struct config *config, const struct options *options)
{
    static char any_http[] = "127.0.0.1:0";
    static char any_agents[] = "tcp://127.0.0.1:0";
    if (options->dev && options->config == NULL) {
        config->http = any_http;
        config->agents = any_agents;
    }
    if (options->http != NULL)
        config->http = options->http;
    if (options->agents != NULL)
        config->agents = options->agents;
    if (options->state != NULL)
        config->state_dir = options->state;
}

/* -1: go on; else the exit code. */
static int load_config(struct program *program)
{
    const struct options *options = &program->options;
    char why[STORE_WHY_MAX];
    int r = config_load(options->config, &program->config, stderr);
    if (r == -ENOMEM)
        fputs("dispatcher: no memory\n", stderr);
    if (r < 0)
        return EXIT_USAGE;
    if (!address_is_right("--http", options->http, "") ||
        !address_is_right("--agents", options->agents, "tcp://"))
        return EXIT_USAGE;
    apply_options(program->config, options);
    if (front_check(program->config, why) < 0) {
        fprintf(stderr, "dispatcher: %s\n", why);
        return EXIT_USAGE;
    }
    if (!options->check)
        return -1;
    printf("%s: ok (%zu pools, %zu rules)\n",
           options->config != NULL ? options->config : "defaults",
           program->config->ledger.pool_count, program->config->ruleset.count);
    return 0;
}

/* ---- the process ------------------------------------------------------- */

static int cannot(const char *why)
{
    fprintf(stderr, "dispatcher: %s\n", why);
    return -1;
}

/* Threads started later inherit this. */
static int take_signals(struct program *program)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    (void)signal(SIGPIPE, SIG_IGN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    program->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return program->signal_fd < 0 ? cannot("no signalfd; too many open files?")
                                  : 0;
}

/* Out of descriptors ZeroMQ's thread would spin at 100 %. */
static int raise_descriptors(const struct config *config)
{
    rlim_t wanted = config->http_connections_max + DESCRIPTORS_BESIDE_HTTP;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return cannot("the limit of open files cannot be read");
    if (limit.rlim_max < wanted) {
        fprintf(stderr,
                "dispatcher: limits.connections %u needs %llu open files, this "
                "process may have %llu; lower it or raise the limit (ulimit "
                "-Hn, LimitNOFILE=)\n",
                config->http_connections_max, (unsigned long long)wanted,
                (unsigned long long)limit.rlim_max);
        return -1;
    }
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    return 0;
}

/* The directories above the default one may not exist yet; above one that was
 * named they must, it may be a mistake. */
static void make_parents(const char *path)
{
    char part[4096];
    snprintf(part, sizeof part, "%s", path);
    for (char *slash = strchr(part + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(part, 0700);
        *slash = '/';
    }
}

static void warn_if_open(const struct config *config)
{
    if (units_address_is_loopback(config->agents, "tcp://"))
        return;
    log_event(LOG_WARN, "agents.unprotected", "address", config->agents, "hint",
              "anyone who reaches it can act as an agent; keep it in a private "
              "network",
              NULL);
}

/* ---- starting ---------------------------------------------------------- */

static int open_state(struct program *program)
{
    struct config *config = program->config;
    char why[STORE_WHY_MAX];
    const struct store_options options = {.map_bytes = config->store_max};
    if (program->dev != NULL)
        config->state_dir = dev_state_dir(program->dev);
    if (config->state_dir == NULL)
        return cannot("no state directory: there is neither XDG_STATE_HOME nor "
                      "HOME; give --state DIR");
    if (program->dev == NULL && program->options.state == NULL)
        make_parents(config->state_dir);
    if (store_open(config->state_dir, &options, &program->store, why) < 0)
        return cannot(why);
    return 0;
}

static int open_network(struct program *program)
{
    char why[STORE_WHY_MAX];
    program->zmq = zmq_ctx_new();
    if (program->zmq == NULL)
        return cannot("ZeroMQ cannot start; too many open files?");
    zmq_ctx_set(program->zmq, ZMQ_IO_THREADS, 1);
    if (broker_new(program->config, program->store, program->zmq,
                   FRONT_ENDPOINT, &program->broker, why) < 0)
        return cannot(why);
    if (front_start(program->config, program->store, program->zmq,
                    FRONT_ENDPOINT, &program->front, why) < 0)
        return cannot(why);
    return 0;
}

static int start_dev(struct program *program)
{
    char why[STORE_WHY_MAX];
    if (!program->options.dev)
        return 0;
    const struct dev_options options = {
        .state_dir = program->options.state,
        .data_dir = program->options.data,
        .agent_config = program->options.connections,
    };
    if (dev_start(program->config, &options, &program->dev, why) < 0)
        return cannot(why);
    return 0;
}

static void greet(const struct program *program)
{
    const char *url = front_url(program->front);
    fprintf(
        stderr,
        "\nThe API is at %s, state in %s, one local agent for each pool.\n"
        "  curl -s %s/api/v1/workers/overview\n"
        "  dispatchctl --url %s run FILE.json --watch\n"
        "Ctrl-C lets running work finish and ends; twice stops at once.\n\n",
        url, program->config->state_dir, url, url);
}

/* Nothing before this line says that the broker can be used. */
static int tell_ready(const struct program *program)
{
    printf("{\"ready\":true,\"http\":\"%s\",\"agents\":\"%s\",\"pid\":%d}\n",
           front_url(program->front), broker_address(program->broker),
           (int)getpid());
    if (fflush(stdout) != 0)
        return cannot("the ready line could not be written to stdout; give a "
                      "stdout that is open");
    if (program->dev != NULL && isatty(STDERR_FILENO))
        greet(program);
    return 0;
}

static int start(struct program *program)
{
    log_set_level(program->config->log_level);
    if (start_dev(program) < 0 || take_signals(program) < 0 ||
        raise_descriptors(program->config) < 0)
        return -1;
    warn_if_open(program->config);
    if (open_state(program) < 0 || open_network(program) < 0)
        return -1;
    if (program->dev != NULL &&
        dev_connect(program->dev, broker_address(program->broker)) < 0)
        return cannot("the process that starts the local agents is gone");
    return tell_ready(program);
}

static void finish(struct program *program)
{
    if (program->front != NULL)
        front_stop(&program->front);
    if (program->broker != NULL)
        broker_free(&program->broker);
    if (program->zmq != NULL)
        zmq_ctx_term(program->zmq);
    if (program->store != NULL)
        store_close(&program->store);
    dev_stop(&program->dev);
    if (program->signal_fd >= 0)
        close(program->signal_fd);
    config_free(&program->config);
}

int main(int argc, char **argv)
{
    struct program program = {.signal_fd = -1};
    int code = read_options(argc, argv, &program.options);
    if (code >= 0)
        return code;
    if (program.options.print) {
        config_print_reference(stdout);
        return EXIT_SUCCESS;
    }
    code = load_config(&program);
    if (code < 0) {
        code = EXIT_FAILURE;
        if (start(&program) == 0 &&
            broker_run(program.broker, program.signal_fd) == 0)
            code = EXIT_SUCCESS;
    }
    finish(&program);
    return code;
}
