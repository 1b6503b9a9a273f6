/*
 * exec_command.c - a node that is a program:
 *   {"argv": ["prog", "arg"...], "env": {"NAME": "value"}?, "cwd": "dir"?}
 *
 * An argument vector, never a shell line of our making. The environment is
 * built from nothing: the names on the allow-list that the agent has, then the
 * node's own, then ours, which win, since jobs fence their side effects with
 * them. The kernel takes at most 128 KiB in one environment entry, so larger
 * parameters are a file, named by DISPATCH_PARAMETERS_FILE.
 */
#include "agents/executor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PARAMETERS_IN_ENV_MAX = 100 * 1024, ARGS_MAX = 4096 };

static const char *const let_through[] = {"PATH",   "HOME", "USER",  "LANG",
                                          "LC_ALL", "TZ",   "TMPDIR"};

int exec_command_check(const json_t *config, char why[PLAN_WHY_MAX])
{
    const json_t *argv = json_object_get(config, "argv");
    json_t *env = json_object_get(config, "env");
    const json_t *cwd = json_object_get(config, "cwd");
    const char *name;
    json_t *value;

    size_t count = json_array_size(argv);
    if (!json_is_array(argv) || count == 0 || count > ARGS_MAX) {
        snprintf(why, PLAN_WHY_MAX,
                 "argv is not an array of 1 to %d texts: write "
                 "[\"program\", \"argument\", ...]",
                 ARGS_MAX);
        return -EINVAL;
    }
    for (size_t i = 0; i < count; i++) {
        const char *arg = json_string_value(json_array_get(argv, i));
        if (!arg || (i == 0 && !*arg)) {
            snprintf(why, PLAN_WHY_MAX, "argv[%zu] is not a %stext", i,
                     i == 0 ? "non-empty " : "");
            return -EINVAL;
        }
    }
    if (env && !json_is_null(env) && !json_is_object(env)) {
        snprintf(why, PLAN_WHY_MAX, "env is not an object");
        return -EINVAL;
    }
    json_object_foreach(env, name, value) {
        if (!*name || strchr(name, '=') || !json_is_string(value)) {
            snprintf(why, PLAN_WHY_MAX,
                     "env: \"%.60s\" is not a name with a text", name);
            return -EINVAL;
        }
    }
    if (cwd && !json_is_null(cwd) && !json_is_string(cwd)) {
        snprintf(why, PLAN_WHY_MAX, "cwd is not a text");
        return -EINVAL;
    }
    return 0;
}

static void keep(const char *name, char **values, size_t *count)
{
    const char *value = getenv(name);

    if (value && asprintf(&values[*count], "%s=%s", name, value) > 0)
        (*count)++;
}

static void set(const char *name, const char *value)
{
    if (setenv(name, value, 1) < 0)
        exec_fail(-1, "cannot set %s in the environment: %s", name,
                  strerror(errno));
}

static void set_parameters(const char *parameters)
{
    static const char file[] = "dispatch-parameters.json";

    if (strlen(parameters) <= PARAMETERS_IN_ENV_MAX) {
        set("DISPATCH_PARAMETERS", parameters);
        return;
    }
    char *here = getcwd(NULL, 0);
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    size_t left = strlen(parameters);
    while (here && fd >= 0 && left > 0) {
        ssize_t n = write(fd, parameters, left);
        if (n <= 0)
            break;
        parameters += n;
        left -= (size_t)n;
    }
    char *path = NULL;
    if (left > 0 || asprintf(&path, "%s/%s", here, file) < 0)
        exec_fail(-1, "cannot write the parameters to a file: %s",
                  strerror(errno));
    close(fd);
    set("DISPATCH_PARAMETERS_FILE", path);
    free(path);
    free(here);
}

static void build_environment(const struct exec_scene *scene,
                              const struct plan_node *node)
{
    size_t fixed = sizeof let_through / sizeof *let_through, count = 0;
    const struct settings *settings = scene->settings;
    char **kept = calloc(fixed + settings->environment_count + 1, sizeof *kept);
    char number[16];
    const char *name;
    json_t *value;

    if (!kept)
        exec_fail(-1, "out of memory");
    for (size_t i = 0; i < fixed; i++)
        keep(let_through[i], kept, &count);
    for (size_t i = 0; i < settings->environment_count; i++)
        keep(settings->environment[i], kept, &count);
    clearenv();
    for (size_t i = 0; i < count; i++)
        putenv(kept[i]);
    json_object_foreach(json_object_get(node->config, "env"), name, value) {
        set(name, json_string_value(value));
    }
    snprintf(number, sizeof number, "%u", scene->attempt);
    set("DISPATCH_RUN_ID", scene->run_id);
    set("DISPATCH_ATTEMPT", number);
    set("DISPATCH_NODE", node->id);
    set("DISPATCH_WORKFLOW", scene->workflow);
    set("DISPATCH_POOL", scene->pool);
    if (*scene->traceparent)
        set("TRACEPARENT", scene->traceparent);
    set_parameters(scene->parameters);
    free(kept);
}

void exec_command_run(const struct exec_scene *scene,
                      const struct plan_node *node)
{
    const json_t *args = json_object_get(node->config, "argv");
    const char *cwd = json_string_value(json_object_get(node->config, "cwd"));
    size_t count = json_array_size(args);
    char **argv = calloc(count + 1, sizeof *argv);

    if (!argv || count == 0) /* count: checked before */
        exec_fail(-1, "out of memory");
    for (size_t i = 0; i < count; i++) {
        argv[i] = strdup(json_string_value(json_array_get(args, i)));
        if (!argv[i])
            exec_fail(-1, "out of memory");
    }
    build_environment(scene, node);
    if (cwd && *cwd && chdir(cwd) < 0)
        exec_fail(-1, "cannot enter the working directory %.150s: %s", cwd,
                  strerror(errno));
    execvp(argv[0], argv);
    if (errno == ENOENT)
        exec_fail(127, "no such program: %.200s", argv[0]);
    exec_fail(126, "cannot execute %.200s: %s", argv[0], strerror(errno));
}
