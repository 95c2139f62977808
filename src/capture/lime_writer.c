/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* LiME version 1: a record for each range of memory that is there (format/lime_format.h). */
#include "capture/plan.h"
#include "format/lime_format.h"

static enum kioku_status begin(struct image_writer *writer, struct kioku_error *error)
{
	return KIOKU_OK;
}

/* The range that starts at an address, or NULL. */
static const struct plan_range *range_at(const struct plan *plan, uint64_t physical)
{
	size_t low = 0, high = plan->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (plan->ranges[middle].start < physical)
			low = middle + 1;
		else
			high = middle;
	}
	return low < plan->count && plan->ranges[low].start == physical ? &plan->ranges[low] : NULL;
}

static enum kioku_status data(struct image_writer *writer, const struct capture_block *block,
			      struct kioku_error *error)
{
	const struct plan_range *range = range_at(writer->plan, block->physical);
	uint8_t header[LIME_HEADER_SIZE];

	if (range) {
		struct lime_header record = { range->start, range->start + range->size - 1 };
		lime_header_encode(&record, header);
		TRY(writer_emit(writer, header, sizeof(header), error));
	}
	return writer_emit(writer, block->data, block->size, error);
}

/* A record that was not finished is one that was cut off. */
static enum kioku_status end(struct image_writer *writer, bool complete, struct kioku_error *error)
{
	return KIOKU_OK;
}

const struct writer_format lime_writer = {
	.public = { "lime", "lime", "LiME records: every range of memory with its address" },
	.begin = begin,
	.data = data,
	.end = end,
};
