/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/bytes.h"
#include "format/series_format.h"
#include "fuzz.h"

static void check(const struct series_ranges *ranges, struct bytes all)
{
	struct series_range range;
	uint64_t end = 0, before = 0;

	FUZZ_CHECK(ranges->bytes.data >= all.data &&
		   ranges->bytes.data + ranges->bytes.size <= all.data + all.size);
	for (size_t i = 0; series_range_decode(ranges, i, &end, &range); i++) {
		FUZZ_CHECK(range.size > 0 && range.start >= before && end > range.start);
		before = end;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct bytes all = { data, size };
	struct series_moment moment;

	if (!series_decode(all, &moment))
		return 0;
	FUZZ_CHECK(series_size(&moment) == size);
	check(&moment.segments, all);
	check(&moment.runs, all);
	return 0;
}
