/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <kioku/snapshot.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "snapshot/held_process.h"
#include "snapshot/prediction.h"
#include "snapshot/process_devices.h"
#include "snapshot/process_find.h"
#include "snapshot/process_room.h"
#include "snapshot/series.h"
#include "snapshot/soft_dirty.h"
#include "snapshot/tracking.h"

enum {
	COPY_LIMIT = 4 << 20, /* bytes that are copied within a stop, if nothing is promised */
	PATIENCE = 5 * 1000 * 1000, /* nanoseconds for threads that do not stop */
	PROMISE_PART = 4,           /* of a promised time, what copies and waiting may take, each */
	/* Bytes that auto copies within a stop: about as long as a fork of 1 GiB. */
	DIRTY_LIMIT = 8 << 20,
	LOOK_LIMIT =
		1000 * 1000 * 1000, /* nanoseconds, of soft-dirty bits: other ways are shorter */
};

/* Processes that are stopped at one instant, and held by one guardian. */
struct snapshot_group {
	size_t held;    /* that have not been let go of */
	size_t members; /* that have not been released */
	struct guardian guardian;
	struct guardian_target *targets;
};

static enum kioku_status complete_options(const struct kioku_snapshot_options *given,
					  struct kioku_snapshot_options *out,
					  struct kioku_error *error)
{
	*out = (struct kioku_snapshot_options){ .size = sizeof(*out) };
	if (!given)
		return KIOKU_OK;
	if (given->size > sizeof(*out) || given->size < sizeof(given->size))
		return error_set(error, KIOKU_ERROR_ARGUMENT, "options of another version");
	memcpy(out, given, given->size);
	if (out->method > KIOKU_SNAPSHOT_STOP)
		return error_set(error, KIOKU_ERROR_ARGUMENT, "no such method");
	return KIOKU_OK;
}

static struct prediction_input input_of(const struct kioku_process *process)
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
 * A page into which a disk is being read by O_DIRECT goes to the duplicate if the process writes to another part of
 * it meanwhile, and what is read with it: but for kernels that keep such a page for the process (fs/direct-io.c,
 * block/bio.c, Linux 6.5), which of those that are asked for here these are is told by what has come after. Otherwise
 * none of its threads may be in such a read.
 */
static enum kioku_status check_direct_reads(struct kioku_process *process,
					    struct kioku_error *error)
{
	struct process_devices devices;
	pid_t pid = process->process.pid;

	TRY(process_devices_read(&process->process, &process->before.list, &devices, error));
	process->target->must_stop_all =
		devices.direct >= 0 && !(devices.are_all_disks && userfault_works());
	if (!process->target->must_stop_all || !devices.has_queue)
		return KIOKU_OK;
	return error_set(error, KIOKU_ERROR_REFUSED,
			 "process %d may read by O_DIRECT (descriptor %d) and AIO or io_uring, and "
			 "lose what it reads to a duplicate",
			 pid, devices.direct);
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

/* What is copied is charged to us, who may be in another cgroup than the target. */
static struct process_need need_of_copy(const struct kioku_process *process)
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

static enum kioku_status check_devices(const struct kioku_process *process,
				       struct kioku_error *error)
{
	struct process_devices devices;

	TRY(process_devices_read(&process->process, &process->before.list, &devices, error));
	return process_devices_check(&devices, process->process.pid, error);
}

/* Of any way to track writes. */
static enum kioku_status check_copy(const struct kioku_process *process, struct kioku_error *error)
{
	const struct process_need need = need_of_copy(process);
	CLEANUP(process_close) struct process self = { .folder = -1 };
	struct process_room room;

	TRY(check_devices(process, error));
	TRY(process_open(getpid(), &self, error));
	TRY(process_room(&self, &room, error));
	return process_room_check(&room, &need, error);
}

static enum kioku_status check_track(struct kioku_process *process, struct kioku_error *error)
{
	TRY(check_call(process, error));
	return check_copy(process, error);
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

