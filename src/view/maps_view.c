/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>

#include "kernel/swap.h"
#include "view/process_views.h"

static const struct record *const records[] = { &task_record, &memory_map_record, &vma_record,
						NULL };

enum column {
	PID,
	COMM,
	START,
	END,
	PERMISSIONS,
	OFFSET,
	DEVICE,
	INODE,
	SIZE,
	RESIDENT,
	ABSENT,
	PATH
};

static const struct kioku_column columns[] = {
	{ "pid", KIOKU_KIND_INTEGER, "process id, initial namespace", 0 },
	{ "comm", KIOKU_KIND_TEXT, "name, which the process can change", 1 },
	{ "start", KIOKU_KIND_ADDRESS, "virtual address of the first byte", 0 },
	{ "end", KIOKU_KIND_ADDRESS, "virtual address after the last byte", 0 },
	{ "permissions", KIOKU_KIND_TEXT, "r, w, x, and s for shared or p for private", 0 },
	{ "offset", KIOKU_KIND_ADDRESS, "of start in the file, in bytes", 0 },
	{ "device", KIOKU_KIND_TEXT, "major and minor number, hexadecimal; 00:00 without a file",
	  0 },
	{ "inode", KIOKU_KIND_UNSIGNED, "number of the file; 0 without one", 0 },
	{ "size", KIOKU_KIND_SIZE, "bytes", 1 },
	{ "resident", KIOKU_KIND_SIZE, "bytes that page tables map to memory", 0 },
	{ "swapped", KIOKU_KIND_SIZE, "bytes that were swapped out", 0 },
	{ "path", KIOKU_KIND_TEXT, "as in /proc/PID/maps: a file, or what it is for", 0 },
};

enum { COLUMNS = sizeof(columns) / sizeof(*columns) };

/* What all mappings of a process are shown with. */
struct listing {
	struct view_run *run;
	const struct process *process;
};

static struct kioku_cell lost(const struct listing *listing, const struct vma *vma,
			      const char *what, enum kioku_status status)
{
	diagnose(&listing->run->kernel->diagnostics, KIOKU_GAP, "process %d: %s of 0x%llx: %s",
		 listing->process->task->tgid, what, (unsigned long long)vma->start,
		 kioku_status_name(status));
	return cell_absent(presence_of(status));
}

static void permissions_of(const struct vma *vma, char out[5])
{
	out[0] = vma->flags & VMA_READ ? 'r' : '-';
	out[1] = vma->flags & VMA_WRITE ? 'w' : '-';
	out[2] = vma->flags & VMA_EXECUTE ? 'x' : '-';
	out[3] = vma->flags & VMA_MAY_SHARE ? 's' : 'p';
	out[4] = 0;
}

static enum kioku_status read_inode(struct kioku_kernel *kernel, const struct vma *vma,
				    struct file_inode *out)
{
	struct file file;

	*out = (struct file_inode){ 0 };
	if (!vma->file)
		return KIOKU_OK;
	TRY(file_read_place(kernel, vma->file, &file));
	return file_inode_read(kernel, file.inode, out);
}

/* --- pages */

struct pages {
	const struct vma *vma;
	struct kioku_kernel *kernel;
	uint64_t resident, swapped;
};

/* A huge page may reach beyond the mapping only in damaged tables. */
static uint64_t size_inside(const struct vma *vma, uint64_t virtual, uint64_t size)
{
	uint64_t start = virtual > vma->start ? virtual : vma->start;
	uint64_t end = virtual + size < vma->end ? virtual + size : vma->end;

	return start < end ? end - start : 0;
}

static enum kioku_status add_mapped(void *user, const struct mapping *mapping)
{
	struct pages *pages = user;

	pages->resident += size_inside(pages->vma, mapping->virtual, mapping->size);
	return KIOKU_OK;
}

static enum kioku_status add_absent(void *user, uint64_t virtual, uint64_t size, uint64_t entry)
{
	struct pages *pages = user;
	uint64_t inside = size_inside(pages->vma, virtual, size);

	switch (swap_decode(pages->kernel, entry, NULL, NULL)) {
	case SWAP_ENTRY_SLOT: pages->swapped += inside; break;
	case SWAP_ENTRY_MIGRATION: pages->resident += inside; break;
	default: break;
	}
	return KIOKU_OK;
}

static enum kioku_status count_pages(const struct listing *listing, const struct vma *vma,
				     struct kioku_cell *cells)
{
	struct pages pages = { .vma = vma, .kernel = listing->run->kernel };
	struct address_walk walk = { .first = vma->start,
				     .last = vma->end - 1,
				     .receive = add_mapped,
				     .absent = add_absent,
				     .user = &pages };

	TRY(address_space_walk(listing->process->space, &walk));
	cells[RESIDENT] = cell_number(pages.resident);
	cells[ABSENT] = cell_number(pages.swapped);
	if (walk.losses.tables || walk.losses.repeated)
		cells[RESIDENT] = cells[ABSENT] =
			lost(listing, vma, "page tables", KIOKU_ERROR_ABSENT);
	return KIOKU_OK;
}

/* --- rows */

static enum kioku_status give_mapping(void *user, const struct vma *vma)
{
	const struct listing *listing = user;
	struct view_run *run = listing->run;
	struct kioku_cell cells[COLUMNS];
	struct path_text path;
	struct file_inode inode;
	char permissions[5], device[24];
	enum kioku_status status;

	for (size_t i = 0; i < COLUMNS; i++)
		cells[i] = cell_absent(KIOKU_CELL_NOT_APPLICABLE);
	permissions_of(vma, permissions);
	cells[PID] = cell_integer(listing->process->task->tgid);
	cells[COMM] = process_comm(listing->process);
	cells[START] = cell_number(vma->start);
	cells[END] = cell_number(vma->end);
	cells[PERMISSIONS] = cell_text(permissions, strlen(permissions));
	cells[OFFSET] = cell_number(vma->file ? vma->page_offset * PAGE_SIZE : 0);
	cells[SIZE] = cell_number(vma->end - vma->start);
	status = read_inode(run->kernel, vma, &inode);
	snprintf(device, sizeof(device), "%02x:%02x", device_major(inode.device),
		 device_minor(inode.device));
	cells[DEVICE] = cell_text(device, strlen(device));
	cells[INODE] = cell_number(inode.number);
	if (status != KIOKU_OK)
		cells[DEVICE] = cells[INODE] = lost(listing, vma, "the inode", status);
	if (view_wants_column(run, RESIDENT) || view_wants_column(run, ABSENT))
		TRY(count_pages(listing, vma, cells));
	status = vma_name(run->kernel, &listing->process->map, vma, &path);
	cells[PATH] = status == KIOKU_OK ? cell_text(path.data, path.size)
					 : lost(listing, vma, "the name", status);
	return view_row(run, cells);
}

static enum kioku_status give_process(struct view_run *run, const struct process *process)
{
	struct listing listing = { .run = run, .process = process };

	return memory_map_each(run->kernel, &process->map, process->task->tgid, give_mapping,
			       &listing, NULL);
}

static enum kioku_status run_maps(struct view_run *run, struct kioku_error *error)
{
	return view_each_process(run, give_process, error);
}

const struct kioku_view maps_view = {
	.name = "maps",
	.help = "what is mapped into processes",
	VIEW_COLUMNS(columns),
	.options = KIOKU_VIEW_PID | KIOKU_VIEW_AREAS,
	.needs_tasks = true,
	.records = records,
	.run = run_maps,
};
