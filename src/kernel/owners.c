/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/owners.h"

#include <stdlib.h>
#include <string.h>

#include "base/growing.h"
#include "kernel/memory_map.h"
#include "kernel/module_scan.h"
#include "source/source.h"

/* Beyond this and four times of what there are pages, something is wrong with the tables. */
#define LEAST_LIMIT (UINT64_C(1) << 22)

/* arch/x86/include/asm/pgtable_64_types.h: size of the area, in bytes, and where it is without KASLR. */
#define VMALLOC_4LEVEL 0xffffc90000000000ull
#define VMALLOC_5LEVEL 0xffa0000000000000ull
#define VMALLOC_SIZE_4 (UINT64_C(32) << 40)
#define VMALLOC_SIZE_5 (UINT64_C(12800) << 40)

struct collecting {
	struct owners *owners;
	uint32_t process;
	enum page_user_kind kind, table_kind;
	uint64_t visits; /* of pages, those that are not in the source too */
};

static enum kioku_status add_user(struct collecting *collecting, uint64_t physical,
				  uint64_t virtual, enum page_user_kind kind)
{
	struct owners *owners = collecting->owners;

	if (++collecting->visits > 4 * owners->limit || owners->count == owners->limit)
		return KIOKU_ERROR_STOPPED;
	if (!source_has(owners->kernel->source, physical, PAGE_SIZE))
		return KIOKU_OK;
	if (!GROW(owners->users, owners->count, owners->capacity))
		return KIOKU_ERROR_NO_MEMORY;
	owners->users[owners->count++] = (struct page_user){
		.frame = physical / PAGE_SIZE,
		.virtual = virtual,
		.process = collecting->process,
		.kind = kind,
	};
	return KIOKU_OK;
}

static enum kioku_status add_mapping(void *user, const struct mapping *mapping)
{
	struct collecting *collecting = user;

	/* What is beyond all memory need not be looked at page by page. */
	uint64_t end = source_end(collecting->owners->kernel->source);
	for (uint64_t at = 0; at < mapping->size && mapping->physical + at < end; at += PAGE_SIZE)
		TRY(add_user(collecting, mapping->physical + at, mapping->virtual + at,
			     collecting->kind));
	return KIOKU_OK;
}

static enum kioku_status add_table(void *user, uint64_t physical, uint64_t virtual)
{
	struct collecting *collecting = user;

	return add_user(collecting, physical, virtual, collecting->table_kind);
}

/* whose: for the diagnostic. */
static enum kioku_status collect(struct collecting *collecting, struct kioku_address_space *space,
				 uint64_t first, uint64_t last, const char *whose, int32_t pid)
{
	const struct diagnostics *diagnostics = &collecting->owners->kernel->diagnostics;
	struct address_walk walk = { .first = first,
				     .last = last,
				     .receive = add_mapping,
				     .table = add_table,
				     .user = collecting };
	enum kioku_status status = address_space_walk(space, &walk);

	if (walk.losses.tables || walk.losses.repeated)
		diagnose(diagnostics, KIOKU_GAP, "owners: page tables of %s %d are lost", whose,
			 pid);
	if (status == KIOKU_ERROR_STOPPED)
		diagnose(diagnostics, KIOKU_GAP,
			 "owners: page tables map more than %zu pages; those of %s %d are not all "
			 "known",
			 collecting->owners->limit, whose, pid);
	return status == KIOKU_ERROR_STOPPED ? KIOKU_OK : status;
}

static enum kioku_status add_process(struct owners *owners, const struct task *task)
{
	if (!GROW(owners->processes, owners->process_count, owners->process_capacity))
		return KIOKU_ERROR_NO_MEMORY;
	struct owner_process *process = &owners->processes[owners->process_count++];
	process->pid = task->tgid;
	memcpy(process->comm, task->comm, sizeof(process->comm));
	return KIOKU_OK;
}

