/*
 * workflow_fields.c - the fields of a node: which its kind has, and what may
 * stand in each. A field means the same in every kind that has it, so there is
 * one table of checks by name.
 */
#include "policy/workflow_data.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
    TEXT_MAX = 1024 * 1024,      /* a body: bytes */
    ARGUMENT_MAX = 128 * 1024,   /* Linux' MAX_ARG_STRLEN, with the NUL */
    ARGUMENTS_MAX = 1024 * 1024, /* argv and env each, all bytes together */
    URL_MAX = 8192,
    ARGUMENT_ITEMS_MAX = 4096, /* what agents take in argv */
};

typedef void check_fn(struct build *b, json_t *value, const char *pointer);

static void bad_value(struct build *b, const char *pointer, const char *what)
{
    problems_add(b->problems, pointer, "bad_value", "%s", what);
}

static void check_name(struct build *b, json_t *value, const char *pointer)
{
    data_check_name(b, value, pointer);
}

static void check_connection(struct build *b, json_t *value,
                             const char *pointer)
{
    data_check_connection(b, value, pointer);
}

static void check_any_text(struct build *b, json_t *value, const char *pointer)
{
    if (!json_is_string(value) || json_string_length(value) > 0)
        build_long_text(b, value, pointer, TEXT_MAX);
}

static void check_flag(struct build *b, json_t *value, const char *pointer)
{
    if (!json_is_boolean(value))
        build_wrong_type(b, value, pointer, "true or false");
}

static void check_integer(struct build *b, json_t *value, const char *pointer)
{
    if (!json_is_integer(value))
        build_wrong_type(b, value, pointer, "a whole number");
}

static void check_count(struct build *b, json_t *value, const char *pointer)
{
    check_integer(b, value, pointer);
    if (json_is_integer(value) && json_integer_value(value) < 0)
        bad_value(b, pointer, "this must be 0 or more");
}

/* One character, as CSV readers want it. */
static void check_byte(struct build *b, json_t *value, const char *pointer)
{
    if (!json_is_string(value))
        build_wrong_type(b, value, pointer, "a string");
    else if (json_string_length(value) != 1)
        bad_value(b, pointer, "this must be one ASCII character");
}

static bool contains(const char *const *list, const char *word)
{
    for (; list != NULL && *list != NULL; list++) {
        if (strcmp(*list, word) == 0)
            return true;
    }
    return false;
}

static void check_choice(struct build *b, json_t *value, const char *pointer,
                         const char *const *choices, const char *said)
{
    if (!json_is_string(value)) {
        build_wrong_type(b, value, pointer, "a string");
        return;
    }
    char buf[GUESS_TEXT_MAX];
    struct guess guess = {.word = json_string_value(value)};
    if (contains(choices, guess.word))
        return;
    guess_try_all(&guess, choices);
    problems_add(b->problems, pointer, "bad_value", "this must be %s%s", said,
                 guess_text(&guess, buf));
}

static void check_mode(struct build *b, json_t *value, const char *pointer)
{
    static const char *const modes[] = {"append", "truncate", "merge", NULL};
    check_choice(b, value, pointer, modes, "append, truncate or merge");
}

static void check_on_errors(struct build *b, json_t *value, const char *pointer)
{
    static const char *const choices[] = {"fail", "skip", NULL};
    check_choice(b, value, pointer, choices, "fail or skip");
}

static void check_how(struct build *b, json_t *value, const char *pointer)
{
    static const char *const hows[] = {"inner", "left", "right", "full", NULL};
    check_choice(b, value, pointer, hows, "inner, left, right or full");
}

static void check_method(struct build *b, json_t *value, const char *pointer)
{
    static const char *const methods[] = {"GET",   "HEAD",   "POST",    "PUT",
                                          "PATCH", "DELETE", "OPTIONS", NULL};
    check_choice(b, value, pointer, methods,
                 "GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS");
}

static void check_engine(struct build *b, json_t *value, const char *pointer)
{
    build_text(b, value, pointer, WORKFLOW_ENGINE_MAX);
}

/* ---- command --------------------------------------------------------- */

static void too_long_for_exec(struct build *b, const char *pointer)
{
    problems_add(b->problems, pointer, "too_long",
                 "all together has more than %d bytes, which no program can be "
                 "given",
                 ARGUMENTS_MAX);
}

