/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/memory.h"

#include <string.h>

#include "base/cleanup.h"

static enum kioku_status add_lane(struct memory *memory, enum kioku_digest kind,
				  struct kioku_error *error)
{
	struct memory_lane *lane = &memory->lanes[memory->lane_count];
	struct kioku_error refused = { 0 };
	enum kioku_status status = digest_init(&lane->digest, kind, &refused);

	if (status == KIOKU_OK) {
		lane->memory = memory;
		lane->consumer = MEMORY_LANES + memory->lane_count++;
		return KIOKU_OK;
	}
	digest_release(&lane->digest);
	/* The output's digests have said so already. */
	if (status == KIOKU_ERROR_UNSUPPORTED && kind == KIOKU_DIGEST_MD5)
		return KIOKU_OK;
	if (error)
		*error = refused;
	return status;
}

static enum kioku_status allocate(struct memory *memory, struct kioku_error *error)
{
	size_t prepared = memory->writer->format->prepared_size;

	memory->maps = calloc(memory->writer->plan->count + 1, sizeof(*memory->maps));
	if (!memory->maps)
		return error_no_memory(error);
	for (unsigned i = 0; i < MEMORY_SLOTS; i++) {
		struct memory_slot *slot = &memory->slots[i];
		slot->buffer = fetcher_buffer();
		slot->block.prepared = prepared > 0 ? malloc(prepared) : NULL;
		if (!slot->buffer || (prepared > 0 && !slot->block.prepared))
			return error_no_memory(error);
	}
	return KIOKU_OK;
}

enum kioku_status memory_init(struct memory *memory, struct run *run, struct image_writer *writer,
			      const struct kioku_capture_options *options,
			      struct kioku_error *error)
{
	memory->run = run;
	memory->writer = writer;
	unsigned digests = writer->format->omits_zeros ? 0 : options->digests;
	if (digests & KIOKU_DIGEST_MD5)
		TRY(add_lane(memory, KIOKU_DIGEST_MD5, error));
	if (digests & KIOKU_DIGEST_SHA256)
		TRY(add_lane(memory, KIOKU_DIGEST_SHA256, error));
	struct ring_shape shape = { .slots = MEMORY_SLOTS,
				    .has_workers = writer->format->prepare != NULL,
				    .consumers = MEMORY_LANES + memory->lane_count };
	for (unsigned i = 0; i < RING_CONSUMERS; i++)
		shape.follows[i] = RING_ALONE;
	ring_init(&memory->ring, &shape);
	TRY(allocate(memory, error));
	memory->reader.run = run;
	memory->reader.ring = &memory->ring;
	memory->reader.slots = memory->slots;
	memory->reader.plan = writer->plan;
	memory->reader.rate.limit = options->rate;
	return reader_init(&memory->reader, writer->source, options->read_timeout, error);
}

void memory_release(struct memory *memory)
{
	reader_release(&memory->reader);
	for (unsigned i = 0; i < MEMORY_SLOTS; i++) {
		fetcher_free(memory->slots[i].buffer);
		free(memory->slots[i].block.prepared);
	}
	for (size_t i = 0; memory->maps && i < memory->writer->plan->count; i++)
		page_map_release(&memory->maps[i]);
	free(memory->maps);
	for (unsigned i = 0; i < memory->lane_count; i++)
		digest_release(&memory->lanes[i].digest);
	if (memory->ring.shape.slots > 0)
		ring_release(&memory->ring);
}

void memory_abort(struct memory *memory)
{
	ring_abort(&memory->ring);
	run_stop(memory->run);
}

static void fail(struct memory *memory, const struct kioku_error *error)
{
	run_fail(memory->run, error);
	memory_abort(memory);
}

static void fail_with(struct memory *memory, enum kioku_status status, const char *message)
{
	struct kioku_error error;

	error_set(&error, status, "%s", message);
	fail(memory, &error);
}

/*
 * The format's begin() may read the source to find out about the kernel, and one thread may do that
 * at a time.
 */
static void wait_for_begin(struct memory *memory)
{
	struct run *run = memory->run;

	pthread_mutex_lock(&run->lock);
	while (!memory->begun && !atomic_load(&run->stop))
		pthread_cond_wait(&run->changed, &run->lock);
	pthread_mutex_unlock(&run->lock);
}

static void say_begun(struct memory *memory)
{
	pthread_mutex_lock(&memory->run->lock);
	memory->begun = true;
	pthread_cond_broadcast(&memory->run->changed);
	pthread_mutex_unlock(&memory->run->lock);
}

void memory_read(struct memory *memory)
{
	wait_for_begin(memory);
	reader_run(&memory->reader);
}

void memory_prepare(struct memory *memory)
{
	const struct image_writer *writer = memory->writer;
	bool works = true;
	int slot;

	while (works && (slot = ring_take(&memory->ring)) != RING_OVER) {
		works = writer->format->prepare(writer, &memory->slots[slot].block);
		if (works)
			ring_give(&memory->ring, slot);
		else
			fail_with(memory, KIOKU_ERROR_NO_MEMORY, "out of memory");
	}
}

