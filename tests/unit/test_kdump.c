/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* kdump images written byte by byte, plain and flattened, and the cache that their pages go through. */
#include <sys/resource.h>

#include "format/kdump_format.h"
#include "source/channel.h"
#include "source/driver.h"
#include "source/page_codec.h"
#include "test_image.h"

#define BLOCK 4096u

enum { BITMAPS = 2 * BLOCK, PAGES = 4 * BLOCK };

static const char vmcoreinfo[] = "OSRELEASE=6.1.0\n";

static void put_at(struct image *image, size_t offset, unsigned size, uint64_t value)
{
	for (unsigned i = 0; i < size; i++)
		image->data[offset + i] = (uint8_t)(value >> 8 * i);
}

/* Header, sub-header and bitmaps of an x86-64 machine of so many pages, one byte of bitmap each. */
static void put_headers(struct image *image, uint64_t pages, uint8_t exists, uint8_t dumped)
{
	*image = (struct image){ .size = PAGES };
	memcpy(image->data, "KDUMP   ", 8);
	put_at(image, 8, 4, 6);
	memcpy(image->data + 12 + 4 * 65, "x86_64", 6);
	put_at(image, 0x1ac, 4, BLOCK);
	put_at(image, 0x1b0, 4, 1); /* blocks of the sub-header */
	put_at(image, 0x1b4, 4, 2); /* and of both bitmaps */
	put_at(image, 0x1b8, 4, pages);
	put_at(image, BLOCK, 8, 0x1234567); /* phys_base, which is not to be believed */
	put_at(image, BLOCK + 96, 8, pages);
	put_at(image, BITMAPS, 1, exists);
	put_at(image, BITMAPS + BLOCK, 1, dumped);
}

static void put_notes(struct image *image)
{
	size_t text = BLOCK + 200, notes = BLOCK + 300;

	memcpy(image->data + text, vmcoreinfo, sizeof(vmcoreinfo) - 1);
	put_at(image, BLOCK + 32, 8, text);
	put_at(image, BLOCK + 40, 8, sizeof(vmcoreinfo) - 1);
	put_at(image, notes, 4, 5);
	put_at(image, notes + 4, 4, 440);
	memcpy(image->data + notes + 12, "QEMU", 5);
	put_at(image, notes + 20 + 56, 8, 0xffffc90000000010);
	put_at(image, notes + 20 + 136, 8, 0xffffffff81000040);
	put_at(image, notes + 20 + 416, 8, 0x2000);
	put_at(image, BLOCK + 48, 8, notes);
	put_at(image, BLOCK + 56, 8, 12 + 8 + 440);
}

/* The descriptor of that number, and its bytes at the end of the image. */
static void put_page(struct image *image, size_t number, uint32_t flags, const void *data,
		     size_t size)
{
	size_t at = PAGES + number * KDUMP_PAGE_SIZE;

	put_at(image, at, 8, image->size);
	put_at(image, at + 8, 4, size);
	put_at(image, at + 12, 4, flags);
	put_bytes(image, data, size);
}

static void put_stored(struct image *image, size_t number, uint8_t byte)
{
	uint8_t page[BLOCK];

	memset(page, byte, sizeof(page));
	put_page(image, number, 0, page, sizeof(page));
}

/* 4096 times "a", by zlib's compress(). */
static const uint8_t zlib_page[] = { 0x78, 0x9c, 0xed, 0xc1, 0x01, 0x0d, 0x00, 0x00, 0x00, 0xc2,
				     0xa0, 0xac, 0xef, 0x5f, 0xc2, 0x1e, 0x0e, 0x28, 0x00, 0x00,
				     0x00, 0xe0, 0xdd, 0x00, 0xef, 0xcb, 0x10, 0x5b };
/* 4096 times "b": a literal, and a match of distance 1. */
static const uint8_t lzo_page[] = { 18, 'b', 0x20, 0, 0, 0, 0,   0, 0, 0,    0, 0,
				    0,  0,   0,    0, 0, 0, 237, 0, 0, 0x11, 0, 0 };
/* 4096 times "d": an RLE block. */
static const uint8_t zstd_page[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x60, 0, 0x0f, 3, 0x80, 0, 'd' };

