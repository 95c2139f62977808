/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/run_queue.h"

#include <stdio.h>

#include "kernel/percpu.h"

enum { PRIORITIES = 100, LIST_HEAD = 16 }; /* MAX_RT_PRIO */

struct queues {
	uint64_t current, fair_next;
	uint8_t real_time[PRIORITIES * LIST_HEAD];
};

static const struct member queue_members[] = {
	MEMBER(struct queues, current, "curr"),
	OPTIONAL(struct queues, fair_next, "cfs_tasks.next"), /* CONFIG_SMP, before v6.17 */
	OPTIONAL(struct queues, real_time, "rt.active.queue"),
};
static const struct record queue_record = RECORD(struct queues, "rq", queue_members);

struct queue_nodes {
	uint64_t fair, real_time;
};

static const struct member node_members[] = {
	MEMBER(struct queue_nodes, fair, "se.group_node.next"),
	MEMBER(struct queue_nodes, real_time, "rt.run_list.next"),
};
static const struct record node_record = RECORD(struct queue_nodes, "task_struct", node_members);

struct walk {
	struct kioku_kernel *kernel;
	const struct binding *queue, *node;
	queued_fn *receive;
	void *user;
};

static enum kioku_status walk_list(struct walk *walk, uint64_t head, uint64_t offset,
				   const char *what)
{
	AUTO_LIST_WALK struct list_walk list;
	uint64_t node;

	list_begin(&list, walk->kernel, head, what);
	while (list_next(&list, &node))
		TRY(walk->receive(walk->user, node - offset));
	return KIOKU_OK;
}

static enum kioku_status walk_queue(struct walk *walk, uint64_t address, uint32_t cpu)
{
	struct queues queues;
	char what[48];

	if (record_read(walk->kernel, walk->queue, address, &queues, NULL) != KIOKU_OK ||
	    !kernel_is_pointer(walk->kernel, queues.current))
		return KIOKU_OK; /* numbers of CPUs that do not exist have nothing behind them */
	TRY(walk->receive(walk->user, queues.current));
	snprintf(what, sizeof(what), "run queue of CPU %u", cpu);
	if (BINDING_HAS(walk->queue, struct queues, fair_next))
		TRY(walk_list(walk, address + BINDING_OFFSET(walk->queue, struct queues, fair_next),
			      BINDING_OFFSET(walk->node, struct queue_nodes, fair), what));
	for (size_t i = 0; i < PRIORITIES; i++) {
		uint64_t head = address + BINDING_OFFSET(walk->queue, struct queues, real_time) +
				i * LIST_HEAD;
		uint64_t next = load_le64(queues.real_time + i * LIST_HEAD);
		if (next && next != head)
			TRY(walk_list(walk, head,
				      BINDING_OFFSET(walk->node, struct queue_nodes, real_time),
				      what));
	}
	return KIOKU_OK;
}

enum kioku_status run_queue_each(struct kioku_kernel *kernel, queued_fn *receive, void *user,
				 struct kioku_error *error)
{
	struct walk walk = { .kernel = kernel, .receive = receive, .user = user };

	TRY(record_bind(kernel, &queue_record, &walk.queue, error));
	TRY(record_bind(kernel, &node_record, &walk.node, error));
	for (uint32_t cpu = 0; cpu < percpu_count(kernel); cpu++) {
		uint64_t address;
		if (percpu_address(kernel, "runqueues", cpu, &address, NULL) == KIOKU_OK)
			TRY(walk_queue(&walk, address, cpu));
	}
	return KIOKU_OK;
}
