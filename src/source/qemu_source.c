/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* qemu:SOCKET: a machine that QEMU runs, through the socket of its machine protocol (QMP). */
#include "base/error.h"
#include "source/driver.h"
#include "source/qemu_files.h"
#include "source/qemu_machine.h"
#include "source/qemu_memory.h"
#include "source/qmp_client.h"

#define SCHEME         "qemu:"
#define GREETED_WITHIN 10.0 /* seconds */

/* What stays open while memory is read through the monitor. */
struct qemu {
	struct qmp_client *client;
	struct qemu_memory *memory;
};

static enum kioku_status ask_monitor(void *user, const char *command, char **answer,
				     struct kioku_error *error)
{
	return qmp_client_monitor(user, command, answer, error);
}

/* The files that QEMU names are used only if they are the right ones, as far as that can be told. */
static enum kioku_status use_files(struct kioku_source *source, const struct qemu_machine *machine,
				   struct qemu *qemu, struct kioku_error *error)
{
	struct kioku_error problem;
	enum kioku_status status = qemu_files_check(source, machine, qemu->memory, &problem);

	if (status == KIOKU_ERROR_UNSUPPORTED)
		diagnose(&source->diagnostics, KIOKU_WARNING,
			 "the file that QEMU names cannot be compared with its machine: %s",
			 problem.message);
	else if (status != KIOKU_OK)
		return error_set(error, status, "%s", problem.message);
	/* Others may want the monitor, and it serves one at a time. */
	qemu_memory_close(TAKE(qemu->memory));
	qmp_client_close(TAKE(qemu->client));
	return KIOKU_OK;
}

static enum kioku_status use_monitor(struct kioku_source *source,
				     const struct qemu_machine *machine, struct kioku_error *error)
{
	CLEANUP(range_map_release) struct range_map ram = { 0 };

	if (!qemu_machine_list_ram(machine, &ram))
		return error_no_memory(error);
	return remote_begin(source, &ram, error);
}

static enum kioku_status open_memory(struct kioku_source *source, struct qemu_machine *machine,
				     struct qemu *qemu, struct kioku_error *error)
{
	struct kioku_error reason;

	TRY(qemu_memory_open(qemu->client, &qemu->memory, error));
	enum kioku_status status = qemu_files_map(source, machine, qemu->client, &reason);
	if (status == KIOKU_OK)
		return use_files(source, machine, qemu, error);
	if (status != KIOKU_ERROR_UNSUPPORTED)
		return error_set(error, status, "%s", reason.message);
	diagnose(&source->diagnostics, KIOKU_NOTE, "memory is read through QEMU's monitor: %s",
		 reason.message);
	return use_monitor(source, machine, error);
}

static enum kioku_status open_qemu(struct kioku_source *source,
				   const struct kioku_source_options *options,
				   struct kioku_error *error)
{
	CLEANUP(qemu_machine_release) struct qemu_machine machine = { 0 };
	struct qemu *qemu = source->state = calloc(1, sizeof(*qemu));

	if (!qemu)
		return error_no_memory(error);
	TRY(qmp_client_open(source->where + strlen(SCHEME), GREETED_WITHIN, &qemu->client, error));
	struct qemu_monitor monitor = { ask_monitor, qemu->client };
	TRY(qemu_machine_ask(&monitor, &machine, error));
	source->cpu_count = machine.cpu_count;
	source->cpus = TAKE(machine.cpus);
	return open_memory(source, &machine, qemu, error);
}

static void close_qemu(struct kioku_source *source)
{
	struct qemu *qemu = source->state;

	if (!qemu)
		return;
	qemu_memory_close(qemu->memory);
	qmp_client_close(qemu->client);
	free(TAKE(source->state));
}

static void read_many(void *state, struct remote_read *reads, size_t count)
{
	qemu_memory_read(((struct qemu *)state)->memory, reads, count);
}

static struct kioku_source_stats stats(const void *state)
{
	return qemu_memory_stats(((const struct qemu *)state)->memory);
}

static const struct remote_driver qemu_remote = { .read_many = read_many, .stats = stats };

const struct source_driver qemu_source = {
	.name = "qemu",
	.help = "machine of QEMU",
	.open = open_qemu,
	.remote = &qemu_remote,
	.close = close_qemu,
};
