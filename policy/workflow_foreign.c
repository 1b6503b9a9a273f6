/*
 * workflow_foreign.c - what a foreign document's category and type say a node
 * is.
 */
#include "policy/workflow_build.h"

#include <string.h>

/* Names other than our own, written without blanks, "-" and "_". */
static const struct {
    const char *word, *kind;
} foreign_kinds[] = {
    {"aggregator", "aggregate"}, {"groupby", "aggregate"},
    {"joiner", "join"},          {"selectcolumns", "select"},
    {"sorter", "sort"},          {"sequencegenerator", "sequence"},
    {"deduplicate", "distinct"},
};

static const struct node_kind *foreign_kind(const char *word)
{
    enum { PLAIN_MAX = 31 };
    char plain[PLAIN_MAX + 1];
    size_t bytes = 0;
    for (const char *c = word; *c != '\0' && bytes < PLAIN_MAX; c++) {
        if (*c != ' ' && *c != '-' && *c != '_')
            plain[bytes++] = *c;
    }
    plain[bytes] = '\0';
    for (size_t i = 0; i < sizeof foreign_kinds / sizeof foreign_kinds[0];
         i++) {
        if (strcmp(plain, foreign_kinds[i].word) == 0)
            return node_kind_find(foreign_kinds[i].kind);
    }
    return node_kind_find(word);
}

static bool is_either(const char *word, const char *one, const char *other)
{
    return word != NULL && (strcmp(word, one) == 0 || strcmp(word, other) == 0);
}

static void unknown_type(struct build *b, const char *word, const char *pointer)
{
    size_t count;
    const struct node_kind *kinds = node_kinds(&count);
    char buf[GUESS_TEXT_MAX];
    struct guess guess = {.word = word};
    for (size_t i = 0; i < count; i++)
        guess_try(&guess, kinds[i].name);
    for (size_t i = 0; i < sizeof foreign_kinds / sizeof foreign_kinds[0]; i++)
        guess_try(&guess, foreign_kinds[i].word);
    problems_add(b->problems, pointer, "unknown_kind",
                 "there is no kind of node called \"%.80s\"%s", word,
                 guess_text(&guess, buf));
}

bool build_foreign_type(struct build *b, struct node *node,
                        const json_t *object, const char *base,
                        const struct foreign_type *type)
{
    const char *category =
        build_word(b, json_object_get(object, type->category_key));
    const char *word = build_word(b, json_object_get(object, type->type_key));

    if (word == NULL) {
        problems_add(b->problems, base, "missing_field",
                     "a node needs \"%s\", what it is", type->type_key);
        return false;
    }
    const char *at = pointer_key(b, base, type->type_key);
    bool is_db = is_either(category, "databases", "database");
    bool is_transform =
        is_either(category, "transformations", "transformation");
    const struct node_kind *kind = is_db ? NULL : foreign_kind(word);
    const char *engine = engine_of_connector(b->wf, word);
    if (engine == NULL) {
        b->no_memory = true;
        return false;
    }

    /* Without a category that says otherwise, what carries the name of a
     * database is one. */
    if (is_db || (kind == NULL && !is_transform && engine_is_known(engine))) {
        if (strlen(engine) > WORKFLOW_ENGINE_MAX) {
            problems_add(b->problems, at, "too_long",
                         "this has %zu bytes, at most %d are allowed",
                         strlen(engine), WORKFLOW_ENGINE_MAX);
            return false;
        }
        for (const char *c = engine; *c != '\0'; c++) {
            if ((unsigned char)*c < 0x20 || *c == 0x7f) {
                problems_add(b->problems, at, "control_character",
                             "the name of a connector contains a control "
                             "character");
                return false;
            }
        }
        node->engine = engine;
        node->kind = node_kind_find(type->writes ? "load" : "extract");
        return true;
    }
    if (kind == NULL || (is_transform && kind->class != NODE_TRANSFORM)) {
        unknown_type(b, word, at);
        return false;
    }
    node->kind = kind;
    return true;
}