static void put_snappy(struct image *image, size_t number)
{
	uint8_t page[4 + 64 * 3] = { 0x80, 0x20, 0, 'c' };

	/* 63 copies of 64 bytes from 1 back, and one of 63. */
	for (size_t i = 0; i < 64; i++)
		memcpy(page + 4 + 3 * i, (uint8_t[]){ i < 63 ? 0xfe : 0xfa, 1, 0 }, 3);
	put_page(image, number, KDUMP_SNAPPY, page, sizeof(page));
}

/* Pages 1 and 2, 3 left out, 4 to 6; 7 is where no memory is. */
static void put_all(struct image *image)
{
	put_headers(image, 8, 0x7e, 0x76);
	put_notes(image);
	image->size += 5 * KDUMP_PAGE_SIZE;
	put_page(image, 0, KDUMP_ZLIB, zlib_page, sizeof(zlib_page));
	put_page(image, 1, KDUMP_LZO, lzo_page, sizeof(lzo_page));
	if (page_codec_missing(PAGE_SNAPPY))
		put_stored(image, 2, 'c');
	else
		put_snappy(image, 2);
	if (page_codec_missing(PAGE_ZSTD))
		put_stored(image, 3, 'd');
	else
		put_page(image, 3, KDUMP_ZSTD, zstd_page, sizeof(zstd_page));
	put_stored(image, 4, 'e');
}

static void check_all(struct kioku_source *source)
{
	static const char expected[] = "ab\0cde";
	struct kioku_error error;
	uint8_t buffer[2 * BLOCK];
	struct bytes bytes;
	size_t count;

	CHECK_SAYS(kioku_source_format(source), "kdump");
	CHECK_EQUAL(range_count(source), 3);
	CHECK_RANGE(source, 0, 0x1000, 0x2000, KIOKU_RANGE_PRESENT);
	CHECK_RANGE(source, 1, 0x3000, 0x1000, KIOKU_RANGE_EXCLUDED);
	CHECK_RANGE(source, 2, 0x4000, 0x3000, KIOKU_RANGE_PRESENT);
	for (uint64_t i = 0; i < 6; i++) {
		CHECK_EQUAL(byte_at(source, (i + 1) * BLOCK), expected[i] ? expected[i] : -1);
		CHECK_EQUAL(byte_at(source, (i + 2) * BLOCK - 1), expected[i] ? expected[i] : -1);
	}
	CHECK_EQUAL(byte_at(source, 0), -1);
	CHECK_EQUAL(kioku_source_read(source, 0x1800, buffer, 0x1000, NULL), KIOKU_OK);
	CHECK(buffer[0] == 'a' && buffer[0x7ff] == 'a' && buffer[0x800] == 'b');
	CHECK_EQUAL(kioku_source_read(source, 0x2ff0, buffer, 0x20, &error), KIOKU_ERROR_ABSENT);
	CHECK_EQUAL(error.address, 0x3000);
	CHECK_SAYS(error.message, "left out");
	CHECK(!source_map(source, 0x1000, 1, &bytes));

	uint64_t physical = 0;
	CHECK_EQUAL(source_next_data(source, &physical, UINT64_MAX), 0x2000);
	CHECK_EQUAL(physical, 0x1000);
	physical = 0x3000;
	CHECK_EQUAL(source_next_data(source, &physical, 0x5000), 0x1000);
	CHECK_EQUAL(physical, 0x4000);

	const char *text = kioku_source_vmcoreinfo(source, &count);
	CHECK(text && count == sizeof(vmcoreinfo) - 1 && memcmp(text, vmcoreinfo, count) == 0);
	const struct kioku_cpu *cpus = kioku_source_cpus(source, &count);
	CHECK(count == 1 && cpus[0].cr3 == 0x2000 && cpus[0].rip == 0xffffffff81000040);
	CHECK_EQUAL(cpus[0].rsp, 0xffffc90000000010);
}

static void put_big_endian(struct image *image, uint64_t value)
{
	image->big_endian = true;
	put(image, 8, value);
}

static void flatten_start(struct image *out)
{
	*out = (struct image){ 0 };
	put_bytes(out, "makedumpfile\0\0\0", 16);
	put_big_endian(out, 1);
	put_big_endian(out, 1);
	out->size = 4096;
}

static void flatten_record(struct image *out, const struct image *plain, size_t start, size_t size)
{
	put_big_endian(out, start);
	put_big_endian(out, size);
	put_bytes(out, plain->data + start, size);
}

static void flatten_end(struct image *out)
{
	put_big_endian(out, UINT64_MAX);
	put_big_endian(out, UINT64_MAX);
}

