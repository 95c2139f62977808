/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory of a machine that is not there, and writers that make images of it in memory. */
#ifndef TESTS_UNIT_TEST_WRITING_H
#define TESTS_UNIT_TEST_WRITING_H

#include "base/diagnostic.h"
#include "base/error.h"
#include "capture/writer.h"
#include "format/manifest_format.h"
#include "source/source.h"
#include "test_image.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* --- an output in memory, in place of the real one */

struct part {
	uint8_t *data;
	size_t size, capacity;
};

struct image_output {
	struct part parts[2]; /* front and back, or all of it */
	size_t selected;
	uint64_t back_start;     /* 0: not split */
	uint64_t calls, fail_at; /* the number of the call that fails; 0: none does */
};

static inline uint8_t *extend(struct image_output *output, uint64_t size)
{
	struct part *part = &output->parts[output->selected];

	if (part->capacity - part->size < size) {
		part->capacity = 2 * (part->size + size);
		part->data = realloc(part->data, part->capacity);
		CHECK(part->data);
	}
	part->size += size;
	return part->data + part->size - size;
}

static inline enum kioku_status may_write(struct image_output *output, struct kioku_error *error)
{
	if (++output->calls != output->fail_at)
		return KIOKU_OK;
	return error_set(error, KIOKU_ERROR_OS, "no space left");
}

enum kioku_status writer_emit(struct image_writer *writer, const void *data, size_t size,
			      struct kioku_error *error)
{
	TRY(may_write(writer->output, error));
	if (size > 0)
		memcpy(extend(writer->output, size), data, size);
	return KIOKU_OK;
}

enum kioku_status writer_emit_zeros(struct image_writer *writer, uint64_t size,
				    struct kioku_error *error)
{
	TRY(may_write(writer->output, error));
	if (size > 0)
		memset(extend(writer->output, size), 0, size);
	return KIOKU_OK;
}

enum kioku_status writer_split(struct image_writer *writer, uint64_t back_start,
			       struct kioku_error *error)
{
	CHECK(writer->can_seek && writer->output->back_start == 0);
	CHECK(back_start > 0 && back_start % MANIFEST_SEGMENT_SIZE == 0);
	writer->output->back_start = back_start;
	return may_write(writer->output, error);
}

void writer_select_front(struct image_writer *writer)
{
	writer->output->selected = 0;
}

void writer_select_back(struct image_writer *writer)
{
	writer->output->selected = 1;
}

static inline void output_release(struct image_output *output)
{
	free(output->parts[0].data);
	free(output->parts[1].data);
}

/* Joins the parts, in the first one. */
static inline struct bytes joined(struct image_output *output)
{
	struct part *back = &output->parts[1];

	CHECK(output->back_start == 0 || output->parts[0].size <= output->back_start);
	output->selected = 0;
	if (back->size > 0) {
		size_t gap = output->back_start - output->parts[0].size;
		memset(extend(output, gap), 0, gap);
		memcpy(extend(output, back->size), back->data, back->size);
		back->size = 0;
	}
	return (struct bytes){ output->parts[0].data, output->parts[0].size };
}

/* --- a machine */

enum kind { TEXT, ZERO, NOISE };

struct memory {
	struct plan plan;
	enum kind (*kind)(uint64_t physical); /* of a page */
};

static inline uint64_t noise(uint64_t n)
{
	n = (n ^ n >> 30) * 0xbf58476d1ce4e5b9ull;
	n = (n ^ n >> 27) * 0x94d049bb133111ebull;
	return n ^ n >> 31;
}

static inline uint8_t byte_of(const struct memory *memory, uint64_t physical)
{
	switch (memory->kind(physical / CAPTURE_PAGE * CAPTURE_PAGE)) {
	case ZERO: return 0;
	case NOISE: return (uint8_t)(noise(physical / 8 + 1) >> physical % 8 * 8);
	default: return (uint8_t)(physical / CAPTURE_PAGE + physical % 16 + 1);
	}
}

/* One of everything, changing from page to page. */
static inline enum kind mixed(uint64_t physical)
{
	return (enum kind)(physical / CAPTURE_PAGE % 3);
}

