/* config_file.c - see config_file.h
 *
 * libcyaml stops at its first error and knows no line afterwards, so the tree
 * is checked first, with libyaml alone, along the table; then libcyaml fills
 * the structs. It is told to ignore unknown keys and takes every scalar as
 * text: what the check has complained about does not stop it, and config.c can
 * go on and find the rest. */
#include "dispatcher/config_file.h"

#include <cyaml/cyaml.h>
#include <yaml.h>

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { SCHEMA_FIELDS_MAX = 64, SCHEMA_ENTRIES_MAX = 16, WHERE_MAX = 200 };

/* The table as libcyaml wants it; its parts point at each other. */
struct schema {
    cyaml_schema_field_t fields[SCHEMA_FIELDS_MAX];
    size_t field_count;
    cyaml_schema_value_t entries[SCHEMA_ENTRIES_MAX];
    size_t entry_count;
    cyaml_schema_value_t top;
};

struct config_file {
    unsigned char *bytes;
    size_t byte_count;
    yaml_document_t document;
    bool has_document;
    bool shape_ok; /* sections and lists are where they should be */
    struct schema schema;
    struct config_raw *loaded; /* libcyaml's, or NULL */
    struct config_raw empty;
    struct config_problems *problems; /* during the check only */
};

/* ---- the check --------------------------------------------------------- */

static unsigned line_of(const yaml_node_t *node)
{
    return (unsigned)node->start_mark.line + 1;
}

static yaml_node_t *node_at(const struct config_file *file, int index)
{
    /* libyaml's getter takes a pointer to non-const and changes nothing. */
    yaml_node_t *first = file->document.nodes.start;
    assert(index >= 1 && first + index <= file->document.nodes.top);
    return first + index - 1;
}

static const char *scalar_text(const yaml_node_t *node)
{
    return (const char *)node->data.scalar.value;
}

static void check_section(struct config_file *file,
                          const struct config_key *keys,
                          const yaml_node_t *node, const char *where);

static void wrong_shape(struct config_file *file, const yaml_node_t *node,
                        const char *where, const char *wanted)
{
    file->shape_ok = false;
    bool empty =
        node->type == YAML_SCALAR_NODE && node->data.scalar.length == 0;
    config_problem(file->problems, line_of(node),
                   empty ? "%s is empty; give it %s or remove the key"
                         : "%s has the wrong form; it must be %s",
                   where, wanted);
}

/* True when the node is a text that could be a value. */
static bool check_text(struct config_file *file, const yaml_node_t *node,
                       const char *where)
{
    if (node->type != YAML_SCALAR_NODE) {
        wrong_shape(file, node, where, "one value");
        return false;
    }
    if (node->data.scalar.length == 0) {
        config_problem(file->problems, line_of(node),
                       "%s has no value; give one or remove the key", where);
        return false;
    }
    if (strlen(scalar_text(node)) != node->data.scalar.length) {
        config_problem(file->problems, line_of(node),
                       "%s contains a NUL; remove it", where);
        return false;
    }
    return true;
}

static void check_scalar(struct config_file *file, const struct config_key *key,
                         const yaml_node_t *node, const char *where)
{
    if (!check_text(file, node, where))
        return;
    char room[CONFIG_WRONG_MAX];
    const char *wrong = config_key_wrong(key, scalar_text(node), room);
    if (wrong != NULL)
        config_problem(file->problems, line_of(node), "%s: \"%.80s\" %s", where,
                       scalar_text(node), wrong);
}

/* True when the node is a list; too many entries are a problem of their own. */
static bool check_sequence(struct config_file *file,
                           const struct config_key *key,
                           const yaml_node_t *node, const char *where)
{
    if (node->type != YAML_SEQUENCE_NODE) {
        wrong_shape(file, node, where, "a list");
        return false;
    }
    int64_t count =
        node->data.sequence.items.top - node->data.sequence.items.start;
    if (count < key->min)
        config_problem(file->problems, line_of(node),
                       "%s is an empty list; add an entry or remove the key "
                       "for the default",
                       where);
    if (count > key->max) {
        file->shape_ok = false; /* what is beyond has no place */
        config_problem(file->problems, line_of(node),
                       "%s has %lld entries; at most %lld are possible", where,
                       (long long)count, (long long)key->max);
    }
    return true;
}

