/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/flattened_format.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t end = 0, offset = FLATTENED_HEADER_SIZE;
	struct flattened flattened = { 0 };
	struct bytes file = { data, size }, raw;

	if (flattened_check_header(file, size, NULL) != KIOKU_OK)
		return 0;
	while (!flattened.complete && bytes_slice(file, offset, FLATTENED_RECORD_SIZE, &raw) &&
	       flattened_take_record(&flattened, raw.data, size, &offset, NULL) == KIOKU_OK)
		FUZZ_CHECK(flattened.complete || offset <= size);
	if (flattened_finish(&flattened, NULL) == KIOKU_OK) {
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
