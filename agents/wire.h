/*
 * wire.h - the messages broker and agents exchange: scan, pack, unpack.
 *
 * One message is one ZeroMQ frame: a msgpack array [version, type, fields...].
 * WIRE.md beside this file is the description for people; the tables in wire.c
 * are the one place where the order of fields is written down.
 *
 * A frame is foreign bytes. wire_unpack() scans it first (size, depth, number
 * of elements, completeness, UTF-8) because msgpack-c trusts counts; nothing is
 * allocated in proportion to a number a peer wrote before its bytes are there.
 *
 * Memory:  wire_pack() returns malloc'ed bytes; wire_unpack() borrows strings
 *          and binaries from the frame and allocates only its arrays, freed by
 *          wire_clear(). Strings are NOT NUL-terminated.
 * Threads: none; pure.
 * Errors:  0 or a negative errno.
 */
#ifndef AGENTS_WIRE_H
#define AGENTS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_UNKNOWN UINT64_MAX /* a count nobody knows */
/* The capability of an agent that answers ESTIMATE. */
#define WIRE_CAN_ESTIMATE "estimate"

enum {
    WIRE_VERSION = 1,
    WIRE_FRAME_MAX = 8 * 1024 * 1024, /* bytes; also ZMQ_MAXMSGSIZE */
    WIRE_DEPTH_MAX = 16,
    WIRE_ELEMENTS_MAX = 200000, /* in one frame, all levels together */
    WIRE_NAME_MAX = 128,        /* agent, pool, capability names: bytes */
    WIRE_HOST_MAX = 255,
    WIRE_WORKFLOW_MAX = 256,   /* a workflow's name */
    WIRE_TEXT_MAX = 4096,      /* a reason, the error of a run */
    WIRE_NODE_ERROR_MAX = 768, /* so that the RESULT of the largest workflow
                                  always fits a frame */
    WIRE_PLAN_MAX = 6 * 1024 * 1024,
    WIRE_PARAMETERS_MAX = 1024 * 1024,
    WIRE_POOLS_MAX = 64,
    WIRE_CAPS_MAX = 256,
    WIRE_HELD_MAX = 4096,     /* attempts listed in one message */
    WIRE_SLOTS_MAX = 4096,    /* an agent announces at most so many */
    WIRE_LOG_MAX = 64 * 1024, /* bytes of output in one LOG */
    WIRE_NODES_MAX = 10000,
    WIRE_SOURCES_MAX = 64, /* asked about in one ESTIMATE */
    WIRE_SOURCES_BYTES_MAX = 1024 * 1024,
};

/* Numbers on the wire: never reuse one. */
enum wire_type {
    WIRE_HELLO = 1,      /* agent: who I am, what I can do, what I hold */
    WIRE_WELCOME = 2,    /* broker: session, lease length, what to keep */
    WIRE_RUN = 3,        /* broker: execute this attempt */
    WIRE_ACCEPTED = 4,   /* agent: its shepherd is running */
    WIRE_REFUSED = 5,    /* agent: cannot; give it to somebody else */
    WIRE_NODE = 6,       /* agent: a node changed state */
    WIRE_LOG = 7,        /* agent: output of a node */
    WIRE_RESULT = 8,     /* agent: the attempt ended; repeated until acked */
    WIRE_RESULT_ACK = 9, /* broker: committed; forget it */
    WIRE_RENEW = 10,     /* agent: I live, and hold these attempts */
    WIRE_RENEWED = 11,   /* broker: so many ms more, from when you asked */
    WIRE_CANCEL = 12,    /* broker: stop this attempt, politely then not */
    WIRE_DRAIN = 13,     /* either: no new work; broker asks, agent tells */
    WIRE_BYE = 14,       /* either: this session ends, with a reason */
    WIRE_ESTIMATE = 15,  /* broker: how much is in these sources? Only to an
                            agent that announces WIRE_CAN_ESTIMATE */
    WIRE_ESTIMATED = 16, /* agent: so much */
};
const char *wire_type_name(enum wire_type type); /* "HELLO"; "?" if unknown */

struct wire_bytes { /* text or binary, borrowed from the frame */
    const char *ptr;
    size_t len;
};

struct wire_id { /* a run id: UUIDv7, 16 bytes */
    uint8_t b[16];
};

enum wire_phase { WIRE_PHASE_RUNNING = 0, WIRE_PHASE_ENDED = 1 };

struct wire_held { /* one attempt the agent holds */
    struct wire_id run;
    uint32_t attempt;
    uint8_t phase;   /* enum wire_phase; ENDED: its RESULT is in the spool */
    uint64_t events; /* HELLO: last event number it wrote. WELCOME: last one
                        the broker has; the agent resumes after it */
};

