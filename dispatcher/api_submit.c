#include "dispatcher/api_submit.h"

#include "agents/wire.h"
#include "policy/workflow_json.h"
#include "pools/measure.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RETRIES_MAX = 100,
    TRACEPARENT_BYTES = 55,
    IDEMPOTENCY_KEY_MAX = 255,
};

/* What keeps the texts of an exchange alive. */
struct kept {
    json_t *body;
    struct workflow **workflows; /* one a submission */
    char **texts;                /* two a submission: plan, parameters */
    struct once *once;           /* one a submission; NULL: no key */
    size_t count;
    char who[AUTH_NAME_MAX];
    char traceparent[TRACEPARENT_BYTES + 1];
};

static void free_kept(void *data)
{
    struct kept *kept = data;

    for (size_t i = 0; i < kept->count; i++) {
        workflow_free(&kept->workflows[i]);
        free(kept->texts[2 * i]);
        free(kept->texts[2 * i + 1]);
    }
    free(kept->workflows);
    free(kept->texts);
    free(kept->once);
    json_decref(kept->body);
    free(kept);
}

/* One element of the body while it is read. */
struct draft {
    const struct config *config;
    struct store_reader *reader; /* NULL: nothing was measured */
    const json_t *document, *parameters;
    char document_pointer[POINTER_MAX], parameters_pointer[POINTER_MAX];
    const char *workflow_id;
    int pool; /* -1: not asked for */
    bool has_priority;
    enum run_priority priority;
    const char *tags[WORKFLOW_TAGS_MAX];
    size_t tag_count;
    int64_t size_bytes; /* -1 */
    int64_t start_at_unix_ms;
    uint64_t timeout_ms, retries, preview_rows;
    enum on_lost on_lost;
    bool fallback_forbidden;
};

/* ---- the fields --------------------------------------------------------- */

static void read_workflow(void *target, const json_t *value,
                          const char *pointer, struct problems *problems)
{
    struct draft *draft = target;

    (void)problems;
    draft->document = value;
    snprintf(draft->document_pointer, sizeof draft->document_pointer, "%s",
             pointer);
}

static void read_workflow_id(void *target, const json_t *value,
                             const char *pointer, struct problems *problems)
{
    struct draft *draft = target;

    draft->workflow_id = field_text(value, pointer, problems, 255);
}

static void read_parameters(void *target, const json_t *value,
                            const char *pointer, struct problems *problems)
{
    struct draft *draft = target;

    snprintf(draft->parameters_pointer, sizeof draft->parameters_pointer, "%s",
             pointer);
    if (json_is_object(value))
        draft->parameters = value;
    else
        problems_add(problems, pointer, "type",
                     "Parameters are an object of names and values.");
}

static void read_pool(void *target, const json_t *value, const char *pointer,
                      struct problems *problems)
{
    struct draft *draft = target;

    draft->pool = field_pool(&draft->config->ledger, value, pointer, problems);
}

static void read_priority(void *target, const json_t *value,
                          const char *pointer, struct problems *problems)
{
    struct draft *draft = target;
    const char *name = json_string_value(value);

    if (name && run_priority_parse(name, &draft->priority) == 0)
        draft->has_priority = true;
    else
        problems_add(problems, pointer, "priority",
                     "A priority is \"low\", \"normal\" or \"high\".");
}

static void read_tags(void *target, const json_t *value, const char *pointer,
                      struct problems *problems)
{
    struct draft *draft = target;
    size_t count = json_array_size(value);
    char at[POINTER_MAX + 24];

    if (!json_is_array(value) || count > WORKFLOW_TAGS_MAX) {
        problems_add(problems, pointer, "type",
                     "Tags are an array of at most %d texts.",
                     WORKFLOW_TAGS_MAX);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const char *tag;

        snprintf(at, sizeof at, "%s/%zu", pointer, i);
        tag = field_text(json_array_get(value, i), at, problems,
                         WORKFLOW_NAME_MAX - 1);
        if (tag)
            draft->tags[draft->tag_count++] = tag;
    }
}

static void read_size(void *target, const json_t *value, const char *pointer,
                      struct problems *problems)
{
    struct draft *draft = target;

