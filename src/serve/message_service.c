/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the driver in a target tells of its adapter (NetTLP driver, nettlp_msg.c): a request is a
 * number of 4 bytes, and all numbers are as the target's CPU has them.
 */
#include "serve/endpoint.h"

enum {
	ASKS_BAR4 = 1,
	ASKS_DEVICE = 2,
	ASKS_VECTORS = 3,
	VECTOR_COUNT = 16,
	VECTOR_SIZE = 12, /* address and data */
	ANSWER_MAX = VECTOR_COUNT * VECTOR_SIZE,
};

/* Likely ones: no adapter is there, and nothing lies at these addresses. */
#define BAR4_ADDRESS   0xd0000000u
#define VECTOR_ADDRESS 0xfee00000u /* where MSI go on x86 */
#define VECTOR_DATA    0x4020u

static size_t answer(const struct endpoint *endpoint, uint32_t request, uint8_t out[ANSWER_MAX])
{
	switch (request) {
	case ASKS_BAR4: store_le64(out, BAR4_ADDRESS); return 8;
	case ASKS_DEVICE: store_le16(out, endpoint->options->requester); return 2;
	case ASKS_VECTORS:
		for (uint32_t i = 0; i < VECTOR_COUNT; i++) {
			store_le64(out + i * VECTOR_SIZE, VECTOR_ADDRESS);
			store_le32(out + i * VECTOR_SIZE + 8, VECTOR_DATA + i);
		}
		return ANSWER_MAX;
	}
	return 0;
}

void endpoint_receive_messages(struct endpoint *endpoint)
{
	struct batch *batch = &endpoint->batch;
	size_t count = endpoint_fill_batch(endpoint, endpoint->messages);
	uint8_t out[ANSWER_MAX];

	for (size_t i = 0; i < count; i++) {
		if (!endpoint_knows(endpoint, &batch->from[i]))
			continue;
		size_t size = batch->messages[i].msg_len == 4
				      ? answer(endpoint, load_le32(batch->data[i]), out)
				      : 0;
		endpoint->result->messages += size > 0;
		endpoint->result->malformed += size == 0;
		if (size > 0 &&
		    sendto(endpoint->messages, out, size, MSG_DONTWAIT,
			   (struct sockaddr *)&batch->from[i], sizeof(batch->from[i])) < 0)
			endpoint->result->unsent++;
	}
}
