/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What happens to slots that are published: packing, writing, digests. */
#include "base/error.h"
#include "capture/image_output.h"

/* The image cannot go on: everybody is told, and no more memory is read. */
static void fail(struct image_output *output, const struct kioku_error *error)
{
	run_fail(output->run, error);
	ring_abort(&output->ring);
	run_stop(output->run);
}

static void fail_with(struct image_output *output, enum kioku_status status, const char *message)
{
	struct kioku_error error;

	error_set(&error, status, "%s", message);
	fail(output, &error);
}

static bool pack(struct image_output *output, void *context, struct output_slot *slot)
{
	const struct codec *codec = output->codec;

	if (slot->kind != SLOT_FRAME)
		return true;
	size_t size = (size_t)slot->size;
	size_t packed = codec->pack(context, slot->data, size, slot->packed, codec->bound());
	slot->data = slot->packed;
	slot->size = packed;
	pthread_mutex_lock(&output->frames_lock);
	output->frames[slot->frame] = (struct packed_frame){ (uint32_t)packed, (uint32_t)size };
	pthread_mutex_unlock(&output->frames_lock);
	return packed > 0;
}

void image_output_pack(struct image_output *output)
{
	void *context = output->codec->open(output->level);
	bool works = context != NULL;
	int slot;

	if (!works)
		fail_with(output, KIOKU_ERROR_NO_MEMORY, "out of memory");
	while (works && (slot = ring_take(&output->ring)) != RING_OVER) {
		works = pack(output, context, &output->slots[slot]);
		if (!works)
			fail_with(output, KIOKU_ERROR_NO_MEMORY, "the codec failed");
		else
			ring_give(&output->ring, slot);
	}
	if (context)
		output->codec->close(context);
}

static bool write_slot(struct image_output *output, const struct output_slot *slot)
{
	struct kioku_error error = { 0 };
	uint64_t *position = &output->positions[slot->part];
	enum kioku_status status;

	if (slot->part == PART_BACK && *position == 0)
		*position = output->back_start;
	output->partial = 0;
	if (!slot->data)
		status = destination_file_hole(output->file, *position, slot->size, &error);
	else
		status = destination_file_write(output->file, *position, slot->data,
						(size_t)slot->size, &output->partial, &error);
	atomic_store(&output->run->written, image_output_size(output));
	*position += slot->size;
	if (status != KIOKU_OK) {
		fail(output, &error);
		return false;
	}
	/* Before the slot is passed on: whoever follows may come to the end before this thread does. */
	output->partial = 0;
	return true;
}

void image_output_write(struct image_output *output)
{
	int slot;
	bool works = true;

	while (works && (slot = ring_next(&output->ring, OUTPUT_WRITES)) != RING_OVER) {
		works = write_slot(output, &output->slots[slot]);
		if (works)
			ring_pass(&output->ring, OUTPUT_WRITES);
	}
	ring_leave(&output->ring, OUTPUT_WRITES);
}

static enum kioku_status segment_slot(struct image_output *output, const struct output_slot *slot,
				      uint64_t size, struct kioku_error *error)
{
	struct segments *segments = &output->segments;

	if (slot->part == PART_BACK && segments->parts[PART_BACK].position == 0)
		segments->parts[PART_BACK].position = output->back_start;
	return segments_add(segments, slot->part, slot->data, size, slot->begin, slot->end, error);
}

/*
 * After an error the file ends within the slot that was being written: that much of it counts. Of
 * two parts, segments that were not finished are left out.
 */
static enum kioku_status end_segments(struct image_output *output, struct kioku_error *error)
{
	uint64_t done = output->ring.consumed[OUTPUT_SEGMENTS];
	const struct output_slot *next = &output->slots[done % OUTPUT_SLOTS];

	if (output->partial > 0 && !output->is_split)
		TRY(segment_slot(output, next, output->partial, error));
	if (output->is_split && ring_is_aborted(&output->ring))
		return KIOKU_OK;
	TRY(segments_finish(&output->segments, PART_FRONT, error));
	return output->is_split ? segments_finish(&output->segments, PART_BACK, error) : KIOKU_OK;
}

void image_output_segment(struct image_output *output)
{
	struct kioku_error error = { 0 };
	enum kioku_status status = KIOKU_OK;
	int slot;

	while (status == KIOKU_OK &&
	       (slot = ring_next(&output->ring, OUTPUT_SEGMENTS)) != RING_OVER) {
		const struct output_slot *next = &output->slots[slot];
		status = segment_slot(output, next, next->size, &error);
		ring_pass(&output->ring, OUTPUT_SEGMENTS);
	}
	if (status == KIOKU_OK)
		status = end_segments(output, &error);
	if (status != KIOKU_OK)
		fail(output, &error);
	if (output->segments.journal_failed)
		diagnose(&output->run->diagnostics, KIOKU_WARNING,
			 "the journal cannot be written: if this is killed, nothing proves what "
			 "was captured since");
}

void image_output_digest(struct output_lane *lane)
{
	struct image_output *output = lane->output;
	bool works = true, is_split = false;
	int index;

	while (works && (index = ring_next(&output->ring, lane->consumer)) != RING_OVER) {
		const struct output_slot *slot = &output->slots[index];
		is_split = slot->is_split;
		if (!is_split)
			works = slot->data
					? digest_add(&lane->digest, slot->data, (size_t)slot->size)
					: digest_add_zeros(&lane->digest, slot->size);
		ring_pass(&output->ring, lane->consumer);
	}
	if (is_split || ring_is_aborted(&output->ring))
		return;
	lane->is_known = works && digest_finish(&lane->digest, lane->hash);
	if (!lane->is_known)
		fail_with(output, KIOKU_ERROR_UNSUPPORTED, "OpenSSL failed");
}
