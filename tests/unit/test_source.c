/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What all sources have in common, and raw images. */
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "source/driver.h"
#include "test_image.h"

#define GIB (1ull << 30)

/* A sparse file on the file system of TMPDIR, with "here" at each of some offsets. */
static int sparse_file(uint64_t size, const uint64_t *offsets, size_t count)
{
	const char *folder = getenv("TMPDIR");
	int descriptor = open(folder ? folder : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (descriptor < 0 || ftruncate(descriptor, (off_t)size) != 0)
		SKIP("no sparse files in TMPDIR");
	for (size_t i = 0; i < count; i++)
		CHECK(pwrite(descriptor, "here", 4, (off_t)offsets[i]) == 4);
	return descriptor;
}

static struct kioku_source *open_placed(int descriptor, const struct kioku_placement *placements,
					size_t count, struct kioku_error *error)
{
	struct kioku_source_options options = { .size = sizeof(options),
						.placements = placements,
						.placement_count = count };
	struct kioku_source *source;

	*error = (struct kioku_error){ 0 };
	CHECK_EQUAL(kioku_source_open(file_path(descriptor), &options, &source, error),
		    source ? KIOKU_OK : error->status);
	return source;
}

static void reads_a_raw_image(void)
{
	struct heard heard;
	uint8_t data[3 * 4096 + 5], buffer[5000];
	struct kioku_error error;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 256);
	AUTO_SOURCE struct kioku_source *source = open_as("", data, sizeof(data), &heard);
	CHECK_SAYS(kioku_source_format(source), "raw");
	CHECK_EQUAL(range_count(source), 1);
	CHECK_RANGE(source, 0, 0, sizeof(data), KIOKU_RANGE_PRESENT);
	CHECK_EQUAL(source_end(source), sizeof(data));
	CHECK_EQUAL(source_placement_count(source), 1);
	CHECK_EQUAL(kioku_source_read(source, 4000, buffer, 5000, NULL), KIOKU_OK);
	CHECK(memcmp(buffer, data + 4000, 5000) == 0);
	CHECK_EQUAL(kioku_source_read(source, 99, NULL, 0, NULL), KIOKU_OK);

	CHECK_EQUAL(kioku_source_read(source, 3 * 4096, buffer, 6, &error), KIOKU_ERROR_ABSENT);
	CHECK_EQUAL(error.address, 3 * 4096 + 5);
	CHECK_SAYS(error.message, "physical address 0x3005 is not in the image");
	CHECK_EQUAL(kioku_source_read(source, UINT64_MAX, buffer, 2, NULL), KIOKU_ERROR_ABSENT);
	CHECK(source_has(source, 0, sizeof(data)) && source_has(source, UINT64_MAX, 0));
	CHECK(!source_has(source, 1, sizeof(data)) && !source_has(source, UINT64_MAX, 1));

	size_t count;
	CHECK(!kioku_source_vmcoreinfo(source, &count) && count == 0);
	kioku_source_cpus(source, &count);
	CHECK_EQUAL(count, 0);
}

static void maps_without_copying(void)
{
	struct heard heard;
	uint8_t data[8192] = { [4097] = 42 };
	struct bytes bytes;

	AUTO_SOURCE struct kioku_source *source = open_as("raw:", data, sizeof(data), &heard);
	CHECK(source_map(source, 4097, 100, &bytes));
	CHECK(bytes.size == 100 && bytes.data[0] == 42);
	CHECK(source_map(source, 4097, UINT64_MAX, &bytes));
	CHECK_EQUAL(bytes.size, 4095);
	CHECK(!source_map(source, 8192, 1, &bytes));
}

