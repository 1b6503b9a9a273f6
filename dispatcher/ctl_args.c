/* ctl_args.c - see ctl.h: from argv to a command with its options */
#include "dispatcher/ctl.h"
#include "policy/text.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- saying what is wrong ---------------------------------------------- */

static void say(const struct ctl *ctl, const char *fmt, va_list args)
    __attribute__((format(printf, 2, 0)));

static void say(const struct ctl *ctl, const char *fmt, va_list args)
{
    char *text = NULL;
    const char *name = ctl->command ? ctl->command->name : NULL;

    if (vasprintf(&text, fmt, args) < 0)
        return;
    char *who =
        plain_format("dispatchctl%s%s: ", name ? " " : "", name ? name : "");
    screen_text(&ctl->err, STYLE_BAD, who);
    screen_wrap(&ctl->err, STYLE_PLAIN, plain_columns(who), 2, text);
    free(who);
    free(text);
}

static void show_usage(const struct ctl *ctl, const struct screen *screen)
{
    const struct ctl_command *command = ctl->command;

    if (command)
        screen_put(screen, STYLE_DIM, "  usage: dispatchctl %s%s%s%s\n",
                   command->name, *command->args ? " " : "", command->args,
                   command->options ? " [OPTIONS]" : "");
}

int ctl_usage(const struct ctl *ctl, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    say(ctl, fmt, args);
    va_end(args);
    show_usage(ctl, &ctl->err);
    screen_put(&ctl->err, STYLE_DIM, "  more:  dispatchctl help%s%s\n",
               ctl->command ? " " : "", ctl->command ? ctl->command->name : "");
    return EXIT_USAGE;
}

int ctl_fail(const struct ctl *ctl, int code, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    say(ctl, fmt, args);
    va_end(args);
    return code;
}

/* ---- did you mean ------------------------------------------------------ */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

const char *ctl_nearest(const char *word, const char *const words[],
                        size_t count)
{
    const char *best = NULL;
    size_t best_distance = strlen(word) / 3 + 1;

    for (size_t i = 0; i < count; i++) {
        assert(words[i]);
        size_t away = text_distance(word, words[i], false);
        bool begins =
            strlen(word) >= 2 && strncmp(word, words[i], strlen(word)) == 0;
        if (begins && away > 1)
            away = 1;
        if (away <= best_distance && (!best || away < best_distance)) {
            best = words[i];
            best_distance = away;
        }
    }
    return best;
}

/* ---- the command ------------------------------------------------------- */

/* Words of argv that make up a row's name: 0 when they do not. */
static size_t matches(const struct ctl_command *command,
                      const char *const words[], size_t count)
{
    const char *at = command->name;
    size_t used = 0;

    while (*at) {
        size_t len = strcspn(at, " ");
        if (used == count || strlen(words[used]) != len ||
            strncmp(words[used], at, len) != 0)
            return 0;
        used++;
        at += len + (at[len] == ' ');
    }
    return used;
}

static const struct ctl_command *find_command(const char *const words[],
                                              size_t count, size_t *ret_used)
{
    const struct ctl_command *found = NULL;

    *ret_used = 0;
    for (size_t i = 0; i < ctl_command_count; i++) {
        size_t used = matches(&ctl_commands[i], words, count);
        if (used > *ret_used) {
            found = &ctl_commands[i];
            *ret_used = used;
        }
    }
    return found;
}

static bool is_noun(const char *word)
{
    size_t len = strlen(word);

    for (size_t i = 0; i < ctl_command_count; i++)
        if (strncmp(ctl_commands[i].name, word, len) == 0 &&
            ctl_commands[i].name[len] == ' ')
            return true;
    return false;
}

static void help_row(const struct screen *screen,
                     const struct ctl_command *command)
{
    char *name = plain_format("%s %s", command->name, command->args);

    screen_put(screen, STYLE_NAME, "  %-26s ", name);
    screen_wrap(screen, STYLE_PLAIN, 29, 29, command->help);
    free(name);
}

/* The commands of a noun: "pool ...". */
static void help_noun(const struct screen *screen, const char *noun)
{
    size_t len = strlen(noun);

    for (size_t i = 0; i < ctl_command_count; i++)
        if (strncmp(ctl_commands[i].name, noun, len) == 0 &&
            ctl_commands[i].name[len] == ' ')
            help_row(screen, &ctl_commands[i]);
}