static void reads_every_compression(void)
{
	struct image image;
	struct heard heard;

	put_all(&image);
	AUTO_SOURCE struct kioku_source *source = open_image(&image, &heard);
	CHECK(heard.status == KIOKU_OK && heard.gaps == 0 && heard.others == 0);
	check_all(source);
}

/* Its pages go through a cache that is not for several threads. */
static void has_one_channel_at_a_time(void)
{
	struct image image;
	struct heard heard;
	struct source_channel *channel, *other;
	char byte;

	put_all(&image);
	AUTO_SOURCE struct kioku_source *source = open_image(&image, &heard);
	CHECK_EQUAL(source_channel_open(source, &channel, NULL), KIOKU_OK);
	CHECK(!source_channel_is_free(channel));
	CHECK_EQUAL(source_channel_read(channel, 0x2fff, &byte, 1, NULL), KIOKU_OK);
	CHECK_EQUAL(byte, 'b');
	CHECK_EQUAL(source_channel_open(source, &other, NULL), KIOKU_ERROR_UNSUPPORTED);
	CHECK(!other);
	source_channel_close(channel);
	CHECK_EQUAL(source_channel_open(source, &channel, NULL), KIOKU_OK);
	source_channel_close(channel);
}

/* Pieces from the last to the first; one was wrong at first and is written again. */
static void reads_flattened_images(void)
{
	struct image image, other, flat;
	struct heard heard;

	put_all(&image);
	other = image;
	memset(other.data, 0x55, 900);
	flatten_start(&flat);
	flatten_record(&flat, &other, 0, 900);
	for (size_t end = image.size; end > 0; end -= end < 1000 ? end : 1000)
		flatten_record(&flat, &image, end < 1000 ? 0 : end - 1000, end < 1000 ? end : 1000);
	flatten_end(&flat);
	AUTO_SOURCE struct kioku_source *source = open_image(&flat, &heard);
	CHECK(heard.status == KIOKU_OK && heard.gaps == 0);
	check_all(source);
}

/* What no record wrote is zero; a compressed page of zeros that is not there would be one, too. */
static void holes_are_zero_only_in_whole_files(void)
{
	struct image image, flat;
	struct heard heard;

	put_headers(&image, 2, 3, 3);
	image.size += 2 * KDUMP_PAGE_SIZE;
	put_stored(&image, 0, 0);
	put_stored(&image, 1, 'b');
	flatten_start(&flat);
	flatten_record(&flat, &image, 0, PAGES + 2 * KDUMP_PAGE_SIZE);
	flatten_record(&flat, &image, image.size - BLOCK, BLOCK);
	AUTO_SOURCE struct kioku_source *cut = open_image(&flat, &heard);
	CHECK(cut && heard.gaps > 0);
	CHECK_RANGE(cut, 0, 0, 0x1000, KIOKU_RANGE_UNREADABLE);
	CHECK_RANGE(cut, 1, 0x1000, 0x1000, KIOKU_RANGE_PRESENT);
	flatten_end(&flat);
	AUTO_SOURCE struct kioku_source *whole = open_image(&flat, &heard);
	CHECK(whole && heard.gaps == 0);
	CHECK(byte_at(whole, 5) == 0 && byte_at(whole, 0x1005) == 'b');
}

static void survives_every_truncation(void)
{
	struct image image, flat;

	put_all(&image);
	check_every_truncation("", &image);
	flatten_start(&flat);
	for (size_t start = 0; start < image.size; start += 3000)
		flatten_record(&flat, &image, start,
			       image.size - start < 3000 ? image.size - start : 3000);
	flatten_end(&flat);
	check_every_truncation("kdump:", &flat);
}

static void lists_lost_pages(void)
{
	struct image image;
	struct heard heard;

	put_all(&image);
	put_at(&image, PAGES + 3 * KDUMP_PAGE_SIZE, 8, 0);
	put_at(&image, 0x1a8, 4, KDUMP_INCOMPLETE | KDUMP_ZLIB);
	AUTO_SOURCE struct kioku_source *source = open_image(&image, &heard);
	CHECK(heard.gaps == 2);
	CHECK_RANGE(source, 2, 0x4000, 0x1000, KIOKU_RANGE_PRESENT);
	CHECK_RANGE(source, 3, 0x5000, 0x1000, KIOKU_RANGE_UNREADABLE);
	CHECK_RANGE(source, 4, 0x6000, 0x1000, KIOKU_RANGE_PRESENT);
	CHECK(byte_at(source, 0x5000) == -1 && byte_at(source, 0x6000) == 'e');
}

