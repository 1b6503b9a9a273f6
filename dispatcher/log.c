/* log.c - see log.h */
#include "dispatcher/log.h"
#include "policy/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    LINE_MAX_BYTES = 4096, /* PIPE_BUF: one write() is never torn */
    ESCAPED_MAX = 4,       /* "\xNN" */
    NUMBERS = 16,
    NUMBER_TEXT_MAX = 24,
};

static _Atomic int threshold = LOG_INFO;

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&threshold, (int)level, memory_order_relaxed);
}

bool log_enabled(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&threshold, memory_order_relaxed);
}

const char *log_number(int64_t number)
{
    static _Thread_local char texts[NUMBERS][NUMBER_TEXT_MAX];
    static _Thread_local unsigned next;
    char *text = texts[next++ % NUMBERS];
    snprintf(text, NUMBER_TEXT_MAX, "%" PRId64, number);
    return text;
}

/* A line that grows; room for the mark of a cut and the newline is kept. */
struct line {
    char text[LINE_MAX_BYTES];
    size_t len;
    bool cut;
};

static const char cut_mark[] = "...";

static void put(struct line *line, const char *bytes, size_t count)
{
    if (line->cut || line->len + count + sizeof cut_mark > sizeof line->text) {
        line->cut = true;
        return;
    }
    memcpy(line->text + line->len, bytes, count);
    line->len += count;
}

static void put_text(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

/* C1 controls (U+0080..U+009F) reach a terminal as well as C0 ones do. */
static bool is_control(const unsigned char *c, size_t len)
{
    return (len == 1 && (*c < 0x20 || *c == 0x7f)) ||
           (len == 2 && c[0] == 0xc2 && c[1] < 0xa0);
}

static void put_escaped(struct line *line, const unsigned char *c, size_t len)
{
    static const struct {
        char byte;
        const char *text;
    } short_forms[] = {{'\n', "\\n"}, {'\r', "\\r"}, {'\t', "\\t"}};
    for (size_t i = 0; i < sizeof short_forms / sizeof short_forms[0]; i++) {
        if ((char)*c == short_forms[i].byte) {
            put_text(line, short_forms[i].text);
            return;
        }
    }
    for (size_t i = 0; i < len; i++) {
        char text[ESCAPED_MAX + 1];
        snprintf(text, sizeof text, "\\x%02x", c[i]);
        put_text(line, text);
    }
}

/* Nothing in it that a reader would have to take apart. */
static bool is_plain(const char *value)
{
    if (*value == '\0')
        return false;
    for (const char *c = value; *c != '\0'; c++) {
        if (*c <= ' ' || *c >= 0x7f || *c == '"' || *c == '\\' || *c == '=')
            return false;
    }
    return true;
}

static void put_value(struct line *line, const char *value)
{
    if (is_plain(value)) {
        put_text(line, value);
        return;
    }
    put_text(line, "\"");
    size_t left = strlen(value);
    while (left > 0) {
        const unsigned char *c = (const unsigned char *)value;
        size_t len = text_utf8_len(value, left);
        bool valid = len > 0;
        if (!valid)
            len = 1;
        if (!valid || is_control(c, len)) {
            put_escaped(line, c, len);
        } else {
            if (*c == '"' || *c == '\\')
                put_text(line, "\\");
            put(line, value, len);
        }
        value += len;
        left -= len;
    }
    put_text(line, "\"");
}

static void put_head(struct line *line, enum log_level level, const char *word)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    struct timespec now;
    struct tm utc;
    char date[32];
    char head[64];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(head, sizeof head, "%s.%03ldZ %s ", date, now.tv_nsec / 1000000,
             names[level]);
    put_text(line, head);
    put_text(line, word);
}

void log_event(enum log_level level, const char *word, ...)
{
    if (!log_enabled(level))
        return;
    struct line line;
    line.len = 0;
    line.cut = false;
    put_head(&line, level, word);
    va_list args;
    va_start(args, word);
    for (const char *key = va_arg(args, const char *); key != NULL;
         key = va_arg(args, const char *)) {
        const char *value = va_arg(args, const char *);
        if (value == NULL)
            continue;
        put_text(&line, " ");
        put_text(&line, key);
        put_text(&line, "=");
        put_value(&line, value);
    }
    va_end(args);
    if (line.cut) {
        memcpy(line.text + line.len, cut_mark, sizeof cut_mark - 1);
        line.len += sizeof cut_mark - 1;
    }
    line.text[line.len++] = '\n';
    int saved = errno;
    ssize_t r;
    do {
        r = write(STDERR_FILENO, line.text, line.len);
    } while (r < 0 && errno == EINTR);
    errno = saved; /* nobody hears of a failure but a broken stderr */
}
