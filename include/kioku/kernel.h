/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One kernel, located in a source and proved. */
#ifndef KIOKU_KERNEL_H
#define KIOKU_KERNEL_H

#include <kioku/address.h>
#include <kioku/source.h>
#include <kioku/symbol.h>
#include <kioku/type.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kioku_kernel;

struct kioku_kernel_options {
	size_t size;                     /* sizeof(struct kioku_kernel_options) */
	const char *profile;             /* use this profile or fail; NULL: none given */
	const char *cache_folder;        /* profiles are looked for and kept here; NULL: no cache */
	kioku_diagnostic_fn *diagnostic; /* may be NULL; used until the kernel closes */
	void *diagnostic_user;
	bool ignore_btf; /* work types out of memory even if the image has BTF */
	/*
	 * Files to take types and symbols from, instead of the image's own; NULL: none given. What contradicts the
	 * image is refused, or with force used and said to be: as a warning, and as the fact "forced". Neither is
	 * used together with a profile, nor from or for the cache.
	 */
	const char
		*types; /* ELF with DWARF or BTF, raw BTF, volatility3's symbol table, a profile */
	const char *symbols; /* System.map, /proc/kallsyms, ELF, volatility3's symbol table */
	bool force;
	bool memory_alone; /* where no kernel proves itself, open memory alone, for KIOKU_VIEW_MEMORY */
};

/*
 * Finds the running kernel in a source: page tables, symbols, types. What could not be had is in
 * kioku_kernel_info, not an error, as long as the kernel itself is proved. Borrows the source.
 * Errors: NOT_FOUND (no kernel proves itself), REFUSED (the profile or a file does not fit), NO_MEMORY.
 */
KIOKU_PUBLIC KIOKU_CHECK enum kioku_status
kioku_kernel_open(struct kioku_source *source, const struct kioku_kernel_options *options,
		  struct kioku_kernel **out, struct kioku_error *error);
KIOKU_PUBLIC void kioku_kernel_close(struct kioku_kernel *kernel);

/* What the reading of a kernel's structures rests on; each is less to be relied on than the one before. */
enum kioku_basis {
	KIOKU_BASIS_NONE, /* it has no types */
	KIOKU_BASIS_TYPES, /* types that fit: its own, or of a file or profile that nothing contradicts */
	KIOKU_BASIS_INFERRED, /* types that were worked out from its memory */
	KIOKU_BASIS_FORCED,   /* types or symbols that do not fit, used by force */
};
KIOKU_PUBLIC enum kioku_basis kioku_kernel_basis(const struct kioku_kernel *kernel);

/* "none", "types", "inferred", "forced"; static. */
KIOKU_PUBLIC const char *kioku_basis_name(enum kioku_basis basis);

/* NULL where the image has none. Borrowed until the kernel closes. */
KIOKU_PUBLIC const struct kioku_symbols *kioku_kernel_symbols(const struct kioku_kernel *kernel);
KIOKU_PUBLIC const struct kioku_types *kioku_kernel_types(const struct kioku_kernel *kernel);

/* The kernel's own page tables; NULL of memory alone. Borrowed. */
KIOKU_PUBLIC struct kioku_address_space *kioku_kernel_space(struct kioku_kernel *kernel);

/*
 * Opens the address space of a process by its pid (initial namespace), or by the value of CR3
 * (PCID and flag bits are ignored). The caller closes it, before the kernel.
 * Errors: NOT_FOUND (no such process), UNSUPPORTED (a kernel thread; no types), ABSENT.
 */
KIOKU_PUBLIC KIOKU_CHECK enum kioku_status
kioku_process_space_open(struct kioku_kernel *kernel, int32_t pid, struct kioku_address_space **out,
			 struct kioku_error *error);
KIOKU_PUBLIC KIOKU_CHECK enum kioku_status kioku_cr3_space_open(struct kioku_kernel *kernel,
								uint64_t cr3,
								struct kioku_address_space **out,
								struct kioku_error *error);

/*
 * The memory of a process, with the registers of its threads, as a source of its own, whose addresses are
 * the process's: for kioku_capture(), which makes an ELF core of it. Only what is in areas, if there are
 * any. What is lost is said to the kernel's diagnostic function. The caller closes it, before the kernel.
 * Errors: NOT_FOUND (no such process, or it has nothing in the areas), UNSUPPORTED (a kernel thread; types
 * are missing; no thread has registers), ABSENT, UNMAPPED, NO_MEMORY.
 */
KIOKU_PUBLIC KIOKU_CHECK enum kioku_status
kioku_process_core_open(struct kioku_kernel *kernel, int32_t pid, const struct kioku_area *areas,
			size_t area_count, struct kioku_source **out, struct kioku_error *error);

/* One fact about the kernel: what it is, its value in words, and the evidence that gave it. */
struct kioku_fact {
	const char *name;  /* snake_case: "release", "text_virtual", "direct_map_base", ... */
	const char *value; /* NULL if it could not be had */
	const char
		*evidence; /* "VMCOREINFO", "kallsyms", "banner", "page tables", "BTF", ...; for a
				 missing value, why it is missing */
};

/*
 * Everything that kioku_kernel_open() established, in a fixed order, missing facts included.
 * Borrowed until the kernel closes.
 */
KIOKU_PUBLIC const struct kioku_fact *kioku_kernel_facts(const struct kioku_kernel *kernel,
							 size_t *count);

/*
 * Adds the image of a swap area (a partition or a swap file, whole, also compressed): pages that were swapped
 * out to it are then read from it. It is recognised by its UUID and size. Opened until the kernel closes.
 * Errors: OS, CORRUPT (no swap area), REFUSED (of none of this kernel's areas), UNSUPPORTED, NO_MEMORY.
 */
KIOKU_PUBLIC KIOKU_CHECK enum kioku_status
kioku_kernel_add_swap(struct kioku_kernel *kernel, const char *path, struct kioku_error *error);

/*
 * How many pages were read so far from the files of swap areas. Nothing in these proves that they are of the
 * same moment as the image: if the number grows while something is read, that may be stale.
 */
KIOKU_PUBLIC uint64_t kioku_kernel_swap_reads(const struct kioku_kernel *kernel);

/*
 * Saves what was located and decoded, for kioku_kernel_options.profile. An existing file is
 * replaced as a whole or not at all. Errors: OS, UNSUPPORTED (nothing to save).
 */
KIOKU_PUBLIC KIOKU_CHECK enum kioku_status
kioku_kernel_save_profile(struct kioku_kernel *kernel, const char *path, struct kioku_error *error);

#ifdef __cplusplus
}
#endif
#endif
