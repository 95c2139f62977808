/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The memory of a process as a source of its own: what page tables map, what is swapped out and can be
 * had, what the kernel has in memory of mapped files, and what was never touched. The rest of files is left
 * out: a debugger has the file.
 */
#include <elf.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/growing.h"
#include "format/core_format.h"
#include "kernel/memory_map.h"
#include "kernel/page_cache.h"
#include "kernel/registers.h"
#include "kernel/swap.h"
#include "source/driver.h"
#include "source/made_source.h"

enum {
	VMA_IO = 0x4000,    /* VM_IO: of a device */
	VMA_PFNMAP = 0x400, /* VM_PFNMAP: frames that are nobody's pages */
};

/* --- reading */

/* Ways in are used by several threads at once, and a kernel is not. */
struct core_state {
	struct kioku_address_space *space;
	pthread_mutex_t lock;
};

static enum kioku_status read_access(void *access, uint64_t address, uint64_t offset, void *buffer,
				     size_t size, struct kioku_error *error)
{
	struct core_state *state = access;

	pthread_mutex_lock(&state->lock);
	enum kioku_status status =
		kioku_address_space_read(state->space, address, buffer, size, error);
	pthread_mutex_unlock(&state->lock);
	return status;
}

static const struct source_access core_access = {
	.open = made_access_open,
	.close = made_access_close,
	.read = read_access,
	.states = made_access_states,
};

static void core_state_free(struct core_state *state)
{
	if (!state)
		return;
	kioku_address_space_close(state->space);
	pthread_mutex_destroy(&state->lock);
	free(state);
}
DEFINE_CLEANUP(core_state, struct core_state, core_state_free)

static void close_core(struct kioku_source *source)
{
	core_state_free(TAKE(source->state));
}

static const struct source_driver core_source = {
	.name = "process",
	.help = "process",
	.access = &core_access,
	.close = close_core,
};

/* --- mappings */

struct making {
	struct kioku_kernel *kernel;
	const struct task *task;
	struct memory_map map;
	struct kioku_address_space *space;
	const struct kioku_area *areas;
	size_t area_count;

	struct range_map extents;
	struct source_segment *segments;
	size_t segment_count, segment_capacity;
	struct core_file *files; /* names in the arena */
	size_t file_count, file_capacity;
	struct core_thread *threads; /* what they point at, too */
	size_t thread_count, thread_capacity;
	uint64_t outside;                /* bytes of files that no page table maps */
	uint64_t stale_start, stale_end; /* what may be, and was not said yet; the same: nothing */
	struct arena arena;
	struct kioku_error *error;
};

static void making_release(struct making *making)
{
	range_map_release(&making->extents);
	free(making->segments);
	free(making->files);
	free(making->threads);
	arena_release(&making->arena);
}

/* Pages of one mapping, in ascending order. */
struct filling {
	struct making *making;
	uint64_t at, end; /* what is filled up to, and what is to be filled */
	enum kioku_range_state untouched;
	const struct vma *vma;
	const struct walk_losses *losses; /* of the walk, so far */
};

static enum kioku_status add(struct making *making, uint64_t start, uint64_t end,
			     enum kioku_range_state kind)
{
	struct extent extent = { .start = start, .size = end - start, .kind = (int)kind };

	return range_map_add(&making->extents, extent) ? KIOKU_OK : KIOKU_ERROR_NO_MEMORY;
}

static bool is_of_device(const struct vma *vma)
{
	return vma->flags & (VMA_IO | VMA_PFNMAP);
}

static void say_stale(struct making *making)
{
	if (making->stale_end > making->stale_start)
		diagnose(&making->kernel->diagnostics, KIOKU_WARNING,
			 "process %d: 0x%llx-0x%llx: read from swap, may be stale",
			 making->task->tgid, (unsigned long long)making->stale_start,
			 (unsigned long long)making->stale_end - 1);
	making->stale_start = making->stale_end = 0;
}

/* Whether a page can be had is found out by having it, before anything is promised. */
static enum kioku_range_state try_page(struct making *making, uint64_t address)
{
	uint64_t swap_reads = kioku_kernel_swap_reads(making->kernel);
	uint8_t page[PAGE_SIZE];

