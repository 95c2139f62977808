/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/held_process.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "snapshot/process_facts.h"
#include "snapshot/series.h"
#include "snapshot/tracking.h"

/* That may be needed for what is mapped meanwhile. */
enum { SPARE_CHUNKS = 1024 };

/* Threads that a target may have when it is stopped, of those that it had shortly before. */
static size_t thread_limit(size_t threads)
{
	return 2 * threads + 256;
}

/* Bytes of /proc/PID/maps that there is room for, of those that there were shortly before. */
static size_t maps_limit(size_t size)
{
	return 2 * size + (1 << 20);
}

static enum kioku_status share_memory(struct kioku_process *process, struct kioku_error *error)
{
	struct guardian_target *target = process->target;
	size_t records = target->thread_limit * sizeof(*target->records);

	process->shared_size = records + sizeof(*target->report) + target->maps_limit;
	uint8_t *shared = guardian_memory(process->shared_size);
	if (!shared)
		return error_no_memory(error);
	/* Records first: their extended state wants to be aligned. */
	target->records = (struct thread_record *)shared;
	target->report = (struct guardian_report *)(shared + records);
	target->maps = (char *)(target->report + 1);
	return KIOKU_OK;
}

/*
 * Whoever serves page faults of his own is told of a fork, and waited for; and so is a page that is read
 * and not there.
 */
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

/* Areas are copied in the stop. */
static bool is_for_tracking(const struct mapping *mapping, const void *user)
{
	const struct kioku_process *process = user;
	const struct guardian_target *target = process->target;

	if (!tracking_wants(mapping) || !layout_may_want(process->options, mapping))
		return false;
	for (size_t i = 0; i < target->area_count; i++)
		if (mapping->start < target->areas[i].start + target->areas[i].size &&
		    mapping->end > target->areas[i].start)
			return false;
	return true;
}

enum kioku_status held_process_prepare(struct kioku_process *process, pid_t pid,
				       struct guardian_target *target,
				       const struct kioku_snapshot_options *options,
				       struct kioku_error *error)
{
	struct process *about = &process->process;
	struct mapping_list *list = &process->before.list;
	size_t size;

	process->process.folder = process->held.folder = -1;
	process->memory.held = process->memory.target = -1;
	process->spool.descriptor = -1;
	process->target = target;
	process->options = options;
	TRY(process_open(pid, about, error));
	TRY(process_mappings(about, true, &process->before, error));
	TRY(check(process, error));
	/* Without these, the core is less comfortable and no less true. */
	(void)!process_read(about, "cmdline", &process->arguments, NULL);
	(void)!process_read(about, "auxv", &process->auxv, NULL);
	if (options->facts)
		TRY(process_facts(about, &process->facts, &size, error));
	*target = (struct guardian_target){
		.process = about,
		.thread_limit = thread_limit(about->threads),
		.maps_limit = maps_limit(process->before.text.size),
		.rate = options->rate,
		.wants = is_for_tracking,
		.user = process,
		.site = { .mappings = list,
			  .other_namespace =
				  about->other_namespaces & 1u << PROCESS_PID_NAMESPACE },
	};
	site_find_gadgets(&target->site, about->live_thread);
	return share_memory(process, error);
}

/* As many as there are pages, at most; and as it goes on, it may want more. */
static size_t count_chunks(const struct mapping_list *list)
{
	size_t count = SPARE_CHUNKS;

	for (size_t i = 0; i < list->count; i++) {
		const struct mapping *mapping = &list->mappings[i];
		uint64_t chunks = (mapping->end - mapping->start) / SPOOL_CHUNK + 2;
		uint64_t pages = (mapping->resident + mapping->swapped + mapping->private_hugetlb +
				  mapping->shared_hugetlb) /
				 SPOOL_PAGE;
		bool is_known = mapping->flags & MAPPING_FLAGS_KNOWN;
		count += is_known && pages < chunks ? pages : chunks;
	}
	return count + count / 4;
}

enum kioku_status held_process_plan(struct kioku_process *process, enum layout_kind kind,
				    uint64_t copy_limit, struct kioku_error *error)
{
	struct guardian_target *target = process->target;
	const struct mapping_list *list = &process->before.list;
	size_t chunks = 0;

	free(target->areas);
	spool_release(&process->spool);
	process->kind = kind;
	target->spool = NULL;
	target->areas =
		layout_areas(kind, list, process_reads_all(), copy_limit, &target->area_count);
	if (!target->areas)
		return error_no_memory(error);
	for (size_t i = 0; i < target->area_count; i++)
		chunks += target->areas[i].size / SPOOL_CHUNK + 2;
	if (kind == LAYOUT_OF_COPY) {
		chunks += count_chunks(list);
		TRY(mapped_files_open(&process->files, &process->process, error));
	}
	if (chunks == 0)
		return KIOKU_OK;
	target->spool = &process->spool;
	return spool_init(&process->spool, -1, chunks, error);
}

