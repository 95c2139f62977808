/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Digest files, for digests of all sizes. */
#include "format/digest_format.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t sizes[] = { 16, 20, 28, 32, 48, 64 };
	uint8_t digest[DIGEST_SIZE_MAX];
	bool is_bare;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		(void)digest_find((struct bytes){ data, size }, "image", sizes[i], digest,
				  &is_bare);
		(void)digest_find((struct bytes){ data, size }, "", sizes[i], digest, &is_bare);
	}
	return 0;
}
