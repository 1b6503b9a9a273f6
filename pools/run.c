/* run.c - see run.h; the records are in record.c */
#include "pools/run.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

/* ---- ids ------------------------------------------------------------- */

/* UUIDv7, RFC 9562 section 6.2 method 1: 48 bits of milliseconds, the version,
 * a counter of 12 bits that starts anew every millisecond, the variant, 62
 * random bits. The counter keeps ids of one millisecond in order; the random
 * bits keep them from being guessed. */

enum {
    ID_TIME_BYTES = 6,
    ID_COUNTER_MAX = 0xfff,
};
static const uint64_t id_time_max = (UINT64_C(1) << 48) - 1;

static uint64_t id_time(const struct run_id *id)
{
    uint64_t ms = 0;

    for (size_t i = 0; i < ID_TIME_BYTES; i++)
        ms = ms << 8 | id->b[i];
    return ms;
}

static uint32_t id_counter(const struct run_id *id)
{
    return (uint32_t)(id->b[6] & 0x0f) << 8 | id->b[7];
}

struct run_id run_id_next(const struct run_id *last, int64_t now_unix_ms,
                          uint64_t random)
{
    uint64_t ms = now_unix_ms < 0 ? 0 : (uint64_t)now_unix_ms;
    uint32_t counter = 0;
    struct run_id id;

    if (ms <= id_time(last)) {
        /* The clock stands or stepped back: stay in the last id's millisecond;
         * when its counter is used up, borrow the next millisecond. */
        ms = id_time(last);
        counter = id_counter(last) + 1;
        if (counter > ID_COUNTER_MAX) {
            counter = 0;
            ms++;
        }
    }
    ms &= id_time_max; /* wraps in the year 10889 */

    for (size_t i = 0; i < ID_TIME_BYTES; i++)
        id.b[i] = (uint8_t)(ms >> (40 - 8 * i));
    id.b[6] = (uint8_t)(0x70 | counter >> 8);
    id.b[7] = (uint8_t)counter;
    for (size_t i = 0; i < 8; i++)
        id.b[8 + i] = (uint8_t)(random >> (56 - 8 * i));
    id.b[8] = (uint8_t)((id.b[8] & 0x3f) | 0x80);
    return id;
}

static bool is_hyphen_place(size_t i)
{
    return i == 8 || i == 13 || i == 18 || i == 23;
}

