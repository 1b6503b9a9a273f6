/* workflow_build.c - see workflow_build.h */
#include "policy/workflow_build.h"
#include "policy/text.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- pointers -------------------------------------------------------- */

const char *pointer_key(struct build *b, const char *base, const char *key)
{
    size_t base_bytes = strlen(base);
    char *pointer =
        workflow_alloc(b->scratch, base_bytes + 2 * strlen(key) + 2);
    if (pointer == NULL) {
        b->no_memory = true;
        return base;
    }
    char *out = mempcpy(pointer, base, base_bytes);
    *out++ = '/';
    for (const char *c = key; *c != '\0'; c++) {
        if (*c == '~' || *c == '/') {
            *out++ = '~';
            *out++ = *c == '~' ? '0' : '1';
        } else {
            *out++ = *c;
        }
    }
    *out = '\0';
    return pointer;
}

const char *pointer_index(struct build *b, const char *base, size_t index)
{
    char key[24];
    snprintf(key, sizeof key, "%zu", index);
    return pointer_key(b, base, key);
}

/* ---- values ---------------------------------------------------------- */

const char *json_type_name(const json_t *value)
{
    if (value == NULL)
        return "nothing";
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "true or false";
    case JSON_NULL:
        return "null";
    }
    return "nothing";
}

size_t build_problem_count(const struct build *b)
{
    return b->problems->count + b->problems->dropped;
}

void build_wrong_type(struct build *b, const json_t *value, const char *pointer,
                      const char *wanted)
{
    problems_add(b->problems, pointer, "wrong_type", "this must be %s, not %s",
                 wanted, json_type_name(value));
}

static bool is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

static char *copy_of(struct build *b, const char *text, size_t bytes)
{
    char *copy = workflow_alloc(b->wf, bytes + 1);
    if (copy == NULL)
        b->no_memory = true;
    else
        memcpy(copy, text, bytes);
    return copy;
}

char *build_text(struct build *b, const json_t *value, const char *pointer,
                 size_t max)
{
    if (!json_is_string(value)) {
        build_wrong_type(b, value, pointer, "a string");
        return NULL;
    }
    const char *text = json_string_value(value);
    size_t bytes = json_string_length(value);
    if (bytes == 0) {
        problems_add(b->problems, pointer, "empty", "this must not be empty");
        return NULL;
    }
    if (bytes > max) {
        problems_add(b->problems, pointer, "too_long",
                     "this has %zu bytes, at most %zu are allowed", bytes, max);
        return NULL;
    }
    for (size_t i = 0; i < bytes; i++) {
        if (is_control(text[i])) {
            problems_add(b->problems, pointer, "control_character",
                         "byte %zu of this text is a control character", i + 1);
            return NULL;
        }
    }
    return copy_of(b, text, bytes);
}

void build_put(struct build *b, json_t *object, const char *key, json_t *value)
{
    if (value == NULL || json_object_set_new(object, key, value) != 0)
        b->no_memory = true;
}

bool build_list(struct build *b, const json_t *value, const char *pointer,
                const char *of_what, size_t max)
{
    size_t count = json_array_size(value);
    if (!json_is_array(value))
        problems_add(b->problems, pointer, "wrong_type",
                     "this must be an array of %s, not %s", of_what,
                     json_type_name(value));
    else if (count == 0)
        problems_add(b->problems, pointer, "empty",
                     "this must have at least one of %s", of_what);
    else if (count > max)
        problems_add(b->problems, pointer, "too_long",
                     "this has %zu items, at most %zu are allowed", count, max);
    else
        return true;
    return false;
}

const char *build_long_text(struct build *b, const json_t *value,
                            const char *pointer, size_t max)
{
    if (!json_is_string(value)) {
        build_wrong_type(b, value, pointer, "a string");
        return NULL;
    }
    const char *text = json_string_value(value);
    size_t bytes = json_string_length(value);
    if (bytes == 0)
        problems_add(b->problems, pointer, "empty", "this must not be empty");
    else if (bytes > max)
        problems_add(b->problems, pointer, "too_long",
                     "this has %zu bytes, at most %zu are allowed", bytes, max);
    else if (strlen(text) != bytes)
        problems_add(b->problems, pointer, "nul_character",
                     "this contains a NUL character");
    else
        return text;
    return NULL;
}

