/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* LiME images, laid out as struct lime_mem_range_header of LiME's lime.h says. */
#include "format/lime_format.h"
#include "source/source.h"
#include "test_image.h"

static void put_header(struct image *image, uint64_t start, uint64_t last)
{
	put_bytes(image, "EMiL\1\0\0\0", 8);
	put(image, 8, start);
	put(image, 8, last);
	put(image, 8, 0);
}

static void put_record(struct image *image, uint64_t start, size_t size, uint8_t byte)
{
	put_header(image, start, start + size - 1);
	put_fill(image, byte, size);
}

static void decodes_a_header(void)
{
	static const uint8_t raw[] = { 0x45, 0x4d, 0x69, 0x4c, 1, 0, 0, 0,
				       0x00, 0xf0, 0x1f, 0,    0, 0, 0, 0,
				       0xff, 0xf3, 0x2f, 0,    0, 0, 0, 0,
				       0,    0,    0,    0,    0, 0, 0, 0 };
	struct bytes bytes = { raw, sizeof(raw) };
	struct lime_header header;

	CHECK(lime_is_magic(bytes) && !lime_is_compressed(bytes));
	CHECK(!lime_header_decode(bytes, &header));
	CHECK_EQUAL(header.start, 0x1ff000);
	CHECK_EQUAL(header.last, 0x2ff3ff);
	bytes.size--;
	CHECK_SAYS(lime_header_decode(bytes, &header), "cut short");
}

static void reads_records(void)
{
	struct image image = { 0 };
	struct heard heard;
	char buffer[4];

	put_record(&image, 0x1000, 0xc00, 'a'); /* ends within a page, as 0x9fbff does */
	put_record(&image, 0x100000, 0x1000, 'b');
	put_record(&image, 0x101000, 0x1000, 'c'); /* goes on: the same range */
	AUTO_SOURCE struct kioku_source *source = open_image(&image, &heard);
	CHECK(source && heard.gaps + heard.others == 0);
	CHECK_SAYS(kioku_source_format(source), "lime");
	CHECK_EQUAL(range_count(source), 2);
	CHECK_RANGE(source, 0, 0x1000, 0xc00, KIOKU_RANGE_PRESENT);
	CHECK_RANGE(source, 1, 0x100000, 0x2000, KIOKU_RANGE_PRESENT);
	CHECK_EQUAL(byte_at(source, 0x1bff), 'a');
	CHECK_EQUAL(byte_at(source, 0x1c00), -1);
	CHECK_EQUAL(kioku_source_read(source, 0x100ffe, buffer, 4, NULL), KIOKU_OK);
	CHECK(memcmp(buffer, "bbcc", 4) == 0);
	CHECK_EQUAL(source_end(source), 0x102000);
	CHECK_EQUAL(source_placement_count(source), 1);

	struct bytes run; /* one piece of the file, so not beyond the next header */
	CHECK(source_map(source, 0x100800, 0x4000, &run));
	CHECK_EQUAL(run.size, 0x800);
}

static void takes_any_order_and_overlap(void)
{
	struct image image = { 0 };
	struct heard heard;

	put_record(&image, 0x5000, 0x1000, 'a');
	put_record(&image, 0x4000, 0x3000, 'b');
	AUTO_SOURCE struct kioku_source *source = open_image(&image, &heard);
	CHECK_RANGE(source, 0, 0x4000, 0x3000, KIOKU_RANGE_PRESENT);
	CHECK_EQUAL(byte_at(source, 0x4fff), 'b');
	CHECK_EQUAL(byte_at(source, 0x5000), 'a');
	CHECK_EQUAL(byte_at(source, 0x6000), 'b');
}

static void keeps_what_a_truncated_image_has(void)
{
	struct image image = { 0 };
	struct heard heard;
	struct kioku_error error;
	char buffer[2];

	put_record(&image, 0, 0x1000, 'a');
	put_header(&image, 0x10000, 0x10fff);
	put_fill(&image, 'b', 0x123);
	AUTO_SOURCE struct kioku_source *source = open_image(&image, &heard);
	CHECK_EQUAL(heard.gaps, 1);
	CHECK_SAYS(heard.last, "3805 bytes of memory are missing");
	CHECK_SAYS(heard.last, "0x10123");
	CHECK_EQUAL(range_count(source), 3);
	CHECK_RANGE(source, 1, 0x10000, 0x123, KIOKU_RANGE_PRESENT);
	CHECK_RANGE(source, 2, 0x10123, 0xedd, KIOKU_RANGE_UNREADABLE);
	CHECK_EQUAL(kioku_source_read(source, 0x10122, buffer, 2, &error), KIOKU_ERROR_ABSENT);
	CHECK_EQUAL(error.address, 0x10123);
	CHECK_SAYS(error.message, "truncated");
	CHECK_EQUAL(source_end(source), 0x11000);
}

static void keeps_what_comes_before_garbage(void)
{
	struct image image = { 0 };
	struct heard heard;

	put_record(&image, 0, 0x1000, 'a');
	put_fill(&image, 0, 100);
	put_record(&image, 0x1000, 0x1000, 'b');
	AUTO_SOURCE struct kioku_source *source = open_image(&image, &heard);
	CHECK_EQUAL(heard.gaps, 1);
	CHECK_SAYS(heard.last, "record 1 at file offset 0x1020");
	CHECK_SAYS(heard.last, "4228 bytes");
	CHECK_EQUAL(range_count(source), 1);
}

