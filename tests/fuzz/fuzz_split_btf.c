/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A module's BTF, which counts on from the kernel's: the input is both, one after the other. */
#include <string.h>

#include "visit_type.h"

/* Takes the first whole BTF of the input off it. */
static struct kioku_types *open_base(const uint8_t *data, size_t *size)
{
	struct kioku_types *types = NULL;
	uint64_t claimed = btf_claimed_size((struct bytes){ data, *size });
	size_t taken = claimed && claimed < *size ? claimed : *size;
	void *copy = malloc(taken ? taken : 1);

	FUZZ_CHECK(copy);
	if (taken)
		memcpy(copy, data, taken);
	*size = taken;
	return types_from_btf(copy, taken, &types, NULL) == KIOKU_OK ? types : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kioku_types *types = NULL;
	size_t taken = size;
	bool prints = true;

	struct kioku_types *base = open_base(data, &taken);
	if (!base)
		return 0;
	void *copy = malloc(size - taken + 1);
	FUZZ_CHECK(copy);
	memcpy(copy, data + taken, size - taken);
	if (types_from_split_btf(base, copy, size - taken, &types, NULL) == KIOKU_OK) {
		uint32_t count = kioku_types_count(types), own = kioku_types_count(base);
		FUZZ_CHECK(count > own);
		for (uint32_t id = own < 10 ? 0 : own - 10; id <= count && id < own + 40; id++)
			visit_type(types, id, &prints);
	}
	types_close(types);
	types_close(base);
	return 0;
}
