/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Mappings of processes: what an mm_struct has them in, and struct vm_area_struct. */
#include <stdlib.h>
#include <string.h>

#include "base/growing.h"
#include "kernel/infer_memory.h"
#include "kernel/maple.h"
#include "kernel/memory_map.h"

enum {
	MAPPING_ROOM = 256,    /* bytes of a vm_area_struct that are looked at */
	MAPPINGS_LIMIT = 4096, /* structures that are looked at; more say nothing more */
	TREE_ROOM = 256,       /* bytes before ma_root in a maple_tree: its lock */
	FILES_LIMIT = 512,
	FEW = 16,
};

/* --- mappings in a maple tree, v6.1 on */

/*
 * struct maple_tree, struct maple_range_64 and maple_arange_64 of 64-bit machines: 256 bytes each, whose parts
 * are fixed (include/linux/maple_tree.h, v6.1 to v7.0). That they are as here is proved by mappings being
 * where their nodes say.
 */
static void add_nodes(struct inference *inference)
{
	static const char *const evidence = "mappings are where nodes of this form say";

	infer_member(inference, "maple_range_64", "parent", 0, "void *", evidence);
	infer_array(inference, "maple_range_64", "pivot", 8, "unsigned long", 15, evidence);
	infer_array(inference, "maple_range_64", "slot", 128, "void *", 16, evidence);
	infer_member(inference, "maple_arange_64", "parent", 0, "void *", evidence);
	infer_array(inference, "maple_arange_64", "pivot", 8, "unsigned long", 9, evidence);
	infer_array(inference, "maple_arange_64", "slot", 80, "void *", 10, evidence);
}

struct tree_search {
	struct inference *inference;
	size_t distance; /* from the tree's start to ma_root, which locks of no size leave 0; NO_COLUMN: not known yet */
};

/* The first node of a tree names the tree for its parent (MA_ROOT_PARENT, lib/maple_tree.c). */
static bool is_tree_root(const struct samples *maps, size_t column, void *user)
{
	struct tree_search *search = user;
	const uint64_t node_mask = 255, is_root_mark = 1;
	uint64_t parent;

	search->distance = NO_COLUMN;
	for (size_t row = 0; row < maps->count; row++) {
		uint64_t root = sample_u64(maps, row, column);
		if ((root & 3) != 2 || !infer_read(search->inference, root & ~node_mask, &parent) ||
		    !(parent & is_root_mark))
			return false;
		uint64_t distance = maps->addresses[row] + column - (parent & ~is_root_mark);
		if (distance > TREE_ROOM ||
		    (search->distance != NO_COLUMN && distance != search->distance))
			return false;
		search->distance = distance;
	}
	return maps->count > 0;
}

/* --- struct vm_area_struct */

/* Mappings, and what is known of each beforehand. */
struct mappings {
	struct inference *inference;
	const struct samples *maps;
	size_t bounds; /* column of maps */
	struct samples rows;
	struct mapping_fact {
		size_t map; /* row of maps */
		uint64_t first, last;
	} * facts;
	size_t fact_count, fact_capacity;
	size_t map;     /* being walked */
	size_t *counts; /* mappings of each map */
};

static void mappings_release(struct mappings *mappings)
{
	samples_release(&mappings->rows);
	free(mappings->facts);
	free(mappings->counts);
}

static enum kioku_status take_mapping(void *user, uint64_t first, uint64_t last, uint64_t pointer)
{
	struct mappings *mappings = user;

	mappings->counts[mappings->map]++;
	if (mappings->rows.count >= MAPPINGS_LIMIT)
		return KIOKU_OK;
	if (!GROW(mappings->facts, mappings->fact_count, mappings->fact_capacity))
		return KIOKU_ERROR_NO_MEMORY;
	if (!samples_add(mappings->inference->kernel, &mappings->rows, pointer))
		return KIOKU_ERROR_ABSENT;
	mappings->facts[mappings->fact_count++] =
		(struct mapping_fact){ mappings->map, first, last };
	return KIOKU_OK;
}

