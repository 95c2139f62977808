/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>

#include "format/rsp_format.h"
#include "fuzz.h"

#define ROOM 512u

/* What was made of data comes back, whatever the data. */
static void there_and_back(struct bytes data)
{
	size_t room = RSP_ENCODED_SIZE(data.size), used, size;
	uint8_t *packet = malloc(room), *out = malloc(data.size + 1);

	size_t made = rsp_encode(data, packet);
	FUZZ_CHECK(made <= room);
	struct bytes stream = { packet, made };
	FUZZ_CHECK(rsp_decode(stream, out, data.size, &used, &size) == RSP_PACKET);
	FUZZ_CHECK(used == made && size == data.size && memcmp(out, data.data, size) == 0);
	rsp_to_hex(data.data, data.size, packet);
	FUZZ_CHECK(rsp_from_hex((struct bytes){ packet, 2 * data.size }, out, data.size, &size));
	FUZZ_CHECK(size == data.size && memcmp(out, data.data, size) == 0);
	free(packet);
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *out = malloc(ROOM), *raw = malloc(ROOM); /* so that a sanitizer sees their ends */
	struct bytes stream = { data, size };
	size_t used, filled, decoded;
	uint64_t packet_size;

	while (stream.size > 0) {
		enum rsp_kind kind = rsp_decode(stream, out, ROOM, &used, &filled);
		FUZZ_CHECK(used <= stream.size && filled <= ROOM);
		if (kind == RSP_INCOMPLETE)
			FUZZ_CHECK(used == 0);
		if (used == 0)
			break;
		if (kind == RSP_PACKET) {
			struct bytes packet = { out, filled };
			FUZZ_CHECK(!rsp_from_hex(packet, raw, ROOM, &decoded) ||
				   (decoded == filled / 2 && !rsp_is_error(packet)));
			rsp_packet_size(packet, &packet_size);
			rsp_is_stop(packet);
		}
		stream = (struct bytes){ stream.data + used, stream.size - used };
	}
	if (size > 0)
		there_and_back((struct bytes){ data, size });
	free(out);
	free(raw);
	return 0;
}
