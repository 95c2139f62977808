/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a located kernel consists of. */
#ifndef KERNEL_KERNEL_H
#define KERNEL_KERNEL_H

#include <kioku/kernel.h>

#include "address/address.h"
#include "base/arena.h"
#include "base/diagnostic.h"
#include "base/error.h"
#include "kernel/image.h"
#include "source/source.h"
#include "symbol/symbols.h"
#include "type/types.h"

#define VMCOREINFO_LIMIT (4 * PAGE_SIZE)
#define FACT_LIMIT       32
#define BUILD_ID_MAX     32
#define STATE_LETTERS    16

/* How far a kernel has proved itself; each step includes the ones before. */
enum proof {
	PROOF_NONE,
	PROOF_IMAGE,  /* page tables map something of a kernel's shape */
	PROOF_BANNER, /* and "Linux version ..." is in it, where its symbol says if there are any */
	PROOF_ALIVE,  /* and init_task is the swapper: this image has run */
};

struct given;
struct module_types;
struct profile;
struct record_cache;
struct swap;

/* The kernel's struct page of every frame. */
struct page_array {
	bool is_known;  /* it was looked for */
	uint64_t start; /* virtual address; 0: not found */
	uint64_t size;  /* of an element, in bytes */
};

struct kioku_kernel {
	struct kioku_source *source;
	struct diagnostics diagnostics;
	struct arena arena;
	enum proof proof;

	bool found_by_scan;
	struct kioku_address_space space;
	const char *root_evidence; /* what led to the page tables */
	struct image image;
	char *banner; /* without the newline; in the arena */
	uint64_t banner_virtual;
	uint8_t build_id[BUILD_ID_MAX];
	size_t build_id_size; /* 0: unknown */
	uint64_t build_id_virtual;
	struct profile *profile; /* that symbols and types are read from; NULL: the image itself */
	struct kioku_symbols *symbols; /* NULL: none found, symbols_problem says why */
	const char *symbols_evidence, *symbols_problem;
	struct kioku_types *types; /* NULL: none found, types_problem says why */
	const char *types_evidence, *types_problem;
	bool ignores_btf;        /* the image's own */
	bool types_are_inferred; /* from this image, or from that of a profile */
	uint64_t
		module_list; /* virtual, found where no symbol says; 0: it was not, see module_list() */
	struct bytes member_evidence; /* then, see member_evidence.h */
	bool was_read;      /* by types: a structure, or what is in none. view/view.c clears it */
	uint64_t init_task; /* virtual; 0 if unknown */
	const char *init_task_evidence;
	uint64_t direct_map; /* virtual address of physical 0; 0 if unknown */
	const char *direct_map_evidence;
	struct page_array pages; /* see page.h */
	char vmcoreinfo[VMCOREINFO_LIMIT];
	size_t vmcoreinfo_size; /* 0: none */
	const char *vmcoreinfo_evidence;
	int64_t boot_offset; /* nanoseconds to add to boot time for UTC */
	int64_t real_offset; /* the same for what counts on from boot but does not in a suspended machine */
	int64_t atomic_offset; /* what TAI is ahead of UTC, in nanoseconds */
	int64_t wall_time; /* of the machine's clock when the image was taken, UTC; 0: unknown */
	bool boot_offset_known;

	char state_letters[STATE_LETTERS + 1]; /* see task_state_letter(); empty until needed */

	struct kioku_fact facts[FACT_LIMIT];
	size_t fact_count;
	struct record_cache *records;
	struct module_types *module_types;
	struct swap *swap; /* see swap.h; NULL until needed */

	/* Files with types and symbols; candidates share them, and given_kept is set in the one that is taken. */
	struct given *given, *given_kept;
	/* Types that are not the image's BTF: what those of modules are counted on from is own_types then, or NULL. */
	bool types_are_foreign;
	struct kioku_types *own_types;
	const char *
		forced; /* why what was given does not fit, and is used nevertheless; NULL: not so */
};

/* Its types were worked out from memory: that is remembered, and said. The evidence stays the caller's. */
void kernel_types_are_inferred(struct kioku_kernel *kernel, struct bytes member_evidence);

/* Finds a symbol that may be absent: 0 then. */
uint64_t kernel_symbol(const struct kioku_kernel *kernel, const char *name);

/* Reads at a kernel virtual address. */
enum kioku_status kernel_read(struct kioku_kernel *kernel, uint64_t virtual, void *buffer,
			      size_t size, struct kioku_error *error);

/*
 * Reads a string that ends within room bytes, its NUL included. Errors: LIMIT (it does not end),
 * CORRUPT (that is no pointer), UNMAPPED, ABSENT.
 */
enum kioku_status kernel_read_string(struct kioku_kernel *kernel, uint64_t virtual, char *out,
				     size_t room, size_t *size);

/* As source_prefetch(), for kernel addresses: starts are virtual. */
void kernel_prefetch(struct kioku_kernel *kernel, const struct span *spans, size_t count);

/* As source_forget(), likewise. */
void kernel_forget(struct kioku_kernel *kernel, uint64_t virtual, uint64_t size);

/* Whether a value may be a pointer to kernel data: canonical, upper half, not an ERR_PTR. */
bool kernel_is_pointer(const struct kioku_kernel *kernel, uint64_t value);

/* Looks for the kernel's build id among its notes, unless it is known already. */
void kernel_find_build_id(struct kioku_kernel *kernel);

/*
 * Where the start of the kernel's image was linked to run, and what says so; false if nothing does. What KASLR moves
 * is image.start less that away from there.
 */
bool kernel_link_address(struct kioku_kernel *kernel, uint64_t *out, const char **evidence);

/* Fills in the facts that info shows. */
void kernel_collect_facts(struct kioku_kernel *kernel);

DEFINE_CLEANUP(kernel, struct kioku_kernel, kioku_kernel_close)
#define AUTO_KERNEL CLEANUP(cleanup_kernel)

#endif
