/*
 * workflow_v1_nodes.c - what a node of connectionInformation_v1 does, by kind.
 * How its parts are read is in workflow_v1_parts.c, a filter's predicates in
 * workflow_v1_filter.c, joins in workflow_v1_join.c, orders in
 * workflow_v1_sort.c.
 */
#include "policy/workflow_v1.h"

#include <string.h>
#include <strings.h>

/* ---- databases ------------------------------------------------------- */

/* The document names no connection as such: it is the connector's id, or the
 * database's name where there is none, or else what kind of database it is. It
 * is made a name that agents can be configured with. */
static void put_connection(struct build *b, struct v1_node *v1,
                           const json_t *object)
{
    const char *const said[] = {
        v1_name(b, object, v1->at, "connection"),
        v1_name(b, object, v1->at, "connector_id"),
        v1_name(b, v1->details, v1->details_at, "db"),
        v1->out->engine,
    };
    char name[DATA_CONNECTION_MAX + 1];
    size_t used = 0;

    for (size_t i = 0; i < sizeof said / sizeof said[0] && used == 0; i++) {
        const char *c = said[i] != NULL ? said[i] : "";
        for (; *c != '\0' && used < DATA_CONNECTION_MAX; c++) {
            unsigned char byte = (unsigned char)*c;
            bool plain = (byte >= 'a' && byte <= 'z') ||
                         (byte >= 'A' && byte <= 'Z') ||
                         (byte >= '0' && byte <= '9') || byte == '_';
            bool inside = used > 0 && (byte == '.' || byte == '-');
            if (plain || inside)
                name[used++] = (char)byte;
            else if (used > 0 && (byte & 0xc0) != 0x80)
                name[used++] = '-'; /* one for a character of any length */
        }
    }
    name[used] = '\0';
    if (used > 0)
        build_put(b, v1->config, "connection", json_string(name));
    else if (!b->no_memory)
        problems_add(b->problems, v1->at, "missing_field",
                     "nothing says which connection this node uses: it needs "
                     "\"connector_id\" or \"db\"");
}

static void put_name(struct build *b, struct v1_node *v1, const char *key)
{
    const char *name = v1_name(b, v1->details, v1->details_at, key);
    if (name != NULL)
        build_put(b, v1->config, key, json_string(name));
}

/* Whatever is not understood as "go on" is the stricter of the two. */
static bool skips_errors(struct build *b, const struct v1_node *v1)
{
    static const char *const words[] = {"skip", "ignore", "continue"};
    const char *word = v1_word(b, v1->details, "onErrors");
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strncmp(word, words[i], strlen(words[i])) == 0)
            return true;
    }
    return false;
}

static void need_table(struct build *b, const struct v1_node *v1,
                       const char *what)
{
    if (json_object_get(v1->config, "table") == NULL && !b->no_memory)
        problems_add(b->problems, v1->details_at, "missing_field", "%s", what);
}

static void put_filter(struct build *b, struct v1_node *v1)
{
    static const char word[] = "where";
    const char *at;
    size_t bytes;
    const char *text =
        v1_expression(b, v1->details, v1->details_at, "filter", &bytes, &at);
    if (text == NULL)
        return;
    char *clause = workflow_alloc(b->scratch, bytes + 1);
    if (clause == NULL) {
        b->no_memory = true;
        return;
    }
    memcpy(clause, text, bytes);
    const char *start = clause;
    size_t length = bytes;
    build_trim(&start, &length);
    /* Blanked out, not cut off, so that positions stay what they are. */
    const size_t word_bytes = sizeof word - 1;
    if (length > word_bytes && strncasecmp(start, word, word_bytes) == 0 &&
        strchr(" \t\r\n(", start[word_bytes]) != NULL)
        memset(clause + (start - clause), ' ', word_bytes);
    start = clause;
    for (size_t before = 0; before != bytes;) {
        before = bytes;
        length = bytes;
        build_trim(&start, &length);
        bytes = (size_t)(start - clause) + length;
        if (length > 0 && clause[bytes - 1] == ';')
            bytes--;
        start = clause;
    }
    length = bytes;
    build_trim(&start, &length);
    if (length == 0)
        return;
    json_t *tree = data_tree(b, clause, bytes, 0, EXPR_VALUE, at);
    if (tree != NULL)
        build_put(b, v1->config, "filter", data_expr(b, clause, bytes, tree));
}

