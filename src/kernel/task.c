/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>

#include "kernel/percpu.h"
#include "kernel/task.h"

static const struct member task_members[] = {
	MEMBER(struct task, pid, "pid"),
	MEMBER(struct task, tgid, "tgid"),
	MEMBER(struct task, state, "__state", "state"), /* renamed by 2f064a59a11f, v5.14 */
	MEMBER(struct task, exit_state, "exit_state"),
	MEMBER(struct task, flags, "flags"),
	MEMBER(struct task, mm, "mm"),
	MEMBER(struct task, real_parent, "real_parent"),
	MEMBER(struct task, group_leader, "group_leader"),
	MEMBER(struct task, signal, "signal"),
	MEMBER(struct task, real_cred, "real_cred"),
	MEMBER(struct task, tasks_next, "tasks.next"),
	MEMBER(struct task, tasks_prev, "tasks.prev"),
	MEMBER(struct task, comm, "comm"),
	OPTIONAL(struct task, thread_pid, "thread_pid"), /* since v4.19 */
	/* Renamed in v5.5; before v3.17 a struct timespec. */
	OPTIONAL(struct task, start, "start_boottime", "real_start_time"),
	OPTIONAL(struct task, start_seconds, "real_start_time.tv_sec"),
	OPTIONAL(struct task, start_nanoseconds, "real_start_time.tv_nsec"),
};
const struct record task_record = RECORD(struct task, "task_struct", task_members);

/* What tells one task from another, its name and its place in the list; and what tells a parent. */
static const struct member brief_members[] = {
	MEMBER(struct task, pid, "pid"),
	MEMBER(struct task, tgid, "tgid"),
	MEMBER(struct task, exit_state, "exit_state"),
	OPTIONAL(struct task, thread_pid, "thread_pid"),
	MEMBER(struct task, group_leader, "group_leader"),
	MEMBER(struct task, tasks_next, "tasks.next"),
	MEMBER(struct task, tasks_prev, "tasks.prev"),
	MEMBER(struct task, comm, "comm"),
};
static const struct record brief_record = RECORD(struct task, "task_struct", brief_members);

static const struct member parent_members[] = {
	MEMBER(struct task, pid, "pid"),
	MEMBER(struct task, tgid, "tgid"),
	MEMBER(struct task, group_leader, "group_leader"),
};
static const struct record parent_record = RECORD(struct task, "task_struct", parent_members);

/* Lists of threads: since v3.14 signal->thread_head, before only a ring through the tasks. */
struct thread_links {
	uint64_t node_next, group_next;
};

static const struct member thread_members[] = {
	OPTIONAL(struct thread_links, node_next, "thread_node.next"),
	OPTIONAL(struct thread_links, group_next, "thread_group.next"),
};
static const struct record thread_record =
	RECORD(struct thread_links, "task_struct", thread_members);

/* EXIT_DEAD, include/linux/sched.h, v3.14 to v7.0. */
static const uint32_t exit_dead = 0x10;

static const struct member signal_members[] = {
	MEMBER(struct signal, thread_count, "nr_threads"),
	OPTIONAL(struct signal, thread_head_next, "thread_head.next"),
};
const struct record signal_record = RECORD(struct signal, "signal_struct", signal_members);

static const struct member cred_members[] = {
	MEMBER(struct cred, uid, "uid"),     MEMBER(struct cred, gid, "gid"),
	MEMBER(struct cred, euid, "euid"),   MEMBER(struct cred, egid, "egid"),
	OPTIONAL(struct cred, user, "user"),
};
const struct record cred_record = RECORD(struct cred, "cred", cred_members);

struct user {
	uint32_t uid;
};

static const struct member user_members[] = { MEMBER(struct user, uid, "uid") };
static const struct record user_record = RECORD(struct user, "user_struct", user_members);

/* Just what leads from a thread to its process, for a task that is not looked at otherwise. */
struct membership {
	uint64_t signal, thread_pid;
};

static const struct member membership_members[] = {
	MEMBER(struct membership, signal, "signal"),
	OPTIONAL(struct membership, thread_pid, "thread_pid"),
};
static const struct record membership_record =
	RECORD(struct membership, "task_struct", membership_members);

struct pid_head {
	uint32_t level;
	uint8_t numbers[8]; /* of which only the place matters */
};

static const struct member pid_members[] = {
	MEMBER(struct pid_head, level, "level"),
	MEMBER(struct pid_head, numbers, "numbers"),
};
const struct record pid_record = RECORD(struct pid_head, "pid", pid_members);