static void check_names(struct config_file *file, const struct config_key *key,
                        const yaml_node_t *node, const char *where)
{
    const struct config_key entry = {
        .name = key->name,
        .type = key->type == CONFIG_NAMES ? CONFIG_NAME : CONFIG_TEXT,
        .min = 1,
        .max = POOL_NAME_MAX - 1,
    };
    if (!check_sequence(file, key, node, where))
        return;
    const yaml_node_item_t *item = node->data.sequence.items.start;
    for (; item < node->data.sequence.items.top; item++)
        check_scalar(file, &entry, node_at(file, *item), where);
}

/* NOLINTBEGIN(misc-no-recursion): as deep as the table, whatever the file */

static void check_list(struct config_file *file, const struct config_key *key,
                       const yaml_node_t *node, const char *where)
{
    if (!check_sequence(file, key, node, where))
        return;
    const yaml_node_item_t *items = node->data.sequence.items.start;
    size_t count = (size_t)(node->data.sequence.items.top - items);
    for (size_t i = 0; i < count; i++) {
        char entry[WHERE_MAX];
        snprintf(entry, sizeof entry, "%.120s[%zu]", where, i);
        check_section(file, key->keys, node_at(file, items[i]), entry);
    }
}

static void check_value(struct config_file *file, const struct config_key *key,
                        const yaml_node_t *node, const char *where)
{
    switch (key->type) {
    case CONFIG_SECTION:
        check_section(file, key->keys, node, where);
        break;
    case CONFIG_LIST:
        check_list(file, key, node, where);
        break;
    case CONFIG_NAMES:
    case CONFIG_TEXTS:
        check_names(file, key, node, where);
        break;
    case CONFIG_TEXT:
    case CONFIG_HTTP:
    case CONFIG_AGENTS:
    case CONFIG_LEVEL:
    case CONFIG_NAME:
    case CONFIG_DURATION:
    case CONFIG_SIZE:
    case CONFIG_COUNT:
        check_scalar(file, key, node, where);
        break;
    }
}

static const yaml_node_pair_t *find_pair(const struct config_file *file,
                                         const yaml_node_t *node,
                                         const char *name)
{
    const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
    for (; pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = node_at(file, pair->key);
        if (key->type == YAML_SCALAR_NODE &&
            strcmp(scalar_text(key), name) == 0)
            return pair;
    }
    return NULL;
}

/* `where` for people: "the file", "lease", "pools[1]". */
static void check_pair(struct config_file *file, const struct config_key *keys,
                       const yaml_node_t *section, const yaml_node_pair_t *pair,
                       const char *where)
{
    const yaml_node_t *name = node_at(file, pair->key);
    if (name->type != YAML_SCALAR_NODE) {
        wrong_shape(file, name, where, "keys that are plain words");
        return;
    }
    const struct config_key *key = config_key_find(keys, scalar_text(name));
    if (key == NULL) {
        config_problem_unknown(file->problems, line_of(name), keys, where,
                               scalar_text(name));
        return;
    }
    const yaml_node_pair_t *first = find_pair(file, section, key->name);
    if (first != pair) {
        file->shape_ok = false; /* libcyaml would forget the first one's */
        config_problem(file->problems, line_of(name),
                       "key %s is here a second time, first in line %u; "
                       "remove one",
                       key->name, line_of(node_at(file, first->key)));
        return;
    }
    char inner[WHERE_MAX];
    if (keys == config_keys)
        snprintf(inner, sizeof inner, "%s", key->name);
    else
        snprintf(inner, sizeof inner, "%.120s.%s", where, key->name);
    check_value(file, key, node_at(file, pair->value), inner);
}

