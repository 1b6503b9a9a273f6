/*
 * settings.c - see settings.h.
 *
 * The command line is read first only to find --config, then the file is
 * loaded, then the command line is laid over it: one struct of optional values
 * for both, defaults last.
 */
#include "agents/settings.h"

#include "agents/caps.h"
#include "agents/settings_file.h"
#include "agents/wire.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the command line ------------------------------------------------ */

static const char help[] =
    "agent - executes runs for a dispatcher\n"
    "\n"
    "  agent --connect tcp://HOST:PORT [options]\n"
    "\n"
    "  --connect ADDRESS  the dispatcher's address for agents\n"
    "  --name NAME        this agent's name; one living agent a name\n"
    "                     (default: the host's name)\n"
    "  --pools A,B        pools it serves (default: default)\n"
    "  --slots N          runs at once, 1 to 4096 (default: 1)\n"
    "  --config FILE      YAML with connect, name, pools, slots, spool,\n"
    "                     http: {allow_private: false}, environment: [NAMES\n"
    "                     let through to commands], connections and data (see\n"
    "                     below); the command line wins\n"
    "  --spool DIR        where runs, output and results are kept until the\n"
    "                     dispatcher has them (default:\n"
    "                     $XDG_STATE_HOME/dispatch-agent/NAME, else\n"
    "                     ~/.local/state/dispatch-agent/NAME)\n"
    "  --check-config     says whether all this is right, and exits\n"
    "  --version, --help\n"
    "\n"
    "Databases and files are the configuration file's alone; a relative path\n"
    "in it is relative to it. All of it may be left out:\n"
    "\n"
    "  connections:\n"
    "    - name: shop             # as documents call it\n"
    "      engine: postgresql     # or sqlite, with a path as dsn\n"
    "      dsn: host=db1 dbname=shop user=etl\n"
    "      password_file: shop.password   # or password_env: VARIABLE\n"
    "      aliases: [other-name]\n"
    "      read_only: false\n"
    "  data:\n"
    "    embedded: data           # any other name is the SQLite file NAME.db\n"
    "                             # in this directory (default: none)\n"
    "    files: files             # where csv and jsonl paths begin (default:\n"
    "                             # there are none)\n"
    "    memory: 512MiB           # of one run\n"
    "    spill: /var/tmp          # for what does not fit in memory (default:\n"
    "                             # the run's directory in the spool)\n"
    "    spill_max: 10GiB         # of one run\n"
    "    pushdown: true           # false: everything in the agent\n"
    "    statement_timeout: 1h\n"
    "    lock_timeout: 1min\n"
    "\n"
    "SIGTERM drains: no new runs, lets the present ones finish. A second one\n"
    "cancels them, a third leaves at once (shepherds go on until their leases\n"
    "end). Exit codes: 0 drained, 1 failed, 2 wrong usage or configuration.\n";

struct line { /* what was said; NULL: nothing */
    const char *connect, *name, *pools, *slots, *config, *spool;
    bool check;
};

static enum settings_answer read_line(int argc, char **argv, struct line *line)
{
    enum {
        CONNECT = 1,
        NAME,
        POOLS,
        SLOTS,
        CONFIG,
        SPOOL,
        CHECK,
        VERSION,
        HELP
    };
    static const struct option options[] = {
        {"connect", required_argument, NULL, CONNECT},
        {"name", required_argument, NULL, NAME},
        {"pools", required_argument, NULL, POOLS},
        {"slots", required_argument, NULL, SLOTS},
        {"config", required_argument, NULL, CONFIG},
        {"spool", required_argument, NULL, SPOOL},
        {"check-config", no_argument, NULL, CHECK},
        {"version", no_argument, NULL, VERSION},
        {"help", no_argument, NULL, HELP},
        {NULL, 0, NULL, 0},
    };
    const char **into[] = {NULL,         &line->connect, &line->name,
                           &line->pools, &line->slots,   &line->config,
                           &line->spool};
    int choice;