enum kioku_status task_read(struct kioku_kernel *kernel, uint64_t address, struct task *out,
			    struct kioku_error *error)
{
	const struct binding *binding;

	TRY(record_bind(kernel, &task_record, &binding, error));
	TRY(record_read(kernel, binding, address, out, error));
	out->address = address;
	if (!BINDING_HAS(binding, struct task, start) &&
	    BINDING_HAS(binding, struct task, start_nanoseconds))
		out->start = (uint64_t)out->start_seconds * 1000000000ull +
			     (uint64_t)out->start_nanoseconds;
	return KIOKU_OK;
}

bool task_is_plausible(const struct kioku_kernel *kernel, const struct task *task)
{
	return task->pid >= 0 && task->pid <= PID_LIMIT && task->tgid >= 0 &&
	       task->tgid <= PID_LIMIT && memchr(task->comm, 0, sizeof(task->comm)) &&
	       kernel_is_pointer(kernel, task->real_parent) &&
	       kernel_is_pointer(kernel, task->group_leader) &&
	       kernel_is_pointer(kernel, task->real_cred) &&
	       (task->signal == 0 || kernel_is_pointer(kernel, task->signal)) &&
	       (task->mm == 0 || kernel_is_pointer(kernel, task->mm)) && task->exit_state < 0x1000;
}

/*
 * Whether a struct pid has a number in the initial namespace, as far as it can be asked: what is
 * not in the image contradicts nothing, but a pointer to nowhere does.
 */
static bool pid_has_number(struct kioku_kernel *kernel, uint64_t pid, int32_t number)
{
	const struct binding *binding;
	uint8_t raw[4];

	if (record_bind(kernel, &pid_record, &binding, NULL) != KIOKU_OK)
		return true;
	/* struct upid starts with nr (include/linux/pid.h, v3.10 to v7.0). */
	uint64_t address = pid + BINDING_OFFSET(binding, struct pid_head, numbers);
	enum kioku_status status = kernel_read(kernel, address, raw, sizeof(raw), NULL);
	return status == KIOKU_OK ? (int32_t)load_le32(raw) == number
				  : status == KIOKU_ERROR_ABSENT;
}

static bool has_thread_pid(struct kioku_kernel *kernel)
{
	const struct binding *binding;

	return record_bind(kernel, &task_record, &binding, NULL) == KIOKU_OK &&
	       BINDING_HAS(binding, struct task, thread_pid);
}

/*
 * A leader says its id twice, and points at itself. Over a link that will do: struct pid would be one
 * more request for every task.
 */
static bool is_sure_leader(const struct kioku_kernel *kernel, const struct task *task)
{
	return source_is_remote(kernel->source) && task->pid == task->tgid && task->pid > 0 &&
	       task->group_leader == task->address;
}

bool task_pid_is_right(struct kioku_kernel *kernel, const struct task *task)
{
	if (task->pid < 0 || task->pid > PID_LIMIT)
		return false;
	if (is_sure_leader(kernel, task))
		return true;
	/* Idle tasks share one struct pid; a task that has been waited for has none. */
	if ((task->pid == 0 && task->tgid == 0) || !has_thread_pid(kernel) ||
	    (task->exit_state && !task->thread_pid))
		return true;
	return pid_has_number(kernel, task->thread_pid, task->pid);
}

bool task_tgid_is_right(struct kioku_kernel *kernel, const struct task *task)
{
	const struct binding *binding;
	struct membership leader;

	if (task->tgid < 0 || task->tgid > PID_LIMIT)
		return false;
	if (is_sure_leader(kernel, task))
		return true;
	if ((task->pid == 0 && task->tgid == 0) || !has_thread_pid(kernel) ||
	    (task->exit_state && !task->thread_pid))
		return true;
	if (task->group_leader == task->address)
		return pid_has_number(kernel, task->thread_pid, task->tgid);
	if (record_bind(kernel, &membership_record, &binding, NULL) != KIOKU_OK)
		return true;
	enum kioku_status status = record_read(kernel, binding, task->group_leader, &leader, NULL);
	return status == KIOKU_OK ? pid_has_number(kernel, leader.thread_pid, task->tgid)
				  : status == KIOKU_ERROR_ABSENT;
}

enum kioku_status task_read_signal(struct kioku_kernel *kernel, const struct task *task,
				   struct signal *out)
{
	const struct binding *signal, *links, *membership;
	struct membership first;