    (void)field_size(value, pointer, problems, &draft->size_bytes);
}

static void read_start_at(void *target, const json_t *value,
                          const char *pointer, struct problems *problems)
{
    struct draft *draft = target;
    const char *text = json_string_value(value);

    if (!text || api_time_parse(text, &draft->start_at_unix_ms) < 0)
        problems_add(problems, pointer, "time",
                     "Write a time with its zone: \"2026-11-20T18:00:00Z\" or "
                     "\"2026-11-20T19:00:00+01:00\".");
}

static void read_timeout(void *target, const json_t *value, const char *pointer,
                         struct problems *problems)
{
    struct draft *draft = target;

    (void)field_duration(value, pointer, problems, &draft->timeout_ms);
}

static void read_retries(void *target, const json_t *value, const char *pointer,
                         struct problems *problems)
{
    struct draft *draft = target;

    (void)field_count(value, pointer, problems, RETRIES_MAX, &draft->retries);
}

static void read_preview_rows(void *target, const json_t *value,
                              const char *pointer, struct problems *problems)
{
    struct draft *draft = target;

    (void)field_count(value, pointer, problems, WORKFLOW_PREVIEW_ROWS_MAX,
                      &draft->preview_rows);
}

static void read_on_lost(void *target, const json_t *value, const char *pointer,
                         struct problems *problems)
{
    static const enum on_lost rules[] = {ON_LOST_AUTO, ON_LOST_RETRY,
                                         ON_LOST_FAIL};
    struct draft *draft = target;
    const char *name = json_string_value(value);

    for (size_t i = 0; name && i < sizeof rules / sizeof *rules; i++) {
        if (strcmp(name, on_lost_name(rules[i])) == 0) {
            draft->on_lost = rules[i];
            return;
        }
    }
    problems_add(problems, pointer, "on_lost",
                 "on_lost is \"retry\", \"fail\" or \"auto\".");
}

static void read_fallback(void *target, const json_t *value,
                          const char *pointer, struct problems *problems)
{
    struct draft *draft = target;

    if (json_is_boolean(value))
        draft->fallback_forbidden = json_is_false(value);
    else
        problems_add(problems, pointer, "type",
                     "allow_fallback is true or false.");
}

static void read_concurrency_key(void *target, const json_t *value,
                                 const char *pointer, struct problems *problems)
{
    (void)target;
    (void)value;
    problems_add(problems, pointer, "not_supported",
                 "Concurrency keys are not supported yet; leave it out.");
}

static const struct field submit_fields[] = {
    {"workflow", read_workflow},
    {"workflow_id", read_workflow_id},
    {"parameters", read_parameters},
    {"preferred_pool", read_pool},
    {"priority", read_priority},
    {"tags", read_tags},
    {"size_bytes", read_size},
    {"start_at", read_start_at},
    {"timeout_s", read_timeout},
    {"retries", read_retries},
    {"on_lost", read_on_lost},
    {"preview_rows", read_preview_rows},
    {"allow_fallback", read_fallback},
    {"concurrency_key", read_concurrency_key},
};

/* ---- from a draft to a submission --------------------------------------- */

bool submit_is_bare(const json_t *body)
{
    static const char *const keys[] = {"nodes", "connectionInformation_v1",
                                       "workflow_diagram", "flow"};

    if (!json_is_object(body) || json_object_get(body, "workflow"))
        return false;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (json_object_get(body, keys[i]))
            return true;
    }
    return false;
}

const json_t *submit_document(const json_t *body, const char **ret_pointer)
{
    const json_t *inside = json_object_get(body, "workflow");

    *ret_pointer = inside ? "/workflow" : "";
    return inside ? inside : body;
}

static int set_requires(struct workflow *wf, const char *pointer,
                        struct origin *origin, struct problems *problems)
{
    const char *const *names;
    size_t count;
    int r = workflow_requires(wf, &names, &count);

