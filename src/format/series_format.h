/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the core of a series of snapshots says of itself, as an ELF note of the name "KIOKU": which moment
 * of which series it is, and for all of the process's memory whether it is stored here, or in the moment
 * before. Little-endian:
 *
 *	0	4	version, 1
 *	4	4	moment, from 0
 *	8	16	series: random, the same in all moments
 *	24	8	segments
 *	32	8	runs
 *	40	8	pages that are stored
 *	48	24 each	segments: start, size, flags (PF_*)
 *		24 each	runs: start, size, state (enum series_state)
 *		16 each	of each stored page, in their order, the SHA-256 of its 4096 bytes, cut
 *		rest	the manifest's "process", as JSON
 */
#ifndef FORMAT_SERIES_FORMAT_H
#define FORMAT_SERIES_FORMAT_H

#include "base/bytes.h"

#define SERIES_ID_SIZE     16u
#define SERIES_PAGE        4096u
#define SERIES_DIGEST_SIZE 16u
#define SERIES_NOTE_NAME   "KIOKU"
#define SERIES_NOTE_TYPE   1u

enum series_state {
	SERIES_STORED,    /* in this core, unless its digest says otherwise: then it was lost */
	SERIES_ZERO,      /* never touched */
	SERIES_EXCLUDED,  /* left out on purpose */
	SERIES_LOST,      /* known to be lost when the core was planned */
	SERIES_UNCHANGED, /* as in the moment before */
	SERIES_STATE_COUNT,
};

/* A segment or a run: whole pages. */
struct series_range {
	uint64_t start, size;
	uint64_t what; /* flags, or enum series_state */
};

/* Ranges, one after the other in a note. */
struct series_ranges {
	struct bytes bytes;
	size_t count;
};

struct series_moment {
	uint32_t moment;
	uint8_t id[SERIES_ID_SIZE];
	struct series_ranges segments, runs;
	struct bytes digests; /* SERIES_DIGEST_SIZE for each stored page */
	struct bytes description;
};

/* Of a note's description; false: it is damaged, or of a later version. It points into the bytes. */
bool series_decode(struct bytes note, struct series_moment *out);

/* One of ranges. False: there is none, or it is no range of whole pages behind *end, which is moved. */
bool series_range_decode(const struct series_ranges *ranges, size_t index, uint64_t *end,
			 struct series_range *out);

/* Bytes of the description of a note. */
size_t series_size(const struct series_moment *moment);

/* Of the ranges only how many there are; where they come, the moment says afterwards. */
void series_encode(struct series_moment *moment, uint8_t *out);
void series_range_encode(const struct series_ranges *ranges, size_t index,
			 const struct series_range *range);

#endif
