/*
 * front_ask.h - what the front waits for: answers of the core, boards, ends of
 * runs. Everything waited for has a deadline, so that a silent core costs
 * nobody more than that.
 *
 * A board is asked for once for everybody who wants one; who comes while one is
 * under way waits for the next, because a board that was asked for earlier may
 * be older than something this caller has already been told.
 *
 * Threads: the front thread only.
 * Time:    milliseconds of the monotonic clock.
 */
#ifndef DISPATCHER_FRONT_ASK_H
#define DISPATCHER_FRONT_ASK_H

#include "dispatcher/api.h"
#include "dispatcher/exchange.h"
#include "dispatcher/sizes.h"

enum { ASK_WITHIN_MS = 15000, WAIT_LOOK_MS = 5000 };

struct asks;

/* `socket` is the front's end of the pair, borrowed; waits_max: calls that may
 * wait for runs at once. */
int asks_new(void *socket, size_t waits_max, struct asks **ret_asks);
/* Answers everybody who still waits (503, or what there is), and receives what
 * the core has answered. */
void asks_shutdown(struct asks *asks);
void asks_free(struct asks **asks_p);

/* Takes what has arrived from the core. */
void asks_receive(struct asks *asks, uint64_t now_ms);
/* Lets go of those whose time is up. */
void asks_expire(struct asks *asks, uint64_t now_ms);
uint64_t asks_next_ms(const struct asks *asks); /* UINT64_MAX: never */

/* An exchange with its caller's name and reason (or NULL), copied: the core may
 * still read them when the call is long gone. NULL: no memory. */
struct exchange *ask_new(const struct call *call, enum ask what,
                         const char *reason);

/* Sends the exchange (NULL: no memory), which is taken, and calls `done` with
 * the answer (borrowed until it returns). When the core is too busy, stopping
 * or silent the call is answered 503 or 504, and done is not called. */
typedef void ask_done(struct call *call, struct exchange *exchange);
void ask(struct call *call, struct exchange *exchange, ask_done *done);

/* silence: what to answer when none comes within so many ms. */
typedef void ask_board_done(struct call *call, const struct board *board);
void ask_board(struct call *call, uint64_t within_ms, enum problem_code silence,
               ask_board_done *done);

/* Calls `look` when the run has ended, when the time is up or the client gone
 * (last), and now and then; look answers when there is something to say and
 * returns whether it did. When last it must answer, or ask for what it needs.
 * Answers 503 when too many wait. */
typedef bool ask_look(struct call *call, bool last);
void ask_wait(struct call *call, const struct run_id *run, uint64_t within_ms,
              ask_look *look);

/* ---- sizes: what agents say of sources ---------------------------------- */

struct sizes *asks_sizes(struct asks *asks);
uint64_t asks_now_ms(const struct asks *asks);

/* Puts a question (begun with sizes_ask()) to the core, which puts it to an
 * agent. NULL (no memory): never. The exchange is taken. What comes of it is
 * told to asks_sizes() and to those who wait. */
void ask_estimate(struct asks *asks, uint64_t number,
                  struct exchange *exchange);

/* Calls `then` once, when all these questions have ended, when the time is up,
 * or when the client has gone; at the latest then the call goes on with what is
 * known. ASK_QUESTIONS_MAX at most. */
enum { ASK_QUESTIONS_MAX = 16 };
typedef void ask_then(struct call *call);
void ask_sized(struct call *call, const uint64_t *numbers, size_t count,
               uint64_t within_ms, ask_then *then);

/* The call's client has gone. */
void ask_gone(struct call *call);
/* The call ends: nothing may be called for it any more. */
void ask_forget(struct call *call);

#endif