enum wire_outcome {
    WIRE_COMPLETED = 0,
    WIRE_FAILED = 1,
    WIRE_TIMED_OUT = 2,
    WIRE_CANCELLED = 3,
    WIRE_LEASE_LOST = 4, /* killed at the lease deadline */
    WIRE_OUTCOMES
};

enum wire_node_state {
    WIRE_NODE_WAITING = 0,
    WIRE_NODE_RUNNING = 1,
    WIRE_NODE_COMPLETED = 2,
    WIRE_NODE_FAILED = 3,
    WIRE_NODE_SKIPPED = 4,
    WIRE_NODE_CANCELLED = 5,
    WIRE_NODE_STATES
};

/* Whose words a LOG carries. */
enum wire_stream {
    WIRE_STREAM_AGENT = 0, /* the agent's own */
    WIRE_STREAM_STDOUT = 1,
    WIRE_STREAM_STDERR = 2,
    WIRE_STREAM_PREVIEW = 3, /* a node's first rows as JSON lines: the names of
                                its columns as an array, then an array a row.
                                At most one LOG a node */
    WIRE_STREAMS
};

enum wire_refusal {
    WIRE_REFUSE_NO_SLOT = 1,
    WIRE_REFUSE_NOT_CAPABLE = 2,
    WIRE_REFUSE_DRAINING = 3,
    WIRE_REFUSE_BAD_PLAN = 4,     /* the plan cannot be read: the run fails */
    WIRE_REFUSE_NO_RESOURCES = 5, /* disk, processes: try elsewhere, later */
    WIRE_REFUSALS
};

enum wire_bye {
    WIRE_BYE_STOPPING = 1,  /* an orderly end */
    WIRE_BYE_CLONE = 2,     /* another living agent has this name */
    WIRE_BYE_VERSION = 3,   /* unknown major version */
    WIRE_BYE_BAD_HELLO = 4, /* limits or names not acceptable */
    WIRE_BYE_UNKNOWN = 5,   /* no such session: say HELLO again */
    WIRE_BYES
};

/* The state of one node, in NODE as it happens and in RESULT all together. */
struct wire_node {
    uint32_t node;                          /* index in the plan */
    uint8_t state;                          /* enum wire_node_state */
    int64_t started_unix_ms, ended_unix_ms; /* 0: not yet */
    int32_t exit_code; /* command: its exit status, 128 + signal; http: the
                          status code; -1: not applicable */
    /* So far, while it runs; in the last row for good. WIRE_UNKNOWN in rows_in,
     * rows_out and bytes_out: not known, because they went through another
     * program's hands (a node executed inside a database). */
    uint64_t rows_in, rows_out, rows_rejected, bytes_out;
    struct wire_bytes error; /* empty: none */
};

