/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/object_owners.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/growing.h"
#include "kernel/file_table.h"
#include "kernel/socket_facts.h"

/* One process at a time. */
struct search {
	struct kioku_kernel *kernel;
	struct object_owners *out;
	owned_object_fn *find;
	const struct task *leader;
	struct address_set tables; /* of this process, that were looked through */
};

static void search_release(struct search *search)
{
	address_set_release(&search->tables);
}

static enum kioku_status find_sock(struct kioku_kernel *kernel, uint64_t address, uint64_t *sock)
{
	struct file_inode inode;
	struct file file;

	*sock = 0;
	TRY(file_read(kernel, address, &file));
	TRY(file_inode_read(kernel, file.inode, &inode));
	if (!S_ISSOCK(inode.mode) || !file.private)
		return KIOKU_OK;
	/* A UNIX socket's name in a file system, opened with O_PATH, has no socket. */
	return socket_sock(kernel, file.private, file.address, sock);
}

static enum kioku_status take_descriptor(void *user, const struct descriptor *descriptor)
{
	struct search *search = user;
	struct object_owners *out = search->out;
	uint64_t object;
	enum kioku_status status = search->find(search->kernel, descriptor->file, &object);

	if (status != KIOKU_OK) {
		diagnose(&search->kernel->diagnostics, KIOKU_GAP, "descriptor %u of process %d: %s",
			 descriptor->number, search->leader->tgid, kioku_status_name(status));
		return KIOKU_OK;
	}
	if (!object)
		return KIOKU_OK;
	if (!GROW(out->owners, out->count, out->capacity))
		return KIOKU_ERROR_NO_MEMORY;
	struct object_owner *owner = &out->owners[out->count++];
	*owner = (struct object_owner){ object, search->leader->tgid, descriptor->number, "" };
	memcpy(owner->comm, search->leader->comm, sizeof(owner->comm));
	return KIOKU_OK;
}

static enum kioku_status take_thread(void *user, const struct task *task)
{
	struct search *search = user;
	struct task_files files;
	char what[64];

	snprintf(what, sizeof(what), "descriptors of task %d", task->pid);
	enum kioku_status status = task_read_files(search->kernel, task, &files);
	if (status == KIOKU_OK && files.files &&
	    address_set_add(&search->tables, files.files) == ADDRESS_ADDED)
		status =
			file_table_each(search->kernel, files.files, what, take_descriptor, search);
	if (status != KIOKU_OK && status != KIOKU_ERROR_NO_MEMORY) {
		diagnose(&search->kernel->diagnostics, KIOKU_GAP, "%s: %s", what,
			 kioku_status_name(status));
		return KIOKU_OK;
	}
	return status;
}

static enum kioku_status take_process(void *user, const struct task *leader)
{
	const struct search *all = user;
	CLEANUP(search_release)
	struct search search = {
		.kernel = all->kernel, .out = all->out, .find = all->find, .leader = leader
	};

	return task_each_thread(search.kernel, leader, TASK_IDENTITY | TASK_MEMBERS, take_thread,
				&search, NULL);
}

static int by_object(const void *a, const void *b)
{
	const struct object_owner *left = a, *right = b;

	if (left->object != right->object)
		return left->object < right->object ? -1 : 1;
	if (left->pid != right->pid)
		return left->pid < right->pid ? -1 : 1;
	return (left->descriptor > right->descriptor) - (left->descriptor < right->descriptor);
}

enum kioku_status socket_owners_read(struct kioku_kernel *kernel, struct object_owners *out,
				     struct kioku_error *error)
{
	return object_owners_read(kernel, find_sock, out, error);
}

enum kioku_status object_owners_read(struct kioku_kernel *kernel, owned_object_fn *find,
				     struct object_owners *out, struct kioku_error *error)
{
	struct search search = { .kernel = kernel, .out = out, .find = find };

	*out = (struct object_owners){ 0 };
	TRY(task_each_process(kernel, TASK_IDENTITY | TASK_MEMBERS, take_process, &search, error));
	if (out->count > 0)
		qsort(out->owners, out->count, sizeof(*out->owners), by_object);
	return KIOKU_OK;
}

void object_owners_release(struct object_owners *owners)
{
	free(owners->owners);
}

const struct object_owner *object_owners_of(const struct object_owners *owners, uint64_t object,
					    size_t *count)
{
	size_t low = 0, high = owners->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (owners->owners[middle].object < object)
			low = middle + 1;
		else
			high = middle;
	}
	for (high = low; high < owners->count && owners->owners[high].object == object;)
		high++;
	*count = high - low;
	return owners->owners + low;
}
