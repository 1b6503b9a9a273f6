/* log.c - see log.h. */
#include "agents/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const level_names[] = {
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_WARN] = "warn",
    [LOG_LEVEL_ERROR] = "error",
};

void log_event(enum log_level level, const char *event, const char *fields_fmt,
               ...)
{
    char line[LOG_LINE_MAX];
    struct timespec now = {0};
    struct tm tm;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    size_t used = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &tm);
    int n = snprintf(line + used, sizeof line - used, ".%03ldZ %s %s ",
                     now.tv_nsec / 1000000, level_names[level], event);
    if (n > 0)
        used += (size_t)n;
    va_list args;
    va_start(args, fields_fmt);
    n = vsnprintf(line + used, sizeof line - used, fields_fmt, args);
    va_end(args);
    if (n > 0)
        used += (size_t)n;
    if (used > sizeof line - 1)
        used = sizeof line - 1;
    line[used++] = '\n';
    ssize_t ignored = write(STDERR_FILENO, line, used);
    (void)ignored;
}

struct log_quoted log_quote(const char *text, size_t bytes)
{
    struct log_quoted q;
    size_t used = 0;

    q.text[used++] = '"';
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)text[i];
        if (used > sizeof q.text - 12) {
            memcpy(q.text + used, "...", 3);
            used += 3;
            break;
        }
        if (c == '"' || c == '\\') {
            q.text[used++] = '\\';
            q.text[used++] = (char)c;
        } else if (c == '\n') {
            q.text[used++] = '\\';
            q.text[used++] = 'n';
        } else if (c < 0x20 || c == 0x7f) {
            used += (size_t)snprintf(q.text + used, sizeof q.text - used,
                                     "\\x%02x", c);
        } else {
            q.text[used++] = (char)c;
        }
    }
    q.text[used++] = '"';
    q.text[used] = '\0';
    return q;
}
