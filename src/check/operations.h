/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tables of functions through which the kernel calls: struct file_operations, tty_operations, proto and the like.
 * Where a table lies tells whose it should be, and its functions tell whose it is. What lies in the kernel's
 * constants is another check's (constant_data).
 */
#ifndef CHECK_OPERATIONS_H
#define CHECK_OPERATIONS_H

#include "base/address_set.h"
#include "check/handler.h"
#include "kernel/object_owners.h"

#define OPERATIONS_SUBJECT 512 /* bytes of what something is called, its NUL included */

/* Who a table may be of. */
enum operations_owner {
	OPERATIONS_OF_ANYBODY, /* the kernel, or a module */
	OPERATIONS_OF_KERNEL,  /* no module may put its own there */
};

struct operations {
	struct check_run *run;
	const char *compared;
	/* What a table is reached from, in words. */
	void (*name)(void *user, char out[OPERATIONS_SUBJECT]);
	void *user;
	int32_t pid; /* whose that is; -1: nobody's */

	struct code_range constants;  /* the kernel's */
	struct address_set judged;    /* tables and functions that need not be looked at again */
	struct address_set misplaced; /* those that may not be of modules, likewise */
};

/* To be released in any case. Errors: UNSUPPORTED (where the kernel's image is is not known). */
enum kioku_status operations_begin(struct operations *operations, struct check_run *run,
				   const char *compared, struct kioku_error *error);
void operations_release(struct operations *operations);
#define AUTO_OPERATIONS CLEANUP(operations_release)

/*
 * Judges the table that a pointer leads to, and reports what is wrong with it; each table once. type: of the
 * kernel's structs, "file_operations". A pointer that leads nowhere, and a table whose functions are none, are
 * damage, and a gap. 0 is fine. Errors: receive's, NO_MEMORY.
 */
enum kioku_status operations_judge(struct operations *operations, const char *type, uint64_t table,
				   enum operations_owner owner);

/*
 * The same of a single function that a pointer beside others leads to; member: what that is called. 0 is fine.
 * owner as above, of the function; one of anybody is reported once.
 */
enum kioku_status operations_judge_function(struct operations *operations, const char *member,
					    uint64_t function, enum operations_owner owner);

/*
 * What processes have open, as object_owners_read() gives it; find NULL: sockets. That nothing can be had is a gap.
 * Errors: NO_MEMORY. To be released in any case.
 */
enum kioku_status operations_open(const struct operations *operations, owned_object_fn *find,
				  struct object_owners *out);

/* Says that something is lost: a gap. */
void operations_lose(const struct operations *operations, const char *what, uint64_t address,
		     enum kioku_status why);

#endif
