/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Seeds are short: the magic is what the last bytes of an input are, the rest what the header begins with. */
#include <string.h>

#include "format/swap_format.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct swap_header header;
	size_t front = size > 10 ? size - 10 : 0;

	swap_header_decode((struct bytes){ data, size }, &header);
	uint8_t *page = calloc(1, SWAP_PAGE_SIZE); /* of its own, so that a byte too many is seen */
	FUZZ_CHECK(page);
	memcpy(page + 1024, data, front < 2048 ? front : 2048);
	if (size >= 10)
		memcpy(page + SWAP_PAGE_SIZE - 10, data + size - 10, 10);
	if (swap_header_decode((struct bytes){ page, SWAP_PAGE_SIZE }, &header) == SWAP_HEADER_AREA)
		FUZZ_CHECK(memcmp(page + 1036, header.uuid, SWAP_UUID_SIZE) == 0);
	FUZZ_CHECK(swap_header_decode((struct bytes){ page, SWAP_PAGE_SIZE - 1 }, &header) ==
		   SWAP_HEADER_NONE);
	free(page);
	return 0;
}
