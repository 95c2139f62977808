/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/process_timer.h"

#include <stdio.h>
#include <string.h>

#include "kernel/hash_chain.h"
#include "type/types.h"

/* What a process has: in its signal_struct, which its threads share. */
struct timers {
	int32_t live; /* threads that have not ended; the first may be one of those that have */
	uint64_t list, chain; /* of these only the places matter; one of both is there */
	uint64_t real_interval;
	uint64_t counting
		[4]; /* of CPU time: when, and interval; of ITIMER_PROF, of ITIMER_VIRTUAL */
};

static const struct member timers_members[] = {
	MEMBER(struct timers, live, "live"),
	OPTIONAL(struct timers, list, "posix_timers.next"),
	OPTIONAL(struct timers, chain, "posix_timers.first"), /* v6.12 */
	OPTIONAL(struct timers, real_interval, "it_real_incr"),
	OPTIONAL(struct timers, counting, "it"),
};
static const struct record timers_record = RECORD(struct timers, "signal_struct", timers_members);

struct created {
	uint64_t list, chain; /* of these only the places matter */
	uint64_t owner, interval, expires, queue, signal_queue;
	int32_t id, clock, notify, signal;
};

static const struct member created_members[] = {
	OPTIONAL(struct created, list, "list.prev"),
	OPTIONAL(struct created, chain, "list.pprev"),
	MEMBER(struct created, id, "it_id"),
	MEMBER(struct created, clock, "it_clock"),
	MEMBER(struct created, owner, "it_signal"),
	MEMBER(struct created, notify, "it_sigev_notify"),
	OPTIONAL(struct created, interval, "it_interval"),
	OPTIONAL(struct created, expires, "it.cpu.node.expires", "it.cpu.expires"),
	OPTIONAL(struct created, signal, "sigq.info.si_signo"), /* v6.13, before that elsewhere: */
	OPTIONAL(struct created, signal_queue, "sigq"),
};
static const struct record created_record = RECORD(struct created, "k_itimer", created_members);

struct signal_queue {
	int32_t signal;
};

static const struct member signal_queue_members[] = {
	MEMBER(struct signal_queue, signal, "info.si_signo"),
};
static const struct record signal_queue_record =
	RECORD(struct signal_queue, "sigqueue", signal_queue_members);

enum { NOTIFY_NONE = 1 }; /* SIGEV_NONE, include/uapi/asm-generic/siginfo.h */
enum { CLOCK_REAL_ALARM = 8, CLOCK_BOOT_ALARM = 9 }; /* include/uapi/linux/time.h */

/* What is the same for all processes. */
struct walk {
	struct kioku_kernel *kernel;
	process_timer_fn *receive;
	void *user;
	const struct binding *timers, *created;
	struct type_place real, posix, alarm; /* struct hrtimer in signal_struct and k_itimer */
	struct process_timer timer;           /* whose they are */
	uint64_t signal;                      /* struct signal_struct */
};

static void lost(const struct walk *walk, uint64_t address, enum kioku_status status)
{
	diagnose(&walk->kernel->diagnostics, KIOKU_GAP, "process %d: timer 0x%llx: %s",
		 walk->timer.pid, (unsigned long long)address, kioku_status_name(status));
}

static enum kioku_status take_signal(struct walk *walk, const struct created *created,
				     struct process_timer *out)
{
	struct signal_queue queue;

	if (created->notify & NOTIFY_NONE)
		return KIOKU_OK;
	out->signal = created->signal;
	if (!BINDING_HAS(walk->created, struct created, signal)) {
		TRY(record_read_at(walk->kernel, &signal_queue_record, created->signal_queue,
				   &queue));
		out->signal = queue.signal;
	}
	out->has_signal = true;
	return KIOKU_OK;
}

static enum kioku_status take_created(struct walk *walk, uint64_t address,
				      struct process_timer *out)
{
	struct created created;

	TRY(record_read(walk->kernel, walk->created, address, &created, NULL));
	/* The lowest bit says that it is just being made, or deleted (v6.15). */
	if ((created.owner & ~UINT64_C(1)) != walk->signal)
		return KIOKU_ERROR_CORRUPT;
	*out = walk->timer;
	out->kind = TIMER_CREATED;
	out->address = address;
	out->id = created.id;
	out->clock = created.clock;
	out->interval = created.interval;
	if (created.clock < 0)
		out->expires = created.expires;
	else if (created.clock == CLOCK_REAL_ALARM || created.clock == CLOCK_BOOT_ALARM)
		out->hrtimer = walk->alarm.size ? address + walk->alarm.offset : 0;
	else
		out->hrtimer = address + walk->posix.offset;
	return take_signal(walk, &created, out);
}

static enum kioku_status give_created(struct walk *walk, uint64_t address)
{
	struct process_timer timer;