struct wire_msg {
    enum wire_type type;
    union {
        struct {
            struct wire_bytes name;   /* 1..WIRE_NAME_MAX, [A-Za-z0-9._-] */
            struct wire_id boot;      /* random, new each time it starts */
            uint32_t slots;           /* 1..WIRE_SLOTS_MAX */
            struct wire_bytes *pools; /* names it serves */
            size_t pool_count;
            struct wire_bytes *caps; /* "kind:command", "engine:sqlite" */
            size_t cap_count;
            struct wire_held *held;
            size_t held_count;
            struct wire_bytes host; /* for people */
            uint32_t pid;
            struct wire_bytes software; /* version, for people */
            bool draining;
            uint64_t greeting; /* grows with every HELLO of one boot: two
                                  connections may overtake each other, and the
                                  older HELLO must not be heard then */
        } hello;
        struct {
            uint64_t session;       /* the broker's number for this session */
            uint32_t lease_ms;      /* RENEW about every third of it */
            struct wire_held *keep; /* attempts adopted, with the last event
                                       the broker has */
            size_t keep_count;
            struct wire_held *kill; /* attempts to stop and forget at once */
            size_t kill_count;
        } welcome;
        struct {
            struct wire_id run;
            uint32_t attempt;
            uint32_t lease_ms;   /* the broker waits so long for ACCEPTED. The
                                    job starts only when a RENEWED has renewed
                                    this attempt: what was not accepted has
                                    provably not run, and goes back to its line
                                    at once when the agent is lost */
            uint64_t timeout_ms; /* of the whole run; 0: none */
            struct wire_bytes workflow; /* its name */
            struct wire_bytes pool;
            struct wire_bytes plan;       /* JSON, see policy/workflow_json.h */
            struct wire_bytes parameters; /* JSON object, may be empty */
            struct wire_bytes traceparent; /* W3C, may be empty */
        } run;
        struct {
            struct wire_id run;
            uint32_t attempt;
            int64_t started_unix_ms;
            uint64_t beat; /* this counts as a RENEW with this number */
        } accepted;
        struct {
            struct wire_id run;
            uint32_t attempt;
            uint8_t code; /* enum wire_refusal */
            struct wire_bytes text;
        } refused;
        struct {
            struct wire_id run;
            uint32_t attempt;
            uint64_t event; /* 1, 2, ... over NODE and LOG of one attempt */
            struct wire_node node;
        } node;
        struct {
            struct wire_id run;
            uint32_t attempt;
            uint64_t event;
            uint32_t node;  /* index in the plan */
            uint8_t stream; /* enum wire_stream */
            int64_t at_unix_ms;
            struct wire_bytes text; /* any bytes, at most WIRE_LOG_MAX */
        } log;
        struct {
            struct wire_id run;
            uint32_t attempt;
            uint8_t outcome; /* enum wire_outcome */
            int64_t started_unix_ms, ended_unix_ms;
            uint64_t events;         /* the last event number */
            uint64_t log_dropped;    /* bytes of output not kept */
            struct wire_bytes error; /* a sentence; empty when completed */
            struct wire_node *nodes; /* every node's last state */
            size_t node_count;
        } result;
        struct {
            struct wire_id run;
            uint32_t attempt;
        } result_ack;
        struct {
            uint64_t beat; /* grows; RENEWED gives it back */
            struct wire_held *held;
            size_t held_count;
        } renew;
        struct {
            uint64_t beat;
            uint32_t lease_ms;      /* from the moment that beat was sent */
            struct wire_held *lost; /* of those held: not yours; stop them */
            size_t lost_count;
        } renewed;
        struct {
            struct wire_id run;
            uint32_t attempt;
            uint32_t grace_ms; /* between TERM and KILL */
            struct wire_bytes reason;
        } cancel;
        struct {
            struct wire_bytes reason;
        } drain;
        struct {
            uint8_t code; /* enum wire_bye */
            struct wire_bytes text;
        } bye;
        struct {
            uint64_t number;           /* ESTIMATED gives it back */
            struct wire_bytes sources; /* JSON: [{"kind", "config"}], up to
                                          WIRE_SOURCES_MAX */
        } estimate;
        struct {
            uint64_t number;
            uint64_t *sizes; /* bytes, one a source in the same order;
                                WIRE_UNKNOWN: cannot be told. None at all: the
                                agent had no time to look */
            size_t size_count;
            struct wire_bytes text; /* why the first one is not known, or why
                                       there are none; empty: all is well */
        } estimated;
    };
};

/* Text as a wire_bytes (borrowed); NULL is empty. */
struct wire_bytes wire_text(const char *text);

/* Makes text acceptable as an error, reason or host: in place, every byte that
 * is not UTF-8 (or is NUL) becomes '?', and what is over bytes_max is cut off
 * between two characters. Returns the bytes that are left. For words that
 * somebody else wrote, such as a driver's message: wire_pack() refuses them
 * otherwise, and a RESULT that cannot be packed can never be acknowledged. */
size_t wire_mend(char *text, size_t bytes, size_t bytes_max);

/* Packs *msg; *ret_bytes is malloc'ed and the caller's. Every field is held to
 * the rules of WIRE.md, so what is packed here is accepted by wire_unpack().
 * -EINVAL: a count, length or number outside its limits (attempts and events
 * count from 1, a lease is at least 1 ms), a name with other characters, text
 * that is not UTF-8 or contains NUL, an unknown type.
 * -EMSGSIZE: over WIRE_FRAME_MAX (the limits are such that this cannot be).
 * -ENOMEM. */
int wire_pack(const struct wire_msg *msg, char **ret_bytes, size_t *ret_len);

/* Is this one complete msgpack value within the limits, strings valid UTF-8
 * without NUL, no maps and no extensions? Allocates nothing.
 * -EBADMSG: no; *ret_why (static text; ret_why may be NULL) says what. */
int wire_scan(const void *frame, size_t bytes, const char **ret_why);

/* Scans and unpacks. On success *ret_msg is to be given to wire_clear(); on
 * failure it is left as it was. Extra trailing fields, of the message and of
 * the rows within it, are ignored (a newer minor version).
 * -EBADMSG: not a message of ours; *ret_why (static; may be NULL) says what.
 * -ENOTSUP: another major version; nothing else of the frame was looked at.
 * -ENOENT: a type this side does not know: to be ignored. -ENOMEM. */
int wire_unpack(const void *frame, size_t bytes, struct wire_msg *ret_msg,
                const char **ret_why);

/* Frees the arrays of an unpacked message and zeroes it; a zeroed message may
 * be cleared again. Not for messages made by hand: their arrays are yours. */
void wire_clear(struct wire_msg *msg);

/* A run id as UUID text (lower case, 37 bytes with NUL) and back (either case,
 * any UUID version, nothing before or after it). -EINVAL. */
void wire_id_text(const struct wire_id *id, char ret_text[37]);
int wire_id_parse(const char *text, struct wire_id *ret_id);

#endif
