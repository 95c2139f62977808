/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every byte at the file offset that is its physical address, and zeros between. */
#include <stdlib.h>

#include "capture/writer.h"

struct padded_state {
	uint64_t position; /* bytes emitted, which is also the next one's address */
};

static enum kioku_status begin(struct image_writer *writer, struct kioku_error *error)
{
	writer->state = calloc(1, sizeof(struct padded_state));
	return writer->state ? KIOKU_OK : error_no_memory(error);
}

static enum kioku_status pad(struct image_writer *writer, uint64_t physical,
			     struct kioku_error *error)
{
	struct padded_state *state = writer->state;

	if (physical > state->position)
		TRY(writer_emit_zeros(writer, physical - state->position, error));
	state->position = physical;
	return KIOKU_OK;
}

static enum kioku_status data(struct image_writer *writer, const struct capture_block *block,
			      struct kioku_error *error)
{
	struct padded_state *state = writer->state;

	TRY(pad(writer, block->physical, error));
	state->position += block->size;
	return writer_emit(writer, block->data, block->size, error);
}

/* The size of a whole image is that of the address space. */
static enum kioku_status end(struct image_writer *writer, bool complete, struct kioku_error *error)
{
	const struct plan *plan = writer->plan;

	if (!complete || plan->count == 0)
		return KIOKU_OK;
	const struct plan_range *last = &plan->ranges[plan->count - 1];
	return pad(writer, last->start + last->size, error);
}

static void release(struct image_writer *writer)
{
	free(writer->state);
}

const struct writer_format padded_writer = {
	.public = { "padded", "mem", "every byte at the offset of its address, zeros between" },
	.begin = begin,
	.data = data,
	.end = end,
	.release = release,
};