static void check_section(struct config_file *file,
                          const struct config_key *keys,
                          const yaml_node_t *node, const char *where)
{
    if (node->type != YAML_MAPPING_NODE) {
        wrong_shape(file, node, where, "a section of \"key: value\" lines");
        return;
    }
    const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
    for (; pair < node->data.mapping.pairs.top; pair++)
        check_pair(file, keys, node, pair, where);
    for (const struct config_key *key = keys; key->name != NULL; key++) {
        if (key->required && find_pair(file, node, key->name) == NULL)
            config_problem(file->problems, line_of(node),
                           "%s has no %s; add one", where, key->name);
    }
}

/* NOLINTEND(misc-no-recursion) */

/* ---- libcyaml ---------------------------------------------------------- */

static const cyaml_schema_field_t *schema_fields(struct schema *schema,
                                                 const struct config_key *keys,
                                                 size_t base);

static cyaml_schema_value_t text_schema(void)
{
    return (cyaml_schema_value_t){
        .type = CYAML_STRING,
        .flags = (enum cyaml_flag)(CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL),
        .data_size = sizeof(char),
        .string = {.min = 0, .max = CYAML_UNLIMITED},
    };
}

/* NOLINTBEGIN(misc-no-recursion): as deep as the table, whatever the file */

static const cyaml_schema_value_t *list_entry(struct schema *schema,
                                              const struct config_key *key)
{
    assert(schema->entry_count < SCHEMA_ENTRIES_MAX);
    cyaml_schema_value_t *entry = &schema->entries[schema->entry_count++];
    if (key->keys == NULL) {
        *entry = text_schema();
        entry->flags = CYAML_FLAG_POINTER;
        return entry;
    }
    *entry = (cyaml_schema_value_t){
        .type = CYAML_MAPPING,
        .data_size = (uint32_t)key->raw_bytes,
        .mapping = {.fields = schema_fields(schema, key->keys, 0)},
    };
    return entry;
}

static cyaml_schema_value_t value_schema(struct schema *schema,
                                         const struct config_key *key)
{
    if (key->type == CONFIG_SECTION)
        return (cyaml_schema_value_t){
            .type = CYAML_MAPPING,
            .flags = CYAML_FLAG_OPTIONAL,
            .data_size = (uint32_t)key->raw_bytes,
            .mapping = {.fields = schema_fields(schema, key->keys, key->raw)},
        };
    if (key->type != CONFIG_LIST && key->type != CONFIG_NAMES &&
        key->type != CONFIG_TEXTS)
        return text_schema();
    const cyaml_schema_value_t *entry = list_entry(schema, key);
    return (cyaml_schema_value_t){
        .type = CYAML_SEQUENCE,
        .flags = (enum cyaml_flag)(CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL),
        .data_size = entry->type == CYAML_STRING ? (uint32_t)sizeof(char *)
                                                 : entry->data_size,
        .sequence = {.entry = entry, .min = 0, .max = (uint32_t)key->max},
    };
}

/* The table counts offsets from the struct of the file or of a list's entry;
 * libcyaml counts those of a section's fields from the section: base. */
static const cyaml_schema_field_t *
schema_fields(struct schema *schema, const struct config_key *keys, size_t base)
{
    size_t count = 0;
    while (keys[count].name != NULL)
        count++;
    assert(schema->field_count + count + 1 <= SCHEMA_FIELDS_MAX);
    cyaml_schema_field_t *fields = &schema->fields[schema->field_count];
    schema->field_count += count + 1; /* the last stays empty: its end */
    for (size_t i = 0; i < count; i++) {
        const struct config_key *key = &keys[i];
        fields[i] = (cyaml_schema_field_t){
            .key = key->name,
            .data_offset = (uint32_t)(key->raw - base),
            .count_offset = (uint32_t)(key->raw_count - base),
            .count_size = sizeof(unsigned),
            .value = value_schema(schema, key),
        };
    }
    return fields;
}

/* NOLINTEND(misc-no-recursion) */

