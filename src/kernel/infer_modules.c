/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Loaded modules: struct module, which says three times where it is. */
#include <string.h>

#include "kernel/infer.h"
#include "kernel/module.h"

enum {
	LEAD = 64,          /* bytes before a module's node in the list that are looked at */
	MODULE_ROOM = 1536, /* and from there on */
	MODULES_LIMIT = 65536,
	STATES = 4,
	NAME_SIZE = 56, /* MODULE_NAME_LEN, 64 bytes less what an unsigned long takes */
	TEXT_PARTS = 7, /* MOD_MEM_NUM_TYPES */
	FEW = 16,
};

/* Rows begin LEAD bytes before the node. */
static bool take_modules(struct inference *inference, struct samples *out)
{
	uint64_t head = kernel_symbol(inference->kernel, "modules"), node = head;

	for (size_t i = 0; i < MODULES_LIMIT; i++) {
		if (!infer_is_linked(inference, node, &node))
			return false;
		if (node == head)
			return out->count > 0;
		if (!samples_add(inference->kernel, out, node - LEAD))
			return false;
	}
	return false;
}

/* A name, and zeros behind it. */
static bool is_module_name(const uint8_t *text)
{
	size_t size = strnlen((const char *)text, NAME_SIZE);

	if (size == 0 || size == NAME_SIZE)
		return false;
	for (size_t i = 0; i < NAME_SIZE; i++)
		if (i < size ? text[i] <= ' ' || text[i] > '~' : text[i] != 0)
			return false;
	return true;
}

static bool are_names(const struct samples *rows, size_t column, void *user)
{
	(void)user;
	if (column + NAME_SIZE > rows->width)
		return false;
	for (size_t row = 0; row < rows->count; row++)
		if (!is_module_name(rows->data + row * rows->width + column))
			return false;
	return true;
}

/* Distance from the module to its node, for which pointers to the module itself are in all of them. */
struct self_search {
	size_t distance;
	size_t size; /* where in a part its size is, in bytes */
};

static bool is_self(const struct samples *rows, size_t column, void *user)
{
	const struct self_search *search = user;

	for (size_t row = 0; row < rows->count; row++)
		if (sample_u64(rows, row, column) != rows->addresses[row] + LEAD - search->distance)
			return false;
	return true;
}

/* What has the module itself in it: its data, or all of it. */
static bool is_part(const struct samples *rows, size_t column, void *user)
{
	const struct self_search *search = user;

	if (column + search->size + 4 > rows->width)
		return false;
	for (size_t row = 0; row < rows->count; row++) {
		uint64_t module = rows->addresses[row] + LEAD - search->distance;
		uint64_t base = sample_u64(rows, row, column);
		if (base == 0 || base % PAGE_SIZE || base > module ||
		    module - base >= sample_u32(rows, row, column + search->size))
			return false;
	}
	return true;
}

/*
 * struct module_memory (v6.4 on): code first, then data, in which the module is, each with a pointer to the
 * module. Its size is how far these are from one another.
 */
static bool find_memory(struct inference *inference, const struct samples *rows,
			const struct self_search *search, size_t part, const size_t *selves,
			size_t self_count, size_t shift)
{
	for (size_t i = 0; i + 1 < self_count; i++) {
		size_t size = selves[i + 1] - selves[i];
		if (selves[i] >= part || selves[i + 1] <= part || selves[i + 1] - part >= size ||
		    part < size)
			continue;
		/* All of them, at one distance. */
		size_t last = i;
		while (last + 1 < self_count && selves[last + 1] - selves[last] == size)
			last++;
		if (last - i + 1 < TEXT_PARTS)
			return false;
		for (size_t row = 0; row < rows->count; row++)
			if (sample_u64(rows, row, part - size) % PAGE_SIZE)
				return false;
		const char *evidence = "the module is in its second part, and each leads to it";
		infer_array(inference, "module", "mem", part - size - shift, "struct module_memory",
			    TEXT_PARTS, evidence);
		infer_member(inference, "module_memory", "base", 0, "void *", evidence);
		infer_member(inference, "module_memory", "size", search->size, "unsigned int",
			     evidence);
		infer_size(inference, "module_memory", size);
		infer_constant(inference, "mod_mem_type", "MOD_MEM_NUM_TYPES", TEXT_PARTS);
		return true;
	}
	return false;
}

