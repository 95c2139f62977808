/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The note of a series, there and back, and damaged. */
#include <stdlib.h>
#include <string.h>

#include "base/scan.h"
#include "format/series_format.h"
#include "tap.h"

static const struct series_range segments[] = { { 0x1000, 0x3000, 6 }, { 0x4000, 0x1000, 4 } };
static const struct series_range runs[] = { { 0x1000, 0x1000, SERIES_STORED },
					    { 0x2000, 0x2000, SERIES_UNCHANGED },
					    { 0x4000, 0x1000, SERIES_ZERO } };
static const uint8_t digest[SERIES_DIGEST_SIZE] = "0123456789abcde";

static uint8_t *encode(size_t *size)
{
	struct series_moment moment = { .moment = 7,
					.id = { 1, 2, 3 },
					.segments = { .count = 2 },
					.runs = { .count = 3 },
					.digests = { digest, sizeof(digest) },
					.description = bytes_of_text("{\"pid\":1}") };

	*size = series_size(&moment);
	uint8_t *note = malloc(*size);
	series_encode(&moment, note);
	for (size_t i = 0; i < 2; i++)
		series_range_encode(&moment.segments, i, &segments[i]);
	for (size_t i = 0; i < 3; i++)
		series_range_encode(&moment.runs, i, &runs[i]);
	return note;
}

static void check_ranges(const struct series_ranges *ranges, const struct series_range *wanted,
			 size_t count)
{
	struct series_range range;
	uint64_t end = 0;

	CHECK_EQUAL(ranges->count, count);
	for (size_t i = 0; i < count; i++) {
		CHECK(series_range_decode(ranges, i, &end, &range));
		CHECK_EQUAL(range.start, wanted[i].start);
		CHECK_EQUAL(range.size, wanted[i].size);
		CHECK_EQUAL(range.what, wanted[i].what);
	}
	CHECK(!series_range_decode(ranges, count, &end, &range));
}

static void goes_there_and_back(void)
{
	struct series_moment moment;
	size_t size;
	uint8_t *note = encode(&size);

	CHECK(series_decode((struct bytes){ note, size }, &moment));
	CHECK_EQUAL(moment.moment, 7);
	CHECK(moment.id[0] == 1 && moment.id[2] == 3 && moment.id[15] == 0);
	check_ranges(&moment.segments, segments, 2);
	check_ranges(&moment.runs, runs, 3);
	CHECK_EQUAL(moment.digests.size, SERIES_DIGEST_SIZE);
	CHECK(memcmp(moment.digests.data, digest, sizeof(digest)) == 0);
	CHECK_EQUAL(moment.description.size, 9);
	free(note);
}

/* Its text may be cut, which leaves less of it; nothing else. */
static void refuses_what_is_cut(void)
{
	struct series_moment moment;
	size_t size;
	uint8_t *note = encode(&size);

	for (size_t left = 0; left < size; left++)
		CHECK(series_decode((struct bytes){ note, left }, &moment) == (left >= size - 9));
	free(note);
}

static void refuses_what_is_damaged(void)
{
	struct series_moment moment;
	struct series_range range;
	size_t size;
	uint8_t *note = encode(&size);
	uint64_t end = 0;

	note[0] = 2;
	CHECK(!series_decode((struct bytes){ note, size }, &moment));
	note[0] = 1;
	note[31] = 0x80; /* of the number of segments */
	CHECK(!series_decode((struct bytes){ note, size }, &moment));
	note[31] = 0;
	CHECK(series_decode((struct bytes){ note, size }, &moment));
	/* They do not ascend, are no pages, are empty, pass the end of addresses. */
	static const struct series_range bad[] = { { 0, 0x1000, 0 },
						   { 0x4001, 0x1000, 0 },
						   { 0x4000, 0x1001, 0 },
						   { 0x4000, 0, 0 },
						   { -UINT64_C(0x1000), 0x2000, 0 } };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		end = 0x4000;
		series_range_encode(&moment.segments, 1, &bad[i]);
		CHECK(!series_range_decode(&moment.segments, 1, &end, &range));
		CHECK_EQUAL(end, 0x4000);
	}
	free(note);
}

TAP_MAIN(TEST(goes_there_and_back), TEST(refuses_what_is_cut), TEST(refuses_what_is_damaged))
