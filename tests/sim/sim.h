/*
 * sim.h - the simulator: the real ledger over a real store, in a world where
 * time, network, agents, operators and clients come from one seed.
 *
 *   world.c   the clock, the queue of events, randomness, the network
 *   agent.c   fake agents as state machines; what really executes is known here
 *   broker.c  the broker's loop: inbox -> turn -> effects; its crashes
 *   model.c   what must be true, kept apart from the ledger and compared with
 *             what each turn writes, sends and starts
 *   truth.c   what agents really execute, held against the model
 *   idle.c    no slot stays idle while a run that may use it waits
 *   load.c    clients, operators and faults
 *   main_sim.c  seeds, replay, TAP
 *
 * Ground truth is what fake agents execute at which virtual instant; the model
 * never asks the ledger for it.
 */
#ifndef TESTS_SIM_H
#define TESTS_SIM_H

#include "pools/ledger.h"
#include "pools/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SIM_AGENTS_MAX = 512,
    SIM_POOLS = 4,
    SIM_CAPS = 4,
    SIM_HELD_MAX = 64,
    SIM_BEATS = 64, /* beats an agent remembers */
    SIM_TEXT = 400,
};

/* ---- messages -------------------------------------------------------- */

enum msg_type {
    MSG_HELLO, /* agent -> broker */
    MSG_ACCEPTED,
    MSG_REFUSED,
    MSG_NODE,
    MSG_LOG,
    MSG_RESULT,
    MSG_RENEW,
    MSG_DRAINING,
    MSG_GONE,   /* the broker notices that a connection is gone */
    MSG_UNSENT, /* the broker could not send a push */
    MSG_SUBMIT, /* client -> broker */
    MSG_CANCEL,
    MSG_POOL_VERB, /* operator -> broker */
    MSG_POOL_SET,
    MSG_AGENT_VERB,
    MSG_DRAIN, /* the broker itself stops in order */
    MSG_PUSH,  /* broker -> agent */
    MSG_STOP,
    MSG_ACK,
    MSG_WELCOME,
    MSG_REJECTED,
    MSG_RENEWED,
    MSG_TYPES
};

struct held { /* an attempt in a list */
    struct run_id run;
    uint32_t attempt;
    bool keep;
};

struct msg {
    enum msg_type type;
    uint64_t session; /* of the connection it travels on */
    struct run_id run;
    uint32_t attempt;
    uint64_t beat, sent_ms;
    uint32_t lease_ms, grace_ms;
    uint64_t event;
    enum attempt_outcome outcome;
    bool fatal, draining;
    uint32_t slots, agent; /* HELLO; AGENT_VERB */
    uint8_t boot[16];
    struct held *list;
    size_t list_count;
    /* requests */
    size_t pool;
    enum pool_verb verb;
    uint64_t for_ms;
    struct pool_change *change;
    struct origin *origin;
};

/* ---- events ---------------------------------------------------------- */

enum event_kind {
    EV_TO_BROKER,
    EV_TO_AGENT,
    EV_TURN,
    EV_BROKER_START,
    EV_RENEW,    /* agent */
    EV_EXEC_END, /* agent, serial */
    EV_DEADLINE, /* agent, serial */
    EV_GIVE_UP,  /* agent, serial: never told to start */
    EV_CONNECT,  /* agent */
    EV_SILENCE,  /* agent, session: no answer */
    EV_AGENT_START,
    EV_RESUME, /* a stopped agent goes on */
    EV_LOAD,   /* something from load.c */
};

struct event {
    uint64_t at_ms, seq;
    enum event_kind kind;
    uint32_t agent;
    uint64_t serial;
    struct msg *msg; /* owned */
};

/* ---- fake agents ----------------------------------------------------- */

enum held_phase { HELD_RECEIVED, HELD_EXECUTING, HELD_ENDED };

struct holding {     /* one attempt on one agent */
    uint64_t serial; /* never reused: events name it */
    struct run_id run;
    uint32_t attempt;
    enum held_phase phase;
    uint64_t accept_beat;
    uint64_t deadline_ms;
    enum attempt_outcome outcome; /* planned, then what happened */
    uint64_t events;
    bool cancelled;
};