static int no_command(const struct ctl *ctl, const char *const words[],
                      size_t count)
{
    const char *names[256];
    size_t used = 0;
    char *said = count > 1 ? plain_format("%s %s", words[0], words[1])
                           : plain_format("%s", words[0]);

    assert(ctl_command_count * 2 <= sizeof names / sizeof names[0]);
    for (size_t i = 0; i < ctl_command_count; i++)
        names[used++] = ctl_commands[i].name;
    const char *near = count == 1 && is_noun(words[0])
                           ? NULL /* "pool" wants a verb, not a guess */
                           : ctl_nearest(said, names, used);
    if (!near && !is_noun(words[0])) /* "runs --all", "pusae etl" */
        near = ctl_nearest(words[0], names, used);
    if (is_noun(words[0]) && !near) {
        (void)ctl_fail(ctl, 0,
                       "'%s' is no command by itself; there are:", said);
        help_noun(&ctl->err, words[0]);
    } else if (near) {
        (void)ctl_fail(ctl, 0, "there is no command '%s'; did you mean '%s'?",
                       said, near);
    } else {
        (void)ctl_fail(ctl, 0,
                       "there is no command '%s'; 'dispatchctl help' lists "
                       "them all",
                       said);
    }
    free(said);
    return EXIT_USAGE;
}

/* ---- options ----------------------------------------------------------- */

static const struct ctl_option *option_in(const struct ctl_option *options,
                                          const char *name, size_t len,
                                          char letter)
{
    for (; options && options->name; options++)
        if ((letter && options->letter == letter) ||
            (name && strlen(options->name) == len &&
             strncmp(options->name, name, len) == 0))
            return options;
    return NULL;
}

static const struct ctl_option *option_of(const struct ctl_command *command,
                                          const char *name, size_t len,
                                          char letter)
{
    const struct ctl_option *found =
        option_in(command ? command->options : NULL, name, len, letter);

    return found ? found : option_in(ctl_global_options, name, len, letter);
}

static int unknown_option(const struct ctl *ctl, const char *word)
{
    const char *names[64];
    size_t count = 0;
    const struct ctl_option *sets[] = {
        ctl->command ? ctl->command->options : NULL, ctl_global_options};
    char *name = plain_format("%.*s", (int)strcspn(word + 2, "="), word + 2);

    for (size_t s = 0; s < 2; s++)
        for (const struct ctl_option *o = sets[s];
             o && o->name && count < sizeof names / sizeof names[0]; o++)
            names[count++] = o->name;
    const char *near = word[1] == '-' ? ctl_nearest(name, names, count) : NULL;
    int code = near ? ctl_usage(ctl,
                                "there is no option '%s'; did you mean "
                                "'--%s'?",
                                word, near)
                    : ctl_usage(ctl, "there is no option '%s'", word);
    free(name);
    return code;
}

static int keep_option(struct ctl *ctl, const struct ctl_option *option,
                       const char *value)
{
    if (ctl->given_count == CTL_OPTIONS_MAX)
        return ctl_usage(ctl, "that is more than %d options", CTL_OPTIONS_MAX);
    for (size_t i = 0; !option->many && i < ctl->given_count; i++)
        if (ctl->given[i].option == option && option->value)
            return ctl_usage(ctl, "--%s is given twice", option->name);
    ctl->given[ctl->given_count].option = option;
    ctl->given[ctl->given_count++].value = value;
    return 0;
}

/* argv[*at] is an option; takes it and its value. */
static int take_option(struct ctl *ctl, int argc, char *const argv[], int *at)
{
    const char *word = argv[*at];
    bool is_long = word[1] == '-';
    const char *equals = is_long ? strchr(word, '=') : NULL;
    size_t len = is_long ? strcspn(word + 2, "=") : 0;
    char letter = '\0';
    if (!is_long)
        letter = word[1];
    const struct ctl_option *option =
        option_of(ctl->command, is_long ? word + 2 : NULL, len, letter);
    const char *rest = is_long   ? (equals ? equals + 1 : NULL)
                       : word[2] ? word + 2
                                 : NULL;

    if (!option)
        return unknown_option(ctl, word);
    if (!option->value && rest)
        return ctl_usage(ctl, "--%s takes no value, and '%s' gives it one",
                         option->name, word);
    if (!option->value)
        return keep_option(ctl, option, "");
    if (!rest && *at + 1 >= argc)
        return ctl_usage(ctl, "--%s needs a value: --%s %s", option->name,
                         option->name, option->value);
    if (!rest)
        rest = argv[++*at];
    return keep_option(ctl, option, rest);
}

