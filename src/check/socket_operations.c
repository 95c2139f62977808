/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is called for sockets: struct proto of every protocol that is registered, which can be written to, and the
 * protocol, the operations and the callbacks of every socket (include/net/sock.h, 4.18 to 7.0). The kernel itself gives
 * single sockets other ones: those of kTLS are in its module, those of BPF's maps of sockets in the kernel.
 */
#include <stdio.h>
#include <string.h>

#include "check/operations.h"
#include "kernel/list.h"
#include "kernel/socket_facts.h"
#include "kernel/socket_table.h"

/* --- protocols */

struct protocol {
	uint64_t next;
	char name[32];
};

static const struct member protocol_members[] = {
	MEMBER(struct protocol, next, "node.next"),
	MEMBER(struct protocol, name, "name"),
};
static const struct record protocol_record = RECORD(struct protocol, "proto", protocol_members);

static void name_protocol(void *user, char out[OPERATIONS_SUBJECT])
{
	const struct protocol *protocol = user;

	snprintf(out, OPERATIONS_SUBJECT, "protocol %.*s", (int)sizeof(protocol->name),
		 protocol->name);
}

static enum kioku_status look_at_protocols(struct operations *operations)
{
	struct kioku_kernel *kernel = operations->run->kernel;
	AUTO_LIST_WALK struct list_walk walk = { 0 };
	const struct binding *binding;
	uint64_t head = kernel_symbol(kernel, "proto_list"), node;

	if (!head) {
		diagnose(&kernel->diagnostics, KIOKU_GAP, "this kernel has no list of protocols");
		return KIOKU_OK;
	}
	TRY(record_bind(kernel, &protocol_record, &binding, NULL));
	list_begin(&walk, kernel, head, "list of protocols");
	while (list_next(&walk, &node)) {
		struct protocol protocol;
		uint64_t address = node - BINDING_OFFSET(binding, struct protocol, next);
		enum kioku_status status = record_read(kernel, binding, address, &protocol, NULL);
		if (status != KIOKU_OK) {
			list_reject(&walk, kioku_status_name(status));
			continue;
		}
		operations->name = name_protocol;
		operations->user = &protocol;
		TRY(operations_judge(operations, "proto", address, OPERATIONS_OF_ANYBODY));
	}
	return KIOKU_OK;
}

/* --- sockets */

enum { STATE_TIME_WAIT = 6, STATE_NEW_SYN_RECV = 12 }; /* include/net/tcp_states.h */

/* What all have that are in a table. */
struct common {
	uint64_t protocol;
	uint16_t family;
	uint8_t state;
};

static const struct member common_members[] = {
	MEMBER(struct common, protocol, "skc_prot"),
	MEMBER(struct common, family, "skc_family"),
	MEMBER(struct common, state, "skc_state"),
};
static const struct record common_record = RECORD(struct common, "sock_common", common_members);

struct whole {
	uint64_t handle;
	uint64_t state_change, data_ready, write_space, error_report, backlog, destruct;
};

static const struct member whole_members[] = {
	MEMBER(struct whole, handle, "sk_socket"),
	OPTIONAL(struct whole, state_change, "sk_state_change"),
	OPTIONAL(struct whole, data_ready, "sk_data_ready"),
	OPTIONAL(struct whole, write_space, "sk_write_space"),
	OPTIONAL(struct whole, error_report, "sk_error_report"),
	OPTIONAL(struct whole, backlog, "sk_backlog_rcv"),
	OPTIONAL(struct whole, destruct, "sk_destruct"),
};
static const struct record whole_record = RECORD(struct whole, "sock", whole_members);

struct handle {
	uint64_t operations, sock;
};

static const struct member handle_members[] = {
	MEMBER(struct handle, operations, "ops"),
	MEMBER(struct handle, sock, "sk"),
};
static const struct record handle_record = RECORD(struct handle, "socket", handle_members);

struct looking {
	struct operations operations;
	struct address_set seen;
	uint64_t sock;
};

static void looking_release(struct looking *looking)
{
	operations_release(&looking->operations);
	address_set_release(&looking->seen);
}

static void name_sock(void *user, char out[OPERATIONS_SUBJECT])
{
	const struct looking *looking = user;
	struct socket_facts facts;

	if (sock_read(looking->operations.run->kernel, looking->sock, &facts) != KIOKU_OK)
		snprintf(out, OPERATIONS_SUBJECT, "socket at 0x%llx",
			 (unsigned long long)looking->sock);
	else
		snprintf(out, OPERATIONS_SUBJECT, "socket %llu, %s %.*s %.*s",
			 (unsigned long long)facts.inode, facts.name ? facts.name : "?",
			 (int)facts.protocol.size, facts.protocol.data, (int)facts.local.size,
			 facts.local.data);
}