/* Bytes of white space at text: blanks, control characters, or a no-break
 * space (U+00A0, two bytes). */
static size_t blank_len(const char *text, size_t bytes)
{
    if (bytes >= 1 && (text[0] == ' ' || is_control(text[0])))
        return 1;
    if (bytes >= 2 && memcmp(text, "\xc2\xa0", 2) == 0)
        return 2;
    return 0;
}

void build_trim(const char **text, size_t *bytes)
{
    size_t blank;
    while ((blank = blank_len(*text, *bytes)) > 0) {
        *text += blank;
        *bytes -= blank;
    }
    for (;;) {
        const char *end = *text + *bytes;
        if (*bytes >= 1 && blank_len(end - 1, 1) == 1)
            *bytes -= 1;
        else if (*bytes >= 2 && blank_len(end - 2, 2) == 2)
            *bytes -= 2;
        else
            break;
    }
}

char *build_label(struct build *b, const json_t *value)
{
    const char *text = json_string_value(value);
    size_t bytes = json_string_length(value);
    if (text == NULL)
        return NULL;
    build_trim(&text, &bytes);
    if (bytes == 0)
        return NULL;

    char *label =
        copy_of(b, text, bytes < WORKFLOW_NAME_MAX ? bytes : WORKFLOW_NAME_MAX);
    if (label == NULL)
        return NULL;
    if (bytes > WORKFLOW_NAME_MAX)
        text_trim_cut(label, WORKFLOW_NAME_MAX);
    for (char *c = label; *c != '\0'; c++) {
        if (is_control(*c))
            *c = ' ';
    }
    return label;
}

char *build_word(struct build *b, const json_t *value)
{
    const char *text = json_string_value(value);
    size_t bytes = json_string_length(value);
    if (text == NULL)
        return NULL;
    build_trim(&text, &bytes);
    if (bytes == 0)
        return NULL;
    char *word = copy_of(b, text, bytes);
    for (char *c = word; c != NULL && *c != '\0'; c++) {
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    }
    return word;
}

int64_t build_size(struct build *b, const json_t *value, const char *pointer)
{
    /* 2^63 as a double is exact; what is below it fits. */
    const double end = 9223372036854775808.0;

    if (json_is_integer(value) && json_integer_value(value) >= 0)
        return json_integer_value(value);
    if (json_is_real(value)) {
        double real = json_real_value(value);
        if (real >= 0 && real < end && (double)(int64_t)real == real)
            return (int64_t)real;
    }
    if (json_is_number(value))
        problems_add(b->problems, pointer, "bad_value",
                     "a size is a whole number of bytes, 0 or more");
    else
        build_wrong_type(b, value, pointer, "a number of bytes");
    return -1;
}

/* jansson's own texts quote the input and cut it anywhere; these do not. */
static void parse_problem(struct build *b, const json_error_t *error,
                          const char *pointer, bool inside)
{
    const char *code = "invalid_json";
    const char *what = "this is not JSON";

    switch (json_error_code(error)) {
    case json_error_premature_end_of_input:
        code = "cut_off";
        what = "the document ends in the middle; it was cut off";
        break;
    case json_error_duplicate_key:
        code = "duplicate_key";
        what = "an object has the same key twice";
        break;
    case json_error_invalid_utf8:
        code = "invalid_utf8";
        what = "a string is not valid UTF-8";
        break;
    case json_error_null_character:
    case json_error_null_byte_in_key:
        code = "nul_character";
        what = "a string contains a NUL character";
        break;
    case json_error_stack_overflow:
        code = "too_deep";
        what = "arrays and objects are nested too deeply";
        break;
    case json_error_numeric_overflow:
        code = "number_range";
        what = "a number is too large";
        break;
    case json_error_end_of_input_expected:
        what = "something follows after the end of the document";
        break;
    default:
        break;
    }
    problems_add(b->problems, pointer, code, "%s (line %d, column %d%s)", what,
                 error->line, error->column,
                 inside ? " of the JSON inside this string" : "");
}

