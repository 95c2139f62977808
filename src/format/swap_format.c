/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/swap_format.h"

enum {
	VERSION = 1024,
	LAST_PAGE = 1028,
	BAD_PAGES = 1032,
	UUID = 1036,
	MAGIC = SWAP_PAGE_SIZE - 10,
	MAGIC_SIZE = 10,
};

enum swap_header_kind swap_header_decode(struct bytes page, struct swap_header *out)
{
	static const char area[MAGIC_SIZE] = "SWAPSPACE2", hibernated[MAGIC_SIZE] = "S1SUSPEND";

	if (!bytes_has(page, 0, SWAP_PAGE_SIZE) || load_le32(page.data + VERSION) != 1)
		return SWAP_HEADER_NONE;
	*out = (struct swap_header){ .last_page = load_le32(page.data + LAST_PAGE),
				     .bad_pages = load_le32(page.data + BAD_PAGES) };
	memcpy(out->uuid, page.data + UUID, SWAP_UUID_SIZE);
	if (memcmp(page.data + MAGIC, area, MAGIC_SIZE) == 0)
		return SWAP_HEADER_AREA;
	return memcmp(page.data + MAGIC, hibernated, MAGIC_SIZE) == 0 ? SWAP_HEADER_HIBERNATED
								      : SWAP_HEADER_NONE;
}
