/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Write tracking of another process by its userfaultfd (userfaultfd(2),
 * Documentation/admin-guide/mm/userfaultfd.rst). Nothing of it outlives the descriptor: should we die, all
 * is undone.
 */
#ifndef SNAPSHOT_USERFAULT_H
#define SNAPSHOT_USERFAULT_H

#include <pthread.h>

#include "snapshot/errand.h"
#include "snapshot/page_ranges.h"

enum userfault_change_kind {
	USERFAULT_GONE,  /* unmapped, moved away or given back (MADV_DONTNEED); or about to be */
	USERFAULT_MOVED, /* moved here, with its protection */
};

struct userfault_change {
	enum userfault_change_kind kind;
	uint64_t start, end;
};

/* What a write to a protected page does. */
enum userfault_mode {
	/*
	 * It takes the protection off, and which pages these are tells PAGEMAP_SCAN (pagemap_scan.h):
	 * UFFD_FEATURE_WP_ASYNC, Linux 6.7.
	 */
	USERFAULT_ASYNC,
	/*
	 * It waits, some 50 us, until it is noted with the pages around it, which are protected no more.
	 * Only for anonymous memory; and for targets that may have a userfaultfd which the kernel's own
	 * accesses wait for (CAP_SYS_PTRACE, or vm.unprivileged_userfaultfd).
	 */
	USERFAULT_SYNC,
};

enum { USERFAULT_CHANGES = 4096, USERFAULT_WRITES = 4096 };

struct userfault {
	int descriptor; /* ours; -1: none */
	int end;        /* eventfd: the reader is to end */
	bool has_reader;
	pthread_t reader;
	/* Whose protection could not be taken off yet; the reader's. */
	struct page_range *waiting;
	size_t waiting_count, waiting_capacity;
	pthread_mutex_t lock; /* of what follows */
	size_t change_count;
	bool has_lost_changes; /* there were more: anything may have changed */
	struct userfault_change changes[USERFAULT_CHANGES];
	size_t write_count;   /* of SYNC */
	bool has_lost_writes; /* there were more: anything may have been written */
	struct page_range writes[USERFAULT_WRITES];
};

/* Of a target's table, besides numbers of descriptors. */
enum {
	USERFAULT_NONE = -1,
	USERFAULT_ANY = -2, /* one is being made, and it has no other */
};

/* Whether this kernel has ASYNC, and lets us. */
bool userfault_works(void);

/* Whether a process may have one of SYNC. */
bool userfault_may_be_sync(const struct process *process);

/*
 * What it costs here, tried on memory of our own, whole pages that have content: nanoseconds to look for
 * what was written, for each byte that was not, and by which the first write to a page is delayed.
 * False: it does not work.
 */
bool userfault_measure(uint8_t *memory, size_t size, double *look, double *delay);

/* No userfaultfd yet: userfault_close() does nothing. */
void userfault_init(struct userfault *userfault);

/*
 * Makes the target have a userfaultfd, takes it over, and has it closed in the target: two stops of
 * one thread. It waits for every change to mappings that are tracked until we know of it, for which
 * there is a thread of its own; and in SYNC mode every write. *left: the number of the descriptor while
 * the target has it, else USERFAULT_NONE; in memory that outlives us, for userfault_repair().
 * userfault_close() in any case. Errors: UNSUPPORTED, REFUSED, OS; those of errand_call().
 */
enum kioku_status userfault_open(struct userfault *userfault, enum userfault_mode mode,
				 struct errand *errand, int *left, struct kioku_error *error);

/* Has the target close what userfault_open() has left in it when it was killed. */
void userfault_repair(struct errand *errand, int left);

/*
 * Tracks the writes to mappings in [start, end) from when they are first protected; what is tracked
 * already stays so. False: it cannot be: they have a userfaultfd of the target's own, or are gone.
 */
bool userfault_track(const struct userfault *userfault, uint64_t start, uint64_t end);

/* Takes protection off: all in [start, end) counts as written. */
void userfault_forget(const struct userfault *userfault, uint64_t start, uint64_t end);

/*
 * What has changed since the last call, oldest first, into changes, of USERFAULT_CHANGES; false: too
 * much to tell.
 */
bool userfault_changes(struct userfault *userfault, struct userfault_change *changes,
		       size_t *count);

/* Protects all in [start, end) that has a page table. False: not now, or not all of it is tracked. */
bool userfault_protect(const struct userfault *userfault, uint64_t start, uint64_t end);

/*
 * SYNC: what was written after it was protected, in the order in which it was, *count of them so far, which
 * stay as they are until userfault_close(). False: there were more than can be noted.
 */
bool userfault_writes(struct userfault *userfault, const struct page_range **writes, size_t *count);

/*
 * Tracks whole mappings no longer. What maps or faults waits for this (mm/userfaultfd.c, under the mmap
 * lock): some 10 us for each MiB that is populated, less if nothing is protected. Never for a part: two
 * mappings in place of one are something that mremap(2) refuses. False: some of them are such that they
 * are tracked by nobody, and could not be; nothing was done.
 */
bool userfault_untrack(const struct userfault *userfault, uint64_t start, uint64_t end);

/*
 * The same at once, without a look at any page, for memory whose protection is off, or is another
 * userfaultfd's from then on: the mode is changed to one that has none, and given up
 * (userfaultfd_register_range() and userfaultfd_clear_vma(), which resets pages of VM_UFFD_WP only). For a
 * stop: a thread that touched a page meanwhile which is not there would wait, and a system call that did so
 * fail. False: some of them cannot be (a file's mapping); nothing was done.
 */
bool userfault_drop(const struct userfault *userfault, uint64_t start, uint64_t end);

void userfault_close(struct userfault *userfault);

#endif
