/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "check/process_sightings.h"

#include <stdio.h>

#include "base/growing.h"
#include "check/memory_owners.h"
#include "kernel/file_table.h"
#include "kernel/frame_use.h"
#include "kernel/kernel_stack.h"
#include "kernel/pid_table.h"
#include "kernel/run_queue.h"
#include "kernel/task_scan.h"

void sightings_release(struct sightings *sightings)
{
	free(sightings->found);
	*sightings = (struct sightings){ 0 };
}

static const char *const names[PROCESS_VIEWS] = {
	[VIEW_LIST] = "task list",
	[VIEW_THREADS] = "list of threads",
	[VIEW_PIDS] = "PID table",
	[VIEW_GROUPS] = "process group or session",
	[VIEW_CHILDREN] = "its parent's children",
	[VIEW_QUEUES] = "run queue",
	[VIEW_OWNERS] = "owners of memory",
	[VIEW_CARVED] = "carved from memory",
};

const struct ways process_ways = { "processes", names, PROCESS_VIEWS };

/* --- who lives */

struct life {
	uint64_t stack;
	int32_t usage;
};

static const struct member life_members[] = {
	MEMBER(struct life, stack, "stack"),
	MEMBER(struct life, usage, "usage"),
};
static const struct record life_record = RECORD(struct life, "task_struct", life_members);

struct pid_owner {
	uint8_t first[8]; /* of the tasks that have this number: there is one */
};

static const struct member owner_members[] = { MEMBER(struct pid_owner, first, "tasks") };
static const struct record owner_record = RECORD(struct pid_owner, "pid", owner_members);

struct links {
	uint8_t own[16];
};

static const struct member link_members[] = { MEMBER(struct links, own, "pid_links") };
static const struct record link_record = RECORD(struct links, "task_struct", link_members);

/* STACK_END_MAGIC, include/uapi/linux/magic.h, where a stack ends (kernel/fork.c, v4.9 to v7.0). */
static bool has_stack(struct kioku_kernel *kernel, const struct task *task)
{
	const uint64_t magic = 0x57ac6e9d;
	struct life life;
	uint64_t word;

	return record_read_at(kernel, &life_record, task->address, &life) == KIOKU_OK &&
	       life.usage > 0 && kernel_is_pointer(kernel, life.stack) &&
	       address_read_u64(&kernel->space, life.stack, &word, NULL) == KIOKU_OK &&
	       word == magic;
}

/* A task that is being made starts as a copy of its parent, the struct pid of which leads elsewhere. */
static bool is_copy(struct kioku_kernel *kernel, const struct task *task)
{
	const struct binding *links;
	struct pid_owner owner;

	if (!task->thread_pid || record_bind(kernel, &link_record, &links, NULL) != KIOKU_OK ||
	    record_read_at(kernel, &owner_record, task->thread_pid, &owner) != KIOKU_OK)
		return false;
	uint64_t first = load_le64(owner.first);
	return first && first != task->address + BINDING_OFFSET(links, struct links, own);
}

bool task_lives(struct kioku_kernel *kernel, const struct task *task)
{
	/* TASK_DEAD and TASK_NEW, include/linux/sched.h, v4.14 to v7.0. */
	const uint32_t dead_or_new = 0x80 | 0x800;
	struct cred cred;

	return !task_is_leaving(task) && !(task->state & dead_or_new) &&
	       task_is_plausible(kernel, task) && task->signal &&
	       (task->pid != 0 || task->mm != 0) && task_pid_is_right(kernel, task) &&
	       task_read_cred(kernel, task, &cred) == KIOKU_OK && has_stack(kernel, task) &&
	       !is_copy(kernel, task);
}

bool sightings_are_carved(unsigned views)
{
	return !(views & ~(1u << VIEW_CARVED | 1u << VIEW_THREADS | 1u << VIEW_CHILDREN));
}

