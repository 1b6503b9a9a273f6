/* files_sink.c - see files_inside.h: what the sinks have in common. */
#include "agents/files_inside.h"

#include <errno.h>
#include <stdlib.h>

static void file_abort(struct sink *sink)
{
    struct file_sink *file = (struct file_sink *)sink;

    if (file->open)
        files_out_close(&file->out);
    file->open = false;
}

static enum sink_answer file_commit(struct sink *sink)
{
    struct file_sink *file = (struct file_sink *)sink;
    int rc = file->open ? files_out_commit(&file->out) : -EBADF;

    sink->bytes = file->out.bytes;
    file_abort(sink);
    return rc < 0 ? file_sink_failed(file, rc) : SINK_OK;
}

int file_sink_init(struct file_sink *file, const char *root, const char *path,
                   const struct schema *given, char error[FILES_ERROR_MAX])
{
    file->root = strdup(root);
    file->path = strdup(path);
    if (schema_copy(given, &file->sink.schema) < 0 || !file->root ||
        !file->path)
        return files_fail(error, -ENOMEM, "out of memory");
    value_quote(path, strlen(path), file->shown);
    file->sink.commit = file_commit;
    file->sink.abort = file_abort;
    return 0;
}

void file_sink_clear(struct file_sink *file)
{
    file_abort(&file->sink);
    schema_clear(&file->sink.schema);
    free(file->root);
    free(file->path);
}

enum sink_answer file_sink_open(struct file_sink *file)
{
    char error[FILES_ERROR_MAX];

    if (files_out_open(&file->out, file->root, file->path, error) < 0)
        return sink_fail(&file->sink, "%s", error);
    file->open = true;
    return SINK_OK;
}

enum sink_answer file_sink_count(struct file_sink *file)
{
    if (file->out.rc < 0)
        return file_sink_failed(file, file->out.rc);
    file->sink.rows++;
    file->sink.bytes = file->out.bytes;
    return SINK_OK;
}

enum sink_answer file_sink_failed(struct file_sink *file, int rc)
{
    return sink_fail(&file->sink, "%s cannot be written: %s", file->shown,
                     strerror(-rc));
}