	if (kioku_address_space_read(making->space, address, page, sizeof(page), NULL) != KIOKU_OK)
		return KIOKU_RANGE_UNREADABLE;
	if (kioku_kernel_swap_reads(making->kernel) == swap_reads)
		return KIOKU_RANGE_PRESENT;
	if (making->stale_end != address) {
		say_stale(making);
		making->stale_start = address;
	}
	making->stale_end = address + PAGE_SIZE;
	return KIOKU_RANGE_PRESENT;
}

static enum kioku_status add_tried(struct making *making, uint64_t start, uint64_t end)
{
	for (uint64_t at = start; at < end; at += PAGE_SIZE)
		TRY(add(making, at, at + PAGE_SIZE, try_page(making, at)));
	return KIOKU_OK;
}

/* --- pages that the process has not touched */

static enum kioku_status add_run(void *user, const struct page_run *run)
{
	struct filling *filling = user;
	uint64_t start = filling->vma->start + (run->index - filling->vma->page_offset) * PAGE_SIZE;
	uint64_t end = start + run->count * PAGE_SIZE;

	switch (run->state) {
	case PAGE_RUN_PRESENT: return add(filling->making, start, end, KIOKU_RANGE_PRESENT);
	case PAGE_RUN_SWAPPED: return add_tried(filling->making, start, end);
	case PAGE_RUN_ZERO: return add(filling->making, start, end, KIOKU_RANGE_ZERO);
	case PAGE_RUN_LOST: return add(filling->making, start, end, KIOKU_RANGE_UNREADABLE);
	case PAGE_RUN_ABSENT: break;
	}
	filling->making->outside += end - start;
	return add(filling->making, start, end, KIOKU_RANGE_EXCLUDED);
}

/* Of a file it is what the kernel has of that. */
static enum kioku_status add_file_pages(struct filling *filling, uint64_t start, uint64_t end)
{
	const struct vma *vma = filling->vma;
	struct kioku_kernel *kernel = filling->making->kernel;
	uint64_t first = vma->page_offset + (start - vma->start) / PAGE_SIZE;
	struct page_cache cache;
	struct inode inode;
	struct file file;

	if (file_read(kernel, vma->file, &file) == KIOKU_OK &&
	    inode_read(kernel, file.inode, &inode) == KIOKU_OK &&
	    page_cache_open(kernel, &inode, &cache, NULL) == KIOKU_OK) {
		uint64_t count = (cache.size + PAGE_SIZE - 1) / PAGE_SIZE;
		uint64_t past = first + (end - start) / PAGE_SIZE;
		past = past < count ? past : count;
		if (first < past) {
			TRY(page_cache_each(kernel, &cache, first, past - 1, add_run, filling,
					    filling->making->error));
			start += (past - first) * PAGE_SIZE;
		}
	}
	return start < end ? add(filling->making, start, end, KIOKU_RANGE_EXCLUDED) : KIOKU_OK;
}

static bool has_losses(const struct filling *filling)
{
	return filling->losses->tables > 0 || filling->losses->repeated > 0;
}

static enum kioku_status add_untouched(struct filling *filling, uint64_t start, uint64_t end)
{
	/* A table is lost: from there on nobody knows what is untouched, it may be anything. */
	if (has_losses(filling))
		return add(filling->making, start, end, KIOKU_RANGE_UNREADABLE);
	return filling->vma->file && !is_of_device(filling->vma)
		       ? add_file_pages(filling, start, end)
		       : add(filling->making, start, end, filling->untouched);
}

/* What lies before is untouched. */
static enum kioku_status fill(struct filling *filling, uint64_t start, uint64_t end,
			      enum kioku_range_state kind)
{
	start = start > filling->at ? start : filling->at;
	end = end < filling->end ? end : filling->end;
	if (start >= end)
		return KIOKU_OK;
	if (start > filling->at)
		TRY(add_untouched(filling, filling->at, start));
	filling->at = end;
	return add(filling->making, start, end, kind);
}

static enum kioku_status add_mapped(void *user, const struct mapping *mapping)
{
	struct filling *filling = user;
	const struct kioku_source *source = filling->making->kernel->source;
	enum kioku_range_state kind = KIOKU_RANGE_PRESENT;

