/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The memory of processes: struct mm_struct. */
#include <elf.h>

#include "kernel/infer_memory.h"

enum {
	MAP_ROOM = 2048, /* bytes of a mm_struct that are looked at */
};

static bool is_user_address(uint64_t value)
{
	return value > 0 && value < UINT64_C(1) << 56;
}

/* --- mm_struct, found by the page tables in it */

/* mm: nothing, or a pointer that active_mm, which follows it, has too. */
static bool is_mm(const struct inference *inference, const struct samples *tasks, size_t column)
{
	size_t pointers = 0;

	if (column + 16 > tasks->width || sample_u64(tasks, 0, column) != 0)
		return false;
	for (size_t row = 1; row < tasks->count; row++) {
		uint64_t value = sample_u64(tasks, row, column);
		if (value && (value % 8 != 0 || !kernel_is_pointer(inference->kernel, value) ||
			      sample_u64(tasks, row, column + 8) != value))
			return false;
		pointers += value != 0;
	}
	return pointers > 0;
}

/* Whether a page is a root of page tables: its upper half is the kernel's, as far as both are filled. */
static bool is_root(struct kioku_kernel *kernel, uint64_t virtual)
{
	uint8_t page[PAGE_SIZE], own[PAGE_SIZE];
	const size_t half = PAGE_SIZE / 2, last = PAGE_SIZE - 8;
	size_t equal = 0;

	if (virtual % PAGE_SIZE || !kernel_is_pointer(kernel, virtual) ||
	    kernel_read(kernel, virtual, page, sizeof(page), NULL) != KIOKU_OK ||
	    kioku_source_read(kernel->source, kernel->space.root, own, sizeof(own), NULL) !=
		    KIOKU_OK ||
	    load_le64(page + last) != load_le64(own + last))
		return false;
	for (size_t at = half; at < PAGE_SIZE; at += 8) {
		uint64_t entry = load_le64(page + at), ours = load_le64(own + at);
		if (entry && ours && entry >> 12 != ours >> 12)
			return false;
		equal += entry && ours;
	}
	return equal > 1;
}

static bool is_pgd(const struct samples *maps, size_t column, void *user)
{
	struct inference *inference = user;

	for (size_t row = 0; row < maps->count; row++)
		if (!is_root(inference->kernel, sample_u64(maps, row, column)))
			return false;
	return maps->count > 0;
}

/* What a column of tasks points at, each once. */
static bool take_maps(struct inference *inference, size_t column, struct samples *out)
{
	const struct samples *tasks = &inference->tasks;

	for (size_t row = 1; row < tasks->count; row++) {
		uint64_t map = sample_u64(tasks, row, column);
		if (map && !samples_add_once(inference->kernel, out, map))
			return false;
	}
	return true;
}

/* task_struct.mm and the pgd that it leads to. */
static bool find_maps(struct inference *inference, struct samples *maps)
{
	const struct samples *tasks = &inference->tasks;
	size_t found = 0, pgd;

	for (size_t column = 0; column + 8 <= tasks->width && !found; column += 8) {
		struct samples candidates = { .width = MAP_ROOM };
		if (is_mm(inference, tasks, column) && take_maps(inference, column, &candidates) &&
		    samples_only_column(&candidates, 8, is_pgd, inference, &pgd)) {
			inference->mm = column;
			found++;
			*maps = candidates;
		} else {
			samples_release(&candidates);
		}
	}
	if (!found)
		return false;
	infer_member(inference, "task_struct", "mm", inference->mm, "void *",
		     "leads to page tables that have the kernel's upper half");
	infer_member(inference, "mm_struct", "pgd", pgd, "void *",
		     "page tables that have the kernel's upper half");
	return true;
}

/* --- what it says of the process's memory */

/* Eleven addresses that have followed each other in all kernels, each with its own relation to others. */
static const char *const bounds[] = { "start_code", "end_code",  "start_data",  "end_data",
				      "start_brk",  "brk",       "start_stack", "arg_start",
				      "arg_end",    "env_start", "env_end" };
static bool are_bounds(const struct samples *maps, size_t column, void *user)
{
	(void)user;
	if (column + 8 * BOUNDS > maps->width)
		return false;
	for (size_t row = 0; row < maps->count; row++) {
		uint64_t value[BOUNDS];
		for (size_t i = 0; i < BOUNDS; i++) {
			value[i] = sample_u64(maps, row, column + 8 * i);
			if (!is_user_address(value[i]))
				return false;
		}
		if (value[START_CODE] >= value[END_CODE] || value[START_DATA] > value[END_DATA] ||
		    value[START_BRK] > value[BRK] || value[START_STACK] > value[ARG_START] ||
		    value[ARG_START] > value[ARG_END] || value[ARG_END] > value[ENV_START] ||
		    value[ENV_START] > value[ENV_END])
			return false;
	}
	return maps->count > 0;
}

/* The auxiliary vector of every process: pairs up to AT_NULL, one of which is the size of a page. */
static size_t auxiliary_size(const struct samples *maps, size_t column)
{
	size_t largest = 0;

	for (size_t row = 0; row < maps->count; row++) {
		size_t at = column;
		bool has_page_size = false;
		while (at + 16 <= maps->width && at < column + 512) {
			uint64_t kind = sample_u64(maps, row, at);
			has_page_size |=
				kind == AT_PAGESZ && sample_u64(maps, row, at + 8) == PAGE_SIZE;
			at += 16;
			if (kind == AT_NULL)
				break;
			if (kind > 0xff)
				return 0;
		}
		if (!has_page_size)
			return 0;
		largest = at - column > largest ? at - column : largest;
	}
	return largest;
}

/* A number before the first bound may be one, too: then the auxiliary vector that follows the last one tells. */
static bool are_bounds_and_vector(const struct samples *maps, size_t column, void *user)
{
	return are_bounds(maps, column, user) && auxiliary_size(maps, column + 8 * BOUNDS) > 0;
}

static size_t find_bounds(struct inference *inference, const struct samples *maps)
{
	size_t column;

	if (!samples_only_column(maps, 8, are_bounds_and_vector, NULL, &column) &&
	    !samples_only_column(maps, 8, are_bounds, NULL, &column))
		return NO_COLUMN;
	for (size_t i = 0; i < BOUNDS; i++)
		infer_member(
			inference, "mm_struct", bounds[i], column + 8 * i, "unsigned long",
			"bounds of code, data, heap, stack, arguments and environment, in order");
	size_t auxiliary = column + 8 * BOUNDS;
	size_t size = auxiliary_size(maps, auxiliary);
	if (size)
		infer_array(inference, "mm_struct", "saved_auxv", auxiliary, "unsigned long",
			    size / 8, "an auxiliary vector in every process");
	return column;
}

void infer_memory_maps(struct inference *inference)
{
	AUTO_SAMPLES struct samples maps = { 0 };

	inference->mm = NO_COLUMN;
	if (!find_maps(inference, &maps))
		return;
	size_t column = find_bounds(inference, &maps);
	if (column != NO_COLUMN)
		infer_mappings(inference, &maps, column);
}
