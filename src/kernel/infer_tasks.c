/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which tasks there are, and whose threads: lists, ids and families in struct task_struct. */
#include <stdlib.h>
#include <string.h>

#include "base/address_set.h"
#include "base/growing.h"
#include "kernel/infer.h"
#include "kernel/task.h"

enum {
	TASK_LIMIT = 16384, /* bytes; a task_struct is smaller in every configuration */
	COMM_SIZE = 16,     /* TASK_COMM_LEN */
	TASKS_LIMIT = 1 << 22,
	HEAD_LIMIT = 256, /* thread_head is among the first members of a signal_struct */
	FEW = 16,         /* columns that are looked at further */
	NEXT = 0,         /* in a struct list_head */
	PREVIOUS = 8,
};

/* --- rings */

static bool is_printable(const uint8_t *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (text[i] < ' ' || text[i] == 0x7f)
			return false;
	return true;
}

/* Lists through tasks: where the node is in a task, and something that is a name in each. */
struct ring {
	struct inference *inference;
	size_t node, comm;
};

struct addresses {
	uint64_t *list;
	size_t count, capacity;
};

static void addresses_release(struct addresses *addresses)
{
	free(addresses->list);
}
#define AUTO_ADDRESSES CLEANUP(addresses_release)

static bool addresses_add(struct addresses *addresses, uint64_t address)
{
	if (!GROW(addresses->list, addresses->count, addresses->capacity))
		return false;
	addresses->list[addresses->count++] = address;
	return true;
}

/*
 * Whether what is in a ring are tasks: each has a name that ends, and all but a few hostile ones one that can be
 * printed.
 */
static bool have_names(const struct ring *ring, const struct addresses *tasks)
{
	uint8_t name[COMM_SIZE];
	size_t printable = 0;

	for (size_t i = 0; i < tasks->count; i++) {
		if (kernel_read(ring->inference->kernel, tasks->list[i] + ring->comm, name,
				sizeof(name), NULL) != KIOKU_OK)
			return false;
		size_t size = strnlen((const char *)name, sizeof(name));
		if (size == sizeof(name))
			return false;
		printable += size > 0 && is_printable(name, size);
	}
	return printable * 10 >= tasks->count * 9;
}

/* From a task on along links that lead back, to one side; true: all the way round. */
static bool follow_links(const struct ring *ring, uint64_t first, uint64_t head, size_t forth,
			 struct addresses *out)
{
	const size_t back = PREVIOUS - forth;
	uint64_t start = first + ring->node, node = start, next, origin;

	for (size_t i = 0; i < TASKS_LIMIT; i++) {
		if (!infer_read(ring->inference, node + forth, &next) ||
		    !infer_read(ring->inference, next + back, &origin) || origin != node)
			return false;
		if (next == start)
			return true;
		node = next;
		if (node != head && !addresses_add(out, node - ring->node))
			return false;
	}
	return false;
}

/*
 * All of a ring but the task that it is entered by, and its head. False: it is broken, and what can be reached
 * from both ends is there.
 */
static bool walk_ring(const struct ring *ring, uint64_t first, uint64_t head, struct addresses *out)
{
	if (follow_links(ring, first, head, NEXT, out))
		return true;
	size_t low = out->count;
	(void)follow_links(ring, first, head, PREVIOUS, out);
	/* In the order of the ring. */
	for (size_t high = out->count; low + 1 < high; low++) {
		uint64_t kept = out->list[--high];
		out->list[high] = out->list[low];
		out->list[low] = kept;
	}
	return false;
}

/* Whether init_task is in such a ring of tasks, with what is in it; a broken one must have many to be believed. */
static bool is_ring(const struct ring *ring, struct addresses *out, bool *is_whole)
{
	const size_t enough = 2, enough_of_broken = 8;
	AUTO_ADDRESSES struct addresses found = { 0 };

	*is_whole = walk_ring(ring, ring->inference->kernel->init_task, 0, &found);
	if (found.count < (*is_whole ? enough : enough_of_broken) || !have_names(ring, &found))
		return false;
	free(out->list);
	*out = found;
	found = (struct addresses){ 0 };
	return true;
}

/* The only ring through init_task in which everything has a name; a broken one where there is no whole one. */
static bool find_ring(struct inference *inference, size_t room, struct ring *out,
		      struct addresses *tasks)
{
	struct kioku_kernel *kernel = inference->kernel;
	uint8_t memory[TASK_LIMIT];
	size_t whole = 0, broken = 0;