static void read_extract(struct build *b, struct v1_node *v1)
{
    const json_t *said = json_object_get(v1->details, "sql");
    const char *text = json_string_value(said);
    bool is_query =
        text != NULL && text[strspn(text, " \t\r\n;\xc2\xa0")] != '\0';

    if (said != NULL && text == NULL && !json_is_null(said))
        build_wrong_type(b, said, pointer_key(b, v1->details_at, "sql"),
                         "a string");
    if (is_query) {
        const struct data_place place = {
            .kind = v1->out->kind,
            .pointer = pointer_key(b, v1->details_at, "sql"),
            .lenient = true,
        };
        json_t *copy = json_stringn(text, json_string_length(said));
        json_t *sql = data_sql(b, &place, copy);
        if (sql != NULL)
            build_put(b, v1->config, "sql", sql);
        json_decref(copy);
    } else {
        put_name(b, v1, "table");
        put_name(b, v1, "schema");
        need_table(b, v1,
                   "a database node that is read needs \"table\" or \"sql\"");
    }
    put_filter(b, v1);
    if (skips_errors(b, v1))
        build_put(b, v1->config, "on_errors", json_string("skip"));
}

static void read_load(struct build *b, struct v1_node *v1)
{
    put_name(b, v1, "table");
    put_name(b, v1, "schema");
    need_table(b, v1, "a database node that is written needs \"table\"");
    build_put(b, v1->config, "mode",
              json_string(v1_flag(v1->details, "truncateTable") ? "truncate"
                                                                : "append"));
    build_put(b, v1->config, "on_errors",
              json_string(skips_errors(b, v1) ? "skip" : "fail"));
    json_t *columns = v1_mapping(b, v1, EXPR_VALUE, NULL);
    if (columns != NULL)
        build_put(b, v1->config, "columns", columns);
    v1->mapped = true;
}

static void read_database(struct build *b, struct v1_node *v1,
                          const json_t *object)
{
    struct node_hint *hint = build_hint(b, v1->out);

    put_connection(b, v1, object);
    if (strcmp(v1->out->kind->name, "load") == 0)
        read_load(b, v1);
    else
        read_extract(b, v1);
    /* Beside a query the table is not read, but joins still call it so. */
    if (hint != NULL)
        hint->table = v1_name(b, v1->details, v1->details_at, "table");
}

/* ---- lists of columns ------------------------------------------------ */

static json_t *expression_of(struct build *b, struct v1_node *v1,
                             const struct v1_column *column, enum expr_use use)
{
    v1_note_done(b, v1, column->text, column->bytes);
    return data_expr(
        b, column->text, column->bytes,
        data_tree(b, column->text, column->bytes, 0, use, column->text_at));
}

/* expression and selectcolumns. Without columns of its own the mapping says
 * them. */
static void read_projection(struct build *b, struct v1_node *v1, bool computes)
{
    json_t *list = json_array();
    json_t *seen = json_object();

    for (size_t i = 0; i < v1->column_count; i++) {
        const struct v1_column *column = &v1->columns[i];
        if (!column->selected ||
            !data_new_name(b, seen, column->name, column->at))
            continue;
        if (!computes || column->text == NULL) {
            v1_append(b, list, v1_out(b, column->name, column->from, NULL));
            continue;
        }
        json_t *expr = expression_of(b, v1, column, EXPR_VALUE);
        if (expr != NULL)
            v1_append(b, list, v1_out(b, column->name, NULL, expr));
    }
    if (v1->column_count == 0 && v1->mapping != NULL) {
        json_decref(list);
        list = v1_mapping(b, v1, EXPR_VALUE, NULL);
        v1->mapped = true;
    } else if (v1->column_count == 0) {
        v1_missing(b, v1,
                   "this node has neither columns nor a mapping of fields: "
                   "nothing says what comes out of it");
    } else if (json_object_size(seen) == 0) {
        v1_missing(b, v1, "no column of this node is selected");
    }
    /* A mapping that names a column of the input, and not of this list, wants
     * it to be let through. */
    bool keep = false;
    const char *name;
    json_t *asked;
    if (!v1->mapped)
        json_object_foreach(v1->asked, name, asked) {
            keep = keep || json_object_get(seen, name) == NULL;
        }
    if (list != NULL)
        build_put(b, v1->config, "columns", list);
    if (strcmp(v1->out->kind->name, "map") == 0)
        build_put(b, v1->config, "keep", json_boolean(keep));
    json_decref(seen);
}

