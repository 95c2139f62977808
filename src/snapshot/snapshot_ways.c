/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/snapshot_ways.h"

#include <unistd.h>

#include "base/cleanup.h"
#include "snapshot/process_handles.h"
#include "snapshot/series.h"
#include "snapshot/soft_dirty_bits.h"
#include "snapshot/tracking.h"

/* Nanoseconds, to look through all soft-dirty bits: above that, other ways have a shorter stop. */
enum { LOOK_LIMIT = 1000 * 1000 * 1000 };

struct prediction_input way_input(const struct kioku_process *process)
{
	const struct guardian_target *target = process->target;
	struct prediction_input input = { .threads = process->process.threads,
					  .look = process->look,
					  .mappings = process->before.list.count };

	for (size_t i = 0; i < process->before.list.count; i++) {
		const struct mapping *mapping = &process->before.list.mappings[i];
		if (mapping->is_shared)
			continue;
		uint64_t small = mapping->anonymous - mapping->anonymous_huge + mapping->swapped;
		input.small_pages += small;
		input.huge_pages += mapping->anonymous_huge;
		if (watching_suits(mapping) && small >= WATCHING_MAPPING)
			input.watched += small;
	}
	if (input.watched < WATCHING_LEAST || !userfault_may_be_sync(&process->process))
		input.watched = 0;
	for (size_t i = 0; i < target->area_count; i++)
		input.copied += target->areas[i].size;
	return input;
}

static enum kioku_status check_call(const struct kioku_process *process, struct kioku_error *error)
{
	if (process->target->site.gadgets.syscall)
		return KIOKU_OK;
	return error_set(error, KIOKU_ERROR_UNSUPPORTED,
			 "process %d has no code in which a system call could be made",
			 process->process.pid);
}

/*
 * While a disk is read by O_DIRECT into a page of which the process writes another part, a fork takes the page away,
 * and with it what is read. Since Linux 6.5 (fs/direct-io.c, block/bio.c) the process keeps such a page; that a
 * kernel is not older is known where it has what came after that. Otherwise no thread may be in such a read.
 */
static enum kioku_status check_direct_reads(struct kioku_process *process,
					    struct kioku_error *error)
{
	struct process_handles handles;
	pid_t pid = process->process.pid;

	TRY(process_handles_read(&process->process, &process->before.list, &handles, error));
	process->target->must_stop_all =
		handles.direct >= 0 && !(handles.are_all_disks && userfault_works());
	if (!process->target->must_stop_all || !handles.has_queue)
		return KIOKU_OK;
	return error_set(error, KIOKU_ERROR_REFUSED,
			 "process %d may read by O_DIRECT (descriptor %d) and AIO or io_uring, and "
			 "lose what it reads to a duplicate",
			 pid, handles.direct);
}

/* Errors: UNSUPPORTED, and REFUSED where somebody would be killed for want of memory. */
static enum kioku_status check_fork(struct kioku_process *process, struct kioku_error *error)
{
	const struct process_need need = process_need(&process->before.list);
	struct process_room room;

	TRY(check_call(process, error));
	TRY(check_direct_reads(process, error));
	TRY(process_room(&process->process, &room, error));
	return process_room_check(&room, &need, error);
}

struct process_need way_need_of_copy(const struct kioku_process *process)
{
	struct process_need need = { 0 };

	for (size_t i = 0; i < process->before.list.count; i++) {
		const struct mapping *mapping = &process->before.list.mappings[i];
		if (tracking_wants(mapping))
			need.memory += mapping->is_shared ? mapping->resident
							  : mapping->anonymous + mapping->swapped;
		need.memory += mapping->private_hugetlb + mapping->shared_hugetlb;
	}
	return need;
}

enum kioku_status way_check_writes(const struct kioku_process *process, struct kioku_error *error)
{
	struct process_handles handles;

	TRY(process_handles_read(&process->process, &process->before.list, &handles, error));
	return process_handles_check_writes(&handles, process->process.pid, error);
}

static enum kioku_status check_room(const struct kioku_process *process, struct kioku_error *error)
{
	const struct process_need need = way_need_of_copy(process);
	CLEANUP(process_close) struct process self = { .folder = -1 };
	struct process_room room;

	TRY(process_open(getpid(), &self, error));
	TRY(process_room(&self, &room, error));
	return process_room_check(&room, &need, error);
}

