/*
 * sizes.c - see sizes.h.
 *
 * Invariants: every source is in the index and in one of the lists; by_age is
 * in the order of until_ms, because all are kept for the same time. A question
 * knows its sources by their keys: one that was dropped meanwhile is not found,
 * and that is all.
 */
#include "dispatcher/sizes.h"

#include "pools/index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

struct source {
    struct index_entry entry;
    TAILQ_ENTRY(source) by_age;
    struct size_key key;
    uint64_t until_ms;
    uint64_t number; /* of its question; 0: answered */
    int64_t bytes;
};

struct question {
    TAILQ_ENTRY(question) link;
    uint64_t number, session, asked_ms;
    struct size_key keys[SIZES_SOURCES_MAX];
    size_t count;
};

TAILQ_HEAD(source_list, source);
TAILQ_HEAD(question_list, question);

struct sizes {
    struct index index;
    struct source_list sources; /* oldest first */
    size_t source_count;
    struct question_list questions; /* oldest first */
    size_t question_count;
    uint64_t last_number;
};

static int source_matches(const struct index_entry *entry, const void *key,
                          size_t key_bytes)
{
    const struct source *source =
        container_of_const(entry, struct source, entry);

    return memcmp(&source->key, key, key_bytes) == 0;
}

int sizes_new(uint64_t seed, struct sizes **ret_sizes)
{
    struct sizes *sizes = calloc(1, sizeof *sizes);

    if (!sizes)
        return -ENOMEM;
    if (index_init(&sizes->index, source_matches, seed) < 0) {
        free(sizes);
        return -ENOMEM;
    }
    TAILQ_INIT(&sizes->sources);
    TAILQ_INIT(&sizes->questions);
    *ret_sizes = sizes;
    return 0;
}

/* ---- sources ------------------------------------------------------------ */

static struct source *find(const struct sizes *sizes,
                           const struct size_key *key)
{
    struct index_entry *entry = index_find(&sizes->index, key, sizeof *key);

    return entry ? container_of(entry, struct source, entry) : NULL;
}

static void drop(struct sizes *sizes, struct source *source)
{
    index_remove(&sizes->index, &source->entry);
    TAILQ_REMOVE(&sizes->sources, source, by_age);
    sizes->source_count--;
    free(source);
}

/* At the young end of the list; its time begins anew. */
static void renew(struct sizes *sizes, struct source *source, uint64_t now_ms)
{
    TAILQ_REMOVE(&sizes->sources, source, by_age);
    source->until_ms = now_ms + SIZES_KEEP_MS;
    TAILQ_INSERT_TAIL(&sizes->sources, source, by_age);
}

/* ---- questions ---------------------------------------------------------- */

static struct question *question_find(const struct sizes *sizes,
                                      uint64_t number)
{
    struct question *q;

    TAILQ_FOREACH(q, &sizes->questions, link)
    if (q->number == number)
        return q;
    return NULL;
}

static void end(struct sizes *sizes, struct question *q)
{
    TAILQ_REMOVE(&sizes->questions, q, link);
    sizes->question_count--;
    free(q);
}

/* It ends without an answer: its sources may be asked about again. */
static void forget(struct sizes *sizes, struct question *q)
{
    for (size_t i = 0; i < q->count; i++) {
        struct source *source = find(sizes, &q->keys[i]);
        if (source && source->number == q->number)
            drop(sizes, source);
    }
    end(sizes, q);
}

/* What is over goes, so that what is left has a right to its place. */
static void expire(struct sizes *sizes, uint64_t now_ms)
{
    struct question *q = TAILQ_FIRST(&sizes->questions);
    struct source *source;

    while (q && q->asked_ms + SIZES_KEEP_MS <= now_ms) {
        forget(sizes, q);
        q = TAILQ_FIRST(&sizes->questions);
    }
    while ((source = TAILQ_FIRST(&sizes->sources)) &&
           (source->until_ms <= now_ms || sizes->source_count > SIZES_MAX))
        drop(sizes, source);
}

enum size_state sizes_look(struct sizes *sizes, const struct size_key *key,
                           uint64_t now_ms, int64_t *ret)
{
    struct source *source;

    expire(sizes, now_ms);
    source = find(sizes, key);
    if (!source)
        return SIZE_IS_NEW;
    *ret = source->number ? (int64_t)source->number : source->bytes;
    return source->number ? SIZE_IS_ASKED : SIZE_IS_KNOWN;
}

uint64_t sizes_ask(struct sizes *sizes, uint64_t now_ms)
{
    struct question *q;

    expire(sizes, now_ms);
    if (sizes->question_count == SIZES_QUESTIONS_MAX)
        return 0;
    q = calloc(1, sizeof *q);
    if (!q)
        return 0;
    q->number = ++sizes->last_number;
    q->asked_ms = now_ms;
    TAILQ_INSERT_TAIL(&sizes->questions, q, link);
    sizes->question_count++;
    return q->number;
}

bool sizes_add(struct sizes *sizes, uint64_t number, const struct size_key *key)
{
    struct question *q = question_find(sizes, number);
    struct source *source;

    if (!q || q->count == SIZES_SOURCES_MAX || find(sizes, key))
        return false;
    if (sizes->source_count == SIZES_MAX)
        drop(sizes, TAILQ_FIRST(&sizes->sources));
    source = calloc(1, sizeof *source);
    if (!source)
        return false;
    source->key = *key;
    source->number = number;
    source->until_ms = q->asked_ms + SIZES_KEEP_MS;
    index_add(&sizes->index, &source->entry, &source->key, sizeof source->key);
    TAILQ_INSERT_TAIL(&sizes->sources, source, by_age);
    sizes->source_count++;
    q->keys[q->count++] = *key;
    return true;
}

bool sizes_asked_ms(const struct sizes *sizes, uint64_t number,
                    uint64_t *ret_ms)
{
    const struct question *q = question_find(sizes, number);

    if (q)
        *ret_ms = q->asked_ms;
    return q != NULL;
}

bool sizes_sent(struct sizes *sizes, uint64_t number, uint64_t session)
{
    struct question *q = question_find(sizes, number);

    if (!q)
        return false;
    q->session = session;
    if (session == 0)
        forget(sizes, q);
    return true;
}

bool sizes_answer(struct sizes *sizes, uint64_t number, uint64_t session,
                  const int64_t *bytes, size_t count, uint64_t now_ms)
{
    struct question *q = question_find(sizes, number);

    if (!q || session == 0 || q->session != session)
        return false;
    if (count == 0) {
        forget(sizes, q);
        return true;
    }
    for (size_t i = 0; i < q->count; i++) {
        struct source *source = find(sizes, &q->keys[i]);
        if (!source || source->number != number)
            continue;
        source->number = 0;
        source->bytes = i < count && bytes[i] >= 0 ? bytes[i] : -1;
        renew(sizes, source, now_ms);
    }
    end(sizes, q);
    return true;
}

void sizes_free(struct sizes **sizes_p)
{
    struct sizes *sizes = *sizes_p;

    *sizes_p = NULL;
    if (!sizes)
        return;
    /* The analyser does not see that TAILQ_REMOVE moves the lists' heads. */
    /* NOLINTBEGIN(clang-analyzer-unix.Malloc) */
    while (!TAILQ_EMPTY(&sizes->questions))
        end(sizes, TAILQ_FIRST(&sizes->questions));
    while (!TAILQ_EMPTY(&sizes->sources))
        drop(sizes, TAILQ_FIRST(&sizes->sources));
    /* NOLINTEND(clang-analyzer-unix.Malloc) */
    index_free(&sizes->index);
    free(sizes);
}
