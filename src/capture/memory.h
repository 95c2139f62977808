/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From the reader to the writer of the format: blocks of memory in a ring, prepared on several
 * threads where the format wants that, digested, counted, and turned into the image.
 */
#ifndef CAPTURE_MEMORY_H
#define CAPTURE_MEMORY_H

#include "base/digest.h"
#include "capture/image_output.h"
#include "capture/reader.h"

enum memory_consumer { MEMORY_WRITES, MEMORY_LANES }; /* lanes: and after */

/* Blocks that wait for the output to be through with them: so many less for the reader. */
#define MEMORY_HELD (MEMORY_SLOTS / 2)

/* A digest of all memory of the plan, lost bytes as zeros. */
struct memory_lane {
	struct memory *memory;
	unsigned consumer;
	struct digest digest;
	size_t range; /* of the plan: those before it are digested */
	char hex[DIGEST_HEX_SIZE];
};

struct memory {
	struct run *run;
	struct image_writer *writer;
	struct reader reader;
	struct ring ring;
	struct memory_slot slots[MEMORY_SLOTS];
	struct memory_lane lanes[2];
	unsigned lane_count;
	struct page_map *maps; /* of each range of the plan */
	size_t range;          /* of the plan: what is before it is counted */
	uint64_t written;      /* blocks; and the output's marks after the last of them */
	uint64_t marks[MEMORY_HELD];
	bool begun;    /* under the run's lock: the writer has read what it wants to know */
	bool complete; /* the image is, once the threads have ended */
};

/*
 * writer and its output must be initialised. memory_release() in any case, after all threads have
 * ended. Errors: NO_MEMORY, UNSUPPORTED, of fetcher_init().
 */
enum kioku_status memory_init(struct memory *memory, struct run *run, struct image_writer *writer,
			      const struct kioku_capture_options *options,
			      struct kioku_error *error);
void memory_release(struct memory *memory);

/* What the threads do; each returns when it is over. An error is run_fail()'s. */
void memory_read(struct memory *memory);
void memory_prepare(struct memory *memory); /* any number; only if the format has prepare() */
void memory_write(struct memory *memory);
void memory_digest(struct memory_lane *lane);

/* Ends everything early: not all of the threads could be started. */
void memory_abort(struct memory *memory);

#endif