	TRY(record_bind(kernel, &signal_record, &signal, NULL));
	TRY(record_read(kernel, signal, task->signal, out, NULL));
	/* Nobody is uncounted before he is EXIT_DEAD (kernel/exit.c, release_task(), v3.14 to v7.0). */
	if (out->thread_count < 0 || out->thread_count > PID_LIMIT ||
	    (out->thread_count == 0 && !(task->exit_state & exit_dead)))
		return KIOKU_ERROR_CORRUPT;

	TRY(record_bind(kernel, &thread_record, &links, NULL));
	TRY(record_bind(kernel, &membership_record, &membership, NULL));
	uint64_t head = task->signal + BINDING_OFFSET(signal, struct signal, thread_head_next);
	if (!BINDING_HAS(signal, struct signal, thread_head_next) ||
	    !BINDING_HAS(links, struct thread_links, node_next) || out->thread_head_next == head)
		return KIOKU_OK;
	uint64_t thread =
		out->thread_head_next - BINDING_OFFSET(links, struct thread_links, node_next);
	if (thread == task->address)
		return KIOKU_OK;
	enum kioku_status status = record_read(kernel, membership, thread, &first, NULL);
	if (status == KIOKU_OK && first.signal != task->signal)
		return KIOKU_ERROR_CORRUPT;
	return status == KIOKU_ERROR_ABSENT ? KIOKU_OK : status;
}

enum kioku_status user_read_id(struct kioku_kernel *kernel, uint64_t address, uint32_t *out)
{
	struct user user;

	TRY(record_read_at(kernel, &user_record, address, &user));
	*out = user.uid;
	return KIOKU_OK;
}

enum kioku_status task_read_cred(struct kioku_kernel *kernel, const struct task *task,
				 struct cred *out)
{
	const struct binding *cred;
	uint32_t uid;

	TRY(record_bind(kernel, &cred_record, &cred, NULL));
	TRY(record_read(kernel, cred, task->real_cred, out, NULL));
	/* kernel/cred.c and kernel/sys.c, set_user(): the user is always the real uid's. */
	if (!BINDING_HAS(cred, struct cred, user))
		return KIOKU_OK;
	enum kioku_status status = user_read_id(kernel, out->user, &uid);
	if (status == KIOKU_OK && uid != out->uid)
		return KIOKU_ERROR_CORRUPT;
	return status == KIOKU_ERROR_ABSENT || status == KIOKU_ERROR_UNSUPPORTED ? KIOKU_OK
										 : status;
}

enum kioku_status task_read_parent(struct kioku_kernel *kernel, const struct task *task,
				   struct task_parent *out)
{
	const struct binding *binding;
	struct task parent;

	if (source_is_remote(kernel->source)) {
		TRY(record_bind(kernel, &parent_record, &binding, NULL));
		TRY(record_read(kernel, binding, task->real_parent, &parent, NULL));
		parent.address = task->real_parent;
		bool is_leader = parent.group_leader == parent.address;
		if (parent.pid < 0 || parent.pid > PID_LIMIT || parent.tgid < 0 ||
		    parent.tgid > PID_LIMIT || (parent.pid == parent.tgid) != is_leader ||
		    !kernel_is_pointer(kernel, parent.group_leader))
			return KIOKU_ERROR_CORRUPT;
	} else {
		TRY(task_read(kernel, task->real_parent, &parent, NULL));
		if (!task_is_plausible(kernel, &parent) || !task_pid_is_right(kernel, &parent) ||
		    !task_tgid_is_right(kernel, &parent))
			return KIOKU_ERROR_CORRUPT;
	}
	*out = (struct task_parent){ parent.tgid, parent.group_leader };
	return KIOKU_OK;
}

/* Whether nothing that is kept twice agrees: something else is here now, or was until a reboot. */
static bool is_overwritten(struct kioku_kernel *kernel, const struct task *task)
{
	struct cred cred;
	struct signal signal;
	/* Numbers of idle tasks, which are in no list: bytes that are all zero have them, too. */
	bool is_numbered = task->pid != 0 || task->tgid != 0;

	return !(is_numbered &&
		 (task_pid_is_right(kernel, task) || task_tgid_is_right(kernel, task))) &&
	       task_read_cred(kernel, task, &cred) != KIOKU_OK &&
	       task_read_signal(kernel, task, &signal) != KIOKU_OK;
}