	if (is_of_device(filling->vma))
		kind = KIOKU_RANGE_EXCLUDED;
	else if (!source_has(source, mapping->physical, mapping->size))
		kind = KIOKU_RANGE_UNREADABLE;
	return fill(filling, mapping->virtual, mapping->virtual + mapping->size, kind);
}

static enum kioku_status add_absent(void *user, uint64_t virtual, uint64_t size, uint64_t entry)
{
	struct filling *filling = user;
	struct making *making = filling->making;

	switch (swap_decode(making->kernel, entry, NULL, NULL)) {
	case SWAP_ENTRY_NONE: return KIOKU_OK;
	case SWAP_ENTRY_MARKER: return fill(filling, virtual, virtual + size, KIOKU_RANGE_EXCLUDED);
	default: break;
	}
	for (uint64_t at = virtual; at < virtual + size; at += PAGE_SIZE)
		TRY(fill(filling, at, at + PAGE_SIZE, try_page(making, at)));
	return KIOKU_OK;
}

static enum kioku_status add_pages(struct making *making, const struct vma *vma, uint64_t start,
				   uint64_t end)
{
	struct filling filling = {
		.making = making,
		.at = start,
		.end = end,
		.untouched =
			vma->file || is_of_device(vma) ? KIOKU_RANGE_EXCLUDED : KIOKU_RANGE_ZERO,
		.vma = vma,
	};
	struct address_walk walk = { .first = start,
				     .last = end - 1,
				     .receive = add_mapped,
				     .absent = add_absent,
				     .user = &filling };

	filling.losses = &walk.losses;
	TRY(address_space_walk(making->space, &walk));
	if (has_losses(&filling))
		diagnose(&making->kernel->diagnostics, KIOKU_GAP,
			 "process %d: page tables of 0x%llx are lost", making->task->tgid,
			 (unsigned long long)start);
	return filling.at < end ? add_untouched(&filling, filling.at, end) : KIOKU_OK;
}

static bool has_name(const struct path_text *name, const char *wanted)
{
	size_t length = strlen(wanted);

	if (strcmp(wanted, "heap") == 0 || strcmp(wanted, "stack") == 0)
		return name->size == length + 2 && memcmp(name->data + 1, wanted, length) == 0;
	if (name->size < length || memcmp(name->data + name->size - length, wanted, length) != 0)
		return false;
	return name->size == length || name->data[name->size - length - 1] == '/';
}

/* The part of a mapping that an area has of it; false: none. */
static bool clip(const struct vma *vma, const struct path_text *name, const struct kioku_area *area,
		 uint64_t *start, uint64_t *end)
{
	*start = vma->start;
	*end = vma->end;
	if (area->name)
		return has_name(name, area->name);
	uint64_t first = area->start / PAGE_SIZE * PAGE_SIZE;
	uint64_t past = area->end > UINT64_MAX - PAGE_SIZE
				? area->end
				: (area->end + PAGE_SIZE - 1) / PAGE_SIZE * PAGE_SIZE;
	*start = first > *start ? first : *start;
	*end = past < *end ? past : *end;
	return *start < *end;
}

/* The first part of a mapping, from an address on, that lies in any of the areas; false: none. */
static bool next_part(const struct making *making, const struct vma *vma,
		      const struct path_text *name, uint64_t from, uint64_t *start, uint64_t *end)
{
	static const struct kioku_area all = { .end = UINT64_MAX };
	size_t count = making->area_count ? making->area_count : 1;
	uint64_t first, past;
	bool found = false;

	for (size_t i = 0; i < count; i++) {
		if (!clip(vma, name, making->area_count ? &making->areas[i] : &all, &first, &past))
			continue;
		first = first > from ? first : from;
		if (first >= past || (found && first >= *start))
			continue;
		*start = first;
		*end = past;
		found = true;
	}
	return found;
}

static enum kioku_status add_segment(struct making *making, const struct vma *vma, uint64_t start,
				     uint64_t end)
{
	if (!GROW(making->segments, making->segment_count, making->segment_capacity))
		return KIOKU_ERROR_NO_MEMORY;
	making->segments[making->segment_count++] = (struct source_segment){
		.start = start,
		.size = end - start,
		.flags = (vma->flags & VMA_READ ? PF_R : 0) | (vma->flags & VMA_WRITE ? PF_W : 0) |
			 (vma->flags & VMA_EXECUTE ? PF_X : 0),
	};
	return add_pages(making, vma, start, end);
}