	if (!soft_dirty_works())
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "this kernel cannot track writes (it takes the userfaultfd of "
				 "Linux 6.7, or soft-dirty bits and frame numbers)");
	if (soft_dirty_is_used_by(about))
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
	return check_copy(process, error);
}

static enum kioku_status check_stop(struct kioku_process *process, struct kioku_error *error)
{
	return KIOKU_OK;
}

/* A way to take a snapshot. A method may have several, of which a kernel's first is used. */
struct way {
	enum kioku_snapshot_method method;
	bool (*exists)(void); /* NULL: always */
	enum kioku_status (*check)(struct kioku_process *process, struct kioku_error *error);
	uint64_t (*predict)(const struct prediction_pace *pace,
			    const struct prediction_input *input);
	uint64_t setup; /* nanoseconds for which one thread is stopped before */
	uint64_t reap;  /* the same, at the end */
	enum guardian_method guardian;
	enum layout_kind kind;
};

static bool has_no_userfault(void)
{
	return !userfault_works();
}

/* That which harms least comes first. */
static const struct way ways[] = {
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

enum { WAYS = sizeof(ways) / sizeof(*ways) };

const char *kioku_snapshot_method_name(enum kioku_snapshot_method method)
{
	static const char *const names[] = { [KIOKU_SNAPSHOT_AUTO] = "auto",
					     [KIOKU_SNAPSHOT_TRACK] = "track",
					     [KIOKU_SNAPSHOT_FORK] = "fork",
					     [KIOKU_SNAPSHOT_STOP] = "stop" };

	return names[method];
}

/* A snapshot in the making. */
struct taking {
	struct snapshot_group *group;
	struct kioku_process **processes;
	size_t count;
	const struct kioku_snapshot_options *options;
	struct prediction_pace pace; /* if something was promised */
};

/* Those of a group are stopped one after the other, and all until the last is done. */
static uint64_t predict_all(const struct taking *taking, const struct way *way)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < taking->count; i++) {
		struct prediction_input input = input_of(taking->processes[i]);
		sum += way->predict(&taking->pace, &input);
	}
	return sum;
}

/* Bytes for each target that may have been written since they were copied; 0: any number. */
static uint64_t dirty_limit(const struct taking *taking, uint64_t predicted)
{
	const struct kioku_snapshot_options *options = taking->options;

	if (options->max_stop > 0)
		return SPOOL_PAGE +
		       prediction_of_dirty(options->max_stop - predicted) / taking->count;
	return options->method == KIOKU_SNAPSHOT_AUTO ? DIRTY_LIMIT : 0;
}

/* Bytes of a target that must not have to be looked through in the stop, for it not to be too long. */
static uint64_t least_watched(const struct taking *taking, const struct kioku_process *process,
			      uint64_t predicted)
{
	const struct kioku_snapshot_options *options = taking->options;

	if (options->max_stop == 0)
		return 0;
	uint64_t watched = input_of(process).watched;
	uint64_t spare =
		prediction_of_look(&taking->pace, options->max_stop - predicted) / taking->count;
	return watched > spare ? watched - spare : 0;
}

static enum kioku_status check_promise(const struct taking *taking, const struct way *way,
				       uint64_t stop, struct kioku_error *error)
{
	const struct kioku_snapshot_options *options = taking->options;

	stop = stop > way->setup ? stop : way->setup;
	stop = stop > way->reap ? stop : way->reap;
	if (options->max_stop > 0 && stop > options->max_stop)
		return error_set(error, KIOKU_ERROR_REFUSED,
				 "with method %s, a stop of %llu us is to be expected, and at most "
				 "%llu us are allowed",
				 kioku_snapshot_method_name(way->method),
				 (unsigned long long)(stop / 1000),
				 (unsigned long long)(options->max_stop / 1000));
	return KIOKU_OK;
}