const char *ctl_option(const struct ctl *ctl, const char *name)
{
    for (size_t i = ctl->given_count; i > 0; i--)
        if (strcmp(ctl->given[i - 1].option->name, name) == 0)
            return ctl->given[i - 1].value;
    return NULL;
}

const char *ctl_option_next(const struct ctl *ctl, const char *name, size_t *at)
{
    while (*at < ctl->given_count) {
        const struct ctl_given *given = &ctl->given[(*at)++];
        if (strcmp(given->option->name, name) == 0)
            return given->value;
    }
    return NULL;
}

/* ---- the whole line ---------------------------------------------------- */

/* The first words that are neither options nor their values: enough to know the
 * command before its options are read. */
static size_t leading_words(int argc, char *const argv[], const char *words[2])
{
    size_t count = 0;

    for (int i = 1; i < argc && count < 2; i++) {
        const char *word = argv[i];
        if (strcmp(word, "--") == 0)
            break;
        if (word[0] != '-' || !word[1]) {
            words[count++] = word;
            continue;
        }
        bool is_long = word[1] == '-';
        char letter = '\0';
        if (!is_long)
            letter = word[1];
        const struct ctl_option *option =
            option_in(ctl_global_options, is_long ? word + 2 : NULL,
                      is_long ? strcspn(word + 2, "=") : 0, letter);
        if (!option && count > 0)
            break; /* the command's own options have begun */
        bool has_value = is_long ? strchr(word, '=') != NULL : word[2] != 0;
        if (option && option->value && !has_value)
            i++;
    }
    return count;
}

/* How many arguments "POOL [X] KEY=VALUE..." allows. */
static void arity(const char *args, size_t *ret_min, size_t *ret_max)
{
    size_t min = 0;
    size_t max = 0;

    for (const char *at = args; *at;) {
        size_t len = strcspn(at, " ");
        min += *at != '[';
        max++;
        if (len > 3 &&
            strncmp(at + len - (at[len - 1] == ']') - 3, "...", 3) == 0)
            max = CTL_ARGS_MAX;
        at += len + (at[len] == ' ');
    }
    *ret_min = min;
    *ret_max = least(max, CTL_ARGS_MAX);
}

static int check_arity(const struct ctl *ctl)
{
    size_t min = 0;
    size_t max = 0;

    arity(ctl->command->args, &min, &max);
    if (ctl->arg_count < min)
        return ctl_usage(ctl, "something is missing after '%s': %s",
                         ctl->command->name, ctl->command->args);
    if (ctl->arg_count > max)
        return ctl_usage(ctl, "'%s' is one word too many", ctl->args[max]);
    return 0;
}

static int check_globals(struct ctl *ctl)
{
    const char *output = ctl_option(ctl, "output");
    const char *colour = ctl_option(ctl, "color");

    if (output && strcmp(output, "json") != 0 && strcmp(output, "table") != 0)
        return ctl_usage(ctl, "-o is json or table, not '%s'", output);
    ctl->json = output && strcmp(output, "json") == 0;
    if (colour && strcmp(colour, "always") == 0) {
        ctl->out.colour = ctl->err.colour = true;
    } else if (colour && strcmp(colour, "never") == 0) {
        ctl->out.colour = ctl->err.colour = false;
    } else if (colour && strcmp(colour, "auto") != 0) {
        return ctl_usage(ctl, "--color is auto, always or never, not '%s'",
                         colour);
    }
    return 0;
}