static void damaged_pages_are_absent(void)
{
	struct image image;
	struct heard heard;
	struct kioku_error error;
	char byte;

	put_all(&image);
	image.data[PAGES + 5 * KDUMP_PAGE_SIZE + 3] ^= 0xff;      /* zlib's stream */
	put_at(&image, PAGES + KDUMP_PAGE_SIZE + 8, 4, 20);       /* LZO's, cut */
	put_at(&image, PAGES + 2 * KDUMP_PAGE_SIZE + 8, 4, 5000); /* more than a page */
	put_at(&image, PAGES + 3 * KDUMP_PAGE_SIZE + 12, 4, 3);   /* zlib and LZO */
	AUTO_SOURCE struct kioku_source *source = open_image(&image, &heard);
	CHECK(source);
	for (uint64_t physical = 0x1000; physical < 0x6000; physical += 0x1000)
		CHECK_EQUAL(byte_at(source, physical), -1);
	CHECK_EQUAL(byte_at(source, 0x6000), 'e');
	CHECK_EQUAL(kioku_source_read(source, 0x1010, &byte, 1, &error), KIOKU_ERROR_ABSENT);
	CHECK_EQUAL(error.address, 0x1010);
	CHECK_SAYS(error.message, "compressed bytes are damaged");
}

static void refuses_impossible_headers(void)
{
	static const struct {
		size_t offset;
		uint64_t value;
		const char *says;
	} cases[] = {
		{ 8, 7, "version" },
		{ 0x1ac, 0, "block size" },
		{ 0x1ac, 4097, "block size" },
		{ 0x1ac, 1 << 30, "block size" },
		{ 0x1b0, UINT32_MAX, "bitmaps" },
		{ 0x1b4, 0, "bitmaps" },
		{ 0x1b4, UINT32_MAX, "bitmaps" },
		{ BLOCK + 96, 1 << 20, "bitmaps" },
		{ BLOCK + 100, UINT32_MAX, "more pages" },
	};
	struct image image;
	struct heard heard;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		put_all(&image);
		put_at(&image, cases[i].offset, 4, cases[i].value);
		CHECK(!open_image(&image, &heard));
		CHECK_EQUAL(heard.status, KIOKU_ERROR_CORRUPT);
		CHECK_SAYS(heard.error.message, cases[i].says);
	}
	flatten_start(&image);
	put_big_endian(&image, UINT64_MAX - 4);
	put_big_endian(&image, 16);
	CHECK(!open_image(&image, &heard));
	CHECK_SAYS(heard.error.message, "record at file offset 0x1000");
}

static void one_part_of_a_split_image(void)
{
	struct image image;
	struct heard heard;

	put_headers(&image, 8, 0xff, 0xff);
	put_at(&image, BLOCK + 12, 4, 1);
	put_at(&image, BLOCK + 80, 8, 4);
	put_at(&image, BLOCK + 88, 8, 6);
	image.size += 2 * KDUMP_PAGE_SIZE;
	put_stored(&image, 0, 'x');
	put_stored(&image, 1, 'y');
	AUTO_SOURCE struct kioku_source *source = open_image(&image, &heard);
	CHECK(source && heard.gaps == 1);
	CHECK_SAYS(heard.last, "split");
	CHECK_EQUAL(range_count(source), 1);
	CHECK_RANGE(source, 0, 0x4000, 0x2000, KIOKU_RANGE_PRESENT);
	CHECK(byte_at(source, 0x4000) == 'x' && byte_at(source, 0x5fff) == 'y');
	CHECK(byte_at(source, 0x3fff) == -1 && byte_at(source, 0x6000) == -1);
}

/* As netdump wrote them: one bitmap, and a sub-header of another kind. */
static void reads_images_with_one_bitmap(void)
{
	struct image image;
	struct heard heard;

	put_headers(&image, 8, 0x14, 0);
	memcpy(image.data, "DISKDUMP", 8);
	put_at(&image, 0x1b4, 4, 1);
	memset(image.data + BITMAPS + BLOCK, 0, 2 * KDUMP_PAGE_SIZE);
	for (uint64_t i = 0; i < 2; i++) {
		put_at(&image, BITMAPS + BLOCK + i * KDUMP_PAGE_SIZE, 8, image.size);
		put_at(&image, BITMAPS + BLOCK + i * KDUMP_PAGE_SIZE + 8, 4, BLOCK);
		put_fill(&image, (uint8_t)('p' + i), BLOCK);
	}
	AUTO_SOURCE struct kioku_source *source = open_image(&image, &heard);
	CHECK(source && heard.gaps == 0);
	CHECK(byte_at(source, 0x2000) == 'p' && byte_at(source, 0x4000) == 'q');
	CHECK_EQUAL(byte_at(source, 0x3000), -1);
}