struct walk {
	struct kioku_kernel *kernel;
	unsigned parts; /* enum task_parts */
	task_fn *receive;
	void *user;
	uint64_t offset;  /* of the list's node in a task */
	bool has_pending; /* a task that was read, and may yet turn out to have left the list */
	struct task pending;
};

/* --- what a walk over a link asks for */

/* Spans of a record at an address, behind those that are there. */
static size_t add_spans(struct kioku_kernel *kernel, const struct record *record, uint64_t address,
			struct span *spans, size_t count)
{
	const struct binding *binding;

	if (!kernel_is_pointer(kernel, address) ||
	    record_bind(kernel, record, &binding, NULL) != KIOKU_OK)
		return count;
	return count + record_spans(binding, address, spans + count, PREFETCH_LIMIT - count);
}

static void fetch_task(struct kioku_kernel *kernel, void *user, uint64_t node)
{
	const struct walk *walk = user;
	const struct record *record = walk->parts == TASK_IDENTITY ? &brief_record : &task_record;
	struct span spans[PREFETCH_LIMIT];

	kernel_prefetch(kernel, spans, add_spans(kernel, record, node - walk->offset, spans, 0));
}

/* What it leads to, all at once. */
static void fetch_more(const struct walk *walk, const struct task *task)
{
	struct span spans[PREFETCH_LIMIT];
	size_t count = 0;

	if (walk->parts & TASK_SIGNAL)
		count = add_spans(walk->kernel, &signal_record, task->signal, spans, count);
	if (walk->parts & TASK_CREDENTIALS)
		count = add_spans(walk->kernel, &cred_record, task->real_cred, spans, count);
	if (walk->parts & TASK_PARENT)
		count = add_spans(walk->kernel, &parent_record, task->real_parent, spans, count);
	if (count > 0)
		kernel_prefetch(walk->kernel, spans, count);
}

/* The first two processes never end: whatever is read of them as somebody's parent stays true. */
static void keep_parent(struct kioku_kernel *kernel, const struct task *task)
{
	const struct binding *binding;
	uint64_t physical, contiguous;
	struct span spans[PREFETCH_LIMIT];

	if (task->pid < 1 || task->pid > 2 || !source_is_remote(kernel->source) ||
	    record_bind(kernel, &parent_record, &binding, NULL) != KIOKU_OK)
		return;
	size_t count = record_spans(binding, task->address, spans, PREFETCH_LIMIT);
	for (size_t i = 0; i < count; i++)
		if (address_space_locate(&kernel->space, spans[i].start, &physical, &contiguous,
					 NULL) == KIOKU_OK)
			source_keep(kernel->source, physical, spans[i].size);
}

static uint64_t identity_of_task(struct kioku_kernel *kernel, void *user, uint64_t node)
{
	const struct walk *walk = user;
	const struct binding *binding;
	struct task task;

	if (record_bind(kernel, &parent_record, &binding, NULL) != KIOKU_OK ||
	    record_read(kernel, binding, node - walk->offset, &task, NULL) != KIOKU_OK)
		return 0;
	return (uint32_t)task.pid;
}

/* --- walking */

/* Only what is wanted, unless that contradicts itself: then all of it is needed to tell what it is. */
static enum kioku_status read_for_walk(const struct walk *walk, const struct list_walk *list,
				       uint64_t address, struct task *out,
				       struct kioku_error *error)
{
	const struct binding *binding;

	if (walk->parts != TASK_IDENTITY || list->doubtful)
		return task_read(walk->kernel, address, out, error);
	TRY(record_bind(walk->kernel, &brief_record, &binding, error));
	TRY(record_read(walk->kernel, binding, address, out, error));
	out->address = address;
	return is_overwritten(walk->kernel, out) ? task_read(walk->kernel, address, out, error)
						 : KIOKU_OK;
}

/* Takes the task around a list node; a node that is no task ends the branch. */
static void take_node(struct walk *walk, struct list_walk *list, uint64_t node)
{
	struct task *task = &walk->pending;
	struct kioku_error error;

	walk->has_pending = false;
	if (read_for_walk(walk, list, node - walk->offset, task, &error) != KIOKU_OK) {
		list_reject(list, error.message);
	} else if (list->doubtful && !task_is_plausible(walk->kernel, task)) {
		list_reject(list, "not a task");
	} else if (is_overwritten(walk->kernel, task)) {
		diagnose(&walk->kernel->diagnostics, KIOKU_GAP,
			 "%s: the task at 0x%llx contradicts all that it leads to", list->what,
			 (unsigned long long)task->address);
	} else {
		keep_parent(walk->kernel, task);
		fetch_more(walk, task);
		walk->has_pending = true;
	}
}