void run_id_text(const struct run_id *id, char ret_text[RUN_ID_TEXT])
{
    static const char digits[] = "0123456789abcdef";
    size_t at = 0;

    for (size_t i = 0; i < sizeof id->b; i++) {
        if (is_hyphen_place(at))
            ret_text[at++] = '-';
        ret_text[at++] = digits[id->b[i] >> 4];
        ret_text[at++] = digits[id->b[i] & 0x0f];
    }
    ret_text[at] = '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int run_id_parse(const char *text, struct run_id *ret_id)
{
    struct run_id id = {{0}};
    size_t nibbles = 0;

    if (strnlen(text, RUN_ID_TEXT) != RUN_ID_TEXT - 1)
        return -EINVAL;
    for (size_t i = 0; i < RUN_ID_TEXT - 1; i++) {
        if (is_hyphen_place(i)) {
            if (text[i] != '-')
                return -EINVAL;
            continue;
        }
        int digit = hex_digit(text[i]);
        if (digit < 0)
            return -EINVAL;
        id.b[nibbles / 2] = (uint8_t)(id.b[nibbles / 2] << 4 | digit);
        nibbles++;
    }
    *ret_id = id;
    return 0;
}

/* ---- states ---------------------------------------------------------- */

/* SCHEDULED waits for a time (its start, a back-off), QUEUED for a slot.
 * PENDING, RUNNING and CANCELLING hold a slot: pushed, accepted, told to stop.
 * The other five are final: nothing leads out of them. */

#define TO(state) (1U << (state))

static const struct {
    const char *name;
    unsigned to; /* bit set of the states it may move to */
} states[RUN_STATES] = {
    [RUN_SCHEDULED] = {"SCHEDULED", TO(RUN_QUEUED) | TO(RUN_CANCELLED) |
                                        TO(RUN_FAILED) | TO(RUN_TIMED_OUT)},
    /* TIMED_OUT: waited too long. FAILED: can never start any more. */
    [RUN_QUEUED] = {"QUEUED", TO(RUN_PENDING) | TO(RUN_CANCELLED) |
                                  TO(RUN_FAILED) | TO(RUN_TIMED_OUT)},
    /* QUEUED: returned or lost. SCHEDULED: refused, or its result overtook its
     * acceptance after a reconnect and says try again later. Final: that result
     * was the end. */
    [RUN_PENDING] = {"PENDING", TO(RUN_RUNNING) | TO(RUN_QUEUED) |
                                    TO(RUN_SCHEDULED) | TO(RUN_CANCELLING) |
                                    TO(RUN_COMPLETED) | TO(RUN_FAILED) |
                                    TO(RUN_TIMED_OUT) | TO(RUN_CANCELLED) |
                                    TO(RUN_CRASHED)},
    /* QUEUED: its agent was lost. SCHEDULED: failed, tries again later.
     * CANCELLED: its agent stopped it unasked, in an orderly end. */
    [RUN_RUNNING] = {"RUNNING", TO(RUN_QUEUED) | TO(RUN_SCHEDULED) |
                                    TO(RUN_CANCELLING) | TO(RUN_COMPLETED) |
                                    TO(RUN_FAILED) | TO(RUN_TIMED_OUT) |
                                    TO(RUN_CANCELLED) | TO(RUN_CRASHED)},
    /* A run that ended before the cancel reached it ended as it did. Nothing
     * starts it again, and when its agent is lost it is CANCELLED, not
     * CRASHED: stopping was what its owner wanted. */
    [RUN_CANCELLING] = {"CANCELLING", TO(RUN_CANCELLED) | TO(RUN_COMPLETED) |
                                          TO(RUN_FAILED) | TO(RUN_TIMED_OUT)},
    [RUN_COMPLETED] = {"COMPLETED", 0},
    [RUN_FAILED] = {"FAILED", 0},
    [RUN_TIMED_OUT] = {"TIMED_OUT", 0},
    [RUN_CANCELLED] = {"CANCELLED", 0},
    [RUN_CRASHED] = {"CRASHED", 0},
};

const char *run_state_name(enum run_state state)
{
    return state < RUN_STATES ? states[state].name : "?";
}

int run_state_parse(const char *name, enum run_state *ret_state)
{
    for (unsigned i = 0; i < RUN_STATES; i++) {
        if (strcasecmp(name, states[i].name) == 0) {
            *ret_state = (enum run_state)i;
            return 0;
        }
    }
    return -EINVAL;
}

bool run_state_is_final(enum run_state state)
{
    return state < RUN_STATES && states[state].to == 0;
}

bool run_state_holds_slot(enum run_state state)
{
    return state == RUN_PENDING || state == RUN_RUNNING ||
           state == RUN_CANCELLING;
}

bool run_may_move(enum run_state from, enum run_state to)
{
    return from < RUN_STATES && to < RUN_STATES &&
           (states[from].to & TO(to)) != 0;
}

/* ---- names ----------------------------------------------------------- */

static const char *const priorities[PRIORITIES] = {
    [PRIORITY_HIGH] = "high",
    [PRIORITY_NORMAL] = "normal",
    [PRIORITY_LOW] = "low",
};

const char *run_priority_name(enum run_priority priority)
{
    return priority < PRIORITIES ? priorities[priority] : "?";
}

int run_priority_parse(const char *name, enum run_priority *ret_priority)
{
    for (unsigned i = 0; i < PRIORITIES; i++) {
        if (strcasecmp(name, priorities[i]) == 0) {
            *ret_priority = (enum run_priority)i;
            return 0;
        }
    }
    return -EINVAL;
}

const char *attempt_outcome_name(enum attempt_outcome outcome)
{
    static const char *const names[ATTEMPT_OUTCOMES] = {
        [ATTEMPT_LIVE] = "live",           [ATTEMPT_COMPLETED] = "completed",
        [ATTEMPT_FAILED] = "failed",       [ATTEMPT_TIMED_OUT] = "timed_out",
        [ATTEMPT_CANCELLED] = "cancelled", [ATTEMPT_LAPSED] = "lapsed",
        [ATTEMPT_RETURNED] = "returned",
    };
    return outcome < ATTEMPT_OUTCOMES ? names[outcome] : "?";
}

const char *run_node_state_name(enum run_node_state state)
{
    static const char *const names[RUN_NODE_STATES] = {
        [RUN_NODE_WAITING] = "waiting",     [RUN_NODE_RUNNING] = "running",
        [RUN_NODE_COMPLETED] = "completed", [RUN_NODE_FAILED] = "failed",
        [RUN_NODE_SKIPPED] = "skipped",     [RUN_NODE_CANCELLED] = "cancelled",
    };
    return state < RUN_NODE_STATES ? names[state] : "?";
}