static bool walk_trees(struct mappings *mappings, size_t tree)
{
	struct kioku_kernel *kernel = mappings->inference->kernel;
	const struct diagnostics diagnostics = kernel->diagnostics;
	bool is_whole = true;

	/* What is not there or not right is no finding yet: nothing is known of the form so far. */
	kernel->diagnostics = (struct diagnostics){ 0 };
	for (size_t row = 0; row < mappings->maps->count && is_whole; row++) {
		mappings->map = row;
		is_whole = maple_each(kernel, mappings->maps->addresses[row] + tree, "mappings",
				      take_mapping, mappings, NULL) == KIOKU_OK;
	}
	kernel->diagnostics = diagnostics;
	return is_whole && mappings->rows.count > 0;
}

/* Before v6.1 in a list too, whose links and bounds have begun a vm_area_struct since v3.8. */
enum { LIST_START = 0, LIST_END = 8, LIST_NEXT = 16, LIST_PREVIOUS = 24 };

static bool walk_list(struct mappings *mappings, size_t row, size_t column)
{
	struct inference *inference = mappings->inference;
	uint64_t mapping = sample_u64(mappings->maps, row, column), before = 0, last_end = 0;
	uint64_t start, end, next, previous;

	mappings->map = row;
	while (mapping) {
		if (!infer_read(inference, mapping + LIST_START, &start) ||
		    !infer_read(inference, mapping + LIST_END, &end) ||
		    !infer_read(inference, mapping + LIST_NEXT, &next) ||
		    !infer_read(inference, mapping + LIST_PREVIOUS, &previous) ||
		    previous != before || start < last_end || start >= end ||
		    (start | end) % PAGE_SIZE || end > UINT64_C(1) << 57 ||
		    take_mapping(mappings, start, end - 1, mapping) != KIOKU_OK)
			return false;
		before = mapping;
		last_end = end;
		mapping = next;
	}
	return before != 0;
}

static bool walk_lists(struct mappings *mappings, size_t *column)
{
	for (*column = 0; *column + 8 <= mappings->maps->width; *column += 8) {
		size_t row = 0;
		mappings->rows.count = mappings->fact_count = 0;
		memset(mappings->counts, 0, mappings->maps->count * sizeof(*mappings->counts));
		while (row < mappings->maps->count && walk_list(mappings, row, *column))
			row++;
		if (row == mappings->maps->count)
			return true;
	}
	return false;
}

static bool is_start(const struct samples *rows, size_t column, void *user)
{
	const struct mappings *mappings = user;

	for (size_t row = 0; row < rows->count; row++)
		if (sample_u64(rows, row, column) != mappings->facts[row].first)
			return false;
	return true;
}

static bool is_end(const struct samples *rows, size_t column, void *user)
{
	const struct mappings *mappings = user;

	for (size_t row = 0; row < rows->count; row++)
		if (sample_u64(rows, row, column) != mappings->facts[row].last + 1)
			return false;
	return true;
}

static bool is_owner(const struct samples *rows, size_t column, void *user)
{
	const struct mappings *mappings = user;

	for (size_t row = 0; row < rows->count; row++)
		if (sample_u64(rows, row, column) !=
		    mappings->maps->addresses[mappings->facts[row].map])
			return false;
	return true;
}

/* A bound of the process that a mapping is of, and whether that lies in it. */
static uint64_t bound(const struct mappings *mappings, size_t row, size_t which)
{
	return sample_u64(mappings->maps, mappings->facts[row].map, mappings->bounds + 8 * which);
}

static bool has(const struct mappings *mappings, size_t row, uint64_t address)
{
	return address >= mappings->facts[row].first && address <= mappings->facts[row].last;
}

/* include/linux/mm.h, v4.9 to v7.0. */
enum { MAY_SHIFT = 4, GROWS_DOWN = 0x100 };

static bool are_flags(const struct samples *rows, size_t column, void *user)
{
	const struct mappings *mappings = user;
	const uint64_t access = VMA_READ | VMA_WRITE | VMA_EXECUTE;

	for (size_t row = 0; row < rows->count; row++) {
		uint64_t flags = sample_u64(rows, row, column), may = flags >> MAY_SHIFT & access;
		bool is_stack = has(mappings, row, bound(mappings, row, START_STACK));
		if (flags >> 48 || (flags & access & ~may) || !may)
			return false;
		if (is_stack && (!(flags & GROWS_DOWN) ||
				 (flags & (VMA_READ | VMA_WRITE)) != (VMA_READ | VMA_WRITE)))
			return false;
		if (has(mappings, row, bound(mappings, row, START_CODE)) && !(flags & VMA_READ))
			return false;
	}
	return true;
}

