/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory of a target that was copied: page by page, by its virtual address, in a file that whoever
 * copies shares with whoever reads it. It is kept in chunks of 2 MiB, which are only made where there
 * is content, so that an address space that is reserved and empty costs nothing. One process writes;
 * others read once that one says that it is done.
 */
#ifndef SNAPSHOT_SPOOL_H
#define SNAPSHOT_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"

enum {
	SPOOL_PAGE = 4096,
	SPOOL_CHUNK = 2 << 20,
	SPOOL_CHUNK_PAGES = SPOOL_CHUNK / SPOOL_PAGE,
	SPOOL_STAGE = 2 << 20
};

enum spool_state {
	SPOOL_NONE,    /* no content of its own: zeros, or that of the file which is mapped there */
	SPOOL_CONTENT, /* in the spool */
	SPOOL_LOST,    /* it was there, and could not be read */
	SPOOL_GUARD, /* any access to it faults (MADV_GUARD_INSTALL): there is nothing to be had */
};

struct spool_chunk {
	uint64_t start;  /* in the target; a multiple of SPOOL_CHUNK */
	uint32_t number; /* of the place that it has in the file */
	bool is_suspect; /* memory was given back there: what is absent now has no content any more */
};

struct spool_index {
	size_t count;
	struct spool_chunk chunks[]; /* ascending */
};

struct spool_stage;

struct spool {
	int descriptor;        /* of the file; owned; -1: none */
	const uint8_t *memory; /* the file: chunks in the order in which they were made */
	uint8_t (*states)[SPOOL_CHUNK_PAGES]; /* enum spool_state, in the same order */
	struct spool_index *index;
	size_t limit;              /* chunks */
	struct spool_stage *stage; /* of whoever copies */
};

/*
 * Makes an empty spool. descriptor: an empty file to use, which the spool takes over; -1: memory.
 * limit: chunks that it can have at most, which take 2.5 KiB of address space each and nothing else
 * before they are used; fewer if the file cannot be that large. spool_release() in any case.
 * Errors: OS.
 */
enum kioku_status spool_init(struct spool *spool, int descriptor, size_t limit,
			     struct kioku_error *error);

/* To be called first by the process that copies. Errors: NO_MEMORY. */
enum kioku_status spool_begin(struct spool *spool, struct kioku_error *error);

/* Whose memory is copied. */
struct spool_target {
	int memory; /* /proc/PID/mem */
	/*
	 * A thread that is stopped, to be read by process_vm_readv(2) as far as that goes: it is faster,
	 * but gives the target pages of its own in place of those that it shares with a child (FOLL_PIN,
	 * mm/gup.c), so that it is for what was written just now. 0: none.
	 */
	pid_t stopped;
};

/*
 * Copies whole pages. Up to SPOOL_STAGE bytes only get to the file in spool_flush(): the faults of a
 * file's pages are nothing for a stop. Errors: LIMIT (the spool is full), OS.
 */
enum kioku_status spool_copy(struct spool *spool, const struct spool_target *target, uint64_t start,
			     uint64_t end, struct kioku_error *error);

/* Writes to the file what has been copied. Errors: OS. */
enum kioku_status spool_flush(struct spool *spool, struct kioku_error *error);

/* [start, end) are guards. Errors: LIMIT. */
enum kioku_status spool_guard(struct spool *spool, uint64_t start, uint64_t end,
			      struct kioku_error *error);

/* [start, end) has no content any more. */
void spool_clear(struct spool *spool, uint64_t start, uint64_t end);

/* The first chunk that ends after an address: an index; index->count if there is none. */
size_t spool_after(const struct spool *spool, uint64_t address);

/* Pages of one state that lie side by side in the target. */
struct spool_run {
	uint64_t start, size; /* bytes; size 0: there are no more */
	enum spool_state state;
	const uint8_t *content; /* NULL if there is none */
};

/* The first run in [start, end), up to a chunk's end; neighbours may be of the same state. */
struct spool_run spool_next(const struct spool *spool, uint64_t start, uint64_t end);

void spool_release(struct spool *spool);

#endif
