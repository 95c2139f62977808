/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A target's memory copied while it runs, and what it has written meanwhile copied again, until only
 * little is left for the stop. What is not the target's own, pages of files that it has only read, is
 * not copied: whoever reads the spool finds nothing there, and takes it from the file.
 */
#ifndef SNAPSHOT_TRACKING_H
#define SNAPSHOT_TRACKING_H

#include "snapshot/tracked_pages.h"
#include "snapshot/userfault.h"
#include "snapshot/watching.h"

struct tracking_input {
	struct process *process; /* borrowed */
	struct spool *spool;
	/* Whether a mapping is to be copied, of what /proc/PID/maps says of it; NULL: all that
	 * tracking_wants(). */
	bool (*wants)(const struct mapping *mapping, const void *user);
	const void *user;
	struct page_copier_terms terms;
};

struct tracking {
	struct tracking_input input;
	struct tracked_pages pages; /* pages.copier.copied: in the last pass or the stop */
	struct userfault userfault;
	struct watching watching;
	struct process_maps maps;     /* of the last pass; after the stop, of that instant */
	struct process_maps loosened; /* when protection was taken off */
	bool is_loosened;
	bool mappings_changed;        /* since they were read */
	struct page_ranges ranges;    /* where to look for writes in the stop */
	struct page_ranges untracked; /* to be copied in the stop, whatever was written */
};

/* Nothing is tracked yet: tracking_end() and tracking_release() do nothing. */
void tracking_init(struct tracking *tracking);

/* Memory of its own, or that it shares: neither the kernel's nor a device's. */
bool tracking_wants(const struct mapping *mapping);

/* Whether it is to be copied. */
bool tracking_input_wants(const struct tracking_input *input, const struct mapping *mapping);

/*
 * Copies what there is, again and again, while the target runs. errand: of the same target. left: see
 * userfault_open(). tracking_end() in any case. Errors: STOPPED (terms.goes_on says no), LIMIT (the spool is
 * full); those of userfault_open().
 */
enum kioku_status tracking_begin(struct tracking *tracking, const struct tracking_input *input,
				 struct errand *errand, int *left, struct kioku_error *error);

/* Whether there is so much of it that it is to be watched before the stop (watching.h). */
bool tracking_is_to_be_watched(const struct tracking *tracking);

/* All threads are stopped: watches what it can. */
void tracking_watch(struct tracking *tracking);

/*
 * The target runs again: finds what was written of that, and copies it, until little is left.
 * *watched: bytes that need not be looked through any more. Errors: OS, NO_MEMORY.
 */
enum kioku_status tracking_look(struct tracking *tracking, uint64_t *watched,
				struct kioku_error *error);

/*
 * All threads are stopped: copies what they have written since. Errors: NOT_FOUND (it runs another
 * program now), LIMIT, OS.
 */
enum kioku_status tracking_take(struct tracking *tracking, struct kioku_error *error);

/* Takes protection off all pages, while the target runs: first in tracking_end(), if not by itself. */
void tracking_loosen(struct tracking *tracking);

/*
 * All threads are stopped, and it is loosened: gives up what it can of tracking, in less than 1 us for each
 * mapping. tracking_end() takes 10 to 30 us for each MiB of the rest, for which what maps or faults
 * has to wait; and its target may see that two mappings which touch are changed one after the other.
 */
void tracking_drop(struct tracking *tracking);

/* Tracks no longer. The mappings stay until tracking_release(). */
void tracking_end(struct tracking *tracking);
void tracking_release(struct tracking *tracking);

#endif
