/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "kernel/module_types.h"
#include "kernel/page.h"
#include "kernel/record.h"
#include "kernel/swap_area.h"
#include "kernel/xarray.h"

/* SWP_USED, and SWP_WRITEOK: swapon(2) has finished, swapoff(2) has not begun (include/linux/swap.h). */
static const uint64_t used_flags = 3;

enum {
	CLUSTER_OF_HUGE = 512, /* SWAPFILE_CLUSTER, with CONFIG_THP_SWAP: pages of a huge one */
	CLUSTER = 256,
	/* Bytes of swap_map: include/linux/swap.h, v4.18 to v6.19. */
	MAP_BAD = 0x3f,
	MAP_HAS_CACHE = 0x40,
};

struct area {
	uint64_t flags;
	int32_t type;
	uint32_t max, pages;
	uint64_t swap_map, cluster_info, zeromap, bdev, swap_file;
};

static const struct member area_members[] = {
	MEMBER(struct area, flags, "flags"),
	MEMBER(struct area, type, "type"),
	MEMBER(struct area, max, "max"),
	MEMBER(struct area, pages, "pages"),
	OPTIONAL(struct area, swap_map, "swap_map"), /* until v6.19 */
	OPTIONAL(struct area, cluster_info, "cluster_info"),
	OPTIONAL(struct area, zeromap, "zeromap"), /* since v6.12 */
	MEMBER(struct area, bdev, "bdev"),
	MEMBER(struct area, swap_file, "swap_file"),
};
static const struct record area_record = RECORD(struct area, "swap_info_struct", area_members);

struct swap_file {
	uint64_t dentry, mapping;
};

static const struct member file_members[] = {
	MEMBER(struct swap_file, dentry, "f_path.dentry"),
	MEMBER(struct swap_file, mapping, "f_mapping"),
};
static const struct record file_record = RECORD(struct swap_file, "file", file_members);

struct name {
	uint64_t name;
};

static const struct member name_members[] = { MEMBER(struct name, name, "d_name.name") };
static const struct record name_record = RECORD(struct name, "dentry", name_members);

/* --- what an area is called, and its header, if that is still cached */

static void read_name(struct kioku_kernel *kernel, const struct swap_file *file, char *out,
		      size_t size)
{
	const struct binding *binding;
	struct name name;

	if (record_bind(kernel, &name_record, &binding, NULL) != KIOKU_OK ||
	    record_read(kernel, binding, file->dentry, &name, NULL) != KIOKU_OK)
		return;
	for (size_t i = 0; i + 1 < size; i++)
		if (kernel_read(kernel, name.name + i, out + i, 1, NULL) != KIOKU_OK || !out[i])
			return;
}

static void read_uuid(struct kioku_kernel *kernel, const struct swap_file *file,
		      struct swap_area *area)
{
	struct kioku_member pages;
	struct xarray_entry entry;
	uint64_t physical;
	uint32_t type;
	uint8_t page[SWAP_PAGE_SIZE];
	struct swap_header header;

	if (kioku_types_find(kernel->types, "struct address_space", &type, NULL) != KIOKU_OK ||
	    kioku_type_member(kernel->types, type, "i_pages", &pages, NULL) != KIOKU_OK ||
	    xarray_find(kernel, file->mapping + pages.bit_offset / 8, 0, &entry, NULL) !=
		    KIOKU_OK ||
	    entry.is_value || page_physical(kernel, entry.value, &physical, NULL) != KIOKU_OK ||
	    kioku_source_read(kernel->source, physical, page, sizeof(page), NULL) != KIOKU_OK)
		return;
	area->has_uuid = swap_header_decode((struct bytes){ page, sizeof(page) }, &header) ==
			 SWAP_HEADER_AREA;
	if (area->has_uuid)
		memcpy(area->uuid, header.uuid, sizeof(area->uuid));
}

