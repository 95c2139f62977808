/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The pages of files: whole runs, folios of every kind, and struct pages that are of something else. */
#include <sys/stat.h>

#include "kernel/page_cache.h"
#include "test_swap.h"

#define MAPPING  (MADE_BASE + 0x100000)
#define INODE    (MADE_BASE + 0x101000)
#define NODE     (MADE_BASE + 0x102000)
#define SHMEM    (MADE_BASE + 0x103000) /* shmem_aops */
#define OTHER    (MADE_BASE + 0x104000) /* of a disk's file system */
#define FIRST    0x300u                 /* frame of page 0 */
#define UPTODATE (1u << 2)

static const char layout[] =
	"struct xarray 16 xa_head u64@8\n"
	"struct xa_node 576 shift u8@0 offset u8@1 parent u64@8 slots u64[64]@40\n"
	"struct address_space 192 host u64@0 i_pages xarray@8 nrpages u64@88 a_ops u64@96\n"
	"struct page 64 flags u64@0 compound_head u64@8 mapping u64@24 index u64@32 private "
	"u64@40\n";

static uint64_t page_of(uint64_t frame)
{
	return MADE_VMEMMAP + 64 * frame;
}

static void put_slot(struct made *made, unsigned index, uint64_t entry)
{
	made_set_element(made, NODE, "xa_node", "slots", index, entry);
}

/* The page of an index, in a frame. */
static void put_page(struct made *made, unsigned index, uint64_t frame)
{
	put_slot(made, index, page_of(frame));
	made_set(made, page_of(frame), "page", "flags", UPTODATE);
	made_set(made, page_of(frame), "page", "mapping", MAPPING);
	made_set(made, page_of(frame), "page", "index", index);
}

/* Pages 0 to 9 in a row, of which 5 is missing. */
static struct page_cache make_cache(struct made *made, uint64_t operations)
{
	struct inode inode = { .address = INODE,
			       .number = 12,
			       .mapping = MAPPING,
			       .mode = S_IFREG,
			       .size = 20 * PAGE_SIZE - 5 };
	struct page_cache cache;
	char all[2048];

	snprintf(all, sizeof(all), "%s%s", swap_layout, layout);
	swap_open(made, all);
	made_pages(made);
	swap_area(made, 0, 1000);
	made_symbol(made, "shmem_aops", SHMEM);
	made_set(made, MAPPING, "address_space", "host", INODE);
	made_set(made, MAPPING, "address_space", "a_ops", operations);
	made_set(made, MAPPING, "address_space", "nrpages", 9);
	made_set(made, MAPPING, "address_space", "i_pages.xa_head", NODE | 2);
	for (unsigned i = 0; i < 10; i++)
		if (i != 5)
			put_page(made, i, FIRST + i);
	CHECK_EQUAL(page_cache_open(&made->kernel, &inode, &cache, NULL), KIOKU_OK);
	return cache;
}

struct runs {
	struct page_run run[64];
	size_t count;
	uint64_t next;
};

static enum kioku_status take_run(void *user, const struct page_run *run)
{
	struct runs *runs = user;

	/* In order, and nothing left out. */
	CHECK(run->index == runs->next && run->count > 0 && runs->count < 64);
	runs->next = run->index + run->count;
	runs->run[runs->count++] = *run;
	return KIOKU_OK;
}

static struct runs walk(struct made *made, const struct page_cache *cache, uint64_t first,
			uint64_t last)
{
	struct runs runs = { .next = first };

	made->gaps = 0;
	CHECK_EQUAL(page_cache_each(&made->kernel, cache, first, last, take_run, &runs, NULL),
		    KIOKU_OK);
	CHECK_EQUAL(runs.next, last + 1);
	return runs;
}

