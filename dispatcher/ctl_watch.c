/* ctl_watch.c - see ctl.h: a run until its end. On a terminal one picture is
 * drawn over and over; elsewhere each node is one line when it has ended.
 *
 * The broker may be restarted meanwhile: a run survives that, so the watch goes
 * on when it is back, and gives up after PATIENCE_S. */
#include "dispatcher/ctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum {
    LOOK_MS = 80,        /* between looks, when nodes are shown */
    LOOK_SLOW_MS = 1000, /* and as slowly as this when nothing changes */
    PATIENCE_S = 60,
};

struct watch {
    struct ctl *ctl;
    const char *run_id;
    bool quiet;
    int drawn;           /* lines of the picture on the terminal */
    unsigned char *told; /* nodes whose end has been printed */
    size_t told_count;
    char state[32];    /* that was printed last */
    double lost_since; /* the broker does not answer since; 0: it does */
};

static void pause_ms(long ms)
{
    struct timespec time = {.tv_sec = ms / 1000,
                            .tv_nsec = ms % 1000 * 1000000};

    (void)nanosleep(&time, NULL);
}

static bool node_ended(const char *state)
{
    return strcmp(state, "waiting") != 0 && strcmp(state, "running") != 0 &&
           *state;
}

/* ---- what is drawn ----------------------------------------------------- */

struct tally {
    size_t all, ended, completed, running, failed, skipped;
};

static struct tally count_nodes(const json_t *nodes)
{
    struct tally tally = {.all = json_array_size(nodes)};

    for (size_t i = 0; i < tally.all; i++) {
        const char *state =
            pick_text(json_array_get(nodes, i), "state", "waiting");
        tally.ended += node_ended(state);
        tally.completed += strcmp(state, "completed") == 0;
        tally.running += strcmp(state, "running") == 0;
        tally.failed += strcmp(state, "failed") == 0;
        tally.skipped += strcmp(state, "skipped") == 0;
    }
    return tally;
}

static void draw_bar(const struct screen *screen, const json_t *run,
                     const struct tally *tally)
{
    const char *state = pick_text(run, "state", "");
    const char *agent = pick_text(run, "agent", "");
    char *bar = screen_bar(screen, 20, (double)tally->ended,
                           (double)(tally->all ? tally->all : 1));
    char *took = ctl_took(run);

    screen_put(screen, ctl_state_style(state), "  %s", bar);
    screen_put(screen, STYLE_PLAIN, " %zu/%zu nodes", tally->ended, tally->all);
    screen_put(screen, STYLE_DIM, "  %s%s%s  %s", ctl_pool_of(run),
               *agent ? " on " : "", agent, took);
    screen_put(screen, STYLE_WARN, "%s%s", pick(run, "reason") ? "  " : "",
               pick_text(run, "reason", ""));
    (void)fputs("\033[K\n", screen->out);
    free(took);
    free(bar);
}

/* The picture; nodes that wait are left out when it would not fit. */
static void draw(struct watch *watch, const json_t *run)
{
    const struct screen *screen = &watch->ctl->out;
    const json_t *nodes = pick(run, "nodes");
    struct tally tally = count_nodes(nodes);
    size_t room = (size_t)screen->rows - 4;
    bool all_fit = tally.all <= room;
    struct ctl_columns columns = ctl_node_columns(screen, nodes);
    int lines = 0;

    if (watch->drawn > 0)
        (void)fprintf(screen->out, "\033[%dA", watch->drawn);
    for (size_t i = 0; i < tally.all && (size_t)lines < room; i++) {
        const json_t *node = json_array_get(nodes, i);
        const char *state = pick_text(node, "state", "waiting");
        if (!all_fit && strcmp(state, "running") != 0 &&
            strcmp(state, "failed") != 0)
            continue;
        ctl_draw_node(screen, node, columns);
        lines++;
    }
    draw_bar(screen, run, &tally);
    (void)fputs("\033[J", screen->out);
    (void)fflush(screen->out);
    watch->drawn = lines + 1;
}

/* ---- what is told line by line ----------------------------------------- */

static void tell_state(struct watch *watch, const json_t *run)
{
    const struct screen *screen = &watch->ctl->out;
    const char *state = pick_text(run, "state", "");
    const char *agent = pick_text(run, "agent", "");
    bool holds = strcmp(state, "RUNNING") == 0;

    if (strcmp(state, watch->state) == 0 || ctl_state_final(state) ||
        strcmp(state, "PENDING") == 0)
        return;
    (void)snprintf(watch->state, sizeof watch->state, "%s", state);
    screen_put(screen, ctl_state_style(state), "  %s %s",
               ctl_state_mark(screen, state), state);
    screen_put(screen, STYLE_DIM, " in %s%s%s\n", ctl_pool_of(run),
               holds && *agent ? " on " : "", holds ? agent : "");
    (void)fflush(screen->out);
}

static void tell_nodes(struct watch *watch, const json_t *run)
{
    const json_t *nodes = pick(run, "nodes");
    size_t count = json_array_size(nodes);
    struct ctl_columns columns = ctl_node_columns(&watch->ctl->out, nodes);

    if (count > watch->told_count) {
        unsigned char *told = realloc(watch->told, count);
        if (!told)
            return;
        memset(told + watch->told_count, 0, count - watch->told_count);
        watch->told = told;
        watch->told_count = count;
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *node = json_array_get(nodes, i);
        bool ended = node_ended(pick_text(node, "state", "waiting"));
        if (!ended)
            watch->told[i] = 0; /* another attempt has begun */
        if (!ended || watch->told[i])
            continue;
        watch->told[i] = 1;
        ctl_draw_node(&watch->ctl->out, node, columns);
    }
    (void)fflush(watch->ctl->out.out);
}