    if (r < 0)
        return r;
    if (count > RUN_REQUIRES_MAX) {
        problems_add(problems, pointer, "too_many_kinds",
                     "The nodes need %zu different abilities of an agent; at "
                     "most %d are possible. Split the workflow.",
                     count, RUN_REQUIRES_MAX);
        return -EINVAL;
    }
    for (size_t i = 0; i < count; i++) {
        if (strlen(names[i]) < RUN_REQUIRE_MAX)
            continue;
        problems_add(problems, pointer, "too_long",
                     "No agent can announce \"%.60s...\": it is over %d "
                     "bytes. Shorten the name.",
                     names[i], RUN_REQUIRE_MAX - 1);
        return -EINVAL;
    }
    memcpy(origin->requires, names, count * sizeof *names);
    origin->requires_count = count;
    return 0;
}

/* What nobody declares, an earlier run may have measured. When that is not
 * known either, and may still be estimated, the rule is left open. */
static int set_classification(const struct draft *draft, struct workflow *wf,
                              struct origin *origin, struct problems *problems)
{
    const struct config *config = draft->config;
    const char *requested =
        draft->pool >= 0 ? config->ledger.pools[draft->pool].name : NULL;
    struct measure measure;
    int r = features_of(wf, draft->size_bytes, draft->tags, draft->tag_count,
                        requested, &origin->features);

    if (r < 0)
        return r;
    submit_set_sources(wf, origin);
    if (submit_is_unsized(origin) && draft->reader &&
        measure_read(draft->reader, origin->workflow_id, origin->workflow,
                     &measure) == 0)
        (void)features_learn_size(&origin->features, (int64_t)measure.bytes,
                                  SIZE_MEASURED);
    if (submit_is_unsized(origin) && config->size_estimate_ms > 0)
        return 0;
    return submit_set_rule(config, draft->document_pointer, wf, origin,
                           problems);
}

struct workflow *submit_workflow(const struct exchange *exchange, size_t i)
{
    const struct kept *kept = exchange->owner_data;

    return kept->workflows[i];
}

/* The document's own word counts when the request has none. */
static void set_priority(const struct draft *draft, const struct workflow *wf,
                         struct origin *origin, struct problems *problems)
{
    char at[POINTER_MAX + 16];

    origin->priority = PRIORITY_NORMAL;
    if (draft->has_priority) {
        origin->priority = draft->priority;
    } else if (wf->priority &&
               run_priority_parse(wf->priority, &origin->priority) < 0) {
        snprintf(at, sizeof at, "%s/priority", draft->document_pointer);
        problems_add(problems, at, "priority",
                     "A priority is \"low\", \"normal\" or \"high\".");
    }
}

static int set_texts(const struct draft *draft, const struct workflow *wf,
                     struct kept *kept, size_t i, struct submission *submission,
                     struct problems *problems)
{
    size_t bytes;

    if ((draft->preview_rows > 0
             ? workflow_plan_text_preview(wf, (unsigned)draft->preview_rows,
                                          &kept->texts[2 * i], &bytes)
             : workflow_plan_text(wf, &kept->texts[2 * i], &bytes)) < 0)
        return -ENOMEM;
    submission->plan = (struct span){kept->texts[2 * i], bytes};
    if (bytes > WIRE_PLAN_MAX) {
        problems_add(problems, draft->document_pointer, "too_large",
                     "The plan of this workflow has %zu bytes; an agent takes "
                     "at most %d. Move data out of the document.",
                     bytes, WIRE_PLAN_MAX);
        return -EINVAL;
    }
    if (!draft->parameters)
        return 0;
    kept->texts[2 * i + 1] = json_dumps(draft->parameters, JSON_COMPACT);
    if (!kept->texts[2 * i + 1])
        return -ENOMEM;
    bytes = strlen(kept->texts[2 * i + 1]);
    submission->parameters = (struct span){kept->texts[2 * i + 1], bytes};
    if (bytes <= WIRE_PARAMETERS_MAX)
        return 0;
    problems_add(problems, draft->parameters_pointer, "too_large",
                 "The parameters have %zu bytes; at most %d are taken.", bytes,
                 WIRE_PARAMETERS_MAX);
    return -EINVAL;
}

