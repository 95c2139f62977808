/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the rest of the library sees of a source besides <kioku/source.h>. */
#ifndef SOURCE_SOURCE_H
#define SOURCE_SOURCE_H

#include <kioku/source.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/page_state.h"
#include "base/range_map.h"

DEFINE_CLEANUP(source, struct kioku_source, kioku_source_close)
#define AUTO_SOURCE CLEANUP(cleanup_source)

/*
 * The longest run of bytes at physical that lies in the source as one piece, at most size, without
 * copying; counted as touched. false if the first byte is absent or the source cannot map: then
 * kioku_source_read() is the way. Bytes of a live source may change while they are looked at.
 */
bool source_map(struct kioku_source *source, uint64_t physical, uint64_t size, struct bytes *out);

/*
 * The next stretch at or after *physical and before end that may hold something other than zeros:
 * sets *physical to its start and returns its size, or 0 when there is none. Holes of sparse files,
 * ZERO, EXCLUDED and UNREADABLE ranges are skipped, so that a scan costs what is there.
 */
uint64_t source_next_data(struct kioku_source *source, uint64_t *physical, uint64_t end);

/* Whether every byte of [physical, physical + size) is PRESENT or ZERO. */
bool source_has(const struct kioku_source *source, uint64_t physical, uint64_t size);

/*
 * The ELF notes that came with the image, or are of the process, 64-bit, little-endian, with an alignment of 4; empty if
 * there are none of that kind.
 */
struct bytes source_notes(const struct kioku_source *source);

/*
 * Memory behind a link: every answer takes a while, the machine goes on running, and only RAM may be
 * read. Until it is known where that is (kioku_source_lacks_ranges()), this is conventional memory and what
 * is admitted. What comes over the link is kept for a moment.
 */
struct span {
	uint64_t start, size; /* physical addresses, bytes */
};

bool source_is_remote(const struct kioku_source *source);

/*
 * Says that a range is RAM, for a reason that whoever calls this has: the kernel's own page tables lie
 * there, or its image. Whether all of it may be read now, as of source_has(), which is what this is
 * for all other sources.
 */
bool source_admit(struct kioku_source *source, uint64_t physical, uint64_t size);

/*
 * Of a source that lacks ranges: takes over what RAM there is (the map is empty afterwards). Errors:
 * NO_MEMORY.
 */
enum kioku_status source_learn_ranges(struct kioku_source *source, struct range_map *ram,
				      struct kioku_error *error);

/* Brings in what will be read next, all at once. Nothing to do where there is no link. */
#define PREFETCH_LIMIT 32u   /* spans at once, the rest is left out */
#define PREFETCH_SIZE  8192u /* bytes in all, likewise */
void source_prefetch(struct kioku_source *source, const struct span *spans, size_t count);

/*
 * One step on in the life of a machine that runs: what came in before the last step is read again
 * when it is wanted, but for what source_keep() has named. source_forget(): these bytes are, now.
 */
void source_age(struct kioku_source *source);
void source_forget(struct kioku_source *source, uint64_t physical, uint64_t size);
void source_keep(struct kioku_source *source, uint64_t physical, uint64_t size);

/*
 * Whether the machine may have run while its memory was copied, so that what was read first is older than what
 * was read last: memory of a live machine, and what only programs inside of one write.
 */
bool source_may_be_torn(const struct kioku_source *source);

/* How to name its addresses to people: "physical address", of a process "address". */
const char *source_address_name(const struct kioku_source *source);

/* What kioku_source_open() was given. */
const char *source_where(const struct kioku_source *source);

/* The end of the last range, in bytes. */
uint64_t source_end(const struct kioku_source *source);

/*
 * Headerless images of machines with memory above 4 GiB come in several arrangements. A source
 * that was not told which one offers its guesses here; selecting one changes the ranges. The
 * first is selected at the start. Always at least 1.
 */
size_t source_placement_count(const struct kioku_source *source);
void source_select_placement(struct kioku_source *source, size_t index);

/*
 * The arrangement in which the last byte of RAM, which is just below end, is where the file ends,
 * give or take the rounding of tools; SIZE_MAX if there is none. preferred is asked first.
 */
size_t source_placement_ending_at(struct kioku_source *source, uint64_t end, size_t preferred);

/*
 * Why the bytes of an UNREADABLE range cannot be had: as the image's manifest says, PAGE_OFFLINE of
 * a live machine, else PAGE_MISSING. Returns for how many of size bytes, at least 1, from physical on
 * that is so.
 */
uint64_t source_absent_run(const struct kioku_source *source, uint64_t physical, uint64_t size,
			   enum page_state *state);

#endif
