/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What either side may hear: a run of messages. */
#include "format/transfer_format.h"
#include "fuzz.h"

/* What was decoded must come out as it came in. */
static void check_round_trip(const struct transfer_message *message, const uint8_t *data,
			     size_t size)
{
	static uint8_t again[TRANSFER_MESSAGE_LIMIT];

	size_t encoded = transfer_encode(message, again);
	FUZZ_CHECK(encoded + message->data.size == size);
	FUZZ_CHECK(memcmp(again, data, encoded) == 0);
	if (message->data.size > 0)
		FUZZ_CHECK(message->data.data == data + encoded);
}

static bool is_of_another_version(const struct transfer_message *message)
{
	return (message->type == TRANSFER_HELLO || message->type == TRANSFER_RESUME ||
		message->type == TRANSFER_WELCOME) &&
	       message->version != TRANSFER_VERSION;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct transfer_message message;
	enum transfer_type type;
	uint32_t payload;

	while (size >= TRANSFER_HEADER_SIZE &&
	       transfer_header_decode(data, &type, &payload, NULL) == KIOKU_OK) {
		FUZZ_CHECK(payload <= TRANSFER_PAYLOAD_LIMIT);
		if (payload > size - TRANSFER_HEADER_SIZE)
			break;
		struct bytes bytes = { data + TRANSFER_HEADER_SIZE, payload };
		if (transfer_decode(type, bytes, &message, NULL) == KIOKU_OK &&
		    !is_of_another_version(&message))
			check_round_trip(&message, data, TRANSFER_HEADER_SIZE + payload);
		if (transfer_name_is_valid(message.name, NULL))
			FUZZ_CHECK(!memchr(message.name.data, '/', message.name.size));
		(void)transfer_name_is_valid(message.name, "image.lime");
		data += TRANSFER_HEADER_SIZE + payload;
		size -= TRANSFER_HEADER_SIZE + payload;
	}
	return 0;
}
