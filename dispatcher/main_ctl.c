/* main_ctl.c - dispatchctl: the command line of the dispatcher */
#include "dispatcher/ctl.h"

#include <signal.h>
#include <string.h>

int main(int argc, char *argv[])
{
    static char version[] = "version";
    struct ctl ctl = {0};
    int code = 0;

    (void)screen_locale();
    screen_init(&ctl.out, stdout, COLOUR_AUTO);
    screen_init(&ctl.err, stderr, COLOUR_AUTO);
    (void)signal(SIGPIPE, SIG_DFL); /* `dispatchctl ps | head` ends quietly */
    if (argc == 2 && strcmp(argv[1], "--version") == 0)
        argv[1] = version;
    code = ctl_parse(&ctl, argc, argv);
    if (code == 0 && ctl.command && ctl.help)
        ctl_help_command(&ctl.out, ctl.command);
    else if (code == 0 && ctl.help)
        code = ctl_help(&ctl, &ctl.out, ctl.args, ctl.arg_count);
    else if (code == 0 && !ctl.command)
        code = ctl_help(&ctl, &ctl.err, NULL, 0) + EXIT_USAGE;
    else if (code == 0)
        code = ctl.command->run(&ctl);
    client_free(&ctl.client);
    if (fflush(stdout) != 0 || ferror(stdout))
        return code ? code : EXIT_FAILED; /* nobody read it: a full disk */
    return code;
}