static bool is_sane(const struct kioku_kernel *kernel, const struct area *area, uint32_t type)
{
	return (area->flags & used_flags) == used_flags && area->type == (int32_t)type &&
	       area->max > 1 && area->pages < area->max &&
	       (area->swap_map ? kernel_is_pointer(kernel, area->swap_map)
			       : kernel_is_pointer(kernel, area->cluster_info));
}

static void read_area(struct kioku_kernel *kernel, uint64_t address, struct swap_area *out)
{
	const struct binding *binding;
	struct swap_file file;
	struct area area;

	if (!kernel_is_pointer(kernel, address) ||
	    record_bind(kernel, &area_record, &binding, NULL) != KIOKU_OK ||
	    record_read(kernel, binding, address, &area, NULL) != KIOKU_OK ||
	    !is_sane(kernel, &area, out->type))
		return;
	out->is_used = true;
	out->address = address;
	out->max = area.max;
	out->pages = area.pages;
	out->swap_map = area.swap_map;
	out->cluster_info = area.cluster_info;
	out->zeromap = area.zeromap;
	out->bdev = area.bdev;
	out->swap_file = area.swap_file;
	if (record_bind(kernel, &file_record, &binding, NULL) != KIOKU_OK ||
	    record_read(kernel, binding, area.swap_file, &file, NULL) != KIOKU_OK)
		return;
	read_name(kernel, &file, out->name, sizeof(out->name));
	read_uuid(kernel, &file, out);
}

enum kioku_status swap_know(struct kioku_kernel *kernel, struct swap **out,
			    struct kioku_error *error)
{
	uint64_t count_address = kernel_symbol(kernel, "nr_swapfiles");
	uint64_t array = kernel_symbol(kernel, "swap_info"), address;
	uint8_t raw[4];

	*out = kernel->swap;
	if (*out)
		return KIOKU_OK;
	struct swap *swap = calloc(1, sizeof(*swap));
	if (!swap)
		return error_no_memory(error);
	kernel->swap = *out = swap;
	if (!count_address || !array || !kernel->types ||
	    kernel_read(kernel, count_address, raw, sizeof(raw), NULL) != KIOKU_OK)
		return KIOKU_OK;
	swap->areas_known = true;
	swap->area_count = load_le32(raw);
	if (swap->area_count > SWAP_AREA_LIMIT)
		swap->area_count = SWAP_AREA_LIMIT;
	for (uint32_t i = 0; i < swap->area_count; i++) {
		swap->areas[i].type = i;
		if (address_read_u64(&kernel->space, array + 8ull * i, &address, NULL) == KIOKU_OK)
			read_area(kernel, address, &swap->areas[i]);
	}
	return KIOKU_OK;
}

struct swap_area *swap_area_of(struct swap *swap, struct swap_slot slot)
{
	if (slot.type >= swap->area_count)
		return NULL;
	struct swap_area *area = &swap->areas[slot.type];
	/* Slot 0 is the header. */
	return area->is_used && slot.offset > 0 && slot.offset < area->max ? area : NULL;
}

/* --- a slot's state */

static enum kioku_status unusable(struct kioku_error *error, struct swap_slot slot, const char *why)
{
	return error_set(error, KIOKU_ERROR_PAGED_OUT,
			 "it is in swap, page %llu of area %u, but this slot %s",
			 (unsigned long long)slot.offset, slot.type, why);
}

