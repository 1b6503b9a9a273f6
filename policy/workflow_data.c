/* workflow_data.c - see workflow_data.h; its lists are in workflow_lists.c */
#include "policy/workflow_data.h"

#include <errno.h>
#include <string.h>

enum { SQL_MAX = 1024 * 1024 };

/* ---- expressions ----------------------------------------------------- */

static void bad_expression(struct build *b, const struct expr_error *error,
                           size_t added, bool one_line, const char *pointer)
{
    size_t column = error->column;
    int what = (int)strlen(error->what);

    /* A sentence that ends in a full stop goes on with where it is. */
    if (what > 0 && error->what[what - 1] == '.')
        what--;
    if (error->line <= 1)
        column = column > added ? column - added : 1;
    if (one_line)
        problems_add(b->problems, pointer, "bad_expression",
                     "%.*s (at character %zu)", what, error->what, column);
    else
        problems_add(b->problems, pointer, "bad_expression",
                     "%.*s (line %zu, column %zu)", what, error->what,
                     error->line, column);
}

json_t *data_tree(struct build *b, const char *text, size_t bytes, size_t added,
                  enum expr_use use, const char *pointer)
{
    struct expr_error error = {.line = 1, .column = 1};
    json_t *tree = NULL;

    /* A tree is many times as big as its text; all of them together are
     * bounded by what they are made of. */
    if (bytes > DATA_EXPRESSIONS_MAX - b->expression_bytes) {
        if (!b->too_much_expression)
            problems_add(b->problems, pointer, "too_long",
                         "with this, the expressions of the document have more "
                         "than %d bytes together",
                         DATA_EXPRESSIONS_MAX);
        b->too_much_expression = true;
        return NULL;
    }
    b->expression_bytes += bytes;
    int rc = expr_parse(text, bytes, use, &tree, &error);
    if (rc == 0)
        return tree;
    if (rc == -ENOMEM)
        b->no_memory = true;
    else
        bad_expression(b, &error, added, memchr(text, '\n', bytes) == NULL,
                       pointer);
    return NULL;
}

json_t *data_expr(struct build *b, const char *text, size_t bytes, json_t *tree)
{
    if (tree == NULL)
        return NULL;
    build_trim(&text, &bytes);
    json_t *expr = json_object();
    build_put(b, expr, "text", json_stringn(text, bytes));
    build_put(b, expr, "tree", tree);
    return expr;
}

json_t *data_read_expr(struct build *b, const json_t *value, enum expr_use use,
                       const char *pointer)
{
    const char *text = build_long_text(b, value, pointer, EXPR_BYTES_MAX);
    if (text == NULL)
        return NULL;
    size_t bytes = strlen(text);
    return data_expr(b, text, bytes,
                     data_tree(b, text, bytes, 0, use, pointer));
}

json_t *data_where(struct build *b, const struct data_place *place,
                   json_t *value)
{
    return data_read_expr(b, value, EXPR_VALUE, place->pointer);
}

/* ---- names and types ------------------------------------------------- */

bool data_check_name(struct build *b, const json_t *value, const char *pointer)
{
    return build_text(b, value, pointer, DATA_NAME_MAX) != NULL;
}

bool data_check_connection(struct build *b, const json_t *value,
                           const char *pointer)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "abcdefghijklmnopqrstuvwxyz"
                                  "0123456789._-";
    const char *name = build_text(b, value, pointer, DATA_CONNECTION_MAX);
    if (name == NULL)
        return false;
    if (name[0] != '.' && name[0] != '-' && name[strspn(name, letters)] == '\0')
        return true;
    problems_add(b->problems, pointer, "bad_value",
                 "a connection is called by letters, digits, \".\", \"_\" and "
                 "\"-\", and begins with none of \".\" and \"-\"; a host or a "
                 "password is nothing for a document, agents know them");
    return false;
}

bool data_new_name(struct build *b, json_t *seen, const char *name,
                   const char *pointer)
{
    if (json_object_get(seen, name) != NULL) {
        problems_add(b->problems, pointer, "duplicate_column",
                     "two columns are called \"%.80s\"", name);
        return false;
    }
    build_put(b, seen, name, json_true());
    return true;
}

bool data_put_type(struct build *b, json_t *out, const char *type)
{
    int precision = -1;
    int scale = -1;
    const char *word = expr_type(type, &precision, &scale);

    if (word == NULL || precision > DATA_PRECISION_MAX || precision == 0 ||
        scale > precision || precision < -1 || scale < -1)
        return false;
    build_put(b, out, "type", json_string(word));
    if (precision > 0)
        build_put(b, out, "precision", json_integer(precision));
    if (precision > 0 && scale >= 0)
        build_put(b, out, "scale", json_integer(scale));
    return true;
}

