/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which bytes of a frozen process are to be had, and where: from its mappings, from what was copied
 * within the stop, and from what its page tables say of each page.
 */
#ifndef SNAPSHOT_LAYOUT_H
#define SNAPSHOT_LAYOUT_H

#include <kioku/snapshot.h>

#include "base/diagnostic.h"
#include "base/range_map.h"
#include "format/maps_format.h"
#include "snapshot/guardian.h"
#include "snapshot/mapped_files.h"
#include "source/made_source.h"

/* An extent's offset is its address, in the held process or, with LAYOUT_LIVE, in the target that runs
 * on; with LAYOUT_COPIED, in the spool or, what is not there, in the file that is mapped. */
#define LAYOUT_COPIED (UINT64_C(1) << 63)
#define LAYOUT_LIVE   (UINT64_C(1) << 62)

struct layout {
	struct range_map extents; /* kind: enum kioku_range_state */
	struct source_segment *segments;
	size_t segment_count, segment_capacity;
	uint64_t memory;       /* bytes that have content */
	uint64_t stored;       /* bytes of them, of a series: that have changed */
	uint64_t inconsistent; /* of them, not of the instant of the stop */
};

enum layout_kind {
	LAYOUT_OF_TARGET,    /* which is stopped */
	LAYOUT_OF_DUPLICATE, /* which is held */
	LAYOUT_OF_COPY,      /* in the spool; nothing is held */
};

struct layout_input {
	enum layout_kind kind;
	const struct mapping_list *mappings; /* at the instant of the stop */
	const struct mapping_list *before;   /* the target's, with flags, before it was stopped */
	int folder;                          /* /proc/PID of the target; not of COPY */
	int pagemap;                         /* of the held process; not of COPY */
	const struct mapped_files *files;    /* of COPY */
	const struct spool *spool;           /* with areas, or all */
	const struct guardian_area *areas;   /* ascending */
	size_t area_count;
	const struct thread_record *threads; /* whose stacks are asked for as such */
	size_t thread_count;
	const struct kioku_snapshot_options *options;
	const struct diagnostics *diagnostics;
};

/* layout_release() in any case. Errors: OS, NO_MEMORY. */
enum kioku_status layout_make(struct layout *layout, const struct layout_input *input,
			      struct kioku_error *error);
void layout_release(struct layout *layout);

/* Whether any of a mapping may be asked for, as far as that is known before the stop. */
bool layout_may_want(const struct kioku_snapshot_options *options, const struct mapping *mapping);

/*
 * What has to be copied within the stop to be of its instant: what a duplicate would not have, and what
 * is shared with others, which tracking does not see writing to it; and if not reads_all
 * (process_reads_all()), what only the tracer can read. At most limit bytes of it, as whole mappings. For
 * the caller to free; NULL: no memory.
 */
struct guardian_area *layout_areas(enum layout_kind kind, const struct mapping_list *mappings,
				   bool reads_all, uint64_t limit, size_t *area_count);

#endif
