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
	out->build_id_distance = load_le64(data + 24);
	out->banner_distance = load_le64(data + 32);
	out->base_distance = load_le64(data + 40);
	out->symbols_offset = load_le64(data + 48);
	out->symbols_size = load_le64(data + 56);
	out->types_offset = load_le64(data + 64);
	out->types_size = load_le64(data + 72);
	out->build_id_size = load_le32(data + 80);
	out->banner_size = load_le32(data + 84);
	memcpy(out->build_id, data + 88, sizeof(out->build_id));
	memcpy(out->banner, data + 120, sizeof(out->banner));
	out->types_are_foreign = load_le32(data + 632) & FLAG_FOREIGN;
	decode_text(data + 640, out->symbols_evidence, sizeof(out->symbols_evidence));
	decode_text(data + 832, out->types_evidence, sizeof(out->types_evidence));
	decode_text(data + 1024, out->forced, sizeof(out->forced));
	out->evidence_offset = load_le64(data + 1328);
	out->evidence_size = load_le64(data + 1336);
	decode_text(data + 1344, out->source_version, sizeof(out->source_version));
	decode_text(data + 1408, out->local_version, sizeof(out->local_version));
	if (out->source_version[0])
		return out->build_id_size == 0 && out->banner_size == 0 && out->symbols_size == 0;
	return out->build_id_size > 0 && out->build_id_size <= sizeof(out->build_id) &&
	       out->banner_size > 0 && out->banner_size <= sizeof(out->banner);
}

void profile_header_encode(const struct profile_header *header, uint8_t out[PROFILE_HEADER_SIZE])
{
	memset(out, 0, PROFILE_HEADER_SIZE);
	memcpy(out, PROFILE_MAGIC, sizeof(PROFILE_MAGIC) - 1);
	memcpy(out + PROFILE_DIGEST_OFFSET, header->digest, sizeof(header->digest));
	store_le64(out + 24, header->build_id_distance);
	store_le64(out + 32, header->banner_distance);
	store_le64(out + 40, header->base_distance);
	store_le64(out + 48, header->symbols_offset);
	store_le64(out + 56, header->symbols_size);
	store_le64(out + 64, header->types_offset);
	store_le64(out + 72, header->types_size);
	store_le32(out + 80, header->build_id_size);
	store_le32(out + 84, header->banner_size);
	memcpy(out + 88, header->build_id, sizeof(header->build_id));
	memcpy(out + 120, header->banner, sizeof(header->banner));
	store_le32(out + 632, header->types_are_foreign ? FLAG_FOREIGN : 0);
	memcpy(out + 640, header->symbols_evidence, sizeof(header->symbols_evidence));
	memcpy(out + 832, header->types_evidence, sizeof(header->types_evidence));
	memcpy(out + 1024, header->forced, sizeof(header->forced));
	store_le64(out + 1328, header->evidence_offset);
	store_le64(out + 1336, header->evidence_size);
	memcpy(out + 1344, header->source_version, sizeof(header->source_version));
	memcpy(out + 1408, header->local_version, sizeof(header->local_version));
}
