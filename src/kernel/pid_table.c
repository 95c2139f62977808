/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/pid_table.h"

#include <stdlib.h>

#include "base/growing.h"
#include "kernel/hash_chain.h"
#include "kernel/xarray.h"

enum {
	LEVEL_LIMIT = 32, /* MAX_PID_NS_LEVEL */
	PID_TYPES = 4,    /* PIDTYPE_PID is the first, include/linux/pid_types.h */
	LINK_SIZE = 16,   /* of a struct hlist_node */
	HEAD_SIZE = 8,    /* of a struct hlist_head */
};

/* Of these only the place matters. */
struct places {
	uint64_t head;
	uint8_t links[LINK_SIZE * PID_TYPES];
};

static const struct member table_members[] = {
	MEMBER(struct places, head, "idr.idr_rt.xa_head", "idr.idr_rt.rnode"),
};
static const struct record table_record = RECORD(struct places, "pid_namespace", table_members);

static const struct member link_members[] = { MEMBER(struct places, links, "pid_links") };
static const struct record link_record = RECORD(struct places, "task_struct", link_members);

struct pid_facts {
	uint32_t level;
	uint8_t tasks[HEAD_SIZE * PID_TYPES];
	uint8_t numbers[1];
};

static const struct member pid_members[] = {
	MEMBER(struct pid_facts, level, "level"),
	MEMBER(struct pid_facts, tasks, "tasks"),
	MEMBER(struct pid_facts, numbers, "numbers"),
};
static const struct record facts_record = RECORD(struct pid_facts, "pid", pid_members);

struct number {
	int32_t number;
	uint64_t namespace;
};

static const struct member number_members[] = {
	MEMBER(struct number, number, "nr"),
	MEMBER(struct number, namespace, "ns"),
};
static const struct record number_record = RECORD(struct number, "upid", number_members);

struct walk {
	struct kioku_kernel *kernel;
	const struct binding *facts, *number, *link;
	uint64_t number_size;
	uint64_t table; /* offset of the xarray in a struct pid_namespace */
	struct address_set pids, known_namespaces;
	uint64_t *namespaces; /* to be walked, in this order */
	size_t namespace_count, namespace_capacity;
	uint64_t namespace; /* the one that is being walked */
	struct hash_walk chains;
	size_t type; /* of the chain that is being walked */
	pid_task_fn *receive;
	void *user;
};

static void walk_release(struct walk *walk)
{
	address_set_release(&walk->pids);
	address_set_release(&walk->known_namespaces);
	hash_walk_release(&walk->chains);
	free(walk->namespaces);
}

static enum kioku_status add_namespace(struct walk *walk, uint64_t namespace)
{
	enum address_set_result added = address_set_add(&walk->known_namespaces, namespace);

	if (added == ADDRESS_KNOWN)
		return KIOKU_OK;
	if (added == ADDRESS_NO_MEMORY ||
	    !GROW(walk->namespaces, walk->namespace_count, walk->namespace_capacity))
		return KIOKU_ERROR_NO_MEMORY;
	walk->namespaces[walk->namespace_count++] = namespace;
	return KIOKU_OK;
}

static enum kioku_status give_task(void *user, uint64_t node)
{
	const struct walk *walk = user;
	uint64_t links = BINDING_OFFSET(walk->link, struct places, links);

	return walk->receive(walk->user, node - links - walk->type * LINK_SIZE, walk->type == 0);
}

/* Notes its namespaces; *is_right: it has this number in the one that is being walked. */
static enum kioku_status read_numbers(struct walk *walk, uint64_t pid,
				      const struct pid_facts *facts, uint64_t index, bool *is_right)
{
	uint64_t numbers = pid + BINDING_OFFSET(walk->facts, struct pid_facts, numbers);

	*is_right = false;
	for (uint32_t level = 0; level <= facts->level && level <= LEVEL_LIMIT; level++) {
		struct number number;
		if (record_read(walk->kernel, walk->number, numbers + level * walk->number_size,
				&number, NULL) != KIOKU_OK ||
		    !kernel_is_pointer(walk->kernel, number.namespace))
			return KIOKU_OK;
		if (number.namespace == walk->namespace)
			*is_right = (uint64_t)(uint32_t)number.number == index;
		TRY(add_namespace(walk, number.namespace));
	}
	return KIOKU_OK;
}

static enum kioku_status give_pid(void *user, const struct xarray_entry *entry)
{
	struct walk *walk = user;
	uint64_t pid = entry->value;
	struct pid_facts facts;
	bool is_right = false;

	if (pid == 0) /* the number is taken, and the struct pid not yet made */
		return KIOKU_OK;
	if (!entry->is_value && kernel_is_pointer(walk->kernel, pid) &&
	    record_read(walk->kernel, walk->facts, pid, &facts, NULL) == KIOKU_OK)
		TRY(read_numbers(walk, pid, &facts, entry->index, &is_right));
	if (!is_right) {
		diagnose(&walk->kernel->diagnostics, KIOKU_GAP,
			 "the PID table has 0x%llx for %llu, which is no struct pid of that number",
			 (unsigned long long)pid, (unsigned long long)entry->index);
		return KIOKU_OK;
	}
	enum address_set_result added = address_set_add(&walk->pids, pid);
	if (added == ADDRESS_KNOWN)
		return KIOKU_OK;
	if (added == ADDRESS_NO_MEMORY)
		return KIOKU_ERROR_NO_MEMORY;
	for (walk->type = 0; walk->type < PID_TYPES; walk->type++)
		if (load_le64(facts.tasks + walk->type * HEAD_SIZE) != 0)
			TRY(hash_chain_walk(
				&walk->chains,
				pid + BINDING_OFFSET(walk->facts, struct pid_facts, tasks) +
					walk->type * HEAD_SIZE));
	return KIOKU_OK;
}

static enum kioku_status bind(struct walk *walk, struct kioku_error *error)
{
	struct kioku_kernel *kernel = walk->kernel;
	const struct binding *table;
	uint64_t head;
	uint32_t type;

	TRY(record_bind(kernel, &table_record, &table, error));
	TRY(xarray_head_offset(kernel, &head, error));
	walk->table = BINDING_OFFSET(table, struct places, head) - head;
	TRY(record_bind(kernel, &facts_record, &walk->facts, error));
	TRY(record_bind(kernel, &number_record, &walk->number, error));
	TRY(record_bind(kernel, &link_record, &walk->link, error));
	TRY(kioku_types_find(kernel->types, "struct upid", &type, error));
	walk->number_size = kioku_type_size(kernel->types, type);
	return KIOKU_OK;
}

enum kioku_status pid_table_each(struct kioku_kernel *kernel, pid_task_fn *receive, void *user,
				 struct kioku_error *error)
{
	CLEANUP(walk_release)
	struct walk walk = { .kernel = kernel, .receive = receive, .user = user };
	uint64_t initial = kernel_symbol(kernel, "init_pid_ns");

	walk.chains = (struct hash_walk){
		.kernel = kernel, .what = "tasks of a pid", .receive = give_task, .user = &walk
	};
	TRY(bind(&walk, error));
	if (!initial)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED, "no symbol init_pid_ns");
	TRY(add_namespace(&walk, initial));
	for (size_t i = 0; i < walk.namespace_count; i++) {
		walk.namespace = walk.namespaces[i];
		TRY(xarray_each(kernel, walk.namespace + walk.table, 0, PID_LIMIT, "PID table",
				give_pid, &walk, error));
	}
	return KIOKU_OK;
}
