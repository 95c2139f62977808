/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/flattened_format.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct flattened flattened;
	uint64_t end = 0;

	if (flattened_decode((struct bytes){ data, size }, &flattened, NULL) == KIOKU_OK) {
		const struct range_map *records = &flattened.records;
		for (size_t i = 0; i < records->count; i++) {
			const struct extent *record = &records->extents[i];
			FUZZ_CHECK(record->start >= end && record->size > 0);
			FUZZ_CHECK(record->offset <= size && record->size <= size - record->offset);
			end = record->start + record->size;
		}
		FUZZ_CHECK(end <= flattened.size);
	}
	flattened_release(&flattened);
	return 0;
}