struct job {
	const struct writer_format *format;
	const char *page_codec;
	bool can_seek;
	struct kioku_source *source;
	uint64_t stop_after; /* bytes of memory; 0: not stopped */
	struct image_output output;
	struct heard heard;
};

static inline enum kioku_status write_block(struct image_writer *writer,
					    const struct memory *memory, uint64_t physical,
					    size_t size, struct kioku_error *error)
{
	AUTO_FREE uint8_t *data = malloc(size);
	AUTO_FREE uint8_t *prepared = malloc(writer->format->prepared_size + 1);
	uint8_t states[CAPTURE_BLOCK / CAPTURE_PAGE] = { 0 };
	struct capture_block block = { .physical = physical,
				       .size = size,
				       .data = data,
				       .states = states,
				       .prepared = prepared };

	CHECK(data && prepared);
	for (size_t i = 0; i < size; i++)
		data[i] = byte_of(memory, physical + i);
	if (writer->format->prepare)
		CHECK(writer->format->prepare(writer, &block));
	CHECK(block.prepared_size <= writer->format->prepared_size);
	return writer->format->data(writer, &block, error);
}

static inline enum kioku_status write_memory(struct image_writer *writer,
					     const struct memory *memory, uint64_t stop_after,
					     bool *complete, struct kioku_error *error)
{
	uint64_t done = 0;

	for (size_t i = 0; i < memory->plan.count; i++) {
		const struct plan_range *range = &memory->plan.ranges[i];
		uint64_t end = range->start + range->size, at = range->start;
		while (range->is_stored && at < end) {
			uint64_t next = at - at % CAPTURE_BLOCK + CAPTURE_BLOCK;
			next = next < end ? next : end;
			if (stop_after && done >= stop_after) {
				*complete = false;
				return KIOKU_OK;
			}
			TRY(write_block(writer, memory, at, (size_t)(next - at), error));
			done += next - at;
			at = next;
		}
	}
	return KIOKU_OK;
}

static inline enum kioku_status write_image(struct job *job, const struct memory *memory,
					    struct kioku_error *error)
{
	struct diagnostics diagnostics = { hear, &job->heard };
	struct image_writer writer = { .format = job->format,
				       .plan = &memory->plan,
				       .source = job->source,
				       .page_codec = job->page_codec,
				       .can_seek = job->can_seek,
				       .diagnostics = &diagnostics,
				       .output = &job->output };
	bool complete = true;
	enum kioku_status status = job->format->begin(&writer, error);

	if (status == KIOKU_OK)
		status = write_memory(&writer, memory, job->stop_after, &complete, error);
	if (status == KIOKU_OK)
		status = job->format->end(&writer, complete, error);
	job->format->release(&writer);
	return status;
}

/* A source that says nothing. */
static inline struct kioku_source *silent_source(void)
{
	static const uint8_t nothing[CAPTURE_PAGE];
	struct heard heard;

	return open_as("raw:", nothing, sizeof(nothing), &heard);
}

static inline struct bytes written(struct job *job, const struct memory *memory)
{
	CHECK_EQUAL(write_image(job, memory, NULL), KIOKU_OK);
	return joined(&job->output);
}

/* clang-format off */
#define MEMORY(ranges, kind) { { (ranges), COUNT(ranges), 0 }, (kind) }
/* clang-format on */

/* --- what is read again */

/* Whether every stored byte of a plan is in a source. */
static inline void check_content(struct kioku_source *source, const struct memory *memory)
{
	AUTO_FREE uint8_t *data = malloc(CAPTURE_BLOCK);

	for (size_t i = 0; i < memory->plan.count; i++) {
		const struct plan_range *range = &memory->plan.ranges[i];
		for (uint64_t done = 0; range->is_stored && done < range->size;) {
			uint64_t left = range->size - done, at = range->start + done;
			size_t size = left < CAPTURE_BLOCK ? left : CAPTURE_BLOCK;
			CHECK_EQUAL(kioku_source_read(source, at, data, size, NULL), KIOKU_OK);
			for (size_t k = 0; k < size; k++)
				if (data[k] != byte_of(memory, at + k))
					tap_fail(__FILE__, __LINE__, "the byte at 0x%llx differs",
						 (unsigned long long)(at + k));
			done += size;
		}
	}
}

#endif