json_t *build_parse(struct build *b, const char *text, size_t bytes,
                    const char *pointer, bool inside)
{
    json_error_t error;
    json_t *value = json_loadb(
        text, bytes, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (value != NULL)
        return value;
    /* jansson has words for every mistake in a text, and none when it could not
     * allocate. */
    if (error.text[0] == '\0' ||
        json_error_code(&error) == json_error_out_of_memory)
        b->no_memory = true;
    else
        parse_problem(b, &error, pointer, inside);
    return NULL;
}

json_t *build_open(struct build *b, json_t *value, const char *pointer)
{
    /* Twice is what has been seen in the wild; more is a mistake. */
    enum { TIMES_MAX = 3 };
    json_t *open = json_incref(value);
    for (int i = 0; i < TIMES_MAX && json_is_string(open); i++) {
        json_t *inner = build_parse(b, json_string_value(open),
                                    json_string_length(open), pointer, true);
        json_decref(open);
        open = inner;
    }
    return open;
}

char *build_dump(struct build *b, const json_t *value)
{
    char *dumped = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    char *text = dumped != NULL ? workflow_strdup(b->wf, dumped) : NULL;
    if (text == NULL)
        b->no_memory = true;
    free(dumped);
    return text;
}

/* ---- suggestions ----------------------------------------------------- */

enum { GUESS_WORD_MAX = 31 };

void guess_try(struct guess *guess, const char *candidate)
{
    size_t word_len = strlen(guess->word);
    if (word_len > GUESS_WORD_MAX || strlen(candidate) > GUESS_WORD_MAX)
        return;
    size_t distance = text_distance(guess->word, candidate, true);
    size_t near = word_len <= 3 ? 1 : word_len <= 6 ? 2 : 3;
    if (distance > near || (guess->best && distance >= guess->distance))
        return;
    guess->best = candidate;
    guess->distance = distance;
}

void guess_try_all(struct guess *guess, const char *const *candidates)
{
    for (; *candidates != NULL; candidates++)
        guess_try(guess, *candidates);
}

const char *guess_text(const struct guess *guess, char buf[GUESS_TEXT_MAX])
{
    buf[0] = '\0';
    if (guess->best != NULL)
        snprintf(buf, GUESS_TEXT_MAX, "; did you mean \"%s\"?", guess->best);
    return buf;
}

void build_unknown_key(struct build *b, const char *pointer, const char *a,
                       struct guess *guess)
{
    char buf[GUESS_TEXT_MAX];
    problems_add(b->problems, pointer, "unknown_field",
                 "%s has no field \"%.80s\"%s", a, guess->word,
                 guess_text(guess, buf));
}

/* ---- the head -------------------------------------------------------- */

static void add_tag(struct build *b, const json_t *value, const char *pointer)
{
    char *tag = build_text(b, value, pointer, WORKFLOW_NAME_MAX);
    if (tag != NULL)
        b->wf->tags[b->wf->tag_count++] = tag;
}

/* "etl, nightly" as an array. */
static json_t *split_tags(const char *text)
{
    json_t *tags = json_array();
    while (tags != NULL && *text != '\0') {
        size_t bytes = strcspn(text, ",");
        const char *tag = text;
        size_t tag_bytes = bytes;
        build_trim(&tag, &tag_bytes);
        if (tag_bytes > 0 &&
            json_array_append_new(tags, json_stringn(tag, tag_bytes)) != 0) {
            json_decref(tags);
            return NULL;
        }
        text += bytes + (text[bytes] == ',');
    }
    return tags;
}

void build_tags(struct build *b, const json_t *value, const char *pointer,
                bool from_text)
{
    json_t *split = NULL;
    if (from_text && json_is_string(value)) {
        split = split_tags(json_string_value(value));
        b->no_memory = b->no_memory || split == NULL;
        value = split;
    }
    if (value == NULL)
        return;
    size_t count = json_array_size(value);
    if (!json_is_array(value)) {
        build_wrong_type(b, value, pointer, "an array of strings");
    } else if (count > WORKFLOW_TAGS_MAX) {
        problems_add(b->problems, pointer, "too_many_tags",
                     "there are %zu tags, at most %d are allowed", count,
                     WORKFLOW_TAGS_MAX);
    } else if (count > 0) {
        b->wf->tags = workflow_alloc(b->wf, count * sizeof *b->wf->tags);
        if (b->wf->tags == NULL)
            b->no_memory = true;
        for (size_t i = 0; i < count && b->wf->tags != NULL; i++)
            add_tag(b, json_array_get(value, i),
                    split ? pointer : pointer_index(b, pointer, i));
    }
    json_decref(split);
}

void build_priority(struct build *b, const json_t *value, const char *pointer)
{
    static const char *const names[] = {"low", "normal", "high"};
    if (!json_is_string(value)) {
        build_wrong_type(b, value, pointer, "a string");
        return;
    }
    struct guess guess = {.word = json_string_value(value)};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], guess.word) == 0) {
            b->wf->priority = copy_of(b, names[i], strlen(names[i]));
            return;
        }
        guess_try(&guess, names[i]);
    }
    char buf[GUESS_TEXT_MAX];
    problems_add(b->problems, pointer, "bad_value",
                 "a priority is \"low\", \"normal\" or \"high\"%s",
                 guess_text(&guess, buf));
}

