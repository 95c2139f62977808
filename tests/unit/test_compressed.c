/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pages that are compressed in memory: zsmalloc, zbud and z3fold as mm/zsmalloc.c, zbud.c and z3fold.c lay them out,
 * in zswap and zram of several kernels; damaged and hostile ones are refused with a reason.
 */
#include "kernel/zpool.h"
#include "test_lzo.h"
#include "test_swap.h"

#define HANDLE  (MADE_BASE + 0x180008) /* where zsmalloc keeps what a handle stands for */
#define POOL    (MADE_BASE + 0x181000) /* struct zs_pool */
#define ZSPAGE  (MADE_BASE + 0x182000)
#define CLASS   (MADE_BASE + 0x183000)
#define ZPOOL   (MADE_BASE + 0x184000)
#define DRIVER  (MADE_BASE + 0x185000)
#define TYPE    (MADE_BASE + 0x186000)
#define TREES   (MADE_BASE + 0x187000)
#define ENTRIES (MADE_BASE + 0x188000)
#define ZRAM    (MADE_BASE + 0x18a000)
#define DISK    (MADE_BASE + 0x18b000)
#define BDEV    (MADE_BASE + 0x18c000)
#define OBJECTS 0x200u /* frame of the first page of a zspage */
#define OTHERS  0x280u /* and of its second one: they need not lie in a row */

enum { CLASS_INDEX = 40, CLASS_SIZE = 1360 }; /* the fourth object is in both pages */

static const char zsmalloc_layout[] =
	"struct page 64 flags u64@0 compound_head u64@8 mapping u64@24 index u64@32 private "
	"u64@40\n"
	"struct zspage 56 huge u32:1@0 fullness u32:2@1 class u32:9@3 isolated u32:3@12 magic "
	"u32:8@15 inuse u32@4 pool u64@48\n"
	"struct zs_pool 2200 size_class u64[255]@8\n"
	"struct size_class 32 size s32@8 index u32@16\n";

static const char zpool_layout[] = "struct zpool 16 driver u64@0 pool u64@8\n"
				   "struct zpool_driver 16 type u64@0\n"
				   "struct z3fold_header 72 page u64@16 slots u64@48 "
				   "start_middle u16@60 first_num u16:2@496\n";

/* v6.1: a tree of nodes for each area. */
static const char zswap_layout[] =
	"struct rb_node 24 __rb_parent_color u64@0 rb_right u64@8 rb_left u64@16\n"
	"struct rb_root 8 rb_node u64@0\n"
	"struct zswap_tree 16 rbroot rb_root@0\n"
	"struct zswap_entry 72 rbnode rb_node@0 offset u64@24 length u32@36 pool u64@40 handle "
	"u64@48 value u64@48\n"
	"struct zswap_pool 256 zpool u64@0 tfm_name char[128]@64\n";

/* v6.12 on: xarrays of 2^14 slots. */
static const char zswap_xarray_layout[] =
	"struct xarray 16 xa_head u64@8\n"
	"struct xa_node 576 shift u8@0 offset u8@1 parent u64@8 slots u64[64]@40\n"
	"struct swp_entry 8 val u64@0\n"
	"struct zswap_entry 40 swpentry swp_entry@0 length u32@8 pool u64@16 handle u64@24\n"
	"struct zswap_pool 256 zs_pool u64@0 tfm_name char[128]@64\n";

static const char zram_layout[] =
	"struct block_device 64 bd_disk u64@16\n"
	"struct gendisk 128 disk_name char[32]@12 private_data u64@64\n"
	"struct zram 256 table u64@0 mem_pool u64@8 disk u64@24 disksize u64@40 compressor "
	"char[128]@64\n"
	"struct zram_table_entry 16 handle u64@0 flags u64@8\n"
	"enum zram_pageflags ZRAM_LOCK=13 ZRAM_SAME=14 ZRAM_WB=15 ZRAM_HUGE=17\n";

