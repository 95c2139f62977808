/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sockets: all that the kernel's tables have, all that processes have open, and with --all what else there is. */
#include <stdio.h>
#include <string.h>

#include "kernel/socket_facts.h"
#include "kernel/object_owners.h"
#include "kernel/socket_scan.h"
#include "kernel/socket_table.h"
#include "view/process_views.h"
#include "view/task_cells.h"

enum {
	COLUMN_NETNS,
	COLUMN_FAMILY,
	COLUMN_TYPE,
	COLUMN_PROTOCOL,
	COLUMN_STATE,
	COLUMN_LOCAL,
	COLUMN_REMOTE,
	COLUMN_INODE,
	COLUMN_PID,
	COLUMN_FD,
	COLUMN_COMM,
	COLUMN_OWNERS,
	COLUMN_RECEIVE_QUEUE,
	COLUMN_SEND_QUEUE,
	COLUMN_FILTER,
	COLUMN_FOUND,
	COLUMN_SOCK,
	COLUMNS
};

static const struct kioku_column columns[COLUMNS] = {
	[COLUMN_NETNS] = { "netns", KIOKU_KIND_UNSIGNED,
			   "network namespace, as in /proc/PID/ns/net", 0 },
	[COLUMN_FAMILY] = { "family", KIOKU_KIND_TEXT, "IPv4, IPv6, unix, netlink, ...", 0 },
	[COLUMN_TYPE] = { "type", KIOKU_KIND_TEXT, "STREAM, DGRAM, RAW, ...", 0 },
	[COLUMN_PROTOCOL] = { "protocol", KIOKU_KIND_TEXT, "TCP, UDP, ROUTE, ...", 0 },
	[COLUMN_STATE] = { "state", KIOKU_KIND_TEXT, "LISTEN, ESTABLISHED, ...", 0 },
	[COLUMN_LOCAL] = { "local", KIOKU_KIND_TEXT, "address and port, or name", 0 },
	[COLUMN_REMOTE] = { "remote", KIOKU_KIND_TEXT, "that of the other end", 0 },
	[COLUMN_INODE] = { "inode", KIOKU_KIND_UNSIGNED,
			   "inode number; none: no descriptor can lead to it", 0 },
	[COLUMN_PID] = { "pid", KIOKU_KIND_INTEGER,
			 "process that has it open; none: nobody, or the kernel itself", 0 },
	[COLUMN_FD] = { "fd", KIOKU_KIND_INTEGER, "its descriptor there", 0 },
	[COLUMN_COMM] = TASK_COLUMN_COMM,
	[COLUMN_OWNERS] = { "owners", KIOKU_KIND_TEXTS, "PID/FD of all that have it open", 1 },
	[COLUMN_RECEIVE_QUEUE] = { "receive_queue", KIOKU_KIND_SIZE,
				   "waits to be read; of LISTEN, connections", 1 },
	[COLUMN_SEND_QUEUE] = { "send_queue", KIOKU_KIND_SIZE, "waits to be sent, or acknowledged",
				1 },
	[COLUMN_FILTER] = { "filter", KIOKU_KIND_BOOLEAN, "a program filters what it receives", 1 },
	[COLUMN_FOUND] = { "found", KIOKU_KIND_TEXT,
			   "how it was found: by table, descriptor or slab", 0 },
	[COLUMN_SOCK] = { "sock", KIOKU_KIND_ADDRESS, "address of the struct sock", 1 },
};

static const struct record *const records[] = { &task_record, &net_namespace_record, NULL };

struct listing {
	struct view_run *run;
	struct object_owners owners;
	struct address_set given;
};

static void listing_release(struct listing *listing)
{
	object_owners_release(&listing->owners);
	address_set_release(&listing->given);
}

struct row {
	struct listing *listing;
	uint64_t sock;
	const struct object_owner *owners;
	size_t owner_count;
	struct socket_facts facts;
	char *owners_text; /* to be freed */
	struct kioku_cell cells[COLUMNS];
};

static struct kioku_cell lost(const struct row *row, const char *what, enum kioku_status status)
{
	diagnose(&row->listing->run->kernel->diagnostics, KIOKU_GAP, "socket 0x%llx: %s: %s",
		 (unsigned long long)row->sock, what, kioku_status_name(status));
	return cell_absent(presence_of(status));
}

static void namespace_cell(struct row *row)
{
	struct net_namespace namespace;
	enum kioku_status status = record_read_at(row->listing->run->kernel, &net_namespace_record,
						  row->facts.namespace, &namespace);

	row->cells[COLUMN_NETNS] = status == KIOKU_OK ? cell_number(namespace.inode)
						      : lost(row, "its namespace", status);
}

/* Threads with tables of their own can have it by one number. */
static enum kioku_status list_owners(void *user, FILE *stream)
{
	const struct row *row = user;
	const struct object_owner *owners = row->owners;

	for (size_t i = 0; i < row->owner_count; i++)
		if (i == 0 || owners[i].pid != owners[i - 1].pid ||
		    owners[i].descriptor != owners[i - 1].descriptor)
			fprintf(stream, "%d/%u%c", owners[i].pid, owners[i].descriptor, 0);
	return KIOKU_OK;
}