/* Reading a page a second time touches nothing and finds the same. */
static void caches_pages(void)
{
	struct recent_pages cache;
	const uint64_t far = 1ull << 40;

	CHECK(recent_pages_init(&cache, BLOCK));
	CHECK(!recent_pages_find(&cache, 0));
	for (uint64_t i = 0; i < RECENT_PAGES_SIZE / BLOCK; i++)
		*recent_pages_claim(&cache, i * BLOCK) = (uint8_t)i;
	for (uint64_t i = 0; i < RECENT_PAGES_SIZE / BLOCK; i++) {
		const uint8_t *page = recent_pages_find(&cache, i * BLOCK);
		CHECK(page && *page == (uint8_t)i);
	}
	*recent_pages_claim(&cache, far) = 42;
	CHECK(recent_pages_find(&cache, far));
	recent_pages_forget(&cache, far);
	CHECK(!recent_pages_find(&cache, far));
	recent_pages_release(&cache);
}

/* 1 TiB, every other page of which was dumped, in a file that is mostly a hole. */
static void opens_large_fragmented_images(void)
{
	const uint64_t pages = 1ull << 28, bitmap = pages / 8, table = 2 * BLOCK + 2 * bitmap;
	const uint64_t last = table + (pages / 2 - 1) * KDUMP_PAGE_SIZE, data = last + BLOCK;
	AUTO_FREE uint8_t *bits = malloc(bitmap);
	const char *folder = getenv("TMPDIR");
	AUTO_CLOSE int descriptor =
		open(folder ? folder : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	struct kioku_source_options options = { .size = sizeof(options), .diagnostic = hear };
	struct heard heard = { 0 };
	struct kioku_source *opened;
	struct image image;
	struct rusage usage;

	if (descriptor < 0 || ftruncate(descriptor, (off_t)(data + 2 * BLOCK)) != 0)
		SKIP("no sparse files in TMPDIR");
	put_headers(&image, pages, 0, 0);
	put_at(&image, 0x1b4, 4, 2 * bitmap / BLOCK);
	CHECK(pwrite(descriptor, image.data, 2 * BLOCK, 0) == 2 * BLOCK);
	memset(bits, 0xaa, bitmap);
	CHECK(pwrite(descriptor, bits, bitmap, 2 * BLOCK) == (ssize_t)bitmap);
	CHECK(pwrite(descriptor, bits, bitmap, (off_t)(2 * BLOCK + bitmap)) == (ssize_t)bitmap);
	image.size = 0;
	for (uint64_t i = 0; i < 2; i++) {
		put(&image, 8, data + i * BLOCK);
		put(&image, 8, BLOCK);
		put(&image, 8, 0);
	}
	CHECK(pwrite(descriptor, image.data, 48, (off_t)(last - 24)) == 48);
	CHECK(pwrite(descriptor, "here", 4, (off_t)(data + BLOCK)) == 4);

	alarm(60);
	options.diagnostic_user = &heard;
	CHECK_EQUAL(kioku_source_open(file_path(descriptor), &options, &opened, NULL), KIOKU_OK);
	AUTO_SOURCE struct kioku_source *source = opened;
	CHECK(heard.gaps == 0 && heard.others == 1);
	CHECK_SAYS(heard.last, "pieces");
	CHECK_EQUAL(byte_at(source, (pages - 1) * BLOCK), 'h');
	CHECK_EQUAL(byte_at(source, (pages - 2) * BLOCK), -1);
	CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
	CHECK(usage.ru_maxrss < 1024 * 1024);
}

TAP_MAIN(TEST(reads_every_compression), TEST(has_one_channel_at_a_time),
	 TEST(reads_flattened_images), TEST(holes_are_zero_only_in_whole_files),
	 TEST(survives_every_truncation), TEST(lists_lost_pages), TEST(damaged_pages_are_absent),
	 TEST(refuses_impossible_headers), TEST(one_part_of_a_split_image),
	 TEST(reads_images_with_one_bitmap), TEST(caches_pages),
	 TEST(opens_large_fragmented_images))
