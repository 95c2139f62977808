/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Processes and threads: struct task_struct and what hangs on it. */
#ifndef KERNEL_TASK_H
#define KERNEL_TASK_H

#include "kernel/list.h"
#include "kernel/record.h"

#define PF_KTHREAD 0x00200000 /* of task.flags: a thread of the kernel; include/linux/sched.h */
#define PID_LIMIT  4194304    /* PID_MAX_LIMIT on 64-bit machines, include/linux/threads.h */

struct task {
	uint64_t address; /* of the task_struct; not a member of it */
	int32_t pid;      /* the kernel's names: pid is the thread's, tgid the process's */
	int32_t tgid;
	uint32_t state, exit_state, flags;
	uint64_t mm, real_parent, group_leader, signal, real_cred, thread_pid;
	uint64_t tasks_next, tasks_prev;
	uint64_t start;        /* nanoseconds of boot time */
	int64_t start_seconds; /* before v3.17, with start_nanoseconds */
	int64_t start_nanoseconds;
	char comm[16];
};

extern const struct record task_record, signal_record, cred_record, pid_record;

struct signal {
	int32_t thread_count;
	uint64_t thread_head_next;
};

struct cred {
	uint32_t uid, gid, euid, egid;
	uint64_t user;
};

/* Errors: UNSUPPORTED, ABSENT, UNMAPPED. */
enum kioku_status task_read(struct kioku_kernel *kernel, uint64_t address, struct task *out,
			    struct kioku_error *error);

/* Whether this can be a task_struct at all: ids, pointers and name agree with what they must be. */
bool task_is_plausible(const struct kioku_kernel *kernel, const struct task *task);

/*
 * Facts about a task that are kept twice, so that damage to either can be told: its ids once more
 * in struct pid, its threads' list leads back to its signal_struct, a user's id is in user_struct
 * too. True also where there is nothing to compare with: a dead task has lost most of it.
 */
bool task_pid_is_right(struct kioku_kernel *kernel, const struct task *task);
bool task_tgid_is_right(struct kioku_kernel *kernel, const struct task *task);

/* Errors: CORRUPT (it contradicts what it leads to), UNSUPPORTED, ABSENT, UNMAPPED. */
enum kioku_status task_read_signal(struct kioku_kernel *kernel, const struct task *task,
				   struct signal *out);
enum kioku_status task_read_cred(struct kioku_kernel *kernel, const struct task *task,
				 struct cred *out);

/* The id of a struct user_struct. Errors: UNSUPPORTED, ABSENT, UNMAPPED. */
enum kioku_status user_read_id(struct kioku_kernel *kernel, uint64_t user, uint32_t *out);

/*
 * The process of the thread that made this one, or that took it over: its id and the address of its
 * leader. Errors: CORRUPT (it is no task), UNSUPPORTED, ABSENT, UNMAPPED.
 */
struct task_parent {
	int32_t tgid;
	uint64_t group_leader;
};
enum kioku_status task_read_parent(struct kioku_kernel *kernel, const struct task *task,
				   struct task_parent *out);

/* Not OK: the walk stops with this status. */
typedef enum kioku_status task_fn(void *user, const struct task *task);

/* What will be looked at of the tasks that a walk gives. Over a link, every part is a request. */
enum task_parts {
	TASK_IDENTITY = 1,    /* address, pid, tgid, group_leader and comm: always there */
	TASK_MEMBERS = 2,     /* all that struct task has */
	TASK_SIGNAL = 4,      /* task_read_signal() */
	TASK_CREDENTIALS = 8, /* task_read_cred() */
	TASK_PARENT = 16,     /* task_read_parent() */
	TASK_EVERYTHING = 31
};

/* Every process that init_task's list leads to; the idle task, which heads it, is not given. */
enum kioku_status task_each_process(struct kioku_kernel *kernel, unsigned parts, task_fn *receive,
				    void *user, struct kioku_error *error);

/* Every thread of a process, its leader included. */
enum kioku_status task_each_thread(struct kioku_kernel *kernel, const struct task *leader,
				   unsigned parts, task_fn *receive, void *user,
				   struct kioku_error *error);

/* The idle task of each CPU, pid 0. */
enum kioku_status task_each_idle(struct kioku_kernel *kernel, task_fn *receive, void *user,
				 struct kioku_error *error);

/* Errors: NOT_FOUND, or those of walking. */
enum kioku_status task_find(struct kioku_kernel *kernel, int32_t pid, struct task *out,
			    struct kioku_error *error);

/* The letter that ps and /proc show, '?' if the state is none. */
char task_state_letter(struct kioku_kernel *kernel, uint32_t state, uint32_t exit_state);

#endif