static enum kioku_status check_track(struct kioku_process *process, struct kioku_error *error)
{
	TRY(check_call(process, error));
	TRY(way_check_writes(process, error));
	return check_room(process, error);
}

/*
 * Who asks for it may take the bits from whoever cleared them before; otherwise that is only allowed to the series
 * which did so itself.
 */
static enum kioku_status check_soft_dirty(struct kioku_process *process, struct kioku_error *error)
{
	const struct kioku_snapshot_options *options = process->options;
	const struct process *about = &process->process;
	bool may_take = options->method == KIOKU_SNAPSHOT_TRACK ||
			(options->series && series_has_cleared(options->series, about));
	struct process_handles handles;

	if (!soft_dirty_works())
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "this kernel cannot track writes (it takes the userfaultfd of "
				 "Linux 6.7, or soft-dirty bits and frame numbers)");
	TRY(process_handles_read(about, &process->before.list, &handles, error));
	if (handles.has_page_bits)
		return error_set(error, KIOKU_ERROR_REFUSED,
				 "process %d may go by its soft-dirty bits itself: it has pagemap "
				 "or clear_refs open",
				 about->pid);
	if (!may_take && soft_dirty_is_cleared(&process->before.list))
		return error_set(error, KIOKU_ERROR_REFUSED,
				 "the soft-dirty bits of process %d are in use, or were: method "
				 "track, asked for, would take them",
				 about->pid);
	TRY(soft_dirty_measure(about, &process->before.list, LOOK_LIMIT, &process->look, error));
	if (process->look > LOOK_LIMIT)
		return error_set(error, KIOKU_ERROR_REFUSED,
				 "process %d has so large an address space that to look through it "
				 "takes more than %d ms, in the stop",
				 about->pid, LOOK_LIMIT / 1000000);
	TRY(process_handles_check_writes(&handles, about->pid, error));
	return check_room(process, error);
}

static enum kioku_status check_stop(struct kioku_process *process, struct kioku_error *error)
{
	return KIOKU_OK;
}

static bool has_no_userfault(void)
{
	return !userfault_works();
}

const struct way ways[WAYS] = {
	{ .method = KIOKU_SNAPSHOT_TRACK,
	  .exists = userfault_works,
	  .check = check_track,
	  .predict = prediction_of_track,
	  .setup = PREDICTION_OF_SETUP,
	  .guardian = GUARDIAN_TRACK,
	  .kind = LAYOUT_OF_COPY },
	{ .method = KIOKU_SNAPSHOT_FORK,
	  .check = check_fork,
	  .predict = prediction_of_fork,
	  .reap = PREDICTION_OF_REAP,
	  .guardian = GUARDIAN_DUPLICATE,
	  .kind = LAYOUT_OF_DUPLICATE },
	/* It takes what may be another's, and cannot be undone. */
	{ .method = KIOKU_SNAPSHOT_TRACK,
	  .exists = has_no_userfault,
	  .check = check_soft_dirty,
	  .predict = prediction_of_soft_dirty,
	  .guardian = GUARDIAN_SOFT_DIRTY,
	  .kind = LAYOUT_OF_COPY },
	{ .method = KIOKU_SNAPSHOT_STOP,
	  .check = check_stop,
	  .predict = prediction_of_stop,
	  .guardian = GUARDIAN_HOLD,
	  .kind = LAYOUT_OF_TARGET },
};

const char *kioku_snapshot_method_name(enum kioku_snapshot_method method)
{
	static const char *const names[] = { [KIOKU_SNAPSHOT_AUTO] = "auto",
					     [KIOKU_SNAPSHOT_TRACK] = "track",
					     [KIOKU_SNAPSHOT_FORK] = "fork",
					     [KIOKU_SNAPSHOT_STOP] = "stop" };

	return names[method];
}

bool way_is_asked_for(const struct kioku_snapshot_options *options, const struct way *way)
{
	bool is_allowed = way->method != KIOKU_SNAPSHOT_STOP || options->allow_stop;

	if (options->method == KIOKU_SNAPSHOT_AUTO ? !is_allowed : way->method != options->method)
		return false;
	return !way->exists || way->exists();
}

const struct way *way_of(enum kioku_snapshot_method method)
{
	const struct kioku_snapshot_options options = { .method = method };
	const struct way *way = ways;

	while (!way_is_asked_for(&options, way))
		way++;
	return way;
}
