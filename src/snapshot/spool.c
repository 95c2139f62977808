/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/spool.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "snapshot/injection.h"

/* At once: no longer than a target's page faults may have to wait for. */
enum { PIECE = 128 << 10, PARTS = SPOOL_STAGE / SPOOL_PAGE };

/* What has been copied, and is not in the file yet. */
struct spool_stage {
	size_t used, count;
	struct part {
		uint64_t offset; /* in the file */
		size_t size;
	} parts[PARTS]; /* one after the other in bytes */
	uint8_t bytes[SPOOL_STAGE];
};

static void *shared_memory(int descriptor, size_t size)
{
	int flags = MAP_SHARED | MAP_NORESERVE | (descriptor < 0 ? MAP_ANONYMOUS : 0);
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, descriptor, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static size_t index_size(size_t limit)
{
	return sizeof(struct spool_index) + limit * sizeof(struct spool_chunk);
}

enum kioku_status spool_init(struct spool *spool, int descriptor, size_t limit,
			     struct kioku_error *error)
{
	*spool = (struct spool){ .descriptor = descriptor };
	if (descriptor < 0)
		spool->descriptor = memfd_create("kioku-spool", MFD_CLOEXEC);
	if (spool->descriptor < 0)
		return error_os(error, "cannot make a file for memory");
	/* File systems have limits (ext4: 16 TiB), and so has an address space. */
	for (;; limit /= 2) {
		if (limit == 0)
			return error_os(error, "cannot make room for memory");
		if (ftruncate(spool->descriptor, (off_t)limit * SPOOL_CHUNK) != 0)
			continue;
		spool->memory = shared_memory(spool->descriptor, limit * SPOOL_CHUNK);
		if (spool->memory)
			break;
	}
	spool->limit = limit;
	spool->states = shared_memory(-1, limit * sizeof(*spool->states));
	spool->index = shared_memory(-1, index_size(limit));
	if (!spool->states || !spool->index)
		return error_os(error, "cannot make room for memory");
	return KIOKU_OK;
}

void spool_release(struct spool *spool)
{
	if (spool->memory)
		munmap((void *)(uintptr_t)spool->memory, spool->limit * SPOOL_CHUNK);
	if (spool->states)
		munmap(spool->states, spool->limit * sizeof(*spool->states));
	if (spool->index)
		munmap(spool->index, index_size(spool->limit));
	if (spool->descriptor >= 0)
		close(spool->descriptor);
	free(spool->stage);
	*spool = (struct spool){ .descriptor = -1 };
}

enum kioku_status spool_begin(struct spool *spool, struct kioku_error *error)
{
	spool->stage = malloc(sizeof(*spool->stage));
	if (!spool->stage)
		return error_no_memory(error);
	/* All of it, so that its pages are there when a target is stopped. */
	memset(spool->stage, 0, sizeof(*spool->stage));
	return KIOKU_OK;
}

enum kioku_status spool_flush(struct spool *spool, struct kioku_error *error)
{
	struct spool_stage *stage = spool->stage;
	const uint8_t *bytes = stage->bytes;

	for (size_t i = 0; i < stage->count; i++) {
		const struct part *part = &stage->parts[i];
		if (pwrite(spool->descriptor, bytes, part->size, (off_t)part->offset) !=
		    (ssize_t)part->size)
			return error_os(error, "cannot keep memory that was copied");
		bytes += part->size;
	}
	stage->used = stage->count = 0;
	return KIOKU_OK;
}

size_t spool_after(const struct spool *spool, uint64_t address)
{
	const struct spool_index *index = spool->index;
	size_t low = 0, high = index->count;

	/* Mostly they come in order. */
	if (high > 0 && index->chunks[high - 1].start + SPOOL_CHUNK <= address)
		return high;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (index->chunks[middle].start + SPOOL_CHUNK <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The chunk that holds an address, made if there is none; NULL: there is no room. */
static struct spool_chunk *chunk_at(struct spool *spool, uint64_t address)
{
	struct spool_index *index = spool->index;
	size_t at = spool_after(spool, address);
	struct spool_chunk *chunk = &index->chunks[at];

	if (at < index->count && chunk->start <= address)
		return chunk;
	if (index->count == spool->limit)
		return NULL;
	memmove(chunk + 1, chunk, (index->count - at) * sizeof(*chunk));
	*chunk = (struct spool_chunk){ .start = address - address % SPOOL_CHUNK,
				       .number = (uint32_t)index->count };
	index->count++;
	return chunk;
}

static bool read_memory(int memory, uint64_t start, uint8_t *out, size_t size)
{
	return pread(memory, out, size, (off_t)start) == (ssize_t)size;
}

/* Within one chunk; page by page where there is one that cannot be read: a guard, a truncated file. */
static void copy_piece(const struct spool_target *target, uint64_t start, size_t size, uint8_t *out,
		       uint8_t *states)
{
	size_t pages = size / SPOOL_PAGE;

	/* Only the file gives what the target itself may not read (PROT_NONE). */
	if ((target->stopped > 0 && target_read(target->stopped, start, out, size)) ||
	    read_memory(target->memory, start, out, size)) {
		memset(states, SPOOL_CONTENT, pages);
		return;
	}
	for (size_t i = 0; i < pages; i++) {
		if (read_memory(target->memory, start + i * SPOOL_PAGE, out + i * SPOOL_PAGE,
				SPOOL_PAGE))
			states[i] = SPOOL_CONTENT;
		else if (states[i] != SPOOL_GUARD)
			states[i] = SPOOL_LOST;
	}
}

static enum kioku_status no_room(struct kioku_error *error)
{
	return error_set(error, KIOKU_ERROR_LIMIT, "there is more memory than room was made for");
}

enum kioku_status spool_guard(struct spool *spool, uint64_t start, uint64_t end,
			      struct kioku_error *error)
{
	for (uint64_t at = start; at < end; at += SPOOL_PAGE) {
		const struct spool_chunk *chunk = chunk_at(spool, at);
		if (!chunk)
			return no_room(error);
		spool->states[chunk->number][(at - chunk->start) / SPOOL_PAGE] = SPOOL_GUARD;
	}
	return KIOKU_OK;
}

enum kioku_status spool_copy(struct spool *spool, const struct spool_target *target, uint64_t start,
			     uint64_t end, struct kioku_error *error)
{
	struct spool_stage *stage = spool->stage;

	for (uint64_t at = start; at < end;) {
		const struct spool_chunk *chunk = chunk_at(spool, at);
		if (!chunk)
			return no_room(error);
		uint64_t offset = at - chunk->start;
		uint64_t size = SPOOL_CHUNK - offset;
		size = size < end - at ? size : end - at;
		size = size < PIECE ? size : PIECE;
		if (size > SPOOL_STAGE - stage->used)
			TRY(spool_flush(spool, error));
		copy_piece(target, at, (size_t)size, stage->bytes + stage->used,
			   spool->states[chunk->number] + offset / SPOOL_PAGE);
		stage->parts[stage->count++] =
			(struct part){ (uint64_t)chunk->number * SPOOL_CHUNK + offset,
				       (size_t)size };
		stage->used += size;
		at += size;
	}
	return KIOKU_OK;
}

void spool_clear(struct spool *spool, uint64_t start, uint64_t end)
{
	const struct spool_index *index = spool->index;

	for (size_t i = spool_after(spool, start); i < index->count; i++) {
		const struct spool_chunk *chunk = &index->chunks[i];
		if (chunk->start >= end)
			return;
		uint64_t from = start > chunk->start ? start - chunk->start : 0;
		uint64_t to = end - chunk->start < SPOOL_CHUNK ? end - chunk->start : SPOOL_CHUNK;
		memset(spool->states[chunk->number] + from / SPOOL_PAGE, SPOOL_NONE,
		       (size_t)(to - from) / SPOOL_PAGE);
	}
}

struct spool_run spool_next(const struct spool *spool, uint64_t start, uint64_t end)
{
	const struct spool_index *index = spool->index;
	size_t at = spool_after(spool, start);
	const struct spool_chunk *chunk = &index->chunks[at];
	struct spool_run run = { .start = start };

	if (start >= end)
		return run;
	if (at == index->count || chunk->start > start) {
		uint64_t next = at < index->count ? chunk->start : end;
		run.size = (next < end ? next : end) - start;
		return run;
	}
	const uint8_t *states = spool->states[chunk->number];
	size_t first = (size_t)(start - chunk->start) / SPOOL_PAGE, page = first;
	run.state = states[first];
	if (run.state == SPOOL_CONTENT)
		run.content =
			spool->memory + (uint64_t)chunk->number * SPOOL_CHUNK + first * SPOOL_PAGE;
	while (page < SPOOL_CHUNK_PAGES && states[page] == run.state && start + run.size < end) {
		run.size += SPOOL_PAGE;
		page++;
	}
	return run;
}
