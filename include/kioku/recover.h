/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files out of memory: those of tmpfs whole, others as far as they are in the page cache. */
#ifndef KIOKU_RECOVER_H
#define KIOKU_RECOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <kioku/kernel.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of a file that are not in memory, or not surely those of the image's moment. */
struct kioku_missing {
	const char *path; /* of the file as it is restored: "tmpfs-0:21/a/b"; not NUL-terminated */
	size_t path_size;
	uint64_t start, end; /* offsets in the file, end excluded */
	/* "not cached", "swapped out", "not in the image", "damaged"; "read from swap, may be stale" */
	const char *reason;
	bool may_be_stale; /* not missing: they come from the file of a swap area */
};

/* Borrowed for the call. Not OK: no further file is looked at. */
typedef enum kioku_status kioku_missing_fn(void *user, const struct kioku_missing *missing);

struct kioku_recover_options {
	size_t size;        /* sizeof(struct kioku_recover_options) */
	const char *fstype; /* NULL: all that have files in memory */
	const char *path;   /* a glob, as in struct kioku_view_options; NULL: all */
	const char *
		folder; /* to restore to: made if it is not there, else it must be empty; or NULL */
	int tar;        /* a descriptor to write a tar archive (pax) to; used without a folder */
	bool only_missing; /* restore nothing */
	bool preserve; /* keep setuid, setgid and sticky bits; owners are kept when root runs this */
	kioku_missing_fn *missing; /* may be NULL */
	void *user;
};

struct kioku_recover_result {
	uint64_t folders, files, links, symlinks; /* restored; links: further names of a file */
	uint64_t left_out;                        /* devices, fifos and sockets */
	uint64_t failed;                          /* not restored; a diagnostic said why */
	uint64_t bytes;                           /* of content */
	uint64_t missing_bytes;
	uint64_t stale_bytes; /* that may be, of those restored */
};

/*
 * Restores files. Every file system gets a folder of its own. Nothing is ever written outside of the
 * folder, nor through a symbolic link. What could not be had is left as a hole, and reported.
 * Damage costs files, with a GAP diagnostic each. *result is filled in also on failure.
 * Errors: UNSUPPORTED (the kernel's types), OS, REFUSED (the folder has something in it), NO_MEMORY,
 * STOPPED.
 */
KIOKU_PUBLIC KIOKU_CHECK enum kioku_status
kioku_recover(struct kioku_kernel *kernel, const struct kioku_recover_options *options,
	      struct kioku_recover_result *result, struct kioku_error *error);

#ifdef __cplusplus
}
#endif
#endif
