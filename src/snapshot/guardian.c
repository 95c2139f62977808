/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/guardian.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "snapshot/soft_dirty.h"
#include "snapshot/tracking.h"
#include "snapshot/wait.h"

struct guardian_message {
	enum kioku_status status;
	struct kioku_error error;
};

/* A target, as the guardian has it. */
struct charge {
	struct guardian_target *target;
	const struct watch *watch;
	struct tracee tracee;
	struct errand errand;
	struct duplicate duplicate;
	struct tracking tracking;
	struct soft_dirty soft_dirty;
	int memory; /* /proc/PID/mem, if there are areas; -1 */
};

/* The steps of a method, each for one target. Any but take may be missing. */
struct method {
	/* While it runs, and is not attached to; and once more, when that is done for all. */
	enum kioku_status (*prepare)(struct charge *charge, struct kioku_error *error);
	enum kioku_status (*get_ready)(struct charge *charge, struct kioku_error *error);
	/* All threads are stopped and read. */
	enum kioku_status (*take)(struct charge *charge, struct kioku_error *error);
	/* The targets go on after that; otherwise they do when all is let go of. */
	bool goes_on;
	/* They have gone on. */
	enum kioku_status (*settle)(struct charge *charge, struct kioku_error *error);
	/* In any case: at once, and when no thread is attached to any more. */
	void (*undo)(struct charge *charge);
	void (*leave)(struct charge *charge);
};

struct watch {
	struct charge *charges;
	size_t count;
	const struct method *method;
	uint64_t patience;
	int socket;
};

enum {
	SETTLE_INTERVAL = 2, /* milliseconds */
	SPARE_THREADS = 2,   /* that are started before the stop */
	ROUNDS = 3,          /* of stops before the last one, by soft-dirty bits */
};

static const uint64_t call_limit = UINT64_C(10000000000); /* nanoseconds; a large fork takes some */
static const uint64_t reap_patience = 2000000000;         /* nanoseconds */