static void counts_what_it_costs(void)
{
	struct heard heard;
	uint8_t data[16 * 4096] = { 0 }, buffer[2][4096];
	struct bytes bytes;

	AUTO_SOURCE struct kioku_source *source = open_as("", data, sizeof(data), &heard);
	struct kioku_source_stats stats = kioku_source_stats(source);
	CHECK(stats.bytes == 4096 && stats.requests == 0 && stats.rounds == 0);
	CHECK_EQUAL(kioku_source_read(source, 2 * 4096 - 1, buffer, 2, NULL), KIOKU_OK);
	CHECK_EQUAL(kioku_source_read(source, 2 * 4096, buffer, 8, NULL), KIOKU_OK);
	stats = kioku_source_stats(source);
	CHECK(stats.bytes == 3 * 4096 && stats.requests == 2 && stats.rounds == 2);

	struct kioku_read reads[] = { { 0x1000, buffer[0], 4096, KIOKU_ERROR_OS },
				      { 0x8000, buffer[1], 4096, KIOKU_ERROR_OS },
				      { 0xfff0, buffer[1], 17, KIOKU_OK } };
	kioku_source_read_many(source, reads, 3);
	CHECK(reads[0].status == KIOKU_OK && reads[1].status == KIOKU_OK);
	CHECK_EQUAL(reads[2].status, KIOKU_ERROR_ABSENT);
	stats = kioku_source_stats(source);
	CHECK(stats.bytes == 5 * 4096 && stats.requests == 5 && stats.rounds == 3);

	CHECK(source_map(source, 0xa000, 0x2000, &bytes));
	stats = kioku_source_stats(source);
	CHECK(stats.bytes == 7 * 4096 && stats.requests == 6 && stats.rounds == 4);
	kioku_source_read_many(source, NULL, 0);
	CHECK_EQUAL(kioku_source_stats(source).rounds, 4);
}

/* 64 GiB, of which 3 pages exist: must open and scan at once and cost next to nothing. */
static void opens_large_sparse_images(void)
{
	const uint64_t offsets[] = { 0x5000, 33 * GIB + 17, 64 * GIB - 4 };
	AUTO_CLOSE int descriptor = sparse_file(64 * GIB, offsets, 3);
	struct kioku_error error;
	char text[4];

	alarm(10);
	AUTO_SOURCE struct kioku_source *source = open_placed(descriptor, NULL, 0, &error);
	CHECK_EQUAL(kioku_source_read(source, 64 * GIB - 4, text, 4, NULL), KIOKU_OK);
	CHECK(memcmp(text, "here", 4) == 0);
	CHECK_EQUAL(kioku_source_read(source, 10 * GIB, text, 4, NULL), KIOKU_OK);
	CHECK(memcmp(text, "\0\0\0\0", 4) == 0);
	CHECK_EQUAL(kioku_source_stats(source).bytes, 3 * 4096);

	uint64_t physical = 0, total = 0, size;
	size_t found = 0;
	while ((size = source_next_data(source, &physical, source_end(source))) > 0) {
		if (found < 3 && offsets[found] >= physical && offsets[found] < physical + size)
			found++;
		physical += size;
		total += size;
	}
	CHECK_EQUAL(found, 3);
	CHECK(total < 64 << 20); /* some file systems allocate in large pieces */

	struct rusage usage;
	CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
	CHECK(usage.ru_maxrss < 512 * 1024);
}

static void next_data_keeps_to_its_bounds(void)
{
	const uint64_t offsets[] = { 0x10000, 0x80000 };
	AUTO_CLOSE int descriptor = sparse_file(0x100000, offsets, 2);
	struct kioku_error error;
	uint64_t physical;

	AUTO_SOURCE struct kioku_source *source = open_placed(descriptor, NULL, 0, &error);
	physical = 0x10003;
	CHECK_EQUAL(source_next_data(source, &physical, 0x10007), 4);
	CHECK_EQUAL(physical, 0x10003);
	physical = 0x20000;
	CHECK_EQUAL(source_next_data(source, &physical, 0x80000), 0);
	physical = 0x100000;
	CHECK_EQUAL(source_next_data(source, &physical, UINT64_MAX), 0);
	physical = 5;
	CHECK_EQUAL(source_next_data(source, &physical, 5), 0);
}

