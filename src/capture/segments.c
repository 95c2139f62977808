/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/segments.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"

enum kioku_status segments_init(struct segments *segments, struct kioku_error *error)
{
	*segments = (struct segments){ 0 };
	for (unsigned i = 0; i < PART_COUNT; i++) {
		segments->parts[i].begin = -1;
		TRY(digest_init(&segments->parts[i].digest, KIOKU_DIGEST_SHA256, error));
	}
	return KIOKU_OK;
}

void segments_release(struct segments *segments)
{
	for (unsigned i = 0; i < PART_COUNT; i++)
		digest_release(&segments->parts[i].digest);
	free(segments->segments);
	segments->segments = NULL;
}

/* Makes room for a segment. */
static bool reach(struct segments *segments, size_t index)
{
	if (index >= segments->capacity) {
		size_t capacity = index < 64 ? 64 : 2 * index;
		struct manifest_segment *grown =
			reallocarray(segments->segments, capacity, sizeof(*grown));
		if (!grown)
			return false;
		segments->segments = grown;
		segments->capacity = capacity;
	}
	for (; segments->count <= index; segments->count++)
		segments->segments[segments->count] = (struct manifest_segment){ 0 };
	return true;
}

/* In one write, so that a capture that is killed leaves whole lines. */
static bool append_line(struct segments *segments, size_t index)
{
	AUTO_FREE char *line = journal_line(index, &segments->segments[index]);
	size_t written;

	if (!line)
		return false;
	if (destination_file_write(segments->journal, destination_file_size(segments->journal),
				   line, strlen(line), &written, NULL) == KIOKU_OK)
		return true;
	segments->journal_failed = true;
	segments->journal = NULL;
	return true;
}

static enum kioku_status end_segment(struct segments *segments, struct segment_part *part,
				     size_t index, struct kioku_error *error)
{
	bool has_memory = part->begin >= 0;

	if (!reach(segments, index))
		return error_no_memory(error);
	struct manifest_segment *segment = &segments->segments[index];
	segment->begin = has_memory ? part->begin : segments->last;
	segment->end = has_memory ? part->end : segments->last;
	segment->is_known = true;
	segments->last = segment->end;
	part->begin = -1;
	if (!digest_finish(&part->digest, segment->sha256))
		return error_set(error, KIOKU_ERROR_UNSUPPORTED, "OpenSSL failed");
	if (segments->journal && !append_line(segments, index))
		return error_no_memory(error);
	return KIOKU_OK;
}

static bool digest_part(struct digest *digest, const uint8_t *data, size_t size)
{
	return data ? digest_add(digest, data, size) : digest_add_zeros(digest, size);
}

enum kioku_status segments_add(struct segments *segments, enum image_part which, const void *data,
			       uint64_t size, double begin, double end, struct kioku_error *error)
{
	struct segment_part *part = &segments->parts[which];
	const uint8_t *next = data;

	while (size > 0) {
		uint64_t room = MANIFEST_SEGMENT_SIZE - part->position % MANIFEST_SEGMENT_SIZE;
		size_t now = (size_t)(size < room ? size : room);

		if (begin >= 0 && (part->begin < 0 || begin < part->begin))
			part->begin = begin;
		if (begin >= 0)
			part->end = end;
		if (!digest_part(&part->digest, next, now))
			return error_set(error, KIOKU_ERROR_UNSUPPORTED, "OpenSSL failed");
		part->position += now;
		next = next ? next + now : NULL;
		size -= now;
		if (part->position % MANIFEST_SEGMENT_SIZE == 0)
			TRY(end_segment(segments, part, part->position / MANIFEST_SEGMENT_SIZE - 1,
					error));
	}
	return KIOKU_OK;
}

enum kioku_status segments_finish(struct segments *segments, enum image_part which,
				  struct kioku_error *error)
{
	struct segment_part *part = &segments->parts[which];

	if (part->position % MANIFEST_SEGMENT_SIZE == 0)
		return KIOKU_OK;
	return end_segment(segments, part, part->position / MANIFEST_SEGMENT_SIZE, error);
}
