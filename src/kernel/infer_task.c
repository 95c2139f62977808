/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* struct task_struct, and what of signal_struct, cred and pid tells who a task is. */
#include <stdlib.h>
#include <string.h>

#include "base/address_set.h"
#include "kernel/infer.h"
#include "kernel/task.h"

enum {
	TASK_LIMIT = 16384, /* bytes; a task_struct is smaller in every configuration */
	COMM_SIZE = 16,     /* TASK_COMM_LEN */
	RING_LIMIT = 1 << 22,
	FEW = 16, /* columns that are looked at further */
};

static const char *const of_declaration = "declared next to what was proved";

/* --- the list of all processes */

static bool is_name(const uint8_t *text)
{
	const uint8_t *end = memchr(text, '\0', COMM_SIZE);

	if (!end || end == text)
		return false;
	/* Names may be in any encoding, but have no control characters in all kernels' own tasks. */
	for (const uint8_t *at = text; at < end; at++)
		if (*at < ' ' || *at == 0x7f)
			return false;
	return true;
}

static bool read_u64(struct kioku_kernel *kernel, uint64_t virtual, uint64_t *out)
{
	uint8_t raw[8];

	if (!kernel_is_pointer(kernel, virtual) ||
	    kernel_read(kernel, virtual, raw, sizeof(raw), NULL) != KIOKU_OK)
		return false;
	*out = load_le64(raw);
	return true;
}

/* Whether a list_head's neighbours point back at it. */
static bool is_linked(struct kioku_kernel *kernel, uint64_t node, uint64_t *next)
{
	uint64_t previous, forth, back;

	return read_u64(kernel, node, next) && read_u64(kernel, node + 8, &previous) &&
	       read_u64(kernel, *next + 8, &back) && read_u64(kernel, previous, &forth) &&
	       back == node && forth == node;
}

/* A ring of tasks: all nodes are as far from something that is a name. */
struct ring {
	struct kioku_kernel *kernel;
	uint64_t init_task;
	size_t node, comm;
};

typedef bool ring_fn(void *user, uint64_t task);

static bool walk_ring(const struct ring *ring, ring_fn *receive, void *user)
{
	uint64_t head = ring->init_task + ring->node, node = head, next;
	uint8_t name[COMM_SIZE];

	for (size_t i = 0; i < RING_LIMIT; i++) {
		if (!is_linked(ring->kernel, node, &next))
			return false;
		if (next == head)
			return true;
		node = next;
		uint64_t task = node - ring->node;
		if (kernel_read(ring->kernel, task + ring->comm, name, sizeof(name), NULL) !=
			    KIOKU_OK ||
		    !is_name(name) || !receive(user, task))
			return false;
	}
	return false;
}

static bool count_task(void *user, uint64_t task)
{
	size_t *count = user;

	(void)task;
	++*count;
	return true;
}

struct addresses {
	uint64_t *list;
	size_t count, capacity;
};

static void addresses_release(struct addresses *addresses)
{
	free(addresses->list);
}

static bool collect_task(void *user, uint64_t task)
{
	struct addresses *addresses = user;

	if (!GROW(addresses->list, addresses->count, addresses->capacity))
		return false;
	addresses->list[addresses->count++] = task;
	return true;
}

/* The only ring through init_task in which everything has a name. */
static bool find_ring(struct inference *inference, size_t room, struct ring *out)
{
	struct kioku_kernel *kernel = inference->kernel;
	uint8_t memory[TASK_LIMIT];
	size_t rings = 0, count;

	if (kernel_read(kernel, kernel->init_task, memory, room, NULL) != KIOKU_OK)
		return false;
	const uint8_t *name = memory;
	while ((name = memmem(name, room - (size_t)(name - memory), "swapper", 7))) {
		struct ring ring = { kernel, kernel->init_task, 0, (size_t)(name - memory) };
		name++;
		for (; ring.node + 16 <= room; ring.node += 8) {
			uint64_t next = load_le64(memory + ring.node);
			if (!kernel_is_pointer(kernel, next) ||
			    next == kernel->init_task + ring.node)
				continue;
			count = 0;
			if (!walk_ring(&ring, count_task, &count) || count < 2)
				continue;
			*out = ring;
			rings++;
		}
	}
	return rings == 1;
}

/* --- columns of all tasks */

/* Bytes of a task that are surely its own: up to the one that lies closest behind another. */
static size_t room_of_tasks(struct inference *inference, const struct addresses *tasks, size_t room)
{
	for (size_t i = 0; i < tasks->count; i++) {
		for (size_t j = 0; j < tasks->count; j++) {
			uint64_t distance = tasks->list[j] - tasks->list[i];
			if (distance && distance < room)
				room = distance;
		}
	}
	(void)inference;
	return room & ~(size_t)7;
}

static size_t leader_of(const struct inference *inference, size_t row);

struct task_columns {
	struct inference *inference;
	size_t group_leader, signal;
	size_t *leaders; /* row by row, the row of its process */
};
