/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "kernel/task_scan.h"
#include "source/source.h"

#define SAMPLE_LIMIT 128
#define MARK_LIMIT   12
#define TASK_MAXIMUM 65536
#define CHUNK        (1u << 20)

struct pattern {
	struct kioku_kernel *kernel;
	uint32_t size;      /* of a task_struct */
	uint32_t alignment; /* of every task seen */
	uint8_t *self;      /* one flag for each word: pointed at itself in all samples */
	size_t samples;
	uint32_t marks[MARK_LIMIT]; /* their offsets, as many as are worth looking at */
	size_t mark_count;
};

static void pattern_release(struct pattern *pattern)
{
	free(pattern->self);
}

static enum kioku_status learn_task(void *user, const struct task *task)
{
	struct pattern *pattern = user;
	uint8_t memory[TASK_MAXIMUM];

	if (pattern->samples >= SAMPLE_LIMIT)
		return KIOKU_ERROR_STOPPED;
	if (!task_is_plausible(pattern->kernel, task) ||
	    kernel_read(pattern->kernel, task->address, memory, pattern->size, NULL) != KIOKU_OK)
		return KIOKU_OK;
	while (task->address % pattern->alignment)
		pattern->alignment /= 2;
	for (uint32_t word = 0; word + 1 < pattern->size / 8; word++) {
		uint64_t own = task->address + 8 * word;
		pattern->self[word] &= load_le64(memory + 8 * word) == own &&
				       load_le64(memory + 8 * word + 8) == own;
	}
	pattern->samples++;
	return KIOKU_OK;
}

static enum kioku_status learn_threads(void *user, const struct task *leader)
{
	struct pattern *pattern = user;

	return task_each_thread(pattern->kernel, leader, TASK_IDENTITY | TASK_MEMBERS, learn_task,
				pattern, NULL);
}

static enum kioku_status learn(struct pattern *pattern, struct kioku_error *error)
{
	struct kioku_kernel *kernel = pattern->kernel;
	uint32_t type;

	TRY(kioku_types_find(kernel->types, "struct task_struct", &type, error));
	uint64_t size = kioku_type_size(kernel->types, type);
	if (size < 64 || size > TASK_MAXIMUM)
		return error_set(error, KIOKU_ERROR_CORRUPT, "struct task_struct has %llu bytes",
				 (unsigned long long)size);
	pattern->size = (uint32_t)size;
	pattern->alignment = 64;
	pattern->self = malloc(size / 8);
	if (!pattern->self)
		return error_no_memory(error);
	memset(pattern->self, 1, size / 8);

	enum kioku_status status = task_each_process(kernel, TASK_IDENTITY | TASK_MEMBERS,
						     learn_threads, pattern, error);
	if (status != KIOKU_OK && status != KIOKU_ERROR_STOPPED)
		return status;
	for (uint32_t word = 0; word + 1 < size / 8; word++)
		if (pattern->self[word] && pattern->mark_count < MARK_LIMIT)
			pattern->marks[pattern->mark_count++] = 8 * word;
	/* A single mark is nothing but an empty list, of which memory is full. */
	if (pattern->samples == 0 || pattern->mark_count < 2)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "the listed tasks have nothing in common to look for");
	return KIOKU_OK;
}

/*
 * Whether at least half of the marks hold for a task at virtual whose bytes start at data, of which
 * size are there: a task that is traced, or monitored, has one list or another that is not empty.
 */
static bool has_marks(const struct pattern *pattern, uint64_t virtual, const uint8_t *data,
		      uint64_t size)
{
	size_t misses = 0;

	for (size_t i = 0; i < pattern->mark_count && 2 * misses <= pattern->mark_count; i++) {
		uint64_t mark = pattern->marks[i];
		misses += mark + 8 > size || load_le64(data + mark) != virtual + mark;
	}
	return 2 * misses <= pattern->mark_count;
}

/* Whether the members are those of a task, alive or dead. */
static bool carve(struct kioku_kernel *kernel, uint64_t virtual, struct task *task)
{
	if (task_read(kernel, virtual, task, NULL) != KIOKU_OK)
		return false;
	/* Credentials go when the last reference does, signal when the parent has waited. */
	struct task alive = *task;
	if (task->exit_state && !task->real_cred)
		alive.real_cred = virtual;
	bool leads = task->group_leader == virtual;
	return task_is_plausible(kernel, &alive) && leads == (task->pid == task->tgid) &&
	       (task->pid == 0) == (task->tgid == 0) && (task->signal || task->exit_state) &&
	       kernel_is_pointer(kernel, task->tasks_next);
}

struct scan {
	const struct pattern *pattern;
	carved_fn *receive;
	void *user;
};

/* Tasks that start in the first size bytes of run, which lies at physical. */
static enum kioku_status scan_run(struct scan *scan, struct bytes run, uint64_t size,
				  uint64_t physical)
{
	const struct pattern *pattern = scan->pattern;
	const struct image *image = &pattern->kernel->image;
	uint64_t image_size = image->end - image->start;

	for (uint64_t at = 0; at < size; at += pattern->alignment) {
		uint64_t place = physical + at;
		/* init_task lies in the image, and knows itself by its address there. */
		bool in_image = place - image->physical < image_size;
		uint64_t addresses[2] = { pattern->kernel->direct_map + place,
					  image->start + (place - image->physical) };
		for (size_t a = 0; a < (in_image ? 2u : 1u); a++) {
			struct task task;
			if (has_marks(pattern, addresses[a], run.data + at, run.size - at) &&
			    carve(pattern->kernel, addresses[a], &task))
				TRY(scan->receive(scan->user, &task, place));
		}
	}
	return KIOKU_OK;
}

/* At once where the source can map, else in chunks that overlap by one task: none is cut. */
static enum kioku_status scan_stretch(struct scan *scan, uint64_t start, uint64_t end)
{
	struct kioku_source *source = scan->pattern->kernel->source;
	AUTO_FREE uint8_t *buffer = malloc(CHUNK + TASK_MAXIMUM);

	if (!buffer)
		return KIOKU_ERROR_NO_MEMORY;
	start &= ~(uint64_t)(scan->pattern->alignment - 1);
	while (start < end) {
		struct bytes run;
		uint64_t size = end - start;
		if (source_map(source, start, size, &run) && run.size >= size) {
			return scan_run(scan, run, size, start);
		}
		struct bytes copy = { buffer, size };
		if (copy.size > CHUNK + scan->pattern->size)
			copy.size = CHUNK + scan->pattern->size;
		if (kioku_source_read(source, start, buffer, copy.size, NULL) == KIOKU_OK)
			TRY(scan_run(scan, copy, size < CHUNK ? size : CHUNK, start));
		start += CHUNK;
	}
	return KIOKU_OK;
}

enum kioku_status task_scan(struct kioku_kernel *kernel, carved_fn *receive, void *user,
			    struct kioku_error *error)
{
	CLEANUP(pattern_release) struct pattern pattern = { .kernel = kernel };
	struct scan scan = { &pattern, receive, user };
	uint64_t physical = 0;
	uint64_t size;

	if (!kernel->direct_map)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED, "the direct map was not found");
	TRY(learn(&pattern, error));
	while ((size = source_next_data(kernel->source, &physical, source_end(kernel->source)))) {
		TRY(scan_stretch(&scan, physical, physical + size));
		physical += size;
	}
	return KIOKU_OK;
}