/* struct module_layout (v4.5 to v6.3): the size of all, of its code, of what is constant. */
static bool is_layout(const struct samples *rows, size_t part)
{
	if (part + 24 > rows->width)
		return false;
	for (size_t row = 0; row < rows->count; row++) {
		uint32_t size = sample_u32(rows, row, part + 8);
		uint32_t text = sample_u32(rows, row, part + 12);
		uint32_t constant = sample_u32(rows, row, part + 16);
		uint32_t sealed = sample_u32(rows, row, part + 20);
		if (text % PAGE_SIZE || constant % PAGE_SIZE || sealed % PAGE_SIZE ||
		    text > constant || constant > sealed || sealed > size)
			return false;
	}
	return true;
}

/* The size follows the address, but in some versions other things come between (v6.13 on). */
static bool find_part(const struct samples *rows, struct self_search *search, size_t *part)
{
	for (search->size = 8; search->size <= 24; search->size += 4)
		if (samples_only_column(rows, 8, is_part, search, part))
			return true;
	return false;
}

static void find_parts(struct inference *inference, const struct samples *rows,
		       struct self_search *search, size_t shift)
{
	size_t selves[FEW], part;
	size_t self_count = samples_columns(rows, 8, is_self, search, selves, FEW);

	if (self_count > FEW || !find_part(rows, search, &part) ||
	    find_memory(inference, rows, search, part, selves, self_count, shift) ||
	    search->size != 8 || !is_layout(rows, part))
		return;
	const char *evidence = "the module is in it, and sizes of parts ascend";
	infer_member(inference, "module", "core_layout", part - shift, "struct module_layout",
		     evidence);
	infer_member(inference, "module_layout", "base", 0, "void *", evidence);
	infer_member(inference, "module_layout", "size", 8, "unsigned int", evidence);
	infer_member(inference, "module_layout", "text_size", 12, "unsigned int", evidence);
}

/* state is before the list, name behind it, in all kernels. */
void infer_modules(struct inference *inference)
{
	AUTO_SAMPLES struct samples rows = { .width = LEAD + MODULE_ROOM };
	/* include/linux/module.h, v3.8 to v7.0 */
	static const char *const states[STATES] = { "MODULE_STATE_LIVE", "MODULE_STATE_COMING",
						    "MODULE_STATE_GOING", "MODULE_STATE_UNFORMED" };
	struct self_search search = { 0 };
	size_t name, self, found = 0;

	if (!take_modules(inference, &rows) ||
	    !samples_only_column(&rows, 8, are_names, NULL, &name))
		return;
	for (size_t distance = 8; distance <= LEAD; distance += 8) {
		struct self_search candidate = { .distance = distance };
		if (samples_columns(&rows, 8, is_self, &candidate, &self, 1) == 0)
			continue;
		search = candidate;
		found++;
	}
	if (found != 1)
		return;
	size_t shift = LEAD - search.distance; /* columns before the module itself */
	if (name < shift)
		return;
	infer_member(inference, "module", "list", search.distance, "struct list_head",
		     "as far from where the module says that it is itself");
	infer_array(inference, "module", "name", name - shift, "char", NAME_SIZE,
		    "a name in every module");
	find_parts(inference, &rows, &search, shift);
	if (search.distance != 8)
		return;
	for (size_t row = 0; row < rows.count; row++)
		if (sample_u32(&rows, row, shift) >= STATES)
			return;
	infer_member(inference, "module", "state", 0, "unsigned int",
		     "a state in every module, before its node in the list");
	for (size_t i = 0; i < STATES; i++)
		infer_constant(inference, "module_state", states[i], i);
}
