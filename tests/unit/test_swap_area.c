/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The swap areas of a kernel, what it notes of their slots, and files of them. */
#include <fcntl.h>

#include "base/cleanup.h"
#include "test_swap.h"

#define SWAP_FILE   (MADE_BASE + 0x30000) /* struct file of an area */
#define DENTRY      (MADE_BASE + 0x31000)
#define NAME        (MADE_BASE + 0x32000)
#define MAPPING     (MADE_BASE + 0x33000)
#define HEADER_PAGE 0x180u /* frame of a header in the page cache */
#define CLUSTERS    (MADE_BASE + 0x40000)
#define TABLE       (MADE_BASE + 0x50000)
#define ZEROMAP     (MADE_BASE + 0x60000)

enum { LAST_PAGE = 9, FILE_PAGES = LAST_PAGE + 1 };

static const char files_layout[] =
	"struct path 16 mnt u64@0 dentry u64@8\n"
	"struct file 64 f_path path@16 f_mapping u64@40\n"
	"struct qstr 16 len u32@4 name u64@8\n"
	"struct dentry 192 d_name qstr@32\n"
	"struct xarray 16 xa_head u64@8\n"
	"struct xa_node 576 shift u8@0 offset u8@1 parent u64@8 slots u64[64]@40\n"
	"struct address_space 192 host u64@0 i_pages xarray@8\n"
	"struct page 64 flags u64@0\n";

static const char uuid[] = "0123456789abcdef";

/* Page 0 of an area, as mkswap writes it. */
static void put_header(uint8_t *page, const char *magic, uint32_t last_page, uint32_t bad_pages)
{
	memset(page, 0, PAGE_SIZE);
	store_le32(page + 1024, 1);
	store_le32(page + 1028, last_page);
	store_le32(page + 1032, bad_pages);
	memcpy(page + 1036, uuid, 16);
	memcpy(page + PAGE_SIZE - 10, magic, strlen(magic));
}

static struct swap *know(struct made *made)
{
	struct swap *swap;

	CHECK_EQUAL(swap_know(&made->kernel, &swap, NULL), KIOKU_OK);
	return swap;
}

/* Area 0 has a name, and its header is in the page cache. */
static void make_files(struct made *made)
{
	char layout[2048];

	snprintf(layout, sizeof(layout), "%s%s", swap_layout, files_layout);
	swap_open(made, layout);
	made_pages(made);
	swap_area(made, 0, FILE_PAGES);
	made_set(made, swap_area_at(0), "swap_info_struct", "swap_file", SWAP_FILE);
	made_set(made, SWAP_FILE, "file", "f_path.dentry", DENTRY);
	made_set(made, SWAP_FILE, "file", "f_mapping", MAPPING);
	made_set(made, DENTRY, "dentry", "d_name.name", NAME);
	made_text(made, NAME, "vda2");
	made_set(made, MAPPING, "address_space", "i_pages.xa_head",
		 MADE_VMEMMAP + 64 * HEADER_PAGE);
	put_header(made_memory(made, MADE_BASE + HEADER_PAGE * PAGE_SIZE), "SWAPSPACE2", LAST_PAGE,
		   0);
}

static void reads_areas(void)
{
	struct made made;

	make_files(&made);
	swap_area(&made, 2, 1000);
	struct swap *swap = know(&made);
	CHECK(swap->areas_known);
	CHECK_EQUAL(swap->area_count, 3);
	CHECK(swap->areas[0].is_used && !swap->areas[1].is_used && swap->areas[2].is_used);
	CHECK_EQUAL(swap->areas[0].max, FILE_PAGES);
	CHECK_EQUAL(swap->areas[0].pages, LAST_PAGE);
	CHECK_EQUAL(swap->areas[2].swap_map, swap_map_at(2));
	CHECK(strcmp(swap->areas[0].name, "vda2") == 0);
	CHECK(swap->areas[0].has_uuid && memcmp(swap->areas[0].uuid, uuid, 16) == 0);
	CHECK(!swap->areas[2].has_uuid && !swap->areas[2].name[0]);
	CHECK(swap_area_of(swap, (struct swap_slot){ 0, LAST_PAGE }) == &swap->areas[0]);
	CHECK(!swap_area_of(swap, (struct swap_slot){ 0, 0 }));
	CHECK(!swap_area_of(swap, (struct swap_slot){ 0, FILE_PAGES }));
	CHECK(!swap_area_of(swap, (struct swap_slot){ 1, 1 }));
	CHECK(!swap_area_of(swap, (struct swap_slot){ 3, 1 }));
	CHECK(know(&made) == swap);
	made_close(&made);
}