/* The first of these keys that the document has and is not null. */
static json_t *first_of(const json_t *document, const char *const *keys,
                        const char **ret_key)
{
    for (; *keys != NULL; keys++) {
        json_t *value = json_object_get(document, *keys);
        if (value != NULL && !json_is_null(value)) {
            *ret_key = *keys;
            return value;
        }
    }
    return NULL;
}

void build_foreign_head(struct build *b, const json_t *document)
{
    static const char *const id_keys[] = {"workflow_id", "id", NULL};
    static const char *const name_keys[] = {"workflow_name", "name", NULL};
    const char *at = b->wf->pointer;
    const char *key;
    const json_t *value;

    if ((value = first_of(document, id_keys, &key)) != NULL)
        b->wf->id =
            build_text(b, value, pointer_key(b, at, key), WORKFLOW_NAME_MAX);
    if ((value = first_of(document, name_keys, &key)) != NULL) {
        b->wf->name = build_label(b, value);
        if (!json_is_string(value))
            build_wrong_type(b, value, pointer_key(b, at, key), "a string");
        else if (b->wf->name == NULL && !b->no_memory)
            problems_add(b->problems, pointer_key(b, at, key), "empty_name",
                         "the workflow's name is empty");
    }
    if (b->wf->name == NULL)
        b->wf->name = copy_of(b, "untitled", strlen("untitled"));
    if ((value = json_object_get(document, "tags")) != NULL &&
        !json_is_null(value))
        build_tags(b, value, pointer_key(b, at, "tags"), true);
    if ((value = json_object_get(document, "size_bytes")) != NULL &&
        !json_is_null(value))
        b->wf->size_bytes =
            build_size(b, value, pointer_key(b, at, "size_bytes"));
    if ((value = json_object_get(document, "priority")) != NULL &&
        !json_is_null(value))
        build_priority(b, value, pointer_key(b, at, "priority"));
}

/* ---- the graph ------------------------------------------------------- */

void build_room_nodes(struct build *b, size_t count, const char *pointer)
{
    struct workflow *wf = b->wf;
    if (count > b->limits->nodes_max) {
        problems_add(b->problems, pointer, "too_many_nodes",
                     "the workflow has %zu nodes, at most %zu are allowed",
                     count, b->limits->nodes_max);
        b->nodes_unread = true;
        wf->incomplete = true;
        return;
    }
    if (count == 0)
        return;
    wf->nodes = workflow_alloc(wf, count * sizeof *wf->nodes);
    b->hints = workflow_alloc(b->scratch, count * sizeof *b->hints);
    b->node_room = wf->nodes != NULL && b->hints != NULL ? count : 0;
    b->no_memory = b->no_memory || b->node_room == 0;
}

