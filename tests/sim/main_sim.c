/*
 * main_sim.c - runs worlds from seeds. See sim.h
 *
 *   sim [--seed N] [--seeds N] [--events N] [--trace] [--tap]
 *
 * --seed: the first seed (1). --seeds: how many. --events: requests and faults
 * in each world before it heals. A world has two phases: with faults, every
 * invariant is checked after every turn; then faults stop, pools open, and
 * everything must end within a bound of virtual time.
 *
 * A failure prints its seed and how to replay it; the same seed gives the same
 * history, which the last claim checks by its hash.
 */
#include "tests/sim/sim.h"

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    GROUPS_MAX = 10,
    HEAL_MS = 600000, /* and half a second for each run not yet ended */
};

static struct options {
    uint64_t seed, seeds, events;
    bool trace, tap;
    const char *program;
} options = {.seed = 1, .seeds = 20, .events = 3000, .program = "sim"};

static volatile uint64_t running_seed;

/* An assertion of the ledger failed: say which seed it was. abort() was called
 * in the midst of our own code, not of stdio's: dprintf is safe here. */
static void on_abort(int signal_number)
{
    (void)signal_number;
    /* NOLINTNEXTLINE(bugprone-signal-handler,cert-sig30-c) */
    (void)dprintf(STDERR_FILENO,
                  "sim: aborted; replay: %s --seed %llu --events %llu "
                  "--seeds 1 --trace\n",
                  options.program, (unsigned long long)running_seed,
                  (unsigned long long)options.events);
}

struct totals {
    uint64_t simulated_ms, turns, audits, idle_checks, leases, messages,
        submitted, refused, executions, completed, live_ms;
    struct fault_counts faults;
};

static void add_up(struct totals *t, const struct world *w)
{
    const uint64_t *from = (const uint64_t *)(const void *)&w->count;
    uint64_t *to = (uint64_t *)(void *)&t->faults;

    t->simulated_ms += w->now_ms - 1000000;
    t->turns += w->turns;
    t->audits += w->audits;
    t->idle_checks += w->idle_checks;
    t->leases += w->leases;
    t->messages += w->messages;
    t->submitted += w->submitted;
    t->refused += w->refused;
    t->executions += w->executions;
    t->completed += w->completed;
    for (size_t i = 0; i < sizeof t->faults / sizeof *to; i++)
        to[i] += from[i];
}

/* ---- one world ------------------------------------------------------- */

static int remove_one(const char *path, const struct stat *status, int type,
                      struct FTW *where)
{
    (void)status;
    (void)type;
    (void)where;
    return remove(path);
}

