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

#include "base/cleanup.h"
#include "snapshot/wait.h"

struct guardian_message {
	enum kioku_status status;
	struct kioku_error error;
};

/* A target, as the guardian has it. */
struct charge {
	struct guardian_target *target;
	struct tracee tracee;
	struct duplicate duplicate;
};

struct watch {
	struct charge *charges;
	size_t count;
	enum guardian_method method;
	uint64_t patience;
	int socket;
};

enum {
	PAGE = 4096,
	PIECE = 128 << 10,               /* bytes at once */
	SETTLE_INTERVAL = 2,             /* milliseconds */
	REAP_PATIENCE = 20 * 1000 * 1000 /* nanoseconds for one thread */
};

static const uint64_t call_limit = UINT64_C(10000000000); /* nanoseconds; a large fork takes some */

void *guardian_memory(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

/* Nobody runs before us while a target is stopped. Without the right to that, it takes longer. */
static void hurry(bool on)
{
	struct sched_param parameter = { .sched_priority = on ? 1 : 0 };

	(void)sched_setscheduler(0, on ? SCHED_FIFO : SCHED_OTHER, &parameter);
}

static uint64_t real_time(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void copy_pages(pid_t pid, const struct guardian_area *area, uint64_t offset, size_t size)
{
	for (size_t done = 0; done < size; done += PAGE)
		area->lost[(offset + done) / PAGE] = !target_read(pid, area->start + offset + done,
								  area->copy + offset + done, PAGE);
}

static void copy_areas(const struct guardian_target *target)
{
	for (size_t i = 0; i < target->area_count; i++) {
		const struct guardian_area *area = &target->areas[i];
		for (uint64_t offset = 0; offset < area->size; offset += PIECE) {
			uint64_t left = area->size - offset;
			size_t size = left < PIECE ? (size_t)left : PIECE;
			if (!target_read(target->task, area->start + offset, area->copy + offset,
					 size))
				copy_pages(target->task, area, offset, size);
		}
	}
}

static void resume(struct charge *charge)
{
	tracee_resume(&charge->tracee);
	charge->target->report->stop = charge->tracee.resumed_at - charge->tracee.stopped_at;
}

static enum kioku_status attach(struct watch *watch, struct kioku_error *error)
{
	for (size_t i = 0; i < watch->count; i++) {
		struct charge *charge = &watch->charges[i];
		const struct guardian_target *target = charge->target;
		TRY(tracee_init(&charge->tracee, target->pid, target->folder, target->has_seccomp,
				target->thread_limit, error));
		TRY(tracee_seize(&charge->tracee, error));
	}
	return KIOKU_OK;
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
		if (watch->method == GUARDIAN_DUPLICATE)
			TRY(duplicate_make(&charge->duplicate, &charge->tracee,
					   &charge->target->site, wait_now() + call_limit, error));
		report->duplicate = charge->duplicate.pid;
		report->is_framed = charge->duplicate.is_framed;
		copy_areas(charge->target);
		if (watch->method == GUARDIAN_DUPLICATE && watch->count == 1)
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

	for (size_t i = 0; watch->method == GUARDIAN_DUPLICATE && i < watch->count; i++)
		settled &= tracee_settle(&watch->charges[i].tracee);
	return settled;
}

static enum kioku_status prepare(struct watch *watch, struct kioku_error *error)
{
	TRY(attach(watch, error));
	hurry(true);
	enum kioku_status status = take(watch, error);
	if (status != KIOKU_OK || watch->method == GUARDIAN_DUPLICATE)
		resume_all(watch);
	hurry(false);
	for (size_t i = 0; status == KIOKU_OK && i < watch->count; i++)
		if (watch->charges[i].duplicate.pid != 0)
			status = duplicate_settle(&watch->charges[i].duplicate, error);
	return status;
}

/* One thread is enough to take the dead duplicate off the target's table; the others run on. */
static bool reap_with(struct charge *charge, pid_t tid)
{
	const struct guardian_target *target = charge->target;
	struct thread_record record;
	struct tracee one;

	if (tracee_init(&one, target->pid, target->folder, target->has_seccomp, 1, NULL) !=
	    KIOKU_OK)
		return false;
	one.only = tid;
	bool reaped = tracee_seize(&one, NULL) == KIOKU_OK;
	hurry(true);
	reaped = reaped && tracee_stop(&one, wait_now() + REAP_PATIENCE, NULL) == KIOKU_OK &&
		 tracee_read(&one, &record, NULL) == KIOKU_OK &&
		 duplicate_reap(&charge->duplicate, &one, &target->site, wait_now() + call_limit,
				NULL) == KIOKU_OK;
	tracee_resume(&one);
	hurry(false);
	if (reaped)
		target->report->reap = one.resumed_at - one.stopped_at;
	/* One that does not stop stays attached until we end, which lets it go. */
	(void)tracee_settle(&one);
	tracee_release(&one);
	return reaped;
}

static void reap(struct charge *charge)
{
	const struct guardian_report *report = charge->target->report;
	bool reaped = false;

	if (charge->duplicate.inner_pid == 0)
		return;
	/* The thread that made it first, then whoever is there. */
	pid_t maker = charge->duplicate.injection.record->tid;
	reaped = reap_with(charge, maker);
	for (size_t i = 0; !reaped && i < report->thread_count; i++)
		if (charge->target->records[i].tid != maker)
			reaped = reap_with(charge, charge->target->records[i].tid);
}

static void let_go(struct watch *watch)
{
	for (size_t i = 0; i < watch->count; i++)
		duplicate_kill(&watch->charges[i].duplicate);
	resume_all(watch);
	/* Threads that have not stopped by now are let go by the kernel, when we end. */
	(void)settle_all(watch);
	for (size_t i = 0; i < watch->count; i++) {
		reap(&watch->charges[i]);
		tracee_release(&watch->charges[i].tracee);
	}
}

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

static bool is_ours(const struct watch *watch, int file)
{
	bool ours = file == watch->socket;

	for (size_t i = 0; i < watch->count; i++)
		ours |= file == watch->charges[i].target->folder;
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

__attribute__((noreturn)) static void guard(struct watch *watch, struct guardian_message *message)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	signal(SIGCHLD, SIG_DFL);
	setsid();
	prctl(PR_SET_NAME, "kioku-guardian");
	close_others(watch);
	message->status = prepare(watch, &message->error);
	char done = 1;
	if (write(watch->socket, &done, 1) == 1 && message->status == KIOKU_OK)
		hold(watch);
	let_go(watch);
	_exit(0);
}

enum kioku_status guardian_start(struct guardian *guardian, struct guardian_target *targets,
				 size_t count, enum guardian_method method, uint64_t patience,
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
	for (size_t i = 0; i < count; i++)
		charges[i].target = &targets[i];
	struct watch watch = { charges, count, method, patience, ends[1] };
	guardian->pid = fork();
	if (guardian->pid == 0)
		guard(&watch, guardian->message);
	close(ends[1]);
	guardian->socket = ends[0];
	if (guardian->pid < 0) {
		guardian->pid = 0;
		return error_os(error, "cannot start a process");
	}
	ssize_t got;
	while ((got = read(guardian->socket, &done, 1)) < 0 && errno == EINTR)
		;
	if (got != 1)
		return error_set(error, KIOKU_ERROR_STOPPED,
				 "the process that traces for this snapshot was killed");
	if (error)
		*error = guardian->message->error;
	return guardian->message->status;
}

void guardian_end(struct guardian *guardian)
{
	if (guardian->socket >= 0)
		close(guardian->socket);
	guardian->socket = -1;
	if (guardian->pid > 0)
		while (waitpid(guardian->pid, NULL, 0) < 0 && errno == EINTR)
			;
	guardian->pid = 0;
	if (guardian->message)
		munmap(TAKE(guardian->message), sizeof(*guardian->message));
}