    optind = 1;
    while ((choice = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (choice >= CONNECT && choice <= SPOOL) {
            *into[choice] = optarg;
        } else if (choice == CHECK) {
            line->check = true;
        } else if (choice == VERSION) {
            printf("agent %s\n", DISPATCH_VERSION);
            return SETTINGS_DONE;
        } else if (choice == HELP) {
            fputs(help, stdout);
            return SETTINGS_DONE;
        } else {
            fputs("agent: see agent --help\n", stderr);
            return SETTINGS_WRONG;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "agent: \"%s\" is not an option: see agent --help\n",
                argv[optind]);
        return SETTINGS_WRONG;
    }
    return SETTINGS_GO;
}

/* ---- both together --------------------------------------------------- */

void settings_free(struct settings **settings_p)
{
    struct settings *s = *settings_p;

    *settings_p = NULL;
    if (!s)
        return;
    free(s->connect);
    free(s->name);
    free(s->spool);
    for (size_t i = 0; i < s->pool_count; i++)
        free(s->pools[i]);
    free(s->pools);
    for (size_t i = 0; i < s->environment_count; i++)
        free(s->environment[i]);
    free(s->environment);
    settings_data_clear(&s->data);
    free(s);
}

/* The rule of WIRE.md: becomes a word in logs, labels and paths. */
static bool is_name(const char *text)
{
    size_t len = strlen(text);

    return len >= 1 && len <= WIRE_NAME_MAX && text[0] != '.' &&
           text[0] != '-' &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789._-") == len;
}

char *settings_own(const char *text)
{
    char *copy = strdup(text);

    if (!copy) {
        fputs("agent: out of memory\n", stderr);
        _exit(1);
    }
    return copy;
}

static char *default_name(void)
{
    char host[WIRE_NAME_MAX + 1] = "";

    gethostname(host, sizeof host - 1);
    for (char *at = host; *at; at++) {
        char one[2] = {*at, '\0'};
        if (!is_name(one) && *at != '.' && *at != '-')
            *at = '-';
    }
    return settings_own(is_name(host) ? host : "agent");
}

static char *default_spool(const char *name)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    char path[PATH_MAX];

    if (state && *state == '/')
        snprintf(path, sizeof path, "%s/dispatch-agent/%s", state, name);
    else if (home && *home == '/')
        snprintf(path, sizeof path, "%s/.local/state/dispatch-agent/%s", home,
                 name);
    else
        snprintf(path, sizeof path, "/tmp/dispatch-agent-%u/%s",
                 (unsigned)getuid(), name);
    return settings_own(path);
}

static char **own_list(char *const *from, size_t count)
{
    char **list = calloc(count + 1, sizeof *list);

    if (!list) {
        fputs("agent: out of memory\n", stderr);
        _exit(1);
    }
    for (size_t i = 0; i < count; i++)
        list[i] = settings_own(from[i]);
    return list;
}

static void set_pools(struct settings *s, const struct line *line,
                      const struct settings_file *file)
{
    if (line->pools) {
        char *text = settings_own(line->pools), *rest = text, *pool;
        size_t room = 1;
        for (const char *at = text; *at; at++)
            room += *at == ',';
        s->pools = calloc(room + 1, sizeof *s->pools);
        while (s->pools && (pool = strsep(&rest, ",")))
            s->pools[s->pool_count++] = settings_own(pool);
        free(text);
    } else if (file && file->pools) {
        s->pools = own_list(file->pools, file->pools_count);
        s->pool_count = file->pools_count;
    } else {
        char *one[] = {(char[]){"default"}};
        s->pools = own_list(one, 1);
        s->pool_count = 1;
    }
}