static void world_free(struct world *w)
{
    struct event *event;

    ledger_close(&w->ledger);
    store_close(&w->store);
    while ((event = event_next(w)) != NULL) {
        msg_free(event->msg);
        free(event);
    }
    for (size_t i = 0; i < w->inbox_count; i++)
        msg_free(w->inbox[i]);
    for (size_t i = 0; i < w->agent_count; i++)
        for (size_t k = 0; k < w->agents[i].backlog_count; k++)
            msg_free(w->agents[i].backlog[k]);
    free((void *)w->inbox);
    free((void *)w->heap);
    free(w->sessions);
    model_free(&w->model);
    (void)nftw(w->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void dispatch(struct world *w, struct event *event)
{
    struct msg *msg = event->msg;

    event->msg = NULL;
    switch (event->kind) {
    case EV_TO_BROKER:
        deliver_to_broker(w, msg);
        break;
    case EV_TO_AGENT:
        agent_deliver(w, msg);
        break;
    case EV_TURN:
        if (event->serial != w->turn_at_ms)
            break; /* another one came before */
        if (w->now_ms < w->stalled_until_ms) {
            w->turn_at_ms = UINT64_MAX;
            broker_plan(w, w->stalled_until_ms);
        } else {
            broker_turn(w);
        }
        break;
    case EV_BROKER_START:
        broker_start(w);
        break;
    case EV_LOAD:
        load_event(w);
        break;
    default:
        agent_event(w, event);
        break;
    }
    free(event);
}

static bool at_rest(const struct world *w)
{
    if (!w->healing || !model_all_ended(w) || w->ledger == NULL)
        return false;
    for (size_t i = 0; i < w->agent_count; i++)
        if (w->agents[i].held_count > 0)
            return false;
    return ledger_live(w->ledger) == 0;
}

static void live(struct world *w)
{
    uint64_t bound = UINT64_MAX;

    while (w->failure[0] == '\0' && !at_rest(w)) {
        if (w->healing && bound == UINT64_MAX)
            bound = w->now_ms + HEAL_MS + w->model.active_count * 500;
        if (w->now_ms > bound) {
            model_explain_stuck(w);
            agent_explain_stuck(w);
            break;
        }
        dispatch(w, event_next(w));
    }
    char why[STORE_WHY_MAX];
    if (w->failure[0] == '\0' && ledger_audit(w->ledger, why) != 0)
        sim_fail(w, "at rest: %s", why);
}

/* False: it failed, and that was said. */
static bool run_world(uint64_t seed, struct totals *totals, uint64_t *ret_hash)
{
    struct world *w = must(calloc(1, sizeof *w));

    running_seed = seed;
    w->seed = seed;
    w->random = seed * UINT64_C(0x2545f4914f6cdd1d);
    w->load_left = options.events;
    w->trace = options.trace;
    w->turn_at_ms = UINT64_MAX;
    (void)snprintf(w->dir, sizeof w->dir, "/dev/shm/dispatch-sim.XXXXXX");
    if (mkdtemp(w->dir) == NULL) {
        fprintf(stderr, "sim: %s: %s\n", w->dir, strerror(errno));
        exit(EXIT_FAILURE);
    }
    load_world(w);
    live(w);
    hash_number(w, w->now_ms);
    hash_number(w, w->leases);
    bool good = w->failure[0] == '\0';
    if (!good)
        printf("# seed %llu failed %s\n# replay: %s --seed %llu "
               "--events %llu --seeds 1 --trace\n",
               (unsigned long long)seed, w->failure, options.program,
               (unsigned long long)seed, (unsigned long long)options.events);
    *ret_hash = w->hash;
    add_up(totals, w);
    world_free(w);
    free(w);
    return good;
}

/* ---- all of them ----------------------------------------------------- */

static void summary(const struct totals *t, double seconds)
{
    const struct fault_counts *f = &t->faults;

#define N(x) ((unsigned long long)(x))
    printf("# %llu worlds, %.0f simulated s, %.0f a real second; %llu turns, "
           "%llu audits, %llu idle checks\n",
           N(options.seeds), (double)t->simulated_ms / 1000,
           (double)t->simulated_ms / 1000 / seconds, N(t->turns), N(t->audits),
           N(t->idle_checks));
    printf("# %llu submitted, %llu refused, %llu leases, %llu executions, "
           "%llu completed, %llu messages\n",
           N(t->submitted), N(t->refused), N(t->leases), N(t->executions),
           N(t->completed), N(t->messages));
    printf("# broker: %llu crashes, %llu turns lost, %llu times effects lost, "
           "%llu orderly ends, %llu stalls, %llu times the clock set\n",
           N(f->broker_crash), N(f->turn_lost), N(f->effects_lost),
           N(f->broker_drain), N(f->broker_stall), N(f->clock_set));
    printf("# agents: %llu cut, %llu cut off silently, %llu crashes, %llu "
           "machines lost, %llu stops, %llu drains, %llu refusals, %llu "
           "lies, %llu silences noticed, %llu pushes not sent\n",
           N(f->cut), N(f->partition), N(f->agent_crash), N(f->machine_crash),
           N(f->stop), N(f->drain), N(f->refusal), N(f->lie), N(f->silence),
           N(f->unsent));
#undef N
}

static void parse(int argc, char **argv)
{
    if (argc > 0)
        options.program = argv[0];
    for (int i = 1; i < argc; i++) {
        struct {
            const char *name;
            uint64_t *number;
        } numbers[] = {{"--seed", &options.seed},
                       {"--seeds", &options.seeds},
                       {"--events", &options.events}};
        bool known = false;
        for (size_t k = 0; k < 3 && i + 1 < argc; k++) {
            if (strcmp(argv[i], numbers[k].name) != 0)
                continue;
            char *end;
            *numbers[k].number = strtoull(argv[i + 1], &end, 10);
            known = *end == '\0' && end != argv[i + 1];
        }
        if (known) {
            i++;
        } else if (strcmp(argv[i], "--trace") == 0) {
            options.trace = true;
        } else if (strcmp(argv[i], "--tap") == 0) {
            options.tap = true;
        } else {
            fprintf(stderr, "usage: sim [--seed N] [--seeds N] [--events N] "
                            "[--trace] [--tap]\n");
            exit(EXIT_FAILURE);
        }
    }
    if (options.seeds == 0)
        options.seeds = 1;
    const char *output = getenv("CMOCKA_MESSAGE_OUTPUT");
    if (output != NULL && strcasecmp(output, "TAP") == 0)
        options.tap = true;
}

static void claim(bool good, unsigned number, const char *text)
{
    if (options.tap)
        printf("%s %u - %s\n", good ? "ok" : "not ok", number, text);
    else
        printf("%s: %s\n", good ? "holds" : "FAILS", text);
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    struct totals totals = {0}, again = {0};
    struct timespec begin, end;
    uint64_t hash = 0, first_hash = 0;
    unsigned number = 0;
    bool all_good = true;
    char text[200];

    parse(argc, argv);
    (void)signal(SIGABRT, on_abort);
    (void)clock_gettime(CLOCK_MONOTONIC, &begin);
    uint64_t groups =
        options.seeds < GROUPS_MAX ? options.seeds : (uint64_t)GROUPS_MAX;
    if (options.tap)
        printf("1..%llu\n", (unsigned long long)groups + 1);
    for (uint64_t g = 0; g < groups; g++) {
        uint64_t from = options.seed + options.seeds * g / groups;
        uint64_t to = options.seed + options.seeds * (g + 1) / groups;
        bool good = true;
        for (uint64_t seed = from; seed < to; seed++) {
            good &= run_world(seed, &totals, &hash);
            if (seed == options.seed)
                first_hash = hash;
        }
        (void)snprintf(text, sizeof text,
                       "seeds %llu to %llu: every invariant holds after every "
                       "turn, and all that was accepted ends after healing",
                       (unsigned long long)from, (unsigned long long)to - 1);
        claim(good, ++number, text);
        all_good &= good;
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &end);

    if (options.trace)
        hash = first_hash; /* one history is enough to read */
    else
        (void)run_world(options.seed, &again, &hash);
    (void)snprintf(text, sizeof text,
                   "seed %llu gives the same history twice (%016llx)",
                   (unsigned long long)options.seed, (unsigned long long)hash);
    claim(hash == first_hash, ++number, text);
    summary(&totals, (double)(end.tv_sec - begin.tv_sec) +
                         (double)(end.tv_nsec - begin.tv_nsec) / 1e9);
    return all_good && hash == first_hash ? EXIT_SUCCESS : EXIT_FAILURE;
}