int ctl_parse(struct ctl *ctl, int argc, char *const argv[])
{
    const char *words[2] = {NULL, NULL};
    size_t word_count = leading_words(argc, argv, words);
    size_t skip = 0;
    bool only_args = false;
    int code = 0;

    ctl->command = find_command(words, word_count, &skip);
    for (int i = 1; i < argc && code == 0; i++) {
        bool is_option = !only_args && argv[i][0] == '-' && argv[i][1];
        if (is_option && strcmp(argv[i], "--") == 0)
            only_args = true;
        else if (is_option)
            code = word_count > 0 && !ctl->command &&
                           !option_of(NULL, argv[i] + 2,
                                      strcspn(argv[i] + 2, "="), argv[i][1])
                       ? no_command(ctl, words, word_count)
                       : take_option(ctl, argc, argv, &i);
        else if (skip > 0)
            skip--;
        else if (ctl->arg_count == CTL_ARGS_MAX)
            code = ctl_usage(ctl, "that is more than %d words", CTL_ARGS_MAX);
        else
            ctl->args[ctl->arg_count++] = argv[i];
    }
    if (code == 0)
        code = check_globals(ctl);
    if (code)
        return code;
    ctl->help = ctl_option(ctl, "help") != NULL;
    if (!ctl->command && ctl->arg_count > 0 && !ctl->help)
        return no_command(ctl, ctl->args, ctl->arg_count);
    if (!ctl->command || ctl->help)
        return 0;
    return check_arity(ctl);
}

/* ---- help -------------------------------------------------------------- */

static void help_options(const struct screen *screen,
                         const struct ctl_option *options)
{
    for (; options && options->name; options++) {
        char *name = plain_format("%s%c%s--%s%s%s", options->letter ? "-" : " ",
                                  options->letter ? options->letter : ' ',
                                  options->letter ? ", " : "  ", options->name,
                                  options->value ? " " : "",
                                  options->value ? options->value : "");
        screen_put(screen, STYLE_NAME, "  %-26s ", name);
        screen_wrap(screen, STYLE_PLAIN, 29, 29, options->help);
        free(name);
    }
}

static void help_all(const struct screen *screen)
{
    screen_put(screen, STYLE_BOLD, "dispatchctl");
    screen_put(screen, STYLE_PLAIN,
               " - send workflows to a dispatcher and see what becomes of "
               "them\n\nusage: dispatchctl COMMAND [ARGS] [OPTIONS]\n\n");
    for (size_t i = 0; i < ctl_command_count; i++)
        help_row(screen, &ctl_commands[i]);
    screen_put(screen, STYLE_BOLD, "\nwith every command\n");
    help_options(screen, ctl_global_options);
    screen_put(
        screen, STYLE_PLAIN,
        "\nexit codes: 0 ok, 1 failed, 2 usage, 3 not found, 4 conflict, "
        "5 not allowed,\n  6 broker unreachable, 7 time-out, 8 refused by "
        "policy; with --wait and --watch:\n  10 the run failed, 11 was "
        "cancelled, 12 crashed, 13 timed out\n"
        "environment: DISPATCH_URL, DISPATCH_TOKEN, NO_COLOR\n"
        "'dispatchctl help COMMAND' says more about one.\n");
}

void ctl_help_command(const struct screen *screen,
                      const struct ctl_command *command)
{
    screen_put(screen, STYLE_BOLD, "dispatchctl %s", command->name);
    screen_put(screen, STYLE_PLAIN, "%s%s%s - ", *command->args ? " " : "",
               command->args, command->options ? " [OPTIONS]" : "");
    screen_put(screen, STYLE_PLAIN, "%s\n", command->help);
    if (command->options)
        screen_put(screen, STYLE_PLAIN, "\n");
    help_options(screen, command->options);
    if (command->more)
        screen_put(screen, STYLE_PLAIN, "\n%s\n", command->more);
}

int ctl_help(const struct ctl *ctl, const struct screen *screen,
             const char *const words[], size_t count)
{
    size_t used = 0;
    const struct ctl_command *command = find_command(words, count, &used);

    if (count == 0) {
        help_all(screen);
        return EXIT_OK;
    }
    if (command && (used == count || !is_noun(words[0]))) {
        ctl_help_command(screen, command);
        return EXIT_OK;
    }
    if (count == 1 && is_noun(words[0])) {
        help_noun(screen, words[0]);
        return EXIT_OK;
    }
    return no_command(ctl, words, count);
}