/* A table of what is in each slot of a cluster: since v6.18. NOT_FOUND: there are none. */
static enum kioku_status table_entry(struct kioku_kernel *kernel, const struct swap_area *area,
				     uint64_t offset, uint64_t *out, struct kioku_error *error)
{
	struct kioku_member table, orders;
	uint32_t type, info;
	uint64_t pointer;

	if (kioku_types_find(kernel->types, "struct swap_cluster_info", &type, NULL) != KIOKU_OK ||
	    kioku_type_member(kernel->types, type, "table", &table, NULL) != KIOKU_OK)
		return error_set(error, KIOKU_ERROR_NOT_FOUND, "no tables");
	/* Lists for each order of folios, which are more than one if huge ones are swapped. */
	bool is_huge = kioku_types_find(kernel->types, "struct swap_info_struct", &info, NULL) !=
			       KIOKU_OK ||
		       kioku_type_member(kernel->types, info, "nonfull_clusters", &orders, NULL) !=
			       KIOKU_OK ||
		       kioku_type_size(kernel->types, orders.type) > 16;
	uint64_t cluster = is_huge ? CLUSTER_OF_HUGE : CLUSTER;
	TRY(address_read_u64(&kernel->space,
			     area->cluster_info +
				     offset / cluster * kioku_type_size(kernel->types, type) +
				     table.bit_offset / 8,
			     &pointer, error));
	*out = 0; /* a cluster without a table is empty */
	return pointer ? address_read_u64(&kernel->space, pointer + 8 * (offset % cluster), out,
					  error)
		       : KIOKU_OK;
}

/*
 * mm/swap_table.h: 0 is free; a page has its frame (v6.19) or folio (v6.18) here, and what is only swapped out
 * a shadow. Counts, and whether it is all zeros (v7.0), are in the bits above the frame.
 */
static enum kioku_status decode_entry(const struct kioku_kernel *kernel, uint64_t entry,
				      struct swap_slot slot, struct swap_state *out,
				      struct kioku_error *error)
{
	const uint64_t frame_bits = 40, zero = UINT64_C(1) << 59;

	if (entry == 0)
		return unusable(error, slot, "is free");
	out->is_used = true;
	if ((entry & 7) == 0 && kernel_is_pointer(kernel, entry))
		out->page = entry;
	else if ((entry & 3) == 2)
		out->physical = (entry >> 2 & ((UINT64_C(1) << frame_bits) - 1)) * PAGE_SIZE;
	else if (!(entry & 1))
		return unusable(error, slot, "is a bad one");
	out->is_zero = (entry & 3) && !out->page && (entry & zero);
	return KIOKU_OK;
}

static enum kioku_status read_map(struct kioku_kernel *kernel, const struct swap_area *area,
				  struct swap_slot slot, struct swap_state *out,
				  struct kioku_error *error)
{
	uint8_t count;

	if (kernel_read(kernel, area->swap_map + slot.offset, &count, 1, NULL) != KIOKU_OK)
		return unusable(error, slot, "has no count: the area's map is not in the image");
	if (count == 0)
		return unusable(error, slot, "is free");
	if ((count & ~MAP_HAS_CACHE) == MAP_BAD)
		return unusable(error, slot, "is a bad one");
	out->is_used = true;
	return KIOKU_OK;
}

enum kioku_status swap_area_state(struct kioku_kernel *kernel, const struct swap_area *area,
				  struct swap_slot slot, struct swap_state *out,
				  struct kioku_error *error)
{
	uint64_t entry, word;

	*out = (struct swap_state){ 0 };
	if (area->swap_map)
		TRY(read_map(kernel, area, slot, out, error));
	enum kioku_status status = table_entry(kernel, area, slot.offset, &entry, NULL);
	if (status != KIOKU_OK && status != KIOKU_ERROR_NOT_FOUND && !out->is_used)
		return unusable(error, slot, "has no entry: the area's table is not in the image");
	if (status == KIOKU_OK && (entry || !area->swap_map))
		TRY(decode_entry(kernel, entry, slot, out, error));
	if (area->swap_map)
		out->is_zero = false;
	if (area->zeromap) {
		if (address_read_u64(&kernel->space, area->zeromap + slot.offset / 64 * 8, &word,
				     NULL) != KIOKU_OK)
			return unusable(error, slot, "may be of zeros, which cannot be told");
		out->is_zero = word >> slot.offset % 64 & 1;
	}
	return KIOKU_OK;
}
