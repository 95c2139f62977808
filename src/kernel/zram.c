/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Swap areas that are compressed memory: drivers/block/zram, v4.18 to v7.0. */
#include <ctype.h>
#include <string.h>

#include "kernel/module_types.h"
#include "kernel/swap_area.h"
#include "kernel/zpool.h"

static const char module[] = "zram";

enum { CODEC_NAME = 128 };

struct block_device {
	uint64_t bd_disk;
};

static const struct member bdev_members[] = { MEMBER(struct block_device, bd_disk, "bd_disk") };
static const struct record bdev_record = RECORD(struct block_device, "block_device", bdev_members);

struct gendisk {
	char disk_name[32];
	uint64_t private_data;
};

static const struct member gendisk_members[] = {
	MEMBER(struct gendisk, disk_name, "disk_name"),
	MEMBER(struct gendisk, private_data, "private_data"),
};
static const struct record gendisk_record = RECORD(struct gendisk, "gendisk", gendisk_members);

struct zram {
	uint64_t table, mem_pool, disk, disksize;
	char compressor[CODEC_NAME];
	uint64_t comp_algs[4]; /* ZRAM_MAX_COMPS; since v6.2, instead of compressor */
};

static const struct member zram_members[] = {
	MEMBER(struct zram, table, "table"),
	MEMBER(struct zram, mem_pool, "mem_pool"),
	MEMBER(struct zram, disk, "disk"),
	MEMBER(struct zram, disksize, "disksize"),
	OPTIONAL(struct zram, compressor, "compressor"),
	OPTIONAL(struct zram, comp_algs, "comp_algs"),
};
static const struct record zram_record = RECORD(struct zram, "zram", zram_members);

struct zram_entry {
	uint64_t handle; /* or, of a page of one word, the word */
	uint64_t flags;
};

static const struct member entry_members[] = {
	MEMBER(struct zram_entry, handle, "handle"),
	MEMBER(struct zram_entry, flags, "flags", "attr.flags", "value"),
};
static const struct record entry_record =
	RECORD(struct zram_entry, "zram_table_entry", entry_members);

/* The bits that flags are told by differ from kernel to kernel: enum zram_pageflags. */
struct zram_bits {
	uint64_t size_bits; /* below all flags is the compressed size */
	uint64_t same, writeback, priority1, priority2;
};

static uint64_t flag(const struct kioku_types *types, const char *name)
{
	uint64_t bit;

	return types_enum_value(types, "zram_pageflags", name, &bit) && bit < 64
		       ? UINT64_C(1) << bit
		       : 0;
}

static enum kioku_status learn_bits(struct kioku_kernel *kernel, struct zram_bits *out,
				    struct kioku_error *error)
{
	const struct kioku_types *types = kernel->types;

	if (!enum_least(types, "zram_pageflags", &out->size_bits)) {
		TRY(module_types(kernel, module, &types, error));
		if (!enum_least(types, "zram_pageflags", &out->size_bits))
			return error_set(error, KIOKU_ERROR_UNSUPPORTED,
					 "zram's flags are not known");
	}
	if (out->size_bits < 12 || out->size_bits > 32)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED, "zram's flags are not known");
	out->same = flag(types, "ZRAM_SAME");
	out->writeback = flag(types, "ZRAM_WB");
	out->priority1 = flag(types, "ZRAM_COMP_PRIORITY_BIT1");
	out->priority2 = flag(types, "ZRAM_COMP_PRIORITY_BIT2");
	return KIOKU_OK;
}

/* NOT_FOUND: the area is no zram device. */
static enum kioku_status find_zram(struct kioku_kernel *kernel, const struct swap_area *area,
				   struct zram *out, struct kioku_error *error)
{
	const struct binding *binding;
	struct block_device bdev;
	struct gendisk disk;