static const char zram_new_layout[] =
	"struct block_device 64 bd_disk u64@16\n"
	"struct gendisk 128 disk_name char[32]@12 private_data u64@64\n"
	"struct zram 256 table u64@0 mem_pool u64@8 disk u64@24 disksize u64@40 comp_algs "
	"u64[4]@64\n"
	"struct zram_table_entry 16 handle u64@0 flags u64@8\n"
	"enum zram_pageflags ZRAM_LOCK=13 ZRAM_SAME=14 ZRAM_WB=15 ZRAM_COMP_PRIORITY_BIT1=20 "
	"ZRAM_COMP_PRIORITY_BIT2=21\n";

static void open_with(struct made *made, const char *first, const char *second, const char *third)
{
	char layout[4096];

	snprintf(layout, sizeof(layout), "%s%s%s%s", swap_layout, first, second, third);
	swap_open(made, layout);
	made_pages(made);
	swap_area(made, 0, 100000);
	memset(made_memory(made, swap_map_at(0)), 1, 0x10000);
}

/* --- zsmalloc */

/* How a kernel packs a place into a word: bits below the frame, and below the index of the object. */
struct packing {
	unsigned index_bits, tag_bits;
};

static const struct packing packings[] = {
	{ 24, 1 }, /* MAX_POSSIBLE_PHYSMEM_BITS 52, before v6.9 */
	{ 24, 2 }, /* v6.3 */
	{ 24, 0 }, /* v6.9 on */
	{ 30, 1 }, { 30, 0 },
};

static uint64_t page_of(uint64_t frame)
{
	return MADE_VMEMMAP + 64 * frame;
}

/* An object of a class, which begins in the first of two pages and may end in the other. */
static void put_object(struct made *made, struct packing packing, unsigned number, const void *data,
		       size_t size)
{
	uint64_t start = number * CLASS_SIZE % PAGE_SIZE;
	uint8_t object[CLASS_SIZE] = { 0 };

	store_le64(object, HANDLE | 1);
	memcpy(object + 8, data, size);
	for (unsigned i = 0; i < CLASS_SIZE; i++, start++)
		*made_memory(made, MADE_BASE + (start < PAGE_SIZE ? OBJECTS : OTHERS) * PAGE_SIZE +
					   start % PAGE_SIZE) = object[i];
	made_put(made, HANDLE, 8,
		 (uint64_t)OBJECTS << packing.index_bits | number << packing.tag_bits);
	made_set_element(made, POOL, "zs_pool", "size_class", CLASS_INDEX, CLASS);
	made_set(made, CLASS, "size_class", "size", CLASS_SIZE);
	made_set(made, CLASS, "size_class", "index", CLASS_INDEX + 2);
	made_set(made, ZSPAGE, "zspage", "class", CLASS_INDEX);
	made_set(made, ZSPAGE, "zspage", "magic", 0x58);
	made_set(made, ZSPAGE, "zspage", "pool", POOL);
	made_set(made, page_of(OBJECTS), "page", "private", ZSPAGE);
	made_set(made, page_of(OBJECTS), "page", "index", page_of(OTHERS));
}

/* No byte of it is 0. */
static void fill(uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		data[i] = (uint8_t)(1 + i % 251);
}

static void reads_objects(void)
{
	uint8_t data[CLASS_SIZE - 8], out[PAGE_SIZE];

	fill(data, sizeof(data));
	for (size_t i = 0; i < sizeof(packings) / sizeof(*packings); i++) {
		for (unsigned number = 0; number < 4; number++) {
			struct made made;
			open_with(&made, zsmalloc_layout, "", "");
			put_object(&made, packings[i], number, data, sizeof(data));
			memset(out, 0, sizeof(out));
			CHECK_EQUAL(zsmalloc_read(&made.kernel, POOL, HANDLE, out, sizeof(data),
						  NULL),
				    KIOKU_OK);
			CHECK(memcmp(out, data, sizeof(data)) == 0 && !out[sizeof(data)]);
			CHECK_EQUAL(zsmalloc_read(&made.kernel, POOL, HANDLE, out, 1, NULL),
				    KIOKU_OK);
			CHECK_EQUAL(zsmalloc_read(&made.kernel, POOL, HANDLE, out, sizeof(data) + 1,
						  NULL),
				    KIOKU_ERROR_CORRUPT);
			made_close(&made);
		}
	}
}

