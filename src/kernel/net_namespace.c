/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/net_namespace.h"

#include "kernel/list.h"

static const struct member namespace_members[] = {
	MEMBER(struct net_namespace, list_next, "list.next"),
	MEMBER(struct net_namespace, inode, "ns.inum"),
	OPTIONAL(struct net_namespace, tcp, "ipv4.tcp_death_row.hashinfo"),
	OPTIONAL(struct net_namespace, udp, "ipv4.udp_table"),
	OPTIONAL(struct net_namespace, unix_chains, "unx.table.buckets"),
	OPTIONAL(struct net_namespace, packet, "packet.sklist.first"),
};
const struct record net_namespace_record = RECORD(struct net_namespace, "net", namespace_members);

enum kioku_status net_namespace_each(struct kioku_kernel *kernel, net_namespace_fn *receive,
				     void *user, struct kioku_error *error)
{
	uint64_t head = kernel_symbol(kernel, "net_namespace_list"), node;
	AUTO_LIST_WALK struct list_walk walk = { 0 };
	const struct binding *binding;

	if (!head)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "this kernel has no list of network namespaces");
	TRY(record_bind(kernel, &net_namespace_record, &binding, error));
	list_begin(&walk, kernel, head, "list of network namespaces");
	while (list_next(&walk, &node)) {
		struct net_namespace found;
		uint64_t address = node - BINDING_OFFSET(binding, struct net_namespace, list_next);
		enum kioku_status status = record_read(kernel, binding, address, &found, NULL);
		found.address = address;
		if (status != KIOKU_OK)
			list_reject(&walk, kioku_status_name(status));
		else
			TRY(receive(user, &found));
	}
	return KIOKU_OK;
}