/* Of a copy, all is there but the files that were mapped since, and what the kernel maps. */
static enum kioku_status open_copy(struct kioku_process *process, struct kioku_error *error)
{
	const struct guardian_target *target = process->target;
	const struct bytes maps = { (const uint8_t *)target->maps, target->report->maps_size };

	(void)!mapped_files_open(&process->files, &process->process, NULL);
	return process_maps_decode(maps, &process->now.list, error);
}

static enum kioku_status open_held(struct kioku_process *process, struct kioku_error *error)
{
	const struct guardian_report *report = process->target->report;

	TRY(process_open(report->duplicate ? report->duplicate : process->process.pid,
			 &process->held, error));
	process->memory.held = process_open_live(&process->held, "mem");
	if (process->memory.held < 0)
		return error_os(error, "the memory of process %d", process->held.pid);
	return process_mappings(&process->held, false, &process->now, error);
}

static enum kioku_status learn_layout(struct kioku_process *process, struct kioku_error *error)
{
	const struct guardian_target *target = process->target;
	const struct kioku_snapshot_options *options = process->options;
	struct diagnostics diagnostics = { options->diagnostic, options->diagnostic_user };
	bool is_copy = process->kind == LAYOUT_OF_COPY;
	AUTO_CLOSE int pagemap = is_copy ? -1 : process_open_live(&process->held, "pagemap");
	const struct layout_input input = {
		.kind = process->kind,
		.mappings = &process->now.list,
		.before = &process->before.list,
		.folder = process->process.folder,
		.pagemap = pagemap,
		.files = &process->files,
		.spool = target->spool,
		.areas = target->areas,
		.area_count = target->area_count,
		.threads = target->records,
		.thread_count = target->report->thread_count,
		.options = options,
		.diagnostics = &diagnostics,
	};
	process->memory.spool = target->spool;
	process->memory.files = &process->files;
	process->memory.mappings = &process->now.list;
	return layout_make(&process->layout, &input, error);
}

static enum kioku_status make_source(struct kioku_process *process, struct kioku_error *error)
{
	const struct kioku_snapshot_options *options = process->options;
	size_t size;
	AUTO_FREE char *description = process_description_make(process);
	AUTO_FREE uint8_t *series = NULL;
	size_t series_size = 0;
	char where[32];

	if (!description)
		return error_no_memory(error);
	process->layout.stored = process->layout.memory;
	if (options->series && process->target->report->has_cleared)
		TRY(series_note_cleared(options->series, &process->process, error));
	if (options->series)
		TRY(series_reduce(options->series, &process->process, &process->memory,
				  &process->layout, description, &series, &series_size, error));
	process->summary.stored = process->layout.stored;
	AUTO_FREE uint8_t *notes =
		process_notes_make(process, (struct bytes){ series, series_size }, &size);
	if (!notes)
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
	static const enum kioku_snapshot_method methods[] = {
		[LAYOUT_OF_TARGET] = KIOKU_SNAPSHOT_STOP,
		[LAYOUT_OF_DUPLICATE] = KIOKU_SNAPSHOT_FORK,
		[LAYOUT_OF_COPY] = KIOKU_SNAPSHOT_TRACK,
	};
	const struct guardian_report *report = process->target->report;
	struct kioku_process_summary *summary = &process->summary;

	*summary = (struct kioku_process_summary){
		.pid = process->process.pid,
		.method = methods[process->kind],
		.threads = report->thread_count,
		.instant = report->instant,
		.setup = report->setup,
		.watch = report->watch,
		.teardown = report->teardown,
		.stop = report->stop,
		.memory = process->layout.memory,
		.inconsistent = process->layout.inconsistent,
		.has_cleared = report->has_cleared,
		.restores_itself = report->is_framed || process->kind != LAYOUT_OF_DUPLICATE,
	};
	snprintf(summary->name, sizeof(summary->name), "%.15s", process->process.name);
}

enum kioku_status held_process_open(struct kioku_process *process, struct kioku_error *error)
{
	process->memory.target = process_open_live(&process->process, "mem");
	TRY(process->kind == LAYOUT_OF_COPY ? open_copy(process, error)
					    : open_held(process, error));
	TRY(learn_layout(process, error));
	sum_up(process);
	return make_source(process, error);
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
	file_text_release(&process->arguments);
	file_text_release(&process->auxv);
	mapped_files_release(&process->files);
	spool_release(&process->spool);
	if (target && target->records)
		munmap(target->records, process->shared_size);
	if (target)
		free(target->areas);
	free(process);
}