static void check_argv(struct build *b, json_t *value, const char *pointer)
{
    size_t total = 0;
    if (!build_list(b, value, pointer, "strings: the program and its arguments",
                    ARGUMENT_ITEMS_MAX))
        return;
    for (size_t i = 0; i < json_array_size(value); i++) {
        json_t *item = json_array_get(value, i);
        total += json_string_length(item) + 1;
        /* Any argument may be empty, but not the program. */
        if (i > 0 && json_is_string(item) && json_string_length(item) == 0)
            continue;
        build_long_text(b, item, pointer_index(b, pointer, i),
                        ARGUMENT_MAX - 1);
    }
    if (total > ARGUMENTS_MAX)
        too_long_for_exec(b, pointer);
}

static void check_env(struct build *b, json_t *value, const char *pointer)
{
    static const char reserved[] = "DISPATCH_";
    size_t total = 0;
    const char *key;
    json_t *item;

    if (!json_is_object(value)) {
        build_wrong_type(b, value, pointer, "an object of strings");
        return;
    }
    json_object_foreach(value, key, item) {
        total += strlen(key) + json_string_length(item) + 2;
        const char *at = pointer_key(b, pointer, key);
        if (key[0] == '\0' || strchr(key, '=') != NULL)
            bad_value(b, at,
                      "the name of a variable must not be empty or contain =");
        else if (strncmp(key, reserved, strlen(reserved)) == 0)
            bad_value(b, at,
                      "names that begin with DISPATCH_ are set by the agent");
        if (!json_is_string(item) || json_string_length(item) > 0)
            build_long_text(b, item, at, ARGUMENT_MAX / 2);
    }
    if (total > ARGUMENTS_MAX)
        too_long_for_exec(b, pointer);
}

static void check_cwd(struct build *b, json_t *value, const char *pointer)
{
    build_long_text(b, value, pointer, 4095); /* PATH_MAX without the NUL */
}

/* ---- http ------------------------------------------------------------ */

static void check_url(struct build *b, json_t *value, const char *pointer)
{
    const char *url = build_long_text(b, value, pointer, URL_MAX);
    if (url == NULL)
        return;
    size_t scheme = strncasecmp(url, "http://", 7) == 0    ? 7
                    : strncasecmp(url, "https://", 8) == 0 ? 8
                                                           : 0;
    if (scheme == 0) {
        bad_value(b, pointer, "a URL begins with http:// or https://");
        return;
    }
    if (strcspn(url + scheme, "/?#") == 0) {
        bad_value(b, pointer, "this URL names no host");
        return;
    }
    for (const char *c = url; *c != '\0'; c++) {
        if ((unsigned char)*c <= ' ' || *c == 0x7f) {
            bad_value(b, pointer,
                      "a URL has no blanks or control characters; write them "
                      "as %20 and the like");
            return;
        }
    }
}

