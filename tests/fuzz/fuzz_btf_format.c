/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* BTF, all of whose types are looked at in every way. */
#include <string.h>

#include "visit_type.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct window window = { .data = data, .size = size };
	struct kioku_types *types = NULL;
	uint64_t offset, length;
	bool prints = true;

	if (btf_locate(&window, &offset, &length))
		FUZZ_CHECK(offset + length <= size);
	void *copy = malloc(size ? size : 1);
	FUZZ_CHECK(copy);
	if (size)
		memcpy(copy, data, size);
	if (types_from_btf(copy, size, &types, NULL) != KIOKU_OK)
		return 0;
	uint32_t count = kioku_types_count(types);
	for (uint32_t id = 0; id <= count && id < 50; id++)
		visit_type(types, id, &prints);
	types_close(types);
	return 0;
}