/* A column is a key when it is flagged as one; is computed when it has an
 * expression; and when it has neither, and is wanted, then it is a key too if
 * no column is flagged (the document does not use the flag), else a mistake:
 * which of its values to take, nothing says. */
static void read_group(struct build *b, struct v1_node *v1)
{
    json_t *keys = json_array();
    json_t *list = json_array();
    json_t *seen = json_object();
    size_t before = build_problem_count(b);
    bool flagged = false;

    for (size_t i = 0; i < v1->column_count; i++)
        flagged = flagged || v1->columns[i].group;
    for (size_t i = 0; i < v1->column_count; i++) {
        const struct v1_column *column = &v1->columns[i];
        bool computed = column->text != NULL;
        if (column->group && computed) {
            problems_add(b->problems, column->at, "conflicting_fields",
                         "\"%.80s\" is grouped by and has an expression; "
                         "compute it in an expression node before this one, or "
                         "give it another column",
                         column->name);
            continue;
        }
        if (!column->selected && !column->group)
            continue;
        if (!column->group && !computed) {
            if (v1->mapping != NULL &&
                json_object_get(v1->asked, column->name) == NULL)
                continue; /* not asked for */
            if (flagged) {
                problems_add(b->problems, column->at, "missing_field",
                             "\"%.80s\" is neither grouped by nor computed: "
                             "set groupBy, give it an expression such as "
                             "max(%.80s), or do not select it",
                             column->name, column->from);
                continue;
            }
        }
        if (!data_new_name(b, seen, column->name, column->at))
            continue;
        if (computed) {
            json_t *expr = expression_of(b, v1, column, EXPR_AGGREGATE);
            if (expr != NULL)
                v1_append(b, list, v1_out(b, column->name, NULL, expr));
        } else {
            v1_append(b, keys, json_string(column->from));
            v1_append(b, list, v1_out(b, column->name, column->from, NULL));
        }
    }
    if (v1->column_count == 0 && v1->mapping != NULL) {
        json_decref(list);
        list = v1_mapping(b, v1, EXPR_AGGREGATE, NULL);
        v1->mapped = true;
        size_t i;
        const json_t *item;
        json_array_foreach(list, i, item) {
            const json_t *column = json_object_get(item, "column");
            if (column == NULL)
                column = json_object_get(item, "name");
            if (json_object_get(item, "expression") == NULL)
                v1_append(b, keys, json_string(json_string_value(column)));
        }
    } else if (json_object_size(seen) == 0 && !b->no_memory &&
               build_problem_count(b) == before) {
        v1_missing(b, v1,
                   "this group has neither a column to group by nor an "
                   "expression such as sum(amount)");
    }
    if (json_array_size(keys) > 0)
        build_put(b, v1->config, "group_by", json_incref(keys));
    if (list != NULL)
        build_put(b, v1->config, "columns", list);
    json_decref(keys);
    json_decref(seen);
}

/* ---- the others ------------------------------------------------------ */

