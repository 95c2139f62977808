/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <kioku/snapshot.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "snapshot/process_find.h"
#include "snapshot/snapshot_ways.h"

enum {
	COPY_LIMIT = 4 << 20, /* bytes that are copied within a stop, if nothing is promised */
	PATIENCE = 5 * 1000 * 1000, /* nanoseconds for threads that do not stop */
	PROMISE_PART = 4,           /* of a promised time, what copies and waiting may take, each */
	/* Bytes that auto copies within a stop: about as long as a fork of 1 GiB. */
	DIRTY_LIMIT = 8 << 20,
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
		struct prediction_input input = way_input(taking->processes[i]);
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
	uint64_t watched = way_input(process).watched;
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
static enum kioku_status check_writes_again(const struct taking *taking, struct kioku_error *error)
{
	for (size_t i = 0; i < taking->count; i++) {
		enum kioku_status status = way_check_writes(taking->processes[i], error);
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
	return way->kind == LAYOUT_OF_COPY ? check_writes_again(taking, error) : KIOKU_OK;
}

/* Whether another method may do where this one did not. */
static bool is_of_method(enum kioku_status status)
{
	return status == KIOKU_ERROR_UNSUPPORTED || status == KIOKU_ERROR_REFUSED ||
	       status == KIOKU_ERROR_LIMIT;
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
		if (!way_is_asked_for(options, way))
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
		out->memory = way_need_of_copy(process).memory;
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
		struct prediction_input input = way_input(process);
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