static enum kioku_status collect_process(void *user, const struct task *task)
{
	struct owners *owners = user;
	struct kioku_kernel *kernel = owners->kernel;
	AUTO_ADDRESS_SPACE struct kioku_address_space *space = NULL;
	struct kioku_error error = { 0 };
	struct memory_map map;

	if (!task_has_memory(task))
		return KIOKU_OK;
	enum kioku_status status = memory_map_read(kernel, task->mm, &map, &error);
	if (status == KIOKU_OK)
		status = memory_map_open_space(kernel, &map, task->tgid, &space, &error);
	if (status != KIOKU_OK) {
		diagnose(&kernel->diagnostics, KIOKU_GAP,
			 "owners: the memory of process %d is not known: %s", task->tgid,
			 error.message);
		return status == KIOKU_ERROR_NO_MEMORY ? status : KIOKU_OK;
	}
	struct collecting collecting = {
		.owners = owners,
		.process = (uint32_t)owners->process_count,
		.kind = PAGE_USER_PROCESS,
		.table_kind = PAGE_USER_TABLE,
	};
	TRY(add_process(owners, task));
	return collect(&collecting, space, 0, INT64_MAX, "process", task->tgid);
}

static enum kioku_status collect_kernel(struct owners *owners)
{
	struct kioku_kernel *kernel = owners->kernel;
	bool five = kernel->space.paging == &x86_64_5level;
	uint64_t start, variable = kernel_symbol(kernel, "vmalloc_base");
	struct collecting vmalloc = { .owners = owners,
				      .kind = PAGE_USER_VMALLOC,
				      .table_kind = PAGE_USER_KERNEL_TABLE };
	struct collecting modules = vmalloc;

	if (!variable || address_read_u64(&kernel->space, variable, &start, NULL) != KIOKU_OK ||
	    !kernel_is_pointer(kernel, start))
		start = five ? VMALLOC_5LEVEL : VMALLOC_4LEVEL;
	uint64_t last = start + (five ? VMALLOC_SIZE_5 : VMALLOC_SIZE_4) - 1;
	modules.kind = PAGE_USER_MODULE;
	if (last > start)
		TRY(collect(&vmalloc, &kernel->space, start, last, "the kernel", 0));
	return collect(&modules, &kernel->space, MODULES_FIRST, MODULES_LAST, "the kernel", 0);
}

static int compare(const void *a, const void *b)
{
	const struct page_user *x = a, *y = b;

	if (x->frame != y->frame)
		return x->frame < y->frame ? -1 : 1;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->process != y->process)
		return x->process < y->process ? -1 : 1;
	return x->virtual < y->virtual ? -1 : x->virtual > y->virtual;
}

/* The root of page tables is walked for each part of them. */
static void remove_repetitions(struct owners *owners)
{
	size_t kept = 0;

	for (size_t i = 0; i < owners->count; i++)
		if (kept == 0 || compare(&owners->users[kept - 1], &owners->users[i]) != 0)
			owners->users[kept++] = owners->users[i];
	owners->count = kept;
}

enum kioku_status owners_open(struct kioku_kernel *kernel, struct owners *out,
			      struct kioku_error *error)
{
	struct kioku_error why = { 0 };
	uint64_t limit = source_end(kernel->source) / PAGE_SIZE * 4;

	*out = (struct owners){ .kernel = kernel,
				.limit = limit > LEAST_LIMIT ? limit : LEAST_LIMIT };
	out->knows_frames = frame_reader_open(kernel, &out->frames, &why) == KIOKU_OK;
	if (!out->knows_frames)
		diagnose(&kernel->diagnostics, KIOKU_GAP,
			 "owners: what the kernel uses pages for is not known: %s", why.message);
	TRY(task_each_process(kernel, TASK_IDENTITY | TASK_MEMBERS, collect_process, out, error));
	TRY(collect_kernel(out));
	if (out->count > 0)
		qsort(out->users, out->count, sizeof(*out->users), compare);
	remove_repetitions(out);
	return KIOKU_OK;
}

