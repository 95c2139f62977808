/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Enumerating everything that a set of page tables maps. */
#include "address/address.h"
#include "base/address_set.h"
#include "base/error.h"
#include "source/source.h"

/*
 * Tables that serve in several places are rare, but for KASAN's shadow of nothing. Hostile ones that
 * point at each other would describe 2^36 pages and more.
 */
#define REPEAT_LIMIT (1u << 16)

struct walk {
	struct kioku_address_space *space;
	struct address_walk *asked;
	struct address_set tables; /* physical address and depth of those walked so far */
	uint32_t repeats;
};

static void walk_release(struct walk *walk)
{
	address_set_release(&walk->tables);
}

static enum kioku_status walk_table(struct walk *walk, unsigned depth, uint64_t table,
				    uint64_t base, uint32_t permissions);

static enum kioku_status walk_entry(struct walk *walk, unsigned depth, uint64_t value,
				    uint64_t virtual, uint32_t permissions)
{
	const struct paging *paging = walk->space->paging;
	const struct paging_level *level = &paging->levels[depth];
	const struct address_walk *asked = walk->asked;
	struct paging_entry entry;

	paging->decode(walk->space, level, value, &entry);
	if (!entry.present)
		return asked->absent
			       ? asked->absent(asked->user, virtual, 1ull << level->shift, value)
			       : KIOKU_OK;
	if (!entry.leaf)
		return depth + 1 < paging->level_count
			       ? walk_table(walk, depth + 1, entry.physical, virtual,
					    permissions & entry.permissions)
			       : KIOKU_OK;
	struct mapping mapping = {
		.virtual = virtual,
		.physical = entry.physical,
		.size = 1ull << level->shift,
		.page_size = 1ull << level->shift,
		.permissions = permissions & entry.permissions,
	};
	return asked->receive(asked->user, &mapping);
}

static enum kioku_status walk_table(struct walk *walk, unsigned depth, uint64_t table,
				    uint64_t base, uint32_t permissions)
{
	const struct paging *paging = walk->space->paging;
	const struct paging_level *level = &paging->levels[depth];
	uint8_t raw[PAGE_SIZE];

	switch (address_set_add(&walk->tables, table | (depth + 1))) {
	case ADDRESS_ADDED: break;
	case ADDRESS_NO_MEMORY: return KIOKU_ERROR_NO_MEMORY;
	case ADDRESS_KNOWN:
		if (++walk->repeats <= REPEAT_LIMIT)
			break;
		walk->asked->losses.repeated++;
		return KIOKU_OK;
	}
	if (kioku_source_lacks_ranges(walk->space->source))
		source_admit(walk->space->source, table, PAGE_SIZE);
	if (kioku_source_read(walk->space->source, table, raw, sizeof(raw), NULL) != KIOKU_OK) {
		if (walk->asked->losses.tables++ == 0)
			walk->asked->losses.first = base;
		return KIOKU_OK;
	}
	if (walk->asked->table)
		TRY(walk->asked->table(walk->asked->user, table, base));

	for (unsigned index = 0; index < 512; index++) {
		uint64_t value = load_le64(raw + 8 * index);
		if (value == 0)
			continue;
		uint64_t virtual = base + ((uint64_t)index << level->shift);
		/* Sign extension: the upper half of the root is the top of the address space. */
		if (depth == 0 && index >= 256)
			virtual |= ~0ull << paging->virtual_bits;
		if (virtual > walk->asked->last ||
		    virtual + ((1ull << level->shift) - 1) < walk->asked->first)
			continue;
		TRY(walk_entry(walk, depth, value, virtual, permissions));
	}
	return KIOKU_OK;
}

enum kioku_status address_space_walk(struct kioku_address_space *space, struct address_walk *asked)
{
	CLEANUP(walk_release) struct walk walk = { .space = space, .asked = asked };

	asked->losses = (struct walk_losses){ 0 };

	return walk_table(&walk, 0, space->root, 0, ~0u);
}