/* A page for itself, whose handle is where others have the next page. */
static void reads_huge_objects(void)
{
	struct made made;
	uint8_t out[PAGE_SIZE];

	open_with(&made, zsmalloc_layout, "", "");
	put_object(&made, packings[0], 0, "", 1);
	fill(made_memory(&made, MADE_BASE + OBJECTS * PAGE_SIZE), PAGE_SIZE);
	made_set(&made, page_of(OBJECTS), "page", "index", HANDLE);
	made_set(&made, CLASS, "size_class", "size", PAGE_SIZE);
	CHECK_EQUAL(zsmalloc_read(&made.kernel, POOL, HANDLE, out, PAGE_SIZE, NULL), KIOKU_OK);
	CHECK(out[0] == 1 && out[PAGE_SIZE - 1] == 1 + 4095 % 251);
	made_set(&made, CLASS, "size_class", "size", 3264); /* since v5.17 a bit says so */
	CHECK_EQUAL(zsmalloc_read(&made.kernel, POOL, HANDLE, out, 3264, NULL),
		    KIOKU_ERROR_CORRUPT);
	made_set(&made, ZSPAGE, "zspage", "huge", 1);
	CHECK_EQUAL(zsmalloc_read(&made.kernel, POOL, HANDLE, out, 3264, NULL), KIOKU_OK);
	made_set(&made, page_of(OBJECTS), "page", "index", HANDLE + 8);
	CHECK_EQUAL(zsmalloc_read(&made.kernel, POOL, HANDLE, out, 3264, NULL),
		    KIOKU_ERROR_CORRUPT);
	made_close(&made);
}

/* Handle, object, zspage, class and pool must agree. */
static void refuses_objects_that_disagree(void)
{
	static const struct {
		uint64_t at;
		const char *type, *member;
		uint64_t value;
	} wounds[] = {
		{ ZSPAGE, "zspage", "magic", 0x59 },
		{ ZSPAGE, "zspage", "pool", POOL + 8 },
		{ ZSPAGE, "zspage", "class", CLASS_INDEX + 1 },
		{ CLASS, "size_class", "size", 0 },
		{ CLASS, "size_class", "size", PAGE_SIZE + 1 },
		{ CLASS, "size_class", "size", CLASS_SIZE + 8 },
		{ CLASS, "size_class", "index", CLASS_INDEX - 1 },
		{ MADE_VMEMMAP + 64 * OBJECTS, "page", "private", 5 },
		{ MADE_VMEMMAP + 64 * OBJECTS, "page", "index", MADE_BASE },
	};
	uint8_t data[CLASS_SIZE - 8], out[PAGE_SIZE];

	fill(data, sizeof(data));
	for (size_t i = 0; i < sizeof(wounds) / sizeof(*wounds); i++) {
		struct made made;
		open_with(&made, zsmalloc_layout, "", "");
		put_object(&made, packings[0], 3, data, sizeof(data));
		made_set(&made, wounds[i].at, wounds[i].type, wounds[i].member, wounds[i].value);
		CHECK_EQUAL(zsmalloc_read(&made.kernel, POOL, HANDLE, out, sizeof(data), NULL),
			    KIOKU_ERROR_CORRUPT);
		made_close(&made);
	}

	struct made made;
	open_with(&made, zsmalloc_layout, "", "");
	put_object(&made, packings[0], 1, data, sizeof(data));
	made_put(&made, MADE_BASE + OBJECTS * PAGE_SIZE + CLASS_SIZE, 8, HANDLE + 8);
	CHECK_EQUAL(zsmalloc_read(&made.kernel, POOL, HANDLE, out, 8, NULL), KIOKU_ERROR_CORRUPT);
	made_put(&made, HANDLE, 8, UINT64_MAX);
	CHECK_EQUAL(zsmalloc_read(&made.kernel, POOL, HANDLE, out, 8, NULL), KIOKU_ERROR_CORRUPT);
	CHECK_EQUAL(zsmalloc_read(&made.kernel, POOL, 8, out, 8, NULL), KIOKU_ERROR_CORRUPT);
	made_close(&made);
}

