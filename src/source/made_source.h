/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The memory of one process as a source, which whoever makes it reads: a duplicate that is held
 * still, or a file that its pages were put into. All addresses of such a source, also where others
 * are called physical, are virtual ones of the process.
 */
#ifndef SOURCE_MADE_SOURCE_H
#define SOURCE_MADE_SOURCE_H

#include "base/diagnostic.h"
#include "source/source.h"

struct source_driver;

/* One mapping. */
struct source_segment {
	uint64_t start, size; /* multiples of 4096; size is not 0 */
	uint32_t flags;       /* PF_R, PF_W, PF_X of <elf.h> */
};

/* What a source of a process has besides its memory and source_notes(). */
struct source_process {
	struct source_segment *segments; /* ascending, disjoint; neighbours are separate mappings */
	size_t segment_count;            /* at least 1 */
	uint16_t elf_machine;            /* EM_X86_64, EM_AARCH64 */
	char *description;               /* the manifest's "process": JSON on one line; or NULL */
};

/*
 * Functions of an access whose every way in is source->state, that any number of threads may use at once, and
 * that can say nothing of pages that is not in the extents.
 */
enum kioku_status made_access_open(const struct kioku_source *source, void **out,
				   struct kioku_error *error);
void made_access_close(void *access);
bool made_access_states(void *access, uint64_t address, size_t count, uint8_t *states);

struct source_recipe {
	/* Has a name, a help, an access with all its functions; its close() takes a state of NULL. */
	const struct source_driver *driver;
	const char *where; /* as the manifest says it: "process:1234" */
	void *state;       /* source->state; moved if there is no error */
	/*
	 * kind: enum kioku_range_state; offset: the maker's own, which the access is given; moved. What
	 * is ZERO was never touched, and is not stored. All of it is whole pages of segments.
	 */
	struct range_map extents;
	struct source_segment *segments; /* as of struct source_process; allocated, moved */
	size_t segment_count;
	uint16_t elf_machine;
	const char *description; /* an object of JSON, of any lines; copied; or NULL */
	struct bytes notes;      /* ELF notes as of core_notes_encode(); copied */
	bool is_local; /* the process runs on this machine, which the manifest describes */
	struct diagnostics diagnostics;
};

/*
 * The state is still the recipe's after an error; the rest of what is moved is gone then, too.
 * Errors: ARGUMENT (segments or extents are not as above, or the description is no object), OS,
 * NO_MEMORY, and those of the access's open().
 */
enum kioku_status source_make(struct source_recipe *recipe, struct kioku_source **out,
			      struct kioku_error *error);

/* NULL if the source is the memory of a machine. */
const struct source_process *source_process(const struct kioku_source *source);

/* Of kioku_source_close(). */
void made_source_release(struct kioku_source *source);

#endif
