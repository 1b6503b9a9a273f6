/* files.c - see files.h and files_inside.h: paths, columns, bad rows. */
#include "agents/files_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int files_fail(char error[FILES_ERROR_MAX], int rc, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(error, FILES_ERROR_MAX, fmt, args);
    va_end(args);
    return rc;
}

/* ---- paths --------------------------------------------------------------
 * The kernel resolves them beneath the root, so that neither ".." nor a link,
 * nor someone who moves directories about meanwhile, leads out of it. What is
 * seen from the text alone is refused before, with better words. */

static const char *path_problem(const char *path)
{
    if (!*path)
        return "is empty";
    if (*path == '/')
        return "is absolute; paths are relative to the agent's data.files";
    if (strlen(path) >= PATH_MAX)
        return "is too long";
    for (const char *at = path; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            return "has a control character";
    for (const char *part = path; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || !part[2]))
            return "has \"..\", and cannot leave the agent's data.files";
    }
    const char *last = strrchr(path, '/');
    last = last ? last + 1 : path;
    if (!*last || strcmp(last, ".") == 0)
        return "names a directory, not a file";
    return NULL;
}

/* As the document has it, fit to be printed. */
static const char *quoted(const char *path, char to[VALUE_QUOTED_MAX])
{
    return value_quote(path, strlen(path), to);
}

int files_path(const json_t *config, const char **ret_path,
               char error[FILES_ERROR_MAX])
{
    const json_t *path = json_object_get(config, "path");
    char shown[VALUE_QUOTED_MAX];

    if (!json_is_string(path))
        return files_fail(error, -EINVAL, "path is missing, or not a text");
    const char *text = json_string_value(path);
    const char *wrong = strlen(text) != json_string_length(path)
                            ? "has a NUL"
                            : path_problem(text);
    if (wrong)
        return files_fail(error, -EINVAL, "path %s %s", quoted(text, shown),
                          wrong);
    *ret_path = text;
    return 0;
}

static int open_beneath(int root_fd, const char *path, int flags)
{
    const struct open_how how = {
        .flags = (unsigned)(flags | O_CLOEXEC),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    /* -EAGAIN: something was renamed in between. */
    for (int tries = 0; tries < 100; tries++) {
        long fd = syscall(SYS_openat2, root_fd, path, &how, sizeof how);
        if (fd >= 0)
            return (int)fd;
        if (errno != EAGAIN && errno != EINTR)
            break;
    }
    return -errno;
}

static int open_root(const char *root, char error[FILES_ERROR_MAX])
{
    int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return files_fail(error, -errno,
                          "the agent's data.files cannot be opened: %s",
                          strerror(errno));
    return fd;
}

static const char *open_problem(int rc)
{
    return rc == -EXDEV ? "a link leads out of the agent's data.files"
                        : strerror(-rc);
}

int files_open(const char *root, const char *path, int *ret_fd,
               char error[FILES_ERROR_MAX])
{
    char shown[VALUE_QUOTED_MAX];
    struct stat status;
    int root_fd = open_root(root, error);

    if (root_fd < 0)
        return root_fd;
    /* Not to wait for the writer of a FIFO. */
    int fd = open_beneath(root_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    close(root_fd);
    if (fd < 0)
        return files_fail(error, fd, "%s: %s", quoted(path, shown),
                          open_problem(fd));
    if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode)) {
        close(fd);
        return files_fail(error, -EINVAL, "%s is not a file",
                          quoted(path, shown));
    }
    *ret_fd = fd;
    return 0;
}

int64_t files_size(const char *root, const char *path)
{
    char ignored[FILES_ERROR_MAX];
    struct stat status;

    if (path_problem(path))
        return -1;
    int root_fd = open_root(root, ignored);
    if (root_fd < 0)
        return -1;
    int fd = open_beneath(root_fd, path, O_PATH);
    close(root_fd);
    if (fd < 0)
        return -1;
    bool there = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    close(fd);
    return there ? (int64_t)status.st_size : -1;
}

/* The directory `path`, whose parent parent_fd is. */
static int open_or_make(int root_fd, int parent_fd, const char *path,
                        const char *last)
{
    int fd = open_beneath(root_fd, path, O_RDONLY | O_DIRECTORY);

    if (fd != -ENOENT)
        return fd;
    if (mkdirat(parent_fd, last, 0777) < 0 && errno != EEXIST)
        return -errno;
    fsync(parent_fd);
    return open_beneath(root_fd, path, O_RDONLY | O_DIRECTORY);
}

int files_open_directory(const char *root, const char *path, int *ret_fd,
                         const char **ret_name, char error[FILES_ERROR_MAX])
{
    char shown[VALUE_QUOTED_MAX], part[PATH_MAX];
    int root_fd = open_root(root, error);

    if (root_fd < 0)
        return root_fd;
    int fd = open_beneath(root_fd, ".", O_RDONLY | O_DIRECTORY);
    const char *name = path, *slash;
    while (fd >= 0 && (slash = strchr(name, '/'))) {
        snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
        if (slash > name) {
            int next = open_or_make(root_fd, fd, part, part + (name - path));
            close(fd);
            fd = next;
        }
        name = slash + 1;
    }
    close(root_fd);
    if (fd < 0)
        return files_fail(error, fd, "%s: its directory: %s",
                          quoted(path, shown), open_problem(fd));
    if (strlen(name) > NAME_MAX) {
        close(fd);
        return files_fail(error, -ENAMETOOLONG, "%s: %s", quoted(path, shown),
                          strerror(ENAMETOOLONG));
    }
    *ret_fd = fd;
    *ret_name = name;
    return 0;
}