/* Once more: what has begun meanwhile has not been seen, either. */
static enum kioku_status check_devices_again(const struct taking *taking, struct kioku_error *error)
{
	for (size_t i = 0; i < taking->count; i++) {
		enum kioku_status status = check_devices(taking->processes[i], error);
		/* It may have ended by now. */
		if (status == KIOKU_ERROR_REFUSED)
			return status;
	}
	return KIOKU_OK;
}

static enum kioku_status take_by(const struct taking *taking, const struct way *way,
				 struct kioku_error *error)
{
	const struct kioku_snapshot_options *options = taking->options;
	struct snapshot_group *group = taking->group;
	struct guardian_order order = { .method = way->guardian,
					.patience = PATIENCE,
					.wait = { options->goes_on, options->goes_on_user } };
	uint64_t copy_limit = COPY_LIMIT;

	if (options->max_stop > 0) {
		order.patience = options->max_stop / PROMISE_PART;
		copy_limit = (uint64_t)((double)order.patience / taking->pace.copy);
	}
	for (size_t i = 0; i < taking->count; i++)
		TRY(way->check(taking->processes[i], error));
	for (size_t i = 0; i < taking->count; i++)
		TRY(held_process_plan(taking->processes[i], way->kind, copy_limit, error));
	uint64_t stop = predict_all(taking, way);
	TRY(check_promise(taking, way, stop, error));
	uint64_t limit = dirty_limit(taking, stop);
	for (size_t i = 0; i < taking->count; i++) {
		group->targets[i].dirty_limit = limit;
		group->targets[i].least_watched = least_watched(taking, taking->processes[i], stop);
	}
	group->held = taking->count;
	TRY(guardian_start(&group->guardian, group->targets, taking->count, &order, error));
	return way->kind == LAYOUT_OF_COPY ? check_devices_again(taking, error) : KIOKU_OK;
}

/* Whether another method may do where this one did not. */
static bool is_of_method(enum kioku_status status)
{
	return status == KIOKU_ERROR_UNSUPPORTED || status == KIOKU_ERROR_REFUSED ||
	       status == KIOKU_ERROR_LIMIT;
}

static bool is_asked_for(const struct kioku_snapshot_options *options, const struct way *way)
{
	bool is_allowed = way->method != KIOKU_SNAPSHOT_STOP || options->allow_stop;

	if (options->method == KIOKU_SNAPSHOT_AUTO ? !is_allowed : way->method != options->method)
		return false;
	return !way->exists || way->exists();
}

static const struct way *way_of(enum kioku_snapshot_method method)
{
	const struct kioku_snapshot_options options = { .method = method };
	const struct way *way = ways;

	while (!is_asked_for(&options, way))
		way++;
	return way;
}

/* By the method that was asked for; or that which harms least, of those that can be used. */
static enum kioku_status take_somehow(const struct taking *taking, struct kioku_error *error)
{
	const struct kioku_snapshot_options *options = taking->options;
	const struct diagnostics diagnostics = { options->diagnostic, options->diagnostic_user };
	enum kioku_status status = KIOKU_OK;
	struct kioku_error reason = { 0 };
	const struct way *before = NULL;

	for (const struct way *way = ways; way < ways + WAYS; way++) {
		if (!is_asked_for(options, way))
			continue;
		if (before) {
			diagnose(&diagnostics, KIOKU_NOTE, "not by method %s: %s",
				 kioku_snapshot_method_name(before->method), reason.message);
			guardian_end(&taking->group->guardian);
		}
		reason = (struct kioku_error){ 0 };
		status = take_by(taking, way, &reason);
		if (!is_of_method(status))
			break;
		before = way;
	}
	if (error)
		*error = reason;
	return status;
}

static enum kioku_status prepare_all(const struct taking *taking, const pid_t *pids,
				     struct kioku_error *error)
{
	struct snapshot_group *group = taking->group;

	for (size_t i = 0; i < taking->count; i++) {
		struct kioku_process *process = taking->processes[i] = calloc(1, sizeof(*process));
		if (!process)
			return error_no_memory(error);
		process->group = group;
		group->members++;
		TRY(held_process_prepare(process, pids[i], &group->targets[i], taking->options,
					 error));
	}
	return KIOKU_OK;
}