/*
 * vm_ops, vm_pgoff, vm_file and vm_private_data have followed each other in all kernels; the file of the
 * mapping that the program's code begins in is its exe_file.
 */
enum { OPERATIONS = 0, PAGE_OFFSET = 8, FILE_POINTER = 16, PRIVATE = 24, FILE_MEMBERS = 32 };

struct file_search {
	const struct mappings *mappings;
	size_t file; /* column of mappings */
};

static bool is_executable_file(const struct samples *maps, size_t column, void *user)
{
	const struct file_search *search = user;
	const struct mappings *mappings = search->mappings;
	size_t compared = 0;

	for (size_t row = 0; row < mappings->rows.count; row++) {
		if (!has(mappings, row, bound(mappings, row, START_CODE)))
			continue;
		uint64_t file = sample_u64(&mappings->rows, row, search->file);
		if (sample_u64(maps, mappings->facts[row].map, column) != file || !file)
			return false;
		compared++;
	}
	return compared > 0;
}

static bool are_file_members(const struct samples *rows, size_t column, void *user)
{
	const struct mappings *mappings = user;
	struct kioku_kernel *kernel = mappings->inference->kernel;
	size_t files = 0, none = 0;

	if (column + FILE_MEMBERS > rows->width)
		return false;
	for (size_t row = 0; row < rows->count; row++) {
		uint64_t operations = sample_u64(rows, row, column + OPERATIONS);
		uint64_t file = sample_u64(rows, row, column + FILE_POINTER);
		if (file ? !operations || !kernel_is_pointer(kernel, file) || file % 8
			 : sample_u64(rows, row, column + PAGE_OFFSET) > UINT64_C(1) << 52)
			return false;
		if (operations && !kernel_is_pointer(kernel, operations))
			return false;
		/* The stack is of no file, and nobody's but the kernel's own. */
		if (has(mappings, row, bound(mappings, row, START_STACK)) && (file || operations))
			return false;
		files += file != 0;
		none += file == 0;
	}
	return files > 0 && none > 0;
}

/* For who works out what they are called. */
static void take_files(struct mappings *mappings, size_t column)
{
	struct inference *inference = mappings->inference;

	inference->files.width = 8; /* their addresses are what is wanted */
	for (size_t row = 0; row < mappings->rows.count; row++) {
		uint64_t file = sample_u64(&mappings->rows, row, column);
		if (file && inference->files.count < FILES_LIMIT)
			(void)samples_add_once(inference->kernel, &inference->files, file);
	}
}

/*
 * What the kernel itself maps (mm/mmap.c, special_mapping_vmops) leads to a name in brackets: "[vdso]". Without a symbol
 * for that, it is what has operations and no file.
 */
static void find_special_names(struct mappings *mappings, size_t column)
{
	struct inference *inference = mappings->inference;
	uint64_t special = kernel_symbol(inference->kernel, "special_mapping_vmops"), pointer, text;
	const struct samples *rows = &mappings->rows;
	size_t found = 0;

	for (size_t row = 0; row < rows->count; row++) {
		uint64_t operations = sample_u64(rows, row, column + OPERATIONS);
		if (!special && operations && !sample_u64(rows, row, column + FILE_POINTER))
			special = operations;
		if (!operations || operations != special)
			continue;
		uint64_t mapping = sample_u64(rows, row, column + PRIVATE);
		if (!infer_read(inference, mapping, &pointer) ||
		    !infer_read(inference, pointer, &text) || (text & 0xff) != '[')
			return;
		found++;
	}
	if (found > 0)
		infer_member(inference, "vm_special_mapping", "name", 0, "void *",
			     "a name in brackets for all that the kernel maps itself");
}

