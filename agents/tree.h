/*
 * tree.h - the processes below a process, found in /proc, and an end to them.
 *
 * What a job started is found by descent, not by process group or session: a
 * job that called setsid or forked twice is still below the shepherd, which is
 * a subreaper and so inherits every orphan. One look is a snapshot; callers
 * repeat until nothing is left (for a subreaper: until waitpid() says ECHILD).
 *
 * A pid that was read may be dead and used again by the time it is signalled;
 * Linux hands out pids in turn, so that would take thousands of forks between
 * two lines of code. What this cannot find: a process that had itself started
 * by somebody else (a container engine, cron, systemd-run).
 *
 * Memory:  none kept. Threads: none. Errors: a process that is gone is no
 *          error; unreadable ones are passed over.
 */
#ifndef AGENTS_TREE_H
#define AGENTS_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Sends sig to every descendant of root, parents before children, so that a
 * killed parent starts no more; with_root: to root itself first. Returns how
 * many were signalled. */
size_t tree_signal(pid_t root, bool with_root, int sig);

/* The direct children of pid, at most max of them; returns how many there are
 * (may be more than max). */
size_t tree_children(pid_t pid, pid_t *ret_pids, size_t max);

/* Is `entry` ("NAME=value") in the environment pid was started with? */
bool tree_has_env(pid_t pid, const char *entry);

/* Kills every process on this machine that was started with both entries, and
 * waits until none is left or limit_ms passed. Returns how many were found
 * alive first; *ret_left how many remain. For runs whose shepherd died. */
size_t tree_sweep(const char *entry_a, const char *entry_b, int limit_ms,
                  size_t *ret_left);

#endif