/* What contradicts itself is no area; the others remain. */
static void leaves_out_damaged_areas(void)
{
	static const struct {
		const char *member;
		uint64_t value;
	} wounds[] = {
		{ "flags", 0 }, { "flags", 1 }, { "flags", 2 },    { "type", 0 },
		{ "max", 0 },   { "max", 1 },   { "pages", 1000 }, { "swap_map", 0x1000 },
	};

	for (size_t i = 0; i <= sizeof(wounds) / sizeof(*wounds); i++) {
		struct made made;
		swap_open(&made, swap_layout);
		swap_area(&made, 0, 100);
		swap_area(&made, 1, 1000);
		if (i < sizeof(wounds) / sizeof(*wounds))
			made_set(&made, swap_area_at(1), "swap_info_struct", wounds[i].member,
				 wounds[i].value);
		else
			made_put(&made, SWAP_INFO + 8, 8, 0x123456789);
		struct swap *swap = know(&made);
		CHECK(swap->areas[0].is_used);
		CHECK(!swap->areas[1].is_used);
		made_close(&made);
	}
}

static void bounds_the_number_of_areas(void)
{
	struct made made;

	swap_open(&made, swap_layout);
	swap_area(&made, 0, 100);
	swap_area(&made, 31, 100);
	made_put(&made, SWAP_INFO + 8 * 32, 8, swap_area_at(0));
	made_put(&made, MADE_VARIABLES, 4, UINT32_MAX);
	struct swap *swap = know(&made);
	CHECK_EQUAL(swap->area_count, SWAP_AREA_LIMIT);
	CHECK(swap->areas[31].is_used);
	made_close(&made);

	swap_open(&made, swap_layout);
	made_put(&made, MADE_VARIABLES, 4, SWAP_AREA_LIMIT + 1);
	CHECK_EQUAL(know(&made)->area_count, SWAP_AREA_LIMIT);
	made_close(&made);

	made_open(&made, swap_layout);
	swap = know(&made);
	CHECK(!swap->areas_known);
	CHECK_EQUAL(swap->area_count, 0);
	made_close(&made);
}

/* --- slots */

static enum kioku_status state_of(struct made *made, uint64_t offset, struct swap_state *out,
				  struct kioku_error *error)
{
	struct swap_slot slot = { 0, offset };
	struct swap_area *area = swap_area_of(know(made), slot);

	CHECK(area);
	return swap_area_state(&made->kernel, area, slot, out, error);
}

/* SWAP_MAP_BAD, SWAP_HAS_CACHE, COUNT_CONTINUED: include/linux/swap.h, until v6.19. */
static void reads_counts(void)
{
	struct made made;
	struct swap_state state;
	struct kioku_error error;

	swap_open(&made, swap_layout);
	swap_area(&made, 0, 1000);
	memcpy(made_memory(&made, swap_map_at(0)), "\x3f\x00\x01\x3e\x40\x41\x3f\x7f\xbe", 9);
	CHECK_EQUAL(state_of(&made, 1, &state, &error), KIOKU_ERROR_PAGED_OUT);
	CHECK_SAYS(error.message, "page 1 of area 0, but this slot is free");
	for (uint64_t offset = 2; offset <= 5; offset++) {
		CHECK_EQUAL(state_of(&made, offset, &state, NULL), KIOKU_OK);
		CHECK(state.is_used && !state.is_zero && !state.page);
	}
	CHECK_EQUAL(state_of(&made, 6, &state, &error), KIOKU_ERROR_PAGED_OUT);
	CHECK_SAYS(error.message, "is a bad one");
	CHECK_EQUAL(state_of(&made, 7, &state, &error), KIOKU_ERROR_PAGED_OUT);
	CHECK_EQUAL(state_of(&made, 8, &state, NULL), KIOKU_OK);
	made_close(&made);

	swap_open(&made, swap_layout);
	swap_area(&made, 0, 1000);
	made_set(&made, swap_area_at(0), "swap_info_struct", "swap_map",
		 MADE_BASE + MACHINE_SIZE - 5);
	CHECK_EQUAL(state_of(&made, 6, &state, &error), KIOKU_ERROR_PAGED_OUT);
	CHECK_SAYS(error.message, "map is not in the image");
	made_close(&made);
}