struct fake {
    char name[32];
    uint32_t index;
    uint8_t boot[16];
    uint32_t slots;
    unsigned pools, caps; /* bit sets */
    bool liar, universal;
    bool up, stopped, draining;
    uint64_t session; /* 0: none */
    bool welcomed;
    uint64_t hello_ms, heard_ms;
    uint64_t beat;
    uint64_t beat_sent_ms[SIM_BEATS];
    bool beat_is_renew[SIM_BEATS];
    struct holding held[SIM_HELD_MAX];
    size_t held_count;
    struct msg *backlog[256]; /* what came while it was stopped */
    size_t backlog_count;
    uint64_t in_at_ms, out_at_ms; /* FIFO per direction */
};

/* ---- the model ------------------------------------------------------- */

enum exec_state { EXEC_NOT, EXEC_NOW, EXEC_OVER };

struct truth_attempt {
    enum exec_state exec;
    enum attempt_outcome outcome; /* EXEC_OVER: what really happened */
    uint32_t agent;
    size_t pool;
    uint32_t limit;   /* of the pool when granted */
    uint64_t granted; /* grant number */
    bool live;        /* the store says so */
    bool refused_for_good;
};

struct truth_run {
    struct run_id id;
    bool acked; /* committed: can never disappear */
    enum run_state state;
    uint32_t attempt;
    int64_t queued_unix_ms;
    size_t wanted;
    unsigned needs; /* bit set of caps */
    int64_t size_bytes;
    bool fallback_forbidden;
    struct truth_attempt *attempts; /* [n - 1] */
    uint32_t attempt_count;
    uint32_t executing;
    bool known;   /* the store has said something about it */
    bool ghost;   /* submitted in a turn that was lost: must never appear */
    bool in_live; /* the LIVE table lists it */
    uint64_t touched;
    size_t active_at; /* in model.active, + 1; 0: ended */
};

struct exec_ref {
    uint32_t run, attempt;
};

struct model_pool {
    struct pool_config config;
    enum pool_state state;
    int64_t until_unix_ms; /* 0: until resumed */
};

struct model_agent {       /* as the broker has been told */
    enum pool_state state; /* by an operator; durable */
    uint64_t session;
    bool draining;
    uint32_t slots;
    uint64_t heard_ms;
    uint64_t gave_back_ms; /* it refused, or could not be sent to */
};

struct model {
    struct truth_run *runs;
    size_t run_count, run_room, durable_runs;
    uint32_t *slots; /* hash: run index + 1 */
    size_t slot_count;
    struct model_pool pools[SIM_POOLS], saved_pools[SIM_POOLS];
    struct model_agent agents[SIM_AGENTS_MAX], saved_agents[SIM_AGENTS_MAX];
    uint32_t live_in_pool[SIM_POOLS], live_on_agent[SIM_AGENTS_MAX];
    uint64_t grants, turn;     /* turn: of the store, last looked at */
    uint64_t mark;             /* number of the sim's own turns */
    uint32_t new_live, pushed; /* in this turn */
    uint32_t *touched, *active;
    size_t touched_count, touched_room, active_count, active_room, acked;
    struct exec_ref *executing[SIM_POOLS];
    size_t executing_count[SIM_POOLS], executing_room[SIM_POOLS];
};

/* ---- the world ------------------------------------------------------- */

struct fault_counts {
    uint64_t broker_crash, turn_lost, effects_lost, broker_drain, broker_stall,
        clock_set;
    uint64_t cut, partition, agent_crash, machine_crash, stop, drain, refusal,
        lie, silence, unsent;
};

struct session {
    uint32_t agent;
    bool open;       /* the broker knows it */
    uint64_t cut_ms; /* what was not delivered by then is lost */
};

struct world {
    uint64_t seed, random;
    uint64_t now_ms, seq;
    int64_t unix_base_ms;
    struct event **heap;
    size_t heap_count, heap_room;
    bool faults, healing, trace, clock_jumps, clock_went_back;
    uint64_t load_left;
    char failure[SIM_TEXT];
    uint64_t hash; /* of everything that happened */

