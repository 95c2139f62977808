/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* netfilter: which functions are called for packets, in every network namespace. */
#include "kernel/netfilter.h"
#include "view/code_cells.h"
#include "view/network_cells.h"

enum {
	COLUMN_NETNS,
	COLUMN_FAMILY,
	COLUMN_HOOK,
	COLUMN_INTERFACE,
	COLUMN_PRIORITY,
	COLUMN_HANDLER,
	COLUMN_FUNCTION,
	COLUMN_MODULE,
	COLUMN_PRIVATE,
	COLUMN_OPS,
	COLUMNS
};

static const struct kioku_column columns[COLUMNS] = {
	[COLUMN_NETNS] = { "netns", KIOKU_KIND_UNSIGNED,
			   "network namespace, as in /proc/PID/ns/net", 0 },
	[COLUMN_FAMILY] = { "family", KIOKU_KIND_TEXT, "IPv4, IPv6, ARP, bridge, netdev", 0 },
	[COLUMN_HOOK] = { "hook", KIOKU_KIND_TEXT, "PRE_ROUTING, LOCAL_IN, ...", 0 },
	[COLUMN_INTERFACE] = { "interface", KIOKU_KIND_TEXT, "whose packets they are; netdev", 0 },
	[COLUMN_PRIORITY] = { "priority", KIOKU_KIND_INTEGER, "the lowest is called first", 0 },
	[COLUMN_HANDLER] = { "handler", KIOKU_KIND_ADDRESS, "the function that is called", 0 },
	[COLUMN_FUNCTION] = { "function", KIOKU_KIND_TEXT, "its name", 0 },
	[COLUMN_MODULE] = { "module", KIOKU_KIND_TEXT, "whose code it is; none: the kernel's own",
			    0 },
	[COLUMN_PRIVATE] = { "private", KIOKU_KIND_ADDRESS, "what the function gets", 1 },
	[COLUMN_OPS] = { "ops", KIOKU_KIND_ADDRESS, "address of the struct nf_hook_ops", 1 },
};

static const struct record *const records[] = { &net_namespace_record, &net_device_record, NULL };

struct listing {
	struct view_run *run;
	struct kernel_code code;
	const struct net_namespace *namespace;
	struct kioku_error *error;
};

static void listing_release(struct listing *listing)
{
	kernel_code_release(&listing->code);
}

static enum kioku_status give_hook(void *user, const struct netfilter_hook *hook)
{
	struct listing *listing = user;
	struct kioku_cell lost = cell_absent(presence_of(hook->ops_status));
	bool has_ops = hook->ops_status == KIOKU_OK;
	char function[CODE_TEXT];

	if (!has_ops)
		diagnose(&listing->run->kernel->diagnostics, KIOKU_GAP,
			 "netfilter hook 0x%llx: what it was registered with: %s",
			 (unsigned long long)hook->handler, kioku_status_name(hook->ops_status));
	const struct kioku_cell cells[COLUMNS] = {
		[COLUMN_NETNS] = cell_number(listing->namespace->inode),
		[COLUMN_FAMILY] = cell_string(hook->family),
		[COLUMN_HOOK] = cell_string(hook->point),
		[COLUMN_INTERFACE] = hook->device ? device_name_cell(hook->device)
						  : cell_absent(KIOKU_CELL_NOT_APPLICABLE),
		[COLUMN_PRIORITY] = has_ops ? cell_integer(hook->priority) : lost,
		[COLUMN_HANDLER] = cell_number(hook->handler),
		[COLUMN_FUNCTION] = function_cell(listing->run->kernel, &listing->code,
						  hook->handler, function),
		[COLUMN_MODULE] = code_module_cell(&listing->code, hook->handler),
		[COLUMN_PRIVATE] = cell_number(hook->private),
		[COLUMN_OPS] = has_ops ? cell_number(hook->ops) : lost,
	};
	return view_row(listing->run, cells);
}

static enum kioku_status give_namespace(void *user, const struct net_namespace *namespace)
{
	struct listing *listing = user;

	listing->namespace = namespace;
	return netfilter_each(listing->run->kernel, namespace, give_hook, listing, listing->error);
}

static enum kioku_status run_netfilter(struct view_run *run, struct kioku_error *error)
{
	CLEANUP(listing_release) struct listing listing = { .run = run, .error = error };

	if (!kernel_code_read(run->kernel, &listing.code))
		return error_no_memory(error);
	return net_namespace_each(run->kernel, give_namespace, &listing, error);
}

const struct kioku_view netfilter_view = {
	.name = "netfilter",
	.help = "functions that are called for packets, in all namespaces",
	VIEW_COLUMNS(columns),
	.needs_symbols = true,
	.records = records,
	.run = run_netfilter,
};