	enum kioku_status status = take_created(walk, address, &timer);
	if (status == KIOKU_OK)
		return walk->receive(walk->user, &timer);
	lost(walk, address, status);
	return KIOKU_OK;
}

static enum kioku_status give_linked(void *user, uint64_t node)
{
	struct walk *walk = user;

	/* struct hlist_node begins with what is next, and then says who points to it. */
	return give_created(walk, node + 8 - BINDING_OFFSET(walk->created, struct created, chain));
}

static enum kioku_status walk_created(struct walk *walk)
{
	struct kioku_kernel *kernel = walk->kernel;
	const struct binding *timers = walk->timers, *created = walk->created;
	uint64_t node;

	if (BINDING_HAS(timers, struct timers, chain) &&
	    BINDING_HAS(created, struct created, chain)) {
		AUTO_HASH_WALK struct hash_walk chain = { .kernel = kernel,
							  .what = "timers of a process",
							  .receive = give_linked,
							  .user = walk };
		return hash_chain_walk(&chain,
				       walk->signal + BINDING_OFFSET(timers, struct timers, chain));
	}
	if (!BINDING_HAS(timers, struct timers, list) ||
	    !BINDING_HAS(created, struct created, list))
		return KIOKU_OK;
	AUTO_LIST_WALK struct list_walk list;
	list_begin(&list, kernel, walk->signal + BINDING_OFFSET(timers, struct timers, list),
		   "timers of a process");
	while (list_next(&list, &node))
		TRY(give_created(walk, node + 8 - BINDING_OFFSET(created, struct created, list)));
	return KIOKU_OK;
}

/* setitimer(): one of each kind. */
static enum kioku_status give_interval(struct walk *walk, const struct timers *timers)
{
	struct process_timer timer = walk->timer;

	timer.address = walk->signal;
	if (walk->real.size) {
		timer.kind = TIMER_REAL;
		timer.hrtimer = walk->signal + walk->real.offset;
		timer.interval = timers->real_interval;
		TRY(walk->receive(walk->user, &timer));
	}
	timer.hrtimer = 0;
	for (size_t i = 0; i < 2; i++) {
		timer.kind = i == 0 ? TIMER_PROFILE : TIMER_VIRTUAL;
		timer.expires = timers->counting[2 * i];
		timer.interval = timers->counting[2 * i + 1];
		if (timer.expires)
			TRY(walk->receive(walk->user, &timer));
	}
	return KIOKU_OK;
}

/* A process that has ended has no timers any more. */
static enum kioku_status give_process(void *user, const struct task *task)
{
	struct walk *walk = user;
	struct timers timers;

	if (task->exit_state && !kernel_is_pointer(walk->kernel, task->signal))
		return KIOKU_OK;
	walk->signal = task->signal;
	walk->timer = (struct process_timer){ .pid = task->tgid };
	memcpy(walk->timer.comm, task->comm, sizeof(walk->timer.comm));
	enum kioku_status status =
		record_read_at(walk->kernel, &timers_record, task->signal, &timers);
	if (status == KIOKU_OK && timers.live == 0)
		return KIOKU_OK;
	if (status != KIOKU_OK) {
		diagnose(&walk->kernel->diagnostics, KIOKU_GAP, "process %d: its timers: %s",
			 task->tgid, kioku_status_name(status));
		return KIOKU_OK;
	}
	TRY(walk_created(walk));
	return give_interval(walk, &timers);
}

static enum kioku_status begin(struct walk *walk, struct kioku_error *error)
{
	struct kioku_kernel *kernel = walk->kernel;

	TRY(record_bind(kernel, &timers_record, &walk->timers, error));
	/* A kernel may be without these, CONFIG_POSIX_TIMERS. */
	TRY(record_bind(kernel, &created_record, &walk->created, error));
	if (!types_find_place(kernel->types, "struct k_itimer", "it.real.timer", &walk->posix))
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "struct k_itimer is not as it should be");
	types_find_place(kernel->types, "struct signal_struct", "real_timer", &walk->real);
	types_find_place(kernel->types, "struct k_itimer", "it.alarm.alarmtimer.timer",
			 &walk->alarm);
	return KIOKU_OK;
}

enum kioku_status process_timer_each_of(struct kioku_kernel *kernel, const struct task *leader,
					process_timer_fn *receive, void *user,
					struct kioku_error *error)
{
	struct walk walk = { .kernel = kernel, .receive = receive, .user = user };

	TRY(begin(&walk, error));
	return give_process(&walk, leader);
}

enum kioku_status process_timer_each(struct kioku_kernel *kernel, process_timer_fn *receive,
				     void *user, struct kioku_error *error)
{
	struct walk walk = { .kernel = kernel, .receive = receive, .user = user };

	TRY(begin(&walk, error));
	return task_each_process(kernel, TASK_IDENTITY | TASK_MEMBERS, give_process, &walk, error);
}
