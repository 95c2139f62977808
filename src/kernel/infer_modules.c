/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Loaded modules: struct module, which says three times where it is. */
#include "kernel/infer_modules.h"

#include <string.h>

#include "kernel/module.h"

enum {
	MODULES_LIMIT = 65536,
	STATES = 4,
	NAME_SIZE = 56, /* MODULE_NAME_LEN, 64 bytes less what an unsigned long takes */
	TEXT_PARTS = 7, /* MOD_MEM_NUM_TYPES */
};

static bool take_modules(struct inference *inference, uint64_t head, struct samples *out)
{
	uint64_t node = head;

	for (size_t i = 0; i < MODULES_LIMIT; i++) {
		if (!infer_is_linked(inference, node, &node))
			return false;
		if (node == head)
			return out->count > 0;
		if (!samples_add(inference->kernel, out, node - MODULE_LEAD))
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

static bool is_self(const struct samples *rows, size_t column, void *user)
{
	const struct module_rows *modules = user;

	for (size_t row = 0; row < rows->count; row++)
		if (sample_u64(rows, row, column) != module_address(modules, row))
			return false;
	return true;
}

/* The only distance from the module to its node for which pointers to the module itself are in all of them. */
static bool find_start(struct module_rows *modules)
{
	size_t found = 0, start = 0, self;

	for (modules->start = 0; modules->start < MODULE_LEAD; modules->start += 8) {
		if (samples_columns(&modules->rows, 8, is_self, modules, &self, 1) == 0)
			continue;
		start = modules->start;
		found++;
	}
	modules->start = start;
	modules->self_count = samples_columns(&modules->rows, 8, is_self, modules, modules->selves,
					      MODULE_COLUMNS);
	return found == 1 && modules->self_count <= MODULE_COLUMNS;
}

/* Whether what a list leads through are modules: each has a name, and says where it is. */
static bool are_modules(struct inference *inference, uint64_t head, struct module_rows *out)
{
	out->rows.count = 0;
	return take_modules(inference, head, &out->rows) &&
	       samples_only_column(&out->rows, 8, are_names, NULL, &out->name) && find_start(out) &&
	       out->name >= out->start;
}

/* --- the list, where no symbol says where it is */

/* What is behind the kernel's image in the last 2 GiB is modules' memory. */
static bool is_of_modules(const struct kioku_kernel *kernel, uint64_t address)
{
	return address >= kernel->image.end && kernel_is_pointer(kernel, address) &&
	       address % 8 == 0;
}

/* The only list in the kernel's data that leads through modules; 0: there is none. */
static uint64_t search_list(struct inference *inference, struct module_rows *modules)
{
	struct kioku_kernel *kernel = inference->kernel;
	uint64_t found = 0;

	for (size_t next = 0;;) {
		AUTO_IMAGE_WINDOW struct image_window window = { 0 };
		const struct mapping *run =
			image_next_data(&kernel->space, &kernel->image, &next, &window);
		if (!run)
			return found;
		for (uint64_t at = 0; at + 16 <= run->size; at += 8) {
			if (!is_of_modules(kernel, load_le64(window.buffer + at)) ||
			    !is_of_modules(kernel, load_le64(window.buffer + at + 8)) ||
			    !are_modules(inference, run->virtual + at, modules))
				continue;
			if (found)
				return 0;
			found = run->virtual + at;
		}
	}
}

/* --- their memory */

bool module_rows_own(const struct module_rows *modules, size_t row, uint64_t address)
{
	for (size_t i = 0; i < modules->part_count; i++) {
		size_t column = modules->part + i * modules->part_distance;
		if (address - sample_u64(&modules->rows, row, column) <
		    sample_u32(&modules->rows, row, column + modules->part_size))
			return true;
	}
	return false;
}

/* What has the module itself in it: its data, or all of it. */
static bool is_part(const struct samples *rows, size_t column, void *user)
{
	const struct module_rows *modules = user;

	if (column + modules->part_size + 4 > rows->width)
		return false;
	for (size_t row = 0; row < rows->count; row++) {
		uint64_t module = module_address(modules, row);
		uint64_t base = sample_u64(rows, row, column);
		if (base == 0 || base % PAGE_SIZE || base > module ||
		    module - base >= sample_u32(rows, row, column + modules->part_size))
			return false;
	}
	return true;
}

/*
 * struct module_memory (v6.4 on): code first, then data, in which the module is, each with a pointer to the
 * module. Its size is how far these are from one another.
 */
static bool find_memory(struct inference *inference, struct module_rows *modules, size_t part)
{
	static const char *const evidence =
		"the module is in its second part, and each leads to it";
	const size_t *selves = modules->selves, count = modules->self_count;

	for (size_t i = 0; i + 1 < count; i++) {
		size_t size = selves[i + 1] - selves[i];
		if (selves[i] >= part || selves[i + 1] <= part || selves[i + 1] - part >= size ||
		    part < size)
			continue;
		/* All of them, at one distance. */
		size_t last = i;
		while (last + 1 < count && selves[last + 1] - selves[last] == size)
			last++;
		if (last - i + 1 < TEXT_PARTS)
			return false;
		for (size_t row = 0; row < modules->rows.count; row++)
			if (sample_u64(&modules->rows, row, part - size) % PAGE_SIZE)
				return false;
		modules->part = part - size;
		modules->part_distance = size;
		modules->part_count = TEXT_PARTS;
		infer_array(inference, "module", "mem", modules->part - modules->start,
			    "struct module_memory", TEXT_PARTS, evidence);
		infer_member(inference, "module_memory", "base", 0, "void *", evidence);
		infer_member(inference, "module_memory", "size", modules->part_size, "unsigned int",
			     evidence);
		infer_size(inference, "module_memory", size);
		infer_constant(inference, "mod_mem_type", "MOD_MEM_NUM_TYPES", TEXT_PARTS);
		return true;
	}
	return false;
}

/* struct module_layout (v4.5 to v6.3): the size of all, of its code, of what is constant. */
enum {
	LAYOUT_SIZE = 8,
	LAYOUT_TEXT = 12,
	LAYOUT_CONSTANT = 16,
	LAYOUT_SEALED = 20,
	LAYOUT_SELF = 24
};

static bool is_layout(const struct samples *rows, size_t part)
{
	if (part + LAYOUT_SELF > rows->width)
		return false;
	for (size_t row = 0; row < rows->count; row++) {
		uint32_t size = sample_u32(rows, row, part + LAYOUT_SIZE);
		uint32_t text = sample_u32(rows, row, part + LAYOUT_TEXT);
		uint32_t constant = sample_u32(rows, row, part + LAYOUT_CONSTANT);
		uint32_t sealed = sample_u32(rows, row, part + LAYOUT_SEALED);
		if (text % PAGE_SIZE || constant % PAGE_SIZE || sealed % PAGE_SIZE ||
		    text > constant || constant > sealed || sealed > size)
			return false;
	}
	return true;
}

/* How far the layout of what is needed to start a module is behind that of all else: both lead to the module. */
static size_t find_second_layout(const struct module_rows *modules, size_t part)
{
	for (size_t i = 0; i + 1 < modules->self_count; i++)
		if (modules->selves[i] == part + LAYOUT_SELF)
			return modules->selves[i + 1] - modules->selves[i];
	return 0;
}

static bool find_layout(struct inference *inference, struct module_rows *modules, size_t part)
{
	static const char *const evidence = "the module is in it, and sizes of parts ascend";

	if (modules->part_size != LAYOUT_SIZE || !is_layout(&modules->rows, part))
		return false;
	modules->part = part;
	modules->part_count = 1;
	infer_member(inference, "module", "core_layout", part - modules->start,
		     "struct module_layout", evidence);
	infer_member(inference, "module_layout", "base", 0, "void *", evidence);
	infer_member(inference, "module_layout", "size", LAYOUT_SIZE, "unsigned int", evidence);
	infer_member(inference, "module_layout", "text_size", LAYOUT_TEXT, "unsigned int",
		     evidence);
	size_t distance = find_second_layout(modules, part);
	if (!distance || !is_layout(&modules->rows, part + distance))
		return true;
	modules->part_distance = distance;
	modules->part_count = 2;
	infer_size(inference, "module_layout", distance);
	infer_member(inference, "module", "init_layout", part + distance - modules->start,
		     "struct module_layout", "leads to the module, as the first one does");
	return true;
}

/* The size follows the address, but in some versions other things come between (v6.13 on). */
static bool find_part(struct module_rows *modules, size_t *part)
{
	for (modules->part_size = 8; modules->part_size <= 24; modules->part_size += 4)
		if (samples_only_column(&modules->rows, 8, is_part, modules, part))
			return true;
	return false;
}

static bool find_parts(struct inference *inference, struct module_rows *modules)
{
	size_t part;

	return find_part(modules, &part) &&
	       (find_memory(inference, modules, part) || find_layout(inference, modules, part));
}

/* --- all of it */

/* state, the node and the name come first, in this order, in all kernels that are not randomised. */
static bool begins_in_order(const struct module_rows *modules)
{
	if (MODULE_LEAD - modules->start != 8 || modules->name - modules->start != 24)
		return false;
	for (size_t row = 0; row < modules->rows.count; row++)
		if (sample_u32(&modules->rows, row, modules->start) >= STATES)
			return false;
	return true;
}

static void note_state(struct inference *inference)
{
	/* include/linux/module.h, v3.8 to v7.0 */
	static const char *const states[STATES] = { "MODULE_STATE_LIVE", "MODULE_STATE_COMING",
						    "MODULE_STATE_GOING", "MODULE_STATE_UNFORMED" };

	infer_member(inference, "module", "state", 0, "unsigned int",
		     "a state in every module, before its node in the list");
	for (size_t i = 0; i < STATES; i++)
		infer_constant(inference, "module_state", states[i], i);
}

static void module_rows_release(struct module_rows *modules)
{
	samples_release(&modules->rows);
}

void infer_modules(struct inference *inference)
{
	CLEANUP(module_rows_release)
	struct module_rows modules = { .rows = { .width = MODULE_LEAD + MODULE_ROOM } };
	uint64_t head = kernel_symbol(inference->kernel, "modules");

	if (!head)
		head = inference->kernel->module_list = search_list(inference, &modules);
	if (!head || !are_modules(inference, head, &modules))
		return;
	infer_member(inference, "module", "list", MODULE_LEAD - modules.start, "struct list_head",
		     "as far from where the module says that it is itself");
	infer_array(inference, "module", "name", modules.name - modules.start, "char", NAME_SIZE,
		    "a name in every module");
	bool has_parts = find_parts(inference, &modules);
	if (!begins_in_order(&modules))
		return;
	note_state(inference);
	if (has_parts)
		infer_module_facts(inference, &modules);
}