const char *data_operator(const char *written)
{
    static const char *const words[][2] = {
        {"=", "="}, {"==", "="},  {"!=", "!="}, {"<>", "!="},
        {"<", "<"}, {"<=", "<="}, {">", ">"},   {">=", ">="},
    };
    size_t bytes = strlen(written);
    build_trim(&written, &bytes);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strlen(words[i][0]) == bytes &&
            memcmp(words[i][0], written, bytes) == 0)
            return words[i][1];
    }
    return NULL;
}

/* ---- fields ---------------------------------------------------------- */

json_t *data_sql(struct build *b, const struct data_place *place, json_t *value)
{
    const char *text = build_long_text(b, value, place->pointer, SQL_MAX);
    if (text == NULL)
        return NULL;
    /* What is read becomes a part of a statement of the agent's. */
    size_t bytes = strlen(text);
    for (size_t before = 0; before != bytes;) {
        before = bytes;
        build_trim(&text, &bytes);
        if (bytes > 0 && text[bytes - 1] == ';')
            bytes--;
    }
    if (bytes > 0)
        return json_stringn(text, bytes);
    problems_add(b->problems, place->pointer, "empty",
                 "there is no statement in this");
    return NULL;
}

static void put_default(struct build *b, json_t *config, const char *key,
                        json_t *value)
{
    if (json_object_get(config, key) == NULL)
        build_put(b, config, key, value);
    else
        json_decref(value);
}

void data_defaults(struct build *b, const struct node_kind *kind,
                   json_t *config)
{
    if (strcmp(kind->name, "load") == 0) {
        put_default(b, config, "mode", json_string("append"));
        put_default(b, config, "create", json_false());
        put_default(b, config, "on_errors", json_string("fail"));
    } else if (strcmp(kind->name, "join") == 0) {
        put_default(b, config, "how", json_string("inner"));
    } else if (strcmp(kind->name, "sequence") == 0) {
        put_default(b, config, "start", json_integer(1));
        put_default(b, config, "step", json_integer(1));
    } else if (strcmp(kind->name, "map") == 0) {
        put_default(b, config, "keep", json_true());
    }
}

static const char *kept(struct build *b, struct workflow *arena,
                        const json_t *config, const char *key)
{
    const char *text = json_string_value(json_object_get(config, key));
    if (text == NULL)
        return NULL;
    char *copy = workflow_strdup(arena, text);
    b->no_memory = b->no_memory || copy == NULL;
    return copy;
}

void data_finish(struct build *b, struct node *node, const json_t *config,
                 const char *pointer)
{
    enum { CONFIG_MAX = 4 * 1024 * 1024 };
    struct node_hint *hint = build_hint(b, node);

    if (node->kind->class == NODE_DB)
        node->connection = kept(b, b->wf, config, "connection");
    if (hint != NULL && hint->table == NULL && node->kind->class == NODE_DB)
        hint->table = kept(b, b->scratch, config, "table");
    node->config_json = build_dump(b, config);
    if (node->config_json == NULL)
        return;
    size_t bytes = strlen(node->config_json);
    if (bytes > CONFIG_MAX)
        problems_add(b->problems, pointer, "too_long",
                     "for agents this node has %zu bytes, at most %d are "
                     "possible; split it",
                     bytes, CONFIG_MAX);
}

/* ---- once the edges are known ---------------------------------------- */

static void check_sequence(struct build *b, const struct node *node,
                           uint32_t inputs)
{
    json_t *config = json_loads(node->config_json, 0, NULL);
    if (config == NULL) {
        b->no_memory = true;
        return;
    }
    bool counts = json_object_get(config, "count") != NULL;
    if (inputs == 0 && !counts)
        problems_add(b->problems, node->pointer, "missing_field",
                     "a sequence without an input needs \"count\", how many "
                     "rows it has");
    else if (inputs > 0 && counts)
        problems_add(b->problems, node->pointer, "conflicting_fields",
                     "a sequence with an input numbers its rows; \"count\" "
                     "means something only without one");
    json_decref(config);
}

void data_check_graph(struct build *b)
{
    const struct workflow *wf = b->wf;
    const struct node_kind *sequence = node_kind_find("sequence");

    /* A node that could not be read may be the input that is missing. */
    if (wf->incomplete || b->no_memory || wf->node_count == 0)
        return;
    uint32_t *inputs =
        workflow_alloc(b->scratch, wf->node_count * sizeof *inputs);
    if (inputs == NULL) {
        b->no_memory = true;
        return;
    }
    for (size_t i = 0; i < wf->edge_count; i++)
        inputs[wf->edges[i].target] +=
            wf->nodes[wf->edges[i].source].kind->gives_rows;
    for (size_t i = 0; i < wf->node_count; i++) {
        if (wf->nodes[i].kind == sequence)
            check_sequence(b, &wf->nodes[i], inputs[i]);
    }
}