static void guesses_where_high_memory_is(void)
{
	const uint64_t offsets[] = { 0x80000000, 0xc0000000, 0xe0000000, 0x40000000 };
	AUTO_CLOSE int large = sparse_file(5 * GIB, offsets, 4);
	AUTO_CLOSE int small = sparse_file(0x80000000, NULL, 0);
	AUTO_CLOSE int middle = sparse_file(0xc0000000 + 4096, NULL, 0);
	struct kioku_error error;

	AUTO_SOURCE struct kioku_source *source = open_placed(large, NULL, 0, &error);
	CHECK_EQUAL(source_placement_count(source), 5);
	CHECK_EQUAL(source_end(source), 5 * GIB);
	CHECK_EQUAL(byte_at(source, 0x80000000), 'h');
	for (size_t i = 0; i < 4; i++) {
		source_select_placement(source, i + 1);
		CHECK_EQUAL(range_count(source), 2);
		CHECK_RANGE(source, 0, 0, offsets[i], KIOKU_RANGE_PRESENT);
		CHECK_RANGE(source, 1, 4 * GIB, 5 * GIB - offsets[i], KIOKU_RANGE_PRESENT);
		CHECK_EQUAL(byte_at(source, offsets[i]), -1);
		CHECK_EQUAL(byte_at(source, 4 * GIB), 'h');
		CHECK_EQUAL(byte_at(source, 9 * GIB - offsets[i]), -1);
	}

	AUTO_SOURCE struct kioku_source *whole = open_placed(small, NULL, 0, &error);
	CHECK_EQUAL(source_placement_count(whole), 1);
	AUTO_SOURCE struct kioku_source *two = open_placed(middle, NULL, 0, &error);
	CHECK_EQUAL(source_placement_count(two), 4);
	source_select_placement(two, 2);
	CHECK_RANGE(two, 1, 4 * GIB, 4096, KIOKU_RANGE_PRESENT);

	/* Whoever knows where memory ends knows where the hole began. */
	CHECK_EQUAL(source_placement_ending_at(source, 9 * GIB - offsets[2], 0), 3);
	CHECK_EQUAL(source_placement_ending_at(source, 5 * GIB, 0), 0);
	size_t made = source_placement_ending_at(source, 9 * GIB - 0x61000000, 0);
	CHECK_EQUAL(made, 5);
	source_select_placement(source, made);
	CHECK_RANGE(source, 0, 0, 0x61000000, KIOKU_RANGE_PRESENT);
	CHECK_RANGE(source, 1, 4 * GIB, 5 * GIB - 0x61000000, KIOKU_RANGE_PRESENT);
	CHECK_EQUAL(source_placement_ending_at(source, 3 * GIB, 0), SIZE_MAX);
}

static void places_as_told(void)
{
	static const char text[] = "0123456789abcdef";
	const struct kioku_placement placements[] = { { 0x200000, 6, 10 },
						      { 0x1000, 10, 0 },
						      { 0x100a, 2, 14 } };
	AUTO_CLOSE int descriptor = image_file(text, 16);
	struct kioku_error error;
	char buffer[12];

	AUTO_SOURCE struct kioku_source *source = open_placed(descriptor, placements, 3, &error);
	CHECK(source);
	CHECK_EQUAL(source_placement_count(source), 1);
	CHECK_EQUAL(range_count(source), 2); /* neighbours are one range */
	CHECK_RANGE(source, 0, 0x1000, 12, KIOKU_RANGE_PRESENT);
	CHECK_RANGE(source, 1, 0x200000, 6, KIOKU_RANGE_PRESENT);
	CHECK_EQUAL(kioku_source_read(source, 0x1000, buffer, 12, NULL), KIOKU_OK);
	CHECK(memcmp(buffer, "0123456789ef", 12) == 0);
	CHECK(source_has(source, 0x1000, 12) && !source_has(source, 0x1000, 13));
	CHECK_EQUAL(byte_at(source, 0x200005), 'f');
	CHECK_EQUAL(byte_at(source, 0), -1);
}

