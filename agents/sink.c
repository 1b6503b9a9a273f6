/* sink.c - see sink.h. */
#include "agents/sink.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void sink_close(struct sink **sink_p)
{
    struct sink *sink = *sink_p;

    *sink_p = NULL;
    if (sink)
        sink->close(sink);
}

enum sink_answer sink_fail(struct sink *sink, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(sink->error, sizeof sink->error, fmt, args);
    va_end(args);
    return SINK_FAILED;
}

static enum sink_answer nowhere_begin(struct sink *sink)
{
    (void)sink;
    return SINK_OK;
}

static enum sink_answer nowhere_row(struct sink *sink, sqlite3_stmt *stmt)
{
    (void)stmt;
    sink->rows++;
    return SINK_OK;
}

static enum sink_answer nowhere_commit(struct sink *sink)
{
    (void)sink;
    return SINK_OK;
}

static void nowhere_abort(struct sink *sink)
{
    (void)sink;
}

static void nowhere_close(struct sink *sink)
{
    schema_clear(&sink->schema);
    free(sink);
}

int sink_nowhere(const struct schema *schema, struct sink **ret_sink)
{
    struct sink *sink = calloc(1, sizeof *sink);

    if (!sink)
        return -ENOMEM;
    if (schema_copy(schema, &sink->schema) < 0) {
        free(sink);
        return -ENOMEM;
    }
    sink->begin = nowhere_begin;
    sink->row = nowhere_row;
    sink->commit = nowhere_commit;
    sink->abort = nowhere_abort;
    sink->close = nowhere_close;
    *ret_sink = sink;
    return 0;
}
