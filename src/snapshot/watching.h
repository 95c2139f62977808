/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory that is too much to be looked through in a stop, which takes some us for each MiB. For the last
 * moments before the stop a write to it waits until it is noted (USERFAULT_SYNC). For that the protection of
 * its pages stays as it is: only whose it is changes, in a stop of a few us, whatever the size. What was
 * written before is looked for after that, while the target runs; so that in the stop there is a list.
 */
#ifndef SNAPSHOT_WATCHING_H
#define SNAPSHOT_WATCHING_H

#include "format/maps_format.h"
#include "snapshot/page_ranges.h"
#include "snapshot/tracked_pages.h"
#include "snapshot/userfault.h"

enum {
	WATCHING_MAPPING = 8 << 20, /* bytes of memory that a mapping has at least */
	WATCHING_LEAST = 64 << 20,  /* bytes in all: fewer are looked through as fast */
};

struct watching {
	struct userfault userfault;
	struct page_ranges watched; /* mappings, with halves of the holes around them */
	/*
	 * Of them, what has page tables, every page of which is protected, or has been found to be
	 * written: in the rest, a page may appear without a word.
	 */
	struct page_ranges listed;
	struct page_ranges rest;    /* of where writes are to be looked for, what is not listed */
	bool is_listing;            /* these two are made */
	struct page_ranges written; /* of what is listed, before that */
	size_t copied_writes;       /* of those that are noted since (userfault_writes()) */
};

/* Nothing is watched: watching_end() and watching_release() do nothing. */
void watching_init(struct watching *watching);

/* Whether a mapping can be watched. */
bool watching_suits(const struct mapping *mapping);

/* Whether that is worth it, for what has been copied of these mappings. */
bool watching_pays(const struct mapping_list *mappings, const struct spool *spool);

/*
 * As userfault_open(), of which this makes one more. Errors: the same; REFUSED also where pages may be
 * dropped without a word (MADV_FREE).
 */
enum kioku_status watching_open(struct watching *watching, struct errand *errand, int *left,
				struct kioku_error *error);

/*
 * All threads are stopped: takes over from a userfaultfd what pays, of mappings that are tracked. wants:
 * those that are to be; user: for that. What the kernel refuses stays as it is.
 */
void watching_begin(struct watching *watching, const struct userfault *from,
		    const struct mapping_list *mappings, const struct spool *spool,
		    bool (*wants)(const struct mapping *mapping, const void *user),
		    const void *user);

/*
 * The target runs: lists what of all ranges is watched, finds what was written of that, and copies it, until
 * little is left. mappings: those of watching_begin(). Errors: NO_MEMORY; those of tracked_pages.h.
 */
enum kioku_status watching_look(struct watching *watching, struct tracked_pages *pages,
				const struct mapping_list *mappings, const struct page_ranges *all,
				struct kioku_error *error);

/* Whether it is known of all that is listed what was written. */
bool watching_has_listed(struct watching *watching);

/* All threads are stopped: tells of what is listed, was written, and was not copied since; in any order. */
enum kioku_status watching_tell(struct watching *watching, page_range_fn *found, void *user,
				struct kioku_error *error);

/* All threads are stopped: gives back to that userfaultfd what was taken over. */
void watching_end(struct watching *watching, const struct userfault *to);

/* Gives up what is left, while the target runs. */
void watching_release(struct watching *watching);

#endif