/* ---- columns ------------------------------------------------------------ */

static int read_digits(const json_t *said, const char *key, int least,
                       int *ret_digits)
{
    const json_t *value = json_object_get(said, key);

    if (!value || json_is_null(value))
        return 0;
    if (!json_is_integer(value) || json_integer_value(value) < least ||
        json_integer_value(value) > DECIMAL_DIGITS_MAX)
        return -EINVAL;
    *ret_digits = (int)json_integer_value(value);
    return 0;
}

static int read_column(const json_t *said, size_t index, struct schema *schema,
                       char error[FILES_ERROR_MAX])
{
    const json_t *name = json_object_get(said, "name"),
                 *word = json_object_get(said, "type");
    enum type type = TYPE_NULL;
    char shown[VALUE_QUOTED_MAX];

    if (!json_is_string(name) || json_string_length(name) == 0 ||
        strlen(json_string_value(name)) != json_string_length(name))
        return files_fail(error, -EINVAL, "columns[%zu] has no name", index);
    quoted(json_string_value(name), shown);
    if (word && !json_is_null(word) &&
        (!json_is_string(word) || !type_find(json_string_value(word), &type)))
        return files_fail(error, -EINVAL, "columns: the type of %s is none",
                          shown);
    for (size_t i = 0; i < schema->count; i++)
        if (strcmp(schema->columns[i].name, json_string_value(name)) == 0)
            return files_fail(error, -EINVAL, "columns has %s twice", shown);
    struct column *column = schema_add(schema, json_string_value(name), type);
    if (!column)
        return files_fail(error, -ENOMEM, "no memory, or more than %d columns",
                          SCHEMA_COLUMNS_MAX);
    if (read_digits(said, "precision", 1, &column->precision) < 0 ||
        read_digits(said, "scale", 0, &column->scale) < 0)
        return files_fail(error, -EINVAL,
                          "columns: precision or scale of %s is not right",
                          shown);
    return 0;
}

int files_columns(const json_t *config, struct schema *ret_schema,
                  char error[FILES_ERROR_MAX])
{
    const json_t *columns = json_object_get(config, "columns"), *said;
    size_t index;

    if (!columns || json_is_null(columns))
        return 0;
    if (!json_is_array(columns) || json_array_size(columns) == 0)
        return files_fail(error, -EINVAL,
                          "columns is not a list with at least one column");
    json_array_foreach(columns, index, said) {
        int rc = read_column(said, index, ret_schema, error);
        if (rc < 0) {
            schema_clear(ret_schema);
            return rc;
        }
    }
    return 0;
}

/* ---- rows --------------------------------------------------------------- */

int files_bad_row(struct feed *feed, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(feed->error, sizeof feed->error, fmt, args);
    va_end(args);
    if (!feed->skip)
        return -1;
    feed->rejected++;
    if (feed->reject)
        feed->reject(feed->context, feed->error);
    return 0;
}

bool files_is_plain(const char *bytes, size_t len)
{
    const uint64_t high = 0x8080808080808080, low = 0x0101010101010101;
    uint64_t word, bad = 0;

    /* (word - low) & ~word has a high bit for the lowest zero byte. */
    for (; len >= sizeof word; bytes += sizeof word, len -= sizeof word) {
        memcpy(&word, bytes, sizeof word);
        bad |= (word | (word - low)) & high;
    }
    for (; len > 0; bytes++, len--)
        bad |= *bytes <= 0;
    return bad == 0;
}

static bool needs_room(const struct column *column)
{
    return column->type != TYPE_TEXT && column->type != TYPE_BYTES;
}

int files_rooms_make(struct files_rooms *rooms, const struct schema *schema)
{
    size_t count = 0;

    rooms->offsets = calloc(schema->count + 1, sizeof *rooms->offsets);
    if (!rooms->offsets)
        return -ENOMEM;
    for (size_t i = 0; i < schema->count; i++)
        if (needs_room(&schema->columns[i]))
            rooms->offsets[i] = VALUE_ROOM * count++;
    rooms->bytes = malloc(VALUE_ROOM * (count + 1));
    return rooms->bytes ? 0 : -ENOMEM;
}

void files_rooms_clear(struct files_rooms *rooms)
{
    free(rooms->bytes);
    free(rooms->offsets);
    memset(rooms, 0, sizeof *rooms);
}

int files_cell(const struct files_rooms *rooms, const struct schema *schema,
               size_t column, char *bytes, size_t len, struct cell *ret_cell,
               char *why)
{
    const struct column *of = &schema->columns[column];
    int rc;

    if (of->type == TYPE_BYTES) {
        rc = value_bytes(bytes, len, bytes, &ret_cell->len);
        ret_cell->bytes = bytes;
        if (rc < 0)
            snprintf(why, VALUE_WHY_MAX, "this is not \\x and hex digits");
        return rc;
    }
    rc =
        value_check(of->type, bytes, len, rooms->bytes + rooms->offsets[column],
                    VALUE_ROOM, &ret_cell->bytes, &ret_cell->len, why);
    if (rc == 0 && of->precision >= 0)
        rc = value_fits(of, ret_cell->bytes, ret_cell->len, why);
    return rc;
}
