/* client_paper.h - for test_client.c: a screen that is memory, an answer that
 * nobody sent, a command line that is a text. Included once, by the test. */
#ifndef TESTS_UNIT_CLIENT_PAPER_H
#define TESTS_UNIT_CLIENT_PAPER_H

#include "dispatcher/board_show.h"
#include "dispatcher/ctl.h"
#include "dispatcher/monitor.h"
#include "dispatcher/table.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct paper {
    struct screen screen;
    char *text;
    size_t bytes;
};

static struct paper paper_of(int columns)
{
    struct paper paper = {0};

    return (screen_init(&paper.screen, stdout, COLOUR_NEVER),
            paper.screen.columns = columns, paper.screen.tty = false, paper);
}

static void paper_open(struct paper *paper)
{
    paper->screen.out = open_memstream(&paper->text, &paper->bytes);
    assert_non_null(paper->screen.out);
}

static const char *paper_read(struct paper *paper)
{
    assert_int_equal(fclose(paper->screen.out), 0);
    paper->screen.out = NULL;
    return paper->text;
}

static size_t longest_line(const char *text)
{
    size_t longest = 0;

    while (*text) {
        char *line = strndup(text, strcspn(text, "\n"));
        size_t columns = (size_t)plain_columns(line);
        longest = columns > longest ? columns : longest;
        free(line);
        text += strcspn(text, "\n");
        text += *text == '\n';
    }
    return longest;
}

static struct client_answer answer_of(long status, const char *body)
{
    struct client_answer answer = {
        .status = status, .text = strdup(body), .bytes = strlen(body)};

    answer.body = json_loads(body, JSON_DECODE_ANY, NULL);
    return answer;
}

/* Parses a line; what was said is in paper->text. */
static int parse(struct ctl *ctl, struct paper *paper, const char *line)
{
    static char words[512];
    static char *argv[32];
    int argc = 0;

    (void)snprintf(words, sizeof words, "dispatchctl %s", line);
    for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    argv[argc] = NULL;
    *paper = paper_of(INT_MAX);
    paper_open(paper);
    *ctl = (struct ctl){.out = paper->screen, .err = paper->screen};
    int code = ctl_parse(ctl, argc, argv);
    (void)paper_read(paper);
    return code;
}

#endif
