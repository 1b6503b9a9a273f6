/*
 * index.h - find a thing by its key: a chained hash table whose links live
 * inside the things, so that a million waiting runs cost two words each beyond
 * themselves (a general container would allocate an item per entry).
 *
 * Memory:  entries are the caller's; only the buckets are owned.
 * Threads: none.
 */
#ifndef POOLS_INDEX_H
#define POOLS_INDEX_H

#include <stddef.h>
#include <stdint.h>

/* The thing a link is embedded in. */
#define container_of(ptr, type, member)                                        \
    ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define container_of_const(ptr, type, member)                                  \
    ((const type *)(const void *)((const char *)(ptr)-offsetof(type, member)))

struct index_entry {
    struct index_entry *next;
    uint64_t hash;
};

/* Does the entry have this key? */
typedef int index_match(const struct index_entry *entry, const void *key,
                        size_t key_bytes);

struct index {
    struct index_entry **buckets; /* a power of two of them */
    size_t bucket_count, count;
    index_match *match;
    uint64_t seed; /* keys come from clients: collisions must not be planned */
};

/* -ENOMEM. */
int index_init(struct index *index, index_match *match, uint64_t seed);
void index_free(struct index *index);
/* The key must not be in the index yet. Never fails: when the buckets cannot
 * grow the chains do. */
void index_add(struct index *index, struct index_entry *entry, const void *key,
               size_t key_bytes);
/* The entry must be in the index. */
void index_remove(struct index *index, struct index_entry *entry);
/* NULL: not there. */
struct index_entry *index_find(const struct index *index, const void *key,
                               size_t key_bytes);

#endif