static int set_submission(const struct draft *draft, struct kept *kept,
                          size_t i, struct submission *submission,
                          struct problems *problems)
{
    struct workflow *wf = kept->workflows[i];
    struct origin *origin = &submission->origin;
    int r;

    *origin = (struct origin){
        .workflow = wf->name,
        .workflow_id = draft->workflow_id ? draft->workflow_id : wf->id,
        .shape = wf->shape,
        .edges_inferred = wf->edges_inferred,
        .fallback_forbidden = draft->fallback_forbidden,
        .timeout_ms = draft->timeout_ms,
        .retry = {.retries = (uint32_t)draft->retries,
                  .on_lost = draft->on_lost,
                  .repeatable = workflow_repeatable(wf)},
        .start_at_unix_ms = draft->start_at_unix_ms,
        .who = kept->who,
        .traceparent = *kept->traceparent ? kept->traceparent : NULL,
    };
    set_priority(draft, wf, origin, problems);
    r = set_classification(draft, wf, origin, problems);
    if (r == 0)
        r = set_requires(wf, draft->document_pointer, origin, problems);
    return r < 0 ? r : set_texts(draft, wf, kept, i, submission, problems);
}

static void no_document(const struct draft *draft, const json_t *element,
                        const char *pointer, struct problems *problems)
{
    if (draft->workflow_id)
        problems_add(problems, pointer, "no_such_workflow",
                     "Registered workflows do not exist in this version: send "
                     "the document itself in \"workflow\".");
    else if (json_is_object(element))
        problems_add(problems, pointer, "missing_field",
                     "The field \"workflow\" is missing: the document to run.");
}

/* One element of the body. -EINVAL: problems were added. */
static int read_element(const struct api *api, json_t *element,
                        const char *pointer, struct kept *kept, size_t i,
                        struct submission *submission,
                        struct problems *problems)
{
    const struct config *config = api->config;
    struct draft draft = {.config = config,
                          .reader = api->reader,
                          .pool = -1,
                          .size_bytes = -1,
                          .on_lost = ON_LOST_AUTO};
    size_t before = problems->count + problems->dropped;
    int r;

    fields_read(submit_fields, sizeof submit_fields / sizeof *submit_fields,
                &draft, element, pointer, problems);
    if (!draft.document) {
        no_document(&draft, element, pointer, problems);
        return -EINVAL;
    }
    r = workflow_from_json(draft.document, draft.document_pointer,
                           &config->workflow, &kept->workflows[i], problems);
    if (r == 0)
        r = set_submission(&draft, kept, i, submission, problems);
    if (r == 0 && problems->count + problems->dropped > before)
        r = -EINVAL;
    return r;
}

/* ---- the whole body ----------------------------------------------------- */

static bool is_traceparent(const char *text)
{
    return text && strlen(text) == TRACEPARENT_BYTES &&
           strspn(text, "0123456789abcdef-") == TRACEPARENT_BYTES;
}

static struct kept *new_kept(const struct call *call, json_t *body,
                             size_t count)
{
    const char *trace = http_header(call->request, "traceparent");
    struct kept *kept = calloc(1, sizeof *kept);

    if (!kept)
        return NULL;
    kept->workflows = calloc(count, sizeof(struct workflow *));
    kept->texts = calloc(2 * count, sizeof(char *));
    if (!kept->workflows || !kept->texts) {
        free_kept(kept);
        return NULL;
    }
    kept->count = count;
    kept->body = json_incref(body);
    snprintf(kept->who, sizeof kept->who, "%s", call->who);
    if (is_traceparent(trace))
        snprintf(kept->traceparent, sizeof kept->traceparent, "%s", trace);
    return kept;
}

static struct exchange *new_exchange(const struct call *call, enum ask ask,
                                     json_t *body, size_t count,
                                     struct kept **ret_kept)
{
    struct exchange *exchange = exchange_new(ask);

    if (!exchange)
        return NULL;
    exchange->submissions = calloc(count, sizeof *exchange->submissions);
    exchange->owner_data = new_kept(call, body, count);
    if (!exchange->submissions || !exchange->owner_data) {
        if (exchange->owner_data)
            free_kept(exchange->owner_data);
        exchange->owner_data = NULL;
        exchange_free(&exchange);
        return NULL;
    }
    exchange->submission_count = count;
    exchange->owner_free = free_kept;
    *ret_kept = exchange->owner_data;
    exchange->who = (*ret_kept)->who;
    return exchange;
}

