/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/bzimage_format.h"

enum {
	SETUP_SECTORS = 0x1f1,
	MAGIC = 0x202, /* "HdrS" */
	PROTOCOL = 0x206,
	PAYLOAD_OFFSET = 0x248,
	PAYLOAD_SIZE = 0x24c,
	SECTOR = 512,
	DEFAULT_SECTORS = 4,
};

bool bzimage_decode(struct bytes head, struct bzimage *out)
{
	uint16_t protocol;
	uint32_t offset, size;
	uint8_t sectors;

	if (!bytes_match(head, MAGIC, "HdrS") || !bytes_le16(head, PROTOCOL, &protocol) ||
	    protocol < 0x0208 || !bytes_u8(head, SETUP_SECTORS, &sectors) ||
	    !bytes_le32(head, PAYLOAD_OFFSET, &offset) || !bytes_le32(head, PAYLOAD_SIZE, &size))
		return false;
	out->payload = (uint64_t)(sectors ? sectors : DEFAULT_SECTORS) * SECTOR + SECTOR + offset;
	out->payload_size = size;
	return size > 4;
}