static void too_many_edges(struct build *b, const char *pointer)
{
    if (!b->too_many_edges)
        problems_add(b->problems, pointer, "too_many_edges",
                     "the workflow has more than %zu edges, which is the most "
                     "allowed",
                     b->limits->edges_max);
    b->too_many_edges = true;
    b->wf->incomplete = true;
}

void build_room_edges(struct build *b, size_t count, const char *pointer)
{
    struct workflow *wf = b->wf;
    if (count > b->limits->edges_max) {
        too_many_edges(b, pointer);
        return;
    }
    if (count == 0)
        return;
    wf->edges = workflow_alloc(wf, count * sizeof *wf->edges);
    b->edge_room = wf->edges != NULL ? count : 0;
    b->no_memory = b->no_memory || wf->edges == NULL;
}

char *build_node_id(struct build *b, const json_t *object, const char *pointer)
{
    const json_t *id = json_object_get(object, "id");
    if (id == NULL) {
        problems_add(b->problems, pointer, "missing_field",
                     "a node needs \"id\"");
        return NULL;
    }
    return build_text(b, id, pointer_key(b, pointer, "id"), WORKFLOW_NAME_MAX);
}

struct node *build_node(struct build *b, char *id, const char *pointer)
{
    struct workflow *wf = b->wf;
    if (id == NULL || wf->node_count == b->node_room) {
        wf->incomplete = true;
        return NULL;
    }
    struct node *node = &wf->nodes[wf->node_count++];
    node->id = id;
    node->label = id;
    node->size_bytes = -1;
    node->pointer = copy_of(b, pointer, strlen(pointer));
    node->config_json = copy_of(b, "{}", 2);
    return node;
}

struct node_hint *build_hint(struct build *b, const struct node *node)
{
    const struct node *nodes = b->wf->nodes;
    bool counts =
        nodes != NULL && node >= nodes && node < nodes + b->wf->node_count;
    return counts ? &b->hints[node - nodes] : NULL;
}

void build_index(struct build *b)
{
    if (workflow_sort_ids(b->wf, &b->by_id) != 0)
        b->no_memory = true;
}

bool build_find(const struct build *b, const char *id, uint32_t *ret_node)
{
    return b->by_id != NULL && workflow_find(b->wf, b->by_id, id, ret_node);
}

void build_edge(struct build *b, uint32_t source, uint32_t target,
                const char *pointer)
{
    struct workflow *wf = b->wf;
    if (source == target) {
        problems_add(b->problems, pointer, "self_edge",
                     "the node \"%.80s\" cannot come before itself",
                     wf->nodes[source].id);
        wf->incomplete = true;
    } else if (wf->edge_count < b->edge_room) {
        wf->edges[wf->edge_count++] =
            (struct edge){.source = source, .target = target};
    }
}

bool build_edge_end(struct build *b, const json_t *id, const char *pointer,
                    uint32_t *ret_node)
{
    if (!json_is_string(id)) {
        build_wrong_type(b, id, pointer, "the id of a node, a string");
    } else if (build_find(b, json_string_value(id), ret_node)) {
        return true;
    } else if (b->by_id != NULL && !b->nodes_unread) {
        problems_add(b->problems, pointer, "edge_to_nothing",
                     "there is no node with the id \"%.80s\"",
                     json_string_value(id));
    }
    b->wf->incomplete = true;
    return false;
}

void build_sum_sizes(struct build *b)
{
    struct workflow *wf = b->wf;
    if (wf->size_bytes >= 0)
        return;
    for (size_t i = 0; i < wf->node_count; i++) {
        int64_t size = wf->nodes[i].size_bytes;
        if (size < 0)
            continue;
        int64_t sum = wf->size_bytes < 0 ? 0 : wf->size_bytes;
        wf->size_bytes = size > INT64_MAX - sum ? INT64_MAX : sum + size;
    }
}