static bool is_in_slab(struct kioku_kernel *kernel, const struct task *task)
{
	struct frame_reader frames;
	struct frame_use use;
	uint64_t physical, contiguous;

	return frame_reader_open(kernel, &frames, NULL) == KIOKU_OK &&
	       address_space_locate(&kernel->space, task->address, &physical, &contiguous, NULL) ==
		       KIOKU_OK &&
	       frame_use_read(&frames, physical, &use) == KIOKU_OK && use.kind == FRAME_SLAB;
}

bool sightings_is_left_over(const struct sightings *sightings, const struct task *task,
			    unsigned views)
{
	struct kernel_stack stack;

	return sightings_are_carved(views) &&
	       (!is_in_slab(sightings->kernel, task) ||
		kernel_stack_read(sightings->kernel, sightings->code, task, &stack) != KIOKU_OK ||
		stack.state != STACK_FOLLOWED);
}

/* --- one view after the other */

struct asking {
	struct sightings *sightings;
	enum process_view view;
};

static enum kioku_status note(const struct asking *asking, uint64_t task)
{
	struct sightings *sightings = asking->sightings;

	if (!GROW(sightings->found, sightings->count, sightings->capacity))
		return KIOKU_ERROR_NO_MEMORY;
	sightings->found[sightings->count++] = (struct sighting){ task, 1u << asking->view };
	return KIOKU_OK;
}

static enum kioku_status note_task(void *user, const struct task *task)
{
	return note(user, task->address);
}

static enum kioku_status ask_list(void *user, struct kioku_error *error)
{
	struct asking *asking = user;
	struct kioku_kernel *kernel = asking->sightings->kernel;

	TRY(task_each_idle(kernel, note_task, asking, error));
	return task_each_process(kernel, TASK_IDENTITY | TASK_MEMBERS, note_task, asking, error);
}

static enum kioku_status note_pid(void *user, uint64_t task, bool is_own)
{
	struct asking *asking = user;

	asking->view = is_own ? VIEW_PIDS : VIEW_GROUPS;
	return note(asking, task);
}

static enum kioku_status ask_pids(void *user, struct kioku_error *error)
{
	struct asking *asking = user;

	return pid_table_each(asking->sightings->kernel, note_pid, asking, error);
}

static enum kioku_status note_address(void *user, uint64_t task)
{
	return note(user, task);
}

static enum kioku_status ask_queues(void *user, struct kioku_error *error)
{
	struct asking *asking = user;

	return run_queue_each(asking->sightings->kernel, note_address, asking, error);
}

static enum kioku_status ask_owners(void *user, struct kioku_error *error)
{
	struct asking *asking = user;

	return memory_owners_each(asking->sightings->kernel, note_address, asking, error);
}

static enum kioku_status note_carved(void *user, const struct task *task, uint64_t physical)
{
	(void)physical;
	return note(user, task->address);
}

static enum kioku_status ask_memory(void *user, struct kioku_error *error)
{
	struct asking *asking = user;

	return task_scan(asking->sightings->kernel, note_carved, asking, error);
}

/* What the tasks that are known so far lead to, whoever knows of them. */
typedef enum kioku_status follow_fn(struct asking *asking, const struct task *task);

/* What is left over from an earlier boot has lists whose damage means nothing: that is no gap. */
static enum kioku_status follow_one(struct asking *asking, const struct task *task, unsigned views,
				    follow_fn *follow)
{
	struct kioku_kernel *kernel = asking->sightings->kernel;
	const struct diagnostics diagnostics = kernel->diagnostics;

	if (sightings_is_left_over(asking->sightings, task, views))
		kernel->diagnostics = (struct diagnostics){ 0 };
	enum kioku_status status = follow(asking, task);
	kernel->diagnostics = diagnostics;
	return status;
}

static enum kioku_status follow_all(struct asking *asking, follow_fn *follow)
{
	struct sightings *sightings = asking->sightings;
	size_t count = sightings->count;