/* --- zbud and z3fold */

static void open_zpool(struct made *made, const char *name)
{
	open_with(made, zsmalloc_layout, zpool_layout, "");
	made_set(made, ZPOOL, "zpool", "driver", DRIVER);
	made_set(made, ZPOOL, "zpool", "pool", POOL);
	made_set(made, DRIVER, "zpool_driver", "type", TYPE);
	made_text(made, TYPE, name);
}

static void reads_each_kind_of_pool(void)
{
	static const uint8_t data[] = "some bytes";
	struct made made;
	struct kioku_error error;
	uint8_t out[PAGE_SIZE];
	uint64_t page = MADE_BASE + 0x300000;

	open_zpool(&made, "zsmalloc");
	put_object(&made, packings[0], 1, data, sizeof(data));
	CHECK_EQUAL(zpool_read(&made.kernel, ZPOOL, HANDLE, out, sizeof(data), NULL), KIOKU_OK);
	CHECK(memcmp(out, data, sizeof(data)) == 0);
	made_close(&made);

	open_zpool(&made, "zbud");
	memcpy(made_memory(&made, page + 64), data, sizeof(data));
	CHECK_EQUAL(zpool_read(&made.kernel, ZPOOL, page + 64, out, sizeof(data), NULL), KIOKU_OK);
	CHECK(memcmp(out, data, sizeof(data)) == 0);
	CHECK_EQUAL(zpool_read(&made.kernel, ZPOOL, page + 64, out, PAGE_SIZE - 63, NULL),
		    KIOKU_ERROR_CORRUPT);
	made_close(&made);

	open_zpool(&made, "zsmallocs");
	CHECK_EQUAL(zpool_read(&made.kernel, ZPOOL, page, out, 8, &error), KIOKU_ERROR_UNSUPPORTED);
	CHECK_SAYS(error.message, "no zsmalloc, zbud or z3fold");
	made_close(&made);
}

/*
 * encode_handle() of mm/z3fold.c: page, buddy and first_num in the lowest two bits, of the last one its chunks
 * above; the header takes two chunks.
 */
static void reads_z3fold(void)
{
	struct made made;
	uint8_t out[128];
	uint64_t page = MADE_BASE + 0x300000, first_num = 2, chunks = 3;
	const struct {
		uint64_t encoded, offset;
	} objects[] = {
		{ page | ((1 + first_num) & 3), 128 },
		{ page | ((2 + first_num) & 3), 20 * 64 },
		{ page | ((3 + first_num) & 3) | chunks << 2, PAGE_SIZE - 3 * 64 },
	};

	open_zpool(&made, "z3fold");
	fill(made_memory(&made, page), PAGE_SIZE);
	made_set(&made, page, "z3fold_header", "start_middle", 20);
	made_set(&made, page, "z3fold_header", "first_num", first_num);
	for (size_t i = 0; i < sizeof(objects) / sizeof(*objects); i++) {
		made_put(&made, HANDLE, 8, objects[i].encoded);
		CHECK_EQUAL(zpool_read(&made.kernel, ZPOOL, HANDLE, out, sizeof(out), NULL),
			    KIOKU_OK);
		CHECK(memcmp(out, made_memory(&made, page + objects[i].offset), sizeof(out)) == 0);
	}
	made_put(&made, HANDLE, 8, page | first_num); /* HEADLESS is no object of a page */
	CHECK_EQUAL(zpool_read(&made.kernel, ZPOOL, HANDLE, out, 8, NULL), KIOKU_ERROR_CORRUPT);
	CHECK_EQUAL(zpool_read(&made.kernel, ZPOOL, page | 1, out, 8, NULL), KIOKU_OK);
	CHECK(out[0] == 1);
	made_close(&made);
}

/* --- zswap */

static void put_zswap(struct made *made, unsigned i, uint64_t offset, uint32_t length,
		      uint64_t handle)
{
	uint64_t at = ENTRIES + 0x80 * i;

	made_set(made, at, "zswap_entry", "offset", offset);
	made_set(made, at, "zswap_entry", "length", length);
	made_set(made, at, "zswap_entry", "pool", ENTRIES + 0x1000);
	made_set(made, at, "zswap_entry", "handle", handle);
}

