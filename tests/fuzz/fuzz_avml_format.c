/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/avml_format.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes file = { data, size }, payload;
	struct snappy_chunk chunk;
	struct avml_header header;
	uint64_t offset = AVML_HEADER_SIZE;
	uint32_t content_size;

	avml_is_magic(file);
	snappy_checksum(data, size);
	if (avml_header_decode(file, &header))
		return 0;
	FUZZ_CHECK(header.start <= header.last && header.last - header.start + 1 != 0);
	while (offset < size) {
		struct bytes head = { data + offset, size - offset };
		if (snappy_chunk_decode(head, &chunk))
			break;
		offset += chunk.kind == SNAPPY_SKIPPED ? 4 : SNAPPY_CHUNK_HEAD_SIZE;
		FUZZ_CHECK(chunk.kind == SNAPPY_SKIPPED || chunk.size <= SNAPPY_PAYLOAD_LIMIT);
		if (!bytes_slice(file, offset, chunk.size, &payload))
			break;
		if (chunk.kind == SNAPPY_COMPRESSED && snappy_content_size(payload, &content_size))
			FUZZ_CHECK(content_size <= SNAPPY_CONTENT_LIMIT);
		offset += chunk.size;
	}
	return 0;
}
