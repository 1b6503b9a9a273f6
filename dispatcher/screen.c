/* screen.c - see screen.h */
#include "dispatcher/screen.h"

#include <assert.h>
#include <langinfo.h>
#include <limits.h>
#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static bool locale_is_utf8;

bool screen_locale(void)
{
    (void)setlocale(LC_ALL, "");
    locale_is_utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    if (!locale_is_utf8)
        (void)setlocale(LC_CTYPE, "C.UTF-8"); /* for wcwidth() alone */
    (void)setlocale(LC_NUMERIC, "C");
    return locale_is_utf8;
}

static int from_environment(const char *name, int least, int otherwise)
{
    const char *text = getenv(name);
    long asked = text ? strtol(text, NULL, 10) : 0;

    return asked >= least && asked <= 1000 ? (int)asked : otherwise;
}

static void measure(struct screen *screen, int fd)
{
    struct winsize size = {0};

    if (ioctl(fd, TIOCGWINSZ, &size) < 0 || size.ws_col == 0) {
        size.ws_col = (unsigned short)from_environment("COLUMNS", 40, 80);
        size.ws_row = (unsigned short)from_environment("LINES", 10, 24);
    }
    screen->columns = size.ws_col < 40 ? 40 : size.ws_col;
    screen->rows = size.ws_row < 10 ? 10 : size.ws_row;
}

void screen_init(struct screen *screen, FILE *out, enum colour_when colour)
{
    const char *term = getenv("TERM");
    const char *no_color = getenv("NO_COLOR");
    int fd = fileno(out);

    *screen = (struct screen){.out = out,
                              .utf8 = locale_is_utf8,
                              .columns = INT_MAX,
                              .rows = INT_MAX};
    screen->tty = fd >= 0 && isatty(fd);
    if (screen->tty)
        measure(screen, fd);
    bool dumb = !term || strcmp(term, "dumb") == 0;
    bool wanted = screen->tty && !dumb && (!no_color || !*no_color);
    screen->colour =
        colour == COLOUR_ALWAYS || (colour == COLOUR_AUTO && wanted);
}

static const char *const styles[] = {
    [STYLE_PLAIN] = "",  [STYLE_BOLD] = "1",  [STYLE_DIM] = "2",
    [STYLE_GOOD] = "32", [STYLE_WARN] = "33", [STYLE_BAD] = "31",
    [STYLE_NAME] = "36",
};

static void style_begin(const struct screen *screen, enum style style)
{
    if (screen->colour && style != STYLE_PLAIN)
        (void)fprintf(screen->out, "\033[%sm", styles[style]);
}

static void style_end(const struct screen *screen, enum style style)
{
    if (screen->colour && style != STYLE_PLAIN)
        (void)fputs("\033[0m", screen->out);
}

/* Our own line ends stay; nothing else below a space does. The style ends
 * before a line end. */
void screen_text(const struct screen *screen, enum style style,
                 const char *text)
{
    size_t bytes = strlen(text);
    char *clean = plain_clean(text, bytes, true);
    size_t len = strlen(clean);
    bool line = len > 0 && clean[len - 1] == '\n';

    if (line)
        clean[len - 1] = '\0';
    if (*clean) {
        style_begin(screen, style);
        (void)fputs(clean, screen->out);
        style_end(screen, style);
    }
    if (line)
        (void)fputc('\n', screen->out);
    free(clean);
}

void screen_put(const struct screen *screen, enum style style, const char *fmt,
                ...)
{
    char *text = NULL;
    va_list args;

    va_start(args, fmt);
    int len = vasprintf(&text, fmt, args);
    va_end(args);
    if (len < 0)
        return;
    screen_text(screen, style, text);
    free(text);
}

void screen_wrap(const struct screen *screen, enum style style, int at,
                 int indent, const char *text)
{
    char *clean = plain_clean(text, strlen(text), false);
    const char *rest = clean;

    while (rest) {
        const char *next = NULL;
        int room = screen->columns == INT_MAX ? INT_MAX : screen->columns - at;
        size_t bytes = plain_wrap(rest, room < 20 ? 20 : room, &next);
        style_begin(screen, style);
        (void)fprintf(screen->out, "%.*s", (int)bytes, rest);
        style_end(screen, style);
        (void)fprintf(screen->out, "\n%*s", next ? indent : 0, "");
        rest = next;
        at = indent;
    }
    free(clean);
}

const char *screen_ornament(const struct screen *screen, enum ornament ornament)
{
    static const char *const signs[ORNAMENTS][2] = {
        [ORNAMENT_OK] = {"ok", "✓"},    [ORNAMENT_FAIL] = {"x", "✗"},
        [ORNAMENT_RUN] = {">", "▶"},    [ORNAMENT_WAIT] = {".", "·"},
        [ORNAMENT_SKIP] = {"-", "⊘"},   [ORNAMENT_STOP] = {"#", "■"},
        [ORNAMENT_ARROW] = {"->", "→"}, [ORNAMENT_DOT] = {"*", "•"},
        [ORNAMENT_DASH] = {"-", "–"},   [ORNAMENT_ELLIPSIS] = {"..", "…"},
    };

    assert(ornament < ORNAMENTS);
    return signs[ornament][screen->utf8 ? 1 : 0];
}

char *screen_bar(const struct screen *screen, int columns, double part,
                 double whole)
{
    const char *full = screen->utf8 ? "█" : "#";
    const char *rest = screen->utf8 ? "░" : ".";
    double share = whole > 0 ? part / whole : part > 0 ? 1 : 0;
    char *bar = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&bar, &bytes);

    if (!out)
        abort();
    share = share < 0 ? 0 : share > 1 ? 1 : share;
    int filled = (int)(share * columns + 0.5);
    if (filled == 0 && part > 0)
        filled = 1;
    for (int i = 0; i < columns; i++)
        (void)fputs(i < filled ? full : rest, out);
    if (fclose(out) != 0 || !bar)
        abort();
    return bar;
}