/* Slot 5 on top, 3 to its left, which has 4 to its right. */
static void make_zswap(struct made *made, const char *codec, const void *data, size_t size)
{
	open_with(made, zsmalloc_layout, zpool_layout, zswap_layout);
	made_symbol(made, "zswap_trees", TREES);
	made_put(made, TREES, 8, TREES + 0x100);
	made_set(made, TREES + 0x100, "zswap_tree", "rbroot.rb_node", ENTRIES);
	put_zswap(made, 0, 5, 0, 0x0123456789abcdef);
	put_zswap(made, 1, 3, (uint32_t)size, HANDLE);
	put_zswap(made, 2, 4, 0, 0);
	made_set(made, ENTRIES, "zswap_entry", "rbnode.rb_left", ENTRIES + 0x80);
	made_set(made, ENTRIES + 0x80, "zswap_entry", "rbnode.rb_right", ENTRIES + 0x100);
	made_set(made, ENTRIES + 0x1000, "zswap_pool", "zpool", ZPOOL);
	made_text(made, ENTRIES + 0x1040, codec);
	made_set(made, ZPOOL, "zpool", "driver", DRIVER);
	made_set(made, ZPOOL, "zpool", "pool", POOL);
	made_set(made, DRIVER, "zpool_driver", "type", TYPE);
	made_text(made, TYPE, "zsmalloc");
	put_object(made, packings[0], 2, data, size);
}

/* Some text and many zeros. */
static void make_page(uint8_t *page)
{
	memset(page, 0, PAGE_SIZE);
	fill(page, 300);
	memcpy(page + 4000, "the end", 7);
}

static void finds_pages_in_zswap(void)
{
	struct made made;
	struct swap_origin origin;
	uint8_t page[PAGE_SIZE], out[PAGE_SIZE], stream[PAGE_SIZE * 2];

	make_page(page);
	make_zswap(&made, "lzo-rle", stream, lzo_pack(page, sizeof(page), stream));
	CHECK_EQUAL(swap_read(&made.kernel, (struct swap_slot){ 0, 3 }, out, &origin, NULL),
		    KIOKU_OK);
	CHECK_EQUAL(origin.place, SWAP_PLACE_ZSWAP);
	CHECK(!origin.may_be_stale && memcmp(out, page, sizeof(page)) == 0);
	/* Of one word. */
	CHECK_EQUAL(zswap_read(&made.kernel, (struct swap_slot){ 0, 5 }, out, NULL), KIOKU_OK);
	for (size_t i = 0; i < PAGE_SIZE; i += 8)
		CHECK_EQUAL(load_le64(out + i), 0x0123456789abcdef);
	CHECK_EQUAL(zswap_read(&made.kernel, (struct swap_slot){ 0, 4 }, out, NULL), KIOKU_OK);
	CHECK(bytes_are_zero(out, PAGE_SIZE));
	/* Others are not in it: then a file is asked for. */
	for (uint64_t offset = 1; offset < 10; offset += offset == 2 ? 4 : 1)
		CHECK_EQUAL(zswap_read(&made.kernel, (struct swap_slot){ 0, offset }, out, NULL),
			    KIOKU_ERROR_NOT_FOUND);
	CHECK_EQUAL(zswap_read(&made.kernel, (struct swap_slot){ 1, 3 }, out, NULL),
		    KIOKU_ERROR_NOT_FOUND);
	CHECK_EQUAL(swap_read(&made.kernel, (struct swap_slot){ 0, 6 }, out, NULL, NULL),
		    KIOKU_ERROR_PAGED_OUT);
	made_close(&made);
}

