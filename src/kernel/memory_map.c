/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/memory_map.h"

#include <elf.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/growing.h"
#include "kernel/maple.h"

#define VMA_LIMIT (1u << 22) /* sysctl vm.max_map_count is 65530 unless it was raised */

static const struct member vma_members[] = {
	MEMBER(struct vma, start, "vm_start"),
	MEMBER(struct vma, end, "vm_end"),
	MEMBER(struct vma, flags, "vm_flags", "__vm_flags"),
	MEMBER(struct vma, page_offset, "vm_pgoff"),
	MEMBER(struct vma, file, "vm_file"),
	MEMBER(struct vma, mm, "vm_mm"),
	MEMBER(struct vma, operations, "vm_ops"),
	MEMBER(struct vma, private, "vm_private_data"),
	OPTIONAL(struct vma, anonymous_name, "anon_name"), /* v5.17, CONFIG_ANON_VMA_NAME */
	OPTIONAL(struct vma, of_file, "shared.rb.__rb_parent_color"),
	OPTIONAL(struct vma, next, "vm_next"), /* until v6.1 */
};
const struct record vma_record = RECORD(struct vma, "vm_area_struct", vma_members);

static const struct member map_members[] = {
	MEMBER(struct memory_map, pgd, "pgd"),
	MEMBER(struct memory_map, exe_file, "exe_file"),
	OPTIONAL(struct memory_map, first, "mmap"),
	MEMBER(struct memory_map, brk_start, "start_brk"),
	MEMBER(struct memory_map, brk_end, "brk"),
	MEMBER(struct memory_map, stack, "start_stack"),
	MEMBER(struct memory_map, arguments_start, "arg_start"),
	MEMBER(struct memory_map, arguments_end, "arg_end"),
	MEMBER(struct memory_map, environment_start, "env_start"),
	MEMBER(struct memory_map, environment_end, "env_end"),
	MEMBER(struct memory_map, count, "map_count"),
	OPTIONAL(struct memory_map, auxiliary, "saved_auxv"),
};
const struct record memory_map_record = RECORD(struct memory_map, "mm_struct", map_members);

/* Only where it is matters. */
struct tree_place {
	uint64_t head;
};

static const struct member tree_members[] = { MEMBER(struct tree_place, head, "mm_mt.ma_root") };
static const struct record tree_record = RECORD(struct tree_place, "mm_struct", tree_members);

struct anonymous_name {
	char text[80]; /* ANON_VMA_NAME_MAX_LEN */
};

static const struct member anonymous_members[] = { MEMBER(struct anonymous_name, text, "name") };
static const struct record anonymous_record =
	RECORD(struct anonymous_name, "anon_vma_name", anonymous_members);

struct special_mapping {
	uint64_t name;
};

static const struct member special_members[] = { MEMBER(struct special_mapping, name, "name") };
static const struct record special_record =
	RECORD(struct special_mapping, "vm_special_mapping", special_members);

enum kioku_status memory_map_read(struct kioku_kernel *kernel, uint64_t mm, struct memory_map *out,
				  struct kioku_error *error)
{
	const struct binding *binding;

	TRY(record_bind(kernel, &memory_map_record, &binding, error));
	TRY(record_read(kernel, binding, mm, out, error));
	out->address = mm;
	return KIOKU_OK;
}

uint64_t memory_map_auxiliary(const struct memory_map *map, uint64_t type)
{
	const uint8_t *pairs = map->auxiliary;
	/* The first is of type AT_SYSINFO_EHDR, or of AT_SYSINFO with an address: a 32-bit program's. */
	size_t word = load_le64(pairs) > UINT32_MAX ? 4 : 8;

	for (size_t at = 0; at + 2 * word <= sizeof(map->auxiliary); at += 2 * word) {
		uint64_t found = word == 8 ? load_le64(pairs + at) : load_le32(pairs + at);
		if (found == AT_NULL)
			break;
		if (found == type)
			return word == 8 ? load_le64(pairs + at + word)
					 : load_le32(pairs + at + word);
	}
	return 0;
}