static bool is_token(const char *text)
{
    if (*text == '\0')
        return false;
    return text[strspn(text, "!#$%&'*+-.^_`|~0123456789"
                             "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                             "abcdefghijklmnopqrstuvwxyz")] == '\0';
}

static void check_headers(struct build *b, json_t *value, const char *pointer)
{
    enum { HEADERS_MAX = 100 };
    const char *key;
    json_t *item;

    if (!json_is_object(value)) {
        build_wrong_type(b, value, pointer, "an object of strings");
        return;
    }
    if (json_object_size(value) > HEADERS_MAX)
        bad_value(b, pointer, "there are more than 100 headers");
    json_object_foreach(value, key, item) {
        const char *at = pointer_key(b, pointer, key);
        if (!is_token(key))
            bad_value(b, at, "this is not the name of a header");
        else if (strcasecmp(key, "content-length") == 0 ||
                 strcasecmp(key, "transfer-encoding") == 0)
            bad_value(b, at, "this header is written by the agent");
        if (json_is_string(item) && json_string_length(item) == 0)
            continue;
        const char *text = build_long_text(b, item, at, URL_MAX);
        if (text != NULL && text[strcspn(text, "\r\n")] != '\0')
            bad_value(b, at, "a header has no line breaks");
    }
}

static bool is_status(json_t *value)
{
    return json_is_integer(value) && json_integer_value(value) >= 100 &&
           json_integer_value(value) <= 599;
}

static void check_expect_status(struct build *b, json_t *value,
                                const char *pointer)
{
    static const char what[] =
        "this must be a status from 100 to 599, or an array of such";
    if (is_status(value))
        return;
    if (json_array_size(value) == 0 || json_array_size(value) > 500) {
        bad_value(b, pointer, what);
        return;
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        if (!is_status(json_array_get(value, i)))
            bad_value(b, pointer_index(b, pointer, i), what);
    }
}

/* ---- the table ------------------------------------------------------- */

/* A field is checked and goes into the configuration as it is, or it is shaped:
 * given back as agents are told it. */
typedef json_t *shape_fn(struct build *b, const struct data_place *place,
                         json_t *value);

struct field {
    const char *name;
    check_fn *check;
    shape_fn *shape;
};

static const struct field fields_known[] = {
    {"argv", check_argv, NULL},
    {"body", check_any_text, NULL},
    {"by", NULL, data_by},
    {"column", check_name, NULL},
    {"columns", NULL, data_columns},
    {"connection", check_connection, NULL},
    {"count", check_count, NULL},
    {"create", check_flag, NULL},
    {"cwd", check_cwd, NULL},
    {"delimiter", check_byte, NULL},
    {"distinct", check_flag, NULL},
    {"engine", check_engine, NULL},
    {"env", check_env, NULL},
    {"expect_status", check_expect_status, NULL},
    {"filter", NULL, data_where},
    {"group_by", NULL, data_names},
    {"header", check_flag, NULL},
    {"headers", check_headers, NULL},
    {"how", check_how, NULL},
    {"key", NULL, data_names},
    {"method", check_method, NULL},
    {"mode", check_mode, NULL},
    {"null", check_any_text, NULL},
    {"on", NULL, data_on},
    {"on_errors", check_on_errors, NULL},
    {"path", check_cwd, NULL},
    {"quote", check_byte, NULL},
    {"schema", check_name, NULL},
    {"sql", NULL, data_sql},
    {"start", check_integer, NULL},
    {"step", check_integer, NULL},
    {"table", check_name, NULL},
    {"url", check_url, NULL},
    {"where", NULL, data_where},
};

static const struct field *field_of(const char *name)
{
    for (size_t i = 0; i < sizeof fields_known / sizeof fields_known[0]; i++) {
        if (strcmp(fields_known[i].name, name) == 0)
            return &fields_known[i];
    }
    return NULL;
}

/* ---- fields of every kind -------------------------------------------- */

static const char *const common_fields[] = {"repeatable", "timeout_s", NULL};

static void take_timeout(struct build *b, struct node *node, json_t *value,
                         const char *pointer)
{
    double seconds = json_number_value(value);
    if (!json_is_number(value))
        build_wrong_type(b, value, pointer, "a number of seconds");
    else if (!(seconds > 0 && seconds <= NODE_TIMEOUT_S_MAX))
        problems_add(b->problems, pointer, "bad_value",
                     "a time-out is more than 0 and at most %d seconds",
                     NODE_TIMEOUT_S_MAX);
    else
        node->timeout_ms = seconds < 0.001 ? 1 : (uint32_t)(seconds * 1000);
}

/* True when the field went into the node itself and not its configuration. */
static bool take_common(struct build *b, struct node *node, const char *field,
                        json_t *value, const char *base)
{
    bool has_size = contains(node->kind->optional, "size_bytes");

    if (strcmp(field, "repeatable") == 0) {
        check_flag(b, value, pointer_key(b, base, field));
        node->repeatable = json_is_true(value);
    } else if (strcmp(field, "timeout_s") == 0) {
        take_timeout(b, node, value, pointer_key(b, base, field));
    } else if (has_size && strcmp(field, "size_bytes") == 0) {
        node->size_bytes = build_size(b, value, pointer_key(b, base, field));
    } else {
        return false;
    }
    return true;
}

static void unknown_field(struct build *b, const struct node_kind *kind,
                          const char *field, const char *pointer)
{
    char node[40];
    struct guess guess = {.word = field};
    guess_try_all(&guess, kind->required);
    guess_try_all(&guess, kind->optional);
    guess_try_all(&guess, common_fields);
    snprintf(node, sizeof node, "a %s node", kind->name);
    build_unknown_key(b, pointer, node, &guess);
}

/* A column of an aggregate is computed, or one of those grouped by. */
static void check_grouped(struct build *b, const json_t *fields,
                          const char *base)
{
    const json_t *keys = json_object_get(fields, "group_by");
    json_t *known = json_object();
    size_t i;
    const json_t *item;

    json_array_foreach(keys, i, item) {
        if (json_is_string(item))
            build_put(b, known, json_string_value(item), json_true());
    }
    json_array_foreach(json_object_get(fields, "columns"), i, item) {
        const json_t *name = json_object_get(item, "column");
        if (name == NULL)
            name = json_object_get(item, "name");
        if (json_is_string(item))
            name = item;
        const json_t *expression = json_object_get(item, "expression");
        if (json_string_length(name) == 0 ||
            (expression != NULL && (!json_is_string(expression) ||
                                    json_string_length(expression) > 0)))
            continue;
        if (json_object_get(known, json_string_value(name)) == NULL)
            problems_add(b->problems,
                         pointer_index(b, pointer_key(b, base, "columns"), i),
                         "missing_field",
                         "\"%.80s\" is not among the columns of \"group_by\", "
                         "so it needs an \"expression\" such as sum(amount)",
                         json_string_value(name));
    }
    json_decref(known);
}

/* What the lists of required and optional fields cannot say. */
static void check_together(struct build *b, const struct node *node,
                           const json_t *fields, const char *base)
{
    const char *kind = node->kind->name;
    bool table = json_object_get(fields, "table") != NULL;
    bool sql = json_object_get(fields, "sql") != NULL;
    const char *mode = json_string_value(json_object_get(fields, "mode"));
    bool merge = mode != NULL && strcmp(mode, "merge") == 0;
    bool key = json_object_get(fields, "key") != NULL;

    if (strcmp(kind, "extract") == 0 && table == sql)
        problems_add(b->problems, base,
                     table ? "conflicting_fields" : "missing_field",
                     "an extract node needs either \"table\" or \"sql\"%s",
                     table ? ", not both" : "");
    if (strcmp(kind, "load") == 0 && merge && !key)
        problems_add(b->problems, base, "missing_field",
                     "a load with mode merge needs \"key\", the columns that "
                     "tell rows apart");
    if (strcmp(kind, "load") == 0 && key && !merge)
        problems_add(b->problems, base, "conflicting_fields",
                     "\"key\" means something only with mode merge");
    if (strcmp(kind, "aggregate") == 0)
        check_grouped(b, fields, base);
}

static void take_field(struct build *b, struct node *node, const char *field,
                       json_t *value, const char *base, bool lenient,
                       json_t *config)
{
    const struct node_kind *kind = node->kind;

    if (take_common(b, node, field, value, base))
        return;
    const char *pointer = pointer_key(b, base, field);
    if (!contains(kind->required, field) && !contains(kind->optional, field)) {
        if (!lenient)
            unknown_field(b, kind, field, pointer);
        return;
    }
    const struct field *known = field_of(field);
    const struct data_place place = {kind, pointer, lenient};
    json_t *kept = value;
    if (known != NULL && known->check != NULL)
        known->check(b, value, pointer);
    if (known != NULL && known->shape != NULL)
        kept = known->shape(b, &place, value);
    else
        json_incref(kept);
    if (kept != NULL)
        build_put(b, config, field, kept);
}

void build_fields(struct build *b, struct node *node, json_t *fields,
                  const char *base, bool lenient, const char *const *skip)
{
    const char *field;
    json_t *value;
    json_t *config = json_object();

    /* What a data node does is one transaction, noted in it: a second time
     * does no harm. What a program does, only its author knows. */
    node->repeatable = node->kind->class != NODE_TASK;
    json_object_foreach(fields, field, value) {
        if (!contains(skip, field))
            take_field(b, node, field, value, base, lenient, config);
    }
    for (const char *const *name = node->kind->required; *name != NULL;
         name++) {
        if (json_object_get(fields, *name) == NULL)
            problems_add(b->problems, base, "missing_field",
                         "a %s node needs \"%s\"", node->kind->name, *name);
    }
    check_together(b, node, fields, base);

    const char *engine = json_string_value(json_object_get(config, "engine"));
    if (engine != NULL && node->engine == NULL) {
        node->engine = engine_of_connector(b->wf, engine);
        b->no_memory = b->no_memory || node->engine == NULL;
    }
    json_object_del(config, "engine"); /* the plan has it beside */
    data_defaults(b, node->kind, config);
    data_finish(b, node, config, base);
    json_decref(config);
}
