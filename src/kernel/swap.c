/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a page in swap is now, and its bytes. */
#include <string.h>

#include "kernel/module_types.h"
#include "kernel/page.h"
#include "kernel/record.h"
#include "kernel/swap_area.h"
#include "kernel/xarray.h"
#include "source/page_codec.h"

enum {
	SPACE_SHIFT = 14, /* SWAP_ADDRESS_SPACE_SHIFT: slots of one address_space */
	FOLIO_LIMIT = 512,
};

struct cached_page {
	uint64_t flags, private;
};

static const struct member page_members[] = {
	MEMBER(struct cached_page, flags, "flags", "flags.f"),
	MEMBER(struct cached_page, private, "private"), /* a swp_entry_t: folio.swap since v6.6 */
};
static const struct record page_record = RECORD(struct cached_page, "page", page_members);

const char *swap_place_name(enum swap_place place)
{
	switch (place) {
	case SWAP_PLACE_NONE: return "nowhere";
	case SWAP_PLACE_CACHE: return "swap cache";
	case SWAP_PLACE_ZERO: return "zeros";
	case SWAP_PLACE_ZSWAP: return "zswap";
	case SWAP_PLACE_ZRAM: return "zram";
	case SWAP_PLACE_FILE: return "swap file";
	}
	return "?";
}

void swap_fill(void *page, uint64_t word)
{
	for (size_t i = 0; i < PAGE_SIZE; i += sizeof(word))
		store_le64((uint8_t *)page + i, word);
}

enum kioku_status swap_decompress(const char *codec, const void *data, size_t size, void *page,
				  struct kioku_error *error)
{
	static const struct {
		const char *name;
		enum page_codec codec;
	} codecs[] = {
		{ "lzo", PAGE_LZO },   { "lzo-rle", PAGE_LZO }, { "lz4", PAGE_LZ4 },
		{ "lz4hc", PAGE_LZ4 }, { "zstd", PAGE_ZSTD },   { "deflate", PAGE_DEFLATE },
	};

	for (size_t i = 0; i < sizeof(codecs) / sizeof(*codecs); i++) {
		if (strcmp(codec, codecs[i].name) != 0)
			continue;
		const char *problem = page_decompress(codecs[i].codec, (struct bytes){ data, size },
						      page, PAGE_SIZE);
		return problem ? error_set(error, KIOKU_ERROR_PAGED_OUT, "%s (%s)", problem, codec)
			       : KIOKU_OK;
	}
	return error_set(error, KIOKU_ERROR_PAGED_OUT, "kioku cannot unpack \"%.32s\"", codec);
}

/* --- the swap cache */

/* The pages of an area that are in memory, too: an xarray for each 2^14 slots, until v6.17. */
static enum kioku_status find_cached(struct kioku_kernel *kernel, struct swap_slot slot,
				     uint64_t *page)
{
	uint64_t spaces = kernel_symbol(kernel, "swapper_spaces"), space;
	struct kioku_member pages;
	struct xarray_entry entry;
	uint32_t type;

	if (!spaces ||
	    address_read_u64(&kernel->space, spaces + 8ull * slot.type, &space, NULL) != KIOKU_OK ||
	    !kernel_is_pointer(kernel, space) ||
	    kioku_types_find(kernel->types, "struct address_space", &type, NULL) != KIOKU_OK ||
	    kioku_type_member(kernel->types, type, "i_pages", &pages, NULL) != KIOKU_OK)
		return KIOKU_ERROR_NOT_FOUND;
	uint64_t xarray = space +
			  (slot.offset >> SPACE_SHIFT) * kioku_type_size(kernel->types, type) +
			  pages.bit_offset / 8;
	/* Counted from the area's start, or, since v6.11, from that of its address_space. */
	const uint64_t indexes[] = { slot.offset, slot.offset & ((1 << SPACE_SHIFT) - 1) };
	for (size_t i = 0; i < 2; i++) {
		if (xarray_find(kernel, xarray, indexes[i], &entry, NULL) == KIOKU_OK &&
		    !entry.is_value) {
			*page = entry.value;
			return KIOKU_OK;
		}
	}
	return KIOKU_ERROR_NOT_FOUND;
}

/*
 * The frame of a page in the cache, which must say itself that it is this slot's: the first page of a folio
 * has the slot of the first, and pages that are just being read in are not what was swapped out.
 */