/* Counts the ranges that are not there, up to the one that holds an address. */
static bool count_absent(struct memory *memory, uint64_t physical)
{
	const struct plan *plan = memory->writer->plan;

	for (; memory->range < plan->count; memory->range++) {
		const struct plan_range *range = &plan->ranges[memory->range];
		if (physical - range->start < range->size)
			break;
		if (range->is_stored)
			continue;
		if (!plan_is_omitted(range))
			atomic_fetch_add(&memory->run->done, range->size);
		if (page_state_is_loss(range->absent))
			atomic_fetch_add(&memory->run->lost, range->size);
		if (!page_map_add(&memory->maps[memory->range], range->absent,
				  plan_pages(range->start, range->size)))
			return false;
	}
	return true;
}

/* Notes down what became of the pages of a block that is in the image now. */
static bool count_block(struct memory *memory, const struct capture_block *block)
{
	size_t count = (size_t)plan_pages(block->physical, block->size);
	struct page_map *map = &memory->maps[memory->range];
	uint64_t lost = 0;

	for (size_t first = 0, end; first < count; first = end) {
		enum page_state state = (enum page_state)block->states[first];
		for (end = first; end < count && block->states[end] == state; end++)
			if (page_state_is_loss(state))
				lost += plan_page_bytes(block->physical, block->size, end);
		if (!page_map_add(map, state, end - first))
			return false;
	}
	atomic_fetch_add(&memory->run->done, block->size);
	atomic_fetch_add(&memory->run->lost, lost);
	return true;
}

static enum kioku_status write_block(struct memory *memory, const struct capture_block *block,
				     struct kioku_error *error)
{
	struct image_writer *writer = memory->writer;

	if (!count_absent(memory, block->physical))
		return error_no_memory(error);
	image_output_block(writer->output, block);
	TRY(writer->format->data(writer, block, error));
	return count_block(memory, block) ? KIOKU_OK : error_no_memory(error);
}

/* What a block holds may still be on its way to the disk: it is let go of some blocks later. */
static enum kioku_status let_go(struct memory *memory, struct kioku_error *error)
{
	struct image_output *output = memory->writer->output;
	uint64_t *mark = &memory->marks[memory->written++ % MEMORY_HELD], oldest = *mark;

	*mark = image_output_mark(output);
	if (memory->written <= MEMORY_HELD)
		return KIOKU_OK;
	TRY(image_output_wait(output, oldest, error));
	ring_pass(&memory->ring, MEMORY_WRITES);
	return KIOKU_OK;
}

static enum kioku_status write_all(struct memory *memory, struct kioku_error *error)
{
	struct image_writer *writer = memory->writer;
	int slot;

	TRY(writer->format->begin(writer, error));
	say_begun(memory);
	while ((slot = ring_next(&memory->ring, MEMORY_WRITES)) != RING_OVER) {
		TRY(write_block(memory, &memory->slots[slot].block, error));
		TRY(let_go(memory, error));
	}
	bool complete = !ring_is_aborted(&memory->ring) && memory->reader.complete;
	if (complete && !count_absent(memory, UINT64_MAX))
		return error_no_memory(error);
	image_output_block(writer->output, NULL);
	TRY(writer->format->end(writer, complete, error));
	memory->complete = complete;
	return KIOKU_OK;
}

void memory_write(struct memory *memory)
{
	struct kioku_error error = { 0 };

	if (write_all(memory, &error) != KIOKU_OK)
		fail(memory, &error);
	/* After an error, too: what was emitted is written, unless it is the output that failed. */
	if (image_output_end(memory->writer->output, &error) != KIOKU_OK)
		fail(memory, &error);
}

/* Ranges that are not there, up to the one that holds an address. */
static bool digest_absent(struct memory_lane *lane, uint64_t physical)
{
	const struct plan *plan = lane->memory->writer->plan;

	for (; lane->range < plan->count; lane->range++) {
		const struct plan_range *range = &plan->ranges[lane->range];
		if (physical - range->start < range->size)
			break;
		if (!range->is_stored && !digest_add_zeros(&lane->digest, range->size))
			return false;
	}
	return true;
}

void memory_digest(struct memory_lane *lane)
{
	struct memory *memory = lane->memory;
	bool works = true;
	int slot;

	while (works && (slot = ring_next(&memory->ring, lane->consumer)) != RING_OVER) {
		const struct capture_block *block = &memory->slots[slot].block;
		works = digest_absent(lane, block->physical) &&
			digest_add(&lane->digest, block->data, block->size);
		ring_pass(&memory->ring, lane->consumer);
	}
	/* Of a part of memory, a digest would prove nothing. */
	if (works && (ring_is_aborted(&memory->ring) || !memory->reader.complete))
		return;
	if (!works || !digest_absent(lane, UINT64_MAX) ||
	    !digest_finish_hex(&lane->digest, lane->hex))
		fail_with(memory, KIOKU_ERROR_UNSUPPORTED, "OpenSSL failed");
}
