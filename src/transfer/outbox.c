/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "transfer/outbox.h"

#include <stdlib.h>

static uint8_t **chunk_of(struct outbox *outbox, uint64_t position)
{
	return &outbox->chunks[position / OUTBOX_CHUNK % OUTBOX_CHUNKS];
}

static size_t left_in_chunk(uint64_t position, uint64_t size)
{
	uint64_t left = OUTBOX_CHUNK - position % OUTBOX_CHUNK;

	return (size_t)(left < size ? left : size);
}

bool outbox_has_room(const struct outbox *outbox, size_t size)
{
	return outbox->end - outbox->base + size <= outbox->window;
}

bool outbox_reserve(struct outbox *outbox, size_t size)
{
	uint64_t position = outbox->end - outbox->end % OUTBOX_CHUNK;

	for (; position < outbox->end + size; position += OUTBOX_CHUNK) {
		uint8_t **chunk = chunk_of(outbox, position);
		if (!*chunk)
			*chunk = outbox->spare_count > 0 ? outbox->spare[--outbox->spare_count]
							 : malloc(OUTBOX_CHUNK);
		if (!*chunk)
			return false;
	}
	return true;
}

void outbox_fill(struct outbox *outbox, uint64_t position, const void *data, size_t size)
{
	const uint8_t *from = data;

	while (size > 0) {
		size_t piece = left_in_chunk(position, size);
		memcpy(*chunk_of(outbox, position) + position % OUTBOX_CHUNK, from, piece);
		position += piece;
		from += piece;
		size -= piece;
	}
}

struct bytes outbox_at(const struct outbox *outbox, uint64_t position)
{
	const uint8_t *chunk = outbox->chunks[position / OUTBOX_CHUNK % OUTBOX_CHUNKS];

	if (position >= outbox->end)
		return (struct bytes){ 0 };
	return (struct bytes){ chunk + position % OUTBOX_CHUNK,
			       left_in_chunk(position, outbox->end - position) };
}

void outbox_acknowledge(struct outbox *outbox, uint64_t position)
{
	uint64_t last = position - position % OUTBOX_CHUNK;

	for (uint64_t at = outbox->base - outbox->base % OUTBOX_CHUNK; at < last;
	     at += OUTBOX_CHUNK) {
		uint8_t **chunk = chunk_of(outbox, at);
		outbox->spare[outbox->spare_count++] = *chunk;
		*chunk = NULL;
	}
	outbox->base = position;
}

void outbox_release(struct outbox *outbox)
{
	for (unsigned i = 0; i < OUTBOX_CHUNKS; i++)
		free(outbox->chunks[i]);
	while (outbox->spare_count > 0)
		free(outbox->spare[--outbox->spare_count]);
}