struct walk {
	struct kioku_kernel *kernel;
	const struct binding *binding;
	const struct memory_map *map;
	int32_t pid;
	uint64_t last_end; /* of the mapping before */
	uint32_t count;
	uint64_t next; /* in the list */
	bool name_is_of_memory_only;
	vma_fn *receive;
	void *user;
};

static void lose(const struct walk *walk, uint64_t address, const char *why)
{
	diagnose(&walk->kernel->diagnostics, KIOKU_GAP,
		 "process %d: the mapping at 0x%llx is lost: %s", walk->pid,
		 (unsigned long long)address, why);
}

static bool is_plausible(const struct walk *walk, const struct vma *vma)
{
	return vma->mm == walk->map->address && vma->start < vma->end &&
	       vma->start % PAGE_SIZE == 0 && vma->end % PAGE_SIZE == 0 &&
	       vma->end <= UINT64_C(1) << 63 && vma->start >= walk->last_end &&
	       (!vma->file || kernel_is_pointer(walk->kernel, vma->file));
}

static enum kioku_status give(struct walk *walk, uint64_t address, uint64_t first, uint64_t last,
			      bool in_tree)
{
	struct vma vma;
	enum kioku_status status = record_read(walk->kernel, walk->binding, address, &vma, NULL);

	walk->next = 0;
	if (status != KIOKU_OK) {
		lose(walk, address, kioku_status_name(status));
		return KIOKU_OK;
	}
	if (!is_plausible(walk, &vma) || (in_tree && (vma.start != first || vma.end - 1 != last))) {
		lose(walk, address, "it contradicts what leads to it");
		return KIOKU_OK;
	}
	vma.address = address;
	if (vma.file && walk->name_is_of_memory_only)
		vma.anonymous_name = 0;
	walk->last_end = vma.end;
	walk->next = vma.next;
	walk->count++;
	return walk->receive(walk->user, &vma);
}

static enum kioku_status give_range(void *user, uint64_t first, uint64_t last, uint64_t pointer)
{
	return give(user, pointer, first, last, true);
}

/* They ascend, so that no list of them goes on without end. */
static enum kioku_status walk_list(struct walk *walk)
{
	uint64_t address = walk->map->first;

	for (uint32_t i = 0; address && i < VMA_LIMIT; i++, address = walk->next) {
		if (!kernel_is_pointer(walk->kernel, address)) {
			lose(walk, address, "it is no pointer");
			return KIOKU_OK;
		}
		TRY(give(walk, address, 0, 0, false));
	}
	return KIOKU_OK;
}

enum kioku_status memory_map_each(struct kioku_kernel *kernel, const struct memory_map *map,
				  int32_t pid, vma_fn *receive, void *user,
				  struct kioku_error *error)
{
	struct walk walk = {
		.kernel = kernel, .map = map, .pid = pid, .receive = receive, .user = user
	};
	const struct binding *tree;
	char what[48];

	TRY(record_bind(kernel, &vma_record, &walk.binding, error));
	walk.name_is_of_memory_only = BINDING_OFFSET(walk.binding, struct vma, anonymous_name) ==
				      BINDING_OFFSET(walk.binding, struct vma, of_file);
	snprintf(what, sizeof(what), "mappings of process %d", pid);
	if (record_bind(kernel, &tree_record, &tree, NULL) == KIOKU_OK && maple_is_known(kernel)) {
		uint64_t start =
			BINDING_OFFSET(tree, struct tree_place, head) - maple_root_offset(kernel);
		TRY(maple_each(kernel, map->address + start, what, give_range, &walk, error));
	} else {
		TRY(walk_list(&walk));
	}
	if (walk.count != (uint32_t)map->count)
		diagnose(&kernel->diagnostics, KIOKU_GAP,
			 "process %d: %u of its %d mappings were found", pid, walk.count,
			 map->count);
	return KIOKU_OK;
}

/* --- lists */

static enum kioku_status add_to_list(void *user, const struct vma *vma)
{
	struct vma_list *list = user;

	if (!GROW(list->vmas, list->count, list->capacity))
		return KIOKU_ERROR_NO_MEMORY;
	list->vmas[list->count++] = *vma;
	return KIOKU_OK;
}

