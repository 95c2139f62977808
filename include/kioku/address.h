/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Virtual addresses: one tree of page tables, walked in a source. */
#ifndef KIOKU_ADDRESS_H
#define KIOKU_ADDRESS_H

#include <kioku/source.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kioku_address_space;

/* What a page table entry allows, the restrictions of the levels above it included. */
enum kioku_permission {
	KIOKU_PERMISSION_READ = 1,
	KIOKU_PERMISSION_WRITE = 2,
	KIOKU_PERMISSION_EXECUTE = 4,
	KIOKU_PERMISSION_USER = 8,
};

/* One step of a walk: the entry at physical + 8 * index of a table. */
struct kioku_translation_step {
	const char *level;       /* "PGD", "P4D", "PUD", "PMD", "PTE" */
	uint64_t entry_physical; /* where the entry lies */
	uint64_t entry;          /* its value */
	uint32_t index;          /* its index in the table */
};

struct kioku_translation {
	uint64_t physical;
	uint64_t page_size;   /* bytes: 4 KiB, 2 MiB or 1 GiB on x86-64 */
	uint32_t permissions; /* enum kioku_permission, combined */
	uint32_t step_count;
	struct kioku_translation_step steps[5];
};

/*
 * Translates one address. out->steps is filled as far as the walk came, also on failure.
 * Errors: UNMAPPED (not present, or not canonical), ABSENT (a table is not in the source).
 */
KIOKU_PUBLIC KIOKU_CHECK enum kioku_status kioku_translate(struct kioku_address_space *space,
							   uint64_t virtual_address,
							   struct kioku_translation *out,
							   struct kioku_error *error);

/* All or nothing, across pages. */
KIOKU_PUBLIC KIOKU_CHECK enum kioku_status
kioku_address_space_read(struct kioku_address_space *space, uint64_t virtual_address, void *buffer,
			 size_t size, struct kioku_error *error);
KIOKU_PUBLIC void kioku_address_space_read_many(struct kioku_address_space *space,
						struct kioku_read *reads, size_t count);

/* "x86-64 4-level" or "x86-64 5-level"; static. */
KIOKU_PUBLIC const char *kioku_address_space_paging(const struct kioku_address_space *space);

KIOKU_PUBLIC void kioku_address_space_close(struct kioku_address_space *space);

#ifdef __cplusplus
}
#endif
#endif