static void owner_cells(struct row *row)
{
	const struct object_owner *first = row->owners;
	struct kioku_cell *owners = &row->cells[COLUMN_OWNERS];

	if (row->owner_count == 0)
		return;
	row->cells[COLUMN_PID] = cell_integer(first->pid);
	row->cells[COLUMN_FD] = cell_integer(first->descriptor);
	row->cells[COLUMN_COMM] = cell_text(first->comm, strnlen(first->comm, sizeof(first->comm)));
	if (!view_wants_column(row->listing->run, COLUMN_OWNERS))
		return;
	enum kioku_status status = view_make_texts(list_owners, row, &row->owners_text, owners);
	if (status != KIOKU_OK)
		*owners = lost(row, "its owners", status);
}

static void facts_cells(struct row *row)
{
	const struct socket_facts *facts = &row->facts;
	struct kioku_cell *cells = row->cells;

	if (facts->has_lost_part)
		lost(row, "a part of it", KIOKU_ERROR_CORRUPT);
	namespace_cell(row);
	cells[COLUMN_FAMILY] = cell_string_if_any(facts->name);
	cells[COLUMN_TYPE] = cell_string_if_any(facts->type);
	cells[COLUMN_STATE] = cell_string_if_any(facts->state);
	cells[COLUMN_PROTOCOL] = cell_text_if_any(facts->protocol.data, facts->protocol.size);
	cells[COLUMN_LOCAL] = cell_text_if_any(facts->local.data, facts->local.size);
	cells[COLUMN_REMOTE] = cell_text_if_any(facts->remote.data, facts->remote.size);
	if (facts->inode)
		cells[COLUMN_INODE] = cell_number(facts->inode);
	if (facts->has_queues) {
		cells[COLUMN_RECEIVE_QUEUE] = cell_number(facts->receive_queue);
		cells[COLUMN_SEND_QUEUE] = cell_number(facts->send_queue);
	}
	cells[COLUMN_FILTER] = cell_boolean(facts->has_filter);
}

static bool is_wanted(const struct row *row)
{
	const struct view_run *run = row->listing->run;

	for (size_t i = 0; i < row->owner_count; i++)
		if (view_wants_pid(run, row->owners[i].pid))
			return true;
	return run->options.pid_count == 0;
}

static enum kioku_status give_socket(struct listing *listing, uint64_t sock, const char *found)
{
	struct row row = { .listing = listing, .sock = sock };

	row.owners = object_owners_of(&listing->owners, sock, &row.owner_count);
	if (!is_wanted(&row))
		return KIOKU_OK;
	for (size_t i = 0; i < COLUMNS; i++)
		row.cells[i] = cell_absent(KIOKU_CELL_NOT_APPLICABLE);
	enum kioku_status status = sock_read(listing->run->kernel, sock, &row.facts);
	if (status == KIOKU_OK)
		facts_cells(&row);
	else
		row.cells[COLUMN_FAMILY] = lost(&row, "what it is", status);
	row.cells[COLUMN_FOUND] = cell_string(found);
	row.cells[COLUMN_SOCK] = cell_number(sock);
	owner_cells(&row);
	status = view_row(listing->run, row.cells);
	free(row.owners_text);
	return status;
}

static enum kioku_status give_once(struct listing *listing, uint64_t sock, const char *found)
{
	switch (address_set_add(&listing->given, sock)) {
	case ADDRESS_ADDED: return give_socket(listing, sock, found);
	case ADDRESS_KNOWN: return KIOKU_OK;
	default: return KIOKU_ERROR_NO_MEMORY;
	}
}

static enum kioku_status give_listed(void *user, uint64_t sock)
{
	return give_once(user, sock, "table");
}

static enum kioku_status give_carved(void *user, uint64_t sock)
{
	return give_once(user, sock, "slab");
}

/* Of other families, and those that were never bound. */
static enum kioku_status give_others(struct listing *listing)
{
	const struct object_owners *owners = &listing->owners;

	for (size_t i = 0; i < owners->count; i++)
		TRY(give_once(listing, owners->owners[i].object, "descriptor"));
	return KIOKU_OK;
}

static enum kioku_status run_sockets(struct view_run *run, struct kioku_error *error)
{
	CLEANUP(listing_release) struct listing listing = { .run = run };

	TRY(view_meet_processes(run, error));
	TRY(socket_owners_read(run->kernel, &listing.owners, error));
	TRY(socket_table_each(run->kernel, give_listed, &listing, error));
	TRY(give_others(&listing));
	/* Those have no owner. */
	return run->options.all && run->options.pid_count == 0
		       ? socket_scan_each(run->kernel, give_carved, &listing, error)
		       : KIOKU_OK;
}

const struct kioku_view sockets_view = {
	.name = "sockets",
	.help = "sockets of all namespaces, with both ends and who has them open",
	VIEW_COLUMNS(columns),
	.options = KIOKU_VIEW_PID | KIOKU_VIEW_ALL,
	.needs_symbols = true,
	.needs_tasks = true,
	.records = records,
	.run = run_sockets,
};
