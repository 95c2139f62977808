/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <kioku/snapshot.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "snapshot/held_process.h"
#include "snapshot/prediction.h"
#include "snapshot/process_find.h"
#include "snapshot/process_room.h"

enum {
	COPY_LIMIT = 4 << 20, /* bytes that are copied within a stop, if nothing is promised */
	PATIENCE = 5 * 1000 * 1000, /* nanoseconds for threads that do not stop */
	PROMISE_PART = 4,           /* of a promised time, what copies and waiting may take, each */
};

/* Processes that are stopped at one instant, and held by one guardian. */
struct snapshot_group {
	size_t held;    /* that have not been let go of */
	size_t members; /* that have not been released */
	struct guardian guardian;
	struct guardian_target *targets;
};

static const char *const method_names[] = { "auto", "fork", "stop" };

const char *kioku_snapshot_method_name(enum kioku_snapshot_method method)
{
	return method_names[method];
}

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
					  .mappings = process->before.list.count };

	for (size_t i = 0; i < process->before.list.count; i++) {
		const struct mapping *mapping = &process->before.list.mappings[i];
		if (mapping->is_shared)
			continue;
		input.small_pages +=
			mapping->anonymous - mapping->anonymous_huge + mapping->swapped;
		input.huge_pages += mapping->anonymous_huge;
	}
	for (size_t i = 0; i < target->area_count; i++)
		input.copied += target->areas[i].size;
	return input;
}

/* Those of a group are stopped one after the other, and all until the last is done. */
static uint64_t predict_all(struct kioku_process *const *processes, size_t count,
			    const struct prediction_pace *pace, enum kioku_snapshot_method method)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++) {
		struct prediction_input input = input_of(processes[i]);
		sum += method == KIOKU_SNAPSHOT_STOP ? prediction_of_stop(pace, &input)
						     : prediction_of_fork(pace, &input);
	}
	return sum;
}

/* Errors: UNSUPPORTED, and REFUSED where somebody would be killed for want of memory. */
static enum kioku_status check_fork(const struct kioku_process *process, struct kioku_error *error)
{
	const struct process *about = &process->process;
	const struct process_need need = process_need(&process->before.list);
	struct process_room room;

	if (!process->target->site.gadgets.syscall)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "process %d has no code in which a system call could be made",
				 about->pid);
	TRY(process_room(about, &room, error));
	return process_room_check(&room, &need, error);
}

/* The method that was asked for, if it can be used. */
static enum kioku_status choose(struct kioku_process *const *processes, size_t count,
				const struct kioku_snapshot_options *options,
				const struct prediction_pace *pace, enum kioku_snapshot_method *out,
				struct kioku_error *error)
{
	enum kioku_status status = KIOKU_OK;

	*out = options->method == KIOKU_SNAPSHOT_AUTO ? KIOKU_SNAPSHOT_FORK : options->method;
	for (size_t i = 0; *out == KIOKU_SNAPSHOT_FORK && i < count && status == KIOKU_OK; i++)
		status = check_fork(processes[i], error);
	if (status != KIOKU_OK) {
		if (options->method != KIOKU_SNAPSHOT_AUTO || !options->allow_stop)
			return status;
		*out = KIOKU_SNAPSHOT_STOP;
	}
	if (options->max_stop == 0)
		return KIOKU_OK;
	uint64_t stop = predict_all(processes, count, pace, *out);
	if (stop > options->max_stop)
		return error_set(error, KIOKU_ERROR_REFUSED,
				 "with method %s, a stop of %llu us is to be expected, and at most "
				 "%llu us are allowed",
				 method_names[*out], (unsigned long long)(stop / 1000),
				 (unsigned long long)(options->max_stop / 1000));
	return KIOKU_OK;
}

static enum kioku_status prepare_all(struct snapshot_group *group, const pid_t *pids, size_t count,
				     uint64_t copy_limit,
				     const struct kioku_snapshot_options *options,
				     struct kioku_process **out, struct kioku_error *error)
{
	for (size_t i = 0; i < count; i++) {
		struct kioku_process *process = out[i] = calloc(1, sizeof(*process));
		if (!process)
			return error_no_memory(error);
		process->group = group;
		group->members++;
		TRY(held_process_prepare(process, pids[i], &group->targets[i], copy_limit,
					 options->facts, error));
	}
	return KIOKU_OK;
}

