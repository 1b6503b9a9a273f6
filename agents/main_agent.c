/*
 * main_agent.c - the program `agent`.
 *
 * The order matters: the spool's lock is taken, then the nursery is forked
 * (which shares the lock), and only then ZeroMQ and its threads come to be.
 */
#include "agents/agent.h"
#include "agents/log.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    LOCK_WAIT_MS = 3000, /* for the nursery of an agent that just died */
    RESTART_MIN_S = 10,  /* a nursery that dies sooner is not tried again */
};

int main(int argc, char **argv)
{
    struct settings *settings;
    struct spool spool;
    struct nursery nursery;
    char why[SPOOL_WHY_MAX];
    time_t begun = time(NULL);
    sigset_t all, before;

    prctl(PR_SET_NAME, "agent"); /* executed anew it would be "exe" */
    /* What a supervisor forgot to close would stay open in shepherds, which
     * may outlive this process by hours. */
    close_range(STDERR_FILENO + 1, ~0u, 0);
    switch (settings_read(argc, argv, &settings)) {
    case SETTINGS_DONE:
        return 0;
    case SETTINGS_WRONG:
        return 2;
    case SETTINGS_GO:
        break;
    }
    if (spool_open(settings->spool, LOCK_WAIT_MS, &spool, why) < 0) {
        fprintf(stderr, "agent: %s\n", why);
        return 1;
    }
    /* The nursery reads its signals from a descriptor: none may come before
     * that is open. */
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    int rc = nursery_start(&spool, settings, &nursery);
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (rc < 0) {
        fprintf(stderr, "agent: cannot fork the nursery: %s\n", strerror(-rc));
        return 1;
    }
    enum agent_end end = agent_run(settings, &spool, &nursery);
    nursery_close(&nursery);
    spool_close(&spool);
    settings_free(&settings);
    if (end == AGENT_RESTART && time(NULL) - begun >= RESTART_MIN_S) {
        waitpid(nursery.pid, NULL, 0); /* dead already */
        sigprocmask(SIG_SETMASK, &before, NULL);
        execv("/proc/self/exe", argv);
    }
    return end == AGENT_DONE ? 0 : 1;
}
