/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The producer's side; output_threads.c has the others. */
#include "capture/image_output.h"

#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/error.h"

static enum kioku_status allocate(struct image_output *output, struct kioku_error *error)
{
	size_t packed = output->codec ? (output->codec->bound() + 63) & ~(size_t)63 : 0;
	size_t slot_size = FRAME_WRITE_SIZE + packed;

	output->memory_size = OUTPUT_SLOTS * slot_size;
	void *memory = mmap(NULL, output->memory_size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return error_no_memory(error);
	output->memory = memory;
	for (unsigned i = 0; i < OUTPUT_SLOTS; i++) {
		output->slots[i].raw = output->memory + i * slot_size;
		output->slots[i].packed = output->slots[i].raw + FRAME_WRITE_SIZE;
	}
	return KIOKU_OK;
}

static enum kioku_status add_lane(struct image_output *output, enum kioku_digest kind,
				  struct kioku_error *error)
{
	struct output_lane *lane = &output->lanes[output->lane_count];
	struct kioku_error refused = { 0 };
	enum kioku_status status = digest_init(&lane->digest, kind, &refused);

	if (status != KIOKU_OK)
		digest_release(&lane->digest);
	if (status == KIOKU_ERROR_UNSUPPORTED && kind == KIOKU_DIGEST_MD5) {
		diagnose(&output->run->diagnostics, KIOKU_WARNING, "%s; the image will have none",
			 refused.message);
		return KIOKU_OK;
	}
	if (status != KIOKU_OK) {
		if (error)
			*error = refused;
		return status;
	}
	lane->output = output;
	lane->kind = kind;
	lane->consumer = OUTPUT_LANES + output->lane_count++;
	return KIOKU_OK;
}

enum kioku_status image_output_init(struct image_output *output, struct run *run,
				    const struct codec *codec, int level, unsigned digests,
				    struct kioku_error *error)
{
	output->run = run;
	output->codec = codec;
	output->level = level;
	output->slot = RING_OVER;
	output->begin = -1;
	pthread_mutex_init(&output->frames_lock, NULL);
	output->has_segments = digests != 0;
	TRY(allocate(output, error));
	TRY(segments_init(&output->segments, error));
	if (digests & KIOKU_DIGEST_MD5)
		TRY(add_lane(output, KIOKU_DIGEST_MD5, error));
	if (digests & KIOKU_DIGEST_SHA256)
		TRY(add_lane(output, KIOKU_DIGEST_SHA256, error));

	struct ring_shape shape = { .slots = OUTPUT_SLOTS, .has_workers = codec != NULL };
	shape.consumers = output->has_segments ? OUTPUT_LANES + output->lane_count : 1;
	for (unsigned i = 0; i < RING_CONSUMERS; i++)
		shape.follows[i] = i == OUTPUT_SEGMENTS ? OUTPUT_WRITES : RING_ALONE;
	ring_init(&output->ring, &shape);
	return KIOKU_OK;
}

void image_output_release(struct image_output *output)
{
	if (output->ring.shape.slots > 0)
		ring_release(&output->ring);
	for (unsigned i = 0; i < output->lane_count; i++)
		digest_release(&output->lanes[i].digest);
	segments_release(&output->segments);
	if (output->memory)
		munmap(output->memory, output->memory_size);
	destination_file_close(output->file);
	free(output->front);
	free(output->frames);
	pthread_mutex_destroy(&output->frames_lock);
}

void image_output_block(struct image_output *output, const struct capture_block *block)
{
	output->begin = block ? block->begin : -1;
	output->end = block ? block->end : -1;
	output->lent = block ? (struct bytes){ block->data, block->size } : (struct bytes){ 0 };
}

uint64_t image_output_mark(const struct image_output *output)
{
	return ring_published(&output->ring);
}

/* What the ring's abort was for. */
static enum kioku_status why_over(struct image_output *output, struct kioku_error *error)
{
	enum kioku_status status = run_error(output->run, error);

