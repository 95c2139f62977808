/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/iomem_format.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes text = { data, size };
	struct iomem_resource resource;
	struct range_map ram = { 0 };
	uint64_t listed = 0, lines = 0;

	for (size_t offset = 0, before = 0; offset < size; before = offset) {
		if (iomem_decode(text, &offset, &resource)) {
			FUZZ_CHECK(resource.first <= resource.last);
			lines += iomem_is_ram(&resource);
		}
		FUZZ_CHECK(offset > before && offset <= size);
	}
	if (iomem_list_ram(text, &ram) == IOMEM_OK) {
		FUZZ_CHECK(ram.count > 0 && ram.count <= lines);
		for (size_t i = 0; i < ram.count; i++) {
			FUZZ_CHECK(ram.extents[i].start >= listed && ram.extents[i].size > 0);
			FUZZ_CHECK(ram.extents[i].offset == ram.extents[i].start);
			listed = ram.extents[i].start + ram.extents[i].size;
		}
	}
	range_map_release(&ram);
	return 0;
}