static void show_end(struct ctl *ctl, const json_t *run)
{
    const struct screen *screen = &ctl->out;
    const char *state = pick_text(run, "state", "");
    const char *agent = pick_text(run, "agent", "");
    const char *error = pick_text(run, "error", "");
    struct tally tally = count_nodes(pick(run, "nodes"));
    char *took = ctl_took(run);

    screen_put(screen, ctl_state_style(state), "%s %s %s",
               ctl_state_mark(screen, state), ctl_workflow_name(run), state);
    screen_put(screen, STYLE_PLAIN, " in %s%s%s%s%s", ctl_pool_of(run),
               *agent ? " on " : "", agent, *took ? ", " : "", took);
    if (tally.all > 0)
        screen_put(screen, STYLE_DIM, ", %zu of %zu nodes completed",
                   tally.completed, tally.all);
    screen_put(screen, STYLE_PLAIN, "\n");
    if (*error) {
        screen_put(screen, STYLE_PLAIN, "  ");
        screen_wrap(screen, STYLE_BAD, 2, 2, error);
    }
    if (tally.failed > 0)
        screen_put(screen, STYLE_DIM, "  what it wrote: dispatchctl logs %s\n",
                   pick_text(run, "run_id", ""));
    free(took);
}

/* ---- looking ----------------------------------------------------------- */

/* A call that failed on the way: 0 to try again, else an exit code. */
static int be_patient(struct watch *watch, int error)
{
    struct ctl *ctl = watch->ctl;
    int code = (int)client_exit_error(error);
    bool away = code == EXIT_UNREACHABLE || code == EXIT_TIMEOUT;

    if (watch->lost_since <= 0) {
        watch->lost_since = plain_now();
        if (away)
            screen_put(&ctl->err, STYLE_WARN,
                       "the broker does not answer; the run is kept, waiting "
                       "for it to come back\n");
        watch->drawn = 0;
    }
    if (away && plain_now() - watch->lost_since < PATIENCE_S) {
        pause_ms(LOOK_SLOW_MS / 2);
        return 0;
    }
    return ctl_fail(ctl, code,
                    "%s; the run goes on without us: dispatchctl "
                    "watch %s",
                    client_why(ctl->client), watch->run_id);
}

/* What may change while a run goes on, but for the passing time; malloc'ed. */
static char *picture_of(const json_t *run)
{
    static const char *const keys[] = {"rows_in", "rows_out", "rows_rejected",
                                       "bytes_out"};
    const json_t *nodes = pick(run, "nodes");
    char *picture = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&picture, &bytes);

    if (!out)
        abort();
    (void)fprintf(out, "%s %s %s", pick_text(run, "state", ""),
                  pick_text(run, "reason", ""), pick_text(run, "agent", ""));
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const json_t *node = json_array_get(nodes, i);
        (void)fprintf(out, ";%s", pick_text(node, "state", ""));
        for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++)
            (void)fprintf(out, " %.17g", pick_number(node, keys[k], -1));
    }
    if (fclose(out) != 0 || !picture)
        abort();
    return picture;
}

/* Looks until the end; the last answer is left in *ret. */
static int look_until_end(struct watch *watch, struct client_answer *ret)
{
    const struct client_call call = {.path = "/api/v1/runs/{}",
                                     .texts = {watch->run_id},
                                     .prefer = watch->quiet ? "wait=20" : NULL};
    long rest_ms = LOOK_MS;
    char *before = NULL;
    int code = 0;

    for (;;) {
        struct client_answer answer = {0};
        int error = client_call(watch->ctl->client, &call, &answer);
        if (error == 0 && answer.status == 503)
            error = -ECONNREFUSED; /* it is stopping or starting */
        if (error) {
            client_answer_clear(&answer);
            code = be_patient(watch, error);
            if (code)
                break;
            continue;
        }
        watch->lost_since = 0;
        if (answer.status != 200 || !json_is_object(answer.body)) {
            code = ctl_refused(watch->ctl, &answer);
            client_answer_clear(&answer);
            break;
        }
        if (!watch->quiet && watch->ctl->out.tty)
            draw(watch, answer.body);
        else if (!watch->quiet) {
            tell_state(watch, answer.body);
            tell_nodes(watch, answer.body);
        }
        if (ctl_state_final(pick_text(answer.body, "state", ""))) {
            *ret = answer;
            break;
        }
        char *picture = picture_of(answer.body);
        rest_ms =
            before && strcmp(before, picture) == 0 ? rest_ms * 3 / 2 : LOOK_MS;
        rest_ms = rest_ms > LOOK_SLOW_MS ? LOOK_SLOW_MS : rest_ms;
        free(before);
        before = picture;
        client_answer_clear(&answer);
        pause_ms(rest_ms);
    }
    free(before);
    return code;
}

int ctl_watch(struct ctl *ctl, const char *run_id, bool quiet)
{
    struct watch watch = {
        .ctl = ctl, .run_id = run_id, .quiet = quiet || ctl->json};
    struct client_answer answer = {0};
    int code = look_until_end(&watch, &answer);

    if (code == 0) {
        code = (int)client_exit_state(pick_text(answer.body, "state", ""));
        if (ctl->json)
            ctl_print_json(&ctl->out, answer.text, answer.bytes);
        else
            show_end(ctl, answer.body);
        client_answer_clear(&answer);
    }
    free(watch.told);
    return code;
}

int ctl_cmd_watch(struct ctl *ctl)
{
    char id[CTL_RUN_ID_TEXT];
    int code = ctl_run_id(ctl, ctl->args[0], id);

    if (code == 0)
        code = ctl_connect(ctl);
    return code ? code : ctl_watch(ctl, id, false);
}