static void say_broken(const struct kioku_process *process,
		       const struct kioku_snapshot_options *options)
{
	const struct diagnostics diagnostics = { options->diagnostic, options->diagnostic_user };

	if (options->max_stop > 0 && process->summary.stop > options->max_stop)
		diagnose(&diagnostics, KIOKU_WARNING,
			 "process %d was stopped for %llu us, longer than the %llu us allowed",
			 process->process.pid, (unsigned long long)(process->summary.stop / 1000),
			 (unsigned long long)(options->max_stop / 1000));
	if (!process->summary.restores_itself && process->summary.method == KIOKU_SNAPSHOT_FORK)
		diagnose(&diagnostics, KIOKU_NOTE,
			 "process %d has no stack on which it could have restored itself, had the "
			 "tracer been killed",
			 process->process.pid);
}

static enum kioku_status take(struct snapshot_group *group, const pid_t *pids, size_t count,
			      const struct kioku_snapshot_options *options,
			      struct kioku_process **out, struct kioku_error *error)
{
	struct prediction_pace pace = { 0 };
	enum kioku_snapshot_method method;
	uint64_t copy_limit = COPY_LIMIT, patience = PATIENCE;

	if (options->max_stop > 0) {
		TRY(prediction_measure(&pace, error));
		patience = options->max_stop / PROMISE_PART;
		copy_limit = (uint64_t)((double)patience / pace.copy);
	}
	TRY(prepare_all(group, pids, count, copy_limit, options, out, error));
	TRY(choose(out, count, options, &pace, &method, error));
	group->held = count;
	TRY(guardian_start(&group->guardian, group->targets, count,
			   method == KIOKU_SNAPSHOT_FORK ? GUARDIAN_DUPLICATE : GUARDIAN_HOLD,
			   patience, error));
	for (size_t i = 0; i < count; i++) {
		TRY(held_process_open(out[i], options, error));
		say_broken(out[i], options);
	}
	return KIOKU_OK;
}

enum kioku_status kioku_process_duplicate_all(const pid_t *pids, size_t count,
					      const struct kioku_snapshot_options *options,
					      struct kioku_process **out, struct kioku_error *error)
{
	struct kioku_snapshot_options complete;
	struct snapshot_group *group;

	memset(out, 0, count * sizeof(*out));
	TRY(complete_options(options, &complete, error));
	group = calloc(1, sizeof(*group));
	if (!group)
		return error_no_memory(error);
	group->guardian.socket = -1;
	group->targets = calloc(count, sizeof(*group->targets));
	enum kioku_status status = group->targets ? take(group, pids, count, &complete, out, error)
						  : error_no_memory(error);
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

enum kioku_status
kioku_process_predict(pid_t pid, struct kioku_snapshot_prediction out[KIOKU_SNAPSHOT_METHODS],
		      struct kioku_error *error)
{
	struct guardian_target target = { 0 };
	struct kioku_process *process = calloc(1, sizeof(*process));
	struct prediction_pace pace;

	if (!process)
		return error_no_memory(error);
	enum kioku_status status =
		held_process_prepare(process, pid, &target, COPY_LIMIT, false, error);
	if (status == KIOKU_OK)
		status = prediction_measure(&pace, error);
	if (status == KIOKU_OK) {
		struct prediction_input input = input_of(process);
		struct kioku_error reason = { 0 };
		bool possible = check_fork(process, &reason) == KIOKU_OK;
		out[0] = (struct kioku_snapshot_prediction){
			.method = KIOKU_SNAPSHOT_FORK,
			.possible = possible,
			.stop = prediction_of_fork(&pace, &input),
			.later_stop = PREDICTION_OF_REAP,
			.memory = process_need(&process->before.list).memory,
			.delay = PREDICTION_OF_COPY,
		};
		snprintf(out[0].reason, sizeof(out[0].reason), "%.255s", reason.message);
		out[1] = (struct kioku_snapshot_prediction){
			.method = KIOKU_SNAPSHOT_STOP,
			.possible = true,
			.stop = prediction_of_stop(&pace, &input),
		};
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
