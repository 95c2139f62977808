/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/held_process.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

#include "base/cleanup.h"

/* Threads that a target may have when it is stopped, of those that it had shortly before. */
static size_t thread_limit(size_t threads)
{
	return 2 * threads + 256;
}

static enum kioku_status share_memory(struct kioku_process *process, struct kioku_error *error)
{
	struct guardian_target *target = process->target;
	uint64_t pages = 0;

	process->shared_size =
		sizeof(*target->report) + target->thread_limit * sizeof(struct thread_record);
	uint8_t *shared = guardian_memory(process->shared_size);
	if (!shared)
		return error_no_memory(error);
	/* Records first: their extended state wants to be aligned. */
	target->records = (struct thread_record *)shared;
	target->report = (struct guardian_report *)(target->records + target->thread_limit);
	for (size_t i = 0; i < target->area_count; i++)
		pages += target->areas[i].size / CAPTURE_PAGE;
	process->copies_size = pages * (CAPTURE_PAGE + 1);
	if (pages == 0)
		return KIOKU_OK;
	process->copies = guardian_memory(process->copies_size);
	if (!process->copies)
		return error_no_memory(error);
	uint8_t *copy = process->copies, *lost = copy + pages * CAPTURE_PAGE;
	for (size_t i = 0; i < target->area_count; i++) {
		target->areas[i].copy = copy;
		target->areas[i].lost = lost;
		copy += target->areas[i].size;
		lost += target->areas[i].size / CAPTURE_PAGE;
	}
	return KIOKU_OK;
}

static enum kioku_status check_mappings(const struct kioku_process *process,
					struct kioku_error *error)
{
	const struct mapping_list *list = &process->before;

	if (list->count == 0)
		return error_set(error, KIOKU_ERROR_REFUSED,
				 "process %d has no memory: it is ending", process->process.pid);
	/* A fork tells whoever serves the faults, and waits until he answers. */
	for (size_t i = 0; i < list->count; i++)
		if (list->mappings[i].flags & MAPPING_USERFAULT)
			return error_set(error, KIOKU_ERROR_REFUSED,
					 "process %d serves page faults itself (userfaultfd), and "
					 "could hang",
					 process->process.pid);
	return KIOKU_OK;
}

enum kioku_status held_process_prepare(struct kioku_process *process, pid_t pid,
				       struct guardian_target *target, uint64_t copy_limit,
				       struct kioku_error *error)
{
	struct process *about = &process->process;
	uint64_t left;

	process->folder = process->memory.held = process->memory.target = -1;
	process->target = target;
	TRY(process_open(pid, about, error));
	TRY(mapping_list_read(about->folder, about->task, "smaps", &process->before, error));
	TRY(check_mappings(process, error));
	*target = (struct guardian_target){
		.pid = pid,
		.task = about->task,
		.folder = about->folder,
		.has_seccomp = about->has_seccomp,
		.thread_limit = thread_limit(about->threads),
		.site = { .mappings = process->before.mappings,
			  .mapping_count = process->before.count,
			  .other_namespace = about->other_namespace },
	};
	site_find_gadgets(&target->site, about->task);
	target->areas = layout_areas(process->before.mappings, process->before.count, copy_limit,
				     &target->area_count, &left);
	if (!target->areas)
		return error_no_memory(error);
	return share_memory(process, error);
}

/* The thread of what is held: a duplicate has one. */
static pid_t held_task(const struct kioku_process *process)
{
	pid_t duplicate = process->target->report->duplicate;

	return duplicate ? duplicate : process->process.task;
}

static enum kioku_status open_files(struct kioku_process *process, struct kioku_error *error)
{
	const struct guardian_report *report = process->target->report;
	char path[64];

	if (report->duplicate) {
		snprintf(path, sizeof(path), "/proc/%d", report->duplicate);
		process->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		process->memory.target =
			process_open_file(process->process.folder, process->process.task, "mem");
	} else {
		process->folder = dup(process->process.folder);
	}
	process->memory.held = process_open_file(process->folder, held_task(process), "mem");
	if (process->folder < 0 || process->memory.held < 0)
		return error_os(error, "the memory of process %d", process->process.pid);
	return KIOKU_OK;
}

