/*
 * spill.h - what a data process may use of memory and disk.
 *
 * SQLite's own temporary files (its temp database, sorters, journals) go to
 * one directory and count against one quota: a shim over SQLite's default VFS
 * refuses to write beyond it with SQLITE_FULL. They have no name in it while
 * they are open, so nothing is left behind by a process that dies. The shim
 * becomes the default, so that the sorts of connections to SQLite files count
 * as well; files with a name pass it by.
 *
 * Memory: SQLite's hard heap limit is 3/4 of memory_bytes (SQLITE_NOMEM), its
 * soft one half of that (page caches give way), and RLIMIT_DATA for the process
 * as a whole memory_bytes on top of what it has already (not under ASan).
 *
 * Whoever opens the transform database opens "" (a file without a name, which
 * counts; ":memory:" is in the heap) and sets temp_store=FILE,
 * journal_mode=OFF, synchronous=OFF, and cache_size and temp.cache_size to at
 * most 1/8 of memory_bytes each: a sorter takes up to cache_size at once, and
 * half as much again while it grows, whatever the soft limit says.
 *
 * Threads: call once, before any SQLite connection is opened.
 */
#ifndef AGENTS_SPILL_H
#define AGENTS_SPILL_H

#include <stdbool.h>
#include <stdint.h>

/* The name of the VFS for the transform database: sqlite3_open_v2(..., name).
 * A negative errno: the directory cannot be used; nothing was limited. */
int spill_limit(const char *directory, uint64_t spill_max_bytes,
                uint64_t memory_bytes, const char **ret_vfs);
/* Bytes in temporary files now, and the most there ever were. */
uint64_t spill_bytes(void);
uint64_t spill_peak_bytes(void);
/* Was a write refused because of the quota, or because the disk is full? For
 * telling apart what SQLITE_FULL means. */
bool spill_over_quota(void);

#endif