enum kioku_status memory_map_list(struct kioku_kernel *kernel, const struct memory_map *map,
				  int32_t pid, struct vma_list *out, struct kioku_error *error)
{
	*out = (struct vma_list){ 0 };
	return memory_map_each(kernel, map, pid, add_to_list, out, error);
}

static int compare_vma(const void *key, const void *element)
{
	uint64_t address = *(const uint64_t *)key;
	const struct vma *vma = element;

	return address < vma->start ? -1 : address >= vma->end;
}

const struct vma *vma_list_find(const struct vma_list *list, uint64_t address)
{
	if (list->count == 0)
		return NULL;
	return bsearch(&address, list->vmas, list->count, sizeof(*list->vmas), compare_vma);
}

void vma_list_release(struct vma_list *list)
{
	free(list->vmas);
	*list = (struct vma_list){ 0 };
}

/* --- names */

static void name_it(struct path_text *out, const char *text)
{
	out->size = strlen(text);
	memcpy(out->data, text, out->size);
}

/* [vdso], [vvar]; mm/mmap.c, special_mapping_name(). */
static enum kioku_status name_special(struct kioku_kernel *kernel, const struct vma *vma,
				      struct path_text *out)
{
	const struct binding *binding;
	struct special_mapping special;
	char name[64];
	size_t size;

	TRY(record_bind(kernel, &special_record, &binding, NULL));
	TRY(record_read(kernel, binding, vma->private, &special, NULL));
	TRY(kernel_read_string(kernel, special.name, name, sizeof(name), &size));
	name_it(out, name);
	return KIOKU_OK;
}

/* Nothing but what the kernel itself maps has a name in brackets in the kernel's own data. */
static bool looks_special(struct kioku_kernel *kernel, const struct vma *vma, struct path_text *out)
{
	bool good = image_contains(&kernel->image, vma->operations) &&
		    image_contains(&kernel->image, vma->private) &&
		    name_special(kernel, vma, out) == KIOKU_OK && out->size > 2 &&
		    out->data[0] == '[' && out->data[out->size - 1] == ']';

	if (!good)
		out->size = 0;
	return good;
}

/* PR_SET_VMA_ANON_NAME. form has a %s for it. */
static enum kioku_status name_anonymous(struct kioku_kernel *kernel, const struct vma *vma,
					const char *before, struct path_text *out)
{
	const struct binding *binding;
	struct anonymous_name name;
	char text[sizeof(name.text) + 24];

	TRY(record_bind(kernel, &anonymous_record, &binding, NULL));
	TRY(record_read(kernel, binding, vma->anonymous_name, &name, NULL));
	if (!memchr(name.text, 0, sizeof(name.text)))
		return KIOKU_ERROR_CORRUPT;
	snprintf(text, sizeof(text), "[%s:%s]", before, name.text);
	name_it(out, text);
	return KIOKU_OK;
}

enum kioku_status vma_name(struct kioku_kernel *kernel, const struct memory_map *map,
			   const struct vma *vma, struct path_text *out)
{
	struct file file;

	*out = (struct path_text){ 0 };
	if (vma->file) {
		if (vma->anonymous_name)
			return name_anonymous(kernel, vma, "anon_shmem", out);
		TRY(file_read_place(kernel, vma->file, &file));
		TRY(path_of(kernel, &file.path, NULL, out));
		path_mark_deleted(out);
		return KIOKU_OK;
	}
	uint64_t special = kernel_symbol(kernel, "special_mapping_vmops");
	if (vma->operations && vma->operations == special)
		return name_special(kernel, vma, out);
	/* Without the symbol nobody knows whose operations these are, but for what they lead to. */
	if (vma->operations && !special)
		return looks_special(kernel, vma, out) ? KIOKU_OK : KIOKU_ERROR_UNSUPPORTED;
	if (vma->start <= map->brk_end && vma->end >= map->brk_start)
		name_it(out, "[heap]");
	else if (vma->start <= map->stack && vma->end >= map->stack)
		name_it(out, "[stack]");
	else if (vma->anonymous_name)
		return name_anonymous(kernel, vma, "anon", out);
	return KIOKU_OK;
}