/*
 * A task of a machine that runs is given only once the next one points back at it: as long as it is in
 * the list, nothing that it leads to has been freed.
 */
static enum kioku_status walk_tasks(struct walk *walk, uint64_t head, uint64_t offset,
				    const char *what)
{
	const struct list_nodes nodes = { fetch_task, identity_of_task, walk };
	AUTO_LIST_WALK struct list_walk list;
	uint64_t node;

	walk->offset = offset;
	list_begin(&list, walk->kernel, head, what);
	if (source_is_remote(walk->kernel->source) || kioku_source_is_live(walk->kernel->source))
		list_watch(&list, &nodes);
	for (bool more = true; more;) {
		more = list_next(&list, &node);
		if (walk->has_pending && !list.has_left)
			TRY(walk->receive(walk->user, &walk->pending));
		walk->has_pending = false;
		source_age(walk->kernel->source);
		if (more)
			take_node(walk, &list, node);
	}
	return KIOKU_OK;
}

enum kioku_status task_each_process(struct kioku_kernel *kernel, unsigned parts, task_fn *receive,
				    void *user, struct kioku_error *error)
{
	const struct binding *binding;
	struct walk walk = { .kernel = kernel, .parts = parts, .receive = receive, .user = user };

	if (!kernel->init_task)
		return error_set(error, KIOKU_ERROR_NOT_FOUND, "init_task was not found");
	TRY(record_bind(kernel, &task_record, &binding, error));
	uint64_t offset = BINDING_OFFSET(binding, struct task, tasks_next);
	return walk_tasks(&walk, kernel->init_task + offset, offset, "task list");
}

/* Counts what a walk gives, and whether the leader is among it. */
struct thread_count {
	task_fn *receive;
	void *user;
	uint64_t leader;
	int32_t count;
	bool has_leader;
};

static enum kioku_status count_thread(void *user, const struct task *task)
{
	struct thread_count *threads = user;

	threads->count++;
	threads->has_leader |= task->address == threads->leader;
	return threads->receive(threads->user, task);
}

static enum kioku_status walk_threads(struct walk *walk, const struct task *leader,
				      const char *what, struct kioku_error *error)
{
	const struct binding *links, *signal;

	TRY(record_bind(walk->kernel, &thread_record, &links, error));
	TRY(record_bind(walk->kernel, &signal_record, &signal, error));
	if (leader->signal && BINDING_HAS(links, struct thread_links, node_next) &&
	    BINDING_HAS(signal, struct signal, thread_head_next))
		return walk_tasks(walk,
				  leader->signal +
					  BINDING_OFFSET(signal, struct signal, thread_head_next),
				  BINDING_OFFSET(links, struct thread_links, node_next), what);

	TRY(walk->receive(walk->user, leader));
	if (!BINDING_HAS(links, struct thread_links, group_next))
		return KIOKU_OK;
	uint64_t offset = BINDING_OFFSET(links, struct thread_links, group_next);
	return walk_tasks(walk, leader->address + offset, offset, what);
}

enum kioku_status task_each_thread(struct kioku_kernel *kernel, const struct task *leader,
				   unsigned parts, task_fn *receive, void *user,
				   struct kioku_error *error)
{
	struct thread_count threads = { receive, user, leader->address, 0, false };
	struct walk walk = {
		.kernel = kernel, .parts = parts, .receive = count_thread, .user = &threads
	};
	struct signal signal;
	char what[64];

	snprintf(what, sizeof(what), "threads of process %d", leader->tgid);
	TRY(walk_threads(&walk, leader, what, error));
	/* Whatever happened to the list, the leader itself is known. */
	if (!threads.has_leader)
		TRY(count_thread(&threads, leader));
	if (task_read_signal(kernel, leader, &signal) != KIOKU_OK ||
	    signal.thread_count != threads.count)
		diagnose(&kernel->diagnostics, KIOKU_GAP,
			 "%s: %d found, which its count of them "
			 "does not confirm",
			 what, threads.count);
	return KIOKU_OK;
}

struct run_queue {
	uint64_t idle;
};