void owners_close(struct owners *owners)
{
	free(owners->users);
	free(owners->processes);
	*owners = (struct owners){ 0 };
}

/* --- look-ups */

static size_t first_of(const struct owners *owners, uint64_t frame)
{
	size_t low = 0, high = owners->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (owners->users[middle].frame < frame)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The part of the kernel's image that a frame was; what it needed at its start only is given away. */
static const char *image_part(const struct kioku_kernel *kernel, uint64_t physical,
			      uint64_t *virtual)
{
	const struct image *image = &kernel->image;

	for (size_t i = 0; i < image->run_count; i++) {
		const struct mapping *run = &image->runs[i];
		if (physical - run->physical >= run->size)
			continue;
		*virtual = run->virtual + (physical - run->physical);
		if (run->permissions & KIOKU_PERMISSION_EXECUTE)
			return "kernel text";
		return run->permissions & KIOKU_PERMISSION_WRITE ? "kernel data" : "kernel rodata";
	}
	return NULL;
}

static const char *kind_by_user(const struct page_user *user)
{
	switch ((enum page_user_kind)user->kind) {
	case PAGE_USER_PROCESS: return "process";
	case PAGE_USER_TABLE:
	case PAGE_USER_KERNEL_TABLE: return "page table";
	case PAGE_USER_VMALLOC: return "vmalloc";
	case PAGE_USER_MODULE: return "module";
	}
	return "unknown";
}

static const char *kind_by_use(enum frame_kind kind)
{
	switch (kind) {
	case FRAME_ANONYMOUS: return "anonymous";
	case FRAME_KSM: return "ksm";
	case FRAME_FILE: return "file";
	case FRAME_SLAB: return "slab";
	case FRAME_TABLE: return "page table";
	case FRAME_FREE: return "free";
	case FRAME_RESERVED: return "reserved";
	case FRAME_UNKNOWN: break;
	}
	return "unknown";
}

void owners_find(const struct owners *owners, uint64_t physical, struct owner *out)
{
	uint64_t frame = physical / PAGE_SIZE;
	size_t first = first_of(owners, frame), last = first;
	const char *part = NULL;

	*out = (struct owner){ 0 };
	while (last < owners->count && owners->users[last].frame == frame)
		last++;
	out->users = owners->users + first;
	out->user_count = last - first;
	if (!owners->knows_frames ||
	    frame_use_read(&owners->frames, physical, &out->use) != KIOKU_OK)
		out->use = (struct frame_use){ 0 };
	enum frame_kind kind = out->use.kind;
	if (kind == FRAME_RESERVED || (!owners->knows_frames && !out->user_count))
		part = image_part(owners->kernel, physical / PAGE_SIZE * PAGE_SIZE, &out->virtual);
	if (part)
		out->kind = part;
	else if (out->user_count &&
		 (kind == FRAME_UNKNOWN || kind == FRAME_RESERVED || kind == FRAME_FREE))
		out->kind = kind_by_user(out->users);
	else
		out->kind = kind_by_use(kind);
}

bool owners_are_neighbours(const struct owners *owners, uint64_t physical, uint64_t next)
{
	struct owner one, two;

	owners_find(owners, physical, &one);
	owners_find(owners, next, &two);
	if (one.virtual && two.virtual)
		return one.virtual + PAGE_SIZE == two.virtual;
	for (size_t i = 0; i < one.user_count; i++) {
		struct page_user wanted = one.users[i];
		if (wanted.kind == PAGE_USER_TABLE || wanted.kind == PAGE_USER_KERNEL_TABLE)
			continue;
		wanted.frame = next / PAGE_SIZE;
		wanted.virtual += PAGE_SIZE;
		if (two.user_count &&
		    bsearch(&wanted, two.users, two.user_count, sizeof(wanted), compare))
			return true;
	}
	return false;
}
