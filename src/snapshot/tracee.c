/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/tracee.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "base/cleanup.h"
#include "snapshot/restart.h"
#include "snapshot/wait.h"

/* Nanoseconds for which threads that could stop, but are not run, are waited for. */
static const uint64_t busy_patience = 1000000000;

enum kioku_status tracee_init(struct tracee *tracee, pid_t pid, int folder, bool has_seccomp,
			      size_t capacity, struct kioku_error *error)
{
	*tracee = (struct tracee){
		.pid = pid,
		.folder = folder,
		.options = PTRACE_O_TRACESYSGOOD | (has_seccomp ? PTRACE_O_SUSPEND_SECCOMP : 0),
		.capacity = capacity,
	};
	tracee->threads = calloc(capacity, sizeof(*tracee->threads));
	tracee->others = calloc(capacity, sizeof(*tracee->others));
	return tracee->threads && tracee->others ? KIOKU_OK : error_no_memory(error);
}

void tracee_release(struct tracee *tracee)
{
	free(TAKE(tracee->threads));
	free(TAKE(tracee->others));
	number_list_release(&tracee->tids);
	tracee->count = 0;
}

/* Threads are listed in the same order again and again: *hint is where the next one should be. */
static bool is_known(const struct tracee *tracee, pid_t tid, size_t *hint)
{
	for (size_t i = 0; i < tracee->count; i++) {
		size_t at = (*hint + i) % tracee->count;
		if (tracee->threads[at].tid == tid) {
			*hint = at + 1;
			return true;
		}
	}
	for (size_t i = 0; i < tracee->other_count; i++)
		if (tracee->others[i] == tid)
			return true;
	return false;
}

static enum kioku_status refuse(const struct tracee *tracee, pid_t tid, struct kioku_error *error)
{
	if (errno == EPERM)
		return error_set(error, KIOKU_ERROR_REFUSED,
				 "cannot attach to process %d: not permitted, or somebody traces "
				 "it already (thread %d)",
				 tracee->pid, tid);
	return error_os(error, "cannot attach to thread %d of process %d", tid, tracee->pid);
}

static bool is_zombie(const struct tracee *tracee, pid_t tid)
{
	char state = task_state_of(tracee->folder, tid);

	return state == 'Z' || state == 'X';
}

static enum kioku_status seize_one(struct tracee *tracee, pid_t tid, struct kioku_error *error)
{
	if (tracee->count + tracee->other_count == tracee->capacity)
		return error_set(error, KIOKU_ERROR_LIMIT,
				 "process %d starts threads faster than they can be stopped",
				 tracee->pid);
	if (thread_is_of_kernel(tracee->folder, tid)) {
		tracee->others[tracee->other_count++] = tid;
		return KIOKU_OK;
	}
	if (ptrace(PTRACE_SEIZE, tid, NULL, tracee->options) == 0) {
		tracee->threads[tracee->count++] = (struct tracee_thread){ .tid = tid };
		return KIOKU_OK;
	}
	/* A thread that has ended, or a first one that stays as a zombie, for which EPERM is the answer. */
	if (errno == ESRCH || (errno == EPERM && is_zombie(tracee, tid)))
		return KIOKU_OK;
	return refuse(tracee, tid, error);
}

/* Attaches to those threads that are not known yet; *found: how many these were. */
static enum kioku_status seize_new(struct tracee *tracee, size_t *found, struct kioku_error *error)
{
	const struct number_list *tids = &tracee->tids;
	size_t before = tracee->count, hint = 0;

	if (number_list_read(&tracee->tids, tracee->folder, "task", NULL) != KIOKU_OK)
		return error_set(error, KIOKU_ERROR_NOT_FOUND, "process %d has ended", tracee->pid);
	for (size_t i = 0; i < tids->count; i++)
		if ((tracee->only == 0 || tids->numbers[i] == tracee->only) &&
		    !is_known(tracee, tids->numbers[i], &hint))
			TRY(seize_one(tracee, tids->numbers[i], error));
	*found = tracee->count - before;
	return KIOKU_OK;
}

enum kioku_status tracee_seize(struct tracee *tracee, struct kioku_error *error)
{
	enum {
		ROUNDS = 4
	}; /* of a process that goes on starting threads; the stop finds the rest */
	size_t found = 1;

	for (unsigned i = 0; i < ROUNDS && found > 0; i++)
		TRY(seize_new(tracee, &found, error));
	if (tracee->count == 0)
		return error_set(error, KIOKU_ERROR_NOT_FOUND, "process %d has ended", tracee->pid);
	return KIOKU_OK;
}

static void interrupt_new(struct tracee *tracee)
{
	for (size_t i = 0; i < tracee->count; i++) {
		struct tracee_thread *thread = &tracee->threads[i];
		if (thread->was_interrupted)
			continue;
		thread->was_interrupted = true;
		ptrace(PTRACE_INTERRUPT, thread->tid, NULL, NULL);
	}
}

static void drop(struct tracee *tracee, struct tracee_thread *thread)
{
	*thread = tracee->threads[--tracee->count];
}

/*
 * Until one thread has stopped. It may have been about to take a signal, which is then given to it
 * when it goes on, and the stop that was asked for comes after that.
 */
