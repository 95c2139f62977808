/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/monitor_format.h"
#include "fuzz.h"

static void check_part(struct bytes text, struct bytes part)
{
	FUZZ_CHECK(part.data >= text.data && part.size <= text.size &&
		   (size_t)(part.data - text.data) <= text.size - part.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes text = { data, size }, name;
	struct monitor_region region;
	struct kioku_cpu cpu;
	unsigned major, minor;
	bool damaged;

	for (size_t offset = 0, before = 0; monitor_next_region(text, &offset, &region, &damaged);
	     before = offset) {
		FUZZ_CHECK(offset > before && offset <= size);
		FUZZ_CHECK(region.size > 0 && region.size - 1 <= UINT64_MAX - region.start);
		check_part(text, region.name);
		if (!memchr(region.name.data, '/', region.name.size))
			FUZZ_CHECK(region.name.size == 0 || monitor_is_of(&region, region.name));
	}
	for (size_t offset = 0, before = 0; monitor_next_backend(text, &offset, &name);
	     before = offset) {
		FUZZ_CHECK(offset > before && offset <= size);
		check_part(text, name);
	}
	for (size_t offset = 0, before = 0; monitor_next_cpu(text, &offset, &cpu); before = offset)
		FUZZ_CHECK(offset > before && offset <= size);
	if (monitor_version(text, &major, &minor))
		FUZZ_CHECK(major < 1000000 && minor < 1000000);
	return 0;
}
