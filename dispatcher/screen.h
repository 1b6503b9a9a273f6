/*
 * screen.h - where our programs write: is it a terminal, how wide, may it have
 * colour, may our ornaments leave ASCII. Every text is cleaned on its way
 * (plain.h).
 *
 * Threads: one.
 */
#ifndef DISPATCHER_SCREEN_H
#define DISPATCHER_SCREEN_H

#include "dispatcher/plain.h"

#include <stdio.h>

enum style {
    STYLE_PLAIN,
    STYLE_BOLD,
    STYLE_DIM,
    STYLE_GOOD, /* green */
    STYLE_WARN, /* yellow */
    STYLE_BAD,  /* red */
    STYLE_NAME, /* cyan */
};

enum colour_when { COLOUR_AUTO, COLOUR_ALWAYS, COLOUR_NEVER };

struct screen {
    FILE *out;
    bool tty;
    bool colour;
    bool utf8;   /* our own ornaments may leave ASCII */
    int columns; /* width; INT_MAX when not a terminal */
    int rows;    /* height; INT_MAX when not a terminal */
};

/* Call once in main before anything else here: the locale decides about
 * ornaments; widths are always those of UTF-8. True: a UTF-8 locale. */
bool screen_locale(void);

/* AUTO: on a terminal, unless NO_COLOR is set or TERM is "dumb". */
void screen_init(struct screen *screen, FILE *out, enum colour_when colour);

/* Text as it is, cleaned, in a style. */
void screen_text(const struct screen *screen, enum style style,
                 const char *text);
/* printf, then as screen_text(). */
void screen_put(const struct screen *screen, enum style style, const char *fmt,
                ...) __attribute__((format(printf, 3, 4)));
/* A paragraph wrapped to the screen, ending with a newline. The first line
 * begins at column `at`, where the cursor is; the others are indented by
 * `indent`. */
void screen_wrap(const struct screen *screen, enum style style, int at,
                 int indent, const char *text);

/* One of our ornaments, or its ASCII stand-in. */
enum ornament {
    ORNAMENT_OK,
    ORNAMENT_FAIL,
    ORNAMENT_RUN,
    ORNAMENT_WAIT,
    ORNAMENT_SKIP,
    ORNAMENT_STOP,
    ORNAMENT_ARROW,
    ORNAMENT_DOT,
    ORNAMENT_DASH,
    ORNAMENT_ELLIPSIS,
    ORNAMENTS
};
const char *screen_ornament(const struct screen *screen,
                            enum ornament ornament);

/* "####....", `columns` wide, part/whole filled (clamped); malloc'ed. */
char *screen_bar(const struct screen *screen, int columns, double part,
                 double whole);

#endif
