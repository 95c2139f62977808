/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Translating and reading single addresses. */
#include <string.h>

#include "address/address.h"
#include "base/error.h"
#include "source/source.h"

void address_space_init(struct kioku_address_space *space, struct kioku_source *source,
			const struct paging *paging, uint64_t root)
{
	*space = (struct kioku_address_space){ .source = source, .paging = paging, .root = root };
}

enum kioku_status address_space_open(const struct kioku_address_space *like, uint64_t root,
				     struct kioku_address_space **out, struct kioku_error *error)
{
	struct kioku_address_space *space = malloc(sizeof(*space));

	if (!space)
		return error_no_memory(error);
	address_space_init(space, like->source, like->paging, root);
	space->ignored_bits = like->ignored_bits;
	*out = space;
	return KIOKU_OK;
}

void kioku_address_space_close(struct kioku_address_space *space)
{
	if (space && space->absent)
		space->absent->release(space->absent);
	free(space);
}

const char *kioku_address_space_paging(const struct kioku_address_space *space)
{
	return space->paging->name;
}

bool address_is_canonical(const struct paging *paging, uint64_t virtual)
{
	int64_t upper = (int64_t) virtual >> (paging->virtual_bits - 1);

	return upper == 0 || upper == -1;
}

enum kioku_status kioku_translate(struct kioku_address_space *space, uint64_t virtual,
				  struct kioku_translation *out, struct kioku_error *error)
{
	const struct paging *paging = space->paging;
	uint64_t table = space->root;

	*out = (struct kioku_translation){ .permissions = ~0u };
	if (!address_is_canonical(paging, virtual))
		return error_at(error, KIOKU_ERROR_UNMAPPED, virtual,
				"0x%016llx is not a canonical address",
				(unsigned long long)virtual);

	for (unsigned i = 0; i < paging->level_count; i++) {
		const struct paging_level *level = &paging->levels[i];
		struct kioku_translation_step *step = &out->steps[out->step_count];
		struct paging_entry entry;

		step->level = level->name;
		step->index = (uint32_t)(virtual >> level->shift & 511);
		step->entry_physical = table + 8ull * step->index;
		uint8_t raw[8];
		if (kioku_source_lacks_ranges(space->source))
			source_admit(space->source, table, PAGE_SIZE);
		enum kioku_status status = kioku_source_read(space->source, step->entry_physical,
							     raw, sizeof(raw), error);
		if (status != KIOKU_OK) {
			error_prefix(error, "cannot read the %s of 0x%016llx", level->name,
				     (unsigned long long)virtual);
			return status;
		}
		step->entry = load_le64(raw);
		out->step_count++;

		paging->decode(space, level, step->entry, &entry);
		if (!entry.present)
			return error_at(error, KIOKU_ERROR_UNMAPPED, virtual,
					"0x%016llx is not mapped: its %s is not present",
					(unsigned long long)virtual, level->name);
		/* A user mapping needs the user bit on every level; so do write and execute. */
		out->permissions &= entry.permissions;
		if (entry.leaf) {
			out->page_size = 1ull << level->shift;
			out->physical = entry.physical + (virtual & (out->page_size - 1));
			return KIOKU_OK;
		}
		table = entry.physical;
	}
	return error_at(error, KIOKU_ERROR_CORRUPT, virtual, "the page tables have no last level");
}

enum kioku_status address_space_locate(struct kioku_address_space *space, uint64_t virtual,
				       uint64_t *physical, uint64_t *contiguous,
				       struct kioku_error *error)
{
	if (virtual - space->linear_start < space->linear_size) {
		*physical = virtual - space->linear_start;
		*contiguous = space->linear_size - *physical;
		return KIOKU_OK;
	}

	uint64_t page = virtual & ~(uint64_t)(PAGE_SIZE - 1);
	size_t slot = (page / PAGE_SIZE) % TRANSLATION_CACHE_SIZE;

	if (space->cache[slot].page != (page | 1)) {
		struct kioku_translation translation;
		TRY(kioku_translate(space, page, &translation, error));
		space->cache[slot].page = page | 1;
		space->cache[slot].physical = translation.physical;
		space->cache[slot].contiguous =
			translation.page_size - (page & (translation.page_size - 1));
	}
	*physical = space->cache[slot].physical + (virtual - page);
	*contiguous = space->cache[slot].contiguous - (virtual - page);
	return KIOKU_OK;
}

/* Asks who knows of pages that no entry maps; *size: how much of what is wanted is in that page. */
static enum kioku_status read_absent(struct kioku_address_space *space, uint64_t virtual,
				     uint8_t *out, size_t *size, struct kioku_error *error)
{
	struct absent_pages *absent = space->absent;
	struct kioku_translation translation;
	uint64_t offset = virtual % PAGE_SIZE, page = virtual - offset;
	uint8_t content[PAGE_SIZE];

	/* Where it ends, once more: this is the slow way in any case. */
	enum kioku_status status = kioku_translate(space, virtual, &translation, error);
	if (status != KIOKU_ERROR_UNMAPPED || translation.step_count == 0)
		return status;
	unsigned last = translation.step_count - 1;
	uint64_t covered = 1ull << space->paging->levels[last].shift;
	TRY(absent->read(absent, page, virtual & ~(covered - 1), covered,
			 translation.steps[last].entry, content, error));
	if (*size > PAGE_SIZE - offset)
		*size = PAGE_SIZE - offset;
	memcpy(out, content + offset, *size);
	return KIOKU_OK;
}

static enum kioku_status read_present(struct kioku_address_space *space, uint64_t virtual,
				      uint8_t *out, size_t *size, struct kioku_error *error)
{
	uint64_t physical, contiguous;

	TRY(address_space_locate(space, virtual, &physical, &contiguous, error));
	*size = contiguous < *size ? contiguous : *size;
	return kioku_source_read(space->source, physical, out, *size, error);
}

enum kioku_status kioku_address_space_read(struct kioku_address_space *space, uint64_t virtual,
					   void *buffer, size_t size, struct kioku_error *error)
{
	uint8_t *out = buffer;

	while (size > 0) {
		size_t part = size;
		enum kioku_status status = read_present(space, virtual, out, &part, error);
		if (status == KIOKU_ERROR_UNMAPPED && space->absent)
			status = read_absent(space, virtual, out, &part, error);
		if (status != KIOKU_OK) {
			if (status != KIOKU_ERROR_UNMAPPED)
				error_prefix(error, "cannot read 0x%016llx",
					     (unsigned long long)virtual);
			if (error)
				error->address = virtual;
			return status;
		}
		virtual += part;
		out += part;
		size -= part;
	}
	return KIOKU_OK;
}

void kioku_address_space_read_many(struct kioku_address_space *space, struct kioku_read *reads,
				   size_t count)
{
	for (size_t i = 0; i < count; i++)
		reads[i].status = kioku_address_space_read(space, reads[i].address, reads[i].buffer,
							   reads[i].size, NULL);
}

enum kioku_status address_read_u64(struct kioku_address_space *space, uint64_t virtual,
				   uint64_t *out, struct kioku_error *error)
{
	uint8_t raw[8];

	TRY(kioku_address_space_read(space, virtual, raw, sizeof(raw), error));
	*out = load_le64(raw);
	return KIOKU_OK;
}
