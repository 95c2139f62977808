/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/held_process.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "snapshot/process_facts.h"

/* Threads that a target may have when it is stopped, of those that it had shortly before. */
static size_t thread_limit(size_t threads)
{
	return 2 * threads + 256;
}

static enum kioku_status share_memory(struct kioku_process *process, struct kioku_error *error)
{
	struct guardian_target *target = process->target;
	size_t chunks = 0;

	process->shared_size =
		sizeof(*target->report) + target->thread_limit * sizeof(struct thread_record);
	uint8_t *shared = guardian_memory(process->shared_size);
	if (!shared)
		return error_no_memory(error);
	/* Records first: their extended state wants to be aligned. */
	target->records = (struct thread_record *)shared;
	target->report = (struct guardian_report *)(target->records + target->thread_limit);
	for (size_t i = 0; i < target->area_count; i++)
		chunks += target->areas[i].size / SPOOL_CHUNK + 2;
	if (chunks == 0)
		return KIOKU_OK;
	target->spool = &process->spool;
	return spool_init(&process->spool, -1, chunks, error);
}

/* Whoever serves page faults of his own is told of a fork, and waited for. */
enum { SERVED = MAPPING_UFFD_MISSING | MAPPING_UFFD_PROTECTED | MAPPING_UFFD_MINOR };

static enum kioku_status check(const struct kioku_process *process, struct kioku_error *error)
{
	const struct process *about = &process->process;
	const struct mapping_list *list = &process->before.list;
	char label[PROCESS_LABEL_SIZE];

	process_label(about, label);
	if (about->pid == getpid())
		return error_set(error, KIOKU_ERROR_REFUSED, "%s takes the snapshot itself", label);
	if (about->tracer != 0)
		return error_set(error, KIOKU_ERROR_REFUSED, "%s is traced by process %d already",
				 label, about->tracer);
	if (about->word_size == 4)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "%s is a 32-bit process, which is not supported", label);
	if (about->is_exiting || list->count == 0)
		return error_set(error, KIOKU_ERROR_REFUSED, "%s is ending", label);
	for (size_t i = 0; i < list->count; i++)
		if (list->mappings[i].flags & SERVED)
			return error_set(error, KIOKU_ERROR_REFUSED,
					 "%s serves page faults itself (userfaultfd), and could "
					 "hang",
					 label);
	return KIOKU_OK;
}

enum kioku_status held_process_prepare(struct kioku_process *process, pid_t pid,
				       struct guardian_target *target, uint64_t copy_limit,
				       bool with_facts, struct kioku_error *error)
{
	struct process *about = &process->process;
	struct mapping_list *list = &process->before.list;
	size_t size;

	process->process.folder = process->held.folder = -1;
	process->memory.held = process->memory.target = -1;
	process->spool.descriptor = -1;
	process->target = target;
	TRY(process_open(pid, about, error));
	TRY(process_mappings(about, true, &process->before, error));
	TRY(check(process, error));
	if (with_facts)
		TRY(process_facts(about, &process->facts, &size, error));
	*target = (struct guardian_target){
		.process = about,
		.thread_limit = thread_limit(about->threads),
		.site = { .mappings = list,
			  .other_namespace =
				  about->other_namespaces & 1u << PROCESS_PID_NAMESPACE },
	};
	site_find_gadgets(&target->site, about->live_thread);
	target->areas = layout_areas(list, copy_limit, &target->area_count);
	if (!target->areas)
		return error_no_memory(error);
	return share_memory(process, error);
}

static enum kioku_status open_files(struct kioku_process *process, struct kioku_error *error)
{
	const struct guardian_report *report = process->target->report;

	TRY(process_open(report->duplicate ? report->duplicate : process->process.pid,
			 &process->held, error));
	process->memory.held = process_open_live(&process->held, "mem");
	process->memory.target = process_open_live(&process->process, "mem");
	if (process->memory.held < 0)
		return error_os(error, "the memory of process %d", process->held.pid);
	return KIOKU_OK;
}

static enum kioku_status learn_layout(struct kioku_process *process,
				      const struct kioku_snapshot_options *options,
				      struct kioku_error *error)
{
	const struct guardian_target *target = process->target;
	bool is_duplicate = target->report->duplicate != 0;
	struct diagnostics diagnostics = { options->diagnostic, options->diagnostic_user };
	AUTO_CLOSE int pagemap = process_open_live(&process->held, "pagemap");

	TRY(process_mappings(&process->held, false, &process->now, error));
	const struct layout_input input = {
		.mappings = process->now.list.mappings,
		.mapping_count = process->now.list.count,
		.before = process->before.list.mappings,
		.before_count = process->before.list.count,
		.folder = process->process.folder,
		.pagemap = pagemap,
		.is_duplicate = is_duplicate,
		.spool = target->spool,
		.areas = target->areas,
		.area_count = is_duplicate ? target->area_count : 0,
		.threads = target->records,
		.thread_count = target->report->thread_count,
		.options = options,
		.diagnostics = &diagnostics,
	};
	process->memory.spool = target->spool;
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
	snprintf(summary->name, sizeof(summary->name), "%.15s", process->process.name);
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
	process_maps_release(&process->now);
	process_maps_release(&process->before);
	cleanup_close(&process->memory.held);
	cleanup_close(&process->memory.target);
	process_close(&process->held);
	process_close(&process->process);
	free(process->facts);
	spool_release(&process->spool);
	if (target && target->records)
		munmap(target->records, process->shared_size);
	if (target)
		free(target->areas);
	free(process);
}