static bool check_settings(const struct settings *s)
{
    bool right = true;

    if (!s->connect) {
        fputs("agent: no address: give --connect tcp://HOST:PORT, the one the "
              "dispatcher prints as \"agents\"\n",
              stderr);
        right = false;
    } else if (strncmp(s->connect, "tcp://", 6) != 0 &&
               strncmp(s->connect, "ipc://", 6) != 0) {
        fprintf(stderr,
                "agent: --connect \"%s\" is not an address: write "
                "tcp://HOST:PORT\n",
                s->connect);
        right = false;
    }
    if (!is_name(s->name)) {
        fprintf(stderr,
                "agent: --name \"%s\" is not a name: 1 to %d of letters, "
                "digits, '.', '_' and '-', not beginning with '.' or '-'\n",
                s->name, WIRE_NAME_MAX);
        right = false;
    }
    if (s->pool_count > WIRE_POOLS_MAX) {
        fprintf(stderr, "agent: --pools names %zu pools: at most %d\n",
                s->pool_count, WIRE_POOLS_MAX);
        right = false;
    }
    for (size_t i = 0; i < s->pool_count; i++) {
        if (is_name(s->pools[i]))
            continue;
        fprintf(stderr,
                "agent: --pools: \"%s\" is not the name of a pool: write "
                "names with commas between, like default,etl\n",
                s->pools[i]);
        right = false;
    }
    if (s->slots < 1 || s->slots > WIRE_SLOTS_MAX) {
        fprintf(stderr, "agent: --slots %u is not in 1..%d\n", s->slots,
                WIRE_SLOTS_MAX);
        right = false;
    }
    for (size_t i = 0; i < s->environment_count; i++) {
        if (*s->environment[i] && !strchr(s->environment[i], '='))
            continue;
        fprintf(stderr,
                "agent: environment: \"%s\" is not the name of a variable\n",
                s->environment[i]);
        right = false;
    }
    return right;
}

static bool check_caps(const struct settings *s)
{
    struct caps caps;
    size_t count = caps_list(s, &caps);

    if (count <= WIRE_CAPS_MAX)
        return true;
    fprintf(stderr,
            "agent: connections: with their aliases there are %zu words to "
            "tell the dispatcher, at most %d are possible: give fewer\n",
            count, WIRE_CAPS_MAX);
    return false;
}

/* Of a connection no more than its name and engine. */
static void print_checked(const struct settings *s)
{
    const struct data_settings *data = &s->data;

    printf("agent %s: connect=%s slots=%u spool=%s", s->name, s->connect,
           s->slots, s->spool);
    for (size_t i = 0; i < data->connection_count; i++)
        printf("%s%s (%s)",
               i ? ", " : " connections: ", data->connections[i].name,
               engine_name(data->connections[i].engine));
    if (data->embedded)
        printf(" embedded=%s", data->embedded);
    if (data->files)
        printf(" files=%s", data->files);
    printf(": all right\n");
}

static const char *either(const char *line, const char *file)
{
    return line ? line : file;
}

enum settings_answer settings_read(int argc, char **argv,
                                   struct settings **ret_settings)
{
    struct line line = {0};
    struct settings_file *file = NULL;
    enum settings_answer answer = read_line(argc, argv, &line);

    if (answer != SETTINGS_GO)
        return answer;
    if (line.config && settings_file_load(line.config, &file) < 0)
        return SETTINGS_WRONG;
    struct settings *s = calloc(1, sizeof *s);
    if (!s) {
        fputs("agent: out of memory\n", stderr);
        settings_file_free(file);
        return SETTINGS_WRONG;
    }
    const char *text = either(line.connect, file ? file->connect : NULL);
    s->connect = text ? settings_own(text) : NULL;
    text = either(line.name, file ? file->name : NULL);
    s->name = text ? settings_own(text) : default_name();
    text = either(line.spool, file ? file->spool : NULL);
    s->spool = text ? settings_own(text) : default_spool(s->name);
    set_pools(s, &line, file);
    s->slots = file && file->slots ? file->slots : 1;
    if (line.slots) {
        char *end;
        long slots = strtol(line.slots, &end, 10);
        s->slots =
            *end || slots < 0 || slots > WIRE_SLOTS_MAX ? 0 : (uint32_t)slots;
    }
    bool right = true;
    if (file && file->http && file->http->allow_private &&
        settings_bool(file->http->allow_private, &s->http_allow_private) < 0) {
        fprintf(stderr,
                "agent: %s: http.allow_private is neither true nor false\n",
                line.config);
        right = false;
    }
    if (file && file->environment) {
        s->environment = own_list(file->environment, file->environment_count);
        s->environment_count = file->environment_count;
    }
    right = settings_data_read(line.config, file, &s->data) && right;
    settings_file_free(file);
    if (!check_settings(s) || !right || !check_caps(s)) {
        settings_free(&s);
        return SETTINGS_WRONG;
    }
    if (line.check) {
        settings_data_warn(line.config, &s->data);
        print_checked(s);
        settings_free(&s);
        return SETTINGS_DONE;
    }
    *ret_settings = s;
    return SETTINGS_GO;
}