static const struct member run_queue_members[] = { MEMBER(struct run_queue, idle, "idle") };
static const struct record run_queue_record = RECORD(struct run_queue, "rq", run_queue_members);

enum kioku_status task_each_idle(struct kioku_kernel *kernel, task_fn *receive, void *user,
				 struct kioku_error *error)
{
	const struct binding *binding;
	struct task task;

	TRY(task_read(kernel, kernel->init_task, &task, error));
	TRY(receive(user, &task));
	TRY(record_bind(kernel, &run_queue_record, &binding, error));
	for (uint32_t cpu = 1; cpu < percpu_count(kernel); cpu++) {
		struct run_queue queue;
		uint64_t address;
		/* Numbers of CPUs that do not exist have nothing behind them. */
		if (percpu_address(kernel, "runqueues", cpu, &address, NULL) != KIOKU_OK ||
		    record_read(kernel, binding, address, &queue, NULL) != KIOKU_OK ||
		    !kernel_is_pointer(kernel, queue.idle))
			continue;
		if (task_read(kernel, queue.idle, &task, NULL) != KIOKU_OK ||
		    !task_is_plausible(kernel, &task) || task.pid != 0)
			diagnose(&kernel->diagnostics, KIOKU_GAP,
				 "the idle task of CPU %u is damaged", cpu);
		else
			TRY(receive(user, &task));
	}
	return KIOKU_OK;
}

struct search {
	int32_t pid;
	struct task *out;
	bool found;
};

static enum kioku_status match_pid(void *user, const struct task *task)
{
	struct search *search = user;

	if (task->tgid != search->pid)
		return KIOKU_OK;
	*search->out = *task;
	search->found = true;
	return KIOKU_ERROR_STOPPED;
}

enum kioku_status task_find(struct kioku_kernel *kernel, int32_t pid, struct task *out,
			    struct kioku_error *error)
{
	struct search search = { .pid = pid, .out = out };

	enum kioku_status status =
		task_each_process(kernel, TASK_IDENTITY | TASK_MEMBERS, match_pid, &search, error);
	if (search.found)
		return KIOKU_OK;
	if (status != KIOKU_OK)
		return status;
	return error_set(error, KIOKU_ERROR_NOT_FOUND, "there is no process %d", pid);
}

/*
 * The kernel's own table says which bit is which state: they moved in v4.14. Entry 0 is running,
 * entry i stands for bit i - 1 (fs/proc/array.c). Idle ("I") is a combination, its entry the last.
 */
static void read_state_letters(struct kioku_kernel *kernel, char *letters)
{
	uint64_t table = kernel_symbol(kernel, "task_state_array");
	const struct span whole = { table, 8 * STATE_LETTERS };
	size_t count = 0;

	kernel_prefetch(kernel, &whole, 1);
	for (; table && count < STATE_LETTERS; count++) {
		uint64_t string;
		char text[3];
		if (address_read_u64(&kernel->space, table + 8 * count, &string, NULL) !=
			    KIOKU_OK ||
		    !image_contains(&kernel->image, string))
			break;
		/* They lie one behind the other. */
		if (count == 0)
			kernel_prefetch(kernel, &(struct span){ string, 256 }, 1);
		if (kernel_read(kernel, string, text, sizeof(text), NULL) != KIOKU_OK ||
		    text[1] != ' ' || text[2] != '(')
			break;
		if (text[0] == 'x') /* older tables go on with bits that /proc does not report */
			break;
		letters[count] = text[0];
	}
	if (count < 6 || letters[0] != 'R')
		memcpy(letters, "RSDTtXZPI", sizeof("RSDTtXZPI")); /* v4.14 to v7.0 */
}

char task_state_letter(struct kioku_kernel *kernel, uint32_t state, uint32_t exit_state)
{
	/* TASK_UNINTERRUPTIBLE | TASK_NOLOAD, include/linux/sched.h, v4.2 to v7.0. */
	const uint32_t idle = 0x402;

	if (!kernel->state_letters[0])
		read_state_letters(kernel, kernel->state_letters);
	const char *letters = kernel->state_letters;
	size_t count = strnlen(letters, STATE_LETTERS);
	bool has_idle = count > 0 && letters[count - 1] == 'I';
	if (has_idle && (state & idle) == idle && !exit_state)
		return 'I';

	uint32_t reported = (1u << (count - 1 - has_idle)) - 1;
	uint32_t bits = (state | exit_state) & reported;
	return bits ? letters[32 - __builtin_clz(bits)] : letters[0];
}