static enum kioku_status learn_layout(struct kioku_process *process,
				      const struct kioku_snapshot_options *options,
				      struct kioku_error *error)
{
	const struct guardian_target *target = process->target;
	bool is_duplicate = target->report->duplicate != 0;
	struct diagnostics diagnostics = { options->diagnostic, options->diagnostic_user };
	pid_t task = held_task(process);
	AUTO_CLOSE int pagemap = process_open_file(process->folder, task, "pagemap");

	TRY(mapping_list_read(process->folder, task, "maps", &process->held, error));
	if (process->held.count == 0)
		return error_set(error, KIOKU_ERROR_NOT_FOUND,
				 "what was held of process %d has been killed",
				 process->process.pid);
	const struct layout_input input = {
		.mappings = process->held.mappings,
		.mapping_count = process->held.count,
		.before = process->before.mappings,
		.before_count = process->before.count,
		.folder = process->process.folder,
		.pagemap = pagemap,
		.is_duplicate = is_duplicate,
		.areas = target->areas,
		.area_count = is_duplicate ? target->area_count : 0,
		.threads = target->records,
		.thread_count = target->report->thread_count,
		.options = options,
		.diagnostics = &diagnostics,
	};
	process->memory.areas = target->areas;
	process->memory.area_count = input.area_count;
	return layout_make(&process->layout, &input, error);
}

static enum kioku_status make_source(struct kioku_process *process,
				     const struct kioku_snapshot_options *options,
				     struct kioku_error *error)
{
	size_t size;
	AUTO_FREE uint8_t *notes = process_notes_make(process, &size);
	AUTO_FREE char *description = process_description_make(process);
	char where[32];

	if (!notes || !description)
		return error_no_memory(error);
	snprintf(where, sizeof(where), "process:%d", process->process.pid);
	struct source_recipe recipe = {
		.driver = &process_source,
		.where = where,
		.state = &process->memory,
		.extents = process->layout.extents,
		.segments = process->layout.segments,
		.segment_count = process->layout.segment_count,
		.elf_machine = EM_X86_64,
		.description = description,
		.notes = { notes, size },
		.is_local = true,
		.diagnostics = { options->diagnostic, options->diagnostic_user },
	};
	process->layout.extents = (struct range_map){ 0 };
	process->layout.segments = NULL;
	return source_make(&recipe, &process->source, error);
}

static void sum_up(struct kioku_process *process)
{
	const struct guardian_report *report = process->target->report;
	struct kioku_process_summary *summary = &process->summary;

	*summary = (struct kioku_process_summary){
		.pid = process->process.pid,
		.method = report->duplicate ? KIOKU_SNAPSHOT_FORK : KIOKU_SNAPSHOT_STOP,
		.threads = report->thread_count,
		.instant = report->instant,
		.stop = report->stop,
		.memory = process->layout.memory,
		.inconsistent = process->layout.inconsistent,
		.restores_itself = report->is_framed,
	};
	memcpy(summary->name, process->process.name, sizeof(summary->name));
}

enum kioku_status held_process_open(struct kioku_process *process,
				    const struct kioku_snapshot_options *options,
				    struct kioku_error *error)
{
	TRY(open_files(process, error));
	TRY(learn_layout(process, options, error));
	sum_up(process);
	return make_source(process, options, error);
}

void held_process_release(struct kioku_process *process)
{
	struct guardian_target *target = process->target;

	kioku_source_close(process->source);
	layout_release(&process->layout);
	mapping_list_release(&process->held);
	mapping_list_release(&process->before);
	cleanup_close(&process->memory.held);
	cleanup_close(&process->memory.target);
	cleanup_close(&process->folder);
	process_close(&process->process);
	if (process->copies)
		munmap(process->copies, process->copies_size);
	if (target && target->records)
		munmap(target->records, process->shared_size);
	if (target)
		free(target->areas);
	free(process);
}