    char dir[64];
    struct store *store;
    struct ledger *ledger;
    struct ledger_config config;
    struct msg **inbox;
    size_t inbox_count, inbox_room;
    uint64_t turn_at_ms, stalled_until_ms, last_turn_ms;
    uint32_t turns_now;
    bool broker_draining;
    size_t audit_every;

    struct fake agents[SIM_AGENTS_MAX];
    size_t agent_count;
    struct session *sessions;
    size_t session_count, session_room;
    uint64_t serial;

    struct model model;
    struct fault_counts count;
    uint64_t turns, audits, idle_checks, leases, messages, submitted, refused,
        executions, completed;
    uint64_t mean_ms, exec_max_ms;
};

/* world.c */
uint64_t rnd(struct world *w);
uint64_t rnd_below(struct world *w, uint64_t n); /* 0 when n is 0 */
bool chance(struct world *w, unsigned per_mille);
uint64_t rnd_between(struct world *w, uint64_t low, uint64_t high);
int64_t unix_now(const struct world *w);
void event_add(struct world *w, uint64_t at_ms, enum event_kind kind,
               uint32_t agent, uint64_t serial, struct msg *msg);
struct event *event_next(struct world *w); /* the caller frees it */
void msg_free(struct msg *msg);
struct msg *msg_new(enum msg_type type);
void *must(void *memory); /* a simulator without memory ends */
void hash_in(struct world *w, const void *bytes, size_t len);
void hash_number(struct world *w, uint64_t number);
/* Keeps the first failure; the world stops after it. */
void sim_fail(struct world *w, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void trace(const struct world *w, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
const char *short_id(const struct run_id *id);
void to_broker(struct world *w, struct fake *agent, struct msg *msg);
void to_agent(struct world *w, uint64_t session, struct msg *msg);
void deliver_to_broker(struct world *w, struct msg *msg);
uint64_t session_open(struct world *w, uint32_t agent);

/* agent.c */
void agent_deliver(struct world *w, struct msg *msg);
void agent_event(struct world *w, const struct event *event);
void agent_boot(struct world *w, struct fake *agent);
void agent_cut(struct world *w, struct fake *agent, bool lose,
               uint64_t noticed_in_ms);
void agent_crash(struct world *w, struct fake *agent, bool machine,
                 bool disk_too, uint64_t down_ms);
void agent_stop(struct world *w, struct fake *agent, uint64_t for_ms);
void agent_drain(struct world *w, struct fake *agent);
void agent_lie(struct world *w, struct fake *agent);
void agent_explain_stuck(struct world *w);

/* broker.c */
void broker_start(struct world *w);
void broker_turn(struct world *w);
void broker_crash(struct world *w, uint64_t down_ms);
void broker_plan(struct world *w, uint64_t at_ms);
void broker_note(struct world *w, struct msg *msg);

/* model.c */
void model_init(struct world *w);
void model_free(struct model *m);
struct truth_run *model_run(struct model *m, const struct run_id *id);
struct truth_attempt *model_attempt(struct truth_run *run, uint32_t attempt);
void model_submitted(struct world *w, const struct run_id *id,
                     const struct origin *origin);
void model_turn_begins(struct world *w);
void model_turn_lost(struct world *w);
/* After a commit: the write set, then the effects. */
void model_committed(struct world *w);
void model_effect(struct world *w, const struct effect *effect);
void model_turn_ends(struct world *w);
void model_reopened(struct world *w);
void model_sessions_lost(struct world *w);
bool model_all_ended(const struct world *w);
void model_explain_stuck(struct world *w);

/* truth.c */
void model_exec_begins(struct world *w, const struct fake *agent,
                       const struct holding *h);
void model_exec_ends(struct world *w, const struct fake *agent,
                     const struct holding *h);
/* An agent forgets a result because the broker said that it has it. */
void model_acknowledged(struct world *w, const struct holding *h);

/* idle.c */
void idle_check(struct world *w);

/* load.c */
extern const char *const sim_caps[SIM_CAPS];
void load_world(struct world *w);
void load_event(struct world *w);
void load_heal(struct world *w);

#endif