static cyaml_config_t cyaml_settings(void)
{
    return (cyaml_config_t){
        .mem_fn = cyaml_mem,
        .log_level = CYAML_LOG_ERROR,
        .flags = (enum cyaml_cfg_flags)(CYAML_CFG_IGNORE_UNKNOWN_KEYS |
                                        CYAML_CFG_NO_ALIAS),
    };
}

/* Nothing a person wrote should fail here: the check went before. */
static int fill_structs(struct config_file *file)
{
    file->schema.top = (cyaml_schema_value_t){
        .type = CYAML_MAPPING,
        .flags = CYAML_FLAG_POINTER,
        .data_size = sizeof(struct config_raw),
        .mapping = {.fields = schema_fields(&file->schema, config_keys, 0)},
    };
    cyaml_config_t settings = cyaml_settings();
    cyaml_data_t *loaded = NULL;
    cyaml_err_t err = cyaml_load_data(file->bytes, file->byte_count, &settings,
                                      &file->schema.top, &loaded, NULL);
    if (err == CYAML_ERR_OOM)
        return -ENOMEM;
    if (err != CYAML_OK) {
        config_problem(file->problems, 0,
                       "libcyaml refused the file (%s); please report this",
                       cyaml_strerror(err));
        return -EINVAL;
    }
    file->loaded = loaded;
    return 0;
}

/* ---- reading ----------------------------------------------------------- */

static int read_bytes(const char *path, struct config_file *file,
                      struct config_problems *problems)
{
    FILE *in = fopen(path, "re");
    if (in == NULL) {
        int r = -errno;
        config_problem(problems, 0, "%s; check the path and its permissions",
                       strerror(errno));
        return r;
    }
    int r = 0;
    errno = 0;
    file->bytes = malloc(CONFIG_FILE_BYTES_MAX + 1);
    if (file->bytes == NULL) {
        r = -ENOMEM;
    } else {
        file->byte_count = fread(file->bytes, 1, CONFIG_FILE_BYTES_MAX + 1, in);
        if (ferror(in)) {
            r = errno != 0 ? -errno : -EIO;
            config_problem(problems, 0, "%s; give a readable file",
                           strerror(-r));
        } else if (file->byte_count > CONFIG_FILE_BYTES_MAX) {
            r = -EINVAL;
            config_problem(problems, 0,
                           "is larger than 1MiB; give a configuration file");
        }
    }
    fclose(in);
    return r;
}

static void syntax_problem(const yaml_parser_t *parser,
                           struct config_problems *problems)
{
    bool reader = parser->error == YAML_READER_ERROR;
    unsigned line = reader ? 0 : (unsigned)parser->problem_mark.line + 1;
    const char *what = parser->problem ? parser->problem : "cannot be read";
    if (parser->context != NULL)
        config_problem(
            problems, line, "not valid YAML: %s %s (line %u); correct it", what,
            parser->context, (unsigned)parser->context_mark.line + 1);
    else
        config_problem(problems, line, "not valid YAML: %s; correct it", what);
}

/* libcyaml replays what an alias stands for, so a page of them could keep it
 * busy for hours; libyaml's tree does not tell an alias from the original. */
static int refuse_aliases(const struct config_file *file,
                          struct config_problems *problems)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return -ENOMEM;
    yaml_parser_set_input_string(&parser, file->bytes, file->byte_count);
    int r = 0;
    bool more = true;
    while (more) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            r = parser.error == YAML_MEMORY_ERROR ? -ENOMEM : -EINVAL;
            if (r == -EINVAL)
                syntax_problem(&parser, problems);
            break;
        }
        if (event.type == YAML_ALIAS_EVENT) {
            config_problem(problems, (unsigned)event.start_mark.line + 1,
                           "alias *%.40s; YAML aliases are not supported, "
                           "write the value out",
                           (const char *)event.data.alias.anchor);
            r = -EINVAL;
        }
        more = event.type != YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return r;
}