/* Since v6.18: clusters of slots, of 512 where huge pages are swapped as such. */
static void open_clusters(struct made *made, unsigned orders, bool has_map)
{
	char layout[1024];

	snprintf(layout, sizeof(layout),
		 "struct swap_info_struct 128 flags u64@0 type char@12 max u32@16 pages u32@40 %s "
		 "cluster_info u64@32 zeromap u64@64 bdev u64@48 swap_file u64@56 "
		 "nonfull_clusters u64[%u]@72\n"
		 "struct swap_cluster_info 16 count u32@0 table u64@8\n",
		 has_map ? "swap_map u64@24" : "", orders);
	swap_open(made, layout);
	made_put(made, SWAP_INFO, 8, swap_area_at(0));
	made_put(made, MADE_VARIABLES, 4, 1);
	made_set(made, swap_area_at(0), "swap_info_struct", "flags", 3);
	made_set(made, swap_area_at(0), "swap_info_struct", "max", 2000);
	made_set(made, swap_area_at(0), "swap_info_struct", "pages", 1999);
	made_set(made, swap_area_at(0), "swap_info_struct", "cluster_info", CLUSTERS);
	if (has_map)
		made_set(made, swap_area_at(0), "swap_info_struct", "swap_map", swap_map_at(0));
	for (unsigned i = 0; i < 8; i++)
		made_set(made, CLUSTERS + 16 * i, "swap_cluster_info", "table", i == 1 ? TABLE : 0);
}

static void reads_tables_of_clusters(void)
{
	for (unsigned orders = 2; orders <= 10; orders += 8) {
		struct made made;
		struct swap_state state;
		struct kioku_error error;
		uint64_t first = orders == 10 ? 512 : 256;
		open_clusters(&made, orders, false);
		made_put(&made, TABLE + 8, 8, MADE_VMEMMAP + 64 * 9);        /* a folio, v6.18 */
		made_put(&made, TABLE + 16, 8, 0x345ull << 2 | 2);           /* a frame, v6.19 */
		made_put(&made, TABLE + 24, 8, 0x777ull << 4 | 1);           /* a shadow */
		made_put(&made, TABLE + 32, 8, 1ull << 60 | 1ull << 59 | 1); /* all zeros, v7.0 */
		made_put(&made, TABLE + 40, 8, 1ull << 59 | 0x345ull << 2 | 2);
		made_put(&made, TABLE + 48, 8, 4); /* a bad slot */
		CHECK_EQUAL(state_of(&made, first + 1, &state, NULL), KIOKU_OK);
		CHECK(state.is_used && state.page == MADE_VMEMMAP + 64 * 9 && !state.physical);
		CHECK_EQUAL(state_of(&made, first + 2, &state, NULL), KIOKU_OK);
		CHECK(!state.page && state.physical == 0x345000 && !state.is_zero);
		CHECK_EQUAL(state_of(&made, first + 3, &state, NULL), KIOKU_OK);
		CHECK(state.is_used && !state.page && !state.physical && !state.is_zero);
		CHECK_EQUAL(state_of(&made, first + 4, &state, NULL), KIOKU_OK);
		CHECK(state.is_used && state.is_zero);
		CHECK_EQUAL(state_of(&made, first + 5, &state, NULL), KIOKU_OK);
		CHECK(state.is_zero && state.physical == 0x345000);
		CHECK_EQUAL(state_of(&made, first + 6, &state, &error), KIOKU_ERROR_PAGED_OUT);
		CHECK_SAYS(error.message, "is a bad one");
		CHECK_EQUAL(state_of(&made, first + 7, &state, &error), KIOKU_ERROR_PAGED_OUT);
		CHECK_SAYS(error.message, "is free");
		/* A cluster without a table is empty; one that cannot be read is not. */
		CHECK_EQUAL(state_of(&made, 1, &state, &error), KIOKU_ERROR_PAGED_OUT);
		CHECK_SAYS(error.message, "is free");
		made_set(&made, CLUSTERS, "swap_cluster_info", "table", MADE_BASE + MACHINE_SIZE);
		CHECK_EQUAL(state_of(&made, 1, &state, &error), KIOKU_ERROR_PAGED_OUT);
		CHECK_SAYS(error.message, "table is not in the image");
		made_close(&made);
	}
}

