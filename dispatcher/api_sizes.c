/*
 * api_sizes.c - the rule of a submission, and what it may have to wait for: the
 * size that nobody declares and no run has measured, but that agents can tell
 * from its sources.
 *
 * Sources are looked up first; those that are new are put into questions, one
 * for each set of things an agent must be able to do, and the call waits for
 * the questions its sources are in, its own or others'. When they have ended,
 * or the time is up, each submission whose sources are all known has a size;
 * the others go on without, as if nobody had asked.
 */
#include "dispatcher/api_submit.h"

#include "agents/wire.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert((int)SIZES_SOURCES_MAX == (int)WIRE_SOURCES_MAX &&
                   (int)SIZE_SOURCES_MAX == (int)WIRE_SOURCES_MAX,
               "an agent is asked about so many");

/* A submission without a size, and what its sources are known by. */
struct unsized {
    size_t index; /* in the exchange */
    struct size_key keys[RUN_SOURCES_MAX];
    size_t count;
};

struct sizing {
    struct exchange *exchange;
    ask_done *done;
    struct unsized *list;
    size_t count;
};

/* A question that is being put together. */
struct draft_question {
    uint64_t number;
    const struct origin *origin; /* whose requirements it has */
    json_t *sources;
    size_t bytes;
};

struct asking {
    struct call *call;
    struct draft_question drafts[ASK_QUESTIONS_MAX];
    size_t draft_count;
    uint64_t numbers[ASK_QUESTIONS_MAX]; /* waited for */
    size_t number_count;
    uint64_t until_ms;
};

static void free_sizing(void *state)
{
    struct sizing *sizing = state;

    exchange_free(&sizing->exchange);
    free(sizing->list);
    free(sizing);
}

/* ---- sources and rules --------------------------------------------------- */

void submit_set_sources(const struct workflow *wf, struct origin *origin)
{
    size_t count = 0;

    for (uint32_t i = 0; i < wf->node_count; i++) {
        if (!node_kind_is_source(wf->nodes[wf->order[i]].kind))
            continue;
        if (count < RUN_SOURCES_MAX)
            origin->sources[count] = i;
        count++;
    }
    origin->source_count = count <= RUN_SOURCES_MAX ? count : 0;
}

bool submit_is_unsized(const struct origin *origin)
{
    return origin->features.size_source == SIZE_UNKNOWN &&
           origin->source_count > 0;
}

int submit_set_rule(const struct config *config, const char *pointer,
                    struct workflow *wf, struct origin *origin,
                    struct problems *problems)
{
    struct classification found;
    int r = classify(&origin->features, &config->ruleset, &found);

    if (r == -ENOENT) {
        problems_add(problems, pointer, "no_rule",
                     "No rule of the configuration matches this workflow. Name "
                     "a pool in preferred_pool, or ask an operator to add a "
                     "last rule without conditions.");
        return -EINVAL;
    }
    if (r < 0)
        return r;
    origin->rule = found.rule;
    origin->wanted_pool = found.pool;
    origin->rule_why = workflow_strdup(wf, found.why);
    return origin->rule_why ? 0 : -ENOMEM;
}

int submit_classify(const struct call *call, struct exchange *exchange,
                    size_t i, struct problems *problems)
{
    char pointer[POINTER_MAX] = "/workflow";

    if (json_is_array(call->body))
        snprintf(pointer, sizeof pointer, "/%zu/workflow", i);
    return submit_set_rule(call->api->config, pointer,
                           submit_workflow(exchange, i),
                           &exchange->submissions[i].origin, problems);
}

/* ---- what a source is --------------------------------------------------- */

/* {"kind", "config"} with those fields that say what is read. NULL: no memory.
 */
static json_t *source_of(const struct node *node)
{
    static const char *const fields[] = {"connection", "schema", "table", "sql",
                                         "path"};
    json_t *config = json_loads(node->config_json, 0, NULL);
    json_t *small = json_object(), *source = json_object();

    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        json_t *value = json_object_get(config, fields[i]);
        if (value)
            json_object_set(small, fields[i], value);
    }
    json_decref(config);
    json_object_set_new(source, "kind", json_string(node->kind->name));
    json_object_set_new(source, "config", small);
    return source;
}

static bool key_of(const json_t *source, struct size_key *ret_key,
                   size_t *ret_bytes)
{
    char *text = json_dumps(source, JSON_COMPACT | JSON_SORT_KEYS);

    if (!text)
        return false;
    *ret_bytes = strlen(text);
    (void)crypto_generichash(ret_key->b, sizeof ret_key->b,
                             (const uint8_t *)text, *ret_bytes, NULL, 0);
    free(text);
    return true;
}