	return status != KIOKU_OK ? status
				  : error_set(error, KIOKU_ERROR_STOPPED, "the output was stopped");
}

enum kioku_status image_output_wait(struct image_output *output, uint64_t mark,
				    struct kioku_error *error)
{
	return ring_wait_freed(&output->ring, mark) ? KIOKU_OK : why_over(output, error);
}

/* The part whose bytes go straight to slots: the only one, or the large one. */
static enum image_part main_part(const struct image_output *output)
{
	return output->is_split ? PART_BACK : PART_FRONT;
}

static enum kioku_status claim(struct image_output *output, struct kioku_error *error)
{
	output->slot = ring_claim(&output->ring);
	if (output->slot == RING_OVER)
		return why_over(output, error);
	output->fill = 0;
	output->slots[output->slot].begin = -1;
	return KIOKU_OK;
}

/* Every frame has an entry before a worker fills it in. */
static bool add_frame(struct image_output *output, struct output_slot *slot)
{
	bool added = true;

	pthread_mutex_lock(&output->frames_lock);
	if (output->frame_count == output->frame_capacity) {
		size_t capacity = output->frame_capacity ? 2 * output->frame_capacity : 1024;
		struct packed_frame *frames =
			reallocarray(output->frames, capacity, sizeof(*frames));
		added = frames && capacity <= SEEK_TABLE_LIMIT;
		if (frames)
			output->frames = frames;
		if (added)
			output->frame_capacity = capacity;
	}
	if (added)
		slot->frame = output->frame_count++;
	pthread_mutex_unlock(&output->frames_lock);
	return added;
}

/* Hands the slot that was claimed to the others, with its own bytes or what is lent to it. */
static enum kioku_status publish(struct image_output *output, enum image_part part,
				 enum slot_kind kind, const uint8_t *data, uint64_t size,
				 struct kioku_error *error)
{
	struct output_slot *slot = &output->slots[output->slot];

	slot->kind = kind;
	slot->part = part;
	slot->is_split = output->is_split;
	slot->data = data;
	slot->size = size;
	if (kind == SLOT_FRAME && !add_frame(output, slot))
		return error_no_memory(error);
	output->slot = RING_OVER;
	output->fill = 0;
	ring_publish(&output->ring);
	return KIOKU_OK;
}

static enum slot_kind main_kind(const struct image_output *output)
{
	return output->codec && !output->is_closing ? SLOT_FRAME : SLOT_BYTES;
}

static void stamp(const struct image_output *output, struct output_slot *slot)
{
	if (output->begin < 0)
		return;
	slot->begin = slot->begin < 0 ? output->begin : slot->begin;
	slot->end = output->end;
}

static enum kioku_status flush(struct image_output *output, struct kioku_error *error)
{
	if (output->slot == RING_OVER || output->fill == 0)
		return KIOKU_OK;
	return publish(output, main_part(output), main_kind(output),
		       output->slots[output->slot].raw, output->fill, error);
}

/* As much as fits into the current slot, claimed if there is none; data NULL: zeros. */
static enum kioku_status put(struct image_output *output, const uint8_t *data, size_t *size,
			     struct kioku_error *error)
{
	if (output->slot == RING_OVER)
		TRY(claim(output, error));
	struct output_slot *slot = &output->slots[output->slot];
	size_t room = FRAME_WRITE_SIZE - output->fill;

	*size = *size < room ? *size : room;
	if (data)
		memcpy(slot->raw + output->fill, data, *size);
	else
		memset(slot->raw + output->fill, 0, *size);
	output->fill += *size;
	stamp(output, slot);
	if (output->fill == FRAME_WRITE_SIZE)
		return flush(output, error);
	return KIOKU_OK;
}

/* Sends what the front part has gathered, as a slot of its own. */
static enum kioku_status flush_front(struct image_output *output, struct kioku_error *error)
{
	if (output->front_fill == 0)
		return KIOKU_OK;
	TRY(flush(output, error));
	if (output->slot == RING_OVER)
		TRY(claim(output, error));
	memcpy(output->slots[output->slot].raw, output->front, output->front_fill);
	output->fill = output->front_fill;
	output->front_size += output->front_fill;
	output->front_fill = 0;
	return publish(output, PART_FRONT, SLOT_BYTES, output->slots[output->slot].raw,
		       output->fill, error);
}

static enum kioku_status put_front(struct image_output *output, const uint8_t *data, size_t *size,
				   struct kioku_error *error)
{
	size_t room = FRAME_WRITE_SIZE - output->front_fill;

