/*
 * sizes.h - what agents have said of the sizes of sources, for a minute, and
 * what they are being asked.
 *
 * A source is known by a hash of its kind and of those fields of its
 * configuration that say what it reads. It is unknown here, or part of a
 * question that is under way, or answered: with bytes, or with "nobody knows",
 * which is kept as well so that a source that hangs does not hold up one
 * submission after the other.
 *
 * A question ends with its answer, when there is nobody to answer it, or
 * unanswered after SIZES_KEEP_MS. An answer counts only from the session that
 * was asked.
 *
 * Memory:  at most SIZES_MAX sources, the oldest dropped first, and
 *          SIZES_QUESTIONS_MAX questions; freed by sizes_free().
 * Threads: the front thread only.
 * Time:    milliseconds of the monotonic clock, never going back.
 */
#ifndef DISPATCHER_SIZES_H
#define DISPATCHER_SIZES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SIZES_MAX = 10000,
    SIZES_KEEP_MS = 60000,
    SIZES_QUESTIONS_MAX = 256, /* under way */
    SIZES_SOURCES_MAX = 64,    /* of one question */
};

struct sizes;

struct size_key {
    uint8_t b[16];
};

/* -ENOMEM. */
int sizes_new(uint64_t seed, struct sizes **ret_sizes);
void sizes_free(struct sizes **sizes_p);

enum size_state {
    SIZE_IS_NEW,   /* nobody has been asked */
    SIZE_IS_ASKED, /* *ret is the number of the question */
    SIZE_IS_KNOWN, /* *ret is the bytes, -1: nobody knows */
};
enum size_state sizes_look(struct sizes *sizes, const struct size_key *key,
                           uint64_t now_ms, int64_t *ret);

/* Begins a question: its number. 0: too many are under way, or no memory. */
uint64_t sizes_ask(struct sizes *sizes, uint64_t now_ms);
/* Adds a source that is new to a question that has not been sent; true when it
 * went in: not with SIZES_SOURCES_MAX, without memory, or when the question has
 * ended. The answer names them in this order. */
bool sizes_add(struct sizes *sizes, uint64_t number,
               const struct size_key *key);
/* When the question began; false: it has ended. */
bool sizes_asked_ms(const struct sizes *sizes, uint64_t number,
                    uint64_t *ret_ms);

/* Who was asked; session 0: nobody can answer, the question has ended and its
 * sources are new again. False: there is no such question. */
bool sizes_sent(struct sizes *sizes, uint64_t number, uint64_t session);
/* An answer: bytes, or -1, for each of its sources; sources beyond count are
 * not known; count 0: the agent did not look, its sources are new again. False:
 * there is no such question, or it was put to another session. */
bool sizes_answer(struct sizes *sizes, uint64_t number, uint64_t session,
                  const int64_t *bytes, size_t count, uint64_t now_ms);

#endif
