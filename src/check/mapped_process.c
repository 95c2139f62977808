/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "check/mapped_process.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "kernel/page.h"

struct walk {
	struct check_run *run;
	mapped_process_fn *receive;
	void *user;
};

struct tracing {
	uint32_t ptrace;
	uint64_t parent;
};

static const struct member tracing_members[] = {
	MEMBER(struct tracing, ptrace, "ptrace"),
	MEMBER(struct tracing, parent, "parent"),
};
static const struct record tracing_record = RECORD(struct tracing, "task_struct", tracing_members);

bool tracer_find(struct kioku_kernel *kernel, uint64_t task, struct task *out)
{
	struct tracing tracing;

	return record_read_at(kernel, &tracing_record, task, &tracing) == KIOKU_OK &&
	       tracing.ptrace && kernel_is_pointer(kernel, tracing.parent) &&
	       task_read(kernel, tracing.parent, out, NULL) == KIOKU_OK &&
	       task_is_plausible(kernel, out);
}

static enum kioku_status give(void *user, const struct process *process)
{
	const struct walk *walk = user;
	struct kioku_kernel *kernel = walk->run->kernel;
	AUTO_VMA_LIST struct vma_list list;
	struct mapped_process mapped = {
		.run = walk->run,
		.process = process,
	};
	struct task tracer;

	enum kioku_status status =
		memory_map_list(kernel, &process->map, process->task->tgid, &list, NULL);
	if (status == KIOKU_ERROR_NO_MEMORY)
		return status;
	if (status != KIOKU_OK) {
		diagnose(&kernel->diagnostics, KIOKU_GAP, "process %d: its mappings: %s",
			 process->task->tgid, kioku_status_name(status));
		return KIOKU_OK;
	}
	mapped.list = list; /* borrowed */
	if (tracer_find(kernel, process->task->address, &tracer))
		mapped.tracer = tracer.tgid;
	snprintf(mapped.comm, sizeof(mapped.comm), "%.15s", process->task->comm);
	return walk->receive(walk->user, &mapped);
}

enum kioku_status mapped_process_each(struct check_run *run, mapped_process_fn *receive, void *user,
				      struct kioku_error *error)
{
	struct walk walk = { run, receive, user };

	return process_each(run->kernel, &(struct process_walk){ .receive = give, .user = &walk },
			    error);
}

enum kioku_status mapped_process_report(const struct mapped_process *process,
					const struct check_result *result)
{
	struct check_result whole = *result;

	whole.pid = process->process->task->tgid;
	whole.subject = process->comm;
	return check_report(process->run, &whole);
}

void mapped_process_lose(const struct mapped_process *process, const char *what, uint64_t address,
			 enum kioku_status status)
{
	diagnose(&process->run->kernel->diagnostics, KIOKU_GAP, "process %d: %s at 0x%llx: %s",
		 process->process->task->tgid, what, (unsigned long long)address,
		 kioku_status_name(status));
}

/* --- files */

enum kioku_status mapped_file_read(struct kioku_kernel *kernel, uint64_t file,
				   struct mapped_file *out)
{
	TRY(file_read(kernel, file, &out->file));
	TRY(path_of(kernel, &out->file.path, NULL, &out->path));
	out->is_nameless = out->path.kind == NAME_SIMPLE;
	snprintf(out->text, sizeof(out->text), "%.*s",
		 (int)(out->path.size < sizeof(out->text) ? out->path.size : sizeof(out->text) - 1),
		 out->path.data);
	return KIOKU_OK;
}

enum namesake mapped_file_replaced(struct kioku_kernel *kernel, const struct mapped_file *file)
{
	struct dentry dentry;

	return dentry_read(kernel, file->file.path.dentry, &dentry) == KIOKU_OK
		       ? namesake_find(kernel, &dentry)
		       : NAMESAKE_UNKNOWN;
}

const struct vma *mapped_file_start(const struct vma_list *list, const struct vma *vma)
{
	for (const struct vma *at = vma; vma->file && at->file == vma->file; at--) {
		if (at->page_offset == 0)
			return at;
		if (at == list->vmas)
			break;
	}
	return NULL;
}

/* mm/hugetlb.c's name for what has none. */
static bool is_huge_memory(const struct mapped_file *file)
{
	const char *name = "/anon_hugepage";

	return file->is_nameless && strncmp(file->text, name, strlen(name)) == 0;
}

bool vma_is_anonymous(struct kioku_kernel *kernel, const struct vma *vma)
{
	struct file_inode inode;
	struct mapped_file file;

	if (!vma->file)
		return !vma->operations; /* mm/mmap.c, _install_special_mapping(): the kernel's own have some */
	if (vma->flags & VMA_MAY_SHARE || mapped_file_read(kernel, vma->file, &file) != KIOKU_OK)
		return false;
	return is_huge_memory(&file) ||
	       (file_inode_read(kernel, file.file.inode, &inode) == KIOKU_OK &&
		S_ISCHR(inode.mode));
}

struct page_place {
	uint64_t mapping, index;
};

static const struct member place_members[] = {
	MEMBER(struct page_place, mapping, "mapping"),
	MEMBER(struct page_place, index, "index", "__folio_index"),
};
static const struct record place_record = RECORD(struct page_place, "page", place_members);

bool vma_owns_frame(struct kioku_kernel *kernel, const struct vma *vma, uint64_t virtual,
		    uint64_t physical)
{
	/* linear_page_index(), include/linux/pagemap.h; PAGE_MAPPING_ANON, include/linux/page-flags.h */
	uint64_t index = vma->page_offset + (virtual - vma->start) / PAGE_SIZE;
	struct page_place place;
	uint64_t page;

	return page_of_physical(kernel, physical, &page, NULL) == KIOKU_OK &&
	       record_read_at(kernel, &place_record, page, &place) == KIOKU_OK &&
	       (place.mapping & 3) == 1 && place.index == index;
}