	if (kernel_read(kernel, kernel->init_task, memory, room, NULL) != KIOKU_OK)
		return false;
	const uint8_t *name = memory;
	while ((name = memmem(name, room - (size_t)(name - memory), "swapper", 7))) {
		struct ring ring = { inference, 0, (size_t)(name - memory) };
		name++;
		for (; ring.node + 16 <= room; ring.node += 8) {
			AUTO_ADDRESSES struct addresses found = { 0 };
			uint64_t next = load_le64(memory + ring.node);
			bool is_whole;
			if (next == kernel->init_task + ring.node ||
			    !is_ring(&ring, &found, &is_whole) || (!is_whole && whole > 0))
				continue;
			size_t *count = is_whole ? &whole : &broken;
			if ((*count)++ > 0)
				continue;
			free(tasks->list);
			*tasks = found;
			found = (struct addresses){ 0 };
			*out = ring;
		}
	}
	inference->is_list_broken = whole == 0;
	return whole == 1 || (whole == 0 && broken == 1);
}

/* --- rows */

static int compare_addresses(const void *one, const void *other)
{
	const uint64_t *a = one, *b = other;

	return (*a > *b) - (*a < *b);
}

/* Bytes of a task that are surely its own: not more than lie between any two of them. */
static bool room_between(const struct addresses *tasks, size_t *room)
{
	AUTO_FREE uint64_t *sorted = calloc(tasks->count, sizeof(*sorted));

	if (!sorted)
		return false;
	memcpy(sorted, tasks->list, tasks->count * sizeof(*sorted));
	qsort(sorted, tasks->count, sizeof(*sorted), compare_addresses);
	for (size_t i = 1; i < tasks->count; i++)
		if (sorted[i] - sorted[i - 1] < *room)
			*room = (sorted[i] - sorted[i - 1]) & ~(size_t)7;
	return true;
}

/* More rows than these prove nothing more: of many, every so many-th is one. */
enum { ROWS_LIMIT = 4096 };

static bool take_rows(struct inference *inference, const struct addresses *tasks,
		      const struct addresses *leaders)
{
	size_t step = tasks->count / ROWS_LIMIT + 1;

	for (size_t i = 0; i < tasks->count; i++)
		if (address_set_add(&inference->known, tasks->list[i]) == ADDRESS_NO_MEMORY)
			return false;
	size_t capacity = inference->tasks.count + tasks->count / step + 1;
	uint64_t *grown = reallocarray(inference->leaders, capacity, sizeof(*grown));
	if (!grown)
		return false;
	inference->leaders = grown;
	for (size_t i = 0; i < tasks->count; i += step) {
		inference->leaders[inference->tasks.count] = leaders->list[i];
		if (!samples_add(inference->kernel, &inference->tasks, tasks->list[i]))
			return false;
	}
	return true;
}

/* The idle task heads the list, which does not give it. */
static bool take_processes(struct inference *inference, const struct addresses *tasks, size_t room)
{
	uint64_t idle = inference->kernel->init_task;
	const struct addresses first = { .list = &idle, .count = 1 };

	if (!room_between(tasks, &room))
		return false;
	inference->tasks.width = room;
	if (!take_rows(inference, &first, &first) || !take_rows(inference, tasks, tasks))
		return false;
	inference->process_count = inference->tasks.count;
	return true;
}

/* --- threads */

struct threads {
	struct inference *inference;
	size_t node, signal; /* thread_node and signal in a task */
	size_t head;         /* thread_head in a signal_struct */
	bool is_counted;     /* at COUNT of every signal_struct */
};

/* nr_threads is the third number of a signal_struct, after one of references and one of the living. */
enum { COUNT = 8 };

/* Most processes have one thread: then there are but the node and its head. */
static bool has_one_thread(struct inference *inference, const struct samples *tasks, size_t row,
			   size_t column)
{
	uint64_t node = tasks->addresses[row] + column, head = sample_u64(tasks, row, column);
	uint64_t next, previous;

	return head != node && sample_u64(tasks, row, column + 8) == head &&
	       infer_read(inference, head, &next) && infer_read(inference, head + 8, &previous) &&
	       next == node && previous == node;
}

static bool is_thread_node(const struct samples *tasks, size_t column, void *user)
{
	struct threads *threads = user;
	size_t alone = 0;
	uint64_t next;

	if (column + 16 > tasks->width || !has_one_thread(threads->inference, tasks, 0, column))
		return false;
	for (size_t row = 0; row < tasks->count; row++) {
		if (!infer_is_linked(threads->inference, tasks->addresses[row] + column, &next))
			return false;
		alone += has_one_thread(threads->inference, tasks, row, column);
	}
	return alone * 2 > tasks->count;
}

/* It leads to the head of each list, all of which are as far into what it points at. */
static bool is_signal(const struct samples *tasks, size_t column, void *user)
{
	struct threads *threads = user;
	uint64_t distance = sample_u64(tasks, 0, threads->node) - sample_u64(tasks, 0, column);

	if (distance == 0 || distance > HEAD_LIMIT)
		return false;
	for (size_t row = 1; row < tasks->count; row++)
		if (has_one_thread(threads->inference, tasks, row, threads->node) &&
		    sample_u64(tasks, row, threads->node) - sample_u64(tasks, row, column) !=
			    distance)
			return false;
	return true;
}

