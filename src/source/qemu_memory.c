/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "source/qemu_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* What is held twice for a moment; the machine's devices wait for as long as such a copy takes. */
#define BLOCK_SIZE (1u << 20)

struct qemu_memory {
	struct qmp_client *client;
	int descriptor; /* of the file */
	int64_t fdset;  /* QEMU's number of what it was handed; -1: nothing */
	char path[48];  /* where QEMU reaches it */
	struct kioku_source_stats stats;
	struct kioku_error problem; /* of the last read that failed */
};

static enum kioku_status hand_over(struct qemu_memory *memory, struct kioku_error *error)
{
	struct json_object *result = NULL, *value;
	enum kioku_status status =
		qmp_client_run(memory->client, "add-fd", NULL, memory->descriptor, &result, error);

	if (status == KIOKU_ERROR_UNSUPPORTED)
		error_prefix(error, "QEMU can hand out memory only to who is on its own machine");
	TRY(status);
	if (json_object_object_get_ex(result, "fdset-id", &value))
		memory->fdset = json_object_get_int64(value);
	if (json_object_object_get_ex(result, "fd", &value))
		snprintf(memory->path, sizeof(memory->path), "/proc/self/fd/%lld",
			 (long long)json_object_get_int64(value));
	json_object_put(result);
	return memory->path[0] ? KIOKU_OK
			       : error_set(error, KIOKU_ERROR_CORRUPT,
					   "add-fd: the answer names no descriptor");
}

enum kioku_status qemu_memory_open(struct qmp_client *client, struct qemu_memory **out,
				   struct kioku_error *error)
{
	CLEANUP(cleanup_qemu_memory) struct qemu_memory *memory = calloc(1, sizeof(*memory));

	*out = NULL;
	if (!memory)
		return error_no_memory(error);
	memory->client = client;
	memory->fdset = -1;
	/* Everybody may write it who reaches it, which is QEMU, whoever that runs as. */
	memory->descriptor = memfd_create("kioku", MFD_CLOEXEC);
	if (memory->descriptor < 0)
		return error_os(error, "cannot make a file without a name");
	TRY(hand_over(memory, error));
	*out = TAKE(memory);
	return KIOKU_OK;
}

void qemu_memory_close(struct qemu_memory *memory)
{
	if (!memory)
		return;
	if (memory->fdset >= 0) {
		struct json_object *arguments = json_object_new_object();
		json_object_object_add(arguments, "fdset-id", json_object_new_int64(memory->fdset));
		if (qmp_client_run(memory->client, "remove-fd", arguments, -1, NULL, NULL) !=
		    KIOKU_OK)
			memory->fdset = -1; /* it goes with the connection */
	}
	cleanup_close(&memory->descriptor);
	free(memory);
}

/* Has QEMU write a block to the start of the file. */
static enum kioku_status save(struct qemu_memory *memory, uint64_t physical, size_t size)
{
	struct json_object *arguments = json_object_new_object();

	json_object_object_add(arguments, "val", json_object_new_int64((int64_t)physical));
	json_object_object_add(arguments, "size", json_object_new_int64((int64_t)size));
	json_object_object_add(arguments, "filename", json_object_new_string(memory->path));
	memory->stats.requests++;
	memory->stats.rounds++;
	return qmp_client_run(memory->client, "pmemsave", arguments, -1, NULL, &memory->problem);
}

static enum kioku_status fetch(struct qemu_memory *memory, uint64_t physical, uint8_t *out,
			       size_t size)
{
	TRY(save(memory, physical, size));
	for (size_t done = 0; done < size;) {
		ssize_t got = pread(memory->descriptor, out + done, size - done, (off_t)done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_os(&memory->problem, "cannot read what QEMU has written");
		if (got == 0)
			return error_set(&memory->problem, KIOKU_ERROR_ABSENT,
					 "QEMU has written less than it was asked for");
		done += (size_t)got;
	}
	memory->stats.bytes += size;
	return KIOKU_OK;
}

static void read_one(struct qemu_memory *memory, struct remote_read *read)
{
	read->status = KIOKU_OK;
	for (size_t done = 0, size; done < read->size && read->status == KIOKU_OK; done += size) {
		size = read->size - done < BLOCK_SIZE ? read->size - done : BLOCK_SIZE;
		enum kioku_status status =
			fetch(memory, read->physical + done, read->buffer + done, size);
		if (status == KIOKU_OK)
			continue;
		/* A refusal is about this block; after anything else there is no other one. */
		read->status = status == KIOKU_ERROR_UNSUPPORTED || status == KIOKU_ERROR_ABSENT
				       ? KIOKU_ERROR_ABSENT
				       : KIOKU_ERROR_OS;
		read->failed_at = read->physical + done;
		read->problem = memory->problem.message;
	}
}

void qemu_memory_read(struct qemu_memory *memory, struct remote_read *reads, size_t count)
{
	for (size_t i = 0; i < count; i++)
		read_one(memory, &reads[i]);
}

struct kioku_source_stats qemu_memory_stats(const struct qemu_memory *memory)
{
	return memory->stats;
}
