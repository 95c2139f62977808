/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/lzo_format.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t *page; /* exactly as large as it may write */
	size_t got;

	page = page ? page : malloc(4096);
	if (page)
		lzo_decode((struct bytes){ data, size }, page, 4096, &got);
	FUZZ_CHECK(!page || got <= 4096);
	return 0;
}