/* ---- questions ---------------------------------------------------------- */

static bool requires_same(const struct origin *a, const struct origin *b)
{
    if (a->requires_count != b->requires_count)
        return false;
    for (size_t i = 0; i < a->requires_count; i++)
        if (strcmp(a->requires[i], b -> requires[i]) != 0)
            return false;
    return true;
}

static void wait_for(struct asking *asking, uint64_t number)
{
    uint64_t within_ms = asking->call->api->config->size_estimate_ms, asked_ms;
    uint64_t until_ms;

    for (size_t i = 0; i < asking->number_count; i++)
        if (asking->numbers[i] == number)
            return;
    if (asking->number_count == ASK_QUESTIONS_MAX ||
        !sizes_asked_ms(asks_sizes(asking->call->api->asks), number, &asked_ms))
        return;
    /* Nobody waits longer for a question than who asked it. */
    until_ms = asked_ms + within_ms;
    if (until_ms <= asks_now_ms(asking->call->api->asks))
        return;
    if (until_ms > asking->until_ms)
        asking->until_ms = until_ms;
    asking->numbers[asking->number_count++] = number;
}

static bool has_room(const struct draft_question *q, size_t bytes)
{
    return json_array_size(q->sources) < SIZES_SOURCES_MAX &&
           q->bytes + bytes + 2 <= WIRE_SOURCES_BYTES_MAX;
}

/* The question this source can go into, or a new one. NULL: there are too many,
 * it is not asked about. */
static struct draft_question *
question_for(struct asking *asking, const struct origin *origin, size_t bytes)
{
    struct asks *asks = asking->call->api->asks;
    struct draft_question *q;
    uint64_t number;

    for (size_t i = 0; i < asking->draft_count; i++) {
        q = &asking->drafts[i];
        if (requires_same(q->origin, origin) && has_room(q, bytes))
            return q;
    }
    if (asking->draft_count == ASK_QUESTIONS_MAX ||
        bytes + 2 > WIRE_SOURCES_BYTES_MAX)
        return NULL;
    number = sizes_ask(asks_sizes(asks), asks_now_ms(asks));
    if (number == 0)
        return NULL;
    q = &asking->drafts[asking->draft_count++];
    *q = (struct draft_question){
        .number = number, .origin = origin, .sources = json_array()};
    return q;
}

static void ask_about(struct asking *asking, const struct origin *origin,
                      json_t *source, const struct size_key *key, size_t bytes)
{
    struct asks *asks = asking->call->api->asks;
    struct draft_question *q;
    int64_t found;

    switch (sizes_look(asks_sizes(asks), key, asks_now_ms(asks), &found)) {
    case SIZE_IS_KNOWN:
        return;
    case SIZE_IS_ASKED:
        wait_for(asking, (uint64_t)found);
        return;
    case SIZE_IS_NEW:
        break;
    }
    q = question_for(asking, origin, bytes);
    if (!q || !sizes_add(asks_sizes(asks), q->number, key))
        return;
    json_array_append(q->sources, source);
    q->bytes += bytes + 1;
    wait_for(asking, q->number);
}

static void look_at(struct asking *asking, const struct exchange *exchange,
                    size_t index, struct unsized *ret)
{
    const struct origin *origin = &exchange->submissions[index].origin;
    const struct workflow *wf = submit_workflow(exchange, index);

    ret->index = index;
    for (size_t i = 0; i < origin->source_count; i++) {
        const struct node *node = &wf->nodes[wf->order[origin->sources[i]]];
        json_t *source = source_of(node);
        size_t bytes;

        if (key_of(source, &ret->keys[ret->count], &bytes))
            ask_about(asking, origin, source, &ret->keys[ret->count++], bytes);
        json_decref(source);
    }
}

/* As an exchange with texts of its own: the core may still read them when the
 * call is long gone. NULL: no memory. */
static struct exchange *exchange_of(const struct draft_question *draft)
{
    struct exchange *exchange = exchange_new(ASK_ESTIMATE);
    struct size_question *q = calloc(1, sizeof *q);
    size_t count = draft->origin->requires_count, bytes = 0;
    char *texts;

