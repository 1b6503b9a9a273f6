/* agent.c - see agent.h. */
#include "agents/agent.h"

#include "agents/clock.h"
#include "agents/log.h"
#include "agents/session.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct agent {
    struct session session;
    const struct spool *spool;
    struct nursery *nursery;
    int signal_fd;
    int stops;          /* SIGTERM and SIGINT so far */
    int64_t idle_since; /* draining and nothing runs; 0: not so */
    int64_t looked_at;  /* when adopted shepherds were looked at */
    int64_t due;        /* when the last sleep should have ended */
    bool nursery_gone;
};

static void on_signals(struct agent *agent, int64_t now)
{
    struct signalfd_siginfo info;

    while (read(agent->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (++agent->stops == 1)
            session_drain(&agent->session, "stopping");
        else if (agent->stops == 2)
            session_cancel_all(&agent->session, now, AGENT_CANCEL_GRACE_MS,
                               "the agent was told to stop twice and ended "
                               "the run");
    }
}

static void on_nursery(struct agent *agent, int64_t now)
{
    struct nursery_word word;
    int rc;

    while ((rc = nursery_hear(agent->nursery, &word)) == 1)
        session_on_word(&agent->session, &word, now);
    agent->nursery_gone = rc < 0;
}

static void on_wakes(struct agent *agent)
{
    struct spool_wake wakes[64];
    ssize_t n;

    /* Whole ones only: each was one write of a size that divides the buffer. */
    while ((n = read(agent->spool->wake_fd, wakes, sizeof wakes)) > 0)
        for (size_t i = 0; i < (size_t)n / sizeof *wakes; i++)
            session_on_wake(&agent->session, &wakes[i]);
}

/* Shepherds that are not the nursery's children end without a word from it. */
static void look_at_adopted(struct agent *agent, int64_t now)
{
    struct holdings *holdings = &agent->session.holdings;

    if (now - agent->looked_at < 1000)
        return;
    agent->looked_at = now;
    for (size_t i = holdings->count; i-- > 0;) {
        struct held *held = holdings->list[i];
        if (held->adopted && held->state == HELD_RUNNING &&
            held_refresh(holdings, held, "unseen"))
            session_ended(&agent->session, held);
    }
}

/* Is it time to go? */
static bool may_leave(struct agent *agent, int64_t now)
{
    bool reported;

    if (agent->stops >= 3 || agent->session.fatal || agent->nursery_gone)
        return true;
    if (!agent->session.draining ||
        !session_is_idle(&agent->session, &reported)) {
        agent->idle_since = 0;
        return false;
    }
    if (reported)
        return true;
    if (!agent->idle_since)
        agent->idle_since = now;
    return agent->session.state != SESSION_ONLINE &&
           now - agent->idle_since >= AGENT_UNREPORTED_MS;
}

static void sleep_until_something(struct agent *agent, int64_t now)
{
    struct session *session = &agent->session;
    zmq_pollitem_t items[5 + SURVEYS_MAX] = {
        {.fd = agent->signal_fd, .events = ZMQ_POLLIN},
        {.fd = agent->nursery->fd, .events = ZMQ_POLLIN},
        {.fd = agent->spool->wake_fd, .events = ZMQ_POLLIN},
        {.socket = session->link.socket, .events = ZMQ_POLLIN},
        {.socket = session->link.monitor, .events = ZMQ_POLLIN},
    };
    int count = link_is_open(&session->link) ? 5 : 3;

    if (!link_has_room(&session->link))
        items[3].events |= ZMQ_POLLOUT;
    for (size_t i = 0; i < SURVEYS_MAX; i++)
        if (session->surveys.list[i].fd >= 0)
            items[count++] = (zmq_pollitem_t){.fd = session->surveys.list[i].fd,
                                              .events = ZMQ_POLLIN};
    int64_t due = session_due(session, now);
    /* Something is left to ship and there is room: only look, do not sleep. */
    for (size_t i = 0; i < session->holdings.count; i++) {
        const struct held *held = session->holdings.list[i];
        if (held->agreed && held->behind && !held->doomed &&
            link_has_room(&session->link))
            due = now;
    }
    agent->due = due;
    zmq_poll(items, count, due > now ? (long)(due - now) : 0);
}

/* Stopped and continued, or slept with its machine: see session_on_stall(). */
static void check_stall(struct agent *agent, int64_t now)
{
    int64_t lease = agent->session.lease_ms;
    int64_t patience = lease > 0 ? lease / 3 : 1000;

    if (patience < 500)
        patience = 500;
    if (agent->session.state == SESSION_ONLINE && now > agent->due + patience)
        session_on_stall(&agent->session, now, now - agent->due);
}

static enum agent_end leave(struct agent *agent)
{
    bool reported;
    size_t running = holdings_running(&agent->session.holdings);

    session_is_idle(&agent->session, &reported);
    if (agent->nursery_gone) {
        log_event(LOG_LEVEL_ERROR, "nursery.died",
                  "pid=%d running=%zu action=\"starting anew\"",
                  (int)agent->nursery->pid, running);
        return AGENT_RESTART;
    }
    session_leave(&agent->session);
    log_event(LOG_LEVEL_INFO, "agent.stopped", "running=%zu unreported=%zu",
              running, agent->session.holdings.count - running);
    return agent->session.fatal ? AGENT_FAILED : AGENT_DONE;
}

static int set_up(struct agent *agent)
{
    struct rlimit files;
    sigset_t caught;

    /* A held attempt is three descriptors; ZeroMQ spins when there are none
     * left. The nursery was forked before and keeps the old limit for jobs. */
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&caught);
    sigaddset(&caught, SIGTERM);
    sigaddset(&caught, SIGINT);
    sigprocmask(SIG_BLOCK, &caught, NULL);
    agent->signal_fd = signalfd(-1, &caught, SFD_NONBLOCK | SFD_CLOEXEC);
    if (agent->signal_fd < 0)
        return -errno;
    return holdings_adopt(&agent->session.holdings);
}

enum agent_end agent_run(const struct settings *settings,
                         const struct spool *spool, struct nursery *nursery)
{
    struct agent agent = {.spool = spool, .nursery = nursery};
    enum agent_end end = AGENT_FAILED;
    void *context = zmq_ctx_new();

    if (!context)
        return AGENT_FAILED;
    session_init(&agent.session, settings, spool, nursery, context);
    int rc = set_up(&agent);
    if (rc < 0) {
        log_event(LOG_LEVEL_ERROR, "agent.failed", "error=\"%s\"",
                  strerror(-rc));
    } else {
        log_event(LOG_LEVEL_INFO, "agent.started",
                  "name=%s connect=%s slots=%u spool=%s version=%s",
                  settings->name, settings->connect, settings->slots,
                  settings->spool, DISPATCH_VERSION);
        /* One reading of the clock a turn, taken before anything is read: a
         * RUN that waited while the process stood still then counts its lease
         * from before, which is the safe side. */
        for (int64_t now = clock_boot_ms();;) {
            /* First what happened here, then what the broker says. */
            on_signals(&agent, now);
            on_nursery(&agent, now);
            on_wakes(&agent);
            look_at_adopted(&agent, now);
            session_turn(&agent.session, now);
            if (may_leave(&agent, now))
                break;
            sleep_until_something(&agent, now);
            now = clock_boot_ms();
            check_stall(&agent, now);
        }
        end = leave(&agent);
    }
    session_clear(&agent.session);
    zmq_ctx_term(context);
    if (agent.signal_fd >= 0)
        close(agent.signal_fd);
    return end;
}
