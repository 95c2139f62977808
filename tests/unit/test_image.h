/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Images that a test writes byte by byte, and a source on them that remembers what it heard. */
#ifndef TESTS_UNIT_TEST_IMAGE_H
#define TESTS_UNIT_TEST_IMAGE_H

#include <fcntl.h>

#include <kioku/source.h>

#include "base/cleanup.h"
#include "tap.h"

struct image {
	uint8_t data[64 * 1024];
	size_t size;
	bool big_endian;
};

static inline void put_bytes(struct image *image, const void *data, size_t size)
{
	CHECK(size <= sizeof(image->data) - image->size);
	memcpy(image->data + image->size, data, size);
	image->size += size;
}

/* size bytes of a number, in the image's byte order. */
static inline void put(struct image *image, unsigned size, uint64_t value)
{
	for (unsigned i = 0; i < size; i++) {
		unsigned shift = 8 * (image->big_endian ? size - 1 - i : i);
		put_bytes(image, &(uint8_t){ (uint8_t)(value >> shift) }, 1);
	}
}

static inline void put_fill(struct image *image, uint8_t byte, size_t size)
{
	for (size_t i = 0; i < size; i++)
		put_bytes(image, &byte, 1);
}

/* A file that lives as long as the test; its path is good for one use at a time. */
static inline const char *file_path(int descriptor)
{
	static char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", descriptor);
	return path;
}

static inline int image_file(const void *data, size_t size)
{
	int descriptor = memfd_create("image", MFD_CLOEXEC);

	CHECK(descriptor >= 0);
	CHECK(write(descriptor, data, size) == (ssize_t)size);
	return descriptor;
}

/* What opening said. */
struct heard {
	unsigned gaps, others;
	char last[512];
	enum kioku_status status;
	struct kioku_error error;
};

static inline void hear(void *user, enum kioku_severity severity, const char *message)
{
	struct heard *heard = user;

	*(severity == KIOKU_GAP ? &heard->gaps : &heard->others) += 1;
	snprintf(heard->last, sizeof(heard->last), "%s", message);
}

/* NULL on failure; format is "" or "FORMAT:". */
static inline struct kioku_source *open_as(const char *format, const void *data, size_t size,
					   struct heard *heard)
{
	struct kioku_source_options options = { .size = sizeof(options),
						.diagnostic = hear,
						.diagnostic_user = heard };
	struct kioku_source *source;
	char where[128];
	int descriptor = image_file(data, size);

	*heard = (struct heard){ 0 };
	snprintf(where, sizeof(where), "%s%s", format, file_path(descriptor));
	heard->status = kioku_source_open(where, &options, &source, &heard->error);
	CHECK_EQUAL(heard->status, source ? KIOKU_OK : heard->error.status);
	close(descriptor);
	return source;
}

static inline struct kioku_source *open_image(const struct image *image, struct heard *heard)
{
	return open_as("", image->data, image->size, heard);
}

#define CHECK_RANGE(source, index, start_, size_, state_)                                   \
	do {                                                                                \
		size_t count_;                                                              \
		const struct kioku_range *ranges_ = kioku_source_ranges((source), &count_); \
		CHECK(count_ > (index));                                                    \
		CHECK_EQUAL(ranges_[index].start, (start_));                                \
		CHECK_EQUAL(ranges_[index].size, (size_));                                  \
		CHECK_EQUAL(ranges_[index].state, (state_));                                \
	} while (0)

static inline size_t range_count(const struct kioku_source *source)
{
	size_t count;

	kioku_source_ranges(source, &count);
	return count;
}

/* The byte at a physical address, or -1 if it is absent. */
static inline int byte_at(struct kioku_source *source, uint64_t physical)
{
	uint8_t byte;

	return kioku_source_read(source, physical, &byte, 1, NULL) == KIOKU_OK ? byte : -1;
}

/* Whether a cut at this size differs from those beside it: few do among thousands of equal bytes. */
static inline bool is_telling_cut(const struct image *image, size_t size)
{
	const uint8_t *data = image->data;

	return size < 2 || size % 61 == 0 || data[size - 2] != data[size - 1] ||
	       data[size - 1] != data[size];
}

/* Opens every beginning of an image: none may crash, and reading what is listed must work. */
static inline void check_every_truncation(const char *format, const struct image *image)
{
	for (size_t size = 1; size < image->size; size++) {
		struct heard heard;
		if (!is_telling_cut(image, size))
			continue;
		/* A copy of its own, so that a sanitizer sees a byte too many. */
		AUTO_FREE uint8_t *copy = malloc(size);
		memcpy(copy, image->data, size);
		struct kioku_source *source = open_as(format, copy, size, &heard);
		if (!source) {
			CHECK(heard.status == KIOKU_ERROR_CORRUPT ||
			      heard.status == KIOKU_ERROR_UNSUPPORTED);
			CHECK_SAYS(heard.error.message, "cannot open ");
			continue;
		}
		size_t count;
		const struct kioku_range *ranges = kioku_source_ranges(source, &count);
		bool missing = false;
		for (size_t i = 0; i < count; i++) {
			bool there = byte_at(source, ranges[i].start) >= 0 &&
				     byte_at(source, ranges[i].start + ranges[i].size - 1) >= 0;
			CHECK_EQUAL(there, ranges[i].state == KIOKU_RANGE_PRESENT);
			missing |= ranges[i].state == KIOKU_RANGE_UNREADABLE;
		}
		CHECK(!missing || heard.gaps > 0);
		kioku_source_close(source);
	}
}

#endif