    for (size_t i = 0; i < count; i++)
        bytes += strlen(draft->origin->requires[i]) + 1;
    texts = malloc(bytes + 1);
    if (!exchange || !q || !texts) {
        free(q);
        free(texts);
        exchange_free(&exchange);
        return NULL;
    }
    exchange->question = q;
    exchange->owner_data = texts;
    exchange->owner_free = free;
    q->number = draft->number;
    for (size_t i = 0; i < count; i++) {
        q->requires[q->requires_count++] = texts;
        texts = stpcpy(texts, draft->origin->requires[i]) + 1;
    }
    q->requires[q->requires_count++] = WIRE_CAN_ESTIMATE;
    q->sources = json_dumps(draft->sources, JSON_COMPACT);
    if (!q->sources)
        exchange_free(&exchange);
    return exchange;
}

/* ---- going on ----------------------------------------------------------- */

/* -1: one of them is not known. */
static int64_t sum_of(struct asks *asks, const struct unsized *unsized,
                      size_t source_count)
{
    int64_t sum = 0, bytes;

    for (size_t i = 0; i < unsized->count; i++)
        if (sizes_look(asks_sizes(asks), &unsized->keys[i], asks_now_ms(asks),
                       &bytes) != SIZE_IS_KNOWN ||
            bytes < 0 || __builtin_add_overflow(sum, bytes, &sum))
            return -1;
    return unsized->count == source_count ? sum : -1;
}

static int classify_all(struct call *call, const struct sizing *sizing,
                        struct problems *problems)
{
    int r = 0;

    for (size_t i = 0; i < sizing->count && r != -ENOMEM; i++) {
        const struct unsized *unsized = &sizing->list[i];
        struct origin *origin =
            &sizing->exchange->submissions[unsized->index].origin;
        int one;

        (void)features_learn_size(
            &origin->features,
            sum_of(call->api->asks, unsized, origin->source_count),
            SIZE_ESTIMATED);
        one = submit_classify(call, sizing->exchange, unsized->index, problems);
        r = one < 0 ? one : r;
    }
    return r;
}

/* The call is done with waiting: it has its state to itself again. */
static void go_on(struct call *call)
{
    struct sizing *sizing = call->state;
    struct problems problems = {0};
    int r;

    call->state = NULL;
    call->state_free = NULL;
    r = classify_all(call, sizing, &problems);
    if (r == 0) {
        struct exchange *exchange = sizing->exchange;

        sizing->exchange = NULL;
        ask(call, exchange, sizing->done);
    } else if (r == -EINVAL) {
        answer_invalid(call, &problems, NULL);
    } else {
        answer_no_memory(call);
    }
    problems_clear(&problems);
    free_sizing(sizing);
}

static size_t count_unsized(const struct exchange *exchange)
{
    size_t count = 0;

    for (size_t i = 0; i < exchange->submission_count; i++)
        count += !exchange->submissions[i].origin.rule;
    return count;
}

static struct sizing *new_sizing(struct exchange *exchange, size_t count,
                                 ask_done *done)
{
    struct sizing *sizing = calloc(1, sizeof *sizing);

    if (!sizing)
        return NULL;
    sizing->list = calloc(count, sizeof *sizing->list);
    if (!sizing->list) {
        free(sizing);
        return NULL;
    }
    sizing->exchange = exchange;
    sizing->done = done;
    return sizing;
}

void submit_sized(struct call *call, struct exchange *exchange, ask_done *done)
{
    struct asks *asks = call->api->asks;
    size_t count = count_unsized(exchange);
    struct asking asking = {.call = call};
    struct sizing *sizing;

    if (count == 0) {
        ask(call, exchange, done);
        return;
    }
    sizing = new_sizing(exchange, count, done);
    if (!sizing) {
        exchange_free(&exchange);
        answer_no_memory(call);
        return;
    }
    for (size_t i = 0; i < exchange->submission_count; i++)
        if (!exchange->submissions[i].origin.rule)
            look_at(&asking, exchange, i, &sizing->list[sizing->count++]);
    call->state = sizing;
    call->state_free = free_sizing;
    /* Those that cannot be sent end at once, before anybody waits for them. */
    for (size_t i = 0; i < asking.draft_count; i++) {
        ask_estimate(asks, asking.drafts[i].number,
                     exchange_of(&asking.drafts[i]));
        json_decref(asking.drafts[i].sources);
    }
    for (size_t i = asking.number_count; i-- > 0;) {
        uint64_t ms;

        if (!sizes_asked_ms(asks_sizes(asks), asking.numbers[i], &ms))
            asking.numbers[i] = asking.numbers[--asking.number_count];
    }
    ask_sized(call, asking.numbers, asking.number_count,
              asking.until_ms - asks_now_ms(asks), go_on);
}
