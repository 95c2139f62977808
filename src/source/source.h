/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the rest of the library sees of a source besides <kioku/source.h>. */
#ifndef SOURCE_SOURCE_H
#define SOURCE_SOURCE_H

#include <kioku/source.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/page_state.h"

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
 * The ELF notes that came with the image, 64-bit, little-endian, with an alignment of 4; empty if
 * there are none of that kind.
 */
struct bytes source_notes(const struct kioku_source *source);

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
