/* index.c - see index.h. Load factor at most 1; growing rehashes all at once
 * (a million entries: about 30 ms, once). */
#include "pools/index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS_MIN = 64 };

/* 64 bits mixed by multiplication and shifts, eight bytes a step; the seed
 * makes collisions differ from process to process. */
static uint64_t mix(uint64_t x)
{
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93ULL;
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93ULL;
    return x ^ (x >> 32);
}

static uint64_t hash_of(const struct index *index, const void *key,
                        size_t bytes)
{
    const char *p = key;
    uint64_t hash = mix(index->seed + bytes), word;

    for (; bytes >= sizeof word; p += sizeof word, bytes -= sizeof word) {
        memcpy(&word, p, sizeof word);
        hash = mix(hash ^ word);
    }
    word = 0;
    memcpy(&word, p, bytes);
    return mix(hash ^ word);
}

static struct index_entry **bucket(const struct index *index, uint64_t hash)
{
    return &index->buckets[hash & (index->bucket_count - 1)];
}

static void grow(struct index *index)
{
    struct index old = *index;

    index->bucket_count = old.bucket_count * 2;
    index->buckets = calloc(index->bucket_count, sizeof(struct index_entry *));
    if (index->buckets == NULL) {
        index->buckets = old.buckets;
        index->bucket_count = old.bucket_count;
        return;
    }
    for (size_t i = 0; i < old.bucket_count; i++) {
        for (struct index_entry *e = old.buckets[i], *next; e != NULL;
             e = next) {
            struct index_entry **to = bucket(index, e->hash);
            next = e->next;
            e->next = *to;
            *to = e;
        }
    }
    free(old.buckets);
}

int index_init(struct index *index, index_match *match, uint64_t seed)
{
    *index = (struct index){.match = match, .seed = seed};
    index->buckets = calloc(BUCKETS_MIN, sizeof(struct index_entry *));
    if (index->buckets == NULL)
        return -ENOMEM;
    index->bucket_count = BUCKETS_MIN;
    return 0;
}

void index_free(struct index *index)
{
    free(index->buckets);
    *index = (struct index){0};
}

void index_add(struct index *index, struct index_entry *entry, const void *key,
               size_t key_bytes)
{
    if (index->count == index->bucket_count)
        grow(index);
    entry->hash = hash_of(index, key, key_bytes);
    struct index_entry **head = bucket(index, entry->hash);
    entry->next = *head;
    *head = entry;
    index->count++;
}

void index_remove(struct index *index, struct index_entry *entry)
{
    struct index_entry **at = bucket(index, entry->hash);

    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
    index->count--;
}

struct index_entry *index_find(const struct index *index, const void *key,
                               size_t key_bytes)
{
    uint64_t hash = hash_of(index, key, key_bytes);

    for (struct index_entry *e = *bucket(index, hash); e != NULL; e = e->next)
        if (e->hash == hash && index->match(e, key, key_bytes))
            return e;
    return NULL;
}
