/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Processes that are copied while they write, by write tracking: what is in the copy, and in them. A program of
 * tests is about one way to track.
 */
#ifndef TESTS_UNIT_TRACKING_CASE_H
#define TESTS_UNIT_TRACKING_CASE_H

#include <stdatomic.h>

#include "snapshot/guardian.h"
#include "snapshot/process.h"

enum {
	PAGE = 4096,
	WORDS = PAGE / sizeof(uint64_t),
	PAGES = 2048,       /* that are written to, one after the other */
	MANY_PAGES = 24576, /* the same, of a target that is watched */
	REGION = 64,        /* pages of memory that comes and goes */
};

/* What a target and its test share. */
struct board {
	volatile uint64_t step;
	volatile bool is_ready, has_failed;
	volatile bool was_interrupted; /* a call that was to be taken up again */
	atomic_int sleepers;
	uint64_t page_count; /* PAGES or MANY_PAGES */
	uint64_t *pages, *shared, *common;
	/* Of the target whose mappings change: its own memory says at what it is. */
	struct life *life;
};

/* A copy that was made. */
struct image {
	struct process process;
	struct process_maps before;
	struct mapping_list mappings;
	struct guardian_target target;
	struct guardian guardian;
	struct spool spool;
};

extern const enum guardian_method tracking_method; /* of the program */
extern struct board *board;

/* --- a target */

/* One that runs this; skips the test where the kernel has nothing to track it by. */
pid_t tracked_start(void (*run)(void), uint64_t page_count);
void tracked_end(pid_t pid);

/* Page 0 has the number of steps done. Step N writes it at both ends of its page, then into page 0. */
void write_steps(void);

/* REGION pages, at an address or anywhere. */
uint64_t *region_map(void *where);
void region_fill(uint64_t *pages, uint64_t value);

/* --- a copy */

enum kioku_status image_take(struct image *image, pid_t pid, struct kioku_error *error);
void image_must_take(struct image *image, pid_t pid);
void image_release(struct image *image);

/* A page of it; zeros where it has nothing. */
enum spool_state image_page(const struct image *image, const void *address, uint64_t *out);

/* That write_steps() was not torn. */
void check_steps(const struct image *image);

/* --- whole tests; each has so many copies made */

void check_copies(int times, uint64_t page_count);

/* Mappings come, go and move meanwhile. */
void check_mappings(int times, uint64_t page_count);

/* Memory of one page table changes places with that of another. */
void check_places(int times);

/*
 * The guardian is killed within so many microseconds. Whatever it is doing at that moment, nothing is left of it; but calls that were interrupted may return
 * EINTR, as the manual says: the kernel lets threads go, and nobody makes them take their calls up again.
 */
void check_guardian_killed(int times, uint64_t page_count, int within);

/* Only what is its own is copied of a file, and memory in common with a child stays so. */
void check_files_and_children(void);

#endif
