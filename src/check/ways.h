/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Several ways of the kernel to the same things, none of which needs the others: asking each of them, and telling
 * of what some lead to and others do not. Sets of ways are bits, in the order of their names.
 */
#ifndef CHECK_WAYS_H
#define CHECK_WAYS_H

#include "check/check.h"

struct ways {
	const char *what;         /* "processes" */
	const char *const *names; /* of each way */
	unsigned count;
};

/* The names of a set, with commas between them. */
void ways_text(const struct ways *ways, unsigned set, char out[CHECK_TEXT]);

typedef enum kioku_status way_fn(void *user, struct kioku_error *error);

/*
 * Asks some of them. What is lost on the way, or cannot be asked at all, is said to be a gap, and these are added
 * to *damaged. Errors: NO_MEMORY.
 */
enum kioku_status ways_ask(struct kioku_kernel *kernel, const struct ways *ways, unsigned set,
			   way_fn *ask, void *user, unsigned *damaged);

/* Something that not all ways lead to. */
struct disagreement {
	const char *thing, *norm; /* "the module"; "what is loaded" */
	unsigned found, missing, expected;
	bool was_carved;   /* no way of the kernel's leads to it, it was found in memory */
	const char *doubt; /* why it may be harmless, which makes it a note; NULL: nothing */
	struct check_result about; /* the rest: pid, subject, address, compared */
};
enum kioku_status ways_report(struct check_run *run, const struct ways *ways,
			      const struct disagreement *disagreement);

#endif