static bool find_threads(struct inference *inference, struct threads *threads)
{
	const struct samples *tasks = &inference->tasks;

	if (!samples_only_column(tasks, 8, is_thread_node, threads, &threads->node) ||
	    !samples_only_column(tasks, 8, is_signal, threads, &threads->signal))
		return false;
	threads->head = sample_u64(tasks, 0, threads->node) - sample_u64(tasks, 0, threads->signal);
	return true;
}

/* The other threads of every process, as rows of their own; of a broken list those that can be reached. */
static bool take_threads(struct inference *inference, struct threads *threads)
{
	const struct samples *tasks = &inference->tasks;
	const struct ring ring = { inference, threads->node, inference->comm };
	AUTO_ADDRESSES struct addresses found = { 0 };
	AUTO_ADDRESSES struct addresses leaders = { 0 };

	threads->is_counted = threads->head > COUNT;
	for (size_t row = 0; row < inference->process_count; row++) {
		uint64_t signal = sample_u64(tasks, row, threads->signal), counts = 0;
		size_t before = found.count;
		bool is_whole =
			walk_ring(&ring, tasks->addresses[row], signal + threads->head, &found);
		while (leaders.count < found.count)
			if (!addresses_add(&leaders, tasks->addresses[row]))
				return false;
		threads->is_counted = threads->is_counted &&
				      infer_read(inference, signal + COUNT, &counts) &&
				      (!is_whole || (uint32_t)counts == 1 + found.count - before);
	}
	return have_names(&ring, &found) && take_rows(inference, &found, &leaders);
}

static void note_threads(struct inference *inference, const struct threads *threads)
{
	infer_member(inference, "task_struct", "signal", threads->signal, "void *",
		     "leads to the head of each process's list of threads");
	infer_member(inference, "task_struct", "thread_node", threads->node, "struct list_head",
		     "node in the list of threads");
	infer_member(inference, "signal_struct", "thread_head", threads->head, "struct list_head",
		     "head of the list of threads");
	if (threads->is_counted && infer_is_ordered(inference))
		infer_member(inference, "signal_struct", "nr_threads", COUNT, "int",
			     "number of threads in every process's list");
}

/* --- ids */

/* A number for each process that no other has, and 0 for the idle task. */
static bool is_process_id(const struct samples *tasks, size_t column, void *user)
{
	struct inference *inference = user;
	struct address_set seen = { 0 };
	uint64_t leader;
	bool is_id = sample_u32(tasks, 0, column) == 0;

	for (size_t row = 1; row < tasks->count && is_id; row++) {
		uint32_t id = sample_u32(tasks, row, column);
		is_id = id > 0 && id <= PID_LIMIT &&
			(infer_is_leader(inference, row)
				 ? address_set_add(&seen, id) == ADDRESS_ADDED
				 : infer_read(inference, inference->leaders[row] + column,
					      &leader) &&
					   (uint32_t)leader == id);
	}
	address_set_release(&seen);
	return is_id;
}

/* A number for each task that no other has; what that of the process is, its first thread has, too. */
static bool is_thread_id(const struct samples *tasks, size_t column, void *user)
{
	struct address_set seen = { 0 };
	bool is_id = sample_u32(tasks, 0, column) == 0;

	(void)user;
	for (size_t row = 1; row < tasks->count && is_id; row++) {
		uint32_t id = sample_u32(tasks, row, column);
		is_id = id > 0 && id <= PID_LIMIT && address_set_add(&seen, id) == ADDRESS_ADDED;
	}
	address_set_release(&seen);
	return is_id;
}

static bool are_same(const struct inference *inference, size_t one, size_t other)
{
	const struct samples *tasks = &inference->tasks;

	for (size_t row = 0; row < inference->process_count; row++)
		if (sample_u32(tasks, row, one) != sample_u32(tasks, row, other))
			return false;
	return true;
}

/*
 * The only two that are the same for the first thread of every process. Where none has several threads they
 * are the same for all, and the order of declaration tells.
 */