static void say_exposed(const struct kioku_process *process,
			const struct kioku_snapshot_options *options)
{
	const struct diagnostics diagnostics = { options->diagnostic, options->diagnostic_user };

	if (!process->summary.restores_itself && process->summary.method == KIOKU_SNAPSHOT_FORK)
		diagnose(&diagnostics, KIOKU_NOTE,
			 "process %d has no stack on which it could have restored itself, had the "
			 "tracer been killed",
			 process->process.pid);
}

/* What was done to the target that cannot be undone. */
static void say_cleared(const struct kioku_process *process,
			const struct kioku_snapshot_options *options)
{
	const struct diagnostics diagnostics = { options->diagnostic, options->diagnostic_user };

	if (process->target->report->has_cleared)
		diagnose(&diagnostics, KIOKU_NOTE,
			 "process %d was tracked by its soft-dirty bits, which are cleared now: "
			 "whoever else goes by them has to begin anew",
			 process->process.pid);
}

static enum kioku_status take(struct taking *taking, const pid_t *pids, struct kioku_error *error)
{
	if (taking->options->max_stop > 0)
		TRY(prediction_measure(&taking->pace, error));
	TRY(prepare_all(taking, pids, error));
	enum kioku_status status = take_somehow(taking, error);
	for (size_t i = 0; i < taking->count; i++)
		say_cleared(taking->processes[i], taking->options);
	TRY(status);
	for (size_t i = 0; i < taking->count; i++) {
		TRY(held_process_open(taking->processes[i], error));
		say_exposed(taking->processes[i], taking->options);
	}
	return KIOKU_OK;
}

enum kioku_status kioku_process_duplicate_all(const pid_t *pids, size_t count,
					      const struct kioku_snapshot_options *options,
					      struct kioku_process **out, struct kioku_error *error)
{
	struct kioku_snapshot_options complete;
	struct snapshot_group *group;
	struct taking taking = { .processes = out, .count = count, .options = &complete };

	memset(out, 0, count * sizeof(*out));
	TRY(complete_options(options, &complete, error));
	group = calloc(1, sizeof(*group));
	if (!group)
		return error_no_memory(error);
	taking.group = group;
	group->guardian.socket = -1;
	group->targets = calloc(count, sizeof(*group->targets));
	enum kioku_status status =
		group->targets ? take(&taking, pids, error) : error_no_memory(error);
	if (status == KIOKU_OK)
		return status;
	guardian_end(&group->guardian);
	group->held = 0;
	if (group->members == 0) {
		free(group->targets);
		free(group);
	}
	for (size_t i = 0; i < count; i++)
		kioku_process_release(TAKE(out[i]));
	return status;
}

enum kioku_status kioku_process_duplicate(pid_t pid, const struct kioku_snapshot_options *options,
					  struct kioku_process **out, struct kioku_error *error)
{
	return kioku_process_duplicate_all(&pid, 1, options, out, error);
}

enum kioku_status kioku_process_read(struct kioku_process *process, uint64_t address, void *buffer,
				     size_t size, struct kioku_error *error)
{
	return kioku_source_read(process->source, address, buffer, size, error);
}

struct kioku_source *kioku_process_source(struct kioku_process *process)
{
	return process->source;
}

struct kioku_process_summary kioku_process_summary(const struct kioku_process *process)
{
	const struct guardian_report *report = process->target ? process->target->report : NULL;
	struct kioku_process_summary summary = process->summary;

	if (process->group->held > 0 || !report)
		return summary;
	/* The guardian has ended, and says no more; if it was killed, it has not said that it reaped. */
	summary.stop = report->stop;
	summary.reap = report->reap;
	summary.has_leftover = report->duplicate != 0 && report->reap == 0 &&
			       process_is_current(&process->process);
	return summary;
}

