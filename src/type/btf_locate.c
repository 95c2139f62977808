/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "type/types.h"

#define SEARCH_CHUNK  (1u << 20)
#define RECORD_BUDGET (1u << 26) /* looked at in all: a bound for images made of look-alikes */

/* Whether these are the kernel's types, and whether they are only the kernel's. */
static bool is_kernel(const struct btf_sections *sections, uint64_t *budget, bool *has_percpu)
{
	struct btf_record record;
	uint64_t offset = 0;
	bool has_task = false;

	*has_percpu = false;
	while (*budget > 0 && btf_record_at(sections, &offset, &record) == BTF_OK) {
		--*budget;
		if (record.kind == KIOKU_TYPE_STRUCT && record.length > 0 && !has_task)
			has_task = strcmp(btf_string(sections, record.name), "task_struct") == 0;
		else if (record.kind == KIOKU_TYPE_DATA_SECTION)
			*has_percpu |=
				strcmp(btf_string(sections, record.name), ".data..percpu") == 0;
	}
	return has_task;
}

/* Brings in what a header at an offset claims, and looks into it. */
static bool examine(struct window *window, uint64_t offset, uint64_t *size, uint64_t *budget,
		    bool *has_percpu)
{
	struct btf_sections sections;
	struct bytes data;
	uint64_t left = window->size - offset;

	if (!window_bytes(window, offset, left < 32 ? left : 32, &data))
		return false;
	*size = btf_claimed_size(data);
	if (*size == 0 || *size > left)
		return false;
	/* Without the pages that were lost it is still better than nothing. */
	window_need(window, offset, *size);
	data = (struct bytes){ window->data + offset, (size_t)*size };
	return btf_parse(data, &sections) && is_kernel(&sections, budget, has_percpu);
}

bool btf_locate(struct window *window, uint64_t *offset, uint64_t *size)
{
	const size_t magic = sizeof(BTF_MAGIC) - 1;
	uint64_t budget = RECORD_BUDGET;
	bool found = false;

	for (uint64_t start = 0; start < window->size; start += SEARCH_CHUNK) {
		uint64_t end = window->size - start < SEARCH_CHUNK + magic - 1
				       ? window->size
				       : start + SEARCH_CHUNK + magic - 1;
		window_need(window, start, end - start);
		const uint8_t *stop = window->data + end;
		for (const uint8_t *at = window->data + start;
		     (at = memmem(at, (size_t)(stop - at), BTF_MAGIC, magic)); at++) {
			uint64_t here = (uint64_t)(at - window->data);
			uint64_t claimed;
			bool has_percpu;
			if (!examine(window, here, &claimed, &budget, &has_percpu))
				continue;
			if (!found || has_percpu) {
				*offset = here;
				*size = claimed;
				found = true;
			}
			if (has_percpu)
				return true;
		}
	}
	return found;
}
