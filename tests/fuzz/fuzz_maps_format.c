/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/maps_format.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes text = { data, size };
	struct mapping_list list = { 0 };
	struct mapping mapping;
	uint64_t end = 0;

	for (size_t offset = 0, before = 0; offset < size; before = offset) {
		if (maps_decode(text, &offset, &mapping)) {
			FUZZ_CHECK(mapping.start < mapping.end);
			FUZZ_CHECK((mapping.permissions & ~7u) == 0);
			FUZZ_CHECK(mapping.name.data >= data &&
				   mapping.name.data + mapping.name.size <= data + size);
			FUZZ_CHECK(mapping.flags == 0 || mapping.flags & MAPPING_FLAGS_KNOWN);
		}
		FUZZ_CHECK(offset > before && offset <= size);
	}
	FUZZ_CHECK(maps_list(text, &list) != MAPS_NO_MEMORY);
	for (size_t i = 0; i < list.count; i++) {
		FUZZ_CHECK(list.mappings[i].start >= end);
		end = list.mappings[i].end;
		FUZZ_CHECK(end > list.mappings[i].start);
		FUZZ_CHECK(mapping_list_find(&list, end - 1) == &list.mappings[i]);
	}
	mapping_list_release(&list);
	return 0;
}