static enum kioku_status add_file(struct making *making, const struct vma *vma,
				  const struct path_text *name)
{
	char *copy = arena_copy(&making->arena, name->data, name->size);

	if (!copy || !GROW(making->files, making->file_count, making->file_capacity))
		return KIOKU_ERROR_NO_MEMORY;
	making->files[making->file_count++] = (struct core_file){
		.start = vma->start,
		.end = vma->end,
		.offset = vma->page_offset * PAGE_SIZE,
		.name = { (const uint8_t *)copy, name->size },
	};
	return KIOKU_OK;
}

static enum kioku_status add_mapping(void *user, const struct vma *vma)
{
	struct making *making = user;
	struct path_text name;
	uint64_t start = 0, end;

	if (vma_name(making->kernel, &making->map, vma, &name) != KIOKU_OK)
		diagnose(&making->kernel->diagnostics, KIOKU_GAP,
			 "process %d: the name of the mapping at 0x%llx is lost",
			 making->task->tgid, (unsigned long long)vma->start);
	if (vma->file && name.size > 0 && name.data[0] == '/')
		TRY(add_file(making, vma, &name));
	for (end = vma->start; next_part(making, vma, &name, end, &start, &end);)
		TRY(add_segment(making, vma, start, end));
	return KIOKU_OK;
}

/* --- threads */

static enum kioku_status add_thread(void *user, const struct task *task)
{
	struct making *making = user;
	struct kioku_error error = { 0 };
	struct registers *registers = arena_allocate(&making->arena, sizeof(*registers));

	if (!registers || !GROW(making->threads, making->thread_count, making->thread_capacity))
		return KIOKU_ERROR_NO_MEMORY;
	if (task->exit_state)
		return KIOKU_OK;
	if (registers_read(making->kernel, task, registers, &error) != KIOKU_OK) {
		diagnose(&making->kernel->diagnostics, KIOKU_GAP,
			 "the registers of thread %d are lost: %s", task->pid, error.message);
		return KIOKU_OK;
	}
	if (registers->is_running)
		diagnose(&making->kernel->diagnostics, KIOKU_WARNING,
			 "thread %d was on a CPU: its registers are those of when it last entered "
			 "the kernel",
			 task->pid);
	making->threads[making->thread_count++] = (struct core_thread){
		.tid = task->pid,
		.general = { (const uint8_t *)registers->values, sizeof(registers->values) },
		.floating = { registers->xstate, registers->xstate_size ? XSTATE_FXSAVE_SIZE : 0 },
		.xstate = { registers->xstate, registers->xstate_size > XSTATE_FXSAVE_SIZE
						       ? registers->xstate_size
						       : 0 },
	};
	return KIOKU_OK;
}

/* Debuggers select the first. */
static void put_leader_first(struct making *making)
{
	for (size_t i = 1; i < making->thread_count; i++) {
		struct core_thread thread = making->threads[i];
		if (thread.tid != making->task->tgid)
			continue;
		making->threads[i] = making->threads[0];
		making->threads[0] = thread;
	}
}

/* --- notes */

static struct bytes read_arguments(struct making *making, uint8_t out[CORE_ARGUMENTS_SIZE])
{
	const struct memory_map *map = &making->map;
	uint64_t size = map->arguments_end - map->arguments_start;

	size = size < CORE_ARGUMENTS_SIZE ? size : CORE_ARGUMENTS_SIZE;
	if (kioku_address_space_read(making->space, map->arguments_start, out, size, NULL) !=
	    KIOKU_OK)
		size = 0;
	return (struct bytes){ out, size };
}

/* Up to the entry that ends it (AT_NULL). */
static struct bytes auxiliary_vector(const struct memory_map *map)
{
	size_t size = 0;

	while (size + 16 <= sizeof(map->auxiliary) && load_le64(map->auxiliary + size) != AT_NULL)
		size += 16;
	return (struct bytes){ map->auxiliary,
			       size > 0 && size + 16 <= sizeof(map->auxiliary) ? size + 16 : 0 };
}