static void find_ids(struct inference *inference)
{
	const struct samples *tasks = &inference->tasks;
	const bool has_threads = tasks->count > inference->process_count;
	size_t threads[FEW], processes[FEW], found = 0, pid = 0, tgid = 0;
	size_t thread_count = samples_columns(tasks, 4, is_thread_id, inference, threads, FEW);
	size_t process_count = samples_columns(tasks, 4, is_process_id, inference, processes, FEW);

	if (thread_count > FEW || process_count > FEW ||
	    (!has_threads && !infer_is_ordered(inference)))
		return;
	for (size_t i = 0; i < thread_count; i++) {
		for (size_t j = 0; j < process_count; j++) {
			if (threads[i] == processes[j] ||
			    (!has_threads && threads[i] > processes[j]) ||
			    !are_same(inference, threads[i], processes[j]))
				continue;
			pid = threads[i];
			tgid = processes[j];
			found++;
		}
	}
	if (found != 1)
		return;
	inference->pid = pid;
	infer_member(inference, "task_struct", "pid", pid, "int", "different for every task");
	infer_member(inference, "task_struct", "tgid", tgid, "int",
		     "different for every process, the same for all its threads");
}

/* --- families */

/*
 * Distances within struct task_struct: real_parent, parent, children, sibling and group_leader have followed
 * each other in all kernels.
 */
enum { PARENT = 8, CHILDREN = 16, SIBLING = 32, GROUP_LEADER = 48 };

/* One of those that are known; where the list is broken there may be more, which have a name. */
static bool is_task(struct inference *inference, uint64_t address)
{
	const struct ring ring = { inference, 0, inference->comm };
	const struct addresses one = { .list = &address, .count = 1 };

	return address_set_has(&inference->known, address) ||
	       (inference->is_list_broken && kernel_is_pointer(inference->kernel, address) &&
		have_names(&ring, &one));
}

static bool has_children(struct inference *inference, const struct samples *tasks, size_t row,
			 size_t column)
{
	uint64_t task = tasks->addresses[row];
	uint64_t child = sample_u64(tasks, row, column + CHILDREN) - column - SIBLING;
	uint64_t parent, next;

	if (!infer_is_linked(inference, task + column + CHILDREN, &next))
		return false;
	return next == task + column + CHILDREN ||
	       (infer_read(inference, child + column, &parent) && parent == task);
}

static bool is_family(const struct samples *tasks, size_t column, void *user)
{
	struct inference *inference = user;

	if (column + GROUP_LEADER + 8 > tasks->width)
		return false;
	for (size_t row = 0; row < tasks->count; row++) {
		if (sample_u64(tasks, row, column + GROUP_LEADER) != inference->leaders[row] ||
		    !is_task(inference, sample_u64(tasks, row, column)) ||
		    !is_task(inference, sample_u64(tasks, row, column + PARENT)) ||
		    !has_children(inference, tasks, row, column))
			return false;
	}
	return sample_u64(tasks, 0, column) == tasks->addresses[0];
}

static void find_family(struct inference *inference)
{
	size_t family;

	if (!samples_only_column(&inference->tasks, 8, is_family, inference, &family))
		return;
	infer_member(inference, "task_struct", "real_parent", family, "void *",
		     "whose list of children the task is in");
	infer_member(inference, "task_struct", "parent", family + PARENT, "void *",
		     "declared between what lists of children prove");
	infer_member(inference, "task_struct", "children", family + CHILDREN, "struct list_head",
		     "head of a list of those that have it for a parent");
	infer_member(inference, "task_struct", "sibling", family + SIBLING, "struct list_head",
		     "node in the parent's list of children");
	infer_member(inference, "task_struct", "group_leader", family + GROUP_LEADER, "void *",
		     "leads every thread to its process");
}

bool infer_is_ordered(const struct inference *inference)
{
	return infer_column(inference, "task_struct", "sibling") != NO_COLUMN;
}

static void say_broken(const struct inference *inference)
{
	diagnose(&inference->kernel->diagnostics, KIOKU_GAP,
		 "the list of tasks is broken: layouts rest on the %zu that can be reached from "
		 "its ends",
		 inference->process_count - 1);
}

bool infer_tasks(struct inference *inference)
{
	struct kioku_kernel *kernel = inference->kernel;
	struct threads threads = { .inference = inference };
	AUTO_ADDRESSES struct addresses tasks = { 0 };
	size_t room = TASK_LIMIT;
	struct ring ring;

	if (kernel->symbols) {
		uint64_t to_next = symbols_room(kernel->symbols, kernel->init_task);
		if (to_next && to_next < room)
			room = to_next & ~(size_t)7;
	}
	if (!find_ring(inference, room, &ring, &tasks) || !take_processes(inference, &tasks, room))
		return false;
	if (inference->is_list_broken)
		say_broken(inference);
	inference->comm = ring.comm;
	infer_array(inference, "task_struct", "comm", ring.comm, "char", COMM_SIZE,
		    "a name in every task");
	infer_member(inference, "task_struct", "tasks", ring.node, "struct list_head",
		     "the ring through init_task in which everything has a name");
	if (!find_threads(inference, &threads) || !take_threads(inference, &threads))
		return true;
	find_family(inference);
	note_threads(inference, &threads);
	find_ids(inference);
	return true;
}
