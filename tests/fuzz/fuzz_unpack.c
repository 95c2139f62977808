/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What gzip or xz packed: a file of types, a kernel, a configuration. */
#include "base/unpack.h"
#include "fuzz.h"

#define LIMIT (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes packed = { data, size };
	void *out = NULL, *again = NULL;
	size_t got = 0;

	if (unpack(packed, LIMIT, &out, &got, NULL) != KIOKU_OK)
		return 0;
	FUZZ_CHECK(unpack_packer(packed) != PACKER_NONE && got <= LIMIT);
	FUZZ_CHECK(unpack_exactly(packed, got, &again) == KIOKU_OK);
	FUZZ_CHECK(got == 0 || memcmp(out, again, got) == 0);
	free(out);
	free(again);
	FUZZ_CHECK(unpack_exactly(packed, got + 1, &again) == KIOKU_ERROR_CORRUPT);
	FUZZ_CHECK(got == 0 || unpack_exactly(packed, got - 1, &again) == KIOKU_ERROR_CORRUPT);
	return 0;
}
