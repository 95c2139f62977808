/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/lime_format.h"

bool lime_is_magic(struct bytes file)
{
	uint32_t magic;

	return bytes_le32(file, 0, &magic) && magic == LIME_MAGIC;
}

bool lime_is_compressed(struct bytes file)
{
	uint8_t method, flags;

	return bytes_u8(file, 0, &method) && bytes_u8(file, 1, &flags) && method == 0x38 &&
	       (method << 8 | flags) % 31 == 0;
}

const char *lime_header_decode(struct bytes head, struct lime_header *out)
{
	if (head.size < LIME_HEADER_SIZE)
		return "its header is cut short by the end of the file";
	if (load_le32(head.data + LIME_AT_MAGIC) != LIME_MAGIC)
		return "its header has no LiME magic number";
	if (load_le32(head.data + LIME_AT_VERSION) != LIME_VERSION)
		return "its header has a version other than 1";
	out->start = load_le64(head.data + LIME_AT_START);
	out->last = load_le64(head.data + LIME_AT_LAST);
	if (out->last < out->start)
		return "its header ends before it starts";
	if (out->last - out->start == UINT64_MAX)
		return "its header claims all of the address space";
	return NULL;
}

void lime_header_encode(const struct lime_header *header, uint8_t out[LIME_HEADER_SIZE])
{
	memset(out, 0, LIME_HEADER_SIZE);
	store_le32(out + LIME_AT_MAGIC, LIME_MAGIC);
	store_le32(out + LIME_AT_VERSION, LIME_VERSION);
	store_le64(out + LIME_AT_START, header->start);
	store_le64(out + LIME_AT_LAST, header->last);
}
