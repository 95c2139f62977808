/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <endian.h>

#include "format/profile_format.h"

#define FLAG_FOREIGN 1u

static void decode_text(const uint8_t *from, char *out, size_t size)
{
	memcpy(out, from, size);
	out[size - 1] = '\0';
}

bool profile_header_decode(struct bytes bytes, struct profile_header *out)
{
	const uint8_t *data = bytes.data;

	if (!bytes_has(bytes, 0, PROFILE_HEADER_SIZE) || !bytes_match(bytes, 0, PROFILE_MAGIC))
		return false;
	memcpy(out->digest, data + PROFILE_DIGEST_OFFSET, sizeof(out->digest));
	out->build_id_distance = load_le64(data + 40);
	out->banner_distance = load_le64(data + 48);
	out->base_distance = load_le64(data + 56);
	out->symbols_offset = load_le64(data + 64);
	out->symbols_size = load_le64(data + 72);
	out->types_offset = load_le64(data + 80);
	out->types_size = load_le64(data + 88);
	out->build_id_size = load_le32(data + 96);
	out->banner_size = load_le32(data + 100);
	memcpy(out->build_id, data + 104, sizeof(out->build_id));
	memcpy(out->banner, data + 136, sizeof(out->banner));
	out->types_are_foreign = load_le32(data + 648) & FLAG_FOREIGN;
	decode_text(data + 656, out->symbols_evidence, sizeof(out->symbols_evidence));
	decode_text(data + 848, out->types_evidence, sizeof(out->types_evidence));
	decode_text(data + 1040, out->forced, sizeof(out->forced));
	return out->build_id_size > 0 && out->build_id_size <= sizeof(out->build_id) &&
	       out->banner_size > 0 && out->banner_size <= sizeof(out->banner);
}

void profile_header_encode(const struct profile_header *header, uint8_t out[PROFILE_HEADER_SIZE])
{
	memset(out, 0, PROFILE_HEADER_SIZE);
	memcpy(out, PROFILE_MAGIC, sizeof(PROFILE_MAGIC) - 1);
	memcpy(out + PROFILE_DIGEST_OFFSET, header->digest, sizeof(header->digest));
	store_le64(out + 40, header->build_id_distance);
	store_le64(out + 48, header->banner_distance);
	store_le64(out + 56, header->base_distance);
	store_le64(out + 64, header->symbols_offset);
	store_le64(out + 72, header->symbols_size);
	store_le64(out + 80, header->types_offset);
	store_le64(out + 88, header->types_size);
	store_le32(out + 96, header->build_id_size);
	store_le32(out + 100, header->banner_size);
	memcpy(out + 104, header->build_id, sizeof(header->build_id));
	memcpy(out + 136, header->banner, sizeof(header->banner));
	store_le32(out + 648, header->types_are_foreign ? FLAG_FOREIGN : 0);
	memcpy(out + 656, header->symbols_evidence, sizeof(header->symbols_evidence));
	memcpy(out + 848, header->types_evidence, sizeof(header->types_evidence));
	memcpy(out + 1040, header->forced, sizeof(header->forced));
}