/* Until v6.5, in pools that can be written back, the slot is in front of the data. */
static void skips_headers_of_zswap(void)
{
	struct made made;
	uint8_t page[PAGE_SIZE], out[PAGE_SIZE], stream[PAGE_SIZE * 2];

	make_page(page);
	store_le64(stream, 3);
	size_t size = lzo_pack(page, sizeof(page), stream + 8);
	make_zswap(&made, "lzo-rle", stream, size + 8);
	made_set(&made, ENTRIES + 0x80, "zswap_entry", "length", size);
	CHECK_EQUAL(zswap_read(&made.kernel, (struct swap_slot){ 0, 3 }, out, NULL), KIOKU_OK);
	CHECK(memcmp(out, page, sizeof(page)) == 0);
	made_close(&made);
}

static void refuses_damaged_zswap(void)
{
	struct made made;
	struct kioku_error error;
	uint8_t page[PAGE_SIZE], out[PAGE_SIZE], stream[PAGE_SIZE * 2];
	struct swap_slot slot = { 0, 3 };

	make_page(page);
	size_t size = lzo_pack(page, sizeof(page), stream);
	make_zswap(&made, "842", stream, size);
	CHECK_EQUAL(zswap_read(&made.kernel, slot, out, &error), KIOKU_ERROR_PAGED_OUT);
	CHECK_SAYS(error.message, "cannot unpack \"842\"");
	made_text(&made, ENTRIES + 0x1040, "lzo");
	CHECK_EQUAL(zswap_read(&made.kernel, slot, out, NULL), KIOKU_OK);
	made_set(&made, ENTRIES + 0x80, "zswap_entry", "length", size - 1);
	CHECK_EQUAL(zswap_read(&made.kernel, slot, out, NULL), KIOKU_ERROR_PAGED_OUT);
	made_set(&made, ENTRIES + 0x80, "zswap_entry", "length", PAGE_SIZE + 1);
	CHECK_EQUAL(zswap_read(&made.kernel, slot, out, &error), KIOKU_ERROR_PAGED_OUT);
	CHECK_SAYS(error.message, "a page of 4097 compressed bytes");
	/* A circle, and what is no pointer. */
	made_set(&made, ENTRIES + 0x100, "zswap_entry", "rbnode.rb_left", ENTRIES);
	made_set(&made, ENTRIES + 0x80, "zswap_entry", "offset", 2);
	CHECK_EQUAL(zswap_read(&made.kernel, slot, out, &error), KIOKU_ERROR_PAGED_OUT);
	CHECK_SAYS(error.message, "tree is damaged");
	made_set(&made, ENTRIES + 0x100, "zswap_entry", "rbnode.rb_left", 3);
	CHECK_EQUAL(zswap_read(&made.kernel, slot, out, NULL), KIOKU_ERROR_PAGED_OUT);
	made_close(&made);
}

/* Slot 20000 is in the second of many xarrays, one entry of another slot beside it. */
static void finds_pages_in_later_zswap(void)
{
	struct made made;
	struct kioku_error error;
	struct swap_slot slot = { 0, 2 << 14 }, other = { 0, 1 << 14 };
	uint8_t page[PAGE_SIZE], out[PAGE_SIZE], stream[PAGE_SIZE * 2];

	make_page(page);
	size_t size = lzo_pack(page, sizeof(page), stream);
	open_with(&made, zsmalloc_layout, zswap_xarray_layout, "");
	made_symbol(&made, "zswap_trees", TREES);
	made_symbol(&made, "nr_zswap_trees", TREES + 0x80);
	made_put(&made, TREES, 8, TREES + 0x100);
	/* A root with nodes up to shift 12, in which the slot is in the third quarter of the second one. */
	uint64_t nodes = MADE_BASE + 0x190000;
	made_set(&made, TREES + 0x100 + 2 * 16, "xarray", "xa_head", nodes | 2);
	for (unsigned i = 0; i < 3; i++) {
		made_set(&made, nodes + 0x400 * i, "xa_node", "shift", 12 - 6 * i);
		made_set(&made, nodes + 0x400 * i, "xa_node", "parent",
			 i ? nodes + 0x400 * (i - 1) : 0);
		if (i < 2)
			made_set_element(&made, nodes + 0x400 * i, "xa_node", "slots", i ? 0 : 8,
					 (nodes + 0x400 * (i + 1)) | 2);
	}
	made_set(&made, nodes + 0x400, "xa_node", "offset", 8);
	made_set(&made, nodes + 0x800, "xa_node", "slots", ENTRIES);
	made_set(&made, ENTRIES, "zswap_entry", "swpentry.val", slot.offset);
	made_set(&made, ENTRIES, "zswap_entry", "length", size);
	made_set(&made, ENTRIES, "zswap_entry", "pool", ENTRIES + 0x1000);
	made_set(&made, ENTRIES, "zswap_entry", "handle", HANDLE);
	made_set(&made, ENTRIES + 0x1000, "zswap_pool", "zs_pool", POOL);
	made_text(&made, ENTRIES + 0x1040, "lzo-rle");
	put_object(&made, packings[2], 1, stream, size);
	CHECK_EQUAL(zswap_read(&made.kernel, slot, out, NULL), KIOKU_OK);
	CHECK(memcmp(out, page, sizeof(page)) == 0);
	CHECK_EQUAL(zswap_read(&made.kernel, other, out, NULL), KIOKU_ERROR_NOT_FOUND);
	made_set(&made, ENTRIES, "zswap_entry", "swpentry.val", slot.offset + 1);
	CHECK_EQUAL(zswap_read(&made.kernel, slot, out, &error), KIOKU_ERROR_PAGED_OUT);
	CHECK_SAYS(error.message, "entry is of another slot");
	made_close(&made);
}

