/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A folder for images, memory to put into them, and what a capture said. */
#ifndef TESTS_UNIT_TEST_CAPTURE_H
#define TESTS_UNIT_TEST_CAPTURE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include <kioku/capture.h>
#include <kioku/verify.h>

#include "format/lime_format.h"
#include "format/manifest_format.h"
#include "source/source.h"
#include "tap.h"
#include "test_image.h"

/* A new folder, and every relative path is in it. */
static inline void enter_folder(void)
{
	const char *root = getenv("TMPDIR");
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/kioku-capture-XXXXXX", root ? root : "/tmp");
	CHECK(mkdtemp(path) && chdir(path) == 0);
}

/* All files but one, or NULL. */
static inline void remove_all_but(const char *kept)
{
	DIR *folder = opendir(".");
	const struct dirent *entry;

	while (folder && (entry = readdir(folder)))
		if (!kept || strcmp(entry->d_name, kept) != 0)
			unlink(entry->d_name);
	closedir(folder);
}

static inline void leave_folder(void)
{
	char path[PATH_MAX];

	remove_all_but(NULL);
	CHECK(getcwd(path, sizeof(path)) && chdir("/") == 0 && rmdir(path) == 0);
}

/* Physical memory that says where it is, with pages of zeros between. */
static inline uint8_t memory_byte(uint64_t physical)
{
	uint64_t page = physical / 4096;

	return page % 5 == 3 ? 0 : (uint8_t)(physical * 31 + page * 7 + (physical >> 20) + 1);
}

struct test_range {
	uint64_t start, size;
};

/* Sub-page ends, a hole within a page, more than a block, an unaligned start, a large gap. */
static const struct test_range test_ranges[] = {
	{ 0x1000, 0x9dbff },
	{ 0x100000, (5u << 20) + 0x23 },
	{ 0x700123, 0x2f1000 },
	{ 0x10000000, (2u << 20) + 1 },
};

#define TEST_RANGE_COUNT (sizeof(test_ranges) / sizeof(*test_ranges))

static inline uint64_t test_memory_size(void)
{
	uint64_t size = 0;

	for (size_t i = 0; i < TEST_RANGE_COUNT; i++)
		size += test_ranges[i].size;
	return size;
}

static inline void write_range(FILE *file, struct test_range range)
{
	struct lime_header header = { range.start, range.start + range.size - 1 };
	uint8_t bytes[LIME_HEADER_SIZE];

	lime_header_encode(&header, bytes);
	CHECK(fwrite(bytes, sizeof(bytes), 1, file) == 1);
	for (uint64_t i = 0; i < range.size; i++)
		putc(memory_byte(range.start + i), file);
}

/* The memory as a LiME image of the name. */
static inline void write_memory(const char *path)
{
	FILE *file = fopen(path, "w");

	CHECK(file);
	for (size_t i = 0; i < TEST_RANGE_COUNT; i++)
		write_range(file, test_ranges[i]);
	CHECK(fclose(file) == 0);
}

static inline struct kioku_source *open_path(const char *path)
{
	struct kioku_error error = { 0 };
	struct kioku_source *source;

	if (kioku_source_open(path, NULL, &source, &error) != KIOKU_OK)
		tap_fail(__FILE__, __LINE__, "%s", error.message);
	return source;
}

static inline void check_memory(struct kioku_source *source, struct test_range range)
{
	AUTO_FREE uint8_t *buffer = malloc(range.size);

	CHECK_EQUAL(kioku_source_read(source, range.start, buffer, range.size, NULL), KIOKU_OK);
	for (uint64_t i = 0; i < range.size; i++)
		if (buffer[i] != memory_byte(range.start + i))
			tap_fail(__FILE__, __LINE__, "physical 0x%llx differs",
				 (unsigned long long)(range.start + i));
}

/* Whether an image holds the memory. */
static inline void check_image(const char *path)
{
	AUTO_SOURCE struct kioku_source *source = open_path(path);

	for (size_t i = 0; i < TEST_RANGE_COUNT; i++)
		check_memory(source, test_ranges[i]);
}

struct test_capture {
	struct kioku_capture_options options;
	struct kioku_capture_result result;
	struct kioku_error error;
	enum kioku_status status;
	struct heard heard;
};

static inline void capture_init(struct test_capture *test)
{
	*test = (struct test_capture){
		.options = { .size = sizeof(test->options),
			     .digests = KIOKU_DIGEST_MD5 | KIOKU_DIGEST_SHA256,
			     .diagnostic = hear },
	};
}

static inline enum kioku_status capture_from(struct test_capture *test, struct kioku_source *source,
					     const char *destination)
{
	test->heard = (struct heard){ 0 };
	test->error = (struct kioku_error){ 0 };
	test->options.diagnostic_user = &test->heard;
	test->status =
		kioku_capture(source, destination, &test->options, &test->result, &test->error);
	if (test->status != KIOKU_OK)
		CHECK_EQUAL(test->error.status, test->status);
	return test->status;
}

static inline enum kioku_status capture_path(struct test_capture *test, const char *path,
					     const char *destination)
{
	AUTO_SOURCE struct kioku_source *source = open_path(path);

	return capture_from(test, source, destination);
}

static inline bool exists(const char *path)
{
	return access(path, F_OK) == 0;
}

static inline uint64_t file_size(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 ? (uint64_t)status.st_size : 0;
}

static inline struct kioku_verify_result verify_image(const char *image)
{
	struct kioku_verify_options options = { .size = sizeof(options) };
	struct kioku_verify_result result = { 0 };
	struct kioku_error error = { 0 };

	if (kioku_verify(image, &options, &result, &error) != KIOKU_OK)
		tap_fail(__FILE__, __LINE__, "%s: %s", image, error.message);
	return result;
}

static inline struct bytes read_file(const char *path)
{
	size_t size = file_size(path);
	uint8_t *data = malloc(size + 1);
	int descriptor = open(path, O_RDONLY | O_CLOEXEC);

	CHECK(data && descriptor >= 0 && read(descriptor, data, size) == (ssize_t)size);
	data[size] = '\0';
	close(descriptor);
	return (struct bytes){ data, size };
}

static inline void read_manifest(const char *path, struct manifest *out)
{
	struct bytes text = read_file(path);
	struct kioku_error error = { 0 };

	if (manifest_decode(text, out, &error) != KIOKU_OK)
		tap_fail(__FILE__, __LINE__, "%s: %s", path, error.message);
	free((void *)text.data);
}

#endif
