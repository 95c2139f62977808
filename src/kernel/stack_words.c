/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/stack_words.h"

#include <stdlib.h>
#include <string.h>

/* All at once, or by page where some are lost. */
static void read_words(struct kioku_kernel *kernel, struct stack_words *words)
{
	size_t size = words->end - words->start;

	if (kernel_read(kernel, words->start, words->data, size, NULL) == KIOKU_OK) {
		memset(words->present, true, sizeof(words->present));
		return;
	}
	for (uint64_t at = words->start; at < words->end;) {
		uint64_t next = (at / PAGE_SIZE + 1) * PAGE_SIZE;
		next = next < words->end ? next : words->end;
		words->present[at / PAGE_SIZE - words->start / PAGE_SIZE] =
			kernel_read(kernel, at, words->data + (at - words->start), next - at,
				    NULL) == KIOKU_OK;
		at = next;
	}
}

enum kioku_status stacks_add(struct kioku_kernel *kernel, struct stacks *stacks, uint64_t start,
			     uint64_t end)
{
	struct stack_words *words = &stacks->list[stacks->count];

	if (stacks->count == STACKS || end < start || end - start < 8 ||
	    end - start > STACK_PAGES * PAGE_SIZE)
		return KIOKU_ERROR_LIMIT;
	*words = (struct stack_words){ start, end, malloc(end - start), { 0 }, false };
	if (!words->data)
		return KIOKU_ERROR_NO_MEMORY;
	read_words(kernel, words);
	stacks->count++;
	return KIOKU_OK;
}

void stacks_release(struct stacks *stacks)
{
	for (size_t i = 0; i < stacks->count; i++)
		free(stacks->list[i].data);
	stacks->count = 0;
}

struct stack_words *stacks_at(struct stacks *stacks, uint64_t address)
{
	for (size_t i = 0; i < stacks->count; i++)
		if (address >= stacks->list[i].start && address <= stacks->list[i].end)
			return &stacks->list[i];
	return NULL;
}

static bool word_of(const struct stack_words *words, uint64_t address, uint64_t *out)
{
	if (address < words->start || address > words->end - 8)
		return false;
	uint64_t first = words->start / PAGE_SIZE;
	if (!words->present[address / PAGE_SIZE - first] ||
	    !words->present[(address + 7) / PAGE_SIZE - first])
		return false;
	*out = load_le64(words->data + (address - words->start));
	return true;
}

bool stacks_word(const struct stacks *stacks, uint64_t address, uint64_t *out)
{
	for (size_t i = 0; i < stacks->count; i++)
		if (word_of(&stacks->list[i], address, out))
			return true;
	return false;
}