void *guardian_memory(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static uint64_t real_time(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static enum kioku_status copy_areas(const struct charge *charge, struct kioku_error *error)
{
	const struct guardian_target *target = charge->target;
	const struct spool_target memory = { charge->memory, target->process->live_thread };

	for (size_t i = 0; i < target->area_count; i++) {
		const struct guardian_area *area = &target->areas[i];
		TRY(spool_copy(target->spool, &memory, area->start, area->start + area->size,
			       error));
	}
	return KIOKU_OK;
}

static void resume(struct charge *charge)
{
	tracee_resume(&charge->tracee);
	charge->target->report->stop = charge->tracee.resumed_at - charge->tracee.stopped_at;
}

/* What is written to in the stop, so that it has no faults of ours in it. */
static void touch(struct charge *charge)
{
	const struct guardian_target *target = charge->target;
	size_t count = charge->tracee.count + SPARE_THREADS;

	count = count < target->thread_limit ? count : target->thread_limit;
	memset(target->records, 0, count * sizeof(*target->records));
	memset(&charge->duplicate, 0, sizeof(charge->duplicate));
}

/* To all its threads; some may be attached to still, which could not stop the last time. */
static enum kioku_status attach_to(struct charge *charge, struct kioku_error *error)
{
	const struct process *process = charge->target->process;
	struct tracee *tracee = &charge->tracee;

	if (tracee->count == 0) {
		tracee_release(tracee);
		TRY(tracee_init(tracee, process->pid, process->folder, process->seccomp != 0,
				charge->target->thread_limit, error));
	}
	return tracee_seize(tracee, error);
}

static enum kioku_status attach(struct watch *watch, struct kioku_error *error)
{
	for (size_t i = 0; i < watch->count; i++) {
		TRY(attach_to(&watch->charges[i], error));
		touch(&watch->charges[i]);
	}
	errand_touch_stack();
	return KIOKU_OK;
}

/* Stops all threads for something that none of them may run in; nanoseconds for which they were. */
static uint64_t stop_for(struct charge *charge, void (*act)(struct charge *charge))
{
	struct tracee *tracee = &charge->tracee;

	if (attach_to(charge, NULL) != KIOKU_OK)
		return 0;
	errand_touch_stack();
	errand_hurry(true);
	if (tracee_stop(tracee, wait_now() + charge->watch->patience, NULL) == KIOKU_OK &&
	    tracee_is_stopped(tracee))
		act(charge);
	tracee_resume(tracee);
	errand_hurry(false);
	return tracee->resumed_at - tracee->stopped_at;
}

/* Everything that happens while targets are stopped. */
static enum kioku_status take(struct watch *watch, struct kioku_error *error)
{
	for (size_t i = 0; i < watch->count; i++)
		TRY(tracee_stop(&watch->charges[i].tracee, wait_now() + watch->patience, error));
	uint64_t instant = real_time();
	for (size_t i = 0; i < watch->count; i++) {
		struct charge *charge = &watch->charges[i];
		struct guardian_report *report = charge->target->report;
		report->instant = instant;
		TRY(tracee_read(&charge->tracee, charge->target->records, error));
		report->thread_count = charge->tracee.count;
		TRY(watch->method->take(charge, error));
		if (watch->method->goes_on && watch->count == 1)
			resume(charge);
	}
	return KIOKU_OK;
}

static void resume_all(struct watch *watch)
{
	for (size_t i = 0; i < watch->count; i++)
		if (watch->charges[i].tracee.count > 0)
			resume(&watch->charges[i]);
}

/* Whether threads that could not stop have all been let go meanwhile. */
static bool settle_all(struct watch *watch)
{
	bool settled = true;

	for (size_t i = 0; watch->method->goes_on && i < watch->count; i++)
		settled &= tracee_settle(&watch->charges[i].tracee);
	return settled;
}

static enum kioku_status for_each(struct watch *watch,
				  enum kioku_status (*step)(struct charge *, struct kioku_error *),
				  struct kioku_error *error)
{
	for (size_t i = 0; step && i < watch->count; i++)
		TRY(step(&watch->charges[i], error));
	return KIOKU_OK;
}

static enum kioku_status begin_spool(struct charge *charge, struct kioku_error *error)
{
	const struct guardian_target *target = charge->target;

	if (target->area_count > 0) {
		charge->memory = process_open_live(target->process, "mem");
		if (charge->memory < 0)
			return error_os(error, "the memory of process %d", target->process->pid);
	}
	return target->spool ? spool_begin(target->spool, error) : KIOKU_OK;
}

static enum kioku_status flush_spool(struct charge *charge, struct kioku_error *error)
{
	return charge->target->spool ? spool_flush(charge->target->spool, error) : KIOKU_OK;
}

static enum kioku_status work(struct watch *watch, struct kioku_error *error)
{
	TRY(for_each(watch, begin_spool, error));
	TRY(for_each(watch, watch->method->prepare, error));
	TRY(for_each(watch, watch->method->get_ready, error));
	TRY(attach(watch, error));
	errand_hurry(true);
	enum kioku_status status = take(watch, error);
	if (status != KIOKU_OK || watch->method->goes_on)
		resume_all(watch);
	errand_hurry(false);
	TRY(status);
	TRY(for_each(watch, watch->method->settle, error));
	return for_each(watch, flush_spool, error);
}

static void let_go(struct watch *watch)
{
	resume_all(watch);
	for (size_t i = 0; watch->method->undo && i < watch->count; i++)
		watch->method->undo(&watch->charges[i]);
	/* Threads that have not stopped by now are let go by the kernel, when we end. */
	(void)settle_all(watch);
	for (size_t i = 0; i < watch->count; i++) {
		if (watch->method->leave)
			watch->method->leave(&watch->charges[i]);
		tracee_release(&watch->charges[i].tracee);
	}
}

static enum kioku_status take_duplicate(struct charge *charge, struct kioku_error *error)
{
	struct guardian_report *report = charge->target->report;

	if (charge->target->must_stop_all &&
	    (!tracee_is_stopped(&charge->tracee) || charge->tracee.other_count > 0))
		return error_set(error, KIOKU_ERROR_REFUSED,
				 "a thread of process %d waits for a disk, perhaps in a read by "
				 "O_DIRECT, and could lose what it reads to a duplicate",
				 charge->target->process->pid);
	TRY(duplicate_make(&charge->duplicate, &charge->tracee, &charge->target->site,
			   wait_now() + call_limit, error));
	report->duplicate = charge->duplicate.pid;
	report->is_framed = charge->duplicate.is_framed;
	return copy_areas(charge, error);
}

static enum kioku_status settle_duplicate(struct charge *charge, struct kioku_error *error)
{
	return duplicate_settle(&charge->duplicate, error);
}

static void undo_duplicate(struct charge *charge)
{
	duplicate_kill(&charge->duplicate);
}

/* One thread is enough to take the dead duplicate off the target's table; the others run on. */
static void leave_duplicate(struct charge *charge)
{
	struct guardian_report *report = charge->target->report;

	if (charge->duplicate.inner_pid == 0)
		return;
	/* All threads may be in vfork(2) just now, where nothing stops them. */
	const uint64_t limit = wait_now() + reap_patience;
	enum kioku_status status;
	do
		status = duplicate_reap(&charge->duplicate, &charge->errand, NULL);
	while (status == KIOKU_ERROR_REFUSED && wait_now() < limit &&
	       usleep(SETTLE_INTERVAL * 1000) == 0);
	report->reap = status == KIOKU_OK ? charge->errand.stop : 0;
}

static enum kioku_status take_held(struct charge *charge, struct kioku_error *error)
{
	return copy_areas(charge, error);
}

static bool is_wanted(const void *user)
{
	const struct watch *watch = user;
	struct pollfd end = { .fd = watch->socket, .events = POLLIN };

	return poll(&end, 1, 0) == 0;
}

static struct tracking_input tracking_input(const struct charge *charge)
{
	const struct guardian_target *target = charge->target;

	return (struct tracking_input){
		.process = target->process,
		.spool = target->spool,
		.wants = target->wants,
		.user = target->user,
		.terms = { is_wanted, charge->watch, { .limit = target->rate } },
	};
}

static enum kioku_status check_dirty(const struct guardian_target *target, uint64_t dirty,
				     struct kioku_error *error)
{
	if (target->dirty_limit == 0 || dirty <= target->dirty_limit)
		return KIOKU_OK;
	return error_set(error, KIOKU_ERROR_REFUSED,
			 "process %d writes %llu KiB while it is looked at once, too much "
			 "for the stop that is allowed",
			 target->process->pid, (unsigned long long)dirty >> 10);
}

static enum kioku_status begin_tracking(struct charge *charge, struct kioku_error *error)
{
	const struct guardian_target *target = charge->target;
	const struct tracking_input input = tracking_input(charge);
	enum kioku_status status = tracking_begin(&charge->tracking, &input, &charge->errand,
						  &target->report->descriptor, error);

	target->report->setup = charge->errand.stop;
	TRY(status);
	return check_dirty(target, charge->tracking.pages.copier.copied, error);
}

/* Threads of the kernel's run on, which could touch memory that is in between. */
static void watch_tracking(struct charge *charge)
{
	if (charge->tracee.other_count == 0)
		tracking_watch(&charge->tracking);
}

static void drop_tracking(struct charge *charge)
{
	if (charge->tracee.other_count == 0)
		tracking_drop(&charge->tracking);
}

static enum kioku_status watch_tracked(struct charge *charge, struct kioku_error *error)
{
	const struct guardian_target *target = charge->target;
	struct guardian_report *report = target->report;

	if (tracking_is_to_be_watched(&charge->tracking)) {
		report->watch = stop_for(charge, watch_tracking);
		TRY(tracking_look(&charge->tracking, &report->watched, error));
	}
	if (report->watched < target->least_watched)
		return error_set(error, KIOKU_ERROR_REFUSED,
				 "the memory of process %d would have to be looked through in the "
				 "stop, which takes longer than allowed",
				 target->process->pid);
	return KIOKU_OK;
}

static enum kioku_status take_tracked(struct charge *charge, struct kioku_error *error)
{
	TRY(tracking_take(&charge->tracking, error));
	return copy_areas(charge, error);
}

static enum kioku_status give_maps(const struct guardian_target *target,
				   const struct process_maps *maps, struct kioku_error *error)
{
	const struct file_text *text = &maps->text;

	if (text->size > target->maps_limit)
		return error_set(error, KIOKU_ERROR_LIMIT, "process %d has too many mappings",
				 target->process->pid);
	memcpy(target->maps, text->data, text->size);
	target->report->maps_size = text->size;
	return KIOKU_OK;
}

static enum kioku_status end_tracking(struct charge *charge, struct kioku_error *error)
{
	tracking_loosen(&charge->tracking);
	/* Threads that did not stop are still attached, and would not have it. */
	if (charge->tracee.count == 0)
		charge->target->report->teardown = stop_for(charge, drop_tracking);
	tracking_end(&charge->tracking);
	return give_maps(charge->target, &charge->tracking.maps, error);
}

static void undo_tracking(struct charge *charge)
{
	tracking_release(&charge->tracking);
}

static void leave_tracked(struct charge *charge)
{
	struct guardian_report *report = charge->target->report;

	if (report->descriptor != USERFAULT_NONE)
		userfault_repair(&charge->errand, report->descriptor);
	report->descriptor = USERFAULT_NONE;
}

static void clear_soft_dirty(struct charge *charge)
{
	charge->target->report->has_cleared = true;
	soft_dirty_clear(&charge->soft_dirty, &charge->tracee);
}

/* A stop of its own, and what was written until then. */
static enum kioku_status reduce_soft_dirty(struct charge *charge, struct kioku_error *error)
{
	struct guardian_report *report = charge->target->report;
	uint64_t stop = stop_for(charge, clear_soft_dirty);

	report->watch = stop > report->watch ? stop : report->watch;
	return soft_dirty_copy(&charge->soft_dirty, error);
}

static enum kioku_status begin_soft_dirty(struct charge *charge, struct kioku_error *error)
{
	const struct guardian_target *target = charge->target;
	const struct tracking_input input = tracking_input(charge);

	TRY(soft_dirty_open(&charge->soft_dirty, &input, target->site.mappings, error));
	return reduce_soft_dirty(charge, error);
}

/* One more stop pays where it is shorter than copying all that was written in the last one. */
static enum kioku_status go_on_soft_dirty(struct charge *charge, struct kioku_error *error)
{
	struct soft_dirty *tracking = &charge->soft_dirty;
	uint64_t dirty, before = UINT64_MAX;

	TRY(soft_dirty_look(tracking, &dirty, error));
	for (unsigned i = 0; i < ROUNDS && dirty < before / 4 * 3; i++) {
		if (soft_dirty_cost(tracking, dirty) <= tracking->looking + tracking->clearing)
			break;
		before = dirty;
		TRY(reduce_soft_dirty(charge, error));
		TRY(soft_dirty_look(tracking, &dirty, error));
	}
	return check_dirty(charge->target, dirty, error);
}

static enum kioku_status take_soft_dirty(struct charge *charge, struct kioku_error *error)
{
	TRY(soft_dirty_take(&charge->soft_dirty, error));
	return copy_areas(charge, error);
}

static enum kioku_status settle_soft_dirty(struct charge *charge, struct kioku_error *error)
{
	return give_maps(charge->target, &charge->soft_dirty.maps, error);
}

static void undo_soft_dirty(struct charge *charge)
{
	soft_dirty_release(&charge->soft_dirty);
}

static const struct method methods[] = {
	[GUARDIAN_DUPLICATE] = { .take = take_duplicate,
				 .goes_on = true,
				 .settle = settle_duplicate,
				 .undo = undo_duplicate,
				 .leave = leave_duplicate },
	[GUARDIAN_HOLD] = { .take = take_held },
	[GUARDIAN_TRACK] = { .prepare = begin_tracking,
			     .get_ready = watch_tracked,
			     .take = take_tracked,
			     .goes_on = true,
			     .settle = end_tracking,
			     .undo = undo_tracking,
			     .leave = leave_tracked },
	[GUARDIAN_SOFT_DIRTY] = { .prepare = begin_soft_dirty,
				  .get_ready = go_on_soft_dirty,
				  .take = take_soft_dirty,
				  .goes_on = true,
				  .settle = settle_soft_dirty,
				  .undo = undo_soft_dirty },
};

/* Until whoever started us is done, or gone. */
static void hold(struct watch *watch)
{
	struct pollfd end = { .fd = watch->socket, .events = POLLIN };

	for (bool settled = false;;) {
		settled = settled || settle_all(watch);
		if (poll(&end, 1, settled ? -1 : SETTLE_INTERVAL) > 0)
			return;
	}
}

static bool is_of(const struct guardian_target *target, int file)
{
	return file == target->process->folder ||
	       (target->spool && file == target->spool->descriptor);
}

static bool is_ours(const struct watch *watch, int file)
{
	bool ours = file == watch->socket;

	for (size_t i = 0; i < watch->count; i++)
		ours |= is_of(watch->charges[i].target, file);
	return ours;
}

/* Nothing of the caller's stays open here, or a pipe of his would never end. */
static void close_others(const struct watch *watch)
{
	AUTO_NUMBERS struct number_list files = { 0 };

	(void)!number_list_read(&files, AT_FDCWD, "/proc/self/fd", NULL);
	for (size_t i = 0; i < files.count; i++)
		if (!is_ours(watch, files.numbers[i]))
			close(files.numbers[i]);
}

static void become_guardian(const struct watch *watch)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	signal(SIGCHLD, SIG_DFL);
	setsid();
	prctl(PR_SET_NAME, "kioku-guardian");
	close_others(watch);
}

__attribute__((noreturn)) static void guard(struct watch *watch, struct guardian_message *message)
{
	become_guardian(watch);
	message->status = work(watch, &message->error);
	char done = 1;
	if (write(watch->socket, &done, 1) == 1 && message->status == KIOKU_OK)
		hold(watch);
	let_go(watch);
	_exit(0);
}

static void init_charge(struct charge *charge, struct guardian_target *target,
			const struct watch *watch)
{
	charge->target = target;
	charge->watch = watch;
	charge->memory = -1;
	charge->errand = (struct errand){ .process = target->process, .site = &target->site };
	tracking_init(&charge->tracking);
	soft_dirty_init(&charge->soft_dirty);
	target->report->descriptor = USERFAULT_NONE;
}

static void await(pid_t pid)
{
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* The guardian was killed. All it did to targets is undone by that, but for one thing. */
static void repair(const struct watch *watch)
{
	bool has_left = false;

	for (size_t i = 0; i < watch->count; i++)
		has_left |= watch->charges[i].target->report->descriptor != USERFAULT_NONE;
	pid_t pid = has_left ? fork() : -1;
	if (pid == 0) {
		become_guardian(watch);
		for (size_t i = 0; i < watch->count; i++)
			userfault_repair(&watch->charges[i].errand,
					 watch->charges[i].target->report->descriptor);
		_exit(0);
	}
	await(pid);
}

enum kioku_status guardian_start(struct guardian *guardian, struct guardian_target *targets,
				 size_t count, const struct guardian_order *order,
				 struct kioku_error *error)
{
	AUTO_FREE struct charge *charges = calloc(count, sizeof(*charges));
	int ends[2];
	char done;

	*guardian = (struct guardian){ .socket = -1 };
	guardian->message = guardian_memory(sizeof(*guardian->message));
	if (!charges || !guardian->message)
		return error_no_memory(error);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
		return error_os(error, "cannot make a socket pair");
	struct watch watch = { charges, count, &methods[order->method], order->patience, ends[1] };
	for (size_t i = 0; i < count; i++)
		init_charge(&charges[i], &targets[i], &watch);
	guardian->pid = fork();
	if (guardian->pid == 0)
		guard(&watch, guardian->message);
	close(ends[1]);
	guardian->socket = ends[0];
	if (guardian->pid < 0) {
		guardian->pid = 0;
		return error_os(error, "cannot start a process");
	}
	TRY(socket_wait_for(guardian->socket, POLLIN, -1, &order->wait, error));
	if (read(guardian->socket, &done, 1) != 1) {
		/* The kernel has it detached from targets before it can be waited for. */
		await(guardian->pid);
		guardian->pid = 0;
		repair(&watch);
		return error_set(error, KIOKU_ERROR_STOPPED,
				 "the process that traces for this snapshot was killed");
	}
	if (error)
		*error = guardian->message->error;
	return guardian->message->status;
}

void guardian_end(struct guardian *guardian)
{
	if (guardian->socket >= 0)
		close(guardian->socket);
	guardian->socket = -1;
	await(guardian->pid);
	guardian->pid = 0;
	if (guardian->message)
		munmap(TAKE(guardian->message), sizeof(*guardian->message));
}