/* A second document would be ignored silently. */
static void check_single(yaml_parser_t *parser,
                         struct config_problems *problems)
{
    yaml_document_t more;
    if (!yaml_parser_load(parser, &more)) {
        syntax_problem(parser, problems);
        return;
    }
    if (yaml_document_get_root_node(&more) != NULL)
        config_problem(problems, (unsigned)more.start_mark.line + 1,
                       "a second YAML document; put everything into one");
    yaml_document_delete(&more);
}

static int parse(struct config_file *file, struct config_problems *problems)
{
    int r = refuse_aliases(file, problems);
    if (r < 0)
        return r;
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return -ENOMEM;
    yaml_parser_set_input_string(&parser, file->bytes, file->byte_count);
    if (yaml_parser_load(&parser, &file->document)) {
        file->has_document = true;
        if (yaml_document_get_root_node(&file->document) != NULL)
            check_single(&parser, problems);
    } else if (parser.error == YAML_MEMORY_ERROR) {
        r = -ENOMEM;
    } else {
        syntax_problem(&parser, problems);
        r = -EINVAL;
    }
    yaml_parser_delete(&parser);
    return r;
}

static int check(struct config_file *file, struct config_problems *problems)
{
    const yaml_node_t *root = yaml_document_get_root_node(&file->document);
    if (root == NULL)
        return 0; /* comments only: the defaults */
    file->shape_ok = true;
    file->problems = problems;
    check_section(file, config_keys, root, "the file");
    return file->shape_ok ? fill_structs(file) : -EINVAL;
}

int config_file_read(const char *path, struct config_file **ret_file,
                     struct config_problems *problems)
{
    struct config_file *file = calloc(1, sizeof *file);
    if (file == NULL)
        return -ENOMEM;
    int r = read_bytes(path, file, problems);
    if (r == 0)
        r = parse(file, problems);
    if (r == 0)
        r = check(file, problems);
    if (r < 0) {
        config_file_free(&file);
        return r;
    }
    *ret_file = file;
    return 0;
}

void config_file_free(struct config_file **file_p)
{
    struct config_file *file = *file_p;
    if (file == NULL)
        return;
    if (file->loaded != NULL) {
        cyaml_config_t settings = cyaml_settings();
        cyaml_free(&settings, &file->schema.top, file->loaded, 0);
    }
    if (file->has_document)
        yaml_document_delete(&file->document);
    free(file->bytes);
    free(file);
    *file_p = NULL;
}

const struct config_raw *config_file_raw(const struct config_file *file)
{
    return file->loaded != NULL ? file->loaded : &file->empty;
}

/* ---- lines ------------------------------------------------------------- */

/* NULL: not there. */
static const yaml_node_t *child_of(const struct config_file *file,
                                   const yaml_node_t *node, const char *name)
{
    if (node->type == YAML_MAPPING_NODE) {
        const yaml_node_pair_t *pair = find_pair(file, node, name);
        return pair != NULL ? node_at(file, pair->value) : NULL;
    }
    if (node->type != YAML_SEQUENCE_NODE)
        return NULL;
    const yaml_node_item_t *items = node->data.sequence.items.start;
    unsigned long count =
        (unsigned long)(node->data.sequence.items.top - items);
    unsigned long index = strtoul(name, NULL, 10);
    return index < count ? node_at(file, items[index]) : NULL;
}

unsigned config_file_line(const struct config_file *file, const char *path_fmt,
                          ...)
{
    if (file == NULL || !file->has_document ||
        file->document.nodes.start == file->document.nodes.top)
        return 0;
    char path[WHERE_MAX];
    va_list args;
    va_start(args, path_fmt);
    vsnprintf(path, sizeof path, path_fmt, args);
    va_end(args);
    const yaml_node_t *node = node_at(file, 1); /* the root is the first */
    char *rest = path;
    for (char *name = strsep(&rest, "/"); name != NULL;
         name = strsep(&rest, "/")) {
        const yaml_node_t *child = child_of(file, node, name);
        if (child == NULL)
            break;
        node = child;
    }
    return line_of(node);
}