/* --- zram */

#define TABLE (MADE_BASE + 0x1a0000)

static void put_zram_slot(struct made *made, uint64_t offset, uint64_t handle, uint64_t flags)
{
	made_set(made, TABLE + 16 * offset, "zram_table_entry", "handle", handle);
	made_set(made, TABLE + 16 * offset, "zram_table_entry", "flags", flags);
}

/* Slot 1 is compressed, 2 of one word, 3 written back, 4 empty, 5 not made smaller. */
static void make_zram(struct made *made, const char *layout, const void *data, size_t size)
{
	open_with(made, zsmalloc_layout, layout, "");
	made_set(made, swap_area_at(0), "swap_info_struct", "bdev", BDEV);
	made_set(made, BDEV, "block_device", "bd_disk", DISK);
	made_text(made, DISK + 12, "zram0");
	made_set(made, DISK, "gendisk", "private_data", ZRAM);
	made_set(made, ZRAM, "zram", "table", TABLE);
	made_set(made, ZRAM, "zram", "mem_pool", POOL);
	made_set(made, ZRAM, "zram", "disk", DISK);
	made_set(made, ZRAM, "zram", "disksize", 6 * PAGE_SIZE);
	put_object(made, packings[0], 2, data, size);
	put_zram_slot(made, 1, HANDLE, size);
	put_zram_slot(made, 2, 0x4141414141414141, 1 << 14);
	put_zram_slot(made, 3, 77, 1 << 15 | 100);
	put_zram_slot(made, 5, HANDLE, PAGE_SIZE);
}

static enum kioku_status read_zram(struct made *made, uint64_t offset, uint8_t *out,
				   struct kioku_error *error)
{
	struct swap *swap;

	CHECK_EQUAL(swap_know(&made->kernel, &swap, NULL), KIOKU_OK);
	return zram_read(&made->kernel, &swap->areas[0], offset, out, error);
}