static void refuses_impossible_placements(void)
{
	static const struct {
		struct kioku_placement placements[2];
		const char *says;
	} cases[] = {
		{ { { 0, 8, 0 }, { 7, 1, 8 } }, "overlaps" },
		{ { { 100, 8, 0 }, { 100, 8, 8 } }, "overlaps" },
		{ { { 0, 8, 0 }, { 50, 8, 9 } }, "outside the file" },
		{ { { 0, 8, 0 }, { 50, 1, 17 } }, "outside the file" },
		{ { { 0, 8, 0 }, { 50, UINT64_MAX - 60, 17 } }, "outside the file" },
		{ { { 0, 8, 0 }, { 50, 0, 0 } }, "is empty" },
		{ { { 0, 8, 0 }, { UINT64_MAX - 3, 8, 0 } }, "passes the end" },
	};
	AUTO_CLOSE int descriptor = image_file("0123456789abcdef", 16);
	AUTO_CLOSE int lime = image_file("EMiL\1\0\0\0", 8);
	struct kioku_error error;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		CHECK(!open_placed(descriptor, cases[i].placements, 2, &error));
		CHECK_EQUAL(error.status, KIOKU_ERROR_ARGUMENT);
		CHECK_SAYS(error.message, cases[i].says);
	}
	CHECK(!open_placed(lime, &(struct kioku_placement){ 0, 1, 0 }, 1, &error));
	CHECK_EQUAL(error.status, KIOKU_ERROR_ARGUMENT);
	CHECK_SAYS(error.message, "this is a LiME image");
}

/* A caller of before the diagnostic was added gives a shorter structure. */
static void takes_older_options(void)
{
	AUTO_CLOSE int descriptor = image_file("x", 1);
	struct kioku_source_options options;
	struct kioku_source *source;
	struct kioku_error error;

	memset(&options, 0xff, sizeof(options));
	options.size = offsetof(struct kioku_source_options, placements);
	CHECK_EQUAL(kioku_source_open(file_path(descriptor), &options, &source, &error), KIOKU_OK);
	kioku_source_close(source);
	options.size = 0;
	CHECK_EQUAL(kioku_source_open(file_path(descriptor), &options, &source, &error),
		    KIOKU_ERROR_ARGUMENT);
	CHECK(!source);
}

static void expect_refusal(const char *where, enum kioku_status status, const char *says)
{
	struct kioku_source *source;
	struct kioku_error error = { 0 };

	CHECK_EQUAL(kioku_source_open(where, NULL, &source, &error), status);
	CHECK(!source);
	CHECK_EQUAL(error.status, status);
	CHECK_SAYS(error.message, "cannot open ");
	CHECK_SAYS(error.message, says);
	CHECK_EQUAL(kioku_source_open(where, NULL, &source, NULL), status);
}

static void refuses_what_is_no_file(void)
{
	int ends[2];

	CHECK(pipe(ends) == 0);
	expect_refusal("/nowhere/image", KIOKU_ERROR_OS, "No such file");
	expect_refusal("raw:/nowhere/image", KIOKU_ERROR_OS, "No such file");
	expect_refusal("kdump:image", KIOKU_ERROR_OS, "No such file");
	expect_refusal("/", KIOKU_ERROR_ARGUMENT, "directory");
	expect_refusal("/dev/zero", KIOKU_ERROR_UNSUPPORTED, "character device");
	expect_refusal(file_path(ends[0]), KIOKU_ERROR_UNSUPPORTED, "pipe");
	AUTO_CLOSE int empty = image_file("", 0);
	expect_refusal(file_path(empty), KIOKU_ERROR_CORRUPT, "empty");
}

static void names_formats_it_cannot_read(void)
{
	struct heard heard;
	uint8_t page[4096] = "LibvirtQemudSave";

	CHECK(!open_as("", page, sizeof(page), &heard));
	CHECK_EQUAL(heard.status, KIOKU_ERROR_UNSUPPORTED);
	CHECK_SAYS(heard.error.message, "libvirt");
	AUTO_SOURCE struct kioku_source *source = open_as("raw:", page, sizeof(page), &heard);
	CHECK(source);
	CHECK(!open_as("lime:", page, sizeof(page), &heard));
	CHECK_EQUAL(heard.status, KIOKU_ERROR_CORRUPT);
	CHECK(!open_as("elf:", page, sizeof(page), &heard));
	CHECK_EQUAL(heard.status, KIOKU_ERROR_CORRUPT);
	CHECK(!open_as("kdump:", page, sizeof(page), &heard));
	CHECK_EQUAL(heard.status, KIOKU_ERROR_CORRUPT);
	AUTO_SOURCE struct kioku_source *padded = open_as("padded:", page, sizeof(page), &heard);
	CHECK_SAYS(kioku_source_format(padded), "raw");
}