static void find_files(struct mappings *mappings)
{
	struct inference *inference = mappings->inference;
	size_t candidates[FEW], found = 0, executable = 0, column = 0;
	size_t count =
		samples_columns(&mappings->rows, 8, are_file_members, mappings, candidates, FEW);

	for (size_t i = 0; i < count && i < FEW; i++) {
		struct file_search search = { mappings, candidates[i] + FILE_POINTER };
		size_t exe_file;
		if (!samples_only_column(mappings->maps, 8, is_executable_file, &search, &exe_file))
			continue;
		found++;
		column = candidates[i];
		executable = exe_file;
	}
	if (found != 1)
		return;
	take_files(mappings, column + FILE_POINTER);
	find_special_names(mappings, column);
	infer_member(inference, "mm_struct", "exe_file", executable, "void *",
		     "file of the mapping that each program's code begins in");
	infer_member(inference, "vm_area_struct", "vm_ops", column + OPERATIONS, "void *",
		     "declared before what exe_file proves");
	infer_member(inference, "vm_area_struct", "vm_pgoff", column + PAGE_OFFSET, "unsigned long",
		     "declared between what exe_file proves");
	infer_member(inference, "vm_area_struct", "vm_file", column + FILE_POINTER, "void *",
		     "the same as exe_file where each program's code begins");
	infer_member(inference, "vm_area_struct", "vm_private_data", column + PRIVATE, "void *",
		     "declared after what exe_file proves");
}

static bool is_count(const struct samples *maps, size_t column, void *user)
{
	const struct mappings *mappings = user;

	for (size_t row = 0; row < maps->count; row++)
		if (sample_u32(maps, row, column) != mappings->counts[row])
			return false;
	return true;
}

static bool find_one(struct mappings *mappings, const char *name, size_t step, column_fn *is_member,
		     const char *of_type, const char *evidence)
{
	size_t column;

	if (!samples_only_column(&mappings->rows, step, is_member, mappings, &column))
		return false;
	infer_member(mappings->inference, "vm_area_struct", name, column, of_type, evidence);
	return true;
}

static bool find_mapping_members(struct mappings *mappings)
{
	size_t column;

	if (!find_one(mappings, "vm_start", 8, is_start, "unsigned long",
		      "where what leads to it says") ||
	    !find_one(mappings, "vm_end", 8, is_end, "unsigned long",
		      "where what leads to it says"))
		return false;
	find_one(mappings, "vm_mm", 8, is_owner, "void *", "leads back to the mm_struct");
	find_one(mappings, "vm_flags", 8, are_flags, "unsigned long",
		 "what is allowed is what may be, and the stack grows down");
	find_files(mappings);
	if (samples_only_column(mappings->maps, 4, is_count, mappings, &column))
		infer_member(mappings->inference, "mm_struct", "map_count", column, "int",
			     "number of mappings in every process");
	return true;
}

void infer_mappings(struct inference *inference, const struct samples *maps, size_t bounds)
{
	CLEANUP(mappings_release)
	struct mappings mappings = {
		.inference = inference,
		.maps = maps,
		.bounds = bounds,
		.rows = { .width = MAPPING_ROOM },
		.counts = calloc(maps->count, sizeof(size_t)),
	};
	struct tree_search search = { inference, NO_COLUMN };
	size_t root, list;

	if (!mappings.counts)
		return;
	size_t proved = inference->count;
	if (samples_only_column(maps, 8, is_tree_root, &search, &root)) {
		/* The last one that was asked was another: its distance is none. */
		is_tree_root(maps, root, &search);
		add_nodes(inference);
		infer_member(inference, "maple_tree", "ma_root", search.distance, "void *",
			     "leads to a node that leads back");
		infer_member(inference, "mm_struct", "mm_mt", root - search.distance,
			     "struct maple_tree", "its first node leads back to it");
		if (infer_apply(inference, NULL) != KIOKU_OK ||
		    !walk_trees(&mappings, root - search.distance))
			mappings.rows.count = 0;
	} else if (walk_lists(&mappings, &list)) {
		infer_member(inference, "mm_struct", "mmap", list, "void *",
			     "leads to mappings in ascending order");
		infer_member(inference, "vm_area_struct", "vm_next", LIST_NEXT, "void *",
			     "leads to the next mapping, which leads back");
		infer_member(inference, "vm_area_struct", "vm_prev", LIST_PREVIOUS, "void *",
			     "leads to the previous mapping");
	}
	if (mappings.rows.count > 0 && find_mapping_members(&mappings))
		return;
	inference->count = proved; /* what led here led nowhere */
}