	TRY(record_bind(kernel, &bdev_record, &binding, error));
	TRY(record_read(kernel, binding, area->bdev, &bdev, error));
	TRY(record_bind(kernel, &gendisk_record, &binding, error));
	TRY(record_read(kernel, binding, bdev.bd_disk, &disk, error));
	if (strncmp(disk.disk_name, "zram", 4) != 0 || !isdigit((unsigned char)disk.disk_name[4]))
		return error_set(error, KIOKU_ERROR_NOT_FOUND, "no zram device");
	TRY(module_record_bind(kernel, module, &zram_record, &binding, error));
	TRY(record_read(kernel, binding, disk.private_data, out, error));
	if (out->disk != bdev.bd_disk)
		return error_set(error, KIOKU_ERROR_CORRUPT, "its device is damaged");
	return KIOKU_OK;
}

static enum kioku_status codec_name(struct kioku_kernel *kernel, struct zram *zram,
				    unsigned priority, char *out, struct kioku_error *error)
{
	memset(out, 0, CODEC_NAME);
	if (zram->compressor[0]) {
		memcpy(out, zram->compressor, CODEC_NAME - 1);
		return KIOKU_OK;
	}
	/* Names are short, and may end where nothing follows. */
	for (size_t i = 0; i < 16; i++) {
		TRY(kernel_read(kernel, zram->comp_algs[priority] + i, out + i, 1, error));
		if (!out[i])
			break;
	}
	out[16] = '\0';
	return KIOKU_OK;
}

static enum kioku_status read_page(struct kioku_kernel *kernel, const struct swap_area *area,
				   uint64_t offset, void *page, struct kioku_error *error)
{
	const struct binding *binding;
	struct zram zram;
	struct zram_entry entry;
	struct zram_bits bits;
	uint8_t data[PAGE_SIZE];
	char codec[CODEC_NAME];
	const struct kioku_types *types = kernel->types;
	uint32_t type;

	TRY(find_zram(kernel, area, &zram, error));
	if (offset >= zram.disksize / PAGE_SIZE)
		return error_set(error, KIOKU_ERROR_CORRUPT, "the slot is behind its end");
	TRY(learn_bits(kernel, &bits, error));
	TRY(module_record_bind(kernel, module, &entry_record, &binding, error));
	if (kioku_types_find(types, "struct zram_table_entry", &type, NULL) != KIOKU_OK) {
		TRY(module_types(kernel, module, &types, error));
		TRY(kioku_types_find(types, "struct zram_table_entry", &type, error));
	}
	TRY(record_read(kernel, binding, zram.table + offset * kioku_type_size(types, type), &entry,
			error));
	if (entry.flags & bits.writeback)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "it was written to the device behind it");
	if (entry.flags & bits.same) {
		swap_fill(page, entry.handle);
		return KIOKU_OK;
	}
	uint64_t size = entry.flags & ((UINT64_C(1) << bits.size_bits) - 1);
	if (!entry.handle || size == 0 || size > PAGE_SIZE)
		return error_set(error, KIOKU_ERROR_CORRUPT, "it has no such page");
	TRY(zsmalloc_read(kernel, zram.mem_pool, entry.handle, data, size, error));
	if (size == PAGE_SIZE) {
		memcpy(page, data, PAGE_SIZE);
		return KIOKU_OK;
	}
	unsigned priority =
		(entry.flags & bits.priority1 ? 1 : 0) | (entry.flags & bits.priority2 ? 2 : 0);
	TRY(codec_name(kernel, &zram, priority, codec, error));
	return swap_decompress(codec, data, size, page, error);
}

enum kioku_status zram_read(struct kioku_kernel *kernel, const struct swap_area *area,
			    uint64_t offset, void *page, struct kioku_error *error)
{
	struct kioku_error inner = { 0 };

	if (!area->bdev || !kernel->types)
		return error_set(error, KIOKU_ERROR_NOT_FOUND, "no zram device");
	enum kioku_status status = read_page(kernel, area, offset, page, &inner);
	if (status == KIOKU_OK)
		return status;
	if (status == KIOKU_ERROR_NOT_FOUND || status == KIOKU_ERROR_NO_MEMORY)
		return error_set(error, status, "%s", inner.message);
	return error_set(error, KIOKU_ERROR_PAGED_OUT, "zram has it compressed in memory, but: %s",
			 inner.message);
}