static void a_colon_may_be_in_a_name(void)
{
	char folder[] = "/tmp/kioku-test-XXXXXX", name[64];
	struct kioku_source *source;

	CHECK(mkdtemp(folder) && chdir(folder) == 0);
	snprintf(name, sizeof(name), "backup:1");
	int descriptor = open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	CHECK(descriptor >= 0 && write(descriptor, "x", 1) == 1);
	close(descriptor);
	enum kioku_status status = kioku_source_open(name, NULL, &source, NULL);
	unlink(name);
	CHECK(chdir("/") == 0 && rmdir(folder) == 0);
	CHECK_EQUAL(status, KIOKU_OK);
	kioku_source_close(source);
}

/* No driver makes ranges of zeros yet, so this one is put together by hand. */
static void reads_across_states(void)
{
	struct heard heard;
	char buffer[8] = "xxxxxxxx";
	struct kioku_error error;
	struct range_map map = { 0 };
	struct bytes bytes;

	AUTO_SOURCE struct kioku_source *source = open_as("", "abcdefgh", 8, &heard);
	CHECK(range_map_add(&map, (struct extent){ 0x100, 2, 6, KIOKU_RANGE_PRESENT }));
	CHECK(range_map_add(&map, (struct extent){ 0x102, 3, 0, KIOKU_RANGE_ZERO }));
	CHECK(range_map_add(&map, (struct extent){ 0x105, 3, 0, KIOKU_RANGE_PRESENT }));
	CHECK(range_map_add(&map, (struct extent){ 0x108, 4, 0, KIOKU_RANGE_EXCLUDED }));
	CHECK_EQUAL(source_add_layout(source, &map, NULL), KIOKU_OK);
	source_select_placement(source, 1);

	CHECK_EQUAL(kioku_source_read(source, 0x100, buffer, 8, NULL), KIOKU_OK);
	CHECK(memcmp(buffer, "gh\0\0\0abc", 8) == 0);
	CHECK_EQUAL(kioku_source_read(source, 0x107, buffer, 2, &error), KIOKU_ERROR_ABSENT);
	CHECK_EQUAL(error.address, 0x108);
	CHECK_SAYS(error.message, "left out");
	CHECK(source_has(source, 0x101, 7) && !source_has(source, 0x101, 8));
	CHECK(!source_map(source, 0x102, 1, &bytes) && !source_map(source, 0x108, 1, &bytes));
	CHECK_EQUAL(source_end(source), 0x10c);
	CHECK_EQUAL(range_count(source), 4);

	uint64_t physical = 0;
	CHECK_EQUAL(source_next_data(source, &physical, UINT64_MAX), 2);
	physical += 2;
	CHECK_EQUAL(source_next_data(source, &physical, UINT64_MAX), 3);
	CHECK_EQUAL(physical, 0x105);
	physical += 3;
	CHECK_EQUAL(source_next_data(source, &physical, UINT64_MAX), 0);
}

TAP_MAIN(TEST(reads_a_raw_image), TEST(maps_without_copying), TEST(counts_what_it_costs),
	 TEST(opens_large_sparse_images), TEST(next_data_keeps_to_its_bounds),
	 TEST(guesses_where_high_memory_is), TEST(places_as_told),
	 TEST(refuses_impossible_placements), TEST(takes_older_options),
	 TEST(refuses_what_is_no_file), TEST(names_formats_it_cannot_read),
	 TEST(a_colon_may_be_in_a_name), TEST(reads_across_states))