	for (size_t i = 0; i < count; i++) {
		const struct sighting sighting = sightings->found[i];
		struct task task;
		if (task_read(sightings->kernel, sighting.task, &task, NULL) == KIOKU_OK &&
		    (sighting.views >> VIEW_LIST & 1 || task_lives(sightings->kernel, &task)))
			TRY(follow_one(asking, &task, sighting.views, follow));
	}
	return KIOKU_OK;
}

static enum kioku_status follow_threads(struct asking *asking, const struct task *task)
{
	if (task->group_leader != task->address || task->pid == 0)
		return KIOKU_OK;
	return task_each_thread(asking->sightings->kernel, task, TASK_IDENTITY, note_task, asking,
				NULL);
}

static enum kioku_status ask_threads(void *user, struct kioku_error *error)
{
	struct asking *asking = user;

	(void)error;
	return follow_all(asking, follow_threads);
}

struct family {
	uint64_t children, sibling;
};

static const struct member family_members[] = {
	MEMBER(struct family, children, "children.next"),
	MEMBER(struct family, sibling, "sibling.next"),
};
static const struct record family_record = RECORD(struct family, "task_struct", family_members);

static enum kioku_status follow_children(struct asking *asking, const struct task *task)
{
	struct kioku_kernel *kernel = asking->sightings->kernel;
	AUTO_LIST_WALK struct list_walk list = { 0 };
	const struct binding *family;
	uint64_t node;
	char what[48];

	TRY(record_bind(kernel, &family_record, &family, NULL));
	snprintf(what, sizeof(what), "children of task %d", task->pid);
	list_begin(&list, kernel, task->address + BINDING_OFFSET(family, struct family, children),
		   what);
	while (list_next(&list, &node))
		TRY(note(asking, node - BINDING_OFFSET(family, struct family, sibling)));
	return KIOKU_OK;
}

static enum kioku_status ask_parents(void *user, struct kioku_error *error)
{
	struct asking *asking = user;

	(void)error;
	return follow_all(asking, follow_children);
}

/* --- all of them */

static int by_task(const void *a, const void *b)
{
	const struct sighting *left = a, *right = b;

	return (left->task > right->task) - (left->task < right->task);
}

static void merge(struct sightings *sightings)
{
	struct sighting *found = sightings->found;
	size_t kept = 0;

	if (sightings->count > 0)
		qsort(found, sightings->count, sizeof(*found), by_task);
	for (size_t i = 0; i < sightings->count; i++) {
		if (kept > 0 && found[kept - 1].task == found[i].task)
			found[kept - 1].views |= found[i].views;
		else
			found[kept++] = found[i];
	}
	sightings->count = kept;
}

struct source_of_views {
	unsigned views;
	enum process_view first;
	way_fn *ask;
};

/* Each may follow what those before it have found. */
static const struct source_of_views sources[] = {
	{ 1 << VIEW_LIST, VIEW_LIST, ask_list },
	{ 1 << VIEW_PIDS | 1 << VIEW_GROUPS, VIEW_PIDS, ask_pids },
	{ 1 << VIEW_QUEUES, VIEW_QUEUES, ask_queues },
	{ 1 << VIEW_OWNERS, VIEW_OWNERS, ask_owners },
	{ 1 << VIEW_CARVED, VIEW_CARVED, ask_memory },
	{ 1 << VIEW_THREADS, VIEW_THREADS, ask_threads },
	{ 1 << VIEW_CHILDREN, VIEW_CHILDREN, ask_parents },
};

enum kioku_status sightings_read(struct kioku_kernel *kernel, const struct kernel_code *code,
				 struct sightings *out, struct kioku_error *error)
{
	*out = (struct sightings){ .kernel = kernel, .code = code };
	if (!kernel->init_task)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED, "init_task was not found");
	for (size_t i = 0; i < sizeof(sources) / sizeof(*sources); i++) {
		struct asking asking = { out, sources[i].first };
		if (ways_ask(kernel, &process_ways, sources[i].views, sources[i].ask, &asking,
			     &out->damaged) != KIOKU_OK)
			return error_no_memory(error);
		merge(out);
	}
	return KIOKU_OK;
}