static uint8_t *make_notes(struct making *making, size_t *size)
{
	const struct task *task = making->task;
	uint8_t arguments[CORE_ARGUMENTS_SIZE];
	struct task_parent parent = { 0 };
	struct cred cred = { 0 };

	(void)!task_read_parent(making->kernel, task, &parent);
	(void)!task_read_cred(making->kernel, task, &cred);
	struct core_process core = {
		.pid = task->tgid,
		.ppid = parent.tgid,
		.uid = cred.uid,
		.gid = cred.gid,
		.flags = task->flags,
		.state = task_state_letter(making->kernel, task->state, task->exit_state),
		.arguments = read_arguments(making, arguments),
		.auxv = auxiliary_vector(&making->map),
		.files = making->files,
		.file_count = making->file_count,
		.threads = making->threads,
		.thread_count = making->thread_count,
	};
	memcpy(core.name, task->comm, sizeof(core.name));
	return core_notes_encode(&core, size);
}

/* --- all of it */

static enum kioku_status collect(struct making *making)
{
	const int32_t pid = making->task->tgid;

	TRY(memory_map_each(making->kernel, &making->map, pid, add_mapping, making, making->error));
	say_stale(making);
	TRY(task_each_thread(making->kernel, making->task, TASK_IDENTITY | TASK_MEMBERS, add_thread,
			     making, making->error));
	if (making->segment_count == 0)
		return error_set(making->error, KIOKU_ERROR_NOT_FOUND,
				 "process %d has no such memory", pid);
	if (making->thread_count == 0)
		return error_set(making->error, KIOKU_ERROR_UNSUPPORTED,
				 "no thread of process %d has registers", pid);
	put_leader_first(making);
	if (!range_map_normalise(&making->extents))
		return error_no_memory(making->error);
	if (making->outside > 0)
		diagnose(&making->kernel->diagnostics, KIOKU_NOTE,
			 "process %d: %llu bytes of files are not in memory", pid,
			 (unsigned long long)making->outside);
	return KIOKU_OK;
}

static enum kioku_status open_state(struct making *making, struct core_state **out)
{
	AUTO_FREE struct core_state *state = calloc(1, sizeof(*state));

	if (!state)
		return error_no_memory(making->error);
	TRY(memory_map_open_space(making->kernel, &making->map, making->task->tgid, &state->space,
				  making->error));
	pthread_mutex_init(&state->lock, NULL);
	making->space = state->space;
	*out = TAKE(state);
	return KIOKU_OK;
}

static enum kioku_status make(struct making *making, struct kioku_source **out)
{
	CLEANUP(cleanup_core_state) struct core_state *state = NULL;
	size_t size;

	TRY(open_state(making, &state));
	enum kioku_status status = collect(making);
	if (status != KIOKU_OK)
		return status == KIOKU_ERROR_NO_MEMORY ? error_no_memory(making->error) : status;
	AUTO_FREE uint8_t *notes = make_notes(making, &size);
	if (!notes)
		return error_no_memory(making->error);
	char where[32];
	snprintf(where, sizeof(where), "process:%d", making->task->tgid);
	struct source_recipe recipe = {
		.driver = &core_source,
		.where = where,
		.state = state,
		.extents = making->extents,
		.segments = TAKE(making->segments),
		.segment_count = making->segment_count,
		.elf_machine = EM_X86_64,
		.notes = { notes, size },
		.diagnostics = making->kernel->diagnostics,
	};
	making->extents = (struct range_map){ 0 };
	TRY(source_make(&recipe, out, making->error));
	state = NULL;
	return KIOKU_OK;
}

enum kioku_status kioku_process_core_open(struct kioku_kernel *kernel, int32_t pid,
					  const struct kioku_area *areas, size_t area_count,
					  struct kioku_source **out, struct kioku_error *error)
{
	struct task task;
	CLEANUP(making_release)
	struct making making = { .kernel = kernel,
				 .task = &task,
				 .areas = areas,
				 .area_count = area_count,
				 .error = error };

	TRY(task_find(kernel, pid, &task, error));
	if (!task_has_memory(&task))
		return error_set(
			error, KIOKU_ERROR_UNSUPPORTED,
			"process %d has no memory of its own: it is a kernel thread, or it "
			"has exited",
			pid);
	TRY(memory_map_read(kernel, task.mm, &making.map, error));
	return make(&making, out);
}
