/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * /proc/PID/maps and /proc/PID/smaps: the mappings of a process, ascending. A mapping is a line
 *
 *	7f0123400000-7f0123426000 r-xp 00001000 fe:00 247134                /usr/lib/libc.so.6
 *
 * (Linux fs/proc/task_mmu.c, show_map_vma), in smaps with lines "Key:  N kB" and "VmFlags: rd ex"
 * behind it (__show_smap, show_smap_vma_flags; read at v6.12 and, for "gu", v6.19). Both are decoded
 * by the same code, which allocates nothing but the list: it runs while the process is stopped.
 */
#ifndef FORMAT_MAPS_FORMAT_H
#define FORMAT_MAPS_FORMAT_H

#include "base/bytes.h"

/* Of struct mapping.flags: what the kernel says of a mapping, by two letters in smaps. */
enum mapping_flag {
	MAPPING_FLAGS_KNOWN = 1u << 0,  /* it was smaps; without this, no other one is there */
	MAPPING_FLAG_UNKNOWN = 1u << 1, /* there is one that is not in the kernels read */
	MAPPING_SHARED = 1u << 2,       /* sh: MAP_SHARED, of a file that may be written to */
	MAPPING_DEVICE = 1u << 3,       /* io: of a device's registers; reading may have effects */
	MAPPING_PFNMAP = 1u << 4,       /* pf: no struct page behind it; cannot be read by ptrace */
	MAPPING_MIXED = 1u << 5,        /* mm: the same for some of its pages */
	MAPPING_DONTFORK = 1u << 6,     /* dc: not in a child */
	MAPPING_WIPEONFORK = 1u << 7,   /* wf: zero in a child */
	MAPPING_DONTDUMP = 1u << 8,     /* dd */
	MAPPING_HUGETLB = 1u << 9,      /* ht: a child's write may find no page */
	MAPPING_UFFD_MISSING = 1u << 10,   /* um: a userfaultfd waits for its faults */
	MAPPING_UFFD_PROTECTED = 1u << 11, /* uw: the same, for writes */
	MAPPING_UFFD_MINOR = 1u << 12,     /* ui: the same, for pages of the page cache */
	MAPPING_LOCKED = 1u << 13,         /* lo: mlock */
	MAPPING_LOCK_ON_FAULT = 1u << 14,  /* lf */
	MAPPING_SOFT_DIRTY = 1u << 15,     /* sd: new since the soft-dirty bits were cleared */
	MAPPING_GROWS_DOWN = 1u << 16,     /* gd */
	MAPPING_SHADOW_STACK = 1u << 17,   /* ss */
	MAPPING_DROPPABLE = 1u << 18,      /* dp: may become zero at any time */
	MAPPING_SEALED = 1u << 19,         /* sl */
	MAPPING_MAYBE_GUARD = 1u << 20,    /* gu: may have guard pages, which fault; v6.19 */
	MAPPING_ACCOUNTED = 1u << 21,      /* ac: counts for overcommit */
	MAPPING_NO_RESERVE = 1u << 22,     /* nr */
	MAPPING_HUGE_PAGES = 1u << 23,     /* hg */
	MAPPING_MERGEABLE = 1u << 24,      /* mg: KSM */
};

struct mapping {
	uint64_t start, end;  /* virtual; start < end */
	uint32_t permissions; /* PROT_READ, PROT_WRITE, PROT_EXEC */
	bool is_shared;       /* MAP_SHARED, and what is written reaches others, or could */
	uint64_t file_offset; /* of start */
	uint32_t device_major, device_minor;
	uint64_t inode; /* 0: of no file */
	/*
	 * As it stands there, to the line's end: a path, "[heap]", "[anon:NAME]", "/memfd:NAME
	 * (deleted)"; "" for none. A line feed stands as "\012" and a backslash as itself, so that
	 * this cannot be taken back. " (deleted)" may be part of a name, too. Points into the text.
	 */
	struct bytes name;

	/* Of smaps, in bytes; 0 in maps. Huge pages of hugetlb count in their own fields only. */
	uint64_t resident, swapped, anonymous, anonymous_huge, locked, private_hugetlb,
		shared_hugetlb;
	uint64_t page_size; /* 0 in maps */
	uint32_t flags;     /* enum mapping_flag */
};

/*
 * Decodes the mapping at *offset, with the lines of smaps that belong to it, and moves *offset to
 * the next one. False, with *offset past one line, if that is none of a mapping.
 */
bool maps_decode(struct bytes text, size_t *offset, struct mapping *out);

/* All zero is an empty list. What it has allocated is used again. */
struct mapping_list {
	struct mapping *mappings; /* ascending, disjoint */
	size_t count, capacity;
};

enum maps_verdict {
	MAPS_OK,
	MAPS_DAMAGED, /* a line is none; the list holds those before it */
	MAPS_NO_MEMORY,
};

/*
 * Lists all mappings in place of what was in the list. Of one that does not lie behind its predecessor
 * only what does is listed: the kernel gives the text in pieces of a page, and a mapping that was
 * merged with the next one between two of them comes twice.
 */
enum maps_verdict maps_list(struct bytes text, struct mapping_list *list);

/* Room for so many, so that maps_list() has nothing to allocate. False: no memory. */
bool mapping_list_reserve(struct mapping_list *list, size_t capacity);
void mapping_list_release(struct mapping_list *list);

/* The first mapping that ends after an address: an index; list->count if there is none. */
size_t mapping_list_after(const struct mapping_list *list, uint64_t address);

/* The mapping that holds an address, or NULL. */
const struct mapping *mapping_list_find(const struct mapping_list *list, uint64_t address);

/* Whether a mapping's file was deleted when the line was made, as far as a name can tell. */
bool mapping_is_deleted(const struct mapping *mapping);

#endif