static bool right_count(const json_t *body, struct problems *problems)
{
    size_t count = json_array_size(body);

    if (!json_is_array(body) || (count >= 1 && count <= API_BATCH_MAX))
        return true;
    problems_add(problems, "", "batch_size",
                 "A batch has 1 to %d elements; this one has %zu.",
                 API_BATCH_MAX, count);
    return false;
}

/* The key belongs to its caller and to one place in the batch; the request is
 * what was asked for, however its JSON was written. */
static void set_once(const char *key, const struct call *call, json_t *element,
                     size_t i, struct once *ret)
{
    crypto_generichash_state hash;
    char *text = json_dumps(element, JSON_COMPACT | JSON_SORT_KEYS);

    (void)crypto_generichash_init(&hash, NULL, 0, sizeof ret->key);
    (void)crypto_generichash_update(&hash, (const uint8_t *)call->who,
                                    strlen(call->who) + 1);
    (void)crypto_generichash_update(&hash, (const uint8_t *)&i, sizeof i);
    (void)crypto_generichash_update(&hash, (const uint8_t *)key, strlen(key));
    (void)crypto_generichash_final(&hash, ret->key, sizeof ret->key);
    (void)crypto_generichash(ret->body, sizeof ret->body,
                             (const uint8_t *)(text ? text : ""),
                             text ? strlen(text) : 0, NULL, 0);
    free(text);
}

static int read_key(const struct call *call, json_t *body, struct kept *kept,
                    struct exchange *exchange, struct problems *problems)
{
    const char *key = http_header(call->request, "Idempotency-Key");

    if (!key)
        return 0;
    if (*key == '\0' || strlen(key) > IDEMPOTENCY_KEY_MAX) {
        problems_add(problems, "", "idempotency_key",
                     "An Idempotency-Key has 1 to %d characters.",
                     IDEMPOTENCY_KEY_MAX);
        return -EINVAL;
    }
    kept->once = calloc(exchange->submission_count, sizeof *kept->once);
    if (!kept->once)
        return -ENOMEM;
    for (size_t i = 0; i < exchange->submission_count; i++) {
        set_once(key, call,
                 json_is_array(body) ? json_array_get(body, i) : body, i,
                 &kept->once[i]);
        exchange->submissions[i].origin.once = &kept->once[i];
    }
    return 0;
}

int submit_read(const struct call *call, enum ask ask, json_t *body,
                struct exchange **ret_exchange, struct problems *problems,
                const char **ret_hint)
{
    bool many = json_is_array(body);
    size_t count = many ? json_array_size(body) : 1;
    struct exchange *exchange;
    struct kept *kept;
    int r = 0;

    *ret_hint = NULL;
    if (!right_count(body, problems))
        return -EINVAL;
    exchange = new_exchange(call, ask, body, count, &kept);
    if (!exchange)
        return -ENOMEM;
    for (size_t i = 0; i < count && r != -ENOMEM; i++) {
        json_t *element = many ? json_array_get(body, i) : body;
        char pointer[24] = "";
        int one;

        if (many)
            snprintf(pointer, sizeof pointer, "/%zu", i);
        if (submit_is_bare(element)) {
            *ret_hint = "This is a workflow document. Wrap it: {\"workflow\": "
                        "{...}}.";
            problems_add(problems, pointer, "missing_field",
                         "The field \"workflow\" is missing; the document's "
                         "own fields stand in its place.");
            one = -EINVAL;
        } else {
            one = read_element(call->api, element, pointer, kept, i,
                               &exchange->submissions[i], problems);
        }
        if (one < 0 && r != -ENOMEM)
            r = one;
    }
    if (r == 0)
        r = read_key(call, body, kept, exchange, problems);
    if (r < 0) {
        exchange_free(&exchange);
        return r;
    }
    *ret_exchange = exchange;
    return 0;
}
