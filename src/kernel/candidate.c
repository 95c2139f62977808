/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where page tables of a kernel may be found. */
#include "base/error.h"
#include "format/vmcoreinfo_format.h"
#include "kernel/locate.h"
#include "source/source.h"

#define LOW_MEMORY_END 0xa0000 /* conventional memory of a PC ends here */
#define ENTRY_511      (511 * 8)

static bool read_u64(struct kioku_source *source, uint64_t physical, uint64_t *out)
{
	uint8_t raw[8];

	if (kioku_source_read(source, physical, raw, sizeof(raw), NULL) != KIOKU_OK)
		return false;
	*out = load_le64(raw);
	return true;
}

/* As Linux makes entries that lead to tables: present, writable, accessed; maybe user and dirty. */
static bool leads_to_table(uint64_t entry)
{
	return (entry & ~0x000ffffffffff044ull) == 0x23;
}

/*
 * Whether a page is a table of the upper levels in all its entries, so that what they lead to is one,
 * too, and in RAM: so little is sure of a machine whose RAM is not known. A trampoline's root has an
 * entry for itself and at least one of the kernel's.
 */
static bool is_table(struct kioku_source *source, uint64_t table, bool is_root)
{
	uint8_t page[PAGE_SIZE];
	unsigned tables = 0;

	if (kioku_source_read(source, table, page, sizeof(page), NULL) != KIOKU_OK)
		return false;
	for (unsigned i = 0; i < 512; i++) {
		uint64_t entry = load_le64(page + 8 * i);
		bool is_large = !is_root && (entry & 0x81) == 0x81;
		if (entry != 0 && !is_large && !leads_to_table(entry))
			return false;
		tables += entry != 0 && !is_large;
	}
	return tables >= (is_root ? 2 : 1);
}

/* Follows one entry of a table of x86-64 page tables; false if it is not the way to a table. */
static bool follow(struct kioku_source *source, uint64_t table, unsigned index, bool is_root,
		   uint64_t *next)
{
	uint64_t entry;

	/* Present, not a large page; bits 52 to 62 are never set in a kernel's own tables. */
	if (!read_u64(source, table + 8 * index, &entry) || (entry & 0x81) != 0x01 ||
	    (entry & 0x7ff0000000000000ull))
		return false;
	*next = entry & 0x000ffffffffff000ull;
	return source_has(source, *next, PAGE_SIZE) ||
	       (kioku_source_lacks_ranges(source) && leads_to_table(entry) &&
		is_table(source, table, is_root) && source_admit(source, *next, PAGE_SIZE));
}

/*
 * Whether the last entry of a root, taken as a 4- or a 5-level one, leads to a PMD table that maps
 * a kernel image: entries 511 down to the PUD table, then 510, then more than a handful present.
 */
static bool leads_to_image(struct kioku_source *source, uint64_t root, unsigned levels)
{
	uint64_t table = root;
	uint8_t pmd[PAGE_SIZE];
	unsigned present = 0;

	for (unsigned level = levels; level > 3; level--)
		if (!follow(source, table, 511, level == levels, &table))
			return false;
	if (!follow(source, table, 510, false, &table) ||
	    kioku_source_read(source, table, pmd, sizeof(pmd), NULL) != KIOKU_OK)
		return false;
	for (unsigned i = 0; i < 512; i++)
		present += load_le64(pmd + 8 * i) & 1;
	return present >= 4;
}

static enum kioku_status offer(struct kioku_source *source, uint64_t root, const char *evidence,
			       candidate_fn *receive, void *user)
{
	static const struct {
		const struct paging *paging;
		unsigned levels;
	} forms[] = { { &x86_64_4level, 4 }, { &x86_64_5level, 5 } };

	for (size_t i = 0; i < 2; i++) {
		if (!leads_to_image(source, root, forms[i].levels))
			continue;
		struct candidate candidate = { root, forms[i].paging, evidence };
		TRY(receive(user, &candidate));
	}
	return KIOKU_OK;
}

/* The low 12 bits of CR3 are PCID and flags. With PTI, bit 12 tells the user half from the kernel's
 * (arch/x86/mm/pti.c): the kernel's maps everything. */
static enum kioku_status offer_registers(struct kioku_source *source, candidate_fn *receive,
					 void *user)
{
	size_t count;
	const struct kioku_cpu *cpus = kioku_source_cpus(source, &count);

	for (size_t i = 0; i < count; i++) {
		uint64_t root = cpus[i].cr3 & 0x000ffffffffff000ull;
		if (root & PAGE_SIZE)
			TRY(offer(source, root & ~(uint64_t)PAGE_SIZE, "CPU registers", receive,
				  user));
		if (root)
			TRY(offer(source, root, "CPU registers", receive, user));
	}
	return KIOKU_OK;
}

