/* main_monitor.c - worker_monitor: pools and agents, for eyes and for scripts.
 * Exit codes: 0 healthy, 1 degraded, 2 down (also: not reached, and asked for
 * the full-screen view, which is not there yet), 3 usage. */
#include "dispatcher/monitor.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum { MONITOR_DOWN = 2, MONITOR_USAGE = 3 };

static const char help[] =
    "worker_monitor - pools, agents and what needs attention\n"
    "\n"
    "usage: worker_monitor --once [OPTIONS]\n"
    "\n"
    "      --once             prints a table and ends\n"
    "      --json             the same as JSON, for scripts\n"
    "      --url URL          the broker; else DISPATCH_URL, else "
    "http://127.0.0.1:8080\n"
    "      --token-file FILE  whose first line is the token; else "
    "DISPATCH_TOKEN\n"
    "      --color WHEN       auto (default), always or never\n"
    "  -h, --help             this\n"
    "\n"
    "exit codes: 0 healthy, 1 degraded, 2 down, 3 usage\n"
    "The full-screen view comes in a later release.\n";

struct wishes {
    bool once, json, help;
    const char *url, *token_file;
    enum colour_when colour;
};

static bool read_colour(const char *text, enum colour_when *ret)
{
    static const char *const names[] = {[COLOUR_AUTO] = "auto",
                                        [COLOUR_ALWAYS] = "always",
                                        [COLOUR_NEVER] = "never"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], text) == 0) {
            *ret = (enum colour_when)i;
            return true;
        }
    }
    (void)fprintf(stderr, "worker_monitor: --color is auto, always or never\n");
    return false;
}

/* false: said on stderr (by getopt, or here). */
static bool read_wishes(int argc, char *argv[], struct wishes *ret)
{
    static const struct option options[] = {
        {"once", no_argument, NULL, '1'},
        {"json", no_argument, NULL, 'j'},
        {"url", required_argument, NULL, 'u'},
        {"token-file", required_argument, NULL, 't'},
        {"color", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option = 0;

    *ret = (struct wishes){.colour = COLOUR_AUTO};
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case '1':
            ret->once = true;
            break;
        case 'j':
            ret->json = true;
            break;
        case 'u':
            ret->url = optarg;
            break;
        case 't':
            ret->token_file = optarg;
            break;
        case 'c':
            if (!read_colour(optarg, &ret->colour))
                return false;
            break;
        case 'h':
            ret->help = true;
            break;
        default:
            return false;
        }
    }
    if (optind < argc) {
        (void)fprintf(stderr, "worker_monitor: '%s' is one word too many\n",
                      argv[optind]);
        return false;
    }
    return true;
}

static int look_once(const struct wishes *wishes)
{
    char why[CLIENT_WHY_MAX];
    char token[CLIENT_TOKEN_MAX];
    struct client *client = NULL;
    struct monitor_view view;
    struct screen screen;

    if ((wishes->token_file &&
         client_token_read(wishes->token_file, token, why) < 0) ||
        client_new(wishes->url, wishes->token_file ? token : NULL, &client,
                   why) < 0) {
        screen_init(&screen, stderr, wishes->colour);
        screen_put(&screen, STYLE_PLAIN, "worker_monitor: %s\n", why);
        return MONITOR_USAGE;
    }
    screen_init(&screen, stdout, wishes->colour);
    monitor_look(client, &view);
    if (wishes->json) {
        json_t *json = monitor_json(&view);
        (void)json_dumpf(json, stdout,
                         JSON_INDENT(2) | JSON_REAL_PRECISION(15) |
                             JSON_ENSURE_ASCII);
        (void)fputc('\n', stdout);
        json_decref(json);
    } else {
        monitor_show(&screen, client, &view);
    }
    int code = (int)view.judgement.health;
    monitor_view_clear(&view);
    client_free(&client);
    return fflush(stdout) == 0 ? code : MONITOR_DOWN;
}

int main(int argc, char *argv[])
{
    struct wishes wishes;

    (void)screen_locale();
    if (!read_wishes(argc, argv, &wishes))
        return MONITOR_USAGE;
    if (wishes.help) {
        (void)fputs(help, stdout);
        return 0;
    }
    if (wishes.once || wishes.json)
        return look_once(&wishes);
    (void)fputs("worker_monitor: the full-screen view comes in a later "
                "release; until then: worker_monitor --once\n",
                stderr);
    return MONITOR_DOWN;
}