static bool await(struct tracee *tracee, struct tracee_thread *thread, uint64_t deadline)
{
	const uint64_t limit = deadline + busy_patience;
	int status = 0;

	while (!thread->is_stopped) {
		switch (wait_for_stop(thread->tid, deadline, &status)) {
		case WAIT_STOPPED: break;
		case WAIT_LATE:
			/* One that only has no CPU stops in a moment, and does no harm before. */
			if (deadline >= limit || task_state_of(tracee->folder, thread->tid) == 'D')
				return true;
			deadline = limit;
			continue;
		case WAIT_GONE: drop(tracee, thread); return false;
		}
		if (wait_is_event_stop(status))
			thread->is_stopped = true;
		else
			ptrace(PTRACE_CONT, thread->tid, NULL,
			       status >> 16 ? 0 : status >> 8 & 0xff);
	}
	return true;
}

static void await_all(struct tracee *tracee, uint64_t deadline)
{
	for (size_t i = 0; i < tracee->count;)
		i += await(tracee, &tracee->threads[i], deadline);
}

/* As late as can be without a longer stop. Threads that are started after that have no child yet. */
static void learn_addressed(struct tracee *tracee)
{
	for (size_t i = 0; i < tracee->count; i++) {
		struct tracee_thread *thread = &tracee->threads[i];
		thread->is_addressed = task_is_addressed(tracee->folder, tracee->pid, thread->tid);
	}
}

enum kioku_status tracee_stop(struct tracee *tracee, uint64_t deadline, struct kioku_error *error)
{
	size_t found = 1;

	learn_addressed(tracee);
	tracee->stopped_at = wait_now();
	while (found > 0) {
		interrupt_new(tracee);
		await_all(tracee, deadline);
		/* Nobody who is stopped starts a thread: once there is no new one, there is none. */
		TRY(seize_new(tracee, &found, error));
	}
	if (tracee->count == 0)
		return error_set(error, KIOKU_ERROR_NOT_FOUND, "process %d has ended", tracee->pid);
	return KIOKU_OK;
}

bool tracee_is_stopped(const struct tracee *tracee)
{
	for (size_t i = 0; i < tracee->count; i++)
		if (!tracee->threads[i].is_stopped)
			return false;
	return true;
}

enum kioku_status tracee_read(struct tracee *tracee, struct thread_record *records,
			      struct kioku_error *error)
{
	for (size_t i = 0; i < tracee->count; i++) {
		struct tracee_thread *thread = &tracee->threads[i];
		thread->record = &records[i];
		thread->record->tid = thread->tid;
		thread->record->is_stopped = false;
		if (thread->is_stopped)
			TRY(thread_record_read(thread->record, error));
		else
			thread_record_guess(thread->record, tracee->folder);
	}
	return KIOKU_OK;
}

static void mend(const struct tracee_thread *thread)
{
	struct thread_record unread = { .tid = thread->tid };
	const struct thread_record *record = thread->record;
	struct user_regs_struct registers;
	struct iovec vector = { &registers, sizeof(registers) };
	uint64_t coming;

	if (thread->is_changed)
		return;
	if (!record) {
		if (thread_record_read(&unread, NULL) != KIOKU_OK)
			return;
		record = &unread;
	}
	if (thread_record_is_of_kernel(record) ||
	    !restart_mends(record, record->coming, &registers))
		return;
	/* What has come within the stop ends the call as well: asked last, and only where it matters. */
	thread_signals(thread->tid, &coming);
	if (restart_mends(record, coming, &registers))
		ptrace(PTRACE_SETREGSET, thread->tid, NT_PRSTATUS, &vector);
}

static void let_go(struct tracee *tracee, struct tracee_thread *thread)
{
	mend(thread);
	ptrace(PTRACE_DETACH, thread->tid, NULL, NULL);
	drop(tracee, thread);
}

static bool is_cut(const struct tracee_thread *thread)
{
	struct user_regs_struct general = { .orig_rax = UINT64_MAX };
	struct iovec vector = { &general, sizeof(general) };

	if (thread->record)
		return restart_is_cut(&thread->record->general);
	(void)ptrace(PTRACE_GETREGSET, thread->tid, NT_PRSTATUS, &vector);
	return restart_is_cut(&general);
}

/*
 * An ignored signal for a thread that is still traced goes to one that is not, and does harm if that is
 * in a call that is cut: those that none is meant for come last, and in such a call before them.
 */
enum turn { ADDRESSED, ADDRESSED_AND_CUT, OTHERS, TURNS };

static enum turn turn_of(const struct tracee_thread *thread)
{
	if (!thread->is_addressed)
		return OTHERS;
	return is_cut(thread) ? ADDRESSED_AND_CUT : ADDRESSED;
}

void tracee_resume(struct tracee *tracee)
{
	for (enum turn turn = ADDRESSED; turn < TURNS; turn++) {
		for (size_t i = 0; i < tracee->count;) {
			struct tracee_thread *thread = &tracee->threads[i];
			if (thread->is_stopped && turn_of(thread) == turn)
				let_go(tracee, thread);
			else
				i++;
		}
	}
	tracee->resumed_at = wait_now();
}

bool tracee_settle(struct tracee *tracee)
{
	for (size_t i = 0; i < tracee->count;) {
		struct tracee_thread *thread = &tracee->threads[i];
		/* Only one that was interrupted ever stops; the others must be asked to. */
		if (!thread->was_interrupted)
			interrupt_new(tracee);
		thread->record = NULL;
		if (!await(tracee, thread, wait_now()))
			continue;
		if (thread->is_stopped)
			let_go(tracee, thread);
		else
			i++;
	}
	return tracee->count == 0;
}