	*size = *size < room ? *size : room;
	if (output->front_size + output->front_fill + *size > output->back_start)
		return error_set(error, KIOKU_ERROR_LIMIT,
				 "the front part of the image does not fit before its back part");
	if (data)
		memcpy(output->front + output->front_fill, data, *size);
	else
		memset(output->front + output->front_fill, 0, *size);
	output->front_fill += *size;
	return output->front_fill == FRAME_WRITE_SIZE ? flush_front(output, error) : KIOKU_OK;
}

/* Whether bytes are worth a slot of their own and stay where they are for long enough. */
static bool is_lent(const struct image_output *output, const uint8_t *data, uint64_t size)
{
	struct bytes lent = output->lent;

	return data && lent.data && size >= FRAME_WRITE_SIZE / 4 && data >= lent.data &&
	       data < lent.data + lent.size;
}

/* Publishes what one slot may take, without copying it. */
static enum kioku_status lend(struct image_output *output, const uint8_t *data, size_t size,
			      struct kioku_error *error)
{
	TRY(flush(output, error));
	if (output->slot == RING_OVER)
		TRY(claim(output, error));
	stamp(output, &output->slots[output->slot]);
	return publish(output, main_part(output), main_kind(output), data, size, error);
}

/* data NULL: zeros. */
static enum kioku_status emit(struct image_output *output, const uint8_t *data, uint64_t size,
			      struct kioku_error *error)
{
	bool to_front = output->is_split && output->selected == PART_FRONT;

	while (size > 0) {
		size_t part = size < FRAME_WRITE_SIZE ? (size_t)size : FRAME_WRITE_SIZE;
		if (to_front)
			TRY(put_front(output, data, &part, error));
		else if (is_lent(output, data, size))
			TRY(lend(output, data, part, error));
		else
			TRY(put(output, data, &part, error));
		data = data ? data + part : NULL;
		size -= part;
	}
	return KIOKU_OK;
}

enum kioku_status writer_emit(struct image_writer *writer, const void *data, size_t size,
			      struct kioku_error *error)
{
	return emit(writer->output, data, size, error);
}

/*
 * Slots that stand for zeros, which take no room on the disk; no larger than others, so that the
 * journal is never far behind the file.
 */
static enum kioku_status emit_hole(struct image_output *output, enum image_part part, uint64_t size,
				   struct kioku_error *error)
{
	TRY(flush(output, error));
	while (size > 0) {
		uint64_t now = size < FRAME_WRITE_SIZE ? size : FRAME_WRITE_SIZE;
		if (output->slot == RING_OVER)
			TRY(claim(output, error));
		output->slots[output->slot].begin = output->begin;
		output->slots[output->slot].end = output->end;
		TRY(publish(output, part, SLOT_HOLE, NULL, now, error));
		size -= now;
	}
	return KIOKU_OK;
}

enum kioku_status writer_emit_zeros(struct image_writer *writer, uint64_t size,
				    struct kioku_error *error)
{
	struct image_output *output = writer->output;
	bool to_front = output->is_split && output->selected == PART_FRONT;

	if (size >= MANIFEST_SEGMENT_SIZE && output->can_seek && !output->codec && !to_front)
		return emit_hole(output, main_part(output), size, error);
	return emit(output, NULL, size, error);
}

enum kioku_status writer_split(struct image_writer *writer, uint64_t back_start,
			       struct kioku_error *error)
{
	struct image_output *output = writer->output;