static enum kioku_status judge_callbacks(struct operations *operations, const struct whole *whole)
{
	const struct {
		const char *name;
		uint64_t function;
	} callbacks[] = {
		{ "sk_state_change", whole->state_change },
		{ "sk_data_ready", whole->data_ready },
		{ "sk_write_space", whole->write_space },
		{ "sk_error_report", whole->error_report },
		{ "sk_backlog_rcv", whole->backlog },
		{ "sk_destruct", whole->destruct },
	};

	for (size_t i = 0; i < sizeof(callbacks) / sizeof(*callbacks); i++)
		TRY(operations_judge_function(operations, callbacks[i].name, callbacks[i].function,
					      OPERATIONS_OF_ANYBODY));
	return KIOKU_OK;
}

/* A struct socket must lead back: what is no whole sock has no such thing. */
static enum kioku_status judge_handle(struct looking *looking, uint64_t handle)
{
	struct kioku_kernel *kernel = looking->operations.run->kernel;
	struct handle found;
	enum kioku_status status;

	if (handle == 0)
		return KIOKU_OK;
	status = record_read_at(kernel, &handle_record, handle, &found);
	if (status == KIOKU_OK && found.sock != looking->sock)
		status = KIOKU_ERROR_CORRUPT;
	if (status != KIOKU_OK) {
		operations_lose(&looking->operations, "struct socket", handle, status);
		return KIOKU_OK;
	}
	return operations_judge(&looking->operations, "proto_ops", found.operations,
				OPERATIONS_OF_ANYBODY);
}

static enum kioku_status look_at_sock(void *user, uint64_t sock)
{
	struct looking *looking = user;
	struct operations *operations = &looking->operations;
	struct kioku_kernel *kernel = operations->run->kernel;
	struct common common;
	struct whole whole;

	looking->sock = sock;
	switch (address_set_add(&looking->seen, sock)) {
	case ADDRESS_NO_MEMORY: return KIOKU_ERROR_NO_MEMORY;
	case ADDRESS_KNOWN: return KIOKU_OK;
	case ADDRESS_ADDED: break;
	}
	enum kioku_status status = record_read_at(kernel, &common_record, sock, &common);
	if (status != KIOKU_OK) {
		operations_lose(operations, "socket", sock, status);
		return KIOKU_OK;
	}
	TRY(operations_judge(operations, "proto", common.protocol, OPERATIONS_OF_ANYBODY));
	/* What waits to end or is being opened is less than a struct sock. */
	if (common.state == STATE_TIME_WAIT || common.state == STATE_NEW_SYN_RECV)
		return KIOKU_OK;
	status = record_read_at(kernel, &whole_record, sock, &whole);
	if (status != KIOKU_OK) {
		operations_lose(operations, "socket", sock, status);
		return KIOKU_OK;
	}
	TRY(judge_callbacks(operations, &whole));
	return judge_handle(looking, whole.handle);
}

static enum kioku_status look_at_open(struct looking *looking)
{
	AUTO_OBJECT_OWNERS struct object_owners owners = { 0 };

	TRY(operations_open(&looking->operations, NULL, &owners));
	for (size_t i = 0; i < owners.count; i++) {
		looking->operations.pid = owners.owners[i].pid;
		TRY(look_at_sock(looking, owners.owners[i].object));
	}
	looking->operations.pid = -1;
	return KIOKU_OK;
}

static enum kioku_status look_at_table(struct looking *looking)
{
	struct kioku_error why = { 0 };
	enum kioku_status status =
		socket_table_each(looking->operations.run->kernel, look_at_sock, looking, &why);

	if (status != KIOKU_ERROR_UNSUPPORTED)
		return status;
	diagnose(&looking->operations.run->kernel->diagnostics, KIOKU_GAP,
		 "sockets that nobody has open: %s", why.message);
	return KIOKU_OK;
}

static const struct record *const records[] = {
	&protocol_record, &common_record, &whole_record, &handle_record, NULL,
};

static enum kioku_status run_check(struct check_run *run, struct kioku_error *error)
{
	CLEANUP(looking_release) struct looking looking = { 0 };

	TRY(operations_begin(&looking.operations, run,
			     "operations of sockets with the code of the kernel and modules",
			     error));
	TRY(look_at_protocols(&looking.operations));
	looking.operations.name = name_sock;
	looking.operations.user = &looking;
	TRY(look_at_open(&looking));
	return look_at_table(&looking);
}

const struct check socket_operations_check = {
	.name = "socket_operations",
	.help = "what is called for sockets",
	.records = records,
	.run = run_check,
};