static void read_distinct(struct build *b, struct v1_node *v1)
{
    json_t *names = json_array();
    for (size_t i = 0; i < v1->column_count; i++) {
        if (v1->columns[i].selected)
            v1_append(b, names, json_string(v1->columns[i].from));
    }
    /* All of them are whole rows, which need no list. */
    if (json_array_size(names) > 0 && json_array_size(names) < v1->column_count)
        build_put(b, v1->config, "columns", json_incref(names));
    json_decref(names);
}

static void read_union(struct build *b, struct v1_node *v1)
{
    const char *word = v1_word(b, v1->transformations, "union_type");
    bool distinct = v1_flag(v1->transformations, "distinct") ||
                    strcmp(word, "union") == 0 ||
                    strstr(word, "distinct") != NULL;
    build_put(b, v1->config, "distinct", json_boolean(distinct));
}

static void read_sequence(struct build *b, struct v1_node *v1)
{
    static const char *const numbers[][2] = {
        {"start", "start"},    {"start_value", "start"}, {"step", "step"},
        {"increment", "step"}, {"increment_by", "step"}, {"count", "count"}};
    static const char *const names[] = {"column", "column_name", "name"};
    const char *at;
    const json_t *said = v1_part(b, v1->transformations, v1->transformations_at,
                                 "sequence", false, &at);
    const char *column = NULL;

    if (said == NULL) {
        said = v1->transformations;
        at = v1->transformations_at;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0] && column == NULL;
         i++)
        column = v1_name(b, said, at, names[i]);
    if (column != NULL)
        build_put(b, v1->config, "column", json_string(column));
    else if (!b->no_memory)
        v1_missing(b, v1,
                   "a sequence needs \"column\", what to call the numbers");
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        const json_t *value = json_object_get(said, numbers[i][0]);
        bool counts = strcmp(numbers[i][1], "count") == 0;
        bool fits = json_is_integer(value) &&
                    !(counts && json_integer_value(value) < 0);
        if (fits)
            build_put(b, v1->config, numbers[i][1],
                      json_integer(json_integer_value(value)));
        else if (value != NULL && !json_is_null(value))
            build_wrong_type(b, value, pointer_key(b, at, numbers[i][0]),
                             counts ? "a whole number from 0"
                                    : "a whole number");
    }
}

static void read_transform(struct build *b, struct v1_node *v1)
{
    const char *kind = v1->out->kind->name;

    if (strcmp(kind, "filter") == 0) {
        v1_filter(b, v1);
        return;
    }
    if (strcmp(kind, "join") == 0) {
        v1_join(b, v1);
        return;
    }
    v1_refuse_conditions(b, v1);
    if (strcmp(kind, "map") == 0 || strcmp(kind, "select") == 0)
        read_projection(b, v1, strcmp(kind, "map") == 0);
    else if (strcmp(kind, "aggregate") == 0)
        read_group(b, v1);
    else if (strcmp(kind, "sort") == 0)
        v1_sort(b, v1);
    else if (strcmp(kind, "distinct") == 0)
        read_distinct(b, v1);
    else if (strcmp(kind, "union") == 0)
        read_union(b, v1);
    else if (strcmp(kind, "sequence") == 0)
        read_sequence(b, v1);
}

/* ---- all together ---------------------------------------------------- */

void v1_configure(struct build *b, struct node *node, const json_t *object,
                  const char *at)
{
    struct v1_node v1 = {.out = node,
                         .at = at,
                         .asked = json_object(),
                         .done = json_object(),
                         .config = json_object()};

    b->no_memory = b->no_memory || v1.asked == NULL || v1.done == NULL ||
                   v1.config == NULL;
    if (!b->no_memory) {
        v1_read_parts(b, &v1, object);
        if (node->kind->class == NODE_DB)
            read_database(b, &v1, object);
        else
            read_transform(b, &v1);
        json_t *output =
            v1.mapped ? NULL : v1_mapping(b, &v1, EXPR_VALUE, NULL);
        if (output != NULL)
            build_put(b, v1.config, "output", output);
        data_defaults(b, node->kind, v1.config);
        data_finish(b, node, v1.config, at);
    }
    json_decref(v1.asked);
    json_decref(v1.done);
    json_decref(v1.config);
}
