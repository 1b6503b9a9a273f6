/*
 * api_submit.h - the body of execute and plan -> submissions: every field
 * checked, the document read and classified, all problems of all documents
 * reported at once. Also the table reader that the other bodies use.
 *
 * Threads: the front thread; off the core's.
 */
#ifndef DISPATCHER_API_SUBMIT_H
#define DISPATCHER_API_SUBMIT_H

#include "dispatcher/api.h"
#include "dispatcher/front_ask.h"

/* ---- objects with known fields ------------------------------------------ */

/* What a field is to be, and where it goes. `read` adds problems, each at
 * `pointer`. */
typedef void field_read(void *target, const json_t *value, const char *pointer,
                        struct problems *problems);
struct field {
    const char *name;
    field_read *read;
};

enum { POINTER_MAX = 160 };

/* Reads an object by a table of fields; a key that is not in it is a problem
 * with the nearest name. null counts as not sent. */
void fields_read(const struct field *fields, size_t count, void *target,
                 json_t *object, const char *pointer,
                 struct problems *problems);
/* "10m", "90s" or seconds -> ms. false: a problem was added. */
bool field_duration(const json_t *value, const char *pointer,
                    struct problems *problems, uint64_t *ret_ms);
/* "1GiB" or bytes. */
bool field_size(const json_t *value, const char *pointer,
                struct problems *problems, int64_t *ret_bytes);
bool field_count(const json_t *value, const char *pointer,
                 struct problems *problems, uint64_t max, uint64_t *ret);
/* A pool's name or alias -> its index, -1: a problem was added. */
int field_pool(const struct ledger_config *config, const json_t *value,
               const char *pointer, struct problems *problems);
/* Text of 1 to max bytes, borrowed from value; NULL: a problem was added. */
const char *field_text(const json_t *value, const char *pointer,
                       struct problems *problems, size_t max);

/* ---- submissions -------------------------------------------------------- */

/* An exchange with one submission for an object, or for each element of an
 * array. Those whose size nobody knows, but that have sources an agent could
 * be asked about, have no rule yet (submit_is_unsized()). Texts live in the
 * exchange, which keeps a reference to body. `hint` is set when the body looks
 * like something else. -EINVAL: problems; -ENOMEM. */
int submit_read(const struct call *call, enum ask ask, json_t *body,
                struct exchange **ret_exchange, struct problems *problems,
                const char **ret_hint);

bool submit_is_unsized(const struct origin *origin);
/* The nodes that read from outside, by their places in the plan: what they give
 * is measured when the run has completed. */
void submit_set_sources(const struct workflow *wf, struct origin *origin);
/* Sets the rule by the features as they are now. -EINVAL: no rule, a problem at
 * pointer was added; -ENOMEM. */
int submit_set_rule(const struct config *config, const char *pointer,
                    struct workflow *wf, struct origin *origin,
                    struct problems *problems);
/* The document of a submission; the exchange's. */
struct workflow *submit_workflow(const struct exchange *exchange, size_t i);
/* The same of a submission. */
int submit_classify(const struct call *call, struct exchange *exchange,
                    size_t i, struct problems *problems);

/* Finds out the sizes that nobody declares (api_sizes.c), classifies what waits
 * for that, and asks the core as ask() does. The exchange is taken. Answers
 * itself when there is a problem. */
void submit_sized(struct call *call, struct exchange *exchange, ask_done *done);

/* A bare document, or {"workflow": document}: what it is checked as. */
const json_t *submit_document(const json_t *body, const char **ret_pointer);
/* "workflow" is missing and the body has a document's keys. */
bool submit_is_bare(const json_t *body);

#endif
