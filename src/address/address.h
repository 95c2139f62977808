/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Virtual to physical. How page tables look is data (struct paging); walking them is written once.
 */
#ifndef ADDRESS_ADDRESS_H
#define ADDRESS_ADDRESS_H

#include <kioku/address.h>

#include "base/cleanup.h"

#define PAGE_SIZE 4096u

/* What one page table entry says by itself. */
struct paging_entry {
	bool present;
	bool leaf; /* maps a page; otherwise physical is the next table */
	uint64_t physical;
	uint32_t permissions; /* enum kioku_permission */
};

struct paging_level {
	const char *name;
	uint8_t shift; /* an entry covers 1 << shift bytes */
};

/* One form of page tables: 512 entries of 8 bytes a table, from the root down. */
struct paging {
	const char *name;
	uint8_t level_count;
	uint8_t virtual_bits; /* addresses are sign-extended from here */
	struct paging_level levels[5];
	void (*decode)(const struct kioku_address_space *space, const struct paging_level *level,
		       uint64_t entry, struct paging_entry *out);
};

/* Intel SDM volume 3 chapter 4; Linux arch/x86/include/asm/pgtable_types.h. */
extern const struct paging x86_64_4level, x86_64_5level;

#define TRANSLATION_CACHE_SIZE 256

/*
 * Pages that no entry maps, but that are to be had: swapped out, or not yet faulted in. Belongs to an
 * address space, with which it ends.
 */
struct absent_pages {
	/*
	 * Of an entry that covers size bytes from virtual on (a multiple of that): the page of 4096 bytes at
	 * page. Errors: UNMAPPED (there is none), PAGED_OUT, ABSENT, CORRUPT.
	 */
	enum kioku_status (*read)(struct absent_pages *absent, uint64_t page, uint64_t virtual,
				  uint64_t size, uint64_t entry, uint8_t *out,
				  struct kioku_error *error);
	void (*release)(struct absent_pages *absent);
};

struct kioku_address_space {
	struct kioku_source *source;
	const struct paging *paging;
	uint64_t root;         /* physical address of the top table */
	uint64_t ignored_bits; /* set in entries but no part of an address: the SME C-bit */
	/*
	 * Addresses known to lie in a row in physical memory, the kernel's direct map: reads need no
	 * page tables there, and damage to these does not matter. size 0: none.
	 */
	uint64_t linear_start, linear_size;
	struct absent_pages *absent; /* who knows of pages that no entry maps; or NULL */
	bool ignore_root_nx; /* PTI forbids execution of user memory through the kernel's root */
	struct {
		uint64_t page; /* virtual address of a 4 KiB page | 1; 0: empty */
		uint64_t physical;
		uint64_t contiguous; /* bytes from here to the end of what its entry maps */
	} cache[TRANSLATION_CACHE_SIZE];
};

void address_space_init(struct kioku_address_space *space, struct kioku_source *source,
			const struct paging *paging, uint64_t root);

/* Allocates a copy without cached translations; closed by kioku_address_space_close(). */
enum kioku_status address_space_open(const struct kioku_address_space *like, uint64_t root,
				     struct kioku_address_space **out, struct kioku_error *error);

/* Whether an address can exist: the bits above the highest translated one are its copies. */
bool address_is_canonical(const struct paging *paging, uint64_t virtual);

/*
 * The physical address of a byte, from what is known already where possible, and how many bytes from
 * there on lie in a row. Errors: as of kioku_translate().
 */
enum kioku_status address_space_locate(struct kioku_address_space *space, uint64_t virtual,
				       uint64_t *physical, uint64_t *contiguous,
				       struct kioku_error *error);

/* Reads one little-endian word. */
enum kioku_status address_read_u64(struct kioku_address_space *space, uint64_t virtual,
				   uint64_t *out, struct kioku_error *error);

/* A run of mapped memory: consecutive in virtual and, unless merged by the receiver, physical. */
struct mapping {
	uint64_t virtual, physical, size;
	uint64_t page_size;
	uint32_t permissions;
};

/* Not OK: the walk stops and returns this status. */
typedef enum kioku_status mapping_fn(void *user, const struct mapping *mapping);

/*
 * An entry that maps nothing and is not 0, for the size bytes from virtual on: what it says is the
 * kernel's business. Not OK: as above.
 */
typedef enum kioku_status absent_entry_fn(void *user, uint64_t virtual, uint64_t size,
					  uint64_t entry);

/* A page table that the walk enters, of the memory from virtual on. Not OK: as above. */
typedef enum kioku_status table_fn(void *user, uint64_t physical, uint64_t virtual);

struct walk_losses {
	uint64_t tables;   /* page tables that could not be read */
	uint64_t first;    /* virtual address that the first of them would have mapped */
	uint64_t repeated; /* tables left out because they had been walked too often before */
};

struct address_walk {
	uint64_t first, last; /* virtual */
	mapping_fn *receive;
	absent_entry_fn *absent; /* NULL: nobody asks */
	table_fn *table;         /* likewise */
	void *user;
	struct walk_losses losses; /* out */
};

/*
 * Calls receive for every page mapped in [first, last], in ascending order. Tables that are not in
 * the source, or that hostile tables repeat without end, are counted as losses and skipped.
 * Errors: NO_MEMORY, or those of what is called.
 */
enum kioku_status address_space_walk(struct kioku_address_space *space, struct address_walk *walk);

DEFINE_CLEANUP(address_space, struct kioku_address_space, kioku_address_space_close)
#define AUTO_ADDRESS_SPACE CLEANUP(cleanup_address_space)

#endif