#define CHECK_RUN(runs_, i_, index_, count_, state_)                   \
	do {                                                           \
		CHECK((runs_).count > (i_));                           \
		CHECK_EQUAL((runs_).run[i_].index, (index_));          \
		CHECK_EQUAL((runs_).run[i_].count, (count_));          \
		CHECK_EQUAL((runs_).run[i_].state, PAGE_RUN_##state_); \
	} while (0)

static void gives_runs_in_a_row(void)
{
	struct made made;
	struct page_cache cache = make_cache(&made, OTHER);

	CHECK(!cache.in_memory && !cache.is_shmem && cache.page_count == 9);
	struct runs runs = walk(&made, &cache, 0, PAGE_CACHE_LAST);
	CHECK_EQUAL(made.gaps, 0);
	CHECK_EQUAL(runs.count, 4);
	CHECK_RUN(runs, 0, 0, 5, PRESENT);
	CHECK_EQUAL(runs.run[0].physical, FIRST * PAGE_SIZE);
	CHECK_RUN(runs, 1, 5, 1, ABSENT);
	CHECK_RUN(runs, 2, 6, 4, PRESENT);
	CHECK_RUN(runs, 3, 10, PAGE_CACHE_LAST - 9, ABSENT);
	runs = walk(&made, &cache, 2, 7);
	CHECK_EQUAL(runs.count, 3);
	CHECK_RUN(runs, 0, 2, 3, PRESENT);
	CHECK_EQUAL(runs.run[0].physical, (FIRST + 2) * PAGE_SIZE);
	/* Frames that do not follow each other are runs of their own. */
	put_page(&made, 3, 0x380);
	runs = walk(&made, &cache, 0, 4);
	CHECK_EQUAL(runs.count, 3);
	CHECK_EQUAL(runs.run[1].physical, 0x380 * PAGE_SIZE);
	/* Never filled from the disk; and a shadow of what was there. */
	made_set(&made, page_of(FIRST + 1), "page", "flags", 1);
	put_slot(&made, 2, 55 << 1 | 1);
	runs = walk(&made, &cache, 0, 4);
	CHECK_RUN(runs, 0, 0, 1, PRESENT);
	CHECK_RUN(runs, 1, 1, 2, ABSENT);
	CHECK_EQUAL(made.gaps, 0);
	made_close(&made);
}

/* In tmpfs, what has no page is zeros, and integers are swap slots. */
static void reads_pages_of_tmpfs(void)
{
	struct made made;
	struct page_cache cache = make_cache(&made, SHMEM);
	struct kioku_error error;
	uint8_t page[PAGE_SIZE];

	CHECK(cache.in_memory && cache.is_shmem);
	put_slot(&made, 6, (7ull << 1) | 1);
	made_set(&made, page_of(FIRST + 1), "page", "flags", 0); /* fallocate(2) only */
	struct runs runs = walk(&made, &cache, 0, 19);
	CHECK_RUN(runs, 1, 1, 1, ZERO);
	CHECK_RUN(runs, 3, 5, 1, ZERO);
	CHECK_RUN(runs, 4, 6, 1, SWAPPED);
	CHECK_EQUAL(runs.run[4].value, 7);
	memset(made_memory(&made, MADE_BASE + (FIRST + 3) * PAGE_SIZE), 'x', PAGE_SIZE);
	CHECK_EQUAL(page_cache_read_page(&made.kernel, &cache, 3, page, NULL), KIOKU_OK);
	CHECK(page[0] == 'x' && page[PAGE_SIZE - 1] == 'x');
	CHECK_EQUAL(page_cache_read_page(&made.kernel, &cache, 5, page, NULL), KIOKU_OK);
	CHECK(bytes_are_zero(page, PAGE_SIZE));
	CHECK_EQUAL(page_cache_read_page(&made.kernel, &cache, 6, page, &error),
		    KIOKU_ERROR_PAGED_OUT);
	CHECK_SAYS(error.message, "page 7 of area 0");
	CHECK_EQUAL(page_cache_read_page(&made.kernel, &cache, 19, page, NULL), KIOKU_OK);
	CHECK_EQUAL(page_cache_read_page(&made.kernel, &cache, 20, page, NULL),
		    KIOKU_ERROR_UNMAPPED);
	CHECK_EQUAL(page_cache_read_page(&made.kernel, &cache, UINT64_MAX, page, NULL),
		    KIOKU_ERROR_UNMAPPED);
	/* The kernel counts more pages than there are: holes may have been content. */
	walk(&made, &cache, 0, PAGE_CACHE_LAST);
	CHECK_EQUAL(made.gaps, 1);
	CHECK_SAYS(made.last, "of 9 pages, only 8 were found");
	made_close(&made);
}

/* A page must say itself that it is of this file, and of this place in it. */
static void believes_no_page_of_others(void)
{
	static const struct {
		const char *member;
		uint64_t value;
	} wounds[] = {
		{ "mapping", 0 },
		{ "mapping", MAPPING + 8 },
		{ "mapping", MAPPING | 1 },
		{ "index", 2 },
		{ "index", 4 },
		{ "index", UINT64_MAX },
		{ "index", 1ull << 40 },
		{ "compound_head", MADE_VMEMMAP | 1 },
	};

	for (size_t i = 0; i < sizeof(wounds) / sizeof(*wounds); i++) {
		struct made made;
		struct page_cache cache = make_cache(&made, SHMEM);
		uint8_t page[PAGE_SIZE];
		made_set(&made, page_of(FIRST + 3), "page", wounds[i].member, wounds[i].value);
		struct runs runs = walk(&made, &cache, 0, 9);
		CHECK_EQUAL(made.gaps, 1);
		CHECK_RUN(runs, 0, 0, 3, PRESENT);
		CHECK_RUN(runs, 1, 3, 1, LOST);
		CHECK_EQUAL(page_cache_read_page(&made.kernel, &cache, 3, page, NULL),
			    KIOKU_ERROR_CORRUPT);
		made_close(&made);
	}

	struct made made;
	struct page_cache cache = make_cache(&made, SHMEM);
	put_slot(&made, 3, page_of(FIRST + 3) + 8); /* no element of the array */
	struct runs runs = walk(&made, &cache, 0, 9);
	CHECK_RUN(runs, 1, 3, 1, LOST);
	CHECK_SAYS(made.last, "page 3 is lost: no struct page");
	/* A whole node is lost: nothing of it is a hole. */
	made_set(&made, NODE, "xa_node", "parent", NODE);
	runs = walk(&made, &cache, 0, 63);
	CHECK_EQUAL(runs.count, 1);
	CHECK_RUN(runs, 0, 0, 64, LOST);
	CHECK_EQUAL(made.gaps, 1);
	made_close(&made);
}

/* Pages 12 to 15 as one folio, as three kinds of kernels have it in the xarray. */
static void reads_folios(void)
{
	for (unsigned kind = 0; kind < 3; kind++) {
		struct made made;
		struct page_cache cache = make_cache(&made, SHMEM);
		uint64_t head = 0x340;
		put_page(&made, 12, head);
		for (unsigned i = 1; i < 4; i++) {
			made_set(&made, page_of(head + i), "page", "compound_head",
				 page_of(head) | 1);
			/* Before v5.9 each page, until v5.17 the head in all slots, then siblings. */
			put_slot(&made, 12 + i,
				 kind == 0   ? page_of(head + i)
				 : kind == 1 ? page_of(head)
					     : 12 << 2 | 2);
		}
		struct runs runs = walk(&made, &cache, 10, 19);
		CHECK_EQUAL(made.gaps, 0);
		CHECK_RUN(runs, 1, 12, 4, PRESENT);
		CHECK_EQUAL(runs.run[1].physical, head * PAGE_SIZE);
		runs = walk(&made, &cache, 14, 14);
		CHECK_RUN(runs, 0, 14, 1, PRESENT);
		CHECK_EQUAL(runs.run[0].physical, (head + 2) * PAGE_SIZE);
		if (kind == 0) { /* a page of it in another's place */
			put_slot(&made, 13, page_of(head + 2));
			runs = walk(&made, &cache, 12, 15);
			CHECK_RUN(runs, 1, 13, 1, LOST);
			CHECK_EQUAL(made.gaps, 1);
		}
		made_close(&made);
	}
}

/* One slot's swap entry for four pages: v6.12 on. */
static void counts_slots_of_large_folios(void)
{
	struct made made;
	struct page_cache cache = make_cache(&made, SHMEM);

	put_slot(&made, 12, (0x50ull << 1) | 1);
	for (unsigned i = 13; i < 16; i++)
		put_slot(&made, i, 12 << 2 | 2);
	struct runs runs = walk(&made, &cache, 14, 19);
	CHECK_RUN(runs, 0, 14, 2, SWAPPED);
	CHECK_EQUAL(runs.run[0].within, 2);
	uint8_t page[PAGE_SIZE];
	struct kioku_error error;
	CHECK_EQUAL(page_cache_read_swapped(&made.kernel, &runs.run[0], 1, page, &error),
		    KIOKU_ERROR_PAGED_OUT);
	CHECK_SAYS(error.message, "page 83 of area 0");
	made_close(&made);
}

static void refuses_mappings_of_others(void)
{
	struct made made;
	struct page_cache cache = make_cache(&made, SHMEM);
	struct inode inode = { .address = INODE + 8, .mapping = MAPPING, .mode = S_IFREG };
	struct kioku_error error;

	CHECK_EQUAL(page_cache_open(&made.kernel, &inode, &cache, &error), KIOKU_ERROR_CORRUPT);
	CHECK_SAYS(error.message, "of another inode");
	inode.mode = S_IFBLK; /* several files stand for one device */
	CHECK_EQUAL(page_cache_open(&made.kernel, &inode, &cache, NULL), KIOKU_OK);
	inode.mapping = 0;
	CHECK_EQUAL(page_cache_open(&made.kernel, &inode, &cache, NULL), KIOKU_ERROR_NOT_FOUND);
	inode.mapping = MAPPING + 4;
	CHECK_EQUAL(page_cache_open(&made.kernel, &inode, &cache, NULL), KIOKU_ERROR_CORRUPT);
	inode.mapping = 0x1000;
	CHECK_EQUAL(page_cache_open(&made.kernel, &inode, &cache, NULL), KIOKU_ERROR_CORRUPT);
	inode = (struct inode){ .address = INODE, .mapping = MAPPING, .size = -1 };
	CHECK_EQUAL(page_cache_open(&made.kernel, &inode, &cache, NULL), KIOKU_OK);
	CHECK_EQUAL(cache.size, 0);
	made_close(&made);
}

TAP_MAIN(TEST(gives_runs_in_a_row), TEST(reads_pages_of_tmpfs), TEST(believes_no_page_of_others),
	 TEST(reads_folios), TEST(counts_slots_of_large_folios), TEST(refuses_mappings_of_others))