/*
 * phys_base (arch/x86/kernel/head64.c) is what the kernel's 1 GiB window starts at; it is signed.
 * SYMBOL(swapper_pg_dir) is an alias of init_top_pgt, formerly init_level4_pgt.
 */
static enum kioku_status offer_vmcoreinfo(struct kioku_source *source, struct bytes text,
					  const char *evidence, candidate_fn *receive, void *user)
{
	static const char *const names[] = { "SYMBOL(swapper_pg_dir)", "SYMBOL(init_top_pgt)",
					     "SYMBOL(init_level4_pgt)" };
	int64_t phys_base;
	uint64_t pgd;

	if (!vmcoreinfo_decimal(text, "NUMBER(phys_base)", &phys_base))
		return KIOKU_OK;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (vmcoreinfo_hex(text, names[i], &pgd))
			return offer(source, pgd - KERNEL_MAP_START + (uint64_t)phys_base, evidence,
				     receive, user);
	return KIOKU_OK;
}

/*
 * Linux keeps a trampoline in low memory to start other CPUs and to resume; the last entry of its
 * page table root is copied from the kernel's (arch/x86/realmode/init.c).
 */
static enum kioku_status offer_trampolines(struct kioku_source *source, candidate_fn *receive,
					   void *user)
{
	struct span spans[PREFETCH_LIMIT];

	for (uint64_t page = 0; page < LOW_MEMORY_END; page += PAGE_SIZE) {
		size_t index = page / PAGE_SIZE % PREFETCH_LIMIT;
		for (size_t i = 0; index == 0 && i < PREFETCH_LIMIT; i++)
			spans[i] = (struct span){ page + i * PAGE_SIZE + ENTRY_511, 8 };
		if (index == 0)
			source_prefetch(source, spans, PREFETCH_LIMIT);
		TRY(offer(source, page, "real-mode trampoline", receive, user));
	}
	return KIOKU_OK;
}

uint64_t candidates_missing(struct kioku_source *source)
{
	for (uint64_t page = 0; page < LOW_MEMORY_END; page += PAGE_SIZE) {
		uint64_t entry, table;
		if (!read_u64(source, page + ENTRY_511, &entry))
			continue;
		table = entry & 0x000ffffffffff000ull;
		if (leads_to_table(entry) && !source_has(source, table, PAGE_SIZE))
			return table;
	}
	return 0;
}

enum kioku_status candidates_known(struct kioku_source *source, candidate_fn *receive, void *user)
{
	struct bytes note;

	TRY(offer_registers(source, receive, user));
	note.data = (const uint8_t *)kioku_source_vmcoreinfo(source, &note.size);
	if (note.data)
		TRY(offer_vmcoreinfo(source, note, "VMCOREINFO note", receive, user));
	return offer_trampolines(source, receive, user);
}

static enum kioku_status scan_page(struct kioku_source *source, uint64_t physical,
				   const uint8_t *page, candidate_fn *receive, void *user)
{
	/* A root's last entry points at a table: present, accessed or not, never a large page. */
	if ((load_le64(page + ENTRY_511) & 0x81) == 0x01)
		TRY(offer(source, physical, "page tables found by a scan", receive, user));
	if (memcmp(page, "OSRELEASE=", 10) == 0) {
		struct bytes text = { page, 0 };
		text.size = vmcoreinfo_length((struct bytes){ page, PAGE_SIZE });
		TRY(offer_vmcoreinfo(source, text, "VMCOREINFO found by a scan", receive, user));
	}
	return KIOKU_OK;
}

enum kioku_status candidates_scan(struct kioku_source *source, candidate_fn *receive, void *user)
{
	uint64_t end = source_end(source);
	uint64_t physical = 0;
	uint64_t size;

	while ((size = source_next_data(source, &physical, end)) > 0) {
		uint64_t stop = physical + size;
		physical = (physical + PAGE_SIZE - 1) & ~(uint64_t)(PAGE_SIZE - 1);
		while (physical + PAGE_SIZE <= stop) {
			struct bytes run;
			uint8_t copy[PAGE_SIZE];
			if (!source_map(source, physical, stop - physical, &run) ||
			    run.size < PAGE_SIZE) {
				run = (struct bytes){ copy, PAGE_SIZE };
				if (kioku_source_read(source, physical, copy, PAGE_SIZE, NULL) !=
				    KIOKU_OK)
					memset(copy, 0, sizeof(copy));
			}
			for (size_t i = 0; i + PAGE_SIZE <= run.size; i += PAGE_SIZE)
				TRY(scan_page(source, physical + i, run.data + i, receive, user));
			physical += run.size & ~(uint64_t)(PAGE_SIZE - 1);
		}
		physical = stop;
	}
	return KIOKU_OK;
}