static bool check_cached(struct kioku_kernel *kernel, struct swap_slot slot, uint64_t page,
			 uint64_t *physical)
{
	const struct binding *binding;
	struct cached_page head;
	uint64_t uptodate;

	if (record_bind(kernel, &page_record, &binding, NULL) != KIOKU_OK ||
	    record_read(kernel, binding, page, &head, NULL) != KIOKU_OK ||
	    !types_enum_value(kernel->types, "pageflags", "PG_uptodate", &uptodate) ||
	    uptodate > 63 || !(head.flags >> uptodate & 1) ||
	    page_physical(kernel, page, physical, NULL) != KIOKU_OK)
		return false;
	uint64_t distance = swap_slot_value(slot) - head.private;
	*physical += distance * PAGE_SIZE;
	return distance < FOLIO_LIMIT;
}

/* Of a frame that the kernel's own table names: that of any page of a folio, of which only the first has a slot. */
static bool check_frame(struct kioku_kernel *kernel, struct swap_slot slot, uint64_t frame,
			uint64_t *physical)
{
	uint64_t page;

	for (uint64_t size = 1; size <= FOLIO_LIMIT; size *= 2) {
		uint64_t head = frame & ~(size * PAGE_SIZE - 1);
		if (page_of_physical(kernel, head, &page, NULL) == KIOKU_OK &&
		    check_cached(kernel, slot, page, physical) &&
		    *physical - head < size * PAGE_SIZE)
			return true;
	}
	return false;
}

static bool read_cached(struct kioku_kernel *kernel, struct swap_slot slot,
			const struct swap_state *state, void *page)
{
	uint64_t physical, found = state->page;
	bool is_there;

	if (state->physical)
		is_there = check_frame(kernel, slot, state->physical, &physical);
	else
		is_there = (found || find_cached(kernel, slot, &found) == KIOKU_OK) &&
			   check_cached(kernel, slot, found, &physical);
	return is_there &&
	       kioku_source_read(kernel->source, physical, page, PAGE_SIZE, NULL) == KIOKU_OK;
}

/* --- all places, in order: what comes first is newer */

static enum kioku_status read_slot(struct kioku_kernel *kernel, struct swap_area *area,
				   struct swap_slot slot, void *page, struct swap_origin *origin,
				   struct kioku_error *error)
{
	struct swap_state state;

	TRY(swap_area_state(kernel, area, slot, &state, error));
	origin->place = SWAP_PLACE_CACHE;
	if (read_cached(kernel, slot, &state, page))
		return KIOKU_OK;
	origin->place = SWAP_PLACE_ZERO;
	if (state.is_zero) {
		memset(page, 0, PAGE_SIZE);
		return KIOKU_OK;
	}
	origin->place = SWAP_PLACE_ZSWAP;
	enum kioku_status status = zswap_read(kernel, slot, page, error);
	if (status != KIOKU_ERROR_NOT_FOUND)
		return status;
	origin->place = SWAP_PLACE_ZRAM;
	status = zram_read(kernel, area, slot.offset, page, error);
	if (status != KIOKU_ERROR_NOT_FOUND)
		return status;
	*origin = (struct swap_origin){ SWAP_PLACE_FILE, true };
	return swap_file_read(area, slot.offset, page, error);
}

enum kioku_status swap_read(struct kioku_kernel *kernel, struct swap_slot slot, void *page,
			    struct swap_origin *origin, struct kioku_error *error)
{
	struct swap_origin found = { 0 };
	struct swap *swap;

	if (origin)
		*origin = found;
	TRY(swap_know(kernel, &swap, error));
	struct swap_area *area = swap_area_of(swap, slot);
	if (!area)
		return error_set(error, KIOKU_ERROR_PAGED_OUT,
				 "it is in swap, page %llu of area %u, which this kernel does not "
				 "have",
				 (unsigned long long)slot.offset, slot.type);
	enum kioku_status status = read_slot(kernel, area, slot, page, &found, error);
	if (status != KIOKU_OK)
		return status;
	if (origin)
		*origin = found;
	swap->stale_reads += found.may_be_stale;
	return KIOKU_OK;
}

uint64_t kioku_kernel_swap_reads(const struct kioku_kernel *kernel)
{
	return kernel->swap ? kernel->swap->stale_reads : 0;
}