uint64_t kioku_process_longest_stop(const struct kioku_process_summary *summary)
{
	const uint64_t stops[] = { summary->setup, summary->watch, summary->stop, summary->teardown,
				   summary->reap };
	uint64_t longest = 0;

	for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++)
		longest = stops[i] > longest ? stops[i] : longest;
	return longest;
}

void kioku_process_let_go(struct kioku_process *process)
{
	if (!process || process->is_let_go)
		return;
	process->is_let_go = true;
	struct snapshot_group *group = process->group;
	if (group->held > 0 && --group->held == 0)
		guardian_end(&group->guardian);
}

void kioku_process_release(struct kioku_process *process)
{
	if (!process)
		return;
	struct snapshot_group *group = process->group;
	kioku_process_let_go(process);
	held_process_release(process);
	if (--group->members > 0)
		return;
	free(group->targets);
	free(group);
}

/* What else is known of a method than how long it stops. */
static void describe(struct kioku_snapshot_prediction *out, const struct kioku_process *process,
		     const struct prediction_pace *pace)
{
	switch (out->method) {
	case KIOKU_SNAPSHOT_TRACK:
		out->memory = need_of_copy(process).memory;
		/* By soft-dirty bits it is a fault without a copy: less than after a fork. */
		out->delay = pace->has_tracking ? (uint64_t)pace->delay : PREDICTION_OF_COPY;
		break;
	case KIOKU_SNAPSHOT_FORK:
		out->memory = process_need(&process->before.list).memory;
		out->delay = PREDICTION_OF_COPY;
		break;
	case KIOKU_SNAPSHOT_AUTO:
	case KIOKU_SNAPSHOT_STOP: break;
	}
}

enum kioku_status
kioku_process_predict(pid_t pid, struct kioku_snapshot_prediction out[KIOKU_SNAPSHOT_METHODS],
		      struct kioku_error *error)
{
	const struct kioku_snapshot_options options = { .size = sizeof(options) };
	struct guardian_target target = { 0 };
	struct kioku_process *process = calloc(1, sizeof(*process));
	struct prediction_pace pace;

	if (!process)
		return error_no_memory(error);
	enum kioku_status status = held_process_prepare(process, pid, &target, &options, error);
	if (status == KIOKU_OK)
		status = prediction_measure(&pace, error);
	for (size_t i = 0; i < KIOKU_SNAPSHOT_METHODS && status == KIOKU_OK; i++) {
		enum kioku_snapshot_method method = KIOKU_SNAPSHOT_TRACK + i;
		struct kioku_error reason = { 0 };
		const struct way *way = way_of(method);
		status = held_process_plan(process, way->kind, COPY_LIMIT, error);
		if (status != KIOKU_OK)
			break;
		bool possible = way->check(process, &reason) == KIOKU_OK;
		struct prediction_input input = input_of(process);
		out[i] = (struct kioku_snapshot_prediction){
			.method = method,
			.possible = possible,
			.setup = way->setup,
			.stop = way->predict(&pace, &input),
			.later_stop = way->reap,
		};
		snprintf(out[i].reason, sizeof(out[i].reason), "%.255s", reason.message);
		describe(&out[i], process, &pace);
	}
	held_process_release(process);
	return status;
}

static enum kioku_status give(enum kioku_status status, struct number_list *list, pid_t **out,
			      size_t *count)
{
	if (status == KIOKU_OK) {
		*count = list->count;
		*out = TAKE(list->numbers);
	}
	number_list_release(list);
	return status;
}

enum kioku_status kioku_process_find(const char *name, pid_t **out, size_t *count,
				     struct kioku_error *error)
{
	struct number_list list = { 0 };

	return give(process_find_named(name, &list, error), &list, out, count);
}

enum kioku_status kioku_process_tree(pid_t pid, pid_t **out, size_t *count,
				     struct kioku_error *error)
{
	struct number_list list = { 0 };

	return give(process_tree(pid, &list, error), &list, out, count);
}