static void finds_pages_in_zram(void)
{
	struct made made;
	struct kioku_error error;
	struct swap_origin origin;
	uint8_t page[PAGE_SIZE], out[PAGE_SIZE], stream[PAGE_SIZE * 2];

	make_page(page);
	make_zram(&made, zram_layout, stream, lzo_pack(page, sizeof(page), stream));
	made_text(&made, ZRAM + 64, "lzo-rle");
	CHECK_EQUAL(swap_read(&made.kernel, (struct swap_slot){ 0, 1 }, out, &origin, NULL),
		    KIOKU_OK);
	CHECK_EQUAL(origin.place, SWAP_PLACE_ZRAM);
	CHECK(memcmp(out, page, sizeof(page)) == 0);
	CHECK_EQUAL(read_zram(&made, 2, out, NULL), KIOKU_OK);
	CHECK(out[0] == 'A' && memcmp(out, out + 1, PAGE_SIZE - 1) == 0);
	CHECK_EQUAL(read_zram(&made, 3, out, &error), KIOKU_ERROR_PAGED_OUT);
	CHECK_SAYS(error.message, "written to the device behind it");
	CHECK_EQUAL(read_zram(&made, 4, out, &error), KIOKU_ERROR_PAGED_OUT);
	CHECK_SAYS(error.message, "has no such page");
	CHECK_EQUAL(read_zram(&made, 6, out, &error), KIOKU_ERROR_PAGED_OUT);
	CHECK_SAYS(error.message, "behind its end");
	/* As large as a page: its object must be that large. */
	CHECK_EQUAL(read_zram(&made, 5, out, NULL), KIOKU_ERROR_PAGED_OUT);
	made_set(&made, CLASS, "size_class", "size", PAGE_SIZE);
	made_set(&made, page_of(OBJECTS), "page", "index", HANDLE);
	fill(made_memory(&made, MADE_BASE + OBJECTS * PAGE_SIZE), PAGE_SIZE);
	CHECK_EQUAL(read_zram(&made, 5, out, NULL), KIOKU_OK);
	CHECK(out[0] == 1 && out[251] == 1);
	put_zram_slot(&made, 5, HANDLE, PAGE_SIZE + 1);
	CHECK_EQUAL(read_zram(&made, 5, out, NULL), KIOKU_ERROR_PAGED_OUT);
	made_close(&made);
}

/* Since v6.2 there may be several codecs, of which two bits choose. */
static void chooses_the_codec(void)
{
	struct made made;
	struct kioku_error error;
	uint8_t page[PAGE_SIZE], out[PAGE_SIZE], stream[PAGE_SIZE * 2];

	make_page(page);
	size_t size = lzo_pack(page, sizeof(page), stream);
	make_zram(&made, zram_new_layout, stream, size);
	for (unsigned i = 0; i < 4; i++) {
		made_text(&made, MADE_BASE + 0x1b0000 + 16 * i, i == 2 ? "lzo-rle" : "842");
		made_set_element(&made, ZRAM, "zram", "comp_algs", i,
				 MADE_BASE + 0x1b0000 + 16 * i);
	}
	put_zram_slot(&made, 1, HANDLE, size | 1 << 21);
	CHECK_EQUAL(read_zram(&made, 1, out, NULL), KIOKU_OK);
	CHECK(memcmp(out, page, sizeof(page)) == 0);
	put_zram_slot(&made, 1, HANDLE, size | 1 << 20);
	CHECK_EQUAL(read_zram(&made, 1, out, &error), KIOKU_ERROR_PAGED_OUT);
	CHECK_SAYS(error.message, "\"842\"");
	made_close(&made);
}

static void leaves_other_disks_alone(void)
{
	static const char *const names[] = { "vda", "zram", "zramx", "Zram0" };
	uint8_t out[PAGE_SIZE];

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct made made;
		make_zram(&made, zram_layout, "", 1);
		made_text(&made, DISK + 12, names[i]);
		CHECK_EQUAL(read_zram(&made, 2, out, NULL), KIOKU_ERROR_NOT_FOUND);
		made_close(&made);
	}
	struct made made;
	make_zram(&made, zram_layout, "", 1);
	made_set(&made, ZRAM, "zram", "disk", DISK + 8);
	CHECK_EQUAL(read_zram(&made, 2, out, NULL), KIOKU_ERROR_PAGED_OUT);
	made_close(&made);
}

TAP_MAIN(TEST(reads_objects), TEST(reads_huge_objects), TEST(refuses_objects_that_disagree),
	 TEST(reads_each_kind_of_pool), TEST(reads_z3fold), TEST(finds_pages_in_zswap),
	 TEST(skips_headers_of_zswap), TEST(refuses_damaged_zswap),
	 TEST(finds_pages_in_later_zswap), TEST(finds_pages_in_zram), TEST(chooses_the_codec),
	 TEST(leaves_other_disks_alone))
