/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/lime_format.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes file = { data, size };
	struct lime_header header;

	lime_is_magic(file);
	lime_is_compressed(file);
	for (uint64_t offset = 0; offset < size; offset += LIME_HEADER_SIZE) {
		struct bytes head = { data + offset, size - offset };
		if (lime_header_decode(head, &header))
			continue;
		FUZZ_CHECK(header.start <= header.last);
		FUZZ_CHECK(header.last - header.start + 1 != 0);
		uint64_t record = header.last - header.start + 1;
		offset += record < size - offset ? record : size - offset;
	}
	return 0;
}