static void refuses_bad_first_records(void)
{
	static const struct {
		const char *header;
		uint64_t start, last;
		const char *says;
	} cases[] = {
		{ "EMiL\2\0\0\0", 0, 0xfff, "version" },
		{ "EMiL\1\0\0\0", 0x1000, 0xfff, "ends before it starts" },
		{ "EMiL\1\0\0\0", UINT64_MAX, 0, "ends before it starts" },
		{ "EMiL\1\0\0\0", 0, UINT64_MAX, "all of the address space" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct image image = { 0 };
		struct heard heard;
		put_bytes(&image, cases[i].header, 8);
		put(&image, 8, cases[i].start);
		put(&image, 8, cases[i].last);
		put_fill(&image, 0, 8 + 0x1000);
		CHECK(!open_image(&image, &heard));
		CHECK_EQUAL(heard.status, KIOKU_ERROR_CORRUPT);
		CHECK_SAYS(heard.error.message, "record 0 at file offset 0x0");
		CHECK_SAYS(heard.error.message, cases[i].says);
	}
}

static void survives_absurd_sizes(void)
{
	struct image image = { 0 };
	struct heard heard;

	put_record(&image, 0x1000, 0x1000, 'a');
	put_header(&image, 1, UINT64_MAX);
	put_fill(&image, 'b', 16);
	AUTO_SOURCE struct kioku_source *source = open_image(&image, &heard);
	CHECK_EQUAL(heard.gaps, 2); /* cut short, and beyond any machine */
	CHECK_EQUAL(byte_at(source, 16), 'b');
	CHECK_EQUAL(byte_at(source, 0x1000), 'a');
	CHECK_EQUAL(byte_at(source, 0x2000), -1);
	CHECK_EQUAL(byte_at(source, UINT64_MAX), -1);

	uint64_t physical = 0x2000;
	CHECK_EQUAL(source_next_data(source, &physical, UINT64_MAX), 0);
}

/* AVML writes a record per 16 MiB at most, others one per page. */
static void takes_many_records(void)
{
	const size_t count = 200000;
	AUTO_FREE uint8_t *data = calloc(count, 33);
	struct heard heard;

	for (size_t i = 0; i < count; i++) {
		uint64_t physical = (count - i) * 2;
		memcpy(data + i * 33, "EMiL\1", 5);
		memcpy(data + i * 33 + 8, &physical, 8); /* the tests run on little-endian */
		memcpy(data + i * 33 + 16, &physical, 8);
		data[i * 33 + 32] = (uint8_t)i;
	}
	alarm(10);
	AUTO_SOURCE struct kioku_source *source = open_as("", data, count * 33, &heard);
	CHECK_EQUAL(range_count(source), count);
	for (size_t i = 0; i < count; i++)
		CHECK_EQUAL(byte_at(source, (count - i) * 2), (uint8_t)i);
	CHECK_EQUAL(byte_at(source, 3), -1);
}

/* Data that begins within a page of the file must not make a caller step past a page of memory. */
static void next_data_is_whole_pages(void)
{
	AUTO_CLOSE int descriptor = memfd_create("sparse", MFD_CLOEXEC);
	struct image image = { 0 };
	struct kioku_source *source;
	uint64_t physical = 0;

	put_header(&image, 0, 0xfffff);
	CHECK(pwrite(descriptor, image.data, image.size, 0) == (ssize_t)image.size);
	CHECK(pwrite(descriptor, "x", 1, 0x50000) == 1);
	CHECK(ftruncate(descriptor, 0x100020) == 0);
	CHECK_EQUAL(kioku_source_open(file_path(descriptor), NULL, &source, NULL), KIOKU_OK);
	CHECK_EQUAL(source_next_data(source, &physical, UINT64_MAX) & 4095, 0);
	CHECK_EQUAL(physical, 0);
	physical = 0x20000;
	CHECK_EQUAL(source_next_data(source, &physical, UINT64_MAX), 0x2000);
	CHECK_EQUAL(physical, 0x4f000); /* the byte is at 0x4ffe0 */
	kioku_source_close(source);
}

static void survives_every_truncation(void)
{
	struct image image = { 0 };

	put_record(&image, 0x1000, 40, 'a');
	put_record(&image, 0x2000, 7, 'b');
	put_record(&image, 0x100000000, 33, 'c');
	check_every_truncation("", &image);
	check_every_truncation("lime:", &image);
}

static void names_compressed_images(void)
{
	struct heard heard;
	uint8_t zlib[100] = { 0x38, 0x8d }; /* deflate, 2 KiB, checksum */

	CHECK(!open_as("", zlib, sizeof(zlib), &heard));
	CHECK_EQUAL(heard.status, KIOKU_ERROR_UNSUPPORTED);
	CHECK_SAYS(heard.error.message, "zlib");
	uint8_t page[4096] = { 0x38, 0x8d }; /* memory can begin like that too */
	AUTO_SOURCE struct kioku_source *source = open_as("", page, sizeof(page), &heard);
	CHECK_SAYS(kioku_source_format(source), "raw");
}

TAP_MAIN(TEST(decodes_a_header), TEST(reads_records), TEST(takes_any_order_and_overlap),
	 TEST(keeps_what_a_truncated_image_has), TEST(keeps_what_comes_before_garbage),
	 TEST(refuses_bad_first_records), TEST(survives_absurd_sizes), TEST(takes_many_records),
	 TEST(next_data_is_whole_pages), TEST(survives_every_truncation),
	 TEST(names_compressed_images))
