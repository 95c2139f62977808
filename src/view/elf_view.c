/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* elf: programs and libraries that are mapped in, as their first pages in memory say. */
#include <stdio.h>
#include <string.h>

#include "kernel/mapped_elf.h"
#include "view/process_views.h"

enum { NOTES_LIMIT = 64 << 10 };

static const struct record *const records[] = { &task_record, &memory_map_record, &vma_record,
						NULL };

enum column { PID, COMM, START, END, TYPE, BUILD_ID, PATH };

static const struct kioku_column columns[] = {
	{ "pid", KIOKU_KIND_INTEGER, "process id, initial namespace", 0 },
	{ "comm", KIOKU_KIND_TEXT, "name, which the process can change", 0 },
	{ "start", KIOKU_KIND_ADDRESS, "virtual address of the ELF header", 0 },
	{ "end", KIOKU_KIND_ADDRESS, "virtual address after the last of its mappings", 0 },
	{ "type", KIOKU_KIND_TEXT, "EXEC, DYN (also programs that can be anywhere), REL or CORE",
	  0 },
	{ "build_id", KIOKU_KIND_TEXT, "what debug files are found by, hexadecimal", 0 },
	{ "path", KIOKU_KIND_TEXT, "as in maps", 0 },
};

enum { COLUMNS = sizeof(columns) / sizeof(*columns) };

/* A process, with its mappings. */
struct listing {
	struct view_run *run;
	const struct process *process;
	const struct vma_list *list;
};

/* --- one file */

/* Whether the kernel has mapped it to run it; then there is an ELF header, whether it can be read or not. */
static bool is_run(const struct listing *listing, size_t index, uint64_t *end)
{
	const struct vma *first = &listing->list->vmas[index];
	bool is_executable = first->flags & VMA_EXECUTE;

	*end = first->end;
	for (size_t i = index + 1; i < listing->list->count && first->file; i++) {
		const struct vma *vma = &listing->list->vmas[i];
		if (vma->file != first->file || (vma->page_offset == 0 && vma->start != *end))
			break;
		*end = vma->end;
		is_executable |= vma->flags & VMA_EXECUTE;
	}
	return is_executable;
}

static const char *type_name(uint16_t type)
{
	static const char *const names[] = { "NONE", "REL", "EXEC", "DYN", "CORE" };

	return type < sizeof(names) / sizeof(*names) ? names[type] : "other";
}

static enum kioku_status find_id(struct bytes notes, const struct elf_header *header,
				 const struct elf_segment *segment,
				 char out[2 * ELF_BUILD_ID_LIMIT + 1])
{
	struct bytes id;

	if (!elf_build_id(notes, header, segment->align, &id))
		return KIOKU_ERROR_NOT_FOUND;
	for (size_t i = 0; i < id.size; i++)
		snprintf(out + 2 * i, 3, "%02x", id.data[i]);
	return KIOKU_OK;
}

static enum kioku_status read_id(struct mapped_elf *elf, char out[2 * ELF_BUILD_ID_LIMIT + 1])
{
	struct elf_segment segment;
	enum kioku_status found = KIOKU_ERROR_NOT_FOUND;

	TRY(mapped_elf_read_segments(elf));
	for (uint32_t i = 0; mapped_elf_segment(elf, i, &segment) && found != KIOKU_OK; i++) {
		if (segment.type != PT_NOTE || segment.filesz > NOTES_LIMIT || segment.filesz == 0)
			continue;
		AUTO_FREE uint8_t *notes = malloc(segment.filesz);
		if (!notes)
			return KIOKU_ERROR_NO_MEMORY;
		found = kioku_address_space_read(elf->space, mapped_elf_place(elf, &segment), notes,
						 segment.filesz, NULL);
		if (found == KIOKU_OK)
			found = find_id((struct bytes){ notes, segment.filesz }, &elf->header,
					&segment, out);
	}
	return found;
}

/* --- rows */

static struct kioku_cell lost(const struct listing *listing, uint64_t start, const char *what,
			      enum kioku_status status)
{
	diagnose(&listing->run->kernel->diagnostics, KIOKU_GAP, "process %d: %s of 0x%llx: %s",
		 listing->process->task->tgid, what, (unsigned long long)start,
		 kioku_status_name(status));
	return cell_absent(presence_of(status));
}

static enum kioku_status give(const struct listing *listing, const struct vma *vma, uint64_t end,
			      struct mapped_elf *elf, enum kioku_status read)
{
	struct kioku_cell cells[COLUMNS];
	struct path_text path;
	char id[2 * ELF_BUILD_ID_LIMIT + 1] = "";

	cells[PID] = cell_integer(listing->process->task->tgid);
	cells[COMM] = process_comm(listing->process);
	cells[START] = cell_number(vma->start);
	cells[END] = cell_number(end);
	if (read != KIOKU_OK) {
		cells[TYPE] = cells[BUILD_ID] = lost(listing, vma->start, "the ELF header", read);
	} else {
		const char *type = type_name(elf->header.type);
		cells[TYPE] = cell_text(type, strlen(type));
		read = read_id(elf, id);
		cells[BUILD_ID] = read == KIOKU_OK ? cell_text(id, strlen(id))
				  : read == KIOKU_ERROR_NOT_FOUND
					  ? cell_absent(KIOKU_CELL_NOT_APPLICABLE)
					  : lost(listing, vma->start, "the build id", read);
	}
	enum kioku_status named =
		vma_name(listing->run->kernel, &listing->process->map, vma, &path);
	cells[PATH] = named == KIOKU_OK ? cell_text(path.data, path.size)
					: lost(listing, vma->start, "the name", named);
	return view_row(listing->run, cells);
}

/* A mapping that starts with an ELF header: of a file's start, or one that has no file, as [vdso]. */
static enum kioku_status look_at(const struct listing *listing, size_t index)
{
	const struct vma *vma = &listing->list->vmas[index];
	struct mapped_elf elf;
	uint64_t end;

	if (vma->file && vma->page_offset != 0)
		return KIOKU_OK;
	bool is_executable = is_run(listing, index, &end);
	if (!vma->file && !is_executable)
		return KIOKU_OK;
	enum kioku_status status = mapped_elf_open(listing->process->space, vma->start, &elf);
	if (status == KIOKU_ERROR_NOT_FOUND)
		return KIOKU_OK;
	if (status != KIOKU_OK && !elf.is_damaged && !(vma->file && is_executable))
		return KIOKU_OK;
	return give(listing, vma, end, &elf, status);
}

static enum kioku_status give_process(struct view_run *run, const struct process *process)
{
	AUTO_VMA_LIST struct vma_list list;
	const struct listing listing = { run, process, &list };

	TRY(memory_map_list(run->kernel, &process->map, process->task->tgid, &list, NULL));
	for (size_t i = 0; i < list.count; i++)
		TRY(look_at(&listing, i));
	return KIOKU_OK;
}

static enum kioku_status run_elf(struct view_run *run, struct kioku_error *error)
{
	return view_each_process(run, give_process, error);
}

const struct kioku_view elf_view = {
	.name = "elf",
	.help = "programs and libraries that are mapped into processes",
	VIEW_COLUMNS(columns),
	.options = KIOKU_VIEW_PID,
	.needs_tasks = true,
	.records = records,
	.run = run_elf,
};
