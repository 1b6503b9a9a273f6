/*
 * workflow_v1_join.c - joins of connectionInformation_v1: how, by what, and
 * which of the two parents is the left side.
 *
 * A join names two tables, not two nodes. Its left side is the parent whose
 * rows come from source_table, through however many nodes; where neither or
 * both could be meant, target_table is looked for in the same way, as the right
 * side; and where that does not tell either, the first parent is the left.
 */
#include "policy/workflow_v1.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- configuration --------------------------------------------------- */

static const char *last_part(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot != NULL && dot[1] != '\0' ? dot + 1 : name;
}

bool v1_same_table(const char *table, const char *wanted)
{
    return table != NULL && wanted != NULL &&
           strcasecmp(last_part(table), last_part(wanted)) == 0;
}

static const char *read_how(struct build *b, const json_t *said, const char *at)
{
    static const char *const words[][2] = {
        {"", "inner"},           {"normal", "inner"},   {"inner", "inner"},
        {"left", "left"},        {"leftouter", "left"}, {"right", "right"},
        {"rightouter", "right"}, {"full", "full"},      {"fullouter", "full"},
        {"outer", "full"},
    };
    const char *word = v1_word(b, said, "join_type");
    size_t length = strlen(word);
    if (length >= 4 && strcmp(word + length - 4, "join") == 0)
        length -= 4;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strlen(words[i][0]) == length &&
            strncmp(words[i][0], word, length) == 0)
            return words[i][1];
    }
    problems_add(b->problems, pointer_key(b, at, "join_type"), "bad_value",
                 "this must be Normal (or Inner), Left Outer, Right Outer or "
                 "Full Outer");
    return "inner";
}

/* The table before a column, "employees" of "hr.employees.id", as a copy. */
static const char *table_of(struct build *b, const char *column)
{
    const char *dot = strrchr(column, '.');
    if (dot == NULL || dot == column || dot[1] == '\0')
        return NULL;
    char *table = workflow_alloc(b->scratch, (size_t)(dot - column) + 1);
    if (table == NULL)
        b->no_memory = true;
    else
        memcpy(table, column, (size_t)(dot - column));
    return table;
}

/* a < b is b > a. */
static const char *turned(const char *op)
{
    static const char *const pairs[][2] = {
        {"<", ">"}, {">", "<"}, {"<=", ">="}, {">=", "<="}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        if (strcmp(pairs[i][0], op) == 0)
            return pairs[i][1];
    }
    return op;
}

static void read_key(struct build *b, const struct v1_join *join, json_t *on,
                     const json_t *item, const char *at)
{
    if (!json_is_object(item)) {
        build_wrong_type(b, item, at,
                         "an object with \"source_column\" and "
                         "\"target_column\"");
        return;
    }
    size_t before = build_problem_count(b);
    const char *left = v1_name(b, item, at, "source_column");
    const char *right = v1_name(b, item, at, "target_column");
    const char *written = json_string_value(json_object_get(item, "operator"));
    const char *op = written == NULL || v1_word(b, item, "operator")[0] == '\0'
                         ? "="
                         : data_operator(written);
    if (op == NULL)
        problems_add(b->problems, pointer_key(b, at, "operator"), "bad_value",
                     "this must be =, !=, <, <=, > or >=");
    if ((left == NULL || right == NULL) && !b->no_memory &&
        build_problem_count(b) == before)
        problems_add(b->problems, at, "missing_field",
                     "this needs \"source_column\" and \"target_column\", the "
                     "names of two columns");
    if (left == NULL || right == NULL || op == NULL)
        return;

    const char *left_table = table_of(b, left);
    const char *right_table = table_of(b, right);
    bool apart = !v1_same_table(join->source, join->target);
    bool left_is_right = apart && v1_same_table(left_table, join->target);
    bool right_is_left = apart && v1_same_table(right_table, join->source);
    if (left_is_right && right_is_left) {
        const char *swap = left;
        left = right;
        right = swap;
        op = turned(op);
    } else if (left_is_right || right_is_left) {
        problems_add(
            b->problems,
            pointer_key(b, at,
                        left_is_right ? "source_column" : "target_column"),
            "bad_value",
            "\"%.80s\" is a column of the other table; a key compares "
            "a column of %.80s with one of %.80s",
            left_is_right ? left : right, join->source, join->target);
        return;
    }
    json_t *key = json_object();
    build_put(b, key, "left", json_string(last_part(left)));
    build_put(b, key, "right", json_string(last_part(right)));
    build_put(b, key, "operator", json_string(op));
    v1_append(b, on, key);
}

/* Column -> table of what the join lists: the columns of its source, and those
 * of its target that have other names. */
static json_t *tables_of(struct build *b, const struct v1_node *v1)
{
    json_t *tables = json_object();
    const char *target_at;
    const char *at;
    size_t i;
    const json_t *item;

    for (size_t c = 0; c < v1->column_count; c++) {
        const struct v1_column *column = &v1->columns[c];
        if (column->from != NULL && column->table != NULL &&
            json_object_get(tables, column->from) == NULL)
            build_put(b, tables, column->from, json_string(column->table));
    }
    const json_t *target =
        v1_part(b, v1->transformations, v1->transformations_at, "target", false,
                &target_at);
    json_t *list = v1_part(b, target, target_at, "columns", true, &at);
    json_array_foreach(list, i, item) {
        const char *name = v1_name(b, item, NULL, "value");
        if (name == NULL)
            name = v1_name(b, item, NULL, "name");
        const char *table = v1_name(b, item, NULL, "table");
        if (name != NULL && table != NULL &&
            json_object_get(tables, name) == NULL)
            build_put(b, tables, name, json_string(table));
    }
    return tables;
}