static void reads_bits_for_zeros(void)
{
	struct made made;
	struct swap_state state;
	struct kioku_error error;

	open_clusters(&made, 2, true);
	memset(made_memory(&made, swap_map_at(0)), 1, 2000);
	made_set(&made, swap_area_at(0), "swap_info_struct", "zeromap", ZEROMAP);
	made_put(&made, ZEROMAP + 8, 8, 1ull << 3 | 1ull << 63);
	for (uint64_t offset = 60; offset < 130; offset++) {
		CHECK_EQUAL(state_of(&made, offset, &state, NULL), KIOKU_OK);
		CHECK_EQUAL(state.is_zero, offset == 67 || offset == 127);
	}
	know(&made)->areas[0].zeromap = MADE_BASE + MACHINE_SIZE;
	CHECK_EQUAL(state_of(&made, 67, &state, &error), KIOKU_ERROR_PAGED_OUT);
	CHECK_SAYS(error.message, "may be of zeros");
	made_close(&made);
}

/* --- files */

static enum kioku_status add_bytes(struct made *made, const void *data, size_t size,
				   struct kioku_error *error)
{
	char path[64];
	int descriptor = memfd_create("swap", MFD_CLOEXEC);

	CHECK(descriptor >= 0 && write(descriptor, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", descriptor);
	enum kioku_status status = kioku_kernel_add_swap(&made->kernel, path, error);
	close(descriptor);
	return status;
}

/* Whether the kernel takes a file, whose header is this and which has so many pages. */
static enum kioku_status add_file(struct made *made, const uint8_t *header, unsigned pages,
				  struct kioku_error *error)
{
	AUTO_FREE uint8_t *file = calloc(pages ? pages : 1, PAGE_SIZE);

	memcpy(file, header, PAGE_SIZE);
	for (unsigned i = 1; i < pages; i++)
		memset(file + i * PAGE_SIZE, 'a' + (int)i, PAGE_SIZE);
	return add_bytes(made, file, pages * PAGE_SIZE, error);
}

static void takes_a_file_by_its_uuid(void)
{
	struct made made;
	struct kioku_error error;
	uint8_t header[PAGE_SIZE], page[PAGE_SIZE];

	make_files(&made);
	put_header(header, "SWAPSPACE2", LAST_PAGE, 0);
	struct swap_area *area = &know(&made)->areas[0];
	CHECK_EQUAL(swap_file_read(area, 3, page, &error), KIOKU_ERROR_PAGED_OUT);
	CHECK_SAYS(error.message, "no file of it was given");
	CHECK_SAYS(error.message, "0: vda2, 10 pages, UUID 30313233-3435-3637-3839-616263646566");
	CHECK_EQUAL(add_file(&made, header, FILE_PAGES, NULL), KIOKU_OK);
	CHECK_EQUAL(made.gaps, 0);
	CHECK_EQUAL(swap_file_read(area, 3, page, NULL), KIOKU_OK);
	CHECK(page[0] == 'd' && page[PAGE_SIZE - 1] == 'd');
	CHECK_EQUAL(swap_file_read(area, LAST_PAGE, page, NULL), KIOKU_OK);
	CHECK_EQUAL(swap_file_read(area, FILE_PAGES, page, &error), KIOKU_ERROR_PAGED_OUT);
	CHECK_SAYS(error.message, "its file does not have");
	CHECK_EQUAL(swap_file_read(area, UINT64_MAX / PAGE_SIZE, page, NULL),
		    KIOKU_ERROR_PAGED_OUT);
	/* One is enough. */
	CHECK_EQUAL(add_file(&made, header, FILE_PAGES, NULL), KIOKU_ERROR_REFUSED);
	made_close(&made);
}

static void refuses_files_of_others(void)
{
	struct made made;
	struct kioku_error error;
	uint8_t header[PAGE_SIZE];

	make_files(&made);
	put_header(header, "SWAPSPACE2", LAST_PAGE, 0);
	header[1036 + 15] ^= 1;
	CHECK_EQUAL(add_file(&made, header, FILE_PAGES, &error), KIOKU_ERROR_REFUSED);
	CHECK_SAYS(error.message, "it has 10 pages, UUID 30313233-3435-3637-3839-616263646567");
	put_header(header, "SWAPSPACE2", LAST_PAGE + 1, 0);
	CHECK_EQUAL(add_file(&made, header, FILE_PAGES + 1, &error), KIOKU_ERROR_REFUSED);
	put_header(header, "SWAPSPACE2", LAST_PAGE, 1); /* the kernel counts no bad page */
	CHECK_EQUAL(add_file(&made, header, FILE_PAGES, &error), KIOKU_ERROR_REFUSED);
	put_header(header, "SWAPSPACE2", UINT32_MAX, 0);
	CHECK_EQUAL(add_file(&made, header, FILE_PAGES, &error), KIOKU_ERROR_REFUSED);
	made_close(&made);
}

static void refuses_what_is_no_area(void)
{
	static const char *const magics[] = { "SWAP-SPACE", "SWAPSPACE1", "", "SWAPSPACE" };
	struct made made;
	struct kioku_error error;
	uint8_t header[PAGE_SIZE];

	make_files(&made);
	for (size_t i = 0; i < sizeof(magics) / sizeof(*magics); i++) {
		put_header(header, magics[i], LAST_PAGE, 0);
		CHECK_EQUAL(add_file(&made, header, FILE_PAGES, &error), KIOKU_ERROR_CORRUPT);
		CHECK_SAYS(error.message, "does not begin with the header of a swap area");
	}
	put_header(header, "SWAPSPACE2", LAST_PAGE, 0);
	header[1024] = 2;
	CHECK_EQUAL(add_file(&made, header, FILE_PAGES, &error), KIOKU_ERROR_CORRUPT);
	/* Suspended to disk: kernel/power/swap.c keeps what was there in front of its own. */
	put_header(header, "S1SUSPEND", LAST_PAGE, 0);
	memcpy(header + PAGE_SIZE - 20, "SWAPSPACE2", 10);
	CHECK_EQUAL(add_file(&made, header, FILE_PAGES, &error), KIOKU_ERROR_UNSUPPORTED);
	CHECK_SAYS(error.message, "hibernated");
	put_header(header, "SWAPSPACE2", LAST_PAGE, 0);
	CHECK_EQUAL(add_bytes(&made, header, PAGE_SIZE - 1, &error), KIOKU_ERROR_CORRUPT);
	CHECK_EQUAL(kioku_kernel_add_swap(&made.kernel, "/nonexistent/swap", &error),
		    KIOKU_ERROR_OS);
	CHECK_SAYS(error.message, "/nonexistent/swap: cannot open it");
	made_close(&made);
}

/* Without a UUID in memory, the size tells, bad pages included; but only if one area has it. */
static void takes_a_file_by_its_size(void)
{
	struct made made;
	struct kioku_error error;
	uint8_t header[PAGE_SIZE], page[PAGE_SIZE];

	swap_open(&made, swap_layout);
	swap_area(&made, 0, FILE_PAGES + 1);
	swap_area(&made, 1, FILE_PAGES);
	made_set(&made, swap_area_at(1), "swap_info_struct", "pages", LAST_PAGE - 2);
	put_header(header, "SWAPSPACE2", LAST_PAGE, 2);
	CHECK_EQUAL(add_file(&made, header, 5, NULL), KIOKU_OK);
	CHECK_EQUAL(made.gaps, 1);
	CHECK_SAYS(made.last, "has 5 of the 10 pages of its swap area");
	struct swap_area *area = &know(&made)->areas[1];
	CHECK_EQUAL(swap_file_read(area, 4, page, NULL), KIOKU_OK);
	CHECK(page[0] == 'e');
	CHECK_EQUAL(swap_file_read(area, 5, page, NULL), KIOKU_ERROR_PAGED_OUT);
	made_close(&made);

	swap_open(&made, swap_layout);
	swap_area(&made, 0, FILE_PAGES);
	swap_area(&made, 1, FILE_PAGES);
	put_header(header, "SWAPSPACE2", LAST_PAGE, 0);
	CHECK_EQUAL(add_file(&made, header, FILE_PAGES, &error), KIOKU_ERROR_REFUSED);
	CHECK_SAYS(error.message, "0: (no name), 10 pages; 1: (no name), 10 pages");
	made_close(&made);

	made_open(&made, swap_layout);
	CHECK_EQUAL(add_file(&made, header, FILE_PAGES, &error), KIOKU_ERROR_UNSUPPORTED);
	made_close(&made);
}

TAP_MAIN(TEST(reads_areas), TEST(leaves_out_damaged_areas), TEST(bounds_the_number_of_areas),
	 TEST(reads_counts), TEST(reads_tables_of_clusters), TEST(reads_bits_for_zeros),
	 TEST(takes_a_file_by_its_uuid), TEST(refuses_files_of_others),
	 TEST(refuses_what_is_no_area), TEST(takes_a_file_by_its_size))
