/*
 * settings.c - see settings.h.
 *
 * The command line is read first only to find --config, then the file is
 * loaded, then the command line is laid over it: one struct of optional values
 * for both, defaults last.
 */
#include "agents/settings.h"

#include "agents/wire.h"

#include <cyaml/cyaml.h>

#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the file -------------------------------------------------------- */

struct http_file {
    bool allow_private;
};

struct file { /* as cyaml fills it; NULL: not said */
    char *connect, *name, *spool;
    char **pools;
    unsigned pools_count;
    uint32_t slots;
    struct http_file *http;
    char **environment;
    unsigned environment_count;
};

static const cyaml_schema_value_t text_entry = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, 4096)};

static const cyaml_schema_field_t http_fields[] = {
    CYAML_FIELD_BOOL("allow_private", CYAML_FLAG_OPTIONAL, struct http_file,
                     allow_private),
    CYAML_FIELD_END};

static const cyaml_schema_field_t file_fields[] = {
    CYAML_FIELD_STRING_PTR("connect", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                           struct file, connect, 1, 4096),
    CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                           struct file, name, 1, 4096),
    CYAML_FIELD_STRING_PTR("spool", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                           struct file, spool, 1, PATH_MAX),
    CYAML_FIELD_SEQUENCE("pools", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                         struct file, pools, &text_entry, 1, WIRE_POOLS_MAX),
    CYAML_FIELD_UINT("slots", CYAML_FLAG_OPTIONAL, struct file, slots),
    CYAML_FIELD_MAPPING_PTR("http", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                            struct file, http, http_fields),
    CYAML_FIELD_SEQUENCE("environment",
                         CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file,
                         environment, &text_entry, 0, 256),
    CYAML_FIELD_END};

static const cyaml_schema_value_t file_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct file, file_fields)};

/* cyaml says what and where in several lines; the first ones with words. */
static void gather_problem(cyaml_log_t level, void *context, const char *fmt,
                           va_list args) __attribute__((format(printf, 3, 0)));
static void gather_problem(cyaml_log_t level, void *context, const char *fmt,
                           va_list args)
{
    char *said = context;
    size_t used = strlen(said);

    if (level < CYAML_LOG_ERROR || used > 900)
        return;
    vsnprintf(said + used, 1000 - used, fmt, args);
    /* One line in the end. */
    for (char *at = said + used; *at; at++)
        if (*at == '\n')
            *at = at[1] || at > said ? ' ' : '\0';
}

static int load_file(const char *path, struct file **ret_file)
{
    char said[1000] = "";
    const cyaml_config_t config = {
        .log_fn = gather_problem,
        .log_ctx = said,
        .mem_fn = cyaml_mem,
        .log_level = CYAML_LOG_ERROR,
        .flags = CYAML_CFG_NO_ALIAS,
    };
    cyaml_data_t *loaded = NULL;
    cyaml_err_t rc =
        cyaml_load_file(path, &config, &file_schema, &loaded, NULL);

    if (rc != CYAML_OK) {
        fprintf(stderr,
                "agent: %s: %s. %s\n"
                "agent: the keys are connect, name, pools, slots, spool, "
                "http: {allow_private}, environment\n",
                path, cyaml_strerror(rc), said);
        return -1;
    }
    *ret_file = (struct file *)loaded;
    return 0;
}

static void free_file(struct file *file)
{
    const cyaml_config_t config = {.mem_fn = cyaml_mem};

    if (file)
        cyaml_free(&config, &file_schema, file, 0);
}

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
    "                     let through to commands]; the command line wins\n"
    "  --spool DIR        where runs, output and results are kept until the\n"
    "                     dispatcher has them (default:\n"
    "                     $XDG_STATE_HOME/dispatch-agent/NAME, else\n"
    "                     ~/.local/state/dispatch-agent/NAME)\n"
    "  --check-config     says whether all this is right, and exits\n"
    "  --version, --help\n"
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

static char *own(const char *text)
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
    return own(is_name(host) ? host : "agent");
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
    return own(path);
}

static char **own_list(char *const *from, size_t count)
{
    char **list = calloc(count + 1, sizeof *list);

    if (!list) {
        fputs("agent: out of memory\n", stderr);
        _exit(1);
    }
    for (size_t i = 0; i < count; i++)
        list[i] = own(from[i]);
    return list;
}

static void set_pools(struct settings *s, const struct line *line,
                      const struct file *file)
{
    if (line->pools) {
        char *text = own(line->pools), *rest = text, *pool;
        size_t room = 1;
        for (const char *at = text; *at; at++)
            room += *at == ',';
        s->pools = calloc(room + 1, sizeof *s->pools);
        while (s->pools && (pool = strsep(&rest, ",")))
            s->pools[s->pool_count++] = own(pool);
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

static const char *either(const char *line, const char *file)
{
    return line ? line : file;
}

enum settings_answer settings_read(int argc, char **argv,
                                   struct settings **ret_settings)
{
    struct line line = {0};
    struct file *file = NULL;
    enum settings_answer answer = read_line(argc, argv, &line);

    if (answer != SETTINGS_GO)
        return answer;
    if (line.config && load_file(line.config, &file) < 0)
        return SETTINGS_WRONG;
    struct settings *s = calloc(1, sizeof *s);
    if (!s) {
        fputs("agent: out of memory\n", stderr);
        free_file(file);
        return SETTINGS_WRONG;
    }
    const char *text = either(line.connect, file ? file->connect : NULL);
    s->connect = text ? own(text) : NULL;
    text = either(line.name, file ? file->name : NULL);
    s->name = text ? own(text) : default_name();
    text = either(line.spool, file ? file->spool : NULL);
    s->spool = text ? own(text) : default_spool(s->name);
    set_pools(s, &line, file);
    s->slots = file && file->slots ? file->slots : 1;
    if (line.slots) {
        char *end;
        long slots = strtol(line.slots, &end, 10);
        s->slots =
            *end || slots < 0 || slots > WIRE_SLOTS_MAX ? 0 : (uint32_t)slots;
    }
    if (file && file->http)
        s->http_allow_private = file->http->allow_private;
    if (file && file->environment) {
        s->environment = own_list(file->environment, file->environment_count);
        s->environment_count = file->environment_count;
    }
    free_file(file);
    if (!check_settings(s)) {
        settings_free(&s);
        return SETTINGS_WRONG;
    }
    if (line.check) {
        printf("agent %s: connect=%s slots=%u spool=%s: all right\n", s->name,
               s->connect, s->slots, s->spool);
        settings_free(&s);
        return SETTINGS_DONE;
    }
    *ret_settings = s;
    return SETTINGS_GO;
}