	bool is_late = output->is_split || output->slot != RING_OVER || output->ring.produced > 0;
	if (!output->can_seek || output->codec || is_late ||
	    back_start % MANIFEST_SEGMENT_SIZE != 0)
		return error_set(error, KIOKU_ERROR_ARGUMENT, "the image cannot have two parts");
	output->front = malloc(FRAME_WRITE_SIZE);
	if (!output->front)
		return error_no_memory(error);
	output->is_split = true;
	output->back_start = back_start;
	return KIOKU_OK;
}

void writer_select_front(struct image_writer *writer)
{
	writer->output->selected = PART_FRONT;
}

void writer_select_back(struct image_writer *writer)
{
	writer->output->selected = PART_BACK;
}

/* Sizes of all frames, by which a reader finds them. */
static enum kioku_status emit_seek_table(struct image_output *output, struct kioku_error *error)
{
	uint32_t count = (uint32_t)output->frame_count;
	uint8_t head[SEEK_TABLE_HEAD_SIZE], entry[SEEK_TABLE_ENTRY_SIZE];
	uint8_t footer[SEEK_TABLE_FOOTER_SIZE];

	seek_table_encode_head(count, head);
	TRY(emit(output, head, sizeof(head), error));
	for (size_t i = 0; i < count; i++) {
		seek_table_encode_entry(output->frames[i].packed, output->frames[i].content, entry);
		TRY(emit(output, entry, sizeof(entry), error));
	}
	seek_table_encode_footer(count, footer);
	return emit(output, footer, sizeof(footer), error);
}

static enum kioku_status close_frames(struct image_output *output, struct kioku_error *error)
{
	uint8_t end[GZIP_END_SIZE];

	if (!ring_wait_prepared(&output->ring))
		return why_over(output, error);
	output->is_closing = true;
	if (output->codec->frame != FRAME_GZIP)
		return emit_seek_table(output, error);
	gzip_encode_end(end);
	return emit(output, end, sizeof(end), error);
}

static enum kioku_status finish(struct image_output *output, struct kioku_error *error)
{
	output->begin = -1;
	TRY(flush(output, error));
	if (output->is_split) {
		TRY(flush_front(output, error));
		if (output->front_size < output->back_start)
			TRY(emit_hole(output, PART_FRONT, output->back_start - output->front_size,
				      error));
	}
	if (output->codec)
		TRY(close_frames(output, error));
	return flush(output, error);
}

enum kioku_status image_output_end(struct image_output *output, struct kioku_error *error)
{
	enum kioku_status status = finish(output, error);

	if (status != KIOKU_OK)
		ring_abort(&output->ring);
	ring_end(&output->ring);
	return status;
}

uint64_t image_output_size(const struct image_output *output)
{
	return output->file ? destination_file_size(output->file) : 0;
}

/* The digest of the whole image that is in a lane already; NULL: none. */
static const uint8_t *sha256_of(const struct image_output *output)
{
	for (unsigned i = 0; i < output->lane_count; i++)
		if (output->lanes[i].kind == KIOKU_DIGEST_SHA256 && output->lanes[i].is_known)
			return output->lanes[i].hash;
	return NULL;
}

static void take_digest(struct output_lane *lane, const struct file_digests *digests)
{
	bool is_md5 = lane->kind == KIOKU_DIGEST_MD5;

	lane->is_known = !is_md5 || digests->has_md5;
	if (is_md5)
		memcpy(lane->hash, digests->md5, sizeof(digests->md5));
	else
		memcpy(lane->hash, digests->sha256, sizeof(digests->sha256));
}

enum kioku_status image_output_finish(struct image_output *output, bool (*progress)(void *user),
				      void *user, struct kioku_error *error)
{
	bool reads_back = output->is_split && output->lane_count > 0;
	struct file_digests digests = { 0 };
	enum kioku_status status =
		destination_file_finish(output->file, sha256_of(output),
					reads_back ? &digests : NULL, progress, user, error);

	for (unsigned i = 0; reads_back && status == KIOKU_OK && i < output->lane_count; i++)
		take_digest(&output->lanes[i], &digests);
	return status == KIOKU_ERROR_STOPPED ? KIOKU_OK : status;
}