void v1_join(struct build *b, struct v1_node *v1)
{
    const char *join_at;
    const char *at;
    const json_t *said = v1_part(b, v1->transformations, v1->transformations_at,
                                 "join", false, &join_at);
    struct v1_join join = {.source = v1_name(b, said, join_at, "source_table"),
                           .target = v1_name(b, said, join_at, "target_table")};
    json_t *on = json_array();
    size_t i;
    const json_t *item;

    const char *how = read_how(b, said, join_at);
    json_t *keys = v1_part(b, said, join_at, "sourceDetails", true, &at);
    if (keys != NULL)
        v1_refuse_conditions(b, v1);
    else
        keys = v1_part(b, v1->transformations, v1->transformations_at,
                       "conditions", true, &at);
    if (keys == NULL)
        problems_add(b->problems, join_at, "missing_field",
                     "a join needs \"sourceDetails\", the pairs of columns to "
                     "join by");
    else if (build_list(b, keys, at, "pairs of columns", DATA_ITEMS_MAX))
        json_array_foreach(keys, i, item) {
            read_key(b, &join, on, item, pointer_index(b, at, i));
        }

    json_t *tables = tables_of(b, v1);
    join.tables = tables;
    join.on = on;
    join.prefers_right = strcmp(how, "right") == 0;
    build_put(b, v1->config, "how", json_string(how));
    build_put(b, v1->config, "on", json_incref(on));
    json_t *columns = v1_mapping(b, v1, EXPR_VALUE, &join);
    if (columns != NULL)
        build_put(b, v1->config, "columns", columns);
    v1->mapped = true;
    json_decref(tables);
    json_decref(on);

    struct node_hint *hint = build_hint(b, v1->out);
    if (hint != NULL) {
        hint->left = join.source;
        hint->right = join.target;
    }
}

/* ---- which parent is the left side ----------------------------------- */

enum { WALK_MAX = 2000 }; /* nodes looked at for one question */

struct walk {
    const struct build *b;
    struct workflow_links parents;
    uint32_t *stack, *seen; /* seen: the number of the question */
    uint32_t question;
};

/* Do rows of this table come to (or from) this node? */
static bool comes_from(struct walk *walk, uint32_t start, const char *table)
{
    const struct workflow *wf = walk->b->wf;
    size_t count = 0;
    size_t looked_at = 0;

    walk->question++;
    walk->stack[count++] = start;
    walk->seen[start] = walk->question;
    while (count > 0 && looked_at++ < WALK_MAX) {
        uint32_t n = walk->stack[--count];
        if (v1_same_table(walk->b->hints[n].table, table))
            return true;
        for (uint32_t i = walk->parents.first[n];
             i < walk->parents.first[n + 1]; i++) {
            uint32_t parent = wf->edges[walk->parents.edges[i]].source;
            if (walk->seen[parent] == walk->question)
                continue;
            walk->seen[parent] = walk->question;
            walk->stack[count++] = parent;
        }
    }
    return false;
}

/* Does only the second of two parents give rows of this table? */
static bool only_second(struct walk *walk, uint32_t first, uint32_t second,
                        const char *table)
{
    return comes_from(walk, second, table) && !comes_from(walk, first, table);
}

static void order_join(struct walk *walk, uint32_t n)
{
    const struct node_hint *hint = &walk->b->hints[n];
    struct edge *edges[2];
    size_t count = 0;

    for (uint32_t i = walk->parents.first[n]; i < walk->parents.first[n + 1];
         i++) {
        struct edge *edge = &walk->b->wf->edges[walk->parents.edges[i]];
        const struct node *source = &walk->b->wf->nodes[edge->source];
        bool again = count > 0 && edges[0]->source == edge->source;
        if (source->kind == NULL || !source->kind->gives_rows || again)
            continue;
        if (count < 2)
            edges[count] = edge;
        count++;
    }
    if (count != 2)
        return;
    uint32_t first = edges[0]->source;
    uint32_t second = edges[1]->source;
    bool turned_round = only_second(walk, first, second, hint->left) ||
                        (comes_from(walk, first, hint->left) ==
                             comes_from(walk, second, hint->left) &&
                         only_second(walk, second, first, hint->right));
    if (turned_round) {
        edges[0]->source = second;
        edges[1]->source = first;
    }
}

void v1_order_joins(struct build *b)
{
    size_t nodes = b->wf->node_count;
    struct walk walk = {.b = b};
    bool any = false;

    for (size_t n = 0; n < nodes; n++)
        any = any || b->hints[n].left != NULL || b->hints[n].right != NULL;
    if (!any || b->no_memory)
        return;
    walk.stack = calloc(nodes, sizeof *walk.stack);
    walk.seen = calloc(nodes, sizeof *walk.seen);
    if (walk.stack == NULL || walk.seen == NULL ||
        workflow_links(b->wf, SIDE_PARENTS, &walk.parents) != 0) {
        b->no_memory = true;
    } else {
        for (uint32_t n = 0; n < nodes; n++) {
            if (b->hints[n].left != NULL || b->hints[n].right != NULL)
                order_join(&walk, n);
        }
        workflow_links_free(&walk.parents);
    }
    free(walk.stack);
    free(walk.seen);
}
